/* SPDX-License-Identifier: ISC */
/* Fuzz target of the prefix and time parsers, and of whole lines: any bytes.
 * What the prefix points at must lie in the line, in scratch or in constants;
 * the quick look must find no tag where the thorough one finds another. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/grammar/parse.h"
#include "common/grammar/prefix.h"

enum { NOW = 1772550000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char scratch[PREFIX_SCRATCH];

static bool
within(struct span s, const char *from, size_t len)
{
	return s.p >= from && s.end <= from + len && s.p <= s.end;
}

static void
check_prefix(const char *line, size_t len, bool bare)
{
	struct prefix_clock clock = { .limit_known = false };
	struct prefix p;
	int64_t at = 0, again = 0;

	if (prefix_split(line, len, bare, &p, scratch) != PREFIX_OK)
		return;
	if (!within(p.msg, line, len) &&
	    !within(p.msg, scratch, sizeof(scratch)))
		abort();
	if (p.pid < -1 ||
	    (span_len(p.program) == 0 && p.form != PREFIX_JOURNAL))
		abort();
	if (prefix_time(&p, NOW, &clock, &at)) {
		/* the cache gives the same answer */
		if (!prefix_time(&p, NOW, &clock, &again) || at != again)
			abort();
		/* without a year, never later than tomorrow, give or take
		 * the hour of a clock change */
		if (p.stamp == STAMP_BSD && at > NOW + 86400 + 3700)
			abort();
	}

	const char *tag = prefix_peek_tag(line, len);

	/* unless what stands there is a priority before the tag */
	if (!bare && tag != NULL && p.form == PREFIX_SYSLOG &&
	    p.stamp != STAMP_NONE && tag != p.program.p &&
	    memchr(tag, '.', (size_t)(p.program.p - tag)) == NULL)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct parser *parser;
	const struct parser_options options = { .bare_lines = true };
	struct parse_result result;
	char *line = malloc(size + (size == 0));

	if (line == NULL ||
	    (parser == NULL && parser_new(&options, &parser, NULL) == -1))
		abort();
	if (size > 0)
		memcpy(line, data, size);
	check_prefix(line, size, false);
	check_prefix(line, size, true);
	parser_line(parser, line, size, NOW, &result);
	if (result.fate == FATE_LOGIN &&
	    (result.login.client.family == ADDR_NONE ||
		memchr(result.login.user, '\0', sizeof(result.login.user)) ==
		    NULL))
		abort();
	free(line);
	return 0;
}
