/* SPDX-License-Identifier: ISC */
/* login - tell popgate-collector of a login, as a server itself: for Dovecot's
 * post-login script. It must not hold up the user who logs in. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/records/fate.h"
#include "common/records/login_datagram.h"
#include "ctl/commands.h"
#include "ctl/out.h"

enum { OPT_USER, OPT_CLIENT, OPT_SERVICE, OPT_SERVER, OPT_SOCKET, OPT_WAIT };

enum { WAIT_MS = 500 };

static const struct ctl_option options[] = {
	[OPT_USER] = { "user", "USER", "who logged in" },
	[OPT_CLIENT] = { "client", "ADDRESS", "from where" },
	[OPT_SERVICE] = { "service", "NAME", "imap or pop3" },
	[OPT_SERVER] = { "server", "NAME", "which server; default post-login" },
	[OPT_SOCKET] = { "socket", "PATH",
	    "of the { login = PATH; } source; default: the configuration's" },
	[OPT_WAIT] = { "wait", "MS",
	    "at most so long; default 500; 0: for no answer" },
	{ 0 },
};

static int
message(const struct ctl *ctl, const struct ctl_args *args, char *buf,
    size_t *len_r)
{
	struct addr client;
	char text[ADDR_TEXT_MAX];
	const char *server = args->opt[OPT_SERVER];
	const char *service = args->opt[OPT_SERVICE];
	const char *user = args->opt[OPT_USER];

	if (user == NULL || *user == '\0' || args->opt[OPT_CLIENT] == NULL)
		return ctl_fail(
		    ctl, EX_USAGE, "--user and --client are needed");
	int rc = ctl_address(ctl, args->opt[OPT_CLIENT], &client);

	if (rc != 0)
		return rc;
	const struct login_datagram told = {
		.user = user,
		.client = addr_format(&client, text),
		.service = service == NULL ? "" : service,
		.server = server == NULL ? "post-login" : server,
	};

	if (!login_datagram_service_good(told.service))
		return ctl_fail(ctl, EX_USAGE,
		    "--service '%.100s': expected imap or pop3", told.service);
	if (!login_datagram_server_good(told.server))
		return ctl_fail(ctl, EX_USAGE,
		    "--server '%.100s': expected letters, digits, and - _ .; popgatectl is taken",
		    told.server);
	*len_r = login_datagram_format(&told, buf);
	return *len_r != 0
	    ? 0
	    : ctl_fail(ctl, EX_DATAERR, "the user's name is too long");
}

static int
find_socket(struct ctl *ctl, const char *given, struct sockaddr_un *sun)
{
	const char *path = given;

	if (path == NULL) {
		int rc = ctl_config(ctl);

		if (rc != 0)
			return rc;
		for (size_t i = 0; i < ctl->cfg->collector.n_sources; i++)
			if (ctl->cfg->collector.sources[i].kind ==
				SOURCE_LOGIN &&
			    path == NULL)
				path = ctl->cfg->collector.sources[i].where;
	}
	if (path == NULL)
		return ctl_fail(ctl, EX_CONFIG,
		    "%s: collector.sources has no { login = \"/path\"; }",
		    ctl->config_path);
	*sun = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(sun->sun_path))
		return ctl_fail(
		    ctl, EX_USAGE, "%.200s: too long for a socket", path);
	memcpy(sun->sun_path, path, strlen(path) + 1);
	return 0;
}

/* Until events, or the end of time (clock_monotonic_ms()). */
static bool
wait_until(int fd, short events, int64_t end_ms)
{
	struct pollfd p = { .fd = fd, .events = events };
	int64_t left;

	while ((left = end_ms - clock_monotonic_ms()) > 0) {
		int n = poll(&p, 1, (int)left);

		if (n > 0)
			return true;
		if (n == -1 && errno != EINTR)
			return false;
	}
	return false;
}

/* A full queue is waited for: the collector may be busy for a moment. */
static int
tell(const struct ctl *ctl, int fd, const struct sockaddr_un *sun,
    const char *buf, size_t len, int64_t end_ms)
{
	const struct sockaddr_un own = { .sun_family = AF_UNIX };

	/* autobind: an address to answer to, see unix(7) */
	if (bind(fd, (const struct sockaddr *)&own, sizeof(sa_family_t)) ==
		-1 ||
	    connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) == -1)
		return ctl_fail(ctl,
		    errno == EACCES ? EX_NOPERM : EX_UNAVAILABLE, "%s: %s",
		    sun->sun_path,
		    errno == ECONNREFUSED
			? "popgate-collector doesn't read there"
			: strerror(errno));
	while (send(fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL) == -1) {
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return ctl_fail(ctl, EX_UNAVAILABLE, "%s: %s",
			    sun->sun_path, strerror(errno));
		if (!wait_until(fd, POLLOUT, end_ms))
			return ctl_fail(ctl, EX_TEMPFAIL,
			    "%s: the queue is full", sun->sun_path);
	}
	return 0;
}

static int
hear(const struct ctl *ctl, int fd, int64_t end_ms)
{
	char answer[LOGIN_DATAGRAM_ANSWER_MAX];
	ssize_t n = -1;

	while (n == -1) {
		if (!wait_until(fd, POLLIN, end_ms))
			return ctl_fail(ctl, EX_TEMPFAIL,
			    "told, but popgate-collector doesn't answer");
		n = recv(fd, answer, sizeof(answer) - 1, MSG_DONTWAIT);
		if (n == -1 && errno != EAGAIN && errno != EINTR)
			return ctl_fail(
			    ctl, EX_UNAVAILABLE, "%s", strerror(errno));
	}
	answer[n] = '\0';
	if (strcmp(answer, fate_name(FATE_LOGIN)) == 0)
		return 0;
	if (strcmp(answer, fate_name(FATE_FORGED)) == 0)
		return ctl_fail(ctl, EX_NOPERM,
		    "user id %u is not in collector.login_users",
		    (unsigned)getuid());
	/* a rule of the admin's, nothing to wake anyone for */
	(void)fputs("not counted: ", stdout);
	out_text(answer);
	(void)putchar('\n');
	return CTL_NONE;
}

static int
run(struct ctl *ctl, const struct ctl_args *args)
{
	struct sockaddr_un sun;
	char buf[LOGIN_DATAGRAM_MAX];
	int64_t wait_ms = WAIT_MS;
	size_t len = 0;
	int rc = message(ctl, args, buf, &len);

	if (rc == 0 && args->opt[OPT_WAIT] != NULL)
		rc = ctl_number(ctl, args->opt[OPT_WAIT], 0, 60000, &wait_ms);
	if (rc == 0)
		rc = find_socket(ctl, args->opt[OPT_SOCKET], &sun);
	if (rc != 0)
		return rc;
	int64_t end_ms = clock_monotonic_ms() + wait_ms;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd == -1)
		return ctl_fail(ctl, EX_OSERR, "socket: %s", strerror(errno));
	rc = tell(ctl, fd, &sun, buf, len, end_ms);
	if (rc == 0 && wait_ms > 0)
		rc = hear(ctl, fd, end_ms);
	(void)close(fd);
	return rc;
}

const struct command cmd_login = {
	.name = "login",
	.args =
	    "--user USER --client ADDRESS [--service NAME] [--server NAME] [--socket PATH] [--wait MS]",
	.summary = "tell popgate-collector of a login, for a server's script",
	.help =
	    "For a { login = \"/path\"; } source, and for users that collector.login_users has.\n"
	    "The same rules hold as for a login that was read in a log. Exit status 0: recorded;\n"
	    "1: not counted, and why is printed; 75: no answer in time.\n",
	.options = options,
	.min = 0,
	.max = 0,
	.run = run,
};
