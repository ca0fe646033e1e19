#include "collector/collect.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "collector/batch.h"
#include "collector/pair_store.h"
#include "collector/sources/source.h"
#include "collector/stats.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/own_addresses.h"
#include "common/db/store.h"
#include "common/policy/judge.h"

enum {
	TICK_MS = 1000, /* look at every source this often */
	READ_BUDGET = 256 * 1024, /* bytes a source may take at a turn */
	GATHER_MS = 100, /* a login waits no longer than this */
	RETRY_MS = 1000, /* for a store or source that fails */
	REPEAT_MS = 60 * 1000, /* before the same complaint again */
	OWN_MS = 30 * 1000,
	HEARTBEAT_MAX_S = 15,
	MISSING_MS = 60 * 1000, /* before a deleted database is made anew */
	TIDY_ROWS = 1000, /* of a table, a second, when idle */
	LOCK_WAIT_MS = 500, /* we have other things to do than wait */
	SHARED_LOGINS = 4096, /* at once, when other sources are live */
	CACHE_KIB = 24 * 1024,
	CHECKPOINT_PAGES = 8192
};

#define PAIRS_UNSAVED UINT64_MAX

/* A complaint that is made once, and again after a while. */
struct complaint {
	bool active;
	int64_t noted_ms;
};

/* A configured source at work. */
struct feed {
	struct collect *c;
	struct config_source cfg; /* owns its strings */
	struct source *source; /* NULL: can't be opened yet */
	struct stats *stats;
	bool direct;
	int state; /* of the last read; -1 failed */
	bool due; /* to be read in this step */
	bool contributed; /* has logins in the batch */
	bool want_time; /* of the next line */
	bool was_end; /* it has been read to its end, which was at: */
	struct mark end;
	/* of the file that lines from this position on are in, within a read:
	 * when it was written last; -1 not looked at */
	int64_t written_from, written_at;
	int64_t poll_ms; /* when it is due by itself; 0 never */
	int64_t retry_ms;
	int64_t read_at;
	int64_t saved_at; /* read_at, as the table has it */
	int64_t line_at;
	struct complaint complaint;
	struct mark mark; /* as read, or about to be saved */
	uint64_t saved_device, saved_inode; /* of mark, as the table has it */
	int64_t saved_position;
	bool moved; /* it is another file since, or was made shorter */
};

struct collect {
	struct config *cfg;
	collect_note_fn *note;
	struct judge *judge;
	uint64_t pairs_saved; /* keep_changes() as the table has them */
	struct batch *batch;
	struct store *store; /* NULL: not open */
	int lock; /* held file beside it; -1 none */
	dev_t db_dev;
	ino_t db_ino;
	int64_t db_missing_ms; /* since when; 0: it is there */
	struct network_set own;

	struct feed **feed;
	size_t n_feeds;
	struct pollfd *fds; /* one more than feeds */

	int64_t now; /* Unix seconds, of this step */
	int64_t ahead_ms; /* of the monotonic clock, the most yet */
	int64_t batch_ms; /* when its first login came */
	int64_t tick_ms, beat_ms, own_ms, tidy_ms;
	int64_t retry_ms; /* of the store; 0: it works */
	struct complaint store_complaint, future_complaint, told_complaint,
	    piece_complaint, year_complaint;
	char expire_cursor[NETWORK_TEXT_MAX];
	uint64_t lines, logins;
};

static void note(const struct collect *c, int priority, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void
note(const struct collect *c, int priority, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	c->note(priority, text);
}

/* Is it time to complain (again)? */
static bool
complain(struct complaint *p)
{
	int64_t ms = clock_monotonic_ms();

	if (p->active && ms - p->noted_ms < REPEAT_MS)
		return false;
	p->active = true;
	p->noted_ms = ms;
	return true;
}

/* --- sources --- */

static void
source_note(void *arg, const char *text)
{
	const struct feed *f = arg;

	f->c->note(LOG_NOTICE, text);
}

/* Open a feed's source where the table says that it was left. */
static int
feed_open(struct feed *f, struct err *err)
{
	struct collect *c = f->c;
	struct store_source row = { .name = "" };
	int found = store_source_find(c->store, f->cfg.name, &row, err);
	const struct source_options options = { .mark = found == 1 ? &f->mark
								   : NULL,
		.since = clock_now() - c->cfg->logins.window_s,
		.note = source_note,
		.note_arg = f };

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

static void
feed_try_open(struct feed *f)
{
	struct err err;

	f->retry_ms = clock_monotonic_ms() + RETRY_MS;
	if (feed_open(f, &err) == 0) {
		if (f->complaint.active)
			note(f->c, LOG_NOTICE, "%s: open now", f->cfg.name);
		f->complaint.active = false;
	} else if (complain(&f->complaint)) {
		note(f->c, LOG_ERR, "%s: %s", f->cfg.name, err.text);
	}
}

static void
feed_free(struct feed *f)
{
	source_close(&f->source);
	stats_free(&f->stats);
	free(f->cfg.name);
	free(f->cfg.where);
	free(f->cfg.rotated);
	free(f);
}

static struct feed *
feed_create(struct collect *c, const struct config_source *cfg)
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
	f->stats = stats_create();
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
	if (judged->ahead_s > LOGIN_FUTURE_S && complain(&c->future_complaint))
		note(c, LOG_WARNING,
		    "%s: a login of %s is dated %" PRId64
		    " seconds ahead of this machine's clock: counted as of "
		    "now",
		    f->cfg.name, judged->server, judged->ahead_s);
}

/* Answer who told a login, and say it once when he may not. */
static void
answer_told(struct collect *c, struct feed *f, const struct line_told *told,
    const char *reason)
{
	source_answer(f->source, reason);
	if (reason == judge_forged && complain(&c->told_complaint))
		note(c, LOG_WARNING,
		    "%s: user id %" PRId64 " (process %" PRId64
		    ") is not in collector.login_users: its logins "
		    "don't count",
		    f->cfg.name, told->uid, told->pid);
}

/* Warn the admin that logins in a program's output don't count: the users of
 * that server are refused. */
static void
note_piece(struct collect *c, const struct feed *f, const char *server)
{
	if (complain(&c->piece_complaint))
		note(c, LOG_WARNING,
		    "%s: a login of %s comes through its standard output or "
		    "error, where clients can write whole lines: such logins "
		    "don't count; let %s log by syslog",
		    f->cfg.name, server, server);
}

/* Was this line written since we had read all there was? */
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

/* When the file that the line is in was written last; INT64_MAX where that
 * isn't known. Looked at once a read: lines come by the thousand. */
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

/* A stamp without a year fits every year, and the nearest is taken. A log that
 * is read again, or for the first time, may be of an earlier one: then no line
 * is of now because it is dated ahead, nor days later than the file was
 * written. */
static bool
of_earlier_year(struct feed *f, const struct line *line, const struct judged *j)
{
	/* not by a clock, nor by that of a file server */
	enum { WRITTEN_S = 7 * 86400 };

	if (!j->year_guessed)
		return false;
	if (j->ahead_s > LOGIN_FUTURE_S)
		return !is_fresh(f, line);
	return j->expires_at > f->c->now &&
	    j->login.at - WRITTEN_S > written_at(f, line);
}

static void
refuse_earlier_year(struct collect *c, const struct feed *f, struct judged *j)
{
	j->record = false;
	j->reason = judge_too_old;
	if (complain(&c->year_complaint))
		note(c, LOG_WARNING,
		    "%s: a login of %s, dated without a year, is taken for one "
		    "of an earlier year: it is %" PRId64 " seconds ahead or "
		    "days later than the file was written, and was there "
		    "before it was read",
		    f->cfg.name, j->server, j->ahead_s);
}

/* Every line of every source comes through here. */
static bool
take_line(void *arg, const struct line *line)
{
	struct feed *f = arg;
	struct collect *c = f->c;
	struct judged judged;

	c->lines++;
	judge_line(c->judge, line, f->direct, c->now, &judged);
	if (judged.record && of_earlier_year(f, line, &judged))
		refuse_earlier_year(c, f, &judged);
	if (line->told != NULL)
		answer_told(c, f, line->told, judged.reason);
	stats_line(f->stats, judged.server, judged.reason, judged.record,
	    judged.unknown_shape ? line->text : NULL, line->len, c->now);
	if (f->want_time) {
		int64_t at = judge_line_time(c->judge, line, c->now);

		f->want_time = at == 0;
		if (at > f->line_at)
			f->line_at = at > c->now ? c->now : at;
	}
	if (judged.piece)
		note_piece(c, f, judged.server);
	if (!judged.record)
		return true;
	/* c->now is when the read began: the line may be younger */
	if (judged.ahead_s > 0)
		judge_date(c->judge, &judged, judged.login.at + judged.ahead_s,
		    clock_now());
	c->logins++;
	if (judged.login.at > f->line_at)
		f->line_at = judged.login.at;
	note_future(c, f, &judged);
	if (batch_count(c->batch) == 0)
		c->batch_ms = clock_monotonic_ms();
	batch_add(c->batch, &judged.login, &judged.net, judged.expires_at,
	    f->cfg.name, line->position, line->text, line->len);
	f->contributed = true;
	return !batch_full(c->batch);
}

/* The table says which file is read, and popgatectl status compares it with
 * the one that has the path: so it is told at once when that changes. */
static void
note_moved(struct feed *f)
{
	source_place(f->source, &f->mark);
	f->moved = f->mark.device != f->saved_device ||
	    f->mark.inode != f->saved_inode ||
	    f->mark.position < f->saved_position;
}

static void
feed_read(struct feed *f)
{
	struct collect *c = f->c;
	struct err err;

	f->due = false;
	f->written_from = -1;
	f->want_time = true;
	f->poll_ms = source_poll_ms(f->source) == 0
	    ? 0
	    : clock_monotonic_ms() + source_poll_ms(f->source);
	f->state = source_read(f->source, READ_BUDGET, take_line, f, &err);
	if (f->state == SOURCE_CLOSED)
		note(c, LOG_NOTICE, "%s: end of input", f->cfg.name);
	if (f->state == -1) {
		if (complain(&f->complaint))
			note(c, LOG_ERR, "%s: %s", f->cfg.name, err.text);
		return;
	}
	if (f->state == SOURCE_END) {
		f->was_end = true;
		source_place(f->source, &f->end);
	}
	if (f->complaint.active)
		note(c, LOG_NOTICE, "%s: read again", f->cfg.name);
	f->complaint.active = false;
	/* as of before the read: what came since may be unread */
	if (f->state != SOURCE_MORE && f->state != SOURCE_MISSING)
		f->read_at = c->now;
	if (f->cfg.kind == SOURCE_FILE && f->state == SOURCE_END)
		note_moved(f);
}

/* --- the store --- */

static int
save_feed(struct collect *c, struct feed *f, struct err *err)
{
	struct store_source row = { .read_at = f->read_at,
		.line_at = f->line_at };

	source_mark(f->source, &f->mark);
	(void)snprintf(row.name, sizeof(row.name), "%s", f->cfg.name);
	row.device = f->mark.device;
	row.inode = f->mark.inode;
	row.position = f->mark.position;
	(void)snprintf(row.fingerprint, sizeof(row.fingerprint), "%s",
	    f->mark.fingerprint);
	return store_source_save(c->store, &row, err);
}

/* The one transaction: logins, history, how far their sources are read, and
 * what two-line servers had begun to say there. Any source may have said it. */
static int
commit(struct collect *c, bool all, struct err *err)
{
	bool pairs = keep_changes(c->judge) != c->pairs_saved;

	if (store_begin(c->store, err) == -1)
		return -1;
	if (batch_store(c->batch, c->store, err) == -1 ||
	    (pairs && keep_save(c->judge, c->store, err) == -1))
		goto fail;
	for (size_t i = 0; i < c->n_feeds; i++) {
		struct feed *f = c->feed[i];

		if (f->source != NULL && (all || pairs || f->contributed) &&
		    save_feed(c, f, err) == -1)
			goto fail;
		if (all &&
		    stats_save(f->stats, c->store, f->cfg.name, err) == -1)
			goto fail;
	}
	if (store_commit(c->store, err) == -1)
		goto fail;
	return 0;
fail:
	store_rollback(c->store);
	return -1;
}

static void
store_failed(struct collect *c, const struct err *err)
{
	c->retry_ms = clock_monotonic_ms() + RETRY_MS;
	if (complain(&c->store_complaint))
		note(c, LOG_ERR, "%s: trying again; %zu logins wait", err->text,
		    batch_count(c->batch));
	/* a lock goes away; after anything else begin with a fresh handle */
	if (err->code != ERR_BUSY)
		store_close(&c->store);
}

static int
flush(struct collect *c, bool all, struct err *err)
{
	if (commit(c, all, err) == -1) {
		store_failed(c, err);
		return -1;
	}
	if (c->store_complaint.active)
		note(c, LOG_NOTICE, "%s: works again, %zu logins written",
		    c->cfg->logins.database, batch_count(c->batch));
	c->store_complaint.active = false;
	c->retry_ms = 0;
	batch_clear(c->batch);
	c->pairs_saved = keep_changes(c->judge);
	for (size_t i = 0; i < c->n_feeds; i++) {
		struct feed *f = c->feed[i];

		if (all || f->contributed) {
			f->saved_at = f->read_at;
			f->saved_device = f->mark.device;
			f->saved_inode = f->mark.inode;
			f->saved_position = f->mark.position;
			f->moved = false;
		}
		if (all)
			stats_saved(f->stats);
		f->contributed = false;
	}
	if (all)
		c->beat_ms = clock_monotonic_ms();
	return 0;
}

struct leftover {
	const struct collect *c;
	char name[512]; /* found; "" none */
};

static bool
is_configured(const struct collect *c, const char *name)
{
	for (size_t i = 0; i < c->n_feeds; i++)
		if (strcmp(c->feed[i]->cfg.name, name) == 0)
			return true;
	return false;
}

static bool
find_leftover(void *arg, const struct store_source *src)
{
	struct leftover *l = arg;

	if (is_configured(l->c, src->name))
		return true;
	(void)snprintf(l->name, sizeof(l->name), "%s", src->name);
	return false;
}

/* A row of a source that nobody reads would hold back policy row 12 for
 * ever; one that is missing would not hold it back at all. */
static int
settle_sources(struct collect *c, struct err *err)
{
	struct leftover left = { .c = c };

	do {
		left.name[0] = '\0';
		if (store_each_source(c->store, find_leftover, &left, err) ==
			-1 ||
		    (left.name[0] != '\0' &&
			(store_source_delete(c->store, left.name, err) == -1 ||
			    store_count_delete(c->store, left.name, err) ==
				-1)))
			return -1;
	} while (left.name[0] != '\0');
	for (size_t i = 0; i < c->n_feeds; i++) {
		struct store_source row = { 0 };
		const char *name = c->feed[i]->cfg.name;
		int found = store_source_find(c->store, name, &row, err);

		if (found == 1)
			continue;
		(void)snprintf(row.name, sizeof(row.name), "%s", name);
		if (found == -1 || store_source_save(c->store, &row, err) == -1)
			return -1;
	}
	return 0;
}

/* Two collectors on one database would count every login twice. The lock is
 * on a file of its own, since SQLite loses its own locks when another handle
 * of this process on the database is closed. */
static int
lock_database(struct collect *c, struct err *err)
{
	char path[PATH_MAX];

	if (c->lock != -1)
		return 0;
	(void)snprintf(
	    path, sizeof(path), "%s.collector", c->cfg->logins.database);
	int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd == -1) {
		err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
		return -1;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) == -1) {
		err_set(err, ERR_BUSY,
		    "%s: another popgate-collector is at "
		    "work",
		    c->cfg->logins.database);
		(void)close(fd);
		return -1;
	}
	c->lock = fd;
	return 0;
}

/* Merge the words file: a login table that was lost or restored lacks the
 * deletions and denials that an admin has made since. */
static int
take_words(struct collect *c, struct err *err)
{
	char path[PATH_MAX];
	struct store *words = NULL;
	int n = 0;

	store_words_path(c->cfg->logins.database, path, sizeof(path));
	if (access(path, F_OK) == -1 && errno == ENOENT)
		return 0;
	if (store_open(path, STORE_MODIFY, &words, err) == -1) {
		if (err->code == ERR_BUSY)
			return -1;
		/* the table itself knows it, if it is the one of before */
		note(c, LOG_ERR,
		    "%s: an admin's deletions and denials of before the login "
		    "table was lost or restored don't hold",
		    err->text);
		return 0;
	}
	if (store_begin(c->store, err) == -1 ||
	    (n = store_take_words(c->store, words, clock_now(), err)) == -1 ||
	    store_commit(c->store, err) == -1) {
		store_rollback(c->store);
		store_close(&words);
		return -1;
	}
	store_close(&words);
	if (n > 0)
		note(c, LOG_NOTICE,
		    "%s: %d deletions by an admin, which it didn't know, hold "
		    "again",
		    c->cfg->logins.database, n);
	return 0;
}

static int
open_store(struct collect *c, struct err *err)
{
	struct stat st;

	if (lock_database(c, err) == -1)
		return -1;
	if (store_open(c->cfg->logins.database, STORE_WRITE, &c->store, err) ==
	    -1)
		return -1;
	if (stat(c->cfg->logins.database, &st) == -1) {
		err_set(err, ERR_IO, "%s: %s", c->cfg->logins.database,
		    strerror(errno));
		store_close(&c->store);
		return -1;
	}
	if (store_tune(c->store, CACHE_KIB, CHECKPOINT_PAGES, err) == -1) {
		store_close(&c->store);
		return -1;
	}
	store_wait(c->store, LOCK_WAIT_MS);
	/* another file than before knows nothing of what we have read */
	if (st.st_ino != c->db_ino || st.st_dev != c->db_dev) {
		if (take_words(c, err) == -1 ||
		    keep_load(c->judge, c->store, err) == -1) {
			store_close(&c->store);
			return -1;
		}
		c->pairs_saved = PAIRS_UNSAVED;
		for (size_t i = 0; i < c->n_feeds; i++)
			if (!c->feed[i]->direct)
				source_close(&c->feed[i]->source);
	}
	c->db_ino = st.st_ino;
	c->db_dev = st.st_dev;
	c->db_missing_ms = 0;
	return 0;
}

int
collect_start(struct collect *c, struct err *err)
{
	if (c->store == NULL && open_store(c, err) == -1)
		goto fail;
	if (store_begin(c->store, err) == -1)
		goto fail;
	if (settle_sources(c, err) == -1 || store_commit(c->store, err) == -1) {
		store_rollback(c->store);
		goto fail;
	}
	for (size_t i = 0; i < c->n_feeds; i++)
		if (c->feed[i]->source == NULL)
			feed_try_open(c->feed[i]);
	/* after a failure, retry_ms and the complaint stay: only a transaction
	 * that succeeds shows that it works, and opening needs no disk space */
	return 0;
fail:
	c->retry_ms = clock_monotonic_ms() + RETRY_MS;
	store_close(&c->store);
	return -1;
}

/* Somebody deleted or replaced the file under us: what we write would go
 * where nobody reads. A missing file may be on its way back (a restore), and
 * making a new one would get in the way: wait a little with that. */
static void
watch_database(struct collect *c)
{
	const char *path = c->cfg->logins.database;
	int64_t ms = clock_monotonic_ms();
	struct stat st;

	if (stat(path, &st) == 0 && st.st_ino == c->db_ino &&
	    st.st_dev == c->db_dev) {
		c->db_missing_ms = 0;
		return;
	}
	if (stat(path, &st) == -1) {
		if (c->db_missing_ms == 0) {
			c->db_missing_ms = ms;
			note(c, LOG_ERR, "%s: %s", path, strerror(errno));
		}
		if (ms - c->db_missing_ms < MISSING_MS)
			return;
	}
	note(c, LOG_WARNING,
	    "%s: was replaced: reading the logs again as "
	    "far back as logins count",
	    path);
	store_close(&c->store);
}

/* --- creation --- */

int
collect_check(const struct config *cfg, struct err *err)
{
	struct judge *judge;

	if (judge_create(cfg, &judge, err) == -1)
		return -1;
	judge_free(&judge);
	return 0;
}

static void
note_restart(
    const struct collect *c, const char *key, const char *old, const char *new)
{
	if (strcmp(old, new) != 0)
		note(c, LOG_WARNING, "%s: changed, which needs a restart", key);
}

static const char *
text_or_none(const char *text)
{
	return text == NULL ? "" : text;
}

/* Feeds for cfg: those of c that it names, and new ones. */
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

		for (size_t i = 0; i < c->n_feeds; i++)
			if (strcmp(c->feed[i]->cfg.name, s->name) == 0)
				feed[made] = c->feed[i];
		if (feed[made] != NULL)
			note_restart(c, s->name,
			    text_or_none(feed[made]->cfg.rotated),
			    text_or_none(s->rotated));
		else
			feed[made] = feed_create(c, s);
		if (feed[made] == NULL)
			break;
		made++;
	}
	if (feed != NULL && fds != NULL && made == n) {
		*feed_r = feed;
		*fds_r = fds;
		return 0;
	}
	for (size_t i = 0; i < made; i++)
		if (!is_configured(c, feed[i]->cfg.name))
			feed_free(feed[i]);
	free(feed);
	free(fds);
	err_set(err, ERR_NOMEM, "out of memory");
	return -1;
}

int
collect_create(struct config *cfg, collect_note_fn *note_fn,
    struct collect **c_r, struct err *err)
{
	struct collect *c = calloc(1, sizeof(*c));

	*c_r = NULL;
	if (c == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		config_free(cfg);
		return -1;
	}
	c->cfg = cfg;
	c->lock = -1;
	c->ahead_ms = INT64_MAX; /* we can't know: look at the table */
	c->note = note_fn;
	c->batch = batch_create();
	if (c->batch == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		goto fail;
	}
	if (judge_create(cfg, &c->judge, err) == -1 ||
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

/* No room for logins, and no store to put them in. */
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
		/* it has no end to be read to: always there */
		if (c->feed[i]->state == SOURCE_CLOSED)
			c->feed[i]->read_at = c->now;
	}
	if (c->own_ms != 0 && ms - c->own_ms < OWN_MS)
		return;
	c->own_ms = ms;
	if (!c->cfg->relay.never_authorize_own)
		return;
	if (own_addresses(&c->own, &err) == -1)
		note(c, LOG_ERR, "%s", err.text);
	else if (!judge_set_own(c->judge, &c->own))
		note(c, LOG_ERR, "out of memory");
}

/* Delete what nobody needs any more, a slice at a time. */
static void
tidy(struct collect *c)
{
	int64_t cutoff = c->now - c->cfg->logins.keep_s;
	struct err err;

	if (clock_monotonic_ms() - c->tidy_ms < TICK_MS)
		return;
	c->tidy_ms = clock_monotonic_ms();
	if (store_begin(c->store, &err) == -1 ||
	    store_expire(c->store, cutoff, TIDY_ROWS, c->expire_cursor, &err) ==
		-1 ||
	    store_prune_events(c->store, cutoff, TIDY_ROWS, &err) == -1 ||
	    store_commit(c->store, &err) == -1) {
		store_rollback(c->store);
		store_failed(c, &err);
	}
}

/* Only of a source that is read to its end: it may wait there. */
static bool
say_quiet(void *arg, const char *source, const char *server, int64_t last_at)
{
	const struct collect *c = arg;

	for (size_t i = 0; i < c->n_feeds; i++) {
		struct feed *f = c->feed[i];

		if (strcmp(f->cfg.name, source) == 0 &&
		    f->state == SOURCE_END && stats_quiet(f->stats, server))
			note(c, LOG_WARNING,
			    "%s: %s: 0 lines in %" PRId64
			    " h: stopped, or its tag changed?",
			    source, server, (c->now - last_at) / 3600);
	}
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
			note(c, LOG_WARNING, "%s: %s", c->feed[i]->cfg.name,
			    text);
	/* what can't be read now, can't be written either: that is said */
	if (c->store != NULL)
		(void)store_each_quiet(c->store, c->now, say_quiet, c, NULL);
}

static int
cap_future(struct collect *c, struct err *err)
{
	int64_t latest = c->now + LOGIN_FUTURE_S;
	int n;

	for (size_t i = 0; i < c->n_feeds; i++) {
		struct feed *f = c->feed[i];

		stats_set_back(f->stats, c->now);
		if (f->line_at > latest)
			f->line_at = c->now;
		if (f->read_at > latest)
			f->read_at = 0; /* when, nobody knows */
	}
	/* first what is still to be written */
	if (flush(c, true, err) == -1)
		return -1;
	if (store_begin(c->store, err) == -1 ||
	    (n = store_cap_future(c->store, c->now, latest,
		 c->cfg->logins.window_s, err)) == -1 ||
	    store_commit(c->store, err) == -1) {
		store_rollback(c->store);
		store_failed(c, err);
		return -1;
	}
	if (n > 0)
		note(c, LOG_WARNING,
		    "the clock was set back: %d logins of its future "
		    "are counted as of now",
		    n);
	return 0;
}

/* Logins are dated by the clock of their moment. When it was ahead then, and
 * is set right, they would count until it is as late again. */
static int
watch_clock(struct collect *c, struct err *err)
{
	int64_t ahead_ms = clock_now_ms() - clock_monotonic_ms();

	if (ahead_ms < c->ahead_ms - LOGIN_FUTURE_S * INT64_C(1000)) {
		if (cap_future(c, err) == -1)
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

/* Logins that nobody adds to any more, or that waited long enough. A large
 * transaction takes its time: when a source is up to date, its next login
 * shall not wait long for those of one that is far behind. */
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

/* Time to say how far everything is read: regularly, when a source has just
 * come up to date, and after a failure, when all is tried again. */
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
			if (complain(&c->store_complaint))
				note(c, LOG_ERR, "%s: trying again", err.text);
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
		watch_database(c);
	if (c->store == NULL)
		return true;
	if ((beat || batch_due(c)) && flush(c, beat, &err) == -1)
		return true;
	if (beat)
		alarms(c);
	if (!more_to_read(c))
		tidy(c);
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
	return flush(c, true, err);
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

	/* the batch holds names of sources that may be about to go */
	if ((batch_count(c->batch) > 0 &&
		(c->store == NULL || flush(c, true, err) == -1)) ||
	    judge_create(cfg, &judge, err) == -1)
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
	for (size_t i = 0; i < c->n_feeds; i++)
		if (!is_source_of(cfg, c->feed[i]->cfg.name))
			feed_free(c->feed[i]);
	free(c->feed);
	free(c->fds);
	keep_copy(judge, c->judge);
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
	/* when it can't be done now, collect_step() does it later */
	if (c->store != NULL && collect_start(c, err) == -1)
		note(c, LOG_ERR, "%s: trying again", err->text);
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
