/* SPDX-License-Identifier: ISC */
/* sockets as main.cf names them */
#include "tests/unit/unit.h"

#include "common/mta/postfix_endpoint.h"

static void
endpoints(void **state)
{
	static const struct {
		const char *word;
		bool map, want;
		const char *want_path, *want_host;
		unsigned want_port;
	} rows[] = {
		{ "unix:/run/popgate/m", false, true, "/run/popgate/m", "", 0 },
		{ "local:/run/x", false, true, "/run/x", "", 0 },
		{ "unix:private/policy", false, true, "private/policy", "", 0 },
		{ "/run/x", false, true, "/run/x", "", 0 },
		{ "{ unix:/run/x, timeout=5s }", false, true, "/run/x", "", 0 },
		{ "{unix:/run/x}", false, true, "/run/x", "", 0 },
		{ "{\tinet:127.0.0.1:1, { default_action = x } }", false, true,
		    "", "127.0.0.1", 1 },
		{ "inet:[::1]:10030", false, true, "", "::1", 10030 },
		{ "inet:localhost:http", false, true, "", "localhost", 0 },
		{ "inet:localhost:99999", false, true, "", "localhost", 0 },
		{ "inet:localhost", false, false, "", "", 0 },
		{ "unix:", false, false, "", "", 0 },
		{ "{}", false, false, "", "", 0 },
		{ "", false, false, "", "", 0 },
		{ "hash:/etc/x", false, false, "", "", 0 },
		{ "socketmap:unix:/run/s:popgate", true, true, "/run/s", "",
		    0 },
		{ "proxy:socketmap:unix:s:popgate", true, true, "s", "", 0 },
		{ "socketmap:inet:h:7:popgate", true, true, "", "h", 7 },
		{ "socketmap:unix", true, false, "", "", 0 },
		{ "hash:/etc/x", true, false, "", "", 0 },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct postfix_endpoint e = { 0 };

		ROW("%s", rows[i].word);
		bool got = rows[i].map
		    ? postfix_endpoint_map(rows[i].word, &e)
		    : postfix_endpoint_parse(rows[i].word, &e);

		assert_int_equal(got, rows[i].want);
		if (!got || !rows[i].want)
			continue;
		assert_string_equal(e.path, rows[i].want_path);
		assert_string_equal(e.host, rows[i].want_host);
		assert_int_equal(e.port, rows[i].want_port);
	}
}

static void
too_long(void **state)
{
	struct postfix_endpoint e;
	char word[1000];

	(void)state;
	memset(word, 'x', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	memcpy(word, "unix:/", 6);
	assert_false(postfix_endpoint_parse(word, &e));
	memcpy(word, "inet:h", 6);
	word[900] = ':';
	assert_false(postfix_endpoint_parse(word, &e));
	memcpy(word, "socketmap:unix:/", 16);
	assert_false(postfix_endpoint_map(word, &e));
}

/* A service that others reach must not pass for one of this machine alone: the
 * doctor wouldn't look at it. */
static void
loopback(void **state)
{
	static const struct {
		const char *text;
		bool want;
	} rows[] = {
		{ "127.0.0.1:10025", true },
		{ "127.1.2.3:smtp", true },
		{ "[127.0.0.1]:25", true },
		{ "[::1]:smtp", true },
		{ "[::1]", true },
		{ "::1", true },
		{ "localhost:10026", true },
		{ "LocalHost:10026", true },
		{ "localhost.localdomain:10026", true },
		{ "ip6-localhost:25", true },
		{ "loopback-only", true },
		{ "localhost", true },
		{ "localhost.example.com:25", false },
		{ "localhost-25.example.com", false },
		{ "127.example.com:25", false },
		{ "127.0.0.1.example.com:25", false },
		{ "[::1:2:3:4]:25", false },
		{ "::1:2:3:4", false },
		{ "[2001:db8::1]:25", false },
		{ "192.0.2.1:25", false },
		{ "0.0.0.0:25", false },
		{ "[::]:25", false },
		{ "$myhostname:25", false },
		{ "all", false },
		{ ":25", false },
		{ "", false },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i].text);
		assert_int_equal(
		    postfix_endpoint_is_loopback(rows[i].text), rows[i].want);
	}
}

static void
seen(void **state)
{
	static const struct {
		bool chroot;
		const char *path, *want;
	} rows[] = {
		{ false, "/run/popgate/m", "/run/popgate/m" },
		{ true, "/run/popgate/m", "/var/spool/postfix/run/popgate/m" },
		{ false, "private/m", "/var/spool/postfix/private/m" },
		{ true, "private/m", "/var/spool/postfix/private/m" },
		{ false, "/run//popgate/./m/", "/run/popgate/m" },
		{ false, "/", "/" },
		/* ".." may follow a symbolic link */
		{ true, "../m", "/var/spool/postfix/../m" },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		char got[POSTFIX_PATH_MAX];

		ROW("%s", rows[i].path);
		postfix_endpoint_seen(
		    "/var/spool/postfix", rows[i].chroot, rows[i].path, got);
		assert_string_equal(got, rows[i].want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(endpoints),
		cmocka_unit_test(too_long),
		cmocka_unit_test(loopback),
		cmocka_unit_test(seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
