/* SPDX-License-Identifier: ISC */
#include "common/mta/postfix_patterns.h"

#include <ctype.h>
#include <regex.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "common/base/err.h"

/* Strangers choose the key: an expression that backtracks for long gives up. */
enum { MATCH_LIMIT = 100000, HEAP_LIMIT_KIB = 4096, NEST_MAX = 100 };

enum op { OP_RULE, OP_IF, OP_ENDIF };

struct rule {
	enum op op;
	bool negated;
	pcre2_code *pcre; /* NULL: re, unless OP_ENDIF */
	regex_t re;
	bool has_re;
	size_t endif; /* of OP_IF: its OP_ENDIF, or behind the last rule */
};

struct postfix_patterns {
	struct rule *v;
	size_t n;
	bool pcre;
	pcre2_match_context *limits;
};

/* One line of the table on its way. */
struct parsing {
	struct postfix_patterns *p;
	size_t open[NEST_MAX]; /* OP_IF rules without their OP_ENDIF */
	size_t n_open;
	unsigned line;
	struct err *err;
};

static int
refuse(struct parsing *s, const char *what)
{
	err_set(s->err, ERR_INVALID, "line %u: %s", s->line, what);
	return -1;
}

static struct rule *
new_rule(struct parsing *s, enum op op)
{
	struct postfix_patterns *p = s->p;
	struct rule *v = reallocarray(p->v, p->n + 1, sizeof(*v));

	if (v == NULL) {
		err_set(s->err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	p->v = v;
	v[p->n] = (struct rule){ .op = op, .endif = SIZE_MAX };
	return &v[p->n++];
}

/* "i", "m" ... behind the expression, up to a blank. */
static bool
regexp_flags(const char *flags, size_t n, int *cflags)
{
	*cflags = REG_EXTENDED | REG_ICASE;
	for (size_t i = 0; i < n; i++)
		switch (flags[i]) {
		case 'i':
			*cflags ^= REG_ICASE;
			break;
		case 'm':
			*cflags ^= REG_NEWLINE;
			break;
		case 'x':
			*cflags ^= REG_EXTENDED;
			break;
		default:
			return false;
		}
	return true;
}

static bool
pcre_flags(const char *flags, size_t n, uint32_t *options)
{
	static const struct {
		char letter;
		uint32_t option;
	} known[] = {
		{ 'i', PCRE2_CASELESS },
		{ 'm', PCRE2_MULTILINE },
		{ 's', PCRE2_DOTALL },
		{ 'x', PCRE2_EXTENDED },
		{ 'A', PCRE2_ANCHORED },
		{ 'E', PCRE2_DOLLAR_ENDONLY },
		{ 'U', PCRE2_UNGREEDY },
	};

	*options = PCRE2_CASELESS | PCRE2_DOTALL;
	for (size_t i = 0; i < n; i++) {
		size_t k = 0;

		while (k < sizeof(known) / sizeof(*known) &&
		    known[k].letter != flags[i])
			k++;
		if (k == sizeof(known) / sizeof(*known))
			return false;
		*options ^= known[k].option;
	}
	return true;
}

/* How many groups the expression has, or -1 with err. */
static int
compile(struct parsing *s, struct rule *r, const char *text, const char *flags,
    size_t n_flags)
{
	uint32_t options, groups = 0;
	int cflags, code;
	PCRE2_SIZE at;

	if (s->p->pcre) {
		if (!pcre_flags(flags, n_flags, &options))
			return refuse(s, "unknown flag");
		r->pcre = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED,
		    options, &code, &at, NULL);
		if (r->pcre == NULL)
			return refuse(s, "expression isn't taken");
		(void)pcre2_pattern_info(
		    r->pcre, PCRE2_INFO_CAPTURECOUNT, &groups);
		return (int)groups;
	}
	if (!regexp_flags(flags, n_flags, &cflags))
		return refuse(s, "unknown flag");
	if (regcomp(&r->re, text, cflags) != 0)
		return refuse(s, "expression isn't taken");
	r->has_re = true;
	return (int)r->re.re_nsub;
}

/* Take "!/expression/flags" at *text into a rule, and go behind it. Returns the
 * number of groups, or -1 with err. */
static int
take_pattern(struct parsing *s, enum op op, char **text)
{
	struct rule *r = new_rule(s, op);
	char *at = *text, *from;

	if (r == NULL)
		return -1;
	for (; *at == '!'; at++)
		r->negated = !r->negated;
	char delimiter = *at;

	if (delimiter == '\0' || isspace((unsigned char)delimiter) ||
	    isalnum((unsigned char)delimiter))
		return refuse(s, "no expression");
	for (from = ++at; *at != '\0' && *at != delimiter; at++)
		if (*at == '\\' && *++at == '\0')
			break;
	if (*at == '\0')
		return refuse(s, "expression doesn't end");
	*at++ = '\0';
	size_t n = strcspn(at, " \t\r\n!");
	int groups = compile(s, r, from, at, n);

	at += n;
	*text = at + strspn(at, " \t\r\n");
	/* "/a/!/b/", which isn't documented */
	return **text == '!' && op == OP_RULE ? refuse(s, "second expression")
					      : groups;
}

/* Does the result name only groups that there are? Postfix ignores a rule of
 * which it doesn't. */
static bool
has_groups(const char *result, int groups, bool negated)
{
	for (const char *at = strchr(result, '$'); at != NULL;
	     at = strchr(at, '$')) {
		at++;
		if (*at == '$') {
			at++;
			continue;
		}
		at += *at == '(' || *at == '{';
		long n = strtol(at, NULL, 10);

		if (negated || n < 1 || n > groups)
			return false;
	}
	return true;
}

static bool
is_word(const char *line, const char *word)
{
	size_t n = strlen(word);

	return strncasecmp(line, word, n) == 0 &&
	    !isalnum((unsigned char)line[n]);
}

static int
take_rule(struct parsing *s, char *line)
{
	if (is_word(line, "endif")) {
		struct rule *r = new_rule(s, OP_ENDIF);

		if (r == NULL)
			return -1;
		if (s->n_open == 0)
			return refuse(s, "endif without if");
		s->p->v[s->open[--s->n_open]].endif = s->p->n - 1;
		return 0;
	}
	if (is_word(line, "if")) {
		line += 2;
		line += strspn(line, " \t\r\n");
		if (s->n_open == NEST_MAX)
			return refuse(s, "too many if");
		s->open[s->n_open++] = s->p->n;
		return take_pattern(s, OP_IF, &line) == -1 ? -1 : 0;
	}
	int groups = take_pattern(s, OP_RULE, &line);

	if (groups == -1)
		return -1;
	return has_groups(line, groups, s->p->v[s->p->n - 1].negated)
	    ? 0
	    : refuse(s, "result names a group that there isn't");
}

/* The next logical line, joined, in *line_r (to be freed); false at the end. A
 * line that begins with a blank continues the one before. */
static bool
next_line(const char **text, char **line_r, unsigned *number)
{
	char *line = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&line, &len);
	bool any = false;

	*line_r = NULL;
	if (out == NULL)
		return false;
	while (**text != '\0') {
		size_t n = strcspn(*text, "\n"),
		       blank = strspn(*text, " \t\r\v\f");
		bool comment = blank >= n || (*text)[blank] == '#';

		if (!comment && any && blank == 0)
			break;
		if (!comment) {
			(void)fprintf(out, "%.*s", (int)n, *text);
			any = true;
		}
		*text += n + ((*text)[n] == '\n');
		++*number;
	}
	if (fclose(out) != 0 || !any) {
		free(line);
		return false;
	}
	while (len > 0 && isspace((unsigned char)line[len - 1]))
		line[--len] = '\0';
	*line_r = line;
	return true;
}

struct postfix_patterns *
postfix_patterns_new(const char *text, bool pcre, struct err *err)
{
	struct postfix_patterns *p = calloc(1, sizeof(*p));
	struct parsing s = { .p = p, .err = err };
	char *line;
	int ret = 0;

	if (p != NULL && pcre) {
		p->pcre = true;
		p->limits = pcre2_match_context_create(NULL);
	}
	if (p == NULL || (pcre && p->limits == NULL)) {
		err_set(err, ERR_NOMEM, "out of memory");
		free(p);
		return NULL;
	}
	if (pcre) {
		(void)pcre2_set_match_limit(p->limits, MATCH_LIMIT);
		(void)pcre2_set_heap_limit(p->limits, HEAP_LIMIT_KIB);
	}
	while (ret == 0 && next_line(&text, &line, &s.line)) {
		/* a first line may begin with blanks */
		ret = take_rule(&s, line + strspn(line, " \t\r\v\f"));
		free(line);
	}
	if (ret == 0)
		return p;
	postfix_patterns_free(p);
	return NULL;
}

void
postfix_patterns_free(struct postfix_patterns *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < p->n; i++) {
		pcre2_code_free(p->v[i].pcre);
		if (p->v[i].has_re)
			regfree(&p->v[i].re);
	}
	pcre2_match_context_free(p->limits);
	free(p->v);
	free(p);
}

static int
matches(const struct postfix_patterns *p, const struct rule *r, const char *key)
{
	int rc;

	if (r->pcre == NULL) {
		rc = regexec(&r->re, key, 0, NULL, 0);
		return rc == 0          ? !r->negated
		    : rc == REG_NOMATCH ? r->negated
					: -1;
	}
	pcre2_match_data *data =
	    pcre2_match_data_create_from_pattern(r->pcre, NULL);

	if (data == NULL)
		return -1;
	rc = pcre2_match(r->pcre, (PCRE2_SPTR)key, PCRE2_ZERO_TERMINATED, 0, 0,
	    data, p->limits);
	pcre2_match_data_free(data);
	return rc >= 0                  ? !r->negated
	    : rc == PCRE2_ERROR_NOMATCH ? r->negated
					: -1;
}

int
postfix_patterns_match(const struct postfix_patterns *p, const char *key)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct rule *r = &p->v[i];

		if (r->op == OP_ENDIF)
			continue;
		int rc = matches(p, r, key);

		if (rc == -1 || (rc == 1 && r->op == OP_RULE))
			return rc;
		if (rc == 0 && r->op == OP_IF) {
			/* one that never ends hides all that follows */
			if (r->endif == SIZE_MAX)
				return 0;
			i = r->endif;
		}
	}
	return 0;
}
