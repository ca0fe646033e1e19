/* SPDX-License-Identifier: ISC */
#include "ctl/smtp/probe_net.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/run.h"

/* Host's end and ours. */
static const char *const ends4[] = { "198.18.255.1", PROBE_NET_SOURCE4 };
static const char *const ends6[] = { "2001:2:0:ffff::1", PROBE_NET_SOURCE6 };

void
probe_net_plain(struct probe_net *n, const struct addr *source)
{
	*n = (struct probe_net){ .source = *source, .ns = -1, .home = -1 };
}

/* Run ip(8) with words, in the name space we are in. */
static int
run_ip(const char *const *words, struct err *err)
{
	struct err why;
	char *out = run_read((char *const *)words, NULL, RUN_TIMEOUT_S, &why);

	free(out);
	if (out != NULL)
		return 0;
	err_set(err, ERR_IO,
	    "%.300s; give an address that this machine has with --source, or run the probe on another machine with --host",
	    why.text);
	return -1;
}

static int
enter(int ns, struct err *err)
{
	if (setns(ns, CLONE_NEWNET) == 0)
		return 0;
	err_set(err, ERR_IO, "setns: %s", strerror(errno));
	return -1;
}

/* The kernel takes a name space away a little after its last descriptor is
 * closed, so no two probes may share a name. */
static const char *
device(pid_t pid, const char *ours, char buf[32])
{
	(void)snprintf(buf, 32, "pgp%ld%s", (long)pid % 10000000,
	    strchr(ours, ':') == NULL ? "v4" : "v6");
	return buf;
}

/* An IPv6 address is usable at once without a search for duplicates; all bits
 * of either kind are its own, so that no MTA takes a network for its own. */
static const char *
nodad(const char *address)
{
	return strchr(address, ':') == NULL ? NULL : "nodad";
}

static int
furnish_inside(const char *ours, const char *theirs, struct err *err)
{
	char pid[16], name[32];
	const char *const link[] = {
		"ip",
		"link",
		"add",
		"inside",
		"type",
		"veth",
		"peer",
		"name",
		device(getppid(), ours, name),
		"netns",
		pid,
		NULL,
	};
	const char *const lo[] = { "ip", "link", "set", "lo", "up", NULL };
	const char *const up[] = { "ip", "link", "set", "inside", "up", NULL };
	const char *const addr[] = {
		"ip",
		"address",
		"add",
		ours,
		"dev",
		"inside",
		nodad(ours),
		NULL,
	};
	const char *const host[] = {
		"ip",
		"route",
		"add",
		theirs,
		"dev",
		"inside",
		NULL,
	};
	const char *const route[] = {
		"ip",
		"route",
		"add",
		"default",
		"via",
		theirs,
		"dev",
		"inside",
		NULL,
	};

	(void)snprintf(pid, sizeof(pid), "%ld", (long)getppid());
	return run_ip(link, err) == 0 && run_ip(lo, err) == 0 &&
		run_ip(addr, err) == 0 && run_ip(up, err) == 0 &&
		run_ip(host, err) == 0 && run_ip(route, err) == 0
	    ? 0
	    : -1;
}

static int
furnish_outside(const char *ours, const char *theirs, struct err *err)
{
	char name[32];
	const char *const addr[] = {
		"ip",
		"address",
		"add",
		theirs,
		"dev",
		device(getpid(), ours, name),
		nodad(ours),
		NULL,
	};
	const char *const up[] = { "ip", "link", "set", name, "up", NULL };
	const char *const route[] = {
		"ip",
		"route",
		"add",
		ours,
		"dev",
		name,
		NULL,
	};

	return run_ip(addr, err) == 0 && run_ip(up, err) == 0 &&
		run_ip(route, err) == 0
	    ? 0
	    : -1;
}

/* veth's other end is given away by a process number, so a child enters the
 * new space while we stay at home; its error comes through a pipe. */
static int
furnish(const struct probe_net *n, const char *ours, const char *theirs,
    struct err *err)
{
	struct err said = { .code = ERR_IO, .text = "the child died" };
	int fds[2], status = 0;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) == -1 || (pid = fork()) == -1) {
		err_set(err, ERR_IO, "%s", strerror(errno));
		return -1;
	}
	if (pid == 0) {
		int rc = enter(n->ns, &said) == 0 &&
			furnish_inside(ours, theirs, &said) == 0
		    ? 0
		    : 1;

		if (rc != 0)
			rc = write(fds[1], &said, sizeof(said)) > 0 ? 1 : 2;
		_exit(rc);
	}
	(void)close(fds[1]);
	while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
		;
	bool good = WIFEXITED(status) && WEXITSTATUS(status) == 0;

	if (!good && read(fds[0], &said, sizeof(said)) != sizeof(said))
		err_set(&said, ERR_IO, "the child ended without a word");
	(void)close(fds[0]);
	if (good)
		return furnish_outside(ours, theirs, err);
	*err = said;
	return -1;
}

int
probe_net_open(struct probe_net *n, enum addr_family family,
    const struct addr *source, struct err *err)
{
	const char *const *ends;
	char ours[ADDR_TEXT_MAX];

	*n = (struct probe_net){ .source = *source, .ns = -1, .home = -1 };
	if (source->family != ADDR_NONE)
		family = source->family;
	ends = family == ADDR_IPV6 ? ends6 : ends4;
	if (source->family == ADDR_NONE &&
	    !addr_parse_n(ends[1], strlen(ends[1]), &n->source)) {
		err_set(err, ERR_INVALID, "%s", ends[1]);
		return -1;
	}
	(void)addr_format(&n->source, ours);
	n->home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (n->home == -1 || unshare(CLONE_NEWNET) == -1) {
		err_set(err, ERR_IO, "a network name space of our own: %s%s",
		    strerror(errno),
		    errno == EPERM
			? " (as root, or give an address that this machine has with --source)"
			: "");
		return -1;
	}
	n->ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (n->ns == -1)
		err_set(err, ERR_IO, "/proc/self/ns/net: %s", strerror(errno));
	if (enter(n->home, err) == -1 || n->ns == -1)
		return -1;
	return furnish(n, ours, ends[0], err);
}

void
probe_net_close(struct probe_net *n)
{
	if (n->ns != -1)
		(void)close(n->ns);
	if (n->home != -1)
		(void)close(n->home);
	n->ns = n->home = -1;
}

static int
bind_source(int fd, const struct addr *source)
{
	const int on = 1;

	if (source->family == ADDR_IPV6) {
		struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6 };

		memcpy(&sin6.sin6_addr, source->bytes, 16);
		(void)setsockopt(
		    fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof(on));
		return bind(fd, (const struct sockaddr *)&sin6, sizeof(sin6));
	}
	struct sockaddr_in sin = { .sin_family = AF_INET };

	memcpy(&sin.sin_addr, source->bytes, 4);
	(void)setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on));
	return bind(fd, (const struct sockaddr *)&sin, sizeof(sin));
}

int
probe_net_socket(const struct probe_net *n, enum addr_family family)
{
	int fd, error;

	assert(family != ADDR_NONE);
	if (n->ns != -1 && setns(n->ns, CLONE_NEWNET) == -1)
		return -1;
	fd = socket(family == ADDR_IPV6 ? AF_INET6 : AF_INET,
	    SOCK_STREAM | SOCK_CLOEXEC, 0);
	error = errno;
	if (n->ns != -1 && setns(n->home, CLONE_NEWNET) == -1)
		error = errno;
	if (fd != -1 && n->source.family == family &&
	    bind_source(fd, &n->source) == -1) {
		error = errno;
		(void)close(fd);
		fd = -1;
	}
	errno = error;
	return fd;
}
