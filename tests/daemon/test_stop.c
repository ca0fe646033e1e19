/* SPDX-License-Identifier: ISC */
/* Stopping, and too much of everything: sessions end in peace, nothing opens
 * when there is no room, probes and scans leave nothing behind. */
#include "tests/daemon/lab.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
enum { RSS_SLACK_KIB = 300000 };
#else
enum { RSS_SLACK_KIB = 2900 };
#endif

/* A number of a line in the daemon's /proc/PID/status or stat. */
static long
proc_status(const char *key)
{
	char name[64], line[400];
	long n = -1;

	(void)snprintf(
	    name, sizeof(name), "/proc/%ld/status", (long)daemon_pid);
	FILE *in = fopen(name, "r");

	assert_non_null(in);
	while (fgets(line, sizeof(line), in) != NULL)
		if (strncmp(line, key, strlen(key)) == 0)
			n = strtol(line + strlen(key), NULL, 10);
	(void)fclose(in);
	assert_int_not_equal(n, -1);
	return n;
}

/* Processor time of the daemon, in clock ticks. */
static long
proc_ticks(void)
{
	char name[64], text[1000];

	(void)snprintf(name, sizeof(name), "/proc/%ld/stat", (long)daemon_pid);
	FILE *in = fopen(name, "r");

	assert_non_null(in);
	text[fread(text, 1, sizeof(text) - 1, in)] = '\0';
	(void)fclose(in);
	char *p = strrchr(text, ')') + 1, *save = NULL;
	long ticks = 0;
	int i = 3;

	for (p = strtok_r(p, " ", &save); p != NULL;
	     p = strtok_r(NULL, " ", &save), i++)
		if (i == 14 || i == 15)
			ticks += strtol(p, NULL, 10);
	return ticks;
}

static unsigned
open_files(void)
{
	char name[64];
	unsigned n = 0;

	(void)snprintf(
	    name, sizeof(name), "ls /proc/%ld/fd | wc -l", (long)daemon_pid);
	FILE *in = popen(name, "r");

	assert_non_null(in);
	assert_int_equal(fscanf(in, "%u", &n), 1);
	(void)pclose(in);
	return n;
}

/* A session that is open when SIGTERM comes goes on to its end, and what it
 * decides is on disk; who comes now is hung up on. */
static void
drain(void **state)
{
	struct mclient *mc = mta("203.0.113.5"), *late;
	struct mclient_reply r;
	int status;

	(void)state;
	login("203.0.113.5", 100);
	/* the one that found the daemon ready has ended */
	wait_until(health_number("sessions") == 1);
	mail(mc, "<s@y.test>");
	assert_accepted(rcpt(mc, REMOTE, "smtp"));
	(void)kill(daemon_pid, SIGTERM);
	do {
		(void)usleep(10000);
		late = mclient_open(sock, 60000);
		assert_non_null(late);
		assert_int_equal(mclient_negotiate(late, NULL), 0);
		status = mclient_reply(late, &r);
		mclient_close(&late);
	} while (status == 0);
	/* the session knows nothing of it; the permit channel is there, too */
	assert_accepted(rcpt(mc, "<y@remote.test>", "smtp"));
	assert_int_equal(data_as(mc, "DRAINED1"), SMFIR_CONTINUE);
	assert_int_equal(mclient_eom(mc), 0);
	assert_int_equal(mclient_reply(mc, &r), 0);
	mail(mc, "<s@y.test>");
	assert_accepted(rcpt(mc, REMOTE, "smtp"));
	assert_int_equal(data_as(mc, "DRAINED2"), SMFIR_CONTINUE);
	int fd = connect_to("policy.sock", SOCK_NONBLOCK);

	assert_int_not_equal(fd, -1);
	(void)close(fd);
	assert_int_equal(waitpid(daemon_pid, &status, WNOHANG), 0);
	mclient_close(&mc);
	/* and with the last one it ends */
	assert_int_equal(waitpid(daemon_pid, &status, 0), daemon_pid);
	daemon_pid = 0;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(sql_int("audit.db",
			     "SELECT count(*) FROM decision "
			     "WHERE queue_id LIKE 'DRAINED_'"),
	    3);
	assert_true(logged("stopping: waiting for 1 sessions") > 0);
	assert_true(logged("stopped; 0 sessions were open") > 0);
}

/* It doesn't wait for ever; and not at all when it is told twice. */
static void
drain_timeout(void **state)
{
	(void)state;
	for (int twice = 0; twice < 2; twice++) {
		struct mclient *mc = mta("203.0.113.5");
		int status;

		wait_until(health_number("sessions") == 1);
		mail(mc, "<s@y.test>");
		assert_reply(rcpt(mc, REMOTE, "smtp"), "550 ");
		if (twice) {
			(void)kill(daemon_pid, SIGTERM);
			wait_until(logged("stopping: waiting for 1 ") > 0);
		}
		status = stop_daemon(SIGTERM);
		mclient_close(&mc);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
		assert_true(logged("stopped; 1 sessions were open") > 0);
		(void)unlink(path("log"));
		/* a refusal that nobody waited for is there all the same */
		assert_int_equal(sql_int("audit.db",
				     "SELECT count(*) FROM "
				     "decision"),
		    twice + 1);
		if (!twice)
			config_milter = "drain_timeout = \"10m\";";
		write_config("", "");
		start_daemon();
	}
}

/* More sessions than allowed: a temporary failure, never an accept; and room
 * again when one has ended. */
static void
too_many_sessions(void **state)
{
	struct mclient *open[3], *mc;
	struct mclient_reply r;

	(void)state;
	assert_int_equal(stop_daemon(SIGTERM), 0);
	config_milter = "max_sessions = 3; drain_timeout = \"0s\";";
	write_config("trusted_networks = [ \"203.0.113.0/24\" ];", "");
	start_daemon();
	/* the one that found the daemon ready */
	wait_until(health_number("sessions") == 0);
	for (int i = 0; i < 3; i++)
		open[i] = mta("203.0.113.5");
	for (int i = 0; i < 5; i++) {
		mc = mclient_open(sock, 60000);
		assert_non_null(mc);
		assert_int_equal(mclient_negotiate(mc, NULL), 0);
		assert_int_equal(mclient_reply(mc, &r), 0);
		assert_int_equal(mclient_connect(mc, "x", "203.0.113.5"), 0);
		assert_int_equal(mclient_reply(mc, &r), 0);
		assert_int_equal(r.code, SMFIR_TEMPFAIL);
		/* an MTA that doesn't listen: nothing is accepted */
		(void)mclient_helo(mc, "x");
		(void)mclient_reply(mc, &r);
		(void)mclient_mail(mc, "<s@y.test>");
		(void)mclient_reply(mc, &r);
		(void)mclient_rcpt(mc, REMOTE);
		if (mclient_reply(mc, &r) == 0)
			assert_int_equal(r.code, SMFIR_TEMPFAIL);
		mclient_close(&mc);
	}
	wait_until(logged("and 3 may be: temporary failure for more") > 0);
	assert_int_equal(health_number("sessions_over_limit"), 5);
	mail(open[0], "<s@y.test>");
	assert_accepted(rcpt(open[0], REMOTE, "smtp"));
	mclient_close(&open[0]);
	/* libmilter notices the end a moment later */
	bool taken = false;

	for (int n = 0; !taken && wait_more(&n);) {
		mc = mclient_open(sock, 60000);
		assert_non_null(mc);
		assert_int_equal(mclient_negotiate(mc, NULL), 0);
		assert_int_equal(mclient_reply(mc, &r), 0);
		assert_int_equal(mclient_connect(mc, "x", "203.0.113.5"), 0);
		assert_int_equal(mclient_reply(mc, &r), 0);
		taken = r.code == SMFIR_CONTINUE;
		if (!taken)
			mclient_close(&mc);
	}
	assert_true(taken);
	mail(mc, "<s@y.test>");
	assert_accepted(rcpt(mc, REMOTE, "smtp"));
	mclient_close(&mc);
	mclient_close(&open[1]);
	mclient_close(&open[2]);
}

static const char policy_request[] =
    "request=smtpd_access_policy\n"
    "protocol_state=RCPT\nclient_address=203.0.113.6\n"
    "recipient=x@remote.test\n\n";

/* Everything but new sessions is served. */
static void
assert_others_are_served(struct mclient *mc)
{
	static char text[65536];

	ask("policy.sock", policy_request, sizeof(policy_request) - 1, text,
	    sizeof(text));
	assert_reply(text, "action=550 ");
	ask("map.sock", "19:popgate 203.0.113.6,", 23, text, sizeof(text));
	assert_non_null(strstr(text, "OK 550 5.7.1 "));
	assert_true(health_number("sessions") > 0);
	assert_non_null(
	    strstr(http_get("metrics.sock", "/metrics", text, sizeof(text)),
		" 200 OK"));
	/* what needs a database */
	mail(mc, "<s@y.test>");
	assert_accepted(rcpt(mc, REMOTE, "smtp"));
	assert_int_equal(data(mc), SMFIR_CONTINUE);
}

/* More milter connections than there are descriptors: sessions, and what says
 * nothing. Databases, permit channel and status have theirs. */
static void
few_files_of(unsigned files)
{
	enum { N = 600 };
	static int idle[N];
	struct mclient *mc;
	char want[100];
	int n = 0;

	assert_int_equal(stop_daemon(SIGTERM), 0);
	daemon_files = files;
	config_milter = "max_sessions = 5000; drain_timeout = \"0s\";";
	write_config("", "");
	start_daemon();
	daemon_files = 0;
	(void)snprintf(want, sizeof(want),
	    "5000 are more than %u open files leave room for: taken as", files);
	wait_until(logged(want) > 0);
	login("203.0.113.5", 1000);
	mc = mta("203.0.113.5");
	/* the map, the tables and the policy have not been used before */
	for (unsigned i = 0; i < 2 * files && n < N; i++) {
		int fd = connect_to("milter.sock", SOCK_NONBLOCK);

		if (fd == -1) { /* the backlog is full */
			(void)usleep(1000);
			continue;
		}
		/* each second one says something */
		if (i % 2 == 0)
			(void)send(fd,
			    "\0\0\0\x0dO\0\0\0\x06\0\0\x01\xff\0\x1f\xff\xff",
			    17, MSG_NOSIGNAL);
		idle[n++] = fd;
	}
	wait_until(logged("milter: hung up on a new connection") > 0);
	for (int i = 0; i < 3; i++)
		assert_others_are_served(mc);
	assert_in_range(open_files(), 0, (long)files - 8);
	assert_int_equal(logged("Too many open files"), 0);
	/* and room again when they have gone */
	for (int i = 0; i < n; i++)
		(void)close(idle[i]);
	wait_until(health_number("sessions") == 1);
	mclient_close(&mc);
	mc = mta_when_taken("203.0.113.5");
	assert_others_are_served(mc);
	mclient_close(&mc);
}

static void
few_files(void **state)
{
	(void)state;
	few_files_of(64);
	few_files_of(256);
}

/* Connections of the permit channel take nothing of what is the milter's. */
static void
shared_files(void **state)
{
	enum { FILES = 256, PERMIT = FILES / 4, MILTER = 85 };
	struct mclient *mc[MILTER];
	int policy[PERMIT];

	(void)state;
	assert_int_equal(stop_daemon(SIGTERM), 0);
	daemon_files = FILES;
	config_milter = "drain_timeout = \"0s\";";
	write_config("", "");
	start_daemon();
	daemon_files = 0;
	for (int i = 0; i < PERMIT; i++) {
		policy[i] = connect_to("policy.sock", SOCK_NONBLOCK);
		wait_until(health_number("permit_connections") == i + 1);
	}
	for (int i = 0; i < MILTER; i++)
		mc[i] = mta("203.0.113.5");
	assert_int_equal(health_number("sessions"), MILTER);
	assert_int_equal(logged("milter: hung up on a new connection"), 0);
	for (int i = 0; i < MILTER; i++)
		mclient_close(&mc[i]);
	for (int i = 0; i < PERMIT; i++)
		(void)close(policy[i]);
}

static void
limit_files(rlim_t n)
{
	const struct rlimit limit = { n, 4096 };

	assert_int_equal(prlimit(daemon_pid, RLIMIT_NOFILE, &limit, NULL), 0);
}

/* Out of descriptors, whoever took them: connections wait at every socket,
 * nothing spins, nothing opens, and it passes. */
static void
out_of_files(void **state)
{
	static const char *const sockets[] = { "milter.sock", "policy.sock",
		"map.sock", "status.sock", "metrics.sock" };
	enum { N = sizeof(sockets) / sizeof(*sockets) };
	char reply[1200];
	int fd[N];

	(void)state;
	limit_files(3);
	for (int i = 0; i < N; i++) {
		fd[i] = connect_to(sockets[i], SOCK_NONBLOCK);
		assert_int_not_equal(fd[i], -1);
	}
	wait_until(logged("milter: accept: Too many open files") > 0 &&
	    logged("permit channel: accept: Too many open files") > 0);
	long before = proc_ticks(), hertz = sysconf(_SC_CLK_TCK);

	(void)sleep(3);
	/* a loop would use all of the three seconds */
	assert_in_range(proc_ticks() - before, 0, hertz / 4);
	assert_int_equal(kill(daemon_pid, 0), 0);
	limit_files(4096);
	for (int i = 0; i < N; i++)
		(void)close(fd[i]);
	for (int n = 0; wait_more(&n);) {
		ask("policy.sock", policy_request, sizeof(policy_request) - 1,
		    reply, sizeof(reply));
		assert_true(strncmp(reply, "action=OK", 9) != 0);
		if (strncmp(reply, "action=550", 10) == 0)
			break;
	}
	assert_reply(reply, "action=550 ");
	assert_int_equal(health_number("sockets_good"), 1);
}

static atomic_bool cease_fire;

/* Sessions as fast as they go, whether somebody listens or not. */
static void *
fire(void *arg)
{
	(void)arg;
	while (!cease_fire) {
		struct mclient *mc = mclient_open(sock, 5000);
		struct mclient_reply r;
		bool good = mc != NULL && mclient_negotiate(mc, NULL) == 0 &&
		    mclient_reply(mc, &r) == 0 &&
		    mclient_connect(mc, "h", "203.0.113.9") == 0 &&
		    mclient_reply(mc, &r) == 0;

		for (int i = 0; good && i < 5; i++)
			good = mclient_mail(mc, "<s@y.test>") == 0 &&
			    mclient_reply(mc, &r) == 0 &&
			    mclient_rcpt(mc, REMOTE) == 0 &&
			    mclient_reply(mc, &r) == 0;
		mclient_close(&mc);
		if (!good)
			(void)usleep(1000);
	}
	return NULL;
}

/* SIGTERM while sessions come, go and are in the middle: libmilter's threads
 * never work at what another one has freed. */
static void
stop_under_fire(void **state)
{
	enum { N = 6, ROUNDS = 20 };
	pthread_t thread[N];

	(void)state;
	cease_fire = false;
	for (int i = 0; i < N; i++)
		assert_int_equal(
		    pthread_create(&thread[i], NULL, fire, NULL), 0);
	for (int i = 0; i < ROUNDS; i++) {
		int seen = health_number("decisions");

		wait_until(health_number("decisions") > seen + 100);
		assert_int_equal(stop_daemon(SIGTERM), 0);
		start_daemon();
	}
	cease_fire = true;
	for (int i = 0; i < N; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
}

/* Too little address space: it doesn't start, and says what to set. */
static void
little_memory(void **state)
{
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
	(void)state;
	skip();
#else
	const char *build = getenv("POPGATE_BUILD");
	char program[300];
	int status;

	(void)state;
	assert_int_equal(stop_daemon(SIGTERM), 0);
	(void)unlink(path("log"));
	(void)snprintf(program, sizeof(program), "%s/popgate-milter",
	    build == NULL ? "build" : build);
	daemon_pid = fork();
	assert_int_not_equal(daemon_pid, -1);
	if (daemon_pid == 0) {
		const struct rlimit limit = { 150000 * 1024, 150000 * 1024 };

		if (setrlimit(RLIMIT_AS, &limit) == -1 ||
		    freopen(path("log"), "a", stderr) == NULL)
			_exit(126);
		(void)execl(program, program, "-c", path("popgate.conf"), "-l",
		    "stderr", (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(daemon_pid, &status, 0), daemon_pid);
	daemon_pid = 0;
	assert_int_not_equal(status, 0);
	assert_int_equal(
	    logged("out of memory: the table of limits needs "), 1);
	assert_int_equal(
	    logged("its limit (ulimit -v, LimitAS=) is 146 MB: allow "), 1);
	start_daemon();
#endif
}

/* Health probes and port scans: connect and hang up, with nothing said, with
 * rubbish, with half a packet; by the thousand. */
static void
probes(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} rows[] = { { "", 0 }, { "\0", 1 }, { "\0\0\0\x0d", 4 },
		{ "\0\0\0\x0dO\0\0\0\x06\0\0", 11 },
		{ "\0\0\0\x0dO\0\0\0\x06\0\0\x01\xff\0\x1f\xff\xff", 17 },
		{ "GET / HTTP/1.0\r\n\r\n", 18 }, { "\xff\xff\xff\xff", 4 },
		{ "EHLO x\r\nQUIT\r\n", 14 }, { "\n\n", 2 },
		{ "request=smtpd_access_policy\nclient_address=", 43 },
		{ "99999999:", 9 }, { "19:popgate 203.0", 16 } };
	enum { ROWS = sizeof(rows) / sizeof(*rows) };
	static const char *const sockets[] = { "milter.sock", "policy.sock",
		"map.sock", "status.sock" };
	long rss = 0;

	(void)state;
	/* the first half warms up what is kept: threads, stacks, pools */
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 3000; i++) {
			int fd = connect_to(sockets[i % 4], SOCK_NONBLOCK);

			if (fd == -1) { /* the backlog is full */
				(void)usleep(1000);
				continue;
			}
			const char *bytes = rows[i / 4 % ROWS].bytes;

			(void)send(
			    fd, bytes, rows[i / 4 % ROWS].len, MSG_NOSIGNAL);
			(void)close(fd);
		}
		wait_until(open_files() < 60);
		if (round == 0)
			rss = proc_status("VmRSS:");
	}
	assert_int_equal(kill(daemon_pid, 0), 0);
	/* 3000 connections left less than a KiB each, which no leak of what
	 * belongs to one does; sanitizers keep things of their own */
	assert_in_range(proc_status("VmRSS:"), 0, rss + RSS_SLACK_KIB);
	struct mclient *mc = mta("203.0.113.99");

	mail(mc, "<s@y.test>");
	assert_reply(rcpt(mc, REMOTE, "smtp"), "550 5.7.1 ");
	assert_accepted(rcpt(mc, "<a@lab.test>", "local"));
	mclient_close(&mc);
}

/* --- stopping while everything happens --- */

enum { STORM_ROUNDS = 12, STORM_MTAS = 2 };

/* Parts of sessions, each cut off anywhere, until nobody answers any more.
 * Runs in a process of its own, which is killed like an MTA is. */
static void
storm_session(uint32_t *seed)
{
	struct mclient *mc = mclient_open(sock, 2000);
	unsigned last = (unsigned)rand_r(seed) % 9;
	bool stays = rand_r(seed) % 3 == 0;
	struct mclient_reply r;

	if (stays)
		last = 9;
	for (unsigned step = 0; mc != NULL && step < last; step++) {
		/* one message behind the other, until it is cut off */
		if (stays && step == 8)
			step = 3;
		int rc = step == 0 ? mclient_negotiate(mc, NULL)
		    : step == 1    ? mclient_connect(mc, "x", "203.0.113.5")
		    : step == 2    ? mclient_helo(mc, "x")
		    : step == 3    ? mclient_mail(mc, "<s@y.test>")
		    : step == 4    ? mclient_rcpt(mc, REMOTE)
		    : step == 5    ? mclient_rcpt(mc, "<a@lab.test>")
		    : step == 6    ? mclient_data(mc)
				   : mclient_eom(mc);

		if (rc == -1 || mclient_reply(mc, &r) == -1)
			break;
	}
	if (mc != NULL && rand_r(seed) % 2 == 0) {
		(void)mclient_quit(mc);
		(void)mclient_flush(mc);
	}
	mclient_close(&mc);
}

static pid_t
storm_mta(uint32_t seed)
{
	static const char request[] = "request=smtpd_access_policy\n"
				      "protocol_state=RCPT\n\n";
	char text[4096];
	pid_t pid = fork();

	assert_int_not_equal(pid, -1);
	if (pid > 0)
		return pid;
	(void)signal(SIGPIPE, SIG_IGN);
	for (;;) {
		storm_session(&seed);
		int fd = connect_to("policy.sock", SOCK_NONBLOCK);

		if (fd != -1) {
			(void)send(fd, request, (size_t)rand_r(&seed) % 40,
			    MSG_NOSIGNAL);
			(void)close(fd);
		}
		if (rand_r(&seed) % 4 == 0)
			(void)http_get(
			    "status.sock", "/health", text, sizeof(text));
	}
}

static void
storm_rest(uint32_t *seed, unsigned max_ms)
{
	(void)usleep((unsigned)rand_r(seed) % (max_ms * 1000));
}

static void
storm_ended(int status, uint32_t seed)
{
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail_msg("it ended with wait status 0x%x; the round's seed: "
			 "POPGATE_SEED=%u",
		    (unsigned)status, seed);
}

static void
storm_round(uint32_t *seed)
{
	pid_t mta_pid[STORM_MTAS];
	uint32_t first = *seed;

	for (unsigned i = 0; i < STORM_MTAS; i++)
		mta_pid[i] = storm_mta(*seed + i);
	storm_rest(seed, 30);
	if (rand_r(seed) % 2 == 0)
		(void)kill(daemon_pid, SIGUSR1);
	storm_rest(seed, 15);
	if (rand_r(seed) % 4 == 0)
		(void)kill(mta_pid[0], SIGKILL);
	if (rand_r(seed) % 4 == 0)
		(void)kill(daemon_pid, SIGHUP);
	if (rand_r(seed) % 3 == 0) {
		(void)kill(daemon_pid, SIGTERM);
		storm_rest(seed, 10);
	}
	int status = stop_daemon(SIGTERM);

	for (unsigned i = 0; i < STORM_MTAS; i++) {
		(void)kill(mta_pid[i], SIGKILL);
		(void)waitpid(mta_pid[i], NULL, 0);
	}
	storm_ended(status, first);
}

/* Told to stop at any moment of its start. Before it looks after signals,
 * SIGTERM ends it as any program. */
static void
storm_start(uint32_t *seed)
{
	uint32_t first = *seed;

	launch_daemon();
	storm_rest(seed, 40);
	int status = stop_daemon(SIGTERM);

	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGTERM)
		storm_ended(status, first);
}

/* Reload, SIGTERM once or twice and a killed MTA at any time, with sessions,
 * permit connections and health probes under way: it ends with status 0, and
 * never by a signal. POPGATE_ROUNDS=2000 asks for more of it, POPGATE_SEED
 * for the same again. */
static void
stop_storm(void **state)
{
	const char *rounds = getenv("POPGATE_ROUNDS");
	const char *given = getenv("POPGATE_SEED");
	uint32_t seed = given == NULL ? (uint32_t)getpid()
				      : (uint32_t)strtoul(given, NULL, 10);
	int n = rounds == NULL ? STORM_ROUNDS : atoi(rounds);

	(void)state;
	assert_true(n > 0);
	config_milter = "drain_timeout = \"1s\";";
	login("203.0.113.5", 100000);
	print_message("stop_storm: %d rounds, POPGATE_SEED=%u\n", n, seed);
	for (int i = 0; i < n; i++) {
		if (i > 0)
			start_daemon();
		storm_round(&seed);
		storm_start(&seed);
	}
	/* for what comes after it */
	start_daemon();
}

static int
patient_setup(void **state)
{
	config_milter = "drain_timeout = \"10m\";";
	return setup(state);
}

static int
quick_setup(void **state)
{
	config_milter = "drain_timeout = \"1s\";";
	return setup(state);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(drain, patient_setup, teardown),
		cmocka_unit_test_setup_teardown(
		    drain_timeout, quick_setup, teardown),
		cmocka_unit_test_setup_teardown(
		    too_many_sessions, quick_setup, teardown),
		cmocka_unit_test_setup_teardown(
		    few_files, quick_setup, teardown),
		cmocka_unit_test_setup_teardown(
		    shared_files, quick_setup, teardown),
		cmocka_unit_test_setup_teardown(
		    out_of_files, quick_setup, teardown),
		cmocka_unit_test_setup_teardown(
		    stop_under_fire, quick_setup, teardown),
		cmocka_unit_test_setup_teardown(
		    little_memory, quick_setup, teardown),
		cmocka_unit_test_setup_teardown(probes, quick_setup, teardown),
		cmocka_unit_test_setup_teardown(
		    stop_storm, quick_setup, teardown),
	};

	cmocka_set_test_filter(getenv("POPGATE_TEST"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
