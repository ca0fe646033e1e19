/* SPDX-License-Identifier: ISC */
#include "ctl/doctor/probe/smtp_talk.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "ctl/doctor/probe/probe_net.h"

enum { COMMAND_MAX = 2048 };

struct smtp_talk {
	int fd;
	int timeout_ms;
	struct smtp_parser parser;
	char buf[4096];
	size_t head, tail; /* of buf: received, not parsed */
};

/* The whole language of this module. */
static const struct {
	const char *before, *behind;
} verbs[] = {
	[SMTP_EHLO] = { "EHLO ", "\r\n" },
	[SMTP_HELO] = { "HELO ", "\r\n" },
	[SMTP_MAIL] = { "MAIL FROM:<", ">\r\n" },
	[SMTP_RCPT] = { "RCPT TO:", "\r\n" },
	[SMTP_XCLIENT] = { "XCLIENT ", "\r\n" },
	[SMTP_RSET] = { "RSET", "\r\n" },
	[SMTP_QUIT] = { "QUIT", "\r\n" },
};

const char *
talk_words(enum talk_result result)
{
	switch (result) {
	case TALK_REPLY:
		return "replied";
	case TALK_NO_CONNECTION:
		return "no connection";
	case TALK_TIMEOUT:
		return "no reply in time";
	case TALK_CLOSED:
		return "the connection was closed";
	case TALK_NONSENSE:
		return "the reply isn't SMTP";
	case TALK_BAD_ARGUMENT:
		return "can't be said in one command";
	}
	return "unknown";
}

/* 1 ready, 0 too late, -1 error */
static int
wait_for(int fd, short events, int64_t until_ms)
{
	struct pollfd pfd = { .fd = fd, .events = events };

	for (;;) {
		int64_t left = until_ms - clock_monotonic_ms();
		int n = left <= 0 ? 0 : poll(&pfd, 1, (int)left);

		if (n != -1 || errno != EINTR)
			return n;
	}
}

static enum talk_result
read_reply(struct smtp_talk *t, struct smtp_reply *reply)
{
	int64_t until_ms = clock_monotonic_ms() + t->timeout_ms;

	smtp_parser_begin(&t->parser);
	for (;;) {
		size_t used;
		ssize_t n;

		switch (smtp_parser_feed(
		    &t->parser, t->buf + t->head, t->tail - t->head, &used)) {
		case SMTP_REPLY:
			t->head += used;
			*reply = t->parser.reply;
			return TALK_REPLY;
		case SMTP_BAD:
			return TALK_NONSENSE;
		case SMTP_MORE:
			break;
		}
		t->head = t->tail = 0;
		n = wait_for(t->fd, POLLIN, until_ms);
		if (n > 0)
			n = recv(t->fd, t->buf, sizeof(t->buf), MSG_DONTWAIT);
		else if (n == 0)
			return TALK_TIMEOUT;
		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			return TALK_CLOSED;
		t->tail = (size_t)n;
	}
}

static int
connect_in_time(int fd, const struct addr *to, unsigned port, int timeout_ms)
{
	struct sockaddr_in6 sin6 = {
		.sin6_family = AF_INET6,
		.sin6_port = htons((uint16_t)port),
	};
	struct sockaddr_in sin = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
	};
	bool six = to->family == ADDR_IPV6;
	int error = 0;
	socklen_t len = sizeof(error);

	memcpy(&sin6.sin6_addr, to->bytes, 16);
	memcpy(&sin.sin_addr, to->bytes, 4);
	if (fcntl(fd, F_SETFL, O_NONBLOCK) == -1)
		return -1;
	if (connect(fd,
		six ? (const struct sockaddr *)&sin6
		    : (const struct sockaddr *)&sin,
		six ? sizeof(sin6) : sizeof(sin)) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return -1;
	if (wait_for(fd, POLLOUT, clock_monotonic_ms() + timeout_ms) <= 0) {
		errno = ETIMEDOUT;
		return -1;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		return -1;
	errno = error;
	return error == 0 ? 0 : -1;
}

enum talk_result
smtp_talk_open(const struct probe_net *net, const struct addr *to,
    unsigned port, int timeout_ms, struct smtp_talk **t_r,
    struct smtp_reply *reply)
{
	struct smtp_talk *t = calloc(1, sizeof(*t));

	assert(timeout_ms > 0);
	*t_r = t;
	if (t == NULL)
		return TALK_NO_CONNECTION; /* errno is ENOMEM */
	t->timeout_ms = timeout_ms;
	t->fd = probe_net_socket(net, to->family);
	if (t->fd == -1 || connect_in_time(t->fd, to, port, timeout_ms) == -1)
		return TALK_NO_CONNECTION;
	return read_reply(t, reply);
}

static bool
one_line(const char *text, size_t len)
{
	return memchr(text, '\r', len) == NULL &&
	    memchr(text, '\n', len) == NULL;
}

static size_t
append(char *to, size_t n, const char *text, size_t len)
{
	memcpy(to + n, text, len);
	return n + len;
}

enum talk_result
smtp_talk_say(struct smtp_talk *t, enum smtp_verb verb, const char *argument,
    size_t len, struct smtp_reply *reply)
{
	int64_t until_ms = clock_monotonic_ms() + t->timeout_ms;
	char command[COMMAND_MAX];
	size_t n, sent = 0;

	assert(t != NULL && (argument != NULL || len == 0));
	if (argument == NULL)
		len = 0;
	if (len > COMMAND_MAX - 32 ||
	    !one_line(argument == NULL ? "" : argument, len))
		return TALK_BAD_ARGUMENT;
	n = append(command, 0, verbs[verb].before, strlen(verbs[verb].before));
	if (len > 0)
		n = append(command, n, argument, len);
	n = append(command, n, verbs[verb].behind, strlen(verbs[verb].behind));
	/* what came unasked answers nothing */
	t->head = t->tail = 0;
	while (sent < n) {
		ssize_t put = send(t->fd, command + sent, n - sent,
		    MSG_NOSIGNAL | MSG_DONTWAIT);

		if (put >= 0)
			sent += (size_t)put;
		else if (errno != EAGAIN && errno != EINTR)
			return TALK_CLOSED;
		else if (wait_for(t->fd, POLLOUT, until_ms) <= 0)
			return TALK_TIMEOUT;
	}
	return read_reply(t, reply);
}

void
smtp_talk_close(struct smtp_talk **t)
{
	if (*t != NULL && (*t)->fd != -1)
		(void)close((*t)->fd);
	free(*t);
	*t = NULL;
}
