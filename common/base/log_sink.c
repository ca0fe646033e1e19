/* SPDX-License-Identifier: ISC */
#include "common/base/log_sink.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

enum { REST_S = 1 };

#define SYSLOGD "/dev/log"

static struct {
	const char *ident;
	enum log_target target;
	int fd; /* to syslogd; -1: none */
	bool stream; /* it is no datagram socket */
} sink = { .ident = "popgate", .fd = -1 };

void
log_sink_open(const char *ident, enum log_target target)
{
	sink.ident = ident;
	sink.target = target;
}

const char *
log_sink_name(void)
{
	return sink.target == LOG_TO_SYSLOG ? SYSLOGD : "standard error";
}

size_t
log_sink_format(
    int priority, int64_t at, const char *text, size_t len, char *buf)
{
	char when[32] = "";
	struct tm tm;
	time_t t = at;
	int n;

	assert((priority & ~LOG_PRIMASK) == 0);
	if (sink.target == LOG_TO_SYSLOG) {
		/* RFC 3164: the time that it was logged, not the one that
		 * syslogd got to it */
		if (localtime_r(&t, &tm) == NULL ||
		    strftime(when, sizeof(when), "%b %e %H:%M:%S ", &tm) == 0)
			when[0] = '\0';
		n = snprintf(buf, LOG_SINK_PREFIX,
		    "<%d>%s%.40s[%ld]: ", LOG_MAIL | priority, when, sink.ident,
		    (long)getpid());
	} else if (sink.target == LOG_TO_JOURNAL)
		n = snprintf(buf, LOG_SINK_PREFIX, "<%d>", priority);
	else
		n = snprintf(buf, LOG_SINK_PREFIX, "%.40s[%ld]: ", sink.ident,
		    (long)getpid());
	size_t size = n < 0 ? 0 : (size_t)n;

	assert(size < LOG_SINK_PREFIX);
	memcpy(buf + size, text, len);
	size += len;
	if (sink.target != LOG_TO_SYSLOG)
		buf[size++] = '\n';
	return size;
}

size_t
log_sink_batch(size_t max)
{
	struct stat st;

	if (sink.target == LOG_TO_SYSLOG)
		return 0;
	return fstat(STDERR_FILENO, &st) == 0 && S_ISFIFO(st.st_mode) ? PIPE_BUF
								      : max;
}

static int
connect_as(int type)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX, .sun_path = SYSLOGD };
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	if (fd == -1 ||
	    connect(fd, (const struct sockaddr *)&sun, sizeof(sun)) == 0)
		return fd;
	int error = errno;

	(void)close(fd);
	errno = error;
	return -1;
}

static void
hang_up(void)
{
	if (sink.fd != -1)
		(void)close(sink.fd);
	sink.fd = -1;
}

static ssize_t
send_line(const char *line, size_t len)
{
	struct iovec iov[] = { { (void *)(uintptr_t)line, len },
		{ (char[]){ "" }, 1 } };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = sink.stream ? 2 : 1 };

	return sendmsg(sink.fd, &m, MSG_NOSIGNAL) == -1 ? -1 : (ssize_t)len;
}

/* Not syslog(3), which libmilter's threads may call too: it holds a lock
 * while it waits. */
static ssize_t
to_syslogd(const char *line, size_t len)
{
	for (int tries = 0;; tries++) {
		if (sink.fd == -1) {
			sink.fd = connect_as(SOCK_DGRAM);
			sink.stream = sink.fd == -1 && errno == EPROTOTYPE;
			if (sink.stream)
				sink.fd = connect_as(SOCK_STREAM);
		}
		if (sink.fd == -1)
			return -1;
		ssize_t n = send_line(line, len);
		int error = errno;

		if (n != -1 || error == EINTR)
			return n;
		/* it was started anew, most likely */
		hang_up();
		errno = error;
		if (tries > 0)
			return -1;
	}
}

ssize_t
log_sink_write(const char *lines, size_t len)
{
	return sink.target == LOG_TO_SYSLOG ? to_syslogd(lines, len)
					    : write(STDERR_FILENO, lines, len);
}

void
log_sink_rest(void)
{
	const struct timespec rest = { .tv_sec = REST_S };

	(void)nanosleep(&rest, NULL);
}

void
log_sink_await(void)
{
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };

	if (sink.target == LOG_TO_SYSLOG)
		log_sink_rest();
	else
		(void)poll(&p, 1, REST_S * 1000);
}
