/* SPDX-License-Identifier: ISC */
/* state - the rest of a report's figures: limits reached, denials, and how
 * popgate and the mail server stand now. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/err.h"
#include "ctl/ctl.h"
#include "ctl/doctor/doctor.h"
#include "ctl/report/gather.h"
#include "ctl/status/status.h"
#include "ctl/times.h"

/* Findings of the doctor that are older than this are made anew. */
enum { FOUND_DAYS = 3 };

/* --- limits and denials --- */

static void
copy(char *to, size_t size, const char *from)
{
	(void)snprintf(to, size, "%s", from == NULL ? "" : from);
}

/* Breaches come oldest first: those kept are the newest, and newest first. */
static bool
take_breach(void *arg, const struct audit_breach *b)
{
	struct report *rep = arg;
	struct report_breach *to = &rep->breach[0];

	if (b->at_ms >= rep->until * 1000)
		return true;
	rep->breaches++;
	memmove(to + 1, to, sizeof(*to) * (REPORT_TOP - 1));
	*to = (struct report_breach){
		.at_ms = b->at_ms,
		.denied_until = b->denied_until,
		.lifted_at_ms = b->lifted_at_ms,
	};
	copy(to->subject, sizeof(to->subject), b->subject);
	copy(to->kind, sizeof(to->kind), audit_kind(b->is_user, b->by_login));
	copy(to->setting, sizeof(to->setting), b->setting);
	copy(to->allowed, sizeof(to->allowed), b->allowed);
	rep->breaches_kept += rep->breaches_kept < REPORT_TOP;
	return true;
}

static struct report_denial *
new_denial(struct report *rep)
{
	static struct report_denial spare;

	rep->denials++;
	if (rep->denials_kept == REPORT_TOP)
		return &spare;
	return &rep->denial[rep->denials_kept++];
}

static bool
take_limited(void *arg, const struct audit_breach *b)
{
	struct report_denial *to = new_denial(arg);

	*to = (struct report_denial){
		.since = b->at_ms / 1000,
		.until = b->denied_until,
		.by_limit = true,
	};
	copy(to->subject, sizeof(to->subject), b->subject);
	copy(to->kind, sizeof(to->kind), audit_kind(b->is_user, b->by_login));
	copy(to->reason, sizeof(to->reason), b->setting);
	return true;
}

static bool
take_denied(void *arg, const struct store_deny *d)
{
	struct report_denial *to = new_denial(arg);

	*to = (struct report_denial){
		.since = d->created_at,
		.until = d->expires_at,
	};
	copy(to->subject, sizeof(to->subject), d->subject);
	copy(to->kind, sizeof(to->kind), audit_kind(d->is_user, false));
	copy(to->reason, sizeof(to->reason), d->reason);
	return true;
}

static int
find_admins_denials(struct report *rep, struct ctl *ctl)
{
	struct store *st;
	struct err err;
	int rc;

	if (access(ctl->cfg->logins.database, F_OK) == -1)
		return 0;
	rc = ctl_store(ctl, STORE_READ, &st);
	if (rc != 0)
		return rc;
	if (store_each_deny(st, NULL, NULL, ctl->now, take_denied, rep, &err) ==
	    -1)
		rc = ctl_fail_err(ctl, &err);
	store_close(&st);
	return rc;
}

int
report_find_denials(struct report *rep, struct ctl *ctl, struct audit_reader *r)
{
	struct err err;

	if (audit_each_breach(r, rep->since * 1000, false, NULL, take_breach,
		rep, &err) == -1 ||
	    audit_each_denial(r, ctl->now, take_limited, rep, &err) == -1)
		return ctl_fail_err(ctl, &err);
	return find_admins_denials(rep, ctl);
}

/* --- how it stands now --- */

static void
add_line(struct report_lines *to, enum report_level level, const char *what,
    const char *words)
{
	struct report_line *line = &to->v[to->n];

	to->all++;
	if (to->n == REPORT_LINES)
		return;
	to->n++;
	line->level = level;
	copy(line->what, sizeof(line->what), what);
	copy(line->words, sizeof(line->words), words);
}

static void
look_at_status(struct report *rep, struct ctl *ctl)
{
	static const enum report_level levels[] = {
		[LEVEL_OK] = REPORT_GOOD,
		[LEVEL_WARNING] = REPORT_WARNING,
		[LEVEL_CRITICAL] = REPORT_BAD,
		[LEVEL_UNKNOWN] = REPORT_UNKNOWN,
	};
	static struct status s;

	if (status_gather(ctl, &s) != 0)
		return;
	for (int i = 0; i < s.n; i++)
		add_line(&rep->state, levels[s.check[i].level], s.check[i].what,
		    s.check[i].words);
	rep->lag_s = s.lag_s;
	rep->milter_started_at = s.started_at > 0 ? s.started_at : 0;
}

static enum report_level
level_of(const struct finding_kind *kind)
{
	static const enum report_level levels[] = {
		[SEVERITY_INFO] = REPORT_GOOD,
		[SEVERITY_WARNING] = REPORT_WARNING,
		[SEVERITY_OPEN_RELAY] = REPORT_BAD,
	};

	return kind == NULL ? REPORT_UNKNOWN : levels[kind->severity];
}

static void
take_found(void *arg, const struct finding_kind *kind, const char *words)
{
	struct report_lines *to = arg;

	add_line(to, level_of(kind), kind == NULL ? "" : kind->id, words);
}

/* The findings of popgate-doctor.service, if they are recent. */
static bool
look_at_found(struct report *rep)
{
	char when[TIME_TEXT_MAX];
	struct stat st;

	if (stat(DOCTOR_FOUND, &st) == -1 ||
	    st.st_mtime < rep->now - INT64_C(86400) * FOUND_DAYS ||
	    doctor_changes_each(DOCTOR_FOUND, take_found, &rep->doctor) == -1)
		return false;
	(void)snprintf(rep->doctor_from, sizeof(rep->doctor_from),
	    "as found %s", time_local(st.st_mtime, when));
	return true;
}

void
report_look_around(struct report *rep, struct ctl *ctl)
{
	struct doctor d = { .ctl = ctl };

	rep->lag_s = -1;
	look_at_status(rep, ctl);
	if (look_at_found(rep))
		return;
	copy(rep->doctor_from, sizeof(rep->doctor_from),
	    "by reading the configuration now");
	if (doctor_read_quick(&d) == 0)
		for (size_t i = 0; i < d.n; i++)
			if (d.v[i].kind->severity != SEVERITY_INFO)
				take_found(
				    &rep->doctor, d.v[i].kind, d.v[i].detail);
	doctor_release(&d);
}
