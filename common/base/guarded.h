/* SPDX-License-Identifier: ISC */
/* guarded - mutexes, and what each guards, in words that clang checks: `make
 * analyze` fails where a guarded variable is touched without its mutex, or a
 * function returns with one that it should have given back. Other compilers
 * see plain functions and no attributes.
 *
 *	static struct mutex mtx = MUTEX_INITIALIZER;
 *	static unsigned n GUARDED_BY(mtx);
 *	static void count_one(void) REQUIRES(mtx) { n++; }
 *
 * C has no name for "the mutex beside this field" that clang 14 to 19 would
 * understand. So the mutex of a file's variables is a variable, too. Where each
 * object has its own mutex, a comment says which fields it guards, and the
 * functions that touch these say REQUIRES(object->mtx). Every mutex is a leaf,
 * with few exceptions: docs/ARCHITECTURE.md, "Lock order". */
#ifndef POPGATE_GUARDED_H
#define POPGATE_GUARDED_H

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <time.h>

#ifdef __clang__
#define GUARDED_ATTRIBUTE(x) __attribute__((x))
#else
#define GUARDED_ATTRIBUTE(x)
#endif

/* A variable or field with this is touched only with the mutex held. */
#define GUARDED_BY(mutex) GUARDED_ATTRIBUTE(guarded_by(mutex))
/* A function with this wants the mutex held by its caller, or locks it, or
 * unlocks it. */
#define REQUIRES(mutex) GUARDED_ATTRIBUTE(requires_capability(mutex))
#define ACQUIRE(mutex) GUARDED_ATTRIBUTE(acquire_capability(mutex))
#define RELEASE(mutex) GUARDED_ATTRIBUTE(release_capability(mutex))
/* A function with this is one that clang can't follow; say why. */
#define UNCHECKED GUARDED_ATTRIBUTE(no_thread_safety_analysis)

struct GUARDED_ATTRIBUTE(capability("mutex")) mutex {
	pthread_mutex_t native;
};
#define MUTEX_INITIALIZER                           \
	{                                           \
		.native = PTHREAD_MUTEX_INITIALIZER \
	}

/* For a mutex in allocated memory. */
static inline void
mutex_init(struct mutex *m)
{
	(void)pthread_mutex_init(&m->native, NULL);
}

/* Nobody holds it. */
static inline void
mutex_destroy(struct mutex *m)
{
	int rc = pthread_mutex_destroy(&m->native);

	assert(rc == 0);
	(void)rc;
}

static inline void
mutex_lock(struct mutex *m) ACQUIRE(m) UNCHECKED
{
	int rc = pthread_mutex_lock(&m->native);

	assert(rc == 0);
	(void)rc;
}

static inline void
mutex_unlock(struct mutex *m) RELEASE(m) UNCHECKED
{
	int rc = pthread_mutex_unlock(&m->native);

	assert(rc == 0);
	(void)rc;
}

/* Wait for a signal at cond, with m unlocked meanwhile. */
static inline void
mutex_wait(struct mutex *m, pthread_cond_t *cond) REQUIRES(m)
{
	(void)pthread_cond_wait(cond, &m->native);
}

/* Wait at most until a time of CLOCK_MONOTONIC (clock_deadline()). Returns
 * false when that has come. */
static inline bool
mutex_wait_until(struct mutex *m, pthread_cond_t *cond,
    const struct timespec *until) REQUIRES(m)
{
	return pthread_cond_clockwait(
		   cond, &m->native, CLOCK_MONOTONIC, until) != ETIMEDOUT;
}

#endif
