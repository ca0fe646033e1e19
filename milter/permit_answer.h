/* SPDX-License-Identifier: ISC */
/* permit_answer - what the permit channel says to one request: OK, no opinion
 * (DUNNO, NOTFOUND) or a refusal. Asks the gate, submits the audit row, writes
 * the reply, and knows when it may be sent. Knows nothing of sockets
 * (permit.c).
 * Threads: one, the permit channel's. */
#ifndef POPGATE_PERMIT_ANSWER_H
#define POPGATE_PERMIT_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/addr.h"
#include "common/policy/limiter.h"
#include "milter/gate.h"
#include "milter/handoff_audited.h"
#include "milter/permit_pending.h"
#include "milter/protocol.h"

/* A reply waits for the disk at most this long, as a milter session does. */
enum { PERMIT_HELD_MAX_MS = 8000 };

/* The memory of a connection from one request to the next. */
struct permit_peer {
	enum protocol_kind kind;
	/* The socket's mode says that the peer is an MTA; on an inet socket any
	 * local user may be. */
	bool by_unix;
	/* the message of the newest policy request: Postfix's instance */
	char instance[PERMIT_PENDING_NAME_MAX];
	struct limiter_message message;
	/* The login table's answer for the client and AUTH user of the last
	 * question: a message may have many recipients. */
	struct gate_memo memo;
	struct addr memo_client;
	char memo_user[LOGIN_USER_MAX];
	unsigned
	    unasked; /* messages in a row that were not asked for at DATA */
};

/* A reply, and what must be on disk before it is sent. */
struct permit_reply {
	char text[PROTOCOL_REPLY_MAX];
	size_t len;
	uint64_t ticket; /* the audit's, to wait for; 0: send it now */
	bool until_written; /* written is enough: DATA waits for the disk */
	int64_t held_ms; /* since when, by clock_monotonic_ms() */
	char failed[PROTOCOL_REPLY_MAX]; /* instead, when the rows are lost */
	size_t failed_len;
	uint64_t number; /* of the recipient's row, to take it back */
	/* at DATA: the message's tickets (last 0: this isn't DATA), and what
	 * the milter is told when they are on disk */
	uint64_t first, last;
	struct handoff_recipients recipients;
	struct addr client;
	char queue_id[PERMIT_PENDING_NAME_MAX];
	char instance[PERMIT_PENDING_NAME_MAX];
};

/* Before the first request; after the last. */
void permit_answer_start(void);
void permit_answer_stop(void);

/* A connection was accepted: fill peer. */
void permit_peer_begin(
    struct permit_peer *peer, enum protocol_kind kind, bool by_unix);

/* The connection is closed by the peer. */
void permit_peer_end(struct permit_peer *peer);

/* Can req be answered without a wait? Not while a table of Postfix's is being
 * asked for it: postfix_ask_notify() tells when that may have ended. */
bool permit_can_answer(const struct protocol_request *req);

/* Answer req. reply->ticket is 0 when the reply may be sent at once; else
 * permit_answer_ready() says when.
 *   req  borrowed until this returns */
void permit_answer(struct permit_peer *peer, const struct protocol_request *req,
    struct permit_reply *reply);

/* May a reply that waits be sent? Then its ticket is 0, and its text is the
 * temporary failure if the rows are lost, or not on disk in time. */
bool permit_answer_ready(struct permit_reply *reply);

#endif
