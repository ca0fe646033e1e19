/* SPDX-License-Identifier: ISC */
#include "common/mta/exim_wiring.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

#include "common/base/err.h"
#include "common/mta/exim_acl.h"

#define PERMIT "acl_popgate"
#define VERDICT "acl_popgate_verdict"
#define CLIENT "acl_popgate_client"
#define POLICY_MACRO "POPGATE"
#define POLICY_DEFAULT "/run/popgate/policy.sock"

struct planner {
	const struct exim_source *src;
	const struct exim_wiring_names *names;
	struct edit_plan *plan;
	struct err *err;
};

static int
edit(struct planner *p, const struct exim_file *file, unsigned line,
    struct exim_draft text, const char *why)
{
	if (exim_plan_insert(p->plan, file, line, text, why))
		return 0;
	err_nomem(p->err, "the plan of Exim's wiring", 0);
	return -1;
}

static int
note(struct planner *p, enum exim_note_kind kind,
    const struct exim_statement *s, const char *text)
{
	if (edit_plan_note(p->plan, (int)kind, s->file->path, s->line, text))
		return 0;
	err_nomem(p->err, "the plan of Exim's wiring", 0);
	return -1;
}

/* Does such a statement in front of the one at end ask this ACL? */
static bool
asked(
    const struct exim_acl *acl, size_t end, const char *verb, const char *name)
{
	for (size_t i = 0; i < end; i++)
		if (strcmp(acl->v[i].verb, verb) == 0 &&
		    exim_statement_asks(&acl->v[i], name))
			return true;
	return false;
}

/* --- the three edits --- */

static int
edit_include(struct planner *p, const struct exim_acl *acl)
{
	const struct exim_wiring_names *names = p->names;
	struct exim_draft t = exim_draft_begin();

	exim_draft_put(&t, "# popgate: the ACLs that ask it.\n");
	if (strcmp(names->policy, POLICY_DEFAULT) != 0)
		exim_draft_put(&t, POLICY_MACRO " = %s\n", names->policy);
	exim_draft_put(&t, ".include %s\n\n", names->include);
	return edit(p, acl->file, acl->before, t,
	    "The ACLs acl_popgate and acl_popgate_verdict ask popgate; they change nothing by themselves.");
}

/* The modifiers of the statement by which an AUTH user is accepted, but for
 * those that name that user. */
static void
put_modifiers(struct exim_draft *t, const struct exim_statement *s)
{
	for (size_t i = 0; s != NULL && i < s->n; i++) {
		const struct exim_condition *c = &s->v[i];

		if (!exim_condition_changes(c) ||
		    strstr(c->value, "authenticated") != NULL)
			continue;
		exim_draft_put(t,
		    strcmp(c->name, "set") == 0 ? "    %s %s\n"
						: "    %s = %s\n",
		    c->name, c->raw);
	}
}

static void
put_condition(
    struct exim_draft *t, bool negated, const struct exim_condition *c)
{
	exim_draft_put(
	    t, "    %s%s = %s\n", negated ? "!" : "", c->name, c->raw);
}

/* Under what conditions the refusal at acl->v[at] meets a client. */
static void
put_refusal(struct exim_draft *t, const struct exim_acl *acl, size_t at)
{
	const struct exim_statement *s = &acl->v[at];

	if (at == acl->n)
		return;
	for (size_t i = 0; i < s->n; i++) {
		const struct exim_condition *c = &s->v[i];

		if (strcmp(s->verb, "require") == 0) {
			if (exim_condition_excludes(c))
				put_condition(t, !c->negated, c);
		} else if (!exim_condition_modifies(c) &&
		    strcmp(c->name, "acl") != 0) {
			put_condition(t, c->negated, c);
		}
	}
}

/* Does the statement accept recipients of certain domains, whoever sends? */
static bool
accepts_ours(const struct exim_statement *s)
{
	const struct exim_condition *domains =
	    exim_statement_find(s, "domains");

	if (strcmp(s->verb, "accept") != 0 || domains == NULL ||
	    !exim_condition_excludes(domains))
		return false;
	for (size_t i = 0; i < s->n; i++) {
		const struct exim_condition *c = &s->v[i];

		if (c != domains && !exim_condition_modifies(c) &&
		    strcmp(c->name, "verify") != 0 &&
		    strcmp(c->name, "local_parts") != 0)
			return false;
	}
	return true;
}

/* A refusal that names the domains, or the accepts in front of it that do, say
 * which recipients are Exim's own. */
static void
put_not_ours(struct exim_draft *t, const struct exim_acl *acl, size_t from,
    size_t refusal)
{
	if (refusal < acl->n &&
	    exim_statement_find(&acl->v[refusal], "domains") != NULL) {
		put_refusal(t, acl, refusal);
		return;
	}
	for (size_t i = from; i < refusal; i++) {
		const struct exim_condition *c =
		    exim_statement_find(&acl->v[i], "domains");

		if (strcmp(acl->v[i].verb, "accept") == 0 && c != NULL &&
		    exim_condition_excludes(c) &&
		    exim_statement_find(&acl->v[i], "hosts") == NULL &&
		    exim_statement_find(&acl->v[i], "authenticated") == NULL)
			put_condition(t, !c->negated, c);
	}
}

/* A recipient of our own that an accept doesn't verify comes to the refusal,
 * too: popgate has no say in it, alive or dead. */
static void
put_not_unknown(
    struct exim_draft *t, const struct exim_acl *acl, size_t refusal)
{
	if (refusal < acl->n &&
	    exim_statement_find(&acl->v[refusal], "domains") != NULL)
		return;
	for (size_t i = 0; i < refusal; i++) {
		const struct exim_statement *s = &acl->v[i];

		if (accepts_ours(s) && exim_statement_find(s, "verify") != NULL)
			put_condition(t,
			    !exim_statement_find(s, "domains")->negated,
			    exim_statement_find(s, "domains"));
	}
}

/* Text goes in front of the statement at, or to the end of the ACL. */
static int
edit_at(struct planner *p, const struct exim_acl *acl, size_t at,
    struct exim_draft text, const char *why)
{
	if (at == acl->n)
		return edit(p, acl->file, acl->end, text, why);
	return edit(p, acl->v[at].file, acl->v[at].before, text, why);
}

static int
edit_permit(struct planner *p, const struct exim_acl *acl,
    const struct exim_acl_places *at)
{
	const struct exim_statement *known =
	    at->neighbour < acl->n ? &acl->v[at->neighbour] : NULL;
	bool beside = at->permit != at->refusal;
	struct exim_draft t = exim_draft_begin();

	assert(!beside || known != NULL); /* the place is right behind it */
	exim_draft_put(&t,
	    "%s  # popgate: a client that it permits relays as an AUTH user does.\n  accept\n",
	    beside || at->refusal == acl->n ? "\n" : "");
	put_not_ours(&t, acl, at->permit, at->refusal);
	exim_draft_put(&t, "    acl = " PERMIT "\n");
	put_modifiers(&t, known);
	if (beside)
		return edit(p, known->file, known->behind, t,
		    "A client that popgate permits is accepted where a client that Exim lets relay is.");
	exim_draft_put(&t, at->refusal == acl->n ? "" : "\n");
	return edit_at(p, acl, at->refusal, t,
	    "A client that popgate permits is accepted before Exim refuses it.");
}

static int
edit_verdict(struct planner *p, const struct exim_acl *acl, size_t refusal)
{
	struct exim_draft t = exim_draft_begin();
	size_t at = refusal;

	/* the end speaks in the words of an accept that didn't verify */
	while (refusal == acl->n && at > 0 && accepts_ours(&acl->v[at - 1]) &&
	    exim_statement_find(&acl->v[at - 1], "verify") != NULL)
		at--;
	exim_draft_put(&t,
	    "%s  # popgate: who may not relay is told why; without popgate, to come again.\n  deny\n",
	    at == acl->n ? "\n" : "");
	put_not_unknown(&t, acl, refusal);
	put_refusal(&t, acl, refusal);
	exim_draft_put(
	    &t, "    !acl = " VERDICT "\n%s", at == acl->n ? "" : "\n");
	return edit_at(p, acl, at, t,
	    "Who would be refused here is refused in popgate's words, and deferred while popgate gives no answer.");
}

/* A refusal that spares AUTH users spares popgate's clients, too. */
static int
edit_spare(struct planner *p, const struct exim_statement *s, const char *acl)
{
	struct exim_draft t = exim_draft_begin();

	exim_draft_put(&t, "    !acl = %s\n", acl);
	return edit(p, s->file, s->behind, t,
	    "This refusal spares AUTH users; now it spares clients that popgate permits, too.");
}

/* --- ACLs --- */

static int
plan_spared(struct planner *p, const struct exim_acl *acl, size_t i)
{
	if (exim_statement_asks(&acl->v[i], PERMIT))
		return 0;
	if (!asked(acl, i, "deny", VERDICT) && edit_verdict(p, acl, i) == -1)
		return -1;
	return edit_spare(p, &acl->v[i], PERMIT);
}

/* The last place: a client that comes here and isn't accepted is refused. */
static int
plan_final(
    struct planner *p, const struct exim_acl *acl, size_t after, size_t refusal)
{
	struct exim_acl_places at;

	exim_acl_find_places(acl, after, refusal, &at);
	if (!asked(acl, refusal, "accept", PERMIT) &&
	    edit_permit(p, acl, &at) == -1)
		return -1;
	if (at.asked_for_all &&
	    note(p, EXIM_ASKED_FOR_ALL, &acl->v[at.neighbour],
		"Which recipients are our own can't be read from this ACL: "
		"popgate is asked for them as well.") == -1)
		return -1;
	if (!asked(acl, refusal, "deny", VERDICT))
		return edit_verdict(p, acl, refusal);
	return 0;
}

/* Does the statement accept whoever asks, since the list of hosts that it names
 * is "*"? */
static bool
accepts_every_host(
    const struct exim_source *src, const struct exim_statement *s)
{
	const char *list = NULL;

	if (strcmp(s->verb, "accept") != 0)
		return false;
	for (size_t i = 0; i < s->n; i++) {
		const struct exim_condition *c = &s->v[i];

		if (exim_condition_modifies(c))
			continue;
		if (strcmp(c->name, "hosts") != 0 || c->negated ||
		    *c->value != '+')
			return false;
		list = exim_source_list(src, "hostlist", c->value + 1);
		if (list == NULL || strcmp(list, "*") != 0)
			return false;
	}
	return list != NULL;
}

static int
fail_open(const struct planner *p, const struct exim_acl *acl,
    const struct exim_statement *s)
{
	err_set(p->err, ERR_INVALID,
	    "%s:%u: this accept lets every client relay, and nothing in front of it in the ACL %s refuses that: expected a require or deny by domains. Close Exim first (popgatectl doctor)",
	    s->file->path, s->line, acl->name);
	return -1;
}

static int
plan_rcpt(struct planner *p, const struct exim_acl *acl)
{
	size_t passed = 0;

	for (size_t i = 0; i < acl->n; i++) {
		const struct exim_statement *s = &acl->v[i];

		if (accepts_every_host(p->src, s))
			return fail_open(p, acl, s);
		switch (exim_statement_effect(s)) {
		case EXIM_GOES_ON:
			break;
		case EXIM_SPARES_AUTH:
			if (plan_spared(p, acl, i) == -1)
				return -1;
			passed = i + 1;
			break;
		case EXIM_REFUSES:
			return plan_final(p, acl, passed, i);
		case EXIM_ACCEPTS:
			if (passed > 0)
				return 0;
			return fail_open(p, acl, s);
		}
	}
	return plan_final(p, acl, passed, acl->n);
}

/* Does the refusal go by where a message comes from: a block list of clients,
 * or the sender? */
static bool
goes_by_origin(const struct exim_statement *s)
{
	return exim_statement_find(s, "dnslists") != NULL ||
	    exim_statement_find(s, "sender_domains") != NULL ||
	    exim_statement_find(s, "senders") != NULL;
}

/* Refusals that AUTH users don't meet: those that say so, and those behind the
 * statement that accepts them. Popgate's clients often come from addresses that
 * are in block lists, and write from our own domains.
 *   rcpt  a refusal may go by the recipient, too: then it stays */
static int
spare(struct planner *p, const struct exim_acl *acl, bool rcpt)
{
	bool accepted = false; /* AUTH users, by a statement above */

	for (size_t i = 0; i < acl->n; i++) {
		const struct exim_statement *s = &acl->v[i];
		const struct exim_condition *c =
		    exim_statement_find(s, "authenticated");

		accepted |= exim_accepts_auth(s);
		if (!exim_verb_refuses(s->verb) ||
		    exim_statement_effect(s) != EXIM_GOES_ON ||
		    exim_statement_asks(s, CLIENT) ||
		    exim_statement_asks(s, VERDICT))
			continue;
		if (((c != NULL && c->negated) ||
			(accepted && (!rcpt || goes_by_origin(s)))) &&
		    edit_spare(p, s, CLIENT) == -1)
			return -1;
	}
	return 0;
}

static int
spare_at_rcpt(struct planner *p, const struct exim_acl *acl)
{
	return spare(p, acl, true);
}

static int
spare_before_rcpt(struct planner *p, const struct exim_acl *acl)
{
	return spare(p, acl, false);
}

/* Call plan for each ACL that the setting names, alone or in an expansion.
 * Returns how many; -1: an error. */
static int
each_acl(struct planner *p, const char *option,
    int (*plan)(struct planner *p, const struct exim_acl *acl))
{
	const char *at = exim_source_option(p->src, option);
	int n = 0;

	while (at != NULL && *at != '\0') {
		size_t len = 0;

		while (isalnum((unsigned char)at[len]) || at[len] == '_')
			len++;
		const struct exim_acl *acl =
		    len == 0 ? NULL : exim_source_acl(p->src, at, len);

		at += len == 0 ? 1 : len;
		if (acl == NULL)
			continue;
		if (plan(p, acl) == -1)
			return -1;
		n++;
	}
	return n;
}

static int
fail_no_acl(const struct planner *p)
{
	const char *value = exim_source_option(p->src, "acl_smtp_rcpt");

	if (p->src->n_acls == 0 && value == NULL)
		err_set(p->err, ERR_INVALID,
		    "the Exim configuration has neither acl_smtp_rcpt nor an "
		    "ACL: expected the files that Exim reads");
	else if (value == NULL)
		err_set(p->err, ERR_INVALID,
		    "acl_smtp_rcpt is not set, so Exim takes no recipient from the network: expected the name of an ACL");
	else
		err_set(p->err, ERR_INVALID,
		    "acl_smtp_rcpt = %.200s: no ACL of that name is in the files read: expected one in the section \"begin acl\"",
		    value);
	return -1;
}

/* Is what is there already ours, for these sockets? */
static int
check_old(const struct planner *p)
{
	const struct string_list *macros = &p->src->text.macros;

	for (size_t i = 0; i + 1 < macros->n; i += 2) {
		if (strcmp(macros->v[i], POLICY_MACRO) != 0 ||
		    strcmp(macros->v[i + 1], p->names->policy) == 0)
			continue;
		err_set(p->err, ERR_INVALID,
		    "an older wiring is there: Exim asks popgate at %.100s (macro " POLICY_MACRO
		    "), and permit.policy is %.100s. "
		    "Make them equal, or take the older wiring out",
		    macros->v[i + 1], p->names->policy);
		return -1;
	}
	return 0;
}

static const struct exim_acl *
first_acl(const struct exim_source *src)
{
	const char *at = exim_source_option(src, "acl_smtp_rcpt");

	for (size_t len; at != NULL && *at != '\0'; at += len == 0 ? 1 : len) {
		const struct exim_acl *acl;

		for (len = 0;
		     isalnum((unsigned char)at[len]) || at[len] == '_';)
			len++;
		acl = len == 0 ? NULL : exim_source_acl(src, at, len);
		if (acl != NULL)
			return acl;
	}
	return NULL;
}

int
exim_wiring_plan(const struct exim_source *src,
    const struct exim_wiring_names *names, struct edit_plan *plan,
    struct err *err)
{
	struct planner p = {
		.src = src, .names = names, .plan = plan, .err = err
	};
	const struct exim_acl *first = first_acl(src);

	*plan = (struct edit_plan){ .n_edits = 0 };
	if (check_old(&p) == -1)
		return -1;
	if (first == NULL)
		return fail_no_acl(&p);
	/* Conditions first: at one place they go to the statement above, and
	 * stay there in front of a new one. */
	if (each_acl(&p, "acl_smtp_rcpt", spare_at_rcpt) == -1 ||
	    each_acl(&p, "acl_smtp_helo", spare_before_rcpt) == -1 ||
	    each_acl(&p, "acl_smtp_mail", spare_before_rcpt) == -1)
		return -1;
	if (exim_source_acl(src, PERMIT, strlen(PERMIT)) == NULL &&
	    edit_include(&p, first) == -1)
		return -1;
	if (each_acl(&p, "acl_smtp_rcpt", plan_rcpt) == -1)
		return -1;
	edit_plan_sort(plan);
	return 0;
}
