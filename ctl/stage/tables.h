/* SPDX-License-Identifier: ISC */
/* tables - the SQL and LDAP servers of this machine that a Postfix asks for
 * its lookup tables (mysql_table(5), pgsql_table(5), ldap_table(5)). Without
 * them a copy knows no mailbox. They are asked for the same entries as the mail
 * server on the machine asks for; servers on other machines stay out of
 * reach. */
#ifndef POPGATE_STAGE_TABLES_H
#define POPGATE_STAGE_TABLES_H

#include <stddef.h>

#include "common/mta/postfix_conf.h"
#include "common/mta/postfix_endpoint.h"

enum { TABLE_SERVERS_MAX = 32 };

/* Each once: absolute paths of Unix sockets, and ports of loopback. Returns
 * how many of v, which has TABLE_SERVERS_MAX, are filled. */
size_t
tables_servers(const struct postfix_conf *pf, struct postfix_endpoint *v);

/* The servers that one table's file names, added to n of v in the same way.
 * Pure.
 *   type  "mysql", "pgsql" or "ldap" */
size_t tables_servers_of(
    const char *type, const char *text, struct postfix_endpoint *v, size_t n);

#endif
