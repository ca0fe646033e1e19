/* SPDX-License-Identifier: ISC */
/* manifest - the file that says what a transaction is and how far it got: a
 * head, the state, the time, an entry a line, and "end". */
#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "ctl/setup/journal_state.h"

static const char head[] = "popgate setup 1";
static const char *const states[TRANSACTION_STATES] = {
	[TRANSACTION_APPLYING] = "applying",
	[TRANSACTION_APPLIED] = "applied",
	[TRANSACTION_UNDOING] = "undoing",
	[TRANSACTION_KEPT] = "kept",
};
static const char *const kinds[ENTRY_KINDS] = {
	[ENTRY_NEW_FILE] = "new",
	[ENTRY_FILE] = "file",
	[ENTRY_ACT] = "act",
};
static const char left_mark[] = "left ";

/* The text of a manifest: to be freed by the caller, or NULL. */
static char *
format(const struct transaction *t, size_t *len_r)
{
	char *text = NULL;
	FILE *to = open_memstream(&text, len_r);

	if (to == NULL)
		return NULL;
	(void)fprintf(
	    to, "%s\n%s\n%" PRId64 "\n", head, states[t->state], t->at);
	for (size_t i = 0; i < t->n; i++)
		(void)fprintf(to, "%s%s %s\n", t->v[i].left ? left_mark : "",
		    kinds[t->v[i].kind], t->v[i].name);
	(void)fputs("end\n", to);
	if (fclose(to) == 0)
		return text;
	free(text);
	return NULL;
}

int
manifest_write(
    const struct journal *j, const struct transaction *t, struct err *err)
{
	char *path = journal_file(j, t, "manifest", err);
	size_t len = 0;
	char *text = path == NULL ? NULL : format(t, &len);
	struct swap swap = SWAP_NONE;
	int ret = -1;

	assert(j->lock != -1 && t->state < TRANSACTION_STATES);
	if (path != NULL && text == NULL)
		err_nomem(err, path, 0);
	if (text != NULL &&
	    swap_stage(&swap, path, text, len, NULL, 0600, 0, err) == 0 &&
	    swap_make(&swap, 0600, 0, err) == 0)
		ret = 0;
	swap_close(&swap);
	free(text);
	free(path);
	return ret;
}

/* --- reading --- */

/* The next line of *at without its end, NULL behind the last one. */
static char *
next_line(char **at)
{
	char *line = *at, *end = strchr(line, '\n');

	if (end == NULL)
		return NULL;
	*end = '\0';
	*at = end + 1;
	return line;
}

/* The place of a line's first word among names; n: it is none of them. *line
 * moves behind it. */
static size_t
which(char **line, const char *const names[], size_t n)
{
	size_t len = strcspn(*line, " "), i = 0;

	while (i < n &&
	    (strlen(names[i]) != len || strncmp(*line, names[i], len) != 0))
		i++;
	*line += len + ((*line)[len] == ' ');
	return i;
}

/* One entry. 1, 0 when it is none, -1 with err. */
static int
parse_entry(struct transaction *t, char *line, struct err *err)
{
	bool left = strncmp(line, left_mark, strlen(left_mark)) == 0;

	line += left ? strlen(left_mark) : 0;
	size_t kind = which(&line, kinds, ENTRY_KINDS);

	if (kind == ENTRY_KINDS || *line == '\0' ||
	    (kind != ENTRY_ACT && *line != '/'))
		return 0;
	struct entry *e =
	    transaction_add(t, (enum entry_kind)kind, line, strlen(line), err);

	if (e == NULL)
		return -1;
	e->left = left;
	return 1;
}

/* 1, 0 when it isn't a manifest, -1 with err. */
static int
parse(struct transaction *t, char *text, struct err *err)
{
	char *at = text, *line = next_line(&at);
	int ret = 1;

	if (line == NULL || strcmp(line, head) != 0 ||
	    (line = next_line(&at)) == NULL)
		return 0;
	size_t state = which(&line, states, TRANSACTION_STATES);

	if (state == TRANSACTION_STATES || (line = next_line(&at)) == NULL)
		return 0;
	t->state = (enum transaction_state)state;
	t->at = strtoll(line, NULL, 10);
	while (ret == 1 && (line = next_line(&at)) != NULL &&
	    strcmp(line, "end") != 0)
		ret = parse_entry(t, line, err);
	return ret == 1 && line == NULL ? 0 : ret;
}

int
manifest_read(struct journal *j, unsigned number, struct err *err)
{
	struct transaction *t = journal_add(j, err);
	char *path, *text = NULL;
	size_t len;

	if (t == NULL)
		return -1;
	t->number = number;
	path = journal_file(j, t, "manifest", err);
	int ret = path == NULL ? -1 : swap_read(path, &text, &len, err);

	if (ret == 1 && (ret = parse(t, text, err)) == 0) {
		err_set(err, ERR_VERSION,
		    "%s: not a manifest of this version of popgatectl: it is damaged, or a newer popgatectl has written it. N.before beside it is what a file held before setup: put back by hand what has to be, then move %s away",
		    path, j->dir);
		ret = -1;
	}
	if (ret != 1)
		journal_drop(j, t);
	free(text);
	free(path);
	return ret;
}
