/* SPDX-License-Identifier: ISC */
/* export - who may relay now, in other programs' formats. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/own_addresses.h"
#include "common/maps/map.h"
#include "common/maps/permitted.h"
#include "ctl/commands.h"
#include "ctl/out.h"
#include "ctl/record.h"
#include "ctl/times.h"

enum { OPT_FORMAT, OPT_OUTPUT, OPT_VALUE };

static const struct ctl_option options[] = {
	[OPT_FORMAT] = { "format", "NAME",
	    "makemap, relayers.db, relayhosts, relayhostsusers, access, hash, cidr, json, csv" },
	[OPT_OUTPUT] = { "output", "FILE",
	    "write there, renamed into place when whole; default standard output" },
	[OPT_VALUE] = { "value", "WORD",
	    "the result: default OK for access and cidr, RELAY for hash" },
	{ 0 },
};

/* Formats that are no map for another program: every row that counts. */
enum { JSON = MAP_FORMATS, CSV };

struct export
{
	struct ctl *ctl;
	int format; /* enum map_format, or one of the above */
	struct map *map;
	struct err err;
	bool failed;
	int64_t n;
};

static bool
put_client(void *arg, const struct permitted *p)
{
	struct export *x = arg;
	int put = map_put(x->map, p, &x->err);

	x->failed = put == -1;
	x->n += put == 1;
	if (put == 0)
		(void)ctl_fail(x->ctl, 0,
		    "note: network %s is left out: only cidr, json and csv can say it",
		    p->client);
	return !x->failed;
}

static bool
put_row(void *arg, const struct store_row *row)
{
	struct export *x = arg;
	char first[TIME_TEXT_MAX], last[TIME_TEXT_MAX], until[TIME_TEXT_MAX];
	struct json j = { .to = stdout };

	x->n++;
	if (x->format == JSON) {
		json_open(&j, NULL, '{');
		row_json(&j, row, x->ctl->now);
		json_close(&j, '}');
		json_line(&j);
		return !ferror(stdout);
	}
	csv_cell(row->client, true);
	csv_cell(row->user, false);
	csv_cell(row->service, false);
	csv_cell(row->server, false);
	csv_cell(time_iso(row->first_at, first), false);
	csv_cell(time_iso(row->last_at, last), false);
	csv_cell(row->expires_at >= STORE_FOREVER
		? "forever"
		: time_iso(row->expires_at, until),
	    false);
	(void)printf(",%" PRId64 "\r\n", row->count);
	return !ferror(stdout);
}

static int
walk_clients(struct export *x, struct store *st)
{
	const struct config *cfg = x->ctl->cfg;
	struct network_set own = { 0 };
	int64_t until;
	struct err err;
	int rc = 0;

	/* only what counts now: most programs take any entry for a yes */
	if ((cfg->relay.never_authorize_own &&
		own_addresses(&own, &err) == -1) ||
	    permitted_each(
		st, cfg, &own, x->ctl->now, put_client, x, &until, &err) == -1)
		rc = ctl_fail_err(x->ctl, &err);
	else if (x->failed)
		rc = ctl_fail_err(x->ctl, &x->err);
	network_set_release(&own);
	return rc;
}

static int
walk_rows(struct export *x, struct store *st)
{
	struct err err;

	if (x->format == CSV)
		(void)fputs(
		    "client,user,service,server,first_at,last_at,expires_at,count\r\n",
		    stdout);
	if (store_each_row(st, NULL, NULL, x->ctl->now, put_row, x, &err) == -1)
		return ctl_fail_err(x->ctl, &err);
	if (fflush(stdout) != 0 || ferror(stdout))
		return ctl_fail(
		    x->ctl, EX_IOERR, "the output can't be written");
	return 0;
}

/* Rows go to standard output: from here on, that is the file. */
static int
redirect(const struct export *x, const char *path)
{
	if (path == NULL || x->format < MAP_FORMATS ||
	    dup2(map_descriptor(x->map), STDOUT_FILENO) != -1)
		return 0;
	return ctl_fail(x->ctl, EX_CANTCREAT, "%s: %s", path, strerror(errno));
}

static int
export_to(struct export *x, const char *path, const char *value)
{
	struct store *st;
	struct err err;
	int rc = ctl_store(x->ctl, STORE_READ, &st);

	if (rc != 0)
		return rc;
	if (map_begin(path,
		x->format < MAP_FORMATS ? (enum map_format)x->format
					: MAP_AS_MAKEMAP,
		value, 0644, &x->map, &err) == -1) {
		store_close(&st);
		return ctl_fail(x->ctl, EX_CANTCREAT, "%s", err.text);
	}
	rc = redirect(x, path);
	if (rc == 0)
		rc = x->format < MAP_FORMATS ? walk_clients(x, st)
					     : walk_rows(x, st);
	if (rc == 0 && map_commit(&x->map, NULL, &err) == -1)
		rc = ctl_fail(x->ctl, EX_CANTCREAT, "%s", err.text);
	map_abort(&x->map);
	store_close(&st);
	if (rc == 0 && path != NULL)
		(void)fprintf(
		    stderr, "%" PRId64 " entries in %s\n", x->n, path);
	return rc;
}

static int
find_format(const char *name)
{
	enum map_format format;

	if (map_format_find(name, &format))
		return (int)format;
	return strcmp(name, "json") == 0 ? JSON
	    : strcmp(name, "csv") == 0   ? CSV
					 : -1;
}

static int
run(struct ctl *ctl, const struct ctl_args *args)
{
	const char *name = args->opt[OPT_FORMAT];
	const char *path = args->opt[OPT_OUTPUT];
	const char *value = args->opt[OPT_VALUE];
	struct export x = { .ctl = ctl };

	x.format = find_format(name == NULL ? "makemap" : name);
	if (x.format == -1)
		return ctl_fail(ctl, EX_USAGE,
		    "'%.100s' is no format: expected %s", name,
		    options[OPT_FORMAT].help);
	if (value != NULL && !map_value_good(value))
		return ctl_fail(ctl, EX_USAGE,
		    "'%.100s' can't be a result: expected printable ASCII",
		    value);
	if (path == NULL && x.format < MAP_FORMATS &&
	    map_format_is_hash((enum map_format)x.format))
		return ctl_fail(
		    ctl, EX_USAGE, "a Berkeley DB needs --output FILE");
	return export_to(&x, path, value);
}

const struct command cmd_export = {
	.name = "export",
	.args = "[--format NAME] [--output FILE]",
	.summary = "who may relay now, in other programs' formats",
	.help =
	    "makemap and relayers.db: ADDRESS and TICKS, as vsmtprelay; relayhosts: cPanel,\n"
	    "DirectAdmin, Exim; access: Postfix or Sendmail; hash: Sendmail; cidr: Postfix. Only what counts at\n"
	    "this moment is written: such a file must be made again before the next entry ends.\n",
	.options = options,
	.min = 0,
	.max = 0,
	.run = run,
};
