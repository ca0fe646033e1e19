/* SPDX-License-Identifier: ISC */
/* check-config - is the configuration good, and what is odd about it? */
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/policy/facts.h"
#include "common/policy/judge.h"
#include "ctl/commands.h"

static void
warn_directory(struct ctl *ctl, const char *key, const char *path)
{
	char copy[4096];

	(void)snprintf(copy, sizeof(copy), "%s", path);
	const char *dir = dirname(copy);

	if (access(dir, F_OK) == -1)
		(void)ctl_fail(ctl, 0, "note: %s: directory %s: %s", key, dir,
		    strerror(errno));
}

/* A log that isn't there yet may come; an admin who waits for it in vain has
 * users who can't send. */
static void
warn_sources(struct ctl *ctl)
{
	bool journald = access("/run/systemd/journal/socket", F_OK) == 0;

	if (ctl->cfg->collector.n_sources == 0)
		(void)ctl_fail(ctl, 0,
		    "note: collector.sources is empty: no login will be seen");
	for (size_t i = 0; i < ctl->cfg->collector.n_sources; i++) {
		const struct config_source *v = &ctl->cfg->collector.sources[i];

		if (v->kind == SOURCE_FILE && access(v->where, F_OK) == -1)
			(void)ctl_fail(ctl, 0,
			    "note: collector.sources: %s: %s%s", v->where,
			    strerror(errno),
			    journald
				? ": this machine has a journal: { journal = \"system\"; }"
				: "");
		if (v->kind == SOURCE_JOURNAL && !journald)
			(void)ctl_fail(ctl, 0,
			    "note: collector.sources: { journal = \"system\"; }: journald doesn't run here: name the log file, { file = \"/path\"; }");
	}
}

static void
say_note(void *arg, const char *text)
{
	(void)ctl_fail(arg, 0, "note: %s", text);
}

/* Good, but not what somebody would want. */
static void
warn(struct ctl *ctl, const struct facts_lists *lists)
{
	const struct config *cfg = ctl->cfg;

	facts_domains(cfg, lists, say_note, ctl);
	if (lists->domains.names.n == 0 && lists->domains.n_postfix == 0)
		(void)ctl_fail(ctl, 0,
		    "note: relay.local_domains is empty: the permit channel takes every recipient for a relay");
	if (*cfg->permit.policy == '\0' && *cfg->permit.socketmap == '\0')
		(void)ctl_fail(ctl, 0,
		    "note: no permit channel is set (permit.policy or permit.socketmap): a closed MTA stays closed for everybody");
	facts_socketmap(cfg, false, say_note, ctl);
	if (*cfg->milter.listen == '\0')
		(void)ctl_fail(ctl, 0,
		    "note: milter.listen is empty: nothing checks what the MTA lets through by itself");
	warn_sources(ctl);
	facts_open_relay(cfg, say_note, ctl);
	if (cfg->relay.mode == RELAY_ENFORCE &&
	    (cfg->relay.monitor_networks.n > 0 ||
		cfg->relay.monitor_listeners.n > 0))
		(void)ctl_fail(ctl, 0,
		    "note: relay.monitor_networks or relay.monitor_listeners: there nothing is refused");
	if (cfg->relay.mode == RELAY_MONITOR)
		(void)ctl_fail(ctl, 0,
		    "note: relay.mode is \"monitor\": nothing is refused");
	if (cfg->relay.mode == RELAY_OBSERVE)
		(void)ctl_fail(ctl, 0,
		    "note: relay.mode is \"observe\": nothing is refused or permitted");
	if (cfg->relay.collector_grace_s == 0)
		(void)ctl_fail(ctl, 0,
		    "note: relay.collector_grace is 0: a dead collector is not noticed, its users get a lasting 550");
	warn_directory(ctl, "logins.database", cfg->logins.database);
	warn_directory(ctl, "audit.database", cfg->audit.database);
}

static int
run(struct ctl *ctl, const struct ctl_args *args)
{
	struct facts_lists lists = { .senders = { .user_name = false } };
	struct judge *judge = NULL;
	struct err err;

	if (args->n == 1)
		ctl->config_path = args->v[0];
	/* here a missing file is an error: it is what was asked about */
	ctl->config_given = true;
	int rc = ctl_config(ctl);

	if (rc == 0 && facts_lists_load(ctl->cfg, &lists, &err) == -1)
		rc = ctl_fail(ctl, EX_CONFIG, "%s", err.text);
	if (rc == 0 && judge_new(ctl->cfg, NULL, &judge, &err) == -1)
		rc = ctl_fail(ctl, EX_CONFIG, "%s", err.text);
	if (rc == 0) {
		warn(ctl, &lists);
		(void)printf("%s: good (%zu local domains, %zu sources)\n",
		    ctl->config_path, lists.domains.names.n,
		    ctl->cfg->collector.n_sources);
	}
	judge_free(&judge);
	facts_lists_release(&lists);
	return rc;
}

const struct command cmd_check_config = {
	.name = "check-config",
	.args = "[FILE]",
	.summary = "is the configuration good?",
	.help =
	    "Reads it as the daemons do, with all files of domains and custom patterns. Errors\n"
	    "name file, line and key; notes are things that work but seldom are meant.\n",
	.min = 0,
	.max = 1,
	.run = run,
};
