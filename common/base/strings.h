/* SPDX-License-Identifier: ISC */
/* strings - a growing list of words. One thread at a time. */
#ifndef POPGATE_STRINGS_H
#define POPGATE_STRINGS_H

#include <stdbool.h>
#include <stddef.h>

/* All zero is an empty list. */
struct string_list {
	char **v;
	size_t n;
};

/* Add a copy of len bytes of text; false when memory is short. */
bool string_list_add(struct string_list *list, const char *text, size_t len);
/* Is text one of the words, to the letter? */
bool string_list_has(const struct string_list *list, const char *text);
/* Free the words and empty the list. */
void string_list_release(struct string_list *list);

#endif
