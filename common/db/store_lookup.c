/* SPDX-License-Identifier: ISC */
/* store_lookup - what a recipient asks of logins.db: may this client relay, and
 * by which users? */
#include "common/db/store.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "common/base/err.h"
#include "common/db/store_inside.h"

/* Is text the client itself, its lease, or a network that holds it? */
static bool
row_holds(const char *text, const char *own, const char *lease,
    const struct addr *client)
{
	struct network net;

	return strcmp(text, own) == 0 || strcmp(text, lease) == 0 ||
	    (network_parse(text, &net) && network_contains(&net, client));
}

/* The sum of the rows of one look-up. */
struct gathering {
	struct store_lookup *out;
	unsigned read; /* rows of the client */
	bool unnamed_entry; /* an admin's entry without a user counts */
	/* The users whose logins count: those that count longest. */
	struct known {
		char name[LOGIN_USER_MAX];
		int64_t expires_at;
	} known[USERLIST_USERS];
	unsigned n_known;
	/* Hashes of names, to count the users who share the client. */
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
	assert(g->n_sharing <= STORE_ROWS_CROWD);
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
	assert(to >= g->known && to < g->known + g->n_known);
	to->expires_at = expires_at;
	(void)snprintf(to->name, sizeof(to->name), "%s", name);
}

/* Add one login to g.
 *   lease  the client as the collector writes it */
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
	/* The first active row replaces what expired ones said. */
	if ((active && !out->active) || last_at >= out->last_at) {
		out->last_at = last_at;
		(void)snprintf(out->user, sizeof(out->user), "%s", user);
	}
	if ((active && !out->active) || expires_at > out->expires_at)
		out->expires_at = expires_at;
	out->active |= active;
}

/* Fill in what only all rows together tell. */
static void
finish_lookup(struct gathering *g)
{
	struct store_lookup *out = g->out;

	assert(g->n_known <= USERLIST_USERS);
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

/* The look-up reads the logins of the client (?1, and ?2 its lease) and of the
 * networks that an admin entered, with whether their user is denied, and the
 * denials of the client and of the user (?3).
 *
 * Of the client it reads no more than ?6 rows that end after ?5. The + keeps
 * SQLite from the index of ends, which holds the rows of all clients.
 *
 * Each arm is a seek, mostly into an empty index. The first arm alone is enough
 * while the table holds neither denials nor networks: see others().
 *
 * Denials of users ignore case, because many servers let ALICE in for alice.
 * The table deny has names in lower case, and others that an admin wrote. */
#define LOGIN_OF(denied)                                            \
	"SELECT 0, client, user, last_at, expires_at, " denied ", " \
	"server = '" STORE_ADMIN "' FROM login "
#define DENIED                                                                    \
	"EXISTS (SELECT 1 FROM deny AS d WHERE d.subject IN (user, lower(user)) " \
	"AND d.kind = 'user' AND d.expires_at > ?4)"
#define DENY_OF "SELECT 1, subject, kind, 0, expires_at, 1, 0 FROM deny "
#define NETWORKS                                                     \
	"INDEXED BY login_network WHERE server = '" STORE_ADMIN "' " \
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

static const char lookup_sql[] = LOGIN_OF("0") SOME_OF("= ?1");
static const char lookup_lease_sql[] = LOGIN_OF("0") SOME_OF("IN (?1, ?2)");
static const char lookup_all_sql[] = LOOKUP_ALL("= ?1");
static const char lookup_lease_all_sql[] = LOOKUP_ALL("IN (?1, ?2)");

/* One client's question, as the statements want it. */
struct question {
	const struct addr *client;
	const char *user;
	bool leased;
	int64_t now;
	char own[ADDR_TEXT_MAX], lease[NETWORK_TEXT_MAX];
};

/* Add to g at most so many rows of the client that end after after; with all,
 * the networks and denials, too. */
static int
gather(struct store *st, bool all, const struct question *ask, int64_t after,
    int rows, struct gathering *g, struct err *err)
{
	const char *sql = ask->leased ? lookup_lease_sql : lookup_sql;

	if (all)
		sql = ask->leased ? lookup_lease_all_sql : lookup_all_sql;
	sqlite3_stmt *stmt = store_stmt(st, sql, err);
	struct store_lookup *out = g->out;
	int rc;

	if (stmt == NULL)
		return -1;
	store_bind_text(stmt, 1, ask->own);
	if (ask->leased)
		store_bind_text(stmt, 2, ask->lease);
	if (all) {
		store_bind_text(stmt, 3, ask->user == NULL ? "" : ask->user);
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
lookup(struct store *st, bool all, const struct question *ask,
    struct store_lookup *out, struct err *err)
{
	struct store_lookup ended;
	struct gathering g;

	*out = (struct store_lookup){ .active = false };
	g.out = out;
	g.read = g.n_known = g.n_sharing = 0;
	g.unnamed_entry = false;
	if (gather(st, all, ask, INT64_MIN, STORE_ROWS, &g, err) == -1)
		return -1;
	if (g.read == STORE_ROWS) {
		ended = *out;
		*out = (struct store_lookup){ .crowded = true };
		g.read = g.n_known = g.n_sharing = 0;
		g.unnamed_entry = false;
		if (gather(st, all, ask, ask->now, STORE_ROWS_CROWD, &g, err) ==
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
store_prepare_lookup(struct store *st, struct err *err)
{
	return store_stmt(st, lookup_all_sql, err) == NULL ? -1 : 0;
}

/* SQLite's data version: it counts the changes by others that this connection
 * has noticed; it does so when a statement begins to read. */
static unsigned
data_version(struct store *st)
{
	unsigned version = 0;

	(void)sqlite3_file_control(
	    st->db, "main", SQLITE_FCNTL_DATA_VERSION, &version);
	return version;
}

static const char others_sql[] =
    "SELECT EXISTS (SELECT 1 FROM deny) OR EXISTS (SELECT 1 "
    "FROM login " NETWORKS ")";

/* Does the table hold any denial or network entry? At least as fresh as this
 * connection's last read. 0, or -1 with err. */
static int
others(struct store *st, bool *any_r, struct err *err)
{
	if (!st->reader || !st->others_known ||
	    st->others_version != data_version(st)) {
		sqlite3_stmt *stmt = store_stmt(st, others_sql, err);

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

int
store_lookup(struct store *st, const struct addr *client, const char *user,
    uint8_t ipv6_prefix, int64_t now, struct store_lookup *out, struct err *err)
{
	struct question ask = { .client = client,
		.user = user,
		.now = now,
		.leased = client->family == ADDR_IPV6 && ipv6_prefix < 128 };
	bool more = false;

	assert(client != NULL && ipv6_prefix <= 128);
	addr_format(client, ask.own);
	memcpy(ask.lease, ask.own, sizeof(ask.own));
	if (ask.leased) {
		struct network net = network_of(client, ipv6_prefix);

		network_format(&net, ask.lease);
	}
	/* In this order: others() then knows of every denial that was
	 * committed before this question. */
	if (lookup(st, false, &ask, out, err) == -1 ||
	    others(st, &more, err) == -1)
		return -1;
	return more ? lookup(st, true, &ask, out, err) : 0;
}

bool
store_version(struct store *st, struct store_version *v)
{
	enum { REGION_BYTES = 32768 };
	void volatile *index = NULL;
	sqlite3_file *file = NULL;

	/* SQLite maps the index at its first read; only SQLite may make the
	 * mapping. */
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

static const char sharing_sql[] =
    "SELECT count(*) FROM (SELECT DISTINCT lower(user) FROM "
    "(SELECT user FROM login WHERE client = ?1 AND +expires_at > ?2 "
    "AND server <> '" STORE_ADMIN "' LIMIT ?4) LIMIT ?3)";

int
store_sharing(struct store *st, const char *client, int64_t now, int64_t max,
    int64_t *users_r, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, sharing_sql, err);

	assert(max > 0);
	if (stmt == NULL)
		return -1;
	store_bind_text(stmt, 1, client);
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

	assert(ipv6_prefix <= 128);
	store_bind_text(stmt, 1, addr_format(client, own));
	store_bind_text(stmt, 2, network_format(&net, lease));
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
	struct store_row row = store_row_columns(stmt);

	return m->row(m->arg, &row);
}

static bool
take_user(void *arg, sqlite3_stmt *stmt)
{
	const struct match *m = arg;

	return m->user(m->arg, db_text(stmt, 1));
}

static const char match_sql[] =
    "SELECT " STORE_ROW " FROM login WHERE client IN (?1, ?2) "
    "UNION ALL SELECT " STORE_ROW " FROM login " NETWORKS "AND client <> ?2";

int
store_each_match(struct store *st, const struct addr *client,
    uint8_t ipv6_prefix, bool (*fn)(void *arg, const struct store_row *row),
    void *arg, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, match_sql, err);
	struct match m = { .row = fn, .arg = arg };

	return stmt == NULL
	    ? -1
	    : each_of_client(st, stmt, client, ipv6_prefix, take_row, &m, err);
}

/* The login's user is denied at ?3. */
#define USER_DENIED                                                               \
	"EXISTS (SELECT 1 FROM deny AS d WHERE d.subject IN (user, lower(user)) " \
	"AND d.kind = 'user' AND d.expires_at > ?3) "

static const char users_sql[] =
    "SELECT client, user FROM login WHERE client IN (?1, ?2) "
    "AND expires_at > ?3 AND NOT " USER_DENIED
    "UNION ALL SELECT client, user FROM login " NETWORKS
    "AND client <> ?2 AND expires_at > ?3 AND NOT " USER_DENIED;

int
store_each_user(struct store *st, const struct addr *client,
    uint8_t ipv6_prefix, int64_t now, bool (*fn)(void *arg, const char *user),
    void *arg, struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, users_sql, err);
	struct match m = { .user = fn, .arg = arg };

	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 3, now);
	return each_of_client(
	    st, stmt, client, ipv6_prefix, take_user, &m, err);
}

static const char families_sql[] =
    "SELECT coalesce(sum(instr(client, ':') = 0), 0), "
    "coalesce(sum(instr(client, ':') > 0), 0) FROM (SELECT client, at "
    "FROM login_event WHERE source <> '" STORE_ADMIN "' "
    "ORDER BY id DESC LIMIT 200) WHERE at > ?1";

int
store_families(struct store *st, int64_t since, bool *ipv4_r, bool *ipv6_r,
    struct err *err)
{
	sqlite3_stmt *stmt = store_stmt(st, families_sql, err);

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
