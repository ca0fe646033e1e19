/* SPDX-License-Identifier: ISC */
/* confined UNIT PROGRAM [ARGUMENT...] - a daemon under the system-call filter
 * of its systemd unit, without systemd. A call that the filter refuses kills it
 * by SIGSYS, so that the test sees it: under systemd it would fail with EPERM,
 * and perhaps only on the day when it matters.
 *
 * The file "calls" beside this program is what systemd-analyze syscall-filter
 * says of systemd's sets. Not with sanitizers, which make calls of their own.
 */
#include <errno.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

enum { CALLS = 4000, NUMBERS = 1024, LINE_LEN = 4000 };

/* Made only by a daemon that root starts, to become its own user and to give
 * that user what it makes; systemd starts it as that user. */
static const char *const of_root[] = {
	"fchown",
	"fchownat",
	"setgroups",
	"setresgid",
	"setresuid",
	"setuid",
};

/* Made by the daemons, and refused by the filter as it should be: they go on.
 */
static const char *const refused[] = {
	"sched_setscheduler", /* the unit asks for the same itself */
};

static struct {
	char set[64], call[64]; /* call: or another set */
} calls[CALLS];
static int n_calls;
static bool allowed[NUMBERS];

static void __attribute__((noreturn)) die(const char *what, const char *why)
{
	(void)fprintf(stderr, "confined: %s: %s\n", what,
	    why == NULL ? strerror(errno) : why);
	exit(125);
}

static FILE *
open_file(const char *path)
{
	FILE *in = fopen(path, "re");

	if (in == NULL)
		die(path, NULL);
	return in;
}

static void
read_calls(const char *path)
{
	char line[LINE_LEN], set[64] = "", word[64];
	FILE *in = open_file(path);

	while (fgets(line, sizeof(line), in) != NULL) {
		if (sscanf(line, " %63s", word) != 1 || *word == '#')
			continue;
		if (line[0] == '@') {
			memcpy(set, word, sizeof(set));
			continue;
		}
		if (n_calls == CALLS)
			die(path, "too long");
		memcpy(calls[n_calls].set, set, sizeof(set));
		memcpy(calls[n_calls++].call, word, sizeof(word));
	}
	(void)fclose(in);
}

static void
allow(const char *word, bool yes)
{
	bool found = false;

	if (*word != '@') {
		int nr = seccomp_syscall_resolve_name(word);

		if (nr >= 0 && nr < NUMBERS)
			allowed[nr] = yes;
		return;
	}
	for (int i = 0; i < n_calls; i++)
		if (strcmp(calls[i].set, word) == 0) {
			allow(calls[i].call, yes);
			found = true;
		}
	if (!found)
		die(word, "unknown to systemd-analyze");
}

/* systemd.exec(5): the first line says what is allowed, ~ takes away. */
static void
read_unit(const char *path)
{
	static const char key[] = "SystemCallFilter=";
	char line[LINE_LEN], *word, *rest;
	FILE *in = open_file(path);
	bool any = false;

	while (fgets(line, sizeof(line), in) != NULL) {
		if (strncmp(line, key, sizeof(key) - 1) != 0)
			continue;
		bool yes = line[sizeof(key) - 1] != '~';

		word =
		    strtok_r(line + sizeof(key) - (yes ? 1 : 0), " \n", &rest);
		for (; word != NULL; word = strtok_r(NULL, " \n", &rest))
			allow(word, yes);
		any = true;
	}
	(void)fclose(in);
	if (!any)
		die(path, "no SystemCallFilter");
	/* what systemd always allows */
	allow("@default", true);
	for (size_t i = 0; i < sizeof(of_root) / sizeof(*of_root); i++)
		allow(of_root[i], true);
}

static void
filter(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int rc = ctx == NULL ? -1 : 0;

	for (int nr = 0; nr < NUMBERS && rc == 0; nr++)
		if (allowed[nr])
			rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0);
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
		int nr = seccomp_syscall_resolve_name(refused[i]);

		if (rc == 0 && !allowed[nr])
			rc =
			    seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), nr, 0);
	}
	if (rc != 0 || seccomp_load(ctx) != 0)
		die("seccomp", NULL);
	seccomp_release(ctx);
}

int
main(int argc, char **argv)
{
	char path[4000];
	const char *slash = strrchr(argv[0], '/');

	if (argc < 3 || slash == NULL)
		die("usage", ".../confined UNIT PROGRAM [ARGUMENT...]");
	(void)snprintf(
	    path, sizeof(path), "%.*s/calls", (int)(slash - argv[0]), argv[0]);
	read_calls(path);
	read_unit(argv[1]);
	if (!SANITIZED)
		filter();
	(void)execv(argv[2], argv + 2);
	die(argv[2], NULL);
}
