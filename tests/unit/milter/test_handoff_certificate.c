/* SPDX-License-Identifier: ISC */
/* what the permit channel leaves for the milter about a certificate */
#include "tests/unit/unit.h"

#include "milter/handoff_certificate.h"

static struct handoff_certificate
note(const char *client, uint16_t port, const char *sender,
    const char *recipient)
{
	struct handoff_certificate h = {
		.port = port, .sender = sender, .recipient = recipient
	};

	(void)addr_parse_loose(client, &h.client);
	return h;
}

#define TAKE(now, ...)            \
	handoff_certificate_take( \
	    &(struct handoff_certificate[]){ note(__VA_ARGS__) }[0], now)
#define GIVE(now, ...)            \
	handoff_certificate_give( \
	    &(struct handoff_certificate[]){ note(__VA_ARGS__) }[0], now)

/* Nothing but exactly what was given, once, soon. */
static void
handing_over(void **state)
{
	static char big[2000];

	(void)state;
	GIVE(1000, "203.0.113.5", 4711, "a@x.test", "b@y.test");
	assert_false(TAKE(1001, "203.0.113.6", 4711, "a@x.test", "b@y.test"));
	assert_false(TAKE(1001, "203.0.113.5", 4712, "a@x.test", "b@y.test"));
	assert_false(TAKE(1001, "203.0.113.5", 0, "a@x.test", "b@y.test"));
	assert_false(TAKE(1001, "203.0.113.5", 4711, "c@x.test", "b@y.test"));
	assert_false(TAKE(1001, "203.0.113.5", 4711, NULL, "b@y.test"));
	assert_false(TAKE(1001, "203.0.113.5", 4711, "a@x.test", "c@y.test"));
	assert_false(TAKE(1001, "unknown", 4711, "a@x.test", "b@y.test"));
	assert_true(TAKE(1001, "203.0.113.5", 4711, "a@x.test", "b@y.test"));
	assert_false(TAKE(1001, "203.0.113.5", 4711, "a@x.test", "b@y.test"));
	/* too late */
	GIVE(1000, "203.0.113.5", 4711, "", "b@y.test");
	assert_false(TAKE(1000 + HANDOFF_CERTIFICATE_MS, "203.0.113.5", 4711,
	    "", "b@y.test"));
	assert_true(TAKE(
	    999 + HANDOFF_CERTIFICATE_MS, "203.0.113.5", 4711, "", "b@y.test"));
	/* what can't be told apart from nobody */
	GIVE(1000, "203.0.113.5", 0, "", "b@y.test");
	GIVE(1000, "unknown", 1, "", "b@y.test");
	assert_false(TAKE(1000, "203.0.113.5", 0, "", "b@y.test"));
	assert_false(TAKE(1000, "unknown", 1, "", "b@y.test"));
	/* too long is not cut */
	memset(big, 'x', sizeof(big) - 1);
	GIVE(1000, "203.0.113.5", 9, big, "b@y.test");
	assert_false(TAKE(1000, "203.0.113.5", 9, big, "b@y.test"));
	/* the oldest goes first */
	for (int i = 0; i <= HANDOFF_CERTIFICATE_MAX; i++)
		GIVE(2000, "203.0.113.5", (uint16_t)(i + 1), "", "b@y.test");
	assert_false(TAKE(2000, "203.0.113.5", 1, "", "b@y.test"));
	assert_true(TAKE(2000, "203.0.113.5", 2, "", "b@y.test"));
	assert_true(TAKE(
	    2000, "203.0.113.5", HANDOFF_CERTIFICATE_MAX + 1, "", "b@y.test"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(handing_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
