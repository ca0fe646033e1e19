/* SPDX-License-Identifier: ISC */
/* get - an HTTP client on a Unix socket, for the tests of pages. */
#ifndef POPGATE_UNIT_GET_H
#define POPGATE_UNIT_GET_H

#include <sys/socket.h>
#include <sys/un.h>

#include "tests/unit/unit.h"

static inline int
get_connect(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	assert_int_not_equal(fd, -1);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

/* Send a request, and read until the server closes. Returns the whole reply
 * (static); closes fd. */
static inline const char *
get_ask(int fd, const char *request)
{
	static char reply[65536];
	size_t len = 0;
	ssize_t n;

	assert_int_equal(write(fd, request, strlen(request)), strlen(request));
	while ((n = read(fd, reply + len, sizeof(reply) - 1 - len)) > 0)
		len += (size_t)n;
	reply[len] = '\0';
	(void)close(fd);
	return reply;
}

/* The reply to GET of a page. */
static inline const char *
get_page(const char *path, const char *page)
{
	char request[200];

	(void)snprintf(
	    request, sizeof(request), "GET %s HTTP/1.0\r\n\r\n", page);
	return get_ask(get_connect(path), request);
}

#endif
