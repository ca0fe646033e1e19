/* SPDX-License-Identifier: ISC */
#include "milter/meter.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/growth.h"
#include "common/base/guarded.h"
#include "common/base/metrics.h"

enum { CHANNELS = 3 };

static atomic_uint_fast64_t decided[CHANNELS][VERDICTS][REASONS];
static atomic_uint_fast64_t overruled[VERDICTS][REASONS];
static atomic_uint_fast64_t aborted;
static atomic_uint_fast64_t breaches[LIMITS];
static struct histogram duration[CHANNELS];
static atomic_int_fast64_t asked_at[CHANNELS]; /* Unix seconds; 0: never */
static bool measure;

static struct mutex mtx = MUTEX_INITIALIZER;
static struct growth recent GUARDED_BY(mtx); /* of decisions */

void
meter_start(bool durations)
{
	measure = durations;
	meter_tick();
}

int64_t
meter_begin(void)
{
	return measure ? clock_monotonic_ns() : 0;
}

void
meter_asked(enum audit_channel channel)
{
	assert((int)channel < CHANNELS);
	atomic_store_explicit(
	    &asked_at[channel], clock_now(), memory_order_relaxed);
}

int64_t
meter_asked_at(enum audit_channel channel)
{
	assert((int)channel < CHANNELS);
	return atomic_load_explicit(&asked_at[channel], memory_order_relaxed);
}

void
meter_duration(enum audit_channel channel, int64_t began_ns)
{
	assert((int)channel < CHANNELS);
	meter_asked(channel);
	if (began_ns != 0)
		histogram_count(
		    &duration[channel], clock_monotonic_ns() - began_ns);
}

void
meter_decision(enum audit_channel channel, const struct decision *decision)
{
	assert((int)channel < CHANNELS);
	assert(decision->verdict < VERDICTS && decision->reason < REASONS);
	atomic_fetch_add_explicit(
	    &decided[channel][decision->verdict][decision->reason], 1,
	    memory_order_relaxed);
}

void
meter_overruled(const struct decision *decision)
{
	assert(decision->verdict < VERDICTS && decision->reason < REASONS);
	atomic_fetch_add_explicit(
	    &overruled[decision->verdict][decision->reason], 1,
	    memory_order_relaxed);
}

void
meter_aborted(uint64_t recipients)
{
	atomic_fetch_add_explicit(&aborted, recipients, memory_order_relaxed);
}

void
meter_breach(enum limit limit)
{
	assert(limit < LIMITS);
	atomic_fetch_add_explicit(&breaches[limit], 1, memory_order_relaxed);
}

static uint64_t
load(const atomic_uint_fast64_t *n)
{
	return atomic_load_explicit(n, memory_order_relaxed);
}

static uint64_t
count(int channel, int verdict, int reason)
{
	return load(&decided[channel][verdict][reason]);
}

static uint64_t
all(void)
{
	uint64_t n = 0;

	for (int c = 0; c < CHANNELS; c++)
		for (int v = 0; v < VERDICTS; v++)
			for (int r = 0; r < REASONS; r++)
				n += count(c, v, r);
	return n;
}

void
meter_tick(void)
{
	uint64_t total = all();

	mutex_lock(&mtx);
	growth_note(&recent, clock_monotonic_ms(), total);
	mutex_unlock(&mtx);
}

uint64_t
meter_decisions(uint64_t *per_minute_r)
{
	uint64_t total = all();

	mutex_lock(&mtx);
	*per_minute_r = growth_per_minute(&recent, clock_monotonic_ms(), total);
	mutex_unlock(&mtx);
	return total;
}

static void
overruled_metrics(FILE *to)
{
	metrics_family(to, "decisions_overruled", "counter", NULL,
	    "Recipients that the milter decided otherwise than the permit channel, which counted them.");
	for (int v = 0; v < VERDICTS; v++)
		for (int r = 0; r < REASONS; r++) {
			const struct metrics_label labels[] = {
				{ "verdict", verdict_name((enum verdict)v) },
				{ "reason", reason_name((enum reason)r) }, { 0 }
			};

			if (load(&overruled[v][r]) > 0)
				metrics_sample(to, "decisions_overruled",
				    "_total", labels, load(&overruled[v][r]));
		}
	metrics_counter(to, "recipients_aborted",
	    "Accepted relays that the client gave up before DATA.",
	    load(&aborted));
}

void
meter_metrics(FILE *to)
{
	metrics_family(to, "decisions", "counter", NULL,
	    "Recipients decided on, each once, by the channel that was first, verdict and reason.");
	for (int c = 0; c < CHANNELS; c++)
		for (int v = 0; v < VERDICTS; v++)
			for (int r = 0; r < REASONS; r++) {
				const struct metrics_label labels[] = {
					{ "channel",
					    audit_channel_name(
						(enum audit_channel)c) },
					{ "verdict",
					    verdict_name((enum verdict)v) },
					{ "reason",
					    reason_name((enum reason)r) },
					{ 0 }
				};

				if (count(c, v, r) > 0)
					metrics_sample(to, "decisions",
					    "_total", labels, count(c, v, r));
			}
	overruled_metrics(to);
	metrics_family(to, "limit_breaches", "counter", NULL,
	    "Times that a client or user went over a limit.");
	for (int i = 0; i < LIMITS; i++) {
		const struct metrics_label labels[] = {
			{ "limit", limit_name((enum limit)i) }, { 0 }
		};

		metrics_sample(
		    to, "limit_breaches", "_total", labels, load(&breaches[i]));
	}
	metrics_family(to, "decision_duration_seconds", "histogram", "seconds",
	    "Time to decide on a recipient, without the waiting for the disk.");
	for (int c = 0; c < CHANNELS; c++) {
		const struct metrics_label labels[] = {
			{ "channel",
			    audit_channel_name((enum audit_channel)c) },
			{ 0 }
		};

		metrics_histogram(
		    to, "decision_duration_seconds", labels, &duration[c]);
	}
}
