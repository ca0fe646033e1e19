/* SPDX-License-Identifier: ISC */
/* grammar - what a server's grammar is made of. To add a server, write
 * servers/<name>.c with one `struct grammar grammar_<name>`, name it in GRAMMARS
 * below, and go on with docs/HACKING.md.
 *
 * Rules for match():
 * - A login needs a word that the server writes for successes only, and an
 *   address in a place that no client text can reach or imitate.
 * - Match to the last byte. A shape that is not exactly known is no login.
 * - Where client text stands before the address or the verdict, demand that
 *   their marker occurs once, and that the text does not hold what ends it.
 * - Linear time, no allocation, no copying: the result points into the line.
 */
#ifndef POPGATE_GRAMMAR_H
#define POPGATE_GRAMMAR_H

#include "common/grammar/parse.h"
#include "common/grammar/span.h"
#include "common/records/session.h"

/* Syslog daemons cut long lines, none of them below this: RFC 3164 section 4.1
 * allows packets of 1024 bytes, header included. A longer line proves nothing:
 * the client's text in it may end in words of the server's, and what the
 * server wrote behind that be gone; or 192.0.2.5 was 192.0.2.55. */
enum { GRAMMAR_CUT_MIN = 900 };

enum grammar_service { SERVICE_NONE = 0, SERVICE_IMAP, SERVICE_POP3 };

/* The effect of a two-line server's line on the pair of its process. */
enum grammar_pair {
	PAIR_FORGET = 0, /* anything else that happened */
	PAIR_KEEP, /* says nothing about the session */
	PAIR_OPEN, /* gives the address */
	PAIR_CLOSE /* gives the user */
};

/* The means by which a session is told from the others of its server and
 * host. */
enum session_by {
	SESSION_BY_ID = 0, /* the id that the server made */
	SESSION_BY_PORT, /* service, address and port of the client */
	SESSION_BY_PROCESS /* the process id: it serves one client at a time */
};

struct grammar_match {
	struct span user;
	struct span addr;
	enum grammar_service service;
	bool user_cut; /* the server shortened the name */
	enum grammar_pair pair;
	/* SESSION_BEGIN goes with FATE_LOGIN, the others with
	 * another fate. Only for a server that names its session in the
	 * line of the login and in that of the end, in a place that no client
	 * text can reach or imitate. With SESSION_BY_PORT an end needs user,
	 * addr and service as the login had them. */
	enum session_kind session_kind;
	enum session_by session_by;
	struct span session; /* the id or the port */
	bool session_proof; /* see struct login_session */
};

struct grammar {
	const char *name;
	const char *alias; /* another name in configurations */
	const char *const *programs; /* tags, NULL-terminated */
	/* Executables that write the log lines, besides the tag's own name;
	 * NULL-terminated, or NULL. */
	const char *const *processes;
	bool root_only; /* they run as root */
	bool two_lines;
	/* Lines above GRAMMAR_CUT_MIN count: verdict and address stand before
	 * all client text, or no syslog daemon is involved. */
	bool long_lines;
	/* Lines of its standard output or error, which journald makes entries
	 * of, count: no byte that a client chose is a newline or NUL there, and
	 * no line has 48 KiB, where journald cuts. Say how that is known. Not
	 * with two_lines. */
	bool stream;
	/* Returns FATE_LOGIN with *m filled, or why not; for two-line
	 * servers FATE_PAIR_OPENED and FATE_PAIR_MISSING go with PAIR_OPEN
	 * and PAIR_CLOSE. *m is zeroed by the caller. */
	enum fate (*match)(
	    struct span msg, struct span program, struct grammar_match *m);
};

/* Every server, once. Where several use one tag, the first that knows the line
 * has it. */
/* clang-format off */
#define GRAMMARS(_) \
	_(dovecot) _(courier) _(cyrus) _(uw) _(qpopper) _(teapop) _(tpop3d) \
	_(popa3d) _(vm_pop3d) _(solid_pop3d) _(cucipop) _(gnu_pop3d) \
	_(mailutils) _(perdition) _(imapproxy) _(nginx) _(vpopmail) \
	_(zimbra) _(dbmail) _(stalwart) _(apple) _(binc) _(vpop3d)
/* clang-format on */

#define GRAMMAR_DECLARED(server) extern const struct grammar grammar_##server;
GRAMMARS(GRAMMAR_DECLARED)

#define GRAMMAR_COUNTED(server) +1
enum { GRAMMAR_N = GRAMMARS(GRAMMAR_COUNTED) };
extern const struct grammar *const grammars[GRAMMAR_N]; /* programs.c */

/* imap or pop3 by what the tag is called. */
static inline enum grammar_service
service_of_program(struct span program)
{
	return SPAN_HAS(program, "imap") ? SERVICE_IMAP
	    : SPAN_HAS(program, "pop")   ? SERVICE_POP3
					 : SERVICE_NONE;
}

/* A line that holds its marker n times: without the marker its end is missing,
 * and of several one may be the client's. FATE_NONE: exactly once. */
static inline enum fate
grammar_mark(size_t n)
{
	return n == 0 ? FATE_TRUNCATED : n > 1 ? FATE_AMBIGUOUS : FATE_NONE;
}

/* Proxies log every protocol in the same words, so the port must tell. Ports
 * moved for containers and tests (1143, 3110, 10993) keep their last three
 * digits by custom; 25, 465, 587 and what is made of them do not pass. */
static inline enum grammar_service
service_of_port(uint64_t port)
{
	if (port > 65535)
		return SERVICE_NONE;
	switch (port % 1000) {
	case 143:
	case 993:
		return SERVICE_IMAP;
	case 110:
	case 995:
		return SERVICE_POP3;
	default:
		return SERVICE_NONE;
	}
}

/* "name [addr]", "name[addr]" or "[addr]", name being a resolver's. */
static inline bool
span_host_address(struct span *s, struct span *addr_r)
{
	struct span rest = *s;
	struct span name;

	(void)span_run(&rest, char_host, &name);
	(void)SPAN_TAKE(&rest, " ");
	if (!span_bracketed(&rest, addr_r))
		return false;
	s->p = rest.p;
	return true;
}

static inline bool
span_done(struct span s)
{
	return s.p == s.end;
}

#endif
