/* SPDX-License-Identifier: ISC */
#include "milter/permit.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/listen.h"
#include "common/base/log.h"
#include "common/mta/postfix_ask.h"
#include "milter/permit_answer.h"

enum {
	LISTENERS_MAX = 2,
	TICK_MS = 500,
	SAY_EVERY_MS = 1000,
};

struct connection {
	struct connection *next, *prev;
	int fd;
	bool closing; /* close when the reply is written */
	bool eof; /* close when all requests are answered */
	struct protocol_request req; /* the one that is answered, in in */
	size_t used; /* its bytes */
	bool asking; /* req waits for a table of Postfix's */
	char in[PROTOCOL_FRAME_MAX];
	size_t in_len;
	struct permit_peer peer;
	struct permit_reply reply;
	size_t sent; /* bytes of reply */
};

struct listener {
	int fd;
	enum protocol_kind kind;
	bool by_unix;
};

static struct {
	struct listener listener[LISTENERS_MAX];
	unsigned n_listeners;
	int epoll, wake;
	pthread_t thread;
	bool started;
	unsigned max; /* connections */
	atomic_int numbers_from;
	/* the thread's own */
	struct connection *first;
	atomic_uint n; /* others read it */
	bool paused; /* listeners rest: no descriptors left */
	int64_t paused_ms;
	atomic_int_fast64_t said_ms; /* what peers make us say */
} permit = { .epoll = -1, .wake = -1, .max = PERMIT_CONNECTIONS_MAX };

static atomic_bool permit_ending;

static void
complain(const struct connection *c, const char *why)
{
	char peer[LISTEN_PEER_MAX];

	if (log_due(&permit.said_ms, SAY_EVERY_MS))
		log_msg(LOG_WARNING,
		    "permit channel: %s: hanging up on the peer %s", why,
		    listen_peer(c->fd, peer));
}

static void
connection_close(struct connection *c)
{
	assert(permit.n > 0);
	/* when this process ends, messages are under way */
	if (!permit_ending)
		permit_peer_end(&c->peer);
	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		permit.first = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	/* A child that hasn't called exec yet may have a copy of the
	 * descriptor, and epoll would go on to name a connection that is no
	 * more. */
	(void)epoll_ctl(permit.epoll, EPOLL_CTL_DEL, c->fd, NULL);
	(void)close(c->fd);
	free(c);
	permit.n--;
}

static void
connection_watch(struct connection *c, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = c };

	(void)epoll_ctl(permit.epoll, EPOLL_CTL_MOD, c->fd, &ev);
}

/* Write what is there. Returns false when the connection is gone. */
static bool
connection_write(struct connection *c)
{
	assert(c->sent <= c->reply.len);
	while (c->sent < c->reply.len) {
		ssize_t n = send(c->fd, c->reply.text + c->sent,
		    c->reply.len - c->sent, MSG_NOSIGNAL);

		if (n > 0) {
			c->sent += (size_t)n;
		} else if (errno == EAGAIN) {
			connection_watch(c, EPOLLOUT);
			return true;
		} else if (errno != EINTR) {
			connection_close(c);
			return false;
		}
	}
	c->sent = c->reply.len = 0;
	if (c->closing) {
		connection_close(c);
		return false;
	}
	return true;
}

/* The next request in the buffer into c->req, c->used. Returns false when there
 * is none yet, or the connection has ended. */
static bool
connection_parse(struct connection *c, bool *gone_r)
{
	const char *why;

	*gone_r = false;
	switch (protocol_parse(
	    c->peer.kind, c->in, c->in_len, &c->req, &c->used, &why)) {
	case PROTOCOL_MORE:
		if (c->in_len < sizeof(c->in) && !c->eof)
			return false;
		why = c->eof ? "end of file within a request"
			     : "request longer than 8192 bytes";
		/* FALLTHROUGH */
	case PROTOCOL_BAD:
		complain(c, why);
		c->reply.len = protocol_reply(
		    &c->req, ANSWER_BAD, "", "", "", c->reply.text);
		c->closing = true;
		*gone_r = !connection_write(c);
		return false;
	case PROTOCOL_REQUEST:
		break;
	}
	assert(c->used > 0 && c->used <= c->in_len);
	return true;
}

/* Take requests from the buffer, one at a time while no reply is held.
 * Returns false when the connection is gone. */
static bool
connection_serve(struct connection *c)
{
	bool gone;

	while (c->reply.ticket == 0 && c->reply.len == 0 && c->in_len > 0) {
		/* parsing changes the buffer: only once */
		if (!c->asking && !connection_parse(c, &gone))
			return !gone;
		c->asking = !permit_can_answer(&c->req);
		if (c->asking)
			return true;
		permit_answer(&c->peer, &c->req, &c->reply);
		assert(c->used <= c->in_len);
		c->in_len -= c->used;
		memmove(c->in, c->in + c->used, c->in_len);
		if (c->reply.ticket == 0 && !connection_write(c))
			return false;
	}
	if (c->eof && c->reply.ticket == 0 && c->reply.len == 0) {
		connection_close(c);
		return false;
	}
	return true;
}

static void
connection_read(struct connection *c)
{
	assert(c->in_len < sizeof(c->in));
	ssize_t n =
	    recv(c->fd, c->in + c->in_len, sizeof(c->in) - c->in_len, 0);

	if (n > 0) {
		c->in_len += (size_t)n;
		(void)connection_serve(c);
	} else if (n == 0) {
		/* it may still read: answer what it asked */
		c->eof = true;
		connection_watch(c, 0);
		(void)connection_serve(c);
	} else if (errno != EAGAIN && errno != EINTR) {
		connection_close(c);
	}
}

static void
connection_event(struct connection *c, uint32_t events)
{
	if (events & EPOLLOUT) {
		connection_watch(c, c->eof ? 0 : EPOLLIN);
		if (connection_write(c))
			(void)connection_serve(c);
		return;
	}
	if (events & (EPOLLERR | EPOLLHUP) && !(events & EPOLLIN)) {
		connection_close(c);
		return;
	}
	/* a client that sends on while its reply is held waits its turn */
	if (c->in_len < sizeof(c->in))
		connection_read(c);
	else
		connection_watch(c, 0);
}

static void
pause_listeners(bool pause)
{
	for (unsigned i = 0; i < permit.n_listeners; i++) {
		struct epoll_event ev = { .events = pause ? 0 : EPOLLIN,
			.data.ptr = &permit.listener[i] };

		(void)epoll_ctl(
		    permit.epoll, EPOLL_CTL_MOD, permit.listener[i].fd, &ev);
	}
	permit.paused = pause;
	permit.paused_ms = clock_monotonic_ms();
}

/* Leave the low descriptors to libmilter, which gets no others. Where no higher
 * one is free the low one will do. */
static int
move_up(int fd)
{
	int high =
	    fcntl(fd, F_DUPFD_CLOEXEC, atomic_load(&permit.numbers_from));

	if (high == -1)
		return fd;
	(void)close(fd);
	return high;
}

static void
accept_one(const struct listener *l)
{
	int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd == -1) {
		/* the connection stays readable: without a rest this would
		 * be a loop at full speed */
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
		    errno == ENOMEM) {
			log_msg(LOG_ERR,
			    "permit channel: accept: %s: nobody new is answered for a second: raise LimitNOFILE=, or look at memory",
			    strerror(errno));
			pause_listeners(true);
		}
		return;
	}
	fd = move_up(fd);
	struct connection *c =
	    permit.n < permit.max ? calloc(1, sizeof(*c)) : NULL;
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = c };

	if (c == NULL ||
	    epoll_ctl(permit.epoll, EPOLL_CTL_ADD, fd, &ev) == -1) {
		if (log_due(&permit.said_ms, SAY_EVERY_MS))
			log_msg(LOG_ERR,
			    "permit channel: no room for one more connection than %u: hung up, which the MTA answers with a temporary failure: raise LimitNOFILE=, or let the MTA have fewer processes",
			    permit.max);
		(void)close(fd);
		free(c);
		return;
	}
	c->fd = fd;
	permit_peer_begin(&c->peer, l->kind, l->by_unix);
	c->next = permit.first;
	if (c->next != NULL)
		c->next->prev = c;
	permit.first = c;
	permit.n++;
}

/* Send the replies whose rows are on disk, or lost, or late; and answer the
 * requests for which a table was asked. */
static void
release_held(void)
{
	struct connection *next;

	for (struct connection *c = permit.first; c != NULL; c = next) {
		next = c->next;
		if (!c->asking &&
		    (c->reply.ticket == 0 || !permit_answer_ready(&c->reply)))
			continue;
		if (c->in_len == sizeof(c->in) && !c->eof)
			connection_watch(c, EPOLLIN);
		if (c->asking || connection_write(c))
			(void)connection_serve(c);
	}
}

/* Shutdown: send the replies that wait for the audit's commit, then no more. No
 * new request is read. */
static void
release_last(void)
{
	int64_t until_ms = clock_monotonic_ms() + PERMIT_HELD_MAX_MS;
	bool held;

	do {
		held = false;
		for (struct connection *c = permit.first; c != NULL;
		     c = c->next) {
			held |= c->reply.ticket != 0;
			/* no request after this one is answered */
			c->closing = true;
			c->asking = false;
			c->in_len = 0;
		}
		if (held) {
			struct pollfd pfd = { .fd = permit.wake,
				.events = POLLIN };
			uint64_t ticks;

			(void)poll(&pfd, 1, TICK_MS);
			(void)!read(permit.wake, &ticks, sizeof(ticks));
			release_held();
		}
	} while (held && clock_monotonic_ms() < until_ms);
}

static void *
permit_thread(void *arg)
{
	struct epoll_event events[64];
	uint64_t ticks;

	(void)arg;
	while (!permit_ending) {
		int n = epoll_wait(permit.epoll, events, 64, TICK_MS);

		for (int i = 0; i < n; i++) {
			void *ptr = events[i].data.ptr;
			unsigned l = 0;

			while (l < permit.n_listeners &&
			    ptr != &permit.listener[l])
				l++;
			if (l < permit.n_listeners)
				accept_one(&permit.listener[l]);
			else if (ptr == &permit.wake)
				(void)!read(permit.wake, &ticks, sizeof(ticks));
			else
				connection_event(ptr, events[i].events);
		}
		release_held();
		if (permit.paused &&
		    clock_monotonic_ms() - permit.paused_ms > 1000)
			pause_listeners(false);
	}
	release_last();
	while (permit.first != NULL)
		connection_close(permit.first); /* NOLINT: takes it out */
	permit_answer_stop();
	return NULL;
}

static int
make_epoll(struct err *err)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = &permit.wake };

	if (permit.epoll != -1)
		return 0;
	permit.epoll = epoll_create1(EPOLL_CLOEXEC);
	permit.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (permit.epoll == -1 || permit.wake == -1 ||
	    epoll_ctl(permit.epoll, EPOLL_CTL_ADD, permit.wake, &ev) == -1) {
		err_set(err, ERR_IO, "epoll: %s", strerror(errno));
		return -1;
	}
	return 0;
}

static bool
is_unix(int fd)
{
	int domain = AF_UNSPEC;
	socklen_t len = sizeof(domain);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 &&
	    domain == AF_UNIX;
}

int
permit_listen(int fd, enum protocol_kind kind, struct err *err)
{
	unsigned i = permit.n_listeners;
	struct epoll_event ev = { .events = EPOLLIN };

	assert(i < LISTENERS_MAX && !permit.started);
	if (make_epoll(err) == -1)
		return -1;
	permit.listener[i] = (struct listener){
		.fd = fd,
		.kind = kind,
		.by_unix = is_unix(fd),
	};
	ev.data.ptr = &permit.listener[i];
	if (epoll_ctl(permit.epoll, EPOLL_CTL_ADD, fd, &ev) == -1) {
		err_set(err, ERR_IO, "epoll: %s", strerror(errno));
		return -1;
	}
	permit.n_listeners++;
	return 0;
}

void
permit_moved(void *arg)
{
	(void)arg;
	/* the one that was moved; the others are there already */
	for (unsigned i = 0; i < permit.n_listeners; i++) {
		struct epoll_event ev = { .events = EPOLLIN,
			.data.ptr = &permit.listener[i] };

		(void)epoll_ctl(
		    permit.epoll, EPOLL_CTL_ADD, permit.listener[i].fd, &ev);
	}
}

void
permit_limit(unsigned max)
{
	permit.max = max;
}

void
permit_numbers(int from)
{
	atomic_store(&permit.numbers_from, from);
}

unsigned
permit_connections(void)
{
	return atomic_load(&permit.n);
}

static void
wake(void)
{
	permit_committed(NULL);
}

int
permit_start(struct err *err)
{
	assert(!permit.started);
	if (permit.n_listeners == 0)
		return 0;
	permit_answer_start();
	postfix_ask_notify(wake);
	int rc = pthread_create(&permit.thread, NULL, permit_thread, NULL);

	if (rc != 0) {
		err_set(err, ERR_IO, "thread: %s", strerror(rc));
		return -1;
	}
	permit.started = true;
	return 0;
}

void
permit_stop(void)
{
	if (!permit.started)
		return;
	permit_ending = true;
	permit_committed(NULL);
	(void)pthread_join(permit.thread, NULL);
	for (unsigned i = 0; i < permit.n_listeners; i++)
		(void)close(permit.listener[i].fd);
	permit.started = false;
}

void
permit_committed(void *arg)
{
	uint64_t one = 1;

	(void)arg;
	if (permit.wake != -1)
		(void)!write(permit.wake, &one, sizeof(one));
}
