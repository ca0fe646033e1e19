/* SPDX-License-Identifier: ISC */
/* DBMail's IMAP server. Source: dm_imapsession.c, dm_debug.c. Its POP3 server
 * logs no address.
 *
 *   Notice:[[imap] FUNCTION(+LINE):] [0xPTR] login accepted: id [N] user [U]
 *   from [A:P]
 */
#include "common/grammar/grammar.h"

static enum fate
match(struct span s, struct span program, struct grammar_match *m)
{
	struct span module, place, pointer, client;

	(void)program;
	m->service = SERVICE_IMAP;
	if (!SPAN_TAKE(&s, "Notice:"))
		return FATE_NOT_A_LOGIN;
	if (span_bracketed(&s, &module)) {
		/* the place is source text, and the first ": " ends it */
		if (!SPAN_TAKE(&s, " ") || !SPAN_UNTIL(&s, ":", &place) ||
		    span_has_char(place, ' '))
			return FATE_NOT_A_LOGIN;
	}
	if (!SPAN_TAKE(&s, " ") || !span_bracketed(&s, &pointer) ||
	    !SPAN_TAKE(&s, " login "))
		return FATE_NOT_A_LOGIN;
	if (SPAN_STARTS(s, "rejected: "))
		return FATE_FAILED_LOGIN;
	if (!SPAN_TAKE(&s, "accepted: id [") || !span_number(&s, NULL) ||
	    !SPAN_TAKE(&s, "] user ["))
		return FATE_UNKNOWN_SHAPE;
	enum fate fate = grammar_mark(SPAN_COUNT(s, "] from ["));

	if (fate != FATE_NONE)
		return fate;
	if (!SPAN_UNTIL(&s, "] from [", &m->user) ||
	    !SPAN_UNTIL(&s, "]", &client) || !span_done(s))
		return FATE_TRUNCATED;
	if (!span_split_port(client, &m->addr))
		return FATE_BAD_ADDRESS;
	return FATE_LOGIN;
}

static const char *const programs[] = { "dbmail-imapd", "dbmail/imap4d",
	"dbmail-pop3d", "dbmail/pop3d", NULL };
static const char *const processes[] = { "dbmail-imapd", "dbmail-pop3d", NULL };

const struct grammar grammar_dbmail = {
	.name = "dbmail",
	.programs = programs,
	.processes = processes,
	.match = match,
};
