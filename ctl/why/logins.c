/* SPDX-License-Identifier: ISC */
/* logins - who logged in from a client, or from where a user did; and the log
 * lines that say so, from the history in logins.db (store_each_event()). */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "ctl/why/why.h"

enum {
	WITNESSES_MAX = 16, /* the newest */
	EVENTS_LOOKED_AT = 200 /* of a client, for those of one user */
};

/* A client, whose history is evidence. */
struct witness {
	char client[NETWORK_TEXT_MAX];
	int64_t last_at;
};

struct gathering {
	struct why *w;
	struct why_logins *l;
	const char *user; /* evidence only of this one; NULL: of all */
	struct witness witness[WITNESSES_MAX]; /* newest first */
	size_t n;
};

static void
remember_client(struct gathering *g, const char *client, int64_t last_at)
{
	size_t i = 0, at;

	while (i < g->n && strcmp(g->witness[i].client, client) != 0)
		i++;
	if (i < g->n && g->witness[i].last_at >= last_at)
		return;
	/* it moves forward from i, or comes in at the end */
	if (i == g->n && g->n < WITNESSES_MAX)
		g->n++;
	else if (i == g->n && g->witness[--i].last_at >= last_at)
		return;
	for (at = i; at > 0 && g->witness[at - 1].last_at < last_at; at--)
		g->witness[at] = g->witness[at - 1];
	g->witness[at].last_at = last_at;
	(void)snprintf(g->witness[at].client, NETWORK_TEXT_MAX, "%s", client);
}

static bool
take_login(void *arg, const struct store_row *row)
{
	struct gathering *g = arg;
	struct why_logins *l = g->l;

	l->total++;
	l->active += row->expires_at > g->w->ctl->now;
	remember_client(g, row->client, row->last_at);
	if (l->n_row >= WHY_LOGINS_MAX && !g->w->all_logins)
		return true;
	l->row = why_grow(l->row, l->n_row, sizeof(*l->row));
	struct store_row *kept = &l->row[l->n_row++];

	*kept = *row;
	kept->client = why_keep(g->w, row->client);
	kept->user = why_keep(g->w, row->user);
	kept->service = why_keep(g->w, row->service);
	kept->server = why_keep(g->w, row->server);
	return true;
}

static bool
take_event(void *arg, const struct store_event *e)
{
	struct gathering *g = arg;
	struct why_logins *l = g->l;

	if (g->user != NULL && strcmp(g->user, e->user) != 0)
		return true;
	if (l->n_event >= (size_t)g->w->events)
		return false;
	l->event = why_grow(l->event, l->n_event, sizeof(*l->event));
	struct store_event *kept = &l->event[l->n_event++];

	*kept = *e;
	kept->client = why_keep(g->w, e->client);
	kept->user = why_keep(g->w, e->user);
	kept->service = why_keep(g->w, e->service);
	kept->server = why_keep(g->w, e->server);
	kept->source = why_keep(g->w, e->source);
	kept->line = why_keep(g->w, e->line);
	return true;
}

static int
gather_events(struct gathering *g, struct err *err)
{
	int rc = 0;

	for (size_t i = 0;
	     i < g->n && rc == 0 && g->l->n_event < (size_t)g->w->events; i++)
		rc = store_each_event(g->w->st, g->witness[i].client,
		    g->user != NULL ? EVENTS_LOOKED_AT : (int)g->w->events,
		    take_event, g, err);
	return rc;
}

/* The client as the table has it: an IPv6 address as its network. */
static const char *
table_client(const struct why *w, const struct addr *client, char *buf)
{
	struct network net = network_of(client,
	    client->family == ADDR_IPV6
		? (uint8_t)w->ctl->cfg->relay.ipv6_prefix
		: 32);

	return network_format(&net, buf);
}

/* An admin's deletion holds against log lines that are read later. */
static void
find_deletion(struct why *w, const char *client, struct why_logins *l)
{
	struct err err;
	int64_t at;
	int found = store_deleted_find(w->st, client, &at, &err);

	l->deletion_known = found != -1;
	l->deleted_until = found == 1 ? at : 0;
	if (found == -1)
		w->rc = ctl_fail_err(w->ctl, &err);
}

/* How many users share a client, or a network of an admin; 0: not known. */
static int64_t
sharing_of(const struct why *w, const char *client)
{
	enum { SHOWN = 10000 }; /* so many more than may */
	int64_t users = 0;

	if (store_sharing(w->st, client, w->ctl->now,
		w->ctl->cfg->relay.shared_address_users + SHOWN, &users,
		NULL) == -1)
		return 0;
	return users;
}

void
why_logins(struct why *w, const struct addr *client, const char *network,
    const char *user, struct why_logins *l)
{
	struct gathering g = { .w = w, .l = l, .user = user };
	char lease[NETWORK_TEXT_MAX], text[ADDR_TEXT_MAX];
	struct err err;
	int rc;

	assert((client != NULL) + (network != NULL) + (user != NULL) == 1);
	assert(l->row == NULL && l->event == NULL);
	if (w->st == NULL)
		return;
	l->known = true;
	l->of_user = user != NULL;
	l->events_asked = w->events > 0;
	rc = client != NULL
	    ? store_each_match(w->st, client,
		  (uint8_t)w->ctl->cfg->relay.ipv6_prefix, take_login, &g, &err)
	    : store_each_row(
		  w->st, network, user, INT64_MIN, take_login, &g, &err);
	if (client != NULL)
		network = table_client(w, client, lease);
	if (!l->of_user)
		l->sharing = sharing_of(w, network);
	l->shared = facts_shared(w->ctl->cfg, l->sharing);
	if (client != NULL)
		find_deletion(w, network, l);
	/* history outlives its row: after 'delete', and when pruned */
	if (rc == 0 && client != NULL)
		remember_client(&g, addr_format(client, text), 0);
	if (rc == 0)
		rc = gather_events(&g, &err);
	if (rc == -1)
		w->rc = ctl_fail_err(w->ctl, &err);
}
