/* SPDX-License-Identifier: ISC */
#include "milter/libmilter/nudge.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/err.h"

enum {
	/* Callbacks of one session in a row, in one thread: more than a
	 * message of one recipient has. */
	STAYS = 8,
	EVERY_MS = 20
};

static struct listen_spec at;
static sem_t wanted;
static atomic_bool asked; /* wanted was posted and not yet obeyed */

void
nudge_note(const void *session)
{
	static _Thread_local const void *last;
	static _Thread_local unsigned in_a_row;

	in_a_row = session == last ? in_a_row + 1 : 1;
	last = session;
	if (in_a_row % STAYS == 0 &&
	    !atomic_load_explicit(&asked, memory_order_relaxed) &&
	    !atomic_exchange(&asked, true))
		(void)sem_post(&wanted);
}

static void *
nudge_thread(void *arg)
{
	const struct timespec pause = { .tv_nsec = EVERY_MS * 1000000L };

	(void)arg;
	for (;;) {
		if (sem_wait(&wanted) == -1)
			continue;
		(void)nanosleep(&pause, NULL);
		atomic_store(&asked, false);
		int fd = listen_poke(&at);

		if (fd != -1)
			(void)close(fd);
	}
	return NULL;
}

int
nudge_start(const struct listen_spec *spec, struct err *err)
{
	pthread_t thread;

	at = *spec;
	(void)sem_init(&wanted, 0, 0);
	int rc = pthread_create(&thread, NULL, nudge_thread, NULL);

	if (rc != 0) {
		err_set(err, ERR_IO, "thread: %s", strerror(rc));
		return -1;
	}
	(void)pthread_detach(thread);
	return 0;
}
