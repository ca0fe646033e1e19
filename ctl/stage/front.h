/* SPDX-License-Identifier: ISC */
/* front - the caller's side of a private copy, as stage.c and say.c share
 * it. */
#ifndef POPGATE_FRONT_H
#define POPGATE_FRONT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "ctl/stage/backstage.h"
#include "ctl/stage/stage.h"

struct stage {
	int sock; /* to the room's first process */
	int first; /* a pidfd of it, or -1 */
	pid_t between; /* our child, its parent */
	int timeout_ms;
	struct backstage_request request;
};

/* The one request that a stage has, empty. */
struct backstage_request *
front_request(struct stage *stage, enum backstage_op op);
/* Add a word with its NUL; false when there is no room. */
bool front_word(struct backstage_request *r, const char *word);

/* Ask and wait. *fd_r: what came with the answer, or -1, is the caller's; may
 * be NULL. 0, or -1 with err. */
int front_ask(struct stage *stage, const struct backstage_request *r,
    struct backstage_answer *a, int *fd_r, struct err *err);

#endif
