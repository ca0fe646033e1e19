/* SPDX-License-Identifier: ISC */
/* store_share - what logins.db knows of other machines: how far their stream is
 * read and ours is published, the words of all admins, and the other machines'
 * logins and words as they change the table.
 *
 * The order in which entries come must not matter: of the same set of them,
 * every machine has the same table. Each entry has a time, and
 *  - a login counts unless a deletion is dated as late or later, or an admin's
 *    entry of its client and user is dated later;
 *  - of two words of one kind and subject the later one holds (of the same
 *    second the one that ends later);
 *  - an admin's entry counts unless a deletion is dated as late or later;
 *  - what was relayed is a set: each number of an origin once.
 *
 * Transactions are the caller's (store_begin()). All strings are borrowed.
 * Threads: as struct store. */
#ifndef POPGATE_STORE_SHARE_H
#define POPGATE_STORE_SHARE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/records/relayed.h"

struct err;
struct store;

/* The row of table share. */
struct store_share {
	char origin[40];
	int64_t published, scanned; /* published -1: nothing */
	char entry[48]; /* the position of what was published last; "" none */
	char server[64];
	char position[48];
	int64_t heard_at, skew_s;
	char trouble[320];
	int64_t relayed; /* of the outbox: the newest one published */
	char outbox[40]; /* its name; "" none was read yet */
};

/* 1 found, 0 none yet, -1 with err. */
int
store_share_find(struct store *st, struct store_share *share, struct err *err);
int store_share_save(
    struct store *st, const struct store_share *share, struct err *err);

/* --- what is to be published --- */

/* A login of this machine that counts. */
struct store_share_login {
	int64_t number; /* in the history */
	int64_t at;
	const char *client, *user, *service, *server;
};

/* Walk the logins behind number "after" that this machine has read itself, that
 * are dated later than since, and that no deletion took back.
 *   limit   look at so many rows of the history
 *   last_r  the number of the last row that was looked at; after, when there
 *           was none
 * Returns how many rows were looked at, or -1 with err. */
int store_share_each_login(struct store *st, int64_t after, int64_t since,
    int limit, int64_t *last_r,
    void (*fn)(void *arg, const struct store_share_login *login), void *arg,
    struct err *err);

/* When the login of this number was; 0: there is none. -1 with err. */
int64_t store_share_login_at(struct store *st, int64_t number, struct err *err);

enum store_word_kind {
	WORD_ADD,
	WORD_DELETE,
	WORD_DENY_CLIENT,
	WORD_DENY_USER,
	/* by a limit; popgate-milter makes denials of them */
	WORD_BREACH_CLIENT,
	WORD_BREACH_USER, /* by SMTP AUTH */
	WORD_BREACH_LOGIN, /* by logins */
	WORD_KINDS
};

struct store_word {
	enum store_word_kind kind;
	const char *subject; /* client, network, or the user denied; of
			      * WORD_DELETE "": everybody */
	const char *user; /* of WORD_ADD, else "" */
	int64_t at, until;
	const char *note;
};

/* Walk the words that were last told before "before" (Unix seconds), at most
 * limit. 0, or -1 with err. */
int store_word_each_untold(struct store *st, int64_t before, int limit,
    void (*fn)(void *arg, const struct store_word *word), void *arg,
    struct err *err);
/* Note that these words have been told at now. 0, or -1 with err. */
int store_word_told(struct store *st, const struct store_word *word,
    int64_t now, struct err *err);
/* Redis has lost all: every word is to be told again. 0, or -1 with err. */
int store_word_untell(struct store *st, struct err *err);
/* Forget words that ended before cutoff. 0, or -1 with err. */
int store_word_prune(struct store *st, int64_t cutoff, struct err *err);

/* Make words of what an admin said before words were kept: entries, deletions
 * and denials without a word get one. 0, or -1 with err. */
int store_word_gather(struct store *st, struct err *err);

/* An admin of this machine says it now. word->at is set later than all that
 * this machine knows of the subject: so it holds on every machine, whatever
 * their clocks say. The caller changes the table by word->at, too.
 * 0, or -1 with err. */
int store_word_say(
    struct store *st, struct store_word *word, int64_t now, struct err *err);

/* popgate-milter of this machine says so: word->at and word->until are its own.
 * 0, or -1 with err. */
int store_word_pass(
    struct store *st, const struct store_word *word, struct err *err);

/* --- what others published --- */

/* A login of another machine.
 *   peer       its name, for the history; NULL: it is our own, which a clock
 *              that was wrong may have moved
 *   again      it may have been taken already: then it counts once, but as long
 *              as it says
 *   window_s   how long a login counts here
 * 0, or -1 with err. */
int
store_share_take_login(struct store *st, const struct store_share_login *login,
    const char *peer, bool again, int64_t window_s, struct err *err);

/* A word of another machine. 0, or -1 with err. */
int store_share_take_word(struct store *st, const struct store_word *word,
    int64_t now, int64_t window_s, struct err *err);

/* Words of the kinds WORD_BREACH_... that were told at told_since or later.
 * 0, or -1 with err. */
int store_each_breach_word(struct store *st, int64_t told_since,
    bool (*fn)(void *arg, const struct store_word *word), void *arg,
    struct err *err);

/* Relays of another machine; a copy is left out. 0, or -1 with err. */
int store_relayed_take(
    struct store *st, const struct relayed *relayed, struct err *err);
/* Forget what was relayed before cutoff. 0, or -1 with err. */
int store_relayed_prune(struct store *st, int64_t cutoff, struct err *err);
/* Walk what came behind the id "after", and was relayed later than since, in
 * the order of coming. 0, or -1 with err. */
int store_each_relayed(struct store *st, int64_t after, int64_t since,
    bool (*fn)(void *arg, const struct relayed *relayed), void *arg,
    struct err *err);

struct store_peer {
	const char *origin, *name;
	int64_t number, heard_at, read_at;
};

/* Its newest login is this one; a peer that isn't known is made. */
int store_peer_advance(
    struct store *st, const char *origin, int64_t number, struct err *err);
/* Note that a peer said hello. */
int store_peer_hello(
    struct store *st, const struct store_peer *peer, struct err *err);
/* Note that no login of any peer has been read. 0, or -1 with err. */
int store_peer_rewind(struct store *st, struct err *err);
int store_peer_prune(struct store *st, int64_t cutoff, struct err *err);
int store_each_peer(struct store *st,
    bool (*fn)(void *arg, const struct store_peer *peer), void *arg,
    struct err *err);

/* Count refused entries. */
int store_share_refuse(struct store *st, const char *reason, int64_t n,
    int64_t now, struct err *err);
int store_each_refused(struct store *st,
    bool (*fn)(void *arg, const char *reason, int64_t n, int64_t last_at),
    void *arg, struct err *err);

#endif
