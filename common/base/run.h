/* SPDX-License-Identifier: ISC */
/* run - run a program with fixed arguments, without a shell, and read what it
 * prints. */
#ifndef POPGATE_RUN_H
#define POPGATE_RUN_H

#include <stddef.h>

struct err;

enum {
	RUN_TIMEOUT_S = 30, /* then it is killed */
	RUN_OUTPUT_MAX = 16 << 20 /* bytes; more is an error */
};

/*   argv   ends with NULL; argv[0] without a slash is looked for in $PATH and
 *          then where system programs are, as cron's $PATH leaves these out.
 *          Root skips what of $PATH others own or may write to, so that no
 *          user's program of that name is run. The program gets the same
 *          $PATH: a shell, a makefile look as safely
 *   input  what it reads on its standard input; NULL: nothing
 *   timeout_s  seconds until it is killed with all that it started
 *   err    names the program, and the first line of what it complained about
 *          that isn't a "warning: "
 * Returns what it printed, with NUL bytes made '?', to be freed by the caller;
 * or NULL with err when it can't be run, exits with another status than 0, is
 * too slow or prints too much. Threads: any; SIGCHLD must not be ignored. */
char *
run_read(char *const argv[], const char *input, int timeout_s, struct err *err);

/* Run it without input; its output goes into an open file, however much it is.
 * Returns 0, or -1 with err. */
int run_write(char *const argv[], int fd, int timeout_s, struct err *err);

#endif
