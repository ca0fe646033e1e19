/* judge - what the collector would make of a log line: its grammars, and the
 * networks that may not authorise. Writes nothing. */
#ifndef POPGATE_JUDGE_H
#define POPGATE_JUDGE_H

#include "ctl.h"
#include "parse.h"

struct judged {
	bool login; /* it would let its client relay */
	const char *reason; /* constant; "login" */
	const char *server; /* or NULL */
	bool unknown_shape;
	const struct login *record; /* parsed: also of a client that may
				     * not authorise; or NULL */
};

/* Returns 0, or an exit status after having said why. Caller frees the
 * parser.
 *   servers     comma-separated names, NULL: those of the configuration
 *   nginx_file  also take nginx's own error_log, which nobody may follow */
int judge_parser(const struct ctl *ctl, const char *servers, bool nginx_file,
    struct parser **parser_r);

/* The machine's own addresses are not asked for: a log may be another
 * machine's. result must live as long as what is in *j. */
void judge_line(const struct ctl *ctl, struct parser *parser, const char *line,
    size_t len, int64_t now, struct parse_result *result, struct judged *j);

#endif
