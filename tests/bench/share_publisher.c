/* SPDX-License-Identifier: ISC */
/* share_publisher - be one machine of many that share: publish logins of new
 * clients at a rate, as popgate-collector does, for so long.
 * usage: share_publisher SERVER STREAM USER PASSWORD KEY_FILE RATE SECONDS
 * FIRST
 *
 * Prints how many it has published, and the longest transaction in ms. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/share/entry.h"
#include "common/share/link.h"
#include "common/share/seal.h"
#include "tests/bench/clients.h"

enum { TICK_MS = 50, BATCH = 2000, KEEP_S = 3600 };

static struct share_keys keys;
static uint8_t sealed[BATCH][SHARE_SEALED_MAX];
static struct link_bytes bytes[BATCH];
static char origin[SHARE_ORIGIN_MAX];

static _Noreturn void
fail(const struct err *err)
{
	fprintf(stderr, "share_publisher: %s\n", err->text);
	exit(EX_UNAVAILABLE);
}

static void
seal(size_t i, const char *stream, uint32_t client, int64_t number, int64_t now)
{
	struct share_entry e = {
		.kind = SHARE_LOGIN, .number = number, .at = now
	};

	memcpy(e.origin, origin, sizeof(e.origin));
	client_known(e.subject, client);
	client_user(e.user, client);
	snprintf(e.service, sizeof(e.service), "imap");
	snprintf(e.server, sizeof(e.server), "dovecot");
	bytes[i] = (struct link_bytes){ .p = sealed[i],
		.len = share_seal(&keys, stream, &e, sealed[i]) };
}

/* Publish n more behind *mark. Returns how long it took, in ms. */
static int64_t
publish(struct link *l, const char *stream, struct link_mark *mark,
    uint32_t first, size_t n)
{
	char added[LINK_POSITION_MAX];
	int64_t now = clock_now(), begin = clock_monotonic_ms();
	struct link_batch b = { .v = bytes,
		.n = n,
		.origin = origin,
		.entry = "",
		.was = *mark,
		.keep_s = KEEP_S };
	struct err err = { .text = "Redis has lost what it had" };

	for (size_t i = 0; i < n; i++)
		seal(i, stream, first + (uint32_t)mark->number + (uint32_t)i,
		    (mark->number < 0 ? 0 : mark->number) + 1 + (int64_t)i,
		    now);
	mark->number = (mark->number < 0 ? 0 : mark->number) + (int64_t)n;
	mark->at = now;
	b.mark = *mark;
	if (link_publish(l, &b, added, &err) != 1)
		fail(&err);
	return clock_monotonic_ms() - begin;
}

int
main(int argc, char **argv)
{
	struct err err;
	struct link *l;

	if (argc != 9) {
		fprintf(stderr,
		    "usage: share_publisher SERVER STREAM USER PASSWORD KEY_FILE RATE SECONDS FIRST\n");
		return EX_USAGE;
	}
	const struct link_to to = { .server = argv[1],
		.stream = argv[2],
		.user = argv[3],
		.password = argv[4] };
	int64_t rate = atoll(argv[6]), end_ms = atoll(argv[7]) * 1000;
	uint32_t first = (uint32_t)atoll(argv[8]);
	struct link_mark mark = { .number = -1 };
	int64_t longest = 0, done = 0;

	if (share_key_read(argv[5], &keys, &err) == -1 ||
	    share_origin_make(origin, &err) == -1 ||
	    link_open(&to, &l, &err) == -1)
		fail(&err);
	int64_t begin = clock_monotonic_ms(), at;

	while ((at = clock_monotonic_ms() - begin) < end_ms) {
		int64_t due = rate * at / 1000 - done;

		if (due > 0) {
			int64_t took = publish(l, argv[2], &mark, first,
			    (size_t)(due > BATCH ? BATCH : due));

			done = mark.number;
			longest = took > longest ? took : longest;
		}
		nanosleep(
		    &(struct timespec){ .tv_nsec = TICK_MS * 1000000 }, NULL);
	}
	printf("%" PRId64 " %" PRId64 "\n", done, longest);
	link_close(&l);
	return EX_OK;
}
