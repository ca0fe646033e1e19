/* Every combination of facts against a second, independent statement of the
 * policy table: a list of rows with conditions as text. */
#include "unit.h"

#include "policy.h"

struct row {
	int rule;
	enum verdict verdict;
	const char *reason;
	bool (*applies)(const struct policy_facts *f);
};

static bool r1(const struct policy_facts *f) { return f->recipient_local; }
static bool r3(const struct policy_facts *f) { return f->authenticated; }
static bool r5(const struct policy_facts *f) { return f->trusted; }
static bool r6(const struct policy_facts *f) { return !f->identified; }
static bool r2(const struct policy_facts *f)
{ return f->denied && f->store == POLICY_STORE_ANSWERED; }
static bool r2_ask(const struct policy_facts *f)
{ return f->store == POLICY_STORE_UNASKED; }
static bool r7(const struct policy_facts *f)
{ return f->store == POLICY_STORE_UNAVAILABLE; }
static bool r10(const struct policy_facts *f) { return f->login_active; }
static bool r11(const struct policy_facts *f)
{ return f->login_seen && !(f->collector == POLICY_COLLECTOR_BEHIND); }
static bool r12(const struct policy_facts *f)
{ return f->collector == POLICY_COLLECTOR_BEHIND ||
	f->collector == POLICY_COLLECTOR_NEVER; }
static bool r13(const struct policy_facts *f) { (void)f; return true; }

static const struct row table[] = {
	{ 1, VERDICT_ACCEPT, "local-recipient", r1 },
	{ 2, VERDICT_ASK_STORE, "store-unavailable", r2_ask },
	{ 2, VERDICT_REJECT, "denied", r2 },
	{ 3, VERDICT_ACCEPT, "authenticated", r3 },
	{ 5, VERDICT_ACCEPT, "trusted-network", r5 },
	{ 6, VERDICT_REJECT, "no-client-identity", r6 },
	{ 7, VERDICT_TEMPFAIL, "store-unavailable", r7 },
	{ 10, VERDICT_ACCEPT, "recent-login", r10 },
	{ 11, VERDICT_REJECT, "login-expired", r11 },
	{ 12, VERDICT_TEMPFAIL, "collector-behind", r12 },
	{ 13, VERDICT_REJECT, "no-login", r13 },
};

static void
cross_product(void **state)
{
	unsigned combinations = 0, accepted = 0;

	(void)state;
	for (unsigned bits = 0; bits < 128; bits++)
		for (int store = 0; store < 3; store++)
			for (int collector = 0; collector < 3; collector++) {
				const struct policy_facts f = {
					.recipient_local = bits & 1,
					.authenticated = bits & 2,
					.trusted = bits & 4,
					.identified = bits & 8,
					.login_active = bits & 16,
					.login_seen = bits & 32,
					.denied = bits & 64,
					.store = (enum policy_store)store,
					.collector = (enum policy_collector)
					    collector,
					.login_at = 11, .expires_at = 22
				};
				const struct row *want = table;
				struct decision got = policy_decide(&f);

				while (!want->applies(&f))
					want++;
				assert_int_equal(got.rule, want->rule);
				assert_int_equal(got.verdict, want->verdict);
				assert_string_equal(reason_name(got.reason),
				    want->reason);
				assert_int_equal(got.login_at, 11);
				assert_int_equal(got.expires_at, 22);
				combinations++;
				accepted += got.verdict == VERDICT_ACCEPT;
			}
	assert_int_equal(combinations, 1152);
	assert_true(accepted > 0 && accepted < combinations);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cross_product),
		cmocka_unit_test(zero_facts),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
