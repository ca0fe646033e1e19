/* SPDX-License-Identifier: ISC */
#include "ctl/watch/gather.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/json.h"
#include "ctl/ask_daemon.h"
#include "ctl/times.h"
#include "ctl/watch/limits.h"

enum {
	AGAIN_MS =
	    10000, /* a daemon that didn't answer is left alone so long */
	/* Limits are summed up a 200th of the time at most; where nothing was
	 * written, seldom: denials end by themselves. */
	LIMITS_MS = 10000,
	LIMITS_SHARE = 200,
	LIMITS_SAME_MS = 60000
};

struct gather {
	struct ctl *ctl;
	struct audit_reader *audit; /* NULL: can't be opened now */
	dev_t device; /* of the file that is open */
	ino_t inode;
	int64_t version; /* audit_version() of what was read */
	int64_t limits_ms; /* when limits are summed up again */
	int64_t limits_version; /* what they are of */
	int64_t milter_ms, collector_ms; /* when it is asked again */
	/* while reading */
	struct watch_model *m;
	struct watch_event *fresh; /* the newest first */
	size_t n;
	bool cut, no_memory;
	size_t at; /* of audit_each_count() in m->event */
};

/* --- decisions --- */

static void
set(struct watch_state *state, enum watch_level level, const char *words)
{
	state->level = level;
	(void)snprintf(state->words, sizeof(state->words), "%s", words);
}

static enum watch_fate
fate_of(const struct audit_record *rec)
{
	if (strcmp(rec->verdict, "accept") == 0)
		return rec->aborted ? WATCH_ABORTED : WATCH_RELAYED;
	if (strcmp(rec->verdict, "reject") == 0)
		return WATCH_REFUSED;
	if (strcmp(rec->verdict, "tempfail") == 0)
		return WATCH_PUT_OFF;
	return WATCH_MONITORED;
}

/* All texts of the event in one piece of memory. */
static bool
keep_texts(struct watch_event *e, const struct audit_record *rec)
{
	const struct {
		const char **to, *from;
	} texts[] = {
		{ &e->reason, rec->reason },
		{ &e->client, rec->client },
		{ &e->sender, rec->sender },
		{ &e->recipient, rec->recipient },
		{ &e->auth_user, rec->auth_user },
		{ &e->login_users, rec->login_user },
	};
	enum { TEXTS = sizeof(texts) / sizeof(texts[0]) };
	size_t len[TEXTS], size = 0;

	for (size_t i = 0; i < TEXTS; i++)
		size += len[i] =
		    texts[i].from == NULL ? 1 : strlen(texts[i].from) + 1;
	char *p = malloc(size);

	e->text = p;
	for (size_t i = 0; p != NULL && i < TEXTS; i++) {
		*texts[i].to = p;
		if (texts[i].from == NULL)
			*p = '\0';
		else
			memcpy(p, texts[i].from, len[i]);
		p += len[i];
	}
	return p != NULL;
}

static bool
take(void *arg, const struct audit_record *rec)
{
	struct gather *g = arg;
	int64_t since_ms = (g->m->now - WATCH_WINDOW_S) * 1000;

	if (rec->last_ms < since_ms && g->n + g->m->n >= WATCH_KEPT)
		return false;
	if (g->n == WATCH_EVENTS) {
		g->cut = true;
		return false;
	}
	struct watch_event *e = &g->fresh[g->n];

	*e = (struct watch_event){ .id = rec->id,
		.at_ms = rec->at_ms,
		.last_ms = rec->last_ms,
		/* our own recipients are recorded only when asked for */
		.count = strcmp(rec->class, "relay") == 0 ? rec->count : 0,
		.fate = fate_of(rec) };
	g->no_memory = !keep_texts(e, rec);
	g->n += !g->no_memory;
	return !g->no_memory;
}

static void
forget(struct watch_model *m, size_t n)
{
	if (n == 0)
		return; /* perhaps there is no array yet */
	for (size_t i = 0; i < n; i++)
		free(m->event[i].text);
	m->n -= n;
	memmove(m->event, m->event + n, m->n * sizeof(m->event[0]));
}

/* Forget events that are too old, and the oldest of what is too much. */
static void
forget_old(struct gather *g, struct watch_model *m, size_t room)
{
	int64_t since_ms = (m->now - WATCH_WINDOW_S) * 1000;
	size_t n = 0;

	while (m->n - n > WATCH_KEPT && m->event[n].last_ms < since_ms)
		n++;
	if (n > 0)
		m->cut = false;
	if (m->n - n + room > WATCH_EVENTS) {
		n = m->n + room - WATCH_EVENTS;
		m->cut = true;
	}
	m->cut |= g->cut;
	forget(m, n);
}

static bool
recount(void *arg, int64_t id, int64_t count, int64_t last_ms)
{
	struct gather *g = arg;
	struct watch_model *m = g->m;

	while (g->at < m->n && m->event[g->at].id < id)
		g->at++;
	if (g->at == m->n)
		return false;
	struct watch_event *e = &m->event[g->at];

	/* one of our own has none here */
	if (e->id == id && (e->count > 0 || count == 0)) {
		e->count = count;
		e->last_ms = last_ms;
	}
	return true;
}

/* A row of the permit channel has no recipient any more when the milter's
 * stands for it; one of repeated refusals gets more. */
static int
read_counts(struct gather *g, struct watch_model *m, struct err *err)
{
	g->at = 0;
	return m->n == 0 ? 0
			 : audit_each_count(g->audit, m->event[0].id,
			       m->event[m->n - 1].id, recount, g, err);
}

static int
read_new(struct gather *g, struct watch_model *m, struct err *err)
{
	const struct audit_filter f = { .channels = true,
		.newest_first = true,
		.limit = WATCH_EVENTS + 1,
		.after_id = m->n == 0 ? 0 : m->event[m->n - 1].id };

	g->n = 0;
	g->cut = false;
	int ret = audit_each(g->audit, &f, take, g, err);

	forget_old(g, m, g->n);
	for (size_t i = g->n; i > 0; i--)
		m->event[m->n++] = g->fresh[i - 1];
	if (g->no_memory)
		err_set(err, ERR_NOMEM, "out of memory");
	return g->no_memory ? -1 : ret;
}

/* The file may be another one than a moment ago: made anew, or put back from a
 * backup. */
static bool
open_audit(struct gather *g, struct watch_model *m, struct err *err)
{
	const char *path = g->ctl->cfg->audit.database;
	struct stat st;

	if (stat(path, &st) == 0 && g->audit != NULL &&
	    st.st_dev == g->device && st.st_ino == g->inode)
		return true;
	audit_close_reader(&g->audit);
	forget(m, m->n);
	g->version = -1;
	g->limits_ms = -LIMITS_SAME_MS;
	if (audit_open_reader(path, &g->audit, err) == -1)
		return false;
	g->device = st.st_dev;
	g->inode = st.st_ino;
	return true;
}

static void
read_audit(struct gather *g, struct watch_model *m)
{
	struct err err;

	m->tables.words[0] = '\0';
	if (!open_audit(g, m, &err)) {
		set(&m->tables, WATCH_BAD, err.text);
		return;
	}
	int64_t version = audit_version(g->audit, &err);
	int ret = version == -1 ? -1 : 0;

	if (version != -1 && version != g->version) {
		ret =
		    read_counts(g, m, &err) == -1 || read_new(g, m, &err) == -1
		    ? -1
		    : 0;
		g->version = ret == 0 ? version : -1;
	} else {
		forget_old(g, m, 0);
	}
	if (ret == -1 && err.code != ERR_BUSY)
		set(&m->tables, WATCH_BAD, err.text);
}

/* --- limits --- */

static void
read_limits(struct gather *g, struct watch_model *m)
{
	int64_t now_ms = clock_monotonic_ms();
	bool same = g->version == g->limits_version;

	if (g->audit == NULL ||
	    now_ms < g->limits_ms + (same ? LIMITS_SAME_MS : 0))
		return;
	limits_read(g->ctl, g->audit, m);
	int64_t end_ms = clock_monotonic_ms();
	int64_t rest_ms = (end_ms - now_ms) * LIMITS_SHARE;

	g->limits_ms = end_ms + (rest_ms > LIMITS_MS ? rest_ms : LIMITS_MS);
	g->limits_version = g->version;
}

/* --- daemons --- */

/* Ask, unless it didn't answer a moment ago. False: state says why there is no
 * answer. */
static bool
ask(const char *listen, const char *daemon, int64_t *again_ms,
    struct watch_state *state, char *text)
{
	char words[WATCH_WORDS_MAX];
	struct probe p;

	if (clock_monotonic_ms() < *again_ms)
		return false;
	probe_health(listen, daemon, &p, text);
	if (p.result == PROBE_GOOD)
		return true;
	*again_ms = clock_monotonic_ms() + AGAIN_MS;
	if (p.result == PROBE_NOT_SET)
		set(state, WATCH_ODD, "its status socket is off");
	else {
		(void)snprintf(
		    words, sizeof(words), "%.180s: %s", listen, p.words);
		set(state, p.result == PROBE_BAD ? WATCH_BAD : WATCH_ODD,
		    words);
	}
	return false;
}

static const char *
mode_words(const struct config *cfg)
{
	return cfg->relay.mode == RELAY_MONITOR
	    ? "MONITOR MODE, nothing is refused; "
	    : cfg->relay.mode == RELAY_OBSERVE
	    ? "OBSERVE MODE, nothing is refused or permitted; "
	    : "";
}

static void
ask_milter(struct gather *g, struct watch_model *m)
{
	static char text[PROBE_TEXT_MAX]; /* large for a stack */
	const struct config *cfg = g->ctl->cfg;
	char words[WATCH_WORDS_MAX];

	if (!ask(cfg->milter.status, "popgate-milter", &g->milter_ms,
		&m->milter, text))
		return;
	bool stuck = json_is_false(text, "audit_good");
	int64_t queued = json_number_or_none(text, "audit_queued"),
		limit = json_number_or_none(text, "audit_queue_limit");

	(void)snprintf(words, sizeof(words),
	    "%s%" PRId64 " sessions, %" PRId64
	    " decisions in the last minute, %" PRId64
	    " rows wait for the disk%s",
	    mode_words(cfg), json_number_or_none(text, "sessions"),
	    json_number_or_none(text, "decisions_per_minute"), queued,
	    stuck ? ", which takes none: relays are put off" : "");
	set(&m->milter,
	    stuck                                                ? WATCH_BAD
		: *mode_words(cfg) != '\0' || queued * 2 > limit ? WATCH_ODD
								 : WATCH_GOOD,
	    words);
}

struct lag {
	int64_t read_at; /* of the slowest log; INT64_MAX: there is none */
};

static bool
take_source(void *arg, const struct store_source *src)
{
	struct lag *lag = arg;

	if (src->read_at < lag->read_at)
		lag->read_at = src->read_at;
	return true;
}

/* How far behind is the slowest log? */
static enum watch_level
lag_words(
    struct gather *g, const struct watch_model *m, char *words, size_t size)
{
	int64_t grace = g->ctl->cfg->relay.collector_grace_s;
	struct lag lag = { .read_at = INT64_MAX };
	char when[TIME_TEXT_MAX];
	struct store *st;
	struct err err;

	if (store_open(g->ctl->cfg->logins.database, STORE_READ, &st, &err) ==
	    -1) {
		(void)snprintf(words, size, "%s", err.text);
		return WATCH_BAD;
	}
	int ret = store_each_source(st, take_source, &lag, &err);

	store_close(&st);
	if (ret == -1) {
		(void)snprintf(words, size, "%s", err.text);
		return err.code == ERR_BUSY ? WATCH_GOOD : WATCH_BAD;
	}
	if (lag.read_at == INT64_MAX || lag.read_at == 0) {
		(void)snprintf(words, size, "%s was never read",
		    lag.read_at == 0 ? "a log" : "any log");
		return WATCH_BAD;
	}
	bool late = grace > 0 && m->now - lag.read_at > grace;

	(void)snprintf(words, size, "logs read to their end %s%s",
	    time_past(lag.read_at, m->now, when),
	    late ? ": over relay.collector_grace" : "");
	return late ? WATCH_BAD : WATCH_GOOD;
}

static void
ask_collector(struct gather *g, struct watch_model *m)
{
	static char text[PROBE_TEXT_MAX];
	char lag[ERR_TEXT_MAX + 100], words[WATCH_WORDS_MAX];
	enum watch_level level = lag_words(g, m, lag, sizeof(lag));

	if (ask(g->ctl->cfg->collector.status, "popgate-collector",
		&g->collector_ms, &m->collector, text)) {
		bool stuck = json_is_false(text, "database_good");

		(void)snprintf(words, sizeof(words),
		    "%" PRId64 " logins in the last minute, %s%s",
		    json_number_or_none(text, "logins_per_minute"), lag,
		    stuck ? "; the login table can't be written" : "");
		set(&m->collector, stuck ? WATCH_BAD : level, words);
	} else if (m->collector.level != WATCH_BAD) {
		/* it isn't asked; what it wrote says something, too */
		(void)snprintf(words, sizeof(words), "%s", lag);
		set(&m->collector, level, words);
	}
}

/* --- all of it --- */

int
gather_open(struct ctl *ctl, struct gather **g_r)
{
	struct audit_reader *r;
	int rc = ctl_audit(ctl, &r);
	struct gather *g;

	/* the reader we keep tells nobody that it is working */
	audit_close_reader(&r);
	*g_r = NULL;
	if (rc != 0)
		return rc;
	g = calloc(1, sizeof(*g));
	if (g == NULL ||
	    (g->fresh = calloc(WATCH_EVENTS, sizeof(g->fresh[0]))) == NULL) {
		free(g);
		return ctl_fail(ctl, EX_OSERR, "out of memory");
	}
	g->ctl = ctl;
	g->version = -1;
	*g_r = g;
	return 0;
}

void
gather_close(struct gather **g)
{
	if (*g == NULL)
		return;
	audit_close_reader(&(*g)->audit);
	free((*g)->fresh);
	free(*g);
	*g = NULL;
}

void
gather_now(struct gather *g, struct watch_model *m)
{
	if (m->event == NULL)
		m->event = calloc(WATCH_EVENTS, sizeof(m->event[0]));
	if (m->event == NULL) {
		set(&m->tables, WATCH_BAD, "out of memory");
		return;
	}
	m->now = g->ctl->now;
	g->m = m;
	if (gethostname(m->host, sizeof(m->host) - 1) == -1)
		m->host[0] = '\0';
	read_audit(g, m);
	read_limits(g, m);
	ask_milter(g, m);
	ask_collector(g, m);
}

void
watch_release(struct watch_model *m)
{
	forget(m, m->n);
	free(m->event);
	m->event = NULL;
}
