/* SPDX-License-Identifier: ISC */
/* Limits in the large: random histories of clients, users, connections and
 * both channels, with recipients that the MTA refuses, messages that are given
 * up, and restarts. What is compared is not another counter but the world:
 *   - no window ever holds more relayed recipients, messages, senders or
 *     clients than its limit;
 *   - nobody is refused but for what was relayed, permitted or is still open
 *     within a little more than the window: a client that gives up what it
 *     began keeps nobody out. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <sys/random.h>

#include "common/base/err.h"
#include "common/policy/limiter.h"
#include "tests/unit/chance.h"

enum {
	CLIENTS = 4,
	USERS = 4,
	SENDERS = 7,
	RCPTS = 3,
	CONNECTIONS = 6,
	DEEDS = 20000,
	SLACK_S = 20 /* seconds are whole, and credits end in steps */
};

static const struct limit_rate rates[LIMITS] = {
	[LIMIT_CLIENT_RECIPIENTS] = { 14, 60 },
	[LIMIT_CLIENT_MESSAGES] = { 8, 90 },
	[LIMIT_CLIENT_SENDERS] = { 4, 75 },
	[LIMIT_USER_RECIPIENTS] = { 9, 66 },
	[LIMIT_USER_MESSAGES] = { 6, 77 },
	[LIMIT_USER_CLIENTS] = { 3, 120 }
};

static const char *const clients[CLIENTS] = { "192.0.2.1", "192.0.2.2",
	"2001:db8:0:1::1", "2001:db8:0:2::1" };
static const char *const users[USERS] = { "alice", "bob@x.example", "carol",
	"dave,x" };

/* How a recipient comes to us. */
enum wiring { BOTH, MAP_AND_MILTER, PERMIT_ONLY, MILTER_ONLY, WIRINGS };

enum fate { OPEN, RELAYED, PERMITTED, GIVEN_UP };

/* One recipient that was let through. */
struct deed {
	int64_t at_s, rcpt_s; /* when it counts from; when it was decided */
	int connection, client, sender, rcpt, auth; /* auth -1: by login */
	unsigned charged; /* users, a bit each */
	unsigned left; /* of those the ones for whom the milter claimed none */
	int message; /* number */
	bool permit; /* what the permit channel said, not the milter */
	bool map; /* what a map said, which is told of no message */
	bool claimed; /* by the milter's, which is a deed of its own */
	bool alone; /* the MTA relays what the permit channel permits */
	bool first; /* of its message, in its channel: the message counts for
		     * those who are charged for this one */
	enum fate fate;
};

struct connection {
	enum wiring wiring;
	int client, sender, auth, message;
	uint16_t port;
	struct limiter_message asked, seen; /* by the permit channel, milter */
};

static struct world {
	struct limiter *l;
	struct deed deed[DEEDS];
	int n;
	struct connection connection[CONNECTIONS];
	unsigned logins[CLIENTS]; /* users who are logged in there */
	int messages, ports;
	int64_t now_s;
	uint64_t seed;
} w;

/* The key of the limiter's table follows from the seed: where names fall in the
 * table is the same whenever a history is played. */
ssize_t
getrandom(void *buf, size_t len, unsigned flags)
{
	uint64_t history_state = random_state;

	(void)flags;
	random_state = ~w.seed;
	for (size_t i = 0; i < len; i++)
		((unsigned char *)buf)[i] = (unsigned char)random_below(256);
	random_state = history_state;
	return (ssize_t)len;
}

static struct limiter *
make(void)
{
	struct err err;
	struct limiter *l = limiter_new(rates, 128, 60000, &err);

	assert_non_null(l);
	return l;
}

static const char *
list_of(unsigned mask, char list[USERLIST_MAX])
{
	list[0] = '\0';
	for (int i = 0; i < USERS; i++)
		if (mask >> i & 1)
			assert_true(userlist_add(list, users[i]));
	return list;
}

/* The users of a mask that stand at these places of its list. */
static unsigned
users_at(unsigned mask, unsigned places)
{
	unsigned place = 0, found = 0;

	for (int i = 0; i < USERS; i++)
		if (mask >> i & 1 && places >> place++ & 1)
			found |= 1U << i;
	return found;
}

/* --- what the world holds --- */

/* Is the deed one of this client's (who < CLIENTS), of this user by AUTH
 * (< CLIENTS + USERS), or charged to this user's logins? */
static bool
is_of(const struct deed *d, int who)
{
	if (who < CLIENTS)
		return d->auth == -1 && d->client == who;
	if (who < CLIENTS + USERS)
		return d->auth == who - CLIENTS;
	return d->auth == -1 && d->left >> (who - CLIENTS - USERS) & 1;
}

enum { SUBJECTS = CLIENTS + 2 * USERS };

/* How much of a limit's kind the deeds since from_s come to. */
static int64_t
sum(int who, enum limit limit, int64_t from_s,
    bool (*counts)(const struct deed *d))
{
	static bool seen[2 * DEEDS];
	int64_t n = 0;

	memset(
	    seen, 0, (size_t)(w.n > w.messages ? w.n : w.messages) + SENDERS);
	for (int i = 0; i < w.n; i++) {
		const struct deed *d = &w.deed[i];
		int what = limit % 3 == 1 ? d->message
		    : limit % 3 == 0      ? i
		    : who < CLIENTS       ? d->sender
					  : d->client;

		if ((d->at_s < from_s && d->fate != OPEN) || !is_of(d, who) ||
		    !counts(d) || (limit % 3 == 1 && !d->first) || seen[what])
			continue;
		seen[what] = true;
		n++;
	}
	return n;
}

static bool
is_relayed(const struct deed *d)
{
	return d->fate == RELAYED || d->alone;
}

static bool
takes_room(const struct deed *d)
{
	return d->fate != GIVEN_UP && !(d->claimed && d->left == 0);
}

static bool
is_any(const struct deed *d)
{
	(void)d;
	return true;
}

static enum limit
first_limit(int who)
{
	return who < CLIENTS ? LIMIT_CLIENT_RECIPIENTS : LIMIT_USER_RECIPIENTS;
}

/* Of what has just happened: as each moment is looked at, each window is. */
static void
check_windows(void)
{
	for (int who = 0; who < SUBJECTS; who++)
		for (int m = 0; m < 3; m++) {
			enum limit limit = first_limit(who) + (unsigned)m;
			int64_t got = sum(who, limit,
			    w.now_s - rates[limit].window_s + 1, is_relayed);

			if (got > rates[limit].max)
				fail_msg("seed %llu, second %lld, subject %d: "
					 "%lld of %s",
				    (unsigned long long)w.seed,
				    (long long)w.now_s, who, (long long)got,
				    limit_name(limit));
		}
}

/* Was it refused for something? A message may have been counted by each
 * channel, and what is given up counts when it is too much. */
static void
check_refused(int who, enum limit limit)
{
	int64_t long_s = rates[limit].window_s * 16 / 15 + SLACK_S;
	/* a sender that was known is so for longer when the permit channel is
	 * asked about it once more, whatever the message comes to */
	int64_t got = sum(
	    who, limit, w.now_s - long_s, limit % 3 == 2 ? is_any : takes_room);
	int64_t begun = sum(who, first_limit(who),
	    w.now_s - long_s - rates[first_limit(who)].window_s, is_any);

	if (limit % 3 == 1)
		got *= 2;
	if (got < rates[limit].max && begun <= rates[first_limit(who)].max)
		fail_msg("seed %llu, second %lld, subject %d: refused for %s "
			 "at %lld",
		    (unsigned long long)w.seed, (long long)w.now_s, who,
		    limit_name(limit), (long long)got);
}

/* --- what happens --- */

static struct limiter_event
event(const struct deed *d, bool permit, char list[USERLIST_MAX],
    char sender[16], char rcpt[16])
{
	struct limiter_event ev = { .now_s = w.now_s,
		.user =
		    d->auth == -1 ? list_of(d->charged, list) : users[d->auth],
		.by_login = d->auth == -1,
		.free_client = d->auth != -1,
		.sender = sender,
		.recipient = rcpt,
		.permit = permit };

	assert_true(addr_parse_loose(clients[d->client], &ev.client));
	(void)snprintf(sender, 16, "s%d@x", d->sender);
	(void)snprintf(rcpt, 16, permit ? "r%d@y" : "<r%d@y>", d->rcpt);
	return ev;
}

/* Ask the one or the other channel about a recipient. */
static bool
take(struct connection *c, struct deed d, bool permit)
{
	char list[USERLIST_MAX], sender[16], rcpt[16];
	struct limiter_event ev = event(&d, permit, list, sender, rcpt);
	struct limiter_answer a;
	unsigned logins = d.charged;
	const struct limiter_message *m = permit ? &c->asked : &c->seen;

	d.map = permit && c->wiring == MAP_AND_MILTER;
	d.first = !m->counted && !d.map;
	ev.message = !permit ? &c->seen : d.map ? NULL : &c->asked;
	ev.hold = !permit;
	ev.port = d.map ? 0 : c->port;
	limiter_take(w.l, rates, &ev, &a);
	for (unsigned i = 0; i < a.n; i++) {
		enum limit limit = a.breach[i].limit;
		unsigned user = users_at(logins, 1U << a.breach[i].user);
		int who = limit < LIMIT_USER_RECIPIENTS ? d.client
		    : d.auth != -1                      ? CLIENTS + d.auth
				   : CLIENTS + USERS + __builtin_ctz(user);

		check_refused(who, limit);
	}
	if (a.over)
		return false;
	d.charged = d.auth == -1 ? users_at(logins, a.charged) : 0;
	/* somebody is charged, unless nobody is known */
	assert_true(d.auth != -1 || logins == 0 || d.charged != 0);
	d.left = d.charged;
	d.permit = permit;
	d.alone = permit && c->wiring == PERMIT_ONLY;
	d.fate = permit ? PERMITTED : OPEN;
	assert_true(w.n < DEEDS);
	w.deed[w.n++] = d;
	return true;
}

static void
recipient(int number)
{
	struct connection *c = &w.connection[number];
	struct deed d = { .at_s = w.now_s,
		.rcpt_s = w.now_s,
		.connection = number,
		.client = c->client,
		.sender = c->sender,
		/* After a restart nobody knows of which connection it was:
		 * one recipient by two ways in a minute would be one. */
		.rcpt = (int)random_below(RCPTS) +
		    (c->wiring == PERMIT_ONLY ? RCPTS : 0),
		.auth = c->auth,
		.message = c->message,
		.charged = w.logins[c->client] };
	int asked = w.n;

	if (c->wiring != MILTER_ONLY && !take(c, d, true))
		return;
	check_windows();
	/* the MTA refuses some that we permitted */
	if (c->wiring == PERMIT_ONLY ||
	    (c->wiring != MILTER_ONLY && random_below(8) == 0))
		return;
	/* a login ends or begins just now */
	if (random_below(12) == 0)
		d.charged = w.logins[c->client] = random_below(1 << USERS);
	if (take(c, d, false) && c->wiring != MILTER_ONLY) {
		w.deed[asked].claimed = true;
		w.deed[asked].left &= ~w.deed[asked + 1].charged;
	}
}

/* The end of the message of a connection. */
static void
settle(int number, bool sent)
{
	struct connection *c = &w.connection[number];

	for (int i = 0; i < w.n; i++) {
		struct deed *d = &w.deed[i];

		if (d->fate != OPEN || d->connection != number)
			continue;
		d->fate = sent ? RELAYED : GIVEN_UP;
		d->at_s = w.now_s;
	}
	limiter_settle(w.l, rates, w.now_s, &c->seen, sent);
	c->asked = c->seen = (struct limiter_message){ .counted = false };
	c->message = w.messages++;
	c->sender = (int)random_below(SENDERS);
	check_windows();
}

static void
connect_anew(int number)
{
	struct connection *c = &w.connection[number];

	settle(number, false);
	c->wiring = random_below(WIRINGS);
	c->client = (int)random_below(CLIENTS);
	c->auth = (int)random_below(3 * USERS) - 2 * USERS;
	if (c->auth < 0)
		c->auth = -1;
	c->port = (uint16_t)(1000 + w.ports++);
}

/* A new process is told what was recorded: of the milter's only what came to
 * its end, counted from when it was decided. (That all of it is read, and in
 * which order, is test_charge's.) */
static void
restart(void)
{
	char list[USERLIST_MAX], sender[16], rcpt[16];
	int64_t now_s = w.now_s;
	struct limiter_answer a;

	for (int i = 0; i < CONNECTIONS; i++)
		connect_anew(i);
	limiter_free(w.l);
	w.l = make();
	for (int i = 0; i < w.n; i++) {
		struct deed *d = &w.deed[i];
		struct limiter_message m = { .counted = false };

		w.now_s = d->at_s = d->rcpt_s;
		struct limiter_event ev =
		    event(d, d->permit, list, sender, rcpt);

		for (int j = 0; j < i; j++)
			m.counted |= w.deed[j].message == d->message &&
			    w.deed[j].permit == d->permit;
		ev.message = d->map ? NULL : &m;
		ev.hold = !d->permit;
		limiter_take(w.l, NULL, &ev, &a);
		if (ev.hold)
			limiter_settle(
			    w.l, rates, w.now_s, &m, d->fate == RELAYED);
	}
	w.now_s = now_s;
}

static void
history(uint64_t seed, int steps)
{
	random_state = seed * 2 + 1;
	memset(&w, 0, sizeof(w));
	w.seed = seed;
	w.l = make();
	w.now_s = 1000;
	for (int i = 0; i < CLIENTS; i++)
		w.logins[i] = random_below(1 << USERS);
	for (int i = 0; i < CONNECTIONS; i++)
		connect_anew(i);
	for (int i = 0; i < steps; i++) {
		int number = (int)random_below(CONNECTIONS);
		unsigned what = random_below(100);

		w.now_s += random_below(4) == 0 ? random_below(9) : 0;
		if (what < 60)
			recipient(number);
		else if (what < 75)
			settle(number, true);
		else if (what < 85)
			settle(number, false);
		else if (what < 92)
			connect_anew(number);
		else if (what < 96)
			w.logins[random_below(CLIENTS)] =
			    random_below(1 << USERS);
		else if (what < 98)
			w.now_s += random_below(70);
		else if (what < 99 && i % 3 == 0)
			restart();
	}
	for (int i = 0; i < CONNECTIONS; i++)
		settle(i, false);
	limiter_free(w.l);
}

static void
test_histories(void **state)
{
	/* fewer where each is slow, as under sanitizers */
	const char *text = getenv("POPGATE_HISTORIES");
	uint64_t n = text == NULL ? 3000 : strtoull(text, NULL, 10);

	(void)state;
	for (uint64_t seed = 0; seed < n; seed++)
		history(seed, 150);
}

/* Beyond those above: each was red once. */
static void
test_found(void **state)
{
	static const uint64_t seeds[] = { 31815, 45234 };

	(void)state;
	for (size_t i = 0; i < sizeof(seeds) / sizeof(*seeds); i++)
		history(seeds[i], 150);
}

static void
test_long_histories(void **state)
{
	uint64_t n = getenv("POPGATE_HISTORIES") == NULL ? 5 : 1;

	(void)state;
	for (uint64_t seed = 0; seed < n; seed++)
		history(1000000 + seed, 3000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_histories),
		cmocka_unit_test(test_found),
		cmocka_unit_test(test_long_histories),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
