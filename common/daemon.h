/* daemon - what both daemons do alike: options, detaching, dropping
 * privileges, telling systemd. */
#ifndef POPGATE_DAEMON_H
#define POPGATE_DAEMON_H

#include <stdbool.h>

struct err;

struct daemon_options {
	const char *ident; /* program name */
	const char *usage;
	const char *library; /* "libmilter 1.0.1", for --version */
	/* filled: */
	const char *config; /* absolute; as given when it isn't there */
	bool test, detach;
	bool quiet; /* the log is not the terminal */
};

/* Parse -c -t -d -l --version --help and open the log. Returns -1 to go on,
 * else the exit status (--help, --version, EX_USAGE). */
int daemon_options(struct daemon_options *opt, int argc, char **argv);

/* Fork to the background. The parent stays until daemon_ready() and exits 0,
 * or with the child's status when that ends before. Before any thread is
 * made. 0 in the child, or -1 with err. */
int daemon_detach(struct err *err);

/* Ready to serve: lets a waiting parent go, tells systemd. */
void daemon_ready(void);

/* As root become user with all its groups, and with those of groups (names,
 * ended by NULL) that this system has, so that the user need not be made a
 * member of them. user "" or not root: nothing. There is no way back.
 * 0, or -1 with err. */
int daemon_drop(const char *user, const char *const groups[], struct err *err);

/* The last thing before a daemon ends: the log gets a moment for what it has
 * not taken yet. */
void daemon_log_end(void);

/* Say why the program ends: to the log, and while detaching also to who
 * started it. Includes daemon_log_end(). Returns code. */
int daemon_fail(const struct daemon_options *opt, int code, const char *text);

/* The status of sysexits(3) that goes with an error. */
int daemon_exit_code(const struct err *err);

#endif
