/* SPDX-License-Identifier: ISC */
#include "common/logs/generations.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/err.h"
#include "common/logs/logfile.h"
#include "common/logs/unpack.h"

enum { GENERATIONS_MAX = 4096, TEXT_SIZE = 1024 * 1024 };

static bool
take_end(const char *text, size_t *len, const char *end)
{
	size_t n = strlen(end);

	if (*len < n || memcmp(text + *len - n, end, n) != 0)
		return false;
	*len -= n;
	return true;
}

/* ".1", "-20260303", "-2026-03-03T04:00:00", ".old" */
static bool
suffix_known(const char *text, size_t len, int64_t *number_r)
{
	if (len < 2 || (text[0] != '.' && text[0] != '-'))
		return false;
	text++;
	len--;
	*number_r = -1;
	if (len == 3 && memcmp(text, "old", 3) == 0)
		return true;
	if (*text < '0' || *text > '9')
		return false;
	size_t digits = strspn(text, "0123456789");

	if (digits >= len) {
		if (len < 6)
			*number_r = strtol(text, NULL, 10);
		return true;
	}
	return strspn(text, "0123456789.T_:-") >= len;
}

bool
generations_name(
    const char *base, const char *name, int64_t *number_r, bool *packed_r)
{
	size_t base_len = strlen(base), len = strlen(name);
	const char *dot = strrchr(base, '.');

	*packed_r = unpack_suffix(name, len) > 0;
	len -= unpack_suffix(name, len);
	if (len > base_len && memcmp(name, base, base_len) == 0)
		return suffix_known(name + base_len, len - base_len, number_r);
	/* "extension .log": the suffix stands before it */
	if (dot == NULL || dot == base || !take_end(name, &len, dot))
		return false;
	size_t stem = (size_t)(dot - base);

	return len > stem && memcmp(name, base, stem) == 0 &&
	    suffix_known(name + stem, len - stem, number_r);
}

static int
reserve(struct generations *g, struct err *err)
{
	/* memory is only touched as far as there are files */
	g->v = malloc(GENERATIONS_MAX * sizeof(*g->v));
	g->text = malloc(TEXT_SIZE);
	if (g->v != NULL && g->text != NULL)
		return 0;
	err_set(err, ERR_NOMEM, "out of memory");
	return -1;
}

/* False: no room. */
static bool
add(struct generations *g, const char *path, const struct stat *st)
{
	size_t size = strlen(path) + 1;

	if (g->n == GENERATIONS_MAX || TEXT_SIZE - g->text_n < size)
		return false;
	char *copy = g->text + g->text_n;

	memcpy(copy, path, size);
	g->text_n += size;
	g->v[g->n++] = (struct generation){ .path = copy,
		.dev = st->st_dev,
		.ino = st->st_ino,
		.mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 +
		    st->st_mtim.tv_nsec,
		.size = st->st_size,
		.number = -1 };
	return true;
}

static int
by_number(const void *a, const void *b)
{
	const struct generation *x = a, *y = b;

	return x->number == y->number ? strcmp(x->path, y->path)
	    : x->number > y->number   ? -1
				      : 1;
}

static int
by_time(const void *a, const void *b)
{
	const struct generation *x = a, *y = b;

	return x->mtime_ns == y->mtime_ns ? by_number(a, b)
	    : x->mtime_ns < y->mtime_ns   ? -1
					  : 1;
}

static void
sort(struct generations *g)
{
	bool numbers = true;

	/* numbers tell the order even where somebody touched the files */
	for (size_t i = 0; i < g->n; i++)
		numbers &= g->v[i].number != -1;
	if (g->n > 0)
		qsort(g->v, g->n, sizeof(*g->v), numbers ? by_number : by_time);
}

static void
drop(struct generations *g, size_t i)
{
	assert(i < g->n);
	memmove(&g->v[i], &g->v[i + 1], (g->n - i - 1) * sizeof(*g->v));
	g->n--;
}

static ssize_t
head_of(const struct generation *gen, unsigned char *head)
{
	struct logfile file;

	if (logfile_open(&file, gen->path, 0, NULL) != 1)
		return -1;
	ssize_t n = logfile_peek(&file, head);

	logfile_close(&file);
	return n;
}

/* Is packed what a packer makes of plain, or has just made? Else it had that
 * name before: rotation packs by another program now, or not at all. */
static bool
is_of(const struct generation *packed, const struct generation *plain)
{
	unsigned char a[LOGFILE_HEAD], b[LOGFILE_HEAD];
	size_t len = strlen(packed->path);

	len -= unpack_suffix(packed->path, len);
	if (strlen(plain->path) != len ||
	    memcmp(plain->path, packed->path, len) != 0)
		return false;
	ssize_t n = head_of(packed, a);

	return n != -1 && n <= head_of(plain, b) &&
	    memcmp(a, b, (size_t)n) == 0;
}

/* Packers have both files there while they work. */
static void
drop_unfinished(struct generations *g)
{
	for (size_t i = 0; i < g->n; i++) {
		bool unfinished = false;

		for (size_t j = 0; j < g->n && g->v[i].packed && !unfinished;
		     j++)
			unfinished = is_of(&g->v[i], &g->v[j]);
		if (unfinished)
			drop(g, i--);
	}
}

static int
list_directory(
    const char *dir, const char *base, struct generations *g, struct err *err)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	if (d == NULL) {
		/* no permission to list is no reason not to read the log */
		if (errno == ENOENT || errno == ENOTDIR || errno == EACCES)
			return 0;
		err_set(err, ERR_IO, "%s: %s", dir, strerror(errno));
		return -1;
	}
	/* the last place is for the live file */
	while (g->n + 1 < GENERATIONS_MAX && (e = readdir(d)) != NULL) {
		char path[PATH_MAX];
		int64_t number;
		struct stat st;
		bool packed;

		if (!generations_name(base, e->d_name, &number, &packed) ||
		    snprintf(path, sizeof(path), "%s/%s", dir, e->d_name) >=
			(int)sizeof(path) ||
		    stat(path, &st) == -1 || !S_ISREG(st.st_mode))
			continue;
		if (!add(g, path, &st))
			break;
		assert(g->n < GENERATIONS_MAX);
		g->v[g->n - 1].number = number;
		g->v[g->n - 1].packed = packed;
	}
	(void)closedir(d);
	return 0;
}

/* The other directory may be the same one, by another name. */
static void
drop_known(struct generations *g, size_t first)
{
	for (size_t i = first; i < g->n; i++)
		for (size_t j = 0; j < first; j++)
			if (g->v[j].dev == g->v[i].dev &&
			    g->v[j].ino == g->v[i].ino) {
				drop(g, i--);
				break;
			}
}

static int
list_parent(
    const char *path, const char *slash, struct generations *g, struct err *err)
{
	/* "/mail.log" is in "/", "mail.log" in "." */
	char *dir = slash == NULL
	    ? strdup(".")
	    : strndup(path, slash == path ? 1 : (size_t)(slash - path));

	if (dir == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return -1;
	}
	int ret = list_directory(dir, slash == NULL ? path : slash + 1, g, err);

	free(dir);
	return ret;
}

int
generations_list(const char *path, const char *rotated, struct generations *g,
    struct err *err)
{
	const char *slash = strrchr(path, '/');
	struct stat st;

	*g = (struct generations){ 0 };
	if (reserve(g, err) == -1 || list_parent(path, slash, g, err) == -1)
		return -1;
	if (rotated != NULL) {
		size_t first = g->n;

		if (list_directory(rotated, slash == NULL ? path : slash + 1, g,
			err) == -1)
			return -1;
		drop_known(g, first);
	}
	drop_unfinished(g);
	sort(g);
	if (stat(path, &st) == -1)
		return 0;
	/* a hard link to the log is not a predecessor of it */
	for (size_t i = 0; i < g->n; i++)
		if (g->v[i].dev == st.st_dev && g->v[i].ino == st.st_ino)
			drop(g, i--);
	if (!add(g, path, &st)) {
		err_set(err, ERR_NOMEM, "%s: too many rotated files", path);
		return -1;
	}
	g->v[g->n - 1].live = true;
	return 0;
}

/* The live file grows all the time; the others are done, or being copied. */
static bool
same(const struct generation *a, const struct generation *b)
{
	return a->ino == b->ino && a->dev == b->dev &&
	    strcmp(a->path, b->path) == 0 &&
	    (a->live ? b->size >= a->size : b->size == a->size);
}

bool
generations_unchanged(
    const char *path, const char *rotated, const struct generations *g)
{
	struct generations now;
	bool ret =
	    generations_list(path, rotated, &now, NULL) == 0 && now.n == g->n;

	for (size_t i = 0; ret && i < g->n; i++)
		ret = same(&g->v[i], &now.v[i]);
	generations_release(&now);
	return ret;
}

void
generations_release(struct generations *g)
{
	free(g->v);
	free(g->text);
	*g = (struct generations){ 0 };
}

bool
generations_is(const struct generation *g, const struct logfile *file)
{
	return file->fd != -1 && file->ino == g->ino && file->dev == g->dev;
}

bool
generations_not_before(const struct generation *g, int64_t mtime_ns)
{
	return g->mtime_ns >= mtime_ns;
}
