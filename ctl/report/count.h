/* SPDX-License-Identifier: ISC */
/* count - tables that count in bounded memory: names with a record each, and
 * distinct pairs. Keyed hashes: those who choose names can't choose where they
 * collide. One thread. */
#ifndef POPGATE_REPORT_COUNT_H
#define POPGATE_REPORT_COUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/report/figures.h"

enum {
	COUNT_NAMES_MAX = 400000, /* more names are told apart no longer */
	COUNT_NAME_LEN = 512, /* bytes of a name that tell it apart */
	COUNT_PAIRS_MAX = 3000000
};

/* One client or user, while it is counted. */
struct counted {
	const char *name; /* of the table, ends in NUL */
	uint64_t hash; /* of the name */
	uint64_t last_sender, last_other; /* hashes: most rows repeat them */
	struct report_sums sums;
	int64_t first_ms, last_ms;
	/* accepted recipients by AUTH and by a login; the rest by another
	 * right */
	int64_t by_auth, by_login;
	int64_t by_several; /* of by_login: logins of several users */
	uint32_t senders, others; /* distinct; others: users or clients */
	uint32_t several; /* most users that one login list named */
};

/* The text that was hashed last: the rows of a message say the same. All zero
 * at first. */
struct count_memo {
	char data[128];
	size_t len; /* 0: nothing */
	uint64_t hash;
};

struct count_names {
	struct counted *v; /* owned, n of them */
	size_t n, room;
	struct count_slot *slot; /* owned */
	size_t slots;
	char *text; /* owned: the chunk that names are written to */
	size_t text_left;
	struct count_chunk *chunks; /* owned */
	struct count_memo last;
	bool full; /* names beyond COUNT_NAMES_MAX were not taken */
};

struct count_pairs {
	uint64_t *slot; /* owned; 0 is free */
	size_t slots, n;
	bool full;
};

uint64_t count_hash(const void *data, size_t len);
/* The same; cheap where data is what m saw last. */
uint64_t count_hash_again(struct count_memo *m, const void *data, size_t len);

/* The keyed hash of a name of len bytes, for count_name(), a little later: its
 * place in memory is on the way meanwhile. */
uint64_t count_name_hash(struct count_names *t, const char *name, size_t len);

/* The record of a name, made when it is new; names are one when their hashes
 * are. NULL when the table is full, or memory is short (then it is full from
 * now on). Valid until the next call. */
struct counted *
count_name(struct count_names *t, const char *name, size_t len, uint64_t hash);
void count_names_release(struct count_names *t);

/* Is this pair seen for the first time? false when the set is full. */
bool count_pair(struct count_pairs *t, uint64_t a, uint64_t b);
void count_pairs_release(struct count_pairs *t);

#endif
