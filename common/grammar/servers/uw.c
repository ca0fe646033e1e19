/* SPDX-License-Identifier: ISC */
/* University of Washington ipop3d and imapd. Source: src/ipopd/ipop3d.c,
 * src/imapd/imapd.c.
 *
 *   {Login|Auth|APOP|Authenticated} user=U host=[NAME ][A][ nmsgs=N/N| mech=M]
 *
 * Failures begin with the same word, and then not with "user=". U stands
 * before the address and may hold spaces: hence exactly one "host=". The name
 * and address are cut at 80 bytes together, so the ']' must be there. */
#include "common/grammar/grammar.h"

enum { FIELD_MAX = 80 }; /* %.80s: user, and host with address */

static bool
match_tail(struct span s)
{
	struct span mech;

	if (SPAN_TAKE(&s, " nmsgs="))
		return span_number(&s, NULL) && SPAN_TAKE(&s, "/") &&
		    span_number(&s, NULL) && span_done(s);
	if (SPAN_TAKE(&s, " mech="))
		return span_run(&s, char_word, &mech) && span_done(s);
	return span_done(s);
}

static enum fate
other_line(struct span s)
{
	static const char *const quiet[] = {
		"Logout ",
		"Autologout ",
		"Killed ",
		"Command stream end",
		"Preauthenticated ",
		"Admin Login ",
		"IMAP login to ",
		"AUTHENTICATE ",
		"APOP ",
		"Connection ",
		"connect from ",
		"refused connect",
		"Moved ",
		"Error opening",
		"Mailbox ",
		"Expunge ",
		"imap service init",
		"imaps SSL service init",
		"pop3 service init",
		"pop3s SSL service init",
		"port ",
		"Client ",
		"Unable to ",
		"Null ",
		"Lost ",
		"Broken pipe",
		"POP3 ",
		"Authentication ",
		"Update user=",
		"Session ",
	};

	if (SPAN_STARTS(s, "Login anonymous=") ||
	    SPAN_STARTS(s, "Authenticated anonymous="))
		return FATE_ANONYMOUS;
	if (SPAN_STARTS(s, "Login failed ") ||
	    SPAN_STARTS(s, "Login excessive ") ||
	    SPAN_STARTS(s, "Login disabled ") ||
	    SPAN_STARTS(s, "Login SYSTEM BREAK-IN ATTEMPT"))
		return FATE_FAILED_LOGIN;
	return SPAN_STARTS_ANY(s, quiet) ? FATE_NOT_A_LOGIN
					 : FATE_UNKNOWN_SHAPE;
}

static enum fate
match(struct span s, struct span program, struct grammar_match *m)
{
	const char *host;

	if (!SPAN_TAKE(&s, "Login user=") && !SPAN_TAKE(&s, "Auth user=") &&
	    !SPAN_TAKE(&s, "APOP user=") &&
	    !SPAN_TAKE(&s, "Authenticated user="))
		return other_line(s);
	m->service = service_of_program(program);
	enum fate fate = grammar_mark(SPAN_COUNT(s, "host="));

	if (fate != FATE_NONE)
		return fate;
	if (!SPAN_UNTIL(&s, " host=", &m->user) ||
	    span_len(m->user) > FIELD_MAX)
		return FATE_UNKNOWN_SHAPE;
	m->user_cut = span_len(m->user) == FIELD_MAX;
	host = s.p;
	if (SPAN_STARTS(s, "UNKNOWN"))
		return FATE_NO_ADDRESS;
	if (!span_host_address(&s, &m->addr) ||
	    m->addr.end + 1 - host > FIELD_MAX)
		return FATE_TRUNCATED;
	return match_tail(s) ? FATE_LOGIN : FATE_UNKNOWN_SHAPE;
}

static const char *const programs[] = { "ipop3d", "imapd", "in.imapd",
	"in.ipop3d", "ipop3sd", "imapsd", NULL };

const struct grammar grammar_uw = {
	.name = "uw",
	.programs = programs,
	.match = match,
};
