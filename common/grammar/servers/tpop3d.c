/* SPDX-License-Identifier: ISC */
/* tpop3d. Source: netloop.c, whose comment calls this line a known format for
 * POP-before-SMTP, and connection.c.
 *
 *   fork_child: [FD]A[/DOMAIN]: began session for `U' with AUTH; child PID is N
 *
 * The address stands before U. */
#include "common/grammar/grammar.h"

static enum fate
match(struct span s, struct span program, struct grammar_match *m)
{
	struct span id, auth;

	(void)program;
	m->service = SERVICE_POP3;
	if (!SPAN_TAKE(&s, "fork_child: "))
		return SPAN_HAS(s, "authentication failures")
		    ? FATE_FAILED_LOGIN
		    : FATE_NOT_A_LOGIN;
	if (!SPAN_TAKE(&s, "["))
		return FATE_NOT_A_LOGIN;
	if (!span_number(&s, NULL) || !SPAN_TAKE(&s, "]") ||
	    !SPAN_UNTIL(&s, ": ", &id))
		return FATE_UNKNOWN_SHAPE;
	if (!SPAN_TAKE(&s, "began session for `"))
		return FATE_NOT_A_LOGIN;
	m->addr = id;
	(void)SPAN_UNTIL(&id, "/", &m->addr);
	if (!SPAN_UNTIL(&s, "'", &m->user))
		return FATE_TRUNCATED;
	if (span_has_char(s, '\''))
		return FATE_AMBIGUOUS;
	if (!SPAN_TAKE(&s, " with ") || !span_run(&s, char_word, &auth) ||
	    !SPAN_TAKE(&s, "; child PID is ") || !span_number(&s, NULL) ||
	    !span_done(s))
		return FATE_UNKNOWN_SHAPE;
	return FATE_LOGIN;
}

static const char *const programs[] = { "tpop3d", NULL };

const struct grammar grammar_tpop3d = {
	.name = "tpop3d",
	.programs = programs,
	.match = match,
};
