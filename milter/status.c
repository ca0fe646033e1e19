/* SPDX-License-Identifier: ISC */
#include "milter/status.h"

#include <unistd.h>

#include "common/base/err.h"
#include "common/base/json.h"
#include "common/base/metrics.h"
#include "common/config/config.h"
#include "common/daemon/health.h"
#include "common/daemon/http.h"
#include "milter/callbacks.h"
#include "milter/fleet.h"
#include "milter/gate.h"
#include "milter/meter.h"
#include "milter/permit.h"

static void
add_members(struct json *j)
{
	struct gate_config *gc = gate_config_take();
	struct audit_stats audit;
	uint64_t per_minute, decisions = meter_decisions(&per_minute);
	struct err err;

	gate_audit_stats(&audit);
	json_text(j, "mode",
	    gc->cfg->relay.mode == RELAY_MONITOR       ? "monitor"
		: gc->cfg->relay.mode == RELAY_OBSERVE ? "observe"
						       : "enforce");
	json_number(j, "sessions", callbacks_sessions());
	json_number(j, "sessions_over_limit", (int64_t)callbacks_over_limit());
	json_number(j, "permit_connections", permit_connections());
	json_number(j, "decisions", (int64_t)decisions);
	json_number(j, "decisions_per_minute", (int64_t)per_minute);
	json_number(j, "milter_asked_at", meter_asked_at(CHANNEL_MILTER));
	json_number(j, "policy_asked_at", meter_asked_at(CHANNEL_POLICY));
	json_number(j, "socketmap_asked_at", meter_asked_at(CHANNEL_SOCKETMAP));
	bool reads = gate_reads_logins(&err), good;

	json_bool(j, "logins_good", reads);
	json_text(j, "logins_text", reads ? NULL : err.text);
	json_bool(j, "audit_good", audit.healthy);
	json_number(j, "audit_queued", (int64_t)audit.queued);
	json_number(j, "audit_queue_limit", (int64_t)audit.limit);
	json_number(j, "audit_rows", (int64_t)audit.rows);
	json_number(j, "audit_syncs", (int64_t)audit.syncs);
	json_number(j, "audit_lost", (int64_t)audit.lost);
	json_number(j, "audit_bytes", audit.bytes);
	json_number(j, "audit_max_bytes", audit.max_size);
	if (fleet_runs(&good))
		json_bool(j, "share_limits_good", good);
	gate_config_give(gc);
}

static void
audit_metrics(FILE *to)
{
	struct audit_stats audit;

	gate_audit_stats(&audit);
	metrics_gauge(to, "audit_good", NULL,
	    "1 while decisions can be written; else relays get a temporary failure.",
	    audit.healthy);
	metrics_gauge(to, "audit_queue_rows", NULL,
	    "Rows that wait for the disk.", audit.queued);
	metrics_gauge(to, "audit_queue_limit_rows", NULL,
	    "Rows that may wait; then relays get a temporary failure.",
	    audit.limit);
	metrics_counter(
	    to, "audit_rows", "Rows that were written.", audit.rows);
	metrics_counter(to, "audit_transactions",
	    "Transactions that rows were written by.", audit.transactions);
	metrics_counter(to, "audit_syncs",
	    "Times that the audit was brought to the disk.", audit.syncs);
	metrics_counter(to, "audit_rows_lost",
	    "Rows that could not be written.", audit.lost);
	metrics_gauge(to, "audit_used_bytes", "bytes",
	    "What of audit.db is in use; the file itself never shrinks.",
	    (uint64_t)audit.bytes);
	metrics_gauge(to, "audit_max_bytes", "bytes",
	    "audit.max_size; 0: off. Above 0.8 of it the alarm is given, above 0.9 old refusals are deleted.",
	    (uint64_t)audit.max_size);
	metrics_family(to, "audit_commit_duration_seconds", "histogram",
	    "seconds", "Time to commit a group of rows.");
	metrics_histogram(
	    to, "audit_commit_duration_seconds", NULL, gate_audit_commits());
}

static int
add_metrics(FILE *to)
{
	struct gate_config *gc = gate_config_take();
	struct err err;
	bool good;

	meter_metrics(to);
	metrics_gauge(to, "sessions", NULL, "Milter sessions that are open.",
	    callbacks_sessions());
	metrics_counter(to, "sessions_over_limit",
	    "Milter sessions that got a temporary failure, since too many were open.",
	    callbacks_over_limit());
	metrics_gauge(to, "permit_connections", NULL,
	    "Connections to the permit channel that are open.",
	    permit_connections());
	metrics_gauge(to, "logins_good", NULL,
	    "1 while the login table can be read; else relays get a temporary failure.",
	    gate_reads_logins(&err));
	audit_metrics(to);
	if (fleet_runs(&good))
		metrics_gauge(to, "share_limits_good", NULL,
		    "1 while what is relayed here is told to other machines, and theirs is counted here.",
		    good);
	metrics_file(to, true, "audit", gc->cfg->audit.database);
	metrics_file(to, false, "logins", gc->cfg->logins.database);
	gate_config_give(gc);
	return 0;
}

/* One question of an admin's, of which nothing is counted or recorded. */
static int
write_would(FILE *to, const struct http_request *request)
{
	const char *client = http_argument(request, "client");
	struct gate_request req = {
		.q = { .sender = http_argument(request, "sender"),
		    .recipient = http_argument(request, "recipient"),
		    .mailer = http_argument(request, "mailer"),
		    .auth_user = http_argument(request, "auth") },
		.channel = CHANNEL_POLICY,
	};
	struct gate_config *gc = gate_config_take();
	struct certificate certificate;
	struct decide_answer a;
	struct json j = { .to = to };
	/* a table of Postfix's is asked meanwhile: health must not wait */
	bool ready =
	    req.q.recipient == NULL || facts_ready(gc->cfg, &gc->lists, &req.q);

	if (client != NULL)
		(void)addr_parse_loose(client, &req.q.client);
	req.q.any_sender = req.q.sender == NULL;
	req.q.auth_type = req.q.auth_user == NULL ? NULL : "PLAIN";
	if (certificate_from_postfix(&certificate, false,
		http_argument(request, "subject"),
		http_argument(request, "issuer"),
		http_argument(request, "fingerprint"),
		http_argument(request, "key")))
		req.q.certificate = &certificate;
	if (ready) {
		gate_would(gc, &req, &a);
		json_open(&j, NULL, '{');
		json_text(&j, "verdict", verdict_name(a.decision.verdict));
		json_text(&j, "reason", reason_name(a.decision.reason));
		json_number(&j, "rule", a.decision.rule);
		json_text(&j, "code", a.code);
		json_text(&j, "status", a.status);
		json_text(&j, "text", a.text);
		json_close(&j, '}');
		json_line(&j);
	}
	gate_config_give(gc);
	return ready ? 0 : -1;
}

void
status_open(const struct config *cfg)
{
	const struct health_pages pages = {
		.status_key = "milter.status",
		.status = cfg->milter.status,
		.metrics_key = "metrics.milter",
		.metrics = cfg->metrics.milter,
		/* our readers'; the directory's group is the MTA's */
		.gid = getegid(),
		.add_members = add_members,
		.add_metrics = add_metrics,
		.write_would = write_would,
	};

	health_open(&pages);
}
