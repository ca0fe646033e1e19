/* SPDX-License-Identifier: ISC */
#include "ctl/stage/doors.h"

#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/err.h"
#include "ctl/stage/room.h"

enum { BACKLOG = 64, PIPE_S = 10 };

int
door_unix(const char *path, int type, struct err *err)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	char dir[sizeof(sun.sun_path)];
	char *slash;
	int fd;

	if (strlen(path) >= sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(sun.sun_path, path, strlen(path) + 1);
	memcpy(dir, sun.sun_path, sizeof(dir));
	slash = strrchr(dir, '/');
	if (slash != NULL && slash != dir) {
		*slash = '\0';
		if (room_writable(dir, err) == -1)
			return -1;
	}
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd != -1 &&
	    (bind(fd, (const struct sockaddr *)&sun, sizeof(sun)) == -1 ||
		chmod(path, 0666) == -1 ||
		(type == SOCK_STREAM && listen(fd, BACKLOG) == -1))) {
		int error = errno;

		(void)close(fd);
		errno = error;
		fd = -1;
	}
	return fd;
}

int
door_inet(const struct addr *addr, unsigned port, int type)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6,
		.sin6_port = htons((uint16_t)port) };
	struct sockaddr_in four = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port) };
	bool is_six = addr->family == ADDR_IPV6;
	const int on = 1;
	int fd = socket(is_six ? AF_INET6 : AF_INET,
	    type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memcpy(&six.sin6_addr, addr->bytes, 16);
	memcpy(&four.sin_addr, addr->bytes, 4);
	if (fd == -1)
		return -1;
	if (is_six) {
		(void)setsockopt(
		    fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof(on));
		(void)setsockopt(
		    fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	}
	if (bind(fd,
		is_six ? (const struct sockaddr *)&six
		       : (const struct sockaddr *)&four,
		is_six ? sizeof(six) : sizeof(four)) == 0 &&
	    (type != SOCK_STREAM || listen(fd, BACKLOG) == 0))
		return fd;
	(void)close(fd);
	return -1;
}

int
door_machine(int machine, int room, unsigned port)
{
	const struct timeval patience = { .tv_sec = PIPE_S };
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd;

	if (setns(machine, CLONE_NEWNET) == -1)
		return -1;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (setns(room, CLONE_NEWNET) == -1)
		_exit(1);
	if (fd == -1)
		return -1;
	(void)setsockopt(
	    fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (const struct sockaddr *)&sin, sizeof(sin)) == 0)
		return fd;
	(void)close(fd);
	return -1;
}
