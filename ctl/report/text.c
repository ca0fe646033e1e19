/* SPDX-License-Identifier: ISC */
/* text - a report for a terminal, or the text part of a mail. */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "ctl/report/markup.h"
#include "ctl/report/render.h"
#include "ctl/times.h"

enum { NAME = 38, NUMBER = 11, BAR = 30, LINES = 10 };

static void
title(const char *text, FILE *to)
{
	(void)fprintf(to, "\n%s\n", text);
	for (size_t i = 0; i < strlen(text); i++)
		(void)fputc('-', to);
	(void)fputc('\n', to);
}

/* The first column: a name, and what is missing to its width. */
static void
name(const char *text, FILE *to)
{
	size_t n = plain_text(to, *text == '\0' ? "<>" : text, NAME);

	(void)fprintf(to, "%*s", n < NAME ? (int)(NAME - n) : 0, "");
}

static void
number(int64_t n, FILE *to)
{
	char buf[32];

	(void)fprintf(
	    to, " %*s", NUMBER - 1, n < 0 ? "-" : number_text(n, buf));
}

static void
head(const char *first, const char *const *heads, FILE *to)
{
	(void)fprintf(to, "%-*s", NAME, first);
	for (int i = 0; heads[i] != NULL; i++)
		(void)fprintf(to, " %*s", NUMBER - 1, heads[i]);
	(void)fputc('\n', to);
}

static void
part_of(int shown, int64_t all, FILE *to)
{
	char buf[32];

	if (all > shown)
		(void)fprintf(
		    to, "(the first %d of %s)\n", shown, number_text(all, buf));
}

static void
sums(const struct report_sums *s, FILE *to)
{
	number(s->recipients, to);
	number(s->accepted, to);
	number(s->rejected, to);
	number(s->tempfailed, to);
	(void)fputc('\n', to);
}

static const char *const verdicts[] = { "RECIPIENTS", "RELAYED", "REFUSED",
	"PUT OFF", NULL };

static void
summary(const struct report *rep, FILE *to)
{
	const struct {
		const char *what;
		int64_t n;
		bool seldom;
	} all[] = {
		{ "relayed recipients", rep->sums.accepted, false },
		{ "refused", rep->sums.rejected, false },
		{ "put off (temporary failures)", rep->sums.tempfailed, false },
		{ "given up by the client", rep->sums.aborted, true },
		{ "monitored: would have been refused", rep->sums.would_refuse,
		    true },
		{ "recipients of our own, only counted", rep->local, false },
		{ "clients that relayed", rep->clients.all, false },
		{ "new addresses", rep->fresh_known ? rep->fresh.all : -1,
		    false },
		{ "users who depend on a login", rep->depend.all, false },
		{ "users who moved to SMTP AUTH", rep->moved.all, false },
		{ "limits reached", rep->breaches, false },
		{ "denied now", rep->denials, false },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (!all[i].seldom || all[i].n > 0) {
			number(all[i].n, to);
			(void)fprintf(to, "  %s\n", all[i].what);
		}
}

/* A row with a bar for each; "all" those too in which nothing came. */
static void
bars(const struct report_slot *v, int n, bool all, FILE *to)
{
	int64_t most = 1;

	for (int i = 0; i < n; i++)
		if (v[i].sums.recipients > most)
			most = v[i].sums.recipients;
	head("", verdicts, to);
	for (int i = 0; i < n; i++) {
		int64_t came = v[i].sums.recipients, len = came * 20 / most;

		if (!all && came == 0)
			continue;
		(void)fprintf(to, "%-17s", v[i].label);
		for (int b = 0; b < NAME - 17; b++)
			(void)fputc(
			    b < len || (b == 0 && came > 0) ? '#' : ' ', to);
		sums(&v[i].sums, to);
	}
}

static void
over_time(const struct report *rep, FILE *to)
{
	title(rep->by_hour ? "By hour" : "By day", to);
	bars(rep->slot, rep->slots, true, to);
	if (rep->by_hour || rep->sums.recipients == 0)
		return;
	title("By hour of the day", to);
	bars(rep->clock, REPORT_CLOCK, false, to);
}

static void
rights(const struct report *rep, FILE *to)
{
	title("By which right, or why not", to);
	head("", verdicts, to);
	for (int i = 0; i < rep->reasons; i++) {
		name(report_reason_words(rep->reason[i].name), to);
		sums(&rep->reason[i].sums, to);
	}
}

static void
parties(const char *what, const char *first, const char *others,
    const struct report_parties *p, FILE *to)
{
	const char *const heads[] = { "RELAYED", "BY LOGIN", "BY AUTH",
		"SENDERS", others, NULL };
	int n = p->n < LINES ? p->n : LINES;

	title(what, to);
	if (n == 0) {
		(void)fputs("None.\n", to);
		return;
	}
	head(first, heads, to);
	for (int i = 0; i < n; i++) {
		name(p->v[i].name, to);
		number(p->v[i].sums.accepted, to);
		number(p->v[i].by_login, to);
		number(p->v[i].by_auth, to);
		number(p->v[i].senders, to);
		number(p->v[i].others, to);
		(void)fputc('\n', to);
	}
	part_of(n, p->all, to);
}

static void
strangers(const struct report *rep, FILE *to)
{
	static const char *const heads[] = { "REFUSED", "PUT OFF", "MONITORED",
		"RELAYED", NULL };
	const struct report_parties *p = &rep->strangers;
	int n = p->n < LINES ? p->n : LINES;

	title("Refused most", to);
	if (n > 0)
		head("CLIENT", heads, to);
	else
		(void)fputs("None.\n", to);
	for (int i = 0; i < n; i++) {
		name(p->v[i].name, to);
		number(p->v[i].sums.rejected, to);
		number(p->v[i].sums.tempfailed, to);
		number(p->v[i].sums.would_refuse, to);
		number(p->v[i].sums.accepted, to);
		(void)fputc('\n', to);
	}
	part_of(n, p->all, to);
}

static void
shared(const struct report *rep, FILE *to)
{
	static const char *const heads[] = { "RELAYED SO", "USERS", NULL };
	int n = rep->shared.n < LINES ? rep->shared.n : LINES;

	title("Shared addresses", to);
	if (n > 0)
		head("CLIENT", heads, to);
	else
		(void)fputs("None.\n", to);
	for (int i = 0; i < n; i++) {
		name(rep->shared.v[i].name, to);
		number(rep->shared.v[i].by_several, to);
		number(rep->shared.v[i].several > 0 ? rep->shared.v[i].several
						    : -1,
		    to);
		(void)fputc('\n', to);
	}
	part_of(n, rep->shared.all, to);
}

static void
dependents(const char *what, const struct report_dependents *d, FILE *to)
{
	char when[TIME_TEXT_MAX];
	int n = d->n < LINES ? d->n : LINES;

	title(what, to);
	if (n == 0)
		(void)fputs("None.\n", to);
	for (int i = 0; i < n; i++) {
		name(d->v[i].name, to);
		number(d->v[i].recipients, to);
		(void)fprintf(to, "  last by a login %s\n",
		    time_local(d->v[i].login_at, when));
	}
	part_of(n, d->all, to);
}

static void
weeks(const struct report *rep, FILE *to)
{
	static const char *const heads[] = { "DEPEND", "BY LOGIN", "BY AUTH",
		NULL };

	title("Moving to SMTP AUTH: users by week", to);
	head("WEEK FROM", heads, to);
	for (int i = 0; i < rep->weeks; i++) {
		name(rep->week[i].label, to);
		number(rep->week[i].never_auth, to);
		number(rep->week[i].by_login, to);
		number(rep->week[i].by_auth, to);
		(void)fputc('\n', to);
	}
}

static void
limits(const struct report *rep, FILE *to)
{
	char when[TIME_TEXT_MAX];
	int n = rep->breaches_kept < LINES ? rep->breaches_kept : LINES;

	title("Limits reached", to);
	if (n == 0)
		(void)fputs("None.\n", to);
	for (int i = 0; i < n; i++) {
		const struct report_breach *b = &rep->breach[i];

		name(b->subject, to);
		(void)fputc(' ', to);
		(void)plain_text(to, b->setting, 40);
		(void)fputc(' ', to);
		(void)plain_text(to, b->allowed, 40);
		(void)fprintf(to, ", %s\n", time_local(b->at_ms / 1000, when));
	}
	part_of(n, rep->breaches, to);
	title("Denied now", to);
	n = rep->denials_kept < LINES ? rep->denials_kept : LINES;
	if (n == 0)
		(void)fputs("Nobody.\n", to);
	for (int i = 0; i < n; i++) {
		name(rep->denial[i].subject, to);
		(void)fputc(' ', to);
		(void)plain_text(to, rep->denial[i].reason, 60);
		(void)fprintf(
		    to, ", until %s\n", time_local(rep->denial[i].until, when));
	}
	part_of(n, rep->denials, to);
}

static void
lines(const struct report_lines *l, enum report_level least, FILE *to)
{
	static const char *const level[] = {
		[REPORT_GOOD] = "good",
		[REPORT_UNKNOWN] = "unknown",
		[REPORT_WARNING] = "warning",
		[REPORT_BAD] = "CRITICAL",
	};

	for (int i = 0; i < l->n; i++) {
		if (l->v[i].level < least)
			continue;
		(void)fprintf(to, "%-8s  ", level[l->v[i].level]);
		(void)plain_text(to, l->v[i].what, 160);
		(void)fputs(": ", to);
		(void)plain_text(to, l->v[i].words, 600);
		(void)fputc('\n', to);
	}
}

static void
state(const struct report *rep, FILE *to)
{
	title("How it stands", to);
	lines(&rep->state, REPORT_GOOD, to);
	title("What the doctor says", to);
	(void)fprintf(to, "(%s)\n", rep->doctor_from);
	if (rep->doctor.n == 0)
		(void)fputs("Nothing to put right.\n", to);
	lines(&rep->doctor, REPORT_GOOD, to);
}

void
report_text(const struct report *rep, FILE *to)
{
	char period[REPORT_PERIOD_MAX];

	(void)fputs("Who relayed through ", to);
	(void)plain_text(to, rep->host, MARKUP_NAME);
	(void)fputc('\n', to);
	(void)plain_text(to, report_period(rep, period), 0);
	(void)fputs("\n\n", to);
	if (report_worst(rep) > REPORT_GOOD) {
		lines(&rep->state, REPORT_UNKNOWN, to);
		lines(&rep->doctor, REPORT_UNKNOWN, to);
		(void)fputc('\n', to);
	}
	summary(rep, to);
	over_time(rep, to);
	rights(rep, to);
	parties(
	    "Clients that relayed most", "CLIENT", "USERS", &rep->clients, to);
	parties("Users who relayed most", "USER", "CLIENTS", &rep->users, to);
	if (rep->fresh_known)
		parties("New addresses", "CLIENT", "USERS", &rep->fresh, to);
	shared(rep, to);
	weeks(rep, to);
	dependents("Users who depend on a login", &rep->depend, to);
	dependents("Users who moved to SMTP AUTH", &rep->moved, to);
	limits(rep, to);
	strangers(rep, to);
	state(rep, to);
}
