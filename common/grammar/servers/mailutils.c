/* SPDX-License-Identifier: ISC */
/* GNU mailutils' pop3d and imap4d. Source: pop3d/user.c, imap4d/imap4d.c.
 * Their success lines hold no address, and the line that does is written by
 * another process, so no login can be had from them. The grammar is there to
 * say so, instead of leaving the lines unknown. */
#include "common/grammar/grammar.h"

static enum fate
match(struct span s, struct span program, struct grammar_match *m)
{
	(void)program;
	(void)m;
	if (!SPAN_TAKE(&s, "user `"))
		return FATE_UNKNOWN_SHAPE;
	return SPAN_HAS(s, "' logged in ") ? FATE_NO_ADDRESS
					   : FATE_FAILED_LOGIN;
}

static const char *const programs[] = { "pop3d", "imap4d", NULL };

const struct grammar grammar_mailutils = {
	.name = "mailutils",
	.programs = programs,
	.match = match,
};
