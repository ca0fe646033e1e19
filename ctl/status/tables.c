/* SPDX-License-Identifier: ISC */
/* tables - are the logs read, and are the databases good? */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/records/login.h"
#include "common/records/silence.h"
#include "ctl/causes.h"
#include "ctl/ctl.h"
#include "ctl/status/status.h"
#include "ctl/times.h"

/* A line written so long before a log was read to its end must have been read,
 * unless it isn't whole. */
enum { SURELY_SEEN_S = 60, LINE_MAX_LEN = 8192 };

/* A log that was rotated has a successor with the next line, and a mail server
 * logs more often than this. */
enum { ROTATED_S = 600 };

/* There is no file at the log's path. */
static enum level
say_missing(const struct status *s, const struct store_source *src, char *words,
    size_t size)
{
	struct stat st;
	bool never = src->read_at == 0;

	if (!never && s->ctl->now - src->line_at < ROTATED_S) {
		(void)snprintf(words, size, "; there is no such file");
		return LEVEL_OK;
	}
	(void)snprintf(words, size, "; there is no such file: %s%s",
	    never
		? "correct its path in collector.sources"
		: "rotated, and nobody has written since? Look at the syslog daemon, or correct the path in collector.sources",
	    stat("/run/systemd/journal/socket", &st) == 0
		? "; where only the journal keeps the log: { journal = \"system\"; }"
		: "");
	return never ? LEVEL_CRITICAL : LEVEL_WARNING;
}

/* Is the file that has a log's path now the one that the collector reads, and
 * as far as it says? Else words say what is wrong. A file that is missing may
 * only be rotated, and one that we may not look at is no fault. */
static enum level
compare_file(const struct status *s, const struct store_source *src,
    char *words, size_t size)
{
	struct stat st;

	words[0] = '\0';
	if (strncmp(src->name, "file:", 5) != 0)
		return LEVEL_OK;
	if (stat(src->name + 5, &st) == -1) {
		return errno == ENOENT ? say_missing(s, src, words, size)
				       : LEVEL_OK;
	}
	if (src->inode == 0)
		return LEVEL_OK;
	if (st.st_ino != src->inode ||
	    (src->device != 0 && st.st_dev != src->device))
		(void)snprintf(words, size,
		    "; but of another file than the one that has the path now: wait a second, then look at popgate-collector's log");
	else if (st.st_size < src->position)
		(void)snprintf(words, size,
		    "; but the file is shorter than what was read of it: wait a second, then look at popgate-collector's log");
	else if (st.st_mtime + SURELY_SEEN_S < src->read_at &&
	    st.st_size - src->position > LINE_MAX_LEN)
		(void)snprintf(words, size,
		    "; but %" PRId64
		    " bytes of the file have not been read: restart popgate-collector",
		    (int64_t)st.st_size - src->position);
	return words[0] == '\0' ? LEVEL_OK : LEVEL_WARNING;
}

/* The collector goes on while we look: that is no future. */
static const char *
say_time(int64_t at, int64_t now, char *buf)
{
	bool meanwhile = at > now && at <= now + LOGIN_FUTURE_S;

	return time_relative(meanwhile ? now : at, now, buf);
}

static bool
take_source(void *arg, const struct store_source *src)
{
	struct status *s = arg;
	int64_t now = s->ctl->now, lag = now - src->read_at;
	int64_t grace = s->ctl->cfg->relay.collector_grace_s;
	bool ahead = src->line_at > now + LOGIN_FUTURE_S ||
	    src->read_at > now + LOGIN_FUTURE_S;
	bool late = grace > 0 && lag > grace;
	char read[TIME_TEXT_MAX], line[TIME_TEXT_MAX], what[200], text[700],
	    file[400];
	enum level level = compare_file(s, src, file, sizeof(file));

	if (src->read_at > 0 && lag > s->lag_s)
		s->lag_s = lag;
	(void)snprintf(what, sizeof(what), "source %.180s", src->name);
	(void)snprintf(text, sizeof(text),
	    "read to its end %s, newest line %s%s%s%s",
	    src->read_at == 0 ? "never" : say_time(src->read_at, now, read),
	    src->line_at == 0 ? "none yet" : say_time(src->line_at, now, line),
	    ahead ? ": a clock is or was ahead" : "", file,
	    late && file[0] == '\0'
		? ": until it is read, clients without a login are put off; popgate-collector's log says why"
		: "");
	status_add(s,
	    late        ? LEVEL_CRITICAL
		: ahead ? LEVEL_WARNING
			: level,
	    what, text);
	return true;
}

/* Per source and server: what became of its lines. Rows come by source and
 * server; a server's line is said when the next one begins. */
struct counts {
	struct status *s;
	char source[512], server[64], sample[200];
	int64_t lines, logins, login_at, first_at;
	int64_t silent, unknown; /* lines since the newest login */
};

static void
say_counts(struct counts *c)
{
	char when[TIME_TEXT_MAX], what[200], text[700];

	if (c->server[0] == '\0')
		return;
	int64_t heard_at =
	    c->login_at > c->first_at ? c->login_at : c->first_at;
	/* as the collector's own alarm */
	bool changed = c->s->ctl->now - heard_at >= SILENT_S &&
	    (c->silent >= SILENT_LINES || c->unknown >= SILENT_UNKNOWN);

	(void)snprintf(
	    what, sizeof(what), "server %.60s in %.100s", c->server, c->source);
	if (changed)
		(void)snprintf(text, sizeof(text),
		    "%" PRId64 " lines, 0 logins in %" PRId64
		    " h: format changed?%s%.190s",
		    c->silent, (c->s->ctl->now - heard_at) / 3600,
		    c->unknown > 0 ? "; not understood: " : "",
		    c->unknown > 0 ? c->sample : "");
	else
		(void)snprintf(text, sizeof(text),
		    "%" PRId64 " lines, %" PRId64
		    " logins, the last %s%s%.190s",
		    c->lines, c->logins,
		    c->login_at == 0
			? "never"
			: time_relative(c->login_at, c->s->ctl->now, when),
		    c->unknown > 0 && c->sample[0] != '\0'
			? "; not understood: "
			: "",
		    c->unknown > 0 ? c->sample : "");
	status_add(c->s, changed ? LEVEL_WARNING : LEVEL_OK, what, text);
}

static enum fate
fate_of(const char *reason)
{
	int fate = FATE_N - 1;

	while (fate > 0 && strcmp(fate_name((enum fate)fate), reason) != 0)
		fate--;
	return (enum fate)fate;
}

static struct zone
zone_of(const struct config *cfg, const char *source)
{
	for (size_t i = 0; i < cfg->collector.n_sources; i++)
		if (strcmp(cfg->collector.sources[i].name, source) == 0)
			return cfg->collector.sources[i].zone;
	return (struct zone){ .fixed = false };
}

/* An alarm? Anybody on the machine can send entries that are not believed: a
 * few between logins are none. */
static enum level
level_of_cause(enum fate fate, const struct store_count *row)
{
	if (fate == FATE_FORGED || fate == FATE_UNTRUSTED)
		return row->since_login < SILENT_UNKNOWN ? LEVEL_OK
							 : LEVEL_WARNING;
	return LEVEL_WARNING;
}

/* Lines of the last day that look like logins and don't count. Late ones are
 * over when one in time has come. */
static void
say_cause(struct status *s, const struct store_count *row)
{
	const struct cause cause = { .fate = fate_of(row->reason),
		.server = row->server,
		.lines = row->lines,
		.sample = row->sample,
		.read_at = row->last_at,
		.zone = zone_of(s->ctl->cfg, row->source) };
	char what[200], text[CAUSE_TEXT_MAX];

	if (s->ctl->now - row->last_at >= 86400 ||
	    (cause.fate == FATE_LATE && row->since_login == 0))
		return;
	if (cause.fate == FATE_CUT_PIECE) {
		(void)snprintf(text, sizeof(text),
		    "cut-piece: %" PRId64
		    " that don't count: parts of lines that journald cut",
		    row->lines);
	} else if (cause.fate == FATE_UNKNOWN_SHAPE ||
	    !cause_words(&cause, text, sizeof(text))) {
		return; /* say_counts() has the first */
	}
	(void)snprintf(what, sizeof(what), "%s%.60s%s%.100s",
	    *row->server == '\0' ? "source " : "server ", row->server,
	    *row->server == '\0' ? "" : " in ", row->source);
	status_add(s,
	    cause.fate == FATE_CUT_PIECE ? LEVEL_OK
					 : level_of_cause(cause.fate, row),
	    what, text);
}

static bool
take_count(void *arg, const struct store_count *row)
{
	struct counts *c = arg;

	if (strcmp(c->source, row->source) != 0 ||
	    strcmp(c->server, row->server) != 0) {
		say_counts(c);
		*c = (struct counts){ .s = c->s };
		(void)snprintf(c->source, sizeof(c->source), "%s", row->source);
		(void)snprintf(c->server, sizeof(c->server), "%s", row->server);
	}
	say_cause(c->s, row);
	c->lines += row->lines;
	c->silent += row->since_login;
	if (c->first_at == 0 || row->first_at < c->first_at)
		c->first_at = row->first_at;
	if (strcmp(row->reason, "login") == 0) {
		c->logins += row->lines;
		c->login_at = row->last_at;
	}
	if (strcmp(row->reason, "unknown-shape") == 0) {
		c->unknown += row->since_login;
		(void)snprintf(c->sample, sizeof(c->sample), "%s", row->sample);
	}
	return true;
}

static bool
take_quiet(void *arg, const char *source, const char *server, int64_t last_at)
{
	struct status *s = arg;
	char what[200], text[100];

	(void)snprintf(
	    what, sizeof(what), "server %.60s in %.100s", server, source);
	(void)snprintf(text, sizeof(text),
	    "0 lines in %" PRId64 " h: stopped, or its tag changed?",
	    (s->ctl->now - last_at) / 3600);
	status_add(s, LEVEL_WARNING, what, text);
	return true;
}

static void
size_of(const char *path, char *buf, size_t size)
{
	struct stat st;

	if (stat(path, &st) == -1)
		buf[0] = '\0';
	else
		(void)snprintf(
		    buf, size, ", %" PRId64 " MB", (int64_t)st.st_size >> 20);
}

/* A database that can't be opened: whose fault is that? */
static enum level
level_of(int code)
{
	return code == EX_NOPERM ? LEVEL_UNKNOWN : LEVEL_CRITICAL;
}

/* Sources that popgate.conf names and the collector has not heard of. */
static void
check_unread(struct status *s, struct store *st)
{
	const struct config *cfg = s->ctl->cfg;

	for (size_t i = 0; i < cfg->collector.n_sources; i++) {
		const char *name = cfg->collector.sources[i].name;
		static struct store_source row; /* large for a stack */
		char what[200];

		if (store_source_find(st, name, &row, NULL) != 0)
			continue;
		(void)snprintf(what, sizeof(what), "source %.180s", name);
		status_add(s, LEVEL_WARNING, what,
		    "popgate.conf names it, and popgate-collector doesn't read it: popgatectl reload popgate-collector");
	}
}

static void
check_logins(struct status *s)
{
	const char *path = s->ctl->cfg->logins.database;
	char text[ERR_TEXT_MAX + 200], size[40];
	struct store *st;
	struct err err;
	int before;

	if (store_open(path, STORE_READ, &st, &err) == -1) {
		int code = ctl_database_reason(
		    path, "login table", STORE_READ, &err, text, sizeof(text));

		status_add(s, level_of(code), "login table", text);
		return;
	}
	size_of(path, size, sizeof(size));
	(void)snprintf(text, sizeof(text), "%.400s%s", path, size);
	status_add(s, LEVEL_OK, "login table", text);
	before = s->n;
	if (store_each_source(st, take_source, s, &err) == -1)
		status_add(s, LEVEL_CRITICAL, "collector", err.text);
	else if (s->n == before)
		status_add(s, LEVEL_CRITICAL, "collector",
		    "popgate-collector has never read a log");
	else
		check_unread(s, st);
	struct counts counts = { .s = s };

	if (store_each_count(st, take_count, &counts, &err) == 0)
		say_counts(&counts);
	(void)store_each_quiet(st, s->ctl->now, take_quiet, s, NULL);
	store_close(&st);
}

struct recent {
	int64_t minute, unavailable;
};

static bool
take_recent(void *arg, const struct audit_group *g)
{
	struct recent *r = arg;

	if (strcmp(g->key, "store-unavailable") == 0 ||
	    strcmp(g->key, "audit-unavailable") == 0)
		r->unavailable += g->recipients;
	r->minute += g->recipients;
	return true;
}

static bool
take_newest(void *arg, const struct audit_record *record)
{
	struct status *s = arg;

	s->decided_at = record->last_ms / 1000;
	return false;
}

static void
check_audit(struct status *s)
{
	const char *path = s->ctl->cfg->audit.database;
	char text[ERR_TEXT_MAX + 200], size[40];
	struct audit_group_query q = {
		.by = AUDIT_BY_REASON,
		.since_ms = (s->ctl->now - STATUS_RECENT_S) * 1000,
	};
	struct recent recent = { 0 }, minute = { 0 };
	struct audit_reader *r;
	struct err err;

	if (ctl_audit_open(path, &r, &err) == -1) {
		int code = ctl_database_reason(path, "record of decisions",
		    STORE_READ, &err, text, sizeof(text));

		status_add(s, level_of(code), "decisions", text);
		return;
	}
	if (audit_each_group(r, &q, take_recent, &recent, &err) == -1) {
		status_add(s, LEVEL_CRITICAL, "decisions", err.text);
		audit_close_reader(&r);
		return;
	}
	q.since_ms = (s->ctl->now - 60) * 1000;
	(void)audit_each_group(r, &q, take_recent, &minute, NULL);
	s->per_minute = minute.minute;
	const struct audit_filter newest = { .newest_first = true, .limit = 1 };

	(void)audit_each(r, &newest, take_newest, s, NULL);
	size_of(path, size, sizeof(size));
	(void)snprintf(text, sizeof(text),
	    "%.400s%s, %" PRId64 " relays decided in the last minute", path,
	    size, minute.minute);
	status_add(s, LEVEL_OK, "decisions", text);
	if (recent.unavailable > 0) {
		(void)snprintf(text, sizeof(text),
		    "recipients put off in the last 10 min because a database failed: %" PRId64,
		    recent.unavailable);
		status_add(s, LEVEL_WARNING, "databases", text);
	}
	audit_close_reader(&r);
}

void
status_tables(struct status *s)
{
	check_logins(s);
	check_audit(s);
}
