#include "common/daemon/health.h"

#include <pthread.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/base/sockets.h"
#include "common/daemon/http.h"

static struct {
	const char *daemon, *config;
	int64_t started_at;
	pthread_mutex_t mtx;
	/* guarded by mtx */
	int64_t loaded_at;
	uint64_t reloads, failed;
	bool good;
	char text[ERR_TEXT_MAX];
} health = { .mtx = PTHREAD_MUTEX_INITIALIZER, .good = true };

void
health_start(const char *daemon, const char *config)
{
	health.daemon = daemon;
	health.config = config;
	health.started_at = health.loaded_at = clock_now();
}

void
health_reloaded(bool good, const char *text)
{
	(void)pthread_mutex_lock(&health.mtx);
	health.reloads++;
	health.good = good;
	if (good)
		health.loaded_at = clock_now();
	else
		health.failed++;
	(void)snprintf(health.text, sizeof(health.text), "%s", text);
	(void)pthread_mutex_unlock(&health.mtx);
}

void
health_write(struct json *j, const char *state)
{
	char error[LOG_LAST_MAX];
	int64_t error_at = log_last_error(error);
	struct log_state log;

	json_text(j, "daemon", health.daemon);
	json_text(j, "version", POPGATE_VERSION);
	json_number(j, "pid", getpid());
	json_number(j, "uid", geteuid());
	json_number(j, "started_at", health.started_at);
	json_text(j, "state", state);
	json_text(j, "config", health.config);
	(void)pthread_mutex_lock(&health.mtx);
	json_number(j, "loaded_at", health.loaded_at);
	json_number(j, "reloads", (int64_t)health.reloads);
	json_bool(j, "reload_good", health.good);
	json_text(
	    j, "reload_text", health.text[0] == '\0' ? NULL : health.text);
	(void)pthread_mutex_unlock(&health.mtx);
	json_text(j, "last_error", error_at == 0 ? NULL : error);
	json_number(j, "last_error_at", error_at);
	log_state(&log);
	json_number(j, "log_lost", (int64_t)log.lost);
	json_number(j, "log_lost_at", log.lost_at);
	json_number(j, "log_waiting", log.waiting);
	json_number(j, "log_stuck_ms", log.stuck_ms);
	sockets_write(j);
}

void
health_metrics(FILE *to)
{
	const struct metrics_label build[] = { { "daemon", health.daemon },
		{ "version", POPGATE_VERSION }, { 0 } };
	const struct metrics_label good[] = { { "result", "good" }, { 0 } };
	const struct metrics_label bad[] = { { "result", "bad" }, { 0 } };
	const struct metrics_label error[] = { { "priority", "error" }, { 0 } };
	const struct metrics_label warning[] = { { "priority", "warning" },
		{ 0 } };
	struct log_state log;

	(void)pthread_mutex_lock(&health.mtx);
	int64_t loaded_at = health.loaded_at;
	uint64_t failed = health.failed, reloads = health.reloads;

	(void)pthread_mutex_unlock(&health.mtx);
	metrics_family(
	    to, "build", "info", NULL, "The program that says this.");
	metrics_sample(to, "build", "_info", build, 1);
	metrics_family(to, "start_time_seconds", "gauge", "seconds",
	    "When it was started, Unix time.");
	metrics_sample(
	    to, "start_time_seconds", "", NULL, (uint64_t)health.started_at);
	metrics_family(to, "config_time_seconds", "gauge", "seconds",
	    "When the configuration in force was read, Unix time.");
	metrics_sample(
	    to, "config_time_seconds", "", NULL, (uint64_t)loaded_at);
	metrics_family(to, "config_reloads", "counter", NULL,
	    "Times that the configuration was to be read again.");
	metrics_sample(to, "config_reloads", "_total", good, reloads - failed);
	metrics_sample(to, "config_reloads", "_total", bad, failed);
	metrics_family(to, "log_messages", "counter", NULL,
	    "Messages logged with these priorities.");
	metrics_sample(to, "log_messages", "_total", error, log_count(LOG_ERR));
	metrics_sample(
	    to, "log_messages", "_total", warning, log_count(LOG_WARNING));
	log_state(&log);
	metrics_family(to, "log_lines_lost", "counter", NULL,
	    "Log lines that were dropped, since the log did not take them.");
	metrics_sample(to, "log_lines_lost", "_total", NULL, log.lost);
	metrics_family(to, "log_stuck_seconds", "gauge", "seconds",
	    "How long the log has not taken the next line.");
	metrics_milli(to, "log_stuck_seconds", NULL, log.stuck_ms);
}

void
health_serve(const char *key, const char *listen, gid_t gid,
    const struct http_page *pages, struct http **h_r)
{
	struct err err;

	*h_r = NULL;
	if (*listen != '\0' &&
	    http_open(key, listen, gid, pages, h_r, &err) == -1)
		log_msg(
		    LOG_WARNING, "%s: not served: %s", pages->path, err.text);
}
