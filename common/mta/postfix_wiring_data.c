/* SPDX-License-Identifier: ISC */
/* postfix_wiring_data - smtpd_data_restrictions, where popgate is asked once
 * more about each message, and the lists of services that aren't a client's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/mta/postfix_wiring_items.h"

static const struct wiring_list_kind data_list = { "smtpd_data_restrictions",
	"data", false, false };

/* The first item that ends the list for some clients: popgate's check, which
 * has no opinion at DATA, stands in front. */
static size_t
data_place(const struct wiring_items *l)
{
	size_t i = 0;

	while (i < l->n &&
	    (l->v[i].kind == ITEM_PASS || l->v[i].kind == ITEM_MAYBE ||
		l->v[i].kind == ITEM_OURS || l->v[i].kind == ITEM_OWN_DOMAINS))
		i++;
	return i;
}

/* Is popgate_data in it, where it is asked about every message? */
static bool
data_is_current(const struct wiring_items *l, size_t *at_r)
{
	size_t place = data_place(l);

	for (*at_r = 0; *at_r < place; (*at_r)++)
		if (strcmp(l->v[*at_r].definition, "popgate_data") == 0)
			return true;
	*at_r = l->n;
	return false;
}

static void
insert_data(
    struct wiring_work *w, const struct postfix_service *s, const char *raw)
{
	const struct postfix_service *owner =
	    wiring_own(w, s, data_list.setting) != NULL ? s : NULL;
	char text[WIRING_NAME_MAX];
	struct wiring_items l;

	wiring_items_parse(&l, w, s, &data_list, raw);
	size_t at = data_place(&l);
	bool own_first = at == l.n && !wiring_own_mail_has_passed(&l, at);

	(void)snprintf(text, sizeof(text), "%s%s$popgate_data",
	    own_first ? "permit_auth_destination" : "",
	    own_first ? wiring_separator(owner, raw) : "");
	const struct wiring_insertion in = {
		.w = w,
		.s = s,
		.kind = &data_list,
		.text = text,
		.why =
		    "popgate's check has no opinion at DATA: it waits there until what it permitted is on disk."
	};

	wiring_insert(&in, owner, data_list.setting, raw, at, 0);
	wiring_items_release(&l);
}

void
wiring_data_plan(struct wiring_work *w, const struct postfix_service *s)
{
	char *raw = wiring_start_value(w, s, &data_list), *old = NULL;
	struct wiring_items l = { .n = 0 };
	size_t current;

	wiring_define(w, "popgate_data");
	if (raw == NULL)
		return;
	wiring_items_parse(&l, w, s, &data_list, raw);
	bool is_current = data_is_current(&l, &current);

	if (is_current)
		l.v[current].keep = true;
	old = wiring_without_ours(&l, raw);
	if (old == NULL)
		w->no_memory = true;
	else if (!is_current)
		insert_data(w, s, old);
	else if (strcmp(old, raw) != 0)
		wiring_set(w,
		    wiring_own(w, s, data_list.setting) != NULL ? s : NULL,
		    data_list.setting, old,
		    "popgate is asked already: what an earlier wiring left goes.");
	wiring_items_release(&l);
	free(old);
	free(raw);
}

/* --- services that are no client's --- */

/* Would popgate be asked about what comes from this machine or its networks? */
static bool
asks_about_networks(const struct wiring_items *l)
{
	for (size_t i = 0; i < l->n; i++) {
		if (l->v[i].kind == ITEM_OURS)
			return true;
		if (l->v[i].kind == ITEM_PERMIT ||
		    wiring_is_refusal(l->v[i].kind) ||
		    strcasecmp(l->v[i].name, "permit_mynetworks") == 0)
			return false;
	}
	return false;
}

/* Was it open, and closed for the clients of other services? What a content
 * filter gives back has to pass, and so has what nobody guarded; popgate's
 * milter did guard other mail, and was told whom to trust. */
static bool
relays_for_networks(const struct wiring_work *w,
    const struct postfix_service *s, const struct wiring_list_kind *kind)
{
	struct wiring_plan none = { .n_edits = 0 };
	const struct wiring_work before = { .pf = w->pf,
		.sockets = w->sockets,
		.plan = &none,
		.tables = w->tables };
	struct wiring_items l;

	wiring_items_of(&l, &before, s, kind);
	bool open = wiring_is_open(&l);

	wiring_items_release(&l);
	return open &&
	    (postfix_service_role(w->pf, s) == ROLE_REINJECTION ||
		wiring_milter_state(
		    w, s, postfix_value(w->pf, s, "smtpd_milters")) ==
		    WIRING_MILTER_NONE);
}

void
wiring_list_pin(struct wiring_work *w, const struct postfix_service *s,
    const struct wiring_list_kind *kind)
{
	char *raw = wiring_start_value(w, s, kind);
	struct wiring_items l = { .n = 0 };

	if (raw == NULL)
		return;
	wiring_items_parse(&l, w, s, kind, raw);
	char *old = wiring_without_ours(&l, raw);

	if (old == NULL)
		w->no_memory = true;
	else if (asks_about_networks(&l) && strcmp(old, raw) != 0 &&
	    relays_for_networks(w, s, kind))
		wiring_set(w, s, kind->setting,
		    "permit_mynetworks,reject_unauth_destination",
		    "It was open to whoever reaches it: closed, it relays for mynetworks.");
	else if (asks_about_networks(&l) && strcmp(old, raw) != 0)
		wiring_set(w, s, kind->setting, old,
		    "Only this machine sends here: popgate knows its mail from where it came in.");
	wiring_items_release(&l);
	free(old);
	free(raw);
}
