/* SPDX-License-Identifier: ISC */
#include "common/mta/postfix_wiring_items.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/mta/restrict.h"

enum { TEXT_LEN = 1200, DEPTH_MAX = 8, ITEMS_MAX = 400 };

const struct wiring_list_kind wiring_lists[WIRING_LISTS] = {
	{ "smtpd_client_restrictions", "client", true, false },
	{ "smtpd_helo_restrictions", "helo", true, false },
	{ "smtpd_sender_restrictions", "sender", true, false },
	{ "smtpd_relay_restrictions", "relay", false, true },
	{ "smtpd_recipient_restrictions", "recipient", false, true },
};

void
wiring_items_release(struct wiring_items *l)
{
	free(l->v);
	free(l->parts);
	string_list_release(&l->classes);
	l->v = NULL;
	l->parts = NULL;
	l->n = l->n_parts = 0;
}

/* --- what a restriction does --- */

static bool is_class(const struct wiring_items *l, const char *name);

/* Remember the classes among the words of a table's results. */
static void
take_classes(struct wiring_items *l, const struct string_list *words)
{
	for (size_t i = 0; i < words->n; i++) {
		const char *word = words->v[i];
		bool known = !is_class(l, word);

		for (size_t c = 0; c < l->classes.n && !known; c++)
			known = strcmp(l->classes.v[c], word) == 0;
		if (!known && !string_list_add(&l->classes, word, strlen(word)))
			l->no_memory = true;
	}
}

static void
classify_table(
    struct wiring_items *l, const char *table, struct wiring_item *item)
{
	const struct wiring_table *t =
	    wiring_is_map(table) ? NULL : wiring_table(l->w, table);

	item->kind = ITEM_MAYBE;
	if (wiring_is_map(table)) {
		item->kind = ITEM_OURS;
	} else if (t == NULL) {
		l->no_memory = true;
	} else {
		(void)snprintf(
		    item->table, sizeof(item->table), "%.199s", table);
		item->permits = t->permits;
		item->kind = t->all_refused ? ITEM_REFUSE
		    : t->all_permitted      ? ITEM_PERMIT
					    : ITEM_MAYBE;
		take_classes(l, &t->words);
	}
}

/* Where the client's DNS chooses the key, an OK permits nobody, be it the
 * table's or one of a class that it names: smtpd answers with a temporary
 * error. So popgate isn't asked in such a class. */
static void
classify_dns_table(
    struct wiring_items *l, const char *table, struct wiring_item *item)
{
	size_t classes = l->classes.n;

	classify_table(l, table, item);
	while (l->classes.n > classes)
		free(l->classes.v[--l->classes.n]);
	item->permits = false;
	if (item->kind == ITEM_PERMIT)
		item->kind = ITEM_MAYBE;
}

static bool
is_one_of(const char *name, const char *const *names)
{
	for (; *names != NULL; names++)
		if (strcasecmp(*names, name) == 0)
			return true;
	return false;
}

/* Is it a restriction that refuses a user's sender address unless AUTH proved
 * that user? popgate's clients never use AUTH. */
static bool
wants_auth_for_sender(const struct wiring_items *l, const char *name)
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

static enum wiring_item_kind
plain_kind(
    const struct wiring_items *l, const char *name, enum restrict_effect effect)
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

static void
parse(struct wiring_items *l, const char *text, bool top, int depth);

static bool
is_class(const struct wiring_items *l, const char *name)
{
	const char *classes =
	    postfix_value(l->w->pf, l->s, "smtpd_restriction_classes");
	char word[WIRING_NAME_MAX];

	while (restrict_word(&classes, word, sizeof(word)))
		if (strcmp(word, name) == 0)
			return true;
	return false;
}

/* A class as a whole: it is entered to see how it ends, and which clients it
 * meets. */
static void
classify_class(const struct wiring_items *l, const char *text, int depth,
    struct wiring_item *item)
{
	struct wiring_items in = { .w = l->w,
		.s = l->s,
		.kind = l->kind,
		.recipient_known = l->recipient_known };
	bool ends = false;

	item->kind = ITEM_MAYBE;
	if (depth >= DEPTH_MAX)
		return;
	item->kind = ITEM_PASS;
	parse(&in, text, false, depth + 1);
	for (size_t i = 0; i < in.n; i++) {
		enum wiring_item_kind one = in.v[i].kind;

		item->meets_own |= wiring_meets_own(&in.v[i]);
		if (!ends &&
		    (one == ITEM_MAYBE || one == ITEM_PERMIT ||
			wiring_is_refusal(one)))
			item->kind = one;
		ends |= one == ITEM_PERMIT || wiring_is_refusal(one);
	}
	wiring_items_release(&in);
}

/* Classify a restriction that is in neither table of names: a table alone, a
 * class, or reject_something. */
static void
classify_other(struct wiring_items *l, const char *name, int depth,
    struct wiring_item *item)
{
	if (strchr(name, ':') != NULL) {
		classify_table(l, name, item);
	} else if (is_class(l, name)) {
		classify_class(l, wiring_raw(l->w, l->s, name), depth, item);
	} else {
		item->kind = plain_kind(l, name, EFFECT_UNKNOWN);
	}
}

static void
classify(struct wiring_items *l, const char *name, const char *operand,
    int depth, struct wiring_item *item)
{
	enum restrict_effect effect;
	bool wants_operand;

	if (!restrict_effect_of(name, &effect, &wants_operand)) {
		classify_other(l, name, depth, item);
	} else if (effect == EFFECT_POLICY) {
		item->kind =
		    wiring_is_policy(l->w, operand) ? ITEM_OURS : ITEM_MAYBE;
	} else if (effect == EFFECT_DNS_MAP) {
		classify_dns_table(l, operand, item);
	} else if (effect >= EFFECT_CLIENT && effect <= EFFECT_OTHER_MAP) {
		classify_table(l, operand, item);
	} else {
		item->kind = plain_kind(l, name, effect);
	}
	if (item->kind == ITEM_OURS)
		item->reaches = wiring_is_map(operand) ||
		    postfix_names_socket(
			l->w->pf, l->s, operand, l->w->sockets->policy);
}

/* --- a value, taken apart --- */

static struct wiring_item *
add_item(struct wiring_items *l, enum wiring_item_kind kind, const char *name)
{
	struct wiring_item *v =
	    l->n >= ITEMS_MAX ? NULL : reallocarray(l->v, l->n + 1, sizeof(*v));

	if (v == NULL) {
		l->no_memory = true;
		return NULL;
	}
	l->v = v;
	size_t top = l->n_parts == 0 ? 0 : l->n_parts - 1;

	v[l->n] = (struct wiring_item){ .kind = kind,
		.top = top,
		.first = l->n == 0 || v[l->n - 1].top != top };
	(void)snprintf(v[l->n].name, WIRING_NAME_MAX, "%s", name);
	return &v[l->n++];
}

static void
add_part(struct wiring_items *l, size_t from, size_t to)
{
	struct wiring_part *v =
	    reallocarray(l->parts, l->n_parts + 1, sizeof(*v));

	if (v == NULL) {
		l->no_memory = true;
		return;
	}
	l->parts = v;
	v[l->n_parts++] = (struct wiring_part){ from, to };
}

/* The next word of text, at *at, expanded into buf: its length in text, 0 at
 * the end. */
static size_t
next_word(struct wiring_items *l, const char *text, size_t *at, char *buf,
    size_t size)
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
reaches(const struct wiring_items *l, const char *definition)
{
	return postfix_names_socket(l->w->pf, l->s,
	    definition + strcspn(definition, " {"), l->w->sockets->policy);
}

/* A word that is one $name: ours, or what it stands for. */
static bool
take_reference(struct wiring_items *l, const char *word, size_t len, int depth)
{
	char name[WIRING_NAME_MAX];
	struct wiring_item *item;

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
take_restriction(
    struct wiring_items *l, const char *text, size_t *at, int depth)
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
	struct wiring_item *item = add_item(l, ITEM_MAYBE, name);

	if (item != NULL)
		classify(l, name, operand, depth, item);
}

static void
parse(struct wiring_items *l, const char *text, bool top, int depth)
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
		assert(!top || l->no_memory || l->n_parts > 0);
		if (top && !l->no_memory)
			l->parts[l->n_parts - 1].to = at;
	}
}

void
wiring_items_parse(struct wiring_items *l, const struct wiring_work *w,
    const struct postfix_service *s, const struct wiring_list_kind *kind,
    const char *raw)
{
	*l = (struct wiring_items){ .w = w,
		.s = s,
		.kind = kind,
		.recipient_known = !kind->early ||
		    postfix_yes(w->pf, s, "smtpd_delay_reject") };
	parse(l, raw, true, 0);
}

void
wiring_items_of(struct wiring_items *l, const struct wiring_work *w,
    const struct postfix_service *s, const struct wiring_list_kind *kind)
{
	wiring_items_parse(l, w, s, kind, wiring_raw(w, s, kind->setting));
	if (!l->not_understood)
		return;
	wiring_items_release(l);
	wiring_items_parse(
	    l, w, s, kind, postfix_value(w->pf, s, kind->setting));
}

/* --- what others ask of it --- */

bool
wiring_is_refusal(enum wiring_item_kind kind)
{
	return kind == ITEM_REFUSE || kind == ITEM_REFUSE_RELAY;
}

bool
wiring_meets_own(const struct wiring_item *item)
{
	return item->kind == ITEM_REFUSE || item->kind == ITEM_MAYBE ||
	    item->meets_own;
}

bool
wiring_is_open(const struct wiring_items *l)
{
	return strcmp(l->kind->name, "relay") == 0 && l->n == 2 &&
	    strcmp(l->v[0].table, "static:OK") == 0 &&
	    strcasecmp(l->v[1].name, "reject") == 0;
}

bool
wiring_own_mail_has_passed(const struct wiring_items *l, size_t at)
{
	assert(at <= l->n);
	for (size_t i = 0; i < at; i++)
		if (l->v[i].kind == ITEM_OWN_DOMAINS)
			return true;
	return false;
}
