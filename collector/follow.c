#include "follow.h"

#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "generations.h"
#include "logfile.h"

enum {
	WATCH_DIRECTORY = IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE |
	    IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR,
	WATCH_FILE = IN_MODIFY
};

/* A file by its looks, and how far it is read. */
struct place {
	struct print print;
	int64_t position;
	int64_t mtime_ns; /* when we looked last */
	bool whole; /* nothing was behind position then */
};

struct follow {
	char *path;
	char *dir; /* of path */
	char *rotated; /* or NULL */
	int64_t since;
	bool first; /* no mark of an earlier run */
	bool missing; /* it has been noted */
	bool blind; /* that inotify gives us nothing has been */
	int inotify;
	int64_t watched_ms; /* when the directories were, monotonic */

	struct logfile cur; /* being read; fd -1: none found yet */
	int cur_watch;
	bool unproven; /* cur may not be the next behind before */
	struct logfile prev; /* read before it, may still get lines */
	int prev_watch;
	int64_t prev_until; /* monotonic ms */

	/* Where reading stood when cur was last open; and the newest file
	 * before cur of which anything was read, open as prev or not. */
	struct place at, before;
	uint64_t at_inode;

	void (*note)(void *arg, const char *text);
	void *note_arg;
};

static void note(const struct follow *f, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void
note(const struct follow *f, const char *fmt, ...)
{
	char text[PATH_MAX + 256];
	va_list ap;

	if (f->note == NULL)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	f->note(f->note_arg, text);
}

/* --- where we stand --- */

static struct place
place_of(const struct logfile *file)
{
	return (struct place){ logfile_print(file), file->lines.mark,
		file->mtime_ns, file->whole };
}

static void
remember(struct follow *f)
{
	if (f->prev.fd != -1 && logfile_print(&f->prev).n > 0)
		f->before = place_of(&f->prev);
	if (f->cur.fd == -1)
		return;
	f->at = place_of(&f->cur);
	f->at_inode = f->cur.ino;
}

void
follow_mark(const struct follow *f, struct mark *mark)
{
	struct follow now = *f;

	remember(&now);
	mark->inode = now.at_inode;
	mark->position = now.at.position;
	int n = snprintf(mark->fingerprint, sizeof(mark->fingerprint),
	    "%zu:%016" PRIx64 " %" PRId64, now.at.print.n, now.at.print.hash,
	    now.at.mtime_ns);

	if (now.before.print.n > 0)
		(void)snprintf(mark->fingerprint + n,
		    sizeof(mark->fingerprint) - (size_t)n,
		    " %zu:%016" PRIx64 " %" PRId64 " %" PRId64 " %d",
		    now.before.print.n, now.before.print.hash,
		    now.before.position, now.before.mtime_ns, now.before.whole);
}

/* A mark that we can't read is as good as none. */
static bool
parse_mark(struct follow *f, const struct mark *mark)
{
	struct place at = { .position = mark->position };
	struct place before = { 0 };
	int whole = 0;
	int n = sscanf(mark->fingerprint,
	    "%zu:%" SCNx64 " %" SCNd64 " %zu:%" SCNx64 " %" SCNd64 " %" SCNd64
	    " %d",
	    &at.print.n, &at.print.hash, &at.mtime_ns, &before.print.n,
	    &before.print.hash, &before.position, &before.mtime_ns, &whole);

	before.whole = whole == 1;
	if ((n != 3 && n != 8) || at.position < 0 || before.position < 0 ||
	    at.print.n > LOGFILE_HEAD || before.print.n > LOGFILE_HEAD ||
	    (int64_t)at.print.n > at.position)
		return false;
	f->at = at;
	f->before = before;
	f->at_inode = mark->inode;
	return true;
}

/* --- watching --- */

/* Without a watch we still look every second. */
static int
watch(struct follow *f, const char *path, uint32_t events)
{
	int wd = inotify_add_watch(f->inotify, path, events);

	if (wd == -1 && errno == ENOSPC && !f->blind) {
		f->blind = true;
		note(f,
		    "%s: inotify: no more watches "
		    "(fs.inotify.max_user_watches): looking once a second",
		    f->path);
	}
	return wd;
}

static int
watch_file(struct follow *f, const struct logfile *file)
{
	char path[32];

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

	*f_r = NULL;
	if (f == NULL)
		goto nomem;
	f->cur.fd = f->prev.fd = f->inotify = -1;
	f->cur_watch = f->prev_watch = -1;
	f->since = options->since;
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
	f->first = options->mark == NULL || !parse_mark(f, options->mark);
	if (f->first)
		f->at.mtime_ns = f->since * 1000000000 - 1;
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
	logfile_close(&(*f)->prev);
	if ((*f)->inotify != -1)
		(void)close((*f)->inotify);
	free((*f)->path);
	free((*f)->dir);
	free((*f)->rotated);
	free(*f);
	*f = NULL;
}

/* --- which file --- */

/* What is to be read next, and how it was found. */
struct found {
	ptrdiff_t i; /* of the generations; -1: nothing */
	int64_t position; /* where to begin */
	enum { FOUND, FOUND_SHORTER, FOUND_OTHER } how;
	struct logfile file; /* open, or fd -1 */
	struct logfile before; /* may still get lines: open, or fd -1 */
};

typedef void choose_fn(
    const struct follow *f, const struct generations *g, struct found *found);

/* The first file that changed after the newest that we know of: what was
 * not there, or not written, when we read last. None: the live one. */
static ptrdiff_t
first_after(
    const struct generations *g, int64_t mtime_ns, const struct print *known)
{
	for (size_t i = 0; i < g->n; i++)
		if (g->v[i].live ||
		    (g->v[i].mtime_ns > mtime_ns &&
			!print_matches(g->v[i].path, known)))
			return (ptrdiff_t)i;
	return -1;
}

static ptrdiff_t
find_place(const struct generations *g, const struct place *place)
{
	return generations_find(
	    g, &place->print, place->position, place->mtime_ns);
}

/* Where to go on, when nothing of the file at f->at had been read. */
static void
choose_unread(
    const struct follow *f, const struct generations *g, struct found *found)
{
	ptrdiff_t i = find_place(g, &f->before);

	if (i == -1) {
		found->i = first_after(g, f->at.mtime_ns, &f->before.print);
	} else if ((size_t)i + 1 < g->n) {
		found->i = i + 1;
	} else {
		/* the predecessor itself is the newest that there is, for it
		 * was copied back, or its successor is gone */
		found->i = i;
		found->position = f->before.position;
	}
}

/* Find the file in which an earlier run, or an earlier look, has ended. */
static void
choose_known(
    const struct follow *f, const struct generations *g, struct found *found)
{
	found->i = find_place(g, &f->at);
	found->position = f->at.position;
	if (found->i != -1)
		return;
	/* the same head, but shorter: a crash took the end of the file, or
	 * somebody cut it. What is there has been read. */
	found->i = generations_find(g, &f->at.print, 0, f->at.mtime_ns);
	if (found->i != -1) {
		found->position = g->v[found->i].size;
		found->how = FOUND_SHORTER;
		return;
	}
	found->i = first_after(g, f->at.mtime_ns, &f->before.print);
	found->position = 0;
	found->how = FOUND_OTHER;
}

/* A copy that was made of a log, by copytruncate or for safety, is followed
 * by the log itself, as long as that is not truncated: what was read of the
 * one has been read of the other. Returns how much of g; 0 for other files. */
static int64_t
read_already(const struct follow *f, const struct generation *g)
{
	struct print print = logfile_print(&f->cur);
	int64_t position = f->cur.lines.mark;

	if (!print_matches(g->path, &print))
		return 0;
	return g->packed || g->size > position ? position : g->size;
}

/* The file behind cur. */
static void
choose_next(
    const struct follow *f, const struct generations *g, struct found *found)
{
	const struct place cur = place_of(&f->cur);
	ptrdiff_t i = generations_find_inode(g, f->cur.dev, f->cur.ino);

	if (i == -1)
		i = find_place(g, &cur);
	if (i == -1)
		found->i = first_after(g, f->cur.mtime_ns, &f->before.print);
	else if ((size_t)i + 1 < g->n)
		found->i = i + 1;
	if (found->i != -1)
		found->position = read_already(f, &g->v[found->i]);
}

/* An old file that can't be read (rotation may give it to root) is left out:
 * it must not stand in the way of the live log.
 * Returns 1, 0 when the file has just gone, or -1. */
static int
open_found(const struct follow *f, const struct generations *g,
    struct found *found, struct err *err)
{
	int ret = logfile_open(
	    &found->file, g->v[found->i].path, found->position, err);

	while (
	    ret == -1 && !g->v[found->i].live && (size_t)found->i + 1 < g->n) {
		note(f, "%s: left out", err->text);
		found->i++;
		found->position = 0;
		ret = logfile_open(&found->file, g->v[found->i].path, 0, err);
	}
	return ret;
}

/* Is the packed file as it was when it had been read to its end? Unpacking it
 * to see would take time at every start. Packers keep the time stamp of the
 * file, but not all keep the fractions of its second. */
static bool
packed_unchanged(const struct generation *g, const struct place *place)
{
	int64_t unit = g->mtime_ns % 1000000000 == 0 ? 1000000000
	    : g->mtime_ns % 1000 == 0                ? 1000
						     : 1;

	return g->packed && place->whole &&
	    g->mtime_ns / unit == place->mtime_ns / unit;
}

/* Lines may have been added to the file before, or still be. */
static void
open_before(
    const struct follow *f, const struct generations *g, struct found *found)
{
	ptrdiff_t i = find_place(g, &f->before);

	if (i == -1 || g->v[i].live || found->how == FOUND_OTHER ||
	    packed_unchanged(&g->v[i], &f->before) ||
	    (g->v[i].ino == found->file.ino && g->v[i].dev == found->file.dev))
		return;
	(void)logfile_open(
	    &found->before, g->v[i].path, f->before.position, NULL);
}

/* List, choose, open, and see that nothing was renamed meanwhile.
 * Returns 1 with found->file open, 0 when there is nothing, or -1. *g is to
 * be released in all cases. */
static int
search(const struct follow *f, choose_fn *choose, struct generations *g,
    struct found *found, struct err *err)
{
	enum { TRIES = 100 };

	for (int i = 0; i < TRIES; i++) {
		*found =
		    (struct found){ .i = -1, .file.fd = -1, .before.fd = -1 };
		if (generations_list(f->path, f->rotated, g, err) == -1)
			return -1;
		choose(f, g, found);
		int ret = found->i == -1 ? 0 : open_found(f, g, found, err);

		if (ret == 1 && f->prev.fd == -1)
			open_before(f, g, found);
		if (generations_unchanged(f->path, f->rotated, g))
			return ret;
		logfile_close(&found->file);
		logfile_close(&found->before);
		generations_release(g);
	}
	/* they rotate without end? look again in a moment */
	return 0;
}

static void
take_found(struct follow *f, const struct generations *g, struct found *found)
{
	/* one reader of a file is enough */
	if (f->prev.fd != -1 && f->prev.ino == found->file.ino &&
	    f->prev.dev == found->file.dev)
		close_file(f, &f->prev, &f->prev_watch);
	f->cur = found->file;
	f->cur_watch = watch_file(f, &f->cur);
	f->unproven = found->position == 0 && g->v[found->i].live;
}

static void
take_prev(struct follow *f, const struct logfile *file)
{
	close_file(f, &f->prev, &f->prev_watch);
	f->prev = *file;
	f->prev_watch = watch_file(f, &f->prev);
	f->prev_until = clock_monotonic_ms() + FOLLOW_LINGER_MS;
}

/* No cur is open: find where we were. Returns 1 with cur open, 0 when there
 * is no file, or -1. */
static int
locate(struct follow *f, struct err *err)
{
	struct generations g;
	struct found found;
	int ret = search(f, f->at.print.n > 0 ? choose_known : choose_unread,
	    &g, &found, err);

	if (ret != 1)
		goto out;
	const char *path = g.v[found.i].path;

	if (found.how == FOUND_SHORTER)
		note(f,
		    "%s: is shorter than what was read of it (%" PRId64
		    " of %" PRId64 " bytes): going on at its end",
		    path, found.position, f->at.position);
	if (found.how == FOUND_OTHER) {
		note(f,
		    "%s: the file that was read last is gone: going on "
		    "with %s",
		    f->path, path);
		f->before = f->at;
	}
	take_found(f, &g, &found);
	if (found.before.fd != -1)
		take_prev(f, &found.before);
	remember(f);
out:
	generations_release(&g);
	return ret;
}

/* cur has ended and is not the live file any more: take the next one, and
 * keep an eye on cur. Returns 1, 0 when there is none yet, or -1. */
static int
advance(struct follow *f, struct err *err)
{
	struct generations g;
	struct found found;
	int ret = search(f, choose_next, &g, &found, err);

	if (ret != 1)
		goto out;
	struct logfile old = f->cur;
	int old_watch = f->cur_watch;

	remember(f);
	logfile_close(&found.before);
	take_found(f, &g, &found);
	note(f, "%s: rotated, going on with %s", f->path, g.v[found.i].path);
	if (found.position > 0) {
		/* another copy of the same */
		close_file(f, &old, &old_watch);
	} else {
		take_prev(f, &old);
	}
	remember(f);
out:
	generations_release(&g);
	return ret;
}

/* cur was cut off or written anew in place. Find the copy that holds what we
 * have not read yet; without one, begin again. */
static int
truncated(struct follow *f, struct err *err)
{
	int64_t size = logfile_size(&f->cur);

	if (!f->unproven && f->cur.head_n > 0 && logfile_head_same(&f->cur)) {
		note(f, "%s: was cut to %" PRId64 " bytes: going on there",
		    f->path, size);
		logfile_move(&f->cur, size);
		return 1;
	}
	remember(f);
	close_file(f, &f->cur, &f->cur_watch);
	if (!f->unproven)
		note(f, "%s: truncated", f->path);
	return locate(f, err);
}

/* --- reading --- */

/* Lines that are in the buffer already. False: fn wants no more. */
static bool
give_lines(struct logfile *file, line_fn *fn, void *arg)
{
	struct line line;

	while (lines_next(&file->lines, &line))
		if (!fn(arg, &line))
			return false;
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

static int
read_prev(struct follow *f, size_t *budget, line_fn *fn, void *arg)
{
	struct stat st;

	if (f->prev.fd == -1)
		return LOGFILE_END;
	int state = read_file(&f->prev, budget, fn, arg, NULL);

	if (state == LOGFILE_DATA)
		return state;
	remember(f);
	/* deleted and nobody writes: let its disk space go */
	bool gone = fstat(f->prev.fd, &st) == -1 ||
	    (st.st_nlink == 0 && clock_now() - st.st_mtim.tv_sec > 10);

	if (state != LOGFILE_END || gone ||
	    clock_monotonic_ms() > f->prev_until)
		close_file(f, &f->prev, &f->prev_watch);
	return LOGFILE_END;
}

static void
note_missing(struct follow *f, const char *words)
{
	if (!f->missing)
		note(f, "%s: no such file: %s", f->path, words);
	f->missing = true;
}

/* Between opening the live file and reading its first bytes, these may have
 * been moved into a copy, and others have come. Once they are in our buffer,
 * nothing that we don't know may stand between them and the file before.
 * Returns LOGFILE_DATA, LOGFILE_END, LOGFILE_CHANGED or -1. */
static int
prove(struct follow *f, struct err *err)
{
	struct generations g;
	int ret = logfile_fill(&f->cur, err);

	if (ret != LOGFILE_DATA)
		return ret;
	if (generations_list(f->path, f->rotated, &g, err) == -1) {
		ret = -1;
	} else {
		ptrdiff_t i = generations_find(
		    &g, &f->before.print, 0, f->before.mtime_ns);

		if ((i != -1 && (size_t)i + 1 < g.n && !g.v[i + 1].live) ||
		    !generations_unchanged(f->path, f->rotated, &g))
			ret = LOGFILE_CHANGED;
	}
	generations_release(&g);
	/* what is in the buffer would be given out otherwise */
	if (ret == -1)
		logfile_move(&f->cur, 0);
	f->unproven = ret != LOGFILE_DATA;
	return ret;
}

/* What next, now that cur is at its end? 1 go on, 0 nothing, -1 error. */
static int
at_end(struct follow *f, struct err *err)
{
	struct stat st;

	if (stat(f->path, &st) == 0) {
		f->missing = false;
		if (st.st_ino == f->cur.ino && st.st_dev == f->cur.dev)
			return 0;
	} else if (errno != ENOENT && errno != ENOTDIR) {
		err_set(err, ERR_IO, "%s: %s", f->path, strerror(errno));
		return -1;
	} else {
		note_missing(f, "waiting for a new one");
	}
	return advance(f, err);
}

static int
find_file(struct follow *f, struct err *err)
{
	int ret = locate(f, err);

	if (ret == 0)
		note_missing(f,
		    "until it is there, what it says is not "
		    "known");
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

	drain_events(f);
	watch_directories(f);
	for (int turn = 0; turn < TURNS; turn++) {
		int ret;

		if (f->cur.fd == -1 && (ret = find_file(f, err)) != 1)
			return ret == 0 ? FOLLOW_MISSING : -1;
		if (read_prev(f, &budget, fn, arg) == LOGFILE_DATA)
			return FOLLOW_MORE;
		int state = f->unproven ? prove(f, err) : LOGFILE_DATA;

		if (state == LOGFILE_DATA)
			state = read_file(&f->cur, &budget, fn, arg, err);
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
			if (f->cur.packed == NULL)
				return -1;
			/* what is damaged stays so: don't let it stand in
			 * the way of what is behind it */
			note(
			    f, "%s: %s: left out the rest", f->path, err->text);
			ret = at_end(f, err);
			break;
		}
		if (ret == 0)
			return FOLLOW_END;
		if (ret == -1)
			return -1;
	}
	return FOLLOW_MORE;
}
