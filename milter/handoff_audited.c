/* SPDX-License-Identifier: ISC */
#include "milter/handoff_audited.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "common/base/siphash.h"
#include "common/mta/address.h"

/* Messages that may be between their two DATA at once, and more. */
enum { SLOTS = 4096, QUEUE_ID_MAX = 64 };

static struct {
	pthread_once_t once;
	bool usable;
	uint64_t key[2];
	atomic_uint_fast64_t slot[SLOTS]; /* hashes of messages; 0: free */
} covered = { .once = PTHREAD_ONCE_INIT };

/* The key is secret, so that no client can choose recipients with equal sums.
 */
static void
make_key(void)
{
	covered.usable = getrandom(covered.key, sizeof(covered.key), 0) ==
	    (ssize_t)sizeof(covered.key);
}

void
handoff_audited_add(struct handoff_recipients *r, const char *recipient)
{
	size_t len = strlen(recipient);

	(void)pthread_once(&covered.once, make_key);
	recipient = address_inside(recipient, &len);
	r->n++;
	r->sum += siphash(covered.key, recipient, len);
}

/* 0: can't be told apart from others. */
static uint64_t
hash(const struct handoff_recipients *r, const struct addr *client,
    const char *queue_id)
{
	char client_text[ADDR_TEXT_MAX];
	struct {
		uint64_t n, sum;
		char client[ADDR_TEXT_MAX];
		char queue_id[QUEUE_ID_MAX];
	} message;

	if (!covered.usable || r->n == 0 || *queue_id == '\0' ||
	    strlen(queue_id) >= QUEUE_ID_MAX)
		return 0;
	memset(&message, 0, sizeof(message));
	message.n = r->n;
	message.sum = r->sum;
	(void)snprintf(message.client, sizeof(message.client), "%s",
	    addr_format(client, client_text));
	(void)snprintf(
	    message.queue_id, sizeof(message.queue_id), "%s", queue_id);
	return siphash(covered.key, &message, sizeof(message));
}

void
handoff_audited_give(const struct handoff_recipients *r,
    const struct addr *client, const char *queue_id)
{
	uint64_t h = hash(r, client, queue_id);

	if (h != 0)
		atomic_store(&covered.slot[h % SLOTS], h);
}

bool
handoff_audited_take(const struct handoff_recipients *r,
    const struct addr *client, const char *queue_id)
{
	uint_fast64_t h = hash(r, client, queue_id);

	return h != 0 &&
	    atomic_compare_exchange_strong(&covered.slot[h % SLOTS], &h, 0);
}
