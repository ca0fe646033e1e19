/* SPDX-License-Identifier: ISC */
#include "ctl/doctor/dnsbl/resolve.h"

#define CARES_NO_DEPRECATED
#include <ares.h>
#include <assert.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/err.h"

/* RFC 1035 sections 3.2.2 and 3.2.4 */
enum { CLASS_IN = 1, TYPE_A = 1, TYPE_TXT = 16 };

enum { TRIES = 2, GIVE_UP = 5, TICK_MS = 50 };

struct resolver {
	ares_channel channel;
	int timeout_ms;
};

/* One question under way. */
struct question {
	bool done;
	int status;
	unsigned char *answer; /* owned */
	int len;
};

int
resolver_open(
    const char *server, int timeout_ms, struct resolver **r_r, struct err *err)
{
	struct ares_options options = {
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES,
		.timeout = timeout_ms,
		.tries = TRIES,
	};
	struct resolver *r = calloc(1, sizeof(*r));
	int status = ARES_ENOMEM;

	assert(timeout_ms > 0);
	if (r == NULL ||
	    (status = ares_library_init(ARES_LIB_INIT_ALL)) != ARES_SUCCESS) {
		err_set(
		    err, ERR_NOMEM, "the resolver: %s", ares_strerror(status));
		free(r);
		return -1;
	}
	r->timeout_ms = timeout_ms;
	status = ares_init_options(&r->channel, &options,
	    ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES);
	if (status != ARES_SUCCESS) {
		err_set(err, ERR_IO, "the resolver: %s", ares_strerror(status));
		ares_library_cleanup();
		free(r);
		return -1;
	}
	if (server != NULL &&
	    (strchr(server, ',') != NULL ||
		ares_set_servers_ports_csv(r->channel, server) !=
		    ARES_SUCCESS)) {
		err_set(err, ERR_INVALID,
		    "'%.100s' is not a name server: expected ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT",
		    server);
		resolver_close(&r);
		return -1;
	}
	*r_r = r;
	return 0;
}

void
resolver_close(struct resolver **r)
{
	if (*r == NULL)
		return;
	ares_destroy((*r)->channel);
	ares_library_cleanup();
	free(*r);
	*r = NULL;
}

static void
answered(void *arg, int status, int timeouts, unsigned char *answer, int len)
{
	struct question *q = arg;

	(void)timeouts;
	q->done = true;
	q->status = status;
	if (answer == NULL || len <= 0)
		return;
	q->answer = malloc((size_t)len);
	if (q->answer == NULL) {
		q->status = ARES_ENOMEM;
		return;
	}
	memcpy(q->answer, answer, (size_t)len);
	q->len = len;
}

/* Wait for the sockets once, not longer than ms or a tick. */
static void
wait_once(struct resolver *r, int ms)
{
	ares_socket_t sockets[ARES_GETSOCK_MAXNUM];
	struct pollfd fds[ARES_GETSOCK_MAXNUM];
	int bits = ares_getsock(r->channel, sockets, ARES_GETSOCK_MAXNUM);
	nfds_t n = 0;

	for (int i = 0; i < ARES_GETSOCK_MAXNUM; i++) {
		short events = 0;

		if (ARES_GETSOCK_READABLE(bits, i))
			events |= POLLIN;
		if (ARES_GETSOCK_WRITABLE(bits, i))
			events |= POLLOUT;
		if (events != 0)
			fds[n++] = (struct pollfd){ .fd = sockets[i],
				.events = events };
	}
	/* Not ares_timeout(): the size of its struct timeval depends, on 32-bit
	 * systems, on how c-ares was built. It looks at its clock when called.
	 */
	int ready = poll(fds, n, ms < TICK_MS ? ms : TICK_MS);

	for (nfds_t i = 0; ready > 0 && i < n; i++) {
		bool in = (fds[i].revents & (POLLIN | POLLERR | POLLHUP)) != 0;
		bool out = (fds[i].revents & (POLLOUT | POLLERR)) != 0;

		if (in || out)
			ares_process_fd(r->channel,
			    in ? fds[i].fd : ARES_SOCKET_BAD,
			    out ? fds[i].fd : ARES_SOCKET_BAD);
	}
	if (ready <= 0) /* what is late */
		ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

static enum resolve_result
ask(struct resolver *r, const char *name, int type, struct question *q,
    struct err *err)
{
	int64_t until_ms =
	    clock_monotonic_ms() + (int64_t)r->timeout_ms * GIVE_UP;

	*q = (struct question){ .status = ARES_ETIMEOUT };
	ares_query(r->channel, name, CLASS_IN, type, answered, q);
	while (!q->done) {
		int64_t left = until_ms - clock_monotonic_ms();

		if (left <= 0)
			ares_cancel(r->channel); /* calls answered() */
		else
			wait_once(r, (int)left);
	}
	if (q->status == ARES_ECANCELLED)
		q->status = ARES_ETIMEOUT;
	switch (q->status) {
	case ARES_SUCCESS:
		return RESOLVE_FOUND;
	case ARES_ENOTFOUND:
	case ARES_ENODATA:
		return RESOLVE_NONE;
	default:
		err_set(err, ERR_IO, "%s", ares_strerror(q->status));
		return RESOLVE_FAILED;
	}
}

/* The result of the parser of the answer. */
static enum resolve_result
parsed(int status, struct err *err)
{
	if (status == ARES_SUCCESS)
		return RESOLVE_FOUND;
	if (status == ARES_ENODATA)
		return RESOLVE_NONE;
	err_set(err, ERR_IO, "%s", ares_strerror(status));
	return RESOLVE_FAILED;
}

enum resolve_result
resolve_a(struct resolver *r, const char *name,
    struct addr v[RESOLVE_ADDRS_MAX], size_t *n_r, struct err *err)
{
	struct ares_addrttl found[RESOLVE_ADDRS_MAX];
	int n = RESOLVE_ADDRS_MAX;
	struct question q;
	enum resolve_result result = ask(r, name, TYPE_A, &q, err);

	assert(*name != '\0');
	*n_r = 0;
	if (result == RESOLVE_FOUND)
		result = parsed(
		    ares_parse_a_reply(q.answer, q.len, NULL, found, &n), err);
	free(q.answer);
	if (result != RESOLVE_FOUND)
		return result;
	for (int i = 0; i < n; i++) {
		v[i] = (struct addr){ .family = ADDR_IPV4 };
		memcpy(v[i].bytes, &found[i].ipaddr, 4);
	}
	*n_r = (size_t)n;
	return n > 0 ? RESOLVE_FOUND : RESOLVE_NONE;
}

enum resolve_result
resolve_txt(struct resolver *r, const char *name, char text[RESOLVE_TEXT_MAX],
    struct err *err)
{
	struct ares_txt_ext *list = NULL;
	struct question q;
	enum resolve_result result = ask(r, name, TYPE_TXT, &q, err);
	size_t n = 0;

	assert(*name != '\0');
	*text = '\0';
	if (result == RESOLVE_FOUND)
		result = parsed(
		    ares_parse_txt_reply_ext(q.answer, q.len, &list), err);
	free(q.answer);
	/* the strings of one record belong together */
	for (const struct ares_txt_ext *t = list;
	     t != NULL && (t == list || !t->record_start); t = t->next)
		for (size_t i = 0; i < t->length && n < RESOLVE_TEXT_MAX - 1;
		     i++)
			text[n++] = t->txt[i] == '\0' ? '?' : (char)t->txt[i];
	text[n] = '\0';
	if (list != NULL)
		ares_free_data(list);
	return result;
}
