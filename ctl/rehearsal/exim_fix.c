/* SPDX-License-Identifier: ISC */
#include "ctl/rehearsal/exim_fix.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/addr.h"

/* --- settings --- */

struct finder {
	const char *section, *name, *item;
	char now[64], at[64]; /* section and item that are read */
	struct exim_place *place;
	struct exim_place option; /* of the item, before its public_name */
	bool is_item; /* the item's public_name was it */
};

static void
take_option(struct finder *f, const struct exim_text_line *l)
{
	const struct exim_place here = { l->file->path, l->file->text,
		l->number, l->next };
	size_t n = strlen(f->name);
	const char *rest = l->text;

	if (f->item != NULL && strncmp(rest, "public_name", 11) == 0) {
		rest += 11 + strspn(rest + 11, " \t=");
		f->is_item = strcasecmp(rest, f->item) == 0;
		if (f->is_item && f->option.line != 0)
			*f->place = f->option;
		return;
	}
	if (strncmp(rest, "hide ", 5) == 0)
		rest += 5;
	if (strncmp(rest, f->name, n) != 0 ||
	    rest[n + strspn(rest + n, " \t")] != '=')
		return;
	f->option = here;
	if (f->item == NULL || f->is_item)
		*f->place = here;
}

static void
take_line(void *to, const struct exim_text_line *l)
{
	struct finder *f = to;
	const char *rest;
	size_t n;

	if (!l->active || l->closes)
		return;
	rest = exim_text_after(l->text, "begin");
	if (rest != NULL) {
		(void)snprintf(f->now, sizeof(f->now), "%s", rest);
		return;
	}
	if (strcmp(f->now, f->section) != 0)
		return;
	n = strcspn(l->text, ": \t");
	if (*f->section != '\0' && l->text[n] == ':') {
		f->is_item = false;
		f->option = (struct exim_place){ .line = 0 };
	}
	take_option(f, l);
}

bool
exim_place_setting(const struct exim_file *files, size_t n, size_t n_main,
    const char *section, const char *name, const char *item,
    struct exim_place *place)
{
	struct finder f = {
		.section = section, .name = name, .item = item, .place = place
	};
	struct exim_text text;

	*place = (struct exim_place){ .line = 0 };
	(void)exim_text_read(&text, files, n, n_main, take_line, &f);
	exim_text_release(&text);
	return place->line != 0;
}

/* --- tables --- */

/* Does a key of a table, as it is written, stand for what was looked for? */
static bool
stands_for(const char *key, const char *item, const char *subject,
    const char *client)
{
	struct network net;
	struct addr addr;
	size_t n = strlen(key), m = strlen(subject);

	if (strcmp(key, item) == 0 || strcasecmp(key, subject) == 0 ||
	    strcmp(key, "*") == 0)
		return true;
	if (network_parse(key, &net) &&
	    addr_parse_n(client, strcspn(client, " "), &addr))
		return network_contains(&net, &addr);
	if (*key == '*')
		return n - 1 <= m && strcasecmp(key + 1, subject + m - (n - 1)) == 0;
	return *key == '^';
}

unsigned
exim_place_entry(const char *text, const char *item, const char *subject,
    const char *client)
{
	unsigned line = 0, found = 0;

	while (*text != '\0') {
		char key[256];
		size_t n = strcspn(text, "\n"), len = strcspn(text, " \t\n");
		bool exact;

		line++;
		(void)snprintf(key, sizeof(key), "%.*s",
		    (int)(len < sizeof(key) ? len : 0), text);
		len = strlen(key);
		if (len > 0 && key[len - 1] == ':')
			key[len - 1] = '\0';
		exact = *key != '\0' && strcmp(key, item) == 0;
		if (exact ||
		    (found == 0 && *key != '\0' && *key != '#' &&
			stands_for(key, item, subject, client)))
			found = line;
		if (exact)
			break;
		text += n + (text[n] == '\n');
	}
	return found;
}

/* --- edits --- */

static const char *
line_at(const char *text, unsigned line)
{
	for (unsigned i = 1; i < line && *text != '\0'; i++) {
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	return text;
}

/* The text with new in place of the lines from..behind. */
static char *
replaced(const struct exim_place *p, unsigned from, unsigned behind,
    const char *new)
{
	const char *begin = line_at(p->text, from),
		   *end = line_at(p->text, behind);
	char *text = NULL;

	if (asprintf(&text, "%.*s%s%s", (int)(begin - p->text), p->text, new,
		end) == -1)
		return NULL;
	return text;
}

static void __attribute__((format(printf, 5, 6)))
add(struct exim_try_fix *fixes, size_t *n, const char *path, char *text,
    const char *fmt, ...)
{
	char *words = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (text == NULL || *n == EXIM_FIXES_MAX ||
	    vasprintf(&words, fmt, ap) == -1)
		free(text);
	else
		fixes[(*n)++] = (struct exim_try_fix){ path, text, words };
	va_end(ap);
}

/* A line of a list without one member: the member and the separator before or
 * behind it go. NULL: it isn't there. */
static char *
without_item(const struct exim_place *p, const char *item)
{
	const char *begin = line_at(p->text, p->line),
		   *end = line_at(p->text, p->behind);
	size_t n = strlen(item);
	char *line;

	for (const char *at = strchr(begin, '=');
	     n > 0 && at != NULL && at < end &&
	     (at = strstr(at, item)) != NULL && at < end;
	     at += n) {
		const char *from = at, *to = at + n;

		if (strchr(" \t:;,=", at[-1]) == NULL ||
		    strchr(" \t:;,\n", *to) == NULL)
			continue;
		while (from > begin && strchr(" \t", from[-1]) != NULL)
			from--;
		while (*to == ' ' || *to == '\t')
			to++;
		if (from > begin && strchr(":;,", from[-1]) != NULL &&
		    from[-2] != '<')
			from--;
		else if (strchr(":;,", *to) != NULL)
			to++;
		if (asprintf(&line, "%.*s%.*s", (int)(from - begin), begin,
			(int)(end - to), to) == -1)
			return NULL;
		return line;
	}
	return NULL;
}

static void
fix_list(const struct exim_cause *c, const struct exim_place *list,
    struct exim_try_fix *fixes, size_t *n)
{
	char *line = c->item == NULL || list->line == 0
	    ? NULL
	    : without_item(list, c->item);

	if (line == NULL)
		return;
	line[strcspn(line, "\n")] = '\0';
	size_t len = strlen(line);
	char *whole = malloc(len + 2);

	if (whole != NULL) {
		memcpy(whole, line, len);
		memcpy(whole + len, "\n", 2);
		add(fixes, n, list->path,
		    replaced(list, list->line, list->behind, whole),
		    "# in %s, line %u, without \"%s\":\n%s", list->path,
		    list->line, c->item, line);
	}
	free(whole);
	free(line);
}

static void
fix_entry(const struct exim_place *entry, struct exim_try_fix *fixes, size_t *n)
{
	if (entry->line == 0)
		return;
	const char *at = line_at(entry->text, entry->line);

	add(fixes, n, entry->path,
	    replaced(entry, entry->line, entry->line + 1, ""),
	    "# take line %u out of %s:\n# %.*s", entry->line, entry->path,
	    (int)strcspn(at, "\n"), at);
}

/* Blanks in front of a line. */
static int
indent(const struct exim_place *p)
{
	return (int)strspn(line_at(p->text, p->line), " \t");
}

static void
fix_statement(const struct exim_cause *c, const struct exim_place *s,
    const char *ours, struct exim_try_fix *fixes, size_t *n)
{
	const char *first;
	char lines[1024];

	if (s->line == 0 || c->at == NULL)
		return;
	first = line_at(s->text, s->line);
	if (strcmp(c->at->verb, "accept") == 0 && c->check != NULL &&
	    *ours != '\0') {
		(void)snprintf(lines, sizeof(lines), "%.*s        domains = %s\n",
		    indent(s), first, ours);
		add(fixes, n, s->path,
		    replaced(s, s->behind, s->behind, lines),
		    "# in %s, add to the statement of line %u:\n%.*s", s->path,
		    s->line, (int)strlen(lines) - 1, lines);
	}
	/* what refuses strangers, and lets pass whom the lists name */
	if (c->check == NULL || strcmp(c->at->verb, "accept") != 0) {
		static const char *const known[] = { "",
			"  accept  authenticated = *\n",
			"  accept  hosts = +relay_from_hosts\n"
			"  accept  authenticated = *\n" };

		for (size_t i = 0; i < 3 && *ours != '\0'; i++) {
			(void)snprintf(lines, sizeof(lines),
			    "%s  require message = relay not permitted\n"
			    "          domains = %s\n",
			    known[i], ours);
			add(fixes, n, s->path,
			    replaced(s, s->line, s->line, lines),
			    "# in %s, before line %u:\n%.*s", s->path, s->line,
			    (int)strlen(lines) - 1, lines);
		}
	}
	if (strcmp(c->at->verb, "accept") == 0 &&
	    strchr(first, ':') - first != (ptrdiff_t)strcspn(first, " \t=:\n"))
		add(fixes, n, s->path, replaced(s, s->line, s->behind, ""),
		    "# take the statement of line %u out of %s", s->line,
		    s->path);
}

size_t
exim_fixes(const struct exim_cause *c, const struct exim_place *statement,
    const struct exim_place *list, const struct exim_place *entry,
    const char *ours, struct exim_try_fix fixes[EXIM_FIXES_MAX])
{
	bool forged = strcmp(c->kind, "exim-sender-permits") == 0 ||
	    strcmp(c->kind, "exim-helo-permits") == 0;
	size_t n = 0;

	/* a list of senders isn't wrong: what it is asked for is */
	if (!forged) {
		fix_entry(entry, fixes, &n);
		fix_list(c, list, fixes, &n);
		if (list->line == 0)
			fix_list(c, statement, fixes, &n);
	}
	fix_statement(c, statement, ours, fixes, &n);
	return n;
}

void
exim_fixes_release(struct exim_try_fix *fixes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(fixes[i].text);
		free(fixes[i].words);
	}
}
