/* SPDX-License-Identifier: ISC */
#include "ctl/setup/journal.h"

#include <assert.h>
#include <ctype.h>
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

/* What is in there will be written over the system's files by root. */
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

/* --- a transaction --- */

/* The one that is being made. */
static struct transaction *
current(struct journal *j)
{
	assert(j->n > 0);
	return &j->v[j->n - 1];
}

int
journal_begin(struct journal *j, int64_t now, struct err *err)
{
	unsigned last = j->n == 0 ? 0 : current(j)->number;
	enum journal_state state = journal_state(j, NULL);

	assert(j->lock != -1 && !j->sealing);
	assert(state == JOURNAL_NOTHING || state == JOURNAL_APPLIED);
	struct transaction *t = journal_add(j, err);

	if (t == NULL)
		return -1;
	t->number = last + 1;
	t->at = now;
	t->state = TRANSACTION_APPLYING;
	j->sealing = true;
	return 0;
}

static bool
is_plain(const char *text)
{
	for (; *text != '\0'; text++)
		if (iscntrl((unsigned char)*text))
			return false;
	return true;
}

static char *
copy_text(const char *text, size_t len)
{
	char *copy = malloc(len + 1);

	if (copy != NULL) {
		memcpy(copy, text, len);
		copy[len] = '\0';
	}
	return copy;
}

int
journal_add_file(struct journal *j, const char *path, const char *before,
    size_t before_len, const char *after, size_t after_len, mode_t mode,
    struct err *err)
{
	assert(j->sealing && *path == '/');
	if (!is_plain(path)) {
		err_set(err, ERR_INVALID,
		    "a path with control characters in it can't be journaled");
		return -1;
	}
	struct entry *e = transaction_add(current(j),
	    before == NULL ? ENTRY_NEW_FILE : ENTRY_FILE, path, strlen(path),
	    err);

	if (e == NULL)
		return -1;
	e->after = copy_text(after, after_len);
	e->before = before == NULL ? NULL : copy_text(before, before_len);
	e->after_len = after_len;
	e->before_len = before_len;
	e->mode = mode;
	if (e->after != NULL && (before == NULL || e->before != NULL))
		return 0;
	err_nomem(err, path, before_len + after_len);
	return -1;
}

int
journal_add_act(struct journal *j, const char *act, struct err *err)
{
	assert(j->sealing && is_plain(act));
	return transaction_add(current(j), ENTRY_ACT, act, strlen(act), err) ==
		NULL
	    ? -1
	    : 0;
}

/* Is the file still what the plan was made for? */
static int
check_before(const struct entry *e, struct err *err)
{
	char *text;
	size_t len;
	int there = swap_read(e->name, &text, &len, err);
	bool same = e->before == NULL ? there == 0
				      : there == 1 && len == e->before_len &&
		memcmp(text, e->before, len) == 0;

	free(text);
	if (there == -1 || same)
		return there == -1 ? -1 : 0;
	err_set(err, ERR_BUSY,
	    "%s was changed by somebody else at this moment; nothing was done, try again",
	    e->name);
	return -1;
}

/* Write text to a new file of the transaction; like: whose attributes it
 * gets, or NULL. */
static int
write_copy(const char *path, const char *text, size_t len, const char *like,
    struct err *err)
{
	struct swap swap;
	int from =
	    like == NULL ? -1 : open(like, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	int ret = -1;

	if (like != NULL && from == -1)
		return fail(like, err);
	if (swap_stage(&swap, path, text, len, NULL, 0600, 0, err) == 0) {
		ret = swap_make(&swap, 0600, 0, err);
		if (ret == 0 && from != -1 &&
		    (swap_attributes(from, swap.fd) == -1 ||
			fsync(swap.fd) == -1))
			ret = fail(path, err);
		swap_close(&swap);
	}
	if (from != -1)
		(void)close(from);
	return ret;
}

static int
copy_away(const struct journal *j, const struct transaction *t, size_t i,
    struct err *err)
{
	const struct entry *e = &t->v[i];
	char *before = journal_copy(j, t, i, "before", err);
	char *after = journal_copy(j, t, i, "after", err);
	int ret = -1;

	if (before != NULL && after != NULL && check_before(e, err) == 0 &&
	    (e->before == NULL ||
		write_copy(before, e->before, e->before_len, e->name, err) ==
		    0))
		ret = write_copy(after, e->after, e->after_len, NULL, err);
	free(before);
	free(after);
	return ret;
}

static int
stage_all(struct transaction *t, struct err *err)
{
	for (size_t i = 0; i < t->n; i++) {
		struct entry *e = &t->v[i];

		if (e->kind != ENTRY_ACT &&
		    swap_stage(&e->swap, e->name, e->after, e->after_len, NULL,
			e->mode, 0, err) == -1)
			return -1;
	}
	return 0;
}

static int
copy_all(const struct journal *j, struct transaction *t, struct err *err)
{
	char *path = journal_file(j, t, "", err);
	int ret = path == NULL ? -1 : 0;

	if (ret == 0 && mkdir(path, 0700) == -1)
		ret = fail(path, err);
	for (size_t i = 0; ret == 0 && i < t->n; i++)
		if (t->v[i].kind != ENTRY_ACT)
			ret = copy_away(j, t, i, err);
	if (ret == 0)
		ret = journal_sync_dir(path, err);
	if (ret == 0)
		ret = manifest_write(j, t, err);
	if (ret == 0)
		ret = journal_sync_dir(j->dir, err);
	free(path);
	return ret;
}

int
journal_seal(struct journal *j, struct err *err)
{
	struct transaction *t = current(j);

	assert(j->sealing);
	j->sealing = false;
	if (copy_all(j, t, err) == 0 && stage_all(t, err) == 0)
		return 0;
	for (size_t i = 0; i < t->n; i++)
		swap_close(&t->v[i].swap);
	(void)journal_remove(j, t, NULL);
	return -1;
}

int
journal_make(struct journal *j, const char *path, struct err *err)
{
	struct transaction *t = current(j);

	assert(!j->sealing && t->state == TRANSACTION_APPLYING);
	for (size_t i = 0; i < t->n; i++) {
		struct entry *e = &t->v[i];

		if (e->kind == ENTRY_ACT || strcmp(e->name, path) != 0)
			continue;
		assert(e->swap.fd != -1);
		if (check_before(e, err) == -1)
			return -1;
		int ret =
		    swap_make(&e->swap, e->mode, e->kind == ENTRY_FILE, err);

		swap_close(&e->swap);
		return ret;
	}
	assert(!"a file of this transaction");
	return -1;
}

int
journal_commit(struct journal *j, struct err *err)
{
	struct transaction *t = current(j);

	t->state = TRANSACTION_APPLIED;
	if (manifest_write(j, t, err) == -1) {
		t->state = TRANSACTION_APPLYING;
		return -1;
	}
	for (size_t i = 0; i < t->n; i++)
		if (t->v[i].kind != ENTRY_ACT)
			swap_done(t->v[i].name);
	return 0;
}
