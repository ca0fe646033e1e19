/* SPDX-License-Identifier: ISC */
/* The real popgate-milter, spoken to as an MTA would, politely and not.
 * $POPGATE_BUILD says where the program is (default: build). */
#include "tests/daemon/lab.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

static struct mclient *
mta_called(const char *v, const char *client)
{
	return mta_from(v, client, 25);
}

static void
decisions(void **state)
{
	struct mclient *mc = mta("203.0.113.5");

	(void)state;
	mail(mc, "<s@y.test>");
	assert_accepted(rcpt(mc, "<alice@lab.test>", "local"));
	assert_reply(rcpt(mc, REMOTE, "smtp"),
	    "550 5.7.1 Relaying denied "
	    "for 203.0.113.5: check your mail");
	/* a login is seen by the very next RCPT, in the same session */
	login("203.0.113.5", 2);
	assert_accepted(rcpt(mc, REMOTE, "smtp"));
	/* and its end too */
	wait_until(sql_int(
	    "logins.db", "SELECT max(expires_at) < unixepoch() FROM login"));
	assert_reply(rcpt(mc, REMOTE, "smtp"),
	    "550 5.7.1 Relaying denied "
	    "for 203.0.113.5: your last login expired");
	mclient_close(&mc);

	mc = mta("2001:db8::5");
	login("2001:db8::5", 100);
	mail(mc, "<>");
	assert_accepted(rcpt(mc, REMOTE, "smtp"));
	mclient_close(&mc);
	/* no identity: loopback by default, and no address at all */
	login("127.0.0.1", 100);
	mc = mta("127.0.0.1");
	mail(mc, "<s@y.test>");
	assert_reply(rcpt(mc, REMOTE, "smtp"), "550 5.7.1 ");
	assert_accepted(rcpt(mc, "<alice@lab.test>", "local"));
	mclient_close(&mc);
	mc = mta(NULL);
	mail(mc, "<s@y.test>");
	assert_reply(rcpt(mc, REMOTE, "smtp"),
	    "550 5.7.1 Relaying denied: a "
	    "login from unknown");
	mclient_close(&mc);
	/* trusted */
	mc = mta("198.51.100.7");
	mail(mc, "<s@y.test>");
	assert_accepted(rcpt(mc, REMOTE, "smtp"));
	mclient_close(&mc);
	wait_int("audit.db",
	    "SELECT count(*) FROM decision "
	    "WHERE reason = 'no-login' AND verdict = 'reject' AND rule = 13 "
	    "AND client = '203.0.113.5' AND sender = 's@y.test' AND "
	    "recipient = '<x@remote.test>' AND mta = 'test MTA' AND reply "
	    "LIKE '550 5.7.1 Relaying denied%'",
	    1);
	wait_int("audit.db",
	    "SELECT count(*) FROM decision "
	    "WHERE reason = 'recent-login' AND login_user = 'alice'",
	    2);
	wait_int("audit.db",
	    "SELECT count(*) FROM decision "
	    "WHERE reason = 'login-expired'",
	    1);
	wait_int("audit.db",
	    "SELECT count(*) FROM decision "
	    "WHERE reason = 'no-client-identity'",
	    2);
	wait_int("audit.db",
	    "SELECT count(*) FROM decision "
	    "WHERE reason = 'trusted-network'",
	    1);
	assert_int_equal(sql_int("audit.db",
			     "SELECT count(*) FROM decision "
			     "WHERE class = 'local'"),
	    0);
}

/* Many users behind one address: refused by choice, for as long as there are
 * so many; what else speaks for the session still does. */
static void
shared_address(void **state)
{
	static const char relay[] =
	    "trusted_networks = "
	    "[ \"198.51.100.0/24\" ]; shared_address_users = 3; "
	    "shared_address = \"refuse\"";
	static const char four[] =
	    "INSERT INTO login SELECT '203.0.113.%d', "
	    "value, 'imap', 'dovecot', unixepoch(), unixepoch(), "
	    "unixepoch() + 100, 1 FROM json_each('[1,2,3,4]')";
	char text[400];
	struct mclient *mc;

	(void)state;
	for (int i = 1; i <= 4; i++) {
		(void)snprintf(text, sizeof(text), four, i);
		sql("logins.db", text);
	}
	/* flagged only, by default more than ten */
	mc = mta("203.0.113.1");
	mail(mc, "<s@y.test>");
	assert_accepted(rcpt(mc, REMOTE, "smtp"));
	mclient_close(&mc);
	assert_int_equal(stop_daemon(SIGTERM), 0);
	write_config(relay, "");
	start_daemon();
	mc = mta("203.0.113.1");
	mail(mc, "<s@y.test>");
	assert_reply(rcpt(mc, REMOTE, "smtp"),
	    "550 5.7.1 Relaying denied for "
	    "203.0.113.1: too many users");
	assert_accepted(rcpt(mc, "<alice@lab.test>", "local"));
	mclient_close(&mc);
	/* three are not too many; an hour ago there were four */
	sql("logins.db",
	    "UPDATE login SET expires_at = unixepoch() - 1 WHERE "
	    "client = '203.0.113.2' AND user = '4'");
	mc = mta("203.0.113.2");
	mail(mc, "<s@y.test>");
	assert_accepted(rcpt(mc, REMOTE, "smtp"));
	mclient_close(&mc);
	/* denied users are users */
	sql("logins.db",
	    "INSERT INTO deny VALUES ('2', 'user', unixepoch(), "
	    "unixepoch() + 100, 'x')");
	mc = mta("203.0.113.3");
	mail(mc, "<s@y.test>");
	assert_reply(rcpt(mc, REMOTE, "smtp"), "550 5.7.1 ");
	mclient_close(&mc);
	/* an admin's word is for the address; so is a trusted network */
	sql("logins.db",
	    "INSERT INTO login VALUES ('203.0.113.4', '', "
	    "'manual', 'popgatectl', 1, 1, unixepoch() + 100, 1)");
	mc = mta("203.0.113.4");
	mail(mc, "<s@y.test>");
	assert_accepted(rcpt(mc, REMOTE, "smtp"));
	mclient_close(&mc);
	wait_int("audit.db",
	    "SELECT count(*) FROM decision "
	    "WHERE reason = 'shared-address' AND rule = 6 AND verdict = "
	    "'reject' AND login_user IS NULL",
	    2);
}

/* Stop, and start anew with these keys of relay. */
static void
restart_with(const char *relay)
{
	assert_int_equal(stop_daemon(SIGTERM), 0);
	write_config(relay, "");
	start_daemon();
}

/* A recipient elsewhere from this client and sender, in a session of its own;
 * auth: NULL, or who used AUTH. */
static const char *
relay_from(const char *client, const char *sender, const char *auth)
{
	struct mclient *mc = mta(client);

	assert_int_equal(
	    mclient_macro(mc, "{auth_type}", auth == NULL ? NULL : "PLAIN"), 0);
	assert_int_equal(mclient_macro(mc, "{auth_authen}", auth), 0);
	mail(mc, sender);
	const char *got = rcpt(mc, REMOTE, "smtp");

	mclient_close(&mc);
	return got;
}

#define MISMATCH "553 5.7.1 Relaying denied for 203.0.113.7: whoever"

/* Row 8: a login opens the gate for its users' own senders only. */
static void
sender_binding(void **state)
{
	static char long_sender[3000];
	char relay[400];
	FILE *out = fopen(path("senders"), "w");

	(void)state;
	assert_non_null(out);
	(void)fputs("bob: sales@shop.test, @bob.test\n", out);
	assert_int_equal(fclose(out), 0);
	(void)snprintf(relay, sizeof(relay),
	    "trusted_networks = "
	    "[ \"198.51.100.0/24\" ]; sender_binding = \"address\"; "
	    "null_sender = \"reject\"; sender_addresses = [ \"user\", "
	    "\"append:lab.test\", \"file:%s\" ];",
	    path("senders"));
	restart_with(relay);
	login("203.0.113.7", 100);
	assert_accepted(relay_from("203.0.113.7", "<alice@lab.test>", NULL));
	assert_accepted(relay_from("203.0.113.7", "<ALICE@Lab.Test.>", NULL));
	assert_reply(
	    relay_from("203.0.113.7", "<bob@lab.test>", NULL), MISMATCH);
	assert_reply(
	    relay_from("203.0.113.7", "<sales@shop.test>", NULL), MISMATCH);
	assert_reply(relay_from("203.0.113.7", "<>", NULL), MISMATCH);
	assert_reply(
	    relay_from("203.0.113.7", "<@x.test:alice@lab.test>", NULL),
	    MISMATCH);
	assert_reply(
	    relay_from("203.0.113.7", "<\"alice\"@lab.test>", NULL), MISMATCH);
	assert_reply(
	    relay_from("203.0.113.7", "<alice@lab.test>,<x@y.test>", NULL),
	    MISMATCH);
	assert_reply(relay_from("203.0.113.7", "", NULL), MISMATCH);
	/* what would be "...@lab.test" after 2000 bytes */
	(void)snprintf(long_sender, sizeof(long_sender),
	    "<%1990d@lab.test"
	    ".evil.test>",
	    7);
	memset(long_sender + 1, 'a', 1989);
	assert_reply(relay_from("203.0.113.7", long_sender, NULL), MISMATCH);
	/* no login is no login, whatever the sender */
	assert_reply(
	    relay_from("203.0.113.8", "<alice@lab.test>", NULL), "550 5.7.1 ");
	/* AUTH and trusted networks come before */
	assert_accepted(relay_from("203.0.113.7", "<x@y.test>", "carol"));
	assert_accepted(relay_from("198.51.100.7", "<x@y.test>", NULL));

	/* several users: the senders of any of them, as long as his login
	 * counts and nobody denied him */
	sql("logins.db",
	    "INSERT INTO login VALUES ('203.0.113.7', 'bob', "
	    "'imap', 'dovecot', unixepoch(), unixepoch(), unixepoch() + 100, "
	    "1), ('203.0.113.7', 'eve', 'imap', 'dovecot', 1, 1, "
	    "unixepoch() - 1, 1)");
	assert_accepted(relay_from("203.0.113.7", "<alice@lab.test>", NULL));
	assert_accepted(relay_from("203.0.113.7", "<sales@shop.test>", NULL));
	assert_accepted(relay_from("203.0.113.7", "<any@bob.test>", NULL));
	assert_reply(
	    relay_from("203.0.113.7", "<eve@lab.test>", NULL), MISMATCH);
	sql("logins.db",
	    "INSERT INTO deny VALUES ('bob', 'user', 1, "
	    "unixepoch() + 100, 'x')");
	assert_reply(
	    relay_from("203.0.113.7", "<sales@shop.test>", NULL), MISMATCH);
	assert_accepted(relay_from("203.0.113.7", "<alice@lab.test>", NULL));
	/* a network that an admin entered, with and without a user */
	sql("logins.db",
	    "INSERT INTO login VALUES ('203.0.113.0/24', 'dan', "
	    "'manual', 'popgatectl', 1, 1, unixepoch() + 100, 1), "
	    "('203.0.113.0/25', '', 'manual', 'popgatectl', 1, 1, "
	    "unixepoch() + 100, 1)");
	assert_accepted(relay_from("203.0.113.7", "<dan@lab.test>", NULL));
	assert_accepted(relay_from("203.0.113.99", "<dan@lab.test>", NULL));
	assert_reply(relay_from("203.0.113.7", "<x@lab.test>", NULL), MISMATCH);
	wait_int("audit.db",
	    "SELECT count(*) FROM decision WHERE reason = "
	    "'sender-mismatch' AND rule = 8 AND verdict = 'reject' AND reply "
	    "LIKE '553 5.7.1 %'",
	    11);

	/* the domain is enough; the null sender is another matter */
	restart_with("sender_binding = \"domain\"; sender_addresses = "
		     "[ \"append:lab.test\" ];");
	assert_accepted(relay_from("203.0.113.7", "<any@lab.test>", NULL));
	assert_accepted(relay_from("203.0.113.7", "<>", NULL));
	assert_reply(
	    relay_from("203.0.113.7", "<any@shop.test>", NULL), MISMATCH);
	assert_reply(
	    relay_from("203.0.113.7", "<any@x.lab.test>", NULL), MISMATCH);
	restart_with("null_sender = \"reject\";");
	assert_reply(relay_from("203.0.113.7", "<>", NULL), MISMATCH);
	assert_accepted(relay_from("203.0.113.7", "<x@y.test>", NULL));
}

/* A request as text; for the map the key, and what the reply holds. */
static const char *
ask_text(const char *name, const char *text)
{
	static char reply[1200];
	char request[600];
	const char *colon;

	if (strcmp(name, "map.sock") != 0) {
		ask(name, text, strlen(text), reply, sizeof(reply));
		return reply;
	}
	(void)snprintf(request, sizeof(request), "%zu:%s,", strlen(text), text);
	ask(name, request, strlen(request), reply, sizeof(reply));
	colon = strchr(reply, ':');
	return colon == NULL ? reply : colon + 1;
}

/* The same over the permit channel; where the MTA doesn't say who sends, that
 * is no yes. */
static void
sender_of_permit_channel(void **state)
{
#define ASK                                                  \
	"request=smtpd_access_policy\nprotocol_state=RCPT\n" \
	"client_address=203.0.113.7\nrecipient=x@remote.test\n"
#define MAP_KEY(sender)                                 \
	"sendmail 203.0.113.7\"\n\"\"\n\"\"\n\"" sender \
	"\"\n\"x@remote.test\"\n\""
	static const struct {
		const char *socket, *request, *want;
	} rows[] = {
		{ "policy.sock", ASK "sender=alice@lab.test\n\n",
		    "action=OK\n\n" },
		{ "policy.sock", ASK "sender=bob@lab.test\n\n",
		    "action=" MISMATCH },
		{ "policy.sock", ASK "sender=\n\n", "action=OK\n\n" },
		{ "policy.sock",
		    ASK "sender=bob@lab.test\nsasl_method=plain\n"
			"sasl_username=bob\n\n",
		    "action=OK\n\n" },
		{ "policy.sock", ASK "\n", "action=451 4.3.0 " },
		{ "map.sock", "popgate 203.0.113.7", "OK 451 4.3.0 " },
		{ "map.sock", MAP_KEY("<alice@lab.test>"), "OK <permit>" },
		{ "map.sock", MAP_KEY("<bob@lab.test>"),
		    "OK <refuse> \"553 5.7.1 " },
		{ "map.sock", MAP_KEY("<>"), "OK <permit>" },
		{ "map.sock", MAP_KEY(""), "OK <permit>" },
		{ "map.sock", MAP_KEY("<alice@lab.test>,<x@y.test>"),
		    "OK <refuse> \"553 5.7.1 " },
	};

	(void)state;
	restart_with("sender_binding = \"address\"; sender_addresses = "
		     "[ \"append:lab.test\" ];");
	login("203.0.113.7", 100);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_reply(
		    ask_text(rows[i].socket, rows[i].request), rows[i].want);
	}
	wait_int("audit.db",
	    "SELECT count(*) FROM decision WHERE reason = "
	    "'sender-unknown' AND verdict = 'tempfail'",
	    2);
}

/* Row 4: a listed certificate, of this message, as the MTA says it. */
static void
certificates(void **state)
{
	static const struct {
		const char *v, *verify, *subject, *issuer, *fp, *want;
	} rows[] = {
		{ "8.17.1", "OK", "/CN=one+20two", "/CN=ca", NULL, "" },
		{ "8.17.1", "FAIL", "/CN=one+20two", "/CN=ca", NULL, "550 " },
		{ "8.17.1", "NO", "", "", NULL, "550 " },
		{ "8.17.1", NULL, "/CN=one+20two", "/CN=ca", NULL, "550 " },
		{ "8.17.1", "OK", "/CN=one+20two", "/CN=other", NULL, "550 " },
		{ "8.17.1", "OK", "/CN=one+20two", NULL, NULL, "550 " },
		{ "8.17.1", "FAIL", "", "",
		    "AA:BB:CC:DD:EE:FF:00:11:22:33:44:"
		    "55:66:77:88:99:AA:BB:CC:DD",
		    "" },
		{ "8.17.1", "NO", "", "",
		    "AA:BB:CC:DD:EE:FF:00:11:22:33:44:"
		    "55:66:77:88:99:AA:BB:CC:DD",
		    "550 " },
		{ "Postfix 3.7", NULL, "/CN=one two", "/CN=ca", NULL, "" },
		{ "Postfix 3.7", NULL, "/CN=one+20two", "/CN=ca", NULL,
		    "550 " },
		{ "Postfix 3.7", NULL, "/CN=one two", NULL, NULL, "550 " },
		{ "Postfix 3.7", NULL, NULL, NULL, NULL, "550 " },
		{ "other", NULL, "/CN=one two", "/CN=ca", NULL, "550 " },
	};
	struct mclient *mc;

	(void)state;
	restart_with(
	    "certificates = ( { subject = \"/CN=one two\"; issuer = "
	    "\"/CN=ca\"; }, { fingerprint = \"aabbccddeeff001122334455667788"
	    "99aabbccdd\"; } );");
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		mc = mta_called(rows[i].v, "203.0.113.20");
		assert_non_null(strchr(mclient_symlist(mc, MCLIENT_MAIL), 'j'));
		assert_int_equal(
		    mclient_macro(mc, "{verify}", rows[i].verify), 0);
		assert_int_equal(
		    mclient_macro(mc, "{cert_subject}", rows[i].subject), 0);
		assert_int_equal(
		    mclient_macro(mc, "{cert_issuer}", rows[i].issuer), 0);
		assert_int_equal(mclient_macro(mc, "{cert_fp}", rows[i].fp), 0);
		mail(mc, "<s@y.test>");
		assert_reply(rcpt(mc, REMOTE, "smtp"), rows[i].want);
		if (*rows[i].want != '\0') {
			mclient_close(&mc);
			continue;
		}
		/* the next message, with no such macro at all */
		assert_int_equal(data(mc), SMFIR_CONTINUE);
		assert_int_equal(mclient_abort(mc), 0);
		assert_int_equal(mclient_macro(mc, "{verify}", NULL), 0);
		assert_int_equal(mclient_macro(mc, "{cert_subject}", NULL), 0);
		assert_int_equal(mclient_macro(mc, "{cert_issuer}", NULL), 0);
		assert_int_equal(mclient_macro(mc, "{cert_fp}", NULL), 0);
		mail(mc, "<s@y.test>");
		assert_reply(rcpt(mc, REMOTE, "smtp"), "550 ");
		mclient_close(&mc);
	}
	wait_int("audit.db",
	    "SELECT count(*) FROM decision WHERE reason = "
	    "'certificate' AND rule = 4 AND verdict = 'accept'",
	    3);
	/* a denied client stays denied */
	sql("logins.db",
	    "INSERT INTO deny VALUES ('203.0.113.20', 'client', "
	    "1, unixepoch() + 100, 'x')");
	mc = mta_called("8.17.1", "203.0.113.20");
	assert_int_equal(mclient_macro(mc, "{verify}", "OK"), 0);
	assert_int_equal(
	    mclient_macro(mc, "{cert_subject}", "/CN=one+20two"), 0);
	assert_int_equal(mclient_macro(mc, "{cert_issuer}", "/CN=ca"), 0);
	mail(mc, "<s@y.test>");
	assert_reply(rcpt(mc, REMOTE, "smtp"),
	    "550 5.7.1 Relaying denied for "
	    "203.0.113.20: blocked");
	mclient_close(&mc);
}

/* The same over the permit channel. */
static void
certificate_of_permit_channel(void **state)
{
#define CERT_ASK                                             \
	"request=smtpd_access_policy\nprotocol_state=RCPT\n" \
	"client_address=203.0.113.20\nsender=s@y.test\n"     \
	"recipient=x@remote.test\n"
#define CERT_KEY(fields)                          \
	"sendmail 203.0.113.20\"\n\"\"\n\"\"\n\"" \
	"s@y.test\"\n\"x@remote.test\"\n\"" fields "\"\n\""
#define DIGEST "AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD"
	static const struct {
		const char *socket, *request, *want;
	} rows[] = {
		{ "policy.sock",
		    CERT_ASK "ccert_subject=one+20two\n"
			     "ccert_issuer=ca\n\n",
		    "action=OK\n\n" },
		{ "policy.sock",
		    CERT_ASK "ccert_subject=one+20two\n"
			     "ccert_issuer=\n\n",
		    "action=550 " },
		{ "policy.sock",
		    CERT_ASK "ccert_subject=one+20two\n"
			     "ccert_issuer=other\nccert_fingerprint=" DIGEST
			     "\n\n",
		    "action=OK\n\n" },
		{ "policy.sock",
		    CERT_ASK "ccert_fingerprint=\n"
			     "ccert_pubkey_fingerprint=" DIGEST "\n\n",
		    "action=550 " },
		{ "policy.sock",
		    CERT_ASK "ccert_subject=\nccert_issuer=\n"
			     "ccert_fingerprint=\n\n",
		    "action=550 " },
		{ "map.sock", CERT_KEY("OK\"\n\"one+20two\"\n\"ca\"\n\""),
		    "OK <permit>" },
		{ "map.sock", CERT_KEY("FAIL\"\n\"one+20two\"\n\"ca\"\n\""),
		    "OK <refuse>" },
		{ "map.sock", CERT_KEY("FAIL\"\n\"\"\n\"\"\n\"" DIGEST),
		    "OK <permit>" },
		/* a key that was cut */
		{ "map.sock", CERT_KEY("OK\"\n\"one+20two"), "PERM " },
		{ "map.sock",
		    "sendmail 203.0.113.20\"\n\"\"\n\"\"\n\""
		    "s@y.test\"\n\"x@remote.test\"\n\"",
		    "OK <refuse>" },
	};

	(void)state;
	restart_with("certificates = ( { subject = \"one two\"; issuer = "
		     "\"ca\"; }, { fingerprint = \"" DIGEST "\"; } );");
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_reply(
		    ask_text(rows[i].socket, rows[i].request), rows[i].want);

	/* Postfix's milter isn't told a fingerprint, but the permit channel:
	 * of that recipient, sender and connection, once */
	static const struct {
		const char *from, *to;
		unsigned port;
		const char *want;
	} hand[] = {
		{ "<s@y.test>", "<x@remote.test>", 4712, "550 " },
		{ "<t@y.test>", "<x@remote.test>", 4711, "550 " },
		{ "<s@y.test>", "<y@remote.test>", 4711, "550 " },
		{ "<s@y.test>", "<x@remote.test>", 4711, "" },
		{ "<s@y.test>", "<x@remote.test>", 4711, "550 " },
	};

	assert_reply(ask_text("policy.sock",
			 CERT_ASK "client_port=4711\n"
				  "ccert_fingerprint=" DIGEST "\n\n"),
	    "action=OK");
	for (size_t i = 0; i < sizeof(hand) / sizeof(*hand); i++) {
		struct mclient *mc =
		    mta_from("Postfix 3.7", "203.0.113.20", hand[i].port);

		mail(mc, hand[i].from);
		assert_reply(rcpt(mc, hand[i].to, "smtp"), hand[i].want);
		mclient_close(&mc);
	}
}

/* Start anew with the policy service on a port, and connect to it. */
static int
inet_policy(const char *relay)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	char where[64];
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	/* a port that is free */
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	(void)close(fd);
	(void)snprintf(where, sizeof(where), "inet:127.0.0.1:%u",
	    (unsigned)ntohs(sin.sin_port));
	config_policy = where;
	restart_with(relay);
	config_policy = NULL;
	fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	return fd;
}

/* Macros that anybody on this machine could send are not handed to the
 * milter. */
static void
certificate_over_inet(void **state)
{
	static const char request[] =
	    CERT_ASK "client_port=4711\n"
		     "ccert_fingerprint=" DIGEST "\n\n";
	char reply[200] = "";
	int fd = inet_policy(
	    "certificates = ( { fingerprint = \"" DIGEST "\"; } );");

	(void)state;
	assert_int_equal(send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL),
	    sizeof(request) - 1);
	assert_true(recv(fd, reply, sizeof(reply) - 1, 0) > 0);
	(void)close(fd);
	/* the MTA that asks is told; the second lock stays shut */
	assert_reply(reply, "action=OK");
	struct mclient *mc = mta_from("Postfix 3.7", "203.0.113.20", 4711);

	mail(mc, "<s@y.test>");
	assert_reply(rcpt(mc, REMOTE, "smtp"), "550 ");
	mclient_close(&mc);
}

/* A peer that sends what is no request is named so that it can be found. */
static void
rubbish_has_a_name(void **state)
{
	char want[100], reply[200];
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);
	int fd = inet_policy("");

	(void)state;
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	(void)snprintf(want, sizeof(want),
	    "hanging up on the peer 127.0.0.1 port %u\n",
	    (unsigned)ntohs(sin.sin_port));
	assert_int_equal(send(fd, "rubbish\n\n", 9, MSG_NOSIGNAL), 9);
	wait_logged(want, 1);
	(void)close(fd);
	restart_with("");
	ask("policy.sock", "rubbish\n\n", 9, reply, sizeof(reply));
	(void)snprintf(want, sizeof(want),
	    "hanging up on the peer pid %ld, uid %ld\n", (long)getpid(),
	    (long)getuid());
	wait_logged(want, 1);
}

/* A setting that lets everybody relay isn't taken in silence. */
static void
open_relay_is_said(void **state)
{
	static const char text[] =
	    "/0 may relay without a login: that is an open relay\n";

	(void)state;
	restart_with("trusted_networks = [ \"0.0.0.0/0\", \"10.0.0.0/8\", "
		     "\"::/0\" ];");
	wait_logged(text, 2);
	wait_logged("relay.trusted_networks: ::/0 may relay", 1);
	assert_int_equal(kill(daemon_pid, SIGUSR1), 0);
	wait_logged(text, 4);
	assert_int_equal(logged("10.0.0.0/8"), 0);
}

/* AUTH of one message says nothing of the next, even where the MTA sends no
 * AUTH macro at all for it; nor does one recipient's mailer. */
static void
no_leak(void **state)
{
	struct mclient *mc = mta("203.0.113.9");
	struct mclient_reply r;

	(void)state;
	for (int stage = 0; stage < 4; stage++)
		assert_non_null(strchr(
		    mclient_symlist(mc, (enum mclient_stage)stage), 'j'));
	assert_int_equal(mclient_macro(mc, "{auth_type}", "PLAIN"), 0);
	assert_int_equal(mclient_macro(mc, "{auth_authen}", "bob"), 0);
	mail(mc, "<s@y.test> AUTH=<root@lab.test>");
	assert_accepted(rcpt(mc, REMOTE, "smtp"));
	assert_int_equal(data(mc), SMFIR_CONTINUE);
	assert_int_equal(mclient_eom(mc), 0);
	assert_int_equal(mclient_reply(mc, &r), 0);

	assert_int_equal(mclient_macro(mc, "{auth_type}", NULL), 0);
	assert_int_equal(mclient_macro(mc, "{auth_authen}", NULL), 0);
	mail(mc, "<s@y.test> AUTH=<root@lab.test>");
	assert_reply(rcpt(mc, REMOTE, "smtp"), "550 5.7.1 ");
	assert_accepted(rcpt(mc, "<alice@elsewhere.test>", "local"));
	assert_reply(rcpt(mc, REMOTE, NULL), "550 5.7.1 ");
	assert_int_equal(mclient_abort(mc), 0);
	/* what a client says of itself */
	assert_int_equal(mclient_macro(mc, "{auth_author}", "root"), 0);
	assert_int_equal(mclient_macro(mc, "{auth_authen}", "root"), 0);
	mail(mc, "<s@y.test>");
	assert_reply(rcpt(mc, REMOTE, "smtp"), "550 5.7.1 ");
	/* a success that proves nothing */
	assert_int_equal(mclient_abort(mc), 0);
	assert_int_equal(mclient_macro(mc, "{auth_type}", "ANONYMOUS"), 0);
	mail(mc, "<s@y.test>");
	assert_reply(rcpt(mc, REMOTE, "smtp"), "550 5.7.1 ");
	mclient_close(&mc);
}

/* When DATA is answered, another process can read the rows. */
static void
durable(void **state)
{
	struct mclient *mc = mta("203.0.113.5");

	(void)state;
	login("203.0.113.5", 100);
	for (int i = 0; i < 20; i++) {
		mail(mc, "<s@y.test>");
		assert_accepted(rcpt(mc, REMOTE, "smtp"));
		assert_accepted(rcpt(mc, "<y@remote.test>", "smtp"));
		assert_int_equal(data(mc), SMFIR_CONTINUE);
		assert_int_equal(sql_int("audit.db",
				     "SELECT count(*) FROM "
				     "decision WHERE queue_id = 'QUEUEID1'"),
		    2 * (i + 1));
	}
	/* kill -9 loses nothing of them */
	assert_true(WIFSIGNALED(stop_daemon(SIGKILL)));
	mclient_close(&mc);
	assert_int_equal(sql_int("audit.db",
			     "SELECT count(*) FROM decision "
			     "WHERE queue_id = 'QUEUEID1'"),
	    40);
	start_daemon();
}

/* Relays get 4xx whatever is wrong with the login table; our own mail flows,
 * and all works again as soon as the table does. */
static void
store_trouble(void **state)
{
	struct mclient *mc = mta("203.0.113.5");

	(void)state;
	login("203.0.113.5", 100);
	mail(mc, "<s@y.test>");
	assert_accepted(rcpt(mc, REMOTE, "smtp"));

	/* missing, also for connections that are open */
	assert_int_equal(rename(path("logins.db"), path("away.db")), 0);
	wait_rcpt(mc, REMOTE, "451 4.3.0 ");
	assert_accepted(rcpt(mc, "<alice@lab.test>", "local"));
	assert_int_equal(rename(path("away.db"), path("logins.db")), 0);
	wait_rcpt(mc, REMOTE, "");

	/* rubbish in its place */
	assert_int_equal(rename(path("logins.db"), path("away.db")), 0);
	(void)unlink(path("logins.db-wal"));
	(void)unlink(path("logins.db-shm"));
	FILE *out = fopen(path("logins.db"), "w");

	assert_non_null(out);
	for (int i = 0; i < 20000; i++)
		(void)fputs("rubbish ", out);
	(void)fclose(out);
	wait_rcpt(mc, REMOTE, "451 4.3.0 ");
	assert_accepted(rcpt(mc, "<alice@lab.test>", "local"));
	mclient_close(&mc);

	/* empty in its place */
	assert_int_equal(truncate(path("logins.db"), 0), 0);
	(void)usleep(150000);
	mc = mta("203.0.113.5");
	mail(mc, "<s@y.test>");
	assert_reply(rcpt(mc, REMOTE, "smtp"), "451 4.3.0 ");
	mclient_close(&mc);
	assert_int_equal(rename(path("away.db"), path("logins.db")), 0);
}

/* A denial counts at the next recipient of a running session, for logins and
 * for AUTH, and ends when it ends. */
static void
denied(void **state)
{
	struct mclient *mc = mta("203.0.113.5");

	(void)state;
	login("203.0.113.5", 100);
	mail(mc, "<s@y.test>");
	assert_accepted(rcpt(mc, REMOTE, "smtp"));
	sql("logins.db",
	    "INSERT INTO deny VALUES ('203.0.113.0/24', "
	    "'client', 1, unixepoch() + 100, 'spam')");
	assert_reply(rcpt(mc, REMOTE, "smtp"),
	    "550 5.7.1 Relaying denied "
	    "for 203.0.113.5: blocked");
	assert_accepted(rcpt(mc, "<alice@lab.test>", "local"));
	sql("logins.db", "UPDATE deny SET subject = 'alice', kind = 'user'");
	assert_reply(rcpt(mc, REMOTE, "smtp"), "550 5.7.1 ");
	sql("logins.db", "UPDATE deny SET expires_at = unixepoch()");
	assert_accepted(rcpt(mc, REMOTE, "smtp"));
	assert_int_equal(mclient_abort(mc), 0);
	/* an AUTH user who is denied */
	assert_int_equal(mclient_macro(mc, "{auth_type}", "PLAIN"), 0);
	assert_int_equal(mclient_macro(mc, "{auth_authen}", "bob"), 0);
	mail(mc, "<s@y.test>");
	assert_accepted(rcpt(mc, REMOTE, "smtp"));
	sql("logins.db",
	    "INSERT INTO deny VALUES ('bob', 'user', 1, "
	    "unixepoch() + 100, 'hijacked')");
	assert_reply(rcpt(mc, REMOTE, "smtp"), "550 5.7.1 ");
	mclient_close(&mc);
	/* and a trusted network */
	sql("logins.db",
	    "INSERT INTO deny VALUES ('198.51.100.7', 'client', "
	    "1, unixepoch() + 100, 'virus')");
	mc = mta("198.51.100.7");
	mail(mc, "<s@y.test>");
	assert_reply(rcpt(mc, REMOTE, "smtp"), "550 5.7.1 ");
	mclient_close(&mc);
}

/* Another process keeps the table to itself. */
static void
store_locked(void **state)
{
	sqlite3 *h;

	(void)state;
	login("203.0.113.5", 100);
	assert_int_equal(stop_daemon(SIGTERM), 0);
	assert_int_equal(sqlite3_open(path("logins.db"), &h), SQLITE_OK);
	assert_int_equal(
	    sqlite3_exec(h,
		"PRAGMA locking_mode = EXCLUSIVE; "
		"BEGIN EXCLUSIVE; INSERT INTO source (name, inode, "
		"position, fingerprint, read_at, line_at) VALUES ('l', 0, 0, '', "
		"unixepoch() + 1000, 0)",
		NULL, NULL, NULL),
	    SQLITE_OK);
	start_daemon();
	struct mclient *mc = mta("203.0.113.5");

	mail(mc, "<s@y.test>");
	assert_reply(rcpt(mc, REMOTE, "smtp"), "451 4.3.0 ");
	assert_accepted(rcpt(mc, "<alice@lab.test>", "local"));
	(void)sqlite3_exec(h, "ROLLBACK", NULL, NULL, NULL);
	(void)sqlite3_close(h);
	assert_accepted(rcpt(mc, REMOTE, "smtp"));
	mclient_close(&mc);
}

static void
collector_behind(void **state)
{
	struct mclient *mc = mta("203.0.113.50");

	(void)state;
	mail(mc, "<s@y.test>");
	assert_reply(rcpt(mc, REMOTE, "smtp"), "550 5.7.1 ");
	sql("logins.db", "UPDATE source SET read_at = unixepoch() - 1000");
	wait_rcpt(mc, REMOTE, "450 4.7.1 ");
	/* an expired login, while nobody reads the logs: can't know */
	login("203.0.113.50", -5);
	assert_reply(rcpt(mc, REMOTE, "smtp"), "450 4.7.1 ");
	sql("logins.db", "DELETE FROM source");
	wait_rcpt(mc, REMOTE, "550 5.7.1 ");
	sql("logins.db", "DELETE FROM login");
	wait_rcpt(mc, REMOTE, "450 4.7.1 ");
	mclient_close(&mc);
}

/* The audit can't be written: no relay, and our own mail flows. */
static void
audit_trouble(void **state)
{
	struct mclient *mc = mta("203.0.113.5");

	(void)state;
	login("203.0.113.5", 100);
	mail(mc, "<s@y.test>");
	assert_accepted(rcpt(mc, REMOTE, "smtp"));
	assert_int_equal(unlink(path("audit.db")), 0);
	assert_int_equal(mkdir(path("audit.db"), 0700), 0);
	assert_int_equal(data(mc), SMFIR_REPLYCODE);
	mail(mc, "<s@y.test>");
	assert_reply(rcpt(mc, REMOTE, "smtp"), "451 4.3.0 ");
	assert_accepted(rcpt(mc, "<alice@lab.test>", "local"));
	assert_int_equal(data(mc), SMFIR_CONTINUE);
	assert_int_equal(rmdir(path("audit.db")), 0);
	(void)unlink(path("audit.db-wal"));
	(void)unlink(path("audit.db-shm"));
	/* and it comes back by itself */
	mail(mc, "<s@y.test>");
	wait_rcpt(mc, REMOTE, "");
	assert_int_equal(data(mc), SMFIR_CONTINUE);
	mclient_close(&mc);
}

/* Send bytes to the milter socket and hang up. */
static void
hostile_packets(void **state)
{
	static const struct {
		const char *name, *bytes;
		size_t len;
	} rows[] = {
#define BYTES(name, text) { name, text, sizeof(text) - 1 }
		BYTES("nothing", ""),
		BYTES("half a length", "\0\0"),
		BYTES("length 0", "\0\0\0\0"),
		BYTES("huge length", "\xff\xff\xff\xffO"),
		BYTES("short OPTNEG", "\0\0\0\x02O\0"),
		BYTES("unknown command", "\0\0\0\x01\xfe"),
		BYTES("RCPT before anything", "\0\0\0\x05R<a>\0"),
		BYTES("RCPT without NUL", "\0\0\0\x04R<a>"),
		BYTES("HTTP", "GET / HTTP/1.0\r\n\r\n"),
		BYTES("macros before anything",
		    "\0\0\0\x08"
		    "DMi\0x\0y\0"),
	};
	unsigned seed = 4711;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows) + 200; i++) {
		struct mclient *mc = mclient_open(sock, 1000);
		struct mclient_reply r;
		char random[300];
		size_t n = 0;

		assert_non_null(mc);
		if (i < sizeof(rows) / sizeof(*rows)) {
			(void)mclient_raw(mc, rows[i].bytes, rows[i].len);
		} else {
			/* a good beginning, then frames of random content */
			(void)mclient_negotiate(mc, NULL);
			(void)mclient_reply(mc, &r);
			for (int f = 0; f < 6; f++) {
				n = (size_t)(rand_r(&seed) % 60);
				for (size_t b = 0; b < n; b++)
					random[b] = (char)rand_r(&seed);
				(void)mclient_frame(mc,
				    "CHMRDBETA"[rand_r(&seed) % 9], random, n);
			}
		}
		(void)mclient_flush(mc);
		mclient_close(&mc);
	}
	/* who waits for an answer is hung up on */
	struct mclient *mc = mclient_open(sock, 60000);
	struct mclient_reply r;

	assert_non_null(mc);
	(void)mclient_raw(mc, "GET / HTTP/1.0\r\n\r\n", 18);
	assert_int_equal(mclient_read(mc, &r), -1);
	assert_int_equal(errno, ECONNRESET);
	mclient_close(&mc);
	/* alive, and still right */
	assert_int_equal(kill(daemon_pid, 0), 0);
	mc = mta("203.0.113.99");

	mail(mc, "<s@y.test>");
	assert_reply(rcpt(mc, REMOTE, "smtp"), "550 5.7.1 ");
	mclient_close(&mc);
}

/* QUIT_NC says that another client follows on the same connection. libmilter
 * obeys it after EOM and behind ABORT, and elsewhere ignores it together with
 * the CONNECT behind it: then the next client gets a temporary failure, and is
 * never judged by the address of the one before. */
static void
another_client(void **state)
{
	static const struct {
		const char *name, *steps; /* Mail, Rcpt, Data, Eom, Abort */
		bool obeyed;
	} rows[] = { { "at once", "", false }, { "in MAIL", "M", false },
		{ "in RCPT", "MR", false }, { "in DATA", "MRD", false },
		{ "after EOM", "MRDE", true }, { "behind ABORT", "MRA", true },
		{ "behind EOM and ABORT", "MRDEA", false } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct mclient *mc = mta("198.51.100.1");
		struct mclient_reply r;

		for (const char *p = rows[i].steps; *p != '\0'; p++) {
			if (*p == 'M')
				mail(mc, "<s@y.test>");
			else if (*p == 'R')
				assert_accepted(rcpt(mc, REMOTE, "smtp"));
			else if (*p == 'D')
				assert_int_equal(data(mc), SMFIR_CONTINUE);
			else if (*p == 'A')
				assert_int_equal(mclient_abort(mc), 0);
			else
				assert_true(mclient_eom(mc) == 0 &&
				    mclient_reply(mc, &r) == 0);
		}
		assert_int_equal(mclient_quit_nc(mc), 0);
		assert_int_equal(mclient_macro(mc, "v", "test MTA"), 0);
		assert_int_equal(
		    mclient_connect(mc, "evil.example", "203.0.113.66"), 0);
		(void)mclient_reply(mc, &r);
		(void)mclient_helo(mc, "evil.example");
		(void)mclient_reply(mc, &r);
		mail(mc, "<s@y.test>");
		assert_int_equal(mclient_rcpt(mc, REMOTE), 0);
		assert_int_equal(mclient_reply(mc, &r), 0);
		print_message("%s: %c %s\n", rows[i].name, r.code, r.text);
		assert_int_equal(
		    r.code, rows[i].obeyed ? SMFIR_REPLYCODE : SMFIR_TEMPFAIL);
		if (rows[i].obeyed)
			assert_reply(r.text, "550 5.7.1 ");
		mclient_close(&mc);
	}
	wait_until(logged("the MTA went on with another client") > 0);
	/* others aren't touched */
	struct mclient *mc = mta("198.51.100.1");

	for (int i = 0; i < 3; i++) {
		mail(mc, "<s@y.test>");
		assert_accepted(rcpt(mc, REMOTE, "smtp"));
		assert_int_equal(data(mc), SMFIR_CONTINUE);
	}
	mclient_close(&mc);
}

/* Packets as they may come: cut anywhere, many at once, long, the last ones
 * before the MTA closes its side. Answers are those of whole packets. */

/* Macros and command of one RCPT in out; j is the value of that macro.
 * Returns their length. */
static size_t
rcpt_packets(char *out, const char *j, const char *to)
{
	size_t macros = 1 + 1 + 2 + strlen(j) + 1, command = 1 + strlen(to) + 1;
	size_t n = 0;

	for (int shift = 24; shift >= 0; shift -= 8)
		out[n++] = (char)(macros >> shift);
	memcpy(out + n, "DRj", 4);
	n += 4;
	n += (size_t)sprintf(out + n, "%s", j) + 1;
	for (int shift = 24; shift >= 0; shift -= 8)
		out[n++] = (char)(command >> shift);
	n += (size_t)sprintf(out + n, "R%s", to) + 1;
	return n;
}

static void
cut_packets(void **state)
{
	struct mclient *mc = mta("203.0.113.99");
	struct mclient_reply r;
	char bytes[200];
	size_t n = rcpt_packets(bytes, "mx.lab.test", REMOTE);

	(void)state;
	mail(mc, "<s@y.test>");
	for (size_t cut = 1; cut < n; cut += 3) {
		assert_int_equal(write(mclient_fd(mc), bytes, cut), cut);
		/* some longer than libmilter keeps a thread waiting */
		(void)usleep(cut % 2 ? 0 : 5000);
		assert_int_equal(
		    write(mclient_fd(mc), bytes + cut, n - cut), n - cut);
		assert_int_equal(mclient_read(mc, &r), 0);
		assert_reply(r.text, "550 5.7.1 ");
	}
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(write(mclient_fd(mc), bytes + i, 1), 1);
		(void)usleep(300);
	}
	assert_int_equal(mclient_read(mc, &r), 0);
	assert_reply(r.text, "550 5.7.1 ");
	mclient_close(&mc);
}

enum { FLOOD = 6000 };

static void *
flood(void *arg)
{
	static char bytes[FLOOD * 1700];
	const int *fd = arg;
	size_t n = 0, sent = 0;
	char j[1500];

	for (int i = 0; i < FLOOD; i++) {
		size_t len = i % 50 == 0 ? sizeof(j) - 1 : 1 + (size_t)i % 90;

		memset(j, 'j', len);
		j[len] = '\0';
		n += rcpt_packets(
		    bytes + n, j, i % 3 == 0 ? REMOTE : "<alice@lab.test>");
	}
	while (sent < n) {
		ssize_t done = write(*fd, bytes + sent, n - sent);

		if (done <= 0)
			break;
		sent += (size_t)done;
	}
	(void)shutdown(*fd, SHUT_WR);
	return (void *)(uintptr_t)(sent == n);
}

/* More answers than there is room for, and nobody reads them for a while. */
static void
many_packets(void **state)
{
	struct mclient *mc = mta("203.0.113.99");
	int fd = mclient_fd(mc), flags = fcntl(fd, F_GETFL);
	struct mclient_reply r;
	pthread_t thread;
	void *all_sent;

	(void)state;
	mail(mc, "<s@y.test>");
	(void)fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
	assert_int_equal(pthread_create(&thread, NULL, flood, &fd), 0);
	(void)usleep(300000);
	for (int i = 0; i < FLOOD; i++) {
		if (mclient_read(mc, &r) == -1)
			fail_msg("answer %d: %s", i, strerror(errno));
		if (i % 3 == 0)
			assert_reply(r.text, "550 5.7.1 ");
		else
			assert_int_equal(r.code, SMFIR_CONTINUE);
	}
	assert_int_equal(pthread_join(thread, &all_sent), 0);
	assert_non_null(all_sent);
	/* it has seen the end, too */
	assert_int_equal(mclient_read(mc, &r), -1);
	assert_int_equal(errno, ECONNRESET);
	mclient_close(&mc);
	wait_int("audit.db", "SELECT sum(count) FROM decision", FLOOD / 3);
}

static void
permit_channel(void **state)
{
#define POLICY "request=smtpd_access_policy\nprotocol_state=RCPT\n"
	static const struct {
		const char *socket, *request, *want;
	} rows[] = {
		{ "policy.sock",
		    POLICY "client_address=203.0.113.5\n"
			   "recipient=x@remote.test\nsender=\n\n",
		    "action=OK\n\n" },
		{ "policy.sock",
		    POLICY "client_address=203.0.113.6\n"
			   "recipient=x@remote.test\n\n",
		    "action=550 5.7.1 Relaying" },
		{ "policy.sock",
		    POLICY "client_address=203.0.113.6\n"
			   "recipient=x@remote.test\nsasl_method=plain\n"
			   "sasl_username=bob\n\n",
		    "action=OK\n\n" },
		{ "policy.sock",
		    POLICY "client_address=203.0.113.6\n"
			   "recipient=x@remote.test\nsasl_username=bob\n\n",
		    "action=550 " },
		{ "policy.sock",
		    POLICY "client_address=203.0.113.6\n"
			   "recipient=x@remote.test\n"
			   "sasl_method=plain\n\n",
		    "action=550 " },
		{ "policy.sock",
		    POLICY "client_address=203.0.113.6\n"
			   "recipient=x@remote.test\n"
			   "sasl_method=plain\nsasl_username=\n\n",
		    "action=550 " },
		{ "policy.sock",
		    POLICY "client_address=203.0.113.6\n"
			   "recipient=x@remote.test\n"
			   "sasl_method= \nsasl_username=bob\n\n",
		    "action=550 " },
		{ "policy.sock",
		    POLICY "client_address=203.0.113.6\n"
			   "recipient=x@remote.test\n"
			   "sasl_method=\x01\nsasl_username=bob\n\n",
		    "action=550 " },
		{ "policy.sock",
		    POLICY "client_address=203.0.113.6\n"
			   "recipient=x@remote.test\n"
			   "sasl_method=PLAIN,LOGIN\nsasl_username=bob\n\n",
		    "action=550 " },
		{ "policy.sock",
		    POLICY "client_address=203.0.113.6\n"
			   "recipient=alice@lab.test\n\n",
		    "action=DUNNO\n\n" },
		{ "policy.sock",
		    POLICY "client_address=unknown\n"
			   "recipient=x@remote.test\n\n",
		    "action=550 5.7.1 " },
		{ "policy.sock", POLICY "recipient=x@remote.test\n\n",
		    "action=550 5.7.1 " },
		{ "policy.sock",
		    "request=smtpd_access_policy\n"
		    "protocol_state=DATA\nclient_address=203.0.113.5\n"
		    "recipient=x@remote.test\n\n",
		    "action=DUNNO\n\n" },
		{ "policy.sock", "rubbish\n\n", "" },
		{ "policy.sock", "\n\n", "" },
		{ "map.sock", "19:popgate 203.0.113.5,", "5:OK OK," },
		{ "map.sock", "20:popgate ::203.0.1.13,", ":OK 550 " },
		/* Postfix asks by name first */
		{ "map.sock", "15:popgate unknown,", "9:NOTFOUND ," },
		{ "map.sock", "19:popgate mail.x.test,", "9:NOTFOUND ," },
		{ "map.sock", "8:popgate ,", "9:NOTFOUND ," },
		{ "map.sock", "5:other,", "22:PERM malformed request," },
		{ "map.sock", "999999999:", "22:PERM malformed request," },
	};
	static char big[20000], reply[1200];

	(void)state;
	login("203.0.113.5", 100);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		ask(rows[i].socket, rows[i].request, strlen(rows[i].request),
		    reply, sizeof(reply));
		const char *got =
		    *rows[i].want == ':' ? strchr(reply, ':') : reply;

		if (got == NULL ||
		    strncmp(got, rows[i].want, strlen(rows[i].want)) != 0 ||
		    (*rows[i].want == '\0' && *reply != '\0'))
			fail_msg("%s -> %s", rows[i].request, reply);
	}
	/* a permit's row is on disk when the reply is there */
	assert_int_equal(sql_int("audit.db",
			     "SELECT count(*) FROM decision "
			     "WHERE channel = 'policy' AND verdict = 'accept'"),
	    2);
	/* endless requests end */
	memset(big, 'x', sizeof(big));
	ask("policy.sock", big, sizeof(big), reply, sizeof(reply));
	assert_true(*reply == '\0' || strncmp(reply, "errno", 5) == 0);
	big[0] = '8';
	ask("map.sock", big, sizeof(big), reply, sizeof(reply));
	assert_int_equal(kill(daemon_pid, 0), 0);
	/* pipelined requests on one connection are all answered */
	char *p = big;

	for (int i = 0; i < 50; i++)
		p = stpcpy(p, "19:popgate 203.0.113.5,");
	ask("map.sock", big, (size_t)(p - big), reply, sizeof(reply));
	assert_reply(reply, "5:OK OK,");
}

static void
reload(void **state)
{
	struct mclient *mc = mta("203.0.113.5");
	int before = health_number("reloads");

	(void)state;
	mail(mc, "<s@y.test>");
	assert_reply(rcpt(mc, "<a@new.test>", "smtp"), "550 ");
	/* a bad file changes nothing */
	write_config("local_domans = [ ];", "");
	(void)kill(daemon_pid, SIGUSR1);
	wait_until(health_number("reloads") == before + 1);
	struct mclient *other = mta("203.0.113.5");

	mail(other, "<s@y.test>");
	assert_accepted(rcpt(other, "<a@lab.test>", "smtp"));
	assert_reply(rcpt(other, "<a@new.test>", "smtp"), "550 ");
	mclient_close(&other);
	/* a good one holds for new connections; old ones keep theirs */
	write_config("trusted_networks = [ \"203.0.113.5\" ];", "");
	(void)kill(daemon_pid, SIGUSR1);
	wait_until(health_number("reloads") == before + 2);
	other = mta("203.0.113.5");
	mail(other, "<s@y.test>");
	assert_accepted(rcpt(other, "<a@new.test>", "smtp"));
	mclient_close(&other);
	assert_reply(rcpt(mc, "<a@new.test>", "smtp"), "550 ");
	mclient_close(&mc);
}

/* The reply says so when a login can't help because it comes by IPv4, or by
 * IPv6; and nothing of whose. */
static void
other_family(void **state)
{
#define HINT(family, other) \
	" (you send over " family ": a login over " other " is no help)"
	static const struct {
		const char *event, *ipv4, *ipv6;
	} rows[] = { { "203.0.113.5", "", HINT("IPv6", "IPv4") },
		{ "2001:db8::5", HINT("IPv4", "IPv6"), "" },
		/* at a time that doesn't count any more, or an admin's */
		{ "old", "", "" }, { "manual", "", "" } };
#define DENIED                                                       \
	"550 5.7.1 Relaying denied for %s: check your mail by POP3 " \
	"or IMAP first, or use SMTP AUTH on port 587%s"
	char text[400];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		(void)snprintf(text, sizeof(text),
		    "DELETE FROM login_event; "
		    "INSERT INTO login_event VALUES (1, unixepoch()%s, '%s', "
		    "'alice', 'imap', 'dovecot', '%s', 0, 'line')",
		    strcmp(rows[i].event, "old") == 0 ? " - 7200" : "",
		    strchr(rows[i].event, '.') != NULL ||
			    strchr(rows[i].event, ':') != NULL
			? rows[i].event
			: "10.0.0.1",
		    strcmp(rows[i].event, "manual") == 0 ? "popgatectl"
							 : "file:/x");
		sql("logins.db", text);
		restart_with("");
		(void)snprintf(
		    text, sizeof(text), DENIED, "203.0.113.9", rows[i].ipv4);
		assert_string_equal(
		    relay_from("203.0.113.9", "<s@y.test>", NULL), text);
		(void)snprintf(
		    text, sizeof(text), DENIED, "2001:db8::9", rows[i].ipv6);
		assert_string_equal(
		    relay_from("2001:db8::9", "<s@y.test>", NULL), text);
	}
}

#define COUNT "SELECT count(*) FROM channel_decision WHERE "

static void
monitor_mode(void **state)
{
	(void)state;
	assert_int_equal(stop_daemon(SIGTERM), 0);
	write_config("mode = \"monitor\"; sender_binding = \"address\";",
	    "record = \"all\";");
	start_daemon();
	struct mclient *mc = mta("203.0.113.60");
	int looks = 0;

	login("203.0.113.61", 100);
	mail(mc, "<s@y.test>");
	assert_accepted(rcpt(mc, REMOTE, "smtp"));
	assert_accepted(rcpt(mc, "<a@lab.test>", "local"));
	assert_int_equal(data(mc), SMFIR_CONTINUE);
	mclient_close(&mc);
	assert_accepted(relay_from("203.0.113.61", "<s@y.test>", NULL));
	wait_int("audit.db",
	    COUNT
	    "client = '203.0.113.60' AND verdict = "
	    "'would-reject' AND reason = 'no-login' AND rule = 13 AND reply "
	    "IS NULL",
	    1);
	wait_int("audit.db",
	    COUNT "client = '203.0.113.60' AND class = "
		  "'local' AND verdict = 'accept'",
	    1);
	wait_int("audit.db",
	    COUNT "client = '203.0.113.61' AND verdict = "
		  "'would-reject' AND reason = 'sender-mismatch'",
	    1);
	/* the table gone, and the audit: still nothing is refused */
	assert_int_equal(rename(path("logins.db"), path("away.db")), 0);
	do
		assert_accepted(relay_from("203.0.113.60", "<s@y.test>", NULL));
	while (sql_int("audit.db",
		   COUNT
		   "client = '203.0.113.60' AND verdict = "
		   "'would-tempfail' AND reason = 'store-unavailable'") == 0 &&
	    wait_more(&looks));
	assert_true(
	    sql_int("audit.db", COUNT "reason = 'store-unavailable'") > 0);
	assert_int_equal(unlink(path("audit.db")), 0);
	assert_int_equal(mkdir(path("audit.db"), 0700), 0);
	for (int i = 0; i < 3; i++) {
		mc = mta("203.0.113.60");
		mail(mc, "<s@y.test>");
		assert_accepted(rcpt(mc, REMOTE, "smtp"));
		assert_int_equal(data(mc), SMFIR_CONTINUE);
		mclient_close(&mc);
	}
	assert_int_equal(rmdir(path("audit.db")), 0);
}

/* One listener, or one network, is watched; all others are guarded. */
static void
monitor_in_part(void **state)
{
	static const char *const asked[] = { ASK "sender=x@y.test\n\n",
		MAP_KEY("x@y.test") };

	(void)state;
	restart_with("monitor_networks = [ \"203.0.113.0/29\" ];");
	assert_accepted(relay_from("203.0.113.7", "<s@y.test>", NULL));
	assert_reply(relay_from("203.0.113.8", "<s@y.test>", NULL), "550 ");
	assert_reply(ask_text("policy.sock", asked[0]), "action=DUNNO");
	assert_reply(ask_text("map.sock", asked[1]), "NOTFOUND");
	restart_with("monitor_listeners = [ \"milter\" ];");
	assert_accepted(relay_from("203.0.113.8", "<s@y.test>", NULL));
	assert_reply(ask_text("policy.sock", asked[0]), "action=550 ");
	assert_reply(ask_text("map.sock", asked[1]), "OK <refuse>");
	restart_with("monitor_listeners = [ \"policy\", \"socketmap\" ];");
	assert_reply(relay_from("203.0.113.7", "<s@y.test>", NULL), "550 ");
	assert_reply(ask_text("policy.sock", asked[0]), "action=DUNNO");
	assert_reply(ask_text("map.sock", asked[1]), "NOTFOUND");
	/* who may, may */
	login("203.0.113.7", 100);
	assert_reply(ask_text("policy.sock", asked[0]), "action=OK");
	assert_reply(ask_text("map.sock", asked[1]), "OK <permit>");
	wait_int("audit.db", COUNT "verdict = 'would-reject'", 6);
	wait_int("audit.db", COUNT "verdict = 'reject'", 4);
}

/* As if popgate weren't there: neither a refusal nor a permit. */
static void
observe_mode(void **state)
{
	static const char *const asked[] = { ASK "sender=x@y.test\n\n",
		MAP_KEY("x@y.test") };

	(void)state;
	restart_with("mode = \"observe\";");
	assert_reply(ask_text("policy.sock", asked[0]), "action=DUNNO");
	assert_reply(ask_text("map.sock", asked[1]), "NOTFOUND");
	assert_accepted(relay_from("203.0.113.7", "<s@y.test>", NULL));
	wait_int("audit.db", COUNT "verdict = 'would-reject'", 3);
	login("203.0.113.7", 100);
	assert_reply(ask_text("policy.sock", asked[0]), "action=DUNNO");
	assert_reply(ask_text("map.sock", asked[1]), "NOTFOUND");
	wait_int("audit.db",
	    COUNT "verdict = 'would-accept' AND channel <> 'milter'", 2);
	/* what the milter sees and lets pass, the MTA has let through */
	assert_accepted(relay_from("203.0.113.7", "<s@y.test>", NULL));
	wait_int(
	    "audit.db", COUNT "verdict = 'accept' AND channel = 'milter'", 1);
}

static void
stop(void **state)
{
	struct stat st;
	struct mclient *mc = mta("203.0.113.5");

	(void)state;
	mail(mc, "<s@y.test>");
	assert_reply(rcpt(mc, REMOTE, "smtp"), "550 ");
	int status = stop_daemon(SIGTERM);

	mclient_close(&mc);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	/* the row of a refusal that nobody waited for is there */
	assert_int_equal(sql_int("audit.db",
			     "SELECT count(*) FROM "
			     "decision"),
	    1);
	assert_int_equal(stat(sock, &st), -1);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(decisions),
		TEST(shared_address),
		TEST(sender_binding),
		TEST(sender_of_permit_channel),
		TEST(certificates),
		TEST(certificate_of_permit_channel),
		TEST(certificate_over_inet),
		TEST(rubbish_has_a_name),
		TEST(open_relay_is_said),
		TEST(no_leak),
		TEST(durable),
		TEST(denied),
		TEST(store_trouble),
		TEST(store_locked),
		TEST(collector_behind),
		TEST(audit_trouble),
		TEST(hostile_packets),
		TEST(another_client),
		TEST(cut_packets),
		TEST(many_packets),
		TEST(permit_channel),
		TEST(reload),
		TEST(other_family),
		TEST(monitor_mode),
		TEST(monitor_in_part),
		TEST(observe_mode),
		TEST(stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
