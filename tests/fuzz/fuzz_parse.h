/* SPDX-License-Identifier: ISC */
/* The common part of the grammars' fuzz targets. A target gives genuine lines
 * of its server with places for what a client may send; the fuzzer fills these.
 * Whatever it sends, the parser must find the genuine address or nothing, and
 * nothing at all in a line that reports a failure: also when a syslogd cut the
 * line.
 *
 * Input: line, length at which the line is cut, two bytes of padding length
 * (above 32767: what it takes for the text to end just at the cut), then the
 * client's text: bytes below 0x80 as they are, 0x80 the padding, others stand
 * for the tokens below, 0xFF begins the text of the second place. */
#ifndef POPGATE_FUZZ_PARSE_H
#define POPGATE_FUZZ_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/addr.h"
#include "common/base/err.h"
#include "common/grammar/parse.h"

#define GENUINE "203.0.113.77"
#define FIRST "\001" /* what the client sent goes here */
#define SECOND "\002"

enum {
	FUZZ_NOW = 1772550000,
	FUZZ_LINE_MAX = 10000,
	FUZZ_PAD = 0x80,
	FUZZ_PAD_MAX = 2048
};

struct fuzz_line {
	const char *program;
	const char *before; /* an earlier line of the process, or NULL */
	const char *msg;
	bool success;
	bool own_file; /* never cut by a syslog daemon */
};

/* Defined by the target. */
extern const struct fuzz_line fuzz_lines[];
extern const size_t fuzz_lines_n;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const fuzz_tokens[] = {
	"6.6.6.6",
	"::ffff:6.6.6.6",
	"2001:db8::6",
	"[6.6.6.6]",
	"(6.6.6.6)",
	"6.6.6.6:25",
	"rip=6.6.6.6",
	"lip=6.6.6.6",
	">, ",
	", ",
	"user=<",
	"method=PLAIN",
	"session=<a>",
	"TLS",
	"mpid=1",
	"Login: ",
	"Logged in: ",
	"imap-login: ",
	"LOGIN, user=",
	", ip=[",
	"], port=[1]",
	", protocol=IMAP",
	"login: ",
	" plaintext User logged in",
	" SESSIONID=<x>",
	"event=login.good ",
	"r.clienthost=[6.6.6.6] ",
	"u.username=b ",
	" host=",
	"host=[6.6.6.6]",
	" nmsgs=0/0",
	"Login user=",
	"\" at (h) 6.6.6.6",
	"\"",
	" at (",
	"Stats: b 0 0 0 0 ",
	" [a.c:1]",
	"(v4.0) POP login by user \"b\" at (h) 6.6.6.6",
	" [198.51.100.5] from h [6.6.6.6]",
	"Successful login for b",
	"fork_child: [6]6.6.6.6: began session for `b' with p; child PID is 1",
	"' with p; child PID is 1",
	" -- [6.6.6.6]",
	" logged in",
	" logged in from 6.6.6.6",
	"' of 'd",
	"'",
	" authenticated - 6.6.6.6",
	" authenticated",
	" through APOP",
	" 6.6.6.6 0, 3 (4), 0 (0)",
	" logged in with mailbox /b from 6.6.6.6",
	" from ",
	"->",
	" status=\"ok\"",
	"\" server=\"h:1\" protocol=POP3 server-secure=ssl status=\"ok\"",
	" authentication_id=\"b",
	"\" passwd=\"",
	"client-secure=ssl ",
	"authorisation_id=NONE ",
	" (failed: ",
	"' (6.6.6.6:25) on new sd [9]",
	"' (",
	") on existing sd [1]",
	", client: 6.6.6.6",
	", server: 0.0.0.0:143",
	", login: \"",
	"client logged in",
	", upstream: ",
	"(PLAIN) login success ",
	"a@b:6.6.6.6",
	":",
	"@",
	"vchkpw-pop3: ",
	"login [b] from 6.6.6.6",
	"] from [6.6.6.6:1]",
	"] user [b",
	"login accepted: id [1]",
	";ip=6.6.6.6;",
	"ip=6.6.6.6;",
	"] imap - user b authenticated, mechanism=PLAIN",
	"] imap - ",
	"oip=",
	"\", remoteIp = 6.6.6.6, x = \"",
	"remoteIp = 6.6.6.6",
	"\", localPort = 993, x = \"",
	"accountName = \"b\"",
	"\" log on successful from 6.6.6.6",
	",6.6.6.6) Authenticated",
	")",
	"(",
	"]",
	"[",
	">",
	"<",
	"=",
	" ",
	"64:ff9b:",
	"...",
	"anonymous",
	"message repeated 2 times: [ ",
	"#012",
	"\\\"",
};

/* Where syslog daemons cut lines; 0: not at all. */
static const size_t fuzz_cuts[] = {
	0,
	950,
	1000,
	1015,
	1019,
	1024,
	2048,
	4096,
	8192,
};

struct fuzz_text {
	char text[FUZZ_LINE_MAX];
	size_t len;
};

static inline void
fuzz_add(struct fuzz_text *t, const char *bytes, size_t len)
{
	if (len > sizeof(t->text) - t->len)
		len = sizeof(t->text) - t->len;
	memcpy(t->text + t->len, bytes, len);
	t->len += len;
}

/* The client's text up to a 0xFF or the end; returns where it stopped. */
static inline size_t
fuzz_expand(struct fuzz_text *t, const uint8_t *data, size_t size, size_t at,
    size_t pad)
{
	enum { N = sizeof(fuzz_tokens) / sizeof(fuzz_tokens[0]) };
	static char padding[FUZZ_LINE_MAX];

	if (padding[0] == '\0')
		memset(padding, 'A', sizeof(padding));
	while (at < size && data[at] != 0xFF) {
		uint8_t b = data[at++];

		if (b == FUZZ_PAD) {
			fuzz_add(t, padding, pad);
		} else if (b > FUZZ_PAD) {
			const char *token =
			    fuzz_tokens[(b - FUZZ_PAD - 1u) % N];

			fuzz_add(t, token, strlen(token));
		} else if (b != '\0' && b != '\n') {
			/* those two never get through a syslog daemon */
			char c = (char)b;

			fuzz_add(t, &c, 1);
		}
	}
	return at + (at < size);
}

static inline struct parser *
fuzz_parser(void)
{
	static const char *const servers[] = {
		"all",
		"popa3d",
		"vm-pop3d",
		"solid-pop3d",
		"binc",
	};
	static struct parser *parser;
	const struct parser_options options = {
		.servers = servers,
		.servers_n = sizeof(servers) / sizeof(servers[0]),
	};

	if (parser == NULL && parser_new(&options, &parser, NULL) == -1)
		abort();
	return parser;
}

/* Returns the offset at which the client's last text ended. */
static inline size_t
fuzz_fill(struct fuzz_text *line, const char *msg,
    const struct fuzz_text *first, const struct fuzz_text *second)
{
	size_t end = 0;

	line->len = 0;
	for (; *msg != '\0'; msg++) {
		if (*msg == FIRST[0])
			fuzz_add(line, first->text, first->len);
		else if (*msg == SECOND[0])
			fuzz_add(line, second->text, second->len);
		else
			fuzz_add(line, msg, 1);
		if (*msg == FIRST[0] || *msg == SECOND[0])
			end = line->len;
	}
	return end;
}

static inline void
fuzz_check(const struct fuzz_line *want, const struct fuzz_text *line,
    const struct parse_result *got)
{
	char ip[ADDR_TEXT_MAX];

	if (got->fate != FATE_LOGIN)
		return;
	addr_format(&got->login.client, ip);
	if (want->success && strcmp(ip, GENUINE) == 0)
		return;
	fprintf(stderr, "%s: login of \"%s\" from %s, out of: %.*s\n",
	    want->program, got->login.user, ip, (int)line->len, line->text);
	abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz_text first, second, line;
	const struct fuzz_line *l;
	struct parser *parser = fuzz_parser();
	struct parse_result got;
	size_t cut, pad, at;

	if (size < 4)
		return 0;
	l = &fuzz_lines[data[0] % fuzz_lines_n];
	cut = fuzz_cuts[data[1] % (sizeof(fuzz_cuts) / sizeof(fuzz_cuts[0]))];
	pad = data[2] | (size_t)data[3] << 8;
	for (bool to_cut = pad > 32767;; to_cut = false) {
		size_t used = to_cut ? 0 : pad % FUZZ_PAD_MAX;

		first.len = second.len = 0;
		at = fuzz_expand(&first, data, size, 4, used);
		(void)fuzz_expand(&second, data, size, at, used);
		if (!to_cut)
			break;
		used = fuzz_fill(&line, l->msg, &first, &second);
		pad = cut > used ? cut - used : 0;
	}

	if (l->before != NULL) {
		(void)fuzz_fill(&line, l->before, &first, &second);
		parser_message(parser, "mail",
		    strcmp(l->program, "bincimapd") == 0 ? "bincimap-up"
							 : l->program,
		    7, DELIVERY_MESSAGE, line.text, line.len, FUZZ_NOW, &got);
		if (got.fate == FATE_LOGIN)
			abort();
	}
	(void)fuzz_fill(&line, l->msg, &first, &second);
	if (cut != 0 && line.len > cut && !l->own_file)
		line.len = cut;
	parser_message(parser, "mail", l->program, 7, DELIVERY_MESSAGE,
	    line.text, line.len, FUZZ_NOW, &got);
	fuzz_check(l, &line, &got);
	return 0;
}

#define FUZZ_LINES(...)                                        \
	const struct fuzz_line fuzz_lines[] = { __VA_ARGS__ }; \
	const size_t fuzz_lines_n = sizeof(fuzz_lines) / sizeof(fuzz_lines[0])

#endif
