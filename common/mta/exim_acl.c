/* SPDX-License-Identifier: ISC */
#include "common/mta/exim_acl.h"

#include <assert.h>
#include <string.h>

enum { MEMBER_LEN = 256 };

static bool
is_one_of(const char *word, const char *const *words)
{
	for (; *words != NULL; words++)
		if (strcmp(word, *words) == 0)
			return true;
	return false;
}

static bool
is(const struct exim_condition *c, const char *name)
{
	return strcmp(c->name, name) == 0;
}

bool
exim_verb_refuses(const char *verb)
{
	static const char *const verbs[] = { "deny", "drop", "defer", "discard",
		NULL };

	return is_one_of(verb, verbs);
}

bool
exim_condition_changes(const struct exim_condition *c)
{
	static const char *const names[] = { "add_header", "control",
		"remove_header", "set", NULL };

	return is_one_of(c->name, names);
}

bool
exim_condition_modifies(const struct exim_condition *c)
{
	static const char *const names[] = { "continue", "delay", "endpass",
		"log_message", "log_reject_target", "logwrite", "message",
		"queue", "udpsend", NULL };

	return exim_condition_changes(c) || is_one_of(c->name, names);
}

bool
exim_statement_asks(const struct exim_statement *s, const char *acl)
{
	for (size_t i = 0; i < s->n; i++)
		if (is(&s->v[i], "acl") && strcmp(s->v[i].value, acl) == 0)
			return true;
	return false;
}

/* Does the list name only what it doesn't mean ("!+local_domains")? Such a list
 * ends in "*" for Exim. */
static bool
negative(const char *list)
{
	char member[MEMBER_LEN];
	char sep = 0;
	size_t n = 0;

	for (; exim_member(&list, &sep, member, sizeof(member)); n++)
		if (*member != '!')
			return false;
	return n > 0;
}

/* Conditions about which an unknown client that wants to relay is alike: the
 * domain isn't ours, its host is in no list, it didn't AUTH. */
static bool
is_alike(const struct exim_condition *c)
{
	return is(c, "domains") || is(c, "hosts") || is(c, "authenticated");
}

/* Does every such client meet the condition? */
static bool
met(const struct exim_condition *c)
{
	bool all = strcmp(c->value, "*") == 0 && !is(c, "authenticated");

	return (all || negative(c->value)) != c->negated;
}

bool
exim_condition_excludes(const struct exim_condition *c)
{
	return is_alike(c) && !met(c);
}

static enum exim_effect
effect_of_require(const struct exim_statement *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (exim_condition_excludes(&s->v[i]))
			return EXIM_REFUSES;
	return EXIM_GOES_ON;
}

enum exim_effect
exim_statement_effect(const struct exim_statement *s)
{
	bool spares = false;

	if (strcmp(s->verb, "require") == 0)
		return effect_of_require(s);
	if (strcmp(s->verb, "accept") != 0 && !exim_verb_refuses(s->verb))
		return EXIM_GOES_ON;
	for (size_t i = 0; i < s->n; i++) {
		const struct exim_condition *c = &s->v[i];

		/* the one that popgate's wiring has put there */
		if (c->negated && is(c, "acl") &&
		    strcmp(c->value, "acl_popgate") == 0)
			continue;
		if (exim_condition_modifies(c))
			continue;
		if (!is_alike(c) || !met(c))
			return EXIM_GOES_ON;
		spares |= is(c, "authenticated");
	}
	if (strcmp(s->verb, "accept") == 0)
		return EXIM_ACCEPTS;
	return spares ? EXIM_SPARES_AUTH : EXIM_REFUSES;
}

/* Does the statement accept every AUTH user (hosts: every host of a list)
 * whatever the domain? */
static bool
accepts_known(const struct exim_statement *s, const char *by)
{
	const struct exim_condition *c = exim_statement_find(s, by);
	const struct exim_condition *domains =
	    exim_statement_find(s, "domains");

	return strcmp(s->verb, "accept") == 0 && c != NULL && !c->negated &&
	    *c->value != '\0' && strcmp(c->value, ":") != 0 &&
	    (domains == NULL || !exim_condition_excludes(domains)) &&
	    exim_statement_find(s, "recipients") == NULL &&
	    exim_statement_find(s, "local_parts") == NULL;
}

bool
exim_accepts_auth(const struct exim_statement *s)
{
	return accepts_known(s, "authenticated");
}

static size_t
find_neighbour(const struct exim_acl *acl, size_t after, size_t refusal)
{
	for (size_t i = after; i < refusal; i++)
		if (exim_accepts_auth(&acl->v[i]))
			return i;
	for (size_t i = refusal; i-- > after;)
		if (accepts_known(&acl->v[i], "hosts"))
			return i;
	return acl->n;
}

/* Between the two: can a recipient of our own be accepted by something that
 * doesn't name its domain; is anybody refused? */
static void
look_between(const struct exim_acl *acl, size_t from, size_t to,
    bool *unnamed_r, bool *refusals_r)
{
	assert(from <= to && to <= acl->n);
	*unnamed_r = *refusals_r = false;
	for (size_t i = from; i < to; i++) {
		const struct exim_statement *s = &acl->v[i];

		if (strcmp(s->verb, "accept") != 0) {
			*refusals_r |= strcmp(s->verb, "warn") != 0;
		} else if (exim_statement_find(s, "domains") == NULL &&
		    exim_statement_find(s, "hosts") == NULL &&
		    exim_statement_find(s, "authenticated") == NULL &&
		    !exim_statement_asks(s, "acl_popgate")) {
			*unnamed_r = true;
		}
	}
}

void
exim_acl_find_places(const struct exim_acl *acl, size_t after, size_t refusal,
    struct exim_acl_places *at)
{
	bool unnamed, refusals;

	assert(after <= refusal && refusal <= acl->n);
	*at = (struct exim_acl_places){ .refusal = refusal,
		.neighbour = find_neighbour(acl, after, refusal),
		.permit = refusal };
	if (at->neighbour == acl->n)
		return;
	look_between(acl, at->neighbour + 1, refusal, &unnamed, &refusals);
	/* The domains of the refusal say what is ours, wherever popgate is
	 * asked. */
	unnamed &= refusal == acl->n ||
	    exim_statement_find(&acl->v[refusal], "domains") == NULL;
	if (unnamed && !refusals)
		return;
	at->permit = at->neighbour + 1;
	at->asked_for_all = unnamed;
}
