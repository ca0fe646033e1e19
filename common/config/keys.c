/* SPDX-License-Identifier: ISC */
/* keys - the table of keys, their defaults and limits: popgate.conf(5) as data
 * (members of groups: groups.c; what two keys must be to each other:
 * config.c). */
#include <grp.h>
#include <pwd.h>
#include <stddef.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/listen.h"
#include "common/config/config_key.h"
#include "common/config/reply_template.h"
#include "common/share/link.h"

static const char *
check_listen(const char *value)
{
	struct listen_spec spec;
	struct err err;

	if (*value == '\0' || listen_parse(value, &spec, &err) == 0)
		return NULL;
	return LISTEN_EXPECTED;
}

/* The status and metrics pages say too much for a network. */
static const char *
check_local(const char *value)
{
	struct listen_spec spec;
	struct err err;

	if (*value == '\0' ||
	    (listen_parse(value, &spec, &err) == 0 && listen_is_local(&spec)))
		return NULL;
	return "\"unix:/path\" (at most 107 bytes) or a loopback address like \"inet:127.0.0.1:9808\": what stands there is not for a network";
}

static const char *
check_user(const char *value)
{
	return *value == '\0' || getpwnam(value) != NULL
	    ? NULL
	    : "a user of this system";
}

/* In a user namespace, the kernel shows every user that it can't map as
 * nobody. */
static const char *
check_teller(const char *value)
{
	enum { NOBODY = 65534 };
	const struct passwd *pw = getpwnam(value);

	return pw != NULL && pw->pw_uid != NOBODY
	    ? NULL
	    : "users of this system, and not nobody";
}

static const char *
check_group(const char *value)
{
	return *value == '\0' || getgrnam(value) != NULL
	    ? NULL
	    : "a group of this system";
}

#ifdef POPGATE_SHARE
enum { BUILT_TO_SHARE = true };
#else
enum { BUILT_TO_SHARE = false };
#endif
#ifdef POPGATE_SHARE_TLS
enum { BUILT_WITH_TLS = true };
#else
enum { BUILT_WITH_TLS = false };
#endif

/* A Redis: "unix:/path", "host:port" or "[2001:db8::1]:6379"; the last two with
 * "tls:" before. */
static const char *
check_redis(const char *value)
{
	static const char expected[] =
	    "\"unix:/path\", \"host:port\", \"[IPv6 address]:port\", or \"tls:\" before one of the last two";
	struct listen_spec spec;
	struct err err;
	bool tls;

	if (!BUILT_TO_SHARE)
		return "nothing: this popgate was built without sharing (hiredis and libsodium)";
	int rc = link_parse(value, &spec, &tls, &err);

	if (tls && !BUILT_WITH_TLS)
		return "no \"tls:\" before it: this popgate was built with a hiredis older than 1.0, which has no TLS";
	if (rc == -1 || (!spec.is_unix && strpbrk(spec.host, "/@") != NULL))
		return expected;
	return NULL;
}

/* The stream's name begins the names of all keys in Redis, and rules of its ACL
 * name it. */
static const char *
check_stream(const char *value)
{
	size_t len = strlen(value);

	return len > 0 && len <= 64 &&
		strspn(value,
		    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		    "0123456789.-_") == len
	    ? NULL
	    : "1 to 64 letters, digits, \".\", \"-\" or \"_\"";
}

static const char *
check_name(const char *value)
{
	size_t len = 0;

	while (value[len] > ' ' && value[len] <= '~')
		len++;
	return len < 64 && value[len] == '\0'
	    ? NULL
	    : "at most 63 printable characters, no space";
}

static const char *
check_path_or_none(const char *value)
{
	return *value == '\0' || *value == '/' ? NULL : "an absolute path";
}

#define AT(member) offsetof(struct config, member)

static const struct key keys[] = {
	{
	    .path = "logins.database",
	    .kind = K_PATH,
	    .offset = AT(logins.database),
	    .def = "/var/lib/popgate/logins.db",
	},
	{
	    .path = "logins.window",
	    .kind = K_SECONDS,
	    .offset = AT(logins.window_s),
	    .def = "30m",
	    .min = 1,
	    .max = 366 * 86400,
	},
	{
	    .path = "logins.sessions",
	    .kind = K_BOOL,
	    .offset = AT(logins.sessions),
	    .def = "false",
	},
	{
	    .path = "logins.session_max",
	    .kind = K_SECONDS,
	    .offset = AT(logins.session_max_s),
	    .def = "12h",
	    .min = 1,
	    .max = 7 * 86400,
	},
	{
	    .path = "logins.keep",
	    .kind = K_SECONDS,
	    .offset = AT(logins.keep_s),
	    .def = "14d",
	    .min = 60,
	    .max = INT64_C(3660) * 86400,
	},
	{
	    .path = "audit.database",
	    .kind = K_PATH,
	    .offset = AT(audit.database),
	    .def = "/var/lib/popgate/audit.db",
	},
	{
	    .path = "audit.record",
	    .kind = K_CHOICE,
	    .offset = AT(audit.record_all),
	    .def = "relay",
	    .choice = { "relay", "all" },
	},
	{
	    .path = "audit.durability",
	    .kind = K_CHOICE,
	    .offset = AT(audit.durable),
	    .def = "message",
	    .choice = { "none", "message" },
	},
	{
	    .path = "audit.keep",
	    .kind = K_SECONDS,
	    .offset = AT(audit.keep_s),
	    .def = "90d",
	    .min = 60,
	    .max = INT64_C(3660) * 86400,
	},
	{
	    .path = "audit.max_size",
	    .kind = K_SIZE,
	    .offset = AT(audit.max_size),
	    .def = "8G",
	    .min = INT64_C(16) << 20,
	    .max = INT64_C(16) << 40,
	    .off = true,
	},
	{
	    .path = "audit.queue",
	    .kind = K_INT,
	    .offset = AT(audit.queue),
	    .def = "65536",
	    .min = 16,
	    .max = 10000000,
	},
	{
	    .path = "milter.listen",
	    .kind = K_TEXT,
	    .offset = AT(milter.listen),
	    .def = "unix:/run/popgate/milter.sock",
	    .check = check_listen,
	},
	{
	    .path = "milter.user",
	    .kind = K_TEXT,
	    .offset = AT(milter.user),
	    .def = "",
	    .check = check_user,
	},
	{
	    .path = "milter.group",
	    .kind = K_TEXT,
	    .offset = AT(milter.group),
	    .def = "",
	    .check = check_group,
	},
	{
	    .path = "milter.mode",
	    .kind = K_MODE,
	    .offset = AT(milter.mode),
	    .def = "0660",
	},
	{
	    .path = "milter.status",
	    .kind = K_TEXT,
	    .offset = AT(milter.status),
	    .def = "unix:/run/popgate/status.sock",
	    .check = check_local,
	},
	{
	    .path = "milter.max_sessions",
	    .kind = K_INT,
	    .offset = AT(milter.max_sessions),
	    .def = "0",
	    .min = 0,
	    .max = 1000000,
	},
	{
	    .path = "milter.drain_timeout",
	    .kind = K_SECONDS,
	    .offset = AT(milter.drain_timeout_s),
	    .def = "10s",
	    .min = 0,
	    .max = 600,
	},
	{
	    .path = "permit.policy",
	    .kind = K_TEXT,
	    .offset = AT(permit.policy),
	    .def = "",
	    .check = check_listen,
	},
	{
	    .path = "permit.socketmap",
	    .kind = K_TEXT,
	    .offset = AT(permit.socketmap),
	    .def = "",
	    .check = check_listen,
	},
	{
	    .path = "relay.mode",
	    .kind = K_ENUM,
	    .offset = AT(relay.mode),
	    .def = "enforce",
	    .choice = { "enforce", "monitor", "observe" },
	},
	{
	    .path = "relay.monitor_networks",
	    .kind = K_NETWORKS,
	    .offset = AT(relay.monitor_networks),
	    .def = "",
	},
	{
	    .path = "relay.monitor_listeners",
	    .kind = K_STRINGS,
	    .offset = AT(relay.monitor_listeners),
	    .def = "",
	    .choice = { "milter", "policy", "socketmap" },
	},
	{
	    .path = "relay.local_domains",
	    .kind = K_STRINGS,
	    .offset = AT(relay.local_domains),
	    .def = "",
	},
	{
	    .path = "relay.local_mailers",
	    .kind = K_STRINGS,
	    .offset = AT(relay.local_mailers),
	    .def = "local virtual lmtp cyrus cyrusv2 procmail prog *file*",
	},
	{
	    .path = "relay.trusted_networks",
	    .kind = K_NETWORKS,
	    .offset = AT(relay.trusted_networks),
	    .def = "",
	},
	{
	    .path = "relay.never_authorize",
	    .kind = K_NETWORKS,
	    .offset = AT(relay.never_authorize),
	    .def = "own 0.0.0.0/8 127.0.0.0/8 169.254.0.0/16 224.0.0.0/4 "
		   "255.255.255.255 :: ::1 fe80::/10 ff00::/8",
	},
	{
	    .path = "relay.proxy_networks",
	    .kind = K_NETWORKS,
	    .offset = AT(relay.proxy_networks),
	    .def = "",
	},
	{
	    .path = "relay.ipv6_prefix",
	    .kind = K_INT,
	    .offset = AT(relay.ipv6_prefix),
	    .def = "128",
	    .min = 32,
	    .max = 128,
	},
	{
	    .path = "relay.shared_address_users",
	    .kind = K_INT,
	    .offset = AT(relay.shared_address_users),
	    .def = "10",
	    .min = 0,
	    .max = 1000000,
	},
	{
	    .path = "relay.shared_address",
	    .kind = K_CHOICE,
	    .offset = AT(relay.shared_refused),
	    .def = "flag",
	    .choice = { "flag", "refuse" },
	},
	{
	    .path = "relay.sender_binding",
	    .kind = K_ENUM,
	    .offset = AT(relay.sender_binding),
	    .def = "off",
	    .choice = { "off", "domain", "address" },
	},
	{
	    .path = "relay.null_sender",
	    .kind = K_CHOICE,
	    .offset = AT(relay.null_sender_refused),
	    .def = "allow",
	    .choice = { "allow", "reject" },
	},
	{
	    .path = "relay.sender_addresses",
	    .kind = K_STRINGS,
	    .offset = AT(relay.sender_addresses),
	    .def = "user",
	},
	{
	    .path = "relay.certificates",
	    .kind = K_GROUPS,
	    .offset = AT(relay.certificates),
	    .groups = &key_certificates,
	},
	{
	    .path = "relay.collector_grace",
	    .kind = K_SECONDS,
	    .offset = AT(relay.collector_grace_s),
	    .def = "2m",
	    .min = 0,
	    .max = 7 * 86400,
	},
	{
	    .path = "limits.client_recipients",
	    .kind = K_RATE,
	    .offset = AT(limits.rate[LIMIT_CLIENT_RECIPIENTS]),
	    .def = "2000/1h",
	    .min = 60,
	    .max = 7 * 86400,
	},
	{
	    .path = "limits.client_messages",
	    .kind = K_RATE,
	    .offset = AT(limits.rate[LIMIT_CLIENT_MESSAGES]),
	    .def = "1000/1h",
	    .min = 60,
	    .max = 7 * 86400,
	},
	{
	    .path = "limits.client_senders",
	    .kind = K_RATE,
	    .offset = AT(limits.rate[LIMIT_CLIENT_SENDERS]),
	    .def = "100/1h",
	    .min = 60,
	    .max = 7 * 86400,
	},
	{
	    .path = "limits.user_recipients",
	    .kind = K_RATE,
	    .offset = AT(limits.rate[LIMIT_USER_RECIPIENTS]),
	    .def = "1000/1h",
	    .min = 60,
	    .max = 7 * 86400,
	},
	{
	    .path = "limits.user_messages",
	    .kind = K_RATE,
	    .offset = AT(limits.rate[LIMIT_USER_MESSAGES]),
	    .def = "500/1h",
	    .min = 60,
	    .max = 7 * 86400,
	},
	{
	    .path = "limits.user_clients",
	    .kind = K_RATE,
	    .offset = AT(limits.rate[LIMIT_USER_CLIENTS]),
	    .def = "50/1d",
	    .min = 60,
	    .max = 7 * 86400,
	},
	{
	    .path = "limits.message_recipients",
	    .kind = K_INT,
	    .off = true,
	    .offset = AT(limits.rate[LIMIT_MESSAGE_RECIPIENTS].max),
	    .def = "off",
	    .min = 1,
	    .max = RATE_MAX,
	},
	{
	    .path = "limits.authenticated",
	    .kind = K_BOOL,
	    .offset = AT(limits.authenticated),
	    .def = "true",
	},
	{
	    .path = "limits.trusted_networks",
	    .kind = K_BOOL,
	    .offset = AT(limits.trusted_networks),
	    .def = "false",
	},
	{
	    .path = "limits.deny_for",
	    .kind = K_SECONDS,
	    .off = true,
	    .offset = AT(limits.deny_for_s),
	    .def = "off",
	    .min = 60,
	    .max = 366 * 86400,
	},
	{
	    .path = "reply.no_login",
	    .kind = K_TEXT,
	    .offset = AT(reply.no_login),
	    .def = REPLY_NO_LOGIN,
	    .check = reply_check,
	},
	{
	    .path = "reply.other_family",
	    .kind = K_TEXT,
	    .offset = AT(reply.other_family),
	    .def = REPLY_OTHER_FAMILY,
	    .check = reply_check_hint,
	},
	{
	    .path = "reply.login_expired",
	    .kind = K_TEXT,
	    .offset = AT(reply.login_expired),
	    .def = REPLY_LOGIN_EXPIRED,
	    .check = reply_check,
	},
	{
	    .path = "reply.denied",
	    .kind = K_TEXT,
	    .offset = AT(reply.denied),
	    .def = REPLY_DENIED,
	    .check = reply_check,
	},
	{
	    .path = "reply.no_client_identity",
	    .kind = K_TEXT,
	    .offset = AT(reply.no_client_identity),
	    .def = REPLY_NO_CLIENT_IDENTITY,
	    .check = reply_check,
	},
	{
	    .path = "reply.shared_address",
	    .kind = K_TEXT,
	    .offset = AT(reply.shared_address),
	    .def = REPLY_SHARED_ADDRESS,
	    .check = reply_check,
	},
	{
	    .path = "reply.sender_mismatch",
	    .kind = K_TEXT,
	    .offset = AT(reply.sender_mismatch),
	    .def = REPLY_SENDER_MISMATCH,
	    .check = reply_check,
	},
	{
	    .path = "reply.rate_limited",
	    .kind = K_TEXT,
	    .offset = AT(reply.rate_limited),
	    .def = REPLY_RATE_LIMITED,
	    .check = reply_check,
	},
	{
	    .path = "reply.unavailable",
	    .kind = K_TEXT,
	    .offset = AT(reply.unavailable),
	    .def = REPLY_UNAVAILABLE,
	    .check = reply_check,
	},
	{
	    .path = "reply.collector_behind",
	    .kind = K_TEXT,
	    .offset = AT(reply.collector_behind),
	    .def = REPLY_COLLECTOR_BEHIND,
	    .check = reply_check,
	},
	{
	    .path = "metrics.milter",
	    .kind = K_TEXT,
	    .offset = AT(metrics.milter),
	    .def = "",
	    .check = check_local,
	},
	{
	    .path = "metrics.collector",
	    .kind = K_TEXT,
	    .offset = AT(metrics.collector),
	    .def = "",
	    .check = check_local,
	},
	{
	    .path = "collector.user",
	    .kind = K_TEXT,
	    .offset = AT(collector.user),
	    .def = "",
	    .check = check_user,
	},
	{
	    .path = "collector.status",
	    .kind = K_TEXT,
	    .offset = AT(collector.status),
	    .def = "unix:/run/popgate-collector/status.sock",
	    .check = check_local,
	},
	{
	    .path = "collector.servers",
	    .kind = K_STRINGS,
	    .offset = AT(collector.servers),
	    .def = "",
	},
	{
	    .path = "collector.login_users",
	    .kind = K_STRINGS,
	    .offset = AT(collector.login_users),
	    .def = "",
	    .check = check_teller,
	},
	{
	    .path = "collector.sources",
	    .kind = K_GROUPS,
	    .offset = AT(collector.sources),
	    .groups = &key_sources,
	},
	{
	    .path = "collector.custom",
	    .kind = K_GROUPS,
	    .offset = AT(collector.custom),
	    .groups = &key_custom,
	},
	{
	    .path = "collector.tags",
	    .kind = K_TABLE,
	    .offset = AT(collector.tags),
	    .groups = &key_tags,
	},
	{
	    .path = "collector.mirror",
	    .kind = K_GROUPS,
	    .offset = AT(collector.mirror),
	    .groups = &key_mirrors,
	},
	{
	    .path = "share.servers",
	    .kind = K_STRINGS,
	    .offset = AT(share.servers),
	    .def = "",
	    .check = check_redis,
	},
	{
	    .path = "share.stream",
	    .kind = K_TEXT,
	    .offset = AT(share.stream),
	    .def = "popgate",
	    .check = check_stream,
	},
	{
	    .path = "share.user",
	    .kind = K_TEXT,
	    .offset = AT(share.user),
	    .def = "",
	},
	{
	    .path = "share.password_file",
	    .kind = K_TEXT,
	    .offset = AT(share.password_file),
	    .def = "",
	    .check = check_path_or_none,
	},
	{
	    .path = "share.key_file",
	    .kind = K_TEXT,
	    .offset = AT(share.key_file),
	    .def = "",
	    .check = check_path_or_none,
	},
	{
	    .path = "share.key_file_old",
	    .kind = K_TEXT,
	    .offset = AT(share.key_file_old),
	    .def = "",
	    .check = check_path_or_none,
	},
	{
	    .path = "share.tls_ca",
	    .kind = K_TEXT,
	    .offset = AT(share.tls_ca),
	    .def = "",
	    .check = check_path_or_none,
	},
	{
	    .path = "share.tls_certificate",
	    .kind = K_TEXT,
	    .offset = AT(share.tls_certificate),
	    .def = "",
	    .check = check_path_or_none,
	},
	{
	    .path = "share.required",
	    .kind = K_BOOL,
	    .offset = AT(share.required),
	    .def = "false",
	},
	{
	    .path = "share.name",
	    .kind = K_TEXT,
	    .offset = AT(share.name),
	    .def = "",
	    .check = check_name,
	},
};

enum { KEYS = sizeof(keys) / sizeof(keys[0]) };

const struct key *
config_keys(size_t *n_r)
{
	*n_r = KEYS;
	return keys;
}
