/* SPDX-License-Identifier: ISC */
/* report - a page (or a text) of what happened, for the owner of the server. */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/place.h"
#include "ctl/commands.h"
#include "ctl/mail.h"
#include "ctl/report/gather.h"
#include "ctl/report/mail.h"
#include "ctl/report/render.h"

enum { OPT_SINCE, OPT_UNTIL, OPT_HTML, OPT_JSON, OPT_MAIL };
enum { DEFAULT_S = 7 * 86400, NICE = 10 };

static const struct ctl_option options[] = {
	[OPT_SINCE] = { "since", "TIME",
	    "7d (ago), '2026-03-01', '2026-03-01 12:00'; default 7d" },
	[OPT_UNTIL] = { "until", "TIME", "the same; default now" },
	[OPT_HTML] = { "html", "FILE", "write a page, '-': to the output" },
	[OPT_JSON] = { "json", NULL, "a JSON object" },
	[OPT_MAIL] = { "mail", NULL,
	    "mail it, as text and as a page, to the address given, or root" },
	{ 0 },
};

/* "CET (UTC+01:00)" */
static void
name_zone(int64_t at, char *buf, size_t size)
{
	time_t t = (time_t)at;
	char name[32], offset[8];
	struct tm tm;

	(void)localtime_r(&t, &tm);
	if (strftime(name, sizeof(name), "%Z", &tm) == 0)
		name[0] = '\0';
	(void)strftime(offset, sizeof(offset), "%z", &tm);
	(void)snprintf(
	    buf, size, "%s (UTC%.3s:%.2s)", name, offset, offset + 3);
}

/* Read the period of the report. 0, or an exit status. */
static int
choose_period(struct ctl *ctl, const struct ctl_args *args, struct report *rep)
{
	int64_t now = ctl->now;
	int rc = 0;

	rep->now = now;
	rep->since = now - DEFAULT_S;
	rep->until = now + 1; /* what is written in this second counts */
	if (args->opt[OPT_SINCE] != NULL)
		rc = ctl_time(ctl, args->opt[OPT_SINCE], 1, &rep->since);
	if (rc == 0 && args->opt[OPT_UNTIL] != NULL)
		rc = ctl_time(ctl, args->opt[OPT_UNTIL], 1, &rep->until);
	if (rc == 0)
		rc = ctl_period(ctl, rep->since, rep->until);
	if (rc == 0 && rep->until - rep->since > REPORT_PERIOD_MAX_S)
		rc = ctl_fail(ctl, EX_USAGE,
		    "a report is about %d days at most: give a later --since, or --until",
		    (int)(REPORT_PERIOD_MAX_S / 86400));
	return rc;
}

/* The second walk through the record, beside the first one: each takes seconds
 * where there are millions of decisions. */
struct beside {
	const char *path;
	struct report *rep; /* of it only what report_find_dependents() fills */
	struct err err;
	int rc;
};

static void *
find_dependents(void *arg)
{
	struct beside *b = arg;
	struct audit_reader *r;

	b->rc = ctl_audit_open(b->path, &r, &b->err);
	if (b->rc == 0) {
		b->rc = report_find_dependents(b->rep, r, &b->err);
		audit_close_reader(&r);
	}
	return NULL;
}

/* Run both walks, which keep two processors busy for seconds on a large record:
 * mail goes first. 0, or an exit status after having said why. */
static int
walk(struct ctl *ctl, struct report *rep, struct audit_reader *r)
{
	struct beside b = { .path = ctl->cfg->audit.database, .rep = rep };
	pthread_t thread;
	struct err err;
	int priority = nice(NICE); /* failing that, as it was */

	(void)priority;
	bool alone = pthread_create(&thread, NULL, find_dependents, &b) != 0;
	int rc = report_count_relays(rep, r, &err);

	if (alone)
		(void)find_dependents(&b);
	else
		(void)pthread_join(thread, NULL);
	return rc == -1  ? ctl_fail_err(ctl, &err)
	    : b.rc == -1 ? ctl_fail_err(ctl, &b.err)
			 : 0;
}

static int
gather(struct ctl *ctl, struct report *rep)
{
	struct audit_reader *r;
	int rc = ctl_config(ctl);

	if (rc == 0)
		rc = ctl_audit(ctl, &r);
	if (rc != 0)
		return rc;
	(void)gethostname(rep->host, sizeof(rep->host) - 1);
	(void)snprintf(
	    rep->version, sizeof(rep->version), "%s", POPGATE_VERSION);
	name_zone(rep->now, rep->zone, sizeof(rep->zone));
	rc = walk(ctl, rep, r);
	if (rc == 0)
		rc = report_find_denials(rep, ctl, r);
	audit_close_reader(&r);
	if (rc == 0)
		report_look_around(rep, ctl);
	return rc;
}

/* The page as a whole, or the file stays as it was. */
static int
write_page(struct ctl *ctl, const struct report *rep, const char *path)
{
	struct place p;
	struct err err;
	int rc = EX_IOERR, fd;
	FILE *to;

	if (strcmp(path, "-") == 0) {
		report_html(rep, false, stdout);
		return 0;
	}
	if (place_open(&p, path, &err) == -1)
		return ctl_fail_err(ctl, &err);
	fd = place_create(&p, &err);
	to = fd == -1 ? NULL : fdopen(dup(fd), "w");
	if (to != NULL)
		report_html(rep, false, to);
	bool written = to != NULL && fflush(to) == 0 && !ferror(to);

	if (to != NULL)
		written &= fclose(to) == 0;
	if (fd != -1 && !written)
		rc = ctl_fail(
		    ctl, EX_IOERR, "%.400s: %s", path, strerror(errno));
	else if (fd == -1 || place_commit(&p, fd, 0640, NULL, &err) == -1)
		rc = ctl_fail_err(ctl, &err);
	else
		rc = 0;
	if (fd != -1)
		(void)close(fd);
	place_close(&p);
	return rc;
}

static int
tell(struct ctl *ctl, const struct ctl_args *args, const struct report *rep)
{
	int rc = 0;

	if (args->opt[OPT_HTML] != NULL)
		rc = write_page(ctl, rep, args->opt[OPT_HTML]);
	if (rc == 0 && args->opt[OPT_MAIL] != NULL)
		rc = report_mail(ctl, rep, args->n > 0 ? args->v[0] : "root");
	if (rc != 0 || args->opt[OPT_HTML] != NULL ||
	    (args->opt[OPT_MAIL] != NULL && args->opt[OPT_JSON] == NULL))
		return rc;
	if (args->opt[OPT_JSON] != NULL)
		report_json(rep, stdout);
	else
		report_text(rep, stdout);
	return 0;
}

/* Refuse options that exclude each other, before anything is read. */
static int
check_options(struct ctl *ctl, const struct ctl_args *args)
{
	const char *html = args->opt[OPT_HTML];

	if (args->n > 0 && args->opt[OPT_MAIL] == NULL)
		return ctl_fail(ctl, EX_USAGE,
		    "'%.100s': only --mail takes an operand, the address",
		    args->v[0]);
	if (args->n > 0 && !mail_is_address(args->v[0]))
		return ctl_fail(ctl, EX_USAGE,
		    "--mail: '%.100s' is not an address that can be mailed to",
		    args->v[0]);
	if (html != NULL && args->opt[OPT_JSON] != NULL)
		return ctl_fail(
		    ctl, EX_USAGE, "--html and --json don't go together");
	if (html != NULL && *html == '\0')
		return ctl_fail(ctl, EX_USAGE,
		    "--html: expected the name of a file, or '-'");
	return 0;
}

static int
run(struct ctl *ctl, const struct ctl_args *args)
{
	struct report *rep = calloc(1, sizeof(*rep));
	int rc = check_options(ctl, args);

	if (rep == NULL)
		return ctl_fail(ctl, EX_OSERR, "out of memory");
	if (rc == 0)
		rc = choose_period(ctl, args, rep);
	if (rc == 0)
		rc = gather(ctl, rep);
	if (rc == 0)
		rc = tell(ctl, args, rep);
	free(rep);
	return rc;
}

const struct command cmd_report = {
	.name = "report",
	.args =
	    "[--since TIME] [--until TIME] [--html FILE | --json] [--mail [ADDRESS]]",
	.summary = "what happened in a week: a text, a page, a mail",
	.help =
	    "Relays and refusals over time, who relays and by which right, new addresses,\n"
	    "users who still depend on a login, limits reached, denials, shared addresses,\n"
	    "how the daemons are, and what the doctor found. Counts as 'popgatectl stats'.\n"
	    "The page is one file without scripts that loads nothing.\n",
	.options = options,
	.min = 0,
	.max = 1,
	.run = run,
};
