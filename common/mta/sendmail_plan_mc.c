/* SPDX-License-Identifier: ISC */
/* sendmail_plan_mc - the edits of sendmail.mc and the files that it includes.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/mta/sendmail_mc.h"
#include "common/mta/sendmail_plan.h"

enum { ARG_MAX_LEN = 600 };

/* One file on its way through. */
struct mc_walk {
	struct sendmail_build *b;
	const struct sendmail_file *f;
	struct err *err;
	unsigned past; /* lines before this one are edited already */
	bool included; /* popgate's rules are included */
};

static bool
starts(const char *line, const char *word)
{
	return strncmp(line, word, strlen(word)) == 0;
}

static const char *
next_line(const char *line)
{
	line += strcspn(line, "\n");
	return line + (*line == '\n');
}

/* Replace the lines from..last by text. */
static void
replace_lines(struct mc_walk *w, unsigned from, unsigned last, const char *text,
    const char *why)
{
	char *old = sendmail_lines(w->f->text, from, last);

	if (old == NULL)
		w->b->no_memory = true;
	else if (from >= w->past)
		sendmail_add_edit(w->b, w->f->path, from, old, text, why);
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
		replace_lines(w, call->line, call->last_line, line, why);
	free(line);
	free(old);
}

/* --- an older wiring --- */

static bool
is_rule_line(const char *l)
{
	return starts(l, "dnl") || starts(l, "#") || *l == '\n' || *l == '\0' ||
	    starts(l, "K" SENDMAIL_MAP) || starts(l, "D{popgateEnd}") ||
	    starts(l, "LOCAL_RULESETS") || starts(l, "SLocal_check_rcpt") ||
	    starts(l, "S" SENDMAIL_OWN_RULES) || *l == 'R' || *l == '\t' ||
	    starts(l, "ifdef(`confRELAY_MSG'") || starts(l, "')dnl");
}

static const char *
line_at(const char *text, unsigned line)
{
	while (--line > 0)
		text = next_line(text);
	return text;
}

/* popgate's rules stand in this file, and line defines {popgateEnd}: they go,
 * from the comment above them to the filter below. */
static int
remove_block(struct mc_walk *w, unsigned line)
{
	const char *text = w->f->text, *l = line_at(text, line);
	unsigned first = line, last = line, comment;

	if (line > 1 && starts(line_at(text, line - 1), "LOCAL_CONFIG"))
		first--;
	for (comment = first;
	     comment > 1 && starts(line_at(text, comment - 1), "dnl");)
		if (starts(line_at(text, --comment),
			"dnl Sendmail, closed, with popgate"))
			first = comment;
	while (!starts(l, "INPUT_MAIL_FILTER(`" SENDMAIL_FILTER "'")) {
		if (!is_rule_line(l) || *l == '\0') {
			err_set(w->err, ERR_INVALID,
			    "%.300s:%u: popgate's rules begin in line %u, and "
			    "this line among them is none of popgate's: take "
			    "the rules out by hand first",
			    w->f->path, last, line);
			return -1;
		}
		l = next_line(l);
		last++;
	}
	sendmail_add_note(w->b, SENDMAIL_OLD_WIRING, w->f->path, first,
	    "popgate's rules stand in this file (lines %u to %u): they are "
	    "replaced by a file of their own",
	    first, last);
	replace_lines(w, first, last, "",
	    "These are popgate's rules of an earlier wiring.");
	return 0;
}

/* include(`/etc/popgate/sendmail/closed.m4') */
static void
take_include(struct mc_walk *w, const struct sendmail_call *call)
{
	char path[ARG_MAX_LEN];

	if (!sendmail_mc_arg(call, 0, path, sizeof(path)) ||
	    strstr(path, "popgate") == NULL)
		return;
	if (strcmp(path, w->b->src->rules.path) == 0 && !w->included) {
		w->included = true;
		return;
	}
	sendmail_add_note(w->b, SENDMAIL_OLD_WIRING, w->f->path, call->line,
	    "An earlier wiring of popgate's is included (%.200s): it is "
	    "replaced",
	    path);
	replace_lines(w, call->line, call->last_line, "",
	    "This includes popgate's rules of an earlier wiring.");
}

/* INPUT_MAIL_FILTER(`popgate', `S=...') by hand */
static int
take_filter(struct mc_walk *w, const struct sendmail_call *call)
{
	char name[100], equates[ARG_MAX_LEN];

	if (!sendmail_mc_arg(call, 0, name, sizeof(name)) ||
	    !sendmail_mc_arg(call, 1, equates, sizeof(equates)))
		return 0;
	if (strcmp(name, SENDMAIL_FILTER) == 0) {
		sendmail_add_note(w->b, SENDMAIL_OLD_WIRING, w->f->path,
		    call->line, "popgate's filter stands here: it is replaced");
		replace_lines(w, call->line, call->last_line, "",
		    "popgate's filter comes from the file of its rules.");
		return 0;
	}
	if (strstr(equates, w->b->sockets->milter) == NULL)
		return 0;
	err_set(w->err, ERR_INVALID,
	    "%.300s:%u: popgate's socket is a filter of another name here "
	    "(%.60s): take it out by hand first, and its name out of the "
	    "lists of filters",
	    w->f->path, call->line, name);
	return -1;
}

/* --- lists of filters --- */

/* Where an equate's value stands in a call, by its first letter; its length in
 * *len. NULL: there is none. */
static const char *
find_equate(const struct sendmail_call *call, char letter, size_t *len)
{
	const char *at = call->args;

	while (at < call->end) {
		at += strspn(at, " \t\n`',");
		size_t n = strcspn(at, ",'`)");
		const char *equals = memchr(at, '=', n);

		if (equals != NULL && (*at == letter || *at == letter + 32)) {
			equals += 1 + strspn(equals + 1, " \t");
			*len = equals < at + n ? (size_t)(at + n - equals) : 0;
			while (*len > 0 && equals[*len - 1] == ' ')
				(*len)--;
			return equals;
		}
		at += n == 0 ? 1 : n;
	}
	return NULL;
}

/* DAEMON_OPTIONS(`Port=587, Name=MSA, InputMailFilters=opendkim') */
static void
take_daemon(struct mc_walk *w, const struct sendmail_call *call)
{
	char options[ARG_MAX_LEN], list[ARG_MAX_LEN], longer[ARG_MAX_LEN];
	size_t len;
	const char *value = find_equate(call, 'I', &len);

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

static void
take_feature(struct mc_walk *w, const struct sendmail_call *call)
{
	char name[100], *old, *text = NULL;

	if (!sendmail_mc_arg(call, 0, name, sizeof(name)) ||
	    strcmp(name, "promiscuous_relay") != 0)
		return;
	sendmail_add_note(w->b, SENDMAIL_WAS_OPEN, w->f->path, call->line,
	    "FEATURE(`promiscuous_relay') makes this server an open relay: it "
	    "is taken out, and relaying is refused to all whom popgate or "
	    "Sendmail doesn't permit it");
	old = sendmail_lines(w->f->text, call->line, call->last_line);
	if (old == NULL || asprintf(&text, "dnl %s", old) == -1)
		w->b->no_memory = true;
	else
		replace_lines(w, call->line, call->last_line, text,
		    "With this feature Sendmail relays for everybody whenever popgate isn't there.");
	free(text);
	free(old);
}

static int
take_call(struct mc_walk *w, const struct sendmail_call *call)
{
	if (call->line < w->past)
		return 0;
	if (sendmail_mc_is(call, "include") || sendmail_mc_is(call, "sinclude"))
		take_include(w, call);
	else if (sendmail_mc_is(call, "DAEMON_OPTIONS"))
		take_daemon(w, call);
	else if (sendmail_mc_is(call, "define"))
		take_define(w, call);
	else if (sendmail_mc_is(call, "FEATURE"))
		take_feature(w, call);
	else if (sendmail_mc_is(call, "INPUT_MAIL_FILTER") ||
	    sendmail_mc_is(call, "MAIL_FILTER"))
		return take_filter(w, call);
	return 0;
}

/* SLocal_check_rcpt */
static void
rename_own_rules(struct mc_walk *w, unsigned line, const char *l)
{
	static const char name[] = "SLocal_check_rcpt";
	char text[SENDMAIL_LINE_MAX];

	if (!starts(l, name) || strchr(" \t\r\n=", l[sizeof(name) - 1]) == NULL)
		return;
	(void)snprintf(text, sizeof(text), "S" SENDMAIL_OWN_RULES "%.*s\n",
	    (int)strcspn(l + sizeof(name) - 1, "\n"), l + sizeof(name) - 1);
	sendmail_add_note(w->b, SENDMAIL_OWN_WORD, w->f->path, line,
	    "Local_check_rcpt has rules of your own: they are kept, and asked "
	    "before popgate");
	replace_lines(w, line, line, text,
	    "The rules below are kept: popgate's rule set calls them first by this name.");
}

static int
walk_lines(struct mc_walk *w)
{
	unsigned line = 1;

	for (const char *l = w->f->text; *l != '\0'; l = next_line(l), line++) {
		if (line < w->past)
			continue;
		if (starts(l, "D{popgateEnd}")) {
			if (remove_block(w, line) == -1)
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
			const struct sendmail_edit *e = &w->b->plan->edits[i];
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
	static const char *const words[] = {
		"ansible managed",
		"managed by ansible",
		"managed by puppet",
		"managed by chef",
		"managed by salt",
		"managed by cfengine",
		"automatically generated",
		"autogenerated",
		"auto-generated",
		"generated by",
		"do not edit",
	};
	unsigned line = 1;

	for (const char *l = w->f->text; *l != '\0' && line < 200;
	     l = next_line(l), line++) {
		char copy[300];

		(void)snprintf(
		    copy, sizeof(copy), "%.*s", (int)strcspn(l, "\n"), l);
		for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
			if (strcasestr(copy, words[i]) == NULL)
				continue;
			sendmail_add_note(w->b, SENDMAIL_GENERATED, w->f->path,
			    line,
			    "This file says that a program writes it "
			    "(\"%.100s\"): the program will undo the change "
			    "unless it is told of it",
			    copy);
			return;
		}
	}
}

/* popgate's rules: a file, and the line that includes it. */
static void
add_rules(struct sendmail_build *b, bool included)
{
	const struct sendmail_source *src = b->src;
	char *rules = sendmail_rules_m4(src->closed, b->sockets),
	     *include = NULL, *old = NULL;
	unsigned lines = 1;

	if (rules == NULL ||
	    asprintf(&include, "include(`%s')dnl\n", src->rules.path) == -1) {
		b->no_memory = true;
		free(rules);
		return;
	}
	if (src->rules.text == NULL) {
		sendmail_add_edit(b, src->rules.path, 1, NULL, rules,
		    "popgate's rules: Sendmail asks popgate where it would refuse to relay.");
	} else if (strcmp(src->rules.text, rules) != 0) {
		for (const char *c = src->rules.text; *c != '\0'; c++)
			lines += *c == '\n' && c[1] != '\0';
		old = sendmail_lines(src->rules.text, 1, lines);
		sendmail_add_note(b, SENDMAIL_OLD_WIRING, src->rules.path, 0,
		    "popgate's rules are of another version or for other "
		    "sockets: they are replaced");
		sendmail_add_edit(b, src->rules.path, 1, old, rules,
		    "popgate's rules, for this version and its sockets.");
	}
	if (!included) {
		lines = 1;
		for (const char *l = src->mc[0].text; *l != '\0';
		     l = next_line(l))
			lines++;
		sendmail_add_edit(b, src->mc[0].path, lines, "", include,
		    "The last line: popgate's filter comes behind the others, and its rules behind yours.");
	}
	free(old);
	free(include);
	free(rules);
}

int
sendmail_plan_mc(struct sendmail_build *b, struct err *err)
{
	bool included = false;

	for (size_t i = 0; i < b->src->n_mc; i++) {
		struct mc_walk w = {
			.b = b,
			.f = &b->src->mc[i],
			.err = err,
			.included = included,
		};

		note_generated(&w);
		if (walk_lines(&w) == -1 || walk_calls(&w) == -1)
			return -1;
		included |= w.included;
	}
	add_rules(b, included);
	return 0;
}
