/* SPDX-License-Identifier: ISC */
/* setup - one command to a live gate: what is found on this machine, what has
 * to be changed, and the change. cmd_setup.c reads the command line; found.c,
 * settings.c and the mail server's file add to a plan; apply.c carries it out
 * through the journal (journal.h), and puts everything back when it doesn't
 * prove itself. One thread. */
#ifndef POPGATE_SETUP_H
#define POPGATE_SETUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

#include "common/base/addr.h"
#include "common/base/strings.h"
#include "common/mta/edit_plan.h"
#include "ctl/ctl.h"

struct err;
struct journal;
struct live_service;
struct setup;

/* Where the journal is. Not below /var/lib/popgate, where a daemon's user
 * could put another one: root writes what it holds over system files. */
#define SETUP_JOURNAL "/var/lib/popgate-setup"

enum setup_option {
	SETUP_MTA,
	SETUP_CONFIG_DIR,
	SETUP_APPLY,
	SETUP_UNDO,
	SETUP_MONITOR,
	SETUP_ANSWER,
	SETUP_JSON
};

enum setup_kind {
	SETUP_FOUND, /* how it is */
	SETUP_DO, /* what --apply does, one decision a line */
	SETUP_NOTE, /* what the admin should know */
	SETUP_REFUSED /* why --apply would not begin */
};

struct setup_line {
	enum setup_kind kind;
	char *text;
};

/* A file that changes. */
struct setup_file {
	char *path; /* no symbolic link */
	char *before; /* NULL: it isn't there */
	const char *sample; /* what a new one was made from; NULL: nothing */
	char *after;
	mode_t mode; /* of a new one */
	bool own; /* popgate.conf, by whatever name */
};

/* A question that only the admin can answer. */
struct setup_question {
	const char *key;
	const char *choices[3]; /* words, ended by NULL */
	const char *meanings[3]; /* a sentence for each */
	char *text; /* why it is asked; owned */
	const char *answer; /* one of choices; NULL: --apply refuses */
};

enum { SETUP_QUESTIONS_MAX = 12 };

/* A mail server that can be set up. */
struct setup_mta {
	const char *name; /* "postfix": for --mta, in acts */
	const char *title; /* "Postfix" */
	/* Where its configuration usually is; NULL: it isn't on this machine.
	 */
	const char *(*find)(void);
	/* Look at the configuration s->dir before popgate's settings are known:
	 * lines, questions; and set s->domains and s->mynetworks. */
	int (*look)(struct setup *s, struct err *err);
	/* Add the changes for popgate with the configuration cfg: lines, files
	 * by setup_change(), what has to be reloaded by setup_reload(). */
	int (*plan)(struct setup *s, const struct config *cfg, struct err *err);
	/* Try the planned changes on a private copy. May set s->own.
	 * Returns 0, or -1 with err: what failed, and how. */
	int (*trial)(
	    struct setup *s, const struct config *cfg, struct err *err);
	/* Let it read its configuration: dir as given to setup_reload(). Also
	 * after an undo. Nothing when it doesn't run. */
	int (*reload)(const char *dir, struct err *err);
	/* Ask the running server what it says to strangers, to compare it
	 * later; says on stdout why it can't be asked. */
	void (*before)(struct setup *s);
};

extern const struct setup_mta setup_postfix, setup_sendmail, setup_exim;
/* All of them; ends with NULL. */
extern const struct setup_mta *const setup_mtas[];

struct setup {
	struct ctl *ctl;
	const struct ctl_args *args;
	bool apply, monitor;
	bool try_it; /* on a private copy, before it is applied */
	bool unshown; /* the running mail server didn't show all of it */
	const struct setup_mta *mta;
	char *dir; /* its configuration, absolute */
	struct journal *journal;
	struct setup_line *lines;
	size_t n_lines;
	struct setup_file *files; /* popgate.conf first, if it changes */
	size_t n_files;
	struct setup_question questions[SETUP_QUESTIONS_MAX];
	size_t n_questions;
	struct string_list reloads; /* directories for mta->reload */
	int refused; /* exit status of the first SETUP_REFUSED */
	/* from mta->look */
	const char *domains; /* "postfix:/etc/postfix" for local_domains */
	char *domains_text; /* owner of domains */
	struct string_list mynetworks; /* relay without asking anybody */
	const char *group; /* of the sockets; NULL: of their directory */
	/* from found.c */
	bool journald; /* logins are in the journal, not in log */
	char *log; /* the file of logins; NULL: the journal */
	/* from mta->trial and mta->before */
	char *own; /* a recipient of ours that the server takes; or NULL */
	struct setup_live {
		struct live_service *v;
		size_t n;
	} live;
	/* from settings.c */
	struct config *cfg; /* as it will be */
	bool no_memory;
};

/* --- the plan --- */

/* Add a line; control characters are escaped when it is printed. */
void setup_say(struct setup *s, enum setup_kind kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Add the notes and edits of a wiring's plan, without notes of the kind quiet
 * (-1: with all). */
void setup_say_plan(struct setup *s, const struct edit_plan *plan, int quiet);
/* A reason why --apply doesn't begin, with its exit status. */
void setup_refuse(struct setup *s, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Change path, which is followed when it is a symbolic link, to text. Nothing
 * when it holds that already.
 *   was  what text was made from, as it was read: what somebody writes
 *        meanwhile isn't lost; NULL: text is nobody else's
 *   mode of a file that isn't there
 * 0, or -1 with err: ERR_BUSY when it holds something else than was. */
int setup_change(struct setup *s, const char *path, const char *was,
    const char *text, mode_t mode, struct err *err);
/* Have the mail server read the configuration dir when all is in its place. */
void setup_reload(struct setup *s, const char *dir);

/* Ask something: q's text is taken over. Returns the answer, one of its
 * choices, or NULL when there is none. */
const char *setup_ask(struct setup *s, const struct setup_question *q);

/* Is that the key of a question that setup may ask, here or elsewhere? */
bool setup_may_ask(const char *key, size_t len);

/* Is the file made by a program, which would undo the edit? Asks, or notes
 * that it is in a work tree of git or has a second name. text: its contents. */
void setup_origin(struct setup *s, const char *path, const char *text);

/* Run a program; what it printed on both outputs is to be freed by the caller.
 * NULL with err when it can't be run or fails. argv ends with NULL. */
char *setup_run(const char *const argv[], struct err *err);
/* The same; it is killed after so many seconds. */
char *setup_run_for(const char *const argv[], int timeout_s, struct err *err);

void setup_release(struct setup *s);

/* --- its parts --- */

/* The mail server that --mta names, or the one that is here: 0, or an exit
 * status after having said why. */
int setup_find_mta(struct setup *s);
/* POP and IMAP servers, where logins are logged, another popgate. */
void setup_look_around(struct setup *s);
/* A process that was started as "PROGRAM -c CONFIG ..."; 0: there is none. */
pid_t setup_process(const char *program, const char *config);
/* popgate.conf: sets s->cfg; adds the file if it has to change. */
int setup_settings(struct setup *s, struct err *err);

/* Users and directories: which are missing, said as lines; made. */
void setup_plan_system(struct setup *s);
int setup_make_system(struct err *err);
bool setup_system_is_made(void);
/* Give a directory, which may be no symbolic link, owner and mode. */
int setup_own_directory(
    const char *path, uid_t uid, gid_t gid, mode_t mode, struct err *err);

/* Do the paths of "NAME=PATH PATH...", as systemctl show prints a setting, hold
 * this absolute path? */
bool setup_paths_hold(const char *said, const char *dir);

/* The daemons: what is to be done, as lines. */
void setup_plan_daemons(struct setup *s);
/* How both are now, as acts of the journal: what it takes to go back. */
int setup_daemons_before(struct setup *s, struct err *err);
/* Do they run, with the settings of s->cfg? */
bool setup_daemons_run(const struct setup *s);
/* Have them run with the new settings, and wait until they say they do. */
int setup_start_daemons(struct setup *s, struct err *err);
/* Take back what the act says. */
int setup_daemon_back(const struct setup *s, const char *act, struct err *err);

/* Ask the running mail server again, as before() did: is all as promised? Waits
 * for the reload. 0, or -1 with err: it isn't. */
int setup_prove(struct setup *s, struct err *err);
/* Did the running mail server answer before()? */
bool setup_was_asked(const struct setup *s);
/* Let a client log in that nobody but setup can be, ask whether it relays, and
 * print what is shown and what isn't. 0, or -1 with err: popgate itself
 * refuses it. */
int setup_prove_login(struct setup *s, struct err *err);
/* Print what the doctor reads of the configuration, but for what is only good
 * to know. */
void setup_tell_doctor(struct setup *s);

/* The whole plan. Returns 0, or an exit status after having said why. */
int setup_plan(struct setup *s);
bool setup_changes_nothing(const struct setup *s);
void setup_print(const struct setup *s);
void setup_print_json(const struct setup *s);

/* --apply, --undo. Return an exit status. */
int setup_apply(struct setup *s);
int setup_undo(struct setup *s);
/* Finish what an earlier run had to leave: 0, or an exit status. */
int setup_recover(struct setup *s);

#endif
