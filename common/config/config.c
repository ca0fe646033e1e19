#include "common/config/config.h"

#include <assert.h>
#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <libconfig.h>
#include <limits.h>
#include <pwd.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/err.h"
#include "common/base/listen.h"
#include "common/config/config_key.h"
#include "common/config/reply_template.h"

static const char *
check_listen(const char *value)
{
	struct listen_spec spec;
	struct err err;

	if (*value == '\0' || listen_parse(value, &spec, &err) == 0)
		return NULL;
	return LISTEN_EXPECTED;
}

/* What the daemons say of themselves is not for a network. */
static const char *
check_local(const char *value)
{
	struct listen_spec spec;
	struct err err;

	if (*value == '\0' ||
	    (listen_parse(value, &spec, &err) == 0 && listen_is_local(&spec)))
		return NULL;
	return "\"unix:/path\" (at most 107 bytes) or a loopback address "
	       "like \"inet:127.0.0.1:9808\": what stands there is not for a "
	       "network";
}

static const char *
check_user(const char *value)
{
	return *value == '\0' || getpwnam(value) != NULL
	    ? NULL
	    : "a user of this system";
}

/* In a user namespace, the kernel calls everybody it doesn't know nobody. */
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

static const struct key_groups source_groups, custom_groups, mirror_groups,
    certificate_groups;

#define AT(member) offsetof(struct config, member)

static const struct key keys[] = {
	{ .path = "logins.database",
	    .kind = K_PATH,
	    .offset = AT(logins.database),
	    .def = "/var/lib/popgate/logins.db" },
	{ .path = "logins.window",
	    .kind = K_SECONDS,
	    .offset = AT(logins.window_s),
	    .def = "30m",
	    .min = 1,
	    .max = 366 * 86400 },
	{ .path = "logins.keep",
	    .kind = K_SECONDS,
	    .offset = AT(logins.keep_s),
	    .def = "14d",
	    .min = 60,
	    .max = INT64_C(3660) * 86400 },
	{ .path = "audit.database",
	    .kind = K_PATH,
	    .offset = AT(audit.database),
	    .def = "/var/lib/popgate/audit.db" },
	{ .path = "audit.record",
	    .kind = K_CHOICE,
	    .offset = AT(audit.record_all),
	    .def = "relay",
	    .choice = { "relay", "all" } },
	{ .path = "audit.durability",
	    .kind = K_CHOICE,
	    .offset = AT(audit.durable),
	    .def = "message",
	    .choice = { "none", "message" } },
	{ .path = "audit.keep",
	    .kind = K_SECONDS,
	    .offset = AT(audit.keep_s),
	    .def = "90d",
	    .min = 60,
	    .max = INT64_C(3660) * 86400 },
	{ .path = "audit.max_size",
	    .kind = K_SIZE,
	    .offset = AT(audit.max_size),
	    .def = "8G",
	    .min = INT64_C(16) << 20,
	    .max = INT64_C(16) << 40,
	    .off = true },
	{ .path = "audit.queue",
	    .kind = K_INT,
	    .offset = AT(audit.queue),
	    .def = "65536",
	    .min = 16,
	    .max = 10000000 },
	{ .path = "milter.listen",
	    .kind = K_TEXT,
	    .offset = AT(milter.listen),
	    .def = "unix:/run/popgate/milter.sock",
	    .check = check_listen },
	{ .path = "milter.user",
	    .kind = K_TEXT,
	    .offset = AT(milter.user),
	    .def = "",
	    .check = check_user },
	{ .path = "milter.group",
	    .kind = K_TEXT,
	    .offset = AT(milter.group),
	    .def = "",
	    .check = check_group },
	{ .path = "milter.mode",
	    .kind = K_MODE,
	    .offset = AT(milter.mode),
	    .def = "0660" },
	{ .path = "milter.status",
	    .kind = K_TEXT,
	    .offset = AT(milter.status),
	    .def = "unix:/run/popgate/status.sock",
	    .check = check_local },
	{ .path = "milter.max_sessions",
	    .kind = K_INT,
	    .offset = AT(milter.max_sessions),
	    .def = "0",
	    .min = 0,
	    .max = 1000000 },
	{ .path = "milter.drain_timeout",
	    .kind = K_SECONDS,
	    .offset = AT(milter.drain_timeout_s),
	    .def = "10s",
	    .min = 0,
	    .max = 600 },
	{ .path = "permit.policy",
	    .kind = K_TEXT,
	    .offset = AT(permit.policy),
	    .def = "",
	    .check = check_listen },
	{ .path = "permit.socketmap",
	    .kind = K_TEXT,
	    .offset = AT(permit.socketmap),
	    .def = "",
	    .check = check_listen },
	{ .path = "relay.mode",
	    .kind = K_ENUM,
	    .offset = AT(relay.mode),
	    .def = "enforce",
	    .choice = { "enforce", "monitor" } },
	{ .path = "relay.monitor_networks",
	    .kind = K_NETWORKS,
	    .offset = AT(relay.monitor_networks),
	    .def = "" },
	{ .path = "relay.monitor_listeners",
	    .kind = K_STRINGS,
	    .offset = AT(relay.monitor_listeners),
	    .def = "",
	    .choice = { "milter", "policy", "socketmap" } },
	{ .path = "relay.local_domains",
	    .kind = K_STRINGS,
	    .offset = AT(relay.local_domains),
	    .def = "" },
	{ .path = "relay.local_mailers",
	    .kind = K_STRINGS,
	    .offset = AT(relay.local_mailers),
	    .def = "local virtual lmtp cyrus cyrusv2 procmail prog *file*" },
	{ .path = "relay.trusted_networks",
	    .kind = K_NETWORKS,
	    .offset = AT(relay.trusted_networks),
	    .def = "" },
	{ .path = "relay.never_authorize",
	    .kind = K_NETWORKS,
	    .offset = AT(relay.never_authorize),
	    .def = "own 0.0.0.0/8 127.0.0.0/8 169.254.0.0/16 224.0.0.0/4 "
		   "255.255.255.255 :: ::1 fe80::/10 ff00::/8" },
	{ .path = "relay.proxy_networks",
	    .kind = K_NETWORKS,
	    .offset = AT(relay.proxy_networks),
	    .def = "" },
	{ .path = "relay.ipv6_prefix",
	    .kind = K_INT,
	    .offset = AT(relay.ipv6_prefix),
	    .def = "128",
	    .min = 32,
	    .max = 128 },
	{ .path = "relay.shared_address_users",
	    .kind = K_INT,
	    .offset = AT(relay.shared_address_users),
	    .def = "10",
	    .min = 0,
	    .max = 1000000 },
	{ .path = "relay.shared_address",
	    .kind = K_CHOICE,
	    .offset = AT(relay.shared_refused),
	    .def = "flag",
	    .choice = { "flag", "refuse" } },
	{ .path = "relay.sender_binding",
	    .kind = K_ENUM,
	    .offset = AT(relay.sender_binding),
	    .def = "off",
	    .choice = { "off", "domain", "address" } },
	{ .path = "relay.null_sender",
	    .kind = K_CHOICE,
	    .offset = AT(relay.null_sender_refused),
	    .def = "allow",
	    .choice = { "allow", "reject" } },
	{ .path = "relay.sender_addresses",
	    .kind = K_STRINGS,
	    .offset = AT(relay.sender_addresses),
	    .def = "user" },
	{ .path = "relay.certificates",
	    .kind = K_GROUPS,
	    .offset = AT(relay.certificates),
	    .groups = &certificate_groups },
	{ .path = "relay.collector_grace",
	    .kind = K_SECONDS,
	    .offset = AT(relay.collector_grace_s),
	    .def = "2m",
	    .min = 0,
	    .max = 7 * 86400 },
	{ .path = "limits.client_recipients",
	    .kind = K_RATE,
	    .offset = AT(limits.rate[LIMIT_CLIENT_RECIPIENTS]),
	    .def = "2000/1h",
	    .min = 60,
	    .max = 7 * 86400 },
	{ .path = "limits.client_messages",
	    .kind = K_RATE,
	    .offset = AT(limits.rate[LIMIT_CLIENT_MESSAGES]),
	    .def = "1000/1h",
	    .min = 60,
	    .max = 7 * 86400 },
	{ .path = "limits.client_senders",
	    .kind = K_RATE,
	    .offset = AT(limits.rate[LIMIT_CLIENT_SENDERS]),
	    .def = "100/1h",
	    .min = 60,
	    .max = 7 * 86400 },
	{ .path = "limits.user_recipients",
	    .kind = K_RATE,
	    .offset = AT(limits.rate[LIMIT_USER_RECIPIENTS]),
	    .def = "1000/1h",
	    .min = 60,
	    .max = 7 * 86400 },
	{ .path = "limits.user_messages",
	    .kind = K_RATE,
	    .offset = AT(limits.rate[LIMIT_USER_MESSAGES]),
	    .def = "500/1h",
	    .min = 60,
	    .max = 7 * 86400 },
	{ .path = "limits.user_clients",
	    .kind = K_RATE,
	    .offset = AT(limits.rate[LIMIT_USER_CLIENTS]),
	    .def = "50/1d",
	    .min = 60,
	    .max = 7 * 86400 },
	{ .path = "limits.message_recipients",
	    .kind = K_INT,
	    .off = true,
	    .offset = AT(limits.rate[LIMIT_MESSAGE_RECIPIENTS].max),
	    .def = "off",
	    .min = 1,
	    .max = RATE_MAX },
	{ .path = "limits.authenticated",
	    .kind = K_BOOL,
	    .offset = AT(limits.authenticated),
	    .def = "true" },
	{ .path = "limits.trusted_networks",
	    .kind = K_BOOL,
	    .offset = AT(limits.trusted_networks),
	    .def = "false" },
	{ .path = "limits.deny_for",
	    .kind = K_SECONDS,
	    .off = true,
	    .offset = AT(limits.deny_for_s),
	    .def = "off",
	    .min = 60,
	    .max = 366 * 86400 },
	{ .path = "reply.no_login",
	    .kind = K_TEXT,
	    .offset = AT(reply.no_login),
	    .def = REPLY_NO_LOGIN,
	    .check = reply_check },
	{ .path = "reply.other_family",
	    .kind = K_TEXT,
	    .offset = AT(reply.other_family),
	    .def = REPLY_OTHER_FAMILY,
	    .check = reply_check_hint },
	{ .path = "reply.login_expired",
	    .kind = K_TEXT,
	    .offset = AT(reply.login_expired),
	    .def = REPLY_LOGIN_EXPIRED,
	    .check = reply_check },
	{ .path = "reply.denied",
	    .kind = K_TEXT,
	    .offset = AT(reply.denied),
	    .def = REPLY_DENIED,
	    .check = reply_check },
	{ .path = "reply.no_client_identity",
	    .kind = K_TEXT,
	    .offset = AT(reply.no_client_identity),
	    .def = REPLY_NO_CLIENT_IDENTITY,
	    .check = reply_check },
	{ .path = "reply.shared_address",
	    .kind = K_TEXT,
	    .offset = AT(reply.shared_address),
	    .def = REPLY_SHARED_ADDRESS,
	    .check = reply_check },
	{ .path = "reply.sender_mismatch",
	    .kind = K_TEXT,
	    .offset = AT(reply.sender_mismatch),
	    .def = REPLY_SENDER_MISMATCH,
	    .check = reply_check },
	{ .path = "reply.rate_limited",
	    .kind = K_TEXT,
	    .offset = AT(reply.rate_limited),
	    .def = REPLY_RATE_LIMITED,
	    .check = reply_check },
	{ .path = "reply.unavailable",
	    .kind = K_TEXT,
	    .offset = AT(reply.unavailable),
	    .def = REPLY_UNAVAILABLE,
	    .check = reply_check },
	{ .path = "reply.collector_behind",
	    .kind = K_TEXT,
	    .offset = AT(reply.collector_behind),
	    .def = REPLY_COLLECTOR_BEHIND,
	    .check = reply_check },
	{ .path = "metrics.milter",
	    .kind = K_TEXT,
	    .offset = AT(metrics.milter),
	    .def = "",
	    .check = check_local },
	{ .path = "metrics.collector",
	    .kind = K_TEXT,
	    .offset = AT(metrics.collector),
	    .def = "",
	    .check = check_local },
	{ .path = "collector.user",
	    .kind = K_TEXT,
	    .offset = AT(collector.user),
	    .def = "",
	    .check = check_user },
	{ .path = "collector.status",
	    .kind = K_TEXT,
	    .offset = AT(collector.status),
	    .def = "unix:/run/popgate-collector/status.sock",
	    .check = check_local },
	{ .path = "collector.servers",
	    .kind = K_STRINGS,
	    .offset = AT(collector.servers),
	    .def = "" },
	{ .path = "collector.login_users",
	    .kind = K_STRINGS,
	    .offset = AT(collector.login_users),
	    .def = "",
	    .check = check_teller },
	{ .path = "collector.sources",
	    .kind = K_GROUPS,
	    .offset = AT(collector.sources),
	    .groups = &source_groups },
	{ .path = "collector.custom",
	    .kind = K_GROUPS,
	    .offset = AT(collector.custom),
	    .groups = &custom_groups },
	{ .path = "collector.mirror",
	    .kind = K_GROUPS,
	    .offset = AT(collector.mirror),
	    .groups = &mirror_groups },
};

enum { KEYS = sizeof(keys) / sizeof(keys[0]) };

const struct key *
config_keys(size_t *n_r)
{
	*n_r = KEYS;
	return keys;
}

/* What mailer names can't mean "delivered here" (FACTS: they carry mail
 * away), so nobody can open the relay by listing them. */
static const char *const remote_mailers[] = { "relay", "smtp", "esmtp", "smtp8",
	"dsmtp" };

bool
duration_parse(const char *text, int64_t *seconds_r)
{
	static const struct {
		char unit;
		int64_t s;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 },
		{ 'w', 604800 }, { '\0', 1 } };
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 10)
		return false;
	int64_t n = strtoll(text, NULL, 10);

	if (text[digits] != '\0' && text[digits + 1] != '\0')
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (units[i].unit != text[digits])
			continue;
		if (n > INT64_C(100) * 366 * 86400 / units[i].s)
			return false;
		*seconds_r = n * units[i].s;
		return true;
	}
	return false;
}

const char *
duration_format(int64_t seconds, char *buf)
{
	static const struct {
		char unit;
		int64_t s;
	} units[] = { { 'd', 86400 }, { 'h', 3600 }, { 'm', 60 }, { 's', 1 } };
	size_t i = 0;

	while (seconds % units[i].s != 0)
		i++;
	(void)snprintf(
	    buf, 24, "%" PRId64 "%c", seconds / units[i].s, units[i].unit);
	return buf;
}

bool
rate_parse(const char *text, struct limit_rate *rate)
{
	size_t digits = strspn(text, "0123456789");
	int64_t window_s;

	if (strcmp(text, "off") == 0) {
		rate->max = 0;
		return true;
	}
	if (digits == 0 || digits > 10 || text[digits] != '/' ||
	    !duration_parse(text + digits + 1, &window_s))
		return false;
	int64_t max = strtoll(text, NULL, 10);

	if (max == 0 || max > RATE_MAX)
		return false;
	*rate = (struct limit_rate){ max, window_s };
	return true;
}

const char *
rate_format(const struct limit_rate *rate, char *buf)
{
	char window[24];

	if (rate->max == 0)
		(void)snprintf(buf, RATE_TEXT_MAX, "off");
	else
		(void)snprintf(buf, RATE_TEXT_MAX, "%" PRId64 "/%s", rate->max,
		    duration_format(rate->window_s, window));
	return buf;
}

static const char size_units[] = "KMGT";

bool
size_parse(const char *text, int64_t *bytes_r)
{
	size_t digits = strspn(text, "0123456789");
	const char *unit =
	    text[digits] == '\0' ? NULL : strchr(size_units, text[digits]);

	if (digits == 0 || digits > 6 || unit == NULL ||
	    text[digits + 1] != '\0')
		return false;
	*bytes_r = (int64_t)strtoll(text, NULL, 10)
	    << 10 * (unit - size_units + 1);
	return true;
}

const char *
size_format(int64_t bytes, char *buf)
{
	size_t unit = 0;

	for (bytes >>= 10; bytes % 1024 == 0 && bytes != 0 && unit < 3;
	     bytes >>= 10)
		unit++;
	(void)snprintf(
	    buf, SIZE_TEXT_MAX, "%" PRId64 "%c", bytes, size_units[unit]);
	return buf;
}

/* Errors name file, line and key. s may be NULL for a default. */
static int
key_error(const struct config *cfg, const config_setting_t *s, const char *path,
    const char *expected, struct err *err)
{
	const char *file = s == NULL ? NULL : config_setting_source_file(s);

	err_set(err, ERR_INVALID, "%s:%u: %s: expected %s",
	    file == NULL ? cfg->path : file,
	    s == NULL ? 0 : config_setting_source_line(s), path, expected);
	return -1;
}

enum { CHOICES = sizeof(((struct key *)NULL)->choice) / sizeof(char *) };

/* Which word of a key's, or CHOICES. */
static unsigned
choice_find(const struct key *key, const char *text)
{
	for (unsigned n = 0; n < CHOICES && key->choice[n] != NULL; n++)
		if (strcmp(text, key->choice[n]) == 0)
			return n;
	return CHOICES;
}

static int
choice_error(const struct config *cfg, const struct key *key,
    const config_setting_t *s, struct err *err)
{
	char expected[100], *p = expected;

	for (unsigned n = 0; n < CHOICES && key->choice[n] != NULL; n++)
		p += sprintf(p, "%s\"%s\"",
		    n == 0 ? ""
			: n + 1 < CHOICES && key->choice[n + 1] != NULL
			? ", "
			: " or ",
		    key->choice[n]);
	return key_error(cfg, s, key->path, expected, err);
}

/* The strings of a setting (or of the default) as a list. */
static int
strings_of(struct config *cfg, const struct key *key, const config_setting_t *s,
    struct string_list *list, struct err *err)
{
	if (s == NULL) {
		for (const char *p = key->def; *p != '\0';) {
			size_t len = strcspn(p, " ");

			if (!string_list_add(list, p, len))
				goto nomem;
			p += len + (p[len] == ' ');
		}
		return 0;
	}
	if (!config_setting_is_array(s) && !config_setting_is_list(s))
		return key_error(cfg, s, key->path,
		    "a list of strings: [ \"...\", \"...\" ]", err);
	for (int i = 0; i < config_setting_length(s); i++) {
		config_setting_t *e = config_setting_get_elem(s, (unsigned)i);
		const char *text = config_setting_get_string(e);

		if (text == NULL || *text == '\0')
			return key_error(cfg, e, key->path,
			    "strings that are not empty", err);
		if (key->choice[0] != NULL && choice_find(key, text) == CHOICES)
			return choice_error(cfg, key, e, err);
		const char *expected =
		    key->check == NULL ? NULL : key->check(text);

		if (expected != NULL)
			return key_error(cfg, e, key->path, expected, err);
		if (!string_list_add(list, text, strlen(text)))
			goto nomem;
	}
	return 0;
nomem:
	err_set(err, ERR_NOMEM, "out of memory");
	return -1;
}

static int
set_networks(struct config *cfg, const struct key *key,
    const config_setting_t *s, struct network_set *set, struct err *err)
{
	struct string_list list = { 0 };
	int ret = strings_of(cfg, key, s, &list, err);

	for (size_t i = 0; ret == 0 && i < list.n; i++) {
		struct network net;
		char expected[200];

		if (set == &cfg->relay.never_authorize &&
		    strcmp(list.v[i], "own") == 0) {
			cfg->relay.never_authorize_own = true;
			continue;
		}
		if (network_parse(list.v[i], &net)) {
			if (!network_set_add(set, &net)) {
				err_set(err, ERR_NOMEM, "out of memory");
				ret = -1;
			}
			continue;
		}
		(void)snprintf(expected, sizeof(expected),
		    "an address or "
		    "network like \"192.0.2.0/24\" without host bits, "
		    "not \"%.100s\"",
		    list.v[i]);
		ret = key_error(cfg,
		    s == NULL ? NULL : config_setting_get_elem(s, (unsigned)i),
		    key->path, expected, err);
	}
	string_list_release(&list);
	return ret;
}

static int
set_text(struct config *cfg, const struct key *key, const config_setting_t *s,
    const char *value, char **member, struct err *err)
{
	const char *expected = NULL;

	if (key->kind == K_PATH && *value != '/')
		expected = "an absolute path";
	else if (key->kind == K_PATH && strlen(value) > PATH_MAX - 64)
		expected = "a shorter path";
	else if (key->check != NULL)
		expected = key->check(value);
	if (expected != NULL)
		return key_error(cfg, s, key->path, expected, err);
	*member = strdup(value);
	if (*member != NULL)
		return 0;
	err_set(err, ERR_NOMEM, "out of memory");
	return -1;
}

static int
set_number(struct config *cfg, const struct key *key, const config_setting_t *s,
    int64_t value, int64_t *member, struct err *err)
{
	char expected[120], low[24], high[24];

	if (value >= key->min && value <= key->max) {
		*member = value;
		return 0;
	}
	if (key->kind == K_SECONDS)
		(void)snprintf(expected, sizeof(expected),
		    "a duration from %s to %s%s",
		    duration_format(key->min, low),
		    duration_format(key->max, high),
		    key->off ? ", or \"off\"" : "");
	else if (key->kind == K_SIZE)
		(void)snprintf(expected, sizeof(expected),
		    "a size from %s to %s%s", size_format(key->min, low),
		    size_format(key->max, high),
		    key->off ? ", or \"off\"" : "");
	else
		(void)snprintf(expected, sizeof(expected),
		    "a number from %" PRId64 " to %" PRId64 "%s", key->min,
		    key->max, key->off ? ", or \"off\"" : "");
	return key_error(cfg, s, key->path, expected, err);
}

static int
set_rate(struct config *cfg, const struct key *key, const config_setting_t *s,
    const char *text, struct limit_rate *rate, struct err *err)
{
	char expected[160], low[24], high[24];

	(void)rate_parse(key->def, rate);
	if (text != NULL && rate_parse(text, rate) &&
	    rate->window_s >= key->min && rate->window_s <= key->max)
		return 0;
	(void)snprintf(expected, sizeof(expected),
	    "a number from 1 to %d and "
	    "a window from %s to %s like \"%s\", or \"off\"",
	    RATE_MAX, duration_format(key->min, low),
	    duration_format(key->max, high), key->def);
	return key_error(cfg, s, key->path, expected, err);
}

/* Octal digits; a mode that lets everybody write is an open door. */
static bool
mode_parse(const char *text, mode_t *mode)
{
	char *end;
	unsigned long v = strtoul(text, &end, 8);

	if (*text < '0' || *text > '7' || *end != '\0' || v > 0777 ||
	    (v & 0600) != 0600)
		return false;
	*mode = (mode_t)v;
	return true;
}

/* The array and count of a key of groups. */
static size_t *
groups_count(struct config *cfg, const struct key *key)
{
	return (size_t *)(void *)((char *)cfg + key->groups->count);
}

static int
set_groups(struct config *cfg, const struct key *key, const config_setting_t *s,
    void **member, struct err *err)
{
	if (s != NULL && !config_setting_is_list(s))
		return key_error(cfg, s, key->path,
		    "a list of groups: ( { ... }, { ... } )", err);
	int n = s == NULL ? 0 : config_setting_length(s);

	*member = calloc((size_t)n + 1, key->groups->size);
	if (*member == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return -1;
	}
	for (int i = 0; i < n; i++)
		if (key->groups->set(cfg,
			config_setting_get_elem(s, (unsigned)i), err) == -1)
			return -1;
	return 0;
}

static int
set_choice(struct config *cfg, const struct key *key, const config_setting_t *s,
    const char *text, void *member, struct err *err)
{
	unsigned n = text == NULL ? CHOICES : choice_find(key, text);

	if (n == CHOICES)
		return choice_error(cfg, key, s, err);
	if (key->kind == K_CHOICE)
		*(bool *)member = n == 1;
	else
		memcpy(member, &n, sizeof(n)); /* an enum */
	return 0;
}

static int
set_key(struct config *cfg, const struct key *key, const config_setting_t *s,
    struct err *err)
{
	void *member = (char *)cfg + key->offset;
	const char *text = s == NULL ? key->def : config_setting_get_string(s);
	int64_t n;

	/* a default, which has no setting, is always a text */
	assert(s != NULL || text != NULL || key->kind == K_GROUPS);
	if (key->off && text != NULL && strcmp(text, "off") == 0) {
		*(int64_t *)member = 0;
		return 0;
	}
	switch (key->kind) {
	case K_GROUPS:
		return set_groups(cfg, key, s, member, err);
	case K_STRINGS:
		return strings_of(cfg, key, s, member, err);
	case K_NETWORKS:
		return set_networks(cfg, key, s, member, err);
	case K_PATH:
	case K_TEXT:
		if (text == NULL)
			return key_error(cfg, s, key->path, "a string", err);
		return set_text(cfg, key, s, text, member, err);
	case K_SECONDS:
		if (text == NULL && s != NULL && config_setting_is_number(s) &&
		    config_setting_type(s) != CONFIG_TYPE_FLOAT)
			n = config_setting_get_int64(s);
		else if (text == NULL || !duration_parse(text, &n))
			return key_error(cfg, s, key->path,
			    "a duration like \"90s\", \"30m\", \"2h\" or "
			    "\"7d\"",
			    err);
		return set_number(cfg, key, s, n, member, err);
	case K_SIZE:
		if (text == NULL || !size_parse(text, &n))
			return key_error(cfg, s, key->path,
			    key->off ? "a size like \"500M\" or \"8G\", or "
				       "\"off\""
				     : "a size like \"500M\" or \"8G\"",
			    err);
		return set_number(cfg, key, s, n, member, err);
	case K_INT:
		if (s != NULL && config_setting_type(s) != CONFIG_TYPE_INT &&
		    config_setting_type(s) != CONFIG_TYPE_INT64)
			return key_error(cfg, s, key->path,
			    key->off ? "a whole number, or \"off\""
				     : "a whole number",
			    err);
		n = s == NULL ? strtoll(key->def, NULL, 10)
			      : config_setting_get_int64(s);
		return set_number(cfg, key, s, n, member, err);
	case K_MODE:
		if (text == NULL || !mode_parse(text, member))
			return key_error(cfg, s, key->path,
			    "octal digits in "
			    "quotes like \"0660\"",
			    err);
		return 0;
	case K_RATE:
		return set_rate(cfg, key, s, text, member, err);
	case K_BOOL:
		if (s != NULL && config_setting_type(s) != CONFIG_TYPE_BOOL)
			return key_error(
			    cfg, s, key->path, "true or false", err);
		*(bool *)member = s == NULL ? strcmp(text, "true") == 0
					    : config_setting_get_bool(s) != 0;
		return 0;
	case K_CHOICE:
	case K_ENUM:
		return set_choice(cfg, key, s, text, member, err);
	}
	return -1;
}

/* One string member of a group in a list; *value_r is NULL when absent. */
static int
member_text(struct config *cfg, config_setting_t *group, const char *name,
    const char *path, const char **value_r, struct err *err)
{
	config_setting_t *s = config_setting_get_member(group, name);

	*value_r = s == NULL ? NULL : config_setting_get_string(s);
	if (s != NULL && (*value_r == NULL || **value_r == '\0'))
		return key_error(
		    cfg, s, path, "a string that is not empty", err);
	return 0;
}

static int
set_source(struct config *cfg, config_setting_t *e, struct err *err)
{
	static const char expected[] =
	    "{ file = \"/path\"; } (and rotated = "
	    "\"/directory\"), { journal = "
	    "\"system\"; }, { stdin = true; }, { socket = \"/path\"; } or "
	    "{ login = \"/path\"; }";
	struct config_source *src =
	    &cfg->collector.sources[cfg->collector.n_sources];
	const char *path = "collector.sources", *value = NULL;
	const char *name;

	if (!config_setting_is_group(e) || config_setting_length(e) < 1)
		return key_error(cfg, e, path, expected, err);
	config_setting_t *s = config_setting_get_member(e, "file");
	const char *rotated = NULL;
	int members = 1;

	if (s == NULL) {
		s = config_setting_get_elem(e, 0);
	} else if (config_setting_get_member(e, "rotated") != NULL) {
		members = 2;
		if (member_text(cfg, e, "rotated", path, &rotated, err) == -1)
			return -1;
		if (rotated == NULL || *rotated != '/' || strlen(rotated) > 480)
			return key_error(cfg, e, path,
			    "rotated = "
			    "\"/directory\", an absolute path",
			    err);
	}
	if (config_setting_length(e) != members)
		return key_error(cfg, e, path, expected, err);
	name = config_setting_name(s);
	value = config_setting_get_string(s);
	if (strcmp(name, "stdin") == 0 &&
	    config_setting_type(s) == CONFIG_TYPE_BOOL &&
	    config_setting_get_bool(s)) {
		src->kind = SOURCE_STDIN;
		value = "";
	} else if (strcmp(name, "file") == 0 && value != NULL &&
	    *value == '/') {
		src->kind = SOURCE_FILE;
	} else if (strcmp(name, "socket") == 0 && value != NULL &&
	    *value == '/' && strlen(value) < LISTEN_PATH_MAX) {
		src->kind = SOURCE_SOCKET;
	} else if (strcmp(name, "login") == 0 && value != NULL &&
	    *value == '/' && strlen(value) < LISTEN_PATH_MAX) {
		src->kind = SOURCE_LOGIN;
	} else if (strcmp(name, "journal") == 0 && value != NULL &&
	    strcmp(value, "system") == 0) {
		src->kind = SOURCE_JOURNAL;
	} else {
		return key_error(cfg, s, path, expected, err);
	}
	/* cppcheck-suppress nullPointerRedundantCheck ; checked above */
	if (strlen(value) > 480)
		return key_error(cfg, s, path, "a shorter path", err);
	char buf[512];

	(void)snprintf(buf, sizeof(buf), "%s%s%s", name,
	    src->kind == SOURCE_STDIN ? "" : ":", value);
	src->where = strdup(value);
	src->name = strdup(buf);
	src->rotated = rotated == NULL ? NULL : strdup(rotated);
	cfg->collector.n_sources++;
	if (src->where == NULL || src->name == NULL ||
	    (rotated != NULL && src->rotated == NULL)) {
		err_set(err, ERR_NOMEM, "out of memory");
		return -1;
	}
	for (size_t i = 0; i + 1 < cfg->collector.n_sources; i++)
		if (strcmp(cfg->collector.sources[i].name, src->name) == 0)
			return key_error(cfg, s, path, "each source once", err);
	return 0;
}

/* file: NULL for the one that was asked for. */
static void
format_where(char buf[CONFIG_WHERE_MAX], const struct config *cfg,
    const char *file, unsigned line, const char *key)
{
	(void)snprintf(buf, CONFIG_WHERE_MAX, "%.300s:%u: %.60s",
	    file == NULL ? cfg->path : file, line, key);
}

static int
set_custom(struct config *cfg, config_setting_t *e, struct err *err)
{
	struct config_custom *rule =
	    &cfg->collector.custom[cfg->collector.n_custom];
	const char *path = "collector.custom", *program, *pattern, *unit;
	static const char expected[] =
	    "{ program = \"...\"; pattern = \"...\"; }, perhaps with "
	    "unit = \"...\" or stream = true";
	config_setting_t *stream;

	if (!config_setting_is_group(e))
		return key_error(cfg, e, path, expected, err);
	if (member_text(cfg, e, "program", path, &program, err) == -1 ||
	    member_text(cfg, e, "pattern", path, &pattern, err) == -1 ||
	    member_text(cfg, e, "unit", path, &unit, err) == -1)
		return -1;
	stream = config_setting_get_member(e, "stream");
	if (program == NULL || pattern == NULL ||
	    (stream != NULL &&
		config_setting_type(stream) != CONFIG_TYPE_BOOL) ||
	    config_setting_length(e) != 2 + (unit != NULL) + (stream != NULL))
		return key_error(cfg, e, path, expected, err);
	char where[CONFIG_WHERE_MAX];

	format_where(where, cfg, config_setting_source_file(e),
	    config_setting_source_line(e), path);
	rule->where = strdup(where);
	rule->program = strdup(program);
	rule->pattern = strdup(pattern);
	rule->unit = unit == NULL ? NULL : strdup(unit);
	rule->stream = stream != NULL && config_setting_get_bool(stream) != 0;
	cfg->collector.n_custom++;
	if (rule->where == NULL || rule->program == NULL ||
	    rule->pattern == NULL || (unit != NULL && rule->unit == NULL)) {
		err_set(err, ERR_NOMEM, "out of memory");
		return -1;
	}
	return 0;
}

/* A digest as digits; *to NULL when text is. */
static int
set_digest(struct config *cfg, config_setting_t *e, const char *text, char **to,
    struct err *err)
{
	char digest[CERTIFICATE_DIGEST_MAX];

	*to = NULL;
	if (text == NULL)
		return 0;
	if (!certificate_digest(text, digest))
		return key_error(cfg, e, "relay.certificates",
		    "a SHA-1, "
		    "SHA-256, SHA-384 or SHA-512 digest in hexadecimal digits "
		    "(set smtpd_tls_fingerprint_digest = sha256 in Postfix, "
		    "CertFingerprintAlgorithm=sha256 in Sendmail)",
		    err);
	*to = strdup(digest);
	if (*to != NULL)
		return 0;
	err_set(err, ERR_NOMEM, "out of memory");
	return -1;
}

static int
set_certificate(struct config *cfg, config_setting_t *e, struct err *err)
{
	static const char path[] = "relay.certificates";
	struct certificate_entry *entry =
	    &cfg->relay.certificates[cfg->relay.n_certificates];
	const char *subject = NULL, *issuer = NULL, *print = NULL, *key = NULL;

	if (config_setting_is_group(e) &&
	    (member_text(cfg, e, "subject", path, &subject, err) == -1 ||
		member_text(cfg, e, "issuer", path, &issuer, err) == -1 ||
		member_text(cfg, e, "fingerprint", path, &print, err) == -1 ||
		member_text(cfg, e, "public_key", path, &key, err) == -1))
		return -1;
	/* a subject alone is what any authority may give to anybody */
	int names = (subject != NULL) + (issuer != NULL);
	int digests = (print != NULL) + (key != NULL);

	if (!config_setting_is_group(e) ||
	    config_setting_length(e) != names + digests ||
	    !((names == 2 && digests == 0) || (names == 0 && digests == 1)))
		return key_error(cfg, e, path,
		    "{ subject = \"...\"; issuer = "
		    "\"...\"; } (both), { fingerprint = \"...\"; } or "
		    "{ public_key = \"...\"; }",
		    err);
	cfg->relay.n_certificates++;
	if (set_digest(cfg, e, print, &entry->fingerprint, err) == -1 ||
	    set_digest(cfg, e, key, &entry->public_key, err) == -1)
		return -1;
	if (names == 0)
		return 0;
	entry->subject = strdup(subject);
	entry->issuer = strdup(issuer);
	if (entry->subject != NULL && entry->issuer != NULL)
		return 0;
	err_set(err, ERR_NOMEM, "out of memory");
	return -1;
}

static size_t
certificate_members(const void *one, struct config_member *v)
{
	const struct certificate_entry *entry = one;
	const struct {
		const char *name, *text;
	} members[] = { { "subject", entry->subject },
		{ "issuer", entry->issuer },
		{ "fingerprint", entry->fingerprint },
		{ "public_key", entry->public_key } };
	size_t n = 0;

	for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++)
		if (members[i].text != NULL)
			v[n++] =
			    (struct config_member){ .name = members[i].name,
				    .form = CONFIG_TEXT,
				    .text = members[i].text };
	return n;
}

static void
certificate_release(void *one)
{
	struct certificate_entry *entry = one;

	free(entry->subject);
	free(entry->issuer);
	free(entry->fingerprint);
	free(entry->public_key);
}

static size_t
source_members(const void *one, struct config_member *v)
{
	static const char *const names[] = { [SOURCE_FILE] = "file",
		[SOURCE_JOURNAL] = "journal",
		[SOURCE_STDIN] = "stdin",
		[SOURCE_SOCKET] = "socket",
		[SOURCE_LOGIN] = "login" };
	const struct config_source *src = one;

	v[0].name = names[src->kind];
	v[0].form = src->kind == SOURCE_STDIN ? CONFIG_BOOL : CONFIG_TEXT;
	v[0].text = src->kind == SOURCE_STDIN ? "true" : src->where;
	if (src->rotated == NULL)
		return 1;
	v[1] = (struct config_member){
		.name = "rotated", .form = CONFIG_TEXT, .text = src->rotated
	};
	return 2;
}

static void
source_release(void *one)
{
	struct config_source *src = one;

	free(src->name);
	free(src->where);
	free(src->rotated);
}

static size_t
custom_members(const void *one, struct config_member *v)
{
	const struct config_custom *rule = one;
	size_t n = 2;

	v[0] = (struct config_member){
		.name = "program", .form = CONFIG_TEXT, .text = rule->program
	};
	v[1] = (struct config_member){
		.name = "pattern", .form = CONFIG_TEXT, .text = rule->pattern
	};
	if (rule->unit != NULL)
		v[n++] = (struct config_member){
			.name = "unit", .form = CONFIG_TEXT, .text = rule->unit
		};
	if (rule->stream)
		v[n++] = (struct config_member){
			.name = "stream", .form = CONFIG_BOOL, .text = "true"
		};
	return n;
}

static void
custom_release(void *one)
{
	struct config_custom *rule = one;

	free(rule->where);
	free(rule->program);
	free(rule->pattern);
	free(rule->unit);
}

static int
set_mirror(struct config *cfg, config_setting_t *e, struct err *err)
{
	static const char expected[] =
	    "{ file = \"/path\"; format = "
	    "\"relayhosts\"; }, perhaps with value = \"...\"; formats are "
	    "makemap, relayers.db, relayhosts, relayhostsusers, access, hash "
	    "and cidr";
	struct config_mirror *m =
	    &cfg->collector.mirror[cfg->collector.n_mirror];
	const char *path = "collector.mirror", *file, *format, *value;

	if (!config_setting_is_group(e))
		return key_error(cfg, e, path, expected, err);
	if (member_text(cfg, e, "file", path, &file, err) == -1 ||
	    member_text(cfg, e, "format", path, &format, err) == -1 ||
	    member_text(cfg, e, "value", path, &value, err) == -1)
		return -1;
	if (file == NULL || format == NULL || *file != '/' ||
	    strlen(file) > PATH_MAX - 64 ||
	    config_setting_length(e) != (value == NULL ? 2 : 3) ||
	    !map_format_find(format, &m->format))
		return key_error(cfg, e, path, expected, err);
	if (value != NULL &&
	    (!map_format_has_value(m->format) || !map_value_good(value)))
		return key_error(cfg, e, path,
		    "a value of printable ASCII, "
		    "and only with access, hash or cidr",
		    err);
	size_t len = strlen(file);

	if (map_format_is_hash(m->format) &&
	    (len < 4 || strcmp(file + len - 3, ".db") != 0))
		return key_error(cfg, e, path,
		    "a hash in a file whose name "
		    "ends with .db: that is what its readers open",
		    err);
	for (size_t i = 0; i < cfg->collector.n_mirror; i++)
		if (strcmp(cfg->collector.mirror[i].file, file) == 0)
			return key_error(cfg, e, path, "each file once", err);
	cfg->collector.n_mirror++;
	m->file = strdup(file);
	m->value = value == NULL ? NULL : strdup(value);
	if (m->file != NULL && (value == NULL || m->value != NULL))
		return 0;
	err_set(err, ERR_NOMEM, "out of memory");
	return -1;
}

static size_t
mirror_members(const void *one, struct config_member *v)
{
	const struct config_mirror *m = one;

	v[0] = (struct config_member){
		.name = "file", .form = CONFIG_TEXT, .text = m->file
	};
	v[1] = (struct config_member){ .name = "format",
		.form = CONFIG_TEXT,
		.text = map_format_name(m->format) };
	v[2] = (struct config_member){
		.name = "value", .form = CONFIG_TEXT, .text = m->value
	};
	return m->value == NULL ? 2 : 3;
}

static void
mirror_release(void *one)
{
	struct config_mirror *m = one;

	free(m->file);
	free(m->value);
}

static const struct key_groups source_groups = { .count =
						     AT(collector.n_sources),
	.size = sizeof(struct config_source),
	.set = set_source,
	.members = source_members,
	.release = source_release };

static const struct key_groups certificate_groups = { .count = AT(
							  relay.n_certificates),
	.size = sizeof(struct certificate_entry),
	.set = set_certificate,
	.members = certificate_members,
	.release = certificate_release };

static const struct key_groups custom_groups = { .count =
						     AT(collector.n_custom),
	.size = sizeof(struct config_custom),
	.set = set_custom,
	.members = custom_members,
	.release = custom_release };

static const struct key_groups mirror_groups = { .count =
						     AT(collector.n_mirror),
	.size = sizeof(struct config_mirror),
	.set = set_mirror,
	.members = mirror_members,
	.release = mirror_release };

static bool
key_known(const char *path)
{
	for (size_t i = 0; i < KEYS; i++)
		if (strcmp(keys[i].path, path) == 0)
			return true;
	return false;
}

static bool
section_known(const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < KEYS; i++)
		if (strncmp(keys[i].path, name, len) == 0 &&
		    keys[i].path[len] == '.')
			return true;
	return false;
}

/* A key that we don't know is a slip of the pen that would otherwise pass
 * for a setting. */
static int
refuse_unknown(const struct config *cfg, const config_t *file, struct err *err)
{
	config_setting_t *root = config_root_setting(file);

	for (int i = 0; i < config_setting_length(root); i++) {
		config_setting_t *sec =
		    config_setting_get_elem(root, (unsigned)i);
		const char *name = config_setting_name(sec);

		if (!section_known(name))
			return key_error(cfg, sec, name,
			    "one of the sections "
			    "logins, audit, milter, permit, relay, "
			    "limits, reply, "
			    "collector, metrics",
			    err);
		if (!config_setting_is_group(sec))
			return key_error(
			    cfg, sec, name, "a group: { ... }", err);
		for (int j = 0; j < config_setting_length(sec); j++) {
			config_setting_t *s =
			    config_setting_get_elem(sec, (unsigned)j);
			char path[160];

			(void)snprintf(path, sizeof(path), "%.70s.%.70s", name,
			    config_setting_name(s));
			if (!key_known(path))
				return key_error(cfg, s, path,
				    "a key that "
				    "popgate.conf(5) knows: this is none",
				    err);
		}
	}
	return 0;
}

static int
check_local_mailers(
    const struct config *cfg, const config_t *file, struct err *err)
{
	const struct string_list *list = &cfg->relay.local_mailers;

	for (size_t i = 0; i < list->n; i++)
		for (size_t j = 0;
		     j < sizeof(remote_mailers) / sizeof(remote_mailers[0]);
		     j++)
			if (strcasecmp(list->v[i], remote_mailers[j]) == 0)
				return key_error(cfg,
				    config_lookup(file, "relay.local_mailers"),
				    "relay.local_mailers",
				    "mailers that "
				    "deliver on this machine: relay, smtp, "
				    "esmtp, smtp8 and dsmtp carry mail away, "
				    "and listing one would open the relay",
				    err);
	return 0;
}

/* Where a setting is written; s is NULL for a default. */
static int
set_origin(const struct config *cfg, const config_setting_t *s,
    struct config_origin *origin, struct err *err)
{
	if (s == NULL)
		return 0;
	const char *file = config_setting_source_file(s);

	origin->line = config_setting_source_line(s);
	origin->file = strdup(file == NULL ? cfg->path : file);
	if (origin->file != NULL)
		return 0;
	err_set(err, ERR_NOMEM, "out of memory");
	return -1;
}

/* Such a file lets a client relay whatever it sends. */
static int
check_mirror(const struct config *cfg, const config_t *file, struct err *err)
{
	if (cfg->collector.n_mirror == 0 ||
	    (cfg->relay.sender_binding == SENDER_OFF &&
		!cfg->relay.null_sender_refused))
		return 0;
	return key_error(cfg, config_lookup(file, "collector.mirror"),
	    "collector.mirror",
	    "no file while relay.sender_binding or "
	    "relay.null_sender refuses senders: what popgate-milter refuses, "
	    "a program that reads such a file would let in",
	    err);
}

int
config_load(const char *path, struct config **cfg_r, struct err *err)
{
	struct config *cfg = calloc(1, sizeof(*cfg));
	config_t file;
	int ret = -1;

	*cfg_r = NULL;
	config_init(&file);
	if (cfg == NULL || (cfg->path = strdup(path)) == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		goto out;
	}
	FILE *in = fopen(path, "re");

	if (in == NULL) {
		err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
		goto out;
	}
	int ok = config_read(&file, in);

	(void)fclose(in);
	if (!ok) {
		const char *where = config_error_file(&file);

		err_set(err, ERR_INVALID, "%s:%d: %s",
		    where == NULL ? path : where, config_error_line(&file),
		    config_error_text(&file));
		goto out;
	}
	if (refuse_unknown(cfg, &file, err) == -1)
		goto out;
	cfg->origin = calloc(KEYS, sizeof(*cfg->origin));
	if (cfg->origin == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		goto out;
	}
	for (size_t i = 0; i < KEYS; i++) {
		const config_setting_t *s = config_lookup(&file, keys[i].path);

		if (set_key(cfg, &keys[i], s, err) == -1 ||
		    set_origin(cfg, s, &cfg->origin[i], err) == -1)
			goto out;
	}
	if (check_local_mailers(cfg, &file, err) == -1 ||
	    check_mirror(cfg, &file, err) == -1)
		goto out;
	*cfg_r = cfg;
	cfg = NULL;
	ret = 0;
out:
	config_destroy(&file);
	config_free(cfg);
	return ret;
}

const char *
config_where(
    const struct config *cfg, const char *key, char buf[CONFIG_WHERE_MAX])
{
	size_t i = 0;

	while (i < KEYS && strcmp(keys[i].path, key) != 0)
		i++;
	assert(i < KEYS);
	format_where(buf, cfg, cfg->origin[i].file, cfg->origin[i].line, key);
	return buf;
}

static void
free_groups(struct config *cfg, const struct key *key, char *array)
{
	for (size_t i = 0; i < *groups_count(cfg, key); i++)
		key->groups->release(array + i * key->groups->size);
	free(array);
}

void
config_free(struct config *cfg)
{
	if (cfg == NULL)
		return;
	for (size_t i = 0; i < KEYS; i++) {
		void *member = (char *)cfg + keys[i].offset;

		switch (keys[i].kind) {
		case K_PATH:
		case K_TEXT:
			free(*(char **)member);
			break;
		case K_STRINGS:
			string_list_release(member);
			break;
		case K_NETWORKS:
			network_set_release(member);
			break;
		case K_GROUPS:
			free_groups(cfg, &keys[i], *(char **)member);
			break;
		case K_SECONDS:
		case K_INT:
		case K_SIZE:
		case K_MODE:
		case K_CHOICE:
		case K_ENUM:
		case K_BOOL:
		case K_RATE:
			break;
		}
	}
	for (size_t i = 0; i < KEYS && cfg->origin != NULL; i++)
		free(cfg->origin[i].file);
	free(cfg->origin);
	free(cfg->path);
	free(cfg);
}
