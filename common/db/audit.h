/* SPDX-License-Identifier: ISC */
/* audit - the decisions on disk, written by one thread (lifts by audit_lift()),
 * and one log line for each that matters. A bounded queue, grouped transactions.
 * Readers of the file (popgatectl, and the milter at its start) use
 * audit_open_reader() and the walks below. Who waits for the disk: gate_commit()
 * at DATA, and the permit channel. */
#ifndef POPGATE_AUDIT_H
#define POPGATE_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/records/decision.h"

struct addr;
struct err;
struct histogram;
struct network;
struct audit; /* the writer; any number of threads submit */
struct audit_row; /* one decision on its way to the disk */

enum audit_channel { CHANNEL_MILTER, CHANNEL_POLICY, CHANNEL_SOCKETMAP };

const char *audit_channel_name(enum audit_channel channel);

/* The facts that a row is made from; strings are copied, NULL means "" or
 * none. */
struct audit_facts {
	int64_t at_ms;
	const char *session, *queue_id, *client, *client_name, *helo;
	const char *sender, *recipient, *auth_user, *login_user;
	const char *certificate, *reply, *mta;
	bool local;
	enum audit_channel channel;
	struct decision decision;
	/* Its message isn't relayed unless the row is on disk. */
	bool durable;
	/* A number of the permit channel's row, so that the milter's can name
	 * it: from 1 on, in the order in which they are submitted; 0: none. */
	uint64_t number;
	/* The number of the permit channel's row of the same recipient, which
	 * this one stands for from now on; 0: none. */
	uint64_t takes;
};

struct audit_options {
	const char *path; /* audit.database */
	int64_t queue; /* rows that may wait */
	int64_t keep_s; /* older rows are deleted */
	int64_t max_size; /* bytes of the file, see popgate.conf(5); 0: any */
	/* one decision's log line, printable and ending in NUL; called by the
	 * writer thread when the row is on disk, or lost (a relay that depends
	 * on it is then told as the temporary failure that it got), and then
	 * log_flush (may be NULL) once a group */
	void (*log_line)(const char *line, size_t len);
	void (*log_flush)(void);
	/* what went wrong or right again; called by the writer thread */
	void (*log_state)(bool good, const char *text);
	/* called by the writer thread after each commit, when the disk has it,
	 * and after each failure; may be NULL; for those who can't block in
	 * audit_wait() */
	void (*committed)(void *arg);
	void *committed_arg;
	/* An admin let one in again: called by the writer thread, about a
	 * second after audit_lift() at the latest; may be NULL. */
	void (*lifted)(void *arg, bool is_user, const char *subject);
	void *lifted_arg;
};

/* Open or create the file and start the writer. 0, or -1 with err. */
int audit_start(
    const struct audit_options *options, struct audit **a_r, struct err *err);

/* Write what is queued, end the thread, close. Nobody may submit any more. */
void audit_stop(struct audit **a);

/* The same without freeing anything, for a process that ends while others may
 * still submit: what they submit from now on is refused (ticket 0). */
void audit_drain(struct audit *a);

/* Make a row; free it unless it is submitted. NULL when memory is short. */
struct audit_row *audit_row_new(const struct audit_facts *facts);
/* No decision: only takes is done. */
struct audit_row *audit_row_taking(uint64_t takes);
/* No decision: the client gave up a message, or it got a temporary failure at
 * DATA, after rows of it had been submitted. The accepted rows of that client
 * and session are marked as by audit_row_aborted(), on disk, and in the log
 * where it has none of them yet. Submit it alone: there is always room for it.
 */
struct audit_row *audit_row_giving_up(const char *client, const char *session);
/* The same of one recipient, which the permit channel submitted under that
 * number and then put off. It stands for no recipient any more. */
struct audit_row *audit_row_putting_off(uint64_t number);
void audit_row_free(struct audit_row *row);

/* Chain row behind list (both may be NULL); returns the list. */
struct audit_row *
audit_row_chain(struct audit_row *list, struct audit_row *row);
/* Set the queue id on a whole chain, where it has none yet. */
void audit_row_queue_id(struct audit_row *list, const char *queue_id);

/* Mark accepted rows of a message that the client gave up before its data: they
 * have the reply "aborted". */
void audit_row_aborted(struct audit_row *list);

/* Hand a chain over (also when it fails).
 *   urgent  somebody waits for the disk: don't linger to make groups
 * Returns a ticket for audit_wait() and audit_state(), or 0 when the queue is
 * full: the rows are lost and counted. Doesn't block on the disk. */
uint64_t audit_submit(struct audit *a, struct audit_row *list, bool urgent);

/* audit_submit() that waits up to timeout_ms for room in the queue. */
uint64_t audit_submit_wait(
    struct audit *a, struct audit_row *list, bool urgent, int timeout_ms);

/* audit_submit() of rows that a caller waits for until they are AUDIT_WRITTEN.
 */
uint64_t audit_submit_written(struct audit *a, struct audit_row *list);

/* A ticket that is durable when all that was submitted before is, and when the
 * file still has its name: for those who ask later. */
uint64_t audit_sync(struct audit *a);

enum audit_state {
	AUDIT_PENDING,
	AUDIT_WRITTEN, /* outlives us, but not a crash of the machine */
	AUDIT_DURABLE,
	AUDIT_LOST
};

/* How it stands with the rows of a ticket. Never blocks. */
enum audit_state audit_state(struct audit *a, uint64_t ticket);

/* The worst audit_state() of the tickets from first to last. */
enum audit_state
audit_state_range(struct audit *a, uint64_t first, uint64_t last);

/* Block until the rows of ticket are on disk. Returns true, or false when
 * they were lost or timeout_ms has passed. Ticket 0 gives false. */
bool audit_wait(struct audit *a, uint64_t ticket, int timeout_ms);

/* The rows that one message has handed over so far. A message with very many
 * recipients hands its rows over in batches, each of which may be lost. Zero it
 * when the message begins. */
struct audit_receipt {
	uint64_t ticket; /* of the newest batch; 0: there was none */
	bool lost; /* a batch was refused, or is known to be lost */
};

/* How many rows a message may hold back before it must hand them over: at
 * most a quarter of the queue, so that one message never fills it. */
size_t audit_batch(const struct audit *a);

/* Hand over the next batch of a message. When the batch before isn't on disk
 * yet, or the queue has no room, this waits up to timeout_ms: a message never
 * has more than one batch in the queue. */
void audit_receipt_add(struct audit *a, struct audit_receipt *receipt,
    struct audit_row *list, int timeout_ms);

/* Are all rows of the message on disk? Waits up to timeout_ms. False when one
 * batch was lost, or when there was none. */
bool audit_receipt_wait(
    struct audit *a, struct audit_receipt *receipt, int timeout_ms);

/* Since when (Unix ms) what was recorded is in the file, as far as the writer
 * can tell: what was recorded earlier may have been in a file that was lost. 0:
 * the file is older than its oldest row. */
int64_t audit_whole_since(struct audit *a);

/* false while the last transaction failed or the queue is full: a relay
 * that needs durable rows is then better refused at RCPT. When the disk takes
 * nothing, the rows of the transaction are lost and counted, and each second a
 * round tries whether writing works again. */
bool audit_healthy(struct audit *a);

/* Count a local recipient without storing it. */
void audit_count_local(
    struct audit *a, enum audit_channel channel, enum reason reason);

/* The tables' name for a kind of subject: a client; a user, by SMTP AUTH; or a
 * user by the logins that let clients relay ("login"), which others behind
 * these clients may have used. */
const char *audit_kind(bool is_user, bool by_login);

/* A breach: a client or user went over a limit. NULL means none. */
struct audit_breach {
	int64_t at_ms;
	bool is_user, by_login;
	const char *subject; /* canonical address or network, or user */
	const char *setting; /* "client_recipients" */
	const char *allowed; /* "2000/1h" */
	const char *client, *user, *sender;
	int64_t denied_until; /* Unix seconds; 0: not denied for it */
	int64_t lifted_at_ms; /* when read: of the lift after it; 0: none */
};

/* Have it written soon. Lost when memory is short, or when more than a
 * thousand wait: it only explains and outlives us, what it says is in force
 * already. */
void audit_breach(struct audit *a, const struct audit_breach *breach);

struct audit_stats {
	uint64_t rows, transactions, syncs, lost, queued;
	uint64_t limit; /* rows that may be queued */
	int64_t bytes, max_size; /* in use of audit.max_size; 0: not known */
	bool healthy; /* see audit_healthy() */
};
void audit_stats(struct audit *a, struct audit_stats *stats);

/* How long commits took. Lives as long as a. */
const struct histogram *audit_commits(const struct audit *a);

/* --- reading --- */

struct audit_reader;

struct audit_record {
	int64_t id, at_ms, login_at, rule;
	const char *session, *queue_id, *client, *client_name, *helo;
	const char *sender, *recipient, *class, *verdict, *reason;
	const char *auth_user, *login_user, *reply, *channel, *mta;
	const char *certificate;
	/* The same text for all recipients of one message; NULL: not known. */
	const char *message;
	int64_t count; /* recipients that it stands for */
	int64_t last_ms; /* of them; at_ms when it is one */
	bool aborted; /* audit_row_aborted() */
	/* The permit channel has accepted the same recipient in a row before.
	 * Set by audit_each_relayed() and audit_each_relayed_behind(). */
	bool took;
};

/* The verdict of a record that was accepted, and given up by the client. */
#define AUDIT_ABORTED "aborted"

/* NULL and 0 mean: any.
 *   channels  what each channel decided, with verdicts as they were given;
 *             else one record a recipient, as the view decision has it, where
 *             sender and recipient may be NULL (not told) and the verdict may
 *             be AUDIT_ABORTED */
struct audit_filter {
	bool channels;
	const char *client, *user, *sender, *recipient, *verdict, *reason;
	const char *queue_id;
	int64_t since_ms, until_ms, after_id;
	bool newest_first;
	int64_t limit;
};

int
audit_open_reader(const char *path, struct audit_reader **r, struct err *err);
void audit_close_reader(struct audit_reader **r);
/* Call w when a step takes long: see db_watch.h. w must live as long as r. */
struct db_watch;
void audit_watch(struct audit_reader *r, struct db_watch *w);
/* Call fn for each record until it returns false. 0, or -1 with err. */
int audit_each(struct audit_reader *r, const struct audit_filter *filter,
    bool (*fn)(void *arg, const struct audit_record *record), void *arg,
    struct err *err);

/* A number that differs as soon as somebody has written to the file; -1 with
 * err. */
int64_t audit_version(struct audit_reader *r, struct err *err);

/* Tell how rows that are there have changed, from first_id to last_id: how many
 * recipients each stands for, and when the last of them was (Unix ms). 0, or -1
 * with err. */
int audit_each_count(struct audit_reader *r, int64_t first_id, int64_t last_id,
    bool (*fn)(void *arg, int64_t id, int64_t count, int64_t last_ms),
    void *arg, struct err *err);

/* The relays that audit_each_relayed() is to walk. */
struct audit_relayed {
	int64_t since_ms;
	/* About so many of the newest rows of the file are looked at. */
	int64_t rows_max;
	/* With both NULL the walk gives all relays; else at least those of the
	 * client and those of the users, and perhaps some of others.
	 *   client  an address, or the network that counts as one client
	 *   users   a userlist, or the name of an AUTH user; in any case */
	const struct network *client;
	const char *users;
	/* Of the client's own rows only those since then; needs a client that
	 * is one address. 0: all. */
	int64_t own_since_ms;
};

/* Recipients that were relayed, by id (about the oldest first), without the
 * columns that the limits don't need: only id, at_ms, client, sender, reason,
 * auth_user, login_user, session, queue_id, channel, recipient, aborted and
 * count. Those of both channels, count 0 where the other stands for it.
 *   cut_r  whether there were more rows than which->rows_max; may be NULL
 * 0, or -1 with err. */
int
audit_each_relayed(struct audit_reader *r, const struct audit_relayed *which,
    bool *cut_r, bool (*fn)(void *arg, const struct audit_record *record),
    void *arg, struct err *err);

/* Has the milter seen a recipient go out for a recent login of this one address
 * and of this very userlist since sent_ms, and no message of the address given
 * up since whole_ms? -1 with err. */
int audit_sent_since(struct audit_reader *r, const struct addr *client,
    const char *users, int64_t sent_ms, int64_t whole_ms, struct err *err);

/* The newest id; 0: there is no row. -1 with err. */
int64_t audit_newest(struct audit_reader *r, struct err *err);

/* The same records as of audit_each_relayed(), of the ids behind after up to
 * last. 0, or -1 with err. */
int audit_each_relayed_behind(struct audit_reader *r, int64_t after,
    int64_t last, bool (*fn)(void *arg, const struct audit_record *record),
    void *arg, struct err *err);

/* Breaches since then, oldest first. subject NULL: of all; a user's are those
 * by SMTP AUTH and those by logins. */
int audit_each_breach(struct audit_reader *r, int64_t since_ms, bool is_user,
    const char *subject,
    bool (*fn)(void *arg, const struct audit_breach *breach), void *arg,
    struct err *err);

/* Each subject that is denied for a breach at now (Unix seconds) and was not
 * let in again: its newest breach. */
int audit_each_denial(struct audit_reader *r, int64_t now,
    bool (*fn)(void *arg, const struct audit_breach *breach), void *arg,
    struct err *err);

struct audit_lift {
	int64_t at_ms;
	bool is_user;
	bool by_login; /* when read: a user's logins */
	const char *subject, *who;
};
/* Oldest first. */
int audit_each_lift(struct audit_reader *r, int64_t since_ms,
    bool (*fn)(void *arg, const struct audit_lift *lift), void *arg,
    struct err *err);

/* A denial for a breach, or its end, as other machines are told: of two the
 * later holds, of the same second the one that ends later. */
struct audit_denial {
	bool is_user, by_login;
	const char *subject; /* a user in lower case */
	int64_t at, until; /* Unix seconds; until <= at: let in again */
	const char *note; /* the setting and its value; "" let in again */
};

/* A number that differs as soon as there is another breach or lift; -1 with
 * err. */
int64_t audit_denials_version(struct audit_reader *r, struct err *err);

/* Breaches that denied, and lifts, since then, the one that holds behind those
 * that it replaces. 0, or -1 with err. */
int audit_each_denial_state(struct audit_reader *r, int64_t since_ms,
    bool (*fn)(void *arg, const struct audit_denial *denial), void *arg,
    struct err *err);

/* Let one in again, a user by AUTH and by logins: writes to the file,
 * which must exist; waits up to ten seconds for the writer. 0, or -1 with err.
 */
int
audit_lift(const char *path, const struct audit_lift *lift, struct err *err);

/* Relays counted by something. */
enum audit_key {
	AUDIT_BY_HOUR,
	AUDIT_BY_DAY,
	AUDIT_BY_CLIENT,
	AUDIT_BY_USER,
	AUDIT_BY_SENDER,
	AUDIT_BY_RECIPIENT,
	AUDIT_BY_REASON
};

struct audit_group {
	const char *key; /* "2026-11-21 12:00" (local), an address ... */
	int64_t recipients, accepted, rejected, tempfailed;
	int64_t would_refuse; /* in monitor mode */
	int64_t aborted; /* accepted, and given up by the client */
	int64_t messages; /* of those that are known */
	int64_t senders, clients, users; /* distinct */
	int64_t first_ms, last_ms;
};

struct audit_group_query {
	enum audit_key by;
	int64_t since_ms, until_ms; /* 0: any */
	bool largest_first; /* by recipients; else by key */
	int64_t limit; /* 0: all */
	/* only groups with at least one of these; 0: not asked */
	int64_t senders_min, recipients_min, rejected_min;
};

int
audit_each_group(struct audit_reader *r, const struct audit_group_query *query,
    bool (*fn)(void *arg, const struct audit_group *group), void *arg,
    struct err *err);

/* One recipient, of those by which it shows who relays by a login and who uses
 * SMTP AUTH. Texts are never NULL. */
struct audit_use {
	int64_t at_ms, last_ms; /* last_ms: of the repeats that it stands for */
	int64_t count; /* recipients that it stands for */
	const char *client, *helo, *sender;
	const char *auth_user; /* "": no SMTP AUTH in this session */
	/* Relayed by the login of login_user, which may be a userlist; "" is a
	 * login of nobody by name. */
	bool by_login;
	const char *login_user;
	uint64_t message; /* the same for all recipients of one; 0: not known */
};

/* Call fn for each use in the record, about the oldest first, until it returns
 * false: reads the whole table once, as audit_scan() does.
 *   details  else helo and sender are "", and message is 0: much faster
 * 0, or -1 with err. */
int audit_each_use(struct audit_reader *r, bool details,
    bool (*fn)(void *arg, const struct audit_use *use), void *arg,
    struct err *err);

/* len bytes and a NUL behind them; NULL: none. Valid within the call only. */
struct audit_string {
	const char *text;
	size_t len;
};

/* The columns of the view decision that are counted, of one row. */
struct audit_brief {
	int64_t at_ms, last_ms; /* of its first recipient, and of its last */
	int64_t count; /* recipients that it stands for */
	struct audit_string client, sender, verdict, reason, auth_user,
	    login_user;
};

/* Call fn for each relay that was asked for from since_ms to before until_ms
 * (0: any): the rows that audit_each_group() counts, about the oldest first.
 * Holds no read transaction for longer than some 10 ms, so rows that are
 * written meanwhile may be among them. 0, or -1 with err. */
int audit_scan(struct audit_reader *r, int64_t since_ms, int64_t until_ms,
    void (*fn)(void *arg, const struct audit_brief *brief), void *arg,
    struct err *err);

/* When the oldest row that is kept of client was written (Unix ms), NULL: of
 * anybody; 0: there is none. 0, or -1 with err. */
int audit_first_at(struct audit_reader *r, const char *client, int64_t *at_ms_r,
    struct err *err);

/* Local recipients that were only counted, since that hour. -1: error. */
int64_t audit_tally(struct audit_reader *r, int64_t since_ms, struct err *err);

#endif
