/* SPDX-License-Identifier: ISC */
/* one RCPT is decided once, however many lists ask about it */
#include "tests/unit/unit.h"

#include "milter/permit_cache.h"

static struct protocol_request
request(enum protocol_list list, const char *instance, const char *recipient)
{
	return (struct protocol_request){ .kind = PROTOCOL_POLICY,
		.list = list,
		.session = instance,
		.client = "203.0.113.5",
		.auth_user = "",
		.sender = "s@y.test",
		.recipient = recipient };
}

static const struct permit_cache_answer login = { .known = true,
	.reason = REASON_RECENT_LOGIN };

static bool
before(enum protocol_list list, const char *instance, const char *recipient,
    int64_t now_ms)
{
	struct protocol_request req = request(list, instance, recipient);
	struct permit_cache_answer answer = { .known = false };

	if (!permit_cache_find(&req, now_ms, &answer))
		return false;
	assert_true(answer.known);
	assert_int_equal(answer.reason, REASON_RECENT_LOGIN);
	return true;
}

static void
remember(enum protocol_list list, const char *instance, const char *recipient,
    int64_t now_ms, const struct permit_cache_answer *answer)
{
	struct protocol_request req = request(list, instance, recipient);

	permit_cache_add(&req, now_ms, answer);
}

static void
one_rcpt(void **state)
{
	(void)state;
	permit_cache_clear();
	assert_false(before(LIST_CLIENT, "1", "a@x.test", 0));
	remember(LIST_CLIENT, "1", "a@x.test", 0, &login);
	assert_true(before(LIST_RELAY, "1", "a@x.test", 10));
	assert_true(before(LIST_RECIPIENT, "1", "a@x.test", 20));
	/* the same list again: another RCPT */
	assert_false(before(LIST_CLIENT, "1", "a@x.test", 30));
	assert_false(before(LIST_RELAY, "1", "a@x.test", 30));
	remember(LIST_CLIENT, "1", "a@x.test", 30, &login);
	assert_true(before(LIST_RELAY, "1", "a@x.test", 40));
	/* another message, recipient or list without a name */
	assert_false(before(LIST_RECIPIENT, "2", "a@x.test", 40));
	assert_false(before(LIST_RECIPIENT, "1", "b@x.test", 40));
	assert_false(before(LIST_UNKNOWN, "1", "a@x.test", 40));
	/* long ago, or a clock that went back */
	assert_false(
	    before(LIST_RECIPIENT, "1", "a@x.test", 31 + PERMIT_CACHE_MS));
	assert_false(before(LIST_RECIPIENT, "1", "a@x.test", 29));
	/* a refusal ends it */
	remember(LIST_CLIENT, "1", "a@x.test", 50, NULL);
	assert_false(before(LIST_RECIPIENT, "1", "a@x.test", 60));
}

/* All that a decision hangs on must be the same. */
static void
same_question(void **state)
{
	struct protocol_request req = request(LIST_CLIENT, "1", "a@x.test");
	struct permit_cache_answer answer;
	static char longest[5000];

	(void)state;
	permit_cache_clear();
	permit_cache_add(&req, 0, &login);
	req.list = LIST_RELAY;
	req.client = "203.0.113.6";
	assert_false(permit_cache_find(&req, 0, &answer));
	req = request(LIST_RELAY, "1", "a@x.test");
	req.auth_user = "alice";
	assert_false(permit_cache_find(&req, 0, &answer));
	req = request(LIST_RELAY, "1", "a@x.test");
	req.sender = "";
	assert_false(permit_cache_find(&req, 0, &answer));
	req = request(LIST_RELAY, "1", "a@x.test");
	req.kind = PROTOCOL_SOCKETMAP;
	assert_false(permit_cache_find(&req, 0, &answer));
	/* what has no message, or is too long, is never remembered */
	remember(LIST_CLIENT, "", "a@x.test", 0, &login);
	assert_false(before(LIST_RELAY, "", "a@x.test", 0));
	memset(longest, 'x', sizeof(longest) - 1);
	remember(LIST_CLIENT, "1", longest, 0, &login);
	assert_false(before(LIST_RELAY, "1", longest, 0));
}

/* Thousands of messages: the newest are remembered, nothing else is. */
static void
many(void **state)
{
	char name[20];

	(void)state;
	permit_cache_clear();
	for (int i = 0; i < 5000; i++) {
		(void)snprintf(name, sizeof(name), "%d", i);
		remember(LIST_CLIENT, name, "a@x.test", i, &login);
		assert_true(before(LIST_RELAY, name, "a@x.test", i));
	}
	assert_false(before(LIST_RECIPIENT, "0", "a@x.test", 5000));
	assert_true(before(LIST_RECIPIENT, "4999", "a@x.test", 5000));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_rcpt),
		cmocka_unit_test(same_question),
		cmocka_unit_test(many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
