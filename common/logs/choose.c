/* SPDX-License-Identifier: ISC */
#include "common/logs/choose.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/err.h"
#include "common/logs/follow_state.h"
#include "common/logs/generations.h"

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
void
choose_cur_done(struct follow *f)
{
	struct stat st;

	assert(f->cur.fd != -1);
	if (fstat(f->cur.fd, &st) == 0 &&
	    (f->cur.packed != NULL ||
		st.st_size == lines_read_offset(&f->cur.lines)))
		add_done(f,
		    &(struct done){ st.st_dev, st.st_ino, st.st_size,
			(int64_t)st.st_mtim.tv_sec * 1000000000 +
			    st.st_mtim.tv_nsec });
}

int
choose_look(const struct follow *f, const struct generation *g,
    struct reading *r, struct err *err)
{
	const struct logfile *open[1 + PREVS] = { 0 };
	size_t n = 0;

	if (f->cur.fd != -1)
		open[n++] = &f->cur;
	for (int i = 0; i < PREVS; i++)
		if (f->prev[i].file.fd != -1)
			open[n++] = &f->prev[i].file;

	assert(n <= sizeof(open) / sizeof(open[0]));
	return contents_look(&f->known, g, open, n, r, err);
}

bool
choose_is_last(const struct follow *f, const struct reading *r)
{
	return r->position > 0 && r->was == f->at.position;
}

/* Is all of the file the beginning of the live one? Then it is a copy of that,
 * maybe in the making, and the live one is read. Returns 1, 0, or -1 with err.
 */
static int
is_copy(
    const struct generations *g, const struct generation *gen, struct err *err)
{
	assert(g->n > 0);
	const struct generation *live = &g->v[g->n - 1];
	struct logfile a, b;
	int64_t same = 0;
	int ret;

	if (!live->live || gen->packed || gen->size > live->size)
		return 0;
	ret = logfile_open(&a, gen->path, 0, err);
	if (ret != 1)
		return ret == -1 && errno != EACCES ? -1 : 0;
	ret = logfile_open(&b, live->path, 0, err);
	if (ret == 1) {
		if (a.packed == NULL && b.packed == NULL &&
		    generations_is(gen, &a) && generations_is(live, &b))
			same = logfile_common(&a, &b, gen->size);
		if (same == -1)
			err_set(
			    err, ERR_IO, "%s: %s", gen->path, strerror(errno));
		ret = same == -1 ? -1 : same == gen->size;
		logfile_close(&b);
	}
	logfile_close(&a);
	return ret;
}

/* A rotated file that can't be read now can be read in a moment, as a rule; and
 * one that can't be for long, or that is closed to us (rotation may give it to
 * root), must not stand in the way of the live log. Returns 0 to leave it out,
 * or -1. */
static int
unreadable(struct follow *f, const struct generation *gen, bool closed,
    const struct err *err)
{
	if (!closed && f->vain < VAIN_MAX)
		return -1;
	follow_note(f, "%s: left out", err->text);
	generation_done(f, gen);
	return 0;
}

/* Does the file, which isn't the live one, hold lines that we don't know?
 * Returns 1, 0, or -1 with err. */
static int
unread(struct follow *f, const struct generations *g,
    const struct generation *gen, struct found *found, struct err *err)
{
	struct reading *r = &found->reading;
	int copy;

	if (!generations_not_before(gen, f->known.horizon_ns) ||
	    generations_is(gen, &f->cur) || is_done(f, gen))
		return 0;
	for (int i = 0; i < PREVS; i++)
		if (generations_is(gen, &f->prev[i].file))
			return 0;
	if (choose_look(f, gen, r, err) == -1)
		return unreadable(f, gen, false, err);
	if (gen->packed ? !r->whole : gen->size > r->position) {
		copy = is_copy(g, gen, err);
		return copy == -1 ? unreadable(f, gen, false, err) : !copy;
	}
	contents_seen(&f->known, gen, r);
	generation_done(f, gen);
	return 0;
}

/* The newest file of which something was read: the log was rotated away, and is
 * not begun anew before its next line. */
static int
choose_last(const struct follow *f, const struct generations *g,
    struct found *found, struct err *err)
{
	for (size_t i = g->n; i-- > 0 && found->i == -1;) {
		if (!generations_not_before(&g->v[i], f->known.horizon_ns))
			continue;
		if (choose_look(f, &g->v[i], &found->reading, err) == -1) {
			/* nothing is read of it either */
			if (f->vain < VAIN_MAX)
				return -1;
			continue;
		}
		if (found->reading.position > 0 && found->reading.exact)
			found->i = (ptrdiff_t)i;
	}
	return 0;
}

int
choose(struct follow *f, const struct generations *g, struct found *found,
    struct err *err)
{
	struct err why = { 0 };
	int ret = 0;

	assert(found->i == -1);
	for (size_t i = 0; i < g->n && found->i == -1 && ret != -1; i++) {
		ret = g->v[i].live ? 1 : unread(f, g, &g->v[i], found, &why);
		if (ret == 1)
			found->i = (ptrdiff_t)i;
	}
	if (ret != -1 && found->i != -1 && g->v[found->i].live)
		ret = choose_look(f, &g->v[found->i], &found->reading, &why);
	if (ret != -1 && found->i == -1 && f->cur.fd == -1)
		ret = choose_last(f, g, found, &why);
	f->vain = ret == -1 ? f->vain + 1 : f->vain;
	if (ret == -1)
		err_set(err, why.code, "%s", why.text);
	return ret == -1 ? -1 : 0;
}

/* Files that were written before what was read last are not looked at: there
 * may be years of them, and this is for a note only. */
bool
choose_last_is_there(const struct follow *f, const struct generations *g)
{
	struct reading r;

	for (size_t i = g->n; i-- > 0;) {
		if (!g->v[i].live &&
		    !generations_not_before(&g->v[i], f->at.mtime_ns))
			continue;
		/* of what can't be read, nothing is told */
		if (choose_look(f, &g->v[i], &r, NULL) == -1 ||
		    choose_is_last(f, &r))
			return true;
	}
	return false;
}

bool
choose_as_looked_at(const struct logfile *file, const struct reading *r)
{
	struct print print = logfile_print(file);
	struct trail trail;

	if (file->packed != NULL || r->position == 0)
		return true;
	return trail_load(&trail, file->fd, r->position) &&
	    print.n == r->head.n && print.hash == r->head.hash &&
	    trail_same(&trail, &r->trail);
}

/* Returns 1, 0 when the file has just gone, or -1; 2: choose again. */
static int
open_found(struct follow *f, const struct generations *g, struct found *found,
    struct err *err)
{
	assert(found->i >= 0 && (size_t)found->i < g->n);
	const struct generation *gen = &g->v[found->i];
	int ret =
	    logfile_open(&found->file, gen->path, found->reading.position, err);
	bool closed = ret == -1 && errno == EACCES;

	if (ret == -1 && !gen->live && unreadable(f, gen, closed, err) == 0)
		return 2;
	f->vain += ret == -1;
	if (ret == 1)
		found->file.trail = found->reading.trail;
	return ret == 1 && !choose_as_looked_at(&found->file, &found->reading)
	    ? 2
	    : ret;
}

int
choose_search(struct follow *f, struct generations *g, struct found *found,
    struct err *err)
{
	enum { TRIES = 1000 };

	for (int i = 0; i < TRIES; i++) {
		*found = (struct found){ .i = -1, .file.fd = -1 };
		if (generations_list(f->path, f->rotated, g, err) == -1)
			return -1;
		if (choose(f, g, found, err) == -1)
			return -1;
		int ret = found->i == -1 ? 0 : open_found(f, g, found, err);

		if (ret != 2 && generations_unchanged(f->path, f->rotated, g)) {
			f->vain = ret == -1 ? f->vain : 0;
			return ret;
		}
		logfile_close(&found->file);
		generations_release(g);
	}
	/* rotated without end? look again in a moment */
	return 0;
}
