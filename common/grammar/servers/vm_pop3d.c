/* SPDX-License-Identifier: ISC */
/* vm-pop3d. Source: vm-pop3d.c, user.c.
 *
 *   Connect from A				then, same process:
 *   User 'U'[ of 'DOMAIN'] logged in
 *   User 'U'[ of 'DOMAIN'] logged in from A	newer
 */
#include "common/grammar/grammar.h"

static bool
take_quoted(struct span *s, struct span *inside_r)
{
	return SPAN_TAKE(s, "'") && SPAN_UNTIL(s, "'", inside_r);
}

static enum fate
match(struct span s, struct span program, struct grammar_match *m)
{
	struct span domain;

	(void)program;
	m->service = SERVICE_POP3;
	if (SPAN_TAKE(&s, "Connect from ")) {
		m->pair = PAIR_OPEN;
		m->addr = s;
		return FATE_PAIR_OPENED;
	}
	if (SPAN_STARTS(s, "pam_"))
		m->pair = PAIR_KEEP;
	if (SPAN_STARTS(s, "Non-existent user"))
		return FATE_FAILED_LOGIN;
	if (!SPAN_TAKE(&s, "User "))
		return FATE_NOT_A_LOGIN;
	if (!take_quoted(&s, &m->user))
		return FATE_UNKNOWN_SHAPE;
	if (SPAN_TAKE(&s, " of ") && !take_quoted(&s, &domain))
		return FATE_UNKNOWN_SHAPE;
	if (!SPAN_TAKE(&s, " logged in"))
		return SPAN_HAS(s, "'") ? FATE_AMBIGUOUS : FATE_UNKNOWN_SHAPE;
	if (span_done(s)) {
		m->pair = PAIR_CLOSE;
		return FATE_PAIR_MISSING;
	}
	if (span_has_char(s, '\''))
		return FATE_AMBIGUOUS;
	if (!SPAN_TAKE(&s, " from "))
		return FATE_UNKNOWN_SHAPE;
	m->addr = s;
	return FATE_LOGIN;
}

static const char *const programs[] = { "vm-pop3d", NULL };

const struct grammar grammar_vm_pop3d = {
	.name = "vm-pop3d",
	.alias = "vmpop3d",
	.programs = programs,
	.two_lines = true,
	.match = match,
};
