/* SPDX-License-Identifier: ISC */
#include "ctl/rehearsal/exim_cause.h"

#include <string.h>

bool
exim_check_modifies(const struct exim_check *c)
{
	static const char *const names[] = { "add_header", "continue",
		"control", "delay", "endpass", "log_message",
		"log_reject_target", "logwrite", "message", "queue",
		"remove_header", "udpsend" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcmp(c->name, names[i]) == 0)
			return true;
	return strncmp(c->name, "set ", 4) == 0 || strcmp(c->name, "set") == 0;
}

static size_t
index_of(const struct exim_trace *t, const struct exim_ran *ran)
{
	return (size_t)(ran - t->ran);
}

/* Does it ask anything of the client or the recipient? */
static bool
asks(const struct exim_trace *t, const struct exim_ran *ran)
{
	for (size_t i = 0; i < t->n_checks; i++)
		if (t->checks[i].ran == index_of(t, ran) &&
		    !exim_check_modifies(&t->checks[i]) &&
		    strcmp(t->checks[i].name, "verify") != 0)
			return true;
	return false;
}

/* The statement that was asked there, in another dialogue; NULL. */
static const struct exim_ran *
same(const struct exim_heard_in *in, const struct exim_ran *ran)
{
	const struct exim_trace *t = in->trace;
	size_t end = exim_trace_end(t, in->heard->rcpt);

	for (size_t i = t->said[in->heard->from].ran; i < end; i++)
		if (t->ran[i].line == ran->line &&
		    strcmp(t->ran[i].file, ran->file) == 0)
			return &t->ran[i];
	return NULL;
}

/* The last statement up to the decision that went otherwise than in the
 * dialogue that was refused. */
static const struct exim_ran *
last_that_differs(const struct exim_heard_in *accepted,
    const struct exim_heard_in *refused, const struct exim_ran *decided)
{
	const struct exim_trace *t = accepted->trace;
	size_t from = t->said[accepted->heard->from].ran;

	for (size_t i = index_of(t, decided) + 1; i-- > from;) {
		const struct exim_ran *other = same(refused, &t->ran[i]);

		if (t->ran[i].depth == 0 && other != NULL &&
		    other->passed != t->ran[i].passed)
			return &t->ran[i];
	}
	return NULL;
}

/* The condition of a statement that a list decided, and its innermost match;
 * NULL. The last condition where a statement failed. */
static const struct exim_hit *
find_hit(const struct exim_trace *t, const struct exim_ran *ran)
{
	const struct exim_hit *found = NULL;

	for (size_t i = 0; i < t->n_hits; i++) {
		const struct exim_check *c = &t->checks[t->hits[i].check];

		/* what routers ask isn't the ACL's */
		if (c->ran != index_of(t, ran) ||
		    strcmp(c->name, "verify") == 0 || exim_check_modifies(c))
			continue;
		if (found == NULL || found->check != t->hits[i].check)
			found = &t->hits[i];
	}
	return found;
}

/* The last statement before the decision that a list decided. */
static const struct exim_ran *
last_by_list(const struct exim_heard_in *in, const struct exim_ran *decided)
{
	const struct exim_trace *t = in->trace;

	for (size_t i = index_of(t, decided) + 1;
	     i-- > t->said[in->heard->rcpt].ran;) {
		const struct exim_ran *ran = &t->ran[i];
		bool require = strcmp(ran->verb, "require") == 0;

		if (ran->depth == 0 &&
		    (ran->passed == require || ran == decided) &&
		    strcmp(ran->verb, "warn") != 0 && find_hit(t, ran) != NULL)
			return ran;
	}
	return NULL;
}

/* A cached hit was found before: its first time, where the whole way is
 * told. */
static const struct exim_hit *
uncached(const struct exim_trace *t, const struct exim_hit *hit)
{
	for (const struct exim_hit *h = t->hits; h < hit; h++)
		if (h > t->hits && *hit->item == '+' &&
		    strcmp(h->item, hit->item) == 0 &&
		    h[-1].check == h->check) {
			while (h > t->hits && h[-1].check == h->check)
				h--;
			return h;
		}
	return hit;
}

static void
take_lists(const struct exim_trace *t, const struct exim_hit *hit,
    struct exim_cause *c)
{
	const struct exim_hit *end = t->hits + t->n_hits;

	c->check = &t->checks[hit->check];
	hit = uncached(t, hit);
	c->list = hit->list;
	c->item = hit->item;
	c->path = hit->file;
	for (const struct exim_hit *h = hit; h < end && h->check == hit->check;
	     h++) {
		const char *path = strstr(h->item, ";/");

		if (path != NULL && c->path == NULL && c->named == NULL) {
			c->path = path + 1;
			c->lookup = true;
		}
		if (*h->item == '+' && c->named == NULL)
			c->named = h->item + 1;
	}
}

/* The last condition of a statement; NULL. */
static const struct exim_check *
last_check(const struct exim_trace *t, const struct exim_ran *ran)
{
	for (size_t i = t->n_checks; i-- > 0;)
		if (t->checks[i].ran == index_of(t, ran) &&
		    !exim_check_modifies(&t->checks[i]))
			return &t->checks[i];
	return NULL;
}

/* The first statement that went otherwise than where it was refused: that may
 * have set what a later one asks. NULL. */
static const struct exim_ran *
first_that_differs(const struct exim_heard_in *accepted,
    const struct exim_heard_in *refused, const struct exim_ran *at)
{
	const struct exim_trace *t = accepted->trace;

	for (size_t i = t->said[accepted->heard->from].ran; i < index_of(t, at);
	     i++) {
		const struct exim_ran *other = same(refused, &t->ran[i]);

		if (other != NULL && other->passed != t->ran[i].passed)
			return &t->ran[i];
	}
	return NULL;
}

/* Is it a stranger's name, or a word that holds one? */
static bool
is_strangers(const char *word)
{
	return strstr(word, EXIM_VICTIM) != NULL;
}

/* By a recipient: any domain's, some local part's at every domain, or one of
 * ours that leads elsewhere. */
static const char *
kind_by_recipient(const char *recipient)
{
	const char *at = strrchr(recipient, '@');

	if (*recipient == '@' || at == NULL || !is_strangers(at))
		return "exim-recipient-routed";
	return strncmp(recipient, "victim@", 7) == 0 ||
		strcmp(at, "@" EXIM_VICTIM ".example") != 0
	    ? "exim-domains-open"
	    : "exim-relay-open";
}

static const char *
kind_of(const struct exim_talk *t, const struct exim_try *y,
    const struct exim_cause *c)
{
	const char *name = c->check == NULL ? "" : c->check->name;

	if (y->v[EXIM_AUTH] != 0)
		return "exim-auth-open";
	if (y->v[EXIM_HELO] != 0)
		return "exim-helo-permits";
	if (y->v[EXIM_SENDER] != 0)
		return "exim-sender-permits";
	if (y->v[EXIM_CLIENT] != 0)
		return "exim-hosts-open";
	if (y->v[EXIM_RECIPIENT] != 0)
		return kind_by_recipient(exim_try_value(t, y, EXIM_RECIPIENT));
	if (c->list != NULL && strcmp(name, "hosts") == 0)
		return "exim-hosts-open";
	if (c->list != NULL &&
	    (strcmp(name, "domains") == 0 || strcmp(name, "recipients") == 0))
		return "exim-domains-open";
	return "exim-relay-open";
}

void
exim_cause_find(const struct exim_talk *t, const struct exim_try *y,
    const struct exim_heard_in *accepted, const struct exim_heard_in *refused,
    struct exim_cause *c)
{
	const struct exim_trace *trace = accepted->trace;
	const struct exim_ran *decided =
	    exim_trace_decided(trace, accepted->heard->rcpt);
	const struct exim_hit *hit;

	*c = (struct exim_cause){ .at = decided };
	if (decided != NULL && !asks(trace, decided)) {
		if (refused != NULL)
			c->at = last_that_differs(accepted, refused, decided);
		else
			c->at = last_by_list(accepted, decided);
		if (c->at == NULL)
			c->at = decided;
	}
	if (c->at != NULL)
		c->check = last_check(trace, c->at);
	if (c->at != NULL && refused != NULL)
		c->origin = first_that_differs(accepted, refused, c->at);
	hit = c->at == NULL ? NULL : find_hit(trace, c->at);
	if (hit != NULL)
		take_lists(trace, hit, c);
	c->kind = kind_of(t, y, c);
}
