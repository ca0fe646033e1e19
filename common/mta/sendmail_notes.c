/* SPDX-License-Identifier: ISC */
/* sendmail_notes - what an admin should know of a sendmail.cf that is wired:
 * who is refused before popgate is asked, who relays without it. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/mta/sendmail_plan.h"

/* The listeners: is one reached from outside, and which want AUTH? */
static void
note_daemons(struct sendmail_build *b)
{
	unsigned daemons = 0, loopback = 0, line = 0;
	char modifiers[40], name[80];

	for (size_t i = 0; i < b->cf.n; i++) {
		const struct sendmail_line *l = &b->cf.v[i];
		const char *options = l->kind != 'O'
		    ? NULL
		    : sendmail_option(l->text, "DaemonPortOptions");

		if (options == NULL)
			continue;
		daemons++;
		line = l->line;
		if (sendmail_is_loopback(options)) {
			loopback++;
			continue;
		}
		if (!sendmail_equate(options, 'N', name, sizeof(name)))
			(void)snprintf(name, sizeof(name), "without a name");
		if (sendmail_equate(
			options, 'M', modifiers, sizeof(modifiers)) &&
		    strchr(modifiers, 'a') != NULL)
			sendmail_add_note(b, SENDMAIL_AUTH_ONLY,
			    b->src->cf.path, l->line,
			    "Listener %s wants AUTH of every client (M=%s): a login by POP or IMAP is no help on it",
			    name, modifiers);
	}
	if (daemons > 0 && loopback == daemons)
		sendmail_add_note(b, SENDMAIL_LOOPBACK_ONLY, b->src->cf.path,
		    line,
		    "All listeners are on the loopback address: no client reaches this server, and popgate has nobody to permit");
}

static bool
in(const struct sendmail_line *l, const char *ruleset)
{
	return l->kind == 'R' && strcmp(l->ruleset, ruleset) == 0;
}

/* Does FEATURE(`delay_checks') let these checks wait for the recipient? */
static bool
delayed(const struct sendmail_cf *cf)
{
	for (size_t i = 0; i < cf->n; i++)
		if (in(&cf->v[i], "checkrelay"))
			return true;
	return false;
}

/* Note each check that refuses a client when it connects, or at MAIL, once. */
static void
note_refusals(struct sendmail_build *b)
{
	static const struct {
		const char *ruleset, *holds, *text;
		bool always; /* delay_checks is no help */
	} checks[] = {
		{ "Basic_check_relay", "$(dnsbl", "A DNS block list", false },
		{ "Basic_check_relay", "$(edns", "A DNS block list", false },
		{ "Basic_check_relay", "<REJECT>",
		    "The access map's entries for clients", false },
		{ "Basic_check_relay", "Fix reverse DNS",
		    "FEATURE(`require_rdns')", false },
		{ "Basic_check_relay", "RateControl", "FEATURE(`ratecontrol')",
		    false },
		{ "check_relay", "RateControl", "FEATURE(`ratecontrol')",
		    true },
		{ "Local_greet_pause", "", "Rules of your own at the greeting",
		    true },
		{ "Local_check_relay", "", "Rules of your own for clients",
		    false },
		{ "Local_check_mail", "", "Rules of your own for senders",
		    false },
	};
	bool late = delayed(&b->cf);

	for (size_t c = 0; c < sizeof(checks) / sizeof(*checks); c++) {
		if ((late && !checks[c].always) ||
		    (b->lists_ask && strncmp(checks[c].holds, "$(", 2) == 0))
			continue;
		for (size_t i = 0; i < b->cf.n; i++) {
			if (!in(&b->cf.v[i], checks[c].ruleset) ||
			    strstr(b->cf.v[i].text, checks[c].holds) == NULL)
				continue;
			sendmail_add_note(b, SENDMAIL_REFUSES_FIRST,
			    b->src->cf.path, b->cf.v[i].line,
			    "%s may refuse a client before popgate is asked, as it refuses clients with AUTH%s",
			    checks[c].text,
			    checks[c].always
				? ""
				: ": FEATURE(`delay_checks') lets both pass");
			break;
		}
	}
}

/* Note the clients that relay by Sendmail's own word. */
static void
note_relays(struct sendmail_build *b)
{
	static const struct {
		const char *ruleset, *holds, *text;
		enum sendmail_note_kind kind;
	} rules[] = {
		{ "Relay_ok", "$(drac ",
		    "FEATURE(`drac') relays for clients of another "
		    "POP-before-SMTP: popgate's filter refuses those that it doesn't know",
		    SENDMAIL_RELAYS },
		{ "Relay_ok", "$=m\t",
		    "FEATURE(`relay_entire_domain') relays for clients by their name: popgate's filter refuses them unless relay.trusted_networks holds their addresses",
		    SENDMAIL_RELAYS },
		{ "Relay_ok", "<+ Connect>",
		    "Clients with RELAY in the access map relay by Sendmail's word: popgate's filter refuses them unless relay.trusted_networks holds their addresses",
		    SENDMAIL_RELAYS },
		{ "Rcpt_ok", "$(mxserved ",
		    "FEATURE(`relay_based_on_MX') takes mail for every domain whose MX is this server: popgate's filter refuses it unless relay.local_domains holds the domain",
		    SENDMAIL_RECIPIENTS },
		{ "Rcpt_ok", "<+ To>",
		    "Domains with RELAY in the access map (To:) must be in relay.local_domains",
		    SENDMAIL_RECIPIENTS },
	};

	for (size_t r = 0; r < sizeof(rules) / sizeof(*rules); r++)
		for (size_t i = 0; i < b->cf.n; i++) {
			const struct sendmail_line *l = &b->cf.v[i];

			if (!in(l, rules[r].ruleset) ||
			    strstr(l->text, rules[r].holds) == NULL)
				continue;
			sendmail_add_note(b, rules[r].kind, b->src->cf.path,
			    l->line, "%s", rules[r].text);
			break;
		}
}

void
sendmail_note_own(struct sendmail_build *b, const char *file, unsigned line)
{
	bool refuse = false, accept = false;

	for (size_t i = 0; i < b->cf.n; i++) {
		const struct sendmail_line *l = &b->cf.v[i];
		const char *at;

		if (!in(l, "Local_check_rcpt") && !in(l, SENDMAIL_OWN_RULES))
			continue;
		at = strstr(l->text, "$#");
		if (at == NULL)
			continue;
		at += 2 + strspn(at + 2, " ");
		refuse |= strncmp(at, "error", 5) == 0;
		accept |= strncasecmp(at, "OK", 2) == 0 ||
		    strncasecmp(at, "RELAY", 5) == 0;
	}
	sendmail_add_note(b, SENDMAIL_OWN_WORD, file, line,
	    "Local_check_rcpt has rules of your own: they are kept, and asked before popgate%s%s",
	    refuse
		? "; whom they refuse ($#error) is refused, also after a login"
		: "",
	    accept
		? "; whom they let relay ($#OK), popgate's filter refuses unless popgate permits it"
		: "");
}

/* "O RunAsUser=smmta:smmsp" */
static void
note_user(struct sendmail_build *b)
{
	for (size_t i = 0; i < b->cf.n; i++) {
		const struct sendmail_line *l = &b->cf.v[i];
		const char *user = l->kind != 'O'
		    ? NULL
		    : sendmail_option(l->text, "RunAsUser");

		if (user != NULL && *user != '\0')
			sendmail_add_note(b, SENDMAIL_RUNS_AS, b->src->cf.path,
			    l->line,
			    "Sendmail runs as %s: this user must be let into popgate's sockets (milter.group)",
			    user);
	}
}

void
sendmail_note_cf(struct sendmail_build *b)
{
	note_daemons(b);
	note_refusals(b);
	note_relays(b);
	note_user(b);
}
