/* SPDX-License-Identifier: ISC */
#include "common/base/listen.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/addr.h"
#include "common/base/err.h"
#include "common/base/place.h"

enum { LOCK_TRIES = 50, LOCK_EVERY_US = 20000 };

static int
refuse(const char *text, struct err *err)
{
	err_set(
	    err, ERR_INVALID, "'%.100s': expected %s", text, LISTEN_EXPECTED);
	return -1;
}

static bool
port_parse(const char *text, size_t len, unsigned *port)
{
	if (len == 0 || len > 5 || strspn(text, "0123456789") < len)
		return false;
	*port = (unsigned)strtoul(text, NULL, 10);
	return *port >= 1 && *port <= 65535;
}

int
listen_parse(const char *text, struct listen_spec *spec, struct err *err)
{
	memset(spec, 0, sizeof(*spec));
	if (strncmp(text, "unix:", 5) == 0 || strncmp(text, "local:", 6) == 0) {
		const char *path = strchr(text, ':') + 1;

		if (*path != '/' || strlen(path) >= sizeof(spec->path))
			return refuse(text, err);
		spec->is_unix = true;
		memcpy(spec->path, path, strlen(path) + 1);
		return 0;
	}
	if (strncmp(text, "inet:", 5) != 0 && strncmp(text, "inet6:", 6) != 0)
		return refuse(text, err);
	const char *rest = strchr(text, ':') + 1;
	const char *at = strchr(rest, '@'), *colon = strrchr(rest, ':');
	const char *host, *end;

	spec->ipv6 = text[4] == '6';
	if (at != NULL) {
		if (!port_parse(rest, (size_t)(at - rest), &spec->port))
			return refuse(text, err);
		host = at + 1;
		end = host + strlen(host);
	} else {
		if (colon == NULL ||
		    !port_parse(colon + 1, strlen(colon + 1), &spec->port))
			return refuse(text, err);
		host = rest;
		end = colon;
	}
	if (end - host >= 2 && *host == '[' && end[-1] == ']') {
		host++;
		end--;
	}
	if (end == host || (size_t)(end - host) >= sizeof(spec->host))
		return refuse(text, err);
	memcpy(spec->host, host, (size_t)(end - host));
	spec->ipv6 |= strchr(spec->host, ':') != NULL;
	return 0;
}

bool
listen_is_local(const struct listen_spec *spec)
{
	struct network v4, v6;
	struct addr addr;

	if (spec->is_unix || strcasecmp(spec->host, "localhost") == 0)
		return true;
	return addr_parse_loose(spec->host, &addr) &&
	    network_parse("127.0.0.0/8", &v4) && network_parse("::1", &v6) &&
	    (network_contains(&v4, &addr) || network_contains(&v6, &addr));
}

void
listen_for_libmilter(const struct listen_spec *spec, char *buf)
{
	if (spec->is_unix)
		(void)snprintf(buf, 400, "unix:%s", spec->path);
	else
		(void)snprintf(buf, 400, "%s:%u@%s",
		    spec->ipv6 ? "inet6" : "inet", spec->port, spec->host);
}

static struct sockaddr_un
unix_address(const struct listen_spec *spec)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	assert(spec->is_unix);
	memcpy(sun.sun_path, spec->path, sizeof(sun.sun_path));
	return sun;
}

/* The first-hour failure of all milters: say which directory is missing. */
static int
path_error(const char *path, const char *what, int error, struct err *err)
{
	char copy[LISTEN_PATH_MAX];
	struct stat st;

	(void)snprintf(copy, sizeof(copy), "%s", path);
	const char *dir = dirname(copy);

	if (stat(dir, &st) == -1)
		err_set(err, ERR_IO, "%s: directory %s: %s", path, dir,
		    strerror(errno));
	else
		err_set(err, ERR_IO,
		    "%s: %s: %s (directory %s has mode %04o, owner %u:%u; we are %u:%u)",
		    path, what, strerror(error), dir,
		    (unsigned)(st.st_mode & 07777), (unsigned)st.st_uid,
		    (unsigned)st.st_gid, (unsigned)geteuid(),
		    (unsigned)getegid());
	return -1;
}

/* flags: SOCK_NONBLOCK, or 0 */
static int
connect_to(const struct listen_spec *spec, int flags)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *res = NULL;
	struct sockaddr_un sun;
	struct sockaddr *sa = (struct sockaddr *)&sun;
	socklen_t len = sizeof(sun);
	char port[8];

	if (spec->is_unix) {
		sun = unix_address(spec);
	} else {
		(void)snprintf(port, sizeof(port), "%u", spec->port);
		if (getaddrinfo(spec->host, port, &hints, &res) != 0) {
			errno = ENOENT;
			return -1;
		}
		sa = res->ai_addr;
		len = res->ai_addrlen;
	}
	int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	int rc = fd == -1 ? -1 : connect(fd, sa, len), error = errno;

	if (res != NULL)
		freeaddrinfo(res);
	if (rc == 0 || (fd != -1 && error == EINPROGRESS))
		return fd;
	if (fd != -1)
		(void)close(fd);
	errno = error;
	return -1;
}

int
listen_connect(const struct listen_spec *spec)
{
	return connect_to(spec, 0);
}

int
listen_poke(const struct listen_spec *spec)
{
	return connect_to(spec, SOCK_NONBLOCK);
}

int
listen_find(const struct listen_spec *spec)
{
	enum { LOOK_AT = 1024 };

	assert(spec->is_unix);
	for (int fd = 0; fd < LOOK_AT; fd++) {
		struct sockaddr_un sun = { .sun_family = AF_UNSPEC };
		socklen_t len = sizeof(sun), int_len = sizeof(int);
		int listens = 0;

		if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens,
			&int_len) == 0 &&
		    listens != 0 &&
		    getsockname(fd, (struct sockaddr *)&sun, &len) == 0 &&
		    sun.sun_family == AF_UNIX &&
		    strncmp(sun.sun_path, spec->path, sizeof(sun.sun_path)) ==
			0)
			return fd;
	}
	return -1;
}

int
listen_lock(const struct listen_spec *spec)
{
	char copy[LISTEN_PATH_MAX];

	if (!spec->is_unix)
		return -1;
	memcpy(copy, spec->path, sizeof(copy));
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/* who starts holds it for milliseconds; who holds it for longer is
	 * somebody else, for whom we don't wait */
	for (int i = 0; fd != -1 && flock(fd, LOCK_EX | LOCK_NB) == -1; i++) {
		if (errno != EWOULDBLOCK || i == LOCK_TRIES) {
			(void)close(fd);
			return -1;
		}
		(void)usleep(LOCK_EVERY_US);
	}
	return fd;
}

int
listen_prepare(const struct listen_spec *spec, struct err *err)
{
	struct stat st;

	if (!spec->is_unix)
		return 0;
	if (lstat(spec->path, &st) == -1) {
		if (errno == ENOENT) {
			char copy[LISTEN_PATH_MAX];

			memcpy(copy, spec->path, sizeof(copy));
			if (access(dirname(copy), W_OK | X_OK) == 0)
				return 0;
		}
		return path_error(spec->path, "bind", errno, err);
	}
	if (!S_ISSOCK(st.st_mode)) {
		err_set(err, ERR_IO, "%s: exists and is no socket", spec->path);
		return -1;
	}
	/* EAGAIN: more wait there than it takes */
	int fd = listen_poke(spec), error = errno;

	if (fd != -1)
		(void)close(fd);
	if (fd != -1 || error != ECONNREFUSED) {
		err_set(err, ERR_IO, "%s: %s", spec->path,
		    fd != -1 || error == EAGAIN
			? "another process listens there"
			: error == EACCES
			? "somebody else's socket is there: remove it"
			: strerror(error));
		return -1;
	}
	if (unlink(spec->path) == -1 && errno != ENOENT)
		return path_error(spec->path, "unlink", errno, err);
	return 0;
}

static int
open_unix(
    const struct listen_spec *spec, mode_t mode, gid_t gid, struct err *err)
{
	struct sockaddr_un sun = unix_address(spec);

	if (listen_prepare(spec, err) == -1)
		return -1;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd == -1) {
		err_set(err, ERR_IO, "socket: %s", strerror(errno));
		return -1;
	}
	/* nobody can connect before listen(2), so mode and group are set in
	 * the gap between bind and listen */
	if (bind(fd, (const struct sockaddr *)&sun, sizeof(sun)) == -1) {
		(void)path_error(spec->path, "bind", errno, err);
		(void)close(fd);
		return -1;
	}
	int rc = place_socket(spec->path, mode, gid, err);

	if (rc == 0 && (rc = listen(fd, SOMAXCONN)) == -1)
		err_set(err, ERR_IO, "%s: %s", spec->path, strerror(errno));
	if (rc == -1) {
		(void)unlink(spec->path);
		(void)close(fd);
		return -1;
	}
	return fd;
}

static int
open_inet(const struct listen_spec *spec, struct err *err)
{
	struct addrinfo hints = { .ai_family = spec->ipv6 ? AF_INET6 : AF_INET,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE | AI_NUMERICSERV };
	struct addrinfo *res;
	char port[8];
	int one = 1;

	assert(!spec->is_unix && spec->port >= 1 && spec->port <= 65535);
	(void)snprintf(port, sizeof(port), "%u", spec->port);
	int rc = getaddrinfo(spec->host, port, &hints, &res);

	if (rc != 0) {
		err_set(err, ERR_IO, "%s: %s", spec->host, gai_strerror(rc));
		return -1;
	}
	int fd = socket(
	    res->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == -1 ||
	    bind(fd, res->ai_addr, res->ai_addrlen) == -1 ||
	    listen(fd, SOMAXCONN) == -1) {
		err_set(err, ERR_IO, "inet:%s:%u: %s", spec->host, spec->port,
		    strerror(errno));
		if (fd != -1)
			(void)close(fd);
		fd = -1;
	}
	freeaddrinfo(res);
	return fd;
}

int
listen_open(
    const struct listen_spec *spec, mode_t mode, gid_t gid, struct err *err)
{
	assert((mode & ~(mode_t)0777) == 0);
	if (!spec->is_unix)
		return open_inet(spec, err);
	int lock = listen_lock(spec);
	int fd = open_unix(spec, mode, gid, err);

	if (lock != -1)
		(void)close(lock);
	return fd;
}

const char *
listen_peer(int fd, char *text)
{
	struct sockaddr_storage peer = { .ss_family = AF_UNSPEC };
	const struct sockaddr *sa = (const struct sockaddr *)&peer;
	socklen_t peer_len = sizeof(peer), len = sizeof(struct ucred);
	struct ucred cred = { .uid = (uid_t)-1 };
	char name[ADDR_TEXT_MAX];
	struct addr addr;

	(void)getpeername(fd, (struct sockaddr *)&peer, &peer_len);
	if (addr_from_sockaddr(sa, &addr))
		(void)snprintf(text, LISTEN_PEER_MAX, "%s port %u",
		    addr_format(&addr, name), addr_port(sa));
	else if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 &&
	    cred.uid != (uid_t)-1) /* the pid is 0 from another namespace */
		(void)snprintf(text, LISTEN_PEER_MAX, "pid %ld, uid %ld",
		    (long)cred.pid, (long)cred.uid);
	else
		(void)snprintf(text, LISTEN_PEER_MAX, "that has left");
	return text;
}
