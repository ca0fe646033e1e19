/* SPDX-License-Identifier: ISC */
/* which tickets are lost: never fewer than are, whatever is forgotten */
#include "tests/unit/unit.h"

#include "common/db/audit_ticket.h"
#include "tests/unit/chance.h"

static void
states(void **state)
{
	static const struct {
		const char *name;
		uint64_t first, last;
		enum audit_state want;
	} rows[] = {
		{ "no ticket at all", 0, 0, AUDIT_LOST },
		{ "on disk", 1, 3, AUDIT_DURABLE },
		{ "one of them is lost", 3, 5, AUDIT_LOST },
		{ "the first is the last that was lost", 5, 6, AUDIT_LOST },
		{ "the last is the first that was lost", 2, 4, AUDIT_LOST },
		{ "all of them are lost", 4, 5, AUDIT_LOST },
		{ "around what is lost", 1, 8, AUDIT_LOST },
		{ "behind what is lost", 6, 6, AUDIT_DURABLE },
		{ "not all on disk", 6, 7, AUDIT_WRITTEN },
		{ "not all written", 6, 9, AUDIT_PENDING },
		{ "not written", 9, 9, AUDIT_PENDING },
	};
	struct audit_tickets t = {
		.submitted = 9, .taken = 8, .written = 8, .durable = 6
	};

	(void)state;
	tickets_lose(&t, 4, 5);
	tickets_lose(&t, 6, 5); /* none */
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i].name);
		assert_int_equal(tickets_state(&t, rows[i].first, rows[i].last),
		    rows[i].want);
	}
}

/* Ranges that touch or overlap are one: what is lost again and again while the
 * disk is full takes one place. */
static void
one_outage(void **state)
{
	struct audit_tickets t = { .taken = 100000 };

	(void)state;
	for (uint64_t i = 1; i <= 1000; i++)
		tickets_lose(&t, i * 10, i * 10 + 9);
	assert_int_equal(t.n_lost, 1);
	assert_int_equal(t.lost[0].from, 10);
	assert_int_equal(t.lost[0].to, 10009);
	tickets_lose(&t, 10005, 10020);
	assert_int_equal(t.n_lost, 1);
	assert_int_equal(t.lost[0].to, 10020);
}

/* More outages than are kept apart. */
static void
many_outages(void **state)
{
	enum { TICKETS = 4000 };
	static bool lost[TICKETS + 1];
	struct audit_tickets t = {
		.taken = TICKETS, .written = TICKETS, .durable = TICKETS
	};
	uint64_t at = 1, newest_apart;

	(void)state;
	random_state = 1;
	while (at < TICKETS - 40) {
		uint64_t from = at + 2 + random_below(20),
			 to = from + random_below(5);

		for (uint64_t i = from; i <= to; i++)
			lost[i] = true;
		tickets_lose(&t, from, to);
		at = to;
	}
	assert_int_equal(t.n_lost, LOST_RANGES);
	newest_apart = t.lost[1].from;
	for (uint64_t i = 1; i <= TICKETS; i++) {
		bool got = tickets_state(&t, i, i) == AUDIT_LOST;

		ROW("ticket %ju", (uintmax_t)i);
		if (lost[i])
			assert_true(got);
		else if (i >= newest_apart || i < t.lost[0].from)
			assert_false(got);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(states),
		cmocka_unit_test(one_outage),
		cmocka_unit_test(many_outages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
