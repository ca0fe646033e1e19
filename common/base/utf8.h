/* SPDX-License-Identifier: ISC */
/* utf8 - one character of text that somebody else wrote. Pure; any thread. */
#ifndef POPGATE_UTF8_H
#define POPGATE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Length in bytes of the well-formed UTF-8 character at p (RFC 3629), 0 when
 * it is none; *cp is its code point. Reads no further than a NUL. */
size_t utf8_length(const unsigned char *p, uint32_t *cp);

/* Would a terminal act on this character, or does it make one name look like
 * another unseen? Control and format characters, those shown as nothing, and
 * what is no character. The one definition of what is not printed as it is. */
bool utf8_harmful(uint32_t cp);

/* The first character of *text into buf of UTF8_ESCAPE_MAX, without a NUL
 * behind it: as it is, or \xNN for each byte of what is harmful or no UTF-8.
 * Moves *text behind it. Returns the length. */
enum { UTF8_ESCAPE_MAX = 20 };
size_t utf8_escape(const char **text, char *buf);

#endif
