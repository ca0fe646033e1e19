/* SPDX-License-Identifier: ISC */
#include "ctl/watch/limits.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/fnv.h"
#include "common/config/duration.h"
#include "common/policy/charge.h"
#include "ctl/why/breach.h"

enum {
	SUBJECTS = 20000, /* of a limiter of our own */
	ASKED = 256 /* pairs of a client and a user, at most */
};

struct find {
	struct ctl *ctl;
	struct watch_model *m;
	struct limiter *limiter;
	uint64_t asked[ASKED];
	size_t n;
};

/* Room for one more; NULL: there is none, or this one is there already. */
static struct watch_limit *
add(struct watch_model *m, bool is_user, const char *subject, const char *words)
{
	for (size_t i = 0; i < m->limits; i++)
		if (m->limit[i].is_user == is_user &&
		    strcmp(m->limit[i].subject, subject) == 0 &&
		    strcmp(m->limit[i].words, words) == 0)
			return NULL;
	if (m->limits == WATCH_LIMITS)
		return NULL;
	struct watch_limit *l = &m->limit[m->limits++];

	*l = (struct watch_limit){ .is_user = is_user };
	(void)snprintf(l->subject, sizeof(l->subject), "%s", subject);
	(void)snprintf(l->words, sizeof(l->words), "%s", words);
	return l;
}

/* --- near a limit --- */

static void
note_near(struct find *f, bool is_user, const char *subject, bool by_login,
    const int64_t used[LIMITS])
{
	const struct limit_rate *rate = f->ctl->cfg->limits.rate;
	int from = is_user ? LIMIT_USER_RECIPIENTS : LIMIT_CLIENT_RECIPIENTS;
	int to = is_user ? LIMIT_MESSAGE_RECIPIENTS : LIMIT_USER_RECIPIENTS;
	char words[WATCH_WORDS_MAX], text[RATE_TEXT_MAX];

	for (int i = from; i < to; i++) {
		if (rate[i].max == 0 ||
		    used[i] * 100 < rate[i].max * LIMITS_NEAR_PERCENT)
			continue;
		(void)snprintf(words, sizeof(words), "%s %" PRId64 " of %s%s",
		    limit_name((enum limit)i), used[i],
		    rate_format(&rate[i], text), by_login ? " by logins" : "");
		struct watch_limit *l = add(f->m, is_user, subject, words);

		if (l != NULL)
			l->percent = (int)(used[i] * 100 / rate[i].max);
	}
}

/* Each user whose login lets the client relay is charged. */
static void
ask_users(struct find *f, struct limiter_event *ev)
{
	char name[LOGIN_USER_MAX];
	const char *next = ev->user, *users = ev->user;
	int64_t used[LIMITS];

	if (users == NULL || *users == '\0')
		return;
	if (!ev->by_login) {
		limiter_usage(f->limiter, ev, used);
		note_near(f, true, users, false, used);
		return;
	}
	while ((next = userlist_next(next, name)) != NULL) {
		ev->user = name;
		limiter_usage(f->limiter, ev, used);
		note_near(f, true, name, true, used);
	}
	ev->user = users;
}

static void
ask(struct find *f, const struct watch_event *e)
{
	const struct config *cfg = f->ctl->cfg;
	struct limiter_event ev = { .now_s = INT64_C(1) << 30 };
	char client[NETWORK_TEXT_MAX];
	int64_t used[LIMITS];

	if (!addr_parse_loose(e->client, &ev.client) ||
	    !charge_event(cfg, reason_find(e->reason),
		*e->auth_user == '\0' ? NULL : e->auth_user,
		*e->login_users == '\0' ? NULL : e->login_users, &ev))
		return;
	ask_users(f, &ev);
	if (ev.free_client)
		return;
	ev.user = NULL;
	limiter_usage(f->limiter, &ev, used);
	note_near(
	    f, false, breach_client(cfg, &ev.client, client), false, used);
}

static bool
asked_before(struct find *f, const struct watch_event *e)
{
	uint64_t hash = fnv_add(FNV_START, e->client, strlen(e->client) + 1);

	hash = fnv_add(hash, watch_user(e), strlen(watch_user(e)));
	for (size_t i = 0; i < f->n; i++)
		if (f->asked[i] == hash)
			return true;
	f->asked[f->n++] = hash;
	return false;
}

/* Find the clients and users that relay now, the newest first. */
static void
find_near(struct find *f)
{
	const struct watch_model *m = f->m;
	int64_t since_ms = (m->now - WATCH_WINDOW_S) * 1000;

	for (size_t i = m->n; i > 0 && f->n < ASKED; i--) {
		const struct watch_event *e = &m->event[i - 1];

		if (e->last_ms < since_ms)
			break;
		if (e->fate == WATCH_RELAYED && e->count > 0 &&
		    !asked_before(f, e))
			ask(f, e);
	}
}

static int
by_percent(const void *a, const void *b)
{
	const struct watch_limit *x = a, *y = b;

	return x->percent == y->percent ? strcmp(x->subject, y->subject)
	    : x->percent < y->percent   ? 1
					: -1;
}

static void
read_near(struct find *f, struct audit_reader *r)
{
	const struct config *cfg = f->ctl->cfg;
	struct watch_model *m = f->m;
	struct charge_history h = { .now_ms = m->now * 1000,
		.now_s = INT64_C(1) << 30,
		.rows_max = LIMITS_ROWS };
	size_t first = m->limits;
	struct err err;

	f->limiter = limiter_new(
	    cfg->limits.rate, (uint8_t)cfg->relay.ipv6_prefix, SUBJECTS, &err);
	if (f->limiter != NULL &&
	    charge_history(f->limiter, cfg, r, &h, &err) == 0 &&
	    breach_others(f->ctl, f->limiter, NULL, h.now_s, &err) == 0)
		find_near(f);
	else
		(void)snprintf(m->limits_state.words,
		    sizeof(m->limits_state.words), "%s", err.text);
	limiter_free(f->limiter);
	if (m->limits > first)
		qsort(m->limit + first, m->limits - first, sizeof(m->limit[0]),
		    by_percent);
}

/* --- denied, and over --- */

static bool
take_denial(void *arg, const struct audit_breach *b)
{
	struct find *f = arg;
	char words[BREACH_WORDS_MAX];
	struct watch_limit *l =
	    add(f->m, b->is_user, b->subject, breach_words(b, words));

	if (l != NULL)
		l->denied = true;
	return true;
}

static bool
take_breach(void *arg, const struct audit_breach *b)
{
	struct find *f = arg;
	char words[BREACH_WORDS_MAX];

	if (b->lifted_at_ms != 0)
		return true;
	struct watch_limit *l =
	    add(f->m, b->is_user, b->subject, breach_words(b, words));

	if (l != NULL)
		l->over = true;
	return true;
}

void
limits_read(struct ctl *ctl, struct audit_reader *r, struct watch_model *m)
{
	struct find f = { .ctl = ctl, .m = m };
	struct err err;

	m->limits = 0;
	m->limits_state.words[0] = '\0';
	if (audit_each_denial(r, m->now, take_denial, &f, &err) == -1 ||
	    audit_each_breach(r, (m->now - LIMITS_OVER_S) * 1000, false, NULL,
		take_breach, &f, &err) == -1)
		(void)snprintf(m->limits_state.words,
		    sizeof(m->limits_state.words), "%s", err.text);
	if (charge_any(ctl->cfg))
		read_near(&f, r);
	else
		(void)snprintf(m->limits_state.words,
		    sizeof(m->limits_state.words),
		    "No limit is on, and nobody is denied.");
}
