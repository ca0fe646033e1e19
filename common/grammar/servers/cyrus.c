/* SPDX-License-Identifier: ISC */
/* Cyrus IMAP. Source: imap/imapd.c, imap/pop3d.c; from 3.13 on
 * imap/loginlog.c and lib/logfmt.c.
 *
 *   login: HOST [A] U MECH[+TLS] User logged in[ SESSIONID=<S>]
 *   event=login.good session_id=S r.clienthost="HOST [A]" u.username=U ...
 *
 *   USAGE U user: N.N sys: N.N			the end of a session
 *   session ended: sessionid=<S> userid=<U> ...	newer ones, imapd
 *
 * A process serves one client at a time, and not every end names S: so a
 * session is known by its process. U isn't compared: it may be another spelling
 * than that of the login, without "+folder". imapd 3.6 logs nothing when the
 * client just hangs up, and an id doesn't tell which version it is: its
 * sessions count where "session ended" has been seen.
 *
 * The address comes first. lmtpd, sync_server, httpd and others write the
 * same words, so only the tags below count. */
#include "common/grammar/grammar.h"

/* How the password came: "plaintext", or SASL's name for it, which old
 * versions print in the letters that the client used. */
static bool
take_mechanism(struct span *s, bool *plain_r)
{
	struct span word;

	if (!span_run(s, char_word, &word))
		return false;
	*plain_r = SPAN_EQUALS(word, "plaintext");
	(void)SPAN_TAKE(s, "+TLS");
	return true;
}

static enum fate
match_old(struct span s, struct grammar_match *m)
{
	struct span session;
	bool plain;

	if (!span_host_address(&s, &m->addr) || !SPAN_TAKE(&s, " ") ||
	    !SPAN_UNTIL(&s, " ", &m->user))
		return FATE_TRUNCATED;
	/* "anonymous PASSWORD": the rest is the client's, and may read
	 * "plaintext User logged in". */
	if (SPAN_EQUALS(m->user, "anonymous"))
		return FATE_ANONYMOUS;
	if (span_has_char(m->user, '['))
		return FATE_AMBIGUOUS;
	if (!take_mechanism(&s, &plain))
		return FATE_UNKNOWN_SHAPE;
	/* 3.0 logs IMAP's LOGIN without the words */
	if (plain && (span_done(s) || SPAN_EQUALS(s, " ")))
		return FATE_LOGIN;
	if (!SPAN_TAKE(&s, " User logged in"))
		return FATE_TRUNCATED;
	if (span_done(s))
		return FATE_LOGIN;
	if (!SPAN_TAKE(&s, " SESSIONID=<") || !SPAN_UNTIL(&s, ">", &session) ||
	    !span_done(s))
		return FATE_TRUNCATED;
	m->session_kind = SESSION_BEGIN;
	m->session_by = SESSION_BY_PROCESS;
	m->session_proof = m->service != SERVICE_POP3;
	return FATE_LOGIN;
}

/* One key=value of logfmt. A value in quotes has its escapes left in. */
static bool
take_pair(struct span *s, struct span *key_r, struct span *value_r)
{
	const char *p;

	if (!SPAN_UNTIL(s, "=", key_r) || span_empty(*key_r) ||
	    span_has_char(*key_r, ' ') || span_has_char(*key_r, '"'))
		return false;
	p = s->p;
	if (p < s->end && *p == '"') {
		value_r->p = ++p;
		while (p < s->end && *p != '"') {
			if (*p == '\\' && s->end - p > 1)
				p++;
			p++;
		}
		if (p >= s->end)
			return false;
		value_r->end = p++;
	} else {
		value_r->p = p;
		while (p < s->end && *p != ' ') {
			if (*p == '"' || *p == '=' || *p == '\\')
				return false;
			p++;
		}
		value_r->end = p;
		if (p == value_r->p)
			return false;
	}
	s->p = p;
	return span_done(*s) || SPAN_TAKE(s, " ");
}

static enum fate
match_logfmt(struct span s, struct grammar_match *m)
{
	struct span key, value;
	struct span host = { .p = NULL };
	struct span user = { .p = NULL };

	/* the event is always the first pair */
	if (!take_pair(&s, &key, &value))
		return FATE_TRUNCATED;
	if (SPAN_EQUALS(value, "login.bad"))
		return FATE_FAILED_LOGIN;
	if (!SPAN_EQUALS(value, "login.good"))
		return FATE_NOT_A_LOGIN;
	while (!span_done(s)) {
		struct span *want = NULL;

		if (!take_pair(&s, &key, &value))
			return FATE_TRUNCATED;
		if (SPAN_EQUALS(key, "event"))
			return FATE_AMBIGUOUS;
		if (SPAN_EQUALS(key, "login.anonymous") ||
		    SPAN_EQUALS(key, "login.nopassword"))
			return FATE_ANONYMOUS;
		if (SPAN_EQUALS(key, "login.scheme"))
			return FATE_OTHER_SERVICE;
		if (SPAN_EQUALS(key, "r.clienthost"))
			want = &host;
		else if (SPAN_EQUALS(key, "u.username"))
			want = &user;
		if (want == NULL)
			continue;
		if (want->p != NULL)
			return FATE_AMBIGUOUS;
		*want = value;
	}
	if (host.p == NULL)
		return FATE_NO_ADDRESS;
	if (user.p == NULL || SPAN_EQUALS(user, "~null~"))
		return FATE_NO_USER;
	if (!span_host_address(&host, &m->addr) || !span_done(host))
		return FATE_BAD_ADDRESS;
	m->user = user;
	return FATE_LOGIN;
}

/* A process that says so serves its client no longer, or another one already.
 * The words begin the line, in front of all client text. */
static bool
is_end(struct span s, struct grammar_match *m)
{
	m->session_proof = SPAN_STARTS(s, "session ended: sessionid=<");
	if (!m->session_proof && !SPAN_STARTS(s, "USAGE ") &&
	    !SPAN_STARTS(s, "badlogin: ") && !SPAN_STARTS(s, "starttls: ") &&
	    !SPAN_STARTS(s, "Connection reset by peer, closing ") &&
	    !SPAN_STARTS(s, "idle for too long, closing "))
		return false;
	m->session_kind = SESSION_END;
	m->session_by = SESSION_BY_PROCESS;
	return true;
}

/* A line of the master, or of the program that it runs first. */
static bool
match_master(struct span s, struct span program, struct grammar_match *m)
{
	bool first;

	(void)SPAN_TAKE(&program, "cyrus/");
	first = SPAN_EQUALS(program, "ctl_cyrusdb");
	if (!first && !SPAN_EQUALS(program, "master"))
		return false;
	if (first ? SPAN_EQUALS(s, "recovering cyrus databases")
		  : SPAN_STARTS(s, "ready for work") ||
		    SPAN_STARTS(s, "process started") ||
		    SPAN_STARTS(s, "attempting clean shutdown") ||
		    SPAN_STARTS(s, "exiting on SIG"))
		m->session_kind = SESSION_END_ALL;
	return true;
}

static enum fate
match(struct span s, struct span program, struct grammar_match *m)
{
	if (match_master(s, program, m))
		return FATE_NOT_A_LOGIN;
	m->service = service_of_program(program);
	bool ended = is_end(s, m);

	if (SPAN_TAKE(&s, "login: "))
		return match_old(s, m);
	if (SPAN_STARTS(s, "event="))
		return match_logfmt(s, m);
	if (SPAN_STARTS(s, "badlogin: "))
		return FATE_FAILED_LOGIN;
	if (ended)
		return FATE_NOT_A_LOGIN;
	/* imapd's other lines are too many to list, but those of other
	 * servers with the same tag are not ours to judge */
	return SPAN_STARTS(program, "cyrus/") ||
		!(SPAN_EQUALS(program, "imapd") ||
		    SPAN_EQUALS(program, "pop3d"))
	    ? FATE_NOT_A_LOGIN
	    : FATE_UNKNOWN_SHAPE;
}

/* Service names are the admin's choice in cyrus.conf; these are the ones that
 * its samples and the distributions use, "6" being the IPv6 listeners. */
static const char *const programs[] = { "imap", "imaps", "imapd", "imap4",
	"imap4s", "imap6", "imaps6", "pop3", "pop3s", "pop3d", "pop36",
	"pop3s6", "cyrus/imap", "cyrus/imaps", "cyrus/imapd", "cyrus/imap4",
	"cyrus/imap4s", "cyrus/imap6", "cyrus/imaps6", "cyrus/pop3",
	"cyrus/pop3s", "cyrus/pop3d", "cyrus/pop36", "cyrus/pop3s6",
	"cyrus/master", "master", "cyrus/ctl_cyrusdb", "ctl_cyrusdb", NULL };
static const char *const processes[] = { "imapd", "pop3d", "master",
	"cyrmaster", "ctl_cyrusdb", NULL };

const struct grammar grammar_cyrus = {
	.name = "cyrus",
	.programs = programs,
	.processes = processes,
	.long_lines = true,
	.match = match,
};
