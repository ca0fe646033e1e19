/* SPDX-License-Identifier: ISC */
/* An SMTP server's replies: whole, in pieces, hostile; and what they say. */
#include "tests/unit/unit.h"

#include "ctl/smtp/smtp_reply.h"

struct row {
	const char *name, *in;
	enum smtp_result want;
	int want_code;
	const char *want_status, *want_text;
	const char *want_rest; /* left in the stream */
};

static const struct row rows[] = {
	{ "one line", "250 2.1.5 Ok\r\n", SMTP_REPLY, 250, "2.1.5", "2.1.5 Ok",
	    "" },
	{ "no text", "250\r\n", SMTP_REPLY, 250, "", "", "" },
	{ "code and a space", "354 \r\n", SMTP_REPLY, 354, "", "", "" },
	{ "many lines", "250-mail\r\n250-SIZE 1\r\n250 OK\r\n", SMTP_REPLY, 250,
	    "", "mail SIZE 1 OK", "" },
	{ "status in each line", "550-5.7.1 no\r\n550 5.7.1 never\r\n",
	    SMTP_REPLY, 550, "5.7.1", "5.7.1 no never", "" },
	{ "a bare newline ends a line too", "220 hi\n", SMTP_REPLY, 220, "",
	    "hi", "" },
	{ "what follows stays", "250 a\r\n421 b\r\n", SMTP_REPLY, 250, "", "a",
	    "421 b\r\n" },
	{ "not whole", "250-a\r\n250", SMTP_MORE, 250, "", "a", "" },
	{ "nothing", "", SMTP_MORE, 0, "", "", "" },
	{ "empty line", "\r\n", SMTP_BAD, 0, "", "", "" },
	{ "no code", "hello\r\n", SMTP_BAD, 0, "", "", "" },
	{ "code 1xx", "150 x\r\n", SMTP_BAD, 0, "", "", "" },
	{ "code 6xx", "600 x\r\n", SMTP_BAD, 0, "", "", "" },
	{ "four digits", "2500 x\r\n", SMTP_BAD, 0, "", "", "" },
	{ "another code in the middle", "250-a\r\n550 b\r\n", SMTP_BAD, 250, "",
	    "a", "" },
	{ "a status of another class is text", "250 5.7.1 x\r\n", SMTP_REPLY,
	    250, "", "5.7.1 x", "" },
	{ "a status must end", "550 5.7.1x\r\n", SMTP_REPLY, 550, "", "5.7.1x",
	    "" },
	{ "a status without text", "550 5.7.1\r\n", SMTP_REPLY, 550, "5.7.1",
	    "5.7.1", "" },
	{ "http", "HTTP/1.0 400 Bad\r\n", SMTP_BAD, 0, "", "", "" },
};

static void
check(const struct row *row, size_t step)
{
	static struct smtp_parser p;
	size_t len = strlen(row->in), at = 0;
	enum smtp_result got = SMTP_MORE;

	smtp_parser_begin(&p);
	while (at < len && got == SMTP_MORE) {
		size_t used, n = len - at < step ? len - at : step;

		got = smtp_parser_feed(&p, row->in + at, n, &used);
		at += used;
		assert_true(used <= n);
	}
	if (got != row->want)
		fail_msg("%s: got %d", row->name, (int)got);
	if (got != SMTP_REPLY)
		return;
	assert_int_equal(p.reply.code, row->want_code);
	assert_string_equal(p.reply.status, row->want_status);
	assert_string_equal(p.reply.text, row->want_text);
	assert_string_equal(row->in + at, row->want_rest);
}

static void
replies(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++)
		for (size_t step = 1; step < 40; step += 7)
			check(&rows[i], step);
}

static void
nul_and_controls(void **state)
{
	static const char in[] = "550 a\0b\033[31m\r\n";
	static struct smtp_parser p;
	size_t used;

	(void)state;
	smtp_parser_begin(&p);
	assert_int_equal(
	    smtp_parser_feed(&p, in, sizeof(in) - 1, &used), SMTP_REPLY);
	assert_string_equal(p.reply.text, "a?b\033[31m");
}

static void
endless(void **state)
{
	static struct smtp_parser p;
	static char line[SMTP_LINE_MAX + 1];
	size_t used;
	int n = 0;

	(void)state;
	/* one line without an end */
	memset(line, 'x', sizeof(line));
	memcpy(line, "250 ", 4);
	smtp_parser_begin(&p);
	assert_int_equal(
	    smtp_parser_feed(&p, line, sizeof(line), &used), SMTP_BAD);
	/* the same, in two pieces that just fill it */
	smtp_parser_begin(&p);
	assert_int_equal(
	    smtp_parser_feed(&p, line, SMTP_LINE_MAX, &used), SMTP_MORE);
	assert_int_equal(smtp_parser_feed(&p, "x", 1, &used), SMTP_BAD);
	/* lines without an end */
	smtp_parser_begin(&p);
	while (smtp_parser_feed(&p, "250-more\r\n", 10, &used) == SMTP_MORE)
		n++;
	assert_int_equal(n, SMTP_LINES_MAX);
	/* long text is cut, the reply stands */
	memset(line, 'y', 2000);
	memcpy(line, "250-", 4);
	memcpy(line + 2000, "\r\n250 z\r\n", 9);
	smtp_parser_begin(&p);
	assert_int_equal(smtp_parser_feed(&p, line, 2009, &used), SMTP_REPLY);
	assert_int_equal(strlen(p.reply.text), SMTP_TEXT_MAX - 1);
	assert_int_equal(used, 2009);
}

static void
verdicts(void **state)
{
	static const struct {
		const char *in;
		enum smtp_verdict want;
		bool unknown;
	} v[] = {
		{ "250 2.1.5 Ok", SMTP_ACCEPTED, false },
		{ "251 user not local; will forward", SMTP_ACCEPTED, false },
		{ "554 5.7.1 <x@y>: Relay access denied", SMTP_REFUSED, false },
		{ "550 5.7.1 <x@y>... Relaying denied", SMTP_REFUSED, false },
		{ "550 5.1.1 <x@y>: Recipient address rejected: User unknown",
		    SMTP_REFUSED, true },
		{ "550 No such user here", SMTP_REFUSED, true },
		{ "501 5.1.3 Bad recipient address syntax", SMTP_REFUSED,
		    false },
		{ "553 5.1.8 <a@b>... Domain of sender address a@b does not "
		  "exist",
		    SMTP_REFUSED_SENDER, false },
		{ "550 5.7.27 <a@b>: Sender address rejected: Domain does not "
		  "accept mail (nullMX)",
		    SMTP_REFUSED_SENDER, false },
		{ "550 5.1.10 recipient domain does not accept mail",
		    SMTP_REFUSED_DOMAIN, false },
		{ "450 4.1.2 Domain not found", SMTP_PUT_OFF, false },
		{ "550 5.1.2 Domain not found", SMTP_REFUSED_DOMAIN, false },
		{ "451 4.3.0 later", SMTP_PUT_OFF, false },
		{ "354 go on", SMTP_ODD, false },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(v); i++) {
		ROW("%s", v[i].in);
		static struct smtp_parser p;
		char line[200];
		size_t used;
		int n = snprintf(line, sizeof(line), "%s\r\n", v[i].in);

		smtp_parser_begin(&p);
		assert_int_equal(
		    smtp_parser_feed(&p, line, (size_t)n, &used), SMTP_REPLY);
		assert_int_equal(smtp_verdict(&p.reply), v[i].want);
		assert_int_equal(smtp_user_unknown(&p.reply), v[i].unknown);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replies),
		cmocka_unit_test(nul_and_controls),
		cmocka_unit_test(endless),
		cmocka_unit_test(verdicts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
