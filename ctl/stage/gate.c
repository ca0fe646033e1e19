/* SPDX-License-Identifier: ISC */
#include "ctl/stage/gate.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/listen.h"
#include "common/config/config.h"
#include "common/db/audit.h"
#include "common/db/store.h"
#include "ctl/config_text.h"
#include "ctl/stage/room.h"
#include "ctl/stage/stage.h"

#define DIR_OF_GATE ROOM_DIR "/popgate"
#define CONFIG_FILE DIR_OF_GATE "/popgate.conf"
#define LOGINS DIR_OF_GATE "/logins.db"
#define AUDIT DIR_OF_GATE "/audit.db"

enum { LOOK_MS = 5, LEASE_S = 3600 };

/* Keys that the copy has values of its own for. */
static const struct {
	const char *key, *value;
} own_values[] = {
	{ "logins.database", LOGINS },
	{ "audit.database", AUDIT },
	{ "audit.record", "all" },
	{ "milter.user", "root" },
	{ "milter.status", "" },
	{ "relay.collector_grace", "0s" },
	{ "metrics.milter", "" },
	{ "metrics.collector", "" },
};

struct writer {
	FILE *to;
	char section[64];
};

static const char *
own_value(const char *key)
{
	for (size_t i = 0; i < sizeof(own_values) / sizeof(own_values[0]); i++)
		if (strcmp(key, own_values[i].key) == 0)
			return own_values[i].value;
	return NULL;
}

static bool
write_value(void *arg, const struct config_value *value)
{
	struct writer *w = arg;
	size_t len = strcspn(value->key, ".");
	const char *own = own_value(value->key);

	if (strncmp(value->key, "collector.", 10) == 0)
		return true; /* logs are nothing to a milter */
	if (strncmp(w->section, value->key, len) != 0 ||
	    w->section[len] != '\0') {
		(void)fprintf(w->to, "%s%.*s:\n{\n",
		    *w->section == '\0' ? "" : "};\n", (int)len, value->key);
		(void)snprintf(w->section, sizeof(w->section), "%.*s", (int)len,
		    value->key);
	}
	(void)fprintf(w->to, "    %s = ", value->key + len + 1);
	if (own != NULL)
		config_text_string(w->to, own);
	else
		config_text_value(w->to, value);
	(void)fputs(";\n", w->to);
	return true;
}

static int
write_config(const struct config *cfg, struct err *err)
{
	struct writer w = { .to = fopen(CONFIG_FILE, "we") };
	int rc = -1;

	if (w.to != NULL) {
		rc = config_each(cfg, write_value, &w, err);
		(void)fputs("};\n", w.to);
		if (fclose(w.to) == 0)
			return rc;
	}
	err_set(err, ERR_IO, CONFIG_FILE ": %s", strerror(errno));
	return -1;
}

/* The directory of a Unix socket, with the machine's rights, or else with
 * those that the installed unit gives it. */
static int
socket_directory(const char *listen, struct err *err)
{
	struct listen_spec spec;
	char real[sizeof(ROOM_REAL) + LISTEN_PATH_MAX];
	struct stat st;
	char *slash;

	if (*listen == '\0' || listen_parse(listen, &spec, err) == -1 ||
	    !spec.is_unix)
		return *listen == '\0' || !spec.is_unix ? 0 : -1;
	slash = strrchr(spec.path, '/');
	if (slash == NULL || slash == spec.path)
		return 0;
	*slash = '\0';
	bool fresh = stat(spec.path, &st) == -1;

	if (room_writable(spec.path, err) == -1)
		return -1;
	(void)snprintf(real, sizeof(real), ROOM_REAL "%s", spec.path);
	if (stat(real, &st) == 0) {
		if (chown(spec.path, st.st_uid, st.st_gid) == 0 &&
		    chmod(spec.path, st.st_mode & 07777) == 0)
			return 0;
		err_set(err, ERR_IO, "%s: %s", spec.path, strerror(errno));
		return -1;
	}
	const struct group *gr = fresh ? getgrnam("postfix") : NULL;

	/* setgid: the sockets inherit the group */
	if (gr != NULL &&
	    (chown(spec.path, 0, gr->gr_gid) == -1 ||
		chmod(spec.path, 02755) == -1)) {
		err_set(err, ERR_IO, "%s: %s", spec.path, strerror(errno));
		return -1;
	}
	return 0;
}

int
stage_gate_prepare(const struct stage_gate *g, struct err *err)
{
	struct store *st = NULL;

	if (mkdir(DIR_OF_GATE, 0700) == -1) {
		err_set(err, ERR_IO, DIR_OF_GATE ": %s", strerror(errno));
		return -1;
	}
	if (write_config(g->cfg, err) == -1 ||
	    store_open(LOGINS, STORE_WRITE, &st, err) == -1)
		return -1;
	store_close(&st);
	return socket_directory(g->cfg->milter.listen, err) == 0 &&
		socket_directory(g->cfg->permit.policy, err) == 0 &&
		socket_directory(g->cfg->permit.socketmap, err) == 0
	    ? 0
	    : -1;
}

static void
run_milter(const struct stage_gate *g)
{
	if (dup2(g->log, STDOUT_FILENO) != -1 &&
	    dup2(g->log, STDERR_FILENO) != -1)
		(void)execl(g->milter, g->milter, "-c", CONFIG_FILE, "-l",
		    "stderr", (char *)NULL);
	_exit(127);
}

static bool
answers(const char *listen)
{
	struct listen_spec spec;
	struct err err;
	int fd;

	if (*listen == '\0' || listen_parse(listen, &spec, &err) == -1)
		return true;
	fd = listen_connect(&spec);
	if (fd != -1)
		(void)close(fd);
	return fd != -1;
}

int
stage_gate_start(struct stage_gate *g, int timeout_ms, struct err *err)
{
	const struct timespec tick = { .tv_nsec = LOOK_MS * 1000000L };
	int64_t until_ms = clock_monotonic_ms() + timeout_ms;

	if (g->pid > 0)
		return 0;
	g->pid = fork();
	if (g->pid == 0)
		run_milter(g);
	if (g->pid == -1) {
		g->pid = 0;
		err_set(err, ERR_IO, "fork: %s", strerror(errno));
		return -1;
	}
	while (!answers(g->cfg->permit.policy) ||
	    !answers(g->cfg->permit.socketmap) ||
	    !answers(g->cfg->milter.listen)) {
		if (waitpid(g->pid, NULL, WNOHANG) == g->pid) {
			g->pid = 0;
			err_set(
			    err, ERR_IO, "%s ended at its start", g->milter);
			return -1;
		}
		if (clock_monotonic_ms() > until_ms) {
			err_set(
			    err, ERR_BUSY, "%s isn't ready in time", g->milter);
			return -1;
		}
		(void)nanosleep(&tick, NULL);
	}
	return 0;
}

void
stage_gate_kill(struct stage_gate *g)
{
	if (g->pid <= 0)
		return;
	(void)kill(g->pid, SIGKILL);
	while (waitpid(g->pid, NULL, 0) == -1 && errno == EINTR)
		;
	g->pid = 0;
}

int
stage_gate_login(const struct addr *client, const char *user,
    uint8_t ipv6_prefix, struct err *err)
{
	struct login login = { .client = *client,
		.service = "imap",
		.server = "dovecot",
		.at = clock_now() };
	struct network net =
	    network_of(client, client->family == ADDR_IPV6 ? ipv6_prefix : 32);
	struct store *st = NULL;
	int rc = -1;

	(void)snprintf(login.user, sizeof(login.user), "%s", user);
	if (store_open(LOGINS, STORE_WRITE, &st, err) == -1)
		return -1;
	if (store_begin(st, err) == 0) {
		rc = store_login(
		    st, &login, &net, login.at + LEASE_S, NULL, err);
		if (rc == 0)
			rc = store_commit(st, err);
		else
			store_rollback(st);
	}
	store_close(&st);
	return rc;
}

struct taken {
	struct stage_decision *v;
	size_t n, room;
};

static bool
take_decision(void *arg, const struct audit_record *r)
{
	struct taken *t = arg;

	if (t->n == t->room) {
		size_t room = t->room == 0 ? 64 : 2 * t->room;
		void *v = reallocarray(t->v, room, sizeof(*t->v));

		if (v == NULL)
			return false;
		t->v = v;
		t->room = room;
	}
	struct stage_decision *d = &t->v[t->n++];

	*d = (struct stage_decision){ .count = r->count };
	(void)snprintf(d->client, sizeof(d->client), "%s", r->client);
	(void)snprintf(d->sender, sizeof(d->sender), "%s",
	    r->sender == NULL ? "" : r->sender);
	(void)snprintf(d->recipient, sizeof(d->recipient), "%s",
	    r->recipient == NULL ? "" : r->recipient);
	(void)snprintf(d->verdict, sizeof(d->verdict), "%s", r->verdict);
	(void)snprintf(d->reason, sizeof(d->reason), "%s", r->reason);
	(void)snprintf(d->channel, sizeof(d->channel), "%s",
	    r->channel == NULL ? "" : r->channel);
	return true;
}

int64_t
stage_gate_decisions(struct stage_decision **v_r, struct err *err)
{
	const struct audit_filter all = { .channels = true };
	struct taken taken = { 0 };
	struct audit_reader *reader = NULL;
	int rc = 0;

	*v_r = NULL;
	if (access(AUDIT, F_OK) == -1)
		return 0;
	if (audit_open_reader(AUDIT, &reader, err) == -1)
		return -1;
	rc = audit_each(reader, &all, take_decision, &taken, err);
	audit_close_reader(&reader);
	if (rc == -1) {
		free(taken.v);
		return -1;
	}
	*v_r = taken.v;
	return (int64_t)taken.n;
}
