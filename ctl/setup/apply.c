/* SPDX-License-Identifier: ISC */
/* apply - the plan carried out, and put back; after a kill, by the next --apply
 * or --undo (setup_recover()). Users and directories, then, all of it in the
 * journal, popgate.conf, the daemons, the mail server's files, its reload, the
 * proof. */
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/err.h"
#include "ctl/out.h"
#include "ctl/setup/journal.h"
#include "ctl/setup/setup.h"
#include "ctl/shell.h"

static volatile sig_atomic_t stopped_by;

static void
note_signal(int signo)
{
	stopped_by = signo;
}

/* ^C and a closed terminal end setup between two steps, and all goes back. */
static void
catch_signals(void)
{
	const struct sigaction sa = { .sa_handler = note_signal };
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		(void)sigaction(signals[i], &sa, NULL);
}

static void
said(const char *what)
{
	(void)printf("%s\n", what);
	(void)fflush(stdout);
}

/* --- back --- */

/* "reload NAME DIR" */
static int
reload_by_act(const char *act, struct err *err)
{
	char name[20];
	int n = 0;

	if (sscanf(act, "reload %19s %n", name, &n) != 1 || n == 0)
		return 0;
	for (size_t i = 0; setup_mtas[i] != NULL; i++)
		if (strcmp(setup_mtas[i]->name, name) == 0)
			return setup_mtas[i]->reload(act + n, err);
	return 0;
}

static int
take_back(void *arg, const char *act, struct err *err)
{
	return strncmp(act, "reload ", 7) == 0
	    ? reload_by_act(act, err)
	    : setup_daemon_back(arg, act, err);
}

static void
print_path(const char *before, const char *path, const char *after)
{
	(void)fputs(before, stdout);
	out_text(path);
	(void)fputs(after, stdout);
}

static void
print_left(const struct journal_told *told)
{
	print_path("  left: ", told->path,
	    ", somebody has changed it since. By hand: ");
	if (told->before == NULL) {
		print_path("setup had made it as in ", told->after, "\n");
		return;
	}
	(void)fputs("diff -u ", stdout);
	shell_print(told->after);
	(void)putchar(' ');
	shell_print(told->before);
	(void)fputs(" | patch -F3 ", stdout);
	shell_print(told->path);
	(void)putchar('\n');
}

static void
tell(void *arg, const struct journal_told *told)
{
	const char *name = told->path != NULL ? told->path : told->act;

	(void)arg;
	switch (told->fate) {
	case JOURNAL_RESTORED:
		if (told->path != NULL)
			print_path("  as before: ", name, "\n");
		break;
	case JOURNAL_REMOVED:
		print_path("  removed: ", name, "\n");
		break;
	case JOURNAL_UNTOUCHED:
		break;
	case JOURNAL_LEFT:
		print_left(told);
		break;
	case JOURNAL_FAILED:
		print_path("  FAILED: ", name, ": ");
		out_text(told->err->text);
		(void)putchar('\n');
		break;
	}
}

static void
tell_left(void *arg, const struct journal_told *told)
{
	(void)arg;
	print_left(told);
}

static int
undo(struct setup *s,
    int (*fn)(struct journal *, const struct journal_undo *, struct err *))
{
	const struct journal_undo how = { take_back, tell, s };
	struct err err;
	int n = fn(s->journal, &how, &err);

	(void)fflush(stdout);
	return n == -1 ? ctl_fail_err(s->ctl, &err) : n == 0 ? 0 : CTL_NONE;
}

int
setup_recover(struct setup *s)
{
	enum journal_state state = journal_state(s->journal, NULL);

	if (state != JOURNAL_APPLYING && state != JOURNAL_UNDOING)
		return 0;
	said(state == JOURNAL_APPLYING
		? "An earlier setup was interrupted; it is put back first:"
		: "An earlier setup --undo was interrupted; it goes on first:");
	return undo(s, journal_undo_newest);
}

int
setup_undo(struct setup *s)
{
	if (journal_state(s->journal, NULL) == JOURNAL_NOTHING) {
		said("There is nothing to undo.");
		journal_each_left(s->journal, tell_left, NULL);
		return 0;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	catch_signals();
	said("Putting back what setup has changed:");
	int rc = undo(s, journal_undo_all);

	if (rc == 0)
		said(
		    "All of it is as it was before. popgate's users, its directories and what it recorded in /var/lib/popgate stay.");
	return rc;
}

/* --- there --- */

/* List the actions that have to be taken back, the last first. */
static int
fill_journal(struct setup *s, struct err *err)
{
	char act[600];
	size_t own = s->n_files > 0 && s->files[0].own ? 1 : 0;

	if (journal_begin(s->journal, s->ctl->now, err) == -1 ||
	    setup_daemons_before(s, err) == -1)
		return -1;
	for (size_t i = 0; i <= s->n_files; i++) {
		/* between popgate.conf and the mail server's files */
		for (size_t k = 0; i == own && k < s->reloads.n; k++) {
			(void)snprintf(act, sizeof(act), "reload %s %s",
			    s->mta->name, s->reloads.v[k]);
			if (journal_add_act(s->journal, act, err) == -1)
				return -1;
		}
		if (i == s->n_files)
			break;
		const struct setup_file *f = &s->files[i];

		if (journal_add_file(s->journal, f->path, f->before,
			f->before == NULL ? 0 : strlen(f->before), f->after,
			strlen(f->after), f->mode, err) == -1)
			return -1;
	}
	return journal_seal(s->journal, err);
}

static int
interrupted(struct err *err)
{
	if (stopped_by == 0)
		return 0;
	err_set(err, ERR_BUSY, "interrupted by signal %d", (int)stopped_by);
	return -1;
}

static int
make_files(struct setup *s, bool own, struct err *err)
{
	for (size_t i = 0; i < s->n_files; i++) {
		if (s->files[i].own != own)
			continue;
		if (interrupted(err) == -1 ||
		    journal_make(s->journal, s->files[i].path, err) == -1)
			return -1;
		print_path("  written: ", s->files[i].path, "\n");
		(void)fflush(stdout);
	}
	return 0;
}

static int
reload_all(struct setup *s, struct err *err)
{
	for (size_t i = 0; i < s->reloads.n; i++)
		if (interrupted(err) == -1 ||
		    s->mta->reload(s->reloads.v[i], err) == -1)
			return -1;
	return 0;
}

static int
carry_out(struct setup *s, struct err *err)
{
	if (make_files(s, true, err) == -1)
		return -1;
	said("  starting the daemons");
	if (setup_start_daemons(s, err) == -1 || interrupted(err) == -1 ||
	    make_files(s, false, err) == -1)
		return -1;
	if (s->reloads.n > 0)
		(void)printf("  reloading %s\n", s->mta->title);
	if (reload_all(s, err) == -1)
		return -1;
	said("  asking whether it works");
	if (setup_prove(s, err) == -1 || interrupted(err) == -1 ||
	    setup_prove_login(s, err) == -1 || interrupted(err) == -1)
		return -1;
	return journal_commit(s->journal, err);
}

/* Is a reason there not to begin? */
static int
may_begin(struct setup *s)
{
	if (s->refused != 0)
		return ctl_fail(s->ctl, s->refused,
		    "nothing was changed: see 'In the way' above");
	for (size_t i = 0; i < s->n_questions; i++)
		if (s->questions[i].answer == NULL)
			return ctl_fail(s->ctl, EX_USAGE,
			    "nothing was changed: answer the question '%s' first, by --answer %s=...",
			    s->questions[i].key, s->questions[i].key);
	return 0;
}

static int
fail_back(struct setup *s, const struct err *why)
{
	int rc = ctl_fail_err(s->ctl, why);

	said("Putting all of it back:");
	if (undo(s, journal_undo_newest) != 0)
		return ctl_fail(s->ctl, rc,
		    "not all could be put back; say popgatectl setup --undo when the cause is gone");
	return rc;
}

int
setup_apply(struct setup *s)
{
	struct err err;
	int rc = may_begin(s);

	(void)signal(SIGPIPE, SIG_IGN);
	if (rc != 0)
		return rc;
	if (setup_changes_nothing(s)) {
		s->mta->before(s);
		if (setup_prove(s, &err) == -1)
			return ctl_fail_err(s->ctl, &err);
		said(setup_was_asked(s)
			? "Nothing to change: all is as setup would make it, and it works."
			: "Nothing to change: all is as setup would make it. Whether it works wasn't asked.");
		return 0;
	}
	/* until here nothing is changed, and a signal simply ends it */
	if (s->reloads.n > 0 && s->try_it) {
		said("Trying it on a private copy of the mail server");
		if (s->mta->trial(s, s->cfg, &err) == -1) {
			rc = ctl_fail_err(s->ctl, &err);
			return ctl_fail(s->ctl, rc,
			    "nothing was changed; --answer trial=skip would do it without the trial");
		}
	}
	s->mta->before(s);
	catch_signals();
	if (setup_make_system(&err) == -1 || fill_journal(s, &err) == -1)
		return ctl_fail_err(s->ctl, &err);
	said("Applying:");
	if (carry_out(s, &err) == -1)
		return fail_back(s, &err);
	setup_tell_doctor(s);
	if (!s->try_it && s->reloads.n > 0 && s->unshown) {
		(void)printf(
		    "The changes are made. They weren't tried on a private copy, and the running %s hasn't shown that they work: see above. popgatectl setup --undo puts all back.\n",
		    s->mta->title);
		return 0;
	}
	said(s->monitor
		? "Done. popgate watches: see 'popgatectl decisions' for what it would do; popgatectl setup --apply lets it decide."
		: "Done. popgatectl status says how it is, popgatectl setup --undo puts all back.");
	return 0;
}
