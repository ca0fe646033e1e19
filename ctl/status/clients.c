/* SPDX-License-Identifier: ISC */
/* clients - when did a client of another machine last reach Postfix, as its log
 * says? Postfix tells a milter of each connection, so a newer one than popgate
 * knows of has passed it by. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/addr.h"
#include "common/base/err.h"
#include "common/base/run.h"
#include "common/grammar/prefix.h"
#include "ctl/ctl.h"
#include "ctl/status/status.h"

/* A log's end is read only so far, and a journal's entries. */
enum { TAIL_MAX = 256 << 10, JOURNAL_TIMEOUT_S = 10 };

/* "connect from mail.example.net[192.0.2.7]" */
static bool
is_client(struct span msg)
{
	static const char loopback4[] = "127.", loopback6[] = "::1";
	struct addr addr;

	if (!span_take(&msg, "connect from ", 13) || msg.end == msg.p ||
	    msg.end[-1] != ']')
		return false;
	const char *at = msg.end - 1;

	while (at > msg.p && at[-1] != '[')
		at--;
	size_t n = (size_t)(msg.end - 1 - at);

	return addr_parse_n(at, n, &addr) && strncmp(at, loopback4, 4) != 0 &&
	    !(n == 3 && strncmp(at, loopback6, 3) == 0);
}

/* "postfix/smtpd", "postfix-out/smtpd", "postfix/submission/smtpd" */
static bool
is_smtpd(struct span program)
{
	return span_starts(program, "postfix", 7) && span_len(program) > 6 &&
	    strncmp(program.end - 6, "/smtpd", 6) == 0;
}

static void
take_line(const char *line, size_t len, const struct zone *zone, int64_t now,
    int64_t *newest)
{
	static char scratch[PREFIX_SCRATCH];
	struct prefix_clock clock = { .zone = *zone };
	struct prefix prefix;
	int64_t at;

	if (len < PREFIX_LINE_MAX &&
	    prefix_split(line, len, false, &prefix, scratch) == PREFIX_OK &&
	    is_smtpd(prefix.program) && is_client(prefix.msg) &&
	    prefix_time(&prefix, now, &clock, &at) && at <= now && at > *newest)
		*newest = at;
}

static void
take_text(
    const char *text, const struct zone *zone, int64_t now, int64_t *newest)
{
	while (*text != '\0') {
		size_t n = strcspn(text, "\n");

		take_line(text, n, zone, now, newest);
		text += n + (text[n] == '\n');
	}
}

static void
take_file(
    const char *path, const struct zone *zone, int64_t now, int64_t *newest)
{
	FILE *in = fopen(path, "re");
	char *text = in == NULL ? NULL : malloc(TAIL_MAX + 1);
	struct stat st;

	if (text != NULL && fstat(fileno(in), &st) == 0 &&
	    (st.st_size <= TAIL_MAX ||
		fseeko(in, st.st_size - TAIL_MAX, SEEK_SET) == 0)) {
		text[fread(text, 1, TAIL_MAX, in)] = '\0';
		take_text(text, zone, now, newest);
	}
	free(text);
	if (in != NULL)
		(void)fclose(in);
}

static void
take_journal(int64_t now, int64_t *newest)
{
	const struct zone machine = { .fixed = false };
	char *argv[] = { (char[]){ "journalctl" }, (char[]){ "-q" },
		(char[]){ "-n" }, (char[]){ "50" }, (char[]){ "-o" },
		(char[]){ "json" }, (char[]){ "-t" },
		(char[]){ "postfix/smtpd" }, NULL };
	struct err err;
	char *text = run_read(argv, NULL, JOURNAL_TIMEOUT_S, &err);

	if (text != NULL)
		take_text(text, &machine, now, newest);
	free(text);
}

int64_t
status_newest_client(const struct ctl *ctl)
{
	const struct config *cfg = ctl->cfg;
	int64_t newest = 0;

	for (size_t i = 0; i < cfg->collector.n_sources; i++) {
		const struct config_source *src = &cfg->collector.sources[i];

		if (src->kind == SOURCE_FILE)
			take_file(src->where, &src->zone, ctl->now, &newest);
		else if (src->kind == SOURCE_JOURNAL)
			take_journal(ctl->now, &newest);
	}
	return newest;
}
