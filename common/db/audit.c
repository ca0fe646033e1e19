#include "common/db/audit.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/db/audit_repeat.h"
#include "common/db/db.h"
#include "common/db/db_file.h"
#include "common/db/sql.h"

enum {
	WRITE_BUSY_MS = 2000,
	/* Rows that nobody waits for: a few go to disk soon, many are worth
	 * waiting for more, since each page of an index is then written once
	 * for all of them. */
	LINGER_MS = 50,
	FEW_ROWS = 256,
	LINGER_MANY_MS = 1000,
	GROUP_ROWS = 32768,
	CHECKPOINT_FRAMES = 8000,
	/* a larger file isn't read through because somebody wrote to it */
	CHECK_BYTES = 64 << 20,
	CHECK_MS = 5000, /* how often one that was damaged is read through */
	PIECE_MS = 1,
	IDLE_MS = 1000,
	PRUNE_EVERY_S = 60,
	PRUNE_ROWS = 10000,
	/* of audit.max_size, in percent */
	SIZE_ALARM = 80,
	SIZE_PRUNE = 90,
	SAY_SIZE_S = 3600,
	NEXT_ROUND_S = 600
};

/* A message keeps at most so many rows back, whatever the queue holds. */
enum { BATCH_MAX = 1024 };

enum {
	TEXTS = 12,
	TEXT_MAX = 1024,
	/* of each text that a stranger chose who was refused */
	REFUSED_TEXT_MAX = 128
}; /* strings of a row, in the order of row_text() */

struct audit_row {
	struct audit_row *next, *last; /* last: only in the first of a chain */
	size_t n; /* rows of the chain, likewise */
	int64_t at_ms;
	struct decision decision;
	bool local, aborted;
	enum audit_channel channel;
	char queue_id[32];
	uint16_t offset[TEXTS]; /* into text */
	char text[];
};

enum text {
	T_SESSION,
	T_CLIENT,
	T_CLIENT_NAME,
	T_HELO,
	T_SENDER,
	T_RECIPIENT,
	T_AUTH_USER,
	T_LOGIN_USER,
	T_REPLY,
	T_MTA,
	T_CERTIFICATE,
	T_NONE
};

enum { BREACHES_MAX = 1000 };

/* An audit_breach on its way to the disk, with strings of its own. */
struct breach {
	struct breach *next;
	struct audit_breach b;
	char text[];
};

/* Tickets that were lost: from and to are among them. */
struct lost_range {
	uint64_t from, to;
};

enum { LOST_RANGES = 64 };

/* A thread in audit_wait(). */
struct waiter {
	uint64_t ticket;
	pthread_cond_t cond;
	struct waiter *next, **to; /* to: the pointer to this one */
};

struct audit {
	struct audit_options opt;
	char *path;
	sqlite3 *db;
	sqlite3_stmt *begin, *commit, *insert, *tally, *prune, *breach;
	sqlite3_stmt *version, *lifts;
	sqlite3_stmt *again, *pages, *shrink, *shrink_to;
	struct repeats *repeats;
	pthread_t thread;
	pthread_mutex_t mtx;
	pthread_cond_t work, room; /* room: in the queue */
	/* guarded by mtx */
	struct audit_row *head, **tail;
	size_t queued;
	uint64_t submitted; /* newest ticket given */
	uint64_t taken; /* newest ticket in the writer's hands */
	uint64_t written; /* all tickets up to this are committed, or lost */
	uint64_t durable; /* all up to this are on disk, or lost */
	/* What was lost, oldest first. Never forgotten: a message may take
	 * hours. When there are too many, the two oldest become one with all
	 * that lies between: to call a good ticket lost is safe (the message is
	 * tried again), the other way round it would not be. */
	struct lost_range lost_ranges[LOST_RANGES];
	unsigned n_lost_ranges;
	bool urgent; /* somebody waits for a commit */
	bool sync; /* for more than that: for the disk */
	bool stop, healthy;
	bool lingering; /* the writer looks by itself, soon */
	struct waiter *waiters; /* owned by who waits */
	uint64_t rows, transactions, syncs, lost;
	int64_t bytes; /* in use, when we last looked */
	uint64_t local[3][REASONS];
	uint64_t lost_unsaid;
	struct breach *breaches, **breaches_tail;
	unsigned n_breaches;
	struct histogram commits; /* counted by the writer */
	/* the writer's own */
	int64_t lost_said_at, pruned_at, synced_ms;
	/* the size: when we looked, said so, and had been through all rows */
	int64_t sized_at, size_said_at, round_ended_at;
	int64_t shrunk_to; /* id up to which this round has come */
	int64_t shrunk, shrunk_relays; /* rows deleted, and of any kind */
	int64_t data_version, lift_id; /* what others wrote, up to there */
	int64_t last_id; /* of our newest row that is committed */
	struct db_file file;
	bool gone; /* the file: don't write into what is left of it */
	bool damaged; /* somebody wrote into it */
	int64_t checked_ms; /* when we last looked whether it still is */
	bool reopen; /* nothing is lost, but its parts were replaced */
};

static const char *const channel_names[] = { [CHANNEL_MILTER] = "milter",
	[CHANNEL_POLICY] = "policy",
	[CHANNEL_SOCKETMAP] = "socketmap" };

const char *
audit_channel_name(enum audit_channel channel)
{
	return channel_names[channel];
}

/* Nothing came of it, so it is no evidence of a relay. In monitor mode what the
 * milter would have refused may have been relayed; what the permit channel
 * wouldn't have permitted is refused by the MTA itself. */
static bool
is_refused(const struct decision *d, enum audit_channel channel)
{
	switch (d->verdict) {
	case VERDICT_REJECT:
	case VERDICT_TEMPFAIL:
		return true;
	case VERDICT_WOULD_REJECT:
	case VERDICT_WOULD_TEMPFAIL:
		return channel != CHANNEL_MILTER;
	default:
		return false;
	}
}

/* How much of text is kept: all of it, or what leaves room for CUT, without
 * half a character of UTF-8 at the end. */
static const char CUT[] = "...";

static size_t
kept(const char *text, size_t max)
{
	size_t n = strnlen(text, max + 1);

	if (n <= max)
		return n;
	n = max - (sizeof(CUT) - 1);
	for (int i = 0; i < 3 && ((unsigned char)text[n] & 0xc0) == 0x80; i++)
		n--;
	return n;
}

struct audit_row *
audit_row_new(const struct audit_facts *f)
{
	const char *texts[TEXTS] = { [T_SESSION] = f->session,
		[T_CLIENT] = f->client,
		[T_CLIENT_NAME] = f->client_name,
		[T_HELO] = f->helo,
		[T_SENDER] = f->sender,
		[T_RECIPIENT] = f->recipient,
		[T_AUTH_USER] = f->auth_user,
		[T_LOGIN_USER] = f->login_user,
		[T_REPLY] = f->reply,
		[T_MTA] = f->mta,
		[T_CERTIFICATE] = f->certificate,
		[T_NONE] = "" };
	size_t len[TEXTS], total = 0;
	bool cut[TEXTS];

	for (int i = 0; i < TEXTS; i++) {
		/* the reply is ours */
		size_t max =
		    is_refused(&f->decision, f->channel) && i != T_REPLY
		    ? REFUSED_TEXT_MAX
		    : TEXT_MAX;

		len[i] = texts[i] == NULL ? 0 : kept(texts[i], max);
		cut[i] = len[i] > 0 && texts[i][len[i]] != '\0';
		total += len[i] + (cut[i] ? sizeof(CUT) - 1 : 0) + 1;
	}
	struct audit_row *row = malloc(sizeof(*row) + total);

	if (row == NULL)
		return NULL;
	row->next = NULL;
	row->last = row;
	row->n = 1;
	row->at_ms = f->at_ms;
	row->decision = f->decision;
	row->local = f->local;
	row->aborted = false;
	row->channel = f->channel;
	(void)snprintf(row->queue_id, sizeof(row->queue_id), "%s",
	    f->queue_id == NULL ? "" : f->queue_id);
	size_t at = 0;

	for (int i = 0; i < TEXTS; i++) {
		row->offset[i] = (uint16_t)at;
		if (len[i] > 0)
			memcpy(row->text + at, texts[i], len[i]);
		at += len[i];
		if (cut[i]) {
			memcpy(row->text + at, CUT, sizeof(CUT) - 1);
			at += sizeof(CUT) - 1;
		}
		row->text[at++] = '\0';
	}
	return row;
}

static const char *
row_text(const struct audit_row *row, enum text t)
{
	return row->text + row->offset[t];
}

void
audit_row_free(struct audit_row *row)
{
	while (row != NULL) {
		struct audit_row *next = row->next;

		free(row);
		row = next;
	}
}

struct audit_row *
audit_row_chain(struct audit_row *list, struct audit_row *row)
{
	if (list == NULL || row == NULL)
		return list == NULL ? row : list;
	list->last->next = row;
	list->last = row->last;
	list->n += row->n;
	return list;
}

void
audit_row_queue_id(struct audit_row *list, const char *queue_id)
{
	for (; list != NULL; list = list->next)
		if (list->queue_id[0] == '\0')
			(void)snprintf(list->queue_id, sizeof(list->queue_id),
			    "%s", queue_id);
}

void
audit_row_aborted(struct audit_row *list)
{
	for (; list != NULL; list = list->next)
		list->aborted = true;
}

/* A log line that grows; what doesn't fit is left out. */
struct line {
	char *p, *end;
};

static void
put_text(struct line *l, const char *text)
{
	size_t n = strlen(text);

	if (n < (size_t)(l->end - l->p)) {
		memcpy(l->p, text, n);
		l->p += n;
	}
}

/* key="value" when value is not a plain word, nothing when it is empty */
static void
put(struct line *l, const char *key, const char *value)
{
	const char *p = value;

	if (*value == '\0')
		return;
	while (*p > 0x20 && *p < 0x7f && *p != '"' && *p != '\\')
		p++;
	put_text(l, key);
	if (*p == '\0') {
		put_text(l, value);
		return;
	}
	/* room for the quotes, else an open one would swallow the rest */
	if (l->end - l->p < 16)
		return;
	*l->p++ = '"';
	(void)log_escape(value, true, l->p, (size_t)(l->end - l->p) - 1);
	l->p += strlen(l->p);
	*l->p++ = '"';
}

static void
log_row(const struct audit *a, const struct audit_row *row)
{
	char text[4000], age[24];
	struct line l = { text, text + sizeof(text) - 1 };

	put_text(&l, "verdict=");
	put_text(&l, verdict_name(row->decision.verdict));
	put(&l, " reason=", reason_name(row->decision.reason));
	put(&l, " client=", row_text(row, T_CLIENT));
	put(&l, " client_name=", row_text(row, T_CLIENT_NAME));
	put(&l, " helo=", row_text(row, T_HELO));
	put(&l, " queue_id=", row->queue_id);
	put(&l, " sender=",
	    *row_text(row, T_SENDER) == '\0' ? "<>" : row_text(row, T_SENDER));
	put(&l, " recipient=", row_text(row, T_RECIPIENT));
	put(&l, " auth_user=", row_text(row, T_AUTH_USER));
	put(&l, " login_user=", row_text(row, T_LOGIN_USER));
	put(&l, " certificate=", row_text(row, T_CERTIFICATE));
	if (row->decision.login_at != 0) {
		(void)snprintf(age, sizeof(age), "%" PRId64,
		    row->at_ms / 1000 - row->decision.login_at);
		put(&l, " login_age=", age);
	}
	put(&l, " session=", row_text(row, T_SESSION));
	put(&l, " channel=", channel_names[row->channel]);
	put(&l, " reply=", row->aborted ? "aborted" : row_text(row, T_REPLY));
	*l.p = '\0';
	a->opt.log_line(text, (size_t)(l.p - text));
}

static void
bind(sqlite3_stmt *stmt, int i, const char *text, bool null_if_empty)
{
	if (null_if_empty && *text == '\0')
		(void)sqlite3_bind_null(stmt, i);
	else
		(void)sqlite3_bind_text(stmt, i, text, -1, SQLITE_STATIC);
}

/* the same of a row's own text, whose length is known */
static void
bind_row(sqlite3_stmt *stmt, int i, const struct audit_row *row, enum text t,
    bool null_if_empty)
{
	int len = row->offset[t + 1] - row->offset[t] - 1;

	if (null_if_empty && len == 0)
		(void)sqlite3_bind_null(stmt, i);
	else
		(void)sqlite3_bind_text(
		    stmt, i, row_text(row, t), len, SQLITE_STATIC);
}

/* Write how often the rows that count were meant since the last time. */
static int
write_repeats(struct audit *a, struct err *err)
{
	struct repeat *p;

	while ((p = repeats_take(a->repeats)) != NULL) {
		(void)sqlite3_bind_int64(a->again, 1, p->more);
		(void)sqlite3_bind_int64(a->again, 2, p->last_ms);
		(void)sqlite3_bind_int64(a->again, 3, p->id);
		p->more = 0;
		if (db_run(a->db, a->again, "repeated refusals", err) == -1)
			return -1;
	}
	return 0;
}

/* NULL: a row that isn't a refusal. */
static int
repeat_of(struct audit *a, const struct audit_row *row, struct repeat **p_r,
    struct err *err)
{
	const struct repeat_key key = { .client = row_text(row, T_CLIENT),
		.auth_user = row_text(row, T_AUTH_USER),
		.login_user = row_text(row, T_LOGIN_USER),
		.verdict = row->decision.verdict,
		.reason = row->decision.reason,
		.channel = (int)row->channel };

	*p_r = NULL;
	if (row->local || !is_refused(&row->decision, row->channel))
		return 0;
	*p_r = repeats_find(a->repeats, &key, row->at_ms);
	if (*p_r != NULL)
		return 0;
	if (write_repeats(a, err) == -1)
		return -1;
	*p_r = repeats_find(a->repeats, &key, row->at_ms);
	return 0;
}

static int
insert_whole(struct audit *a, const struct audit_row *row, struct err *err);

/* A row of its own, or one more of a row that counts. */
static int
insert_row(struct audit *a, const struct audit_row *row, struct err *err)
{
	struct repeat *p;

	if (repeat_of(a, row, &p, err) == -1)
		return -1;
	if (p != NULL && p->id != 0) {
		repeats_count(a->repeats, p, row->at_ms);
		return 0;
	}
	if (insert_whole(a, row, err) == -1)
		return -1;
	if (p != NULL && ++p->rows > REPEAT_ROWS)
		p->id = sqlite3_last_insert_rowid(a->db);
	return 0;
}

static int
insert_whole(struct audit *a, const struct audit_row *row, struct err *err)
{
	sqlite3_stmt *s = a->insert;

	(void)sqlite3_bind_int64(s, 1, row->at_ms);
	bind_row(s, 2, row, T_SESSION, false);
	bind(s, 3, row->queue_id, true);
	bind_row(s, 4, row, T_CLIENT, false);
	bind_row(s, 5, row, T_CLIENT_NAME, false);
	bind_row(s, 6, row, T_HELO, false);
	bind_row(s, 7, row, T_SENDER, false);
	bind_row(s, 8, row, T_RECIPIENT, false);
	bind(s, 9, row->local ? "local" : "relay", false);
	bind(s, 10, verdict_name(row->decision.verdict), false);
	bind(s, 11, reason_name(row->decision.reason), false);
	bind_row(s, 12, row, T_AUTH_USER, true);
	bind_row(s, 13, row, T_LOGIN_USER, true);
	if (row->decision.login_at == 0)
		(void)sqlite3_bind_null(s, 14);
	else
		(void)sqlite3_bind_int64(s, 14, row->decision.login_at);
	(void)sqlite3_bind_int(s, 15, row->decision.rule);
	if (row->aborted)
		bind(s, 16, "aborted", false);
	else
		bind_row(s, 16, row, T_REPLY, true);
	bind(s, 17, channel_names[row->channel], false);
	bind_row(s, 18, row, T_MTA, false);
	bind_row(s, 19, row, T_CERTIFICATE, true);
	return db_run(a->db, s, "decision", err);
}

static int
write_tallies(
    struct audit *a, uint64_t tallies[3][REASONS], bool probe, struct err *err)
{
	int64_t now = clock_now();

	for (int c = 0; c < 3; c++)
		for (int r = 0; r < REASONS; r++) {
			if (tallies[c][r] == 0 &&
			    !(probe && c == 0 && r == REASON_AUDIT_UNAVAILABLE))
				continue;
			(void)sqlite3_bind_int64(a->tally, 1, now - now % 3600);
			bind(a->tally, 2, channel_names[c], false);
			bind(a->tally, 3, reason_name((enum reason)r), false);
			(void)sqlite3_bind_int64(
			    a->tally, 4, (sqlite3_int64)tallies[c][r]);
			if (db_run(a->db, a->tally, "tally", err) == -1)
				return -1;
		}
	return 0;
}

static int
insert_breaches(struct audit *a, const struct breach *list, struct err *err)
{
	for (; list != NULL; list = list->next) {
		const struct audit_breach *b = &list->b;
		sqlite3_stmt *s = a->breach;

		(void)sqlite3_bind_int64(s, 1, b->at_ms);
		bind(s, 2, audit_kind(b->is_user, b->by_login), false);
		bind(s, 3, b->subject, false);
		bind(s, 4, b->setting, false);
		bind(s, 5, b->allowed, false);
		bind(s, 6, b->client, false);
		bind(s, 7, b->user, true);
		bind(s, 8, b->sender, false);
		if (b->denied_until == 0)
			(void)sqlite3_bind_null(s, 9);
		else
			(void)sqlite3_bind_int64(s, 9, b->denied_until);
		if (db_run(a->db, s, "breach", err) == -1)
			return -1;
	}
	return 0;
}

/* The one number that stmt gives, or -1 with err, which names what it was. */
static int64_t
step_number(
    struct audit *a, sqlite3_stmt *stmt, const char *what, struct err *err)
{
	int64_t n = -1;

	if (sqlite3_step(stmt) == SQLITE_ROW)
		n = sqlite3_column_int64(stmt, 0);
	else
		db_err(a->db, what, err);
	(void)sqlite3_reset(stmt);
	return n;
}

/* step_number() of a statement that is too seldom needed to stay prepared. */
static int64_t
number_of(struct audit *a, const char *sql, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int64_t n;

	if (db_prepare(a->db, sql, &stmt, err) == -1)
		return -1;
	n = step_number(a, stmt, sql, err);
	(void)sqlite3_finalize(stmt);
	return n;
}

/* A lift goes only after what it lifts: else that would be in force again. */
static int
prune_breaches(struct audit *a, int64_t now, struct err *err)
{
	char sql[400];

	(void)snprintf(sql, sizeof(sql),
	    "DELETE FROM breach WHERE at < "
	    "%" PRId64 " AND coalesce(denied_until, 0) <= %" PRId64 "; "
	    "DELETE FROM lift WHERE at < %" PRId64 " AND NOT EXISTS (SELECT 1 "
	    "FROM breach AS b WHERE b.subject = lift.subject "
	    "AND b.kind = lift.kind)",
	    (now - a->opt.keep_s) * 1000, now, (now - a->opt.keep_s) * 1000);
	return db_exec(a->db, sql, err);
}

/* How many bytes of the file are in use, or -1. */
static int64_t
size_of(struct audit *a, struct err *err)
{
	return step_number(a, a->pages, "size", err);
}

/* Delete those of the next rows behind a->shrunk_to that anybody can make us
 * write: the refused, and our own (all: any). rows: so many have just come.
 * *end_r: there are none. */
static int
shrink(struct audit *a, bool all, int64_t rows, bool *end_r, struct err *err)
{
	int64_t from = all ? 0 : a->shrunk_to, to = 0, found = 0;

	/* faster than rows come; of all, never the newer half, among which are
	 * those that a message waits for */
	rows += all ? PRUNE_ROWS / 10 : PRUNE_ROWS;
	(void)sqlite3_bind_int64(a->shrink_to, 1, from);
	(void)sqlite3_bind_int64(a->shrink_to, 2, rows);
	if (sqlite3_step(a->shrink_to) == SQLITE_ROW) {
		to = sqlite3_column_int64(a->shrink_to, 0);
		found = sqlite3_column_int64(a->shrink_to, 1);
	}
	(void)sqlite3_reset(a->shrink_to);
	*end_r = found < rows;
	if (all) {
		int64_t oldest = number_of(
		    a, "SELECT coalesce(min(id), 0) FROM decision", err);
		int64_t middle = oldest + (a->last_id - oldest) / 2;

		if (oldest == -1)
			return -1;
		to = to < middle ? to : middle;
	}
	if (found == 0)
		return 0;
	(void)sqlite3_bind_int64(a->shrink, 1, from);
	(void)sqlite3_bind_int64(a->shrink, 2, to);
	(void)sqlite3_bind_int(a->shrink, 3, all);
	if (db_run(a->db, a->shrink, "prune", err) == -1)
		return -1;
	a->shrunk += sqlite3_changes(a->db);
	a->shrunk_relays += all ? sqlite3_changes(a->db) : 0;
	a->shrunk_to = all ? a->shrunk_to : to;
	return 0;
}

/* The alarm, and what was done about it: once an hour. */
static void
say_size(struct audit *a, int64_t bytes, int64_t now)
{
	char text[400];

	if (bytes * 100 < a->opt.max_size * SIZE_ALARM ||
	    (now - a->size_said_at < SAY_SIZE_S && now >= a->size_said_at))
		return;
	(void)snprintf(text, sizeof(text),
	    "audit: %s holds %" PRId64 " MB, audit.max_size is %" PRId64
	    " MB: from %d %% on the oldest refused recipients, and our own, "
	    "are deleted (%" PRId64 " until now), at 100 %% the oldest of all "
	    "(%" PRId64 "), whatever audit.keep says: raise audit.max_size or "
	    "lower audit.keep",
	    a->path, bytes >> 20, a->opt.max_size >> 20, SIZE_PRUNE,
	    a->shrunk - a->shrunk_relays, a->shrunk_relays);
	a->size_said_at = now;
	a->opt.log_state(a->shrunk_relays == 0, text);
}

/* Keep below audit.max_size: refused recipients and our own go first, from the
 * oldest on; relays, which are evidence, only when nothing else is left. What
 * is before a->shrunk_to has been looked at: nothing else is left there. */
static int
prune_size(struct audit *a, int64_t now, int64_t rows, struct err *err)
{
	bool near = a->bytes * 100 >= a->opt.max_size * SIZE_PRUNE;
	int64_t bytes = a->opt.max_size == 0 || (now == a->sized_at && !near)
	    ? 0
	    : size_of(a, err);
	bool end = false;

	if (bytes <= 0)
		return (int)bytes;
	a->sized_at = now;
	(void)pthread_mutex_lock(&a->mtx);
	a->bytes = bytes;
	(void)pthread_mutex_unlock(&a->mtx);
	say_size(a, bytes, now);
	bool full = bytes >= a->opt.max_size;

	/* refused ones of the last minutes stay as long as there is room */
	if (bytes * 100 >= a->opt.max_size * SIZE_PRUNE &&
	    (full || now - a->round_ended_at >= NEXT_ROUND_S ||
		now < a->round_ended_at)) {
		if (shrink(a, false, rows, &end, err) == -1)
			return -1;
		a->round_ended_at = end ? now : a->round_ended_at;
	}
	if (!full || !end)
		return 0;
	/* what has just been deleted may be room enough */
	bytes = size_of(a, err);
	if (bytes < a->opt.max_size)
		return bytes == -1 ? -1 : 0;
	return shrink(a, true, rows, &end, err);
}

static int
prune(struct audit *a, int64_t rows, struct err *err)
{
	int64_t now = clock_now();

	if (prune_size(a, now, rows, err) == -1)
		return -1;
	if (now - a->pruned_at < PRUNE_EVERY_S && now >= a->pruned_at)
		return 0;
	(void)sqlite3_bind_int64(a->prune, 1, (now - a->opt.keep_s) * 1000);
	(void)sqlite3_bind_int(a->prune, 2, PRUNE_ROWS);
	if (db_run(a->db, a->prune, "prune", err) == -1)
		return -1;
	/* the leaves of the indexes that a busy minute brought in */
	(void)sqlite3_db_release_memory(a->db);
	int pruned = sqlite3_changes(a->db);

	/* a long backlog goes on with the next transaction */
	if (pruned < PRUNE_ROWS)
		a->pruned_at = now;
	return prune_breaches(a, now, err);
}

/* One transaction in the making. */
struct group {
	bool open;
	bool good;
	bool probe; /* the one before it failed */
	bool unsynced; /* committed, but the disk didn't take it */
	bool sync; /* commit to the disk */
	int64_t last_id; /* of its newest row */
	size_t n; /* rows of it, inserted or lost */
	uint64_t first, ticket; /* of them */
	int64_t began_ms;
	uint64_t tallies[3][REASONS];
	struct breach *breaches;
	struct err err;
};

static void
fail_group(struct audit *a, struct group *g)
{
	g->good = false;
	if (a->db != NULL && !sqlite3_get_autocommit(a->db))
		(void)sqlite3_exec(a->db, "ROLLBACK", NULL, NULL, NULL);
	/* rows that counted may have gone with it */
	repeats_forget(a->repeats);
}

static bool file_good(struct audit *a, struct err *err);
static bool still_ours(struct audit *a, const char *what, struct err *err);
static void lose_all(struct audit *a, uint64_t before);
static void close_db(struct audit *a);
static int open_db(struct audit *a, struct err *err);

/* Nobody but us writes decisions: when the file changed, then because
 * somebody was let in again. An error here shows at the next BEGIN. */
static void
read_lifts(struct audit *a)
{
	sqlite3_stmt *s = a->lifts;
	int64_t version =
	    a->version == NULL || sqlite3_step(a->version) != SQLITE_ROW
	    ? a->data_version
	    : sqlite3_column_int64(a->version, 0);

	(void)sqlite3_reset(a->version);
	if (a->opt.lifted == NULL || version == a->data_version)
		return;
	(void)sqlite3_bind_int64(s, 1, a->lift_id);
	int rc;

	while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
		a->lift_id = sqlite3_column_int64(s, 0);
		a->opt.lifted(a->opt.lifted_arg,
		    strcmp(db_text(s, 1), "user") == 0, db_text(s, 2));
	}
	if (rc == SQLITE_DONE)
		a->data_version = version;
	(void)sqlite3_reset(s);
}

static void
say_gone(struct audit *a, const struct err *err)
{
	char text[ERR_TEXT_MAX + 20];

	(void)snprintf(text, sizeof(text), "audit: %s", err->text);
	a->opt.log_state(false, text);
}

static void
begin_group(struct audit *a, struct group *g)
{
	g->open = g->good = true;
	g->unsynced = false;
	g->last_id = 0;
	g->n = 0;
	g->began_ms = clock_monotonic_ms();
	if (a->db != NULL && !file_good(a, &g->err)) {
		say_gone(a, &g->err);
		lose_all(a, g->first);
	}
	/* a failure may have been of a file that is good again */
	if (a->damaged && g->began_ms - a->checked_ms > CHECK_MS)
		(void)still_ours(a, "was written by another program", &g->err);
	else if (!a->damaged &&
	    (g->probe || a->gone || a->reopen || a->db == NULL)) {
		close_db(a);
		(void)open_db(a, &g->err);
	}
	if (a->damaged) {
		fail_group(a, g);
		return;
	}
	if (a->db != NULL)
		read_lifts(a);
	if (a->db == NULL || db_run(a->db, a->begin, "begin", &g->err) == -1)
		fail_group(a, g);
}

static void
insert_rows(struct audit *a, struct group *g, const struct audit_row *list)
{
	for (const struct audit_row *r = list; r != NULL; r = r->next) {
		g->n++;
		if (g->good && insert_row(a, r, &g->err) == -1)
			fail_group(a, g);
	}
	if (g->good && list != NULL)
		g->last_id = sqlite3_last_insert_rowid(a->db);
}

static void
log_rows(const struct audit *a, const struct audit_row *list)
{
	for (const struct audit_row *r = list; r != NULL; r = r->next)
		if (!r->local)
			log_row(a, r);
	if (list != NULL && a->opt.log_flush != NULL)
		a->opt.log_flush();
}

/* With mtx held: is it time to write what the group has? */
static bool
group_due(const struct audit *a, const struct group *g)
{
	int64_t age_ms = clock_monotonic_ms() - g->began_ms;

	return a->urgent || a->stop || !g->good || a->queued >= GROUP_ROWS ||
	    a->queued * 2 >= (uint64_t)a->opt.queue ||
	    age_ms >= (g->n > FEW_ROWS ? LINGER_MANY_MS : LINGER_MS);
}

/* Wait for rows, or for the time to commit those of the open group. Rows are
 * inserted in small pieces as they come: done all at once, a second's worth
 * would keep a processor from the sessions for a tenth of it.
 * Returns false when the end has come and nothing is left. */
static bool
take_piece(
    struct audit *a, struct group *g, struct audit_row **list, bool *commit)
{
	struct timespec until;
	bool counted = false;

	(void)pthread_mutex_lock(&a->mtx);
	clock_deadline(g->open ? PIECE_MS : IDLE_MS, &until);
	a->lingering = g->open;
	while (!a->stop && !a->urgent && (a->lingering || a->head == NULL))
		if (pthread_cond_timedwait(&a->work, &a->mtx, &until) ==
			ETIMEDOUT ||
		    (g->open && group_due(a, g)))
			break;
	a->lingering = false;
	if (!g->open) {
		g->first = a->taken + 1;
		g->began_ms = clock_monotonic_ms();
		g->good = true;
		g->n = 0;
	}
	counted |= a->taken != a->submitted;
	*list = a->head;
	a->head = NULL;
	a->tail = &a->head;
	g->ticket = a->taken = a->submitted;
	/* an idle round prunes, counts, and probes what failed */
	*commit = *list == NULL && !g->open ? true : group_due(a, g);
	if (*commit) {
		/* and what nobody waits for isn't left to luck for long */
		g->sync = a->sync || a->stop ||
		    (g->ticket > a->durable &&
			clock_monotonic_ms() - a->synced_ms >= IDLE_MS);
		a->urgent = a->sync = false;
		memcpy(g->tallies, a->local, sizeof(g->tallies));
		memset(a->local, 0, sizeof(a->local));
		g->breaches = a->breaches;
		a->breaches = NULL;
		a->breaches_tail = &a->breaches;
		a->n_breaches = 0;
		counted |= g->breaches != NULL;
		for (int c = 0; c < 3; c++)
			for (int r = 0; r < REASONS; r++)
				counted |= g->tallies[c][r] != 0;
	}
	bool more = *list != NULL || g->open || counted || !a->stop;

	(void)pthread_mutex_unlock(&a->mtx);
	return more;
}

static void
breaches_free(struct breach *list)
{
	while (list != NULL) {
		struct breach *next = list->next;

		free(list);
		list = next;
	}
}

/* With mtx held: these tickets are lost; to is the newest that there is. */
static void
remember_lost(struct audit *a, uint64_t from, uint64_t to)
{
	struct lost_range *r = a->lost_ranges;
	unsigned n = a->n_lost_ranges;

	if (from > to)
		return;
	for (; n > 0 && r[n - 1].to + 1 >= from; n--)
		from = from < r[n - 1].from ? from : r[n - 1].from;
	if (n == LOST_RANGES) {
		r[1].from = r[0].from;
		memmove(r, r + 1, (LOST_RANGES - 1) * sizeof(*r));
		n--;
	}
	r[n] = (struct lost_range){ .from = from, .to = to };
	a->n_lost_ranges = n + 1;
}

/* The file is gone, and with it what was called written of messages that are
 * under way. */
static void
lose_all(struct audit *a, uint64_t before)
{
	(void)pthread_mutex_lock(&a->mtx);
	remember_lost(a, 1, before - 1);
	(void)pthread_mutex_unlock(&a->mtx);
}

/* With mtx held: the worst of the tickets from first to last. */
static enum audit_state
state_of(const struct audit *a, uint64_t first, uint64_t last)
{
	if (last == 0)
		return AUDIT_LOST;
	if (last > a->written)
		return AUDIT_PENDING;
	for (unsigned i = a->n_lost_ranges; i-- > 0;)
		if (first <= a->lost_ranges[i].to &&
		    last >= a->lost_ranges[i].from)
			return AUDIT_LOST;
	return last > a->durable ? AUDIT_WRITTEN : AUDIT_DURABLE;
}

static bool
is_settled(enum audit_state state)
{
	return state == AUDIT_DURABLE || state == AUDIT_LOST;
}

static void
settle(struct audit *a, struct group *g)
{
	(void)pthread_mutex_lock(&a->mtx);
	for (int c = 0; !g->good && c < 3; c++)
		for (int r = 0; r < REASONS; r++)
			a->local[c][r] += g->tallies[c][r];
	/* what could not be written waits for the next time */
	if (!g->good && g->breaches != NULL) {
		struct breach **tail = &g->breaches;

		for (; *tail != NULL; tail = &(*tail)->next)
			a->n_breaches++;
		*tail = a->breaches;
		if (a->breaches == NULL)
			a->breaches_tail = tail;
		a->breaches = g->breaches;
		g->breaches = NULL;
	}
	a->queued -= g->n;
	a->written = g->ticket;
	if (g->good) {
		a->rows += g->n;
		a->transactions += g->n > 0;
		a->syncs += g->sync;
		if (g->sync)
			a->durable = g->ticket;
	} else {
		a->lost += g->n;
		a->lost_unsaid += g->n;
		/* a file that is gone, or a disk that fails, takes all that
		 * was written with it, also of messages under way */
		remember_lost(a, g->unsynced ? 1 : g->first, g->ticket);
	}
	a->healthy = g->good;
	(void)pthread_cond_broadcast(&a->room);
	/* the others wait for the next group: half of them, under load */
	for (struct waiter *w = a->waiters; w != NULL; w = w->next)
		if (is_settled(state_of(a, w->ticket, w->ticket)))
			(void)pthread_cond_signal(&w->cond);
	(void)pthread_mutex_unlock(&a->mtx);
	if (a->opt.committed != NULL)
		a->opt.committed(a->opt.committed_arg);
}

/* Say what is lost: at once, then at most every ten seconds. */
static void
say_state(struct audit *a, bool good, bool was_good, const struct err *err)
{
	int64_t now = clock_now();
	char text[ERR_TEXT_MAX + 100];

	(void)pthread_mutex_lock(&a->mtx);
	uint64_t lost = a->lost_unsaid;
	bool quiet = good == was_good &&
	    ((good && lost == 0) || now - a->lost_said_at < 10);

	if (!quiet)
		a->lost_unsaid = 0;
	(void)pthread_mutex_unlock(&a->mtx);
	if (quiet)
		return;
	a->lost_said_at = now;
	if (good)
		(void)snprintf(text, sizeof(text),
		    "audit: %s; %" PRIu64 " rows were lost",
		    was_good ? "the queue was full" : "writing again", lost);
	else
		(void)snprintf(text, sizeof(text),
		    "audit: %s; %" PRIu64
		    " rows lost; relays get a temporary failure",
		    err->text, lost);
	a->opt.log_state(good, text);
}

static bool
check_whole(struct audit *a, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	bool good = true;

	if (a->file.size > CHECK_BYTES)
		return true;
	if (db_prepare(a->db, "PRAGMA quick_check(1)", &stmt, err) == 0)
		good = sqlite3_step(stmt) == SQLITE_ROW &&
		    strcmp(db_text(stmt, 0), "ok") == 0;
	(void)sqlite3_finalize(stmt);
	return good;
}

/* Somebody wrote to the file: a checkpoint of another program's is harmless,
 * a backup that was copied into it is not. Opens it again. */
static bool
still_ours(struct audit *a, const char *what, struct err *err)
{
	a->gone = true; /* don't write into it, while closing */
	close_db(a);
	a->checked_ms = clock_monotonic_ms();
	if (open_db(a, err) == -1)
		return false;
	int64_t newest =
	    number_of(a, "SELECT coalesce(max(id), 0) FROM decision", err);

	a->damaged = newest == -1 || !check_whole(a, err);
	if (a->damaged) {
		err_set(err, ERR_CORRUPT,
		    "%s %s and is damaged: stop popgate-milter, put a backup "
		    "in its place or move it and its -wal and -shm away, and "
		    "start popgate-milter",
		    a->path, what);
		return false;
	}
	if (newest >= a->last_id)
		return true;
	err_set(err, ERR_IO, "%s %s: its newest decisions are no longer in it",
	    a->path, what);
	a->last_id = newest;
	return false;
}

/* Is what we write what the next reader finds? If not, what we had written is
 * lost, and err says why. */
static bool
file_good(struct audit *a, struct err *err)
{
	const char *what;

	switch (db_file_look(a->db, &a->file, &what)) {
	case DB_SAME:
		return true;
	case DB_SHM_GONE:
		a->reopen = true;
		return true;
	case DB_WRITTEN:
		return still_ours(a, what, err);
	case DB_WAL_GONE:
		/* we have the only copy of it: save that into the database */
		a->reopen =
		    sqlite3_wal_checkpoint_v2(a->db, NULL,
			SQLITE_CHECKPOINT_FULL, NULL, NULL) == SQLITE_OK;
		if (a->reopen)
			return true;
		break;
	case DB_GONE:
		break;
	}
	err_set(err, ERR_IO,
	    "%s %s while popgate-milter wrote to it: the decisions in it are "
	    "gone; it is made anew (to put a backup there, stop popgate-milter "
	    "first)",
	    a->path, what);
	a->gone = true;
	a->damaged = false;
	return false;
}

/* Commit, and when somebody waits for the disk, wait for it. */
static int
commit(struct audit *a, struct group *g)
{
	int64_t began_ns = clock_monotonic_ns();
	int rc = db_run(a->db, a->commit, "commit", &g->err);

	if (rc == 0 && g->last_id != 0)
		a->last_id = g->last_id;
	if (rc == 0 && g->sync) {
		rc =
		    db_file_sync(a->db, &g->err) == -1 || !file_good(a, &g->err)
		    ? -1
		    : 0;
		g->unsynced = rc == -1;
		a->synced_ms = clock_monotonic_ms();
	}
	histogram_count(&a->commits, clock_monotonic_ns() - began_ns);
	return rc;
}

/* Move the -wal into the database once it is long; nobody waits for that. */
static void
checkpoint(struct audit *a)
{
	struct err err;

	if (a->db == NULL || a->gone || a->reopen ||
	    a->file.frames < CHECKPOINT_FRAMES)
		return;
	const char *what;

	if (db_file_look(a->db, &a->file, &what) != DB_SAME)
		return;
	(void)sqlite3_wal_checkpoint_v2(
	    a->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	struct db_file now;

	/* replaced at this very moment? then the next look finds it */
	if (db_file_note(a->db, a->path, &now, &err) == 0 &&
	    db_file_same(&now, &a->file)) {
		now.frames = a->file.frames;
		a->file = now;
	}
}

/* SQLite tells after each commit how many frames the -wal has. */
static int
on_commit(void *arg, sqlite3 *db, const char *name, int frames)
{
	struct audit *a = arg;

	(void)db;
	(void)name;
	a->file.frames = frames;
	return SQLITE_OK;
}

static void
end_group(struct audit *a, struct group *g)
{
	bool was_good = !g->probe;

	/* an empty transaction works on a full disk too: a probe writes */
	if (g->good &&
	    (write_repeats(a, &g->err) == -1 ||
		write_tallies(a, g->tallies, g->probe, &g->err) == -1 ||
		insert_breaches(a, g->breaches, &g->err) == -1 ||
		prune(a, (int64_t)g->n, &g->err) == -1 || commit(a, g) == -1))
		fail_group(a, g);
	settle(a, g);
	breaches_free(g->breaches);
	g->breaches = NULL;
	say_state(a, g->good, was_good, &g->err);
	g->open = false;
	g->probe = !g->good;
	checkpoint(a);
}

static void *
writer(void *arg)
{
	struct group g = { .open = false };
	struct audit *a = arg;
	struct audit_row *list;
	bool commit, busy = false;

	while (take_piece(a, &g, &list, &commit)) {
		/* what sessions and rows of a busy time have left free */
		if (list == NULL && !g.open && busy)
			(void)malloc_trim(0);
		busy = list != NULL || g.open;
		if (!g.open)
			begin_group(a, &g);
		insert_rows(a, &g, list);
		if (commit || !g.good)
			end_group(a, &g);
		/* whoever waits for the disk doesn't wait for the log */
		log_rows(a, list);
		audit_row_free(list);
	}
	return NULL;
}

/* A condition for every DELETE: the newest row stays. SQLite would give its id
 * to the next row, but ids must grow, since rows are known by them. */
#define NOT_THE_NEWEST "id < (SELECT max(id) FROM decision) "

static int
prepare_size(struct audit *a, struct err *err)
{
	return db_prepare(a->db,
		   "UPDATE decision SET count = count + ?1, last_at = ?2 "
		   "WHERE id = ?3",
		   &a->again, err) == -1 ||
		db_prepare(a->db,
		    "SELECT (p.page_count - f.freelist_count) * s.page_size "
		    "FROM pragma_page_count AS p, pragma_freelist_count AS f, "
		    "pragma_page_size AS s",
		    &a->pages, err) == -1 ||
		db_prepare(a->db,
		    "SELECT max(id), count(*) FROM (SELECT id FROM decision "
		    "WHERE id > ?1 ORDER BY id LIMIT ?2)",
		    &a->shrink_to, err) == -1 ||
		db_prepare(a->db,
		    "DELETE FROM decision WHERE id > ?1 AND id <= ?2 "
		    "AND " NOT_THE_NEWEST "AND (?3 OR class = 'local' "
		    "OR verdict IN ('reject', 'tempfail') "
		    "OR (channel <> 'milter' AND "
		    "verdict IN ('would-reject', 'would-tempfail')))",
		    &a->shrink, err) == -1
	    ? -1
	    : 0;
}

static int
open_db(struct audit *a, struct err *err)
{
	int64_t lift_id;

	if (db_open(a->path, DB_CREATE, WRITE_BUSY_MS, sql_audit,
		SQL_AUDIT_STEPS, &a->db, err) == -1)
		return -1;
	a->gone = a->reopen = false;
	/* A commit leaves the rows with the kernel, where they outlive us;
	 * db_file_sync() brings them to the disk when somebody needs that,
	 * and once now, for those whom one before us let wait no longer. */
	if (db_exec(a->db, "PRAGMA synchronous = NORMAL", err) == 0 &&
	    db_exec(a->db, "PRAGMA cache_size = -64000", err) == 0 &&
	    db_prepare(a->db, "BEGIN IMMEDIATE", &a->begin, err) == 0 &&
	    db_prepare(a->db, "COMMIT", &a->commit, err) == 0 &&
	    db_prepare(a->db,
		"INSERT INTO decision (at, session, queue_id, "
		"client, client_name, helo, sender, recipient, class, verdict, "
		"reason, auth_user, login_user, login_at, rule, reply, channel, "
		"mta, certificate) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, "
		"?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)",
		&a->insert, err) == 0 &&
	    db_prepare(a->db,
		"INSERT INTO tally (hour, channel, reason, "
		"recipients) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET "
		"recipients = recipients + excluded.recipients",
		&a->tally, err) == 0 &&
	    db_prepare(a->db,
		"DELETE FROM decision WHERE id IN (SELECT id "
		"FROM decision ORDER BY id LIMIT ?2) AND at < ?1 "
		"AND " NOT_THE_NEWEST,
		&a->prune, err) == 0 &&
	    db_prepare(a->db,
		"INSERT INTO breach (at, kind, subject, setting, "
		"allowed, client, user, sender, denied_until) VALUES (?1, ?2, ?3, "
		"?4, ?5, ?6, ?7, ?8, ?9)",
		&a->breach, err) == 0 &&
	    db_prepare(a->db, "PRAGMA data_version", &a->version, err) == 0 &&
	    prepare_size(a, err) == 0 &&
	    db_prepare(a->db,
		"SELECT id, kind, subject FROM lift "
		"WHERE id > ?1 AND kind <> 'login' ORDER BY id",
		&a->lifts, err) == 0 &&
	    (lift_id = number_of(
		 a, "SELECT coalesce(max(id), 0) FROM lift", err)) != -1 &&
	    db_file_sync(a->db, err) == 0 &&
	    db_file_note(a->db, a->path, &a->file, err) == 0) {
		/* what was lifted while we had it closed is news */
		if (a->lift_id == -1 || lift_id < a->lift_id)
			a->lift_id = lift_id;
		a->data_version = -1;
		/* in place of the automatic checkpoint */
		(void)sqlite3_wal_hook(a->db, on_commit, a);
		return 0;
	}
	close_db(a);
	return -1;
}

static void
close_db(struct audit *a)
{
	(void)sqlite3_finalize(a->begin);
	(void)sqlite3_finalize(a->commit);
	(void)sqlite3_finalize(a->insert);
	(void)sqlite3_finalize(a->tally);
	(void)sqlite3_finalize(a->prune);
	(void)sqlite3_finalize(a->breach);
	(void)sqlite3_finalize(a->version);
	(void)sqlite3_finalize(a->lifts);
	(void)sqlite3_finalize(a->again);
	(void)sqlite3_finalize(a->pages);
	(void)sqlite3_finalize(a->shrink);
	(void)sqlite3_finalize(a->shrink_to);
	a->again = a->pages = a->shrink = a->shrink_to = NULL;
	a->begin = a->commit = a->insert = a->tally = a->prune = NULL;
	a->breach = a->version = a->lifts = NULL;
	/* the last to close brings the -wal into the file, which isn't ours */
	if (a->db != NULL && (a->gone || a->reopen))
		(void)sqlite3_db_config(
		    a->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	(void)sqlite3_close(a->db);
	a->db = NULL;
}

int
audit_start(
    const struct audit_options *options, struct audit **a_r, struct err *err)
{
	struct audit *a = calloc(1, sizeof(*a));
	pthread_condattr_t attr;

	*a_r = NULL;
	if (a == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return -1;
	}
	a->opt = *options;
	a->opt.path = NULL;
	a->path = strdup(options->path); /* a reload may free theirs */
	a->tail = &a->head;
	a->breaches_tail = &a->breaches;
	a->healthy = true;
	a->lift_id = -1;
	a->repeats = repeats_new();
	if (a->path == NULL || a->repeats == NULL)
		err_set(err, ERR_NOMEM, "out of memory");
	if (a->path == NULL || a->repeats == NULL || open_db(a, err) == -1) {
		repeats_free(a->repeats);
		free(a->path);
		free(a);
		return -1;
	}
	(void)pthread_mutex_init(&a->mtx, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&a->work, &attr);
	(void)pthread_cond_init(&a->room, &attr);
	(void)pthread_condattr_destroy(&attr);
	int rc = pthread_create(&a->thread, NULL, writer, a);

	if (rc != 0) {
		err_set(err, ERR_IO, "thread: %s", strerror(rc));
		close_db(a);
		repeats_free(a->repeats);
		free(a->path);
		free(a);
		return -1;
	}
	*a_r = a;
	return 0;
}

void
audit_drain(struct audit *a)
{
	(void)pthread_mutex_lock(&a->mtx);
	bool joined = a->stop;

	a->stop = true;
	(void)pthread_cond_signal(&a->work);
	(void)pthread_mutex_unlock(&a->mtx);
	if (joined)
		return;
	(void)pthread_join(a->thread, NULL);
	close_db(a);
}

void
audit_stop(struct audit **ap)
{
	struct audit *a = *ap;

	if (a == NULL)
		return;
	audit_drain(a);
	(void)pthread_cond_destroy(&a->work);
	(void)pthread_cond_destroy(&a->room);
	(void)pthread_mutex_destroy(&a->mtx);
	breaches_free(a->breaches);
	repeats_free(a->repeats);
	free(a->path);
	free(a);
	*ap = NULL;
}

/* With mtx held: take the chain if there is room. Returns its ticket, or 0. */
static uint64_t
enqueue(struct audit *a, struct audit_row *list, bool urgent, bool sync)
{
	if (a->stop || a->queued + list->n > (uint64_t)a->opt.queue)
		return 0;
	struct audit_row *last = list->last;
	bool wake =
	    (a->head == NULL && !a->lingering) || (urgent && !a->urgent);

	a->queued += list->n;
	*a->tail = list;
	a->tail = &last->next;
	a->urgent |= urgent;
	a->sync |= sync;
	if (wake)
		(void)pthread_cond_signal(&a->work);
	return ++a->submitted;
}

/* With mtx held: wait for room for n rows. */
static void
wait_for_room(struct audit *a, size_t n, int timeout_ms)
{
	struct timespec until;
	int rc = 0;

	clock_deadline(timeout_ms, &until);
	while (!a->stop && a->queued + n > (uint64_t)a->opt.queue &&
	    n <= (uint64_t)a->opt.queue && rc == 0) {
		a->urgent = true;
		(void)pthread_cond_signal(&a->work);
		rc = pthread_cond_timedwait(&a->room, &a->mtx, &until);
	}
}

static uint64_t
submit(struct audit *a, struct audit_row *list, bool urgent, bool sync,
    int timeout_ms)
{
	if (list == NULL)
		return 0;
	(void)pthread_mutex_lock(&a->mtx);
	if (timeout_ms > 0)
		wait_for_room(a, list->n, timeout_ms);
	uint64_t ticket = enqueue(a, list, urgent, sync);

	if (ticket == 0) {
		a->lost += list->n;
		a->lost_unsaid += list->n;
	}
	(void)pthread_mutex_unlock(&a->mtx);
	if (ticket == 0)
		audit_row_free(list);
	return ticket;
}

uint64_t
audit_submit(struct audit *a, struct audit_row *list, bool urgent)
{
	return submit(a, list, urgent, urgent, 0);
}

uint64_t
audit_submit_wait(
    struct audit *a, struct audit_row *list, bool urgent, int timeout_ms)
{
	return submit(a, list, urgent, urgent, timeout_ms);
}

uint64_t
audit_submit_written(struct audit *a, struct audit_row *list)
{
	return submit(a, list, true, false, 0);
}

/* With mtx held: somebody waits for the disk. */
static void
want_sync(struct audit *a)
{
	if (!a->urgent)
		(void)pthread_cond_signal(&a->work);
	a->urgent = a->sync = true;
}

uint64_t
audit_sync(struct audit *a)
{
	uint64_t ticket = 0;

	(void)pthread_mutex_lock(&a->mtx);
	if (!a->stop) {
		ticket = ++a->submitted;
		want_sync(a);
	}
	(void)pthread_mutex_unlock(&a->mtx);
	return ticket;
}

enum audit_state
audit_state_range(struct audit *a, uint64_t first, uint64_t last)
{
	(void)pthread_mutex_lock(&a->mtx);
	enum audit_state state = state_of(a, first, last);

	(void)pthread_mutex_unlock(&a->mtx);
	return state;
}

enum audit_state
audit_state(struct audit *a, uint64_t ticket)
{
	return audit_state_range(a, ticket, ticket);
}

bool
audit_wait(struct audit *a, uint64_t ticket, int timeout_ms)
{
	struct waiter w = { .ticket = ticket,
		.cond = PTHREAD_COND_INITIALIZER };
	struct timespec until;
	int rc = 0;

	clock_deadline(timeout_ms, &until);
	(void)pthread_mutex_lock(&a->mtx);
	w.next = a->waiters;
	w.to = &a->waiters;
	if (w.next != NULL)
		w.next->to = &w.next;
	/* cppcheck-suppress autoVariables; it is taken out below */
	a->waiters = &w;
	if (!is_settled(state_of(a, ticket, ticket)))
		want_sync(a);
	while (!is_settled(state_of(a, ticket, ticket)) && rc == 0)
		rc = pthread_cond_clockwait(
		    &w.cond, &a->mtx, CLOCK_MONOTONIC, &until);
	bool durable = state_of(a, ticket, ticket) == AUDIT_DURABLE;

	*w.to = w.next;
	if (w.next != NULL)
		w.next->to = w.to;
	(void)pthread_mutex_unlock(&a->mtx);
	(void)pthread_cond_destroy(&w.cond);
	return durable;
}

size_t
audit_batch(const struct audit *a)
{
	int64_t n = a->opt.queue / 4;

	return n < 1 ? 1 : n > BATCH_MAX ? BATCH_MAX : (size_t)n;
}

void
audit_receipt_add(struct audit *a, struct audit_receipt *receipt,
    struct audit_row *list, int timeout_ms)
{
	int64_t began_ms = clock_monotonic_ms();

	if (list == NULL)
		return;
	if (receipt->ticket != 0 && !audit_wait(a, receipt->ticket, timeout_ms))
		receipt->lost = true;
	int64_t left_ms = timeout_ms - (clock_monotonic_ms() - began_ms);

	receipt->ticket =
	    audit_submit_wait(a, list, true, left_ms > 0 ? (int)left_ms : 0);
	if (receipt->ticket == 0)
		receipt->lost = true;
}

bool
audit_receipt_wait(
    struct audit *a, struct audit_receipt *receipt, int timeout_ms)
{
	/* what was lost already is no reason to wait */
	return !receipt->lost && audit_wait(a, receipt->ticket, timeout_ms);
}

bool
audit_healthy(struct audit *a)
{
	(void)pthread_mutex_lock(&a->mtx);
	bool healthy = a->healthy && a->queued < (uint64_t)a->opt.queue;

	(void)pthread_mutex_unlock(&a->mtx);
	return healthy;
}

void
audit_count_local(
    struct audit *a, enum audit_channel channel, enum reason reason)
{
	(void)pthread_mutex_lock(&a->mtx);
	a->local[channel][reason]++;
	(void)pthread_mutex_unlock(&a->mtx);
}

void
audit_breach(struct audit *a, const struct audit_breach *breach)
{
	const char *texts[] = { breach->subject, breach->setting,
		breach->allowed, breach->client, breach->user, breach->sender };
	enum { N = sizeof(texts) / sizeof(*texts) };
	size_t total = 0, len[N];

	for (int i = 0; i < N; i++) {
		len[i] = texts[i] == NULL ? 0 : strnlen(texts[i], TEXT_MAX);
		total += len[i] + 1;
	}
	struct breach *new = malloc(sizeof(*new) + total);

	if (new == NULL)
		return;
	*new = (struct breach){ .b = *breach };
	char *p = new->text;

	for (int i = 0; i < N; i++) {
		if (len[i] > 0)
			memcpy(p, texts[i], len[i]);
		p[len[i]] = '\0';
		texts[i] = p;
		p += len[i] + 1;
	}
	new->b.subject = texts[0];
	new->b.setting = texts[1];
	new->b.allowed = texts[2];
	new->b.client = texts[3];
	new->b.user = texts[4];
	new->b.sender = texts[5];
	(void)pthread_mutex_lock(&a->mtx);
	bool room = !a->stop && a->n_breaches < BREACHES_MAX;

	if (room) {
		*a->breaches_tail = new;
		a->breaches_tail = &new->next;
		a->n_breaches++;
		a->urgent = true;
		(void)pthread_cond_signal(&a->work);
	}
	(void)pthread_mutex_unlock(&a->mtx);
	if (!room)
		free(new);
}

void
audit_stats(struct audit *a, struct audit_stats *stats)
{
	(void)pthread_mutex_lock(&a->mtx);
	*stats = (struct audit_stats){ .rows = a->rows,
		.transactions = a->transactions,
		.syncs = a->syncs,
		.lost = a->lost,
		.queued = a->queued,
		.limit = (uint64_t)a->opt.queue,
		.bytes = a->bytes,
		.max_size = a->opt.max_size,
		.healthy = a->healthy && a->queued < (uint64_t)a->opt.queue };
	(void)pthread_mutex_unlock(&a->mtx);
}

const struct histogram *
audit_commits(const struct audit *a)
{
	return &a->commits;
}
