/* SPDX-License-Identifier: ISC */
#include "ctl/report/chart.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "ctl/report/markup.h"

/* The drawing's own units: a column is so wide, with what is between two. */
enum { WIDTH = 10, BAR = 8, HEIGHT = 100, LABELS = 6 };

int64_t
chart_scale(int64_t max)
{
	int64_t power = 1;

	assert(max >= 0);
	while (max > 5 * power && power <= INT64_MAX / 100)
		power *= 10;
	return max <= power ? power : max <= 2 * power ? 2 * power : 5 * power;
}

static int64_t
stack_of(const struct chart *c, int i)
{
	int64_t sum = 0;

	for (int s = 0; s < c->n_series; s++)
		sum += c->value(c->arg, i, s);
	return sum;
}

static int64_t
highest(const struct chart *c, bool stacked)
{
	int64_t max = 0;

	for (int i = 0; i < c->n; i++)
		for (int s = 0; s < c->n_series; s++) {
			int64_t v =
			    stacked ? stack_of(c, i) : c->value(c->arg, i, s);

			max = v > max ? v : max;
		}
	return max;
}

static int64_t
total(const struct chart *c, int series)
{
	int64_t sum = 0;

	for (int i = 0; i < c->n; i++)
		sum += c->value(c->arg, i, series);
	return sum;
}

/* In the drawing's units from its foot. */
static double
units(int64_t v, int64_t scale)
{
	assert(scale > 0);
	return (double)v * (double)HEIGHT / (double)scale;
}

/* A little of something is never nothing: it has two thirds of a unit. */
static double
height_of(int64_t v, int64_t scale)
{
	double h = units(v, scale);

	return v > 0 && h < 0.67 ? 0.67 : h;
}

/* --- around the drawing --- */

static void
legend(const struct chart *c, FILE *to)
{
	(void)fputs("<ul class=\"legend\">", to);
	for (int s = 0; s < c->n_series; s++) {
		(void)fprintf(to, "<li><i class=\"%s%d\"></i>", c->css, s + 1);
		markup_text(to, c->series[s], 0);
		(void)fputs("</li>", to);
	}
	(void)fputs("</ul>\n", to);
}

static void
open_drawing(const struct chart *c, int64_t scale, const char *shape, FILE *to)
{
	char buf[32];

	(void)fprintf(to, "<figure class=\"chart\" id=\"%s\">\n", c->id);
	legend(c, to);
	(void)fputs(
	    "<div class=\"plot\"><div class=\"y\" aria-hidden=\"true\">", to);
	(void)fprintf(to, "<span>%s</span>", number_text(scale, buf));
	if (scale % 2 == 0)
		(void)fprintf(
		    to, "<span>%s</span>", number_text(scale / 2, buf));
	(void)fputs("<span>0</span></div>\n", to);
	(void)fprintf(to,
	    "<svg class=\"%s\" viewBox=\"0 0 %d %d\" "
	    "preserveAspectRatio=\"none\" role=\"img\" "
	    "aria-labelledby=\"%s-t %s-d\"><title id=\"%s-t\">",
	    shape, c->n * WIDTH, HEIGHT, c->id, c->id, c->id);
	markup_text(to, c->title, 0);
	(void)fprintf(to, "</title><desc id=\"%s-d\">", c->id);
}

/* The drawing in words. */
static void
describe(const struct chart *c, bool stacked, FILE *to)
{
	int most = 0;
	char buf[32];

	for (int i = 1; i < c->n; i++)
		if (stack_of(c, i) > stack_of(c, most))
			most = i;
	for (int s = 0; s < c->n_series; s++) {
		markup_text(to, c->series[s], 0);
		(void)fprintf(to, ": %s%s; ",
		    number_text(stacked || c->n == 0
			    ? total(c, s)
			    : c->value(c->arg, c->n - 1, s),
			buf),
		    stacked ? " in all" : " at last");
	}
	if (stacked && c->n > 0 && stack_of(c, most) > 0) {
		(void)fputs("most in ", to);
		markup_text(to, c->label(c->arg, most), 0);
		(void)fprintf(to, ": %s ", number_text(stack_of(c, most), buf));
		markup_text(to, c->unit, 0);
	}
	(void)fputs(". The table below has all numbers.</desc>\n", to);
}

static void
grid(const struct chart *c, FILE *to)
{
	(void)fprintf(to,
	    "<path class=\"grid\" d=\"M0 0H%d M0 50H%d M0 100H%d\"/>\n",
	    c->n * WIDTH, c->n * WIDTH, c->n * WIDTH);
}

/* A transparent column over each bar, which shows its numbers to a pointer. */
static void
tips(const struct chart *c, FILE *to)
{
	char buf[32];

	(void)fputs("<g class=\"tip\">", to);
	for (int i = 0; i < c->n; i++) {
		(void)fprintf(to,
		    "<rect x=\"%d\" width=\"%d\" height=\"%d\"><title>",
		    i * WIDTH, WIDTH, HEIGHT);
		markup_text(to, c->label(c->arg, i), 0);
		for (int s = 0; s < c->n_series; s++) {
			(void)fputc('\n', to);
			markup_text(to, c->series[s], 0);
			(void)fprintf(to, ": %s",
			    number_text(c->value(c->arg, i, s), buf));
		}
		(void)fputs("</title></rect>\n", to);
	}
	(void)fputs("</g>", to);
}

/* At most LABELS of the columns are named, the first among them, and none at
 * the right edge, where its name has no room. */
static void
close_drawing(const struct chart *c, FILE *to)
{
	int each = (c->n + LABELS - 1) / LABELS, shown = 0;

	tips(c, to);
	(void)fputs("</svg>\n<div class=\"x\" aria-hidden=\"true\">", to);
	for (int i = 0; each > 0 && i * 100 <= c->n * 70; i += each) {
		(void)fprintf(to, "<span%s style=\"left:%.2f%%\">",
		    shown++ % 2 == 1 ? " class=\"odd\"" : "",
		    (double)i * 100 / c->n);
		markup_text(to, c->label(c->arg, i), 0);
		(void)fputs("</span>", to);
	}
	(void)fputs("</div></div></figure>\n", to);
}

/* --- drawings --- */

static void
column(double x, double y, double height, FILE *to)
{
	(void)fprintf(
	    to, "M%.0f %.2fh%dV%.2fh-%dz", x, y, BAR, y - height, BAR);
}

void
chart_columns(const struct chart *c, FILE *to)
{
	int64_t scale = chart_scale(highest(c, true));

	assert(c->n >= 0 && c->n_series > 0);
	open_drawing(c, scale, "columns", to);
	describe(c, true, to);
	grid(c, to);
	for (int s = 0; s < c->n_series; s++) {
		(void)fprintf(to, "<path class=\"%s%d\" d=\"", c->css, s + 1);
		for (int i = 0; i < c->n; i++) {
			double y = HEIGHT;

			for (int below = 0; below < s; below++)
				y -= height_of(
				    c->value(c->arg, i, below), scale);
			if (c->value(c->arg, i, s) > 0)
				column(i * WIDTH + (WIDTH - BAR) / 2.0, y,
				    height_of(c->value(c->arg, i, s), scale),
				    to);
		}
		(void)fputs("\"/>\n", to);
	}
	close_drawing(c, to);
}

void
chart_lines(const struct chart *c, FILE *to)
{
	int64_t scale = chart_scale(highest(c, false));

	assert(c->n >= 0 && c->n_series > 0);
	open_drawing(c, scale, "lines", to);
	describe(c, false, to);
	grid(c, to);
	for (int s = 0; s < c->n_series; s++) {
		(void)fprintf(to, "<path class=\"%s%d\" d=\"", c->css, s + 1);
		for (int i = 0; i < c->n; i++)
			(void)fprintf(to, "%c%d %.2f", i == 0 ? 'M' : 'L',
			    i * WIDTH + WIDTH / 2,
			    (double)HEIGHT -
				units(c->value(c->arg, i, s), scale));
		/* a line of one point would be none */
		(void)fputs(c->n == 1 ? "h1\"/>\n" : "\"/>\n", to);
	}
	close_drawing(c, to);
}

void
chart_bar(int64_t part, int64_t whole, const char *css, FILE *to)
{
	assert(part >= 0 && part <= whole);
	(void)fprintf(to,
	    "<svg class=\"bar\" viewBox=\"0 0 100 1\" "
	    "preserveAspectRatio=\"none\" aria-hidden=\"true\">"
	    "<rect class=\"%s\" width=\"%.2f\" height=\"1\"/></svg>",
	    css, whole == 0 ? 0 : (double)part * 100 / (double)whole);
}
