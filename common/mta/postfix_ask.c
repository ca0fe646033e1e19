/* SPDX-License-Identifier: ISC */
#include "common/mta/postfix_ask.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/run.h"
#include "common/base/siphash.h"

enum {
	BUCKETS = 512, /* a power of two */
	WAYS = 4,
	QUEUE_MAX = 256, /* keys that wait for one process */
	WAIT_MS = POSTFIX_ASK_TIMEOUT_S * 1000 + 1000,
};

enum { LAST_KEY_MAX = 48 };

struct known {
	char *key;
	bool found;
	int64_t until_ms; /* monotonic */
};

struct keys {
	char *v[QUEUE_MAX];
	size_t n;
};

struct postfix_ask {
	char *dir, *table;
	uint64_t hash_key[2];
	/* postmap's exit status doesn't tell "none found" from a failure. A
	 * second table answers this key, which is asked last: it proves that
	 * all were asked. Strangers choose keys: they don't know this one. */
	char last_key[LAST_KEY_MAX];
	pthread_mutex_t mtx;
	pthread_cond_t answered;
	/* all below: guarded by mtx */
	unsigned refs; /* the owner's, and the worker's */
	bool dropped; /* by its owner */
	bool working;
	struct keys waiting, asked; /* asked: of the process that runs */
	int64_t rest_until_ms;
	bool failed;
	char why[ERR_TEXT_MAX];
	struct known known[BUCKETS][WAYS];
};

static _Atomic(postfix_ask_fn *) notify;

void
postfix_ask_notify(postfix_ask_fn *fn)
{
	atomic_store(&notify, fn);
}

struct postfix_ask *
postfix_ask_new(const char *dir, const char *table)
{
	struct postfix_ask *a = calloc(1, sizeof(*a));
	pthread_condattr_t attr;

	if (a == NULL)
		return NULL;
	a->refs = 1;
	a->dir = strdup(dir);
	a->table = strdup(table);
	unsigned chance[4] = { 0 };

	(void)!getrandom(a->hash_key, sizeof(a->hash_key), 0);
	(void)!getrandom(chance, sizeof(chance), 0);
	(void)snprintf(a->last_key, sizeof(a->last_key),
	    "%08x%08x%08x%08x.invalid", chance[0], chance[1], chance[2],
	    chance[3]);
	(void)pthread_mutex_init(&a->mtx, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&a->answered, &attr);
	(void)pthread_condattr_destroy(&attr);
	if (a->dir != NULL && a->table != NULL)
		return a;
	postfix_ask_free(a);
	return NULL;
}

static void
keys_release(struct keys *k)
{
	for (size_t i = 0; i < k->n; i++)
		free(k->v[i]);
	k->n = 0;
}

/* Give a reference back; mtx is held, and let go. */
static void
give(struct postfix_ask *a)
{
	assert(a->refs > 0);
	bool last = --a->refs == 0;

	(void)pthread_mutex_unlock(&a->mtx);
	if (!last)
		return;
	for (size_t i = 0; i < (size_t)BUCKETS * WAYS; i++)
		free(a->known[i / WAYS][i % WAYS].key);
	keys_release(&a->waiting);
	keys_release(&a->asked);
	(void)pthread_cond_destroy(&a->answered);
	(void)pthread_mutex_destroy(&a->mtx);
	free(a->dir);
	free(a->table);
	free(a);
}

void
postfix_ask_free(struct postfix_ask *a)
{
	if (a == NULL)
		return;
	(void)pthread_mutex_lock(&a->mtx);
	a->dropped = true;
	give(a);
}

static struct known *
bucket(struct postfix_ask *a, const char *key)
{
	return a->known[siphash(a->hash_key, key, strlen(key)) & (BUCKETS - 1)];
}

/* The answer about key that is known and still good, or NULL. mtx is held. */
static const struct known *
recall(struct postfix_ask *a, const char *key, int64_t now_ms)
{
	const struct known *k = bucket(a, key);

	for (int i = 0; i < WAYS; i++)
		if (k[i].key != NULL && k[i].until_ms > now_ms &&
		    strcmp(k[i].key, key) == 0)
			return &k[i];
	return NULL;
}

/* Take over key. In place of its older answer, or of the one that ends first.
 * mtx is held. */
static void
remember(struct postfix_ask *a, char *key, bool found)
{
	struct known *k = bucket(a, key), *to = &k[0];

	for (int i = 0; i < WAYS; i++) {
		if (k[i].key != NULL && strcmp(k[i].key, key) == 0) {
			to = &k[i];
			break;
		}
		if (k[i].until_ms < to->until_ms)
			to = &k[i];
	}
	free(to->key);
	*to = (struct known){ .key = key,
		.found = found,
		.until_ms = clock_monotonic_ms() +
		    (found ? POSTFIX_ASK_FOUND_MS : POSTFIX_ASK_NONE_MS) };
}

/* The keys as postmap reads them, one a line; NULL when memory is short. */
static char *
questions(const struct keys *k, const char *last_key)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (out == NULL)
		return NULL;
	for (size_t i = 0; i < k->n; i++)
		(void)fprintf(out, "%s\n", k->v[i]);
	(void)fprintf(out, "%s\n", last_key);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

/* Lines "key<TAB>value" of those that the table has, to be freed; or NULL with
 * err. mtx isn't held. */
static char *
run_postmap(struct postfix_ask *a, struct err *err)
{
	char last_table[LAST_KEY_MAX + 20], last_line[LAST_KEY_MAX + 1];
	char *argv[] = {
		(char[]){ "postmap" },
		(char[]){ "-c" },
		a->dir,
		(char[]){ "-q" },
		(char[]){ "-" },
		a->table,
		last_table,
		NULL,
	};
	char *in = questions(&a->asked, a->last_key), *out;

	(void)snprintf(
	    last_table, sizeof(last_table), "inline:{%s=asked}", a->last_key);
	(void)snprintf(last_line, sizeof(last_line), "%s\t", a->last_key);
	if (in == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	out = run_read(argv, in, POSTFIX_ASK_TIMEOUT_S, err);
	free(in);
	if (out == NULL || strstr(out, last_line) != NULL)
		return out;
	err_set(err, ERR_IO, "postmap: gave no answer");
	free(out);
	return NULL;
}

/* mtx is held. */
static void
take_answers(struct postfix_ask *a, char *text)
{
	bool found[QUEUE_MAX] = { false };
	char *save = NULL;
	size_t i = 0;

	/* in the order of the questions, so that no value can pass for a key */
	for (char *line = strtok_r(text, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		size_t n = strcspn(line, "\t"), at = i;

		while (at < a->asked.n &&
		    (strncmp(a->asked.v[at], line, n) != 0 ||
			a->asked.v[at][n] != '\0'))
			at++;
		if (at == a->asked.n || line[n] != '\t')
			continue;
		found[at] = true;
		i = at + 1;
	}
	for (i = 0; i < a->asked.n; i++)
		remember(a, a->asked.v[i], found[i]);
	a->asked.n = 0;
	a->failed = false;
}

/* mtx is held. */
static void
take_failure(struct postfix_ask *a, const struct err *err)
{
	a->failed = true;
	(void)snprintf(a->why, sizeof(a->why), "%s", err->text);
	a->rest_until_ms = clock_monotonic_ms() + POSTFIX_ASK_REST_MS;
	keys_release(&a->asked);
	keys_release(&a->waiting);
}

/* Ask for all that wait. mtx is held, but not meanwhile. */
static void
ask_once(struct postfix_ask *a)
{
	postfix_ask_fn *fn = atomic_load(&notify);
	struct err err;

	a->asked = a->waiting;
	a->waiting.n = 0;
	(void)pthread_mutex_unlock(&a->mtx);
	char *text = run_postmap(a, &err);

	(void)pthread_mutex_lock(&a->mtx);
	if (text != NULL)
		take_answers(a, text);
	else
		take_failure(a, &err);
	free(text);
	(void)pthread_cond_broadcast(&a->answered);
	if (fn != NULL)
		fn();
}

static void *
work(void *arg)
{
	struct postfix_ask *a = arg;

	(void)pthread_mutex_lock(&a->mtx);
	while (a->waiting.n > 0 && !a->dropped)
		ask_once(a);
	a->working = false;
	give(a);
	return NULL;
}

/* mtx is held. */
static bool
start_worker(struct postfix_ask *a)
{
	pthread_attr_t attr;
	pthread_t thread;

	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	a->working = pthread_create(&thread, &attr, work, a) == 0;
	a->refs += a->working;
	(void)pthread_attr_destroy(&attr);
	return a->working;
}

static bool
has(const struct keys *k, const char *key)
{
	for (size_t i = 0; i < k->n; i++)
		if (strcmp(k->v[i], key) == 0)
			return true;
	return false;
}

/* mtx is held. */
static bool
enqueue(struct postfix_ask *a, const char *key)
{
	if (has(&a->asked, key) || has(&a->waiting, key))
		return true;
	if (a->waiting.n == QUEUE_MAX ||
	    (a->waiting.v[a->waiting.n] = strdup(key)) == NULL)
		return false;
	a->waiting.n++;
	return true;
}

/* A thread that waits for an answer asks itself, if no other does. mtx is held.
 * false: too late, or no thread can be had. */
static bool
see_to_it(struct postfix_ask *a, const struct timespec *until)
{
	if (a->working)
		return until == NULL ||
		    pthread_cond_timedwait(&a->answered, &a->mtx, until) == 0;
	if (until == NULL)
		return start_worker(a);
	a->working = true;
	ask_once(a);
	a->working = false;
	return a->waiting.n == 0 || start_worker(a);
}

enum postfix_answer
postfix_ask_keys(
    struct postfix_ask *a, const char *const keys[], size_t n, bool wait)
{
	enum postfix_answer answer = POSTFIX_FAILED;
	const struct known *k;
	struct timespec until;

	assert(n > 0);
	clock_deadline(WAIT_MS, &until);
	(void)pthread_mutex_lock(&a->mtx);
	for (;;) {
		int64_t now_ms = clock_monotonic_ms();

		k = recall(a, keys[0], now_ms);
		if (k != NULL)
			answer = k->found ? POSTFIX_FOUND : POSTFIX_NONE;
		if (k != NULL || a->rest_until_ms > now_ms ||
		    !enqueue(a, keys[0]))
			break;
		for (size_t i = 1; i < n; i++)
			if (recall(a, keys[i], now_ms) == NULL)
				(void)enqueue(a, keys[i]);
		if (!see_to_it(a, wait ? &until : NULL))
			break;
		if (!wait) {
			answer = POSTFIX_PENDING;
			break;
		}
	}
	(void)pthread_mutex_unlock(&a->mtx);
	return answer;
}

bool
postfix_ask_failed(struct postfix_ask *a, char *why, size_t size)
{
	(void)pthread_mutex_lock(&a->mtx);
	bool failed = a->failed;

	if (failed)
		(void)snprintf(why, size, "%s", a->why);
	(void)pthread_mutex_unlock(&a->mtx);
	return failed;
}
