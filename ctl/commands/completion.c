/* SPDX-License-Identifier: ISC */
/* completion - for bash and zsh, out of the table of subcommands. */
#include <stdio.h>
#include <string.h>

#include "ctl/commands.h"

/* The values of options that are a closed set. */
static const char by_words[] = "client user sender recipient";
static const char mta_words[] = "postfix sendmail exim";
static const struct {
	const char *cmd, *option, *words;
} values[] = {
	{ "decisions", "verdict",
	    "accept reject tempfail would-reject would-tempfail would-accept" },
	{ "decisions", "reason", NULL }, /* every reason_name() */
	{ "doctor", "mta", mta_words },
	{ "export", "format",
	    "makemap relayers.db relayhosts relayhostsusers access hash cidr json csv" },
	{ "import", "format", "relayers.db text json csv" },
	{ "list", "sort", "client user server since last expires count" },
	{ "setup", "mta", mta_words },
	{ "stats", "by", "hour day client user sender recipient reason" },
	{ "top", "by", by_words },
};

/* Print what the option may be, in words; nothing where that is no closed set.
 */
static void
print_values(const struct command *cmd, const struct ctl_option *o)
{
	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		if (strcmp(values[i].cmd, cmd->name) != 0 ||
		    strcmp(values[i].option, o->name) != 0)
			continue;
		if (values[i].words != NULL)
			(void)fputs(values[i].words, stdout);
		for (int r = 0; values[i].words == NULL && r < REASONS; r++)
			(void)printf("%s%s", r == 0 ? "" : " ",
			    reason_name((enum reason)r));
	}
}

static bool
is_file(const struct ctl_option *o)
{
	return strcmp(o->arg, "FILE") == 0 || strcmp(o->arg, "PATH") == 0;
}

/* After an option that takes a value, only that is completed. */
static void
print_bash_values(void)
{
	(void)puts("\tcase $cmd:${COMP_WORDS[COMP_CWORD-1]} in");
	for (size_t i = 0; commands[i] != NULL; i++)
		for (const struct ctl_option *o = commands[i]->options;
		     o != NULL && o->name != NULL; o++) {
			if (o->arg == NULL)
				continue;
			(void)printf("\t%s:--%s)\n\t\tCOMPREPLY=($(compgen %s",
			    commands[i]->name, o->name,
			    is_file(o) ? "-f" : "-W '");
			if (!is_file(o)) {
				print_values(commands[i], o);
				(void)putchar('\'');
			}
			(void)puts(" -- \"$cur\"))\n\t\treturn ;;");
		}
	(void)puts("\tesac");
}

static void
print_bash(void)
{
	(void)puts("# bash completion of popgatectl; "
		   "popgatectl completion bash > "
		   "/usr/share/bash-completion/completions/popgatectl\n"
		   "_popgatectl() {\n"
		   "\tlocal cur=${COMP_WORDS[COMP_CWORD]} cmd= words= i\n"
		   "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
		   "\t\tcase ${COMP_WORDS[i]} in\n"
		   "\t\t-c) ((i++)) ;;\n"
		   "\t\t-*) ;;\n"
		   "\t\t*) cmd=${COMP_WORDS[i]}; break ;;\n"
		   "\t\tesac\n"
		   "\tdone\n"
		   "\tif [[ ${COMP_WORDS[COMP_CWORD-1]} == -c ]]; then\n"
		   "\t\tCOMPREPLY=($(compgen -f -- \"$cur\"))\n"
		   "\t\treturn\n"
		   "\tfi");
	print_bash_values();
	(void)puts("\tcase $cmd in");
	(void)fputs("\t'') words='-c --help --version", stdout);
	for (size_t i = 0; commands[i] != NULL; i++)
		(void)printf(" %s", commands[i]->name);
	(void)puts("' ;;");
	for (size_t i = 0; commands[i] != NULL; i++) {
		const struct command *cmd = commands[i];

		(void)printf("\t%s) words='%s", cmd->name,
		    cmd->words == NULL ? "" : cmd->words);
		for (const struct ctl_option *o = cmd->options;
		     o != NULL && o->name != NULL; o++)
			(void)printf(" --%s", o->name);
		if (strcmp(cmd->name, "help") == 0)
			for (size_t k = 0; commands[k] != NULL; k++)
				(void)printf(" %s", commands[k]->name);
		(void)puts(" --help' ;;");
	}
	(void)puts("\tesac\n"
		   "\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
		   "\tcase $cmd in\n"
		   "\treplay|import|check-config|dump-config)\n"
		   "\t\t[[ $cur == -* ]] || COMPREPLY+=($(compgen -f -- "
		   "\"$cur\")) ;;\n"
		   "\tesac\n"
		   "}\n"
		   "complete -F _popgatectl popgatectl");
}

/* For zsh's 'name:text' in single quotes. */
static void
print_zsh_text(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text == '\'')
			(void)fputs("'\\''", stdout);
		else if (*text == ':' || *text == '[' || *text == ']')
			(void)printf("\\%c", *text);
		else
			(void)putchar(*text);
}

static void
print_zsh_option(const struct command *cmd, const struct ctl_option *o)
{
	(void)printf(" '--%s[", o->name);
	print_zsh_text(o->help);
	(void)putchar(']');
	if (o->arg != NULL) {
		(void)putchar(':');
		print_zsh_text(o->arg);
		(void)fputs(is_file(o) ? ":_files" : ":(", stdout);
		if (!is_file(o)) {
			print_values(cmd, o);
			(void)putchar(')');
		}
	}
	(void)putchar('\'');
}

static void
print_zsh(void)
{
	(void)puts(
	    "#compdef popgatectl\n"
	    "# zsh completion of popgatectl; popgatectl completion zsh > "
	    "_popgatectl\n"
	    "_popgatectl() {\n"
	    "\tlocal -a commands\n"
	    "\tlocal line state\n"
	    "\tcommands=(");
	for (size_t i = 0; commands[i] != NULL; i++) {
		(void)printf("\t\t'%s:", commands[i]->name);
		print_zsh_text(commands[i]->summary);
		(void)puts("'");
	}
	(void)puts("\t)\n"
		   "\t_arguments -C '-c[configuration]:file:_files' "
		   "'1:subcommand:->command' '*::argument:->argument'\n"
		   "\tcase $state in\n"
		   "\tcommand) _describe subcommand commands ;;\n"
		   "\targument)\n"
		   "\t\tcase $words[1] in");
	for (size_t i = 0; commands[i] != NULL; i++) {
		const struct command *cmd = commands[i];

		(void)printf("\t\t%s) _arguments", cmd->name);
		for (const struct ctl_option *o = cmd->options;
		     o != NULL && o->name != NULL; o++)
			print_zsh_option(cmd, o);
		if (cmd->words != NULL)
			(void)printf(" '*:word:(%s)'", cmd->words);
		else if (strcmp(cmd->name, "help") == 0)
			(void)fputs(" '*:subcommand:{_describe subcommand "
				    "commands}'",
			    stdout);
		else
			(void)fputs(" '*:argument:_files'", stdout);
		(void)puts(" ;;");
	}
	(void)puts("\t\tesac ;;\n\tesac\n}\n_popgatectl \"$@\"");
}

static int
run(struct ctl *ctl, const struct ctl_args *args)
{
	if (strcmp(args->v[0], "bash") == 0)
		print_bash();
	else if (strcmp(args->v[0], "zsh") == 0)
		print_zsh();
	else
		return ctl_fail(ctl, EX_USAGE,
		    "'%.100s' is no shell that can "
		    "be completed: expected bash or zsh",
		    args->v[0]);
	return 0;
}

const struct command cmd_completion = {
	.name = "completion",
	.args = "bash|zsh",
	.summary = "completion for the shell",
	.words = "bash zsh",
	.min = 1,
	.max = 1,
	.run = run,
};
