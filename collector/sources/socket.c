/* SPDX-License-Identifier: ISC */
/* A Unix datagram socket that syslog daemons write to: one message each. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "collector/sources/datagram.h"
#include "collector/sources/source.h"
#include "common/base/err.h"
#include "common/logs/lines.h"

enum { SOCKET_MODE = 0660 };

struct sock {
	int fd;
	int64_t received; /* bytes: the position of evidence */
	struct sockaddr_un address;
	char buf[LINES_MAX + 1];
};

static int
sock_open(const struct config_source *cfg, const struct source_options *options,
    void **impl_r, struct err *err)
{
	struct sock *s = calloc(1, sizeof(*s));

	(void)options;
	if (s == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return -1;
	}
	s->fd = datagram_open(cfg->where, SOCKET_MODE, &s->address, err);
	if (s->fd == -1) {
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

	datagram_close(s->fd, &s->address);
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

	assert(len <= sizeof(s->buf));
	if (len > LINES_MAX) {
		line.text = "";
		line.too_long = true;
		return line;
	}
	while (len > 0 && (s->buf[len - 1] == '\n' || s->buf[len - 1] == '\0'))
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
sock_mark(void *impl, struct mark *mark)
{
	mark->position = ((const struct sock *)impl)->received;
}

const struct source_ops source_socket_ops = { .open = sock_open,
	.close = sock_close,
	.fd = sock_fd,
	.read = sock_read,
	.mark = sock_mark };
