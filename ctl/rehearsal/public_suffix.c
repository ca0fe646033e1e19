/* SPDX-License-Identifier: ISC */
#include "ctl/rehearsal/public_suffix.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

bool
is_public_suffix(const char *word)
{
	/* names that the public DNS doesn't have, RFC 6761 and usage */
	static const char *const own[] = { "local", "localhost", "localdomain",
		"lan", "home", "corp", "internal", "intranet", "private",
		"uucp", "bitnet", "decnet", "redirect", "arpa" };
	static const char *const second[] = { "ac", "co", "com", "edu", "gob",
		"gov", "gv", "ne", "net", "or", "org" };
	const char *dot = strchr(word, '.');

	if (dot == NULL) {
		for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
			if (strcasecmp(word, own[i]) == 0)
				return false;
		return true;
	}
	if (strlen(dot + 1) != 2 || !isalpha((unsigned char)dot[1]))
		return false;
	for (size_t i = 0; i < sizeof(second) / sizeof(second[0]); i++)
		if (strlen(second[i]) == (size_t)(dot - word) &&
		    strncasecmp(word, second[i], (size_t)(dot - word)) == 0)
			return true;
	return false;
}
