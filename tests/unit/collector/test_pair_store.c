/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include "collector/pair_store.h"
#include "common/base/err.h"
#include "common/db/store.h"
#include "common/grammar/pairs.h"

enum { NOW = 1772526000, WINDOW = 1800 };

static char popa3d[] = "popa3d", *servers[] = { popa3d };
static struct config cfg;

static struct judge *
new_judge(bool paired)
{
	const struct string_list names = { servers, 1 };
	const struct judge_replay replay = { .servers = &names };
	struct judge *j;
	struct err err;

	cfg = (struct config){ 0 };
	cfg.logins.window_s = WINDOW;
	cfg.logins.keep_s = WINDOW;
	cfg.relay.ipv6_prefix = 128;
	assert_int_equal(judge_new(&cfg, paired ? &replay : NULL, &j, &err), 0);
	return j;
}

static enum fate
judge_text(struct judge *j, const char *text)
{
	const struct line line = { .text = text, .len = strlen(text) };
	struct judged judged;

	judge_line(j, &line, false, NOW, &judged);
	return judged.fate;
}

#define STAMP "2026-03-03T08:19:00Z mail "
#define OPENED STAMP "popa3d[7]: Session from 192.0.2.7"
#define CLOSED STAMP "popa3d[7]: Authentication passed for jana"

static void
over_a_restart(void **state)
{
	struct judge *j = new_judge(true);
	struct store *st;
	struct err err;
	char dir[80], db[100];
	uint64_t before = pair_store_changes(j);

	(void)state;
	(void)snprintf(dir, sizeof(dir), "%s", unit_dir());
	(void)snprintf(db, sizeof(db), "%s/l.db", dir);
	assert_int_equal(store_open(db, STORE_WRITE, &st, &err), 0);
	assert_int_equal(judge_text(j, OPENED), FATE_PAIR_OPENED);
	assert_true(pair_store_changes(j) > before);
	assert_int_equal(store_begin(st, &err), 0);
	assert_int_equal(pair_store_save(j, st, &err), 0);
	assert_int_equal(store_commit(st, &err), 0);
	judge_free(&j);

	/* without it the second line is none */
	j = new_judge(true);
	assert_int_equal(judge_text(j, CLOSED), FATE_PAIR_MISSING);
	assert_int_equal(pair_store_load(j, st, &err), 0);
	assert_int_equal(judge_text(j, CLOSED), FATE_LOGIN);
	/* taken once, and so saved */
	assert_int_equal(store_begin(st, &err), 0);
	assert_int_equal(pair_store_save(j, st, &err), 0);
	assert_int_equal(store_commit(st, &err), 0);
	assert_int_equal(pair_store_load(j, st, &err), 0);
	assert_int_equal(judge_text(j, CLOSED), FATE_PAIR_MISSING);
	judge_free(&j);
	store_close(&st);
	assert_int_equal(unit_remove(dir), 0);
}

static void
over_a_reload(void **state)
{
	struct judge *old = new_judge(true), *j = new_judge(true);
	struct judge *unpaired = new_judge(false);

	(void)state;
	assert_int_equal(judge_text(old, OPENED), FATE_PAIR_OPENED);
	pair_store_copy(j, old);
	assert_int_equal(judge_text(j, CLOSED), FATE_LOGIN);
	/* a server that isn't paired any more */
	pair_store_copy(unpaired, old);
	assert_int_equal(pair_store_changes(unpaired), 0);
	judge_free(&old);
	judge_free(&j);
	judge_free(&unpaired);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(over_a_restart),
		cmocka_unit_test(over_a_reload),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
