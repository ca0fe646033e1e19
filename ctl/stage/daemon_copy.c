/* SPDX-License-Identifier: ISC */
#include "ctl/stage/daemon_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "ctl/stage/loopback.h"

enum { LOOK_MS = 10 };

bool
daemon_copy_add(struct daemon_copy *copy, const struct listener *listener)
{
	if (copy->n == LISTENERS_MAX || listener->port == 0)
		return false;
	copy->v[copy->n++] = *listener;
	return true;
}

unsigned
daemon_copy_port(const char *name)
{
	char *end;
	unsigned long n = strtoul(name, &end, 10);
	const struct servent *entry;

	if (*name != '\0' && *end == '\0')
		return n <= 65535 ? (unsigned)n : 0;
	entry = getservbyname(name, "tcp");
	return entry == NULL ? 0 : ntohs((uint16_t)entry->s_port);
}

/* The address of a listener that a client of this family reaches. */
static bool
reach(const struct listener *l, const struct network_set *own,
    enum addr_family family, struct addr *to)
{
	if (l->family != ADDR_NONE && l->family != family)
		return false;
	if (l->addr.family != ADDR_NONE) {
		*to = l->addr;
		return to->family == family;
	}
	for (size_t i = 0; i < own->n; i++)
		if (own->v[i].base.family == family) {
			*to = own->v[i].base;
			return true;
		}
	loopback_address(family, to);
	return true;
}

int
daemon_copy_where(const struct daemon_copy *copy, const struct network_set *own,
    const char *service, const struct addr *client, struct addr *to_r,
    unsigned *port_r, bool *tls_r, struct err *err)
{
	unsigned port = daemon_copy_port(service);

	for (size_t i = 0; i < copy->n; i++) {
		const struct listener *l = &copy->v[i];

		if (l->port != port && strcmp(l->name, service) != 0)
			continue;
		if (!reach(l, own, client->family, to_r))
			continue;
		*port_r = l->port;
		*tls_r = l->tls;
		return 0;
	}
	err_set(err, ERR_INVALID,
	    "%s: the mail server doesn't listen there for this client: expected a port, or the name of a listener",
	    service);
	return -1;
}

static bool
answers(const struct addr *to, unsigned port)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6,
		.sin6_port = htons((uint16_t)port) };
	struct sockaddr_in four = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port) };
	bool is_six = to->family == ADDR_IPV6;
	int fd =
	    socket(is_six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok;

	memcpy(&six.sin6_addr, to->bytes, 16);
	memcpy(&four.sin_addr, to->bytes, 4);
	ok = fd != -1 &&
	    connect(fd,
		is_six ? (const struct sockaddr *)&six
		       : (const struct sockaddr *)&four,
		is_six ? sizeof(six) : sizeof(four)) == 0;
	if (fd != -1)
		(void)close(fd);
	return ok;
}

static bool
all_answer(const struct daemon_copy *copy, const struct network_set *own)
{
	static const enum addr_family families[] = { ADDR_IPV4, ADDR_IPV6 };

	for (size_t i = 0; i < copy->n; i++) {
		bool any = false;

		for (size_t j = 0; j < 2 && !any; j++) {
			struct addr to;

			any = reach(&copy->v[i], own, families[j], &to) &&
			    answers(&to, copy->v[i].port);
		}
		if (!any)
			return false;
	}
	return true;
}

static _Noreturn void
run(const char *const *argv, int log)
{
	int in = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)setsid();
	if (in != -1 && dup2(in, STDIN_FILENO) != -1 &&
	    dup2(log, STDOUT_FILENO) != -1 && dup2(log, STDERR_FILENO) != -1)
		(void)execv(argv[0], (char *const *)(uintptr_t)argv);
	_exit(127);
}

int
daemon_copy_start(const struct daemon_copy *copy, const char *const *argv,
    const struct network_set *own, int log, int timeout_ms, struct err *err)
{
	const struct timespec tick = { .tv_nsec = LOOK_MS * 1000000L };
	int64_t until_ms = clock_monotonic_ms() + timeout_ms;
	pid_t pid = fork();
	int status;

	if (pid == 0)
		run(argv, log);
	if (pid == -1) {
		err_set(err, ERR_IO, "fork: %s", strerror(errno));
		return -1;
	}
	while (!all_answer(copy, own)) {
		if (waitpid(pid, &status, WNOHANG) == pid) {
			err_set(err, ERR_IO, "%s ended at its start", argv[0]);
			return -1;
		}
		if (clock_monotonic_ms() > until_ms) {
			err_set(
			    err, ERR_BUSY, "%s isn't ready in time", argv[0]);
			return -1;
		}
		(void)nanosleep(&tick, NULL);
	}
	return 0;
}
