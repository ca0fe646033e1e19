/* SPDX-License-Identifier: ISC */
/* interpose - two functions of libc as libmilter gets to see them: a program's
 * own function goes before that of a library, for the libraries, too. Each
 * mends a fault of libmilter. Nothing else calls them. */
#include "milter/libmilter/interpose.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "common/base/log.h"

enum { REST_MS = 200, SAY_EVERY_MS = 10000 };

static atomic_int keep_from = INT_MAX;

void
interpose_keep_from(int fd)
{
	assert(fd > 0);
	atomic_store(&keep_from, fd);
}

/* libmilter has a thread that waits for SIGTERM, SIGINT and SIGHUP. It would
 * take a signal whenever the main thread isn't waiting for one, and stop at
 * once a daemon that is to drain, or only to reload. So that thread waits for
 * ever: all signals are blocked in it. */
int
sigwait(const sigset_t *set, int *sig)
{
	(void)set;
	(void)sig;
	for (;;)
		(void)pause();
}

/* Close a connection that libmilter isn't to get: ECONNABORTED tells it that
 * the peer left early. The MTA goes on as without a filter. */
static int
hang_up(int fd)
{
	static atomic_int_fast64_t said_ms;

	if (log_due(&said_ms, SAY_EVERY_MS))
		log_msg(LOG_ERR,
		    "milter: hung up on a new connection: all open files but those kept for databases, logs and the permit channel are in use; raise LimitNOFILE=");
	(void)close(fd);
	errno = ECONNABORTED;
	return -1;
}

/* When no descriptor is left, libmilter tries again at once: a loop at full
 * speed while a connection waits. So this rests for a moment. One thread calls
 * it. */
int
accept(int listener, __SOCKADDR_ARG addr, socklen_t *restrict len)
{
	static atomic_int_fast64_t said_ms;
	const struct timespec rest = { .tv_nsec = REST_MS * 1000000L };
	int fd = accept4(listener, addr, len, SOCK_CLOEXEC), error = errno;

	if (fd >= atomic_load(&keep_from))
		return hang_up(fd);
	if (fd != -1 ||
	    (error != EMFILE && error != ENFILE && error != ENOBUFS &&
		error != ENOMEM))
		return fd;
	if (log_due(&said_ms, SAY_EVERY_MS))
		log_msg(LOG_ERR,
		    "milter: accept: %s: new sessions wait: raise LimitNOFILE=, or look at memory",
		    strerror(error));
	(void)nanosleep(&rest, NULL);
	errno = error;
	return -1;
}
