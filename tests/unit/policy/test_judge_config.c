/* SPDX-License-Identifier: ISC */
/* What the judge has of the configuration (tags, who may tell logins), and that
 * it says nothing of a line that it said of another. */
#include "tests/unit/unit.h"

#include <pwd.h>
#include <time.h>

#include "common/base/err.h"
#include "common/config/config.h"
#include "common/policy/judge.h"

/* 2026-03-03 08:20:00 UTC */
enum { NOW = 1772526000 };

#define DOVECOT                                                      \
	"imap-login: Login: user=<u>, method=PLAIN, rip=192.0.2.7, " \
	"lip=192.0.2.1, session=<s>"

static struct config *
load(const char *collector)
{
	char text[600];
	struct config *loaded;
	struct err err;

	(void)snprintf(text, sizeof(text), "collector: { %s };\n", collector);
	const char *path = unit_file(0, text);

	if (config_load(path, &loaded, &err) == -1)
		fail_msg("%s", err.text);
	(void)unlink(path);
	return loaded;
}

/* Each tag of each server that an admin names is that server's, and no other
 * is. */
static void
tags(void **state)
{
	static const struct {
		const char *tag;
		bool want;
	} rows[] = { { "dovecot", true }, { "dovecot-2", true },
		{ "front/dovecot", true }, { "back", true },
		{ "dovecot-3", false }, { "dovecot-", false } };
	struct config *loaded =
	    load("tags = { dovecot = [ \"dovecot-2\", \"front/dovecot\" ];"
		 " cyrus = [ \"x/imap\" ]; };");
	struct config *other = load("tags = { cyrus = [ \"x/imap\" ];"
				    " dovecot = [ \"back\" ]; };");
	struct judge *j, *k;
	struct err err;

	(void)state;
	assert_int_equal(judge_new(loaded, NULL, &j, &err), 0);
	assert_int_equal(judge_new(other, NULL, &k, &err), 0);
	for (size_t i = 0; i < LENGTH(rows); i++) {
		char text[300];
		int n = snprintf(text, sizeof(text),
		    "2026-03-03T08:20:00Z mail %s: " DOVECOT, rows[i].tag);
		struct line line = { .text = text, .len = (size_t)n };
		struct judged got;

		ROW("%s", rows[i].tag);
		judge_line(strcmp(rows[i].tag, "back") == 0 ? k : j, &line,
		    false, NOW, &got);
		assert_string_equal(fate_name(got.fate),
		    rows[i].want ? "login" : "other-program");
	}
	judge_free(&j);
	assert_null(j);
	judge_free(&j);
	judge_free(&k);
	config_free(loaded);
	config_free(other);
}

/* Who may tell logins: root, and whom the admin names. Nobody in a replay. */
static void
tellers(void **state)
{
	static const struct {
		const char *user;
		bool want, want_replay;
	} rows[] = { { "root", true, true }, { "daemon", true, false },
		{ "mail", true, false }, { "bin", false, false } };
	struct config *loaded = load("login_users = [ \"daemon\", \"mail\" ];");
	struct config *wrong = load("login_users = [ \"daemon\", \"mail\" ];");
	const struct judge_replay old = { .servers = NULL };
	struct judge *j, *replay;
	struct err err;

	(void)state;
	assert_int_equal(judge_new(loaded, NULL, &j, &err), 0);
	assert_int_equal(judge_new(loaded, &old, &replay, &err), 0);
	for (size_t i = 0; i < LENGTH(rows); i++) {
		const struct line_told told = {
			.uid = getpwnam(rows[i].user)->pw_uid,
			.good = true,
			.told = { .user = "alice",
			    .client = "192.0.2.7",
			    .service = "imap",
			    .server = "x" }
		};
		const struct line line = { .told = &told };
		struct judged got;

		ROW("%s", rows[i].user);
		judge_line(j, &line, false, NOW, &got);
		assert_string_equal(
		    fate_name(got.fate), rows[i].want ? "login" : "forged");
		assert_string_equal(got.server, "post-login");
		judge_line(replay, &line, false, NOW, &got);
		assert_string_equal(fate_name(got.fate),
		    rows[i].want_replay ? "login" : "forged");
		/* it has no stamp: it is of now */
		assert_int_equal(judge_line_time(j, &line, NOW), NOW);
	}
	judge_free(&j);
	judge_free(&replay);
	/* one who was removed since */
	memcpy(wrong->collector.login_users.v[1], "zqxz", 4);
	j = (struct judge *)(uintptr_t)&rows;
	assert_int_equal(judge_new(wrong, NULL, &j, &err), -1);
	assert_null(j);
	assert_int_equal(err.code, ERR_INVALID);
	assert_contains(err.text, "collector.login_users");
	assert_contains(err.text, "there is no user zqxz");
	/* of another machine's log */
	assert_int_equal(judge_new(wrong, &old, &j, &err), 0);
	judge_free(&j);
	config_free(loaded);
	config_free(wrong);
}

/* What is said of a line is of no line before it. */
static void
one_after_another(void **state)
{
	static const struct {
		const char *line;
		bool want_year, want_zone;
		int64_t want_ahead;
	} rows[] = {
		{ "Mar  3 08:20:10 mail dovecot: " DOVECOT, true, true, 10 },
		{ "2026-03-03T08:20:00Z mail dovecot: " DOVECOT, false, false,
		    0 },
		{ "2026-03-03 08:20:00 mail dovecot: " DOVECOT, false, true,
		    0 },
		{ "Mar  3 08:20:10 mail dovecot: " DOVECOT, true, true, 10 },
		{ "a line", false, false, 0 },
	};
	struct judge *j;
	struct judged got;
	struct err err;

	(void)state;
	assert_int_equal(setenv("TZ", "UTC0", 1), 0);
	tzset();
	struct config *loaded = load("");

	assert_int_equal(judge_new(loaded, NULL, &j, &err), 0);
	memset(&got, 0xff, sizeof(got));
	for (size_t i = 0; i < LENGTH(rows); i++) {
		const struct line line = { .text = rows[i].line,
			.len = strlen(rows[i].line) };

		ROW("%zu: %s", i, rows[i].line);
		judge_line(j, &line, false, NOW, &got);
		assert_int_equal(got.year_guessed, rows[i].want_year);
		assert_int_equal(got.zone_assumed, rows[i].want_zone);
		assert_int_equal(got.ahead_s, rows[i].want_ahead);
	}
	judge_free(&j);
	config_free(loaded);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tags),
		cmocka_unit_test(tellers),
		cmocka_unit_test(one_after_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
