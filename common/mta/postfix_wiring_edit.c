/* SPDX-License-Identifier: ISC */
/* postfix_wiring_edit - the edits and notes of a plan, and the configuration
 * as it is after them. */
#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mta/postfix_wiring_work.h"

enum { EXPAND_DEPTH = 20, NAME_LEN = 200 };

static void
service_name(const struct postfix_service *s, char *buf, size_t size)
{
	(void)snprintf(buf, size, "%s/%s", s->name, s->type);
}

static struct wiring_edit *
find_edit(const struct wiring_work *w, const struct postfix_service *s,
    const char *name)
{
	char service[NAME_LEN] = "";

	if (s != NULL)
		service_name(s, service, sizeof(service));
	for (size_t i = 0; i < w->plan->n_edits; i++) {
		struct wiring_edit *e = &w->plan->edits[i];

		if (e->kind != EDIT_FIELD && strcmp(e->name, name) == 0 &&
		    strcmp(e->service == NULL ? "" : e->service, service) == 0)
			return e;
	}
	return NULL;
}

const char *
wiring_own(const struct wiring_work *w, const struct postfix_service *s,
    const char *name)
{
	const struct wiring_edit *e = find_edit(w, s, name);

	return e != NULL ? e->value : postfix_raw(w->pf, s, name);
}

const char *
wiring_raw(const struct wiring_work *w, const struct postfix_service *s,
    const char *name)
{
	const char *value = s == NULL ? NULL : wiring_own(w, s, name);

	if (value == NULL)
		value = wiring_own(w, NULL, name);
	return value == NULL ? postfix_value(w->pf, NULL, name) : value;
}

static void
release_edit(struct wiring_edit *e)
{
	free(e->service);
	free(e->name);
	free(e->old);
	free(e->value);
	free(e->why);
}

static char *
copy(struct wiring_work *w, const char *text)
{
	char *new = text == NULL ? NULL : strdup(text);

	w->no_memory |= text != NULL && new == NULL;
	return new;
}

static void
add_edit(struct wiring_work *w, const struct wiring_edit *like)
{
	struct wiring_edit *v =
	    reallocarray(w->plan->edits, w->plan->n_edits + 1, sizeof(*v));

	if (v == NULL) {
		w->no_memory = true;
		return;
	}
	w->plan->edits = v;
	struct wiring_edit e = { .kind = like->kind,
		.service = copy(w, like->service),
		.name = copy(w, like->name),
		.old = copy(w, like->old),
		.value = copy(w, like->value),
		.why = copy(w, like->why) };

	if (e.name == NULL || e.value == NULL || e.why == NULL)
		release_edit(&e);
	else
		v[w->plan->n_edits++] = e;
}

/* An edit that is there already gets another value; one that has become none
 * goes. */
static void
change_edit(struct wiring_work *w, struct wiring_edit *e, const char *value)
{
	struct wiring_plan *plan = w->plan;

	if (e->old != NULL && strcmp(e->old, value) == 0) {
		release_edit(e);
		size_t at = (size_t)(e - plan->edits);

		memmove(e, e + 1, (plan->n_edits - at - 1) * sizeof(*e));
		plan->n_edits--;
		return;
	}
	char *new = copy(w, value);

	if (new == NULL)
		return;
	free(e->value);
	e->value = new;
}

static void
set(struct wiring_work *w, const struct postfix_service *s, const char *name,
    const char *value, const char *why)
{
	char service[NAME_LEN] = "";
	struct wiring_edit *e = find_edit(w, s, name);
	const char *old = postfix_raw(w->pf, s, name);

	if (e != NULL) {
		change_edit(w, e, value);
		return;
	}
	if (old != NULL && strcmp(old, value) == 0)
		return;
	if (s != NULL)
		service_name(s, service, sizeof(service));
	const struct wiring_edit edit = { .kind = s == NULL ? EDIT_MAIN
							    : EDIT_SERVICE,
		.service = s == NULL ? NULL : service,
		.name = (char *)(uintptr_t)name,
		.old = (char *)(uintptr_t)old,
		.value = (char *)(uintptr_t)value,
		.why = (char *)(uintptr_t)why };

	add_edit(w, &edit);
}

/* White space outside of braces becomes a comma, that beside a comma goes. */
static char *
without_space(const char *value)
{
	char *new = malloc(strlen(value) + 1);
	size_t n = 0;

	if (new == NULL)
		return NULL;
	for (const char *at = value; *at != '\0';) {
		size_t len = wiring_word(at);

		if (len == 0) {
			at += strspn(at, WIRING_SEPARATORS);
			if (n > 0 && *at != '\0')
				new[n++] = ',';
			continue;
		}
		memcpy(new + n, at, len);
		n += len;
		at += len;
	}
	new[n] = '\0';
	return new;
}

/* at_submission_relay for submission's smtpd_relay_restrictions */
static void
name_of_own(
    const struct postfix_service *s, const char *name, char *buf, size_t size)
{
	const char *what = strncmp(name, "smtpd_", 6) == 0 ? name + 6 : name;

	(void)snprintf(
	    buf, size, "at_%s_%.*s", s->name, (int)strcspn(what, "_"), what);
	for (char *p = buf; *p != '\0'; p++)
		if (!isalnum((unsigned char)*p))
			*p = '_';
}

void
wiring_set(struct wiring_work *w, const struct postfix_service *s,
    const char *name, const char *value, const char *why)
{
	char own[NAME_LEN], reference[NAME_LEN + 1];

	if (s == NULL) {
		set(w, NULL, name, value, why);
		return;
	}
	char *packed = without_space(value);

	if (packed == NULL) {
		w->no_memory = true;
	} else if (strpbrk(packed, " \t\r\n") == NULL) {
		set(w, s, name, packed, why);
	} else {
		name_of_own(s, name, own, sizeof(own));
		(void)snprintf(reference, sizeof(reference), "$%s", own);
		set(w, NULL, own, value,
		    "master.cf takes no white space by postconf, so main.cf holds this value.");
		set(w, s, name, reference, why);
	}
	free(packed);
}

void
wiring_set_closed(struct wiring_work *w, const struct postfix_service *s,
    const char *name, const char *value, const char *why)
{
	wiring_set(w, s, name, value, why);
	struct wiring_edit *e = find_edit(w, s, name);

	if (e != NULL)
		e->closes = true;
}

void
wiring_set_field(struct wiring_work *w, const struct postfix_service *s,
    const char *field, const char *old, const char *value, const char *why)
{
	char service[NAME_LEN];

	service_name(s, service, sizeof(service));
	const struct wiring_edit edit = { .kind = EDIT_FIELD,
		.service = service,
		.name = (char *)(uintptr_t)field,
		.old = (char *)(uintptr_t)old,
		.value = (char *)(uintptr_t)value,
		.why = (char *)(uintptr_t)why };

	add_edit(w, &edit);
}

void
wiring_note(struct wiring_work *w, enum wiring_note_kind kind,
    const struct postfix_service *s, const char *setting, const char *fmt, ...)
{
	struct wiring_plan *plan = w->plan;
	char service[NAME_LEN], text[700];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (s != NULL)
		service_name(s, service, sizeof(service));
	for (size_t i = 0; i < plan->n_notes; i++)
		if (plan->notes[i].kind == kind &&
		    strcmp(plan->notes[i].text, text) == 0 &&
		    strcmp(plan->notes[i].service == NULL
			    ? ""
			    : plan->notes[i].service,
			s == NULL ? "" : service) == 0)
			return;
	struct wiring_note *v =
	    reallocarray(plan->notes, plan->n_notes + 1, sizeof(*v));

	if (v == NULL) {
		w->no_memory = true;
		return;
	}
	plan->notes = v;
	v[plan->n_notes++] = (struct wiring_note){ .kind = kind,
		.service = copy(w, s == NULL ? NULL : service),
		.setting = copy(w, setting),
		.text = copy(w, text) };
}

/* 0 is made first. */
static int
rank(const struct wiring_edit *e)
{
	if (e->kind == EDIT_FIELD)
		return 0;
	if (e->closes)
		return 3;
	/* it may be the only guard of what the edit before closes */
	if (e->kind == EDIT_MAIN && strcmp(e->name, "popgate_milter") == 0)
		return 4;
	if (strncmp(e->name, "milter_", 7) == 0)
		return 1;
	if (e->kind == EDIT_MAIN && strncmp(e->name, "popgate_", 8) == 0)
		return 1;
	if (e->kind == EDIT_MAIN &&
	    (strncmp(e->name, "at_", 3) == 0 ||
		strcmp(e->name, "non_smtpd_milters") == 0))
		return 2;
	/* what keeps popgate out of a service */
	if (e->kind == EDIT_SERVICE && strstr(e->value, "popgate") == NULL)
		return 2;
	return strcmp(e->name, "smtpd_milters") == 0          ? 5
	    : strcmp(e->name, "smtpd_data_restrictions") == 0 ? 6
							      : 7;
}

/* Few, and edits of one rank keep their order. */
void
wiring_sort_edits(struct wiring_work *w)
{
	struct wiring_edit *v = w->plan->edits;

	for (size_t i = 1; i < w->plan->n_edits; i++) {
		struct wiring_edit e = v[i];
		size_t at = i;

		for (; at > 0 && rank(&v[at - 1]) > rank(&e); at--)
			v[at] = v[at - 1];
		v[at] = e;
	}
}

void
wiring_plan_release(struct wiring_plan *plan)
{
	for (size_t i = 0; i < plan->n_edits; i++)
		release_edit(&plan->edits[i]);
	for (size_t i = 0; i < plan->n_notes; i++) {
		free(plan->notes[i].service);
		free(plan->notes[i].setting);
		free(plan->notes[i].text);
	}
	free(plan->edits);
	free(plan->notes);
	*plan = (struct wiring_plan){ 0 };
}

/* --- text --- */

size_t
wiring_word(const char *text)
{
	size_t n = 0;
	int depth = 0;

	for (; text[n] != '\0'; n++) {
		if (text[n] == '{')
			depth++;
		else if (text[n] == '}' && depth > 0)
			depth--;
		else if (depth == 0 &&
		    strchr(WIRING_SEPARATORS, text[n]) != NULL)
			break;
	}
	return n;
}

char *
wiring_splice(const char *text, size_t from, size_t to, const char *with)
{
	size_t len = strlen(text), n = strlen(with);

	assert(from <= to && to <= len);
	char *new = malloc(from + n + (len - to) + 1);

	if (new == NULL)
		return NULL;
	memcpy(new, text, from);
	memcpy(new + from, with, n);
	memcpy(new + from + n, text + to, len - to + 1);
	return new;
}

size_t
wiring_reference(const char *text, char *buf, size_t buf_size)
{
	char close = '\0';
	size_t n = 0, open = 1;

	if (*text != '$')
		return 0;
	if (text[1] == '{' || text[1] == '(') {
		close = text[1] == '{' ? '}' : ')';
		open = 2;
	}
	while (isalnum((unsigned char)text[open + n]) || text[open + n] == '_')
		n++;
	if (n == 0 || n >= buf_size ||
	    (close != '\0' && text[open + n] != close))
		return 0;
	(void)snprintf(buf, buf_size, "%.*s", (int)n, text + open);
	return open + n + (close != '\0');
}

static char *
expand(const struct wiring_work *w, const struct postfix_service *s,
    const char *text, int depth)
{
	char *out = strdup(text), name[NAME_LEN];

	for (size_t at = 0; out != NULL && out[at] != '\0';) {
		if (out[at] != '$') {
			at++;
			continue;
		}
		if (out[at + 1] == '$') {
			at += 2;
			continue;
		}
		size_t len = wiring_reference(out + at, name, sizeof(name));

		if (len == 0 || depth == EXPAND_DEPTH) {
			free(out);
			return NULL;
		}
		char *value = expand(w, s, wiring_raw(w, s, name), depth + 1);
		char *new = value == NULL
		    ? NULL
		    : wiring_splice(out, at, at + len, value);

		at += value == NULL ? 0 : strlen(value);
		free(value);
		free(out);
		out = new;
	}
	return out;
}

char *
wiring_expand(const struct wiring_work *w, const struct postfix_service *s,
    const char *text)
{
	return expand(w, s, text, 0);
}
