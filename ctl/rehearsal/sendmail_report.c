/* SPDX-License-Identifier: ISC */
/* A hole that a dialogue has shown, its cause, and what closes it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "ctl/rehearsal/sendmail_cause.h"
#include "ctl/rehearsal/sendmail_run.h"

/* --- findings --- */

/* Takes over detail and fix. */
void
sendmail_run_add(struct sendmail_run *r, const char *kind, const char *file,
    unsigned line, char *detail, char *fix)
{
	rehearsal_findings_add(&r->to->findings,
	    (struct rehearsal_finding){ .kind = kind,
		.file = strdup(file),
		.line = line,
		.detail = detail,
		.fix = fix });
}

struct sendmail_client
sendmail_run_client(const struct sendmail_try *y)
{
	return (struct sendmail_client){ .address = y->address,
		.name = *y->name == '\0' ? NULL : y->name,
		.claimed = y->kind == TRY_CLAIM,
		.helo = y->helo,
		.sender = y->sender,
		.recipient = y->recipient };
}

/* --- cause and cure --- */

/* Find what must go on working: our own mail, this machine, users with a
 * password, and trusted addresses; as far as they are accepted now. */
void
sendmail_run_keepers(struct sendmail_run *r)
{
	struct sendmail_client all[SENDMAIL_KEEP_MAX];
	struct sendmail_said said[SENDMAIL_KEEP_MAX];
	static char own[SENDMAIL_WORD_LEN];
	struct err err;
	size_t n = 0;

	for (size_t i = 0; i < 3; i++)
		all[n++] = (struct sendmail_client){ .address = r->stranger,
			.helo = "client.popgate-stranger.example",
			.sender = "someone@popgate-stranger.example",
			.recipient = SENDMAIL_VICTIM };
	if (r->own.n > 0) {
		(void)snprintf(
		    own, sizeof(own), "postmaster@%.200s", r->own.v[0]);
		all[0].recipient = own;
	}
	all[1].address = "127.0.0.1";
	all[1].name = "localhost";
	all[2].user = "someone";
	for (size_t i = 0; i < r->seeds.n && n < SENDMAIL_KEEP_MAX; i++) {
		struct addr addr;

		if (!addr_parse_loose(r->seeds.v[i].word, &addr))
			continue;
		all[n] = all[2];
		all[n].user = NULL;
		all[n++].address = r->seeds.v[i].word;
	}
	if (sendmail_talk(&r->talk, all, n, said, &err) == -1)
		return;
	for (size_t i = 0; i < n; i++)
		if (said[i].accepted)
			r->keep[r->n_keep++] = all[i];
}

/* Does the hole close by this configuration, and all stay who are to? */
static bool
cures(const struct sendmail_run *r, const struct sendmail_talk *other,
    const struct sendmail_try *hole)
{
	struct sendmail_client all[SENDMAIL_KEEP_MAX + 1];
	struct sendmail_said said[SENDMAIL_KEEP_MAX + 1];
	struct err err;

	for (size_t i = 0; i < r->n_keep; i++)
		all[i] = r->keep[i];
	all[r->n_keep] = sendmail_run_client(hole);
	if (sendmail_talk(other, all, r->n_keep + 1, said, &err) == -1)
		return false;
	for (size_t i = 0; i < r->n_keep; i++)
		if (!said[i].accepted)
			return false;
	return said[r->n_keep].answered && !said[r->n_keep].accepted;
}

static const char *
restart(const struct sendmail_run *r)
{
	return strncmp(r->spec->file, "/etc/mail/", 10) == 0
	    ? "make -C /etc/mail && /etc/init.d/sendmail restart"
	    : "# make sendmail.cf from sendmail.mc as ever, and restart Sendmail";
}

/* Where a hole is, and what closes it. */
struct place {
	const char *file;
	unsigned line;
	char *fix;
	const char *text; /* what stands there; NULL: not told */
};

/* FEATUREs that open a Sendmail, for holes whose rules are its own. */
static const char *const features[] = { "promiscuous_relay", "relay_local_from",
	"relay_mail_from", "loose_relay_check", "relay_entire_domain",
	"relay_based_on_MX" };

/* Without one of these the hole is closed. */
static bool
place_feature(
    struct sendmail_run *r, const struct sendmail_try *hole, struct place *p)
{
	struct sendmail_talk other;

	for (size_t i = 0;
	     r->mc != NULL && i < sizeof(features) / sizeof(features[0]); i++) {
		unsigned line;
		char word[60];

		(void)snprintf(word, sizeof(word), "`%s'", features[i]);
		line = sendmail_cause_mc_line(r->mc, word);
		if (line == 0 ||
		    !sendmail_cause_make(
			&r->talk, r->mc_path, &line, 1, &other) ||
		    !cures(r, &other, hole))
			continue;
		p->file = r->mc_path;
		p->line = line;
		p->text = features[i];
		p->fix = rehearsal_format(
		    "# in %s: take FEATURE(`%s') out (line %u), then\n%s",
		    p->file, features[i], line, restart(r));
		return true;
	}
	return false;
}

static void
place_rules(struct sendmail_run *r, const struct sendmail_try *hole,
    const struct sendmail_cause *c, const struct sendmail_talk *other,
    struct place *p)
{
	unsigned lines[SENDMAIL_CAUSE_RULES] = { 0 };
	bool source = r->mc != NULL, cured = cures(r, other, hole);
	char list[200] = "";
	size_t at = 0;

	for (size_t i = 0; i < c->n_rules; i++) {
		char *text = NULL;

		for (size_t j = 0; j < r->cf.n; j++)
			if (r->cf.v[j].line == c->rules[i] &&
			    (text = rehearsal_format("R%s", r->cf.v[j].text)) !=
				NULL)
				break;
		if (text != NULL && r->mc != NULL)
			lines[i] = sendmail_cause_mc_line(r->mc, text);
		free(text);
		source = source && lines[i] != 0;
	}
	p->file = source ? r->mc_path : r->spec->file;
	p->line = source ? lines[0] : c->rules[0];
	for (size_t i = 0; i < c->n_rules; i++)
		at += (size_t)snprintf(list + at, sizeof(list) - at, "%s%u",
		    i == 0 ? "" : ", ", source ? lines[i] : c->rules[i]);
	if (!cured)
		return;
	p->fix = source
	    ? rehearsal_format("# in %s: take out line%s %s, then\n%s", p->file,
		  c->n_rules == 1 ? "" : "s", list, restart(r))
	    : rehearsal_format(
		  "# take the rule%s of %s, line%s %s, out of the sendmail.mc that it is made from, then\n%s",
		  c->n_rules == 1 ? "" : "s", p->file,
		  c->n_rules == 1 ? "" : "s", list, restart(r));
}

/* An entry of a file, or a word of a line of the cf, which is made from the
 * mc. */
static void
place_entry(struct sendmail_run *r, const struct sendmail_try *hole,
    const struct sendmail_seed *s, const struct sendmail_talk *other,
    struct place *p)
{
	unsigned line = 0;

	if (s->from == SEED_WORD && r->mc != NULL)
		line = sendmail_cause_mc_line(r->mc, s->word);
	p->file = line != 0 ? r->mc_path : s->file;
	p->line = line != 0 ? line : s->line;
	p->text = s->word;
	if (!cures(r, other, hole))
		return;
	if (s->from == SEED_WORD)
		p->fix = rehearsal_format(
		    "# in %s, line %u: take %s out%s, then\n%s", p->file,
		    p->line, s->word,
		    line != 0 ? "" : " of the sendmail.mc that it is made from",
		    restart(r));
	else if (s->from == SEED_MAP && strcmp(s->type, "text") != 0)
		p->fix = rehearsal_format(
		    "sed -i %ud %s && makemap -C %s %s %s < %s", s->line,
		    s->file, r->spec->file, s->type, s->file, s->file);
	else
		p->fix = rehearsal_format(
		    "sed -i %ud %s && /etc/init.d/sendmail restart", s->line,
		    s->file);
}

static const char *
kind_of(const struct sendmail_try *y, const struct sendmail_cause *c)
{
	switch (y->kind) {
	case TRY_BASE:
		return c->own ? "sendmail-rule-open" : "sendmail-promiscuous";
	case TRY_FORM:
		return "sendmail-recipient-routed";
	case TRY_PUBLIC:
		return "sendmail-relay-domains-all";
	case TRY_CLAIM:
		return "sendmail-rule-open";
	case TRY_PAIR:
	case TRY_HELO:
		return "sendmail-helo-rule";
	case TRY_OURS:
		return c->own ? "sendmail-sender-rule" : "sendmail-local-from";
	case TRY_SENDER:
		break;
	}
	if (c->entry != NULL && c->entry->from == SEED_MAP && !c->own)
		return "sendmail-sender-permits";
	return "sendmail-sender-rule";
}

static char *
describe(const struct sendmail_run *r, const struct sendmail_try *y,
    const struct sendmail_door *d, const struct place *p)
{
	char cause[SENDMAIL_WORD_LEN] = "";

	if (p->text != NULL)
		(void)snprintf(cause, sizeof(cause),
		    " Without \"%.200s\" there, the copy refuses.", p->text);
	else if (y->rule != 0)
		(void)snprintf(
		    cause, sizeof(cause), " This rule makes an address of it.");
	else if (p->line != 0)
		(void)snprintf(cause, sizeof(cause),
		    " Without this rule the copy refuses.");
	return rehearsal_format(
	    "A stranger (%s%s%s%s) on port %s says EHLO %s, MAIL FROM:<%s>, RCPT TO:<%s>: accepted, and it would leave.%s",
	    d->six ? r->stranger6 : y->address, *y->name == '\0' ? "" : ", ",
	    y->name, y->kind == TRY_CLAIM ? " by its PTR alone" : "",
	    d->service, y->helo, y->sender, y->recipient, cause);
}

void
sendmail_run_report(struct sendmail_run *r, const struct sendmail_try *y,
    const struct sendmail_door *d)
{
	const struct sendmail_client client = sendmail_run_client(y);
	struct place p = { .file = r->spec->file };
	struct sendmail_cause c;
	struct sendmail_talk other = r->talk;

	if (y->rule != 0) {
		c = (struct sendmail_cause){
			.rules = { y->rule }, .n_rules = 1, .own = true
		};
		place_rules(r, y, &c, &other, &p);
	} else if (!sendmail_cause_find(
		       &r->talk, &r->cf, &client, y->seed, &c, &other))
		(void)place_feature(r, y, &p);
	else if (c.entry != NULL)
		place_entry(r, y, c.entry, &other, &p);
	else if (c.own || !place_feature(r, y, &p))
		place_rules(r, y, &c, &other, &p);
	sendmail_run_add(
	    r, kind_of(y, &c), p.file, p.line, describe(r, y, d, &p), p.fix);
}
