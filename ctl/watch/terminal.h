/* SPDX-License-Identifier: ISC */
/* terminal - the terminal that somebody sits at: keys come one by one, lines
 * are drawn in place, and whatever ends the process leaves it as it was. One at
 * a time, one thread. */
#ifndef POPGATE_WATCH_TERMINAL_H
#define POPGATE_WATCH_TERMINAL_H

#include <stdbool.h>
#include <stdint.h>

#include "ctl/watch/view.h"

struct err;

/* Take the terminal of standard input and output. Returns 0, or -1 with err
 * when there is none that can be drawn on. */
int terminal_open(struct err *err);
/* Give it back; harmless when it isn't taken. */
void terminal_close(void);

/* Its size now, within what a screen can have. */
void terminal_size(int *width_r, int *height_r);

/* Draw what differs from the last screen. False: nobody is there any more. */
bool terminal_draw(const struct screen *screen);

enum terminal_event {
	TERMINAL_TIME, /* until_ms has come */
	TERMINAL_KEY, /* *key_r */
	TERMINAL_RESIZED, /* or brought back from the background */
	TERMINAL_GONE /* SIGINT, SIGTERM, SIGHUP; or nobody is there any more */
};

/* Wait for a key, a signal, or until_ms (clock_monotonic_ms()). */
enum terminal_event terminal_wait(int64_t until_ms, int *key_r);

#endif
