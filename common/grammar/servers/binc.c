/* SPDX-License-Identifier: ISC */
/* Binc IMAP. Source: bincimap-up.cc, bincimapd.cc. The first program becomes
 * the second by exec(2), and only then have both lines the same process id.
 *
 *   bincimap-up: connection from A		then, same process:
 *   bincimapd: <U> authenticated
 */
#include "common/grammar/grammar.h"

static enum fate
match(struct span s, struct span program, struct grammar_match *m)
{
	m->service = SERVICE_IMAP;
	if (SPAN_EQUALS(program, "bincimap-up")) {
		if (!SPAN_TAKE(&s, "connection from "))
			return FATE_NOT_A_LOGIN;
		m->pair = PAIR_OPEN;
		m->addr = s;
		return FATE_PAIR_OPENED;
	}
	if (!SPAN_TAKE(&s, "<") || !SPAN_CHOP(&s, "> authenticated"))
		return FATE_NOT_A_LOGIN;
	if (span_has_char(s, '>'))
		return FATE_AMBIGUOUS;
	m->user = s;
	m->pair = PAIR_CLOSE;
	return FATE_PAIR_MISSING;
}

static const char *const programs[] = { "bincimap-up", "bincimapd", NULL };

const struct grammar grammar_binc = {
	.name = "binc",
	.programs = programs,
	.two_lines = true,
	.match = match,
};
