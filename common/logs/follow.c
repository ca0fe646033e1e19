/* SPDX-License-Identifier: ISC */
#include "common/logs/follow.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/logs/choose.h"
#include "common/logs/follow_state.h"
#include "common/logs/generations.h"
#include "common/logs/late.h"

enum {
	WATCH_DIRECTORY = IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE |
	    IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR,
	WATCH_FILE = IN_MODIFY
};

/* --- where we stand --- */

static void
remember(struct follow *f)
{
	for (int i = PREVS; i-- > 0;)
		if (f->prev[i].file.fd != -1)
			contents_put(&f->known, &f->prev[i].file);
	if (f->cur.fd == -1)
		return;
	contents_put(&f->known, &f->cur);
	f->at = content_of(&f->cur);
}

void
follow_place(struct follow *f, struct mark *mark)
{
	bool open = f->cur.fd != -1;

	mark->device = open ? f->cur.dev : f->at.dev;
	mark->inode = open ? f->cur.ino : f->at.ino;
	mark->position = open ? f->cur.lines.mark : f->at.position;
}

void
follow_mark(struct follow *f, struct mark *mark)
{
	remember(f);
	follow_place(f, mark);
	contents_format(
	    &f->known, &f->at, mark->fingerprint, sizeof(mark->fingerprint));
}

/* --- watching --- */

/* Without a watch we still look every second. */
static int
watch(struct follow *f, const char *path, uint32_t events)
{
	int wd = inotify_add_watch(f->inotify, path, events);

	if (wd == -1 && errno == ENOSPC && !f->blind) {
		f->blind = true;
		follow_note(f,
		    "%s: inotify: no more watches (fs.inotify.max_user_watches): looking once a second",
		    f->path);
	}
	return wd;
}

static int
watch_file(struct follow *f, const struct logfile *file)
{
	char path[32];

	assert(file->fd != -1);
	/* by its descriptor: the path may already be another file */
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", file->fd);
	return watch(f, path, WATCH_FILE);
}

/* Again and again, since a directory may go and come back; the kernel gives
 * the same watch for the same directory. */
static void
watch_directories(struct follow *f)
{
	int64_t now = clock_monotonic_ms();
	char real[PATH_MAX];

	if (f->watched_ms != 0 && now - f->watched_ms < 500)
		return;
	f->watched_ms = now;
	(void)watch(f, f->dir, WATCH_DIRECTORY);
	if (realpath(f->path, real) != NULL)
		(void)watch(f, dirname(real), WATCH_DIRECTORY);
}

static void
drain_events(const struct follow *f)
{
	char buf[4096];

	while (read(f->inotify, buf, sizeof(buf)) > 0)
		;
}

static void
close_file(const struct follow *f, struct logfile *file, int *watch)
{
	if (file->fd == -1)
		return;
	if (*watch != -1)
		(void)inotify_rm_watch(f->inotify, *watch);
	*watch = -1;
	logfile_close(file);
}

int
follow_fd(const struct follow *f)
{
	return f->inotify;
}

int
follow_open(
    const struct follow_options *options, struct follow **f_r, struct err *err)
{
	struct follow *f = calloc(1, sizeof(*f));
	char dir[PATH_MAX];

	assert(options->path != NULL);
	*f_r = NULL;
	if (f == NULL)
		goto nomem;
	f->cur.fd = f->inotify = f->cur_watch = -1;
	for (int i = 0; i < PREVS; i++)
		f->prev[i].file.fd = f->prev[i].watch = -1;
	f->note = options->note;
	f->note_arg = options->note_arg;
	(void)snprintf(dir, sizeof(dir), "%s", options->path);
	f->path = strdup(options->path);
	f->dir = strdup(dirname(dir));
	f->rotated = options->rotated == NULL ? NULL : strdup(options->rotated);
	if (f->path == NULL || f->dir == NULL ||
	    (options->rotated != NULL && f->rotated == NULL))
		goto nomem;
	f->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (f->inotify == -1) {
		err_set(
		    err, ERR_IO, "%s: inotify: %s", f->path, strerror(errno));
		goto fail;
	}
	/* a mark that we can't read is as good as none */
	if (options->mark == NULL ||
	    !contents_parse(&f->known, &f->at, options->mark->position,
		options->mark->fingerprint))
		f->known.horizon_ns = options->since * 1000000000;
	*f_r = f;
	return 0;
nomem:
	err_set(err, ERR_NOMEM, "out of memory");
fail:
	follow_close(&f);
	return -1;
}

void
follow_close(struct follow **f)
{
	if (*f == NULL)
		return;
	logfile_close(&(*f)->cur);
	for (int i = 0; i < PREVS; i++)
		logfile_close(&(*f)->prev[i].file);
	if ((*f)->inotify != -1)
		(void)close((*f)->inotify);
	free((*f)->path);
	free((*f)->dir);
	free((*f)->rotated);
	free(*f);
	*f = NULL;
}

/* --- from file to file --- */

static void
drop_prev(struct follow *f, int i)
{
	assert(i >= 0 && i < PREVS);
	if (f->prev[i].file.fd == -1)
		return;
	contents_put(&f->known, &f->prev[i].file);
	close_file(f, &f->prev[i].file, &f->prev[i].watch);
}

static void
take_found(struct follow *f, const struct generations *g, struct found *found)
{
	assert(found->i >= 0 && found->file.fd != -1);
	/* one reader of a file is enough */
	for (int i = 0; i < PREVS; i++)
		if (generations_is(&g->v[found->i], &f->prev[i].file))
			drop_prev(f, i);
	f->cur = found->file;
	f->cur_watch = watch_file(f, &f->cur);
	f->unproven = found->reading.position == 0 && g->v[found->i].live;
	f->shadow = found->reading.position > 0 && !found->reading.exact;
}

static void
take_prev(struct follow *f, const struct logfile *file)
{
	int last = 0;

	assert(file->fd != -1);
	while (last < PREVS - 1 && f->prev[last].file.fd != -1)
		last++;
	drop_prev(f, last);
	memmove(&f->prev[1], &f->prev[0], (size_t)last * sizeof(f->prev[0]));
	f->prev[0].file = *file;
	f->prev[0].watch = watch_file(f, file);
	f->prev[0].until = clock_monotonic_ms() + FOLLOW_LINGER_MS;
}

/* Lines may still be added to the file before the live one. */
static void
open_before(struct follow *f, const struct generations *g, size_t live)
{
	assert(live < g->n);
	for (size_t i = live; i-- > 0;) {
		const struct generation *gen = &g->v[i];
		struct logfile file;
		struct reading r;

		if (gen->packed || generations_is(gen, &f->cur) ||
		    !generations_not_before(gen, f->known.horizon_ns))
			continue;
		/* half a copy gets nothing but what we know */
		if (choose_look(f, gen, &r, NULL) == -1 || r.position == 0 ||
		    !r.exact)
			continue;
		if (logfile_open(&file, gen->path, r.position, NULL) != 1)
			return;
		file.trail = r.trail;
		if (generations_is(gen, &file) &&
		    choose_as_looked_at(&file, &r))
			take_prev(f, &file);
		else
			logfile_close(&file);
		return;
	}
}

static void
note_place(const struct follow *f, const char *path, const struct found *found)
{
	const struct reading *r = &found->reading;

	if (r->position > 0 && !r->exact)
		follow_note(f,
		    "%s: is shorter than what was read of it, or goes on otherwise (%" PRId64
		    " bytes): going on at byte %" PRId64,
		    path, r->was, r->position);
	else if (r->position > 0 && r->position != r->was)
		follow_note(f,
		    "%s: was rewritten: going on at byte %" PRId64
		    ", behind the line that was read last",
		    path, r->position);
}

/* No cur is open: find where we were. Returns 1 with cur open, 0 when there
 * is no file, or -1. */
static int
locate(struct follow *f, struct err *err)
{
	struct generations g;
	struct found found;

	assert(f->cur.fd == -1);

	remember(f);
	int ret = choose_search(f, &g, &found, err);

	if (ret != 1)
		goto out;
	const char *path = g.v[found.i].path;

	note_place(f, path, &found);
	if (f->at.head.n > 0 && !choose_last_is_there(f, &g))
		follow_note(f,
		    "%s: the file that was read last is gone: going on with %s",
		    f->path, path);
	take_found(f, &g, &found);
	if (f->prev[0].file.fd == -1 && g.v[found.i].live)
		open_before(f, &g, (size_t)found.i);
	remember(f);
out:
	generations_release(&g);
	return ret;
}

/* Find where to go on in a log that was cut, and may have got lines since. */
static int
cut(struct follow *f, struct err *err)
{
	int64_t size = logfile_size(&f->cur);
	struct content old = content_of(&f->cur);
	struct reading r = { 0 };
	char path[32];

	if (size == -1) {
		err_set(err, ERR_IO, "%s: %s", f->path, strerror(errno));
		return -1;
	}
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", f->cur.fd);
	const struct generation g = {
		.path = path,
		.dev = f->cur.dev,
		.ino = f->cur.ino,
		.size = size,
		.live = true,
	};

	if (contents_look(&f->known, &g, NULL, 0, &r, err) == -1)
		return -1;
	if (r.position == 0 || r.position > old.position)
		r = (struct reading){ .position = size };
	follow_note(f,
	    "%s: was cut to %" PRId64 " bytes: going on at byte %" PRId64,
	    f->path, size, r.position);
	if (logfile_move(&f->cur, r.position) == -1) {
		err_set(err, ERR_IO, "%s: %s", f->path, strerror(errno));
		return -1;
	}
	f->cur.trail = r.trail;
	f->at = content_of(&f->cur);
	return 1;
}

/* cur was cut off or written anew in place. Find the copy that holds what we
 * have not read yet; without one, begin again. */
static int
truncated(struct follow *f, struct err *err)
{
	assert(f->cur.fd != -1);
	if (!f->unproven && f->cur.head_n > 0 && logfile_head_same(&f->cur)) {
		remember(f);
		return cut(f, err);
	}
	/* one of these may be the copy: all are looked at anew */
	for (int i = PREVS; i-- > 0;)
		drop_prev(f, i);
	remember(f);
	if (!f->unproven)
		follow_note(f, "%s: truncated", f->path);
	close_file(f, &f->cur, &f->cur_watch);
	return locate(f, err);
}

static bool
has_more(const struct logfile *file)
{
	return file->fd != -1 && file->packed == NULL &&
	    logfile_size(file) > lines_read_offset(&file->lines);
}

/* Has a file that is open got lines since it was at its end? They may stand in
 * what a packer has just made of it, too. */
static bool
open_have_more(const struct follow *f)
{
	for (int i = 0; i < PREVS; i++)
		if (has_more(&f->prev[i].file))
			return true;
	return has_more(&f->cur);
}

/* cur has ended and is not the live file any more: take the next one, and
 * keep an eye on cur. Returns 1, 0 when there is none yet, or -1. */
static int
advance(struct follow *f, struct err *err)
{
	struct generations g;
	struct found found;

	assert(f->cur.fd != -1);

	remember(f);
	int ret = choose_search(f, &g, &found, err);

	if (ret != 1)
		goto out;
	/* cur may have been truncated meanwhile, and found anew at the path */
	if (logfile_changed(&f->cur)) {
		logfile_close(&found.file);
		ret = truncated(f, err);
		goto out;
	}
	if (found.file.packed != NULL && open_have_more(f)) {
		logfile_close(&found.file);
		goto out;
	}
	struct logfile old = f->cur;
	int old_watch = f->cur_watch;

	if (g.v[found.i].live && choose_is_last(f, &found.reading))
		follow_note(f,
		    "%s: is another file, with what was read of the last one in it: going on at byte %" PRId64,
		    f->path, found.reading.position);
	else
		follow_note(f, "%s: rotated, going on with %s", f->path,
		    g.v[found.i].path);
	note_place(f, g.v[found.i].path, &found);
	take_found(f, &g, &found);
	if (old.packed != NULL) {
		close_file(f, &old, &old_watch);
	} else {
		if (old_watch != -1)
			(void)inotify_rm_watch(f->inotify, old_watch);
		take_prev(f, &old);
	}
	remember(f);
out:
	generations_release(&g);
	return ret;
}

/* --- reading --- */

/* Lines that are in the buffer already. False: fn wants no more. */
static bool
give_lines(struct logfile *file, line_fn *fn, void *arg)
{
	struct line line;

	while (lines_next(&file->lines, &line)) {
		trail_push(&file->trail, &line, file->lines.mark);
		if (!fn(arg, &line))
			return false;
	}
	return true;
}

/* Read file to its end. Returns an enum logfile_state, or -1; LOGFILE_DATA
 * means that the budget is used up or fn wants no more. */
static int
read_file(struct logfile *file, size_t *budget, line_fn *fn, void *arg,
    struct err *err)
{
	for (;;) {
		/* first what an earlier call left in the buffer */
		if (!give_lines(file, fn, arg) || *budget == 0)
			return LOGFILE_DATA;
		int64_t from = lines_read_offset(&file->lines);
		int state = logfile_fill(file, err);

		if (state != LOGFILE_DATA)
			return state;
		size_t n = (size_t)(lines_read_offset(&file->lines) - from);

		*budget -= n < *budget ? n : *budget;
	}
}

/* Returns LOGFILE_END, LOGFILE_DATA as read_file() does, or LOGFILE_CHANGED:
 * cur was. */
static int
read_prev(struct follow *f, int i, size_t *budget, line_fn *fn, void *arg)
{
	struct late late = { .f = f, .i = i, .fn = fn, .arg = arg };
	struct stat st;

	assert(i >= 0 && i < PREVS);
	struct prev *prev = &f->prev[i];

	if (prev->file.fd == -1)
		return LOGFILE_END;
	int state = read_file(&prev->file, budget, late_line, &late, NULL);

	if (late.changed)
		return LOGFILE_CHANGED;
	if (late.waits)
		return LOGFILE_END;
	if (state == LOGFILE_DATA)
		return state;
	/* deleted and nobody writes: let its disk space go */
	bool gone = fstat(prev->file.fd, &st) == -1 ||
	    (st.st_nlink == 0 && clock_now() - st.st_mtim.tv_sec > 10);

	if (state != LOGFILE_END || gone || clock_monotonic_ms() > prev->until)
		drop_prev(f, i);
	return LOGFILE_END;
}

/* The oldest first. */
static int
read_prevs(struct follow *f, size_t *budget, line_fn *fn, void *arg)
{
	int state = LOGFILE_END;

	for (int i = PREVS; state == LOGFILE_END && i-- > 0;)
		state = read_prev(f, i, budget, fn, arg);
	return state;
}

static int
read_cur(
    struct follow *f, size_t *budget, line_fn *fn, void *arg, struct err *err)
{
	struct late late = { .f = f, .fn = fn, .arg = arg };

	return f->shadow
	    ? read_file(&f->cur, budget, late_shadow_line, &late, err)
	    : read_file(&f->cur, budget, fn, arg, err);
}

/* Normal right after a rotation; else a path that is wrong, or a server that
 * has never logged. */
static void
note_missing(struct follow *f, bool rotated)
{
	if (!f->missing && rotated)
		follow_note(
		    f, "%s: no such file: waiting for a new one", f->path);
	else if (!f->missing)
		follow_say(f, LOG_WARNING,
		    "%s: no such file: until it is there, what it says is not known, and clients without a login are put off: is this path of collector.sources right?",
		    f->path);
	f->missing = true;
}

/* A path that may not be looked at. Returns -1. */
static int
closed(const struct follow *f, struct err *err)
{
	err_set(err, ERR_IO,
	    errno == EACCES
		? "%s: %s: a directory of this path is closed to uid %ld"
		: "%s: %s",
	    f->path, strerror(errno), (long)geteuid());
	return -1;
}

/* Between opening the live file and reading its first bytes, these may have
 * been moved into a copy, and others have come. Once they are in our buffer,
 * nothing that we haven't read may stand in any other file.
 * Returns LOGFILE_DATA, LOGFILE_END, LOGFILE_CHANGED or -1. */
static int
prove(struct follow *f, struct err *err)
{
	struct generations g;
	assert(f->cur.fd != -1 && f->unproven);
	int ret = logfile_fill(&f->cur, err);

	if (ret != LOGFILE_DATA)
		return ret;
	struct found found = { .i = -1 };

	remember(f);
	if (generations_list(f->path, f->rotated, &g, err) == -1 ||
	    choose(f, &g, &found, err) == -1) {
		ret = -1;
	} else {
		if ((found.i != -1 && !g.v[found.i].live) ||
		    !generations_unchanged(f->path, f->rotated, &g))
			ret = LOGFILE_CHANGED;
		/* it was empty for a moment, and got what it had before */
		else if (found.i != -1 && found.reading.position > 0) {
			note_place(f, f->path, &found);
			if (logfile_move(&f->cur, found.reading.position) ==
			    0) {
				f->cur.trail = found.reading.trail;
				f->shadow = !found.reading.exact;
			} else {
				ret = LOGFILE_CHANGED;
			}
		}
	}
	generations_release(&g);
	/* what is in the buffer would be given out otherwise */
	if (ret == -1)
		(void)logfile_move(&f->cur, 0);
	f->unproven = ret != LOGFILE_DATA;
	return ret;
}

/* Is the file at the path cur, as cur is? Its size tells of a file system that
 * shows another file by the same number (an overlay, once the log is written).
 */
static bool
is_cur(const struct follow *f, const struct stat *st)
{
	return st->st_ino == f->cur.ino && st->st_dev == f->cur.dev &&
	    (f->cur.packed != NULL || st->st_size <= logfile_size(&f->cur));
}

/* cur is at its end: find the next file. 1 go on, 0 nothing, -1 error. */
static int
at_end(struct follow *f, struct err *err)
{
	struct stat st;

	assert(f->cur.fd != -1);
	if (stat(f->path, &st) == 0) {
		f->missing = false;
		if (is_cur(f, &st)) {
			f->behind = false;
			return 0;
		}
	} else if (errno != ENOENT && errno != ENOTDIR) {
		return closed(f, err);
	} else {
		note_missing(f, true);
	}
	choose_cur_done(f);
	int ret = advance(f, err);

	/* there is a file at the path, and it isn't the one that is read */
	f->behind = ret == 0 && !f->missing;
	return ret;
}

static int
find_file(struct follow *f, struct err *err)
{
	int ret = locate(f, err);
	struct stat st;

	if (ret == 0 && stat(f->path, &st) == -1 && errno != ENOENT &&
	    errno != ENOTDIR)
		return closed(f, err);
	if (ret == 0)
		note_missing(f, false);
	if (ret == 1)
		f->missing = false;
	return ret;
}

int
follow_read(
    struct follow *f, size_t budget, line_fn *fn, void *arg, struct err *err)
{
	/* files passed through at most, lest one that is replaced all the
	 * time keeps us from everything else */
	enum { TURNS = 1000 };

	assert(budget > 0);
	drain_events(f);
	watch_directories(f);
	for (int turn = 0; turn < TURNS; turn++) {
		int ret;

		if (f->cur.fd == -1 && (ret = find_file(f, err)) != 1)
			return ret == 0 ? FOLLOW_MISSING : -1;
		int state = read_prevs(f, &budget, fn, arg);

		if (state == LOGFILE_DATA)
			return FOLLOW_MORE;
		if (state == LOGFILE_END)
			state = f->unproven ? prove(f, err) : LOGFILE_DATA;

		if (state == LOGFILE_DATA)
			state = read_cur(f, &budget, fn, arg, err);
		switch (state) {
		case LOGFILE_DATA:
			return FOLLOW_MORE;
		case LOGFILE_END:
			ret = at_end(f, err);
			break;
		case LOGFILE_CHANGED:
			ret = truncated(f, err);
			break;
		default:
			if (err->code != ERR_CORRUPT && ++f->vain < VAIN_MAX)
				return -1;
			if (f->cur.packed == NULL)
				return -1;
			/* what is damaged stays so: don't let it stand in
			 * the way of what is behind it */
			follow_note(
			    f, "%s: %s: left out the rest", f->path, err->text);
			ret = at_end(f, err);
			break;
		}
		if (ret == 0)
			return f->behind ? FOLLOW_MISSING : FOLLOW_END;
		if (ret == -1)
			return -1;
	}
	return FOLLOW_MORE;
}
