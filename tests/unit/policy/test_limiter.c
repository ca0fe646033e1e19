/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <stdatomic.h>

#include "common/base/err.h"
#include "common/base/siphash.h"
#include "common/policy/limiter.h"
#include "tests/unit/chance.h"

/* --- helpers --- */

static const struct limit_rate rates[LIMITS] = {
	[LIMIT_CLIENT_RECIPIENTS] = { 20, 300 },
	[LIMIT_CLIENT_MESSAGES] = { 9, 150 },
	[LIMIT_CLIENT_SENDERS] = { 5, 200 },
	[LIMIT_USER_RECIPIENTS] = { 14, 100 },
	[LIMIT_USER_MESSAGES] = { 8, 77 },
	[LIMIT_USER_CLIENTS] = { 3, 240 },
	[LIMIT_MESSAGE_RECIPIENTS] = { 6, 0 }
};

static struct limiter *
make(size_t subjects)
{
	struct err err;
	struct limiter *l = limiter_new(rates, 128, subjects, &err);

	if (l == NULL)
		fail_msg("%s", err.text);
	return l;
}

static struct addr
addr(const char *text)
{
	struct addr a;

	assert_true(addr_parse_loose(text, &a));
	return a;
}

/* One recipient; -1: it may go, else the limit it is over. */
static int
take(struct limiter *l, const struct limiter_event *ev, bool *entered)
{
	struct limiter_answer a;

	limiter_take(l, rates, ev, &a);
	if (entered != NULL)
		*entered = a.over && a.breach[0].entered;
	return a.over ? (int)a.breach[0].limit : -1;
}

/* How many go until one doesn't, at most max. */
static int
fill(struct limiter *l, const struct limiter_event *ev, int max)
{
	int n = 0;

	while (n < max && take(l, ev, NULL) == -1)
		n++;
	return n;
}

/* --- a model: every recipient that went, looked at one by one --- */

enum { MODEL_MAX = 4000, CLIENTS = 4, USERS = 3, SENDERS = 9 };

struct past {
	int64_t at_s;
	int client, user, sender; /* user -1: none */
	bool message; /* counted as one */
	bool counted; /* as a recipient */
	bool forgotten[2]; /* for the client, the user */
};

struct model {
	struct past past[MODEL_MAX];
	int n;
};

static const char *const client_names[CLIENTS] = { "192.0.2.1", "192.0.2.2",
	"2001:db8:0:1::1", "2001:db8:0:2::1" };
static const char *const user_names[USERS] = { "alice", "bob", "eve" };
static const char *const sender_names[SENDERS] = { "", "a@x", "b@x", "c@x",
	"d@x", "e@x", "f@x", "g@x", "h@x" };

/* Does what happened at at_s still count? In the definition's words: in the
 * slot of now or one of the 15 before it. */
static bool
counts(enum limit limit, int64_t at_s, int64_t now_s)
{
	int64_t width = (rates[limit].window_s * 1000 + 14) / 15;

	return now_s * 1000 / width - at_s * 1000 / width < 16;
}

/* The model's count for one limit; for a distinct one *known_r says whether
 * value is among them. */
static int64_t
model_sum(const struct model *m, enum limit limit, int who, int value,
    int64_t now_s, bool *known_r)
{
	bool of_user = limit >= LIMIT_USER_RECIPIENTS;
	bool seen[32] = { false };
	int64_t sum = 0;

	for (int i = 0; i < m->n; i++) {
		const struct past *p = &m->past[i];

		if ((of_user ? p->user : p->client) != who ||
		    p->forgotten[of_user] || !counts(limit, p->at_s, now_s))
			continue;
		if (limit == LIMIT_CLIENT_MESSAGES ||
		    limit == LIMIT_USER_MESSAGES)
			sum += p->message;
		else if (limit == LIMIT_CLIENT_SENDERS)
			seen[p->sender] |= p->counted;
		else if (limit == LIMIT_USER_CLIENTS)
			seen[p->client] |= p->counted;
		else
			sum += p->counted;
	}
	*known_r = false;
	if (limit == LIMIT_CLIENT_SENDERS || limit == LIMIT_USER_CLIENTS) {
		for (int i = 0; i < 32; i++)
			sum += seen[i];
		*known_r = seen[value];
	}
	return sum;
}

struct model_event {
	int client, user, sender;
	int64_t now_s;
	bool enforce;
	struct limiter_message *message;
};

static int
model_take(struct model *m, const struct model_event *e)
{
	bool first = e->message != NULL && !e->message->counted;

	if (e->enforce && e->message != NULL &&
	    e->message->recipients >= rates[LIMIT_MESSAGE_RECIPIENTS].max)
		return LIMIT_MESSAGE_RECIPIENTS;
	for (int limit = 0; e->enforce && limit < LIMIT_MESSAGE_RECIPIENTS;
	     limit++) {
		bool of_user = limit >= LIMIT_USER_RECIPIENTS, known;
		bool message = limit == LIMIT_CLIENT_MESSAGES ||
		    limit == LIMIT_USER_MESSAGES;

		if ((of_user && e->user == -1) || (message && !first))
			continue;
		if (model_sum(m, (enum limit)limit,
			of_user ? e->user : e->client,
			limit == LIMIT_CLIENT_SENDERS ? e->sender : e->client,
			e->now_s, &known) >= rates[limit].max &&
		    !known)
			return limit;
	}
	assert_true(m->n < MODEL_MAX);
	m->past[m->n++] = (struct past){ .at_s = e->now_s,
		.client = e->client,
		.user = e->user,
		.sender = e->sender,
		.message = first,
		.counted = true };
	return -1;
}

/* The header's promise, of the past alone: no window of the configured length
 * holds more than the limit. */
static void
check_windows(const struct model *m, const bool *enforced)
{
	for (int i = 0; i < m->n; i++) {
		const struct past *p = &m->past[i];
		int64_t recipients = 0, user = 0;

		if (!enforced[i])
			continue;
		for (int j = 0; j <= i; j++) {
			const struct past *q = &m->past[j];
			int64_t age = p->at_s - q->at_s;

			if (!q->counted)
				continue;
			recipients += q->client == p->client &&
			    !q->forgotten[0] &&
			    age < rates[LIMIT_CLIENT_RECIPIENTS].window_s;
			user += p->user != -1 && q->user == p->user &&
			    !q->forgotten[1] &&
			    age < rates[LIMIT_USER_RECIPIENTS].window_s;
		}
		if (p->counted) {
			assert_true(
			    recipients <= rates[LIMIT_CLIENT_RECIPIENTS].max);
			assert_true(user <= rates[LIMIT_USER_RECIPIENTS].max);
		}
	}
}

/* As after a restart: a new table that is told what went, in order. */
static struct limiter *
replay(struct limiter *old, const struct model *m)
{
	struct limiter *l = make(60000);

	limiter_free(old);
	for (int i = 0; i < m->n; i++) {
		const struct past *p = &m->past[i];
		struct limiter_message msg = { .counted = !p->message };
		struct limiter_answer a;
		struct limiter_event ev = { .now_s = p->at_s,
			.client = addr(client_names[p->client]),
			.free_client = p->forgotten[0],
			.sender = sender_names[p->sender],
			.user = p->user == -1 || p->forgotten[1]
			    ? NULL
			    : user_names[p->user],
			.message = &msg };

		limiter_take(l, NULL, &ev, &a);
		assert_false(a.over);
	}
	return l;
}

static void
one_sequence(uint64_t seed)
{
	static struct model m;
	static bool enforced[MODEL_MAX];
	struct limiter *l = make(60000);
	struct limiter_message message = { .counted = false }, twin = message;
	int64_t now_s = 1000000, newest_s = 0;
	bool narrow = seed % 3 == 0;
	int steps = 100 + (int)(seed % 7) * 50;

	random_state = seed * 2 + 1;
	memset(&m, 0, sizeof(m));
	for (int i = 0; i < steps; i++) {
		unsigned what = random_below(100);

		/* now and then the clock goes back, or jumps */
		if (what < 3)
			now_s -= random_below(100);
		else if (what < 5)
			now_s += random_below(400);
		else
			now_s += random_below(6);
		int64_t was_newest_s = newest_s;

		if (now_s > newest_s)
			newest_s = now_s;
		if (random_below(4) == 0)
			message = twin = (struct limiter_message){ 0 };
		bool with_message = random_below(10) > 0;
		if (!narrow && random_below(150) == 0)
			l = replay(l, &m);
		struct model_event e = { .client = (int)random_below(CLIENTS),
			.user = (int)random_below(USERS + 1) - 1,
			.sender = (int)random_below(SENDERS),
			.enforce = random_below(50) > 0,
			.message = with_message ? &twin : NULL };
		/* Each shard's time goes forward only. With one client and
		 * user there are two, that are always used together. */
		if (narrow)
			e.client = e.user = 0;
		else
			now_s = newest_s;
		e.now_s = newest_s;
		struct limiter_event ev = { .now_s = now_s,
			.client = addr(client_names[e.client]),
			.user = e.user == -1 ? (i % 2 == 0 ? "" : NULL)
					     : user_names[e.user],
			.sender = sender_names[e.sender],
			.message = with_message ? &message : NULL,
			.permit = random_below(3) == 0 };
		struct limiter_answer a;
		int n = m.n;
		int want = model_take(&m, &e);

		limiter_take(l, e.enforce ? rates : NULL, &ev, &a);
		int got = a.over ? (int)a.breach[0].limit : -1;

		if (got != want)
			fail_msg("seed %llu, step %d: %s, want %s",
			    (unsigned long long)seed, i,
			    got == -1 ? "taken" : limit_name((enum limit)got),
			    want == -1 ? "taken"
				       : limit_name((enum limit)want));
		/* this one doesn't look into the table */
		if (want == LIMIT_MESSAGE_RECIPIENTS)
			newest_s = was_newest_s;
		if (want == -1 && with_message) {
			twin.counted = true;
			twin.recipients++;
		}
		assert_int_equal(message.recipients, twin.recipients);
		if (m.n > n)
			enforced[n] = e.enforce;
		if (random_below(200) == 0) {
			bool of_user = random_below(2) == 0;
			int who = (int)random_below(of_user ? USERS : CLIENTS);
			struct addr client = addr(client_names[who % CLIENTS]);

			limiter_forget(l,
			    of_user ? limiter_user(l, user_names[who], false)
				    : limiter_client(l, &client));
			for (int j = 0; j < m.n; j++)
				m.past[j].forgotten[of_user] |=
				    (of_user ? m.past[j].user
					     : m.past[j].client) == who;
		}
	}
	/* recipients that were taken by force may be more than the limit */
	for (int i = 0, forced = 0; i < m.n; i++) {
		forced |= !enforced[i];
		if (forced)
			enforced[i] = false;
	}
	check_windows(&m, enforced);
	limiter_free(l);
}

static void
test_model(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 3000; seed++)
		one_sequence(seed);
}

/* --- what the model does not know --- */

static void
test_siphash(void **state)
{
	/* of the reference implementation: key 00..0f, input 00.. */
	const uint64_t key[2] = { UINT64_C(0x0706050403020100),
		UINT64_C(0x0f0e0d0c0b0a0908) };
	static const struct {
		size_t len;
		uint64_t want;
	} rows[] = {
		{ 0, UINT64_C(0x726fdb47dd0e0e31) },
		{ 1, UINT64_C(0x74f839c593dc67fd) },
		{ 7, UINT64_C(0xab0200f58b01d137) },
		{ 8, UINT64_C(0x93f5f5799a932462) },
		{ 15, UINT64_C(0xa129ca6149be45e5) },
	};
	unsigned char in[16];

	(void)state;
	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (unsigned char)i;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%zu bytes", rows[i].len);
		assert_int_equal(siphash(key, in, rows[i].len), rows[i].want);
	}
}

static void
test_ipv6_prefix(void **state)
{
	static const struct {
		const char *a, *b;
		uint8_t prefix;
		bool same;
	} rows[] = {
		{ "2001:db8::1", "2001:db8::ffff:1", 128, true },
		{ "2001:db8::1", "2001:db8:0:1::1", 128, false },
		{ "2001:db8::1", "2001:db8:0:1::1", 56, true },
		{ "2001:db8::1", "2001:db8:0:100::1", 56, false },
		{ "192.0.2.1", "192.0.2.2", 56, false },
		{ "::ffff:192.0.2.1", "192.0.2.1", 128, true },
		{ "192.0.2.1", "c000:201::", 64, false },
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s and %s, /%u", rows[i].a, rows[i].b, rows[i].prefix);
		struct limiter *l =
		    limiter_new(rates, rows[i].prefix, 10, &err);
		struct addr a = addr(rows[i].a), b = addr(rows[i].b);

		assert_int_equal(limiter_client(l, &a) == limiter_client(l, &b),
		    rows[i].same);
		limiter_free(l);
	}
}

static void
test_names_fold(void **state)
{
	struct limiter *l = make(100);
	struct limiter_event ev = { .now_s = 1,
		.client = addr("192.0.2.1"),
		.free_client = true,
		.user = "alice" };

	(void)state;
	assert_int_equal(fill(l, &ev, 7), 7);
	ev.user = "ALICE";
	assert_int_equal(fill(l, &ev, 100), 7);
	ev.user = "alice2";
	assert_int_equal(fill(l, &ev, 100), 14);
	/* senders: one address in all its spellings is one */
	ev = (struct limiter_event){ .now_s = 1, .client = addr("192.0.2.9") };
	static const char *const senders[] = { "a@x.org", "A@x.org", "a@X.ORG",
		"b@x.org", "c@x.org", "d@x.org", "" };

	for (size_t i = 0; i < 7; i++) {
		ev.sender = senders[i];
		assert_int_equal(take(l, &ev, NULL), -1);
	}
	ev.sender = "e@x.org";
	assert_int_equal(take(l, &ev, NULL), LIMIT_CLIENT_SENDERS);
	ev.sender = "B@X.ORG";
	assert_int_equal(take(l, &ev, NULL), -1);
	limiter_free(l);
}

static void
test_who_is_charged(void **state)
{
	struct limiter *l = make(100);
	struct limiter_event ev = {
		.now_s = 1, .client = addr("192.0.2.1"), .free_client = true
	};
	int64_t used[LIMITS];

	(void)state;
	/* nobody */
	assert_int_equal(fill(l, &ev, 100), 100);
	ev.user = "bob";
	assert_int_equal(fill(l, &ev, 100), 14);
	ev.free_client = false;
	limiter_usage(l, &ev, used);
	assert_int_equal(used[LIMIT_CLIENT_RECIPIENTS], 0);
	assert_int_equal(used[LIMIT_USER_RECIPIENTS], 14);
	assert_int_equal(used[LIMIT_USER_CLIENTS], 1);
	/* what is refused for one is not counted for the other */
	assert_int_equal(fill(l, &ev, 100), 0);
	limiter_usage(l, &ev, used);
	assert_int_equal(used[LIMIT_CLIENT_RECIPIENTS], 0);
	limiter_free(l);
}

static void
test_breach_is_said_once(void **state)
{
	struct limiter *l = make(100);
	struct limiter_event ev = { .now_s = 1000,
		.client = addr("192.0.2.1") };
	bool entered;

	(void)state;
	assert_int_equal(fill(l, &ev, 100), 20);
	/* fill() had the news */
	for (int i = 0; i < 50; i++) {
		assert_int_equal(
		    take(l, &ev, &entered), LIMIT_CLIENT_RECIPIENTS);
		assert_false(entered);
	}
	/* a window later all is forgotten, and the news is news again */
	ev.now_s += 400;
	assert_int_equal(fill(l, &ev, 20), 20);
	assert_int_equal(take(l, &ev, &entered), LIMIT_CLIENT_RECIPIENTS);
	assert_true(entered);
	limiter_free(l);
}

static void
test_message(void **state)
{
	struct limiter *l = make(100);
	struct limiter_message m = { 0 };
	struct limiter_event ev = {
		.now_s = 1, .client = addr("192.0.2.1"), .message = &m
	};
	int64_t used[LIMITS];
	bool entered;

	(void)state;
	assert_int_equal(fill(l, &ev, 6), 6);
	assert_int_equal(take(l, &ev, &entered), LIMIT_MESSAGE_RECIPIENTS);
	assert_true(entered);
	assert_int_equal(take(l, &ev, &entered), LIMIT_MESSAGE_RECIPIENTS);
	assert_false(entered);
	limiter_usage(l, &ev, used);
	assert_int_equal(used[LIMIT_CLIENT_RECIPIENTS], 6);
	assert_int_equal(used[LIMIT_CLIENT_MESSAGES], 1);
	m = (struct limiter_message){ 0 };
	assert_int_equal(take(l, &ev, NULL), -1);
	limiter_usage(l, &ev, used);
	assert_int_equal(used[LIMIT_CLIENT_MESSAGES], 2);
	limiter_free(l);
}

/* The closed wiring: each recipient comes to the permit channel, then to the
 * milter, each with its own idea of the message. */
static void
test_both_channels_count_once(void **state)
{
	struct limiter *l = make(100);
	struct limiter_message m[2] = { 0 };
	struct limiter_event ev = { .now_s = 1000,
		.client = addr("192.0.2.1"),
		.port = 40000,
		.user = "alice",
		.sender = "a@x" };
	int64_t used[LIMITS];

	(void)state;
	for (int i = 0; i < 5; i++) {
		ev.permit = true;
		ev.hold = false;
		ev.recipient = i % 2 == 0 ? "b@y" : NULL;
		ev.message = &m[0];
		assert_int_equal(take(l, &ev, NULL), -1);
		ev.permit = false;
		ev.hold = true;
		ev.recipient = "in other words";
		ev.message = &m[1];
		assert_int_equal(take(l, &ev, NULL), -1);
	}
	for (int sent = 0; sent < 2; sent++) {
		limiter_usage(l, &ev, used);
		assert_int_equal(used[LIMIT_CLIENT_RECIPIENTS], 5);
		assert_int_equal(used[LIMIT_CLIENT_MESSAGES], 1);
		assert_int_equal(used[LIMIT_CLIENT_SENDERS], 1);
		assert_int_equal(used[LIMIT_USER_RECIPIENTS], 5);
		limiter_settle(l, rates, 1000, &m[1], true);
	}
	/* a credit is used once */
	ev.message = NULL;
	ev.hold = false;
	assert_int_equal(take(l, &ev, NULL), -1);
	limiter_usage(l, &ev, used);
	assert_int_equal(used[LIMIT_CLIENT_RECIPIENTS], 6);
	limiter_free(l);
}

/* The same message pays once at two channels, another one pays anew: one is
 * left, then the milter comes. */
static void
test_credits(void **state)
{
	static const struct {
		const char *name;
		struct limiter_event left, came;
		bool paid[2]; /* the client, the user */
	} rows[] = {
		{ "the same connection",
		    { .port = 1, .user = "alice", .recipient = "a@x" },
		    { .port = 1, .user = "alice", .recipient = "<b@x>" },
		    { true, true } },
		{ "another connection",
		    { .port = 1, .user = "alice", .recipient = "a@x" },
		    { .port = 2, .user = "alice", .recipient = "<a@x>" },
		    { false, false } },
		{ "a map that isn't told the port",
		    { .user = "alice", .recipient = "<A@x>" },
		    { .port = 2, .user = "alice", .recipient = "a@X" },
		    { true, true } },
		{ "and another recipient",
		    { .user = "alice", .recipient = "a@x" },
		    { .port = 2, .user = "alice", .recipient = "b@x" },
		    { false, false } },
		{ "another user", { .port = 1, .user = "alice" },
		    { .port = 1, .user = "bob" }, { true, false } },
		{ "his login is not his AUTH",
		    { .port = 1, .user = "alice", .by_login = true },
		    { .port = 1, .user = "alice" }, { true, false } },
		{ "one of several, in another order",
		    { .port = 1, .user = "alice,bob", .by_login = true },
		    { .port = 1, .user = "carol,alice", .by_login = true },
		    { true, true } },
		{ "in time", { .port = 1, .user = "alice" },
		    { .port = 1,
			.user = "alice",
			.now_s = LIMITER_CREDIT_S - 15 },
		    { true, true } },
		{ "too late", { .port = 1, .user = "alice" },
		    { .port = 1,
			.user = "alice",
			.now_s = LIMITER_CREDIT_S + 1 },
		    { false, false } },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i].name);
		struct limiter *l = make(100);
		struct limiter_event ev = rows[i].left, alice = rows[i].came;
		int64_t used[LIMITS];

		ev.now_s += 1000;
		ev.client = addr("192.0.2.1");
		ev.permit = true;
		assert_int_equal(take(l, &ev, NULL), -1);
		ev = rows[i].came;
		ev.now_s += 1000;
		ev.client = addr("192.0.2.1");
		assert_int_equal(take(l, &ev, NULL), -1);
		alice = ev;
		if (strstr(alice.user, "alice") != NULL)
			alice.user = "alice";
		limiter_usage(l, &alice, used);
		bool paid = used[LIMIT_CLIENT_RECIPIENTS] == 1;
		bool user_paid = strcmp(alice.user, "alice") == 0 &&
		    rows[i].left.by_login == alice.by_login &&
		    used[LIMIT_USER_RECIPIENTS] == 1;

		assert_int_equal(paid, rows[i].paid[0]);
		assert_int_equal(user_paid, rows[i].paid[1]);
		limiter_free(l);
	}
}

/* The permit channel says yes, for hours, to what the MTA then refuses; after
 * that the milter alone lets no more through in a window than the limit. */
static void
test_credits_end_one_by_one(void **state)
{
	struct limiter *l = make(1000);
	struct limiter_event ev = { .client = addr("192.0.2.10"),
		.port = 999,
		.user = "alice",
		.free_client = true,
		.sender = "alice@lab.test",
		.recipient = "x@nonexistent.example",
		.permit = true };

	(void)state;
	for (int i = 0; i < 24 * 900; i++) {
		ev.now_s = 1000 + i * 8;
		(void)take(l, &ev, NULL);
	}
	ev.permit = false;
	int n = fill(l, &ev, 1000);

	assert_in_range(n, 1, rates[LIMIT_USER_RECIPIENTS].max);
	limiter_free(l);
}

/* What the MTA refused of what the permit channel had said yes to ends when it
 * is due, whatever is claimed before and after: the claims of later recipients
 * don't leave it in a younger one's place. */
static void
test_unclaimed_ends_in_time(void **state)
{
	enum { WINDOW_S = 66 }; /* a slot is no divisor of a credit's step */
	const struct limit_rate odd[LIMITS] = {
		[LIMIT_CLIENT_RECIPIENTS] = { 1000, WINDOW_S },
		[LIMIT_CLIENT_MESSAGES] = { 1000, WINDOW_S },
		[LIMIT_CLIENT_SENDERS] = { 1000, WINDOW_S },
		[LIMIT_USER_RECIPIENTS] = { 1000, WINDOW_S },
		[LIMIT_USER_MESSAGES] = { 1000, WINDOW_S },
		[LIMIT_USER_CLIENTS] = { 1000, WINDOW_S },
	};

	(void)state;
	for (int apart_s = 1; apart_s <= 16; apart_s++) {
		ROW("one recipient in %d s", apart_s);
		struct err err;
		struct limiter *l = limiter_new(odd, 128, 100, &err);
		struct limiter_event ev = { .now_s = 1000,
			.client = addr("192.0.2.1"),
			.port = 1,
			.user = "alice",
			.by_login = true,
			.free_client = true,
			.permit = true };
		int64_t used[LIMITS];

		assert_non_null(l);
		for (int i = 0; i < 3; i++)
			assert_int_equal(take(l, &ev, NULL), -1);
		for (int s = apart_s; s < WINDOW_S * 16 / 15 + 1 + 15;
		     s += apart_s) {
			struct limiter_message m = { 0 };

			ev.now_s = 1000 + s;
			ev.permit = true;
			ev.hold = false;
			ev.message = NULL;
			assert_int_equal(take(l, &ev, NULL), -1);
			ev.permit = false;
			ev.hold = true;
			ev.message = &m;
			assert_int_equal(take(l, &ev, NULL), -1);
			limiter_settle(l, odd, ev.now_s, &m, false);
		}
		ev.hold = false;
		ev.message = NULL;
		limiter_usage(l, &ev, used);
		assert_int_equal(used[LIMIT_USER_RECIPIENTS], 0);
		limiter_free(l);
	}
}

/* A map isn't told the connection: so a message of another sender may use up the
 * credit. That takes no sender away who was permitted before. */
static void
test_credit_of_another_sender(void **state)
{
	struct limiter *l = make(100);
	struct limiter_message m = { 0 };
	struct limiter_event ev = { .now_s = 1000,
		.client = addr("192.0.2.1"),
		.port = 1,
		.sender = "a@x",
		.recipient = "s@y",
		.permit = true };
	int64_t used[LIMITS];

	(void)state;
	assert_int_equal(take(l, &ev, NULL), -1);
	ev.now_s += 30;
	ev.port = 0;
	ev.sender = "b@x";
	ev.recipient = "r@y";
	assert_int_equal(take(l, &ev, NULL), -1);
	ev.port = 2;
	ev.sender = "a@x";
	ev.permit = false;
	ev.hold = true;
	ev.message = &m;
	assert_int_equal(take(l, &ev, NULL), -1);
	limiter_settle(l, rates, ev.now_s, &m, false);
	limiter_usage(l, &ev, used);
	assert_int_equal(used[LIMIT_CLIENT_SENDERS], 2);
	limiter_free(l);
}

/* Recipients that an open message reserves take room; those it gives up are
 * free again, and those it sends count from then on. */
static void
test_pending(void **state)
{
	struct limiter *l = make(100);
	struct limiter_message m = { 0 }, other = { 0 };
	struct limiter_event ev = { .now_s = 1000,
		.client = addr("192.0.2.1"),
		.user = "alice",
		.by_login = true,
		.message = &m,
		.hold = true };
	struct limiter_answer a;
	int64_t used[LIMITS];

	(void)state;
	/* again and again: a stranger who asks, and sends nothing */
	for (int i = 0; i < 3; i++) {
		m = (struct limiter_message){ 0 };
		assert_int_equal(fill(l, &ev, 6), 6);
		limiter_settle(l, rates, ev.now_s, &m, false);
		limiter_usage(l, &ev, used);
		for (int k = 0; k < LIMITS; k++)
			assert_int_equal(used[k], 0);
	}
	/* no flood of it, though: so far 18 of the client's 20 were freed */
	m = (struct limiter_message){ 0 };
	assert_int_equal(fill(l, &ev, 6), 6);
	limiter_settle(l, rates, ev.now_s, &m, false);
	limiter_usage(l, &ev, used);
	assert_int_equal(used[LIMIT_CLIENT_RECIPIENTS], 4);
	assert_int_equal(used[LIMIT_USER_RECIPIENTS], 0);
	/* what is reserved leaves no room, also when time goes by */
	ev.now_s += 400;
	m = (struct limiter_message){ 0 };
	assert_int_equal(fill(l, &ev, 6), 6);
	ev.now_s += 1000;
	ev.message = &other;
	assert_int_equal(fill(l, &ev, 6), 6);
	other.recipients = 0;
	assert_int_equal(fill(l, &ev, 6), 2);
	limiter_take(l, rates, &ev, &a);
	assert_true(a.over && a.n == 1);
	assert_int_equal(a.breach[0].limit, LIMIT_USER_RECIPIENTS);
	/* and is no reason to keep anybody out */
	assert_false(a.breach[0].firm);
	limiter_settle(l, rates, ev.now_s, &m, true);
	limiter_settle(l, rates, ev.now_s, &other, true);
	limiter_take(l, rates, &ev, &a);
	assert_true(a.over && a.breach[0].firm && !a.breach[0].entered);
	limiter_take(l, rates, &ev, &a);
	assert_true(a.over && !a.breach[0].firm);
	/* it counts from when it was sent */
	ev.now_s += 98;
	assert_int_equal(fill(l, &ev, 6), 0);
	ev.now_s += 10;
	m = (struct limiter_message){ 0 };
	ev.message = &m;
	assert_int_equal(fill(l, &ev, 6), 6);
	limiter_settle(l, rates, ev.now_s, &m, false);
	limiter_free(l);
}

/* A message holds what it holds, whatever becomes of its client or user in
 * between. */
static void
test_pending_and_forgotten(void **state)
{
	struct limiter *l = make(100);
	struct limiter_message m = { 0 };
	struct limiter_event ev = { .now_s = 1000,
		.client = addr("192.0.2.1"),
		.sender = "a@x",
		.message = &m,
		.hold = true };
	int64_t used[LIMITS];

	(void)state;
	assert_int_equal(fill(l, &ev, 3), 3);
	limiter_forget(l, limiter_client(l, &ev.client));
	limiter_settle(l, rates, 1000, &m, true);
	limiter_usage(l, &ev, used);
	assert_int_equal(used[LIMIT_CLIENT_RECIPIENTS], 3);
	assert_int_equal(used[LIMIT_CLIENT_SENDERS], 1);
	m = (struct limiter_message){ 0 };
	assert_int_equal(fill(l, &ev, 3), 3);
	limiter_forget(l, limiter_client(l, &ev.client));
	limiter_settle(l, rates, 1000, &m, false);
	limiter_settle(l, rates, 1000, &m, false);
	limiter_usage(l, &ev, used);
	for (int k = 0; k < LIMITS; k++)
		assert_int_equal(used[k], 0);
	limiter_free(l);
}

/* One client that sends by many sessions at once is one, and so is a sender. */
static void
test_pending_distinct(void **state)
{
	struct limiter *l = make(100);
	struct limiter_message m[8] = { 0 };
	struct limiter_event ev = { .now_s = 1000,
		.client = addr("192.0.2.1"),
		.user = "alice",
		.by_login = true,
		.sender = "a@x",
		.hold = true };
	int64_t used[LIMITS];

	(void)state;
	for (int i = 0; i < 8; i++) {
		ev.message = &m[i];
		assert_int_equal(take(l, &ev, NULL), -1);
		limiter_usage(l, &ev, used);
		assert_int_equal(used[LIMIT_CLIENT_SENDERS], 1);
		assert_int_equal(used[LIMIT_USER_CLIENTS], 1);
	}
	for (int i = 0; i < 8; i++) {
		limiter_settle(l, rates, 1000, &m[i], i == 3);
		limiter_usage(l, &ev, used);
		assert_int_equal(used[LIMIT_CLIENT_SENDERS], 1);
		assert_int_equal(used[LIMIT_USER_CLIENTS], 1);
	}
	limiter_free(l);
}

/* Several users behind a client: each that has room is charged, and the limits
 * of all of them end it. */
static void
test_users_of_a_login(void **state)
{
	struct limiter *l = make(1000);
	struct limiter_event ev = { .now_s = 1000, .by_login = true };
	struct limiter_answer a;
	char client[30];
	int taken = 0;

	(void)state;
	/* a botnet with two mailboxes, each bot with both: as if it had one */
	ev.user = "alice,BOB";
	for (int i = 0; i < 30; i++) {
		(void)snprintf(client, sizeof(client), "192.0.2.%d", i % 3);
		ev.client = addr(client);
		taken += take(l, &ev, NULL) == -1;
	}
	assert_int_equal(taken, 14);
	/* both are named */
	limiter_take(l, rates, &ev, &a);
	assert_int_equal(a.n, 2);
	assert_int_equal(a.breach[0].user, 0);
	assert_int_equal(a.breach[1].user, 1);
	/* they don't keep out who isn't over, and he alone is charged */
	ev.user = "alice,carol,bob";
	limiter_take(l, rates, &ev, &a);
	assert_false(a.over);
	assert_int_equal(a.charged, 1 << 1);
	assert_int_equal(fill(l, &ev, 100), 13);
	/* a fourth client is one too many for a user, not for the other */
	ev.now_s += 2000;
	for (int i = 0; i < 3; i++) {
		(void)snprintf(client, sizeof(client), "198.51.100.%d", i);
		ev.client = addr(client);
		ev.user = "dave";
		assert_int_equal(take(l, &ev, NULL), -1);
	}
	ev.client = addr("198.51.100.9");
	assert_int_equal(take(l, &ev, NULL), LIMIT_USER_CLIENTS);
	ev.user = "dave,erin";
	limiter_take(l, rates, &ev, &a);
	assert_false(a.over);
	assert_int_equal(a.charged, 1 << 1);
	/* AUTH is not kept out by it */
	ev.user = "dave";
	ev.by_login = false;
	assert_int_equal(take(l, &ev, NULL), -1);
	limiter_free(l);
}

/* Texts of any length are told apart to their end. */
static void
test_long_texts(void **state)
{
	static const size_t lengths[] = { 1, 255, 256, 257, 319, 320, 511, 512,
		513, 1999, 8000 };
	static char text[8100];
	struct limiter_event ev = { .now_s = 1000, .sender = text };

	(void)state;
	for (size_t i = 0; i < LENGTH(lengths); i++) {
		ROW("%zu bytes", lengths[i]);
		struct limiter *l = make(100);
		int n = 0;

		ev.client = addr("192.0.2.1");
		memset(text, 'a', lengths[i]);
		for (int j = 0; j < 20; j++) {
			(void)snprintf(text + lengths[i], 20, "%d@x", j);
			n += take(l, &ev, NULL) == -1;
		}
		assert_int_equal(n, rates[LIMIT_CLIENT_SENDERS].max);
		/* but not by case */
		text[0] = 'A';
		(void)snprintf(text + lengths[i], 20, "0@X");
		assert_int_equal(take(l, &ev, NULL), -1);
		limiter_free(l);
	}
}

/* A site with far more subjects than room: nobody gets away with more, and
 * small senders may go on. */
static void
test_full_table(void **state)
{
	struct limiter *l = make(448); /* one set a shard */
	struct limiter_event heavy = { .now_s = 1000,
		.client = addr("192.0.2.1") };
	int relayed = 0, light = 0;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		char text[40];

		/* the attacker's other addresses, all of them new */
		(void)snprintf(text, sizeof(text), "10.%u.%u.%u", i >> 16,
		    i >> 8 & 255, i & 255);
		struct limiter_event ev = { .now_s = 1000,
			.client = addr(text) };

		light += take(l, &ev, NULL) == -1;
		relayed += take(l, &heavy, NULL) == -1;
	}
	assert_true(relayed <= 20);
	/* all in all no more than the table has room for */
	assert_true(light <= 448 * 20);
	/* a window later there is room again */
	heavy.now_s += 400;
	assert_int_equal(fill(l, &heavy, 100), 20);
	limiter_free(l);
}

static void
test_distinct_overflow(void **state)
{
	struct limiter *l = make(448);
	struct limiter_event ev = { .now_s = 1000 };
	char text[40], sender[40];

	(void)state;
	/* marks of many clients drive each other out: each client may still
	 * have no more than five senders */
	for (unsigned i = 0; i < 3000; i++) {
		(void)snprintf(
		    text, sizeof(text), "10.0.%u.%u", i >> 8, i & 255);
		ev.client = addr(text);
		int n = 0;

		for (unsigned j = 0; j < 10; j++) {
			(void)snprintf(sender, sizeof(sender), "%u@x", j);
			ev.sender = sender;
			n += take(l, &ev, NULL) == -1;
		}
		assert_true(n <= 5);
	}
	limiter_free(l);
}

static void
test_deny(void **state)
{
	struct limiter *l = make(100);
	struct addr a = addr("2001:db8::1"), b = addr("2001:db8::2");
	struct limiter_event ev = { .now_s = 1, .client = a };
	uint64_t alice = limiter_user(l, "Alice", false);

	(void)state;
	assert_false(limiter_denied(l, limiter_client(l, &a), 100));
	limiter_deny(l, limiter_client(l, &a), 200);
	/* its neighbours in the /64 are the same host for all we know */
	assert_true(limiter_denied(l, limiter_client(l, &b), 199));
	assert_false(limiter_denied(l, alice, 100));
	/* a shorter one doesn't shorten */
	limiter_deny(l, limiter_client(l, &a), 150);
	assert_true(limiter_denied(l, limiter_client(l, &a), 199));
	assert_false(limiter_denied(l, limiter_client(l, &a), 200));
	limiter_deny(l, alice, 300);
	assert_true(limiter_denied(l, limiter_user(l, "alice", false), 299));
	assert_int_equal(fill(l, &ev, 100), 20);
	limiter_deny(l, limiter_client(l, &a), 500);
	limiter_forget(l, limiter_client(l, &a));
	assert_false(limiter_denied(l, limiter_client(l, &a), 400));
	assert_int_equal(fill(l, &ev, 100), 20);
	/* who was never counted can be denied and forgotten too */
	limiter_forget(l, alice);
	assert_false(limiter_denied(l, alice, 299));
	limiter_free(l);
}

static void
test_deny_many(void **state)
{
	struct limiter *l = make(100);
	char name[40];
	unsigned denied = 0;

	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		(void)snprintf(name, sizeof(name), "user%u", i);
		limiter_deny(l, limiter_user(l, name, false), 1000 + i);
	}
	for (unsigned i = 0; i < 200000; i++) {
		(void)snprintf(name, sizeof(name), "user%u", i);
		denied += limiter_denied(l, limiter_user(l, name, false), 500);
	}
	assert_int_equal(denied, 64 * 1024);
	/* the newest are among them */
	assert_true(limiter_denied(l, limiter_user(l, name, false), 500));
	limiter_free(l);
}

/* --- what other machines relayed --- */

struct elsewhere {
	int64_t at_s;
	int client, user, sender;
	uint32_t recipients, messages;
};

static struct limiter_event
event_of(const struct elsewhere *e, int64_t now_s)
{
	return (struct limiter_event){ .now_s = now_s,
		.client = addr(client_names[e->client]),
		.user = user_names[e->user],
		.by_login = true,
		.sender = sender_names[e->sender] };
}

static void
take_told(struct limiter *l, const struct elsewhere *e, int64_t now_s)
{
	const struct limiter_event ev = event_of(e, now_s);
	const struct limiter_told told = { .at_s = e->at_s,
		.recipients = e->recipients,
		.messages = e->messages };

	limiter_take_told(l, &ev, &told);
}

/* As if it had been relayed here, at that time. */
static void
take_here(struct limiter *l, const struct elsewhere *e)
{
	for (uint32_t i = 0; i < e->recipients; i++) {
		struct limiter_message m = { .counted = i >= e->messages };
		struct limiter_event ev = event_of(e, e->at_s);
		struct limiter_answer a;

		ev.message = &m;
		limiter_take(l, NULL, &ev, &a);
	}
}

static void
same_usage(struct limiter *one, struct limiter *other, int64_t now_s)
{
	for (int c = 0; c < CLIENTS; c++)
		for (int u = 0; u < USERS; u++) {
			const struct elsewhere e = { .client = c, .user = u };
			const struct limiter_event ev = event_of(&e, now_s);
			int64_t a[LIMITS], b[LIMITS];

			limiter_usage(one, &ev, a);
			limiter_usage(other, &ev, b);
			for (int i = 0; i < LIMITS; i++)
				assert_int_equal(a[i], b[i]);
		}
}

static int
by_time(const void *a, const void *b)
{
	const struct elsewhere *x = a, *y = b;

	return x->at_s < y->at_s ? -1 : x->at_s > y->at_s;
}

/* In any order they come to what they would have come to in theirs, then and
 * later. */
static void
test_told_in_any_order(void **state)
{
	enum { EVENTS = 25, NOW_S = 2000 };

	(void)state;
	for (int seed = 1; seed <= 300; seed++) {
		struct limiter *told = make(1000), *here = make(1000);
		struct elsewhere v[EVENTS];

		ROW("seed %d", seed);
		random_state = (uint64_t)seed * UINT64_C(0x9e3779b97f4a7c15);
		for (int i = 0; i < EVENTS; i++) {
			uint32_t n = 1 + random_below(4);

			v[i] = (struct elsewhere){ .at_s = NOW_S -
				    random_below(400),
				.client = (int)random_below(CLIENTS),
				.user = (int)random_below(USERS),
				.sender = (int)random_below(SENDERS),
				.recipients = n,
				.messages = random_below(n + 1) };
			take_told(told, &v[i], NOW_S);
		}
		qsort(v, EVENTS, sizeof(v[0]), by_time);
		for (int i = 0; i < EVENTS; i++)
			take_here(here, &v[i]);
		for (int64_t at = NOW_S; at < NOW_S + 400; at += 37)
			same_usage(told, here, at);
		limiter_free(told);
		limiter_free(here);
	}
}

/* Clocks differ a little, and a machine may say what it wants. */
static void
test_told_odd_times_and_sums(void **state)
{
	struct limiter *l = make(1000);
	struct elsewhere e = { .at_s = 1100, .recipients = 3, .messages = 1 };
	const struct limiter_event ev = event_of(&e, 1000);
	int64_t used[LIMITS];

	(void)state;
	take_told(l, &e, 1000); /* of the future: now */
	limiter_usage(l, &ev, used);
	assert_int_equal(used[LIMIT_CLIENT_RECIPIENTS], 3);
	e.at_s = 0;
	take_told(l, &e, 1000);
	limiter_usage(l, &ev, used);
	assert_int_equal(used[LIMIT_CLIENT_RECIPIENTS], 3);
	e = (struct elsewhere){ .at_s = 990, .recipients = UINT32_MAX };
	for (int i = 0; i < 3; i++)
		take_told(l, &e, 1000);
	assert_int_not_equal(take(l, &ev, NULL), -1);
	limiter_usage(l, &ev, used);
	assert_true(used[LIMIT_CLIENT_RECIPIENTS] > 1000000);
	/* let in again: nothing of until then, however late it comes */
	limiter_lift(l, limiter_client(l, &ev.client), false, 995);
	limiter_lift(l, limiter_user(l, ev.user, true), true, 995);
	e.recipients = 1;
	e.at_s = 995;
	take_told(l, &e, 1000);
	limiter_usage(l, &ev, used);
	assert_int_equal(used[LIMIT_CLIENT_RECIPIENTS], 0);
	assert_int_equal(used[LIMIT_USER_RECIPIENTS], 0);
	e.at_s = 996;
	take_told(l, &e, 1000);
	limiter_usage(l, &ev, used);
	assert_int_equal(used[LIMIT_CLIENT_RECIPIENTS], 1);
	assert_int_equal(used[LIMIT_USER_RECIPIENTS], 1);
	limiter_free(l);
}

/* Check and count are one step, however many threads there are. */
static struct limiter *shared;
static atomic_int shared_taken;

static void *
hammer(void *arg)
{
	struct limiter_event ev = { .now_s = 1,
		.client = addr("192.0.2.1"),
		.user = arg,
		.sender = "a@x" };

	for (int i = 0; i < 3000; i++) {
		ev.user = i % 2 == 0 ? arg : "carol";
		ev.permit = i % 3 == 0;
		if (take(shared, &ev, NULL) == -1 && ev.permit)
			atomic_fetch_add(&shared_taken, 1);
		if (i % 500 == 0)
			limiter_deny(
			    shared, limiter_user(shared, arg, false), 2);
		(void)limiter_denied(
		    shared, limiter_user(shared, arg, false), 1);
	}
	return NULL;
}

static void
test_threads(void **state)
{
	pthread_t thread[8];
	char names[8][16];

	(void)state;
	shared = make(1000);
	for (int i = 0; i < 8; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "u%d", i);
		assert_int_equal(
		    pthread_create(&thread[i], NULL, hammer, names[i]), 0);
	}
	for (int i = 0; i < 8; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	assert_true(shared_taken <= 20);
	limiter_free(shared);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_siphash),
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_ipv6_prefix),
		cmocka_unit_test(test_names_fold),
		cmocka_unit_test(test_who_is_charged),
		cmocka_unit_test(test_breach_is_said_once),
		cmocka_unit_test(test_message),
		cmocka_unit_test(test_both_channels_count_once),
		cmocka_unit_test(test_credits),
		cmocka_unit_test(test_credits_end_one_by_one),
		cmocka_unit_test(test_unclaimed_ends_in_time),
		cmocka_unit_test(test_credit_of_another_sender),
		cmocka_unit_test(test_pending),
		cmocka_unit_test(test_pending_and_forgotten),
		cmocka_unit_test(test_pending_distinct),
		cmocka_unit_test(test_users_of_a_login),
		cmocka_unit_test(test_long_texts),
		cmocka_unit_test(test_full_table),
		cmocka_unit_test(test_distinct_overflow),
		cmocka_unit_test(test_told_in_any_order),
		cmocka_unit_test(test_told_odd_times_and_sums),
		cmocka_unit_test(test_deny), cmocka_unit_test(test_deny_many),
		cmocka_unit_test(test_threads) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
