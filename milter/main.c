/* popgate-milter - answers Sendmail and Postfix. See popgate-milter(8). */
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <syslog.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/listen.h"
#include "common/base/log.h"
#include "common/base/sockets.h"
#include "common/daemon/daemon.h"
#include "common/daemon/health.h"
#include "common/daemon/http.h"
#include "milter/callbacks.h"
#include "milter/gate.h"
#include "milter/libmilter/interpose.h"
#include "milter/libmilter/nudge.h"
#include "milter/meter.h"
#include "milter/permit.h"
#include "milter/refresh.h"
#include "milter/status.h"

enum {
	REFRESH_MS = 30000,
	TELL_MS = 5000,
	DRAIN_LOOK_MS = 50,
	FILES_MAX = 1 << 20,
	SPARE_FILES = 256,
	TOLD_MAX = 64,
	LIBMILTERS_FILES = 2, /* a pipe that it makes later */
	AFTER_DRAIN_S = 20,
	STACK_BYTES = 512 * 1024
};

static const char usage[] =
    "usage: popgate-milter [-dt] [-c FILE] [-l syslog|stderr|journal]\n"
    "\n"
    "Tell Sendmail and Postfix which clients may relay: those that logged in by\n"
    "POP3 or IMAP a moment ago, that used SMTP AUTH, or that are trusted.\n"
    "\n"
    "  -c, --config FILE  configuration (" CONFIG_DEFAULT_PATH ")\n"
    "  -t, --test         check the configuration and exit\n"
    "  -d, --detach       go to the background when ready\n"
    "  -l, --log TARGET   syslog, stderr or journal (stderr; with -d: syslog)\n"
    "  -V, --version      print versions\n"
    "  -h, --help         print this\n"
    "\n"
    "Signals: SIGTERM and SIGINT stop, SIGUSR1 reads the configuration again.\n"
    "See popgate-milter(8) and popgate.conf(5).\n";

static struct daemon_options opt = { .ident = "popgate-milter",
	.usage = usage };
static const char *const no_groups[] = { NULL };
static atomic_bool milter_failed;

static gid_t
socket_group(const struct config *cfg)
{
	const struct group *gr =
	    *cfg->milter.group == '\0' ? NULL : getgrnam(cfg->milter.group);

	return gr == NULL ? (gid_t)-1 : gr->gr_gid;
}

static int
open_permit(const struct config *cfg, const char *key, const char *text,
    enum protocol_kind kind, struct err *err)
{
	struct listen_spec spec;

	if (*text == '\0')
		return 0;
	if (listen_parse(text, &spec, err) == -1)
		return -1;
	mode_t mode = cfg->milter.mode;
	gid_t gid = socket_group(cfg);
	int fd = listen_open(&spec, mode, gid, err);

	if (fd == -1 || permit_listen(fd, kind, err) == -1)
		return -1;
	sockets_keep(key, &spec, fd, mode, gid, permit_moved, NULL);
	return 0;
}

/* Bound before privileges are dropped, so that the directory need not be
 * ours; nobody is answered before all is ready. */
static int
open_listeners(
    const struct config *cfg, struct listen_spec *spec, struct err *err)
{
	if (*cfg->milter.listen != '\0' &&
	    (listen_parse(cfg->milter.listen, spec, err) == -1 ||
		callbacks_open(
		    spec, cfg->milter.mode, socket_group(cfg), err) == -1))
		return -1;
	if (open_permit(cfg, "permit.policy", cfg->permit.policy,
		PROTOCOL_POLICY, err) == -1)
		return -1;
	return open_permit(cfg, "permit.socketmap", cfg->permit.socketmap,
	    PROTOCOL_SOCKETMAP, err);
}

static void *
milter_thread(void *arg)
{
	(void)arg;
	callbacks_run();
	atomic_store(&milter_failed, true);
	/* the main thread waits for signals */
	(void)kill(getpid(), SIGTERM);
	return NULL;
}

static void
say_restart(const char *key, bool changed)
{
	if (changed)
		log_msg(LOG_WARNING,
		    "reload: %s changed: that needs a "
		    "restart",
		    key);
}

static void
say_restarts(const struct config *was, const struct config *is)
{
#define TEXT(section, key) \
	say_restart(       \
	    #section "." #key, strcmp(was->section.key, is->section.key) != 0)
	TEXT(logins, database);
	TEXT(audit, database);
	TEXT(milter, listen);
	TEXT(milter, user);
	TEXT(milter, group);
	TEXT(milter, status);
	TEXT(metrics, milter);
	TEXT(permit, policy);
	TEXT(permit, socketmap);
#undef TEXT
	say_restart("milter.max_sessions",
	    was->milter.max_sessions != is->milter.max_sessions);
	say_restart("milter.mode", was->milter.mode != is->milter.mode);
	say_restart("audit.queue", was->audit.queue != is->audit.queue);
	say_restart(
	    "audit.max_size", was->audit.max_size != is->audit.max_size);
	say_restart("audit.keep", was->audit.keep_s != is->audit.keep_s);
}

/* The table counts by the windows that it was made for: a limit with another
 * one stays as it was until then. */
static void
keep_windows(const struct config *was, struct config *is)
{
	if (was->relay.ipv6_prefix != is->relay.ipv6_prefix &&
	    (was->relay.ipv6_prefix < 64 || is->relay.ipv6_prefix < 64))
		say_restart("relay.ipv6_prefix (for limits)", true);
	for (int i = 0; i < LIMIT_MESSAGE_RECIPIENTS; i++) {
		const struct limit_rate *old = &was->limits.rate[i];
		struct limit_rate *new = &is->limits.rate[i];
		char key[60];

		if (new->window_s == old->window_s)
			continue;
		if (new->max == 0) {
			new->window_s = old->window_s;
			continue;
		}
		*new = *old;
		(void)snprintf(key, sizeof(key), "the window of limits.%s",
		    limit_name((enum limit)i));
		say_restart(key, true);
	}
}

static void
warn(void *arg, const char *text)
{
	(void)arg;
	log_msg(LOG_WARNING, "%s", text);
}

static void
reload(void)
{
	struct gate_config *gc, *old;
	struct err err;

	(void)sd_notify(0, "RELOADING=1");
	if (gate_config_load(opt.config, &gc, &err) == -1) {
		log_msg(LOG_ERR, "reload: %s; the old configuration stays",
		    err.text);
		health_reloaded(false, err.text);
	} else {
		old = gate_config_take();
		say_restarts(old->cfg, gc->cfg);
		keep_windows(old->cfg, gc->cfg);
		gate_config_give(old);
		facts_open_relay(gc->cfg, warn, NULL);
		facts_socketmap(gc->cfg, true, warn, NULL);
		gate_config_swap(gc);
		refresh_watch();
		log_msg(LOG_NOTICE, "reload: %s is in force", opt.config);
		health_reloaded(true, "");
	}
	(void)sd_notify(0, "READY=1");
}

static void
our_signals(sigset_t *set)
{
	(void)sigemptyset(set);
	(void)sigaddset(set, SIGTERM);
	(void)sigaddset(set, SIGINT);
	(void)sigaddset(set, SIGHUP);
	(void)sigaddset(set, SIGUSR1);
}

/* For systemctl status, and its watchdog. */
static void
tell_systemd(const char *state)
{
	static int64_t told_ms;
	struct audit_stats audit;
	uint64_t per_minute;

	if (clock_monotonic_ms() - told_ms < TELL_MS)
		return;
	told_ms = clock_monotonic_ms();
	gate_audit_stats(&audit);
	uint64_t decisions = meter_decisions(&per_minute);

	(void)sd_notifyf(0,
	    "WATCHDOG=1\nSTATUS=%s%u sessions, %" PRIu64 " decisions, %" PRIu64
	    " in the last minute; %" PRIu64 " rows "
	    "wait for the disk",
	    state, callbacks_sessions(), decisions, per_minute, audit.queued);
}

/* Signals come here and nowhere else: all threads block them, and libmilter
 * is kept from waiting for them (override.c). */
static void
wait_for_end(void)
{
	const struct timespec tick = { .tv_sec = 1 };
	int64_t refreshed_ms = clock_monotonic_ms();
	sigset_t set;

	our_signals(&set);
	for (;;) {
		int sig = sigtimedwait(&set, NULL, &tick);

		if (sig == SIGTERM || sig == SIGINT)
			return;
		if (sig == SIGUSR1 || sig == SIGHUP)
			reload();
		meter_tick();
		refresh_tick();
		sockets_tick();
		tell_systemd("");
		if (clock_monotonic_ms() - refreshed_ms < REFRESH_MS)
			continue;
		refreshed_ms = clock_monotonic_ms();
		gate_refresh_own();
	}
}

/* Let the sessions that are open come to their end, for a while; new ones are
 * refused. The permit channel goes on: they may need it. A second signal
 * ends the waiting. */
static void
drain(void)
{
	const struct timespec tick = { .tv_nsec = DRAIN_LOOK_MS * 1000000L };
	struct gate_config *gc = gate_config_take();
	int64_t wait_s = gc->cfg->milter.drain_timeout_s;
	int64_t until_ms = clock_monotonic_ms() + wait_s * 1000;
	sigset_t set;

	gate_config_give(gc);
	/* also when that is more than the unit's TimeoutStopSec */
	(void)sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%" PRId64,
	    (wait_s + AFTER_DRAIN_S) * 1000000);
	our_signals(&set);
	callbacks_drain();
	status_draining();
	if (callbacks_sessions() > 0)
		log_msg(LOG_NOTICE, "stopping: waiting for %u sessions",
		    callbacks_sessions());
	while (callbacks_sessions() > 0 && !atomic_load(&milter_failed) &&
	    clock_monotonic_ms() < until_ms) {
		int sig = sigtimedwait(&set, NULL, &tick);

		if (sig == SIGTERM || sig == SIGINT)
			break;
		tell_systemd("stopping: ");
	}
}

static void
block_signals(void)
{
	sigset_t set;

	our_signals(&set);
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
}

/* libmilter makes and ends threads all the time. glibc keeps 40 MB of old
 * stacks for new threads: five of the usual size, eighty of this. And it
 * would have eight heaps for each processor, each with its own holes. */
static void
spare_memory(void)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	(void)mallopt(M_ARENA_MAX, processors > 2 ? (int)processors : 2);
#ifndef __SANITIZE_THREAD__ /* which needs more than this for itself */
	pthread_attr_t attr;

	if (pthread_attr_init(&attr) != 0)
		return;
	(void)pthread_attr_setstacksize(&attr, STACK_BYTES);
	(void)pthread_setattr_default_np(&attr);
	(void)pthread_attr_destroy(&attr);
#endif
}

/* How many descriptors we may have; as many as we can. */
static unsigned
raise_nofile(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
		return 1024;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	(void)getrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_cur > FILES_MAX ? FILES_MAX
					  : (unsigned)limit.rlim_cur;
}

static unsigned
at_most(unsigned n, unsigned max)
{
	return n < max ? n : max;
}

/* The lowest descriptor that is free: as many are in use. */
static unsigned
files_used(void)
{
	int fd = open("/", O_PATH | O_CLOEXEC);

	if (fd == -1)
		return 0;
	(void)close(fd);
	return (unsigned)fd + LIBMILTERS_FILES;
}

/* A quarter of the descriptors is kept for the permit channel, another one
 * for databases, logs and the status; of both no more than they can use. The
 * others are libmilter's, some of them for connections that are told that
 * there are too many, or that aren't sessions. The rest is not even taken
 * from the socket. After all that stays open was opened. */
static void
share_files(unsigned files, const struct config *cfg)
{
	unsigned kept = at_most(files / 4, PERMIT_CONNECTIONS_MAX) +
	    at_most(files / 4, SPARE_FILES);
	unsigned used = files_used();
	unsigned room = files - kept > used ? files - kept - used : 1;
	unsigned sessions = room - at_most((room + 7) / 8, TOLD_MAX);

	if (sessions == 0)
		sessions = 1;
	if (cfg->milter.max_sessions > sessions)
		log_msg(LOG_WARNING,
		    "milter.max_sessions: %" PRId64 " are "
		    "more than %u open files leave room for: taken as %u",
		    cfg->milter.max_sessions, files, sessions);
	else if (cfg->milter.max_sessions > 0)
		sessions = (unsigned)cfg->milter.max_sessions;
	callbacks_limit(sessions);
	override_keep_from((int)(used + room));
	permit_numbers((int)(used + room));
}

int
main(int argc, char **argv)
{
	struct listen_spec spec = { .port = 0 };
	struct gate_config *gc;
	pthread_t thread;
	struct err err;
	char versions[64], libmilter[16];

	(void)snprintf(versions, sizeof(versions),
	    "libmilter %s, "
	    "libmicrohttpd %s",
	    callbacks_libmilter_version(libmilter, sizeof(libmilter)),
	    http_library_version());
	opt.library = versions;
	int code = daemon_options(&opt, argc, argv);

	if (code != -1)
		return code;
	if (gate_config_load(opt.config, &gc, &err) == -1)
		return daemon_fail(&opt, EX_CONFIG, err.text);
	facts_open_relay(gc->cfg, warn, NULL);
	facts_socketmap(gc->cfg, !opt.test, warn, NULL);
	const struct config *cfg = gc->cfg;
	const struct daemon_user user = { .key = "milter.user",
		.value = cfg->milter.user,
		.usual = "popgate",
		.groups = no_groups };

	if (daemon_user_check(&user, &err) == -1)
		return daemon_fail(&opt, EX_CONFIG, err.text);
	if (opt.test) {
		gate_config_free(gc);
		return EX_OK;
	}
	bool listens = *cfg->milter.listen != '\0';

	if (!listens && *cfg->permit.policy == '\0' &&
	    *cfg->permit.socketmap == '\0')
		/* NOLINTNEXTLINE: the process ends */
		return daemon_fail(&opt, EX_CONFIG,
		    "nothing to listen on: milter.listen, "
		    "permit.policy and permit.socketmap are empty");
	block_signals();
	unsigned files = raise_nofile();

	spare_memory();
	if (open_listeners(cfg, &spec, &err) == -1 ||
	    daemon_drop(&user, &err) == -1)
		return daemon_fail(&opt, EX_UNAVAILABLE, err.text);
	if (opt.detach && daemon_detach(&err) == -1)
		return daemon_fail(&opt, EX_OSERR, err.text);
	int rc = log_start();

	if (rc != 0)
		return daemon_fail(&opt, EX_OSERR, strerror(rc));
	permit_limit(at_most(files / 4, PERMIT_CONNECTIONS_MAX));
	health_start(opt.ident, opt.config);
	meter_start(*cfg->metrics.milter != '\0');
	if (gate_start(gc, permit_committed, NULL, &err) == -1 ||
	    permit_start(&err) == -1 ||
	    (listens && nudge_start(&spec, &err) == -1))
		return daemon_fail(&opt, EX_CANTCREAT, err.text);
	refresh_watch();
	status_open(cfg);
	share_files(files, cfg);
	log_msg(LOG_NOTICE, "ready: milter %s, policy %s, socketmap %s%s",
	    listens ? cfg->milter.listen : "-",
	    *cfg->permit.policy != '\0' ? cfg->permit.policy : "-",
	    *cfg->permit.socketmap != '\0' ? cfg->permit.socketmap : "-",
	    cfg->relay.mode == RELAY_MONITOR ? "; MONITOR MODE: nothing is "
					       "refused"
		: cfg->relay.monitor_networks.n > 0 ||
		    cfg->relay.monitor_listeners.n > 0
		? "; MONITOR MODE in part"
		: "");
	daemon_ready();
	/* last, since a signal that comes while this thread doesn't wait goes
	 * to libmilter; the sockets listen already */
	if (listens)
		rc = pthread_create(&thread, NULL, milter_thread, NULL);
	if (rc != 0)
		return daemon_fail(&opt, EX_OSERR, strerror(rc));
	wait_for_end();
	(void)sd_notify(0, "STOPPING=1");
	if (listens)
		drain();
	sockets_drop_all(); /* dead ones would only puzzle */
	permit_stop();
	status_close();
	gate_stop();
	/* threads of libmilter run: nothing is freed under them, here or by an
	 * exit handler */
	if (atomic_load(&milter_failed))
		_exit(daemon_fail(&opt, EX_SOFTWARE, "libmilter gave up"));
	log_msg(
	    LOG_NOTICE, "stopped; %u sessions were open", callbacks_sessions());
	daemon_log_end();
	_exit(EX_OK);
}
