/* SPDX-License-Identifier: ISC */
/* vpopmail's vchkpw, behind qmail-popup, courier and others. Source: vchkpw.c.
 *
 *   vchkpw-{pop3|pop3s|imap|imaps}: (MECH) login success U@D:A
 *   vchkpw-{...}: system password login success U:A
 *   vchkpw[-...]: login [U@D] from A			old
 *
 * A failed login prints the password, but in a line that begins otherwise. */
#include "common/grammar/grammar.h"

/* "U:A". The address of an IPv6 client holds colons too; that U holds none is
 * owed to passwd(5) and vpasswd, whose separator it is. */
static enum fate
match_user_address(struct span s, bool has_domain, struct grammar_match *m)
{
	unsigned at;

	if (!SPAN_UNTIL(&s, ":", &m->user))
		return FATE_TRUNCATED;
	m->addr = s;
	at = SPAN_COUNT(m->user, "@");
	if (span_has_char(m->user, ' ') || at > 1 || (has_domain && at != 1))
		return FATE_AMBIGUOUS;
	if (has_domain && (m->user.p[0] == '@' || m->user.end[-1] == '@'))
		return FATE_NO_USER;
	/* "U:64:ff9b:" before ":192.0.2.1" would be an address of U's own
	 * making; the one form that mixes them is ::ffff:192.0.2.1. */
	(void)SPAN_TAKE(&s, "::ffff:");
	if (span_has_char(s, ':') && span_has_char(s, '.'))
		return FATE_AMBIGUOUS;
	return FATE_LOGIN;
}

static enum fate
match_old(struct span s, struct grammar_match *m)
{
	if (!SPAN_UNTIL(&s, "] from ", &m->user))
		return FATE_TRUNCATED;
	if (span_has_char(s, ' ') || span_has_char(m->user, ' '))
		return FATE_AMBIGUOUS;
	m->addr = s;
	return FATE_LOGIN;
}

static enum fate
match(struct span s, struct span program, struct grammar_match *m)
{
	struct span type, mechanism;
	bool typed;

	(void)program;
	if (!SPAN_TAKE(&s, "vchkpw"))
		return FATE_NOT_A_LOGIN;
	typed = SPAN_TAKE(&s, "-");
	if (typed) {
		if (!span_run(&s, char_word, &type))
			return FATE_UNKNOWN_SHAPE;
		if (SPAN_EQUALS(type, "pop3") || SPAN_EQUALS(type, "pop3s"))
			m->service = SERVICE_POP3;
		else if (SPAN_EQUALS(type, "imap") ||
		    SPAN_EQUALS(type, "imaps"))
			m->service = SERVICE_IMAP;
		else
			return FATE_OTHER_SERVICE;
	}
	if (!SPAN_TAKE(&s, ": "))
		return FATE_UNKNOWN_SHAPE;
	if (SPAN_TAKE(&s, "login ["))
		return match_old(s, m);
	/* without a type this may be SMTP's AUTH */
	if (!typed)
		return SPAN_HAS(s, "login success ") ? FATE_OTHER_SERVICE
						     : FATE_NOT_A_LOGIN;
	if (SPAN_TAKE(&s, "system password login success "))
		return match_user_address(s, false, m);
	if (SPAN_TAKE(&s, "(") &&
	    (!span_run(&s, char_word, &mechanism) || !SPAN_TAKE(&s, ") ")))
		return FATE_UNKNOWN_SHAPE;
	if (SPAN_TAKE(&s, "login success "))
		return match_user_address(s, true, m);
	return SPAN_STARTS(s, "login ") ? FATE_UNKNOWN_SHAPE
					: FATE_FAILED_LOGIN;
}

static const char *const programs[] = { "vpopmail", NULL };
static const char *const processes[] = { "vchkpw", NULL };

const struct grammar grammar_vpopmail = {
	.name = "vpopmail",
	.programs = programs,
	.processes = processes,
	.match = match,
};
