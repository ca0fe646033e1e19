#include "breach.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"

enum { LONGEST_WINDOW_S = 8 * 86400 };	/* a week, and a slot of it more */

const char *
breach_words(const struct audit_breach *breach, char *buf)
{
	(void)snprintf(buf, BREACH_WORDS_MAX, "over limits.%.40s = %.40s",
	    breach->setting, breach->allowed);
	return buf;
}

int
breach_open(struct ctl *ctl, struct audit_reader **r_r)
{
	int rc = ctl_config(ctl);

	*r_r = NULL;
	if (rc != 0)
		return rc;
	if (access(ctl->cfg->audit.database, F_OK) == -1 && errno == ENOENT)
		return 0;
	return ctl_audit(ctl, r_r);
}

const char *
breach_client(const struct config *cfg, const struct addr *client, char *buf)
{
	int64_t bits = cfg->relay.ipv6_prefix < 64 ? cfg->relay.ipv6_prefix :
	    64;
	struct network net = network_of(client, client->family == ADDR_IPV6 ?
	    (uint8_t)bits : 32);

	return network_format(&net, buf);
}

int64_t
breach_since_ms(const struct ctl *ctl)
{
	return (ctl->now - LONGEST_WINDOW_S) * 1000;
}

struct search {
	const struct ctl *ctl;
	struct breach_lifted *lifted;
};

static bool
look_at(void *arg, const struct audit_breach *b)
{
	struct search *s = arg;

	if (b->lifted_at_ms != 0)
		return true;
	s->lifted->over |= b->at_ms >= breach_since_ms(s->ctl);
	s->lifted->denied |= b->denied_until > s->ctl->now;
	return true;
}

int
breach_lift(struct ctl *ctl, bool is_user, const char *subject,
    struct breach_lifted *lifted_r)
{
	struct search s = { .ctl = ctl, .lifted = lifted_r };
	struct audit_reader *r;
	char who[160];
	struct err err;
	int rc = breach_open(ctl, &r);

	*lifted_r = (struct breach_lifted){ .over = false };
	if (rc != 0 || r == NULL)
		return rc;
	int ok = audit_each_breach(r, 0, is_user, subject, look_at, &s, &err);

	audit_close_reader(&r);
	if (ok == 0 && (lifted_r->over || lifted_r->denied)) {
		const struct audit_lift lift = {
			.at_ms = clock_now_ms(), .is_user = is_user,
			.subject = subject, .who = ctl_who(who, sizeof(who))
		};

		ok = audit_lift(ctl->cfg->audit.database, &lift, &err);
	}
	return ok == 0 ? 0 : ctl_fail_err(ctl, &err);
}
