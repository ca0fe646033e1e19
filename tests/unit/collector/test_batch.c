/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include "collector/batch.h"
#include "common/base/err.h"
#include "common/db/store.h"

/* A batch does in few statements what store_login() does one by one: the
 * same tables must come out, whatever the order and the repetitions. */

static char dir[64];

static struct store *
open_store(const char *name)
{
	struct store *st;
	struct err err;
	char path[100];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (store_open(path, STORE_WRITE, &st, &err) == -1)
		fail_msg("%s", err.text);
	return st;
}

static struct login
random_login(void)
{
	static const char *const words[] = { "imap", "pop3", "" };
	struct login login = { .client = { .family = ADDR_IPV4,
				   .bytes = {
				       192, 0, 2, (uint8_t)(rand() % 5) } } };

	(void)snprintf(login.user, sizeof(login.user), "u%d", rand() % 3);
	(void)snprintf(
	    login.service, sizeof(login.service), "%s", words[rand() % 3]);
	(void)snprintf(login.server, sizeof(login.server), "s%d", rand() % 3);
	login.at = 1000 + rand() % 20;
	return login;
}

/* As the judge accepts it. */
static struct judged
judged_of(const struct login *login, int64_t expires_at)
{
	return (struct judged){ .fate = FATE_LOGIN,
		.login = *login,
		.net = network_of(&login->client, 32),
		.expires_at = expires_at };
}

struct text {
	char buf[200000];
	size_t n;
};

static bool
add_row(void *arg, const struct store_row *r)
{
	struct text *t = arg;

	t->n += (size_t)snprintf(t->buf + t->n, sizeof(t->buf) - t->n,
	    "%s %s %s %s %jd %jd %jd %jd\n", r->client, r->user, r->service,
	    r->server, (intmax_t)r->first_at, (intmax_t)r->last_at,
	    (intmax_t)r->expires_at, (intmax_t)r->count);
	return true;
}

static bool
add_event(void *arg, const struct store_event *e)
{
	struct text *t = arg;

	t->n += (size_t)snprintf(t->buf + t->n, sizeof(t->buf) - t->n,
	    "%jd %jd %s %s %s %s %s %jd %s\n", (intmax_t)e->id, (intmax_t)e->at,
	    e->client, e->user, e->service, e->server, e->source,
	    (intmax_t)e->position, e->line);
	return true;
}

static void
tables(struct store *st, struct text *t)
{
	struct err err;
	char client[32];

	t->n = 0;
	assert_int_equal(
	    store_each_row(st, NULL, NULL, INT64_MIN, add_row, t, &err), 0);
	for (int i = 0; i < 5; i++) {
		(void)snprintf(client, sizeof(client), "192.0.2.%d", i);
		assert_int_equal(
		    store_each_event(st, client, 1000, add_event, t, &err), 0);
	}
}

static void
same_as_one_by_one(void **state)
{
	static const char *const lines[] = { "a line", "", "\x1b[2J\xff",
		"tab\there" };
	static struct text one, many;
	struct store *st1 = open_store("one"), *st2 = open_store("many");
	struct batch *b = batch_new();
	struct err err;

	(void)state;
	srand(7);
	for (int round = 0; round < 20; round++) {
		assert_int_equal(store_begin(st1, &err), 0);
		for (int i = rand() % 40; i >= 0; i--) {
			struct login login = random_login();
			struct network net = network_of(&login.client, 32);
			/* the window may change at a reload */
			int64_t expires_at = login.at + rand() % 30;
			const char *line = lines[rand() % 4];
			const struct store_evidence ev = { .source = "file:x",
				.position = i,
				.line = line,
				.line_len = strlen(line) };

			assert_int_equal(store_login(st1, &login, &net,
					     expires_at, &ev, &err),
			    0);
			struct judged judged = judged_of(&login, expires_at);

			batch_add(b, &judged, "file:x", i, line, strlen(line));
		}
		assert_int_equal(store_commit(st1, &err), 0);
		assert_int_equal(store_begin(st2, &err), 0);
		assert_int_equal(batch_store(b, st2, &err), 0);
		assert_int_equal(store_commit(st2, &err), 0);
		batch_clear(b);
		tables(st1, &one);
		tables(st2, &many);
		assert_string_equal(one.buf, many.buf);
	}
	assert_true(one.n > 5000);
	batch_free(&b);
	store_close(&st1);
	store_close(&st2);
}

/* --- what an admin deleted --- */

enum { LINES = 400, CLIENTS = 5, WINDOW = 100000 };

/* A log line, and what becomes of it. */
struct seen {
	int client;
	int64_t stamp; /* by the server's clock */
	char text[40];
	bool
	    opens; /* it was new when it was read, and no deletion came since */
};

static void
read_lines(struct store *st, struct batch *b, struct seen *const *v, size_t n,
    int64_t now)
{
	struct err err;

	for (size_t i = 0; i < n; i++) {
		struct login login = { .user = "u",
			.service = "imap",
			.server = "dovecot",
			.client = { .family = ADDR_IPV4,
			    .bytes = { 192, 0, 2, (uint8_t)v[i]->client } },
			/* as judge_date() does it */
			.at = v[i]->stamp > now ? now : v[i]->stamp };
		struct judged judged = judged_of(&login, login.at + WINDOW);

		batch_add(
		    b, &judged, "file:x", 0, v[i]->text, strlen(v[i]->text));
	}
	assert_int_equal(store_begin(st, &err), 0);
	assert_int_equal(batch_store(b, st, &err), 0);
	assert_int_equal(store_commit(st, &err), 0);
	batch_clear(b);
}

static void
expect_active(struct store *st, const struct seen *v, size_t n, int64_t now)
{
	for (int c = 0; c < CLIENTS; c++) {
		const struct addr client = { .family = ADDR_IPV4,
			.bytes = { 192, 0, 2, (uint8_t)c } };
		struct store_lookup got;
		bool want = false;
		struct err err;

		for (size_t i = 0; i < n; i++)
			want |= v[i].client == c && v[i].opens;
		assert_int_equal(
		    store_lookup(st, &client, NULL, 128, now, &got, &err), 0);
		ROW("client %d", c);
		assert_int_equal(got.active, want);
	}
}

static void
delete_client(
    struct store *st, struct seen *v, size_t n, int client, int64_t now)
{
	char text[20];
	struct err err;

	(void)snprintf(text, sizeof(text), "192.0.2.%d", client);
	assert_int_equal(store_begin(st, &err), 0);
	assert_true(store_delete(st, text, now, &err) >= 0);
	assert_int_equal(store_commit(st, &err), 0);
	for (size_t i = 0; i < n; i++)
		if (v[i].client == client)
			v[i].opens = false;
}

/* Lines are written, read, read again in any order and any number of times,
 * and clients deleted in between; servers' clocks are ahead or behind. A client
 * may relay if and only if one of its lines was new after its deletion, and
 * not dated before. */
static void
deletion_holds(void **state)
{
	static struct seen v[LINES];
	struct seen *all[LINES], *one;
	struct batch *b = batch_new();

	(void)state;
	for (unsigned seed = 1; seed <= 20; seed++) {
		char name[20];
		int64_t now = 1000000, deleted_at[CLIENTS] = { 0 };
		size_t n = 0;

		(void)snprintf(name, sizeof(name), "deleted%u", seed);
		struct store *st = open_store(name);

		srand(seed);
		while (n < LINES) {
			int c = rand() % CLIENTS;

			now += rand() % 4;
			switch (rand() % 6) {
			case 0:
				delete_client(st, v, n, c, now);
				deleted_at[c] = now;
				break;
			case 1: /* all again, from somewhere on, shuffled */
				for (size_t i = 0; i < n; i++) {
					size_t j = (size_t)rand() % (i + 1);

					all[i] = all[j];
					all[j] = &v[i];
				}
				read_lines(st, b, all,
				    n == 0 ? 0 : (size_t)rand() % n, now);
				break;
			default:
				one = &v[n++];
				one->client = c;
				one->stamp = now + rand() % 40 - 10;
				(void)snprintf(one->text, sizeof(one->text),
				    "line %zu%s", n, n % 3 ? "" : "\xff");
				one->opens =
				    (one->stamp > now ? now : one->stamp) >
				    deleted_at[c];
				read_lines(st, b, &one, 1, now);
				break;
			}
			expect_active(st, v, n, now);
		}
		store_close(&st);
	}
	batch_free(&b);
}

/* Of everybody, by time; what no line can be of any more is forgotten. */
static void
deletion_of_all(void **state)
{
	static struct seen v[] = { { 1, 100, "a", false },
		{ 2, 101, "b", true }, { 3, 102, "c", false } };
	struct seen *const all[] = { &v[0], &v[1], &v[2] };
	struct batch *b = batch_new();
	struct store *st = open_store("everybody");
	struct err err;
	int64_t at = 0;

	(void)state;
	assert_int_equal(store_delete_older(st, 100, &err), 0);
	/* an earlier one takes nothing back */
	assert_int_equal(store_delete_older(st, 50, &err), 0);
	delete_client(st, v, 0, 3, 102);
	read_lines(st, b, all, 3, 200);
	expect_active(st, v, 3, 200);
	assert_int_equal(store_deleted_find(st, "192.0.2.1", &at, &err), 1);
	assert_int_equal(at, 100);
	assert_int_equal(store_deleted_find(st, "192.0.2.3", &at, &err), 1);
	assert_int_equal(at, 102);
	/* a clock that was ahead: nobody could log in until then */
	assert_int_equal(store_begin(st, &err), 0);
	assert_int_not_equal(store_cap_future(st, 90, 95, 60, &err), -1);
	assert_int_equal(store_commit(st, &err), 0);
	assert_int_equal(store_deleted_find(st, "192.0.2.3", &at, &err), 1);
	assert_int_equal(at, 90);
	assert_int_equal(store_prune_events(st, 90, 10, &err), 0);
	assert_int_equal(store_deleted_find(st, "192.0.2.3", &at, &err), 1);
	assert_int_not_equal(store_prune_events(st, 91, 10, &err), -1);
	assert_int_equal(store_deleted_find(st, "192.0.2.3", &at, &err), 0);
	store_close(&st);
	batch_free(&b);
}

static void
bounded(void **state)
{
	static char line[40000];
	struct batch *b = batch_new();
	struct login login = random_login();
	struct judged judged;
	size_t n = 0;

	(void)state;
	memset(line, 'x', sizeof(line));
	memset(login.user, 'u', sizeof(login.user) - 1);
	judged = judged_of(&login, 1);
	while (!batch_full(b)) {
		batch_add(b, &judged, "s", 1, line, sizeof(line));
		n++;
	}
	assert_true(n > 100 && n < 1000);
	batch_clear(b);
	for (n = 0; !batch_full(b); n++)
		batch_add(b, &judged, "s", 1, "", 0);
	assert_true(n > 4096);
	assert_int_equal(batch_count(b), n);
	batch_free(&b);
	batch_free(&b);
}

/* Lines that are read again aren't written twice; those of others stay. */
static void
dropped(void **state)
{
	static const char *const sources[] = { "a", "b", "a", "c", "a" };
	struct store *st = open_store("dropped");
	struct batch *b = batch_new();
	struct network net;
	static struct text got;
	struct err err;

	(void)state;
	assert_true(network_parse("192.0.2.1", &net));
	for (size_t i = 0; i < 5; i++) {
		const struct judged judged = { .fate = FATE_LOGIN,
			.login = { .client = net.base,
			    .user = "u",
			    .at = 1000 + (int64_t)i },
			.net = net,
			.expires_at = 2000 };

		batch_add(b, &judged, sources[i], (int64_t)i, "l", 1);
	}
	batch_drop(b, "a");
	assert_int_equal(batch_count(b), 2);
	batch_drop(b, "nobody");
	assert_int_equal(batch_count(b), 2);
	assert_int_equal(store_begin(st, &err), 0);
	assert_int_equal(batch_store(b, st, &err), 0);
	assert_int_equal(store_commit(st, &err), 0);
	got.n = 0;
	assert_int_equal(
	    store_each_row(st, NULL, NULL, INT64_MIN, add_row, &got, &err), 0);
	assert_string_equal(got.buf, "192.0.2.1 u   1001 1003 2000 2\n");
	batch_free(&b);
	store_close(&st);
}

static void
nothing(void **state)
{
	struct store *st = open_store("none");
	struct batch *b = batch_new();
	struct err err;

	(void)state;
	assert_int_equal(store_begin(st, &err), 0);
	assert_int_equal(batch_store(b, st, &err), 0);
	assert_int_equal(store_commit(st, &err), 0);
	batch_free(&b);
	store_close(&st);
}

static int
set_up(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "%s", unit_memory_dir());
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	return unit_remove(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(
						same_as_one_by_one),
		cmocka_unit_test(deletion_holds),
		cmocka_unit_test(deletion_of_all), cmocka_unit_test(bounded),
		cmocka_unit_test(dropped), cmocka_unit_test(nothing) };

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
