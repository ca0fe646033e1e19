/* access_map - the entries of a Postfix lookup table, and what a result of
 * access(5) does. */
#ifndef POPGATE_ACCESS_MAP_H
#define POPGATE_ACCESS_MAP_H

#include <stdbool.h>

enum map_kind {
	MAP_KEYS, /* hash, btree, inline and so on: exact keys */
	MAP_CIDR,
	MAP_PATTERN, /* regexp, pcre: key is "/expression/flags" */
	MAP_ALWAYS /* static: one result for everything; key "" */
};

/* What a lookup result means to smtpd (access(5), smtpd_check.c). */
enum map_result {
	RESULT_NEUTRAL, /* DUNNO, WARN, HOLD, PREPEND... */
	RESULT_OK,
	RESULT_DIGITS, /* all digits: is OK too */
	RESULT_REJECT, /* also DEFER, 4xx, 5xx, DISCARD */
	RESULT_LIST /* restrictions, or a class of them */
};

/* kind: of the table the entry is from. Both strings are borrowed. */
typedef void
map_entry(void *arg, enum map_kind kind, const char *key, const char *value);

enum map_result map_result_parse(const char *value);

/* Does this expression match whatever comes? */
bool map_pattern_is_all(const char *pattern);

/* Call entry for each entry of the table ("type:name", as in main.cf).
 *   dir  configuration directory, for postmap(1)
 *   why  (400 bytes) what could not be read, when false is returned: tables
 *        that can't be listed (ldap, mysql, socketmap), missing files
 * Pure for static, inline and texts that map_text_parse() gets. */
bool map_read(
    const char *dir, const char *table, map_entry *entry, void *arg, char *why);

/* The text of a table, as its source file has it. */
void map_text_parse(
    enum map_kind kind, const char *text, map_entry *entry, void *arg);

/* A file's text, at most RUN_OUTPUT_MAX bytes, to be freed; NULL: errno. */
char *map_file_read(const char *path);

/* The file that a table is made from, or NULL: "hash:/x" -> "/x". Points
 * into table. */
const char *map_path(const char *table);

/* The line of a table's source (NULL: none) that begins with this key, in
 * upper or lower case; 0 when there is none. Any thread. */
unsigned access_map_line(const char *text, const char *key);

#endif
