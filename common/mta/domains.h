/* SPDX-License-Identifier: ISC */
/* domains - the set of domains that are ours. */
#ifndef POPGATE_DOMAINS_H
#define POPGATE_DOMAINS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/strings.h"
#include "common/base/strset.h"

struct err;

enum { DOMAIN_TEXT_MAX = 256 };

/* Constant once loaded: any number of threads may ask it. */
struct domain_set {
	struct strset names; /* folded; ".x" is a wildcard */
	bool wildcards;
	/* files it came from: to be read again when one changes */
	struct string_list files;
};

/* Read what relay.local_domains names:
 *   "example.com"     this domain
 *   ".example.com"    every domain below it
 *   "[192.0.2.1]"     this address literal
 *   "file:/path"      one of the above a line, # comments
 *   "postfix:/etc/postfix"  mydestination, relay_domains,
 *                     virtual_alias_domains, virtual_mailbox_domains as
 *                     postconf(1) prints them, tables by postmap -s
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

/* folded: from domain_fold(). */
bool domains_contain(const struct domain_set *set, const char *folded);

#endif
