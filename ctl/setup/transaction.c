/* SPDX-License-Identifier: ISC */
/* transaction - the journal's way there: files are added, copied away, staged,
 * and changed one by one. */
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
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
	assert(false); /* it is no file of this transaction */
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
