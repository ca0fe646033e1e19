#include "milter/status.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/json.h"
#include "common/base/metrics.h"
#include "common/daemon/health.h"
#include "common/daemon/http.h"
#include "milter/callbacks.h"
#include "milter/gate.h"
#include "milter/meter.h"
#include "milter/permit.h"

static atomic_bool draining;
static struct http *pages, *metrics;

static int
write_health(FILE *to)
{
	struct json j = { .to = to };
	struct gate_config *gc = gate_config_take();
	struct audit_stats audit;
	uint64_t per_minute, decisions = meter_decisions(&per_minute);

	gate_audit_stats(&audit);
	json_open(&j, NULL, '{');
	health_write(&j, atomic_load(&draining) ? "draining" : "running");
	json_text(&j, "mode",
	    gc->cfg->relay.mode == RELAY_MONITOR ? "monitor" : "enforce");
	json_number(&j, "sessions", callbacks_sessions());
	json_number(&j, "sessions_over_limit", (int64_t)callbacks_over_limit());
	json_number(&j, "permit_connections", permit_connections());
	json_number(&j, "decisions", (int64_t)decisions);
	json_number(&j, "decisions_per_minute", (int64_t)per_minute);
	json_bool(&j, "audit_good", audit.healthy);
	json_number(&j, "audit_queued", (int64_t)audit.queued);
	json_number(&j, "audit_queue_limit", (int64_t)audit.limit);
	json_number(&j, "audit_rows", (int64_t)audit.rows);
	json_number(&j, "audit_syncs", (int64_t)audit.syncs);
	json_number(&j, "audit_lost", (int64_t)audit.lost);
	json_number(&j, "audit_bytes", audit.bytes);
	json_number(&j, "audit_max_bytes", audit.max_size);
	json_close(&j, '}');
	json_line(&j);
	gate_config_give(gc);
	return 0;
}

static void
audit_metrics(FILE *to)
{
	struct audit_stats audit;

	gate_audit_stats(&audit);
	metrics_family(to, "audit_queue_rows", "gauge", NULL,
	    "Rows that wait for the disk.");
	metrics_sample(to, "audit_queue_rows", "", NULL, audit.queued);
	metrics_family(to, "audit_queue_limit_rows", "gauge", NULL,
	    "Rows that may wait; then relays get a temporary failure.");
	metrics_sample(to, "audit_queue_limit_rows", "", NULL, audit.limit);
	metrics_family(
	    to, "audit_rows", "counter", NULL, "Rows that were written.");
	metrics_sample(to, "audit_rows", "_total", NULL, audit.rows);
	metrics_family(to, "audit_transactions", "counter", NULL,
	    "Transactions that rows were written by.");
	metrics_sample(
	    to, "audit_transactions", "_total", NULL, audit.transactions);
	metrics_family(to, "audit_syncs", "counter", NULL,
	    "Times that the audit was brought to the disk.");
	metrics_sample(to, "audit_syncs", "_total", NULL, audit.syncs);
	metrics_family(to, "audit_rows_lost", "counter", NULL,
	    "Rows that could not be written.");
	metrics_sample(to, "audit_rows_lost", "_total", NULL, audit.lost);
	metrics_family(to, "audit_used_bytes", "gauge", "bytes",
	    "What of audit.db is in use; the file itself never shrinks.");
	metrics_sample(to, "audit_used_bytes", "", NULL, (uint64_t)audit.bytes);
	metrics_family(to, "audit_max_bytes", "gauge", "bytes",
	    "audit.max_size; 0: off. Above 0.8 of it the alarm is given, above "
	    "0.9 old refusals are deleted.");
	metrics_sample(
	    to, "audit_max_bytes", "", NULL, (uint64_t)audit.max_size);
	metrics_family(to, "audit_commit_duration_seconds", "histogram",
	    "seconds", "Time to commit a group of rows.");
	metrics_histogram(
	    to, "audit_commit_duration_seconds", NULL, gate_audit_commits());
}

static int
write_metrics(FILE *to)
{
	struct gate_config *gc = gate_config_take();

	health_metrics(to);
	meter_metrics(to);
	metrics_family(
	    to, "sessions", "gauge", NULL, "Milter sessions that are open.");
	metrics_sample(to, "sessions", "", NULL, callbacks_sessions());
	metrics_family(to, "sessions_over_limit", "counter", NULL,
	    "Milter sessions that got a temporary failure, since too many "
	    "were open.");
	metrics_sample(
	    to, "sessions_over_limit", "_total", NULL, callbacks_over_limit());
	metrics_family(to, "permit_connections", "gauge", NULL,
	    "Connections to the permit channel that are open.");
	metrics_sample(
	    to, "permit_connections", "", NULL, permit_connections());
	audit_metrics(to);
	metrics_file(to, true, "audit", gc->cfg->audit.database);
	metrics_file(to, false, "logins", gc->cfg->logins.database);
	metrics_end(to);
	gate_config_give(gc);
	return 0;
}

void
status_open(const struct config *cfg)
{
	static const struct http_page health_pages[] = {
		{ HEALTH_PATH, HEALTH_TYPE, write_health }, { 0 }
	};
	static const struct http_page metrics_pages[] = {
		{ "/metrics", METRICS_TYPE, write_metrics }, { 0 }
	};

	/* not the directory's group, which is the MTA's: our readers' */
	health_serve("milter.status", cfg->milter.status, getegid(),
	    health_pages, &pages);
	health_serve("metrics.milter", cfg->metrics.milter, getegid(),
	    metrics_pages, &metrics);
}

void
status_draining(void)
{
	atomic_store(&draining, true);
}

void
status_close(void)
{
	http_close(&pages);
	http_close(&metrics);
}
