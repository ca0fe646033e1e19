/* SPDX-License-Identifier: ISC */
/* metrics - OpenMetrics text (openmetrics.io, version 1.0.0), and the
 * histogram that it wants. How to add one: docs/HACKING.md, "Adding a metric".
 */
#ifndef POPGATE_METRICS_H
#define POPGATE_METRICS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define METRICS_TYPE \
	"application/openmetrics-text; version=1.0.0; charset=utf-8"

/* Begin a family. Names are without "popgate_"; type is "counter", "gauge",
 * "histogram" or "info"; unit, if not NULL, is the end of the name. */
void metrics_family(FILE *to, const char *name, const char *type,
    const char *unit, const char *help);

struct metrics_label {
	const char *name, *value; /* value is escaped here */
};

/* One sample of the family name: suffix is "" or "_total" or "_info".
 * labels: ended by one without a name; NULL for none. */
void metrics_sample(FILE *to, const char *name, const char *suffix,
    const struct metrics_label *labels, uint64_t value);
/* The same of a gauge that has a sign or a fraction: value is thousandths. */
void metrics_milli(FILE *to, const char *name,
    const struct metrics_label *labels, int64_t milli);

/* A family of one sample without labels. */
void
metrics_counter(FILE *to, const char *name, const char *help, uint64_t value);
void metrics_gauge(FILE *to, const char *name, const char *unit,
    const char *help, uint64_t value);

/* The end of a page. */
void metrics_end(FILE *to);

/* Family and samples of a database's file and its write-ahead log.
 *   name   "audit"; label "database"
 *   first  also writes the family's head */
void metrics_file(FILE *to, bool first, const char *name, const char *path);

/* Durations counted in buckets from 5 microseconds to 5 seconds. Any thread
 * may count, without a lock; a reader may see a count without its time. */
enum { HISTOGRAM_BUCKETS = 20 };

struct histogram {
	atomic_uint_fast64_t bucket[HISTOGRAM_BUCKETS]; /* last: longer */
	atomic_uint_fast64_t sum_ns;
};

void histogram_count(struct histogram *h, int64_t ns);
void metrics_histogram(FILE *to, const char *name,
    const struct metrics_label *labels, const struct histogram *h);

#endif
