/* SPDX-License-Identifier: ISC */
/* json - JSON (RFC 8259) written to a stream, and single members read back
 * from an object that we wrote. Any thread. */
#ifndef POPGATE_JSON_H
#define POPGATE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* json_open('{' or '['), members, json_close(). key NULL in arrays. */
struct json {
	FILE *to;
	bool comma;
};
void json_open(struct json *j, const char *key, char bracket);
void json_close(struct json *j, char bracket);
void json_text(struct json *j, const char *key, const char *text);
void json_number(struct json *j, const char *key, int64_t n);
void json_bool(struct json *j, const char *key, bool value);
/* text that is JSON already: a number, true, null */
void json_raw(struct json *j, const char *key, const char *text);
void json_line(struct json *j); /* end of a top level value */

/* Look a member of the object text up by its plain key, at the outermost
 * level only. Return false when text is no such object, there is none, or it
 * is of another type. Strings are unescaped (\u below 0x80 only, else '?')
 * and cut to size - 1 bytes. */
bool json_find_text(const char *text, const char *key, char *buf, size_t size);
bool json_find_number(const char *text, const char *key, int64_t *n_r);
bool json_find_bool(const char *text, const char *key, bool *value_r);
/* The number; -1: there is none. */
int64_t json_number_or_none(const char *text, const char *key);
/* Is there such a member, and is it false? */
bool json_is_false(const char *text, const char *key);

#endif
