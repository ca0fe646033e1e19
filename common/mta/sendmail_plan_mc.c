/* SPDX-License-Identifier: ISC */
/* sendmail_plan_mc - the edits of sendmail.mc and the files that it includes.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/mta/generated.h"
#include "common/mta/sendmail_walk.h"

/* Replace the lines from..last by text. */
void
sendmail_replace_lines(struct mc_walk *w, unsigned from, unsigned last,
    const char *text, const char *why)
{
	char *old = sendmail_lines(w->f->text, from, last);

	if (old == NULL)
		w->b->no_memory = true;
	else if (from >= w->past)
		sendmail_add_edit(w->b, w->f->path, from, old, text, why);
	else
		w->b->met = (struct sendmail_place){ w->f->path, from };
	free(old);
	w->past = last + 1;
}

/* Replace what stands in a call's lines from at on, len bytes, by text. */
static void
replace_in_call(struct mc_walk *w, const struct sendmail_call *call,
    const char *at, size_t len, const char *text, const char *why)
{
	char *old = sendmail_lines(w->f->text, call->line, call->last_line);
	const char *start = call->name;
	char *line = NULL;

	assert(at >= call->name && at + len <= call->end);
	while (start > w->f->text && start[-1] != '\n')
		start--;
	if (old != NULL &&
	    asprintf(&line, "%.*s%s%s", (int)(at - start), old, text,
		old + (at - start) + len) == -1)
		line = NULL;
	if (line == NULL)
		w->b->no_memory = true;
	else
		sendmail_replace_lines(
		    w, call->line, call->last_line, line, why);
	free(line);
	free(old);
}

/* --- lists of filters --- */

/* DAEMON_OPTIONS(`Port=587, Name=MSA, InputMailFilters=opendkim') */
static void
take_daemon(struct mc_walk *w, const struct sendmail_call *call)
{
	char options[ARG_MAX_LEN], list[ARG_MAX_LEN], longer[ARG_MAX_LEN];
	size_t len;
	const char *value =
	    sendmail_find_equate(call->args, call->end, 'I', &len);

	if (value == NULL || len >= sizeof(list) ||
	    !sendmail_mc_arg(call, 0, options, sizeof(options)) ||
	    sendmail_is_loopback(options))
		return;
	(void)snprintf(list, sizeof(list), "%.*s", (int)len, value);
	if (sendmail_list_add(list, longer, sizeof(longer)))
		replace_in_call(w, call, value, len, longer,
		    "This listener has a list of filters of its own: popgate's is added behind them.");
}

/* define(`confINPUT_MAIL_FILTERS', `opendkim, popgate'): popgate's is added by
 * its own INPUT_MAIL_FILTER. */
static void
take_define(struct mc_walk *w, const struct sendmail_call *call)
{
	char name[100];
	const char *at;

	if (!sendmail_mc_arg(call, 0, name, sizeof(name)) ||
	    strcmp(name, "confINPUT_MAIL_FILTERS") != 0)
		return;
	at = memmem(call->args, (size_t)(call->end - call->args),
	    SENDMAIL_FILTER, strlen(SENDMAIL_FILTER));
	if (at == NULL || strchr(" \t,;`", at[-1]) == NULL ||
	    strchr(" \t,;'", at[strlen(SENDMAIL_FILTER)]) == NULL)
		return;
	const char *end = at + strlen(SENDMAIL_FILTER);

	/* the comma in front goes with it, or else the one behind */
	while (strchr(" \t", at[-1]) != NULL)
		at--;
	if (at[-1] == ',' || at[-1] == ';')
		at--;
	else
		end += strspn(end, " \t,;");
	replace_in_call(w, call, at, (size_t)(end - at), "",
	    "popgate's filter is added to this list by the file of its rules.");
}

/* --- the walk --- */

/* FEATURE(`dnsbl', ...): the first of them in all files has popgate asked
 * before it. */
static void
exempt_from_lists(struct mc_walk *w, const struct sendmail_call *call)
{
	char *include = NULL;

	if (w->b->lists_ask)
		return;
	w->b->lists_ask = true;
	if (w->exempt)
		return;
	w->exempt = true;
	if (asprintf(&include, "include(`%s')dnl\n", w->b->src->lists.path) ==
	    -1) {
		w->b->no_memory = true;
		return;
	}
	sendmail_add_edit(w->b, w->f->path, call->line, "", include,
	    "A client that popgate lets relay isn't looked up in the DNS block lists below: they refuse before popgate is asked about a recipient.");
	free(include);
}

static void
take_feature(struct mc_walk *w, const struct sendmail_call *call)
{
	char name[100], *old, *text = NULL;

	if (!sendmail_mc_arg(call, 0, name, sizeof(name)))
		return;
	if (strcmp(name, "dnsbl") == 0 || strcmp(name, "enhdnsbl") == 0)
		exempt_from_lists(w, call);
	if (strcmp(name, "promiscuous_relay") != 0)
		return;
	sendmail_add_note(w->b, SENDMAIL_WAS_OPEN, w->f->path, call->line,
	    "FEATURE(`promiscuous_relay') makes this server an open relay: it is taken out, and relaying is refused to all whom popgate or "
	    "Sendmail doesn't permit it");
	old = sendmail_lines(w->f->text, call->line, call->last_line);
	if (old == NULL || asprintf(&text, "dnl %s", old) == -1)
		w->b->no_memory = true;
	else
		sendmail_replace_lines(w, call->line, call->last_line, text,
		    "With this feature Sendmail relays for everybody whenever popgate isn't there.");
	free(text);
	free(old);
}

/* Is no other call on its lines? Lines are edited as a whole, and once. */
static bool
is_alone(const struct mc_walk *w, const struct sendmail_call *call)
{
	const char *before = call->name, *behind = call->end;

	while (before > w->f->text && before[-1] != '\n')
		if (strchr(" \t", *--before) == NULL)
			return false;
	behind += strspn(behind, " \t");
	return mc_starts(behind, "dnl") ||
	    memchr(behind, '(', strcspn(behind, "\n")) == NULL;
}

static int
edit_call(struct mc_walk *w, const struct sendmail_call *call)
{
	if (sendmail_mc_is(call, "include") || sendmail_mc_is(call, "sinclude"))
		sendmail_old_include(w, call);
	else if (sendmail_mc_is(call, "DAEMON_OPTIONS"))
		take_daemon(w, call);
	else if (sendmail_mc_is(call, "define"))
		take_define(w, call);
	else if (sendmail_mc_is(call, "FEATURE"))
		take_feature(w, call);
	else if (sendmail_mc_is(call, "INPUT_MAIL_FILTER") ||
	    sendmail_mc_is(call, "MAIL_FILTER"))
		return sendmail_old_filter(w, call);
	return 0;
}

static int
take_call(struct mc_walk *w, const struct sendmail_call *call)
{
	size_t edits = w->b->plan->n_edits;

	if (edit_call(w, call) == -1)
		return -1;
	if (w->b->plan->n_edits == edits || is_alone(w, call))
		return 0;
	err_set(w->err, ERR_INVALID,
	    "%.300s:%u: %.*s has to be changed, and shares its line with something else: put it on a line of its own first",
	    w->f->path, call->line, (int)call->name_len, call->name);
	return -1;
}

/* SLocal_check_rcpt */
static void
rename_own_rules(struct mc_walk *w, unsigned line, const char *l)
{
	static const char name[] = "SLocal_check_rcpt";
	char text[SENDMAIL_LINE_MAX];

	if (!mc_starts(l, name) ||
	    strchr(" \t\r\n=", l[sizeof(name) - 1]) == NULL)
		return;
	(void)snprintf(text, sizeof(text), "S" SENDMAIL_OWN_RULES "%.*s\n",
	    (int)strcspn(l + sizeof(name) - 1, "\n"), l + sizeof(name) - 1);
	sendmail_note_own(w->b, w->f->path, line);
	sendmail_replace_lines(w, line, line, text,
	    "The rules below are kept: popgate's rule set calls them first by this name.");
}

static int
walk_lines(struct mc_walk *w)
{
	unsigned line = 1;

	for (const char *l = w->f->text; *l != '\0';
	     l = mc_next_line(l), line++) {
		if (line < w->past)
			continue;
		if (mc_starts(l, "D{popgateEnd}")) {
			if (sendmail_old_block(w, line) == -1)
				return -1;
		} else {
			rename_own_rules(w, line, l);
		}
	}
	return 0;
}

static int
walk_calls(struct mc_walk *w)
{
	struct sendmail_call call;
	const char *at = w->f->text;
	unsigned line = 1;

	w->past = 0;
	while (sendmail_mc_next(&at, &line, &call)) {
		bool edited = false;

		/* what goes as a block isn't edited besides */
		for (size_t i = 0; i < w->b->plan->n_edits; i++) {
			const struct edit *e = &w->b->plan->edits[i];
			unsigned n = 0;

			for (const char *c = e->old; c != NULL && *c != '\0';
			     c++)
				n += *c == '\n';
			edited |= strcmp(e->file, w->f->path) == 0 &&
			    call.line >= e->line && call.line < e->line + n;
		}
		if (!edited && take_call(w, &call) == -1)
			return -1;
	}
	return 0;
}

static void
note_generated(struct mc_walk *w)
{
	unsigned number = 0;
	char *line = generated_line(w->f->text, &number);

	if (line != NULL)
		sendmail_add_note(w->b, SENDMAIL_GENERATED, w->f->path, number,
		    "This file says that a program writes it (\"%.100s\"): the program will undo the change unless it is told of it",
		    line);
	free(line);
}

/* A file of popgate's own: made, or brought up to date. */
static void
add_file(struct sendmail_build *b, const struct sendmail_file *f,
    const char *sample, const char *why)
{
	char *text = sendmail_rules_m4(sample, b->sockets), *old = NULL;
	unsigned lines = 1;

	if (text == NULL) {
		b->no_memory = true;
	} else if (f->text == NULL) {
		sendmail_add_edit(b, f->path, 1, NULL, text, why);
	} else if (strcmp(f->text, text) != 0) {
		for (const char *c = f->text; *c != '\0'; c++)
			lines += *c == '\n' && c[1] != '\0';
		old = sendmail_lines(f->text, 1, lines);
		sendmail_add_note(b, SENDMAIL_OLD_WIRING, f->path, 0,
		    "popgate's rules are of another version or for other sockets: they are replaced");
		sendmail_add_edit(b, f->path, 1, old, text,
		    "popgate's rules, for this version and its sockets.");
	}
	free(old);
	free(text);
}

/* The last line of the .mc file. */
static void
add_include(struct sendmail_build *b)
{
	const struct sendmail_source *src = b->src;
	unsigned lines = 1;
	char *include = NULL;

	if (asprintf(&include, "include(`%s')dnl\n", src->rules.path) == -1) {
		b->no_memory = true;
		return;
	}
	for (const char *l = src->mc[0].text; *l != '\0'; l = mc_next_line(l))
		lines++;
	sendmail_add_edit(b, src->mc[0].path, lines, "", include,
	    "The last line: popgate's filter comes behind the others, and its rules behind yours.");
	free(include);
}

/* Rules in Local_check_rcpt that none of the files brings, but, say, a HACK:
 * popgate's would come behind them, in the same rule set. */
static int
check_own_rules(const struct sendmail_build *b, struct err *err)
{
	const struct sendmail_line *own = NULL;

	for (size_t i = 0; i < b->src->n_mc; i++)
		if (strstr(b->src->mc[i].text, "SLocal_check_rcpt") != NULL)
			return 0;
	for (size_t i = 0; i < b->cf.n; i++) {
		const struct sendmail_line *l = &b->cf.v[i];

		if (l->kind != 'R' ||
		    strcmp(l->ruleset, "Local_check_rcpt") != 0)
			continue;
		if (strstr(l->text, "$(" SENDMAIL_MAP " ") != NULL)
			return 0; /* they are popgate's */
		if (own == NULL)
			own = l;
	}
	if (own == NULL)
		return 0;
	err_set(err, ERR_INVALID,
	    "%.300s:%u: Local_check_rcpt has rules that stand in none of the files that %.300s includes from /etc: rename the rule set to %s where they come from, and make sendmail.cf",
	    b->src->cf.path, own->line, b->src->mc[0].path, SENDMAIL_OWN_RULES);
	return -1;
}

static int
check_closed(const struct mc_walk *w)
{
	unsigned line;

	if (sendmail_mc_is_closed(w->f->text, &line))
		return 0;
	err_set(w->err, ERR_INVALID,
	    "%.300s:%u: a quote or a parenthesis that is opened here is never closed: m4 wouldn't read what is added behind it",
	    w->f->path, line);
	return -1;
}

int
sendmail_plan_mc(struct sendmail_build *b, struct err *err)
{
	bool included = false, exempt = false;

	for (size_t i = 0; i < b->src->n_mc; i++) {
		struct mc_walk w = {
			.b = b,
			.f = &b->src->mc[i],
			.err = err,
			.included = included,
			.exempt = exempt,
		};

		note_generated(&w);
		if (check_closed(&w) == -1 || walk_lines(&w) == -1 ||
		    walk_calls(&w) == -1)
			return -1;
		included |= w.included;
		exempt |= w.exempt;
	}
	if (check_own_rules(b, err) == -1)
		return -1;
	add_file(b, &b->src->rules, b->src->closed_m4,
	    "popgate's rules: Sendmail asks popgate where it would refuse to relay.");
	if (exempt)
		add_file(b, &b->src->lists, b->src->lists_m4,
		    "What the DNS block lists ask of popgate.");
	if (!included)
		add_include(b);
	return 0;
}
