/* SPDX-License-Identifier: ISC */
#include "common/grammar/sessions.h"

#include <assert.h>

/* Copy s into buf, with a NUL. false when it is too long, or holds one. */
static bool
copy(struct span s, char *buf, size_t size)
{
	size_t len = span_len(s);

	if (len >= size || span_has_char(s, '\0'))
		return false;
	if (len > 0)
		memcpy(buf, s.p, len);
	buf[len] = '\0';
	return true;
}

/* n in decimal digits and a NUL. printf(3) takes a tenth of the time that a
 * line takes. */
static void
put_number(char *p, uint64_t n)
{
	char digits[SPAN_DIGITS_MAX];
	int len = 0;

	do
		digits[len++] = (char)('0' + n % 10);
	while ((n /= 10) != 0);
	while (len > 0)
		*p++ = digits[--len];
	*p = '\0';
}

/* "1 192.0.2.5 4711" */
static bool
id_of_port(const struct grammar_match *m, char id[SESSION_ID_MAX])
{
	static_assert(ADDR_TEXT_MAX + SPAN_DIGITS_MAX + 3 <= SESSION_ID_MAX,
	    "a session's id");
	struct addr addr;
	struct span port = m->session;
	uint64_t n;

	if (!addr_parse_n(m->addr.p, span_len(m->addr), &addr) ||
	    !span_number(&port, &n) || !span_empty(port))
		return false;
	*id++ = (char)('0' + m->service);
	*id++ = ' ';
	id += strlen(addr_format(&addr, id));
	*id++ = ' ';
	put_number(id, n);
	return true;
}

static bool
fill_id(const struct grammar_match *m, int64_t pid, char id[SESSION_ID_MAX])
{
	switch (m->session_by) {
	case SESSION_BY_ID:
		return !span_empty(m->session) &&
		    copy(m->session, id, SESSION_ID_MAX);
	case SESSION_BY_PORT:
		return id_of_port(m, id);
	case SESSION_BY_PROCESS:
		if (pid >= 0)
			put_number(id, (uint64_t)pid);
		return pid >= 0;
	}
	return false;
}

void
sessions_fill(const struct grammar_match *m, const char *server,
    struct span host, int64_t pid, struct login_session *out)
{
	out->kind = SESSION_NONE;
	out->server = server;
	out->id[0] = out->user[0] = '\0';
	out->unordered = m->session_by == SESSION_BY_ID;
	out->proof = m->session_proof;
	if (m->session_kind == SESSION_NONE ||
	    !copy(host, out->host, sizeof(out->host)))
		return;
	if (m->session_kind != SESSION_END_ALL && !fill_id(m, pid, out->id))
		return;
	/* a port is used again, by whoever is behind the address then */
	if (m->session_kind == SESSION_END &&
	    m->session_by == SESSION_BY_PORT &&
	    (span_empty(m->user) ||
		!copy(m->user, out->user, sizeof(out->user))))
		return;
	out->kind = m->session_kind;
}
