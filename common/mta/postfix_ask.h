/* SPDX-License-Identifier: ISC */
/* postfix_ask - tables of Postfix that can only be asked (SQL, LDAP, socketmap,
 * tcp): by postmap(1), one process at a time for all that wait, and a bounded
 * memory of its answers. Any thread. */
#ifndef POPGATE_POSTFIX_ASK_H
#define POPGATE_POSTFIX_ASK_H

#include <stdbool.h>
#include <stddef.h>

enum {
	/* an answer is good for so long, ms; a domain that the table got a
	 * moment ago may be refused until then */
	POSTFIX_ASK_FOUND_MS = 300000,
	POSTFIX_ASK_NONE_MS = 30000,
	/* after a failure nothing is asked for so long */
	POSTFIX_ASK_REST_MS = 5000,
	/* below the 10 s that an MTA waits for popgate in the wiring */
	POSTFIX_ASK_TIMEOUT_S = 6,
};

enum postfix_answer {
	POSTFIX_NONE, /* the table has no such key */
	POSTFIX_FOUND,
	POSTFIX_FAILED, /* can't be known now */
	POSTFIX_PENDING /* is being asked: ask again when notified */
};

struct postfix_ask;

/*   dir    Postfix's configuration, for postmap
 *   table  "type:name"
 * NULL when memory is short. */
struct postfix_ask *postfix_ask_new(const char *dir, const char *table);
/* NULL-safe. Doesn't wait: a process that runs is left to its end. */
void postfix_ask_free(struct postfix_ask *a);

/* Ask for n keys, of which those behind the first are only made known, to be
 * asked with it. Returns what is known of the first.
 *   wait  wait for postmap, up to POSTFIX_ASK_TIMEOUT_S and a little: then it
 *         is never POSTFIX_PENDING */
enum postfix_answer postfix_ask_keys(
    struct postfix_ask *a, const char *const keys[], size_t n, bool wait);

/* Did the last process fail? Then why, in why of size bytes. */
bool postfix_ask_failed(struct postfix_ask *a, char *why, size_t size);

/* From now on call fn whenever answers have come, to whomever; from any thread.
 * It must not ask. */
typedef void postfix_ask_fn(void);
void postfix_ask_notify(postfix_ask_fn *fn);

#endif
