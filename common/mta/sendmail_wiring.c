/* SPDX-License-Identifier: ISC */
#include "common/mta/sendmail_wiring.h"

#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/mta/sendmail_plan.h"

/* --- the plan as it grows --- */

void
sendmail_add_edit(struct sendmail_build *b, const char *file, unsigned line,
    const char *old, const char *text, const char *why)
{
	if (!edit_plan_add(b->plan, file, line, old, text, why))
		b->no_memory = true;
}

void
sendmail_add_note(struct sendmail_build *b, enum sendmail_note_kind kind,
    const char *file, unsigned line, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) == -1)
		text = NULL;
	va_end(ap);
	if (text == NULL ||
	    !edit_plan_note(b->plan, (int)kind, file, line, text))
		b->no_memory = true;
	free(text);
}

/* --- lines --- */

char *
sendmail_lines(const char *text, unsigned from, unsigned last)
{
	const char *start = edit_line(text, from);
	size_t len = (size_t)(edit_line(start, last - from + 2) - start);
	bool whole = len > 0 && start[len - 1] == '\n';
	char *copy = malloc(len + 2);

	assert(from > 0 && last >= from);
	if (copy == NULL)
		return NULL;
	memcpy(copy, start, len);
	if (!whole)
		copy[len++] = '\n';
	copy[len] = '\0';
	return copy;
}

/* --- equates --- */

const char *
sendmail_find_equate(
    const char *text, const char *end, char letter, size_t *len)
{
	while (text < end) {
		text += strspn(text, " \t\n`',");
		size_t n = strcspn(text, ",'`)");
		const char *equals = memchr(text, '=', n);

		if (equals != NULL && toupper((unsigned char)*text) == letter) {
			equals += 1 + strspn(equals + 1, " \t");
			*len =
			    equals < text + n ? (size_t)(text + n - equals) : 0;
			while (
			    *len > 0 && strchr(" \t", equals[*len - 1]) != NULL)
				(*len)--;
			return equals;
		}
		text += n == 0 ? 1 : n;
	}
	return NULL;
}

/* --- popgate's rules --- */

/* Write text to out with the sockets of popgate.conf. */
static void
fill(FILE *out, const char *text, size_t len,
    const struct sendmail_sockets *sockets)
{
	static const char socketmap[] = "unix:/run/popgate/socketmap.sock",
			  milter[] = "unix:/run/popgate/milter.sock";
	const char *end = text + len;

	while (text < end) {
		const char *at = memmem(
		    text, (size_t)(end - text), "unix:/run/popgate/", 18);

		if (at == NULL)
			at = end;
		(void)fwrite(text, 1, (size_t)(at - text), out);
		text = at;
		if (at == end)
			return;
		if (strncmp(at, socketmap, sizeof(socketmap) - 1) == 0) {
			(void)fputs(sockets->socketmap, out);
			text += sizeof(socketmap) - 1;
		} else if (strncmp(at, milter, sizeof(milter) - 1) == 0) {
			(void)fputs(sockets->milter, out);
			text += sizeof(milter) - 1;
		} else {
			(void)putc(*text++, out);
		}
	}
}

char *
sendmail_rules_m4(const char *file, const struct sendmail_sockets *sockets)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		return NULL;
	fill(out, file, strlen(file), sockets);
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

static bool
starts(const char *line, const char *word)
{
	return strncmp(line, word, strlen(word)) == 0;
}

/* "INPUT_MAIL_FILTER(`popgate', `S=...')dnl" as "Xpopgate, S=..." */
static void
write_filter(FILE *out, const char *line, const struct sendmail_sockets *s)
{
	const char *equates = strstr(line, "`S="), *end;

	assert(equates != NULL);
	equates++;
	end = strchr(equates, '\'');
	assert(end != NULL);
	(void)fputs("X" SENDMAIL_FILTER ", ", out);
	fill(out, equates, (size_t)(end - equates), s);
	(void)putc('\n', out);
}

char *
sendmail_rules_cf(const char *file, const struct sendmail_sockets *sockets,
    const char *relay_msg, const char *letters)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		return NULL;
	for (const char *l = file; *l != '\0'; l = edit_line(l, 2)) {
		size_t len = strcspn(l, "\n");

		if (starts(l, "dnl") || starts(l, "LOCAL_") ||
		    starts(l, "')dnl") || starts(l, "PUSHDIVERT") ||
		    starts(l, "POPDIVERT") ||
		    (letters != NULL && strchr(letters, *l) == NULL))
			continue;
		if (starts(l, "ifdef(")) {
			(void)fprintf(out,
			    "R$* $| $#error $* %s $*\t$: <ask> $1\n",
			    relay_msg);
		} else if (starts(l, "INPUT_MAIL_FILTER(")) {
			write_filter(out, l, sockets);
		} else {
			fill(out, l, len, sockets);
			(void)putc('\n', out);
		}
	}
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

/* --- the plan --- */

static const struct sendmail_line *
own_map(const struct sendmail_cf *cf)
{
	for (size_t i = 0; i < cf->n; i++) {
		const char *text = cf->v[i].text;
		size_t n = strcspn(text, " \t");

		if (cf->v[i].kind == 'K' && n == strlen(SENDMAIL_MAP) &&
		    strncmp(text, SENDMAIL_MAP, n) == 0)
			return &cf->v[i];
	}
	return NULL;
}

/* Is it a configuration that the wiring knows? */
static int
check_cf(const struct sendmail_build *b, struct err *err)
{
	const struct sendmail_line *map = own_map(&b->cf);
	bool basic = false;

	for (size_t i = 0; i < b->cf.n; i++)
		basic |= b->cf.v[i].kind == 'R' &&
		    strcmp(b->cf.v[i].ruleset, "Basic_check_rcpt") == 0;
	if (!basic) {
		err_set(err, ERR_INVALID,
		    "%.300s has no rule set Basic_check_rcpt: it wasn't made by the m4 files of Sendmail 8.9 or later, and popgate can't ask in the right place",
		    b->src->cf.path);
		return -1;
	}
	if (map != NULL && strstr(map->text, "socket ") == NULL) {
		err_set(err, ERR_INVALID,
		    "%.300s:%u: there is a map named %s of another kind (K%.60s); popgate's map must have this name",
		    b->src->cf.path, map->line, SENDMAIL_MAP, map->text);
		return -1;
	}
	return 0;
}

/* Sort the edits. No two may want the same line: what was taken for one call is
 * more than that then. Returns 0, or -1 with err. */
static int
order_edits(struct sendmail_build *b, struct err *err)
{
	struct edit_plan *p = b->plan;

	edit_plan_sort(p);
	for (size_t i = 0; i + 1 < p->n_edits; i++) {
		const struct edit *e = &p->edits[i];
		unsigned n = e->old == NULL ? 0 : edit_lines(e->old);

		if (strcmp(e->file, e[1].file) == 0 && e->line + n > e[1].line)
			b->met = (struct sendmail_place){ e->file, e[1].line };
	}
	if (b->met.file == NULL)
		return 0;
	err_set(err, ERR_INVALID,
	    "%.300s:%u: two changes meet in this line: put what stands there on lines of their own first, and see whether a quote above it is closed",
	    b->met.file, b->met.line);
	return -1;
}

int
sendmail_wiring_plan(const struct sendmail_source *src,
    const struct sendmail_sockets *sockets, struct edit_plan *plan,
    struct err *err)
{
	struct sendmail_build b = {
		.src = src,
		.sockets = sockets,
		.plan = plan,
	};
	char *copy = strdup(src->cf.text);
	int ret = -1;

	assert(*sockets->milter != '\0' && *sockets->socketmap != '\0');
	*plan = (struct edit_plan){ .edits = NULL };
	b.no_memory = copy == NULL || !sendmail_cf_parse(copy, &b.cf);
	if (!b.no_memory && check_cf(&b, err) == 0) {
		ret = src->n_mc > 0 ? sendmail_plan_mc(&b, err)
				    : sendmail_plan_cf(&b, err);
		sendmail_note_cf(&b);
		if (ret == 0 && order_edits(&b, err) == -1)
			ret = -1;
	}
	if (b.no_memory) {
		err_nomem(
		    err, "Sendmail's configuration", strlen(src->cf.text));
		ret = -1;
	}
	if (copy != NULL)
		sendmail_cf_release(&b.cf);
	return ret;
}
