/* SPDX-License-Identifier: ISC */
/* sendmail_rules - what the rule sets of a sendmail.cf let pass.
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

static const char *const relay_rulesets[] = {
	"Basic_check_rcpt",
	"Rcpt_ok",
	"Relay_ok",
	"check_rcpt",
	"checkrcpt",
	NULL,
};

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

static void
check_open(struct sendmail_exam *x)
{
	if (find_rule(x, relay_rulesets, "Relay_ok") != NULL ||
	    find_rule(x, relay_rulesets, "elaying denied") != NULL)
		return;
	if (*x->filter == '\0')
		sendmail_add(x, "sendmail-promiscuous", 0,
		    "No rule of check_rcpt refuses relaying (FEATURE(`promiscuous_relay'), or a sendmail.cf from before 8.9).");
	else if (!x->filter_closes)
		sendmail_add(x, "sendmail-milter-accept", x->filter_line,
		    "No rule of check_rcpt refuses relaying, and filter %s has neither F=T nor F=R.",
		    x->filter);
	else
		sendmail_add(x, "sendmail-sole-gate", x->filter_line,
		    "No rule of check_rcpt refuses relaying; filter %s alone does.",
		    x->filter);
}

static const char *const sender_macros[] = {
	"$&f",
	"$&{mail_from}",
	"$&{mail_addr}",
	"$&{mail_host}",
	"$f",
	NULL,
};
static const char *const helo_macros[] = { "$&s", "$s", NULL };

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

/* Does this rule or one of the next that belong to it accept? */
static const struct sendmail_line *
accepts_after(const struct sendmail_exam *x, const struct sendmail_line *from)
{
	const struct sendmail_line *end = x->cf.v + x->cf.n;

	for (const struct sendmail_line *l = from; l < end && l - from < 8 &&
	     l->kind == 'R' && strcmp(l->ruleset, from->ruleset) == 0;
	     l++)
		if (strstr(l->text, "$@ RELAY") != NULL ||
		    strstr(l->text, "$@RELAY") != NULL ||
		    strstr(l->text, "$#OK") != NULL ||
		    strstr(l->text, "$# OK") != NULL ||
		    strstr(l->text, "$#RELAY") != NULL ||
		    strstr(l->text, "$# RELAY") != NULL)
			return l;
	return NULL;
}

static bool
asks_popgate(const struct sendmail_exam *x, const char *text)
{
	char lookup[SENDMAIL_NAME_MAX + 4];

	(void)snprintf(lookup, sizeof(lookup), "$(%s ", x->map);
	return *x->map != '\0' && strstr(text, lookup) != NULL;
}

/* FEATURE(`relay_local_from'), FEATURE(`relay_mail_from') */
static void
check_from(struct sendmail_exam *x)
{
	static const char *const names[] = {
		"Relay_ok",
		"Rcpt_ok",
		"Basic_check_rcpt",
		NULL,
	};

	for (size_t i = 0; i < x->cf.n; i++) {
		const struct sendmail_line *l = &x->cf.v[i], *ok, *search;

		if (!in_ruleset(l, names) || !holds_one(l->text, sender_macros))
			continue;
		ok = accepts_after(x, l);
		search = l;
		while (ok != NULL && search < ok &&
		    strstr(search->text, "From>") == NULL)
			search++;
		if (ok == NULL)
			continue;
		if (search < ok) {
			x->from_map = l->line;
			/* the same block may go on with class w */
			if (strstr(ok->text, "$=w") == NULL)
				continue;
		}
		sendmail_add(x, "sendmail-local-from", ok->line,
		    "Relay_ok accepts whoever says that his sender address is local (FEATURE(`relay_local_from')).");
	}
}

/* The administrator's own rules, before Sendmail's. */
static void
check_local(struct sendmail_exam *x)
{
	static const char *const names[] = {
		"Local_check_rcpt",
		SENDMAIL_OWN_RULES,
		"Local_Relay_Auth",
		NULL,
	};
	bool popgate = find_rule(x, names, "$(") != NULL && *x->map != '\0';
	const struct sendmail_line *unknown = NULL;

	for (size_t i = 0; i < x->cf.n; i++) {
		const struct sendmail_line *l = &x->cf.v[i];

		if (!in_ruleset(l, names))
			continue;
		if (asks_popgate(x, l->text)) {
			x->d->wired = true;
			continue;
		}
		if (accepts_after(x, l) == NULL)
			continue;
		if (holds_one(l->text, sender_macros))
			sendmail_add(x, "sendmail-sender-rule", l->line,
			    "A rule of %s looks at the sender, and one behind it accepts.",
			    l->ruleset);
		else if (holds_one(l->text, helo_macros))
			sendmail_add(x, "sendmail-helo-rule", l->line,
			    "A rule of %s looks at the HELO name, and one behind it accepts.",
			    l->ruleset);
		else if (unknown == NULL &&
		    (!popgate || strcmp(l->ruleset, SENDMAIL_OWN_RULES) == 0))
			unknown = l;
	}
	if (unknown != NULL)
		sendmail_add(x, "sendmail-not-understood", unknown->line,
		    "%s has rules of its own that accept.", unknown->ruleset);
}

void
sendmail_check_rules(struct sendmail_exam *x)
{
	static const char *const rcpt[] = { "Rcpt_ok", NULL };
	static const char *const relay[] = { "Relay_ok", "Rcpt_ok", NULL };
	const struct sendmail_line *l;

	check_open(x);
	check_from(x);
	check_local(x);
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
