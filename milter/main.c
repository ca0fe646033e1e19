/* SPDX-License-Identifier: ISC */
/* popgate-milter - answers Postfix, Sendmail and Exim. See popgate-milter(8).
 */
#include <grp.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
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
#include "milter/fleet.h"
#include "milter/gate.h"
#include "milter/libmilter/interpose.h"
#include "milter/libmilter/nudge.h"
#include "milter/libmilter/serve.h"
#include "milter/meter.h"
#include "milter/permit.h"
#include "milter/process.h"
#include "milter/reload.h"
#include "milter/status.h"

enum {
	REFRESH_MS = 30000,
	TELL_MS = 5000,
	DRAIN_LOOK_MS = 50,
	AFTER_DRAIN_S = 20,
};

static const char usage[] =
    "usage: popgate-milter [-dt] [-c FILE] [-l syslog|stderr|journal]\n"
    "\n"
    "Tell Postfix, Sendmail and Exim which clients may relay: those that logged in by\n"
    "POP3 or IMAP a moment ago, that used SMTP AUTH, that showed a listed certificate,\n"
    "or that are trusted.\n"
    "\n" DAEMON_USAGE "See popgate-milter(8) and popgate.conf(5).\n";

static struct daemon_options opt = { .ident = "popgate-milter",
	.usage = usage };
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
		serve_open(callbacks(), spec, cfg->milter.mode,
		    socket_group(cfg), err) == -1))
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
	serve_run();
	atomic_store(&milter_failed, true);
	/* the main thread waits for signals */
	(void)kill(getpid(), SIGTERM);
	return NULL;
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
	    " in the last minute; %" PRIu64 " rows wait for the disk",
	    state, callbacks_sessions(), decisions, per_minute, audit.queued);
}

/* Signals come here and nowhere else: all threads block them, and libmilter
 * is kept from waiting for them (libmilter/interpose.c). */
static void
wait_for_end(void)
{
	const struct timespec tick = { .tv_sec = 1 };
	int64_t refreshed_ms = clock_monotonic_ms();
	sigset_t set;

	process_signals(&set);
	for (;;) {
		int sig = sigtimedwait(&set, NULL, &tick);

		if (sig == SIGTERM || sig == SIGINT)
			return;
		if (sig == SIGUSR1 || sig == SIGHUP)
			reload_now(opt.config);
		meter_tick();
		reload_changed_lists();
		health_tick();
		tell_systemd("");
		if (clock_monotonic_ms() - refreshed_ms < REFRESH_MS)
			continue;
		refreshed_ms = clock_monotonic_ms();
		gate_refresh_own();
	}
}

/* Refuse new sessions, and wait for the open ones to end: for
 * milter.drain_timeout at most, or until a second signal. The permit channel
 * goes on, since they may need it. */
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
	process_signals(&set);
	callbacks_drain();
	health_draining();
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
share_files(unsigned files, const struct config *cfg)
{
	struct process_share share =
	    process_share_files(files, process_files_used());
	int64_t wanted = cfg->milter.max_sessions;

	if (wanted > share.sessions)
		log_msg(LOG_WARNING,
		    "milter.max_sessions: %" PRId64
		    " are more than %u open files leave room for: taken as %u",
		    wanted, files, share.sessions);
	else if (wanted > 0)
		share.sessions = (unsigned)wanted;
	callbacks_limit(share.sessions);
	interpose_keep_from(share.others_from);
	permit_numbers(share.others_from);
}

static const char *
or_dash(const char *text)
{
	return *text != '\0' ? text : "-";
}

static void
say_ready(const struct config *cfg)
{
	log_msg(LOG_NOTICE, "ready: milter %s, policy %s, socketmap %s%s",
	    or_dash(cfg->milter.listen), or_dash(cfg->permit.policy),
	    or_dash(cfg->permit.socketmap),
	    cfg->relay.mode == RELAY_MONITOR
		? "; MONITOR MODE: nothing is refused"
		: cfg->relay.mode == RELAY_OBSERVE
		? "; OBSERVE MODE: nothing is refused or permitted"
		: cfg->relay.monitor_networks.n > 0 ||
		    cfg->relay.monitor_listeners.n > 0
		? "; MONITOR MODE in part"
		: "");
}

static int
read_options(int argc, char **argv)
{
	static char versions[64];
	char libmilter[16];

	(void)snprintf(versions, sizeof(versions),
	    "libmilter %s, libmicrohttpd %s",
	    serve_libmilter_version(libmilter, sizeof(libmilter)),
	    http_library_version());
	opt.library = versions;
	return daemon_options(&opt, argc, argv);
}

/* The sockets listen already: from now on libmilter answers. 0, or an error of
 * errno. */
static int
start_libmilter(void)
{
	pthread_t thread;

	return pthread_create(&thread, NULL, milter_thread, NULL);
}

/* Start all threads but libmilter's. Descriptors are shared when all that stays
 * open was opened. */
static int
start_threads(struct gate_config *gc, const struct listen_spec *spec,
    unsigned files, struct err *err)
{
	const struct config *cfg = gc->cfg;

	permit_limit(process_permit_connections(files));
	health_start(opt.ident, opt.config);
	meter_start(*cfg->metrics.milter != '\0');
	if (gate_start(gc, permit_committed, NULL, err) == -1 ||
	    fleet_start(cfg, err) == -1 || permit_start(err) == -1 ||
	    (*cfg->milter.listen != '\0' && nudge_start(spec, err) == -1))
		return -1;
	reload_watch_lists();
	status_open(cfg);
	share_files(files, cfg);
	return 0;
}

/* Threads of libmilter still run: nothing is freed under them, neither here nor
 * by an exit handler. */
static _Noreturn void
stop(bool listens)
{
	(void)sd_notify(0, "STOPPING=1");
	if (listens)
		drain();
	sockets_drop_all(); /* dead ones would only puzzle */
	permit_stop();
	health_close();
	gate_stop();
	if (atomic_load(&milter_failed))
		_exit(daemon_fail(&opt, EX_SOFTWARE, "libmilter gave up"));
	log_msg(
	    LOG_NOTICE, "stopped; %u sessions were open", callbacks_sessions());
	daemon_log_end();
	_exit(EX_OK);
}

static struct daemon_user
user_of(const struct config *cfg)
{
	static const char *const no_groups[] = { NULL };

	return (struct daemon_user){
		.key = "milter.user",
		.value = cfg->milter.user,
		.usual = "popgate",
		.groups = no_groups,
	};
}

static bool
has_listeners(const struct config *cfg)
{
	return *cfg->milter.listen != '\0' || *cfg->permit.policy != '\0' ||
	    *cfg->permit.socketmap != '\0';
}

int
main(int argc, char **argv)
{
	struct listen_spec spec = { .port = 0 };
	struct gate_config *gc;
	struct err err;
	int code = read_options(argc, argv);

	if (code != -1)
		return code;
	if (gate_config_load(opt.config, &gc, &err) == -1)
		return daemon_fail(&opt, EX_CONFIG, err.text);
	const struct config *cfg = gc->cfg;
	const struct daemon_user user = user_of(cfg);

	reload_warn(gc, !opt.test);
	if (daemon_user_check(&user, &err) == -1)
		return daemon_fail(&opt, EX_CONFIG, err.text);
	if (opt.test) {
		gate_config_free(gc);
		return EX_OK;
	}
	if (!has_listeners(cfg))
		/* NOLINTNEXTLINE: the process ends */
		return daemon_fail(&opt, EX_CONFIG,
		    "nothing to listen on: milter.listen, permit.policy and permit.socketmap are empty");
	process_block_signals();
	unsigned files = process_raise_files();

	process_spare_memory();
	if (open_listeners(cfg, &spec, &err) == -1 ||
	    daemon_drop(&user, &err) == -1)
		return daemon_fail(&opt, EX_UNAVAILABLE, err.text);
	if (opt.detach && daemon_detach(&err) == -1)
		return daemon_fail(&opt, EX_OSERR, err.text);
	int rc = log_start();

	if (rc != 0)
		return daemon_fail(&opt, EX_OSERR, strerror(rc));
	if (start_threads(gc, &spec, files, &err) == -1)
		return daemon_fail(&opt, EX_CANTCREAT, err.text);
	say_ready(cfg);
	daemon_ready();
	/* a reload frees cfg */
	bool listens = *cfg->milter.listen != '\0';

	rc = listens ? start_libmilter() : 0;
	if (rc != 0)
		return daemon_fail(&opt, EX_OSERR, strerror(rc));
	wait_for_end();
	stop(listens);
}
