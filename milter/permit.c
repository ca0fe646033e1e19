#include "milter/permit.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
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
#include "milter/gate.h"
#include "milter/handoff.h"
#include "milter/owed.h"

enum {
	LISTENERS_MAX = 2,
	HELD_MAX_MS = 8000, /* as long as the milter waits for the disk */
	TICK_MS = 500,
	SAY_EVERY_MS = 1000,
	SAY_UNASKED_MS = 60000,
	/* an aborted message isn't asked about at DATA either */
	UNASKED_SAY = 20
};

struct connection {
	struct connection *next, *prev;
	int fd;
	enum protocol_kind kind;
	char in[PROTOCOL_FRAME_MAX];
	size_t in_len;
	char out[PROTOCOL_REPLY_MAX];
	size_t out_len, out_at;
	bool closing; /* close when out is written */
	bool eof; /* close when all requests are answered */
	/* a reply that waits for the disk */
	uint64_t ticket; /* 0: none */
	bool until_written; /* not for the disk: it will be asked again */
	/* at DATA: of the message, and what it was asked with */
	uint64_t first, last; /* 0: it isn't DATA */
	struct covered_recipients recipients;
	struct addr client;
	char queue_id[OWED_NAME_MAX];
	int64_t held_ms;
	char failed[PROTOCOL_REPLY_MAX]; /* to say if the rows are lost */
	/* the message that the newest policy request was about, by its
	 * instance attribute */
	char instance[OWED_NAME_MAX];
	struct limiter_message message;
	unsigned unasked; /* messages in a row that came to no DATA */
	size_t failed_len;
};

static struct {
	struct {
		int fd;
		enum protocol_kind kind;
	} listener[LISTENERS_MAX];
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
	atomic_int_fast64_t unasked_ms; /* when we said that of DATA */
	unsigned unasked; /* messages in a row, of all connections */
	uint64_t requests;
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

/* A new message, or the end: was the one before asked about at DATA, as was
 * promised? An aborted one never is. A new connection begins with what the
 * others did last: most are of smtpds that take a message or two. */
static void
count_unasked(struct connection *c)
{
	const struct owed *m = owed_find(c->instance);

	if (m == NULL)
		return;
	c->unasked = m->asked ? 0 : c->unasked + 1;
	permit.unasked = m->asked ? 0 : permit.unasked + 1;
	unsigned n = c->unasked > permit.unasked ? c->unasked : permit.unasked;

	if (n >= UNASKED_SAY && log_due(&permit.unasked_ms, SAY_UNASKED_MS))
		log_msg(LOG_WARNING,
		    "permit channel: Postfix didn't ask at DATA about the last "
		    "%u messages, as policy_context promises: until it does, "
		    "each recipient waits for the disk. smtpd_data_restrictions "
		    "needs the check_policy_service that 'popgatectl wiring "
		    "postfix' prints, also where master.cf overrides it",
		    n);
}

static void
connection_close(struct connection *c)
{
	/* when we end, messages are under way */
	if (!permit_ending)
		count_unasked(c);
	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		permit.first = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
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
	while (c->out_at < c->out_len) {
		ssize_t n = send(c->fd, c->out + c->out_at,
		    c->out_len - c->out_at, MSG_NOSIGNAL);

		if (n > 0) {
			c->out_at += (size_t)n;
		} else if (errno == EAGAIN) {
			connection_watch(c, EPOLLOUT);
			return true;
		} else if (errno != EINTR) {
			connection_close(c);
			return false;
		}
	}
	c->out_at = c->out_len = 0;
	if (c->closing) {
		connection_close(c);
		return false;
	}
	return true;
}

/* What the session proved by its certificate; NULL: nothing. */
static const struct certificate *
certificate(const struct protocol_request *p, struct certificate *c)
{
	bool good = p->kind == PROTOCOL_POLICY
	    ? certificate_from_postfix(c, true, p->cert_subject, p->cert_issuer,
		  p->cert_digest, p->cert_key)
	    : certificate_from_sendmail(c, p->verify, p->cert_subject,
		  p->cert_issuer, p->cert_digest);

	return good ? c : NULL;
}

/* The client's; 0: not known. */
static uint16_t
port_of(const struct protocol_request *p)
{
	char *end;
	unsigned long port = strtoul(p->client_port, &end, 10);

	return *end == '\0' && port <= UINT16_MAX ? (uint16_t)port : 0;
}

/* Postfix doesn't tell its milters what it told us. Over a Unix socket only:
 * its mode says who is an MTA, while any local user may claim on an inet
 * socket that his own connection showed a certificate. */
static void
hand_over(const struct connection *c, const struct protocol_request *p,
    const struct addr *client)
{
	int domain = AF_UNSPEC;
	socklen_t len = sizeof(domain);
	const struct handoff h = { .client = *client,
		.sender = p->sender,
		.recipient = p->recipient,
		.port = port_of(p) };

	if (p->kind == PROTOCOL_POLICY && p->has_sender &&
	    getsockopt(c->fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 &&
	    domain == AF_UNIX)
		handoff_give(&h, clock_monotonic_ms());
}

/* Postfix names the message; what it has relayed of it so far. NULL where
 * the protocol doesn't say. */
static struct limiter_message *
message_of(struct connection *c, const struct protocol_request *p)
{
	if (p->kind != PROTOCOL_POLICY || *p->session == '\0')
		return NULL;
	if (strlen(p->session) >= sizeof(c->instance) ||
	    strcmp(p->session, c->instance) != 0) {
		count_unasked(c);
		(void)snprintf(
		    c->instance, sizeof(c->instance), "%s", p->session);
		c->message = (struct limiter_message){ .counted = false };
	}
	return &c->message;
}

/* What to say instead when the rows are lost: from then on the reply may be
 * held. */
static void
prepare_failure(struct connection *c, const struct protocol_request *p,
    const struct gate_config *gc)
{
	c->failed_len = protocol_reply(p, ANSWER_REFUSE, "451", "4.3.0",
	    gc->cfg->reply.unavailable, c->failed);
	c->held_ms = clock_monotonic_ms();
}

static void
say_failure(struct connection *c)
{
	memcpy(c->out, c->failed, c->failed_len);
	c->out_len = c->failed_len;
}

/* Submit the row of a recipient; c->ticket when the reply waits for it. A
 * message that is asked about again at DATA waits there for the disk, once for
 * all its recipients; until then its rows need only outlive us. */
static void
submit(struct connection *c, const struct protocol_request *p,
    const struct gate_config *gc, struct audit_row *row, bool permit_it,
    bool *ok_r)
{
	struct owed *m = permit_it && gc->cfg->audit.durable &&
		strcmp(p->context, PROTOCOL_ASKED_AT_DATA) == 0
	    ? owed_get(p->session, clock_monotonic_ms())
	    : NULL;

	c->until_written = m != NULL && c->unasked == 0;
	if (c->until_written) {
		c->ticket = gate_submit_written(row);
		*ok_r = c->ticket != 0;
	} else {
		c->ticket = gate_submit(gc, row, permit_it, ok_r);
	}
	if (m != NULL && c->ticket != 0)
		owed_add(m, c->ticket, p->recipient);
}

/* DATA: the reply waits until what was permitted of the message is on disk,
 * and the file that it is in still has its name. Nothing of it was permitted,
 * or by a process before us, whose rows were brought to the disk when we
 * opened the file: nothing to wait for. */
static void
answer_data(struct connection *c, const struct protocol_request *p)
{
	struct owed *m = owed_find(p->session);

	c->out_len = protocol_reply(p, ANSWER_NONE, "", "", "", c->out);
	if (m == NULL)
		return;
	m->asked = true;
	if (m->last == 0)
		return;
	struct gate_config *gc = gate_config_take();

	prepare_failure(c, p, gc);
	gate_config_give(gc);
	c->ticket = gate_sync();
	c->first = m->first;
	c->last = m->last;
	c->recipients = m->recipients;
	(void)addr_parse_loose(p->client, &c->client);
	(void)snprintf(c->queue_id, sizeof(c->queue_id), "%s", p->queue_id);
	c->until_written = false;
	/* stopping: nothing more is written */
	if (c->ticket == 0 &&
	    gate_ticket_range(m->first, m->last) != AUDIT_DURABLE)
		say_failure(c);
}

/* Ask the gate. The reply is in c->out, held when it waits for the disk. */
static void
answer(struct connection *c, const struct protocol_request *p)
{
	struct gate_config *gc = gate_config_take();
	struct certificate shown;
	struct decide_answer a;
	char session[48];
	bool ok = true;

	(void)snprintf(session, sizeof(session), "%s%" PRIx64,
	    *p->session == '\0' ? "permit-" : "", ++permit.requests);
	struct gate_request req = { .q = { .sender =
					       p->has_sender ? p->sender : NULL,
					.recipient = p->recipient,
					.auth_type = p->auth_type,
					.auth_user = p->auth_user,
					.certificate = certificate(p, &shown) },
		.client_name = p->client_name,
		.helo = p->helo,
		.queue_id = p->queue_id,
		.session = *p->session == '\0' ? session : p->session,
		.mta = p->kind == PROTOCOL_SOCKETMAP && p->map == MAP_SENDMAIL
		    ? "Sendmail"
		    : "Postfix",
		.message = message_of(c, p),
		.port = port_of(p),
		.channel = p->kind == PROTOCOL_POLICY ? CHANNEL_POLICY
						      : CHANNEL_SOCKETMAP };

	(void)addr_parse_loose(p->client, &req.q.client);
	gate_decide(gc, &req, &a);
	struct audit_row *row = gate_row(gc, &req, &a);
	bool permit_it = a.decision.verdict == VERDICT_ACCEPT && !a.local;

	if (permit_it && a.decision.reason == REASON_CERTIFICATE)
		hand_over(c, p, &req.q.client);
	if (permit_it && row == NULL)
		ok = false;
	if (row != NULL)
		submit(c, p, gc, row, permit_it, &ok);
	if (permit_it)
		prepare_failure(c, p, gc);
	/* Ours: the MTA knows itself, and better, whether to deliver here. */
	c->out_len = protocol_reply(p,
	    permit_it && ok       ? ANSWER_PERMIT
		: a.refuse || !ok ? ANSWER_REFUSE
				  : ANSWER_NONE,
	    ok ? a.code : "451", ok ? a.status : "4.3.0",
	    ok ? a.text : gc->cfg->reply.unavailable, c->out);
	if (!ok)
		c->ticket = 0;
	gate_config_give(gc);
}

/* BDAT is called DATA, too. */
static bool
at_data(const struct protocol_request *req)
{
	return req->kind == PROTOCOL_POLICY && strcmp(req->state, "DATA") == 0;
}

/* A policy request at another stage than RCPT has no recipient; and Postfix
 * looks a client up in a map by name before it does by address. */
static bool
nothing_to_decide(const struct protocol_request *req)
{
	struct addr addr;

	if (req->kind == PROTOCOL_POLICY)
		return strcmp(req->state, "RCPT") != 0 ||
		    *req->recipient == '\0';
	return req->map == MAP_CLIENT && !addr_parse_loose(req->client, &addr);
}

/* Take requests from the buffer, one at a time while no reply is held.
 * Returns false when the connection is gone. */
static bool
connection_serve(struct connection *c)
{
	struct protocol_request req;
	const char *why;
	size_t used;

	while (c->ticket == 0 && c->out_len == 0 && c->in_len > 0) {
		switch (protocol_parse(
		    c->kind, c->in, c->in_len, &req, &used, &why)) {
		case PROTOCOL_MORE:
			if (c->in_len < sizeof(c->in) && !c->eof)
				return true;
			why = c->eof ? "end of file within a request"
				     : "request longer than 8192 bytes";
			/* FALLTHROUGH */
		case PROTOCOL_BAD:
			complain(c, why);
			c->out_len = protocol_reply(
			    &req, ANSWER_BAD, "", "", "", c->out);
			c->closing = true;
			return connection_write(c);
		case PROTOCOL_REQUEST:
			break;
		}
		c->last = 0;
		if (at_data(&req))
			answer_data(c, &req);
		else if (nothing_to_decide(&req))
			c->out_len = protocol_reply(
			    &req, ANSWER_NONE, "", "", "", c->out);
		else
			answer(c, &req);
		c->in_len -= used;
		memmove(c->in, c->in + used, c->in_len);
		if (c->ticket == 0 && !connection_write(c))
			return false;
	}
	if (c->eof && c->ticket == 0 && c->out_len == 0) {
		connection_close(c);
		return false;
	}
	return true;
}

static void
connection_read(struct connection *c)
{
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

/* The low numbers are libmilter's, which gets none of the others. Where there
 * is no other the low one will do. */
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
accept_one(int listener, enum protocol_kind kind)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd == -1) {
		/* the connection stays readable: without a rest this would
		 * be a loop at full speed */
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
		    errno == ENOMEM) {
			log_msg(LOG_ERR, "permit channel: accept: %s",
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
			    "permit channel: no room for one "
			    "more connection than %u",
			    permit.max);
		(void)close(fd);
		free(c);
		return;
	}
	c->fd = fd;
	c->kind = kind;
	c->unasked = permit.unasked;
	c->next = permit.first;
	if (c->next != NULL)
		c->next->prev = c;
	permit.first = c;
	permit.n++;
}

/* Send the replies whose rows are on disk, or lost, or late. */
static void
release_held(void)
{
	struct connection *next;
	int64_t now_ms = clock_monotonic_ms();

	for (struct connection *c = permit.first; c != NULL; c = next) {
		next = c->next;
		if (c->ticket == 0)
			continue;
		enum audit_state state = gate_ticket_state(c->ticket);
		bool kept = state == AUDIT_DURABLE ||
		    (state == AUDIT_WRITTEN && c->until_written);
		bool settled = kept || state == AUDIT_LOST;

		if (!settled && now_ms - c->held_ms < HELD_MAX_MS)
			continue;
		if (settled && c->last != 0) {
			kept = gate_ticket_range(c->first, c->last) ==
			    AUDIT_DURABLE;
			if (kept)
				covered_give(
				    &c->recipients, &c->client, c->queue_id);
		}
		if (!kept)
			say_failure(c);
		if (c->in_len == sizeof(c->in) && !c->eof)
			connection_watch(c, EPOLLIN);
		c->ticket = 0;
		if (connection_write(c))
			(void)connection_serve(c);
	}
}

/* Who waits for the disk is about to be answered: not before that is he left
 * alone. Nobody is listened to any more. */
static void
release_last(void)
{
	int64_t until_ms = clock_monotonic_ms() + HELD_MAX_MS;
	bool held;

	do {
		held = false;
		for (struct connection *c = permit.first; c != NULL;
		     c = c->next) {
			held |= c->ticket != 0;
			/* no request after this one is answered */
			c->closing = true;
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
				accept_one(permit.listener[l].fd,
				    permit.listener[l].kind);
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
	owed_free();
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

int
permit_listen(int fd, enum protocol_kind kind, struct err *err)
{
	unsigned i = permit.n_listeners;
	struct epoll_event ev = { .events = EPOLLIN };

	if (make_epoll(err) == -1)
		return -1;
	permit.listener[i].fd = fd;
	permit.listener[i].kind = kind;
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

int
permit_start(struct err *err)
{
	if (permit.n_listeners == 0)
		return 0;
	owed_init(gate_ticket_range);
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
