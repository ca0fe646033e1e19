/* SPDX-License-Identifier: ISC */
/* exim_talk - dialogues with the Exim of a private copy, by "exim -bh": the
 * whole of SMTP as if from any client, with a trace, and nothing is sent. */
#ifndef POPGATE_EXIM_TALK_H
#define POPGATE_EXIM_TALK_H

#include "ctl/rehearsal/exim_seeds.h"
#include "ctl/rehearsal/exim_trace.h"

struct err;
struct stage;

struct exim_talk {
	struct stage *stage;
	const char *program, *file;
	const struct exim_seeds *seeds;
};

enum { EXIM_TRIES_MAX = 64 };

/* One recipient that a client asks for: a value of each dimension, by its
 * place in the seeds. */
struct exim_try {
	unsigned short v[EXIM_DIMS];
};

/* The outcome: places in the trace. */
struct exim_heard {
	bool answered, accepted;
	size_t from; /* where its dialogue begins */
	size_t rcpt; /* RCPT, or the DATA of a message, where it was answered */
};

const char *exim_try_value(
    const struct exim_talk *t, const struct exim_try *y, enum exim_dim dim);

/* Can only the copy's daemon be asked, one dialogue at a time? TLS, and a
 * challenge that has to be read. */
bool exim_try_alone(const struct exim_talk *t, const struct exim_try *y);

/* Hold up to EXIM_TRIES_MAX dialogues; heard has n. One for the daemon has to
 * be the only one. 0, or -1 with err; release
 * the trace after 0. */
int exim_talk(const struct exim_talk *t, const struct exim_try *tries, size_t n,
    struct exim_trace *trace, struct exim_heard *heard, struct err *err);

/* Would it be taken by the copy's daemon, by TCP? As far as a client of
 * loopback can say it: its name, and AUTH other than PLAIN, are what they are.
 * 1, 0, or -1 with err: there was no answer. */
int exim_talk_tcp(
    const struct exim_talk *t, const struct exim_try *y, struct err *err);

/* The same for one client of our own making, whom nobody needs as a seed.
 *   client  "address" or "address name"
 *   known  it has given the password of this authenticator; NULL: it hasn't */
struct exim_client {
	const char *client, *known, *sender, *recipient;
};
int exim_talk_as(const struct exim_talk *t, const struct exim_client *c,
    struct exim_trace *trace, struct exim_heard *heard, struct err *err);

/* Is a message of now taken, too, as far as the ACLs behind DATA refuse for
 * good? What is put off counts as taken.
 *   heard  its places are DATA's; not answered: Exim didn't get as far, or the
 *          try has STARTTLS, behind which nothing can be asked by "exim -bh"
 * 0, or -1 with err; release the trace after 0. */
int exim_talk_message(const struct exim_talk *t, const struct exim_try *y,
    struct exim_trace *trace, struct exim_heard *heard, struct err *err);

/* Where Exim would send mail to a recipient: what "exim -bt" says, to be freed;
 * NULL with err. */
char *exim_route(const struct exim_talk *t, const char *sender,
    const char *recipient, struct err *err);

/* Would it leave this machine to a stranger's domain? Pure.
 *   config  as "exim -bP config" prints it, for the drivers of transports */
bool exim_route_leaves(const char *route, const char *config);

#endif
