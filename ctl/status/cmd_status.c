/* SPDX-License-Identifier: ISC */
/* status, health - is everything alive? For people, and for monitoring. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/json.h"
#include "common/config/config.h"
#include "ctl/commands.h"
#include "ctl/out.h"
#include "ctl/status/status.h"

static const struct ctl_option options[] = {
	{ "json", NULL, "a JSON object" },
	{ 0 },
};

void
status_add(
    struct status *s, enum level level, const char *what, const char *words)
{
	static const int badness[] = {
		[LEVEL_OK] = 0,
		[LEVEL_UNKNOWN] = 1,
		[LEVEL_WARNING] = 2,
		[LEVEL_CRITICAL] = 3,
	};

	if (badness[level] > badness[s->worst])
		s->worst = level;
	if (s->n == STATUS_CHECKS_MAX)
		return;
	struct check *c = &s->check[s->n++];

	c->level = level;
	(void)snprintf(c->what, sizeof(c->what), "%s", what);
	(void)snprintf(c->words, sizeof(c->words), "%s", words);
}

static void
check_mode(struct status *s)
{
	const struct config *cfg = s->ctl->cfg;

	if (cfg->relay.mode == RELAY_MONITOR)
		status_add(s, LEVEL_WARNING, "mode",
		    "relay.mode is \"monitor\": nothing is refused");
	else if (cfg->relay.mode == RELAY_OBSERVE)
		status_add(s, LEVEL_WARNING, "mode",
		    "relay.mode is \"observe\": nothing is refused or permitted");
	else if (cfg->relay.monitor_networks.n > 0 ||
	    cfg->relay.monitor_listeners.n > 0)
		status_add(s, LEVEL_WARNING, "mode",
		    "relay.monitor_networks or relay.monitor_listeners: there nothing is refused");
}

int
status_gather(struct ctl *ctl, struct status *s)
{
	int rc = ctl_config(ctl);

	*s = (struct status){ .ctl = ctl,
		.lag_s = -1,
		.per_minute = -1,
		.decisions = -1,
		.logins = -1,
		.queued = -1,
		.milter_asked_at = -1,
		.permit_asked_at = -1,
		.started_at = -1 };
	if (rc != 0)
		return rc;
	status_daemons(s);
	/* one that hangs takes seconds, and the collector's goes on */
	ctl->now = clock_now();
	status_tables(s);
	status_share(s);
	status_mta(s);
	check_mode(s);
	return 0;
}

static const char *const level_names[] = { "OK", "WARNING", "CRITICAL",
	"UNKNOWN" };

const char *
status_level_name(enum level level)
{
	return level_names[level];
}

static void
print_json(const struct status *s)
{
	struct json j = { .to = stdout };

	json_open(&j, NULL, '{');
	json_text(&j, "state", level_names[s->worst]);
	json_number(&j, "lag_s", s->lag_s);
	json_number(&j, "relays_per_minute", s->per_minute);
	json_number(&j, "decisions_per_minute", s->decisions);
	json_number(&j, "logins_per_minute", s->logins);
	json_number(&j, "audit_queued", s->queued);
	json_open(&j, "checks", '[');
	for (int i = 0; i < s->n; i++) {
		json_open(&j, NULL, '{');
		json_text(&j, "what", s->check[i].what);
		json_text(&j, "state", level_names[s->check[i].level]);
		json_text(&j, "words", s->check[i].words);
		json_close(&j, '}');
	}
	json_close(&j, ']');
	json_close(&j, '}');
	json_line(&j);
}

static int
run_status(struct ctl *ctl, const struct ctl_args *args)
{
	static struct status s;
	int rc = status_gather(ctl, &s);

	if (rc != 0)
		return rc;
	if (args->opt[0] != NULL) {
		print_json(&s);
		return 0;
	}
	for (int i = 0; i < s.n; i++) {
		(void)printf("%-8s  ", level_names[s.check[i].level]);
		out_text(s.check[i].what);
		(void)fputs(": ", stdout);
		out_text(s.check[i].words);
		(void)putchar('\n');
	}
	return 0;
}

/* A monitor shows standard output only, where ctl_config() has said nothing. */
static void
add_bad_config(struct status *s)
{
	struct config *cfg = NULL;
	struct err err = { .text = "is not good" };

	(void)config_load(s->ctl->config_path, &cfg, &err);
	config_free(cfg);
	status_add(s, LEVEL_UNKNOWN, "configuration", err.text);
}

/* A plug-in's performance data: what isn't known is left out. */
static void
print_figures(const struct status *s)
{
	const struct {
		const char *name, *unit;
		int64_t value; /* -1: not known */
	} figures[] = {
		{ "lag", "s", s->lag_s },
		{ "relays", "", s->per_minute },
		{ "decisions", "", s->decisions },
		{ "queue", "", s->queued },
		{ "logins", "", s->logins },
	};
	const char *before = " |";

	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
		if (figures[i].value < 0)
			continue;
		(void)printf("%s%s=%" PRId64 "%s", before, figures[i].name,
		    figures[i].value, figures[i].unit);
		before = " ";
	}
	(void)putchar('\n');
}

static int
run_health(struct ctl *ctl, const struct ctl_args *args)
{
	static struct status s;
	bool said = false;

	/* a monitor takes other exit statuses for its own trouble */
	if (status_gather(ctl, &s) != 0)
		add_bad_config(&s);
	if (args->opt[0] != NULL) {
		print_json(&s);
		return (int)s.worst;
	}
	(void)printf("POPGATE %s - ", level_names[s.worst]);
	for (int i = 0; i < s.n; i++) {
		if (s.check[i].level == LEVEL_OK)
			continue;
		(void)fputs(said ? "; " : "", stdout);
		said = true;
		out_text(s.check[i].what);
		(void)fputs(": ", stdout);
		out_text(s.check[i].words);
	}
	(void)printf("%s", said ? "" : "all is well");
	print_figures(&s);
	return (int)s.worst;
}

const struct command cmd_status = {
	.name = "status",
	.args = "[--json]",
	.summary = "are the daemons alive, the logs read, the databases good?",
	.options = options,
	.min = 0,
	.max = 0,
	.run = run_status,
};

const struct command cmd_health = {
	.name = "health",
	.args = "[--json]",
	.summary = "the same in a line, for monitoring",
	.help =
	    "Exit status as of a Nagios plug-in: 0 good, 1 warning, 2 critical, 3 unknown.\n",
	.options = options,
	.min = 0,
	.max = 0,
	.run = run_health,
};
