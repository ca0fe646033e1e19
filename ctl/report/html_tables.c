/* SPDX-License-Identifier: ISC */
#include "ctl/report/html_tables.h"

#include <string.h>

#include "ctl/report/chart.h"
#include "ctl/report/markup.h"
#include "ctl/report/render.h"

/* --- what tables are made of --- */

/* heads: the first is of the row's name; "<" before one: its column is text.
 * Ends with NULL. Tables scroll in a box that keys reach. */
static void
table(const char *caption, const char *const *heads, FILE *to)
{
	(void)fprintf(to,
	    "<div class=\"scroll\" role=\"region\" tabindex=\"0\" "
	    "aria-label=\"%s\"><table>\n<caption>%s</caption>\n<thead><tr>",
	    caption, caption);
	for (int i = 0; heads[i] != NULL; i++)
		(void)fprintf(to, "<th scope=\"col\"%s>%s</th>",
		    *heads[i] == '<' ? " class=\"l\"" : "",
		    heads[i] + (*heads[i] == '<'));
	(void)fputs("</tr></thead>\n<tbody>\n", to);
}

static void
table_end(FILE *to)
{
	(void)fputs("</tbody></table></div>\n", to);
}

static void
row(const char *name, FILE *to)
{
	(void)fputs("<tr><th scope=\"row\">", to);
	markup_name(to, name);
	(void)fputs("</th>", to);
}

static void
row_end(FILE *to)
{
	(void)fputs("</tr>\n", to);
}

static void
number(int64_t n, FILE *to)
{
	(void)fputs("<td>", to);
	markup_number(to, n);
	(void)fputs("</td>", to);
}

static void
moment(int64_t at, FILE *to)
{
	(void)fputs("<td>", to);
	markup_time(to, at);
	(void)fputs("</td>", to);
}

static void
words(const char *text, FILE *to)
{
	(void)fputs("<td class=\"l\">", to);
	markup_text(to, text, 160);
	(void)fputs("</td>", to);
}

static void
bar(int64_t part, int64_t whole, const char *css, FILE *to)
{
	(void)fputs("<td class=\"b\">", to);
	chart_bar(part, whole, css, to);
	(void)fputs("</td>", to);
}

static void
fold(bool open, FILE *to)
{
	(void)fprintf(to, "<details%s><summary>All numbers</summary>\n",
	    open ? " open" : "");
}

static void
section(const char *id, const char *title, FILE *to)
{
	(void)fprintf(to, "<section id=\"%s\">\n<h2>%s</h2>\n", id, title);
}

/* Begin a section as wide as the page, for tables with many columns. */
static void
wide_section(const char *id, const char *title, FILE *to)
{
	(void)fprintf(
	    to, "<section id=\"%s\" class=\"wide\">\n<h2>%s</h2>\n", id, title);
}

static void
section_end(FILE *to)
{
	(void)fputs("</section>\n", to);
}

/* "The first 20 of 1,234." where a table has not all rows. */
static void
part_of(int n, int64_t all, FILE *to)
{
	char buf[32];

	if (all > n)
		(void)fprintf(to, "<p class=\"soft\">The first %d of %s.</p>\n",
		    n, number_text(all, buf));
}

static void
sums(const struct report_sums *s, FILE *to)
{
	number(s->recipients, to);
	number(s->accepted, to);
	number(s->rejected, to);
	number(s->tempfailed, to);
	number(s->aborted, to);
	number(s->would_refuse, to);
}

/* --- behind the charts --- */

/* all: NULL, or the last row. */
static void
slots(const char *caption, const char *first, const struct report_slot *v,
    int n, const struct report_sums *all, bool open, FILE *to)
{
	const char *const heads[] = { first, "Recipients", "Relayed", "Refused",
		"Put off", "Given up", "Monitored", NULL };

	fold(open, to);
	table(caption, heads, to);
	for (int i = 0; i < n; i++) {
		row(v[i].label, to);
		sums(&v[i].sums, to);
		row_end(to);
	}
	if (all != NULL) {
		(void)fputs("</tbody>\n<tbody class=\"sum\">\n", to);
		row("All", to);
		sums(all, to);
		row_end(to);
	}
	table_end(to);
	(void)fputs("</details>\n", to);
}

void
html_slots(const struct report *rep, bool open, FILE *to)
{
	slots("Recipients by time and verdict", "Begin", rep->slot, rep->slots,
	    &rep->sums, open, to);
}

void
html_clock(const struct report *rep, bool open, FILE *to)
{
	slots("Recipients by hour of the day and verdict", "Hour", rep->clock,
	    REPORT_CLOCK, NULL, open, to);
}

void
html_refusals(const struct report *rep, bool open, FILE *to)
{
	static const char *const heads[] = { "Begin", "<Reason", "Recipients",
		NULL };

	fold(open, to);
	table("Refused and put off by time and reason", heads, to);
	for (int i = 0; i < rep->slots; i++)
		for (int r = 0; r < rep->reasons; r++) {
			if (rep->slot[i].refused[r] == 0)
				continue;
			row(rep->slot[i].label, to);
			words(report_reason_words(rep->reason[r].name), to);
			number(rep->slot[i].refused[r], to);
			row_end(to);
		}
	table_end(to);
	(void)fputs("</details>\n", to);
}

void
html_weeks(const struct report *rep, bool open, FILE *to)
{
	static const char *const heads[] = { "Week from", "Depend on a login",
		"Relay by a login", "Use SMTP AUTH", NULL };

	fold(open, to);
	table("Users by week", heads, to);
	for (int i = 0; i < rep->weeks; i++) {
		row(rep->week[i].label, to);
		number(rep->week[i].never_auth, to);
		number(rep->week[i].by_login, to);
		number(rep->week[i].by_auth, to);
		row_end(to);
	}
	table_end(to);
	(void)fputs("</details>\n", to);
}

static void
dependents(const char *id, const char *title, const char *none,
    const struct report_dependents *d, FILE *to)
{
	static const char *const heads[] = { "User", "By a login",
		"Last by a login", "Last SMTP AUTH", NULL };

	(void)fprintf(to, "<div id=\"%s\">\n<h3>%s</h3>\n", id, title);
	if (d->n == 0)
		(void)fprintf(to, "<p>%s</p>\n", none);
	else {
		table(title, heads, to);
		for (int i = 0; i < d->n; i++) {
			row(d->v[i].name, to);
			number(d->v[i].recipients, to);
			moment(d->v[i].login_at, to);
			moment(d->v[i].auth_at, to);
			row_end(to);
		}
		table_end(to);
		part_of(d->n, d->all, to);
	}
	(void)fputs("</div>\n", to);
}

void
html_dependents(const struct report *rep, FILE *to)
{
	dependents("depend", "Users who depend on a login",
	    "Nobody: all who relayed by a login use SMTP AUTH, too.",
	    &rep->depend, to);
	dependents("moved", "Users who moved to SMTP AUTH",
	    "Nobody, as far as the record goes back.", &rep->moved, to);
	(void)fputs("<p>Users of both: ", to);
	markup_number(to, rep->both);
	(void)fputs(". <code>popgatectl dependents</code> says with what "
		    "device each of them relays.</p>\n",
	    to);
}

/* --- sections --- */

void
html_rights(const struct report *rep, FILE *to)
{
	static const char *const heads[] = { "Right or reason", "",
		"Recipients", "Relayed", "Refused", "Put off", "Given up",
		"Monitored", NULL };
	int64_t most = rep->reasons > 0 ? rep->reason[0].sums.recipients : 0;

	/* beside the refusals only where no hours of the day are */
	(rep->by_hour ? section : wide_section)(
	    "rights", "By which right, or why not", to);
	table("Recipients by right to relay, or reason of the refusal", heads,
	    to);
	for (int i = 0; i < rep->reasons; i++) {
		const struct report_sums *s = &rep->reason[i].sums;

		(void)fputs("<tr><th scope=\"row\" title=\"", to);
		markup_text(to, rep->reason[i].name, 0);
		(void)fputs("\">", to);
		markup_text(to, report_reason_words(rep->reason[i].name), 0);
		(void)fputs("</th>", to);
		bar(s->recipients, most,
		    s->accepted + s->aborted == s->recipients ? "v1" : "v2",
		    to);
		sums(s, to);
		row_end(to);
	}
	table_end(to);
	section_end(to);
}

static const char *
right_of(const struct report_party *p)
{
	int64_t other = p->sums.accepted - p->by_auth - p->by_login;

	return p->by_login > 0 && p->by_auth > 0 ? "login and AUTH"
	    : p->by_login > 0                    ? "login"
	    : p->by_auth > 0                     ? "AUTH"
	    : other > 0                          ? "other right"
						 : "none";
}

/* name, others: "Client" and "Users", or the other way */
static void
parties(const char *title, const char *const *heads,
    const struct report_parties *p, FILE *to)
{
	int64_t most = p->n > 0 ? p->v[0].sums.accepted : 0;

	table(title, heads, to);
	for (int i = 0; i < p->n; i++) {
		const struct report_party *v = &p->v[i];

		row(v->name, to);
		bar(v->sums.accepted, most, "v1", to);
		number(v->sums.accepted, to);
		number(v->by_login, to);
		number(v->by_auth, to);
		number(v->sums.rejected, to);
		number(v->sums.tempfailed, to);
		number(v->senders, to);
		number(v->others, to);
		moment(v->last_ms / 1000, to);
		row_end(to);
	}
	table_end(to);
	part_of(p->n, p->all, to);
}

static void
cut_note(const struct report *rep, FILE *to)
{
	if (rep->cut)
		(void)fputs("<p class=\"soft\">There were too many clients to "
			    "tell all of them apart: late ones are missing "
			    "here.</p>\n",
		    to);
	if (rep->senders_cut)
		(void)fputs("<p class=\"soft\">There were too many sender "
			    "addresses to count.</p>\n",
		    to);
}

void
html_clients(const struct report *rep, FILE *to)
{
	static const char *const heads[] = { "Client", "", "Relayed",
		"by login", "by AUTH", "Refused", "Put off", "Senders", "Users",
		"Last", NULL };

	wide_section("clients", "Clients that relayed most", to);
	if (rep->clients.n == 0)
		(void)fputs("<p>No client relayed.</p>\n", to);
	else
		parties("Clients that relayed, by recipients", heads,
		    &rep->clients, to);
	cut_note(rep, to);
	section_end(to);
}

void
html_users(const struct report *rep, FILE *to)
{
	static const char *const heads[] = { "User", "", "Relayed", "by login",
		"by AUTH", "Refused", "Put off", "Senders", "Clients", "Last",
		NULL };

	wide_section("users", "Users who relayed most", to);
	if (rep->users.n == 0)
		(void)fputs("<p>No user is known to have relayed.</p>\n", to);
	else
		parties(
		    "Users who relayed, by recipients", heads, &rep->users, to);
	section_end(to);
}

void
html_fresh(const struct report *rep, FILE *to)
{
	static const char *const heads[] = { "Client", "Relayed", "<Right",
		"Users", "First seen", NULL };

	section("new", "New addresses", to);
	if (!rep->fresh_known)
		(void)fputs("<p>The record of decisions does not reach back "
			    "behind this time: which addresses are new is not "
			    "known yet.</p>\n",
		    to);
	else if (rep->fresh.n == 0)
		(void)fputs("<p>None: each client that relayed had been "
			    "recorded before.</p>\n",
		    to);
	else {
		(void)fputs("<p>Clients that relayed, and of which nothing is "
			    "recorded from before.</p>\n",
		    to);
		table("New addresses, by recipients", heads, to);
		for (int i = 0; i < rep->fresh.n; i++) {
			const struct report_party *v = &rep->fresh.v[i];

			row(v->name, to);
			number(v->sums.accepted, to);
			words(right_of(v), to);
			number(v->others, to);
			moment(v->first_ms / 1000, to);
			row_end(to);
		}
		table_end(to);
		part_of(rep->fresh.n, rep->fresh.all, to);
	}
	section_end(to);
}

void
html_shared(const struct report *rep, FILE *to)
{
	static const char *const heads[] = { "Client", "Relayed so",
		"Users at once", "Last", NULL };

	section("shared", "Shared addresses", to);
	if (rep->shared.n == 0)
		(void)fputs("<p>No client relayed by logins of several "
			    "users.</p>\n",
		    to);
	else {
		(void)fputs("<p>Clients that relayed by logins of several "
			    "users, or of nobody by name: who of those behind "
			    "the address sent the mail is not known.</p>\n",
		    to);
		table("Shared addresses, by recipients", heads, to);
		for (int i = 0; i < rep->shared.n; i++) {
			const struct report_party *v = &rep->shared.v[i];

			row(v->name, to);
			number(v->by_several, to);
			number(v->several > 0 ? v->several : -1, to);
			moment(v->last_ms / 1000, to);
			row_end(to);
		}
		table_end(to);
		part_of(rep->shared.n, rep->shared.all, to);
	}
	section_end(to);
}

void
html_strangers(const struct report *rep, FILE *to)
{
	static const char *const heads[] = { "Client", "", "Refused", "Put off",
		"Monitored", "Relayed", "Senders", "Last", NULL };
	const struct report_parties *p = &rep->strangers;
	int64_t most = 0;

	section("refused", "Refused most", to);
	if (p->n == 0)
		(void)fputs("<p>No client was refused.</p>\n", to);
	else {
		const struct report_sums *first = &p->v[0].sums;

		most =
		    first->rejected + first->tempfailed + first->would_refuse;
		table("Clients that were refused, by recipients", heads, to);
	}
	for (int i = 0; i < p->n; i++) {
		const struct report_sums *s = &p->v[i].sums;

		row(p->v[i].name, to);
		bar(s->rejected + s->tempfailed + s->would_refuse, most, "v2",
		    to);
		number(s->rejected, to);
		number(s->tempfailed, to);
		number(s->would_refuse, to);
		number(s->accepted, to);
		number(p->v[i].senders, to);
		moment(p->v[i].last_ms / 1000, to);
		row_end(to);
	}
	if (p->n > 0)
		table_end(to);
	part_of(p->n, p->all, to);
	section_end(to);
}

static void
breaches(const struct report *rep, FILE *to)
{
	static const char *const heads[] = { "Client or user", "<Limit",
		"<Value", "When", "Denied until", "Let in again", NULL };

	(void)fputs("<h3>Limits reached</h3>\n", to);
	if (rep->breaches_kept == 0) {
		(void)fputs("<p>None.</p>\n", to);
		return;
	}
	table("Limits reached, the newest first", heads, to);
	for (int i = 0; i < rep->breaches_kept; i++) {
		const struct report_breach *b = &rep->breach[i];

		row(b->subject, to);
		words(b->setting, to);
		words(b->allowed, to);
		moment(b->at_ms / 1000, to);
		moment(b->denied_until, to);
		moment(b->lifted_at_ms / 1000, to);
		row_end(to);
	}
	table_end(to);
	part_of(rep->breaches_kept, rep->breaches, to);
}

void
html_limits(const struct report *rep, FILE *to)
{
	static const char *const heads[] = { "Client or user", "<Why", "<By",
		"Since", "Until", NULL };

	section("limits", "Limits and denials", to);
	breaches(rep, to);
	(void)fputs("<h3>Denied now</h3>\n", to);
	if (rep->denials_kept == 0)
		(void)fputs("<p>Nobody.</p>\n", to);
	else {
		table("Who is denied now", heads, to);
		for (int i = 0; i < rep->denials_kept; i++) {
			const struct report_denial *d = &rep->denial[i];

			row(d->subject, to);
			words(d->reason, to);
			words(d->by_limit ? "a limit" : "an admin", to);
			moment(d->since, to);
			moment(d->until, to);
			row_end(to);
		}
		table_end(to);
		part_of(rep->denials_kept, rep->denials, to);
	}
	section_end(to);
}

static void
lines(const char *caption, const struct report_lines *l, FILE *to)
{
	static const char *const heads[] = { "What", "<State", "<In words",
		NULL };
	static const char *const level[] = {
		[REPORT_GOOD] = "good",
		[REPORT_UNKNOWN] = "unknown",
		[REPORT_WARNING] = "warning",
		[REPORT_BAD] = "critical",
	};

	table(caption, heads, to);
	for (int i = 0; i < l->n; i++) {
		row(l->v[i].what, to);
		words(level[l->v[i].level], to);
		(void)fputs("<td class=\"l\">", to);
		markup_text(to, l->v[i].words, 600);
		(void)fputs("</td>", to);
		row_end(to);
	}
	table_end(to);
	part_of(l->n, l->all, to);
}

void
html_state(const struct report *rep, FILE *to)
{
	wide_section("state", "Lag, restarts, and all that popgate is", to);
	(void)fputs("<p>The slowest log was read ", to);
	markup_number(to, rep->lag_s);
	(void)fputs(" seconds ago. popgate-milter has been running since ", to);
	markup_time(to, rep->milter_started_at);
	(void)fputs(".</p>\n", to);
	lines("What popgatectl status says", &rep->state, to);
	section_end(to);
}

void
html_doctor(const struct report *rep, FILE *to)
{
	section("doctor", "What the doctor says", to);
	(void)fputs("<p class=\"soft\">Is this server an open relay, or close "
		    "to it? ",
	    to);
	markup_text(to, rep->doctor_from, 0);
	(void)fputs(".</p>\n", to);
	if (rep->doctor.n == 0)
		(void)fputs("<p>Nothing to put right.</p>\n", to);
	else
		lines("What popgatectl doctor found", &rep->doctor, to);
	section_end(to);
}
