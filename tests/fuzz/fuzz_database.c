/* SPDX-License-Identifier: ISC */
/* Databases that were damaged byte by byte, as popgate-milter and popgatectl
 * open and read them: an error, or rows, and never a byte that isn't there.
 *
 * The first byte says which file is damaged: logins.db, audit.db, or the
 * write-ahead log of either. Then four bytes each: where (in 2 bytes of the 64
 * KiB from a page on), which page, and what is written there. */
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "common/db/audit.h"
#include "common/records/userlist.h"
#include "tests/fuzz/fuzz_gate.h"

enum { FILES = 4, IMAGE_MAX = 1 << 20, PAGE = 4096 };

static const char *const names[FILES] = { "logins.db", "audit.db",
	"logins.db-wal", "audit.db-wal" };

static struct image {
	char *bytes;
	size_t len;
} images[FILES];

/* Reading what strings hold is what ASan checks. */
static volatile size_t sum;

static const char *
path(const char *name)
{
	static char buf[4][120];
	static int i;

	i = (i + 1) % 4;
	(void)snprintf(buf[i], sizeof(buf[i]), "%s/%s", fuzz_dir, name);
	return buf[i];
}

static void
load(int i)
{
	int fd = open(path(names[i]), O_RDONLY | O_CLOEXEC);

	if (fd == -1)
		fuzz_die(names[i], "isn't there");
	images[i].bytes = malloc(IMAGE_MAX);
	ssize_t n = read(fd, images[i].bytes, IMAGE_MAX);

	if (n <= 0)
		fuzz_die(names[i], "is empty");
	images[i].len = (size_t)n;
	(void)close(fd);
}

static void
save(int i, const char *bytes, size_t len)
{
	int fd = open(
	    path(names[i]), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd == -1 || write(fd, bytes, len) != (ssize_t)len)
		fuzz_die(names[i], "can't be written");
	(void)close(fd);
}

static void
drop_line(const char *line, size_t len)
{
	(void)line;
	(void)len;
}

static void
tell_state(bool good, const char *text)
{
	if (!good)
		fuzz_die("audit", text);
}

/* Rows of every kind. */
static void
make_audit(void)
{
	const struct audit_options options = { .path = path("audit.db"),
		.queue = 1000,
		.keep_s = 1000000,
		.log_line = drop_line,
		.log_state = tell_state };
	const struct audit_breach breach = { .at_ms = clock_now_ms(),
		.subject = FRIEND,
		.setting = "client_recipients",
		.allowed = "2/1h",
		.client = FRIEND,
		.denied_until = clock_now() + 1000 };
	struct audit *audit;
	struct err err;

	if (audit_start(&options, &audit, &err) == -1)
		fuzz_die("audit_start", err.text);
	for (int i = 0; i < 60; i++) {
		const struct audit_facts facts = { .at_ms = clock_now_ms(),
			.session = "s",
			.queue_id = i % 3 == 0 ? NULL : "4ABC",
			.client = i % 2 == 0 ? FRIEND : STRANGER,
			.sender = "a@example.org",
			.recipient = "b@example.net",
			.login_user = i % 2 == 0 ? "al" : NULL,
			.reply = i % 2 == 0 ? "" : "550 5.7.1 no",
			.mta = "Postfix 3.7",
			.channel = i % 4 == 0 ? CHANNEL_POLICY : CHANNEL_MILTER,
			.decision = { .verdict = i % 2 == 0 ? VERDICT_ACCEPT
							    : VERDICT_REJECT,
			    .reason = i % 2 == 0 ? REASON_RECENT_LOGIN
						 : REASON_NO_LOGIN,
			    .rule = 10 } };

		(void)audit_submit(audit, audit_row_new(&facts), false);
	}
	audit_breach(audit, &breach);
	/* before the end, which empties the write-ahead log */
	(void)audit_wait(audit, audit_sync(audit), 10000);
	load(1);
	load(3);
	audit_stop(&audit);
}

static void
make_images(void)
{
	static struct gate_config *kept;
	struct store *table;
	struct err err;

	kept = fuzz_config(); /* the tables are what is wanted of it */
	sum += kept == NULL;
	make_audit();
	/* closing the last handle empties the log: keep one */
	if (store_open(path("logins.db"), STORE_WRITE, &table, &err) == -1)
		fuzz_die("logins.db", err.text);
	fuzz_login(table, "2001:db8::/32", 1000, INT64_C(2000000000));
	load(0);
	load(2);
	store_close(&table);
}

static void
damage(int which, const uint8_t *data, size_t size)
{
	static char bytes[IMAGE_MAX];
	size_t len = images[which].len;

	memcpy(bytes, images[which].bytes, len);
	for (; size >= 4; data += 4, size -= 4) {
		size_t at = data[0] | (size_t)data[1] << 8;

		at = (at + (size_t)data[2] * PAGE) % images[which].len;
		bytes[at] = (char)data[3];
	}
	/* what is left over cuts the file */
	if (size == 1 || size == 2)
		len = len * data[0] / 256;
	save(which, bytes, len);
}

static void
use(const char *text)
{
	if (text != NULL)
		sum += strlen(text);
}

static bool
use_row(void *arg, const struct store_row *row)
{
	(void)arg;
	use(row->client);
	use(row->user);
	use(row->service);
	use(row->server);
	use(row->connected_service);
	return true;
}

static bool
use_event(void *arg, const struct store_event *e)
{
	(void)arg;
	use(e->client);
	use(e->user);
	use(e->line);
	use(e->source);
	return true;
}

static bool
use_source(void *arg, const struct store_source *s)
{
	(void)arg;
	use(s->name);
	use(s->fingerprint);
	return true;
}

static void
look_up(struct store *st, const char *client)
{
	struct store_lookup found;
	struct addr addr;
	struct err err;

	if (!addr_parse_n(client, strlen(client), &addr))
		abort();
	if (store_lookup(st, &addr, "al", 64, clock_now(), &found, &err) ==
	    -1) {
		use(err.text);
		return;
	}
	use(found.user);
	if (userlist_count(found.login_users) > USERLIST_USERS)
		abort();
	if (found.active != (found.rows > 0))
		fuzz_die(client, "active without a row");
}

static void
read_logins(void)
{
	struct store *st;
	struct err err;
	int64_t at;

	if (store_open(path("logins.db"), STORE_READ, &st, &err) == -1) {
		use(err.text);
		return;
	}
	look_up(st, FRIEND);
	look_up(st, STRANGER);
	look_up(st, "2001:db8::1");
	(void)store_each_row(st, NULL, NULL, INT64_MIN, use_row, NULL, &err);
	(void)store_each_event(st, FRIEND, 100, use_event, NULL, &err);
	(void)store_each_source(st, use_source, NULL, &err);
	(void)store_sources_read_at(st, &at, &err);
	store_close(&st);
}

static bool
use_record(void *arg, const struct audit_record *r)
{
	(void)arg;
	use(r->client);
	use(r->sender);
	use(r->recipient);
	use(r->verdict);
	use(r->reason);
	use(r->login_user);
	use(r->message);
	return true;
}

static bool
use_breach(void *arg, const struct audit_breach *b)
{
	(void)arg;
	use(b->subject);
	use(b->setting);
	use(b->client);
	return true;
}

static bool
use_group(void *arg, const struct audit_group *g)
{
	(void)arg;
	use(g->key);
	return true;
}

static void
use_brief(void *arg, const struct audit_brief *b)
{
	(void)arg;
	use(b->client.text);
	use(b->sender.text);
	use(b->login_user.text);
}

static void
read_audit(void)
{
	const struct audit_filter filters[] = { { .channels = true },
		{ .client = FRIEND, .newest_first = true } };
	const struct audit_group_query query = { .by = AUDIT_BY_CLIENT };
	const struct audit_relayed relayed = { .rows_max = 1000 };
	struct audit_reader *r;
	struct err err;

	if (audit_open_reader(path("audit.db"), &r, &err) == -1) {
		use(err.text);
		return;
	}
	for (int i = 0; i < 2; i++)
		(void)audit_each(r, &filters[i], use_record, NULL, &err);
	(void)audit_each_relayed(r, &relayed, NULL, use_record, NULL, &err);
	(void)audit_each_breach(r, 0, false, NULL, use_breach, NULL, &err);
	(void)audit_each_denial(r, 1, use_breach, NULL, &err);
	(void)audit_each_group(r, &query, use_group, NULL, &err);
	(void)audit_scan(r, 0, 0, use_brief, NULL, &err);
	audit_close_reader(&r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (images[0].bytes == NULL)
		make_images();
	if (size < 2 || size > 400)
		return 0;
	int which = data[0] % FILES, db = which % 2;

	for (int i = db; i < FILES; i += 2)
		if (i != which)
			save(i, images[i].bytes, images[i].len);
	damage(which, data + 1, size - 1);
	(void)unlink(path(db == 0 ? "logins.db-shm" : "audit.db-shm"));
	if (db == 0)
		read_logins();
	else
		read_audit();
	return 0;
}
