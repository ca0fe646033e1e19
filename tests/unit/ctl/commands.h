/* SPDX-License-Identifier: ISC */
/* commands - what the tests of popgatectl's subcommands share: tables that hold
 * something of each kind, and rows of what is asked and what is said. With
 * POPGATE_SHOW set they print what is said instead. */
#ifndef POPGATE_TEST_COMMANDS_H
#define POPGATE_TEST_COMMANDS_H

#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "common/base/err.h"
#include "common/config/config.h"
#include "common/db/audit.h"
#include "common/db/store.h"
#include "ctl/commands.h"
#include "ctl/ctl.h"
#include "tests/unit/silent.h"
#include "tests/unit/unit.h"

/* 2026-03-03 12:00:00 UTC */
enum { NOW = 1772539200, MINUTE = 60, HOUR = 3600 };

static char dir[64];

static const char *
file(const char *name)
{
	return unit_path(dir, name);
}

static void
put(const char *name, const char *text)
{
	FILE *out = fopen(file(name), "w");

	assert_non_null(out);
	(void)fputs(text, out);
	assert_int_equal(fclose(out), 0);
}

/* --- the tables --- */

static void
add_login(struct store *st, const char *client, const char *user,
    const char *service, const char *server, int64_t at, int64_t expires_at)
{
	struct login login = { .at = at };
	const char line[] = "Mar  3 11:50:00 mail dovecot: imap-login: Login:";
	const struct store_evidence ev = { .source = "file:/var/log/mail.log",
		.position = 100,
		.line = line,
		.line_len = sizeof(line) - 1 };
	struct network net;
	struct err err;

	assert_true(network_parse(client, &net));
	login.client = net.base;
	(void)snprintf(login.server, sizeof(login.server), "%s", server);
	(void)snprintf(login.user, sizeof(login.user), "%s", user);
	(void)snprintf(login.service, sizeof(login.service), "%s", service);
	if (store_login(st, &login, &net, expires_at, &ev, &err) == -1)
		fail_msg("%s", err.text);
}

static void
fill_logins(void)
{
	static const struct store_row by_hand = { .client = "198.51.100.0/24",
		.user = "",
		.service = "manual",
		.server = "popgatectl",
		.first_at = NOW - 2 * HOUR,
		.last_at = NOW - 2 * HOUR,
		.expires_at = STORE_FOREVER,
		.count = 1 };
	static const struct store_deny denies[] = {
		{ .subject = "203.0.113.66",
		    .created_at = NOW - HOUR,
		    .expires_at = NOW + HOUR,
		    .reason = "spam (by root)" },
		{ .subject = "mallory",
		    .is_user = true,
		    .created_at = NOW - HOUR,
		    .expires_at = STORE_FOREVER,
		    .reason = "by root" },
	};
	static const struct store_source source = {
		.name = "file:/var/log/mail.log",
		.position = 200,
		.read_at = NOW - 5,
		.line_at = NOW - MINUTE
	};
	struct store *st;
	struct err err;

	if (store_open(file("logins.db"), STORE_WRITE, &st, &err) == -1 ||
	    store_begin(st, &err) == -1)
		fail_msg("%s", err.text);
	add_login(st, "192.0.2.1", "alice", "imap", "dovecot",
	    NOW - 10 * MINUTE, NOW + 20 * MINUTE);
	add_login(st, "192.0.2.1", "bob", "pop3", "courier", NOW - 20 * MINUTE,
	    NOW + 10 * MINUTE);
	add_login(st, "2001:db8::7", "carol", "imap", "dovecot", NOW - MINUTE,
	    NOW + 29 * MINUTE);
	add_login(st, "192.0.2.9", "dora", "imap", "dovecot", NOW - 5 * HOUR,
	    NOW - 4 * HOUR);
	add_login(st, "203.0.113.66", "eve", "imap", "dovecot", NOW - MINUTE,
	    NOW + 29 * MINUTE);
	assert_int_equal(store_set(st, &by_hand, &err), 0);
	for (size_t i = 0; i < LENGTH(denies); i++)
		assert_int_equal(store_deny_set(st, &denies[i], &err), 0);
	assert_int_equal(store_source_save(st, &source, &err), 0);
	assert_int_equal(store_commit(st, &err), 0);
	store_close(&st);
}

static void
fill_audit(void)
{
	static const struct audit_facts facts[] = {
		{ .at_ms = (NOW - 9 * MINUTE) * INT64_C(1000),
		    .session = "s1",
		    .queue_id = "4QAAA",
		    .client = "192.0.2.1",
		    .client_name = "home.example",
		    .helo = "laptop",
		    .sender = "<alice@example.com>",
		    .recipient = "<friend@far.test>",
		    .login_user = "alice",
		    .decision = { .verdict = VERDICT_ACCEPT,
			.reason = REASON_RECENT_LOGIN,
			.rule = 13,
			.login_at = NOW - 10 * MINUTE } },
		{ .at_ms = (NOW - 9 * MINUTE) * INT64_C(1000),
		    .session = "s1",
		    .queue_id = "4QAAA",
		    .client = "192.0.2.1",
		    .client_name = "home.example",
		    .helo = "laptop",
		    .sender = "<alice@example.com>",
		    .recipient = "<other@far.test>",
		    .login_user = "alice",
		    .decision = { .verdict = VERDICT_ACCEPT,
			.reason = REASON_RECENT_LOGIN,
			.rule = 13,
			.login_at = NOW - 10 * MINUTE } },
		{ .at_ms = (NOW - 2 * HOUR) * INT64_C(1000),
		    .session = "s2",
		    .client = "203.0.113.9",
		    .client_name = "unknown",
		    .helo = "evil\x1b[31m",
		    .sender = "<>",
		    .recipient = "<victim@far.test>",
		    .reply = "550 5.7.1 log in first",
		    .decision = { .verdict = VERDICT_REJECT,
			.reason = REASON_NO_LOGIN,
			.rule = 14 } },
		{ .at_ms = (NOW - 3 * HOUR) * INT64_C(1000),
		    .session = "s3",
		    .queue_id = "4QBBB",
		    .client = "192.0.2.50",
		    .client_name = "office.example",
		    .helo = "pc",
		    .sender = "<bob@example.com>",
		    .recipient = "<x@far.test>",
		    .auth_user = "bob",
		    .decision = { .verdict = VERDICT_ACCEPT,
			.reason = REASON_AUTHENTICATED,
			.rule = 9 } },
		{ .at_ms = (NOW - 26 * HOUR) * INT64_C(1000),
		    .session = "s4",
		    .client = "192.0.2.1",
		    .helo = "laptop",
		    .sender = "<alice@example.com>",
		    .recipient = "<late@far.test>",
		    .decision = { .verdict = VERDICT_TEMPFAIL,
			.reason = REASON_STORE_UNAVAILABLE,
			.rule = 11 } },
	};
	const struct audit_options opt = { .path = file("audit.db"),
		.queue = 100,
		.keep_s = INT64_C(100) * 365 * 86400,
		.log_line = no_line,
		.log_state = no_state };
	const struct audit_breach breach = {
		.at_ms = (NOW - 30 * MINUTE) * INT64_C(1000),
		.is_user = true,
		.subject = "bob",
		.setting = "user_recipients",
		.allowed = "2000/1h",
		.client = "192.0.2.50",
		.user = "bob",
		.sender = "<bob@example.com>",
		.denied_until = NOW + HOUR,
	};
	struct audit_row *list = NULL;
	struct audit *a;
	struct err err;

	if (audit_start(&opt, &a, &err) == -1)
		fail_msg("%s", err.text);
	for (size_t i = 0; i < LENGTH(facts); i++)
		list = audit_row_chain(list, audit_row_new(&facts[i]));
	audit_breach(a, &breach);
	assert_true(audit_wait(a, audit_submit(a, list, true), 60000));
	audit_stop(&a);
}

static void
fill(void)
{
	static const char *const databases[] = { "logins.db", "audit.db",
		"logins.db.words" };
	static const char *const suffix[] = { "", "-wal", "-shm" };
	char name[40];

	for (size_t i = 0; i < LENGTH(databases); i++)
		for (size_t k = 0; k < LENGTH(suffix); k++) {
			(void)snprintf(name, sizeof(name), "%s%s", databases[i],
			    suffix[k]);
			(void)unlink(file(name));
		}
	fill_logins();
	fill_audit();
}

/* --- running one --- */

static char out[200000];

static void
read_all(FILE *from)
{
	rewind(from);
	out[fread(out, 1, sizeof(out) - 1, from)] = '\0';
	(void)fclose(from);
}

/* The words of text, split in place, '_' for a space in a word, "" for ''.
 * @name is a file of ours. */
static int
split(char *text, char **argv)
{
	static char names[8][200];
	char *rest, *word = strtok_r(text, " ", &rest);
	int n = 0;

	for (; word != NULL; word = strtok_r(NULL, " ", &rest)) {
		for (char *p = word; *p != '\0'; p++)
			*p = *p == '_' ? ' ' : *p;
		if (strcmp(word, "''") == 0)
			*word = '\0';
		argv[n] = word;
		if (*word == '%') {
			(void)snprintf(
			    names[n], sizeof(names[n]), "%s", file(word + 1));
			argv[n] = names[n];
		}
		n++;
	}
	argv[n] = NULL;
	return n;
}

/* In a process of its own, as each is made for. Returns the exit status, or
 * -signal; what it said on both outputs is in out. */
static int
run(const struct command *cmd, const char *words)
{
	char text[500], *argv[20];
	struct ctl ctl = {
		.program = "popgatectl",
		.config_path = file("popgate.conf"),
		.config_given = true,
		.now = NOW,
	};
	FILE *to = tmpfile();
	int status;

	assert_non_null(to);
	(void)snprintf(text, sizeof(text), "%s", words);
	int n = split(text, argv);

	(void)fflush(NULL);
	pid_t child = fork();

	assert_int_not_equal(child, -1);
	if (child == 0) {
		(void)dup2(fileno(to), 1);
		(void)dup2(fileno(to), 2);
		int rc = command_run(&ctl, cmd, n, argv);

		(void)fflush(stdout);
		_exit(rc);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	read_all(to);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* Each line of want is in out, in this order; "!text": nowhere. */
static void
assert_said(const char *want)
{
	char text[2000], *rest, *line;
	const char *from = out;

	(void)snprintf(text, sizeof(text), "%s", want);
	for (line = strtok_r(text, "\n", &rest); line != NULL;
	     line = strtok_r(NULL, "\n", &rest)) {
		bool not = *line == '!';
		const char *at = strstr(not ? out : from, line + not );

		if ((at != NULL) == not )
			fail_msg("%s%s\nis %sin\n%s", line + not,
			    from == out ? "" : " (in order)", not ? "" : "not ",
			    out);
		if (!not )
			from = at + strlen(line);
	}
}

struct row {
	const struct command *cmd;
	const char *words;
	int want;
	const char *said;
};

static void
assert_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		ROW("%s %s", rows[i].cmd->name, rows[i].words);
		int got = run(rows[i].cmd, rows[i].words);

		if (getenv("POPGATE_SHOW") != NULL)
			(void)fprintf(stderr, "--- %s %s: %d\n%s",
			    rows[i].cmd->name, rows[i].words, got, out);
		else {
			if (got != rows[i].want)
				fail_msg("status %d, not %d:\n%s", got,
				    rows[i].want, out);
			assert_said(rows[i].said);
		}
	}
}

static int
begin(void **state)
{
	char conf[1000];

	(void)state;
	(void)setenv("TZ", "UTC0", 1);
	(void)setenv("SUDO_USER", "tester", 1);
	tzset();
	(void)snprintf(dir, sizeof(dir), "%s", unit_memory_dir());
	(void)snprintf(conf, sizeof(conf),
	    "logins: { database = \"%s\"; window = \"30m\"; };\n"
	    "audit: { database = \"%s\"; };\n"
	    "milter: { status = \"unix:%s\"; };\n"
	    "collector: { status = \"unix:%s\"; "
	    "sources = ( { file = \"/var/log/mail.log\"; } ); };\n"
	    "relay: { local_domains = [ \"example.com\" ]; "
	    "never_authorize = [ \"192.0.2.50\" ]; };\n",
	    file("logins.db"), file("audit.db"), file("none.sock"),
	    file("none.sock"));
	put("popgate.conf", conf);
	fill();
	return 0;
}

static int
end(void **state)
{
	char command[100];

	(void)state;
	(void)snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command);
}

#endif
