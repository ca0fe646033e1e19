/* SPDX-License-Identifier: ISC */
/* vpop3d and other poppers of its time. Known from POPRelay's and popauther's
 * patterns.
 *
 *   [vpop3d: ](U,A) Authenticated
 */
#include "common/grammar/grammar.h"

static enum fate
match(struct span s, struct span program, struct grammar_match *m)
{
	(void)program;
	m->service = SERVICE_POP3;
	(void)SPAN_TAKE(&s, "vpop3d: ");
	if (!SPAN_TAKE(&s, "("))
		return FATE_NOT_A_LOGIN;
	if (!SPAN_CHOP(&s, ") Authenticated"))
		return SPAN_HAS(s, "Authentication failed") ? FATE_FAILED_LOGIN
							    : FATE_NOT_A_LOGIN;
	if (SPAN_COUNT(s, ",") != 1 || span_has_char(s, ')') ||
	    span_has_char(s, '('))
		return FATE_AMBIGUOUS;
	(void)SPAN_UNTIL(&s, ",", &m->user);
	m->addr = s;
	return FATE_LOGIN;
}

static const char *const programs[] = { "vpop3d", NULL };

const struct grammar grammar_vpop3d = {
	.name = "vpop3d",
	.programs = programs,
	.match = match,
};
