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

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strlen(names[i]) == name &&
		    strncmp(line, names[i], name) == 0 && name < n)
			return true;
	return false;
}

/* Where the number of "ratelimit = 100 / 1h" stands; NULL: there is none. 0 is
 * no limit: it counts. */
static const char *
rate(const char *line, size_t n)
{
	static const char word[] = "ratelimit";
	const char *at = memmem(line, n, word, strlen(word));

	if (at == NULL || *line == '#')
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
	bool any = false, goes_on = false;
	FILE *to = open_memstream(&lifted, &len);

	if (to == NULL)
		return NULL;
	while (*text != '\0') {
		size_t n = strcspn(text, "\n");
		size_t blank = strspn(text, " \t");
		const char *line = text + (blank < n ? blank : n);
		size_t left = n - (size_t)(line - text);
		const char *at = rate(line, left);
		bool more = n > 0 && text[n - 1] == '\\';
		bool limit = !goes_on && !more && is_limit(line, left);

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
