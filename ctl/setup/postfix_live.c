/* SPDX-License-Identifier: ISC */
/* postfix_live - the running Postfix asked before and after: a stranger may
 * relay nowhere, and our own mail is taken where it was taken before. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/config/config.h"
#include "common/db/audit.h"
#include "common/mta/postfix_conf.h"
#include "common/mta/postfix_wiring.h"
#include "ctl/setup/live.h"
#include "ctl/setup/postfix.h"
#include "ctl/stage/postfix_copy.h"

enum {
	WAIT_MS = 30000,
	LOOK_MS = 200,
	RECORD_MS = 10000, /* until what popgate decided is in the record */
	HOUR_MS = 3600000
};

static void
pause_a_moment(void)
{
	const struct timespec pause = { .tv_nsec = LOOK_MS * 1000000L };

	(void)nanosleep(&pause, NULL);
}

/* The services of one instance that take mail from clients. */
static void
add_services(
    struct setup_live *l, const char *dir, const struct network_set *own)
{
	const struct addr client = { .family = own->v[0].base.family };
	struct postfix_copy copy = { .dir = dir };

	if (postfix_conf_load(dir, &copy.pf, NULL) == -1)
		return;
	for (size_t i = 0; i < copy.pf.n_services; i++) {
		const struct postfix_service *p = &copy.pf.services[i];
		struct live_service *v =
		    reallocarray(l->v, l->n + 1, sizeof(*v));

		if (v == NULL)
			break;
		l->v = v;
		v = &l->v[l->n];
		memset(v, 0, sizeof(*v));
		(void)snprintf(
		    v->name, sizeof(v->name), "%s/%s", p->name, p->type);
		/* who listens on loopback only isn't reached by strangers */
		if (strcmp(p->type, "inet") == 0 &&
		    postfix_service_role(&copy.pf, p) == ROLE_CLIENTS &&
		    postfix_copy_where(&copy, own, v->name, &client, &v->to,
			&v->port, &v->tls, NULL) == 0 &&
		    (v->to.family != ADDR_IPV4 || v->to.bytes[0] != 127))
			l->n++;
	}
	postfix_conf_release(&copy.pf);
}

/* A recipient, when the trial didn't find one. */
static bool
choose_own(struct setup *s)
{
	char *name;

	if (s->own != NULL)
		return true;
	name = postfix_setting(s->dir, "myhostname", NULL);
	if (name == NULL)
		return false;
	name[strcspn(name, "\n")] = '\0';
	if (asprintf(&s->own, "postmaster@%s", name) == -1)
		s->own = NULL;
	free(name);
	return s->own != NULL;
}

static void
find_services(struct setup *s)
{
	struct network_set own = { 0 };
	struct string_list dirs = { 0 };

	if (live_addresses(&own) && postfix_instances(s->dir, &dirs, NULL) == 0)
		for (size_t i = 0; i < dirs.n; i++)
			add_services(&s->live, dirs.v[i], &own);
	string_list_release(&dirs);
	network_set_release(&own);
}

static bool
any_answers(const struct setup_live *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].answers)
			return true;
	return false;
}

void
setup_postfix_before(struct setup *s)
{
	struct err err = { 0 };

	find_services(s);
	if (s->live.n == 0 || !choose_own(s)) {
		(void)printf(
		    "The running Postfix isn't asked as a stranger: no service of it has an address that others reach.\n");
		s->live.n = 0;
	} else if (live_ask(s->live.v, s->live.n, s->own, &err) == -1) {
		(void)printf(
		    "The running Postfix isn't asked as a stranger: %s\n",
		    err.text);
		s->live.n = 0;
	} else if (!any_answers(&s->live)) {
		(void)printf(
		    "%s isn't asked as a stranger: it doesn't run; the changes take effect when it is started\n",
		    s->mta->title);
	}
}

/* Is now as it should be, given what was before? Else err says what isn't. */
static bool
is_good(const struct setup *s, const struct live_service *before,
    const struct live_service *now, struct err *err)
{
	const char *what = NULL;

	if (before->answers && !now->answers)
		what = "doesn't answer any more";
	else if (now->relays && (!s->monitor || !before->relays))
		what = "lets a stranger relay";
	else if (before->own && !now->own)
		what = "doesn't take our own mail any more";
	if (what != NULL)
		err_set(err, ERR_INVALID, "%s of the running %s %s: %s",
		    now->name, s->mta->title, what, now->said);
	return what == NULL;
}

/* --- was popgate asked? --- */

struct record {
	int64_t since_ms;
	bool found;
};

static bool
look_at_record(void *arg, const struct audit_record *rec)
{
	struct record *r = arg;

	/* one that is refused again and again is one row, and counted */
	r->found |= strstr(rec->recipient, "friend@example.net") != NULL &&
	    (rec->at_ms >= r->since_ms || rec->last_ms >= r->since_ms);
	return !r->found;
}

/* Is the stranger's relay in the record of decisions? */
static bool
is_recorded(const struct config *cfg, int64_t since_ms)
{
	const struct audit_filter filter = { .channels = true,
		.since_ms = since_ms - HOUR_MS,
		.newest_first = true,
		.limit = 1000 };
	struct record r = { .since_ms = since_ms };
	struct audit_reader *reader;

	if (audit_open_reader(cfg->audit.database, &reader, NULL) == -1)
		return false;
	(void)audit_each(reader, &filter, look_at_record, &r, NULL);
	audit_close_reader(&reader);
	return r.found;
}

/* Does the reply say that nobody answered at popgate's socket? The first text
 * is that of the wiring, the second one what Postfix says of itself where the
 * wiring leaves it to that. A check that comes before popgate has other words:
 * greylisting, a domain that isn't found. */
static bool
was_not_reached(const struct live_service *now)
{
	return now->answers && now->said[0] == '4' &&
	    (strstr(now->said, "Relaying is temporarily unavailable") != NULL ||
		strstr(now->said, "Relay access denied") != NULL);
}

/* 0 when popgate was asked, or when Postfix refuses such a client
 * before it asks; else -1 with err. */
static int
check_asked(const struct config *cfg, const struct live_service *now, size_t n,
    int64_t since_ms, struct err *err)
{
	int64_t until_ms = clock_monotonic_ms() + RECORD_MS;
	const struct live_service *put_off = NULL;
	bool answers = false;

	for (size_t i = 0; i < n; i++)
		answers |= now[i].answers;
	for (size_t i = 0; i < n; i++)
		if (was_not_reached(&now[i]))
			put_off = &now[i];
	if (!answers)
		return 0;
	do {
		if (is_recorded(cfg, since_ms))
			return 0;
		pause_a_moment();
	} while (clock_monotonic_ms() < until_ms);
	if (put_off == NULL) {
		(void)printf(
		    "  popgate wasn't asked about the stranger: Postfix refuses it before: %s\n",
		    now[0].said);
		return 0;
	}
	err_set(err, ERR_INVALID,
	    "%s of the running Postfix doesn't reach popgate: %s",
	    put_off->name, put_off->said);
	return -1;
}

/* A reload takes effect in a moment. */
int
setup_postfix_prove(struct setup *s, const struct config *cfg, struct err *err)
{
	int64_t until_ms = clock_monotonic_ms() + WAIT_MS, since_ms;
	size_t n = s->live.n;
	struct live_service *now = calloc(n + 1, sizeof(*now));
	bool good = false;

	if (now == NULL) {
		err_nomem(err, "the proof", n * sizeof(*now));
		return -1;
	}
	if (n > 0)
		memcpy(now, s->live.v, n * sizeof(*now));
	while (!good && clock_monotonic_ms() < until_ms) {
		since_ms = clock_now_ms();
		if (n > 0 && live_ask(now, n, s->own, err) == -1)
			break;
		good = true;
		for (size_t i = 0; i < n && good; i++)
			good = is_good(s, &s->live.v[i], &now[i], err);
		if (good)
			good = check_asked(cfg, now, n, since_ms, err) == 0;
		if (!good)
			pause_a_moment();
	}
	free(now);
	return good ? 0 : -1;
}
