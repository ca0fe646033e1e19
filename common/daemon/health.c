/* SPDX-License-Identifier: ISC */
#include "common/daemon/health.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/guarded.h"
#include "common/base/listen.h"
#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/base/sockets.h"
#include "common/daemon/http.h"

enum { RETRY_MS = 1000 };

/* A page that health_open() is to serve; http is NULL while it does not. */
struct served {
	const char *key;
	char listen[LISTEN_PATH_MAX + 100]; /* "" not wanted */
	gid_t gid;
	const struct http_page *pages;
	struct http *http;
};

static struct mutex mtx = MUTEX_INITIALIZER;
static struct {
	/* set before the first thread */
	const char *daemon, *config;
	int64_t started_at;
	/* set by health_open() */
	void (*add_members)(struct json *j);
	int (*add_metrics)(FILE *to);
	struct served status, metrics;
	int64_t tried_ms;
	atomic_bool draining;
	int64_t loaded_at GUARDED_BY(mtx);
	uint64_t reloads GUARDED_BY(mtx), failed GUARDED_BY(mtx);
	bool good GUARDED_BY(mtx); /* the last reload was */
	char text[ERR_TEXT_MAX] GUARDED_BY(mtx);
} health = { .good = true };

void
health_start(const char *daemon, const char *config)
{
	health.daemon = daemon;
	health.config = config;
	health.started_at = clock_now();
	mutex_lock(&mtx);
	health.loaded_at = health.started_at;
	mutex_unlock(&mtx);
}

void
health_reloaded(bool good, const char *text)
{
	mutex_lock(&mtx);
	health.reloads++;
	health.good = good;
	if (good)
		health.loaded_at = clock_now();
	else
		health.failed++;
	(void)snprintf(health.text, sizeof(health.text), "%s", text);
	mutex_unlock(&mtx);
}

void
health_draining(void)
{
	atomic_store(&health.draining, true);
}

static void
own_members(struct json *j)
{
	char error[LOG_LAST_MAX];
	int64_t error_at = log_last_error(error);
	struct log_state log;

	json_text(j, "daemon", health.daemon);
	json_text(j, "version", POPGATE_VERSION);
	json_number(j, "pid", getpid());
	json_number(j, "uid", geteuid());
	json_number(j, "started_at", health.started_at);
	json_text(
	    j, "state", atomic_load(&health.draining) ? "draining" : "running");
	json_text(j, "config", health.config);
	mutex_lock(&mtx);
	json_number(j, "loaded_at", health.loaded_at);
	json_number(j, "reloads", (int64_t)health.reloads);
	json_bool(j, "reload_good", health.good);
	json_text(
	    j, "reload_text", health.text[0] == '\0' ? NULL : health.text);
	mutex_unlock(&mtx);
	json_text(j, "last_error", error_at == 0 ? NULL : error);
	json_number(j, "last_error_at", error_at);
	log_state(&log);
	json_number(j, "log_lost", (int64_t)log.lost);
	json_number(j, "log_lost_at", log.lost_at);
	json_number(j, "log_waiting", log.waiting);
	json_number(j, "log_stuck_ms", log.stuck_ms);
	sockets_write(j);
}

static int
write_health(FILE *to)
{
	struct json j = { .to = to };

	json_open(&j, NULL, '{');
	own_members(&j);
	health.add_members(&j);
	json_close(&j, '}');
	json_line(&j);
	return 0;
}

static void
own_metrics(FILE *to)
{
	const struct metrics_label build[] = { { "daemon", health.daemon },
		{ "version", POPGATE_VERSION }, { 0 } };
	const struct metrics_label good[] = { { "result", "good" }, { 0 } };
	const struct metrics_label bad[] = { { "result", "bad" }, { 0 } };
	const struct metrics_label error[] = { { "priority", "error" }, { 0 } };
	const struct metrics_label warning[] = { { "priority", "warning" },
		{ 0 } };
	char sockets_text[SOCKETS_TEXT_MAX];
	struct log_state log;

	mutex_lock(&mtx);
	int64_t loaded_at = health.loaded_at;
	uint64_t failed = health.failed, reloads = health.reloads;

	mutex_unlock(&mtx);
	metrics_family(
	    to, "build", "info", NULL, "The program that says this.");
	metrics_sample(to, "build", "_info", build, 1);
	metrics_gauge(to, "start_time_seconds", "seconds",
	    "When it was started, Unix time.", (uint64_t)health.started_at);
	metrics_gauge(to, "config_time_seconds", "seconds",
	    "When the configuration in force was read, Unix time.",
	    (uint64_t)loaded_at);
	metrics_family(to, "config_reloads", "counter", NULL,
	    "Times that the configuration was to be read again.");
	metrics_sample(to, "config_reloads", "_total", good, reloads - failed);
	metrics_sample(to, "config_reloads", "_total", bad, failed);
	metrics_gauge(to, "sockets_good", NULL,
	    "1 while every socket's file is where it was made.",
	    sockets_good(sockets_text));
	metrics_family(to, "log_messages", "counter", NULL,
	    "Messages logged with these priorities.");
	metrics_sample(to, "log_messages", "_total", error, log_count(LOG_ERR));
	metrics_sample(
	    to, "log_messages", "_total", warning, log_count(LOG_WARNING));
	log_state(&log);
	metrics_counter(to, "log_lines_lost",
	    "Log lines that were dropped, since the log did not take them.",
	    log.lost);
	metrics_family(to, "log_stuck_seconds", "gauge", "seconds",
	    "How long the log has not taken the next line.");
	metrics_milli(to, "log_stuck_seconds", NULL, log.stuck_ms);
}

static int
write_metrics(FILE *to)
{
	own_metrics(to);
	int rc = health.add_metrics(to);

	metrics_end(to);
	return rc;
}

static int
serve(struct served *s, struct err *err)
{
	return http_open(s->key, s->listen, s->gid, s->pages, &s->http, err);
}

static void
begin(struct served *s, const char *key, const char *listen, gid_t gid,
    const struct http_page *pages)
{
	struct err err;

	*s = (struct served){ .key = key, .gid = gid, .pages = pages };
	(void)snprintf(s->listen, sizeof(s->listen), "%s", listen);
	if (*listen != '\0' && serve(s, &err) == -1)
		log_msg(LOG_WARNING, "%s: not served: %s: trying again",
		    pages->path, err.text);
}

/* The directory may have come, or the port become free. */
static void
retry(struct served *s)
{
	struct err err;

	if (s->listen[0] != '\0' && s->http == NULL && serve(s, &err) == 0)
		log_msg(LOG_NOTICE, "%s: served now", s->pages->path);
}

void
health_tick(void)
{
	int64_t now_ms = clock_monotonic_ms();

	sockets_tick();
	if (now_ms - health.tried_ms < RETRY_MS)
		return;
	health.tried_ms = now_ms;
	retry(&health.status);
	retry(&health.metrics);
}

void
health_open(const struct health_pages *own)
{
	static struct http_page pages[] = {
		{ HEALTH_PATH, "application/json", write_health, NULL },
		{ 0 }, /* WOULD_PATH */
		{ 0 },
	};
	static const struct http_page metrics[] = {
		{ "/metrics", METRICS_TYPE, write_metrics, NULL },
		{ 0 },
	};

	assert(health.daemon != NULL);
	assert(health.status.http == NULL && health.metrics.http == NULL);
	health.add_members = own->add_members;
	health.add_metrics = own->add_metrics;
	pages[1] = (struct http_page){ 0 };
	if (own->write_would != NULL)
		pages[1] = (struct http_page){ .path = WOULD_PATH,
			.type = "application/json",
			.answer = own->write_would };
	health.tried_ms = clock_monotonic_ms();
	begin(&health.status, own->status_key, own->status, own->gid, pages);
	begin(
	    &health.metrics, own->metrics_key, own->metrics, own->gid, metrics);
}

void
health_close(void)
{
	http_close(&health.status.http);
	http_close(&health.metrics.http);
	health.status.listen[0] = health.metrics.listen[0] = '\0';
}
