/* SPDX-License-Identifier: ISC */
/* view - where somebody is in the screen of 'popgatectl watch', and what a key
 * does there; and the screen itself, as lines. Pure: no terminal, file or clock
 * is touched. One thread. */
#ifndef POPGATE_WATCH_VIEW_H
#define POPGATE_WATCH_VIEW_H

#include "ctl/watch/model.h"

enum {
	VIEW_FILTER_MAX = 128,
	VIEW_NAME_MAX = 512,
	SCREEN_WIDTH_MAX = 400,
	SCREEN_HEIGHT_MAX = 200,
	/* four bytes a column, and an escape more */
	SCREEN_LINE_MAX = SCREEN_WIDTH_MAX * 4 + 32
};

enum view_panel { PANEL_TOP, PANEL_LIMITS, PANEL_DECISIONS, PANELS };

/* The row that is selected, as it was drawn last: what a key acts on is what
 * was on the screen, whatever has come since. */
struct view_row {
	bool any; /* false: there is none */
	char client[VIEW_NAME_MAX]; /* "" none */
	char user[VIEW_NAME_MAX]; /* one user; "" none, or several */
};

/* Text over the screen, wrapped at its width. */
struct view_overlay {
	char *text; /* owned; NULL: none */
	size_t top; /* the first wrapped line that is shown */
};

struct view {
	enum view_panel panel;
	/* The selection in each panel: the decision's id, 0: the newest; a
	 * client or user in the others, "": the first. */
	int64_t id;
	char name[PANELS][VIEW_NAME_MAX];
	bool is_user[PANELS];
	bool paused, typing;
	char
	    filter[VIEW_FILTER_MAX]; /* in force; while typing as it is typed */
	char before[VIEW_FILTER_MAX]; /* to go back to by Escape */
	struct view_overlay overlay;
	struct view_row row;
	int page; /* rows of the panel in the last screen */
};

/* Keys of a terminal; others are the byte itself. */
enum view_key {
	KEY_NONE = -1,
	KEY_TAB = '\t',
	KEY_ENTER = '\r',
	KEY_ESCAPE = 27,
	KEY_BACKSPACE = 127,
	KEY_UP = 256,
	KEY_DOWN,
	KEY_PAGE_UP,
	KEY_PAGE_DOWN,
	KEY_HOME,
	KEY_END,
	KEY_BACK_TAB
};

/* The first key of n bytes from a terminal (ECMA-48, VT100, as xterm, tmux,
 * screen and the Linux console send them). Returns how many bytes it is, and
 * *key_r, KEY_NONE for a key that isn't known; 0: more must come first.
 *   last  no more will come: an Escape is the key */
size_t view_decode(const char *bytes, size_t n, bool last, int *key_r);

/* The action that the caller has to take after a key. */
enum view_action {
	ACTION_NONE, /* draw again */
	ACTION_QUIT,
	ACTION_WHY, /* of view->row */
	ACTION_DENY, /* print, never run, the command for view->row */
	ACTION_HELP
};

enum view_action
view_press(struct view *v, const struct watch_model *m, int key);

/* Show text, which becomes the view's, over the screen; NULL: no more. */
void view_show(struct view *v, char *text);

enum screen_look {
	LOOK_PLAIN,
	LOOK_TITLE,
	LOOK_HEAD,
	LOOK_SELECTED,
	LOOK_GOOD,
	LOOK_ODD,
	LOOK_BAD
};

struct screen {
	int width, height; /* columns and lines, to be drawn */
	struct screen_line {
		enum screen_look look;
		char text[SCREEN_LINE_MAX]; /* harmless, and no wider */
	} line[SCREEN_HEIGHT_MAX];
	int lines; /* that are used; the rest is empty */
};

/* Draw the model into screen->width and screen->height. Notes the selected row
 * and the size of a page in the view.
 *   keys  with a line of keys at the end; false: for a script */
void view_draw(struct view *v, const struct watch_model *m, bool keys,
    struct screen *screen);

/* Columns of a character on a terminal; 0 for one that must not be shown as it
 * is. LC_CTYPE must be that of UTF-8. */
int view_char_width(uint32_t cp);

/* --- shared by the files of this room --- */

/* Rows that the filter leaves, and where the selection is among them: in
 * view_rows.c. */
struct view_rows {
	size_t n, selected;
	const struct watch_tally *tally;
	const struct watch_event **event; /* the newest first; owned */
	const struct watch_limit **limit; /* owned */
};
bool view_rows(const struct view *v, const struct watch_model *m,
    enum view_panel panel, const struct watch_tally *tally,
    struct view_rows *rows);
void view_rows_free(struct view_rows *rows);
/* Select row i of the panel. */
void view_select(struct view *v, enum view_panel panel,
    const struct view_rows *rows, size_t i);

#endif
