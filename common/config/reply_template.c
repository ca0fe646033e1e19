/* SPDX-License-Identifier: ISC */
#include "common/config/reply_template.h"

#include <string.h>

static const char expected[] =
    "printable ASCII of at most 400 bytes; in braces only {client}, {ago}, {family} or {other}";

static const char *const words[WORDS] = { [W_CLIENT] = "{client}",
	[W_AGO] = "{ago}",
	[W_FAMILY] = "{family}",
	[W_OTHER] = "{other}" };

enum reply_word
reply_word_at(const char *text, size_t *len_r)
{
	unsigned w = 0;

	while (w < WORDS && strncmp(text, words[w], strlen(words[w])) != 0)
		w++;
	*len_r = w < WORDS ? strlen(words[w]) : 0;
	return (enum reply_word)w;
}

const char *
reply_check(const char *value)
{
	size_t len;

	if (*value == '\0' || strlen(value) > 400)
		return expected;
	for (const char *p = value; *p != '\0'; p++) {
		if (*p < 0x20 || *p > 0x7e)
			return expected;
		if (*p == '{' && reply_word_at(p, &len) == WORDS)
			return expected;
	}
	return NULL;
}

const char *
reply_check_hint(const char *value)
{
	return *value == '\0' ? NULL : reply_check(value);
}
