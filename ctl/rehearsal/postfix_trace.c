/* SPDX-License-Identifier: ISC */
#include "ctl/rehearsal/postfix_trace.h"

#include <stdio.h>
#include <string.h>

enum { DEPTH = 8 }; /* of restrictions in restrictions */

/* The message after "postfix/smtpd[1]: "; NULL: it isn't smtpd's line. */
static const char *
message_of(const char *line)
{
	const char *at = strstr(line, "/smtpd[");

	at = at == NULL ? NULL : strstr(at, "]: ");
	return at == NULL ? NULL : at + 3;
}

static bool
begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static void
copy(char to[POSTFIX_TRACE_WORD], const char *from, size_t len)
{
	(void)snprintf(to, POSTFIX_TRACE_WORD, "%.*s", (int)len, from);
}

/* "hash:/x OK someone": the value may hold blanks, table and subject don't. */
static void
take_table(struct postfix_cause *c, const char *text)
{
	size_t table = strcspn(text, " "), len = strcspn(text, "\n");
	const char *last = memrchr(text, ' ', len);

	copy(c->table, text, table);
	if (last == NULL || last <= text + table)
		return;
	copy(c->value, text + table + 1, (size_t)(last - text) - table - 1);
	copy(c->subject, last + 1, (size_t)(text + len - last) - 1);
}

/* The restriction that is being evaluated, and those around it: a class, or a
 * table whose value names restrictions. */
struct within {
	struct {
		const char *table, *pattern; /* in the log; or NULL */
	} v[DEPTH];
	size_t n;
	unsigned in; /* lists that decide on recipients: one, and those that a
		      * table of it names */
	bool begun; /* such a list, before now */
};

/* A restriction begins. What is nested deeper counts as the innermost. */
static void
push(struct within *w)
{
	if (w->n + 1 < DEPTH)
		w->n++;
	w->v[w->n].table = w->v[w->n].pattern = NULL;
}

/* A restriction ends. One that permits is the cause; one around it is, when it
 * has the table that the inner one lacks. */
static void
pop(struct postfix_cause *all, struct within *w, const char *name, size_t len,
    bool permits)
{
	const char *table = w->v[w->n].table, *pattern = w->v[w->n].pattern;

	w->v[w->n].table = w->v[w->n].pattern = NULL;
	if (w->n > 0)
		w->n--;
	if (!permits || (*all->restriction != '\0' && *all->table != '\0'))
		return;
	copy(all->restriction, name, len);
	if (table != NULL)
		take_table(all, table);
	if (pattern != NULL)
		copy(all->pattern, pattern, strcspn(pattern, "\n"));
}

/* "permit", where it begins; "permit status=1", where it ends. */
static void
take_restriction(struct postfix_cause *all, struct within *w, const char *text)
{
	const char *end = strstr(text, " status=");

	if (end == NULL || end > text + strcspn(text, "\n"))
		push(w);
	else
		pop(all, w, text, (size_t)(end - text), end[8] == '1');
}

/* The class of the recipient, who is resolved before its lists begin. */
static void
take_class(struct postfix_cause *all, const struct within *w, const char *text)
{
	const char *at = strstr(text, " class=");

	if (at != NULL && at < text + strcspn(text, "\n") &&
	    (!w->begun || (w->in > 0 && *all->class == '\0')))
		copy(all->class, at + 7, strcspn(at + 7, " \n"));
}

/* Take the network of mynetworks that is compared: the last of them matches. */
static void
take_network(struct within *w, const char *text)
{
	const char *end = text + strcspn(text, "\n"),
		   *at = strstr(text, ": mynetworks: ");

	at = at == NULL || at > end ? NULL : strstr(at, " ~? ");
	if (at != NULL && at < end)
		w->v[w->n].pattern = at + 4;
}

/* The rest of a line of the log behind "smtpd[1]: ". */
static void
take_line(struct postfix_cause *all, struct within *w, const char *text)
{
	if (begins(text, ">>> START Recipient address RESTRICTIONS")) {
		if (w->in++ == 0)
			*w = (struct within){ .in = 1, .begun = true };
		all->whole = false;
	} else if (begins(text, "disconnect from "))
		all->whole = true;
	else if (begins(text, ">>> END Recipient address RESTRICTIONS"))
		w->in -= w->in > 0;
	else if (begins(text, "check_table_result: "))
		w->v[w->n].table = text + 20;
	else if (w->in > 0 && begins(text, "generic_checks: name="))
		take_restriction(all, w, text + 21);
	else if (begins(text, "match_host"))
		take_network(w, text);
	else if (begins(text, "resolve_clnt: "))
		take_class(all, w, text);
}

void
postfix_trace_read(const char *log, struct postfix_cause *cause)
{
	struct within w = { .n = 0 };

	*cause = (struct postfix_cause){ 0 };
	while (*log != '\0') {
		size_t len = strcspn(log, "\n");
		char line[4 * POSTFIX_TRACE_WORD];
		const char *text;

		(void)snprintf(line, sizeof(line), "%.*s", (int)len, log);
		text = message_of(line);
		if (text != NULL)
			take_line(cause, &w, log + (text - line));
		log += len + (log[len] == '\n');
	}
}

static bool
bracketed(const char *line, const char *name, char to[POSTFIX_TRACE_WORD])
{
	const char *at = strstr(line, name);

	if (at == NULL)
		return false;
	at += strlen(name);
	copy(to, at, strcspn(at, ">"));
	return true;
}

bool
postfix_trace_next(const char **log, char to[POSTFIX_TRACE_WORD],
    char from[POSTFIX_TRACE_WORD], bool *leaves)
{
	while (**log != '\0') {
		size_t len = strcspn(*log, "\n");
		char line[4 * POSTFIX_TRACE_WORD];

		(void)snprintf(line, sizeof(line), "%.*s", (int)len, *log);
		*log += len + ((*log)[len] == '\n');
		/* as "sendmail -bv" has it, not of messages on their way */
		if ((strstr(line, " status=deliverable") == NULL &&
			strstr(line, " status=undeliverable") == NULL) ||
		    !bracketed(line, ": to=<", to))
			continue;
		if (!bracketed(line, " orig_to=<", from))
			copy(from, to, strlen(to));
		*leaves = strstr(line, "/smtp[") != NULL;
		return true;
	}
	return false;
}
