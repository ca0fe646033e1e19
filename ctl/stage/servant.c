/* SPDX-License-Identifier: ISC */
#include "ctl/stage/servant.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/err.h"
#include "ctl/stage/room.h"

static int
bind_log(struct err *err)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX,
		.sun_path = "/dev/log" };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd == -1 ||
	    bind(fd, (const struct sockaddr *)&sun, sizeof(sun)) == -1 ||
	    chmod(sun.sun_path, 0666) == -1) {
		err_set(
		    err, ERR_IO, "/dev/log of the copy: %s", strerror(errno));
		return -1;
	}
	return fd;
}

/* One message of syslog(3), without its priority, as a line. */
static void
keep_message(int log, char *text, size_t len)
{
	size_t head = 0;

	while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\0'))
		len--;
	if (len > 2 && text[0] == '<') {
		while (head < len && head < 6 && text[head] != '>')
			head++;
		head++;
	}
	if (head >= len)
		return;
	for (size_t i = head; i < len; i++)
		if (text[i] == '\n' || text[i] == '\0')
			text[i] = ' ';
	text[len] = '\n';
	(void)!write(log, text + head, len + 1 - head);
}

static void
serve(int syslog)
{
	static char text[65536];
	int log =
	    open(SERVANT_LOG, O_CREAT | O_APPEND | O_WRONLY | O_CLOEXEC, 0600);

	for (;;) {
		ssize_t n = recv(syslog, text, sizeof(text) - 1, 0);

		if (n > 0)
			keep_message(log, text, (size_t)n);
		else if (n == -1 && errno != EINTR)
			_exit(1);
	}
}

int
servant_start(struct err *err)
{
	int syslog = bind_log(err);
	pid_t pid = syslog == -1 ? -1 : fork();

	if (pid == 0) {
		serve(syslog);
		_exit(0);
	}
	if (syslog != -1)
		(void)close(syslog);
	if (pid == -1 && syslog != -1)
		err_set(err, ERR_IO, "fork: %s", strerror(errno));
	return pid == -1 ? -1 : 0;
}
