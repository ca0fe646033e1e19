#include "probe.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "listen.h"

enum { ANSWER_MS = 5000 };

static int
connect_unix(const struct listen_spec *spec)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(sun.sun_path, spec->path, sizeof(sun.sun_path));
	if (fd != -1 && connect(fd, (const struct sockaddr *)&sun,
	    sizeof(sun)) == -1) {
		int error = errno;

		(void)close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

static int
connect_inet(const struct listen_spec *spec)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *res;
	char port[8];
	int fd = -1;

	(void)snprintf(port, sizeof(port), "%u", spec->port);
	if (getaddrinfo(spec->host, port, &hints, &res) != 0) {
		errno = EADDRNOTAVAIL;
		return -1;
	}
	fd = socket(res->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd != -1 && connect(fd, res->ai_addr, res->ai_addrlen) == -1) {
		int error = errno;

		(void)close(fd);
		errno = error;
		fd = -1;
	}
	freeaddrinfo(res);
	return fd;
}

static bool
ask(int fd, struct probe *p)
{
	static const char request[] = "request=smtpd_access_policy\n"
	    "protocol_state=CONNECT\nclient_name=popgatectl\n\n";
	int64_t until_ms = clock_monotonic_ms() + ANSWER_MS;
	char buf[512];
	size_t n = 0;

	if (send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) !=
	    (ssize_t)sizeof(request) - 1) {
		(void)snprintf(p->words, sizeof(p->words), "%s",
		    strerror(errno));
		return false;
	}
	while (n + 1 < sizeof(buf)) {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };
		int64_t left = until_ms - clock_monotonic_ms();
		ssize_t got;

		if (left <= 0 || poll(&pfd, 1, (int)left) <= 0) {
			(void)snprintf(p->words, sizeof(p->words), "no answer "
			    "within %d s", ANSWER_MS / 1000);
			return false;
		}
		got = recv(fd, buf + n, sizeof(buf) - 1 - n, 0);
		if (got <= 0) {
			(void)snprintf(p->words, sizeof(p->words),
			    "the connection was closed without an answer");
			return false;
		}
		n += (size_t)got;
		buf[n] = '\0';
		if (strstr(buf, "\n\n") != NULL)
			break;
	}
	if (strncmp(buf, "action=", 7) == 0)
		return true;
	(void)snprintf(p->words, sizeof(p->words), "the answer is none of the "
	    "policy protocol: is this popgate-milter?");
	return false;
}

void
probe_policy(const char *listen, struct probe *p)
{
	int64_t began_ms = clock_monotonic_ms();
	struct listen_spec spec;
	struct ucred cred;
	socklen_t len = sizeof(cred);
	struct err err;
	int fd;

	*p = (struct probe){ .result = PROBE_NOT_SET };
	if (*listen == '\0')
		return;
	p->result = PROBE_BAD;
	if (listen_parse(listen, &spec, &err) == -1) {
		(void)snprintf(p->words, sizeof(p->words), "%.390s", err.text);
		return;
	}
	fd = spec.is_unix ? connect_unix(&spec) : connect_inet(&spec);
	if (fd == -1) {
		if (errno == EACCES)
			p->result = PROBE_UNKNOWN;
		(void)snprintf(p->words, sizeof(p->words), "%s",
		    strerror(errno));
		return;
	}
	if (spec.is_unix && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred,
	    &len) == 0)
		p->pid = cred.pid;
	if (ask(fd, p)) {
		p->result = PROBE_GOOD;
		p->ms = (long)(clock_monotonic_ms() - began_ms);
		(void)snprintf(p->words, sizeof(p->words), "answers in %ld ms",
		    p->ms);
	}
	(void)close(fd);
}

void
probe_listening(const char *listen, struct probe *p)
{
	struct listen_spec spec;
	struct err err;
	unsigned flags;
	char line[512];
	FILE *in;
	int at;

	*p = (struct probe){ .result = PROBE_NOT_SET };
	if (*listen == '\0')
		return;
	p->result = PROBE_UNKNOWN;
	(void)snprintf(p->words, sizeof(p->words), "not asked");
	if (listen_parse(listen, &spec, &err) == -1 || !spec.is_unix ||
	    (in = fopen("/proc/net/unix", "re")) == NULL)
		return;
	p->result = PROBE_BAD;
	(void)snprintf(p->words, sizeof(p->words), "nobody listens there");
	/* Num: RefCount Protocol Flags Type St Inode Path; Flags has
	 * __SO_ACCEPTCON (0x10000) for a listener */
	while (fgets(line, sizeof(line), in) != NULL) {
		at = 0;
		if (sscanf(line, "%*x: %*x %*x %x %*x %*x %*u %n", &flags,
		    &at) < 1 || at == 0 || (flags & 0x10000) == 0)
			continue;
		line[strcspn(line, "\n")] = '\0';
		if (strcmp(line + at, spec.path) != 0)
			continue;
		p->result = PROBE_GOOD;
		(void)snprintf(p->words, sizeof(p->words), "listens");
		break;
	}
	(void)fclose(in);
}
