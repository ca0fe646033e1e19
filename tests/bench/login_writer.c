/* SPDX-License-Identifier: ISC */
/* login_writer - what a very busy collector does to the login table: commit
 * a batch of logins every millisecond, until the end of standard input.
 *
 * The clients are drawn from a set of a few thousand spread over the whole
 * table, as mail programs that poll. When a commit takes longer than the
 * interval the next one starts at once; the rate reached is printed. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/db/store.h"
#include "tests/bench/clients.h"

#define NS_PER_S INT64_C(1000000000)

enum { WINDOW_S = 1800 };

static struct {
	uint32_t logins; /* rows in the table, see mklogins */
	uint32_t active; /* clients that log in again and again */
	unsigned batch;
	int64_t interval_ns;
} opt = {
	.logins = 1000,
	.active = 10000,
	.batch = 256,
	.interval_ns = 1000000,
};

static void
usage(void)
{
	fputs("usage: login_writer [-a ACTIVE] [-b BATCH] [-i MICROSECONDS]"
	      " [-n LOGINS] FILE\n",
	    stderr);
	exit(EX_USAGE);
}

static void
die(const struct err *err)
{
	fprintf(stderr, "login_writer: %s\n", err->text);
	exit(EX_IOERR);
}

static int64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static uint32_t
next_client(void)
{
	static uint64_t x = UINT64_C(0x2545f4914f6cdd1d);
	uint32_t stride = opt.logins / opt.active;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	if (stride == 0)
		return (uint32_t)(x >> 32) % opt.logins;
	return (uint32_t)(x >> 32) % opt.active * stride;
}

static void
write_batch(struct store *st)
{
	struct login login = { .service = "imap", .server = "dovecot" };
	char text[CLIENT_TEXT_MAX], user[USER_TEXT_MAX];
	struct network net;
	struct err err;
	uint32_t client;

	login.at = (int64_t)time(NULL);
	if (store_begin(st, &err) == -1)
		die(&err);
	for (unsigned i = 0; i < opt.batch; i++) {
		client = next_client();
		client_known(text, client);
		client_user(user, client);
		snprintf(login.user, sizeof(login.user), "%s", user);
		if (!addr_parse_n(text, strlen(text), &login.client))
			abort();
		net = network_of(&login.client, 128);
		if (store_login(st, &login, &net, login.at + WINDOW_S, NULL,
			&err) == -1)
			die(&err);
	}
	if (store_commit(st, &err) == -1)
		die(&err);
}

static bool
stdin_ended(void)
{
	struct pollfd pfd = { .fd = STDIN_FILENO, .events = POLLIN };

	return poll(&pfd, 1, 0) != 0;
}

static void
sleep_until(int64_t ns)
{
	struct timespec ts = {
		.tv_sec = (time_t)(ns / NS_PER_S),
		.tv_nsec = (long)(ns % NS_PER_S),
	};

	while (
	    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
}

static void
write_until_told(struct store *st)
{
	int64_t start = now_ns(), next = start, now = start;
	uint64_t commits = 0;
	double seconds;

	while (!stdin_ended()) {
		write_batch(st);
		commits++;
		next += opt.interval_ns;
		now = now_ns();
		if (next > now)
			sleep_until(next);
		else
			next = now;
	}
	seconds = (double)(now - start) / (double)NS_PER_S;
	printf("commits_per_s=%.0f logins_per_s=%.0f\n",
	    (double)commits / seconds, (double)commits * opt.batch / seconds);
}

static uint32_t
number(const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (end == text || *end != '\0' || n < 1 || n > CLIENTS_MAX)
		usage();
	return (uint32_t)n;
}

int
main(int argc, char **argv)
{
	struct store *st;
	struct err err;
	int c;

	while ((c = getopt(argc, argv, "a:b:i:n:")) != -1) {
		switch (c) {
		case 'a':
			opt.active = number(optarg);
			break;
		case 'b':
			opt.batch = number(optarg);
			break;
		case 'i':
			opt.interval_ns = (int64_t)number(optarg) * 1000;
			break;
		case 'n':
			opt.logins = number(optarg);
			break;
		default:
			usage();
		}
	}
	if (optind != argc - 1)
		usage();
	if (store_open(argv[optind], STORE_MODIFY, &st, &err) == -1)
		die(&err);
	write_until_told(st);
	store_close(&st);
	return EX_OK;
}
