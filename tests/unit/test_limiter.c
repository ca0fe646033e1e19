#include "unit.h"

#include <pthread.h>
#include <stdatomic.h>

#include "err.h"
#include "limiter.h"
#include "siphash.h"

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
		*entered = a.over && a.entered;
	return a.over ? (int)a.limit : -1;
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

/* A generator of our own, so that a failure can be had again. */
static uint64_t seed_now;

static unsigned
random_below(unsigned n)
{
	seed_now = seed_now * UINT64_C(6364136223846793005) +
	    UINT64_C(1442695040888963407);
	return (unsigned)(seed_now >> 33) % n;
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
	int credit[CLIENTS][USERS + 1], credit_messages[CLIENTS][USERS + 1];
	int64_t credit_at[CLIENTS][USERS + 1];
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

/* What the model says counts of one limit; for a distinct one *known_r says
 * whether value is among them. */
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
	bool permit, enforce;
	struct limiter_message *message;
};

static int
model_take(struct model *m, const struct model_event *e)
{
	int *credit = &m->credit[e->client][e->user + 1];
	int *messages = &m->credit_messages[e->client][e->user + 1];
	int64_t *at = &m->credit_at[e->client][e->user + 1];
	bool first = e->message != NULL && !e->message->counted;

	if (e->enforce && e->message != NULL &&
	    e->message->recipients >= rates[LIMIT_MESSAGE_RECIPIENTS].max)
		return LIMIT_MESSAGE_RECIPIENTS;
	if (e->now_s - *at > LIMITER_CREDIT_S)
		*credit = *messages = 0;
	bool paid = !e->permit && *credit > 0;
	bool message_paid = first && !e->permit && *messages > 0;

	for (int limit = 0; e->enforce && limit < LIMIT_MESSAGE_RECIPIENTS;
	     limit++) {
		bool of_user = limit >= LIMIT_USER_RECIPIENTS, known;
		bool message = limit == LIMIT_CLIENT_MESSAGES ||
		    limit == LIMIT_USER_MESSAGES;

		if ((of_user && e->user == -1) ||
		    (message ? !first || message_paid : paid))
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
		.message = first && !message_paid,
		.counted = !paid };
	*credit -= paid;
	*messages -= message_paid;
	if (e->permit) {
		++*credit;
		*messages += first;
		*at = e->now_s;
	}
	return -1;
}

/* What the header promises, of the past alone: no window of the configured
 * length holds more than the limit. */
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

		/* what came with a credit was counted before */
		if (!p->counted)
			continue;
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

	seed_now = seed * 2 + 1;
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
		/* Credits do not survive, and neither do messages that were
		 * begun. */
		if (!narrow && random_below(150) == 0) {
			l = replay(l, &m);
			memset(m.credit, 0, sizeof(m.credit));
			memset(m.credit_messages, 0, sizeof(m.credit_messages));
			for (int j = 0; j < m.n; j++)
				m.past[j].message &= m.past[j].counted;
		}
		struct model_event e = { .client = (int)random_below(CLIENTS),
			.user = (int)random_below(USERS + 1) - 1,
			.sender = (int)random_below(SENDERS),
			.permit = random_below(3) == 0,
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
			.permit = e.permit };
		struct limiter_answer a;
		int n = m.n;
		int want = model_take(&m, &e);

		limiter_take(l, e.enforce ? rates : NULL, &ev, &a);
		int got = a.over ? (int)a.limit : -1;

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
			    of_user ? limiter_user(l, user_names[who])
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
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_true(siphash(key, in, rows[i].len) == rows[i].want);
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
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
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
	struct limiter_event ev = { .now_s = 1,
		.client = addr("192.0.2.1"),
		.user = "alice",
		.sender = "a@x" };
	int64_t used[LIMITS];

	(void)state;
	for (int i = 0; i < 5; i++) {
		ev.permit = true;
		ev.sender = "a@x";
		ev.message = &m[0];
		assert_int_equal(take(l, &ev, NULL), -1);
		ev.permit = false;
		ev.message = &m[1];
		ev.sender = "<a@x> in other words";
		assert_int_equal(take(l, &ev, NULL), -1);
	}
	limiter_usage(l, &ev, used);
	assert_int_equal(used[LIMIT_CLIENT_RECIPIENTS], 5);
	assert_int_equal(used[LIMIT_CLIENT_MESSAGES], 1);
	assert_int_equal(used[LIMIT_CLIENT_SENDERS], 1);
	assert_int_equal(used[LIMIT_USER_RECIPIENTS], 5);
	/* a credit is used once */
	ev.message = NULL;
	assert_int_equal(take(l, &ev, NULL), -1);
	limiter_usage(l, &ev, used);
	assert_int_equal(used[LIMIT_CLIENT_RECIPIENTS], 6);
	/* nor is one any good for another user or client, or much later */
	ev.permit = true;
	assert_int_equal(take(l, &ev, NULL), -1);
	ev.permit = false;
	ev.user = "bob";
	assert_int_equal(take(l, &ev, NULL), -1);
	ev.user = "alice";
	ev.now_s += LIMITER_CREDIT_S + 1;
	assert_int_equal(take(l, &ev, NULL), -1);
	limiter_usage(l, &ev, used);
	assert_int_equal(used[LIMIT_CLIENT_RECIPIENTS], 9);
	limiter_free(l);
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
	uint64_t alice = limiter_user(l, "Alice");

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
	assert_true(limiter_denied(l, limiter_user(l, "alice"), 299));
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
		limiter_deny(l, limiter_user(l, name), 1000 + i);
	}
	for (unsigned i = 0; i < 200000; i++) {
		(void)snprintf(name, sizeof(name), "user%u", i);
		denied += limiter_denied(l, limiter_user(l, name), 500);
	}
	assert_int_equal(denied, 64 * 1024);
	/* the newest are among them */
	assert_true(limiter_denied(l, limiter_user(l, name), 500));
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
			limiter_deny(shared, limiter_user(shared, arg), 2);
		(void)limiter_denied(shared, limiter_user(shared, arg), 1);
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
		cmocka_unit_test(test_full_table),
		cmocka_unit_test(test_distinct_overflow),
		cmocka_unit_test(test_deny), cmocka_unit_test(test_deny_many),
		cmocka_unit_test(test_threads) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
