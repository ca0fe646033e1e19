/* SPDX-License-Identifier: ISC */
#include "common/policy/charge.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/fnv.h"
#include "common/config/config.h"
#include "common/db/audit.h"
#include "common/db/store_share.h"
#include "common/records/relayed.h"

bool
charge_any(const struct config *cfg)
{
	for (int i = 0; i < LIMITS; i++)
		if (cfg->limits.rate[i].max > 0)
			return true;
	return false;
}

bool
charge_event(const struct config *cfg, enum reason reason,
    const char *auth_user, const char *login_users, struct limiter_event *ev)
{
	assert(reason <= REASONS); /* REASONS: one of another version */
	ev->user = NULL;
	ev->by_login = ev->free_client = false;
	switch (reason_basis(reason)) {
	case BASIS_LOGIN:
		ev->user = login_users;
		ev->by_login = true;
		return true;
	case BASIS_AUTH:
		ev->user = auth_user;
		ev->free_client = auth_user != NULL && *auth_user != '\0';
		return cfg->limits.authenticated;
	case BASIS_CERTIFICATE:
	case BASIS_NETWORK:
		return cfg->limits.trusted_networks;
	case BASIS_NOTHING:
	case BASIS_NO_LOGIN:
	case BASIS_HELD_BACK:
	case BASIS_RECIPIENT:
		break;
	}
	return false;
}

int
charge_subjects(const struct limiter *l, bool is_user, bool by_login,
    const char *text, uint64_t subject[2])
{
	struct network net;
	int n = 0;

	if (is_user && !by_login)
		subject[n++] = limiter_user(l, text, false);
	if (is_user)
		subject[n++] = limiter_user(l, text, true);
	else if (network_parse(text, &net))
		subject[n++] = limiter_client(l, &net.base);
	return n;
}

/* --- history --- */

struct lift {
	int64_t at_ms;
	bool is_user;
	uint64_t subject[2];
	int n;
};

struct replay {
	struct limiter *l;
	const struct config *cfg;
	struct charge_history *h;
	uint64_t only_client; /* the number of h->only's client */
	/* those that an admin let in again, oldest first: what was counted
	 * before it isn't any more */
	struct lift *lifts;
	size_t n_lifts, lift;
	bool no_memory;
	struct charge_messages messages;
};

static uint64_t
add_text(uint64_t hash, const char *text)
{
	if (text != NULL)
		hash = fnv_add(hash, text, strlen(text));
	return fnv_add(hash, "\xff", 1);
}

bool
charge_message_seen(struct charge_messages *m, const struct audit_record *rec)
{
	uint64_t hash =
	    add_text(add_text(FNV_START, rec->session), rec->queue_id);
	uint64_t *slot = &m->hash[hash % CHARGE_MESSAGES];
	bool seen = *slot == hash;

	*slot = hash;
	return seen;
}

static void
apply_lifts(struct replay *p, int64_t until_ms)
{
	for (; p->lift < p->n_lifts && p->lifts[p->lift].at_ms <= until_ms;
	     p->lift++) {
		const struct lift *lift = &p->lifts[p->lift];
		int64_t age_s = (p->h->now_ms - lift->at_ms) / 1000;

		for (int i = 0; i < lift->n; i++)
			limiter_lift(p->l, lift->subject[i], lift->is_user,
			    p->h->now_s - (age_s > 0 ? age_s : 0));
	}
}

/* Is it the client of only, whose number is given, or is one of its users
 * charged? */
static bool
concerns(const struct limiter *l, const struct limiter_event *only,
    uint64_t only_client, const struct limiter_event *ev)
{
	char name[LOGIN_USER_MAX];
	const char *next = ev->user;

	if (!only->free_client && !ev->free_client &&
	    only_client == limiter_client(l, &ev->client))
		return true;
	if (only->user == NULL || next == NULL ||
	    only->by_login != ev->by_login)
		return false;
	if (!ev->by_login)
		return userlist_same(only->user, ev->user);
	while ((next = userlist_next(next, name)) != NULL)
		if (userlist_has(only->user, name))
			return true;
	return false;
}

static bool
replay_one(void *arg, const struct audit_record *rec)
{
	struct replay *p = arg;
	int64_t age_ms = p->h->now_ms - rec->at_ms;
	bool milter = strcmp(rec->channel, "milter") == 0;
	bool socketmap = strcmp(rec->channel, "socketmap") == 0;
	struct limiter_message message = { .counted = false };
	struct limiter_answer answer;
	struct limiter_event ev = { .now_s = p->h->now_s -
		    (age_ms > 0 ? age_ms / 1000 : 0),
		.sender = rec->sender,
		.recipient = rec->recipient,
		.permit = !milter,
		/* so that what the permit channel counted is taken back */
		.hold = milter,
		.message = socketmap ? NULL : &message };

	apply_lifts(p, rec->at_ms);
	/* a map that knows only the client: it decides on no recipient */
	if (socketmap && *rec->recipient == '\0')
		return true;
	if (!addr_parse_loose(rec->client, &ev.client) ||
	    !charge_event(p->cfg, reason_find(rec->reason), rec->auth_user,
		rec->login_user, &ev) ||
	    (p->h->only != NULL &&
		!concerns(p->l, p->h->only, p->only_client, &ev)))
		return true;
	if (!socketmap)
		message.counted = charge_message_seen(&p->messages, rec);
	limiter_take(p->l, NULL, &ev, &answer);
	if (milter)
		limiter_settle(p->l, p->cfg->limits.rate, ev.now_s, &message,
		    !rec->aborted);
	/* a recipient of two channels is one */
	p->h->rows += rec->count;
	return true;
}

static bool
add_lift(void *arg, const struct audit_lift *lift)
{
	struct replay *p = arg;
	struct lift *v = reallocarray(p->lifts, p->n_lifts + 1, sizeof(*v));

	p->no_memory = v == NULL;
	if (v == NULL)
		return false;
	p->lifts = v;
	struct lift *to = &v[p->n_lifts++];

	to->at_ms = lift->at_ms;
	to->is_user = lift->is_user;
	to->n = charge_subjects(
	    p->l, lift->is_user, lift->by_login, lift->subject, to->subject);
	return true;
}

static bool
add_denial(void *arg, const struct audit_breach *b)
{
	struct replay *p = arg;
	uint64_t subject[2];
	int n =
	    charge_subjects(p->l, b->is_user, b->by_login, b->subject, subject);

	for (int i = 0; i < n; i++)
		limiter_deny(p->l, subject[i], b->denied_until);
	return true;
}

/* The longest window but that of one limit, and the time for which it counts
 * beyond: a slot, and the second that it is cut to. */
static int64_t
window_without(const struct config *cfg, enum limit without)
{
	int64_t longest = 0;

	for (int i = 0; i < LIMIT_MESSAGE_RECIPIENTS; i++)
		if (i != (int)without && cfg->limits.rate[i].window_s > longest)
			longest = cfg->limits.rate[i].window_s;
	assert(longest > 0);
	return longest + longest / 15 + 2;
}

int64_t
charge_window(const struct config *cfg)
{
	return window_without(cfg, LIMITS);
}

/* From when on the client's own recipients must be read; 0: all must. Only
 * user_clients may count for longer than the other limits, and one recent
 * recipient says of it what a day of them says: that these users relay from
 * this client. Twice the other windows are read, so that no message lies across
 * the beginning. All recipients are read of a client that gave messages up: how
 * many of these were freed depends on the earlier ones. */
static int
own_since(const struct config *cfg, struct audit_reader *r,
    const struct charge_history *h, const struct network *client,
    int64_t *since_r, struct err *err)
{
	int64_t near_ms = window_without(cfg, LIMIT_USER_CLIENTS) * 2 * 1000;
	const struct limiter_event *only = h->only;
	int sent;

	*since_r = 0;
	if (!only->by_login || only->user == NULL || only->free_client ||
	    near_ms >= charge_window(cfg) * 1000 ||
	    client->bits != addr_bits(&client->base))
		return 0;
	sent = audit_sent_since(r, &client->base, only->user,
	    h->now_ms - near_ms / 2, h->now_ms - charge_window(cfg) * 1000,
	    err);
	if (sent == 1)
		*since_r = h->now_ms - near_ms;
	return sent == -1 ? -1 : 0;
}

int
charge_history(struct limiter *l, const struct config *cfg,
    struct audit_reader *r, struct charge_history *h, struct err *err)
{
	assert(h->now_s >= charge_window(cfg)); /* no event before second 0 */
	struct replay *p = calloc(1, sizeof(*p));
	struct audit_relayed which = {
		.since_ms = h->now_ms - charge_window(cfg) * 1000,
		.rows_max = h->rows_max > 0 ? h->rows_max : CHARGE_ROWS,
	};
	struct network client;
	int ret = -1;

	h->rows = 0;
	h->cut = false;
	if (p == NULL)
		goto nomem;
	p->l = l;
	p->cfg = cfg;
	p->h = h;
	if (h->only != NULL) {
		p->only_client = limiter_client(l, &h->only->client);
		client = limiter_network(l, &h->only->client);
		which.client = h->only->free_client ? NULL : &client;
		which.users = h->only->user;
		if (own_since(cfg, r, h, &client, &which.own_since_ms, err) ==
		    -1)
			goto out;
	}
	if (audit_each_lift(r, which.since_ms, add_lift, p, err) == -1 ||
	    audit_each_relayed(r, &which, &h->cut, replay_one, p, err) == -1)
		goto out;
	apply_lifts(p, INT64_MAX);
	if (p->no_memory)
		goto nomem;
	ret = audit_each_denial(r, h->now_ms / 1000, add_denial, p, err);
	goto out;
nomem:
	err_set(err, ERR_NOMEM, "out of memory");
out:
	if (p != NULL)
		free(p->lifts);
	free(p);
	return ret;
}

/* --- other machines --- */

struct others {
	struct limiter *l;
	struct charge_others *o;
	uint64_t only_client;
};

static bool
take_other(void *arg, const struct relayed *r)
{
	struct others *t = arg;
	int64_t age_s = t->o->now - r->at;
	const struct limiter_told told = {
		.at_s = t->o->now_s - (age_s > 0 ? age_s : 0),
		.recipients = (uint32_t)r->recipients,
		.messages = (uint32_t)r->messages,
	};
	struct limiter_event ev = { .now_s = t->o->now_s,
		.user = r->user,
		.by_login = strcmp(r->how, RELAYED_LOGIN) == 0,
		.free_client = strcmp(r->how, RELAYED_AUTH) == 0,
		.sender = r->sender };

	(void)addr_parse_loose(r->client, &ev.client);
	t->o->after = r->id;
	if (t->o->only == NULL ||
	    concerns(t->l, t->o->only, t->only_client, &ev))
		limiter_take_told(t->l, &ev, &told);
	return true;
}

int
charge_others(struct limiter *l, const struct config *cfg, struct store *st,
    struct charge_others *o, struct err *err)
{
	struct others t = { .l = l, .o = o };

	if (o->only != NULL)
		t.only_client = limiter_client(l, &o->only->client);
	return store_each_relayed(
	    st, o->after, o->now - charge_window(cfg), take_other, &t, err);
}
