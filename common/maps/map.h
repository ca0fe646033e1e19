/* SPDX-License-Identifier: ISC */
/* map - files by which other programs let clients relay: written beside,
 * made durable, renamed into place, so that a reader finds the old or the new
 * one and never half of it. Owner and mode of a file that is there are kept.
 * Logs nothing; a map is used by one thread at a time. */
#ifndef POPGATE_MAP_H
#define POPGATE_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include "common/config/map_format.h"

struct err;
struct stat;
struct permitted;
struct map;

/* Begin a file.
 *   path   NULL: standard output, for formats that are text
 *   value  NULL: what the format's programs expect, OK or RELAY
 *   mode   of a file that isn't there yet
 * 0, or -1 with err. */
int map_begin(const char *path, enum map_format format, const char *value,
    unsigned mode, struct map **m_r, struct err *err);

/* 1 written, 0 this format can't say a network, -1 with err. */
int map_put(struct map *m, const struct permitted *p, struct err *err);

/* The descriptor of a text map, for a caller that writes it itself. */
int map_descriptor(const struct map *m);

/* A hash of what has been put: equal for equal contents. */
uint64_t map_digest(const struct map *m);

/* Put the file into its place. Frees the map in any case. 0 or -1 with err.
 *   st_r  what fstat(2) says of it then; may be NULL */
int map_commit(struct map **m, struct stat *st_r, struct err *err);
void map_abort(struct map **m); /* NULL-safe */

/* For when an empty one can't be written: take away what path permits, by
 * truncating a text, by removing a hash. 0, also when it isn't there, or -1
 * with err. */
int map_wipe(const char *path, enum map_format format, struct err *err);

/* Remove what writers of path that were killed have left beside it. */
void map_clean(const char *path);

/* Call fn for each client that the file at path permits, perhaps twice. 0, or
 * -1 with err.
 */
int map_each(const char *path, enum map_format format,
    bool (*fn)(void *arg, const char *client), void *arg, struct err *err);

#endif
