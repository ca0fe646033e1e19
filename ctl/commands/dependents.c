/* SPDX-License-Identifier: ISC */
/* dependents - who relays by a login, as a list to write to, and who has
 * moved to SMTP AUTH. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/err.h"
#include "ctl/commands.h"
#include "ctl/dependents.h"
#include "ctl/out.h"
#include "ctl/text_table.h"
#include "ctl/times.h"

enum { OPT_SINCE, OPT_MOVED, OPT_WEEKS, OPT_MERGE, OPT_JSON };

static const struct ctl_option options[] = {
	[OPT_SINCE] = { "since", "TIME", "default 30d (ago)" },
	[OPT_MOVED] = { "moved", NULL,
	    "those who use SMTP AUTH, too: have they moved?" },
	[OPT_WEEKS] = { "weeks", NULL, "how many there were each week" },
	[OPT_MERGE] = { "mail-merge", NULL,
	    "CSV with a line of heads, for letters" },
	[OPT_JSON] = { "json", NULL, "a JSON object a line" },
	{ 0 },
};

/* "2026-11-30" */
static const char *
day(int64_t at, char *buf)
{
	(void)time_local(at, buf);
	if (at != 0)
		buf[strcspn(buf, " ")] = '\0';
	return buf;
}

/* Is the user on the list? Those are who depend, or with --moved those who use
 * AUTH, too; in any case only who relayed by a login since then. */
static bool
listed(const struct dependent *u, bool moved, int64_t since)
{
	return u->first_at != 0 && u->last_at >= since &&
	    (u->state != DEPENDENT_DEPENDS) == moved;
}

/* --- for programs --- */

static void
print_devices(struct json *j, const struct dependent *u)
{
	char text[ADDR_TEXT_MAX];

	json_open(j, "devices", '[');
	for (int i = 0; i < u->n_devices; i++) {
		json_open(j, NULL, '{');
		json_text(j, "helo", u->device[i].helo);
		json_text(j, "sender", u->device[i].sender);
		json_number(j, "recipients", u->device[i].recipients);
		json_time(j, "last_at", u->device[i].last_at);
		json_close(j, '}');
	}
	json_close(j, ']');
	json_open(j, "addresses", '[');
	for (int i = 0; i < u->n_addresses; i++) {
		json_open(j, NULL, '{');
		json_text(
		    j, "client", addr_format(&u->address[i].client, text));
		json_number(j, "recipients", u->address[i].recipients);
		json_time(j, "last_at", u->address[i].last_at);
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void
print_json(const struct dependent *u)
{
	struct json j = { .to = stdout };

	json_open(&j, NULL, '{');
	json_text(&j, "user", u->user);
	json_text(&j, "state", dependent_state_name(u->state));
	json_number(&j, "recipients", u->recipients);
	json_number(&j, "messages", u->messages);
	json_number(&j, "clients", u->addresses);
	json_time(&j, "first_at", u->first_at);
	json_time(&j, "last_at", u->last_at);
	json_time(&j, "auth_first_at", u->auth_first_at);
	json_time(&j, "auth_at", u->auth_at);
	print_devices(&j, u);
	json_close(&j, '}');
	json_line(&j);
}

/* Lines end in CR LF: RFC 4180 section 2. */
static void
merge_number(uint32_t n)
{
	(void)printf(",%" PRIu32, n);
}

/* The address to write to: the user's name where it is one, else what the
 * user's mail program sends as. */
static const char *
address_of(const struct dependent *u)
{
	if (strchr(u->user, '@') != NULL)
		return u->user;
	for (int i = 0; i < u->n_devices; i++)
		if (strchr(u->device[i].sender, '@') != NULL)
			return u->device[i].sender;
	return "";
}

static void
print_merge(const struct dependent *u)
{
	char first[TIME_TEXT_MAX], last[TIME_TEXT_MAX], auth[TIME_TEXT_MAX],
	    client[ADDR_TEXT_MAX] = "";

	if (u->n_addresses > 0)
		(void)addr_format(&u->address[0].client, client);
	csv_cell(u->user, true);
	csv_cell(address_of(u), false);
	csv_cell(dependent_state_name(u->state), false);
	csv_cell(day(u->first_at, first), false);
	csv_cell(day(u->last_at, last), false);
	merge_number(u->recipients);
	merge_number(u->messages);
	merge_number(u->addresses);
	csv_cell(client, false);
	csv_cell(u->n_devices > 0 ? u->device[0].helo : "", false);
	csv_cell(u->n_devices > 0 ? u->device[0].sender : "", false);
	csv_cell(u->auth_at == 0 ? "" : day(u->auth_at, auth), false);
	(void)fputs("\r\n", stdout);
}

/* --- for people --- */

static void
print_row(const struct ctl *ctl, struct table *t, const struct dependent *u,
    bool moved)
{
	char buf[TIME_TEXT_MAX], client[ADDR_TEXT_MAX] = "-";

	table_cell(t, u->user);
	if (moved)
		table_cell(t, dependent_state_name(u->state));
	table_cell(t, day(u->first_at, buf));
	table_number(t, u->recipients);
	table_number(t, u->messages);
	table_number(t, u->addresses);
	table_cell(t, time_relative(u->last_at, ctl->now, buf));
	if (moved) {
		table_cell(t, time_relative(u->auth_at, ctl->now, buf));
		return;
	}
	if (u->n_addresses > 0)
		(void)addr_format(&u->address[0].client, client);
	table_cell(t, client);
	table_cell(t, u->n_devices > 0 ? u->device[0].helo : "-");
	table_cell(t, u->n_devices > 0 ? u->device[0].sender : "-");
}

static int64_t
print_table(const struct ctl *ctl, const struct dependents *d, bool moved,
    int64_t since)
{
	static const char *const depend[] = { "USER", "SINCE", "RECIPIENTS",
		"MESSAGES", "CLIENTS", "LAST RELAY", "FROM", "HELO", "SENDER" };
	static const char *const both[] = { "USER", "STATE", "SINCE",
		"RECIPIENTS", "MESSAGES", "CLIENTS", "LAST RELAY BY LOGIN",
		"LAST SMTP AUTH" };
	struct table *t = table_new(moved ? both : depend, moved ? 8 : 9);

	for (size_t i = 0; i < d->users; i++)
		if (listed(&d->user[i], moved, since))
			print_row(ctl, t, &d->user[i], moved);
	return table_end(t);
}

static void
print_summary(
    const struct dependents *d, bool moved, int64_t rows, int64_t since)
{
	int64_t n[DEPENDENT_STATES] = { 0 };

	for (size_t i = 0; i < d->users; i++)
		n[d->user[i].state] += d->user[i].first_at != 0 &&
		    (d->user[i].state == DEPENDENT_MOVED ||
			d->user[i].last_at >= since);
	if (rows == 0)
		(void)puts(moved
			? "Nobody who relayed by a login in that time uses SMTP AUTH."
			: "Nobody depends on a login: all who relayed by one use SMTP AUTH, too.");
	if (!moved && n[DEPENDENT_BOTH] + n[DEPENDENT_MOVED] > 0)
		(void)printf("%" PRId64
			     " more use SMTP AUTH and a login, %" PRId64
			     " have moved to SMTP AUTH: see --moved.\n",
		    n[DEPENDENT_BOTH], n[DEPENDENT_MOVED]);
	if (!moved && d->shared > 0)
		(void)printf(
		    "%" PRId64
		    " more recipients were relayed for clients with several users.\n",
		    d->shared);
}

static void
print_weeks(const struct dependents *d, bool as_json)
{
	static const char *const heads[] = { "WEEK OF", "BY LOGIN",
		"NEVER BY SMTP AUTH", "BY SMTP AUTH" };
	struct json j = { .to = stdout };
	struct table *t = table_new(heads, 4);
	char buf[TIME_TEXT_MAX];

	for (int i = 0; i < d->weeks; i++) {
		const struct dependents_week *w = &d->week[i];

		if (!as_json) {
			table_cell(t, day(w->begin, buf));
			table_number(t, w->by_login);
			table_number(t, w->never_auth);
			table_number(t, w->by_auth);
			continue;
		}
		json_open(&j, NULL, '{');
		json_time(&j, "week", w->begin);
		json_number(&j, "by_login", w->by_login);
		json_number(&j, "never_auth", w->never_auth);
		json_number(&j, "by_auth", w->by_auth);
		json_close(&j, '}');
		json_line(&j);
	}
	if (table_end(t) == 0 && !as_json)
		(void)puts("Nobody relayed by a login or by SMTP AUTH.");
}

static void
print_all(const struct ctl *ctl, const struct ctl_args *args,
    const struct dependents *d, int64_t since)
{
	bool moved = args->opt[OPT_MOVED] != NULL;
	bool merge = args->opt[OPT_MERGE] != NULL;

	if (args->opt[OPT_WEEKS] != NULL) {
		print_weeks(d, args->opt[OPT_JSON] != NULL);
		return;
	}
	if (!merge && args->opt[OPT_JSON] == NULL) {
		print_summary(
		    d, moved, print_table(ctl, d, moved, since), since);
		return;
	}
	if (merge)
		(void)fputs(
		    "user,address,state,since,last_relay,recipients,messages,"
		    "clients,client,helo,sender,last_auth\r\n",
		    stdout);
	for (size_t i = 0; i < d->users; i++)
		if (listed(&d->user[i], moved, since))
			(merge ? print_merge : print_json)(&d->user[i]);
}

static int
run(struct ctl *ctl, const struct ctl_args *args)
{
	int64_t since = ctl->now - INT64_C(30) * 86400;
	struct dependents *d;
	struct audit_reader *r;
	struct err err;
	int rc = 0;

	if (args->opt[OPT_MERGE] != NULL &&
	    (args->opt[OPT_JSON] != NULL || args->opt[OPT_WEEKS] != NULL))
		return ctl_fail(ctl, EX_USAGE,
		    "--mail-merge is a form of its own: leave out --json and --weeks");
	if (args->opt[OPT_SINCE] != NULL)
		rc = ctl_time(ctl, args->opt[OPT_SINCE], 1, &since);
	if (rc == 0 && since > ctl->now)
		rc = ctl_fail(ctl, EX_USAGE, "--since is yet to come");
	if (rc == 0)
		rc = ctl_audit(ctl, &r);
	if (rc != 0)
		return rc;
	if (dependents_gather(r, since, ctl->now, args->opt[OPT_WEEKS] == NULL,
		&d, &err) == -1)
		rc = ctl_fail_err(ctl, &err);
	else
		print_all(ctl, args, d, since);
	dependents_free(&d);
	audit_close_reader(&r);
	return rc;
}

const struct command cmd_dependents = {
	.name = "dependents",
	.args = "[--since TIME] [--moved] [--weeks] [--mail-merge | --json]",
	.summary = "users who relay by a login and never by SMTP AUTH",
	.help =
	    "The list to migrate before POP-before-SMTP can go: since when, how much, from where,\n"
	    "and what the mail program calls itself. All that is recorded (audit.keep) says who has\n"
	    "used SMTP AUTH; a user counts as moved a week after the last relay by a login.\n",
	.options = options,
	.min = 0,
	.max = 0,
	.run = run,
};
