/* SPDX-License-Identifier: ISC */
#include "common/daemon/http.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/listen.h"
#include "common/base/sockets.h"

enum {
	CONNECTIONS_MIN = 2,
	CONNECTIONS_MAX = 16,
	/* of the descriptors that we may have, for one server */
	PART = 32,
	TIMEOUT_S = 10,
	REST_MS = 200,
	NEVER_REACHED = 1000,
	SOCKET_MODE = 0660
};

struct http_request {
	struct MHD_Connection *connection;
};

/* One thread of our own accepts connections, counts them and lets libmicrohttpd
 * serve them. libmicrohttpd's own would loop at full speed where descriptors
 * run out, and 0.9.75 locks itself out when it gets more connections than its
 * limit. */
struct http {
	struct MHD_Daemon *daemon;
	struct listen_spec spec;
	const struct http_page *pages;
	int fd, wake, epoll;
	unsigned max; /* connections */
	unsigned n; /* of the thread */
	bool resting; /* of the thread: the last one could not be accepted */
	atomic_bool ending;
	pthread_t thread;
};

/* Keeps libmicrohttpd from writing to stderr. What goes wrong in a request is
 * its client's business. */
static void
say_nothing(void *arg, const char *fmt, va_list ap)
{
	(void)arg;
	(void)fmt;
	(void)ap;
}

static enum MHD_Result
reply(struct MHD_Connection *connection, unsigned status, const char *type,
    const char *text, size_t len, enum MHD_ResponseMemoryMode mode)
{
	struct MHD_Response *response =
	    MHD_create_response_from_buffer(len, (void *)(uintptr_t)text, mode);

	if (response == NULL) {
		if (mode == MHD_RESPMEM_MUST_FREE)
			free((void *)(uintptr_t)text);
		return MHD_NO;
	}
	(void)MHD_add_response_header(
	    response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	(void)MHD_add_response_header(
	    response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		(void)MHD_add_response_header(
		    response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	enum MHD_Result rc = MHD_queue_response(connection, status, response);

	MHD_destroy_response(response);
	return rc;
}

static enum MHD_Result
reply_words(
    struct MHD_Connection *connection, unsigned status, const char *words)
{
	return reply(connection, status, "text/plain; charset=utf-8", words,
	    strlen(words), MHD_RESPMEM_PERSISTENT);
}

const char *
http_argument(const struct http_request *request, const char *name)
{
	return MHD_lookup_connection_value(
	    request->connection, MHD_GET_ARGUMENT_KIND, name);
}

static int
write_page(
    FILE *to, const struct http_page *page, struct MHD_Connection *connection)
{
	const struct http_request request = { .connection = connection };

	assert((page->write != NULL) != (page->answer != NULL));
	return page->write != NULL ? page->write(to)
				   : page->answer(to, &request);
}

static enum MHD_Result
answer(void *arg, struct MHD_Connection *connection, const char *url,
    const char *method, const char *version, const char *body, size_t *body_len,
    void **state)
{
	static char seen; /* its address: the headers are in */
	const struct http *h = arg;
	const struct http_page *page = h->pages;
	char *text = NULL;
	size_t len = 0;

	(void)version;
	(void)body;
	if (*state == NULL) {
		*state = &seen;
		return MHD_YES;
	}
	/* nobody has anything to tell us */
	if (*body_len > 0)
		return MHD_NO;
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 &&
	    strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return reply_words(
		    connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET only\n");
	while (page->path != NULL && strcmp(page->path, url) != 0)
		page++;
	if (page->path == NULL)
		return reply_words(
		    connection, MHD_HTTP_NOT_FOUND, "no such page\n");
	FILE *out = open_memstream(&text, &len);
	int rc = out == NULL ? -1 : write_page(out, page, connection);

	if (out != NULL && fclose(out) != 0)
		rc = -1;
	if (rc == 0)
		return reply(connection, MHD_HTTP_OK, page->type, text, len,
		    MHD_RESPMEM_MUST_FREE);
	free(text);
	return reply_words(connection, MHD_HTTP_INTERNAL_SERVER_ERROR,
	    "this can't be said now\n");
}

static unsigned
connections_max(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == -1 ||
	    files.rlim_cur / PART > CONNECTIONS_MAX)
		return CONNECTIONS_MAX;
	return files.rlim_cur / PART < CONNECTIONS_MIN
	    ? CONNECTIONS_MIN
	    : (unsigned)(files.rlim_cur / PART);
}

static void
wake(void *arg)
{
	const struct http *h = arg;
	uint64_t one = 1;

	(void)!write(h->wake, &one, sizeof(one));
}

static void
notice(void *arg, struct MHD_Connection *connection, void **context,
    enum MHD_ConnectionNotificationCode code)
{
	struct http *h = arg;

	(void)connection;
	(void)context;
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		h->n++;
	else
		h->n--;
}

static void
accept_one(struct http *h)
{
	struct sockaddr_storage peer = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(peer);
	int fd = accept4(h->fd, (struct sockaddr *)&peer, &len,
	    SOCK_CLOEXEC | SOCK_NONBLOCK);

	h->resting = fd == -1;
	if (fd != -1) /* which is closed when that fails */
		(void)MHD_add_connection(
		    h->daemon, fd, (struct sockaddr *)&peer, len);
}

/* How long to wait for anything to happen; -1: for ever. */
static int
wait_ms(const struct http *h)
{
	MHD_UNSIGNED_LONG_LONG ms;
	int most = h->resting ? REST_MS : -1;

	if (MHD_get_timeout(h->daemon, &ms) != MHD_YES)
		return most;
	return most != -1 && ms > (unsigned)most ? most
	    : ms > INT_MAX                       ? INT_MAX
						 : (int)ms;
}

static void *
serve_thread(void *arg)
{
	struct http *h = arg;
	uint64_t ticks;

	while (!atomic_load(&h->ending)) {
		bool takes = h->n < h->max && !h->resting;
		struct pollfd pfd[] = { { .fd = h->wake, .events = POLLIN },
			{ .fd = h->epoll, .events = POLLIN },
			{ .fd = takes ? h->fd : -1, .events = POLLIN } };

		(void)poll(pfd, 3, wait_ms(h));
		h->resting = false;
		if (pfd[0].revents != 0)
			(void)!read(h->wake, &ticks, sizeof(ticks));
		if (pfd[2].revents != 0)
			accept_one(h);
		(void)MHD_run(h->daemon);
	}
	return NULL;
}

static int
start(struct http *h, const char *listen, struct err *err)
{
	const union MHD_DaemonInfo *info = NULL;

	h->max = connections_max();
	h->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	h->daemon = MHD_start_daemon(
	    MHD_USE_EPOLL | MHD_USE_ERROR_LOG | MHD_USE_NO_LISTEN_SOCKET, 0,
	    NULL, NULL, answer, h, MHD_OPTION_EXTERNAL_LOGGER, say_nothing,
	    NULL, MHD_OPTION_CONNECTION_LIMIT, (unsigned)NEVER_REACHED,
	    MHD_OPTION_NOTIFY_CONNECTION, notice, h,
	    MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)TIMEOUT_S, MHD_OPTION_END);
	if (h->daemon != NULL)
		info = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (info != NULL)
		h->epoll = info->epoll_fd;
	if (info != NULL && h->wake != -1 &&
	    pthread_create(&h->thread, NULL, serve_thread, h) == 0)
		return 0;
	err_set(err, ERR_IO, "%s: libmicrohttpd can't serve it", listen);
	if (h->daemon != NULL)
		MHD_stop_daemon(h->daemon);
	if (h->wake != -1)
		(void)close(h->wake);
	return -1;
}

int
http_open(const char *key, const char *listen, gid_t gid,
    const struct http_page *pages, struct http **h_r, struct err *err)
{
	struct http *h = calloc(1, sizeof(*h));

	assert(*listen != '\0' && pages->path != NULL);
	*h_r = NULL;
	if (h == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return -1;
	}
	h->pages = pages;
	if (listen_parse(listen, &h->spec, err) == -1)
		goto fail;
	h->fd = listen_open(&h->spec, SOCKET_MODE, gid, err);
	if (h->fd == -1)
		goto fail;
	sockets_keep(key, &h->spec, h->fd, SOCKET_MODE, gid, wake, h);
	if (start(h, listen, err) == 0) {
		*h_r = h;
		return 0;
	}
	sockets_drop(h->fd);
	(void)close(h->fd);
fail:
	free(h);
	return -1;
}

void
http_close(struct http **h_r)
{
	struct http *h = *h_r;

	*h_r = NULL;
	if (h == NULL)
		return;
	atomic_store(&h->ending, true);
	wake(h);
	(void)pthread_join(h->thread, NULL);
	MHD_stop_daemon(h->daemon);
	sockets_drop(h->fd);
	(void)close(h->fd);
	(void)close(h->wake);
	free(h);
}

const char *
http_library_version(void)
{
	return MHD_get_version();
}
