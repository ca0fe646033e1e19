/* SPDX-License-Identifier: ISC */
/* Zimbra's mailbox.log, Carbonio's too. Source: ImapHandler.java,
 * Pop3Handler.java, ZimbraLog.java.
 *
 *   INFO  [ImapSSLServer-15] [name=U;mid=44;ip=A;] imap - user U
 *   authenticated, mechanism=M[ [TLS]]
 *
 * The context holds client text (ua=), and behind a proxy oip=, which a client
 * may set itself while ip= is the proxy's: any second "ip=" refuses the line,
 * and so does oip=. */
#include "common/grammar/grammar.h"

/* "ip=A;" at the start of the context or behind a ';'. */
static enum fate
match_context(struct span context, struct grammar_match *m)
{
	struct span before;

	switch (SPAN_COUNT(context, "ip=")) {
	case 0:
		return FATE_NO_ADDRESS;
	case 1:
		break;
	default:
		return FATE_AMBIGUOUS;
	}
	if (!SPAN_UNTIL(&context, "ip=", &before) ||
	    (!span_empty(before) && before.end[-1] != ';'))
		return FATE_AMBIGUOUS;
	if (!SPAN_UNTIL(&context, ";", &m->addr))
		return FATE_TRUNCATED;
	return FATE_LOGIN;
}

static enum fate
match(struct span s, struct span program, struct grammar_match *m)
{
	struct span thread, context, mechanism;

	(void)program;
	/* log4j pads the level to five letters */
	if (!SPAN_TAKE(&s, "INFO "))
		return FATE_NOT_A_LOGIN;
	(void)SPAN_TAKE(&s, " ");
	if (!span_bracketed(&s, &thread) || !SPAN_TAKE(&s, " ["))
		return FATE_NOT_A_LOGIN;
	if (SPAN_STARTS(thread, "Imap"))
		m->service = SERVICE_IMAP;
	else if (SPAN_STARTS(thread, "Pop3"))
		m->service = SERVICE_POP3;
	else
		return FATE_NOT_A_LOGIN;
	if (SPAN_COUNT(s, "] imap - ") + SPAN_COUNT(s, "] pop - ") != 1)
		return FATE_AMBIGUOUS;
	if (!(m->service == SERVICE_IMAP
		    ? SPAN_UNTIL(&s, "] imap - ", &context)
		    : SPAN_UNTIL(&s, "] pop - ", &context)))
		return FATE_AMBIGUOUS;
	if (SPAN_STARTS(s, "authentication failed for "))
		return FATE_FAILED_LOGIN;
	if (!SPAN_TAKE(&s, "user ") || !SPAN_HAS(s, " authenticated"))
		return FATE_NOT_A_LOGIN;
	if (!SPAN_UNTIL(&s, " authenticated, mechanism=", &m->user) ||
	    !span_run(&s, char_word, &mechanism))
		return FATE_UNKNOWN_SHAPE;
	(void)SPAN_TAKE(&s, " [TLS]");
	if (!span_done(s))
		return FATE_UNKNOWN_SHAPE;
	if (span_has_char(m->user, ' '))
		return FATE_AMBIGUOUS;
	return match_context(context, m);
}

/* not a tag: prefix.c knows the file by its time stamp and level */
static const char *const programs[] = { "zimbra", NULL };

const struct grammar grammar_zimbra = {
	.name = "zimbra",
	.programs = programs,
	.long_lines = true,
	.match = match,
};
