/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include <time.h>

#include "common/base/err.h"
#include "common/base/own_addresses.h"
#include "common/policy/facts.h"
#include "common/policy/judge.h"

enum { NOW = 1772526000, KEEP = 14 * 86400, WINDOW = 1800 };

static struct config cfg;

static void
add(struct network_set *set, const char *text)
{
	struct network net;

	assert_true(network_parse(text, &net));
	assert_true(network_set_add(set, &net));
}

static struct judge *
make_judge(void)
{
	struct judge *j;
	struct err err;

	if (judge_new(&cfg, NULL, &j, &err) == -1)
		fail_msg("%s", err.text);
	return j;
}

/* A line dated at, from client. */
static struct line
login_line(int64_t at, const char *client)
{
	static char text[400];
	char stamp[40];
	time_t t = (time_t)at;
	struct tm tm;

	(void)gmtime_r(&t, &tm);
	(void)strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ", &tm);
	int n = snprintf(text, sizeof(text),
	    "%s mail dovecot: imap-login: "
	    "Login: user=<u>, method=PLAIN, rip=%s, lip=198.51.100.5, "
	    "mpid=4, session=<s>",
	    stamp, client);

	return (struct line){ .text = text, .len = (size_t)n };
}

static void
addresses(void **state)
{
	static const struct {
		const char *client, *want, *net;
	} rows[] = {
		{ "192.0.2.7", "login", "192.0.2.7" },
		{ "::ffff:192.0.2.7", "login", "192.0.2.7" },
		{ "2001:db8:1:2:3:4:5:6", "login", "2001:db8:1:2::/64" },
		{ "127.0.0.5", "never-authorize", NULL },
		{ "::ffff:127.0.0.5", "never-authorize", NULL },
		{ "203.0.113.1", "own-address", NULL },
		{ "203.0.113.2", "login", "203.0.113.2" },
		{ "2001:db8::25", "own-address", NULL },
		{ "198.51.100.20", "proxy", NULL },
	};
	struct network_set own = { 0 };
	struct judge *j;

	(void)state;
	cfg = (struct config){ 0 };
	cfg.logins.window_s = WINDOW;
	cfg.logins.keep_s = KEEP;
	cfg.relay.ipv6_prefix = 64;
	cfg.relay.never_authorize_own = true;
	add(&cfg.relay.never_authorize, "127.0.0.0/8");
	add(&cfg.relay.proxy_networks, "198.51.100.16/28");
	add(&own, "203.0.113.1");
	add(&own, "2001:db8::25");
	j = make_judge();
	assert_true(judge_set_own(j, &own));
	assert_true(judge_set_own(j, &own));
	network_set_release(&own);
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i].client);
		struct line line = login_line(NOW, rows[i].client);
		struct judged got;
		char net[NETWORK_TEXT_MAX];

		judge_line(j, &line, false, NOW, &got);
		assert_string_equal(fate_name(got.fate), rows[i].want);
		assert_string_equal(got.server, "dovecot");
		assert_int_equal(got.fate == FATE_LOGIN, rows[i].net != NULL);
		if (rows[i].net != NULL)
			assert_string_equal(
			    network_format(&got.net, net), rows[i].net);
	}
	/* the machine's own addresses only when the keyword is there */
	cfg.relay.never_authorize_own = false;
	struct line line = login_line(NOW, "203.0.113.1");
	struct judged got;

	judge_line(j, &line, false, NOW, &got);
	assert_int_equal(got.fate, FATE_LOGIN);
	judge_free(&j);
	network_set_release(&cfg.relay.never_authorize);
	network_set_release(&cfg.relay.proxy_networks);
}

/* A line that no grammar was asked about: the server that it looks like. */
static void
guesses(void **state)
{
	static const struct {
		const char *line, *fate, *server;
	} rows[] = {
#define DOVECOT \
	"imap-login: Login: user=<u>, method=PLAIN, rip=192.0.2.7, lip=192.0.2.1, session=<s>"
		{ "Mar  3 08:01:11 mail dovecot-2: " DOVECOT, "unknown-tag",
		    "dovecot" },
		{ "Mar  3 08:01:11 mail 0123456789ab[7]: Mar 03 08:01:11 " DOVECOT,
		    "unknown-tag", "dovecot" },
		{ "Mar  3 08:01:11 mail sloti30t15/imap[7]: login: pc.example.net [192.0.2.90] u plaintext User logged in",
		    "unknown-tag", "cyrus" },
		{ "Mar  3 08:01:11 mail mypop3d: LOGIN, user=u, ip=[::ffff:192.0.2.91], port=[4]",
		    "unknown-tag", "courier" },
		/* a client's text in the line of another program */
		{ "Mar  3 08:01:11 mail sshd[7]: Invalid user " DOVECOT,
		    "other-program", "" },
		{ "Mar  3 08:01:11 mail postfix/smtpd[7]: NOQUEUE: helo=<" DOVECOT
		  ">",
		    "other-program", "" },
		/* logins for something else */
		{ "Mar  3 08:01:11 mail lmtp[7]: login: relay.example.net [192.0.2.86] postman PLAIN User logged in",
		    "other-program", "" },
		{ "Mar  3 08:01:11 mail x/lmtp-imap[7]: login: relay.example.net [192.0.2.86] postman PLAIN User logged in",
		    "other-program", "" },
		{ "Mar  3 08:01:11 mail y/sync_server[7]: login: b.example.net [192.0.2.86] repl PLAIN User logged in",
		    "other-program", "" },
		{ "Mar  3 08:01:11 mail sqwebmaild: LOGIN, user=u, ip=[192.0.2.97]",
		    "other-program", "" },
		{ "Mar  3 08:01:11 mail y: LOGIN, user=imap, ip=[192.0.2.97]",
		    "other-program", "" },
		/* a client's text in a line of no known form */
		{ "Nov 21 09:48:06 auth: Info: plain(?,127.0.1.9,<x>): bad (username: " DOVECOT
		  ")",
		    "no-prefix", "" },
		{ "sshd: Invalid user " DOVECOT, "no-prefix", "" },
		{ "x: helo=" DOVECOT, "no-prefix", "" },
		/* a failed one, one without an address */
		{ "Mar  3 08:01:11 mail dovecot-2: imap-login: Aborted login (auth failed, 1 attempts): user=<u>, method=PLAIN, rip=192.0.2.7, lip=192.0.2.1",
		    "other-program", "" },
		{ "Mar  3 08:01:11 mail dovecot-2: imap-login: Login: user=<u>, method=PLAIN, rip=nowhere, lip=192.0.2.1, TLS",
		    "other-program", "" },
		{ "2026 Mar 3 08:01:11 mail dovecot: " DOVECOT,
		    "unknown-prefix", "" },
		{ "{\"message\":\"" DOVECOT "\"}", "unknown-prefix", "" },
		{ "a line", "no-prefix", "" },
		/* what is read is left as it is */
		{ "Mar  3 08:01:11 mail dovecot: " DOVECOT, "login",
		    "dovecot" },
		{ "Mar  3 08:01:11 mail dovecot: imap-login: Loged in",
		    "unknown-shape", "dovecot" },
	};
	struct judge *j;

	(void)state;
	cfg = (struct config){ 0 };
	cfg.logins.window_s = WINDOW;
	cfg.logins.keep_s = KEEP;
	cfg.relay.ipv6_prefix = 128;
	j = make_judge();
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i].line);
		struct line line = { .text = rows[i].line,
			.len = strlen(rows[i].line) };
		struct judged got;

		judge_line(j, &line, false, NOW, &got);
		judge_guess(j, &line, false, &got);
		assert_string_equal(fate_name(got.fate), rows[i].fate);
		assert_string_equal(got.server, rows[i].server);
	}
	judge_free(&j);
}

/* A stamp that names no zone is of the source's; one that does is not. */
static void
zones(void **state)
{
	static const struct {
		const char *stamp;
		bool fixed;
		int east_s;
		int64_t want_at; /* the machine is at +02:00 */
	} rows[] = {
		{ "Mar  3 08:20:00", false, 0, NOW - 7200 },
		{ "Mar  3 08:20:00", true, 0, NOW },
		{ "Mar  3 09:20:00", true, 3600, NOW },
		{ "2026-03-03T08:20:00.5", true, 0, NOW },
		{ "2026-03-03 03:50:00", true, -16200, NOW },
		{ "Mar  3 2026 08:20:00", true, 0, NOW },
		{ "Tue Mar  3 08:20:00 2026", true, 0, NOW },
		{ "2026-03-03T08:20:00Z", true, 19800, NOW },
		{ "2026-03-03T09:20:00+01:00", true, 19800, NOW },
		{ "Tue 2026-03-03 08:20:00 UTC", true, 19800, NOW },
		{ "1772526000.000001", true, 19800, NOW },
		/* the turn of the year is the zone's, too */
		{ "Mar  4 08:20:00", true, 0, NOW + 86400 },
		{ "Mar  4 08:20:01", true, 0, NOW + 86401 - 365 * 86400 },
		{ "Mar  4 10:20:01", false, 0, NOW + 86401 - 365 * 86400 },
		{ "Mar  3 08:20:00", false, 0, NOW - 7200 },
	};
	struct judge *j;

	(void)state;
	assert_int_equal(setenv("TZ", "XYZ-2", 1), 0);
	tzset();
	cfg = (struct config){ 0 };
	cfg.logins.window_s = WINDOW;
	cfg.logins.keep_s = 400 * 86400;
	cfg.relay.ipv6_prefix = 128;
	j = make_judge();
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s %d", rows[i].stamp, rows[i].east_s);
		char text[400];
		int n = snprintf(text, sizeof(text),
		    "%s mail dovecot: imap-login: Login: user=<u>, method=PLAIN, rip=192.0.2.7, lip=198.51.100.5, session=<s>",
		    rows[i].stamp);
		struct line line = { .text = text,
			.len = (size_t)n,
			.zone = { rows[i].fixed, rows[i].east_s } };
		struct judged got;

		judge_line(j, &line, false, NOW, &got);
		assert_string_equal(fate_name(got.fate), "login");
		assert_int_equal(got.login.at + got.ahead_s, rows[i].want_at);
		assert_int_equal(
		    judge_line_time(j, &line, NOW), rows[i].want_at);
	}
	judge_free(&j);
	assert_int_equal(setenv("TZ", "UTC0", 1), 0);
	tzset();
}

static void
times(void **state)
{
	static const struct {
		const char *name;
		int64_t at;
		const char *want;
		int64_t want_at, want_ahead;
	} rows[] = {
		{ "now", NOW, "login", NOW, 0 },
		{ "before", NOW - 100, "login", NOW - 100, 0 },
		{ "its lease is over: history only", NOW - 86400, "login",
		    NOW - 86400, 0 },
		{ "as old as history is kept", NOW - KEEP, "login", NOW - KEEP,
		    0 },
		{ "older", NOW - KEEP - 1, "too-old", 0, 0 },
		{ "a clock a little ahead", NOW + 60, "login", NOW, 60 },
		{ "far ahead", NOW + 40 * 86400, "login", NOW, 40 * 86400 },
	};
	struct judge *j;

	(void)state;
	cfg = (struct config){ 0 };
	cfg.logins.window_s = WINDOW;
	cfg.logins.keep_s = KEEP;
	cfg.relay.ipv6_prefix = 128;
	j = make_judge();
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i].name);
		struct line line = login_line(rows[i].at, "192.0.2.7");
		struct judged got;

		judge_line(j, &line, false, NOW, &got);
		assert_string_equal(fate_name(got.fate), rows[i].want);
		assert_int_equal(judge_line_time(j, &line, NOW), rows[i].at);
		if (got.fate != FATE_LOGIN)
			continue;
		assert_int_equal(got.login.at, rows[i].want_at);
		assert_int_equal(got.expires_at, rows[i].want_at + WINDOW);
		assert_int_equal(got.ahead_s, rows[i].want_ahead);
	}
	/* a line that was written when the clock had been read */
	struct line line = login_line(NOW + 1, "192.0.2.7");
	struct judged got;

	judge_line(j, &line, false, NOW, &got);
	judge_date(j, &got, got.login.at + got.ahead_s, NOW + 1);
	assert_int_equal(got.login.at, NOW + 1);
	assert_int_equal(got.expires_at, NOW + 1 + WINDOW);
	assert_int_equal(got.ahead_s, 0);
	judge_free(&j);
}

static void
other_lines(void **state)
{
	static const struct {
		const char *text, *server, *want;
		bool unknown;
	} rows[] = {
		{ "Mar  3 08:01:11 mail postfix/smtpd[1]: connect from x", "",
		    "other-program", false },
		{ "rubbish", "", "no-prefix", false },
		{ "", "", "no-prefix", false },
		{ "2026-03-03T08:01:11Z mail dovecot: imap-login: Loged in: "
		  "user=<u>, rip=192.0.2.1, lip=192.0.2.2",
		    "dovecot", "unknown-shape", true },
		{ "dovecot: imap-login: Login: user=<u>, method=PLAIN, "
		  "rip=192.0.2.1, lip=192.0.2.2, mpid=4, session=<s>",
		    "", "no-prefix", false },
	};
	struct judge *j;
	struct judged got;
	struct line line;

	(void)state;
	cfg = (struct config){ 0 };
	j = make_judge();
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i].text);
		line = (struct line){ .text = rows[i].text,
			.len = strlen(rows[i].text) };
		judge_line(j, &line, false, NOW, &got);
		assert_string_equal(fate_name(got.fate), rows[i].want);
		assert_string_equal(got.server, rows[i].server);
		assert_int_equal(
		    got.fate == FATE_UNKNOWN_SHAPE, rows[i].unknown);
		assert_int_not_equal(got.fate, FATE_LOGIN);
	}
	line = (struct line){ .text = "", .too_long = true };
	judge_line(j, &line, false, NOW, &got);
	assert_string_equal(fate_name(got.fate), "too-long");
	assert_int_equal(judge_line_time(j, &line, NOW), 0);
	judge_free(&j);
}

/* Senders that may say in the journal that they are dovecot. */
static void
journal_senders(void **state)
{
	static const char msg[] =
	    "imap-login: Login: user=<u>, "
	    "method=PLAIN, rip=192.0.2.1, lip=192.0.2.2, mpid=4, "
	    "session=<s>";
	static const struct {
		const char *name, *program;
		int64_t uid;
		const char *comm, *exe, *unit;
		bool doubtful;
		const char *want;
	} rows[] = {
		{ "dovecot's log process", "dovecot", 0, "log",
		    "/usr/lib/dovecot/log", "dovecot.service", false, "login" },
		{ "logger(1) of a user", "dovecot", 1000, "logger",
		    "/usr/bin/logger", "session-1.scope", false, "forged" },
		{ "logger(1) of root", "dovecot", 0, "logger",
		    "/usr/bin/logger", "session-1.scope", false, "forged" },
		{ "unknown user", "dovecot", -1, "log", "/usr/lib/dovecot/log",
		    "dovecot.service", false, "forged" },
		{ "a process that was gone too soon", "pop3d", 33, NULL, NULL,
		    NULL, false, "forged" },
		{ "root's, who needs no forged line", "dovecot", 0, NULL, NULL,
		    NULL, false, "login" },
		{ "a name and a place that fit", "imapd", 33, "imapd",
		    "/usr/lib/cyrus/bin/imapd", "x.service", false,
		    "unknown-shape" },
		{ "Nix", "imapd", 33, "imapd", "/nix/store/ab-cyrus/bin/imapd",
		    "x.service", false, "unknown-shape" },
		{ "an upgrade", "imapd", 33, "imapd",
		    "/usr/lib/cyrus/bin/imapd (deleted)", "x.service", false,
		    "unknown-shape" },
		/* as /opt/x of a program's own user */
		{ "a directory of /opt that can't be seen", "imapd", 33,
		    "imapd", "/opt/no such directory/imapd", "x.service", false,
		    "forged" },
		{ "that of root's", "imapd", 0, "imapd",
		    "/opt/no such directory/imapd", "x.service", false,
		    "unknown-shape" },
		{ "where www-data may write", "imapd", 33, "imapd",
		    "/run/www/imapd", "x.service", false, "forged" },
		{ "a web root", "imapd", 33, "imapd", "/var/www/imapd",
		    "x.service", false, "forged" },
		{ "an upload", "imapd", 33, "imapd", "/usr/share/x/imapd",
		    "x.service", false, "forged" },
		{ "no path", "imapd", 33, "imapd", "imapd", "x.service", false,
		    "forged" },
		{ "the logger of Courier", "imapd", 0, "courierlogger",
		    "/usr/sbin/courierlogger", "x.service", false,
		    "unknown-shape" },
		{ "the logger of Courier, for anybody", "imapd", 33,
		    "courierlogger", "/usr/sbin/courierlogger", "x.service",
		    false, "forged" },
		{ "own server", "mypopd", 33, "main", "/usr/sbin/mypopd",
		    "x.service", false, "login" },
		{ "own server elsewhere", "mypopd", 33, "mypopd", "/srv/mypopd",
		    "x.service", false, "forged" },
		{ "own server by logger(1)", "mypopd", 33, "logger",
		    "/usr/bin/logger", "x.service", false, "forged" },
		{ "own server of root by logger(1)", "mypopd", 0, "logger",
		    "/usr/bin/logger", "x.service", false, "forged" },
		{ "own server, gone too soon", "mypopd", 33, NULL, NULL, NULL,
		    false, "forged" },
		{ "own server of one of the people", "mypopd", 1000, "mypopd",
		    "/usr/local/sbin/mypopd", "x.service", false, "forged" },
		{ "own unit", "mypyd", 61184, "python3", "/usr/bin/python3.11",
		    "mypyd.service", false, "login" },
		{ "own unit, elsewhere", "mypyd", 33, NULL, "/srv/x",
		    "mypyd.service", false, "login" },
		{ "own unit, in doubt", "mypyd", 33, NULL, "/srv/x",
		    "mypyd.service", true, "forged" },
		{ "another's unit", "mypyd", 33, "mypyd", "/usr/bin/mypyd",
		    "apache2.service", false, "forged" },
		{ "a unit that begins alike", "mypyd", 33, "mypyd",
		    "/usr/bin/mypyd", "mypyd.service.x", false, "forged" },
		{ "no unit", "mypyd", 0, "mypyd", "/usr/bin/mypyd", NULL, false,
		    "forged" },
		{ "own unit for another program", "mypopd", 33, "python3",
		    "/usr/bin/python3.11", "mypyd.service", false, "forged" },
		{ "own rule for a known program", "perdition", 33, "sh",
		    "/usr/bin/sh", "proxy.service", false, "not-a-login" },
		{ "and the others as ever", "perdition", 33, "sh",
		    "/usr/bin/sh", "x.service", false, "forged" },
		{ "own rule without a unit", "couriertcpd", 33, "couriertcpd",
		    "/usr/sbin/couriertcpd", "x.service", false, "forged" },
		{ "two messages in one", "dovecot", 0, "log",
		    "/usr/lib/dovecot/log", "dovecot.service", true, "forged" },
		{ "a program that is no server", "cron", 1000, "x", "/home/x",
		    "user@1000.service", true, "other-program" },
	};
	static char pattern[] = "^imap-login: Login: user=<(?<user>[^>]*)>, "
				"method=PLAIN, rip=(?<ip>[0-9.]+), .*$";
	static char other[] = "^(?<user>.) (?<ip>.)$";
	static char mypopd[] = "mypopd", mypyd[] = "mypyd",
		    perdition[] = "perdition", tcpd[] = "couriertcpd";
	static char own_unit[] = "mypyd.service", proxy[] = "proxy.service";
	struct config_custom custom[] = { { mypopd, pattern, NULL, NULL,
					      false },
		{ mypyd, pattern, own_unit, NULL, false },
		{ perdition, other, proxy, NULL, false },
		{ tcpd, other, NULL, NULL, false } };
	struct judge *j;

	(void)state;
	cfg = (struct config){ 0 };
	cfg.logins.keep_s = KEEP;
	cfg.collector.custom = custom;
	cfg.collector.n_custom = 4;
	j = make_judge();
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i].name);
		const struct line_message m = { .host = "mail",
			.program = rows[i].program,
			.pid = 7,
			.at = NOW - 5,
			.msg = msg,
			.msg_len = sizeof(msg) - 1,
			.uid = rows[i].uid,
			.comm = rows[i].comm,
			.exe = rows[i].exe,
			.unit = rows[i].unit,
			.delivery = DELIVERY_MESSAGE,
			.doubtful = rows[i].doubtful };
		const struct line line = {
			.text = msg, .len = sizeof(msg) - 1, .message = &m
		};
		struct judged got;

		judge_line(j, &line, false, NOW, &got);
		assert_string_equal(fate_name(got.fate), rows[i].want);
		if (got.fate == FATE_LOGIN)
			assert_int_equal(got.login.at, NOW - 5);
		assert_int_equal(judge_line_time(j, &line, NOW), NOW - 5);
	}
	judge_free(&j);
}

/* How an entry came decides, too. */
static void
journal_deliveries(void **state)
{
	static const char msg[] =
	    "imap-login: Login: user=<u>, "
	    "method=PLAIN, rip=192.0.2.1, lip=192.0.2.2, mpid=4, "
	    "session=<s>";
	static char mypopd[] = "mypopd", escapes[] = "escapes",
		    pattern[] = "^imap-login: Login: user=<(?<user>[^>]*)>, "
				"method=PLAIN, rip=(?<ip>[0-9.]+), .*$";
	static const struct {
		const char *program;
		enum line_delivery delivery;
		const char *want;
	} rows[] = {
		{ "dovecot", DELIVERY_MESSAGE, "login" },
		{ "dovecot", DELIVERY_PIECE, "login" },
		{ "dovecot", DELIVERY_CUT, "cut-piece" },
		{ "dovecot", DELIVERY_UNKNOWN, "untrusted-sender" },
		{ "mypopd", DELIVERY_MESSAGE, "login" },
		{ "mypopd", DELIVERY_PIECE, "stream-piece" },
		{ "mypopd", DELIVERY_CUT, "cut-piece" },
		{ "escapes", DELIVERY_MESSAGE, "login" },
		{ "escapes", DELIVERY_PIECE, "login" },
		{ "escapes", DELIVERY_CUT, "cut-piece" },
		{ "escapes", DELIVERY_UNKNOWN, "untrusted-sender" },
	};
	struct config_custom custom[] = { { mypopd, pattern, NULL, NULL,
					      false },
		{ escapes, pattern, NULL, NULL, true } };
	struct judge *j;

	(void)state;
	cfg = (struct config){ 0 };
	cfg.logins.keep_s = KEEP;
	cfg.collector.custom = custom;
	cfg.collector.n_custom = 2;
	j = make_judge();
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s, delivery %d", rows[i].program, (int)rows[i].delivery);
		const struct line_message m = { .host = "mail",
			.program = rows[i].program,
			.pid = 7,
			.at = NOW,
			.msg = msg,
			.msg_len = sizeof(msg) - 1,
			.delivery = rows[i].delivery };
		const struct line line = {
			.text = msg, .len = sizeof(msg) - 1, .message = &m
		};
		struct judged got;

		judge_line(j, &line, false, NOW, &got);
		assert_string_equal(fate_name(got.fate), rows[i].want);
	}
	judge_free(&j);
}

/* A log of another machine, or an old one: all its logins are shown, by the
 * grammars that were asked for. */
static void
replayed(void **state)
{
	static const char user[] = "nobody has this name";
	const struct line old = login_line(NOW - KEEP - 1, "192.0.2.7");
	struct string_list servers = { 0 };
	struct judge_replay replay = { .servers = NULL };
	char *tellers[] = { (char *)user };
	struct judge *j;
	struct judged got;
	struct err err;

	(void)state;
	cfg = (struct config){ 0 };
	cfg.logins.window_s = WINDOW;
	cfg.logins.keep_s = KEEP;
	cfg.relay.ipv6_prefix = 128;
	cfg.collector.login_users = (struct string_list){ tellers, 1 };
	assert_int_equal(judge_new(&cfg, &replay, &j, &err), 0);
	judge_line(j, &old, false, NOW, &got);
	assert_int_equal(got.fate, FATE_LOGIN);
	assert_int_equal(got.login.at, NOW - KEEP - 1);
	judge_free(&j);

	assert_true(string_list_add(&servers, "courier", 7));
	replay.servers = &servers;
	assert_int_equal(judge_new(&cfg, &replay, &j, &err), 0);
	judge_line(j, &old, false, NOW, &got);
	assert_int_equal(got.fate, FATE_OTHER_PROGRAM);
	judge_free(&j);
	string_list_release(&servers);
}

/* A line without a time stamp is good only where a syslog daemon hands it
 * over directly. */
static void
bare_lines(void **state)
{
	static const char text[] =
	    "dovecot[4]: imap-login: Login: user=<u>, "
	    "method=PLAIN, rip=192.0.2.1, lip=192.0.2.2, mpid=4, "
	    "session=<s>";
	const struct line line = { .text = text, .len = sizeof(text) - 1 };
	struct judge *j;
	struct judged got;

	(void)state;
	cfg = (struct config){ 0 };
	cfg.logins.keep_s = KEEP;
	j = make_judge();
	judge_line(j, &line, false, NOW, &got);
	assert_int_not_equal(got.fate, FATE_LOGIN);
	judge_line(j, &line, true, NOW, &got);
	assert_int_equal(got.fate, FATE_LOGIN);
	assert_int_equal(got.login.at, NOW);
	judge_free(&j);
}

/* A mistake that shows only when it is used is named by file, line and key
 * too. */
static void
bad_configuration(void **state)
{
	static const struct {
		const char *text;
		const char *at, *expected; /* behind the file's name */
	} rows[] = {
		{ "relay:\n{\n  local_domains = [ \"a.test\", \"*\" ];\n};",
		    ":3: relay.local_domains: ", "'*': expected a domain" },
		{ "\nrelay: { local_domains = [ \"file:/nonexistent\" ]; };",
		    ":2: relay.local_domains: ",
		    "/nonexistent: No such file or directory" },
		{ "relay: { local_domains = [ \"sendmail:/nonexistent\" ]; };",
		    ":1: relay.local_domains: ",
		    "/nonexistent: No such file or directory" },
		{ "relay: {\nsender_binding = \"domain\";\n"
		  "sender_addresses = [ \"users\" ]; };",
		    ":3: relay.sender_addresses: ", "'users': expected" },
		{ "relay: { sender_binding = \"domain\";\n"
		  "sender_addresses = [ \"file:/nonexistent\" ]; };",
		    ":2: relay.sender_addresses: ",
		    "/nonexistent: No such file or directory" },
		{ "collector: {\nservers = [ \"dovecat\" ]; };",
		    ":2: collector.servers: ", "unknown server \"dovecat\"" },
		{ "collector: { custom = (\n"
		  "{ program = \"p\"; pattern = \"^(?<user>.+) (?<ip>.+)$\"; },"
		  "\n{ program = \"q\";\npattern = \"^(?<user>.+)$\"; } ); };",
		    ":3: collector.custom: ", "it needs the group (?<ip>" },
		{ "collector: { custom = ( { program = \"p\";\n"
		  "pattern = \"^(?<user>.+$\"; } ); };",
		    ":1: collector.custom: ", "a parenthesis is not closed" },
		{ "collector: {\ncustom = ( { program = \"p\"; unit = \"mypopd\";\n"
		  "pattern = \"^(?<user>.+) (?<ip>.+)$\"; } ); };",
		    ":2: collector.custom: ", "unit \"mypopd\": expected" },
		{ "collector: {\ncustom = ( { program = \"p\"; unit = \".service\";\n"
		  "pattern = \"^(?<user>.+) (?<ip>.+)$\"; } ); };",
		    ":2: collector.custom: ", "unit \".service\": expected" },
		{ "collector: {\ncustom = ( { program = \"p\"; unit = \"user@1000.service\";\n"
		  "pattern = \"^(?<user>.+) (?<ip>.+)$\"; } ); };",
		    ":2: collector.custom: ",
		    "unit \"user@1000.service\": expected" },
	};

	(void)state;
	/* directly, and in a file that is included */
	for (size_t i = 0; i < 2 * LENGTH(rows); i++) {
		const char *text = rows[i / 2].text;
		ROW("%s%s", i % 2 ? "included: " : "", text);
		const char *file = unit_file(0, text), *path = file;
		struct facts_lists lists;
		struct config *loaded;
		struct judge *j;
		struct err err;
		char want[200];

		if (i % 2 == 1) {
			(void)snprintf(want, sizeof(want),
			    "\n\n\n\n\n@include \"%s\"\n", file);
			path = unit_file(1, want);
		}
		if (config_load(path, &loaded, &err) == -1)
			fail_msg("%s", err.text);
		assert_false(facts_lists_load(loaded, &lists, &err) == 0 &&
		    judge_new(loaded, NULL, &j, &err) == 0);
		(void)snprintf(
		    want, sizeof(want), "%s%s", file, rows[i / 2].at);
		if (err.code == ERR_NONE ||
		    strncmp(err.text, want, strlen(want)) != 0 ||
		    strstr(err.text, rows[i / 2].expected) == NULL)
			fail_msg("%s\n gave: %s", text, err.text);
		facts_lists_release(&lists);
		config_free(loaded);
		(void)unlink(file);
		(void)unlink(path);
	}
}

static void
machine(void **state)
{
	struct network_set set = { 0 };
	struct addr addr;
	struct err err;

	(void)state;
	assert_int_equal(own_addresses(&set, &err), 0);
	assert_int_equal(own_addresses(&set, &err), 0);
	assert_true(addr_parse_loose("127.0.0.1", &addr));
	assert_true(network_set_contains(&set, &addr));
	assert_true(addr_parse_loose("192.0.2.77", &addr));
	assert_false(network_set_contains(&set, &addr));
	network_set_release(&set);
}

/* A login that is told counts by who tells it, and by the same rules. */
static void
told_logins(void **state)
{
	static char daemon[] = "daemon";
	char *tellers[] = { daemon };
	static char long_name[LOGIN_USER_MAX + 1];
	const struct {
		int64_t uid;
		struct login_datagram told;
		bool bad;
		const char *want;
	} rows[] = { { 0, { "alice", "192.0.2.7", "imap", "dovecot" }, false,
			 "login" },
		{ 1, { "alice", "192.0.2.7", "", "x" }, false, "login" },
		{ 2, { "alice", "192.0.2.7", "imap", "dovecot" }, false,
		    "forged" },
		{ 65534, { "alice", "192.0.2.7", "imap", "dovecot" }, false,
		    "forged" },
		{ -1, { "alice", "192.0.2.7", "imap", "dovecot" }, false,
		    "forged" },
		{ INT64_C(1) << 32, { "alice", "192.0.2.7", "imap", "x" },
		    false, "forged" },
		{ 1000, { NULL, NULL, NULL, NULL }, true, "forged" },
		{ 0, { NULL, NULL, NULL, NULL }, true, "no-prefix" },
		{ 0, { "", "192.0.2.7", "imap", "x" }, false, "no-user" },
		{ 0, { long_name, "192.0.2.7", "imap", "x" }, false,
		    "too-long" },
		{ 0, { "a\nb", "192.0.2.7", "imap", "x" }, false, "bad-user" },
		{ 0, { "Anonymous", "192.0.2.7", "imap", "x" }, false,
		    "anonymous" },
		{ 0, { "a", "192.0.2.07", "imap", "x" }, false, "bad-address" },
		{ 0, { "a", "", "imap", "x" }, false, "bad-address" },
		{ 0, { "a", "mx.test", "imap", "x" }, false, "bad-address" },
		{ 0, { "a", "192.0.2.7", "smtp", "x" }, false,
		    "other-service" },
		{ 0, { "a", "192.0.2.7", "imap", "" }, false, "no-prefix" },
		/* an admin's entries are called so, and count for more */
		{ 0, { "a", "192.0.2.7", "imap", "popgatectl" }, false,
		    "no-prefix" },
		{ 0, { "a", "127.0.0.9", "imap", "x" }, false,
		    "never-authorize" },
		{ 0, { "a", "::ffff:127.0.0.9", "imap", "x" }, false,
		    "never-authorize" },
		{ 0, { "a", "198.51.100.20", "imap", "x" }, false, "proxy" } };
	struct judge *j;

	(void)state;
	memset(long_name, 'x', sizeof(long_name) - 1);
	cfg = (struct config){ 0 };
	cfg.logins.window_s = WINDOW;
	cfg.logins.keep_s = KEEP;
	cfg.relay.ipv6_prefix = 64;
	cfg.collector.login_users.v = tellers;
	cfg.collector.login_users.n = 1;
	add(&cfg.relay.never_authorize, "127.0.0.0/8");
	add(&cfg.relay.proxy_networks, "198.51.100.16/28");
	j = make_judge();
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%zu, user %s, client %s", i, rows[i].told.user,
		    rows[i].told.client);
		const struct line_told told = { .told = rows[i].told,
			.good = !rows[i].bad,
			.uid = rows[i].uid,
			.pid = 7 };
		/* the evidence is for people: never read again */
		struct line line = login_line(NOW, "6.6.6.6");
		struct judged got;

		line.told = &told;
		judge_line(j, &line, true, NOW, &got);
		assert_string_equal(fate_name(got.fate), rows[i].want);
		assert_string_equal(got.server, "post-login");
		assert_int_equal(
		    got.fate == FATE_LOGIN, strcmp(rows[i].want, "login") == 0);
		if (got.fate != FATE_LOGIN)
			continue;
		assert_int_equal(got.login.at, NOW);
		assert_int_equal(got.expires_at, NOW + WINDOW);
		assert_string_equal(got.login.user, "alice");
		assert_string_equal(got.login.server, rows[i].told.server);
		assert_string_equal(got.login.service, rows[i].told.service);
	}
	judge_free(&j);
	network_set_release(&cfg.relay.never_authorize);
	network_set_release(&cfg.relay.proxy_networks);
}

/* Dovecot's line of the end of session s. */
static struct line
end_line(int64_t at)
{
	static char text[200];
	time_t t = (time_t)at;
	char stamp[40];
	struct tm tm;

	(void)gmtime_r(&t, &tm);
	(void)strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ", &tm);
	int n = snprintf(text, sizeof(text),
	    "%s mail dovecot: imap(u)<4><s>: Disconnected: Logged out", stamp);

	return (struct line){ .text = text, .len = (size_t)n };
}

/* A line's word on a session counts where a login would, and only where it is
 * asked for. */
static void
sessions(void **state)
{
	struct judged got;
	struct line line;

	(void)state;
	cfg = (struct config){ 0 };
	cfg.logins.window_s = WINDOW;
	cfg.logins.keep_s = KEEP;
	cfg.logins.session_max_s = 7200;
	cfg.relay.ipv6_prefix = 128;
	add(&cfg.relay.never_authorize, "127.0.0.0/8");
	struct judge *j = make_judge();

	line = login_line(NOW, "192.0.2.7");
	judge_line(j, &line, false, NOW, &got);
	assert_int_equal(got.session.kind, SESSION_NONE);
	line = end_line(NOW);
	judge_line(j, &line, false, NOW, &got);
	assert_int_equal(got.session.kind, SESSION_NONE);

	cfg.logins.sessions = true;
	/* the clock of the server is ahead */
	line = login_line(NOW + 50, "192.0.2.7");
	judge_line(j, &line, false, NOW, &got);
	assert_int_equal(got.session.kind, SESSION_BEGIN);
	assert_string_equal(got.session.id, "s");
	assert_int_equal(got.session_until, NOW + 7200);
	assert_int_equal(got.expires_at, NOW + WINDOW);
	line = login_line(NOW, "127.0.0.5");
	judge_line(j, &line, false, NOW, &got);
	assert_int_equal(got.session.kind, SESSION_NONE);
	line = end_line(NOW + 50);
	judge_line(j, &line, false, NOW, &got);
	assert_int_equal(got.session.kind, SESSION_END);
	assert_int_equal(got.session.at, NOW);
	assert_int_equal(got.session_until, NOW + WINDOW);
	assert_int_equal(got.fate, FATE_NOT_A_LOGIN);
	line = end_line(NOW - KEEP - 1);
	judge_line(j, &line, false, NOW, &got);
	assert_int_equal(got.session.kind, SESSION_NONE);
	judge_free(&j);
	network_set_release(&cfg.relay.never_authorize);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(addresses),
		cmocka_unit_test(sessions), cmocka_unit_test(guesses),
		cmocka_unit_test(zones), cmocka_unit_test(times),
		cmocka_unit_test(other_lines),
		cmocka_unit_test(journal_senders),
		cmocka_unit_test(journal_deliveries),
		cmocka_unit_test(bare_lines), cmocka_unit_test(replayed),
		cmocka_unit_test(told_logins),
		cmocka_unit_test(bad_configuration),
		cmocka_unit_test(machine) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
