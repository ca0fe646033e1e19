/* SPDX-License-Identifier: ISC */
/* undo - the journal's way back: each file that still is what a transaction
 * made of it becomes what it was before. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/err.h"
#include "ctl/setup/journal_state.h"

/* One file as the journal knows it, and as it is. */
struct case_file {
	const char *path;
	char *before_path, *after_path; /* before_path NULL: wasn't there */
	char *before, *after, *now; /* NULL: not there */
	size_t before_len, after_len, now_len;
};

static void
release(struct case_file *c)
{
	free(c->before_path);
	free(c->after_path);
	free(c->before);
	free(c->after);
	free(c->now);
}

static int
load_copy(const char *path, char **text_r, size_t *len_r, struct err *err)
{
	int ret = swap_read(path, text_r, len_r, err);

	if (ret == 0)
		err_set(err, ERR_CORRUPT,
		    "%s: it is missing, so the file can't be put back: do that by hand, then move %.*s away",
		    path, (int)(strrchr(path, '/') - path), path);
	return ret == 1 ? 0 : -1;
}

/* 0, or -1 with err. What is at path and no regular file counts as changed by
 * somebody. */
static int
load(const struct journal *j, const struct transaction *t, size_t i,
    struct case_file *c, struct err *err)
{
	const struct entry *e = &t->v[i];

	*c = (struct case_file){ .path = e->name };
	c->after_path = journal_copy(j, t, i, "after", err);
	if (c->after_path == NULL ||
	    load_copy(c->after_path, &c->after, &c->after_len, err) == -1)
		return -1;
	if (e->kind == ENTRY_FILE) {
		c->before_path = journal_copy(j, t, i, "before", err);
		if (c->before_path == NULL ||
		    load_copy(
			c->before_path, &c->before, &c->before_len, err) == -1)
			return -1;
	}
	(void)swap_read(e->name, &c->now, &c->now_len, NULL);
	return 0;
}

static bool
holds(const char *now, size_t now_len, const char *text, size_t len)
{
	if (now == NULL || text == NULL)
		return now == text;
	return now_len == len && memcmp(now, text, len) == 0;
}

static int
remove_file(const char *path, struct err *err)
{
	struct place p;
	int ret = place_open(&p, path, err);

	if (ret == 0) {
		ret = place_remove(&p, err);
		(void)fsync(p.dir);
		place_close(&p);
	}
	return ret;
}

static int
restore(const struct case_file *c, struct err *err)
{
	struct swap swap;
	int ret = swap_back(c->path, c->before, c->before_len, err);

	if (ret != 0)
		return ret == 1 ? 0 : -1;
	if (swap_stage(&swap, c->path, c->before, c->before_len, c->before_path,
		0600, 1, err) == -1)
		return -1;
	ret = swap_make(&swap, 0600, 0, err);
	swap_close(&swap);
	return ret;
}

static enum journal_fate
undo_file(const struct case_file *c, struct err *err)
{
	bool there = access(c->path, F_OK) == 0 || errno != ENOENT;

	if (c->now == NULL && there)
		return JOURNAL_LEFT; /* a symbolic link, a directory */
	if (holds(c->now, c->now_len, c->before, c->before_len))
		return JOURNAL_UNTOUCHED;
	if (!holds(c->now, c->now_len, c->after, c->after_len))
		return JOURNAL_LEFT;
	if (c->before == NULL)
		return remove_file(c->path, err) == 0 ? JOURNAL_REMOVED
						      : JOURNAL_FAILED;
	return restore(c, err) == 0 ? JOURNAL_RESTORED : JOURNAL_FAILED;
}

/* Undo the i-th entry and tell of it. */
static enum journal_fate
undo_entry(const struct journal *j, struct transaction *t, size_t i,
    const struct journal_undo *undo)
{
	const struct entry *e = &t->v[i];
	struct journal_told told = { .fate = JOURNAL_RESTORED };
	struct case_file c = { 0 };
	struct err err = { 0 };

	if (e->kind == ENTRY_ACT) {
		told.act = e->name;
		if (undo->act(undo->arg, e->name, &err) == -1)
			told.fate = JOURNAL_FAILED;
	} else {
		told.path = e->name;
		told.fate = load(j, t, i, &c, &err) == -1 ? JOURNAL_FAILED
							  : undo_file(&c, &err);
		told.before = c.before_path;
		told.after = c.after_path;
		if (told.fate != JOURNAL_FAILED)
			swap_done(e->name);
	}
	told.err = &err;
	undo->tell(undo->arg, &told);
	release(&c);
	return told.fate;
}

/* The newest that isn't only kept. */
static struct transaction *
newest(struct journal *j)
{
	for (size_t i = j->n; i-- > 0;)
		if (j->v[i].state != TRANSACTION_KEPT)
			return &j->v[i];
	return NULL;
}

/* An act that fails is only told, since nothing is lost. A file that fails keeps
 * the transaction for another try. */
static int
undo_entries(struct journal *j, struct transaction *t,
    const struct journal_undo *undo, bool *again_r)
{
	int n = 0;

	*again_r = false;
	for (size_t i = t->n; i-- > 0;) {
		enum journal_fate fate = undo_entry(j, t, i, undo);

		t->v[i].left = fate == JOURNAL_LEFT;
		n += fate == JOURNAL_LEFT || fate == JOURNAL_FAILED;
		*again_r |= fate == JOURNAL_FAILED && t->v[i].kind != ENTRY_ACT;
	}
	return n;
}

int
journal_undo_newest(
    struct journal *j, const struct journal_undo *undo, struct err *err)
{
	struct transaction *t = newest(j);
	bool again, left = false;

	assert(j->lock != -1 && !j->sealing);
	if (t == NULL)
		return 0;
	/* One that was interrupted says so already, and needs no room now. */
	if (t->state == TRANSACTION_APPLIED) {
		t->state = TRANSACTION_UNDOING;
		if (manifest_write(j, t, err) == -1) {
			t->state = TRANSACTION_APPLIED;
			return -1;
		}
	}
	for (size_t i = 0; i < t->n; i++)
		swap_close(&t->v[i].swap);
	int n = undo_entries(j, t, undo, &again);

	for (size_t i = 0; i < t->n; i++)
		left |= t->v[i].left;
	if (again)
		return n;
	if (!left)
		return journal_remove(j, t, err) == -1 ? -1 : n;
	t->state = TRANSACTION_KEPT;
	return manifest_write(j, t, err) == -1 ? -1 : n;
}

int
journal_undo_all(
    struct journal *j, const struct journal_undo *undo, struct err *err)
{
	int n = 0;

	while (newest(j) != NULL) {
		unsigned number = newest(j)->number;
		int left = journal_undo_newest(j, undo, err);

		if (left == -1)
			return -1;
		n += left;
		/* what fails now would fail again */
		if (newest(j) != NULL && newest(j)->number == number)
			break;
	}
	return n;
}

void
journal_each_left(const struct journal *j,
    void (*fn)(void *arg, const struct journal_told *told), void *arg)
{
	for (size_t i = 0; i < j->n; i++) {
		const struct transaction *t = &j->v[i];

		for (size_t k = 0; k < t->n; k++) {
			if (t->state != TRANSACTION_KEPT || !t->v[k].left)
				continue;
			char *after = journal_copy(j, t, k, "after", NULL);
			char *before = t->v[k].kind == ENTRY_NEW_FILE
			    ? NULL
			    : journal_copy(j, t, k, "before", NULL);

			fn(arg,
			    &(struct journal_told){ .fate = JOURNAL_LEFT,
				.path = t->v[k].name,
				.before = before,
				.after = after });
			free(before);
			free(after);
		}
	}
}
