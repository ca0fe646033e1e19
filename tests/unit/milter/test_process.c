/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include <signal.h>
#include <sys/resource.h>

#include "milter/permit.h"
#include "milter/process.h"

static void
shares(void **state)
{
	static const struct {
		const char *name;
		unsigned files, used;
		unsigned want_sessions;
		int want_others_from;
	} rows[] = {
		{ "a quarter each, and libmilter the rest", 1024, 20, 430,
		    512 },
		{ "databases and logs need no more than 256", 4096, 20, 2732,
		    2816 },
		{ "the permit channel needs no more than 2000", 1 << 20, 30,
		    1046226, 1046320 },
		{ "where nothing is left there is one session", 16, 20, 1, 21 },
		{ "no descriptors at all", 0, 20, 1, 21 },
		{ "as many as are used and kept", 40, 20, 1, 21 },
		{ "one more than that", 44, 20, 1, 22 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct process_share got =
		    process_share_files(rows[i].files, rows[i].used);

		if (got.sessions != rows[i].want_sessions ||
		    got.others_from != rows[i].want_others_from)
			fail_msg("%s: got %u sessions and others from %d, "
				 "want %u and %d",
			    rows[i].name, got.sessions, got.others_from,
			    rows[i].want_sessions, rows[i].want_others_from);
	}
}

/* A thread that gets a descriptor has room for it, whatever the limit. */
static void
shares_fit(void **state)
{
	(void)state;
	for (unsigned files = 64; files <= 1 << 20; files += files / 8) {
		struct process_share got = process_share_files(files, 24);
		unsigned end = (unsigned)got.others_from;

		assert_true(got.sessions >= 1);
		assert_true(24 + got.sessions <= end);
		assert_true(end + process_permit_connections(files) <= files);
	}
}

static void
the_permit_channel_has_its_part(void **state)
{
	(void)state;
	assert_int_equal(process_permit_connections(1024), 256);
	assert_int_equal(
	    process_permit_connections(1 << 20), PERMIT_CONNECTIONS_MAX);
}

static void
files_are_raised(void **state)
{
	struct rlimit was, is;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	is = was;
	is.rlim_cur = 64;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &is), 0);
	unsigned got = process_raise_files();

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &is), 0);
	assert_true(is.rlim_cur == was.rlim_max);
	assert_true(got == is.rlim_cur || got == 1 << 20);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
}

static void
files_used(void **state)
{
	(void)state;
	unsigned before = process_files_used();
	int fd = dup(STDERR_FILENO);

	assert_int_not_equal(fd, -1);
	assert_int_equal(process_files_used(), before + 1);
	(void)close(fd);
	assert_int_equal(process_files_used(), before);
}

static void
signals_wait_for_the_main_thread(void **state)
{
	static const int ours[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1 };
	const struct timespec now = { 0 };
	sigset_t set, old, blocked;

	(void)state;
	assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &old), 0);
	process_block_signals();
	assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &blocked), 0);
	process_signals(&set);
	for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++) {
		assert_int_equal(sigismember(&blocked, ours[i]), 1);
		assert_int_equal(kill(getpid(), ours[i]), 0);
		assert_int_equal(sigtimedwait(&set, NULL, &now), ours[i]);
	}
	assert_int_equal(kill(getpid(), SIGPIPE), 0);
	assert_int_equal(pthread_sigmask(SIG_SETMASK, &old, NULL), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shares),
		cmocka_unit_test(shares_fit),
		cmocka_unit_test(the_permit_channel_has_its_part),
		cmocka_unit_test(files_are_raised),
		cmocka_unit_test(files_used),
		cmocka_unit_test(signals_wait_for_the_main_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
