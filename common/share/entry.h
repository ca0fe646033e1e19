/* SPDX-License-Identifier: ISC */
/* entry - what machines that share one gate tell each other: its fields, their
 * limits, and the one way in which they are written as bytes. Pure; any thread.
 *
 *	"PG", version 1, kind: a byte each but "PG"
 *	origin: 16 bytes; number, at, until: 8 bytes each, big-endian
 *	subject, user, service, server, note: length (2 bytes), then the text
 *	messages: 8 bytes; of SHARE_RELAYED only
 *
 * A field that a kind doesn't use is empty or 0. So each entry has exactly one
 * form, and what seal.h says of its bytes holds for its meaning. */
#ifndef POPGATE_SHARE_ENTRY_H
#define POPGATE_SHARE_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/records/login.h"
#include "common/records/userlist.h"

enum {
	SHARE_ORIGIN_MAX = 33, /* 32 hexadecimal digits and a NUL */
	SHARE_NOTE_MAX = 256,
	SHARE_NAME_MAX = 64,
	SHARE_RELAYED_MAX = 1000000, /* recipients of one entry */
	SHARE_BODY_MAX = 1232, /* bytes of the longest entry */
	/* No client is wider, as popgatectl add asks. */
	SHARE_IPV4_BITS_MIN = 8,
	SHARE_IPV6_BITS_MIN = 16
};

/* The bytes of the stream name them: a kind never changes its value. */
enum share_kind {
	SHARE_LOGIN = 'L', /* subject, user, service, server; number */
	SHARE_ADD = 'A', /* subject, user, note; until */
	SHARE_DELETE = 'D', /* subject; "" all logins dated at or earlier */
	SHARE_DENY_CLIENT =
	    'N', /* subject, note; until <= at: denied no more */
	SHARE_DENY_USER = 'U', /* user, note; until as above */
	SHARE_HELLO =
	    'H', /* note: the machine's name; number: its newest login */
	/* subject: the client, "" unknown; user: who is charged for it, of
	 * "login" a userlist; service: "login", "auth" or "client", as
	 * charge.h has it; note: the sender; until: recipients; messages;
	 * number: of its own, grows, never twice */
	SHARE_RELAYED = 'R',
	/* Denied for having gone over a limit. note: the limit and its value;
	 * until as of SHARE_DENY_CLIENT. Users in lower case. */
	SHARE_BREACH_CLIENT = 'B', /* subject */
	SHARE_BREACH_USER = 'V', /* user, by SMTP AUTH */
	SHARE_BREACH_LOGIN = 'W' /* user, by logins */
};

struct share_entry {
	enum share_kind kind;
	char origin[SHARE_ORIGIN_MAX]; /* of the machine's login table */
	int64_t number; /* in the origin's history; grows; 0: not numbered */
	int64_t at; /* Unix seconds */
	int64_t until; /* Unix seconds; 0 where the kind has none */
	int64_t messages; /* of SHARE_RELAYED */
	char subject[NETWORK_TEXT_MAX]; /* canonical address or network */
	char user[USERLIST_MAX]; /* one name, but of SHARE_RELAYED */
	char service[LOGIN_WORD_MAX], server[LOGIN_WORD_MAX];
	char note[SHARE_NOTE_MAX];
};

/* Why an entry of the stream, or a number of them, doesn't count. */
enum share_refusal {
	SHARE_GOOD,
	SHARE_MALFORMED, /* not the form above, or out of its limits */
	SHARE_VERSION, /* of a newer popgate */
	SHARE_FORGED, /* none of our keys sealed it */
	SHARE_FUTURE, /* dated later than our clock by more than 5 minutes */
	SHARE_COPY, /* has been read before */
	SHARE_MISSING, /* its origin had published it, and it never came */
	SHARE_REFUSALS
};

/* "forged": as popgatectl and the metrics call it. */
const char *share_refusal_name(enum share_refusal refusal);

/* Is every field within its limits and canonical, as its kind has it? */
bool share_entry_good(const struct share_entry *entry);

/* Write a good entry. Returns how many bytes. */
size_t share_entry_encode(
    const struct share_entry *entry, uint8_t body[SHARE_BODY_MAX]);

/* Read what a stream held. Returns SHARE_GOOD with *entry filled and good, or
 * SHARE_MALFORMED or SHARE_VERSION. */
enum share_refusal
share_entry_decode(const uint8_t *body, size_t len, struct share_entry *entry);

#endif
