/* SPDX-License-Identifier: ISC */
/* up-imapproxy. Source: src/imapcommon.c.
 *
 *   LOGIN: 'U' (A:P) on {new|existing} sd [N]
 *
 * U comes first and keeps the client's quotes; everything behind it is the
 * server's, also that the login failed: hence exactly one "' (", and a line
 * that was not cut (GRAMMAR_CUT_MIN). "no previous connection" is written
 * before the password was tried. */
#include "common/grammar/grammar.h"

static enum fate
match(struct span s, struct span program, struct grammar_match *m)
{
	struct span client;

	(void)program;
	m->service = SERVICE_IMAP;
	if (!SPAN_TAKE(&s, "LOGIN: '"))
		return SPAN_STARTS(s, "LOGIN:") ? FATE_UNKNOWN_SHAPE
						: FATE_NOT_A_LOGIN;
	enum fate fate = grammar_mark(SPAN_COUNT(s, "' ("));

	if (fate != FATE_NONE)
		return fate;
	if (!SPAN_UNTIL(&s, "' (", &m->user) || !SPAN_UNTIL(&s, ")", &client))
		return FATE_TRUNCATED;
	if (SPAN_STARTS(s, " failed"))
		return FATE_FAILED_LOGIN;
	if (SPAN_STARTS(s, " no previous connection"))
		return FATE_NOT_A_LOGIN;
	if (!SPAN_TAKE(&s, " on new sd [") &&
	    !SPAN_TAKE(&s, " on existing sd ["))
		return FATE_UNKNOWN_SHAPE;
	if (!span_number(&s, NULL) || !SPAN_TAKE(&s, "]") || !span_done(s))
		return FATE_TRUNCATED;
	m->addr = client; /* old versions print no port */
	(void)span_split_port(client, &m->addr);
	if (span_len(m->user) >= 2 && m->user.p[0] == '"' &&
	    m->user.end[-1] == '"') {
		m->user.p++;
		m->user.end--;
	}
	return FATE_LOGIN;
}

static const char *const programs[] = { "in.imapproxyd", "imapproxyd", NULL };
static const char *const processes[] = { "in.imapproxyd", "imapproxyd", NULL };

const struct grammar grammar_imapproxy = {
	.name = "imapproxy",
	.programs = programs,
	.processes = processes,
	.match = match,
};
