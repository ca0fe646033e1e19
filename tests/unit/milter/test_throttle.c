/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include <stdbool.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/db/audit.h"
#include "milter/throttle.h"
#include "tests/unit/silent.h"

/* a client may relay to so many recipients, a user to one more */
enum { CLIENT_MAX = 3, USER_MAX = 4, DENY_S = 600 };

static char path[128];
static struct config cfg;
static struct audit *audit;

static struct audit *
open_audit(void)
{
	const struct audit_options opt = {
		.path = path,
		.queue = 100,
		.keep_s = 86400,
		.log_line = no_line,
		.log_state = no_state,
	};
	struct audit *a;
	struct err err;

	if (audit_start(&opt, &a, &err) == -1)
		fail_msg("%s", err.text);
	return a;
}

/* Relays that the audit remembers when the throttle starts. */
static void
relayed_before(const char *client, int n)
{
	struct audit *a = open_audit();

	for (int i = 0; i < n; i++) {
		const struct audit_facts facts = {
			.at_ms = clock_now_ms(),
			.session = "s",
			.client = client,
			.sender = "a@example.org",
			.recipient = "b@example.net",
			.login_user = "old",
			.mta = "m",
			.decision = { .verdict = VERDICT_ACCEPT,
			    .reason = REASON_RECENT_LOGIN,
			    .rule = 10, },
		};
		struct audit_row *row = audit_row_new(&facts);

		assert_non_null(row);
		assert_true(audit_wait(a, audit_submit(a, row, true), 60000));
	}
	audit_stop(&a);
}

static int
start(void **state)
{
	struct err err;

	(void)state;
	for (int i = 0; i < LIMITS; i++)
		cfg.limits.rate[i].window_s = 3600;
	cfg.limits.rate[LIMIT_CLIENT_RECIPIENTS].max = CLIENT_MAX;
	cfg.limits.rate[LIMIT_USER_RECIPIENTS].max = USER_MAX;
	cfg.limits.deny_for_s = DENY_S;
	cfg.relay.ipv6_prefix = 64;
	(void)snprintf(path, sizeof(path), "%s", unit_file(0, ""));
	relayed_before("192.0.2.99", CLIENT_MAX);
	audit = open_audit();
	if (throttle_new(&cfg, &err) == -1 ||
	    throttle_start(&cfg, audit, path, &err) == -1)
		fail_msg("%s", err.text);
	return 0;
}

static int
stop(void **state)
{
	static const char *const ends[] = { "", "-wal", "-shm" };
	char name[140];

	(void)state;
	audit_stop(&audit);
	for (int i = 0; i < 3; i++) {
		(void)snprintf(name, sizeof(name), "%s%s", path, ends[i]);
		(void)unlink(name);
	}
	return 0;
}

static struct addr
addr(const char *text)
{
	struct addr a;

	assert_true(addr_parse_loose(text, &a));
	return a;
}

/* One recipient of a client that logged in as users (a userlist). */
static bool
take(const char *client, const char *users, enum audit_channel channel,
    const char *recipient, struct limiter_message *message)
{
	char login_users[USERLIST_MAX];
	const struct facts_question q = {
		.client = addr(client),
		.sender = "a@example.org",
		.recipient = recipient,
	};
	const struct throttle_recipient r = {
		.q = &q,
		.reason = REASON_RECENT_LOGIN,
		.login_users = login_users,
		.channel = channel,
		.at_ms = clock_now_ms(),
		.message = message,
	};

	(void)snprintf(login_users, sizeof(login_users), "%s", users);
	return throttle_take(&cfg, &r);
}

static bool
denied(const char *client, int64_t now)
{
	const struct addr a = addr(client);

	return throttle_denied(&a, NULL, now);
}

static void
over_the_limit_is_denied(void **state)
{
	const char *client = "192.0.2.1";
	int64_t now = clock_now();

	(void)state;
	for (int i = 0; i < CLIENT_MAX; i++)
		assert_true(take(client, "", CHANNEL_POLICY, "x@y.test", NULL));
	assert_false(denied(client, now));
	assert_false(take(client, "", CHANNEL_POLICY, "x@y.test", NULL));
	assert_true(denied(client, now));
	assert_false(denied(client, now + DENY_S + 10));
	assert_false(denied("192.0.2.2", now));
	assert_true(take("192.0.2.2", "", CHANNEL_POLICY, "x@y.test", NULL));
}

static void
who_is_let_in_again_begins_anew(void **state)
{
	const char *client = "192.0.2.3";

	(void)state;
	while (take(client, "", CHANNEL_POLICY, "x@y.test", NULL))
		continue;
	assert_true(denied(client, clock_now()));
	throttle_lifted(NULL, false, "not an address");
	assert_true(denied(client, clock_now()));
	throttle_lifted(NULL, false, client);
	assert_false(denied(client, clock_now()));
	for (int i = 0; i < CLIENT_MAX; i++)
		assert_true(take(client, "", CHANNEL_POLICY, "x@y.test", NULL));
}

static void
history_counts(void **state)
{
	(void)state;
	assert_false(take("192.0.2.99", "", CHANNEL_POLICY, "x@y.test", NULL));
}

static void
a_message_given_up_is_free(void **state)
{
	const char *client = "192.0.2.4";
	struct limiter_message message = { .counted = false };

	(void)state;
	for (int i = 0; i < CLIENT_MAX; i++)
		assert_true(
		    take(client, "", CHANNEL_MILTER, "x@y.test", &message));
	throttle_settle(&cfg, &message, false);
	message = (struct limiter_message){ .counted = false };
	for (int i = 0; i < CLIENT_MAX; i++)
		assert_true(
		    take(client, "", CHANNEL_MILTER, "x@y.test", &message));
	throttle_settle(&cfg, &message, true);
	throttle_settle(&cfg, &message, true); /* harmless */
	assert_false(take(client, "", CHANNEL_POLICY, "x@y.test", NULL));
}

static void
a_map_that_knows_no_recipient_counts_none(void **state)
{
	const char *client = "192.0.2.5";

	(void)state;
	for (int i = 0; i < 2 * CLIENT_MAX; i++)
		assert_true(take(client, "", CHANNEL_SOCKETMAP, "", NULL));
	for (int i = 0; i < CLIENT_MAX; i++)
		assert_true(take(client, "", CHANNEL_POLICY, "x@y.test", NULL));
	assert_false(take(client, "", CHANNEL_SOCKETMAP, "", NULL));
}

/* eve relays from many clients; that bob logged in from one of them, too, keeps
 * that one open. */
static void
users_are_denied_by_their_logins(void **state)
{
	char only[USERLIST_MAX] = "eve", both[USERLIST_MAX] = "eve,bob";
	char client[40];
	int i = 0;

	(void)state;
	assert_false(throttle_denied_logins(only, clock_now()));
	do
		(void)snprintf(client, sizeof(client), "198.51.100.%d", ++i);
	while (take(client, "eve", CHANNEL_POLICY, "x@y.test", NULL));
	assert_int_equal(i, USER_MAX + 1);
	assert_true(throttle_denied_logins(only, clock_now()));
	assert_string_equal(only, "eve");
	assert_false(throttle_denied_logins(both, clock_now()));
	assert_string_equal(both, "bob");
	throttle_lifted(NULL, true, "eve");
	assert_false(throttle_denied_logins(only, clock_now()));
}

static bool
count_breach(void *arg, const struct audit_breach *breach)
{
	assert_string_equal(breach->setting, "client_recipients");
	assert_string_equal(breach->allowed, "3/1h");
	assert_true(breach->denied_until > clock_now());
	++*(int *)arg;
	return true;
}

static void
the_audit_has_word_of_it(void **state)
{
	const char *client = "2001:db8::7";
	struct audit_reader *r;
	struct err err;
	int n = 0;

	(void)state;
	for (int i = 0; i < 2 * CLIENT_MAX; i++)
		(void)take(client, "", CHANNEL_POLICY, "x@y.test", NULL);
	audit_stop(&audit); /* writes what waits */
	assert_int_equal(audit_open_reader(path, &r, &err), 0);
	assert_int_equal(audit_each_breach(r, 0, false, "2001:db8::/64",
			     count_breach, &n, &err),
	    0);
	audit_close_reader(&r);
	assert_int_equal(n, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(over_the_limit_is_denied),
		cmocka_unit_test(who_is_let_in_again_begins_anew),
		cmocka_unit_test(history_counts),
		cmocka_unit_test(a_message_given_up_is_free),
		cmocka_unit_test(a_map_that_knows_no_recipient_counts_none),
		cmocka_unit_test(users_are_denied_by_their_logins),
		/* last: it stops the audit */
		cmocka_unit_test(the_audit_has_word_of_it),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
