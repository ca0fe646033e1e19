/* SPDX-License-Identifier: ISC */
/* The log's queue: whoever logs never waits, what is lost is counted and said,
 * and the order stays. Each case is a process of its own, whose standard error
 * is the log; one that hangs is ended by SIGALRM, and fails. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <syslog.h>

#include "common/base/log.h"

enum { HANGS_S = 60, MANY = 60000 };

/* A case logs, and reports by its exit status. */
typedef int case_fn(int report);

/* Runs fn with standard error err in a child; report: the end of a pipe that
 * it may write to. Returns the child. */
static pid_t
run(case_fn *fn, int err, int report)
{
	pid_t pid = fork();

	assert_int_not_equal(pid, -1);
	if (pid > 0)
		return pid;
	(void)alarm(HANGS_S);
	(void)signal(SIGPIPE, SIG_IGN);
	if (dup2(err, STDERR_FILENO) == -1)
		_exit(100);
	(void)close(err);
	_exit(fn(report));
}

static void
ended_with(pid_t pid, int want)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != want)
		fail_msg(
		    "wait status 0x%x, want exit %d", (unsigned)status, want);
}

static int
begin(void)
{
	log_open("test", LOG_TO_STDERR);
	log_hold();
	log_msg(LOG_NOTICE, "before the thread");
	return log_start();
}

static bool
send_report(int fd)
{
	struct log_state state;

	log_state(&state);
	return write(fd, &state, sizeof(state)) == (ssize_t)sizeof(state);
}

/* Nobody reads. Then somebody does. */
static int
unread(int report)
{
	struct log_state state;
	char line[300];

	if (begin() != 0)
		return 1;
	for (int i = 0; i < MANY; i++) {
		/* both kinds of lines */
		int n = snprintf(line, sizeof(line), "line %d %0200d", i, 0);

		if (i % 2 == 0)
			log_line(LOG_INFO, line, (size_t)n);
		else
			log_msg(LOG_INFO, "%s", line);
	}
	log_flush();
	/* there is room for what matters more */
	log_msg(LOG_ERR, "an error");
	log_state(&state);
	if (state.lost == 0 || state.lost_at == 0 || state.waiting < 1000)
		return 2;
	if (!send_report(report))
		return 3;
	/* until it was read to its end; log_stop() has a bound of its own */
	while (log_stop() != 0)
		continue;
	log_msg(LOG_NOTICE, "after it");
	if (log_stop() != 0)
		return 4;
	return send_report(report) ? 0 : 5;
}

static void
an_unread_pipe_holds_nobody_up(void **state)
{
	int log[2], report[2];
	struct log_state first, last;

	(void)state;
	assert_int_equal(pipe(log), 0);
	assert_int_equal(pipe(report), 0);
	pid_t pid = run(unread, log[1], report[1]);

	(void)close(log[1]);
	(void)close(report[1]);
	assert_int_equal(read(report[0], &first, sizeof(first)), sizeof(first));
	FILE *in = fdopen(log[0], "r");
	char line[1000];
	int before = -1, lines = 0, errors = 0;
	long long said = 0;
	bool began = false, ended = false;

	assert_non_null(in);
	while (fgets(line, sizeof(line), in) != NULL) {
		char *text = strstr(line, "]: ");
		int i;

		assert_non_null(text);
		assert_memory_equal(line, "test[", 5);
		assert_non_null(strchr(line, '\n'));
		text += 3;
		if (sscanf(text, "line %d ", &i) == 1) {
			assert_true(i > before);
			/* gaps only where lines were dropped */
			assert_true(began && !ended);
			before = i;
			lines++;
		} else if (strstr(text, "log lines were lost in") != NULL) {
			said += atoll(text);
		} else if (strcmp(text, "an error\n") == 0) {
			errors++;
		} else if (strcmp(text, "before the thread\n") == 0) {
			began = true;
		} else {
			assert_string_equal(text, "after it\n");
			ended = true;
		}
	}
	(void)fclose(in);
	assert_int_equal(read(report[0], &last, sizeof(last)), sizeof(last));
	(void)close(report[0]);
	ended_with(pid, 0);
	assert_true(began && ended);
	assert_int_equal(errors, 1);
	assert_true(first.lost > 0 && first.stuck_ms >= 0);
	assert_int_equal(last.lost, MANY - lines);
	assert_int_equal(said, last.lost);
	assert_int_equal(last.waiting, 0);
	assert_int_equal(last.stuck_ms, 0);
}

/* The end doesn't wait for the log either. */
static int
stops(int report)
{
	if (begin() != 0)
		return 1;
	for (int i = 0; i < 3000; i++)
		log_msg(LOG_ERR, "line %d %0200d", i, 0);
	unsigned left = log_stop();

	(void)report;
	return left > 100 ? 0 : 2;
}

static void
the_end_does_not_wait_for_ever(void **state)
{
	int log[2];

	(void)state;
	assert_int_equal(pipe(log), 0);
	ended_with(run(stops, log[1], -1), 0);
	(void)close(log[0]);
	(void)close(log[1]);
	/* a disk that is full says so itself */
	log[0] = open("/dev/full", O_WRONLY);
	assert_int_not_equal(log[0], -1);
	ended_with(run(stops, log[0], -1), 0);
	(void)close(log[0]);
}

/* A reader that has left is not worth waiting for. */
static int
deserted(int report)
{
	struct log_state state;

	(void)report;
	if (begin() != 0)
		return 1;
	log_msg(LOG_ERR, "nobody reads this");
	if (log_stop() != 0)
		return 2;
	log_state(&state);
	return state.lost > 0 && state.waiting == 0 ? 0 : 3;
}

static void
a_reader_that_left(void **state)
{
	int log[2];

	(void)state;
	assert_int_equal(pipe(log), 0);
	(void)close(log[0]);
	ended_with(run(deserted, log[1], -1), 0);
	(void)close(log[1]);
}

/* Somebody else may have made standard error non-blocking. */
static void
a_non_blocking_log(void **state)
{
	int log[2], report[2];
	struct log_state first, last;
	char text[4096];
	long newlines = 0;
	ssize_t n;

	(void)state;
	assert_int_equal(pipe(log), 0);
	assert_int_equal(pipe(report), 0);
	assert_int_equal(fcntl(log[1], F_SETFL, O_NONBLOCK), 0);
	pid_t pid = run(unread, log[1], report[1]);

	(void)close(log[1]);
	(void)close(report[1]);
	assert_int_equal(read(report[0], &first, sizeof(first)), sizeof(first));
	while ((n = read(log[0], text, sizeof(text))) > 0)
		for (ssize_t i = 0; i < n; i++)
			newlines += text[i] == '\n';
	assert_int_equal(read(report[0], &last, sizeof(last)), sizeof(last));
	ended_with(pid, 0);
	(void)close(log[0]);
	(void)close(report[0]);
	/* nothing was written twice or in part */
	assert_true(newlines >= MANY - (long)last.lost + 4);
	assert_true(newlines <= MANY - (long)last.lost + 20);
}

/* A program without a thread for it writes at once, as ever. */
static int
direct(int report)
{
	(void)report;
	log_open("test", LOG_TO_JOURNAL);
	log_msg(LOG_WARNING, "a\nb");
	log_line(LOG_INFO, "c", 1);
	return log_stop() == 0 ? 0 : 1;
}

static void
a_short_program(void **state)
{
	char text[200];
	int log[2];

	(void)state;
	assert_int_equal(pipe(log), 0);
	ended_with(run(direct, log[1], -1), 0);
	(void)close(log[1]);
	ssize_t n = read(log[0], text, sizeof(text) - 1);

	text[n < 0 ? 0 : n] = '\0';
	assert_string_equal(text, "<4>a\\x0ab\n<6>c\n");
	(void)close(log[0]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_unread_pipe_holds_nobody_up),
		cmocka_unit_test(the_end_does_not_wait_for_ever),
		cmocka_unit_test(a_reader_that_left),
		cmocka_unit_test(a_non_blocking_log),
		cmocka_unit_test(a_short_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
