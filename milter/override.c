/* override - functions of libc as libmilter gets to see them: a program's own
 * function goes before that of a library, for the libraries, too. For all
 * others close, poll, read and writev are what POSIX says; nobody else calls
 * sigwait and accept, which mend faults of libmilter.
 *
 * The other four save it system calls: it asks poll before all that it reads
 * and writes, and reads each packet in two parts. A recipient and its macros
 * take it twelve calls, and three with these: when it asks whether there is
 * another packet, what has come is taken and kept until it reads it.
 * libmilter has one thread at a time at a connection and hands it over by a
 * mutex, and never while something is kept. */
#undef _FORTIFY_SOURCE /* it has inline functions of these names */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "listen.h"
#include "log.h"

enum {
	REST_MS = 200,
	SAY_EVERY_MS = 10000,
	CAME_MAX = 480, /* bytes: a recipient and its macros */
	CONNECTIONS = 65536, /* descriptors above are left as they are */
	/* With this timeout, and no other, libmilter asks for the next packet;
	 * then the connection goes to the thread that waits for all. */
	NEXT_PACKET_MS = 1,
	/* It takes two threads and a pipe to give it away and get it back, so
	 * some threads wait for longer. */
	STAY_MS = 5,
	STAY_MAX = 64
};

/* What has come from the MTA and wasn't read yet. */
struct came {
	uint16_t from, to; /* in text */
	bool full; /* there was no room for what we sent */
	uint64_t last; /* bytes that were read, the last one lowest */
	char text[CAME_MAX];
};

static struct came *_Atomic came[CONNECTIONS];

static struct came *
came_of(int fd)
{
	return fd < 0 || fd >= CONNECTIONS
	    ? NULL
	    : atomic_load_explicit(&came[fd], memory_order_acquire);
}

/* libmilter has a thread that waits for SIGTERM, SIGINT and SIGHUP, and would
 * take them whenever our main thread is not just waiting: to stop at once
 * what shall drain, or what shall only read its configuration. It waits for
 * ever: all signals are blocked. */
int
sigwait(const sigset_t *set, int *sig)
{
	(void)set;
	(void)sig;
	for (;;)
		(void)pause();
}

/* From now on what comes is kept. Where that can't be, all works as well. */
static void
know(int fd)
{
	struct came *c;

	if (fd >= CONNECTIONS || (c = malloc(sizeof(*c))) == NULL)
		return;
	c->from = c->to = 0;
	c->full = false;
	c->last = 0;
	atomic_store_explicit(&came[fd], c, memory_order_release);
}

/* libmilter's loop tries again at once when there are no descriptors left,
 * and the connection that waits makes that a loop at full speed. One thread
 * calls this. */
int
accept(int listener, __SOCKADDR_ARG addr, socklen_t *restrict len)
{
	static atomic_int_fast64_t said_ms;
	const struct timespec rest = { .tv_nsec = REST_MS * 1000000L };
	int fd = accept4(listener, addr, len, SOCK_CLOEXEC), error = errno;

	if (fd != -1)
		know(fd);
	if (fd != -1 ||
	    (error != EMFILE && error != ENFILE && error != ENOBUFS &&
		error != ENOMEM))
		return fd;
	if (log_due(&said_ms, SAY_EVERY_MS))
		log_msg(LOG_ERR, "milter: accept: %s", strerror(error));
	(void)nanosleep(&rest, NULL);
	errno = error;
	return -1;
}

/* libmilter hangs up on who breaks the protocol, and most often says nothing.
 * Others have sent QUIT, or have left. */
static void
say_hung_up(int fd, const struct came *c)
{
	enum { QUIT_BITS = 40, QUIT = 1 << 8 | 'Q' };
	static atomic_int_fast64_t said_ms;
	char peer[LISTEN_PEER_MAX], byte;

	if ((c->last & ((UINT64_C(1) << QUIT_BITS) - 1)) == QUIT ||
	    recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0 ||
	    !log_due(&said_ms, SAY_EVERY_MS))
		return;
	log_msg(LOG_WARNING,
	    "milter: not the milter protocol: hung up on the peer %s",
	    listen_peer(fd, peer));
}

int
close(int fd)
{
	struct came *c = came_of(fd);

	if (c != NULL) {
		say_hung_up(fd, c);
		atomic_store(&came[fd], NULL);
		free(c);
	}
	return (int)syscall(SYS_close, fd);
}

/* Take what there is. An error or the end is left for read() to find. */
static void
take(int fd, struct came *c)
{
	ssize_t n = recv(fd, c->text, sizeof(c->text), MSG_DONTWAIT);

	c->from = 0;
	c->to = n > 0 ? (uint16_t)n : 0;
}

static int
ready(struct pollfd *fd, short what)
{
	fd->revents = what;
	return 1;
}

#ifndef __clang__
#pragma GCC diagnostic push /* glibc declares fds as written only */
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
int
poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	static atomic_int staying;
	struct timespec ts = { .tv_sec = timeout_ms / 1000,
		.tv_nsec = timeout_ms % 1000 * 1000000L };
	struct came *c = n == 1 ? came_of(fds->fd) : NULL;
	bool next = c != NULL && timeout_ms == NEXT_PACKET_MS;

	if (c != NULL && fds->events & POLLIN && c->from < c->to)
		return ready(fds, POLLIN);
	if (c != NULL && fds->events == POLLOUT && !c->full)
		return ready(fds, POLLOUT);
	if (next && atomic_fetch_add(&staying, 1) < STAY_MAX)
		ts.tv_nsec = STAY_MS * 1000000L;
	int rc = ppoll(fds, n, timeout_ms < 0 ? NULL : &ts, NULL);

	if (next)
		atomic_fetch_sub(&staying, 1);
	/* not when the MTA has left: what it wanted last is then dropped */
	if (next && rc == 1 && fds->revents == POLLIN)
		take(fds->fd, c);
	return rc;
}
#ifndef __clang__
#pragma GCC diagnostic pop
#endif

ssize_t
read(int fd, void *buf, size_t size)
{
	struct came *c = came_of(fd);
	ssize_t n = -1;

	if (c != NULL && c->from < c->to) {
		size_t kept = c->to - c->from;

		n = (ssize_t)(kept < size ? kept : size);
		memcpy(buf, c->text + c->from, (size_t)n);
		c->from += (uint16_t)n;
	} else
		n = syscall(SYS_read, fd, buf, size);
	for (ssize_t i = n > 8 ? n - 8 : 0; c != NULL && i < n; i++)
		c->last = c->last << 8 | ((unsigned char *)buf)[i];
	return n;
}

/* What read is in a libmilter that was built with _FORTIFY_SOURCE=3. */
ssize_t __read_chk(int fd, void *buf, size_t size, size_t room);

ssize_t
__read_chk(int fd, void *buf, size_t size, size_t room)
{
	if (size > room)
		abort();
	return read(fd, buf, size);
}

ssize_t
writev(int fd, const struct iovec *iov, int n)
{
	struct came *c = came_of(fd);
	struct msghdr m = { .msg_iov = (struct iovec *)(uintptr_t)iov,
		.msg_iovlen = (size_t)n };
	ssize_t sent;

	if (c == NULL)
		return syscall(SYS_writev, fd, iov, n);
	sent = sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	c->full = sent == -1 && errno == EAGAIN;
	return sent;
}
