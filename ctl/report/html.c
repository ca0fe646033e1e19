/* SPDX-License-Identifier: ISC */
/* html - a report as one page: no script, and nothing that is loaded. The
 * first screen says what matters, charts say how it went, tables say it all. */
#include <inttypes.h>
#include <string.h>

#include "ctl/report/chart.h"
#include "ctl/report/html_tables.h"
#include "ctl/report/markup.h"
#include "ctl/report/render.h"
#include "ctl/report/style.h"

enum { REASONS_DRAWN = 5 };

/* --- the head --- */

static void
badge(const struct report *rep, FILE *to)
{
	static const struct {
		const char *css, *words;
	} all[] = {
		[REPORT_GOOD] = { "good", "All is well" },
		[REPORT_UNKNOWN] = { "warn",
		    "Something couldn't be looked at" },
		[REPORT_WARNING] = { "warn", "Something to put right" },
		[REPORT_BAD] = { "bad", "Needs you now" },
	};
	enum report_level worst = report_worst(rep);

	(void)fprintf(to, "<p class=\"badge %s\">%s</p>\n", all[worst].css,
	    all[worst].words);
}

static void
head(const struct report *rep, FILE *to)
{
	char period[REPORT_PERIOD_MAX];

	(void)fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
		    "<meta charset=\"utf-8\">\n"
		    "<meta name=\"viewport\" content=\"width=device-width, "
		    "initial-scale=1\">\n"
		    "<meta name=\"color-scheme\" content=\"light dark\">\n"
		    "<meta name=\"referrer\" content=\"no-referrer\">\n"
		    "<meta http-equiv=\"Content-Security-Policy\" content=\""
		    "default-src 'none'; style-src 'unsafe-inline'\">\n<title>",
	    to);
	(void)fputs("popgate on ", to);
	markup_text(to, rep->host, MARKUP_NAME);
	(void)fputs("</title>\n<style>\n", to);
	for (int i = 0; report_style[i] != NULL; i++)
		(void)fputs(report_style[i], to);
	(void)fputs("</style>\n</head>\n<body>\n", to);
	(void)fputs("<a class=\"skip\" href=\"#main\">To the report</a>\n"
		    "<header>\n<h1>Who relayed through ",
	    to);
	markup_text(to, rep->host, MARKUP_NAME);
	(void)fputs("</h1>\n<p class=\"soft\">", to);
	markup_text(to, report_period(rep, period), 0);
	(void)fputs("</p>\n", to);
	badge(rep, to);
	(void)fputs("<nav aria-label=\"Sections\"><ul>"
		    "<li><a href=\"#time\">Over time</a></li>"
		    "<li><a href=\"#rights\">By which right</a></li>"
		    "<li><a href=\"#clients\">Clients</a></li>"
		    "<li><a href=\"#users\">Users</a></li>"
		    "<li><a href=\"#new\">New addresses</a></li>"
		    "<li><a href=\"#moving\">Moving to AUTH</a></li>"
		    "<li><a href=\"#limits\">Limits</a></li>"
		    "<li><a href=\"#shared\">Shared addresses</a></li>"
		    "<li><a href=\"#refused\">Refused most</a></li>"
		    "<li><a href=\"#state\">State</a></li>"
		    "<li><a href=\"#doctor\">Doctor</a></li>"
		    "</ul></nav>\n</header>\n<main id=\"main\">\n",
	    to);
}

static void
tile(const char *id, const char *what, int64_t n, const char *more,
    const char *colour, FILE *to)
{
	(void)fprintf(to,
	    "<div style=\"--tile:var(--%s)\"><dt>%s</dt><dd id=\"n-%s\">",
	    colour, what, id);
	markup_number(to, n);
	if (more != NULL)
		(void)fprintf(to, "<small>%s</small>", more);
	(void)fputs("</dd></div>\n", to);
}

static void
tiles(const struct report *rep, FILE *to)
{
	const struct report_sums *s = &rep->sums;

	(void)fputs("<dl class=\"tiles\">\n", to);
	tile("accepted", "Relayed", s->accepted, "recipients", "v1", to);
	tile("rejected", "Refused", s->rejected, "recipients", "v2", to);
	tile("tempfailed", "Put off", s->tempfailed, "temporary failures", "v3",
	    to);
	if (s->aborted > 0)
		tile("aborted", "Given up", s->aborted, "by the client", "v4",
		    to);
	if (s->would_refuse > 0)
		tile("would_refuse", "Monitored", s->would_refuse,
		    "would have been refused", "v5", to);
	tile("clients", "Clients that relayed", rep->clients.all, NULL, "v1",
	    to);
	tile("new", "New addresses", rep->fresh_known ? rep->fresh.all : -1,
	    NULL, rep->fresh.all > 0 ? "v3" : "soft", to);
	tile("depend", "Depend on a login", rep->depend.all,
	    "users without SMTP AUTH", "v2", to);
	tile("moved", "Moved to AUTH", rep->moved.all,
	    "users, as far as recorded", "good", to);
	tile("limits", "Limits reached", rep->breaches, NULL,
	    rep->breaches > 0 ? "bad" : "soft", to);
	tile("denials", "Denied now", rep->denials, NULL, "soft", to);
	tile("local", "To our own", rep->local, "recipients, only counted",
	    "soft", to);
	(void)fputs("</dl>\n", to);
}

static const char *
level_css(enum report_level level)
{
	return level == REPORT_BAD ? "bad"
	    : level == REPORT_GOOD ? "good"
				   : "warn";
}

static void
note(const struct report_line *line, FILE *to)
{
	(void)fprintf(
	    to, "<li class=\"%s\"><span><strong>", level_css(line->level));
	markup_text(to, line->what, 160);
	(void)fputs("</strong>: ", to);
	markup_text(to, line->words, 600);
	(void)fputs("</span></li>\n", to);
}

/* Before all else: the parts of state and doctor that aren't good. */
static void
attention(const struct report *rep, FILE *to)
{
	const struct report_lines *both[] = { &rep->state, &rep->doctor };

	if (report_worst(rep) == REPORT_GOOD)
		return;
	(void)fputs("<section id=\"attention\" class=\"wide\">\n"
		    "<h2>What needs attention</h2>\n<ul class=\"notes\">\n",
	    to);
	for (int level = REPORT_BAD; level > REPORT_GOOD; level--)
		for (int b = 0; b < 2; b++)
			for (int i = 0; i < both[b]->n; i++)
				if (both[b]->v[i].level ==
				    (enum report_level)level)
					note(&both[b]->v[i], to);
	(void)fputs("</ul>\n</section>\n", to);
}

/* --- over time --- */

static const char *
slot_label(const void *arg, int i)
{
	return ((const struct report_slot *)arg)[i].label;
}

static int64_t
slot_verdict(const void *arg, int i, int series)
{
	const struct report_sums *s =
	    &((const struct report_slot *)arg)[i].sums;
	const int64_t v[] = { s->accepted, s->rejected, s->tempfailed,
		s->aborted, s->would_refuse };

	return v[series];
}

/* Columns of n slots by verdict; of verdicts that are rare, those that came. */
static void
draw_verdicts(const struct report *rep, const char *id, const char *title,
    const struct report_slot *v, int n, FILE *to)
{
	static const char *const series[] = { "relayed", "refused", "put off",
		"given up", "monitored" };
	const struct chart c = {
		.id = id,
		.title = title,
		.unit = "recipients",
		.series = series,
		.n_series = rep->sums.would_refuse > 0 ? 5
		    : rep->sums.aborted > 0            ? 4
						       : 3,
		.css = "v",
		.n = n,
		.label = slot_label,
		.value = slot_verdict,
		.arg = v,
	};

	chart_columns(&c, to);
}

static const char *
reason_label(const void *arg, int i)
{
	return slot_label(((const struct report *)arg)->slot, i);
}

/* By reason: the first few, and the rest as one. */
static int64_t
slot_reason(const void *arg, int i, int series)
{
	const struct report *rep = arg;
	int place = 0;
	int64_t rest = 0;

	for (int r = 0; r < rep->reasons; r++) {
		const struct report_sums *s = &rep->reason[r].sums;

		if (s->recipients == s->accepted + s->aborted)
			continue;
		if (place == series && series < REASONS_DRAWN)
			return rep->slot[i].refused[r];
		if (place >= REASONS_DRAWN)
			rest += rep->slot[i].refused[r];
		place++;
	}
	return series == REASONS_DRAWN ? rest : 0;
}

/* How many series slot_reason() has; their names. */
static int
refusing(const struct report *rep, const char *names[REASONS_DRAWN + 1])
{
	int n = 0;

	for (int r = 0; r < rep->reasons; r++) {
		const struct report_sums *s = &rep->reason[r].sums;

		if (s->recipients == s->accepted + s->aborted)
			continue;
		if (n == REASONS_DRAWN) {
			names[n++] = "other reasons";
			break;
		}
		names[n++] = report_reason_words(rep->reason[r].name);
	}
	return n;
}

static void
over_time(const struct report *rep, bool open, FILE *to)
{
	(void)fprintf(to,
	    "<section id=\"time\" class=\"wide\">\n"
	    "<h2>Relays and refusals by %s</h2>\n",
	    rep->by_hour ? "hour" : "day");
	draw_verdicts(rep, "chart-time",
	    rep->by_hour ? "Recipients by hour and verdict"
			 : "Recipients by day and verdict",
	    rep->slot, rep->slots, to);
	html_slots(rep, open, to);
	(void)fputs("</section>\n", to);
}

/* Over days, the hours show who sends when nobody works. */
static void
hours_of_day(const struct report *rep, bool open, FILE *to)
{
	if (rep->by_hour)
		return;
	(void)fputs(
	    "<section id=\"clock\">\n<h2>By hour of the day</h2>\n", to);
	draw_verdicts(rep, "chart-clock",
	    "Recipients by hour of the day and verdict", rep->clock,
	    REPORT_CLOCK, to);
	html_clock(rep, open, to);
	(void)fputs("</section>\n", to);
}

static void
refusals(const struct report *rep, bool open, FILE *to)
{
	const char *names[REASONS_DRAWN + 1];
	const struct chart c = {
		.id = "chart-reasons",
		.title = "Refused and put off, by reason",
		.unit = "recipients",
		.series = names,
		.n_series = refusing(rep, names),
		.css = "r",
		.n = rep->slots,
		.label = reason_label,
		.value = slot_reason,
		.arg = rep,
	};

	(void)fputs("<section id=\"reasons\">\n"
		    "<h2>Refused and put off, by reason</h2>\n",
	    to);
	if (c.n_series == 0)
		(void)fputs("<p>Nothing was refused.</p>\n", to);
	else {
		chart_columns(&c, to);
		html_refusals(rep, open, to);
	}
	(void)fputs("</section>\n", to);
}

/* --- moving to AUTH --- */

static const char *
week_label(const void *arg, int i)
{
	return ((const struct report *)arg)->week[i].label;
}

static int64_t
week_users(const void *arg, int i, int series)
{
	const struct report_week *w = &((const struct report *)arg)->week[i];

	return series == 0 ? w->never_auth
	    : series == 1  ? w->by_login
			   : w->by_auth;
}

static void
moving(const struct report *rep, bool open, FILE *to)
{
	static const char *const series[] = { "depend on a login",
		"relay by a login", "use SMTP AUTH" };
	const struct chart c = {
		.id = "chart-weeks",
		.title =
		    "Users by week: those who depend on a login, relay by one, use SMTP AUTH",
		.unit = "users",
		.series = series,
		.n_series = 3,
		.css = "w",
		.n = rep->weeks,
		.label = week_label,
		.value = week_users,
		.arg = rep,
	};

	(void)fputs("<section id=\"moving\" class=\"wide\">\n"
		    "<h2>Moving to SMTP AUTH</h2>\n"
		    "<p>Once nobody depends on a login, POP-before-SMTP can be "
		    "turned off. Users by week, as far as the record goes "
		    "back:</p>\n",
	    to);
	if (rep->weeks > 0) {
		chart_lines(&c, to);
		html_weeks(rep, open, to);
	}
	html_dependents(rep, to);
	(void)fputs("</section>\n", to);
}

/* --- the foot --- */

static void
foot(const struct report *rep, FILE *to)
{
	(void)fprintf(to,
	    "</div>\n</main>\n<footer>\n"
	    "<p>A recipient counts once, however many channels saw it. The "
	    "same numbers: <code>popgatectl stats --since @%" PRId64
	    " --until @%" PRId64 " --by %s</code>.</p>\n<p>All times: ",
	    rep->since, rep->until, rep->by_hour ? "hour" : "day");
	markup_text(to, rep->zone, 0);
	(void)fputs(". Recorded since ", to);
	markup_time(to, rep->recorded_ms / 1000);
	(void)fputs("; made ", to);
	markup_time(to, rep->now);
	(void)fputs(" by popgate ", to);
	markup_text(to, rep->version, 0);
	(void)fputs(".</p>\n</footer>\n</body>\n</html>\n", to);
}

void
report_html(const struct report *rep, bool open, FILE *to)
{
	head(rep, to);
	tiles(rep, to);
	(void)fputs("<div class=\"cards\">\n", to);
	attention(rep, to);
	over_time(rep, open, to);
	hours_of_day(rep, open, to);
	refusals(rep, open, to);
	html_rights(rep, to);
	html_clients(rep, to);
	html_users(rep, to);
	html_fresh(rep, to);
	html_shared(rep, to);
	moving(rep, open, to);
	html_limits(rep, to);
	html_strangers(rep, to);
	html_state(rep, to);
	html_doctor(rep, to);
	foot(rep, to);
}
