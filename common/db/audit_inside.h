/* SPDX-License-Identifier: ISC */
/* audit_inside - the audit as its two halves see it: audit.c takes rows and
 * answers, audit_writer.c has the thread that writes them. Included by these
 * only. */
#ifndef POPGATE_AUDIT_INSIDE_H
#define POPGATE_AUDIT_INSIDE_H

#include <pthread.h>

#include "common/base/guarded.h"
#include "common/base/metrics.h"
#include "common/db/audit.h"
#include "common/db/audit_extra.h"
#include "common/db/audit_table.h"
#include "common/db/audit_ticket.h"

/* A thread in audit_wait(). */
struct waiter {
	uint64_t ticket;
	pthread_cond_t cond;
	struct waiter *next, **to; /* to: the pointer to this one */
};

struct audit {
	struct audit_options opt;
	char *path;
	struct audit_table table; /* the writer's */
	pthread_t thread;
	struct mutex mtx;
	pthread_cond_t work, room; /* room: in the queue */
	/* guarded by mtx, but for what is the writer's alone */
	struct audit_row *head, **tail;
	size_t queued;
	struct audit_tickets tickets;
	bool urgent; /* somebody waits for a commit */
	bool sync; /* somebody waits for the disk */
	bool landed; /* the flight may have ended: look */
	bool flying; /* what was committed, to the disk */
	bool stop, healthy;
	bool lingering; /* the writer looks by itself, soon */
	struct waiter *waiters; /* owned by who waits */
	uint64_t rows, transactions, syncs, lost;
	int64_t bytes; /* in use, when the writer last looked */
	int64_t whole_since_ms; /* see audit_whole_since() */
	uint64_t lost_unsaid;
	struct audit_extra extra; /* for the next transaction */
	struct histogram commits; /* counted by the writer */
	int64_t lost_said_at; /* the writer's */
};

/* The thread's function; arg is the audit. */
void *audit_writer(void *arg);

#endif
