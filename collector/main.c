/* SPDX-License-Identifier: ISC */
/* popgate-collector - follows mail logs and records who logged in from where.
 * Options, signals, privileges, detaching; the work is in collect.c. */
#include <errno.h>
#include <libconfig.h>
#include <signal.h>
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

#include "collector/collect.h"
#include "collector/mirror.h"
#include "collector/share.h"
#include "collector/status.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/log.h"
#include "common/config/config.h"
#include "common/daemon/daemon.h"
#include "common/daemon/health.h"
#include "common/daemon/http.h"

static const char usage[] =
    "usage: popgate-collector [-dt] [-c FILE] [-l syslog|stderr|journal]\n"
    "\n"
    "Follow mail logs and record POP and IMAP logins.\n"
    "\n" DAEMON_USAGE "See popgate-collector(8) and popgate.conf(5).\n";

static struct daemon_options opt = { .ident = "popgate-collector",
	.usage = usage };

/* The groups that may read logs. */
static const char *const log_groups[] = { "adm", "systemd-journal", NULL };

static void
note(int priority, const char *text)
{
	char advice[DAEMON_ADVICE_MAX];

	log_msg(priority, "%s%s", text, daemon_memory_advice(text, advice));
}

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
	int fd = sigprocmask(SIG_BLOCK, &set, NULL) == -1
	    ? -1
	    : signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);

	if (fd == -1)
		err_set(err, ERR_IO, "signalfd: %s", strerror(errno));
	return fd;
}

/* The threads beside the loop, each with a configuration of its own: one writes
 * the files of collector.mirror, one shares with other machines. The table is
 * the one that we began with. */
static struct mirror *mirror;
static struct share *share;
static char *database;

static int
load_again(const char *path, struct config **cfg_r, struct err *err)
{
	if (config_load(path, cfg_r, err) == -1)
		return -1;
	char *same = database == NULL ? NULL : strdup(database);

	if (database == NULL)
		database = strdup((*cfg_r)->logins.database);
	if (same != NULL) {
		free((*cfg_r)->logins.database);
		(*cfg_r)->logins.database = same;
	}
	return 0;
}

static void
start_mirror(const char *path)
{
	struct config *cfg;
	struct err err;

	if (load_again(path, &cfg, &err) == 0) {
		mirror_stop(&mirror, cfg);
		if (mirror_start(cfg, note, &mirror, &err) == 0)
			return;
	}
	log_msg(LOG_ERR, "%s", err.text);
}

/* Without what it needs this machine goes on alone. */
static void
start_share(const char *path)
{
	struct config *cfg;
	struct err err;

	if (load_again(path, &cfg, &err) == 0) {
		share_stop(&share);
		if (share_start(cfg, note, &share, &err) == 0)
			return;
	}
	log_msg(LOG_ERR, "nothing is shared: %s", err.text);
}

static void
reload(struct collect *c, const char *path)
{
	struct config *cfg;
	struct err err;

	(void)sd_notify(0, "RELOADING=1");
	bool good = config_load(path, &cfg, &err) == 0;

	if (good) {
		/* it would save rows that another configuration lacks */
		share_stop(&share);
		good = collect_reload(c, cfg, &err) == 0;
		start_share(path);
	}
	if (good) {
		start_mirror(path);
		log_msg(LOG_NOTICE, "reload: %s: in force", path);
	} else {
		log_msg(LOG_ERR, "reload: %s: nothing is changed", err.text);
	}
	health_reloaded(good, good ? "" : err.text);
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
	(void)sd_notifyf(0, "WATCHDOG=1\nSTATUS=%s", collect_status(c, status));
}

static int
run(struct collect *c, int signals, const char *path)
{
	struct collect_figures figures;
	uint64_t told = 0;
	struct err err;

	for (;;) {
		if (collect_wait(c, signals) && take_signals(signals, c, path))
			break;
		if (!collect_step(c))
			break;
		collect_figures(c, &figures);
		status_tell(&figures);
		if (figures.waiting == 0 && figures.logins != told) {
			told = figures.logins;
			mirror_poke(mirror);
			share_poke(share);
		}
		tell_systemd(c);
	}
	(void)sd_notify(0, "STOPPING=1");
	if (collect_finish(c, &err) == 0)
		return EX_OK;
	log_msg(
	    LOG_ERR, "%s: what was not written will be read again", err.text);
	return EX_TEMPFAIL;
}

static struct daemon_user
our_user(const struct config *cfg)
{
	return (struct daemon_user){ .key = "collector.user",
		.value = cfg->collector.user,
		.usual = "popgate-collector",
		.groups = log_groups };
}

/* Returns the exit status. cfg is taken over. */
static int
serve(struct config *cfg)
{
	const struct daemon_user user = our_user(cfg);
	struct collect *c = NULL;
	struct err err;
	int code;
	int signals = open_signals(&err);

	health_start(opt.ident, opt.config);

	if (signals == -1 || daemon_drop(&user, &err) == -1) {
		config_free(cfg);
		code = daemon_fail(
		    &opt, signals == -1 ? EX_OSERR : EX_NOPERM, err.text);
		goto out;
	}
	int rc = log_start();

	if (rc != 0) {
		config_free(cfg);
		code = daemon_fail(&opt, EX_OSERR, strerror(rc));
		goto out;
	}
	if (collect_new(cfg, note, &c, &err) == -1) {
		code = daemon_fail(&opt, daemon_exit_code(&err), err.text);
		goto out;
	}
	bool started = collect_start(c, &err) == 0;

	/* in any case: what a former process left there must not stay */
	start_mirror(opt.config);
	start_share(opt.config);
	if (!started && (opt.detach || err.code == ERR_VERSION)) {
		code = daemon_fail(&opt, daemon_exit_code(&err), err.text);
		goto out;
	}
	/* in the foreground somebody restarts us for ever anyway: better to
	 * stay and say what is wrong */
	if (!started)
		collect_complain(c, &err);
	status_open(cfg);
	log_msg(LOG_NOTICE, "started, %zu sources", cfg->collector.n_sources);
	if (cfg->collector.n_sources == 0)
		log_msg(LOG_WARNING,
		    "collector.sources is empty: there is nothing to follow");
	daemon_ready();
	code = run(c, signals, opt.config);
	status_close();
	log_msg(LOG_NOTICE, "stopped");
out:
	mirror_stop(&mirror, NULL);
	share_stop(&share);
	free(database);
	collect_free(&c);
	if (signals != -1)
		(void)close(signals);
	daemon_log_end();
	return code;
}

int
main(int argc, char **argv)
{
	char pcre[64], libraries[160];
	struct config *cfg;
	struct err err;

	(void)pcre2_config(PCRE2_CONFIG_VERSION, pcre);
	(void)snprintf(libraries, sizeof(libraries),
	    "libconfig %d.%d.%d, "
	    "PCRE2 %s, libmicrohttpd %s",
	    LIBCONFIG_VER_MAJOR, LIBCONFIG_VER_MINOR, LIBCONFIG_VER_REVISION,
	    pcre, http_library_version());
	opt.library = libraries;
	int code = daemon_options(&opt, argc, argv);

	if (code != -1)
		return code;
	if (config_load(opt.config, &cfg, &err) == -1 ||
	    collect_check(cfg, &err) == -1) {
		config_free(cfg);
		return daemon_fail(&opt, EX_CONFIG, err.text);
	}
	const struct daemon_user user = our_user(cfg);

	if (daemon_user_check(&user, &err) == -1) {
		config_free(cfg);
		return daemon_fail(&opt, EX_CONFIG, err.text);
	}
	if (opt.test) {
		config_free(cfg);
		return EX_OK;
	}
	if (opt.detach && daemon_detach(&err) == -1)
		return daemon_fail(&opt, EX_OSERR, err.text);
	(void)umask(027);
	return serve(cfg);
}
