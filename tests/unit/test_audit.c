#include "unit.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "audit.h"
#include "clock.h"
#include "err.h"

static char db[128];
/* written by the audit's thread: read after audit_stop() */
static char last_line[4096], bad_state[1024];
static unsigned lines;

static void
on_line(const char *line, size_t len)
{
	assert_int_equal(strlen(line), len);
	(void)snprintf(last_line, sizeof(last_line), "%s", line);
	lines++;
}

static void
on_state(bool good, const char *text)
{
	if (!good)
		(void)snprintf(bad_state, sizeof(bad_state), "%s", text);
}

static struct audit *
start(int64_t queue)
{
	const struct audit_options opt = { .path = db, .queue = queue,
	    .keep_s = 86400, .log_line = on_line, .log_state = on_state };
	struct audit *a;
	struct err err;

	if (audit_start(&opt, &a, &err) == -1)
		fail_msg("%s", err.text);
	return a;
}

static struct audit_row *
row(const char *recipient, const char *sender)
{
	const struct audit_facts f = {
		.at_ms = clock_now_ms(), .session = "s1", .client =
		"192.0.2.1", .client_name = "c", .helo = "h",
		.sender = sender, .recipient = recipient,
		.login_user = "alice", .mta = "m",
		.decision = { .verdict = VERDICT_ACCEPT,
		    .reason = REASON_RECENT_LOGIN, .rule = 10,
		    .login_at = 5 }
	};
	struct audit_row *r = audit_row_new(&f);

	assert_non_null(r);
	return r;
}

static bool
count(void *arg, const struct audit_record *rec)
{
	assert_string_equal(rec->verdict, "accept");
	++*(int *)arg;
	return true;
}

static int
rows_on_disk(const struct audit_filter *filter)
{
	struct audit_reader *r;
	struct err err;
	int n = 0;

	if (audit_open_reader(db, &r, &err) == -1 ||
	    audit_each(r, filter, count, &n, &err) == -1)
		fail_msg("%s", err.text);
	audit_close_reader(&r);
	return n;
}

static void
write_and_read(void **state)
{
	struct audit *a = start(1000);
	struct audit_row *chain = NULL;
	const struct audit_filter all = { .limit = 0 };
	const struct audit_filter one = { .queue_id = "QID",
	    .recipient = "b@x", .user = "alice", .client = "192.0.2.1",
	    .sender = "s@y", .verdict = "accept", .reason = "recent-login" };
	const struct audit_filter none = { .sender = "' OR 1 --" };

	(void)state;
	chain = audit_row_chain(chain, row("<a@x>", "s@y"));
	chain = audit_row_chain(chain, row("<b@x>", "s@y"));
	chain = audit_row_chain(chain, row("<c@x>", "s@y"));
	audit_row_queue_id(chain, "QID");
	uint64_t ticket = audit_submit(a, chain, true);

	assert_true(ticket != 0);
	assert_true(audit_wait(a, ticket, 5000));
	assert_int_equal(audit_state(a, ticket), AUDIT_DURABLE);
	/* durable means: another process sees it */
	assert_int_equal(rows_on_disk(&all), 3);
	assert_int_equal(rows_on_disk(&one), 1);
	assert_int_equal(rows_on_disk(&none), 0);
	assert_true(audit_healthy(a));
	audit_stop(&a);
	assert_null(a);
	assert_int_equal(lines, 3);
	assert_non_null(strstr(last_line, "verdict=accept "
	    "reason=recent-login client=192.0.2.1 "));
}

/* Nothing that a client says can end a log line or forge a field. */
static void
hostile_text(void **state)
{
	struct audit *a = start(1000);
	static char longest[5000];

	(void)state;
	lines = 0;
	assert_true(audit_wait(a, audit_submit(a, row(
	    "<x\" verdict=accept \n\x1b[2J\\>", "a b"), true), 5000));
	audit_stop(&a);
	assert_int_equal(lines, 1);
	assert_null(strchr(last_line, '\n'));
	assert_null(strchr(last_line, '\x1b'));
	assert_non_null(strstr(last_line, "recipient=\"<x\\\" verdict=accept "
	    "\\x0a\\x1b[2J\\\\>\""));
	assert_non_null(strstr(last_line, "sender=\"a b\""));
	memset(longest, 'y', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	a = start(1000);
	assert_true(audit_wait(a, audit_submit(a, row(longest, longest),
	    true), 5000));
	audit_stop(&a);
}

static void
tickets(void **state)
{
	struct audit *a = start(16);
	struct audit_row *chain = NULL;

	(void)state;
	assert_false(audit_wait(a, 0, 10));
	assert_int_equal(audit_state(a, 0), AUDIT_LOST);
	for (int i = 0; i < 17; i++)
		chain = audit_row_chain(chain, row("r", "s"));
	/* more than the queue holds: lost, and counted */
	assert_int_equal(audit_submit(a, chain, false), 0);
	struct audit_stats stats;

	audit_stats(a, &stats);
	assert_int_equal(stats.lost, 17);
	assert_true(audit_wait(a, audit_submit(a, row("r", "s"), true),
	    5000));
	audit_drain(a);
	assert_int_equal(audit_submit(a, row("r", "s"), true), 0);
	audit_stop(&a);
}

static void *
producer(void *arg)
{
	struct audit *a = arg;

	for (int i = 0; i < 200; i++) {
		uint64_t t = audit_submit(a, row("r", "s"), true);

		/* cmocka's asserts are for its own thread */
		if (t == 0 || !audit_wait(a, t, 10000))
			return NULL;
	}
	return a;
}

static void
many_producers(void **state)
{
	struct audit *a = start(100000);
	const struct audit_filter all = { .limit = 0 };
	struct audit_stats stats;
	pthread_t thread[8];
	void *good;

	(void)state;
	for (int i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, producer,
		    a), 0);
	for (int i = 0; i < 8; i++) {
		assert_int_equal(pthread_join(thread[i], &good), 0);
		assert_ptr_equal(good, a);
	}
	audit_stats(a, &stats);
	assert_int_equal(stats.rows, 1600);
	assert_int_equal(stats.queued, 0);
	/* grouped: far fewer transactions than rows */
	assert_true(stats.transactions < 1600);
	audit_stop(&a);
	assert_int_equal(rows_on_disk(&all), 1600);
}

/* A full disk (here: a limit on file size): rows are lost, not the process,
 * nobody is told they are durable, and it works again when there is room. */
static void
full_disk(void **state)
{
	struct audit *a = start(100000);
	struct rlimit old, small;
	char text[2000];
	uint64_t ticket = 0;

	(void)state;
	(void)signal(SIGXFSZ, SIG_IGN);
	memset(text, 'z', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_true(audit_wait(a, audit_submit(a, row("r", "s"), true),
	    5000));
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 100000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	bool durable = true;

	for (int i = 0; i < 300 && durable; i++) {
		ticket = audit_submit(a, row(text, text), true);
		durable = audit_wait(a, ticket, 5000);
	}
	bool lost = audit_state(a, ticket) == AUDIT_LOST;
	bool healthy = audit_healthy(a);

	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_false(durable);
	assert_true(lost);
	assert_false(healthy);
	/* the probe of an idle writer notices by itself */
	for (int i = 0; i < 100 && !audit_healthy(a); i++)
		(void)usleep(50000);
	assert_true(audit_healthy(a));
	assert_true(audit_wait(a, audit_submit(a, row("r", "s"), true),
	    5000));
	audit_stop(&a);
	assert_non_null(strstr(bad_state, "rows lost; relays get a temporary "
	    "failure"));
}

/* Removed under us: rows don't go to a file that nobody can see. */
static void
removed_file(void **state)
{
	struct audit *a = start(1000);
	const struct audit_filter all = { .limit = 0 };
	char name[160];

	(void)state;
	assert_true(audit_wait(a, audit_submit(a, row("r", "s"), true),
	    5000));
	(void)unlink(db);
	(void)snprintf(name, sizeof(name), "%s-wal", db);
	(void)unlink(name);
	(void)snprintf(name, sizeof(name), "%s-shm", db);
	(void)unlink(name);
	assert_true(audit_wait(a, audit_submit(a, row("r", "s"), true),
	    5000));
	assert_int_equal(rows_on_disk(&all), 1);
	audit_stop(&a);
}

static int
setup(void **state)
{
	(void)state;
	lines = 0;
	bad_state[0] = '\0';
	(void)snprintf(db, sizeof(db), "%s/audit.db", unit_dir());
	return 0;
}

static int
teardown(void **state)
{
	char name[160];

	(void)state;
	(void)unlink(db);
	(void)snprintf(name, sizeof(name), "%s-wal", db);
	(void)unlink(name);
	(void)snprintf(name, sizeof(name), "%s-shm", db);
	(void)unlink(name);
	*strrchr(db, '/') = '\0';
	return rmdir(db);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(write_and_read), TEST(hostile_text), TEST(tickets),
		TEST(many_producers), TEST(full_disk), TEST(removed_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
