/* export - who may relay now, in other programs' formats. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bdb.h"
#include "commands.h"
#include "entry.h"
#include "err.h"
#include "facts.h"
#include "out.h"
#include "vsmtprelay.h"

enum { OPT_FORMAT, OPT_OUTPUT, OPT_VALUE };

static const struct ctl_option options[] = {
	[OPT_FORMAT] = { "format", "NAME", "makemap, relayers.db, "
	    "relayhosts, relayhostsusers, access, cidr, json, csv" },
	[OPT_OUTPUT] = { "output", "FILE", "write there, renamed into place "
	    "when whole; default standard output" },
	[OPT_VALUE] = { "value", "WORD", "access, cidr: the result; default "
	    "OK (Sendmail: RELAY)" },
	{ 0 }
};

enum format { MAKEMAP, RELAYERS_DB, RELAYHOSTS, RELAYHOSTSUSERS, ACCESS,
	CIDR, JSON, CSV, FORMATS };

static const char *const format_names[FORMATS] = {
	"makemap", "relayers.db", "relayhosts", "relayhostsusers", "access",
	"cidr", "json", "csv"
};

struct export {
	struct ctl *ctl;
	enum format format;
	const char *value;
	struct store *st;
	char asked[NETWORK_TEXT_MAX];	/* of which client users is */
	int64_t users;
	struct bdb *db;
	struct err err;
	bool failed;
	int64_t n;
	/* rows come by client: one entry for the users of each */
	char client[NETWORK_TEXT_MAX];
	int64_t ticks;
};

/* One client is whole. */
static void
put_client(struct export *x)
{
	char ticks[24];

	if (x->client[0] == '\0')
		return;
	x->n++;
	(void)snprintf(ticks, sizeof(ticks), "%" PRId64, x->ticks);
	switch (x->format) {
	case MAKEMAP:
		(void)printf("%s\t%s\n", x->client, ticks);
		break;
	case RELAYERS_DB:
		x->failed |= bdb_put(x->db, x->client, ticks, &x->err) == -1;
		break;
	case RELAYHOSTS:
		(void)printf("%s\n", x->client);
		break;
	case ACCESS:
	case CIDR:
		(void)printf("%s\t%s\n", x->client, x->value);
		break;
	case RELAYHOSTSUSERS:
	case JSON:
	case CSV:
	case FORMATS:
		break;
	}
}

static void
put_row(const struct store_row *row, enum format format)
{
	char first[TIME_TEXT_MAX], last[TIME_TEXT_MAX], until[TIME_TEXT_MAX];
	struct json j = { .to = stdout };

	if (format == RELAYHOSTSUSERS) {
		(void)printf("%s ", row->client);
		out_text(row->user);
		(void)putchar('\n');
		return;
	}
	if (format == JSON) {
		json_open(&j, NULL, '{');
		json_text(&j, "client", row->client);
		json_text(&j, "user", row->user);
		json_text(&j, "service", row->service);
		json_text(&j, "server", row->server);
		json_time(&j, "first_at", row->first_at);
		json_time(&j, "last_at", row->last_at);
		json_time(&j, "expires_at", row->expires_at);
		json_bool(&j, "forever", row->expires_at >= STORE_FOREVER);
		json_number(&j, "count", row->count);
		json_close(&j, '}');
		json_line(&j);
		return;
	}
	csv_cell(row->client, true);
	csv_cell(row->user, false);
	csv_cell(row->service, false);
	csv_cell(row->server, false);
	csv_cell(time_iso(row->first_at, first), false);
	csv_cell(time_iso(row->last_at, last), false);
	csv_cell(row->expires_at >= STORE_FOREVER ? "forever" :
	    time_iso(row->expires_at, until), false);
	(void)printf(",%" PRId64 "\r\n", row->count);
}

/* What popgate-milter refuses, another program must not let in. */
static bool
is_refused(struct export *x, const struct store_row *row)
{
	if (!x->ctl->cfg->relay.shared_refused ||
	    strcmp(row->server, "popgatectl") == 0)
		return false;
	if (strcmp(x->asked, row->client) != 0) {
		(void)snprintf(x->asked, sizeof(x->asked), "%s",
		    row->client);
		if (store_sharing(x->st, row->client, x->ctl->now, &x->users,
		    &x->err) == -1) {
			x->failed = true;
			return true;
		}
	}
	return facts_shared(x->ctl->cfg, x->users);
}

static bool
take_row(void *arg, const struct store_row *row)
{
	struct export *x = arg;
	int64_t ticks = vsmtprelay_ticks(row,
	    x->ctl->cfg->logins.window_s);
	bool network = strchr(row->client, '/') != NULL;

	if (x->format != JSON && x->format != CSV && is_refused(x, row))
		return !x->failed;
	if (x->format == RELAYHOSTSUSERS || x->format == JSON ||
	    x->format == CSV) {
		if (x->format == RELAYHOSTSUSERS && *row->user == '\0')
			return true;
		x->n++;
		put_row(row, x->format);
		return !ferror(stdout);
	}
	/* a key "10.0.0.0/8" means nothing in a hash */
	if (network && x->format != CIDR) {
		(void)ctl_fail(x->ctl, 0, "note: network %s is left out: only "
		    "cidr, json and csv can say it", row->client);
		return true;
	}
	if (strcmp(x->client, row->client) != 0) {
		put_client(x);
		(void)snprintf(x->client, sizeof(x->client), "%s",
		    row->client);
		x->ticks = ticks;
	}
	if (ticks > x->ticks)
		x->ticks = ticks;
	return !x->failed && !ferror(stdout);
}

static int
walk(struct export *x)
{
	struct ctl *ctl = x->ctl;
	struct store *st;
	struct err err;
	int rc = ctl_store(ctl, STORE_READ, &st);

	if (rc != 0)
		return rc;
	x->st = st;
	if (x->format == CSV)
		(void)fputs("client,user,service,server,first_at,last_at,"
		    "expires_at,count\r\n", stdout);
	/* only what counts now: most programs take any entry for a yes */
	if (store_each_row(st, NULL, NULL, ctl->now, take_row, x, &err) == -1)
		rc = ctl_fail_err(ctl, &err);
	else
		put_client(x);
	if (rc == 0 && x->failed)
		rc = ctl_fail_err(ctl, &x->err);
	store_close(&st);
	return rc;
}

/* A name beside path for what isn't whole yet; owned by the caller. */
static char *
temporary(const char *path)
{
	char *name = NULL;

	return asprintf(&name, "%s.%ld.new", path, (long)getpid()) == -1 ?
	    NULL : name;
}

static int
sync_and_rename(const struct ctl *ctl, const char *from, const char *to)
{
	struct stat st;
	int fd = open(from, O_RDWR | O_CLOEXEC);

	/* who could read the old file can read the new one */
	if (fd == -1 || (stat(to, &st) == 0 &&
	    ((fchown(fd, st.st_uid, st.st_gid) == -1 && errno != EPERM) ||
	    fchmod(fd, st.st_mode & 07777) == -1)) || fsync(fd) == -1 ||
	    rename(from, to) == -1) {
		int rc = ctl_fail(ctl, EX_CANTCREAT, "%s: %s", to,
		    strerror(errno));

		if (fd != -1)
			(void)close(fd);
		return rc;
	}
	(void)close(fd);
	return 0;
}

/* From here on, standard output is the file. */
static int
redirect(const struct ctl *ctl, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd == -1 || dup2(fd, STDOUT_FILENO) == -1)
		return ctl_fail(ctl, EX_CANTCREAT, "%s: %s", path,
		    strerror(errno));
	(void)close(fd);
	return 0;
}

static int
export_to(struct export *x, const char *path)
{
	char *tmp = temporary(path);
	int rc;

	if (tmp == NULL)
		return ctl_fail(x->ctl, EX_OSERR, "out of memory");
	(void)unlink(tmp);
	if (x->format == RELAYERS_DB)
		rc = bdb_open(tmp, true, &x->db, &x->err) == 0 ? 0 :
		    ctl_fail_err(x->ctl, &x->err);
	else
		rc = redirect(x->ctl, tmp);
	if (rc == 0)
		rc = walk(x);
	if (x->db != NULL && bdb_close(&x->db, &x->err) == -1 && rc == 0)
		rc = ctl_fail_err(x->ctl, &x->err);
	if (rc == 0 && (fflush(stdout) != 0 || ferror(stdout)))
		rc = ctl_fail(x->ctl, EX_IOERR, "%s: %s", tmp,
		    strerror(errno));
	if (rc == 0)
		rc = sync_and_rename(x->ctl, tmp, path);
	if (rc == 0)
		(void)fprintf(stderr, "%" PRId64 " entries in %s\n", x->n,
		    path);
	else
		(void)unlink(tmp);
	free(tmp);
	return rc;
}

static int
run(struct ctl *ctl, const struct ctl_args *args)
{
	const char *name = args->opt[OPT_FORMAT];
	struct export x = { .ctl = ctl, .value = args->opt[OPT_VALUE] };

	if (name == NULL)
		name = "makemap";
	while (x.format < FORMATS && strcmp(format_names[x.format], name) !=
	    0)
		x.format++;
	if (x.format == FORMATS)
		return ctl_fail(ctl, EX_USAGE, "'%.100s' is no format: "
		    "expected %s", name, options[OPT_FORMAT].help);
	if (x.value == NULL)
		x.value = "OK";
	if (args->opt[OPT_OUTPUT] != NULL)
		return export_to(&x, args->opt[OPT_OUTPUT]);
	if (x.format == RELAYERS_DB)
		return ctl_fail(ctl, EX_USAGE, "a Berkeley DB needs "
		    "--output FILE");
	return walk(&x);
}

const struct command cmd_export = {
	.name = "export", .args = "[--format NAME] [--output FILE]",
	.summary = "who may relay now, in other programs' formats",
	.help = "makemap and relayers.db: ADDRESS and TICKS, as vsmtprelay; "
	    "relayhosts: cPanel,\nDirectAdmin, Exim; access: Postfix or "
	    "Sendmail; cidr: Postfix. Only what counts at\nthis moment is "
	    "written: such a file must be made again before the next entry "
	    "ends.\n",
	.options = options, .min = 0, .max = 0, .run = run
};
