/* SPDX-License-Identifier: ISC */
/* postfix_wiring_list - one list of restrictions, as a client meets it whom
 * popgate permits: what would refuse it, and where popgate has to be asked. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/mta/postfix_table.h"
#include "common/mta/postfix_wiring_work.h"
#include "common/mta/restrict.h"

enum { TEXT_LEN = 1200, NAME_LEN = 200, DEPTH_MAX = 8, ITEMS_MAX = 400 };

const struct wiring_list_kind wiring_lists[WIRING_LISTS] = {
	{ "smtpd_client_restrictions", "client", true, false },
	{ "smtpd_helo_restrictions", "helo", true, false },
	{ "smtpd_sender_restrictions", "sender", true, false },
	{ "smtpd_relay_restrictions", "relay", false, true },
	{ "smtpd_recipient_restrictions", "recipient", false, true },
};

enum item_kind {
	ITEM_PASS, /* refuses nobody */
	ITEM_AUTH, /* permit_sasl_authenticated */
	ITEM_NETWORKS, /* permit_mynetworks, permit_tls_clientcerts */
	ITEM_PERMIT, /* ends the list for everybody */
	ITEM_OWN_DOMAINS, /* permit_auth_destination */
	ITEM_REFUSE, /* for certain, whatever the recipient */
	ITEM_REFUSE_RELAY, /* for certain, who relays */
	ITEM_MAYBE, /* may refuse */
	ITEM_OURS
};

/* One restriction, with its operand; what a $name or a class stands for is
 * taken apart. */
struct item {
	enum item_kind kind;
	size_t top; /* the part of the value that it comes from */
	bool first; /* of this part */
	char name[NAME_LEN];
	char definition[NAME_LEN]; /* of ours: "popgate_client", or "" */
	bool reaches; /* ours: the socket is the one that popgate listens on */
};

struct list {
	const struct wiring_work *w;
	const struct postfix_service *s;
	const struct wiring_list_kind *kind;
	bool recipient_known;
	struct item *v;
	size_t n;
	struct part {
		size_t from, to; /* in the raw value */
	} * parts;
	size_t n_parts;
	bool not_understood; /* a form of $ that this can't follow */
	bool no_memory;
};

static void
list_release(struct list *l)
{
	free(l->v);
	free(l->parts);
	l->v = NULL;
	l->parts = NULL;
	l->n = l->n_parts = 0;
}

/* --- what a restriction does --- */

struct table_end {
	bool all_refused, all_permitted;
};

static void
take_entry(
    void *arg, enum postfix_table_kind kind, const char *key, const char *value)
{
	struct table_end *end = arg;
	bool all = kind == TABLE_ALWAYS ||
	    (kind == TABLE_PATTERN && postfix_pattern_is_all(key)) ||
	    (kind == TABLE_CIDR &&
		(strcmp(key, "0.0.0.0/0") == 0 || strcmp(key, "::/0") == 0));

	if (!all || end->all_permitted || end->all_refused)
		return;
	switch (access_result_parse(value)) {
	case RESULT_REJECT:
		end->all_refused = true;
		break;
	case RESULT_OK:
	case RESULT_DIGITS:
		end->all_permitted = true;
		break;
	case RESULT_LIST:
		end->all_refused = strcasecmp(value, "reject") == 0;
		end->all_permitted = strcasecmp(value, "permit") == 0;
		break;
	default:
		break;
	}
}

static enum item_kind
table_kind(const struct list *l, const char *table)
{
	struct table_end end = { .all_refused = false };
	char why[POSTFIX_WHY_MAX];
	const char *dir = l->w->pf->dir;

	if (wiring_is_map(table))
		return ITEM_OURS;
	if (dir != NULL || strncmp(table, "static:", 7) == 0)
		(void)postfix_table_read(
		    dir == NULL ? "" : dir, table, take_entry, &end, why);
	return end.all_refused  ? ITEM_REFUSE
	    : end.all_permitted ? ITEM_PERMIT
				: ITEM_MAYBE;
}

static bool
is_one_of(const char *name, const char *const *names)
{
	for (; *names != NULL; names++)
		if (strcasecmp(*names, name) == 0)
			return true;
	return false;
}

/* They refuse a sender that is somebody's to who hasn't shown by AUTH to be
 * that user, which popgate's clients never do. */
static bool
wants_auth_for_sender(const struct list *l, const char *name)
{
	static const char *const names[] = {
		"reject_sender_login_mismatch",
		"reject_unauthenticated_sender_login_mismatch",
		"reject_known_sender_login_mismatch",
		NULL,
	};

	return is_one_of(name, names) &&
	    postfix_yes(l->w->pf, l->s, "smtpd_sasl_auth_enable") &&
	    *postfix_value(l->w->pf, l->s, "smtpd_sender_login_maps") != '\0';
}

static enum item_kind
plain_kind(const struct list *l, const char *name, enum restrict_effect effect)
{
	static const char *const relay[] = { "reject_unauth_destination",
		"defer_unauth_destination", "check_relay_domains", NULL };

	if (is_one_of(name, relay))
		return l->recipient_known ? ITEM_REFUSE_RELAY : ITEM_PASS;
	if (strcasecmp(name, "permit_auth_destination") == 0)
		return l->recipient_known ? ITEM_OWN_DOMAINS : ITEM_PASS;
	switch (effect) {
	case EFFECT_PERMIT:
		return ITEM_PERMIT;
	case EFFECT_REJECT:
		return ITEM_REFUSE;
	case EFFECT_AUTH:
		return ITEM_AUTH;
	case EFFECT_NETWORKS:
	case EFFECT_CERT:
	case EFFECT_ANY_CERT:
		return ITEM_NETWORKS;
	case EFFECT_UNKNOWN:
		return wants_auth_for_sender(l, name) ? ITEM_REFUSE
						      : ITEM_MAYBE;
	default:
		return strncasecmp(name, "permit_", 7) == 0 ||
			strcasecmp(name, "sleep") == 0
		    ? ITEM_PASS
		    : ITEM_MAYBE;
	}
}

static void parse(struct list *l, const char *text, bool top, int depth);

/* The list of a restriction class, or NULL. */
static const char *
class_of(const struct list *l, const char *name)
{
	const char *classes =
	    postfix_value(l->w->pf, l->s, "smtpd_restriction_classes");
	char word[NAME_LEN];

	while (restrict_word(&classes, word, sizeof(word)))
		if (strcmp(word, name) == 0)
			return wiring_raw(l->w, l->s, name);
	return NULL;
}

/* A class as a whole: it is entered to see how it ends. */
static enum item_kind
class_kind(const struct list *l, const char *text, int depth)
{
	struct list in = { .w = l->w,
		.s = l->s,
		.kind = l->kind,
		.recipient_known = l->recipient_known };
	enum item_kind kind = ITEM_PASS;

	if (depth >= DEPTH_MAX)
		return ITEM_MAYBE;
	parse(&in, text, false, depth + 1);
	for (size_t i = 0; i < in.n; i++) {
		enum item_kind one = in.v[i].kind;

		if (one == ITEM_REFUSE || one == ITEM_REFUSE_RELAY ||
		    one == ITEM_PERMIT) {
			kind = one;
			break;
		}
		if (one == ITEM_MAYBE)
			kind = ITEM_MAYBE;
	}
	list_release(&in);
	return kind;
}

static enum item_kind
kind_of(const struct list *l, const char *name, const char *operand, int depth)
{
	enum restrict_effect effect;
	bool wants_operand;

	if (restrict_effect_of(name, &effect, &wants_operand)) {
		if (effect == EFFECT_POLICY)
			return wiring_is_policy(l->w, operand) ? ITEM_OURS
							       : ITEM_MAYBE;
		if (effect >= EFFECT_CLIENT && effect <= EFFECT_OTHER_MAP)
			return table_kind(l, operand);
		return plain_kind(l, name, effect);
	}
	if (strchr(name, ':') != NULL)
		return table_kind(l, name);
	const char *class = class_of(l, name);

	return class != NULL ? class_kind(l, class, depth)
			     : plain_kind(l, name, EFFECT_UNKNOWN);
}

/* --- a value, taken apart --- */

static struct item *
add_item(struct list *l, enum item_kind kind, const char *name)
{
	struct item *v =
	    l->n >= ITEMS_MAX ? NULL : reallocarray(l->v, l->n + 1, sizeof(*v));

	if (v == NULL) {
		l->no_memory = true;
		return NULL;
	}
	l->v = v;
	size_t top = l->n_parts == 0 ? 0 : l->n_parts - 1;

	v[l->n] = (struct item){ .kind = kind,
		.top = top,
		.first = l->n == 0 || v[l->n - 1].top != top };
	(void)snprintf(v[l->n].name, NAME_LEN, "%s", name);
	return &v[l->n++];
}

static void
add_part(struct list *l, size_t from, size_t to)
{
	struct part *v = reallocarray(l->parts, l->n_parts + 1, sizeof(*v));

	if (v == NULL) {
		l->no_memory = true;
		return;
	}
	l->parts = v;
	v[l->n_parts++] = (struct part){ from, to };
}

/* The next word of text, at *at, expanded into buf: its length in text, 0 at
 * the end. */
static size_t
next_word(struct list *l, const char *text, size_t *at, char *buf, size_t size)
{
	char raw[TEXT_LEN];

	*at += strspn(text + *at, WIRING_SEPARATORS);
	size_t len = wiring_word(text + *at);

	(void)snprintf(raw, sizeof(raw), "%.*s", (int)len, text + *at);
	char *expanded = wiring_expand(l->w, l->s, raw);

	l->not_understood |= expanded == NULL;
	(void)snprintf(buf, size, "%s", expanded == NULL ? raw : expanded);
	free(expanded);
	return len;
}

/* Does a definition, "check_policy_service { ... }", name our socket? */
static bool
reaches(const struct list *l, const char *definition)
{
	return postfix_names_socket(l->w->pf, l->s,
	    definition + strcspn(definition, " {"), l->w->sockets->policy);
}

/* A word that is one $name: ours, or what it stands for. */
static bool
take_reference(struct list *l, const char *word, size_t len, int depth)
{
	char name[NAME_LEN];
	struct item *item;

	if (wiring_reference(word, name, sizeof(name)) != len)
		return false;
	if (strncmp(name, "popgate_", 8) == 0) {
		item = add_item(l, ITEM_OURS, name);
		if (item == NULL)
			return true;
		(void)snprintf(
		    item->definition, sizeof(item->definition), "%s", name);
		item->reaches = reaches(l, wiring_raw(l->w, l->s, name));
	} else if (depth >= DEPTH_MAX) {
		l->not_understood = true;
	} else {
		parse(l, wiring_raw(l->w, l->s, name), false, depth + 1);
	}
	return true;
}

/* The restriction at *at of text, with its operand; *at goes behind it. */
static void
take_restriction(struct list *l, const char *text, size_t *at, int depth)
{
	char name[TEXT_LEN], operand[TEXT_LEN] = "";
	enum restrict_effect effect;
	bool wants_operand;

	*at += next_word(l, text, at, name, sizeof(name));
	if (strcasecmp(name, "warn_if_reject") == 0) {
		/* what stands behind it only warns */
		*at += next_word(l, text, at, name, sizeof(name));
		(void)restrict_effect_of(name, &effect, &wants_operand);
		if (wants_operand)
			*at += next_word(l, text, at, operand, sizeof(operand));
		(void)add_item(l, ITEM_PASS, "warn_if_reject");
		return;
	}
	(void)restrict_effect_of(name, &effect, &wants_operand);
	if (wants_operand)
		*at += next_word(l, text, at, operand, sizeof(operand));
	struct item *item = add_item(l, kind_of(l, name, operand, depth), name);

	if (item != NULL && item->kind == ITEM_OURS)
		item->reaches = wiring_is_map(operand) ||
		    postfix_names_socket(
			l->w->pf, l->s, operand, l->w->sockets->policy);
}

static void
parse(struct list *l, const char *text, bool top, int depth)
{
	size_t at = 0;

	for (;;) {
		at += strspn(text + at, WIRING_SEPARATORS);
		size_t from = at, len = wiring_word(text + at);

		if (len == 0 || l->no_memory)
			break;
		if (top)
			add_part(l, from, from + len);
		if (take_reference(l, text + at, len, depth))
			at += len;
		else
			take_restriction(l, text, &at, depth);
		if (top && !l->no_memory)
			l->parts[l->n_parts - 1].to = at;
	}
}

static void
list_parse(struct list *l, const struct wiring_work *w,
    const struct postfix_service *s, const struct wiring_list_kind *kind,
    const char *raw)
{
	*l = (struct list){ .w = w,
		.s = s,
		.kind = kind,
		.recipient_known = !kind->early ||
		    postfix_yes(w->pf, s, "smtpd_delay_reject") };
	parse(l, raw, true, 0);
}

/* --- where popgate has to be asked --- */

/* A place in front of an item, or at the end. */
struct place {
	bool needed;
	size_t at;
	const char *refuses; /* what would, behind it; NULL: nothing */
};

static bool
is_refusal(enum item_kind kind)
{
	return kind == ITEM_REFUSE || kind == ITEM_REFUSE_RELAY;
}

/* The first item from `from` on that is a refusal, or may be one, before the
 * list ends by a permit; l->n: none. */
static size_t
find_refusal(const struct list *l, size_t from, bool certain)
{
	for (size_t i = from; i < l->n && l->v[i].kind != ITEM_PERMIT; i++)
		if (is_refusal(l->v[i].kind) ||
		    (!certain && l->v[i].kind == ITEM_MAYBE))
			return i;
	return l->n;
}

/* Behind the last item of this kind before end, and the permits that follow
 * it; 0: there is none. */
static size_t
behind_last(const struct list *l, enum item_kind kind, size_t end)
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
find_place(const struct list *l)
{
	size_t certain = find_refusal(l, 0, true);
	size_t at = behind_last(l, ITEM_AUTH, certain);

	if (at == 0)
		at = behind_last(l, ITEM_NETWORKS, certain);
	size_t refusal = at == 0 ? certain : find_refusal(l, at, false);

	return (struct place){ .needed = refusal < l->n,
		.at = at == 0 ? certain : at,
		.refuses = refusal < l->n ? l->v[refusal].name : NULL };
}

static bool
own_mail_has_passed(const struct list *l, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (l->v[i].kind == ITEM_OWN_DOMAINS)
			return true;
	return false;
}

/* Does nothing from at on ever concern mail for our own domains? Then it needs
 * not wait for popgate. */
static bool
only_relays_behind(const struct list *l, size_t at)
{
	for (size_t i = at; i < l->n; i++)
		if (l->v[i].kind == ITEM_REFUSE || l->v[i].kind == ITEM_MAYBE)
			return false;
	return true;
}

/* Which definition asks at this place. */
static const char *
definition_at(const struct list *l, size_t at)
{
	if (strcmp(l->kind->name, "relay") == 0 &&
	    !own_mail_has_passed(l, at) && !only_relays_behind(l, at))
		return "submit";
	return l->kind->name;
}

/* Does the item at o ask early enough? */
static bool
is_in_time(const struct list *l, size_t o, const struct place *place)
{
	for (size_t i = 0; i < o; i++) {
		enum item_kind kind = l->v[i].kind;

		if (kind == ITEM_PERMIT || is_refusal(kind) ||
		    (kind == ITEM_MAYBE && i >= place->at && place->needed))
			return false;
	}
	return true;
}

/* The item that asks as the wiring has it; l->n: there is none. */
static size_t
find_current(const struct list *l, const struct place *place)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct item *item = &l->v[i];

		if (*item->definition == '\0' || !is_in_time(l, i, place))
			continue;
		if (strcmp(item->definition + 8, definition_at(l, i)) != 0)
			continue;
		if (strcmp(item->definition, "popgate_relay") == 0 &&
		    !own_mail_has_passed(l, i))
			continue;
		return i;
	}
	return l->n;
}

/* --- the edit of a value --- */

/* raw without the parts that ask popgate, but for the one of item `keep`. NULL:
 * no memory. */
static char *
without_ours(const struct list *l, const char *raw, size_t keep)
{
	char *out = strdup(raw);

	for (size_t i = l->n; i-- > 0 && out != NULL;) {
		const struct item *item = &l->v[i];

		if (item->kind != ITEM_OURS || i == keep || !item->first ||
		    (i + 1 < l->n && l->v[i + 1].top == item->top))
			continue;
		size_t from = l->parts[item->top].from;
		size_t to = l->parts[item->top].to;

		to += strspn(out + to, WIRING_SEPARATORS);
		if (out[to] == '\0')
			from = item->top == 0 ? 0 : l->parts[item->top - 1].to;
		char *new = wiring_splice(out, from, to, "");

		free(out);
		out = new;
	}
	return out;
}

/* Is this $name only ever a part of this setting, so that what is put into it
 * comes nowhere else? */
static bool
is_used_here_only(
    const struct wiring_work *w, const char *name, const char *setting)
{
	const struct postfix_pairs *all[] = { &w->pf->main_raw,
		&w->pf->overrides_raw };
	char found[NAME_LEN];

	if (strncmp(name, "smtpd_", 6) == 0 ||
	    wiring_own(w, NULL, name) == NULL)
		return false;
	for (size_t p = 0; p < 2; p++)
		for (size_t i = 0; i < all[p]->n; i++) {
			const char *at = all[p]->v[i].value;
			const char *slash = strrchr(all[p]->v[i].name, '/');
			const char *user =
			    slash == NULL ? all[p]->v[i].name : slash + 1;

			for (at = strchr(at, '$'); at != NULL;
			     at = strchr(at + 1, '$'))
				if (wiring_reference(
					at, found, sizeof(found)) != 0 &&
				    strcmp(found, name) == 0 &&
				    strcmp(user, setting) != 0)
					return false;
			/* or an override of the name itself */
			if (slash != NULL && strcmp(user, name) == 0)
				return false;
		}
	return true;
}

/* What is to be put where. */
struct insertion {
	struct wiring_work *w;
	const struct postfix_service *s;
	const struct wiring_list_kind *kind;
	const char *text, *why;
};

static const char *
separator(const struct postfix_service *owner, const char *raw)
{
	return owner == NULL || strpbrk(raw, " \t") != NULL ? ", " : ",";
}

/* Put it in front of item `at` of the value of a setting, which owner has
 * (NULL: main.cf). */
static void
insert(const struct insertion *in, const struct postfix_service *owner,
    const char *setting, const char *raw, size_t at, int depth)
{
	const char *between = separator(owner, raw);
	char *new = NULL, *text = NULL, name[NAME_LEN];
	struct list l;

	list_parse(&l, in->w, in->s, in->kind, raw);
	const struct item *item = at < l.n ? &l.v[at] : NULL;
	const struct part *part = item == NULL ? NULL : &l.parts[item->top];

	if (item == NULL || item->first) {
		if (item != NULL &&
		    asprintf(&text, "%s%s", in->text, between) != -1)
			new = wiring_splice(raw, part->from, part->from, text);
		else if (item == NULL &&
		    asprintf(&text, "%s%s", *raw == '\0' ? "" : between,
			in->text) != -1)
			new =
			    wiring_splice(raw, strlen(raw), strlen(raw), text);
		if (new != NULL)
			wiring_set(in->w, owner, setting, new, in->why);
		in->w->no_memory |= new == NULL;
	} else if (wiring_reference(raw + part->from, name, sizeof(name)) ==
		part->to - part->from &&
	    depth < DEPTH_MAX) {
		size_t first = at;
		char *value = strdup(wiring_raw(in->w, in->s, name));

		while (!l.v[first].first)
			first--;
		if (value == NULL)
			in->w->no_memory = true;
		else if (is_used_here_only(in->w, name, setting))
			insert(in, NULL, name, value, at - first, depth + 1);
		else
			new = wiring_splice(raw, part->from, part->to, value);
		if (new != NULL) {
			wiring_note(in->w, NOTE_EXPANDED, in->s, setting,
			    "$%s is also used elsewhere, so that popgate can't be asked in the middle of it: %s holds what it stood for.",
			    name, setting);
			insert(in, owner, setting, new, at, depth + 1);
		}
		free(value);
	}
	list_release(&l);
	free(new);
	free(text);
}

/* The value to begin with: as the file has it, or with everything expanded
 * where it has a form of $ that isn't understood. To be freed. */
static char *
start_value(struct wiring_work *w, const struct postfix_service *s,
    const struct wiring_list_kind *kind)
{
	const char *raw = wiring_raw(w, s, kind->setting);
	struct list l;

	list_parse(&l, w, s, kind, raw);
	bool understood = !l.not_understood;

	list_release(&l);
	return strdup(
	    understood ? raw : postfix_value(w->pf, s, kind->setting));
}

static void
insert_at_place(struct wiring_work *w, const struct postfix_service *s,
    const struct wiring_list_kind *kind, const char *raw)
{
	const struct postfix_service *owner =
	    wiring_own(w, s, kind->setting) != NULL ? s : NULL;
	char text[NAME_LEN], why[TEXT_LEN];
	struct list l;

	list_parse(&l, w, s, kind, raw);
	struct place place = find_place(&l);
	const char *what = definition_at(&l, place.at);
	bool own_first = kind->relays && !own_mail_has_passed(&l, place.at) &&
	    only_relays_behind(&l, place.at);

	wiring_define(w, what);
	(void)snprintf(text, sizeof(text), "%s%s$popgate_%s",
	    own_first ? "permit_auth_destination" : "",
	    own_first ? separator(owner, raw) : "", what);
	(void)snprintf(why, sizeof(why),
	    "Here %s would refuse a client that popgate permits, or may: popgate is asked in front of it.",
	    place.refuses);
	const struct insertion in = {
		.w = w, .s = s, .kind = kind, .text = text, .why = why
	};

	insert(&in, owner, kind->setting, raw, place.at, 0);
	list_release(&l);
}

void
wiring_list_plan(struct wiring_work *w, const struct postfix_service *s,
    const struct wiring_list_kind *kind)
{
	const struct postfix_service *owner =
	    wiring_own(w, s, kind->setting) != NULL ? s : NULL;
	char *raw = start_value(w, s, kind), *old = NULL;
	struct list l = { .n = 0 };

	if (raw == NULL) {
		w->no_memory = true;
		return;
	}
	list_parse(&l, w, s, kind, raw);
	struct place place = find_place(&l);
	size_t current = find_current(&l, &place);

	if (current < l.n)
		wiring_define(w, l.v[current].definition + 8);
	old = without_ours(&l, raw, current);
	if (old == NULL)
		w->no_memory = true;
	else if (place.needed && current == l.n)
		insert_at_place(w, s, kind, old);
	else if (strcmp(old, raw) != 0)
		wiring_set(w, owner, kind->setting, old,
		    "popgate needs not be asked here, or is asked already: what an earlier wiring left goes.");
	list_release(&l);
	free(old);
	free(raw);
}

/* --- smtpd_data_restrictions --- */

static const struct wiring_list_kind data_list = { "smtpd_data_restrictions",
	"data", false, false };

/* The first item that ends the list for some clients: popgate's check, which
 * has no opinion at DATA, stands in front. */
static size_t
data_place(const struct list *l)
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
data_is_current(const struct list *l, size_t *at_r)
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
	char text[NAME_LEN];
	struct list l;

	list_parse(&l, w, s, &data_list, raw);
	size_t at = data_place(&l);
	bool own_first = at == l.n && !own_mail_has_passed(&l, at);

	(void)snprintf(text, sizeof(text), "%s%s$popgate_data",
	    own_first ? "permit_auth_destination" : "",
	    own_first ? separator(owner, raw) : "");
	const struct insertion in = {
		.w = w,
		.s = s,
		.kind = &data_list,
		.text = text,
		.why =
		    "popgate's check has no opinion at DATA: it waits there until what it permitted is on disk."
	};

	insert(&in, owner, data_list.setting, raw, at, 0);
	list_release(&l);
}

void
wiring_data_plan(struct wiring_work *w, const struct postfix_service *s)
{
	char *raw = start_value(w, s, &data_list), *old = NULL;
	struct list l = { .n = 0 };
	size_t current;

	wiring_define(w, "data");
	if (raw == NULL) {
		w->no_memory = true;
		return;
	}
	list_parse(&l, w, s, &data_list, raw);
	bool is_current = data_is_current(&l, &current);

	old = without_ours(&l, raw, current);
	if (old == NULL)
		w->no_memory = true;
	else if (!is_current)
		insert_data(w, s, old);
	else if (strcmp(old, raw) != 0)
		wiring_set(w,
		    wiring_own(w, s, data_list.setting) != NULL ? s : NULL,
		    data_list.setting, old,
		    "popgate is asked already: what an earlier wiring left goes.");
	list_release(&l);
	free(old);
	free(raw);
}

/* --- services that are no client's --- */

/* Would popgate be asked about what comes from this machine or its networks? */
static bool
asks_about_networks(const struct list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		if (l->v[i].kind == ITEM_OURS)
			return true;
		if (l->v[i].kind == ITEM_PERMIT || is_refusal(l->v[i].kind) ||
		    strcasecmp(l->v[i].name, "permit_mynetworks") == 0)
			return false;
	}
	return false;
}

void
wiring_list_pin(struct wiring_work *w, const struct postfix_service *s,
    const struct wiring_list_kind *kind)
{
	char *raw = start_value(w, s, kind);
	struct list l = { .n = 0 };

	if (raw == NULL) {
		w->no_memory = true;
		return;
	}
	list_parse(&l, w, s, kind, raw);
	char *old = without_ours(&l, raw, l.n);

	if (old == NULL)
		w->no_memory = true;
	else if (asks_about_networks(&l) && strcmp(old, raw) != 0)
		wiring_set(w, s, kind->setting, old,
		    "Only this machine sends here: popgate knows its mail from where it came in.");
	list_release(&l);
	free(old);
	free(raw);
}

/* --- what a list does as it is --- */

void
wiring_list_examine(const struct wiring_work *w,
    const struct postfix_service *s, const struct wiring_list_kind *kind,
    struct wiring_list_state *state)
{
	struct list l;

	list_parse(&l, w, s, kind, wiring_raw(w, s, kind->setting));
	struct place place = find_place(&l);

	*state = (struct wiring_list_state){ .refuses = false };
	for (size_t i = 0; i < l.n; i++) {
		const struct item *item = &l.v[i];

		state->old |= item->kind == ITEM_OURS &&
		    (*item->definition == '\0' || !item->reaches);
		state->asks |= item->kind == ITEM_OURS && item->reaches &&
		    is_in_time(&l, i, &place);
	}
	state->refuses = find_refusal(&l, 0, true) < l.n;
	state->needed = place.needed;
	(void)snprintf(state->refusal, sizeof(state->refusal), "%s",
	    place.refuses == NULL ? "" : place.refuses);
	for (size_t i = 0; i < l.n && !is_refusal(l.v[i].kind); i++) {
		state->networks |=
		    strcasecmp(l.v[i].name, "permit_mynetworks") == 0;
		state->certificates |=
		    strncasecmp(l.v[i].name, "permit_tls_", 11) == 0;
	}
	list_release(&l);
}
