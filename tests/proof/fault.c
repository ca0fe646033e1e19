// SPDX-License-Identifier: ISC
// Preloaded into one program by the tests in this folder: the n-th call of a
// kind fails, as the system may let it fail at any time.
//
//	FAULT=KIND:N:ERRNO[:MODE]	read:17:5, write:3:28:on, read:9:4:short
//	FAULT_PROGRAM=NAME		in this program only, not in its children
//	FAULT_COUNTS=FILE		calls of each kind, as they are counted
//	FAULT_TRACE=			who called it, on standard error
//
// Memory fails for the program itself and for the libraries it works with, but
// not inside of libc and libconfig: these don't survive it (a null pointer in
// the parser, and in the switch for user names), and aren't ours to mend.
//
// MODE: once (or none), on (this call and all later ones), short (half of the
// bytes that were asked for; no error).

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { MALLOC, OPEN, READ, WRITE, SYNC, RENAME, STAT, INOTIFY, SOCKET,
	POLL, THREAD, LOCK, KINDS };
static const char *const names[KINDS] = { "malloc", "open", "read", "write",
	"sync", "rename", "stat", "inotify", "socket", "poll", "thread",
	"lock" };

static _Atomic uint64_t nowhere[KINDS];
static _Atomic uint64_t *counts = nowhere;
static enum kind failing = KINDS;
static uint64_t number;
static int error;
static bool from_then_on, half;
static bool ready, traced;

static struct range {
	uintptr_t from, to;
} spared[16];
static int spared_n;

static int
spare(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	(void)arg;
	if (strstr(info->dlpi_name, "/libconfig.") == NULL &&
	    strstr(info->dlpi_name, "/libc.") == NULL &&
	    strstr(info->dlpi_name, "/ld-linux") == NULL)
		return 0;
	for (int i = 0; i < info->dlpi_phnum && spared_n < 16; i++)
		if (info->dlpi_phdr[i].p_flags & PF_X)
			spared[spared_n++] = (struct range){
				info->dlpi_addr + info->dlpi_phdr[i].p_vaddr,
				info->dlpi_addr + info->dlpi_phdr[i].p_vaddr +
				    info->dlpi_phdr[i].p_memsz };
	return 0;
}

static bool
is_spared(const void *caller)
{
	for (int i = 0; i < spared_n; i++)
		if ((uintptr_t)caller >= spared[i].from &&
		    (uintptr_t)caller < spared[i].to)
			return true;
	return false;
}

__attribute__((constructor)) static void
begin(void)
{
	const char *fault = getenv("FAULT"), *file = getenv("FAULT_COUNTS");
	const char *program = getenv("FAULT_PROGRAM");
	char kind[16], mode[16] = "";
	int fd;

	if (program == NULL || strcmp(program, program_invocation_short_name))
		return;
	if (file != NULL && (fd = open(file, O_RDWR | O_CREAT, 0600)) >= 0) {
		if (ftruncate(fd, sizeof nowhere) == 0) {
			void *map = mmap(NULL, sizeof nowhere,
			    PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

			if (map != MAP_FAILED)
				counts = map;
		}
		close(fd);
		for (int i = 0; i < KINDS; i++)
			counts[i] = 0;
	}
	if (fault != NULL && sscanf(fault, "%15[a-z]:%lu:%d:%15s", kind,
	    &number, &error, mode) >= 3) {
		for (int i = 0; i < KINDS; i++)
			if (strcmp(kind, names[i]) == 0)
				failing = (enum kind)i;
		from_then_on = strcmp(mode, "on") == 0;
		half = strcmp(mode, "short") == 0;
	}
	dl_iterate_phdr(spare, NULL);
	traced = getenv("FAULT_TRACE") != NULL;
	ready = true;
}

// Is it this call's turn to fail?
static bool
turn(enum kind kind)
{
	uint64_t n;

	if (!ready)
		return false;
	n = atomic_fetch_add(&counts[kind], 1) + 1;
	if (kind == failing && n == number && traced) {
		void *frame[16];

		ready = false;
		backtrace_symbols_fd(frame, backtrace(frame, 16), 2);
		ready = true;
	}
	return kind == failing && (n == number || (from_then_on && n > number));
}

static bool
fails(enum kind kind)
{
	if (half || !turn(kind))
		return false;
	errno = error;
	return true;
}

// The number of bytes to ask for; none: the call fails.
static bool
bytes(enum kind kind, size_t *n)
{
	if (!turn(kind))
		return true;
	if (half) {
		*n = *n > 1 ? *n / 2 : *n;
		return true;
	}
	errno = error;
	return false;
}

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t), *__libc_memalign(size_t, size_t);

#define NO_MEMORY \
	(!is_spared(__builtin_return_address(0)) && fails(MALLOC))

void *malloc(size_t n) { return NO_MEMORY ? NULL : __libc_malloc(n); }
void *calloc(size_t n, size_t m)
{ return NO_MEMORY ? NULL : __libc_calloc(n, m); }
void *realloc(void *p, size_t n)
{ return NO_MEMORY ? NULL : __libc_realloc(p, n); }
void *reallocarray(void *p, size_t n, size_t m)
{
	size_t all;

	if (NO_MEMORY || __builtin_mul_overflow(n, m, &all))
		return NULL;
	return __libc_realloc(p, all);
}
void *aligned_alloc(size_t a, size_t n)
{ return NO_MEMORY ? NULL : __libc_memalign(a, n); }
int posix_memalign(void **p, size_t a, size_t n)
{
	if (NO_MEMORY)
		return ENOMEM;
	*p = __libc_memalign(a, n);
	return *p == NULL ? ENOMEM : 0;
}
char *strndup(const char *text, size_t most)
{
	size_t n = strnlen(text, most);
	char *copy = NO_MEMORY ? NULL : __libc_malloc(n + 1);

	if (copy != NULL) {
		memcpy(copy, text, n);
		copy[n] = 0;
	}
	return copy;
}
char *strdup(const char *text)
{
	char *copy = NO_MEMORY ? NULL : __libc_malloc(strlen(text) + 1);

	return copy == NULL ? NULL : strcpy(copy, text);
}

#define NEXT(name) __extension__ ({					\
	static __typeof__(name) *next;					\
	if (next == NULL)						\
		next = (__typeof__(name) *)dlsym(RTLD_NEXT, #name);	\
	next; })
// a function of the same arguments that may fail instead
#define MAY_FAIL(kind, type, bad, name, parameters, arguments)		\
	type name parameters						\
	{ return fails(kind) ? (bad) : NEXT(name) arguments; }
#define MAY_BE_SHORT(kind, name, parameters, arguments)			\
	ssize_t name parameters						\
	{ return bytes(kind, &n) ? NEXT(name) arguments : -1; }
#define OPENS(name)							\
	int name(const char *path, int flags, ...)			\
	{								\
		va_list ap;						\
		mode_t mode = 0;					\
		va_start(ap, flags);					\
		if (flags & (O_CREAT | __O_TMPFILE))			\
			mode = va_arg(ap, mode_t);			\
		va_end(ap);						\
		return fails(OPEN) ? -1 : NEXT(name)(path, flags, mode);\
	}
#define OPENS_AT(name)							\
	int name(int at, const char *path, int flags, ...)		\
	{								\
		va_list ap;						\
		mode_t mode = 0;					\
		va_start(ap, flags);					\
		if (flags & (O_CREAT | __O_TMPFILE))			\
			mode = va_arg(ap, mode_t);			\
		va_end(ap);						\
		return fails(OPEN) ? -1 :				\
		    NEXT(name)(at, path, flags, mode);			\
	}
OPENS(open) OPENS(open64) OPENS_AT(openat) OPENS_AT(openat64)
MAY_FAIL(OPEN, FILE *, NULL, fopen, (const char *p, const char *m), (p, m))
MAY_FAIL(OPEN, FILE *, NULL, fopen64, (const char *p, const char *m), (p, m))
MAY_FAIL(OPEN, DIR *, NULL, opendir, (const char *p), (p))
MAY_BE_SHORT(READ, read, (int fd, void *b, size_t n), (fd, b, n))
MAY_BE_SHORT(READ, pread, (int fd, void *b, size_t n, off_t o), (fd, b, n, o))
MAY_BE_SHORT(READ, pread64, (int fd, void *b, size_t n, off64_t o),
    (fd, b, n, o))
MAY_BE_SHORT(READ, recv, (int fd, void *b, size_t n, int f), (fd, b, n, f))
MAY_FAIL(READ, ssize_t, -1, readv, (int fd, const struct iovec *v, int c),
    (fd, v, c))
MAY_BE_SHORT(WRITE, write, (int fd, const void *b, size_t n), (fd, b, n))
MAY_BE_SHORT(WRITE, pwrite, (int fd, const void *b, size_t n, off_t o),
    (fd, b, n, o))
MAY_BE_SHORT(WRITE, pwrite64, (int fd, const void *b, size_t n, off64_t o),
    (fd, b, n, o))
MAY_BE_SHORT(WRITE, send, (int fd, const void *b, size_t n, int f),
    (fd, b, n, f))
MAY_FAIL(WRITE, ssize_t, -1, writev, (int fd, const struct iovec *v, int c),
    (fd, v, c))
MAY_FAIL(WRITE, ssize_t, -1, sendmsg, (int fd, const struct msghdr *m, int f),
    (fd, m, f))
MAY_FAIL(SYNC, int, -1, fsync, (int fd), (fd))
MAY_FAIL(SYNC, int, -1, fdatasync, (int fd), (fd))
MAY_FAIL(RENAME, int, -1, rename, (const char *a, const char *b), (a, b))
MAY_FAIL(RENAME, int, -1, link, (const char *a, const char *b), (a, b))
MAY_FAIL(RENAME, int, -1, unlink, (const char *a), (a))
MAY_FAIL(RENAME, int, -1, ftruncate, (int fd, off_t n), (fd, n))
MAY_FAIL(RENAME, int, -1, ftruncate64, (int fd, off64_t n), (fd, n))
MAY_FAIL(RENAME, int, -1, chmod, (const char *a, mode_t m), (a, m))
MAY_FAIL(RENAME, int, -1, fchmod, (int fd, mode_t m), (fd, m))
MAY_FAIL(RENAME, int, -1, fchown, (int fd, uid_t u, gid_t g), (fd, u, g))
MAY_FAIL(STAT, int, -1, stat, (const char *p, struct stat *s), (p, s))
MAY_FAIL(STAT, int, -1, lstat, (const char *p, struct stat *s), (p, s))
MAY_FAIL(STAT, int, -1, fstat, (int fd, struct stat *s), (fd, s))
MAY_FAIL(STAT, int, -1, stat64, (const char *p, struct stat64 *s), (p, s))
MAY_FAIL(STAT, int, -1, lstat64, (const char *p, struct stat64 *s), (p, s))
MAY_FAIL(STAT, int, -1, fstat64, (int fd, struct stat64 *s), (fd, s))
MAY_FAIL(STAT, int, -1, fstatat, (int d, const char *p, struct stat *s, int f),
    (d, p, s, f))
MAY_FAIL(INOTIFY, int, -1, inotify_init1, (int f), (f))
MAY_FAIL(INOTIFY, int, -1, inotify_add_watch, (int fd, const char *p,
    uint32_t m), (fd, p, m))
MAY_FAIL(SOCKET, int, -1, socket, (int d, int t, int p), (d, t, p))
MAY_FAIL(SOCKET, int, -1, bind, (int fd, const struct sockaddr *a,
    socklen_t n), (fd, a, n))
MAY_FAIL(SOCKET, int, -1, connect, (int fd, const struct sockaddr *a,
    socklen_t n), (fd, a, n))
MAY_FAIL(SOCKET, int, -1, listen, (int fd, int n), (fd, n))
MAY_FAIL(SOCKET, int, -1, accept, (int fd, struct sockaddr *a, socklen_t *n),
    (fd, a, n))
MAY_FAIL(SOCKET, int, -1, accept4, (int fd, struct sockaddr *a, socklen_t *n,
    int f), (fd, a, n, f))
MAY_FAIL(POLL, int, -1, poll, (struct pollfd *p, nfds_t n, int t), (p, n, t))
MAY_FAIL(POLL, int, -1, epoll_wait, (int fd, struct epoll_event *e, int n,
    int t), (fd, e, n, t))
MAY_FAIL(THREAD, int, EAGAIN, pthread_create, (pthread_t *t,
    const pthread_attr_t *a, void *(*f)(void *), void *x), (t, a, f, x))

static int
locks(__typeof__(fcntl) *next, int fd, int command, void *x)
{
	if ((command == F_SETLK || command == F_SETLKW ||
	    command == F_OFD_SETLK) && fails(LOCK))
		return -1;
	return next(fd, command, x);
}
#define LOCKS(name)							\
	int name(int fd, int command, ...)				\
	{								\
		va_list ap;						\
		void *x;						\
		va_start(ap, command);					\
		x = va_arg(ap, void *);					\
		va_end(ap);						\
		return locks(NEXT(name), fd, command, x);		\
	}
LOCKS(fcntl) LOCKS(fcntl64)
