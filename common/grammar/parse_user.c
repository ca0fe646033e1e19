/* SPDX-License-Identifier: ISC */
/* parse_user - the name of a user who logged in: is it one? */
#include <string.h>

#include "common/grammar/parse.h"
#include "common/grammar/span.h"

static bool
is_anonymous(struct span user)
{
	static const char word[] = "anonymous";

	if (span_len(user) != sizeof(word) - 1)
		return false;
	for (size_t i = 0; i < sizeof(word) - 1; i++) {
		if ((user.p[i] | 0x20) != word[i])
			return false;
	}
	return true;
}

enum fate
parse_user(const char *user, size_t len, char *user_r)
{
	if (len == 0)
		return FATE_NO_USER;
	/* No mail system has such names, and where the server writes its
	 * verdict behind the name, a long one pushes it off the line. */
	if (len >= LOGIN_USER_MAX)
		return FATE_TOO_LONG;
	if (memchr(user, '\0', len) != NULL || memchr(user, '\n', len) != NULL)
		return FATE_BAD_USER;
	if (is_anonymous(span_of(user, len)))
		return FATE_ANONYMOUS;
	memcpy(user_r, user, len);
	user_r[len] = '\0';
	return FATE_LOGIN;
}
