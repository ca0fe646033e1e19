/* SPDX-License-Identifier: ISC */
#include "common/base/run.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"

extern char **environ;

enum { PATH_LEN = 1024, COMPLAINT_LEN = 300 };

/* A child and our ends of its pipes. */
struct child {
	const char *name;
	pid_t pid;
	int out, err; /* -1 when at their end */
	int to; /* its standard output; -1: a pipe to us */
	char *text;
	size_t len, size;
	char complaint[COMPLAINT_LEN];
	size_t complaint_len;
	int64_t until_ms;
};

/* Can nobody but root put a program into this directory? */
static bool
is_roots(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && st.st_uid == 0 &&
	    (st.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

static bool
look_in(const char *dirs, const char *name, char *buf, size_t size)
{
	while (*dirs != '\0') {
		size_t n = strcspn(dirs, ":");

		if (snprintf(buf, size, "%.*s/%s", (int)n, dirs, name) <
			(int)size &&
		    access(buf, X_OK) == 0)
			return true;
		dirs += n + (dirs[n] == ':');
	}
	return false;
}

/* "PATH=..." for what we run and what that runs, as a shell and make(1) do: for
 * root, without directories that others own or may write to. To be freed by
 * the caller; NULL: no memory. */
static char *
search_path(void)
{
	const char *given = getenv("PATH");
	bool safely = geteuid() == 0;
	char *path = NULL, dir[PATH_LEN];
	size_t len;
	FILE *to = open_memstream(&path, &len);

	if (to == NULL)
		return NULL;
	(void)fputs("PATH=", to);
	while (given != NULL && *given != '\0') {
		size_t n = strcspn(given, ":");

		(void)snprintf(dir, sizeof(dir), "%.*s", (int)n, given);
		if (*dir == '/' && n < sizeof(dir) &&
		    (!safely || is_roots(dir)))
			(void)fprintf(to, "%s:", dir);
		given += n + (given[n] == ':');
	}
	(void)fputs("/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin", to);
	if (fclose(to) == 0)
		return path;
	free(path);
	return NULL;
}

/* Our environment but for $PATH: the array is to be freed by the caller, and
 * borrows path, "PATH=..."; NULL: no memory. */
static char **
environment(char *path)
{
	size_t n = 0, kept = 0;

	while (environ != NULL && environ[n] != NULL)
		n++;
	char **v = calloc(n + 2, sizeof(*v));

	if (v == NULL)
		return NULL;
	v[kept++] = path;
	for (size_t i = 0; i < n; i++)
		if (strncmp(environ[i], "PATH=", 5) != 0)
			v[kept++] = environ[i];
	return v;
}

/* The text of an open file for the child's standard input. */
static int
open_input(const char *input)
{
	if (input == NULL)
		return open("/dev/null", O_RDONLY | O_CLOEXEC);
	int fd = memfd_create("input", MFD_CLOEXEC);
	size_t len = strlen(input);

	while (fd != -1 && len > 0) {
		ssize_t n = write(fd, input, len);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0) {
			(void)close(fd);
			return -1;
		}
		input += n;
		len -= (size_t)n;
	}
	if (fd != -1)
		(void)lseek(fd, 0, SEEK_SET);
	return fd;
}

/* Returns 0 or an errno value. */
static int
spawn(struct child *c, const char *path, char *const argv[], char *const envp[],
    const int fds[3])
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, usual;

	(void)sigemptyset(&none);
	(void)sigemptyset(&usual);
	(void)sigaddset(&usual, SIGPIPE);
	(void)sigaddset(&usual, SIGTERM);
	(void)sigaddset(&usual, SIGINT);
	(void)posix_spawn_file_actions_init(&actions);
	for (int i = 0; i < 3; i++)
		(void)posix_spawn_file_actions_adddup2(&actions, fds[i], i);
	(void)posix_spawnattr_init(&attr);
	(void)posix_spawnattr_setflags(&attr,
	    POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
		POSIX_SPAWN_SETSIGDEF);
	(void)posix_spawnattr_setsigmask(&attr, &none);
	(void)posix_spawnattr_setsigdefault(&attr, &usual);
	int rc = posix_spawn(&c->pid, path, &actions, &attr, argv, envp);

	(void)posix_spawnattr_destroy(&attr);
	(void)posix_spawn_file_actions_destroy(&actions);
	return rc;
}

static bool
start(struct child *c, const char *path, char *const argv[], char *const envp[],
    const char *input, struct err *err)
{
	int out[2] = { -1, -1 }, complaints[2] = { -1, -1 };
	int in = open_input(input), rc;

	if (in == -1 || (c->to == -1 && pipe2(out, O_CLOEXEC) == -1) ||
	    pipe2(complaints, O_CLOEXEC) == -1)
		rc = errno;
	else
		rc = spawn(c, path, argv, envp,
		    (int[]){ in, c->to == -1 ? out[1] : c->to, complaints[1] });
	if (rc != 0)
		err_set(err, ERR_IO, "%s: %s", c->name, strerror(rc));
	c->out = out[0];
	c->err = complaints[0];
	if (in != -1)
		(void)close(in);
	if (out[1] != -1)
		(void)close(out[1]);
	if (complaints[1] != -1)
		(void)close(complaints[1]);
	return rc == 0;
}

static void
end(int *fd)
{
	if (*fd != -1)
		(void)close(*fd);
	*fd = -1;
}

/* Read the output that is ready. false: it can't be kept. */
static bool
take_output(struct child *c, struct err *err)
{
	if (c->size - c->len < 4096) {
		size_t size = c->size == 0 ? 16384 : c->size * 2;
		char *text =
		    size > RUN_OUTPUT_MAX ? NULL : realloc(c->text, size);

		if (text == NULL) {
			err_set(err,
			    size > RUN_OUTPUT_MAX ? ERR_INVALID : ERR_NOMEM,
			    "%s: prints more than %d bytes", c->name,
			    RUN_OUTPUT_MAX / 2);
			return false;
		}
		c->text = text;
		c->size = size;
	}
	assert(c->len < c->size);
	ssize_t n = read(c->out, c->text + c->len, c->size - c->len - 1);

	if (n > 0)
		c->len += (size_t)n;
	else if (n == 0 || errno != EINTR)
		end(&c->out);
	return true;
}

/* Forget whole lines at the beginning that only warn, as Postfix's tools do
 * before they say what is fatal; the last one stays while nothing follows. */
static void
drop_warnings(struct child *c)
{
	const char *end;

	while ((end = memchr(c->complaint, '\n', c->complaint_len)) != NULL) {
		size_t n = (size_t)(end + 1 - c->complaint);

		if (n == c->complaint_len ||
		    memmem(c->complaint, n, "warning: ", 9) == NULL)
			return;
		c->complaint_len -= n;
		memmove(c->complaint, end + 1, c->complaint_len);
	}
}

static void
take_complaint(struct child *c)
{
	char buf[1024];
	const char *p = buf;
	ssize_t n = read(c->err, buf, sizeof(buf));

	if (n == 0 || (n == -1 && errno != EINTR))
		end(&c->err);
	if (n <= 0)
		return;
	while (p < buf + n) {
		assert(c->complaint_len < sizeof(c->complaint));
		size_t left = (size_t)(buf + n - p);
		size_t room = sizeof(c->complaint) - 1 - c->complaint_len;

		if (room == 0)
			return;
		if (left < room)
			room = left;
		memcpy(c->complaint + c->complaint_len, p, room);
		c->complaint_len += room;
		p += room;
		drop_warnings(c);
	}
}

static bool
wait_for(struct child *c, struct pollfd *v, nfds_t n, struct err *err)
{
	int64_t left = c->until_ms - clock_monotonic_ms();
	int rc = left <= 0 ? 0 : poll(v, n, (int)left);

	if (rc > 0 || (rc == -1 && errno == EINTR))
		return true;
	err_set(
	    err, ERR_BUSY, "%s: gave no answer in time and was ended", c->name);
	return false;
}

/* Read both pipes to their end, and wait for the end of the program. */
static bool
follow(struct child *c, struct err *err)
{
	while (c->out != -1 || c->err != -1) {
		struct pollfd v[2] = { { .fd = c->out, .events = POLLIN },
			{ .fd = c->err, .events = POLLIN } };

		if (!wait_for(c, v, 2, err))
			return false;
		if (v[0].revents != 0 && !take_output(c, err))
			return false;
		if (v[1].revents != 0)
			take_complaint(c);
	}
	struct pollfd gone = { .fd = pidfd_open(c->pid, 0), .events = POLLIN };
	bool ok = true;

	while (gone.fd != -1 && ok && gone.revents == 0)
		ok = wait_for(c, &gone, 1, err);
	end(&gone.fd);
	return ok;
}

/* Its first line that is no warning; and the next where the first ends with a
 * colon, as Exim's "configuration error in line 7 of FILE:" does. */
static void
cut_complaint(char *text)
{
	size_t n = strcspn(text, "\n");

	if (n > 0 && text[n - 1] == ':' && text[n] == '\n' &&
	    text[n + 1] != '\0') {
		text[n] = ' ';
		n = strcspn(text, "\n");
	}
	text[n] = '\0';
}

static bool
reap(struct child *c, bool ok, struct err *err)
{
	int status = 0;

	if (!ok)
		(void)kill(-c->pid, SIGKILL);
	while (waitpid(c->pid, &status, 0) == -1)
		if (errno != EINTR)
			break;
	if (!ok || status == 0)
		return ok;
	c->complaint[c->complaint_len] = '\0';
	cut_complaint(c->complaint);
	err_set(err, ERR_IO, "%s: ended with %s %d%s%s", c->name,
	    WIFSIGNALED(status) ? "signal" : "status",
	    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
	    *c->complaint == '\0' ? "" : ": ", c->complaint);
	return false;
}

/*   envp  "PATH=..." first */
static bool
find_and_start(struct child *c, char *const argv[], char *const envp[],
    const char *input, struct err *err)
{
	char path[PATH_LEN];

	assert(strncmp(envp[0], "PATH=", strlen("PATH=")) == 0);
	if (strchr(argv[0], '/') != NULL)
		(void)snprintf(path, sizeof(path), "%s", argv[0]);
	else if (!look_in(
		     envp[0] + strlen("PATH="), argv[0], path, sizeof(path))) {
		err_set(err, ERR_IO, "%s: %s", argv[0], strerror(ENOENT));
		return false;
	}
	return start(c, path, argv, envp, input, err);
}

/* Run it to its end. */
static bool
run(struct child *c, char *const argv[], const char *input, struct err *err)
{
	char *dirs = search_path();
	char **envp = dirs == NULL ? NULL : environment(dirs);
	bool started = false;

	c->out = c->err = -1;
	if (envp == NULL)
		err_nomem(err, argv[0], 0);
	else
		started = find_and_start(c, argv, envp, input, err);
	bool ok = started && follow(c, err);

	free(envp);
	free(dirs);
	end(&c->out);
	end(&c->err);
	return started ? reap(c, ok, err) : ok;
}

char *
run_read(char *const argv[], const char *input, int timeout_s, struct err *err)
{
	struct child c = { .name = argv[0],
		.to = -1,
		.until_ms = clock_monotonic_ms() + (int64_t)timeout_s * 1000 };

	assert(timeout_s > 0);
	bool ok = run(&c, argv, input, err);

	if (ok && c.text == NULL)
		c.text = calloc(1, 1);
	if (!ok || c.text == NULL) {
		free(c.text);
		return NULL;
	}
	for (size_t i = 0; i < c.len; i++)
		if (c.text[i] == '\0')
			c.text[i] = '?';
	c.text[c.len] = '\0';
	return c.text;
}

int
run_write(char *const argv[], int fd, int timeout_s, struct err *err)
{
	struct child c = { .name = argv[0],
		.to = fd,
		.until_ms = clock_monotonic_ms() + (int64_t)timeout_s * 1000 };

	assert(timeout_s > 0 && fd >= 0);
	return run(&c, argv, NULL, err) ? 0 : -1;
}
