/* SPDX-License-Identifier: ISC */
#include "ctl/why/breach.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/db/store.h"
#include "common/policy/charge.h"
#include "common/policy/facts.h"
#include "ctl/out.h"
#include "ctl/times.h"

enum { LONGEST_WINDOW_S = 8 * 86400 }; /* a week, and a slot of it more */

const char *
breach_words(const struct audit_breach *breach, char *buf)
{
	(void)snprintf(buf, BREACH_WORDS_MAX, "over limits.%.30s = %.30s%s",
	    breach->setting, breach->allowed,
	    breach->by_login ? " by logins" : "");
	return buf;
}

void
breach_print(
    const struct ctl *ctl, const struct audit_breach *b, const char *before)
{
	char when[TIME_TEXT_MAX], words[BREACH_WORDS_MAX];

	(void)printf("%s%s ", before, b->is_user ? "user" : "client");
	out_text(b->subject);
	(void)printf(" went %s %s ", breach_words(b, words),
	    time_both(b->at_ms / 1000, ctl->now, when));
	if (*b->client == '\0') {
		(void)fputs("(on another machine)", stdout);
	} else {
		(void)printf("(client %s, user ", b->client);
		out_text(b->user == NULL ? "not known" : b->user);
		(void)fputs(", sender <", stdout);
		out_text(b->sender);
		(void)fputs(">)", stdout);
	}
	if (b->lifted_at_ms != 0)
		(void)printf("; let in again %s",
		    time_both(b->lifted_at_ms / 1000, ctl->now, when));
	else if (b->denied_until > ctl->now)
		(void)printf("; denied until %s, or 'popgatectl undeny'",
		    time_both(b->denied_until, ctl->now, when));
	(void)putchar('\n');
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
	int64_t bits =
	    cfg->relay.ipv6_prefix < 64 ? cfg->relay.ipv6_prefix : 64;
	struct network net = network_of(
	    client, client->family == ADDR_IPV6 ? (uint8_t)bits : 32);

	return network_format(&net, buf);
}

int64_t
breach_since_ms(const struct ctl *ctl)
{
	return (ctl->now - LONGEST_WINDOW_S) * 1000;
}

struct look {
	const struct addr *client;
	const char *auth_user, *login_users;
	unsigned denied; /* of login_users, a bit each */
	struct breach_state *state;
};

static bool
denies(struct look *l, const struct audit_breach *b)
{
	const char *next = l->login_users;
	char name[LOGIN_USER_MAX];
	struct network net;

	if (!b->is_user)
		return network_parse(b->subject, &net) &&
		    network_contains(&net, l->client);
	if (!b->by_login && l->auth_user != NULL &&
	    userlist_same(b->subject, l->auth_user))
		return true;
	for (unsigned i = 0; (next = userlist_next(next, name)) != NULL; i++)
		if (userlist_same(b->subject, name))
			l->denied |= 1U << i;
	/* as long as one of them isn't, the client may relay */
	return l->denied != 0 &&
	    l->denied + 1 == 1U << userlist_count(l->login_users);
}

static bool
look_denial(void *arg, const struct audit_breach *b)
{
	struct look *l = arg;

	if (!denies(l, b))
		return true;
	l->state->denied = true;
	(void)breach_words(b, l->state->denial);
	return false;
}

/* Take those out of users whose bit is set. */
static void
drop_denied(char users[USERLIST_MAX], unsigned denied)
{
	char left[USERLIST_MAX] = "", name[LOGIN_USER_MAX];
	const char *next = users;

	for (unsigned i = 0; (next = userlist_next(next, name)) != NULL; i++)
		if ((denied >> i & 1) == 0)
			(void)userlist_add(left, name);
	memcpy(users, left, sizeof(left));
}

void
breach_denied(struct ctl *ctl, struct audit_reader *r,
    const struct addr *client, const char *auth_user, char *login_users,
    struct breach_state *state)
{
	struct look l = { .client = client,
		.auth_user = auth_user,
		.login_users = login_users,
		.state = state };
	struct err err;

	*state = (struct breach_state){ .known = r != NULL };
	if (r != NULL &&
	    audit_each_denial(r, ctl->now, look_denial, &l, &err) == -1)
		state->known = false;
	if (!state->denied && l.denied != 0)
		drop_denied(login_users, l.denied);
}

int
breach_others(struct ctl *ctl, struct limiter *l,
    const struct limiter_event *only, int64_t now_s, struct err *err)
{
	struct charge_others o = {
		.now = ctl->now, .now_s = now_s, .only = only
	};
	struct store *st;

	if (ctl->cfg->share.servers.n == 0)
		return 0;
	if (store_open(ctl->cfg->logins.database, STORE_READ, &st, err) == -1)
		return -1;
	int rc = charge_others(l, ctl->cfg, st, &o, err);

	store_close(&st);
	return rc;
}

/* Add up the rows of the client and of the users. */
static int
add_up(struct ctl *ctl, struct audit_reader *r, const struct limiter_event *ev,
    struct breach_state *state)
{
	/* clients of these users, and users of this client */
	enum { SUBJECTS = 20000 };
	const struct config *cfg = ctl->cfg;
	struct charge_history h = {
		.now_ms = ctl->now * 1000, .now_s = ev->now_s, .only = ev
	};
	struct err err;
	struct limiter *l = limiter_new(
	    cfg->limits.rate, (uint8_t)cfg->relay.ipv6_prefix, SUBJECTS, &err);

	if (l == NULL)
		return -1;
	int ret = charge_history(l, cfg, r, &h, &err) == -1 ||
		breach_others(ctl, l, ev, ev->now_s, &err) == -1
	    ? -1
	    : 0;

	limiter_usage(l, ev, state->used);
	state->over = limiter_full(l, cfg->limits.rate, ev, &state->limit);
	limiter_free(l);
	return ret;
}

/* Whether its sender, or client, would be a new one can't be seen here: one
 * that is already among them may go on. */
void
breach_usage(struct ctl *ctl, struct audit_reader *r,
    const struct facts_question *q, enum reason reason, const char *login_users,
    struct breach_state *state)
{
	struct limiter_event ev = { .now_s = INT64_C(1) << 30,
		.client = q->client };
	const struct config *cfg = ctl->cfg;

	state->known = r != NULL;
	state->counts = charge_any(cfg) &&
	    charge_event(cfg, reason, facts_denied_user(q), login_users, &ev);
	if (r == NULL || !state->counts)
		return;
	state->of_client = !ev.free_client;
	state->of_user = ev.user != NULL && *ev.user != '\0';
	state->known = add_up(ctl, r, &ev, state) == 0;
}

const char *
breach_usage_words(const struct config *cfg, const struct breach_state *state,
    char *buf, size_t size)
{
	char rate[RATE_TEXT_MAX];
	size_t at = 0;

	(void)snprintf(buf, size, "none of limits is on");
	for (int i = 0; i < LIMIT_MESSAGE_RECIPIENTS; i++) {
		if (cfg->limits.rate[i].max == 0 ||
		    !(i < LIMIT_USER_RECIPIENTS ? state->of_client
						: state->of_user))
			continue;
		int n = snprintf(buf + at, size - at, "%s%s %" PRId64 " of %s",
		    at == 0 ? "" : ", ", limit_name((enum limit)i),
		    state->used[i], rate_format(&cfg->limits.rate[i], rate));

		if (n < 0 || (size_t)n >= size - at)
			break;
		at += (size_t)n;
	}
	return buf;
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
		const struct audit_lift lift = { .at_ms = clock_now_ms(),
			.is_user = is_user,
			.subject = subject,
			.who = ctl_who(who, sizeof(who)) };

		ok = audit_lift(ctl->cfg->audit.database, &lift, &err);
	}
	return ok == 0 ? 0 : ctl_fail_err(ctl, &err);
}
