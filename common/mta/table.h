/* table - what is in a lookup table of Postfix's, where that can be told. */
#ifndef POPGATE_TABLE_H
#define POPGATE_TABLE_H

#include <stdbool.h>

#include "common/base/strings.h"

struct err;

/* "hash:/path" and others that postmap -s lists, also behind "proxy:". One
 * that can only be asked (regexp, pcre, ldap, mysql, ...) would have to be
 * asked at RCPT, by a process. */
bool table_listable(const char *table);

/* All of it: lines "key<TAB>value", to be freed by the caller. Runs postmap:
 * not for a hot path.
 *   dir    Postfix's configuration
 *   table  one that is listable
 *   files  gets the path of its file, for those who look whether it changes
 * NULL with err. */
char *table_list(const char *dir, const char *table, struct string_list *files,
    struct err *err);

#endif
