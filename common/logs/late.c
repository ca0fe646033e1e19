/* SPDX-License-Identifier: ISC */
#include "common/logs/late.h"

#include <assert.h>
#include <string.h>
#include <unistd.h>

#include "common/logs/follow_state.h"

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

/* Stop before the line. */
static bool
hold(struct logfile *file, const struct line *line)
{
	struct trail recent;

	assert(file->fd != -1);
	(void)trail_load(&recent, file->fd, line->position);
	trail_cut(&file->trail, &recent, line->position);
	/* where a line was given out that isn't one, it is skipped again */
	if (logfile_move(file, line->position) == -1) {
		lines_restart(&file->lines, line->position);
		file->lines.skipping = line->too_long;
	}
	return false;
}

bool
late_line(void *arg, const struct line *line)
{
	struct late *late = arg;
	struct follow *f = late->f;

	assert(late->i >= 0 && late->i < PREVS);
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

bool
late_shadow_line(void *arg, const struct line *line)
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
