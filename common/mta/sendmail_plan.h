/* SPDX-License-Identifier: ISC */
/* sendmail_plan - what the parts of the Sendmail edit share: the plan as it
 * grows, and the text of popgate's rules. See sendmail_wiring.h. */
#ifndef POPGATE_SENDMAIL_PLAN_H
#define POPGATE_SENDMAIL_PLAN_H

#include <stdbool.h>

#include "common/mta/sendmail_cf.h"
#include "common/mta/sendmail_wiring.h"

/* The names of popgate's maps in sendmail.cf. */
#define SENDMAIL_MAP "sendmail"
#define SENDMAIL_CLIENT_MAP "sendmail_client"

enum { SENDMAIL_LINE_MAX = 2000 /* bytes of a line that is edited */ };

struct sendmail_build {
	const struct sendmail_source *src;
	const struct sendmail_sockets *sockets;
	struct sendmail_cf cf; /* of src->cf, parsed */
	struct edit_plan *plan;
	bool lists_ask; /* the DNS block lists ask popgate first */
	struct sendmail_place {
		const char *file;
		unsigned line;
	} met; /* where two edits want the same line; file NULL: nowhere */
	bool no_memory;
};

/* Add an edit: the lines that stand in text from line on, as many as old has,
 * become text. old and text are copied; see struct edit. */
void sendmail_add_edit(struct sendmail_build *b, const char *file,
    unsigned line, const char *old, const char *text, const char *why);

void sendmail_add_note(struct sendmail_build *b, enum sendmail_note_kind kind,
    const char *file, unsigned line, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* The lines from..last of text, newline included, to be freed; a missing last
 * newline is added. NULL when memory is short. */
char *sendmail_lines(const char *text, unsigned from, unsigned last);

/* A file of etc/sendmail/ with these sockets, to be freed; NULL when memory is
 * short. */
char *
sendmail_rules_m4(const char *file, const struct sendmail_sockets *sockets);

/* The same as lines of sendmail.cf, without what m4 would do.
 *   relay_msg  how that sendmail.cf refuses to relay
 *   letters    only lines that begin with one of these; NULL: all */
char *
sendmail_rules_cf(const char *file, const struct sendmail_sockets *sockets,
    const char *relay_msg, const char *letters);

/* The notes on what sendmail.cf does. */
void sendmail_note_cf(struct sendmail_build *b);
/* The note that Local_check_rcpt, at this place, has rules of the admin's. */
void
sendmail_note_own(struct sendmail_build *b, const char *file, unsigned line);

/* The edits of the .mc files, and of sendmail.cf. Return 0, or -1 with err. */
int sendmail_plan_mc(struct sendmail_build *b, struct err *err);
int sendmail_plan_cf(struct sendmail_build *b, struct err *err);

/* Where the value of an equate, by its first letter, stands between text and
 * end, which may hold m4's quotes; its length in *len. NULL: there is none. */
const char *sendmail_find_equate(
    const char *text, const char *end, char letter, size_t *len);

/* A list of filters, as Sendmail takes it, with popgate's behind; into buf.
 * Returns false when it is there already, or buf is too small. */
bool sendmail_list_add(const char *list, char *buf, size_t size);

/* Is this a listener that only this machine reaches? */
bool sendmail_is_loopback(const char *daemon_options);

/* How this sendmail.cf says that it doesn't relay; "" when it relays for all.
 * Borrowed from cf. */
const char *sendmail_relay_message(const struct sendmail_cf *cf);

#endif
