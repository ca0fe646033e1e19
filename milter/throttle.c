/* SPDX-License-Identifier: ISC */
#include "milter/throttle.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/log.h"
#include "common/policy/charge.h"
#include "common/records/login.h"
#include "milter/meter.h"

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
	assert(throttle.limiter == NULL);
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

	assert(throttle.limiter != NULL);
	throttle.audit = audit;
	if (audit_open_reader(path, &r, err) == -1)
		return -1;
	int ret = charge_history(throttle.limiter, cfg, r, &h, err);

	audit_close_reader(&r);
	if (ret == -1)
		return -1;
	if (h.cut)
		log_msg(LOG_WARNING,
		    "limits: only the newest %d decisions are counted after this start",
		    CHARGE_ROWS);
	if (h.rows > 0)
		log_msg(LOG_INFO,
		    "limits: %" PRId64
		    " recipients of before the start are counted (%" PRId64
		    " ms)",
		    h.rows, clock_monotonic_ms() - began_ms);
	return 0;
}

void
throttle_lifted(void *arg, bool is_user, const char *subject)
{
	uint64_t number[2];
	int n =
	    charge_subjects(throttle.limiter, is_user, false, subject, number);

	(void)arg;
	if (n == 0)
		return;
	for (int i = 0; i < n; i++)
		limiter_lift(
		    throttle.limiter, number[i], is_user, limiter_now());
	log_msg(LOG_NOTICE,
	    "limits: %s %s was let in again, and is counted from now on",
	    is_user ? "user" : "client", subject);
}

int
throttle_hear(
    const struct config *cfg, struct store *st, int64_t *after, struct err *err)
{
	struct charge_others o = {
		.now = clock_now(), .now_s = limiter_now(), .after = *after
	};
	int rc = charge_others(throttle.limiter, cfg, st, &o, err);

	*after = o.after;
	return rc;
}

void
throttle_deny(const struct audit_denial *d)
{
	uint64_t subject[2];
	int n = charge_subjects(
	    throttle.limiter, d->is_user, d->by_login, d->subject, subject);
	char setting[32], allowed[RATE_TEXT_MAX];

	if (n == 0)
		return;
	for (int i = 0; i < n; i++)
		limiter_deny(throttle.limiter, subject[i], d->until);
	size_t len = strcspn(d->note, " ");

	(void)snprintf(setting, sizeof(setting), "%.*s", (int)len, d->note);
	(void)snprintf(allowed, sizeof(allowed), "%s",
	    d->note[len] == '\0' ? "" : d->note + len + 1);
	log_msg(LOG_WARNING,
	    "limits: %s %s is over limits.%s = %s on another machine; %sdenied until @%" PRId64
	    " or 'popgatectl undeny'",
	    d->is_user ? "user" : "client", d->subject, setting, allowed,
	    d->by_login ? "logins " : "", d->until);
	const struct audit_breach row = { .at_ms = d->at * 1000,
		.is_user = d->is_user,
		.by_login = d->by_login,
		.subject = d->subject,
		.setting = setting,
		.allowed = allowed,
		.client = "",
		.sender = "",
		.denied_until = d->until };

	audit_breach(throttle.audit, &row);
}

bool
throttle_denied(const struct addr *client, const char *auth_user, int64_t now)
{
	struct limiter *l = throttle.limiter;

	if (!limiter_denies(l))
		return false;
	return (client->family != ADDR_NONE &&
		   limiter_denied(l, limiter_client(l, client), now)) ||
	    (auth_user != NULL && *auth_user != '\0' &&
		limiter_denied(l, limiter_user(l, auth_user, false), now));
}

bool
throttle_denied_logins(char login_users[USERLIST_MAX], int64_t now)
{
	struct limiter *l = throttle.limiter;
	char left[USERLIST_MAX] = "", name[LOGIN_USER_MAX];
	const char *next = login_users;

	if (!limiter_denies(l) || *login_users == '\0')
		return false;
	while ((next = userlist_next(next, name)) != NULL)
		if (!limiter_denied(l, limiter_user(l, name, true), now))
			(void)userlist_add(left, name);
	/* when all are denied, the audit may name them */
	if (*left == '\0')
		return true;
	memcpy(login_users, left, sizeof(left));
	return false;
}

static bool
is_of_user(enum limit limit)
{
	return limit >= LIMIT_USER_RECIPIENTS && limit <= LIMIT_USER_CLIENTS;
}

/* The one who went over, as the log and the audit name it. */
struct offender {
	bool is_user, by_login;
	char text[LOGIN_USER_MAX];
};

static void
name_offender(const struct limiter_event *ev, const struct limiter_breach *b,
    struct offender *who)
{
	struct network net = limiter_network(throttle.limiter, &ev->client);
	const char *next = ev->user;

	who->is_user = is_of_user(b->limit);
	who->by_login = who->is_user && ev->by_login;
	if (!who->is_user)
		(void)network_format(&net, who->text);
	else if (!who->by_login)
		(void)snprintf(who->text, sizeof(who->text), "%s", ev->user);
	else
		for (int i = 0; i <= b->user && next != NULL; i++)
			next = userlist_next(next, who->text);
}

/* Keep the offender out. Returns until when; 0: it isn't. */
static int64_t
deny(const struct config *cfg, const struct offender *who, int64_t now)
{
	uint64_t subject[2];
	int n = charge_subjects(
	    throttle.limiter, who->is_user, who->by_login, who->text, subject);

	if (cfg->limits.deny_for_s == 0)
		return 0;
	for (int i = 0; i < n; i++)
		limiter_deny(
		    throttle.limiter, subject[i], now + cfg->limits.deny_for_s);
	return now + cfg->limits.deny_for_s;
}

/* Log a breach and record it in the audit: once each time that the subject goes
 * over a limit, and once more when sent mail alone exceeds it. Only then is the
 * subject denied: nobody is denied for mail that isn't sent yet. */
static void
breach(const struct config *cfg, const struct throttle_recipient *r,
    const struct limiter_event *ev, const struct limiter_breach *b)
{
	const struct limit_rate *rate = &cfg->limits.rate[b->limit];
	char allowed[RATE_TEXT_MAX], client[ADDR_TEXT_MAX], denied[100] = "";
	char when[CLOCK_TEXT_MAX];
	struct offender who = { .text = "" };
	int64_t until = 0;

	assert(b->limit < LIMITS);
	if (!b->entered && !(b->firm && cfg->limits.deny_for_s > 0))
		return;
	name_offender(ev, b, &who);
	(void)rate_format(rate, allowed);
	/* a message with too many recipients is no sign of anything */
	if (b->limit == LIMIT_MESSAGE_RECIPIENTS)
		(void)snprintf(allowed, sizeof(allowed), "%" PRId64, rate->max);
	else if (b->firm)
		until = deny(cfg, &who, r->at_ms / 1000);
	if (until != 0)
		(void)snprintf(denied, sizeof(denied),
		    "; %sdenied until %s or 'popgatectl undeny'",
		    who.by_login ? "logins " : "", clock_text(until, when));
	log_msg(LOG_WARNING, "limits: %s %s is over limits.%s = %s%s%s",
	    who.is_user ? "user" : "client", who.text, limit_name(b->limit),
	    allowed, denied,
	    r->monitored ? "; MONITOR MODE: nothing is refused" : "");
	const struct audit_breach row = { .at_ms = r->at_ms,
		.is_user = who.is_user,
		.by_login = who.by_login,
		.subject = who.text,
		.setting = limit_name(b->limit),
		.allowed = allowed,
		.client = addr_format(&ev->client, client),
		.user = ev->user,
		.sender = ev->sender,
		.denied_until = until };

	audit_breach(throttle.audit, &row);
	meter_breach(b->limit);
}

/* Keep the users who were charged: after a restart the audit's login_user tells
 * which subjects to charge again. */
static void
keep_charged(char *login_users, unsigned charged)
{
	char kept[USERLIST_MAX] = "", name[LOGIN_USER_MAX];
	const char *next = login_users;

	for (unsigned i = 0; (next = userlist_next(next, name)) != NULL; i++)
		if (charged >> i & 1)
			(void)userlist_add(kept, name);
	memcpy(login_users, kept, sizeof(kept));
}

static bool
has_room(const struct config *cfg, const struct limiter_event *ev)
{
	enum limit limit;

	return !limiter_full(throttle.limiter, cfg->limits.rate, ev, &limit);
}

bool
throttle_has_room(const struct config *cfg, const struct throttle_recipient *r)
{
	struct limiter_event ev = { .now_s = limiter_now(),
		.client = r->q->client };

	return !charge_any(cfg) ||
	    !charge_event(
		cfg, r->reason, r->q->auth_user, r->login_users, &ev) ||
	    has_room(cfg, &ev);
}

bool
throttle_take(const struct config *cfg, const struct throttle_recipient *r)
{
	const struct facts_question *q = r->q;
	struct limiter_answer answer;
	struct limiter_event ev = { .now_s = limiter_now(),
		.client = q->client,
		.port = r->port,
		.sender = q->sender,
		.recipient = q->recipient,
		.message = r->message,
		.hold = r->channel == CHANNEL_MILTER && r->message != NULL,
		.permit = r->channel != CHANNEL_MILTER };

	if (!charge_any(cfg) ||
	    !charge_event(cfg, r->reason, q->auth_user, r->login_users, &ev))
		return true;
	/* A map that is only told the client decides on no recipient: it lets
	 * nobody through who has nothing left, and counts nothing. */
	if (r->channel == CHANNEL_SOCKETMAP &&
	    (q->recipient == NULL || *q->recipient == '\0'))
		return has_room(cfg, &ev);
	limiter_take(throttle.limiter, cfg->limits.rate, &ev, &answer);
	for (unsigned i = 0; answer.over && i < answer.n; i++)
		breach(cfg, r, &ev, &answer.breach[i]);
	if (!answer.over && ev.by_login)
		keep_charged(r->login_users, answer.charged);
	return !answer.over;
}

void
throttle_settle(
    const struct config *cfg, struct limiter_message *message, bool sent)
{
	if (message->n_holds > 0)
		limiter_settle(throttle.limiter, cfg->limits.rate,
		    limiter_now(), message, sent);
}
