/* SPDX-License-Identifier: ISC */
#include "common/daemon/daemon.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <syslog.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/log.h"
#include "common/config/config.h"
#include "common/db/store.h"

static int ready_fd = -1;

static void
print_version(const struct daemon_options *opt)
{
	printf("%s %s (SQLite %s, %s)\n", opt->ident, POPGATE_VERSION,
	    store_sqlite_version(), opt->library);
}

/* Parse options into opt; *target_r is -l's, or NULL. Returns -1 to go on, else
 * the exit status. */
static int
parse_options(
    struct daemon_options *opt, int argc, char **argv, const char **target_r)
{
	static const struct option longs[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "test", no_argument, NULL, 't' },
		{ "check", no_argument, NULL, 't' },
		{ "detach", no_argument, NULL, 'd' },
		{ "log", required_argument, NULL, 'l' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	opt->config = CONFIG_DEFAULT_PATH;
	*target_r = NULL;
	while ((c = getopt_long(argc, argv, "c:tdl:Vh", longs, NULL)) != -1)
		switch (c) {
		case 'c':
			opt->config = optarg;
			break;
		case 't':
			opt->test = true;
			break;
		case 'd':
			opt->detach = true;
			break;
		case 'l':
			*target_r = optarg;
			break;
		case 'V':
			print_version(opt);
			return EX_OK;
		case 'h':
			(void)fputs(opt->usage, stdout);
			return EX_OK;
		default:
			(void)fputs(opt->usage, stderr);
			return EX_USAGE;
		}
	if (optind == argc)
		return -1;
	(void)fprintf(stderr, "%s: '%s': no argument was expected\n",
	    opt->ident, argv[optind]);
	return EX_USAGE;
}

/* Where the log goes; target NULL: the usual place. Returns -1 to go on, else
 * the exit status. */
static int
choose_log(
    const struct daemon_options *opt, const char *target, enum log_target *to_r)
{
	bool detaches = opt->detach && !opt->test;

	*to_r = detaches ? LOG_TO_SYSLOG : LOG_TO_STDERR;
	if (target != NULL && !log_target_parse(target, to_r)) {
		(void)fprintf(stderr,
		    "%s: -l '%s': expected syslog, stderr or journal\n",
		    opt->ident, target);
		return EX_USAGE;
	}
	if (detaches && *to_r == LOG_TO_STDERR) {
		(void)fprintf(stderr,
		    "%s: -d: a daemon has no stderr: use -l syslog or -l journal\n",
		    opt->ident);
		return EX_USAGE;
	}
	return -1;
}

/* Descriptors 0 to 2 must be open, or a socket becomes "stderr". */
static void
open_standard_files(void)
{
	int fd;

	while ((fd = open("/dev/null", O_RDWR)) != -1 && fd <= 2)
		continue;
	if (fd > 2)
		(void)close(fd);
}

int
daemon_options(struct daemon_options *opt, int argc, char **argv)
{
	enum log_target log_to;
	const char *target;

	assert(opt->ident != NULL && opt->usage != NULL);
	assert(opt->library != NULL);
	int code = parse_options(opt, argc, argv, &target);

	if (code != -1)
		return code;
	/* a reload reads it from another directory */
	char *real = realpath(opt->config, NULL);

	if (real != NULL)
		opt->config = real;
	code = choose_log(opt, target, &log_to);
	if (code != -1)
		return code;
	open_standard_files();
	opt->quiet = log_to == LOG_TO_SYSLOG;
	log_open(opt->ident, log_to);
	if (!opt->test)
		log_hold();
	return -1;
}

int
daemon_detach(struct err *err)
{
	int fds[2], status;
	char byte;

	assert(ready_fd == -1);
	if (pipe2(fds, O_CLOEXEC) == -1) {
		err_set(err, ERR_IO, "pipe: %s", strerror(errno));
		return -1;
	}
	pid_t pid = fork();

	if (pid == -1) {
		err_set(err, ERR_IO, "fork: %s", strerror(errno));
		return -1;
	}
	if (pid > 0) {
		(void)close(fds[1]);
		ssize_t n;

		while ((n = read(fds[0], &byte, 1)) == -1 && errno == EINTR)
			continue;
		if (n == 1)
			_exit(EX_OK);
		/* end of file: it ended without becoming ready */
		if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
			_exit(EX_SOFTWARE);
		_exit(WEXITSTATUS(status));
	}
	(void)close(fds[0]);
	ready_fd = fds[1];
	(void)setsid();
	if (chdir("/") == -1) {
		err_set(err, ERR_IO, "/: %s", strerror(errno));
		return -1;
	}
	return 0;
}

void
daemon_ready(void)
{
	if (ready_fd != -1) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		for (int fd = 0; null != -1 && fd <= 2; fd++)
			(void)dup2(null, fd);
		if (null != -1)
			(void)close(null);
		(void)!write(ready_fd, "r", 1);
		(void)close(ready_fd);
		ready_fd = -1;
	}
	(void)sd_notify(0, "READY=1");
}

static const struct passwd *
find_user(const struct daemon_user *user, struct err *err)
{
	assert(*user->usual != '\0');
	bool said = *user->value != '\0';
	const char *name = said ? user->value : user->usual;
	const struct passwd *pw = getpwnam(name);

	if (pw != NULL)
		return pw;
	if (said)
		err_set(
		    err, ERR_INVALID, "%s: %s: no such user", user->key, name);
	else
		err_set(err, ERR_INVALID,
		    "started as root, and there is no user %s to become: make one (systemd-sysusers, or adduser --system --group %s), or set %s in popgate.conf (\"root\" stays root)",
		    name, name, user->key);
	return NULL;
}

int
daemon_user_check(const struct daemon_user *user, struct err *err)
{
	return geteuid() != 0 || find_user(user, err) != NULL ? 0 : -1;
}

static int
become(const struct passwd *pw, const char *const groups[], struct err *err)
{
	enum { GROUPS = 64, EXTRA = 8 };
	gid_t gids[GROUPS];
	int n = GROUPS - EXTRA;
	uid_t uid = pw->pw_uid;
	gid_t gid = pw->pw_gid;
	char name[64];

	(void)snprintf(name, sizeof(name), "%s", pw->pw_name);
	if (getgrouplist(name, gid, gids, &n) == -1)
		n = GROUPS - EXTRA;
	for (int i = 0; groups[i] != NULL && n < GROUPS; i++) {
		const struct group *gr = getgrnam(groups[i]);

		if (gr != NULL)
			gids[n++] = gr->gr_gid;
	}
	if (setgroups((size_t)n, gids) == -1 ||
	    setresgid(gid, gid, gid) == -1 || setresuid(uid, uid, uid) == -1) {
		err_set(err, ERR_IO, "becoming %s: %s", name, strerror(errno));
		return -1;
	}
	if (setuid(0) == 0) {
		err_set(
		    err, ERR_IO, "becoming %s: root could be regained", name);
		return -1;
	}
	return 0;
}

static size_t
address_space_mb(void)
{
	unsigned long pages = 0;
	FILE *in = fopen("/proc/self/statm", "re");

	if (in == NULL)
		return 0;
	if (fscanf(in, "%lu", &pages) != 1)
		pages = 0;
	(void)fclose(in);
	return pages * (size_t)sysconf(_SC_PAGESIZE) >> 20;
}

const char *
daemon_memory_advice(const char *why, char *buf)
{
	/* popgate-milter's tables of limits, threads and their heaps */
	enum { ENOUGH_MB = 400 };
	static const struct {
		__rlimit_resource_t resource; /* an enum in glibc */
		const char *names;
	} rows[] = { { RLIMIT_AS, "ulimit -v, LimitAS=" },
		{ RLIMIT_DATA, "ulimit -d, LimitDATA=" } };
	size_t used = address_space_mb();
	struct rlimit limit;

	buf[0] = '\0';
	if (strstr(why, "out of memory") == NULL)
		return buf;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		if (getrlimit(rows[i].resource, &limit) == -1 ||
		    limit.rlim_cur == RLIM_INFINITY)
			continue;
		(void)snprintf(buf, DAEMON_ADVICE_MAX,
		    "; this process has %zu MB of address space, and its limit (%s) is %llu MB: allow %zu MB or more, or take the limit away",
		    used, rows[i].names,
		    (unsigned long long)limit.rlim_cur >> 20, used + ENOUGH_MB);
		return buf;
	}
	(void)snprintf(buf, DAEMON_ADVICE_MAX,
	    "; this process has %zu MB of address space and no limit of its own: the machine has no more, or MemoryMax= of the unit, or vm.overcommit_memory is 2",
	    used);
	return buf;
}

int
daemon_drop(const struct daemon_user *user, struct err *err)
{
	if (geteuid() != 0)
		return 0;
	const struct passwd *pw = find_user(user, err);

	if (pw == NULL)
		return -1;
	if (pw->pw_uid != 0)
		return become(pw, user->groups, err);
	log_msg(LOG_WARNING,
	    "%s is \"%s\", so it stays root: a fault in it would be one of the whole machine; user %s is made for it",
	    user->key, user->value, user->usual);
	return 0;
}

void
daemon_log_end(void)
{
	unsigned left = log_stop();

	if (left > 0)
		(void)sd_notifyf(0,
		    "STATUS=ended; the last %u log lines are lost, since nobody took them",
		    left);
}

int
daemon_fail(const struct daemon_options *opt, int code, const char *why)
{
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };
	char text[ERR_TEXT_MAX + DAEMON_ADVICE_MAX], advice[DAEMON_ADVICE_MAX];

	(void)snprintf(
	    text, sizeof(text), "%s%s", why, daemon_memory_advice(why, advice));
	log_msg(LOG_ERR, "%s", text);
	/* like the log, stderr isn't waited for */
	if (opt->quiet && poll(&p, 1, LOG_STOP_MS) == 1)
		(void)fprintf(stderr, "%s: %s\n", opt->ident, text);
	daemon_log_end();
	return code;
}

int
daemon_exit_code(const struct err *err)
{
	switch (err->code) {
	case ERR_INVALID:
	case ERR_VERSION:
		return EX_CONFIG;
	case ERR_NOMEM:
		return EX_OSERR;
	case ERR_BUSY:
		return EX_TEMPFAIL;
	case ERR_NONE:
	case ERR_IO:
	case ERR_CORRUPT:
	case ERR_EMPTY:
		break;
	}
	return EX_CANTCREAT;
}
