/* SPDX-License-Identifier: ISC */
/* popgatectl's language: the table below dispatches, documents and completes
 * the subcommands, which commands/, why/ and doctor/ define. Called as
 * vsmtprelay, it speaks that utility's language (commands/vsmtprelay.c). */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "ctl/commands.h"
#include "ctl/ctl.h"

const struct command *const commands[] = {
	&cmd_list,
	&cmd_why,
	&cmd_check,
	&cmd_decisions,
	&cmd_add,
	&cmd_delete,
	&cmd_deny,
	&cmd_undeny,
	&cmd_expire,
	&cmd_dump,
	&cmd_login,
	&cmd_stats,
	&cmd_top,
	&cmd_spam,
	&cmd_dependents,
	&cmd_report,
	&cmd_import,
	&cmd_export,
	&cmd_mirror,
	&cmd_share,
	&cmd_status,
	&cmd_health,
	&cmd_watch,
	&cmd_sql,
	&cmd_replay,
	&cmd_check_config,
	&cmd_dump_config,
	&cmd_setup,
	&cmd_doctor,
	&cmd_wiring,
	&cmd_reload,
	&cmd_completion,
	&cmd_help,
	NULL,
};

const struct command *
command_find(const char *name)
{
	for (size_t i = 0; commands[i] != NULL; i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}

/* How many letters to add, leave out, change, or swap with the next, for short
 * words only. */
static unsigned
distance(const char *a, const char *b)
{
	enum { LEN = 32 };
	unsigned d[LEN][LEN];
	size_t m = strlen(a), n = strlen(b);

	if (m >= LEN || n >= LEN)
		return 99;
	for (size_t i = 0; i <= m; i++)
		for (size_t j = 0; j <= n; j++) {
			unsigned best = (unsigned)(i == 0 ? j : i);

			if (i > 0 && j > 0) {
				best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
				if (d[i - 1][j] + 1 < best)
					best = d[i - 1][j] + 1;
				if (d[i][j - 1] + 1 < best)
					best = d[i][j - 1] + 1;
			}
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1] && d[i - 2][j - 2] + 1 < best)
				best = d[i - 2][j - 2] + 1;
			d[i][j] = best;
		}
	return d[m][n];
}

const char *
command_nearest(const char *name)
{
	/* what people type for the same thing */
	static const struct {
		const char *typed, *meant;
	} synonyms[] = {
		{ "remove", "delete" },
		{ "rm", "delete" },
		{ "del", "delete" },
		{ "drop", "delete" },
		{ "show", "list" },
		{ "ls", "list" },
		{ "log", "decisions" },
		{ "who", "why" },
		{ "explain", "why" },
		{ "test", "check" },
		{ "block", "deny" },
		{ "ban", "deny" },
		{ "allow", "undeny" },
		{ "unblock", "undeny" },
		{ "purge", "expire" },
	};
	const char *nearest = NULL;
	unsigned least = 3; /* more is another word, not a slip */

	for (size_t i = 0; commands[i] != NULL; i++) {
		unsigned d = distance(name, commands[i]->name);

		if (d < least && d < strlen(name)) {
			least = d;
			nearest = commands[i]->name;
		}
	}
	for (size_t i = 0; i < sizeof(synonyms) / sizeof(synonyms[0]); i++) {
		unsigned d = distance(name, synonyms[i].typed);

		if (d < least && d < strlen(name) &&
		    command_find(synonyms[i].meant) != NULL) {
			least = d;
			nearest = synonyms[i].meant;
		}
	}
	return nearest;
}

static void
usage(FILE *to)
{
	(void)fputs("usage: popgatectl [-c FILE] SUBCOMMAND [ARGUMENT...]\n"
		    "\nWho may relay through this mail server, and why.\n\n",
	    to);
	for (size_t i = 0; commands[i] != NULL; i++)
		(void)fprintf(to, "  %-14s %s\n", commands[i]->name,
		    commands[i]->summary);
	(void)fputs(
	    "\n  -c FILE        configuration (" CONFIG_DEFAULT_PATH ")\n"
	    "  --version      print the version\n"
	    "\n'popgatectl help SUBCOMMAND' says more; all of it is in popgatectl(8).\n",
	    to);
}

void
command_help(const struct command *cmd)
{
	(void)printf("usage: popgatectl [-c FILE] %s%s%s\n\n%s\n", cmd->name,
	    *cmd->args == '\0' ? "" : " ", cmd->args, cmd->summary);
	if (cmd->help != NULL)
		(void)printf("\n%s", cmd->help);
	if (cmd->options != NULL && cmd->options[0].name != NULL)
		(void)printf("\n");
	for (const struct ctl_option *o = cmd->options;
	     o != NULL && o->name != NULL; o++) {
		char left[64];

		(void)snprintf(left, sizeof(left), "--%s%s%s", o->name,
		    o->arg == NULL ? "" : " ", o->arg == NULL ? "" : o->arg);
		(void)printf("  %-20s %s\n", left, o->help);
	}
}

static const struct ctl_option *
find_option(const struct command *cmd, const char *name, size_t len)
{
	for (const struct ctl_option *o = cmd->options;
	     o != NULL && o->name != NULL; o++)
		if (strlen(o->name) == len && memcmp(o->name, name, len) == 0)
			return o;
	return NULL;
}

/* Split argv (behind the subcommand) into args. 0, or an exit status; -1:
 * help was asked for. */
static int
parse(struct ctl *ctl, const struct command *cmd, int argc, char **argv,
    struct ctl_args *args)
{
	bool options = true;

	args->v = argv; /* operands move to the front */
	for (int i = 0; i < argc; i++) {
		char *word = argv[i];

		if (!options || word[0] != '-' || word[1] == '\0') {
			args->v[args->n++] = word;
			continue;
		}
		if (strcmp(word, "--") == 0) {
			options = false;
			continue;
		}
		if (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0)
			return -1;
		if (strcmp(word, "-c") == 0 && i + 1 < argc) {
			ctl->config_path = argv[++i];
			ctl->config_given = true;
			continue;
		}
		size_t len = strcspn(word, "=");
		const struct ctl_option *o = len < 3 || word[1] != '-'
		    ? NULL
		    : find_option(cmd, word + 2, len - 2);

		if (o == NULL)
			return ctl_fail(ctl, EX_USAGE,
			    "there is no option '%.100s'; see 'popgatectl help %s'",
			    word, cmd->name);
		const char **value = &args->opt[o - cmd->options];

		if (o->arg == NULL && word[len] == '=')
			return ctl_fail(ctl, EX_USAGE,
			    "option '--%s' takes no value", o->name);
		if (o->arg == NULL)
			*value = "";
		else if (word[len] == '=')
			*value = word + len + 1;
		else if (i + 1 < argc)
			*value = argv[++i];
		else
			return ctl_fail(ctl, EX_USAGE, "option '--%s' needs %s",
			    o->name, o->arg);
		bool many = o->arg != NULL && strstr(o->arg, "...") != NULL;

		if (many && args->n_many == CTL_MANY_MAX)
			return ctl_fail(ctl, EX_USAGE,
			    "option '--%s' is given more than %d times",
			    o->name, CTL_MANY_MAX);
		if (many)
			args->many[args->n_many++] = *value;
	}
	if (args->n < cmd->min || (cmd->max >= 0 && args->n > cmd->max))
		return ctl_fail(ctl, EX_USAGE, "usage: popgatectl %s%s%s",
		    cmd->name, *cmd->args == '\0' ? "" : " ", cmd->args);
	return 0;
}

int
command_run(struct ctl *ctl, const struct command *cmd, int argc, char **argv)
{
	struct ctl_args args = { 0 };
	int rc;

	assert(cmd->min >= 0 && (cmd->max == -1 || cmd->max >= cmd->min));
	assert(cmd->run != NULL);
	ctl->cmd = cmd->name;
	rc = parse(ctl, cmd, argc, argv, &args);
	if (rc == -1) {
		command_help(cmd);
		return 0;
	}
	return rc != 0 ? rc : cmd->run(ctl, &args);
}

static int
unknown(struct ctl *ctl, const char *name)
{
	const char *near = command_nearest(name);

	if (near != NULL)
		return ctl_fail(ctl, EX_USAGE,
		    "there is no subcommand '%.100s'; did you mean '%s'?", name,
		    near);
	return ctl_fail(ctl, EX_USAGE,
	    "there is no subcommand '%.100s'; see 'popgatectl help'", name);
}

int
command_line(struct ctl *ctl, int argc, char **argv)
{
	int i = 1;

	while (i + 1 < argc && strcmp(argv[i], "-c") == 0) {
		ctl->config_path = argv[i + 1];
		ctl->config_given = true;
		i += 2;
	}
	const char *word = i < argc ? argv[i] : NULL;

	if (strcmp(ctl->program, "vsmtprelay") == 0)
		return vsmtprelay_run(ctl, argc - i, argv + i);
	if (word == NULL) {
		usage(stderr);
		return EX_USAGE;
	}
	if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
		(void)puts("popgatectl " POPGATE_VERSION);
		return 0;
	}
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 ||
	    (strcmp(word, "help") == 0 && i + 1 == argc)) {
		usage(stdout);
		return 0;
	}
	if (*word == '-')
		return ctl_fail(ctl, EX_USAGE,
		    "there is no option '%.100s'; see 'popgatectl --help'",
		    word);
	const struct command *cmd = command_find(word);

	if (cmd == NULL)
		return unknown(ctl, word);
	return command_run(ctl, cmd, argc - i - 1, argv + i + 1);
}

static int
run_help(struct ctl *ctl, const struct ctl_args *args)
{
	const struct command *cmd = command_find(args->v[0]);

	ctl->cmd = NULL;
	if (cmd == NULL)
		return unknown(ctl, args->v[0]);
	command_help(cmd);
	return 0;
}

const struct command cmd_help = {
	.name = "help",
	.args = "[SUBCOMMAND]",
	.summary = "say more of a subcommand",
	.min = 0,
	.max = 1,
	.run = run_help,
};
