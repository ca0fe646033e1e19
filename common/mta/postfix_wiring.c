/* SPDX-License-Identifier: ISC */
#include "common/mta/postfix_wiring.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/mta/postfix_wiring_work.h"

static const struct {
	const char *name;
	bool gap;
} notes[] = {
	[NOTE_NEVER_ASKS] = { "never-asks", true },
	[NOTE_REFUSES_FIRST] = { "refuses-first", true },
	[NOTE_NO_MILTER] = { "no-milter", true },
	[NOTE_CHROOT] = { "chroot", true },
	[NOTE_OLD_WIRING] = { "old-wiring", true },
	[NOTE_REINJECTION] = { "reinjection", false },
	[NOTE_REINJECTION_MILTER] = { "reinjection-milter", true },
	[NOTE_LOOPBACK_ONLY] = { "loopback-only", false },
	[NOTE_NO_CLIENTS] = { "no-clients", false },
	[NOTE_MYNETWORKS] = { "mynetworks", false },
	[NOTE_OTHER_PERMIT] = { "other-permit", false },
	[NOTE_SENDER_LOGIN] = { "sender-login", false },
	[NOTE_POSTSCREEN] = { "postscreen", false },
	[NOTE_MACROS] = { "macros", true },
	[NOTE_MILTER_MAPS] = { "milter-maps", false },
	[NOTE_EXPANDED] = { "expanded", false },
	[NOTE_OPEN] = { "open", true },
	[NOTE_NON_SMTPD] = { "non-smtpd", true },
};

bool
wiring_note_is_gap(enum wiring_note_kind kind)
{
	return notes[kind].gap;
}

const char *
wiring_note_name(enum wiring_note_kind kind)
{
	return notes[kind].name;
}

/* --- what is found --- */

static void
examine_milters(struct wiring_work *w, const struct wiring_work *now,
    const struct postfix_service *s)
{
	char *list = wiring_expand(now, s, wiring_raw(now, s, "smtpd_milters"));
	const char *text =
	    list == NULL ? postfix_value(w->pf, s, "smtpd_milters") : list;
	bool off = strstr(postfix_value(w->pf, s, "receive_override_options"),
		       "no_milters") != NULL;

	switch (wiring_milter_state(w, s, text)) {
	case WIRING_MILTER_NONE:
		wiring_note(w, NOTE_NO_MILTER, s, "smtpd_milters",
		    "popgate's milter isn't in smtpd_milters: the second lock and its record are missing.");
		break;
	case WIRING_MILTER_OTHER:
		wiring_note(w, NOTE_OLD_WIRING, s, "smtpd_milters",
		    "smtpd_milters names a socket of popgate's that popgate-milter doesn't listen on.");
		break;
	case WIRING_MILTER_OURS:
		if (off)
			wiring_note(w, NOTE_NO_MILTER, s,
			    "receive_override_options",
			    "receive_override_options holds no_milters: popgate's milter is never called here.");
		break;
	}
	if (wiring_macros_missing(now, s))
		wiring_note(w, NOTE_MACROS, s, "milter_mail_macros",
		    "milter_mail_macros doesn't hold {auth_type} and {auth_authen}: popgate's milter doesn't see SMTP AUTH, and refuses its users.");
	if (*postfix_value(w->pf, s, "smtpd_milter_maps") != '\0')
		wiring_note(w, NOTE_MILTER_MAPS, s, "smtpd_milter_maps",
		    "smtpd_milter_maps takes milters away from some clients; popgate's is among them.");
	free(list);
}

/* Judge the permits in front of popgate: what they mean for the milter after
 * it. */
static void
examine_permits(struct wiring_work *w, const struct postfix_service *s,
    const struct wiring_list_kind *kind, const struct wiring_list_state *state)
{
	const char *networks = postfix_value(w->pf, s, "mynetworks");

	if (!kind->relays)
		return;
	if (state->networks && *networks != '\0')
		wiring_note(w, NOTE_MYNETWORKS, NULL, "mynetworks",
		    "Postfix relays for mynetworks (%.300s); popgate's milter refuses them unless relay.trusted_networks names them.",
		    networks);
	if (*state->table != '\0')
		wiring_note(w, NOTE_OTHER_PERMIT, s, kind->setting,
		    "Postfix relays for clients that %s permits; popgate's milter refuses those that it doesn't know, and recipients that aren't in relay.local_domains.",
		    state->table);
	if (state->mx_backup)
		wiring_note(w, NOTE_OTHER_PERMIT, s, kind->setting,
		    "permit_mx_backup takes mail for domains that name this server as their backup; popgate's milter refuses what isn't in relay.local_domains.");
	if (state->certificates)
		wiring_note(w, NOTE_OTHER_PERMIT, s, kind->setting,
		    "Postfix relays for clients by their certificates; popgate's milter refuses them unless relay.certificates names them.");
}

static void
examine_service(struct wiring_work *w, const struct postfix_service *s)
{
	struct wiring_plan none = { .n_edits = 0 };
	const struct wiring_work now = { .pf = w->pf,
		.sockets = w->sockets,
		.plan = &none,
		.tables = w->tables };
	struct wiring_list_state state[WIRING_LISTS];
	bool asks = false, refuses = false, old = false;

	for (int i = 0; i < WIRING_LISTS; i++) {
		wiring_list_examine(&now, s, &wiring_lists[i], &state[i]);
		refuses |= state[i].refuses || state[i].sole_gate;
		old |= state[i].old || state[i].sole_gate;
		asks |= wiring_lists[i].relays && state[i].asks;
	}
	for (int i = 0; i < WIRING_LISTS; i++) {
		examine_permits(w, s, &wiring_lists[i], &state[i]);
		if (asks && state[i].needed && !state[i].asks)
			wiring_note(w, NOTE_REFUSES_FIRST, s,
			    wiring_lists[i].setting,
			    "%s: %s refuses a logged-in client, or may, before popgate is asked.",
			    wiring_lists[i].setting, state[i].refusal);
	}
	if (!asks)
		wiring_note(w, NOTE_NEVER_ASKS, s, NULL,
		    "No list that decides on relaying asks popgate.");
	if (old)
		wiring_note(w, NOTE_OLD_WIRING, s, NULL,
		    "popgate is asked by another wiring than this version's, or by another socket.");
	if (!refuses)
		wiring_note(w, NOTE_OPEN, s, NULL,
		    "No list refuses a stranger who wants to relay.");
	examine_milters(w, &now, s);
}

/* --- the plan --- */

static int
plan_clients(
    struct wiring_work *w, const struct postfix_service *s, struct err *err)
{
	if (wiring_chroot_plan(w, s, err) == -1)
		return -1;
	wiring_milter_plan(w, s);
	wiring_data_plan(w, s);
	for (int i = 0; i < WIRING_LISTS; i++)
		wiring_list_plan(w, s, &wiring_lists[i]);
	return 0;
}

static void
plan_others(struct wiring_work *w, const struct postfix_service *s)
{
	/* an open list is closed before it loses its guard */
	for (int i = 0; i < WIRING_LISTS; i++)
		wiring_list_pin(w, s, &wiring_lists[i]);
	wiring_milter_pin(w, s);
}

static void
drop_edits(struct wiring_plan *plan)
{
	struct wiring_plan edits = { .edits = plan->edits,
		.n_edits = plan->n_edits };

	wiring_plan_release(&edits);
	plan->edits = NULL;
	plan->n_edits = 0;
}

/* policy_context and "{ }" for its sake came with 3.1. */
static int
check_version(const struct postfix_conf *pf, struct err *err)
{
	const char *version = postfix_value(pf, NULL, "mail_version");
	unsigned major, minor;

	if (sscanf(version, "%u.%u", &major, &minor) != 2 || major > 3 ||
	    (major == 3 && minor >= 1))
		return 0;
	err_set(err, ERR_INVALID,
	    "Postfix %.20s can't ask popgate as it has to: this needs 3.1 or newer",
	    version);
	return -1;
}

static int
plan_all(struct wiring_work *w, struct err *err)
{
	const struct postfix_conf *pf = w->pf;
	size_t clients = 0;

	if (check_version(pf, err) == -1)
		return -1;

	for (size_t i = 0; i < pf->n_services; i++) {
		const struct postfix_service *s = &pf->services[i];

		switch (postfix_service_role(pf, s)) {
		case ROLE_CLIENTS:
			clients++;
			examine_service(w, s);
			if (plan_clients(w, s, err) == -1)
				return -1;
			break;
		case ROLE_REINJECTION:
			wiring_note(w, NOTE_REINJECTION, s, NULL,
			    "A content filter gives its mail back here: popgate has no place in it.");
			break;
		case ROLE_LOOPBACK:
			wiring_note(w, NOTE_LOOPBACK_ONLY, s, NULL,
			    "Only this machine reaches this service: popgate has no place in it.");
			break;
		case ROLE_OTHER:
			if (strcmp(s->command, "postscreen") == 0)
				wiring_note(w, NOTE_POSTSCREEN, s, NULL,
				    "postscreen turns clients away before popgate is asked, such as those on its block lists: users should send by submission.");
			break;
		}
	}
	for (size_t i = 0; i < pf->n_services; i++) {
		enum wiring_role role =
		    postfix_service_role(pf, &pf->services[i]);

		if (role == ROLE_REINJECTION || role == ROLE_LOOPBACK)
			plan_others(w, &pf->services[i]);
		if (role == ROLE_REINJECTION && clients > 0 &&
		    wiring_back_plan(w, &pf->services[i], err) == -1)
			return -1;
	}
	if (clients == 0)
		wiring_note(w, NOTE_NO_CLIENTS, NULL, NULL,
		    "No service takes mail from other machines: there is nothing to wire.");
	return 0;
}

int
postfix_wiring_plan(const struct postfix_conf *pf,
    const struct wiring_sockets *sockets, struct wiring_plan *plan,
    struct err *err)
{
	struct wiring_tables tables = { .n = 0 };
	struct wiring_work w = {
		.pf = pf, .sockets = sockets, .plan = plan, .tables = &tables
	};

	*plan = (struct wiring_plan){ 0 };
	int rc = plan_all(&w, err);

	wiring_tables_release(&tables);
	if (w.no_memory) {
		err_set(err, ERR_NOMEM, "out of memory");
		rc = -1;
	}
	for (size_t i = 0; i < plan->n_notes && rc == 0; i++)
		if (plan->notes[i].kind == NOTE_OPEN) {
			err_set(err, ERR_INVALID,
			    "%s: no list refuses a stranger who wants to relay: close the server first ('popgatectl doctor' says more)",
			    plan->notes[i].service);
			rc = -1;
		}
	if (rc == -1)
		drop_edits(plan);
	else
		wiring_sort_edits(&w);
	return rc;
}
