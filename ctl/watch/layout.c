/* SPDX-License-Identifier: ISC */
/* layout - the screen of 'popgatectl watch' as lines, out of the model and the
 * view. Pure, but for the local time zone. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#include "common/base/utf8.h"
#include "ctl/watch/view.h"

/* --- characters and cells --- */

int
view_char_width(uint32_t cp)
{
	int width = utf8_harmful(cp) ? 0 : wcwidth((wchar_t)cp);

	return width < 0 ? 0 : width;
}

/* The next character of *text into buf, without a NUL behind it; *width_r
 * columns. What takes no column, as a combining mark, would hang on to a
 * character that isn't its own: it is escaped as what harms. */
static size_t
next_char(const char **text, char buf[UTF8_ESCAPE_MAX], int *width_r)
{
	const unsigned char *p = (const unsigned char *)*text;
	uint32_t cp = 0;
	size_t n = utf8_length(p, &cp), len = 0;

	*width_r = n == 0 ? 0 : view_char_width(cp);
	if (*width_r > 0) {
		memcpy(buf, p, n);
		*text += n;
		return n;
	}
	for (size_t i = 0; i < (n == 0 ? 1 : n); i++)
		len += (size_t)snprintf(buf + len, 5, "\\x%02x", p[i]);
	*text += n == 0 ? 1 : n;
	*width_r = (int)len;
	return len;
}

struct pen {
	struct screen *screen;
	struct screen_line *line; /* NULL: behind the last one */
	size_t len;
	int column;
};

static void
pen_line(struct pen *p, enum screen_look look)
{
	struct screen *s = p->screen;

	p->line = s->lines < s->height ? &s->line[s->lines++] : NULL;
	p->len = 0;
	p->column = 0;
	if (p->line == NULL)
		return;
	p->line->look = look;
	p->line->text[0] = '\0';
}

static void
pen_bytes(struct pen *p, const char *bytes, size_t n, int width)
{
	if (p->line == NULL || p->column + width > p->screen->width ||
	    p->len + n >= sizeof(p->line->text))
		return;
	memcpy(p->line->text + p->len, bytes, n);
	p->len += n;
	p->line->text[p->len] = '\0';
	p->column += width;
}

/* Write text as far as it goes into so many columns; returns how many are left.
 * What is cut off shows as "~". */
static int
pen_cut(struct pen *p, const char *text, int columns)
{
	char one[UTF8_ESCAPE_MAX];
	int width;

	while (*text != '\0') {
		const char *at = text;
		size_t n = next_char(&at, one, &width);

		if (width > columns || (width == columns && *at != '\0')) {
			if (columns > 0)
				pen_bytes(p, "~", 1, 1);
			return columns - (columns > 0);
		}
		pen_bytes(p, one, n, width);
		columns -= width;
		text = at;
	}
	return columns;
}

static void
pen_text(struct pen *p, const char *text)
{
	(void)pen_cut(p, text, p->screen->width - p->column);
}

/* A cell of a table, with a blank behind it. No columns: no cell. */
static void
pen_cell(struct pen *p, const char *text, int columns)
{
	if (columns <= 0)
		return;
	int left = pen_cut(p, text, columns) + 1;

	while (left-- > 0)
		pen_bytes(p, " ", 1, 1);
}

static void
pen_number(struct pen *p, int64_t n, int columns)
{
	char buf[24];

	(void)snprintf(buf, sizeof(buf), "%*" PRId64, columns, n);
	pen_cell(p, buf, columns);
}

static void
pen_right(struct pen *p, const char *text, int columns)
{
	char buf[32];

	(void)snprintf(buf, sizeof(buf), "%*s", columns, text);
	pen_cell(p, buf, columns);
}

/* "12:34:56", and the day of what is older. */
static const char *
clock_of(int64_t at, int64_t now, char buf[20])
{
	time_t t = (time_t)at;
	struct tm tm;

	buf[0] = '\0';
	if (localtime_r(&t, &tm) != NULL)
		(void)strftime(
		    buf, 20, now - at < 86400 ? "%H:%M:%S" : "%d %b", &tm);
	return buf;
}

/* --- what stands above the panels --- */

static enum screen_look
look_of(enum watch_level level)
{
	static const enum screen_look looks[] = {
		[WATCH_GOOD] = LOOK_GOOD,
		[WATCH_ODD] = LOOK_ODD,
		[WATCH_BAD] = LOOK_BAD,
	};

	return looks[level];
}

static void
draw_title(struct pen *p, const struct view *v, const struct watch_model *m)
{
	time_t t = (time_t)m->now;
	char when[40] = "";
	struct tm tm;

	if (localtime_r(&t, &tm) != NULL)
		(void)strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S %z", &tm);
	pen_line(p, LOOK_TITLE);
	pen_text(p, "popgate on ");
	pen_text(p, m->host);
	pen_text(p, "  ");
	pen_text(p, when);
	if (v->paused)
		pen_text(p, "  PAUSED");
	if (v->filter[0] != '\0') {
		pen_text(p, "  only: ");
		pen_text(p, v->filter);
	}
	/* the bar goes on to the edge */
	while (p->line != NULL && p->column < p->screen->width)
		pen_bytes(p, " ", 1, 1);
}

static void
draw_state(struct pen *p, const char *who, const struct watch_state *state)
{
	if (state->words[0] == '\0')
		return;
	pen_line(p, look_of(state->level));
	pen_text(p, who);
	pen_text(p, state->words);
}

static void
draw_sums(
    struct pen *p, const struct watch_model *m, const struct watch_tally *t)
{
	char buf[200], since[20];
	int n = snprintf(buf, sizeof(buf), "Last %d min:", WATCH_WINDOW_S / 60);

	for (int i = 0; i < WATCH_FATES; i++)
		if (i <= WATCH_PUT_OFF || t->recipients[i] > 0)
			n += snprintf(buf + n, sizeof(buf) - (size_t)n,
			    "%s %" PRId64 " %s", i == 0 ? "" : ",",
			    t->recipients[i],
			    watch_fate_name((enum watch_fate)i));
	if (m->cut)
		(void)snprintf(buf + n, sizeof(buf) - (size_t)n,
		    " (since %s: the newest %d decisions)",
		    clock_of(t->since_ms / 1000, m->now, since), WATCH_EVENTS);
	pen_line(p, LOOK_PLAIN);
	pen_text(p, buf);
}

/* --- panels --- */

struct widths {
	int count, reason, client, user, sender, recipient;
};

/* A narrow screen loses columns: the sender first, then the reason, the count,
 * and the user. */
static void
measure(int width, struct widths *w)
{
	enum { TIME = 9, FATE = 10, LEAST = 12 };

	*w = (struct widths){ .count = 5, .reason = 16, .user = 14 };
	w->client = width < 120 ? 15 : width < 170 ? 26 : 39;
	w->user += width < 120 ? 0 : 8;
	int *const go[] = { &w->reason, &w->count, &w->user };
	int left = width - TIME - FATE - w->client - 1;

	for (size_t i = 0; i < 3; i++)
		left -= *go[i] + 1;
	for (size_t i = 0; i < 3 && left < LEAST; i++) {
		left += *go[i] + 1;
		*go[i] = 0;
	}
	w->sender = left >= 2 * LEAST + 8 ? left * 2 / 5 : 0;
	w->recipient = left - (w->sender > 0 ? w->sender + 1 : 0);
}

static void
head_decisions(struct pen *p)
{
	struct widths w;

	measure(p->screen->width, &w);
	pen_cell(p, "DECIDED", 8);
	pen_cell(p, "", 9);
	pen_right(p, "COUNT", w.count);
	pen_cell(p, "REASON", w.reason);
	pen_cell(p, "CLIENT", w.client);
	pen_cell(p, "USER", w.user);
	pen_cell(p, "SENDER", w.sender);
	pen_cell(p, "RECIPIENT", w.recipient);
}

static void
draw_decision(
    struct pen *p, const struct watch_model *m, const struct watch_event *e)
{
	struct widths w;
	char when[20];

	measure(p->screen->width, &w);
	pen_cell(p, clock_of(e->last_ms / 1000, m->now, when), 8);
	pen_cell(p, watch_fate_name(e->fate), 9);
	if (w.count > 0)
		pen_number(p, e->count, w.count);
	pen_cell(p, e->reason, w.reason);
	pen_cell(p, e->client, w.client);
	pen_cell(p, *watch_user(e) == '\0' ? "-" : watch_user(e), w.user);
	pen_cell(p, e->sender, w.sender);
	pen_cell(p, *e->recipient == '\0' ? "(not told)" : e->recipient,
	    w.recipient);
}

enum { TOP_NUMBER = 8, TOP_REST = 7 + 4 * (TOP_NUMBER + 1) + 1 };

static void
head_top(struct pen *p)
{
	static const char *const heads[] = { "RELAYED", "REFUSED", "SENDERS",
		"LAST" };

	pen_cell(p, "SENDS MOST", p->screen->width - TOP_REST + 7);
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
		pen_right(p, heads[i], TOP_NUMBER);
}

static void
draw_top(struct pen *p, const struct watch_model *m, const struct watch_top *t)
{
	char when[20];

	pen_cell(p, t->is_user ? "user" : "client", 6);
	pen_cell(p, t->name, p->screen->width - TOP_REST);
	pen_number(p, t->recipients[WATCH_RELAYED], TOP_NUMBER);
	pen_number(p,
	    t->recipients[WATCH_REFUSED] + t->recipients[WATCH_PUT_OFF],
	    TOP_NUMBER);
	pen_number(p, t->senders, TOP_NUMBER);
	pen_right(p, clock_of(t->last_ms / 1000, m->now, when), TOP_NUMBER);
}

static void
draw_limit(struct pen *p, const struct watch_limit *l)
{
	int width = p->screen->width;
	char how[16];

	(void)snprintf(how, sizeof(how), "%d %%", l->percent);
	pen_cell(p, l->denied ? "denied" : l->over ? "over" : how, 6);
	pen_cell(p, l->is_user ? "user" : "client", 6);
	pen_cell(p, l->subject, width < 100 ? 20 : width / 4);
	pen_text(p, l->words);
}

static void
draw_head(struct pen *p, enum view_panel panel)
{
	pen_line(p, LOOK_HEAD);
	if (panel == PANEL_TOP)
		head_top(p);
	else if (panel == PANEL_LIMITS)
		pen_text(p, "LIMITS");
	else
		head_decisions(p);
}

static void
draw_none(struct pen *p, enum view_panel panel, const struct view *v,
    const struct watch_model *m)
{
	static const char *const none[] = {
		[PANEL_TOP] = "Nobody sends.",
		[PANEL_LIMITS] = "Nobody is denied or near a limit.",
		[PANEL_DECISIONS] = "Nothing was decided.",
	};

	pen_line(p, LOOK_PLAIN);
	if (panel == PANEL_LIMITS && m->limits_state.words[0] != '\0')
		pen_text(p, m->limits_state.words);
	else
		pen_text(
		    p, v->filter[0] != '\0' ? "Nothing matches." : none[panel]);
}

static void
note_name(struct view_row *row, bool is_user, const char *name)
{
	row->any = true;
	if (!is_user)
		(void)snprintf(row->client, sizeof(row->client), "%s", name);
	else if (strchr(name, ',') == NULL)
		(void)snprintf(row->user, sizeof(row->user), "%s", name);
	else
		row->any = false; /* several users: none of them */
}

/* Note the client and user of the selected row. */
static void
note_row(struct view_row *row, enum view_panel panel,
    const struct view_rows *rows, size_t i)
{
	const struct watch_event *e;

	*row = (struct view_row){ .any = false };
	if (panel == PANEL_TOP) {
		note_name(
		    row, rows->tally->top[i].is_user, rows->tally->top[i].name);
	} else if (panel == PANEL_LIMITS) {
		note_name(
		    row, rows->limit[i]->is_user, rows->limit[i]->subject);
	} else {
		e = rows->event[i];
		if (*watch_user(e) != '\0')
			note_name(row, true, watch_user(e));
		note_name(row, false, e->client);
	}
}

static enum screen_look
look_of_row(enum view_panel panel, const struct view_rows *rows, size_t i)
{
	if (panel == PANEL_LIMITS)
		return rows->limit[i]->denied || rows->limit[i]->over
		    ? LOOK_BAD
		    : LOOK_ODD;
	if (panel == PANEL_DECISIONS &&
	    (rows->event[i]->fate == WATCH_REFUSED ||
		rows->event[i]->fate == WATCH_PUT_OFF))
		return LOOK_ODD;
	return LOOK_PLAIN;
}

/* A head, and so many lines of rows at most. */
static void
draw_panel(struct pen *p, struct view *v, const struct watch_model *m,
    enum view_panel panel, const struct view_rows *rows, int height, bool keys)
{
	bool focus = keys && panel == v->panel;
	size_t n = height > 0 ? (size_t)height : 0;
	size_t first =
	    rows->selected >= n && n > 0 ? rows->selected - n + 1 : 0;

	draw_head(p, panel);
	if (rows->n == 0 && n > 0)
		draw_none(p, panel, v, m);
	for (size_t i = first; i < rows->n && i < first + n; i++) {
		pen_line(p,
		    focus && i == rows->selected ? LOOK_SELECTED
						 : look_of_row(panel, rows, i));
		if (panel == PANEL_TOP)
			draw_top(p, m, &rows->tally->top[i]);
		else if (panel == PANEL_LIMITS)
			draw_limit(p, rows->limit[i]);
		else
			draw_decision(p, m, rows->event[i]);
	}
	if (focus) {
		v->page = height;
		v->row = (struct view_row){ .any = false };
		if (rows->n > 0)
			note_row(&v->row, panel, rows, rows->selected);
	}
}

static int
least(size_t n, int most)
{
	int rows = n == 0           ? 1
	    : n > SCREEN_HEIGHT_MAX ? SCREEN_HEIGHT_MAX
				    : (int)n;

	return rows < most ? rows : most;
}

static void
draw_panels(struct pen *p, struct view *v, const struct watch_model *m,
    const struct watch_tally *t, int height, bool keys)
{
	enum { SMALL = 13 };
	struct view_rows rows[PANELS];
	int lines[PANELS] = { 0 };
	bool good = true;

	for (int i = 0; i < PANELS; i++)
		good &= view_rows(v, m, (enum view_panel)i, t, &rows[i]);
	lines[PANEL_TOP] = least(rows[PANEL_TOP].n, height / 4);
	lines[PANEL_LIMITS] = least(rows[PANEL_LIMITS].n, height / 5);
	lines[PANEL_DECISIONS] =
	    height - PANELS - lines[PANEL_TOP] - lines[PANEL_LIMITS];
	for (int i = 0; good && i < PANELS; i++)
		if (height >= SMALL)
			draw_panel(p, v, m, (enum view_panel)i, &rows[i],
			    lines[i], keys);
		else if (v->panel == (enum view_panel)i)
			draw_panel(
			    p, v, m, v->panel, &rows[i], height - 1, keys);
	for (int i = 0; i < PANELS; i++)
		view_rows_free(&rows[i]);
}

/* --- text over the screen --- */

/* Draw line number top and so many more of text, wrapped; returns how many
 * lines there are. */
static size_t
draw_wrapped(struct pen *p, const char *text, size_t top, size_t height)
{
	char one[UTF8_ESCAPE_MAX];
	size_t lines = 0;

	while (*text != '\0') {
		int left = p->screen->width;
		bool shown = lines >= top && lines < top + height;

		if (shown)
			pen_line(p, LOOK_PLAIN);
		while (*text != '\0' && *text != '\n') {
			const char *at = text;
			int width;
			size_t n = next_char(&at, one, &width);

			if (width > left && left < p->screen->width)
				break;
			if (shown)
				pen_bytes(p, one, n, width);
			left -= width;
			text = at;
		}
		text += *text == '\n';
		lines++;
	}
	return lines;
}

static void
draw_overlay(struct pen *p, struct view *v, int height)
{
	struct view_overlay *o = &v->overlay;
	struct pen nowhere = { .screen = p->screen };
	size_t n = height > 0 ? (size_t)height : 0;
	size_t lines = draw_wrapped(&nowhere, o->text, SIZE_MAX, 0);

	if (o->top + n > lines)
		o->top = lines > n ? lines - n : 0;
	v->page = height;
	(void)draw_wrapped(p, o->text, o->top, n);
}

/* --- all of it --- */

static void
draw_keys(struct pen *p, const struct view *v)
{
	struct screen *s = p->screen;

	/* at the bottom, whatever stands above */
	while (s->lines < s->height - 1)
		pen_line(p, LOOK_PLAIN);
	pen_line(p, LOOK_HEAD);
	if (v->typing) {
		pen_text(p, "/");
		pen_text(p, v->filter);
		pen_text(p, "_   Enter: keep  Escape: as before");
	} else if (v->overlay.text != NULL) {
		pen_text(p, "j k Space b: read on   any other key: back");
	} else {
		pen_text(p,
		    "q quit  / filter  j k move  Tab panel  Enter why  d deny command  Space pause  ? help");
	}
}

void
view_draw(struct view *v, const struct watch_model *m, bool keys,
    struct screen *screen)
{
	static struct watch_tally tally; /* large for a stack */
	struct pen p = { .screen = screen };

	assert(screen->width > 0 && screen->width <= SCREEN_WIDTH_MAX);
	assert(screen->height > 0 && screen->height <= SCREEN_HEIGHT_MAX);
	screen->lines = 0;
	draw_title(&p, v, m);
	if (v->overlay.text != NULL) {
		draw_overlay(&p, v, screen->height - 2);
		draw_keys(&p, v);
		return;
	}
	draw_state(&p, "popgate-milter: ", &m->milter);
	draw_state(&p, "popgate-collector: ", &m->collector);
	draw_state(&p, "", &m->tables);
	if (watch_sum_up(m, v->filter, &tally)) {
		draw_sums(&p, m, &tally);
		draw_panels(&p, v, m, &tally,
		    screen->height - screen->lines - keys, keys);
	}
	if (keys)
		draw_keys(&p, v);
}
