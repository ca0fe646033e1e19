/* SPDX-License-Identifier: ISC */
#include "common/records/limit.h"

#include <assert.h>

const char *
limit_name(enum limit limit)
{
	static const char *const names[LIMITS] = { [LIMIT_CLIENT_RECIPIENTS] =
						       "client_recipients",
		[LIMIT_CLIENT_MESSAGES] = "client_messages",
		[LIMIT_CLIENT_SENDERS] = "client_senders",
		[LIMIT_USER_RECIPIENTS] = "user_recipients",
		[LIMIT_USER_MESSAGES] = "user_messages",
		[LIMIT_USER_CLIENTS] = "user_clients",
		[LIMIT_MESSAGE_RECIPIENTS] = "message_recipients" };

	assert(limit < LIMITS);
	return names[limit];
}
