/* SPDX-License-Identifier: ISC */
#include "collector/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/collect.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/growth.h"
#include "common/base/guarded.h"
#include "common/base/json.h"
#include "common/base/metrics.h"
#include "common/config/config.h"
#include "common/daemon/health.h"
#include "common/db/store.h"
#include "common/db/store_share.h"

/* set before the threads */
static char *database;
static int64_t opened_at;
static bool shared; /* there are servers */
static struct mutex mtx = MUTEX_INITIALIZER;
static struct {
	struct collect_figures now;
	int64_t told_ms;
	struct growth logins;
} status GUARDED_BY(mtx);

/* The figures that the loop told last, how long ago, and the logins of the last
 * minute. */
static struct collect_figures
told(int64_t *age_ms, uint64_t *per_minute)
{
	int64_t now_ms = clock_monotonic_ms();

	mutex_lock(&mtx);
	struct collect_figures f = status.now;

	*age_ms = now_ms - status.told_ms;
	*per_minute = growth_per_minute(&status.logins, now_ms, f.logins);
	mutex_unlock(&mtx);
	return f;
}

struct sources {
	struct json *j; /* or */
	FILE *to;
	int64_t now, lag_s;
	bool lines; /* to: the newest line's time */
};

/* Since a source was last read to its end: one that never was, since the start
 * at least. A clock that was set back is no advance. */
static int64_t
lag_of(const struct store_source *src, int64_t now)
{
	int64_t lag_s = now - (src->read_at == 0 ? opened_at : src->read_at);

	return lag_s < 0 ? 0 : lag_s;
}

static bool
source_json(void *arg, const struct store_source *src)
{
	struct sources *s = arg;
	int64_t lag_s = lag_of(src, s->now);

	if (lag_s > s->lag_s)
		s->lag_s = lag_s;
	json_open(s->j, NULL, '{');
	json_text(s->j, "name", src->name);
	json_number(s->j, "lag_s", lag_s);
	json_number(s->j, "read_at", src->read_at);
	json_number(s->j, "line_at", src->line_at);
	json_close(s->j, '}');
	return true;
}

/* Nothing where nothing is shared. */
static void
share_json(struct json *j, struct store *st)
{
	struct store_share share;

	if (!shared || store_share_find(st, &share, NULL) != 1)
		return;
	json_bool(j, "share_good", *share.trouble == '\0');
	json_text(j, "share_trouble", share.trouble);
	json_number(j, "share_lag_s", clock_now() - share.heard_at);
	json_number(j, "share_skew_s", share.skew_s);
}

static void
add_members(struct json *j)
{
	struct sources s = { .j = j, .now = clock_now(), .lag_s = -1 };
	struct store *st = NULL;
	struct err err;
	int64_t age_ms;
	uint64_t per_minute;
	struct collect_figures f = told(&age_ms, &per_minute);

	json_number(j, "loop_age_ms", age_ms);
	json_number(j, "lines", (int64_t)f.lines);
	json_number(j, "logins", (int64_t)f.logins);
	json_number(j, "logins_per_minute", (int64_t)per_minute);
	json_number(j, "logins_waiting", (int64_t)f.waiting);
	json_bool(j, "database_good", f.store_good);
	json_open(j, "sources", '[');
	if (store_open(database, STORE_READ, &st, &err) == 0)
		(void)store_each_source(st, source_json, &s, &err);
	json_close(j, ']');
	if (st != NULL)
		share_json(j, st);
	store_close(&st);
	json_number(j, "lag_s", s.lag_s);
}

static bool
source_metric(void *arg, const struct store_source *src)
{
	const struct sources *s = arg;
	const struct metrics_label labels[] = { { "source", src->name },
		{ 0 } };

	if (!s->lines)
		metrics_milli(s->to, "source_lag_seconds", labels,
		    lag_of(src, s->now) * 1000);
	else if (src->line_at != 0)
		metrics_sample(s->to, "source_newest_line_time_seconds", "",
		    labels, (uint64_t)src->line_at);
	return true;
}

struct counts {
	FILE *to;
	bool logins; /* else all the others */
};

static bool
count_metric(void *arg, const struct store_count *row)
{
	const struct counts *c = arg;
	bool is_login = strcmp(row->reason, "login") == 0;
	const struct metrics_label labels[] = { { "source", row->source },
		{ "server", row->server },
		{ is_login ? NULL : "reason", row->reason }, { 0 } };

	if (is_login == c->logins && row->lines > 0)
		metrics_sample(c->to, c->logins ? "logins" : "lines_refused",
		    "_total", labels, (uint64_t)row->lines);
	return true;
}

static bool
refused_metric(void *arg, const char *reason, int64_t n, int64_t last_at)
{
	const struct metrics_label labels[] = { { "reason", reason }, { 0 } };

	(void)last_at;
	metrics_sample(arg, "share_refused", "_total", labels, (uint64_t)n);
	return true;
}

static bool
peer_metric(void *arg, const struct store_peer *peer)
{
	const struct metrics_label labels[] = { { "machine", peer->name },
		{ "origin", peer->origin }, { 0 } };

	if (peer->read_at != 0)
		metrics_sample(arg, "share_machine_heard_time_seconds", "",
		    labels, (uint64_t)peer->read_at);
	return true;
}

static int
share_metrics(FILE *to, struct store *st, struct err *err)
{
	struct store_share share;
	int found = shared ? store_share_find(st, &share, err) : 0;

	if (found != 1)
		return found;
	metrics_gauge(to, "share_good", NULL,
	    "1 while Redis answers and the stream is read.",
	    *share.trouble == '\0');
	metrics_family(to, "share_lag_seconds", "gauge", "seconds",
	    "Since the stream of other machines was last read to its end.");
	metrics_milli(to, "share_lag_seconds", NULL,
	    (clock_now() - share.heard_at) * 1000);
	metrics_family(to, "share_clock_ahead_seconds", "gauge", "seconds",
	    "How far the clock of Redis is ahead of this machine's.");
	metrics_milli(
	    to, "share_clock_ahead_seconds", NULL, share.skew_s * 1000);
	metrics_family(to, "share_machine_heard_time_seconds", "gauge",
	    "seconds", "When a machine last said hello, Unix time.");
	if (store_each_peer(st, peer_metric, to, err) == -1)
		return -1;
	metrics_family(to, "share_refused", "counter", NULL,
	    "Entries of the stream that didn't count, and why.");
	return store_each_refused(st, refused_metric, to, err);
}

static int
table_metrics(FILE *to, struct store *st)
{
	struct sources s = { .to = to, .now = clock_now() };
	struct counts c = { .to = to, .logins = true };
	struct err err;

	metrics_family(to, "source_lag_seconds", "gauge", "seconds",
	    "Since a source was last read to its end.");
	if (store_each_source(st, source_metric, &s, &err) == -1)
		return -1;
	metrics_family(to, "source_newest_line_time_seconds", "gauge",
	    "seconds", "The newest line's own time, Unix time.");
	s.lines = true;
	if (store_each_source(st, source_metric, &s, &err) == -1)
		return -1;
	metrics_family(to, "logins", "counter", NULL,
	    "Logins recorded, since the table was made.");
	if (store_each_count(st, count_metric, &c, &err) == -1)
		return -1;
	metrics_family(to, "lines_refused", "counter", NULL,
	    "Lines of known servers that are no login to go by, and why.");
	c.logins = false;
	if (store_each_count(st, count_metric, &c, &err) == -1)
		return -1;
	return share_metrics(to, st, &err);
}

static int
add_metrics(FILE *to)
{
	struct store *st = NULL;
	struct err err;
	int64_t age_ms;
	uint64_t per_minute;
	struct collect_figures f = told(&age_ms, &per_minute);
	int rc;

	metrics_family(to, "loop_age_seconds", "gauge", "seconds",
	    "Since the collector's loop last turned.");
	metrics_milli(to, "loop_age_seconds", NULL, age_ms);
	metrics_counter(
	    to, "lines_read", "Lines read since the start.", f.lines);
	metrics_gauge(to, "logins_waiting", NULL,
	    "Logins read and not written yet.", f.waiting);
	metrics_gauge(to, "database_good", NULL,
	    "1 when the last writing to the login table went well.",
	    f.store_good);
	metrics_file(to, true, "logins", database);
	/* without a table the rest says nothing, which is not 0 */
	rc = store_open(database, STORE_READ, &st, &err) == -1
	    ? 0
	    : table_metrics(to, st);
	store_close(&st);
	return rc;
}

void
status_open(const struct config *cfg)
{
	const struct health_pages pages = {
		.status_key = "collector.status",
		.status = cfg->collector.status,
		.metrics_key = "metrics.collector",
		.metrics = cfg->metrics.collector,
		/* the directory's group, which is our readers' */
		.gid = (gid_t)-1,
		.add_members = add_members,
		.add_metrics = add_metrics,
	};

	mutex_lock(&mtx);
	status.told_ms = clock_monotonic_ms();
	mutex_unlock(&mtx);
	opened_at = clock_now();
	database = strdup(cfg->logins.database);
	shared = cfg->share.servers.n > 0;
	if (database == NULL)
		return;
	health_open(&pages);
}

void
status_tell(const struct collect_figures *figures)
{
	mutex_lock(&mtx);
	status.now = *figures;
	status.told_ms = clock_monotonic_ms();
	growth_note(&status.logins, status.told_ms, figures->logins);
	mutex_unlock(&mtx);
	health_tick();
}

void
status_close(void)
{
	health_close();
	free(database);
	database = NULL;
}
