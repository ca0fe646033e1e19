/* SPDX-License-Identifier: ISC */
/* line - what every source hands on: a whole log line or journal entry; and
 * the mark that says how far a source is read. Plain records. */
#ifndef POPGATE_LINE_H
#define POPGATE_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/zone.h"
#include "common/records/login_datagram.h"

/* How a message came to the journal. What the first two hold counts for
 * nothing. */
enum line_delivery {
	DELIVERY_UNKNOWN = 0, /* by none of the ways that servers take */
	/* journald cut it out of a program's output elsewhere than at a
	 * newline, or what is before it in the same output */
	DELIVERY_CUT,
	/* a line of a program's output: whether the program, or a client by a
	 * raw newline in a name, ended the line before it, journald can't
	 * tell */
	DELIVERY_PIECE,
	DELIVERY_MESSAGE /* one message of its sender, whatever it holds */
};

/* A message that came in fields (journal): the header is not in the text.
 * Strings are never NULL but where said. */
struct line_message {
	const char *host;
	const char *program;
	int64_t pid; /* -1: none */
	int64_t at; /* Unix seconds */
	const char *msg; /* points into line.text */
	size_t msg_len;
	/* who wrote it, as the kernel said; -1 and NULL: unknown */
	int64_t uid;
	const char *comm, *exe, *unit;
	enum line_delivery delivery;
	/* a field that senders set is there twice, or holds a NUL */
	bool doubtful;
};

/* A login that a server told of itself. */
struct line_told {
	struct login_datagram told; /* when good */
	bool good; /* it is such a message */
	int64_t uid, pid; /* who sent it, as the kernel says; -1 */
};

/* A source that holds what a container engine wrote: was the newest line of the
 * standard output, of the error output, cut? */
struct line_outputs {
	bool cut[2];
};

/* Borrowed: valid until the function that was given it returns. */
struct line {
	const char *text; /* no newline, no NUL behind; "" if too_long */
	size_t len;
	int64_t position; /* where in the source it begins */
	bool too_long;
	/* journald itself says, in text, that it dropped messages of this
	 * systemd unit at its rate limit; NULL: a line like others */
	const char *dropped_unit;
	const struct line_message *message; /* NULL: all is in text */
	const struct line_told *told; /* NULL: a log line; else text is the
				       * evidence */
	struct line_outputs *outputs; /* of this source; NULL: there is only
				       * one */
	struct zone zone; /* of stamps that name none */
};

/* Takes a line; returns false to be given no more for now (this one counts
 * as read). */
typedef bool line_fn(void *arg, const struct line *line);

enum { MARK_FINGERPRINT_MAX = 6656 };

/* How far a source is read, to be kept until the next start. */
struct mark {
	uint64_t device, inode; /* files only */
	int64_t position; /* behind the last line read */
	char fingerprint[MARK_FINGERPRINT_MAX]; /* the source's own text */
};

#endif
