/* SPDX-License-Identifier: ISC */
/* health - the pages that a daemon serves for monitoring: /health in JSON on
 * the status socket, /metrics where it is wanted. What both daemons say of
 * themselves stands here; each adds its own. One a process. */
#ifndef POPGATE_HEALTH_H
#define POPGATE_HEALTH_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "common/base/json.h"

/* One flat object; times are Unix seconds. popgate-milter(8) and
 * popgate-collector(8) list its members. */
#define HEALTH_PATH "/health"
/* The page that tells what popgate-milter would answer now; popgate-milter(8)
 * lists the arguments. */
#define WOULD_PATH "/would"

struct http_request;

/* Before the first thread. Strings are borrowed for ever. */
void health_start(const char *daemon, const char *config);

/* A reload has ended. text: what was wrong, or what is in force. Any thread. */
void health_reloaded(bool good, const char *text);

/* From now on the state is "draining". Any thread. */
void health_draining(void);

/* Where the pages are served, and what a daemon adds to them. Strings are
 * borrowed until health_open() returns. */
struct health_pages {
	/* a setting and its value, see listen.h; "": not served */
	const char *status_key, *status;
	const char *metrics_key, *metrics;
	gid_t gid; /* of Unix sockets, see http_open() */
	/* Add members, and metrics. Called by servers' threads, each by one at
	 * a time. add_metrics returns 0, or -1 when it can't say: the client
	 * gets an error instead of the page. */
	void (*add_members)(struct json *j);
	int (*add_metrics)(FILE *to);
	/* The page WOULD_PATH, see http.h; NULL: there is none. */
	int (*write_would)(FILE *to, const struct http_request *request);
};

/* Serve the pages. What can't be served is said in the log, and tried again by
 * health_tick(): monitoring is no reason not to work. After health_start();
 * once until health_close(). */
void health_open(const struct health_pages *pages);

/* Look after all sockets of the process (sockets_tick()), and after pages that
 * could not be served yet. As often as one likes; the thread of health_open().
 */
void health_tick(void);

/* Before what the pages tell of goes away. Nothing when none were served. */
void health_close(void);

#endif
