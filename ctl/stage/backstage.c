/* SPDX-License-Identifier: ISC */
#include "ctl/stage/backstage.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/run.h"
#include "common/config/config.h"
#include "ctl/stage/first.h"
#include "ctl/stage/loopback.h"
#include "ctl/stage/stage.h"

enum { LOOK_MS = 10 };

/* The answer, with a descriptor or -1, which is closed. */
static void
answer(const struct first *f, const struct backstage_answer *a, int fd)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)a,
		.iov_len = sizeof(*a) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd != -1) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		control.head =
		    (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)),
			    .cmsg_level = SOL_SOCKET,
			    .cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	}
	if (sendmsg(f->sock, &msg, MSG_NOSIGNAL) == -1)
		_exit(1);
	if (fd != -1)
		(void)close(fd);
}

/* A file in memory with these bytes; -1 with err. */
static int
file_of(const void *data, size_t len, struct err *err)
{
	int fd = memfd_create("answer", MFD_CLOEXEC);
	const char *p = data;

	while (fd != -1 && len > 0) {
		ssize_t n = write(fd, p, len);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0) {
			(void)close(fd);
			fd = -1;
			break;
		}
		p += n;
		len -= (size_t)n;
	}
	if (fd == -1)
		err_set(err, ERR_IO, "a file in memory: %s", strerror(errno));
	return fd;
}

static socklen_t
socket_address(
    const struct addr *addr, unsigned port, struct sockaddr_storage *ss)
{
	struct sockaddr_in6 *six = (void *)ss;
	struct sockaddr_in *four = (void *)ss;

	memset(ss, 0, sizeof(*ss));
	if (addr->family == ADDR_IPV6) {
		six->sin6_family = AF_INET6;
		six->sin6_port = htons((uint16_t)port);
		memcpy(&six->sin6_addr, addr->bytes, 16);
		return sizeof(*six);
	}
	four->sin_family = AF_INET;
	four->sin_port = htons((uint16_t)port);
	memcpy(&four->sin_addr, addr->bytes, 4);
	return sizeof(*four);
}

/* A socket from one address of the room to another; -1 with err. Loopback
 * answers at once, so that nothing here waits. */
static int
connect_from(const struct addr *from, const struct addr *to, unsigned port,
    struct err *err)
{
	struct sockaddr_storage a, b;
	socklen_t a_len = socket_address(from, 0, &a);
	socklen_t b_len = socket_address(to, port, &b);
	int fd = socket(a.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const int on = 1;
	socklen_t len = sizeof(a);
	char text[ADDR_TEXT_MAX];
	struct addr used = { 0 };

	/* a stranger's address is routed to loopback, but nobody's own */
	if (fd != -1 && from->family == ADDR_IPV6)
		(void)setsockopt(
		    fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof(on));
	if (fd != -1 && bind(fd, (const struct sockaddr *)&a, a_len) == 0 &&
	    connect(fd, (const struct sockaddr *)&b, b_len) == 0) {
		/* a multicast address is silently replaced by a trusted one */
		if (getsockname(fd, (struct sockaddr *)&a, &len) == 0 &&
		    addr_from_sockaddr((const struct sockaddr *)&a, &used) &&
		    addr_equal(&used, from))
			return fd;
		err_set(err, ERR_INVALID, "%s: no client has this address",
		    addr_format(from, text));
	} else {
		err_set(err, ERR_IO, "connect to %s, port %u: %s",
		    addr_format(to, text), port, strerror(errno));
	}
	if (fd != -1)
		(void)close(fd);
	return -1;
}

static int
where(const struct first *f, const struct backstage_request *r, struct addr *to,
    unsigned *port, struct backstage_answer *a)
{
	const struct network_set *own = f->spec->addresses;

	return f->spec->mta == STAGE_POSTFIX
	    ? postfix_copy_where(&f->postfix, own, r->words, &r->addr, to, port,
		  &a->tls, &a->err)
	    : daemon_copy_where(&f->daemon, own, r->words, &r->addr, to, port,
		  &a->tls, &a->err);
}

static int
do_connect(struct first *f, const struct backstage_request *r,
    struct backstage_answer *a)
{
	struct addr to, nobody = { 0 };
	size_t name = strlen(r->words) + 1;
	unsigned port;

	if (strcmp(r->words + name, STAGE_NO_NAME) == 0)
		names_client(&f->share->names, "", &r->addr);
	else if (r->words[name] == STAGE_CLAIMS)
		names_claim(&f->share->names, r->words + name + 1, &r->addr);
	else if (r->words[name] != '\0')
		names_client(&f->share->names, r->words + name, &r->addr);
	for (size_t i = name + strlen(r->words + name) + 1; i < r->words_len;
	     i += strlen(r->words + i) + 1)
		names_add(&f->share->names, r->words + i, &nobody);
	a->hops = f->hops;
	if (loopback_stranger(&r->addr, &a->err) == -1 ||
	    where(f, r, &to, &port, a) == -1)
		return -1;
	return connect_from(&r->addr, &to, port, &a->err);
}

static int
do_run(const struct backstage_request *r, struct backstage_answer *a)
{
	enum { WORDS = 255 };
	char *argv[WORDS + 1];
	size_t n = 0;

	for (size_t i = 0; i < r->words_len && n < WORDS;
	     i += strlen(r->words + i) + 1)
		argv[n++] = (char *)(uintptr_t)(r->words + i);
	argv[n] = NULL;
	char *out = run_read(argv, NULL, RUN_TIMEOUT_S, &a->err);
	int fd = out == NULL ? -1 : file_of(out, strlen(out), &a->err);

	free(out);
	return fd;
}

static int
do_decisions(const struct first *f, const struct backstage_request *r,
    struct backstage_answer *a)
{
	const struct timespec tick = { .tv_nsec = LOOK_MS * 1000000L };
	int64_t until_ms = clock_monotonic_ms() + f->spec->timeout_ms;
	struct stage_decision *v = NULL;

	while ((a->number = stage_gate_decisions(&v, &a->err)) < r->number &&
	    a->number != -1 && clock_monotonic_ms() < until_ms) {
		free(v);
		(void)nanosleep(&tick, NULL);
	}
	int fd = a->number == -1
	    ? -1
	    : file_of(v, (size_t)a->number * sizeof(*v), &a->err);

	free(v);
	return fd;
}

static int
do_popgate(struct first *f, bool up, struct err *err)
{
	if (f->gate.cfg == NULL) {
		err_set(err, ERR_INVALID, "this copy has no popgate");
		return -1;
	}
	if (up)
		return stage_gate_start(&f->gate, f->spec->timeout_ms, err);
	stage_gate_kill(&f->gate);
	return 0;
}

/* The log of syslog(3) and popgate-milter, and that of Postfix's own file. */
static int
do_log(const struct first *f, struct err *err)
{
	const char *const paths[] = { SERVANT_LOG, f->own_log };
	int to = file_of("", 0, err);
	char buf[4096];

	for (size_t i = 0; i < 2 && to != -1; i++) {
		int fd = *paths[i] == '\0'
		    ? -1
		    : open(paths[i], O_RDONLY | O_CLOEXEC);
		ssize_t n;

		while (fd != -1 && (n = read(fd, buf, sizeof(buf))) > 0)
			(void)!write(to, buf, (size_t)n);
		if (fd != -1)
			(void)close(fd);
	}
	return to;
}

static bool
same_endpoint(
    const struct postfix_endpoint *a, const struct postfix_endpoint *b)
{
	return a->is_unix == b->is_unix &&
	    (a->is_unix ? strcmp(a->path, b->path) == 0
			: a->port == b->port && strcmp(a->host, b->host) == 0);
}

static int64_t
times_asked(const struct first *f, const char *word)
{
	struct postfix_endpoint e;

	if (!postfix_endpoint_parse(word, &e)) {
		/* smtpd_sasl_path */
		e = (struct postfix_endpoint){ .is_unix = true };
		(void)snprintf(e.path, sizeof(e.path), "%.299s", word);
	}
	for (size_t i = 0; i < f->share->n_asked; i++)
		if (same_endpoint(&f->share->asked[i].named, &e))
			return atomic_load(&f->share->asked[i].times);
	return -1;
}

/* Do what was asked, and answer. */
static void
serve(struct first *f, const struct backstage_request *r)
{
	struct backstage_answer a = { .ok = true };
	uint8_t prefix =
	    f->gate.cfg == NULL ? 128 : (uint8_t)f->gate.cfg->relay.ipv6_prefix;
	int fd = -1;

	switch (r->op) {
	case BACKSTAGE_CONNECT:
		a.ok = (fd = do_connect(f, r, &a)) != -1;
		break;
	case BACKSTAGE_ASKED:
		a.number = times_asked(f, r->words);
		break;
	case BACKSTAGE_LOGIN:
		a.ok =
		    stage_gate_login(&r->addr, r->words, prefix, &a.err) == 0;
		break;
	case BACKSTAGE_POPGATE:
		a.ok = do_popgate(f, r->up, &a.err) == 0;
		break;
	case BACKSTAGE_RUN:
		a.ok = (fd = do_run(r, &a)) != -1;
		break;
	case BACKSTAGE_LOG:
		a.ok = (fd = do_log(f, &a.err)) != -1;
		break;
	case BACKSTAGE_DECISIONS:
		a.ok = (fd = do_decisions(f, r, &a)) != -1;
		break;
	}
	answer(f, &a, fd);
}

/* The copy inherits nothing of the caller's environment but the way to the
 * programs. */
static void
clean_environment(void)
{
	(void)clearenv();
	(void)setenv("PATH",
	    "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin", 1);
	(void)setenv("LC_ALL", "C", 1);
	(void)setenv("TZ", "UTC", 1);
}

/* Orphans of the room come to its first process. */
static void
reap(struct first *f)
{
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
		if (pid == f->gate.pid)
			f->gate.pid = 0;
}

_Noreturn void
backstage(const struct stage_spec *spec, int sock, int machine)
{
	static struct backstage_request request;
	struct first f = { .spec = spec,
		.sock = sock,
		.log = -1,
		.machine = machine,
		.own_log = "" };
	struct backstage_answer ready = { 0 };

	clean_environment();
	(void)signal(SIGPIPE, SIG_IGN);
	ready.ok = first_ready(&f, &ready.err) == 0;
	answer(&f, &ready, f.log == -1 ? -1 : do_log(&f, &ready.err));
	for (;;) {
		ssize_t n = recv(sock, &request, sizeof(request), 0);

		if (n == -1 && errno == EINTR)
			continue;
		if (n < (ssize_t)offsetof(struct backstage_request, words))
			_exit(0);
		reap(&f);
		serve(&f, &request);
	}
}
