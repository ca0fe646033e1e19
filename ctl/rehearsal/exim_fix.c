/* SPDX-License-Identifier: ISC */
#include "ctl/rehearsal/exim_fix.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/addr.h"

enum { SHOWN_LEN = 300 };

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
	const struct exim_place here = { .path = l->file->path,
		.text = l->file->text,
		.line = l->number,
		.behind = l->next };
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

static const char *
line_at(const char *text, unsigned line)
{
	for (unsigned i = 1; i < line && *text != '\0'; i++) {
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	return text;
}

void
exim_place_macro(struct exim_place *place)
{
	const char *value, *at = place->text;
	size_t n;
	unsigned line = 1;

	if (place->line == 0 || at == NULL)
		return;
	value = strchr(line_at(at, place->line), '=');
	value = value == NULL ? "" : value + 1 + strspn(value + 1, " \t");
	n = strspn(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");
	if (n == 0 || (value[n] != '\n' && value[n] != '\0'))
		return;
	for (; *at != '\0'; line++) {
		size_t blanks =
		    strncmp(at, value, n) == 0 ? strspn(at + n, " \t") : 0;

		if (strncmp(at, value, n) == 0 && at[n + blanks] == '=') {
			place->line = line;
			place->behind = line + 1;
		}
		at += strcspn(at, "\n");
		at += *at == '\n';
	}
}

/* How many lines from a on, at most max, are those from b on. */
static unsigned
same_lines(const char *a, const char *b, unsigned max)
{
	unsigned n = 0;

	for (; n < max && *a != '\0' && *b != '\0'; n++) {
		size_t len = strcspn(a, "\n");

		if (len != strcspn(b, "\n") || strncmp(a, b, len) != 0)
			break;
		a += len + (a[len] != '\0');
		b += len + (b[len] != '\0');
	}
	return n;
}

/* update-exim4.conf.conf of Debian, and what it makes of it. */
static const struct {
	const char *macro, *setting;
} debian[] = {
	{ "MAIN_RELAY_TO_DOMAINS", "dc_relay_domains" },
	{ "MAIN_RELAY_NETS", "dc_relay_nets" },
	{ "MAIN_LOCAL_DOMAINS", "dc_other_hostnames" },
	{ "MAIN_LOCAL_INTERFACES", "dc_local_interfaces" },
};

void
exim_place_source(
    struct exim_place *place, const struct exim_file *files, size_t n)
{
	enum { LINES = 12 };
	const char *here;
	unsigned best = 0;

	if (place->line == 0)
		return;
	here = line_at(place->text, place->line);
	place->then = "update-exim4.conf";
	for (size_t i = 0; i < sizeof(debian) / sizeof(*debian); i++)
		if (strncmp(here, debian[i].macro, strlen(debian[i].macro)) ==
		    0) {
			place->source = "/etc/exim4/update-exim4.conf.conf";
			place->setting = debian[i].setting;
			return;
		}
	for (size_t i = 0; i < n; i++) {
		const char *at = files[i].text;

		for (unsigned line = 1; *at != '\0'; line++) {
			unsigned same = same_lines(here, at, LINES);

			if (same > best) {
				best = same;
				place->source = files[i].path;
				place->source_line = line;
			}
			at += strcspn(at, "\n");
			at += *at == '\n';
		}
	}
}

/* --- tables --- */

/* Does a key of a table, as it is written, stand for what was looked for? */
static bool
stands_for(
    const char *key, const char *item, const char *subject, const char *client)
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
		return n - 1 <= m &&
		    strcasecmp(key + 1, subject + m - (n - 1)) == 0;
	return *key == '^';
}

unsigned
exim_place_entry(
    const char *text, const char *item, const char *subject, const char *client)
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

/* Where an admin edits it: "FILE, line 7". */
static const char *
shown(const struct exim_place *p, char buf[SHOWN_LEN])
{
	const char *path = p->source == NULL ? p->path : p->source;
	unsigned line = p->source == NULL ? p->line : p->source_line;

	if (p->setting != NULL)
		(void)snprintf(buf, SHOWN_LEN, "%s, %s", path, p->setting);
	else
		(void)snprintf(buf, SHOWN_LEN, "%s, line %u", path, line);
	return buf;
}

/* The command to run after the edit. */
static const char *
then(const struct exim_place *p, char buf[SHOWN_LEN])
{
	*buf = '\0';
	if (p->then != NULL)
		(void)snprintf(buf, SHOWN_LEN, "\n%s", p->then);
	return buf;
}

/* The text with new in place of the lines from..behind. */
static char *
replaced(
    const struct exim_place *p, unsigned from, unsigned behind, const char *new)
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

	for (const char *at = strchr(begin, '='); n > 0 && at != NULL &&
	     at < end && (at = strstr(at, item)) != NULL && at < end;
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
	char buf[SHOWN_LEN], after[SHOWN_LEN];
	char *line = c->item == NULL || list->line == 0
	    ? NULL
	    : without_item(list, c->item);

	if (line == NULL)
		return;
	size_t len = strcspn(line, "\n");

	while (len > 0 && strchr(" \t", line[len - 1]) != NULL)
		len--;
	line[len] = '\0';
	char *whole = malloc(len + 2);

	if (whole != NULL) {
		memcpy(whole, line, len);
		memcpy(whole + len, "\n", 2);
		add(fixes, n, list->path,
		    replaced(list, list->line, list->behind, whole),
		    "# in %s, without \"%s\"%s%s%s", shown(list, buf), c->item,
		    list->setting != NULL ? "" : ":\n",
		    list->setting != NULL ? "" : line, then(list, after));
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
	char lines[1024], buf[SHOWN_LEN], after[SHOWN_LEN];

	if (s->line == 0 || c->at == NULL)
		return;
	first = line_at(s->text, s->line);
	if (strcmp(c->at->verb, "accept") == 0 && c->check != NULL &&
	    strcmp(c->check->name, "verify") != 0 && *ours != '\0') {
		(void)snprintf(lines, sizeof(lines),
		    "%.*s        domains = %s\n", indent(s), first, ours);
		add(fixes, n, s->path, replaced(s, s->behind, s->behind, lines),
		    "# add to the statement in %s:\n%.*s%s", shown(s, buf),
		    (int)strlen(lines) - 1, lines, then(s, after));
	}
	/* what refuses strangers, and lets those pass that the lists name */
	if (c->check == NULL || strcmp(c->check->name, "verify") == 0 ||
	    strcmp(c->at->verb, "accept") != 0) {
		static const char *const known[] = { "",
			"  accept  authenticated = *\n",
			("  accept  hosts = +relay_from_hosts\n"
			 "  accept  authenticated = *\n") };

		for (size_t i = 0; i < 3 && *ours != '\0'; i++) {
			(void)snprintf(lines, sizeof(lines),
			    "%s  require message = relay not permitted\n"
			    "          domains = %s\n",
			    known[i], ours);
			add(fixes, n, s->path,
			    replaced(s, s->line, s->line, lines),
			    "# in front of %s:\n%.*s%s", shown(s, buf),
			    (int)strlen(lines) - 1, lines, then(s, after));
		}
	}
	if (strcmp(c->at->verb, "accept") == 0 &&
	    strchr(first, ':') - first != (ptrdiff_t)strcspn(first, " \t=:\n"))
		add(fixes, n, s->path, replaced(s, s->line, s->behind, ""),
		    "# take the statement out: %s%s", shown(s, buf),
		    then(s, after));
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
