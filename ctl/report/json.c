/* SPDX-License-Identifier: ISC */
/* json - a report for programs: one object. */
#include "common/base/json.h"
#include "ctl/out.h"
#include "ctl/report/render.h"

static const char *const levels[] = {
	[REPORT_GOOD] = "good",
	[REPORT_UNKNOWN] = "unknown",
	[REPORT_WARNING] = "warning",
	[REPORT_BAD] = "bad",
};

static void
number_or_null(struct json *j, const char *key, int64_t n)
{
	if (n < 0)
		json_raw(j, key, "null");
	else
		json_number(j, key, n);
}

static void
sums(struct json *j, const struct report_sums *s)
{
	json_number(j, "recipients", s->recipients);
	json_number(j, "accepted", s->accepted);
	json_number(j, "aborted", s->aborted);
	json_number(j, "rejected", s->rejected);
	json_number(j, "tempfailed", s->tempfailed);
	json_number(j, "would_refuse", s->would_refuse);
}

static void
slots(struct json *j, const struct report *rep)
{
	json_open(j, rep->by_hour ? "hours" : "days", '[');
	for (int i = 0; i < rep->slots; i++) {
		json_open(j, NULL, '{');
		json_text(j, rep->by_hour ? "hour" : "day", rep->slot[i].label);
		sums(j, &rep->slot[i].sums);
		json_open(j, "refused", '{');
		for (int r = 0; r < rep->reasons; r++)
			if (rep->slot[i].refused[r] > 0)
				json_number(j, rep->reason[r].name,
				    rep->slot[i].refused[r]);
		json_close(j, '}');
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void
hours_of_day(struct json *j, const struct report *rep)
{
	json_open(j, "hours_of_day", '[');
	for (int i = 0; !rep->by_hour && i < REPORT_CLOCK; i++) {
		json_open(j, NULL, '{');
		json_text(j, "hour", rep->clock[i].label);
		sums(j, &rep->clock[i].sums);
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void
reasons(struct json *j, const struct report *rep)
{
	json_open(j, "reasons", '[');
	for (int i = 0; i < rep->reasons; i++) {
		json_open(j, NULL, '{');
		json_text(j, "reason", rep->reason[i].name);
		sums(j, &rep->reason[i].sums);
		json_close(j, '}');
	}
	json_close(j, ']');
}

/* party, others: "client" and "users", or the other way */
static void
parties(struct json *j, const char *key, const struct report_parties *p,
    const char *party, const char *others)
{
	json_open(j, key, '{');
	json_number(j, "all", p->all);
	json_open(j, "most", '[');
	for (int i = 0; i < p->n; i++) {
		const struct report_party *v = &p->v[i];

		json_open(j, NULL, '{');
		json_text(j, party, v->name);
		sums(j, &v->sums);
		json_number(j, "by_auth", v->by_auth);
		json_number(j, "by_login", v->by_login);
		json_number(j, "by_several", v->by_several);
		json_number(j, "several", v->several);
		number_or_null(j, "senders", v->senders);
		number_or_null(j, others, v->others);
		json_time(j, "first_at", v->first_ms / 1000);
		json_time(j, "last_at", v->last_ms / 1000);
		json_close(j, '}');
	}
	json_close(j, ']');
	json_close(j, '}');
}

static void
dependents(struct json *j, const char *key, const struct report_dependents *d)
{
	json_open(j, key, '{');
	json_number(j, "all", d->all);
	json_open(j, "most", '[');
	for (int i = 0; i < d->n; i++) {
		json_open(j, NULL, '{');
		json_text(j, "user", d->v[i].name);
		json_number(j, "recipients", d->v[i].recipients);
		json_time(j, "login_at", d->v[i].login_at);
		json_time(j, "auth_at", d->v[i].auth_at);
		json_close(j, '}');
	}
	json_close(j, ']');
	json_close(j, '}');
}

static void
weeks(struct json *j, const struct report *rep)
{
	json_open(j, "weeks", '[');
	for (int i = 0; i < rep->weeks; i++) {
		json_open(j, NULL, '{');
		json_text(j, "week", rep->week[i].label);
		json_number(j, "by_login", rep->week[i].by_login);
		json_number(j, "never_auth", rep->week[i].never_auth);
		json_number(j, "by_auth", rep->week[i].by_auth);
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void
limits(struct json *j, const struct report *rep)
{
	json_open(j, "limits", '{');
	json_number(j, "all", rep->breaches);
	json_open(j, "newest", '[');
	for (int i = 0; i < rep->breaches_kept; i++) {
		const struct report_breach *b = &rep->breach[i];

		json_open(j, NULL, '{');
		json_text(j, "kind", b->kind);
		json_text(j, "subject", b->subject);
		json_text(j, "setting", b->setting);
		json_text(j, "allowed", b->allowed);
		json_time(j, "at", b->at_ms / 1000);
		json_time(j, "denied_until", b->denied_until);
		json_time(j, "lifted_at", b->lifted_at_ms / 1000);
		json_close(j, '}');
	}
	json_close(j, ']');
	json_close(j, '}');
	json_open(j, "denials", '{');
	json_number(j, "all", rep->denials);
	json_open(j, "now", '[');
	for (int i = 0; i < rep->denials_kept; i++) {
		const struct report_denial *d = &rep->denial[i];

		json_open(j, NULL, '{');
		json_text(j, "kind", d->kind);
		json_text(j, "subject", d->subject);
		json_text(j, "reason", d->reason);
		json_bool(j, "by_limit", d->by_limit);
		json_time(j, "since", d->since);
		json_time(j, "until", d->until);
		json_close(j, '}');
	}
	json_close(j, ']');
	json_close(j, '}');
}

static void
lines(struct json *j, const char *key, const struct report_lines *l)
{
	json_open(j, key, '[');
	for (int i = 0; i < l->n; i++) {
		json_open(j, NULL, '{');
		json_text(j, "what", l->v[i].what);
		json_text(j, "level", levels[l->v[i].level]);
		json_text(j, "words", l->v[i].words);
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void
head(struct json *j, const struct report *rep)
{
	json_text(j, "host", rep->host);
	json_text(j, "version", rep->version);
	json_text(j, "zone", rep->zone);
	json_time(j, "since", rep->since);
	json_time(j, "until", rep->until);
	json_time(j, "made_at", rep->now);
	json_time(j, "recorded_since", rep->recorded_ms / 1000);
}

void
report_json(const struct report *rep, FILE *to)
{
	struct json j = { .to = to };

	json_open(&j, NULL, '{');
	head(&j, rep);
	json_open(&j, "relays", '{');
	sums(&j, &rep->sums);
	json_number(&j, "clients_asked", rep->clients_asked);
	json_number(&j, "local", rep->local);
	json_close(&j, '}');
	slots(&j, rep);
	hours_of_day(&j, rep);
	reasons(&j, rep);
	parties(&j, "clients", &rep->clients, "client", "users");
	parties(&j, "users", &rep->users, "user", "clients");
	json_bool(&j, "new_clients_known", rep->fresh_known);
	parties(&j, "new_clients", &rep->fresh, "client", "users");
	parties(&j, "refused_clients", &rep->strangers, "client", "users");
	parties(&j, "shared_clients", &rep->shared, "client", "users");
	json_bool(&j, "too_many_clients", rep->cut);
	dependents(&j, "depend", &rep->depend);
	dependents(&j, "moved", &rep->moved);
	json_number(&j, "users_of_both", rep->both);
	weeks(&j, rep);
	limits(&j, rep);
	lines(&j, "state", &rep->state);
	number_or_null(&j, "lag_s", rep->lag_s);
	json_time(&j, "milter_started_at", rep->milter_started_at);
	lines(&j, "doctor", &rep->doctor);
	json_text(&j, "doctor_from", rep->doctor_from);
	json_close(&j, '}');
	json_line(&j);
}
