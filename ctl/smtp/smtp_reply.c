/* SPDX-License-Identifier: ISC */
#include "ctl/smtp/smtp_reply.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

void
smtp_parser_begin(struct smtp_parser *p)
{
	p->reply = (struct smtp_reply){ 0 };
	p->len = 0;
	p->text_len = 0;
}

static bool
digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "5.7.1 " at the beginning, of the reply's own class (RFC 2034 section 4). */
static void
take_status(struct smtp_reply *reply, const char *text)
{
	unsigned class, subject, detail;
	int end = 0;

	if (!digit(text[0]) || text[1] != '.' || !digit(text[2]) ||
	    sscanf(text, "%1u.%3u.%3u%n", &class, &subject, &detail, &end) !=
		3 ||
	    (text[end] != ' ' && text[end] != '\0') ||
	    (int)class != reply->code / 100)
		return;
	(void)snprintf(reply->status, sizeof(reply->status), "%u.%u.%u", class,
	    subject, detail);
}

static void
add_text(struct smtp_parser *p, const char *text, size_t n)
{
	char *to = p->reply.text;
	size_t room = sizeof(p->reply.text) - 1;

	if (p->text_len > 0 && p->text_len < room)
		to[p->text_len++] = ' ';
	for (size_t i = 0; i < n && p->text_len < room; i++)
		to[p->text_len++] = text[i] == '\0' ? '?' : text[i];
	to[p->text_len] = '\0';
}

/* How much of a further line only says the status again, as RFC 2034 section 4
 * wants it; it would stand in the middle of a sentence. */
static size_t
repeated_status(const struct smtp_reply *reply, const char *text, size_t len)
{
	size_t n = strlen(reply->status);

	return n > 0 && len > n && text[n] == ' ' &&
		memcmp(text, reply->status, n) == 0
	    ? n + 1
	    : 0;
}

/* One line without its end. */
static enum smtp_result
take_line(struct smtp_parser *p)
{
	const char *l = p->line;
	int code;

	if (p->len < 3 || l[0] < '2' || l[0] > '5' || !digit(l[1]) ||
	    !digit(l[2]) || (p->len > 3 && l[3] != ' ' && l[3] != '-'))
		return SMTP_BAD;
	code = (l[0] - '0') * 100 + (l[1] - '0') * 10 + (l[2] - '0');
	if (p->reply.lines > 0 && code != p->reply.code)
		return SMTP_BAD;
	p->reply.code = code;
	if (++p->reply.lines > SMTP_LINES_MAX)
		return SMTP_BAD;
	if (p->len > 4) {
		size_t before = p->text_len == 0 ? 0 : p->text_len + 1;
		size_t repeated = p->reply.lines > 1
		    ? repeated_status(&p->reply, l + 4, p->len - 4)
		    : 0;

		add_text(p, l + 4 + repeated, p->len - 4 - repeated);
		if (p->reply.status[0] == '\0' && before < p->text_len)
			take_status(&p->reply, p->reply.text + before);
	}
	if (p->len > 3 && l[3] == '-') {
		p->len = 0;
		return SMTP_MORE;
	}
	return SMTP_REPLY;
}

enum smtp_result
smtp_parser_feed(
    struct smtp_parser *p, const char *data, size_t len, size_t *used_r)
{
	assert(p->len <= sizeof(p->line));
	for (size_t i = 0; i < len; i++) {
		enum smtp_result r;

		if (data[i] != '\n') {
			if (p->len == sizeof(p->line)) {
				*used_r = i;
				return SMTP_BAD;
			}
			p->line[p->len++] = data[i];
			continue;
		}
		if (p->len > 0 && p->line[p->len - 1] == '\r')
			p->len--;
		r = take_line(p);
		if (r != SMTP_MORE) {
			*used_r = i + 1;
			return r;
		}
	}
	*used_r = len;
	return SMTP_MORE;
}

static bool
one_of(const char *status, const char *const *list)
{
	/* the class says the same as the code */
	for (; status[0] != '\0' && *list != NULL; list++)
		if (strcmp(status + 2, *list) == 0)
			return true;
	return false;
}

bool
smtp_code_decides(int code)
{
	return code != 0 && code != 421 && code != 451 && code != 452;
}

enum smtp_verdict
smtp_verdict(const struct smtp_reply *reply)
{
	/* RFC 3463 section 3.2, RFC 7505 section 4 */
	static const char *const sender[] = { "1.7", "1.8", "7.27", NULL };
	static const char *const domain[] = {
		"1.2",
		"1.10",
		"4.1",
		"4.3",
		"4.4",
		"4.6",
		NULL,
	};

	switch (reply->code / 100) {
	case 2:
		return SMTP_ACCEPTED;
	case 4:
		return SMTP_PUT_OFF;
	case 5:
		break;
	default:
		return SMTP_ODD;
	}
	if (one_of(reply->status, sender) ||
	    strcasestr(reply->text, "sender address rejected") != NULL)
		return SMTP_REFUSED_SENDER;
	if (one_of(reply->status, domain) ||
	    strcasestr(reply->text, "domain not found") != NULL)
		return SMTP_REFUSED_DOMAIN;
	return SMTP_REFUSED;
}

bool
smtp_user_unknown(const struct smtp_reply *reply)
{
	static const char *const unknown[] = { "1.0", "1.1", "2.1", NULL };

	return reply->code / 100 == 5 &&
	    (one_of(reply->status, unknown) ||
		strcasestr(reply->text, "user unknown") != NULL ||
		strcasestr(reply->text, "no such user") != NULL);
}
