/* SPDX-License-Identifier: ISC */
/* parse - one log line -> the login it reports, or why it reports none.
 * The program name, taken from the tag by equality, selects the grammar; the
 * grammar matches the whole message, both ends; what can be read in two ways
 * is refused. So nothing that a client sends (names, commands, passwords) can
 * bring in an address. Pure: no file, clock, lock or log, but the time zone of
 * a stamp without one, which mktime(3) takes from the environment, and what the
 * caller's only_root looks at.
 * Which addresses may authorise is not decided here: 127.0.0.1 is as good as
 * any other address. Callers apply never_authorize. */
#ifndef POPGATE_PARSE_H
#define POPGATE_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/records/fate.h"
#include "common/records/line.h"
#include "common/records/login.h"
#include "common/records/session.h"

struct err;
struct pairs;
struct parser; /* used by one thread at a time */

/* How long the first line of a two-line server is kept, by line time. */
enum { PARSE_PAIR_S = 120 };

struct parse_result {
	enum fate fate; /* a login, or why it is none by what the line says */
	const char *server; /* grammar of the program, constant; or NULL */
	bool year_guessed; /* the line's stamp has none */
	bool zone_assumed; /* nor a zone; known with FATE_LOGIN only */
	struct login login; /* valid with FATE_LOGIN only */
	/* SESSION_BEGIN goes with FATE_LOGIN, an end with another fate */
	struct login_session session;
};

/* A server of the admin's own: see custom.h. Messages above 900 bytes are not
 * tried: a syslog daemon may have cut them. */
struct parser_custom {
	const char *program;
	const char *pattern;
	const char *where; /* for errors: see err_locate(); or NULL */
	const char *unit; /* whose journal entries count; or NULL */
	bool stream; /* lines of its output count: see struct grammar */
};

struct parser_tag {
	const char *server; /* as in servers */
	const char *tag;
	const char *where; /* for errors: see err_locate(); or NULL */
};

/* Borrowed by parser_new() only. */
struct parser_options {
	/* Names of grammars, "all" for every one that needs a single line.
	 * None: "all". The two-line servers (popa3d, vm-pop3d, solid-pop3d
	 * without its address extension, binc) are paired by process id only
	 * when named: a re-used id would marry two clients. */
	const char *const *servers;
	size_t servers_n;
	const char *servers_where; /* for errors, or NULL */

	const struct parser_custom *custom;
	size_t custom_n;

	/* Other tags by which servers log. */
	const struct parser_tag *tags;
	size_t tags_n;

	/* Take "program[pid]: message" without a time stamp as of now. For
	 * input that a syslog daemon hands over directly. */
	bool bare_lines;

	/* Could only root have put this executable there? Asked for those
	 * below /usr/local and /opt; NULL: nobody's count but root's. */
	bool (*only_root)(const char *path, size_t len);

	/* Take nginx's own error_log. It holds raw line feeds out of client
	 * names, so whole lines in it can be anybody's. Only for showing what
	 * the grammar makes of a line, never for a file that is followed. */
	bool nginx_file;
};

/* The sender of a journal entry, by the fields that journald sets itself. */
struct parse_origin {
	int64_t uid; /* _UID; -1: unknown */
	const char *comm; /* _COMM; NULL: unknown, and so the others */
	const char *exe; /* _EXE */
	const char *unit; /* _SYSTEMD_UNIT */
};

/* Build a parser. Returns 0 and sets *parser_r, or -1 with ERR_INVALID
 * (unknown server, refused pattern or tag) or ERR_NOMEM. */
int parser_new(const struct parser_options *options, struct parser **parser_r,
    struct err *err);
void parser_free(struct parser **parser); /* NULL-safe; sets NULL */

/* Parse one raw line.
 *   line, len  without its newline; borrowed, need not be NUL-terminated
 *   now        Unix seconds: chooses the year of a stamp without one
 *   result     filled; login only with FATE_LOGIN
 * The parser remembers first lines of two-line servers, and outputs of servers
 * that journald cut, nothing else. */
void parser_line(struct parser *parser, const char *line, size_t len,
    int64_t now, struct parse_result *result);

/* The lines that follow are of another source.
 *   outputs  of that source, zeroed before its first line; borrowed until this
 *            is called again. NULL: the parser's own
 *   zone     of its stamps that name none; copied */
void parser_source(struct parser *parser, struct line_outputs *outputs,
    const struct zone *zone);

/* A line was too long to be parsed: it may have been an exported entry of any
 * server's output. */
void parser_skip(struct parser *parser);

/* Parse a message that is already split, as the journal hands it over.
 *   host     may be NULL; only tells machines apart for two-line servers
 *   program  the identifier, NUL-terminated
 *   pid      or -1
 *   delivery how it came
 *   at       Unix seconds of the entry, becomes login.at */
void parser_message(struct parser *parser, const char *host,
    const char *program, int64_t pid, enum line_delivery delivery,
    const char *msg, size_t len, int64_t at, struct parse_result *result);

/* The open pairs of two-line servers; NULL when none is named. Borrowed;
 * pair_key.server as for parser_server_name(). */
struct pairs *parser_pairs(const struct parser *parser);

/* May a process of this origin speak for program? True for the unit of a custom
 * server; else false for ordinary users, for user units, for executables that
 * are not that server's or not where packages or root put them, and for others
 * than root whose executable is unknown. A program that is no known server's:
 * true. Constant but for what only_root looks at; any thread. */
bool parser_may_speak(const struct parser *parser, const char *program,
    const struct parse_origin *origin);

/* Check the name of a user who logged in, as every login is.
 *   user_r  of LOGIN_USER_MAX
 * Returns FATE_LOGIN with a copy in user_r, or what is wrong. */
enum fate parse_user(const char *user, size_t len, char *user_r);

/* Names of the built-in grammars for i = 0, 1, ...; then NULL. */
const char *parser_server_name(size_t i);

#endif
