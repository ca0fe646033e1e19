/* SPDX-License-Identifier: ISC */
/* short_memory - each allocation of what a test calls fails once: the first,
 * then the second, until none is left to fail. What failed says so, keeps
 * nothing, and works the next time.
 *
 * Allocations of libraries count alike. Under a sanitizer, which has an
 * allocator of its own, nothing fails. */
#ifndef POPGATE_SHORT_MEMORY_H
#define POPGATE_SHORT_MEMORY_H

#include <errno.h>
#include <malloc.h>

#include "tests/unit/unit.h"

#ifdef __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SHORT_MEMORY_NONE
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SHORT_MEMORY_NONE
#endif

/* Of this thread. */
static _Thread_local struct {
	bool counts;
	unsigned done, fails_at; /* 0: none fails */
	long held; /* allocations that weren't freed */
} short_memory;

#ifndef SHORT_MEMORY_NONE
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t size);
extern void __libc_free(void *p);

static bool
short_memory_fails(void)
{
	if (!short_memory.counts ||
	    ++short_memory.done != short_memory.fails_at)
		return false;
	errno = ENOMEM;
	return true;
}

static void *
short_memory_held(void *p)
{
	if (short_memory.counts && p != NULL)
		short_memory.held++;
	return p;
}

void *
malloc(size_t size)
{
	return short_memory_fails() ? NULL
				    : short_memory_held(__libc_malloc(size));
}

void *
calloc(size_t n, size_t size)
{
	return short_memory_fails() ? NULL
				    : short_memory_held(__libc_calloc(n, size));
}

void *
realloc(void *p, size_t size)
{
	if (short_memory_fails())
		return NULL;
	return p == NULL ? short_memory_held(__libc_realloc(p, size))
			 : __libc_realloc(p, size);
}

void *
reallocarray(void *p, size_t n, size_t size)
{
	size_t all;

	if (__builtin_mul_overflow(n, size, &all)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(p, all);
}

void
free(void *p)
{
	if (short_memory.counts && p != NULL)
		short_memory.held--;
	__libc_free(p);
}
#endif

/* Call run(arg) with one allocation more each time, and then with all of them.
 * It returns whether it succeeded, has undone it by then, and asserts itself
 * that what it called failed as it must. Returns how often it failed. */
static inline unsigned
short_memory_run(bool (*run)(void *arg), void *arg)
{
	unsigned failed = 0;
	bool ok, all;

	/* what is made once and kept */
	assert_true(run(arg));
	for (unsigned n = 1;; n++) {
		ROW("allocation %u fails", n);
		short_memory.done = 0;
		short_memory.held = 0;
		short_memory.fails_at = n;
		short_memory.counts = true;
		ok = run(arg);
		short_memory.counts = false;
		all = short_memory.done < n;
		assert_int_equal(short_memory.held, 0);
		failed += !ok;
		if (all)
			break;
	}
	assert_true(ok);
	return failed;
}

/* The same; where allocations fail, it fails more often than that. */
static inline void
short_memory_fails_often(bool (*run)(void *arg), void *arg, unsigned more_than)
{
	unsigned failed = short_memory_run(run, arg);

#ifdef SHORT_MEMORY_NONE
	assert_int_equal(failed, 0);
	(void)more_than;
#else
	assert_true(failed > more_than);
#endif
}

#endif
