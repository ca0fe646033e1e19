/* SPDX-License-Identifier: ISC */
/* Lines of real Postfix and Sendmail, and what clients make of them. */
#include "tests/unit/unit.h"

#include "ctl/incident/mtalog.h"

#define P(program, msg) "Nov 21 14:23:48 mail postfix/" program "[154]: " msg
#define X(msg)                                                       \
	"2026-11-21T14:23:49+00:00 mail exim[60]: 2026-11-21 14:23:49 "  \
	"1xXuOd-0005Tz-0O " msg
#define S(msg) "2026-11-21T14:23:49.875340+00:00 mail sendmail[60]: " msg

struct row {
	const char *name, *line;
	enum mtalog_kind kind;
	const char *id, *client, *user, *sender, *recipient, *orig_to, *child;
	unsigned n;
	bool sent, outside, auth, untyped;
};

static const struct row rows[] = {
	{ "postfix: a client",
	    P("smtpd", "334DDA2: client=unknown[203.0.113.1]"),
	    .kind = MTALOG_CLIENT, .id = "334DDA2", .client = "203.0.113.1" },
	{ "postfix: its port and name",
	    P("smtpd",
		"4dKbJN3Zz7zPq: "
		"client=a.example[2001:db8:1::2]:25333"),
	    .kind = MTALOG_CLIENT, .id = "4dKbJN3Zz7zPq",
	    .client = "2001:db8:1::2" },
	{ "postfix: AUTH",
	    P("submission/smtpd",
		"3DFE7A7: client=unknown"
		"[203.0.113.3], sasl_method=PLAIN, sasl_username=carol"),
	    .kind = MTALOG_CLIENT, .id = "3DFE7A7", .client = "203.0.113.3",
	    .user = "carol" },
	{ "postfix: AUTH with a sender",
	    P("smtpd",
		"3DFE7A7: client=unknown"
		"[203.0.113.3], sasl_method=PLAIN, sasl_username=carol, "
		"sasl_sender=x@y"),
	    .kind = MTALOG_CLIENT, .id = "3DFE7A7", .client = "203.0.113.3",
	    .user = "carol" },
	{ "postfix: a user name that plays another client",
	    P("smtpd",
		"3DFE7A7: client=unknown[203.0.113.3], sasl_method=PLAIN, "
		"sasl_username=x, client=unknown[198.51.100.1]"),
	    .kind = MTALOG_CLIENT, .id = "3DFE7A7", .client = "203.0.113.3",
	    .user = "x, client=unknown[198.51.100.1]" },
	{ "postfix: a program of ours",
	    P("pickup",
		"4701EBF: uid=33 "
		"from=<www-data>"),
	    .kind = MTALOG_LOCAL, .id = "4701EBF", .user = "uid=33" },
	{ "postfix: a sender",
	    P("qmgr",
		"334DDA2: from=<sender@elsewhere."
		"test>, size=341, nrcpt=2 (queue active)"),
	    .kind = MTALOG_FROM, .id = "334DDA2",
	    .sender = "sender@elsewhere.test", .n = 2 },
	{ "postfix: the null sender",
	    P("qmgr",
		"3E5BAA8: from=<>, size=365, "
		"nrcpt=1 (queue active)"),
	    .kind = MTALOG_FROM, .id = "3E5BAA8", .sender = "", .n = 1 },
	{ "postfix: a sender that plays the rest of the line",
	    P("qmgr",
		"3EB8EA9: from=<\"a>, size=1, nrcpt=1 (queue active)\"@lab.test>,"
		" size=365, nrcpt=4 (queue active)"),
	    .kind = MTALOG_FROM, .id = "3EB8EA9",
	    .sender = "\"a>, size=1, nrcpt=1 (queue active)"
		      "\"@lab.test",
	    .n = 4 },
	{ "postfix: sent",
	    P("smtp",
		"334DDA2: to=<two@remote.test>, relay="
		"198.51.100.25[198.51.100.25]:25, delay=0.02, delays=0.01/0.01/0/"
		"0, dsn=2.0.0, status=sent (250 2.0.0 Ok)"),
	    .kind = MTALOG_TO, .id = "334DDA2", .recipient = "two@remote.test",
	    .n = 1, .sent = true, .outside = true },
	{ "postfix: another transport's name",
	    P("relay/smtp",
		"4701EBF: to="
		"<s@remote.test>, orig_to=<fwd@lab.test>, relay=h[198.51.100.25]"
		":25, conn_use=2, delay=0, delays=0/0/0/0, dsn=2.0.0, status=sent"
		" (250 ok)"),
	    .kind = MTALOG_TO, .id = "4701EBF", .recipient = "s@remote.test",
	    .orig_to = "fwd@lab.test", .n = 1, .sent = true, .outside = true },
	{ "postfix: delivered here",
	    P("local",
		"44D6CB8: to=<alice@lab.test>"
		", relay=local, delay=0.01, delays=0/0.01/0/0, dsn=2.0.0, status="
		"sent (delivered to maildir)"),
	    .kind = MTALOG_TO, .id = "44D6CB8", .recipient = "alice@lab.test",
	    .n = 1, .sent = true },
	{ "postfix: put off by a server that says sent",
	    P("smtp",
		"334DDA2: "
		"to=<a@b>, relay=none, delay=1, delays=1/0/0/0, dsn=4.4.1, "
		"status=deferred (host x said: 450 , status=sent (250 ok))"),
	    .kind = MTALOG_TO, .id = "334DDA2", .recipient = "a@b", .n = 1,
	    .outside = true },
	{ "postfix: a recipient that plays the rest of the line",
	    P("smtp",
		"3EF82AA: to=<\"a>, relay=none, delay=0, delays=0/0/0/0, dsn=5.0."
		"0, status=bounced (no)\"@remote.test>, relay=h[198.51.100.25]:25"
		", delay=0.02, delays=0/0.02/0/0, dsn=2.0.0, status=sent (250 Ok)"),
	    .kind = MTALOG_TO, .id = "3EF82AA",
	    .recipient =
		"\"a>, relay=none, "
		"delay=0, delays=0/0/0/0, dsn=5.0.0, status=bounced (no)\"@remote"
		".test",
	    .n = 1, .sent = true, .outside = true },
	{ "postfix: forwarded",
	    P("local",
		"44D6CB8: to=<fwd@lab.test>, relay"
		"=local, delay=0.01, delays=0/0.01/0/0, dsn=2.0.0, status=sent "
		"(forwarded as 4701EBF)"),
	    .kind = MTALOG_CHILD, .id = "44D6CB8", .recipient = "fwd@lab.test",
	    .child = "4701EBF", .n = 1, .sent = true },
	{ "postfix: bounced",
	    P("bounce",
		"44D6CB8: sender non-delivery "
		"notification: 4701EBF"),
	    .kind = MTALOG_CHILD, .id = "44D6CB8", .child = "4701EBF" },
	{ "postfix: out of the queue", P("qmgr", "334DDA2: removed"),
	    .kind = MTALOG_END, .id = "334DDA2" },
	{ "postfix: a queue id of letters only", P("qmgr", "BBCAFBF: removed"),
	    .kind = MTALOG_END, .id = "BBCAFBF" },
	{ "postfix: letters that no short queue id has",
	    P("qmgr", "BBCAGBF: removed"), .kind = MTALOG_OTHER },
	{ "postfix: refused",
	    P("smtpd",
		"NOQUEUE: reject: RCPT from unknown"
		"[203.0.113.5]: 550 5.7.1 <x>: client=unknown[203.0.113.1]"),
	    .kind = MTALOG_OTHER },
	{ "postfix: a word in place of the id",
	    P("smtpd",
		"warning: client="
		"unknown[203.0.113.1]"),
	    .kind = MTALOG_OTHER },
	{ "postfix: another daemon speaks of a client",
	    P("cleanup", "334DDA2: client=unknown[203.0.113.1]"),
	    .kind = MTALOG_OTHER },
	{ "another program",
	    "Nov 21 14:23:48 mail evil[1]: 334DDA2: "
	    "client=unknown[203.0.113.1]",
	    .kind = MTALOG_OTHER },
	{ "a program that is named like one",
	    "Nov 21 14:23:48 mail "
	    "postfix[1]: 334DDA2: client=unknown[203.0.113.1]",
	    .kind = MTALOG_OTHER },

	{ "exim: a sender",
	    X("<= boss@friend.test H=(pc) [203.0.113.1]:5 I=[192.0.2.1]:25 "
	      "P=esmtp S=199 id=a T=\"x A=plain:eve S=1\""),
	    .kind = MTALOG_FROM, .id = "1xXuOd-0005Tz-0O",
	    .client = "203.0.113.1", .sender = "boss@friend.test" },
	{ "exim: a HELO name that plays the rest",
	    X("<= a@b H=mx.c.test (x) [10.0.0.1]) [203.0.113.1]:5 P=esmtp "
	      "S=199"),
	    .kind = MTALOG_FROM, .id = "1xXuOd-0005Tz-0O",
	    .client = "203.0.113.1", .sender = "a@b" },
	{ "exim: a sender that plays the rest",
	    X("<= \"a H=(x) [10.0.0.1] P=y\"@b H=[203.0.113.1] P=smtp S=1"),
	    .kind = MTALOG_FROM, .id = "1xXuOd-0005Tz-0O",
	    .client = "203.0.113.1",
	    .sender = "\"a H=(x) [10.0.0.1] P=y\"@b" },
	{ "exim: with AUTH",
	    X("<= a@b H=pc.c.test (pc) [2001:db8::2]:5 P=esmtpsa X=TLS1.3:x:256 "
	      "CV=no A=plain:carol S=199"),
	    .kind = MTALOG_FROM, .id = "1xXuOd-0005Tz-0O",
	    .client = "2001:db8::2", .user = "carol", .sender = "a@b",
	    .auth = true },
	{ "exim: a program of ours", X("<= www@b U=www-data P=local S=199"),
	    .kind = MTALOG_LOCAL, .id = "1xXuOd-0005Tz-0O", .user = "www-data",
	    .sender = "www@b" },
	{ "exim: sent",
	    X("=> v@e.test <fwd@lab.test> R=dnslookup T=remote_smtp "
	      "H=mx.e.test [198.51.100.25] C=\"250 OK\""),
	    .kind = MTALOG_TO, .id = "1xXuOd-0005Tz-0O",
	    .recipient = "v@e.test", .orig_to = "fwd@lab.test", .n = 1,
	    .sent = true, .outside = true },
	{ "exim: delivered here",
	    X("=> alice <alice@lab.test> R=local_user T=mail_spool"),
	    .kind = MTALOG_TO, .id = "1xXuOd-0005Tz-0O", .recipient = "alice",
	    .orig_to = "alice@lab.test", .n = 1, .sent = true },
	{ "exim: failed",
	    X("** v@e.test R=dnslookup T=remote_smtp H=mx [198.51.100.25]: no"),
	    .kind = MTALOG_TO, .id = "1xXuOd-0005Tz-0O",
	    .recipient = "v@e.test", .n = 1, .outside = true },
	{ "exim: done", X("Completed"), .kind = MTALOG_END,
	    .id = "1xXuOd-0005Tz-0O" },

	{ "sendmail: a sender",
	    S("6ALENncK000060: from=<sender@elsewhere."
	      "test>, size=156, class=0, nrcpts=2, msgid=<t@client.example>, "
	      "proto=ESMTP, daemon=MTA, relay=[203.0.113.1]"),
	    .kind = MTALOG_FROM, .id = "6ALENncK000060",
	    .client = "203.0.113.1", .sender = "sender@elsewhere.test",
	    .n = 2 },
	{ "sendmail: IPv6, a name, doubts",
	    S("6ALENncK000060: from=<>, size="
	      "1, class=0, nrcpts=1, proto=SMTP, daemon=MTA6, relay=x.example "
	      "[IPv6:2001:db8:1:0:0:0:0:2] (may be forged)"),
	    .kind = MTALOG_FROM, .id = "6ALENncK000060",
	    .client = "2001:db8:1:0:0:0:0:2", .sender = "", .n = 1 },
	{ "sendmail: with AUTH",
	    S("6ALENnKj000068: from=<carol@lab.test>, "
	      "size=156, class=0, nrcpts=1, msgid=<t@c>, proto=ESMTPSA, daemon="
	      "MTA, relay=[203.0.113.3]"),
	    .kind = MTALOG_FROM, .id = "6ALENnKj000068",
	    .client = "203.0.113.3", .sender = "carol@lab.test", .n = 1,
	    .auth = true },
	{ "sendmail: a message id that plays the rest",
	    S("6ALENnKj000068: "
	      "from=<a@b>, size=1, class=0, nrcpts=1, msgid=<x>, proto=ESMTPA, "
	      "daemon=MTA, relay=[198.51.100.1], proto=ESMTP, daemon=MTA, relay"
	      "=[203.0.113.3]"),
	    .kind = MTALOG_FROM, .id = "6ALENnKj000068",
	    .client = "203.0.113.3", .sender = "a@b", .n = 1 },
	{ "sendmail: a sender that plays the rest",
	    S("6ALENnKl000068: from="
	      "<\"a>, size=1, nrcpts=9, relay=[198.51.100.1]\"@lab.test>, size="
	      "156, class=0, nrcpts=1, proto=ESMTP, daemon=MTA, relay=[203.0."
	      "113.3]"),
	    .kind = MTALOG_FROM, .id = "6ALENnKl000068",
	    .client = "203.0.113.3",
	    .sender = "\"a>, size=1, nrcpts=9, relay"
		      "=[198.51.100.1]\"@lab.test",
	    .n = 1 },
	{ "sendmail: a program of ours",
	    S("6ALENnM3000079: from=www@lab.test"
	      ", size=15, class=0, nrcpts=1, msgid=<1@m>, relay=root@localhost"),
	    .kind = MTALOG_LOCAL, .id = "6ALENnM3000079", .user = "root",
	    .sender = "www@lab.test", .n = 1 },
	{ "sendmail: sent to two",
	    S("6ALENncK000060: to=<two@remote.test>,"
	      "<user@remote.test>, delay=00:00:00, xdelay=00:00:00, mailer=relay"
	      ", pri=60156, relay=[198.51.100.25] [198.51.100.25], dsn=2.0.0, "
	      "stat=Sent (Ok)"),
	    .kind = MTALOG_TO, .id = "6ALENncK000060",
	    .recipient = "two@remote.test", .n = 2, .sent = true,
	    .outside = true },
	{ "sendmail: expanded",
	    S("6ALENnFl000078: to=someone@remote.test, "
	      "ctladdr=<fwd@lab.test> (8/0), delay=00:00:01, xdelay=00:00:01, "
	      "mailer=esmtp, pri=60379, relay=h. [198.51.100.25], dsn=2.0.0, "
	      "stat=Sent (Ok)"),
	    .kind = MTALOG_TO, .id = "6ALENnFl000078",
	    .recipient = "someone@remote.test", .n = 1, .sent = true,
	    .outside = true, .untyped = true },
	{ "sendmail: a recipient that plays the rest",
	    S("6ALENnKm000068: to="
	      "<\"a>, mailer=local, stat=Sent\"@remote.test>, delay=00:00:01, "
	      "xdelay=00:00:01, mailer=relay, pri=30156, relay=[h] [198.51.100."
	      "25], dsn=4.0.0, stat=Deferred: Sent"),
	    .kind = MTALOG_TO, .id = "6ALENnKm000068",
	    .recipient = "\"a>, mailer=local, stat="
			 "Sent\"@remote.test",
	    .n = 1, .outside = true },
	{ "sendmail: delivered here",
	    S("6ALENnFl000078: to=<alice@lab.test>,"
	      " delay=00:00:00, xdelay=00:00:00, mailer=local, pri=60379, relay"
	      "=local, dsn=2.1.5, stat=Sent"),
	    .kind = MTALOG_TO, .id = "6ALENnFl000078",
	    .recipient = "alice@lab.test", .n = 1, .sent = true },
	{ "sendmail: who",
	    S("AUTH=server, relay=[203.0.113.3], authid=carol,"
	      " mech=PLAIN, bits=0"),
	    .kind = MTALOG_AUTH, .client = "203.0.113.3", .user = "carol" },
	{ "sendmail: us at another server",
	    S("AUTH=client, relay=[198.51.100"
	      ".25], mech=, bits=0"),
	    .kind = MTALOG_OTHER },
	{ "sendmail: a bounce",
	    S("6ALENnFl000078: 6ALENnFm000078: DSN: User "
	      "unknown"),
	    .kind = MTALOG_CHILD, .id = "6ALENnFl000078",
	    .child = "6ALENnFm000078" },
	{ "sendmail: done", S("6ALENncK000060: done; delay=00:00:00, ntries=1"),
	    .kind = MTALOG_END, .id = "6ALENncK000060" },
	{ "sendmail: refused",
	    S("6ALENn06000077: ruleset=check_rcpt, arg1="
	      "<user@remote.test>, relay=[203.0.113.5], reject=550 5.7.1 no"),
	    .kind = MTALOG_OTHER },
};

static void
same(const char *what, struct span got, const char *want)
{
	if (want == NULL)
		want = "";
	if (span_len(got) != strlen(want) ||
	    memcmp(got.p == NULL ? "" : got.p, want, strlen(want)) != 0)
		fail_msg("%s: got '%.*s', want '%s'", what, (int)span_len(got),
		    got.p, want);
}

static void
lines(void **state)
{
	static char scratch[PREFIX_SCRATCH];

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i].name);
		const struct row *r = &rows[i];
		struct prefix prefix;
		struct mtalog m;

		assert_int_equal(prefix_split(r->line, strlen(r->line), false,
				     &prefix, scratch),
		    PREFIX_OK);
		bool found = mtalog_parse(&prefix, &m);

		assert_int_equal(m.kind, r->kind);
		assert_int_equal(found, r->kind != MTALOG_OTHER);
		if (!found)
			continue;
		same("id", m.queue_id, r->id);
		same("client", m.client, r->client);
		same("user", m.user, r->user);
		same("sender", m.sender, r->sender);
		same("recipient", m.recipient, r->recipient);
		same("orig_to", m.orig_to, r->orig_to);
		same("child", m.child, r->child);
		assert_int_equal(m.n, r->n);
		assert_int_equal(m.sent, r->sent);
		assert_int_equal(m.outside, r->outside);
		assert_int_equal(m.auth, r->auth);
		if (m.kind == MTALOG_TO)
			assert_int_equal(m.typed, !r->untyped);
	}
}

/* The header is whatever a client put there: none of it is structure. */
static void
message_ids(void **state)
{
	static const struct {
		const char *line, *id, *message_id;
	} ids[] = {
		{ P("cleanup", "334DDA2: message-id=<a@b.test>"), "334DDA2",
		    "<a@b.test>" },
		{ P("cleanup", "334DDA2: message-id=334DDA3: message-id=<a@b>"),
		    "334DDA2", "334DDA3: message-id=<a@b>" },
		{ P("cleanup", "334DDA2: message-id=no brackets"), "334DDA2",
		    "no brackets" },
		{ P("cleanup", "334DDA2: resent-message-id=<a@b>"), NULL,
		    NULL },
		{ P("cleanup", "334DDA2: warning: header message-id=<a@b>"),
		    NULL, NULL },
		{ P("smtpd", "334DDA2: message-id=<a@b>"), NULL, NULL },
		{ S("6ALENnKj000068: from=<a@b>, size=1, class=0, nrcpts=1, "
		    "msgid=<x@y>, proto=ESMTP, daemon=MTA, relay=[192.0.2.1]"),
		    "6ALENnKj000068", "<x@y>" },
		{ S("6ALENnKj000068: from=<a@b>, size=1, class=0, nrcpts=1, "
		    "msgid=<x@y>, bodytype=8BITMIME, proto=ESMTP, daemon=MTA, "
		    "relay=[192.0.2.1]"),
		    "6ALENnKj000068", "<x@y>" },
		{ S("6ALENnKj000068: from=<a@b>, size=1, class=0, nrcpts=1, "
		    "msgid=<x@y>, proto=SMTP, relay=[198.51.100.1], proto=ESMTP, "
		    "daemon=MTA, relay=[192.0.2.1]"),
		    "6ALENnKj000068",
		    "<x@y>, proto=SMTP, relay=[198.51.100.1]" },
		{ S("6ALENnKj000068: from=root, size=15, class=0, nrcpts=1, "
		    "msgid=<1@m>, relay=root@localhost"),
		    "6ALENnKj000068", "<1@m>" },
		{ S("6ALENnKj000068: from=<\", msgid=<x@y>, proto=\"@b>, size=1, "
		    "class=0, nrcpts=1, msgid=<z@y>, proto=SMTP, daemon=MTA, "
		    "relay=[192.0.2.1]"),
		    "6ALENnKj000068", "<z@y>" },
	};
	static char scratch[PREFIX_SCRATCH];

	(void)state;
	for (size_t i = 0; i < LENGTH(ids); i++) {
		ROW("%s", ids[i].line);
		struct prefix prefix;
		struct mtalog m;

		assert_int_equal(prefix_split(ids[i].line, strlen(ids[i].line),
				     false, &prefix, scratch),
		    PREFIX_OK);
		assert_int_equal(mtalog_parse(&prefix, &m), ids[i].id != NULL);
		if (ids[i].id != NULL)
			same("id", m.queue_id, ids[i].id);
		same("message-id", m.message_id, ids[i].message_id);
	}
}

/* Cut anywhere, a line is another one or none: never a crash, and never a
 * client or a user that wasn't in it. */
static void
cut(void **state)
{
	static char scratch[PREFIX_SCRATCH];

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++)
		for (size_t n = 0; n < strlen(rows[i].line); n++) {
			char *copy = malloc(n + 1);
			struct prefix prefix;
			struct mtalog m;

			assert_non_null(copy);
			memcpy(copy, rows[i].line, n);
			if (prefix_split(copy, n, false, &prefix, scratch) ==
				PREFIX_OK &&
			    mtalog_parse(&prefix, &m))
				assert_true(m.kind != MTALOG_OTHER);
			free(copy);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines),
		cmocka_unit_test(message_ids),
		cmocka_unit_test(cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
