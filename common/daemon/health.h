/* health - what both daemons say of themselves: in JSON (GET /health), and as
 * metrics. One a process; any thread. */
#ifndef POPGATE_HEALTH_H
#define POPGATE_HEALTH_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "common/base/json.h"

/* A daemon's answer is one flat object; times are Unix seconds. These are in
 * both; popgate-milter(8) and popgate-collector(8) list the others. */
#define HEALTH_PATH "/health"
#define HEALTH_TYPE "application/json"

/* Before the first thread. Strings are borrowed for ever. */
void health_start(const char *daemon, const char *config);

/* A reload has ended. text: what was wrong, or what is in force. */
void health_reloaded(bool good, const char *text);

/* Write "daemon", "version", "pid", "started_at", "state", "config",
 * "loaded_at", "reloads", "reload_good", "reload_text", "last_error",
 * "last_error_at", "sockets_good", "sockets_text". state: "running" */
void health_write(struct json *j, const char *state);

/* The same as metrics. */
void health_metrics(FILE *to);

/* Serve pages where listen (unless ""), which is the setting key, says. When
 * that can't be done, the log says so and *h_r is NULL: monitoring is no reason
 * not to work. */
struct http;
struct http_page;
void health_serve(const char *key, const char *listen, gid_t gid,
    const struct http_page *pages, struct http **h_r);

#endif
