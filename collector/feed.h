/* SPDX-License-Identifier: ISC */
/* feed - a configured source at work: opens it where the database says that it
 * was left, gives its lines to the judge, and puts the logins into the batch.
 * Failures are noted and tried again. One thread. */
#ifndef POPGATE_FEED_H
#define POPGATE_FEED_H

struct collect;
struct config_source;
struct err;
struct feed;

/* A feed of c for cfg, which is copied; its source is not opened. NULL when
 * memory is short. */
struct feed *feed_new(struct collect *c, const struct config_source *cfg);
void feed_free(struct feed *f);

/* Open the source; the store must be open. A failure is noted, and retry_ms
 * says when to try again. */
void feed_try_open(struct feed *f);

/* Read a turn's share of the source, which must be open, while the batch has
 * room. */
void feed_read(struct feed *f);

/* Write how far the source is read, inside the caller's transaction. Returns
 * 0, or -1 with err. */
int feed_save(struct feed *f, struct err *err);

#endif
