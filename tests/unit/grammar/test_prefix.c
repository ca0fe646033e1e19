/* SPDX-License-Identifier: ISC */
/* Tests of prefix.h: every form of time stamp and tag, and what none is. */
#include "tests/unit/unit.h"

#include <time.h>

#include "common/grammar/prefix.h"

enum {
	NOW = 1772550000, /* 2026-03-03 15:00:00 UTC */
	MARCH_3_0700Z = 1772521200 /* 2026-03-03 07:00:00 UTC */
};

static char scratch[PREFIX_SCRATCH];

struct split_row {
	const char *name;
	const char *line;
	enum prefix_form want_form;
	int64_t want_at; /* -1: the date is refused */
	const char *want_host;
	const char *want_program;
	int64_t want_pid;
	const char *want_msg;
};

/* local time is Berlin's: one hour ahead of UTC in March's first weeks */
static const struct split_row split[] = {
	{ .name = "RFC 3164, day padded with a space",
	    .line = "Mar  3 08:00:00 mail dovecot: m x",
	    .want_at = MARCH_3_0700Z,
	    .want_host = "mail",
	    .want_program = "dovecot",
	    .want_pid = -1,
	    .want_msg = "m x" },
	{ .name = "RFC 3164, day padded with a zero, pid",
	    .line = "Mar 03 08:00:01 mail.example.org dovecot[812]: m",
	    .want_at = MARCH_3_0700Z + 1,
	    .want_host = "mail.example.org",
	    .want_program = "dovecot",
	    .want_pid = 812,
	    .want_msg = "m" },
	{ .name = "RFC 3164 with PRI",
	    .line = "<22>Mar  3 08:00:00 mail dovecot: m",
	    .want_at = MARCH_3_0700Z,
	    .want_host = "mail",
	    .want_program = "dovecot",
	    .want_pid = -1,
	    .want_msg = "m" },
	{ .name = "RFC 3164 with fraction",
	    .line = "Mar  3 08:00:00.123456 mail dovecot: m",
	    .want_at = MARCH_3_0700Z,
	    .want_host = "mail",
	    .want_program = "dovecot",
	    .want_pid = -1,
	    .want_msg = "m" },
	{ .name = "RFC 3164, day without its blank",
	    .line = "Mar 3 08:00:00 mail dovecot: m x",
	    .want_at = MARCH_3_0700Z,
	    .want_host = "mail",
	    .want_program = "dovecot",
	    .want_pid = -1,
	    .want_msg = "m x" },
	{ .name = "the same, with a fraction",
	    .line = "Mar 3 08:00:00.5 mail dovecot: m",
	    .want_at = MARCH_3_0700Z,
	    .want_host = "mail",
	    .want_program = "dovecot",
	    .want_pid = -1,
	    .want_msg = "m" },
	{ .name = "macOS",
	    .line = "Mar  3 08:00:00 mac dovecot[812] <Info>: m",
	    .want_at = MARCH_3_0700Z,
	    .want_host = "mac",
	    .want_program = "dovecot",
	    .want_pid = 812,
	    .want_msg = "m" },
	{ .name = "journalctl -o short-full, our zone",
	    .line = "Tue 2026-03-03 08:00:00 CET mail dovecot[812]: m",
	    .want_at = MARCH_3_0700Z,
	    .want_host = "mail",
	    .want_program = "dovecot",
	    .want_pid = 812,
	    .want_msg = "m" },
	{ .name = "journalctl -o short-full --utc",
	    .line = "Tue 2026-03-03 07:00:00 UTC mail dovecot[812]: m",
	    .want_at = MARCH_3_0700Z,
	    .want_host = "mail",
	    .want_program = "dovecot",
	    .want_pid = 812,
	    .want_msg = "m" },
	{ .name = "journalctl -o short-full, a zone without a name",
	    .line = "Tue 2026-03-03 04:00:00 -03 mail dovecot[812]: m",
	    .want_at = MARCH_3_0700Z,
	    .want_host = "mail",
	    .want_program = "dovecot",
	    .want_pid = 812,
	    .want_msg = "m" },
	{ .name = "journalctl -o short-full, somebody else's zone",
	    .line = "Tue 2026-03-03 02:00:00 EST mail dovecot[812]: m",
	    .want_at = -1,
	    .want_host = "mail",
	    .want_program = "dovecot",
	    .want_pid = 812,
	    .want_msg = "m" },
	{ .name = "journalctl -o short-full, a zone of one meaning",
	    .line = "Tue 2026-03-03 10:00:00 MSK mail dovecot[812]: m",
	    .want_at = MARCH_3_0700Z,
	    .want_host = "mail",
	    .want_program = "dovecot",
	    .want_pid = 812,
	    .want_msg = "m" },
	{ .name = "journalctl -o with-unit",
	    .line = "Tue 2026-03-03 08:00:00 CET mail dovecot.service[812]: m",
	    .want_at = MARCH_3_0700Z,
	    .want_host = "mail",
	    .want_program = "dovecot",
	    .want_pid = 812,
	    .want_msg = "m" },
	{ .name = "journalctl -o with-unit, a user's unit",
	    .line =
		"Tue 2026-03-03 08:00:00 CET mail user@1000.service/dovecot.service[812]: m",
	    .want_at = MARCH_3_0700Z,
	    .want_host = "mail",
	    .want_program = "user@1000.service/dovecot",
	    .want_pid = 812,
	    .want_msg = "m" },
	{ .name = "a tag like a unit elsewhere",
	    .line = "Mar  3 08:00:00 mail dovecot.service[812]: m",
	    .want_at = MARCH_3_0700Z,
	    .want_host = "mail",
	    .want_program = "dovecot.service",
	    .want_pid = 812,
	    .want_msg = "m" },
	{ .name = "syslog-ng's full date",
	    .line = "2026 Mar  3 08:00:00 mail dovecot[812]: m",
	    .want_at = MARCH_3_0700Z,
	    .want_host = "mail",
	    .want_program = "dovecot",
	    .want_pid = 812,
	    .want_msg = "m" },
	{ .name = "syslog-ng's full date, no such month",
	    .line = "2026 Mrz  3 08:00:00 mail dovecot[812]: m",
	    .want_at = -1,
	    .want_host = "mail",
	    .want_program = "dovecot",
	    .want_pid = 812,
	    .want_msg = "m" },
	{ .name = "journalctl -o short-unix",
	    .line = "1772521200.123456 mail dovecot[812]: m",
	    .want_at = MARCH_3_0700Z,
	    .want_host = "mail",
	    .want_program = "dovecot",
	    .want_pid = 812,
	    .want_msg = "m" },
	{ .name = "Docker's json-file: a syslog daemon in the container",
	    .line =
		"{\"log\":\"Mar  3 09:30:00 mail dovecot[812]: m \\u003cx\\u003e"
		"\\n\",\"stream\":\"stdout\","
		"\"time\":\"2026-03-03T07:00:00.1Z\"}",
	    .want_at = MARCH_3_0700Z,
	    .want_host = "mail",
	    .want_program = "dovecot",
	    .want_pid = 812,
	    .want_msg = "m <x>" },
	{ .name = "Docker's json-file, with labels: dovecot's own output",
	    .line = "{\"log\":\"imap-login: Info: m\\n\",\"stream\":\"stderr\","
		    "\"attrs\":{\"a\":\"b\",\"c\":\"d\"},"
		    "\"time\":\"2026-03-03T07:00:00.1Z\"}",
	    .want_form = PREFIX_OWN_FILE,
	    .want_at = MARCH_3_0700Z,
	    .want_host = "",
	    .want_program = "dovecot",
	    .want_pid = -1,
	    .want_msg = "imap-login: Info: m" },
	{ .name = "CRI: the container's clock is in another zone",
	    .line = "2026-03-03T07:00:00.123456789Z stderr F "
		    "Mar  3 16:00:00 imap-login: Info: m",
	    .want_form = PREFIX_OWN_FILE,
	    .want_at = MARCH_3_0700Z,
	    .want_host = "",
	    .want_program = "dovecot",
	    .want_pid = -1,
	    .want_msg = "imap-login: Info: m" },
	{ .name = "CRI, with a tag more",
	    .line = "2026-03-03T08:00:00+01:00 stdout F:x "
		    "2026-03-03T07:00:00Z mail dovecot: m",
	    .want_at = MARCH_3_0700Z,
	    .want_host = "mail",
	    .want_program = "dovecot",
	    .want_pid = -1,
	    .want_msg = "m" },
	{ .name = "docker logs -t",
	    .line = "2026-03-03T07:00:00.1Z Mar  3 16:00:00 mail dovecot: m",
	    .want_at = MARCH_3_0700Z,
	    .want_host = "mail",
	    .want_program = "dovecot",
	    .want_pid = -1,
	    .want_msg = "m" },
	{ .name = "docker logs -t, the line's own stamp in RFC 3339",
	    .line = "2026-03-03T07:00:00.1Z 2026-03-03T09:00:00+01:00 mail "
		    "dovecot: m",
	    .want_at = MARCH_3_0700Z,
	    .want_host = "mail",
	    .want_program = "dovecot",
	    .want_pid = -1,
	    .want_msg = "m" },
	{ .name = "docker compose logs: no time of its own",
	    .line = "mail_dovecot-1.x  | Mar  3 08:00:00 mail dovecot: m",
	    .want_at = MARCH_3_0700Z,
	    .want_host = "mail",
	    .want_program = "dovecot",
	    .want_pid = -1,
	    .want_msg = "m" },
	{ .name = "docker service logs",
	    .line = "mail_dovecot.1.x0y1z2@Node-A    | "
		    "Mar  3 08:00:00 mail dovecot: m",
	    .want_at = MARCH_3_0700Z,
	    .want_host = "mail",
	    .want_program = "dovecot",
	    .want_pid = -1,
	    .want_msg = "m" },
	{ .name = "multilog's file through tai64nlocal",
	    .line = "2026-03-03 08:00:00.395505500 INFO: m",
	    .want_form = PREFIX_OWN_FILE,
	    .want_at = MARCH_3_0700Z,
	    .want_host = "",
	    .want_program = "courierlogger",
	    .want_pid = -1,
	    .want_msg = "INFO: m" },
	{ .name = "docker compose logs -t",
	    .line = "dovecot-1  | 2026-03-03T07:00:00Z Mar  3 01:00:00 mail "
		    "dovecot: m",
	    .want_at = MARCH_3_0700Z,
	    .want_host = "mail",
	    .want_program = "dovecot",
	    .want_pid = -1,
	    .want_msg = "m" },
	{ .name = "with year",
	    .line = "Mar  3 2025 08:00:00 mail dovecot: m",
	    .want_at = 1740985200,
	    .want_host = "mail",
	    .want_program = "dovecot",
	    .want_pid = -1,
	    .want_msg = "m" },
	{ .name = "RFC 3339, fraction and zone",
	    .line = "2026-03-03T08:00:00.123456+01:00 mail dovecot: m",
	    .want_at = MARCH_3_0700Z,
	    .want_host = "mail",
	    .want_program = "dovecot",
	    .want_pid = -1,
	    .want_msg = "m" },
	{ .name = "RFC 3339, west of Greenwich",
	    .line = "2026-03-03T02:30:00-04:30 mail dovecot: m",
	    .want_at = MARCH_3_0700Z,
	    .want_host = "mail",
	    .want_program = "dovecot",
	    .want_pid = -1,
	    .want_msg = "m" },
	{ .name = "RFC 3339, Z",
	    .line = "2026-03-03T07:00:00Z mail dovecot[1]: m",
	    .want_at = MARCH_3_0700Z,
	    .want_host = "mail",
	    .want_program = "dovecot",
	    .want_pid = 1,
	    .want_msg = "m" },
	{ .name = "journalctl's short-iso",
	    .line = "2026-03-03T08:00:00+0100 mail dovecot[1]: m",
	    .want_at = MARCH_3_0700Z,
	    .want_host = "mail",
	    .want_program = "dovecot",
	    .want_pid = 1,
	    .want_msg = "m" },
	{ .name = "ISO 8601 with a space, local time",
	    .line = "2026-03-03 08:00:00 mail dovecot[1]: m",
	    .want_at = MARCH_3_0700Z,
	    .want_host = "mail",
	    .want_program = "dovecot",
	    .want_pid = 1,
	    .want_msg = "m" },
	{ .name = "RFC 5424",
	    .line = "<22>1 2026-03-03T07:00:00.000Z mail dovecot 812 - - m",
	    .want_at = MARCH_3_0700Z,
	    .want_host = "mail",
	    .want_program = "dovecot",
	    .want_pid = 812,
	    .want_msg = "m" },
	{ .name = "RFC 5424, structured data, BOM, no pid",
	    .line =
		"<22>1 2026-03-03T07:00:00Z mail dovecot - ID47 [meta "
		"sequenceId=\"31\" x=\"a \\\"b\\] ]\"][y@1 z=\"\"] \xEF\xBB\xBFm",
	    .want_at = MARCH_3_0700Z,
	    .want_host = "mail",
	    .want_program = "dovecot",
	    .want_pid = -1,
	    .want_msg = "m" },
	{ .name = "RFC 5424, rsyslog's two spaces",
	    .line = "<22>1 2026-03-03T07:00:00Z mail cyrus/imaps 1 - -  m",
	    .want_at = MARCH_3_0700Z,
	    .want_host = "mail",
	    .want_program = "cyrus/imaps",
	    .want_pid = 1,
	    .want_msg = "m" },
	{ .name = "Solaris's message id",
	    .line = "Mar  3 08:00:00 sun ipop3d[9]: [ID 210418 mail.info] m",
	    .want_at = MARCH_3_0700Z,
	    .want_host = "sun",
	    .want_program = "ipop3d",
	    .want_pid = 9,
	    .want_msg = "m" },
	{ .name = "what only begins like Solaris's message id",
	    .line = "Mar  3 08:00:00 sun ipop3d[9]: [ID x] m",
	    .want_at = MARCH_3_0700Z,
	    .want_host = "sun",
	    .want_program = "ipop3d",
	    .want_pid = 9,
	    .want_msg = "[ID x] m" },
	{ .name = "FreeBSD syslogd -vv",
	    .line = "Mar  3 08:00:00 <mail.info> mail dovecot[915]: m",
	    .want_at = MARCH_3_0700Z,
	    .want_host = "mail",
	    .want_program = "dovecot",
	    .want_pid = 915,
	    .want_msg = "m" },
	{ .name = "busybox",
	    .line = "Mar  3 08:00:00 mail mail.info dovecot: m",
	    .want_at = MARCH_3_0700Z,
	    .want_host = "mail",
	    .want_program = "dovecot",
	    .want_pid = -1,
	    .want_msg = "m" },
	{ .name = "metalog",
	    .line = "Mar  3 08:00:00 [imapd] m",
	    .want_at = MARCH_3_0700Z,
	    .want_host = "",
	    .want_program = "imapd",
	    .want_pid = -1,
	    .want_msg = "m" },
	{ .name = "metalog with colon",
	    .line = "Mar  3 08:00:00 [imapd]: m",
	    .want_at = MARCH_3_0700Z,
	    .want_host = "",
	    .want_program = "imapd",
	    .want_pid = -1,
	    .want_msg = "m" },
	{ .name = "Qpopper's own file by process id",
	    .line = "Tue Mar 03 08:00:00 2026 [123]  Stats: m",
	    .want_form = PREFIX_OWN_FILE,
	    .want_at = MARCH_3_0700Z,
	    .want_host = "",
	    .want_program = "popper",
	    .want_pid = -1,
	    .want_msg = "Stats: m" },
	{ .name = "multilog, Dovecot",
	    .line = "@4000000069a686fa1dcd6500 imap-login: Info: m",
	    .want_form = PREFIX_OWN_FILE,
	    .want_at = MARCH_3_0700Z,
	    .want_host = "",
	    .want_program = "dovecot",
	    .want_pid = -1,
	    .want_msg = "imap-login: Info: m" },
	{ .name = "multilog, Courier",
	    .line = "@4000000069a686fa1dcd6500 INFO: m",
	    .want_form = PREFIX_OWN_FILE,
	    .want_at = MARCH_3_0700Z,
	    .want_host = "",
	    .want_program = "courierlogger",
	    .want_pid = -1,
	    .want_msg = "INFO: m" },
	{ .name = "Dovecot 2's own file",
	    .line = "Mar 03 08:00:00 pop3-login: Info: m",
	    .want_form = PREFIX_OWN_FILE,
	    .want_at = MARCH_3_0700Z,
	    .want_host = "",
	    .want_program = "dovecot",
	    .want_pid = -1,
	    .want_msg = "pop3-login: Info: m" },
	{ .name = "Dovecot 2's own file, other time format",
	    .line = "2026-03-03 08:00:00 imap-login: Info: m",
	    .want_form = PREFIX_OWN_FILE,
	    .want_at = MARCH_3_0700Z,
	    .want_host = "",
	    .want_program = "dovecot",
	    .want_pid = -1,
	    .want_msg = "imap-login: Info: m" },
	{ .name = "Dovecot 1's own file",
	    .line = "dovecot: Mar 03 08:00:00 Info: imap-login: m",
	    .want_form = PREFIX_OWN_FILE,
	    .want_at = MARCH_3_0700Z,
	    .want_host = "",
	    .want_program = "dovecot",
	    .want_pid = -1,
	    .want_msg = "Info: imap-login: m" },
	{ .name = "Dovecot before 1.0",
	    .line = "imap-login: Mar 03 08:00:00 Info: m",
	    .want_form = PREFIX_OWN_FILE,
	    .want_at = MARCH_3_0700Z,
	    .want_host = "",
	    .want_program = "imap-login",
	    .want_pid = -1,
	    .want_msg = "Info: m" },
	{ .name = "Zimbra's own file",
	    .line = "2026-03-03 08:00:00,120 INFO  [t] [c] m",
	    .want_form = PREFIX_OWN_FILE,
	    .want_at = MARCH_3_0700Z,
	    .want_host = "",
	    .want_program = "zimbra",
	    .want_pid = -1,
	    .want_msg = "INFO  [t] [c] m" },
	{ .name = "Stalwart's own file",
	    .line = "2026-03-03T07:00:00Z INFO m (x) y = 1",
	    .want_form = PREFIX_OWN_FILE,
	    .want_at = MARCH_3_0700Z,
	    .want_host = "",
	    .want_program = "stalwart",
	    .want_pid = -1,
	    .want_msg = "INFO m (x) y = 1" },
	{ .name = "nginx's own file",
	    .line = "2026/03/03 08:00:00 [info] 1#0: m",
	    .want_form = PREFIX_NGINX_FILE,
	    .want_at = MARCH_3_0700Z,
	    .want_host = "",
	    .want_program = "nginx",
	    .want_pid = -1,
	    .want_msg = "2026/03/03 08:00:00 [info] 1#0: m" },
	{ .name = "journald",
	    .line =
		"{\"__REALTIME_TIMESTAMP\":\"1772521200999999\",\"_HOSTNAME\":"
		"\"mail\",\"SYSLOG_IDENTIFIER\":\"dovecot\",\"_PID\":\"7\","
		"\"MESSAGE\":\"a \\\"b\\\" \\u00e4\\ud83d\\ude00\\/\"}",
	    .want_form = PREFIX_JOURNAL,
	    .want_at = MARCH_3_0700Z,
	    .want_host = "mail",
	    .want_program = "dovecot",
	    .want_pid = 7,
	    .want_msg = "a \"b\" \xC3\xA4\xF0\x9F\x98\x80/" },
	{ .name = "journald, no identifier, message of bytes",
	    .line = "{ \"MESSAGE\" : [ 97, 255, 98 ], \"_COMM\" : \"log\", "
		    "\"SYSLOG_PID\":\"5\", \"_PID\":\"7\", "
		    "\"__REALTIME_TIMESTAMP\" : 1772521200000000 }",
	    .want_form = PREFIX_JOURNAL,
	    .want_at = MARCH_3_0700Z,
	    .want_host = "",
	    .want_program = "log",
	    .want_pid = 5,
	    .want_msg = "a\xFF"
			"b" },
	{ .name = "leap second",
	    .line = "2026-03-03T06:59:60Z mail x: m",
	    .want_at = MARCH_3_0700Z,
	    .want_host = "mail",
	    .want_program = "x",
	    .want_pid = -1,
	    .want_msg = "m" },
	{ .name = "tag and nothing else",
	    .line = "Mar  3 08:00:00 mail x:",
	    .want_at = MARCH_3_0700Z,
	    .want_host = "mail",
	    .want_program = "x",
	    .want_pid = -1,
	    .want_msg = "" },
	/* dates that don't exist */
	{ .name = "29 February 2025",
	    .line = "Feb 29 2025 08:00:00 mail x: m",
	    .want_at = -1,
	    .want_host = "mail",
	    .want_program = "x",
	    .want_pid = -1,
	    .want_msg = "m" },
	{ .name = "29 February 2024",
	    .line = "Feb 29 2024 08:00:00 mail x: m",
	    .want_at = 1709190000,
	    .want_host = "mail",
	    .want_program = "x",
	    .want_pid = -1,
	    .want_msg = "m" },
	{ .name = "29 February 1900 in words of RFC 3339",
	    .line = "1900-02-29T08:00:00Z mail x: m",
	    .want_at = -1,
	    .want_host = "mail",
	    .want_program = "x",
	    .want_pid = -1,
	    .want_msg = "m" },
	{ .name = "31 April",
	    .line = "Apr 31 2025 08:00:00 mail x: m",
	    .want_at = -1,
	    .want_host = "mail",
	    .want_program = "x",
	    .want_pid = -1,
	    .want_msg = "m" },
	{ .name = "day 0",
	    .line = "Mar  0 08:00:00 mail x: m",
	    .want_at = -1,
	    .want_host = "mail",
	    .want_program = "x",
	    .want_pid = -1,
	    .want_msg = "m" },
	{ .name = "no such month",
	    .line = "Mrz  3 08:00:00 mail x: m",
	    .want_at = -1,
	    .want_host = "mail",
	    .want_program = "x",
	    .want_pid = -1,
	    .want_msg = "m" },
	{ .name = "hour 24",
	    .line = "2026-03-03T24:00:00Z mail x: m",
	    .want_at = -1,
	    .want_host = "mail",
	    .want_program = "x",
	    .want_pid = -1,
	    .want_msg = "m" },
	{ .name = "letters for digits",
	    .line = "Mar  3 08:0a:00 mail x: m",
	    .want_at = -1,
	    .want_host = "mail",
	    .want_program = "x",
	    .want_pid = -1,
	    .want_msg = "m" },
	{ .name = "zone out of this world",
	    .line = "2026-03-03T07:00:00+99:00 mail x: m",
	    .want_at = -1,
	    .want_host = "mail",
	    .want_program = "x",
	    .want_pid = -1,
	    .want_msg = "m" },
	{ .name = "journald without time",
	    .line = "{\"SYSLOG_IDENTIFIER\":\"x\",\"MESSAGE\":\"m\"}",
	    .want_form = PREFIX_JOURNAL,
	    .want_at = -1,
	    .want_host = "",
	    .want_program = "x",
	    .want_pid = -1,
	    .want_msg = "m" },
};

static void
assert_span(struct span got, const char *want)
{
	size_t len = strlen(want);

	if (span_len(got) != len || memcmp(got.p, want, len) != 0)
		fail_msg("got \"%.*s\", want \"%s\"", (int)span_len(got), got.p,
		    want);
}

static void
line_is_split(void **state)
{
	const struct split_row *row = *state;
	struct prefix_clock clock = { .limit_known = false };
	struct prefix got;
	int64_t got_at = 0;

	assert_int_equal(
	    prefix_split(row->line, strlen(row->line), false, &got, scratch),
	    PREFIX_OK);
	assert_int_equal(got.form, row->want_form);
	assert_span(got.host, row->want_host);
	assert_span(got.program, row->want_program);
	assert_int_equal(got.pid, row->want_pid);
	assert_span(got.msg, row->want_msg);
	if (row->want_at == -1) {
		assert_false(prefix_time(&got, NOW, &clock, &got_at));
		return;
	}
	/* the second time from the cache */
	for (int i = 0; i < 2; i++) {
		assert_true(prefix_time(&got, NOW, &clock, &got_at));
		assert_int_equal(got_at, row->want_at);
	}
}

struct refused_row {
	const char *name;
	const char *line;
	enum prefix_result want;
};

static const struct refused_row refused[] = {
	{ "nothing", "", PREFIX_UNKNOWN },
	{ "only a stamp", "Mar  3 08:00:00 ", PREFIX_UNKNOWN },
	{ "stamp and host", "Mar  3 08:00:00 mail", PREFIX_UNKNOWN },
	{ "no tag", "Mar  3 08:56:40 mail last message repeated 4 times",
	    PREFIX_UNKNOWN },
	{ "syslogd's restart", "Mar  3 08:56:40 mail syslogd restart",
	    PREFIX_UNKNOWN },
	{ "no host", "Mar  3 08:00:00 dovecot: m", PREFIX_UNKNOWN },
	{ "another program's own file",
	    "2026-03-03 08:00:00.395 INFO: LOGIN, user=a, ip=[192.0.2.1]",
	    PREFIX_UNKNOWN },
	{ "the same, by ISO 8601",
	    "2026-03-03T08:00:00.395505500 INFO: LOGIN, user=a, ip=[192.0.2.1]",
	    PREFIX_UNKNOWN },
	{ "full date, no host", "2026 Mar  3 08:00:00 dovecot: m",
	    PREFIX_UNKNOWN },
	{ "no host but a pid", "Mar  3 08:00:00 dovecot[7]: m",
	    PREFIX_UNKNOWN },
	{ "pid open", "Mar  3 08:00:00 mail dovecot[7: m", PREFIX_UNKNOWN },
	{ "pid empty", "Mar  3 08:00:00 mail dovecot[]: m", PREFIX_UNKNOWN },
	{ "pid of letters", "Mar  3 08:00:00 mail dovecot[x]: m",
	    PREFIX_UNKNOWN },
	{ "pid without colon", "Mar  3 08:00:00 mail dovecot[7] m",
	    PREFIX_UNKNOWN },
	{ "no space behind the tag", "Mar  3 08:00:00 mail dovecot:m",
	    PREFIX_UNKNOWN },
	{ "a second host", "Mar  3 08:00:00 mail other dovecot: m",
	    PREFIX_UNKNOWN },
	{ "a priority that is none", "Mar  3 08:00:00 mail mail.1 dovecot: m",
	    PREFIX_UNKNOWN },
	{ "AIX, unconfirmed", "Mar  3 08:00:00 mail mail:info dovecot[9]: m",
	    PREFIX_UNKNOWN },
	{ "PRI open", "<22 Mar  3 08:00:00 mail dovecot: m", PREFIX_UNKNOWN },
	{ "PRI before TAI64N", "<22>@4000000069a686fa1dcd6500 imap-login: m",
	    PREFIX_UNKNOWN },
	{ "TAI64N too short", "@4000000069a686fa1dcd650 imap-login: m x y z",
	    PREFIX_UNKNOWN },
	{ "TAI64N, somebody else's output",
	    "@4000000069a686fa1dcd6500 imapd: m", PREFIX_UNKNOWN },
	{ "RFC 5424, no program", "<22>1 2026-03-03T07:00:00Z mail - 812 - - m",
	    PREFIX_UNKNOWN },
	{ "RFC 5424, data open",
	    "<22>1 2026-03-03T07:00:00Z mail dovecot 812 - [a b=\"]\" m",
	    PREFIX_UNKNOWN },
	{ "RFC 5424, no data",
	    "<22>1 2026-03-03T07:00:00Z mail dovecot 812 - m", PREFIX_UNKNOWN },
	{ "RFC 5424, no time", "<22>1 - mail dovecot 812 - - m",
	    PREFIX_UNKNOWN },
	{ "fraction without digits", "2026-03-03T07:00:00. mail dovecot: m",
	    PREFIX_UNKNOWN },
	{ "journalctl -o cat", "imap-login: Login: user=<a>", PREFIX_UNKNOWN },
	{ "a comma behind the stamp",
	    "2026-03-03T08:51:17.530Z,00000000000a1b2c,2,198.51.100.5:143",
	    PREFIX_UNKNOWN },
	{ "JSON cut", "{\"MESSAGE\":\"m\"", PREFIX_UNKNOWN },
	{ "JSON without message", "{\"SYSLOG_IDENTIFIER\":\"x\"}",
	    PREFIX_UNKNOWN },
	{ "JSON string open", "{\"MESSAGE\":\"m}", PREFIX_UNKNOWN },
	{ "JSON with a raw control", "{\"MESSAGE\":\"m\tn\"}", PREFIX_UNKNOWN },
	{ "JSON with half a surrogate", "{\"MESSAGE\":\"\\ud83d m\"}",
	    PREFIX_UNKNOWN },
	{ "JSON with an unknown escape", "{\"MESSAGE\":\"\\x41\"}",
	    PREFIX_UNKNOWN },
	{ "JSON within JSON", "{\"MESSAGE\":\"m\",\"A\":{\"b\":\"c\"}}",
	    PREFIX_UNKNOWN },
	{ "JSON with two objects", "{\"MESSAGE\":\"m\"}{\"MESSAGE\":\"m\"}",
	    PREFIX_UNKNOWN },
	{ "JSON byte too large", "{\"MESSAGE\":[97,256]}", PREFIX_CONTRADICTS },
	{ "JSON, two messages", "{\"MESSAGE\":\"m\",\"MESSAGE\":\"n\"}",
	    PREFIX_CONTRADICTS },
	{ "JSON, two messages in an array", "{\"MESSAGE\":[\"m\",\"n\"]}",
	    PREFIX_CONTRADICTS },
	{ "JSON, two identifiers",
	    "{\"MESSAGE\":\"m\",\"SYSLOG_IDENTIFIER\":[\"a\",\"b\"]}",
	    PREFIX_CONTRADICTS },
	{ "JSON, a user id that is none",
	    "{\"MESSAGE\":\"m\",\"_UID\":\"root\"}", PREFIX_CONTRADICTS },
};

static void
line_is_refused(void **state)
{
	const struct refused_row *row = *state;
	struct prefix got;

	assert_int_equal(
	    prefix_split(row->line, strlen(row->line), false, &got, scratch),
	    row->want);
}

/* Every start of every good line, and every good line with a byte changed:
 * nothing may be read outside of it (for the sanitizers). */
static void
no_start_of_a_line_does_harm(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(split); i++) {
		size_t full = strlen(split[i].line);

		for (size_t len = 0; len <= full; len++) {
			struct prefix_clock clock = { .limit_known = false };
			struct prefix got;
			int64_t at;
			/* exactly as long, so that a byte more is seen */
			char *line = malloc(len + (len == 0));

			assert_non_null(line);
			memcpy(line, split[i].line, len);
			if (prefix_split(line, len, true, &got, scratch) ==
			    PREFIX_OK)
				(void)prefix_time(&got, NOW, &clock, &at);
			(void)prefix_peek_tag(line, len);
			if (len > 0) {
				line[len / 2] ^= 0x20;
				(void)prefix_split(
				    line, len, false, &got, scratch);
			}
			free(line);
		}
	}
}

/* The quick look must find the tag where the thorough one does. */
static void
quick_look_agrees(void **state)
{
	unsigned seen = 0;

	(void)state;
	for (size_t i = 0; i < LENGTH(split); i++) {
		ROW("%s", split[i].name);
		const char *line = split[i].line;
		const char *tag = prefix_peek_tag(line, strlen(line));
		struct prefix got;

		assert_int_equal(
		    prefix_split(line, strlen(line), false, &got, scratch),
		    PREFIX_OK);
		if (tag == NULL || strcmp(split[i].name, "busybox") == 0)
			continue;
		assert_ptr_equal(tag, got.program.p);
		seen++;
	}
	assert_true(seen >= 6);
}

struct year_row {
	const char *stamp;
	int64_t now;
	int64_t want_at; /* -1: refused */
};

static void
year_is_chosen(void **state)
{
	static const struct year_row rows[] = {
		/* now: 2026-01-01 00:30 Berlin */
		{ "Dec 31 23:59:59", 1767223800, 1767221999 },
		{ "Jan  1 00:10:00", 1767223800, 1767222600 },
		/* a clock that is ahead by less than a day, and by more */
		{ "Jan  2 00:29:00", 1767223800, 1767310140 },
		{ "Jan  2 00:31:00", 1767223800, 1735774260 },
		/* now: 2025-12-31 23:30 Berlin: tomorrow is next year */
		{ "Jan  1 00:10:00", 1767220200, 1767222600 },
		{ "Jan  2 00:10:00", 1767220200, 1735773000 },
		/* now: 2028-02-29 12:00 Berlin, and 2027-03-01: no such day */
		{ "Feb 29 08:00:00", 1835434800, 1835420400 },
		{ "Feb 29 08:00:00", 1803898800, -1 },
		/* now: 2029-01-10: the last such day was in 2028 */
		{ "Feb 29 08:00:00", 1862730000, 1835420400 },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%zu, %.15s, read at %" PRId64, i, rows[i].stamp,
		    rows[i].now);
		struct prefix_clock clock = { .limit_known = false };
		struct prefix p = {
			.stamp = STAMP_BSD,
			.time = span_of(rows[i].stamp, 15),
		};
		int64_t at = 0;
		bool ok = prefix_time(&p, rows[i].now, &clock, &at);

		assert_int_equal(ok ? at : -1, rows[i].want_at);
	}
}

static int64_t
local_at(struct prefix_clock *clock, const char *stamp)
{
	struct prefix p = {
		.stamp = STAMP_BSD_YEAR,
		.time = span_of(stamp, 20),
	};
	int64_t at = 0;

	assert_true(prefix_time(&p, NOW, clock, &at));
	return at;
}

/* Berlin 2026: 29 March 02:00 -> 03:00, 25 October 03:00 -> 02:00 */
static void
clock_changes_cost_an_hour_at_most(void **state)
{
	struct prefix_clock clock = { .limit_known = false };
	int64_t got;

	(void)state;
	assert_int_equal(local_at(&clock, "Mar 29 2026 01:59:59"), 1774745999);
	assert_int_equal(local_at(&clock, "Mar 29 2026 03:00:00"), 1774746000);
	got = local_at(&clock, "Mar 29 2026 02:30:00");
	assert_true(got >= 1774746000 - 1800 && got <= 1774746000 + 1800);
	assert_int_equal(local_at(&clock, "Oct 25 2026 01:59:59"), 1792886399);
	got = local_at(&clock, "Oct 25 2026 02:30:00");
	assert_true(got == 1792888200 || got == 1792888200 + 3600);
	assert_int_equal(local_at(&clock, "Oct 25 2026 03:00:00"), 1792893600);
}

/* A stamp that lacks a byte, or has another one in its place, is no time: a
 * login is never dated by half a stamp. */
static void
half_a_stamp_is_none(void **state)
{
	static const struct {
		enum prefix_stamp stamp;
		const char *text;
		const char *any; /* under a byte that may be any: "x" */
		size_t least; /* so much of it is a stamp, too; 0: not so */
	} rows[] = {
		{ STAMP_BSD, "Mar  3 08:00:00", "", 0 },
		{ STAMP_BSD, "Mar 13 08:00:00", "", 0 },
		{ STAMP_BSD, "Mar 3 08:00:00", "", 0 },
		{ STAMP_BSD_YEAR, "Mar  3 2026 08:00:00", "", 0 },
		{ STAMP_YEAR_BSD, "2026 Mar  3 08:00:00", "", 0 },
		{ STAMP_CTIME, "Tue Mar  3 08:00:00 2026", "xxxx", 0 },
		{ STAMP_ISO, "2026-03-03T08:00:00", "          x", 0 },
		{ STAMP_ISO, "2026-03-03T08:00:00Z", "          x", 19 },
		{ STAMP_ISO, "2026-03-03T08:00:00+01:00", "          x", 19 },
		{ STAMP_ISO, "2026-03-03T08:00:00-0130", "          x", 19 },
		{ STAMP_SLASH, "2026/03/03 08:00:00", "", 0 },
		{ STAMP_FULL, "2026-03-03 08:00:00 UTC", "          x", 0 },
		{ STAMP_FULL, "2026-03-03 08:00:00 GMT", "          x", 0 },
		{ STAMP_FULL, "2026-03-03 08:00:00 MSK", "          x", 0 },
		{ STAMP_FULL, "2026-03-03 08:00:00 +03", "          x", 0 },
		{ STAMP_FULL, "2026-03-03 08:00:00 -11", "          x", 0 },
	};
	int64_t at;

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		size_t len = strlen(rows[i].text);
		char text[40];

		for (size_t n = 0; n <= len; n++) {
			struct prefix_clock clock = { .limit_known = false };
			struct prefix p = { .stamp = rows[i].stamp,
				.time = span_of(rows[i].text, n) };

			ROW("%zu bytes of %s", n, rows[i].text);
			if (rows[i].stamp == STAMP_CTIME && n < 4)
				continue; /* prefix_split() has looked */
			assert_int_equal(prefix_time(&p, NOW, &clock, &at),
			    n == len || (n > 0 && n == rows[i].least));
		}
		for (size_t n = 0; n < len; n++) {
			struct prefix_clock clock = { .limit_known = false };
			struct prefix p = { .stamp = rows[i].stamp,
				.time = span_of(text, len) };

			(void)snprintf(text, sizeof(text), "%s", rows[i].text);
			text[n] = '~';
			ROW("%s", text);
			assert_int_equal(prefix_time(&p, NOW, &clock, &at),
			    n < strlen(rows[i].any) && rows[i].any[n] == 'x');
		}
	}
}

static bool
utc_of(const char *text, int64_t *at_r)
{
	struct prefix_clock clock = { .limit_known = false };
	struct prefix p = { .stamp = STAMP_ISO,
		.time = span_of(text, strlen(text)) };

	return prefix_time(&p, NOW, &clock, at_r);
}

/* Each day from 1970 on is the one that timegm(3) says. */
static void
days_are_those_of_timegm(void **state)
{
	char text[40];
	int64_t got;

	(void)state;
	/* steps that meet each day of the year, and each kind of century */
	for (int64_t want = 0; want < INT64_C(253402300800);
	     want += INT64_C(86400) * 29 + 3607) {
		time_t at = (time_t)want;
		struct tm tm;

		assert_non_null(gmtime_r(&at, &tm));
		assert_int_equal(
		    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm),
		    20);
		ROW("%s", text);
		assert_true(utc_of(text, &got));
		assert_int_equal(got, want);
	}
}

static void
dates_that_are_none(void **state)
{
	static const struct {
		const char *text;
		int64_t want; /* -1: none */
	} rows[] = {
		{ "1970-01-01T00:00:00Z", 0 },
		{ "1969-12-31T23:59:59Z", -1 },
		{ "9999-12-31T23:59:59Z", 253402300799 },
		{ "2026-00-03T08:00:00Z", -1 },
		{ "2026-13-03T08:00:00Z", -1 },
		{ "2026-03-00T08:00:00Z", -1 },
		{ "2026-03-31T00:00:00Z", 1774915200 },
		{ "2026-03-32T00:00:00Z", -1 },
		{ "2026-04-30T00:00:00Z", 1777507200 },
		{ "2026-04-31T00:00:00Z", -1 },
		{ "2026-02-29T00:00:00Z", -1 },
		{ "2028-02-29T00:00:00Z", 1835395200 },
		{ "2028-01-32T00:00:00Z", -1 },
		{ "2000-02-29T00:00:00Z", 951782400 },
		{ "2100-02-29T00:00:00Z", -1 },
		{ "2026-03-03T23:59:59Z", 1772582399 },
		{ "2026-03-03T24:00:00Z", -1 },
		{ "2026-03-03T08:60:00Z", -1 },
		/* a leap second, and one more */
		{ "2026-03-03T08:59:60Z", 1772528400 },
		{ "2026-03-03T08:59:61Z", -1 },
		{ "2026-03-03T08:00:00.5Z", 1772524800 },
		{ "2026-03-03T08:00:00,123456Z", 1772524800 },
		{ "2026-03-03T08:00:00.5xZ", -1 },
		{ "2026-03-03T08:00:00ZZ", -1 },
		{ "2026-03-03T08:00:00+00:00", 1772524800 },
		{ "2026-03-03T08:00:00+01:30", 1772519400 },
		{ "2026-03-03T08:00:00-01:30", 1772530200 },
		{ "2026-03-03T08:00:00+0130", 1772519400 },
		{ "2026-03-03T08:00:00+14:59", 1772470860 },
		{ "2026-03-03T08:00:00+15:00", -1 },
		{ "2026-03-03T08:00:00-15:00", -1 },
		{ "2026-03-03T08:00:00+01:60", -1 },
		{ "2026-03-03T08:00:00+01::0", -1 },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		int64_t at = -1;

		ROW("%s", rows[i].text);
		assert_int_equal(utc_of(rows[i].text, &at), rows[i].want != -1);
		if (rows[i].want != -1)
			assert_int_equal(at, rows[i].want);
	}
}

static void
zones_by_name(void **state)
{
	static const struct {
		const char *zone;
		int hours; /* -99: none */
	} rows[] = { { "UTC", 0 }, { "GMT", 0 }, { "WET", 0 }, { "WEST", 1 },
		{ "CET", 1 }, { "EET", 2 }, { "EEST", 3 }, { "MSK", 3 },
		{ "+00", 0 }, { "+05", 5 }, { "-05", -5 }, { "+14", 14 },
		{ "+15", -99 }, { "-15", -99 }, { "+5", -99 }, { "+055", -99 },
		{ "EST", -99 }, { "CE", -99 }, { "CETX", -99 }, { "", -99 } };

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct prefix_clock clock = { .limit_known = false };
		char text[40];
		struct prefix p = { .stamp = STAMP_FULL };
		int64_t at = 0;

		p.time = span_of(text,
		    (size_t)snprintf(text, sizeof(text),
			"2026-03-03 08:00:00 %s", rows[i].zone));
		ROW("%s", text);
		assert_int_equal(
		    prefix_time(&p, NOW, &clock, &at), rows[i].hours != -99);
		if (rows[i].hours != -99)
			assert_int_equal(at, 1772524800 - rows[i].hours * 3600);
	}
}

static void
zone_assumed(void **state)
{
	static const struct {
		enum prefix_stamp stamp;
		const char *text;
		bool want;
	} rows[] = {
		{ STAMP_BSD, "Mar  3 08:00:00", true },
		{ STAMP_BSD_YEAR, "Mar  3 2026 08:00:00", true },
		{ STAMP_YEAR_BSD, "2026 Mar  3 08:00:00", true },
		{ STAMP_CTIME, "Tue Mar  3 08:00:00 2026", true },
		{ STAMP_SLASH, "2026/03/03 08:00:00", true },
		{ STAMP_ISO, "2026-03-03T08:00:00", true },
		{ STAMP_ISO, "2026-03-03T08:00:00.123", true },
		{ STAMP_ISO, "2026-03-03T08:00:00Z", false },
		{ STAMP_ISO, "2026-03-03T08:00:00+01:00", false },
		{ STAMP_ISO, "2026-03-03T08:00:00-01:00", false },
		{ STAMP_FULL, "2026-03-03 08:00:00 CET", false },
		{ STAMP_UNIX, "1772521200", false },
		{ STAMP_USEC, "1772521200000000", false },
		{ STAMP_TAI64N, "4000000069a686fa1dcd6500", false },
		{ STAMP_NONE, "", false },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct prefix p = { .stamp = rows[i].stamp,
			.time = span_of(rows[i].text, strlen(rows[i].text)) };

		ROW("%s", rows[i].text);
		assert_int_equal(prefix_zone_assumed(&p), rows[i].want);
	}
}

/* Labels of TAI64N, and journald's microseconds: the least and the most. */
static void
numbers_are_times(void **state)
{
	static const struct {
		enum prefix_stamp stamp;
		const char *text;
		int64_t want; /* -1: none */
	} rows[] = {
		{ STAMP_TAI64N, "400000000000000a00000000", 0 },
		{ STAMP_TAI64N, "400000000000000900000000", -1 },
		{ STAMP_TAI64N, "4000000069a686fa1dcd6500", 1772521200 },
		{ STAMP_TAI64N, "ffffffffffffffff00000000", -1 },
		{ STAMP_USEC, "0", 0 },
		{ STAMP_USEC, "999999", 0 },
		{ STAMP_USEC, "1000000", 1 },
		{ STAMP_USEC, "9223372036854775807", 9223372036854 },
		{ STAMP_USEC, "9223372036854775808", -1 },
		{ STAMP_USEC, "1x", -1 },
		{ STAMP_USEC, "", -1 },
		{ STAMP_UNIX, "1772521200", 1772521200 },
		{ STAMP_UNIX, "1x", -1 },
		{ STAMP_UNIX, "", -1 },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct prefix_clock clock = { .limit_known = false };
		struct prefix p = { .stamp = rows[i].stamp,
			.time = span_of(rows[i].text, strlen(rows[i].text)) };
		int64_t at = 0;

		ROW("%s", rows[i].text);
		assert_int_equal(
		    prefix_time(&p, NOW, &clock, &at), rows[i].want != -1);
		if (rows[i].want != -1)
			assert_int_equal(at, rows[i].want);
	}
}

static void
bare_line_has_no_time(void **state)
{
	static const char line[] = "dovecot[7]: m";
	struct prefix_clock clock = { .limit_known = false };
	struct prefix got;
	int64_t at;

	(void)state;
	assert_int_equal(
	    prefix_split(line, strlen(line), true, &got, scratch), PREFIX_OK);
	assert_int_equal(got.form, PREFIX_BARE);
	assert_span(got.program, "dovecot");
	assert_int_equal(got.pid, 7);
	assert_span(got.msg, "m");
	assert_false(prefix_time(&got, NOW, &clock, &at));
}

/* A line handed over by syslog(3) itself has no host. In a file, such a line
 * has lost it, and with it the proof that the next word is the tag. */
static void
direct_line_needs_no_host(void **state)
{
	static const struct {
		const char *line, *msg;
		int form;
	} rows[] = { { "<22>dovecot[7]: m", "m", PREFIX_BARE },
		{ "<22>Mar  3 08:01:11 dovecot[7]: m", "m", PREFIX_SYSLOG },
		{ "Mar  3 08:01:11 dovecot[7]: m", "m", PREFIX_SYSLOG },
		{ "<22>2026-03-03T08:01:11Z dovecot[7]: m", "m",
		    PREFIX_SYSLOG },
		{ "<22>Mar  3 08:01:11 mx dovecot[7]: m", "m",
		    PREFIX_SYSLOG } };
	static const char *const refused_always[] = { "<22> dovecot: m",
		"<>dovecot: m", "<22", "<22>", "<22>Mar  3 08:01:11 ",
		"<22><22>dovecot: m", "<22>Mar  3 08:01:11 dovecot m" };
	struct prefix got;

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i].line);
		const char *line = rows[i].line;

		assert_int_equal(
		    prefix_split(line, strlen(line), true, &got, scratch),
		    PREFIX_OK);
		assert_int_equal(got.form, rows[i].form);
		assert_span(got.program, "dovecot");
		assert_int_equal(got.pid, 7);
		assert_span(got.msg, rows[i].msg);
		if (i < 4)
			assert_int_equal(prefix_split(line, strlen(line), false,
					     &got, scratch),
			    PREFIX_UNKNOWN);
	}
	for (size_t i = 0; i < LENGTH(refused_always); i++) {
		const char *line = refused_always[i];

		ROW("%s", line);
		assert_int_equal(
		    prefix_split(line, strlen(line), true, &got, scratch),
		    PREFIX_UNKNOWN);
	}
}

static void
too_long_a_line_is_unknown(void **state)
{
	static char line[PREFIX_LINE_MAX + 2];
	struct prefix got;

	(void)state;
	memset(line, 'x', sizeof(line));
	memcpy(line, "Mar  3 08:00:00 mail x: ", 24);
	assert_int_equal(
	    prefix_split(line, PREFIX_LINE_MAX, false, &got, scratch),
	    PREFIX_OK);
	assert_int_equal(
	    prefix_split(line, PREFIX_LINE_MAX + 1, false, &got, scratch),
	    PREFIX_UNKNOWN);
}

int
main(void)
{
	const struct CMUnitTest rest[] = {
		cmocka_unit_test(no_start_of_a_line_does_harm),
		cmocka_unit_test(quick_look_agrees),
		cmocka_unit_test(year_is_chosen),
		cmocka_unit_test(clock_changes_cost_an_hour_at_most),
		cmocka_unit_test(half_a_stamp_is_none),
		cmocka_unit_test(days_are_those_of_timegm),
		cmocka_unit_test(dates_that_are_none),
		cmocka_unit_test(zones_by_name),
		cmocka_unit_test(zone_assumed),
		cmocka_unit_test(numbers_are_times),
		cmocka_unit_test(bare_line_has_no_time),
		cmocka_unit_test(direct_line_needs_no_host),
		cmocka_unit_test(too_long_a_line_is_unknown),
	};
	int failed;

	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	failed = RUN_ROWS("split", split, line_is_split);
	failed += RUN_ROWS("refused", refused, line_is_refused);
	failed += cmocka_run_group_tests_name("prefix", rest, NULL, NULL);
	return failed != 0;
}
