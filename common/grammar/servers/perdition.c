/* SPDX-License-Identifier: ISC */
/* perdition, a POP and IMAP proxy. Source: perdition/perdition.c.
 *
 *   Auth: A:P->B:P client-secure=S authorisation_id={NONE|"Z"}
 *     authentication_id="U"[ passwd="W"] server="H:P" protocol=X
 *     server-secure=S status="ok"
 *   Auth: A->B user="U" server="H" port="P" status="ok"		old
 *
 * A failed login is the same line with another status, behind Z, U and W that
 * nobody escapes. So the status must be the end of a line that was not cut
 * (GRAMMAR_CUT_MIN), and each marker must occur once. */
#include "common/grammar/grammar.h"

/* "->B:P " behind the client's address. */
static bool
take_ends(struct span *s, struct span *client_r)
{
	struct span server;

	if (!SPAN_UNTIL(s, "->", client_r) || !SPAN_UNTIL(s, " ", &server) ||
	    span_empty(server))
		return false;
	/* the old form had no ports, and no IPv6 either */
	if (span_has_char(*client_r, ':'))
		return span_split_port(*client_r, client_r);
	return true;
}

static enum fate
match_old(struct span s, struct grammar_match *m)
{
	struct span server, port;

	if (SPAN_COUNT(s, "\" server=\"") != 1 ||
	    SPAN_COUNT(s, "\" port=\"") != 1)
		return FATE_AMBIGUOUS;
	if (!SPAN_UNTIL(&s, "\" server=\"", &m->user) ||
	    !SPAN_UNTIL(&s, "\" port=\"", &server) ||
	    !SPAN_UNTIL(&s, "\"", &port) || !span_done(s))
		return FATE_UNKNOWN_SHAPE;
	m->service = SPAN_EQUALS(port, "143") || SPAN_EQUALS(port, "993") ||
		SPAN_EQUALS(port, "imap") || SPAN_EQUALS(port, "imap2") ||
		SPAN_EQUALS(port, "imaps")
	    ? SERVICE_IMAP
	    : SERVICE_POP3;
	return FATE_LOGIN;
}

/* ` server="H:P" protocol=X server-secure=S`, behind its first word */
static enum fate
match_server(struct span s, struct grammar_match *m)
{
	struct span host, protocol, secure;

	if (!SPAN_UNTIL(&s, "\"", &host) || span_has_char(host, ' ') ||
	    !SPAN_TAKE(&s, " protocol=") ||
	    !span_run(&s, char_word, &protocol) ||
	    !SPAN_TAKE(&s, " server-secure=") ||
	    !span_run(&s, char_word, &secure) || !span_done(s))
		return FATE_UNKNOWN_SHAPE;
	if (SPAN_EQUALS(protocol, "IMAP4") || SPAN_EQUALS(protocol, "IMAP4S"))
		m->service = SERVICE_IMAP;
	else if (SPAN_EQUALS(protocol, "POP3") ||
	    SPAN_EQUALS(protocol, "POP3S"))
		m->service = SERVICE_POP3;
	else
		return FATE_OTHER_SERVICE; /* MANAGESIEVE */
	return FATE_LOGIN;
}

static enum fate
match_new(struct span s, struct grammar_match *m)
{
	struct span secure, authorisation, ids;

	if (SPAN_COUNT(s, " server=\"") != 1 ||
	    SPAN_COUNT(s, " authentication_id=\"") != 1)
		return FATE_AMBIGUOUS;
	if (!span_run(&s, char_word, &secure) ||
	    !SPAN_TAKE(&s, " authorisation_id=") ||
	    !SPAN_UNTIL(&s, " server=\"", &ids) ||
	    !SPAN_UNTIL(&ids, " authentication_id=\"", &authorisation) ||
	    !SPAN_CHOP(&ids, "\""))
		return FATE_UNKNOWN_SHAPE;
	if (!SPAN_EQUALS(authorisation, "NONE") &&
	    (!SPAN_TAKE(&authorisation, "\"") ||
		!SPAN_CHOP(&authorisation, "\"") ||
		span_has_char(authorisation, '"')))
		return FATE_AMBIGUOUS;
	m->user = ids;
	if (SPAN_COUNT(ids, "\" passwd=\"") == 1)
		(void)SPAN_UNTIL(&ids, "\" passwd=\"", &m->user);
	if (span_has_char(m->user, '"'))
		return FATE_AMBIGUOUS;
	return match_server(s, m);
}

static enum fate
match(struct span s, struct span program, struct grammar_match *m)
{
	(void)program;
	if (!SPAN_TAKE(&s, "Auth: "))
		return SPAN_STARTS(s, "Auth") ? FATE_UNKNOWN_SHAPE
					      : FATE_NOT_A_LOGIN;
	(void)SPAN_TAKE(&s, " ");
	enum fate fate = grammar_mark(SPAN_COUNT(s, "status=\""));

	if (fate != FATE_NONE)
		return fate;
	if (!SPAN_CHOP(&s, " status=\"ok\""))
		return FATE_FAILED_LOGIN;
	if (!take_ends(&s, &m->addr))
		return FATE_UNKNOWN_SHAPE;
	if (SPAN_TAKE(&s, "client-secure="))
		return match_new(s, m);
	if (SPAN_TAKE(&s, "user=\""))
		return match_old(s, m);
	return FATE_UNKNOWN_SHAPE;
}

static const char *const programs[] = { "perdition", "perdition.imap4",
	"perdition.imap4s", "perdition.imaps", "perdition.imap",
	"perdition.pop3", "perdition.pop3s", NULL };
static const char *const processes[] = { "perdition", "perdition.imap4",
	"perdition.imaps", "perdition.pop3", "perdition.pop3s", NULL };

const struct grammar grammar_perdition = {
	.name = "perdition",
	.programs = programs,
	.processes = processes,
	.match = match,
};
