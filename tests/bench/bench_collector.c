/* SPDX-License-Identifier: ISC */
/* The references that popgate-collector is measured against, and the probe that
 * measures it.
 *   bench_collector probe LOG DB LINES-PER-SECOND LINES NOISE
 *       write login lines, NOISE other lines before each, and time each login
 *       until it is in DB; prints p50, p99 and the maximum in ms
 *   bench_collector bare LOG DB
 *       the least a collector can be: inotify, read, commit, no parsing that
 *       deserves the name; until it is killed
 *   bench_collector upsert DB ROWS BATCH
 *       a prepared upsert of distinct clients; prints rows per second */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#define SCHEMA                                                              \
	"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"             \
	"CREATE TABLE IF NOT EXISTS login (client TEXT NOT NULL, "          \
	"user TEXT NOT NULL, service TEXT NOT NULL, server TEXT NOT NULL, " \
	"first_at INTEGER NOT NULL, last_at INTEGER NOT NULL, "             \
	"expires_at INTEGER NOT NULL, count INTEGER NOT NULL, "             \
	"PRIMARY KEY (client, user)) STRICT, WITHOUT ROWID;"                \
	"CREATE TABLE IF NOT EXISTS source (name TEXT PRIMARY KEY, "        \
	"position INTEGER NOT NULL) STRICT, WITHOUT ROWID;"

#define UPSERT                                                           \
	"INSERT INTO login VALUES (?1, 'u', 'imap', 'dovecot', ?2, ?2, " \
	"?2 + 1800, 1) ON CONFLICT (client, user) DO UPDATE SET "        \
	"last_at = max(last_at, excluded.last_at), "                     \
	"expires_at = max(expires_at, excluded.expires_at), "            \
	"count = count + 1"

static double
now_s(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static sqlite3 *
open_db(const char *path, int flags)
{
	sqlite3 *db;

	if (sqlite3_open_v2(path, &db, flags, NULL) != SQLITE_OK) {
		(void)fprintf(stderr, "%s: %s\n", path, sqlite3_errmsg(db));
		exit(1);
	}
	(void)sqlite3_busy_timeout(db, 5000);
	return db;
}

static void
exec(sqlite3 *db, const char *sql)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK)
		return;
	(void)fprintf(stderr, "%s\n", sqlite3_errmsg(db));
	exit(1);
}

static sqlite3_stmt *
prepare(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *stmt;

	if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK)
		return stmt;
	(void)fprintf(stderr, "%s\n", sqlite3_errmsg(db));
	exit(1);
}

/* --- probe --- */

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void
client_of(unsigned i, char *buf, size_t size)
{
	(void)snprintf(
	    buf, size, "10.%u.%u.%u", i / 62500 % 250, i / 250 % 250, i % 250);
}

static void
write_lines(int fd, const char *client, long noise)
{
	char line[4096], stamp[32];
	time_t t = time(NULL);
	struct tm tm;
	size_t n = 0;

	(void)strftime(
	    stamp, sizeof(stamp), "%b %e %H:%M:%S", localtime_r(&t, &tm));
	for (long i = 0; i < noise && n < 3500; i++)
		n += (size_t)snprintf(line + n, sizeof(line) - n,
		    "%s mail "
		    "postfix/smtpd[%ld]: connect from mx.example.net"
		    "[203.0.113.9]\n",
		    stamp, i);
	if (client != NULL)
		n += (size_t)snprintf(line + n, sizeof(line) - n,
		    "%s mail "
		    "dovecot: imap-login: Login: user=<u>, method=PLAIN, "
		    "rip=%s, lip=198.51.100.5, mpid=4242, TLS, "
		    "session=<aBcDeFgH>\n",
		    stamp, client);
	if (write(fd, line, n) != (ssize_t)n)
		die("write");
}

static void
sleep_until(double at)
{
	double left = at - now_s();
	struct timespec t = { (time_t)left,
		(long)((left - (double)(time_t)left) * 1e9) };

	if (left > 0)
		(void)nanosleep(&t, NULL);
}

static int
probe(const char *log, const char *path, double rate, long n, long noise)
{
	int fd = open(log, O_WRONLY | O_APPEND | O_CREAT, 0644);
	sqlite3 *db = open_db(path, SQLITE_OPEN_READONLY);
	sqlite3_stmt *find =
	    prepare(db, "SELECT 1 FROM login WHERE client = ?1");
	double *took = calloc((size_t)n, sizeof(*took));
	unsigned base = (unsigned)time(NULL) * 977u % 10000000u;
	double start = now_s();
	char client[32];

	if (fd == -1 || took == NULL)
		die(log);
	for (long i = 0; i < n; i++) {
		client_of(base + (unsigned)i, client, sizeof(client));
		sleep_until(start + (double)i * (double)(noise + 1) / rate);
		double begin = now_s();

		write_lines(fd, client, noise);
		(void)sqlite3_bind_text(find, 1, client, -1, SQLITE_STATIC);
		while (sqlite3_step(find) != SQLITE_ROW) {
			(void)sqlite3_reset(find);
			if (now_s() - begin > 10) {
				(void)fprintf(stderr, "%s: lost\n", client);
				return 1;
			}
			/* leave the other core to who does the work */
			(void)usleep(20);
		}
		(void)sqlite3_reset(find);
		took[i] = (now_s() - begin) * 1e3;
	}
	qsort(took, (size_t)n, sizeof(*took), by_value);
	(void)printf(
	    "%.3f %.3f %.3f\n", took[n / 2], took[n * 99 / 100], took[n - 1]);
	free(took);
	(void)sqlite3_finalize(find);
	(void)sqlite3_close(db);
	return close(fd);
}

/* --- bare --- */

static void
record(sqlite3 *db, sqlite3_stmt *upsert, sqlite3_stmt *position,
    const char *buf, size_t n, long long at)
{
	const char *p = buf, *end;
	char client[64];

	exec(db, "BEGIN IMMEDIATE");
	while ((end = memchr(p, '\n', n - (size_t)(p - buf))) != NULL) {
		const char *rip = memmem(p, (size_t)(end - p), "rip=", 4);

		if (rip != NULL && sscanf(rip + 4, "%63[0-9.]", client) == 1) {
			(void)sqlite3_bind_text(
			    upsert, 1, client, -1, SQLITE_STATIC);
			(void)sqlite3_bind_int64(upsert, 2, time(NULL));
			(void)sqlite3_step(upsert);
			(void)sqlite3_reset(upsert);
		}
		p = end + 1;
	}
	(void)sqlite3_bind_int64(position, 1, at);
	(void)sqlite3_step(position);
	(void)sqlite3_reset(position);
	exec(db, "COMMIT");
}

_Noreturn static void
bare(const char *log, const char *path)
{
	static char buf[1 << 16], events[4096];
	int fd = open(log, O_RDONLY | O_CREAT, 0644);
	int in = inotify_init1(IN_CLOEXEC);
	sqlite3 *db = open_db(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
	long long at = 0;

	if (fd == -1 || in == -1 || inotify_add_watch(in, log, IN_MODIFY) == -1)
		die(log);
	exec(db, SCHEMA);
	sqlite3_stmt *upsert = prepare(db, UPSERT);
	sqlite3_stmt *position =
	    prepare(db, "INSERT OR REPLACE INTO source VALUES ('log', ?1)");

	for (;;) {
		ssize_t n = pread(fd, buf, sizeof(buf), at);

		if (n > 0) {
			at += n;
			record(db, upsert, position, buf, (size_t)n, at);
		} else if (read(in, events, sizeof(events)) == -1) {
			die("inotify");
		}
	}
}

/* --- upsert --- */

static int
upserts(const char *path, long rows, long batch)
{
	sqlite3 *db = open_db(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
	char client[32];

	exec(db, SCHEMA);
	sqlite3_stmt *upsert = prepare(db, UPSERT);
	double begin = now_s();

	for (long i = 0; i < rows; i++) {
		if (i % batch == 0)
			exec(db, "BEGIN IMMEDIATE");
		/* in no order, as clients come */
		client_of((unsigned)(i * 7919 % rows), client, sizeof(client));
		(void)sqlite3_bind_text(upsert, 1, client, -1, SQLITE_STATIC);
		(void)sqlite3_bind_int64(upsert, 2, 1700000000 + i);
		if (sqlite3_step(upsert) != SQLITE_DONE)
			exec(db, "ROLLBACK");
		(void)sqlite3_reset(upsert);
		if (i % batch == batch - 1 || i == rows - 1)
			exec(db, "COMMIT");
	}
	(void)printf("%.0f\n", (double)rows / (now_s() - begin));
	(void)sqlite3_finalize(upsert);
	return sqlite3_close(db);
}

int
main(int argc, char **argv)
{
	if (argc == 7 && strcmp(argv[1], "probe") == 0)
		return probe(argv[2], argv[3], atof(argv[4]), atol(argv[5]),
		    atol(argv[6]));
	if (argc == 4 && strcmp(argv[1], "bare") == 0)
		bare(argv[2], argv[3]);
	if (argc == 5 && strcmp(argv[1], "upsert") == 0)
		return upserts(argv[2], atol(argv[3]), atol(argv[4]));
	(void)fprintf(stderr, "usage: see the top of bench_collector.c\n");
	return 64;
}
