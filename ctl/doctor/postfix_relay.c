/* SPDX-License-Identifier: ISC */
/* postfix_relay - can a stranger relay through one smtpd service?
 *
 * smtpd asks smtpd_relay_restrictions and smtpd_recipient_restrictions, and
 * both must let a recipient pass: what one list grants is a finding only when
 * the other list lets the same somebody pass. */
#include "ctl/doctor/postfix_relay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/doctor/postfix_list.h"

static bool
permits_strangers(const struct postfix_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].grantee <= GRANTEE_SOME)
			return true;
	return false;
}

/* Does the list let those clients pass that the other one grants it to? */
static bool
lets_pass(const struct postfix_list *l, enum grantee grantee)
{
	if (l->end != RESTRICT_REJECT || permits_strangers(l))
		return true;
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].grantee == grantee)
			return true;
	return false;
}

static void
add_at(const struct postfix_list *l, const char *kind, const char *detail)
{
	struct finding_at at = { 0 };
	char fix[400];

	postfix_at(l->x, l->s, l->setting, &at, fix);
	doctor_add(l->x->d, kind, &at, "%s", detail);
}

/* An open MTA with popgate's milter behind it is not open. */
static bool
is_gated(const struct postfix_list *l, const struct postfix_gate *gate,
    const char *kind)
{
	return gate->there && !l->asks_popgate &&
	    (strcmp(kind, "postfix-permit-all") == 0 ||
		strcmp(kind, "postfix-relay-open") == 0 ||
		strcmp(kind, "postfix-mynetworks-open") == 0);
}

static void
add_grant(const struct postfix_list *l, const struct postfix_grant *g,
    const struct postfix_gate *gate)
{
	struct finding_at at = { 0 };
	char fix[400];
	const char *kind = g->kind;

	if (is_gated(l, gate, kind))
		kind = gate->accept ? "postfix-milter-accept"
		    : postfix_forges_auth(l->x, l->s)
		    ? "postfix-macro-auth-open"
		    : "postfix-sole-gate";
	postfix_at(l->x, l->s,
	    strncmp(kind, "postfix-mynetworks", 18) == 0 && g->file != NULL
		? "mynetworks"
		: l->setting,
	    &at, fix);
	if (g->file != NULL) {
		at.file = g->file;
		at.line = g->line;
		if (strcmp(g->file, l->x->pf.main_cf) != 0 &&
		    strcmp(g->file, l->x->pf.master_cf) != 0)
			at.fix = NULL;
	}
	doctor_add(l->x->d, kind, &at, "%s", g->detail);
}

static void
add_grants(const struct postfix_list *l, const struct postfix_list *other,
    const struct postfix_gate *gate)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct postfix_grant *g = &l->v[i];

		if (g->kind != NULL && g->grantee != GRANTEE_NOBODY &&
		    lets_pass(other, g->grantee))
			add_grant(l, g, gate);
	}
}

/* Report the parts that can't be judged, whatever the verdict. */
static void
add_notes(const struct postfix_list *l)
{
	static const struct postfix_gate none;

	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].kind != NULL && l->v[i].grantee == GRANTEE_NOBODY)
			add_grant(l, &l->v[i], &none);
}

/* Say why neither list refuses anybody. */
static void
add_open(struct postfix_list *relay, struct postfix_list *rcpt,
    const struct postfix_gate *gate)
{
	struct postfix_list *lists[] = { relay, rcpt };
	const char *relay_text =
	    postfix_value(&relay->x->pf, relay->s, relay->setting);
	struct postfix_grant all = {
		.kind = "postfix-relay-open",
		.detail =
		    (char[]){
			"Neither smtpd_relay_restrictions nor smtpd_recipient_restrictions refuses strangers." },
	};

	if (!postfix_list_has_reject(relay) && !postfix_list_has_reject(rcpt)) {
		add_at(*relay_text != '\0' ? relay : rcpt, "postfix-no-reject",
		    "Neither smtpd_relay_restrictions nor smtpd_recipient_restrictions holds a reject_unauth_destination.");
		return;
	}
	for (int i = 0; i < 2; i++)
		for (size_t g = 0; g < lists[i]->n; g++)
			if (lists[i]->v[g].kind != NULL &&
			    strcmp(lists[i]->v[g].kind, "postfix-permit-all") ==
				0) {
				add_grant(lists[i], &lists[i]->v[g], gate);
				return;
			}
	for (int i = 0; i < 2; i++)
		if (lists[i]->nothing_stops) {
			add_at(lists[i], "postfix-reject-only-warns",
			    "warn_if_reject stands before the refusal of strangers.");
			return;
		}
	add_grant(*relay_text != '\0' ? relay : rcpt, &all, gate);
}

/* Lists that come before, and can close the service for strangers. */
static bool
is_closed_before(struct postfix_exam *x, const struct postfix_service *s)
{
	static const struct {
		const char *setting;
		enum restrict_effect plain;
	} before[] = {
		{ "smtpd_client_restrictions", EFFECT_CLIENT },
		{ "smtpd_helo_restrictions", EFFECT_HELO },
		{ "smtpd_sender_restrictions", EFFECT_SENDER },
	};
	struct postfix_list *l = malloc(sizeof(*l));
	bool closed = false;

	for (size_t i = 0;
	     l != NULL && i < sizeof(before) / sizeof(before[0]) && !closed;
	     i++) {
		postfix_list_walk(
		    l, x, s, before[i].setting, before[i].plain, false);
		closed = l->end == RESTRICT_REJECT && !permits_strangers(l);
		postfix_list_release(l);
	}
	free(l);
	return closed;
}

bool
postfix_refuses_all(struct postfix_exam *x, const struct postfix_service *s)
{
	static const char *const settings[] = {
		"smtpd_relay_restrictions",
		"smtpd_recipient_restrictions",
	};
	struct postfix_list *l = malloc(sizeof(*l));
	bool closed = l != NULL && is_closed_before(x, s);

	for (size_t i = 0;
	     l != NULL && !closed && i < sizeof(settings) / sizeof(*settings);
	     i++) {
		postfix_list_walk(l, x, s, settings[i], EFFECT_RECIPIENT, true);
		closed = l->end == RESTRICT_REJECT && !permits_strangers(l);
		postfix_list_release(l);
	}
	free(l);
	return closed;
}

void
postfix_check_relay(struct postfix_exam *x, const struct postfix_service *s,
    const struct postfix_gate *gate)
{
	struct postfix_list *relay = malloc(sizeof(*relay));
	struct postfix_list *rcpt = malloc(sizeof(*rcpt));

	if (relay == NULL || rcpt == NULL) {
		x->d->no_memory = true;
		goto out;
	}
	postfix_list_walk(
	    relay, x, s, "smtpd_relay_restrictions", EFFECT_RECIPIENT, false);
	postfix_list_walk(rcpt, x, s, "smtpd_recipient_restrictions",
	    EFFECT_RECIPIENT, false);
	add_notes(relay);
	add_notes(rcpt);
	if (is_closed_before(x, s)) {
		;
	} else if (postfix_is_local(x, s)) {
		if (relay->end != RESTRICT_REJECT &&
		    rcpt->end != RESTRICT_REJECT)
			add_at(relay, "postfix-local-service",
			    "A service that listens to this machine only relays for whoever connects.");
	} else if (relay->end != RESTRICT_REJECT &&
	    rcpt->end != RESTRICT_REJECT) {
		add_open(relay, rcpt, gate);
	} else {
		add_grants(relay, rcpt, gate);
		add_grants(rcpt, relay, gate);
	}
	postfix_list_release(relay);
	postfix_list_release(rcpt);
out:
	free(relay);
	free(rcpt);
}
