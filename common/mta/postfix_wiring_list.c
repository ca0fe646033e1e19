/* SPDX-License-Identifier: ISC */
/* postfix_wiring_list - in which of the five lists of restrictions
 * (wiring_lists[]) popgate has to be asked, where in it, and how it stands with
 * that. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/mta/postfix_wiring_items.h"

enum { TEXT_LEN = 1200 };

/* --- where popgate has to be asked --- */

/* Places in front of an item, or at the end. */
struct place {
	bool needed;
	bool behind_permits; /* of SMTP AUTH or of networks */
	/* checks stand between the permits and what refuses for certain: they
	 * go on hearing of whoever may not relay, so that popgate is asked
	 * twice, behind the permits who may, and at the refusal */
	bool twice;
	size_t at;
	size_t refusal; /* what refuses for certain; the list's end: nothing */
	const char *refuses; /* what would, behind it; NULL: nothing */
};

/* The first item from `from` on that is a refusal, or may be one, before the
 * list ends by a permit; l->n: none. */
static size_t
find_refusal(const struct wiring_items *l, size_t from, bool certain)
{
	for (size_t i = from; i < l->n && l->v[i].kind != ITEM_PERMIT; i++)
		if (wiring_is_refusal(l->v[i].kind) ||
		    (!certain && l->v[i].kind == ITEM_MAYBE))
			return i;
	return l->n;
}

/* Behind the last item of this kind before end, and the permits that follow
 * it; 0: there is none. */
static size_t
behind_last(
    const struct wiring_items *l, enum wiring_item_kind kind, size_t end)
{
	size_t at = 0;

	for (size_t i = 0; i < end && l->v[i].kind != ITEM_PERMIT; i++)
		if (l->v[i].kind == kind)
			at = i + 1;
	while (at > 0 && at < end &&
	    (l->v[at].kind == ITEM_AUTH || l->v[at].kind == ITEM_NETWORKS))
		at++;
	return at;
}

static struct place
find_place(const struct wiring_items *l)
{
	size_t certain = find_refusal(l, 0, true);
	size_t at = behind_last(l, ITEM_AUTH, certain);

	if (at == 0)
		at = behind_last(l, ITEM_NETWORKS, certain);
	size_t refusal = at == 0 ? certain : find_refusal(l, at, false);

	return (struct place){ .needed = refusal < l->n,
		.behind_permits = at != 0,
		.twice = refusal < certain && certain < l->n,
		.at = at == 0 ? certain : at,
		.refusal = certain,
		.refuses = refusal < l->n ? l->v[refusal].name : NULL };
}

/* Does nothing from at on ever concern mail for our own domains? Then it needs
 * not wait for popgate. */
static bool
only_relays_behind(const struct wiring_items *l, size_t at)
{
	assert(at <= l->n);
	for (size_t i = at; i < l->n; i++)
		if (wiring_meets_own(&l->v[i]))
			return false;
	return true;
}

/* May all clients that reach this place get a temporary failure while popgate
 * is down? Then the entry is the _strict one, which says so in popgate's words.
 */
static bool
may_be_strict(const struct wiring_items *l, size_t at)
{
	assert(at <= l->n);
	if (wiring_own_mail_has_passed(l, at))
		return true;
	while (at < l->n && l->v[at].kind == ITEM_OURS)
		at++;
	return at < l->n &&
	    (strcasecmp(l->v[at].name, "reject") == 0 ||
		strcasecmp(l->v[at].name, "defer") == 0);
}

/* The definition that asks at this place, into buf.
 *   how  "", "_strict", "_early" or "_first" */
static void
name_definition(
    const struct wiring_items *l, const char *how, char *buf, size_t size)
{
	(void)snprintf(buf, size, "popgate_%s%s", l->kind->name, how);
}

/* Does the list of this setting refuse a stranger who wants to relay? */
static bool
refuses_strangers(const struct wiring_items *l, const char *setting)
{
	struct wiring_items other;
	bool refuses = false;

	for (size_t i = 0; i < WIRING_LISTS; i++) {
		if (strcmp(wiring_lists[i].setting, setting) != 0)
			continue;
		wiring_items_of(&other, l->w, l->s, &wiring_lists[i]);
		refuses = find_refusal(&other, 0, true) < other.n;
		wiring_items_release(&other);
	}
	return refuses;
}

/* Does a later list ask about the same recipient, and refuse whom popgate
 * refuses? Then this one, which refuses nobody for certain, only lets pass who
 * may relay: for others, the checks that it has are asked as ever. */
static bool
is_asked_later(const struct wiring_items *l, const struct place *place)
{
	if (find_refusal(l, place->at, true) < l->n)
		return false;
	return l->kind->early ||
	    (strcmp(l->kind->setting, "smtpd_recipient_restrictions") == 0 &&
		!postfix_yes(l->w->pf, l->s,
		    "smtpd_relay_before_recipient_restrictions") &&
		refuses_strangers(l, "smtpd_relay_restrictions"));
}

/* Does the item at o ask early enough? */
static bool
is_in_time(const struct wiring_items *l, size_t o, const struct place *place)
{
	for (size_t i = 0; i < o; i++) {
		enum wiring_item_kind kind = l->v[i].kind;

		if (kind == ITEM_PERMIT || wiring_is_refusal(kind) ||
		    (kind == ITEM_MAYBE && i >= place->at && place->needed))
			return false;
	}
	return true;
}

/* Does the item at o ask for this service in time? One that leaves the answer
 * to a later list, or to a second question of this one, does where that is
 * asked. */
static bool
asks(const struct wiring_items *l, size_t o, const struct place *place,
    bool later)
{
	const struct wiring_item *item = &l->v[o];

	if (item->kind != ITEM_OURS || !is_in_time(l, o, place))
		return false;
	if (strstr(item->definition, "_first") == NULL)
		return later || strstr(item->definition, "_early") == NULL;
	for (size_t i = o + 1; i < l->n; i++) {
		if (l->v[i].kind == ITEM_PERMIT ||
		    wiring_is_refusal(l->v[i].kind))
			return false;
		if (l->v[i].kind == ITEM_OURS)
			return true;
	}
	return false;
}

/* Does the item at o, which isn't the first to ask, ask right before what
 * refuses? */
static bool
is_at_refusal(const struct wiring_items *l, size_t o, const struct place *place)
{
	if (o >= place->refusal)
		return false;
	for (size_t i = o; i < place->refusal; i++)
		if (l->v[i].kind == ITEM_MAYBE)
			return false;
	return true;
}

/* Mark the items that ask as the wiring has it. Are they all there? */
static bool
keep_current(struct wiring_items *l, const struct place *place)
{
	char plain[WIRING_NAME_MAX], strict[WIRING_NAME_MAX],
	    first[WIRING_NAME_MAX];
	bool later = is_asked_later(l, place);
	size_t one = l->n, last = l->n;

	name_definition(l, later ? "_early" : "", plain, sizeof(plain));
	name_definition(l, "_strict", strict, sizeof(strict));
	name_definition(l, "_first", first, sizeof(first));
	for (size_t i = 0; i < l->n && last == l->n; i++) {
		const char *definition = l->v[i].definition;

		if (place->twice && one == l->n) {
			if (strcmp(definition, first) == 0 &&
			    is_in_time(l, i, place))
				one = i;
		} else if ((strcmp(definition, plain) == 0 ||
			       (!later && strcmp(definition, strict) == 0 &&
				   may_be_strict(l, i))) &&
		    (place->twice ? is_at_refusal(l, i, place)
				  : is_in_time(l, i, place))) {
			last = i;
		}
	}
	if (last == l->n)
		return false;
	l->v[last].keep = true;
	if (one < l->n)
		l->v[one].keep = true;
	return true;
}

/* Ask popgate in raw, of those who may relay or of those who are refused.
 *   first  of the former alone, in a list that asks twice */
static void
insert_one(struct wiring_work *w, const struct postfix_service *s,
    const struct wiring_list_kind *kind, const char *raw, bool first)
{
	const struct postfix_service *owner =
	    wiring_own(w, s, kind->setting) != NULL ? s : NULL;
	char name[WIRING_NAME_MAX], text[2 * WIRING_NAME_MAX], why[TEXT_LEN];
	struct wiring_items l;

	wiring_items_parse(&l, w, s, kind, raw);
	struct place place = find_place(&l);
	size_t at = place.twice && !first ? place.refusal : place.at;
	bool later = is_asked_later(&l, &place);
	bool strict = !first && !later && may_be_strict(&l, at);
	bool own_first = !first && !later && !strict && kind->relays &&
	    only_relays_behind(&l, at);

	name_definition(&l,
	    first                     ? "_first"
		: later               ? "_early"
		: strict || own_first ? "_strict"
				      : "",
	    name, sizeof(name));
	wiring_define(w, name);
	(void)snprintf(text, sizeof(text), "%s%s$%s",
	    own_first ? "permit_auth_destination" : "",
	    own_first ? wiring_separator(owner, raw) : "", name);
	(void)snprintf(why, sizeof(why),
	    "%s refuses, or may refuse, a client that popgate permits: popgate is asked in front of it.",
	    place.refuses);
	const struct wiring_insertion in = {
		.w = w, .s = s, .kind = kind, .text = text, .why = why
	};

	wiring_insert(&in, owner, kind->setting, raw, at, 0);
	wiring_items_release(&l);
}

/* raw: the value, without what asks. */
static void
insert_at_places(struct wiring_work *w, const struct postfix_service *s,
    const struct wiring_list_kind *kind, const char *raw, bool twice)
{
	insert_one(w, s, kind, raw, false);
	if (!twice)
		return;
	char *once = wiring_start_value(w, s, kind);

	if (once != NULL)
		insert_one(w, s, kind, once, true);
	free(once);
}

/* Is this the pasted sole-gate wiring, with popgate's milter there to guard
 * it? */
static bool
is_sole_gate(const struct wiring_items *l)
{
	return wiring_is_open(l) &&
	    wiring_milter_state(
		l->w, l->s, postfix_value(l->w->pf, l->s, "smtpd_milters")) !=
	    WIRING_MILTER_NONE;
}

/* Close it. */
static void
replace_sole_gate(struct wiring_work *w, const struct postfix_service *s,
    const struct wiring_list_kind *kind)
{
	wiring_define(w, "popgate_relay_strict");
	wiring_set_closed(w, wiring_own(w, s, kind->setting) != NULL ? s : NULL,
	    kind->setting,
	    "permit_auth_destination, $popgate_relay_strict, reject_unauth_destination",
	    "Postfix was open, and only popgate's milter guarded it: closed, it asks popgate which clients may relay.");
}

/* Make popgate be asked in one list.
 *   some  only some clients meet it, by a table's result: then those who would
 *         be refused whether they have logged in or not stay refused */
static void
plan_list(struct wiring_work *w, const struct postfix_service *s,
    const struct wiring_list_kind *kind, bool some)
{
	const struct postfix_service *owner =
	    wiring_own(w, s, kind->setting) != NULL ? s : NULL;
	char *raw = wiring_start_value(w, s, kind), *old = NULL;
	struct wiring_items l = { .n = 0 };

	if (raw == NULL)
		return;
	wiring_items_parse(&l, w, s, kind, raw);
	struct place place = find_place(&l);
	bool expanded = strcmp(raw, wiring_raw(w, s, kind->setting)) != 0;

	if (is_sole_gate(&l)) {
		replace_sole_gate(w, s, kind);
		goto out;
	}
	bool current = keep_current(&l, &place);
	if (some && !place.behind_permits)
		place.needed = false;
	for (size_t i = 0; i < l.n; i++)
		if (l.v[i].keep)
			wiring_define(w, l.v[i].definition);
	wiring_clear_references(w, &l, raw);
	old = wiring_without_ours(&l, raw);
	if (old == NULL)
		w->no_memory = true;
	else if (place.needed && !current)
		insert_at_places(w, s, kind, old, place.twice);
	else if (strcmp(old, raw) != 0)
		wiring_set(w, owner, kind->setting, old,
		    "popgate needs not be asked here, or is asked already: what an earlier wiring left goes.");
	if (expanded && old != NULL &&
	    ((place.needed && !current) || strcmp(old, raw) != 0))
		wiring_note(w, NOTE_EXPANDED, s, kind->setting,
		    "%s is written out with what its $names stand for: one has a form that popgate can't follow.",
		    kind->setting);
out:
	wiring_items_release(&l);
	free(old);
	free(raw);
}

/* How much a service needs popgate in a list: 0, it doesn't. */
static int
need_of(const struct wiring_work *w, const struct postfix_service *s,
    const struct wiring_list_kind *kind)
{
	struct wiring_items l;

	wiring_items_of(&l, w, s, kind);
	struct place place = find_place(&l);
	int need = !place.needed ? 0 : place.refusal == l.n ? 1 : 2;

	wiring_items_release(&l);
	return need;
}

/* A list of main.cf is edited as one service needs it, whatever the order of
 * master.cf: the one that needs most, of several the first by name. */
static const struct postfix_service *
find_spokesman(const struct wiring_work *w, const struct postfix_service *s,
    const struct wiring_list_kind *kind)
{
	const struct postfix_service *best = NULL;
	int most = 0;

	if (wiring_own(w, s, kind->setting) != NULL)
		return s;
	for (size_t i = 0; i < w->pf->n_services; i++) {
		const struct postfix_service *other = &w->pf->services[i];

		if (postfix_service_role(w->pf, other) != ROLE_CLIENTS ||
		    wiring_own(w, other, kind->setting) != NULL)
			continue;
		int need = need_of(w, other, kind);
		int by_name =
		    best == NULL ? -1 : strcmp(other->name, best->name);

		if (best != NULL && by_name == 0)
			by_name = strcmp(other->type, best->type);
		if (best == NULL || need > most ||
		    (need == most && by_name < 0)) {
			best = other;
			most = need;
		}
	}
	return best == NULL ? s : best;
}

/* Does the list of another service's making ask in time here, too? */
static bool
is_served(const struct wiring_work *w, const struct postfix_service *s,
    const struct wiring_list_kind *kind)
{
	struct wiring_items l;

	wiring_items_of(&l, w, s, kind);
	struct place place = find_place(&l);
	bool later = is_asked_later(&l, &place), served = !place.needed;

	for (size_t i = 0; i < l.n && !served; i++)
		served = asks(&l, i, &place, later);
	wiring_items_release(&l);
	return served;
}

void
wiring_list_plan(struct wiring_work *w, const struct postfix_service *s,
    const struct wiring_list_kind *kind)
{
	const struct postfix_service *spokesman = find_spokesman(w, s, kind);
	const char *shared = postfix_raw(w->pf, NULL, kind->setting);
	struct wiring_items l;

	plan_list(w, spokesman, kind, false);
	if (spokesman != s && !is_served(w, s, kind)) {
		wiring_set(w, s, kind->setting,
		    shared != NULL ? shared
				   : postfix_value(w->pf, NULL, kind->setting),
		    "This service would be refused elsewhere in the list than others: it has the list of its own.");
		plan_list(w, s, kind, false);
	}
	wiring_items_of(&l, w, s, kind);
	/* a class may be one of the list that decides, too: it never asks as
	 * one that leaves the answer to a later list */
	for (size_t i = 0; i < l.classes.n; i++)
		plan_list(w, s,
		    &(struct wiring_list_kind){
			.setting = l.classes.v[i], .name = kind->name },
		    true);
	wiring_items_release(&l);
}

/* --- what a list does as it is --- */

void
wiring_list_examine(const struct wiring_work *w,
    const struct postfix_service *s, const struct wiring_list_kind *kind,
    struct wiring_list_state *state)
{
	struct wiring_items l;

	wiring_items_of(&l, w, s, kind);
	struct place place = find_place(&l);
	bool later = is_asked_later(&l, &place);

	*state = (struct wiring_list_state){ .refuses = false };
	for (size_t i = 0; i < l.n; i++) {
		const struct wiring_item *item = &l.v[i];

		state->old |= item->kind == ITEM_OURS &&
		    (*item->definition == '\0' || !item->reaches);
		state->asks |= item->reaches && asks(&l, i, &place, later);
	}
	state->refuses = find_refusal(&l, 0, true) < l.n;
	state->needed = place.needed;
	state->sole_gate = is_sole_gate(&l);
	(void)snprintf(state->refusal, sizeof(state->refusal), "%s",
	    place.refuses == NULL ? "" : place.refuses);
	for (size_t i = 0; i < l.n && !wiring_is_refusal(l.v[i].kind); i++) {
		state->networks |=
		    strcasecmp(l.v[i].name, "permit_mynetworks") == 0;
		if (l.v[i].permits && *state->table == '\0')
			(void)snprintf(state->table, sizeof(state->table), "%s",
			    l.v[i].table);
		state->mx_backup |=
		    strcasecmp(l.v[i].name, "permit_mx_backup") == 0;
		state->certificates |=
		    strncasecmp(l.v[i].name, "permit_tls_", 11) == 0;
	}
	wiring_items_release(&l);
}
