#include "common/policy/reply.h"
#include "common/config/reply_template.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/base/addr.h"
#include "common/config/config.h"

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
	if (d->verdict == VERDICT_ACCEPT || replies[d->reason].template == NULL)
		return;
	memcpy(code, replies[d->reason].code, 4);
	memcpy(status, replies[d->reason].status, 6);
	char *end = text + REPLY_TEXT_MAX - 1;
	char *p = expand(replies[d->reason].template, client,
	    now - d->expires_at, text, end);

	if (d->reason != REASON_NO_LOGIN || !d->other_family ||
	    *cfg->reply.other_family == '\0' || end - p < 2)
		return;
	*p++ = ' ';
	(void)expand(cfg->reply.other_family, client, 0, p, end);
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
