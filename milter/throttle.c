#include "throttle.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "charge.h"
#include "clock.h"
#include "err.h"
#include "log.h"
#include "login.h"
#include "meter.h"

static struct {
	/* set before any thread is made */
	struct limiter *limiter;
	struct audit *audit;
} throttle;

/* The limiter's seconds only go forward, whatever happens to the time of day,
 * and there is room for history before the machine was started. */
static int64_t
limiter_now(void)
{
	return clock_monotonic_ms() / 1000 + INT64_C(10) * 366 * 86400;
}

int
throttle_new(const struct config *cfg, struct err *err)
{
	throttle.limiter = limiter_new(cfg->limits.rate,
	    (uint8_t)cfg->relay.ipv6_prefix, LIMITER_SUBJECTS, err);
	return throttle.limiter == NULL ? -1 : 0;
}

int
throttle_start(const struct config *cfg, struct audit *audit, const char *path,
    struct err *err)
{
	struct charge_history h = { .now_ms = clock_now_ms(),
		.now_s = limiter_now() };
	int64_t began_ms = clock_monotonic_ms();
	struct audit_reader *r;

	throttle.audit = audit;
	if (audit_open_reader(path, &r, err) == -1)
		return -1;
	int ret = charge_history(throttle.limiter, cfg, r, &h, err);

	audit_close_reader(&r);
	if (ret == -1)
		return -1;
	if (h.cut)
		log_msg(LOG_WARNING,
		    "limits: only the newest %d decisions "
		    "are counted after this start",
		    CHARGE_ROWS);
	if (h.rows > 0)
		log_msg(LOG_INFO,
		    "limits: %" PRId64 " recipients of before "
		    "the start are counted (%" PRId64 " ms)",
		    h.rows, clock_monotonic_ms() - began_ms);
	return 0;
}

void
throttle_lifted(void *arg, bool is_user, const char *subject)
{
	uint64_t number = charge_subject(throttle.limiter, is_user, subject);

	(void)arg;
	if (number == 0)
		return;
	limiter_forget(throttle.limiter, number);
	log_msg(LOG_NOTICE,
	    "limits: %s %s was let in again, and is counted "
	    "from now on",
	    is_user ? "user" : "client", subject);
}

bool
throttle_denied(const struct addr *client, const char *user, int64_t now)
{
	struct limiter *l = throttle.limiter;

	if (!limiter_denies(l))
		return false;
	return (client->family != ADDR_NONE &&
		   limiter_denied(l, limiter_client(l, client), now)) ||
	    (user != NULL && *user != '\0' &&
		limiter_denied(l, limiter_user(l, user), now));
}

static bool
is_of_user(enum limit limit)
{
	return limit >= LIMIT_USER_RECIPIENTS && limit <= LIMIT_USER_CLIENTS;
}

/* Log it, deny, and leave word in the audit; once for each time that one goes
 * over. */
static void
breach(const struct config *cfg, const struct throttle_recipient *r,
    const struct limiter_event *ev, enum limit limit)
{
	const struct limit_rate *rate = &cfg->limits.rate[limit];
	bool is_user = is_of_user(limit);
	struct network net = limiter_network(throttle.limiter, &ev->client);
	char subject[LOGIN_USER_MAX], allowed[RATE_TEXT_MAX];
	char client[ADDR_TEXT_MAX], denied[80] = "";
	int64_t until = 0;

	if (is_user)
		(void)snprintf(subject, sizeof(subject), "%s", ev->user);
	else
		(void)network_format(&net, subject);
	(void)rate_format(rate, allowed);
	/* a message with too many recipients is no sign of anything */
	if (limit == LIMIT_MESSAGE_RECIPIENTS) {
		(void)snprintf(allowed, sizeof(allowed), "%" PRId64, rate->max);
	} else if (cfg->limits.deny_for_s > 0) {
		until = r->at_ms / 1000 + cfg->limits.deny_for_s;
		limiter_deny(throttle.limiter,
		    charge_subject(throttle.limiter, is_user, subject), until);
		(void)snprintf(denied, sizeof(denied),
		    "; denied until @%" PRId64 " or 'popgatectl undeny'",
		    until);
	}
	log_msg(LOG_WARNING, "limits: %s %s is over limits.%s = %s%s%s",
	    is_user ? "user" : "client", subject, limit_name(limit), allowed,
	    denied, r->monitored ? "; MONITOR MODE: nothing is refused" : "");
	const struct audit_breach b = { .at_ms = r->at_ms,
		.is_user = is_user,
		.subject = subject,
		.setting = limit_name(limit),
		.allowed = allowed,
		.client = addr_format(&ev->client, client),
		.user = ev->user,
		.sender = ev->sender,
		.denied_until = until };

	audit_breach(throttle.audit, &b);
	meter_breach(limit);
}

/* A map that is only told the client decides on no recipient: it lets nobody
 * through who has nothing left, and counts nothing. */
static bool
has_left(const struct config *cfg, const struct limiter_event *ev)
{
	int64_t used[LIMITS];

	limiter_usage(throttle.limiter, ev, used);
	for (int i = 0; i < LIMIT_MESSAGE_RECIPIENTS; i++)
		if (i != LIMIT_CLIENT_SENDERS && i != LIMIT_USER_CLIENTS &&
		    cfg->limits.rate[i].max > 0 &&
		    used[i] >= cfg->limits.rate[i].max)
			return false;
	return true;
}

bool
throttle_take(const struct config *cfg, const struct throttle_recipient *r)
{
	const struct facts_question *q = r->q;
	struct limiter_answer answer;
	struct limiter_event ev = { .now_s = limiter_now(),
		.client = q->client,
		.sender = q->sender,
		.message = r->message,
		.permit = r->channel != CHANNEL_MILTER };

	if (!charge_any(cfg) ||
	    !charge_event(cfg, r->reason, q->auth_user, r->login_user, &ev))
		return true;
	if (r->channel == CHANNEL_SOCKETMAP &&
	    (q->recipient == NULL || *q->recipient == '\0'))
		return has_left(cfg, &ev);
	limiter_take(throttle.limiter, cfg->limits.rate, &ev, &answer);
	if (answer.over && answer.entered)
		breach(cfg, r, &ev, answer.limit);
	return !answer.over;
}
