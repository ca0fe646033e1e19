/* SPDX-License-Identifier: ISC */
/* A log that takes nothing: an unread pipe, a syslogd that is stopped, a full
 * disk. Both daemons start, work, read their configuration again and stop as
 * if nothing were wrong; afterwards they say what was lost.
 *
 * Each of these is full before the daemon begins. The last two need mounts of
 * our own, so root. */
#include "tests/daemon/lab.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

enum { ANSWER_MS = 30000, RELAYS = 40 };

static const char noise[] = "noise that nobody reads .......................\n";

/* --- the sinks --- */

static int sink[2]; /* pipe: both ends; syslogd: its socket; disk: the file */

static void
to_sink(void)
{
	if (dup2(sink[1], STDERR_FILENO) == -1)
		_exit(126);
}

static void
pipe_fill(void)
{
	assert_int_equal(pipe2(sink, O_CLOEXEC), 0);
	assert_int_equal(fcntl(sink[1], F_SETFL, O_NONBLOCK), 0);
	while (write(sink[1], noise, sizeof(noise) - 1) > 0)
		continue;
	/* the daemon has the very same open file */
	assert_int_equal(fcntl(sink[1], F_SETFL, 0), 0);
}

/* Has the pipe said text? Waits until enough has come. */
static bool
pipe_said(const char *text)
{
	static char got[4000000];
	static size_t len;
	struct stat st;
	ssize_t n;

	/* a new daemon, a new pipe */
	static ino_t ino;

	assert_int_equal(fstat(sink[0], &st), 0);
	if (st.st_ino != ino)
		len = 0;
	ino = st.st_ino;
	(void)fcntl(sink[0], F_SETFL, O_NONBLOCK);
	while (len + 1 < sizeof(got) &&
	    (n = read(sink[0], got + len, sizeof(got) - 1 - len)) > 0)
		len += (size_t)n;
	got[len] = '\0';
	return strstr(got, text) != NULL;
}

static void
pipe_free(void)
{
	(void)pipe_said("");
}

static void
own_mounts(void)
{
	assert_int_equal(unshare(CLONE_NEWNS), 0);
	assert_int_equal(
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
}

/* A /dev with a syslogd that was told SIGSTOP. Seen by the daemon only. */
static void
stopped_dev(void)
{
	static const struct {
		const char *name;
		unsigned minor;
	} nodes[] = { { "null", 3 }, { "zero", 5 }, { "random", 8 },
		{ "urandom", 9 } };
	char dev[128];

	(void)snprintf(dev, sizeof(dev), "%s", path("dev"));
	if (freopen(path("log"), "a", stderr) == NULL ||
	    unshare(CLONE_NEWNS) == -1 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1 ||
	    mount("tmpfs", dev, "tmpfs", 0, "mode=0755") == -1)
		_exit(120);
	for (size_t i = 0; i < sizeof(nodes) / sizeof(*nodes); i++) {
		char name[200];

		(void)snprintf(name, sizeof(name), "%s/%s", dev, nodes[i].name);
		if (mknod(name, S_IFCHR | 0666, makedev(1, nodes[i].minor)) ==
		    -1)
			_exit(121);
		(void)chmod(name, 0666);
	}
	int fd = open(path("dev/log"), O_CREAT | O_WRONLY, 0666);

	if (fd == -1 || close(fd) == -1 ||
	    mount(path("syslogd"), path("dev/log"), NULL, MS_BIND, NULL) ==
		-1 ||
	    mount(dev, "/dev", NULL, MS_MOVE, NULL) == -1)
		_exit(122);
}

static void
syslogd_fill(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int client = socket(AF_UNIX, SOCK_DGRAM, 0);

	(void)mkdir(path("dev"), 0755);
	(void)unlink(path("syslogd"));
	(void)snprintf(
	    sun.sun_path, sizeof(sun.sun_path), "%s", path("syslogd"));
	sink[0] = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	sink[1] = -1;
	assert_int_equal(
	    bind(sink[0], (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(
	    connect(client, (struct sockaddr *)&sun, sizeof(sun)), 0);
	while (send(client, noise, sizeof(noise) - 1, MSG_DONTWAIT) > 0)
		continue;
	(void)close(client);
}

static bool
syslogd_said(const char *text)
{
	static char line[8192];
	bool said = false;
	ssize_t n;

	while ((n = recv(sink[0], line, sizeof(line) - 1, MSG_DONTWAIT)) > 0) {
		line[n] = '\0';
		said |= strstr(line, text) != NULL;
		/* <22>Nov  9 01:02:03 popgate-...[1]: */
		if (strncmp(line, noise, 5) != 0)
			assert_true(line[0] == '<' && line[3] == '>' &&
			    strncmp(line + 4 + 16, "popgate-", 8) == 0);
	}
	return said;
}

static void
syslogd_free(void)
{
	(void)syslogd_said("");
}

static void
disk_fill(void)
{
	static const char zero[4096];

	own_mounts();
	(void)mkdir(path("disk"), 0755);
	assert_int_equal(
	    mount("tmpfs", path("disk"), "tmpfs", 0, "size=256k"), 0);
	int fd = open(path("disk/other"), O_CREAT | O_WRONLY, 0644);

	assert_int_not_equal(fd, -1);
	sink[0] = -1;
	sink[1] = open(
	    path("disk/log"), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0644);
	assert_int_not_equal(sink[1], -1);
	while (write(fd, zero, sizeof(zero)) > 0)
		continue;
	assert_int_equal(errno, ENOSPC);
	(void)close(fd);
}

static void
disk_free(void)
{
	assert_int_equal(truncate(path("disk/other"), 0), 0);
}

static bool
disk_said(const char *text)
{
	static char got[262144];
	int fd = open(path("disk/log"), O_RDONLY);
	ssize_t n = read(fd, got, sizeof(got) - 1);

	(void)close(fd);
	got[n < 0 ? 0 : n] = '\0';
	/* an admin would make room for all of it */
	assert_int_equal(truncate(path("disk/log"), 0), 0);
	return strstr(got, text) != NULL;
}

static const struct sink {
	const char *name, *target;
	void (*open)(void); /* the daemon's side */
	void (*fill)(void);
	void (*free)(void);
	bool (*said)(const char *text);
	bool root;
} sinks[] = {
	{ "pipe", "stderr", to_sink, pipe_fill, pipe_free, pipe_said, false },
	{ "pipe, journal", "journal", to_sink, pipe_fill, pipe_free, pipe_said,
	    false },
	{ "syslogd", "syslog", stopped_dev, syslogd_fill, syslogd_free,
	    syslogd_said, true },
	{ "disk", "stderr", to_sink, disk_fill, disk_free, disk_said, true },
};

/* --- what must go on --- */

/* One message of two recipients; its rows are on disk when DATA is answered. */
static void
relay_one(int i)
{
	struct mclient *mc = mta("203.0.113.5");
	struct mclient_reply r;
	char id[40], count[120];

	(void)snprintf(id, sizeof(id), "LOG%d", i);
	mail(mc, "<s@y.test>");
	assert_accepted(rcpt(mc, REMOTE, "smtp"));
	assert_accepted(rcpt(mc, "<a@lab.test>", "local"));
	assert_int_equal(data_as(mc, id), SMFIR_CONTINUE);
	assert_int_equal(mclient_eom(mc), 0);
	assert_int_equal(mclient_reply(mc, &r), 0);
	mail(mc, "<s@y.test>");
	assert_accepted(rcpt(mc, "<a@lab.test>", "local"));
	assert_int_equal(data_as(mc, "OWN"), SMFIR_CONTINUE);
	mclient_close(&mc);
	(void)snprintf(count, sizeof(count),
	    "SELECT count(*) FROM decision WHERE queue_id = '%s'", id);
	assert_int_equal(sql_int("audit.db", count), 1);
}

/* Strangers are refused, by both channels; their rows are written. */
static void
refuse_one(void)
{
	static const char request[] = "request=smtpd_access_policy\n"
				      "protocol_state=RCPT\n"
				      "client_address=203.0.113.66\n"
				      "recipient=x@remote.test\n\n";
	struct mclient *mc = mta("203.0.113.66");
	char reply[1200];

	mail(mc, "<s@y.test>");
	for (int i = 0; i < 60; i++)
		assert_reply(rcpt(mc, REMOTE, "smtp"), "550 ");
	mclient_close(&mc);
	ask("policy.sock", request, sizeof(request) - 1, reply, sizeof(reply));
	assert_reply(reply, "action=550 ");
}

/* popgatectl status, or its --json. */
static bool
status_says(const char *text)
{
	const char *build = getenv("POPGATE_BUILD");
	static char out[20000];
	char command[400];

	(void)snprintf(command, sizeof(command),
	    "%s/popgatectl -c %s status 2>&1", build == NULL ? "build" : build,
	    path("popgate.conf"));
	FILE *in = popen(command, "r");

	assert_non_null(in);
	out[fread(out, 1, sizeof(out) - 1, in)] = '\0';
	(void)pclose(in);
	return strstr(out, text) != NULL;
}

static void
milter_works(const struct sink *s)
{
	login("203.0.113.5", 1000);
	for (int i = 0; i < RELAYS; i++) {
		relay_one(i);
		refuse_one();
		if (i % 8 == 0)
			(void)kill(daemon_pid, SIGUSR1);
	}
	wait_until(health_number("reloads") > 0);
	wait_until(health_number("log_stuck_ms") > 0);
	assert_true(health_number("log_waiting") > 100);
	wait_until(health_number("log_stuck_ms") > 5000);
	assert_true(status_says("popgate-milter's log"));
	assert_true(status_says("takes no lines since"));
	/* more than there is room for */
	wait_until((refuse_one(), health_number("log_lost") > 0));
	relay_one(1000);
	s->free();
	wait_until(s->said("log lines were lost in"));
	wait_until((s->said(""), health_number("log_stuck_ms") == 0));
	assert_true(status_says("it takes lines again"));
	relay_one(1001);
}

static int
stop_of(pid_t pid)
{
	int status = -1, looks = 0;

	(void)kill(pid, SIGTERM);
	while (waitpid(pid, &status, WNOHANG) == 0)
		if (!wait_more(&looks)) {
			(void)kill(pid, SIGKILL);
			(void)waitpid(pid, &status, 0);
			fail_msg("it did not stop");
		}
	return status;
}

static void
close_sink(void)
{
	for (int i = 0; i < 2; i++)
		if (sink[i] != -1)
			(void)close(sink[i]);
	(void)umount2(path("disk"), MNT_DETACH);
}

static void
milter_row(const struct sink *s)
{
	s->fill();
	daemon_log = s->target;
	daemon_log_open = s->open;
	start_daemon();
	milter_works(s);
	assert_int_equal(stop_of(daemon_pid), 0);
	daemon_pid = 0;
	/* and it stops while its log hangs */
	close_sink();
	s->fill();
	start_daemon();
	relay_one(2000);
	assert_int_equal(stop_of(daemon_pid), 0);
	daemon_pid = 0;
	close_sink();
	sql("audit.db", "DELETE FROM channel_decision");
}

/* --- the collector --- */

static pid_t
start_collector(const struct sink *s)
{
	const char *build = getenv("POPGATE_BUILD");
	char program[300];
	pid_t pid;

	(void)snprintf(program, sizeof(program), "%s/popgate-collector",
	    build == NULL ? "build" : build);
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid > 0)
		return pid;
	s->open();
	(void)execl(program, program, "-c", path("popgate.conf"), "-l",
	    s->target, (char *)NULL);
	_exit(127);
}

static void
add_login(int i)
{
	char stamp[40];
	time_t now = time(NULL);
	FILE *out = fopen(path("mail.log"), "a");

	assert_non_null(out);
	(void)strftime(
	    stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
	(void)fprintf(out,
	    "%s mail dovecot: imap-login: Login: user=<alice>, "
	    "method=PLAIN, rip=198.51.100.%d, lip=192.0.2.1, mpid=1, "
	    "session=<x>\n",
	    stamp, i);
	assert_int_equal(fclose(out), 0);
}

static bool
collector_says(const char *text)
{
	static char page[20000];

	(void)http_get("collector.sock", "/health", page, sizeof(page));
	return strstr(page, text) != NULL;
}

static void
collector_row(const struct sink *s)
{
	static const char count[] = "SELECT count(*) FROM login WHERE "
				    "client GLOB '198.51.100.*'";

	sql("logins.db", "DELETE FROM login");
	s->fill();
	for (int again = 0; again < 2; again++) {
		pid_t pid = start_collector(s);

		wait_until(collector_says("\"reloads\":0"));
		add_login(1 + 100 * again);
		wait_int("logins.db", count, 1 + 2 * again);
		(void)kill(pid, SIGUSR1);
		wait_until(collector_says("\"reloads\":1"));
		add_login(2 + 100 * again);
		wait_int("logins.db", count, 2 + 2 * again);
		assert_false(collector_says("\"log_stuck_ms\":0,"));
		if (again) {
			s->free();
			wait_until(s->said("stopped") ||
			    collector_says("\"log_stuck_ms\":0,"));
		}
		assert_int_equal(stop_of(pid), 0);
		/* what it could not say in time, it says no more */
		if (again)
			wait_until(s->said("stopped"));
	}
	close_sink();
}

static void
each_sink(void (*row)(const struct sink *s))
{
	for (size_t i = 0; i < sizeof(sinks) / sizeof(*sinks); i++) {
		if (sinks[i].root && geteuid() != 0) {
			print_message("%s: not without root\n", sinks[i].name);
			continue;
		}
		print_message("%s\n", sinks[i].name);
		row(&sinks[i]);
	}
}

static void
milter_goes_on(void **state)
{
	(void)state;
	assert_int_equal(stop_daemon(SIGTERM), 0);
	each_sink(milter_row);
	daemon_log = "stderr";
	daemon_log_open = NULL;
}

/* libmilter calls syslog(3) itself: where it is told nonsense, from a
 * session's thread, and whenever it is stopped. */
static void
libmilter_does_not_wait(void **state)
{
	static const char nonsense[] = "\0\0\0\5O\0\0\0\6";
	char byte;

	(void)state;
	if (geteuid() != 0) {
		print_message("not without root\n");
		return;
	}
	assert_int_equal(stop_daemon(SIGTERM), 0);
	syslogd_fill();
	daemon_log = "stderr";
	daemon_log_open = stopped_dev;
	start_daemon();
	login("203.0.113.5", 1000);
	for (int i = 0; i < 100; i++) {
		struct mclient *mc = mclient_open(sock, ANSWER_MS);

		assert_non_null(mc);
		assert_int_equal(
		    mclient_raw(mc, nonsense, sizeof(nonsense) - 1), 0);
		assert_int_equal(mclient_flush(mc), 0);
		/* hung up on */
		assert_true(recv(mclient_fd(mc), &byte, 1, 0) <= 0);
		mclient_close(&mc);
		if (i % 10 == 0)
			relay_one(i);
	}
	assert_int_equal(stop_of(daemon_pid), 0);
	daemon_pid = 0;
	close_sink();
	daemon_log_open = NULL;
}

static void
collector_goes_on(void **state)
{
	char text[400];

	(void)state;
	assert_int_equal(stop_daemon(SIGTERM), 0);
	(void)close(open(path("mail.log"), O_CREAT | O_WRONLY, 0644));
	(void)snprintf(text, sizeof(text),
	    "}; collector: { user = \"root\"; "
	    "sources = ( { file = \"%s\"; } ); "
	    "status = \"unix:%s\";",
	    path("mail.log"), path("collector.sock"));
	write_config(text, "");
	each_sink(collector_row);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    milter_goes_on, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    libmilter_does_not_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    collector_goes_on, setup, teardown),
	};

	cmocka_set_test_filter(getenv("POPGATE_TEST"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
