/* SPDX-License-Identifier: ISC */
/* postfix_wiring_back - what a content filter gives back for a client that
 * popgate permits comes from this machine: the service that takes it back has
 * to let it through. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/err.h"
#include "common/mta/postfix_wiring_items.h"
#include "common/mta/restrict.h"

/* Is this machine among the service's mynetworks? A file or a table isn't
 * read: then it isn't. */
static bool
trusts_itself(const struct postfix_conf *pf, const struct postfix_service *s)
{
	const char *networks = postfix_value(pf, s, "mynetworks");
	char word[WIRING_NAME_MAX];

	while (restrict_word(&networks, word, sizeof(word)))
		if (strncmp(word, "127.", 4) == 0)
			return true;
	return false;
}

/* The item of a list that refuses what this machine relays, for certain; l->n:
 * none does.
 *   trusted  it is in mynetworks */
static size_t
find_refusal(const struct wiring_items *l, bool trusted)
{
	for (size_t i = 0; i < l->n && l->v[i].kind != ITEM_PERMIT; i++) {
		if (trusted &&
		    strcasecmp(l->v[i].name, "permit_mynetworks") == 0)
			break;
		if (wiring_is_refusal(l->v[i].kind))
			return i;
	}
	return l->n;
}

/* Does this service relay for the programs of this machine? */
static bool
relays_for_itself(struct wiring_work *w, const struct postfix_service *s)
{
	bool relays =
	    strcmp(s->command, "smtpd") == 0 && strcmp(s->type, "inet") == 0;

	for (int i = 0; i < WIRING_LISTS && relays; i++) {
		struct wiring_items l;

		wiring_items_of(&l, w, s, &wiring_lists[i]);
		relays = find_refusal(&l, trusts_itself(w->pf, s)) == l.n;
		wiring_items_release(&l);
	}
	return relays;
}

static bool
any_relays_for_itself(struct wiring_work *w)
{
	for (size_t i = 0; i < w->pf->n_services; i++)
		if (relays_for_itself(w, &w->pf->services[i]))
			return true;
	return false;
}

/* Put permit_mynetworks in front of the refusal at item `at`. */
static void
permit_itself(struct wiring_work *w, const struct wiring_items *l,
    const char *raw, size_t at)
{
	size_t from = l->parts[l->v[at].top].from;
	char *permit = NULL, *new = NULL;

	if (asprintf(&permit, "permit_mynetworks%s",
		wiring_separator(l->s, raw)) == -1)
		permit = NULL;
	if (permit != NULL)
		new = wiring_splice(raw, from, from, permit);
	if (new != NULL)
		wiring_set(w, l->s, l->kind->setting, new,
		    "A content filter gives back here what popgate has permitted: it comes from this machine, for whose programs another service relays already.");
	w->no_memory |= new == NULL;
	free(new);
	free(permit);
}

int
wiring_back_plan(
    struct wiring_work *w, const struct postfix_service *s, struct err *err)
{
	int rc = 0;

	for (int i = 0; i < WIRING_LISTS && rc == 0; i++) {
		const struct wiring_list_kind *kind = &wiring_lists[i];
		char *raw = wiring_start_value(w, s, kind);
		struct wiring_items l;

		if (raw == NULL)
			return 0; /* w knows */
		wiring_items_parse(&l, w, s, kind, raw);
		/* who permits mynetworks means the filter */
		size_t at = find_refusal(&l, true);

		if (at < l.n && wiring_on_loopback(w->pf, s) &&
		    trusts_itself(w->pf, s) && any_relays_for_itself(w)) {
			wiring_note(w, NOTE_REFUSES_FIRST, s, kind->setting,
			    "%s: %s refuses what a content filter gives back here for a logged-in client.",
			    kind->setting, l.v[at].name);
			permit_itself(w, &l, raw, at);
		} else if (at < l.n) {
			err_set(err, ERR_INVALID,
			    "%s/%s: a content filter gives its mail back here, and %s: %s refuses what it gives back for a client that popgate permits: let this machine relay here first (permit_mynetworks in front of it, and 127.0.0.0/8 in the service's mynetworks)",
			    s->name, s->type, kind->setting, l.v[at].name);
			rc = -1;
		}
		wiring_items_release(&l);
		free(raw);
	}
	return rc;
}
