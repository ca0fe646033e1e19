/* SPDX-License-Identifier: ISC */
/* import - other programs' tables of relay clients into ours. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/maps/bdb.h"
#include "ctl/commands.h"
#include "ctl/commands/admin_entry.h"
#include "ctl/commands/flat_record.h"
#include "ctl/times.h"

enum { OPT_FORMAT, OPT_FOR, OPT_UNTIL, OPT_FOREVER, OPT_DRY_RUN };

enum { BATCH = 2000 };

static const struct ctl_option options[] = {
	[OPT_FORMAT] = { "format", "NAME",
	    "relayers.db, text, json, csv; default: by the file's first bytes" },
	[OPT_FOR] = { "for", "DURATION",
	    "entries without a time; default logins.window" },
	[OPT_UNTIL] = { "until", "TIME", "entries without a time" },
	[OPT_FOREVER] = { "forever", NULL, "entries without a time" },
	[OPT_DRY_RUN] = { "dry-run", NULL, "only say what would be done" },
	{ 0 },
};

struct import {
	struct ctl *ctl;
	struct store *st; /* NULL: dry run */
	const char *file;
	int64_t until; /* of entries without a time */
	int64_t line, written, old, bad, in_batch;
	struct err err;
	bool failed;
};

static bool
refuse(struct import *im, const char *what)
{
	im->bad++;
	if (im->bad <= 10)
		(void)ctl_fail(
		    im->ctl, 0, "%s:%" PRId64 ": %s", im->file, im->line, what);
	return true;
}

static bool
write_row(struct import *im, const struct store_row *row)
{
	im->written++;
	if (im->st == NULL)
		return true;
	im->failed =
	    (im->in_batch == 0 && store_begin(im->st, &im->err) == -1) ||
	    store_set(im->st, row, &im->err) == -1 ||
	    (++im->in_batch == BATCH && store_commit(im->st, &im->err) == -1);
	if (im->in_batch == BATCH)
		im->in_batch = 0;
	return !im->failed;
}

/* One entry. expires_at 0: it has no time. Returns false to end. */
static bool
take(struct import *im, const char *client_text, const char *user,
    int64_t last_at, int64_t expires_at)
{
	char client[NETWORK_TEXT_MAX];
	struct network net;
	struct addr addr;

	if (addr_parse_loose(client_text, &addr))
		net = network_of(&addr, addr_bits(&addr));
	else if (!network_parse(client_text, &net))
		return refuse(im, "not an IP address or network");
	if (net.bits < (net.base.family == ADDR_IPV4 ? 8 : 16))
		return refuse(
		    im, "too wide a network: that would be an open relay");
	if (strlen(user) >= LOGIN_USER_MAX)
		return refuse(im, "the user name is too long");
	if (expires_at == 0)
		expires_at = im->until;
	if (expires_at <= im->ctl->now) {
		im->old++;
		return true;
	}
	if (last_at <= 0 || last_at > im->ctl->now)
		last_at = im->ctl->now;
	const struct store_row row =
	    entry_row(network_format(&net, client), user, last_at, expires_at);

	return write_row(im, &row);
}

static bool
is_ticks(const char *text)
{
	size_t n = strlen(text);

	return n >= 9 && n <= 12 && strspn(text, "0123456789") == n;
}

static bool
take_ticks(struct import *im, const char *client, const char *text)
{
	int64_t ticks = strtoll(text, NULL, 10);

	return take(
	    im, client, "", ticks, ticks + im->ctl->cfg->logins.window_s);
}

static bool
take_hash(void *arg, const char *key, const char *value)
{
	struct import *im = arg;

	im->line++;
	if (is_ticks(value))
		return take_ticks(im, key, value);
	return take(im, key, "", 0, 0);
}

/* makemap text, relayhosts, relayhostsusers, pophosts, alwaysrelay, access,
 * cidr, pop-before-smtp --list: an address, and what there is behind it. */
static bool
take_text(struct import *im, char *line)
{
	static const char *const yes[] = { "OK", "RELAY", "PERMIT", "ANY" };
	static const char *const no[] = {
		"REJECT",
		"DUNNO",
		"DISCARD",
		"DENY",
	};
	const char *space = " \t\r,;=";
	char *rest = line, *first, *second;

	while ((first = strsep(&rest, space)) != NULL && *first == '\0')
		;
	if (first == NULL || *first == '#')
		return true;
	while ((second = strsep(&rest, space)) != NULL && *second == '\0')
		;
	struct addr addr;

	/* "user address" of relayhostsusers */
	if (second != NULL && addr_parse_loose(second, &addr) &&
	    !addr_parse_loose(first, &addr))
		return take(im, second, first, 0, 0);
	if (second == NULL)
		return take(im, first, "", 0, 0);
	if (is_ticks(second))
		return take_ticks(im, first, second);
	for (size_t i = 0; i < 4; i++) {
		if (strcasecmp(second, no[i]) == 0)
			return refuse(im, "no permission: left out");
		if (strcasecmp(second, yes[i]) == 0)
			return take(im, first, "", 0, 0);
	}
	/* a user has no digit first ("Mar  1", "12:00" are times) */
	if (strchr(second, '@') != NULL || rest == NULL)
		return take(im, first, second, 0, 0);
	return take(im, first, "", 0, 0);
}

/* The names that our formats and Plesk's smtp_poplocks have. */
static bool
take_fields(struct import *im, const struct flat *f)
{
	const char *client = flat_get(f, "client");
	const char *user = flat_get(f, "user");
	const char *last = flat_get(f, "last_at");
	const char *until = flat_get(f, "expires_at");
	const char *forever = flat_get(f, "forever");
	const char *mask = flat_get(f, "ip_mask");
	int64_t last_at = 0, expires_at = 0;
	char net[100];

	if (client == NULL)
		client = flat_get(f, "ip_address");
	if (last == NULL)
		last = flat_get(f, "lock_time");
	if (client == NULL)
		return refuse(im, "no field 'client' or 'ip_address'");
	if (mask != NULL && *mask != '\0' && strcmp(mask, "32") != 0 &&
	    strchr(client, '/') == NULL) {
		(void)snprintf(net, sizeof(net), "%.60s/%.10s", client, mask);
		client = net;
	}
	if (last != NULL && *last != '\0' &&
	    !time_parse(last, im->ctl->now, 1, &last_at))
		return refuse(im, "not a time");
	if ((forever != NULL && strcmp(forever, "true") == 0) ||
	    (until != NULL && strcmp(until, "forever") == 0))
		expires_at = STORE_FOREVER;
	else if (until != NULL && *until != '\0') {
		if (!time_parse(until, im->ctl->now, 1, &expires_at))
			return refuse(im, "not a time");
	} else if (last_at != 0) {
		expires_at = last_at + im->ctl->cfg->logins.window_s;
	}
	return take(im, client, user == NULL ? "" : user, last_at, expires_at);
}

enum format { BY_CONTENT, RELAYERS_DB, TEXT, JSON, CSV, FORMATS };

static const char *const format_names[FORMATS] = {
	"",
	"relayers.db",
	"text",
	"json",
	"csv",
};

static enum format
guess(const char *path, FILE *in)
{
	char head[200];
	size_t n;

	if (bdb_is_hash(path))
		return RELAYERS_DB;
	n = fread(head, 1, sizeof(head) - 1, in);
	rewind(in);
	head[n] = '\0';
	head[strcspn(head, "\r\n")] = '\0';
	if (head[0] == '{')
		return JSON;
	return strchr(head, ',') != NULL &&
		(strstr(head, "client") != NULL ||
		    strstr(head, "ip_address") != NULL)
	    ? CSV
	    : TEXT;
}

static int
read_lines(struct import *im, FILE *in, enum format format)
{
	struct flat heads = { 0 }, fields;
	char *line = NULL;
	size_t size = 0;
	ssize_t n;
	bool more = true;

	while (more && (n = getline(&line, &size, in)) != -1) {
		im->line++;
		if (n > 0 && line[n - 1] == '\n')
			line[n - 1] = '\0';
		if (format == TEXT)
			more = take_text(im, line);
		else if (line[strspn(line, " \t\r")] == '\0')
			continue;
		else if (format == JSON)
			more = flat_json(line, &fields)
			    ? take_fields(im, &fields)
			    : refuse(im, "not a JSON object of plain values");
		else if (im->line == 1)
			more = flat_csv_heads(line, &heads) ||
			    refuse(im, "not a line of CSV heads");
		else
			more = flat_csv(line, &heads, &fields)
			    ? take_fields(im, &fields)
			    : refuse(im, "not a line of CSV");
	}
	free(line);
	flat_release(&heads);
	/* it also ends when there is no memory for a line */
	return more && !feof(in)
	    ? ctl_fail(im->ctl, EX_IOERR, "%s: %s", im->file, strerror(errno))
	    : 0;
}

static int
read_hash(struct import *im)
{
	struct bdb *db;
	int rc = 0;

	if (bdb_open(im->file, false, &db, &im->err) == -1)
		return ctl_fail_err(im->ctl, &im->err);
	if (bdb_each(db, take_hash, im, &im->err) == -1)
		rc = ctl_fail_err(im->ctl, &im->err);
	(void)bdb_close(&db, &im->err);
	return rc;
}

static int
import(struct import *im, enum format format)
{
	bool standard = strcmp(im->file, "-") == 0;
	FILE *in = standard ? stdin : fopen(im->file, "re");
	int rc;

	if (in == NULL)
		return ctl_fail(
		    im->ctl, EX_NOINPUT, "%s: %s", im->file, strerror(errno));
	if (format == BY_CONTENT)
		format = standard ? TEXT : guess(im->file, in);
	rc = format == RELAYERS_DB ? read_hash(im) : read_lines(im, in, format);
	if (!standard)
		(void)fclose(in);
	if (rc == 0 && !im->failed && im->st != NULL && im->in_batch > 0)
		im->failed = store_commit(im->st, &im->err) == -1;
	if (rc == 0 && im->failed)
		rc = ctl_fail_err(im->ctl, &im->err);
	if (im->st != NULL)
		store_rollback(im->st);
	return rc;
}

static int
run(struct ctl *ctl, const struct ctl_args *args)
{
	struct import im = { .ctl = ctl, .file = args->v[0] };
	enum format format = BY_CONTENT;
	const char *name = args->opt[OPT_FORMAT];
	int rc = ctl_config(ctl);

	while (name != NULL && format < FORMATS &&
	    strcmp(format_names[format], name) != 0)
		format++;
	if (format == FORMATS || (name != NULL && *name == '\0'))
		return ctl_fail(ctl, EX_USAGE,
		    "'%.100s' is no format: expected relayers.db, text, json or csv",
		    name);
	if (rc == 0) {
		im.until = ctl->now + ctl->cfg->logins.window_s;
		rc = entry_end(ctl, args->opt[OPT_FOR], args->opt[OPT_UNTIL],
		    args->opt[OPT_FOREVER] != NULL, &im.until);
	}
	if (rc == 0 && args->opt[OPT_DRY_RUN] == NULL)
		rc = ctl_store(ctl, STORE_WRITE, &im.st);
	if (rc != 0)
		return rc;
	rc = import(&im, format);
	store_close(&im.st);
	if (rc != 0 && im.written == 0)
		return rc;
	if (im.bad > 10)
		(void)ctl_fail(ctl, 0, "... and %" PRId64 " more", im.bad - 10);
	(void)printf("%" PRId64 " entries %s, %" PRId64 " too old, %" PRId64
		     " left out\n",
	    im.written,
	    args->opt[OPT_DRY_RUN] == NULL ? "imported" : "would be imported",
	    im.old, im.bad);
	return rc != 0 ? rc : im.bad > 0 ? EX_DATAERR : 0;
}

const struct command cmd_import = {
	.name = "import",
	.args =
	    "[--format NAME] [--for DURATION | --until TIME | --forever] [--dry-run] FILE|-",
	.summary = "other programs' tables of relay clients into ours",
	.help =
	    "relayers.db (Berkeley DB hash), makemap text, cPanel relayhosts, relayhostsusers and\n"
	    "alwaysrelay, DirectAdmin pophosts, pop-before-smtp --list, Plesk smtp_poplocks (CSV\n"
	    "with its heads), Postfix access and cidr, and our own JSON and CSV. Entries that are\n"
	    "too old to count are not imported.\n",
	.options = options,
	.min = 1,
	.max = 1,
	.run = run,
};
