/* SPDX-License-Identifier: ISC */
/* Everything at once: sessions, permits, reloads, lists that are read again,
 * denies set and lifted every few milliseconds. Each answer must be legal at
 * its moment. Best run under a thread sanitizer (make tsan).
 * $POPGATE_STORM_S says how long (3 s). */
#include "tests/daemon/lab.h"

#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <time.h>

enum { MTAS = 6, POLICIES = 3 };

/* A fact that the main thread changes: an odd epoch while it does. */
struct fact {
	atomic_uint epoch;
	atomic_bool on;
};

static struct fact denied_client, denied_user, trusted;
static atomic_bool ending;
static atomic_uint strict, loose, illegal;
static char what[300]; /* the first illegal one */
static pthread_mutex_t what_lock = PTHREAD_MUTEX_INITIALIZER;

struct view {
	unsigned epoch;
	bool on;
};

static struct view
view(const struct fact *f)
{
	struct view v = { .epoch = atomic_load(&f->epoch) };

	v.on = atomic_load(&f->on);
	return v;
}

/* Was it the same all the time since v was taken? */
static bool
steady(const struct fact *f, const struct view *v)
{
	return v->epoch % 2 == 0 && atomic_load(&f->epoch) == v->epoch;
}

/* accepted or refused: allowed says whether it may be either. */
static void
judge(bool known, bool want_accept, const char *got, const char *who)
{
	bool accepted = *got == '\0' || strncmp(got, "action=OK", 9) == 0;
	bool refused = strstr(got, "550 5.7.1 ") != NULL;

	atomic_fetch_add(known ? &strict : &loose, 1);
	if (known ? (want_accept ? accepted : refused) : accepted || refused)
		return;
	if (atomic_fetch_add(&illegal, 1) > 0)
		return;
	(void)pthread_mutex_lock(&what_lock);
	(void)snprintf(what, sizeof(what), "%s: '%.200s', want %s", who, got,
	    known ? want_accept ? "accept" : "550" : "either");
	(void)pthread_mutex_unlock(&what_lock);
}

static const char *
ask_rcpt(struct mclient *mc, const char *to, char *text, size_t size)
{
	struct mclient_reply r;

	if (mclient_rcpt(mc, to) == -1 || mclient_reply(mc, &r) == -1)
		(void)snprintf(text, size, "the connection broke");
	else if (r.code == SMFIR_CONTINUE)
		text[0] = '\0';
	else
		(void)snprintf(text, size, "%s", r.text);
	return text;
}

/* Sessions of three kinds of clients: by login, by AUTH, from a network that
 * is trusted or not. */
static void *
mta_thread(void *arg)
{
	int kind = (int)(intptr_t)arg % 3;
	static const char *const clients[] = { "203.0.113.5", "203.0.113.66",
		"203.0.113.77" };
	const struct fact *fact = kind == 0 ? &denied_client
	    : kind == 1                     ? &denied_user
					    : &trusted;
	char got[1200];
	struct mclient_reply r;

	while (!atomic_load(&ending)) {
		/* trust is what the session began with */
		struct view v = view(fact);
		struct mclient *mc = mclient_open(sock, 20000);

		if (mc == NULL || !greets(mc, clients[kind])) {
			judge(true, true, "no session", "connect");
			mclient_close(&mc);
			continue;
		}
		bool began_steady = steady(fact, &v);

		if (kind == 1) {
			(void)mclient_macro(mc, "{auth_type}", "PLAIN");
			(void)mclient_macro(mc, "{auth_authen}", "bob");
		}
		for (int i = 0; i < 5; i++) {
			(void)mclient_mail(mc, "<s@y.test>");
			(void)mclient_reply(mc, &r);
			if (kind != 2)
				v = view(fact);
			(void)ask_rcpt(mc, REMOTE, got, sizeof(got));
			if (kind == 2)
				judge(began_steady, v.on, got, "trusted");
			else
				judge(steady(fact, &v), !v.on, got,
				    kind == 0 ? "login" : "AUTH");
			judge(true, true,
			    ask_rcpt(mc, "<a@lab.test>", got, sizeof(got)),
			    "ours");
			if (i % 2 == 0) {
				(void)mclient_abort(mc);
				continue;
			}
			if (mclient_data(mc) == -1 ||
			    mclient_reply(mc, &r) == -1 ||
			    r.code != SMFIR_CONTINUE)
				judge(true, true, "DATA refused", "message");
			(void)mclient_eom(mc);
			(void)mclient_reply(mc, &r);
		}
		mclient_close(&mc);
	}
	return NULL;
}

static void *
policy_thread(void *arg)
{
	int fd = connect_to("policy.sock", 0);
	char text[300], got[600];

	(void)arg;
	if (fd == -1)
		judge(true, true, "no connection", "policy");
	for (unsigned i = 0; !atomic_load(&ending); i++) {
		bool login = i % 2 == 0;
		const struct fact *fact = login ? &denied_client : &trusted;
		int n = snprintf(text, sizeof(text),
		    "request="
		    "smtpd_access_policy\nprotocol_state=RCPT\n"
		    "client_address=203.0.113.%s\nrecipient=x@remote.test\n\n",
		    login ? "5" : "77");
		struct view v = view(fact);

		if (send(fd, text, (size_t)n, MSG_NOSIGNAL) != n)
			break;
		ssize_t len = recv(fd, got, sizeof(got) - 1, 0);

		if (len <= 0) {
			judge(true, true, "no answer", "policy");
			break;
		}
		got[len] = '\0';
		judge(steady(fact, &v), login ? !v.on : v.on, got, "policy");
	}
	(void)close(fd);
	return NULL;
}

/* Somebody counts all the while. */
static void *
metrics_thread(void *arg)
{
	static char text[100000];

	(void)arg;
	while (!atomic_load(&ending)) {
		(void)http_get("metrics.sock", "/metrics", text, sizeof(text));
		judge(true, true, strstr(text, "\n# EOF\n") == NULL ? text : "",
		    "metrics");
		(void)usleep(5000);
	}
	return NULL;
}

static void
change_config(bool on)
{
	int before = health_number("reloads");

	atomic_fetch_add(&trusted.epoch, 1);
	write_config(on ? "trusted_networks = [ \"203.0.113.77\" ];" : "",
	    "record = \"all\";");
	(void)kill(daemon_pid, SIGUSR1);
	wait_until(health_number("reloads") != before);
	assert_int_equal(health_number("reload_good"), 1);
	atomic_store(&trusted.on, on);
	atomic_fetch_add(&trusted.epoch, 1);
}

static void
change_deny(sqlite3 *h, struct fact *fact, const char *subject,
    const char *kind, bool on)
{
	char text[200];
	char *message = NULL;

	atomic_fetch_add(&fact->epoch, 1);
	if (on)
		(void)snprintf(text, sizeof(text),
		    "INSERT OR REPLACE INTO "
		    "deny VALUES ('%s', '%s', 1, unixepoch() + 1000, 'x')",
		    subject, kind);
	else
		(void)snprintf(text, sizeof(text),
		    "DELETE FROM deny WHERE "
		    "subject = '%s'",
		    subject);
	if (sqlite3_exec(h, text, NULL, NULL, &message) != SQLITE_OK)
		fail_msg("%s: %s", text, message);
	atomic_store(&fact->on, on);
	atomic_fetch_add(&fact->epoch, 1);
}

static void
storm(void **state)
{
	const char *wanted = getenv("POPGATE_STORM_S");
	int64_t until_ms =
	    now_ms() + 1000 * (wanted == NULL ? 3 : atoi(wanted));
	pthread_t thread[MTAS + POLICIES], counter;
	int changes = 0, config_changes = 0;
	sqlite3 *h;

	(void)state;
	login("203.0.113.5", 100000);
	write_config("", "record = \"all\";");
	(void)kill(daemon_pid, SIGUSR1);
	wait_until(health_number("reloads") == 1);
	assert_int_equal(sqlite3_open(path("logins.db"), &h), SQLITE_OK);
	(void)sqlite3_busy_timeout(h, 5000);
	for (int i = 0; i < MTAS + POLICIES; i++)
		assert_int_equal(pthread_create(&thread[i], NULL,
				     i < MTAS ? mta_thread : policy_thread,
				     (void *)(intptr_t)i),
		    0);
	assert_int_equal(
	    pthread_create(&counter, NULL, metrics_thread, NULL), 0);
	while (now_ms() < until_ms) {
		bool on = changes % 4 < 2;

		if (changes % 2 == 0)
			change_deny(
			    h, &denied_client, "203.0.113.0/27", "client", on);
		else
			change_deny(h, &denied_user, "bob", "user", on);
		if (changes % 3 == 0) {
			change_config(config_changes % 2 == 0);
			config_changes++;
		}
		changes++;
		(void)usleep(2000);
	}
	atomic_store(&ending, true);
	for (int i = 0; i < MTAS + POLICIES; i++)
		(void)pthread_join(thread[i], NULL);
	(void)pthread_join(counter, NULL);
	(void)sqlite3_close(h);
	printf("%u decisions between changes, %u while something changed; "
	       "%d denies, %d reloads\n",
	    atomic_load(&strict), atomic_load(&loose), changes, config_changes);
	if (atomic_load(&illegal) > 0)
		fail_msg("%u illegal: %s", atomic_load(&illegal), what);
	assert_true(atomic_load(&strict) > 100);
	assert_true(changes > 10 && config_changes > 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(storm, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
