/* SPDX-License-Identifier: ISC */
/* figures - all that a report says, as numbers and raw text: gathered once,
 * then rendered as text, JSON or a page. What clients chose (names, addresses)
 * is as the database has it: each renderer escapes and cuts it. */
#ifndef POPGATE_REPORT_FIGURES_H
#define POPGATE_REPORT_FIGURES_H

#include <stdbool.h>
#include <stdint.h>

enum {
	REPORT_SLOTS_MAX = 400,
	REPORT_REASONS_MAX = 24,
	REPORT_TOP = 20, /* rows of a table */
	REPORT_LINES = 60, /* lines of a list */
	REPORT_WEEKS = 64,
	REPORT_CLOCK = 24, /* hours of the day */
	REPORT_NAME = 256, /* bytes that are kept of a name, with its NUL */
	REPORT_WORDS = 700
};

/* Sums as popgatectl stats counts them. */
struct report_sums {
	int64_t recipients, accepted, aborted, rejected, tempfailed,
	    would_refuse;
};

struct report_slot { /* an hour, a day, or an hour of the day */
	/* local time, as of stats --by hour (or day); or "00:00" to "23:00" */
	char label[20];
	struct report_sums sums;
	/* neither accepted nor aborted, by reason (see report.reason) */
	int64_t refused[REPORT_REASONS_MAX];
};

struct report_reason {
	char name[32];
	struct report_sums sums;
};

/* A client or a user. */
struct report_party {
	char name[REPORT_NAME];
	struct report_sums sums;
	int64_t by_auth, by_login; /* accepted recipients by that right */
	int64_t by_several; /* of by_login: by logins of several users */
	int64_t senders; /* distinct sender addresses */
	int64_t others; /* distinct users of a client, clients of a user */
	int64_t several; /* most users whose logins let it relay at once */
	int64_t first_ms, last_ms;
};

struct report_parties {
	struct report_party v[REPORT_TOP]; /* those with most first */
	int n;
	int64_t all; /* how many there are */
};

struct report_dependent {
	char name[REPORT_NAME];
	int64_t recipients; /* by a login, in the period */
	int64_t login_at, auth_at; /* the last, Unix seconds; 0: never */
};

struct report_dependents {
	struct report_dependent v[REPORT_TOP];
	int n;
	int64_t all;
};

struct report_week { /* see struct dependents_week */
	char label[20]; /* its Monday */
	int64_t by_login, never_auth, by_auth;
};

struct report_breach {
	char subject[REPORT_NAME], kind[12], setting[32], allowed[32];
	int64_t at_ms, denied_until, lifted_at_ms;
};

struct report_denial {
	char subject[REPORT_NAME], kind[12], reason[REPORT_NAME];
	int64_t since, until; /* Unix seconds */
	bool by_limit; /* else an admin's word */
};

enum report_level { REPORT_GOOD, REPORT_UNKNOWN, REPORT_WARNING, REPORT_BAD };

struct report_line { /* of the state, and of the doctor */
	enum report_level level;
	char what[200], words[REPORT_WORDS];
};

struct report_lines {
	struct report_line v[REPORT_LINES];
	int n;
	int64_t all;
};

struct report {
	char host[256], version[16], zone[64]; /* "CET (UTC+01:00)" */
	int64_t since, until, now; /* Unix seconds */
	int64_t recorded_ms; /* the oldest row that is kept; 0: none */
	bool by_hour; /* slots are hours, else days */

	struct report_sums sums;
	int64_t local; /* recipients of our own, counted since then */
	struct report_slot slot[REPORT_SLOTS_MAX];
	int slots;
	/* by the local hour in which it began, all days together; by_hour:
	 * nothing is counted */
	struct report_slot clock[REPORT_CLOCK];
	struct report_reason reason[REPORT_REASONS_MAX];
	int reasons;

	struct report_parties clients, users; /* who relays */
	int64_t clients_asked; /* distinct clients, refused ones too */
	struct report_parties fresh; /* clients that are new */
	bool fresh_known; /* the record reaches back behind since */
	struct report_parties strangers; /* refused most */
	struct report_parties shared; /* clients with several users */
	bool cut; /* too many clients: some are in no table */
	bool senders_cut; /* too many sender addresses: they're not counted */

	struct report_dependents depend, moved;
	int64_t both; /* users of logins and of AUTH */
	struct report_week week[REPORT_WEEKS];
	int weeks;

	int64_t breaches;
	struct report_breach breach[REPORT_TOP]; /* the newest first */
	int breaches_kept;
	int64_t denials;
	struct report_denial denial[REPORT_TOP];
	int denials_kept;

	struct report_lines state, doctor;
	int64_t lag_s; /* of the slowest log; -1: not known */
	int64_t milter_started_at; /* 0: not known */
	char doctor_from[100]; /* "the file of 2026-..." or "read now" */
};

#endif
