/* SPDX-License-Identifier: ISC */
/* postfix_lists - the four lists of a Postfix that say which domains are its
 * own (mydestination, virtual_alias_domains, virtual_mailbox_domains,
 * relay_domains), asked as Postfix asks them: word after word, the first that
 * matches counts, "!" takes out, a table that fails leaves it open. Constant
 * once loaded: any number of threads may ask. */
#ifndef POPGATE_POSTFIX_LISTS_H
#define POPGATE_POSTFIX_LISTS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/strings.h"
#include "common/base/strset.h"
#include "common/mta/postfix_lookup.h"

struct err;
struct postfix_lists;

/* Load them. Runs postconf and postmap: not for a hot path.
 *   dir       Postfix's configuration
 *   files     gets the files to be watched for changes
 *   names     gets the domains that can be listed, for people: folded, ".x"
 *             means those below x
 *   warnings  gets a sentence for each word that can't be read, or isn't taken
 * Returns NULL with err when postconf can't be asked, or memory is short. */
struct postfix_lists *
postfix_lists_load(const char *dir, struct string_list *files,
    struct strset *names, struct string_list *warnings, struct err *err);
void postfix_lists_free(struct postfix_lists *l); /* NULL-safe */

/* Is the domain, as domain_fold() gives it, one of Postfix's own?
 *   wait  for postmap, where a table can only be asked; else the answer may be
 *         POSTFIX_PENDING */
enum postfix_answer
postfix_lists_ask(const struct postfix_lists *l, const char *domain, bool wait);

/* How many of its files and tables couldn't be read. */
size_t postfix_lists_broken(const struct postfix_lists *l);

/* A table that couldn't be asked the last time it was: what to say of it, in
 * text of size bytes. The first one; false: there is none. */
bool
postfix_lists_failed(const struct postfix_lists *l, char *text, size_t size);

#endif
