/* SPDX-License-Identifier: ISC */
/* store - the login table on disk: who logged in from where, and until when
 * that counts; written by the collector and by popgatectl, one transaction at a
 * time (store_begin()). Decides nothing (see policy.h) and logs nothing.
 * Writers: popgate-collector (its loop, and the thread of share.h), and
 * popgatectl for what an admin says (add, delete, deny, undeny, expire, import,
 * vsmtprelay) and for the proof of setup. All others, popgate-milter first,
 * only read. */
#ifndef POPGATE_STORE_H
#define POPGATE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/addr.h"
#include "common/records/login.h"
#include "common/records/session.h"
#include "common/records/userlist.h"

struct err;
struct store; /* opaque; used by one thread at a time */

enum store_mode {
	STORE_READ, /* the file must exist and be of this version */
	STORE_WRITE, /* creates and upgrades it */
	STORE_MODIFY /* must exist; upgrades it */
};

/* "for ever": the last second that every date routine can print */
#define STORE_FOREVER INT64_C(253402300799)

/* A time at which nothing was read: long ago, but not "no collector". */
#define STORE_NEVER_READ INT64_C(1)

enum {
	/* A look-up reads so many of a client's rows; of a client that has
	 * more, only those that count now, and so many of these. */
	STORE_ROWS = 64,
	STORE_ROWS_CROWD = 1000
};

/* The table's answer about one client at one moment. Users are told apart as in
 * userlist.h. */
struct store_lookup {
	bool active; /* a row has expires_at > now */
	unsigned rows; /* with that: 0, 1, or 2 for "several" */
	unsigned users; /* of these rows: 0, 1, or 2 for "several" */
	char user[LOGIN_USER_MAX]; /* of the newest active row, else of
				    * the newest expired one */
	/* The users of these rows, the newest first, as many as a userlist
	 * takes. Empty where an admin entered the client without a user: then
	 * it may relay whoever is behind it. */
	char login_users[USERLIST_MAX];
	int64_t last_at; /* its newest login; 0: never seen */
	int64_t expires_at; /* the latest expiry found; 0: never seen */
	unsigned sharing; /* users whose logins from the client count,
			   * denied ones too, admin's entries not */
	bool crowded; /* there are more rows than were read: sharing may be
		       * more, and last_at and expires_at later */
	bool manual; /* an admin's entry is among the active rows */
	bool denied; /* the client or the user asked for is */
	bool login_denied; /* there are logins, of denied users only:
			    * they don't count as active */
};

enum { STORE_FINGERPRINT_MAX = 6656 };

/* More sessions than these aren't followed: the oldest go first, and their
 * logins count for the window. */
enum { STORE_SESSIONS_MAX = 1000000 };

/* How far a source is read. */
struct store_source {
	char name[512];
	uint64_t device, inode;
	int64_t position;
	char fingerprint[STORE_FINGERPRINT_MAX];
	int64_t read_at; /* Unix seconds: last read to its end */
	int64_t line_at; /* newest line's own time; 0: none */
};

/* Where a login was read: the evidence. */
struct store_evidence {
	const char *source; /* store_source.name */
	int64_t position;
	const char *line; /* need not end in NUL */
	size_t line_len;
};

struct store_row {
	const char *client, *user, *service, *server;
	int64_t first_at, last_at, expires_at, count;
	/* When its oldest open session began, and at which service; 0: none is
	 * open, or none is known. Read only. */
	int64_t connected_at;
	const char *connected_service;
};

/* A denial: this client or user is kept out, whatever logins say. */
struct store_deny {
	const char *subject; /* canonical address or network, or a user */
	bool is_user;
	int64_t created_at, expires_at;
	const char *reason;
};

struct store_event {
	int64_t id, at, position;
	const char *client, *user, *service, *server, *source, *line;
};

/* The time that vsmtprelay calls ticks: when the client was last seen, so that
 * it is too old one window later. An admin's entry that counts longer stands in
 * the future. */
int64_t store_ticks(const struct store_row *row, int64_t window_s);

/* Open path. Returns 0, or -1 with ERR_IO, ERR_BUSY, ERR_CORRUPT or
 * ERR_VERSION. Caller closes. */
int store_open(const char *path, enum store_mode mode, struct store **st_r,
    struct err *err);
void store_close(struct store **st); /* NULL-safe; sets *st to NULL */

/* Look up client, exactly and in every network that holds it.
 *   user         who authenticated by SMTP AUTH; NULL or "": nobody
 *   ipv6_prefix  leases of IPv6 clients cover this many bits (128: one)
 *   now          Unix seconds; a row counts while expires_at > now
 * Returns 0 with *out filled (found or not), or -1 with err: the caller then
 * knows nothing and must answer a temporary failure. */
int store_lookup(struct store *st, const struct addr *client, const char *user,
    uint8_t ipv6_prefix, int64_t now, struct store_lookup *out,
    struct err *err);

/* The state of the table: differs after every commit to it, of any process. The
 * header of SQLite's WAL index, copied without a lock
 * (https://sqlite.org/walformat.html section 2.1): its writer changes this copy
 * last, so one that is equal to an older one means that no commit was completed
 * since. */
struct store_version {
	uint64_t word[6];
};

/* false where it isn't known (yet): before the first look-up, or when the
 * table isn't in WAL mode. */
bool store_version(struct store *st, struct store_version *v);

/* When every source was last read to its end: *oldest_r is the smallest
 * read_at; STORE_NEVER_READ when one of them never was; 0 when no source is
 * known, as no collector has ever run. Returns 0 or -1 with err. */
int store_sources_read_at(struct store *st, int64_t *oldest_r, struct err *err);

/* Transactions of the writer (BEGIN IMMEDIATE). 0 or -1 with err. */
int store_begin(struct store *st, struct err *err);
int store_commit(struct store *st, struct err *err);
void store_rollback(struct store *st);

/* Record that login->user was seen at login->client, or move that row's
 * expiry forward; never back. What an admin deleted is not asked for.
 *   net         the network leased (network_of() the client)
 *   expires_at  Unix seconds
 *   ev          where it was read; NULL writes no history
 * Inside a transaction. Returns 0 or -1 with err. */
int store_login(struct store *st, const struct login *login,
    const struct network *net, int64_t expires_at,
    const struct store_evidence *ev, struct err *err);

/* An admin's entry: replaces what the table says of this client and user,
 * also backwards. */
int store_set(struct store *st, const struct store_row *row, struct err *err);

/* An admin deletes a client's rows (text as in the table), at now (Unix
 * seconds): log lines dated then or earlier, and lines that are in the history
 * already, whatever their date, open nothing any more, however often they are
 * read; rows there need be none. Inside a transaction. Returns how many rows,
 * or -1. */
int store_delete(
    struct store *st, const char *client, int64_t now, struct err *err);

/* From now on no log line of any client that is dated at or earlier opens
 * anything. No row is deleted. 0 or -1. */
int store_delete_older(struct store *st, int64_t at, struct err *err);

/* The second copy of an admin's deletions and denials: a file of the
 * same schema beside the one at path. */
void store_words_path(const char *path, char *buf, size_t size);

/* Open it for writing. A new one belongs to the owner of the table at path, for
 * whom root may be at work. 0, or -1 with err. */
int store_words_open(const char *path, struct store **words_r, struct err *err);

/* Make st, which may be an older copy or new, say what words does: deletions
 * that it doesn't know, also of what it holds, and newer denials and ends of
 * these. Inside a transaction of st.
 *   now  Unix seconds
 * Returns how many deletions were new, or -1. */
int store_take_words(
    struct store *st, struct store *words, int64_t now, struct err *err);

/* Until when logins of client (as in the table) count no longer, as an admin
 * deleted it. 1 found, 0 none, -1 error. */
int store_deleted_find(
    struct store *st, const char *client, int64_t *at_r, struct err *err);

/* Delete rows of the login table that expired before cutoff (Unix seconds),
 * at most about limit rows after *cursor (a client text, "" at first; set to
 * where the next call goes on, "" at the end). Returns how many, or -1. */
int store_expire(struct store *st, int64_t cutoff, int limit,
    char cursor[NETWORK_TEXT_MAX], struct err *err);

/* The clock was set back: logins dated later than latest (Unix seconds) are
 * dated now, and count for window_s at most; counters are corrected, too. Not
 * an admin's entries. Inside a transaction. Returns how many, or -1. */
int store_cap_future(struct store *st, int64_t now, int64_t latest,
    int64_t window_s, struct err *err);

/* Delete the oldest history, at most limit events with at < cutoff, and what
 * store_delete() remembers of the time before, of which no line counts.
 * Returns how many events, or -1. */
int store_prune_events(
    struct store *st, int64_t cutoff, int limit, struct err *err);

/* Save or read a source's position; find: 1 found, 0 none, -1 error. Sessions
 * of a source that is deleted are no longer followed. */
int store_source_save(
    struct store *st, const struct store_source *src, struct err *err);
int store_source_find(struct store *st, const char *name,
    struct store_source *src, struct err *err);
int store_source_delete(struct store *st, const char *name, struct err *err);

/* Walks. The callback returns false to end; strings are its own only until
 * it returns. Return 0, or -1 with err.
 *   client, user  NULL: all
 *   active_at     only rows with expires_at > active_at; INT64_MIN: all */
int store_each_row(struct store *st, const char *client, const char *user,
    int64_t active_at, bool (*fn)(void *arg, const struct store_row *row),
    void *arg, struct err *err);
int store_each_event(struct store *st, const char *client, int limit,
    bool (*fn)(void *arg, const struct store_event *event), void *arg,
    struct err *err);
int store_each_source(struct store *st,
    bool (*fn)(void *arg, const struct store_source *src), void *arg,
    struct err *err);

/* How many users share a client at now, up to max: store_lookup's sharing, for
 * a client as it stands in the table. Reads no more than ten rows for each of
 * max, and STORE_ROWS_CROWD. 0 or -1 with err. */
int store_sharing(struct store *st, const char *client, int64_t now,
    int64_t max, int64_t *users_r, struct err *err);

/* Rows with after < expires_at <= until, those that end last first. */
int store_each_recent(struct store *st, int64_t after, int64_t until,
    bool (*fn)(void *arg, const struct store_row *row), void *arg,
    struct err *err);

/* Rows of clients in net, by client's text; and some more, which the callback
 * has to tell by itself: those of networks that an admin entered. All rows
 * when net is too wide, or IPv6: their text has no order that helps. */
int store_each_within(struct store *st, const struct network *net,
    bool (*fn)(void *arg, const struct store_row *row), void *arg,
    struct err *err);

/* The rows that store_lookup() goes by, expired ones too: the client's own,
 * its IPv6 lease's, and those of networks that hold it. */
int store_each_match(struct store *st, const struct addr *client,
    uint8_t ipv6_prefix, bool (*fn)(void *arg, const struct store_row *row),
    void *arg, struct err *err);

/* The users of the logins that count for client now, without those denied; of
 * one user perhaps more than once. "" is a login of nobody by name. */
int store_each_user(struct store *st, const struct addr *client,
    uint8_t ipv6_prefix, int64_t now, bool (*fn)(void *arg, const char *user),
    void *arg, struct err *err);

/* Do people log in by IPv4, by IPv6? Of the newest 200 log lines, those with a
 * time behind since. 0, or -1 with err. */
int store_families(struct store *st, int64_t since, bool *ipv4_r, bool *ipv6_r,
    struct err *err);

/* Denies: replace or make one; delete one (returns how many, or -1). */
int store_deny_set(
    struct store *st, const struct store_deny *deny, struct err *err);
int store_deny_delete(
    struct store *st, const char *subject, bool is_user, struct err *err);

/* Walk the denies that count at now: of client (exactly, or a network that
 * holds it) and of user. Both NULL: all of them. */
int
store_each_deny(struct store *st, const struct addr *client, const char *user,
    int64_t now, bool (*fn)(void *arg, const struct store_deny *deny),
    void *arg, struct err *err);

/* Add to the history what an admin did (id is not used). 0 or -1. */
int store_event_add(
    struct store *st, const struct store_event *event, struct err *err);

/* Lines of one source and server that came to the same end. */
struct store_count {
	const char *source, *server, *reason;
	int64_t lines;
	int64_t since_login; /* of these: since the server's last login */
	int64_t first_at, last_at; /* Unix seconds when they were read */
	const char
	    *sample; /* newest line, where an admin may want to see it; or "" */
};

/* Add to what was counted. Inside a transaction. 0, or -1 with err.
 *   sample      as in the log, sample_len bytes; 0 keeps the old one */
int store_count_add(struct store *st, const struct store_count *more,
    size_t sample_len, struct err *err);
/* The server has logged somebody in: since_login of all its rows is 0. */
int store_count_login(
    struct store *st, const char *source, const char *server, struct err *err);
/* Forget a source. */
int store_count_delete(struct store *st, const char *source, struct err *err);
int store_each_count(struct store *st,
    bool (*fn)(void *arg, const struct store_count *count), void *arg,
    struct err *err);

/* Walk servers that had logins, and have said nothing for longer than ever
 * (view server_quiet), until they have for a week more: they were taken out. */
int store_each_quiet(struct store *st, int64_t now,
    bool (*fn)(
	void *arg, const char *source, const char *server, int64_t last_at),
    void *arg, struct err *err);

/* The first line of a two-line server, whose second has not come yet. */
struct store_pair {
	bool direct; /* from standard input or a socket */
	const char *host; /* need not end in NUL */
	size_t host_len;
	const char *server; /* grammar */
	int64_t pid;
	const char *client;
	int64_t at; /* Unix seconds */
};

/* Inside a transaction. 0, or -1 with err. */
int store_pairs_clear(struct store *st, struct err *err);
int store_pair_add(
    struct store *st, const struct store_pair *pair, struct err *err);
int store_each_pair(struct store *st,
    bool (*fn)(void *arg, const struct store_pair *pair), void *arg,
    struct err *err);

/* A login of store_logins(), or an end of sessions. All is borrowed. */
struct store_entry {
	/* SESSION_NONE, SESSION_BEGIN: a login; else only what says so. */
	enum session_kind kind;
	/* as in struct login_session; not with NONE */
	const char *session, *host;
	bool unordered, proof;
	int64_t until_at; /* with BEGIN: how long it may count at most */
	const char *client; /* text of the network leased; logins only */
	const char *user; /* of an end: as in struct login_session */
	const char *service; /* logins only */
	const char *server;
	int64_t at, expires_at; /* of an end: at plus the window */
	const char *source; /* evidence, as in struct store_evidence */
	int64_t position;
	const char *line;
	size_t line_len;
};

/* Record n logins and ends, in the order in which they were read: logins to the
 * same end as store_login() of each, but with one statement for each client and
 * user. One that an admin's deletion holds against goes into the history only.
 * While a session is open, its login counts until until_at; the end moves that
 * back to its expires_at, but not before the end of any other login or session
 * of this client and user. Ends of sessions that aren't open change nothing.
 * Inside a transaction. Returns 0, or -1 with err. */
int store_logins(
    struct store *st, const struct store_entry *v, size_t n, struct err *err);

/* Sessions are no longer followed, and their logins count for the window: those
 * of a source; NULL: all. Inside a transaction. Returns how many, or -1. */
int store_sessions_end(struct store *st, const char *source, struct err *err);

/* Open sessions count for max_s seconds at most. Inside a transaction. Returns
 * how many were shortened, or -1. */
int store_sessions_limit(struct store *st, int64_t max_s, struct err *err);

/* Forget sessions that have counted for as long as they may, at most limit.
 *   now  Unix seconds
 * Inside a transaction. Returns how many, or -1. */
int store_sessions_expire(
    struct store *st, int64_t now, int limit, struct err *err);

/* Another number when somebody else has changed the file. 0, or -1. */
int store_data_version(struct store *st, int64_t *version_r, struct err *err);

/* Call w when a step takes long: see db_watch.h. w must live as long as st. */
struct db_watch;
void store_watch(struct store *st, struct db_watch *w);

/* How long this handle waits for a lock. */
void store_wait(struct store *st, int ms);

/* For a handle that writes in bulk: memory for pages, in KiB, and after how
 * many pages a commit moves the write-ahead log into the file. 0 or -1. */
int store_tune(
    struct store *st, int cache_kib, int checkpoint_pages, struct err *err);

/* "3.40.1": of the SQLite library that is linked. */
const char *store_sqlite_version(void);

#endif
