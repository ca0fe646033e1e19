/* SPDX-License-Identifier: ISC */
/* The limits of policy row 9, as an MTA meets them: who is counted, for how
 * long, and what is left after kill -9. */
#include "tests/daemon/lab.h"

#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

/* Stop, and start anew with more in the configuration. */
static void
restart_with(const char *text)
{
	assert_int_equal(stop_daemon(SIGTERM), 0);
	write_config(text, "");
	start_daemon();
}

/* How many of n recipients, each its own message in one session, may go;
 * senders differ when many says so. The last answer is in *last_r. */
static int
send_many(const char *client, int n, bool many, const char **last_r)
{
	struct mclient *mc = mta(client);
	int accepted = 0;
	char sender[60], queue_id[20];

	for (int i = 0; i < n; i++) {
		(void)snprintf(sender, sizeof(sender), "<%s%x@victim.test>",
		    many ? "r" : "same", many ? (unsigned)i * 2654435761U : 0);
		assert_int_equal(mclient_macro(mc, "i", NULL), 0);
		mail(mc, sender);
		*last_r = rcpt(mc, REMOTE, "smtp");
		if (**last_r != '\0')
			continue;
		accepted++;
		(void)snprintf(queue_id, sizeof(queue_id), "Q%d", i);
		assert_int_equal(data_as(mc, queue_id), SMFIR_CONTINUE);
	}
	mclient_close(&mc);
	return accepted;
}

#define LIMITS(text) "}; limits: { " text

static void
authenticate(struct mclient *mc, const char *user)
{
	assert_int_equal(mclient_macro(mc, "{auth_type}", "PLAIN"), 0);
	assert_int_equal(mclient_macro(mc, "{auth_authen}", user), 0);
}

/* A login of another user at this client. */
static void
login_as(const char *client, const char *user)
{
	char text[300];

	(void)snprintf(text, sizeof(text),
	    "INSERT OR REPLACE INTO login VALUES ('%s', '%s', 'imap', "
	    "'dovecot', unixepoch(), unixepoch(), unixepoch() + 1000, 1)",
	    client, user);
	sql("logins.db", text);
}

/* Two hijacked mailboxes and three bots, each with a login of both; or one
 * that the server lets in by two spellings: no more goes than one of them may,
 * and both are named, in the log and in the audit. */
static void
limits_of_several_users(void **state)
{
	static const struct {
		const char *first, *second;
	} rows[] = { { "alice", "bob" }, { "carol", "CAROL" },
		{ "dave", "dave@lab.test" } };
	char client[40], text[200];
	const char *last;

	(void)state;
	restart_with(LIMITS("user_recipients = \"10/1h\"; client_recipients = "
			    "\"20/1h\"; deny_for = \"1h\";"));
	for (int i = 0; i < 3; i++) {
		int accepted = 0;

		for (int bot = 1; bot <= 3; bot++) {
			(void)snprintf(
			    client, sizeof(client), "203.0.%d.%d", i, bot);
			login_as(client, rows[i].first);
			login_as(client, rows[i].second);
			accepted += send_many(client, 15, false, &last);
		}
		assert_int_equal(accepted, 10);
		assert_reply(last, "550 5.7.1 ");
		(void)snprintf(text, sizeof(text),
		    "user %s is over limits.user_recipients = 10/1h; logins "
		    "denied until 20",
		    rows[i].second);
		wait_logged(text, 1);
	}
	wait_int("audit.db",
	    "SELECT count(*) FROM breach WHERE kind = 'login' AND subject IN "
	    "('alice', 'bob', 'carol', 'dave', 'dave@lab.test') AND setting = "
	    "'user_recipients' AND denied_until > unixepoch()",
	    5);
	wait_int("audit.db",
	    "SELECT count(*) FROM decision WHERE verdict = 'accept' AND "
	    "login_user IN ('alice,bob', 'bob,alice') AND client LIKE "
	    "'203.0.0.%'",
	    10);
	/* a bystander's login at a bot's address still counts */
	login_as("203.0.0.1", "erin");
	assert_int_equal(send_many("203.0.0.1", 15, false, &last), 10);
	/* all the same after a restart */
	(void)stop_daemon(SIGKILL);
	start_daemon();
	assert_int_equal(send_many("203.0.0.1", 5, false, &last), 0);
	assert_int_equal(send_many("203.0.1.2", 5, false, &last), 0);
	assert_reply(last, "550 5.7.1 ");
}

/* Many recipients, and then no DATA: how many may go. */
static int
ask_only(const char *client, int n, bool abort)
{
	struct mclient *mc = mta(client);
	int accepted = 0;

	mail(mc, "<spam@evil.test>");
	for (int i = 0; i < n; i++)
		accepted += *rcpt(mc, REMOTE, "smtp") == '\0';
	if (abort) {
		assert_int_equal(mclient_abort(mc), 0);
		/* the abort has no reply of its own */
		mail(mc, "<next@evil.test>");
	}
	mclient_close(&mc);
	return accepted;
}

/* By SMTP AUTH, from elsewhere. */
static const char *
relay_by_auth(const char *client, const char *user)
{
	struct mclient *mc = mta(client);

	assert_int_equal(mclient_macro(mc, "{auth_type}", "PLAIN"), 0);
	assert_int_equal(mclient_macro(mc, "{auth_authen}", user), 0);
	mail(mc, "<s@y.test>");
	const char *last = rcpt(mc, REMOTE, "smtp");

	mclient_close(&mc);
	return last;
}

/* Wait until so many recipients are recorded as given up. */
static void
wait_aborted(int n)
{
	wait_int("audit.db",
	    "SELECT count(*) FROM decision WHERE verdict = 'aborted'", n);
}

/* victor has logged in behind an address that others use, too. What they do
 * there, without a password, keeps him from using SMTP AUTH nowhere; and what
 * they only ask keeps nobody from anything. */
static void
strangers_lock_nobody_out(void **state)
{
	const char *last;

	(void)state;
	restart_with(LIMITS("user_recipients = \"10/1h\"; client_recipients = "
			    "\"12/1h\"; deny_for = \"1h\";"));
	login_as("198.51.100.9", "victor");
	login_as("203.0.113.8", "victor");
	/* at most ten at once; then RSET, and in the second session a dropped
	 * connection: all is free again */
	assert_int_equal(ask_only("198.51.100.9", 12, true), 10);
	wait_until(ask_only("203.0.113.8", 1, false) == 1);
	/* a dropped connection frees what it asked for once it is noticed */
	wait_aborted(11);
	assert_accepted(relay_by_auth("203.0.113.77", "victor"));
	/* said, but nobody is denied for what isn't sent */
	wait_logged("user victor is over limits.user_recipients = 10/1h", 1);
	wait_int("audit.db",
	    "SELECT count(*) FROM breach WHERE denied_until IS NOT NULL", 0);
	/* not for ever: of what is asked now two are free again for the client,
	 * and eight count */
	int asked = ask_only("198.51.100.9", 10, true);

	wait_until(ask_only("203.0.113.8", 1, false) == 1);
	wait_aborted(12 + asked + 1); /* one by AUTH, too */
	assert_int_equal(send_many("198.51.100.9", 9, false, &last), 4);
	assert_reply(last, "550 5.7.1 ");
	/* what was given up is known for that, and isn't counted later */
	(void)stop_daemon(SIGKILL);
	sql("audit.db", "DELETE FROM breach");
	start_daemon();
	assert_int_equal(send_many("203.0.113.8", 3, false, &last), 3);
	/* now they send: victor's logins are denied, his AUTH isn't */
	assert_int_equal(send_many("203.0.113.8", 20, false, &last), 3);
	assert_reply(last, "550 5.7.1 ");
	wait_int("audit.db",
	    "SELECT count(*) FROM denial WHERE kind = 'login' AND subject = "
	    "'victor'",
	    1);
	assert_accepted(relay_by_auth("203.0.113.77", "victor"));
	(void)stop_daemon(SIGKILL);
	start_daemon();
	assert_accepted(relay_by_auth("203.0.113.77", "victor"));
	login_as("203.0.113.90", "victor");
	assert_int_equal(send_many("203.0.113.90", 3, false, &last), 0);
	assert_reply(last, "550 5.7.1 ");
	/* whoever has the password has the logins: the other way it counts */
	struct mclient *mc = mta("203.0.113.1");

	for (int i = 0; i < 12; i++) {
		authenticate(mc, "mallory");
		mail(mc, "<s@y.test>");
		last = rcpt(mc, REMOTE, "smtp");
		assert_int_equal(data(mc), SMFIR_CONTINUE);
	}
	mclient_close(&mc);
	assert_reply(last, "550 5.7.1 ");
	login_as("203.0.113.91", "Mallory");
	assert_int_equal(send_many("203.0.113.91", 3, false, &last), 0);
	assert_reply(last, "550 5.7.1 ");
}

static void
limits(void **state)
{
	const char *last;

	(void)state;
	restart_with(LIMITS("client_recipients = \"7/1h\"; "
			    "message_recipients = 3;"));
	login("203.0.113.5", 1000);
	login("203.0.113.6", 1000);
	/* a message may have three, and goes with them */
	struct mclient *mc = mta("203.0.113.5");

	mail(mc, "<s@y.test>");
	for (int i = 0; i < 3; i++)
		assert_accepted(rcpt(mc, REMOTE, "smtp"));
	assert_reply(rcpt(mc, REMOTE, "smtp"), "450 4.7.1 ");
	assert_accepted(rcpt(mc, "<alice@lab.test>", "local"));
	assert_int_equal(data(mc), SMFIR_CONTINUE);
	/* four are left, whoever asks */
	mail(mc, "<s@y.test>");
	assert_accepted(rcpt(mc, REMOTE, "smtp"));
	assert_int_equal(send_many("203.0.113.5", 10, false, &last), 3);
	assert_reply(last, "450 4.7.1 ");
	assert_reply(rcpt(mc, REMOTE, "smtp"), "450 4.7.1 ");
	assert_accepted(rcpt(mc, "<alice@lab.test>", "local"));
	assert_int_equal(data(mc), SMFIR_CONTINUE);
	mclient_close(&mc);
	assert_int_equal(send_many("203.0.113.6", 5, false, &last), 5);
	/* said once, though seven were too many */
	wait_logged("203.0.113.5 is over limits.client_recipients = 7/1h", 1);
	wait_logged("is over limits.message_recipients = 3", 1);
	wait_int("audit.db",
	    "SELECT count(*) FROM breach WHERE kind = "
	    "'client' AND subject = '203.0.113.5' AND setting = "
	    "'client_recipients' AND allowed = '7/1h' AND user = 'alice' "
	    "AND denied_until IS NULL",
	    1);
	wait_int("audit.db",
	    "SELECT count(*) FROM decision WHERE reason = "
	    "'rate-limited' AND verdict = 'tempfail' AND rule = 9",
	    9);
	/* it survives us */
	(void)stop_daemon(SIGKILL);
	start_daemon();
	assert_int_equal(send_many("203.0.113.5", 3, false, &last), 0);
	assert_int_equal(send_many("203.0.113.6", 5, false, &last), 2);
	/* a larger number is in force after a reload, a window isn't */
	write_config(LIMITS("client_recipients = \"9/1h\";"), "");
	(void)kill(daemon_pid, SIGUSR1);
	wait_logged("is in force", 1);
	assert_int_equal(send_many("203.0.113.5", 5, false, &last), 2);
	write_config(LIMITS("client_recipients = \"99/2h\";"), "");
	(void)kill(daemon_pid, SIGUSR1);
	wait_logged("the window of limits.client_recipients changed", 1);
	wait_logged("is in force", 2);
	assert_int_equal(send_many("203.0.113.5", 5, false, &last), 0);
	write_config(LIMITS("client_recipients = \"off\";"), "");
	(void)kill(daemon_pid, SIGUSR1);
	wait_logged("is in force", 3);
	assert_int_equal(send_many("203.0.113.5", 20, false, &last), 20);
}

/* A stolen password: what SMTP AUTH may is counted for the user, wherever he
 * is; trusted networks only when asked for. */
static void
limits_of_users(void **state)
{
	const char *last;

	(void)state;
	restart_with("trusted_networks = [ \"198.51.100.0/24\" ]; " LIMITS(
	    "user_recipients = \"5/1h\"; client_recipients = "
	    "\"3/1h\"; user_clients = \"2/1d\";"));
	for (int i = 0; i < 4; i++) {
		static const char *const clients[] = { "203.0.113.1",
			"203.0.113.2", "203.0.113.1", "203.0.113.3" };
		static const int want[] = { 2, 2, 1, 0 };
		struct mclient *mc = mta(clients[i]);
		int got = 0;

		for (int j = 0; j < 2; j++) {
			authenticate(mc, j == 0 ? "mallory" : "MALLORY");
			mail(mc, "<s@y.test>");
			last = rcpt(mc, REMOTE, "smtp");
			got += *last == '\0';
			assert_accepted(rcpt(mc, "<alice@lab.test>", "local"));
			assert_int_equal(data(mc), SMFIR_CONTINUE);
		}
		assert_int_equal(got, want[i]);
		mclient_close(&mc);
	}
	wait_logged("user MALLORY is over limits.user_recipients = 5/1h", 1);
	/* a third client is one too many even for the first recipient */
	struct mclient *mc = mta("203.0.113.1");

	for (int i = 1; i <= 3; i++) {
		struct mclient *other = mta(i == 1 ? "203.0.113.11"
			: i == 2                   ? "203.0.113.12"
						   : "203.0.113.13");

		authenticate(other, "bob");
		mail(other, "<s@y.test>");
		last = rcpt(other, REMOTE, "smtp");
		if (i < 3)
			assert_accepted(last);
		else
			assert_reply(last, "450 4.7.1 ");
		assert_int_equal(data(other), SMFIR_CONTINUE);
		mclient_close(&other);
	}
	wait_logged("user bob is over limits.user_clients = 2/1d", 1);
	/* others at the same address are not touched */
	authenticate(mc, "carol");
	mail(mc, "<s@y.test>");
	for (int i = 0; i < 5; i++)
		assert_accepted(rcpt(mc, REMOTE, "smtp"));
	mclient_close(&mc);
	assert_int_equal(send_many("198.51.100.1", 20, true, &last), 20);
	restart_with("trusted_networks = [ \"198.51.100.0/24\" ]; " LIMITS(
	    "client_recipients = \"3/1h\"; user_recipients = "
	    "\"5/1h\"; authenticated = false; trusted_networks = true;"));
	assert_int_equal(send_many("198.51.100.2", 20, true, &last), 3);
	mc = mta("203.0.113.1");
	authenticate(mc, "mallory");
	mail(mc, "<s@y.test>");
	for (int i = 0; i < 9; i++)
		assert_accepted(rcpt(mc, REMOTE, "smtp"));
	mclient_close(&mc);
}

/* An IPv6 client has a network of addresses: it counts as one, even when each
 * address has a login of its own. */
static void
limits_of_ipv6(void **state)
{
	const char *last;
	int accepted = 0;
	char client[40];

	(void)state;
	restart_with(
	    LIMITS("client_recipients = \"7/1h\"; deny_for = \"1h\";"));
	for (int i = 1; i <= 10; i++) {
		(void)snprintf(client, sizeof(client), "2001:db8:0:1::%x", i);
		login(client, 1000);
		accepted += send_many(client, 3, false, &last);
	}
	assert_int_equal(accepted, 7);
	assert_reply(last, "550 5.7.1 ");
	wait_logged("client 2001:db8:0:1::/64 is over", 1);
	login("2001:db8:0:2::1", 1000);
	assert_int_equal(send_many("2001:db8:0:2::1", 3, false, &last), 3);
	(void)stop_daemon(SIGKILL);
	start_daemon();
	login("2001:db8:0:1::ffff", 1000);
	assert_int_equal(send_many("2001:db8:0:1::ffff", 3, false, &last), 0);
	assert_reply(last, "550 5.7.1 ");
	assert_int_equal(send_many("2001:db8:0:2::1", 9, false, &last), 4);
}

/* Monitor mode refuses nothing, and says what it would have. */
static void
limits_monitored(void **state)
{
	const char *last;

	(void)state;
	restart_with(
	    "mode = \"monitor\"; " LIMITS("client_recipients = "
					  "\"7/1h\"; deny_for = \"1h\";"));
	login("203.0.113.5", 1000);
	assert_int_equal(send_many("203.0.113.5", 20, false, &last), 20);
	wait_logged("203.0.113.5 is over limits.client_recipients = 7/1h; "
		    "denied until 20",
	    1);
	wait_int("audit.db",
	    "SELECT count(*) FROM decision WHERE verdict = "
	    "'accept'",
	    7);
	wait_int("audit.db",
	    "SELECT count(*) FROM decision WHERE verdict = "
	    "'would-tempfail' AND reason = 'rate-limited'",
	    1);
	wait_int("audit.db",
	    "SELECT count(*) FROM decision WHERE verdict = "
	    "'would-reject' AND reason = 'denied'",
	    12);
}

/* The table of logins can't be read: who is kept out for a breach is kept out
 * all the same, though SMTP AUTH needs no table. */
static void
denied_without_a_table(void **state)
{
	const char *last = "";
	struct mclient *mc;

	(void)state;
	restart_with(LIMITS("user_recipients = \"2/1h\"; deny_for = \"1h\";"));
	mc = mta("203.0.113.1");
	for (int i = 0; i < 3; i++) {
		authenticate(mc, "mallory");
		mail(mc, "<s@y.test>");
		last = rcpt(mc, REMOTE, "smtp");
		assert_int_equal(data(mc), SMFIR_CONTINUE);
	}
	assert_reply(last, "450 4.7.1 ");
	assert_int_equal(rename(path("logins.db"), path("away.db")), 0);
	authenticate(mc, "bob");
	wait_until((mail(mc, "<s@y.test>"), *rcpt(mc, REMOTE, "smtp") == '\0'));
	authenticate(mc, "Mallory");
	mail(mc, "<s@y.test>");
	assert_reply(rcpt(mc, REMOTE, "smtp"), "550 5.7.1 ");
	mclient_close(&mc);
}

/* 60,000 spams: random local parts of one domain, from one client that logged
 * in, as fast as they go. The end comes within the configured number. */
static void
hijack(void **state)
{
	const char *last;

	(void)state;
	restart_with(LIMITS("client_senders = \"20/1h\"; deny_for = \"1h\";"));
	login("203.0.113.66", 3600);
	struct mclient *early = mta("203.0.113.66");

	mail(early, "<s@y.test>");
	assert_int_equal(send_many("203.0.113.66", 3000, true, &last), 20);
	assert_reply(last, "550 5.7.1 ");
	/* in a session that was there before, too; and our own get theirs */
	assert_reply(rcpt(early, REMOTE, "smtp"), "550 5.7.1 ");
	assert_accepted(rcpt(early, "<alice@lab.test>", "local"));
	mclient_close(&early);
	wait_int("audit.db",
	    "SELECT count(*) FROM denial WHERE subject = "
	    "'203.0.113.66' AND kind = 'client' AND setting = "
	    "'client_senders' AND until BETWEEN unixepoch() + 3000 AND "
	    "unixepoch() + 3600",
	    1);
	wait_logged("203.0.113.66 is over limits.client_senders = 20/1h; "
		    "denied until 20",
	    1);
	/* nothing of it goes with us */
	(void)stop_daemon(SIGKILL);
	start_daemon();
	assert_int_equal(send_many("203.0.113.66", 5, true, &last), 0);
	assert_reply(last, "550 5.7.1 ");
	/* a denial is the client's: AUTH doesn't help, another client may */
	struct mclient *mc = mta("203.0.113.66");

	authenticate(mc, "bob");
	mail(mc, "<s@y.test>");
	assert_reply(rcpt(mc, REMOTE, "smtp"), "550 5.7.1 ");
	mclient_close(&mc);
	login("203.0.113.67", 3600);
	assert_int_equal(send_many("203.0.113.67", 5, true, &last), 5);
	/* popgatectl undeny */
	sql("audit.db",
	    "INSERT INTO lift (at, kind, subject, who) VALUES "
	    "(unixepoch() * 1000 + 999, 'client', '203.0.113.66', 'root')");
	wait_logged("203.0.113.66 was let in again", 1);
	assert_int_equal(send_many("203.0.113.66", 100, false, &last), 100);
	(void)stop_daemon(SIGKILL);
	start_daemon();
	assert_int_equal(send_many("203.0.113.66", 100, true, &last), 19);
}

/* Ask as smtpd asks for one recipient of a message, on the connection that it
 * keeps. */
static const char *
ask_policy_from(int fd, const char *client, int message, const char *port)
{
	char request[400];
	int len = snprintf(request, sizeof(request),
	    "request=smtpd_access_policy\nprotocol_state=RCPT\n"
	    "client_address=%s\nsender=s@y.test\nrecipient=x@remote.test\n"
	    "instance=m%d\n%s\n",
	    client, message, port);

	return policy_ask(fd, request, len);
}

static const char *
ask_policy(int fd, const char *client, int message)
{
	return ask_policy_from(fd, client, message, "");
}

/* Closed wiring: what is given up is free again on both channels, whether the
 * MTA says from which port the client came or not; a restart knows it, too. */
static void
given_up_on_both_channels(void **state)
{
	static const char *const ports[] = { "", "client_port=4321\n" };
	const char *last;

	(void)state;
	restart_with(LIMITS("client_recipients = \"6/1h\"; client_senders = "
			    "\"2/1h\"; user_recipients = \"6/1h\";"));
	for (int i = 0; i < 2; i++) {
		const char *client = i == 0 ? "203.0.113.5" : "203.0.113.6";
		int fd = policy_open();

		login_as(client, i == 0 ? "alice" : "bob");
		struct mclient *mc = mta_from("Postfix 3.7", client, 4321);

		for (int message = 0; message < 2; message++) {
			mail(mc, "<s@y.test>");
			for (int j = 0; j < 3; j++) {
				assert_string_equal(ask_policy_from(fd, client,
							message, ports[i]),
				    "action=OK\n\n");
				assert_accepted(rcpt(mc, REMOTE, "smtp"));
			}
			assert_int_equal(mclient_abort(mc), 0);
		}
		mail(mc, "<s@y.test>");
		mclient_close(&mc);
		(void)close(fd);
		assert_int_equal(send_many(client, 3, true, &last), 2);
	}
	(void)stop_daemon(SIGTERM);
	start_daemon();
	for (int i = 0; i < 2; i++) {
		const char *client = i == 0 ? "203.0.113.5" : "203.0.113.6";

		assert_int_equal(send_many(client, 9, true, &last), 2);
		assert_int_equal(send_many(client, 9, false, &last), 0);
	}
}

/* Closed wiring: the MTA asks for a recipient, then shows it to the milter.
 * It counts once; and it counts where the MTA only asks. */
static void
limits_on_both_channels(void **state)
{
	char key[200], request[220];
	static char reply[1200];
	const char *last;

	(void)state;
	restart_with(LIMITS("client_recipients = \"6/1h\"; client_messages = "
			    "\"3/1h\";"));
	login("203.0.113.5", 1000);
	login("203.0.113.6", 1000);
	login("203.0.113.7", 1000);
	int fd = policy_open();

	for (int message = 0; message < 2; message++) {
		struct mclient *mc = mta("203.0.113.5");

		mail(mc, "<s@y.test>");
		for (int i = 0; i < 3; i++) {
			assert_string_equal(
			    ask_policy(fd, "203.0.113.5", message),
			    "action=OK\n\n");
			assert_accepted(rcpt(mc, REMOTE, "smtp"));
		}
		assert_int_equal(data(mc), SMFIR_CONTINUE);
		mclient_close(&mc);
	}
	assert_reply(ask_policy(fd, "203.0.113.5", 3), "action=450 4.7.1 ");
	assert_int_equal(send_many("203.0.113.5", 9, false, &last), 0);
	(void)close(fd);
	/* Sendmail's map doesn't say which message: recipients count, and
	 * messages only when the milter sees them */
	int key_len = snprintf(key, sizeof(key),
	    "sendmail 203.0.113.6\"\n\"\"\n"
	    "\"\"\n\"s@y.test\"\n\"<x@remote.test>\"\n\"");
	int len = snprintf(request, sizeof(request), "%d:%s,", key_len, key);

	for (int i = 0; i < 7; i++) {
		ask("map.sock", request, (size_t)len, reply, sizeof(reply));
		if (strstr(reply,
			i < 6 ? "OK <permit>" : "OK <tempfail> \"450 4.7.1") ==
		    NULL)
			fail_msg("%d: %s", i, reply);
	}
	assert_int_equal(send_many("203.0.113.6", 9, false, &last), 3);
	/* a map that names only the client counts nothing, and knows who has
	 * nothing left */
	for (int i = 0; i < 20; i++) {
		ask("map.sock", "19:popgate 203.0.113.7,", 23, reply,
		    sizeof(reply));
		assert_string_equal(reply, "5:OK OK,");
	}
	assert_int_equal(send_many("203.0.113.7", 9, false, &last), 3);
	ask("map.sock", "19:popgate 203.0.113.7,", 23, reply, sizeof(reply));
	assert_non_null(strstr(reply, "OK 450 4.7.1 "));
	/* and after a restart it is the same, with six counted of .5 */
	(void)stop_daemon(SIGKILL);
	write_config(LIMITS("client_recipients = \"7/1h\"; client_messages = "
			    "\"4/1h\";"),
	    "");
	start_daemon();
	assert_int_equal(send_many("203.0.113.5", 9, false, &last), 1);
	assert_int_equal(send_many("203.0.113.7", 9, false, &last), 1);
}

/* --- everything at once: best run under a thread sanitizer --- */

enum { STORM_CLIENTS = 3, STORM_THREADS = 6, STORM_MAX = 20 };

static atomic_bool storm_over;
static atomic_uint storm_accepted[STORM_CLIENTS], storm_odd, storm_begun;
static char storm_what[100]; /* of who counts the first odd end */

static bool
answered(struct mclient *mc, int sent, struct mclient_reply *r)
{
	return sent == 0 && mclient_reply(mc, r) == 0;
}

/* Messages of one recipient, as fast as they go, by an MTA of its own. */
static void *
storm(void *arg)
{
	unsigned client = *(unsigned *)arg % STORM_CLIENTS;
	unsigned number = *(unsigned *)arg;
	struct mclient *mc = mclient_open(sock, 15000);
	struct mclient_reply r = { .code = '-', .text = "" };
	char text[60];
	bool good = mc != NULL &&
	    answered(mc, mclient_negotiate(mc, NULL), &r) &&
	    mclient_macro(mc, "j", "mail.lab.test") == 0;

	(void)snprintf(text, sizeof(text), "203.0.113.%u", 10 + client);
	good = good && answered(mc, mclient_connect(mc, "h", text), &r) &&
	    answered(mc, mclient_helo(mc, "h"), &r);
	atomic_fetch_add(&storm_begun, 1);
	for (unsigned i = 0; good && !storm_over; i++) {
		(void)snprintf(text, sizeof(text), "<%u-%u@x.test>", number, i);
		good = answered(mc, mclient_mail(mc, text), &r) &&
		    mclient_macro(mc, "{rcpt_mailer}", "smtp") == 0 &&
		    answered(mc, mclient_rcpt(mc, REMOTE), &r);
		if (good && r.code == SMFIR_CONTINUE) {
			/* what isn't sent doesn't count; and DATA that can't
			 * be recorded isn't sent */
			good = answered(mc, mclient_data(mc), &r);
			if (good && r.code == SMFIR_CONTINUE)
				atomic_fetch_add(&storm_accepted[client], 1);
		}
		/* 451, 421: more rows than the disk takes, or a look-up that
		 * waited too long for its turn */
		if (good && r.code != SMFIR_CONTINUE &&
		    strncmp(r.text, "450 4.7.1", 9) != 0 &&
		    strncmp(r.text, "550 5.7.1", 9) != 0 &&
		    strncmp(r.text, "451 4.3.0", 9) != 0 &&
		    strncmp(r.text, "421 4.3.0", 9) != 0)
			good = false;
	}
	if (!good && atomic_fetch_add(&storm_odd, 1) == 0)
		(void)snprintf(
		    storm_what, sizeof(storm_what), "%c %.80s", r.code, r.text);
	mclient_close(&mc);
	return NULL;
}

static int
try_again(void *arg, int times)
{
	(void)arg;
	(void)usleep(500);
	return times < 20000;
}

/* As popgatectl undeny does it. */
static void
let_in(sqlite3 *h, unsigned client)
{
	char text[200], *message = NULL;

	(void)snprintf(text, sizeof(text),
	    "INSERT INTO lift (at, kind, "
	    "subject, who) VALUES (unixepoch() * 1000, 'client', "
	    "'203.0.113.%u', 'storm')",
	    client);
	if (sqlite3_exec(h, text, NULL, NULL, &message) != SQLITE_OK)
		fail_msg("%s", message);
}

/* Each time that it is let in, a client has the limit once more, and never
 * more than that, whatever is reloaded and denied meanwhile. */
static void
limits_storm(void **state)
{
	pthread_t thread[STORM_THREADS];
	unsigned number[STORM_THREADS], lifts[STORM_CLIENTS] = { 0 };
	char text[300];
	sqlite3 *h;

	(void)state;
	restart_with(LIMITS("client_recipients = \"20/1h\"; deny_for = "
			    "\"1h\";"));
	assert_int_equal(sqlite3_open(path("audit.db"), &h), SQLITE_OK);
	(void)sqlite3_busy_handler(h, try_again, NULL);
	for (unsigned i = 0; i < STORM_CLIENTS; i++) {
		(void)snprintf(text, sizeof(text), "203.0.113.%u", 10 + i);
		login(text, 1000);
	}
	for (unsigned i = 0; i < STORM_THREADS; i++) {
		number[i] = i;
		assert_int_equal(
		    pthread_create(&thread[i], NULL, storm, &number[i]), 0);
	}
	/* sessions keep the configuration that they began with */
	wait_until(storm_begun == STORM_THREADS);
	/* the audit's writer lets a lift in only between two transactions */
	for (unsigned i = 0; i < 10; i++) {
		unsigned client = i % 7 % STORM_CLIENTS;

		for (unsigned j = 0; j < 5; j++) {
			(void)usleep(10000);
			write_config(j % 2 == 0
				? LIMITS("client_recipients "
					 "= \"20/1h\";")
				: LIMITS("client_recipients = "
					 "\"20/1h\"; deny_for = \"1h\";"),
			    "");
			(void)kill(daemon_pid, SIGUSR1);
		}
		let_in(h, 10 + client);
		lifts[client]++;
	}
	storm_over = true;
	(void)sqlite3_close(h);
	for (unsigned i = 0; i < STORM_THREADS; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	if (storm_odd != 0)
		fail_msg(
		    "%u odd ends, the first at: %s", storm_odd, storm_what);
	for (unsigned i = 0; i < STORM_CLIENTS; i++) {
		assert_true(storm_accepted[i] >= STORM_MAX);
		assert_true(storm_accepted[i] <= STORM_MAX * (lifts[i] + 1));
	}
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = { TEST(limits), TEST(limits_of_users),
		TEST(limits_of_several_users), TEST(strangers_lock_nobody_out),
		TEST(given_up_on_both_channels), TEST(hijack),
		TEST(limits_on_both_channels), TEST(limits_of_ipv6),
		TEST(limits_monitored), TEST(denied_without_a_table),
		TEST(limits_storm) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
