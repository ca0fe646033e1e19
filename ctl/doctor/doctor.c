/* SPDX-License-Identifier: ISC */
#include "ctl/doctor/doctor.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/out.h"
#include "ctl/rehearsal/findings.h"
#include "ctl/shell.h"

enum { DETAIL_MAX = 1000, FIX_MAX = 3000, WIDTH = 78 };

static const char *const severity_words[] = {
	[SEVERITY_INFO] = "info",
	[SEVERITY_WARNING] = "warning",
	[SEVERITY_OPEN_RELAY] = "open-relay",
};

const char *
doctor_option(const struct doctor *d, enum doctor_option o)
{
	assert(o <= DOCTOR_TIMEOUT);
	return d->args->opt[o];
}

const char *
doctor_mta_name(enum doctor_mta mta)
{
	static const char *const names[] = {
		[MTA_POSTFIX] = "Postfix",
		[MTA_SENDMAIL] = "Sendmail",
		[MTA_EXIM] = "Exim",
	};

	assert(mta < MTAS);
	return names[mta];
}

const struct finding_kind *
finding_kind_find(const char *id)
{
	for (const struct finding_kind *k = finding_kinds; k->id != NULL; k++)
		if (strcmp(k->id, id) == 0)
			return k;
	return NULL;
}

/* The text for "{name}", n its length with the braces; NULL when it is no
 * placeholder. */
static const char *
placeholder(const struct finding_at *at, const char *text, size_t *n,
    char *number, size_t size)
{
	const struct {
		const char *name, *value;
	} all[] = {
		{ "{file}", at->file },
		{ "{setting}", at->setting },
		{ "{value}", at->value },
		{ "{service}", at->service },
		{ "{dir}", at->dir },
		{ "{line}", number },
	};

	(void)snprintf(number, size, "%u", at->line);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		*n = strlen(all[i].name);
		if (strncmp(text, all[i].name, *n) == 0)
			return all[i].value == NULL ||
				!shell_plain(all[i].value)
			    ? "..."
			    : all[i].value;
	}
	return NULL;
}

static char *
fill_fix(const char *fix, const struct finding_at *at)
{
	char buf[FIX_MAX], number[16];
	size_t len = 0, n;

	while (*fix != '\0' && len < sizeof(buf) - 1) {
		const char *value = *fix != '{'
		    ? NULL
		    : placeholder(at, fix, &n, number, sizeof(number));

		if (value == NULL) {
			buf[len++] = *fix++;
			continue;
		}
		fix += n;
		n = strlen(value);
		if (n > sizeof(buf) - 1 - len)
			n = sizeof(buf) - 1 - len;
		memcpy(buf + len, value, n);
		len += n;
	}
	buf[len] = '\0';
	return strdup(buf);
}

static bool
same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* The same of another service: name it in the finding that there is. Returns
 * false where it is no matter of services. */
static bool
name_service(struct doctor *d, struct finding *f, const struct finding_at *at)
{
	char text[200], *longer;

	if (at->service == NULL || at->line == 0 || f->line == 0)
		return false;
	(void)snprintf(text, sizeof(text), "service %.100s (line %u)",
	    at->service, at->line);
	if (strstr(f->detail + f->own, text) != NULL ||
	    strlen(f->detail) > DETAIL_MAX - sizeof(text))
		return true;
	if (asprintf(&longer, "%s%s%s", f->detail,
		f->detail[f->own] == '\0' ? " So it is of " : ", ",
		text) == -1) {
		d->no_memory = true;
		return true;
	}
	free(f->detail);
	f->detail = longer;
	return true;
}

void
doctor_add(struct doctor *d, const char *id, const struct finding_at *at,
    const char *fmt, ...)
{
	const struct finding_kind *kind = finding_kind_find(id);
	static const struct finding_at nowhere;
	char detail[DETAIL_MAX];
	va_list ap;

	assert(kind != NULL);
	if (at == NULL)
		at = &nowhere;
	va_start(ap, fmt);
	(void)vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	for (size_t i = 0; i < d->n; i++)
		if (d->v[i].kind == kind && same_text(d->v[i].file, at->file) &&
		    strlen(detail) == d->v[i].own &&
		    strncmp(d->v[i].detail, detail, d->v[i].own) == 0 &&
		    (d->v[i].line == at->line || name_service(d, &d->v[i], at)))
			return;
	struct finding *v = reallocarray(d->v, d->n + 1, sizeof(*v));

	if (v == NULL) {
		d->no_memory = true;
		return;
	}
	d->v = v;
	v[d->n] = (struct finding){ .kind = kind,
		.line = at->line,
		.file = at->file == NULL ? NULL : strdup(at->file),
		.detail = strdup(detail),
		.own = strlen(detail),
		.fix = fill_fix(at->fix != NULL ? at->fix : kind->fix, at) };
	if (v[d->n].detail == NULL || v[d->n].fix == NULL) {
		d->no_memory = true;
		free(v[d->n].file);
		free(v[d->n].detail);
		free(v[d->n].fix);
		return;
	}
	d->n++;
}

void
doctor_rehearsed(
    struct doctor *d, const struct rehearsal_findings *shown, const char *dir)
{
	for (size_t i = 0; i < shown->n; i++) {
		const struct rehearsal_finding *f = &shown->v[i];
		const struct finding_at at = {
			.file = f->file,
			.line = f->line,
			.dir = dir,
			.fix = f->fix,
		};

		doctor_add(d, f->kind, &at, "%s", f->detail);
	}
}

bool
doctor_has(const struct doctor *d, const char *id)
{
	for (size_t i = 0; i < d->n; i++)
		if (strcmp(d->v[i].kind->id, id) == 0)
			return true;
	return false;
}

enum severity
doctor_worst(const struct doctor *d)
{
	enum severity worst = SEVERITY_INFO;

	for (size_t i = 0; i < d->n; i++)
		if (d->v[i].kind->severity > worst)
			worst = d->v[i].kind->severity;
	return worst;
}

/* --- for people --- */

/* Words of text, wrapped; each line begins with indent spaces. */
static void
print_wrapped(FILE *to, const char *text, int indent)
{
	char safe[DETAIL_MAX * 4];
	const char *at = out_escape(text, safe, sizeof(safe));
	int column = 0;

	while (*(at += strspn(at, " ")) != '\0') {
		int n = (int)strcspn(at, " ");

		if (column > 0 && column + 1 + n > WIDTH) {
			(void)fputc('\n', to);
			column = 0;
		}
		if (column == 0)
			column = fprintf(to, "%*s%.*s", indent, "", n, at);
		else
			column += fprintf(to, " %.*s", n, at);
		at += n;
	}
	(void)fputc('\n', to);
}

/* Print the commands as they are to be pasted: a line a line. */
static void
print_fix(FILE *to, const char *fix)
{
	char line[FIX_MAX], safe[OUT_TEXT_MAX];

	while (*fix != '\0') {
		size_t n = strcspn(fix, "\n");

		(void)snprintf(line, sizeof(line), "%.*s", (int)n, fix);
		(void)fprintf(
		    to, "        %s\n", out_escape(line, safe, sizeof(safe)));
		fix += n + (fix[n] == '\n');
	}
}

static void
print_finding(FILE *to, const struct finding *f)
{
	char safe[OUT_TEXT_MAX];

	(void)fprintf(to, "  %s", f->kind->id);
	if (f->file != NULL)
		(void)fprintf(
		    to, "  %s", out_escape(f->file, safe, sizeof(safe)));
	if (f->line != 0)
		(void)fprintf(to, ":%u", f->line);
	(void)fputc('\n', to);
	print_wrapped(to, f->detail, 4);
	print_wrapped(to, f->kind->why, 4);
	if (*f->fix != '\0') {
		(void)fprintf(to, "      What to do:\n");
		print_fix(to, f->fix);
	}
	(void)fputc('\n', to);
}

static bool
is_shown(const struct doctor *d, const struct finding *f)
{
	return !d->changes || (!f->known && finding_is_news(f));
}

static size_t
count(const struct doctor *d, enum severity severity)
{
	size_t n = 0;

	for (size_t i = 0; i < d->n; i++)
		n +=
		    d->v[i].kind->severity == severity && is_shown(d, &d->v[i]);
	return n;
}

static void
print_read(const struct doctor *d, FILE *to)
{
	char safe[OUT_TEXT_MAX];
	bool any = false;

	for (int i = 0; i < MTAS; i++)
		if (d->read[i] != NULL) {
			(void)fprintf(to, "%s%s (%s)",
			    any ? ", " : "Looked at ",
			    doctor_mta_name((enum doctor_mta)i),
			    out_escape(d->read[i], safe, sizeof(safe)));
			any = true;
		}
	(void)fprintf(to, "%s (%s).\n",
	    any ? " and popgate" : "Looked at popgate",
	    d->ctl->defaults
		? "built-in defaults"
		: out_escape(d->ctl->config_path, safe, sizeof(safe)));
}

static void
print_gone(const struct doctor *d, FILE *to)
{
	if (d->gone.n == 0)
		return;
	(void)fprintf(to, "No longer found (%zu):\n\n", d->gone.n);
	for (size_t i = 0; i < d->gone.n; i++)
		print_wrapped(to, d->gone.v[i], 2);
	(void)fputc('\n', to);
}

int
doctor_print(const struct doctor *d, FILE *to)
{
	static const char *const heads[] = {
		[SEVERITY_OPEN_RELAY] = "Strangers can relay",
		[SEVERITY_WARNING] = "To put right",
		[SEVERITY_INFO] = "Good to know",
	};
	static const char *const last[] = {
		[SEVERITY_OPEN_RELAY] =
		    ("This server relays for strangers. Do what stands first, reload the mail server,\n"
		     "and look again.\n"),
		[SEVERITY_WARNING] =
		    "Nothing found that lets a stranger relay today. What stands above can become it.\n",
		[SEVERITY_INFO] = "Nothing found that lets a stranger relay.\n",
	};

	for (int severity = SEVERITY_OPEN_RELAY; severity >= SEVERITY_INFO;
	     severity--) {
		size_t n = count(d, (enum severity)severity);

		if (n > 0)
			(void)fprintf(to, "%s%s (%zu):\n\n",
			    d->changes ? "New: " : "", heads[severity], n);
		for (size_t i = 0; n > 0 && i < d->n; i++)
			if ((int)d->v[i].kind->severity == severity &&
			    is_shown(d, &d->v[i]))
				print_finding(to, &d->v[i]);
	}
	print_gone(d, to);
	print_read(d, to);
	if (doctor_worst(d) == SEVERITY_WARNING &&
	    count(d, SEVERITY_WARNING) == 0)
		(void)fputs(
		    "Nothing found that lets a stranger relay today. The warnings of before are still there:\n"
		    "popgatectl doctor\n",
		    to);
	else
		(void)fputs(last[doctor_worst(d)], to);
	return (int)doctor_worst(d);
}

static void
json_finding(struct json *j, const struct doctor *d, const struct finding *f)
{
	json_open(j, NULL, '{');
	json_text(j, "id", f->kind->id);
	json_text(j, "severity", severity_words[f->kind->severity]);
	json_text(j, "file", f->file);
	if (f->line != 0)
		json_number(j, "line", f->line);
	json_text(j, "detail", f->detail);
	json_text(j, "why", f->kind->why);
	json_text(j, "fix", f->fix);
	if (d->changes)
		json_bool(j, "new", !f->known);
	json_close(j, '}');
}

int
doctor_print_json(const struct doctor *d, FILE *to)
{
	struct json j = { .to = to };

	json_open(&j, NULL, '{');
	json_text(&j, "worst", severity_words[doctor_worst(d)]);
	json_open(&j, "read", '{');
	for (int i = 0; i < MTAS; i++)
		if (d->read[i] != NULL)
			json_text(&j, doctor_mta_name((enum doctor_mta)i),
			    d->read[i]);
	json_close(&j, '}');
	json_open(&j, "findings", '[');
	for (size_t i = 0; i < d->n; i++)
		json_finding(&j, d, &d->v[i]);
	json_close(&j, ']');
	if (d->changes) {
		json_open(&j, "gone", '[');
		for (size_t i = 0; i < d->gone.n; i++)
			json_text(&j, NULL, d->gone.v[i]);
		json_close(&j, ']');
	}
	json_close(&j, '}');
	json_line(&j);
	return (int)doctor_worst(d);
}

void
doctor_release(struct doctor *d)
{
	for (size_t i = 0; i < d->n; i++) {
		free(d->v[i].file);
		free(d->v[i].detail);
		free(d->v[i].fix);
	}
	free(d->v);
	string_list_release(&d->gone);
	string_list_release(&d->unasked);
	for (int i = 0; i < MTAS; i++)
		free(d->read[i]);
}
