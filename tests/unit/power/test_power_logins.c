/* SPDX-License-Identifier: ISC */
/* The power goes while the collector reads a log and an admin changes its
 * table: no saved position is behind a login that is missing, each line counts
 * once, what a command answered holds, also in the file of words, and the files
 * are sound. */
#include <fcntl.h>
#include <time.h>

#include "collector/collect.h"
#include "collector/commit.h"
#include "collector/state.h"
#include "common/base/err.h"
#include "common/config/config.h"
#include "ctl/commands.h"
#include "ctl/ctl.h"
#include "tests/unit/power/power.h"

enum { LIVES = 4, TURNS = 25, LINES_MAX = 2000, LOGS = 4, WORDS = 24 };

/* A line of the log: client_of() its number logs in. */
static struct {
	int log;
	off_t end; /* -1: the log lost it */
	bool deleted; /* an admin did, and was answered */
} lines[LINES_MAX];
static int n_lines, n_logs; /* the newest log is mail.log */
static bool logs_cut;
/* The newest log lost its end, and the collector hasn't saved that it saw it. A
 * log that is shorter than what was read of it, and rotated before anybody
 * looks, is taken for half of a copy (contents.c): its lines since then don't
 * count. */
static bool cut_unseen;

/* The admin's last answer about a user or a client. */
static enum { UNKNOWN, IN, OUT } denied[WORDS], added[WORDS];

static struct config *cfg_read;
static int wake[2], quiet = -1;

static void
no_note(int priority, const char *text)
{
	(void)priority;
	(void)text;
}

static const char *
client_of(int line)
{
	static char text[20];

	(void)snprintf(text, sizeof(text), "203.0.%d.%d", 100 + line / 250,
	    line % 250 + 1);
	return text;
}

static const char *
log_name(int log)
{
	static char text[20];

	if (log == n_logs)
		return "mail.log";
	(void)snprintf(text, sizeof(text), "mail.log.%d", n_logs - log);
	return text;
}

static void
log_in(void)
{
	time_t now = time(NULL);
	char stamp[40];
	struct tm tm;
	FILE *log;

	if (n_lines == LINES_MAX)
		return;
	log = fopen(unit_path(world, "mail.log"), "a");
	assert_non_null(log);
	(void)strftime(
	    stamp, sizeof(stamp), "%b %e %H:%M:%S", localtime_r(&now, &tm));
	(void)fprintf(log,
	    "%s mail dovecot: imap-login: Login: user=<ann>, method=PLAIN, "
	    "rip=%s, lip=192.0.2.1, mpid=%d, TLS, session=<x>\n",
	    stamp, client_of(n_lines), n_lines);
	lines[n_lines].log = n_logs;
	lines[n_lines].end = ftello(log);
	lines[n_lines++].deleted = false;
	assert_int_equal(fclose(log), 0);
}

/* logrotate at work. */
static void
rotate(void)
{
	char to[200];

	if (n_logs == LOGS || cut_unseen)
		return;
	for (int log = 0; log <= n_logs; log++) {
		char from[20];

		(void)snprintf(from, sizeof(from), "%s", log_name(log));
		n_logs++;
		(void)snprintf(
		    to, sizeof(to), "%s", unit_path(world, log_name(log)));
		n_logs--;
		(void)rename(unit_path(world, from), to);
	}
	n_logs++;
	log_in();
}

/* The newest log wasn't all on the disk, either: its end is gone, or zeros. */
static void
cut_log(void)
{
	const char *path = unit_path(world, "mail.log");
	struct stat st;

	if (disk_chance(2) == 0 || stat(path, &st) == -1 || st.st_size == 0)
		return;
	off_t left = (off_t)disk_chance((unsigned)st.st_size);

	assert_int_equal(truncate(path, left), 0);
	if (disk_chance(3) == 0)
		assert_int_equal(truncate(path, st.st_size), 0);
	for (int i = 0; i < n_lines; i++)
		if (lines[i].log == n_logs && lines[i].end > left)
			lines[i].end = -1;
	logs_cut = cut_unseen = true;
	/* the next line is glued to what is left of the torn one */
	log_in();
	lines[n_lines - 1].end = -1;
	log_in();
}

/* popgatectl COMMAND WORD: 0, or its exit status. */
static int
command(const struct command *cmd, const char *word)
{
	struct ctl ctl = {
		.program = "popgatectl",
		.cmd = cmd->name,
		.config_path = unit_path(world, "popgate.conf"),
		.config_given = true,
		.now = time(NULL),
	};
	char operand[40], *v[] = { operand };
	const struct ctl_args args = { .v = v, .n = 1 };
	int out = dup(1), err = dup(2);

	(void)snprintf(operand, sizeof(operand), "%s", word);
	(void)fflush(stdout);
	(void)dup2(quiet, 1);
	(void)dup2(quiet, 2);
	int rc = ctl_config(&ctl);

	if (rc == 0)
		rc = cmd->run(&ctl, &args);
	(void)fflush(stdout);
	(void)dup2(out, 1);
	(void)dup2(err, 2);
	(void)close(out);
	(void)close(err);
	config_free(ctl.cfg);
	return rc;
}

static void
administer(void)
{
	unsigned i = disk_chance(WORDS);
	char user[20], client[20];

	(void)snprintf(user, sizeof(user), "user%u", i);
	(void)snprintf(client, sizeof(client), "198.51.100.%u", i);
	if (disk_chance(3) == 0 && n_lines > 0) {
		int line = (int)disk_chance((unsigned)n_lines);
		int rc = command(&cmd_delete, client_of(line));

		/* 1: it wasn't in the table yet, and won't be */
		if ((rc == 0 || rc == CTL_NONE) && !disk_is_off())
			lines[line].deleted = true;
	} else if (disk_chance(2) == 0) {
		bool deny = denied[i] != IN;

		denied[i] = UNKNOWN;
		if (command(deny ? &cmd_deny : &cmd_undeny, user) == 0 &&
		    !disk_is_off())
			denied[i] = deny ? IN : OUT;
	} else {
		bool add = added[i] != IN;

		added[i] = UNKNOWN;
		if (command(add ? &cmd_add : &cmd_delete, client) == 0 &&
		    !disk_is_off())
			added[i] = add ? IN : OUT;
	}
}

static struct collect *
collector(void)
{
	struct collect *c = NULL;
	struct err err;

	if (config_load(unit_path(world, "popgate.conf"), &cfg_read, &err) ==
		-1 ||
	    collect_new(cfg_read, no_note, &c, &err) == -1)
		fail_msg("%s", err.text);
	(void)collect_start(c, &err);
	return c;
}

static void
live(struct collect *c)
{
	struct err err;

	for (int i = 0; i < TURNS && !disk_is_off(); i++) {
		unsigned what = disk_chance(12);

		if (what == 0)
			rotate();
		else if (what < 4)
			administer();
		else if (what == 5 && c->store != NULL)
			(void)commit_flush(c, true, &err);
		else
			for (unsigned n = disk_chance(12); n > 0; n--)
				log_in();
		(void)collect_wait(c, wake[0]);
		(void)collect_step(c);
		if (cut_unseen && c->store != NULL &&
		    commit_flush(c, true, &err) == 0)
			cut_unseen = false;
	}
	/* a stop in order, or the end at once */
	if (!disk_is_off() && disk_chance(2) == 0)
		(void)collect_finish(c, &err);
	if (!disk_is_off())
		disk_power(0);
}

static bool
is_read(sqlite3 *db, int line)
{
	struct stat st;
	char inode[30];

	assert_int_equal(
	    stat(unit_path(world, log_name(lines[line].log)), &st), 0);
	(void)snprintf(
	    inode, sizeof(inode), "%llu", (unsigned long long)st.st_ino);
	/* of a log that was rotated, all is read once a newer one is */
	return power_ask(db, "SELECT position FROM source WHERE inode = ?1",
		   inode, NULL) >= lines[line].end;
}

static void
look_at_lines(sqlite3 *db, bool all)
{
	for (int i = 0; i < n_lines; i++) {
		ROW("line %d of log %d, %s", i, lines[i].log, client_of(i));
		int n = db == NULL
		    ? 0
		    : power_ask(db,
			  "SELECT count(*) FROM login_event WHERE client = ?1 "
			  "AND server = 'dovecot'",
			  client_of(i), NULL);

		if (lines[i].end != -1 &&
		    (all || (!logs_cut && db != NULL && is_read(db, i))))
			assert_true(n >= 1);
		if (!logs_cut)
			assert_true(n <= 1);
		if (lines[i].deleted) {
			assert_non_null(db);
			assert_int_equal(
			    power_ask(db,
				"SELECT count(*) FROM login WHERE client = ?1",
				client_of(i), NULL),
			    0);
		}
	}
}

static const char denied_sql[] =
    "SELECT count(*) FROM deny WHERE subject = ?1 AND expires_at > "
    "unixepoch()";

static void
look_at_words(sqlite3 *db, sqlite3 *words)
{
	char user[20], client[20];

	for (unsigned i = 0; i < WORDS; i++) {
		ROW("word %u: denied %d, added %d", i, denied[i], added[i]);
		(void)snprintf(user, sizeof(user), "user%u", i);
		(void)snprintf(client, sizeof(client), "198.51.100.%u", i);
		if (denied[i] == UNKNOWN && added[i] == UNKNOWN)
			continue;
		assert_non_null(db);
		if (denied[i] != UNKNOWN) {
			assert_int_equal(power_ask(db, denied_sql, user, NULL),
			    denied[i] == IN);
			assert_non_null(words);
			assert_int_equal(
			    power_ask(words, denied_sql, user, NULL),
			    denied[i] == IN);
		}
		if (added[i] != UNKNOWN)
			assert_int_equal(
			    power_ask(db,
				"SELECT count(*) FROM login WHERE client = ?1",
				client, NULL),
			    added[i] == IN);
	}
	for (int i = 0; i < n_lines; i++) {
		ROW("deleted line %d", i);
		if (lines[i].deleted) {
			assert_non_null(words);
			assert_int_equal(
			    power_ask(words,
				"SELECT count(*) FROM deleted WHERE client = ?1",
				client_of(i), NULL),
			    1);
		}
	}
}

static void
look(bool all)
{
	sqlite3 *db = power_look("logins.db");
	sqlite3 *words = power_look("logins.db.words");

	look_at_lines(db, all);
	look_at_words(db, words);
	assert_int_equal(sqlite3_close(words), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void
begin_world(uint64_t seed)
{
	FILE *conf = fopen(unit_path(world, "popgate.conf"), "w");

	assert_non_null(conf);
	(void)fprintf(conf,
	    "logins: { database = \"%s/logins.db\"; };\n"
	    "audit: { database = \"%s/audit.db\"; };\n"
	    "collector: { sources = ( { file = \"%s/mail.log\"; } ); };\n",
	    world, world, world);
	assert_int_equal(fclose(conf), 0);
	disk_begin(world, seed);
	n_lines = n_logs = 0;
	logs_cut = cut_unseen = false;
	memset(denied, 0, sizeof(denied));
	memset(added, 0, sizeof(added));
}

/* Nothing goes wrong any more: all that is in the logs is read. */
static void
last_life(void)
{
	struct collect *c = collector();
	struct err err;

	for (int i = 0; i < 6; i++) {
		(void)collect_wait(c, wake[0]);
		assert_true(collect_step(c));
	}
	assert_non_null(c->store);
	assert_int_equal(commit_flush(c, true, &err), 0);
	collect_free(&c);
	look(true);
}

static void
play(uint64_t seed, bool cut)
{
	begin_world(seed);
	for (int i = 0; i < LIVES; i++) {
		ROW("POPGATE_SEED=%" PRIu64 ", life %d", seed, i);
		unsigned operations =
		    disk_chance(disk_chance(3) == 0 ? 60 : 500);

		(disk_chance(4) != 0 ? disk_power : disk_process)(operations);
		struct collect *c = collector();

		live(c);
		collect_free(&c);
		bool power = disk_ended_by_power();

		disk_return();
		if (power && cut)
			cut_log();
		look(false);
	}
	ROW("POPGATE_SEED=%" PRIu64 ", the last life", seed);
	last_life();
	power_empty(world);
}

static void
worlds(bool cut)
{
	uint64_t first = power_number("POPGATE_SEED", 1);
	uint64_t n = power_number("POPGATE_POWER", 25);

	for (uint64_t seed = first; seed < first + n; seed++)
		play(seed, cut);
}

static void
what_was_read_and_said_holds(void **state)
{
	(void)state;
	worlds(false);
}

static void
logs_lose_their_end_too(void **state)
{
	(void)state;
	worlds(true);
}

static int
begin(void **state)
{
	(void)state;
	power_begin();
	quiet = open("/dev/null", O_WRONLY);
	assert_int_equal(pipe(wake), 0);
	assert_int_equal(write(wake[1], "x", 1), 1);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	power_end();
	(void)close(wake[0]);
	(void)close(wake[1]);
	(void)close(quiet);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_read_and_said_holds),
		cmocka_unit_test(logs_lose_their_end_too),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
