/* SPDX-License-Identifier: ISC */
/* Tests of parse.h. The judged lines are in $POPGATE_TEST_DATA (default
 * tests/data): corpus.tsv, each row one test, judged with the default
 * never_authorize; captured/<server>.tsv, what real servers wrote, under
 * attack too. 6.6.6.6 is always an address that an attacker wrote into a
 * name, and must never come out. */
#include "tests/unit/unit.h"

#include <unistd.h>

#include <ctype.h>
#include <time.h>

#include "common/base/addr.h"
#include "common/base/err.h"
#include "common/grammar/grammar.h"
#include "common/grammar/parse.h"

enum { NOW = 1772550000 }; /* 2026-03-03 15:00:00 UTC */

static const char *const default_never[] = {
	"0.0.0.0/8",
	"127.0.0.0/8",
	"::/128",
	"::1/128",
	"169.254.0.0/16",
	"fe80::/10",
	"224.0.0.0/4",
	"ff00::/8",
	"255.255.255.255/32",
};

static struct network_set never;

static struct parser *
new_parser(const struct parser_options *options)
{
	struct parser *parser;
	struct err err = { .code = ERR_NONE };

	if (parser_new(options, &parser, &err) == -1)
		fail_msg("parser_new: %s", err.text);
	return parser;
}

static char *
read_file(const char *name, size_t *len_r)
{
	FILE *f;
	char *text;
	long len;

	f = fopen(unit_data(name), "rb");
	if (f == NULL)
		fail_msg("cannot open %s", unit_data(name));
	assert_int_equal(fseek(f, 0, SEEK_END), 0);
	len = ftell(f);
	assert_true(len > 0);
	rewind(f);
	text = malloc((size_t)len + 1);
	assert_non_null(text);
	assert_int_equal(fread(text, 1, (size_t)len, f), (size_t)len);
	fclose(f);
	text[len] = '\0';
	*len_r = (size_t)len;
	return text;
}

/* Cut the first n fields of a row in place; the last is the rest. */
static size_t
cut_fields(char *row, char **fields, size_t n)
{
	size_t i = 0;

	while (i < n) {
		fields[i++] = row;
		if (i == n)
			break;
		row = strchr(row, '\t');
		if (row == NULL)
			break;
		*row++ = '\0';
	}
	return i;
}

/* ---- corpus.tsv: a test a row ---- */

struct corpus_row {
	const char *name;
	char *server, *verdict, *user, *ip, *line;
	char full_name[128];
};

static void
corpus_row_is_judged(void **state)
{
	const struct corpus_row *row = *state;
	const struct parser_options options = { .nginx_file = true };
	struct parser *parser = new_parser(&options);
	struct parse_result got;
	char got_ip[ADDR_TEXT_MAX];

	parser_line(parser, row->line, strlen(row->line), NOW, &got);
	if (got.fate == FATE_LOGIN &&
	    network_set_contains(&never, &got.login.client))
		got.fate = FATE_NEVER_AUTHORIZE;
	assert_string_equal(
	    got.fate == FATE_LOGIN ? "login" : "ignore", row->verdict);
	if (got.fate == FATE_LOGIN) {
		assert_string_equal(got.login.user, row->user);
		assert_string_equal(
		    addr_format(&got.login.client, got_ip), row->ip);
		assert_true(
		    got.login.at > NOW - 86400 && got.login.at < NOW + 86400);
	}
	parser_free(&parser);
}

/* Does byte at of a line stand in a copy of text? */
static bool
stands_in(const char *line, size_t at, const char *text)
{
	for (const char *p = line; (p = strstr(p, text)) != NULL; p++)
		if (at >= (size_t)(p - line) &&
		    at < (size_t)(p - line) + strlen(text))
			return true;
	return false;
}

enum damage { CHANGED, BLANK, LOST, DOUBLED, CUT, DAMAGES };

/* Returns the length of the line with its byte at damaged. */
static size_t
damage(const char *line, size_t at, enum damage how, char *out)
{
	size_t len = strlen(line);

	memcpy(out, line, len + 1);
	switch (how) {
	case CHANGED:
		out[at] = '~';
		break;
	case BLANK:
		out[at] = ' ';
		break;
	case LOST:
		memmove(out + at, out + at + 1, len - at);
		return len - 1;
	case DOUBLED:
		memmove(out + at + 1, out + at, len - at + 1);
		return len + 1;
	default:
		return at;
	}
	return len;
}

/* A line with any one byte of it damaged is no login, or that of the same user
 * from the same address, unless it is they that were damaged. */
static void
damaged_row_is_judged(void **state)
{
	const struct corpus_row *row = *state;
	const struct parser_options options = { .nginx_file = true };
	struct parser *parser = new_parser(&options);
	struct parse_result got;
	char got_ip[ADDR_TEXT_MAX], mapped[ADDR_TEXT_MAX + 8], line[2000];
	size_t len = strlen(row->line);

	assert_true(len + 2 < sizeof(line));
	(void)snprintf(mapped, sizeof(mapped), "::ffff:%s", row->ip);
	for (size_t at = 0; at < len; at++)
		for (int how = 0; how < DAMAGES; how++) {
			size_t n =
			    damage(row->line, at, (enum damage)how, line);

			ROW("byte %zu, damage %d: %.*s", at, how, (int)n, line);
			parser_line(parser, line, n, NOW, &got);
			if (got.fate != FATE_LOGIN)
				continue;
			if (how == CHANGED ||
			    (!stands_in(row->line, at, row->ip) &&
				!stands_in(row->line, at, mapped)))
				assert_string_equal(
				    addr_format(&got.login.client, got_ip),
				    row->ip);
			if (how == CHANGED &&
			    !stands_in(row->line, at, row->user))
				assert_string_equal(got.login.user, row->user);
		}
	parser_free(&parser);
}

/* A new server needs these, too: docs/HACKING.md. */
static int
run_servers(const struct corpus_row *rows, size_t n)
{
	static char page[128 * 1024];
	FILE *f = fopen("docs/man/popgate-collector.8", "r");
	char item[64], fuzzer[128];
	int failed = 0;

	assert_non_null(f);
	(void)!fread(page, 1, sizeof(page) - 1, f);
	(void)fclose(f);
	for (size_t g = 0; g < GRAMMAR_N; g++) {
		const char *name = grammars[g]->name;
		size_t i = 0;

		while (i < n && strcmp(rows[i].server, name) != 0)
			i++;
		(void)snprintf(item, sizeof(item), "\n.It %s\n", name);
		(void)snprintf(
		    fuzzer, sizeof(fuzzer), "tests/fuzz/fuzz_parse_%s.c", name);
		for (char *p = fuzzer; *p != '\0'; p++)
			*p = *p == '-' ? '_' : *p;
		bool line = i < n, said = strstr(page, item) != NULL;
		bool fuzzed = access(fuzzer, R_OK) == 0;

		if (line && said && fuzzed)
			continue;
		(void)fprintf(stderr, "%s lacks%s%s%s\n", name,
		    line ? "" : " a line in tests/data/corpus.tsv",
		    said ? "" : " an .It in popgate-collector(8)",
		    fuzzed ? "" : " its tests/fuzz/fuzz_parse_*.c");
		failed++;
	}
	return failed;
}

static int
run_corpus(void)
{
	size_t len;
	char *text = read_file("corpus.tsv", &len);
	static struct corpus_row rows[512];
	size_t n = 0;

	for (char *line = strtok(text, "\n"); line != NULL;
	     line = strtok(NULL, "\n")) {
		struct corpus_row *row = &rows[n];
		char *fields[5] = { NULL };

		assert_true(n < LENGTH(rows));
		assert_int_equal(cut_fields(line, fields, 5), 5);
		row->server = fields[0];
		row->verdict = fields[1];
		row->user = fields[2];
		row->ip = fields[3];
		row->line = fields[4];
		row->name = row->full_name;
		snprintf(row->full_name, sizeof(row->full_name),
		    "corpus %zu: %s %s %s", ++n, row->server, row->verdict,
		    row->user);
	}
	if (n < 206) {
		(void)fprintf(stderr, "corpus.tsv: only %zu rows\n", n);
		free(text);
		return 1;
	}

	int failed = check_run_rows(
	    "corpus", rows, sizeof(*rows), n, corpus_row_is_judged);

	failed += run_servers(rows, n);
	size_t logins = 0;

	for (size_t i = 0; i < n; i++)
		if (strcmp(rows[i].verdict, "login") == 0)
			rows[logins++] = rows[i];
	for (size_t i = 0; i < logins; i++)
		rows[i].name = rows[i].full_name;
	failed += check_run_rows(
	    "damaged", rows, sizeof(*rows), logins, damaged_row_is_judged);

	free(text);
	return failed;
}

/* ---- captured files ---- */

struct captured {
	const char *name;
	const char *paired; /* a two-line server to pair, or NULL */
	unsigned want_logins;
	/* Logins that did happen, but whose line can be read in two ways. */
	unsigned want_ambiguous;
};

static const struct captured captured[] = {
	{ .name = "courier", .want_logins = 40 },
	{ .name = "cyrus", .want_logins = 42 },
	{ .name = "dovecot", .want_logins = 42 },
	/* auth_username_chars emptied: names with ">, " and "rip=" log in */
	{ .name = "dovecot-evil", .want_logins = 136, .want_ambiguous = 20 },
	{ .name = "dovecot-file", .want_logins = 42 },
	{ .name = "imapproxy", .want_logins = 9 },
	{ .name = "nginx", .want_logins = 31 },
	{ .name = "perdition", .want_logins = 17 },
	{ .name = "popa3d", .paired = "popa3d", .want_logins = 8 },
	{ .name = "postfix" },
	{ .name = "sendmail" },
	{ .name = "solid", .want_logins = 9 },
};

/* The files tell which name the client sent. A server may have logged another
 * (folded, cut, mapped), and then there is nothing to compare. */
static bool
user_agrees(char *want, const char *line, const char *got)
{
	const char *msg = strstr(line, ": ");

	while (*want == ' ')
		want++;
	for (size_t len = strlen(want); len > 0 && want[len - 1] == ' ';)
		want[--len] = '\0';
	if (got[0] == '\0' || strstr(msg ? msg : line, want) == NULL)
		return true;
	while (*got == ' ')
		got++;
	return strncmp(want, got, strlen(want)) == 0;
}

static void
captured_row(struct parser *parser, char **fields, unsigned *logins_r,
    unsigned *ambiguous_r)
{
	struct parse_result got;
	char got_ip[ADDR_TEXT_MAX];
	bool want_login = strcmp(fields[0], "login") == 0;

	parser_line(
	    parser, fields[3], strlen(fields[3]), 1795255200 + 86400, &got);
	if (got.fate != FATE_LOGIN) {
		if (!want_login)
			return;
		if (got.fate != FATE_AMBIGUOUS)
			fail_msg("ignored: %s", fate_name(got.fate));
		++*ambiguous_r;
		return;
	}
	addr_format(&got.login.client, got_ip);
	if (!want_login || strcmp(got_ip, fields[2]) != 0 ||
	    !user_agrees(fields[1], fields[3], got.login.user))
		fail_msg("got login %s %s, want %s %s %s", got.login.user,
		    got_ip, fields[0], fields[1], fields[2]);
	++*logins_r;
}

static void
captured_file_is_judged(void **state)
{
	const struct captured *file = *state;
	const char *const servers[] = { "all", file->paired };
	const struct parser_options options = {
		.servers = servers,
		.servers_n = file->paired ? 2 : 1,
	};
	struct parser *parser = new_parser(&options);
	unsigned logins = 0, ambiguous = 0;
	size_t len, row = 0;
	char name[64];
	char *text, *line;

	snprintf(name, sizeof(name), "captured/%s.tsv", file->name);
	text = read_file(name, &len);
	for (line = strtok(text, "\n"); line != NULL;
	     line = strtok(NULL, "\n")) {
		char *fields[4] = { NULL };

		row++;
		assert_int_equal(cut_fields(line, fields, 4), 4);
		ROW("%zu, %s", row, fields[3]);
		captured_row(parser, fields, &logins, &ambiguous);
	}
	assert_int_equal(logins, file->want_logins);
	assert_int_equal(ambiguous, file->want_ambiguous);
	free(text);
	parser_free(&parser);
}

/* ---- messages ---- */

struct message_row {
	const char *name;
	const char *program;
	const char *msg;
	enum fate want; /* not said: a login */
	const char *want_user;
	const char *want_ip;
	const char *want_service;
};

static enum fate
wanted(enum fate want)
{
	return want == FATE_NONE ? FATE_LOGIN : want;
}

/* A hundred letters, for names that are meant to be long. */
#define X100                                                 \
	"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" \
	"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const struct message_row messages[] = {
	/* Dovecot */
	{ .name = "dovecot: elements in another order",
	    .program = "dovecot",
	    .msg = "imap-login: Login: rip=192.0.2.1, lip=192.0.2.9, user=<a>, "
		   "session=<x>, method=PLAIN",
	    .want_user = "a",
	    .want_ip = "192.0.2.1",
	    .want_service = "imap" },
	{ .name = "dovecot: user last",
	    .program = "dovecot",
	    .msg =
		"pop3-login: Login: method=PLAIN, rip=192.0.2.1, lip=192.0.2.9, "
		"TLS, user=<a@example.org>",
	    .want_user = "a@example.org",
	    .want_ip = "192.0.2.1",
	    .want_service = "pop3" },
	{ .name = "dovecot: address last may be cut",
	    .program = "dovecot",
	    .msg = "imap-login: Login: user=<a>, method=PLAIN, lip=192.0.2.9, "
		   "rip=192.0.2.1",
	    .want = FATE_TRUNCATED },
	{ .name = "dovecot: extra elements behind",
	    .program = "dovecot",
	    .msg =
		"imap-login: Login: user=<a>, method=PLAIN, rip=192.0.2.1, "
		"lip=192.0.2.9, rport=4711, lport=993, mpid=7, local_name=mx.example, "
		"TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits), "
		"session=<x>",
	    .want_user = "a",
	    .want_ip = "192.0.2.1" },
	{ .name = "dovecot: real addresses beside",
	    .program = "dovecot",
	    .msg =
		"imap-login: Login: user=<a>, method=PLAIN, rip=192.0.2.1, "
		"lip=192.0.2.9, real_rip=198.51.100.7, real_lip=192.0.2.9, TLS",
	    .want_user = "a",
	    .want_ip = "192.0.2.1" },
	{ .name = "dovecot: only user and address",
	    .program = "dovecot",
	    .msg = "imap-login: Login: user=<a>, rip=192.0.2.1, TLS",
	    .want_user = "a",
	    .want_ip = "192.0.2.1" },
	{ .name = "dovecot: TLS with its error text",
	    .program = "dovecot",
	    .msg = "imap-login: Login: user=<a>, method=PLAIN, rip=192.0.2.1, "
		   "lip=192.0.2.9, mpid=1, TLS: Disconnected, session=<x>",
	    .want_user = "a",
	    .want_ip = "192.0.2.1" },
	{ .name = "dovecot: Info: in front of the service",
	    .program = "dovecot",
	    .msg =
		"Info: imap-login: Login: user=<a>, method=PLAIN, rip=192.0.2.1, "
		"lip=192.0.2.9",
	    .want_user = "a",
	    .want_ip = "192.0.2.1" },
	{ .name = "dovecot: 2.4 with Info:",
	    .program = "dovecot",
	    .msg =
		"imap-login: Info: Logged in: user=<a>, method=PLAIN, "
		"rip=2001:db8::1, lip=2001:db8::9, mpid=5, TLS, session=<a/b+c=>",
	    .want_user = "a",
	    .want_ip = "2001:db8::1" },
	{ .name = "dovecot: a name may hold signs that end nothing",
	    .program = "dovecot",
	    .msg =
		"imap-login: Login: user=<a>b, c=d \"e\" '(f)'>, method=PLAIN, "
		"rip=192.0.2.1, lip=192.0.2.9",
	    .want_user = "a>b, c=d \"e\" '(f)'",
	    .want_ip = "192.0.2.1" },
	{ .name = "dovecot: a cut name is no name",
	    .program = "dovecot",
	    .msg =
		"imap-login: Login: user=<aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...>, method=PLAIN, "
		"rip=192.0.2.1, lip=192.0.2.9",
	    .want_user = "",
	    .want_ip = "192.0.2.1" },
	{ .name = "dovecot: before 1.0, own tag",
	    .program = "imap-login",
	    .msg = "Login: uwe [192.0.2.29]",
	    .want_user = "uwe",
	    .want_ip = "192.0.2.29",
	    .want_service = "imap" },
	{ .name = "dovecot: before 1.0, a name with an address",
	    .program = "imap-login",
	    .msg = "Login: x [6.6.6.6] y [192.0.2.29]",
	    .want = FATE_UNKNOWN_SHAPE },
	{ .name = "dovecot: before 1.0, a name like the later elements",
	    .program = "imap-login",
	    .msg = "Login: user=<x>, rip=6.6.6.6, x=y [192.0.2.29]",
	    .want = FATE_UNKNOWN_SHAPE },
	{ .name = "dovecot: before 1.0, cut",
	    .program = "imap-login",
	    .msg = "Login: uwe [192.0.2.2",
	    .want = FATE_UNKNOWN_SHAPE },
	{ .name = "dovecot: two addresses, the second the server's",
	    .program = "dovecot",
	    .msg =
		"imap-login: Login: user=<a>, rip=6.6.6.6, lip=1.1.1.1, x=<b>, "
		"method=PLAIN, rip=203.0.113.9, lip=192.0.2.9",
	    .want = FATE_AMBIGUOUS },
	{ .name = "dovecot: an address in the name, none from the server",
	    .program = "dovecot",
	    .msg = "imap-login: Login: user=<a, rip=6.6.6.6>, method=PLAIN, "
		   "lip=192.0.2.9",
	    .want = FATE_AMBIGUOUS },
	{ .name = "dovecot: a name that ends itself and begins another element",
	    .program = "dovecot",
	    .msg =
		"imap-login: Login: user=<a>, rip=6.6.6.6, x=<b>, method=PLAIN, "
		"lip=192.0.2.9, lip=192.0.2.9",
	    .want = FATE_AMBIGUOUS },
	{ .name = "dovecot: an unknown element before the address",
	    .program = "dovecot",
	    .msg = "imap-login: Login: user=<a>, x=<b>, method=PLAIN, "
		   "rip=203.0.113.9, lip=192.0.2.9",
	    .want = FATE_UNKNOWN_SHAPE },
	{ .name = "dovecot: an address in an extra element",
	    .program = "dovecot",
	    .msg = "imap-login: Login: user=<a>, rip=192.0.2.1, lip=192.0.2.9, "
		   "client=x rip=6.6.6.6",
	    .want = FATE_AMBIGUOUS },
	{ .name = "dovecot: session cut",
	    .program = "dovecot",
	    .msg = "imap-login: Login: user=<a>, method=PLAIN, rip=192.0.2.1, "
		   "lip=192.0.2.9, TLS, session=<abc",
	    .want = FATE_TRUNCATED },
	{ .name = "dovecot: flag cut",
	    .program = "dovecot",
	    .msg = "imap-login: Login: user=<a>, method=PLAIN, rip=192.0.2.1, "
		   "lip=192.0.2.9, TL",
	    .want = FATE_TRUNCATED },
	{ .name = "dovecot: own address cut",
	    .program = "dovecot",
	    .msg = "imap-login: Login: user=<a>, method=PLAIN, rip=192.0.2.1, "
		   "lip=192.0",
	    .want = FATE_TRUNCATED },
	{ .name = "dovecot: cut behind the comma",
	    .program = "dovecot",
	    .msg = "imap-login: Login: user=<a>, method=PLAIN, rip=192.0.2.1, ",
	    .want = FATE_TRUNCATED },
	{ .name = "dovecot: name not closed",
	    .program = "dovecot",
	    .msg = "imap-login: Login: user=<a, method=PLAIN, rip=192.0.2.1, "
		   "lip=192.0.2.9",
	    .want = FATE_TRUNCATED },
	{ .name = "dovecot: leading zero",
	    .program = "dovecot",
	    .msg = "imap-login: Login: user=<a>, rip=192.0.2.01, lip=192.0.2.9",
	    .want = FATE_BAD_ADDRESS },
	{ .name = "dovecot: zone",
	    .program = "dovecot",
	    .msg = "imap-login: Login: user=<a>, rip=fe80::1%eth0, lip=fe80::2",
	    .want = FATE_BAD_ADDRESS },
	{ .name = "dovecot: a network",
	    .program = "dovecot",
	    .msg =
		"imap-login: Login: user=<a>, rip=192.0.2.0/24, lip=192.0.2.9",
	    .want = FATE_BAD_ADDRESS },
	{ .name = "dovecot: a host name",
	    .program = "dovecot",
	    .msg = "imap-login: Login: user=<a>, rip=localhost, lip=192.0.2.9",
	    .want = FATE_BAD_ADDRESS },
	{ .name = "dovecot: anonymous by method",
	    .program = "dovecot",
	    .msg =
		"imap-login: Login: user=<a>, method=ANONYMOUS, rip=192.0.2.1, "
		"lip=192.0.2.9",
	    .want = FATE_ANONYMOUS },
	{ .name = "dovecot: other letter case",
	    .program = "dovecot",
	    .msg = "imap-login: login: user=<a>, method=PLAIN, rip=192.0.2.1, "
		   "lip=192.0.2.9",
	    .want = FATE_UNKNOWN_SHAPE },
	{ .name = "dovecot: referral",
	    .program = "dovecot",
	    .msg = "imap-login: Login with referral: user=<a>, method=PLAIN, "
		   "rip=192.0.2.1, lip=192.0.2.9",
	    .want = FATE_NOT_A_LOGIN },
	{ .name = "dovecot: started proxying, 2.4",
	    .program = "dovecot",
	    .msg =
		"imap-login: Started proxying to remote host 192.0.2.250:143: "
		"user=<a>, method=PLAIN, rip=192.0.2.1, lip=192.0.2.9",
	    .want = FATE_PROXIED },
	{ .name = "dovecot: words of a user's session",
	    .program = "dovecot",
	    .msg =
		"imap(imap-login: Login: user=<x>, rip=6.6.6.6, lip=1.1.1.1)<1><s>:"
		" Logged out in=1 out=2",
	    .want = FATE_NOT_A_LOGIN },
	{ .name = "dovecot: client id text",
	    .program = "dovecot",
	    .msg = "imap-login: ID sent: name=Login: user=<x>, rip=6.6.6.6, "
		   "lip=1.1.1.1: user=<>, rip=203.0.113.9, lip=192.0.2.9",
	    .want = FATE_NOT_A_LOGIN },
	{ .name = "dovecot: service words elsewhere",
	    .program = "dovecot",
	    .msg = "lda(x)<1><s>: msgid=<imap-login: Login: "
		   "user=<x>, rip=6.6.6.6, lip=1.1.1.1>: saved mail to INBOX",
	    .want = FATE_NOT_A_LOGIN },
	{ .name = "dovecot: inside rsyslog's repetition",
	    .program = "dovecot",
	    .msg =
		"message repeated 2 times: [ imap-login: Login: user=<a>, "
		"method=PLAIN, rip=192.0.2.1, lip=192.0.2.9, TLS, session=<x>]",
	    .want_user = "a",
	    .want_ip = "192.0.2.1" },
	{ .name = "dovecot: repetition cut",
	    .program = "dovecot",
	    .msg =
		"message repeated 2 times: [ imap-login: Login: user=<a>, "
		"method=PLAIN, rip=192.0.2.1, lip=192.0.2.9, TLS, session=<x>",
	    .want = FATE_NOT_A_LOGIN },
	{ .name = "a name of 256 bytes",
	    .program = "dovecot",
	    .msg =
		"imap-login: Login: user=<" X100 X100 X100 ">, rip=192.0.2.1, "
		"lip=192.0.2.9",
	    .want = FATE_TOO_LONG },
	{ .name = "a name with a line feed",
	    .program = "dovecot",
	    .msg =
		"imap-login: Login: user=<a\nb>, rip=192.0.2.1, lip=192.0.2.9",
	    .want = FATE_BAD_USER },
	/* Courier */
	{ .name = "courier: no port",
	    .program = "pop3login",
	    .msg = "LOGIN, user=a, ip=[192.0.2.1]",
	    .want_user = "a",
	    .want_ip = "192.0.2.1",
	    .want_service = "pop3" },
	{ .name = "courier: protocol without port",
	    .program = "imaplogin",
	    .msg = "LOGIN, user=a, ip=[::ffff:192.0.2.1], protocol=IMAP",
	    .want_user = "a",
	    .want_ip = "192.0.2.1",
	    .want_service = "imap" },
	{ .name = "courier: with level",
	    .program = "courierpop3d",
	    .msg = "INFO: LOGIN, user=a, ip=[192.0.2.1], port=[1], stls=1",
	    .want_user = "a",
	    .want_ip = "192.0.2.1" },
	{ .name = "courier: Plesk's",
	    .program = "pop3d",
	    .msg =
		"IMAP connect from @ [::ffff:192.0.2.1]INFO: LOGIN, user=a, ip=[::ffff:192.0.2.1]",
	    .want_user = "a",
	    .want_ip = "192.0.2.1",
	    .want_service = "pop3" },
	{ .name = "courier: Plesk's, two addresses",
	    .program = "pop3d",
	    .msg =
		"IMAP connect from @ [192.0.2.1]INFO: LOGIN, user=a, ip=[192.0.2.2]",
	    .want = FATE_AMBIGUOUS },
	{ .name = "courier: Plesk's, a name before the address",
	    .program = "pop3d",
	    .msg =
		"IMAP connect from x@ [192.0.2.1]INFO: LOGIN, user=a, ip=[192.0.2.1]",
	    .want = FATE_NOT_A_LOGIN },
	{ .name = "courier: Plesk's, an address in the name",
	    .program = "pop3d",
	    .msg =
		"IMAP connect from @ [192.0.2.1]INFO: LOGIN, user=a, ip=[6.6.6.6], ip=[192.0.2.1]",
	    .want = FATE_AMBIGUOUS },
	{ .name = "courier: Plesk's, failed",
	    .program = "pop3d",
	    .msg =
		"IMAP connect from @ [192.0.2.1]LOGIN FAILED, user=a, ip=[192.0.2.1]",
	    .want = FATE_NOT_A_LOGIN },
	{ .name = "courier: an address in the name",
	    .program = "imapd",
	    .msg =
		"LOGIN, user=a, ip=[6.6.6.6], port=[1], ip=[192.0.2.1], port=[2]",
	    .want = FATE_AMBIGUOUS },
	{ .name = "courier: the name opens the bracket",
	    .program = "imapd",
	    .msg = "LOGIN, user=a, ip=[6.6.6.6, ip=[192.0.2.1], port=[2]",
	    .want = FATE_AMBIGUOUS },
	{ .name = "courier: cut in the address",
	    .program = "imapd",
	    .msg = "LOGIN, user=a, ip=[192.0.2.1",
	    .want = FATE_TRUNCATED },
	{ .name = "courier: something behind",
	    .program = "imapd",
	    .msg = "LOGIN, user=a, ip=[192.0.2.1], port=[1] x",
	    .want = FATE_UNKNOWN_SHAPE },
	{ .name = "courier: no name",
	    .program = "imapd",
	    .msg = "LOGIN, user=, ip=[192.0.2.1], port=[1]",
	    .want = FATE_NO_USER },
	{ .name = "courier: debugging echoes the client",
	    .program = "imapd",
	    .msg =
		"LOGIN: DEBUG: ip=[192.0.2.1], command=LOGIN, user=a, ip=[6.6.6.6]",
	    .want = FATE_NOT_A_LOGIN },
	/* Cyrus */
	{ .name = "cyrus: no space before the address",
	    .program = "pop3d",
	    .msg =
		"login: pc.example.net[192.0.2.1] kai plaintext User logged in",
	    .want_user = "kai",
	    .want_ip = "192.0.2.1",
	    .want_service = "pop3" },
	{ .name = "cyrus: 3.0 without words",
	    .program = "cyrus/imap",
	    .msg = "login: pc.example.net [192.0.2.1] kai plaintext+TLS ",
	    .want_user = "kai",
	    .want_ip = "192.0.2.1",
	    .want_service = "imap" },
	{ .name = "cyrus: subfolder",
	    .program = "cyrus/pop3",
	    .msg = "login: [192.0.2.1] kai+work CRAM-MD5+TLS User logged in "
		   "SESSIONID=<x-1-2>",
	    .want_user = "kai+work",
	    .want_ip = "192.0.2.1" },
	{ .name = "cyrus: IPv6 listener",
	    .program = "cyrus/imap6",
	    .msg = "login: [2001:db8::1] kai PLAIN User logged in",
	    .want_user = "kai",
	    .want_ip = "2001:db8::1" },
	{ .name = "cyrus: anonymous with a password that reads like a login",
	    .program = "imap",
	    .msg = "login: [203.0.113.9] anonymous plaintext User logged in",
	    .want = FATE_ANONYMOUS },
	{ .name = "cyrus: a name of two words",
	    .program = "imap",
	    .msg = "login: [203.0.113.9] a b plaintext User logged in",
	    .want = FATE_TRUNCATED },
	{ .name = "cyrus: two addresses by a host name",
	    .program = "imap",
	    .msg =
		"login: x [6.6.6.6] y [203.0.113.9] a plaintext User logged in",
	    .want = FATE_UNKNOWN_SHAPE },
	{ .name = "cyrus: brackets in a host name",
	    .program = "imap",
	    .msg =
		"login: x[6.6.6.6].example.net [203.0.113.9] a PLAIN User logged "
		"in",
	    .want = FATE_TRUNCATED },
	{ .name = "cyrus: mechanism as the client wrote it",
	    .program = "imap",
	    .msg = "login: [192.0.2.1] a cram-md5 User logged in",
	    .want_user = "a",
	    .want_ip = "192.0.2.1" },
	{ .name = "cyrus: an address for a name",
	    .program = "imap",
	    .msg = "login: [203.0.113.9] [6.6.6.6] plaintext User logged in",
	    .want = FATE_AMBIGUOUS },
	{ .name = "cyrus: session cut",
	    .program = "imap",
	    .msg =
		"login: [203.0.113.9] a plaintext User logged in SESSIONID=<x",
	    .want = FATE_TRUNCATED },
	{ .name = "cyrus: words cut",
	    .program = "imap",
	    .msg = "login: [203.0.113.9] a PLAIN User logg",
	    .want = FATE_TRUNCATED },
	{ .name = "cyrus: logfmt, name in quotes",
	    .program = "cyrus/imaps",
	    .msg =
		"event=login.good session_id=m-1 r.clienthost=\"pc.example.net "
		"[192.0.2.1]\" u.username=\"m n\" login.mech=PLAIN login.tls=1",
	    .want_user = "m n",
	    .want_ip = "192.0.2.1" },
	{ .name = "dovecot: a wrong password, then gone",
	    .program = "dovecot",
	    .msg = "imap-login: Disconnected: Connection closed (auth failed, "
		   "1 attempts in 2 secs): user=<eve>, method=PLAIN, "
		   "rip=192.0.2.1, lip=192.0.2.2, session=<x>",
	    .want = FATE_FAILED_LOGIN },
	{ .name = "dovecot: a wrong password in 2.3's older words",
	    .program = "dovecot",
	    .msg = "pop3-login: Disconnected (auth failed, 3 attempts in 12 "
		   "secs): user=<eve>, method=PLAIN, rip=192.0.2.1, "
		   "lip=192.0.2.2, TLS, session=<x>",
	    .want = FATE_FAILED_LOGIN },
	{ .name = "dovecot: a wrong password in a name is none",
	    .program = "dovecot",
	    .msg = "imap-login: Disconnected: Connection closed (no auth "
		   "attempts in 2 secs): user=<(auth failed, 1 >, "
		   "rip=192.0.2.1, lip=192.0.2.2, session=<x>",
	    .want = FATE_NOT_A_LOGIN },
	{ .name = "cyrus: logfmt, a success inside a failure",
	    .program = "cyrus/imaps",
	    .msg =
		"event=login.bad r.clienthost=[203.0.113.9] u.username=\"x "
		"event=login.good r.clienthost=[6.6.6.6] u.username=y\" error=x",
	    .want = FATE_FAILED_LOGIN },
	{ .name = "cyrus: logfmt, pairs inside the name",
	    .program = "cyrus/imaps",
	    .msg =
		"event=login.good r.clienthost=[192.0.2.1] u.username=\"x\\\" "
		"r.clienthost=[6.6.6.6] u.username=\\\"y\" login.tls=1",
	    .want_user = "x\\\" r.clienthost=[6.6.6.6] u.username=\\\"y",
	    .want_ip = "192.0.2.1" },
	{ .name = "cyrus: logfmt, the same key twice",
	    .program = "cyrus/imaps",
	    .msg = "event=login.good r.clienthost=[192.0.2.1] u.username=x "
		   "r.clienthost=[6.6.6.6]",
	    .want = FATE_AMBIGUOUS },
	{ .name = "cyrus: logfmt, anonymous",
	    .program = "cyrus/imaps",
	    .msg =
		"event=login.good r.clienthost=[192.0.2.1] login.anonymous=1 "
		"login.password=x",
	    .want = FATE_ANONYMOUS },
	{ .name = "cyrus: logfmt, no password",
	    .program = "cyrus/imaps",
	    .msg = "event=login.good r.clienthost=[192.0.2.1] u.username=x "
		   "login.nopassword=1",
	    .want = FATE_ANONYMOUS },
	{ .name = "cyrus: logfmt, nobody",
	    .program = "cyrus/imaps",
	    .msg =
		"event=login.good r.clienthost=[192.0.2.1] u.username=~null~",
	    .want = FATE_NO_USER },
	{ .name = "cyrus: logfmt, quote open",
	    .program = "cyrus/imaps",
	    .msg = "event=login.good r.clienthost=[192.0.2.1] u.username=\"x",
	    .want = FATE_TRUNCATED },
	/* UW */
	{ .name = "uw: a name with spaces",
	    .program = "imapd",
	    .msg = "Login user=a b host=[192.0.2.1]",
	    .want_user = "a b",
	    .want_ip = "192.0.2.1",
	    .want_service = "imap" },
	{ .name = "uw: a name with a host",
	    .program = "ipop3d",
	    .msg = "Login user=x host=a [6.6.6.6] nmsgs=0/0 host=[203.0.113.9] "
		   "nmsgs=1/1",
	    .want = FATE_AMBIGUOUS },
	{ .name = "uw: two addresses by a host name",
	    .program = "imapd",
	    .msg = "Login user=x host=evil [6.6.6.6] [203.0.113.9]",
	    .want = FATE_UNKNOWN_SHAPE },
	{ .name = "uw: fields longer than the server writes",
	    .program = "imapd",
	    .msg = "Login user=" X100 " host=[192.0.2.1]",
	    .want = FATE_UNKNOWN_SHAPE },
	{ .name = "uw: host unknown",
	    .program = "imapd",
	    .msg = "Login user=x host=UNKNOWN",
	    .want = FATE_NO_ADDRESS },
	{ .name = "uw: a name of 80 bytes was cut",
	    .program = "imapd",
	    .msg =
		"Login user=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxx host=[192.0.2.1]",
	    .want_user = "",
	    .want_ip = "192.0.2.1" },
	{ .name = "uw: preauthenticated",
	    .program = "imapd",
	    .msg = "Preauthenticated user=x host=SSH_CLIENT=192.0.2.1 1 2",
	    .want = FATE_NOT_A_LOGIN },
	{ .name = "uw: administrator for another",
	    .program = "imapd",
	    .msg = "Admin Login user=x host=[192.0.2.1]",
	    .want = FATE_NOT_A_LOGIN },
	{ .name = "uw: anonymous",
	    .program = "imapd",
	    .msg = "Authenticated anonymous=user=x host=[203.0.113.9]",
	    .want = FATE_ANONYMOUS },
	{ .name = "uw: break-in",
	    .program = "imapd",
	    .msg = "Login SYSTEM BREAK-IN ATTEMPT user=x host=[203.0.113.9]",
	    .want = FATE_FAILED_LOGIN },
	{ .name = "uw: a mailbox is missing",
	    .program = "ipop3d",
	    .msg = "Login user=x host=[192.0.2.1] no mailbox",
	    .want = FATE_UNKNOWN_SHAPE },
	/* Qpopper */
	{ .name = "qpopper: a name with quotes",
	    .program = "popper",
	    .msg =
		"(v4.0.9) POP login by user \"a\" at (x) 6.6.6.6 \"b\" at (pc) "
		"192.0.2.1 [pop_log.c:244]",
	    .want = FATE_AMBIGUOUS },
	{ .name = "qpopper: without source line",
	    .program = "qpopper",
	    .msg =
		"(v3.1.2) POP login by user \"a\" at (pc.example.net) 192.0.2.1",
	    .want_user = "a",
	    .want_ip = "192.0.2.1",
	    .want_service = "pop3" },
	{ .name = "qpopper: statistics without address",
	    .program = "popper",
	    .msg = "Stats: a 0 0 1 200",
	    .want = FATE_NO_ADDRESS },
	{ .name = "qpopper: statistics without name",
	    .program = "popper",
	    .msg = "Stats: a 0 0 1 200 192.0.2.1",
	    .want_user = "a",
	    .want_ip = "192.0.2.1" },
	{ .name = "qpopper: statistics with too much",
	    .program = "popper",
	    .msg = "Stats: a 0 0 0 0 x 6.6.6.6 0 0 1 200 pc 192.0.2.1",
	    .want = FATE_UNKNOWN_SHAPE },
	{ .name = "qpopper: unknown command",
	    .program = "popper",
	    .msg =
		"a at pc (192.0.2.1): -ERR Unknown command: \"(v4.0.9) POP login by "
		"user \"b\" at (x) 6.6.6.6\". [pop_get_command.c:1]",
	    .want = FATE_FAILED_LOGIN },
	/* smaller servers */
	{ .name = "teapop: three brackets",
	    .program = "teapop",
	    .msg = "Successful login for a [6.6.6.6] [198.51.100.5] from pc "
		   "[192.0.2.1]",
	    .want = FATE_AMBIGUOUS },
	{ .name = "tpop3d: a name with a quote",
	    .program = "tpop3d",
	    .msg =
		"fork_child: [6]192.0.2.1: began session for `a' with x' with pam; "
		"child PID is 7",
	    .want = FATE_AMBIGUOUS },
	{ .name = "tpop3d: cut",
	    .program = "tpop3d",
	    .msg =
		"fork_child: [6]192.0.2.1: began session for `a' with pam; child",
	    .want = FATE_UNKNOWN_SHAPE },
	{ .name = "popa3d: a name with an address",
	    .program = "popa3d",
	    .msg = "Authentication passed for x -- [6.6.6.6] -- [192.0.2.1]",
	    .want = FATE_AMBIGUOUS },
	{ .name = "popa3d: two lines, not asked for",
	    .program = "popa3d",
	    .msg = "Authentication passed for x",
	    .want = FATE_NO_ADDRESS },
	{ .name = "vm-pop3d: without domain",
	    .program = "vm-pop3d",
	    .msg = "User 'a' logged in from 192.0.2.1",
	    .want_user = "a",
	    .want_ip = "192.0.2.1" },
	{ .name = "vm-pop3d: a name with a quote",
	    .program = "vm-pop3d",
	    .msg =
		"User 'a' logged in from 6.6.6.6 '' logged in from 192.0.2.1",
	    .want = FATE_AMBIGUOUS },
	{ .name = "solid-pop3d: a name that goes on",
	    .program = "solid-pop3d",
	    .msg = "user bob authenticated - 6.6.6.6 authenticated - 192.0.2.1",
	    .want = FATE_AMBIGUOUS },
	{ .name = "solid-pop3d: host name and address",
	    .program = "spop3d",
	    .msg =
		"user bob authenticated through APOP - pc.example.net (192.0.2.1)",
	    .want_user = "bob",
	    .want_ip = "192.0.2.1" },
	{ .name = "solid-pop3d: cut host",
	    .program = "spop3d",
	    .msg = "user bob authenticated - pc.example.net (192.0.2.",
	    .want = FATE_TRUNCATED },
	{ .name = "cucipop: lost, by a client named like an address",
	    .program = "cucipop",
	    .msg = "lost 6.6.6.6 0, 3 (4821), 0 (0)",
	    .want = FATE_NOT_A_LOGIN },
	{ .name = "cucipop: failure",
	    .program = "cucipop",
	    .msg = "authentication failure 6.6.6.6 0, 3 (1), 0 (0) 203.0.113.9",
	    .want = FATE_FAILED_LOGIN },
	{ .name = "cucipop: numbers as padding",
	    .program = "cucipop",
	    .msg = "a 192.0.2.1 0, 3 (000000000000000000000000000001), 0 (0)",
	    .want = FATE_NOT_A_LOGIN },
	{ .name = "gnu-pop3d: a name with the rest",
	    .program = "gnu-pop3d",
	    .msg =
		"User x logged in with mailbox /y from 6.6.6.6 logged in with "
		"mailbox /var/mail/x from 192.0.2.1",
	    .want = FATE_AMBIGUOUS },
	{ .name = "mailutils: no address",
	    .program = "imap4d",
	    .msg = "user `x' logged in (source: pam)",
	    .want = FATE_NO_ADDRESS },
	{ .name = "binc: not asked for",
	    .program = "bincimapd",
	    .msg = "<hugo> authenticated",
	    .want = FATE_NO_ADDRESS },
	{ .name = "vpop3d: tag only",
	    .program = "vpop3d",
	    .msg = "(a@example.org,192.0.2.1) Authenticated",
	    .want_user = "a@example.org",
	    .want_ip = "192.0.2.1" },
	{ .name = "vpop3d: a name with a comma",
	    .program = "vpop3d",
	    .msg = "vpop3d: (a,6.6.6.6) x,192.0.2.1) Authenticated",
	    .want = FATE_AMBIGUOUS },
	{ .name = "apple: a name with quotes",
	    .program = "AppleMailServer",
	    .msg =
		"IMAP User \"a\" log on successful from 6.6.6.6 \"\" log on failed "
		"from 203.0.113.9",
	    .want = FATE_AMBIGUOUS },
	/* vpopmail */
	{ .name = "vpopmail: IPv6",
	    .program = "vpopmail",
	    .msg =
		"vchkpw-imaps: (PLAIN) login success u@example.org:2001:db8::1",
	    .want_user = "u@example.org",
	    .want_ip = "2001:db8::1",
	    .want_service = "imap" },
	{ .name = "vpopmail: a domain that goes on",
	    .program = "vpopmail",
	    .msg = "vchkpw-pop3: (PLAIN) login success u@d:64:ff9b::192.0.2.1",
	    .want = FATE_AMBIGUOUS },
	{ .name = "vpopmail: a name with a colon",
	    .program = "vpopmail",
	    .msg = "vchkpw-pop3: (PLAIN) login success u:6.6.6.6@d:192.0.2.1",
	    .want = FATE_AMBIGUOUS },
	{ .name = "vpopmail: no domain where one belongs",
	    .program = "vpopmail",
	    .msg = "vchkpw-pop3: (PLAIN) login success u:192.0.2.1",
	    .want = FATE_AMBIGUOUS },
	{ .name = "vpopmail: a password that reads like a login",
	    .program = "vpopmail",
	    .msg =
		"vchkpw-pop3: password fail (pass: 'vchkpw-pop3: (PLAIN) login "
		"success a@b:6.6.6.6') u@d:203.0.113.9",
	    .want = FATE_FAILED_LOGIN },
	{ .name = "vpopmail: submission",
	    .program = "vpopmail",
	    .msg = "vchkpw-submission: (PLAIN) login success u@d:192.0.2.1",
	    .want = FATE_OTHER_SERVICE },
	{ .name = "vpopmail: old, no service told",
	    .program = "vpopmail",
	    .msg = "vchkpw: login success u@d:192.0.2.1",
	    .want = FATE_OTHER_SERVICE },
	/* proxies */
	{ .name = "perdition: authorisation name too",
	    .program = "perdition",
	    .msg =
		"Auth: 192.0.2.1:4->192.0.2.9:143 client-secure=starttls "
		"authorisation_id=\"b\" authentication_id=\"a\" server=\"h:143\" "
		"protocol=POP3S server-secure=ssl status=\"ok\"",
	    .want_user = "a",
	    .want_ip = "192.0.2.1",
	    .want_service = "pop3" },
	{ .name = "perdition: password logged",
	    .program = "perdition",
	    .msg =
		"Auth: 192.0.2.1:4->192.0.2.9:143 client-secure=ssl "
		"authorisation_id=NONE authentication_id=\"a\" passwd=\"x y\" "
		"server=\"h:143\" protocol=IMAP4 server-secure=ssl status=\"ok\"",
	    .want_user = "a",
	    .want_ip = "192.0.2.1",
	    .want_service = "imap" },
	{ .name = "perdition: IPv6",
	    .program = "perdition",
	    .msg =
		"Auth: [2001:db8::1]:4->[2001:db8::9]:143 client-secure=ssl "
		"authorisation_id=NONE authentication_id=\"a\" server=\"h:143\" "
		"protocol=IMAP4 server-secure=ssl status=\"ok\"",
	    .want_user = "a",
	    .want_ip = "2001:db8::1" },
	{ .name = "perdition: a name with a status",
	    .program = "perdition",
	    .msg =
		"Auth: 203.0.113.9:4->192.0.2.9:143 client-secure=ssl "
		"authorisation_id=NONE authentication_id=\"bob\" status=\"ok\" "
		"server=\"h:143\" protocol=IMAP4 server-secure=ssl "
		"status=\"failed: Re-Authentication Failure\"",
	    .want = FATE_AMBIGUOUS },
	{ .name = "perdition: a name with all the rest, true status cut off",
	    .program = "perdition",
	    .msg =
		"Auth: 203.0.113.9:4->192.0.2.9:143 client-secure=ssl "
		"authorisation_id=NONE authentication_id=\"" X100 X100 X100
		"\" server=\"h:143\" protocol=IMAP4 server-secure=ssl status=\"ok\"",
	    .want = FATE_TOO_LONG },
	{ .name = "perdition: sieve",
	    .program = "perdition",
	    .msg =
		"Auth: 192.0.2.1:4->192.0.2.9:4190 client-secure=ssl "
		"authorisation_id=NONE authentication_id=\"a\" server=\"h:4190\" "
		"protocol=MANAGESIEVE server-secure=ssl status=\"ok\"",
	    .want = FATE_OTHER_SERVICE },
	{ .name = "perdition: failure",
	    .program = "perdition",
	    .msg =
		"Auth: 192.0.2.1:4->192.0.2.9:143 client-secure=ssl "
		"authorisation_id=NONE authentication_id=\"a\" server=\"h:143\" "
		"protocol=IMAP4 server-secure=ssl status=\"failed: x\"",
	    .want = FATE_FAILED_LOGIN },
	{ .name = "imapproxy: without port",
	    .program = "in.imapproxyd",
	    .msg = "LOGIN: 'a' (192.0.2.1) on existing sd [9]",
	    .want_user = "a",
	    .want_ip = "192.0.2.1" },
	{ .name = "imapproxy: an apostrophe",
	    .program = "in.imapproxyd",
	    .msg = "LOGIN: '\"o'brien\"' (2001:db8::1:4711) on new sd [9]",
	    .want_user = "o'brien",
	    .want_ip = "2001:db8::1" },
	{ .name = "imapproxy: a name with the tail",
	    .program = "in.imapproxyd",
	    .msg =
		"LOGIN: 'x' (6.6.6.6:25) on new sd [9]' (203.0.113.9:4) failed: x",
	    .want = FATE_AMBIGUOUS },
	{ .name = "imapproxy: a name with the tail, true tail cut off",
	    .program = "in.imapproxyd",
	    .msg = "LOGIN: '" X100 X100 X100 "' (6.6.6.6:25) on new sd [9]",
	    .want = FATE_TOO_LONG },
	{ .name = "nginx: IPv6 and STARTTLS",
	    .program = "nginx",
	    .msg =
		"2026/03/03 08:45:20 [info] 1#0: *3 client logged in, client: "
		"2001:db8::1 using starttls, server: [::]:143, login: \"a b\"",
	    .want_user = "a b",
	    .want_ip = "2001:db8::1",
	    .want_service = "imap" },
	{ .name = "nginx: a name with quotes",
	    .program = "nginx",
	    .msg =
		"2026/03/03 08:45:20 [info] 1#0: *3 client logged in, client: "
		"192.0.2.1, server: 0.0.0.0:143, login: \"a\", upstream: \"b\"",
	    .want = FATE_AMBIGUOUS },
	{ .name = "nginx: a name with another client",
	    .program = "nginx",
	    .msg =
		"2026/03/03 08:45:20 [info] 1#0: *3 client logged in, client: "
		"192.0.2.1, server: 0.0.0.0:143, login: \"a, client: 6.6.6.6\"",
	    .want = FATE_AMBIGUOUS },
	{ .name = "nginx: SMTP on another port",
	    .program = "nginx",
	    .msg =
		"2026/03/03 08:45:20 [info] 1#0: *3 client logged in, client: "
		"192.0.2.1, server: 0.0.0.0:2525, login: \"a\"",
	    .want = FATE_OTHER_SERVICE },
	{ .name = "nginx: a failed login that tells of a good one",
	    .program = "nginx",
	    .msg =
		"2026/03/03 08:45:20 [info] 1#0: *3 client login failed: \"x\" "
		"while in http auth state, client: 203.0.113.9, server: 0.0.0.0:143, "
		"login: \"client logged in, client: 6.6.6.6, server: 0.0.0.0:143\"",
	    .want = FATE_FAILED_LOGIN },
	{ .name = "nginx: without its own stamp",
	    .program = "nginx",
	    .msg = "client logged in, client: 192.0.2.1, server: 0.0.0.0:143, "
		   "login: \"a\"",
	    .want = FATE_NOT_A_LOGIN },
	/* suites */
	{ .name = "zimbra: behind a proxy",
	    .program = "zimbra",
	    .msg =
		"INFO  [ImapServer-1] [name=a;mid=4;ip=192.0.2.250;oip=6.6.6.6;] "
		"imap - user a authenticated, mechanism=PLAIN",
	    .want = FATE_AMBIGUOUS },
	{ .name = "zimbra: a client's name for itself",
	    .program = "zimbra",
	    .msg =
		"INFO  [ImapServer-1] [name=a;ip=192.0.2.1;ua=x;ip=6.6.6.6;] imap - "
		"user a authenticated, mechanism=PLAIN",
	    .want = FATE_AMBIGUOUS },
	{ .name = "zimbra: a client that closes the context",
	    .program = "zimbra",
	    .msg =
		"INFO  [ImapServer-1] [name=a;ua=x;ip=6.6.6.6;] imap - user b "
		"authenticated, mechanism=PLAIN;] imap - ID",
	    .want = FATE_AMBIGUOUS },
	{ .name = "zimbra: with user agent",
	    .program = "zimbra",
	    .msg =
		"INFO  [Pop3SSLServer-1] [name=a;mid=4;ip=2001:db8::1;ua=x/1 [y];] "
		"pop - user a@b authenticated, mechanism=LOGIN [TLS]",
	    .want_user = "a@b",
	    .want_ip = "2001:db8::1",
	    .want_service = "pop3" },
	{ .name = "dbmail: IPv6",
	    .program = "dbmail/imap4d",
	    .msg =
		"Notice:[imap] _ic_login_enter(+1455): [0x5] login accepted: id [1] "
		"user [a] from [2001:db8::1:40600]",
	    .want_user = "a",
	    .want_ip = "2001:db8::1",
	    .want_service = "imap" },
	{ .name = "dbmail: a name with an address",
	    .program = "dbmail-imapd",
	    .msg =
		"Notice: [0x5] login accepted: id [1] user [a] from [6.6.6.6:1]] "
		"from [192.0.2.1:2]",
	    .want = FATE_AMBIGUOUS },
	{ .name = "dbmail: an echoed command",
	    .program = "dbmail-imapd",
	    .msg =
		"Debug:[imap] parse(+1): [0x5] COMMAND: [A1 NOOP] Notice: [0x5] "
		"login accepted: id [1] user [a] from [6.6.6.6:1]",
	    .want = FATE_NOT_A_LOGIN },
	{ .name = "stalwart: through syslog",
	    .program = "stalwart",
	    .msg =
		"2026-03-03T08:52:42Z INFO Authentication successful "
		"(auth.success) listenerId = \"pop3\", localPort = 110, remoteIp = "
		"192.0.2.1, remotePort = 4, accountName = \"a\", accountId = 1, type = "
		"\"individual\"",
	    .want_user = "a",
	    .want_ip = "192.0.2.1",
	    .want_service = "pop3" },
	{ .name = "stalwart: a name with another address",
	    .program = "stalwart",
	    .msg =
		"INFO Authentication successful (auth.success) listenerId = "
		"\"imap\", localPort = 143, remoteIp = 192.0.2.1, remotePort = 4, "
		"accountName = \"a\", remoteIp = 6.6.6.6, x = \"\"",
	    .want = FATE_AMBIGUOUS },
	{ .name = "stalwart: a name that moves the port",
	    .program = "stalwart",
	    .msg =
		"INFO Authentication successful (auth.success) listenerId = "
		"\"smtp\", localPort = 465, remoteIp = 192.0.2.1, remotePort = 4, "
		"accountName = \"a\", localPort = 993, x = \"\"",
	    .want = FATE_AMBIGUOUS },
	/* tags that several servers share */
	{ .name = "imapd: nobody knows the line",
	    .program = "imapd",
	    .msg = "Signed in: user=<x>, address 192.0.2.1",
	    .want = FATE_UNKNOWN_SHAPE },
	{ .name = "popgate's own line",
	    .program = "popgate-collector",
	    .msg = "imap-login: Login: user=<a>, rip=192.0.2.1, lip=192.0.2.9",
	    .want = FATE_OTHER_PROGRAM },
	{ .name = "webmail is no mail server",
	    .program = "sqwebmaild",
	    .msg = "LOGIN, user=a, ip=[192.0.2.1]",
	    .want = FATE_OTHER_PROGRAM },
	{ .name = "an empty message",
	    .program = "dovecot",
	    .msg = "",
	    .want = FATE_NOT_A_LOGIN },
};

static void
message_is_judged(void **state)
{
	const struct message_row *row = *state;
	const struct parser_options options = { .servers_n = 0 };
	struct parser *parser = new_parser(&options);
	struct parse_result got;
	char got_ip[ADDR_TEXT_MAX];

	parser_message(parser, NULL, row->program, 7, DELIVERY_MESSAGE,
	    row->msg, strlen(row->msg), NOW, &got);
	assert_string_equal(fate_name(got.fate), fate_name(wanted(row->want)));
	if (got.fate == FATE_LOGIN) {
		assert_string_equal(got.login.user, row->want_user);
		assert_string_equal(
		    addr_format(&got.login.client, got_ip), row->want_ip);
		assert_int_equal(got.login.at, NOW);
		if (row->want_service != NULL)
			assert_string_equal(
			    got.login.service, row->want_service);
	}
	parser_free(&parser);
}

/* ---- whole lines: what lies between prefix and grammar ---- */

#define DOVECOT                                       \
	"imap-login: Login: user=<a>, method=PLAIN, " \
	"rip=192.0.2.1, lip=192.0.2.9, mpid=1, TLS, session=<x>"
#define JSON_HEAD                                         \
	"{\"__REALTIME_TIMESTAMP\":\"1772522400000000\"," \
	"\"SYSLOG_IDENTIFIER\":\"dovecot\","
#define JSON_TAIL "\"MESSAGE\":\"" DOVECOT "\"}"

/* an entry of journalctl -o json */
#define JSON_BY(transport, program, more, message)                \
	"{\"__REALTIME_TIMESTAMP\":\"1772522400000000\","         \
	"\"_TRANSPORT\":\"" transport "\",\"SYSLOG_IDENTIFIER\":" \
	"\"" program "\"," more "\"MESSAGE\":\"" message "\"}"
/* text is JSON's */
#define DOCKER(text)                                   \
	"{\"log\":\"" text "\",\"stream\":\"stderr\"," \
	"\"time\":\"2026-03-03T08:00:00.1Z\"}"
#define JSON_STDOUT(program, more, message) \
	JSON_BY("stdout", program, "\"_STREAM_ID\":\"ab01\"," more, message)
#define NGINX                                                               \
	"2026/03/03 09:20:00 [info] 1402#0: *31 client logged in, client: " \
	"192.0.2.1, server: 0.0.0.0:143, login: \\\"a\\\""

struct line_row {
	const char *name;
	const char *line;
	enum fate want; /* not said: a login */
	int64_t want_at;
};

static const struct line_row lines[] = {
	{ .name = "journal: root's dovecot",
	    .line = JSON_HEAD
	    "\"_UID\":\"0\",\"_COMM\":\"log\",\"_EXE\":"
	    "\"/usr/lib/dovecot/log\",\"_SYSTEMD_UNIT\":\"dovecot.service\"," JSON_TAIL,
	    .want_at = 1772522400 },
	{ .name = "journal: nothing told about the sender",
	    .line = JSON_HEAD JSON_TAIL,
	    .want_at = 1772522400 },
	{ .name = "journal: executable replaced by an upgrade",
	    .line = JSON_HEAD "\"_UID\":\"0\",\"_EXE\":\"/usr/lib/dovecot/log "
			      "(deleted)\"," JSON_TAIL,
	    .want_at = 1772522400 },
	{ .name = "journal: an ordinary user",
	    .line = JSON_HEAD "\"_UID\":\"1001\",\"_COMM\":\"log\"," JSON_TAIL,
	    .want = FATE_UNTRUSTED },
	{ .name = "journal: root's logger",
	    .line = JSON_HEAD "\"_UID\":\"0\",\"_COMM\":\"logger\"," JSON_TAIL,
	    .want = FATE_UNTRUSTED },
	{ .name = "journal: logger that calls its thread log",
	    .line = JSON_HEAD "\"_UID\":\"0\",\"_COMM\":\"log\",\"_EXE\":"
			      "\"/usr/bin/logger\"," JSON_TAIL,
	    .want = FATE_UNTRUSTED },
	{ .name = "journal: another service",
	    .line =
		JSON_HEAD "\"_UID\":\"33\",\"_COMM\":\"log\",\"_SYSTEMD_UNIT\":"
			  "\"apache2.service\"," JSON_TAIL,
	    .want = FATE_UNTRUSTED },
	{ .name = "journal: a user's unit",
	    .line = JSON_HEAD
	    "\"_UID\":\"0\",\"_SYSTEMD_UNIT\":\"user@0.service\"," JSON_TAIL,
	    .want = FATE_UNTRUSTED },
	{ .name = "journal: an executable in /tmp",
	    .line = JSON_HEAD "\"_UID\":\"0\",\"_EXE\":\"/tmp/log\"," JSON_TAIL,
	    .want = FATE_UNTRUSTED },
	{ .name = "journal: a process that was gone too soon",
	    .line = "{\"__REALTIME_TIMESTAMP\":\"1772522400000000\","
		    "\"SYSLOG_IDENTIFIER\":\"imapd\",\"_UID\":\"33\","
		    "\"MESSAGE\":\"LOGIN, user=a, ip=[192.0.2.1], "
		    "port=[1], protocol=IMAP\"}",
	    .want = FATE_UNTRUSTED },
	{ .name = "journal: the message twice",
	    .line = JSON_HEAD "\"MESSAGE\":\"x\"," JSON_TAIL,
	    .want = FATE_UNTRUSTED },
	{ .name = "journal: two identifiers in an array",
	    .line = "{\"__REALTIME_TIMESTAMP\":\"1772522400000000\","
		    "\"SYSLOG_IDENTIFIER\":[\"dovecot\",\"x\"]," JSON_TAIL,
	    .want = FATE_UNTRUSTED },
	{ .name = "journal: not complete",
	    .line = JSON_HEAD "\"MESSAGE\":\"" DOVECOT "\"",
	    .want = FATE_NO_PREFIX },
	{ .name = "journal: something behind",
	    .line = JSON_HEAD JSON_TAIL " x",
	    .want = FATE_NO_PREFIX },
	{ .name = "journal: no time",
	    .line = "{\"SYSLOG_IDENTIFIER\":\"dovecot\"," JSON_TAIL,
	    .want = FATE_BAD_TIME },
	{ .name = "journal: message by bytes, other arrays and escapes around",
	    .line =
		"{\"A\":[1,2],\"B\":[\"x\",\"y\\u00fc\"],\"C\":null,"
		"\"SYSLOG_IDENTIFIER\":\"d\\u006fvecot\",\"MESSAGE\":[105,109,97,112,45,"
		"108,111,103,105,110,58,32,76,111,103,105,110,58,32,117,115,101,114,61,"
		"60,255,62,44,32,114,105,112,61,49,57,50,46,48,46,50,46,49,44,32,84,76,"
		"83],\"__REALTIME_TIMESTAMP\":\"1772522400000000\"}",
	    .want_at = 1772522400 },
	{ .name = "journal: a line of dovecot's output, its own stamp in it",
	    .line = JSON_STDOUT("dovecot", "", "Nov 29 15:47:37 " DOVECOT),
	    .want_at = 1772522400 },
	{ .name = "journal: by another log_timestamp",
	    .line = JSON_STDOUT("dovecot", "", "2026-03-03 15:47:37 " DOVECOT),
	    .want_at = 1772522400 },
	{ .name = "journal: dovecot's output, cut at a NUL",
	    .line = JSON_STDOUT("dovecot", "\"_LINE_BREAK\":\"nul\",", DOVECOT),
	    .want = FATE_CUT_PIECE },
	{ .name = "journal: dovecot's output, cut at 48 KiB",
	    .line = JSON_STDOUT(
		"dovecot", "\"_LINE_BREAK\":\"line-max\",", DOVECOT),
	    .want = FATE_CUT_PIECE },
	{ .name = "journal: dovecot's output, which ended there",
	    .line = JSON_STDOUT("dovecot", "\"_LINE_BREAK\":\"eof\",", DOVECOT),
	    .want = FATE_CUT_PIECE },
	{ .name = "journal: dovecot's output, cut in a way of tomorrow",
	    .line = JSON_STDOUT("dovecot", "\"_LINE_BREAK\":\"new\",", DOVECOT),
	    .want = FATE_CUT_PIECE },
	{ .name = "journal: a line of nginx's output",
	    .line = JSON_STDOUT("nginx", "", NGINX),
	    .want = FATE_STREAM_PIECE },
	{ .name = "journal: no login of nginx's output",
	    .line = JSON_STDOUT("nginx", "", "x"),
	    .want = FATE_NOT_A_LOGIN },
	{ .name = "journal: nginx by syslog",
	    .line = JSON_BY("syslog", "nginx", "", NGINX),
	    .want_at = 1772522400 },
	{ .name = "journal: nginx by the journal's own socket",
	    .line = JSON_BY("journal", "nginx", "", NGINX),
	    .want_at = 1772522400 },
	{ .name = "journal: nginx, and how isn't told",
	    .line =
		"{\"__REALTIME_TIMESTAMP\":\"1772522400000000\","
		"\"SYSLOG_IDENTIFIER\":\"nginx\",\"MESSAGE\":\"" NGINX "\"}",
	    .want = FATE_STREAM_PIECE },
	{ .name = "journal: a line of courier's output",
	    .line = JSON_STDOUT("imapd", "",
		"LOGIN, user=a, ip=[192.0.2.1], port=[1], protocol=IMAP"),
	    .want = FATE_STREAM_PIECE },
	{ .name = "journal: by the kernel's log",
	    .line = JSON_BY("kernel", "dovecot", "", DOVECOT),
	    .want = FATE_UNTRUSTED },
	{ .name = "journal: by two ways",
	    .line = JSON_BY(
		"stdout", "dovecot", "\"_TRANSPORT\":\"syslog\",", DOVECOT),
	    .want = FATE_UNTRUSTED },
	{ .name = "carriage return at the end",
	    .line = "2026-03-03T08:00:00Z mail dovecot: " DOVECOT "\r",
	    .want_at = 1772524800 },
	{ .name = "29 February 2026",
	    .line = "2026-02-29T08:00:00Z mail dovecot: " DOVECOT,
	    .want = FATE_BAD_TIME },
	{ .name = "nginx's own file",
	    .line =
		"2026/03/03 08:45:20 [info] 1#0: *3 client logged in, client: "
		"192.0.2.1, server: 0.0.0.0:993, login: \"a\"",
	    .want = FATE_FORGEABLE_FILE },
	{ .name = "multilog of courier",
	    .line =
		"@4000000069a68f1e1dcd6500 INFO: LOGIN, user=a, ip=[192.0.2.1], "
		"port=[1], protocol=IMAP",
	    .want_at = 1772523284 },
	{ .name = "blanks at the end",
	    .line = "2026-03-03T08:00:00Z mail dovecot: " DOVECOT " \t ",
	    .want_at = 1772524800 },
	{ .name = "dovecot: a session without brackets, before rip",
	    .line = "2026-03-03T08:00:00Z mail dovecot: imap-login: Login: "
		    "user=<a>, session=h6/hvXfOIQBAjhIX, method=PLAIN, "
		    "rip=192.0.2.1, lip=192.0.2.2, secured",
	    .want_at = 1772524800 },
	{ .name = "dovecot: a session that opens a bracket only",
	    .line = "2026-03-03T08:00:00Z mail dovecot: imap-login: Login: "
		    "user=<a>, session=<h6, method=PLAIN, rip=192.0.2.1, TLS",
	    .want = FATE_TRUNCATED },
	{ .name = "dovecot: a user who brings a session and an address",
	    .line = "2026-03-03T08:00:00Z mail dovecot: imap-login: Login: "
		    "user=<a>, session=x, rip=192.0.2.1, TLS>, method=PLAIN, "
		    "rip=203.0.113.9, lip=192.0.2.2, TLS, session=<q>",
	    .want = FATE_AMBIGUOUS },
	{ .name = "container: dovecot's own output",
	    .line = "2026-03-03T08:00:00.1Z stderr F " DOVECOT,
	    .want_at = 1772524800 },
	{ .name = "container: a syslog daemon's output",
	    .line = "2026-03-03T08:00:00.1Z stdout F Mar  3 01:02:03 mail "
		    "dovecot: " DOVECOT,
	    .want_at = 1772524800 },
	{ .name = "container: a line that goes on",
	    .line = "2026-03-03T08:00:00.1Z stdout P Mar  3 01:02:03 mail "
		    "dovecot: " DOVECOT,
	    .want = FATE_CUT_PIECE },
	{ .name = "container: Docker's json-file",
	    .line = DOCKER(DOVECOT "\\n"),
	    .want_at = 1772524800 },
	{ .name = "container: Docker's json-file, without the end",
	    .line = DOCKER(DOVECOT),
	    .want = FATE_CUT_PIECE },
	{ .name = "container: two lines in one entry",
	    .line = DOCKER("x\\n" DOVECOT "\\n"),
	    .want = FATE_NO_PREFIX },
	{ .name = "container: two texts in one entry",
	    .line = "{\"log\":\"x\\n\",\"log\":\"" DOVECOT "\\n\","
		    "\"stream\":\"stderr\","
		    "\"time\":\"2026-03-03T08:00:00.1Z\"}",
	    .want = FATE_NO_PREFIX },
	{ .name = "container: no time",
	    .line = "{\"log\":\"" DOVECOT "\\n\",\"stream\":\"stderr\"}",
	    .want = FATE_NO_PREFIX },
	{ .name = "container: a server that lets names through raw",
	    .line =
		"2026-03-03T08:00:00.1Z stdout F Mar  3 01:02:03 mail nginx: "
		"2026/03/03 08:45:20 [info] 1#0: *3 client logged in, "
		"client: 192.0.2.1, server: 0.0.0.0:993, login: \"a\"",
	    .want = FATE_STREAM_PIECE },
	{ .name = "container: nginx's own output",
	    .line = "front-1  | " NGINX,
	    .want = FATE_FORGEABLE_FILE },
	{ .name = "container: courier's own output",
	    .line = "mail-1  | Mar  3 01:02:03 mail imapd: LOGIN, user=a, "
		    "ip=[192.0.2.1], port=[1], protocol=IMAP",
	    .want = FATE_STREAM_PIECE },
	{ .name = "container: a journal's entry in it",
	    .line = "mail-1  | " JSON_BY("syslog", "dovecot", "", "x"),
	    .want = FATE_NO_PREFIX },
	{ .name = "container in a container",
	    .line =
		"mail-1  | mail-2  | Mar  3 08:00:00 mail dovecot: " DOVECOT,
	    .want = FATE_NO_PREFIX },
	{ .name = "no container: another program's words",
	    .line = "Mar  3 08:00:00 mail logger: mail-1  | Mar  3 08:00:00 "
		    "mail dovecot: " DOVECOT,
	    .want = FATE_OTHER_PROGRAM },
	{ .name = "no host: not believed",
	    .line = "Mar  3 08:00:00 dovecot: " DOVECOT,
	    .want = FATE_NO_PREFIX },
	{ .name = "no time stamp: not asked for",
	    .line = "dovecot: " DOVECOT,
	    .want = FATE_NO_PREFIX },
	{ .name = "a line about another program's words",
	    .line = "Mar  3 08:00:00 mail sshd[1]: dovecot: " DOVECOT,
	    .want = FATE_OTHER_PROGRAM },
	{ .name = "an empty line", .line = "", .want = FATE_NO_PREFIX },
};

static void
line_is_judged(void **state)
{
	const struct line_row *row = *state;
	const struct parser_options options = { .servers_n = 0 };
	struct parser *parser = new_parser(&options);
	struct parse_result got;
	char got_ip[ADDR_TEXT_MAX];

	parser_line(parser, row->line, strlen(row->line), NOW, &got);
	assert_string_equal(fate_name(got.fate), fate_name(wanted(row->want)));
	if (got.fate == FATE_LOGIN) {
		assert_string_equal(
		    addr_format(&got.login.client, got_ip), "192.0.2.1");
		assert_int_equal(got.login.at, row->want_at);
	}
	parser_free(&parser);
}

#define STREAM(id, more) \
	JSON_BY("stdout", "dovecot", "\"_STREAM_ID\":\"" id "\"," more, DOVECOT)
#define CUT "\"_LINE_BREAK\":\"nul\","

struct turn {
	const char *line; /* NULL: one that is too long */
	enum fate want;
};

/* One line after the other, by one parser. */
static void
judge_in_turn(const struct turn *rows, size_t n)
{
	const struct parser_options options = { .servers_n = 0 };
	struct parser *parser = new_parser(&options);

	for (size_t i = 0; i < n; i++) {
		ROW("%zu, %s", i,
		    rows[i].line == NULL ? "skipped" : rows[i].line);
		struct parse_result got = { .fate = FATE_TOO_LONG };

		if (rows[i].line == NULL)
			parser_skip(parser);
		else
			parser_line(parser, rows[i].line, strlen(rows[i].line),
			    NOW, &got);
		assert_string_equal(
		    fate_name(got.fate), fate_name(rows[i].want));
	}
	parser_free(&parser);
}

/* A line that was cut goes on in the next entry of the same output. */
static void
what_follows_a_cut(void **state)
{
	static const struct turn rows[] = {
		{ STREAM("01", ""), FATE_LOGIN },
		{ STREAM("01", CUT), FATE_CUT_PIECE },
		{ STREAM("02", ""), FATE_LOGIN },
		{ JSON_BY("syslog", "dovecot", "", DOVECOT), FATE_LOGIN },
		{ STREAM("01", CUT), FATE_CUT_PIECE },
		{ STREAM("01", ""), FATE_CUT_PIECE },
		{ STREAM("01", ""), FATE_LOGIN },
		/* it may have been of any output, and cut */
		{ NULL, FATE_TOO_LONG },
		{ STREAM("02", ""), FATE_CUT_PIECE },
		{ STREAM("02", ""), FATE_LOGIN },
		{ STREAM("03", ""), FATE_CUT_PIECE },
		{ STREAM("03", ""), FATE_LOGIN },
		{ JSON_BY("syslog", "dovecot", "", DOVECOT), FATE_LOGIN },
	};
	(void)state;
	judge_in_turn(rows, LENGTH(rows));
}

#define CRI(stream, tag) "2026-03-03T08:00:00Z " stream " " tag " " DOVECOT

/* The same of containers: of each of their two outputs. */
static void
what_follows_a_cut_in_a_container(void **state)
{
	static const struct turn rows[] = {
		{ CRI("stderr", "F"), FATE_LOGIN },
		{ "2026-03-03T08:00:00Z stderr P somebody's words",
		    FATE_NO_PREFIX },
		{ CRI("stdout", "F"), FATE_LOGIN },
		{ CRI("stderr", "F"), FATE_CUT_PIECE },
		{ CRI("stderr", "F"), FATE_LOGIN },
		{ DOCKER("x"), FATE_NO_PREFIX },
		{ DOCKER(DOVECOT), FATE_CUT_PIECE },
		{ DOCKER(DOVECOT "\\n"), FATE_CUT_PIECE },
		{ DOCKER(DOVECOT "\\n"), FATE_LOGIN },
		{ "{\"log\":\"  T  :  : 01234567\",\"stream\":\"stderr\","
		  "\"time\":\"2026-03-03T08:00:00Z\"}",
		    FATE_NO_PREFIX },
		{ DOCKER(DOVECOT "\\n"), FATE_CUT_PIECE },
		{ NULL, FATE_TOO_LONG },
		{ CRI("stdout", "F"), FATE_CUT_PIECE },
		{ CRI("stderr", "F"), FATE_CUT_PIECE },
		{ CRI("stderr", "F"), FATE_LOGIN },
	};
	(void)state;
	judge_in_turn(rows, LENGTH(rows));
}

/* Text between the pieces of a line in one file says nothing of another. */
static void
sources_are_cut_apart(void **state)
{
	static const struct {
		int source;
		const char *line; /* NULL: one that is too long */
		enum fate want;
	} rows[] = {
		{ 0, "2026-03-03T08:00:00Z stderr P somebody's words",
		    FATE_NO_PREFIX },
		{ 1, CRI("stderr", "F"), FATE_LOGIN },
		{ 0, CRI("stderr", "F"), FATE_CUT_PIECE },
		{ 0, CRI("stderr", "F"), FATE_LOGIN },
		{ 1, NULL, FATE_TOO_LONG },
		{ 0, CRI("stderr", "F"), FATE_LOGIN },
		{ 1, CRI("stderr", "F"), FATE_CUT_PIECE },
	};
	const struct parser_options options = { .servers_n = 0 };
	struct parser *parser = new_parser(&options);
	struct line_outputs outputs[2] = { 0 };
	const struct zone machine = { .fixed = false };

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%zu", i);
		struct parse_result got = { .fate = FATE_TOO_LONG };

		parser_source(parser, &outputs[rows[i].source], &machine);
		if (rows[i].line == NULL)
			parser_skip(parser);
		else
			parser_line(parser, rows[i].line, strlen(rows[i].line),
			    NOW, &got);
		assert_string_equal(
		    fate_name(got.fate), fate_name(rows[i].want));
	}
	parser_free(&parser);
}

/* Far more cut outputs than are remembered: none is taken for whole. */
static void
many_cut_outputs(void **state)
{
	const struct parser_options options = { .servers_n = 0 };
	struct parser *parser = new_parser(&options);

	(void)state;
	for (int cut = 1; cut >= 0; cut--) {
		for (int i = 0; i < 1000; i++) {
			struct parse_result got;
			char line[1000];
			int n = snprintf(line, sizeof(line),
			    JSON_BY("stdout", "dovecot",
				"\"_STREAM_ID\":\"%032x\",%s", DOVECOT),
			    i, cut != 0 ? CUT : "");

			parser_line(parser, line, (size_t)n, NOW, &got);
			assert_int_equal(got.fate, FATE_CUT_PIECE);
		}
	}
	parser_free(&parser);
}

/* The first line of two isn't even kept. */
static void
output_of_a_two_line_server(void **state)
{
	static const char first[] = "Session from 192.0.2.1",
			  second[] = "Authentication passed for jana";
	static const char *const servers[] = { "popa3d" };
	const struct parser_options options = {
		.servers = servers,
		.servers_n = 1,
	};
	struct parser *parser = new_parser(&options);
	struct parse_result got;

	(void)state;
	parser_message(parser, "mail", "popa3d", 7, DELIVERY_PIECE, first,
	    sizeof(first) - 1, NOW, &got);
	assert_int_equal(got.fate, FATE_STREAM_PIECE);
	parser_message(parser, "mail", "popa3d", 7, DELIVERY_MESSAGE, second,
	    sizeof(second) - 1, NOW, &got);
	assert_int_equal(got.fate, FATE_PAIR_MISSING);
	parser_free(&parser);
}

/* ---- the rest of the interface ---- */

static const char login_line[] = "dovecot[7]: " DOVECOT;

static enum fate
judge_line(struct parser *parser, const char *line)
{
	struct parse_result got;

	parser_line(parser, line, strlen(line), NOW, &got);
	return got.fate;
}

static void
bare_lines_are_taken_when_asked_for(void **state)
{
	const struct parser_options options = { .bare_lines = true };
	struct parser *parser = new_parser(&options);
	struct parse_result got;

	(void)state;
	parser_line(parser, login_line, strlen(login_line), NOW, &got);
	assert_int_equal(got.fate, FATE_LOGIN);
	assert_int_equal(got.login.at, NOW);
	assert_int_equal(judge_line(parser, DOVECOT), FATE_LOGIN);
	assert_int_equal(judge_line(parser, "x: y"), FATE_OTHER_PROGRAM);
	parser_free(&parser);
}

static void
only_named_servers_are_parsed(void **state)
{
	const char *const servers[] = { "courier" };
	const struct parser_options options = {
		.servers = servers,
		.servers_n = 1,
	};
	struct parser *parser = new_parser(&options);

	(void)state;
	assert_int_equal(
	    judge_line(parser, "Mar  3 08:00:00 mail dovecot: " DOVECOT),
	    FATE_OTHER_PROGRAM);
	assert_int_equal(judge_line(parser,
			     "Mar  3 08:00:00 mail imapd: "
			     "LOGIN, user=a, ip=[192.0.2.1]"),
	    FATE_LOGIN);
	/* UW's tag is Courier's too, but UW is not named */
	assert_int_equal(judge_line(parser,
			     "Mar  3 08:00:00 mail imapd[1]: "
			     "Login user=a host=[192.0.2.1]"),
	    FATE_UNKNOWN_SHAPE);
	parser_free(&parser);
}

static void
unknown_server_is_refused(void **state)
{
	const char *const servers[] = { "dovecot", "dovcot" };
	const struct parser_options options = {
		.servers = servers,
		.servers_n = 2,
	};
	struct parser *parser;
	struct err err = { .code = ERR_NONE };

	(void)state;
	assert_int_equal(parser_new(&options, &parser, &err), -1);
	assert_int_equal(err.code, ERR_INVALID);
	assert_non_null(strstr(err.text, "dovcot"));
	assert_null(parser);
}

static void
every_server_can_be_named(void **state)
{
	const char *name;

	(void)state;
	for (size_t i = 0; (name = parser_server_name(i)) != NULL; i++) {
		const struct parser_options options = {
			.servers = &name,
			.servers_n = 1,
		};
		struct parser *parser = new_parser(&options);

		parser_free(&parser);
		assert_null(parser);
	}
	parser_free(NULL);
}

static void
too_long_a_line_is_ignored(void **state)
{
	const struct parser_options options = { .servers_n = 0 };
	struct parser *parser = new_parser(&options);
	static char line[9000];
	int n = snprintf(line, sizeof(line),
	    "Mar  3 08:00:00 mail dovecot: " DOVECOT ", x=");

	(void)state;
	memset(line + n, 'x', sizeof(line) - (size_t)n - 1);
	/* above what syslog daemons may have cut */
	line[n + 100] = '\0';
	assert_int_equal(judge_line(parser, line), FATE_LOGIN);
	line[n + 100] = 'x';
	line[n + 900] = '\0';
	assert_int_equal(judge_line(parser, line), FATE_TOO_LONG);
	line[n + 900] = 'x';
	/* above what any line may have */
	line[8192] = '\0';
	assert_int_equal(judge_line(parser, line), FATE_TOO_LONG);
	line[8192] = 'x';
	line[8193] = '\0';
	assert_int_equal(judge_line(parser, line), FATE_TOO_LONG);
	parser_free(&parser);
}

static void
custom_server_is_parsed(void **state)
{
	const struct parser_custom custom[] = {
		{ "mypopd", "^in (?<user>\\S+) from (?<ip>\\S+)$", NULL, NULL,
		    false },
		{ "mypopd", "^again (?<user>\\S+) from (?<ip>\\S+)$", NULL,
		    NULL, false },
		{ "my", "^in (?<user>\\S+) from (?<ip>\\S+)$", NULL, NULL,
		    false },
		{ "dovecot", "^own (?<user>\\S+) (?<ip>\\S+)$", NULL, NULL,
		    false },
	};
	const struct parser_options options = {
		.custom = custom,
		.custom_n = 4,
	};
	struct parser *parser = new_parser(&options);

	(void)state;
	assert_int_equal(judge_line(parser,
			     "Mar  3 08:00:00 mail mypopd[1]: "
			     "in bob from 192.0.2.1"),
	    FATE_LOGIN);
	assert_int_equal(judge_line(parser,
			     "Mar  3 08:00:00 mail mypopd[1]: "
			     "again bob from 192.0.2.1"),
	    FATE_LOGIN);
	assert_int_equal(judge_line(parser,
			     "Mar  3 08:00:00 mail mypopd[1]: "
			     "in bob from 192.0.2"),
	    FATE_BAD_ADDRESS);
	assert_int_equal(judge_line(parser,
			     "Mar  3 08:00:00 mail mypopd[1]: "
			     "out bob"),
	    FATE_UNKNOWN_SHAPE);
	/* a short name switches the quick filter off, nothing else */
	assert_int_equal(judge_line(parser,
			     "Mar  3 08:00:00 mail my: "
			     "in bob from 192.0.2.1"),
	    FATE_LOGIN);
	assert_int_equal(judge_line(parser,
			     "Mar  3 08:00:00 mail postfix: "
			     "in bob from 192.0.2.1"),
	    FATE_OTHER_PROGRAM);
	/* beside a built-in grammar */
	assert_int_equal(judge_line(parser,
			     "Mar  3 08:00:00 mail dovecot: "
			     "own bob 192.0.2.1"),
	    FATE_LOGIN);
	assert_int_equal(
	    judge_line(parser, "Mar  3 08:00:00 mail dovecot: " DOVECOT),
	    FATE_LOGIN);
	parser_free(&parser);
}

/* Other tags of a server: their lines are read as its own. */
static void
tags_of_the_admin(void **state)
{
	static const struct parser_tag tags[] = {
		{ .server = "dovecot", .tag = "dovecot-backend" },
		{ .server = "cyrus", .tag = "sloti30t15/pop3" },
		{ .server = "courier", .tag = "0123456789ab" },
	};
	static const struct {
		const char *line;
		enum fate want;
		const char *service;
	} rows[] = {
		{ "Mar  3 08:00:00 mail dovecot-backend: " DOVECOT, FATE_LOGIN,
		    "imap" },
		{ "Mar  3 08:00:00 mail dovecot-backen: " DOVECOT,
		    FATE_OTHER_PROGRAM, NULL },
		{ "Mar  3 08:00:00 mail dovecot: " DOVECOT, FATE_LOGIN,
		    "imap" },
		{ "Mar  3 08:00:00 mail sloti30t15/pop3[7]: login: h "
		  "[192.0.2.1] bob plaintext User logged in",
		    FATE_LOGIN, "pop3" },
		{ "Mar  3 08:00:00 mail sloti30t15/imap[7]: login: h "
		  "[192.0.2.1] bob plaintext User logged in",
		    FATE_OTHER_PROGRAM, NULL },
		{ JSON_STDOUT("dovecot-backend", "", DOVECOT), FATE_LOGIN,
		    "imap" },
	};
	const struct parser_options options = {
		.tags = tags,
		.tags_n = LENGTH(tags),
	};
	struct parser *parser = new_parser(&options);

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s", rows[i].line);
		struct parse_result got;

		parser_line(
		    parser, rows[i].line, strlen(rows[i].line), NOW, &got);
		assert_string_equal(
		    fate_name(got.fate), fate_name(rows[i].want));
		if (rows[i].service != NULL)
			assert_string_equal(got.login.service, rows[i].service);
	}
	/* it is the server whose processes may speak for it */
	assert_true(parser_may_speak(parser, "dovecot-backend",
	    &(const struct parse_origin){
		.uid = 0, .comm = "log", .exe = "/usr/lib/dovecot/log" }));
	assert_false(parser_may_speak(parser, "dovecot-backend",
	    &(const struct parse_origin){
		.uid = 1000, .comm = "logger", .exe = "/usr/bin/logger" }));
	parser_free(&parser);
}

static void
bad_tag_is_refused(void **state)
{
	static const struct {
		const char *server, *tag, *want;
	} rows[] = {
		{ "dovecott", "x", "unknown server" },
		{ "dovecot", "a b", "\"a b\" is not what stands before" },
		{ "dovecot", "a:", "is not what stands before" },
		{ "dovecot", "", "is not what stands before" },
		{ "dovecot", "imapd", "is the tag of a server already" },
		{ "dovecot", "dovecot", "is the tag of a server already" },
		{ "popa3d", "x", "collector.servers doesn't name it" },
	};
	static const char *const servers[] = { "dovecot", "courier" };

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%s: %s", rows[i].server, rows[i].tag);
		const struct parser_tag tag = { .server = rows[i].server,
			.tag = rows[i].tag,
			.where = "x.conf:7: collector.tags" };
		const struct parser_options options = {
			.servers = servers,
			.servers_n = LENGTH(servers),
			.tags = &tag,
			.tags_n = 1,
		};
		struct parser *parser;
		struct err err;

		assert_int_equal(parser_new(&options, &parser, &err), -1);
		assert_int_equal(err.code, ERR_INVALID);
		assert_contains(err.text, "x.conf:7: collector.tags: ");
		assert_contains(err.text, rows[i].want);
	}
}

static void
bad_custom_server_is_refused(void **state)
{
	const struct parser_custom custom = { "mypopd",
		"in (?<user>\\S+) from (?<ip>\\S+)$", NULL, NULL, false };
	const struct parser_options options = {
		.custom = &custom,
		.custom_n = 1,
	};
	struct parser *parser;
	struct err err = { .code = ERR_NONE };

	(void)state;
	assert_int_equal(parser_new(&options, &parser, &err), -1);
	assert_int_equal(err.code, ERR_INVALID);
	assert_non_null(strstr(err.text, "mypopd"));
}

static void
origin_decides_who_may_speak(void **state)
{
	const struct parser_options options = { .servers_n = 0 };
	struct parser *parser = new_parser(&options);
	const struct parse_origin root = { 0, "log", "/usr/lib/dovecot/log",
		"dovecot.service" };
	const struct parse_origin start = { 0, "doveconf", "/usr/bin/doveconf",
		"dovecot.service" };
	const struct parse_origin doveconf = { 1000, "doveconf",
		"/usr/bin/doveconf", "session-3.scope" };
	const struct parse_origin user = { 1000, "logger", "/usr/bin/logger",
		"session-3.scope" };
	const struct parse_origin nobody = { 65534, "perdition.imap4",
		"/usr/sbin/perdition.imap4", NULL };
	const struct parse_origin unknown = { -1, NULL, NULL, NULL };

	(void)state;
	assert_true(parser_may_speak(parser, "dovecot", &root));
	assert_true(parser_may_speak(parser, "dovecot", &start));
	assert_false(parser_may_speak(parser, "dovecot", &doveconf));
	assert_false(parser_may_speak(parser, "dovecot", &user));
	assert_false(parser_may_speak(parser, "dovecot", &nobody));
	assert_true(parser_may_speak(parser, "dovecot", &unknown));
	assert_true(parser_may_speak(parser, "perdition.imap4", &nobody));
	assert_false(parser_may_speak(parser, "imapd", &root));
	assert_true(parser_may_speak(parser, "sshd", &user));
	parser_free(&parser);
}

static bool
below_roots(const char *path, size_t len)
{
	static const char roots[] = "/opt/roots/";

	return len > sizeof(roots) - 1 &&
	    memcmp(path, roots, sizeof(roots) - 1) == 0;
}

/* Below /opt and /usr/local it depends on whose the directories are. */
static void
places_of_admins(void **state)
{
	static const struct {
		const char *exe;
		int64_t uid;
		bool asked, want;
	} rows[] = {
		{ "/opt/roots/imapd", 33, true, true },
		{ "/opt/roots/imapd (deleted)", 33, true, true },
		{ "/opt/roots/imapd", 33, false, false },
		{ "/opt/roots/imapd", 0, false, true },
		{ "/opt/other/imapd", 33, true, false },
		{ "/opt/other/imapd", 0, true, true },
		{ "/usr/local/sbin/imapd", 33, true, false },
		{ "/usr/sbin/imapd", 33, true, true },
		{ "/optional/roots/imapd", 33, true, false },
		/* and no ordinary user anywhere */
		{ "/opt/roots/imapd", 1000, true, false },
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		ROW("%zu, %s by uid %d", i, rows[i].exe, (int)rows[i].uid);
		const struct parser_options options = {
			.only_root = rows[i].asked ? below_roots : NULL
		};
		struct parser *parser = new_parser(&options);
		const struct parse_origin o = { rows[i].uid, "imapd",
			rows[i].exe, "x.service" };

		assert_int_equal(
		    parser_may_speak(parser, "imapd", &o), rows[i].want);
		parser_free(&parser);
	}
}

/* ---- two-line servers ---- */

struct pair_step {
	const char *line;
	enum fate want;
};

#define AT(clock, rest) "Mar  3 " clock " mail " rest

static void
run_steps(const char *server, const struct pair_step *steps, size_t n)
{
	const char *const servers[] = { "all", server };
	const struct parser_options options = {
		.servers = servers,
		.servers_n = 2,
	};
	struct parser *parser = new_parser(&options);

	for (size_t i = 0; i < n; i++) {
		struct parse_result got;
		char got_ip[ADDR_TEXT_MAX];

		parser_line(
		    parser, steps[i].line, strlen(steps[i].line), NOW, &got);
		ROW("step %zu, %s", i, steps[i].line);
		assert_string_equal(
		    fate_name(got.fate), fate_name(steps[i].want));
		if (got.fate != FATE_LOGIN)
			continue;
		assert_string_equal(
		    addr_format(&got.login.client, got_ip), "192.0.2.1");
		assert_string_equal(got.login.user, "jana");
	}
	parser_free(&parser);
}

#define RUN_STEPS(server, steps) run_steps(server, steps, LENGTH(steps))

static void
popa3d_pairs(void **state)
{
	static const struct pair_step steps[] = {
		{ AT("08:00:00", "popa3d[1]: Session from 192.0.2.1"),
		    FATE_PAIR_OPENED },
		{ AT("08:00:01", "popa3d[2]: Session from 203.0.113.9"),
		    FATE_PAIR_OPENED },
		{ AT("08:00:02",
		      "popa3d[1]: pam_unix(popa3d:auth): check pass"),
		    FATE_NOT_A_LOGIN },
		{ AT("08:00:03", "popa3d[1]: Authentication passed for jana"),
		    FATE_LOGIN },
		/* once */
		{ AT("08:00:04", "popa3d[1]: Authentication passed for jana"),
		    FATE_PAIR_MISSING },
		/* failure */
		{ AT("08:00:05", "popa3d[2]: Authentication failed for jana"),
		    FATE_FAILED_LOGIN },
		{ AT("08:00:06", "popa3d[2]: Authentication passed for jana"),
		    FATE_PAIR_MISSING },
		/* id used again much later */
		{ AT("08:01:00", "popa3d[3]: Session from 203.0.113.9"),
		    FATE_PAIR_OPENED },
		{ AT("08:03:01", "popa3d[3]: Authentication passed for jana"),
		    FATE_PAIR_MISSING },
		/* id used again at once: the newer address counts */
		{ AT("08:04:00", "popa3d[4]: Session from 203.0.113.9"),
		    FATE_PAIR_OPENED },
		{ AT("08:04:01", "popa3d[4]: Session from 192.0.2.1"),
		    FATE_PAIR_OPENED },
		{ AT("08:04:02", "popa3d[4]: Authentication passed for jana"),
		    FATE_LOGIN },
		/* an address that is none forgets the former one */
		{ AT("08:05:00", "popa3d[5]: Session from 203.0.113.9"),
		    FATE_PAIR_OPENED },
		{ AT("08:05:01", "popa3d[5]: Session from unknown"),
		    FATE_BAD_ADDRESS },
		{ AT("08:05:02", "popa3d[5]: Authentication passed for jana"),
		    FATE_PAIR_MISSING },
		/* the clock went back */
		{ AT("08:06:00", "popa3d[6]: Session from 203.0.113.9"),
		    FATE_PAIR_OPENED },
		{ AT("08:05:59", "popa3d[6]: Authentication passed for jana"),
		    FATE_PAIR_MISSING },
		/* logout */
		{ AT("08:07:00", "popa3d[7]: Session from 203.0.113.9"),
		    FATE_PAIR_OPENED },
		{ AT("08:07:01", "popa3d[7]: Didn't attempt authentication"),
		    FATE_NOT_A_LOGIN },
		{ AT("08:07:02", "popa3d[7]: Authentication passed for jana"),
		    FATE_PAIR_MISSING },
		/* another host, another process */
		{ "Mar  3 08:08:00 other popa3d[8]: Session from 203.0.113.9",
		    FATE_PAIR_OPENED },
		{ AT("08:08:01", "popa3d[8]: Authentication passed for jana"),
		    FATE_PAIR_MISSING },
		/* no id, no pair */
		{ AT("08:09:00", "popa3d: Session from 203.0.113.9"),
		    FATE_PAIR_OPENED },
		{ AT("08:09:01", "popa3d: Authentication passed for jana"),
		    FATE_PAIR_MISSING },
		/* the one-line form needs no pair, ends one, and must agree
		   with it */
		{ AT("08:09:58",
		      "popa3d[9]: Authentication passed for jana -- "
		      "[192.0.2.1]"),
		    FATE_LOGIN },
		{ AT("08:09:58", "popa3d[9]: Session from 203.0.113.9"),
		    FATE_PAIR_OPENED },
		{ AT("08:09:59",
		      "popa3d[9]: Authentication passed for x -- "
		      "[6.6.6.6]"),
		    FATE_AMBIGUOUS },
		{ AT("08:10:00", "popa3d[9]: Session from 192.0.2.1"),
		    FATE_PAIR_OPENED },
		{ AT("08:10:01",
		      "popa3d[9]: Authentication passed for jana -- "
		      "[192.0.2.1]"),
		    FATE_LOGIN },
		{ AT("08:10:02", "popa3d[9]: Authentication passed for jana"),
		    FATE_PAIR_MISSING },
	};

	(void)state;
	RUN_STEPS("popa3d", steps);
}

static void
other_two_line_servers_pair(void **state)
{
	static const struct pair_step vm[] = {
		{ AT("08:00:00", "vm-pop3d[1]: Connect from 192.0.2.1"),
		    FATE_PAIR_OPENED },
		{ AT("08:00:01",
		      "vm-pop3d[1]: User 'jana' of 'example.org' logged "
		      "in"),
		    FATE_LOGIN },
		{ AT("08:00:02", "vm-pop3d[2]: Connect from 192.0.2.1"),
		    FATE_PAIR_OPENED },
		{ AT("08:00:03", "vm-pop3d[2]: Non-existent user: jana (x)"),
		    FATE_FAILED_LOGIN },
		{ AT("08:00:04", "vm-pop3d[2]: User 'jana' logged in"),
		    FATE_PAIR_MISSING },
		/* popa3d was not named */
		{ AT("08:00:05", "popa3d[1]: Session from 192.0.2.1"),
		    FATE_NOT_A_LOGIN },
		{ AT("08:00:06", "popa3d[1]: Authentication passed for jana"),
		    FATE_NO_ADDRESS },
	};
	static const struct pair_step binc[] = {
		{ AT("08:00:00", "bincimap-up[1]: connection from 192.0.2.1"),
		    FATE_PAIR_OPENED },
		{ AT("08:00:01", "bincimapd[1]: <jana> authenticated"),
		    FATE_LOGIN },
		{ AT("08:00:02", "bincimapd[2]: <jana> authenticated"),
		    FATE_PAIR_MISSING },
	};
	static const struct pair_step solid[] = {
		{ AT("08:00:00", "solid-pop3d[1]: connect from 192.0.2.1"),
		    FATE_PAIR_OPENED },
		{ AT("08:00:01", "solid-pop3d[1]: user jana authenticated"),
		    FATE_LOGIN },
		{ AT("08:00:02", "solid-pop3d[2]: connect from pc (192.0.2.1)"),
		    FATE_PAIR_OPENED },
		{ AT("08:00:03",
		      "solid-pop3d[2]: user jana authenticated through "
		      "APOP"),
		    FATE_LOGIN },
	};

	(void)state;
	RUN_STEPS("vm-pop3d", vm);
	RUN_STEPS("binc", binc);
	RUN_STEPS("solid-pop3d", solid);
}

static int
run_rest(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bare_lines_are_taken_when_asked_for),
		cmocka_unit_test(only_named_servers_are_parsed),
		cmocka_unit_test(unknown_server_is_refused),
		cmocka_unit_test(every_server_can_be_named),
		cmocka_unit_test(too_long_a_line_is_ignored),
		cmocka_unit_test(what_follows_a_cut),
		cmocka_unit_test(what_follows_a_cut_in_a_container),
		cmocka_unit_test(sources_are_cut_apart),
		cmocka_unit_test(many_cut_outputs),
		cmocka_unit_test(output_of_a_two_line_server),
		cmocka_unit_test(custom_server_is_parsed),
		cmocka_unit_test(tags_of_the_admin),
		cmocka_unit_test(bad_tag_is_refused),
		cmocka_unit_test(bad_custom_server_is_refused),
		cmocka_unit_test(origin_decides_who_may_speak),
		cmocka_unit_test(places_of_admins),
		cmocka_unit_test(popa3d_pairs),
		cmocka_unit_test(other_two_line_servers_pair),
	};

	return cmocka_run_group_tests_name("parser", tests, NULL, NULL);
}

int
main(void)
{
	int failed = 0;

	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	for (size_t i = 0; i < LENGTH(default_never); i++) {
		struct network net;

		if (!network_parse(default_never[i], &net) ||
		    !network_set_add(&never, &net))
			return 1;
	}
	failed += run_corpus();
	failed += RUN_ROWS("captured", captured, captured_file_is_judged);
	failed += RUN_ROWS("messages", messages, message_is_judged);
	failed += RUN_ROWS("lines", lines, line_is_judged);
	failed += run_rest();
	network_set_release(&never);
	return failed != 0;
}
