/* SPDX-License-Identifier: ISC */
#include "ctl/rehearsal/entry_sorts.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/base/addr.h"
#include "common/base/fnv.h"

enum { OF_SORT = 8, OF_SORT_THOROUGH = 64 };

/* The kind of a word. */
static unsigned char
kind_of(const char *word, size_t len)
{
	const char *at = memchr(word, '@', len);
	unsigned dots = 0;

	if (*word == '/' || *word == '^')
		return 1;
	if (at != NULL)
		return at == word ? 2 : at == word + len - 1 ? 3 : 4;
	for (size_t i = 0; i < len && dots < 3; i++)
		dots += word[i] == '.' ? 1 : 0;
	return (
	    unsigned char)((*word == '.' || *word == '*' ? 12U : 8U) + dots);
}

static size_t
key_length(const char *line)
{
	size_t n = strcspn(line, " \t");

	return n > 0 && line[n - 1] == ':' ? n - 1 : n;
}

/* The text behind the key; a pattern may hold blanks. */
static const char *
result_of(const char *line, size_t key)
{
	const char *slash = strrchr(line, '/'), *result = line + key;

	if (*line == '/' && slash != line)
		result = slash + strcspn(slash, " \t");
	return result + strspn(result, ": \t");
}

/* The result counts as it is where it is a word, as in access(5), and by its
 * kind where it is an address, a name or a time. */
static uint64_t
sort_of(const char *line)
{
	size_t key = key_length(line), len;
	const char *result = result_of(line, key);
	unsigned char byte = kind_of(line, key);
	uint64_t sort = fnv_add(FNV_START, &byte, 1);

	len = strcspn(result, " \t\r");
	if (strcspn(result, "@./:") < len ||
	    strspn(result, "0123456789") >= len) {
		byte = (unsigned char)(64 + kind_of(result, len));
		return fnv_add(sort, &byte, 1);
	}
	for (size_t i = 0; i < len; i++) {
		byte = (unsigned char)tolower((unsigned char)result[i]);
		sort = fnv_add(sort, &byte, 1);
	}
	return sort;
}

static bool
is_network(const char *line)
{
	char word[ADDR_TEXT_MAX + 8];
	struct network net;

	(void)snprintf(
	    word, sizeof(word), "%.*s", (int)strcspn(line, " \t"), line);
	return network_parse(word, &net);
}

bool
entry_sorts_take(struct entry_sorts *sorts, const char *line, bool thorough)
{
	const uint64_t key = sort_of(line);
	size_t i = 0;

	if (is_network(line))
		return true;
	while (i < sorts->n && sorts->v[i].key != key)
		i++;
	if (i == ENTRY_SORTS_MAX)
		return false;
	if (i == sorts->n)
		sorts->v[sorts->n++].key = key;
	return sorts->v[i].n++ < (thorough ? OF_SORT_THOROUGH : OF_SORT);
}
