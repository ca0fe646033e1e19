/* SPDX-License-Identifier: ISC */
#include "tests/daemon/lab.h"

#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

enum { REPLY_MS = 60000 };

char dir[64], sock[96];
pid_t daemon_pid;
unsigned daemon_files;
const char *daemon_log = "stderr";
void (*daemon_log_open)(void);
const char *config_milter = "drain_timeout = \"1s\";";

const char *config_policy;

const char *
path(const char *name)
{
	static char buf[4][128];
	static int i;

	i = (i + 1) % 4;
	(void)snprintf(buf[i], sizeof(buf[i]), "%s/%s", dir, name);
	return buf[i];
}

/* Counted like any, but a test may send as much as it can. */
static const char high_limits[] =
    "limits: { client_recipients = "
    "\"10000000/1h\"; client_messages = \"10000000/1h\"; client_senders = "
    "\"10000000/1h\"; user_recipients = \"10000000/1h\"; user_messages = "
    "\"10000000/1h\"; user_clients = \"10000000/1d\"; };\n";

void
write_config(const char *relay, const char *audit)
{
	FILE *out = fopen(path("popgate.conf"), "w");

	assert_non_null(out);
	(void)fprintf(out,
	    "logins: { database = \"%s/logins.db\"; };\n"
	    "audit: { database = \"%s/audit.db\"; %s };\n"
	    "milter: { listen = \"unix:%s\"; status = \"unix:%s/status.sock"
	    "\"; user = \"root\"; %s };\n"
	    "permit: { policy = \"%s%s\"; socketmap = "
	    "\"unix:%s/map.sock\"; };\n"
	    "metrics: { milter = \"unix:%s/metrics.sock\"; };\n"
	    "relay: { local_domains = [ \"lab.test\" ]; %s };\n%s",
	    dir, dir, audit, sock, dir, config_milter,
	    config_policy == NULL ? "unix:" : "",
	    config_policy == NULL ? path("policy.sock") : config_policy, dir,
	    dir, relay, strstr(relay, "limits:") == NULL ? high_limits : "");
	assert_int_equal(fclose(out), 0);
}

int
logged(const char *text)
{
	static char log[4000000];
	FILE *in = fopen(path("log"), "r");
	int n = 0;

	assert_non_null(in);
	size_t len = fread(log, 1, sizeof(log) - 1, in);

	(void)fclose(in);
	log[len] = '\0';
	for (const char *p = log; (p = strstr(p, text)) != NULL; p++)
		n++;
	return n;
}

void
wait_logged(const char *text, int want)
{
	for (int n = 0; logged(text) != want && wait_more(&n);)
		continue;
	assert_int_equal(logged(text), want);
}

/* Run statements on one of the databases, as another process would. */
void
sql(const char *db, const char *text)
{
	sqlite3 *h;
	char *message = NULL;

	assert_int_equal(sqlite3_open(path(db), &h), SQLITE_OK);
	(void)sqlite3_busy_timeout(h, 60000);
	if (sqlite3_exec(h, text, NULL, NULL, &message) != SQLITE_OK)
		fail_msg("%s: %s", text, message);
	(void)sqlite3_close(h);
}

int
sql_int(const char *db, const char *text)
{
	sqlite3_stmt *stmt;
	sqlite3 *h;

	assert_int_equal(sqlite3_open(path(db), &h), SQLITE_OK);
	(void)sqlite3_busy_timeout(h, 60000);
	if (sqlite3_prepare_v2(h, text, -1, &stmt, NULL) != SQLITE_OK)
		fail_msg("%s: %s", text, sqlite3_errmsg(h));
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	int n = sqlite3_column_int(stmt, 0);

	(void)sqlite3_finalize(stmt);
	(void)sqlite3_close(h);
	return n;
}

void
wait_int(const char *db, const char *text, int want)
{
	for (int n = 0; sql_int(db, text) != want && wait_more(&n);)
		continue;
	assert_int_equal(sql_int(db, text), want);
}

void
make_logins(void)
{
	FILE *in = fopen("sql/logins-001.sql", "r");
	static char text[20000];

	assert_non_null(in);
	size_t n = fread(text, 1, sizeof(text) - 1, in);

	text[n] = '\0';
	(void)fclose(in);
	sql("logins.db", "PRAGMA journal_mode = WAL");
	sql("logins.db", text);
	for (int v = 2;; v++) {
		char name[64];

		(void)snprintf(name, sizeof(name), "sql/logins-%03d.sql", v);
		in = fopen(name, "r");
		if (in == NULL) {
			(void)snprintf(name, sizeof(name),
			    "PRAGMA user_version = %d", v - 1);
			sql("logins.db", name);
			break;
		}
		n = fread(text, 1, sizeof(text) - 1, in);
		text[n] = '\0';
		(void)fclose(in);
		sql("logins.db", text);
	}
	sql("logins.db",
	    "INSERT INTO source (name, inode, position, fingerprint, "
	    "read_at, line_at) VALUES "
	    "('test', 0, 0, '', unixepoch() + 1000, 0)");
}

void
login(const char *client, int seconds)
{
	char text[300];

	(void)snprintf(text, sizeof(text),
	    "INSERT OR REPLACE INTO login "
	    "VALUES ('%s', 'alice', 'imap', 'dovecot', unixepoch(), "
	    "unixepoch(), unixepoch() + %d, 1)",
	    client, seconds);
	sql("logins.db", text);
}

void
launch_daemon(void)
{
	const char *build = getenv("POPGATE_BUILD");
	char program[300], confined[300];

	(void)snprintf(program, sizeof(program), "%s/popgate-milter",
	    build == NULL ? "build" : build);
	(void)snprintf(confined, sizeof(confined), "%s/system/confined",
	    build == NULL ? "build" : build);
	daemon_pid = fork();
	assert_int_not_equal(daemon_pid, -1);
	if (daemon_pid == 0) {
		struct rlimit files = { daemon_files, daemon_files };

		if (daemon_files > 0 && setrlimit(RLIMIT_NOFILE, &files) == -1)
			_exit(125);
		if (daemon_log_open != NULL)
			daemon_log_open();
		else if (freopen(path("log"), "a", stderr) == NULL)
			_exit(126);
		(void)execl(confined, confined,
		    "etc/systemd/popgate-milter.service", program, "-c",
		    path("popgate.conf"), "-l", daemon_log, (char *)NULL);
		_exit(127);
	}
}

/* A connection whose negotiation was answered within reply_ms; NULL if it was
 * hung up on, or wasn't answered. */
static struct mclient *
mta_taken(int reply_ms)
{
	struct mclient *mc = mclient_open(sock, reply_ms);
	struct mclient_reply r;

	if (mc != NULL &&
	    (mclient_negotiate(mc, NULL) != 0 || mclient_reply(mc, &r) != 0))
		mclient_close(&mc);
	return mc;
}

void
start_daemon(void)
{
	struct stat st;

	launch_daemon();
	for (int i = 0; i < 1000; i++) {
		/* an answer says that libmilter runs */
		struct mclient *mc =
		    stat(sock, &st) == 0 ? mta_taken(1000) : NULL;
		bool alive = mc != NULL;

		mclient_close(&mc);
		/* "ready" comes after the audit is open */
		if (alive && stat(path("audit.db"), &st) == 0)
			return;
		(void)usleep(10000);
	}
	fail_msg("popgate-milter did not start: see %s", path("log"));
}

int
stop_daemon(int sig)
{
	int status;

	(void)kill(daemon_pid, sig);
	assert_int_equal(waitpid(daemon_pid, &status, 0), daemon_pid);
	daemon_pid = 0;
	return status;
}

/* The macros, connect and HELO of a connection that was taken. */
static struct mclient *
greet(struct mclient *mc, const char *v, const char *client, unsigned port)
{
	struct mclient_reply r;

	assert_int_equal(mclient_macro(mc, "j", "mail.lab.test"), 0);
	assert_int_equal(mclient_macro(mc, "v", v), 0);
	mclient_port(mc, (uint16_t)port);
	assert_int_equal(mclient_connect(mc, "host.example", client), 0);
	assert_int_equal(mclient_reply(mc, &r), 0);
	assert_int_equal(r.code, SMFIR_CONTINUE);
	assert_int_equal(mclient_helo(mc, "helo.example"), 0);
	assert_int_equal(mclient_reply(mc, &r), 0);
	return mc;
}

struct mclient *
mta_from(const char *v, const char *client, unsigned port)
{
	struct mclient *mc = mta_taken(REPLY_MS);

	assert_non_null(mc);
	return greet(mc, v, client, port);
}

struct mclient *
mta_when_taken(const char *client)
{
	struct mclient *mc = NULL;

	wait_until((mc = mta_taken(REPLY_MS)) != NULL);
	return greet(mc, "test MTA", client, 25);
}

struct mclient *
mta(const char *client)
{
	return mta_from("test MTA", client, 25);
}

void
mail(struct mclient *mc, const char *sender)
{
	struct mclient_reply r;

	assert_int_equal(mclient_mail(mc, sender), 0);
	assert_int_equal(mclient_reply(mc, &r), 0);
	assert_int_equal(r.code, SMFIR_CONTINUE);
}

void
wait_rcpt(struct mclient *mc, const char *to, const char *want)
{
	size_t len = *want == '\0' ? 1 : strlen(want);
	const char *got = rcpt(mc, to, "smtp");

	for (int n = 0; strncmp(got, want, len) != 0 && wait_more(&n);)
		got = rcpt(mc, to, "smtp");
	if (strncmp(got, want, len) != 0)
		fail_msg("got '%s', want '%s'", got, want);
}

/* Returns "" for CONTINUE, else the reply text. */
const char *
rcpt(struct mclient *mc, const char *to, const char *mailer)
{
	static char text[1200];
	struct mclient_reply r;

	assert_int_equal(mclient_macro(mc, "{rcpt_mailer}", mailer), 0);
	assert_int_equal(mclient_rcpt(mc, to), 0);
	assert_int_equal(mclient_reply(mc, &r), 0);
	if (r.code == SMFIR_CONTINUE)
		return "";
	assert_int_equal(r.code, SMFIR_REPLYCODE);
	(void)snprintf(text, sizeof(text), "%s", r.text);
	return text;
}

char
data_as(struct mclient *mc, const char *queue_id)
{
	struct mclient_reply r;

	assert_int_equal(mclient_macro(mc, "i", queue_id), 0);
	assert_int_equal(mclient_data(mc), 0);
	assert_int_equal(mclient_reply(mc, &r), 0);
	return r.code;
}

char
data(struct mclient *mc)
{
	return data_as(mc, "QUEUEID1");
}

bool
greets(struct mclient *mc, const char *client)
{
	struct mclient_reply r;

	return mclient_negotiate(mc, NULL) == 0 && mclient_reply(mc, &r) == 0 &&
	    mclient_macro(mc, "j", "mail.lab.test") == 0 &&
	    mclient_connect(mc, "host.example", client) == 0 &&
	    mclient_reply(mc, &r) == 0 && mclient_helo(mc, "x") == 0 &&
	    mclient_reply(mc, &r) == 0;
}

int
connect_to(const char *name, int flags)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | flags, 0);

	(void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/%s", dir, name);
	if (fd != -1 &&
	    connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

void
ask(const char *name, const char *request, size_t len, char *reply, size_t size)
{
	struct timeval timeout = { .tv_sec = 60 };
	int fd = connect_to(name, 0);

	assert_int_not_equal(fd, -1);
	(void)setsockopt(
	    fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	(void)send(fd, request, len, MSG_NOSIGNAL);
	(void)shutdown(fd, SHUT_WR);
	ssize_t n = recv(fd, reply, size - 1, 0);

	reply[n < 0 ? 0 : n] = '\0';
	if (n < 0)
		(void)snprintf(reply, size, "errno %d", errno);
	(void)close(fd);
}

int
policy_open(void)
{
	struct timeval timeout = { .tv_sec = 60 };
	int fd = connect_to("policy.sock", 0);

	assert_int_not_equal(fd, -1);
	(void)setsockopt(
	    fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	return fd;
}

const char *
policy_ask(int fd, const char *request, int len)
{
	static char reply[1200];

	assert_int_equal(send(fd, request, (size_t)len, MSG_NOSIGNAL), len);
	ssize_t n = recv(fd, reply, sizeof(reply) - 1, 0);

	assert_true(n > (ssize_t)strlen("action="));
	reply[n] = '\0';
	return reply;
}

int64_t
now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

const char *
http_get(const char *name, const char *page, char *text, size_t size)
{
	int fd = connect_to(name, 0);
	char request[100];
	size_t n = 0;
	ssize_t got = 0;

	(void)snprintf(
	    request, sizeof(request), "GET %s HTTP/1.0\r\n\r\n", page);
	if (fd != -1)
		(void)send(fd, request, strlen(request), MSG_NOSIGNAL);
	while (fd != -1 && n < size - 1 &&
	    (got = recv(fd, text + n, size - 1 - n, 0)) > 0)
		n += (size_t)got;
	if (fd != -1)
		(void)close(fd);
	text[n] = '\0';
	return text;
}

int
health_number(const char *key)
{
	static char text[8192];
	char quoted[64];

	(void)http_get("status.sock", "/health", text, sizeof(text));
	(void)snprintf(quoted, sizeof(quoted), "\"%s\":", key);
	const char *at = strstr(text, quoted);

	if (at == NULL)
		fail_msg("no %s in '%s'", quoted, text);
	at += strlen(quoted);
	return strncmp(at, "true", 4) == 0 ? 1 : atoi(at);
}

static void
clean_up(void)
{
	char command[100];

	(void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	assert_int_equal(system(command), 0);
}

int
setup(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "%s", unit_dir());
	(void)snprintf(sock, sizeof(sock), "%s/milter.sock", dir);
	write_config("trusted_networks = [ \"198.51.100.0/24\" ];", "");
	make_logins();
	start_daemon();
	return 0;
}

int
teardown(void **state)
{
	(void)state;
	int status = daemon_pid == 0 ? 0 : stop_daemon(SIGTERM);

	/* a sanitizer's finding makes the exit status, but not of a daemon
	 * that ends by _exit(2) */
	char line[400];
	FILE *in = fopen(path("log"), "r");
	int found = 0;

	while (in != NULL && fgets(line, sizeof(line), in) != NULL)
		found |= strstr(line, "Sanitizer") != NULL ||
		    strstr(line, "runtime error") != NULL;
	if (in != NULL)
		rewind(in);
	while (in != NULL && (status != 0 || found) &&
	    fgets(line, sizeof(line), in) != NULL)
		(void)fputs(line, stderr);
	if (in != NULL)
		(void)fclose(in);
	clean_up();
	return status != 0 || found ? -1 : 0;
}
