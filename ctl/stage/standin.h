/* SPDX-License-Identifier: ISC */
/* standin - what stands in for a server that the mail server asks and that
 * isn't in its private copy. Each gives the answer that changes nothing: a
 * milter continues, a policy service says DUNNO, a table has no entry, a
 * content filter accepts. An auth server lets in whoever gives STAGE_PASSWORD.
 *
 * Here are the protocols alone: bytes in, bytes out. Pure. */
#ifndef POPGATE_STANDIN_H
#define POPGATE_STANDIN_H

#include <stdbool.h>
#include <stddef.h>

enum standin_kind {
	STANDIN_MILTER, /* Sendmail's milter protocol, version 6 and before */
	STANDIN_POLICY, /* SMTPD_POLICY_README */
	STANDIN_AUTH, /* Dovecot's auth protocol, version 1: PLAIN */
	STANDIN_SASLAUTHD, /* Cyrus SASL's saslauthd */
	STANDIN_SOCKETMAP, /* socketmap_table(5) */
	STANDIN_SMTP /* smtpd_proxy_filter */
};

enum { STANDIN_IN_MAX = 16384, STANDIN_OUT_MAX = 1024 };

/* One connection; all zero but kind at its beginning. */
struct standin {
	enum standin_kind kind;
	char in[STANDIN_IN_MAX]; /* what isn't understood yet */
	size_t len;
	size_t skip; /* bytes of a packet that nobody looks at */
	bool data; /* SMTP: in a message */
	char id[24]; /* AUTH: of the request that waits for its response */
};

/* The server's first words; "" none. */
const char *standin_greeting(enum standin_kind kind);

/* Take bytes that came in, and give what is to be said to them.
 *   out    buffer of STANDIN_OUT_MAX; *out_len bytes of it are filled
 *   taken  how many of len bytes were taken; the rest comes in again when out
 *          is said
 * Returns false when the connection is to be closed, after out is said. */
bool standin_feed(struct standin *s, const char *data, size_t len,
    size_t *taken, char *out, size_t *out_len);

#endif
