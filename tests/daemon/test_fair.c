/* SPDX-License-Identifier: ISC */
/* Fairness: every MTA connection at full speed makes progress, and a new one
 * is served while they do. All is counted in answers and not in time, so that
 * a machine that does something else as well makes no difference. */
#include "tests/daemon/lab.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

enum { BUSY_MAX = 64, NEWCOMERS = 10 };

struct busy {
	pthread_t thread;
	atomic_uint answers;
	bool good;
};

static struct busy busy[BUSY_MAX];
static atomic_bool over;
static atomic_uint begun, total;

/* Sends a recipient and waits for the answer. */
static bool
recipient(struct mclient *mc, const char *to)
{
	struct mclient_reply r;

	return mclient_macro(mc, "{rcpt_mailer}", "smtp") == 0 &&
	    mclient_rcpt(mc, to) == 0 && mclient_reply(mc, &r) == 0;
}

/* Up to the first answer that needs a decision. */
static struct mclient *
arrive(void)
{
	struct mclient *mc = mclient_open(sock, 60000);
	struct mclient_reply r;

	if (mc != NULL && mclient_negotiate(mc, NULL) == 0 &&
	    mclient_reply(mc, &r) == 0 &&
	    mclient_macro(mc, "j", "mail.lab.test") == 0 &&
	    mclient_connect(mc, "h", "203.0.113.9") == 0 &&
	    mclient_reply(mc, &r) == 0 && mclient_helo(mc, "h") == 0 &&
	    mclient_reply(mc, &r) == 0 && mclient_mail(mc, "<s@y.test>") == 0 &&
	    mclient_reply(mc, &r) == 0 && recipient(mc, REMOTE))
		return mc;
	mclient_close(&mc);
	return NULL;
}

/* One of our own and a foreign one in turn: with and without a row in the
 * audit. */
static void *
run_busy(void *arg)
{
	struct busy *b = arg;
	struct mclient *mc = arrive();
	struct mclient_reply r;

	b->good = mc != NULL;
	atomic_fetch_add(&begun, 1);
	while (b->good && !over) {
		b->good = mclient_mail(mc, "<s@y.test>") == 0 &&
		    mclient_reply(mc, &r) == 0 &&
		    recipient(mc, "<alice@lab.test>") && recipient(mc, REMOTE);
		atomic_fetch_add(&b->answers, 2);
		atomic_fetch_add(&total, 2);
	}
	mclient_close(&mc);
	return NULL;
}

/* Wait for n more answers to the busy ones; a minute without any is none. */
static void
wait_answers(unsigned n)
{
	unsigned until = total + n, seen = total, still = 0;

	while ((int)(until - total) > 0) {
		(void)usleep(10000);
		still = seen == total ? still + 1 : 0;
		seen = total;
		if (still > 6000)
			fail_msg("nobody is answered any more");
	}
}

static void
start_busy(unsigned n)
{
	over = false;
	begun = total = 0;
	for (unsigned i = 0; i < n; i++) {
		busy[i].answers = 0;
		assert_int_equal(
		    pthread_create(&busy[i].thread, NULL, run_busy, &busy[i]),
		    0);
	}
	/* a starving one is found by its count of answers */
	wait_until(begun == n);
}

static void
stop_busy(unsigned n)
{
	over = true;
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(pthread_join(busy[i].thread, NULL), 0);
	for (unsigned i = 0; i < n; i++)
		assert_true(busy[i].good);
}

/* The answers that all others get while a new connection waits for its own,
 * at most. */
static unsigned
longest_wait(void)
{
	unsigned most = 0;

	for (int i = 0; i < NEWCOMERS; i++) {
		unsigned before = total;
		struct mclient *mc = arrive();

		assert_non_null(mc);
		if (total - before > most)
			most = total - before;
		mclient_close(&mc);
	}
	return most;
}

/* n connections at full speed, until they have had answers each on average:
 * the slowest has at least a share-th of the answers of the fastest, and who
 * comes now waits no longer than others need for the answers of a second. */
static void
fair(unsigned n, unsigned answers, unsigned share)
{
	unsigned got[BUSY_MAX], slowest = 0, fastest = 0;

	start_busy(n);
	for (unsigned i = 0; i < n; i++)
		got[i] = busy[i].answers;
	int64_t began_ms = now_ms();
	unsigned before = total;

	wait_answers(n * answers);
	for (unsigned i = 0; i < n; i++) {
		got[i] = busy[i].answers - got[i];
		if (got[i] < got[slowest])
			slowest = i;
		if (got[i] > got[fastest])
			fastest = i;
	}
	unsigned most = longest_wait();
	unsigned per_s = (unsigned)((int64_t)(total - before) * 1000 /
	    (now_ms() - began_ms + 1));

	stop_busy(n);
	print_message("%u connections: %u to %u answers, %u a second, a new "
		      "one waits for %u\n",
	    n, got[slowest], got[fastest], per_s, most);
	assert_true(got[slowest] * share >= got[fastest]);
	assert_true(most <= per_s);
}

static void
six(void **state)
{
	(void)state;
	fair(6, 30000, 5);
}

static void
sixteen(void **state)
{
	(void)state;
	fair(16, 30000, 5);
}

static void
sixty_four(void **state)
{
	(void)state;
	fair(64, 10000, 10);
}

/* Of n connections, since the start. */
static unsigned
fewest_answers(unsigned n)
{
	unsigned fewest = busy[0].answers;

	for (unsigned i = 1; i < n; i++) {
		if (busy[i].answers < fewest)
			fewest = busy[i].answers;
	}
	return fewest;
}

/* A connection is forgotten by chance, when it comes in a bad moment, and then
 * for as long as the others are busy: so with new ones, again and again. A
 * round is too short to compare their counts, which the scheduler makes. Each
 * gets some answers before all have had as many as in six(). */
static void
nobody_starves(void **state)
{
	enum { ROUNDS = 60, N = 6, SOME = 100, ALL = N * 30000 };

	unsigned most = 0;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		start_busy(N);
		while (fewest_answers(N) < SOME && total < ALL)
			wait_answers(1);
		most = total > most ? total : most;
		stop_busy(N);
		assert_true(fewest_answers(N) >= SOME);
	}
	print_message(
	    "at most %u answers, until each of %d had %d\n", most, N, SOME);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = { TEST(six), TEST(sixteen),
		TEST(sixty_four), TEST(nobody_starves) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
