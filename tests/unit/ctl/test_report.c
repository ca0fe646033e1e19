/* SPDX-License-Identifier: ISC */
/* The report's pieces: what is escaped and cut, charts, counting, MIME. */
#include "tests/unit/unit.h"

#include <math.h>
#include <time.h>

#include "ctl/report/chart.h"
#include "ctl/report/count.h"
#include "ctl/report/markup.h"
#include "ctl/report/mime.h"
#include "ctl/report/render.h"
#include "ctl/report/style.h"

static char *out;
static size_t out_len;

static FILE *
begin(void)
{
	FILE *to = open_memstream(&out, &out_len);

	assert_non_null(to);
	return to;
}

static void
end(FILE *to, const char *want)
{
	assert_int_equal(fclose(to), 0);
	assert_string_equal(out, want);
	free(out);
}

/* --- text from clients --- */

static void
escapes(void **state)
{
	static const struct {
		const char *text;
		size_t max;
		const char *html, *plain;
	} rows[] = {
		{ "alice", 0, "alice", "alice" },
		{ "", 0, "", "" },
		{ "<script>a(\"'&\")</script>", 0,
		    "&lt;script&gt;a(&quot;&#39;&amp;&quot;)&lt;/script&gt;",
		    "<script>a(\"'&\")</script>" },
		{ "&lt;", 0, "&amp;lt;", "&lt;" },
		/* bidi overrides, a zero width space, NEL, DEL, ESC */
		{ "a\u202eb", 0, "a\\xe2\\x80\\xaeb", "a\\xe2\\x80\\xaeb" },
		{ "\u2066\u200b", 0, "\\xe2\\x81\\xa6\\xe2\\x80\\x8b",
		    "\\xe2\\x81\\xa6\\xe2\\x80\\x8b" },
		{ "\xc2\x85\x7f\x1b[1m\n", 0, "\\xc2\\x85\\x7f\\x1b[1m\\x0a",
		    "\\xc2\\x85\\x7f\\x1b[1m\\x0a" },
		/* no UTF-8: a lone byte, a cut character, a surrogate */
		{ "\xff<", 0, "\\xff&lt;", "\\xff<" },
		{ "\xc3", 0, "\\xc3", "\\xc3" },
		{ "\xed\xa0\x80", 0, "\\xed\\xa0\\x80", "\\xed\\xa0\\x80" },
		{ "gr\u00fc\u00df", 0, "gr\u00fc\u00df", "gr\u00fc\u00df" },
		{ "abcd", 4, "abcd", "abcd" },
		{ "abcde", 4, "abc…", "abc…" },
		{ "<<<<<", 4, "&lt;&lt;&lt;…", "<<<…" },
		{ "\u00fc\u00fc\u00fc\u00fc\u00fc", 4, "\u00fc\u00fc\u00fc…",
		    "\u00fc\u00fc\u00fc…" },
		/* an escape is shown as a whole, or not at all */
		{ "ab\xff", 4, "ab…", "ab…" },
		{ "\xff", 4, "\\xff", "\\xff" },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s, %zu", rows[i].html, rows[i].max);
		FILE *to = begin();

		markup_text(to, rows[i].text, rows[i].max);
		end(to, rows[i].html);
		to = begin();
		(void)plain_text(to, rows[i].text, rows[i].max);
		end(to, rows[i].plain);
	}
}

static void
widths(void **state)
{
	static const struct {
		const char *text;
		size_t max, want;
	} rows[] = {
		{ "abc", 0, 3 },
		{ "\u00fc", 0, 1 },
		{ "\xff", 0, 4 },
		{ "\u202e", 0, 12 },
		{ "abcdef", 4, 4 },
		{ "ab\xff", 4, 3 },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%zu", i);
		FILE *to = begin();

		assert_int_equal(
		    plain_text(to, rows[i].text, rows[i].max), rows[i].want);
		(void)fclose(to);
		free(out);
	}
}

static void
numbers(void **state)
{
	static const struct {
		int64_t n;
		const char *want;
	} rows[] = {
		{ 0, "0" },
		{ 999, "999" },
		{ 1000, "1,000" },
		{ 12345, "12,345" },
		{ 100000, "100,000" },
		{ 1234567, "1,234,567" },
		{ -1000, "-1,000" },
		{ -100, "-100" },
		{ INT64_MAX, "9,223,372,036,854,775,807" },
	};
	char buf[32];

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i].want);
		assert_string_equal(number_text(rows[i].n, buf), rows[i].want);
	}
}

/* --- charts --- */

static void
scales(void **state)
{
	static const int64_t rows[][2] = { { 0, 1 }, { 1, 1 }, { 2, 2 },
		{ 3, 5 }, { 5, 5 }, { 6, 10 }, { 10, 10 }, { 11, 20 },
		{ 51, 100 }, { 849, 1000 }, { 1001, 2000 },
		{ 8571428, 10000000 } };

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%d", (int)rows[i][0]);
		assert_int_equal(chart_scale(rows[i][0]), rows[i][1]);
	}
}

static const int64_t (*drawn)[2];

static const char *
drawn_label(const void *arg, int i)
{
	static const char *const labels[] = { "<Mon>", "Tue", "Wed" };

	(void)arg;
	return labels[i];
}

static int64_t
drawn_value(const void *arg, int i, int series)
{
	(void)arg;
	return drawn[i][series];
}

static const char *const drawn_series[] = { "a&b", "c" };

/* The drawing of chart_columns() or chart_lines(), to be freed. */
static char *
draw(void (*chart)(const struct chart *c, FILE *to), const int64_t (*v)[2],
    int n)
{
	const struct chart c = {
		.id = "x",
		.title = "T",
		.unit = "u",
		.series = drawn_series,
		.n_series = 2,
		.css = "v",
		.n = n,
		.label = drawn_label,
		.value = drawn_value,
	};
	FILE *to = begin();

	drawn = v;
	chart(&c, to);
	assert_int_equal(fclose(to), 0);
	return out;
}

static void
columns(void **state)
{
	static const int64_t v[][2] = { { 50, 0 }, { 25, 75 }, { 0, 1 } };
	char *svg = draw(chart_columns, v, 3);

	(void)state;
	/* the scale is 100: half of the height; a quarter, and on it the rest;
	 * and one of a hundred is seen */
	assert_non_null(strstr(svg,
	    "<path class=\"v1\" d=\"M1 100.00h8V50.00h-8zM11 100.00h8V75.00h-8z\"/>"));
	assert_non_null(strstr(svg,
	    "<path class=\"v2\" d=\"M11 75.00h8V0.00h-8zM21 100.00h8V99.00h-8z\"/>"));
	assert_non_null(strstr(svg,
	    "a&amp;b: 75 in all; c: 76 in all; "
	    "most in Tue: 100 u"));
	assert_non_null(strstr(svg, "<title>&lt;Mon&gt;\na&amp;b: 50\nc: 0"));
	assert_null(strstr(svg, "<Mon>"));
	free(svg);
}

static void
little_is_seen(void **state)
{
	static const int64_t v[][2] = { { 100000, 1 } };
	char *svg = draw(chart_columns, v, 1);

	(void)state;
	assert_non_null(strstr(svg, "v2\" d=\"M1 50.00h8V49.33h-8z"));
	free(svg);
}

static void
nothing(void **state)
{
	static const int64_t v[][2] = { { 0, 0 } };
	char *svg = draw(chart_columns, v, 1);

	(void)state;
	assert_non_null(strstr(svg, "class=\"v1\" d=\"\"/>"));
	assert_null(strstr(svg, "most in"));
	free(svg);
	svg = draw(chart_columns, v, 0);
	assert_non_null(strstr(svg, "</figure>"));
	free(svg);
}

static void
lines(void **state)
{
	static const int64_t v[][2] = { { 10, 0 }, { 5, 8 }, { 0, 10 } };
	char *svg = draw(chart_lines, v, 3);

	(void)state;
	assert_non_null(strstr(svg, "v1\" d=\"M5 0.00L15 50.00L25 100.00\"/>"));
	assert_non_null(strstr(svg, "v2\" d=\"M5 100.00L15 20.00L25 0.00\"/>"));
	assert_non_null(strstr(svg, "a&amp;b: 0 at last; c: 10 at last; "));
	free(svg);
	svg = draw(chart_lines, v, 1);
	assert_non_null(strstr(svg, "v1\" d=\"M5 0.00h1\"/>"));
	free(svg);
}

/* --- colours --- */

/* Relative luminance of a colour of the page's style, in its n-th theme from 0:
 * WCAG 2.2. */
static double
luminance(const char *style, int n, const char *name)
{
	char key[16];
	unsigned rgb = 0;
	double light[3];

	(void)snprintf(key, sizeof(key), "--%s:#", name);
	for (const char *p = style; n >= 0; n--) {
		p = strstr(p, key);
		assert_non_null(p);
		p += strlen(key);
		size_t digits = strspn(p, "0123456789abcdef");

		assert_int_equal(digits == 3 || digits == 6, 1);
		rgb = (unsigned)strtoul(p, NULL, 16);
		if (digits == 3)
			rgb = (rgb >> 8) * 0x110000 + (rgb >> 4 & 15) * 0x1100 +
			    (rgb & 15) * 0x11;
	}
	for (int i = 0; i < 3; i++) {
		double c = (rgb >> (16 - 8 * i) & 255) / 255.0;

		light[i] =
		    c <= 0.04045 ? c / 12.92 : pow((c + 0.055) / 1.055, 2.4);
	}
	return 0.2126 * light[0] + 0.7152 * light[1] + 0.0722 * light[2];
}

static double
contrast(const char *style, int theme, const char *a, const char *b)
{
	double x = luminance(style, theme, a), y = luminance(style, theme, b);

	return x > y ? (x + 0.05) / (y + 0.05) : (y + 0.05) / (x + 0.05);
}

static void
contrasts(void **state)
{
	static const struct {
		const char *colour;
		double least;
	} rows[] = {
		{ "ink", 4.5 },
		{ "soft", 4.5 },
		{ "link", 4.5 },
		{ "good", 4.5 },
		{ "warn", 4.5 },
		{ "bad", 4.5 },
		{ "v1", 3 },
		{ "v2", 3 },
		{ "v3", 3 },
		{ "v4", 3 },
		{ "v5", 3 },
		{ "r1", 3 },
		{ "r2", 3 },
		{ "r3", 3 },
		{ "r4", 3 },
		{ "r5", 3 },
		{ "r6", 3 },
	};
	FILE *to = begin();

	(void)state;
	for (int i = 0; report_style[i] != NULL; i++)
		(void)fputs(report_style[i], to);
	(void)fclose(to);
	for (int theme = 0; theme < 2; theme++)
		for (size_t i = 0; i < LENGTH(rows); i++) {
			ROW("%s, theme %d", rows[i].colour, theme);
			assert_true(contrast(out, theme, rows[i].colour,
					"bg") >= rows[i].least);
			assert_true(contrast(out, theme, rows[i].colour,
					"card") >= rows[i].least);
		}
	free(out);
}

/* --- counting --- */

static struct counted *
record(struct count_names *t, const char *name, size_t len)
{
	return count_name(t, name, len, count_name_hash(t, name, len));
}

static void
names(void **state)
{
	struct count_names t = { .n = 0 };
	char name[16];

	(void)state;
	for (int turn = 0; turn < 2; turn++)
		for (int i = 0; i < 5000; i++) {
			int len = snprintf(name, sizeof(name), "n%d", i);
			struct counted *c = record(&t, name, (size_t)len);

			assert_non_null(c);
			assert_string_equal(c->name, name);
			assert_int_equal(c->senders, turn);
			c->senders++;
		}
	assert_int_equal(t.n, 5000);
	assert_false(t.full);
	count_names_release(&t);
	assert_int_equal(t.n, 0);
}

static void
long_names_are_told_by_their_beginning(void **state)
{
	struct count_names t = { .n = 0 };
	char a[2000], b[2000];

	(void)state;
	memset(a, 'x', sizeof(a));
	memcpy(b, a, sizeof(b));
	b[COUNT_NAME_LEN] = 'y';
	struct counted *c = record(&t, a, sizeof(a));

	assert_ptr_equal(c, record(&t, b, sizeof(b)));
	assert_int_equal(strlen(c->name), COUNT_NAME_LEN);
	b[COUNT_NAME_LEN - 1] = 'y';
	(void)record(&t, b, sizeof(b));
	assert_int_equal(t.n, 2);
	count_names_release(&t);
}

static void
full_names(void **state)
{
	struct count_names t = { .n = 0 };
	char name[16];

	(void)state;
	for (int i = 0; i < COUNT_NAMES_MAX; i++) {
		int len = snprintf(name, sizeof(name), "n%d", i);

		assert_non_null(record(&t, name, (size_t)len));
	}
	assert_false(t.full);
	assert_null(record(&t, "one more", 8));
	assert_true(t.full);
	assert_non_null(record(&t, "n7", 2));
	assert_int_equal(t.n, COUNT_NAMES_MAX);
	count_names_release(&t);
}

static void
pairs(void **state)
{
	struct count_pairs t = { .n = 0 };

	(void)state;
	for (uint64_t i = 0; i < 3000; i++) {
		assert_true(count_pair(&t, i, 1));
		assert_true(count_pair(&t, 1, i + 5000));
		assert_false(count_pair(&t, i, 1));
	}
	assert_int_equal(t.n, 6000);
	count_pairs_release(&t);
}

static void
base64(void **state)
{
	/* RFC 4648 section 10 */
	static const char *const rows[][2] = { { "", "" }, { "f", "Zg==\n" },
		{ "fo", "Zm8=\n" }, { "foo", "Zm9v\n" },
		{ "foob", "Zm9vYg==\n" }, { "fooba", "Zm9vYmE=\n" },
		{ "foobar", "Zm9vYmFy\n" }, { "\xff\xfe\xfd", "//79\n" } };
	char data[58];
	FILE *to;

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i][1]);
		to = begin();
		mime_base64(rows[i][0], strlen(rows[i][0]), to);
		end(to, rows[i][1]);
	}
	memset(data, 0, sizeof(data));
	to = begin();
	mime_base64(data, sizeof(data), to);
	end(to,
	    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
	    "AA==\n");
}

static void
header_text(void **state)
{
	static const char *const rows[][2] = {
		{ "popgate on mx: all is well", "popgate on mx: all is well" },
		{ "gr\u00fcn", "=?UTF-8?B?Z3LDvG4=?=" },
		/* what looks like an encoded word is encoded */
		{ "=?x?=", "=?UTF-8?B?PT94Pz0=?=" },
		/* no header is begun, nothing harmful gets through */
		{ "a\r\nBcc: b\u202e\xff", "=?UTF-8?B?YUJjYzogYg==?=" },
		/* a character is not cut in two: 44 bytes, and then 2 */
		{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\u00fc",
		    "=?UTF-8?B?YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=?=\n =?UTF-8?B?w7w=?=" },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i][1]);
		FILE *to = begin();

		mime_header_text(rows[i][0], 9, to);
		end(to, rows[i][1]);
	}
}

static void
whole_mail(void **state)
{
	(void)state;
	(void)setenv("TZ", "CET-1", 1);
	tzset();
	FILE *to = begin();

	mime_write(
	    &(struct mime_mail){
		.to = "root",
		.subject = "s",
		.host = "mx.example.org",
		.at = 1772535600,
		.id = 7,
		.text = "foo",
		.html = "foobar",
	    },
	    to);
	end(to,
	    "To: root\nSubject: s\nDate: Tue, 3 Mar 2026 12:00:00 +0100\n"
	    "Message-ID: <popgate.69a6bf30.7@mx.example.org>\n"
	    "Auto-Submitted: auto-generated\nMIME-Version: 1.0\n"
	    "Content-Type: multipart/alternative;\n"
	    " boundary=\"=_popgate_69a6bf30_7\"\n\n"
	    "This mail has a text and a page in MIME.\n\n"
	    "--=_popgate_69a6bf30_7\n"
	    "Content-Type: text/plain; charset=utf-8\n"
	    "Content-Transfer-Encoding: base64\n\nZm9v\n"
	    "--=_popgate_69a6bf30_7\n"
	    "Content-Type: text/html; charset=utf-8\n"
	    "Content-Transfer-Encoding: base64\n\nZm9vYmFy\n"
	    "--=_popgate_69a6bf30_7--\n");
}

/* --- whole reports --- */

static size_t
tags(const char *page)
{
	size_t n = 0;

	for (; *page != '\0'; page++)
		n += *page == '<';
	return n;
}

/* A report whose every text is name. */
static void
fill(struct report *rep, const char *name)
{
	struct report_parties *const parties[] = { &rep->clients, &rep->users,
		&rep->fresh, &rep->strangers, &rep->shared };

	*rep = (struct report){
		.since = 1772535600,
		.until = 1772539200,
		.now = 1772539200,
		.recorded_ms = 1,
		.slots = 1,
		.reasons = 1,
		.fresh_known = true,
		.depend = { .n = 1, .all = 1 },
		.breaches = 1,
		.breaches_kept = 1,
		.denials = 1,
		.denials_kept = 1,
		.state = { .n = 1, .all = 1 },
		.doctor = { .n = 1, .all = 1 },
	};
#define SET(to) (void)snprintf(to, sizeof(to), "%s", name)
	SET(rep->host);
	SET(rep->zone);
	SET(rep->reason[0].name);
	rep->reason[0].sums.recipients = rep->reason[0].sums.rejected = 1;
	for (size_t i = 0; i < LENGTH(parties); i++) {
		parties[i]->n = 1;
		parties[i]->all = 1;
		parties[i]->v[0].sums.accepted = 1;
		SET(parties[i]->v[0].name);
	}
	SET(rep->depend.v[0].name);
	SET(rep->breach[0].subject);
	SET(rep->breach[0].setting);
	SET(rep->breach[0].allowed);
	SET(rep->denial[0].subject);
	SET(rep->denial[0].reason);
	SET(rep->state.v[0].what);
	SET(rep->state.v[0].words);
	SET(rep->doctor.v[0].what);
	SET(rep->doctor.v[0].words);
	SET(rep->doctor_from);
#undef SET
}

static char *
page_of(struct report *rep, const char *name)
{
	FILE *to = begin();

	fill(rep, name);
	report_html(rep, false, to);
	assert_int_equal(fclose(to), 0);
	return out;
}

/* Hostile names change no tag of the page. */
static void
hostile_names(void **state)
{
	static const char *const rows[] = {
		"<script>alert(1)</script>",
		"\"><img src=x onerror=y>",
		"' onmouseover='x",
		"</td></tr></table></details><h1>",
		"--><!--",
		"]]>",
		"\u202e\u2066\u200b\u2028",
		"\xff\xfe\x80<\xc3",
		"&#60;script&#62;",
	};
	struct report *rep = calloc(1, sizeof(*rep));
	char *page;

	(void)state;
	assert_non_null(rep);
	page = page_of(rep, "alice");
	size_t want = tags(page);

	free(page);
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i]);
		page = page_of(rep, rows[i]);
		assert_int_equal(tags(page), want);
		assert_null(strstr(page, "\u202e"));
		assert_null(strstr(page, "<script"));
		assert_null(strstr(page, "&#60;"));
		assert_null(strchr(page, '\xff'));
		free(page);
	}
	free(rep);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(escapes),
		cmocka_unit_test(widths),
		cmocka_unit_test(numbers),
		cmocka_unit_test(scales),
		cmocka_unit_test(columns),
		cmocka_unit_test(little_is_seen),
		cmocka_unit_test(nothing),
		cmocka_unit_test(lines),
		cmocka_unit_test(contrasts),
		cmocka_unit_test(names),
		cmocka_unit_test(long_names_are_told_by_their_beginning),
		cmocka_unit_test(full_names),
		cmocka_unit_test(pairs),
		cmocka_unit_test(base64),
		cmocka_unit_test(header_text),
		cmocka_unit_test(whole_mail),
		cmocka_unit_test(hostile_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
