/* SPDX-License-Identifier: ISC */
#include "ctl/setup/journal.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/err.h"
#include "ctl/setup/journal_state.h"

static int
fail(const char *path, struct err *err)
{
	err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
	return -1;
}

/* --- names --- */

char *
journal_file(const struct journal *j, const struct transaction *t,
    const char *name, struct err *err)
{
	char *path;

	assert(t->number > 0);
	if (asprintf(&path, "%s/%06u%s%s", j->dir, t->number,
		*name == '\0' ? "" : "/", name) != -1)
		return path;
	err_nomem(err, name, 0);
	return NULL;
}

char *
journal_copy(const struct journal *j, const struct transaction *t, size_t i,
    const char *which, struct err *err)
{
	char name[40];

	assert(i < t->n);
	(void)snprintf(name, sizeof(name), "%zu.%s", i + 1, which);
	return journal_file(j, t, name, err);
}

int
journal_sync_dir(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int ret = fd == -1 || fsync(fd) == -1 ? fail(path, err) : 0;

	if (fd != -1)
		(void)close(fd);
	return ret;
}

/* --- in memory --- */

struct transaction *
journal_add(struct journal *j, struct err *err)
{
	struct transaction *v = reallocarray(j->v, j->n + 1, sizeof(*v));

	if (v == NULL) {
		err_nomem(err, j->dir, (j->n + 1) * sizeof(*v));
		return NULL;
	}
	j->v = v;
	v[j->n] = (struct transaction){ 0 };
	return &v[j->n++];
}

struct entry *
transaction_add(struct transaction *t, enum entry_kind kind, const char *name,
    size_t len, struct err *err)
{
	struct entry *v = reallocarray(t->v, t->n + 1, sizeof(*v));

	assert(kind < ENTRY_KINDS && len > 0);
	if (v != NULL)
		t->v = v;
	char *copy = v == NULL ? NULL : strndup(name, len);

	if (copy == NULL) {
		err_nomem(err, "the journal", len + (t->n + 1) * sizeof(*v));
		return NULL;
	}
	v[t->n] =
	    (struct entry){ .kind = kind, .name = copy, .swap = SWAP_NONE };
	return &v[t->n++];
}

void
journal_drop(struct journal *j, struct transaction *t)
{
	size_t at = (size_t)(t - j->v);

	assert(at < j->n);
	for (size_t i = 0; i < t->n; i++) {
		free(t->v[i].name);
		free(t->v[i].before);
		free(t->v[i].after);
		swap_close(&t->v[i].swap);
	}
	free(t->v);
	memmove(t, t + 1, (j->n - at - 1) * sizeof(*t));
	j->n--;
}

/* --- on disk --- */

/* Remove a transaction's directory: first the manifest, without which the rest
 * means nothing. */
static int
remove_dir(const char *path, struct err *err)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;

	if (dir == NULL)
		return errno == ENOENT ? 0 : fail(path, err);
	if (unlinkat(dirfd(dir), "manifest", 0) == -1 && errno != ENOENT) {
		(void)closedir(dir);
		return fail(path, err);
	}
	(void)fsync(dirfd(dir));
	while ((entry = readdir(dir)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 &&
		    strcmp(entry->d_name, "..") != 0)
			(void)unlinkat(dirfd(dir), entry->d_name, 0);
	(void)closedir(dir);
	return rmdir(path) == 0 ? 0 : fail(path, err);
}

int
journal_remove(struct journal *j, struct transaction *t, struct err *err)
{
	assert(j->lock != -1);
	char *path = journal_file(j, t, "", err);
	int ret = path == NULL ? -1 : remove_dir(path, err);

	free(path);
	if (ret == 0)
		journal_drop(j, t);
	return ret;
}

/* 0: it is no transaction's. */
static unsigned
number_of(const char *name)
{
	return strlen(name) == 6 && strspn(name, "0123456789") == 6
	    ? (unsigned)strtoul(name, NULL, 10)
	    : 0;
}

static int
by_number(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int
is_transaction(const struct dirent *entry)
{
	return number_of(entry->d_name) != 0;
}

/* Read them all, and remove those that had not begun. */
static int
load(struct journal *j, struct err *err)
{
	struct dirent **names;
	int n = scandir(j->dir, &names, is_transaction, by_number), ret = 0;
	char *path;

	assert(j->n == 0);
	if (n == -1)
		return errno == ENOENT ? 0 : fail(j->dir, err);
	for (int i = 0; i < n; i++) {
		int found = ret == -1
		    ? -1
		    : manifest_read(j, number_of(names[i]->d_name), err);

		if (found == -1)
			ret = -1;
		if (found == 0 && j->lock != -1 &&
		    asprintf(&path, "%s/%s", j->dir, names[i]->d_name) != -1) {
			ret = remove_dir(path, err);
			free(path);
		}
		free(names[i]);
	}
	free(names);
	return ret;
}

/* Root will write the files of this directory over the system's: check its
 * owner. */
static int
check_owner(const char *dir, int fd, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) == -1)
		return fail(dir, err);
	if (st.st_uid == geteuid() && (st.st_mode & 077) == 0)
		return 0;
	err_set(err, ERR_INVALID,
	    "%s: it must belong to root and be nobody else's to enter (mode 0700)",
	    dir);
	return -1;
}

static int
lock(struct journal *j, struct err *err)
{
	int fd;

	if (mkdir(j->dir, 0700) == -1 && errno != EEXIST)
		return fail(j->dir, err);
	fd = open(j->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return fail(j->dir, err);
	j->lock = fd;
	if (check_owner(j->dir, fd, err) == -1)
		return -1;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK)
		return fail(j->dir, err);
	err_set(err, ERR_BUSY,
	    "another popgatectl setup is at work (it holds %s); wait for its end",
	    j->dir);
	return -1;
}

int
journal_open(const char *dir, enum journal_access access, struct journal **j_r,
    struct err *err)
{
	struct journal *j = calloc(1, sizeof(*j));

	*j_r = NULL;
	if (j == NULL || (j->dir = strdup(dir)) == NULL) {
		free(j);
		err_nomem(err, "the journal", sizeof(*j));
		return -1;
	}
	j->lock = -1;
	if ((access == JOURNAL_CHANGE && lock(j, err) == -1) ||
	    load(j, err) == -1) {
		journal_close(&j);
		return -1;
	}
	*j_r = j;
	return 0;
}

void
journal_close(struct journal **j)
{
	if (*j == NULL)
		return;
	while ((*j)->n > 0)
		journal_drop(*j, &(*j)->v[(*j)->n - 1]);
	if ((*j)->lock != -1)
		(void)close((*j)->lock);
	free((*j)->v);
	free((*j)->dir);
	free(*j);
	*j = NULL;
}

enum journal_state
journal_state(const struct journal *j, int64_t *at_r)
{
	static const enum journal_state states[TRANSACTION_STATES] = {
		[TRANSACTION_APPLYING] = JOURNAL_APPLYING,
		[TRANSACTION_APPLIED] = JOURNAL_APPLIED,
		[TRANSACTION_UNDOING] = JOURNAL_UNDOING,
		[TRANSACTION_KEPT] = JOURNAL_NOTHING,
	};

	for (size_t i = j->n; i-- > 0;) {
		if (j->v[i].state == TRANSACTION_KEPT)
			continue;
		if (at_r != NULL)
			*at_r = j->v[i].at;
		return states[j->v[i].state];
	}
	return JOURNAL_NOTHING;
}

bool
journal_is_empty(const char *dir, int64_t *at_r)
{
	struct journal *j = NULL;
	struct stat st;
	bool empty;

	if (stat(dir, &st) == -1 || !S_ISDIR(st.st_mode))
		return false;
	*at_r = st.st_mtime;
	if (st.st_nlink == 2) /* its name, and "." */
		return true;
	empty = journal_open(dir, JOURNAL_LOOK, &j, NULL) == 0 &&
	    geteuid() == 0 && journal_state(j, NULL) == JOURNAL_NOTHING;
	journal_close(&j);
	return empty;
}

bool
journal_each_act(
    const struct journal *j, bool (*fn)(void *arg, const char *act), void *arg)
{
	for (size_t i = j->n; i-- > 0;)
		for (size_t k = j->v[i].n; k-- > 0;)
			if (j->v[i].state != TRANSACTION_KEPT &&
			    j->v[i].v[k].kind == ENTRY_ACT &&
			    fn(arg, j->v[i].v[k].name))
				return true;
	return false;
}
