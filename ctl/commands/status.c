/* SPDX-License-Identifier: ISC */
/* status, health - is everything alive? For people, and for monitoring. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/err.h"
#include "common/base/json.h"
#include "common/records/login.h"
#include "common/records/silence.h"
#include "ctl/commands/ask_daemon.h"
#include "ctl/commands/commands.h"
#include "ctl/out.h"
#include "ctl/times.h"

/* Nagios plug-in convention */
enum level { LEVEL_OK, LEVEL_WARNING, LEVEL_CRITICAL };

enum { CHECKS_MAX = 40, RECENT_S = 600, LOG_STUCK_MS = 5000 };

static const struct ctl_option options[] = {
	{ "json", NULL, "a JSON object" },
	{ 0 },
};

struct check {
	char what[200];
	char words[ERR_TEXT_MAX + 200];
	enum level level;
};

struct status {
	struct ctl *ctl;
	struct check check[CHECKS_MAX];
	int n;
	enum level worst;
	int64_t per_minute; /* decisions of the last minute */
	int64_t lag_s; /* of the slowest source; -1: not known */
	/* what the daemons said; -1: not known */
	int64_t decisions, logins, queued;
};

static void
add(struct status *s, enum level level, const char *what, const char *words)
{
	if (s->n == CHECKS_MAX)
		return;
	struct check *c = &s->check[s->n++];

	c->level = level;
	(void)snprintf(c->what, sizeof(c->what), "%s", what);
	(void)snprintf(c->words, sizeof(c->words), "%s", words);
	if (level > s->worst)
		s->worst = level;
}

static void
add_probe(struct status *s, const char *what, const char *listen,
    const struct probe *p)
{
	char text[600];

	if (p->result == PROBE_NOT_SET)
		return;
	(void)snprintf(text, sizeof(text), "%.180s: %s", listen, p->words);
	add(s, p->result == PROBE_BAD ? LEVEL_CRITICAL : LEVEL_OK, what, text);
}

/* What was written so long before a log was read to its end must have been
 * read, but for a line that isn't whole. */
enum { SURELY_SEEN_S = 60, LINE_MAX_LEN = 8192 };

/* Is the file that has a log's path now the one that the collector reads, and
 * as far as it says? Else words say what is wrong. A file that is missing may
 * only be rotated, and one that we may not look at is no fault. */
static enum level
compare_file(const struct store_source *src, char *words, size_t size)
{
	struct stat st;

	words[0] = '\0';
	if (strncmp(src->name, "file:", 5) != 0)
		return LEVEL_OK;
	if (stat(src->name + 5, &st) == -1) {
		if (errno == ENOENT)
			(void)snprintf(words, size, "; there is no such file");
		return LEVEL_OK;
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

/* What a daemon says of itself when asked on its status socket: text is its
 * answer, "" without one. */
static int64_t
number(const char *text, const char *key)
{
	int64_t n;

	return json_find_number(text, key, &n) ? n : -1;
}

static bool
is_false(const char *text, const char *key)
{
	bool value;

	return json_find_bool(text, key, &value) && !value;
}

/* An error of the last minutes, a configuration that was refused, a socket
 * that is gone. */
static void
add_troubles(struct status *s, const char *daemon, const char *text)
{
	int64_t now = s->ctl->now, at = number(text, "last_error_at");
	char error[ERR_TEXT_MAX], when[TIME_TEXT_MAX],
	    words[ERR_TEXT_MAX + 100], what[100];

	if (json_find_text(text, "last_error", error, sizeof(error))) {
		(void)snprintf(what, sizeof(what), "%s's last error", daemon);
		(void)snprintf(words, sizeof(words), "%s: %s",
		    time_relative(at, now, when), error);
		add(s, now - at < RECENT_S ? LEVEL_WARNING : LEVEL_OK, what,
		    words);
	}
	if (is_false(text, "reload_good") &&
	    json_find_text(text, "reload_text", error, sizeof(error))) {
		(void)snprintf(
		    what, sizeof(what), "%s's configuration", daemon);
		(void)snprintf(
		    words, sizeof(words), "the old one stays: %s", error);
		add(s, LEVEL_WARNING, what, words);
	}
	if (is_false(text, "sockets_good") &&
	    json_find_text(text, "sockets_text", error, sizeof(error))) {
		(void)snprintf(what, sizeof(what), "%s's sockets", daemon);
		(void)snprintf(words, sizeof(words),
		    "%s: mend that, or restart it", error);
		add(s, LEVEL_CRITICAL, what, words);
	}
}

/* A log that doesn't take lines: nothing waits for it, but nobody reads what
 * the daemon has to say either. */
static void
add_log(struct status *s, const char *daemon, const char *text)
{
	int64_t now = s->ctl->now, at = number(text, "log_lost_at");
	int64_t stuck_ms = number(text, "log_stuck_ms");
	bool stuck = stuck_ms >= LOG_STUCK_MS, lost = at > 0;
	char words[300], what[100], when[TIME_TEXT_MAX];

	if (!stuck && !lost)
		return;
	(void)snprintf(what, sizeof(what), "%s's log", daemon);
	if (stuck)
		(void)snprintf(words, sizeof(words),
		    "takes no lines since %" PRId64 " s: %" PRId64
		    " wait, %" PRId64
		    " are lost; look at syslogd or journald, or whoever reads its standard error, and at the log's disk",
		    stuck_ms / 1000, number(text, "log_waiting"),
		    number(text, "log_lost"));
	else
		(void)snprintf(words, sizeof(words),
		    "%" PRId64
		    " lines were lost since the start, the last %s; it takes lines again",
		    number(text, "log_lost"), time_relative(at, now, when));
	add(s, stuck || now - at < RECENT_S ? LEVEL_WARNING : LEVEL_OK, what,
	    words);
}

/* Only where popgate.conf says so; an admin's word, so no alarm. */
static void
add_user(struct status *s, const char *daemon, const char *text)
{
	char what[100];

	if (number(text, "uid") != 0)
		return;
	(void)snprintf(what, sizeof(what), "%s's user", daemon);
	add(s, LEVEL_OK, what,
	    "root, as popgate.conf says: a fault in it would be one of the whole machine");
}

static void
check_milter(struct status *s)
{
	static char text[PROBE_TEXT_MAX];
	const char *listen = s->ctl->cfg->milter.status,
		   *name = "popgate-milter";
	char words[600], since[TIME_TEXT_MAX], state[20] = "";
	struct probe p;

	probe_health(listen, name, &p, text);
	if (p.result != PROBE_GOOD) {
		add_probe(s, name, listen, &p);
		return;
	}
	s->decisions = number(text, "decisions_per_minute");
	s->queued = number(text, "audit_queued");
	int64_t limit = number(text, "audit_queue_limit");
	bool stuck = is_false(text, "audit_good");

	(void)json_find_text(text, "state", state, sizeof(state));
	(void)snprintf(words, sizeof(words),
	    "%s, pid %ld, started %s, %" PRId64 " sessions, %" PRId64
	    " decisions in the last minute",
	    state, (long)p.pid,
	    time_relative(number(text, "started_at"), s->ctl->now, since),
	    number(text, "sessions"), s->decisions);
	add(s, LEVEL_OK, name, words);
	(void)snprintf(words, sizeof(words),
	    "%" PRId64 " of %" PRId64 " rows wait for the disk, %" PRId64
	    " were lost%s",
	    s->queued, limit, number(text, "audit_lost"),
	    stuck ? ": it can't be written, relays get a temporary failure"
		  : "");
	add(s,
	    stuck                       ? LEVEL_CRITICAL
		: s->queued * 2 > limit ? LEVEL_WARNING
					: LEVEL_OK,
	    "audit queue", words);
	int64_t bytes = number(text, "audit_bytes"),
		max = number(text, "audit_max_bytes");

	if (max > 0) {
		bool full = bytes * 10 >= max * 8;

		(void)snprintf(words, sizeof(words),
		    "%" PRId64 " of %" PRId64 " MB%s", bytes >> 20, max >> 20,
		    full
			? ": from 90 % on old refusals are deleted, at 100 % old relays: raise audit.max_size or lower audit.keep"
			: "");
		add(s, full ? LEVEL_WARNING : LEVEL_OK, "audit size", words);
	}
	add_troubles(s, name, text);
	add_log(s, name, text);
	add_user(s, name, text);
}

/* Its loop turns every second. */
enum { LOOP_HANGS_MS = 30000 };

static void
check_collector(struct status *s)
{
	static char text[PROBE_TEXT_MAX];
	const char *listen = s->ctl->cfg->collector.status,
		   *name = "popgate-collector";
	char words[600], since[TIME_TEXT_MAX];
	struct probe p;

	probe_health(listen, name, &p, text);
	if (p.result != PROBE_GOOD) {
		add_probe(s, name, listen, &p);
		return;
	}
	s->logins = number(text, "logins_per_minute");
	bool stuck = is_false(text, "database_good");
	bool hangs = number(text, "loop_age_ms") > LOOP_HANGS_MS;

	(void)snprintf(words, sizeof(words),
	    "pid %ld, started %s, %" PRId64
	    " logins in the last minute, %" PRId64 " wait to be written%s%s",
	    (long)p.pid,
	    time_relative(number(text, "started_at"), s->ctl->now, since),
	    s->logins, number(text, "logins_waiting"),
	    stuck ? ": the login table can't be written" : "",
	    hangs ? ": it hangs" : "");
	add(s, stuck || hangs ? LEVEL_CRITICAL : LEVEL_OK, name, words);
	add_troubles(s, name, text);
	add_log(s, name, text);
	add_user(s, name, text);
}

static bool
take_source(void *arg, const struct store_source *src)
{
	struct status *s = arg;
	int64_t now = s->ctl->now, lag = now - src->read_at;
	int64_t grace = s->ctl->cfg->relay.collector_grace_s;
	bool ahead = src->line_at > now + LOGIN_FUTURE_S;
	char read[TIME_TEXT_MAX], line[TIME_TEXT_MAX], what[200], text[500],
	    file[200];
	enum level level = compare_file(src, file, sizeof(file));

	if (lag > s->lag_s)
		s->lag_s = lag;
	(void)snprintf(what, sizeof(what), "source %.180s", src->name);
	(void)snprintf(text, sizeof(text),
	    "read to its end %s, newest line %s%s%s",
	    src->read_at == 0 ? "never"
			      : time_relative(src->read_at, now, read),
	    src->line_at == 0 ? "none yet"
			      : time_relative(src->line_at, now, line),
	    ahead ? ": a clock is or was ahead" : "", file);
	add(s,
	    grace > 0 && lag > grace ? LEVEL_CRITICAL
		: ahead              ? LEVEL_WARNING
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
	add(c->s, changed ? LEVEL_WARNING : LEVEL_OK, what, text);
}

/* Entries that the collector doesn't believe, of the last day. */
static void
say_pieces(struct status *s, const struct store_count *row)
{
	bool logins = strcmp(row->reason, "stream-piece") == 0;
	char what[200], text[200];

	if ((!logins && strcmp(row->reason, "cut-piece") != 0) ||
	    s->ctl->now - row->last_at >= 86400)
		return;
	(void)snprintf(what, sizeof(what), "server %.60s in %.100s",
	    row->server, row->source);
	(void)snprintf(text, sizeof(text), "%s: %" PRId64 " %s", row->reason,
	    row->lines,
	    logins
		? "that don't count: clients can write whole lines into its output: let it log by syslog"
		: "that don't count: parts of lines that journald cut");
	add(s, logins ? LEVEL_WARNING : LEVEL_OK, what, text);
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
	say_pieces(c->s, row);
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
	add(s, LEVEL_WARNING, what, text);
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

static void
check_logins(struct status *s)
{
	const char *path = s->ctl->cfg->logins.database;
	char text[ERR_TEXT_MAX + 200], size[40];
	struct store *st;
	struct err err;
	int before;

	if (store_open(path, STORE_READ, &st, &err) == -1) {
		(void)ctl_database_reason(
		    path, "login table", STORE_READ, &err, text, sizeof(text));
		add(s, LEVEL_CRITICAL, "login table", text);
		return;
	}
	size_of(path, size, sizeof(size));
	(void)snprintf(text, sizeof(text), "%.400s%s", path, size);
	add(s, LEVEL_OK, "login table", text);
	before = s->n;
	if (store_each_source(st, take_source, s, &err) == -1)
		add(s, LEVEL_CRITICAL, "collector", err.text);
	else if (s->n == before)
		add(s, LEVEL_CRITICAL, "collector",
		    "popgate-collector has never read a log");
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

static void
check_audit(struct status *s)
{
	const char *path = s->ctl->cfg->audit.database;
	char text[ERR_TEXT_MAX + 200], size[40];
	struct audit_group_query q = {
		.by = AUDIT_BY_REASON,
		.since_ms = (s->ctl->now - RECENT_S) * 1000,
	};
	struct recent recent = { 0 }, minute = { 0 };
	struct audit_reader *r;
	struct err err;

	if (audit_open_reader(path, &r, &err) == -1) {
		(void)ctl_database_reason(path, "record of decisions",
		    STORE_READ, &err, text, sizeof(text));
		add(s, LEVEL_CRITICAL, "decisions", text);
		return;
	}
	if (audit_each_group(r, &q, take_recent, &recent, &err) == -1) {
		add(s, LEVEL_CRITICAL, "decisions", err.text);
		audit_close_reader(&r);
		return;
	}
	q.since_ms = (s->ctl->now - 60) * 1000;
	(void)audit_each_group(r, &q, take_recent, &minute, NULL);
	s->per_minute = minute.minute;
	size_of(path, size, sizeof(size));
	(void)snprintf(text, sizeof(text),
	    "%.400s%s, %" PRId64 " relays decided in the last minute", path,
	    size, minute.minute);
	add(s, LEVEL_OK, "decisions", text);
	if (recent.unavailable > 0) {
		(void)snprintf(text, sizeof(text),
		    "%" PRId64
		    " recipients were put off in the last 10 min because a database failed",
		    recent.unavailable);
		add(s, LEVEL_WARNING, "databases", text);
	}
	audit_close_reader(&r);
}

static int
gather(struct ctl *ctl, struct status *s)
{
	struct probe p;
	int rc = ctl_config(ctl);

	if (rc != 0)
		return rc;
	*s = (struct status){ .ctl = ctl,
		.lag_s = -1,
		.decisions = -1,
		.logins = -1,
		.queued = -1 };
	check_milter(s);
	check_collector(s);
	probe_listening(ctl->cfg->milter.listen, &p);
	add_probe(s, "milter", ctl->cfg->milter.listen, &p);
	probe_policy(ctl->cfg->permit.policy, &p);
	add_probe(s, "policy channel", ctl->cfg->permit.policy, &p);
	probe_listening(ctl->cfg->permit.socketmap, &p);
	add_probe(s, "socketmap channel", ctl->cfg->permit.socketmap, &p);
	check_logins(s);
	check_audit(s);
	if (ctl->cfg->relay.mode == RELAY_MONITOR)
		add(s, LEVEL_WARNING, "mode",
		    "relay.mode is \"monitor\": nothing is refused");
	else if (ctl->cfg->relay.mode == RELAY_OBSERVE)
		add(s, LEVEL_WARNING, "mode",
		    "relay.mode is \"observe\": nothing is refused or permitted");
	else if (ctl->cfg->relay.monitor_networks.n > 0 ||
	    ctl->cfg->relay.monitor_listeners.n > 0)
		add(s, LEVEL_WARNING, "mode",
		    "relay.monitor_networks or relay.monitor_listeners: there nothing is refused");
	return 0;
}

static const char *const level_names[] = { "OK", "WARNING", "CRITICAL" };

static void
print_json(const struct status *s)
{
	struct json j = { .to = stdout };

	json_open(&j, NULL, '{');
	json_text(&j, "state", level_names[s->worst]);
	json_number(&j, "lag_s", s->lag_s);
	json_number(&j, "relays_per_minute", s->per_minute);
	json_number(&j, "decisions_per_minute", s->decisions);
	json_number(&j, "logins_per_minute", s->logins);
	json_number(&j, "audit_queued", s->queued);
	json_open(&j, "checks", '[');
	for (int i = 0; i < s->n; i++) {
		json_open(&j, NULL, '{');
		json_text(&j, "what", s->check[i].what);
		json_text(&j, "state", level_names[s->check[i].level]);
		json_text(&j, "words", s->check[i].words);
		json_close(&j, '}');
	}
	json_close(&j, ']');
	json_close(&j, '}');
	json_line(&j);
}

static int
run_status(struct ctl *ctl, const struct ctl_args *args)
{
	static struct status s;
	int rc = gather(ctl, &s);

	if (rc != 0)
		return rc;
	if (args->opt[0] != NULL) {
		print_json(&s);
		return 0;
	}
	for (int i = 0; i < s.n; i++) {
		(void)printf("%-8s  ", level_names[s.check[i].level]);
		out_text(s.check[i].what);
		(void)fputs(": ", stdout);
		out_text(s.check[i].words);
		(void)putchar('\n');
	}
	return 0;
}

static int
run_health(struct ctl *ctl, const struct ctl_args *args)
{
	static struct status s;
	bool said = false;

	/* a monitor takes other exit statuses for its own trouble */
	if (gather(ctl, &s) != 0) {
		(void)puts("POPGATE UNKNOWN - the configuration is not good");
		return 3;
	}
	if (args->opt[0] != NULL) {
		print_json(&s);
		return (int)s.worst;
	}
	(void)printf("POPGATE %s - ", level_names[s.worst]);
	for (int i = 0; i < s.n; i++) {
		if (s.check[i].level == LEVEL_OK)
			continue;
		(void)fputs(said ? "; " : "", stdout);
		said = true;
		out_text(s.check[i].what);
		(void)fputs(": ", stdout);
		out_text(s.check[i].words);
	}
	(void)printf("%s|lag=%" PRId64 "s relays=%" PRId64,
	    said ? " " : "all is well ", s.lag_s < 0 ? 0 : s.lag_s,
	    s.per_minute);
	if (s.decisions >= 0)
		(void)printf(" decisions=%" PRId64 " queue=%" PRId64,
		    s.decisions, s.queued);
	if (s.logins >= 0)
		(void)printf(" logins=%" PRId64, s.logins);
	(void)putchar('\n');
	return (int)s.worst;
}

const struct command cmd_status = {
	.name = "status",
	.args = "[--json]",
	.summary = "are the daemons alive, the logs read, the databases good?",
	.options = options,
	.min = 0,
	.max = 0,
	.run = run_status,
};

const struct command cmd_health = {
	.name = "health",
	.args = "[--json]",
	.summary = "the same in a line, for monitoring",
	.help =
	    "Exit status as of a Nagios plug-in: 0 good, 1 warning, 2 critical, 3 unknown.\n",
	.options = options,
	.min = 0,
	.max = 0,
	.run = run_health,
};
