/* SPDX-License-Identifier: ISC */
#include "collector/sources/datagram.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/place.h"

enum { BUFFER = 1024 * 1024 };

static int
path_error(const char *path, const char *what, struct err *err)
{
	int error = errno;
	char dir[sizeof(((struct sockaddr_un *)0)->sun_path)];
	struct stat st;

	(void)snprintf(dir, sizeof(dir), "%s", path);
	(void)dirname(dir);
	err_set(err, ERR_IO, "%s: %s: %s%s%s", path, what, strerror(error),
	    stat(dir, &st) == -1 ? ": no directory " : "",
	    stat(dir, &st) == -1 ? dir : "");
	return -1;
}

/* Something is there already: remove it if it is a socket that nobody has
 * open any more. */
static int
clear_path(const struct sockaddr_un *sun, struct err *err)
{
	struct stat st;

	if (lstat(sun->sun_path, &st) == -1)
		return errno == ENOENT ? 0
				       : path_error(sun->sun_path, "bind", err);
	if (!S_ISSOCK(st.st_mode)) {
		err_set(
		    err, ERR_IO, "%s: exists and is no socket", sun->sun_path);
		return -1;
	}
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd == -1) {
		err_set(err, ERR_IO, "socket: %s", strerror(errno));
		return -1;
	}
	int rc = connect(fd, (const struct sockaddr *)sun, sizeof(*sun));
	int error = errno;

	(void)close(fd);
	if (rc == 0 || error != ECONNREFUSED) {
		err_set(err, ERR_IO, "%s: %s", sun->sun_path,
		    rc == 0 || error == EPROTOTYPE
			? "another process reads there"
			: strerror(error));
		return -1;
	}
	if (unlink(sun->sun_path) == -1 && errno != ENOENT)
		return path_error(sun->sun_path, "unlink", err);
	return 0;
}

int
datagram_open(
    const char *path, mode_t mode, struct sockaddr_un *sun, struct err *err)
{
	const int size = BUFFER;

	*sun = (struct sockaddr_un){ .sun_family = AF_UNIX };
	(void)snprintf(sun->sun_path, sizeof(sun->sun_path), "%s", path);
	if (clear_path(sun, err) == -1)
		return -1;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd == -1) {
		err_set(err, ERR_IO, "socket: %s", strerror(errno));
		return -1;
	}
	/* best effort: the kernel has its limit */
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	/* who may write a login must never be "everybody", not for a moment */
	mode_t old = umask(0177);
	int rc = bind(fd, (const struct sockaddr *)sun, sizeof(*sun));

	(void)umask(old);
	if (rc == -1)
		(void)path_error(path, "bind", err);
	else if (place_socket(path, mode, (gid_t)-1, err) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

void
datagram_close(int fd, const struct sockaddr_un *sun)
{
	(void)unlink(sun->sun_path);
	(void)close(fd);
}
