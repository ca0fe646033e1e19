/* SPDX-License-Identifier: ISC */
/* outbox - a file in which popgate-milter leaves what other machines of one
 * gate are to know: what was relayed, and who is denied for it.
 * popgate-collector, which may read this file but not audit.db, carries it to
 * them.
 *
 * The file holds no recipients. It has mode 0644: the directory keeps all but
 * the collector and group popgate from it.
 * Threads: the handle belongs to one at a time. */
#ifndef POPGATE_OUTBOX_H
#define POPGATE_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/records/relayed.h"

struct audit_denial;
struct err;
struct outbox;

enum { OUTBOX_ORIGIN_MAX = 33 }; /* 32 hexadecimal digits and a NUL */

/* The file of an audit.database. */
void outbox_path(const char *audit, char *buf, size_t size);

/* Open it. write: create it, with a random name of its own. 0, or -1 with err.
 */
int outbox_open(
    const char *audit, bool write, struct outbox **o_r, struct err *err);
void outbox_close(struct outbox **o); /* NULL-safe; sets *o to NULL */

/* Is it no longer the file that has the name? */
bool outbox_lost(const struct outbox *o);

/* Its own name: numbers of another one mean nothing. Valid as long as o. */
const char *outbox_origin(const struct outbox *o);

/* Up to which channel_decision.id audit.db is told; -1: nothing was told yet.
 * 0, or -1 with err. */
int outbox_progress(struct outbox *o, int64_t *decision_r, struct err *err);

/* Writing: each 0, or -1 with err, after which the caller rolls back. */
int outbox_begin(struct outbox *o, struct err *err);
int outbox_add(struct outbox *o, const struct relayed *r, struct err *err);
int
outbox_deny(struct outbox *o, const struct audit_denial *d, struct err *err);
int outbox_save(struct outbox *o, int64_t decision, struct err *err);
/* Forget what was relayed before, and lifts and denials that ended before. */
int outbox_prune(struct outbox *o, int64_t relayed_before,
    int64_t denied_before, struct err *err);
int outbox_commit(struct outbox *o, struct err *err);
void outbox_rollback(struct outbox *o);

/* Differs as soon as somebody has written; -1 with err. */
int64_t outbox_version(struct outbox *o, struct err *err);

/* Walk what was relayed behind that number and later than since, at most limit.
 * 0, or -1 with err. */
int outbox_each_relayed(struct outbox *o, int64_t after, int64_t since,
    int limit, void (*fn)(void *arg, const struct relayed *relayed), void *arg,
    struct err *err);
/* 0, or -1 with err. */
int outbox_each_denial(struct outbox *o,
    bool (*fn)(void *arg, const struct audit_denial *denial), void *arg,
    struct err *err);

#endif
