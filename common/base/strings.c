/* SPDX-License-Identifier: ISC */
#include "common/base/strings.h"

#include <stdlib.h>
#include <string.h>

bool
string_list_add(struct string_list *list, const char *text, size_t len)
{
	char **v = reallocarray(list->v, list->n + 1, sizeof(*v));

	if (v == NULL)
		return false;
	list->v = v;
	v[list->n] = strndup(text, len);
	return v[list->n] != NULL && ++list->n > 0;
}

bool
string_list_has(const struct string_list *list, const char *text)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->v[i], text) == 0)
			return true;
	return false;
}

void
string_list_release(struct string_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->v[i]);
	free(list->v);
	*list = (struct string_list){ 0 };
}
