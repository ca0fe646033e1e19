/* SPDX-License-Identifier: ISC */
/* popa3d. Source: pop_root.c; the one-line form is the patch that
 * pop-before-smtp carries in contrib.
 *
 *   Session from A			then, same process:
 *   Authentication passed for U
 *   Authentication passed for U -- [A]
 */
#include "common/grammar/grammar.h"

static enum fate
match(struct span s, struct span program, struct grammar_match *m)
{
	(void)program;
	m->service = SERVICE_POP3;
	if (SPAN_TAKE(&s, "Session from ")) {
		m->pair = PAIR_OPEN;
		m->addr = s;
		return FATE_PAIR_OPENED;
	}
	if (SPAN_TAKE(&s, "Authentication passed for ")) {
		m->user = s;
		if (!span_has_char(s, ' ')) {
			m->pair = PAIR_CLOSE;
			return FATE_PAIR_MISSING;
		}
		if (!SPAN_UNTIL(&s, " ", &m->user) || !SPAN_TAKE(&s, "-- ") ||
		    !span_bracketed(&s, &m->addr) || !span_done(s))
			return FATE_AMBIGUOUS;
		return FATE_LOGIN;
	}
	if (SPAN_STARTS(s, "Authentication failed"))
		return FATE_FAILED_LOGIN;
	if (SPAN_STARTS(s, "pam_"))
		m->pair = PAIR_KEEP;
	return SPAN_STARTS(s, "Authentication ") ? FATE_UNKNOWN_SHAPE
						 : FATE_NOT_A_LOGIN;
}

static const char *const programs[] = { "popa3d", NULL };

const struct grammar grammar_popa3d = {
	.name = "popa3d",
	.programs = programs,
	.two_lines = true,
	.match = match,
};
