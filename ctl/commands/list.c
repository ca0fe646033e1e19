/* SPDX-License-Identifier: ISC */
/* list - who may relay now. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/policy/facts.h"
#include "ctl/commands.h"
#include "ctl/commands/admin_entry.h"
#include "ctl/commands/vsmtprelay.h"
#include "ctl/record.h"
#include "ctl/text_table.h"
#include "ctl/times.h"

enum {
	OPT_CLIENT,
	OPT_USER,
	OPT_SERVER,
	OPT_EXPIRED,
	OPT_ALL,
	OPT_SORT,
	OPT_REVERSE,
	OPT_LIMIT,
	OPT_WIDE,
	OPT_TICKS,
	OPT_JSON
};

/* More than anybody reads, and found at once in a table of any size. */
enum { LIMIT_DEFAULT = 1000 };

/* Users that share an address are shown up to so many more than may. */
enum { SHARING_SHOWN = 10000 };

static const struct ctl_option options[] = {
	[OPT_CLIENT] = { "client", "ADDRESS|NETWORK", "only clients in it" },
	[OPT_USER] = { "user", "USER", "only this user" },
	[OPT_SERVER] = { "server", "NAME",
	    "only logins at dovecot, courier, ...; popgatectl: added by hand" },
	[OPT_EXPIRED] = { "expired", NULL, "those that count no longer" },
	[OPT_ALL] = { "all", NULL, "both" },
	[OPT_SORT] = { "sort", "KEY",
	    "client, user, server, since, last, expires or count" },
	[OPT_REVERSE] = { "reverse", NULL, "the other way round" },
	[OPT_LIMIT] = { "limit", "N",
	    "at most so many: without --sort the newest; default 1000 where people read it, 0: all" },
	[OPT_WIDE] = { "wide", NULL, "more than 80 columns: SINCE, too" },
	[OPT_TICKS] = { "ticks", NULL, "ADDRESS<TAB>TICKS, as vsmtprelay" },
	[OPT_JSON] = { "json", NULL, "a JSON object a line" },
	{ 0 },
};

enum sort {
	BY_CLIENT,
	BY_USER,
	BY_SERVER,
	BY_SINCE,
	BY_LAST,
	BY_EXPIRES,
	BY_COUNT,
	NOT_SORTED
};

static const char *const sort_names[] = {
	"client",
	"user",
	"server",
	"since",
	"last",
	"expires",
	"count",
};

struct list {
	const struct ctl *ctl;
	struct store *st;
	char client[NETWORK_TEXT_MAX]; /* of which users was asked */
	int64_t users;
	const char *user, *server;
	bool by_network, expired_only, active_only, ticks, wide;
	struct network network;
	int64_t older_than; /* last login before this */
	struct table *table;
	struct json *json;
	/* rows kept for sorting */
	enum sort sort;
	struct store_row *kept;
	size_t n, size;
	int64_t limit; /* 0: all */
	bool newest; /* which of them when there are more */
	bool in_order; /* the newest come first */
	bool cutting; /* they are being sorted for that */
	bool more; /* than limit */
	bool reverse;
	bool failed;
	int64_t printed;
};

static bool
wanted(const struct list *l, const struct store_row *row)
{
	struct network net;

	bool active = row->expires_at > l->ctl->now;

	if (active ? l->expired_only : l->active_only)
		return false;
	if (row->last_at >= l->older_than)
		return false;
	if ((l->user != NULL && strcmp(l->user, row->user) != 0) ||
	    (l->server != NULL && strcmp(l->server, row->server) != 0))
		return false;
	return !l->by_network ||
	    (network_parse(row->client, &net) &&
		(network_contains(&l->network, &net.base) ||
		    network_contains(&net, &l->network.base)));
}

/* How many users share the row's client, when it is flagged for that; else
 * 0. Rows mostly come by client. */
static int64_t
sharing_of(struct list *l, const struct store_row *row)
{
	int64_t most = l->ctl->cfg->relay.shared_address_users + SHARING_SHOWN;
	struct err err;

	if (l->ctl->cfg->relay.shared_address_users == 0 || l->ticks ||
	    row->expires_at <= l->ctl->now)
		return 0;
	if (strcmp(l->client, row->client) != 0) {
		(void)snprintf(l->client, sizeof(l->client), "%s", row->client);
		if (store_sharing(l->st, row->client, l->ctl->now, most,
			&l->users, &err) == -1)
			l->users = 0;
	}
	return facts_shared(l->ctl->cfg, l->users) ? l->users : 0;
}

static void
print_note(struct list *l, const struct store_row *row, int64_t users)
{
	char text[80 + CONNECTED_TEXT_MAX] = "", connected[CONNECTED_TEXT_MAX];

	(void)row_connected(row, l->ctl->now, connected);
	if (users > 0)
		(void)snprintf(text, sizeof(text),
		    "shared by %" PRId64 " users%s%s%s", users,
		    l->ctl->cfg->relay.shared_refused ? ": refused" : "",
		    *connected == '\0' ? "" : "; ", connected);
	table_cell(l->table, users > 0 ? text : connected);
}

static void
print_row(struct list *l, const struct store_row *row)
{
	int64_t now = l->ctl->now, users = sharing_of(l, row);
	char buf[TIME_TEXT_MAX];

	l->printed++;
	if (l->ticks) {
		(void)printf("%s\t%" PRId64 "\n", row->client,
		    store_ticks(row, l->ctl->cfg->logins.window_s));
		return;
	}
	if (l->json != NULL) {
		json_open(l->json, NULL, '{');
		row_json(l->json, row, now);
		json_bool(l->json, "shared", users > 0);
		json_close(l->json, '}');
		json_line(l->json);
		return;
	}
	table_cell(l->table, row->client);
	table_cell(l->table, row->user);
	table_cell(l->table, row->service);
	table_cell(l->table, row->server);
	if (l->wide)
		table_cell(l->table, time_local(row->first_at, buf));
	table_cell(l->table, time_relative(row->last_at, now, buf));
	table_cell(l->table,
	    row->expires_at >= STORE_FOREVER
		? "for ever"
		: time_relative(row->expires_at, now, buf));
	table_number(l->table, row->count);
	print_note(l, row, users);
}

/* The strings of a row are gone after the callback. */
static bool
keep_row(struct list *l, const struct store_row *row)
{
	if (l->n == l->size) {
		size_t size = l->size == 0 ? 1024 : l->size * 2;
		struct store_row *v = reallocarray(l->kept, size, sizeof(*v));

		if (v == NULL)
			return false;
		l->kept = v;
		l->size = size;
	}
	size_t a = strlen(row->client) + 1, b = strlen(row->user) + 1;
	size_t c = strlen(row->service) + 1, d = strlen(row->server) + 1;
	char *text = malloc(a + b + c + d);

	if (text == NULL)
		return false;
	struct store_row *r = &l->kept[l->n++];

	*r = *row;
	r->client = memcpy(text, row->client, a);
	r->user = memcpy(text + a, row->user, b);
	r->service = memcpy(text + a + b, row->service, c);
	r->server = memcpy(text + a + b + c, row->server, d);
	/* cppcheck-suppress memleak ; r->client is text */
	return true;
}

/* Numerically: 10.0.0.9 before 10.0.0.10, IPv4 before IPv6. */
static int
compare_client(const char *a, const char *b)
{
	struct network na, nb;

	if (!network_parse(a, &na) || !network_parse(b, &nb))
		return strcmp(a, b);
	if (na.base.family != nb.base.family)
		return na.base.family < nb.base.family ? -1 : 1;
	int rc = memcmp(na.base.bytes, nb.base.bytes, sizeof(na.base.bytes));

	return rc != 0 ? rc : (int)na.bits - (int)nb.bits;
}

static int
compare_number(int64_t a, int64_t b)
{
	return a < b ? -1 : a > b;
}

static int
compare_rows(const void *va, const void *vb, void *arg)
{
	const struct store_row *a = va, *b = vb;
	const struct list *l = arg;
	int rc = 0;

	if (l->cutting)
		return compare_number(b->expires_at, a->expires_at);
	switch (l->sort) {
	case BY_USER:
		rc = strcmp(a->user, b->user);
		break;
	case BY_SERVER:
		rc = strcmp(a->server, b->server);
		break;
	case BY_SINCE:
		rc = compare_number(a->first_at, b->first_at);
		break;
	case BY_LAST:
		rc = compare_number(a->last_at, b->last_at);
		break;
	case BY_EXPIRES:
		rc = compare_number(a->expires_at, b->expires_at);
		break;
	case BY_COUNT:
		rc = compare_number(a->count, b->count);
		break;
	case BY_CLIENT:
	case NOT_SORTED:
		break;
	}
	if (rc == 0)
		rc = compare_client(a->client, b->client);
	if (rc == 0)
		rc = strcmp(a->user, b->user);
	return l->reverse ? -rc : rc;
}

static void
forget_behind(struct list *l, size_t n)
{
	while (l->n > n)
		free((char *)(uintptr_t)l->kept[--l->n].client);
}

static void
sort_rows(struct list *l)
{
	if (l->n > 0)
		qsort_r(l->kept, l->n, sizeof(*l->kept), compare_rows, l);
}

/* Forget all but limit rows. */
static void
cut(struct list *l)
{
	if (l->limit == 0 || l->n <= (size_t)l->limit)
		return;
	l->more = true;
	l->cutting = l->newest;
	sort_rows(l);
	l->cutting = false;
	forget_behind(l, (size_t)l->limit);
}

static bool
take_row(void *arg, const struct store_row *row)
{
	struct list *l = arg;

	if (!wanted(l, row))
		return true;
	if (l->sort == NOT_SORTED) {
		print_row(l, row);
		return !ferror(stdout);
	}
	l->failed = !keep_row(l, row);
	if (l->in_order && l->n > (size_t)l->limit)
		return false; /* one more says that there are more */
	/* the first of a long list need no room for all */
	if (l->limit > 0 && l->n >= 2 * (size_t)l->limit + LIMIT_DEFAULT)
		cut(l);
	return !l->failed;
}

static void
print_sorted(struct list *l)
{
	cut(l);
	sort_rows(l);
	for (size_t i = 0; i < l->n; i++)
		print_row(l, &l->kept[i]);
}

static int
filters(struct ctl *ctl, const struct ctl_args *args, struct list *l)
{
	int64_t minutes;
	int rc = 0;

	l->user = args->opt[OPT_USER];
	l->server = args->opt[OPT_SERVER];
	l->expired_only = args->opt[OPT_EXPIRED] != NULL;
	l->active_only = !l->expired_only && args->opt[OPT_ALL] == NULL;
	l->ticks = args->opt[OPT_TICKS] != NULL;
	l->older_than = INT64_MAX;
	if (args->opt[OPT_CLIENT] != NULL) {
		rc = ctl_network(ctl, args->opt[OPT_CLIENT], &l->network);
		l->by_network = true;
	}
	if (rc == 0 && args->n == 1) {
		rc = ctl_number(ctl, args->v[0], 0, 60 * 24 * 36600, &minutes);
		if (rc == 0)
			l->older_than = ctl->now - minutes * 60;
	}
	const char *sort = args->opt[OPT_SORT];

	l->reverse = args->opt[OPT_REVERSE] != NULL;
	l->limit = args->opt[OPT_JSON] != NULL || l->ticks ? 0 : LIMIT_DEFAULT;
	if (rc == 0 && args->opt[OPT_LIMIT] != NULL)
		rc = ctl_number(
		    ctl, args->opt[OPT_LIMIT], 0, 1000000000, &l->limit);
	l->newest = sort == NULL && !l->reverse && l->limit > 0;
	l->sort = l->newest || l->reverse ? BY_CLIENT : NOT_SORTED;
	if (rc != 0 || sort == NULL)
		return rc;
	for (l->sort = BY_CLIENT; l->sort < NOT_SORTED; l->sort++)
		if (strcmp(sort_names[l->sort], sort) == 0)
			return 0;
	return ctl_fail(ctl, EX_USAGE, "can't sort by '%.100s': expected %s",
	    sort, options[OPT_SORT].help);
}

static int
walk(struct ctl *ctl, struct list *l)
{
	struct store *st;
	struct err err;
	int rc = ctl_store(ctl, STORE_READ, &st), done;

	if (rc != 0)
		return rc;
	l->st = st;
	int64_t active_at = l->active_only ? ctl->now : INT64_MIN;
	int64_t until = l->expired_only ? ctl->now : INT64_MAX;

	/* one address is a look-up, whatever the size of the table */
	if (l->by_network && l->user == NULL &&
	    l->network.bits == addr_bits(&l->network.base)) {
		done = store_each_match(st, &l->network.base,
		    (uint8_t)ctl->cfg->relay.ipv6_prefix, take_row, l, &err);
	} else if (l->by_network && l->user == NULL) {
		done = store_each_within(st, &l->network, take_row, l, &err);
	} else if (l->newest && l->user == NULL) {
		l->in_order = true;
		done =
		    store_each_recent(st, active_at, until, take_row, l, &err);
	} else {
		/* '' is not indexed: nobody's entries are found by a walk */
		done = store_each_row(st, NULL,
		    l->user != NULL && *l->user != '\0' ? l->user : NULL,
		    active_at, take_row, l, &err);
	}
	if (done == -1)
		rc = ctl_fail_err(ctl, &err);
	else if (l->failed)
		rc = ctl_fail(ctl, EX_OSERR, "out of memory");
	else if (l->sort != NOT_SORTED)
		print_sorted(l);
	store_close(&st);
	return rc;
}

static int
run(struct ctl *ctl, const struct ctl_args *args)
{
	static const char *const heads[] = {
		"CLIENT",
		"USER",
		"SERVICE",
		"SERVER",
		"SINCE",
		"LAST LOGIN",
		"EXPIRES",
		"LOGINS",
		"NOTE",
	};
	static const char *const narrow_heads[] = {
		"CLIENT",
		"USER",
		"SERVICE",
		"SERVER",
		"LAST LOGIN",
		"EXPIRES",
		"LOGINS",
		"NOTE",
	};
	struct json json = { .to = stdout };
	struct list l = { .ctl = ctl, .wide = args->opt[OPT_WIDE] != NULL };
	int rc = filters(ctl, args, &l);

	if (rc != 0)
		return rc;
	if (args->opt[OPT_JSON] != NULL)
		l.json = &json;
	l.table = l.wide ? table_new(heads, 9) : table_new(narrow_heads, 8);
	rc = walk(ctl, &l);
	forget_behind(&l, 0);
	free(l.kept);
	(void)table_end(l.table);
	if (rc == 0 && l.more && l.json == NULL && !l.ticks)
		(void)fprintf(stderr,
		    "There are more than these %" PRId64 ": see --limit.\n",
		    l.printed);
	if (rc == 0 && l.printed == 0 && l.json == NULL && !l.ticks)
		(void)puts(l.active_only ? "Nobody may relay by a login now."
					 : "No such entry.");
	return rc;
}

const struct command cmd_list = {
	.name = "list",
	.args =
	    "[--client NETWORK] [--user USER] [--server NAME] [--expired | --all] [--sort KEY] [--limit N] [--wide | --json] [MINUTES]",
	.summary = "who may relay now",
	.help =
	    "With MINUTES: those whose last login is longer ago than that. Trusted networks and\n"
	    "SMTP AUTH let clients relay without an entry here: see 'popgatectl check'.\n",
	.options = options,
	.min = 0,
	.max = 1,
	.run = run,
};
