/* SPDX-License-Identifier: ISC */
/* stats, top, spam - decisions counted. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/err.h"
#include "ctl/commands.h"
#include "ctl/out.h"
#include "ctl/shell.h"
#include "ctl/text_table.h"
#include "ctl/times.h"
#include "ctl/why/breach.h"

struct word {
	const char *name, *head;
	enum audit_key by;
};

static const struct word words[] = {
	{ "hour", "HOUR", AUDIT_BY_HOUR },
	{ "day", "DAY", AUDIT_BY_DAY },
	{ "client", "CLIENT", AUDIT_BY_CLIENT },
	{ "user", "USER", AUDIT_BY_USER },
	{ "sender", "SENDER", AUDIT_BY_SENDER },
	{ "recipient", "RECIPIENT", AUDIT_BY_RECIPIENT },
	{ "reason", "REASON", AUDIT_BY_REASON },
};

static const struct word *
word_of(struct ctl *ctl, const char *name)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i].name, name) == 0)
			return &words[i];
	(void)ctl_fail(ctl, EX_USAGE,
	    "'%.100s' is nothing to count by: expected hour, day, client, user, sender, recipient or reason",
	    name);
	return NULL;
}

struct show {
	struct ctl *ctl;
	struct table *table;
	struct json *json;
	const struct word *by;
	int64_t rows;
	struct audit_reader *audit; /* of spam */
	int64_t since_ms;
};

static bool
show_group(void *arg, const struct audit_group *g)
{
	struct show *s = arg;
	char buf[TIME_TEXT_MAX];

	s->rows++;
	if (s->json != NULL) {
		json_open(s->json, NULL, '{');
		json_text(s->json, s->by->name, g->key);
		json_number(s->json, "recipients", g->recipients);
		json_number(s->json, "accepted", g->accepted);
		json_number(s->json, "aborted", g->aborted);
		json_number(s->json, "rejected", g->rejected);
		json_number(s->json, "tempfailed", g->tempfailed);
		json_number(s->json, "would_refuse", g->would_refuse);
		json_number(s->json, "messages", g->messages);
		json_number(s->json, "senders", g->senders);
		json_number(s->json, "clients", g->clients);
		json_number(s->json, "users", g->users);
		json_time(s->json, "first_at", g->first_ms / 1000);
		json_time(s->json, "last_at", g->last_ms / 1000);
		json_close(s->json, '}');
		json_line(s->json);
		return true;
	}
	table_cell(s->table, *g->key == '\0' ? "<>" : g->key);
	table_number(s->table, g->recipients);
	table_number(s->table, g->accepted);
	table_number(s->table, g->aborted);
	table_number(s->table, g->rejected);
	table_number(s->table, g->tempfailed);
	table_number(s->table, g->would_refuse);
	table_number(s->table, g->messages);
	table_number(s->table, g->senders);
	table_number(s->table, g->clients);
	table_number(s->table, g->users);
	table_cell(
	    s->table, time_relative(g->last_ms / 1000, s->ctl->now, buf));
	return true;
}

static int
show_groups(struct ctl *ctl, struct audit_reader *r, const struct word *by,
    const struct audit_group_query *q, bool json, int64_t *rows_r)
{
	const char *heads[] = {
		by->head,
		"RECIPIENTS",
		"ACCEPTED",
		"ABORTED",
		"REFUSED",
		"PUT OFF",
		"MONITORED",
		"MESSAGES",
		"SENDERS",
		"CLIENTS",
		"USERS",
		"LAST",
	};
	struct json j = { .to = stdout };
	struct show s = { .ctl = ctl, .by = by, .json = json ? &j : NULL };
	struct err err;
	int rc = 0;

	s.table = table_new(heads, sizeof(heads) / sizeof(heads[0]));
	if (audit_each_group(r, q, show_group, &s, &err) == -1)
		rc = ctl_fail_err(ctl, &err);
	(void)table_end(s.table);
	*rows_r = s.rows;
	return rc;
}

static int
since(struct ctl *ctl, const char *text, int64_t default_s, int64_t *ms_r)
{
	int64_t at = ctl->now - default_s;
	int rc = text == NULL ? 0 : ctl_time(ctl, text, 1, &at);

	*ms_r = at * 1000;
	return rc;
}

/* --- stats and top --- */

enum { OPT_BY, OPT_SINCE, OPT_UNTIL, OPT_JSON, OPT_LIMIT };

static const struct ctl_option stats_options[] = {
	[OPT_BY] = { "by", "KEY",
	    "hour, day, client, user, sender, recipient or reason; default hour" },
	[OPT_SINCE] = { "since", "TIME",
	    "2h (ago), 12:00, '2026-03-01 12:00'; default 24h" },
	[OPT_UNTIL] = { "until", "TIME", "the same" },
	[OPT_JSON] = { "json", NULL, "a JSON object a line" },
	{ 0 },
};

static const struct ctl_option top_options[] = {
	[OPT_BY] = { "by", "KEY",
	    "client, user, sender or recipient; default client and sender" },
	[OPT_SINCE] = { "since", "TIME",
	    "2h (ago), 12:00, '2026-03-01 12:00'; default 24h" },
	[OPT_UNTIL] = { "until", "TIME", "the same" },
	[OPT_JSON] = { "json", NULL, "a JSON object a line" },
	[OPT_LIMIT] = { "limit", "N", "how many; default 10" },
	{ 0 },
};

static int
open_query(struct ctl *ctl, const struct ctl_args *args,
    struct audit_group_query *q, struct audit_reader **r)
{
	int64_t until = 0;
	int rc = since(ctl, args->opt[OPT_SINCE], 86400, &q->since_ms);

	if (rc == 0 && args->opt[OPT_UNTIL] != NULL)
		rc = ctl_time(ctl, args->opt[OPT_UNTIL], 1, &until);
	q->until_ms = until * 1000;
	if (rc == 0)
		rc = ctl_period(ctl, q->since_ms, q->until_ms);
	return rc != 0 ? rc : ctl_audit(ctl, r);
}

static int
run_stats(struct ctl *ctl, const struct ctl_args *args)
{
	const struct word *by = word_of(
	    ctl, args->opt[OPT_BY] == NULL ? "hour" : args->opt[OPT_BY]);
	struct audit_group_query q = { 0 };
	struct audit_reader *r;
	int64_t rows, local;
	struct err err;

	if (by == NULL)
		return EX_USAGE;
	q.by = by->by;
	int rc = open_query(ctl, args, &q, &r);

	if (rc != 0)
		return rc;
	rc = show_groups(ctl, r, by, &q, args->opt[OPT_JSON] != NULL, &rows);
	local = audit_tally(r, q.since_ms, &err);
	if (rc == 0 && args->opt[OPT_JSON] == NULL) {
		if (rows == 0)
			(void)puts("No relay was asked for in that time.");
		(void)printf("%" PRId64
			     " recipients of our own were counted beside.\n",
		    local < 0 ? 0 : local);
	}
	audit_close_reader(&r);
	return rc;
}

static int
run_top(struct ctl *ctl, const struct ctl_args *args)
{
	static const char *const both[] = { "client", "sender" };
	struct audit_group_query q = { .largest_first = true, .limit = 10 };
	const char *one = args->opt[OPT_BY];
	struct audit_reader *r;
	int64_t rows;
	int rc = 0;

	if (args->opt[OPT_LIMIT] != NULL)
		rc =
		    ctl_number(ctl, args->opt[OPT_LIMIT], 1, 1000000, &q.limit);
	if (rc == 0 && one != NULL && word_of(ctl, one) == NULL)
		rc = EX_USAGE;
	if (rc == 0)
		rc = open_query(ctl, args, &q, &r);
	if (rc != 0)
		return rc;
	for (int i = 0; i < (one == NULL ? 2 : 1) && rc == 0; i++) {
		const struct word *by =
		    word_of(ctl, one == NULL ? both[i] : one);

		if (i > 0 && args->opt[OPT_JSON] == NULL)
			(void)putchar('\n');
		q.by = by->by;
		rc = show_groups(
		    ctl, r, by, &q, args->opt[OPT_JSON] != NULL, &rows);
		if (rc == 0 && rows == 0 && args->opt[OPT_JSON] == NULL &&
		    i == 0)
			(void)puts("No relay was asked for in that time.");
	}
	audit_close_reader(&r);
	return rc;
}

const struct command cmd_stats = {
	.name = "stats",
	.args = "[--by KEY] [--since TIME] [--until TIME] [--json]",
	.summary = "relays per hour, day, client, user, ...",
	.options = stats_options,
	.min = 0,
	.max = 0,
	.run = run_stats,
};

const struct command cmd_top = {
	.name = "top",
	.args = "[--by KEY] [--since TIME] [--limit N] [--json]",
	.summary = "who relays most",
	.options = top_options,
	.min = 0,
	.max = 0,
	.run = run_top,
};

/* --- spam --- */

enum {
	OPT_SPAM_SINCE,
	OPT_SENDERS,
	OPT_RECIPIENTS,
	OPT_REJECTS,
	OPT_SPAM_JSON
};

static const struct ctl_option spam_options[] = {
	[OPT_SPAM_SINCE] = { "since", "TIME", "default 2h (ago)" },
	[OPT_SENDERS] = { "senders", "N",
	    "so many sender addresses are suspect; default 10" },
	[OPT_RECIPIENTS] = { "recipients", "N",
	    "so many recipients; default 500" },
	[OPT_REJECTS] = { "rejects", "N", "so many refusals; default 100" },
	[OPT_SPAM_JSON] = { "json", NULL, "a JSON object a line" },
	{ 0 },
};

static bool
show_breach(void *arg, const struct audit_breach *b)
{
	const struct show *s = arg;

	breach_print(s->ctl, b, "    stopped: ");
	return true;
}

/* Did a limit end it? */
static void
show_breaches(struct show *s, const char *key)
{
	bool is_user = s->by->by == AUDIT_BY_USER;
	char network[NETWORK_TEXT_MAX];
	struct addr client;

	if (!is_user && addr_parse_loose(key, &client))
		key = breach_client(s->ctl->cfg, &client, network);
	(void)audit_each_breach(
	    s->audit, s->since_ms, is_user, key, show_breach, s, NULL);
}

static bool
show_suspect(void *arg, const struct audit_group *g)
{
	struct show *s = arg;
	char buf[TIME_TEXT_MAX];

	if (s->json != NULL)
		return show_group(arg, g);
	s->rows++;
	(void)printf("%s ", s->by->by == AUDIT_BY_USER ? "user" : "client");
	out_text(g->key);
	(void)printf(": %" PRId64 " recipients from %" PRId64
		     " sender addresses, %" PRId64 " accepted, %" PRId64
		     " refused, the last %s\n    popgatectl deny %s",
	    g->recipients, g->senders, g->accepted, g->rejected + g->tempfailed,
	    time_relative(g->last_ms / 1000, s->ctl->now, buf),
	    s->by->by == AUDIT_BY_USER ? "--user " : "");
	shell_print(g->key);
	(void)puts(" --reason spam");
	show_breaches(s, g->key);
	return true;
}

static int
run_spam(struct ctl *ctl, const struct ctl_args *args)
{
	static const enum audit_key keys[] = { AUDIT_BY_CLIENT, AUDIT_BY_USER };
	struct audit_group_query q = {
		.largest_first = true,
		.senders_min = 10,
		.recipients_min = 500,
		.rejected_min = 100,
	};
	struct json j = { .to = stdout };
	struct show s = { .ctl = ctl };
	struct audit_reader *r;
	struct err err;
	int rc = since(ctl, args->opt[OPT_SPAM_SINCE], 7200, &q.since_ms);
	int64_t *const limits[] = {
		&q.senders_min,
		&q.recipients_min,
		&q.rejected_min,
	};

	for (int i = 0; i < 3 && rc == 0; i++)
		if (args->opt[OPT_SENDERS + i] != NULL)
			rc = ctl_number(ctl, args->opt[OPT_SENDERS + i], 1,
			    INT32_MAX, limits[i]);
	if (rc == 0)
		rc = ctl_audit(ctl, &r);
	if (rc != 0)
		return rc;
	s.audit = r;
	s.since_ms = q.since_ms;
	if (args->opt[OPT_SPAM_JSON] != NULL)
		s.json = &j;
	for (size_t i = 0; i < 2 && rc == 0; i++) {
		q.by = keys[i];
		s.by = &words[keys[i]];
		if (audit_each_group(r, &q, show_suspect, &s, &err) == -1)
			rc = ctl_fail_err(ctl, &err);
	}
	if (rc == 0 && s.rows == 0 && s.json == NULL)
		(void)puts("Nothing looks like a hijack.");
	audit_close_reader(&r);
	return rc;
}

const struct command cmd_spam = {
	.name = "spam",
	.args =
	    "[--since TIME] [--senders N] [--recipients N] [--rejects N] [--json]",
	.summary = "what looks like a hijacked client or account",
	.help =
	    "One client or user with many sender addresses, many recipients or many refusals,\n"
	    "and the deny command to paste. A mailing list or a company behind one address can\n"
	    "look like this, too.\n",
	.options = spam_options,
	.min = 0,
	.max = 0,
	.run = run_spam,
};
