/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include "collector/stats.h"
#include "common/base/err.h"
#include "common/db/store.h"

enum { NOW = 1700000000 };

static void
lines(struct stats *s, const char *server, enum fate fate, int n, int64_t now)
{
	for (int i = 0; i < n; i++)
		stats_line(s, server, fate, "so odd", 6, now);
}

static void
silence(void **state)
{
	static const struct {
		const char *name;
		int other, failed, aborted, unknown, logins_after;
		int64_t hours;
		const char *want; /* NULL: no alarm */
	} rows[] = {
		{ "too few lines", 99999, 0, 900, 9, 0, 3, NULL },
		{ "too short a time", 0, 0, 4812, 0, 0, 1, NULL },
		{ "other programs' lines don't count", 99999, 0, 0, 0, 0, 9,
		    NULL },
		{ "nor does an attack in a quiet night", 0, 99999, 900, 0, 0, 9,
		    NULL },
		{ "a login ends it", 0, 0, 4812, 99, 1, 9, NULL },
		{ "many lines", 0, 99, 4812, 0, 0, 2,
		    "dovecot: 4,812 lines, 0 logins in 2 h: format "
		    "changed?" },
		{ "a few that nobody knows", 0, 99, 0, 10, 0, 3,
		    "dovecot: 10 lines, 0 logins in 3 h, 10 of unknown "
		    "shape: format changed?" },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i].name);
		struct stats *s = stats_new();
		int64_t now = NOW + rows[i].hours * 3600;
		char got[256];

		assert_non_null(s);
		lines(s, "", FATE_OTHER_PROGRAM, rows[i].other, NOW);
		lines(s, "dovecot", FATE_LOGIN, 1, NOW);
		lines(s, "dovecot", FATE_FAILED_LOGIN, rows[i].failed, NOW);
		lines(s, "dovecot", FATE_NOT_A_LOGIN, rows[i].aborted, NOW);
		lines(s, "dovecot", FATE_UNKNOWN_SHAPE, rows[i].unknown, NOW);
		lines(s, "dovecot", FATE_LOGIN, rows[i].logins_after, NOW);
		assert_int_equal(stats_alarm(s, now, got, sizeof(got)),
		    rows[i].want != NULL);
		if (rows[i].want != NULL) {
			assert_string_equal(got, rows[i].want);
			/* named once, then after twice the time */
			assert_false(stats_alarm(s, now, got, sizeof(got)));
			assert_true(stats_alarm(
			    s, NOW + 2 * (now - NOW), got, sizeof(got)));
		}
		stats_free(&s);
	}
}

/* Attackers choose no server names, but nothing may grow without bound. */
static void
bounded(void **state)
{
	struct stats *s = stats_new();
	char name[100], got[256];

	(void)state;
	for (int i = 0; i < 10000; i++) {
		(void)snprintf(name, sizeof(name), "server%d", i);
		lines(s, name, FATE_FAILED_LOGIN, 1, NOW);
	}
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	lines(s, name, FATE_FORGED, 3, NOW);
	assert_false(stats_alarm(s, NOW, got, sizeof(got)));
	stats_free(&s);
	stats_free(&s);
}

static void
quiet_once(void **state)
{
	struct stats *s = stats_new();

	(void)state;
	assert_true(stats_quiet(s, "dovecot"));
	assert_true(stats_quiet(s, "courier"));
	assert_false(stats_quiet(s, "dovecot"));
	lines(s, "dovecot", FATE_FAILED_LOGIN, 1, NOW);
	assert_true(stats_quiet(s, "dovecot"));
	assert_false(stats_quiet(s, "courier"));
	stats_free(&s);
}

struct sum {
	char text[2000];
};

static bool
add_row(void *arg, const struct store_count *c)
{
	struct sum *sum = arg;
	size_t at = strlen(sum->text);

	(void)snprintf(sum->text + at, sizeof(sum->text) - at,
	    "%s %s %jd %jd %jd..%jd %s\n", c->server, c->reason,
	    (intmax_t)c->lines, (intmax_t)c->since_login,
	    (intmax_t)c->first_at - NOW, (intmax_t)c->last_at - NOW, c->sample);
	return true;
}

static void
save(struct stats *s, struct store *st)
{
	struct err err;

	assert_int_equal(store_begin(st, &err), 0);
	assert_int_equal(stats_save(s, st, "file:x", &err), 0);
	assert_int_equal(store_commit(st, &err), 0);
	stats_saved(s);
}

static void
saved(void **state)
{
	struct stats *s = stats_new();
	struct store *st;
	struct sum sum = { "" };
	struct err err;
	const char *dir = unit_dir();
	char db[100];

	(void)state;
	(void)snprintf(db, sizeof(db), "%s/l.db", dir);
	assert_int_equal(store_open(db, STORE_WRITE, &st, &err), 0);
	lines(s, "dovecot", FATE_UNKNOWN_SHAPE, 2, NOW);
	save(s, st);
	save(s, st); /* nothing is counted twice */
	lines(s, "dovecot", FATE_UNKNOWN_SHAPE, 3, NOW + 1);
	lines(s, "", FATE_OTHER_PROGRAM, 7, NOW + 1);
	save(s, st);
	assert_int_equal(store_each_count(st, add_row, &sum, &err), 0);
	assert_string_equal(sum.text,
	    " other-program 7 0 1..1 \n"
	    "dovecot unknown-shape 5 5 0..1 so odd\n");
	/* a login: what was before it isn't silence, what is behind it is */
	lines(s, "dovecot", FATE_FAILED_LOGIN, 4, NOW + 2);
	lines(s, "dovecot", FATE_LOGIN, 1, NOW + 2);
	lines(s, "dovecot", FATE_FAILED_LOGIN, 1, NOW + 3);
	lines(s, "dovecot", FATE_UNKNOWN_SHAPE, 1, NOW + 3);
	save(s, st);
	sum.text[0] = '\0';
	assert_int_equal(store_each_count(st, add_row, &sum, &err), 0);
	assert_string_equal(sum.text,
	    " other-program 7 0 1..1 \n"
	    "dovecot failed-login 5 0 2..3 \n"
	    "dovecot login 1 0 2..2 \n"
	    "dovecot unknown-shape 6 1 0..3 so odd\n");
	assert_int_equal(store_count_delete(st, "file:x", &err), 0);
	sum.text[0] = '\0';
	assert_int_equal(store_each_count(st, add_row, &sum, &err), 0);
	assert_string_equal(sum.text, "");
	store_close(&st);
	stats_free(&s);
	assert_int_equal(unit_remove(dir), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(silence),
		cmocka_unit_test(bounded), cmocka_unit_test(quiet_once),
		cmocka_unit_test(saved) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
