/* SPDX-License-Identifier: ISC */
/* A policy service that does nothing: what Postfix's own part of asking one
 * costs, for bench_postfix.py.
 *   bare_policy SOCKET
 * Listens on the Unix socket SOCKET, in one thread as popgate does, and answers
 * every request with "action=permit". */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct peer {
	int fd;
	size_t len;
	char in[8192];
};

static int
listen_at(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (fd == -1 || strlen(path) >= sizeof(at.sun_path))
		return -1;
	memcpy(at.sun_path, path, strlen(path) + 1);
	(void)unlink(path);
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) == -1 ||
	    chmod(path, 0666) == -1 || listen(fd, 200) == -1)
		return -1;
	return fd;
}

/* Read what there is, and answer when a request is whole: Postfix sends the
 * next one after the answer. Returns false at the end. */
static bool
serve(struct peer *p)
{
	static const char answer[] = "action=permit\n\n";
	ssize_t n = recv(p->fd, p->in + p->len, sizeof(p->in) - p->len, 0);

	if (n <= 0)
		return false;
	p->len += (size_t)n;
	if (p->len < 2 || memcmp(p->in + p->len - 2, "\n\n", 2) != 0)
		return p->len < sizeof(p->in);
	p->len = 0;
	return send(p->fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL) ==
	    (ssize_t)sizeof(answer) - 1;
}

static void
add_peer(int epoll, int fd)
{
	struct peer *p = fd == -1 ? NULL : calloc(1, sizeof(*p));
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = p };

	if (p == NULL)
		return;
	p->fd = fd;
	(void)epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev);
}

int
main(int argc, char **argv)
{
	int listener = argc == 2 ? listen_at(argv[1]) : -1;
	int epoll = epoll_create1(0);
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = NULL };

	if (listener == -1 ||
	    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &ev) == -1) {
		fprintf(stderr, "usage: bare_policy SOCKET\n");
		return 2;
	}
	for (;;) {
		if (epoll_wait(epoll, &ev, 1, -1) != 1)
			continue;
		struct peer *p = ev.data.ptr;

		if (p == NULL) {
			add_peer(epoll, accept(listener, NULL, NULL));
		} else if (!serve(p)) {
			(void)close(p->fd);
			free(p);
		}
	}
}
