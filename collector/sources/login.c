/* SPDX-License-Identifier: ISC */
/* A Unix datagram socket where servers tell logins themselves
 * (login_datagram.h). Everybody may write to it: who the sender is comes from
 * the kernel with each datagram, and judge.c looks at that. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "collector/sources/datagram.h"
#include "collector/sources/source.h"
#include "common/base/err.h"
#include "common/records/login_datagram.h"

enum { SOCKET_MODE = 0666, TEXT_MAX = LOGIN_DATAGRAM_MAX + 128 };

struct desk {
	int fd;
	int64_t received; /* bytes: the position of evidence */
	struct sockaddr_un address;
	struct sockaddr_un from; /* of the newest message */
	socklen_t from_len;
	char buf[LOGIN_DATAGRAM_MAX + 1];
	char text[TEXT_MAX];
};

static int
desk_open(const struct config_source *cfg, const struct source_options *options,
    void **impl_r, struct err *err)
{
	struct desk *d = calloc(1, sizeof(*d));
	const int on = 1;

	(void)options;
	if (d == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return -1;
	}
	d->fd = datagram_open(cfg->where, SOCKET_MODE, &d->address, err);
	if (d->fd != -1 &&
	    setsockopt(d->fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == -1) {
		err_set(err, ERR_IO, "%s: SO_PASSCRED: %s", cfg->where,
		    strerror(errno));
		datagram_close(d->fd, &d->address);
		d->fd = -1;
	}
	if (d->fd == -1) {
		free(d);
		return -1;
	}
	*impl_r = d;
	return 0;
}

static void
desk_close(void *impl)
{
	struct desk *d = impl;

	datagram_close(d->fd, &d->address);
	free(d);
}

static int
desk_fd(const void *impl)
{
	return ((const struct desk *)impl)->fd;
}

/* A datagram and who sent it; uid -1 when the kernel didn't say, which it
 * doesn't of what was sent before SO_PASSCRED was on. */
static ssize_t
receive(struct desk *d, struct line_told *told)
{
	/* room for the credentials only: descriptors are not let in */
	union {
		char buf[CMSG_SPACE(sizeof(struct ucred))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { .iov_base = d->buf, .iov_len = sizeof(d->buf) };
	struct msghdr msg = { .msg_name = &d->from,
		.msg_namelen = sizeof(d->from),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(d->fd, &msg, MSG_CMSG_CLOEXEC);
	const struct cmsghdr *c = n == -1 ? NULL : CMSG_FIRSTHDR(&msg);

	d->from_len = msg.msg_namelen;
	told->uid = told->pid = -1;
	if (c != NULL && c->cmsg_level == SOL_SOCKET &&
	    c->cmsg_type == SCM_CREDENTIALS &&
	    c->cmsg_len == CMSG_LEN(sizeof(struct ucred))) {
		struct ucred who;

		memcpy(&who, CMSG_DATA(c), sizeof(who));
		told->uid = who.uid;
		told->pid = who.pid;
	}
	return n;
}

/* The line that becomes the evidence. */
static struct line
line_of(struct desk *d, size_t len, struct line_told *told)
{
	struct line line = {
		.text = d->text, .position = d->received, .told = told
	};
	int n;

	told->good = login_datagram_parse(d->buf, len, &told->told);
	n = told->good
	    ? snprintf(d->text, sizeof(d->text),
		  "post-login: "
		  "user=<%s>, client=%s, service=%s, server=%s, told by uid %" PRId64
		  " pid %" PRId64,
		  told->told.user, told->told.client, told->told.service,
		  told->told.server, told->uid, told->pid)
	    : snprintf(d->text, sizeof(d->text),
		  "post-login: no message of ours, by uid %" PRId64
		  " pid %" PRId64,
		  told->uid, told->pid);
	line.len = n < 0                  ? 0
	    : (size_t)n < sizeof(d->text) ? (size_t)n
					  : sizeof(d->text) - 1;
	assert(line.len < sizeof(d->text));
	return line;
}

static int
desk_read(void *impl, size_t budget, line_fn *fn, void *arg, struct err *err)
{
	struct desk *d = impl;

	while (budget > 0) {
		struct line_told told;
		ssize_t n = receive(d, &told);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && errno == EAGAIN)
			return SOURCE_END;
		if (n == -1) {
			err_set(err, ERR_IO, "%s: %s", d->address.sun_path,
			    strerror(errno));
			return -1;
		}
		struct line line = line_of(d, (size_t)n, &told);

		d->received += n;
		/* an empty one must use up budget too */
		budget -= (size_t)n + 1 < budget ? (size_t)n + 1 : budget;
		if (!fn(arg, &line))
			return SOURCE_MORE;
	}
	return SOURCE_MORE;
}

/* To an abstract address only: a path may have become another's since. */
static void
desk_answer(void *impl, const char *reason)
{
	const struct desk *d = impl;

	if (d->from_len > sizeof(sa_family_t) + 1 &&
	    d->from.sun_path[0] == '\0')
		(void)sendto(d->fd, reason, strlen(reason),
		    MSG_DONTWAIT | MSG_NOSIGNAL,
		    (const struct sockaddr *)&d->from, d->from_len);
}

static void
desk_mark(void *impl, struct mark *mark)
{
	mark->position = ((const struct desk *)impl)->received;
}

const struct source_ops source_login_ops = { .open = desk_open,
	.close = desk_close,
	.fd = desk_fd,
	.read = desk_read,
	.answer = desk_answer,
	.mark = desk_mark };
