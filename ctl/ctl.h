/* SPDX-License-Identifier: ISC */
/* ctl - what the subcommands of popgatectl share: their table, options,
 * errors, the configuration and the databases. */
#ifndef POPGATE_CTL_H
#define POPGATE_CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sysexits.h>

#include "common/base/addr.h"
#include "common/config/config.h"
#include "common/db/audit.h"
#include "common/db/store.h"

struct err;

enum {
	CTL_OPTIONS_MAX = 24,
	CTL_MANY_MAX = 16,
	CTL_NONE = 1 /* exit status: asked rightly, but there is nothing */
};

/* One run of the program. */
struct ctl {
	const char *program; /* "popgatectl" or "vsmtprelay" */
	const char *cmd; /* name of the subcommand, for errors */
	const char *config_path;
	bool config_given; /* by -c: it must exist */
	struct config *cfg; /* owned; NULL until ctl_config() */
	bool defaults; /* cfg is built in: there is no file */
	int64_t now; /* Unix seconds when the program began */
};

/* --name, or --name ARG */
struct ctl_option {
	const char *name;
	/* what it takes, for help; NULL: a switch; "WORD...": it may be given
	 * more than once, see ctl_args.many */
	const char *arg;
	const char *help;
};

/* The command line of one subcommand, split by ctl_parse(). */
struct ctl_args {
	const char *opt[CTL_OPTIONS_MAX]; /* by place in the table; "" for
					   * a switch; NULL: not given */
	const char
	    *many[CTL_MANY_MAX]; /* of the option that may be given often */
	int n_many;
	char **v; /* operands */
	int n;
};

/* A subcommand. Files of ctl/commands/, ctl/why/ and ctl/doctor/ define them,
 * and command_line.c lists them. */
struct command {
	const char *name;
	const char *args; /* synopsis behind the name */
	const char *summary; /* one line */
	const char *help; /* the rest, or NULL */
	const struct ctl_option *options; /* ends with a NULL name */
	const char *words; /* operands that are a closed set, or NULL */
	int min, max; /* operands; max -1: any number */
	/* Returns an exit status. */
	int (*run)(struct ctl *ctl, const struct ctl_args *args);
};

extern const struct command *const commands[]; /* ends with NULL */

const struct command *command_find(const char *name);
/* The name most like a mistyped one; NULL when none is near. */
const char *command_nearest(const char *name);
void command_help(const struct command *cmd);
int
command_run(struct ctl *ctl, const struct command *cmd, int argc, char **argv);
/* Do what the command line of ctl->program says: options before the subcommand,
 * and that. Returns an exit status. */
int command_line(struct ctl *ctl, int argc, char **argv);

/* "popgatectl: add: ..." on stderr, control characters escaped. Returns
 * code, so that a command can say `return ctl_fail(...)`. */
int ctl_fail(const struct ctl *ctl, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* ctl_fail() for a module's error; the exit code follows from err. */
int ctl_fail_err(const struct ctl *ctl, const struct err *err);

/* Read the configuration. Returns 0, or an exit status after having said
 * why. Without -c and without a file: the built-in defaults. */
int ctl_config(struct ctl *ctl);

/* Open the databases that the configuration names. Return 0, or an exit
 * status after having said why. Caller closes. */
int ctl_store(struct ctl *ctl, enum store_mode mode, struct store **st_r);
int ctl_audit(struct ctl *ctl, struct audit_reader **r_r);
/* audit_open_reader() that waits some seconds for a file that popgate-milter is
 * making anew. err must not be NULL. */
int
ctl_audit_open(const char *path, struct audit_reader **r_r, struct err *err);
/* Why a database can't be opened, in words for an admin; returns the status.
 * what: "login table" or "record of decisions" */
int ctl_database_reason(const char *path, const char *what,
    enum store_mode mode, const struct err *err, char *buf, size_t size);

/* An operand that is an address or a network: any form in, canonical text
 * out. Return 0, or an exit status after having said why. */
int ctl_network(const struct ctl *ctl, const char *text, struct network *net);
int ctl_address(const struct ctl *ctl, const char *text, struct addr *addr);

/* A duration from 1 s to max_s, of this option; a moment (see time_parse()). */
int ctl_duration(const struct ctl *ctl, const char *option, const char *text,
    int64_t max_s, int64_t *s_r);
int ctl_time(const struct ctl *ctl, const char *text, int past, int64_t *at_r);
/* Is --until, when both are given, behind --since? In any unit; 0: not given.
 * Returns 0, or EX_USAGE after having said it. */
int ctl_period(const struct ctl *ctl, int64_t since, int64_t until);
/* A whole number from min to max. */
int ctl_number(const struct ctl *ctl, const char *text, int64_t min,
    int64_t max, int64_t *n_r);

/* "root" or who called sudo, for the record; into buf. */
const char *ctl_who(char *buf, size_t size);

#endif
