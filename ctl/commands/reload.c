/* SPDX-License-Identifier: ISC */
/* reload - let the daemons read their configuration again, and say what came
 * of it. */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/json.h"
#include "common/policy/facts.h"
#include "ctl/ask_daemon.h"
#include "ctl/commands.h"

/* postconf(1) and postmap(1) of a large domain table take their time */
enum { WAIT_MS = 60000, LOOK_MS = 50 };

/* The pid may have ended, and been given again. */
static bool
is_daemon(pid_t pid, const char *name)
{
	char path[64], comm[64] = "";
	FILE *in;

	(void)snprintf(path, sizeof(path), "/proc/%ld/comm", (long)pid);
	in = fopen(path, "re");
	if (in == NULL)
		return false;
	if (fgets(comm, sizeof(comm), in) == NULL)
		comm[0] = '\0';
	(void)fclose(in);
	/* the kernel keeps 15 bytes */
	return strncmp(comm, name, 14) == 0;
}

/* Wait until the daemon has read it. Returns an exit status. */
static int
wait_for_result(
    const struct ctl *ctl, const char *name, const char *listen, int64_t before)
{
	static char text[PROBE_TEXT_MAX];
	const struct timespec pause = { .tv_nsec = LOOK_MS * 1000000L };
	int64_t until_ms = clock_monotonic_ms() + WAIT_MS, reloads;
	char words[ERR_TEXT_MAX];
	struct probe p;
	bool good;

	do {
		(void)nanosleep(&pause, NULL);
		probe_health(listen, name, &p, text);
		if (p.result == PROBE_GOOD &&
		    json_find_number(text, "reloads", &reloads) &&
		    json_find_bool(text, "reload_good", &good) &&
		    reloads > before) {
			if (good) {
				(void)printf("%s (pid %ld): in force\n", name,
				    (long)p.pid);
				return 0;
			}
			if (!json_find_text(
				text, "reload_text", words, sizeof(words)))
				words[0] = '\0';
			return ctl_fail(ctl, EX_CONFIG,
			    "%s refused it, the old configuration stays: %s",
			    name, words);
		}
	} while (p.result == PROBE_GOOD && clock_monotonic_ms() < until_ms);
	return ctl_fail(ctl, EX_UNAVAILABLE,
	    "%s was told, but does not say that it has read it: %s", name,
	    p.words);
}

/* Returns an exit status. */
static int
tell(const struct ctl *ctl, const char *name, pid_t pid)
{
	if (kill(pid, SIGUSR1) == 0)
		return 0;
	return ctl_fail(ctl, errno == EPERM ? EX_NOPERM : EX_OSERR,
	    "%s (pid %ld): %s", name, (long)pid, strerror(errno));
}

/* main_pid: the daemon, told by its init system, or 0. Returns an exit
 * status. */
static int
reload(
    const struct ctl *ctl, const char *name, const char *listen, pid_t main_pid)
{
	static char text[PROBE_TEXT_MAX];
	int64_t before = 0;
	struct probe p;

	probe_health(listen, name, &p, text);
	bool asked = p.result == PROBE_GOOD && p.pid > 1 &&
	    is_daemon(p.pid, name) &&
	    json_find_number(text, "reloads", &before);

	if (!asked && main_pid > 1) {
		/* its status socket is off, or is moved by this reload */
		(void)printf(
		    "%s (pid %ld): told; its log says what came of it\n", name,
		    (long)main_pid);
		return tell(ctl, name, main_pid);
	}
	if (!asked)
		return ctl_fail(ctl, EX_UNAVAILABLE,
		    "%s does not answer on its status socket%s%s: is it running? if so, say 'systemctl reload %s'",
		    name, *p.words == '\0' ? "" : ": ", p.words, name);
	int rc = tell(ctl, name, p.pid);

	return rc != 0 ? rc : wait_for_result(ctl, name, listen, before);
}

/* Operands: a daemon, and maybe its pid. Returns an exit status. */
static int
reload_one(const struct ctl *ctl, const struct ctl_args *args)
{
	bool milter = strcmp(args->v[0], "popgate-milter") == 0;
	int64_t pid = 0;

	if (!milter && strcmp(args->v[0], "popgate-collector") != 0)
		return ctl_fail(ctl, EX_USAGE,
		    "'%.100s' is no daemon: expected popgate-milter or popgate-collector",
		    args->v[0]);
	int rc =
	    args->n < 2 ? 0 : ctl_number(ctl, args->v[1], 2, INT32_MAX, &pid);

	if (rc != 0)
		return rc;
	return reload(ctl, args->v[0],
	    milter ? ctl->cfg->milter.status : ctl->cfg->collector.status,
	    (pid_t)pid);
}

/* The lists are the milter's, and its user's to read. */
static int
check_lists(const struct ctl *ctl)
{
	struct facts_lists lists;
	struct err err;

	if (facts_lists_load(ctl->cfg, &lists, &err) == -1)
		return ctl_fail(ctl, EX_CONFIG, "%s", err.text);
	facts_lists_release(&lists);
	return 0;
}

static int
run(struct ctl *ctl, const struct ctl_args *args)
{
	bool collector_only =
	    args->n > 0 && strcmp(args->v[0], "popgate-collector") == 0;
	int rc = ctl_config(ctl);

	if (rc == 0 && !collector_only)
		rc = check_lists(ctl);
	if (rc != 0)
		return rc;
	if (args->n > 0)
		return reload_one(ctl, args);
	rc = reload(ctl, "popgate-milter", ctl->cfg->milter.status, 0);
	int rc2 =
	    reload(ctl, "popgate-collector", ctl->cfg->collector.status, 0);

	return rc != 0 ? rc : rc2;
}

const struct command cmd_reload = {
	.name = "reload",
	.args = "[DAEMON [PID]]",
	.summary = "let the daemons read their configuration again",
	.help =
	    "The configuration is checked first; a bad one is not given to a daemon.\n"
	    "Waits for both, or for DAEMON, and says what came of it.  PID: whom to tell\n"
	    "when DAEMON does not answer on its status socket.\n",
	.words = "popgate-milter popgate-collector",
	.min = 0,
	.max = 2,
	.run = run,
};
