/* SPDX-License-Identifier: ISC */
/* setup_kill - for LD_PRELOAD: popgatectl dies, as by kill -9, right before its
 * KILL_AT-th call that changes something on a disk or starts a program. What
 * it starts is left alone. */
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void
count(void)
{
	static long n, at = -1;

	if (at == -1) {
		const char *text = getenv("KILL_AT");

		at = strcmp(program_invocation_short_name, "popgatectl") == 0 &&
			text != NULL
		    ? atol(text)
		    : 0;
	}
	if (at > 0 && ++n == at)
		(void)kill(getpid(), SIGKILL);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int
renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	count();
	return REAL(renameat)(from_dir, from, to_dir, to);
}

int
linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	count();
	return REAL(linkat)(from_dir, from, to_dir, to, flags);
}

int
unlinkat(int dir, const char *name, int flags)
{
	count();
	return REAL(unlinkat)(dir, name, flags);
}

int
rmdir(const char *name)
{
	count();
	return REAL(rmdir)(name);
}

int
mkdir(const char *name, mode_t mode)
{
	count();
	return REAL(mkdir)(name, mode);
}

int
fsync(int fd)
{
	count();
	return REAL(fsync)(fd);
}
