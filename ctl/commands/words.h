/* SPDX-License-Identifier: ISC */
/* words - what an admin said, kept beside the login table in a file of its own
 * (store_words_path()), so that it holds when the table is lost, or replaced
 * by an older copy. popgate-collector takes it from there. */
#ifndef POPGATE_WORDS_H
#define POPGATE_WORDS_H

#include "common/db/store.h"
#include "ctl/ctl.h"

/* A word that closes is kept here before the table has it: an older copy of the
 * table may be put back at any moment. One that opens (a denial that ends:
 * expires_at in the past) is kept afterwards. When a word can't be kept, a
 * warning says so.
 *   at   all logins up to then are deleted, Unix seconds */
void words_delete(struct ctl *ctl, const char *client, int64_t at);
void words_delete_older(struct ctl *ctl, int64_t at);
void words_deny(struct ctl *ctl, const struct store_deny *deny);

#endif
