/* SPDX-License-Identifier: ISC */
/* state - the collector's working state, which its loop (collect.c), its
 * sources (feed.c) and its database (commit.c) share. One thread. */
#ifndef POPGATE_STATE_H
#define POPGATE_STATE_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "collector/batch.h"
#include "collector/sources/source.h"
#include "collector/stats.h"
#include "common/config/config.h"
#include "common/policy/judge.h"

struct err;
struct store;

/* Wait this long before a store or a source that failed is tried again. */
enum { STATE_RETRY_MS = 1000 };

/* No value of pair_store_changes(): the table lacks our pairs. */
#define PAIRS_UNSAVED UINT64_MAX

/* A complaint is made once, and repeated after a minute. All zero: never made.
 */
struct complaint {
	bool active;
	int64_t noted_ms;
};

/* A configured source at work. */
struct feed {
	struct collect *c;
	struct config_source cfg; /* owns its strings */
	struct source *source; /* NULL: not open, feed_try_open() is due */
	struct stats *stats;
	bool direct; /* lines come without a file that could be read again */
	struct line_outputs outputs; /* what was cut of it */
	/* Units whose logins counted, the newest first; "" none. */
	struct feed_unit {
		char name[64];
		const char *server; /* a constant */
	} units[8];
	int state; /* of the last read: enum source_state, or -1 failed */
	bool due; /* to be read in this step */
	bool contributed; /* has logins in the batch */
	int guesses; /* how many lines judge_guess() may see in this read */
	bool said_guess, said_late; /* in the log, since the start */
	bool want_time; /* no line of this read has told a time yet */
	/* when to read although nothing is readable; 0 never */
	int64_t poll_ms;
	int64_t retry_ms; /* when to try again to open it */
	struct complaint complaint;

	/* The end of the source when a read last came to it. */
	bool was_end; /* one did since the source was opened */
	struct mark end;

	/* mtime of the file that holds the lines from this position on;
	 * position -1: not looked at in this read. */
	int64_t written_from, written_at;

	/* How far it is read, and what the database knows of that. */
	struct mark mark; /* as read last, or about to be saved */
	int64_t read_at; /* all that was there then is read; 0 never */
	int64_t line_at; /* the newest line's own time */
	int64_t saved_at; /* read_at */
	uint64_t saved_device, saved_inode; /* of mark */
	int64_t saved_position;
	bool moved; /* another file, or a shorter one, since it was saved */
};

/* Times in ms are of the monotonic clock. */
struct collect {
	struct config *cfg;
	void (*note)(int priority, const char *text);
	struct judge *judge;
	struct batch *batch;
	struct network_set own; /* this machine's addresses */

	struct feed **feed;
	size_t n_feeds;
	struct pollfd *fds; /* one more than feeds */

	struct store *store; /* NULL: not open */
	int lock; /* held file beside the database; -1 none */
	dev_t db_dev; /* of the open database */
	ino_t db_ino;
	int64_t db_version; /* counts what others wrote to it */
	int64_t db_missing_ms; /* since when it is; 0: it is there */
	uint64_t pairs_saved; /* pair_store_changes() as the table has them */
	char expire_cursor[NETWORK_TEXT_MAX]; /* of store_expire() */

	int64_t now; /* Unix seconds, of this step */
	/* how much the clock was ahead of the monotonic one, at most */
	int64_t ahead_ms;
	int64_t batch_ms; /* when the batch's first login came */
	int64_t tick_ms, beat_ms, own_ms, tidy_ms; /* when last done; 0 never */
	int64_t retry_ms; /* when to try the store again; 0: it works */
	struct complaint store_complaint, future_complaint, told_complaint,
	    piece_complaint, year_complaint, dropped_complaint;
	uint64_t lines, logins; /* since the start */
};

/* Give a line for the log to c's callback.
 *   priority  as in syslog(3) */
void state_note(const struct collect *c, int priority, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Is it time to complain, for the first time or again? Then it is marked as
 * done. */
bool state_complain(struct complaint *p);

/* The feed of this source, or NULL. */
struct feed *state_feed(const struct collect *c, const char *name);

#endif
