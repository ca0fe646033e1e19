/* SPDX-License-Identifier: ISC */
/* The sockets' files: removed, replaced by another program's, in the way. The
 * daemon makes them again where it can; where it can't, it says so, and health
 * is critical. */
#include "tests/daemon/lab.h"

#include <signal.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

static const struct row {
	const char *key, *file;
} rows[] = { { "milter.listen", "milter.sock" },
	{ "permit.policy", "policy.sock" }, { "permit.socketmap", "map.sock" },
	{ "milter.status", "status.sock" },
	{ "metrics.milter", "metrics.sock" } };

enum { ROWS = sizeof(rows) / sizeof(*rows) };

static bool
is_socket(const char *name)
{
	struct stat st;

	return lstat(path(name), &st) == 0 && S_ISSOCK(st.st_mode);
}

/* Between bind(2) and listen(2) the file is there, and nobody can connect. */
static bool
is_listening(const char *name)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_not_equal(fd, -1);
	(void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path(name));
	bool taken =
	    connect(fd, (const struct sockaddr *)&sun, sizeof(sun)) == 0;

	(void)close(fd);
	return taken;
}

/* Does each do what it is for? A waiting connection is enough to say that the
 * milter's is taken from: its first answer comes. */
static void
assert_serves(const char *file)
{
	static const char request[] =
	    "request=smtpd_access_policy\nprotocol_state=RCPT\n"
	    "client_address=203.0.113.6\nrecipient=x@remote.test\n\n";
	static char text[65536];

	if (strcmp(file, "milter.sock") == 0) {
		struct mclient *mc = mta("203.0.113.99");

		mail(mc, "<s@y.test>");
		assert_reply(rcpt(mc, REMOTE, "smtp"), "550 5.7.1 ");
		mclient_close(&mc);
	} else if (strcmp(file, "policy.sock") == 0) {
		ask(file, request, sizeof(request) - 1, text, sizeof(text));
		assert_reply(text, "action=550 ");
	} else if (strcmp(file, "map.sock") == 0) {
		ask(file, "19:popgate 203.0.113.7,", 23, text, sizeof(text));
		if (strstr(text, ":OK 550 5.7.1 ") == NULL)
			fail_msg("map: %s", text);
	} else {
		assert_non_null(
		    strstr(http_get(file,
			       strcmp(file, "status.sock") == 0 ? "/health"
								: "/metrics",
			       text, sizeof(text)),
			" 200 OK"));
	}
}

/* popgatectl health: its exit status, and its line in text. */
static int
health(char *text, size_t size)
{
	const char *build = getenv("POPGATE_BUILD");
	char command[400];

	(void)snprintf(command, sizeof(command),
	    "%s/popgatectl -c '%s' health 2>&1",
	    build == NULL ? "build" : build, path("popgate.conf"));
	FILE *in = popen(command, "r"); /* NOLINT: the test's own words */

	assert_non_null(in);
	size_t n = fread(text, 1, size - 1, in);

	text[n] = '\0';
	return WEXITSTATUS(pclose(in));
}

/* Removed by a cleaner, again and again; a session that is open goes on. */
static void
removed(void **state)
{
	struct mclient *open;
	struct stat was, is;
	char want[300];

	(void)state;
	open = mta("203.0.113.99");
	for (int i = 0; i < 2 * ROWS; i++) {
		const struct row *r = &rows[i % ROWS];

		assert_int_equal(stat(path(r->file), &was), 0);
		assert_int_equal(unlink(path(r->file)), 0);
		wait_until(is_listening(r->file));
		(void)snprintf(want, sizeof(want),
		    "%s: %s was removed or replaced: made again", r->key,
		    path(r->file));
		wait_logged(want, i / ROWS + 1);
		assert_serves(r->file);
		assert_int_equal(stat(path(r->file), &is), 0);
		assert_int_equal(is.st_mode, was.st_mode);
		assert_int_equal(is.st_gid, was.st_gid);
	}
	mail(open, "<s@y.test>");
	assert_reply(rcpt(open, REMOTE, "smtp"), "550 5.7.1 ");
	mclient_close(&open);
}

/* All at once, while each is in use. */
static void
all_removed(void **state)
{
	(void)state;
	for (int i = 0; i < ROWS; i++)
		assert_int_equal(unlink(path(rows[i].file)), 0);
	for (int i = 0; i < ROWS; i++) {
		wait_until(is_listening(rows[i].file));
		assert_serves(rows[i].file);
	}
	assert_int_equal(health_number("sockets_good"), 1);
	assert_int_equal(stop_daemon(SIGTERM), 0);
	for (int i = 0; i < ROWS; i++)
		assert_false(is_socket(rows[i].file));
	start_daemon();
}

static int
listen_at(const char *name)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path(name));
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(listen(fd, 0), 0);
	return fd;
}

/* In its place: a file, or the socket of another program that lives, and whose
 * backlog is full. Neither is touched. When it has gone, ours comes back. */
static void
replaced(void **state)
{
	static char text[4000];
	char other[100], want[300];

	(void)state;
	(void)snprintf(other, sizeof(other), "%s", path("other.sock"));
	for (int i = 0; i < 2 * ROWS; i++) {
		const struct row *r = &rows[i % ROWS];
		bool file = i < ROWS;
		int fd = -1;

		/* rename() leaves no moment without one */
		if (file)
			(void)fclose(fopen(other, "w"));
		else
			fd = listen_at("other.sock");
		assert_int_equal(rename(other, path(r->file)), 0);
		(void)snprintf(want, sizeof(want),
		    "%s: %s was removed or replaced, nobody can connect, and "
		    "it can't be made again: %s: %s",
		    r->key, path(r->file), path(r->file),
		    file ? "exists and is no socket"
			 : "another process listens there");
		wait_until(logged(want) > 0);
		assert_int_equal(is_socket(r->file), !file);
		if (strcmp(r->key, "milter.status") != 0) {
			assert_int_equal(health_number("sockets_good"), 0);
			/* the collector isn't there either: 2 says no more */
			assert_int_equal(health(text, sizeof(text)), 2);
			(void)snprintf(want, sizeof(want),
			    "popgate-milter's sockets: %s: %s is gone", r->key,
			    path(r->file));
			if (strstr(text, want) == NULL)
				fail_msg("no '%s' in '%s'", want, text);
		} else {
			assert_int_equal(health(text, sizeof(text)), 2);
			assert_non_null(strstr(text, "popgate-milter: unix:"));
		}
		assert_int_equal(unlink(path(r->file)), 0);
		(void)close(fd);
		wait_until(is_listening(r->file));
		assert_serves(r->file);
		wait_until(health_number("sockets_good") == 1);
	}
}

/* At its end the daemon leaves what isn't its own. */
static void
left_alone(void **state)
{
	int fd[ROWS];

	(void)state;
	for (int i = 0; i < ROWS; i++) {
		fd[i] = listen_at("other.sock");
		assert_int_equal(
		    rename(path("other.sock"), path(rows[i].file)), 0);
	}
	assert_int_equal(stop_daemon(SIGTERM), 0);
	for (int i = 0; i < ROWS; i++) {
		assert_true(is_socket(rows[i].file));
		assert_int_equal(unlink(path(rows[i].file)), 0);
		(void)close(fd[i]);
	}
	start_daemon();
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = { TEST(removed), TEST(all_removed),
		TEST(replaced), TEST(left_alone) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
