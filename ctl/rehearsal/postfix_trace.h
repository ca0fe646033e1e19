/* SPDX-License-Identifier: ISC */
/* postfix_trace - what the verbose log of Postfix says: which restriction and
 * table let a recipient pass, and where mail would go. Pure. */
#ifndef POPGATE_POSTFIX_TRACE_H
#define POPGATE_POSTFIX_TRACE_H

#include <stdbool.h>
#include <stddef.h>

enum { POSTFIX_TRACE_WORD = 320 };

/* Why a recipient was taken. Each is "" when the log doesn't say. */
struct postfix_cause {
	char restriction[POSTFIX_TRACE_WORD]; /* "check_sender_access" */
	char table[POSTFIX_TRACE_WORD]; /* "hash:/etc/postfix/x" */
	char value[POSTFIX_TRACE_WORD]; /* "OK" */
	char subject[POSTFIX_TRACE_WORD]; /* what was looked up */
	char pattern[POSTFIX_TRACE_WORD]; /* of mynetworks: "0.0.0.0/0" */
	char class[POSTFIX_TRACE_WORD]; /* of the recipient: "relay" */
	bool whole; /* the log goes on to the end of the connection */
};

/* Read the cause for the last recipient in the log of one dialogue. */
void postfix_trace_read(const char *log, struct postfix_cause *cause);

/* Does mail to this recipient, verified by "sendmail -bv", leave the machine?
 * The last recipient and the daemon that was to deliver it are given; false:
 * there is no further one. Goes on in *log.
 *   to    the final recipient
 *   from  the recipient as it was given
 *   leaves  smtp(8) would have sent it */
bool postfix_trace_next(const char **log, char to[POSTFIX_TRACE_WORD],
    char from[POSTFIX_TRACE_WORD], bool *leaves);

#endif
