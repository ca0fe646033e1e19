/* SPDX-License-Identifier: ISC */
/* userlist - the few users whose logins let a client relay, as one text:
 * "alice,bob@example.org". It stands so in the audit's login_user, and the
 * limits are charged from it, now and after a restart. Pure.
 *
 * A comma in a name is written as a semicolon, and doesn't tell two names
 * apart. Nor does the case of ASCII letters: servers that let ALICE in for
 * alice log either. A name with a domain and one without are two users, as two
 * names with different domains are: "info" may be somebody else's in each. */
#ifndef POPGATE_USERLIST_H
#define POPGATE_USERLIST_H

#include <stdbool.h>
#include <stddef.h>

#include "common/records/login.h"

enum {
	USERLIST_USERS = 8, /* at most */
	USERLIST_MAX = 512 /* bytes of a list, with its NUL */
};

/* Are two names one user's? */
bool userlist_same(const char *a, const char *b);

/* Add name at the end, unless it is in the list, is "", or there is no room:
 * for one there always is. Returns whether the list names the user now. */
bool userlist_add(char list[USERLIST_MAX], const char *name);

/* Copy the first name of list. Returns where the next one begins, or NULL at
 * the end of the list. list NULL is an empty one. */
const char *userlist_next(const char *list, char name[LOGIN_USER_MAX]);

bool userlist_has(const char *list, const char *name);
unsigned userlist_count(const char *list);

#endif
