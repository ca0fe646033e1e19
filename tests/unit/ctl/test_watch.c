/* SPDX-License-Identifier: ISC */
/* The screen of 'popgatectl watch' and its keys, without a terminal: a model
 * and a size in, lines out. */
#include "tests/unit/unit.h"

#include <locale.h>
#include <stdlib.h>
#include <time.h>

#include "common/base/utf8.h"
#include "ctl/watch/view.h"

enum { NOW = 1774864800, MANY = 300 };

static struct watch_event events[MANY];
static struct watch_model model;
static struct view view;
static struct screen screen;

/* An event of s seconds ago. */
static struct watch_event *
event(int64_t s, enum watch_fate fate, const char *client, const char *user,
    const char *sender, const char *recipient)
{
	struct watch_event *e = &events[model.n++];

	*e = (struct watch_event){ .id = (int64_t)model.n * 10,
		.at_ms = (NOW - s) * INT64_C(1000),
		.last_ms = (NOW - s) * INT64_C(1000),
		.count = 1,
		.fate = fate,
		.reason = fate == WATCH_RELAYED ? "recent-login" : "no-login",
		.client = client,
		.auth_user = "",
		.login_users = user,
		.sender = sender,
		.recipient = recipient };
	return e;
}

static int
setup(void **state)
{
	(void)state;
	model = (struct watch_model){
		.now = NOW, .interval_s = 2, .event = events, .host = "mx1"
	};
	view = (struct view){ .panel = PANEL_DECISIONS };
	(void)snprintf(model.milter.words, WATCH_WORDS_MAX, "12 sessions");
	(void)snprintf(model.collector.words, WATCH_WORDS_MAX, "logs read now");
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	view_show(&view, NULL);
	return 0;
}

static void
draw(int width, int height)
{
	screen.width = width;
	screen.height = height;
	view_draw(&view, &model, true, &screen);
}

/* The line that has text; fails when there is none. */
static const struct screen_line *
line(const char *text)
{
	for (int i = 0; i < screen.lines; i++)
		if (strstr(screen.line[i].text, text) != NULL)
			return &screen.line[i];
	for (int i = 0; i < screen.lines; i++)
		print_error("|%s|\n", screen.line[i].text);
	fail_msg("no line has '%s'", text);
	return NULL;
}

static bool
shown(const char *text)
{
	for (int i = 0; i < screen.lines; i++)
		if (strstr(screen.line[i].text, text) != NULL)
			return true;
	return false;
}

static void
press(const char *keys)
{
	for (; *keys != '\0'; keys++)
		assert_int_equal(
		    view_press(&view, &model, (unsigned char)*keys),
		    ACTION_NONE);
}

/* Columns that a terminal takes; fails for what one would act on. */
static int
columns(const char *text)
{
	int width = 0;

	while (*text != '\0') {
		uint32_t cp = 0;
		size_t n = utf8_length((const unsigned char *)text, &cp);

		assert_true(n > 0);
		assert_false(utf8_harmful(cp));
		assert_true(view_char_width(cp) > 0);
		width += view_char_width(cp);
		text += n;
	}
	return width;
}

static void
what_it_shows(void **state)
{
	(void)state;
	(void)event(
	    500, WATCH_REFUSED, "203.0.113.9", "", "x@y", "<a@far.test>");
	(void)event(30, WATCH_RELAYED, "192.0.2.1", "ann", "ann@example.com",
	    "<b@far.test>");
	(void)event(20, WATCH_RELAYED, "192.0.2.1", "ann", "ann@example.com",
	    "<c@far.test>");
	event(10, WATCH_REFUSED, "203.0.113.9", "", "z@y", "<d@far.test>")
	    ->count = 70;
	/* another row stands for it; and one of long ago */
	event(10, WATCH_RELAYED, "192.0.2.7", "eve", "e@y", "<e@far.test>")
	    ->count = 0;
	draw(120, 30);
	assert_string_equal(
	    screen.line[0].look == LOOK_TITLE ? "title" : "", "title");
	assert_true(shown("popgate on mx1"));
	assert_true(shown("popgate-milter: 12 sessions"));
	assert_true(shown("popgate-collector: logs read now"));
	assert_true(shown("Last 10 min: 2 relayed, 71 refused, 0 put off"));
	assert_false(shown("eve"));
	/* by what was relayed: the client, its user, and who was refused */
	assert_non_null(line("SENDS MOST"));
	const char *ann = line("user   ann")->text;

	assert_non_null(strstr(ann, " 2        0        1 "));
	assert_non_null(
	    strstr(line("client 203.0.113.9")->text, " 0       71        2 "));
	assert_true(line("client 192.0.2.1") < line("user   ann"));
	assert_true(line("user   ann") < line("client 203.0.113.9"));
	/* the newest first */
	assert_true(line("<d@far.test>") < line("<c@far.test>"));
	assert_true(line("<c@far.test>") < line("<b@far.test>"));
	assert_int_equal(line("<d@far.test>")->look, LOOK_SELECTED);
	assert_int_equal(line("<a@far.test>")->look, LOOK_ODD);
	assert_int_equal(screen.lines, 30);
	assert_non_null(strstr(screen.line[29].text, "q quit"));
}

static void
old_ones_are_shown_and_not_counted(void **state)
{
	(void)state;
	(void)event(90000, WATCH_RELAYED, "192.0.2.1", "ann", "s", "<r>");
	draw(100, 24);
	assert_true(shown("Last 10 min: 0 relayed"));
	assert_true(shown("Nobody sends."));
	assert_true(shown("<r>"));
	/* more than a day ago: the day, not the time */
	assert_non_null(strstr(line("<r>")->text, "29 Mar"));
}

static void
nothing_at_all(void **state)
{
	(void)state;
	draw(80, 24);
	assert_true(shown("Nobody is denied or near a limit."));
	assert_true(shown("Nothing was decided."));
	assert_false(view.row.any);
	assert_int_equal(view_press(&view, &model, KEY_ENTER), ACTION_NONE);
	assert_int_equal(view_press(&view, &model, 'd'), ACTION_NONE);
	press("jkGg");
	(void)view_press(&view, &model, KEY_PAGE_DOWN);
	draw(80, 24);
}

/* No line is wider than the screen and none too many, whatever the size. */
static void
every_size(void **state)
{
	static const char *const hostile[] = { "a\033[2Jb", "\xe2\x80\xae zyx",
		"\xff\xfe", "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\xe6\x97\xa5",
		"e\xcc\x81\xcc\x81\xcc\x81\xcc\x81", "\xf0\x9f\x98\x80 smile",
		"2001:db8:1111:2222:3333:4444:5555:6666", "",
		"\x01\x9b\x7f\r\n\t" };
	char longest[3000];

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	for (int i = 0; i < 60; i++) {
		const char *text = i % 10 == 9 ? longest : hostile[i % 10];

		(void)event(60 - i, (enum watch_fate)(i % WATCH_FATES), text,
		    text, text, text);
	}
	for (size_t i = 0; i < WATCH_LIMITS; i++) {
		struct watch_limit *l = &model.limit[model.limits++];

		*l = (struct watch_limit){ .percent = 99, .is_user = i % 2 };
		(void)snprintf(l->subject, sizeof(l->subject), "%s",
		    hostile[i % LENGTH(hostile)]);
		(void)snprintf(l->words, sizeof(l->words), "%.899s", longest);
	}
	(void)snprintf(model.host, sizeof(model.host), "%s", hostile[0]);
	(void)snprintf(model.tables.words, WATCH_WORDS_MAX, "%.899s", longest);
	for (int width = 1; width <= SCREEN_WIDTH_MAX; width += 7)
		for (int height = 1; height <= 60; height += 3) {
			view.panel = (enum view_panel)(height % PANELS);
			ROW("%d x %d", width, height);
			draw(width, height);
			assert_in_range(screen.lines, 1, height);
			for (int i = 0; i < screen.lines; i++)
				assert_in_range(
				    columns(screen.line[i].text), 0, width);
		}
}

static void
narrow_screens_keep_who_and_to_whom(void **state)
{
	(void)state;
	(void)event(5, WATCH_RELAYED, "192.0.2.111", "annabel", "s@example.com",
	    "<someone@far.test>");
	draw(160, 30);
	assert_non_null(strstr(line("recent-login")->text, "s@example.com"));
	draw(80, 30);
	assert_non_null(strstr(line("<someone@fa")->text, "192.0.2.111"));
	assert_non_null(strstr(line("<someone@fa")->text, "annabel"));
	draw(60, 30);
	assert_non_null(strstr(line("<someone@fa")->text, "192.0.2.111"));
	/* wide characters are cut at their own edge */
	events[0].login_users =
	    "\xe6\x97\xa5\xe6\x97\xa5\xe6\x97\xa5\xe6\x97\xa5\xe6\x97\xa5"
	    "\xe6\x97\xa5\xe6\x97\xa5\xe6\x97\xa5";
	draw(119, 30);
	assert_non_null(strstr(line("recent-login")->text, "\xe6\x97\xa5~  "));
}

/* A small screen has room for the panel that is looked at. */
static void
small_screens_have_one_panel(void **state)
{
	(void)state;
	(void)event(5, WATCH_RELAYED, "192.0.2.1", "ann", "s", "<r>");
	draw(80, 12);
	assert_true(shown("RECIPIENT"));
	assert_false(shown("SENDS MOST"));
	press("\t");
	draw(80, 12);
	assert_false(shown("RECIPIENT"));
	assert_true(shown("SENDS MOST"));
	draw(80, 24);
	assert_true(shown("RECIPIENT"));
	assert_true(shown("SENDS MOST"));
	assert_true(shown("LIMITS"));
}

static void
selection_stays_with_its_row(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++)
		(void)event(50 - i, WATCH_RELAYED, "192.0.2.1", "ann", "s",
		    i == 3 ? "<three>" : "<other>");
	draw(100, 30);
	press("j");
	draw(100, 30);
	assert_int_equal(line("<three>")->look, LOOK_SELECTED);
	/* new ones push it down, and it stays the one */
	(void)event(1, WATCH_REFUSED, "192.0.2.9", "", "s", "<new>");
	draw(100, 30);
	assert_int_equal(line("<three>")->look, LOOK_SELECTED);
	assert_string_equal(view.row.client, "192.0.2.1");
	assert_string_equal(view.row.user, "ann");
	/* at the top it follows the newest */
	press("g");
	draw(100, 30);
	assert_int_equal(line("<new>")->look, LOOK_SELECTED);
	assert_string_equal(view.row.user, "");
	(void)event(0, WATCH_REFUSED, "192.0.2.8", "", "s", "<newer>");
	draw(100, 30);
	assert_int_equal(line("<newer>")->look, LOOK_SELECTED);
	press("G");
	draw(100, 30);
	assert_string_equal(view.row.client, "192.0.2.1");
	assert_int_equal(view.id, 10);
}

static void
far_rows_come_into_sight(void **state)
{
	static char names[MANY][16];

	(void)state;
	for (int i = 0; i < MANY; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "<n%d>", i);
		(void)event(
		    300 - i, WATCH_RELAYED, "192.0.2.1", "ann", "s", names[i]);
	}
	draw(100, 30);
	assert_true(shown("<n299>"));
	press("G");
	draw(100, 30);
	assert_int_equal(line("<n0>")->look, LOOK_SELECTED);
	assert_false(shown("<n299>"));
	(void)view_press(&view, &model, KEY_PAGE_UP);
	draw(100, 30);
	assert_int_equal(view.page > 3, true);
	char want[16];

	(void)snprintf(want, sizeof(want), "<n%d>", view.page - 1);
	assert_int_equal(line(want)->look, LOOK_SELECTED);
}

static void
other_panels_select_by_name(void **state)
{
	(void)state;
	(void)event(9, WATCH_RELAYED, "192.0.2.1", "ann", "s", "<r>");
	(void)event(8, WATCH_RELAYED, "192.0.2.1", "bob,ann", "s", "<r>");
	view.panel = PANEL_TOP;
	draw(100, 30);
	assert_string_equal(view.row.client, "192.0.2.1");
	press("j");
	draw(100, 30);
	assert_string_equal(view.row.user, "ann");
	assert_string_equal(view.row.client, "");
	/* several users are none that could be denied */
	press("j");
	draw(100, 30);
	assert_false(view.row.any);
	press("g");
	model.limits = 2;
	model.limit[0] = (struct watch_limit){
		.denied = true, .subject = "198.51.100.0/24", .words = "over"
	};
	model.limit[1] = (struct watch_limit){ .percent = 80,
		.is_user = true,
		.subject = "carol",
		.words = "user_recipients 800 of 1000/1h" };
	view.panel = PANEL_LIMITS;
	draw(100, 30);
	assert_non_null(strstr(line("198.51.100.0/24")->text, "denied"));
	assert_non_null(strstr(line("carol")->text, "80 %"));
	press("j");
	draw(100, 30);
	assert_string_equal(view.row.user, "carol");
}

static void
filters(void **state)
{
	static const struct {
		const char *filter;
		int matches;
	} rows[] = {
		{ "", 3 },
		{ "ann", 2 },
		{ "ANN", 2 },
		{ "ann refused", 1 },
		{ "  far.test   put ", 1 },
		{ "192.0.2", 2 },
		{ "recent", 1 },
		{ "ann bob", 0 },
		{ "zzz", 0 },
	};

	(void)state;
	(void)event(
	    9, WATCH_RELAYED, "192.0.2.1", "ann", "s@a", "<r@far.test>");
	(void)event(8, WATCH_REFUSED, "192.0.2.2", "", "ann@b", "<r@far.test>");
	(void)event(
	    7, WATCH_PUT_OFF, "203.0.113.1", "bob", "s@c", "<r@far.test>");
	for (size_t i = 0; i < LENGTH(rows); i++) {
		int matches = 0;

		for (size_t e = 0; e < model.n; e++)
			matches += watch_match(&events[e], rows[i].filter);
		ROW("%s", rows[i].filter);
		assert_int_equal(matches, rows[i].matches);
	}
	/* typed: it shows at once what it leaves, and keys are letters */
	press("/qd j");
	draw(100, 30);
	assert_non_null(strstr(screen.line[29].text, "/qd j_"));
	(void)view_press(&view, &model, 'U' - '@');
	press("bob");
	draw(100, 30);
	assert_true(shown("203.0.113.1"));
	assert_false(shown("192.0.2.2"));
	assert_true(shown("Last 10 min: 0 relayed, 0 refused, 1 put off"));
	(void)view_press(&view, &model, KEY_BACKSPACE);
	assert_string_equal(view.filter, "bo");
	(void)view_press(&view, &model, KEY_ENTER);
	assert_false(view.typing);
	draw(100, 30);
	assert_true(shown("only: bo"));
	/* Escape while typing: as before; else: no filter */
	press("/xyz");
	(void)view_press(&view, &model, KEY_ESCAPE);
	assert_string_equal(view.filter, "bo");
	(void)view_press(&view, &model, KEY_ESCAPE);
	assert_string_equal(view.filter, "");
	/* a character goes as a whole, and a long one ends */
	press("/\xe6\x97\xa5");
	(void)view_press(&view, &model, KEY_BACKSPACE);
	assert_string_equal(view.filter, "");
	for (int i = 0; i < 500; i++)
		press("x");
	assert_int_equal(strlen(view.filter), VIEW_FILTER_MAX - 1);
}

static void
overlays(void **state)
{
	static const char text[] =
	    "one\ntwo is so long that it must be wrapped at the width\nthree\n"
	    "4\n5\n6\n7\n8\n9\nlast\033[2J\n";

	(void)state;
	view_show(&view, strdup(text));
	draw(40, 8);
	assert_true(shown("one"));
	assert_string_equal(
	    screen.line[2].text, "two is so long that it must be wrapped a");
	assert_string_equal(screen.line[3].text, "t the width");
	assert_false(shown("last"));
	press("jj");
	draw(40, 8);
	assert_false(shown("one"));
	press("G");
	draw(40, 8);
	assert_true(shown("last\\x1b[2J"));
	assert_true(shown("7"));
	press("k");
	draw(40, 8);
	assert_false(shown("last"));
	press("g");
	draw(40, 8);
	assert_true(shown("one"));
	/* q goes back, and doesn't end it all; nor does a key of no meaning */
	assert_int_equal(view_press(&view, &model, KEY_NONE), ACTION_NONE);
	assert_non_null(view.overlay.text);
	assert_int_equal(view_press(&view, &model, 'q'), ACTION_NONE);
	assert_null(view.overlay.text);
	assert_int_equal(view_press(&view, &model, 'q'), ACTION_QUIT);
}

static void
actions(void **state)
{
	(void)state;
	(void)event(9, WATCH_RELAYED, "192.0.2.1", "ann", "s", "<r>");
	draw(100, 30);
	assert_int_equal(view_press(&view, &model, KEY_ENTER), ACTION_WHY);
	assert_int_equal(view_press(&view, &model, 'd'), ACTION_DENY);
	assert_int_equal(view_press(&view, &model, '?'), ACTION_HELP);
	press(" ");
	assert_true(view.paused);
	draw(100, 30);
	assert_true(shown("PAUSED"));
	press(" ");
	assert_false(view.paused);
	(void)view_press(&view, &model, KEY_BACK_TAB);
	assert_int_equal(view.panel, PANEL_LIMITS);
}

static void
keys(void **state)
{
	static const struct {
		const char *bytes;
		size_t used;
		int key;
		size_t used_last; /* when no more comes */
		int key_last;
	} rows[] = {
		{ "j", 1, 'j', 1, 'j' },
		{ "\r", 1, KEY_ENTER, 1, KEY_ENTER },
		{ "\n", 1, KEY_ENTER, 1, KEY_ENTER },
		{ "\b", 1, KEY_BACKSPACE, 1, KEY_BACKSPACE },
		{ "\x7f", 1, KEY_BACKSPACE, 1, KEY_BACKSPACE },
		{ "\033", 0, KEY_ESCAPE, 1, KEY_ESCAPE },
		{ "\033[", 0, KEY_NONE, 2, KEY_NONE },
		{ "\033[A", 3, KEY_UP, 3, KEY_UP },
		{ "\033OB", 3, KEY_DOWN, 3, KEY_DOWN },
		{ "\033[1;5A", 6, KEY_UP, 6, KEY_UP },
		{ "\033[5~", 4, KEY_PAGE_UP, 4, KEY_PAGE_UP },
		{ "\033[6", 0, KEY_NONE, 3, KEY_NONE },
		{ "\033[6~", 4, KEY_PAGE_DOWN, 4, KEY_PAGE_DOWN },
		{ "\033[H", 3, KEY_HOME, 3, KEY_HOME },
		{ "\033[1~", 4, KEY_HOME, 4, KEY_HOME },
		{ "\033[4~x", 4, KEY_END, 4, KEY_END },
		{ "\033[8~", 4, KEY_END, 4, KEY_END },
		{ "\033[Z", 3, KEY_BACK_TAB, 3, KEY_BACK_TAB },
		{ "\033OM", 3, KEY_ENTER, 3, KEY_ENTER },
		/* unknown ones are eaten whole: no letter of them acts */
		{ "\033[15~q", 5, KEY_NONE, 5, KEY_NONE },
		{ "\033[[Aq", 4, KEY_NONE, 4, KEY_NONE },
		{ "\033[200~q", 6, KEY_NONE, 6, KEY_NONE },
		{ "\033[<0;1;1M", 9, KEY_ENTER, 9, KEY_ENTER },
		{ "\033[99999999999999999999~", 23, KEY_NONE, 23, KEY_NONE },
		{ "\033\033[A", 1, KEY_ESCAPE, 1, KEY_ESCAPE },
		{ "\033q", 1, KEY_ESCAPE, 1, KEY_ESCAPE },
		{ "\xc3\xa9", 1, 0xc3, 1, 0xc3 },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		size_t n = strlen(rows[i].bytes);
		int key;

		ROW("%zu: %s", i, rows[i].bytes + 1);
		assert_int_equal(
		    view_decode(rows[i].bytes, n, false, &key), rows[i].used);
		if (rows[i].used > 0)
			assert_int_equal(key, rows[i].key);
		assert_int_equal(view_decode(rows[i].bytes, n, true, &key),
		    rows[i].used_last);
		assert_int_equal(key, rows[i].key_last);
	}
	int key;

	assert_int_equal(view_decode("", 0, true, &key), 0);
}

/* A script's output has no line of keys, and nothing is selected. */
static void
for_scripts(void **state)
{
	(void)state;
	(void)event(9, WATCH_RELAYED, "192.0.2.1", "ann", "s", "<r>");
	screen.width = 132;
	screen.height = 50;
	view_draw(&view, &model, false, &screen);
	assert_true(shown("<r>"));
	assert_false(shown("q quit"));
	for (int i = 0; i < screen.lines; i++)
		assert_int_not_equal(screen.line[i].look, LOOK_SELECTED);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_it_shows),
		TEST(old_ones_are_shown_and_not_counted),
		TEST(nothing_at_all),
		TEST(every_size),
		TEST(narrow_screens_keep_who_and_to_whom),
		TEST(small_screens_have_one_panel),
		TEST(selection_stays_with_its_row),
		TEST(far_rows_come_into_sight),
		TEST(other_panels_select_by_name),
		TEST(filters),
		TEST(overlays),
		TEST(actions),
		TEST(keys),
		TEST(for_scripts),
	};

	(void)setenv("TZ", "UTC", 1);
	tzset();
	assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
