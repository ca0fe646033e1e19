/* SPDX-License-Identifier: ISC */
#include "ctl/rehearsal/sendmail_cause.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "ctl/stage/stage.h"

/* In the copy alone. */
#define OTHER_CF "/run/popgate-rehearsal.cf"
#define OTHER_TABLE "/run/popgate-rehearsal.table"

enum { MATCHED_MAX = 400, SCRIPT_LEN = 600 };

/* --- a second configuration --- */

/* "$1" is the cf, "$2" a sed script, "$3" a file that it is for, or "";
 * "$4" the type of that map, or ""; "$5" Sendmail's program. */
static const char other_script[] =
    "PATH=\"${5%/*}:/usr/sbin:/sbin:$PATH\"; umask 022\n"
    "rm -f " OTHER_TABLE " " OTHER_TABLE ".db " OTHER_CF "\n"
    "if [ -z \"$3\" ]; then sed \"$2\" \"$1\" >" OTHER_CF "; exit; fi\n"
    "sed \"$2\" \"$3\" >" OTHER_TABLE " &&\n"
    "sed \"s|$3|" OTHER_TABLE "|g\" \"$1\" >" OTHER_CF " || exit\n"
    "case $4 in ''|text) ;;\n"
    "*) makemap -C \"$1\" \"$4\" " OTHER_TABLE " <" OTHER_TABLE ";; esac\n";

/* Run a script of the room, which makes OTHER_CF; other is t with that. */
static bool
run_script(const struct sendmail_talk *t, const char *const argv[],
    struct sendmail_talk *other)
{
	struct err err;
	char *output = stage_run(t->stage, argv, &err);
	bool ok = output != NULL;

	free(output);
	*other = *t;
	other->cf = OTHER_CF;
	return ok;
}

static bool
make_other(const struct sendmail_talk *t, const char *sed, const char *file,
    const char *type, struct sendmail_talk *other)
{
	const char *const argv[] = { "/bin/sh", "-c", other_script, "sh", t->cf,
		sed, file, type, t->program, NULL };

	return run_script(t, argv, other);
}

bool
sendmail_cause_make(const struct sendmail_talk *t, const char *mc,
    const unsigned *lines, size_t n, struct sendmail_talk *other)
{
	/* where cf/m4 is, the cf says in its head */
	static const char script[] =
	    "umask 022; cd \"${1%/*}\" && sed \"$2\" \"$1\" >" OTHER_TABLE
	    " && d=$(sed -n 's/^##### *using \\(.*\\) as configuration include directory.*/\\1/p' \"$3\") && m4 ${d:+\"-D_CF_DIR_=$d\"} " OTHER_TABLE
	    " >" OTHER_CF;
	char sed[SCRIPT_LEN] = "";
	size_t at = 0;

	for (size_t i = 0; i < n && at + 20 < sizeof(sed); i++)
		at += (size_t)snprintf(
		    sed + at, sizeof(sed) - at, "%ud;", lines[i]);
	const char *const argv[] = { "/bin/sh", "-c", script, "sh", mc, sed,
		t->cf, NULL };

	return run_script(t, argv, other);
}

static bool
is_refused(const struct sendmail_talk *t, const struct sendmail_client *c)
{
	struct sendmail_said said;
	struct err err;

	return sendmail_talk(t, c, 1, &said, &err) == 0 && said.answered &&
	    !said.accepted;
}

/* --- entries --- */

static bool
is_name(const char *text)
{
	return strspn(text,
		   "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		   "0123456789/._@+-") == strlen(text);
}

static bool
without_entry(const struct sendmail_talk *t, const struct sendmail_seed *s,
    struct sendmail_talk *other)
{
	char sed[SCRIPT_LEN];

	if (!is_name(s->file) || s->line == 0)
		return false;
	if (s->from != SEED_WORD) {
		(void)snprintf(sed, sizeof(sed), "%ud", s->line);
		return make_other(
		    t, sed, s->file, s->type == NULL ? "" : s->type, other);
	}
	if (!is_name(s->word))
		return false;
	/* one word of several; a class may begin with it */
	(void)snprintf(sed, sizeof(sed),
	    "%us|\\([ \\t}A-Za-z]\\)\\.*%s\\([ \\t]\\|$\\)|\\1\\2|", s->line,
	    s->word);
	return make_other(t, sed, "", "", other);
}

/* --- rules --- */

static const struct sendmail_line *
rule_at(const struct sendmail_cf *cf, unsigned line)
{
	for (size_t i = 0; i < cf->n; i++)
		if (cf->v[i].line == line && cf->v[i].kind == 'R')
			return &cf->v[i];
	return NULL;
}

/* A rule set of cf/m4/proto.m4: 2 for those that decide about relaying, 1 for
 * the rest that only carries their word; 0: the administrator's. */
static int
stock(const char *set)
{
	static const char *const deciding[] = { "Relay_ok", "Rcpt_ok",
		"RelayAuth", "RelayTLS" };
	static const char *const carrying[] = { "check_rcpt", "checkrcpt",
		"Basic_check_rcpt", "ParseRecipient", "CanonAddr", "canonify",
		"Canonify2", "parse", "Parse0", "Parse1", "ParseLocal", "D",
		"A", "F", "X", "SearchList", "DelayTLS", "Local_localaddr",
		"LookUpDomain", "LookUpAddress", "3", "0", "96", "98" };

	for (size_t i = 0; i < sizeof(deciding) / sizeof(deciding[0]); i++)
		if (strcmp(set, deciding[i]) == 0)
			return 2;
	for (size_t i = 0; i < sizeof(carrying) / sizeof(carrying[0]); i++)
		if (strcmp(set, carrying[i]) == 0)
			return 1;
	return 0;
}

/* The right side of a rule: what it makes of a match. */
static const char *
right_side(const struct sendmail_line *l)
{
	const char *tab = strchr(l->text, '\t');

	return tab == NULL ? "" : tab + strspn(tab, "\t ");
}

static bool
ends_set(const struct sendmail_line *l)
{
	const char *to = right_side(l);

	return to[0] == '$' && (to[1] == '#' || to[1] == '@');
}

static bool
has(const struct sendmail_cause *c, unsigned line)
{
	for (size_t i = 0; i < c->n_rules; i++)
		if (c->rules[i] == line)
			return true;
	return false;
}

/* The rule that spoke last, of the administrator's sets first; 0: none. */
static unsigned
last_word(const struct sendmail_talk *t, const struct sendmail_cf *cf,
    const struct sendmail_client *c, const struct sendmail_cause *tried)
{
	static const int order[] = { 0, 2 };
	unsigned matched[MATCHED_MAX];
	struct err err;
	size_t n = sendmail_talk_trace(t, c, matched, MATCHED_MAX, &err);

	for (size_t o = 0; o < 2; o++)
		for (size_t i = n; i-- > 0;) {
			const struct sendmail_line *l = rule_at(cf, matched[i]);

			if (l != NULL && stock(l->ruleset) == order[o] &&
			    ends_set(l) && !has(tried, l->line))
				return l->line;
		}
	return 0;
}

static bool
without_rules(const struct sendmail_talk *t, const struct sendmail_cause *c,
    size_t but, struct sendmail_talk *other)
{
	char sed[SCRIPT_LEN] = "";
	size_t at = 0;

	for (size_t i = 0; i < c->n_rules; i++)
		if (i != but)
			/* the others keep their numbers */
			at += (size_t)snprintf(sed + at, sizeof(sed) - at,
			    "%us/.*/#/;", c->rules[i]);
	return make_other(t, sed, "", "", other);
}

/* Reduce the cause to the rules that it takes. */
static void
lessen(const struct sendmail_talk *t, const struct sendmail_client *client,
    struct sendmail_cause *c, struct sendmail_talk *other)
{
	for (size_t i = c->n_rules; c->n_rules > 1 && i-- > 0;)
		if (without_rules(t, c, i, other) &&
		    is_refused(other, client)) {
			memmove(c->rules + i, c->rules + i + 1,
			    (c->n_rules - i - 1) * sizeof(c->rules[0]));
			c->n_rules--;
		}
}

static int
compare(const void *a, const void *b)
{
	const unsigned *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

bool
sendmail_cause_find(const struct sendmail_talk *t, const struct sendmail_cf *cf,
    const struct sendmail_client *client, const struct sendmail_seed *seed,
    struct sendmail_cause *c, struct sendmail_talk *other)
{
	*c = (struct sendmail_cause){ .n_rules = 0 };
	if (seed != NULL && seed->from != SEED_RULE &&
	    without_entry(t, seed, other) && is_refused(other, client)) {
		c->entry = seed;
		return true;
	}
	*other = *t;
	while (c->n_rules < SENDMAIL_CAUSE_RULES) {
		unsigned line = last_word(other, cf, client, c);

		if (line == 0)
			break;
		c->rules[c->n_rules++] = line;
		if (!without_rules(t, c, c->n_rules, other))
			break;
		if (!is_refused(other, client))
			continue;
		lessen(t, client, c, other);
		qsort(c->rules, c->n_rules, sizeof(c->rules[0]), compare);
		c->own = stock(rule_at(cf, c->rules[0])->ruleset) == 0;
		return without_rules(t, c, c->n_rules, other);
	}
	c->n_rules = 0;
	return false;
}

/* --- sendmail.mc --- */

/* The same but for blanks? b ends with its line. */
static bool
is_same(const char *a, const char *b)
{
	for (;;) {
		a += strspn(a, " \t");
		b += strspn(b, " \t");
		if (*a == '\0' || *a == '\n' || *b == '\0' || *b == '\n')
			return (*a == '\0' || *a == '\n') &&
			    (*b == '\0' || *b == '\n');
		if (*a++ != *b++)
			return false;
	}
}

unsigned
sendmail_cause_mc_line(const char *mc, const char *text)
{
	unsigned line = 1;

	for (const char *l = mc; *l != '\0'; line++) {
		const char *end = l + strcspn(l, "\n");
		const char *at = *text == 'R' ? NULL : strstr(l, text);

		if (strncmp(l, "dnl", 3) != 0 &&
		    ((*text == 'R' && is_same(text, l)) ||
			(at != NULL && at < end)))
			return line;
		l = end + (*end == '\n');
	}
	return 0;
}
