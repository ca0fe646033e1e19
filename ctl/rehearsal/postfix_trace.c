/* SPDX-License-Identifier: ISC */
#include "ctl/rehearsal/postfix_trace.h"

#include <stdio.h>
#include <string.h>

/* What stands behind "postfix/smtpd[1]: "; NULL: it isn't smtpd's line. */
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
	size_t table = strcspn(text, " ");
	const char *last = strrchr(text, ' ');

	copy(c->table, text, table);
	if (last == NULL || last <= text + table)
		return;
	copy(c->value, text + table + 1, (size_t)(last - text) - table - 1);
	copy(c->subject, last + 1, strlen(last + 1));
}

/* The end of one restriction in a list that decides on recipients. */
static void
take_status(
    struct postfix_cause *all, struct postfix_cause *now, const char *text)
{
	const char *end = strstr(text, " status=");

	if (end == NULL)
		return;
	if (end[8] == '1' &&
	    (*all->restriction == '\0' || *all->table == '\0')) {
		char class[POSTFIX_TRACE_WORD];

		copy(class, all->class, strlen(all->class));
		*all = *now;
		copy(all->restriction, text, (size_t)(end - text));
		copy(all->class, class, strlen(class));
	}
	*now = (struct postfix_cause){ 0 };
}

static void
take_line(struct postfix_cause *all, struct postfix_cause *now, bool *in,
    const char *text)
{
	const char *at;

	if (begins(text, ">>> START Recipient address RESTRICTIONS"))
		*in = true;
	else if (begins(text, ">>> END "))
		*in = false;
	else if (begins(text, "check_table_result: "))
		take_table(now, text + 20);
	else if (*in && begins(text, "generic_checks: name="))
		take_status(all, now, text + 21);
	else if (begins(text, "match_host") &&
	    (at = strstr(text, ": mynetworks: ")) != NULL &&
	    (at = strstr(at, " ~? ")) != NULL)
		copy(now->pattern, at + 4, strlen(at + 4));
	else if (begins(text, "resolve_clnt: ") &&
	    (at = strstr(text, " class=")) != NULL)
		copy(now->class, at + 7, strcspn(at + 7, " "));
	/* the recipient is resolved before its lists begin */
	if (*in && *all->class == '\0' && *now->class != '\0')
		copy(all->class, now->class, strlen(now->class));
}

void
postfix_trace_read(const char *log, struct postfix_cause *cause)
{
	struct postfix_cause now = { 0 };
	bool in = false;

	*cause = (struct postfix_cause){ 0 };
	while (*log != '\0') {
		size_t len = strcspn(log, "\n");
		char line[4 * POSTFIX_TRACE_WORD];
		const char *text;

		(void)snprintf(line, sizeof(line), "%.*s", (int)len, log);
		text = message_of(line);
		if (text != NULL)
			take_line(cause, &now, &in, text);
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
		if (strstr(line, " status=") == NULL ||
		    !bracketed(line, ": to=<", to))
			continue;
		if (!bracketed(line, " orig_to=<", from))
			copy(from, to, strlen(to));
		*leaves = strstr(line, "/smtp[") != NULL;
		return true;
	}
	return false;
}
