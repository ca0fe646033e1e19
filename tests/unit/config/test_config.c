/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include "common/base/err.h"
#include "common/config/config.h"

static void
defaults(void **state)
{
	const char *path = unit_file(0, "# nothing\n");
	struct config *cfg;
	struct err err;

	(void)state;
	if (config_load(path, &cfg, &err) == -1)
		fail_msg("%s", err.text);
	assert_string_equal(cfg->logins.database, "/var/lib/popgate/logins.db");
	assert_int_equal(cfg->logins.window_s, 1800);
	assert_false(cfg->logins.sessions);
	assert_int_equal(cfg->logins.session_max_s, 12 * 3600);
	assert_int_equal(cfg->audit.keep_s, 90 * 86400);
	assert_false(cfg->audit.record_all);
	assert_true(cfg->audit.durable);
	assert_int_equal(cfg->audit.max_size, INT64_C(8) << 30);
	assert_int_equal(cfg->milter.mode, 0660);
	assert_string_equal(
	    cfg->milter.status, "unix:/run/popgate/status.sock");
	assert_string_equal(
	    cfg->collector.status, "unix:/run/popgate-collector/status.sock");
	assert_string_equal(cfg->metrics.milter, "");
	assert_string_equal(cfg->metrics.collector, "");
	assert_int_equal(cfg->relay.mode, RELAY_ENFORCE);
	assert_int_equal(cfg->relay.local_mailers.n, 8);
	assert_int_equal(cfg->relay.trusted_networks.n, 0);
	assert_true(cfg->relay.never_authorize_own);
	assert_int_equal(cfg->relay.never_authorize.n, 9);
	assert_int_equal(cfg->relay.ipv6_prefix, 128);
	assert_int_equal(cfg->relay.collector_grace_s, 120);
	assert_int_equal(cfg->relay.shared_address_users, 10);
	assert_false(cfg->relay.shared_refused);
	assert_int_equal(cfg->limits.rate[LIMIT_CLIENT_RECIPIENTS].max, 2000);
	assert_int_equal(cfg->limits.rate[LIMIT_CLIENT_SENDERS].max, 100);
	assert_int_equal(cfg->limits.rate[LIMIT_CLIENT_SENDERS].window_s, 3600);
	assert_int_equal(cfg->limits.rate[LIMIT_USER_CLIENTS].max, 50);
	assert_int_equal(cfg->limits.rate[LIMIT_USER_CLIENTS].window_s, 86400);
	assert_int_equal(cfg->limits.rate[LIMIT_MESSAGE_RECIPIENTS].max, 0);
	assert_true(cfg->limits.authenticated);
	assert_false(cfg->limits.trusted_networks);
	assert_int_equal(cfg->limits.deny_for_s, 0);
	assert_int_equal(cfg->collector.n_sources, 0);
	assert_int_equal(cfg->share.servers.n, 0);
	assert_string_equal(cfg->share.stream, "popgate");
	assert_string_equal(cfg->share.tls_ca, "");
	assert_string_equal(cfg->share.tls_certificate, "");
	assert_false(cfg->share.required);
	config_free(cfg);
	(void)unlink(path);
}

static void
mirrors(void **state)
{
	const char *path = unit_file(0,
	    "collector: { mirror = ( { file = "
	    "\"/m/a\"; format = \"relayhosts\"; }, { file = \"/m/b.db\"; "
	    "format = \"hash\"; value = \"RELAY\"; } ); };\n");
	struct config *cfg;
	struct err err;

	(void)state;
	if (config_load(path, &cfg, &err) == -1)
		fail_msg("%s", err.text);
	assert_int_equal(cfg->collector.n_mirror, 2);
	assert_string_equal(cfg->collector.mirror[0].file, "/m/a");
	assert_int_equal(cfg->collector.mirror[0].format, MAP_AS_RELAYHOSTS);
	assert_null(cfg->collector.mirror[0].value);
	assert_int_equal(cfg->collector.mirror[1].format, MAP_AS_HASH);
	assert_string_equal(cfg->collector.mirror[1].value, "RELAY");
	config_free(cfg);
	(void)unlink(path);
}

/* Keys that the file doesn't set. */
static bool
note_default(void *arg, const struct config_value *value)
{
	char *buf = arg;

	if (value->file == NULL)
		(void)snprintf(
		    buf + strlen(buf), 4096 - strlen(buf), "%s ", value->key);
	return true;
}

static void
everything(void **state)
{
	const char *path = unit_file(0,
	    "logins: { database = \"/tmp/l.db\"; window = 90; keep = \"2h\"; "
	    "sessions = true; session_max = \"8h\"; "
	    "};\n"
	    "audit: { record = \"all\"; durability = \"none\"; queue = 100; max_size = \"500M\"; "
	    "};\n"
	    "milter: { listen = \"inet:9999@127.0.0.1\"; mode = \"0600\"; "
	    "};\n"
	    "permit: { policy = \"inet:[::1]:9998\"; };\n"
	    "relay: { mode = \"monitor\"; local_domains = [ \"a.test\", "
	    "\".b.test\" ]; local_mailers = ( \"local\", \"error\" ); "
	    "trusted_networks = [ \"10.0.0.0/8\" ]; never_authorize = [ ]; "
	    "ipv6_prefix = 64; shared_address_users = 3; "
	    "shared_address = \"refuse\"; sender_binding = \"address\"; "
	    "null_sender = \"reject\"; sender_addresses = [ \"user\", "
	    "\"append:a.test\" ]; certificates = ( { subject = \"s\"; issuer = "
	    "\"i\"; }, { fingerprint = \"AA:BBCCDDEEFF0011223344556677889"
	    "9AABBCCDD\"; } ); collector_grace = \"0s\"; };\n"
	    "limits: { client_recipients = \"5/90s\"; client_messages = "
	    "\"off\"; user_clients = \"10000000/1w\"; "
	    "message_recipients = 50; authenticated = false; "
	    "trusted_networks = true; deny_for = \"1h\"; };\n"
	    "reply: { no_login = \"100% no for {client}\"; };\n"
	    "collector: { sources = ( { file = \"/var/log/mail.log\"; }, "
	    "{ journal = \"system\"; }, { stdin = true; }, { socket = "
	    "\"/tmp/s\"; }, { file = \"/a\"; zone = \"-0330\"; rotated = \"/old\"; }, { login = \"/tmp/t\"; } ); login_users = [ "
	    "\"daemon\" ]; servers = [ \"dovecot\" ]; custom = ( { program "
	    "= \"p\"; pattern = \"^x$\"; }, { program = \"q\"; pattern = "
	    "\"^y$\"; unit = \"q.service\"; }, { program = \"r\"; pattern = "
	    "\"^z$\"; stream = true; } ); tags = { dovecot = [ \"d\" ]; cyrus = "
	    "( \"c\", \"e\" ); }; };\n");
	char unset[4096] = "";
	struct config *cfg;
	struct err err;

	(void)state;
	if (config_load(path, &cfg, &err) == -1)
		fail_msg("%s", err.text);
	assert_int_equal(cfg->logins.window_s, 90);
	assert_true(cfg->logins.sessions);
	assert_int_equal(cfg->logins.session_max_s, 8 * 3600);
	assert_int_equal(cfg->logins.keep_s, 7200);
	assert_true(cfg->audit.record_all);
	assert_false(cfg->audit.durable);
	assert_int_equal(cfg->audit.max_size, INT64_C(500) << 20);
	assert_int_equal(cfg->relay.mode, RELAY_MONITOR);
	assert_int_equal(cfg->relay.sender_binding, SENDER_ADDRESS);
	assert_true(cfg->relay.null_sender_refused);
	assert_int_equal(cfg->relay.sender_addresses.n, 2);
	assert_int_equal(cfg->relay.n_certificates, 2);
	assert_string_equal(cfg->relay.certificates[0].issuer, "i");
	assert_string_equal(cfg->relay.certificates[1].fingerprint,
	    "aabbccddeeff00112233445566778899aabbccdd");
	assert_int_equal(cfg->relay.local_domains.n, 2);
	assert_string_equal(cfg->relay.local_domains.v[1], ".b.test");
	assert_int_equal(cfg->relay.shared_address_users, 3);
	assert_true(cfg->relay.shared_refused);
	assert_false(cfg->relay.never_authorize_own);
	assert_int_equal(cfg->relay.never_authorize.n, 0);
	assert_int_equal(cfg->relay.collector_grace_s, 0);
	assert_int_equal(cfg->limits.rate[LIMIT_CLIENT_RECIPIENTS].max, 5);
	assert_int_equal(
	    cfg->limits.rate[LIMIT_CLIENT_RECIPIENTS].window_s, 90);
	assert_int_equal(cfg->limits.rate[LIMIT_CLIENT_MESSAGES].max, 0);
	assert_int_equal(
	    cfg->limits.rate[LIMIT_CLIENT_MESSAGES].window_s, 3600);
	assert_int_equal(cfg->limits.rate[LIMIT_USER_CLIENTS].max, RATE_MAX);
	assert_int_equal(cfg->limits.rate[LIMIT_USER_CLIENTS].window_s, 604800);
	assert_int_equal(cfg->limits.rate[LIMIT_MESSAGE_RECIPIENTS].max, 50);
	assert_false(cfg->limits.authenticated);
	assert_true(cfg->limits.trusted_networks);
	assert_int_equal(cfg->limits.deny_for_s, 3600);
	assert_int_equal(cfg->collector.n_sources, 6);
	assert_null(cfg->collector.sources[0].rotated);
	assert_false(cfg->collector.sources[0].zone.fixed);
	assert_true(cfg->collector.sources[4].zone.fixed);
	assert_int_equal(cfg->collector.sources[4].zone.east_s, -12600);
	assert_string_equal(cfg->collector.sources[4].zone_text, "-03:30");
	assert_string_equal(cfg->collector.sources[4].rotated, "/old");
	assert_string_equal(
	    cfg->collector.sources[0].name, "file:/var/log/mail.log");
	assert_string_equal(cfg->collector.sources[2].name, "stdin");
	assert_int_equal(cfg->collector.sources[3].kind, SOURCE_SOCKET);
	assert_string_equal(cfg->collector.custom[0].pattern, "^x$");
	assert_null(cfg->collector.custom[0].unit);
	assert_string_equal(cfg->collector.custom[1].unit, "q.service");
	assert_false(cfg->collector.custom[1].stream);
	assert_null(cfg->collector.custom[2].unit);
	assert_true(cfg->collector.custom[2].stream);
	assert_int_equal(cfg->collector.n_tags, 2);
	assert_string_equal(cfg->collector.tags[1].server, "cyrus");
	assert_string_equal(cfg->collector.tags[1].tags.v[1], "e");
	/* a new key belongs into the file above, or among these */
	assert_int_equal(config_each(cfg, note_default, unset, &err), 0);
	assert_string_equal(unset,
	    "audit.database audit.keep milter.user milter.group milter.status "
	    "milter.max_sessions milter.drain_timeout permit.socketmap "
	    "relay.monitor_networks relay.monitor_listeners "
	    "relay.proxy_networks limits.client_senders limits.user_recipients "
	    "limits.user_messages reply.other_family reply.login_expired "
	    "reply.denied reply.no_client_identity reply.shared_address "
	    "reply.sender_mismatch reply.rate_limited reply.unavailable "
	    "reply.collector_behind metrics.milter metrics.collector "
	    "collector.user collector.status collector.mirror share.servers "
	    "share.stream share.user share.password_file share.key_file "
	    "share.key_file_old share.tls_ca share.tls_certificate "
	    "share.required share.name ");
	config_free(cfg);
	(void)unlink(path);
}

/* Each error names line and key and says what was expected. */
static void
errors(void **state)
{
	static const struct {
		const char *text, *line, *key, *expected;
	} rows[] = {
		{ "\nlogin: { };", ":2:", "login", "one of the sections" },
		{ "logins: { sessions = 1; };", ":1:", "logins.sessions",
		    "true" },
		{ "logins: { session_max = \"8d\"; };",
		    ":1:", "logins.session_max", "7d" },
		{ "logins: { windw = \"30m\"; };", ":1:", "logins.windw",
		    "popgate.conf(5)" },
		{ "logins: {\n window = \"30x\"; };", ":2:", "logins.window",
		    "a duration" },
		{ "logins: { window = 1.5; };", ":1:", "logins.window",
		    "a duration" },
		{ "logins: { window = true; };", ":1:", "logins.window",
		    "a duration" },
		{ "logins: { window = \"0s\"; };", ":1:", "logins.window",
		    "from 1s" },
		{ "logins: { window = \"99999d\"; };", ":1:", "logins.window",
		    "a duration" },
		{ "logins: { database = \"x.db\"; };", ":1:", "logins.database",
		    "an absolute path" },
		{ "logins: { database = 5; };", ":1:", "logins.database",
		    "a string" },
		{ "logins = 5;", ":1:", "logins", "a group" },
		{ "audit: { record = \"some\"; };", ":1:", "audit.record",
		    "\"relay\" or \"all\"" },
		{ "audit: { queue = \"many\"; };", ":1:", "audit.queue",
		    "a whole number" },
		{ "audit: { queue = 1; };", ":1:", "audit.queue", "from 16" },
		{ "audit: { max_size = 5; };", ":1:", "audit.max_size",
		    "a size like \"500M\"" },
		{ "audit: { max_size = \"5\"; };", ":1:", "audit.max_size",
		    "a size like \"500M\"" },
		{ "audit: { max_size = \"5Mb\"; };", ":1:", "audit.max_size",
		    "a size like \"500M\"" },
		{ "audit: { max_size = \"G\"; };", ":1:", "audit.max_size",
		    "a size like \"500M\"" },
		{ "audit: { max_size = \"-1G\"; };", ":1:", "audit.max_size",
		    "a size like \"500M\"" },
		{ "audit: { max_size = \"15M\"; };", ":1:", "audit.max_size",
		    "a size from 16M to 16T" },
		{ "audit: { max_size = \"999999T\"; };",
		    ":1:", "audit.max_size", "a size from 16M to 16T" },
		{ "milter: { listen = \"inet:9999\"; };",
		    ":1:", "milter.listen", "inet:host:port" },
		{ "milter: { listen = \"/run/x\"; };", ":1:", "milter.listen",
		    "unix:/path" },
		{ "milter: { status = \"inet:192.0.2.1:99\"; };",
		    ":1:", "milter.status", "a loopback address" },
		{ "collector: { status = \"/run/x\"; };",
		    ":1:", "collector.status", "\"unix:/path\"" },
		{ "metrics: { milter = \"inet:0.0.0.0:99\"; };",
		    ":1:", "metrics.milter", "a loopback address" },
		{ "metrics: { collector = \"inet:[::]:99\"; };",
		    ":1:", "metrics.collector", "a loopback address" },
		{ "milter: { mode = 660; };", ":1:", "milter.mode",
		    "octal digits" },
		{ "milter: { mode = \"0990\"; };", ":1:", "milter.mode",
		    "octal digits" },
		{ "milter: { user = \"no-such-user-x\"; };",
		    ":1:", "milter.user", "a user" },
		{ "milter: { group = \"no-such-group-x\"; };",
		    ":1:", "milter.group", "a group" },
		{ "relay: { trusted_networks = [ \"10.0.0.0/8\",\n"
		  "\"10.0.0.1/8\" ]; };",
		    ":2:", "relay.trusted_networks", "without host bits" },
		{ "relay: { never_authorize = [ \"owned\" ]; };",
		    ":1:", "relay.never_authorize", "an address" },
		{ "relay: { trusted_networks = [ \"own\" ]; };",
		    ":1:", "relay.trusted_networks", "an address" },
		{ "relay: { trusted_networks = \"10.0.0.0/8\"; };",
		    ":1:", "relay.trusted_networks", "a list" },
		{ "relay: { local_domains = [ 1 ]; };",
		    ":1:", "relay.local_domains", "strings" },
		{ "relay: { local_domains = [ \"\" ]; };",
		    ":1:", "relay.local_domains", "strings" },
		{ "relay: { local_mailers = [ \"local\", \"ESMTP\" ]; };",
		    ":1:", "relay.local_mailers", "would open the relay" },
		{ "relay: { shared_address_users = -1; };",
		    ":1:", "relay.shared_address_users", "from 0 to" },
		{ "relay: { shared_address = \"deny\"; };",
		    ":1:", "relay.shared_address", "\"flag\" or \"refuse\"" },
		{ "relay: { ipv6_prefix = 129; };", ":1:", "relay.ipv6_prefix",
		    "from 32 to 128" },
		{ "relay: { sender_binding = \"on\"; };",
		    ":1:", "relay.sender_binding",
		    "\"off\", \"domain\" or \"address\"" },
		{ "relay: { sender_binding = 1; };",
		    ":1:", "relay.sender_binding", "\"off\"" },
		{ "relay: { null_sender = \"refuse\"; };",
		    ":1:", "relay.null_sender", "\"allow\" or \"reject\"" },
		{ "relay: { mode = \"monito\"; };", ":1:", "relay.mode",
		    "\"enforce\", \"monitor\" or \"observe\"" },
		{ "relay: { monitor_listeners = [ \"policy\", \"mta\" ]; };",
		    ":1:", "relay.monitor_listeners",
		    "\"milter\", \"policy\" or \"socketmap\"" },
		{ "relay: { monitor_networks = [ \"own\" ]; };",
		    ":1:", "relay.monitor_networks", "an address" },
#define CERTIFICATES(text) "relay: { certificates = ( " text " ); };"
		{ "relay: { certificates = [ \"x\" ]; };",
		    ":1:", "relay.certificates", "a list of groups" },
		{ CERTIFICATES("{ subject = \"one\"; }"),
		    ":1:", "relay.certificates", "(both)" },
		{ CERTIFICATES("{ issuer = \"ca\"; }"),
		    ":1:", "relay.certificates", "(both)" },
		{ CERTIFICATES("{ }"), ":1:", "relay.certificates", "(both)" },
		{ CERTIFICATES("{ subject = \"\"; issuer = \"ca\"; }"),
		    ":1:", "relay.certificates", "not empty" },
		{ CERTIFICATES(
		      "{ subject = \"a\"; issuer = \"b\"; cn = \"c\"; }"),
		    ":1:", "relay.certificates", "(both)" },
		{ CERTIFICATES(
		      "{ fingerprint = \"aabbccddeeff00112233445566778899"
		      "\"; }"),
		    ":1:", "relay.certificates", "SHA-256" },
		{ CERTIFICATES("{ public_key = \"x\"; }"),
		    ":1:", "relay.certificates", "SHA-256" },
		{ CERTIFICATES(
		      "{ subject = \"a\"; issuer = \"b\"; fingerprint = "
		      "\"aabbccddeeff00112233445566778899aabbccdd\"; }"),
		    ":1:", "relay.certificates", "(both)" },
		{ "limits: {\nclient_senders = 100; };", ":2:",
		    "limits.client_senders", "a number from 1 to 10000000" },
		{ "limits: {\nclient_senders = \"100\"; };",
		    ":2:", "limits.client_senders", "a number from 1" },
		{ "limits: {\nclient_senders = \"0/1h\"; };",
		    ":2:", "limits.client_senders", "or \"off\"" },
		{ "limits: {\nclient_senders = \"-5/1h\"; };",
		    ":2:", "limits.client_senders", "a number from 1" },
		{ "limits: {\nclient_senders = \"5/0s\"; };",
		    ":2:", "limits.client_senders", "a window from 1m to 7d" },
		{ "limits: {\nclient_senders = \"5/59s\"; };",
		    ":2:", "limits.client_senders", "a window from 1m to 7d" },
		{ "limits: {\nclient_senders = \"5/8d\"; };",
		    ":2:", "limits.client_senders", "a window from 1m to 7d" },
		{ "limits: {\nclient_senders = \"10000001/1h\"; };",
		    ":2:", "limits.client_senders", "to 10000000" },
		{ "limits: {\nclient_senders = \"99999999999/1h\"; };",
		    ":2:", "limits.client_senders", "to 10000000" },
		{ "limits: {\nclient_senders = \"5/1h \"; };",
		    ":2:", "limits.client_senders", "a number" },
		{ "limits: {\nclient_senders = \"5 / 1h\"; };",
		    ":2:", "limits.client_senders", "a number" },
		{ "limits: {\nclient_senders = \"/1h\"; };",
		    ":2:", "limits.client_senders", "a number" },
		{ "limits: {\nclient_senders = \"\"; };",
		    ":2:", "limits.client_senders", "a number" },
		{ "limits: {\nclient_senders = true; };",
		    ":2:", "limits.client_senders", "a number" },
		{ "limits: {\nclient_senders = [ \"5/1h\" ]; };",
		    ":2:", "limits.client_senders", "a number" },
		{ "limits: { message_recipients = 0; };",
		    ":1:", "limits.message_recipients",
		    "from 1 to 10000000, or \"off\"" },
		{ "limits: { message_recipients = -1; };",
		    ":1:", "limits.message_recipients", "from 1" },
		{ "limits: { message_recipients = \"none\"; };", ":1:",
		    "limits.message_recipients", "a whole number, or \"off\"" },
		{ "limits: { message_recipients = \"5/1h\"; };",
		    ":1:", "limits.message_recipients", "a whole number" },
		{ "limits: { authenticated = \"true\"; };",
		    ":1:", "limits.authenticated", "true or false" },
		{ "limits: { trusted_networks = 1; };",
		    ":1:", "limits.trusted_networks", "true or false" },
		{ "limits: { deny_for = \"0s\"; };", ":1:", "limits.deny_for",
		    "from 1m to 366d, or \"off\"" },
		{ "limits: { deny_for = \"never\"; };",
		    ":1:", "limits.deny_for", "a duration" },
		{ "limits: { client_recipient = \"5/1h\"; };",
		    ":1:", "limits.client_recipient", "popgate.conf(5)" },
		{ "reply: { no_login = \"{user} x\"; };",
		    ":1:", "reply.no_login", "{client}" },
		{ "reply: { no_login = \"a\\r\\nb\"; };",
		    ":1:", "reply.no_login", "printable" },
		{ "collector: { sources = [ \"/x\" ]; };",
		    ":1:", "collector.sources", "a list of groups" },
		{ "collector: { sources = ( { file = \"x\"; } ); };",
		    ":1:", "collector.sources", "{ file" },
		{ "collector: { sources = ( { fil = \"/x\"; } ); };",
		    ":1:", "collector.sources", "{ file" },
		{ "collector: { sources = ( { file = \"/x\"; rotated = \"old\"; "
		  "} ); };",
		    ":1:", "collector.sources", "absolute path" },
		{ "collector: { sources = ( { file = \"/x\"; rotated = 5; } ); "
		  "};",
		    ":1:", "collector.sources", "string" },
		{ "collector: { sources = ( { file = \"/x\"; zone = \"CET\"; "
		  "} ); };",
		    ":1:", "collector.sources", "+01:00" },
		{ "collector: { sources = ( { zone = \"UTC\"; } ); };",
		    ":1:", "collector.sources", "{ file" },
		{ "collector: { sources = ( { journal = \"system\"; zone = "
		  "\"UTC\"; } ); };",
		    ":1:", "collector.sources", "no zone" },
		{ "collector: { sources = ( { rotated = \"/old\"; } ); };",
		    ":1:", "collector.sources", "{ file" },
		{ "collector: { sources = ( { socket = \"/x\"; rotated = "
		  "\"/old\"; } ); };",
		    ":1:", "collector.sources", "{ file" },
		{ "collector: { sources = ( { file = \"/x\"; journal = "
		  "\"system\"; } ); };",
		    ":1:", "collector.sources", "{ file" },
		{ "collector: { sources = ( { login = \"x\"; } ); };",
		    ":1:", "collector.sources", "{ login" },
		{ "collector: { login_users = [ \"nobody\" ]; };",
		    ":1:", "collector.login_users", "not nobody" },
		{ "collector: { sources = ( { file = \"/x\"; }, { file = "
		  "\"/x\"; } ); };",
		    ":1:", "collector.sources", "each source once" },
		{ "collector: { custom = ( { program = \"x\"; } ); };",
		    ":1:", "collector.custom", "pattern" },
		{ "collector: { custom = ( { program = \"x\"; pattern = "
		  "\"^x$\"; units = \"x.service\"; } ); };",
		    ":1:", "collector.custom", "unit" },
		{ "collector: { custom = ( { program = \"x\"; pattern = "
		  "\"^x$\"; unit = \"\"; } ); };",
		    ":1:", "collector.custom", "not empty" },
		{ "collector: { custom = ( { program = \"x\"; pattern = "
		  "\"^x$\"; stream = 1; } ); };",
		    ":1:", "collector.custom", "stream = true" },
		{ "collector: { tags = [ \"x\" ]; };", ":1:", "collector.tags",
		    "a group of lists" },
		{ "collector: { tags = { dovecot = [ ]; }; };",
		    ":1:", "collector.tags", "between 1 and 16 tags" },
		{ "collector: { tags = { dovecot = [ 1 ]; }; };",
		    ":1:", "collector.tags", "strings that are not empty" },
#ifdef POPGATE_SHARE
#define SHARE(text) "share: { key_file = \"/k\"; " text " };"
		{ SHARE("servers = [ \"10.0.0.5\" ];"), ":1:", "share.servers",
		    "\"host:port\"" },
		{ SHARE("servers = [ \"redis://a:6379\" ];"),
		    ":1:", "share.servers", "\"host:port\"" },
		{ SHARE("servers = [ \"unix:run/x\" ];"),
		    ":1:", "share.servers", "\"unix:/path\"" },
		{ "share: { servers = [ \"a.test:6379\" ]; };",
		    ":1:", "share.servers", "share.key_file beside it" },
#ifdef POPGATE_SHARE_TLS
		{ SHARE("servers = [ \"tls:unix:/run/x\" ];"),
		    ":1:", "share.servers", "before one of the last two" },
		{ SHARE("servers = [ \"tls:a.test\" ];"),
		    ":1:", "share.servers", "before one of the last two" },
#else
		{ SHARE("servers = [ \"tls:a.test:6380\" ];"),
		    ":1:", "share.servers", "a hiredis older than 1.0" },
#endif
#else
		{ "share: { servers = [ \"a.test:6379\" ]; };",
		    ":1:", "share.servers", "built without sharing" },
#define SHARE(text) "share: { " text " };"
#endif
		{ SHARE("tls_ca = \"ca.pem\";"), ":1:", "share.tls_ca",
		    "an absolute path" },
		{ SHARE("tls_certificate = \"me.pem\";"),
		    ":1:", "share.tls_certificate", "an absolute path" },
		{ SHARE("stream = \"pop gate\";"), ":1:", "share.stream",
		    "letters, digits" },
		{ SHARE("stream = \"\";"), ":1:", "share.stream",
		    "letters, digits" },
		{ SHARE("password_file = \"secret\";"),
		    ":1:", "share.password_file", "an absolute path" },
		{ SHARE("key_file_old = \"k\";"), ":1:", "share.key_file_old",
		    "an absolute path" },
		{ SHARE("required = \"true\";"), ":1:", "share.required",
		    "true or false" },
		{ SHARE("name = \"0123456789012345678901234567890123456789"
			"012345678901234567890123\";"),
		    ":1:", "share.name", "at most 63" },
		{ SHARE("name = \"mail 1\";"), ":1:", "share.name",
		    "no space" },
		{ SHARE("password = \"x\";"), ":1:", "share.password",
		    "popgate.conf(5)" },
		{ "logins: {", ":1:", "", "syntax error" },
		{ "logins: { window = \"1s\"; window = \"2s\"; };", ":1:", "",
		    "duplicate" },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i].text);
		const char *path = unit_file(0, rows[i].text);
		struct config *cfg;
		struct err err = { .text = "" };

		assert_int_equal(config_load(path, &cfg, &err), -1);
		assert_contains(err.text, path);
		assert_ptr_equal(strstr(err.text, path), err.text);
		assert_contains(err.text, rows[i].line);
		assert_contains(err.text, rows[i].key);
		assert_contains(err.text, rows[i].expected);
		(void)unlink(path);
	}
}

static void
missing(void **state)
{
	struct config *cfg;
	struct err err;

	(void)state;
	assert_int_equal(config_load("/nonexistent/x", &cfg, &err), -1);
	assert_string_equal(
	    err.text, "/nonexistent/x: No such file or directory");
	assert_null(cfg);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(everything),
		cmocka_unit_test(mirrors),
		cmocka_unit_test(errors),
		cmocka_unit_test(missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
