/* line_verdict - what the collector would make of a log line: its grammars, and
 * the networks that may not authorise. Writes nothing. */
#ifndef POPGATE_LINE_VERDICT_H
#define POPGATE_LINE_VERDICT_H

#include "common/grammar/parse.h"
#include "ctl/ctl.h"

struct line_verdict {
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
int line_verdict_parser(const struct ctl *ctl, const char *servers,
    bool nginx_file, struct parser **parser_r);

/* The machine's own addresses are not asked for: a log may be another
 * machine's. result must live as long as what is in *j. */
void line_verdict(const struct ctl *ctl, struct parser *parser,
    const char *line, size_t len, int64_t now, struct parse_result *result,
    struct line_verdict *j);

#endif
