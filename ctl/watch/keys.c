/* SPDX-License-Identifier: ISC */
/* keys - what a terminal sends for a key, and what the key does. Pure. */
#include <stdlib.h>
#include <string.h>

#include "ctl/watch/view.h"

/* --- decoding --- */

/* "ESC [ 5 ~": the number says which. */
static int
numbered(int number)
{
	static const struct {
		int number, key;
	} keys[] = {
		{ 1, KEY_HOME },
		{ 4, KEY_END },
		{ 5, KEY_PAGE_UP },
		{ 6, KEY_PAGE_DOWN },
		{ 7, KEY_HOME },
		{ 8, KEY_END },
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (keys[i].number == number)
			return keys[i].key;
	return KEY_NONE;
}

static int
lettered(char letter)
{
	switch (letter) {
	case 'A':
		return KEY_UP;
	case 'B':
		return KEY_DOWN;
	case 'H':
		return KEY_HOME;
	case 'F':
		return KEY_END;
	case 'Z':
		return KEY_BACK_TAB;
	case 'M':
		return KEY_ENTER; /* of the keypad, ESC O M */
	default:
		return KEY_NONE;
	}
}

/* Behind ESC [ or ESC O: parameters, intermediates, a final byte (ECMA-48
 * section 5.4). */
static size_t
decode_sequence(const char *bytes, size_t n, bool last, int *key_r)
{
	int number = 0;
	size_t i = 2;

	/* the Linux console's F1 to F5: ESC [ [ A */
	if (n > 2 && bytes[1] == '[' && bytes[2] == '[') {
		*key_r = KEY_NONE;
		return n > 3 || last ? (n > 3 ? 4 : n) : 0;
	}
	while (i < n && bytes[i] >= 0x20 && bytes[i] < 0x40) {
		if (bytes[i] >= '0' && bytes[i] <= '9' && number < 1000)
			number = number * 10 + (bytes[i] - '0');
		else if (bytes[i] == ';')
			break; /* modifiers follow */
		i++;
	}
	while (i < n && bytes[i] >= 0x20 && bytes[i] < 0x40)
		i++;
	if (i == n) {
		*key_r = KEY_NONE;
		return last ? n : 0;
	}
	*key_r = bytes[i] == '~' ? numbered(number) : lettered(bytes[i]);
	return i + 1;
}

size_t
view_decode(const char *bytes, size_t n, bool last, int *key_r)
{
	*key_r = KEY_NONE;
	if (n == 0)
		return 0;
	if (bytes[0] != KEY_ESCAPE) {
		*key_r = (unsigned char)bytes[0];
		if (*key_r == '\n')
			*key_r = KEY_ENTER;
		else if (*key_r == '\b')
			*key_r = KEY_BACKSPACE;
		return 1;
	}
	if (n == 1) {
		*key_r = KEY_ESCAPE;
		return last ? 1 : 0;
	}
	if (bytes[1] == '[' || bytes[1] == 'O')
		return decode_sequence(bytes, n, last, key_r);
	/* another Escape, or a key with Alt: the Escape alone */
	*key_r = KEY_ESCAPE;
	return 1;
}

/* --- the filter's line --- */

static void
type(struct view *v, int key)
{
	size_t n = strlen(v->filter);

	if (key == KEY_ENTER) {
		v->typing = false;
	} else if (key == KEY_ESCAPE) {
		v->typing = false;
		memcpy(v->filter, v->before, sizeof(v->filter));
	} else if (key == KEY_BACKSPACE) {
		/* all bytes of a character */
		while (n > 0 && (v->filter[n - 1] & 0xc0) == 0x80)
			n--;
		v->filter[n > 0 ? n - 1 : 0] = '\0';
	} else if (key == 'U' - '@') {
		v->filter[0] = '\0';
	} else if (key >= ' ' && key < 256 && n + 1 < sizeof(v->filter)) {
		v->filter[n] = (char)key;
		v->filter[n + 1] = '\0';
	}
}

/* --- text over the screen --- */

void
view_show(struct view *v, char *text)
{
	free(v->overlay.text);
	v->overlay = (struct view_overlay){ .text = text };
}

static enum view_action
read_on(struct view *v, int key)
{
	size_t page = v->page > 1 ? (size_t)v->page - 1 : 1;
	size_t *top = &v->overlay.top;

	switch (key) {
	case KEY_DOWN:
	case 'j':
		++*top; /* view_draw() knows where the end is */
		break;
	case KEY_UP:
	case 'k':
		*top -= *top > 0;
		break;
	case KEY_PAGE_DOWN:
	case ' ':
		*top += page;
		break;
	case KEY_PAGE_UP:
	case 'b':
		*top -= *top > page ? page : *top;
		break;
	case KEY_HOME:
	case 'g':
		*top = 0;
		break;
	case KEY_END:
	case 'G':
		*top = SIZE_MAX / 2;
		break;
	case KEY_NONE:
		break;
	default:
		view_show(v, NULL);
	}
	return ACTION_NONE;
}

/* --- the panels --- */

static void
move(struct view *v, const struct watch_model *m, long by)
{
	struct watch_tally tally;
	struct view_rows rows;

	if (!watch_sum_up(m, v->filter, &tally))
		return;
	if (view_rows(v, m, v->panel, &tally, &rows) && rows.n > 0) {
		long to = (long)rows.selected + by;

		view_select(v, v->panel, &rows, to < 0 ? 0 : (size_t)to);
	}
	view_rows_free(&rows);
}

static bool
move_by_key(struct view *v, const struct watch_model *m, int key)
{
	enum { FAR = 1000000 };
	const struct {
		int key;
		char letter;
		long by;
	} moves[] = {
		{ KEY_UP, 'k', -1 },
		{ KEY_DOWN, 'j', 1 },
		{ KEY_PAGE_UP, 'b', v->page > 1 ? -(v->page - 1) : -1 },
		{ KEY_PAGE_DOWN, 'f', v->page > 1 ? v->page - 1 : 1 },
		{ KEY_HOME, 'g', -FAR },
		{ KEY_END, 'G', FAR },
	};

	for (size_t i = 0; i < sizeof(moves) / sizeof(moves[0]); i++)
		if (key == moves[i].key || key == moves[i].letter) {
			move(v, m, moves[i].by);
			return true;
		}
	return false;
}

enum view_action
view_press(struct view *v, const struct watch_model *m, int key)
{
	if (v->typing) {
		type(v, key);
		return ACTION_NONE;
	}
	if (key == 'q' && v->overlay.text == NULL)
		return ACTION_QUIT;
	if (v->overlay.text != NULL)
		return read_on(v, key);
	if (move_by_key(v, m, key))
		return ACTION_NONE;
	switch (key) {
	case KEY_TAB:
		v->panel = (v->panel + 1) % PANELS;
		break;
	case KEY_BACK_TAB:
		v->panel = (v->panel + PANELS - 1) % PANELS;
		break;
	case '/':
		memcpy(v->before, v->filter, sizeof(v->before));
		v->typing = true;
		break;
	case KEY_ESCAPE:
		v->filter[0] = '\0';
		break;
	case ' ':
		v->paused = !v->paused;
		break;
	case KEY_ENTER:
		return v->row.any ? ACTION_WHY : ACTION_NONE;
	case 'd':
		return v->row.any ? ACTION_DENY : ACTION_NONE;
	case '?':
	case 'h':
		return ACTION_HELP;
	default:
		break;
	}
	return ACTION_NONE;
}
