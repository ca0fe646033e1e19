/* SPDX-License-Identifier: ISC */
#include "common/grammar/sessions.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

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

static bool
id_of_port(const struct grammar_match *m, char id[SESSION_ID_MAX])
{
	struct addr addr;
	char text[ADDR_TEXT_MAX];
	struct span port = m->session;
	uint64_t n;

	if (!addr_parse_n(m->addr.p, span_len(m->addr), &addr) ||
	    !span_number(&port, &n) || !span_empty(port))
		return false;
	(void)snprintf(id, SESSION_ID_MAX, "%d %s %" PRIu64, (int)m->service,
	    addr_format(&addr, text), n);
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
		(void)snprintf(id, SESSION_ID_MAX, "%" PRId64, pid);
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
