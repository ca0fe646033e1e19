/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "common/base/err.h"
#include "common/base/listen.h"

static void
parse(void **state)
{
	static const struct {
		const char *text;
		const char *want; /* for libmilter; NULL: refused */
		bool want_local;
	} rows[] = {
		{ "unix:/run/a.sock", "unix:/run/a.sock", true },
		{ "inet:127.0.0.1:99", "inet:99@127.0.0.1", true },
		{ "inet:99@127.0.0.1", "inet:99@127.0.0.1", true },
		{ "inet:localhost:99", "inet:99@localhost", true },
		{ "inet:192.0.2.1:99", "inet:99@192.0.2.1", false },
		{ "inet6:99@::1", "inet6:99@::1", true },
		{ "inet:127.0.0.1:65535", "inet:65535@127.0.0.1", true },
		{ "inet:127.0.0.1:65536", NULL, false },
		{ "inet:127.0.0.1:0", NULL, false },
		{ "inet:127.0.0.1:x", NULL, false },
		{ "inet:127.0.0.1:", NULL, false },
		{ "inet:99", NULL, false },
		{ "inet:@127.0.0.1", NULL, false },
		{ "unix:relative", NULL, false },
		{ "unix:", NULL, false },
		{ "/run/a.sock", NULL, false },
		{ "tcp:127.0.0.1:99", NULL, false },
		{ "", NULL, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct listen_spec spec;
		struct err err = { .code = ERR_NONE };
		char got[400] = "";
		bool good = listen_parse(rows[i].text, &spec, &err) == 0;

		if (good)
			listen_for_libmilter(&spec, got);
		if (good != (rows[i].want != NULL) ||
		    (good &&
			(strcmp(got, rows[i].want) != 0 ||
			    listen_is_local(&spec) != rows[i].want_local)))
			fail_msg("'%s': got '%s'", rows[i].text, got);
		if (!good)
			assert_int_equal(err.code, ERR_INVALID);
	}
}

static void
path_length(void **state)
{
	char text[5 + LISTEN_PATH_MAX + 1] = "unix:/";
	struct listen_spec spec;
	struct err err;

	(void)state;
	memset(text + 6, 'a', LISTEN_PATH_MAX - 2);
	assert_int_equal(listen_parse(text, &spec, &err), 0);
	text[5 + LISTEN_PATH_MAX - 1] = 'a';
	assert_int_equal(listen_parse(text, &spec, &err), -1);
}

/* A socket that somebody listens at stays; a dead one goes; a file that is no
 * socket stays. */
static void
unix_socket(void **state)
{
	char text[128], peer[LISTEN_PEER_MAX];
	const char *dir = unit_dir();
	struct listen_spec spec;
	struct stat st;
	struct err err;

	(void)state;
	(void)snprintf(text, sizeof(text), "unix:%s/s", dir);
	assert_int_equal(listen_parse(text, &spec, &err), 0);
	assert_int_equal(listen_connect(&spec), -1);
	assert_int_equal(errno, ENOENT);
	int fd = listen_open(&spec, 0660, (gid_t)-1, &err);

	assert_int_not_equal(fd, -1);
	assert_int_equal(stat(spec.path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	assert_int_not_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	assert_int_not_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
	assert_int_equal(listen_find(&spec), fd);
	int client = listen_connect(&spec);

	assert_int_not_equal(client, -1);
	assert_int_equal(strncmp(listen_peer(client, peer), "pid ", 4), 0);
	(void)close(client);
	assert_int_equal(listen_prepare(&spec, &err), -1);
	assert_int_equal(err.code, ERR_IO);
	assert_int_equal(access(spec.path, F_OK), 0);
	(void)close(fd);
	assert_int_equal(listen_prepare(&spec, &err), 0);
	assert_int_equal(access(spec.path, F_OK), -1);
	fd = open(spec.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_int_not_equal(fd, -1);
	(void)close(fd);
	assert_int_equal(listen_prepare(&spec, &err), -1);
	assert_int_equal(access(spec.path, F_OK), 0);
	(void)unlink(spec.path);
	(void)rmdir(dir);
}

/* The milter's nudge, and popgatectl, connect to either kind. */
static void
inet_socket(void **state)
{
	struct listen_spec spec;
	struct err err;
	int fd = -1;

	(void)state;
	assert_int_equal(listen_parse("inet:127.0.0.1:9", &spec, &err), 0);
	for (uint16_t port = 20000; port < 20100 && fd == -1; port++) {
		spec.port = port;
		fd = listen_open(&spec, 0600, (gid_t)-1, &err);
	}
	assert_int_not_equal(fd, -1);
	int client = listen_connect(&spec);

	assert_int_not_equal(client, -1);
	(void)close(client);
	client = listen_poke(&spec);
	assert_int_not_equal(client, -1);
	(void)close(client);
	(void)close(fd);
	assert_int_equal(listen_connect(&spec), -1);
	assert_int_equal(errno, ECONNREFUSED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse),
		cmocka_unit_test(path_length),
		cmocka_unit_test(unix_socket),
		cmocka_unit_test(inet_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
