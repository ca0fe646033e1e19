/* SPDX-License-Identifier: ISC */
#include "ctl/rehearsal/exim_limits.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A main setting whose default is good enough. */
static bool
is_limit(const char *line, size_t n)
{
	static const char *const names[] = { "recipients_max",
		"recipients_max_reject", "smtp_accept_max",
		"smtp_accept_max_nonmail", "smtp_accept_max_per_connection",
		"smtp_accept_max_per_host", "smtp_accept_reserve",
		"smtp_max_synprot_errors", "smtp_max_unknown_commands",
		"smtp_ratelimit_hosts", "smtp_ratelimit_mail",
		"smtp_ratelimit_rcpt" };
	size_t name = strspn(line, "abcdefghijklmnopqrstuvwxyz_");
	size_t equals = name + strspn(line + name, " \t");

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strlen(names[i]) == name &&
		    strncmp(line, names[i], name) == 0 && equals < n &&
		    line[equals] == '=')
			return true;
	return false;
}

static bool
begins(const char *line, size_t n, const char *word)
{
	size_t len = strlen(word);

	return len <= n && strncmp(line, word, len) == 0 &&
	    (len == n || line[len] == ' ' || line[len] == '\t');
}

/* Do conditions of the statement that the line is of let recipients through?
 * before: do those of the line before? */
static bool
lets_through(const char *line, size_t n, bool before)
{
	static const char *const stop[] = { "deny", "defer", "drop", "discard",
		"warn" };

	if (begins(line, n, "accept") || begins(line, n, "require"))
		return true;
	for (size_t i = 0; i < sizeof(stop) / sizeof(*stop); i++)
		if (begins(line, n, stop[i]))
			return false;
	return before;
}

/* Where the number of "ratelimit = 100 / 1h" stands; NULL: there is none, or
 * its opposite. 0 is no limit: it counts. */
static const char *
rate(const char *line, size_t n)
{
	static const char word[] = "ratelimit";
	const char *at = memmem(line, n, word, strlen(word)), *before = at;

	if (at == NULL || *line == '#')
		return NULL;
	while (before > line && strchr(" \t", before[-1]) != NULL)
		before--;
	if (before > line && before[-1] == '!')
		return NULL;
	at += strlen(word);
	at += strspn(at, " \t");
	if (*at != '=')
		return NULL;
	at += 1 + strspn(at + 1, " \t");
	return at < line + n && isdigit((unsigned char)*at) && *at != '0'
	    ? at
	    : NULL;
}

char *
exim_limits_lift(const char *text)
{
	char *lifted = NULL;
	size_t len = 0;
	bool any = false, goes_on = false, settings = true, through = false;
	FILE *to = open_memstream(&lifted, &len);

	if (to == NULL)
		return NULL;
	while (*text != '\0') {
		size_t n = strcspn(text, "\n");
		size_t blank = strspn(text, " \t");
		const char *line = text + (blank < n ? blank : n);
		size_t left = n - (size_t)(line - text);
		settings = settings && !begins(line, left, "begin");
		through = lets_through(line, left, through);
		const char *at = through ? NULL : rate(line, left);
		bool more = n > 0 && text[n - 1] == '\\';
		bool limit =
		    settings && !goes_on && !more && is_limit(line, left);

		any |= limit || at != NULL;
		if (limit)
			(void)fputs("# ", to);
		if (at != NULL) {
			(void)fprintf(
			    to, "%.*s999999999", (int)(at - text), text);
			at += strspn(at, "0123456789");
			(void)fprintf(to, "%.*s", (int)(text + n - at), at);
		} else {
			(void)fprintf(to, "%.*s", (int)n, text);
		}
		goes_on = more;
		text += n;
		if (*text == '\n')
			(void)fputc(*text++, to);
	}
	if (fclose(to) == 0 && any)
		return lifted;
	free(lifted);
	return NULL;
}
