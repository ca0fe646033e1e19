/* SPDX-License-Identifier: ISC */
#include "collector/collect.h"

#include <assert.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "collector/commit.h"
#include "collector/feed.h"
#include "collector/pair_store.h"
#include "collector/state.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/own_addresses.h"
#include "common/db/store.h"

enum {
	TICK_MS = 1000, /* look at every source this often */
	GATHER_MS = 100, /* a login waits no longer than this */
	OWN_MS = 30 * 1000, /* look for this machine's addresses this often */
	HEARTBEAT_MAX_S = 15,
	SHARED_LOGINS = 4096 /* written at once while a source is up to date */
};

int
collect_start(struct collect *c, struct err *err)
{
	if (commit_open(c, err) == -1)
		return -1;
	for (size_t i = 0; i < c->n_feeds; i++)
		if (c->feed[i]->source == NULL)
			feed_try_open(c->feed[i]);
	return 0;
}

void
collect_complain(struct collect *c, const struct err *err)
{
	if (state_complain(&c->store_complaint))
		state_note(c, LOG_ERR, "%s: trying again", err->text);
}

/* --- creation --- */

int
collect_check(const struct config *cfg, struct err *err)
{
	struct judge *judge;

	if (judge_new(cfg, NULL, &judge, err) == -1)
		return -1;
	judge_free(&judge);
	return 0;
}

static void
note_restart(
    const struct collect *c, const char *key, const char *old, const char *new)
{
	if (strcmp(old, new) != 0)
		state_note(
		    c, LOG_WARNING, "%s: changed, which needs a restart", key);
}

static const char *
text_or_none(const char *text)
{
	return text == NULL ? "" : text;
}

/* Feeds for cfg: those that c has already, and new ones. */
static int
make_feeds(struct collect *c, const struct config *cfg, struct feed ***feed_r,
    struct pollfd **fds_r, struct err *err)
{
	size_t n = cfg->collector.n_sources;
	struct feed **feed = calloc(n + 1, sizeof(struct feed *));
	struct pollfd *fds = calloc(n + 1, sizeof(*fds));
	size_t made = 0;

	while (feed != NULL && fds != NULL && made < n) {
		const struct config_source *s = &cfg->collector.sources[made];

		feed[made] = state_feed(c, s->name);
		if (feed[made] != NULL)
			note_restart(c, s->name,
			    text_or_none(feed[made]->cfg.rotated),
			    text_or_none(s->rotated));
		else
			feed[made] = feed_new(c, s);
		if (feed[made] == NULL)
			break;
		feed[made]->cfg.zone = s->zone;
		made++;
	}
	if (feed != NULL && fds != NULL && made == n) {
		*feed_r = feed;
		*fds_r = fds;
		return 0;
	}
	for (size_t i = 0; i < made; i++)
		if (state_feed(c, feed[i]->cfg.name) == NULL)
			feed_free(feed[i]);
	free(feed);
	free(fds);
	err_set(err, ERR_NOMEM, "out of memory");
	return -1;
}

int
collect_new(struct config *cfg, collect_note_fn *note_fn, struct collect **c_r,
    struct err *err)
{
	struct collect *c = calloc(1, sizeof(*c));

	assert(cfg != NULL && note_fn != NULL);
	*c_r = NULL;
	if (c == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		config_free(cfg);
		return -1;
	}
	c->cfg = cfg;
	c->lock = -1;
	/* the clock may have been set back before we came: cap once */
	c->ahead_ms = INT64_MAX;
	c->note = note_fn;
	c->batch = batch_new();
	if (c->batch == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		goto fail;
	}
	if (judge_new(cfg, NULL, &c->judge, err) == -1 ||
	    make_feeds(c, cfg, &c->feed, &c->fds, err) == -1)
		goto fail;
	c->n_feeds = cfg->collector.n_sources;
	*c_r = c;
	return 0;
fail:
	collect_free(&c);
	return -1;
}

void
collect_free(struct collect **c)
{
	if (*c == NULL)
		return;
	for (size_t i = 0; i < (*c)->n_feeds; i++)
		feed_free((*c)->feed[i]);
	free((*c)->feed);
	free((*c)->fds);
	store_close(&(*c)->store);
	if ((*c)->lock != -1)
		(void)close((*c)->lock);
	batch_free(&(*c)->batch);
	judge_free(&(*c)->judge);
	network_set_release(&(*c)->own);
	config_free((*c)->cfg);
	free(*c);
	*c = NULL;
}

/* --- the loop --- */

static int64_t
heartbeat_ms(const struct collect *c)
{
	int64_t s = c->cfg->relay.collector_grace_s / 4;

	if (s > HEARTBEAT_MAX_S || c->cfg->relay.collector_grace_s == 0)
		s = HEARTBEAT_MAX_S;
	return (s < 1 ? 1 : s) * 1000;
}

static bool
more_to_read(const struct collect *c)
{
	for (size_t i = 0; i < c->n_feeds; i++)
		if (c->feed[i]->source != NULL &&
		    c->feed[i]->state == SOURCE_MORE)
			return true;
	return false;
}

/* The store fails, and the batch has no room to read on without it. */
static bool
stuck(const struct collect *c)
{
	return c->retry_ms != 0 && (c->store == NULL || batch_full(c->batch));
}

static int
timeout_ms(const struct collect *c)
{
	int64_t ms = clock_monotonic_ms();
	int64_t next = c->tick_ms + TICK_MS;

	if (!stuck(c) && more_to_read(c))
		return 0;
	if (c->retry_ms != 0 && c->retry_ms < next)
		next = c->retry_ms;
	if (c->retry_ms == 0 && c->beat_ms + heartbeat_ms(c) < next)
		next = c->beat_ms + heartbeat_ms(c);
	for (size_t i = 0; i < c->n_feeds && !stuck(c); i++)
		if (c->feed[i]->poll_ms != 0 && c->feed[i]->poll_ms < next)
			next = c->feed[i]->poll_ms;
	return next <= ms ? 0 : (int)(next - ms);
}

bool
collect_wait(struct collect *c, int wake_fd)
{
	bool blocked = stuck(c);

	for (size_t i = 0; i < c->n_feeds; i++) {
		const struct feed *f = c->feed[i];
		bool closed = f->source == NULL || f->state == SOURCE_CLOSED ||
		    f->state == -1;

		c->fds[i] = (struct pollfd){
			.fd = blocked || closed ? -1 : source_fd(f->source),
			.events = POLLIN
		};
	}
	c->fds[c->n_feeds] = (struct pollfd){ .fd = wake_fd, .events = POLLIN };
	if (poll(c->fds, c->n_feeds + 1, timeout_ms(c)) <= 0)
		return false;
	for (size_t i = 0; i < c->n_feeds; i++)
		c->feed[i]->due |= c->fds[i].revents != 0;
	return c->fds[c->n_feeds].revents != 0;
}

static void
tick(struct collect *c)
{
	int64_t ms = clock_monotonic_ms();
	struct err err;

	if (ms - c->tick_ms < TICK_MS)
		return;
	c->tick_ms = ms;
	for (size_t i = 0; i < c->n_feeds; i++) {
		c->feed[i]->due |= c->feed[i]->state != SOURCE_CLOSED;
		/* a closed source has no more lines: always up to date */
		if (c->feed[i]->state == SOURCE_CLOSED)
			c->feed[i]->read_at = c->now;
	}
	if (c->own_ms != 0 && ms - c->own_ms < OWN_MS)
		return;
	c->own_ms = ms;
	if (!c->cfg->relay.never_authorize_own)
		return;
	if (own_addresses(&c->own, &err) == -1)
		state_note(c, LOG_ERR, "%s", err.text);
	else if (!judge_set_own(c->judge, &c->own))
		state_note(c, LOG_ERR, "out of memory");
}

/* A source that isn't read to its end may have lines of the server there. */
static bool
say_quiet(void *arg, const char *source, const char *server, int64_t last_at)
{
	const struct collect *c = arg;
	const struct feed *f = state_feed(c, source);

	if (f != NULL && f->state == SOURCE_END &&
	    stats_quiet(f->stats, server))
		state_note(c, LOG_WARNING,
		    "%s: %s: 0 lines in %" PRId64
		    " h: stopped, or its tag changed?",
		    source, server, (c->now - last_at) / 3600);
	return true;
}

/* Servers whose lines hold no logins any more, or that have no lines. */
static void
alarms(struct collect *c)
{
	char text[256];

	for (size_t i = 0; i < c->n_feeds; i++)
		while (
		    stats_alarm(c->feed[i]->stats, c->now, text, sizeof(text)))
			state_note(c, LOG_WARNING, "%s: %s",
			    c->feed[i]->cfg.name, text);
	/* a failure to read is not noted: commit_flush() notes it */
	if (c->store != NULL)
		(void)store_each_quiet(c->store, c->now, say_quiet, c, NULL);
}

/* The clock was set back: no time of a source may lie ahead of it. */
static void
set_back(struct collect *c)
{
	int64_t latest = c->now + LOGIN_FUTURE_S;

	for (size_t i = 0; i < c->n_feeds; i++) {
		struct feed *f = c->feed[i];

		stats_set_back(f->stats, c->now);
		if (f->line_at > latest)
			f->line_at = c->now;
		if (f->read_at > latest)
			f->read_at = 0; /* nobody knows when */
	}
}

/* Logins that came while the clock was ahead are dated in its future. Once it
 * is set right, they would count until it is as late again. */
static int
watch_clock(struct collect *c, struct err *err)
{
	int64_t ahead_ms = clock_now_ms() - clock_monotonic_ms();

	if (ahead_ms < c->ahead_ms - LOGIN_FUTURE_S * INT64_C(1000)) {
		set_back(c);
		if (commit_cap_future(c, err) == -1)
			return -1;
		c->ahead_ms = ahead_ms;
	}
	if (ahead_ms > c->ahead_ms)
		c->ahead_ms = ahead_ms;
	return 0;
}

static void
read_feeds(struct collect *c)
{
	for (size_t i = 0; i < c->n_feeds; i++) {
		struct feed *f = c->feed[i];

		if (f->source == NULL && clock_monotonic_ms() >= f->retry_ms)
			feed_try_open(f);
		if (f->source != NULL && !batch_full(c->batch) &&
		    (f->due || f->state == SOURCE_MORE ||
			(f->poll_ms != 0 &&
			    clock_monotonic_ms() >= f->poll_ms)))
			feed_read(f);
	}
}

/* Write the batch once nobody adds to it any more, or it waited long enough. A
 * large transaction takes long: while a source is up to date, its next login
 * must not wait for many logins of one that is far behind. */
static bool
batch_due(const struct collect *c)
{
	bool live = false, complete = false;

	if (batch_count(c->batch) == 0)
		return false;
	for (size_t i = 0; i < c->n_feeds; i++) {
		live |= c->feed[i]->state == SOURCE_END;
		complete |=
		    c->feed[i]->contributed && c->feed[i]->state != SOURCE_MORE;
	}
	return complete || batch_full(c->batch) ||
	    (live && batch_count(c->batch) >= SHARED_LOGINS) ||
	    clock_monotonic_ms() - c->batch_ms >= GATHER_MS;
}

/* Save how far everything is read: regularly, when a source has just come up to
 * date or moved to another file, and after a failure, to try everything. */
static bool
beat_due(const struct collect *c)
{
	int64_t interval_ms = heartbeat_ms(c);

	for (size_t i = 0; i < c->n_feeds; i++)
		if (c->feed[i]->moved ||
		    c->feed[i]->read_at - c->feed[i]->saved_at >
			interval_ms / 1000)
			return true;
	return c->retry_ms != 0 ||
	    clock_monotonic_ms() - c->beat_ms >= interval_ms;
}

static bool
all_closed(const struct collect *c)
{
	for (size_t i = 0; i < c->n_feeds; i++)
		if (c->feed[i]->source == NULL ||
		    c->feed[i]->state != SOURCE_CLOSED)
			return false;
	return c->n_feeds > 0;
}

bool
collect_step(struct collect *c)
{
	int64_t ms = clock_monotonic_ms();
	struct err err;

	c->now = clock_now();
	tick(c);
	if (c->store == NULL) {
		if (ms < c->retry_ms)
			return true;
		if (collect_start(c, &err) == -1) {
			collect_complain(c, &err);
			return true;
		}
	}
	if (c->retry_ms == 0 && watch_clock(c, &err) == -1)
		return true;
	read_feeds(c);
	if (c->retry_ms != 0 && clock_monotonic_ms() < c->retry_ms)
		return true;
	bool beat = beat_due(c);

	if (beat)
		commit_watch(c);
	if (c->store == NULL)
		return true;
	if ((beat || batch_due(c)) && commit_flush(c, beat, &err) == -1)
		return true;
	if (beat)
		alarms(c);
	if (!more_to_read(c))
		commit_tidy(c);
	return !all_closed(c) || batch_count(c->batch) > 0;
}

int
collect_finish(struct collect *c, struct err *err)
{
	if (c->store == NULL) {
		if (batch_count(c->batch) == 0)
			return 0;
		if (collect_start(c, err) == -1)
			return -1;
	}
	c->now = clock_now();
	return commit_flush(c, true, err);
}

/* --- reload --- */

static void
swap_text(char **a, char **b)
{
	char *t = *a;

	*a = *b;
	*b = t;
}

static bool
is_source_of(const struct config *cfg, const char *name)
{
	for (size_t i = 0; i < cfg->collector.n_sources; i++)
		if (strcmp(cfg->collector.sources[i].name, name) == 0)
			return true;
	return false;
}

int
collect_reload(struct collect *c, struct config *cfg, struct err *err)
{
	struct judge *judge = NULL;
	struct feed **feed;
	struct pollfd *fds;

	assert(cfg != NULL && cfg != c->cfg);
	/* entries of the batch borrow the names of feeds that may go */
	if (batch_count(c->batch) > 0 && c->store == NULL) {
		err_set(err, ERR_BUSY,
		    "%s isn't open, and logins wait for it: not yet",
		    c->cfg->logins.database);
		goto fail;
	}
	if ((batch_count(c->batch) > 0 && commit_flush(c, true, err) == -1) ||
	    judge_new(cfg, NULL, &judge, err) == -1)
		goto fail;
	if (!judge_set_own(judge, &c->own)) {
		err_set(err, ERR_NOMEM, "out of memory");
		goto fail;
	}
	if (make_feeds(c, cfg, &feed, &fds, err) == -1)
		goto fail;
	note_restart(c, "logins.database", c->cfg->logins.database,
	    cfg->logins.database);
	note_restart(
	    c, "collector.user", c->cfg->collector.user, cfg->collector.user);
	note_restart(c, "collector.status", c->cfg->collector.status,
	    cfg->collector.status);
	note_restart(c, "metrics.collector", c->cfg->metrics.collector,
	    cfg->metrics.collector);
	swap_text(&c->cfg->collector.status, &cfg->collector.status);
	swap_text(&c->cfg->metrics.collector, &cfg->metrics.collector);
	swap_text(&c->cfg->logins.database, &cfg->logins.database);
	swap_text(&c->cfg->collector.user, &cfg->collector.user);
	assert(batch_count(c->batch) == 0);
	for (size_t i = 0; i < c->n_feeds; i++)
		if (!is_source_of(cfg, c->feed[i]->cfg.name))
			feed_free(c->feed[i]);
	free(c->feed);
	free(c->fds);
	pair_store_copy(judge, c->judge);
	c->pairs_saved = PAIRS_UNSAVED;
	judge_free(&c->judge);
	config_free(c->cfg);
	c->cfg = cfg;
	c->judge = judge;
	c->feed = feed;
	c->fds = fds;
	c->n_feeds = cfg->collector.n_sources;
	c->own_ms = 0;
	c->tick_ms = 0;
	/* after a failure collect_step() tries again */
	if (c->store != NULL && collect_start(c, err) == -1)
		collect_complain(c, err);
	return 0;
fail:
	judge_free(&judge);
	config_free(cfg);
	return -1;
}

void
collect_figures(const struct collect *c, struct collect_figures *figures)
{
	*figures = (struct collect_figures){ .lines = c->lines,
		.logins = c->logins,
		.waiting = batch_count(c->batch),
		.store_good = c->store != NULL && c->retry_ms == 0 };
}

const char *
collect_status(const struct collect *c, char *buf)
{
	(void)snprintf(buf, 200, "%" PRIu64 " lines, %" PRIu64 " logins; %s",
	    c->lines, c->logins,
	    c->retry_ms != 0      ? "database not usable"
		: more_to_read(c) ? "reading"
				  : "up to date");
	return buf;
}
