/* SPDX-License-Identifier: ISC */
/* bench_limiter - what one decision pays for the limits of policy row 9, as a
 * ratio to what every decision pays anyway: one look-up in the login table.
 * Usage: bench_limiter DIRECTORY */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/db/store.h"
#include "common/policy/limiter.h"
#include "common/records/login.h"

enum { ROUNDS = 2000000, LOOKUPS = 100000, THREADS = 4 };

static const struct limit_rate rates[LIMITS] = {
	[LIMIT_CLIENT_RECIPIENTS] = { 1000, 3600 },
	[LIMIT_CLIENT_MESSAGES] = { 500, 3600 },
	[LIMIT_CLIENT_SENDERS] = { 100, 3600 },
	[LIMIT_USER_RECIPIENTS] = { 500, 3600 },
	[LIMIT_USER_MESSAGES] = { 300, 3600 },
	[LIMIT_USER_CLIENTS] = { 50, 86400 }
};

static double
now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static void
fail(const struct err *err)
{
	(void)fprintf(stderr, "bench_limiter: %s\n", err->text);
	exit(1);
}

static double
measure_lookup(const char *dir)
{
	struct login login = { .at = 1000 };
	struct store_lookup found;
	struct store *st;
	struct err err;
	char path[300];

	(void)snprintf(path, sizeof(path), "%s/bench_limiter.db", dir);
	(void)unlink(path);
	(void)addr_parse_loose("192.0.2.1", &login.client);
	(void)snprintf(login.user, sizeof(login.user), "alice");
	struct network net = network_of(&login.client, 32);

	if (store_open(path, STORE_WRITE, &st, &err) == -1 ||
	    store_begin(st, &err) == -1 ||
	    store_login(st, &login, &net, 9999, NULL, &err) == -1 ||
	    store_commit(st, &err) == -1)
		fail(&err);
	double began = now_ns();

	for (int i = 0; i < LOOKUPS; i++)
		if (store_lookup(
			st, &login.client, NULL, 128, 2000, &found, &err) == -1)
			fail(&err);
	double ns = (now_ns() - began) / LOOKUPS;

	store_close(&st);
	(void)unlink(path);
	return ns;
}

struct work {
	struct limiter *l;
	unsigned clients; /* how many, from one that differs a thread */
	uint32_t first;
};

static void *
work(void *arg)
{
	const struct work *w = arg;
	struct limiter_answer answer;

	for (unsigned i = 0; i < ROUNDS; i++) {
		/* scattered, as clients are */
		uint32_t n = w->first + i * UINT32_C(2654435761) % w->clients;
		char user[16] = "user-", sender[24] = "sender@example-";
		struct limiter_event ev = { .now_s = i / 1000,
			.user = user,
			.sender = sender,
			.client = { .family = ADDR_IPV4,
			    .bytes = { (uint8_t)(n >> 24), (uint8_t)(n >> 16),
				(uint8_t)(n >> 8), (uint8_t)n } } };

		for (int b = 0; b < 8; b++)
			user[5 + b] = sender[15 + b] =
			    "0123456789abcdef"[n >> (28 - 4 * b) & 15];
		limiter_take(w->l, rates, &ev, &answer);
	}
	return NULL;
}

static double
measure(unsigned clients, int threads)
{
	struct work w[THREADS];
	pthread_t thread[THREADS];
	struct err err;
	struct limiter *l = limiter_new(rates, 128, LIMITER_SUBJECTS, &err);

	if (l == NULL)
		fail(&err);
	double began = now_ns();

	for (int i = 0; i < threads; i++) {
		w[i] = (struct work){ l, clients, (uint32_t)i << 28 };
		if (pthread_create(&thread[i], NULL, work, &w[i]) != 0)
			exit(1);
	}
	for (int i = 0; i < threads; i++)
		(void)pthread_join(thread[i], NULL);
	double ns = (now_ns() - began) / ROUNDS / threads;

	limiter_free(l);
	return ns;
}

int
main(int argc, char **argv)
{
	static const unsigned clients[] = { 1, 1000, 100000, 1000000 };
	double lookup = measure_lookup(argc > 1 ? argv[1] : ".");

	(void)printf("look-up in the login table: %.0f ns: 1.00\n", lookup);
	for (size_t i = 0; i < sizeof(clients) / sizeof(*clients); i++) {
		double ns = measure(clients[i], 1);

		(void)printf("%7u clients and users: %.0f ns: %.2f\n",
		    clients[i], ns, ns / lookup);
	}
	double ns = measure(1000, THREADS);

	(void)printf("%d threads, 1000 each: %.0f ns (of all processors): "
		     "%.2f\n",
	    THREADS, ns, ns / lookup);
	return 0;
}
