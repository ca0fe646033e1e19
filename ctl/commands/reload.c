/* SPDX-License-Identifier: ISC */
/* reload - let the daemons read their configuration again, and say what came
 * of it. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/json.h"
#include "common/policy/facts.h"
#include "ctl/commands/ask_daemon.h"
#include "ctl/commands/commands.h"

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
reload(const struct ctl *ctl, const char *name, const char *listen)
{
	static char text[PROBE_TEXT_MAX];
	int64_t before = 0;
	struct probe p;

	probe_health(listen, name, &p, text);
	if (p.result != PROBE_GOOD || p.pid <= 1 || !is_daemon(p.pid, name) ||
	    !json_find_number(text, "reloads", &before))
		return ctl_fail(ctl, EX_UNAVAILABLE,
		    "%s does not answer on its status socket%s%s: is it running? if so, say 'systemctl reload %s'",
		    name, *p.words == '\0' ? "" : ": ", p.words, name);
	if (kill(p.pid, SIGUSR1) == -1)
		return ctl_fail(ctl, errno == EPERM ? EX_NOPERM : EX_OSERR,
		    "%s (pid %ld): %s", name, (long)p.pid, strerror(errno));
	return wait_for_result(ctl, name, listen, before);
}

static int
run(struct ctl *ctl, const struct ctl_args *args)
{
	struct facts_lists lists;
	struct err err;
	int rc = ctl_config(ctl);

	(void)args;
	if (rc != 0)
		return rc;
	if (facts_lists_load(ctl->cfg, &lists, &err) == -1)
		return ctl_fail(ctl, EX_CONFIG, "%s", err.text);
	facts_lists_release(&lists);
	rc = reload(ctl, "popgate-milter", ctl->cfg->milter.status);
	int rc2 = reload(ctl, "popgate-collector", ctl->cfg->collector.status);

	return rc != 0 ? rc : rc2;
}

const struct command cmd_reload = {
	.name = "reload",
	.args = "",
	.summary = "let the daemons read their configuration again",
	.help =
	    "The configuration is checked first; a bad one is not given to a daemon.\n"
	    "Waits for both, and says what came of it.\n",
	.min = 0,
	.max = 0,
	.run = run,
};
