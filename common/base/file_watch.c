/* SPDX-License-Identifier: ISC */
#include "common/base/file_watch.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/clock.h"

enum { PATH_BYTES = 4200 };

static const char *const suffixes[] = { "", ".db", ".lmdb", ".cdb", ".pag" };
enum { SUFFIXES = sizeof(suffixes) / sizeof(*suffixes) };

/* A file as stat(2) shows it; all zero when it isn't there. */
struct mark {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime, ctime;
};

struct file_watch {
	char **path;
	size_t n;
	struct mark *read, *last, *told, *now; /* n * SUFFIXES each */
	bool unsure; /* read may be newer than what was read */
	int64_t rest_ms; /* since when it is as in last */
	enum file_watch_state said; /* of told */
	int64_t told_ms;
};

struct file_watch *
file_watch_new(void)
{
	return calloc(1, sizeof(struct file_watch));
}

static void
release(struct file_watch *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->path[i]);
	free(w->path);
	free(w->read);
	free(w->last);
	free(w->told);
	free(w->now);
	*w = (struct file_watch){ .said = FILE_WATCH_SAME };
}

void
file_watch_free(struct file_watch *w)
{
	if (w == NULL)
		return;
	release(w);
	free(w);
}

static void
take_marks(const struct file_watch *w, struct mark *m)
{
	char path[PATH_BYTES];
	struct stat st;

	for (size_t i = 0; i < w->n; i++)
		for (size_t s = 0; s < SUFFIXES; s++, m++) {
			(void)snprintf(path, sizeof(path), "%s%s", w->path[i],
			    suffixes[s]);
			*m = (struct mark){ .size = 0 };
			if (stat(path, &st) == -1)
				continue;
			m->dev = st.st_dev;
			m->ino = st.st_ino;
			m->size = st.st_size;
			m->mtime = st.st_mtim;
			m->ctime = st.st_ctim;
		}
}

static bool
same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool
same(const struct file_watch *w, const struct mark *a, const struct mark *b)
{
	for (size_t i = 0; i < w->n * SUFFIXES; i++)
		if (a[i].dev != b[i].dev || a[i].ino != b[i].ino ||
		    a[i].size != b[i].size ||
		    !same_time(&a[i].mtime, &b[i].mtime) ||
		    !same_time(&a[i].ctime, &b[i].ctime))
			return false;
	return true;
}

int
file_watch_files(struct file_watch *w, const struct string_list *const lists[],
    size_t n, int64_t read_ms)
{
	size_t total = 0;

	release(w);
	for (size_t i = 0; i < n; i++)
		total += lists[i]->n;
	size_t marks = total * SUFFIXES + 1;

	w->path = calloc(total + 1, sizeof(*w->path));
	w->read = calloc(marks, sizeof(*w->read));
	w->last = calloc(marks, sizeof(*w->last));
	w->told = calloc(marks, sizeof(*w->told));
	w->now = calloc(marks, sizeof(*w->now));
	if (w->path == NULL || w->read == NULL || w->last == NULL ||
	    w->told == NULL || w->now == NULL) {
		release(w);
		return -1;
	}
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < lists[i]->n; j++) {
			w->path[w->n] = strdup(lists[i]->v[j]);
			if (w->path[w->n++] == NULL) {
				release(w);
				return -1;
			}
		}
	assert(w->n == total);
	take_marks(w, w->read);
	/* File systems count time in steps of up to a second or two. The
	 * kernel sets ctime; one of the future says only that somebody set
	 * the clock. */
	int64_t now = clock_now();

	for (size_t i = 0; i < w->n * SUFFIXES; i++)
		w->unsure |= w->read[i].ctime.tv_sec >= read_ms / 1000 - 1 &&
		    w->read[i].ctime.tv_sec <= now + 1;
	return 0;
}

/* Say how the files differ between read and now; *i is the file that
 * differs. */
static enum file_watch_state
judge(const struct file_watch *w, size_t *i)
{
	size_t changed = 0;

	for (*i = 0; *i < w->n * SUFFIXES; (*i)++) {
		const struct mark *was = &w->read[*i], *is = &w->now[*i];

		if (was->ino != 0 && is->ino == 0)
			return FILE_WATCH_GONE;
		if (was->size > 0 && is->size == 0)
			return FILE_WATCH_EMPTY;
		if (was->ino != is->ino || was->size != is->size ||
		    !same_time(&was->mtime, &is->mtime))
			changed = *i;
	}
	*i = changed;
	return FILE_WATCH_CHANGED;
}

enum file_watch_state
file_watch_look(struct file_watch *w, int64_t now_ms, const char **path_r)
{
	size_t i;

	if (w->n == 0)
		return FILE_WATCH_SAME;
	*path_r = w->path[0];
	take_marks(w, w->now);
	if (w->rest_ms == 0 || !same(w, w->now, w->last)) {
		memcpy(w->last, w->now, w->n * SUFFIXES * sizeof(*w->now));
		w->rest_ms = now_ms;
		return FILE_WATCH_SAME;
	}
	if (now_ms - w->rest_ms < FILE_WATCH_REST_MS)
		return FILE_WATCH_SAME;
	if (!w->unsure && same(w, w->now, w->read)) {
		bool back =
		    w->said == FILE_WATCH_GONE || w->said == FILE_WATCH_EMPTY;

		w->said = FILE_WATCH_SAME;
		return back ? FILE_WATCH_BACK : FILE_WATCH_SAME;
	}
	enum file_watch_state state = judge(w, &i);

	assert(i < w->n * SUFFIXES);
	*path_r = w->path[i / SUFFIXES];
	if (w->said == state && same(w, w->now, w->told) &&
	    (state != FILE_WATCH_CHANGED ||
		now_ms - w->told_ms < FILE_WATCH_RETRY_MS))
		return FILE_WATCH_SAME;
	memcpy(w->told, w->now, w->n * SUFFIXES * sizeof(*w->now));
	w->said = state;
	w->told_ms = now_ms;
	return state;
}
