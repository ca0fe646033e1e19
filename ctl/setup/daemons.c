/* SPDX-License-Identifier: ISC */
/* daemons - popgate-collector and popgate-milter: by systemd where it runs,
 * else started by us, in the background. */
#include <assert.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/listen.h"
#include "common/config/config.h"
#include "ctl/ask_daemon.h"
#include "ctl/setup/journal.h"
#include "ctl/setup/setup.h"

enum {
	WAIT_MS = 120000,
	/* a large database may be brought up to date first: as in the units */
	START_S = 600,
	LOOK_MS = 50,
	DAEMONS = 2
};

/* The collector first: it makes the login table. */
static const char *const names[DAEMONS] = { "popgate-collector",
	"popgate-milter" };

static const char *
status_socket(const struct config *cfg, int i)
{
	return i == 0 ? cfg->collector.status : cfg->milter.status;
}

static bool
by_systemd(void)
{
	return access("/run/systemd/system", F_OK) == 0;
}

/* Does systemctl VERB UNIT say yes? */
static bool
systemd_says(const char *verb, const char *unit)
{
	const char *const argv[] = { "systemctl", verb, "--quiet", unit, NULL };
	char *said = setup_run(argv, NULL);

	free(said);
	return said != NULL;
}

static int
systemd_do(const char *verb, const char *unit, struct err *err)
{
	const char *const argv[] = { "systemctl", verb, unit, NULL };
	char *said = setup_run_for(argv, START_S, err);

	free(said);
	return said == NULL ? -1 : 0;
}

static void
ask(const struct config *cfg, int i, struct probe *p)
{
	static char text[PROBE_TEXT_MAX];

	probe_health(status_socket(cfg, i), names[i], p, text);
}

static bool
runs(const struct config *cfg, int i)
{
	struct probe p;

	if (by_systemd())
		return systemd_says("is-active", names[i]);
	ask(cfg, i, &p);
	return p.result == PROBE_GOOD;
}

/* Without systemd: has it an init script, as the Debian package brings? */
static bool
has_script(int i)
{
	char path[100];

	(void)snprintf(path, sizeof(path), "/etc/init.d/%s", names[i]);
	return access(path, X_OK) == 0;
}

static bool
starts_at_boot(int i)
{
	return !by_systemd() || systemd_says("is-enabled", names[i]);
}

/* Does popgate.conf change? */
static bool
settings_change(const struct setup *s)
{
	return s->n_files > 0 && s->files[0].own;
}

bool
setup_daemons_run(const struct setup *s)
{
	if (settings_change(s))
		return false;
	for (int i = 0; i < DAEMONS; i++)
		if (!runs(s->cfg, i) || !starts_at_boot(i))
			return false;
	return true;
}

/* --- the plan --- */

/* Somebody else's listener at a port that is to be ours. */
static void
look_at_port(struct setup *s, const char *key, const char *value)
{
	struct listen_spec spec;
	struct probe p;

	if (*value == '\0' || listen_parse(value, &spec, NULL) == -1)
		return;
	if (spec.is_unix) {
		probe_listening(value, &p);
		if (p.result != PROBE_GOOD)
			return;
	} else {
		int fd = listen_connect(&spec);

		if (fd == -1)
			return;
		(void)close(fd);
	}
	setup_refuse(s, EX_UNAVAILABLE,
	    "%s = \"%s\" is in use by a program that isn't this popgate-milter: end it, or choose another one",
	    key, value);
}

bool
setup_paths_hold(const char *said, const char *dir)
{
	/* "-" and "+" before a path are systemd's */
	for (const char *at = strchr(said, '='); at != NULL && *at != '\0';) {
		at += strspn(at, "= \t\n-+");

		size_t n = strcspn(at, " \t\n");
		size_t len = n > 0 && at[n - 1] == '/' ? n - 1 : n;

		if (n > 0 && strncmp(at, dir, len) == 0 &&
		    (dir[len] == '\0' || dir[len] == '/'))
			return true;
		at += n;
	}
	return false;
}

/* May the unit's popgate-milter make a socket in this directory? */
static bool
unit_may_write(const char *dir)
{
	static const char *const argv[] = { "systemctl", "show",
		"--property=ReadWritePaths", "popgate-milter", NULL };
	char *said = setup_run(argv, NULL);
	bool may = said != NULL && setup_paths_hold(said, dir);

	free(said);
	return may;
}

/* The user who makes the sockets: see milter.user in popgate.conf(5). */
static const char *
milter_user(const struct config *cfg)
{
	return *cfg->milter.user == '\0' ? "popgate" : cfg->milter.user;
}

/* May this user make a file in this directory, by its mode, his groups or an
 * ACL? A child of his asks. True while he isn't there yet. */
static bool
user_may_write(const char *user, const char *dir)
{
	const struct passwd *pw = getpwnam(user);
	int status = 0;

	if (pw == NULL || pw->pw_uid == 0)
		return true;
	pid_t pid = fork();

	if (pid == 0)
		_exit(initgroups(user, pw->pw_gid) == 0 &&
			    setgid(pw->pw_gid) == 0 &&
			    setuid(pw->pw_uid) == 0 &&
			    access(dir, W_OK | X_OK) == -1
			? 1
			: 0);
	while (pid > 0 && waitpid(pid, &status, 0) == -1 && errno == EINTR)
		continue;
	return pid == -1 || status == 0;
}

/* A socket that is to be elsewhere than in popgate's own directory, as below
 * the queue directory of a chrooted smtpd. */
static void
look_at_directory(struct setup *s, const char *key, const char *value)
{
	const char *group = s->mta == &setup_postfix ? "postfix"
	    : s->group != NULL                       ? s->group
						     : "popgate";
	struct listen_spec spec;

	if (*value == '\0' || listen_parse(value, &spec, NULL) == -1 ||
	    !spec.is_unix || strncmp(spec.path, "/run/popgate/", 13) == 0)
		return;
	char *slash = strrchr(spec.path, '/');

	*slash = '\0';
	if (access(spec.path, F_OK) == -1)
		setup_refuse(s, EX_CONFIG,
		    "%s = \"%s\": there is no such directory; to make it: install -d -o popgate -g %s -m 2755 %s",
		    key, value, group, spec.path);
	else if (!user_may_write(milter_user(s->cfg), spec.path))
		setup_refuse(s, EX_CONFIG,
		    "%s = \"%s\": popgate-milter's user may not make a socket there; give it a directory of its own: install -d -o %s -g %s -m 2755 %s/popgate, and name the socket below that",
		    key, value, milter_user(s->cfg), group, spec.path);
	if (by_systemd() && !unit_may_write(spec.path))
		setup_refuse(s, EX_CONFIG,
		    "%s = \"%s\": the unit of popgate-milter may not write there; say systemctl edit popgate-milter, and put in: [Service], and in the next line ReadWritePaths=-%s",
		    key, value, spec.path);
}

static void
look_at_units(struct setup *s)
{
	for (int i = 0; i < DAEMONS; i++)
		if (!systemd_says("cat", names[i]))
			setup_refuse(s, EX_UNAVAILABLE,
			    "systemd has no unit %s: install popgate (make install PREFIX=/usr), then say systemctl daemon-reload",
			    names[i]);
	if (strcmp(s->ctl->config_path, CONFIG_DEFAULT_PATH) != 0)
		setup_refuse(s, EX_USAGE, "-c %s: the units of systemd read %s",
		    s->ctl->config_path, CONFIG_DEFAULT_PATH);
}

/* The plan's words about the next boot. */
static const char *
at_boot(int i)
{
	if (by_systemd())
		return starts_at_boot(i) ? "" : ", and enable it at boot";
	return has_script(i)
	    ? ""
	    : "; there is no systemd here: have your init start it at boot";
}

void
setup_plan_daemons(struct setup *s)
{
	bool change = settings_change(s);

	if (by_systemd())
		look_at_units(s);
	look_at_directory(s, "milter.listen", s->cfg->milter.listen);
	look_at_directory(s, "permit.policy", s->cfg->permit.policy);
	look_at_directory(s, "permit.socketmap", s->cfg->permit.socketmap);
	if (!runs(s->cfg, 1)) {
		look_at_port(s, "milter.listen", s->cfg->milter.listen);
		look_at_port(s, "permit.policy", s->cfg->permit.policy);
		look_at_port(s, "permit.socketmap", s->cfg->permit.socketmap);
	}
	for (int i = 0; i < DAEMONS; i++) {
		bool now = runs(s->cfg, i);

		if (now && !change && starts_at_boot(i))
			continue;
		setup_say(s, SETUP_DO, "start %s%s%s", names[i],
		    now ? " again, for the new settings" : "", at_boot(i));
	}
}

/* --- before, and back --- */

int
setup_daemons_before(struct setup *s, struct err *err)
{
	for (int i = 0; i < DAEMONS; i++) {
		char act[100];

		(void)snprintf(act, sizeof(act), "daemon %s %s %s", names[i],
		    starts_at_boot(i) ? "enabled" : "disabled",
		    runs(s->cfg, i) ? "running" : "stopped");
		if (journal_add_act(s->journal, act, err) == -1)
			return -1;
	}
	return 0;
}

static void
pause_a_moment(void)
{
	const struct timespec t = { .tv_nsec = LOOK_MS * 1000000L };

	(void)nanosleep(&t, NULL);
}

/* The file of the daemon beside this program. */
static void
program_of(int i, char *buf, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", buf, size - 40);

	buf[n > 0 ? n : 0] = '\0';
	char *slash = strrchr(buf, '/');

	assert(slash != NULL);
	(void)snprintf(slash + 1, 40, "%s", names[i]);
}

/* Without systemd: end it, if it runs, and wait for that. */
static int
end(const struct setup *s, int i, struct err *err)
{
	int64_t until_ms = clock_monotonic_ms() + WAIT_MS;
	char path[500];
	pid_t pid;

	program_of(i, path, sizeof(path));
	while ((pid = setup_process(path, s->ctl->config_path)) != 0) {
		if (kill(pid, SIGTERM) == -1 && errno != ESRCH) {
			err_set(err, ERR_IO, "%s (process %ld): %s", names[i],
			    (long)pid, strerror(errno));
			return -1;
		}
		if (clock_monotonic_ms() > until_ms) {
			err_set(err, ERR_BUSY, "%s (process %ld) doesn't end",
			    names[i], (long)pid);
			return -1;
		}
		pause_a_moment();
	}
	return 0;
}

/* In the background; it keeps nothing of ours open. */
static int
begin(const struct setup *s, int i, struct err *err)
{
	char path[500];

	program_of(i, path, sizeof(path));
	const char *const argv[] = { path, "-c", s->ctl->config_path, "-d",
		NULL };
	char *said = setup_run_for(argv, START_S, err);

	free(said);
	return said == NULL ? -1 : 0;
}

int
setup_daemon_back(const struct setup *s, const char *act, struct err *err)
{
	char name[40], boot[20], state[20];
	int i = 0, ret;

	if (sscanf(act, "daemon %39s %19s %19s", name, boot, state) != 3)
		return 0;
	while (i < DAEMONS && strcmp(name, names[i]) != 0)
		i++;
	if (i == DAEMONS)
		return 0;
	bool running = strcmp(state, "running") == 0;

	if (by_systemd()) {
		ret = systemd_do(running ? "restart" : "stop", name, err);
		if (strcmp(boot, "disabled") == 0 &&
		    systemd_do("disable", name, err) == -1)
			ret = -1;
		return ret;
	}
	ret = end(s, i, err);
	return ret == 0 && running ? begin(s, i, err) : ret;
}

/* --- start --- */

/* Has it ended, or given up? */
static bool
has_failed(const struct setup *s, int i)
{
	char path[500];

	if (by_systemd())
		return systemd_says("is-failed", names[i]);
	program_of(i, path, sizeof(path));
	return setup_process(path, s->ctl->config_path) == 0;
}

static int
wait_until_good(const struct setup *s, int i, struct err *err)
{
	int64_t until_ms = clock_monotonic_ms() + WAIT_MS;
	struct probe p;

	do {
		ask(s->cfg, i, &p);
		if (p.result == PROBE_GOOD || p.result == PROBE_NOT_SET)
			return 0;
		pause_a_moment();
	} while (clock_monotonic_ms() < until_ms && !has_failed(s, i));
	err_set(err, ERR_IO, "%s doesn't answer: %s; its log says why",
	    names[i], p.words);
	return -1;
}

/* The sockets get the group of their directory; the mail server is in it. The
 * unit does the same. */
static void
set_group(const char *group)
{
	const struct group *gr = group == NULL ? NULL : getgrnam(group);

	if (gr != NULL)
		(void)setup_own_directory(
		    "/run/popgate", (uid_t)-1, gr->gr_gid, 02755, NULL);
}

int
setup_start_daemons(struct setup *s, struct err *err)
{
	bool change = settings_change(s);

	for (int i = 0; i < DAEMONS; i++) {
		bool now = runs(s->cfg, i);
		int ret = 0;

		if (by_systemd()) {
			if (!starts_at_boot(i))
				ret = systemd_do("enable", names[i], err);
			if (ret == 0 && (!now || change))
				ret = systemd_do("restart", names[i], err);
		} else if (!now || change) {
			set_group("postfix");
			ret = end(s, i, err);
			if (ret == 0)
				ret = begin(s, i, err);
		}
		if (ret == -1 || wait_until_good(s, i, err) == -1)
			return -1;
	}
	return 0;
}
