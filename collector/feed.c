/* SPDX-License-Identifier: ISC */
#include "collector/feed.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>

#include "collector/state.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/db/store.h"

enum {
	READ_BUDGET = 256 * 1024, /* bytes a source may take at a turn */
	/* Lines of a turn that may be asked what they look like: all of a log
	 * that is followed, few of one that is read from its beginning. */
	GUESSES = 64,
};

static void
source_note(void *arg, int priority, const char *text)
{
	const struct feed *f = arg;

	f->c->note(priority, text);
}

/* How old (seconds) a login may be that lets its client relay. */
static int64_t
reach_s(const struct config *cfg)
{
	return cfg->logins.sessions &&
		cfg->logins.session_max_s > cfg->logins.window_s
	    ? cfg->logins.session_max_s
	    : cfg->logins.window_s;
}

/* Open the source where the database says that it was left. */
static int
feed_open(struct feed *f, struct err *err)
{
	struct collect *c = f->c;
	struct store_source row = { .name = "" };
	int found = store_source_find(c->store, f->cfg.name, &row, err);
	const struct source_options options = {
		.mark = found == 1 ? &f->mark : NULL,
		.since = clock_now() - reach_s(c->cfg),
		.note = source_note,
		.note_arg = f,
	};

	if (found == -1)
		return -1;
	f->read_at = f->saved_at = f->line_at = 0;
	if (found == 1) {
		f->mark.device = row.device;
		f->mark.inode = row.inode;
		f->mark.position = row.position;
		(void)snprintf(f->mark.fingerprint, sizeof(f->mark.fingerprint),
		    "%s", row.fingerprint);
		f->read_at = row.read_at;
		f->line_at = row.line_at;
	}
	if (source_open(&f->cfg, &options, &f->source, err) == -1)
		return -1;
	f->state = SOURCE_MORE;
	f->was_end = false;
	f->due = true;
	return 0;
}

void
feed_try_open(struct feed *f)
{
	struct err err;

	assert(f->source == NULL && f->c->store != NULL);
	f->retry_ms = clock_monotonic_ms() + STATE_RETRY_MS;
	if (feed_open(f, &err) == 0) {
		if (f->complaint.active)
			state_note(
			    f->c, LOG_NOTICE, "%s: open now", f->cfg.name);
		f->complaint.active = false;
	} else if (state_complain(&f->complaint)) {
		state_note(f->c, LOG_ERR, "%s: %s", f->cfg.name, err.text);
	}
}

void
feed_free(struct feed *f)
{
	source_close(&f->source);
	stats_free(&f->stats);
	free(f->cfg.name);
	free(f->cfg.where);
	free(f->cfg.rotated);
	free(f);
}

struct feed *
feed_new(struct collect *c, const struct config_source *cfg)
{
	struct feed *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->c = c;
	f->cfg.kind = cfg->kind;
	f->cfg.name = strdup(cfg->name);
	f->cfg.where = strdup(cfg->where);
	f->cfg.rotated = cfg->rotated == NULL ? NULL : strdup(cfg->rotated);
	f->direct = cfg->kind == SOURCE_STDIN || cfg->kind == SOURCE_SOCKET ||
	    cfg->kind == SOURCE_LOGIN;
	f->stats = stats_new();
	if (f->cfg.name != NULL && f->cfg.where != NULL &&
	    (cfg->rotated == NULL || f->cfg.rotated != NULL) &&
	    f->stats != NULL)
		return f;
	feed_free(f);
	return NULL;
}

static void
note_future(
    struct collect *c, const struct feed *f, const struct judged *judged)
{
	if (judged->ahead_s > LOGIN_FUTURE_S &&
	    state_complain(&c->future_complaint))
		state_note(c, LOG_WARNING,
		    "%s: a login of %s is dated %" PRId64
		    " seconds ahead of this machine's clock: counted as of now",
		    f->cfg.name, judged->server, judged->ahead_s);
}

/* Answer the sender of a login, and warn when it may not send any. */
static void
answer_told(struct collect *c, struct feed *f, const struct line_told *told,
    enum fate fate)
{
	source_answer(f->source, fate_name(fate));
	if (fate == FATE_FORGED && state_complain(&c->told_complaint))
		state_note(c, LOG_WARNING,
		    "%s: user id %" PRId64 " (process %" PRId64
		    ") is not in collector.login_users: its logins don't count",
		    f->cfg.name, told->uid, told->pid);
}

/* Warn the admin that logins in a program's output don't count: the users of
 * that server are refused. */
static void
note_piece(struct collect *c, const struct feed *f, const char *server)
{
	if (state_complain(&c->piece_complaint))
		state_note(c, LOG_WARNING,
		    "%s: a login of %s comes through its standard output or error, where clients can write whole lines: such logins don't count; let %s log by syslog",
		    f->cfg.name, server, server);
}

/* Remember whose logins a unit's messages are: when journald drops messages, it
 * names the unit alone. */
static void
remember_unit(struct feed *f, const char *unit, const char *server)
{
	size_t last = sizeof(f->units) / sizeof(f->units[0]) - 1, at = 0;

	if (strlen(unit) >= sizeof(f->units[0].name))
		return;
	while (at < last && strcmp(f->units[at].name, unit) != 0)
		at++;
	memmove(f->units + 1, f->units, at * sizeof(f->units[0]));
	(void)snprintf(f->units[0].name, sizeof(f->units[0].name), "%s", unit);
	f->units[0].server = server;
}

/* Warn when what journald dropped may hold logins: these users are refused. */
static void
take_dropped(struct collect *c, struct feed *f, const struct line *line)
{
	for (size_t i = 0; i < sizeof(f->units) / sizeof(f->units[0]); i++) {
		const struct feed_unit *u = &f->units[i];

		if (u->server == NULL ||
		    strcmp(u->name, line->dropped_unit) != 0)
			continue;
		stats_line(f->stats, u->server, FATE_DROPPED, line->text,
		    line->len, c->now);
		if (state_complain(&c->dropped_complaint))
			state_note(c, LOG_WARNING,
			    "%s: journald dropped messages of %s at its rate limit, and logins with them: set LogRateLimitIntervalSec=0 in that unit, or RateLimitBurst= in journald.conf",
			    f->cfg.name, u->name);
		return;
	}
}

/* Was this line written after a read had come to the end of its file? */
static bool
is_fresh(const struct feed *f, const struct line *line)
{
	struct mark mark;

	if (f->cfg.kind == SOURCE_SOCKET)
		return true;
	if (f->cfg.kind != SOURCE_FILE || !f->was_end)
		return false;
	source_place(f->source, &mark);
	return mark.inode == f->end.inode && line->position >= f->end.position;
}

/* When the file that holds the line was written last, INT64_MAX if unknown.
 * One stat(2) a read: lines come by the thousand. */
static int64_t
written_at(struct feed *f, const struct line *line)
{
	struct mark mark;
	struct stat st;

	if (f->written_from != -1 && line->position >= f->written_from)
		return f->written_at;
	f->written_from = line->position;
	f->written_at = INT64_MAX;
	if (f->cfg.kind != SOURCE_FILE || stat(f->cfg.where, &st) == -1)
		return INT64_MAX;
	source_place(f->source, &mark);
	if (st.st_ino == mark.inode)
		f->written_at = st.st_mtim.tv_sec;
	return f->written_at;
}

/* Until when the login lets its client relay, if its session doesn't end. */
static int64_t
counts_until(const struct judged *j)
{
	return j->session.kind == SESSION_BEGIN &&
		j->session_until > j->expires_at
	    ? j->session_until
	    : j->expires_at;
}

/* A stamp without a year fits every year, and the nearest is taken. A log that
 * is read again, or for the first time, may be of an earlier year: a line that
 * was there before, and is dated ahead of now or days later than its file was
 * written, is of that one. */
static bool
of_earlier_year(struct feed *f, const struct line *line, const struct judged *j)
{
	/* more than any clock is wrong, a file server's included */
	enum { WRITTEN_S = 7 * 86400 };

	assert(j->fate == FATE_LOGIN);
	if (!j->year_guessed)
		return false;
	if (j->ahead_s > LOGIN_FUTURE_S)
		return !is_fresh(f, line);
	return counts_until(j) > f->c->now &&
	    j->login.at - WRITTEN_S > written_at(f, line);
}

static void
refuse_earlier_year(struct collect *c, const struct feed *f, struct judged *j)
{
	assert(j->fate == FATE_LOGIN && j->year_guessed);
	j->fate = FATE_TOO_OLD;
	if (state_complain(&c->year_complaint))
		state_note(c, LOG_WARNING,
		    "%s: a login of %s, dated without a year, is taken for one of an earlier year: it is %" PRId64
		    " seconds ahead or days later than the file was written, and was there before it was read",
		    f->cfg.name, j->server, j->ahead_s);
}

/* Does a line that no grammar was asked about look like a login? */
static void
guess(struct feed *f, const struct line *line, struct judged *j)
{
	if ((j->fate != FATE_OTHER_PROGRAM && j->fate != FATE_NO_PREFIX) ||
	    f->guesses == 0)
		return;
	f->guesses--;
	judge_guess(f->c->judge, line, f->direct, j);
	if (f->said_guess ||
	    (j->fate != FATE_UNKNOWN_TAG && j->fate != FATE_UNKNOWN_PREFIX))
		return;
	f->said_guess = true;
	state_note(f->c, LOG_WARNING,
	    "%s: a line looks like a login%s%s, but %s: to see it and what to do: popgatectl status",
	    f->cfg.name, *j->server == '\0' ? "" : " of ", j->server,
	    j->fate == FATE_UNKNOWN_TAG
		? "its tag is none that is read"
		: "what stands before it has no known form");
}

/* A login that had expired when its new line came lets nobody relay. Returns
 * what to count it as. */
static enum fate
late_or_login(struct feed *f, const struct line *line, const struct judged *j)
{
	struct zone zone;
	char text[ZONE_TEXT_MAX];

	assert(j->fate == FATE_LOGIN);
	if (counts_until(j) > f->c->now || !is_fresh(f, line))
		return FATE_LOGIN;
	if (f->said_late)
		return FATE_LATE;
	f->said_late = true;
	bool other_zone = j->zone_assumed &&
	    zone_guess(&f->cfg.zone, j->login.at, f->c->now, &zone);

	state_note(f->c, LOG_WARNING,
	    "%s: a login of %s had expired when its line came: its stamp is %" PRId64
	    " s behind%s%s%s",
	    f->cfg.name, j->server, f->c->now - j->login.at,
	    other_zone ? ": of another time zone? Then zone = \"" : "",
	    other_zone ? zone_format(&zone, text) : "",
	    other_zone ? "\" belongs to this source in collector.sources" : "");
	return FATE_LATE;
}

/* A line of f is about to go into the batch. */
static void
to_batch(struct feed *f)
{
	if (batch_count(f->c->batch) == 0)
		f->c->batch_ms = clock_monotonic_ms();
	f->contributed = true;
}

static bool
take_end(struct feed *f, const struct line *line, const struct judged *judged)
{
	to_batch(f);
	batch_add_end(f->c->batch, &judged->session, judged->session_until,
	    f->cfg.name, line->position);
	return !batch_full(f->c->batch);
}

/* Every line of every source comes through here. */
static bool
take_line(void *arg, const struct line *line)
{
	struct feed *f = arg;
	struct collect *c = f->c;
	struct judged judged;
	struct line of_feed = *line;

	c->lines++;
	if (line->dropped_unit != NULL) {
		take_dropped(c, f, line);
		return true;
	}
	of_feed.outputs = &f->outputs;
	of_feed.zone = f->cfg.zone;
	judge_line(c->judge, &of_feed, f->direct, c->now, &judged);
	if (judged.fate == FATE_LOGIN && of_earlier_year(f, line, &judged))
		refuse_earlier_year(c, f, &judged);
	if (line->told != NULL)
		answer_told(c, f, line->told, judged.fate);
	guess(f, &of_feed, &judged);
	stats_line(f->stats, judged.server,
	    judged.fate == FATE_LOGIN ? late_or_login(f, line, &judged)
				      : judged.fate,
	    line->text, line->len, c->now);
	if (f->want_time) {
		int64_t at = judge_line_time(c->judge, &of_feed, c->now);

		f->want_time = at == 0;
		if (at > f->line_at)
			f->line_at = at > c->now ? c->now : at;
	}
	if (judged.fate == FATE_STREAM_PIECE)
		note_piece(c, f, judged.server);
	if (judged.session.kind > SESSION_BEGIN)
		return take_end(f, line, &judged);
	if (judged.fate != FATE_LOGIN)
		return true;
	/* the line may be younger than c->now, when this step began */
	if (judged.ahead_s > 0)
		judge_date(c->judge, &judged, judged.login.at + judged.ahead_s,
		    clock_now());
	c->logins++;
	if (line->message != NULL && line->message->unit != NULL)
		remember_unit(f, line->message->unit, judged.server);
	if (judged.login.at > f->line_at)
		f->line_at = judged.login.at;
	note_future(c, f, &judged);
	to_batch(f);
	batch_add(c->batch, &judged, f->cfg.name, line->position, line->text,
	    line->len);
	return !batch_full(c->batch);
}

/* `popgatectl status` compares the file that the database says is read with the
 * one at the path: a change must be saved at once. */
static void
note_moved(struct feed *f)
{
	source_place(f->source, &f->mark);
	f->moved = f->mark.device != f->saved_device ||
	    f->mark.inode != f->saved_inode ||
	    f->mark.position < f->saved_position;
}

void
feed_read(struct feed *f)
{
	struct collect *c = f->c;
	struct err err;

	assert(f->source != NULL && !batch_full(c->batch));
	f->due = false;
	f->written_from = -1;
	f->want_time = true;
	f->guesses = GUESSES;
	f->poll_ms = source_poll_ms(f->source) == 0
	    ? 0
	    : clock_monotonic_ms() + source_poll_ms(f->source);
	f->state = source_read(f->source, READ_BUDGET, take_line, f, &err);
	if (f->state == SOURCE_CLOSED)
		state_note(c, LOG_NOTICE, "%s: end of input", f->cfg.name);
	if (f->state == -1) {
		if (state_complain(&f->complaint))
			state_note(c, LOG_ERR, "%s: %s", f->cfg.name, err.text);
		return;
	}
	if (f->state == SOURCE_END) {
		f->was_end = true;
		source_place(f->source, &f->end);
	}
	if (f->complaint.active)
		state_note(c, LOG_NOTICE, "%s: read again", f->cfg.name);
	f->complaint.active = false;
	/* c->now is before the read: what came since may be unread */
	if (f->state != SOURCE_MORE && f->state != SOURCE_MISSING)
		f->read_at = c->now;
	if (f->cfg.kind == SOURCE_FILE && f->state == SOURCE_END)
		note_moved(f);
}

int
feed_save(struct feed *f, struct err *err)
{
	struct store_source row = { .read_at = f->read_at,
		.line_at = f->line_at };

	assert(f->source != NULL);
	source_mark(f->source, &f->mark);
	(void)snprintf(row.name, sizeof(row.name), "%s", f->cfg.name);
	row.device = f->mark.device;
	row.inode = f->mark.inode;
	row.position = f->mark.position;
	(void)snprintf(row.fingerprint, sizeof(row.fingerprint), "%s",
	    f->mark.fingerprint);
	return store_source_save(f->c->store, &row, err);
}
