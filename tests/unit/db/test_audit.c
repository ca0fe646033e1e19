/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/db/audit.h"

static char db[128];
/* written by the audit's thread: read after audit_stop() */
static char last_line[4096], bad_state[1024];
static unsigned lines;

static void
on_line(const char *line, size_t len)
{
	assert_int_equal(strlen(line), len);
	(void)snprintf(last_line, sizeof(last_line), "%s", line);
	lines++;
}

static void
on_state(bool good, const char *text)
{
	if (!good)
		(void)snprintf(bad_state, sizeof(bad_state), "%s", text);
}

static struct audit *
start(int64_t queue)
{
	const struct audit_options opt = { .path = db,
		.queue = queue,
		.keep_s = 86400,
		.log_line = on_line,
		.log_state = on_state };
	struct audit *a;
	struct err err;

	if (audit_start(&opt, &a, &err) == -1)
		fail_msg("%s", err.text);
	return a;
}

static struct audit_row *
row(const char *recipient, const char *sender)
{
	const struct audit_facts f = { .at_ms = clock_now_ms(),
		.session = "s1",
		.client = "192.0.2.1",
		.client_name = "c",
		.helo = "h",
		.sender = sender,
		.recipient = recipient,
		.login_user = "alice",
		.mta = "m",
		.decision = { .verdict = VERDICT_ACCEPT,
		    .reason = REASON_RECENT_LOGIN,
		    .rule = 10,
		    .login_at = 5 } };
	struct audit_row *r = audit_row_new(&f);

	assert_non_null(r);
	return r;
}

static bool
count(void *arg, const struct audit_record *rec)
{
	assert_string_equal(rec->verdict, "accept");
	++*(int *)arg;
	return true;
}

static int
rows_on_disk(const struct audit_filter *filter)
{
	struct audit_reader *r;
	struct err err;
	int n = 0;

	if (audit_open_reader(db, &r, &err) == -1 ||
	    audit_each(r, filter, count, &n, &err) == -1)
		fail_msg("%s", err.text);
	audit_close_reader(&r);
	return n;
}

static void
write_and_read(void **state)
{
	struct audit *a = start(1000);
	struct audit_row *chain = NULL;
	const struct audit_filter all = { .limit = 0 };
	const struct audit_filter one = { .queue_id = "QID",
		.recipient = "b@x",
		.user = "alice",
		.client = "192.0.2.1",
		.sender = "s@y",
		.verdict = "accept",
		.reason = "recent-login" };
	const struct audit_filter none = { .sender = "' OR 1 --" };

	(void)state;
	chain = audit_row_chain(chain, row("<a@x>", "s@y"));
	chain = audit_row_chain(chain, row("<b@x>", "s@y"));
	chain = audit_row_chain(chain, row("<c@x>", "s@y"));
	audit_row_queue_id(chain, "QID");
	uint64_t ticket = audit_submit(a, chain, true);

	assert_true(ticket != 0);
	assert_true(audit_wait(a, ticket, 5000));
	assert_int_equal(audit_state(a, ticket), AUDIT_DURABLE);
	/* durable means: another process sees it */
	assert_int_equal(rows_on_disk(&all), 3);
	assert_int_equal(rows_on_disk(&one), 1);
	assert_int_equal(rows_on_disk(&none), 0);
	assert_true(audit_healthy(a));
	audit_stop(&a);
	assert_null(a);
	assert_int_equal(lines, 3);
	assert_non_null(strstr(last_line,
	    "verdict=accept "
	    "reason=recent-login client=192.0.2.1 "));
}

/* Nothing that a client says can end a log line or forge a field. */
static void
hostile_text(void **state)
{
	struct audit *a = start(1000);
	static char longest[5000];

	(void)state;
	lines = 0;
	assert_true(audit_wait(a,
	    audit_submit(
		a, row("<x\" verdict=accept \n\x1b[2J\\>", "a b"), true),
	    5000));
	audit_stop(&a);
	assert_int_equal(lines, 1);
	assert_null(strchr(last_line, '\n'));
	assert_null(strchr(last_line, '\x1b'));
	assert_non_null(strstr(last_line,
	    "recipient=\"<x\\\" verdict=accept "
	    "\\x0a\\x1b[2J\\\\>\""));
	assert_non_null(strstr(last_line, "sender=\"a b\""));
	memset(longest, 'y', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	a = start(1000);
	assert_true(
	    audit_wait(a, audit_submit(a, row(longest, longest), true), 5000));
	audit_stop(&a);
}

static void
tickets(void **state)
{
	struct audit *a = start(16);
	struct audit_row *chain = NULL;

	(void)state;
	assert_false(audit_wait(a, 0, 10));
	assert_int_equal(audit_state(a, 0), AUDIT_LOST);
	for (int i = 0; i < 17; i++)
		chain = audit_row_chain(chain, row("r", "s"));
	/* more than the queue holds: lost, and counted */
	assert_int_equal(audit_submit(a, chain, false), 0);
	struct audit_stats stats;

	audit_stats(a, &stats);
	assert_int_equal(stats.lost, 17);
	assert_true(audit_wait(a, audit_submit(a, row("r", "s"), true), 5000));
	audit_drain(a);
	assert_int_equal(audit_submit(a, row("r", "s"), true), 0);
	audit_stop(&a);
}

static void *
producer(void *arg)
{
	struct audit *a = arg;

	for (int i = 0; i < 200; i++) {
		uint64_t t = audit_submit(a, row("r", "s"), true);

		/* cmocka's asserts are for its own thread */
		if (t == 0 || !audit_wait(a, t, 10000))
			return NULL;
	}
	return a;
}

static void
many_producers(void **state)
{
	struct audit *a = start(100000);
	const struct audit_filter all = { .limit = 0 };
	struct audit_stats stats;
	pthread_t thread[8];
	void *good;

	(void)state;
	for (int i = 0; i < 8; i++)
		assert_int_equal(
		    pthread_create(&thread[i], NULL, producer, a), 0);
	for (int i = 0; i < 8; i++) {
		assert_int_equal(pthread_join(thread[i], &good), 0);
		assert_ptr_equal(good, a);
	}
	audit_stats(a, &stats);
	assert_int_equal(stats.rows, 1600);
	assert_int_equal(stats.queued, 0);
	/* grouped: far fewer transactions than rows */
	assert_true(stats.transactions < 1600);
	audit_stop(&a);
	assert_int_equal(rows_on_disk(&all), 1600);
}

/* A full disk (here: a limit on file size): rows are lost, not the process,
 * nobody is told they are durable, and it works again when there is room. */
static void
full_disk(void **state)
{
	struct audit *a = start(100000);
	struct rlimit old, small;
	char text[2000];
	uint64_t ticket = 0;

	(void)state;
	(void)signal(SIGXFSZ, SIG_IGN);
	memset(text, 'z', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_true(audit_wait(a, audit_submit(a, row("r", "s"), true), 5000));
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 100000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	bool durable = true;

	for (int i = 0; i < 300 && durable; i++) {
		ticket = audit_submit(a, row(text, text), true);
		durable = audit_wait(a, ticket, 5000);
	}
	bool lost = audit_state(a, ticket) == AUDIT_LOST;
	bool healthy = audit_healthy(a);

	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_false(durable);
	assert_true(lost);
	assert_false(healthy);
	/* the probe of an idle writer notices by itself */
	wait_until(audit_healthy(a));
	assert_true(audit_wait(a, audit_submit(a, row("r", "s"), true), 5000));
	audit_stop(&a);
	assert_non_null(strstr(bad_state,
	    "rows lost; relays get a temporary "
	    "failure"));
}

/* No file may grow, nor be written, until it may again. */
static void
disk_full(bool full)
{
	static struct rlimit old;
	struct rlimit none;

	(void)signal(SIGXFSZ, SIG_IGN);
	if (old.rlim_max == 0)
		assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	none = old;
	none.rlim_cur = 1;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, full ? &none : &old), 0);
}

/* A message may wait for hours: what it lost is never called written, however
 * many failures there were since. */
static void
lost_for_ever(void **state)
{
	enum { FAILURES = 150 };
	struct audit *a = start(1000);
	uint64_t lost[FAILURES], good = 0;

	(void)state;
	for (int i = 0; i < FAILURES; i++) {
		disk_full(true);
		lost[i] = audit_submit(a, row("r", "s"), true);
		assert_false(audit_wait(a, lost[i], 10000));
		disk_full(false);
		good = audit_submit(a, row("r", "s"), true);
		assert_true(audit_wait(a, good, 10000));
		assert_int_equal(audit_state(a, good), AUDIT_DURABLE);
	}
	for (int i = 0; i < FAILURES; i++)
		assert_int_equal(audit_state(a, lost[i]), AUDIT_LOST);
	assert_int_equal(audit_state(a, good), AUDIT_DURABLE);
	audit_stop(&a);
}

/* Messages of any size through queues of any size, and the disk fills up and
 * empties at any moment: what is called written is on disk, every row. */
static void
receipts(void **state)
{
	static const int64_t queues[] = { 16, 17, 100, 1000, 4096, 100000 };
	const char *seed_text = getenv("POPGATE_SEED");
	unsigned first = seed_text == NULL ? 1 : (unsigned)atoi(seed_text);
	unsigned seed = first;
	int written = 0, refused = 0;

	(void)state;
	for (int m = 0; m < 40; m++) {
		struct audit *a = start(queues[(size_t)m % 6]);
		struct audit_receipt receipt = { .lost = false };
		struct audit_row *chain = NULL;
		size_t batch = audit_batch(a), held = 0;
		int n = 1 + rand_r(&seed) % 5000;
		char queue_id[32];

		if (m % 3 == 0) /* around a boundary */
			n = (int)batch * (1 + rand_r(&seed) % 4) +
			    rand_r(&seed) % 3 - 1;
		n = n < 1 ? 1 : n > 200 * (int)batch ? 200 * (int)batch : n;
		int full_at = m % 4 == 0 ? -1 : rand_r(&seed) % (n + 1);
		int free_at = full_at + 1 + rand_r(&seed) % (n + 1);

		(void)snprintf(queue_id, sizeof(queue_id), "M%d", m);
		for (int i = 0; i <= n; i++) {
			if (i == full_at || i == free_at)
				disk_full(i == full_at);
			if (i == n)
				break;
			chain = audit_row_chain(chain, row("r", "s"));
			if (++held < batch)
				continue;
			audit_row_queue_id(chain, queue_id);
			audit_receipt_add(a, &receipt, chain, 20000);
			chain = NULL;
			held = 0;
		}
		if (chain != NULL)
			audit_row_queue_id(chain, queue_id);
		audit_receipt_add(a, &receipt, chain, 20000);
		bool good = audit_receipt_wait(a, &receipt, 20000);

		disk_full(false);
		const struct audit_filter mine = { .queue_id = queue_id };

		if (good && rows_on_disk(&mine) != n)
			fail_msg("seed %u, message %d: %d rows of %d", first, m,
			    rows_on_disk(&mine), n);
		/* without a full disk nothing is refused */
		if (full_at == -1 && !good)
			fail_msg("seed %u, message %d of %d rows was refused",
			    first, m, n);
		*(good ? &written : &refused) += 1;
		audit_stop(&a);
	}
	printf("seed %u: %d written, %d refused\n", first, written, refused);
	assert_true(refused > 0);
}

/* Removed under us: rows don't go to a file that nobody can see. */
static void
removed_file(void **state)
{
	struct audit *a = start(1000);
	const struct audit_filter all = { .limit = 0 };
	char name[160];

	(void)state;
	assert_true(audit_wait(a, audit_submit(a, row("r", "s"), true), 5000));
	(void)unlink(db);
	(void)snprintf(name, sizeof(name), "%s-wal", db);
	(void)unlink(name);
	(void)snprintf(name, sizeof(name), "%s-shm", db);
	(void)unlink(name);
	assert_true(audit_wait(a, audit_submit(a, row("r", "s"), true), 5000));
	assert_int_equal(rows_on_disk(&all), 1);
	audit_stop(&a);
}

/* --- somebody meddles with the files while they are written to --- */

enum { READER_NONE, READER_AFTER, READERS };

static const struct meddling {
	const char *name;
	/* %s: the database; a copy of it from the beginning is in %s.old, and
	 * its -wal of then in %s.wal */
	const char *command;
	bool harmless; /* what was written is still there */
	bool damaging; /* it can't be used until an admin mends it */
} meddlings[] = {
	{ .name = "truncated", .command = ": > %s" },
	{ .name = "cut", .command = "truncate -s 4096 %s" },
	{ .name = "removed", .command = "rm %s" },
	{ .name = "removed with its -wal", .command = "rm %s %s-wal %s-shm" },
	{ .name = "its -wal removed",
	    .command = "rm %s-wal",
	    .harmless = true },
	{ .name = "its -wal and -shm removed",
	    .command = "rm %s-wal %s-shm",
	    .harmless = true },
	{ .name = "its -shm removed",
	    .command = "rm %s-shm",
	    .harmless = true },
	{ .name = "its -wal truncated", .command = ": > %s-wal" },
	{ .name = "its -wal's beginning overwritten with zeros",
	    .command = "dd if=/dev/zero of=%s-wal bs=32 count=1 conv=notrunc "
		       "status=none" },
	{ .name = "an older -wal copied into its -wal",
	    .command = "cp %s.wal %s-wal" },
	{ .name = "an older -wal copied over the one that was made anew",
	    .command = "rm %s-wal; while [ ! -e %s-wal ]; do sleep 0.1; done; "
		       "cp %s.wal %s-wal" },
	{ .name = "moved away and copied back",
	    .command = "mv %s %s.x && cp %s.x %s" },
	{ .name = "moved away with its -wal and copied back",
	    .command = "mv %s %s.x && cp %s.x %s && cp %s-wal %s.w && rm "
		       "%s-wal && cp %s.w %s-wal" },
	{ .name = "an older copy put in its place",
	    .command = "cp %s.old %s.x && mv %s.x %s" },
	{ .name = "an older copy put in its place, without the -wal",
	    .command = "cp %s.old %s.x && mv %s.x %s && rm %s-wal %s-shm" },
	{ .name = "an older copy copied into it",
	    .command = "cp %s.old %s",
	    .damaging = true },
	{ .name = "zeros written into it",
	    .command = "dd if=/dev/zero of=%s bs=4096 seek=1 count=8 "
		       "conv=notrunc status=none",
	    .damaging = true },
	{ .name = "zeros written into it after a checkpoint",
	    .command = "sqlite3 %s 'PRAGMA wal_checkpoint(TRUNCATE)' "
		       ">/dev/null; dd if=/dev/zero of=%s bs=4096 seek=1 "
		       "count=30 conv=notrunc status=none",
	    .damaging = true },
	{ .name = "an older copy copied into it after a checkpoint",
	    .command = "sqlite3 %s 'PRAGMA wal_checkpoint(TRUNCATE)' "
		       ">/dev/null; cp %s.old %s",
	    .damaging = true },
	{ .name = "its directory replaced",
	    .command = "d=$(dirname %s); mv $d $d.x && mkdir $d" },
	{ .name = "a foreign checkpoint",
	    .command = "sqlite3 %s 'PRAGMA wal_checkpoint(TRUNCATE)' "
		       ">/dev/null",
	    .harmless = true },
	{ .name = "vacuumed",
	    .command = "sqlite3 %s 'DELETE FROM tally; VACUUM; "
		       "PRAGMA wal_checkpoint(TRUNCATE)' >/dev/null",
	    .harmless = true },
};

static void
shell(const char *command)
{
	char text[2000], *p = text;

	for (const char *c = command; *c != '\0'; c++) {
		if (c[0] == '%' && c[1] == 's') {
			p = stpcpy(p, db);
			c++;
		} else {
			*p++ = *c;
		}
	}
	*p = '\0';
	if (system(text) != 0)
		fail_msg("%s", text);
}

/* One that can't be opened is nobody's row. */
static int
rows_named(const char *queue_id)
{
	const struct audit_filter f = { .queue_id = queue_id };
	struct audit_reader *r;
	struct err err;
	int n = 0;

	if (audit_open_reader(db, &r, &err) == -1)
		return -1;
	if (audit_each(r, &f, count, &n, &err) == -1)
		n = -1;
	audit_close_reader(&r);
	return n;
}

static uint64_t
message(struct audit *a, const char *queue_id, int n)
{
	struct audit_row *chain = NULL;

	for (int i = 0; i < n; i++)
		chain = audit_row_chain(chain, row("r", "s"));
	audit_row_queue_id(chain, queue_id);
	return audit_submit(a, chain, true);
}

/* A process that is killed is what shows where the rows really are. Here it
 * is a child; it tells by its exit status what it called written. */
enum { BEFORE = 1, ACROSS = 2, AFTER = 4, NOT_AGAIN = 8 };

static int
child(const struct meddling *m, bool reader)
{
	struct audit *a = start(1000);
	int told = 0;

	/* enough for several pages, and brought into the file */
	if (!audit_wait(a, message(a, "OLD", 300), 20000))
		return NOT_AGAIN;
	shell("cp %s-wal %s.wal");
	audit_stop(&a);
	shell("cp %s %s.old");
	a = start(1000);
	uint64_t before = message(a, "BEFORE", 900);

	told |= audit_wait(a, before, 20000) ? BEFORE : 0;
	/* of a message that is under way */
	uint64_t across = message(a, "ACROSS", 3);

	if (!audit_wait(a, across, 20000))
		return NOT_AGAIN;
	shell(m->command);
	if (reader)
		(void)rows_named("BEFORE");
	uint64_t sync = audit_sync(a);

	(void)audit_wait(a, sync, 20000);
	told |=
	    audit_state_range(a, across, across) == AUDIT_DURABLE ? ACROSS : 0;
	told |= audit_wait(a, message(a, "AFTER", 5), 20000) ? AFTER : 0;
	if (reader)
		(void)rows_named("AFTER");
	/* and it mends itself, if it can */
	bool again = false;

	for (int i = 0; i < (m->damaging ? 3 : 40) && !again; i++) {
		again = audit_wait(a, message(a, "AGAIN", 1), 20000);
		(void)usleep(again ? 0 : 100000);
	}
	return told | (again ? 0 : NOT_AGAIN);
}

static void
meddled(const struct meddling *m, bool reader)
{
	int status;
	pid_t pid = fork();

	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		int told = child(m, reader);

		/* as by kill -9: nothing is closed, nothing is written */
		_exit(told);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	int told = WEXITSTATUS(status);
	const char *with = reader ? " (with a reader)" : "";

	if ((told & ACROSS) && rows_named("ACROSS") != 3)
		fail_msg("%s%s: a message under way was relayed, %d rows of 3",
		    m->name, with, rows_named("ACROSS"));
	if ((told & AFTER) && rows_named("AFTER") != 5)
		fail_msg("%s%s: a message after it was relayed, %d rows of 5",
		    m->name, with, rows_named("AFTER"));
	if (!m->damaging && (told & NOT_AGAIN))
		fail_msg(
		    "%s%s: nothing can be written any more", m->name, with);
	if (!m->damaging && rows_named("AGAIN") != 1)
		fail_msg(
		    "%s%s: what was written again isn't there", m->name, with);
	if (m->harmless && (!(told & ACROSS) || rows_named("BEFORE") != 900))
		fail_msg("%s%s: rows were lost without need (%d)", m->name,
		    with, rows_named("BEFORE"));
}

static void
meddlers(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(meddlings); i++)
		for (int reader = 0; reader < READERS; reader++) {
			meddled(&meddlings[i], reader == READER_AFTER);
			shell("d=$(dirname %s); rm -rf $d.x; rm -f $d/*");
		}
}

static int
setup(void **state)
{
	(void)state;
	lines = 0;
	bad_state[0] = '\0';
	(void)snprintf(db, sizeof(db), "%s/audit.db", unit_dir());
	return 0;
}

static int
teardown(void **state)
{
	char name[160];

	(void)state;
	(void)unlink(db);
	(void)snprintf(name, sizeof(name), "%s-wal", db);
	(void)unlink(name);
	(void)snprintf(name, sizeof(name), "%s-shm", db);
	(void)unlink(name);
	*strrchr(db, '/') = '\0';
	return rmdir(db);
}

/* --- breaches and lifts --- */

static char lifted[400]; /* guarded by lifted_mtx */
static pthread_mutex_t lifted_mtx = PTHREAD_MUTEX_INITIALIZER;

static void
on_lifted(void *arg, bool is_user, const char *subject)
{
	size_t len;

	(void)arg;
	(void)pthread_mutex_lock(&lifted_mtx);
	len = strlen(lifted);
	(void)snprintf(lifted + len, sizeof(lifted) - len, "%c:%s ",
	    is_user ? 'u' : 'c', subject);
	(void)pthread_mutex_unlock(&lifted_mtx);
}

static void
wait_lifted(const char *want)
{
	bool same = false;

	for (int n = 0; !same && wait_more(&n);) {
		(void)pthread_mutex_lock(&lifted_mtx);
		same = strcmp(lifted, want) == 0;
		(void)pthread_mutex_unlock(&lifted_mtx);
	}
	assert_string_equal(lifted, want);
}

struct seen {
	char text[1000];
};

static bool
see_breach(void *arg, const struct audit_breach *b)
{
	struct seen *seen = arg;
	size_t len = strlen(seen->text);

	(void)snprintf(seen->text + len, sizeof(seen->text) - len,
	    "%c:%s %s=%s %s/%s/%s %lld%s; ", b->is_user ? 'u' : 'c', b->subject,
	    b->setting, b->allowed, b->client, b->user == NULL ? "-" : b->user,
	    b->sender, (long long)b->denied_until,
	    b->lifted_at_ms == 0 ? "" : " lifted");
	return true;
}

static const char *
breaches(bool denials, const char *subject)
{
	static struct seen seen;
	struct audit_reader *r;
	struct err err;

	seen.text[0] = '\0';
	if (audit_open_reader(db, &r, &err) == -1)
		fail_msg("%s", err.text);
	if ((denials ? audit_each_denial(r, 5000, see_breach, &seen, &err)
		     : audit_each_breach(
			   r, 0, true, subject, see_breach, &seen, &err)) == -1)
		fail_msg("%s", err.text);
	audit_close_reader(&r);
	return seen.text;
}

static void
breach(struct audit *a, bool is_user, const char *subject, int64_t until)
{
	const struct audit_breach b = { .at_ms = clock_now_ms(),
		.is_user = is_user,
		.subject = subject,
		.setting = "user_messages",
		.allowed = "5/1h",
		.client = "192.0.2.1",
		.user = is_user ? subject : NULL,
		.sender = "",
		.denied_until = until };

	audit_breach(a, &b);
}

static void
breaches_and_lifts(void **state)
{
	const struct audit_options opt = { .path = db,
		.queue = 100,
		.keep_s = 86400,
		.log_line = on_line,
		.log_state = on_state,
		.lifted = on_lifted };
	struct audit_lift lift = {
		.is_user = true, .subject = "ALICE", .who = "root"
	};
	struct audit *a;
	struct err err;

	(void)state;
	/* before there was a file there is nothing to lift */
	assert_int_equal(audit_lift(db, &lift, &err), -1);
	assert_int_equal(audit_start(&opt, &a, &err), 0);
	breach(a, true, "alice", 6000);
	breach(a, false, "2001:db8::/64", 4000);
	breach(a, true, "o'brien\n", 0);
	audit_stop(&a);
	assert_string_equal(breaches(false, NULL),
	    "u:alice user_messages=5/1h 192.0.2.1/alice/ 6000; "
	    "c:2001:db8::/64 user_messages=5/1h 192.0.2.1/-/ 4000; "
	    "u:o'brien\n user_messages=5/1h 192.0.2.1/o'brien\n/ 0; ");
	assert_string_equal(breaches(true, NULL),
	    "u:alice user_messages=5/1h 192.0.2.1/alice/ 6000; ");
	assert_string_equal(breaches(false, "O'BRIEN\n"),
	    "u:o'brien\n user_messages=5/1h 192.0.2.1/o'brien\n/ 0; ");
	/* a lift of before the start isn't news */
	lift.subject = "old";
	lift.at_ms = clock_now_ms();
	assert_int_equal(audit_lift(db, &lift, &err), 0);
	assert_int_equal(audit_start(&opt, &a, &err), 0);
	lift.subject = "ALICE";
	assert_int_equal(audit_lift(db, &lift, &err), 0);
	wait_lifted("u:ALICE ");
	assert_string_equal(breaches(true, NULL), "");
	assert_string_equal(breaches(false, "alice"),
	    "u:alice user_messages=5/1h 192.0.2.1/alice/ 6000 lifted; ");
	/* of a client with that name nothing was lifted, and a breach of
	 * later is a new one */
	lift.is_user = false;
	lift.subject = "o'brien\n";
	assert_int_equal(audit_lift(db, &lift, &err), 0);
	wait_lifted("u:ALICE c:o'brien\n ");
	int64_t lifted_at = clock_now_ms();

	wait_until(clock_now_ms() > lifted_at);
	breach(a, true, "alice", 7000);
	audit_stop(&a);
	assert_string_equal(breaches(true, NULL),
	    "u:alice user_messages=5/1h 192.0.2.1/alice/ 7000; ");
}

/* A breach that can't be written now is written when it can. */
static void
breach_waits(void **state)
{
	const struct audit_options opt = { .path = db,
		.queue = 100,
		.keep_s = 86400,
		.log_line = on_line,
		.log_state = on_state };
	struct audit *a;
	struct err err;
	sqlite3 *h;

	(void)state;
	assert_int_equal(audit_start(&opt, &a, &err), 0);
	assert_int_equal(sqlite3_open(db, &h), SQLITE_OK);
	assert_int_equal(
	    sqlite3_exec(h, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	breach(a, true, "alice", 6000);
	/* the writer gives up after two seconds, and tries again */
	wait_until(!audit_healthy(a));
	breach(a, true, "bob", 0);
	assert_int_equal(
	    sqlite3_exec(h, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	(void)sqlite3_close(h);
	audit_stop(&a);
	assert_string_equal(breaches(false, NULL),
	    "u:alice user_messages=5/1h 192.0.2.1/alice/ 6000; "
	    "u:bob user_messages=5/1h 192.0.2.1/bob/ 0; ");
}

/* Old rows go, but a lift not before the breach that it lifts. */
static void
old_breaches(void **state)
{
	const struct audit_options opt = { .path = db,
		.queue = 100,
		.keep_s = 3600,
		.log_line = on_line,
		.log_state = on_state };
	int64_t old_ms = clock_now_ms() - INT64_C(7200) * 1000;
	struct audit_breach b = { .at_ms = old_ms,
		.is_user = true,
		.setting = "user_messages",
		.allowed = "5/1h",
		.client = "c",
		.sender = "",
		.denied_until = clock_now() + 7200 };
	struct audit_lift lift = {
		.at_ms = old_ms + 1, .is_user = true, .who = "root"
	};
	struct audit *a = start(100);
	struct err err;

	(void)state;
	b.subject = lift.subject = "lifted";
	audit_breach(a, &b);
	b.subject = "denied";
	audit_breach(a, &b);
	b.subject = "gone";
	b.denied_until = 0;
	audit_breach(a, &b);
	audit_stop(&a);
	assert_int_equal(audit_lift(db, &lift, &err), 0);
	lift.subject = "gone";
	assert_int_equal(audit_lift(db, &lift, &err), 0);
	/* each start prunes */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(audit_start(&opt, &a, &err), 0);
		audit_breach(a, &b);
		b.at_ms = clock_now_ms();
		audit_stop(&a);
	}
	const char *left = breaches(false, NULL);

	assert_non_null(strstr(left, "u:lifted "));
	assert_non_null(strstr(left, "u:denied "));
	assert_non_null(strstr(left, "u:gone "));
	assert_null(strstr(strstr(left, "u:gone ") + 1, "u:gone "));
	left = breaches(true, NULL);
	assert_null(strstr(left, "u:lifted "));
	assert_non_null(strstr(left, "u:denied "));
}

/* --- what strangers can write --- */

static struct audit_row *
refused_row(
    const char *client, const char *sender, enum reason reason, int64_t at_ms)
{
	const struct audit_facts f = { .at_ms = at_ms,
		.session = "s1",
		.client = client,
		.client_name = "c",
		.helo = "h",
		.sender = sender,
		.recipient = "r",
		.mta = "m",
		.decision = { .verdict = VERDICT_REJECT, .reason = reason } };
	struct audit_row *r = audit_row_new(&f);

	assert_non_null(r);
	return r;
}

static int64_t
number(const char *text)
{
	sqlite3_stmt *stmt;
	sqlite3 *h;

	assert_int_equal(sqlite3_open(db, &h), SQLITE_OK);
	(void)sqlite3_busy_timeout(h, 5000);
	if (sqlite3_prepare_v2(h, text, -1, &stmt, NULL) != SQLITE_OK)
		fail_msg("%s: %s", text, sqlite3_errmsg(h));
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	int64_t n = sqlite3_column_int64(stmt, 0);

	(void)sqlite3_finalize(stmt);
	(void)sqlite3_close(h);
	return n;
}

static void
refuse(struct audit *a, const char *client, const char *sender,
    enum reason reason, int n, int64_t at_ms)
{
	struct audit_row *chain = NULL;

	for (int i = 0; i < n; i++)
		chain = audit_row_chain(
		    chain, refused_row(client, sender, reason, at_ms + i));
	assert_true(audit_wait(a, audit_submit(a, chain, true), 20000));
}

struct group_seen {
	int64_t recipients, rejected, last_ms;
};

static bool
take_group(void *arg, const struct audit_group *g)
{
	struct group_seen *seen = arg;

	seen->recipients += g->recipients;
	seen->rejected += g->rejected;
	seen->last_ms = g->last_ms;
	return true;
}

static void
repeated(void **state)
{
	struct audit *a = start(100000);
	int64_t now = clock_now_ms();

	(void)state;
	/* in one transaction, and in several */
	refuse(a, "192.0.2.1", "s", REASON_NO_LOGIN, 1000, now);
	refuse(a, "192.0.2.1", "another", REASON_NO_LOGIN, 500, now + 1000);
	assert_int_equal(number("SELECT count(*) FROM decision"), 11);
	assert_int_equal(number("SELECT sum(count) FROM decision"), 1500);
	assert_int_equal(
	    number("SELECT max(last_at) FROM decision"), now + 1499);
	assert_int_equal(
	    number("SELECT count(*) FROM decision WHERE last_at IS NULL"), 10);
	/* another reason, another client: rows of their own */
	refuse(a, "192.0.2.1", "s", REASON_DENIED, 5, now + 2000);
	refuse(a, "192.0.2.2", "s", REASON_NO_LOGIN, 20, now + 2000);
	assert_int_equal(number("SELECT count(*) FROM decision"), 11 + 5 + 11);
	/* a network of IPv6 is one client */
	for (int i = 0; i < 50; i++) {
		char client[60];

		(void)snprintf(client, sizeof(client), "2001:db8::%x", i + 1);
		refuse(a, client, "s", REASON_NO_LOGIN, 1, now);
	}
	refuse(a, "2001:db8:0:1::1", "s", REASON_NO_LOGIN, 1, now);
	assert_int_equal(number("SELECT count(*) FROM decision WHERE client "
				"LIKE '2001%'"),
	    12);
	/* the next minute */
	refuse(a, "192.0.2.1", "s", REASON_NO_LOGIN, 30, now + 61000);
	assert_int_equal(number("SELECT count(*) FROM decision WHERE client = "
				"'192.0.2.1' AND reason = 'no-login'"),
	    22);
	/* the readers and the views count recipients */
	assert_int_equal(number("SELECT sum(recipients) FROM relay_by_client"),
	    1500 + 5 + 20 + 51 + 30);
	assert_int_equal(number("SELECT sum(refused) FROM relay_by_client"),
	    1500 + 5 + 20 + 51 + 30);
	assert_int_equal(number("SELECT sum(recipients) FROM relay_by_hour"),
	    1500 + 5 + 20 + 51 + 30);
	assert_int_equal(number("SELECT sum(recipients) FROM sender_by_client"),
	    1500 + 5 + 20 + 51 + 30);
	const struct audit_group_query q = { .by = AUDIT_BY_CLIENT,
		.rejected_min = 100 };
	struct group_seen seen = { 0 };
	struct audit_reader *r;
	struct err err;

	assert_int_equal(audit_open_reader(db, &r, &err), 0);
	assert_int_equal(audit_each_group(r, &q, take_group, &seen, &err), 0);
	audit_close_reader(&r);
	assert_int_equal(seen.recipients, 1535);
	assert_int_equal(seen.rejected, 1535);
	/* what is relayed has always a row of its own */
	for (int i = 0; i < 30; i++)
		assert_true(
		    audit_wait(a, audit_submit(a, row("r", "s"), true), 20000));
	assert_int_equal(number("SELECT count(*) FROM decision WHERE verdict = "
				"'accept'"),
	    30);
	audit_stop(&a);
}

/* A transaction that failed took the row that counts with it. */
static void
repeated_and_lost(void **state)
{
	struct audit *a = start(100000);
	int64_t now = clock_now_ms();

	(void)state;
	disk_full(true);
	for (int i = 0; i < 15; i++)
		(void)audit_wait(a,
		    audit_submit(a,
			refused_row("192.0.2.1", "s", REASON_NO_LOGIN, now),
			true),
		    20000);
	disk_full(false);
	refuse(a, "192.0.2.1", "s", REASON_NO_LOGIN, 100, now);
	assert_int_equal(number("SELECT count(*) FROM decision"), 11);
	assert_int_equal(number("SELECT sum(count) FROM decision"), 100);
	audit_stop(&a);
}

static void
cut_texts(void **state)
{
	static const struct {
		const char *name;
		size_t len; /* of x, before the end */
		const char *end;
		size_t want; /* what is left of it */
		const char *want_end;
	} cases[] = {
		{ "short", 127, "y", 127, "y" },
		{ "one too many", 127, "yz", 125, "..." },
		{ "long", 1000, "y", 125, "..." },
		/* U+20AC is three bytes: never a part of one */
		{ "a character at the end", 124, "\xe2\x82\xacyyyy", 124,
		    "..." },
		{ "a character in the middle of the end", 123,
		    "\xe2\x82\xacyyyy", 123, "..." },
		{ "a character before the end", 122, "\xe2\x82\xacyyyy", 122,
		    "\xe2\x82\xac..." },
		{ "no UTF-8", 122, "\x80\x80\x80\x80\x80\x80\x80", 122, "..." },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		ROW("%s", cases[i].name);
		char text[1100], want[200], query[500];

		memset(text, 'x', sizeof(text));
		(void)snprintf(text + cases[i].len, sizeof(text) - cases[i].len,
		    "%s", cases[i].end);
		memset(want, 'x', sizeof(want));
		(void)snprintf(want + cases[i].want,
		    sizeof(want) - cases[i].want, "%s", cases[i].want_end);
		struct audit *a = start(1000);

		refuse(
		    a, "192.0.2.1", text, REASON_NO_LOGIN, 1, clock_now_ms());
		assert_true(audit_wait(
		    a, audit_submit(a, row("r", text), true), 20000));
		audit_stop(&a);
		(void)snprintf(query, sizeof(query),
		    "SELECT count(*) FROM decision WHERE sender = '%s' AND "
		    "verdict = 'reject'",
		    want);
		assert_int_equal(number(query), 1);
		/* evidence isn't cut */
		assert_int_equal(number("SELECT count(*) FROM decision WHERE "
					"verdict = 'accept' AND "
					"sender NOT LIKE '%...'"),
		    1);
		shell("rm -f %s %s-wal %s-shm");
	}
}

/* audit.max_size: refused ones go first, then the oldest; and it is said. */
static void
size_limit(void **state)
{
	enum { MAX = 3 << 20 };
	const struct audit_options opt = { .path = db,
		.queue = 1000000,
		.keep_s = 86400,
		.max_size = MAX,
		.log_line = on_line,
		.log_state = on_state };
	struct audit_stats stats;
	struct audit *a;
	struct err err;
	char text[400], client[40];
	int64_t now = clock_now_ms();

	(void)state;
	memset(text, 'z', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(audit_start(&opt, &a, &err), 0);
	/* relays of about a third, then a botnet */
	for (int i = 0; i < 30; i++)
		assert_true(audit_wait(a, message(a, "RELAYED", 50), 20000));
	struct audit_row *chain = NULL;

	for (int round = 0; round < 200; round++) {
		for (int i = 0; i < 100; i++) {
			(void)snprintf(
			    client, sizeof(client), "10.%d.%d.1", round, i);
			chain = audit_row_chain(chain,
			    refused_row(client, text, REASON_NO_LOGIN, now));
		}
		assert_true(audit_wait(a, audit_submit(a, chain, true), 20000));
		chain = NULL;
	}
	/* refused ones are deleted until it is well below */
	bool below = false;

	for (int n = 0; !below && wait_more(&n);) {
		audit_stats(a, &stats);
		below = stats.bytes < MAX * 9 / 10 &&
		    number("SELECT count(*) FROM decision WHERE verdict = "
			   "'reject'") < 20000;
	}
	assert_true(below);
	assert_int_equal(stats.max_size, MAX);
	assert_int_equal(number("SELECT count(*) FROM decision WHERE queue_id "
				"= 'RELAYED'"),
	    1500);
	/* only relays are left to delete: the oldest go, mail goes on */
	int64_t newest = 0;

	for (int i = 0; i < 400; i++) {
		audit_stats(a, &stats);
		assert_true(stats.bytes < 3 * MAX);
		for (int k = 0; k < 50; k++)
			chain = audit_row_chain(chain, row("r", text));
		audit_row_queue_id(chain, "EVIDENCE");
		assert_true(audit_wait(a, audit_submit(a, chain, true), 20000));
		chain = NULL;
		/* never those that were just waited for */
		assert_int_equal(number("SELECT count(*) FROM (SELECT queue_id "
					"FROM decision ORDER BY id DESC LIMIT "
					"50) WHERE queue_id = 'EVIDENCE'"),
		    50);
		if (number("SELECT count(*) FROM decision WHERE queue_id = "
			   "'RELAYED'") == 0)
			break;
		(void)usleep(20000);
	}
	newest = number("SELECT count(*) FROM decision WHERE queue_id = "
			"'EVIDENCE'");
	assert_true(newest > 0);
	assert_int_equal(number("SELECT count(*) FROM decision WHERE queue_id "
				"= 'RELAYED'"),
	    0);
	audit_stop(&a);
}

static int64_t
in_use(void)
{
	return number("SELECT (p.page_count - f.freelist_count) * s.page_size "
		      "FROM pragma_page_count AS p, "
		      "pragma_freelist_count AS f, pragma_page_size AS s");
}

/* Relays of so many bytes; returns how many. */
static int64_t
fill(struct audit *a, const char *text, int64_t bytes)
{
	int64_t n = 0;

	do {
		struct audit_row *chain = NULL;

		for (int i = 0; i < 50; i++, n++)
			chain = audit_row_chain(chain, row("r", text));
		audit_row_queue_id(chain, "RELAYED");
		assert_true(audit_wait(a, audit_submit(a, chain, true), 20000));
	} while (in_use() < bytes);
	return n;
}

/* Rows of relays outlive all rows that strangers can make us write. */
static struct audit_row *
strange_row(int kind, int i, const char *text, int64_t at_ms)
{
	char client[40];
	struct audit_facts f = { .at_ms = at_ms,
		.session = "s1",
		.client = client,
		.helo = text,
		.sender = text,
		.recipient = "r",
		.mta = "m" };

	(void)snprintf(client, sizeof(client), "10.%d.%d.%d", i >> 16 & 255,
	    i >> 8 & 255, i & 255);
	switch (kind) {
	case 0: /* a burst of a botnet */
		f.decision = (struct decision){ .verdict = VERDICT_REJECT,
			.reason = REASON_NO_LOGIN };
		break;
	case 1: /* the same in monitor mode, where the MTA is closed */
		f.decision = (struct decision){ .verdict = VERDICT_WOULD_REJECT,
			.reason = REASON_NO_LOGIN };
		f.channel = CHANNEL_POLICY;
		break;
	default: /* mail for ourselves: audit.record = "all" */
		f.decision = (struct decision){ .verdict = VERDICT_ACCEPT,
			.reason = REASON_LOCAL_RECIPIENT };
		f.local = true;
		break;
	}
	struct audit_row *r = audit_row_new(&f);

	assert_non_null(r);
	return r;
}

static void
relays_outlive(void **state)
{
	enum { MAX = 3 << 20, KINDS = 3 };
	const struct audit_options opt = { .path = db,
		.queue = 1000000,
		.keep_s = 86400,
		.max_size = MAX,
		.log_line = on_line,
		.log_state = on_state };
	struct audit *a;
	struct err err;
	char text[400];

	(void)state;
	memset(text, 'z', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (int kind = 0; kind < KINDS; kind++) {
		int64_t now = clock_now_ms(), relays;
		int strangers = 0;

		assert_int_equal(audit_start(&opt, &a, &err), 0);
		relays = fill(a, text, MAX / 100 * 85);
		for (int round = 0; round < 4; round++) {
			struct audit_row *chain = NULL;

			for (int i = 0; i < 3000; i++)
				chain = audit_row_chain(chain,
				    strange_row(kind, strangers++, text, now));
			assert_true(
			    audit_wait(a, audit_submit(a, chain, true), 20000));
			wait_until(in_use() < MAX);
		}
		int64_t left = number("SELECT count(*) FROM decision WHERE "
				      "queue_id = 'RELAYED'");

		if (left != relays)
			fail_msg("kind %d: %" PRId64 " of %" PRId64
				 " relays are left",
			    kind, left, relays);
		audit_stop(&a);
		shell("rm -f %s %s-wal %s-shm");
	}
}

/* The newest row isn't deleted, though it is a refusal: its id would be that of
 * the next one, which would then be counted instead; and another program's
 * write to the file would look like a loss. */
static void
newest_stays(void **state)
{
	enum { MAX = 3 << 20 };
	const struct audit_options opt = { .path = db,
		.queue = 1000000,
		.keep_s = 86400,
		.max_size = MAX,
		.log_line = on_line,
		.log_state = on_state };
	struct audit_row *chain = NULL;
	struct audit *a;
	struct err err;
	char text[400];

	(void)state;
	memset(text, 'z', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	bad_state[0] = '\0';
	assert_int_equal(audit_start(&opt, &a, &err), 0);
	(void)fill(a, text, MAX / 100 * 86);
	for (int i = 0; i < 1000; i++)
		chain = audit_row_chain(
		    chain, strange_row(0, i, text, clock_now_ms()));
	for (int i = 0; i < 11; i++)
		chain = audit_row_chain(
		    chain, strange_row(0, 1000, text, clock_now_ms()));
	assert_true(audit_wait(a, audit_submit(a, chain, true), 20000));
	/* the size is looked at once a second */
	wait_until(number("SELECT count(*) FROM decision "
			  "WHERE verdict = 'reject'") <= 1);
	/* as popgatectl's commit does when the -wal is long */
	shell("sqlite3 %s 'PRAGMA wal_checkpoint' >/dev/null");
	assert_true(audit_wait(a, message(a, "AFTER", 1), 20000));
	for (int i = 0; i < 3; i++)
		assert_true(audit_wait(a,
		    audit_submit(
			a, strange_row(0, 1000, text, clock_now_ms()), true),
		    20000));
	assert_int_equal(number("SELECT count FROM decision WHERE queue_id = "
				"'AFTER'"),
	    1);
	assert_int_equal(number("SELECT sum(count) FROM decision WHERE verdict "
				"= 'reject'"),
	    4);
	audit_stop(&a);
	if (strstr(bad_state, "no longer in it") != NULL)
		fail_msg("%s", bad_state);
}

/* A file of version 3 is brought up to date, and its rows count as one. */
static void
old_version(void **state)
{
	char command[300];

	(void)state;
	for (int v = 1; v <= 3; v++) {
		(void)snprintf(command, sizeof(command),
		    "sqlite3 %%s < sql/audit-%03d.sql", v);
		shell(command);
	}
	shell("sqlite3 %s \"PRAGMA user_version = 3; INSERT INTO decision (at, "
	      "session, client, client_name, helo, sender, recipient, class, "
	      "verdict, reason, rule, channel, mta) VALUES (unixepoch() * "
	      "1000, 's', '192.0.2.1', '', '', 'a', 'b', 'relay', 'reject', "
	      "'no-login', 13, 'policy', '')\"");
	struct audit *a = start(1000);

	refuse(a, "192.0.2.1", "s", REASON_NO_LOGIN, 100, clock_now_ms());
	audit_stop(&a);
	assert_int_equal(number("SELECT recipients FROM relay_by_client"), 101);
	assert_int_equal(number("PRAGMA user_version"), 7);
}

/* A file of version 5 with both channels' rows of a message after the other,
 * and a few of other kinds: two rows of a recipient are one after the upgrade,
 * which the start doesn't wait for, and which a kill doesn't confuse. */
static void
old_pairs(void **state)
{
	enum { MESSAGES = 20000 };
	char command[300];

	(void)state;
	for (int v = 1; v <= 5; v++) {
		(void)snprintf(command, sizeof(command),
		    "sqlite3 %%s < sql/audit-%03d.sql", v);
		shell(command);
	}
	/* three rows each: policy, policy refused, milter at DATA; every
	 * tenth is a map that is told the client only */
	shell("sqlite3 %s \"PRAGMA user_version = 5; WITH n(n) AS (SELECT 0 "
	      "UNION ALL SELECT n + 1 FROM n WHERE n < 19999) INSERT INTO "
	      "decision (at, session, queue_id, client, client_name, helo, "
	      "sender, recipient, class, verdict, reason, rule, channel, mta) "
	      "SELECT unixepoch() * 1000 - 20000 + n, 's' || n, iif(k = 2, 'Q' "
	      "|| n, NULL), '192.0.2.' || (n % 200), '', '', iif(k = 0 AND n "
	      "% 10 = 0, '', 'a'), iif(k = 0 AND n % 10 = 0, '', iif(k = 2, "
	      "'<b@x>', 'b@x')), 'relay', iif(k = 1, 'reject', 'accept'), "
	      "iif(k = 1, 'no-login', 'recent-login'), 10, iif(k = 2, "
	      "'milter', iif(n % 10 = 0, 'socketmap', 'policy')), '' FROM n, "
	      "(SELECT 0 AS k UNION SELECT 1 UNION SELECT 2) ORDER BY n, k\"");
	for (int part = 0; part < 3; part++) {
		struct audit *a = start(1000);

		/* the writer is about its work, wherever it is stopped */
		audit_stop(&a);
		assert_int_equal(
		    number("SELECT count(*) FROM channel_decision"),
		    3 * MESSAGES);
	}
	struct audit *a = start(1000);

	wait_until(number("SELECT count(*) FROM unpaired") == 0);
	assert_int_equal(
	    number("SELECT sum(count) FROM decision"), 2 * MESSAGES);
	assert_int_equal(
	    number("SELECT sum(accepted) FROM relay_by_client"), MESSAGES);
	assert_int_equal(number("SELECT count(*) FROM decision WHERE queue_id "
				"IS NULL AND verdict = 'accept'"),
	    0);
	assert_int_equal(number("SELECT count(DISTINCT message) FROM decision "
				"WHERE verdict = 'accept'"),
	    MESSAGES);
	/* what comes now isn't looked at again */
	assert_true(audit_wait(a, message(a, "NEW", 1), 20000));
	audit_stop(&a);
	assert_int_equal(
	    number("SELECT sum(count) FROM decision"), 2 * MESSAGES + 1);
}

/* Of a recipient that both channels record, the milter's row counts, also when
 * it refuses, when it is only counted among repeats, or when there is none; a
 * number of another file or of nobody takes nothing. */
static void
numbers(void **state)
{
	struct audit *a = start(1000);
	struct audit_facts f = { .at_ms = clock_now_ms(),
		.session = "i1",
		.client = "192.0.2.1",
		.sender = "s@x",
		.recipient = "b@x",
		.channel = CHANNEL_POLICY,
		.number = 1,
		.decision = { .reason = REASON_RECENT_LOGIN } };
	struct audit_facts m = f;

	(void)state;
	m.channel = CHANNEL_MILTER;
	m.number = 0;
	m.takes = 1;
	assert_true(
	    audit_wait(a, audit_submit(a, audit_row_new(&f), true), 20000));
	assert_int_equal(number("SELECT sum(count) FROM decision"), 1);
	struct audit_row *row = audit_row_new(&m);

	audit_row_aborted(row);
	assert_true(audit_wait(a, audit_submit(a, row, true), 20000));
	assert_int_equal(number("SELECT sum(count) FROM decision"), 1);
	assert_int_equal(number("SELECT count(*) FROM decision WHERE verdict = "
				"'aborted' AND channel = 'milter'"),
	    1);
	/* once only; and numbers of nobody */
	m.decision.verdict = VERDICT_REJECT;
	for (m.takes = 1; m.takes < 4; m.takes++)
		assert_true(audit_wait(
		    a, audit_submit(a, audit_row_new(&m), true), 20000));
	assert_int_equal(number("SELECT sum(count) FROM decision"), 4);
	assert_int_equal(number("SELECT min(count) FROM channel_decision"), 0);
	/* no row of the milter's, for a map that is told no recipient */
	f.number = 5;
	f.recipient = f.sender = "";
	f.channel = CHANNEL_SOCKETMAP;
	assert_true(
	    audit_wait(a, audit_submit(a, audit_row_new(&f), true), 20000));
	assert_int_equal(number("SELECT count(*) FROM decision WHERE recipient "
				"IS NULL AND sender IS NULL AND message IS "
				"NULL"),
	    1);
	assert_true(
	    audit_wait(a, audit_submit(a, audit_row_taking(5), true), 20000));
	assert_int_equal(number("SELECT sum(count) FROM decision"), 4);
	/* repeats of a refusal in monitor mode */
	f.recipient = "c@x";
	f.decision.verdict = VERDICT_WOULD_REJECT;
	m.decision.verdict = VERDICT_WOULD_REJECT;
	for (f.number = 10; f.number < 60; f.number++) {
		m.takes = f.number;
		(void)audit_submit(a, audit_row_new(&f), false);
		(void)audit_submit(a, audit_row_new(&m), false);
	}
	audit_stop(&a);
	assert_int_equal(number("SELECT sum(count) FROM decision WHERE verdict "
				"= 'would-reject'"),
	    50);
	/* another process numbers anew */
	a = start(1000);
	m.takes = 1;
	assert_true(
	    audit_wait(a, audit_submit(a, audit_row_new(&m), true), 20000));
	audit_stop(&a);
	assert_int_equal(number("SELECT sum(count) FROM decision WHERE verdict "
				"= 'would-reject'"),
	    51);
}

/* The log says what the client was told: a relay that needs its row and lost it
 * was put off. */
static void
lost_is_said(void **state)
{
	struct audit *a = start(100);
	struct audit_facts f = { .at_ms = clock_now_ms(),
		.session = "s1",
		.client = "192.0.2.1",
		.recipient = "b@x",
		.durable = true,
		.decision = { .reason = REASON_RECENT_LOGIN } };

	(void)state;
	lines = 0;
	shell("sqlite3 %s 'ALTER TABLE channel_decision RENAME TO gone'");
	assert_false(
	    audit_wait(a, audit_submit(a, audit_row_new(&f), true), 20000));
	audit_stop(&a);
	assert_int_equal(lines, 1);
	assert_non_null(strstr(last_line,
	    "verdict=tempfail "
	    "reason=audit-unavailable "));
	shell("sqlite3 %s 'ALTER TABLE gone RENAME TO channel_decision'");
	a = start(100);
	assert_true(
	    audit_wait(a, audit_submit(a, audit_row_new(&f), true), 20000));
	audit_stop(&a);
	assert_int_equal(lines, 2);
	assert_non_null(
	    strstr(last_line, "verdict=accept reason=recent-login"));
}

static uint64_t
submit_as(struct audit *a, const char *client, const char *session,
    enum audit_channel channel, uint64_t number)
{
	const struct audit_facts f = { .at_ms = clock_now_ms(),
		.session = session,
		.client = client,
		.recipient = "b@x",
		.channel = channel,
		.number = number,
		.durable = true,
		.decision = { .reason = REASON_RECENT_LOGIN } };

	return audit_submit(a, audit_row_new(&f), false);
}

static int
aborted_rows(const char *session)
{
	char text[200];

	(void)snprintf(text, sizeof(text),
	    "SELECT count(*) FROM decision WHERE verdict = 'aborted' AND "
	    "session = '%s'",
	    session);
	return (int)number(text);
}

/* A message is given up, or put off at DATA, after rows of it went to the disk:
 * nothing shows it as accepted, also with a full queue, and nothing else
 * changes. */
static void
given_up(void **state)
{
	struct audit *a = start(4);

	(void)state;
	lines = 0;
	for (int i = 0; i < 3; i++)
		assert_true(audit_wait(a,
		    submit_as(a, "192.0.2.1", "m1", CHANNEL_MILTER, 0), 20000));
	(void)submit_as(a, "192.0.2.1", "m2", CHANNEL_MILTER, 0);
	assert_true(audit_wait(
	    a, submit_as(a, "192.0.2.2", "m1", CHANNEL_MILTER, 0), 20000));
	uint64_t gone =
	    audit_submit(a, audit_row_giving_up("192.0.2.1", "m1"), true);

	assert_true(audit_wait(a, gone, 20000));
	assert_int_equal(aborted_rows("m1"), 3);
	assert_int_equal(number("SELECT count(*) FROM decision WHERE verdict "
				"= 'accept'"),
	    2);
	/* one recipient of the permit channel: none is left */
	assert_true(audit_wait(
	    a, submit_as(a, "192.0.2.1", "m3", CHANNEL_POLICY, 7), 20000));
	assert_true(audit_wait(
	    a, audit_submit(a, audit_row_putting_off(7), true), 20000));
	assert_int_equal(number("SELECT count(*) FROM decision WHERE session "
				"= 'm3'"),
	    0);
	audit_stop(&a);
	/* the log had told of them */
	assert_int_equal(lines, 6);
	assert_null(strstr(last_line, "aborted"));
}

/* The same before the rows are on disk: the log knows, too. There is room for
 * it in a full queue. */
static void
given_up_at_once(void **state)
{
	struct audit *a = start(4);
	sqlite3 *other = NULL;

	(void)state;
	lines = 0;
	/* the writer waits for this lock, and the rows for the writer */
	assert_int_equal(sqlite3_open(db, &other), SQLITE_OK);
	assert_int_equal(
	    sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL),
	    SQLITE_OK);
	for (int i = 0; i < 4; i++)
		assert_int_not_equal(
		    submit_as(a, "192.0.2.1", "m1", CHANNEL_MILTER, 0), 0);
	assert_int_equal(submit_as(a, "192.0.2.1", "m2", CHANNEL_MILTER, 0), 0);
	uint64_t gone =
	    audit_submit(a, audit_row_giving_up("192.0.2.1", "m1"), true);

	assert_int_not_equal(gone, 0);
	assert_int_equal(
	    sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(other), SQLITE_OK);
	assert_true(audit_wait(a, gone, 20000));
	audit_stop(&a);
	assert_int_equal(aborted_rows("m1"), 4);
	assert_int_equal(lines, 4);
	assert_non_null(strstr(last_line, "verdict=aborted "));
}

/* Since when is what was recorded in the file? */
static void
whole_since(void **state)
{
	int64_t began_ms = clock_now_ms();
	struct audit *a = start(100);
	int64_t made_ms = audit_whole_since(a);

	(void)state;
	assert_true(made_ms >= began_ms && made_ms <= clock_now_ms());
	/* the first row is as good a witness for the next process */
	assert_true(
	    audit_wait(a, audit_submit(a, row("a@x", "s"), true), 20000));
	assert_int_equal(audit_whole_since(a), made_ms);
	audit_stop(&a);
	shell("sqlite3 %s 'UPDATE channel_decision SET at = 5'");
	a = start(100);
	assert_int_equal(audit_whole_since(a), 5);
	/* replaced under us by another one */
	shell("rm %s");
	began_ms = clock_now_ms();
	(void)audit_wait(a, audit_submit(a, row("b@x", "s"), true), 20000);
	wait_until(audit_healthy(a));
	assert_true(audit_whole_since(a) >= began_ms);
	audit_stop(&a);
	/* an old file, whose first rows were pruned */
	shell("sqlite3 %s 'DELETE FROM channel_decision; INSERT INTO "
	      "channel_decision (id, at, session, client, client_name, helo, "
	      "sender, recipient, class, verdict, reason, rule, channel, mta) "
	      "VALUES (9, 5, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3)'");
	a = start(100);
	assert_int_equal(audit_whole_since(a), 0);
	audit_stop(&a);
}

/* Counts and a breach that can't be written don't hold up the end. */
static void
ends_unwritten(void **state)
{
	struct audit *a = start(100);
	char name[160];

	(void)state;
	for (int i = 0; i < 3; i++) {
		static const char *const parts[] = { "", "-wal", "-shm" };

		(void)snprintf(name, sizeof(name), "%s%s", db, parts[i]);
		(void)unlink(name);
	}
	assert_int_equal(mkdir(db, 0700), 0);
	audit_count_local(a, CHANNEL_POLICY, REASON_LOCAL_RECIPIENT);
	breach(a, true, "alice", 6000);
	wait_until(!audit_healthy(a));
	audit_stop(&a);
	assert_int_equal(rmdir(db), 0);
}

struct first {
	_Atomic(struct audit *) a; /* set before the first ticket is given */
	bool written; /* what it was called before it was on disk; the thread's,
		       * read after audit_stop() */
};

static void
look_at_first(void *arg)
{
	struct first *s = arg;

	struct audit *a = s->a;

	s->written |= a != NULL && audit_state(a, 1) == AUDIT_WRITTEN;
}

/* A message that waits for no more than the commit is answered before the disk
 * is waited for, even where others of the same transaction wait for that. */
static void
written_first(void **state)
{
	struct first seen = { .a = NULL };
	const struct audit_options opt = { .path = db,
		.queue = 100,
		.keep_s = 86400,
		.log_line = on_line,
		.log_state = on_state,
		.committed = look_at_first,
		.committed_arg = &seen };
	struct audit *a;
	struct err err;

	(void)state;
	assert_int_equal(audit_start(&opt, &a, &err), 0);
	seen.a = a;
	uint64_t ticket = audit_submit(a, row("r@x.test", "s@x.test"), true);

	assert_int_equal(ticket, 1);
	assert_true(audit_wait(a, ticket, 10000));
	audit_stop(&a);
	assert_true(seen.written);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(write_and_read),
		TEST(hostile_text),
		TEST(tickets),
		TEST(many_producers),
		TEST(full_disk),
		TEST(lost_for_ever),
		TEST(receipts),
		TEST(removed_file),
		TEST(meddlers),
		TEST(repeated),
		TEST(repeated_and_lost),
		TEST(cut_texts),
		TEST(size_limit),
		TEST(relays_outlive),
		TEST(newest_stays),
		TEST(old_version),
		TEST(old_pairs),
		TEST(numbers),
		TEST(lost_is_said),
		TEST(given_up),
		TEST(given_up_at_once),
		TEST(whole_since),
		TEST(breaches_and_lifts),
		TEST(breach_waits),
		TEST(old_breaches),
		TEST(ends_unwritten),
		TEST(written_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
