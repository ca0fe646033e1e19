/* SPDX-License-Identifier: ISC */
/* share_state - the state of the thread of share.c, which share_out.c and
 * share_in.c work on. One thread, but for what mtx guards. */
#ifndef POPGATE_SHARE_STATE_H
#define POPGATE_SHARE_STATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "collector/share.h"
#include "common/base/guarded.h"
#include "common/config/config.h"
#include "common/db/outbox.h"
#include "common/db/store_share.h"
#include "common/share/entry.h"
#include "common/share/link.h"
#include "common/share/seal.h"

enum {
	SHARE_BATCH = 2000, /* entries of a transaction, here and in Redis */
	SHARE_RELAYED_BATCH = 400, /* of them, what was relayed */
	SHARE_HELLO_S = 5,
	SHARE_KEEP_MIN_S = 600 /* of the stream */
};

/* A machine that the stream has told of. */
struct share_machine {
	char origin[SHARE_ORIGIN_MAX], name[SHARE_NAME_MAX];
	int64_t number; /* its newest login that was read */
	bool known; /* it stood in the table before this batch */
	bool moved; /* number is newer than in the table */
};

struct share {
	struct config *cfg;
	share_note_fn *note;
	pthread_t thread;
	int wake; /* eventfd */
	struct mutex mtx;
	bool stop; /* guarded by mtx */

	char name[SHARE_NAME_MAX], password[512];
	struct share_keys keys;
	struct store *store; /* NULL: not open */
	dev_t db_dev;
	ino_t db_ino;
	struct store_share at; /* as table share has it, or will */
	int64_t saved_ms; /* when it was saved; 0: never */
	int64_t saved_heard_at; /* its heard_at then */
	struct share_machine *machine; /* owned */
	size_t n_machines;

	/* popgate-milter's outbox of this machine */
	struct outbox *outbox; /* NULL: there is none, or not open */
	int64_t outbox_version; /* its denials are passed on */
	int64_t window_s; /* for so long what is relayed counts */
	int64_t pruned_ms;
	int64_t outbox_bad_ms; /* since when; 0: it is good */
	bool outbox_complained;

	struct link *out, *in; /* NULL: not connected; both or none */
	size_t server; /* which is, or is tried next */
	int64_t retry_ms, wait_ms; /* when, and the back-off */
	bool complained;
	int64_t hello_ms; /* last said; 0 never */
	int64_t asked_ms; /* since when an answer is due from in; 0: none is */
	bool again; /* reading what may have been read before */
	int most; /* entries of a batch or an answer now, to SHARE_BATCH */
	int asked; /* of the answer that is due */
	size_t passed; /* entries that this turn published or heard */

	/* out: a batch */
	uint8_t sealed[SHARE_BATCH][SHARE_SEALED_MAX];
	struct link_bytes bytes[SHARE_BATCH];
	/* in: what of an answer is sealed by us */
	struct share_entry entry[SHARE_BATCH];
	size_t n;
	size_t seen; /* entries of the answer, refused ones too */
	size_t own; /* of these, those that this machine published */
	char position[LINK_POSITION_MAX]; /* of the last */
	int64_t refused[SHARE_REFUSALS]; /* not in the table yet */
};

/* share_out.c: publish what is due. 1: there may be more; 0; -1 with err: of
 * the link, or of the store (err->code tells: ERR_IO is the link's). */
int share_publish(struct share *s, struct err *err);
/* share_out.c: make what we remember and what Redis holds agree: it may have
 * lost data, or we. 0, or -1 with err. */
int share_settle(struct share *s, struct err *err);

/* share_out.c: open the outbox, and pass its denials on to the table. Nothing
 * waits for it: what is wrong with it is said once. 0, or -1 with err of the
 * store. */
int share_open_outbox(struct share *s, struct err *err);

/* share_in.c: ask for entries, or take an answer that has come. 1: there may be
 * more; 0; -1 with err. */
int share_receive(struct share *s, struct err *err);
/* share_in.c: read the machines that the table knows. 0, or -1 with err. */
int share_load_machines(struct share *s, struct err *err);

/* share_in.c: the word that an entry which is no login and no hello holds. */
struct store_word share_word(const struct share_entry *entry);

/* share_in.c: read the stream from its beginning. What has been read already
 * counts once. */
void share_read_again(struct share *s);

/* Tell the log. */
void share_note(const struct share *s, int priority, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Save s->at and the counts of refused entries. Inside a transaction. */
int share_save(struct share *s, struct err *err);

#endif
