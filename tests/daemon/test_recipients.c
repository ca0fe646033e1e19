/* SPDX-License-Identifier: ISC */
/* Messages with very many recipients: one that is relayed has all its rows on
 * disk, whatever the number, the queue and the moment of a full disk. */
#include "tests/daemon/lab.h"

#include <signal.h>
#include <stdbool.h>

/* A message to so many; how many were accepted. No DATA yet. */
static int
recipients(struct mclient *mc, int n)
{
	char to[64];
	int accepted = 0;

	mail(mc, "<s@y.test>");
	for (int i = 0; i < n; i++) {
		(void)snprintf(to, sizeof(to), "<u%d@remote.test>", i);
		accepted += *rcpt(mc, to, "smtp") == '\0';
	}
	return accepted;
}

static int
rows_of(const char *queue_id)
{
	char text[200];

	(void)snprintf(text, sizeof(text),
	    "SELECT count(DISTINCT recipient) FROM decision WHERE "
	    "verdict = 'accept' AND queue_id = '%s'",
	    queue_id);
	return sql_int("audit.db", text);
}

static void
restart(const char *audit)
{
	(void)stop_daemon(SIGTERM);
	write_config("", audit);
	start_daemon();
}

/* Each number with each queue; nothing is refused, all is on disk. */
static void
any_number(void **state)
{
	static const int numbers[] = { 1, 3, 4, 5, 16, 17, 1023, 1024, 1025,
		2047, 2048, 2049, 5000, 50000 };
	static const char *const settings[] = { "", "queue = 16;",
		"queue = 1000;", "queue = 1024;", "queue = 4096;",
		"record = \"all\"; queue = 64;" };

	(void)state;
	for (size_t q = 0; q < sizeof(settings) / sizeof(*settings); q++) {
		restart(settings[q]);
		login("203.0.113.5", 100000);
		struct mclient *mc = mta("203.0.113.5");

		for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers);
		     i++) {
			int n = numbers[i];
			char queue_id[40];

			/* with a queue of 16 that is a wait for each four */
			if (n > 5000 && q != 0)
				continue;
			if (n > 1025 && q == 1)
				continue;
			(void)snprintf(
			    queue_id, sizeof(queue_id), "Q%zuN%d", q, n);
			assert_int_equal(mclient_macro(mc, "i", queue_id), 0);
			assert_int_equal(recipients(mc, n), n);
			char code = data_as(mc, queue_id);

			if (code != SMFIR_CONTINUE)
				fail_msg("%d recipients, audit: { %s }: DATA "
					 "got '%c'",
				    n, settings[q], code);
			int got = rows_of(queue_id);

			if (got != n)
				fail_msg("%d recipients, audit: { %s }: %d "
					 "rows",
				    n, settings[q], got);
		}
		mclient_close(&mc);
	}
}

/* Rows that nobody waits for are counted all the same: they aren't lost
 * either. */
static void
not_durable(void **state)
{
	struct mclient *mc;

	(void)state;
	restart("durability = \"none\"; queue = 16;");
	login("203.0.113.5", 100000);
	mc = mta("203.0.113.5");
	assert_int_equal(recipients(mc, 200), 200);
	assert_int_equal(data(mc), SMFIR_CONTINUE);
	wait_int("audit.db", "SELECT count(*) FROM decision", 200);
	mclient_close(&mc);
}

/* The message before has no share in the next one's. */
static void
next_message(void **state)
{
	struct mclient *mc;

	(void)state;
	restart("queue = 16;");
	login("203.0.113.5", 100000);
	mc = mta("203.0.113.5");
	/* given up, when four were with the audit already */
	assert_int_equal(recipients(mc, 6), 6);
	assert_int_equal(mclient_abort(mc), 0);
	assert_int_equal(mclient_flush(mc), 0);
	wait_int("audit.db",
	    "SELECT count(*) FROM decision WHERE verdict = 'aborted'", 6);
	mail(mc, "<s@y.test>");
	assert_accepted(rcpt(mc, "<alice@lab.test>", "local"));
	assert_int_equal(data(mc), SMFIR_CONTINUE);
	assert_int_equal(recipients(mc, 8), 8);
	/* MAIL again, without an abort */
	assert_int_equal(mclient_macro(mc, "i", "SECOND"), 0);
	assert_int_equal(recipients(mc, 8), 8);
	assert_int_equal(data_as(mc, "SECOND"), SMFIR_CONTINUE);
	assert_int_equal(rows_of("SECOND"), 8);
	wait_int("audit.db", "SELECT count(*) FROM decision", 22);
	wait_int("audit.db",
	    "SELECT count(*) FROM decision WHERE verdict = 'aborted'", 14);
	mclient_close(&mc);
}

/* --- a disk that is full for a moment: a small tmpfs --- */

static bool
small_disk(void)
{
	char command[200];

	(void)stop_daemon(SIGTERM);
	(void)snprintf(command, sizeof(command),
	    "mkdir %s && mount -t tmpfs -o size=24m none %s", path("disk"),
	    path("disk"));
	if (geteuid() != 0 || system(command) != 0)
		return false;
	FILE *in = fopen(path("popgate.conf"), "r");
	static char text[8192];
	size_t n = fread(text, 1, sizeof(text) - 1, in);

	(void)fclose(in);
	text[n] = '\0';
	char *at = strstr(text, "/audit.db");

	in = fopen(path("popgate.conf"), "w");
	(void)fprintf(in, "%.*s/disk%s", (int)(at - text), text, at);
	(void)fclose(in);
	/* start_daemon() looks for this one */
	(void)unlink(path("audit.db"));
	assert_int_equal(symlink(path("disk/audit.db"), path("audit.db")), 0);
	start_daemon();
	return true;
}

static void
fill(void)
{
	static const char zeros[4096];
	FILE *out = fopen(path("disk/fill"), "w");

	assert_non_null(out);
	while (fwrite(zeros, sizeof(zeros), 1, out) == 1 && fflush(out) == 0)
		continue;
	(void)fclose(out);
}

static int
count_on_disk(const char *queue_id)
{
	char text[200];

	(void)snprintf(text, sizeof(text),
	    "SELECT count(*) FROM decision WHERE verdict = 'accept' AND "
	    "queue_id = '%s'",
	    queue_id);
	return sql_int("disk/audit.db", text);
}

/* Some recipients while there is room, some while there is none, some after:
 * at every boundary of a batch and beside it. */
static void
full_in_between(void **state)
{
	static const struct {
		int before, during, after;
	} cases[] = { { 1023, 1, 1 }, { 1023, 2, 1 }, { 1020, 1040, 5 },
		{ 0, 1024, 1 }, { 1024, 1, 0 }, { 1024, 1, 1 }, { 1023, 0, 2 },
		{ 1023, 1025, 1030 } };
	struct mclient *mc;
	int refused = 0;

	(void)state;
	if (!small_disk()) {
		start_daemon();
		skip();
	}
	login("203.0.113.5", 100000);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char queue_id[40];

		mc = mta("203.0.113.5");
		(void)snprintf(queue_id, sizeof(queue_id), "FULL%zu", i);
		assert_int_equal(mclient_macro(mc, "i", queue_id), 0);
		int n = recipients(mc, cases[i].before);

		assert_int_equal(n, cases[i].before);
		fill();
		for (int k = 0; k < cases[i].during; k++)
			n += *rcpt(mc, REMOTE, "smtp") == '\0';
		/* whether the daemon has noticed or not */
		if (i % 2 == 0 && cases[i].during > 0)
			(void)usleep(300000);
		assert_int_equal(unlink(path("disk/fill")), 0);
		if (i % 3 == 0)
			wait_until(health_number("audit_good") == 1);
		for (int k = 0; k < cases[i].after; k++)
			n += *rcpt(mc, REMOTE, "smtp") == '\0';
		char code = data_as(mc, queue_id);
		int got = count_on_disk(queue_id);

		if (code == SMFIR_CONTINUE && got != n)
			fail_msg("case %zu: relayed with %d accepted "
				 "recipients and %d rows",
			    i, n, got);
		refused += code != SMFIR_CONTINUE;
		mclient_close(&mc);
		wait_until(health_number("audit_good") == 1);
	}
	printf("%d of %zu messages were refused\n", refused,
	    sizeof(cases) / sizeof(*cases));
	assert_true(refused > 0);
	mc = mta("203.0.113.5");
	assert_int_equal(recipients(mc, 1025), 1025);
	assert_int_equal(data_as(mc, "WELL"), SMFIR_CONTINUE);
	assert_int_equal(count_on_disk("WELL") > 0, 1);
	mclient_close(&mc);
}

static int
end_disk(void **state)
{
	int status = daemon_pid == 0 ? 0 : stop_daemon(SIGTERM);
	char command[200];

	(void)state;
	(void)snprintf(
	    command, sizeof(command), "umount %s 2>/dev/null", path("disk"));
	(void)!system(command);
	return teardown(state) != 0 || status != 0 ? -1 : 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(any_number, setup, teardown),
		cmocka_unit_test_setup_teardown(not_durable, setup, teardown),
		cmocka_unit_test_setup_teardown(next_message, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    full_in_between, setup, end_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
