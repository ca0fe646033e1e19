/* SPDX-License-Identifier: ISC */
/* daemons - do popgate's daemons answer, and what do they say of themselves? */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/json.h"
#include "ctl/ask_daemon.h"
#include "ctl/ctl.h"
#include "ctl/status/status.h"
#include "ctl/times.h"

enum { LOG_STUCK_MS = 5000 };

static void
add_probe(struct status *s, const char *what, const char *listen,
    const struct probe *p)
{
	char text[600];

	if (p->result == PROBE_NOT_SET)
		return;
	(void)snprintf(text, sizeof(text), "%.180s: %s", listen, p->words);
	status_add(s,
	    p->result == PROBE_BAD           ? LEVEL_CRITICAL
		: p->result == PROBE_UNKNOWN ? LEVEL_UNKNOWN
					     : LEVEL_OK,
	    what, text);
}

/* A daemon that doesn't say how it is. */
static void
add_silent(struct status *s, const char *daemon, const char *listen,
    const struct probe *p)
{
	struct probe told = *p;
	size_t n = strlen(told.words);

	if (p->hangs)
		(void)snprintf(told.words + n, sizeof(told.words) - n,
		    ": it hangs: restart %s", daemon);
	else if (p->result == PROBE_BAD && p->pid == 0)
		(void)snprintf(told.words + n, sizeof(told.words) - n,
		    ": start %s, or read in its log why it stopped", daemon);
	else if (p->result == PROBE_UNKNOWN)
		(void)snprintf(told.words + n, sizeof(told.words) - n,
		    ": asking it needs root or the group popgate");
	add_probe(s, daemon, listen, &told);
}

/* An error of the last minutes, a configuration that was refused, a socket
 * that is gone. text, here and below: what the daemon answers on its status
 * socket, "" without an answer. */
static void
add_troubles(struct status *s, const char *daemon, const char *text)
{
	int64_t now = s->ctl->now,
		at = json_number_or_none(text, "last_error_at");
	char error[ERR_TEXT_MAX], when[TIME_TEXT_MAX],
	    words[ERR_TEXT_MAX + 100], what[100];

	if (json_find_text(text, "last_error", error, sizeof(error))) {
		(void)snprintf(what, sizeof(what), "%s's last error", daemon);
		(void)snprintf(words, sizeof(words), "%s: %s",
		    time_relative(at, now, when), error);
		status_add(s,
		    now - at < STATUS_RECENT_S ? LEVEL_WARNING : LEVEL_OK, what,
		    words);
	}
	if (json_is_false(text, "reload_good") &&
	    json_find_text(text, "reload_text", error, sizeof(error))) {
		(void)snprintf(
		    what, sizeof(what), "%s's configuration", daemon);
		(void)snprintf(
		    words, sizeof(words), "the old one stays: %s", error);
		status_add(s, LEVEL_WARNING, what, words);
	}
	if (json_is_false(text, "sockets_good") &&
	    json_find_text(text, "sockets_text", error, sizeof(error))) {
		(void)snprintf(what, sizeof(what), "%s's sockets", daemon);
		(void)snprintf(words, sizeof(words),
		    "%s: mend that, or restart it", error);
		status_add(s, LEVEL_CRITICAL, what, words);
	}
}

/* A log that doesn't take lines: nothing waits for it, but nobody reads what
 * the daemon has to say either. */
static void
add_log(struct status *s, const char *daemon, const char *text)
{
	int64_t now = s->ctl->now,
		at = json_number_or_none(text, "log_lost_at");
	int64_t stuck_ms = json_number_or_none(text, "log_stuck_ms");
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
		    stuck_ms / 1000, json_number_or_none(text, "log_waiting"),
		    json_number_or_none(text, "log_lost"));
	else
		(void)snprintf(words, sizeof(words),
		    "%" PRId64
		    " lines were lost since the start, the last %s; it takes lines again",
		    json_number_or_none(text, "log_lost"),
		    time_relative(at, now, when));
	status_add(s,
	    stuck || now - at < STATUS_RECENT_S ? LEVEL_WARNING : LEVEL_OK,
	    what, words);
}

/* Only where popgate.conf says so; an admin's word, so no alarm. */
static void
add_user(struct status *s, const char *daemon, const char *text)
{
	char what[100];

	if (json_number_or_none(text, "uid") != 0)
		return;
	(void)snprintf(what, sizeof(what), "%s's user", daemon);
	status_add(s, LEVEL_OK, what,
	    "root, as popgate.conf says: a fault in it would be one of the whole machine");
}

/* Add the logins as the milter's user sees them, who isn't the one that
 * asks. */
static void
add_logins(struct status *s, const char *text)
{
	char error[ERR_TEXT_MAX], words[ERR_TEXT_MAX + 100];

	if (!json_is_false(text, "logins_good") ||
	    !json_find_text(text, "logins_text", error, sizeof(error)))
		return;
	(void)snprintf(words, sizeof(words),
	    "popgate-milter can't read it, relays get a temporary failure: %s",
	    error);
	status_add(s, LEVEL_CRITICAL, "login table", words);
}

static int64_t
newer(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* Does the milter hang? */
static bool
check_milter(struct status *s)
{
	static char text[PROBE_TEXT_MAX];
	const char *listen = s->ctl->cfg->milter.status,
		   *name = "popgate-milter";
	char words[600], since[TIME_TEXT_MAX], state[20] = "";
	struct probe p;

	probe_health(listen, name, &p, text);
	if (p.result != PROBE_GOOD) {
		add_silent(s, name, listen, &p);
		return p.hangs;
	}
	s->decisions = json_number_or_none(text, "decisions_per_minute");
	s->queued = json_number_or_none(text, "audit_queued");
	int64_t limit = json_number_or_none(text, "audit_queue_limit");
	bool stuck = json_is_false(text, "audit_good");

	(void)json_find_text(text, "state", state, sizeof(state));
	(void)snprintf(words, sizeof(words),
	    "%s, pid %ld, started %s, %" PRId64 " sessions, %" PRId64
	    " decisions in the last minute",
	    state, (long)p.pid,
	    time_relative(
		json_number_or_none(text, "started_at"), s->ctl->now, since),
	    json_number_or_none(text, "sessions"), s->decisions);
	status_add(s, LEVEL_OK, name, words);
	(void)snprintf(words, sizeof(words),
	    "%" PRId64 " of %" PRId64 " rows wait for the disk, %" PRId64
	    " were lost%s",
	    s->queued, limit, json_number_or_none(text, "audit_lost"),
	    stuck ? ": it can't be written, relays get a temporary failure"
		  : "");
	status_add(s,
	    stuck                       ? LEVEL_CRITICAL
		: s->queued * 2 > limit ? LEVEL_WARNING
					: LEVEL_OK,
	    "audit queue", words);
	int64_t bytes = json_number_or_none(text, "audit_bytes"),
		max = json_number_or_none(text, "audit_max_bytes");

	if (max > 0) {
		bool full = bytes * 10 >= max * 8;

		(void)snprintf(words, sizeof(words),
		    "%" PRId64 " of %" PRId64 " MB%s", bytes >> 20, max >> 20,
		    full
			? ": from 90 % on old refusals are deleted, at 100 % old relays: raise audit.max_size or lower audit.keep"
			: "");
		status_add(
		    s, full ? LEVEL_WARNING : LEVEL_OK, "audit size", words);
	}
	add_logins(s, text);
	add_troubles(s, name, text);
	add_log(s, name, text);
	add_user(s, name, text);
	s->started_at = json_number_or_none(text, "started_at");
	s->milter_asked_at = json_number_or_none(text, "milter_asked_at");
	s->permit_asked_at = newer(json_number_or_none(text, "policy_asked_at"),
	    json_number_or_none(text, "socketmap_asked_at"));
	return false;
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
		add_silent(s, name, listen, &p);
		return;
	}
	s->logins = json_number_or_none(text, "logins_per_minute");
	bool stuck = json_is_false(text, "database_good");
	bool hangs = json_number_or_none(text, "loop_age_ms") > LOOP_HANGS_MS;

	(void)snprintf(words, sizeof(words),
	    "pid %ld, started %s, %" PRId64
	    " logins in the last minute, %" PRId64 " wait to be written%s%s",
	    (long)p.pid,
	    time_relative(
		json_number_or_none(text, "started_at"), s->ctl->now, since),
	    s->logins, json_number_or_none(text, "logins_waiting"),
	    stuck ? ": the login table can't be written" : "",
	    hangs ? ": it hangs" : "");
	status_add(s, stuck || hangs ? LEVEL_CRITICAL : LEVEL_OK, name, words);
	add_troubles(s, name, text);
	add_log(s, name, text);
	add_user(s, name, text);
}

void
status_daemons(struct status *s)
{
	const struct config *cfg = s->ctl->cfg;
	struct probe p;

	bool hangs = check_milter(s);

	check_collector(s);
	probe_listening(cfg->milter.listen, &p);
	add_probe(s, "milter", cfg->milter.listen, &p);
	/* a monitor doesn't wait for ever: nor do we, twice for one process */
	if (hangs)
		probe_listening(cfg->permit.policy, &p);
	else
		probe_policy(cfg->permit.policy, &p);
	add_probe(s, "policy channel", cfg->permit.policy, &p);
	probe_listening(cfg->permit.socketmap, &p);
	add_probe(s, "socketmap channel", cfg->permit.socketmap, &p);
}
