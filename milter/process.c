/* SPDX-License-Identifier: ISC */
#include "milter/process.h"

#include <assert.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include "milter/permit.h"

enum {
	FILES_MAX = 1 << 20,
	FILES_UNKNOWN = 1024, /* the limit can't be read: the usual one */
	SPARE_FILES = 256,
	TOLD_MAX = 64,
	LIBMILTERS_FILES = 2, /* a pipe that it makes later */
	STACK_BYTES = 512 * 1024
};

void
process_signals(sigset_t *set_r)
{
	(void)sigemptyset(set_r);
	(void)sigaddset(set_r, SIGTERM);
	(void)sigaddset(set_r, SIGINT);
	(void)sigaddset(set_r, SIGHUP);
	(void)sigaddset(set_r, SIGUSR1);
}

void
process_block_signals(void)
{
	sigset_t set;

	process_signals(&set);
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
}

/* libmilter makes and ends threads all the time. glibc keeps 40 MB of old
 * stacks for new threads: five of the usual size, eighty of this. And glibc
 * would have eight heaps for each processor, each with its own holes. */
void
process_spare_memory(void)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	(void)mallopt(M_ARENA_MAX, processors > 2 ? (int)processors : 2);
#ifndef __SANITIZE_THREAD__ /* which needs more than this for itself */
	pthread_attr_t attr;

	if (pthread_attr_init(&attr) != 0)
		return;
	(void)pthread_attr_setstacksize(&attr, STACK_BYTES);
	(void)pthread_setattr_default_np(&attr);
	(void)pthread_attr_destroy(&attr);
#endif
}

unsigned
process_raise_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
		return FILES_UNKNOWN;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	(void)getrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_cur > FILES_MAX ? FILES_MAX
					  : (unsigned)limit.rlim_cur;
}

static unsigned
at_most(unsigned n, unsigned max)
{
	return n < max ? n : max;
}

unsigned
process_permit_connections(unsigned files)
{
	assert(files <= FILES_MAX);
	return at_most(files / 4, PERMIT_CONNECTIONS_MAX);
}

/* The system gives the lowest number that is free: all below are in use. */
unsigned
process_files_used(void)
{
	int fd = open("/", O_PATH | O_CLOEXEC);

	if (fd == -1)
		return 0;
	(void)close(fd);
	return (unsigned)fd + LIBMILTERS_FILES;
}

/* A quarter of the descriptors is kept for the permit channel, another quarter
 * for databases, logs and the status page; neither gets more than it can use.
 * The rest is libmilter's. A part of that is for connections that are no
 * sessions, or are only told that there are too many; libmilter accepts none
 * beyond. */
struct process_share
process_share_files(unsigned files, unsigned used)
{
	assert(files <= FILES_MAX);
	unsigned kept =
	    process_permit_connections(files) + at_most(files / 4, SPARE_FILES);
	unsigned room = files - kept > used ? files - kept - used : 1;
	unsigned sessions = room - at_most((room + 7) / 8, TOLD_MAX);

	return (struct process_share){
		.sessions = sessions > 0 ? sessions : 1,
		.others_from = (int)(used + room),
	};
}
