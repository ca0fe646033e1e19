/* SPDX-License-Identifier: ISC */
/* chart - columns and lines as inline SVG, without scripts. The drawing
 * stretches to any width; its letters are HTML around it, so that they stay
 * readable. Pure but for the stream; any thread. */
#ifndef POPGATE_REPORT_CHART_H
#define POPGATE_REPORT_CHART_H

#include <stdint.h>
#include <stdio.h>

struct chart {
	const char *id; /* of the page: a plain word */
	const char *title; /* names the drawing for who doesn't see it */
	const char *unit; /* "recipients" */
	const char *const
	    *series; /* what each is called; the first is lowest */
	int n_series;
	const char *css; /* series i has the class css, then i from 1 */
	int n; /* columns */
	/* The label of column i; and its value in a series, not below 0. */
	const char *(*label)(const void *arg, int i);
	int64_t (*value)(const void *arg, int i, int series);
	const void *arg;
};

/* The least of 1, 2 and 5 times a power of ten that is not below max, 1 at
 * least: where the scale ends. */
int64_t chart_scale(int64_t max);

/* A <figure> with a stacked column each, or a line a series. */
void chart_columns(const struct chart *c, FILE *to);
void chart_lines(const struct chart *c, FILE *to);

/* A bar for a cell of a table: part of whole. */
void chart_bar(int64_t part, int64_t whole, const char *css, FILE *to);

#endif
