/* popgate-collector - follows mail logs and records who logged in from where.
 * Options, signals, privileges, detaching; the work is in collect.c. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <libconfig.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <syslog.h>
#include <unistd.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <systemd/sd-daemon.h>

#include "clock.h"
#include "collect.h"
#include "config.h"
#include "err.h"
#include "log.h"
#include "store.h"

static const char program[] = "popgate-collector";

struct options {
	char *config;
	bool check, detach;
	bool log_given;
	enum log_target log;
};

static void
usage(FILE *out)
{
	(void)fprintf(out,
	    "usage: %s [-td] [-c file] [-l syslog|stderr|journal]\n"
	    "Follows mail logs and records POP and IMAP logins.\n\n"
	    "  -c, --config FILE  configuration (%s)\n"
	    "  -t, --check        check the configuration and exit: 0 or %d\n"
	    "  -d, --detach       run in the background\n"
	    "  -l, --log WHERE    syslog, stderr, or journal (stderr with\n"
	    "                     priorities); default stderr, syslog with -d\n"
	    "      --version      versions of this program and its libraries\n"
	    "      --help         this text\n\n"
	    "SIGTERM and SIGINT end it, SIGHUP and SIGUSR1 make it read the\n"
	    "configuration again.\n", program, CONFIG_DEFAULT_PATH,
	    EX_CONFIG);
}

static void
print_version(void)
{
	char pcre[64];

	(void)pcre2_config(PCRE2_CONFIG_VERSION, pcre);
	(void)printf("%s %s (SQLite %s, libconfig %d.%d.%d, PCRE2 %s)\n",
	    program, POPGATE_VERSION, store_sqlite_version(),
	    LIBCONFIG_VER_MAJOR, LIBCONFIG_VER_MINOR, LIBCONFIG_VER_REVISION,
	    pcre);
}

/* Returns -1 to go on, else the exit code. */
static int
parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "check", no_argument, NULL, 't' },
		{ "detach", no_argument, NULL, 'd' },
		{ "log", required_argument, NULL, 'l' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 }
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "c:tdl:h", longs, NULL)) != -1) {
		switch (opt) {
		case 'c':
			o->config = optarg;
			break;
		case 't':
			o->check = true;
			break;
		case 'd':
			o->detach = true;
			break;
		case 'l':
			o->log_given = true;
			if (log_target_parse(optarg, &o->log))
				break;
			(void)fprintf(stderr, "%s: -l %s: expected syslog, "
			    "stderr or journal\n", program, optarg);
			return EX_USAGE;
		case 'V':
			print_version();
			return EX_OK;
		case 'h':
			usage(stdout);
			return EX_OK;
		default:
			usage(stderr);
			return EX_USAGE;
		}
	}
	if (optind == argc)
		return -1;
	usage(stderr);
	return EX_USAGE;
}

static void
note(int priority, const char *text)
{
	log_msg(priority, "%s", text);
}

/* --- privileges --- */

/* Groups that may read logs: kept, or taken, when root is given up, so that
 * a service user need not be made a member of them. */
static size_t
add_log_groups(gid_t *gids, size_t n, size_t max)
{
	static const char *const names[] = { "adm", "systemd-journal" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const struct group *gr = getgrnam(names[i]);
		size_t j = 0;

		if (gr == NULL || n == max)
			continue;
		while (j < n && gids[j] != gr->gr_gid)
			j++;
		if (j == n)
			gids[n++] = gr->gr_gid;
	}
	return n;
}

static int
drop_privileges(const char *user, struct err *err)
{
	enum { GROUPS = 64 };
	gid_t gids[GROUPS];
	int n = GROUPS - 2;
	const struct passwd *pw;

	if (*user == '\0' || geteuid() != 0)
		return 0;
	pw = getpwnam(user);
	if (pw == NULL) {
		err_set(err, ERR_INVALID, "%s: no such user", user);
		return -1;
	}
	uid_t uid = pw->pw_uid;
	gid_t gid = pw->pw_gid;

	if (getgrouplist(user, gid, gids, &n) == -1)
		n = GROUPS - 2;
	size_t groups = add_log_groups(gids, (size_t)n, GROUPS);

	if (setgroups(groups, gids) == -1 || setresgid(gid, gid, gid) == -1 ||
	    setresuid(uid, uid, uid) == -1) {
		err_set(err, ERR_IO, "becoming %s: %s", user,
		    strerror(errno));
		return -1;
	}
	/* there must be no way back */
	if (uid != 0 && setuid(0) == 0) {
		err_set(err, ERR_IO, "becoming %s: root could be regained",
		    user);
		return -1;
	}
	return 0;
}

/* --- detaching --- */

/* Fork; the parent waits until the child says that it works, and exits with
 * what the child says. Returns the child's end of the pipe, or -1. */
static int
detach_begin(struct err *err)
{
	int ends[2];
	pid_t pid;
	unsigned char code = EX_OSERR;

	if (pipe2(ends, O_CLOEXEC) == -1 || (pid = fork()) == -1) {
		err_set(err, ERR_IO, "fork: %s", strerror(errno));
		return -1;
	}
	if (pid == 0) {
		(void)close(ends[0]);
		(void)setsid();
		if (chdir("/") == 0)
			return ends[1];
		err_set(err, ERR_IO, "/: %s", strerror(errno));
		return -1;
	}
	(void)close(ends[1]);
	while (read(ends[0], &code, 1) == -1 && errno == EINTR)
		;
	_exit(code);
}

static void
detach_end(int ready, unsigned char code)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	/* errors still go to the terminal */
	for (int fd = 0; code == EX_OK && null != -1 && fd <= 2; fd++)
		(void)dup2(null, fd);
	if (null > 2)
		(void)close(null);
	if (write(ready, &code, 1) == -1)
		log_msg(LOG_ERR, "nobody waits for us");
	(void)close(ready);
}

/* --- running --- */

static int
open_signals(struct err *err)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	(void)sigaddset(&set, SIGUSR1);
	(void)signal(SIGPIPE, SIG_IGN);
	int fd = sigprocmask(SIG_BLOCK, &set, NULL) == -1 ? -1 :
	    signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);

	if (fd == -1)
		err_set(err, ERR_IO, "signalfd: %s", strerror(errno));
	return fd;
}

static void
reload(struct collect *c, const char *path)
{
	struct config *cfg;
	struct err err;

	(void)sd_notify(0, "RELOADING=1");
	if (config_load(path, &cfg, &err) == -1 ||
	    collect_reload(c, cfg, &err) == -1)
		log_msg(LOG_ERR, "reload: %s: nothing is changed", err.text);
	else
		log_msg(LOG_NOTICE, "reload: %s: in force", path);
	(void)sd_notify(0, "READY=1");
}

/* Returns true when it is time to end. */
static bool
take_signals(int fd, struct collect *c, const char *path)
{
	struct signalfd_siginfo info;

	while (read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo != SIGHUP && info.ssi_signo != SIGUSR1)
			return true;
		reload(c, path);
	}
	return false;
}

static void
tell_systemd(const struct collect *c)
{
	static int64_t told_ms;
	char status[200];

	if (clock_monotonic_ms() - told_ms < 5000)
		return;
	told_ms = clock_monotonic_ms();
	(void)sd_notifyf(0, "WATCHDOG=1\nSTATUS=%s",
	    collect_status(c, status));
}

static int
run(struct collect *c, int signals, const char *path)
{
	struct err err;

	for (;;) {
		if (collect_wait(c, signals) && take_signals(signals, c, path))
			break;
		if (!collect_step(c))
			break;
		tell_systemd(c);
	}
	(void)sd_notify(0, "STOPPING=1");
	if (collect_finish(c, &err) == 0)
		return EX_OK;
	log_msg(LOG_ERR, "%s: what was not written will be read again",
	    err.text);
	return EX_TEMPFAIL;
}

/* While detaching, the one who started us is told too. */
static int
fail(const struct options *o, int code, const char *text)
{
	log_msg(LOG_ERR, "%s", text);
	if (o->detach && o->log == LOG_TO_SYSLOG)
		(void)fprintf(stderr, "%s: %s\n", program, text);
	return code;
}

static int
exit_code(const struct err *err)
{
	switch (err->code) {
	case ERR_INVALID:
	case ERR_VERSION:
		return EX_CONFIG;
	case ERR_NOMEM:
		return EX_OSERR;
	case ERR_BUSY:
		return EX_TEMPFAIL;
	default:
		return EX_CANTCREAT;
	}
}

/* Returns the exit code. cfg is taken over.
 *   ready  who waits for us to work; -1 nobody, set to that once told */
static int
serve(const struct options *o, struct config *cfg, int *ready)
{
	struct collect *c = NULL;
	struct err err;
	int code;
	int signals = open_signals(&err);

	if (signals == -1) {
		config_free(cfg);
		return fail(o, EX_OSERR, err.text);
	}
	if (drop_privileges(cfg->collector.user, &err) == -1) {
		config_free(cfg);
		code = fail(o, EX_NOPERM, err.text);
		goto out;
	}
	if (collect_create(cfg, note, &c, &err) == -1) {
		code = fail(o, exit_code(&err), err.text);
		goto out;
	}
	if (collect_start(c, &err) == -1) {
		code = fail(o, exit_code(&err), err.text);
		/* in the foreground somebody restarts us for ever anyway:
		 * better to stay and say what is wrong */
		if (o->detach || err.code == ERR_VERSION)
			goto out;
	}
	log_msg(LOG_NOTICE, "started, %zu sources", cfg->collector.n_sources);
	if (cfg->collector.n_sources == 0)
		log_msg(LOG_WARNING, "collector.sources is empty: there is "
		    "nothing to follow");
	if (o->detach)
		detach_end(*ready, EX_OK);
	*ready = -1;
	(void)sd_notify(0, "READY=1");
	code = run(c, signals, o->config);
	log_msg(LOG_NOTICE, "stopped");
out:
	collect_free(&c);
	(void)close(signals);
	return code;
}

int
main(int argc, char **argv)
{
	static char path[] = CONFIG_DEFAULT_PATH;
	struct options o = { .config = path };
	struct config *cfg;
	struct err err;
	int code = parse_options(argc, argv, &o), ready = -1;

	if (code != -1)
		return code;
	if (config_load(o.config, &cfg, &err) == -1 ||
	    collect_check(cfg, &err) == -1) {
		(void)fprintf(stderr, "%s: %s\n", program, err.text);
		config_free(cfg);
		return exit_code(&err);
	}
	if (o.check) {
		config_free(cfg);
		return EX_OK;
	}
	/* to be found at a reload, when we are in another directory */
	o.config = realpath(o.config, NULL);
	if (o.config == NULL) {
		perror(program);
		return EX_OSERR;
	}
	if (!o.log_given)
		o.log = o.detach ? LOG_TO_SYSLOG : LOG_TO_STDERR;
	if (o.detach && (ready = detach_begin(&err)) == -1) {
		(void)fprintf(stderr, "%s: %s\n", program, err.text);
		return EX_OSERR;
	}
	log_open(program, o.log);
	(void)umask(027);
	code = serve(&o, cfg, &ready);
	if (ready != -1)
		detach_end(ready, (unsigned char)code);
	free(o.config);
	return code;
}
