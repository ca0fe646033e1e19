/* SPDX-License-Identifier: ISC */
/* sendmail_talk - Sendmail asked by its test mode (sendmail -bt) on a private
 * copy: what check_rcpt says to a client, and which rules it took. Many
 * questions in one run; a dialogue by SMTP has to confirm. One thread. */
#ifndef POPGATE_SENDMAIL_TALK_H
#define POPGATE_SENDMAIL_TALK_H

#include <stdbool.h>
#include <stddef.h>

struct err;
struct stage;

struct sendmail_talk {
	struct stage *stage; /* borrowed, all of them */
	const char *program;
	const char *cf;
	/* of the listener: {daemon_flags}, {daemon_name}, {daemon_port} */
	const char *flags, *daemon, *port;
};

/* A client and its words. Borrowed. */
struct sendmail_client {
	const char *address; /* "203.0.113.50" */
	const char *name; /* that its address has, and has that; NULL: none */
	bool claimed; /* the name has another address */
	const char *helo, *sender;
	const char *user; /* who has logged in by AUTH; NULL: nobody */
	const char *recipient; /* without brackets */
};

struct sendmail_said {
	bool answered;
	bool accepted; /* by check_rcpt */
	bool leaves; /* the recipient is routed to another machine... */
	char user[256]; /* ...and by this address there */
};

/* Ask for all; said has n places. 0, or -1 with err. */
int
sendmail_talk(const struct sendmail_talk *t, const struct sendmail_client *v,
    size_t n, struct sendmail_said *said, struct err *err);

/* The lines of the cf whose rules matched, in their order, into lines; how
 * many, at most max. 0 with err when there is no answer. */
size_t sendmail_talk_trace(const struct sendmail_talk *t,
    const struct sendmail_client *c, unsigned *lines, size_t max,
    struct err *err);

/* Read the output of the test mode. Pure; text is changed. */
void sendmail_talk_parse(char *text, struct sendmail_said *said, size_t n);
size_t sendmail_talk_parse_trace(char *text, unsigned *lines, size_t max);

#endif
