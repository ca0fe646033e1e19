/* SPDX-License-Identifier: ISC */
/* sendmail_old - an earlier wiring of popgate's in the .mc files, of another
 * version, for other sockets, or by hand: found and taken out. */
#include <stdio.h>
#include <string.h>

#include "common/base/err.h"
#include "common/mta/sendmail_walk.h"

static bool
is_rule_line(const char *l)
{
	return mc_starts(l, "dnl") || mc_starts(l, "#") || *l == '\n' ||
	    *l == '\0' || mc_starts(l, "K" SENDMAIL_MAP) ||
	    mc_starts(l, "D{popgateEnd}") || mc_starts(l, "LOCAL_RULESETS") ||
	    mc_starts(l, "SLocal_check_rcpt") ||
	    mc_starts(l, "S" SENDMAIL_OWN_RULES) || *l == 'R' || *l == '\t' ||
	    mc_starts(l, "ifdef(`confRELAY_MSG'") || mc_starts(l, "')dnl");
}

static const char *
line_at(const char *text, unsigned line)
{
	while (--line > 0)
		text = mc_next_line(text);
	return text;
}

/* popgate's rules stand in this file, and line defines {popgateEnd}: they go,
 * from the comment above them to the filter below. */
int
sendmail_old_block(struct mc_walk *w, unsigned line)
{
	const char *text = w->f->text, *l = line_at(text, line);
	unsigned first = line, last = line, comment;

	if (line > 1 && mc_starts(line_at(text, line - 1), "LOCAL_CONFIG"))
		first--;
	for (comment = first;
	     comment > 1 && mc_starts(line_at(text, comment - 1), "dnl");)
		if (mc_starts(line_at(text, --comment),
			"dnl Sendmail, closed, with popgate"))
			first = comment;
	while (!mc_starts(l, "INPUT_MAIL_FILTER(`" SENDMAIL_FILTER "'")) {
		if (!is_rule_line(l) || *l == '\0') {
			err_set(w->err, ERR_INVALID,
			    "%.300s:%u: popgate's rules begin in line %u, and this line among them is none of popgate's: take the rules out by hand first",
			    w->f->path, last, line);
			return -1;
		}
		l = mc_next_line(l);
		last++;
	}
	sendmail_add_note(w->b, SENDMAIL_OLD_WIRING, w->f->path, first,
	    "popgate's rules stand in this file (lines %u to %u): they are replaced by a file of their own",
	    first, last);
	sendmail_replace_lines(w, first, last, "",
	    "These are popgate's rules of an earlier wiring.");
	return 0;
}

/* include(`/etc/popgate/sendmail/closed.m4') */
void
sendmail_old_include(struct mc_walk *w, const struct sendmail_call *call)
{
	char path[ARG_MAX_LEN];

	if (!sendmail_mc_arg(call, 0, path, sizeof(path)) ||
	    strstr(path, "popgate") == NULL)
		return;
	if (strcmp(path, w->b->src->rules.path) == 0 && !w->included) {
		w->included = true;
		return;
	}
	if (strcmp(path, w->b->src->lists.path) == 0 && !w->exempt) {
		w->exempt = true;
		return;
	}
	sendmail_add_note(w->b, SENDMAIL_OLD_WIRING, w->f->path, call->line,
	    "An earlier wiring of popgate's is included (%.200s): it is replaced",
	    path);
	sendmail_replace_lines(w, call->line, call->last_line, "",
	    "This includes popgate's rules of an earlier wiring.");
}

/* INPUT_MAIL_FILTER(`popgate', `S=...') by hand */
int
sendmail_old_filter(struct mc_walk *w, const struct sendmail_call *call)
{
	char name[100], equates[ARG_MAX_LEN];

	if (!sendmail_mc_arg(call, 0, name, sizeof(name)) ||
	    !sendmail_mc_arg(call, 1, equates, sizeof(equates)))
		return 0;
	if (strcmp(name, SENDMAIL_FILTER) == 0) {
		sendmail_add_note(w->b, SENDMAIL_OLD_WIRING, w->f->path,
		    call->line, "popgate's filter stands here: it is replaced");
		sendmail_replace_lines(w, call->line, call->last_line, "",
		    "popgate's filter comes from the file of its rules.");
		return 0;
	}
	if (strstr(equates, w->b->sockets->milter) == NULL)
		return 0;
	err_set(w->err, ERR_INVALID,
	    "%.300s:%u: popgate's socket is a filter of another name here (%.60s): take it out by hand first, and its name out of the lists of filters",
	    w->f->path, call->line, name);
	return -1;
}
