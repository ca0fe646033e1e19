/* SPDX-License-Identifier: ISC */
/* bdb - Berkeley DB hash files, as makemap(8) and vsmtprelay make them: ASCII
 * key and value, with or without the NUL behind them. The library is looked
 * for when it is first needed, so that popgatectl runs without it. */
#ifndef POPGATE_BDB_H
#define POPGATE_BDB_H

#include <stdbool.h>
#include <stddef.h>

struct bdb;
struct err;

/* Does path begin like a Berkeley DB hash? */
bool bdb_is_hash(const char *path);

/* Open to read, or create anew (path must not exist). 0, or -1 with err. */
int bdb_open(const char *path, bool create, struct bdb **db_r, struct err *err);
/* Returns 0, or -1 with err when what was written isn't on disk. */
int bdb_close(struct bdb **db, struct err *err);

int
bdb_put(struct bdb *db, const char *key, const char *value, struct err *err);
/* key and value are the callback's only until it returns; it returns false to
 * end. 0, or -1 with err. */
int bdb_each(struct bdb *db,
    bool (*fn)(void *arg, const char *key, const char *value), void *arg,
    struct err *err);

#endif
