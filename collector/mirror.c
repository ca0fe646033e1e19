/* SPDX-License-Identifier: ISC */
#include "collector/mirror.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/guarded.h"
#include "common/base/own_addresses.h"
#include "common/config/config.h"
#include "common/db/store.h"
#include "common/maps/map.h"
#include "common/maps/permitted.h"

enum {
	TICK_MS = 1000, /* look at the table this often */
	SHARE = 4, /* rest so many times as long as it computed */
	OWN_MS = 30 * 1000,
	MODE = 0644 /* of a new file: others have to read it */
};

struct target {
	const struct config_mirror *cfg;
	struct map *map; /* being written */
	bool failed; /* in this round */
	bool complained;
	/* what is in place */
	uint64_t digest;
	struct stat st; /* all zero: not known */
	int64_t until; /* Unix seconds when an entry of it ends */
};

struct mirror {
	struct config *cfg;
	mirror_note_fn *note;
	pthread_t thread;
	struct mutex mtx;
	pthread_cond_t cond;
	bool poked, stop; /* guarded by mtx */
	/* of the thread alone */
	struct target *target;
	size_t n;
	struct store *store; /* NULL: not open */
	dev_t db_dev;
	ino_t db_ino;
	int64_t version; /* of the table, when it was last walked */
	bool complained;
	struct network_set own;
	int64_t own_ms;
	int64_t rest_ms; /* nothing is done before */
};

static void note(const struct mirror *m, int priority, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void
note(const struct mirror *m, int priority, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	m->note(priority, text);
}

/* --- files --- */

static void
target_failed(const struct mirror *m, struct target *t, const struct err *err)
{
	map_abort(&t->map);
	t->failed = true;
	if (!t->complained)
		note(m, LOG_ERR, "collector.mirror: %s: trying again",
		    err->text);
	t->complained = true;
}

static int
target_begin(struct target *t, struct err *err)
{
	assert(t->map == NULL);
	return map_begin(
	    t->cfg->file, t->cfg->format, t->cfg->value, MODE, &t->map, err);
}

/* Is what we have put there still there? */
static bool
in_place(const struct target *t)
{
	struct stat st;

	return stat(t->cfg->file, &st) == 0 && st.st_ino == t->st.st_ino &&
	    st.st_dev == t->st.st_dev && st.st_size == t->st.st_size &&
	    st.st_mtim.tv_sec == t->st.st_mtim.tv_sec &&
	    st.st_mtim.tv_nsec == t->st.st_mtim.tv_nsec;
}

static int
target_commit(struct target *t, int64_t until, struct err *err)
{
	assert(t->map != NULL);
	uint64_t digest = map_digest(t->map);

	if (digest == t->digest && in_place(t)) {
		map_abort(&t->map);
		t->until = until;
		return 0;
	}
	if (map_commit(&t->map, &t->st, err) == -1)
		return -1;
	t->until = until;
	t->digest = digest;
	return 0;
}

/* Nobody may relay by it. */
static int
target_empty(struct target *t, struct err *err)
{
	struct err second;

	/* what has just failed is not tried again: this can't wait */
	if (!t->failed && target_begin(t, err) == 0 &&
	    target_commit(t, INT64_MAX, err) == 0)
		return 0;
	map_abort(&t->map);
	t->st = (struct stat){ 0 };
	/* a full disk, perhaps: that works without room */
	if (map_wipe(t->cfg->file, t->cfg->format, &second) == -1) {
		*err = second;
		return -1;
	}
	t->until = INT64_MAX;
	return 0;
}

/* A file that can't be kept fresh must not go on permitting. */
static void
empty_outdated(struct mirror *m)
{
	struct err err;

	for (size_t i = 0; i < m->n; i++) {
		struct target *t = &m->target[i];

		if (t->until > clock_now())
			continue;
		bool there = access(t->cfg->file, F_OK) == 0;

		if (target_empty(t, &err) == -1)
			target_failed(m, t, &err);
		else if (there)
			note(m, LOG_ERR,
			    "collector.mirror: %s: emptied, since it can't be brought up to date",
			    t->cfg->file);
	}
}

/* --- the table --- */

static void
store_failed(struct mirror *m, const struct err *err)
{
	store_close(&m->store);
	if (!m->complained)
		note(m, LOG_ERR, "collector.mirror: %s: trying again",
		    err->text);
	m->complained = true;
}

static int
open_store(struct mirror *m, struct err *err)
{
	const char *path = m->cfg->logins.database;
	struct stat st;

	if (m->store != NULL &&
	    (stat(path, &st) == -1 || st.st_ino != m->db_ino ||
		st.st_dev != m->db_dev))
		store_close(&m->store);
	if (m->store != NULL)
		return 0;
	m->version = -1;
	if (store_open(path, STORE_READ, &m->store, err) == -1)
		return -1;
	if (stat(path, &st) == -1) {
		err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
		return -1;
	}
	m->db_ino = st.st_ino;
	m->db_dev = st.st_dev;
	return 0;
}

static int
know_own(struct mirror *m, struct err *err)
{
	int64_t ms = clock_monotonic_ms();

	if (!m->cfg->relay.never_authorize_own ||
	    (m->own_ms != 0 && ms - m->own_ms < OWN_MS))
		return 0;
	if (own_addresses(&m->own, err) == -1)
		return -1;
	m->own_ms = ms;
	return 0;
}

static bool
take_client(void *arg, const struct permitted *p)
{
	struct mirror *m = arg;
	struct err err;

	for (size_t i = 0; i < m->n; i++)
		if (m->target[i].map != NULL &&
		    map_put(m->target[i].map, p, &err) == -1)
			target_failed(m, &m->target[i], &err);
	return true;
}

/* Write every file as the table is now. false: the table can't be read. */
static bool
write_all(struct mirror *m)
{
	int64_t until, now = clock_now();
	struct err err;

	assert(m->store != NULL);
	for (size_t i = 0; i < m->n; i++) {
		struct target *t = &m->target[i];

		t->failed = false;
		if (target_begin(t, &err) == -1)
			target_failed(m, t, &err);
	}
	if (know_own(m, &err) == -1 ||
	    permitted_each(m->store, m->cfg, &m->own, now, take_client, m,
		&until, &err) == -1) {
		for (size_t i = 0; i < m->n; i++)
			map_abort(&m->target[i].map);
		store_failed(m, &err);
		return false;
	}
	for (size_t i = 0; i < m->n; i++) {
		struct target *t = &m->target[i];

		if (t->map != NULL && target_commit(t, until, &err) == -1)
			target_failed(m, t, &err);
		if (!t->failed && t->complained)
			note(m, LOG_NOTICE,
			    "collector.mirror: %s: written again",
			    t->cfg->file);
		t->complained &= t->failed;
	}
	return true;
}

/* Is there something to write? */
static bool
is_due(const struct mirror *m, bool changed)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->target[i].failed || !in_place(&m->target[i]) ||
		    m->target[i].until <= clock_now())
			return true;
	return changed;
}

/* This thread's processor time: waiting for the disk takes nothing away from
 * others. */
static int64_t
processor_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void
refresh(struct mirror *m)
{
	int64_t began_ms = clock_monotonic_ms(), version;
	int64_t used_ms = processor_ms();
	struct err err;

	if (open_store(m, &err) == -1 ||
	    store_data_version(m->store, &version, &err) == -1) {
		store_failed(m, &err);
		empty_outdated(m);
		m->rest_ms = began_ms + TICK_MS;
		return;
	}
	if (!is_due(m, version != m->version))
		return;
	if (write_all(m)) {
		/* as of before the walk: what came since comes next time */
		m->version = version;
		if (m->complained)
			note(m, LOG_NOTICE, "collector.mirror: %s: read again",
			    m->cfg->logins.database);
		m->complained = false;
	}
	empty_outdated(m);
	m->rest_ms = clock_monotonic_ms() + SHARE * (processor_ms() - used_ms);
	if (m->rest_ms < began_ms + TICK_MS)
		m->rest_ms = began_ms + TICK_MS;
}

/* --- the thread --- */

/* Wait for a poke or a tick, and while it is time to rest. Returns false
 * when it is time to end. */
static bool
wait_for_work(struct mirror *m)
{
	int64_t rest = m->rest_ms - clock_monotonic_ms();
	bool in_time = true;

	mutex_lock(&m->mtx);
	while (!m->stop && in_time && (rest > 0 || !m->poked)) {
		struct timespec until;

		clock_deadline(rest > 0 ? (int)rest : TICK_MS, &until);
		in_time = mutex_wait_until(&m->mtx, &m->cond, &until);
		rest = m->rest_ms - clock_monotonic_ms();
	}
	bool more = !m->stop;

	m->poked = false;
	mutex_unlock(&m->mtx);
	return more;
}

static void *
run(void *arg)
{
	struct mirror *m = arg;

	for (size_t i = 0; i < m->n; i++)
		map_clean(m->target[i].cfg->file);
	do
		refresh(m);
	while (wait_for_work(m));
	return NULL;
}

static void
mirror_free(struct mirror *m)
{
	store_close(&m->store);
	network_set_release(&m->own);
	config_free(m->cfg);
	free(m->target);
	free(m);
}

static int
start_thread(struct mirror *m, struct err *err)
{
	(void)pthread_cond_init(&m->cond, NULL);
	mutex_init(&m->mtx);
	int rc = pthread_create(&m->thread, NULL, run, m);

	if (rc == 0)
		return 0;
	(void)pthread_cond_destroy(&m->cond);
	mutex_destroy(&m->mtx);
	err_set(err, ERR_IO, "collector.mirror: %s", strerror(rc));
	return -1;
}

int
mirror_start(struct config *cfg, mirror_note_fn *note_fn, struct mirror **m_r,
    struct err *err)
{
	struct mirror *m = NULL;

	*m_r = NULL;
	if (cfg->collector.n_mirror == 0) {
		config_free(cfg);
		return 0;
	}
	m = calloc(1, sizeof(*m));
	if (m == NULL ||
	    (m->target = calloc(cfg->collector.n_mirror, sizeof(*m->target))) ==
		NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		goto fail;
	}
	m->note = note_fn;
	m->n = cfg->collector.n_mirror;
	/* until 0: what was left there is out of date before anything else */
	for (size_t i = 0; i < m->n; i++)
		m->target[i].cfg = &cfg->collector.mirror[i];
	m->cfg = cfg;
	if (start_thread(m, err) == -1)
		goto fail;
	*m_r = m;
	return 0;
fail:
	/* nobody keeps them */
	for (size_t i = 0; i < cfg->collector.n_mirror; i++)
		(void)map_wipe(cfg->collector.mirror[i].file,
		    cfg->collector.mirror[i].format, NULL);
	if (m != NULL)
		free(m->target);
	free(m);
	config_free(cfg);
	return -1;
}

void
mirror_poke(struct mirror *m)
{
	if (m == NULL)
		return;
	mutex_lock(&m->mtx);
	m->poked = true;
	(void)pthread_cond_signal(&m->cond);
	mutex_unlock(&m->mtx);
}

static bool
goes_on(const struct config_mirror *mirror, const struct config *next)
{
	for (size_t i = 0; next != NULL && i < next->collector.n_mirror; i++)
		if (strcmp(next->collector.mirror[i].file, mirror->file) == 0)
			return true;
	return false;
}

void
mirror_stop(struct mirror **mp, const struct config *next)
{
	struct mirror *m = *mp;
	struct err err;

	if (m == NULL)
		return;
	mutex_lock(&m->mtx);
	m->stop = true;
	(void)pthread_cond_signal(&m->cond);
	mutex_unlock(&m->mtx);
	(void)pthread_join(m->thread, NULL);
	(void)pthread_cond_destroy(&m->cond);
	mutex_destroy(&m->mtx);
	for (size_t i = 0; i < m->n; i++)
		if (!goes_on(m->target[i].cfg, next) &&
		    target_empty(&m->target[i], &err) == -1)
			note(m, LOG_ERR,
			    "collector.mirror: %s: not emptied, it goes on permitting",
			    err.text);
	mirror_free(m);
	*mp = NULL;
}
