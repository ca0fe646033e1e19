/* SPDX-License-Identifier: ISC */
#include "common/policy/reply.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/base/addr.h"
#include "common/config/config.h"
#include "common/config/reply_template.h"
#include "common/policy/policy.h"

/* "12 minutes": in the largest unit that is at least 2. */
static void
format_ago(int64_t seconds, char *buf, size_t size)
{
	if (seconds < 120)
		(void)snprintf(buf, size, "%" PRId64 " second%s", seconds,
		    seconds == 1 ? "" : "s");
	else if (seconds < 7200)
		(void)snprintf(buf, size, "%" PRId64 " minutes", seconds / 60);
	else if (seconds < 172800)
		(void)snprintf(buf, size, "%" PRId64 " hours", seconds / 3600);
	else
		(void)snprintf(buf, size, "%" PRId64 " days", seconds / 86400);
}

/* Returns where text ends. */
static char *
expand(const char *template, const struct addr *client, int64_t ago_s, char *p,
    char *end)
{
	bool six = client->family == ADDR_IPV6;
	char value[ADDR_TEXT_MAX];

	for (const char *t = template; *t != '\0' && p < end;) {
		size_t len = 0;
		enum reply_word w = *t == '{' ? reply_word_at(t, &len) : WORDS;

		switch (w) {
		case W_CLIENT:
			addr_format(client, value);
			break;
		case W_AGO:
			format_ago(ago_s < 0 ? 0 : ago_s, value, sizeof(value));
			break;
		case W_FAMILY:
		case W_OTHER:
			(void)snprintf(value, sizeof(value), "%s",
			    (w == W_FAMILY) == six ? "IPv6" : "IPv4");
			break;
		case WORDS:
			*p++ = *t++;
			continue;
		}
		t += len;
		size_t n = strlen(value);

		if (n > (size_t)(end - p))
			n = (size_t)(end - p);
		memcpy(p, value, n);
		p += n;
	}
	*p = '\0';
	return p;
}

/* The template of a row that refuses. */
static const char *
template_of(const struct config *cfg, const struct policy_row *row)
{
	const char *template;

	memcpy(&template, (const char *)cfg + row->reply, sizeof(template));
	return template;
}

void
reply_format(const struct config *cfg, const struct decision *d,
    const struct addr *client, int64_t now, char *code, char *status,
    char *text)
{
	assert(d->verdict <= VERDICT_TEMPFAIL && d->reason < REASONS);
	code[0] = status[0] = text[0] = '\0';
	if (d->verdict == VERDICT_ACCEPT)
		return;
	const struct policy_row *row = policy_refusal(d->reason);

	assert(row != NULL);
	memcpy(code, row->code, 4);
	memcpy(status, row->status, 6);
	char *end = text + REPLY_TEXT_MAX - 1;
	char *p = expand(
	    template_of(cfg, row), client, now - d->expires_at, text, end);

	if (d->reason != REASON_NO_LOGIN || !d->other_family ||
	    *cfg->reply.other_family == '\0' || end - p < 2)
		return;
	*p++ = ' ';
	(void)expand(cfg->reply.other_family, client, 0, p, end);
}

void
reply_double_percent(const char *text, char *buf)
{
	assert(strlen(text) < REPLY_TEXT_MAX);
	for (; *text != '\0'; text++) {
		if (*text == '%')
			*buf++ = '%';
		*buf++ = *text;
	}
	*buf = '\0';
}

/* A template's words, in their order. A template that is nearly all values
 * says nothing. */
static bool
holds(const char *template, const char *text)
{
	enum { WORDS_MIN = 8 };
	size_t longest = 0;

	for (const char *t = template; *t != '\0';) {
		char piece[REPLY_TEXT_MAX];
		size_t len = 0, n = 0;

		if (*t == '{' && reply_word_at(t, &len) != WORDS) {
			t += len;
			continue;
		}
		while (t[n] != '\0' && n < sizeof(piece) - 1 &&
		    (t[n] != '{' || reply_word_at(t + n, &len) == WORDS))
			n++;
		(void)snprintf(piece, sizeof(piece), "%.*s", (int)n, t);
		text = strstr(text, piece);
		if (text == NULL)
			return false;
		text += n;
		t += n;
		longest = n > longest ? n : longest;
	}
	return longest >= WORDS_MIN;
}

bool
reply_is_ours(const struct config *cfg, const char *text)
{
	for (size_t i = 0; i < policy_rows_n; i++)
		if (policy_rows[i].reply != 0 &&
		    holds(template_of(cfg, &policy_rows[i]), text))
			return true;
	return false;
}
