/* SPDX-License-Identifier: ISC */
/* model - what 'popgatectl watch' shows: decisions of late and what they sum up
 * to, limits, the state of the daemons. gather fills it, layout draws it, keys
 * move about in it. Plain records; one thread. */
#ifndef POPGATE_WATCH_MODEL_H
#define POPGATE_WATCH_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	WATCH_EVENTS = 20000, /* decisions at most */
	WATCH_KEPT = 200, /* so many stay, however old they are */
	WATCH_WINDOW_S = 600, /* what sums are of */
	WATCH_TOP = 50,
	WATCH_LIMITS = 50,
	WATCH_WORDS_MAX = 900
};

enum watch_fate {
	WATCH_RELAYED,
	WATCH_REFUSED,
	WATCH_PUT_OFF,
	WATCH_ABORTED, /* accepted, and given up by the client */
	WATCH_MONITORED, /* monitor and observe mode: the MTA decided */
	WATCH_FATES
};

/* One row of audit.db. */
struct watch_event {
	int64_t id, at_ms, last_ms;
	int64_t count; /* recipients; 0: another row stands for it */
	enum watch_fate fate;
	/* into text; "" where there is none */
	const char *reason, *client, *sender, *recipient;
	const char *auth_user, *login_users;
	char *text; /* owned */
};

/* A client or user that is denied, went over a limit, or comes near one. */
struct watch_limit {
	bool is_user;
	bool denied, over;
	int percent; /* of the limit; 0 when denied or over */
	char subject[256]; /* an address, a network or a user */
	char words[WATCH_WORDS_MAX];
};

enum watch_level { WATCH_GOOD, WATCH_ODD, WATCH_BAD };

struct watch_state {
	enum watch_level level;
	char words[WATCH_WORDS_MAX];
};

struct watch_model {
	int64_t now; /* Unix seconds, when it was gathered */
	int64_t interval_s;
	char host[64];
	/* the oldest first; owned */
	struct watch_event *event;
	size_t n;
	bool cut; /* there were more in the window than are kept */
	struct watch_state milter, collector, tables;
	struct watch_limit limit[WATCH_LIMITS];
	size_t limits;
	struct watch_state limits_state; /* when they can't be told */
};

/* --- sums of the window: tally.c; pure --- */

struct watch_top {
	bool is_user;
	const char *name; /* of an event */
	int64_t recipients[WATCH_FATES];
	int64_t senders; /* distinct */
	int64_t last_ms;
};

struct watch_tally {
	int64_t recipients[WATCH_FATES];
	/* Clients and users with most recipients relayed, then refused. */
	struct watch_top top[WATCH_TOP];
	size_t tops;
	int64_t since_ms; /* the oldest that is counted */
};

/* Sum up those events that filter leaves (see watch_match()). Returns false
 * when memory is short. */
bool watch_sum_up(
    const struct watch_model *m, const char *filter, struct watch_tally *t);

/* Does one of the event's texts have each word of filter, in any case of ASCII?
 * An empty filter matches all. */
bool watch_match(const struct watch_event *e, const char *filter);
/* The user an event is of: AUTH's, else the login's; "" none. */
const char *watch_user(const struct watch_event *e);
const char *watch_fate_name(enum watch_fate fate);

#endif
