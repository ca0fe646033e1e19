/* SPDX-License-Identifier: ISC */
/* config - popgate.conf, read by libconfig, checked once, constant after.
 * Every key is in popgate.conf(5). */
#ifndef POPGATE_CONFIG_H
#define POPGATE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "common/base/addr.h"
#include "common/base/strings.h"
#include "common/base/zone.h"
#include "common/config/duration.h"
#include "common/config/map_format.h"
#include "common/mta/certificate.h"
#include "common/mta/senders.h"
#include "common/records/limit.h"

#define CONFIG_DEFAULT_PATH "/etc/popgate/popgate.conf"

struct err;

enum relay_mode {
	RELAY_ENFORCE,
	RELAY_MONITOR, /* nothing is refused */
	RELAY_OBSERVE /* and the permit channel permits nothing */
};

enum source_kind {
	SOURCE_FILE,
	SOURCE_JOURNAL,
	SOURCE_STDIN,
	SOURCE_SOCKET,
	SOURCE_LOGIN
};

struct config_source {
	enum source_kind kind;
	char *name; /* "file:/var/log/mail.log": the key in the table */
	char *where; /* path, or journal: "system"; stdin: "" */
	char *rotated; /* files: other directory of predecessors; or NULL */
	struct zone zone; /* of stamps that name none */
	char zone_text[ZONE_TEXT_MAX]; /* of a fixed one */
};

struct config_custom {
	char *program;
	char *pattern;
	char *unit; /* NULL: the executable tells */
	char *where; /* "FILE:LINE: collector.custom", for errors */
	bool stream; /* lines of its output count, too */
};

/* By which other tags a server logs. */
struct config_tags {
	char *server;
	struct string_list tags;
	char *where; /* "FILE:LINE: collector.tags", for errors */
};

/* A file that the collector keeps for another program. */
struct config_mirror {
	char *file;
	enum map_format format;
	char *value; /* NULL: the format's own */
};

struct config_origin {
	char *file; /* NULL: the default */
	unsigned line;
};

/* A whole configuration: all memory is owned by it. */
struct config {
	char *path;
	struct config_origin *origin; /* by place in the table of keys */
	struct {
		char *database;
		int64_t window_s; /* how long a login counts */
		bool sessions; /* and while its session is open, ... */
		int64_t session_max_s; /* ... but not longer */
		int64_t keep_s; /* how long history is kept */
	} logins;
	struct {
		char *database;
		bool record_all; /* local recipients too */
		bool durable; /* DATA waits for the disk */
		int64_t keep_s;
		int64_t max_size; /* bytes; 0: none */
		int64_t queue; /* rows that may wait */
	} audit;
	struct {
		char *listen; /* "" none */
		/* whom a daemon that root starts becomes; "": popgate */
		char *user;
		char *group; /* of the Unix sockets; "" ours */
		mode_t mode;
		char *status; /* "" none */
		int64_t max_sessions; /* 0: what open files allow */
		int64_t drain_timeout_s;
	} milter;
	struct {
		char *policy; /* "" none */
		char *socketmap; /* "" none */
	} permit;
	struct {
		enum relay_mode mode;
		struct network_set monitor_networks;
		struct string_list monitor_listeners; /* "milter", ... */
		struct string_list local_domains;
		struct string_list local_mailers;
		struct network_set trusted_networks;
		struct network_set never_authorize;
		bool never_authorize_own; /* "own" is in the list */
		struct network_set proxy_networks;
		int64_t ipv6_prefix;
		int64_t shared_address_users; /* more: shared; 0: none is */
		bool shared_refused; /* a shared address may not relay */
		enum sender_binding sender_binding;
		bool null_sender_refused;
		struct string_list sender_addresses; /* see senders.h */
		struct certificate_entry *certificates;
		size_t n_certificates;
		int64_t collector_grace_s; /* 0: not asked */
	} relay;
	struct {
		/* of one that is off: the window of its default */
		struct limit_rate rate[LIMITS];
		bool authenticated; /* SMTP AUTH is limited too */
		bool trusted_networks; /* and so are these */
		int64_t deny_for_s; /* after a breach; 0: not denied */
	} limits;
	struct {
		/* templates; {client} is replaced; see reply.h */
		char *no_login;
		char *other_family; /* may be "" */
		char *login_expired;
		char *denied;
		char *no_client_identity;
		char *shared_address;
		char *sender_mismatch;
		char *rate_limited;
		char *unavailable;
		char *collector_behind;
	} reply;
	struct {
		char *user; /* likewise; "": popgate-collector */
		char *status; /* "" none */
		struct config_source *sources;
		size_t n_sources;
		struct string_list servers; /* empty: all built in */
		/* who besides root may tell logins at SOURCE_LOGIN */
		struct string_list login_users;
		struct config_custom *custom;
		size_t n_custom;
		struct config_tags *tags;
		size_t n_tags;
		struct config_mirror *mirror;
		size_t n_mirror;
	} collector;
	struct {
		char *milter, *collector; /* "" none */
	} metrics;
	struct {
		struct string_list servers; /* empty: nothing is shared */
		char *stream; /* its name, and what other keys begin with */
		char *user; /* of Redis; "" its default user */
		char *password_file; /* "" none */
		char *key_file; /* not "" where servers are */
		char *key_file_old; /* opens entries, too; "" none */
		bool required; /* row 12 when Redis is away */
		char *name; /* of this machine; "" its host name */
	} share;
};

/* Read and check path. Returns 0 and a new configuration, or -1 with err:
 * "file:line: key: what was expected". Caller frees with config_free().
 * Relative paths inside the file are refused. */
int config_load(const char *path, struct config **cfg_r, struct err *err);
void config_free(struct config *cfg); /* NULL-safe */

/* "FILE:LINE: KEY", where key is set, into buf: for errors that are found only
 * when its value is used; see err_locate(). The line of a default is 0. Returns
 * buf. */
enum { CONFIG_WHERE_MAX = 400 };
const char *config_where(
    const struct config *cfg, const char *key, char buf[CONFIG_WHERE_MAX]);

/* --- what is in force, and where it was said --- */

enum config_form {
	CONFIG_TEXT,
	CONFIG_NUMBER,
	CONFIG_BOOL,
	CONFIG_LIST,
	CONFIG_GROUPS, /* ( { name = value; ... }, ... ) */
	CONFIG_TABLE /* { name = [ value, ... ]; ... } */
};

enum { CONFIG_GROUP_MAX = 16 };

/* A value, or one of a list's. */
struct config_member {
	size_t group; /* of the groups, or of the names: which one, from 0 */
	const char *name; /* of groups and tables: "file"; else NULL */
	enum config_form form; /* text, number or bool */
	const char *text; /* "30m", "128", "true" */
};

struct config_value {
	const char *key; /* "relay.mode" */
	enum config_form form;
	const struct config_member *v;
	size_t n; /* of texts, numbers and bools: 1 */
	const char *file; /* where it is set; NULL: the default */
	unsigned line;
};

/* Does this member begin, or end, a group or the list of a name? */
static inline bool
config_member_first(const struct config_value *value, size_t i)
{
	return i == 0 || value->v[i].group != value->v[i - 1].group;
}

static inline bool
config_member_last(const struct config_value *value, size_t i)
{
	return i + 1 == value->n || config_member_first(value, i + 1);
}

/* Call fn for every key, those of a section behind each other, until it
 * returns false. Written as a file that config_load() reads, the values make
 * the same configuration. All is the callback's only until it returns.
 * 0, or -1 with ERR_NOMEM. */
int config_each(const struct config *cfg,
    bool (*fn)(void *arg, const struct config_value *value), void *arg,
    struct err *err);

#endif
