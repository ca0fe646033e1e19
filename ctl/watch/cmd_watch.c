/* SPDX-License-Identifier: ISC */
/* watch - what the gate does, live in a terminal. Asks gather for the model,
 * has it drawn, and does what keys ask for. Runs nothing but 'why'. */
#include <assert.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/run.h"
#include "ctl/commands.h"
#include "ctl/shell.h"
#include "ctl/watch/gather.h"
#include "ctl/watch/terminal.h"

enum { OPT_INTERVAL, OPT_ONCE };

enum { INTERVAL_S = 2, INTERVAL_MAX_S = 3600, WHY_TIMEOUT_S = 20 };

/* The size of --once, where no terminal says otherwise. */
enum { ONCE_WIDTH = 132, ONCE_HEIGHT = 50 };

static const struct ctl_option options[] = {
	[OPT_INTERVAL] = { "interval", "TIME",
	    "how often to look; 1s to 1h, default 2s" },
	[OPT_ONCE] = { "once", NULL, "print one screen as text, and end" },
	{ 0 },
};

static const char help_text[] =
    "Decisions as they come, the newest first; who sends most, by the last ten minutes;\n"
    "who is near a limit, over it or denied; and how the daemons are.\n"
    "\n"
    "  j k, arrows     move; f b, Page Down, Page Up: by a page; g G: to an end\n"
    "  Tab             to the next panel\n"
    "  Enter           'popgatectl why' of the row: its client, or its user\n"
    "  d               print the deny command for the row; it is not run, and\n"
    "                  is printed once more after q, to be pasted\n"
    "  /               show only rows with all of these words, in any field\n"
    "  Escape          show all again\n"
    "  Space           stop, and go on\n"
    "  q, Ctrl-C       quit\n"
    "\n"
    "COUNT is how many recipients a row stands for: repeated refusals are counted in\n"
    "one. REFUSED holds what was put off, too. SENDERS are the different sender\n"
    "addresses: one client with many of them is what a hijacked account looks like.\n";

struct watch {
	struct ctl *ctl;
	struct gather *gather;
	struct watch_model model;
	struct view view;
	char *denials; /* commands that were asked for; owned */
};

static void
look(struct watch *w)
{
	w->ctl->now = clock_now();
	gather_now(w->gather, &w->model);
}

/* --- what keys ask for --- */

/* The words as a text of the view's own. */
static void
show(struct watch *w, const char *words)
{
	view_show(&w->view, strdup(words));
}

/* Ask another popgatectl: it says it as it always does, and what goes wrong
 * there ends nothing here. */
static void
show_why(struct watch *w)
{
	const struct view_row *row = &w->view.row;
	char self[] = "/proc/self/exe", option[] = "-c", why[] = "why",
	     end[] = "--", subject[VIEW_NAME_MAX], path[4096];
	struct err err;

	(void)snprintf(subject, sizeof(subject), "%s",
	    *row->client == '\0' || strcmp(row->client, "unknown") == 0
		? row->user
		: row->client);
	(void)snprintf(path, sizeof(path), "%s", w->ctl->config_path);
	if (*subject == '\0') {
		show(
		    w, "Neither the client nor the user of this row is known.");
		return;
	}
	char *given[] = { self, option, path, why, end, subject, NULL };
	char *usual[] = { self, why, end, subject, NULL };
	char *text = run_read(
	    w->ctl->config_given ? given : usual, NULL, WHY_TIMEOUT_S, &err);

	if (text == NULL)
		show(w, err.text);
	else
		view_show(&w->view, text);
}

static void
write_deny(FILE *out, const struct watch *w, bool is_user, const char *subject)
{
	(void)fputs("popgatectl ", out);
	if (w->ctl->config_given) {
		(void)fputs("-c ", out);
		shell_write(out, w->ctl->config_path);
		(void)fputc(' ', out);
	}
	(void)fputs(is_user ? "deny --user " : "deny ", out);
	shell_write(out, subject);
	(void)fputs(" --reason spam\n", out);
}

static void
show_deny(struct watch *w)
{
	const struct view_row *row = &w->view.row;
	char *deny = NULL, *text = NULL;
	size_t size;
	FILE *out = open_memstream(&deny, &size);

	if (out == NULL)
		return;
	if (*row->client != '\0' && strcmp(row->client, "unknown") != 0)
		write_deny(out, w, false, row->client);
	if (*row->user != '\0')
		write_deny(out, w, true, row->user);
	(void)fclose(out);
	if (deny == NULL || *deny == '\0')
		show(w, "There is nobody to deny in this row.");
	else if (
	    asprintf(&text,
		"To keep out who is in this row, as root:\n\n%s\n"
		"Nothing was done. The command stands below the prompt after q.\n",
		deny) != -1)
		view_show(&w->view, text);
	if (deny != NULL && *deny != '\0' &&
	    asprintf(&text, "%s%s", w->denials == NULL ? "" : w->denials,
		deny) != -1) {
		free(w->denials);
		w->denials = text;
	}
	free(deny);
}

/* False: to quit. */
static bool
press(struct watch *w, int key)
{
	switch (view_press(&w->view, &w->model, key)) {
	case ACTION_QUIT:
		return false;
	case ACTION_WHY:
		show_why(w);
		break;
	case ACTION_DENY:
		show_deny(w);
		break;
	case ACTION_HELP:
		show(w, help_text);
		break;
	case ACTION_NONE:
		break;
	}
	return true;
}

/* --- the two ways to look --- */

static bool
draw(struct watch *w)
{
	static struct screen screen; /* large for a stack */

	terminal_size(&screen.width, &screen.height);
	view_draw(&w->view, &w->model, true, &screen);
	return terminal_draw(&screen);
}

static void
live(struct watch *w)
{
	int64_t next_ms = 0;
	int key;

	for (;;) {
		int64_t now_ms = clock_monotonic_ms();

		if (now_ms >= next_ms) {
			if (!w->view.paused)
				look(w);
			next_ms =
			    clock_monotonic_ms() + w->model.interval_s * 1000;
		}
		if (!draw(w))
			return;
		switch (terminal_wait(next_ms, &key)) {
		case TERMINAL_GONE:
			return;
		case TERMINAL_KEY:
			if (!press(w, key))
				return;
			break;
		case TERMINAL_TIME:
		case TERMINAL_RESIZED:
			break;
		}
	}
}

static void
once(struct watch *w)
{
	static struct screen screen = {
		.width = ONCE_WIDTH,
		.height = ONCE_HEIGHT,
	};

	if (isatty(STDOUT_FILENO))
		terminal_size(&screen.width, &screen.height);
	look(w);
	view_draw(&w->view, &w->model, false, &screen);
	for (int i = 0; i < screen.lines; i++) {
		const char *text = screen.line[i].text;
		size_t n = strlen(text);

		while (n > 0 && text[n - 1] == ' ')
			n--;
		(void)printf("%.*s\n", (int)n, text);
	}
}

static int
run(struct ctl *ctl, const struct ctl_args *args)
{
	static struct watch w; /* large for a stack */
	struct err err;
	int rc = 0;

	w.ctl = ctl;
	w.view.panel = PANEL_DECISIONS;
	w.model.interval_s = INTERVAL_S;
	/* for wcwidth(); glibc has it built in */
	(void)setlocale(LC_CTYPE, "C.UTF-8");
	if (args->opt[OPT_INTERVAL] != NULL)
		rc = ctl_duration(ctl, "--interval", args->opt[OPT_INTERVAL],
		    INTERVAL_MAX_S, &w.model.interval_s);
	if (rc == 0)
		rc = gather_open(ctl, &w.gather);
	if (rc != 0)
		return rc;
	if (args->opt[OPT_ONCE] != NULL) {
		once(&w);
	} else if (terminal_open(&err) == -1) {
		rc = ctl_fail(ctl, EX_USAGE, "%s", err.text);
	} else {
		live(&w);
		terminal_close();
	}
	if (w.denials != NULL)
		(void)fputs(w.denials, stdout);
	free(w.denials);
	view_show(&w.view, NULL);
	watch_release(&w.model);
	gather_close(&w.gather);
	return rc;
}

const struct command cmd_watch = {
	.name = "watch",
	.args = "[--interval TIME] [--once]",
	.summary =
	    "what the gate does, live: decisions, senders, limits, daemons",
	.help =
	    "In a terminal; ? says what the keys do. Reads the databases and asks the daemons for\n"
	    "their state; changes nothing.\n",
	.options = options,
	.min = 0,
	.max = 0,
	.run = run,
};
