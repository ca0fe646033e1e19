/* SPDX-License-Identifier: ISC */
#include "ctl/stage/servant.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/err.h"
#include "ctl/stage/doors.h"
#include "ctl/stage/loopback.h"

enum {
	FDS_MAX = 512,
	DNS_PORT = 53,
};

enum fd_kind {
	FD_LOG,
	FD_NAMES,
	FD_LISTEN,
	FD_SESSION,
	FD_TABLE, /* listens for a server of the machine */
	FD_PIPE /* one end of a connection to it */
};

/* One descriptor of the servant's. */
struct door {
	enum fd_kind kind;
	enum standin_kind standin;
	size_t asked; /* FD_LISTEN: which of share->asked */
	struct standin *session; /* FD_SESSION: owned */
	unsigned port; /* FD_TABLE: of the machine's loopback */
	int peer; /* FD_PIPE: the other end, which is here, too */
};

struct servant {
	struct servant_share *share;
	int log;
	int machine, room; /* network namespaces */
	struct pollfd fds[FDS_MAX];
	struct door doors[FDS_MAX];
	nfds_t n;
};

/* Takes over fd; false: there is no room. */
static bool
add_fd(struct servant *s, int fd, struct door door)
{
	if (s->n == FDS_MAX) {
		(void)close(fd);
		return false;
	}
	s->fds[s->n] = (struct pollfd){ .fd = fd, .events = POLLIN };
	s->doors[s->n++] = door;
	return true;
}

static void
remove_fd(struct servant *s, nfds_t i)
{
	(void)close(s->fds[i].fd);
	free(s->doors[i].session);
	s->n--;
	s->fds[i] = s->fds[s->n];
	s->doors[i] = s->doors[s->n];
}

static struct addr
address(const char *text)
{
	struct addr addr = { 0 };

	(void)addr_parse_loose(text, &addr);
	return addr;
}

/* Stand in for a server by TCP at its address; a name that isn't in /etc/hosts
 * gets the address of loopback. Where popgate is there already, it stays. */
static void
listen_inet(struct servant *s, const struct asked *a, struct door door)
{
	const char *host = *a->named.host == '\0' ? "localhost" : a->named.host;
	struct addr addr = address(host);
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *found = NULL;

	if (a->named.port == 0)
		return;
	if (addr.family == ADDR_NONE && strcmp(host, "localhost") != 0 &&
	    getaddrinfo(host, NULL, &hints, &found) == 0) {
		(void)addr_from_sockaddr(found->ai_addr, &addr);
		freeaddrinfo(found);
	}
	if (addr.family == ADDR_NONE) {
		struct addr six = address("::1");
		int fd = door_inet(&six, a->named.port, SOCK_STREAM);

		if (fd != -1)
			(void)add_fd(s, fd, door);
		addr = address("127.0.0.1");
		names_add(&s->share->names, host, &addr);
	}
	(void)loopback_stranger(&addr, NULL);
	int fd = door_inet(&addr, a->named.port, SOCK_STREAM);

	if (fd != -1)
		(void)add_fd(s, fd, door);
}

static int
stand_in(struct servant *s, const struct asked *a, struct err *err)
{
	struct door door = { .kind = FD_LISTEN,
		.standin = a->kind,
		.asked = s->share->n_asked };
	struct err why = { 0 };
	int fd;

	s->share->asked[s->share->n_asked++].named = a->named;
	if (!a->named.is_unix) {
		listen_inet(s, a, door);
		return 0;
	}
	fd = door_unix(a->path, SOCK_STREAM, &why);
	if (fd != -1)
		return add_fd(s, fd, door) ? 0 : -1;
	if (why.code == ERR_NONE && errno == EADDRINUSE)
		return 0;
	/* A directory at the root that isn't there: the machine's server
	 * doesn't find the socket either. */
	if (why.code == ERR_INVALID)
		return 0;
	if (why.code == ERR_NONE)
		err_set(&why, ERR_IO, "%s: %s", a->path, strerror(errno));
	err_set(err, why.code, "a stand-in for the server at %.300s", why.text);
	return -1;
}

/* One message of syslog(3), without its priority, as a line. */
static void
keep_message(int log, char *text, size_t len)
{
	size_t head = 0;

	while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\0'))
		len--;
	if (len > 2 && text[0] == '<') {
		while (head < len && head < 6 && text[head] != '>')
			head++;
		head++;
	}
	if (head >= len)
		return;
	for (size_t i = head; i < len; i++)
		if (text[i] == '\n' || text[i] == '\0')
			text[i] = ' ';
	text[len] = '\n';
	(void)!write(log, text + head, len + 1 - head);
}

static void
take_log(const struct servant *s, int fd)
{
	static char text[65536];
	ssize_t n;

	while ((n = recv(fd, text, sizeof(text) - 1, 0)) > 0)
		keep_message(s->log, text, (size_t)n);
}

static void
answer_name(const struct servant *s, int fd)
{
	unsigned char query[NAMES_PACKET_MAX], out[NAMES_PACKET_MAX];
	struct sockaddr_storage from;
	socklen_t from_len = sizeof(from);
	ssize_t n = recvfrom(
	    fd, query, sizeof(query), 0, (struct sockaddr *)&from, &from_len);
	size_t len =
	    n <= 0 ? 0 : names_answer(&s->share->names, query, (size_t)n, out);

	if (len > 0)
		(void)sendto(
		    fd, out, len, 0, (const struct sockaddr *)&from, from_len);
}

static void
take_session(struct servant *s, nfds_t i)
{
	struct door door = s->doors[i];
	int fd = accept4(s->fds[i].fd, NULL, NULL, SOCK_CLOEXEC);
	const char *hello = standin_greeting(door.standin);
	struct standin *session = fd == -1 ? NULL : calloc(1, sizeof(*session));

	if (session == NULL) {
		if (fd != -1)
			(void)close(fd);
		return;
	}
	atomic_fetch_add(&s->share->asked[door.asked].times, 1);
	session->kind = door.standin;
	door.kind = FD_SESSION;
	door.session = session;
	if (*hello != '\0')
		(void)send(fd, hello, strlen(hello), MSG_NOSIGNAL);
	if (!add_fd(s, fd, door))
		free(session);
}

/* Returns false when the session is over. Answers are short: a peer that
 * doesn't read them isn't waited for. */
static bool
serve_session(const struct servant *s, nfds_t i)
{
	static char data[8192];
	char out[STANDIN_OUT_MAX];
	ssize_t n = recv(s->fds[i].fd, data, sizeof(data), MSG_DONTWAIT);
	size_t at = 0, taken, out_len;
	bool open = true;

	if (n <= 0)
		return n == -1 && (errno == EAGAIN || errno == EINTR);
	do {
		open = standin_feed(s->doors[i].session, data + at,
		    (size_t)n - at, &taken, out, &out_len);
		at += taken;
		if (out_len > 0 &&
		    send(s->fds[i].fd, out, out_len,
			MSG_NOSIGNAL | MSG_DONTWAIT) == -1)
			open = false;
	} while (open && (at < (size_t)n || out_len > 0));
	return open;
}

/* Lead a client of the room to a server of the machine. */
static void
take_pipe(struct servant *s, nfds_t i)
{
	int fd = accept4(s->fds[i].fd, NULL, NULL, SOCK_CLOEXEC);
	int to =
	    fd == -1 ? -1 : door_machine(s->machine, s->room, s->doors[i].port);

	if (to == -1 || s->n + 2 > FDS_MAX) {
		if (fd != -1)
			(void)close(fd);
		if (to != -1)
			(void)close(to);
		return;
	}
	(void)add_fd(s, fd, (struct door){ .kind = FD_PIPE, .peer = to });
	(void)add_fd(s, to, (struct door){ .kind = FD_PIPE, .peer = fd });
}

/* Pass on what came; false when either end has closed. */
static bool
serve_pipe(const struct servant *s, nfds_t i)
{
	static char data[16384];
	ssize_t n = recv(s->fds[i].fd, data, sizeof(data), MSG_DONTWAIT);
	size_t at = 0;

	if (n <= 0)
		return n == -1 && (errno == EAGAIN || errno == EINTR);
	while (at < (size_t)n) {
		ssize_t put = send(
		    s->doors[i].peer, data + at, (size_t)n - at, MSG_NOSIGNAL);

		if (put <= 0)
			return false;
		at += (size_t)put;
	}
	return true;
}

static void
end_pipe(struct servant *s, nfds_t i)
{
	int peer = s->doors[i].peer;

	remove_fd(s, i);
	for (nfds_t j = 0; j < s->n; j++)
		if (s->fds[j].fd == peer) {
			remove_fd(s, j);
			return;
		}
}

static _Noreturn void
serve(struct servant *s)
{
	for (;;) {
		if (poll(s->fds, s->n, -1) == -1)
			continue;
		/* backwards: what ends is replaced by the last, which may then
		 * be looked at once more, and has nothing */
		for (nfds_t i = s->n; i-- > 0;) {
			if (i >= s->n || s->fds[i].revents == 0)
				continue;
			switch (s->doors[i].kind) {
			case FD_LOG:
				take_log(s, s->fds[i].fd);
				break;
			case FD_NAMES:
				answer_name(s, s->fds[i].fd);
				break;
			case FD_LISTEN:
				take_session(s, i);
				break;
			case FD_SESSION:
				if (!serve_session(s, i))
					remove_fd(s, i);
				break;
			case FD_TABLE:
				take_pipe(s, i);
				break;
			case FD_PIPE:
				if (!serve_pipe(s, i))
					end_pipe(s, i);
				break;
			}
		}
	}
}

/* The log and the name server: without them there is no copy. */
static int
open_first(struct servant *s, struct err *err)
{
	const struct addr loopback = address("127.0.0.1");
	int fd;

	s->log =
	    open(SERVANT_LOG, O_CREAT | O_APPEND | O_WRONLY | O_CLOEXEC, 0600);
	fd = door_unix("/dev/log", SOCK_DGRAM, err);
	if (s->log == -1 || fd == -1) {
		err_set(
		    err, ERR_IO, "the log of the copy: %s", strerror(errno));
		return -1;
	}
	(void)add_fd(s, fd, (struct door){ .kind = FD_LOG });
	fd = door_inet(&loopback, DNS_PORT, SOCK_DGRAM);
	if (fd == -1) {
		err_set(err, ERR_IO, "the name server of the copy: %s",
		    strerror(errno));
		return -1;
	}
	(void)add_fd(s, fd, (struct door){ .kind = FD_NAMES });
	return 0;
}

/* Listen for the servers of lookup tables, where nobody else does. */
static void
listen_tables(struct servant *s, const struct servant_work *work)
{
	const struct addr loopback = address("127.0.0.1");

	s->machine = work->machine;
	s->room = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	for (size_t i = 0; i < work->n_tables && s->room != -1; i++) {
		unsigned port = work->tables[i].port;
		int fd = work->tables[i].is_unix
		    ? -1
		    : door_inet(&loopback, port, SOCK_STREAM);

		if (fd != -1)
			(void)add_fd(s, fd,
			    (struct door){ .kind = FD_TABLE, .port = port });
	}
}

int
servant_start(const struct servant_work *work, struct servant_share **share_r,
    struct err *err)
{
	static struct servant servant;
	struct servant *s = &servant;
	void *memory = mmap(NULL, sizeof(*s->share), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	if (memory == MAP_FAILED) {
		err_nomem(err, "a private copy", sizeof(*s->share));
		return -1;
	}
	*share_r = s->share = memory;
	if (open_first(s, err) == -1)
		return -1;
	listen_tables(s, work);
	for (size_t i = 0; i < work->n_asked; i++)
		if (stand_in(s, &work->asked[i], err) == -1)
			return -1;
	pid = fork();
	if (pid == 0)
		serve(s);
	if (pid == -1)
		err_set(err, ERR_IO, "fork: %s", strerror(errno));
	for (nfds_t i = 0; i < s->n; i++)
		(void)close(s->fds[i].fd);
	(void)close(s->log);
	if (s->room != -1)
		(void)close(s->room);
	return pid == -1 ? -1 : 0;
}
