/* SPDX-License-Identifier: ISC */
/* sendmail_live - the running Sendmail: started anew with its configuration,
 * and asked as a stranger would ask it. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "common/base/err.h"
#include "common/mta/sendmail_cf.h"
#include "ctl/setup/live.h"
#include "ctl/setup/sendmail.h"

enum { TEXT_LEN = 1000, RELOAD_MS = 15000, LOOK_MS = 50 };

static pid_t
read_pid(const char *file)
{
	return live_process(file, "sendmail");
}

/* Where sendmail.cf, or the program itself, has the process id. */
static void
find_pid_file(const char *cf_file, char *buf, size_t size)
{
	static const char *const usual[] = {
		"/var/run/sendmail.pid",
		"/var/run/sendmail/mta/sendmail.pid",
	};
	FILE *in = fopen(cf_file, "re");
	char line[TEXT_LEN];

	*buf = '\0';
	while (in != NULL && fgets(line, sizeof(line), in) != NULL) {
		const char *v =
		    *line != 'O' ? NULL : sendmail_option(line + 1, "PidFile");

		if (v != NULL)
			(void)snprintf(
			    buf, size, "%.*s", (int)strcspn(v, "\n"), v);
	}
	if (in != NULL)
		(void)fclose(in);
	for (size_t i = 0; *buf == '\0' && i < 2; i++)
		if (read_pid(usual[i]) != 0)
			(void)snprintf(buf, size, "%s", usual[i]);
}

/* Sendmail reads sendmail.cf when it starts: SIGHUP starts it again, in the
 * same process, and its file is written when it listens. */
int
setup_sendmail_reload(const char *cf_file, struct err *err)
{
	const struct timespec pause = { .tv_nsec = LOOK_MS * 1000000L };
	char file[TEXT_LEN];
	struct stat before, now;
	pid_t pid;

	find_pid_file(cf_file, file, sizeof(file));
	pid = *file == '\0' ? 0 : read_pid(file);
	if (pid == 0 || stat(file, &before) == -1)
		return 0; /* it doesn't run */
	if (kill(pid, SIGHUP) == -1) {
		err_set(err, ERR_IO, "Sendmail (process %d): %s", (int)pid,
		    strerror(errno));
		return -1;
	}
	for (int ms = 0; ms < RELOAD_MS; ms += LOOK_MS) {
		(void)nanosleep(&pause, NULL);
		if (stat(file, &now) == 0 &&
		    (now.st_mtim.tv_sec != before.st_mtim.tv_sec ||
			now.st_mtim.tv_nsec != before.st_mtim.tv_nsec) &&
		    read_pid(file) != 0)
			return 0;
	}
	err_set(err, ERR_IO,
	    "Sendmail (process %d) didn't start again with %.300s", (int)pid,
	    cf_file);
	return -1;
}

/* --- the running server --- */

/* A listener of sendmail.cf that strangers reach: its port and address. */
static bool
take_listener(
    struct live_service *v, const char *options, const struct network_set *own)
{
	char word[100], modifiers[40] = "";
	struct addr a;

	v->port = 25;
	if (sendmail_equate(options, 'P', word, sizeof(word)))
		v->port = strcmp(word, "smtp") == 0   ? 25
		    : strcmp(word, "submission") == 0 ? 587
		    : strcmp(word, "smtps") == 0 || strcmp(word, "465") == 0
		    ? 465
		    : (unsigned)strtoul(word, NULL, 10);
	(void)sendmail_equate(options, 'M', modifiers, sizeof(modifiers));
	v->tls = strchr(modifiers, 's') != NULL;
	v->to = own->v[0].base;
	if (sendmail_equate(options, 'A', word, sizeof(word)) &&
	    addr_parse_loose(word, &a) && strcmp(word, "0.0.0.0") != 0 &&
	    strcmp(word, "::") != 0) {
		if (a.family == ADDR_IPV4 && a.bytes[0] == 127)
			return false;
		v->to = a;
	}
	if (!sendmail_equate(options, 'N', word, sizeof(word)))
		(void)snprintf(word, sizeof(word), "listener");
	(void)snprintf(v->name, sizeof(v->name), "%s (port %u)", word, v->port);
	return v->port > 0 && v->port <= 65535 &&
	    strchr(modifiers, 'a') == NULL;
}

static void
find_listeners(struct setup *s, const char *path)
{
	struct network_set own = { 0 };
	FILE *in = fopen(path, "re");
	char line[TEXT_LEN];

	while (in != NULL && live_addresses(&own) &&
	    fgets(line, sizeof(line), in) != NULL) {
		const char *options = *line != 'O'
		    ? NULL
		    : sendmail_option(line + 1, "DaemonPortOptions");
		struct live_service *v;

		line[strcspn(line, "\n")] = '\0';
		if (options == NULL)
			continue;
		v = reallocarray(s->live.v, s->live.n + 1, sizeof(*v));
		if (v == NULL)
			break;
		s->live.v = v;
		memset(&v[s->live.n], 0, sizeof(*v));
		s->live.n += take_listener(&v[s->live.n], options, &own);
	}
	if (in != NULL)
		(void)fclose(in);
	network_set_release(&own);
}

void
setup_sendmail_before(struct setup *s)
{
	char path[TEXT_LEN];
	struct err err = { .code = ERR_NONE };

	setup_sendmail_cf(s, path, sizeof(path));
	find_listeners(s, path);
	/* every Sendmail takes mail for its postmaster */
	if (s->own == NULL)
		s->own = strdup("postmaster");
	if (s->live.n == 0 || s->own == NULL) {
		(void)puts(
		    "The running Sendmail isn't asked as a stranger: no listener has an address that others reach without AUTH.");
		s->live.n = 0;
	} else if (live_ask(s->live.v, s->live.n, s->own, &err) == -1) {
		(void)printf(
		    "The running Sendmail isn't asked as a stranger: %s\n",
		    err.text);
		s->live.n = 0;
	}
}
