/* SPDX-License-Identifier: ISC */
/* bench_sessions - what a million open sessions cost: the look-up of a
 * recipient, as a ratio to that in a table without sessions; the collector's
 * memory; how fast sessions begin and end,
 * in processor time. Usage: bench_sessions DIRECTORY */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/db/store.h"

enum {
	SESSIONS = STORE_SESSIONS_MAX,
	BATCH = 32768,
	LOOKUPS = 200000,
	ROUNDS = 5,
	AT = 1000000,
	WINDOW = 1800,
	MAX = 12 * 3600
};

/* Of this process alone: others don't disturb what is measured. */
static double
now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static void
need(int rc, const struct err *err)
{
	if (rc != -1)
		return;
	(void)fprintf(stderr, "bench_sessions: %s\n", err->text);
	exit(1);
}

static struct store *
open_store(const char *path, enum store_mode mode)
{
	struct store *st;
	struct err err;

	need(store_open(path, mode, &st, &err), &err);
	if (mode == STORE_WRITE)
		need(store_tune(st, 24 * 1024, 8192, &err), &err);
	return st;
}

/* Scattered, as clients are. */
static uint32_t
client_of(uint32_t i)
{
	return 0x0a000000u | (i * UINT32_C(2654435761) & 0xffffffu);
}

static void
record(struct store *st, enum session_kind kind, uint32_t first, uint32_t n)
{
	static struct store_entry v[BATCH];
	static char client[BATCH][20], user[BATCH][24], id[BATCH][24];
	struct err err;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t c = client_of(first + i);

		(void)snprintf(client[i], sizeof(client[i]), "%u.%u.%u.%u",
		    c >> 24, c >> 16 & 255, c >> 8 & 255, c & 255);
		(void)snprintf(user[i], sizeof(user[i]), "user%u@example.org",
		    c & 0xfffff);
		(void)snprintf(id[i], sizeof(id[i]), "%08x%08x", c * 31, c);
		v[i] = (struct store_entry){ .kind = kind,
			.session = id[i],
			.host = "mail",
			.unordered = kind != SESSION_NONE,
			.client = client[i],
			.user = kind == SESSION_END ? "" : user[i],
			.service = "imap",
			.server = "dovecot",
			.at = AT,
			.expires_at = AT + WINDOW,
			.until_at = AT + MAX,
			.source = "file:/var/log/mail.log",
			.line = "" };
	}
	need(store_begin(st, &err), &err);
	need(store_logins(st, v, n, &err), &err);
	need(store_commit(st, &err), &err);
}

/* Nanoseconds for each of n lines. */
static double
fill(const char *path, enum session_kind kind, uint32_t n)
{
	struct store *st = open_store(path, STORE_WRITE);
	double began = now_ns();

	for (uint32_t i = 0; i < n; i += BATCH)
		record(st, kind, i, n - i < BATCH ? n - i : BATCH);
	double ns = (now_ns() - began) / n;

	store_close(&st);
	return ns;
}

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* The median of a look-up, in ns. */
static double
look_up(struct store *st, int64_t now)
{
	static double v[LOOKUPS];
	struct store_lookup found;
	struct err err;

	for (uint32_t i = 0; i < LOOKUPS; i++) {
		uint32_t c = client_of(i * 5);
		const struct addr client = { .family = ADDR_IPV4,
			.bytes = { (uint8_t)(c >> 24), (uint8_t)(c >> 16),
			    (uint8_t)(c >> 8), (uint8_t)c } };
		double began = now_ns();

		need(store_lookup(st, &client, NULL, 128, now, &found, &err),
		    &err);
		v[i] = now_ns() - began;
		if (!found.active) {
			(void)fprintf(stderr, "bench_sessions: not found\n");
			exit(1);
		}
	}
	qsort(v, LOOKUPS, sizeof(*v), by_value);
	return v[LOOKUPS / 2];
}

static double
size_mib(const char *path)
{
	struct stat st;

	return stat(path, &st) == -1 ? 0 : (double)st.st_size / 1048576;
}

static double
memory_mib(void)
{
	struct rusage usage;

	(void)getrusage(RUSAGE_SELF, &usage);
	return (double)usage.ru_maxrss / 1024;
}

static void
forget(const char *path)
{
	char name[320];

	(void)unlink(path);
	(void)snprintf(name, sizeof(name), "%s-wal", path);
	(void)unlink(name);
	(void)snprintf(name, sizeof(name), "%s-shm", path);
	(void)unlink(name);
}

static void
measure_lookups(const char *plain, const char *open)
{
	struct store *a = open_store(plain, STORE_READ);
	struct store *b = open_store(open, STORE_READ);
	double best_a = 1e18, best_b = 1e18;

	for (int i = 0; i < ROUNDS; i++) {
		double x = look_up(a, AT + 1), y = look_up(b, AT + WINDOW + 1);

		best_a = x < best_a ? x : best_a;
		best_b = y < best_b ? y : best_b;
	}
	(void)printf("look-up p50, 1,000,000 logins: %.0f ns; all of them with "
		     "an open session: %.0f ns: %.2f\n",
	    best_a, best_b, best_b / best_a);
	store_close(&a);
	store_close(&b);
}

static void
measure_end(const char *path)
{
	struct store *st = open_store(path, STORE_WRITE);
	const struct store_entry all = { .kind = SESSION_END_ALL,
		.session = "",
		.host = "mail",
		.user = "",
		.server = "dovecot",
		.at = AT,
		.expires_at = AT + WINDOW,
		.source = "file:/var/log/mail.log" };
	struct err err;
	double began = now_ns();

	need(store_begin(st, &err), &err);
	need(store_logins(st, &all, 1, &err), &err);
	need(store_commit(st, &err), &err);
	(void)printf("restart of a server with 900,000 sessions: %.1f s\n",
	    (now_ns() - began) / 1e9);
	store_close(&st);
}

int
main(int argc, char **argv)
{
	const char *dir = argc > 1 ? argv[1] : ".";
	char plain[300], open[300];

	(void)snprintf(plain, sizeof(plain), "%s/bench_plain.db", dir);
	(void)snprintf(open, sizeof(open), "%s/bench_sessions.db", dir);
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	forget(plain);
	forget(open);
	double login = fill(plain, SESSION_NONE, SESSIONS),
	       memory = memory_mib();
	double begin = fill(open, SESSION_BEGIN, SESSIONS);

	(void)printf("a login: %.1f us; that begins a session: %.1f us: %.2f\n",
	    login / 1e3, begin / 1e3, begin / login);
	(void)printf("table: %.0f MiB; with sessions: %.0f MiB\n",
	    size_mib(plain), size_mib(open));
	(void)printf(
	    "memory of the writer: %.1f MiB; with sessions: %.1f MiB\n", memory,
	    memory_mib());
	measure_lookups(plain, open);
	(void)printf("the end of a session: %.1f us\n",
	    fill(open, SESSION_END, SESSIONS / 10) / 1e3);
	measure_end(open);
	forget(plain);
	forget(open);
	return 0;
}
