/* SPDX-License-Identifier: ISC */
/* words - what an admin said, kept beside the login table in a file of its own
 * (store_words_path()), so that it holds when the table is lost, or replaced
 * by an older copy. popgate-collector takes it from there. */
#ifndef POPGATE_WORDS_H
#define POPGATE_WORDS_H

#include "common/db/store.h"
#include "ctl/ctl.h"

/* Behind the change of the table itself. When it can't be kept, a warning says
 * so: the table has it. */
void words_delete(struct ctl *ctl, const char *client);
void words_delete_older(struct ctl *ctl, int64_t at);
/* expires_at in the past: no longer denied */
void words_deny(struct ctl *ctl, const struct store_deny *deny);

#endif
