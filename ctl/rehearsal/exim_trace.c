/* SPDX-License-Identifier: ISC */
#include "ctl/rehearsal/exim_trace.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 32 };

struct reader {
	struct exim_trace *t;
	bool failed; /* no memory */
	size_t open[DEPTH_MAX]; /* the statement of each depth, plus one */
	const char *acl[DEPTH_MAX];
	unsigned depth;
	size_t check; /* the last, plus one; 0: none */
	bool replying; /* lines that go on are of a reply */
};

static void *
grow(struct reader *r, void **v, size_t *n, size_t size)
{
	/* doubled when it is a power of two */
	if ((*n & (*n - 1)) == 0) {
		void *more = reallocarray(*v, *n == 0 ? 1 : *n * 2, size);

		if (more == NULL) {
			r->failed = true;
			return NULL;
		}
		*v = more;
	}
	return memset((char *)*v + size * (*n)++, 0, size);
}

static char *
after(char *line, const char *word)
{
	size_t n = strlen(word);

	return strncmp(line, word, n) == 0 ? line + n : NULL;
}

/* The text up to the last of a mark, which is cut off there; NULL: none. */
static char *
cut_last(char *text, const char *mark)
{
	char *found = NULL;

	for (char *at = text; (at = strstr(at, mark)) != NULL; at++)
		found = at;
	if (found == NULL)
		return NULL;
	*found = '\0';
	return found + strlen(mark);
}

static void
begin_command(struct reader *r, char *command)
{
	struct exim_said *s =
	    grow(r, (void **)&r->t->said, &r->t->n_said, sizeof(*s));

	r->depth = 0;
	r->check = 0;
	r->replying = false;
	memset(r->open, 0, sizeof(r->open));
	if (s != NULL)
		*s = (struct exim_said){
			.command = command, .reply = "", .ran = r->t->n_ran
		};
}

/* "250-mx Hello", "250 HELP" */
static void
take_reply(struct reader *r, char *text)
{
	struct exim_said *s =
	    r->t->n_said == 0 ? NULL : &r->t->said[r->t->n_said - 1];

	r->replying = isdigit((unsigned char)text[0]) &&
	    isdigit((unsigned char)text[1]) && isdigit((unsigned char)text[2]);
	if (s == NULL || !r->replying)
		return;
	s->code = (unsigned)strtoul(text, NULL, 10);
	s->reply = text + 3 + (text[3] != '\0');
}

/* "accept" (/etc/exim4/exim4.conf 18) */
static void
take_statement(struct reader *r, char *text)
{
	char *verb = text + 1, *file = strstr(text, "\" ("), *line, *end;
	struct exim_ran *ran;

	if (file == NULL || *text != '"' || r->t->n_said == 0)
		return;
	*file = '\0';
	file += 3;
	line = strrchr(file, ' ');
	end = strrchr(file, ')');
	if (line == NULL || end == NULL || end < line)
		return;
	*line = *end = '\0';
	ran = grow(r, (void **)&r->t->ran, &r->t->n_ran, sizeof(*ran));
	if (ran == NULL)
		return;
	*ran = (struct exim_ran){ .said = r->t->n_said - 1,
		.acl = r->acl[r->depth] == NULL ? "" : r->acl[r->depth],
		.verb = verb,
		.file = file,
		.line = (unsigned)strtoul(line + 1, NULL, 10),
		.depth = r->depth };
	r->open[r->depth] = r->t->n_ran;
	r->check = 0;
}

static void
take_check(struct reader *r, char *text)
{
	bool negated = *text == '!';
	char *value = strstr(text, " = ");
	struct exim_check *c;
	unsigned d = r->depth;

	/* see go_to() */
	while (d > 0 && r->open[d] == 0)
		d--;
	size_t ran = r->open[d];

	if (ran == 0)
		return;
	c = grow(r, (void **)&r->t->checks, &r->t->n_checks, sizeof(*c));
	if (c == NULL)
		return;
	if (value != NULL)
		*value = '\0';
	*c = (struct exim_check){ .ran = ran - 1,
		.negated = negated,
		.name = text + negated,
		.value = value == NULL ? "" : value + 3 };
	r->check = r->t->n_checks;
	r->t->ran[ran - 1].checks++;
}

/* "x in "a : b"? yes (matched "b")", "x in "! a"? yes (end of list)" */
static void
take_hit(struct reader *r, char *line)
{
	char *yes = cut_last(line, "\"? yes ("), *list;
	struct exim_hit *h;

	if (yes == NULL || r->check == 0)
		return;
	list = strstr(line, " in \"");
	if (list == NULL)
		return;
	*list = '\0';
	h = grow(r, (void **)&r->t->hits, &r->t->n_hits, sizeof(*h));
	if (h == NULL)
		return;
	*h = (struct exim_hit){ .check = r->check - 1,
		.subject = line,
		.list = list + strlen(" in \""),
		.item = "" };
	yes = after(yes, "matched \"");
	if (yes == NULL)
		return;
	h->item = yes;
	list = cut_last(yes, "\"");
	if (list != NULL && (list = after(list, " in ")) != NULL) {
		(void)cut_last(list, ")");
		h->file = list;
	}
}

/* Behind a host list that takes in clients without a name, Exim 4.98 indents by
 * a blank too many. A result belongs to the ACL that its line names. */
static void
go_to(struct reader *r, const char *name)
{
	size_t deeper = r->open[r->depth];

	for (unsigned d = r->depth + 1; d-- > 0;) {
		size_t n = r->acl[d] == NULL ? 0 : strlen(r->acl[d]);

		if (n == 0 || strncmp(name, r->acl[d], n) != 0 ||
		    strcmp(name + n, "\"") != 0)
			continue;
		/* begun with that blank, too */
		if (d < r->depth && deeper != 0 &&
		    *r->t->ran[deeper - 1].acl == '\0') {
			r->t->ran[deeper - 1].acl = r->acl[d];
			r->t->ran[deeper - 1].depth = d;
			r->open[d] = deeper;
		}
		r->depth = d;
		return;
	}
}

/* "accept: condition test succeeded in ACL "x"" */
static bool
take_result(struct reader *r, char *line)
{
	char *result = strstr(line, ": condition test ");
	char *acl = result == NULL ? NULL : strstr(result, " in ACL \"");

	if (acl != NULL)
		go_to(r, acl + strlen(" in ACL \""));
	size_t ran = r->open[r->depth];

	if (result == NULL || ran == 0)
		return false;
	r->t->ran[ran - 1].passed =
	    after(result + strlen(": condition test "), "succeeded") != NULL;
	return true;
}

static void
begin_acl(struct reader *r, char *name)
{
	/* the depth was set by the blanks in front */
	if (*name == '"') {
		name++;
		name[strcspn(name, "\"")] = '\0';
	}
	r->acl[r->depth] = name;
	r->open[r->depth] = 0;
}

/* Exim indents what an ACL that another asks does: one blank each. */
static void
take_acl_line(struct reader *r, char *line)
{
	size_t blanks = strspn(line, " ");
	char *rest;

	line += blanks;
	if (blanks < DEPTH_MAX &&
	    (strncmp(line, "using ACL ", 10) == 0 ||
		strncmp(line, "processing \"", 12) == 0 ||
		strncmp(line, "check ", 6) == 0 ||
		strstr(line, ": condition test ") != NULL))
		r->depth = (unsigned)blanks;
	if ((rest = after(line, "using ACL ")) != NULL) {
		begin_acl(r, rest);
	} else if ((rest = after(line, "processing ")) != NULL) {
		take_statement(r, rest);
	} else if ((rest = after(line, "check ")) != NULL) {
		take_check(r, rest);
	} else if (after(line, "end of ") != NULL) {
		r->acl[r->depth] = NULL;
		r->open[r->depth] = 0;
	} else if (!take_result(r, line)) {
		take_hit(r, line);
	}
}

/* A daemon's processes say their numbers in front. */
static char *
skip_number(char *line)
{
	enum { WIDTH = 5 }; /* "%5d " */
	char *at = line + strspn(line, " ");
	size_t n = strspn(at, "0123456789");

	return n > 0 && at[n] == ' ' &&
		(at == line ? n >= WIDTH : (size_t)(at - line) + n == WIDTH)
	    ? at + n + 1
	    : line;
}

static void
take_line(struct reader *r, char *line)
{
	char *rest;

	line = skip_number(line);

	if ((rest = after(line, "SMTP<< ")) != NULL)
		begin_command(r, rest);
	else if (after(line, EXIM_TRACE_SESSION) != NULL)
		begin_command(r, line);
	else if ((rest = after(line, "SMTP>> ")) != NULL)
		take_reply(r, rest);
	else if (r->replying && (rest = after(line, "       ")) != NULL)
		take_reply(r, rest);
	else
		take_acl_line(r, line);
}

bool
exim_trace_parse(char *text, struct exim_trace *t)
{
	struct reader r = { .t = t };
	char *rest = text, *line;

	assert(text != NULL);
	*t = (struct exim_trace){ .text = text };
	while ((line = strsep(&rest, "\n")) != NULL) {
		size_t n = strlen(line);

		if (n > 0 && line[n - 1] == '\r')
			line[n - 1] = '\0';
		take_line(&r, line);
	}
	return !r.failed;
}

void
exim_trace_release(struct exim_trace *t)
{
	free(t->text);
	free(t->said);
	free(t->ran);
	free(t->checks);
	free(t->hits);
	*t = (struct exim_trace){ .text = NULL };
}

size_t
exim_trace_end(const struct exim_trace *t, size_t said)
{
	return said + 1 < t->n_said ? t->said[said + 1].ran : t->n_ran;
}

const struct exim_ran *
exim_trace_decided(const struct exim_trace *t, size_t said)
{
	for (size_t i = exim_trace_end(t, said); i-- > t->said[said].ran;)
		if (t->ran[i].depth == 0 && t->ran[i].passed)
			return &t->ran[i];
	return NULL;
}
