#include "common/db/store.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/db/db.h"
#include "common/db/sql.h"

enum {
	/* rows that are better sorted than found by walking all */
	ACTIVE_FEW = 100000,
	READ_BUSY_MS = 250, /* a RCPT waits no longer for a lock */
	WRITE_BUSY_MS = 10000
};

enum query {
	Q_DATA_VERSION,
	Q_LOOKUP,
	Q_LOOKUP_LEASE,
	Q_LOOKUP_ALL,
	Q_LOOKUP_LEASE_ALL,
	Q_OTHERS,
	Q_SOURCES_READ_AT,
	Q_LOGIN,
	Q_EVENT,
	Q_SET,
	Q_DELETE,
	Q_EXPIRE_END,
	Q_EXPIRE,
	Q_CAP_FUTURE,
	Q_CAP_COUNTS,
	Q_PRUNE,
	Q_SOURCE_SAVE,
	Q_SOURCE_FIND,
	Q_SOURCE_DELETE,
	Q_ROWS,
	Q_MANY_ACTIVE,
	Q_ROWS_ACTIVE,
	Q_ROWS_RECENT,
	Q_ROWS_WITHIN,
	Q_ROWS_OF_CLIENT,
	Q_ROWS_OF_USER,
	Q_EVENTS,
	Q_SOURCES,
	Q_MATCH,
	Q_USERS,
	Q_FAMILIES,
	Q_DENY_SET,
	Q_DENY_DELETE,
	Q_DENIES,
	Q_DENIES_OF,
	Q_LOGINS,
	Q_SHARING,
	Q_COUNT_ADD,
	Q_COUNT_LOGIN,
	Q_COUNT_DELETE,
	Q_COUNTS,
	Q_QUIET,
	Q_PAIRS_CLEAR,
	Q_PAIR_ADD,
	Q_PAIRS,
	Q_DELETED_SET,
	Q_DELETED_FROM,
	Q_DELETED,
	Q_DELETED_PRUNE,
	Q_DELETED_CAP,
	Q_READ_BEFORE,
	Q_WORDS,
	Q_WORD_KNOWN,
	Q_WORD_DELETE,
	Q_WORD_DELETE_ALL,
	Q_WORD_DENY,
	QUERIES
};

/* A user is denied whatever the case of his name is: many servers let ALICE in
 * for alice. (deny has folded names; an admin may have written others.)
 *
 * Logins of the client (?1, and ?2 the lease it is in) and of the networks
 * that an admin entered, with whether their user is denied; and what denies
 * the client or the user (?3). Of the client no more than ?6 rows that end
 * after ?5: by the primary key, whatever SQLite thinks of the index of ends,
 * which holds everybody's. Each arm is a seek, mostly into an empty
 * index, and the first alone is enough while there are neither denies nor
 * networks: Q_OTHERS. */
#define LOGIN_OF(denied)                                            \
	"SELECT 0, client, user, last_at, expires_at, " denied ", " \
	"server = 'popgatectl' FROM login "
#define DENIED                                                                    \
	"EXISTS (SELECT 1 FROM deny AS d WHERE d.subject IN (user, lower(user)) " \
	"AND d.kind = 'user' AND d.expires_at > ?4)"
#define DENY_OF "SELECT 1, subject, kind, 0, expires_at, 1, 0 FROM deny "
#define NETWORKS                                                \
	"INDEXED BY login_network WHERE server = 'popgatectl' " \
	"AND instr(client, '/') > 0 "
#define SOME_OF(clients) \
	"WHERE client " clients " AND +expires_at > ?5 LIMIT ?6"
#define LOOKUP_ALL(clients)                                                \
	"SELECT * FROM (" LOGIN_OF(DENIED)                                 \
	    SOME_OF(clients) ") "                                          \
			     "UNION ALL " LOGIN_OF(DENIED) NETWORKS        \
	    "UNION ALL " DENY_OF "WHERE subject = ?1 AND kind = 'client' " \
	    "UNION ALL " DENY_OF                                           \
	    "WHERE subject IN (?3, lower(?3)) AND kind = 'user' "          \
	    "UNION ALL " DENY_OF "INDEXED BY deny_network "                \
	    "WHERE kind = 'client' AND instr(subject, '/') > 0"

/* of the logins' users, at ?3 */
#define USER_DENIED                                                               \
	"EXISTS (SELECT 1 FROM deny AS d WHERE d.subject IN (user, lower(user)) " \
	"AND d.kind = 'user' AND d.expires_at > ?3) "

static const char *const query_sql[QUERIES] = {
	[Q_DATA_VERSION] = "PRAGMA data_version",
	[Q_LOOKUP] = LOGIN_OF("0") SOME_OF("= ?1"),
	[Q_LOOKUP_LEASE] = LOGIN_OF("0") SOME_OF("IN (?1, ?2)"),
	[Q_LOOKUP_ALL] = LOOKUP_ALL("= ?1"),
	[Q_LOOKUP_LEASE_ALL] = LOOKUP_ALL("IN (?1, ?2)"),
	[Q_OTHERS] = "SELECT EXISTS (SELECT 1 FROM deny) OR EXISTS (SELECT 1 "
		     "FROM login " NETWORKS ")",
	[Q_SOURCES_READ_AT] =
	    "SELECT coalesce(min(max(read_at, 1)), 0) FROM source",
	/* The newest login names server and service; expiry never goes back,
	 * so a line that is read late or twice can't shorten or stretch it. */
	[Q_LOGIN] =
	    "INSERT INTO login (client, user, service, server, first_at, "
	    "last_at, expires_at, count) VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, 1) "
	    "ON CONFLICT (client, user) DO UPDATE SET "
	    "service = CASE WHEN excluded.expires_at >= expires_at "
	    "THEN excluded.service ELSE service END, "
	    "server = CASE WHEN excluded.expires_at >= expires_at "
	    "THEN excluded.server ELSE server END, "
	    "first_at = min(first_at, excluded.first_at), "
	    "last_at = max(last_at, excluded.last_at), "
	    "expires_at = max(expires_at, excluded.expires_at), "
	    "count = count + 1",
	[Q_EVENT] =
	    "INSERT INTO login_event (at, client, user, service, server, "
	    "source, position, line) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
	[Q_SET] =
	    "INSERT OR REPLACE INTO login (client, user, service, server, "
	    "first_at, last_at, expires_at, count) "
	    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
	[Q_DELETE] = "DELETE FROM login WHERE client = ?1",
	/* a slice of the primary key at a time: short locks, no full scan */
	[Q_EXPIRE_END] = "SELECT client FROM login WHERE client > ?1 "
			 "ORDER BY client LIMIT 1 OFFSET ?2",
	[Q_EXPIRE] = "DELETE FROM login WHERE client > ?1 "
		     "AND (?2 = '' OR client <= ?2) AND expires_at < ?3",
	/* a login counts until after it was */
	[Q_CAP_FUTURE] = "UPDATE login INDEXED BY login_by_expiry SET "
			 "first_at = min(first_at, ?1), last_at = ?1, "
			 "expires_at = min(expires_at, ?1 + ?3) "
			 "WHERE expires_at > ?2 AND last_at > ?2 "
			 "AND server <> 'popgatectl'",
	[Q_CAP_COUNTS] = "UPDATE source_count SET first_at = min(first_at, "
			 "?1), last_at = ?1 WHERE last_at > ?2",
	/* ids grow with time, so the oldest are at the front */
	[Q_PRUNE] =
	    "DELETE FROM login_event WHERE id IN "
	    "(SELECT id FROM login_event ORDER BY id LIMIT ?2) AND at < ?1",
	[Q_SOURCE_SAVE] =
	    "INSERT OR REPLACE INTO source (name, inode, position, "
	    "fingerprint, read_at, line_at, device) "
	    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	[Q_SOURCE_FIND] =
	    "SELECT name, inode, position, fingerprint, read_at, line_at, "
	    "device FROM source WHERE name = ?1",
	[Q_SOURCE_DELETE] = "DELETE FROM source WHERE name = ?1",
	[Q_ROWS] =
	    "SELECT client, user, service, server, first_at, last_at, "
	    "expires_at, count FROM login NOT INDEXED WHERE expires_at > ?2 "
	    "ORDER BY client, user",
	[Q_MANY_ACTIVE] = "SELECT 1 FROM login INDEXED BY login_by_expiry "
			  "WHERE expires_at > ?1 LIMIT 1 OFFSET ?2",
	[Q_ROWS_ACTIVE] =
	    "SELECT client, user, service, server, first_at, last_at, "
	    "expires_at, count FROM login INDEXED BY login_by_expiry "
	    "WHERE expires_at > ?2 ORDER BY client, user",
	[Q_ROWS_RECENT] =
	    "SELECT client, user, service, server, first_at, last_at, "
	    "expires_at, count FROM login INDEXED BY login_by_expiry "
	    "WHERE expires_at > ?1 AND expires_at <= ?2 "
	    "ORDER BY expires_at DESC",
	[Q_ROWS_WITHIN] =
	    "SELECT client, user, service, server, first_at, last_at, "
	    "expires_at, count FROM login "
	    "WHERE client >= ?1 AND client < ?2 "
	    "UNION ALL SELECT client, user, service, server, first_at, "
	    "last_at, expires_at, count FROM login INDEXED BY login_network "
	    "WHERE server = 'popgatectl' AND instr(client, '/') > 0 "
	    "AND NOT (client >= ?1 AND client < ?2)",
	[Q_ROWS_OF_CLIENT] =
	    "SELECT client, user, service, server, first_at, last_at, "
	    "expires_at, count FROM login WHERE client = ?1 "
	    "AND expires_at > ?2 ORDER BY user",
	[Q_ROWS_OF_USER] =
	    "SELECT client, user, service, server, first_at, last_at, "
	    "expires_at, count FROM login WHERE user = ?1 AND user <> '' "
	    "AND expires_at > ?2 ORDER BY client",
	[Q_EVENTS] =
	    "SELECT id, at, client, user, service, server, source, position, "
	    "line FROM login_event WHERE client = ?1 ORDER BY id DESC LIMIT ?2",
	[Q_SOURCES] =
	    "SELECT name, inode, position, fingerprint, read_at, line_at, "
	    "device FROM source ORDER BY name",
	[Q_MATCH] =
	    "SELECT client, user, service, server, first_at, last_at, "
	    "expires_at, count FROM login WHERE client IN (?1, ?2) "
	    "UNION ALL SELECT client, user, service, server, first_at, "
	    "last_at, expires_at, count FROM login INDEXED BY login_network "
	    "WHERE server = 'popgatectl' AND instr(client, '/') > 0 "
	    "AND client <> ?2",
	[Q_USERS] =
	    "SELECT client, user FROM login WHERE client IN (?1, ?2) "
	    "AND expires_at > ?3 AND NOT " USER_DENIED
	    "UNION ALL SELECT client, user FROM login INDEXED BY login_network "
	    "WHERE server = 'popgatectl' AND instr(client, '/') > 0 "
	    "AND client <> ?2 AND expires_at > ?3 AND NOT " USER_DENIED,
	[Q_FAMILIES] =
	    "SELECT coalesce(sum(instr(client, ':') = 0), 0), "
	    "coalesce(sum(instr(client, ':') > 0), 0) FROM (SELECT client, at "
	    "FROM login_event WHERE source <> 'popgatectl' "
	    "ORDER BY id DESC LIMIT 200) WHERE at > ?1",
	[Q_DENY_SET] =
	    "INSERT OR REPLACE INTO deny (subject, kind, created_at, "
	    "expires_at, reason) VALUES (CASE ?2 WHEN 'user' THEN lower(?1) "
	    "ELSE ?1 END, ?2, ?3, ?4, ?5)",
	[Q_DENY_DELETE] =
	    "DELETE FROM deny WHERE subject IN (?1, lower(?1)) AND kind = ?2",
	[Q_DENIES] =
	    "SELECT subject, kind, created_at, expires_at, reason FROM deny "
	    "WHERE expires_at > ?1 ORDER BY kind, subject",
	[Q_DENIES_OF] =
	    "SELECT subject, kind, created_at, expires_at, reason FROM deny "
	    "WHERE expires_at > ?1 AND (kind = 'client' AND (subject = ?2 OR "
	    "instr(subject, '/') > 0) OR kind = 'user' "
	    "AND subject IN (?3, lower(?3)))",
	/* Q_LOGIN of count logins at once; first_at, last_at, expires_at and
	 * count of those */
	[Q_LOGINS] =
	    "INSERT INTO login (client, user, service, server, first_at, "
	    "last_at, expires_at, count) "
	    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) "
	    "ON CONFLICT (client, user) DO UPDATE SET "
	    "service = CASE WHEN excluded.expires_at >= expires_at "
	    "THEN excluded.service ELSE service END, "
	    "server = CASE WHEN excluded.expires_at >= expires_at "
	    "THEN excluded.server ELSE server END, "
	    "first_at = min(first_at, excluded.first_at), "
	    "last_at = max(last_at, excluded.last_at), "
	    "expires_at = max(expires_at, excluded.expires_at), "
	    "count = count + excluded.count",
	[Q_SHARING] =
	    "SELECT count(*) FROM (SELECT DISTINCT lower(user) FROM "
	    "(SELECT user FROM login WHERE client = ?1 AND +expires_at > ?2 "
	    "AND server <> 'popgatectl' LIMIT ?4) LIMIT ?3)",
	[Q_COUNT_ADD] =
	    "INSERT INTO source_count (source, server, reason, lines, "
	    "since_login, first_at, last_at, sample) "
	    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) "
	    "ON CONFLICT (source, server, reason) DO UPDATE SET "
	    "lines = lines + excluded.lines, "
	    "since_login = since_login + excluded.since_login, "
	    "gap_s = max(gap_s, excluded.first_at - last_at), "
	    "last_at = max(last_at, excluded.last_at), "
	    "sample = CASE WHEN excluded.sample <> '' "
	    "THEN excluded.sample ELSE sample END",
	[Q_COUNT_LOGIN] =
	    "UPDATE source_count SET since_login = 0 "
	    "WHERE source = ?1 AND server = ?2 AND since_login <> 0",
	[Q_COUNT_DELETE] = "DELETE FROM source_count WHERE source = ?1",
	[Q_COUNTS] =
	    "SELECT source, server, reason, lines, since_login, first_at, "
	    "last_at, sample FROM source_count "
	    "ORDER BY source, server, reason",
	[Q_QUIET] =
	    "SELECT source, server, last_at FROM server_quiet "
	    "WHERE ?1 - last_at BETWEEN limit_s AND limit_s + 7 * 86400",
	[Q_PAIRS_CLEAR] = "DELETE FROM pair",
	[Q_PAIR_ADD] = "INSERT INTO pair (direct, host, server, pid, client, "
		       "at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
	[Q_PAIRS] = "SELECT direct, host, server, pid, client, at FROM pair",
	[Q_DELETED_SET] =
	    "INSERT INTO deleted (client, at) VALUES (?1, ?2) "
	    "ON CONFLICT (client) DO UPDATE SET at = max(at, excluded.at)",
	[Q_DELETED_FROM] = "SELECT client, at FROM deleted "
			   "WHERE client >= ?1 AND client <> '' "
			   "ORDER BY client",
	[Q_DELETED] = "SELECT client, at FROM deleted WHERE client IN ('', ?1)",
	[Q_DELETED_PRUNE] = "DELETE FROM deleted WHERE at < ?1",
	[Q_DELETED_CAP] = "UPDATE deleted SET at = ?1 WHERE at > ?2",
	[Q_WORDS] = "SELECT client, at FROM deleted",
	[Q_WORD_KNOWN] =
	    "SELECT EXISTS (SELECT 1 FROM deleted WHERE client = ?1 "
	    "AND at >= ?2)",
	[Q_WORD_DELETE] =
	    "DELETE FROM login WHERE client = ?1 AND last_at <= ?2",
	[Q_WORD_DELETE_ALL] =
	    "DELETE FROM login WHERE (client, user) IN (SELECT client, user "
	    "FROM login INDEXED BY login_by_expiry WHERE expires_at > ?1 "
	    "AND last_at <= ?2 AND server <> 'popgatectl')",
	/* the newer word holds; one that has ended only ends another */
	[Q_WORD_DENY] =
	    "INSERT INTO deny (subject, kind, created_at, expires_at, reason) "
	    "SELECT ?1, ?2, ?3, ?4, ?5 WHERE ?4 > ?6 OR EXISTS (SELECT 1 FROM "
	    "deny WHERE subject = ?1 AND kind = ?2) "
	    "ON CONFLICT (subject, kind) DO UPDATE "
	    "SET created_at = excluded.created_at, "
	    "expires_at = excluded.expires_at, reason = excluded.reason "
	    "WHERE excluded.created_at > created_at",
	/* of a client with a longer history, its newest */
	[Q_READ_BEFORE] =
	    "SELECT EXISTS (SELECT 1 FROM (SELECT at, source, line FROM "
	    "login_event WHERE client = ?1 ORDER BY id DESC LIMIT 20000) "
	    "WHERE at <= ?2 AND line = ?3 AND source <> 'popgatectl')",
};

struct store {
	sqlite3 *db;
	sqlite3_stmt *begin, *commit;
	sqlite3_stmt *stmt[QUERIES]; /* made at first use */
	/* are there denies or networks? As of that data version, which
	 * doesn't count what this connection writes itself */
	bool reader, others, others_known;
	unsigned others_version;
};

int
store_open(const char *path, enum store_mode mode, struct store **st_r,
    struct err *err)
{
	static const enum db_mode db_mode[] = { [STORE_READ] = DB_READ,
		[STORE_WRITE] = DB_CREATE,
		[STORE_MODIFY] = DB_WRITE };
	struct store *st = calloc(1, sizeof(*st));

	*st_r = NULL;
	if (st == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return -1;
	}
	st->reader = mode == STORE_READ;
	if (db_open(path, db_mode[mode],
		mode == STORE_READ ? READ_BUSY_MS : WRITE_BUSY_MS, sql_logins,
		SQL_LOGINS_STEPS, &st->db, err) == -1)
		goto fail;
	/* A milter has many readers: the kernel caches for all of them. */
	if (mode == STORE_READ &&
	    db_exec(st->db, "PRAGMA cache_size = -256", err) == -1)
		goto fail;
	/* The look-up must not be what notices a foreign schema at RCPT. */
	sqlite3_stmt *stmt = NULL;

	if (db_prepare(st->db, query_sql[Q_LOOKUP_ALL], &stmt, err) == -1)
		goto fail;
	st->stmt[Q_LOOKUP_ALL] = stmt;
	if (mode != STORE_READ &&
	    (db_exec(st->db, "PRAGMA wal_autocheckpoint = 2000", err) == -1 ||
		db_exec(st->db, "PRAGMA journal_size_limit = 67108864", err) ==
		    -1))
		goto fail;
	*st_r = st;
	return 0;
fail:
	store_close(&st);
	return -1;
}

void
store_close(struct store **st)
{
	if (*st == NULL)
		return;
	for (int i = 0; i < QUERIES; i++)
		(void)sqlite3_finalize((*st)->stmt[i]);
	(void)sqlite3_finalize((*st)->begin);
	(void)sqlite3_finalize((*st)->commit);
	(void)sqlite3_close((*st)->db);
	free(*st);
	*st = NULL;
}

static sqlite3_stmt *
store_stmt(struct store *st, enum query q, struct err *err)
{
	if (st->stmt[q] == NULL &&
	    db_prepare(st->db, query_sql[q], &st->stmt[q], err) == -1)
		return NULL;
	return st->stmt[q];
}

static void
bind_text(sqlite3_stmt *stmt, int i, const char *text)
{
	(void)sqlite3_bind_text(stmt, i, text, -1, SQLITE_STATIC);
}

/* A row of the look-up counts when it is the client's own, or a network that
 * holds the client. */
static bool
row_holds(const char *text, const char *own, const char *lease,
    const struct addr *client)
{
	struct network net;

	return strcmp(text, own) == 0 || strcmp(text, lease) == 0 ||
	    (network_parse(text, &net) && network_contains(&net, client));
}

/* What the rows of one look-up come to. */
struct gathering {
	struct store_lookup *out;
	unsigned read; /* rows of the client */
	bool unnamed_entry; /* an admin's, that counts */
	/* those whose logins count, the newest ones */
	struct known {
		char name[LOGIN_USER_MAX];
		int64_t expires_at;
	} known[USERLIST_USERS];
	unsigned n_known;
	/* hashes of names, to count how many share the client */
	unsigned n_sharing;
	uint32_t sharing[STORE_ROWS_CROWD];
};

/* Equal for all spellings of a name that differ in ASCII case only. */
static uint32_t
name_hash(const char *name)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (; *name != '\0'; name++) {
		char c = *name;

		c = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
		hash = (hash ^ (unsigned char)c) * UINT64_C(0x100000001b3);
	}
	return (uint32_t)(hash >> 32 ^ hash);
}

static void
take_sharing(struct gathering *g, const char *name)
{
	uint32_t hash = name_hash(name);

	for (unsigned i = 0; i < g->n_sharing; i++)
		if (g->sharing[i] == hash)
			return;
	if (g->n_sharing < STORE_ROWS_CROWD)
		g->sharing[g->n_sharing++] = hash;
}

/* Note a user whose login counts. When there is no room, the user whose login
 * ends first gives way. */
static void
take_user_of_login(struct gathering *g, const char *name, int64_t expires_at)
{
	struct known *to = NULL;
	bool known = false;

	for (unsigned i = 0; i < g->n_known; i++) {
		struct known *k = &g->known[i];

		known = userlist_same(k->name, name);
		if (known) {
			to = k;
			break;
		}
		if (to == NULL || k->expires_at < to->expires_at)
			to = k;
	}
	if (!known && g->n_known < USERLIST_USERS)
		to = &g->known[g->n_known++];
	else if (to->expires_at >= expires_at)
		return;
	to->expires_at = expires_at;
	(void)snprintf(to->name, sizeof(to->name), "%s", name);
}

/* lease: how the collector writes the client. */
static void
take_login(
    sqlite3_stmt *stmt, const char *lease, int64_t now, struct gathering *g)
{
	struct store_lookup *out = g->out;
	const char *user = db_text(stmt, 2);
	int64_t last_at = sqlite3_column_int64(stmt, 3);
	int64_t expires_at = sqlite3_column_int64(stmt, 4);
	bool active = expires_at > now;
	bool manual = sqlite3_column_int(stmt, 6) != 0;

	if (active && !manual && strcmp(db_text(stmt, 1), lease) == 0)
		take_sharing(g, user);
	if (active && sqlite3_column_int(stmt, 5) != 0) {
		out->login_denied = true;
		return;
	}
	out->manual |= active && manual;
	g->unnamed_entry |= active && manual && *user == '\0';
	if (active && out->rows < 2)
		out->rows++;
	if (active && *user != '\0')
		take_user_of_login(g, user, expires_at);
	else if (active)
		out->users = 1; /* nobody by name */
	if (out->active && !active)
		return;
	/* the first active row drives out what expired ones said */
	if ((active && !out->active) || last_at >= out->last_at) {
		out->last_at = last_at;
		(void)snprintf(out->user, sizeof(out->user), "%s", user);
	}
	if ((active && !out->active) || expires_at > out->expires_at)
		out->expires_at = expires_at;
	out->active |= active;
}

/* When all rows were taken. */
static void
finish_lookup(struct gathering *g)
{
	struct store_lookup *out = g->out;

	out->login_denied &= !out->active;
	out->sharing = g->n_sharing;
	out->users += g->n_known;
	if (out->users > 2)
		out->users = 2;
	while (g->n_known > 0 && !g->unnamed_entry) {
		struct known *newest = g->known;

		for (unsigned i = 1; i < g->n_known; i++)
			if (g->known[i].expires_at > newest->expires_at)
				newest = &g->known[i];
		(void)userlist_add(out->login_users, newest->name);
		*newest = g->known[--g->n_known];
	}
}

/* What SQLite calls the data version counts the changes by others that this
 * connection has noticed; it does so when a statement begins to read. */
static unsigned
data_version(struct store *st)
{
	unsigned version = 0;

	(void)sqlite3_file_control(
	    st->db, "main", SQLITE_FCNTL_DATA_VERSION, &version);
	return version;
}

/* Are there denies or networks, as of the moment or a later one than that
 * which this connection read last? 0, or -1. */
static int
others(struct store *st, bool *any_r, struct err *err)
{
	if (!st->reader || !st->others_known ||
	    st->others_version != data_version(st)) {
		sqlite3_stmt *stmt = store_stmt(st, Q_OTHERS, err);

		if (stmt == NULL)
			return -1;
		int rc = sqlite3_step(stmt);

		st->others_known = rc == SQLITE_ROW;
		st->others = sqlite3_column_int(stmt, 0) != 0;
		if (rc != SQLITE_ROW)
			db_err(st->db, "look-up", err);
		(void)sqlite3_reset(stmt);
		st->others_version = data_version(st);
		if (!st->others_known)
			return -1;
	}
	*any_r = st->others;
	return 0;
}

/* One client's question, as the statements want it. */
struct question {
	const struct addr *client;
	const char *user;
	bool leased;
	int64_t now;
	char own[ADDR_TEXT_MAX], lease[NETWORK_TEXT_MAX];
};

/* The rows of the client that end after after, at most rows. */
static int
gather(struct store *st, enum query q, const struct question *ask,
    int64_t after, int rows, struct gathering *g, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, q, err);
	struct store_lookup *out = g->out;
	int rc;

	if (stmt == NULL)
		return -1;
	bind_text(stmt, 1, ask->own);
	if (ask->leased)
		bind_text(stmt, 2, ask->lease);
	if (q == Q_LOOKUP_ALL || q == Q_LOOKUP_LEASE_ALL) {
		bind_text(stmt, 3, ask->user == NULL ? "" : ask->user);
		(void)sqlite3_bind_int64(stmt, 4, ask->now);
	}
	(void)sqlite3_bind_int64(stmt, 5, after);
	(void)sqlite3_bind_int(stmt, 6, rows);
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		const char *text = db_text(stmt, 1);

		if (sqlite3_column_int(stmt, 0) == 0) {
			g->read += strcmp(text, ask->own) == 0 ||
			    strcmp(text, ask->lease) == 0;
			if (row_holds(text, ask->own, ask->lease, ask->client))
				take_login(stmt, ask->lease, ask->now, g);
		} else if (sqlite3_column_int64(stmt, 4) > ask->now) {
			out->denied |= strcmp(db_text(stmt, 2), "user") == 0 ||
			    row_holds(text, ask->own, ask->own, ask->client);
		}
	}
	if (rc != SQLITE_DONE)
		db_err(st->db, "look-up", err);
	(void)sqlite3_reset(stmt);
	return rc == SQLITE_DONE ? 0 : -1;
}

/* A client with very many rows is read twice: what ended doesn't matter as
 * long as there is something that counts. */
static int
lookup(struct store *st, enum query q, const struct question *ask,
    struct store_lookup *out, struct err *err)
{
	struct store_lookup ended;
	struct gathering g;

	*out = (struct store_lookup){ .active = false };
	g.out = out;
	g.read = g.n_known = g.n_sharing = 0;
	g.unnamed_entry = false;
	if (gather(st, q, ask, INT64_MIN, STORE_ROWS, &g, err) == -1)
		return -1;
	if (g.read == STORE_ROWS) {
		ended = *out;
		*out = (struct store_lookup){ .crowded = true };
		g.read = g.n_known = g.n_sharing = 0;
		g.unnamed_entry = false;
		if (gather(st, q, ask, ask->now, STORE_ROWS_CROWD, &g, err) ==
		    -1)
			return -1;
		if (!out->active && !out->login_denied) {
			out->last_at = ended.last_at;
			out->expires_at = ended.expires_at;
			memcpy(out->user, ended.user, sizeof(out->user));
		}
	}
	finish_lookup(&g);
	return 0;
}

int
store_lookup(struct store *st, const struct addr *client, const char *user,
    uint8_t ipv6_prefix, int64_t now, struct store_lookup *out, struct err *err)
{
	struct question ask = { .client = client,
		.user = user,
		.now = now,
		.leased = client->family == ADDR_IPV6 && ipv6_prefix < 128 };
	bool more = false;

	addr_format(client, ask.own);
	memcpy(ask.lease, ask.own, sizeof(ask.own));
	if (ask.leased) {
		struct network net = network_of(client, ipv6_prefix);

		network_format(&net, ask.lease);
	}
	/* In this order: a deny that was committed before we were asked is
	 * among those that others() knows of. */
	if (lookup(st, ask.leased ? Q_LOOKUP_LEASE : Q_LOOKUP, &ask, out,
		err) == -1 ||
	    others(st, &more, err) == -1)
		return -1;
	return more ? lookup(st, ask.leased ? Q_LOOKUP_LEASE_ALL : Q_LOOKUP_ALL,
			  &ask, out, err)
		    : 0;
}

bool
store_version(struct store *st, struct store_version *v)
{
	enum { REGION_BYTES = 32768 };
	void volatile *index = NULL;
	sqlite3_file *file = NULL;

	/* the mapping that SQLite has of it; until the first read it has
	 * none, and we mustn't be who makes one */
	if (!st->others_known ||
	    sqlite3_file_control(st->db, "main", SQLITE_FCNTL_FILE_POINTER,
		&file) != SQLITE_OK ||
	    file == NULL || file->pMethods == NULL ||
	    file->pMethods->iVersion < 2 ||
	    file->pMethods->xShmMap(file, 0, REGION_BYTES, 0, &index) !=
		SQLITE_OK ||
	    index == NULL)
		return false;
	const volatile uint64_t *word = index;

	for (size_t i = 0; i < sizeof(v->word) / sizeof(*v->word); i++)
		v->word[i] = word[i];
	atomic_thread_fence(memory_order_acquire);
	return true;
}

int
store_sharing(struct store *st, const char *client, int64_t now, int64_t max,
    int64_t *users_r, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, Q_SHARING, err);

	if (stmt == NULL)
		return -1;
	bind_text(stmt, 1, client);
	(void)sqlite3_bind_int64(stmt, 2, now);
	(void)sqlite3_bind_int64(stmt, 3, max);
	(void)sqlite3_bind_int64(
	    stmt, 4, max > STORE_ROWS_CROWD / 10 ? max * 10 : STORE_ROWS_CROWD);
	int rc = sqlite3_step(stmt);

	if (rc == SQLITE_ROW)
		*users_r = sqlite3_column_int64(stmt, 0);
	else
		db_err(st->db, "users of a client", err);
	(void)sqlite3_reset(stmt);
	return rc == SQLITE_ROW ? 0 : -1;
}

int
store_sources_read_at(struct store *st, int64_t *oldest_r, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, Q_SOURCES_READ_AT, err);

	if (stmt == NULL)
		return -1;
	int rc = sqlite3_step(stmt);

	if (rc == SQLITE_ROW)
		*oldest_r = sqlite3_column_int64(stmt, 0);
	else
		db_err(st->db, "sources", err);
	(void)sqlite3_reset(stmt);
	return rc == SQLITE_ROW ? 0 : -1;
}

int
store_begin(struct store *st, struct err *err)
{
	if (st->begin == NULL &&
	    db_prepare(st->db, "BEGIN IMMEDIATE", &st->begin, err) == -1)
		return -1;
	return db_run(st->db, st->begin, "begin", err);
}

int
store_commit(struct store *st, struct err *err)
{
	if (st->commit == NULL &&
	    db_prepare(st->db, "COMMIT", &st->commit, err) == -1)
		return -1;
	return db_run(st->db, st->commit, "commit", err);
}

void
store_rollback(struct store *st)
{
	if (!sqlite3_get_autocommit(st->db))
		(void)sqlite3_exec(st->db, "ROLLBACK", NULL, NULL, NULL);
}

/* Evidence is text for an admin's terminal: what isn't printable ASCII or
 * well-formed enough is written as \xNN. Returns malloced text or NULL. */
static char *
escape_line(const char *line, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	char *out = malloc(len * 4 + 1), *p = out;

	if (out == NULL)
		return NULL;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)line[i];

		if (c >= 0x20 && c < 0x7f) {
			*p++ = (char)c;
			continue;
		}
		*p++ = '\\';
		*p++ = 'x';
		*p++ = hex[c >> 4];
		*p++ = hex[c & 15];
	}
	*p = '\0';
	return out;
}

static int
record_event(struct store *st, const struct login *login, const char *client,
    const struct store_evidence *ev, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, Q_EVENT, err);

	if (stmt == NULL)
		return -1;
	char *line = escape_line(ev->line, ev->line_len);

	if (line == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return -1;
	}
	(void)sqlite3_bind_int64(stmt, 1, login->at);
	bind_text(stmt, 2, client);
	bind_text(stmt, 3, login->user);
	bind_text(stmt, 4, login->service);
	bind_text(stmt, 5, login->server);
	bind_text(stmt, 6, ev->source);
	(void)sqlite3_bind_int64(stmt, 7, ev->position);
	bind_text(stmt, 8, line);
	int ret = db_run(st->db, stmt, "login event", err);

	free(line);
	return ret;
}

int
store_login(struct store *st, const struct login *login,
    const struct network *net, int64_t expires_at,
    const struct store_evidence *ev, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, Q_LOGIN, err);
	char client[NETWORK_TEXT_MAX];

	if (stmt == NULL)
		return -1;
	network_format(net, client);
	bind_text(stmt, 1, client);
	bind_text(stmt, 2, login->user);
	bind_text(stmt, 3, login->service);
	bind_text(stmt, 4, login->server);
	(void)sqlite3_bind_int64(stmt, 5, login->at);
	(void)sqlite3_bind_int64(stmt, 6, expires_at);
	if (db_run(st->db, stmt, "login", err) == -1)
		return -1;
	return ev == NULL ? 0 : record_event(st, login, client, ev, err);
}

int
store_set(struct store *st, const struct store_row *row, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, Q_SET, err);

	if (stmt == NULL)
		return -1;
	bind_text(stmt, 1, row->client);
	bind_text(stmt, 2, row->user);
	bind_text(stmt, 3, row->service);
	bind_text(stmt, 4, row->server);
	(void)sqlite3_bind_int64(stmt, 5, row->first_at);
	(void)sqlite3_bind_int64(stmt, 6, row->last_at);
	(void)sqlite3_bind_int64(stmt, 7, row->expires_at);
	(void)sqlite3_bind_int64(stmt, 8, row->count);
	return db_run(st->db, stmt, "entry", err);
}

static int
set_deleted(struct store *st, const char *client, int64_t at, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, Q_DELETED_SET, err);

	if (stmt == NULL)
		return -1;
	bind_text(stmt, 1, client);
	(void)sqlite3_bind_int64(stmt, 2, at);
	return db_run(st->db, stmt, "deletion", err);
}

int
store_delete_older(struct store *st, int64_t at, struct err *err)
{
	return set_deleted(st, "", at, err);
}

/* Until when logins of a client were deleted; INT64_MIN: never. */
struct deleted {
	int64_t own_at; /* of this client */
	int64_t all_at; /* of everybody */
};

static int
find_deleted(
    struct store *st, const char *client, struct deleted *d, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, Q_DELETED, err);
	int rc;

	*d = (struct deleted){ .own_at = INT64_MIN, .all_at = INT64_MIN };
	if (stmt == NULL)
		return -1;
	bind_text(stmt, 1, client);
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
		*(*db_text(stmt, 0) == '\0' ? &d->all_at : &d->own_at) =
		    sqlite3_column_int64(stmt, 1);
	return db_walked(st->db, stmt, rc, "deletions", err);
}

int
store_deleted_find(
    struct store *st, const char *client, int64_t *at_r, struct err *err)
{
	struct deleted d;

	if (find_deleted(st, client, &d, err) == -1)
		return -1;
	*at_r = d.own_at > d.all_at ? d.own_at : d.all_at;
	return *at_r != INT64_MIN;
}

int
store_delete(struct store *st, const char *client, int64_t now, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, Q_DELETE, err);

	if (stmt == NULL || set_deleted(st, client, now, err) == -1)
		return -1;
	bind_text(stmt, 1, client);
	if (db_run(st->db, stmt, "delete", err) == -1)
		return -1;
	return sqlite3_changes(st->db);
}

int
store_expire(struct store *st, int64_t cutoff, int limit,
    char cursor[NETWORK_TEXT_MAX], struct err *err)
{
	sqlite3_stmt *end = store_stmt(st, Q_EXPIRE_END, err);
	sqlite3_stmt *del = store_stmt(st, Q_EXPIRE, err);
	char last[NETWORK_TEXT_MAX] = "";

	if (end == NULL || del == NULL)
		return -1;
	bind_text(end, 1, cursor);
	(void)sqlite3_bind_int(end, 2, limit);
	int rc = sqlite3_step(end);

	if (rc == SQLITE_ROW)
		(void)snprintf(last, sizeof(last), "%s", db_text(end, 0));
	else if (rc != SQLITE_DONE)
		db_err(st->db, "expire", err);
	(void)sqlite3_reset(end);
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		return -1;
	bind_text(del, 1, cursor);
	bind_text(del, 2, last);
	(void)sqlite3_bind_int64(del, 3, cutoff);
	if (db_run(st->db, del, "expire", err) == -1)
		return -1;
	memcpy(cursor, last, sizeof(last));
	return sqlite3_changes(st->db);
}

int
store_cap_future(struct store *st, int64_t now, int64_t latest,
    int64_t window_s, struct err *err)
{
	sqlite3_stmt *logins = store_stmt(st, Q_CAP_FUTURE, err);
	sqlite3_stmt *counts = store_stmt(st, Q_CAP_COUNTS, err);
	sqlite3_stmt *deleted = store_stmt(st, Q_DELETED_CAP, err);

	if (logins == NULL || counts == NULL || deleted == NULL)
		return -1;
	(void)sqlite3_bind_int64(deleted, 1, now);
	(void)sqlite3_bind_int64(deleted, 2, latest);
	(void)sqlite3_bind_int64(counts, 1, now);
	(void)sqlite3_bind_int64(counts, 2, latest);
	(void)sqlite3_bind_int64(logins, 1, now);
	(void)sqlite3_bind_int64(logins, 2, latest);
	(void)sqlite3_bind_int64(logins, 3, window_s);
	if (db_run(st->db, counts, "counters", err) == -1 ||
	    db_run(st->db, deleted, "deletions", err) == -1 ||
	    db_run(st->db, logins, "logins", err) == -1)
		return -1;
	return sqlite3_changes(st->db);
}

int
store_prune_events(struct store *st, int64_t cutoff, int limit, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, Q_PRUNE, err);
	sqlite3_stmt *deleted = store_stmt(st, Q_DELETED_PRUNE, err);

	if (stmt == NULL || deleted == NULL)
		return -1;
	(void)sqlite3_bind_int64(deleted, 1, cutoff);
	if (db_run(st->db, deleted, "deletions", err) == -1)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, cutoff);
	(void)sqlite3_bind_int(stmt, 2, limit);
	if (db_run(st->db, stmt, "prune", err) == -1)
		return -1;
	return sqlite3_changes(st->db);
}

int
store_source_save(
    struct store *st, const struct store_source *src, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, Q_SOURCE_SAVE, err);

	if (stmt == NULL)
		return -1;
	bind_text(stmt, 1, src->name);
	(void)sqlite3_bind_int64(stmt, 2, (sqlite3_int64)src->inode);
	(void)sqlite3_bind_int64(stmt, 3, src->position);
	bind_text(stmt, 4, src->fingerprint);
	(void)sqlite3_bind_int64(stmt, 5, src->read_at);
	(void)sqlite3_bind_int64(stmt, 6, src->line_at);
	(void)sqlite3_bind_int64(stmt, 7, (sqlite3_int64)src->device);
	return db_run(st->db, stmt, "source", err);
}

static void
source_column(sqlite3_stmt *stmt, struct store_source *src)
{
	(void)snprintf(src->name, sizeof(src->name), "%s", db_text(stmt, 0));
	src->inode = (uint64_t)sqlite3_column_int64(stmt, 1);
	src->position = sqlite3_column_int64(stmt, 2);
	(void)snprintf(
	    src->fingerprint, sizeof(src->fingerprint), "%s", db_text(stmt, 3));
	src->read_at = sqlite3_column_int64(stmt, 4);
	src->line_at = sqlite3_column_int64(stmt, 5);
	src->device = (uint64_t)sqlite3_column_int64(stmt, 6);
}

int
store_source_find(struct store *st, const char *name, struct store_source *src,
    struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, Q_SOURCE_FIND, err);

	if (stmt == NULL)
		return -1;
	bind_text(stmt, 1, name);
	int rc = sqlite3_step(stmt);

	if (rc == SQLITE_ROW)
		source_column(stmt, src);
	else if (rc != SQLITE_DONE)
		db_err(st->db, "source", err);
	(void)sqlite3_reset(stmt);
	return rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : -1;
}

int
store_source_delete(struct store *st, const char *name, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, Q_SOURCE_DELETE, err);

	if (stmt == NULL)
		return -1;
	bind_text(stmt, 1, name);
	return db_run(st->db, stmt, "source", err);
}

static struct store_row
row_columns(sqlite3_stmt *stmt)
{
	return (struct store_row){ .client = db_text(stmt, 0),
		.user = db_text(stmt, 1),
		.service = db_text(stmt, 2),
		.server = db_text(stmt, 3),
		.first_at = sqlite3_column_int64(stmt, 4),
		.last_at = sqlite3_column_int64(stmt, 5),
		.expires_at = sqlite3_column_int64(stmt, 6),
		.count = sqlite3_column_int64(stmt, 7) };
}

static int
each_row(struct store *st, sqlite3_stmt *stmt,
    bool (*fn)(void *arg, const struct store_row *row), void *arg,
    struct err *err)
{
	bool more = true;
	int rc = SQLITE_DONE;

	while (more && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		struct store_row row = row_columns(stmt);

		more = fn(arg, &row);
	}
	return db_walked(st->db, stmt, rc, "list", err);
}

/* Which way to all that count after active_at: of many of them, that by the
 * primary key. -1 with err. */
static int
way_to_active(struct store *st, int64_t active_at, struct err *err)
{
	sqlite3_stmt *stmt;

	if (active_at == INT64_MIN)
		return Q_ROWS;
	stmt = store_stmt(st, Q_MANY_ACTIVE, err);
	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, active_at);
	(void)sqlite3_bind_int(stmt, 2, ACTIVE_FEW);
	int rc = sqlite3_step(stmt);

	if (db_walked(st->db, stmt, rc, "list", err) == -1)
		return -1;
	return rc == SQLITE_ROW ? Q_ROWS : Q_ROWS_ACTIVE;
}

int
store_each_row(struct store *st, const char *client, const char *user,
    int64_t active_at, bool (*fn)(void *arg, const struct store_row *row),
    void *arg, struct err *err)
{
	int q = client != NULL ? Q_ROWS_OF_CLIENT
	    : user != NULL     ? Q_ROWS_OF_USER
			       : way_to_active(st, active_at, err);
	sqlite3_stmt *stmt =
	    q == -1 ? NULL : store_stmt(st, (enum query)q, err);

	assert(client == NULL || user == NULL);
	if (stmt == NULL)
		return -1;
	if (client != NULL || user != NULL)
		bind_text(stmt, 1, client != NULL ? client : user);
	(void)sqlite3_bind_int64(stmt, 2, active_at);
	return each_row(st, stmt, fn, arg, err);
}

int
store_each_recent(struct store *st, int64_t after, int64_t until,
    bool (*fn)(void *arg, const struct store_row *row), void *arg,
    struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, Q_ROWS_RECENT, err);

	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, after);
	(void)sqlite3_bind_int64(stmt, 2, until);
	return each_row(st, stmt, fn, arg, err);
}

/* "10.1." of 10.1.0.0/16 to /23: what all texts in it begin with. false when
 * that is nothing. */
static bool
text_prefix(const struct network *net, char prefix[NETWORK_TEXT_MAX])
{
	unsigned octets = net->bits / 8;
	size_t n = 0;

	if (net->base.family != ADDR_IPV4 || octets == 0)
		return false;
	if (octets == 4)
		octets = 3;
	for (unsigned i = 0; i < octets; i++)
		n += (size_t)snprintf(prefix + n, NETWORK_TEXT_MAX - n, "%u.",
		    net->base.bytes[i]);
	return true;
}

int
store_each_within(struct store *st, const struct network *net,
    bool (*fn)(void *arg, const struct store_row *row), void *arg,
    struct err *err)
{
	char first[NETWORK_TEXT_MAX], behind[NETWORK_TEXT_MAX];
	sqlite3_stmt *stmt;

	if (!text_prefix(net, first))
		return store_each_row(st, NULL, NULL, INT64_MIN, fn, arg, err);
	stmt = store_stmt(st, Q_ROWS_WITHIN, err);
	if (stmt == NULL)
		return -1;
	(void)snprintf(behind, sizeof(behind), "%s", first);
	behind[strlen(behind) - 1]++; /* '.' + 1 */
	bind_text(stmt, 1, first);
	bind_text(stmt, 2, behind);
	return each_row(st, stmt, fn, arg, err);
}

int
store_each_event(struct store *st, const char *client, int limit,
    bool (*fn)(void *arg, const struct store_event *event), void *arg,
    struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, Q_EVENTS, err);
	bool more = true;
	int rc = SQLITE_DONE;

	if (stmt == NULL)
		return -1;
	bind_text(stmt, 1, client);
	(void)sqlite3_bind_int(stmt, 2, limit);
	while (more && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		struct store_event event = { .id =
						 sqlite3_column_int64(stmt, 0),
			.at = sqlite3_column_int64(stmt, 1),
			.client = db_text(stmt, 2),
			.user = db_text(stmt, 3),
			.service = db_text(stmt, 4),
			.server = db_text(stmt, 5),
			.source = db_text(stmt, 6),
			.position = sqlite3_column_int64(stmt, 7),
			.line = db_text(stmt, 8) };

		more = fn(arg, &event);
	}
	return db_walked(st->db, stmt, rc, "history", err);
}

int
store_each_source(struct store *st,
    bool (*fn)(void *arg, const struct store_source *src), void *arg,
    struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, Q_SOURCES, err);
	bool more = true;
	int rc = SQLITE_DONE;

	if (stmt == NULL)
		return -1;
	while (more && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		struct store_source src = { .name = "" };

		source_column(stmt, &src);
		more = fn(arg, &src);
	}
	return db_walked(st->db, stmt, rc, "sources", err);
}

const char *
store_sqlite_version(void)
{
	return sqlite3_libversion();
}

/* The rows of a statement about client (?1, and ?2 the lease it is in) that
 * hold it, until take returns false. */
static int
each_of_client(struct store *st, sqlite3_stmt *stmt, const struct addr *client,
    uint8_t ipv6_prefix, bool (*take)(void *arg, sqlite3_stmt *stmt), void *arg,
    struct err *err)
{
	struct network net =
	    network_of(client, client->family == ADDR_IPV6 ? ipv6_prefix : 32);
	char own[ADDR_TEXT_MAX], lease[NETWORK_TEXT_MAX];
	bool more = true;
	int rc = SQLITE_DONE;

	bind_text(stmt, 1, addr_format(client, own));
	bind_text(stmt, 2, network_format(&net, lease));
	while (more && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
		if (row_holds(db_text(stmt, 0), own, lease, client))
			more = take(arg, stmt);
	return db_walked(st->db, stmt, rc, "look-up", err);
}

struct match {
	bool (*row)(void *arg, const struct store_row *row);
	bool (*user)(void *arg, const char *user);
	void *arg;
};

static bool
take_row(void *arg, sqlite3_stmt *stmt)
{
	const struct match *m = arg;
	struct store_row row = row_columns(stmt);

	return m->row(m->arg, &row);
}

static bool
take_user(void *arg, sqlite3_stmt *stmt)
{
	const struct match *m = arg;

	return m->user(m->arg, db_text(stmt, 1));
}

int
store_each_match(struct store *st, const struct addr *client,
    uint8_t ipv6_prefix, bool (*fn)(void *arg, const struct store_row *row),
    void *arg, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, Q_MATCH, err);
	struct match m = { .row = fn, .arg = arg };

	return stmt == NULL
	    ? -1
	    : each_of_client(st, stmt, client, ipv6_prefix, take_row, &m, err);
}

int
store_each_user(struct store *st, const struct addr *client,
    uint8_t ipv6_prefix, int64_t now, bool (*fn)(void *arg, const char *user),
    void *arg, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, Q_USERS, err);
	struct match m = { .user = fn, .arg = arg };

	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 3, now);
	return each_of_client(
	    st, stmt, client, ipv6_prefix, take_user, &m, err);
}

int
store_families(struct store *st, int64_t since, bool *ipv4_r, bool *ipv6_r,
    struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, Q_FAMILIES, err);

	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, since);
	int rc = sqlite3_step(stmt);

	if (rc == SQLITE_ROW) {
		*ipv4_r = sqlite3_column_int64(stmt, 0) > 0;
		*ipv6_r = sqlite3_column_int64(stmt, 1) > 0;
	} else {
		db_err(st->db, "families", err);
	}
	(void)sqlite3_reset(stmt);
	return rc == SQLITE_ROW ? 0 : -1;
}

int
store_event_add(
    struct store *st, const struct store_event *event, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, Q_EVENT, err);

	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, event->at);
	bind_text(stmt, 2, event->client);
	bind_text(stmt, 3, event->user);
	bind_text(stmt, 4, event->service);
	bind_text(stmt, 5, event->server);
	bind_text(stmt, 6, event->source);
	(void)sqlite3_bind_int64(stmt, 7, event->position);
	bind_text(stmt, 8, event->line);
	return db_run(st->db, stmt, "history", err);
}

int
store_deny_set(struct store *st, const struct store_deny *deny, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, Q_DENY_SET, err);

	if (stmt == NULL)
		return -1;
	bind_text(stmt, 1, deny->subject);
	bind_text(stmt, 2, deny->is_user ? "user" : "client");
	(void)sqlite3_bind_int64(stmt, 3, deny->created_at);
	(void)sqlite3_bind_int64(stmt, 4, deny->expires_at);
	bind_text(stmt, 5, deny->reason);
	return db_run(st->db, stmt, "deny", err);
}

int
store_deny_delete(
    struct store *st, const char *subject, bool is_user, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, Q_DENY_DELETE, err);

	if (stmt == NULL)
		return -1;
	bind_text(stmt, 1, subject);
	bind_text(stmt, 2, is_user ? "user" : "client");
	if (db_run(st->db, stmt, "undeny", err) == -1)
		return -1;
	return sqlite3_changes(st->db);
}

int
store_each_deny(struct store *st, const struct addr *client, const char *user,
    int64_t now, bool (*fn)(void *arg, const struct store_deny *deny),
    void *arg, struct err *err)
{
	bool all = client == NULL && user == NULL, more = true;
	sqlite3_stmt *stmt = store_stmt(st, all ? Q_DENIES : Q_DENIES_OF, err);
	char own[ADDR_TEXT_MAX] = "";
	int rc = SQLITE_DONE;

	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, now);
	if (!all) {
		bind_text(
		    stmt, 2, client == NULL ? "" : addr_format(client, own));
		bind_text(stmt, 3, user == NULL ? "" : user);
	}
	while (more && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		struct store_deny deny = { .subject = db_text(stmt, 0),
			.is_user = strcmp(db_text(stmt, 1), "user") == 0,
			.created_at = sqlite3_column_int64(stmt, 2),
			.expires_at = sqlite3_column_int64(stmt, 3),
			.reason = db_text(stmt, 4) };
		struct network net;

		if (!all && !deny.is_user && strcmp(deny.subject, own) != 0 &&
		    (client == NULL || !network_parse(deny.subject, &net) ||
			!network_contains(&net, client)))
			continue;
		if (!all && deny.is_user && user == NULL)
			continue;
		more = fn(arg, &deny);
	}
	return db_walked(st->db, stmt, rc, "denies", err);
}

/* --- what an admin said, kept besides --- */

void
store_words_path(const char *path, char *buf, size_t size)
{
	(void)snprintf(buf, size, "%s.words", path);
}

struct taking {
	struct store *st;
	struct err *err;
	int64_t now;
	bool failed;
};

static bool
take_deny(void *arg, const struct store_deny *deny)
{
	struct taking *t = arg;
	sqlite3_stmt *stmt = store_stmt(t->st, Q_WORD_DENY, t->err);

	t->failed = stmt == NULL;
	if (t->failed)
		return false;
	bind_text(stmt, 1, deny->subject);
	bind_text(stmt, 2, deny->is_user ? "user" : "client");
	(void)sqlite3_bind_int64(stmt, 3, deny->created_at);
	(void)sqlite3_bind_int64(stmt, 4, deny->expires_at);
	bind_text(stmt, 5, deny->reason);
	(void)sqlite3_bind_int64(stmt, 6, t->now);
	t->failed = db_run(t->st->db, stmt, "deny", t->err) == -1;
	return !t->failed;
}

/* Merge one deletion of the words file. Returns 1 when the table didn't know
 * it, 0 when it did, or -1. */
static int
take_deletion(struct taking *t, const char *client, int64_t at)
{
	bool all = *client == '\0';
	sqlite3_stmt *known = store_stmt(t->st, Q_WORD_KNOWN, t->err);
	sqlite3_stmt *del =
	    store_stmt(t->st, all ? Q_WORD_DELETE_ALL : Q_WORD_DELETE, t->err);
	bool found = false;

	if (known == NULL || del == NULL)
		return -1;
	bind_text(known, 1, client);
	(void)sqlite3_bind_int64(known, 2, at);
	int rc = sqlite3_step(known);

	if (rc == SQLITE_ROW)
		found = sqlite3_column_int(known, 0) != 0;
	if (db_walked(t->st->db, known, rc, "deletions", t->err) == -1)
		return -1;
	if (found)
		return 0;
	if (all)
		(void)sqlite3_bind_int64(del, 1, t->now);
	else
		bind_text(del, 1, client);
	(void)sqlite3_bind_int64(del, 2, at);
	return set_deleted(t->st, client, at, t->err) == -1 ||
		db_run(t->st->db, del, "delete", t->err) == -1
	    ? -1
	    : 1;
}

int
store_take_words(
    struct store *st, struct store *words, int64_t now, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(words, Q_WORDS, err);
	struct taking t = { .st = st, .err = err, .now = now };
	int rc = SQLITE_DONE, taken = 0, one = 0;

	if (stmt == NULL)
		return -1;
	while (one != -1 && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		one = take_deletion(
		    &t, db_text(stmt, 0), sqlite3_column_int64(stmt, 1));
		taken += one;
	}
	if (one == -1) {
		(void)sqlite3_reset(stmt);
		return -1;
	}
	if (db_walked(words->db, stmt, rc, "deletions", err) == -1 ||
	    store_each_deny(words, NULL, NULL, INT64_MIN, take_deny, &t, err) ==
		-1 ||
	    t.failed)
		return -1;
	return taken;
}

int
store_count_add(struct store *st, const struct store_count *more,
    size_t sample_len, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, Q_COUNT_ADD, err);

	if (stmt == NULL)
		return -1;
	char *sample = escape_line(more->sample, sample_len);

	if (sample == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return -1;
	}
	bind_text(stmt, 1, more->source);
	bind_text(stmt, 2, more->server);
	bind_text(stmt, 3, more->reason);
	(void)sqlite3_bind_int64(stmt, 4, more->lines);
	(void)sqlite3_bind_int64(stmt, 5, more->since_login);
	(void)sqlite3_bind_int64(stmt, 6, more->first_at);
	(void)sqlite3_bind_int64(stmt, 7, more->last_at);
	bind_text(stmt, 8, sample);
	int ret = db_run(st->db, stmt, "counters", err);

	free(sample);
	return ret;
}

int
store_count_login(
    struct store *st, const char *source, const char *server, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, Q_COUNT_LOGIN, err);

	if (stmt == NULL)
		return -1;
	bind_text(stmt, 1, source);
	bind_text(stmt, 2, server);
	return db_run(st->db, stmt, "counters", err);
}

int
store_count_delete(struct store *st, const char *source, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, Q_COUNT_DELETE, err);

	if (stmt == NULL)
		return -1;
	bind_text(stmt, 1, source);
	return db_run(st->db, stmt, "counters", err);
}

int
store_each_count(struct store *st,
    bool (*fn)(void *arg, const struct store_count *count), void *arg,
    struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, Q_COUNTS, err);
	bool more = true;
	int rc = SQLITE_DONE;

	if (stmt == NULL)
		return -1;
	while (more && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		struct store_count count = { .source = db_text(stmt, 0),
			.server = db_text(stmt, 1),
			.reason = db_text(stmt, 2),
			.lines = sqlite3_column_int64(stmt, 3),
			.since_login = sqlite3_column_int64(stmt, 4),
			.first_at = sqlite3_column_int64(stmt, 5),
			.last_at = sqlite3_column_int64(stmt, 6),
			.sample = db_text(stmt, 7) };

		more = fn(arg, &count);
	}
	return db_walked(st->db, stmt, rc, "counters", err);
}

int
store_each_quiet(struct store *st, int64_t now,
    bool (*fn)(
	void *arg, const char *source, const char *server, int64_t last_at),
    void *arg, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, Q_QUIET, err);
	bool more = true;
	int rc = SQLITE_DONE;

	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, now);
	while (more && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
		more = fn(arg, db_text(stmt, 0), db_text(stmt, 1),
		    sqlite3_column_int64(stmt, 2));
	return db_walked(st->db, stmt, rc, "counters", err);
}

int
store_pairs_clear(struct store *st, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, Q_PAIRS_CLEAR, err);

	return stmt == NULL ? -1 : db_run(st->db, stmt, "pairs", err);
}

int
store_pair_add(struct store *st, const struct store_pair *pair, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, Q_PAIR_ADD, err);

	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int(stmt, 1, pair->direct);
	(void)sqlite3_bind_text(
	    stmt, 2, pair->host, (int)pair->host_len, SQLITE_STATIC);
	bind_text(stmt, 3, pair->server);
	(void)sqlite3_bind_int64(stmt, 4, pair->pid);
	bind_text(stmt, 5, pair->client);
	(void)sqlite3_bind_int64(stmt, 6, pair->at);
	return db_run(st->db, stmt, "pairs", err);
}

int
store_each_pair(struct store *st,
    bool (*fn)(void *arg, const struct store_pair *pair), void *arg,
    struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, Q_PAIRS, err);
	bool more = true;
	int rc = SQLITE_DONE;

	if (stmt == NULL)
		return -1;
	while (more && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		struct store_pair pair = { .direct =
					       sqlite3_column_int(stmt, 0) != 0,
			.host = db_text(stmt, 1),
			.host_len = (size_t)sqlite3_column_bytes(stmt, 1),
			.server = db_text(stmt, 2),
			.pid = sqlite3_column_int64(stmt, 3),
			.client = db_text(stmt, 4),
			.at = sqlite3_column_int64(stmt, 5) };

		more = fn(arg, &pair);
	}
	return db_walked(st->db, stmt, rc, "pairs", err);
}

int64_t
store_ticks(const struct store_row *row, int64_t window_s)
{
	return strcmp(row->server, "popgatectl") == 0
	    ? row->expires_at - window_s
	    : row->last_at;
}

int
store_data_version(struct store *st, int64_t *version_r, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, Q_DATA_VERSION, err);

	if (stmt == NULL)
		return -1;
	int rc = sqlite3_step(stmt);

	if (rc == SQLITE_ROW)
		*version_r = sqlite3_column_int64(stmt, 0);
	return db_walked(st->db, stmt, rc, "version", err);
}

void
store_watch(struct store *st, struct db_watch *w)
{
	db_watch(st->db, w);
}

void
store_wait(struct store *st, int ms)
{
	(void)sqlite3_busy_timeout(st->db, ms);
}

static int
by_client_and_user(const void *a, const void *b)
{
	const struct store_entry *x = *(const struct store_entry *const *)a;
	const struct store_entry *y = *(const struct store_entry *const *)b;
	int order = strcmp(x->client, y->client);

	if (order == 0)
		order = strcmp(x->user, y->user);
	return order != 0 ? order : x < y ? -1 : x > y;
}

static bool
is_printable(const char *line, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)(line[i] - 0x20) >= 0x7f - 0x20)
			return false;
	return true;
}

/* Bind a line as the history has it. *escaped_r, which may be NULL, is the
 * caller's to free behind the statement. 0, or -1 with err. */
static int
bind_evidence(sqlite3_stmt *stmt, int i, const struct store_entry *e,
    char **escaped_r, struct err *err)
{
	*escaped_r = NULL;
	if (is_printable(e->line, e->line_len)) {
		(void)sqlite3_bind_text(
		    stmt, i, e->line, (int)e->line_len, SQLITE_STATIC);
		return 0;
	}
	*escaped_r = escape_line(e->line, e->line_len);
	if (*escaped_r == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return -1;
	}
	bind_text(stmt, i, *escaped_r);
	return 0;
}

/* Was this line in the history at deleted_at? No login is dated later than it
 * is read, whatever its server's clock says; when the line is read again, it
 * is. */
static int
read_before(struct store *st, const struct store_entry *e, int64_t deleted_at,
    struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, Q_READ_BEFORE, err);
	char *escaped = NULL;
	bool found = false;

	if (stmt == NULL || bind_evidence(stmt, 3, e, &escaped, err) == -1)
		return -1;
	bind_text(stmt, 1, e->client);
	(void)sqlite3_bind_int64(stmt, 2, deleted_at);
	int rc = sqlite3_step(stmt);

	if (rc == SQLITE_ROW)
		found = sqlite3_column_int(stmt, 0) != 0;
	int ret = db_walked(st->db, stmt, rc, "history", err);

	free(escaped);
	return ret == -1 ? -1 : found;
}

/* Does a deletion hold against this login? Within its second it does: most
 * lines tell no more. Returns 1, 0, or -1 with err.
 *   ahead_s  by how much its server's clock may have been ahead */
static int
is_deleted(struct store *st, const struct store_entry *e, int64_t deleted_at,
    int64_t ahead_s, struct err *err)
{
	if (deleted_at == INT64_MIN || e->at - deleted_at > ahead_s)
		return 0;
	return e->at <= deleted_at ? 1 : read_before(st, e, deleted_at, err);
}

/* Deletions beside logins that come by client: both are walked once. */
struct deletions {
	sqlite3_stmt *stmt;
	int rc; /* of its last step */
	struct deleted now; /* of the client that it stands at */
};

/* Those that may hold against logins of client and of clients behind it. Reset
 * the statement behind the walk. 0, or -1 with err. */
static int
deletions_begin(
    struct store *st, const char *client, struct deletions *d, struct err *err)
{
	d->stmt = store_stmt(st, Q_DELETED_FROM, err);
	if (d->stmt == NULL || find_deleted(st, "", &d->now, err) == -1)
		return -1;
	bind_text(d->stmt, 1, client);
	d->rc = sqlite3_step(d->stmt);
	return 0;
}

static void
deletions_seek(struct deletions *d, const char *client)
{
	int order = -1;

	d->now.own_at = INT64_MIN;
	while (d->rc == SQLITE_ROW &&
	    (order = strcmp(db_text(d->stmt, 0), client)) < 0)
		d->rc = sqlite3_step(d->stmt);
	if (d->rc == SQLITE_ROW && order == 0)
		d->now.own_at = sqlite3_column_int64(d->stmt, 1);
}

/* Keep those of the n entries, of one client, that open something. Returns how
 * many, or -1. */
static int64_t
drop_deleted(struct store *st, const struct deleted *d,
    const struct store_entry **run, size_t n, struct err *err)
{
	enum { OWN_AHEAD_S = 86400 }; /* rare, so it may cost a look-up */
	size_t kept = 0;

	if (d->own_at == INT64_MIN && d->all_at == INT64_MIN)
		return (int64_t)n;
	for (size_t i = 0; i < n; i++) {
		int gone = is_deleted(st, run[i], d->own_at, OWN_AHEAD_S, err);

		if (gone == 0)
			gone = is_deleted(
			    st, run[i], d->all_at, LOGIN_FUTURE_S, err);
		if (gone == -1)
			return -1;
		if (gone == 0)
			run[kept++] = run[i];
	}
	return (int64_t)kept;
}

/* The n entries of run are of one client and user, in the order of reading. */
static int
record_run(struct store *st, const struct store_entry *const *run, size_t n,
    struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, Q_LOGINS, err);
	const struct store_entry *newest = run[0];
	int64_t first_at = INT64_MAX, last_at = INT64_MIN;

	if (stmt == NULL)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (run[i]->expires_at >= newest->expires_at)
			newest = run[i];
		if (run[i]->at < first_at)
			first_at = run[i]->at;
		if (run[i]->at > last_at)
			last_at = run[i]->at;
	}
	bind_text(stmt, 1, newest->client);
	bind_text(stmt, 2, newest->user);
	bind_text(stmt, 3, newest->service);
	bind_text(stmt, 4, newest->server);
	(void)sqlite3_bind_int64(stmt, 5, first_at);
	(void)sqlite3_bind_int64(stmt, 6, last_at);
	(void)sqlite3_bind_int64(stmt, 7, newest->expires_at);
	(void)sqlite3_bind_int64(stmt, 8, (sqlite3_int64)n);
	return db_run(st->db, stmt, "login", err);
}

static int
record_runs(struct store *st, const struct store_entry **order, size_t n,
    struct err *err)
{
	struct deletions deletions;
	int64_t kept = 0;

	if (deletions_begin(st, order[0]->client, &deletions, err) == -1)
		return -1;
	for (size_t i = 0, next; kept != -1 && i < n; i = next) {
		for (next = i + 1; next < n; next++)
			if (strcmp(order[next]->client, order[i]->client) !=
				0 ||
			    strcmp(order[next]->user, order[i]->user) != 0)
				break;
		deletions_seek(&deletions, order[i]->client);
		kept =
		    drop_deleted(st, &deletions.now, order + i, next - i, err);
		if (kept > 0 &&
		    record_run(st, order + i, (size_t)kept, err) == -1)
			kept = -1;
	}
	if (kept == -1) {
		(void)sqlite3_reset(deletions.stmt);
		return -1;
	}
	return db_walked(
	    st->db, deletions.stmt, deletions.rc, "deletions", err);
}

static int
record_evidence(struct store *st, const struct store_entry *e, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, Q_EVENT, err);
	char *escaped = NULL;

	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, e->at);
	bind_text(stmt, 2, e->client);
	bind_text(stmt, 3, e->user);
	bind_text(stmt, 4, e->service);
	bind_text(stmt, 5, e->server);
	bind_text(stmt, 6, e->source);
	(void)sqlite3_bind_int64(stmt, 7, e->position);
	if (bind_evidence(stmt, 8, e, &escaped, err) == -1)
		return -1;
	int ret = db_run(st->db, stmt, "login event", err);

	free(escaped);
	return ret;
}

int
store_logins(
    struct store *st, const struct store_entry *v, size_t n, struct err *err)
{
	const struct store_entry **order;

	if (n == 0)
		return 0;
	order = malloc(n * sizeof(struct store_entry *));
	if (order == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return -1;
	}
	for (size_t i = 0; i < n; i++)
		order[i] = &v[i];
	/* neighbours in the table are written together */
	qsort(order, n, sizeof(struct store_entry *), by_client_and_user);
	int ret = record_runs(st, order, n, err);

	free(order);
	for (size_t i = 0; ret == 0 && i < n; i++)
		ret = record_evidence(st, &v[i], err);
	return ret;
}

int
store_tune(
    struct store *st, int cache_kib, int checkpoint_pages, struct err *err)
{
	char sql[100];

	(void)snprintf(sql, sizeof(sql),
	    "PRAGMA cache_size = -%d; "
	    "PRAGMA wal_autocheckpoint = %d",
	    cache_kib, checkpoint_pages);
	return db_exec(st->db, sql, err);
}
