#include "common/mta/postfix_table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/run.h"

enum { WHY_LEN = 400, DEPTH_MAX = 4 };

static const char blank[] = " \t\r\n";

enum map_result
map_result_parse(const char *value)
{
	static const struct {
		const char *word;
		enum map_result result;
	} words[] = { { "OK", RESULT_OK }, { "RELAY", RESULT_OK },
		{ "REJECT", RESULT_REJECT }, { "DEFER", RESULT_REJECT },
		{ "DEFER_IF_PERMIT", RESULT_REJECT },
		{ "DEFER_IF_REJECT", RESULT_NEUTRAL },
		{ "DISCARD", RESULT_REJECT }, { "DUNNO", RESULT_NEUTRAL },
		{ "BCC", RESULT_NEUTRAL }, { "FILTER", RESULT_NEUTRAL },
		{ "HOLD", RESULT_NEUTRAL }, { "PREPEND", RESULT_NEUTRAL },
		{ "REDIRECT", RESULT_NEUTRAL }, { "INFO", RESULT_NEUTRAL },
		{ "WARN", RESULT_NEUTRAL } };

	value += strspn(value, blank);
	size_t n = strcspn(value, blank), digits = strspn(value, "0123456789");
	const char *rest = value + n + strspn(value + n, blank);

	if (n == 0)
		return RESULT_NEUTRAL;
	/* "550 text" refuses, but "550" alone is all digits: OK */
	if (digits == n)
		return *rest == '\0'                             ? RESULT_DIGITS
		    : n == 3 && (*value == '4' || *value == '5') ? RESULT_REJECT
								 : RESULT_LIST;
	/* RELAY is Sendmail's; smtpd calls it a mistake and defers */
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strlen(words[i].word) == n &&
		    strncasecmp(value, words[i].word, n) == 0)
			return i == 1 ? RESULT_REJECT : words[i].result;
	return RESULT_LIST;
}

bool
map_pattern_is_all(const char *pattern)
{
	static const char *const all[] = { "", ".", ".*", ".+", "^", "$", "^.",
		".$", "^.*", "^.*$", "^.+$", ".*$", ".+$", "@", "^(.*)$",
		"(.*)", "[^ ]" };
	const char *end;

	if (*pattern == '\0')
		return false;
	end = strrchr(pattern + 1, *pattern);
	if (end == NULL)
		return false;
	size_t n = (size_t)(end - pattern) - 1;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strlen(all[i]) == n && strncmp(pattern + 1, all[i], n) == 0)
			return true;
	return false;
}

char *
map_file_read(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	char *text;

	if (fd == -1 || fstat(fd, &st) == -1) {
		int error = errno;

		if (fd != -1)
			(void)close(fd);
		errno = error;
		return NULL;
	}
	if (!S_ISREG(st.st_mode) || st.st_size > RUN_OUTPUT_MAX) {
		(void)close(fd);
		errno = S_ISREG(st.st_mode) ? EFBIG : EINVAL;
		return NULL;
	}
	size_t size = (size_t)st.st_size, len = 0;

	text = malloc(size + 1);
	while (text != NULL && len < size) {
		ssize_t n = read(fd, text + len, size - len);

		if (n > 0)
			len += (size_t)n;
		else if (n == 0 || errno != EINTR)
			break;
	}
	(void)close(fd);
	if (text != NULL) {
		for (size_t i = 0; i < len; i++)
			if (text[i] == '\0')
				text[i] = '?';
		text[len] = '\0';
	}
	return text;
}

static void
trim_end(char *text)
{
	for (size_t len = strlen(text);
	     len > 0 && strchr(blank, text[len - 1]) != NULL; len--)
		text[len - 1] = '\0';
}

/* One logical line: pattern or key, white space, value. */
static void
take_line(enum map_kind kind, char *line, map_entry *entry, void *arg)
{
	char *key = line + strspn(line, blank), *value;
	size_t n = strcspn(key, blank);

	if (kind != MAP_KEYS &&
	    (strncasecmp(key, "endif", n) == 0 ||
		strncasecmp(key, "if", n) == 0))
		return;
	if (kind == MAP_PATTERN) {
		char *at = key + (*key == '!');

		if (*at == '\0')
			return;
		/* the expression may hold blanks */
		for (value = at + 1; *value != '\0' && *value != *at; value++)
			if (*value == '\\' && value[1] != '\0')
				value++;
		n = (size_t)(value - key) + strcspn(value, blank);
	}
	if (n == 0)
		return;
	value = key + n;
	if (*value != '\0')
		*value++ = '\0';
	value += strspn(value, blank);
	trim_end(value);
	if (*key != '!')
		entry(arg, kind, key, value);
}

void
map_text_parse(
    enum map_kind kind, const char *text, map_entry *entry, void *arg)
{
	char *line = NULL, *grown;
	size_t len = 0;

	/* a line that begins with white space continues the one before */
	while (*text != '\0') {
		size_t n = strcspn(text, "\n");
		bool comment = text[strspn(text, " \t\r")] == '#' ||
		    strspn(text, " \t\r") >= n;
		bool more = strchr(" \t", *text) != NULL;

		if (!comment && !more && line != NULL && len > 0) {
			take_line(kind, line, entry, arg);
			len = 0;
		}
		if (!comment) {
			grown = realloc(line, len + n + 1);
			if (grown == NULL)
				break;
			line = grown;
			memcpy(line + len, text, n);
			len += n;
			line[len] = '\0';
		}
		text += n + (text[n] == '\n');
	}
	if (line != NULL && len > 0)
		take_line(kind, line, entry, arg);
	free(line);
}

/* The text inside "{ }" at *text, and behind it; or up to a blank or comma.
 * Returns the length of the word, with *word at its start. */
static size_t
next_member(const char **text, const char **word)
{
	const char *at = *text + strspn(*text, " \t\r\n,");
	size_t n = 0;
	int depth = 0;

	for (; at[n] != '\0'; n++) {
		if (at[n] == '{')
			depth++;
		else if (at[n] == '}' && depth > 0)
			depth--;
		else if (depth == 0 && strchr(" \t\r\n,", at[n]) != NULL)
			break;
	}
	*text = at + n;
	if (n >= 2 && *at == '{' && at[n - 1] == '}') {
		at++;
		n -= 2;
	}
	*word = at;
	return n;
}

static void
read_inline(const char *text, map_entry *entry, void *arg)
{
	const char *word;
	size_t n;

	/* { key=value, { key = value with blanks } } */
	text += *text == '{';
	while ((n = next_member(&text, &word)) > 0) {
		char *copy = strndup(word, n), *value;

		value = copy == NULL ? NULL : strchr(copy, '=');
		if (value != NULL) {
			char *key = copy + strspn(copy, blank);

			*value++ = '\0';
			key[strcspn(key, blank)] = '\0';
			value += strspn(value, blank);
			value[strcspn(value, "}")] = '\0';
			trim_end(value);
			entry(arg, MAP_KEYS, key, value);
		}
		free(copy);
	}
}

static bool
read_file(enum map_kind kind, const char *path, map_entry *entry, void *arg,
    char *why)
{
	char *text = map_file_read(path);

	if (text == NULL) {
		(void)snprintf(
		    why, WHY_LEN, "%.200s: %s", path, strerror(errno));
		return false;
	}
	map_text_parse(kind, text, entry, arg);
	free(text);
	return true;
}

/* A database: as postmap lists it; else the text it was made from. */
static bool
read_indexed(
    const char *dir, const char *table, map_entry *entry, void *arg, char *why)
{
	char *argv[] = { (char[]){ "postmap" }, (char[]){ "-c" },
		(char *)(uintptr_t)dir, (char[]){ "-s" },
		(char *)(uintptr_t)table, NULL };
	struct err err;
	char *text = run_read(argv, NULL, RUN_TIMEOUT_S, &err);

	if (text == NULL) {
		if (read_file(MAP_KEYS, map_path(table), entry, arg, why))
			return true;
		(void)snprintf(why, WHY_LEN, "%.350s", err.text);
		return false;
	}
	map_text_parse(MAP_KEYS, text, entry, arg);
	free(text);
	return true;
}

const char *
map_path(const char *table)
{
	while (strncmp(table, "proxy:", 6) == 0)
		table += 6;
	const char *path = strchr(table, ':');

	return path != NULL && path[1] == '/' ? path + 1
	    : *table == '/'                   ? table
					      : NULL;
}

static bool read_any(const char *dir, const char *table, map_entry *entry,
    void *arg, char *why, int depth);

/* unionmap:{type:name, ...}; pipemap the same, as any of them may answer */
static bool
read_members(const char *dir, const char *list, map_entry *entry, void *arg,
    char *why, int depth)
{
	const char *word;
	bool ok = true;
	size_t n;

	list += *list == '{';
	while ((n = next_member(&list, &word)) > 0) {
		char *copy = strndup(word, n);

		if (copy != NULL && n > 0 && copy[n - 1] == '}' &&
		    strchr(copy, '{') == NULL)
			copy[n - 1] = '\0';
		if (copy != NULL && *copy != '\0')
			ok &= read_any(dir, copy, entry, arg, why, depth + 1);
		free(copy);
	}
	return ok;
}

static bool
read_any(const char *dir, const char *table, map_entry *entry, void *arg,
    char *why, int depth)
{
	static const char *const indexed[] = {
		"hash:", "btree:", "lmdb:", "cdb:", "dbm:", "sdbm:"
	};
	static const struct {
		const char *type;
		enum map_kind kind;
	} texts[] = { { "texthash:", MAP_KEYS }, { "cidr:", MAP_CIDR },
		{ "regexp:", MAP_PATTERN }, { "pcre:", MAP_PATTERN } };

	while (strncmp(table, "proxy:", 6) == 0)
		table += 6;
	for (size_t i = 0; i < sizeof(indexed) / sizeof(indexed[0]); i++)
		if (strncmp(table, indexed[i], strlen(indexed[i])) == 0 &&
		    map_path(table) != NULL)
			return read_indexed(dir, table, entry, arg, why);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		size_t n = strlen(texts[i].type);

		if (strncmp(table, texts[i].type, n) != 0)
			continue;
		if (table[n] == '/')
			return read_file(
			    texts[i].kind, table + n, entry, arg, why);
	}
	if (strncmp(table, "static:", 7) == 0) {
		char *value = strdup(table + 7 + (table[7] == '{'));

		if (value != NULL) {
			value[strcspn(value, "}")] = '\0';
			entry(arg, MAP_ALWAYS, "", value);
		}
		free(value);
		return true;
	}
	if (strncmp(table, "inline:", 7) == 0) {
		read_inline(table + 7, entry, arg);
		return true;
	}
	if (depth < DEPTH_MAX &&
	    (strncmp(table, "unionmap:", 9) == 0 ||
		strncmp(table, "pipemap:", 8) == 0))
		return read_members(
		    dir, strchr(table, ':') + 1, entry, arg, why, depth);
	(void)snprintf(why, WHY_LEN, "table %.200s can't be listed", table);
	return false;
}

bool
map_read(
    const char *dir, const char *table, map_entry *entry, void *arg, char *why)
{
	*why = '\0';
	return read_any(dir, table, entry, arg, why, 0);
}

unsigned
access_map_line(const char *text, const char *key)
{
	size_t n = strlen(key);

	for (unsigned line = 1; text != NULL && *text != '\0'; line++) {
		if (strncasecmp(text, key, n) == 0 &&
		    strchr(" \t\r\n", text[n]) != NULL)
			return line;
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	return 0;
}
