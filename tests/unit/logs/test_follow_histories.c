/* SPDX-License-Identifier: ISC */
/* Random histories of a log: written, renamed, copied, truncated, packed,
 * replaced by copies of itself, rewritten without its first lines, restored,
 * moved by a link; with a reader that looks, or is killed and started again
 * from what it had saved, at any step. Each line counts exactly once.
 *
 * Closing inotify waits for the kernel, some milliseconds each time, so many
 * processes play histories at once, each in directories of its own.
 *
 * POPGATE_SEED and POPGATE_HISTORIES say where to begin and how many. */
#include "tests/unit/logs/reader.h"

enum {
	STEPS = 120,
	NUMBERS = 6 /* mail.log.1 to .6 */
};

/* --- the disk --- */

static void
pass_time(void)
{
	now.tv_sec += 1 + (time_t)random_below(20);
	now.tv_nsec = (long)random_below(1000000000);
}

static void
date_fd(int fd, const struct timespec *mtime)
{
	const struct timespec t[2] = { *mtime, *mtime };

	assert_int_equal(futimens(fd, t), 0);
}

static bool
exists(const char *name)
{
	return access(at(name), F_OK) == 0;
}

/* flags: O_EXCL for a new file, O_TRUNC for the same inode */
static void
spill(const char *name, int flags, const char *buf, size_t n,
    const struct timespec *mtime)
{
	int fd = open(at(name), O_WRONLY | O_CREAT | flags, 0644);

	if (fd == -1)
		fail_msg("%s: %s", at(name), strerror(errno));
	assert_int_equal(write(fd, buf, n), n);
	date_fd(fd, mtime);
	(void)close(fd);
}

/* --- the daemon that writes it, and has the file open --- */

static int daemon_fd = -1;
static bool detached; /* it writes where no name leads to */

static ino_t
inode_of(const char *name)
{
	struct stat st;

	return stat(at(name), &st) == -1 ? 0 : st.st_ino;
}

static ino_t
daemon_inode(void)
{
	struct stat st;

	return fstat(daemon_fd, &st) == -1 ? 0 : st.st_ino;
}

static void
reopen(void)
{
	bool made = !exists("mail.log");

	if (daemon_fd != -1)
		(void)close(daemon_fd);
	daemon_fd = open(at("mail.log"), O_WRONLY | O_APPEND | O_CREAT, 0644);
	assert_int_not_equal(daemon_fd, -1);
	if (made)
		date_fd(daemon_fd, &now);
	detached = false;
	tell("the daemon opens mail.log\n");
}

static void
daemon_writes(int n)
{
	char line[400];

	tell("writes %d to %d\n", story->written, story->written + n - 1);
	while (n-- > 0 && story->written < LINES) {
		int len = next_line(line);

		assert_int_equal(write(daemon_fd, line, (size_t)len), len);
	}
	date_fd(daemon_fd, &now);
}

/* --- the reader --- */

static void
read_some(void)
{
	stop_after = 1 + (int)random_below(6);
	tell("    read %d lines\n", stop_after);
	(void)follow_read(f, FILE_MAX, take, NULL, &(struct err){ 0 });
	stop_after = 0;
}

static void
kill_reader(void)
{
	/* what is written where no name leads to is only known to a reader
	 * that has it open */
	if (detached) {
		read_all();
		save();
	}
	start_again();
	if (detached)
		reopen();
}

/* Between any two steps of others. */
static void
look(void)
{
	pass_time();
	switch (random_below(8)) {
	case 0:
		read_all();
		break;
	case 1:
		read_some();
		break;
	case 2:
		read_all();
		save();
		break;
	case 3:
		read_some();
		save();
		break;
	case 4:
		kill_reader();
		break;
	default:
		break;
	}
}

/* All is read, and known to be, also of files that got a line late. */
static void
settle(void)
{
	read_all();
	save();
	kill_reader();
	read_all();
	save();
}

/* --- rotation --- */

/* Room for a new .1: as logrotate does it, but what has another suffix than
 * is in use now stays where it is. */
static void
shift(bool all)
{
	for (unsigned s = 0; s < 5; s++) {
		if (!all && s > 1)
			break;
		if (exists(numbered(NUMBERS, s))) {
			settle();
			if (inode_of(numbered(NUMBERS, s)) == daemon_inode())
				reopen();
			assert_int_equal(unlink(at(numbered(NUMBERS, s))), 0);
		}
		for (int i = NUMBERS - 1; i > 0; i--)
			if (exists(numbered(i, s)))
				assert_int_equal(rename(at(numbered(i, s)),
						     at(numbered(i + 1, s))),
				    0);
	}
	tell("shifted%s\n", all ? "" : " .N and .N.gz");
}

static void
rotate(void)
{
	if (!exists("mail.log"))
		return;
	shift(chance(2));
	if (exists(numbered(1, 0)))
		return;
	look();
	assert_int_equal(rename(at("mail.log"), at(numbered(1, 0))), 0);
	tell("renamed to .1\n");
	look();
	if (chance(2)) {
		daemon_writes(1 + (int)random_below(3));
		look();
	}
	if (chance(2)) {
		spill("mail.log", O_EXCL, "", 0, &now);
		tell("created\n");
		look();
	}
	if (!chance(4))
		reopen();
}

static void
copy(const char *from, const char *to, int flags, bool by_halves)
{
	static char buf[FILE_MAX];
	struct stat st;
	size_t n = slurp(from, buf, &st);

	if (by_halves) {
		spill(to, flags, buf, random_below((unsigned)n + 1), &now);
		tell("copied half of %s to %s\n", from, to);
		look();
		flags = 0;
	}
	spill(to, flags, buf, n, chance(2) ? &now : &st.st_mtim);
	tell("copied %s to %s\n", from, to);
}

/* A number that no file has; 0: none. */
static int
free_number(void)
{
	int number = 1 + (int)random_below(NUMBERS);

	return exists(numbered(number, 0)) ? 0 : number;
}

static void
copytruncate(bool odd)
{
	int number = odd ? free_number() : 1;

	if (!exists("mail.log") || number == 0)
		return;
	if (!odd)
		shift(chance(2));
	if (exists(numbered(number, 0)))
		return;
	look();
	copy("mail.log", numbered(number, 0), O_EXCL, chance(2));
	look();
	spill("mail.log", O_TRUNC, "", 0, &now);
	tell("truncated\n");
}

static void
pack_one(void)
{
	static char buf[FILE_MAX];
	static unsigned char packed[FILE_MAX];
	int number = 1 + (int)random_below(NUMBERS),
	    packer = (int)random_below(PACKERS);
	unsigned s = 1;
	struct stat st;

	while (strcmp(suffixes[s], pack_suffixes[packer]) != 0)
		s++;
	if (!exists(numbered(number, 0)) || exists(numbered(number, s)) ||
	    inode_of(numbered(number, 0)) == daemon_inode())
		return;
	size_t n = slurp(numbered(number, 0), buf, &st);

	n = pack_bytes(packer, 1, buf, n, packed, sizeof(packed));
	if (chance(2))
		st.st_mtim.tv_nsec = 0;
	spill(numbered(number, s), O_EXCL, (char *)packed, n, &st.st_mtim);
	tell("packed %s\n", numbered(number, s));
	look();
	assert_int_equal(unlink(at(numbered(number, 0))), 0);
}

/* A copy beside it, which is never truncated. */
static void
copy_for_safety(void)
{
	int number = free_number();
	struct stat st;

	if (stat(at("mail.log"), &st) == 0 && st.st_size > 1024 && number != 0)
		copy("mail.log", numbered(number, 0), O_EXCL, false);
}

/* --- the path becomes another file --- */

/* The daemon goes on writing to the old one for a while. */
static void
until_it_reopens(void)
{
	detached = true;
	for (int i = (int)random_below(3); i > 0; i--) {
		look();
		if (!detached)
			return;
		if (f != NULL) {
			/* only who saw it before can see what is written
			 * there now */
			read_all();
			daemon_writes(1 + (int)random_below(4));
		}
	}
	read_all();
	save();
	reopen();
}

static void
copy_over(void)
{
	if (!exists("mail.log") || inode_of("mail.log") != daemon_inode())
		return;
	copy("mail.log", "new", O_EXCL, false);
	/* who starts now, sees nothing of what is written to the old one */
	read_all();
	assert_int_equal(rename(at("new"), at("mail.log")), 0);
	tell("moved the copy over mail.log\n");
	until_it_reopens();
}

static void
move_directory(void)
{
	static int number;
	char cmd[300], link[100], to[40];
	bool dated = chance(4);

	if (!exists("mail.log") || inode_of("mail.log") != daemon_inode())
		return;
	/* such copies are dated before all this: nobody looks at old ones */
	if (dated)
		settle();
	read_all();
	(void)snprintf(to, sizeof(to), "d%d", ++number);
	(void)snprintf(cmd, sizeof(cmd),
	    "cd %s && cp -%s cur/. %s && ln -s %s next", top, dated ? "r" : "a",
	    to, to);
	assert_int_equal(system(cmd), 0);
	(void)snprintf(link, sizeof(link), "%s/next", top);
	(void)snprintf(cmd, sizeof(cmd), "%s/cur", top);
	assert_int_equal(rename(link, cmd), 0);
	tell("moved the directory to another, by a link%s\n",
	    dated ? ", with other dates" : "");
	until_it_reopens();
}

/* Its first lines are deleted, which have been read. */
static void
trim(void)
{
	static char buf[FILE_MAX];
	struct stat st;
	size_t from = 0;
	bool in_place = chance(2);

	if (!exists("mail.log") || inode_of("mail.log") != daemon_inode())
		return;
	read_all();
	if (chance(2))
		save();
	else
		kill_reader(), read_all(), save();
	size_t n = slurp("mail.log", buf, &st);

	for (unsigned i = 1 + random_below(4); i > 0 && from < n; i--)
		from =
		    (size_t)((char *)memchr(buf + from, '\n', n - from) - buf) +
		    1;
	/* nothing of what was read is left: no place to be found */
	if (from == n)
		return;
	if (chance(2)) {
		daemon_writes(1 + (int)random_below(4));
		n = slurp("mail.log", buf, &st);
	}
	if (in_place) {
		spill("mail.log", O_TRUNC, buf + from, n - from, &now);
		tell("trimmed in place\n");
		look();
		return;
	}
	spill("new", O_EXCL, buf + from, n - from, &now);
	read_all();
	assert_int_equal(rename(at("new"), at("mail.log")), 0);
	tell("trimmed to another file\n");
	until_it_reopens();
}

/* Restore what was saved a while ago; all has been read. */
static void
restore(void)
{
	static char buf[FILE_MAX];
	struct stat st;

	if (!exists("mail.log") || inode_of("mail.log") != daemon_inode())
		return;
	size_t n = slurp("mail.log", buf, &st);

	if (n == 0)
		return;
	daemon_writes(1 + (int)random_below(30));
	look();
	read_all();
	save();
	spill("new", O_EXCL, buf, n, chance(2) ? &now : &st.st_mtim);
	assert_int_equal(rename(at("new"), at("mail.log")), 0);
	tell("restored from a copy\n");
	detached = true;
	reopen();
	if (chance(2))
		daemon_writes(1 + (int)random_below(60));
	read_all();
	save();
}

/* --- a history --- */

/* A log is rewritten, or copies are left beside it. Where both are done, what
 * is known of a file doesn't always tell an old copy of one log from another
 * that went on otherwise: then lines count twice, rather than not at all. */
static bool rewrites;

static void
step(void)
{
	look();
	switch (random_below(16)) {
	case 0:
	case 1:
		rotate();
		break;
	case 2:
	case 3:
		copytruncate(false);
		break;
	case 4:
		copytruncate(true);
		break;
	case 5:
	case 6:
		pack_one();
		break;
	case 7:
		if (!rewrites)
			copy_for_safety();
		break;
	case 8:
		copy_over();
		break;
	case 9:
		if (chance(3))
			move_directory();
		break;
	case 10:
		if (rewrites)
			trim();
		break;
	case 11:
		if (rewrites)
			restore();
		break;
	case 12:
		reopen();
		break;
	default:
		daemon_writes(1 + (int)random_below(12));
		break;
	}
}

static void
begin(void)
{
	static struct story own;
	char path[100];

	story = &own;
	rewrites = chance(2);
	make_top("/cur");
	(void)snprintf(path, sizeof(path), "%s/d0", top);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(symlink("d0", home), 0);
	/* later than the clock: a deleted file is kept open as long as it
	 * may still be written to */
	now.tv_sec = time(NULL) + 3600;
	since = now.tv_sec - 60;
	if (chance(4)) {
		spill(numbered(1, 0), O_EXCL, "too old\n", 8,
		    &(struct timespec){ .tv_sec = since - 100 });
		tell(".1 is too old\n");
	}
	start();
	reopen();
}

static void
end(void)
{
	follow_close(&f);
	(void)close(daemon_fd);
	daemon_fd = -1;
	remove_top();
}

static void
history(void)
{
	begin();
	for (int i = 0; i < STEPS && story->written < LINES - 200; i++)
		step();
	settle();
	judge();
	end();
}

static void
each_line_once(void **state)
{
	(void)state;
	players_play(2000, history);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(each_line_once) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
