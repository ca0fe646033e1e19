/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include "common/records/login_datagram.h"

static void
there_and_back(void **state)
{
	const struct login_datagram in = { .user = "a b>, client=6.6.6.6",
		.client = "2001:db8::1",
		.service = "imap",
		.server = "dovecot" };
	char buf[LOGIN_DATAGRAM_MAX];
	struct login_datagram out;

	(void)state;
	size_t len = login_datagram_format(&in, buf);

	assert_int_not_equal(len, 0);
	assert_true(login_datagram_parse(buf, len, &out));
	assert_string_equal(out.user, in.user);
	assert_string_equal(out.client, in.client);
	assert_string_equal(out.service, in.service);
	assert_string_equal(out.server, in.server);
	/* cut anywhere, it is none */
	for (size_t n = 0; n < len; n++)
		assert_false(login_datagram_parse(buf, n, &out));
}

static void
others_are_refused(void **state)
{
#define SIZED(s)                 \
	{                        \
		s, sizeof(s) - 1 \
	}
	static const struct {
		const char *text;
		size_t len;
	} rows[] = { SIZED(""), SIZED("\0"), SIZED("\0\0\0\0\0"),
		SIZED("popgate-login-1\0u\0c\0s\0x"),
		SIZED("popgate-login-1\0u\0c\0s\0x\0y\0"),
		SIZED("popgate-login-1\0u\0c\0s\0x\0\0"),
		SIZED("popgate-login-1\0u\0c\0s\0"),
		SIZED("popgate-login-2\0u\0c\0s\0x\0"),
		SIZED("<22>popgate-login-1\0u\0c\0s\0x\0"),
		SIZED("<22>Mar  3 08:00:00 mx dovecot: imap-login: Login: x") };
	char big[LOGIN_DATAGRAM_MAX + 100];
	struct login_datagram out;

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%zu, '%s'", i, rows[i].text);
		assert_false(
		    login_datagram_parse(rows[i].text, rows[i].len, &out));
	}
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	const struct login_datagram in = {
		.user = big, .client = "", .service = "", .server = ""
	};
	char buf[LOGIN_DATAGRAM_MAX];

	assert_int_equal(login_datagram_format(&in, buf), 0);
	assert_false(login_datagram_parse(big, sizeof(big), &out));
}

/* A datagram may be as long as it may be, and not a byte longer. */
static void
longest(void **state)
{
	static char user[LOGIN_DATAGRAM_MAX + 1], buf[2 * LOGIN_DATAGRAM_MAX];
	const struct login_datagram in = { .user = user,
		.client = "192.0.2.1",
		.service = "imap",
		.server = "dovecot" };
	struct login_datagram out;

	(void)state;
	size_t rest = login_datagram_format(&in, buf);

	memset(user, 'u', LOGIN_DATAGRAM_MAX - rest);
	assert_int_equal(login_datagram_format(&in, buf), LOGIN_DATAGRAM_MAX);
	assert_true(login_datagram_parse(buf, LOGIN_DATAGRAM_MAX, &out));
	assert_string_equal(out.user, user);
	assert_string_equal(out.server, "dovecot");
	/* the same with one letter more */
	(void)strcpy(buf + LOGIN_DATAGRAM_MAX - 1, "s");
	assert_false(login_datagram_parse(buf, LOGIN_DATAGRAM_MAX + 1, &out));
	user[LOGIN_DATAGRAM_MAX - rest] = 'u';
	assert_int_equal(login_datagram_format(&in, buf), 0);
}

static void
words(void **state)
{
	(void)state;
	assert_true(login_datagram_service_good(""));
	assert_true(login_datagram_service_good("pop3"));
	assert_false(login_datagram_service_good("submission"));
	assert_true(login_datagram_server_good("dovecot-2.3_x"));
	assert_false(login_datagram_server_good(""));
	assert_false(login_datagram_server_good("a b"));
	assert_false(login_datagram_server_good("popgatectl"));
	assert_false(login_datagram_server_good("a\x1b"));
	assert_true(
	    login_datagram_server_good("1234567890123456789012345678901"));
	assert_false(
	    login_datagram_server_good("12345678901234567890123456789012"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(there_and_back),
		cmocka_unit_test(others_are_refused), cmocka_unit_test(longest),
		cmocka_unit_test(words) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
