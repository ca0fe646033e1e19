/* SPDX-License-Identifier: ISC */
/* backstage - what happens in the copy: its first process makes everything
 * ready, and then does what stage.c asks by a socket, one thing at a time. */
#ifndef POPGATE_BACKSTAGE_H
#define POPGATE_BACKSTAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/addr.h"
#include "common/base/err.h"

struct stage_spec;

enum backstage_op {
	/* addr to a service: a connected socket; words: the service, the
	 * client's name or "", and names that are to exist */
	BACKSTAGE_CONNECT,
	BACKSTAGE_ASKED, /* words: an endpoint; number: how often */
	BACKSTAGE_LOGIN, /* addr; words: the user */
	BACKSTAGE_POPGATE, /* up */
	BACKSTAGE_RUN, /* words: argv, each with its NUL: its output */
	BACKSTAGE_LOG, /* the log */
	BACKSTAGE_DECISIONS, /* at least number of them, as an array */
};

enum { BACKSTAGE_WORDS_MAX = 32768 };

struct backstage_request {
	enum backstage_op op;
	struct addr addr;
	bool up;
	int64_t number;
	uint32_t words_len;
	char words[BACKSTAGE_WORDS_MAX]; /* only words_len of it is sent */
};

/* With it come a socket, or a file of what was asked for. */
struct backstage_answer {
	bool ok; /* false: err says why */
	bool tls; /* CONNECT: the service speaks TLS from the first byte */
	unsigned hops; /* CONNECT: see smtp_talk_private() */
	int64_t number; /* DECISIONS: how many */
	struct err err;
};

/* Be the first process of a room that was left for (room_leave()): never
 * returns. The first answer says whether the copy is ready.
 *   sock  SOCK_SEQPACKET; when its other end is closed, this is the end
 *   machine  the machine's network namespace */
_Noreturn void backstage(const struct stage_spec *spec, int sock, int machine);

#endif
