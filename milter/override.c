/* override - functions of libc as libmilter gets to see them: a program's own
 * function goes before that of a library, for the libraries, too. For who is
 * not libmilter they are what POSIX says.
 *
 * sigwait and accept mend faults of libmilter. The others save it system
 * calls: it asks poll before all that it reads and writes, and reads each
 * packet in two parts. A recipient and its macros take it twelve calls, and
 * two with these. What an MTA has sent is taken at once and kept with its
 * connection, from accept to close. libmilter has one thread at a time at a
 * connection and hands it over by a mutex; nobody else knows it. */
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
#include <sys/time.h>
#include <sys/uio.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"

enum {
	REST_MS = 200,
	SAY_EVERY_MS = 10000,
	CAME_MAX = 480, /* bytes: a recipient and its macros */
	CONNECTIONS = 65536, /* descriptors above are left as they are */
	/* So long libmilter waits for the next command before it gives the
	 * connection to the thread that waits for all. */
	GLANCE_MS = 1
};

/* What has come from the MTA and wasn't read yet. */
struct came {
	uint16_t from, to; /* in text */
	bool end; /* the MTA sends no more */
	bool full; /* there was no room for what we sent */
	int error; /* errno of the last receive, or 0 */
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
	const struct timeval glance = { .tv_usec = GLANCE_MS * 1000 };
	struct came *c;

	if (fd >= CONNECTIONS ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &glance, sizeof(glance)) ==
		-1 ||
	    (c = malloc(sizeof(*c))) == NULL)
		return;
	c->from = c->to = 0;
	c->error = 0;
	c->end = c->full = false;
	atomic_store_explicit(&came[fd], c, memory_order_release);
}

/* libmilter's loop tries again at once when there are no descriptors left,
 * and the connection that waits makes that a loop at full speed. One thread
 * calls this. */
int
accept(int listener, __SOCKADDR_ARG addr, socklen_t *restrict len)
{
	static int64_t said_ms;
	const struct timespec rest = { .tv_nsec = REST_MS * 1000000L };
	int fd = accept4(listener, addr, len, SOCK_CLOEXEC), error = errno;

	if (fd != -1)
		know(fd);
	if (fd != -1 ||
	    (error != EMFILE && error != ENFILE && error != ENOBUFS &&
		error != ENOMEM))
		return fd;
	if (said_ms == 0 || clock_monotonic_ms() - said_ms > SAY_EVERY_MS) {
		said_ms = clock_monotonic_ms();
		log_msg(LOG_ERR, "milter: accept: %s", strerror(error));
	}
	(void)nanosleep(&rest, NULL);
	errno = error;
	return -1;
}

int
close(int fd)
{
	if (came_of(fd) != NULL)
		free(atomic_exchange(&came[fd], NULL));
	return (int)syscall(SYS_close, fd);
}

/* Take what there is, wait for GLANCE_MS at most. False: nothing came, and
 * errno says why. What an MTA that left had sent is read all the same. */
static bool
receive(int fd, struct came *c)
{
	ssize_t n = recv(fd, c->text, sizeof(c->text), 0);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return false;
	c->error = n == -1 ? errno : 0;
	c->end = n == 0;
	c->from = 0;
	c->to = n > 0 ? (uint16_t)n : 0;
	return true;
}

static bool
has(const struct came *c)
{
	return c->from < c->to || c->end || c->error != 0;
}

#pragma GCC diagnostic push /* glibc declares fds as written only */
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
int
poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	const struct timespec ts = { .tv_sec = timeout_ms / 1000,
		.tv_nsec = timeout_ms % 1000 * 1000000L };
	struct came *c = n == 1 ? came_of(fds->fd) : NULL;
	short ready = 0;
	int rc;

	if (c != NULL && fds->events & POLLIN) {
		if (has(c))
			ready = POLLIN;
		else if (timeout_ms == GLANCE_MS) {
			if (receive(fds->fd, c))
				ready = POLLIN;
			else if (errno == EINTR)
				return -1;
			else
				return fds->revents = 0;
		}
	} else if (c != NULL && fds->events == POLLOUT && !c->full)
		ready = POLLOUT;
	if (ready != 0) {
		fds->revents = ready;
		return 1;
	}
	rc = ppoll(fds, n, timeout_ms < 0 ? NULL : &ts, NULL);
	if (c != NULL && rc > 0 && fds->events == POLLOUT)
		c->full = false;
	return rc;
}
#pragma GCC diagnostic pop

ssize_t
read(int fd, void *buf, size_t size)
{
	struct came *c = came_of(fd);
	size_t n;

	if (c == NULL)
		return syscall(SYS_read, fd, buf, size);
	while (!has(c)) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		if (!receive(fd, c) &&
		    (errno == EINTR || ppoll(&p, 1, NULL, NULL) == -1))
			return -1;
	}
	if (c->error != 0) {
		errno = c->error;
		return -1;
	}
	n = c->to - c->from;
	n = n < size ? n : size;
	memcpy(buf, c->text + c->from, n);
	c->from += (uint16_t)n;
	return (ssize_t)n;
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
