/* SPDX-License-Identifier: ISC */
/* A line's word on a session: struct login_session of parse.h. */
#include "tests/unit/unit.h"

#include "common/base/err.h"
#include "common/grammar/parse.h"

enum { NOW = 1795255200 + 86400 };

static struct parser *
new_parser(void)
{
	const struct parser_options options = { .servers = NULL };
	struct parser *parser;
	struct err err;

	if (parser_new(&options, &parser, &err) == -1)
		fail_msg("%s", err.text);
	return parser;
}

struct session_row {
	const char *name;
	const char *line; /* behind the time stamp */
	enum session_kind want;
	const char *want_id;
	const char *want_user; /* of an end; NULL: not compared */
};

#define V4 "203.0.113.5"
#define HOST "Nov 21 09:45:03 mailhost "
#define DOVECOT HOST "dovecot: "
#define SID "rpMpOcZgE4t/AAAF"
#define STATS                                                        \
	" in=26 out=770 deleted=0 expunged=0 trashed=0 hdr_count=0 " \
	"hdr_bytes=0 body_count=0 body_bytes=0"

static const struct session_row rows[] = {
	/* Dovecot: the begin */
	{ .name = "2.3",
	    .line =
		DOVECOT "imap-login: Login: user=<alice>, method=PLAIN, "
			"rip=" V4 ", lip=192.0.2.1, mpid=7, session=<" SID ">",
	    .want = SESSION_BEGIN,
	    .want_id = SID },
	{ .name = "2.4",
	    .line =
		DOVECOT "pop3-login: Logged in: user=<alice>, method=PLAIN, "
			"rip=" V4 ", lip=192.0.2.1, mpid=7, session=<" SID ">",
	    .want = SESSION_BEGIN,
	    .want_id = SID },
	{ .name = "no session in the line",
	    .line = DOVECOT "imap-login: Login: user=<alice>, method=PLAIN, "
			    "rip=" V4 ", lip=192.0.2.1, mpid=7, TLS" },
	{ .name = "a name that the end couldn't be told from",
	    .line = DOVECOT "imap-login: Login: user=<x)<1><y>, method=PLAIN, "
			    "rip=" V4 ", lip=192.0.2.1, session=<" SID ">" },
	{ .name = "a failure has no session",
	    .line =
		DOVECOT "imap-login: Disconnected: Aborted login by logging "
			"out (auth failed, 1 attempts in 0 secs): "
			"user=<a>, method=PLAIN, rip=" V4
			", lip=192.0.2.1, session=<" SID ">" },
	{ .name = "a session in a failed user's name",
	    .line =
		DOVECOT "imap-login: Disconnected: Aborted login by logging "
			"out (auth failed, 1 attempts in 0 secs): "
			"user=<imap(bob)<1><" SID
			">: Disconnected: Logged out>, method=PLAIN, "
			"rip=" V4 ", lip=192.0.2.1, session=<x>" },

	/* Dovecot: the end */
	{ .name = "logout",
	    .line = DOVECOT "imap(alice)<99><" SID
			    ">: Disconnected: Logged out" STATS,
	    .want = SESSION_END,
	    .want_id = SID },
	{ .name = "the connection is gone",
	    .line = DOVECOT "imap(alice@example.org)<99><" SID
			    ">: Disconnected: Connection closed (IDLE running "
			    "for 0.001 + waiting input for 22.198 secs, 2 B in "
			    "+ 10+10 B out, state=wait-input)" STATS,
	    .want = SESSION_END,
	    .want_id = SID },
	{ .name = "inactivity",
	    .line = DOVECOT "imap(alice)<99><" SID
			    ">: Disconnected: Inactivity - no input" STATS,
	    .want = SESSION_END,
	    .want_id = SID },
	{ .name = "pop3",
	    .line = DOVECOT "pop3(alice)<99><" SID
			    ">: Disconnected: Connection closed top=0/0, "
			    "retr=0/0, del=0/0, size=0",
	    .want = SESSION_END,
	    .want_id = SID },
	{ .name = "hibernated",
	    .line = DOVECOT "imap-hibernate(alice)<99><" SID
			    ">: Disconnected: Connection closed" STATS,
	    .want = SESSION_END,
	    .want_id = SID },
	{ .name = "the process dies",
	    .line = DOVECOT "imap(alice)<99><" SID
			    ">: Panic: file imap-client.c: line 1: assertion "
			    "failed: (x)",
	    .want = SESSION_END,
	    .want_id = SID },
	{ .name = "own file",
	    .line = "Nov 21 09:47:35 imap(alice)<27883><" SID
		    ">: Info: Disconnected: Logged out" STATS,
	    .want = SESSION_END,
	    .want_id = SID },
	{ .name = "another line of the session",
	    .line = DOVECOT "imap(alice)<99><" SID
			    ">: Error: Disconnected from the index" },
	{ .name = "of no session (doveadm exec imap)",
	    .line =
		DOVECOT "imap(alice)<99><>: Disconnected: Logged out" STATS },
	{ .name = "an end whose user is named like another's",
	    .line = DOVECOT "imap(x)<1><victim>: Disconnected)<99><" SID
			    ">: Disconnected: Logged out" STATS },
	{ .name = "the same before 2.3",
	    .line =
		DOVECOT "imap(x)<1><victim>: Disconnected): Logged out in=1 "
			"out=2" },
	{ .name = "a name with the end in it",
	    .line = DOVECOT "imap(x): Logged out)<99><" SID
			    ">: Disconnected: Logged out" STATS },
	{ .name = "before 2.3: ends name no session, so none can be followed",
	    .line = DOVECOT "imap(alice): Logged out in=26 out=770",
	    .want = SESSION_END_ALL },
	{ .name = "another service",
	    .line = DOVECOT "lmtp(alice)<99><" SID ">: Disconnected" },
	{ .name = "too long: what a syslog daemon cut off isn't known",
	    .line = DOVECOT
	    "imap(alice)<99><" SID ">: Disconnected: "
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" },

	/* Dovecot: the server */
	{ .name = "start",
	    .line =
		DOVECOT "master: Dovecot v2.3.19.1 (9b53102964) starting up "
			"for pop3, imap (core dumps disabled)",
	    .want = SESSION_END_ALL },
	{ .name = "start, own file",
	    .line =
		"Nov 21 09:47:34 master: Info: Dovecot v2.4.1-4 (7d8c0e5759) "
		"starting up for imap (core dumps disabled)",
	    .want = SESSION_END_ALL },
	{ .name = "stop",
	    .line = DOVECOT "master: Warning: Killed with signal 15 (by pid=1 "
			    "uid=0 code=kill)",
	    .want = SESSION_END_ALL },
	{ .name = "a reload keeps sessions",
	    .line = DOVECOT "master: Warning: SIGHUP received - reloading "
			    "configuration" },
	{ .name = "a start in a user's name",
	    .line = DOVECOT "imap(master: Dovecot v2 () starting up)<99><" SID
			    ">: Error: x" },
	{ .name = "a start in another program's words",
	    .line = HOST "sshd: master: Dovecot v2.3 () starting up" },

	/* Courier */
	{ .name = "courier",
	    .line = HOST "imapd: LOGIN, user=alice, ip=[::ffff:" V4
			 "], port=[45107], protocol=IMAP",
	    .want = SESSION_BEGIN,
	    .want_id = "1 " V4 " 45107" },
	{ .name = "courier pop3",
	    .line = HOST "pop3d: LOGIN, user=alice, ip=[2001:db8:0::5], "
			 "port=[45107], stls=1",
	    .want = SESSION_BEGIN,
	    .want_id = "2 2001:db8::5 45107" },
	{ .name = "courier, an old one without a port",
	    .line = HOST "imapd: LOGIN, user=alice, ip=[::ffff:" V4
			 "], protocol=IMAP" },
	{ .name = "courier logout",
	    .line = HOST "imapd: LOGOUT, user=alice, ip=[::ffff:" V4
			 "], port=[45107], headers=0, body=0, rcvd=28, "
			 "sent=331, time=0, starttls=1",
	    .want = SESSION_END,
	    .want_id = "1 " V4 " 45107",
	    .want_user = "alice" },
	{ .name = "courier is disconnected",
	    .line = HOST "pop3d: DISCONNECTED, user=alice, ip=[2001:db8::5], "
			 "port=[45107], top=0, retr=0, rcvd=6, sent=25, time=0",
	    .want = SESSION_END,
	    .want_id = "2 2001:db8::5 45107",
	    .want_user = "alice" },
	{ .name = "courier times out, by multilog",
	    .line = HOST "imapd: INFO: TIMEOUT, user=alice, ip=[::ffff:" V4
			 "], port=[45107], headers=0, body=0, rcvd=28, "
			 "sent=331, time=1805",
	    .want = SESSION_END,
	    .want_id = "1 " V4 " 45107",
	    .want_user = "alice" },
	{ .name = "courier, before the login",
	    .line = HOST "imapd: LOGOUT, ip=[::ffff:" V4
			 "], port=[45107], rcvd=28, sent=331" },
	{ .name = "courier, another's end in a name",
	    .line = HOST "imapd: LOGOUT, user=bob, ip=[::ffff:198.51.100.7], "
			 "port=[1], rcvd=1, ip=[::ffff:" V4
			 "], port=[45107], rcvd=28" },
	{ .name = "courier, a name that fails",
	    .line = HOST
	    "imapd: LOGIN FAILED, user=LOGOUT, user=bob, ip=[::ffff:" V4
	    "], port=[45107]" },
	{ .name = "courier, cut off",
	    .line = HOST "imapd: LOGOUT, user=alice, ip=[::ffff:" V4
			 "], port=[4510" },
	{ .name = "courier, words behind",
	    .line = HOST "imapd: LOGOUT, user=alice, ip=[::ffff:" V4
			 "], port=[45107], rcvd=x" },
	{ .name = "authdaemond starts with Courier and the machine",
	    .line = HOST "authdaemond: modules=\"authuserdb\", daemons=3",
	    .want = SESSION_END_ALL },
	{ .name = "authdaemond, another line",
	    .line = HOST "authdaemond: Installing libauthuserdb.so.0" },

	/* Cyrus */
	{ .name = "cyrus",
	    .line = HOST "cyrus/imap[7087]: login: [" V4
			 "] alice plaintext User logged in "
			 "SESSIONID=<cyrus-7087-1795255644-1-99>",
	    .want = SESSION_BEGIN,
	    .want_id = "7087" },
	{ .name = "cyrus, an old one without a session",
	    .line = HOST "cyrus/imap[7087]: login: [" V4
			 "] alice plaintext User logged in" },
	{ .name = "cyrus, no process id",
	    .line = HOST "cyrus/imap: login: [" V4
			 "] alice plaintext User logged in "
			 "SESSIONID=<cyrus-7087-1795255644-1-99>" },
	{ .name = "cyrus ends",
	    .line = HOST "cyrus/pop3[7131]: USAGE alice user: 0.006952 sys: "
			 "0.010414",
	    .want = SESSION_END,
	    .want_id = "7131" },
	{ .name = "cyrus 3.8 ends",
	    .line = HOST "cyrus/imap[1814]: session ended: "
			 "sessionid=<cyrus-1795968190-1814-1-140718> "
			 "userid=<alice> id.name=<(null)> ",
	    .want = SESSION_END,
	    .want_id = "1814" },
	{ .name = "cyrus: the process serves another client",
	    .line = HOST "cyrus/imap[7087]: badlogin: [" V4
			 "] plaintext (x) invalid user",
	    .want = SESSION_END,
	    .want_id = "7087" },
	{ .name = "cyrus, an end in a name",
	    .line = HOST "cyrus/imap[7087]: accepted: [" V4
			 "] plaintext (USAGE bob user: 0.1 sys: 0.1) invalid "
			 "user" },
	{ .name = "cyrus loses its client",
	    .line = HOST "cyrus/imap[20]: Connection reset by peer, closing "
			 "connection",
	    .want = SESSION_END,
	    .want_id = "20" },
	{ .name = "cyrus 3.6 starts",
	    .line = HOST "cyrus/ctl_cyrusdb[18]: recovering cyrus databases",
	    .want = SESSION_END_ALL },
	{ .name = "cyrus stops",
	    .line =
		HOST "cyrus/master[28]: attempting clean shutdown on signal",
	    .want = SESSION_END_ALL },
	{ .name = "cyrus starts",
	    .line = HOST "cyrus/master[12]: ready for work",
	    .want = SESSION_END_ALL },
	{ .name = "postfix's master is another",
	    .line = HOST "postfix/master[12]: ready for work" },

	{ .name = "a server without ids",
	    .line =
		HOST "popper[501]: (v4.0.9) POP login by user \"yvonne\" at "
		     "(pc1.example.net) 192.0.2.100 [pop_log.c:244]" },
};

static void
session_is_found(void **state)
{
	const struct session_row *row = *state;
	struct parser *parser = new_parser();
	struct parse_result got;

	parser_line(parser, row->line, strlen(row->line), NOW, &got);
	assert_int_equal(got.session.kind, row->want);
	if (row->want == SESSION_BEGIN)
		assert_int_equal(got.fate, FATE_LOGIN);
	else if (row->want != SESSION_NONE)
		assert_int_not_equal(got.fate, FATE_LOGIN);
	if (row->want != SESSION_NONE) {
		assert_true(
		    got.session.at > NOW - 20 * 86400 && got.session.at <= NOW);
		assert_string_equal(
		    got.session.id, row->want_id == NULL ? "" : row->want_id);
		assert_string_equal(got.session.user,
		    row->want_user == NULL ? "" : row->want_user);
		assert_string_equal(got.session.host,
		    row->line[16] == 'm' && row->line[17] == 'a' &&
			    row->line[18] == 'i'
			? "mailhost"
			: "");
	}
	parser_free(&parser);
}

/* ---- what real servers wrote, under attack too ---- */

struct captured {
	const char *name;
	unsigned want_begun, want_ended; /* of those begun */
};

static const struct captured captured[] = {
	{ .name = "courier", .want_begun = 40, .want_ended = 40 },
	/* two by the next client of the process: imapd 3.6 doesn't log that
	 * a client hung up */
	{ .name = "cyrus", .want_begun = 42, .want_ended = 42 },
	{ .name = "dovecot", .want_begun = 42, .want_ended = 42 },
	/* 6 were still open */
	{ .name = "dovecot-evil", .want_begun = 70, .want_ended = 64 },
	{ .name = "dovecot-file", .want_begun = 42, .want_ended = 42 },
};

struct open_session {
	char id[SESSION_ID_MAX], user[LOGIN_USER_MAX];
	bool open;
};

static struct open_session *
find_open(struct open_session *v, size_t n, const char *id)
{
	for (size_t i = n; i > 0; i--)
		if (v[i - 1].open && strcmp(v[i - 1].id, id) == 0)
			return &v[i - 1];
	return NULL;
}

static void
sessions_of_a_server(void **state)
{
	static struct open_session v[2000];
	const struct captured *file = *state;
	struct parser *parser = new_parser();
	unsigned begun = 0, ended = 0;
	char name[64], *line = NULL;
	size_t size = 0, n = 0;
	ssize_t len;

	(void)snprintf(name, sizeof(name), "captured/%s.tsv", file->name);
	FILE *f = fopen(unit_data(name), "rb");

	assert_non_null(f);
	while ((len = getline(&line, &size, f)) > 0) {
		const char *text = line;
		struct parse_result got;
		struct open_session *open;

		for (int i = 0; i < 3; i++)
			text = strchr(text, '\t') + 1;
		ROW("%s", text);
		parser_line(
		    parser, text, (size_t)(line + len - 1 - text), NOW, &got);
		if (got.session.kind == SESSION_BEGIN) {
			assert_true(n < LENGTH(v));
			open = &v[n++];
			memcpy(open->id, got.session.id, sizeof(open->id));
			memcpy(open->user, got.login.user, sizeof(open->user));
			open->open = true;
			begun++;
		} else if (got.session.kind == SESSION_END) {
			open = find_open(v, n, got.session.id);
			if (open == NULL)
				continue;
			if (*got.session.user != '\0')
				assert_string_equal(
				    got.session.user, open->user);
			open->open = false;
			ended++;
		}
	}
	free(line);
	(void)fclose(f);
	parser_free(&parser);
	assert_int_equal(begun, file->want_begun);
	assert_int_equal(ended, file->want_ended);
}

int
main(void)
{
	int failed = RUN_ROWS("sessions", rows, session_is_found);

	failed += RUN_ROWS("captured", captured, sessions_of_a_server);
	return failed != 0;
}
