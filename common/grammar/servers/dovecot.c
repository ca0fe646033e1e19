/* SPDX-License-Identifier: ISC */
/* Dovecot 0.99 to 2.4, cPanel's too. Source: src/login-common/
 * login-settings.c (login_log_format_elements), client-common.c.
 *
 *   imap-login: Login: user=<U>, method=M, rip=A, lip=B, mpid=N, TLS,
 *     session=<S>
 *   pop3-login: Logged in: ...		2.4
 *   imap-login: Login: U [A]		before 1.0
 *
 * The end of a session, from 2.3 on (mail_log_prefix); P is imap, pop3, or
 * imap-hibernate; before 2.3 without the ids:
 *
 *   P(U)<N><S>: Disconnected: Logged out in=N out=N ...
 *
 * Admins may order the elements, leave some out and add others. What counts:
 * U is the only text of the client's choice; '>', ',' and '=' survive in it.
 * So each element may occur once, and "rip=" nowhere else: FATE_AMBIGUOUS.
 * Elements that we don't know stand behind user and rip, or the shape is
 * unknown. The address itself is parsed in parse.c, match_grammar().
 * The limit of 900 bytes is grammar.h's. */
#include "common/grammar/grammar.h"

#include "common/base/addr.h"

enum element {
	ELEMENT_USER = 1 << 0,
	ELEMENT_RIP = 1 << 1,
	ELEMENT_LIP = 1 << 2,
	ELEMENT_METHOD = 1 << 3,
	ELEMENT_MPID = 1 << 4,
	ELEMENT_SESSION = 1 << 5,
	ELEMENT_SECURED = 1 << 6,
	ELEMENT_REAL_RIP = 1 << 7,
	ELEMENT_REAL_LIP = 1 << 8,
	ELEMENT_RPORT = 1 << 9,
	ELEMENT_LPORT = 1 << 10,
};

struct elements {
	struct grammar_match *m;
	unsigned seen;
	bool unknown; /* an element we don't know was there */
};

static bool
is_address(struct span s)
{
	struct addr addr;

	return addr_parse_n(s.p, span_len(s), &addr);
}

static bool
is_number(struct span s)
{
	return !span_empty(s) && span_number(&s, NULL) && span_done(s);
}

static bool
is_word(struct span s)
{
	struct span word;

	return span_run(&s, char_word, &word) && span_done(s);
}

/* <S>, or S where the admin's format has no brackets. */
static bool
is_session(struct span s)
{
	bool open = SPAN_TAKE(&s, "<");

	return SPAN_CHOP(&s, ">") == open && !span_empty(s) &&
	    !span_has_char(s, '<') && !span_has_char(s, '>') &&
	    !span_has_char(s, ' ') && (open || !span_has_char(s, '='));
}

static enum fate
once(struct elements *e, enum element element, bool valid)
{
	if (e->seen & (unsigned)element)
		return FATE_AMBIGUOUS;
	e->seen |= (unsigned)element;
	return valid ? FATE_LOGIN : FATE_TRUNCATED;
}

/* An element of the admin's invention: key=value, behind user and rip. */
static enum fate
extra_element(struct elements *e, struct span s)
{
	const unsigned need = ELEMENT_USER | ELEMENT_RIP;
	struct span key;

	if (SPAN_HAS(s, "rip=") || SPAN_HAS(s, "user=<"))
		return FATE_AMBIGUOUS;
	if ((e->seen & need) != need)
		return FATE_UNKNOWN_SHAPE;
	e->unknown = true;
	/* %k, the TLS parameters, comes without a key */
	if (SPAN_STARTS(s, "TLSv1") || SPAN_STARTS(s, "SSLv3"))
		return FATE_LOGIN;
	if (!span_run(&s, char_host, &key) || !SPAN_TAKE(&s, "="))
		return FATE_TRUNCATED;
	if (SPAN_STARTS(s, "<") && !SPAN_CHOP(&s, ">"))
		return FATE_TRUNCATED;
	return FATE_LOGIN;
}

static enum fate
one_element(struct elements *e, struct span s)
{
	if (SPAN_TAKE(&s, "rip=")) {
		e->m->addr = s;
		return once(e, ELEMENT_RIP, true);
	}
	if (SPAN_TAKE(&s, "method=")) {
		enum fate reason = once(e, ELEMENT_METHOD, is_word(s));

		if (reason == FATE_LOGIN && SPAN_EQUALS(s, "ANONYMOUS"))
			return FATE_ANONYMOUS;
		return reason;
	}
	if (SPAN_TAKE(&s, "lip="))
		return once(e, ELEMENT_LIP, is_address(s));
	if (SPAN_TAKE(&s, "mpid="))
		return once(e, ELEMENT_MPID, is_number(s));
	if (SPAN_TAKE(&s, "session=")) {
		bool valid = is_session(s);

		if (SPAN_TAKE(&s, "<"))
			(void)SPAN_CHOP(&s, ">");
		e->m->session = s;
		return once(e, ELEMENT_SESSION, valid);
	}
	if (SPAN_EQUALS(s, "TLS") || SPAN_EQUALS(s, "secured") ||
	    SPAN_STARTS(s, "TLS: "))
		return once(e, ELEMENT_SECURED, !SPAN_HAS(s, "rip="));
	if (SPAN_TAKE(&s, "real_rip="))
		return once(e, ELEMENT_REAL_RIP, is_address(s));
	if (SPAN_TAKE(&s, "real_lip="))
		return once(e, ELEMENT_REAL_LIP, is_address(s));
	if (SPAN_TAKE(&s, "rport="))
		return once(e, ELEMENT_RPORT, is_number(s));
	if (SPAN_TAKE(&s, "lport="))
		return once(e, ELEMENT_LPORT, is_number(s));
	return extra_element(e, s);
}

/* Behind "user=<". */
static enum fate
user_element(struct elements *e, struct span *s, bool *more_r)
{
	struct span user;

	if (e->unknown)
		return FATE_UNKNOWN_SHAPE;
	*more_r = SPAN_UNTIL(s, ">, ", &user);
	if (!*more_r) {
		user = *s;
		if (!SPAN_CHOP(&user, ">"))
			return FATE_TRUNCATED;
		s->p = s->end;
	}
	if (SPAN_HAS(user, "rip="))
		return FATE_AMBIGUOUS;
	/* str_sanitize() cuts at 80 bytes */
	if (span_len(user) > 3 && memcmp(user.end - 3, "...", 3) == 0)
		e->m->user_cut = true;
	e->m->user = user;
	return once(e, ELEMENT_USER, true);
}

/* In the line of the end, U stands in front of S. */
static bool
is_plain_name(struct span user)
{
	return !span_has_char(user, '(') && !span_has_char(user, ')') &&
	    !span_has_char(user, '<') && !span_has_char(user, '>') &&
	    !span_has_char(user, ' ');
}

static enum fate
match_elements(struct span s, struct grammar_match *m)
{
	struct elements e = { .m = m };
	bool more = true;
	bool rip_last = false;

	while (more) {
		enum fate reason;

		if (SPAN_TAKE(&s, "user=<")) {
			rip_last = false;
			reason = user_element(&e, &s, &more);
		} else {
			struct span element;

			rip_last = SPAN_STARTS(s, "rip=");
			more = SPAN_UNTIL(&s, ", ", &element);
			if (!more)
				element = s;
			reason = one_element(&e, element);
		}
		if (reason != FATE_LOGIN)
			return reason;
	}
	if (!(e.seen & ELEMENT_RIP))
		return FATE_NO_ADDRESS;
	/* 192.0.2.5 at the end of a line may have been 192.0.2.55 */
	if (rip_last)
		return FATE_TRUNCATED;
	if (!(e.seen & ELEMENT_USER))
		return FATE_NO_USER;
	if ((e.seen & ELEMENT_SESSION) && is_plain_name(m->user))
		m->session_kind = SESSION_BEGIN;
	return FATE_LOGIN;
}

/* "U [A]" */
static bool
match_ancient(struct span s, struct grammar_match *m)
{
	struct span user;

	if (!SPAN_UNTIL(&s, " ", &user) || !span_bracketed(&s, &m->addr) ||
	    !span_done(s) || span_has_char(user, '[') ||
	    span_has_char(user, '=') || span_has_char(user, ','))
		return false;
	m->user = user;
	return true;
}

static enum fate
other_line(struct span s)
{
	static const char *const quiet[] = {
		"Disconnected",
		"Maximum number of connections",
		"ID sent",
		"Error: ",
		"Warning: ",
		"Fatal: ",
		"Panic: ",
		"Debug: ",
		"Connection ",
		"SSL",
		"TLS",
		"Initial status notification",
		"Internal ",
		"Authentication ",
		"Timeout ",
		"Login with ",
		"Auth connection",
		"Auth process",
		"Proxy ",
		"Killed ",
		"master",
		"client_connections",
		"Login queue",
		"XCLIENT",
	};
	struct span rest = s, said;

	if (SPAN_STARTS(s, "proxy(") || SPAN_STARTS(s, "Started proxying"))
		return FATE_PROXIED;
	if (SPAN_STARTS(s, "Login failed") || SPAN_STARTS(s, "Login aborted") ||
	    SPAN_STARTS(s, "Aborted login"))
		return FATE_FAILED_LOGIN;
	/* in front of what the client chooses */
	if (SPAN_STARTS(s, "Disconnected") &&
	    SPAN_UNTIL(&rest, ": user=<", &said) &&
	    SPAN_HAS(said, "(auth failed, "))
		return FATE_FAILED_LOGIN;
	return SPAN_STARTS_ANY(s, quiet) ? FATE_NOT_A_LOGIN
					 : FATE_UNKNOWN_SHAPE;
}

/* "Mar 03 08:01:11 ", "2026-03-03 08:01:11 ": Dovecot's own stamp where
 * log_path is /dev/stderr (log_timestamp; the first is the default), behind
 * which the line is as in its own file. */
static void
skip_stamp(struct span *s)
{
	const char *p = s->p;

	if (span_len(*s) > 16 && p[3] == ' ' && p[6] == ' ' && p[9] == ':' &&
	    p[12] == ':' && p[15] == ' ' && char_digit(p[7]))
		s->p += 16;
	else if (span_len(*s) > 20 && p[4] == '-' && p[7] == '-' &&
	    p[10] == ' ' && p[13] == ':' && p[16] == ':' && p[19] == ' ' &&
	    char_digit(p[11]))
		s->p += 20;
}

static bool
is_end(struct span s)
{
	(void)SPAN_TAKE(&s, "Info: ");
	return SPAN_STARTS(s, "Disconnected") || SPAN_STARTS(s, "Logged out") ||
	    SPAN_STARTS(s, "Connection closed") ||
	    SPAN_STARTS(s, "Server shutting down") ||
	    SPAN_STARTS(s, "Fatal: ") || SPAN_STARTS(s, "Panic: ");
}

/* "U)<N><S>: ". A user named "x)<1><S>: Disconnected" must not end the session
 * S of another. S itself is the server's: a user database may give U another
 * spelling than the line of the login has, so U is not compared. */
static bool
take_session(struct span *s, struct span *session_r)
{
	struct span user;

	return SPAN_COUNT(*s, ")<") == 1 && SPAN_UNTIL(s, ")<", &user) &&
	    is_plain_name(user) && span_number(s, NULL) && SPAN_TAKE(s, "><") &&
	    SPAN_UNTIL(s, ">: ", session_r) &&
	    !span_has_char(*session_r, '>') && !SPAN_HAS(*s, "): ");
}

/* Behind "imap(". */
static void
mail_process(struct span s, struct grammar_match *m)
{
	struct span named = s, user;

	if (take_session(&named, &m->session)) {
		if (is_end(named) && !span_empty(m->session))
			m->session_kind = SESSION_END;
	} else if (!SPAN_HAS(s, ")<") && SPAN_COUNT(s, "): ") == 1 &&
	    SPAN_UNTIL(&s, "): ", &user) && is_end(s)) {
		m->session_kind = SESSION_END_ALL;
	}
}

/* Behind "master: ", whose words are its own. */
static void
master_process(struct span s, struct grammar_match *m)
{
	struct span version;

	(void)SPAN_TAKE(&s, "Info: ");
	if ((SPAN_TAKE(&s, "Dovecot v") &&
		SPAN_UNTIL(&s, ") starting up", &version)) ||
	    SPAN_STARTS(s, "Warning: Killed with signal "))
		m->session_kind = SESSION_END_ALL;
}

/* A line of no login process. */
static void
other_process(struct span s, struct grammar_match *m)
{
	if (SPAN_TAKE(&s, "imap(") || SPAN_TAKE(&s, "pop3(") ||
	    SPAN_TAKE(&s, "imap-hibernate("))
		mail_process(s, m);
	else if (SPAN_TAKE(&s, "master: "))
		master_process(s, m);
}

static enum fate
match(struct span s, struct span program, struct grammar_match *m)
{
	enum fate reason;

	if (SPAN_EQUALS(program, "dovecot")) {
		skip_stamp(&s);
		(void)SPAN_TAKE(&s, "Info: "); /* 1.x, own file */
		if (SPAN_TAKE(&s, "imap-login: "))
			m->service = SERVICE_IMAP;
		else if (SPAN_TAKE(&s, "pop3-login: "))
			m->service = SERVICE_POP3;
		else if (SPAN_STARTS(s, "managesieve-login: Login: ") ||
		    SPAN_STARTS(s, "submission-login: Login: "))
			return FATE_OTHER_SERVICE;
		else {
			other_process(s, m);
			return FATE_NOT_A_LOGIN;
		}
	} else {
		m->service = service_of_program(program);
	}
	(void)SPAN_TAKE(&s, "Info: ");
	if (!SPAN_TAKE(&s, "Login: ") && !SPAN_TAKE(&s, "Logged in: "))
		return other_line(s);
	/* The last byte, which no client writes, tells the shape: the user of
	 * an ancient one may be named "user=<...". */
	if (s.p < s.end && s.end[-1] == ']')
		return match_ancient(s, m) ? FATE_LOGIN : FATE_UNKNOWN_SHAPE;
	reason = match_elements(s, m);
	/* A second rip= or user=< is the cause, whichever element failed to
	 * parse. */
	if (reason == FATE_TRUNCATED &&
	    (SPAN_COUNT(s, " rip=") > 1 || SPAN_COUNT(s, "user=<") > 1))
		return FATE_AMBIGUOUS;
	return reason;
}

static const char *const programs[] = { "dovecot", "imap-login", "pop3-login",
	NULL };
/* dovecot starts as doveconf, which warns of the configuration in its name. */
static const char *const processes[] = { "log", "dovecot", "doveconf",
	"imap-login", "pop3-login", NULL };

const struct grammar grammar_dovecot = {
	.name = "dovecot",
	.alias = "cpanel",
	.programs = programs,
	.processes = processes,
	.root_only = true,
	/* Every line is written by the master or the log process. Names pass
	 * str_sanitize() (no byte below space, 80 at most); what a process
	 * sends to the log process is cut into lines there, each of which
	 * gets a stamp and the process' name, and into 1,024 bytes before
	 * (PIPE_BUF). Source: src/lib/failures.c, src/log/log-connection.c;
	 * tests/system/test_collector_sources.py tries. */
	.stream = true,
	.match = match,
};
