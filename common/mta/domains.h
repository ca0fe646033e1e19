/* SPDX-License-Identifier: ISC */
/* domains - the set of domains that are ours. */
#ifndef POPGATE_DOMAINS_H
#define POPGATE_DOMAINS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/strings.h"
#include "common/base/strset.h"

struct err;
struct postfix_lists;

enum { DOMAIN_TEXT_MAX = 256 };

/* Constant once loaded: any number of threads may ask it. */
struct domain_set {
	struct strset plain; /* folded; ".x" is a wildcard */
	bool wildcards;
	struct postfix_lists **postfix; /* of each "postfix:" */
	size_t n_postfix;
	/* all that can be listed, Postfix's too: for people, not to decide by
	 */
	struct strset names;
	/* files it came from: to be read again when one changes */
	struct string_list files;
	/* a sentence for each thing in a Postfix's lists that can't be read, or
	 * isn't taken */
	struct string_list warnings;
};

enum domain_answer {
	DOMAIN_FOREIGN,
	DOMAIN_OURS,
	DOMAIN_UNKNOWN, /* a table of Postfix's can't be read, or asked now */
	DOMAIN_PENDING /* is being asked: see postfix_ask_notify() */
};

/* Read what relay.local_domains names:
 *   "example.com"     this domain
 *   ".example.com"    every domain below it
 *   "[192.0.2.1]"     this address literal
 *   "file:/path"      one of the above a line, # comments
 *   "postfix:/etc/postfix"  whatever that Postfix takes for its own
 *                     (postfix_lists.h)
 *   "sendmail:/etc/mail/sendmail.cf"  classes w and VirtHost exactly, class R
 *                     with the domains below (as check_rcpt takes them), from
 *                     its C and F lines
 * Runs postconf and postmap: not for a hot path. Returns 0, or -1 with err
 * that names the place in such a file, but not the setting; *set is empty
 * then. */
int domains_load(
    const struct string_list *names, struct domain_set *set, struct err *err);
void domains_release(struct domain_set *set);

/* Fold a domain for comparison: ASCII case, one trailing dot, U-labels to
 * A-labels (RFC 5891). out has DOMAIN_TEXT_MAX bytes. Returns false when it
 * is no domain: empty, too long, or holds white space or control bytes. */
bool domain_fold(const char *text, size_t len, char *out);

/* Is the domain ours?
 *   folded  from domain_fold()
 *   wait    for a table of Postfix's that has to be asked, some seconds at
 *           most; else the answer may be DOMAIN_PENDING */
enum domain_answer
domains_ask(const struct domain_set *set, const char *folded, bool wait);
/* domains_ask() says DOMAIN_OURS, if need be after a wait. */
bool domains_contain(const struct domain_set *set, const char *folded);

/* How many files and tables couldn't be read when the set was loaded. */
size_t domains_broken(const struct domain_set *set);

/* Is there a table that couldn't be asked the last time? Then what to say of
 * it, in text of size bytes. */
bool domains_failed(const struct domain_set *set, char *text, size_t size);

#endif
