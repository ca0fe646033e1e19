/* SPDX-License-Identifier: ISC */
/* decisions - what was decided on a client, a user or a message. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "ctl/why/why.h"

enum {
	/* Count among the newest: one client or user may have millions. */
	COUNT_MAX = 2000,
	/* The MTA's line is this near to the decision, before or after. */
	ID_IN_USE_S = 3600
};

struct counting {
	struct why_decisions *d;
	int64_t oldest_id; /* of those that were counted */
	/* the newest message of each kind that was counted */
	char last[WHY_KINDS][128];
};

const char *
why_kind_name(size_t kind)
{
	assert(kind < WHY_KINDS);
	return kind == WHY_ABORTED ? AUDIT_ABORTED
				   : verdict_name((enum verdict)kind);
}

static bool
count_decision(void *arg, const struct audit_record *rec)
{
	struct counting *c = arg;
	size_t v = 0;

	c->d->looked_at++;
	c->oldest_id = rec->id;
	while (strcmp(why_kind_name(v), rec->verdict) != 0)
		if (++v == WHY_KINDS)
			return true;
	struct why_kind *k = &c->d->kind[v];

	if (k->recipients == 0)
		k->last_ms = rec->last_ms;
	k->recipients += rec->count;
	if (rec->message != NULL && strcmp(c->last[v], rec->message) != 0) {
		k->messages++;
		(void)snprintf(
		    c->last[v], sizeof(c->last[v]), "%s", rec->message);
	}
	return true;
}

static void
keep_record(
    struct why *w, struct audit_record *kept, const struct audit_record *rec)
{
	*kept = *rec;
	kept->session = why_keep(w, rec->session);
	kept->queue_id = why_keep(w, rec->queue_id);
	kept->client = why_keep(w, rec->client);
	kept->client_name = why_keep(w, rec->client_name);
	kept->helo = why_keep(w, rec->helo);
	kept->sender = why_keep(w, rec->sender);
	kept->recipient = why_keep(w, rec->recipient);
	kept->class = why_keep(w, rec->class);
	kept->verdict = why_keep(w, rec->verdict);
	kept->reason = why_keep(w, rec->reason);
	kept->auth_user = why_keep(w, rec->auth_user);
	kept->login_user = why_keep(w, rec->login_user);
	kept->reply = why_keep(w, rec->reply);
	kept->channel = why_keep(w, rec->channel);
	kept->mta = why_keep(w, rec->mta);
	kept->certificate = why_keep(w, rec->certificate);
	kept->message = why_keep(w, rec->message);
}

struct records {
	struct why *w;
	struct audit_record *v;
	size_t n;
};

static bool
take_record(void *arg, const struct audit_record *rec)
{
	struct records *r = arg;

	r->v = why_grow(r->v, r->n, sizeof(*r->v));
	keep_record(r->w, &r->v[r->n++], rec);
	return true;
}

static void
take_newest(struct why *w, struct audit_filter *f, struct why_kind *k)
{
	struct records r = { .w = w };
	struct err err;

	if (k->recipients > 0 && w->decisions > 0 &&
	    audit_each(w->audit, f, take_record, &r, &err) == -1)
		w->rc = ctl_fail_err(w->ctl, &err);
	k->newest = r.v;
	k->n_newest = r.n;
}

void
why_decisions(
    struct why *w, const struct audit_filter *base, struct why_decisions *d)
{
	struct counting c = { .d = d };
	struct audit_filter f = *base;
	struct err err;

	if (w->audit == NULL) {
		d->unknown = w->audit_why;
		return;
	}
	f.newest_first = true;
	f.limit = w->decisions > COUNT_MAX ? w->decisions : COUNT_MAX;
	if (audit_each(w->audit, &f, count_decision, &c, &err) == -1) {
		w->rc = ctl_fail_err(w->ctl, &err);
		return;
	}
	d->counted = true;
	d->partly = d->looked_at == f.limit;
	f.after_id = c.oldest_id - 1;
	f.limit = w->decisions;
	for (size_t v = 0; v < WHY_KINDS; v++) {
		f.verdict = why_kind_name(v);
		take_newest(w, &f, &d->kind[v]);
	}
}

static bool
note_any(void *arg, const struct audit_record *rec)
{
	(void)rec;
	*(bool *)arg = true;
	return false;
}

void
why_message(struct why *w, struct why_message *m)
{
	struct audit_filter f = { .queue_id = m->queue_id, .limit = 1 };
	struct records r = { .w = w };
	struct err err;

	assert(m->queue_id != NULL && m->decision == NULL);
	if (w->audit == NULL)
		return;
	if (m->at != 0) {
		f.since_ms = (m->at - ID_IN_USE_S) * 1000;
		f.until_ms = (m->at + ID_IN_USE_S) * 1000;
	}
	if (audit_each(w->audit, &f, note_any, &m->found, &err) == -1) {
		w->rc = ctl_fail_err(w->ctl, &err);
		m->found = false;
		m->failed = true;
		return;
	}
	if (!m->found)
		return;
	f.limit = 0;
	if (audit_each(w->audit, &f, take_record, &r, &err) == -1)
		w->rc = ctl_fail_err(w->ctl, &err);
	m->decision = r.v;
	m->n_decision = r.n;
}

bool
why_user_decided(struct why *w, const char *user)
{
	struct audit_filter f = { .user = user, .limit = 1 };
	bool known = false;

	if (w->audit != NULL)
		(void)audit_each(w->audit, &f, note_any, &known, NULL);
	return known;
}
