/* SPDX-License-Identifier: ISC */
/* sources that others write to: Unix datagrams, and standard input */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "collector/sources/source.h"
#include "common/base/err.h"
#include "common/logs/lines.h"
#include "common/records/login_datagram.h"

static char dir[80], path[100];
static struct source *source;

/* --- a source, and what it gave --- */

static void
open_source(enum source_kind kind)
{
	const struct config_source cfg = {
		.kind = kind, .name = (char *)(uintptr_t) "test", .where = path
	};
	const struct source_options options = { .since = 0 };
	struct err err;

	if (source_open(&cfg, &options, &source, &err) == -1)
		fail_msg("%s", err.text);
}

static struct got {
	int lines, stop_after; /* 0: never */
	bool too_long, good;
	int64_t uid, pid, position;
	char text[2000], user[200];
	const char *answer;
} got;

static bool
take(void *arg, const struct line *line)
{
	struct got *g = arg;

	g->lines++;
	g->too_long = line->too_long;
	g->position = line->position;
	(void)snprintf(
	    g->text, sizeof(g->text), "%.*s", (int)line->len, line->text);
	if (line->told != NULL) {
		g->uid = line->told->uid;
		g->pid = line->told->pid;
		g->good = line->told->good;
		if (g->good)
			(void)snprintf(g->user, sizeof(g->user), "%s",
			    line->told->told.user);
	}
	if (g->answer != NULL)
		source_answer(source, g->answer);
	return g->lines != g->stop_after;
}

/* Returns the state. */
static int
read_all(size_t budget, int stop_after, const char *answer)
{
	struct err err;

	got = (struct got){ .stop_after = stop_after, .answer = answer };
	int state = source_read(source, budget, take, &got, &err);

	if (state == -1)
		fail_msg("%s", err.text);
	return state;
}

/* --- somebody who writes --- */

static int
writer(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_int_not_equal(fd, -1);
	(void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	/* autobind: an abstract address, unix(7) */
	assert_int_equal(
	    bind(fd, (struct sockaddr *)&sun, sizeof(sa_family_t)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	return fd;
}

static void
say(const char *text, size_t len)
{
	int fd = writer();

	assert_int_equal(send(fd, text, len, 0), len);
	(void)close(fd);
}

/* --- syslog's socket --- */

static void
a_datagram_is_a_line(void **state)
{
	static char big[LINES_MAX + 10];
	static const struct {
		const char *name, *text;
		size_t len;
		const char *want;
	} rows[] = {
		{ "as it is", "one", 3, "one" },
		{ "its end goes", "one\n", 4, "one" },
		{ "so does the end of a C string", "one\n\0", 5, "one" },
		{ "empty", "", 0, "" },
		{ "a forged second line stays in it", "one\ntwo", 7,
		    "one\ntwo" },
	};

	(void)state;
	open_source(SOURCE_SOCKET);
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i].name);
		say(rows[i].text, rows[i].len);
		assert_int_equal(read_all(100000, 0, NULL), SOURCE_END);
		assert_int_equal(got.lines, 1);
		assert_string_equal(got.text, rows[i].want);
		assert_false(got.too_long);
	}
	memset(big, 'x', sizeof(big));
	say(big, sizeof(big));
	assert_int_equal(read_all(100000, 0, NULL), SOURCE_END);
	assert_true(got.too_long);
	assert_string_equal(got.text, "");
}

static void
reading_stops_early(void **state)
{
	(void)state;
	open_source(SOURCE_SOCKET);
	for (int i = 0; i < 4; i++)
		say("", 0);
	/* empty ones use up a budget, too */
	assert_int_equal(read_all(2, 0, NULL), SOURCE_MORE);
	assert_int_equal(got.lines, 2);
	assert_int_equal(read_all(1000, 1, NULL), SOURCE_MORE);
	assert_int_equal(got.lines, 1);
	assert_int_equal(read_all(1000, 0, NULL), SOURCE_END);
	assert_int_equal(got.lines, 1);
}

static mode_t
mode_of(const char *name)
{
	struct stat st;

	assert_int_equal(lstat(name, &st), 0);
	return st.st_mode & 07777;
}

static void
what_is_at_the_path(void **state)
{
	const struct config_source cfg = { .kind = SOURCE_SOCKET,
		.name = (char *)(uintptr_t) "test",
		.where = path };
	const struct source_options options = { .since = 0 };
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct source *second = NULL;
	struct err err;

	(void)state;
	/* not everybody may write logins */
	open_source(SOURCE_SOCKET);
	assert_int_equal(mode_of(path), 0660);
	/* a second reader would take half of the lines */
	assert_int_equal(source_open(&cfg, &options, &second, &err), -1);
	assert_contains(err.text, "another process reads there");
	assert_contains(err.text, path);
	source_close(&source);
	assert_int_equal(access(path, F_OK), -1);
	/* the one of a process that is gone */
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	(void)close(fd);
	open_source(SOURCE_SOCKET);
	source_close(&source);
	/* an admin's file isn't removed */
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	(void)close(fd);
	assert_int_equal(source_open(&cfg, &options, &second, &err), -1);
	assert_contains(err.text, "no socket");
	assert_int_equal(access(path, F_OK), 0);
	(void)unlink(path);
}

/* --- the socket where servers tell logins --- */

static void
a_login_is_told(void **state)
{
	const struct login_datagram in = { .user = "alice",
		.client = "192.0.2.1",
		.service = "imap",
		.server = "dovecot" };
	char buf[LOGIN_DATAGRAM_MAX], answer[LOGIN_DATAGRAM_ANSWER_MAX];
	size_t len = login_datagram_format(&in, buf);

	(void)state;
	open_source(SOURCE_LOGIN);
	assert_int_equal(mode_of(path), 0666);
	int fd = writer();

	assert_int_equal(send(fd, buf, len, 0), len);
	assert_int_equal(read_all(100000, 0, "login"), SOURCE_END);
	assert_int_equal(got.lines, 1);
	assert_true(got.good);
	assert_string_equal(got.user, "alice");
	/* by the kernel's word, not the sender's */
	assert_int_equal(got.uid, getuid());
	assert_int_equal(got.pid, getpid());
	assert_contains(got.text, "user=<alice>, client=192.0.2.1");
	ssize_t n = recv(fd, answer, sizeof(answer), MSG_DONTWAIT);

	assert_int_equal(n, 5);
	assert_memory_equal(answer, "login", 5);
	(void)close(fd);
}

static void
what_is_no_login(void **state)
{
	static char big[LOGIN_DATAGRAM_MAX + 50];
	static const struct {
		const char *text;
		size_t len;
	} rows[] = {
		{ "", 0 },
		{ "x", 1 },
		{ "popgate-login-1", 15 },
		{ "popgate-login-2\0a\0001.2.3.4\0imap\0x", 33 },
		{ big, sizeof(big) },
	};

	(void)state;
	memset(big, 'x', sizeof(big));
	open_source(SOURCE_LOGIN);
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("row %zu", i);
		say(rows[i].text, rows[i].len);
		assert_int_equal(read_all(100000, 0, "foreign"), SOURCE_END);
		assert_int_equal(got.lines, 1);
		assert_false(got.good);
		assert_int_equal(got.uid, getuid());
		assert_contains(got.text, "no message of ours");
	}
}

/* --- standard input --- */

static void
standard_input(void **state)
{
	int in = dup(STDIN_FILENO), ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
	(void)close(ends[0]);
	path[0] = '\0';
	open_source(SOURCE_STDIN);
	assert_int_equal(write(ends[1], "one\ntwo\nthr", 11), 11);
	assert_int_equal(read_all(100000, 0, NULL), SOURCE_END);
	assert_int_equal(got.lines, 2);
	assert_string_equal(got.text, "two");
	assert_int_equal(write(ends[1], "ee\n", 3), 3);
	assert_int_equal(read_all(100000, 0, NULL), SOURCE_END);
	assert_int_equal(got.lines, 1);
	assert_string_equal(got.text, "three");
	(void)close(ends[1]);
	assert_int_equal(read_all(100000, 0, NULL), SOURCE_CLOSED);
	assert_int_equal(got.lines, 0);
	source_close(&source);
	(void)dup2(in, STDIN_FILENO);
	(void)close(in);
}

static int
set_up(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "%s", unit_dir());
	(void)snprintf(path, sizeof(path), "%s/socket", dir);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	source_close(&source);
	return unit_remove(dir);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_datagram_is_a_line),
		TEST(reading_stops_early),
		TEST(what_is_at_the_path),
		TEST(a_login_is_told),
		TEST(what_is_no_login),
		TEST(standard_input),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
