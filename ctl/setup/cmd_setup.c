/* SPDX-License-Identifier: ISC */
/* cmd_setup - popgatectl setup: its command line, and in which order its parts
 * look. */
#include <ctype.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/err.h"
#include "ctl/commands.h"
#include "ctl/setup/journal.h"
#include "ctl/setup/setup.h"
#include "ctl/stage/room.h"

enum { DIR_LEN_MAX = 500 };

static const struct ctl_option options[] = {
	[SETUP_MTA] = { "mta", "NAME",
	    "postfix, sendmail or exim (the one that is here)" },
	[SETUP_CONFIG_DIR] = { "config-dir", "PATH",
	    "its configuration, if it is elsewhere" },
	[SETUP_APPLY] = { "apply", NULL, "do it" },
	[SETUP_UNDO] = { "undo", NULL, "put back what setup has changed" },
	[SETUP_MONITOR] = { "monitor", NULL,
	    "relay.mode = \"observe\": only record what popgate would do" },
	[SETUP_ANSWER] = { "answer", "KEY=VALUE...",
	    "answer a question of the plan" },
	[SETUP_JSON] = { "json", NULL, "the plan as a JSON object" },
	{ 0 },
};

const struct setup_mta *const setup_mtas[] = {
	&setup_postfix,
	&setup_sendmail,
	&setup_exim,
	NULL,
};

static int
unknown_mta(const struct setup *s, const char *name)
{
	return ctl_fail(s->ctl, EX_USAGE,
	    "'%.100s' is not a mail server that can be set up: expected postfix, sendmail or exim",
	    name);
}

/* The journal has a line an entry, and an act names the directory. */
static bool
is_plain_directory(const char *dir)
{
	for (const char *p = dir; *p != '\0'; p++)
		if (iscntrl((unsigned char)*p))
			return false;
	return strlen(dir) < DIR_LEN_MAX;
}

int
setup_find_mta(struct setup *s)
{
	const char *name = s->args->opt[SETUP_MTA], *found = NULL;
	const char *dir = s->args->opt[SETUP_CONFIG_DIR];

	for (size_t i = 0; setup_mtas[i] != NULL; i++) {
		const struct setup_mta *mta = setup_mtas[i];
		const char *here = mta->find();

		if (name != NULL ? strcmp(name, mta->name) != 0 : here == NULL)
			continue;
		if (s->mta != NULL)
			return ctl_fail(s->ctl, EX_USAGE,
			    "there are %s and %s on this machine: say which one by --mta",
			    s->mta->title, mta->title);
		s->mta = mta;
		found = here;
	}
	if (s->mta == NULL && name != NULL)
		return unknown_mta(s, name);
	if (s->mta == NULL)
		return ctl_fail(s->ctl, EX_NOINPUT,
		    "no Postfix, Sendmail or Exim was found at its usual place; name it by --mta and --config-dir");
	dir = dir == NULL ? found : dir;
	if (dir == NULL)
		return ctl_fail(s->ctl, EX_NOINPUT,
		    "there is no configuration of %s at its usual place; name it by --config-dir",
		    s->mta->title);
	s->dir = realpath(dir, NULL);
	if (s->dir == NULL)
		return ctl_fail(s->ctl, EX_NOINPUT,
		    "--config-dir %s: there is nothing of that name", dir);
	return is_plain_directory(s->dir)
	    ? 0
	    : ctl_fail(s->ctl, EX_USAGE,
		  "--config-dir %s: expected a path of less than %d bytes without control characters",
		  s->dir, DIR_LEN_MAX);
}

/* An answer to a question that isn't asked here is no mistake: it was asked
 * before, or is elsewhere. */
static void
check_answers(struct setup *s)
{
	for (int i = 0; i < s->args->n_many; i++) {
		const char *answer = s->args->many[i];
		size_t n = strcspn(answer, "="), k = 0;

		while (k < s->n_questions &&
		    (strlen(s->questions[k].key) != n ||
			strncmp(s->questions[k].key, answer, n) != 0))
			k++;
		if (k == s->n_questions)
			setup_say(s, SETUP_NOTE,
			    "--answer %s: that question is not asked here",
			    answer);
	}
}

/* May this process make namespaces? Tried by a child. */
static bool
makes_namespaces(struct err *err)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID) == 0
			? 0
			: errno & 0xff);
	if (pid == -1 || waitpid(pid, &status, 0) != pid)
		return false;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return true;
	err_set(err, ERR_IO, "this system allows no namespaces (%s)",
	    strerror(WIFEXITED(status) ? WEXITSTATUS(status) : EPERM));
	return false;
}

/* Can the changes be tried on a copy, and shall they be? */
static void
plan_trial(struct setup *s)
{
	struct setup_question q = {
		.key = "trial",
		.choices = { "skip", NULL },
		.meanings = { "make the changes without having tried them; the running mail server is asked afterwards, and all is put back if it isn't right" },
	};
	struct err err;
	bool skip = false;

	for (int i = 0; i < s->args->n_many; i++)
		skip |= strcmp(s->args->many[i], "trial=skip") == 0;
	s->try_it = !skip;
	if (s->reloads.n == 0 || geteuid() != 0)
		return;
	if (room_possible(&err) == -1 || !makes_namespaces(&err)) {
		s->try_it = false;
		if (asprintf(&q.text,
			"the changes can't be tried on a private copy of the mail server: %s",
			err.text) == -1)
			q.text = NULL;
		(void)setup_ask(s, &q);
	} else if (skip) {
		q.text = strdup(
		    "the changes can be tried on a private copy of the mail server first");
		(void)setup_ask(s, &q);
	}
}

int
setup_plan(struct setup *s)
{
	struct err err;
	int rc = setup_find_mta(s);

	if (rc != 0)
		return rc;
	setup_look_around(s);
	if (s->mta->look(s, &err) == -1)
		return ctl_fail_err(s->ctl, &err);
	if (setup_settings(s, &err) == -1)
		return ctl_fail(s->ctl, EX_CONFIG, "%s", err.text);
	setup_plan_system(s);
	setup_plan_daemons(s);
	if (s->refused == 0 && s->mta->plan(s, s->cfg, &err) == -1)
		return ctl_fail_err(s->ctl, &err);
	plan_trial(s);
	check_answers(s);
	return s->no_memory ? ctl_fail(s->ctl, EX_OSERR, "out of memory") : 0;
}

bool
setup_changes_nothing(const struct setup *s)
{
	return s->n_files == 0 && setup_system_is_made() &&
	    setup_daemons_run(s);
}

static void
say_state(struct setup *s)
{
	enum journal_state state = journal_state(s->journal, NULL);

	if (state == JOURNAL_APPLYING || state == JOURNAL_UNDOING)
		setup_say(s, SETUP_NOTE,
		    "an earlier setup was interrupted: --apply puts it back and begins again, --undo puts it back");
	if (geteuid() != 0)
		setup_say(s, SETUP_NOTE,
		    "not run as root: some of this machine may not be seen, and --apply needs root");
}

static int
show(struct setup *s)
{
	struct err err;
	/* the journal is root's */
	int rc = geteuid() == 0 &&
		journal_open(SETUP_JOURNAL, JOURNAL_LOOK, &s->journal, &err) ==
		    -1
	    ? ctl_fail_err(s->ctl, &err)
	    : setup_plan(s);

	if (rc != 0)
		return rc;
	if (s->journal != NULL)
		say_state(s);
	if (s->args->opt[SETUP_JSON] != NULL) {
		setup_print_json(s);
		return s->refused;
	}
	setup_print(s);
	if (s->refused == 0)
		(void)puts(setup_changes_nothing(s)
			? "Nothing to change: all is as setup would make it."
			: "\nNothing was changed. popgatectl setup --apply does it.");
	return s->refused;
}

static int
change(struct setup *s)
{
	struct err err;
	int rc;

	if (geteuid() != 0)
		return ctl_fail(s->ctl, EX_NOPERM, "--%s needs root",
		    s->apply ? "apply" : "undo");
	if (journal_open(SETUP_JOURNAL, JOURNAL_CHANGE, &s->journal, &err) ==
	    -1)
		return ctl_fail_err(s->ctl, &err);
	if (!s->apply)
		return setup_undo(s);
	rc = setup_recover(s);
	if (rc != 0)
		return ctl_fail(s->ctl, rc,
		    "not begun: the earlier setup could not be put back completely; see above");
	rc = setup_plan(s);
	if (rc != 0)
		return rc;
	if (s->args->opt[SETUP_JSON] != NULL) {
		setup_print_json(s);
		/* what is said from now on is no JSON */
		if (fflush(stdout) != 0 ||
		    dup2(STDERR_FILENO, STDOUT_FILENO) == -1)
			return ctl_fail(
			    s->ctl, EX_IOERR, "the plan can't be written");
	} else {
		setup_print(s);
	}
	return setup_apply(s);
}

/* Check the command line for mistakes: an exit status, or 0. */
static int
check_usage(struct ctl *ctl, const struct ctl_args *args)
{
	bool undo = args->opt[SETUP_UNDO] != NULL;

	if (undo &&
	    (args->opt[SETUP_APPLY] != NULL ||
		args->opt[SETUP_MONITOR] != NULL || args->n_many > 0))
		return ctl_fail(ctl, EX_USAGE,
		    "--undo takes no other option: it puts back what setup has changed");
	for (int i = 0; i < args->n_many; i++) {
		size_t n = strcspn(args->many[i], "=");

		if (args->many[i][n] != '=')
			return ctl_fail(ctl, EX_USAGE,
			    "--answer %.100s: expected key=value",
			    args->many[i]);
		if (!setup_may_ask(args->many[i], n))
			return ctl_fail(ctl, EX_USAGE,
			    "--answer %.100s: there is no such question: expected generated, mynetworks, sendmail_cf or trial",
			    args->many[i]);
	}
	if (*ctl->config_path != '/')
		return ctl_fail(ctl, EX_USAGE,
		    "-c %s: expected an absolute path, as the daemons are started with it",
		    ctl->config_path);
	return 0;
}

static int
run(struct ctl *ctl, const struct ctl_args *args)
{
	struct setup s = {
		.ctl = ctl,
		.args = args,
		.apply = args->opt[SETUP_APPLY] != NULL,
		.monitor = args->opt[SETUP_MONITOR] != NULL,
	};
	bool undo = args->opt[SETUP_UNDO] != NULL;
	int rc = check_usage(ctl, args);

	if (rc != 0)
		return rc;
	rc = s.apply || undo ? change(&s) : show(&s);
	setup_release(&s);
	return rc;
}

const struct command cmd_setup = {
	.name = "setup",
	.args =
	    "[--mta NAME [--config-dir PATH]] [--monitor] [--apply] | --undo",
	.summary = "connect popgate to the mail server, and prove it",
	.help =
	    "Without --apply it prints what it found and what it would do, and changes\n"
	    "nothing. --apply tries the change on a private copy of the mail server, makes\n"
	    "it, and asks the mail server whether it works; if not, all is put back. A plan\n"
	    "with questions begins only when each has its --answer.\n",
	.options = options,
	.min = 0,
	.max = 0,
	.run = run,
};
