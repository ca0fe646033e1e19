/* SPDX-License-Identifier: ISC */
/* The half of share.h that reads the stream: an entry counts only if one of our
 * keys sealed it (share_open()), its date isn't ahead of our clock (take()) and
 * its number wasn't read before (take_login()). A gap in the numbers shows what
 * was withheld (take_hello()). Refused entries are counted by enum
 * share_refusal. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "collector/share_state.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/db/store.h"

enum { BLOCK_MS = 1000, CLOCK_SET_S = 60, PRUNE_MS = 60000, SAVE_MS = 2000 };

/* --- the machines --- */

static struct share_machine *
add_machine(struct share *s, const char *origin, struct err *err)
{
	struct share_machine *more = realloc(
	    s->machine, (s->n_machines + 1) * sizeof(struct share_machine));

	if (more == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	s->machine = more;
	struct share_machine *m = &more[s->n_machines++];

	*m = (struct share_machine){ .number = 0 };
	(void)snprintf(m->origin, sizeof(m->origin), "%s", origin);
	(void)snprintf(m->name, sizeof(m->name), "%.8s", origin);
	return m;
}

static struct share_machine *
machine_of(struct share *s, const char *origin, struct err *err)
{
	for (size_t i = 0; i < s->n_machines; i++)
		if (strcmp(s->machine[i].origin, origin) == 0)
			return &s->machine[i];
	return add_machine(s, origin, err);
}

struct loading {
	struct share *s;
	struct err *err;
	bool failed;
};

static bool
load_machine(void *arg, const struct store_peer *peer)
{
	struct loading *l = arg;
	struct share_machine *m = add_machine(l->s, peer->origin, l->err);

	l->failed = m == NULL;
	if (l->failed)
		return false;
	m->number = peer->number;
	m->known = peer->number > 0;
	if (*peer->name != '\0')
		(void)snprintf(m->name, sizeof(m->name), "%s", peer->name);
	return true;
}

int
share_load_machines(struct share *s, struct err *err)
{
	struct loading l = { .s = s, .err = err };

	s->n_machines = 0;
	if (store_each_peer(s->store, load_machine, &l, err) == -1 || l.failed)
		return -1;
	return 0;
}

void
share_read_again(struct share *s)
{
	(void)snprintf(s->at.position, sizeof(s->at.position), "0-0");
	s->again = true;
}

/* Entries that were read while our clock was wrong had come too early, or had
 * ended. */
static int
clock_was_set(struct share *s, struct err *err)
{
	s->note(LOG_NOTICE,
	    "share: a clock was set: reading again what still counts");
	if (store_begin(s->store, err) == -1 ||
	    store_peer_rewind(s->store, err) == -1 ||
	    store_commit(s->store, err) == -1) {
		store_rollback(s->store);
		return -1;
	}
	share_read_again(s);
	return share_load_machines(s, err);
}

/* --- entries --- */

struct store_word
share_word(const struct share_entry *e)
{
	struct store_word w = { .subject = e->subject,
		.user = e->user,
		.at = e->at,
		.until = e->until,
		.note = e->note };

	switch (e->kind) {
	case SHARE_ADD:
		w.kind = WORD_ADD;
		break;
	case SHARE_DELETE:
		w.kind = WORD_DELETE;
		w.until = e->at;
		break;
	case SHARE_DENY_CLIENT:
		w.kind = WORD_DENY_CLIENT;
		break;
	case SHARE_DENY_USER:
		w.kind = WORD_DENY_USER;
		w.subject = e->user;
		w.user = "";
		break;
	case SHARE_BREACH_CLIENT:
		w.kind = WORD_BREACH_CLIENT;
		break;
	case SHARE_BREACH_USER:
	case SHARE_BREACH_LOGIN:
		w.kind = e->kind == SHARE_BREACH_USER ? WORD_BREACH_USER
						      : WORD_BREACH_LOGIN;
		w.subject = e->user;
		w.user = "";
		break;
	case SHARE_LOGIN:
	case SHARE_HELLO:
	case SHARE_RELAYED:
		assert(false);
	}
	return w;
}

/* peer NULL: it is our own. */
static int
put_login(struct share *s, const struct share_entry *e, const char *peer,
    int64_t now, struct err *err)
{
	int64_t window_s = s->cfg->logins.window_s;
	const struct store_share_login login = { .number = e->number,
		.at = e->at,
		.client = e->subject,
		.user = e->user,
		.service = e->service,
		.server = e->server };

	if (e->at + window_s <= now)
		return 0; /* counts no longer */
	return store_share_take_login(
	    s->store, &login, peer, s->again, window_s, err);
}

static int
take_login(
    struct share *s, const struct share_entry *e, int64_t now, struct err *err)
{
	struct share_machine *m = machine_of(s, e->origin, err);

	if (m == NULL)
		return -1;
	if (e->number <= m->number) {
		s->refused[SHARE_COPY] += !s->again;
		return 0;
	}
	m->number = e->number;
	m->moved = true;
	return put_login(s, e, m->name, now, err);
}

/* The machine has published logins up to e->number, and the stream has them in
 * order: what is missing was withheld. */
static int
take_hello(
    struct share *s, const struct share_entry *e, int64_t now, struct err *err)
{
	struct share_machine *m = machine_of(s, e->origin, err);
	const struct store_peer peer = { .origin = e->origin,
		.name = m == NULL ? "" : m->name,
		.number = e->number,
		.heard_at = e->at,
		.read_at = now };

	if (m == NULL)
		return -1;
	(void)snprintf(
	    m->name, sizeof(m->name), "%.*s", SHARE_NAME_MAX - 1, e->note);
	if (m->known && e->number > m->number)
		s->refused[SHARE_MISSING]++;
	if (e->number > m->number)
		m->number = e->number;
	m->known = true;
	return store_peer_hello(s->store, &peer, err);
}

/* A copy is one that the table has, and no news. */
static int
take_relayed(
    struct share *s, const struct share_entry *e, int64_t now, struct err *err)
{
	const struct relayed r = { .origin = e->origin,
		.number = e->number,
		.at = e->at,
		.client = e->subject,
		.user = e->user,
		.how = e->service,
		.sender = e->note,
		.recipients = e->until,
		.messages = e->messages };

	if (e->at + s->window_s <= now)
		return 0; /* counts no longer */
	return store_relayed_take(s->store, &r, err);
}

/* Has this machine published it itself? Relays are published under the outbox's
 * name. */
static bool
is_own(const struct share *s, const struct share_entry *e)
{
	return strcmp(e->origin, s->at.origin) == 0 ||
	    (s->outbox != NULL &&
		strcmp(e->origin, outbox_origin(s->outbox)) == 0);
}

static int
take(struct share *s, const struct share_entry *e, int64_t now, struct err *err)
{
	bool own = is_own(s, e);

	if (own && (e->kind != SHARE_LOGIN || !s->again))
		return 0;
	if (e->at > now + LOGIN_FUTURE_S) {
		s->refused[SHARE_FUTURE] += !own;
		return 0;
	}
	if (own)
		return put_login(s, e, NULL, now, err);
	if (e->kind == SHARE_LOGIN)
		return take_login(s, e, now, err);
	if (e->kind == SHARE_HELLO)
		return take_hello(s, e, now, err);
	if (e->kind == SHARE_RELAYED)
		return take_relayed(s, e, now, err);
	const struct store_word word = share_word(e);

	return store_share_take_word(
	    s->store, &word, now, s->cfg->logins.window_s, err);
}

static int
prune(struct share *s, int64_t now, struct err *err)
{
	int64_t ms = clock_monotonic_ms();

	if (ms - s->pruned_ms < PRUNE_MS)
		return 0;
	s->pruned_ms = ms;
	return store_relayed_prune(s->store, now - s->window_s, err);
}

static int
take_all(struct share *s, struct err *err)
{
	int64_t now = clock_now();

	assert(s->n <= s->seen && s->seen <= SHARE_BATCH);
	for (size_t i = 0; i < s->n; i++)
		if (take(s, &s->entry[i], now, err) == -1)
			return -1;
	if (prune(s, now, err) == -1)
		return -1;
	for (size_t i = 0; i < s->n_machines; i++) {
		struct share_machine *m = &s->machine[i];

		if (m->moved &&
		    store_peer_advance(s->store, m->origin, m->number, err) ==
			-1)
			return -1;
		m->known |= m->moved;
		m->moved = false;
	}
	return 0;
}

/* Is there nothing in the answer but our own entries, and was the time of
 * hearing saved lately, by any clock? How far the stream is read with them is
 * saved some time: they mean nothing when they come again. */
static bool
can_wait(const struct share *s)
{
	int64_t ahead_s = s->at.heard_at - s->saved_heard_at;

	return s->own == s->seen && !s->again && s->saved_ms != 0 &&
	    clock_monotonic_ms() - s->saved_ms < SAVE_MS && ahead_s >= 0 &&
	    ahead_s * 1000 <= SAVE_MS;
}

/* The entries of an answer, and how far the stream is read with them. */
static int
commit(struct share *s, struct err *err)
{
	struct store_share old = s->at;

	if (s->seen > 0)
		(void)snprintf(
		    s->at.position, sizeof(s->at.position), "%s", s->position);
	if (s->seen < (size_t)s->asked)
		s->at.heard_at = clock_now();
	s->at.trouble[0] = '\0';
	if (can_wait(s))
		return 0;
	if (store_begin(s->store, err) == -1 || take_all(s, err) == -1 ||
	    share_save(s, err) == -1 || store_commit(s->store, err) == -1) {
		store_rollback(s->store);
		s->at = old;
		(void)share_load_machines(s, NULL);
		return -1;
	}
	return 0;
}

static void
collect_entry(void *arg, const char *position, const struct link_bytes *bytes)
{
	struct share *s = arg;
	enum share_refusal refusal = SHARE_MALFORMED;

	assert(s->n <= s->seen && s->seen <= SHARE_BATCH);
	assert(s->asked_ms != 0);
	/* more than was asked for: the position stays before them */
	if (s->seen == SHARE_BATCH)
		return;
	s->seen++;
	(void)snprintf(s->position, sizeof(s->position), "%s", position);
	if (bytes != NULL)
		refusal = share_open(&s->keys, s->cfg->share.stream, bytes->p,
		    bytes->len, &s->entry[s->n]);
	if (refusal == SHARE_GOOD)
		s->own += is_own(s, &s->entry[s->n++]);
	else
		s->refused[refusal]++;
}

static int
ask(struct share *s, int64_t ms, struct err *err)
{
	int64_t moved_s = link_skew_s(s->in) - s->at.skew_s;

	assert(s->asked_ms == 0 && s->most > 0 && s->most <= SHARE_BATCH);
	if ((moved_s > CLOCK_SET_S || moved_s < -CLOCK_SET_S) &&
	    s->at.heard_at != 0 && clock_was_set(s, err) == -1)
		return -1;
	s->at.skew_s += moved_s;
	s->n = s->seen = s->own = 0;
	s->asked = s->most;
	if (link_read(s->in, s->at.position, s->asked, BLOCK_MS, err) == -1)
		return -1;
	s->asked_ms = ms;
	return 0;
}

/* Take all of the answer that has come. 1: it is complete; 0; -1 with err. */
static int
take_answer(struct share *s, struct err *err)
{
	int done = 0;

	while (done == 0 && link_readable(s->in))
		done = link_taken(s->in, collect_entry, s, err);
	return done;
}

int
share_receive(struct share *s, struct err *err)
{
	int64_t ms = clock_monotonic_ms();

	assert(s->in != NULL && s->store != NULL);
	if (s->asked_ms == 0)
		return ask(s, ms, err);
	/* first look: publishing may have waited for the table meanwhile */
	int done = take_answer(s, err);

	if (done == 0 && ms - s->asked_ms >= BLOCK_MS + LINK_WAIT_MS) {
		err_set(err, ERR_IO, "%s: no answer in time",
		    s->cfg->share.servers.v[s->server]);
		return -1;
	}
	if (done != 1)
		return done;
	s->asked_ms = 0;
	if (commit(s, err) == -1)
		return -1;
	s->passed += s->seen;
	if (s->seen < (size_t)s->asked)
		s->again = false;
	return 1;
}
