/* SPDX-License-Identifier: ISC */
#include "ctl/incident/maillog.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/run.h"
#include "common/logs/generations.h"
#include "common/logs/logfile.h"
#include "ctl/ctl.h"

enum { JOURNAL_TIMEOUT_S = 300 };

struct reader {
	const char *with; /* lines without it don't count; NULL: all do */
	maillog_fn *fn;
	void *arg;
	struct maillog_stats *stats;
	int64_t now; /* what a stamp without a year is near to */
	struct prefix_clock clock;
	char *scratch; /* PREFIX_SCRATCH */
};

static void
take_line(struct reader *r, const struct line *line)
{
	struct prefix prefix;
	struct mtalog m;
	int64_t at;

	r->stats->lines++;
	if (line->too_long) {
		r->stats->too_long++;
		return;
	}
	if (r->with != NULL &&
	    memmem(line->text, line->len, r->with, strlen(r->with)) == NULL)
		return;
	if (mtalog_exim_prefix(line->text, line->len, &prefix, &at)) {
		if (!mtalog_parse(&prefix, &m))
			return;
	} else if (prefix_split(line->text, line->len, false, &prefix,
		       r->scratch) != PREFIX_OK ||
	    !mtalog_parse(&prefix, &m) ||
	    !prefix_time(&prefix, r->now, &r->clock, &at)) {
		return;
	}
	r->stats->of_mta++;
	if (r->stats->first_at == 0 || at < r->stats->first_at)
		r->stats->first_at = at;
	if (at > r->stats->last_at)
		r->stats->last_at = at;
	r->fn(r->arg, &m, span_of(line->text, line->len), prefix.pid, at);
}

static int
read_file(const struct ctl *ctl, struct reader *r, const char *path)
{
	struct logfile f;
	struct line line;
	struct err err;
	int state = logfile_open(&f, path, 0, &err);

	if (state == 0)
		return 0; /* rotated away meanwhile */
	if (state == -1)
		return ctl_fail_err(ctl, &err);
	r->stats->files++;
	while ((state = logfile_fill(&f, &err)) == LOGFILE_DATA)
		while (lines_next(&f.lines, &line))
			take_line(r, &line);
	logfile_close(&f);
	/* cut off while we read: what there was has been counted */
	return state == -1 ? ctl_fail_err(ctl, &err) : 0;
}

static int
each_with(const struct ctl *ctl, const char *path, const struct zone *zone,
    int64_t since, const char *with, maillog_fn *fn, void *arg,
    struct maillog_stats *stats)
{
	struct reader r = {
		.with = with,
		.fn = fn,
		.arg = arg,
		.stats = stats,
		.clock.zone = *zone,
	};
	struct generations g;
	struct err err;
	int rc = 0;

	r.scratch = malloc(PREFIX_SCRATCH);
	if (r.scratch == NULL)
		return ctl_fail(ctl, EX_OSERR, "out of memory");
	if (generations_list(path, NULL, &g, &err) == -1) {
		generations_release(&g);
		free(r.scratch);
		return ctl_fail_err(ctl, &err);
	}
	if (g.n == 0)
		rc =
		    ctl_fail(ctl, EX_NOINPUT, "%s: there is no such log", path);
	for (size_t i = 0; i < g.n && rc == 0; i++) {
		int64_t changed = g.v[i].mtime_ns / 1000000000;

		if (changed < since)
			continue;
		r.now = g.v[i].live ? ctl->now : changed;
		rc = read_file(ctl, &r, g.v[i].path);
	}
	generations_release(&g);
	free(r.scratch);
	return rc;
}

int
maillog_configured(const struct ctl *ctl, const char *log, int64_t since,
    const char *with, maillog_fn *fn, void *arg, struct maillog_stats *stats)
{
	const struct config *cfg = ctl->cfg;
	const struct zone machine = { .fixed = false };
	bool any = false;
	int rc = 0;

	if (log != NULL)
		return each_with(
		    ctl, log, &machine, since, with, fn, arg, stats);
	for (size_t i = 0; i < cfg->collector.n_sources && rc == 0; i++) {
		const struct config_source *src = &cfg->collector.sources[i];

		if (src->kind != SOURCE_FILE)
			continue;
		any = true;
		rc = each_with(
		    ctl, src->where, &src->zone, since, with, fn, arg, stats);
	}
	return rc == 0 && !any ? -1 : rc;
}

static bool
has_journal(const struct config *cfg)
{
	for (size_t i = 0; i < cfg->collector.n_sources; i++)
		if (cfg->collector.sources[i].kind == SOURCE_JOURNAL)
			return true;
	return false;
}

int
maillog_journal(const struct ctl *ctl, int64_t since, char *path)
{
	char from[32];
	char *argv[] = { (char[]){ "journalctl" }, (char[]){ "-q" },
		(char[]){ "--no-pager" }, (char[]){ "-o" },
		(char[]){ "short-iso" }, from, (char[]){ "SYSLOG_FACILITY=2" },
		NULL };
	struct err err;
	FILE *to;

	if (!has_journal(ctl->cfg))
		return -1;
	to = tmpfile(); /* open until we end */
	if (to == NULL)
		return ctl_fail(
		    ctl, EX_CANTCREAT, "a temporary file: %s", strerror(errno));
	(void)snprintf(from, sizeof(from), "--since=@%" PRId64, since);
	if (run_write(argv, fileno(to), JOURNAL_TIMEOUT_S, &err) == -1)
		return ctl_fail_err(ctl, &err);
	(void)snprintf(path, 64, "/proc/self/fd/%d", fileno(to));
	return 0;
}

int
maillog_spool(const struct ctl *ctl, char *path)
{
	FILE *to = tmpfile(); /* open until we end */
	char buf[4096];
	size_t n;

	if (to == NULL)
		return ctl_fail(
		    ctl, EX_CANTCREAT, "a temporary file: %s", strerror(errno));
	while ((n = fread(buf, 1, sizeof(buf), stdin)) > 0)
		if (fwrite(buf, 1, n, to) != n)
			break;
	if (ferror(stdin) || ferror(to) || fflush(to) != 0)
		return ctl_fail(
		    ctl, EX_IOERR, "standard input: %s", strerror(errno));
	(void)snprintf(path, 64, "/proc/self/fd/%d", fileno(to));
	return 0;
}
