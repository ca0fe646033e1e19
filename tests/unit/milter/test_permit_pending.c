/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include <stdbool.h>

#include "milter/handoff_audited.h"
#include "milter/permit_pending.h"

/* Tickets up to this are durable, and those from lost_from to lost_to lost. */
static uint64_t durable, lost_from, lost_to;

static enum audit_state
state_of(uint64_t first, uint64_t last)
{
	if (first <= lost_to && last >= lost_from && lost_to != 0)
		return AUDIT_LOST;
	return last > durable ? AUDIT_WRITTEN : AUDIT_DURABLE;
}

static int
setup(void **state)
{
	(void)state;
	durable = lost_from = lost_to = 0;
	permit_pending_init(state_of);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	permit_pending_free();
	return 0;
}

static void
one_message(void **state)
{
	struct permit_pending *m = permit_pending_get("1.2.3", 0);

	(void)state;
	assert_non_null(m);
	assert_null(permit_pending_find("1.2.4"));
	permit_pending_add(m, 5, "a@x.test");
	permit_pending_add(m, 9, "b@x.test");
	assert_ptr_equal(permit_pending_get("1.2.3", 0), m);
	assert_int_equal(m->first, 5);
	assert_int_equal(m->last, 9);
	assert_int_equal(m->recipients.n, 2);
	/* what is on disk isn't looked at again: what was lost of others
	 * between two recipients doesn't count */
	durable = 20;
	permit_pending_add(m, 30, "c@x.test");
	lost_from = lost_to = 25;
	assert_int_equal(state_of(m->first, m->last), AUDIT_WRITTEN);
	/* but what was lost of it does, for good */
	lost_from = lost_to = 30;
	permit_pending_add(m, 40, "d@x.test");
	durable = 50;
	assert_int_equal(state_of(m->first, m->last), AUDIT_LOST);
}

static void
bad_names(void **state)
{
	char longest[PERMIT_PENDING_NAME_MAX + 1];

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_null(permit_pending_get("", 0));
	assert_null(permit_pending_get(longest, 0));
	longest[PERMIT_PENDING_NAME_MAX - 1] = '\0';
	assert_non_null(permit_pending_get(longest, 0));
	assert_null(permit_pending_find(""));
}

/* However many: what isn't on disk or is lost is never forgotten. */
static void
too_many(void **state)
{
	char name[40];

	(void)state;
	durable = PERMIT_PENDING_MAX;
	lost_from = 1;
	lost_to = 20; /* more than are looked at once */
	for (uint64_t i = 1; i <= PERMIT_PENDING_MAX; i++) {
		(void)snprintf(
		    name, sizeof(name), "n%llu", (unsigned long long)i);
		permit_pending_add(permit_pending_get(name, 0), i, "a");
	}
	/* 21 and more may go; the lost ones take a few tries each */
	int made = 0;

	for (uint64_t i = PERMIT_PENDING_MAX + 1; made < 100; i++) {
		(void)snprintf(
		    name, sizeof(name), "n%llu", (unsigned long long)i);
		struct permit_pending *m = permit_pending_get(name, 0);

		made += m != NULL;
		if (m != NULL)
			permit_pending_add(m, i, "a");
		assert_true(i < PERMIT_PENDING_MAX + 200);
	}
	for (int i = 1; i <= 20; i++) {
		(void)snprintf(name, sizeof(name), "n%d", i);
		assert_non_null(permit_pending_find(name));
	}
	assert_null(permit_pending_find("n21"));
	/* nothing is on disk: no room */
	durable = 0;
	assert_null(permit_pending_get("more", 0));
	assert_non_null(permit_pending_find("n5000"));
	/* a week later the lost ones are history */
	durable = 3 * PERMIT_PENDING_MAX;
	for (int i = 0; i < PERMIT_PENDING_MAX; i++) {
		(void)snprintf(name, sizeof(name), "w%d", i);
		struct permit_pending *m =
		    permit_pending_get(name, INT64_C(8) * 86400 * 1000);

		assert_non_null(m);
		permit_pending_add(m, 2 * PERMIT_PENDING_MAX, "a");
	}
	assert_null(permit_pending_find("n1"));
}

/* Postfix's name of a message says when it began. */
static void
began(void **state)
{
	static const struct {
		const char *name;
		int64_t want;
	} rows[] = {
		{ "2b4.692c0a1b.a9c1f.0", INT64_C(0x692c0a1b) * 1000 + 695 },
		{ "7fffffff.0.0.3", 0 },
		{ "", INT64_MAX },
		{ "1", INT64_MAX },
		{ "1.2", INT64_MAX },
		{ "1.2.3", INT64_MAX },
		{ "1.2.3.4.5", INT64_MAX },
		{ "1.2.3.4x", INT64_MAX },
		{ "a message", INT64_MAX },
		{ "1.ffffffffffffffffffffffff.3.4", INT64_MAX },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (permit_pending_began_ms(rows[i].name) != rows[i].want)
			fail_msg("'%s': got %lld, want %lld", rows[i].name,
			    (long long)permit_pending_began_ms(rows[i].name),
			    (long long)rows[i].want);
	assert_true(permit_pending_would_know(INT64_MAX));
	assert_false(permit_pending_would_know(0));
}

static void
given_up(void **state)
{
	char name[40];

	(void)state;
	assert_false(permit_pending_given_up("1.2"));
	assert_false(permit_pending_given_up(""));
	permit_pending_give_up("1.2");
	permit_pending_give_up("1.3");
	assert_false(permit_pending_given_up(""));
	assert_true(permit_pending_given_up("1.2"));
	assert_false(permit_pending_given_up("1.2"));
	/* the newest are remembered */
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(name, sizeof(name), "n%d", i);
		permit_pending_give_up(name);
	}
	assert_true(permit_pending_given_up("n999"));
	assert_false(permit_pending_given_up("1.3"));
}

static void
add(struct handoff_recipients *r, const char *list)
{
	char copy[200], *save = NULL;

	(void)snprintf(copy, sizeof(copy), "%s", list);
	for (char *p = strtok_r(copy, " ", &save); p != NULL;
	     p = strtok_r(NULL, " ", &save))
		handoff_audited_add(r, p);
}

static void
covered(void **state)
{
	static const struct {
		const char *name, *given, *given_id, *given_client;
		const char *taken, *taken_id, *taken_client;
		bool want;
	} cases[] = {
		{ "the same", "a@x b@x", "Q1", "192.0.2.1", "a@x b@x", "Q1",
		    "192.0.2.1", true },
		{ "brackets and order", "a@x b@x", "Q1", "192.0.2.1",
		    "<b@x> <a@x>", "Q1", "192.0.2.1", true },
		{ "twice the same", "a@x a@x", "Q1", "192.0.2.1", "<a@x> <a@x>",
		    "Q1", "192.0.2.1", true },
		{ "one more", "a@x", "Q1", "192.0.2.1", "a@x b@x", "Q1",
		    "192.0.2.1", false },
		{ "one less", "a@x b@x", "Q1", "192.0.2.1", "a@x", "Q1",
		    "192.0.2.1", false },
		{ "another", "a@x", "Q1", "192.0.2.1", "b@x", "Q1", "192.0.2.1",
		    false },
		{ "another message", "a@x", "Q1", "192.0.2.1", "a@x", "Q2",
		    "192.0.2.1", false },
		{ "another client", "a@x", "Q1", "192.0.2.1", "a@x", "Q1",
		    "192.0.2.2", false },
		{ "no queue id", "a@x", "", "192.0.2.1", "a@x", "", "192.0.2.1",
		    false },
		{ "nobody", "", "Q1", "192.0.2.1", "", "Q1", "192.0.2.1",
		    false },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		ROW("%s", cases[i].name);
		struct handoff_recipients given = { .n = 0 };
		struct handoff_recipients taken = { .n = 0 };
		struct addr a, b;

		assert_true(addr_parse_loose(cases[i].given_client, &a));
		assert_true(addr_parse_loose(cases[i].taken_client, &b));
		add(&given, cases[i].given);
		add(&taken, cases[i].taken);
		assert_false(
		    handoff_audited_take(&taken, &b, cases[i].taken_id));
		handoff_audited_give(&given, &a, cases[i].given_id);
		assert_int_equal(
		    handoff_audited_take(&taken, &b, cases[i].taken_id),
		    cases[i].want);
		/* once only */
		assert_false(
		    handoff_audited_take(&taken, &b, cases[i].taken_id));
		(void)handoff_audited_take(&given, &a, cases[i].given_id);
	}
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(one_message),
		TEST(bad_names),
		TEST(too_many),
		TEST(began),
		TEST(given_up),
		TEST(covered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
