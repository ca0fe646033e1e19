/* SPDX-License-Identifier: ISC */
/* Standard input, for rsyslog's omprog and syslog-ng's program(). What was
 * read and not yet committed when we are killed is lost to us: a pipe has no
 * memory. A daemon that must not lose it writes a file. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/sources/source.h"
#include "common/base/err.h"
#include "common/logs/lines.h"

struct input {
	int fd;
	int flags; /* of the descriptor, before us */
	struct lines lines;
};

static int
input_open(const struct config_source *cfg,
    const struct source_options *options, void **impl_r, struct err *err)
{
	struct input *in = malloc(sizeof(*in));

	(void)cfg;
	(void)options;
	if (in == NULL || !lines_init(&in->lines, 0)) {
		free(in);
		err_set(err, ERR_NOMEM, "out of memory");
		return -1;
	}
	/* a copy, so that detaching may put descriptor 0 on /dev/null */
	in->fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	in->flags = in->fd == -1 ? -1 : fcntl(in->fd, F_GETFL);
	if (in->flags == -1 ||
	    fcntl(in->fd, F_SETFL, in->flags | O_NONBLOCK) == -1) {
		err_set(err, ERR_IO, "standard input: %s", strerror(errno));
		if (in->fd != -1)
			(void)close(in->fd);
		lines_release(&in->lines);
		free(in);
		return -1;
	}
	*impl_r = in;
	return 0;
}

static void
input_close(void *impl)
{
	struct input *in = impl;

	/* the other end of a terminal or pipe shares this flag */
	(void)fcntl(in->fd, F_SETFL, in->flags);
	(void)close(in->fd);
	lines_release(&in->lines);
	free(in);
}

static int
input_fd(const void *impl)
{
	return ((const struct input *)impl)->fd;
}

static int
input_read(void *impl, size_t budget, line_fn *fn, void *arg, struct err *err)
{
	struct input *in = impl;
	struct line line;

	for (;;) {
		while (lines_next(&in->lines, &line))
			if (!fn(arg, &line))
				return SOURCE_MORE;
		if (budget == 0)
			return SOURCE_MORE;
		size_t size;
		char *room = lines_room(&in->lines, &size);
		ssize_t n = read(in->fd, room, size);

		if (n == 0)
			return SOURCE_CLOSED;
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && errno == EAGAIN)
			return SOURCE_END;
		if (n == -1) {
			err_set(
			    err, ERR_IO, "standard input: %s", strerror(errno));
			return -1;
		}
		lines_added(&in->lines, (size_t)n);
		budget -= (size_t)n < budget ? (size_t)n : budget;
	}
}

const struct source_ops source_stdin_ops = { .open = input_open,
	.close = input_close,
	.fd = input_fd,
	.read = input_read };
