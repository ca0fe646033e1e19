/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include "milter/protocol.h"

static enum protocol_result
parse(enum protocol_kind kind, const char *text, size_t len,
    struct protocol_request *req, size_t *used)
{
	static char buf[PROTOCOL_FRAME_MAX];
	const char *why;

	assert_true(len <= sizeof(buf));
	memcpy(buf, text, len);
	enum protocol_result r =
	    protocol_parse(kind, buf, len, req, used, &why);

	assert_true((r == PROTOCOL_BAD) == (why != NULL));
	return r;
}

static void
policy_request(void **state)
{
	static const char text[] =
	    "request=smtpd_access_policy\nprotocol_state=RCPT\n"
	    "client_address=2001:db8::5\nclient_name=unknown\nhelo_name=h\n"
	    "sender=\nrecipient=a=b@remote.test\nsasl_method=PLAIN\n"
	    "sasl_username=alice\nqueue_id=\ninstance=1a.2b\nnew_one=x\n"
	    "popgate_mta=Exim 4.96\npopgate_permitted=2\n"
	    "\nrequest=next";
	struct protocol_request req;
	size_t used;

	(void)state;
	/* every prefix is either "more" or the request, never anything else */
	for (size_t len = 0; len < sizeof(text) - 1 - 12; len++)
		assert_int_equal(parse(PROTOCOL_POLICY, text, len, &req, &used),
		    PROTOCOL_MORE);
	assert_int_equal(
	    parse(PROTOCOL_POLICY, text, sizeof(text) - 1, &req, &used),
	    PROTOCOL_REQUEST);
	assert_int_equal(used, sizeof(text) - 1 - 12);
	assert_string_equal(req.client, "2001:db8::5");
	assert_string_equal(req.sender, "");
	assert_string_equal(req.recipient, "a=b@remote.test");
	assert_string_equal(req.auth_type, "PLAIN");
	assert_string_equal(req.auth_user, "alice");
	assert_string_equal(req.session, "1a.2b");
	assert_string_equal(req.mta, "Exim 4.96");
	assert_string_equal(req.permitted, "2");
}

/* The wiring's policy_context. */
static void
policy_context(void **state)
{
	static const struct {
		const char *context;
		bool want_at_data;
		enum protocol_list want_list;
		bool want_later;
		bool want_again;
	} rows[] = {
		{ "asked-at-data/recipient/again", true, LIST_RECIPIENT, false,
		    true },
		{ "asked-at-data/relay/again", true, LIST_RELAY, false, true },
		{ "asked-at-data/relay/agai", true, LIST_UNKNOWN, false,
		    false },
		{ "asked-at-data/relay/again/", true, LIST_UNKNOWN, false,
		    false },
		{ "asked-at-data/again", true, LIST_UNKNOWN, false, false },
		{ "asked-later/helo/again", false, LIST_UNKNOWN, true, false },
		{ "relay/again", false, LIST_UNKNOWN, false, false },
		{ "asked-later/helo", false, LIST_HELO, true, false },
		{ "asked-later/recipient", false, LIST_RECIPIENT, true, false },
		{ "asked-later/relay", false, LIST_RELAY, false, false },
		{ "asked-later", false, LIST_UNKNOWN, false, false },
		{ "asked-later/hello", false, LIST_UNKNOWN, true, false },
		{ "asked-laterx/helo", false, LIST_UNKNOWN, false, false },
		{ "asked-at-data/asked-later/helo", true, LIST_UNKNOWN, false,
		    false },
		{ "", false, LIST_UNKNOWN, false, false },
		{ "asked-at-data", true, LIST_UNKNOWN, false, false },
		{ "asked-at-data/client", true, LIST_CLIENT, false, false },
		{ "asked-at-data/relay", true, LIST_RELAY, false, false },
		{ "asked-at-data/", true, LIST_UNKNOWN, false, false },
		{ "asked-at-data/clients", true, LIST_UNKNOWN, false, false },
		{ "asked-at-datum", false, LIST_UNKNOWN, false, false },
		{ "helo", false, LIST_HELO, false, false },
		{ "sender", false, LIST_SENDER, false, false },
		{ "recipient", false, LIST_RECIPIENT, false, false },
		{ "/recipient", false, LIST_UNKNOWN, false, false },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		char text[200];
		struct protocol_request req;
		size_t used;
		int n = snprintf(text, sizeof(text),
		    "request=smtpd_access_policy\npolicy_context=%s\n\n",
		    rows[i].context);

		ROW("%s", rows[i].context);
		assert_int_equal(
		    parse(PROTOCOL_POLICY, text, (size_t)n, &req, &used),
		    PROTOCOL_REQUEST);
		assert_int_equal(req.asked_at_data, rows[i].want_at_data);
		assert_int_equal(req.list, rows[i].want_list);
		assert_int_equal(req.asked_later, rows[i].want_later);
		assert_int_equal(req.asked_again, rows[i].want_again);
	}
}

static void
policy_bad(void **state)
{
	static const struct {
		const char *name, *text;
		size_t len;
	} rows[] = {
#define SIZED(name, text) { name, text, sizeof(text) - 1 }
		SIZED("empty request", "\n"),
		SIZED("no equals sign", "request=smtpd_access_policy\nx\n\n"),
		SIZED("another request", "request=other\nrecipient=a\n\n"),
		SIZED("no request", "recipient=a\n\n"),
		SIZED("client given twice",
		    "request=smtpd_access_policy\n"
		    "client_address=192.0.2.1\nclient_address=192.0.2.2\n\n"),
		SIZED("NUL", "request=smtpd_access_policy\nsender=a\0b\n\n"),
		SIZED("CRLF never ends", "GET / HTTP/1.0\r\nx\n\n"),
	};
	struct protocol_request req;
	size_t used;

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i].name);
		assert_int_equal(parse(PROTOCOL_POLICY, rows[i].text,
				     rows[i].len, &req, &used),
		    PROTOCOL_BAD);
	}
}

static void
socketmap_request(void **state)
{
	struct protocol_request req;
	size_t used;

	(void)state;
	static const char client[] = "20:popgate 203.0.113.77,5:x";

	assert_int_equal(
	    parse(PROTOCOL_SOCKETMAP, client, sizeof(client) - 1, &req, &used),
	    PROTOCOL_REQUEST);
	assert_int_equal(used, 24);
	assert_int_equal(req.map, PROTOCOL_MAP_CLIENT);
	assert_string_equal(req.client, "203.0.113.77");
	assert_false(req.has_recipient);

	/* before there is a recipient */
	assert_int_equal(
	    parse(PROTOCOL_SOCKETMAP,
		"36:sendmail_client ipv6:2001:db8:0:0:5:,", 40, &req, &used),
	    PROTOCOL_REQUEST);
	assert_int_equal(req.map, PROTOCOL_MAP_KNOWN);
	assert_string_equal(req.client, "ipv6:2001:db8:0:0:5:");

	/* as Sendmail 8.17 wrote them */
	static const char key[] =
	    "71:sendmail 203.0.113.5\"\n\"\"\n\"\"\n\""
	    "permit@Sender.test\"\n\"<User@remote.test>\"\n\",";

	assert_int_equal(
	    parse(PROTOCOL_SOCKETMAP, key, sizeof(key) - 1, &req, &used),
	    PROTOCOL_REQUEST);
	assert_int_equal(req.map, PROTOCOL_MAP_SENDMAIL);
	assert_string_equal(req.client, "203.0.113.5");
	assert_string_equal(req.auth_type, "");
	assert_string_equal(req.sender, "permit@Sender.test");
	assert_string_equal(req.recipient, "<User@remote.test>");
	for (size_t len = 0; len < sizeof(key) - 1; len++)
		assert_int_equal(
		    parse(PROTOCOL_SOCKETMAP, key, len, &req, &used),
		    PROTOCOL_MORE);

	static const char quoted[] =
	    "65:sendmail 203.0.113.5\"\n\"\"\n\"\""
	    "\n\"\"a b\"@s.test\"\n\"<user@remote.test>\"\n\",";

	assert_int_equal(
	    parse(PROTOCOL_SOCKETMAP, quoted, sizeof(quoted) - 1, &req, &used),
	    PROTOCOL_REQUEST);
	assert_string_equal(req.sender, "\"a b\"@s.test");
	assert_string_equal(req.recipient, "<user@remote.test>");
	assert_string_equal(req.verify, "");

	/* with a certificate */
	static const char cert[] =
	    "87:sendmail 203.0.113.5\"\n\"\"\n\"\"\n\""
	    "<a@s.test>\"\n\"u@r.test\"\n\"OK\"\n\"/CN=x+20y\"\n\"/CN=ca\"\n\""
	    "AA:BB\"\n\",";

	assert_int_equal(
	    parse(PROTOCOL_SOCKETMAP, cert, sizeof(cert) - 1, &req, &used),
	    PROTOCOL_REQUEST);
	assert_string_equal(req.recipient, "u@r.test");
	assert_string_equal(req.sender, "a@s.test");
	assert_string_equal(req.verify, "OK");
	assert_string_equal(req.cert_subject, "/CN=x+20y");
	assert_string_equal(req.cert_issuer, "/CN=ca");
	assert_string_equal(req.cert_digest, "AA:BB");
}

static void
socketmap_bad(void **state)
{
	static const struct {
		const char *name, *text;
		size_t len;
	} rows[] = {
		SIZED("no number", "popgate 1.2.3.4"),
		SIZED("negative", "-1:,"),
		SIZED("leading zero", "05:popg ,"),
		SIZED("too long", "99999:"),
		SIZED("over the frame", "8185:"),
		SIZED("no comma", "19:popgate 203.0.113.7;"),
		SIZED("no key", "7:popgate,"),
		SIZED("NUL", "12:popgate \0001.2,"),
		SIZED("another map", "10:other 1234,"),
		SIZED("cut key",
		    "38:sendmail 203.0.113.5\"\n\"\"\n\"\"\n\""
		    "abcd\"\n\"<u,"),
		SIZED("one field too many",
		    "41:sendmail 203.0.113.5\"\n\"\"\n"
		    "\"\"\n\"a\"\n\"b\"\n\"c\"\n\","),
		SIZED("bare line feed",
		    "34:sendmail 203.0.113.5\n\"\"\n\"\""
		    "\n\"a\"\n\"b\","),
	};
	struct protocol_request req;
	size_t used;

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i].name);
		assert_int_equal(parse(PROTOCOL_SOCKETMAP, rows[i].text,
				     rows[i].len, &req, &used),
		    PROTOCOL_BAD);
	}
}

static void
replies(void **state)
{
	struct protocol_request policy = { .kind = PROTOCOL_POLICY };
	struct protocol_request client = { .kind = PROTOCOL_SOCKETMAP,
		.map = PROTOCOL_MAP_CLIENT };
	struct protocol_request mail = { .kind = PROTOCOL_SOCKETMAP,
		.map = PROTOCOL_MAP_SENDMAIL };
	const struct {
		const struct protocol_request *req;
		enum protocol_answer answer;
		const char *text, *want;
	} rows[] = {
		{ &policy, ANSWER_PERMIT, "", "action=OK\n\n" },
		{ &policy, ANSWER_NONE, "", "action=DUNNO\n\n" },
		{ &policy, ANSWER_REFUSE, "no 5%",
		    "action=550 5.7.1 no 5%\n\n" },
		{ &client, ANSWER_PERMIT, "", "5:OK OK," },
		{ &client, ANSWER_NONE, "", "9:NOTFOUND ," },
		{ &client, ANSWER_REFUSE, "no", "15:OK 550 5.7.1 no," },
		{ &client, ANSWER_BAD, "", "22:PERM malformed request," },
		{ &mail, ANSWER_PERMIT, "", "11:OK <permit>," },
		{ &mail, ANSWER_REFUSE, "a \"b\" \\ 5% \x01",
		    "37:OK <refuse> \"550 5.7.1 a 'b' ' 5%% ?\"," },
	};
	char got[PROTOCOL_REPLY_MAX], text[600];

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("want %s", rows[i].want);
		size_t n = protocol_reply(rows[i].req, rows[i].answer, "550",
		    "5.7.1", rows[i].text, got);

		got[n] = '\0';
		assert_string_equal(got, rows[i].want);
	}
	/* the longest text still fits and is cut, not overrun */
	memset(text, '%', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_true(protocol_reply(
			&mail, ANSWER_REFUSE, "451", "4.3.0", text, got) < 260);
	assert_true(protocol_reply(&client, ANSWER_REFUSE, "451", "4.3.0", text,
			got) < PROTOCOL_REPLY_MAX);
	assert_true(protocol_reply(&policy, ANSWER_REFUSE, "451", "4.3.0", text,
			got) < PROTOCOL_REPLY_MAX);
}

/* A frame is as long as it may be, and not a byte longer; and a number of a
 * netstring is refused before its bytes come. */
static void
socketmap_longest(void **state)
{
	static char text[PROTOCOL_FRAME_MAX];
	struct protocol_request req;
	size_t used;

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text, "8184:popgate ", 13);
	text[5 + 8184] = ',';
	assert_int_equal(
	    parse(PROTOCOL_SOCKETMAP, text, 5 + 8184 + 1, &req, &used),
	    PROTOCOL_REQUEST);
	assert_int_equal(used, 5 + 8184 + 1);
	assert_int_equal(strlen(req.client), 8184 - 8);
	assert_int_equal(parse(PROTOCOL_SOCKETMAP, text, 5 + 8184, &req, &used),
	    PROTOCOL_MORE);
	assert_int_equal(
	    parse(PROTOCOL_SOCKETMAP, "8185:", 5, &req, &used), PROTOCOL_BAD);
	assert_int_equal(
	    parse(PROTOCOL_SOCKETMAP, "9999", 4, &req, &used), PROTOCOL_MORE);
	assert_int_equal(
	    parse(PROTOCOL_SOCKETMAP, "10000", 5, &req, &used), PROTOCOL_BAD);
	assert_int_equal(
	    parse(PROTOCOL_SOCKETMAP, "0:,", 3, &req, &used), PROTOCOL_BAD);
	assert_int_equal(
	    parse(PROTOCOL_SOCKETMAP, "9:popgate x,", 12, &req, &used),
	    PROTOCOL_REQUEST);
	assert_string_equal(req.client, "x");
}

/* Sendmail takes 200 bytes between quotes: what is shorter is whole, what is
 * longer is cut, and neither ends a string early. */
static void
sendmail_texts(void **state)
{
	const struct protocol_request mail = { .kind = PROTOCOL_SOCKETMAP,
		.map = PROTOCOL_MAP_SENDMAIL };
	char got[PROTOCOL_REPLY_MAX + 1], text[300];

	(void)state;
	for (int kind = 0; kind < 2; kind++)
		for (size_t len = 0; len < sizeof(text); len++) {
			ROW("%zu of %s", len, kind == 0 ? "letters" : "%");
			memset(text, kind == 0 ? 'a' : '%', len);
			text[len] = '\0';
			size_t n = protocol_reply(
			    &mail, ANSWER_REFUSE, "451", "4.3.0", text, got);

			got[n] = '\0';
			const char *quoted = strchr(got, '"');
			const char *last = strrchr(got, '"');

			assert_non_null(
			    strstr(got, ":OK <tempfail> \"451 4.3.0"));
			assert_ptr_equal(strchr(quoted + 1, '"'), last);
			assert_string_equal(last, "\",");
			size_t said = (size_t)(last - quoted) + 1;
			size_t whole = 12 + (kind == 0 ? len : 2 * len);

			assert_true(said <= 200);
			assert_true(
			    said == whole || (said < whole && said > 198));
		}
	for (int c = 1; c < 256; c++) {
		ROW("byte 0x%02x", (unsigned)c);
		(void)snprintf(text, sizeof(text), "a%cb", c);
		size_t n = protocol_reply(
		    &mail, ANSWER_REFUSE, "550", "5.7.1", text, got);
		char want[8];

		got[n] = '\0';
		(void)snprintf(want, sizeof(want), "a%sb\",",
		    c == '%'                    ? "%%"
			: c == '"' || c == '\\' ? "'"
			: c < 0x20 || c > 0x7e  ? "?"
						: (char[2]){ (char)c, '\0' });
		assert_contains(got, want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(policy_request),
		cmocka_unit_test(policy_context),
		cmocka_unit_test(policy_bad),
		cmocka_unit_test(socketmap_request),
		cmocka_unit_test(socketmap_bad),
		cmocka_unit_test(replies),
		cmocka_unit_test(socketmap_longest),
		cmocka_unit_test(sendmail_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
