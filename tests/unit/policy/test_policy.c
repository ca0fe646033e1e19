/* SPDX-License-Identifier: ISC */
/* Every combination of facts against a second, independent statement of the
 * policy: a truth table in text, and what must hold whatever the table says. */
#include "tests/unit/unit.h"

#include "common/policy/policy.h"

/* A letter a fact:
 *   l local recipient     d denied            a AUTH
 *   c certificate         t trusted           i identified
 *   h shared by too many
 *   S store: ? unasked, y answered, n unavailable
 *   F sender: u unknown, x foreign, g good
 *   w within limits       A login active      s login seen
 *   C collector: c current, b behind, n never
 * Under it 1, 0, a letter of the enumeration, or - for any. The first line
 * that fits decides. */
static const char letters[] = "ldactihSFwAsC";

static const struct line {
	const char *facts;
	int rule;
	enum verdict verdict;
	const char *reason;
} table[] = {
	/*ldactihSFwAsC */
	{ "1------------", 1, VERDICT_ACCEPT, "local-recipient" },
	{ "-------?-----", 2, VERDICT_ASK_STORE, "store-unavailable" },
	{ "-1-----------", 2, VERDICT_REJECT, "denied" },
	{ "--1------0---", 9, VERDICT_TEMPFAIL, "rate-limited" },
	{ "---1-----0---", 9, VERDICT_TEMPFAIL, "rate-limited" },
	{ "----1----0---", 9, VERDICT_TEMPFAIL, "rate-limited" },
	{ "--1----------", 3, VERDICT_ACCEPT, "authenticated" },
	{ "---1---------", 4, VERDICT_ACCEPT, "certificate" },
	{ "----1--------", 5, VERDICT_ACCEPT, "trusted-network" },
	{ "-----0-------", 6, VERDICT_REJECT, "no-client-identity" },
	{ "------1y-----", 6, VERDICT_REJECT, "shared-address" },
	{ "-------n-----", 7, VERDICT_TEMPFAIL, "store-unavailable" },
	{ "--------x-1--", 8, VERDICT_REJECT, "sender-mismatch" },
	{ "--------u-1--", 8, VERDICT_TEMPFAIL, "sender-unknown" },
	{ "---------01--", 9, VERDICT_TEMPFAIL, "rate-limited" },
	{ "----------1--", 10, VERDICT_ACCEPT, "recent-login" },
	{ "-----------1c", 11, VERDICT_REJECT, "login-expired" },
	{ "-----------1n", 11, VERDICT_REJECT, "login-expired" },
	{ "------------b", 12, VERDICT_TEMPFAIL, "collector-behind" },
	{ "------------n", 12, VERDICT_TEMPFAIL, "collector-behind" },
	{ "-------------", 13, VERDICT_REJECT, "no-login" },
};

static char
letter(const struct policy_facts *f, char fact)
{
	switch (fact) {
	case 'l':
		return f->recipient_local ? '1' : '0';
	case 'd':
		return f->denied ? '1' : '0';
	case 'a':
		return f->authenticated ? '1' : '0';
	case 'c':
		return f->certificate ? '1' : '0';
	case 't':
		return f->trusted ? '1' : '0';
	case 'i':
		return f->identified ? '1' : '0';
	case 'h':
		return f->shared ? '1' : '0';
	case 'S':
		return "?yn"[f->store];
	case 'F':
		return "uxg"[f->sender];
	case 'w':
		return f->within_limits ? '1' : '0';
	case 'A':
		return f->login_active ? '1' : '0';
	case 's':
		return f->login_seen ? '1' : '0';
	default:
		return "cbn"[f->collector];
	}
}

static bool
fits(const struct line *line, const struct policy_facts *f)
{
	for (size_t i = 0; letters[i] != '\0'; i++)
		if (line->facts[i] != '-' &&
		    line->facts[i] != letter(f, letters[i]))
			return false;
	return true;
}

static void
check_line(const struct policy_facts *f, const struct decision *got)
{
	const struct line *want = table;

	while (!fits(want, f))
		want++;
	if (got->rule != want->rule || got->verdict != want->verdict ||
	    strcmp(reason_name(got->reason), want->reason) != 0)
		fail_msg("%s: row %d, %s; want row %d, %s", want->facts,
		    got->rule, reason_name(got->reason), want->rule,
		    want->reason);
	assert_int_equal(got->login_at, 11);
	assert_int_equal(got->expires_at, 22);
}

/* The promises, without rows. */
static void
check_promises(const struct policy_facts *f, const struct decision *got)
{
	bool accept = got->verdict == VERDICT_ACCEPT;
	bool known = f->store == POLICY_STORE_ANSWERED;

	/* our own mail is never in the way */
	assert_true(!f->recipient_local || accept);
	/* what it takes to relay */
	if (accept && !f->recipient_local) {
		assert_int_not_equal(f->store, POLICY_STORE_UNASKED);
		assert_true(f->authenticated || f->certificate || f->trusted ||
		    (known && f->identified && !f->shared && f->login_active &&
			f->sender == POLICY_SENDER_GOOD));
		/* whoever is denied is, whatever he has to show, and so is
		 * who has had enough */
		assert_false(f->denied);
		assert_true(f->within_limits);
	}
	/* "can't know" is never a permanent no */
	if (got->verdict == VERDICT_REJECT && f->identified)
		assert_true(known || f->denied);
	if (got->verdict == VERDICT_REJECT && !f->denied && f->identified &&
	    !f->shared && !f->login_active)
		assert_int_not_equal(f->collector, POLICY_COLLECTOR_BEHIND);
}

static void
cross_product(void **state)
{
	unsigned combinations = 0, accepted = 0;
	bool used[LENGTH(table)] = { false };

	(void)state;
	for (unsigned bits = 0; bits < 1024; bits++)
		for (unsigned n = 0; n < 27; n++) {
			const struct policy_facts f = { .recipient_local =
							    bits & 1,
				.denied = bits & 2,
				.authenticated = bits & 4,
				.certificate = bits & 8,
				.trusted = bits & 16,
				.identified = bits & 32,
				.within_limits = bits & 64,
				.login_active = bits & 128,
				.login_seen = bits & 256,
				.shared = bits & 512,
				.store = (enum policy_store)(n % 3),
				.sender = (enum policy_sender)(n / 3 % 3),
				.collector = (enum policy_collector)(n / 9),
				.login_at = 11,
				.expires_at = 22 };
			struct decision got = policy_decide(&f);
			char facts[sizeof(letters)];
			size_t i = 0;

			for (; letters[i] != '\0'; i++)
				facts[i] = letter(&f, letters[i]);
			facts[i] = '\0';
			ROW("\n     %s\n     %s", letters, facts);
			i = 0;
			check_line(&f, &got);
			check_promises(&f, &got);
			while (!fits(&table[i], &f))
				i++;
			used[i] = true;
			combinations++;
			accepted += got.verdict == VERDICT_ACCEPT;
		}
	assert_int_equal(combinations, 27648);
	assert_true(accepted > 0 && accepted < combinations);
	for (size_t i = 0; i < LENGTH(used); i++) {
		ROW("row %zu of the table", i);
		assert_true(used[i]);
	}
}

/* Nothing known opens nothing. */
static void
zero_facts(void **state)
{
	struct policy_facts f = { .recipient_local = false };

	(void)state;
	assert_int_equal(policy_decide(&f).verdict, VERDICT_ASK_STORE);
	f.store = POLICY_STORE_ANSWERED;
	assert_int_equal(policy_decide(&f).verdict, VERDICT_REJECT);
}

static void
names(void **state)
{
	(void)state;
	for (int r = 0; r < REASONS; r++) {
		assert_non_null(reason_name((enum reason)r));
		for (int q = 0; q < r; q++)
			assert_string_not_equal(reason_name((enum reason)r),
			    reason_name((enum reason)q));
	}
	assert_string_equal(verdict_name(VERDICT_TEMPFAIL), "tempfail");
}

/* An accepted client has no refusal to be answered with. */
static void
refusals(void **state)
{
	(void)state;
	for (int r = 0; r < REASONS; r++) {
		ROW("%s", reason_name((enum reason)r));
		const struct policy_row *row = policy_refusal((enum reason)r);
		bool refuses = false;

		for (size_t i = 0; i < policy_rows_n; i++)
			refuses |= policy_rows[i].reason == (enum reason)r &&
			    (policy_rows[i].verdict == VERDICT_REJECT ||
				policy_rows[i].verdict == VERDICT_TEMPFAIL);
		assert_int_equal(row != NULL, refuses);
		if (row != NULL) {
			assert_int_equal(row->reason, r);
			assert_int_not_equal(row->reply, 0);
			assert_int_equal(row->code[0],
			    row->verdict == VERDICT_REJECT ? '5' : '4');
		}
		/* the two that no facts give have no number of a row */
		if (r == REASON_AUDIT_UNAVAILABLE || r == REASON_DOMAIN_UNKNOWN)
			assert_int_equal(row->n, 0);
	}
}

/* The basis of a reason says what its rows do. */
static void
bases(void **state)
{
	(void)state;
	for (size_t i = 0; i < policy_rows_n; i++) {
		const struct policy_row *row = &policy_rows[i];
		enum basis basis = reason_basis(row->reason);

		ROW("row %zu, %s", i, reason_name(row->reason));
		assert_int_equal(row->verdict == VERDICT_ACCEPT,
		    basis >= BASIS_RECIPIENT && basis <= BASIS_LOGIN);
		assert_true(reason_words(row->reason)[0] != '\0');
	}
	assert_int_equal(reason_basis(REASONS), BASIS_NOTHING);
	assert_int_equal(reason_basis(REASON_COLLECTOR_BEHIND), BASIS_NO_LOGIN);
	assert_int_equal(
	    reason_basis(REASON_AUDIT_UNAVAILABLE), BASIS_HELD_BACK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cross_product),
		cmocka_unit_test(zero_facts),
		cmocka_unit_test(names),
		cmocka_unit_test(refusals),
		cmocka_unit_test(bases),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
