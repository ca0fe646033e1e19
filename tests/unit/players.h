/* SPDX-License-Identifier: ISC */
/* players - random histories, each in a process of its own, many at once: for
 * tests that wait more than they compute. POPGATE_SEED and POPGATE_HISTORIES
 * say where to begin and how many. A history that goes wrong prints its seed.
 */
#ifndef POPGATE_PLAYERS_H
#define POPGATE_PLAYERS_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/chance.h"

enum { PLAYERS = 32 }; /* each has an inotify: a user may have 128 */

static uint64_t seed; /* of the history that is played */
static int players_lock = -1; /* one story at a time */

static bool
chance(unsigned of)
{
	return random_below(of) == 0;
}

static void players_wrong(const char *story, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0), noreturn));

/* Print the story and what went wrong, and end this history. */
static void
players_wrong(const char *story, const char *fmt, va_list ap)
{
	char text[600];

	(void)vsnprintf(text, sizeof(text), fmt, ap);
	if (lockf(players_lock, F_LOCK, 0) == -1)
		(void)fprintf(stderr, "lockf: %s\n", strerror(errno));
	(void)fprintf(stderr, "%sPOPGATE_SEED=%llu: %s\n", story,
	    (unsigned long long)seed, text);
	_exit(1);
}

static uint64_t
from_environment(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

/* A history in a process of its own, which may also die of it. */
struct player {
	pid_t pid; /* 0: none */
	uint64_t seed;
};

static void
play(struct player *p, void (*history)(void))
{
	p->seed = seed;
	p->pid = fork();
	assert_int_not_equal(p->pid, -1);
	if (p->pid != 0)
		return;
	random_state = seed * UINT64_C(0x9e3779b97f4a7c15);
	history();
	/* a failed assertion doesn't come here */
	_exit(0);
}

/* Wait for one of them to end. Returns how many histories failed. */
static int
one_ended(struct player *players)
{
	int status, i = 0;
	pid_t pid = wait(&status);

	assert_int_not_equal(pid, -1);
	while (players[i].pid != pid)
		assert_int_not_equal(++i, PLAYERS);
	players[i].pid = 0;
	if (status != 0)
		(void)fprintf(stderr, "POPGATE_SEED=%llu: status 0x%x\n",
		    (unsigned long long)players[i].seed, (unsigned)status);
	return status != 0;
}

/* Play n histories, or as many as the environment says; none may fail. */
static void
players_play(uint64_t n, void (*history)(void))
{
	uint64_t first = from_environment("POPGATE_SEED", 1);
	struct player players[PLAYERS] = { 0 };
	FILE *lock = tmpfile();
	int playing = 0, failed = 0;

	n = from_environment("POPGATE_HISTORIES", n);
	assert_non_null(lock);
	players_lock = fileno(lock);
	for (seed = first; seed < first + n; seed++) {
		int i = 0;

		if (playing == PLAYERS)
			failed += one_ended(players), playing--;
		while (players[i].pid != 0)
			i++;
		play(&players[i], history);
		playing++;
	}
	while (playing > 0)
		failed += one_ended(players), playing--;
	(void)fclose(lock);
	assert_int_equal(failed, 0);
}

#endif
