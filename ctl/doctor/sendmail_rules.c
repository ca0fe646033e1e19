/* SPDX-License-Identifier: ISC */
/* sendmail_rules - what the rule sets of a sendmail.cf would let pass, which
 * no dialogue shows yet.
 *
 * The FEATUREs that open a Sendmail leave no name in the file, so they are
 * known by the rules that they add to or take from the rule sets check_rcpt,
 * Basic_check_rcpt, Rcpt_ok and Relay_ok (cf/m4/proto.m4). */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/mta/sendmail_wiring.h"
#include "ctl/doctor/sendmail_exam.h"

void
sendmail_add(struct sendmail_exam *x, const char *kind, unsigned line,
    const char *fmt, ...)
{
	struct finding_at at = { .file = x->path, .line = line };
	char detail[800];
	va_list ap;

	assert(*kind != '\0');
	va_start(ap, fmt);
	(void)vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	doctor_add(x->d, kind, &at, "%s", detail);
}

static bool
in_ruleset(const struct sendmail_line *l, const char *const *names)
{
	if (l->kind != 'R')
		return false;
	for (; *names != NULL; names++)
		if (strcmp(l->ruleset, *names) == 0)
			return true;
	return false;
}

/* The first rule of these sets that holds text; NULL: none. */
static const struct sendmail_line *
find_rule(
    const struct sendmail_exam *x, const char *const *names, const char *text)
{
	for (size_t i = 0; i < x->cf.n; i++)
		if (in_ruleset(&x->cf.v[i], names) &&
		    strstr(x->cf.v[i].text, text) != NULL)
			return &x->cf.v[i];
	return NULL;
}

static const char *const sender_macros[] = {
	"$&f",
	"$&{mail_from}",
	"$&{mail_addr}",
	"$&{mail_host}",
	"$f",
	NULL,
};

static bool
holds_one(const char *text, const char *const *words)
{
	for (; *words != NULL; words++)
		for (const char *at = strstr(text, *words); at != NULL;
		     at = strstr(at + 1, *words)) {
			char next = at[strlen(*words)];

			/* "$s" isn't in "$something": names are one letter */
			if (strchr(*words, '{') != NULL || next == '\0' ||
			    strchr(" \t>)$|<@", next) != NULL)
				return true;
		}
	return false;
}

static bool
asks_popgate(const struct sendmail_exam *x, const char *text)
{
	char lookup[SENDMAIL_NAME_MAX + 4];

	(void)snprintf(lookup, sizeof(lookup), "$(%s ", x->map);
	return *x->map != '\0' && strstr(text, lookup) != NULL;
}

/* FEATURE(`relay_mail_from'): Relay_ok looks for the sender in the access map.
 */
static void
check_from(struct sendmail_exam *x)
{
	static const char *const names[] = { "Relay_ok", "Rcpt_ok", NULL };

	for (size_t i = 0; i < x->cf.n && x->from_map == 0; i++) {
		const struct sendmail_line *l = &x->cf.v[i];

		/* its rules stand together: the sender, then the map */
		if (in_ruleset(l, names) && holds_one(l->text, sender_macros))
			for (size_t j = i; j < x->cf.n && j < i + 8; j++)
				if (in_ruleset(&x->cf.v[j], names) &&
				    strstr(x->cf.v[j].text, "From>") != NULL)
					x->from_map = l->line;
	}
}

/* Do the administrator's own rules ask popgate? */
static void
check_wired(struct sendmail_exam *x)
{
	static const char *const names[] = {
		"Local_check_rcpt",
		SENDMAIL_OWN_RULES,
		"Local_Relay_Auth",
		NULL,
	};

	for (size_t i = 0; i < x->cf.n; i++)
		if (in_ruleset(&x->cf.v[i], names) &&
		    asks_popgate(x, x->cf.v[i].text))
			x->d->wired = true;
}

void
sendmail_check_rules(struct sendmail_exam *x)
{
	static const char *const rcpt[] = { "Rcpt_ok", NULL };
	static const char *const relay[] = { "Relay_ok", "Rcpt_ok", NULL };
	const struct sendmail_line *l;

	check_from(x);
	check_wired(x);
	l = find_rule(x, relay, "$=m");
	if (l != NULL)
		sendmail_add(x, "sendmail-entire-domain", l->line,
		    "%s accepts all hosts and recipients below our domain (FEATURE(`relay_entire_domain')).",
		    l->ruleset);
	l = find_rule(x, relay, "$(mxserved");
	if (l == NULL)
		l = find_rule(x, relay, "$(bestmx");
	if (l != NULL)
		sendmail_add(x, "sendmail-mx", l->line,
		    "%s accepts every recipient whose domain names us as mail exchanger (FEATURE(`relay_based_on_MX')).",
		    l->ruleset);
	l = find_rule(x, rcpt, "CanonAddr");
	if (l != NULL && find_rule(x, rcpt, "ParseRecipient") == NULL)
		sendmail_add(x, "sendmail-loose", l->line,
		    "Rcpt_ok doesn't look behind a %% in the recipient (FEATURE(`loose_relay_check')).");
}
