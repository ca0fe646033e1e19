/* SPDX-License-Identifier: ISC */
/* Stalwart. Source: crates/trc (serializers/text.rs).
 *
 *   INFO Authentication successful (auth.success) listenerId = "imaptls",
 *   localPort = 993, remoteIp = A, remotePort = N, accountName = "U", ...
 *
 * Quotes inside a value are not escaped, so a value with one refuses the line,
 * as does a key that comes twice. SMTP and HTTP log the same event. */
#include "common/grammar/grammar.h"

/* One "key = value" and the comma behind it. */
static bool
take_item(
    struct span *s, struct span *key_r, struct span *value_r, bool *quoted_r)
{
	if (!span_run(s, char_word, key_r) || !SPAN_TAKE(s, " = "))
		return false;
	*quoted_r = SPAN_TAKE(s, "\"");
	if (*quoted_r) {
		if (!SPAN_UNTIL(s, "\"", value_r))
			return false;
	} else {
		const char *p = s->p;

		while (p < s->end && *p != ',' && *p != '"')
			p++;
		*value_r = (struct span){ .p = s->p, .end = p };
		s->p = p;
	}
	/* behind the last one nothing may stand, not even a comma */
	return span_done(*s) || (SPAN_TAKE(s, ", ") && !span_done(*s));
}

/* The text log's own time stamp, when syslog put another before it. */
static void
skip_stamp(struct span *s)
{
	const char *p = s->p;

	if (span_len(*s) > 21 && char_digit(p[0]) && p[4] == '-' &&
	    p[7] == '-' && p[10] == 'T' && p[19] == 'Z' && p[20] == ' ')
		s->p += 21;
}

static enum fate
match_items(struct span s, struct grammar_match *m)
{
	struct span port = { .p = NULL };
	struct span addr = { .p = NULL };
	struct span user = { .p = NULL };
	uint64_t number;

	if (SPAN_COUNT(s, "remoteIp = ") != 1)
		return SPAN_HAS(s, "remoteIp = ") ? FATE_AMBIGUOUS
						  : FATE_NO_ADDRESS;
	while (!span_done(s)) {
		struct span key, value;
		struct span *want = NULL;
		bool quoted;

		if (!take_item(&s, &key, &value, &quoted))
			return FATE_AMBIGUOUS;
		if (SPAN_EQUALS(key, "localPort") && !quoted)
			want = &port;
		else if (SPAN_EQUALS(key, "remoteIp") && !quoted)
			want = &addr;
		else if (SPAN_EQUALS(key, "accountName") && quoted)
			want = &user;
		if (want == NULL)
			continue;
		if (want->p != NULL)
			return FATE_AMBIGUOUS;
		*want = value;
	}
	if (addr.p == NULL)
		return FATE_NO_ADDRESS;
	if (user.p == NULL)
		return FATE_NO_USER;
	if (port.p == NULL || !span_number(&port, &number) || !span_done(port))
		return FATE_OTHER_SERVICE;
	m->service = service_of_port(number);
	m->addr = addr;
	m->user = user;
	return m->service == SERVICE_NONE ? FATE_OTHER_SERVICE : FATE_LOGIN;
}

static enum fate
match(struct span s, struct span program, struct grammar_match *m)
{
	(void)program;
	skip_stamp(&s);
	if (SPAN_TAKE(&s, "INFO Authentication successful (auth.success) "))
		return match_items(s, m);
	if (SPAN_HAS(s, " (auth.failed) "))
		return FATE_FAILED_LOGIN;
	return SPAN_STARTS(s, "INFO Authentication ") ? FATE_UNKNOWN_SHAPE
						      : FATE_NOT_A_LOGIN;
}

/* The own file has no tag: see prefix.c. */
static const char *const programs[] = { "stalwart", "stalwart-mail", NULL };

static const char *const processes[] = { "stalwart", "stalwart-mail", NULL };

const struct grammar grammar_stalwart = {
	.name = "stalwart",
	.programs = programs,
	.processes = processes,
	.long_lines = true,
	.match = match,
};
