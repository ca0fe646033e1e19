/* SPDX-License-Identifier: ISC */
/* gate - what the milter and the permit channel share: a recipient is decided,
 * an audit row is made. Everything here may be called by any thread at any
 * time. */
#ifndef POPGATE_GATE_H
#define POPGATE_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/db/audit.h"
#include "common/db/audit_pair.h"
#include "common/db/store.h"
#include "common/policy/decide.h"
#include "common/policy/facts.h"
#include "common/policy/limiter.h"
#include "milter/gate_config.h"

struct err;
struct histogram;

/* The login table's answer about the client of a session, for as long as the
 * table and the second stay the same: a message may have many recipients. Zero
 * it when the session begins and when the AUTH user may have changed. */
struct gate_memo {
	bool known;
	unsigned generation; /* of the table's file */
	struct store_version version;
	int64_t now; /* Unix seconds */
	struct store_lookup found;
};

/* One recipient, as the MTA told it. Strings are borrowed; NULL is none. */
struct gate_request {
	struct facts_question q; /* recipient: not NULL */
	const char *client_name, *helo;
	const char *session, *queue_id, *mta;
	struct gate_memo *memo; /* of the session; may be NULL */
	/* of the message, zero at its begin; NULL: which message it is isn't
	 * known */
	struct limiter_message *message;
	/* Never NULL. In the milter, gate_decide() says in it what the permit
	 * channel has recorded of the same recipient. In the permit channel,
	 * gate_row() and gate_pass() fill it. */
	struct audit_pair *pair;
	uint16_t port; /* the client's; 0: not known */
	enum audit_channel channel;
};

/* Start: opens the audit. gc becomes the newest configuration. committed: see
 * audit.h. 0, or -1 with err. */
int gate_start(struct gate_config *gc, void (*committed)(void *arg), void *arg,
    struct err *err);
/* Flush the audit. Requests after it get a temporary failure. */
void gate_stop(void);

/* Decide on one recipient. One that may relay counts against the limits, also
 * when the MTA then refuses it for a reason of its own; the milter's count only
 * when gate_settle() says that the message was sent. */
void gate_decide(const struct gate_config *gc, const struct gate_request *req,
    struct decide_answer *answer);

/* Would the client be let relay by what is known of it now, whatever the
 * recipient is, and by which decision? Nothing is counted, neither against
 * limits nor in metrics, and nothing is to be recorded. Never with relay.mode
 * = "observe".
 *   req  q.recipient isn't looked at; q.sender NULL: it isn't known yet */
bool gate_knows(const struct gate_config *gc, const struct gate_request *req,
    struct decision *decision_r);

/* Ask what gate_decide() would say now. Counts and records nothing: for an
 * admin's question.
 *   req  q.recipient NULL: one that isn't ours */
void gate_would(const struct gate_config *gc, const struct gate_request *req,
    struct decide_answer *answer);

/* The message is sent, or given up, for good: its recipients count against the
 * limits, or not. Once is enough, more are harmless. */
void gate_settle(
    const struct gate_config *gc, struct limiter_message *message, bool sent);

/* The audit row of a decision, or NULL where it is only counted (our own
 * recipients by default) or memory is short. A recipient that the permit
 * channel has counted or recorded is not counted again. */
struct audit_row *gate_row(const struct gate_config *gc,
    const struct gate_request *req, const struct decide_answer *answer);

/* The permit channel doesn't refuse this recipient, whose row, or NULL, comes
 * from gate_row(): the milter may be asked about it next. */
void
gate_pass(const struct gate_request *req, const struct decide_answer *answer);

/* How many rows of accepted recipients a message may keep until DATA; with
 * more, gate_hand_over() takes those that there are. Waits for the disk when
 * the batch before isn't there yet, if relayed says that the message depends
 * on it; our own mail doesn't wait. */
size_t gate_batch(void);
void gate_hand_over(const struct gate_config *gc, struct audit_row *rows,
    bool relayed, struct audit_receipt *receipt);

/* Submit the last rows of a message (NULL: none are left); wait for the disk
 * when the configuration asks for it and relayed says that the message depends
 * on it. Returns false when the message must not go on. */
bool gate_commit(const struct gate_config *gc, struct audit_row *rows,
    bool relayed, struct audit_receipt *receipt);

/* The same without blocking: a ticket for gate_ticket_state(); 0 when there
 * is nothing to wait for, *ok_r false when the message must not go on. */
uint64_t gate_submit(const struct gate_config *gc, struct audit_row *rows,
    bool relayed, bool *ok_r);
enum audit_state gate_ticket_state(uint64_t ticket);

/* The MTA was told, or told us, that nothing comes of a message after all, of
 * which rows have been submitted: the audit shall say so. */
void gate_give_up(const struct addr *client, const char *session);
/* The same of one recipient of the permit channel, by gate_row()'s
 * audit_pair.number. */
void gate_put_off(uint64_t number);

/* audit_whole_since() */
int64_t gate_whole_since(void);

/* Submit the rows of a relay whose message is asked about again at DATA.
 * Returns a ticket to wait for until it is AUDIT_WRITTEN; 0: the queue is full.
 */
uint64_t gate_submit_written(struct audit_row *rows);
/* A ticket that is durable when all before it is. */
uint64_t gate_sync(void);
enum audit_state gate_ticket_range(uint64_t first, uint64_t last);

/* How the audit is doing. */
void gate_audit_stats(struct audit_stats *stats);
const struct histogram *gate_audit_commits(void);

/* Can the login table be read now, as for a recipient? Else err says why, and
 * so does the log: relays by a login get a temporary failure. Before
 * gate_start() and after gate_stop() not to be called. */
bool gate_reads_logins(struct err *err);

/* Read the machine's own addresses again; every half minute or so. */
void gate_refresh_own(void);

#endif
