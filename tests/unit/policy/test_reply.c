/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include "common/base/err.h"
#include "common/base/listen.h"
#include "common/config/config.h"
#include "common/policy/policy.h"
#include "common/policy/reply.h"

static void
texts(void **state)
{
	const char *path = unit_file(0,
	    "reply: { no_login = \"100% {client} "
	    "{ago}\"; };\n");
	struct config *cfg;
	struct addr client;
	struct err err;
	char code[4], status[8], text[REPLY_TEXT_MAX],
	    doubled[2 * REPLY_TEXT_MAX];
	struct decision d = { .verdict = VERDICT_REJECT,
		.reason = REASON_NO_LOGIN };

	(void)state;
	if (config_load(path, &cfg, &err) == -1)
		fail_msg("%s", err.text);
	assert_true(addr_parse_loose("2001:db8::1", &client));
	d.expires_at = 1000;
	reply_format(cfg, &d, &client, 1000 + 720, code, status, text);
	assert_string_equal(code, "550");
	assert_string_equal(status, "5.7.1");
	assert_string_equal(text, "100% 2001:db8::1 12 minutes");
	reply_double_percent(text, doubled);
	assert_string_equal(doubled, "100%% 2001:db8::1 12 minutes");

	d.other_family = true;
	reply_format(cfg, &d, &client, 1000 + 720, code, status, text);
	assert_string_equal(text,
	    "100% 2001:db8::1 12 minutes (you send over "
	    "IPv6: a login over IPv4 is no help)");
	/* whatever the admin wrote fits, or is cut */
	d.reason = REASON_LOGIN_EXPIRED;
	reply_format(cfg, &d, &client, 1001, code, status, text);
	assert_non_null(strstr(text, "expired 1 second ago"));
	d.reason = REASON_COLLECTOR_BEHIND;
	d.verdict = VERDICT_TEMPFAIL;
	reply_format(cfg, &d, &client, 0, code, status, text);
	assert_string_equal(code, "450");
	d.reason = REASON_STORE_UNAVAILABLE;
	reply_format(cfg, &d, &client, 0, code, status, text);
	assert_string_equal(code, "451");
	assert_string_equal(status, "4.3.0");
	/* an accept has no reply */
	memset(code, 'x', sizeof(code));
	memset(status, 'x', sizeof(status));
	memset(text, 'x', sizeof(text));
	d.verdict = VERDICT_ACCEPT;
	reply_format(cfg, &d, &client, 0, code, status, text);
	assert_string_equal(text, "");
	assert_string_equal(code, "");
	assert_string_equal(status, "");
	config_free(cfg);
	(void)unlink(path);
}

/* Every row that refuses has a code of its own class and a text. */
static void
every_refusal_has_a_reply(void **state)
{
	const char *path = unit_file(0, "");
	const struct addr client = { .family = ADDR_NONE };
	struct config *cfg;
	struct err err;
	char code[4], status[8], text[REPLY_TEXT_MAX];

	(void)state;
	assert_int_equal(config_load(path, &cfg, &err), 0);
	for (size_t i = 0; i < policy_rows_n; i++) {
		const struct policy_row *row = &policy_rows[i];
		const struct decision d = { .verdict = row->verdict,
			.reason = row->reason };

		ROW("%d %s", row->n, reason_name(row->reason));
		bool reject = row->verdict == VERDICT_REJECT;

		if (!reject && row->verdict != VERDICT_TEMPFAIL)
			continue;
		reply_format(cfg, &d, &client, 0, code, status, text);
		assert_string_equal(code, row->code);
		assert_string_equal(status, row->status);
		assert_int_equal(code[0], reject ? '5' : '4');
		assert_int_equal(code[0], status[0]);
		assert_true(strlen(text) > 10);
		/* an MTA puts words of its own before it */
		char said[REPLY_TEXT_MAX + 60];

		(void)snprintf(said, sizeof(said),
		    "%s <a@b>: Recipient address rejected: %s", status, text);
		assert_true(reply_is_ours(cfg, said));
		said[strlen(said) - 3] = '\0';
		assert_false(reply_is_ours(cfg, said));
	}
	assert_false(reply_is_ours(cfg, ""));
	assert_false(reply_is_ours(cfg, "5.7.1 <a@b>: Relay access denied"));
	assert_false(reply_is_ours(cfg, "5.7.1 <a@b>... Relaying denied"));
	config_free(cfg);
	(void)unlink(path);
}

/* In the largest unit of which there are two. */
static void
ages(void **state)
{
	static const struct {
		int64_t age_s;
		const char *want;
	} rows[] = { { -5, "0 seconds" }, { 0, "0 seconds" }, { 1, "1 second" },
		{ 2, "2 seconds" }, { 119, "119 seconds" },
		{ 120, "2 minutes" }, { 7199, "119 minutes" },
		{ 7200, "2 hours" }, { 172799, "47 hours" },
		{ 172800, "2 days" }, { 259199, "2 days" },
		{ 259200, "3 days" }, { 864000, "10 days" } };
	const char *path =
	    unit_file(0, "reply: { login_expired = \"{ago}\"; };\n");
	const struct addr client = { .family = ADDR_NONE };
	const struct decision d = { .verdict = VERDICT_REJECT,
		.reason = REASON_LOGIN_EXPIRED,
		.expires_at = 1000000 };
	char code[4], status[8], text[REPLY_TEXT_MAX];
	struct config *cfg;
	struct err err;

	(void)state;
	assert_int_equal(config_load(path, &cfg, &err), 0);
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%" PRId64 " s", rows[i].age_s);
		reply_format(cfg, &d, &client, 1000000 + rows[i].age_s, code,
		    status, text);
		assert_string_equal(text, rows[i].want);
	}
	config_free(cfg);
	(void)unlink(path);
}

/* Each reason is said in the admin's words for it. */
static void
own_words(void **state)
{
	static const struct {
		enum reason reason;
		const char *want;
	} rows[] = { { REASON_DENIED, "words of denied" },
		{ REASON_NO_CLIENT_IDENTITY, "words of no_client_identity" },
		{ REASON_SHARED_ADDRESS, "words of shared_address" },
		{ REASON_SENDER_MISMATCH, "words of sender_mismatch" },
		{ REASON_RATE_LIMITED, "words of rate_limited" },
		{ REASON_LOGIN_EXPIRED, "words of login_expired" },
		{ REASON_COLLECTOR_BEHIND, "words of collector_behind" },
		{ REASON_NO_LOGIN, "words of no_login" },
		{ REASON_STORE_UNAVAILABLE, "words of unavailable" },
		{ REASON_SENDER_UNKNOWN, "words of unavailable" },
		{ REASON_AUDIT_UNAVAILABLE, "words of unavailable" },
		{ REASON_DOMAIN_UNKNOWN, "words of unavailable" } };
	static const char *const names[] = { "denied", "no_client_identity",
		"shared_address", "sender_mismatch", "rate_limited",
		"login_expired", "collector_behind", "no_login",
		"unavailable" };
	char conf[1000] = "reply: {", code[4], status[8], text[REPLY_TEXT_MAX];
	const struct addr client = { .family = ADDR_NONE };
	size_t n = strlen(conf);
	struct config *cfg;
	struct err err;

	(void)state;
	for (size_t i = 0; i < LENGTH(names); i++)
		n += (size_t)snprintf(conf + n, sizeof(conf) - n,
		    " %s = \"words of %s\";", names[i], names[i]);
	(void)snprintf(conf + n, sizeof(conf) - n, " };\n");
	const char *path = unit_file(0, conf);

	if (config_load(path, &cfg, &err) == -1)
		fail_msg("%s", err.text);
	for (size_t i = 0; i < LENGTH(rows); i++) {
		const struct decision d = { .verdict = VERDICT_REJECT,
			.reason = rows[i].reason };

		ROW("%s", reason_name(rows[i].reason));
		reply_format(cfg, &d, &client, 0, code, status, text);
		assert_string_equal(text, rows[i].want);
		assert_true(reply_is_ours(cfg, text));
	}
	config_free(cfg);
	(void)unlink(path);
}

/* The configuration with these templates; its file is gone again. */
static struct config *
load(const char *templates)
{
	char text[1200];
	struct config *cfg;
	struct err err;

	(void)snprintf(text, sizeof(text), "reply: { %s };\n", templates);
	const char *path = unit_file(0, text);

	if (config_load(path, &cfg, &err) == -1)
		fail_msg("%s", err.text);
	(void)unlink(path);
	return cfg;
}

/* A template of 400 bytes may become longer than a reply: it is cut at
 * REPLY_TEXT_MAX, and the hint with it. What fits to the byte isn't cut, and of
 * the hint there is no lone blank. */
static void
cut_to_fit(void **state)
{
	enum { MOST = REPLY_TEXT_MAX - 1, ADDRESS = 37 };
	static const struct {
		size_t len; /* of the reply without a hint */
		const char *hint;
	} rows[] = { { MOST - 3, " (y" }, { MOST - 2, " (" }, { MOST - 1, "" },
		{ MOST, "" }, { MOST + 1, "" },
		/* in the middle of an address */
		{ 14 * ADDRESS, "" }, { 20 * ADDRESS, "" } };
	const struct decision d = { .verdict = VERDICT_REJECT,
		.reason = REASON_NO_LOGIN,
		.other_family = true };
	struct addr client;

	(void)state;
	assert_true(
	    addr_parse_loose("2001:db8:1111:2222:3333:4444:5555:666", &client));
	for (size_t i = 0; i < LENGTH(rows); i++) {
		char conf[600] = "no_login = \"", want[800] = "", code[4],
		     status[8];
		struct {
			char text[REPLY_TEXT_MAX], behind;
		} got = { .behind = 'g' };
		char address[ADDR_TEXT_MAX];
		size_t n = strlen(conf);

		addr_format(&client, address);
		for (size_t k = 0;
		     k < (rows[i].len % ADDRESS == 0 ? rows[i].len / ADDRESS
						     : MOST / ADDRESS - 1);
		     k++) {
			n += (size_t)snprintf(
			    conf + n, sizeof(conf) - n, "{client}");
			(void)strcat(want, address);
		}
		while (strlen(want) < rows[i].len) {
			(void)strcat(want, "z");
			conf[n++] = 'z';
		}
		assert_int_equal(strlen(want), rows[i].len);
		(void)snprintf(conf + n, sizeof(conf) - n, "\";");
		struct config *cfg = load(conf);

		ROW("%zu bytes", rows[i].len);
		reply_format(cfg, &d, &client, 0, code, status, got.text);
		(void)strcpy(want + (rows[i].len < MOST ? rows[i].len : MOST),
		    rows[i].hint);
		assert_string_equal(got.text, want);
		assert_int_equal(got.behind, 'g');
		config_free(cfg);
	}
}

/* A hint that is empty adds nothing; in one, {ago} is no time at all. */
static void
hints(void **state)
{
	static const struct {
		const char *hint, *want;
	} rows[] = { { "", "no" }, { "h", "no h" },
		{ "{ago} {family} {other}", "no 0 seconds IPv4 IPv6" } };
	const struct decision d = { .verdict = VERDICT_REJECT,
		.reason = REASON_NO_LOGIN,
		.other_family = true };
	struct addr client;

	(void)state;
	assert_true(addr_parse_loose("192.0.2.1", &client));
	for (size_t i = 0; i < LENGTH(rows); i++) {
		char conf[100], code[4], status[8], text[REPLY_TEXT_MAX];

		(void)snprintf(conf, sizeof(conf),
		    "no_login = \"no\"; other_family = \"%s\";", rows[i].hint);
		struct config *cfg = load(conf);

		ROW("%s", rows[i].hint);
		memset(code, 'x', sizeof(code));
		memset(status, 'x', sizeof(status));
		reply_format(cfg, &d, &client, 5000, code, status, text);
		assert_string_equal(text, rows[i].want);
		assert_string_equal(code, "550");
		assert_string_equal(status, "5.7.1");
		config_free(cfg);
	}
}

/* What an MTA said, and whether it is one of our replies: the words of a
 * template in their order, eight bytes of them at least. */
static void
ours(void **state)
{
	static const struct {
		const char *template, *said;
		bool want;
	} rows[] = {
		{ "12345678", "550 12345678", true },
		{ "12345678", "550 1234567", false },
		{ "1234567", "550 1234567", false },
		{ "{client}12345678", "550 192.0.2.112345678", true },
		{ "12345678{client}", "550 12345678", true },
		{ "12345678 {client} end", "550 12345678 192.0.2.1 end", true },
		{ "12345678 {client} end", "550 end 12345678 192.0.2.1",
		    false },
		{ "begin {client} 12345678", "550 12345678 begin ", false },
		/* a word that is twice in the template is twice in the reply */
		{ "12345678{client}12345678", "550 12345678", false },
		{ "12345678{client}12345678", "550 12345678, 12345678", true },
		{ "{client}{ago}", "550 192.0.2.1", false },
		/* no template is a name of the configuration's */
		{ "12345678", "/var/lib/popgate/logins.db", false },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		char conf[100];

		(void)snprintf(
		    conf, sizeof(conf), "no_login = \"%s\";", rows[i].template);
		struct config *cfg = load(conf);

		ROW("%s: %s", rows[i].template, rows[i].said);
		assert_int_equal(
		    reply_is_ours(cfg, rows[i].said), rows[i].want);
		config_free(cfg);
	}
}

static void
doubled_percents(void **state)
{
	static const char *const rows[][2] = { { "", "" }, { "a", "a" },
		{ "%", "%%" }, { "5%, %%", "5%%, %%%%" } };
	char buf[2 * REPLY_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		memset(buf, 'x', sizeof(buf));
		reply_double_percent(rows[i][0], buf);
		assert_string_equal(buf, rows[i][1]);
	}
}

static void
listen_specs(void **state)
{
	static const struct {
		const char *text, *libmilter;
	} rows[] = {
		{ "unix:/run/x.sock", "unix:/run/x.sock" },
		{ "local:/run/x.sock", "unix:/run/x.sock" },
		{ "inet:127.0.0.1:8890", "inet:8890@127.0.0.1" },
		{ "inet:8890@127.0.0.1", "inet:8890@127.0.0.1" },
		{ "inet:[::1]:8890", "inet6:8890@::1" },
		{ "inet6:8890@::1", "inet6:8890@::1" },
		{ "inet:8890", NULL },
		{ "inet::8890", NULL },
		{ "inet:127.0.0.1:0", NULL },
		{ "inet:127.0.0.1:70000", NULL },
		{ "inet:127.0.0.1:80x", NULL },
		{ "unix:relative", NULL },
		{ "/run/x.sock", NULL },
		{ "fd:3", NULL },
		{ "", NULL },
	};
	struct listen_spec spec;
	struct err err;
	char text[400], longest[200];

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i].text);
		int rc = listen_parse(rows[i].text, &spec, &err);

		assert_int_equal(rc, rows[i].libmilter != NULL ? 0 : -1);
		if (rc == -1)
			continue;
		listen_for_libmilter(&spec, text);
		assert_string_equal(text, rows[i].libmilter);
	}
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	memcpy(longest, "unix:/", 6);
	assert_int_equal(listen_parse(longest, &spec, &err), -1);
}

static void
sockets(void **state)
{
	char text[120], path[100];
	struct listen_spec spec;
	struct stat st;
	struct err err;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/s", unit_dir());
	(void)snprintf(text, sizeof(text), "unix:%s", path);
	assert_int_equal(listen_parse(text, &spec, &err), 0);
	int fd = listen_open(&spec, 0600, (gid_t)-1, &err);

	if (fd == -1)
		fail_msg("%s", err.text);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	/* never steal a living instance's socket */
	assert_int_equal(listen_open(&spec, 0600, (gid_t)-1, &err), -1);
	assert_non_null(strstr(err.text, "another process listens"));
	int client = listen_connect(&spec);

	assert_int_not_equal(client, -1);
	(void)close(client);
	(void)close(fd);
	/* a dead one is in nobody's way */
	fd = listen_open(&spec, 0660, (gid_t)-1, &err);
	assert_int_not_equal(fd, -1);
	(void)close(fd);
	(void)unlink(path);
	/* but a file that is no socket stays */
	FILE *out = fopen(path, "w");

	assert_non_null(out);
	(void)fclose(out);
	assert_int_equal(listen_open(&spec, 0660, (gid_t)-1, &err), -1);
	assert_non_null(strstr(err.text, "no socket"));
	(void)unlink(path);
	*strrchr(path, '/') = '\0';
	(void)rmdir(path);
	/* the missing directory is named */
	assert_int_equal(listen_open(&spec, 0660, (gid_t)-1, &err), -1);
	assert_non_null(strstr(err.text, path));
	assert_non_null(strstr(err.text, "No such file"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts),
		cmocka_unit_test(every_refusal_has_a_reply),
		cmocka_unit_test(ages),
		cmocka_unit_test(own_words),
		cmocka_unit_test(cut_to_fit),
		cmocka_unit_test(hints),
		cmocka_unit_test(ours),
		cmocka_unit_test(doubled_percents),
		cmocka_unit_test(listen_specs),
		cmocka_unit_test(sockets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
