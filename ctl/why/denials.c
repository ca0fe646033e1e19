/* SPDX-License-Identifier: ISC */
/* denials - who is kept out, by an admin or for having exceeded a limit. */
#include <assert.h>

#include "ctl/why/breach.h"
#include "ctl/why/why.h"

struct gathering {
	struct why *w;
	struct why_denials *d;
};

static bool
take_deny(void *arg, const struct store_deny *deny)
{
	struct gathering *g = arg;
	struct why_denials *d = g->d;

	d->deny = why_grow(d->deny, d->n_deny, sizeof(*d->deny));
	struct store_deny *kept = &d->deny[d->n_deny++];

	*kept = *deny;
	kept->subject = why_keep(g->w, deny->subject);
	kept->reason = why_keep(g->w, deny->reason);
	return true;
}

static bool
take_breach(void *arg, const struct audit_breach *b)
{
	struct gathering *g = arg;
	struct why_denials *d = g->d;

	d->breach = why_grow(d->breach, d->n_breach, sizeof(*d->breach));
	struct audit_breach *kept = &d->breach[d->n_breach++];

	*kept = *b;
	kept->subject = why_keep(g->w, b->subject);
	kept->setting = why_keep(g->w, b->setting);
	kept->allowed = why_keep(g->w, b->allowed);
	kept->client = why_keep(g->w, b->client);
	kept->user = why_keep(g->w, b->user);
	kept->sender = why_keep(g->w, b->sender);
	return true;
}

void
why_denials(struct why *w, const struct addr *client, const char *user,
    struct why_denials *d)
{
	struct gathering g = { .w = w, .d = d };
	char network[NETWORK_TEXT_MAX];
	struct err err;

	assert((client != NULL) + (user != NULL) == 1);
	assert(d->deny == NULL && d->breach == NULL);
	d->known = w->st != NULL;
	d->limits_known = d->known && w->audit != NULL;
	if (d->known &&
	    store_each_deny(
		w->st, client, user, w->ctl->now, take_deny, &g, &err) == -1)
		w->rc = ctl_fail_err(w->ctl, &err);
	if (d->limits_known &&
	    audit_each_breach(w->audit, breach_since_ms(w->ctl), client == NULL,
		client == NULL ? user
			       : breach_client(w->ctl->cfg, client, network),
		take_breach, &g, &err) == -1)
		w->rc = ctl_fail_err(w->ctl, &err);
}
