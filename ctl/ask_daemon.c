/* SPDX-License-Identifier: ISC */
#include "ctl/ask_daemon.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/json.h"
#include "common/base/listen.h"
#include "common/daemon/health.h"

enum { ANSWER_MS = 5000 };

/* Send request and read until the text end, or where that is NULL until the
 * connection is closed. */
static bool
ask(int fd, const char *request, const char *end, char *buf, size_t size,
    struct probe *p)
{
	int64_t until_ms = clock_monotonic_ms() + ANSWER_MS;
	size_t n = 0;

	if (send(fd, request, strlen(request), MSG_NOSIGNAL) !=
	    (ssize_t)strlen(request)) {
		(void)snprintf(
		    p->words, sizeof(p->words), "%s", strerror(errno));
		return false;
	}
	buf[0] = '\0';
	while (n + 1 < size && (end == NULL || strstr(buf, end) == NULL)) {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };
		int64_t left = until_ms - clock_monotonic_ms();
		ssize_t got;

		if (left <= 0 || poll(&pfd, 1, (int)left) <= 0) {
			(void)snprintf(p->words, sizeof(p->words),
			    "no answer within %d s", ANSWER_MS / 1000);
			p->hangs = true;
			return false;
		}
		got = recv(fd, buf + n, size - 1 - n, 0);
		if (got == 0 && end == NULL && n > 0)
			return true;
		if (got <= 0) {
			(void)snprintf(p->words, sizeof(p->words),
			    "the connection was closed without an answer");
			return false;
		}
		n += (size_t)got;
		buf[n] = '\0';
	}
	return true;
}

/* Never waits for a process that doesn't accept. -1 with errno. */
static int
connect_soon(const struct listen_spec *spec)
{
	int fd = listen_poke(spec), error = 0;
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };
	socklen_t len = sizeof(error);

	if (fd == -1)
		return -1;
	if (poll(&pfd, 1, ANSWER_MS) == 1 &&
	    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 &&
	    error == 0)
		return fd;
	(void)close(fd);
	errno = error == 0 ? ETIMEDOUT : error;
	return -1;
}

/* Connect; -1 with p filled. */
static int
reach(const char *listen, struct probe *p)
{
	struct listen_spec spec;
	struct ucred cred;
	socklen_t len = sizeof(cred);
	struct err err;

	*p = (struct probe){ .result = PROBE_NOT_SET };
	if (*listen == '\0')
		return -1;
	p->result = PROBE_BAD;
	if (listen_parse(listen, &spec, &err) == -1) {
		(void)snprintf(p->words, sizeof(p->words), "%.390s", err.text);
		return -1;
	}
	int fd = connect_soon(&spec);

	if (fd == -1) {
		if (errno == EACCES)
			p->result = PROBE_UNKNOWN;
		p->hangs = errno == EAGAIN;
		(void)snprintf(p->words, sizeof(p->words), "%s",
		    errno == EAGAIN ? "it takes no more connections"
				    : strerror(errno));
		return -1;
	}
	if (spec.is_unix &&
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0)
		p->pid = cred.pid;
	return fd;
}

static void
good(struct probe *p, int64_t began_ms)
{
	p->result = PROBE_GOOD;
	p->ms = (long)(clock_monotonic_ms() - began_ms);
	(void)snprintf(p->words, sizeof(p->words), "answers in %ld ms", p->ms);
}

void
probe_policy(const char *listen, struct probe *p)
{
	static const char request[] =
	    "request=smtpd_access_policy\n"
	    "protocol_state=CONNECT\nclient_name=popgatectl\n\n";
	int64_t began_ms = clock_monotonic_ms();
	char buf[512];
	int fd = reach(listen, p);

	/* it is for the MTA's group: a monitor may only see that it is there */
	if (fd == -1 && p->result == PROBE_UNKNOWN)
		probe_listening(listen, p);
	if (fd == -1)
		return;
	if (ask(fd, request, "\n\n", buf, sizeof(buf), p)) {
		if (strncmp(buf, "action=", 7) == 0)
			good(p, began_ms);
		else
			(void)snprintf(p->words, sizeof(p->words),
			    "the answer is none of the policy protocol: is this popgate-milter?");
	}
	(void)close(fd);
}

int
probe_page(const char *listen, const char *path, struct probe *p, char *text)
{
	assert(listen != NULL && strlen(path) < PROBE_PATH_MAX);
	char request[PROBE_PATH_MAX + 32];
	int fd = reach(listen, p), status = 0;

	text[0] = '\0';
	if (fd == -1)
		return 0;
	(void)snprintf(
	    request, sizeof(request), "GET %s HTTP/1.0\r\n\r\n", path);
	bool answered = ask(fd, request, NULL, text, PROBE_TEXT_MAX, p);
	const char *body = answered ? strstr(text, "\r\n\r\n") : NULL;

	(void)close(fd);
	if (!answered) {
		text[0] = '\0';
		return 0;
	}
	if (body == NULL || sscanf(text, "HTTP/1.%*1[01] %3d ", &status) != 1)
		status = -1; /* this is no HTTP */
	if (body == NULL)
		text[0] = '\0';
	else
		memmove(text, body + 4, strlen(body + 4) + 1);
	return status;
}

void
probe_health(
    const char *listen, const char *daemon, struct probe *p, char *text)
{
	int64_t began_ms = clock_monotonic_ms(), pid;
	char name[64];

	assert(daemon != NULL);
	int status = probe_page(listen, HEALTH_PATH, p, text);

	if (status == 200 &&
	    json_find_text(text, "daemon", name, sizeof(name)) &&
	    strcmp(name, daemon) == 0 && json_find_number(text, "pid", &pid)) {
		p->pid = (pid_t)pid;
		good(p, began_ms);
		return;
	}
	text[0] = '\0';
	if (status != 0)
		(void)snprintf(p->words, sizeof(p->words),
		    "the answer is not %s's", daemon);
}

/* The system's list goes on to name a socket whose file was removed. */
static bool
is_missing(const char *path, struct probe *p)
{
	struct stat st;

	errno = 0;
	if (stat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		return false;
	if (errno == EACCES)
		p->result = PROBE_UNKNOWN;
	(void)snprintf(p->words, sizeof(p->words), "%s",
	    errno == 0 ? "this is no socket" : strerror(errno));
	return true;
}

/* Does a line of this list of the system's name a listener at the port?
 * "sl local_address rem_address st", in hexadecimal; 0A is TCP_LISTEN. */
static bool
lists_port(const char *path, unsigned port)
{
	FILE *in = fopen(path, "re");
	unsigned local, state;
	char line[512];
	bool found = false;

	while (in != NULL && !found && fgets(line, sizeof(line), in) != NULL)
		found = sscanf(line, "%*u: %*[^:]:%x %*s %x", &local, &state) ==
			2 &&
		    local == port && state == 0x0A;
	if (in != NULL)
		(void)fclose(in);
	return found;
}

static void
probe_port(unsigned port, struct probe *p)
{
	bool found = lists_port("/proc/net/tcp", port) ||
	    lists_port("/proc/net/tcp6", port);

	p->result = found ? PROBE_GOOD : PROBE_BAD;
	(void)snprintf(p->words, sizeof(p->words), "%s",
	    found ? "listens" : "nobody listens there");
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
	(void)snprintf(p->words, sizeof(p->words), "can't be looked at");
	if (listen_parse(listen, &spec, &err) == -1)
		return;
	if (!spec.is_unix) {
		probe_port(spec.port, p);
		return;
	}
	in = fopen("/proc/net/unix", "re");
	if (in == NULL)
		return;
	p->result = PROBE_BAD;
	if (is_missing(spec.path, p)) {
		(void)fclose(in);
		return;
	}
	(void)snprintf(p->words, sizeof(p->words), "nobody listens there");
	/* Num: RefCount Protocol Flags Type St Inode Path; Flags has
	 * __SO_ACCEPTCON (0x10000) for a listener */
	while (fgets(line, sizeof(line), in) != NULL) {
		at = 0;
		if (sscanf(line, "%*x: %*x %*x %x %*x %*x %*u %n", &flags,
			&at) < 1 ||
		    at == 0 || (flags & 0x10000) == 0)
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
