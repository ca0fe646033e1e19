/* SPDX-License-Identifier: ISC */
/* sendmail_wiring - what of a Sendmail configuration must be edited so that
 * Sendmail asks popgate and keeps all that it does today.
 *
 * What Sendmail does is read from sendmail.cf. What is edited are the files
 * that sendmail.cf was made of by m4, or sendmail.cf itself where there are
 * none. Pure: texts in, edits out. Any thread. */
#ifndef POPGATE_SENDMAIL_WIRING_H
#define POPGATE_SENDMAIL_WIRING_H

#include <stddef.h>

#include "common/mta/edit_plan.h"

struct err;

/* The name of popgate's filter in sendmail.cf, and what the admin's own rule
 * set is called once popgate's calls it. */
#define SENDMAIL_FILTER "popgate"
#define SENDMAIL_OWN_RULES "Own_check_rcpt"

/* A file; text NULL: it doesn't exist. Borrowed. */
struct sendmail_file {
	const char *path, *text;
};

struct sendmail_source {
	struct sendmail_file cf; /* sendmail.cf; its text is never NULL */
	/* The .mc file, then the files below /etc that it includes. None:
	 * sendmail.cf is edited itself. */
	const struct sendmail_file *mc;
	size_t n_mc;
	/* The file of popgate's rules, included by the .mc file:
	 * "/etc/mail/popgate.m4", and what it holds today. */
	struct sendmail_file rules;
	/* The same for what stands before Sendmail's DNS block lists, where it
	 * has such lists: "/etc/mail/popgate-lists.m4". */
	struct sendmail_file lists;
	const char *closed_m4, *lists_m4; /* the files of etc/sendmail/ */
};

/* Sockets as Sendmail and libmilter write them: "unix:/path",
 * "inet:8891@127.0.0.1" */
struct sendmail_sockets {
	const char *milter, *socketmap;
};

enum sendmail_note_kind {
	SENDMAIL_LOOPBACK_ONLY, /* no listener takes mail from the network */
	SENDMAIL_AUTH_ONLY, /* a port that wants AUTH of everybody (M=a) */
	SENDMAIL_GENERATED, /* the file says that a program writes it */
	SENDMAIL_REFUSES_FIRST, /* refuses a client before popgate is asked */
	SENDMAIL_RELAYS, /* relays for clients that popgate may not know */
	SENDMAIL_RECIPIENTS, /* relays to domains that must be in
				relay.local_domains */
	SENDMAIL_OWN_WORD, /* rules of the admin's own, asked before popgate */
	SENDMAIL_WAS_OPEN, /* relayed for everybody; the plan closes it */
	SENDMAIL_OLD_WIRING, /* a wiring of popgate's that is replaced */
	SENDMAIL_RUNS_AS /* listens as this user, who must reach the sockets */
};

/* Plan the edits that wire popgate in. A configuration that is wired gives no
 * edits. Returns 0, or -1 when it can't be wired; err says why, with file and
 * line. The plan is to be released in either case. */
int sendmail_wiring_plan(const struct sendmail_source *src,
    const struct sendmail_sockets *sockets, struct edit_plan *plan,
    struct err *err);

/* Do two sendmail.cf say the same? Comments, which hold the date of the build,
 * don't count. line_r (may be NULL): the first line of a that b hasn't.
 * Returns 1, 0, or -1 when memory is short. */
int sendmail_cf_same(const char *a, const char *b, unsigned *line_r);

/* The parts of popgate's wiring that a sendmail.cf lacks, in plain words, one a
 * line in buf; empty: it is whole. Returns how many are missing, or -1 when
 * memory is short. */
int sendmail_wiring_missing(const char *cf,
    const struct sendmail_sockets *sockets, char *buf, size_t size);

#endif
