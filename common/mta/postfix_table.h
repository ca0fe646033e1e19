/* SPDX-License-Identifier: ISC */
/* postfix_table - the entries of a Postfix lookup table, and what a result of
 * access(5) does. Tables are named as in main.cf: "type:name". Any thread. */
#ifndef POPGATE_POSTFIX_TABLE_H
#define POPGATE_POSTFIX_TABLE_H

#include <stdbool.h>

#include "common/base/strings.h"

struct err;

enum { POSTFIX_WHY_MAX = 400 }; /* bytes: why a table can't be read */

enum postfix_table_kind {
	TABLE_KEYS, /* hash, btree, inline and so on: exact keys */
	TABLE_CIDR,
	TABLE_PATTERN, /* regexp, pcre: key is "/expression/flags" */
	TABLE_ALWAYS /* static: one result for everything; key "" */
};

/* The meaning of a lookup result to smtpd (access(5), smtpd_check.c). */
enum access_result {
	RESULT_NEUTRAL, /* DUNNO, WARN, HOLD, PREPEND... */
	RESULT_OK,
	RESULT_DIGITS, /* all digits: is OK too */
	RESULT_REJECT, /* also DEFER, 4xx, 5xx, DISCARD */
	RESULT_LIST /* restrictions, or a class of them */
};

/* kind: of the table the entry is from. Both strings are borrowed. */
typedef void postfix_table_entry(void *arg, enum postfix_table_kind kind,
    const char *key, const char *value);

enum access_result access_result_parse(const char *value);

/* Does this expression match whatever comes? */
bool postfix_pattern_is_all(const char *pattern);

/* Call entry for each entry of the table ("type:name", as in main.cf).
 *   dir  configuration directory, for postmap(1)
 *   why  (POSTFIX_WHY_MAX bytes) what could not be read, when false is
 * returned: tables that can't be listed (ldap, mysql, socketmap), missing files
 * Pure for static, inline and texts that postfix_table_parse() gets. */
bool postfix_table_read(const char *dir, const char *table,
    postfix_table_entry *entry, void *arg, char *why);

/* The text of a table, as its source file has it. */
void postfix_table_parse(enum postfix_table_kind kind, const char *text,
    postfix_table_entry *entry, void *arg);

/* Can postmap -s list it: "hash:/path", "inline:{...}" and the like, also
 * behind "proxy:"? Others (regexp, pcre, ldap, mysql, ...) can only be asked.
 */
bool postfix_table_listable(const char *table);

/* All of a listable table as lines "key<TAB>value", to be freed by the caller;
 * or NULL with err. Runs postmap: not for a hot path.
 *   dir    Postfix's configuration
 *   files  gets the path of its file, for those who watch it for changes */
char *postfix_table_list(const char *dir, const char *table,
    struct string_list *files, struct err *err);

/* The next word of a list, separated by blanks and commas outside of "{ }": its
 * length, and where it begins in *word_r; braces around all of it are left out.
 * 0 at the end. Goes on in *text. */
size_t postfix_next_word(const char **text, const char **word_r);

/* The file that a table is made from, or NULL: "hash:/x" -> "/x". Points
 * into table. */
const char *postfix_table_path(const char *table);

/* The line of a table's source (NULL: none) that begins with this key, in
 * upper or lower case; 0 when there is none. */
unsigned postfix_table_line(const char *text, const char *key);

#endif
