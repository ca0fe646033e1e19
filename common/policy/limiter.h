/* SPDX-License-Identifier: ISC */
/* limiter - how much was relayed for each client and each user of late: 16
 * slots of a 15th of each window, by a clock that only goes forward, in a table
 * of fixed size. The caller gives the times, in throttle.c's seconds
 * (limiter_now()): there is no clock inside. Any thread.
 *
 * Window. Each count is 16 slots of a 15th of its window. What is in the slot
 * of now and in the 15 before it counts, so that
 *   - no window of the configured length ever holds more than the limit, and
 *   - what was relayed counts for at most 16/15 of the window (and a second).
 * Times are whole seconds. An earlier time than the newest seen counts as the
 * newest.
 *
 * Pending. A recipient whose message isn't sent yet may be reserved: it takes
 * room as if it were counted, for as long as the message is open. When the
 * message is sent it counts from that moment on; when the client gives the
 * message up the room is free again (limiter_settle()).
 *
 * Client. An IPv4 address; of IPv6 the network that a login would open, and
 * never less than a /64: nobody has fewer addresses than that.
 *
 * Full. Subjects live in sets of seven. A new one takes the place of the one
 * that relayed least, but what that one had isn't forgotten: the set keeps,
 * slot by slot, the largest count that it ever evicted, and who is new starts
 * with it. So a count may be too large in an overfull table, never too small,
 * and filling the table with many addresses frees no heavy sender. The same
 * for distinct senders and clients: one that was evicted is counted again.
 *
 * Hashes are keyed by random bits: a client that chooses names can't choose
 * where they fall. All of a name is hashed, however long it is. Two names of
 * equal 64-bit hash count as one: with a million in the table that is one
 * chance in 10^13 for each new one.
 *
 * Locks. One for each 64th of the table, taken for the client and for all
 * users, in the order of their number. */
#ifndef POPGATE_LIMITER_H
#define POPGATE_LIMITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/addr.h"
#include "common/records/limit.h"
#include "common/records/userlist.h"

struct err;
struct limiter;

enum {
	LIMITER_SUBJECTS = 400000, /* room, for the daemon: 170 MB when
				    * full, and what is used of it else */
	/* How long a recipient that the permit channel has counted may take to
	 * come to the milter; then its credit ends, a little early. */
	LIMITER_CREDIT_S = 60
};

/* rate says the windows (those of limits that are off too), ipv6_prefix what
 * a login opens. NULL with err when memory or random bits can't be had. */
struct limiter *limiter_new(const struct limit_rate rate[LIMITS],
    uint8_t ipv6_prefix, size_t subjects, struct err *err);
void limiter_free(struct limiter *l); /* NULL-safe */

struct limiter_hold; /* what a message has reserved of one subject */

/* The state of one message between its recipients; zero at first. */
struct limiter_message {
	bool counted; /* as a message */
	bool said; /* that it has too many recipients */
	uint32_t recipients; /* relayed */
	struct limiter_hold *holds; /* owned; limiter_settle() frees them */
	uint16_t n_holds, holds_room;
};

/* One recipient that policy would let relay. */
struct limiter_event {
	int64_t now_s; /* only differences matter; not negative */
	struct addr client;
	uint16_t port; /* of the client's connection; 0: not known */
	bool free_client; /* nothing is charged to the client */
	/* The user who is charged; case is folded; NULL or "": not known.
	 *   by_login false: one name that SMTP AUTH proved.
	 *   by_login true: a userlist of those whose logins let the client
	 *   relay. One of them must have room; each that has room is charged.
	 * A user by AUTH and the same user by logins are two subjects: what
	 * others relay behind an address that the user logged in from must not
	 * keep that user from using AUTH. */
	const char *user;
	bool by_login;
	const char *sender; /* NULL: not known; case is folded */
	const char *recipient; /* NULL: not known; case is folded */
	struct limiter_message *message; /* NULL: not known */
	bool hold; /* reserve; needs message */
	/* The permit channel counts, and leaves a credit with each subject that
	 * it charged, for this connection, or where the port isn't known for
	 * this client and recipient. The milter uses up the credit of a
	 * subject, and charges those that have none. So a recipient that both
	 * channels see counts once, and one that either sees counts. */
	bool permit;
};

struct limiter_answer {
	bool over;
	/* The users that were charged, by their place in the userlist. */
	uint8_t charged;
	/* When over: which limits; of by_login, of each user (n of them), else
	 * of the client, the AUTH user or the message (n is 1). */
	unsigned n;
	struct limiter_breach {
		enum limit limit;
		uint8_t user; /* place in the userlist */
		/* Each is true once, and again after the count fell to half.
		 *   entered  it went over the limit
		 *   firm     what was sent alone is over: later than entered
		 *            where reservations brought it over first */
		bool entered;
		bool firm;
	} breach[USERLIST_USERS];
};

/* Count the recipient unless that would be more than rate allows; check and
 * count are one step. rate NULL: count in any case (what is history). */
void limiter_take(struct limiter *l, const struct limit_rate rate[LIMITS],
    const struct limiter_event *ev, struct limiter_answer *answer);

/* Relays of another machine. */
struct limiter_told {
	int64_t at_s; /* when; as now_s of the event counts */
	uint32_t recipients, messages;
};

/* Count it at its own time, whatever the limits say: in whichever order such
 * counts come, they come to the same. Nothing of a subject that was let in
 * again at that time or later. ev->message is NULL. */
void limiter_take_told(struct limiter *l, const struct limiter_event *ev,
    const struct limiter_told *told);

/* The message is sent, or given up: what it has reserved counts from now_s on,
 * or is free again. NULL-safe for what holds nothing.
 *
 * A client that only ever gives up would use a server for nothing but asking:
 * so of a client, and of a user by AUTH, no more recipients are freed in a
 * window of rate than its limit of recipients; more count as if they had been
 * sent. Of a user by logins all are: somebody else may have asked. */
void limiter_settle(struct limiter *l, const struct limit_rate rate[LIMITS],
    int64_t now_s, struct limiter_message *message, bool sent);

/* How much counts now: of ev->client, and of ev->user, where there are several
 * of the one that has relayed least. Counts nothing. */
void limiter_usage(
    struct limiter *l, const struct limiter_event *ev, int64_t used[LIMITS]);

/* Has ev's client, or each of its users, no recipient or message left? Counts
 * nothing. *limit_r says which limit it is. */
bool limiter_full(struct limiter *l, const struct limit_rate rate[LIMITS],
    const struct limiter_event *ev, enum limit *limit_r);

/* The network that counts as one client. */
struct network
limiter_network(const struct limiter *l, const struct addr *client);

/* The number of a client or user that is counted or denied: never 0. */
uint64_t limiter_client(const struct limiter *l, const struct addr *client);
uint64_t limiter_user(const struct limiter *l, const char *user, bool by_login);

/* Keep out until then (Unix seconds; a later end replaces an earlier). */
void limiter_deny(struct limiter *l, uint64_t subject, int64_t until);
/* Is anybody denied? A load; false needs no limiter_denied(). */
bool limiter_denies(struct limiter *l);
bool limiter_denied(struct limiter *l, uint64_t subject, int64_t now);

/* Forget all counts and the denial of this subject. */
void limiter_forget(struct limiter *l, uint64_t subject);
/* limiter_forget(), and relays of other machines up to at_s count no longer,
 * either. */
void
limiter_lift(struct limiter *l, uint64_t subject, bool is_user, int64_t at_s);

#endif
