/* SPDX-License-Identifier: ISC */
#include "common/logs/lines.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static_assert(
    LINES_BUFFER > 2 * LINES_MAX, "a partial line must leave room to read");

bool
lines_init(struct lines *l, int64_t offset)
{
	*l = (struct lines){ .buf = malloc(LINES_BUFFER) };
	lines_restart(l, offset);
	return l->buf != NULL;
}

void
lines_release(struct lines *l)
{
	free(l->buf);
	l->buf = NULL;
}

void
lines_restart(struct lines *l, int64_t offset)
{
	assert(offset >= 0);
	l->head = l->scan = l->tail = 0;
	l->base = l->mark = offset;
	l->skipping = false;
}

char *
lines_room(struct lines *l, size_t *room_r)
{
	size_t left = l->tail - l->head;

	assert(l->head <= l->scan && l->scan <= l->tail);
	if (l->head > 0) {
		memmove(l->buf, l->buf + l->head, left);
		l->base += (int64_t)l->head;
		l->scan -= l->head;
		l->tail = left;
		l->head = 0;
	}
	assert(l->tail < LINES_BUFFER);
	*room_r = LINES_BUFFER - l->tail;
	return l->buf + l->tail;
}

int64_t
lines_read_offset(const struct lines *l)
{
	return l->base + (int64_t)l->tail;
}

void
lines_added(struct lines *l, size_t n)
{
	assert(n <= LINES_BUFFER - l->tail);
	l->tail += n;
}

bool
lines_next(struct lines *l, struct line *line)
{
	assert(l->head <= l->scan && l->scan <= l->tail);
	assert(l->tail <= LINES_BUFFER);
	const char *begin = l->buf + l->head;
	const char *end = l->tail == l->scan
	    ? NULL
	    : memchr(l->buf + l->scan, '\n', l->tail - l->scan);

	if (end == NULL) {
		l->scan = l->tail;
		if (l->skipping || l->tail - l->head > LINES_MAX) {
			l->skipping = true;
			l->head = l->tail;
		}
		return false;
	}
	/* all of it: what isn't set is neither a journal's nor told */
	*line = (struct line){
		.text = begin, .len = (size_t)(end - begin), .position = l->mark
	};
	line->too_long = l->skipping || line->len > LINES_MAX;
	if (line->too_long) {
		line->text = "";
		line->len = 0;
	}
	l->skipping = false;
	l->head = l->scan = (size_t)(end - l->buf) + 1;
	assert(l->head <= l->tail);
	l->mark = l->base + (int64_t)l->head;
	assert(l->mark > line->position);
	return true;
}
