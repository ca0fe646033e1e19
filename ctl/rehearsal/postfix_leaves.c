/* SPDX-License-Identifier: ISC */
/* postfix_leaves - would mail to a recipient leave, and for whose domain? Asked
 * of the copy's own rewriting and routing. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "common/base/clock.h"
#include "ctl/rehearsal/postfix_run.h"
#include "ctl/rehearsal/public_suffix.h"
#include "ctl/stage/stage.h"

enum { VERIFY_MS = 6000 };

/* --- who is a stranger's --- */

/* Where the last two labels begin; three below a "co.uk". */
static const char *
registered(const char *domain)
{
	const char *at = domain + strlen(domain);

	for (int dots = 0; at > domain; at--)
		if (at[-1] == '.' && ++dots >= 2 && !is_public_suffix(at))
			break;
	return at;
}

static bool
is_foreign(const struct postfix_run *run, const char *domain)
{
	if (strchr(domain, '.') == NULL || *domain == '[')
		return false;
	for (size_t i = 0; i < run->ours.n; i++)
		if (strcasecmp(
			registered(run->ours.v[i]), registered(domain)) == 0)
			return false;
	return true;
}

bool
postfix_run_is_foreign(const struct postfix_run *run, const char *address)
{
	const char *at = strrchr(address, '@');
	char domain[POSTFIX_TRACE_WORD];

	if (at == NULL)
		return false;
	(void)snprintf(domain, sizeof(domain), "%s", at + 1);
	domain[strcspn(domain, ">")] = '\0';
	return is_foreign(run, domain);
}

/* Is it at the domain that the stranger chose? A local part that names it, in
 * an address that an alias sends elsewhere, leads nowhere. */
static bool
is_victims(const char *address)
{
	const char *at = strrchr(address, '@');

	return at != NULL && strcasestr(at, POSTFIX_VICTIM) != NULL;
}

/* --- does it leave? --- */

static size_t
log_length(struct postfix_run *run, char **log_r)
{
	*log_r = stage_log(run->stage, NULL);
	return *log_r == NULL ? 0 : strlen(*log_r);
}

/* Read the fate of these recipients in the log after before: how many were
 * found, and *foreign_r: the first of them that leaves for a stranger's domain,
 * or -1. */
static size_t
outcome(struct postfix_run *run, const char *log, const char *const *recipients,
    size_t n, int *foreign_r)
{
	char to[POSTFIX_TRACE_WORD], from[POSTFIX_TRACE_WORD];
	size_t seen = 0;
	bool leaves;

	*foreign_r = -1;
	while (postfix_trace_next(&log, to, from, &leaves)) {
		seen++;
		for (size_t i = 0; i < n && *foreign_r == -1; i++)
			if (leaves && postfix_run_is_foreign(run, to) &&
			    (is_victims(to) || strcasecmp(to, from) == 0) &&
			    (strcasecmp(from, recipients[i]) == 0 || n == 1))
				*foreign_r = (int)i;
	}
	return seen;
}

/* Ask Postfix to verify: the first recipient that leaves for where a stranger
 * chose, or -1. */
int
postfix_run_first(
    struct postfix_run *run, const char *const *recipients, size_t n)
{
	const struct timespec tick = { .tv_nsec = 100000000 };
	const char *argv[5 + POSTFIX_RUN_FIRST_MAX + 1] = { "sendmail", "-C",
		run->pf->dir, "-bv", "--" };
	char *log, *out;
	size_t before = log_length(run, &log), used = 5, seen = 0;
	int64_t until_ms = clock_monotonic_ms() + VERIFY_MS;
	int found = -1;

	free(log);
	assert(n <= POSTFIX_RUN_FIRST_MAX);
	for (size_t i = 0; i < n; i++)
		argv[used++] = recipients[i];
	argv[used] = NULL;
	out = stage_run(run->stage, argv, NULL);
	free(out);
	while (out != NULL && found == -1 && seen < n &&
	    clock_monotonic_ms() < until_ms) {
		if (log_length(run, &log) > before)
			seen =
			    outcome(run, log + before, recipients, n, &found);
		free(log);
		(void)nanosleep(&tick, NULL);
	}
	return found;
}

bool
postfix_unbracket(const char *recipient, char to[FORM_TEXT_MAX])
{
	size_t n = strlen(recipient);

	if (n < 3 || n >= FORM_TEXT_MAX || recipient[0] != '<' ||
	    recipient[n - 1] != '>')
		return false;
	(void)snprintf(to, FORM_TEXT_MAX, "%.*s", (int)n - 2, recipient + 1);
	return strpbrk(to, "<>") == NULL;
}

bool
postfix_run_leaves(struct postfix_run *run, const char *recipient)
{
	char bare[FORM_TEXT_MAX];
	const char *one[] = { bare };

	return postfix_unbracket(recipient, bare) &&
	    postfix_run_first(run, one, 1) != -1;
}
