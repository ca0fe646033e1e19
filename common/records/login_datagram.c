/* SPDX-License-Identifier: ISC */
#include "common/records/login_datagram.h"

#include <assert.h>
#include <string.h>

#include "common/records/login.h"

static const char magic[] = "popgate-login-1";

size_t
login_datagram_format(const struct login_datagram *t, char *buf)
{
	const char *const fields[] = { magic, t->user, t->client, t->service,
		t->server };
	size_t len = 0;

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		size_t n = strlen(fields[i]) + 1;

		if (n > LOGIN_DATAGRAM_MAX - len)
			return 0;
		memcpy(buf + len, fields[i], n);
		len += n;
	}
	assert(len <= LOGIN_DATAGRAM_MAX);
	return len;
}

bool
login_datagram_parse(const char *buf, size_t len, struct login_datagram *t)
{
	const char *fields[5], *p = buf, *end = buf + len;

	if (len > LOGIN_DATAGRAM_MAX)
		return false;
	for (size_t i = 0; i < 5; i++) {
		const char *nul =
		    p == end ? NULL : memchr(p, '\0', (size_t)(end - p));

		if (nul == NULL)
			return false;
		fields[i] = p;
		p = nul + 1;
	}
	if (p != end || strcmp(fields[0], magic) != 0)
		return false;
	*t = (struct login_datagram){ .user = fields[1],
		.client = fields[2],
		.service = fields[3],
		.server = fields[4] };
	return true;
}

bool
login_datagram_service_good(const char *service)
{
	return *service == '\0' || strcmp(service, "imap") == 0 ||
	    strcmp(service, "pop3") == 0;
}

bool
login_datagram_server_good(const char *server)
{
	size_t n = strspn(server,
	    "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");

	return n > 0 && n < LOGIN_WORD_MAX && server[n] == '\0' &&
	    strcmp(server, STORE_ADMIN) != 0;
}
