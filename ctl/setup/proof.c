/* SPDX-License-Identifier: ISC */
/* proof - the running mail server asked after the change: a stranger may relay
 * nowhere, our own mail is taken where it was taken before, a client with a
 * login relays; and what the doctor reads in the configuration now. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/config/config.h"
#include "common/db/audit.h"
#include "common/db/store.h"
#include "ctl/doctor/doctor.h"
#include "ctl/out.h"
#include "ctl/setup/live.h"
#include "ctl/setup/sendmail.h"
#include "ctl/setup/setup.h"

enum {
	WAIT_MS = 30000,
	LOOK_MS = 200,
	RECORD_MS = 10000, /* until what popgate decided is in the record */
	HOUR_MS = 3600000,
	/* how long the proof's own login counts, should setup be killed */
	LOGIN_S = 60
};

static void
pause_a_moment(void)
{
	const struct timespec pause = { .tv_nsec = LOOK_MS * 1000000L };

	(void)nanosleep(&pause, NULL);
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

/* 0 when popgate was asked, or when the mail server refuses such a client
 * before it asks; else -1 with err. */
static int
check_asked(struct setup *s, const struct live_service *now, size_t n,
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
		if (is_recorded(s->cfg, since_ms))
			return 0;
		pause_a_moment();
	} while (clock_monotonic_ms() < until_ms);
	if (put_off == NULL) {
		s->unshown = true;
		(void)printf(
		    "  popgate wasn't asked about the stranger: %s refuses it before: %s\n",
		    s->mta->title, now[0].said);
		return 0;
	}
	err_set(err, ERR_INVALID,
	    "%s of the running %s doesn't reach popgate: %s", put_off->name,
	    s->mta->title, put_off->said);
	return -1;
}

/* A reload takes effect in a moment. */
int
setup_prove(struct setup *s, struct err *err)
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
			good = check_asked(s, now, n, since_ms, err) == 0;
		if (!good)
			pause_a_moment();
	}
	free(now);
	return good ? 0 : -1;
}

/* --- a client with a login --- */

/* The login of an address of RFC 2544 or RFC 5180 that the machine reaches only
 * in our own namespace, while that is there: nobody else can come from it. It
 * isn't in the history, from which other machines would learn of it. */
static int
let_in(void *arg, const struct addr *client, bool in, struct err *err)
{
	const struct setup *s = arg;
	char text[ADDR_TEXT_MAX];
	struct store *st = NULL;
	int64_t now = clock_now_ms() / 1000;
	const struct store_row row = { .client = addr_format(client, text),
		.user = "popgate-setup",
		.service = "manual",
		.server = STORE_ADMIN,
		.first_at = now,
		.last_at = now,
		.expires_at = now + LOGIN_S,
		.count = 1 };
	int ret = -1;

	if (store_open(s->cfg->logins.database, STORE_MODIFY, &st, err) == -1 ||
	    store_begin(st, err) == -1)
		goto out;
	if ((in ? store_set(st, &row, err)
		: store_delete(st, row.client, now, err)) == -1 ||
	    store_commit(st, err) == -1)
		store_rollback(st);
	else
		ret = 0;
out:
	store_close(&st);
	return ret;
}

/* Did popgate refuse the login? Counts from since_ms on. */
struct word {
	int64_t since_ms;
	bool refused;
};

static bool
look_for_word(void *arg, const struct audit_record *rec)
{
	struct word *w = arg;
	enum reason reason =
	    rec->reason == NULL ? REASONS : reason_find(rec->reason);

	if (rec->at_ms < w->since_ms && rec->last_ms < w->since_ms)
		return true;
	w->refused |= reason == REASON_STORE_UNAVAILABLE ||
	    reason_basis(reason) == BASIS_NO_LOGIN;
	return true;
}

/* Does popgate itself refuse the clients that had the login? */
static bool
was_refused_by_popgate(const struct setup *s, int64_t since_ms)
{
	static const char *const clients[] = { LIVE_CLIENT4, LIVE_CLIENT6 };
	struct word w = { .since_ms = since_ms };
	struct audit_reader *reader;

	if (audit_open_reader(s->cfg->audit.database, &reader, NULL) == -1)
		return false;
	for (size_t i = 0; i < 2; i++) {
		const struct audit_filter filter = { .channels = true,
			.client = clients[i],
			.since_ms = since_ms - HOUR_MS,
			.newest_first = true,
			.limit = 100 };

		(void)audit_each(reader, &filter, look_for_word, &w, NULL);
	}
	audit_close_reader(&reader);
	return w.refused;
}

/* A service that refused the recipient, when popgate says that it did. One that
 * refuses earlier, as for want of STARTTLS, does so by itself. */
static const struct live_service *
refused_login(const struct setup *s, const struct live_service *now, size_t n,
    int64_t since_ms)
{
	const struct live_service *refused = NULL;

	for (size_t i = 0; i < n; i++)
		if (now[i].asked && !now[i].relays)
			refused = &now[i];
	return refused != NULL && was_refused_by_popgate(s, since_ms) ? refused
								      : NULL;
}

static void
tell_login(struct setup *s, const struct live_service *now, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!now[i].answers)
			continue;
		s->unshown |= !now[i].relays;
		(void)printf(now[i].relays
			? "  a client with a login relays at %s: "
			: "  not shown for a client with a login at %s: ",
		    now[i].name);
		out_text(now[i].said);
		(void)putchar('\n');
	}
}

bool
setup_was_asked(const struct setup *s)
{
	for (size_t i = 0; i < s->live.n; i++)
		if (s->live.v[i].answers)
			return true;
	return false;
}

int
setup_prove_login(struct setup *s, struct err *err)
{
	int64_t until_ms = clock_monotonic_ms() + RECORD_MS, since_ms;
	const struct live_service *refused = NULL;
	size_t n = s->live.n;
	struct live_service *now;
	struct err why;
	int rc;

	s->unshown |= !setup_was_asked(s);
	if (!setup_was_asked(s) || s->monitor)
		return 0;
	now = calloc(n, sizeof(*now));
	if (now == NULL) {
		err_nomem(err, "the proof", n * sizeof(*now));
		return -1;
	}
	memcpy(now, s->live.v, n * sizeof(*now));
	/* popgate may be kept from its table for a moment */
	do {
		if (refused != NULL)
			pause_a_moment();
		since_ms = clock_now_ms();
		rc = live_ask_user(now, n, let_in, s, &why);
		/* a proof that fails takes back no refusal before it */
		if (rc == 0)
			refused = refused_login(s, now, n, since_ms);
	} while (refused != NULL && clock_monotonic_ms() < until_ms);
	s->unshown |= rc == -1;
	if (rc == -1)
		(void)printf(
		    "  not shown for a client with a login: %s\n", why.text);
	else
		tell_login(s, now, n);
	if (refused != NULL)
		err_set(err, ERR_INVALID,
		    "%s of the running %s refuses a client with a login by popgate's word: %s",
		    refused->name, s->mta->title, refused->said);
	free(now);
	return refused == NULL ? 0 : -1;
}

/* --- the doctor --- */

static void
print_finding(const struct finding *f)
{
	(void)fputs("  popgatectl doctor: ", stdout);
	if (f->file != NULL) {
		out_text(f->file);
		(void)printf(f->line == 0 ? ": " : ":%u: ", f->line);
	}
	out_text(f->detail);
	(void)printf(" (%s)\n", f->kind->id);
}

/* The finding that nothing was rehearsed is said once, at the end. */
static bool
is_to_tell(const struct finding *f)
{
	return f->kind->severity != SEVERITY_INFO &&
	    strstr(f->kind->id, "-not-rehearsed") == NULL;
}

void
setup_tell_doctor(struct setup *s)
{
	struct ctl ctl = *s->ctl;
	struct ctl_args args = { .opt = { [DOCTOR_READ] = "" } };
	struct doctor d = { .ctl = &ctl, .args = &args };
	char path[1000];
	size_t told = 0;

	/* as it is on disk now */
	ctl.cfg = NULL;
	if (ctl_config(&ctl) != 0)
		return;
	if (s->mta == &setup_postfix) {
		doctor_postfix(&d, s->dir);
	} else if (s->mta == &setup_exim) {
		doctor_exim(&d, s->dir);
	} else {
		setup_sendmail_cf(s, path, sizeof(path));
		doctor_sendmail(&d, path);
	}
	doctor_popgate(&d);
	for (size_t i = 0; i < d.n; i++)
		if (is_to_tell(&d.v[i])) {
			print_finding(&d.v[i]);
			told++;
		}
	(void)puts(told == 0
		? "  the doctor finds nothing in the configuration as it is read; popgatectl doctor rehearses it, too"
		: "  popgatectl doctor says how to put that right");
	doctor_release(&d);
	config_free(ctl.cfg);
}
