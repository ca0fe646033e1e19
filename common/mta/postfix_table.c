/* SPDX-License-Identifier: ISC */
#include "common/mta/postfix_table.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/err.h"
#include "common/base/run.h"
#include "common/mta/conf_file.h"

enum { DEPTH_MAX = 4 };

static const char blank[] = " \t\r\n";

enum access_result
access_result_parse(const char *value)
{
	static const struct {
		const char *word;
		enum access_result result;
	} words[] = {
		{ "OK", RESULT_OK },
		{ "RELAY", RESULT_OK },
		{ "REJECT", RESULT_REJECT },
		{ "DEFER", RESULT_REJECT },
		{ "DEFER_IF_PERMIT", RESULT_REJECT },
		{ "DEFER_IF_REJECT", RESULT_NEUTRAL },
		{ "DISCARD", RESULT_REJECT },
		{ "DUNNO", RESULT_NEUTRAL },
		{ "BCC", RESULT_NEUTRAL },
		{ "FILTER", RESULT_NEUTRAL },
		{ "HOLD", RESULT_NEUTRAL },
		{ "PREPEND", RESULT_NEUTRAL },
		{ "REDIRECT", RESULT_NEUTRAL },
		{ "INFO", RESULT_NEUTRAL },
		{ "WARN", RESULT_NEUTRAL },
	};

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
postfix_pattern_is_all(const char *pattern)
{
	static const char *const all[] = {
		"",
		".",
		".*",
		".+",
		"^",
		"$",
		"^.",
		".$",
		"^.*",
		"^.*$",
		"^.+$",
		".*$",
		".+$",
		"@",
		"^(.*)$",
		"(.*)",
		"[^ ]",
	};
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

static void
trim_end(char *text)
{
	for (size_t len = strlen(text);
	     len > 0 && strchr(blank, text[len - 1]) != NULL; len--)
		text[len - 1] = '\0';
}

/* One logical line: pattern or key, white space, value. */
static void
take_line(enum postfix_table_kind kind, char *line, postfix_table_entry *entry,
    void *arg)
{
	char *key = line + strspn(line, blank), *value;
	size_t n = strcspn(key, blank);

	if (kind != TABLE_KEYS &&
	    (strncasecmp(key, "endif", n) == 0 ||
		strncasecmp(key, "if", n) == 0))
		return;
	if (kind == TABLE_PATTERN) {
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
postfix_table_parse(enum postfix_table_kind kind, const char *text,
    postfix_table_entry *entry, void *arg)
{
	char *line = NULL, *grown;
	size_t len = 0;

	assert(kind != TABLE_ALWAYS && entry != NULL);
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

size_t
postfix_next_word(const char **text, const char **word)
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
read_inline(const char *text, postfix_table_entry *entry, void *arg)
{
	const char *word;
	size_t n;

	/* { key=value, { key = value with blanks } } */
	text += *text == '{';
	while ((n = postfix_next_word(&text, &word)) > 0) {
		char *copy = strndup(word, n), *value;

		value = copy == NULL ? NULL : strchr(copy, '=');
		if (value != NULL) {
			char *key = copy + strspn(copy, blank);

			*value++ = '\0';
			key[strcspn(key, blank)] = '\0';
			value += strspn(value, blank);
			value[strcspn(value, "}")] = '\0';
			trim_end(value);
			entry(arg, TABLE_KEYS, key, value);
		}
		free(copy);
	}
}

static bool
read_file(enum postfix_table_kind kind, const char *path,
    postfix_table_entry *entry, void *arg, char *why)
{
	char *text = conf_file_read(path);

	if (text == NULL) {
		(void)snprintf(
		    why, POSTFIX_WHY_MAX, "%.200s: %s", path, strerror(errno));
		return false;
	}
	postfix_table_parse(kind, text, entry, arg);
	free(text);
	return true;
}

static const char *
without_proxy(const char *table)
{
	while (strncmp(table, "proxy:", 6) == 0)
		table += 6;
	return table;
}

/* Lines "key<TAB>value", to be freed; NULL with err. */
static char *
postmap(const char *dir, const char *table, struct err *err)
{
	char *argv[] = {
		(char[]){ "postmap" },
		(char[]){ "-c" },
		(char *)(uintptr_t)dir,
		(char[]){ "-s" },
		(char *)(uintptr_t)table,
		NULL,
	};

	return run_read(argv, NULL, RUN_TIMEOUT_S, err);
}

static bool
is_indexed(const char *table)
{
	static const char *const types[] = {
		"hash:",
		"btree:",
		"lmdb:",
		"cdb:",
		"dbm:",
		"sdbm:",
	};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strncmp(table, types[i], strlen(types[i])) == 0)
			return true;
	return false;
}

bool
postfix_table_listable(const char *table)
{
	const char *name = without_proxy(table);

	return is_indexed(name) || strncmp(name, "texthash:", 9) == 0 ||
	    strncmp(name, "inline:", 7) == 0;
}

char *
postfix_table_list(const char *dir, const char *table,
    struct string_list *files, struct err *err)
{
	const char *name = without_proxy(table);
	const char *path = postfix_table_path(name);

	assert(postfix_table_listable(table));
	if (path == NULL || string_list_add(files, path, strlen(path)))
		return postmap(dir, name, err);
	err_set(err, ERR_NOMEM, "out of memory");
	return NULL;
}

/* A database: as postmap lists it; else the text it was made from. */
static bool
read_indexed(const char *dir, const char *table, postfix_table_entry *entry,
    void *arg, char *why)
{
	struct err err;
	char *text = postmap(dir, table, &err);

	if (text == NULL) {
		if (read_file(
			TABLE_KEYS, postfix_table_path(table), entry, arg, why))
			return true;
		(void)snprintf(why, POSTFIX_WHY_MAX, "%.350s", err.text);
		return false;
	}
	postfix_table_parse(TABLE_KEYS, text, entry, arg);
	free(text);
	return true;
}

const char *
postfix_table_path(const char *table)
{
	table = without_proxy(table);
	const char *path = strchr(table, ':');

	return path != NULL && path[1] == '/' ? path + 1
	    : *table == '/'                   ? table
					      : NULL;
}

static bool read_any(const char *dir, const char *table,
    postfix_table_entry *entry, void *arg, char *why, int depth);

/* unionmap:{type:name, ...}; pipemap the same, as any of them may answer */
static bool
read_members(const char *dir, const char *list, postfix_table_entry *entry,
    void *arg, char *why, int depth)
{
	const char *word;
	bool ok = true;
	size_t n;

	assert(depth < DEPTH_MAX);
	list += *list == '{';
	while ((n = postfix_next_word(&list, &word)) > 0) {
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
read_any(const char *dir, const char *table, postfix_table_entry *entry,
    void *arg, char *why, int depth)
{
	static const struct {
		const char *type;
		enum postfix_table_kind kind;
	} texts[] = {
		{ "texthash:", TABLE_KEYS },
		{ "cidr:", TABLE_CIDR },
		{ "regexp:", TABLE_PATTERN },
		{ "pcre:", TABLE_PATTERN },
	};

	table = without_proxy(table);
	if (is_indexed(table) && postfix_table_path(table) != NULL)
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
			entry(arg, TABLE_ALWAYS, "", value);
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
	(void)snprintf(
	    why, POSTFIX_WHY_MAX, "table %.200s can't be listed", table);
	return false;
}

bool
postfix_table_read(const char *dir, const char *table,
    postfix_table_entry *entry, void *arg, char *why)
{
	assert(entry != NULL && why != NULL);
	*why = '\0';
	return read_any(dir, table, entry, arg, why, 0);
}

unsigned
postfix_table_line(const char *text, const char *key)
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
