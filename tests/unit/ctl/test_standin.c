/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include "ctl/stage/standin.h"

#define OPTNEG "\0\0\0\15O\0\0\0\6\0\0\1\377\0\37\377\377"
#define ANSWER "\0\0\0\15O\0\0\0\6\0\0\0\0\0\0\0\0"
#define GO_ON "\0\0\0\1c"
#define TEXT(text) (text), sizeof(text) - 1

static const struct row {
	const char *name;
	enum standin_kind kind;
	const char *in;
	size_t in_len;
	const char *want;
	size_t want_len;
	bool want_open;
} rows[] = {
	{ "a policy service has no opinion", STANDIN_POLICY,
	    TEXT("request=smtpd_access_policy\nsender=a@b\n\n"),
	    TEXT("action=DUNNO\n\n"), true },
	{ "each request is answered", STANDIN_POLICY, TEXT("a=b\n\nc=d\n\n"),
	    TEXT("action=DUNNO\n\naction=DUNNO\n\n"), true },
	{ "half a request isn't", STANDIN_POLICY, TEXT("a=b\n"), TEXT(""),
	    true },
	{ "a milter wants every step", STANDIN_MILTER, TEXT(OPTNEG),
	    TEXT(ANSWER), true },
	{ "and continues; macros and an abort get no answer", STANDIN_MILTER,
	    TEXT(OPTNEG "\0\0\0\4DCj\0"
			"\0\0\0\3Ca\0"
			"\0\0\0\1A"
			"\0\0\0\5R<a>\0"),
	    TEXT(ANSWER GO_ON GO_ON), true },
	{ "it ends when told to", STANDIN_MILTER, TEXT("\0\0\0\1Q"), TEXT(""),
	    false },
	{ "a packet without a command", STANDIN_MILTER, TEXT("\0\0\0\0C"),
	    TEXT(""), false },
	{ "a packet that is too long", STANDIN_MILTER, TEXT("\177\0\0\0C"),
	    TEXT(""), false },
	{ "a table has no entry", STANDIN_SOCKETMAP, TEXT("12:virtual a@b,"),
	    TEXT("9:NOTFOUND ,"), true },
	{ "what isn't a netstring", STANDIN_SOCKETMAP, TEXT("hello"), TEXT(""),
	    false },
	{ "the password of the stage", STANDIN_AUTH,
	    /* "\0joe\0popgate-stage" */
	    TEXT("VERSION\t1\t1\nCPID\t1\nAUTH\t7\tPLAIN\tservice=smtp\t"
		 "resp=AGpvZQBwb3BnYXRlLXN0YWdl\n"),
	    TEXT("OK\t7\tuser=joe\n"), true },
	{ "another one", STANDIN_AUTH,
	    TEXT("AUTH\t8\tPLAIN\tservice=smtp\tresp=AGpvZQB3cm9uZw==\n"),
	    TEXT("FAIL\t8\tuser=joe\n"), true },
	{ "none", STANDIN_AUTH, TEXT("AUTH\t9\tPLAIN\tresp=\n"),
	    TEXT("FAIL\t9\n"), true },
	{ "a response of its own", STANDIN_AUTH,
	    TEXT("AUTH\t3\tPLAIN\tservice=smtp\n"
		 "CONT\t3\tAGpvZQBwb3BnYXRlLXN0YWdl\n"),
	    TEXT("CONT\t3\t\nOK\t3\tuser=joe\n"), true },
	{ "saslauthd", STANDIN_SASLAUTHD,
	    TEXT("\0\3joe\0\15popgate-stage\0\4smtp\0\0"), TEXT("\0\2OK"),
	    false },
	{ "saslauthd, a wrong password", STANDIN_SASLAUTHD,
	    TEXT("\0\3joe\0\5wrong\0\4smtp\0\0"), TEXT("\0\2NO"), false },
	{ "saslauthd, half a request", STANDIN_SASLAUTHD,
	    TEXT("\0\3joe\0\15popgate"), TEXT(""), true },
	{ "a proxy filter takes a message", STANDIN_SMTP,
	    TEXT("EHLO x\r\nDATA\r\nQUIT\r\n.\r\nQUIT\r\n"),
	    TEXT("250 2.0.0 Ok\r\n354 Go on\r\n250 2.0.0 Ok\r\n"
		 "221 2.0.0 Bye\r\n"),
	    false },
};

/* Feed step bytes at a time. */
static void
check(const struct row *row, size_t step)
{
	static struct standin s;
	char got[4 * STANDIN_OUT_MAX];
	size_t got_len = 0, at = 0;
	bool open = true;

	s = (struct standin){ .kind = row->kind };
	while (open && at < row->in_len) {
		size_t n = row->in_len - at < step ? row->in_len - at : step;
		size_t taken, out_len;

		do {
			open = standin_feed(&s, row->in + at, n, &taken,
			    got + got_len, &out_len);
			at += taken;
			n -= taken;
			got_len += out_len;
		} while (open && (n > 0 || out_len > 0));
	}
	assert_int_equal(open, row->want_open);
	assert_int_equal(got_len, row->want_len);
	assert_memory_equal(got, row->want, got_len);
}

static void
dialogues(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ROW("%s", rows[i].name);
		check(&rows[i], rows[i].in_len);
		check(&rows[i], 1);
	}
}

/* A request without an end is hung up on, not kept. */
static void
endless(void **state)
{
	static const enum standin_kind kinds[] = { STANDIN_POLICY, STANDIN_AUTH,
		STANDIN_SMTP };
	static struct standin s;
	char data[1000], out[STANDIN_OUT_MAX];

	(void)state;
	memset(data, 'x', sizeof(data));
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t sent = 0, taken, out_len;

		s = (struct standin){ .kind = kinds[i] };
		while (standin_feed(
		    &s, data, sizeof(data), &taken, out, &out_len)) {
			sent += taken;
			assert_true(sent <= STANDIN_IN_MAX);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dialogues),
		cmocka_unit_test(endless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
