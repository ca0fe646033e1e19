/* SPDX-License-Identifier: ISC */
/* daemon - what both daemons do alike: options, detaching, dropping
 * privileges, telling systemd. */
#ifndef POPGATE_DAEMON_H
#define POPGATE_DAEMON_H

#include <stdbool.h>

#include "common/config/config.h"

struct err;

/* For the text of --help: the options that daemon_options() takes, and the
 * signals. */
#define DAEMON_USAGE                                                                    \
	"  -c, --config FILE  configuration (" CONFIG_DEFAULT_PATH ")\n"                \
	"  -t, --test         check the configuration and exit\n"                       \
	"  -d, --detach       go to the background when ready\n"                        \
	"  -l, --log TARGET   syslog, stderr or journal (stderr; with -d: syslog)\n"    \
	"  -V, --version      print versions\n"                                         \
	"  -h, --help         print this\n"                                             \
	"\n"                                                                            \
	"Signals: SIGTERM and SIGINT stop, SIGUSR1 and SIGHUP read the configuration\n" \
	"again. "

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

/* The user that a daemon becomes when root has started it. */
struct daemon_user {
	const char *key; /* "milter.user" */
	const char *value; /* what the configuration says; "": it doesn't */
	const char *usual; /* then this one, which must exist */
	/* groups that it gets beside its own, where this system has them, so
	 * that the user need not be made a member of them; ended by NULL */
	const char *const *groups;
};

/* Can daemon_drop() find its user? 0, or -1 with err, which says how to make
 * one. 0 when the process isn't root's. */
int daemon_user_check(const struct daemon_user *user, struct err *err);

/* Become that user, with all its groups; there is no way back. Where the
 * configuration says "root", log a warning and stay. Nothing when the process
 * isn't root's. What root does besides: docs/SECURITY.md. 0, or -1 with err. */
int daemon_drop(const struct daemon_user *user, struct err *err);

/* Give the log a moment for lines that it has not taken yet; the last thing
 * before a daemon ends. */
void daemon_log_end(void);

/* Log why the program ends, and while detaching write it to stderr too; an "out
 * of memory" with the limit to raise. Includes daemon_log_end(). Returns code.
 */
int daemon_fail(const struct daemon_options *opt, int code, const char *text);

/* Write what to add to a message that says "out of memory": which limit was
 * met, and what to set. "" for another message. buf has DAEMON_ADVICE_MAX.
 * Returns buf. */
enum { DAEMON_ADVICE_MAX = 300 };
const char *daemon_memory_advice(const char *why, char *buf);

/* The status of sysexits(3) that goes with an error. */
int daemon_exit_code(const struct err *err);

#endif
