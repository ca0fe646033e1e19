/* SPDX-License-Identifier: ISC */
#include "common/records/userlist.h"

#include <assert.h>
#include <string.h>

/* A list has room for any name that a login may have. */
_Static_assert((int)USERLIST_MAX > (int)LOGIN_USER_MAX, "one name fits");

static char
plain(char c)
{
	return c == ',' ? ';' : c;
}

static char
fold(char c)
{
	return plain((char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c));
}

bool
userlist_same(const char *a, const char *b)
{
	while (*a != '\0' && fold(*a) == fold(*b)) {
		a++;
		b++;
	}
	return fold(*a) == fold(*b);
}

const char *
userlist_next(const char *list, char name[LOGIN_USER_MAX])
{
	if (list == NULL || *list == '\0')
		return NULL;
	size_t len = strcspn(list, ","), n = len;

	if (n >= LOGIN_USER_MAX)
		n = LOGIN_USER_MAX - 1;
	memcpy(name, list, n);
	name[n] = '\0';
	return list + len + (list[len] == ',');
}

bool
userlist_has(const char *list, const char *name)
{
	char other[LOGIN_USER_MAX];

	while ((list = userlist_next(list, other)) != NULL)
		if (userlist_same(other, name))
			return true;
	return false;
}

unsigned
userlist_count(const char *list)
{
	char name[LOGIN_USER_MAX];
	unsigned n = 0;

	while ((list = userlist_next(list, name)) != NULL)
		n++;
	return n;
}

bool
userlist_add(char list[USERLIST_MAX], const char *name)
{
	size_t at = strlen(list), len = strlen(name);

	if (len == 0 || len >= LOGIN_USER_MAX)
		return false;
	if (userlist_has(list, name))
		return true;
	if (at + 1 + len >= USERLIST_MAX ||
	    userlist_count(list) == USERLIST_USERS)
		return false;
	assert(at < USERLIST_MAX);
	if (at > 0)
		list[at++] = ',';
	for (; *name != '\0'; name++)
		list[at++] = plain(*name);
	assert(at < USERLIST_MAX);
	list[at] = '\0';
	return true;
}
