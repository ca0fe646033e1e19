/* SPDX-License-Identifier: ISC */
/* sessions - what a grammar says of a session -> a record that the database can
 * compare (session.h). Pure; any thread. */
#ifndef POPGATE_SESSIONS_H
#define POPGATE_SESSIONS_H

#include "common/grammar/grammar.h"
#include "common/records/session.h"

/* Fill in *out of a line of server, all but its time; kind stays SESSION_NONE
 * where the session can't be told from others.
 *   host, pid  of the line; pid -1: none */
void sessions_fill(const struct grammar_match *m, const char *server,
    struct span host, int64_t pid, struct login_session *out);

#endif
