/* SPDX-License-Identifier: ISC */
/* gnu-pop3d. Known from pop-before-smtp's pattern.
 *
 *   User U logged in with mailbox PATH from A
 */
#include "common/grammar/grammar.h"

static enum fate
match(struct span s, struct span program, struct grammar_match *m)
{
	struct span path;

	(void)program;
	m->service = SERVICE_POP3;
	if (!SPAN_TAKE(&s, "User "))
		return FATE_NOT_A_LOGIN;
	if (SPAN_COUNT(s, " logged in with mailbox ") != 1)
		return SPAN_HAS(s, " logged in with mailbox ")
		    ? FATE_AMBIGUOUS
		    : FATE_UNKNOWN_SHAPE;
	if (SPAN_COUNT(s, " from ") != 1)
		return SPAN_HAS(s, " from ") ? FATE_AMBIGUOUS : FATE_NO_ADDRESS;
	if (!SPAN_UNTIL(&s, " logged in with mailbox ", &m->user) ||
	    !SPAN_UNTIL(&s, " from ", &path) || span_empty(path) ||
	    span_has_char(m->user, ' '))
		return FATE_AMBIGUOUS;
	m->addr = s;
	return FATE_LOGIN;
}

static const char *const programs[] = { "gnu-pop3d", NULL };

const struct grammar grammar_gnu_pop3d = {
	.name = "gnu-pop3d",
	.alias = "gnupop3d",
	.programs = programs,
	.match = match,
};
