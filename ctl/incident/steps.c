/* SPDX-License-Identifier: ISC */
/* steps - what to do about an incident, in order. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/doctor/doctor.h"
#include "ctl/incident/story.h"
#include "ctl/shell.h"

enum {
	SUSPICIOUS_SENDERS = 10, /* more than one person has */
	CLIENTS = 5, /* that are named in a step */
	DAY_S = 86400
};

bool
story_is_fearsome(const struct incident_group *g)
{
	return g->right == RIGHT_NONE || g->right == RIGHT_EXPANDED;
}

static void __attribute__((format(printf, 2, 3)))
step(struct story *s, const char *fmt, ...)
{
	va_list ap;

	if (s->steps == STORY_STEPS_MAX)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(s->step[s->steps++], STORY_STEP_TEXT_MAX, fmt, ap);
	va_end(ap);
}

bool
story_is_suspicious(const struct incident_group *g)
{
	if (g->right == RIGHT_BOUNCE)
		return g->rise;
	return (g->right == RIGHT_AUTH || g->right == RIGHT_LOGIN ||
		   g->right == RIGHT_NETWORK || g->right == RIGHT_CERTIFICATE ||
		   g->right == RIGHT_PROGRAM) &&
	    (g->rise || incident_random_senders(g) ||
		distinct_count(&g->senders) >= SUSPICIOUS_SENDERS);
}

static void
step_close(struct story *s, const struct incident_group *g)
{
	char clients[240] = "";
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++) {
		const struct incident_group *o = &s->groups[i];
		size_t len = strlen(clients);

		if (!story_is_fearsome(o) || !shell_plain(o->client))
			continue;
		if (n++ < CLIENTS)
			(void)snprintf(clients + len, sizeof(clients) - len,
			    "%s%s", len == 0 ? "" : ",", o->client);
	}
	step(s,
	    "Close the mail server: a rule of its own lets this through. The doctor names it, and the probe tells when it is closed:\n"
	    "popgatectl doctor\npopgatectl doctor --probe%s%s",
	    shell_plain(g->sender[0]) ? " --sender " : "",
	    shell_plain(g->sender[0]) ? g->sender[0] : "");
	step(s,
	    "Until then, refuse %s, or stop the mail server:\n"
	    "iptables -I INPUT -p tcp --dport 25 -s %s -j DROP\n%s",
	    n > CLIENTS ? "the clients (there are more: it is better to stop)"
		: n > 1 ? "the clients"
			: "the client",
	    n == 0 ? "..." : clients,
	    s->d->read[MTA_POSTFIX] != NULL    ? "postfix stop"
		: s->d->read[MTA_EXIM] != NULL ? "systemctl stop exim4"
		: s->d->read[MTA_SENDMAIL] != NULL
		? "systemctl stop sendmail"
		: "systemctl stop postfix sendmail exim4");
	step(s,
	    "Let popgate be asked about all that relays, so that a rule like this opens nothing again:\n"
	    "popgatectl wiring %s",
	    s->d->read[MTA_EXIM] != NULL           ? "exim"
		: s->d->read[MTA_SENDMAIL] != NULL ? "sendmail"
						   : "postfix");
}

/* Every client that the user, or by this right nobody in particular, came
 * from. */
static void
step_clients(struct story *s, const struct incident_group *g)
{
	char text[STORY_STEP_TEXT_MAX] = "";
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++) {
		const struct incident_group *o = &s->groups[i];
		size_t len = strlen(text);

		if (o->right != g->right || strcmp(o->user, g->user) != 0 ||
		    !shell_plain(o->client) || !story_is_suspicious(o))
			continue;
		if (n++ < CLIENTS)
			(void)snprintf(text + len, sizeof(text) - len,
			    "\npopgatectl deny %s --reason 'spam, see the log'",
			    o->client);
	}
	if (n == 1)
		step(s,
		    "Keep the client out, and see what it did:%s\npopgatectl why %s",
		    text, g->client);
	else if (n > CLIENTS)
		step(s,
		    "Keep these clients out, and %zu more, which --json lists:%s",
		    n - CLIENTS, text);
	else if (n > 1)
		step(s, "Keep these clients out:%s", text);
}

static void
step_user(struct story *s, const struct incident_group *g)
{
	if (g->right == RIGHT_PROGRAM) {
		step(s,
		    "Stop the program (of %s) that sends: a web site that was broken into, most likely:\n"
		    "ps -u %s -f; crontab -l -u %s",
		    *g->user == '\0' ? "this machine" : g->user,
		    shell_plain(g->user) ? g->user : "...",
		    shell_plain(g->user) ? g->user : "...");
		return;
	}
	if (g->right == RIGHT_BOUNCE) {
		step(s,
		    "Let the mail server refuse what it can't deliver, instead of taking it and writing to forged senders. The doctor names the cause:\n"
		    "popgatectl doctor --dnsbl LIST...");
		return;
	}
	if (*g->user != '\0')
		step(s,
		    "If that isn't how %s writes mail, the password is known to others. Keep the user out, change the password, then let him in:\n"
		    "popgatectl deny --user %s --reason 'spam, see the log'\n"
		    "popgatectl undeny --user %s",
		    g->user, shell_plain(g->user) ? g->user : "...",
		    shell_plain(g->user) ? g->user : "...");
	step_clients(s, g);
}

static void
step_queue(struct story *s, const struct incident_group *g)
{
	const char *what =
	    incident_random_senders(g) ? g->domain : g->sender[0];

	if (g->null_senders * 2 > g->messages || !shell_plain(what) ||
	    strlen(what) < 4)
		what = NULL;
	if (s->d->read[MTA_EXIM] != NULL) {
		step(s,
		    "Look at what waits in the queue, and freeze what is of this kind (exim -Mrm ID deletes it, exim -Mt ID lets it go):\n"
		    "exim -bp\nexiqgrep -i %s%s%s | xargs exim -Mf",
		    what == NULL ? "" : "-f '", what == NULL ? "" : what,
		    what == NULL ? "" : "'");
		return;
	}
	if (s->d->read[MTA_SENDMAIL] != NULL) {
		step(s,
		    "Look at what waits in the queue, and put what is of this kind aside:\n"
		    "mailq\nsendmail -Q -qS%s        # mailq -qQ shows it; sendmail -Q -qQ lets it go",
		    what == NULL ? "..." : what);
		return;
	}
	if (what == NULL) {
		step(s,
		    "Look at what waits in the queue, and hold it:\n"
		    "postqueue -p        # or: mailq\npostsuper -h ALL");
		return;
	}
	step(s,
	    "Hold what waits in the queue with such a sender; look at it, then delete it (postsuper -d) or let it go (-H):\n"
	    "postqueue -j | grep -F '%s' | sed 's/.*\"queue_id\": \"\\([^\"]*\\)\".*/\\1/' | postsuper -h -",
	    what);
}

bool
story_told_before(const struct story *s, size_t at)
{
	for (size_t i = 0; i < at && *s->groups[at].user != '\0'; i++)
		if (story_is_suspicious(&s->groups[i]) &&
		    strcmp(s->groups[i].user, s->groups[at].user) == 0)
			return true;
	return false;
}

/* The client or user that popgate has stopped, and no group of the log shows.
 */
static void
step_breaches(struct story *s)
{
	const struct story_breach *b;

	if (s->breaches == 0)
		return;
	b = &s->breach[s->breaches - 1];
	step(s,
	    "Look at what %s %s did, whom popgate's limits stopped last. If it isn't his mail, keep him out and change the password:\n"
	    "popgatectl spam\npopgatectl deny %s%s --reason 'spam, see the log'",
	    b->is_user ? "the user" : "the client", b->subject,
	    b->is_user ? "--user " : "",
	    shell_plain(b->subject) ? b->subject : "...");
}

void
story_steps(struct story *s)
{
	const struct incident_group *worst = NULL;

	for (size_t i = 0; i < s->n; i++)
		if (worst == NULL &&
		    (story_is_fearsome(&s->groups[i]) ||
			story_is_suspicious(&s->groups[i])))
			worst = &s->groups[i];
	if (worst == NULL) {
		step_breaches(s);
		return;
	}
	if (story_is_fearsome(worst))
		step_close(s, worst);
	for (size_t i = 0, users = 0; i < s->n && users < 3; i++)
		if (story_is_suspicious(&s->groups[i]) &&
		    !story_told_before(s, i)) {
			step_user(s, &s->groups[i]);
			users++;
		}
	step_queue(s, worst);
	step(s,
	    "Look again whether it has stopped:\n"
	    "popgatectl doctor --incident --since 10m");
	step(s,
	    "When it has: ask the block lists, and have the address taken off where it is:\n"
	    "popgatectl doctor --dnsbl LIST...");
}

bool
story_has_lines(const struct story *s)
{
	int64_t since = s->ctl->now - DAY_S;

	/* a server that was stopped, or is asked about minutes, is silent */
	return s->stats.of_mta > 0 &&
	    s->stats.last_at >= (s->since < since ? s->since : since);
}

int
story_status(const struct story *s)
{
	/* a log that says nothing doesn't say that nothing left */
	int rc = !story_has_lines(s) || s->breaches > 0;

	for (size_t i = 0; i < s->n; i++) {
		const struct incident_group *g = &s->groups[i];

		if (g->right == RIGHT_NONE)
			return 2;
		if (g->right == RIGHT_EXPANDED || g->right == RIGHT_UNTOLD ||
		    story_is_suspicious(g))
			rc = 1;
	}
	return rc;
}
