#include "common/logs/follow.h"

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

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/logs/contents.h"
#include "common/logs/generations.h"
#include "common/logs/logfile.h"

enum {
	WATCH_DIRECTORY = IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE |
	    IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR,
	WATCH_FILE = IN_MODIFY
};

/* A file that has nothing for us, as it is. */
struct done {
	dev_t dev;
	ino_t ino;
	int64_t size, mtime_ns;
};

/* A file that was read before cur, and may still get lines. */
struct prev {
	struct logfile file;
	int watch;
	int64_t until; /* monotonic ms */
};

enum { DONE_MAX = 512, PREVS = 3 };

struct follow {
	char *path;
	char *dir; /* of path */
	char *rotated; /* or NULL */
	bool missing; /* it has been noted */
	bool behind; /* the path is another file than cur */
	bool blind; /* that inotify gives us nothing has been */
	int inotify;
	int64_t watched_ms; /* when the directories were, monotonic */

	struct logfile cur; /* being read; fd -1: none found yet */
	int cur_watch;
	bool unproven; /* something unread may stand before cur */
	bool shadow; /* cur may still get what was read of prev */
	struct prev prev[PREVS]; /* the newest first */

	struct content at; /* where reading stood when cur was last open */
	struct contents known; /* what has been read, of which files */
	struct done done[DONE_MAX]; /* a ring */
	size_t done_n;

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

static void
add_done(struct follow *f, const struct done *done)
{
	f->done[f->done_n++ % DONE_MAX] = *done;
}

static bool
is_done(const struct follow *f, const struct generation *g)
{
	for (size_t i = 0; i < f->done_n && i < DONE_MAX; i++)
		if (f->done[i].ino == g->ino && f->done[i].dev == g->dev &&
		    f->done[i].size == g->size &&
		    f->done[i].mtime_ns == g->mtime_ns)
			return true;
	return false;
}

static void
generation_done(struct follow *f, const struct generation *g)
{
	add_done(f, &(struct done){ g->dev, g->ino, g->size, g->mtime_ns });
}

/* cur was read to its end, or to where it is damaged. */
static void
cur_done(struct follow *f)
{
	struct stat st;

	if (fstat(f->cur.fd, &st) == 0 &&
	    (f->cur.packed != NULL ||
		st.st_size == lines_read_offset(&f->cur.lines)))
		add_done(f,
		    &(struct done){ st.st_dev, st.st_ino, st.st_size,
			(int64_t)st.st_mtim.tv_sec * 1000000000 +
			    st.st_mtim.tv_nsec });
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

/* --- which file --- */

/* What is to be read next. */
struct found {
	ptrdiff_t i; /* of the generations; -1: nothing */
	struct reading reading; /* what was read of it before */
	struct logfile file; /* open, or fd -1 */
};

static bool
is_file(const struct logfile *file, const struct generation *g)
{
	return file->fd != -1 && file->ino == g->ino && file->dev == g->dev;
}

static void
look(const struct follow *f, const struct generation *g, struct reading *r)
{
	const struct logfile *open[1 + PREVS] = { 0 };
	size_t n = 0;

	if (f->cur.fd != -1)
		open[n++] = &f->cur;
	for (int i = 0; i < PREVS; i++)
		if (f->prev[i].file.fd != -1)
			open[n++] = &f->prev[i].file;

	contents_look(&f->known, g, open, n, r);
}

static bool
is_last(const struct follow *f, const struct reading *r)
{
	return r->position > 0 && r->was == f->at.position;
}

/* Is the file, all of it, the beginning of the live one? Then somebody is
 * copying that, or has just done so: the live one will be read. */
static bool
is_copy(const struct generations *g, const struct generation *gen)
{
	const struct generation *live = &g->v[g->n - 1];
	struct logfile a, b;
	bool ret = false;

	if (!live->live || gen->packed || gen->size > live->size ||
	    logfile_open(&a, gen->path, 0, NULL) != 1)
		return false;
	if (logfile_open(&b, live->path, 0, NULL) == 1) {
		ret = a.packed == NULL && b.packed == NULL &&
		    logfile_common(&a, &b, gen->size) == gen->size;
		logfile_close(&b);
	}
	logfile_close(&a);
	return ret;
}

/* Does the file, which isn't the live one, hold lines that we don't know? */
static bool
unread(struct follow *f, const struct generations *g,
    const struct generation *gen, struct found *found)
{
	struct reading *r = &found->reading;

	if (!generations_not_before(gen, f->known.horizon_ns) ||
	    is_file(&f->cur, gen) || is_done(f, gen))
		return false;
	for (int i = 0; i < PREVS; i++)
		if (is_file(&f->prev[i].file, gen))
			return false;
	look(f, gen, r);
	if (gen->packed ? !r->whole : gen->size > r->position)
		return !is_copy(g, gen);
	contents_seen(&f->known, gen, r);
	generation_done(f, gen);
	return false;
}

/* The newest file of which something was read: the log was rotated away, and
 * the next line makes it anew. */
static void
choose_last(
    const struct follow *f, const struct generations *g, struct found *found)
{
	for (size_t i = g->n; i-- > 0 && found->i == -1;) {
		if (!generations_not_before(&g->v[i], f->known.horizon_ns))
			continue;
		look(f, &g->v[i], &found->reading);
		if (found->reading.position > 0 && found->reading.exact)
			found->i = (ptrdiff_t)i;
	}
}

/* The first file, from the one that is oldest by its name or time, that holds
 * something unread; or the live one. The order only says what comes first:
 * what has been read is known from the files themselves. */
static void
choose(struct follow *f, const struct generations *g, struct found *found)
{
	for (size_t i = 0; i < g->n && found->i == -1; i++)
		if (g->v[i].live || unread(f, g, &g->v[i], found))
			found->i = (ptrdiff_t)i;
	if (found->i != -1 && g->v[found->i].live)
		look(f, &g->v[found->i], &found->reading);
	if (found->i == -1 && f->cur.fd == -1)
		choose_last(f, g, found);
}

/* Is there a file that holds what was read last? Not one that was written
 * before: there may be years of these, which would all be read for a note. */
static bool
last_is_there(const struct follow *f, const struct generations *g)
{
	struct reading r;

	for (size_t i = g->n; i-- > 0;) {
		if (!g->v[i].live &&
		    !generations_not_before(&g->v[i], f->at.mtime_ns))
			continue;
		look(f, &g->v[i], &r);
		if (is_last(f, &r))
			return true;
	}
	return false;
}

/* Is what was opened what was looked at? */
static bool
as_looked_at(const struct found *found)
{
	const struct logfile *file = &found->file;
	struct print print = logfile_print(file);
	struct trail trail;

	if (file->packed != NULL || found->reading.position == 0)
		return true;
	trail_load(&trail, file->fd, found->reading.position);
	return print.n == found->reading.head.n &&
	    print.hash == found->reading.head.hash &&
	    trail_same(&trail, &found->reading.trail);
}

/* An old file that can't be read (rotation may give it to root) is left out:
 * it must not stand in the way of the live log.
 * Returns 1, 0 when the file has just gone, or -1; 2: choose again. */
static int
open_found(struct follow *f, const struct generations *g, struct found *found,
    struct err *err)
{
	const struct generation *gen = &g->v[found->i];
	int ret =
	    logfile_open(&found->file, gen->path, found->reading.position, err);

	if (ret == -1 && !gen->live) {
		note(f, "%s: left out", err->text);
		generation_done(f, gen);
		return 2;
	}
	if (ret == 1)
		found->file.trail = found->reading.trail;
	return ret == 1 && !as_looked_at(found) ? 2 : ret;
}

/* List, choose, open, and see that nothing was renamed meanwhile.
 * Returns 1 with found->file open, 0 when there is nothing, or -1. *g is to
 * be released in all cases. */
static int
search(struct follow *f, struct generations *g, struct found *found,
    struct err *err)
{
	enum { TRIES = 1000 };

	remember(f);
	for (int i = 0; i < TRIES; i++) {
		*found = (struct found){ .i = -1, .file.fd = -1 };
		if (generations_list(f->path, f->rotated, g, err) == -1)
			return -1;
		choose(f, g, found);
		int ret = found->i == -1 ? 0 : open_found(f, g, found, err);

		if (ret != 2 && generations_unchanged(f->path, f->rotated, g))
			return ret;
		logfile_close(&found->file);
		generations_release(g);
	}
	/* they rotate without end? look again in a moment */
	return 0;
}

static void
drop_prev(struct follow *f, int i)
{
	if (f->prev[i].file.fd == -1)
		return;
	contents_put(&f->known, &f->prev[i].file);
	close_file(f, &f->prev[i].file, &f->prev[i].watch);
}

static void
take_found(struct follow *f, const struct generations *g, struct found *found)
{
	/* one reader of a file is enough */
	for (int i = 0; i < PREVS; i++)
		if (is_file(&f->prev[i].file, &g->v[found->i]))
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
	for (size_t i = live; i-- > 0;) {
		const struct generation *gen = &g->v[i];
		struct logfile file;
		struct reading r;

		if (gen->packed || is_file(&f->cur, gen) ||
		    !generations_not_before(gen, f->known.horizon_ns))
			continue;
		look(f, gen, &r);
		/* half a copy gets nothing but what we know */
		if (r.position == 0 || !r.exact)
			continue;
		if (logfile_open(&file, gen->path, r.position, NULL) == 1) {
			file.trail = r.trail;
			take_prev(f, &file);
		}
		return;
	}
}

static void
note_place(const struct follow *f, const char *path, const struct found *found)
{
	const struct reading *r = &found->reading;

	if (r->position > 0 && !r->exact)
		note(f,
		    "%s: is shorter than what was read of it, or goes on "
		    "otherwise (%" PRId64 " bytes): going on at byte %" PRId64,
		    path, r->was, r->position);
	else if (r->position > 0 && r->position != r->was)
		note(f,
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
	int ret = search(f, &g, &found, err);

	if (ret != 1)
		goto out;
	const char *path = g.v[found.i].path;

	note_place(f, path, &found);
	if (f->at.head.n > 0 && !last_is_there(f, &g))
		note(f,
		    "%s: the file that was read last is gone: going on "
		    "with %s",
		    f->path, path);
	take_found(f, &g, &found);
	if (f->prev[0].file.fd == -1 && g.v[found.i].live)
		open_before(f, &g, (size_t)found.i);
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
	int ret = search(f, &g, &found, err);

	if (ret != 1)
		goto out;
	struct logfile old = f->cur;
	int old_watch = f->cur_watch;

	if (g.v[found.i].live && is_last(f, &found.reading))
		note(f,
		    "%s: is another file, with what was read of the last one "
		    "in it: going on at byte %" PRId64,
		    f->path, found.reading.position);
	else
		note(f, "%s: rotated, going on with %s", f->path,
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

/* Where to go on in a log that was cut, and that may have got lines since. */
static void
cut(struct follow *f)
{
	int64_t size = logfile_size(&f->cur);
	struct content old = content_of(&f->cur);
	struct reading r = { 0 };
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", f->cur.fd);
	const struct generation g = {
		.path = path, .size = size, .live = true
	};

	contents_look(&f->known, &g, NULL, 0, &r);
	if (r.position == 0 || r.position > old.position)
		r = (struct reading){ .position = size };
	note(f, "%s: was cut to %" PRId64 " bytes: going on at byte %" PRId64,
	    f->path, size, r.position);
	logfile_move(&f->cur, r.position);
	f->cur.trail = r.trail;
	f->at = content_of(&f->cur);
}

/* cur was cut off or written anew in place. Find the copy that holds what we
 * have not read yet; without one, begin again. */
static int
truncated(struct follow *f, struct err *err)
{
	if (!f->unproven && f->cur.head_n > 0 && logfile_head_same(&f->cur)) {
		remember(f);
		cut(f);
		return 1;
	}
	/* one of these may be the copy: all are looked at anew */
	for (int i = PREVS; i-- > 0;)
		drop_prev(f, i);
	remember(f);
	if (!f->unproven)
		note(f, "%s: truncated", f->path);
	close_file(f, &f->cur, &f->cur_watch);
	return locate(f, err);
}

/* --- reading --- */

/* Is the line in that file, too, at the same place? Then the one is a copy of
 * the other: somebody is copying it just now, or has done, and daemons still
 * write to the old one. */
static bool
line_in(const struct logfile *other, const struct line *line)
{
	char text[1024];

	if (other == NULL || other->fd == -1 || other->packed != NULL ||
	    line->too_long)
		return false;
	for (size_t at = 0; at <= line->len;) {
		size_t n = line->len + 1 - at;

		n = n < sizeof(text) ? n : sizeof(text);
		/* the newline stands behind the text of a line */
		if (pread(other->fd, text, n,
			(off_t)(line->position + (int64_t)at)) != (ssize_t)n ||
		    memcmp(text, line->text + at, n) != 0)
			return false;
		at += n;
	}
	return true;
}

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

struct late {
	struct follow *f;
	int i; /* of prev */
	line_fn *fn;
	void *arg;
	bool waits; /* for a newer file to be read */
	bool changed; /* cur is not what it was */
};

/* Stop before the line. */
static bool
hold(struct logfile *file, const struct line *line)
{
	struct trail recent;

	trail_load(&recent, file->fd, line->position);
	trail_cut(&file->trail, &recent, line->position);
	logfile_move(file, line->position);
	return false;
}

/* A line of a file before cur. What cur, or a newer one, has at the same place
 * is that one's: it waits until that has been read, and then is passed over.
 * When cur is cut off meanwhile, the file may be the copy that was made of it
 * before: what is a late line then, has to be found out anew. */
static bool
give_late(void *arg, const struct line *line)
{
	struct late *late = arg;
	struct follow *f = late->f;
	struct logfile *file = &f->prev[late->i].file;

	for (int i = -1; i < late->i; i++) {
		const struct logfile *newer =
		    i == -1 ? &f->cur : &f->prev[i].file;

		if (!line_in(newer, line))
			continue;
		late->waits = newer->lines.mark <= line->position;
		return late->waits ? hold(file, line) : true;
	}
	late->changed = logfile_changed(&f->cur);
	return late->changed ? hold(file, line) : late->fn(late->arg, line);
}

/* Returns LOGFILE_END, LOGFILE_DATA as read_file() does, or LOGFILE_CHANGED:
 * cur was. */
static int
read_prev(struct follow *f, int i, size_t *budget, line_fn *fn, void *arg)
{
	struct late late = { .f = f, .i = i, .fn = fn, .arg = arg };
	struct prev *prev = &f->prev[i];
	struct stat st;

	if (prev->file.fd == -1)
		return LOGFILE_END;
	int state = read_file(&prev->file, budget, give_late, &late, NULL);

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

/* A line of a file that somebody is copying from one that we have read. */
static bool
give_shadow(void *arg, const struct line *line)
{
	const struct late *late = arg;

	for (int i = 0; i < PREVS; i++) {
		const struct logfile *old = &late->f->prev[i].file;

		if (old->fd != -1 && line->position < old->lines.mark &&
		    line_in(old, line))
			return true;
	}
	return late->fn(late->arg, line);
}

static int
read_cur(
    struct follow *f, size_t *budget, line_fn *fn, void *arg, struct err *err)
{
	struct late late = { .f = f, .fn = fn, .arg = arg };

	return f->shadow ? read_file(&f->cur, budget, give_shadow, &late, err)
			 : read_file(&f->cur, budget, fn, arg, err);
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
 * nothing that we haven't read may stand in any other file.
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
		struct found found = { .i = -1 };

		choose(f, &g, &found);
		if ((found.i != -1 && !g.v[found.i].live) ||
		    !generations_unchanged(f->path, f->rotated, &g))
			ret = LOGFILE_CHANGED;
		/* it was empty for a moment, and got what it had before */
		else if (found.i != -1 && found.reading.position > 0) {
			note_place(f, f->path, &found);
			logfile_move(&f->cur, found.reading.position);
			f->cur.trail = found.reading.trail;
			f->shadow = !found.reading.exact;
		}
	}
	generations_release(&g);
	/* what is in the buffer would be given out otherwise */
	if (ret == -1)
		logfile_move(&f->cur, 0);
	f->unproven = ret != LOGFILE_DATA;
	return ret;
}

/* Is the file at the path cur, as cur is? Its size tells of a file system that
 * shows another file by the same number (an overlay, of which the log was in
 * the lower layer until somebody wrote to it). */
static bool
is_cur(const struct follow *f, const struct stat *st)
{
	return st->st_ino == f->cur.ino && st->st_dev == f->cur.dev &&
	    (f->cur.packed != NULL || st->st_size <= logfile_size(&f->cur));
}

/* What next, now that cur is at its end? 1 go on, 0 nothing, -1 error. */
static int
at_end(struct follow *f, struct err *err)
{
	struct stat st;

	if (stat(f->path, &st) == 0) {
		f->missing = false;
		if (is_cur(f, &st)) {
			f->behind = false;
			return 0;
		}
	} else if (errno != ENOENT && errno != ENOTDIR) {
		err_set(err, ERR_IO, "%s: %s", f->path, strerror(errno));
		return -1;
	} else {
		note_missing(f, "waiting for a new one");
	}
	cur_done(f);
	int ret = advance(f, err);

	/* there is a file at the path, and it isn't the one that is read */
	f->behind = ret == 0 && !f->missing;
	return ret;
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
			return f->behind ? FOLLOW_MISSING : FOLLOW_END;
		if (ret == -1)
			return -1;
	}
	return FOLLOW_MORE;
}
