/* SPDX-License-Identifier: ISC */
#include "ctl/rehearsal/postfix_seeds.h"

#include <ctype.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/addr.h"
#include "ctl/rehearsal/entry_sorts.h"
#include "ctl/rehearsal/exim_seeds.h"
#include "ctl/rehearsal/gateway.h"
#include "ctl/stage/names.h"

enum {
	WORD = 300,
	KIND_MAX = 160, /* seeds of one kind: what a minute allows */
	THOROUGH = 8, /* times as many, when time is no matter */
	FILES_MAX = 64,
	ROWS_MAX = 200,
	/* a network at least as wide isn't known to its admin by heart */
	WIDE_V4 = 8,
	WIDE_V6 = 16,
	BRANCHES = 3,
	INSIDERS_MAX = 12
};

/* The characters of a host's name. */
static const char host[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-";

static void
add(struct postfix_seeds *s, struct string_list *list, const char *text)
{
	char recipient[2 * WORD];

	if (list == &s->recipients) {
		(void)snprintf(recipient, sizeof(recipient), "<%s>", text);
		text = recipient;
	}
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->v[i], text) == 0)
			return;
	if (list->n < (s->thorough ? KIND_MAX * THOROUGH : KIND_MAX) &&
	    !string_list_add(list, text, strlen(text)))
		s->failed = true;
}

static void __attribute__((format(printf, 3, 4)))
addf(struct postfix_seeds *s, struct string_list *list, const char *fmt, ...)
{
	char text[2 * WORD];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n > 0 && n < (int)sizeof(text))
		add(s, list, text);
}

void
postfix_seeds_begin(struct postfix_seeds *s, bool thorough)
{
	static const char *const clients[] = { "203.0.113.50", "198.51.100.7",
		"5.45.96.17", "46.4.12.9", "93.184.216.5", "133.11.3.4",
		"172.104.9.8", "200.3.14.10", "2001:db8:77::50",
		"2a02:2e0:3fe::9", "2607:f8b0::5" };

	*s = (struct postfix_seeds){ .thorough = thorough };
	for (size_t i = 0; i < sizeof(clients) / sizeof(*clients); i++)
		add(s, &s->clients, clients[i]);
	add(s, &s->senders, "spam@popgate-stranger.com");
	add(s, &s->senders, "");
	add(s, &s->recipients, "user@" POSTFIX_VICTIM ".com");
	add(s, &s->recipients, "user@" POSTFIX_VICTIM ".org");
	add(s, &s->recipients, "user@" NAMES_MX_HERE ".com");
	add(s, &s->helos, "host77.popgate-stranger.com");
	add(s, &s->helos, "203.0.113.50");
	add(s, &s->helos, "[203.0.113.50]");
	add(s, &s->helos, "localhost");
	add(s, &s->helos, "unqualified");
}

static bool
is_label(const char *word)
{
	size_t n = strlen(word);

	for (size_t i = 0; i < n; i++)
		if (!isalpha((unsigned char)word[i]))
			return false;
	return n >= 2 && n <= 24;
}

static bool
is_domain(const char *word)
{
	const char *dot = strrchr(word, '.');

	for (const char *p = word; *p != '\0'; p++)
		if (!isalnum((unsigned char)*p) && strchr(".-_", *p) == NULL)
			return false;
	return dot != NULL && is_label(dot + 1) && strstr(word, "..") == NULL;
}

/* No stranger has a name below these: they stand for something else, or are
 * set apart for private networks. */
static bool
is_private(const char *word)
{
	static const char *const names[] = { "unknown", "localhost",
		"localdomain", "local", "lan", "home", "internal", "intranet",
		"private", "corp", "ok", "reject", "permit", "relay", "dunno",
		"discard", "defer", "hold", "static", "all" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcasecmp(word, names[i]) == 0)
			return true;
	return false;
}

/* A top level domain, perhaps: anybody has a name below it. Any word of a
 * comment looks like one. */
static void
say_label(struct postfix_seeds *s, const char *word)
{
	addf(s, &s->helos, "%s", word);
	if (is_private(word))
		return;
	addf(s, &s->recipients, "user@" POSTFIX_VICTIM ".%s", word);
	addf(s, &s->senders, "user@popgate-stranger.%s", word);
	addf(s, &s->names, "host77.popgate-stranger.%s", word);
	addf(s, &s->senders, "%s@popgate-stranger.com", word);
}

static void
take_domain(struct postfix_seeds *s, const char *word)
{
	if (*word == '.')
		word++;
	addf(s, &s->senders, "user@%s", word);
	addf(s, &s->senders, "user@sub.%s", word);
	addf(s, &s->senders, "user@popgate-stranger-%s", word);
	addf(s, &s->helos, "%s", word);
	addf(s, &s->helos, "sub.%s", word);
	addf(s, &s->helos, "popgate-stranger-%s", word);
	addf(s, &s->recipients, "user@%s", word);
	addf(s, &s->recipients, "user@sub.%s", word);
	addf(s, &s->recipients, "user@" POSTFIX_VICTIM "-%s", word);
	addf(s, &s->recipients, "user@%s." POSTFIX_VICTIM ".com", word);
	/* only names that anybody can have */
	addf(s, &s->names, "popgate-stranger-%s", word);
	addf(s, &s->names, "%s.popgate-stranger.com", word);
}

static void
take_address(struct postfix_seeds *s, const char *word)
{
	const char *at = strrchr(word, '@');

	if (at == word) {
		addf(s, &s->senders, "user%s", word);
		addf(s, &s->recipients, "user%s", word);
	} else {
		add(s, &s->senders, word);
		if (at[1] == '\0') {
			addf(s, &s->senders, "%spopgate-stranger.com", word);
			addf(s, &s->recipients, "%s" POSTFIX_VICTIM ".com",
			    word);
		} else {
			add(s, &s->recipients, word);
			addf(s, &s->recipients, "%.*s@" POSTFIX_VICTIM ".com",
			    (int)(at - word), word);
		}
	}
	if (is_domain(at + 1))
		take_domain(s, at + 1);
}

/* "203", "203.0": octets of a client in an indexed table (access(5)). */
static bool
take_octets(struct postfix_seeds *s, const char *word)
{
	unsigned a, b = 0, c = 0;
	int n = sscanf(word, "%3u.%3u.%3u", &a, &b, &c);
	struct network net;
	char text[64];

	if (n < 1 || word[strspn(word, "0123456789.")] != '\0' || a == 0 ||
	    a > 223 || a == 10 || a == 127 || b > 255 || c > 255)
		return false;
	if (n == 1) {
		addf(s, &s->clients, "%u.45.96.9", a);
		return true;
	}
	(void)snprintf(
	    text, sizeof(text), "%u.%u.%u.0/%d", a, b, c, n == 2 ? 16 : 24);
	if (network_parse(text, &net) && !network_set_add(&s->narrow, &net))
		s->failed = true;
	return true;
}

static bool
take_network(struct postfix_seeds *s, const char *word)
{
	struct network net;
	char text[ADDR_TEXT_MAX];
	struct addr inside;

	if (!network_parse(word, &net))
		return take_octets(s, word);
	inside = net.base;
	if (net.bits == addr_bits(&inside)) {
		/* anybody may say that this is his name */
		addf(s, &s->helos, "%s", word);
		addf(s, &s->helos,
		    inside.family == ADDR_IPV4 ? "[%s]" : "[IPv6:%s]",
		    addr_format(&inside, text));
	}
	if (net.bits > (net.base.family == ADDR_IPV4 ? WIDE_V4 : WIDE_V6)) {
		if (net.bits < addr_bits(&inside) - 1)
			inside.bytes[addr_bits(&inside) / 8 - 1] |= 1;
		if (s->insiders.n < INSIDERS_MAX)
			add(s, &s->insiders, addr_format(&inside, text));
		if (!network_set_add(&s->narrow, &net))
			s->failed = true;
		return true;
	}
	/* nobody comes from there: this machine, private, multicast, reserved
	 */
	if (inside.bytes[0] == 0 || inside.bytes[0] == 127 ||
	    inside.bytes[0] == 10 || inside.bytes[0] >= 224)
		return true;
	inside.bytes[addr_bits(&net.base) / 8 - 1] |= 9;
	add(s, &s->clients, addr_format(&inside, text));
	return true;
}

static void
take_word(struct postfix_seeds *s, const char *word)
{
	const char *colon = strchr(word, ':');
	const char *path = *word == '/'        ? word
	    : colon != NULL && colon[1] == '/' ? colon + 1
					       : NULL;

	if (path != NULL && strlen(path) > 1) {
		add(s, &s->paths, path);
		return;
	}
	while (*word == '!')
		word++;
	if (take_network(s, word))
		return;
	if (strchr(word, '@') != NULL)
		take_address(s, word);
	else if (is_domain(word))
		take_domain(s, word);
	else if (is_label(word) || (*word == '.' && is_label(word + 1)))
		add(s, &s->labels, word + (*word == '.'));
}

/* A text that a pattern matches, said as whatever it may be. */
static void
take_sample(struct postfix_seeds *s, const char *sample)
{
	if (strpbrk(sample, " <>\r\n\"") != NULL)
		return;
	if (strchr(sample, '@') != NULL) {
		take_address(s, sample);
		return;
	}
	take_word(s, sample);
	if (*sample == '\0' || *sample == '/')
		return;
	add(s, &s->helos, sample);
	if (strspn(sample, host) == strlen(sample))
		addf(s, &s->names, "%s%spopgate-stranger.com", sample,
		    sample[strlen(sample) - 1] == '.' ? "" : ".");
	addf(s, &s->senders, "%s@popgate-stranger.com", sample);
	addf(s, &s->recipients, "%s@" POSTFIX_VICTIM ".com", sample);
	addf(s, &s->senders, "user@%s", sample);
	addf(s, &s->recipients, "user@%s", sample);
}

/* The expression of "/expression/flags result". */
static bool
expression_of(const char *line, char regex[WORD])
{
	const char *begin, *end;

	if (*line != '/')
		return false;
	begin = line + 1;
	for (end = begin; *end != '\0' && *end != '/'; end++)
		if (*end == '\\' && end[1] != '\0')
			end++;
	if (*end != '/' || (size_t)(end - begin) >= WORD ||
	    memchr(begin, ' ', (size_t)(end - begin)) != NULL ||
	    (end[1] != '\0' && strchr(" \timsxAEUX", end[1]) == NULL))
		return false;
	(void)snprintf(regex, WORD, "%.*s", (int)(end - begin), begin);
	return true;
}

/* An entry in an "if" has to match both expressions: the two samples, in either
 * order, may. */
static void
take_joined(struct postfix_seeds *s, const char *sample)
{
	char both[2 * WORD];

	if (*s->within == '\0')
		return;
	(void)snprintf(both, sizeof(both), "%s%s", sample, s->within);
	take_sample(s, both);
	(void)snprintf(both, sizeof(both), "%s%s", s->within, sample);
	take_sample(s, both);
}

/* "/expression/flags result", perhaps behind "if" or "!". */
static void
take_pattern(struct postfix_seeds *s, const char *line)
{
	char regex[WORD], sample[WORD];
	bool outer = strncmp(line, "if ", 3) == 0, negated;

	if (outer)
		line += 3;
	line += strspn(line, " \t");
	negated = *line == '!';
	line += strspn(line, " \t!");
	if (!expression_of(line, regex))
		return;
	for (int swapped = 0; swapped < 2; swapped++)
		if (gateway_regex(regex, swapped, POSTFIX_VICTIM ".com", sample,
			sizeof(sample)) &&
		    strpbrk(sample, " <>\r\n\"") == NULL)
			add(s, &s->gateways, sample);
	for (unsigned i = 0; i < BRANCHES; i++)
		if (exim_sample(regex, i, sample, sizeof(sample))) {
			take_sample(s, sample);
			if (!negated)
				take_joined(s, sample);
		}
	if (outer && !negated && exim_sample(regex, 0, sample, sizeof(sample)))
		(void)snprintf(s->within, sizeof(s->within), "%s", sample);
}

static void
take_line(struct postfix_seeds *s, const char *line)
{
	char word[WORD];
	size_t n = 0;

	if (strncmp(line, "endif", 5) == 0)
		*s->within = '\0';
	take_pattern(s, line);
	for (;; line++) {
		if (*line == '\\')
			continue;
		if (isalnum((unsigned char)*line) ||
		    (*line != '\0' && strchr(".@:/_-+=!#", *line) != NULL)) {
			if (n + 1 < sizeof(word))
				word[n++] = *line;
			continue;
		}
		word[n] = '\0';
		while (n > 0 && strchr(".:=", word[n - 1]) != NULL)
			word[--n] = '\0';
		if (n > 1) {
			const char *value = strchr(word, '=');

			take_word(s, word);
			/* inline:{key=value} */
			if (value != NULL) {
				word[value - word] = '\0';
				take_word(s, word);
			}
		}
		n = 0;
		if (*line == '\0')
			return;
	}
}

void
postfix_seeds_take(struct postfix_seeds *s, const char *text, size_t len)
{
	char line[4096] = "";
	size_t n = 0;

	for (size_t i = 0; i <= len; i++) {
		char c = i == len ? '\n' : text[i];

		if (c != '\n' && c != '\0') {
			if (n + 1 < sizeof(line))
				line[n++] = c;
			continue;
		}
		line[n] = '\0';
		if (n > 0 && *line != '#')
			take_line(s, line);
		n = 0;
	}
}

static void
take_row(struct postfix_seeds *s, sqlite3_stmt *row)
{
	for (int i = 0; i < sqlite3_column_count(row); i++) {
		const unsigned char *text = sqlite3_column_text(row, i);

		if (text != NULL)
			postfix_seeds_take(
			    s, (const char *)text, strlen((const char *)text));
	}
}

/* Every column of every table. */
static void
take_sqlite(struct postfix_seeds *s, const char *path)
{
	sqlite3_stmt *names = NULL, *rows = NULL;
	sqlite3 *db = NULL;
	char *sql;

	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) ==
		SQLITE_OK &&
	    sqlite3_prepare_v2(db,
		"SELECT name FROM sqlite_schema WHERE type IN ('table','view')",
		-1, &names, NULL) == SQLITE_OK)
		while (sqlite3_step(names) == SQLITE_ROW) {
			sql = sqlite3_mprintf("SELECT * FROM \"%w\" LIMIT %d",
			    sqlite3_column_text(names, 0), ROWS_MAX);
			if (sql != NULL &&
			    sqlite3_prepare_v2(db, sql, -1, &rows, NULL) ==
				SQLITE_OK)
				while (sqlite3_step(rows) == SQLITE_ROW)
					take_row(s, rows);
			(void)sqlite3_finalize(rows);
			rows = NULL;
			sqlite3_free(sql);
		}
	(void)sqlite3_finalize(names);
	(void)sqlite3_close(db);
}

/* --- tables --- */

static void
take_entries(struct postfix_seeds *s, FILE *from, bool index)
{
	struct entry_sorts *sorts = calloc(1, sizeof(*sorts));
	char *line = NULL;
	size_t room = 0;
	ssize_t n;

	if (sorts == NULL)
		s->failed = true;
	/* an index ends its words by NUL */
	while (sorts != NULL &&
	    (n = getdelim(&line, &room, index ? '\0' : '\n', from)) > 0) {
		if (line[n - 1] == '\n')
			line[n - 1] = '\0';
		if (*line == '\0' || *line == '#')
			continue;
		s->entries++;
		if (!entry_sorts_take(sorts, line, s->thorough))
			continue;
		s->said++;
		postfix_seeds_take(s, line, strlen(line));
	}
	if (!feof(from))
		s->failed = true;
	free(line);
	free(sorts);
}

/* Programs are named, too. */
static bool
is_program(const char head[16])
{
	return memcmp(head, "\177ELF", 4) == 0 || memcmp(head, "#!", 2) == 0;
}

static void
take_file(struct postfix_seeds *s, const char *path, bool index)
{
	/* whoever may write the configuration may name any file */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	FILE *from = fd == -1 ? NULL : fdopen(fd, "r");
	char head[16] = "";
	struct stat st;

	if (from == NULL) {
		if (fd != -1)
			(void)close(fd);
		return;
	}
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    pread(fd, head, sizeof(head), 0) > 0 && !is_program(head)) {
		s->tables++;
		if (memcmp(head, "SQLite format 3", 15) == 0)
			take_sqlite(s, path);
		else
			take_entries(s, from, index);
	}
	(void)fclose(from);
}

void
postfix_seeds_follow(struct postfix_seeds *s)
{
	static const char *const suffixes[] = { "", ".db", ".lmdb", ".cdb" };

	for (size_t i = 0; i < s->paths.n && i < FILES_MAX; i++) {
		struct stat st;
		char path[2 * WORD];

		for (size_t k = 0; k < 4; k++) {
			(void)snprintf(path, sizeof(path), "%s%s",
			    s->paths.v[i], suffixes[k]);
			if (stat(path, &st) == 0 && S_ISREG(st.st_mode)) {
				take_file(s, path, k > 0);
				break;
			}
		}
	}
}

void
postfix_seeds_end(struct postfix_seeds *s)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->labels.n; i++)
		say_label(s, s->labels.v[i]);
	for (size_t i = 0; i < s->clients.n; i++) {
		struct addr addr;

		if (addr_parse_loose(s->clients.v[i], &addr) &&
		    network_set_contains(&s->narrow, &addr))
			free(s->clients.v[i]);
		else
			s->clients.v[kept++] = s->clients.v[i];
	}
	s->clients.n = kept;
}

void
postfix_seeds_release(struct postfix_seeds *s)
{
	string_list_release(&s->senders);
	string_list_release(&s->recipients);
	string_list_release(&s->helos);
	string_list_release(&s->names);
	string_list_release(&s->clients);
	string_list_release(&s->paths);
	string_list_release(&s->labels);
	string_list_release(&s->gateways);
	string_list_release(&s->insiders);
	network_set_release(&s->narrow);
}
