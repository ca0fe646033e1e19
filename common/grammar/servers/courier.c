/* SPDX-License-Identifier: ISC */
/* Courier-IMAP, and the POP and IMAP servers of the Courier suite. Source:
 * imap/imapd.C, imap/imaplogin.C, imap/pop3dserver.C, imap/pop3login.C.
 *
 *   LOGIN, user=U, ip=[A], port=[N], protocol=IMAP, starttls=1
 *
 *   LOGOUT, user=U, ip=[A], port=[N], rcvd=N, ...	also TIMEOUT,
 * DISCONNECTED
 *
 *   IMAP connect from @ [A]INFO: LOGIN, ...	Plesk's, in one line
 *
 * U precedes the address and may hold ", ip=[6.6.6.6]": hence exactly one. */
#include "common/grammar/grammar.h"

enum {
	TAIL_PORT = 1 << 0,
	TAIL_PROTOCOL = 1 << 1,
	TAIL_TLS = 1 << 2,
};

static bool
match_tail(struct span s, struct grammar_match *m)
{
	unsigned seen = 0;
	struct span port;

	while (!span_done(s)) {
		unsigned item;

		if (SPAN_TAKE(&s, ", port=[")) {
			item = TAIL_PORT;
			port = s;
			if (!span_number(&s, NULL))
				return false;
			port.end = s.p;
			if (!SPAN_TAKE(&s, "]"))
				return false;
			m->session = port;
			m->session_kind = SESSION_BEGIN;
			m->session_by = SESSION_BY_PORT;
		} else if (SPAN_TAKE(&s, ", protocol=")) {
			struct span word;

			item = TAIL_PROTOCOL;
			if (!span_run(&s, char_word, &word))
				return false;
			if (SPAN_EQUALS(word, "IMAP"))
				m->service = SERVICE_IMAP;
			else if (SPAN_EQUALS(word, "POP3"))
				m->service = SERVICE_POP3;
			else
				return false;
		} else if (SPAN_TAKE(&s, ", stls=1") ||
		    SPAN_TAKE(&s, ", starttls=1")) {
			item = TAIL_TLS;
		} else {
			return false;
		}
		if (seen & item)
			return false;
		seen |= item;
	}
	return true;
}

/* "LOGOUT, user=U, ip=[A], port=[N], rcvd=12, sent=39": U may hold the rest. */
static void
match_end(struct span s, struct span program, struct grammar_match *m)
{
	struct span key;

	if (!(SPAN_TAKE(&s, "LOGOUT, user=") ||
		SPAN_TAKE(&s, "DISCONNECTED, user=") ||
		SPAN_TAKE(&s, "TIMEOUT, user=")) ||
	    SPAN_COUNT(s, "ip=[") != 1 || !SPAN_UNTIL(&s, ", ip=[", &m->user) ||
	    !SPAN_UNTIL(&s, "], port=[", &m->addr))
		return;
	m->session = s;
	if (!span_number(&s, NULL))
		return;
	m->session.end = s.p;
	if (!SPAN_TAKE(&s, "]"))
		return;
	while (!span_done(s))
		if (!SPAN_TAKE(&s, ", ") || !span_run(&s, char_word, &key) ||
		    !SPAN_TAKE(&s, "=") || !span_number(&s, NULL))
			return;
	m->service = service_of_program(program);
	m->session_kind = SESSION_END;
	m->session_by = SESSION_BY_PORT;
}

static enum fate
other_line(struct span s)
{
	static const char *const quiet[] = {
		"IMAP connect from ",
		"LOGOUT",
		"Connection",
		"DISCONNECTED",
		"Disconnected",
		"TIMEOUT",
		"LOGIN: DEBUG",
		"DEBUG",
		"ERR: ",
		"Error",
		"couriertls",
		"authdaemon",
		"chdir",
		"Maximum connection",
		"Unexpected",
		"ip=[",
		"writev",
		"fork",
		"bind",
	};

	if (SPAN_STARTS(s, "LOGIN FAILED"))
		return FATE_FAILED_LOGIN;
	return SPAN_STARTS_ANY(s, quiet) ? FATE_NOT_A_LOGIN
					 : FATE_UNKNOWN_SHAPE;
}

/* Plesk's wrapper puts its words on the connection in front, without a line
 * end. *from_r is empty where it doesn't. */
static void
take_connect(struct span *s, struct span *from_r)
{
	struct span rest = *s;

	*from_r = span_of(s->p, 0);
	if (SPAN_TAKE(&rest, "IMAP connect from @ ") &&
	    span_bracketed(&rest, from_r) && SPAN_STARTS(rest, "INFO: "))
		*s = rest;
}

static enum fate
match(struct span s, struct span program, struct grammar_match *m)
{
	struct span from;

	/* authdaemond starts with the machine and with Courier, which says
	 * nothing of that itself. */
	if (SPAN_EQUALS(program, "authdaemond")) {
		if (SPAN_STARTS(s, "modules=\""))
			m->session_kind = SESSION_END_ALL;
		return FATE_NOT_A_LOGIN;
	}
	take_connect(&s, &from);
	(void)SPAN_TAKE(&s, "INFO: ");
	if (!SPAN_TAKE(&s, "LOGIN, user=")) {
		match_end(s, program, m);
		return other_line(s);
	}
	m->service = service_of_program(program);
	enum fate fate = grammar_mark(SPAN_COUNT(s, "ip=["));

	if (fate != FATE_NONE)
		return fate;
	if (!SPAN_UNTIL(&s, ", ip=[", &m->user) ||
	    !SPAN_UNTIL(&s, "]", &m->addr))
		return FATE_TRUNCATED;
	if (!span_empty(from) &&
	    !span_equals(from, m->addr.p, span_len(m->addr)))
		return FATE_AMBIGUOUS;
	if (!match_tail(s, m))
		return FATE_UNKNOWN_SHAPE;
	/* the line of the end names no protocol */
	if (service_of_program(program) != m->service)
		m->session_kind = SESSION_NONE;
	return FATE_LOGIN;
}

static const char *const programs[] = { "imapd", "pop3d", "imapd-ssl",
	"pop3d-ssl", "imaplogin", "pop3login", "courierimapd", "courierpop3d",
	"courierimapd-ssl", "courierpop3d-ssl", "courierimaplogin",
	"courierpop3login", "couriertcpd", "authdaemond",
	"courierlogger", /* multilog instead of it: see prefix.c */
	NULL };
static const char *const processes[] = { "courierlogger", "couriertcpd",
	"imapd", "pop3d", "imaplogin", "pop3login", "authdaemond", NULL };

const struct grammar grammar_courier = {
	.name = "courier",
	.programs = programs,
	.processes = processes,
	/* anybody's courierlogger says whatever it is given */
	.root_only = true,
	.match = match,
};
