/* SPDX-License-Identifier: ISC */
/* mtalog - what Postfix, Sendmail and Exim say of a message in the mail log,
 * from lines that prefix.h has split. Sender and recipient are whatever a
 * client made of them, the text behind a status is a foreign server's: only
 * what stands where the MTA alone writes is taken for structure. Pure. */
#ifndef POPGATE_MTALOG_H
#define POPGATE_MTALOG_H

#include <stdbool.h>
#include <stdint.h>

#include "common/grammar/prefix.h"
#include "common/grammar/span.h"

enum mtalog_kind {
	MTALOG_OTHER, /* of no interest, or not understood */
	MTALOG_CLIENT, /* who brought it: client, user */
	MTALOG_LOCAL, /* a program of this machine brought it: user */
	MTALOG_FROM, /* sender, n; Sendmail: also client, auth */
	MTALOG_TO, /* recipients, n, sent, outside */
	MTALOG_CHILD, /* child is a message made from this one */
	MTALOG_END, /* out of the queue */
	MTALOG_ID, /* Postfix: message_id; Sendmail tells it with MTALOG_FROM */
	MTALOG_AUTH /* Sendmail: this process's client is user */
};

enum mtalog_child { CHILD_FORWARD, CHILD_BOUNCE };

/* Spans point into the line; empty: not told. */
struct mtalog {
	enum mtalog_kind kind;
	bool sendmail; /* Sendmail or Exim, which tell client and sender in one
			* line; else Postfix */
	struct span queue_id; /* empty for MTALOG_AUTH */
	struct span client; /* address, without brackets or "IPv6:" */
	struct span user; /* AUTH, or "uid=33", or a local name */
	struct span sender; /* without brackets */
	struct span recipient; /* the first; without brackets */
	struct span list; /* all of them, for mtalog_recipient() */
	struct span orig_to; /* Postfix: the recipient before expansion */
	struct span message_id; /* the header's, whatever a client put there;
				 * with its brackets */
	struct span child;
	enum mtalog_child child_kind;
	unsigned n; /* recipients */
	bool typed; /* the recipients stood in brackets */
	bool auth; /* Sendmail: the protocol says so (RFC 3848) */
	bool sent;
	bool outside; /* by SMTP, to another machine */
};

/* Returns whether the line is of interest. */
bool mtalog_parse(const struct prefix *prefix, struct mtalog *m);

/* Split a line of Exim's own log ("2026-11-30 05:57:51 1xXuOd-0005Tz-0O <=
 * ..."), whose time is this machine's, or says its zone. Returns false for
 * another line. */
bool mtalog_exim_prefix(
    const char *line, size_t len, struct prefix *prefix, int64_t *at_r);

/* The next of m->list, which steps behind it; without brackets. */
bool mtalog_recipient(struct span *list, struct span *recipient, bool *typed);

#endif
