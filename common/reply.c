#include "reply.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "addr.h"
#include "config.h"

static const char expected[] = "printable ASCII of at most 400 bytes; in "
    "braces only {client} or {ago}";

const char *
reply_check(const char *value)
{
	if (*value == '\0' || strlen(value) > 400)
		return expected;
	for (const char *p = value; *p != '\0'; p++) {
		if (*p < 0x20 || *p > 0x7e)
			return expected;
		if (*p == '{' && strncmp(p, "{client}", 8) != 0 &&
		    strncmp(p, "{ago}", 5) != 0)
			return expected;
	}
	return NULL;
}

/* "12 minutes": in the largest unit that is at least 2. */
static void
format_ago(int64_t seconds, char *buf, size_t size)
{
	if (seconds < 120)
		(void)snprintf(buf, size, "%" PRId64 " second%s", seconds,
		    seconds == 1 ? "" : "s");
	else if (seconds < 7200)
		(void)snprintf(buf, size, "%" PRId64 " minutes",
		    seconds / 60);
	else if (seconds < 172800)
		(void)snprintf(buf, size, "%" PRId64 " hours",
		    seconds / 3600);
	else
		(void)snprintf(buf, size, "%" PRId64 " days",
		    seconds / 86400);
}

static void
expand(const char *template, const struct addr *client, int64_t ago_s,
    char *text)
{
	char *p = text, *end = text + REPLY_TEXT_MAX - 1;
	char word[ADDR_TEXT_MAX];

	for (const char *t = template; *t != '\0' && p < end;) {
		if (strncmp(t, "{client}", 8) == 0) {
			addr_format(client, word);
			t += 8;
		} else if (strncmp(t, "{ago}", 5) == 0) {
			format_ago(ago_s < 0 ? 0 : ago_s, word, sizeof(word));
			t += 5;
		} else {
			*p++ = *t++;
			continue;
		}
		size_t n = strlen(word);

		if (n > (size_t)(end - p))
			n = (size_t)(end - p);
		memcpy(p, word, n);
		p += n;
	}
	*p = '\0';
}

void
reply_format(const struct config *cfg, const struct decision *d,
    const struct addr *client, int64_t now, char *code, char *status,
    char *text)
{
	/* 5.7.1: delivery not authorized; 4.3.0: mail system status;
	 * RFC 3463 sections 3.4 and 3.8 */
	const struct {
		const char *code, *status, *template;
	} replies[REASONS] = {
		[REASON_DENIED] = { "550", "5.7.1", cfg->reply.denied },
		[REASON_NO_CLIENT_IDENTITY] = { "550", "5.7.1",
		    cfg->reply.no_client_identity },
		[REASON_SHARED_ADDRESS] = { "550", "5.7.1",
		    cfg->reply.shared_address },
		[REASON_STORE_UNAVAILABLE] = { "451", "4.3.0",
		    cfg->reply.unavailable },
		[REASON_AUDIT_UNAVAILABLE] = { "451", "4.3.0",
		    cfg->reply.unavailable },
		[REASON_SENDER_MISMATCH] = { "553", "5.7.1",
		    cfg->reply.sender_mismatch },
		[REASON_SENDER_UNKNOWN] = { "451", "4.3.0",
		    cfg->reply.unavailable },
		[REASON_RATE_LIMITED] = { "450", "4.7.1",
		    cfg->reply.rate_limited },
		[REASON_LOGIN_EXPIRED] = { "550", "5.7.1",
		    cfg->reply.login_expired },
		[REASON_COLLECTOR_BEHIND] = { "450", "4.7.1",
		    cfg->reply.collector_behind },
		[REASON_NO_LOGIN] = { "550", "5.7.1", cfg->reply.no_login },
	};

	code[0] = status[0] = text[0] = '\0';
	if (d->verdict == VERDICT_ACCEPT ||
	    replies[d->reason].template == NULL)
		return;
	memcpy(code, replies[d->reason].code, 4);
	memcpy(status, replies[d->reason].status, 6);
	expand(replies[d->reason].template, client, now - d->expires_at,
	    text);
}

void
reply_double_percent(const char *text, char *buf)
{
	for (; *text != '\0'; text++) {
		if (*text == '%')
			*buf++ = '%';
		*buf++ = *text;
	}
	*buf = '\0';
}
