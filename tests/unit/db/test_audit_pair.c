/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include "common/db/audit_pair.h"

struct event {
	bool give;
	struct audit_pair_key key;
	int64_t at_ms;
	uint64_t number; /* given, or wanted; 0: nothing is found */
};

#define C "192.0.2.1"
#define GIVE(client, port, rcpt, at, number)                 \
	{                                                    \
		true, { client, port, rcpt }, (at), (number) \
	}
#define TAKE(client, port, rcpt, at, number)                  \
	{                                                     \
		false, { client, port, rcpt }, (at), (number) \
	}

static const struct {
	const char *name;
	struct event event[6];
} rows[] = {
	{ "once",
	    { GIVE(C, 25, "a@x", 0, 1), TAKE(C, 25, "<a@x>", 9, 1),
		TAKE(C, 25, "<a@x>", 9, 0) } },
	{ "another recipient, client or port",
	    { GIVE(C, 25, "a@x", 0, 1), TAKE(C, 25, "<b@x>", 9, 0),
		TAKE("192.0.2.2", 25, "<a@x>", 9, 0),
		TAKE(C, 26, "<a@x>", 9, 0), TAKE(C, 25, "<a@x>", 9, 1) } },
	{ "the channel isn't told the port",
	    { GIVE(C, 0, "<a@x>", 0, 1), TAKE(C, 25, "<a@x>", 9, 1) } },
	{ "the channel is told the client only",
	    { GIVE(C, 25, "", 0, 1), TAKE(C, 25, "<a@x>", 9, 1) } },
	{ "the best match first",
	    { GIVE(C, 0, "", 0, 1), GIVE(C, 25, "a@x", 1, 2),
		TAKE(C, 25, "<a@x>", 9, 2), TAKE(C, 25, "<b@x>", 9, 1) } },
	{ "the newest of equal ones",
	    { GIVE(C, 25, "a@x", 0, 1), GIVE(C, 25, "a@x", 5, 2),
		TAKE(C, 25, "a@x", 9, 2), TAKE(C, 25, "a@x", 9, 1) } },
	{ "not for ever",
	    { GIVE(C, 25, "a@x", 0, 1), TAKE(C, 25, "a@x", PAIR_MS + 1, 0),
		TAKE(C, 25, "a@x", PAIR_MS, 1) } },
};

static void
row(void **state)
{
	struct audit_pairs *p = audit_pairs_new(64);
	struct audit_pair pair;

	(void)state;
	assert_non_null(p);
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i].name);
		for (const struct event *e = rows[i].event;
		     e->key.client != NULL; e++) {
			pair = (struct audit_pair){ .number = e->number };
			if (e->give) {
				audit_pairs_give(p, &e->key, e->at_ms, &pair);
				continue;
			}
			assert_int_equal(
			    audit_pairs_take(p, &e->key, e->at_ms, &pair),
			    e->number != 0);
			assert_int_equal(pair.number, e->number);
			assert_int_equal(pair.found, e->number != 0);
		}
	}
	audit_pairs_free(p);
}

/* More than there is room for: the oldest give way, and none is found twice. */
static void
full(void **state)
{
	struct audit_pairs *p = audit_pairs_new(64);
	struct audit_pair pair;
	char to[20];
	int found = 0;

	(void)state;
	assert_non_null(p);
	for (int i = 0; i < 1000; i++) {
		const struct audit_pair_key key = { C, 0, to };

		(void)snprintf(to, sizeof(to), "u%d@x", i);
		pair = (struct audit_pair){ .number = (uint64_t)i + 1 };
		audit_pairs_give(p, &key, i, &pair);
	}
	for (int i = 0; i < 1000; i++) {
		const struct audit_pair_key key = { C, 0, to };

		(void)snprintf(to, sizeof(to), "u%d@x", i);
		if (audit_pairs_take(p, &key, 1000, &pair)) {
			assert_int_equal(pair.number, i + 1);
			found++;
		} else {
			assert_int_not_equal(i, 999);
		}
	}
	assert_int_equal(found, 64);
	audit_pairs_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(row),
		cmocka_unit_test(full) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
