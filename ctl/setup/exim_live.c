/* SPDX-License-Identifier: ISC */
/* exim_live - the running Exim: started anew with its configuration, and asked
 * as a stranger would ask it. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/mta/exim_text.h"
#include "ctl/setup/exim.h"
#include "ctl/setup/live.h"
#include "ctl/wiring/exim_load.h"

enum {
	WORD_LEN = 260,
	RELOAD_MS = 15000,
	LOOK_MS = 50,
	FDS_MAX = 256, /* a daemon has a dozen */
	SOCKETS_MAX = 64
};

/* --- start anew --- */

static pid_t
read_pid(const char *file)
{
	return live_process(file, "exim");
}

static pid_t
find_daemon(const char *dir)
{
	static const char *const usual[] = { "/run/exim4/exim.pid",
		"/run/exim.pid", "/var/spool/exim/exim-daemon.pid",
		"/var/spool/exim4/exim-daemon.pid" };
	char *named = setup_exim_option(dir, "pid_file_path");
	pid_t pid = named == NULL ? 0 : read_pid(named);

	for (size_t i = 0; i < sizeof(usual) / sizeof(*usual) && pid == 0 &&
	     (named == NULL || *named == '\0');
	     i++)
		pid = read_pid(usual[i]);
	free(named);
	return pid;
}

/* Debian's file is made of those that were edited. Does Exim take the whole? */
static int
make_and_check(const char *dir, struct err *err)
{
	static const char *const make[] = { EXIM_DEBIAN_MAKE, NULL };
	struct exim_loaded l;
	char *text;

	if (exim_load(dir, &l, err) != 1)
		return -1;
	if (l.layout != EXIM_SINGLE) {
		text = setup_run(make, err);
		free(text);
		if (text == NULL) {
			exim_loaded_release(&l);
			return -1;
		}
	}
	exim_loaded_release(&l);
	text = setup_exim_ask(dir, "config", err);
	free(text);
	return text == NULL ? -1 : 0;
}

/* The daemon's sockets, by their inodes: others are in use when it has started
 * again. Standard output may be journald's and outlives that. Returns how many
 * there are. */
static size_t
sockets_of(pid_t pid, unsigned long v[SOCKETS_MAX])
{
	char path[60], name[80];
	size_t n = 0;

	for (int fd = STDERR_FILENO + 1; fd < FDS_MAX && n < SOCKETS_MAX;
	     fd++) {
		(void)snprintf(
		    path, sizeof(path), "/proc/%d/fd/%d", (int)pid, fd);
		ssize_t len = readlink(path, name, sizeof(name) - 1);

		if (len <= 0)
			continue;
		name[len] = '\0';
		if (strncmp(name, "socket:[", 8) == 0)
			v[n++] = strtoul(name + 8, NULL, 10);
	}
	return n;
}

static bool
are_new(const unsigned long *old, size_t n_old, const unsigned long *new,
    size_t n_new)
{
	for (size_t i = 0; i < n_old; i++)
		for (size_t k = 0; k < n_new; k++)
			if (old[i] == new[k])
				return false;
	return n_new > 0 && n_new >= n_old;
}

/* SIGHUP starts Exim's daemon again in the same process. */
int
setup_exim_reload(const char *dir, struct err *err)
{
	const struct timespec pause = { .tv_nsec = LOOK_MS * 1000000L };
	unsigned long before[SOCKETS_MAX], now[SOCKETS_MAX];

	if (make_and_check(dir, err) == -1)
		return -1;
	pid_t pid = find_daemon(dir);

	if (pid == 0)
		return 0; /* it doesn't run */
	size_t n = sockets_of(pid, before);

	if (kill(pid, SIGHUP) == -1) {
		err_set(err, ERR_IO, "Exim (process %d): %s", (int)pid,
		    strerror(errno));
		return -1;
	}
	for (int ms = 0; ms < RELOAD_MS; ms += LOOK_MS) {
		(void)nanosleep(&pause, NULL);
		if (are_new(before, n, now, sockets_of(pid, now)))
			return 0;
	}
	err_set(err, ERR_IO, "Exim (process %d) didn't start again with %.300s",
	    (int)pid, dir);
	return -1;
}

/* --- the running server --- */

static unsigned
port_of(const char *word)
{
	return strcmp(word, "smtp") == 0      ? 25
	    : strcmp(word, "submission") == 0 ? 587
	    : strncmp(word, "submissions", 11) == 0 ||
		strcmp(word, "smtps") == 0 || strcmp(word, "ssmtp") == 0
	    ? 465
	    : (unsigned)strtoul(word, NULL, 10);
}

/* Is the port in the list? */
static bool
has_port(const char *list, unsigned port)
{
	char word[WORD_LEN], sep = 0;

	while (list != NULL && exim_member(&list, &sep, word, sizeof(word)))
		if (port_of(word) == port)
			return true;
	return false;
}

/* The address at which strangers reach Exim: the first one of local_interfaces
 * that isn't loopback, or the machine's own when it takes all. */
static bool
find_address(const char *dir, struct addr *to)
{
	char *list = setup_exim_option(dir, "local_interfaces");
	const char *at = list;
	char word[WORD_LEN], sep = 0;
	struct network_set own = { 0 };
	bool found = false;

	if (!live_addresses(&own)) {
		free(list);
		return false;
	}
	*to = own.v[0].base;
	if (list == NULL || *list == '\0')
		found = true;
	while (at != NULL && !found &&
	    exim_member(&at, &sep, word, sizeof(word))) {
		struct addr a;

		if (!addr_parse_loose(word, &a))
			continue;
		found =
		    strcmp(word, "0.0.0.0") == 0 || strcmp(word, "::0") == 0;
		for (size_t i = 0; i < own.n && !found; i++)
			if (addr_equal(&own.v[i].base, &a)) {
				*to = a;
				found = true;
			}
	}
	network_set_release(&own);
	free(list);
	return found;
}

static void
find_listeners(struct setup *s)
{
	char *ports = setup_exim_option(s->dir, "daemon_smtp_ports");
	char *tls = setup_exim_option(s->dir, "tls_on_connect_ports");
	const char *at = ports == NULL || *ports == '\0' ? "25" : ports;
	char word[WORD_LEN], sep = 0;
	struct addr to;

	while (find_address(s->dir, &to) &&
	    exim_member(&at, &sep, word, sizeof(word))) {
		struct live_service *v =
		    reallocarray(s->live.v, s->live.n + 1, sizeof(*v));

		if (v == NULL)
			break;
		s->live.v = v;
		v = &v[s->live.n++];
		*v = (struct live_service){ .to = to, .port = port_of(word) };
		v->tls = has_port(tls, v->port);
		(void)snprintf(v->name, sizeof(v->name), "port %u", v->port);
	}
	free(ports);
	free(tls);
}

/* postmaster of the first domain of ours. */
static void
choose_own(struct setup *s)
{
	char *host;

	if (s->own != NULL)
		return;
	host = s->domains_text != NULL
	    ? strndup(s->domains_text, strcspn(s->domains_text, "\""))
	    : setup_exim_option(s->dir, "primary_hostname");
	if (host != NULL && asprintf(&s->own, "postmaster@%s", host) == -1)
		s->own = NULL;
	free(host);
}

void
setup_exim_before(struct setup *s)
{
	struct err err = { .code = ERR_NONE };

	find_listeners(s);
	choose_own(s);
	if (s->live.n == 0 || s->own == NULL) {
		(void)puts(
		    "The running Exim isn't asked as a stranger: no listener has an address that others reach.");
		s->live.n = 0;
	} else if (live_ask(s->live.v, s->live.n, s->own, &err) == -1) {
		(void)printf("The running Exim isn't asked as a stranger: %s\n",
		    err.text);
		s->live.n = 0;
	}
}
