/* SPDX-License-Identifier: ISC */
#include "common/base/metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/utf8.h"

#define PREFIX "popgate_"

/* Upper ends, and how they are written. */
static const struct {
	int64_t ns;
	const char *le;
} bounds[HISTOGRAM_BUCKETS] = { { 5000, "5e-06" }, { 10000, "1e-05" },
	{ 20000, "2e-05" }, { 50000, "5e-05" }, { 100000, "0.0001" },
	{ 200000, "0.0002" }, { 500000, "0.0005" }, { 1000000, "0.001" },
	{ 2000000, "0.002" }, { 5000000, "0.005" }, { 10000000, "0.01" },
	{ 20000000, "0.02" }, { 50000000, "0.05" }, { 100000000, "0.1" },
	{ 200000000, "0.2" }, { 500000000, "0.5" }, { 1000000000, "1.0" },
	{ 2000000000, "2.0" }, { 5000000000, "5.0" }, { INT64_MAX, "+Inf" } };

void
metrics_family(FILE *to, const char *name, const char *type, const char *unit,
    const char *help)
{
	assert(unit == NULL || strlen(unit) < strlen(name));
	assert(unit == NULL ||
	    strcmp(name + strlen(name) - strlen(unit), unit) == 0);
	(void)fprintf(to, "# TYPE " PREFIX "%s %s\n", name, type);
	if (unit != NULL)
		(void)fprintf(to, "# UNIT " PREFIX "%s %s\n", name, unit);
	(void)fprintf(to, "# HELP " PREFIX "%s %s\n", name, help);
}

/* Bytes that are no UTF-8 would spoil the whole page. The format has no escape
 * for what else should not be shown. */
static void
write_value(FILE *to, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	uint32_t cp = 0;

	while (*p != '\0') {
		size_t n = utf8_length(p, &cp);

		if (n > 0 && cp == '\n')
			(void)fputs("\\n", to);
		else if (n == 0 || utf8_harmful(cp))
			(void)fputs("\xef\xbf\xbd", to); /* U+FFFD */
		else if (cp == '"' || cp == '\\')
			(void)fprintf(to, "\\%c", (int)cp);
		else
			(void)fwrite(p, 1, n, to);
		p += n == 0 ? 1 : n;
	}
}

/* le: one label more, or NULL */
static void
write_labels(FILE *to, const struct metrics_label *labels, const char *le)
{
	char before = '{';

	for (; labels != NULL && labels->name != NULL; labels++) {
		(void)fprintf(to, "%c%s=\"", before, labels->name);
		write_value(to, labels->value);
		(void)fputc('"', to);
		before = ',';
	}
	if (le != NULL) {
		(void)fprintf(to, "%cle=\"%s\"", before, le);
		before = ',';
	}
	if (before == ',')
		(void)fputc('}', to);
	(void)fputc(' ', to);
}

static void
write_name(FILE *to, const char *name, const char *suffix,
    const struct metrics_label *labels, const char *le)
{
	(void)fprintf(to, PREFIX "%s%s", name, suffix);
	write_labels(to, labels, le);
}

void
metrics_sample(FILE *to, const char *name, const char *suffix,
    const struct metrics_label *labels, uint64_t value)
{
	assert(*suffix == '\0' || *suffix == '_');
	write_name(to, name, suffix, labels, NULL);
	(void)fprintf(to, "%" PRIu64 "\n", value);
}

void
metrics_milli(FILE *to, const char *name, const struct metrics_label *labels,
    int64_t milli)
{
	write_name(to, name, "", labels, NULL);
	(void)fprintf(to, "%s%" PRId64 ".%03d\n", milli < 0 ? "-" : "",
	    milli < 0 ? -(milli / 1000) : milli / 1000,
	    abs((int)(milli % 1000)));
}

void
metrics_counter(FILE *to, const char *name, const char *help, uint64_t value)
{
	metrics_family(to, name, "counter", NULL, help);
	metrics_sample(to, name, "_total", NULL, value);
}

void
metrics_gauge(FILE *to, const char *name, const char *unit, const char *help,
    uint64_t value)
{
	metrics_family(to, name, "gauge", unit, help);
	metrics_sample(to, name, "", NULL, value);
}

void
metrics_end(FILE *to)
{
	(void)fputs("# EOF\n", to);
}

void
metrics_file(FILE *to, bool first, const char *name, const char *path)
{
	static const char *const files[][2] = { { "main", "" },
		{ "wal", "-wal" } };
	char full[4200];
	struct stat st;

	if (first)
		metrics_family(to, "database_size_bytes", "gauge", "bytes",
		    "Size of a database's file and of its write-ahead log.");
	for (size_t i = 0; i < 2; i++) {
		const struct metrics_label labels[] = { { "database", name },
			{ "file", files[i][0] }, { 0 } };

		(void)snprintf(full, sizeof(full), "%s%s", path, files[i][1]);
		if (stat(full, &st) == 0)
			metrics_sample(to, "database_size_bytes", "", labels,
			    (uint64_t)st.st_size);
	}
}

void
histogram_count(struct histogram *h, int64_t ns)
{
	unsigned i = 0;

	while (ns > bounds[i].ns)
		i++;
	assert(i < HISTOGRAM_BUCKETS);
	atomic_fetch_add_explicit(&h->bucket[i], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(
	    &h->sum_ns, (uint_fast64_t)(ns < 0 ? 0 : ns), memory_order_relaxed);
}

void
metrics_histogram(FILE *to, const char *name,
    const struct metrics_label *labels, const struct histogram *h)
{
	uint64_t sum_ns =
	    atomic_load_explicit(&h->sum_ns, memory_order_relaxed);
	uint64_t total = 0;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		total +=
		    atomic_load_explicit(&h->bucket[i], memory_order_relaxed);
		write_name(to, name, "_bucket", labels, bounds[i].le);
		(void)fprintf(to, "%" PRIu64 "\n", total);
	}
	metrics_sample(to, name, "_count", labels, total);
	write_name(to, name, "_sum", labels, NULL);
	(void)fprintf(to, "%" PRIu64 ".%09" PRIu64 "\n", sum_ns / 1000000000,
	    sum_ns % 1000000000);
}
