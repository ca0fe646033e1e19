/* SPDX-License-Identifier: ISC */
#include "collector/share.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "collector/share_state.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/db/store.h"
#include "common/policy/charge.h"

enum {
	TICK_MS = 200, /* an admin's word waits no longer */
	GATHER_MS = 20, /* a transaction each while entries are many */
	WAIT_MIN_MS = 250, /* the back-off */
	WAIT_MAX_MS = 5000,
	LOCK_WAIT_MS = 2000,
	CACHE_KIB = 8 * 1024,
	CHECKPOINT_PAGES = 8192 /* as the loop's handle: others wait for it */
};

void
share_note(const struct share *s, int priority, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	s->note(priority, text);
}

/* --- the table --- */

/* With share.required, the stream is a source that policy row 12 asks for. */
static int
save_source(struct share *s, struct err *err)
{
	struct store_source src = { .read_at = s->at.heard_at };

	if (!s->cfg->share.required)
		return 0;
	(void)snprintf(
	    src.name, sizeof(src.name), "share:%s", s->cfg->share.stream);
	return store_source_save(s->store, &src, err);
}

int
share_save(struct share *s, struct err *err)
{
	assert(s->store != NULL);
	for (int i = 0; i < SHARE_REFUSALS; i++) {
		if (s->refused[i] == 0)
			continue;
		if (store_share_refuse(s->store,
			share_refusal_name((enum share_refusal)i),
			s->refused[i], clock_now(), err) == -1)
			return -1;
		s->refused[i] = 0;
	}
	if (store_share_save(s->store, &s->at, err) == -1 ||
	    save_source(s, err) == -1)
		return -1;
	s->saved_ms = clock_monotonic_ms();
	s->saved_heard_at = s->at.heard_at;
	return 0;
}

static int
load(struct share *s, struct err *err)
{
	int64_t cutoff = clock_now() - s->cfg->logins.keep_s;

	return store_share_find(s->store, &s->at, err) == -1 ||
		store_word_prune(s->store, cutoff, err) == -1 ||
		store_peer_prune(s->store, cutoff, err) == -1 ||
		share_load_machines(s, err) == -1
	    ? -1
	    : 0;
}

static void
disconnect(struct share *s)
{
	link_close(&s->out);
	link_close(&s->in);
	s->asked_ms = 0;
}

/* Open the table, and another one that has its name meanwhile. */
static int
open_store(struct share *s, struct err *err)
{
	const char *path = s->cfg->logins.database;
	struct stat st;

	if (s->store != NULL &&
	    (stat(path, &st) == -1 || st.st_ino != s->db_ino ||
		st.st_dev != s->db_dev)) {
		store_close(&s->store);
		disconnect(s);
	}
	if (s->store != NULL)
		return 0;
	if (store_open(path, STORE_MODIFY, &s->store, err) == -1)
		return -1;
	store_wait(s->store, LOCK_WAIT_MS);
	if (store_tune(s->store, CACHE_KIB, CHECKPOINT_PAGES, err) == -1) {
		store_close(&s->store);
		return -1;
	}
	if (stat(path, &st) == -1) {
		err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
	} else if (load(s, err) == 0) {
		s->db_ino = st.st_ino;
		s->db_dev = st.st_dev;
		return 0;
	}
	store_close(&s->store);
	return -1;
}

/* --- connecting --- */

/* Positions of another Redis mean nothing here: read everything again when the
 * server's data is not that of last time. An entry that was read already counts
 * once. */
static void
meet_server(struct share *s)
{
	const char *server = link_server(s->out);

	if (strcmp(s->at.server, server) == 0)
		return;
	(void)snprintf(s->at.server, sizeof(s->at.server), "%s", server);
	share_read_again(s);
}

static int
connect_links(struct share *s, struct err *err)
{
	const struct link_to to = {
		.server = s->cfg->share.servers.v[s->server],
		.stream = s->cfg->share.stream,
		.user = s->cfg->share.user,
		.password = s->password,
		.tls_ca = s->cfg->share.tls_ca,
		.tls_certificate = s->cfg->share.tls_certificate,
	};

	assert(s->out == NULL && s->in == NULL);
	if (link_open(&to, &s->out, err) == -1 ||
	    link_open(&to, &s->in, err) == -1)
		return -1;
	meet_server(s);
	s->hello_ms = 0;
	return share_settle(s, err);
}

/* Say what is wrong, once, and wait the longer the longer it lasts. */
static void
failed(struct share *s, const struct err *err)
{
	bool store_busy = err->code == ERR_BUSY;

	assert(s->cfg->share.servers.n > 0);
	s->retry_ms = clock_monotonic_ms() + (store_busy ? 0 : s->wait_ms);
	if (store_busy)
		return; /* the next turn tries again */
	disconnect(s);
	/* it may have been too much for a slow line */
	s->most = (s->most + 1) / 2;
	s->server = (s->server + 1) % s->cfg->share.servers.n;
	/* after each of them was tried */
	if (s->server == 0)
		s->wait_ms =
		    s->wait_ms * 2 > WAIT_MAX_MS ? WAIT_MAX_MS : s->wait_ms * 2;
	if (!s->complained)
		share_note(s, LOG_ERR, "share: %s: trying again", err->text);
	s->complained = true;
	(void)snprintf(
	    s->at.trouble, sizeof(s->at.trouble), "%.300s", err->text);
	if (s->store == NULL)
		return;
	if (store_begin(s->store, NULL) == -1 || share_save(s, NULL) == -1 ||
	    store_commit(s->store, NULL) == -1) {
		store_rollback(s->store);
		store_close(&s->store);
	}
}

static void
works(struct share *s)
{
	if (s->complained)
		share_note(s, LOG_NOTICE, "share: %s: works again",
		    s->cfg->share.servers.v[s->server]);
	s->complained = false;
	s->wait_ms = WAIT_MIN_MS;
	s->most = s->most * 2 > SHARE_BATCH ? SHARE_BATCH : s->most * 2;
}

/* --- the thread --- */

/* Do all that needs no waiting. Returns false when it is time to wait. */
static bool
turn(struct share *s)
{
	struct err err = { .text = "" };
	int in = 0, out = 0;

	s->passed = 0;
	if (clock_monotonic_ms() < s->retry_ms)
		return false;
	if (open_store(s, &err) == -1 || share_open_outbox(s, &err) == -1 ||
	    (s->in == NULL && connect_links(s, &err) == -1) ||
	    (out = share_publish(s, &err)) == -1 ||
	    (in = share_receive(s, &err)) == -1) {
		failed(s, &err);
		return false;
	}
	if (in == 1)
		works(s);
	return in == 1 || out == 1;
}

static bool
stopping(struct share *s)
{
	mutex_lock(&s->mtx);
	bool stop = s->stop;

	mutex_unlock(&s->mtx);
	return stop;
}

/* Wait up to ms for a poke or an answer. */
static void
wait_for_work(struct share *s, int ms)
{
	struct pollfd fds[] = {
		{ .fd = s->wake, .events = POLLIN },
		{ .fd = s->in != NULL && s->asked_ms != 0 ? link_fd(s->in) : -1,
		    .events = POLLIN },
	};
	uint64_t n;

	if (poll(fds, 2, ms) > 0 && fds[0].revents != 0)
		(void)!read(s->wake, &n, sizeof(n));
}

/* One entry goes at once. Where several came together more will come soon, and
 * each commit costs every reader of the table what it had in memory; but those
 * of a batch that was full are behind. */
static void
gather(const struct share *s, int64_t since_ms)
{
	int64_t left_ms = since_ms + GATHER_MS - clock_monotonic_ms();
	const struct timespec pause = { .tv_nsec = left_ms * 1000000 };

	if (s->passed > 1 && s->passed < (size_t)s->most / 2 && left_ms > 0)
		(void)nanosleep(&pause, NULL);
}

/* Save what Redis has taken since the last time. */
static void
save_at_end(struct share *s)
{
	if (s->store == NULL || s->saved_ms == 0)
		return;
	if (store_begin(s->store, NULL) == -1 || share_save(s, NULL) == -1 ||
	    store_commit(s->store, NULL) == -1)
		store_rollback(s->store);
}

static void *
run(void *arg)
{
	struct share *s = arg;
	struct err err;

	while (!stopping(s)) {
		int64_t ms = clock_monotonic_ms();
		bool more = turn(s);

		gather(s, ms);
		wait_for_work(s, more ? 0 : TICK_MS);
	}
	while (s->out != NULL && share_publish(s, &err) == 1)
		;
	save_at_end(s);
	return NULL;
}

/* --- beginning and end --- */

/* The first line of the password's file. */
static int
read_password(struct share *s, struct err *err)
{
	const char *path = s->cfg->share.password_file;
	struct stat st;

	if (*path == '\0')
		return 0;
	FILE *in = fopen(path, "re");

	if (in == NULL || fstat(fileno(in), &st) == -1 ||
	    fgets(s->password, sizeof(s->password), in) == NULL) {
		err_set(err, ERR_IO, "share.password_file: %s: %s", path,
		    in != NULL && feof(in) ? "is empty" : strerror(errno));
		if (in != NULL)
			(void)fclose(in);
		return -1;
	}
	(void)fclose(in);
	s->password[strcspn(s->password, "\r\n")] = '\0';
	if ((st.st_mode & 0007) == 0 && *s->password != '\0')
		return 0;
	err_set(err, ERR_INVALID, "share.password_file: %s: %s", path,
	    *s->password == '\0' ? "its first line is empty"
				 : "others may read or write it: chmod 0640");
	return -1;
}

static int
read_secrets(struct share *s, struct err *err)
{
	const char *old = s->cfg->share.key_file_old;

	if (share_key_read(s->cfg->share.key_file, &s->keys, err) == -1 ||
	    (*old != '\0' && share_key_read(old, &s->keys, err) == -1))
		return -1;
	return read_password(s, err);
}

static void
name_machine(struct share *s)
{
	const char *name = s->cfg->share.name;

	if (*name != '\0')
		(void)snprintf(s->name, sizeof(s->name), "%s", name);
	else if (gethostname(s->name, sizeof(s->name) - 1) == -1 ||
	    *s->name == '\0')
		(void)snprintf(s->name, sizeof(s->name), "unnamed");
}

static void
share_free(struct share *s)
{
	disconnect(s);
	store_close(&s->store);
	outbox_close(&s->outbox);
	if (s->wake != -1)
		(void)close(s->wake);
	mutex_destroy(&s->mtx);
	free(s->machine);
	config_free(s->cfg);
	explicit_bzero(s->password, sizeof(s->password));
	explicit_bzero(&s->keys, sizeof(s->keys));
	free(s);
}

int
share_start(struct config *cfg, share_note_fn *note_fn, struct share **s_r,
    struct err *err)
{
	struct share *s;
	int rc = 0;

	*s_r = NULL;
	if (cfg->share.servers.n == 0) {
		config_free(cfg);
		return 0;
	}
	s = calloc(1, sizeof(*s));
	if (s == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		config_free(cfg);
		return -1;
	}
	s->cfg = cfg;
	s->note = note_fn;
	s->wait_ms = WAIT_MIN_MS;
	s->most = SHARE_BATCH;
	s->again = true; /* it may have been ended while it did */
	s->window_s = charge_window(cfg);
	mutex_init(&s->mtx);
	name_machine(s);
	s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (read_secrets(s, err) == -1)
		goto fail;
	rc = s->wake == -1 ? errno : pthread_create(&s->thread, NULL, run, s);
	if (rc != 0) {
		err_set(err, ERR_IO, "share: %s", strerror(rc));
		goto fail;
	}
	*s_r = s;
	return 0;
fail:
	share_free(s);
	return -1;
}

void
share_poke(struct share *s)
{
	const uint64_t one = 1;

	if (s != NULL)
		(void)!write(s->wake, &one, sizeof(one));
}

void
share_stop(struct share **sp)
{
	struct share *s = *sp;

	if (s == NULL)
		return;
	mutex_lock(&s->mtx);
	s->stop = true;
	mutex_unlock(&s->mtx);
	share_poke(s);
	(void)pthread_join(s->thread, NULL);
	share_free(s);
	*sp = NULL;
}
