/* SPDX-License-Identifier: ISC */
/* exim_trace - what Exim says of itself while it talks SMTP
 * ("-d-all+acl+receive+lists"): each command, its reply, and the ACL statements
 * that were asked, with file and line. Pure. */
#ifndef POPGATE_EXIM_TRACE_H
#define POPGATE_EXIM_TRACE_H

#include <stdbool.h>
#include <stddef.h>

/* The debug selectors that make Exim say all of it. */
#define EXIM_TRACE_SELECTORS "-d-all+acl+receive+lists+auth+noutf8"

/* A line that begins so starts a new dialogue; it is a command without a reply,
 * with what Exim does before it greets. */
#define EXIM_TRACE_SESSION "popgate-session "

/* "elsewhere.test in "*.test : x"? yes (matched "*.test")" */
struct exim_hit {
	size_t check;
	const char *subject, *list;
	const char *item; /* "": by the list's end, which a "!x" is */
	const char *file; /* the file that the list names and that holds it;
			   * NULL */
};

/* "check !domains = +local_domains" */
struct exim_check {
	size_t ran;
	bool negated;
	const char *name, *value;
};

/* A statement that was asked. */
struct exim_ran {
	size_t said; /* during which command */
	const char *acl; /* "": one that stands in a setting */
	const char *verb, *file;
	unsigned line;
	unsigned depth; /* 0: the ACL of the command itself */
	bool passed; /* all of its conditions were met */
	unsigned checks;
};

struct exim_said {
	const char *command; /* "RCPT TO:<a@example.com>" */
	unsigned code; /* 0: no reply */
	const char *reply; /* its last line, behind the code */
	size_t ran; /* of the first statement that was asked for it */
};

struct exim_trace {
	char *text; /* owned; all strings are in it */
	struct exim_said *said;
	size_t n_said;
	struct exim_ran *ran;
	size_t n_ran;
	struct exim_check *checks;
	size_t n_checks;
	struct exim_hit *hits;
	size_t n_hits;
};

/* Take over text, also where it returns false: memory is short. */
bool exim_trace_parse(char *text, struct exim_trace *t);
void exim_trace_release(struct exim_trace *t);

/* The statements asked for command said: from t->said[said].ran up to this. */
size_t exim_trace_end(const struct exim_trace *t, size_t said);

/* The statement by which a command was accepted: the last of its own ACL that
 * passed; NULL: no ACL was asked. */
const struct exim_ran *
exim_trace_decided(const struct exim_trace *t, size_t said);

#endif
