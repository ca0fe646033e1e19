/* SPDX-License-Identifier: ISC */
/* Plain ECMA-48 and termios, no ncurses: a screen is whole lines, of which only
 * those that changed are sent. That is all that ncurses would do for us, and
 * what is sent is known to every terminal that is left, whether or not this
 * machine has a terminfo entry for it. See docs/ARCHITECTURE.md, "watch". */
#include "ctl/watch/terminal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"

/* The other screen, no wrapping, no cursor; and back. No wrapping: a terminal
 * that takes a character for wider than we do must not break the lines. */
static const char enter[] = "\033[?1049h\033[?7l\033[?25l\033[H\033[2J";
static const char leave[] = "\033[0m\033[?25h\033[?7h\033[?1049l";

enum {
	ESCAPE_MS = 100, /* so soon the rest of a key's bytes come */
	KEYS_MAX = 64
};

static struct {
	volatile sig_atomic_t taken;
	struct termios was;
	sigset_t old_mask;
	char keys[KEYS_MAX]; /* read, and not decoded yet */
	size_t n;
	int64_t began_ms; /* when the first of them came */
	/* what is on the screen */
	struct screen shown;
	bool colour, unknown;
} terminal;

static volatile sig_atomic_t ended, resized, stopped;

/* --- taking and giving back; all of it may be called by a signal --- */

static void
say(const char *text, size_t n)
{
	while (n > 0) {
		ssize_t done = write(STDOUT_FILENO, text, n);

		if (done <= 0)
			return;
		text += done;
		n -= (size_t)done;
	}
}

static void
take(void)
{
	struct termios raw = terminal.was;

	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	raw.c_iflag &= ~(tcflag_t)(ICRNL | INLCR);
	raw.c_cc[VMIN] = 0;
	raw.c_cc[VTIME] = 0;
	terminal.taken = 1;
	(void)tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	say(enter, sizeof(enter) - 1);
	terminal.unknown = true;
}

void
terminal_close(void)
{
	if (terminal.taken == 0)
		return;
	terminal.taken = 0;
	/* a terminal that takes nothing (Ctrl-S, a dead line) must not keep us:
	 * what it hasn't taken goes */
	if (ended != 0) {
		(void)tcflow(STDOUT_FILENO, TCOON);
		(void)tcflush(STDOUT_FILENO, TCOFLUSH);
	}
	say(leave, sizeof(leave) - 1);
	/* what was typed and not read must not become a command of the shell */
	(void)tcsetattr(STDIN_FILENO, TCSANOW, &terminal.was);
	(void)tcflush(STDIN_FILENO, TCIFLUSH);
	(void)sigprocmask(SIG_SETMASK, &terminal.old_mask, NULL);
}

static void
on_signal(int sig)
{
	if (sig == SIGWINCH)
		resized = 1;
	else if (sig == SIGTSTP)
		stopped = 1;
	else
		ended = 1;
}

/* The process dies by its own fault: its terminal must not. */
static void
on_fault(int sig)
{
	terminal_close();
	(void)raise(sig); /* SA_RESETHAND: as without us */
}

static void
handle_signals(void)
{
	static const int waited[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT,
		SIGWINCH, SIGTSTP };
	static const int faults[] = { SIGABRT, SIGSEGV, SIGBUS, SIGFPE,
		SIGILL };
	struct sigaction sa = { .sa_handler = on_signal };
	sigset_t mask;

	(void)sigemptyset(&mask);
	for (size_t i = 0; i < sizeof(waited) / sizeof(waited[0]); i++) {
		(void)sigaction(waited[i], &sa, NULL);
		(void)sigaddset(&mask, waited[i]);
	}
	/* taken in terminal_wait() only */
	(void)sigprocmask(SIG_BLOCK, &mask, &terminal.old_mask);
	sa = (struct sigaction){ .sa_handler = on_fault,
		.sa_flags = (int)SA_RESETHAND | SA_NODEFER };
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		(void)sigaction(faults[i], &sa, NULL);
	sa = (struct sigaction){ .sa_handler = SIG_IGN };
	(void)sigaction(SIGPIPE, &sa, NULL);
}

int
terminal_open(struct err *err)
{
	const char *term = getenv("TERM");
	static bool at_exit;

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || term == NULL ||
	    *term == '\0' || strcmp(term, "dumb") == 0 ||
	    tcgetattr(STDIN_FILENO, &terminal.was) == -1) {
		err_set(err, ERR_IO,
		    "this is no terminal that can be drawn on: use --once");
		return -1;
	}
	terminal.colour = getenv("NO_COLOR") == NULL;
	if (!at_exit)
		at_exit = atexit(terminal_close) == 0;
	handle_signals();
	take();
	return 0;
}

/* Ctrl-Z. */
static void
stop(void)
{
	sigset_t mask = terminal.old_mask;

	stopped = 0;
	terminal_close();
	(void)raise(SIGSTOP);
	(void)tcgetattr(STDIN_FILENO, &terminal.was);
	handle_signals();
	terminal.old_mask = mask;
	take();
}

void
terminal_size(int *width_r, int *height_r)
{
	struct winsize size = { .ws_col = 0 };

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == -1 || size.ws_col == 0 ||
	    size.ws_row == 0)
		size = (struct winsize){ .ws_col = 80, .ws_row = 24 };
	*width_r =
	    size.ws_col < SCREEN_WIDTH_MAX ? size.ws_col : SCREEN_WIDTH_MAX;
	*height_r =
	    size.ws_row < SCREEN_HEIGHT_MAX ? size.ws_row : SCREEN_HEIGHT_MAX;
}

/* --- drawing --- */

/* ECMA-48 section 8.3.117 (SGR). Without colours the looks differ as well. */
static const char *
look_on(enum screen_look look)
{
	static const char *const plain[] = { [LOOK_TITLE] = "\033[7m",
		[LOOK_HEAD] = "\033[1m",
		[LOOK_SELECTED] = "\033[7m",
		[LOOK_BAD] = "\033[1m" };
	static const char *const coloured[] = { [LOOK_ODD] = "\033[33m",
		[LOOK_BAD] = "\033[1;31m",
		[LOOK_GOOD] = "\033[32m" };
	const char *on = NULL;

	if (terminal.colour && look < sizeof(coloured) / sizeof(*coloured))
		on = coloured[look];
	if (on == NULL && look < sizeof(plain) / sizeof(*plain))
		on = plain[look];
	return on == NULL ? "" : on;
}

static void
draw_line(FILE *out, int i, const struct screen_line *line)
{
	/* cleared first: behind a full line the cursor stands on its last
	 * character */
	(void)fprintf(out, "\033[%d;1H\033[0m\033[K%s%s\033[0m", i + 1,
	    look_on(line->look), line->text);
}

/* A piece at a time when there is room, so that no write waits: a signal ends
 * it when the terminal takes nothing. (O_NONBLOCK would be the shell's, too.)
 */
static bool
send_all(const char *bytes, size_t n)
{
	enum { PIECE = 256 }; /* Linux says POLLOUT when a tty has so much */
	struct pollfd pfd = { .fd = STDOUT_FILENO, .events = POLLOUT };

	while (n > 0) {
		int ready = ppoll(&pfd, 1, NULL, &terminal.old_mask);

		if (ended != 0 || (ready == -1 && errno != EINTR))
			return false;
		if (ready <= 0)
			continue;
		ssize_t done =
		    write(STDOUT_FILENO, bytes, n < PIECE ? n : PIECE);

		if (done <= 0)
			return false;
		bytes += done;
		n -= (size_t)done;
	}
	return true;
}

bool
terminal_draw(const struct screen *screen)
{
	static const struct screen_line empty;
	struct screen *shown = &terminal.shown;
	char *buf = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&buf, &size);

	if (out == NULL)
		return false;
	if (terminal.unknown || shown->width != screen->width ||
	    shown->height != screen->height) {
		(void)fputs("\033[0m\033[2J", out);
		shown->lines = 0;
	}
	for (int i = 0; i < screen->height; i++) {
		const struct screen_line *is =
		    i < screen->lines ? &screen->line[i] : &empty;
		const struct screen_line *was =
		    i < shown->lines ? &shown->line[i] : &empty;

		if (is->look != was->look || strcmp(is->text, was->text) != 0)
			draw_line(out, i, is);
	}
	bool good = fclose(out) == 0 && send_all(buf, size);

	free(buf);
	*shown = *screen;
	terminal.unknown = !good;
	return good;
}

/* --- waiting --- */

/* Bytes that are there, decoded. */
static bool
next_key(bool last, int *key_r)
{
	size_t used = view_decode(terminal.keys, terminal.n, last, key_r);

	if (used == 0)
		return false;
	terminal.n -= used;
	memmove(terminal.keys, terminal.keys + used, terminal.n);
	return true;
}

/* False: nobody is there any more. */
static bool
read_keys(void)
{
	ssize_t n = read(STDIN_FILENO, terminal.keys + terminal.n,
	    sizeof(terminal.keys) - terminal.n);

	if (terminal.n == 0)
		terminal.began_ms = clock_monotonic_ms();
	if (n > 0)
		terminal.n += (size_t)n;
	return n > 0 || (n == -1 && (errno == EINTR || errno == EAGAIN));
}

enum terminal_event
terminal_wait(int64_t until_ms, int *key_r)
{
	struct pollfd pfd = { .fd = STDIN_FILENO, .events = POLLIN };

	for (;;) {
		int64_t now_ms = clock_monotonic_ms(), end_ms = until_ms;

		if (ended != 0)
			return TERMINAL_GONE;
		if (stopped != 0) {
			stop();
			return TERMINAL_RESIZED;
		}
		if (resized != 0) {
			resized = 0;
			return TERMINAL_RESIZED;
		}
		if (next_key(terminal.n > 0 &&
			    (now_ms - terminal.began_ms >= ESCAPE_MS ||
				terminal.n == sizeof(terminal.keys)),
			key_r))
			return TERMINAL_KEY;
		if (terminal.n > 0 && terminal.began_ms + ESCAPE_MS < end_ms)
			end_ms = terminal.began_ms + ESCAPE_MS;
		if (now_ms >= until_ms)
			return TERMINAL_TIME;
		int64_t left_ms = end_ms > now_ms ? end_ms - now_ms : 0;
		const struct timespec left = {
			.tv_sec = (time_t)(left_ms / 1000),
			.tv_nsec = (long)(left_ms % 1000) * 1000000,
		};

		if (ppoll(&pfd, 1, &left, &terminal.old_mask) > 0 &&
		    !read_keys())
			return TERMINAL_GONE;
	}
}
