/* SPDX-License-Identifier: ISC */
#include "common/grammar/custom.h"

#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "common/base/err.h"

/* A pattern that fits a log line needs some hundred steps for it. */
enum {
	MATCH_LIMIT = 20000,
	DEPTH_LIMIT = 500,
	HEAP_LIMIT_KIB = 1024,
	NEST_LIMIT = 30
};

struct custom {
	char *program;
	char *unit; /* or NULL */
	pcre2_code *code;
	pcre2_match_data *match;
	pcre2_match_context *context;
	uint32_t user, ip; /* numbers of the groups */
};

/* A walk over the pattern's text, and what it has seen. */
struct walk {
	const char *p;
	const char *end;
	unsigned depth; /* of groups */
	const char *last; /* where the last token began */
	const char *problem; /* why the pattern is refused, or NULL */
};

static bool
walk_at(const struct walk *w, const char *text)
{
	size_t len = strlen(text);

	return (size_t)(w->end - w->p) >= len && memcmp(w->p, text, len) == 0;
}

/* "[...]", in which ']' may come first and [:alpha:] may stand. */
static void
walk_class(struct walk *w)
{
	w->p++;
	if (w->p < w->end && *w->p == '^')
		w->p++;
	if (w->p < w->end && *w->p == ']')
		w->p++;
	while (w->p < w->end && *w->p != ']') {
		if (*w->p == '\\' && w->end - w->p > 1) {
			if (w->p[1] == 'Q')
				w->problem = "\\Q is not taken in a class";
			w->p += 2;
			continue;
		}
		if (walk_at(w, "[:") || walk_at(w, "[.") || walk_at(w, "[=")) {
			const char kind = w->p[1];
			const char *p = w->p + 2;

			while (p + 1 < w->end &&
			    !(p[0] == kind && p[1] == ']') && *p != ']' &&
			    *p != '\\')
				p++;
			if (p + 1 < w->end && p[0] == kind && p[1] == ']')
				w->p = p + 1;
		}
		w->p++;
	}
	if (w->p < w->end)
		w->p++;
}

static void
walk_quoted(struct walk *w)
{
	w->p += 2;
	while (w->p < w->end && !walk_at(w, "\\E"))
		w->p++;
	w->p += w->p < w->end ? 2 : 0;
}

static void
walk_group(struct walk *w)
{
	w->depth++;
	w->p++;
	if (walk_at(w, "*")) {
		w->problem = "verbs of the form (*...) are not taken";
		return;
	}
	if (walk_at(w, "?#")) {
		while (w->p < w->end && *w->p != ')')
			w->p++;
		return;
	}
	if (!walk_at(w, "?"))
		return;

	/* Inline options: letters up to ')' or ':'. (?<name>, (?'name',
	 * (?P<, (?:, (?=, (?!, (?|, (?> and (?( begin otherwise. */
	const char *p = w->p + 1;

	while (p < w->end &&
	    ((*p >= 'a' && *p <= 'z') || *p == 'U' || *p == 'J' || *p == '-' ||
		*p == '^'))
		p++;
	if (p < w->end && (*p == ')' || *p == ':')) {
		for (const char *o = w->p + 1; o < p; o++) {
			if (*o != 'i' && *o != 's' && *o != 'n' && *o != '-')
				w->problem = "of the inline options only i, "
					     "s and n are taken";
		}
	}
	w->p++;
}

/* Walk the whole pattern as PCRE2 will read it, without its extended mode,
 * which we refuse. Errors of syntax are left to PCRE2 itself. */
static void
walk_pattern(struct walk *w)
{
	while (w->p < w->end && w->problem == NULL) {
		w->last = w->p;
		switch (*w->p) {
		case '\\':
			if (walk_at(w, "\\K"))
				w->problem = "\\K is not taken";
			if (walk_at(w, "\\Q"))
				walk_quoted(w);
			else
				w->p += w->end - w->p > 1 ? 2 : 1;
			break;
		case '[':
			walk_class(w);
			break;
		case '(':
			walk_group(w);
			break;
		case ')':
			w->depth -= w->depth > 0;
			w->p++;
			break;
		case '|':
			if (w->depth == 0)
				w->problem = "an alternation outside of a "
					     "group escapes the anchors; write "
					     "^(?:a|b)$";
			w->p++;
			break;
		default:
			w->p++;
		}
	}
}

static const char *
anchor_problem(const char *pattern, size_t len)
{
	struct walk w = { .p = pattern, .end = pattern + len, .last = pattern };

	if (len < 2 || (pattern[0] != '^' && strncmp(pattern, "\\A", 2) != 0))
		return "it must begin with ^ or \\A";
	walk_pattern(&w);
	if (w.problem != NULL)
		return w.problem;
	if (w.depth != 0)
		return "a parenthesis is not closed";
	if (!(*w.last == '$' && w.last == w.end - 1) &&
	    !(w.last == w.end - 2 && memcmp(w.last, "\\z", 2) == 0))
		return "it must end with an unescaped $ or \\z";
	return NULL;
}

static int
refuse(struct custom *c, const char *pattern, const char *why, struct err *err)
{
	err_set(err, ERR_INVALID, "custom server \"%s\", pattern \"%s\": %s",
	    c->program, pattern, why);
	return -1;
}

static int
compile(struct custom *c, const char *pattern, struct err *err)
{
	/* ANCHORED and ENDANCHORED make the whole message match even where
	 * our reading of the pattern should be wrong. */
	const uint32_t flags = PCRE2_ANCHORED | PCRE2_ENDANCHORED |
	    PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_UTF | PCRE2_NEVER_BACKSLASH_C;
	pcre2_compile_context *context = pcre2_compile_context_create(NULL);
	int number;
	PCRE2_SIZE offset;
	size_t len = strlen(pattern);

	if (context == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return -1;
	}
	pcre2_set_parens_nest_limit(context, NEST_LIMIT);
	c->code = pcre2_compile(
	    (PCRE2_SPTR)pattern, len, flags, &number, &offset, context);
	pcre2_compile_context_free(context);
	if (c->code == NULL) {
		char why[256];

		if (pcre2_get_error_message(
			number, (PCRE2_UCHAR *)why, sizeof(why)) < 0)
			memcpy(why, "not a valid pattern", 20);
		err_set(err, ERR_INVALID,
		    "custom server \"%s\", pattern "
		    "\"%s\", at byte %zu: %s",
		    c->program, pattern, (size_t)offset, why);
		return -1;
	}
	return 0;
}

static int
find_groups(struct custom *c, const char *pattern, struct err *err)
{
	int user =
	    pcre2_substring_number_from_name(c->code, (PCRE2_SPTR) "user");
	int ip = pcre2_substring_number_from_name(c->code, (PCRE2_SPTR) "ip");

	if (user < 0)
		return refuse(
		    c, pattern, "it needs the group (?<user>...)", err);
	if (ip < 0)
		return refuse(c, pattern, "it needs the group (?<ip>...)", err);
	c->user = (uint32_t)user;
	c->ip = (uint32_t)ip;
	return 0;
}

static int
prepare(struct custom *c, const char *pattern, struct err *err)
{
	size_t len = strlen(pattern);
	const char *why;

	if (c->program[0] == '\0')
		return refuse(c, pattern, "the program has no name", err);
	if (len > CUSTOM_PATTERN_MAX)
		return refuse(c, "...", "it is too long", err);
	why = anchor_problem(pattern, len);
	if (why != NULL)
		return refuse(c, pattern, why, err);
	if (compile(c, pattern, err) == -1 ||
	    find_groups(c, pattern, err) == -1)
		return -1;
	/* Without JIT on a platform, the interpreter gives the same answers. */
	(void)pcre2_jit_compile(c->code, PCRE2_JIT_COMPLETE);
	c->match = pcre2_match_data_create_from_pattern(c->code, NULL);
	c->context = pcre2_match_context_create(NULL);
	if (c->match == NULL || c->context == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return -1;
	}
	pcre2_set_match_limit(c->context, MATCH_LIMIT);
	pcre2_set_depth_limit(c->context, DEPTH_LIMIT);
	pcre2_set_heap_limit(c->context, HEAP_LIMIT_KIB);
	return 0;
}

int
custom_compile(const char *program, const char *pattern, const char *unit,
    struct custom **custom_r, struct err *err)
{
	struct custom *c = calloc(1, sizeof(*c));

	*custom_r = NULL;
	if (c != NULL) {
		c->program = strdup(program);
		c->unit = unit == NULL ? NULL : strdup(unit);
	}
	if (c == NULL || c->program == NULL ||
	    (unit != NULL && c->unit == NULL)) {
		err_set(err, ERR_NOMEM, "out of memory");
		custom_free(&c);
		return -1;
	}
	if (prepare(c, pattern, err) == -1) {
		custom_free(&c);
		return -1;
	}
	*custom_r = c;
	return 0;
}

void
custom_free(struct custom **custom)
{
	struct custom *c = custom == NULL ? NULL : *custom;

	if (c == NULL)
		return;
	pcre2_match_context_free(c->context);
	pcre2_match_data_free(c->match);
	pcre2_code_free(c->code);
	free(c->program);
	free(c->unit);
	free(c);
	*custom = NULL;
}

const char *
custom_program(const struct custom *custom)
{
	return custom->program;
}

const char *
custom_unit(const struct custom *custom)
{
	return custom->unit;
}

static bool
group(const struct custom *c, struct span msg, uint32_t number,
    struct span *group_r)
{
	const PCRE2_SIZE *at = pcre2_get_ovector_pointer(c->match);
	PCRE2_SIZE from = at[2 * (size_t)number];
	PCRE2_SIZE to = at[2 * (size_t)number + 1];

	if (from == PCRE2_UNSET || to == PCRE2_UNSET || from >= to ||
	    to > span_len(msg))
		return false;
	*group_r = (struct span){ .p = msg.p + from, .end = msg.p + to };
	return true;
}

bool
custom_match(struct custom *custom, struct span msg, struct span *user_r,
    struct span *ip_r)
{
	int count = pcre2_match(custom->code, (PCRE2_SPTR)msg.p, span_len(msg),
	    0, 0, custom->match, custom->context);
	const PCRE2_SIZE *at;

	if (count <= 0)
		return false;
	at = pcre2_get_ovector_pointer(custom->match);
	if (at[0] != 0 || at[1] != span_len(msg))
		return false;
	return group(custom, msg, custom->user, user_r) &&
	    group(custom, msg, custom->ip, ip_r);
}
