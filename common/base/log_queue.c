/* SPDX-License-Identifier: ISC */
#include "common/base/log_queue.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <syslog.h>

#include "common/base/clock.h"
#include "common/base/guarded.h"
#include "common/base/log.h"
#include "common/base/log_sink.h"

enum {
	BATCH = 32768, /* bytes that go to the sink at once */
	SAY_EVERY_MS = 10000
};

/* The header before each line's text in the ring. */
struct head {
	int64_t at;
	uint32_t len;
	int32_t priority;
};

static_assert(LOG_QUEUE_LINE_MAX + LOG_SINK_PREFIX + 1 <= BATCH, "one line");

static struct mutex mtx = MUTEX_INITIALIZER;
/* the writer waits for lines */
static pthread_cond_t work = PTHREAD_COND_INITIALIZER;
/* log_queue_drain() waits for the writer */
static pthread_cond_t done = PTHREAD_COND_INITIALIZER;

static struct {
	bool started, asleep;
	bool failing; /* the sink says why it takes nothing: it may be long */
	size_t from, used;
	unsigned lines, writing; /* in the ring; in the writer's hands */
	int64_t writing_since_ms;
	uint64_t lost, lost_unsaid;
	int64_t lost_at, lost_since_ms, said_ms;
	/* untouched pages cost nothing, see log_queue_put() */
	char ring[LOG_QUEUE_SIZE];
} q GUARDED_BY(mtx);

/* the writer's own */
static char batch[BATCH];

static void
copy_in(const void *data, size_t len) REQUIRES(mtx)
{
	size_t at = (q.from + q.used) % LOG_QUEUE_SIZE;
	size_t first = len < LOG_QUEUE_SIZE - at ? len : LOG_QUEUE_SIZE - at;

	memcpy(q.ring + at, data, first);
	memcpy(q.ring, (const char *)data + first, len - first);
	q.used += len;
}

static void
peek(size_t offset, void *data, size_t len) REQUIRES(mtx)
{
	size_t at = (q.from + offset) % LOG_QUEUE_SIZE;
	size_t first = len < LOG_QUEUE_SIZE - at ? len : LOG_QUEUE_SIZE - at;

	memcpy(data, q.ring + at, first);
	memcpy((char *)data + first, q.ring, len - first);
}

void
log_queue_put(int priority, const char *text, size_t len, bool wake)
{
	struct head head = { .at = clock_now(), .priority = priority };
	size_t limit =
	    priority >= LOG_INFO ? LOG_QUEUE_SIZE / 4 * 3 : LOG_QUEUE_SIZE;

	if (len > LOG_QUEUE_LINE_MAX)
		len = LOG_QUEUE_LINE_MAX;
	head.len = (uint32_t)len;
	mutex_lock(&mtx);
	/* an empty ring begins anew: while the log keeps up, only its first
	 * pages are ever touched */
	if (q.used == 0)
		q.from = 0;
	if (q.used + sizeof(head) + len <= limit) {
		copy_in(&head, sizeof(head));
		copy_in(text, len);
		q.lines++;
	} else {
		q.lost++;
		q.lost_at = head.at;
		if (q.lost_unsaid++ == 0)
			q.lost_since_ms = clock_monotonic_ms();
	}
	if (wake && q.asleep)
		(void)pthread_cond_signal(&work);
	mutex_unlock(&mtx);
}

void
log_queue_wake(void)
{
	mutex_lock(&mtx);
	if (q.asleep && q.used > 0)
		(void)pthread_cond_signal(&work);
	mutex_unlock(&mtx);
}

/* Take lines off the ring into the batch, as many as go to the sink in one
 * call. Returns their bytes. */
static size_t
take_batch(size_t max) REQUIRES(mtx)
{
	static char text[LOG_QUEUE_LINE_MAX];
	size_t len = 0;
	struct head head;

	while (q.used > 0) {
		peek(0, &head, sizeof(head));
		if (len > 0 && len + LOG_SINK_PREFIX + head.len + 1 > max)
			break;
		peek(sizeof(head), text, head.len);
		len += log_sink_format(
		    head.priority, head.at, text, head.len, batch + len);
		q.from = (q.from + sizeof(head) + head.len) % LOG_QUEUE_SIZE;
		q.used -= sizeof(head) + head.len;
		q.lines--;
		q.writing++;
	}
	return len;
}

/* Will the sink never take this line? Then there is no use in trying again. */
static bool
is_final(int error)
{
	return error == EPIPE || error == EBADF || error == EINVAL ||
	    error == EMSGSIZE;
}

static void
set_failing(bool failing)
{
	mutex_lock(&mtx);
	q.failing = failing;
	if (failing)
		(void)pthread_cond_broadcast(&done);
	mutex_unlock(&mtx);
}

/* Returns false when the rest of the batch is lost. */
static bool
write_batch(size_t len)
{
	size_t written = 0;
	bool failed = false, taken = true;

	while (taken && written < len) {
		ssize_t n = log_sink_write(batch + written, len - written);
		int error = errno;

		if (n >= 0) {
			written += (size_t)n;
		} else if (error == EAGAIN) {
			log_sink_await();
		} else if (error != EINTR) {
			taken = !is_final(error);
			if (taken) {
				set_failing(failed = true);
				log_sink_rest();
			}
		}
	}
	if (failed)
		set_failing(false);
	return taken;
}

/* Is it time to say what was lost? While the log keeps taking less than comes,
 * once in a while. */
static bool
lost_due(void) REQUIRES(mtx)
{
	return q.lost_unsaid > 0 &&
	    (q.used == 0 || clock_monotonic_ms() - q.said_ms >= SAY_EVERY_MS);
}

static void
say_lost(uint64_t lost, int64_t ms)
{
	log_msg(LOG_WARNING,
	    "%" PRIu64 " log lines were lost in %" PRId64
	    " s: whoever reads %s did not take them; nothing else waited for it",
	    lost, ms / 1000 + 1, log_sink_name());
}

static void *
writer(void *arg)
{
	const size_t max = log_sink_batch(BATCH);

	(void)arg;
	mutex_lock(&mtx);
	for (;;) {
		q.asleep = true;
		while (q.used == 0)
			mutex_wait(&mtx, &work);
		q.asleep = false;
		size_t len = take_batch(max);

		q.writing_since_ms = clock_monotonic_ms();
		mutex_unlock(&mtx);
		bool taken = write_batch(len);

		mutex_lock(&mtx);
		/* nobody reads: to say so is as vain */
		if (!taken) {
			q.lost += q.writing;
			q.lost_at = clock_now();
		}
		q.writing = 0;
		if (taken && lost_due()) {
			uint64_t lost = q.lost_unsaid;
			int64_t now_ms = clock_monotonic_ms();
			int64_t ms = now_ms - q.lost_since_ms;

			q.lost_unsaid = 0;
			q.said_ms = now_ms;
			mutex_unlock(&mtx);
			say_lost(lost, ms);
			mutex_lock(&mtx);
		}
		if (q.used == 0)
			(void)pthread_cond_broadcast(&done);
	}
	return NULL;
}

int
log_queue_start(void)
{
	sigset_t all, old;
	pthread_t thread;

	mutex_lock(&mtx);
	bool started = q.started;

	q.started = true;
	mutex_unlock(&mtx);
	if (started)
		return 0;
	/* signals are for others; a write should not be cut short by one */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	int rc = pthread_create(&thread, NULL, writer, NULL);

	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc == 0)
		(void)pthread_detach(thread);
	mutex_lock(&mtx);
	q.started = rc == 0;
	mutex_unlock(&mtx);
	return rc;
}

unsigned
log_queue_drain(int wait_ms)
{
	struct timespec until;

	clock_deadline(wait_ms, &until);
	mutex_lock(&mtx);
	if (q.started && q.asleep)
		(void)pthread_cond_signal(&work);
	while (q.started && !q.failing && q.lines + q.writing > 0)
		if (!mutex_wait_until(&mtx, &done, &until))
			break;
	unsigned left = q.lines + q.writing;

	mutex_unlock(&mtx);
	return left;
}

void
log_queue_state(struct log_state *state)
{
	mutex_lock(&mtx);
	state->lost = q.lost;
	state->lost_at = q.lost_at;
	state->waiting = q.lines + q.writing;
	state->stuck_ms =
	    q.writing == 0 ? 0 : clock_monotonic_ms() - q.writing_since_ms;
	mutex_unlock(&mtx);
}
