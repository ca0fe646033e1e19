/* SPDX-License-Identifier: ISC */
/* which refusals share a row */
#include "tests/unit/unit.h"

#include "common/db/audit_repeat.h"

static struct repeat *
find_client(struct repeats *r, const char *client, int64_t at_ms)
{
	const struct repeat_key key = { .client = client,
		.auth_user = "",
		.login_user = "",
		.verdict = VERDICT_REJECT,
		.reason = REASON_NO_LOGIN };

	return repeats_find(r, &key, at_ms);
}

static void
same_and_other(void **state)
{
	static const struct {
		const char *name, *client, *auth_user, *login_user;
		enum reason reason;
		int channel;
		int64_t at_ms;
		bool want;
	} rows[] = {
		{ "the same", "192.0.2.1", "", "", REASON_NO_LOGIN, 0, 0,
		    true },
		{ "late in the minute", "192.0.2.1", "", "", REASON_NO_LOGIN, 0,
		    REPEAT_MS - 1, true },
		{ "another minute", "192.0.2.1", "", "", REASON_NO_LOGIN, 0,
		    REPEAT_MS, false },
		{ "the clock was put back", "192.0.2.1", "", "",
		    REASON_NO_LOGIN, 0, -2 * REPEAT_MS, false },
		{ "another client", "192.0.2.2", "", "", REASON_NO_LOGIN, 0, 0,
		    false },
		{ "another user", "192.0.2.1", "u", "", REASON_NO_LOGIN, 0, 0,
		    false },
		{ "the user by a login", "192.0.2.1", "", "u", REASON_NO_LOGIN,
		    0, 0, false },
		{ "another reason", "192.0.2.1", "", "", REASON_DENIED, 0, 0,
		    false },
		{ "the other channel", "192.0.2.1", "", "", REASON_NO_LOGIN, 1,
		    0, false },
	};
	enum { START = 10 * REPEAT_MS };

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct repeats *r = repeats_new();
		struct repeat *one = find_client(r, "192.0.2.1", START);

		ROW("%s", rows[i].name);
		assert_non_null(one);
		one->rows = 7;
		const struct repeat_key key = { .client = rows[i].client,
			.auth_user = rows[i].auth_user,
			.login_user = rows[i].login_user,
			.verdict = VERDICT_REJECT,
			.reason = rows[i].reason,
			.channel = rows[i].channel };
		const struct repeat *other =
		    repeats_find(r, &key, START + rows[i].at_ms);

		assert_non_null(other);
		assert_int_equal(other->rows == 7, rows[i].want);
		repeats_free(r);
	}
}

/* A client has 2^64 addresses in its network. */
static void
an_ipv6_network_is_one_client(void **state)
{
	struct repeats *r = repeats_new();

	(void)state;
	assert_ptr_equal(find_client(r, "2001:db8::1", 0),
	    find_client(r, "2001:db8::ffff:1", 0));
	find_client(r, "2001:db8::1", 0)->rows = 7;
	assert_int_equal(find_client(r, "2001:db8:0:1::1", 0)->rows, 0);
	repeats_free(r);
}

/* A count is written before its place becomes another's: none is lost. */
static void
counted_is_written(void **state)
{
	struct repeats *r = repeats_new();
	int64_t counted = 0, written = 0;
	char client[40];

	(void)state;
	for (int i = 0; i < 30000; i++) {
		(void)snprintf(
		    client, sizeof(client), "10.0.%d.%d", i / 250, i % 250);
		struct repeat *p = find_client(r, client, i);

		while (p == NULL) {
			struct repeat *more = repeats_take(r);

			assert_non_null(more);
			written += more->more;
			more->more = 0;
			p = find_client(r, client, i);
		}
		p->id = i + 1;
		repeats_count(r, p, i);
		repeats_count(r, p, i + 1);
		assert_int_equal(p->last_ms, i + 1);
		counted += 2;
	}
	for (struct repeat *p; (p = repeats_take(r)) != NULL; p->more = 0)
		written += p->more;
	assert_int_equal(written, counted);
	assert_null(repeats_take(r));
	repeats_free(r);
}

static void
forgotten(void **state)
{
	struct repeats *r = repeats_new();
	struct repeat *p = find_client(r, "192.0.2.1", 0);

	(void)state;
	p->id = 1;
	p->rows = REPEAT_ROWS;
	repeats_count(r, p, 0);
	repeats_forget(r);
	assert_null(repeats_take(r));
	assert_int_equal(find_client(r, "192.0.2.1", 0)->rows, 0);
	repeats_free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_and_other),
		cmocka_unit_test(an_ipv6_network_is_one_client),
		cmocka_unit_test(counted_is_written),
		cmocka_unit_test(forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
