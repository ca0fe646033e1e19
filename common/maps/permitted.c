/* SPDX-License-Identifier: ISC */
#include "common/maps/permitted.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/config/config.h"
#include "common/policy/facts.h"
#include "common/policy/policy.h"

struct walk {
	const struct config *cfg;
	const struct network_set *own;
	int64_t now, until;
	bool (*fn)(void *arg, const struct permitted *client);
	void *arg;
	bool nomem, failed;
	struct err *err;
	struct store *st;
	bool denied_users; /* there are any */
	struct network_set denied; /* clients */
	/* the client whose rows come now */
	char client[NETWORK_TEXT_MAX];
	char **user;
	size_t users, users_size;
	int64_t ticks;
	int64_t logins; /* not an admin's; no fewer than users */
	bool manual;
};

static bool
add_text(char ***v, size_t *n, size_t *size, const char *text)
{
	if (*n == *size) {
		size_t more = *size == 0 ? 16 : *size * 2;
		char **bigger = reallocarray(*v, more, sizeof(char *));

		if (bigger == NULL)
			return false;
		*v = bigger;
		*size = more;
	}
	(*v)[*n] = strdup(text);
	return (*v)[*n] != NULL && ++*n > 0;
}

static void
drop_texts(char **v, size_t *n)
{
	while (*n > 0)
		free(v[--*n]);
}

/* Do they have an address in common? */
static bool
overlap(const struct network *a, const struct network *b)
{
	return network_contains(a, &b->base) || network_contains(b, &a->base);
}

static bool
overlaps_any(const struct network_set *set, const struct network *net)
{
	for (size_t i = 0; i < set->n; i++)
		if (overlap(&set->v[i], net))
			return true;
	return false;
}

static bool
take_deny(void *arg, const struct store_deny *deny)
{
	struct walk *w = arg;
	struct network net;

	if (deny->expires_at < w->until)
		w->until = deny->expires_at;
	w->denied_users |= deny->is_user;
	/* what can't be read can't be looked up either: see store_lookup() */
	if (!deny->is_user && network_parse(deny->subject, &net))
		w->nomem = !network_set_add(&w->denied, &net);
	return !w->nomem;
}

static bool
note_any(void *arg, const struct store_deny *deny)
{
	(void)deny;
	*(bool *)arg = true;
	return false;
}

/* The store says which names are one user's. */
static bool
user_denied(struct walk *w, const char *user)
{
	bool denied = false;

	if (w->denied_users && *user != '\0')
		w->failed |= store_each_deny(w->st, NULL, user, w->now,
				 note_any, &denied, w->err) == -1;
	return denied || w->failed;
}

/* Is it refused for that it is shared? */
static bool
refused_as_shared(struct walk *w)
{
	int64_t users = w->logins;

	if (!w->cfg->relay.shared_refused || w->manual ||
	    !facts_shared(w->cfg, users))
		return false;
	if (store_sharing(w->st, w->client, w->now,
		w->cfg->relay.shared_address_users + 1, &users, w->err) == -1)
		w->failed = true;
	return w->failed || facts_shared(w->cfg, users);
}

/* Asks the policy as for a recipient elsewhere, by a sender that is good and
 * within the limits: a map knows none of these. That an address is shared takes
 * a query, so it is asked last. */
static bool
may_relay(struct walk *w, const struct network *net)
{
	const struct config *cfg = w->cfg;
	struct policy_facts facts = {
		.denied = overlaps_any(&w->denied, net),
		.identified = !overlaps_any(&cfg->relay.never_authorize, net) &&
		    !overlaps_any(&cfg->relay.proxy_networks, net) &&
		    !(cfg->relay.never_authorize_own && w->own != NULL &&
			overlaps_any(w->own, net)),
		.store = POLICY_STORE_ANSWERED,
		.sender = POLICY_SENDER_GOOD,
		.within_limits = true,
		.login_active = w->users > 0,
	};

	if (policy_decide(&facts).verdict != VERDICT_ACCEPT)
		return false;
	facts.shared = refused_as_shared(w);
	return policy_decide(&facts).verdict == VERDICT_ACCEPT;
}

/* All rows of a client are there. Returns false to end. */
static bool
finish_client(struct walk *w)
{
	struct permitted p = { .client = w->client,
		.ticks = w->ticks,
		.user = (const char *const *)w->user,
		.users = w->users };
	bool more = true;

	if (w->client[0] != '\0' && network_parse(w->client, &p.net) &&
	    may_relay(w, &p.net)) {
		p.is_network = p.net.bits < addr_bits(&p.net.base);
		more = w->fn(w->arg, &p);
	}
	drop_texts(w->user, &w->users);
	w->client[0] = '\0';
	w->ticks = w->logins = 0;
	w->manual = false;
	return more;
}

static bool
take_row(void *arg, const struct store_row *row)
{
	struct walk *w = arg;
	int64_t ticks = store_ticks(row, w->cfg->logins.window_s);
	bool manual = strcmp(row->server, STORE_ADMIN) == 0;

	if (strcmp(w->client, row->client) != 0) {
		if (!finish_client(w))
			return false;
		(void)snprintf(w->client, sizeof(w->client), "%s", row->client);
	}
	if (row->expires_at < w->until)
		w->until = row->expires_at;
	w->logins += !manual;
	if (user_denied(w, row->user))
		return !w->failed;
	w->manual |= manual;
	if (ticks > w->ticks)
		w->ticks = ticks;
	w->nomem = !add_text(&w->user, &w->users, &w->users_size, row->user);
	return !w->nomem;
}

int
permitted_each(struct store *st, const struct config *cfg,
    const struct network_set *own, int64_t now,
    bool (*fn)(void *arg, const struct permitted *client), void *arg,
    int64_t *until_r, struct err *err)
{
	struct walk w = { .cfg = cfg,
		.own = own,
		.now = now,
		.until = INT64_MAX,
		.fn = fn,
		.arg = arg,
		.st = st,
		.err = err };
	int ret = store_each_deny(st, NULL, NULL, now, take_deny, &w, err);

	if (ret == 0 && !w.nomem) {
		ret = store_each_row(st, NULL, NULL, now, take_row, &w, err);
		/* a client whose rows didn't all come stays out */
		if (w.failed)
			ret = -1;
		if (ret == 0 && !w.nomem)
			(void)finish_client(&w);
	}
	if (w.nomem) {
		err_set(err, ERR_NOMEM, "out of memory");
		ret = -1;
	}
	drop_texts(w.user, &w.users);
	free(w.user);
	network_set_release(&w.denied);
	*until_r = w.until;
	return ret;
}
