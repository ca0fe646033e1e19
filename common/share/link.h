/* SPDX-License-Identifier: ISC */
/* link - a connection to the Redis (or Valkey) that carries the stream, by
 * hiredis. Every wait and every answer has an end: a Redis that hangs costs its
 * caller LINK_WAIT_MS, however many bytes it sends meanwhile, and is an error
 * like one that is down. Only a primary is used:
 * what a replica takes or has may be nobody else's.
 *
 * Keys: STREAM is the stream, each entry of it one field "e"; STREAM:ORIGIN is
 * "NUMBER TIME": how much Redis holds of a login table. It is written in one
 * transaction with the entries, so it is true of whatever copy of its data a
 * Redis has. A Redis that lost the stream alone, as it evicts keys, lacks the
 * entry that we added last.
 *
 * Threads: a link belongs to one at a time. Source: redis.io/docs/latest/
 * develop/data-types/streams. */
#ifndef POPGATE_SHARE_LINK_H
#define POPGATE_SHARE_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct link;
struct listen_spec;

enum {
	LINK_WAIT_MS =
	    2000, /* for a connection, and for a question's answers */
	LINK_SERVER_MAX = 64, /* of link_server() */
	LINK_POSITION_MAX = 48
};

/* The server to connect to, and the user to log in as; all is borrowed. */
struct link_to {
	const char *server; /* "unix:/path", "host:port", "tls:host:port" */
	const char *stream;
	const char *user, *password; /* "" none */
	/* PEM files, of "tls:" only. Who may have signed the server's
	 * certificate, "": whom the system trusts. Our own certificate with
	 * its key, "": none. */
	const char *tls_ca, *tls_certificate;
};

/* Take a server's name apart. *tls_r: it is spoken to by TLS, which takes a
 * hiredis of 1.0 or newer. Returns 0, or -1 with ERR_INVALID. */
int link_parse(
    const char *server, struct listen_spec *spec, bool *tls_r, struct err *err);

/* Connect, log in, and see that it is a primary that has its data loaded.
 * Returns 0, or -1 with err: "SERVER: what is wrong". */
int link_open(const struct link_to *to, struct link **l_r, struct err *err);
void link_close(struct link **l); /* NULL-safe */

/* The history of data that Redis holds: another one after a fail-over, or a
 * restart that may have lost some. Positions of one mean nothing in another. */
const char *link_server(const struct link *l);
/* How many seconds its clock is ahead of ours now. */
int64_t link_skew_s(const struct link *l);

/* How much Redis holds of a login table: all up to its login of this number and
 * time. */
struct link_mark {
	int64_t number; /* -1: nothing */
	int64_t at;
};

/* The login that Redis holds of an origin.
 *   entry  the position of one that we added, which is to be there; "" none
 * 0, or -1 with err. */
int link_published(struct link *l, const char *origin, const char *entry,
    struct link_mark *mark, struct err *err);

struct link_bytes {
	const uint8_t *p;
	size_t len;
};

/* Say that Redis holds nothing of origin, whatever its key says. 0, or -1. */
int link_forget(struct link *l, const char *origin, struct err *err);

struct link_batch {
	const struct link_bytes *v;
	size_t n;
	const char *origin;
	const char *entry; /* as in link_published() */
	struct link_mark was; /* what Redis is to hold before, */
	struct link_mark mark; /* and behind it */
	int64_t keep_s; /* entries older than this go */
};

/* Add n entries in one transaction. Returns 1, with the position of the last; 0
 * when Redis holds something else than it was to hold, as it has lost its data,
 * and nothing was added; or -1 with err: they may have been added, or not. */
int link_publish(struct link *l, const struct link_batch *b,
    char added_r[LINK_POSITION_MAX], struct err *err);

/* Ask for up to count entries behind position; the answer comes within
 * block_ms, or as soon as there is an entry: link_fd() is readable then.
 * Nothing else may be asked before link_taken() has said 1. 0, or -1 with err.
 */
int link_read(struct link *l, const char *position, int count, int block_ms,
    struct err *err);
int link_fd(const struct link *l);
bool link_readable(const struct link *l);

/* Take what has come, by fn for each entry: its position, and its bytes (NULL:
 * it has no field "e"). Strings are fn's only until it returns.
 * Returns 1 when the answer is complete (it may hold nothing), 0 when more has
 * to come, or -1 with err. */
int link_taken(struct link *l,
    void (*fn)(void *arg, const char *position, const struct link_bytes *entry),
    void *arg, struct err *err);

#endif
