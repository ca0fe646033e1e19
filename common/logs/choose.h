/* SPDX-License-Identifier: ISC */
/* choose - which file of a log is read next: of its generations, the oldest
 * that holds something unread. What has been read is known from the files
 * themselves (contents.h), so the order says only what comes first. */
#ifndef POPGATE_CHOOSE_H
#define POPGATE_CHOOSE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/logs/contents.h"
#include "common/logs/logfile.h"

struct err;
struct follow;
struct generation;
struct generations;

struct found {
	ptrdiff_t i; /* of the generations; -1: nothing */
	struct reading reading; /* what was read of it before */
	struct logfile file; /* open, or fd -1 */
};

/* List the generations, choose one, open it, and see that nothing was renamed
 * meanwhile. What is open must be in f->known.
 *   g  filled; the caller releases it in all cases
 * Returns 1 with found->file open, 0 when there is nothing to read, or -1 with
 * err. */
int choose_search(struct follow *f, struct generations *g, struct found *found,
    struct err *err);

/* Find it in a list without opening it. found->i is -1 before. Returns 0, or
 * -1 with err: what has been read can't be known now. */
int choose(struct follow *f, const struct generations *g, struct found *found,
    struct err *err);

/* Fill r with how much of a file has been read. Returns 0, or -1 with err. */
int choose_look(const struct follow *f, const struct generation *g,
    struct reading *r, struct err *err);

/* Does r say of a file that what was read last is in it? Is there such a file?
 */
bool choose_is_last(const struct follow *f, const struct reading *r);
bool choose_last_is_there(const struct follow *f, const struct generations *g);

/* Is the file, which was opened at r's position, what was looked at? */
bool choose_as_looked_at(const struct logfile *file, const struct reading *r);

/* f->cur was read to its end, or to where it is damaged: as it is, it isn't
 * looked at again. */
void choose_cur_done(struct follow *f);

#endif
