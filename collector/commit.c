/* SPDX-License-Identifier: ISC */
#include "collector/commit.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "collector/feed.h"
#include "collector/pair_store.h"
#include "collector/state.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/db/store.h"

enum {
	MISSING_MS = 60 * 1000, /* before a deleted database is made anew */
	TIDY_MS = 1000,
	TIDY_ROWS = 1000, /* of a table, at a time */
	LOCK_WAIT_MS = 500, /* we have other things to do than wait */
	CACHE_KIB = 24 * 1024,
	CHECKPOINT_PAGES = 8192
};

/* Did somebody put an older copy into the file, as sqlite3's .restore does?
 * Then a source isn't as far as this collector has written. In a transaction.
 */
static bool
was_restored(struct collect *c, struct err *err)
{
	struct store_source row;
	int64_t version;

	if (store_data_version(c->store, &version, err) == -1 ||
	    version == c->db_version)
		return false;
	c->db_version = version;
	for (size_t i = 0; i < c->n_feeds; i++) {
		const struct feed *f = c->feed[i];
		int found = f->saved_at == 0
		    ? -1
		    : store_source_find(c->store, f->cfg.name, &row, err);

		if (found == 0 || (found == 1 && row.read_at < f->saved_at))
			return true;
	}
	return false;
}

/* One transaction holds the logins, how far their sources are read, and the
 * pairs that two-line servers have opened. Any source may have opened a pair,
 * so a changed pair saves them all. */
static int
commit(struct collect *c, bool all, struct err *err)
{
	bool pairs = pair_store_changes(c->judge) != c->pairs_saved;

	assert(c->store != NULL);
	if (store_begin(c->store, err) == -1)
		return -1;
	if (was_restored(c, err)) {
		err_set(err, ERR_IO, "%s: was replaced by an older copy",
		    c->cfg->logins.database);
		c->db_ino = 0; /* meet it like another file */
		goto fail;
	}
	if (batch_store(c->batch, c->store, err) == -1 ||
	    (pairs && pair_store_save(c->judge, c->store, err) == -1))
		goto fail;
	for (size_t i = 0; i < c->n_feeds; i++) {
		struct feed *f = c->feed[i];

		if (f->source != NULL && (all || pairs || f->contributed) &&
		    feed_save(f, err) == -1)
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
	c->retry_ms = clock_monotonic_ms() + STATE_RETRY_MS;
	if (state_complain(&c->store_complaint))
		state_note(c, LOG_ERR, "%s: trying again; %zu logins wait",
		    err->text, batch_count(c->batch));
	/* a lock goes away; any other failure needs a fresh handle */
	if (err->code != ERR_BUSY)
		store_close(&c->store);
}

int
commit_flush(struct collect *c, bool all, struct err *err)
{
	if (commit(c, all, err) == -1) {
		store_failed(c, err);
		return -1;
	}
	if (c->store_complaint.active)
		state_note(c, LOG_NOTICE, "%s: works again, %zu logins written",
		    c->cfg->logins.database, batch_count(c->batch));
	c->store_complaint.active = false;
	c->retry_ms = 0;
	batch_clear(c->batch);
	c->pairs_saved = pair_store_changes(c->judge);
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

/* A row of a source that isn't configured. */
struct leftover {
	const struct collect *c;
	char name[512]; /* "" none */
};

/* The stream of other machines, whose row share.c keeps. */
static bool
is_required_stream(const struct config *cfg, const char *name)
{
	return cfg->share.required && cfg->share.servers.n > 0 &&
	    strncmp(name, "share:", 6) == 0 &&
	    strcmp(name + 6, cfg->share.stream) == 0;
}

static bool
find_leftover(void *arg, const struct store_source *src)
{
	struct leftover *l = arg;

	if (state_feed(l->c, src->name) != NULL ||
	    is_required_stream(l->c->cfg, src->name))
		return true;
	(void)snprintf(l->name, sizeof(l->name), "%s", src->name);
	return false;
}

static int
delete_leftovers(struct collect *c, struct err *err)
{
	struct leftover left = { .c = c };

	for (;;) {
		left.name[0] = '\0';
		if (store_each_source(c->store, find_leftover, &left, err) ==
		    -1)
			return -1;
		if (left.name[0] == '\0')
			return 0;
		if (store_source_delete(c->store, left.name, err) == -1 ||
		    store_count_delete(c->store, left.name, err) == -1)
			return -1;
	}
}

static int
settle_source(struct collect *c, const char *name, struct err *err)
{
	struct store_source row = { 0 };
	int found = store_source_find(c->store, name, &row, err);

	if (found != 0)
		return found == 1 ? 0 : -1;
	(void)snprintf(row.name, sizeof(row.name), "%s", name);
	return store_source_save(c->store, &row, err);
}

/* Sessions that were followed under another configuration count by this one. */
static int
settle_sessions(struct collect *c, struct err *err)
{
	return c->cfg->logins.sessions
	    ? store_sessions_limit(c->store, c->cfg->logins.session_max_s, err)
	    : store_sessions_end(c->store, NULL, err);
}

/* Give each configured source its row, and a stream that is required, and
 * delete the rows of others: a row that nobody updates would make policy row 12
 * match for ever, and a missing one never makes it match. */
static int
settle_sources(struct collect *c, struct err *err)
{
	char stream[80];

	if (delete_leftovers(c, err) == -1 || settle_sessions(c, err) == -1)
		return -1;
	for (size_t i = 0; i < c->n_feeds; i++)
		if (settle_source(c, c->feed[i]->cfg.name, err) == -1)
			return -1;
	(void)snprintf(
	    stream, sizeof(stream), "share:%s", c->cfg->share.stream);
	return is_required_stream(c->cfg, stream)
	    ? settle_source(c, stream, err)
	    : 0;
}

/* Two collectors on one database would count every login twice. The lock is on
 * a file of its own: SQLite's locks on the database are lost when this process
 * closes any other handle of it. */
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
		err_set(err, ERR_IO,
		    errno == EACCES
			? "%s: %s: uid %ld must be able to write into this directory"
			: "%s: %s",
		    path, strerror(errno), (long)geteuid());
		return -1;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) == -1) {
		err_set(err, ERR_BUSY,
		    "%s: another popgate-collector is at work",
		    c->cfg->logins.database);
		(void)close(fd);
		return -1;
	}
	c->lock = fd;
	return 0;
}

/* Merge the words file: a login table that was lost and made anew, or restored,
 * lacks the deletions and denials that an admin has made since. */
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
		/* unreadable: the login table knows these deletions, unless it
		 * is the one that was lost */
		state_note(c, LOG_ERR,
		    "%s: if the login table was lost or restored, deletions and denials that an admin made before are not in force: repeat them",
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
		state_note(c, LOG_NOTICE,
		    "%s: %d deletions and denials by an admin, which it didn't know, hold again",
		    c->cfg->logins.database, n);
	return 0;
}

/* Another file than before knows nothing of what we have read: take over what
 * it knows, and read again from where it says. */
static int
meet_database(struct collect *c, struct err *err)
{
	assert(c->store != NULL && c->lock != -1);
	if (take_words(c, err) == -1 ||
	    pair_store_load(c->judge, c->store, err) == -1)
		return -1;
	c->pairs_saved = PAIRS_UNSAVED;
	for (size_t i = 0; i < c->n_feeds; i++) {
		c->feed[i]->saved_at = 0;
		if (c->feed[i]->direct)
			continue;
		batch_drop(c->batch, c->feed[i]->cfg.name);
		source_close(&c->feed[i]->source);
	}
	return 0;
}

static int
open_store(struct collect *c, struct err *err)
{
	struct stat st;

	assert(c->store == NULL);
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
	if (((st.st_ino != c->db_ino || st.st_dev != c->db_dev) &&
		meet_database(c, err) == -1) ||
	    store_data_version(c->store, &c->db_version, err) == -1) {
		store_close(&c->store);
		return -1;
	}
	c->db_ino = st.st_ino;
	c->db_dev = st.st_dev;
	c->db_missing_ms = 0;
	return 0;
}

int
commit_open(struct collect *c, struct err *err)
{
	if ((c->store == NULL && open_store(c, err) == -1) ||
	    store_begin(c->store, err) == -1)
		goto fail;
	if (settle_sources(c, err) == -1 || store_commit(c->store, err) == -1) {
		store_rollback(c->store);
		goto fail;
	}
	assert(c->store != NULL && c->lock != -1);
	/* retry_ms of an earlier failure stays, and so does its complaint: only
	 * commit_flush() shows that there is room on the disk */
	return 0;
fail:
	c->retry_ms = clock_monotonic_ms() + STATE_RETRY_MS;
	store_close(&c->store);
	return -1;
}

/* Rows written into a file that was deleted or replaced are never read. A
 * missing file may be about to come back from a backup, and a new one made
 * meanwhile would be in its way: so a new one is only made after a while. */
void
commit_watch(struct collect *c)
{
	const char *path = c->cfg->logins.database;
	int64_t ms = clock_monotonic_ms();
	struct stat st;

	assert(c->store != NULL);
	if (stat(path, &st) == 0 && st.st_ino == c->db_ino &&
	    st.st_dev == c->db_dev) {
		c->db_missing_ms = 0;
		return;
	}
	if (stat(path, &st) == -1) {
		if (c->db_missing_ms == 0) {
			c->db_missing_ms = ms;
			state_note(c, LOG_ERR,
			    "%s: %s: the login table is gone: in a minute it is made anew, and the logs are read again",
			    path, strerror(errno));
		}
		if (ms - c->db_missing_ms < MISSING_MS)
			return;
	}
	state_note(c, LOG_WARNING,
	    "%s: was replaced: reading the logs again as far back as logins count",
	    path);
	store_close(&c->store);
}

int
commit_cap_future(struct collect *c, struct err *err)
{
	int n;

	/* the batch may hold some, too */
	if (commit_flush(c, true, err) == -1)
		return -1;
	if (store_begin(c->store, err) == -1 ||
	    (n = store_cap_future(c->store, c->now, c->now + LOGIN_FUTURE_S,
		 c->cfg->logins.window_s, err)) == -1 ||
	    store_commit(c->store, err) == -1) {
		store_rollback(c->store);
		store_failed(c, err);
		return -1;
	}
	if (n > 0)
		state_note(c, LOG_WARNING,
		    "the clock was set back: %d logins of its future are counted as of now",
		    n);
	return 0;
}

void
commit_tidy(struct collect *c)
{
	int64_t cutoff = c->now - c->cfg->logins.keep_s;
	struct err err;

	assert(c->store != NULL);
	if (clock_monotonic_ms() - c->tidy_ms < TIDY_MS)
		return;
	c->tidy_ms = clock_monotonic_ms();
	if (store_begin(c->store, &err) == -1 ||
	    store_expire(c->store, cutoff, TIDY_ROWS, c->expire_cursor, &err) ==
		-1 ||
	    store_sessions_expire(c->store, c->now, TIDY_ROWS, &err) == -1 ||
	    store_prune_events(c->store, cutoff, TIDY_ROWS, &err) == -1 ||
	    store_commit(c->store, &err) == -1) {
		store_rollback(c->store);
		store_failed(c, &err);
	}
}
