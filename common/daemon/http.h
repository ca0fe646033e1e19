/* SPDX-License-Identifier: ISC */
/* http - a few pages for monitoring, served by libmicrohttpd on a Unix socket
 * or a loopback address. GET and HEAD only, 16 connections at most; nothing
 * that a client sends is kept. The only file with <microhttpd.h> is http.c. */
#ifndef POPGATE_HTTP_H
#define POPGATE_HTTP_H

#include <stdio.h>
#include <sys/types.h>

struct err;
struct http;
struct http_request; /* one that is being answered */

struct http_page {
	const char *path; /* "/health" */
	const char *type; /* its Content-Type */
	/* Write the page. Called by the server's own thread, one at a time
	 * for each server. Returns 0, or -1: the client gets 500. */
	int (*write)(FILE *to);
	/* Instead of write, for a page that answers a question. */
	int (*answer)(FILE *to, const struct http_request *request);
};

/* An argument of the request's URL, decoded; NULL: it has none of that name.
 * Lives as long as the request. */
const char *http_argument(const struct http_request *request, const char *name);

/* Listen and serve in threads of its own until http_close(). A Unix socket
 * gets mode 0660. Where descriptors run out, those who connect wait.
 *   key     the setting listen is from (sockets.h)
 *   gid     its group; (gid_t)-1: the process's own, or that of a setgid
 *           directory
 *   listen  borrowed; not ""
 *   pages   borrowed until http_close(); ended by one without a path
 * 0, or -1 with err. */
int http_open(const char *key, const char *listen, gid_t gid,
    const struct http_page *pages, struct http **h_r, struct err *err);

/* Stops and removes the socket. NULL-safe; sets NULL. */
void http_close(struct http **h);

/* "0.9.75" */
const char *http_library_version(void);

#endif
