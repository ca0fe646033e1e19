/* SPDX-License-Identifier: ISC */
/* judge - a line -> the login that counts and until when (with a session, at
 * most), or why there is none: the grammars (parse.h), then what its sender,
 * address and time stamp must be. The collector asks it, and so do `popgatectl
 * replay` and `why`. Depends on its arguments, on what judge_set_own()
 * was told, and on the system's users and executables. */
#ifndef POPGATE_JUDGE_H
#define POPGATE_JUDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/config/config.h"
#include "common/records/fate.h"
#include "common/records/line.h"
#include "common/records/login.h"
#include "common/records/session.h"

struct err;
struct pairs;
struct judge; /* used by one thread at a time */

/* For a log that is old, or of another machine: nothing is too old, and nobody
 * may tell logins. */
struct judge_replay {
	const struct string_list *servers; /* not collector.servers; or NULL */
	bool nginx_file; /* as in struct parser_options */
};

struct judged {
	enum fate fate;
	const char *server; /* whose line it is; "" nobody's we know */
	/* with FATE_LOGIN: */
	struct login login; /* at: never after now */
	struct network net; /* what is leased */
	int64_t expires_at;
	int64_t ahead_s; /* how far the stamp was in the future */
	bool year_guessed; /* it has none: it may be of an earlier year */
	bool zone_assumed; /* it names none */
	/* With logins.sessions: SESSION_BEGIN goes with FATE_LOGIN, an end,
	 * which is dated no later than now, with another fate. */
	struct login_session session;
	/* SESSION_BEGIN: when the login ends at the latest, if the session
	 * stays open. An end: the end plus the window. */
	int64_t session_until;
};

/* Build from cfg, which must live as long as the judge.
 *   replay  borrowed by this call; NULL: judge as the collector does
 * 0, or -1 with err (ERR_INVALID: unknown server or user, or a bad pattern). */
int judge_new(const struct config *cfg, const struct judge_replay *replay,
    struct judge **j_r, struct err *err);
void judge_free(struct judge **j); /* NULL-safe; sets NULL */

/* Addresses of this machine; copied. */
bool judge_set_own(struct judge *j, const struct network_set *own);

/* parser_pairs() of the parser for direct lines, or of that for others. */
struct pairs *judge_pairs(const struct judge *j, bool direct);

/*   direct  from standard input or a socket: "tag: text" without a time
 *           stamp is good there
 *   now     Unix seconds */
void judge_line(struct judge *j, const struct line *line, bool direct,
    int64_t now, struct judged *out);

/* Where a line was judged to be of another program or of no known form: does it
 * look like a login that a change of the configuration would take? Then out
 * says so (FATE_UNKNOWN_TAG with the server, FATE_UNKNOWN_PREFIX). Costs
 * several times what judge_line() does. */
void judge_guess(
    struct judge *j, const struct line *line, bool direct, struct judged *out);

/* Date a login at, and no later than now; its permission goes with it. */
void judge_date(
    const struct judge *j, struct judged *judged, int64_t at, int64_t now);

/* The line's own time stamp, 0 when it has none that can be read. */
int64_t judge_line_time(struct judge *j, const struct line *line, int64_t now);

#endif
