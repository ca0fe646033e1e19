#include "http.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "listen.h"

enum { CONNECTIONS_MAX = 16, TIMEOUT_S = 10, SOCKET_MODE = 0660 };

struct http {
	struct MHD_Daemon *daemon;
	struct listen_spec spec;
	const struct http_page *pages;
};

/* libmicrohttpd writes to stderr by itself where it isn't told otherwise;
 * what goes wrong here is the client's business. */
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
	int rc = out == NULL ? -1 : page->write(out);

	if (out != NULL && fclose(out) != 0)
		rc = -1;
	if (rc == 0)
		return reply(connection, MHD_HTTP_OK, page->type, text, len,
		    MHD_RESPMEM_MUST_FREE);
	free(text);
	return reply_words(connection, MHD_HTTP_INTERNAL_SERVER_ERROR,
	    "this can't be said now\n");
}

int
http_open(const char *listen, gid_t gid, const struct http_page *pages,
    struct http **h_r, struct err *err)
{
	struct http *h = calloc(1, sizeof(*h));

	*h_r = NULL;
	if (h == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return -1;
	}
	h->pages = pages;
	if (listen_parse(listen, &h->spec, err) == -1)
		goto fail;
	int fd = listen_open(&h->spec, SOCKET_MODE, gid, err);

	if (fd == -1)
		goto fail;
	h->daemon = MHD_start_daemon(
	    MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_AUTO | MHD_USE_ERROR_LOG,
	    0, NULL, NULL, answer, h, MHD_OPTION_EXTERNAL_LOGGER, say_nothing,
	    NULL, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
	    (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
	    (unsigned)TIMEOUT_S, MHD_OPTION_END);
	if (h->daemon != NULL) {
		*h_r = h;
		return 0;
	}
	err_set(err, ERR_IO, "%s: libmicrohttpd can't serve it", listen);
	(void)close(fd);
	if (h->spec.is_unix)
		(void)unlink(h->spec.path);
fail:
	free(h);
	return -1;
}

void
http_close(struct http **h)
{
	if (*h == NULL)
		return;
	MHD_stop_daemon((*h)->daemon); /* closes the socket */
	if ((*h)->spec.is_unix)
		(void)unlink((*h)->spec.path);
	free(*h);
	*h = NULL;
}

const char *
http_library_version(void)
{
	return MHD_get_version();
}
