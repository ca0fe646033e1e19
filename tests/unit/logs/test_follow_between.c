/* SPDX-License-Identifier: ISC */
/* A log that others write and rotate while it is looked at: between any two
 * calls of the reader to the kernel a writer in a process of its own may go one
 * step on, half a line or half a copy long. The reader is killed and started
 * again from what it had saved, as often. Each line counts exactly once.
 *
 * POPGATE_SEED and POPGATE_HISTORIES say where to begin and how many. */
#include "tests/unit/logs/reader.h"

#include <dirent.h>
#include <sys/mman.h>

enum { GENERATIONS = 12 /* as many as a mark holds, and the live one */ };

/* --- the writer, a process of its own --- */

static int step_out = -1, step_in = -1; /* one byte: one step */
/* The reader goes on; returns when it wants another step. */
static void
pause_here(void)
{
	char c = 'd';

	if (write(step_out, &c, 1) != 1 || read(step_in, &c, 1) != 1)
		_exit(0);
	now.tv_nsec += 1 + (long)random_below(20000000);
	if (now.tv_nsec >= 1000000000) {
		now.tv_nsec -= 1000000000;
		now.tv_sec++;
	}
}

static void
put(int fd, const char *text, size_t n, const struct timespec *mtime)
{
	const struct timespec t[2] = { *mtime, *mtime };

	must(write(fd, text, n) == (ssize_t)n && futimens(fd, t) == 0, "put");
}

static void
write_line(int fd)
{
	char line[400];
	int n = story->written, len = next_line(line);
	size_t cut;

	if (chance(6)) {
		cut = random_below((unsigned)len);
		put(fd, line, cut, &now);
		tell("W %d bytes of line %d\n", (int)cut, n);
		pause_here();
		put(fd, line + cut, (size_t)len - cut, &now);
	} else {
		put(fd, line, (size_t)len, &now);
	}
	tell("W line %d\n", n);
}

static void
write_lines(int fd, unsigned most)
{
	for (unsigned n = 1 + random_below(most);
	     n > 0 && story->written < LINES; n--) {
		write_line(fd);
		if (chance(3))
			pause_here();
	}
	pause_here();
}

static int generations;

static void
shift(void)
{
	for (int i = generations; i > 0; i--)
		for (unsigned gz = 0; gz < 2; gz++)
			if (access(at(numbered(i, gz)), F_OK) == 0) {
				must(rename(at(numbered(i, gz)),
					 at(numbered(i + 1, gz))) == 0,
				    "shift");
				if (chance(4))
					pause_here();
			}
	generations++;
	tell("W shifted\n");
	pause_here();
}

/* In up to four pieces. */
static void
spill(const char *name, const char *buf, size_t n, const struct timespec *mtime)
{
	int fd = open(at(name), O_WRONLY | O_CREAT | O_EXCL, 0644);
	size_t done = 0;

	must(fd != -1, name);
	for (unsigned i = random_below(4); i > 0 && done < n; i--) {
		size_t part = random_below((unsigned)(n - done) + 1);

		put(fd, buf + done, part, &now);
		done += part;
		tell("W %s has %zu bytes\n", name, done);
		pause_here();
	}
	put(fd, buf + done, n - done, mtime);
	(void)close(fd);
	tell("W %s is there\n", name);
	pause_here();
}

static void
pack_second(void)
{
	static char buf[FILE_MAX];
	static unsigned char packed[FILE_MAX];
	struct stat st;

	if (access(at(numbered(2, false)), F_OK) == -1 || chance(2))
		return;
	size_t n = slurp(numbered(2, false), buf, &st);

	n = pack_bytes(0, 1, buf, n, packed, sizeof(packed));
	if (chance(3))
		st.st_mtim.tv_nsec = 0;
	spill(numbered(2, true), (char *)packed, n, &st.st_mtim);
	must(unlink(at(numbered(2, false))) == 0, "unlink");
	tell("W packed .2\n");
	pause_here();
}

/* Returns the descriptor to write to. */
static int
rotate_by_name(int fd)
{
	shift();
	must(rename(at("mail.log"), at(numbered(1, false))) == 0, "rename");
	tell("W renamed to .1\n");
	pause_here();
	int new = open(at("mail.log"), O_WRONLY | O_APPEND | O_CREAT, 0644);

	must(new != -1, "create");
	put(new, "", 0, &now);
	tell("W created\n");
	pause_here();
	/* a daemon writes to the old one until it is told */
	if (chance(2))
		write_lines(fd, 4);
	(void)close(fd);
	return new;
}

static void
copytruncate(int fd)
{
	static char buf[FILE_MAX];
	struct stat st;

	shift();
	size_t n = slurp("mail.log", buf, &st);

	spill(numbered(1, false), buf, n, chance(2) ? &now : &st.st_mtim);
	must(ftruncate(fd, 0) == 0, "truncate");
	put(fd, "", 0, &now);
	tell("W truncated\n");
	pause_here();
}

/* Another file takes the name, with all that the log had. Nothing is written
 * until the daemon has opened it. Returns the descriptor to write to. */
static int
copy_over(int fd)
{
	static char buf[FILE_MAX];
	struct stat st;
	size_t n = slurp("mail.log", buf, &st);

	spill("new", buf, n, chance(2) ? &now : &st.st_mtim);
	must(rename(at("new"), at("mail.log")) == 0, "rename over");
	tell("W moved a copy over mail.log\n");
	(void)close(fd);
	pause_here();
	return open(at("mail.log"), O_WRONLY | O_APPEND | O_CREAT, 0644);
}

static void
writer(void)
{
	int fd = open(at("mail.log"), O_WRONLY | O_APPEND | O_CREAT, 0644);

	must(fd != -1, "open");
	now.tv_sec = time(NULL) + 3600;
	for (int i = 0;
	     i < 120 && generations < GENERATIONS && story->written < LINES;
	     i++) {
		switch (random_below(7)) {
		case 0:
			fd = rotate_by_name(fd);
			break;
		case 1:
			copytruncate(fd);
			break;
		case 2:
			pack_second();
			break;
		case 3:
			fd = copy_over(fd);
			break;
		default:
			write_lines(fd, 40);
			break;
		}
	}
	story->ended = true;
	tell("W ended\n");
	for (;;)
		pause_here();
}

/* --- the reader, whose calls to the kernel let the writer go on --- */

static bool inside; /* a call of the reader */
static unsigned haste; /* one call in so many */

static void
one_step(void)
{
	char c = 's';

	if (story->ended)
		return;
	if (write(step_out, &c, 1) != 1 || read(step_in, &c, 1) != 1)
		wrong("the writer has died");
}

static void
between(const char *call, const char *path, int fd, long offset)
{
	if (!inside)
		return;
	if (path == NULL)
		tell("    %s %d %ld\n", call, fd, offset);
	else
		tell("    %s %s\n", call,
		    strrchr(path, '/') ? strrchr(path, '/') : path);
	while (chance(haste))
		one_step();
}

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
ssize_t __real_pread64(int fd, void *buf, size_t n, off_t offset);
ssize_t __wrap_pread64(int fd, void *buf, size_t n, off_t offset);
ssize_t
__real___pread64_chk(int fd, void *buf, size_t n, off_t offset, size_t size);
ssize_t
__wrap___pread64_chk(int fd, void *buf, size_t n, off_t offset, size_t size);
int __real_stat64(const char *path, struct stat *st);
int __wrap_stat64(const char *path, struct stat *st);
int __real_fstat64(int fd, struct stat *st);
int __wrap_fstat64(int fd, struct stat *st);
DIR *__real_opendir(const char *path);
DIR *__wrap_opendir(const char *path);
struct dirent *__real_readdir64(DIR *d);
struct dirent *__wrap_readdir64(DIR *d);

int
__wrap_open64(const char *path, int flags, ...)
{
	mode_t mode = 0;

	if (flags & O_CREAT) {
		va_list ap;

		va_start(ap, flags);
		mode = va_arg(ap, mode_t);
		va_end(ap);
	}
	between("open", path, -1, 0);
	return __real_open64(path, flags, mode);
}

ssize_t
__wrap_pread64(int fd, void *buf, size_t n, off_t offset)
{
	between("pread", NULL, fd, (long)offset);
	return __real_pread64(fd, buf, n, offset);
}

ssize_t
__wrap___pread64_chk(int fd, void *buf, size_t n, off_t offset, size_t size)
{
	between("pread", NULL, fd, (long)offset);
	return __real___pread64_chk(fd, buf, n, offset, size);
}

int
__wrap_stat64(const char *path, struct stat *st)
{
	between("stat", path, -1, 0);
	return __real_stat64(path, st);
}

int
__wrap_fstat64(int fd, struct stat *st)
{
	between("fstat", NULL, fd, 0);
	int ret = __real_fstat64(fd, st);

	if (inside && ret == 0)
		tell("    fstat %d: inode %ld size %ld\n", fd, (long)st->st_ino,
		    (long)st->st_size);
	return ret;
}

DIR *
__wrap_opendir(const char *path)
{
	between("opendir", path, -1, 0);
	return __real_opendir(path);
}

struct dirent *
__wrap_readdir64(DIR *d)
{
	between("readdir", NULL, -1, 0);
	return __real_readdir64(d);
}

static void
read_once(void)
{
	struct err err;

	stop_after = chance(3) ? 1 + (int)random_below(30) : 0;
	inside = true;
	int state = follow_read(
	    f, chance(3) ? 1 + random_below(4096) : FILE_MAX, take, NULL, &err);

	inside = false;
	if (state == -1)
		wrong("%s", err.text);
}

static void
settle(void)
{
	read_all();
	save();
	start_again();
}

static void
reader(void)
{
	haste = 1 + (1U << random_below(7));
	since = time(NULL) - 60;
	start();
	while (!story->ended) {
		read_once();
		if (chance(3))
			save();
		if (chance(4))
			start_again();
		while (chance(3))
			one_step();
	}
	settle();
	settle();
	follow_close(&f);
}

/* --- a history --- */

static void
history(void)
{
	int to[2], from[2];

	make_top("");
	story = mmap(NULL, sizeof(*story), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(story, MAP_FAILED);
	assert_int_equal(pipe(to), 0);
	assert_int_equal(pipe(from), 0);
	pid_t pid = fork();

	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		step_in = to[0];
		step_out = from[1];
		(void)close(to[1]);
		(void)close(from[0]);
		random_state += 12345;
		pause_here();
		writer();
	}
	step_in = from[0];
	step_out = to[1];
	(void)close(to[0]);
	(void)close(from[1]);
	char c;

	assert_int_equal(read(step_in, &c, 1), 1);
	reader();
	judge();
	(void)close(step_out);
	(void)waitpid(pid, NULL, 0);
	remove_top();
}

static void
each_line_once(void **state)
{
	(void)state;
	players_play(400, history);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(each_line_once) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
