/* A Unix datagram socket that syslog daemons write to: one message each. */
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "err.h"
#include "lines.h"
#include "source.h"

enum { SOCKET_MODE = 0660, SOCKET_BUFFER = 1024 * 1024 };

struct sock {
	int fd;
	int64_t received;	/* bytes: the position of evidence */
	struct sockaddr_un address;
	char buf[LINES_MAX + 1];
};

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
		return errno == ENOENT ? 0 :
		    path_error(sun->sun_path, "bind", err);
	if (!S_ISSOCK(st.st_mode)) {
		err_set(err, ERR_IO, "%s: exists and is no socket",
		    sun->sun_path);
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
		    rc == 0 || error == EPROTOTYPE ?
		    "another process reads there" : strerror(error));
		return -1;
	}
	if (unlink(sun->sun_path) == -1 && errno != ENOENT)
		return path_error(sun->sun_path, "unlink", err);
	return 0;
}

static int
bind_socket(struct sock *s, struct err *err)
{
	const int size = SOCKET_BUFFER;

	if (clear_path(&s->address, err) == -1)
		return -1;
	s->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd == -1) {
		err_set(err, ERR_IO, "socket: %s", strerror(errno));
		return -1;
	}
	/* best effort: the kernel has its limit */
	(void)setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	/* who may write a login must never be "everybody", not for a moment */
	mode_t old = umask(0177);
	int rc = bind(s->fd, (const struct sockaddr *)&s->address,
	    sizeof(s->address));

	(void)umask(old);
	if (rc == -1)
		(void)path_error(s->address.sun_path, "bind", err);
	else if (chmod(s->address.sun_path, SOCKET_MODE) == 0)
		return 0;
	else
		(void)path_error(s->address.sun_path, "chmod", err);
	(void)close(s->fd);
	return -1;
}

static int
sock_open(const struct config_source *cfg,
    const struct source_options *options, void **impl_r, struct err *err)
{
	struct sock *s = calloc(1, sizeof(*s));

	(void)options;
	if (s == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return -1;
	}
	s->address.sun_family = AF_UNIX;
	(void)snprintf(s->address.sun_path, sizeof(s->address.sun_path),
	    "%s", cfg->where);
	if (bind_socket(s, err) == -1) {
		free(s);
		return -1;
	}
	*impl_r = s;
	return 0;
}

static void
sock_close(void *impl)
{
	struct sock *s = impl;

	(void)unlink(s->address.sun_path);
	(void)close(s->fd);
	free(s);
}

static int
sock_fd(const void *impl)
{
	return ((const struct sock *)impl)->fd;
}

/* A datagram is one message. A newline inside it would be the sender's mistake
 * or a client's forgery: it is left in, and no grammar takes it. */
static struct line
line_of(const struct sock *s, size_t len)
{
	struct line line = { .text = s->buf, .position = s->received };

	if (len > LINES_MAX) {
		line.text = "";
		line.too_long = true;
		return line;
	}
	while (len > 0 && (s->buf[len - 1] == '\n' ||
	    s->buf[len - 1] == '\0'))
		len--;
	line.len = len;
	return line;
}

static int
sock_read(void *impl, size_t budget, line_fn *fn, void *arg, struct err *err)
{
	struct sock *s = impl;

	while (budget > 0) {
		ssize_t n = recv(s->fd, s->buf, sizeof(s->buf), 0);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && errno == EAGAIN)
			return SOURCE_END;
		if (n == -1) {
			err_set(err, ERR_IO, "%s: %s", s->address.sun_path,
			    strerror(errno));
			return -1;
		}
		struct line line = line_of(s, (size_t)n);

		s->received += n;
		/* an empty one must use up budget too */
		budget -= (size_t)n + 1 < budget ? (size_t)n + 1 : budget;
		if (!fn(arg, &line))
			return SOURCE_MORE;
	}
	return SOURCE_MORE;
}

static void
sock_mark(const void *impl, struct mark *mark)
{
	mark->position = ((const struct sock *)impl)->received;
}

const struct source_ops source_socket_ops = {
	.open = sock_open,
	.close = sock_close,
	.fd = sock_fd,
	.read = sock_read,
	.mark = sock_mark
};
