/* SPDX-License-Identifier: ISC */
/* sendmail_plan_cf - the edits of a sendmail.cf that has no sources, and what a
 * sendmail.cf lacks of the wiring. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/mta/sendmail_plan.h"

#define BEGIN_LINE "# popgate: begin of its rules (popgatectl wiring sendmail)"
#define END_LINE "# popgate: end of its rules"

bool
sendmail_list_add(const char *list, char *buf, size_t size)
{
	bool empty = list[strspn(list, " \t,;")] == '\0';
	int n = snprintf(buf, size, "%s%s" SENDMAIL_FILTER, empty ? "" : list,
	    empty ? "" : ";");

	return !sendmail_lists_filter(list, SENDMAIL_FILTER) && n > 0 &&
	    (size_t)n < size;
}

bool
sendmail_is_loopback(const char *daemon_options)
{
	char address[80];

	return sendmail_equate(daemon_options, 'A', address, sizeof(address)) &&
	    (strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0 ||
		strcmp(address, "localhost") == 0 ||
		strcasecmp(address, "IPv6:::1") == 0);
}

const char *
sendmail_relay_message(const struct sendmail_cf *cf)
{
	const char *message = "";

	for (size_t i = 0; i < cf->n; i++) {
		const struct sendmail_line *l = &cf->v[i];
		const char *at;

		if (l->kind != 'R' ||
		    strcmp(l->ruleset, "Basic_check_rcpt") != 0 ||
		    strncmp(l->text, "$*\t", 3) != 0)
			continue;
		at = strstr(l->text, "$#error $@ 5.7.1 $: ");
		if (at != NULL)
			message = at + strlen("$#error $@ 5.7.1 $: ");
	}
	return message;
}

/* --- the edits --- */

/* Line n (from 1) of text, without its end, into buf. */
static bool
take_line(const char *text, unsigned n, char *buf, size_t size)
{
	char *line = sendmail_lines(text, n, n);
	bool fits = line != NULL && strlen(line) < size;

	if (fits)
		(void)snprintf(
		    buf, size, "%.*s", (int)strcspn(line, "\n"), line);
	free(line);
	return fits;
}

static void
replace_line(struct sendmail_build *b, unsigned n, const char *line,
    const char *text, const char *why)
{
	char *old = NULL, *new = NULL;

	if (asprintf(&old, "%s\n", line) == -1)
		old = NULL;
	if (asprintf(&new, "%s\n", text) == -1)
		new = NULL;
	if (old == NULL || new == NULL)
		b->no_memory = true;
	else
		sendmail_add_edit(b, b->src->cf.path, n, old, new, why);
	free(old);
	free(new);
}

/* Add popgate's filter to the list of len bytes at value, which is in line l of
 * the file. */
static void
edit_list(struct sendmail_build *b, const struct sendmail_line *l,
    const char *value, size_t len, const char *why)
{
	char list[SENDMAIL_LINE_MAX], longer[SENDMAIL_LINE_MAX],
	    line[SENDMAIL_LINE_MAX], text[SENDMAIL_LINE_MAX];
	size_t at = 1 + (size_t)(value - l->text); /* behind its first letter */

	if (len >= sizeof(list))
		return;
	(void)snprintf(list, sizeof(list), "%.*s", (int)len, value);
	if (sendmail_list_add(list, longer, sizeof(longer)) &&
	    take_line(b->src->cf.text, l->line, line, sizeof(line)) &&
	    at + len <= strlen(line) &&
	    snprintf(text, sizeof(text), "%.*s%s%s", (int)at, line, longer,
		line + at + len) < (int)sizeof(text))
		replace_line(b, l->line, line, text, why);
}

/* O InputMailFilters=a, and of each listener that has a list of its own. Lines
 * first..last are popgate's. Returns whether there is a list for all. */
static bool
edit_lists(struct sendmail_build *b, unsigned first, unsigned last)
{
	bool listed = false;

	for (size_t i = 0; i < b->cf.n; i++) {
		const struct sendmail_line *l = &b->cf.v[i];
		const char *all, *options, *value = NULL;
		size_t len;

		if (l->kind != 'O' || (l->line >= first && l->line <= last))
			continue;
		all = sendmail_option(l->text, "InputMailFilters");
		options = sendmail_option(l->text, "DaemonPortOptions");
		if (all != NULL) {
			listed = true;
			edit_list(b, l, all, strlen(all),
			    "popgate's filter is asked behind the others.");
		} else if (options != NULL && !sendmail_is_loopback(options)) {
			value = sendmail_find_equate(
			    options, options + strlen(options), 'I', &len);
		}
		if (value != NULL)
			edit_list(b, l, value, len,
			    "This listener has a list of filters of its own: popgate's is added behind them.");
	}
	return listed;
}

/* Rules of the admin's own in Local_check_rcpt? Then each S line of it is
 * renamed; the one of m4 is empty and stays. */
static void
rename_own_rules(struct sendmail_build *b)
{
	const char *l = b->src->cf.text;
	char line[SENDMAIL_LINE_MAX], text[SENDMAIL_LINE_MAX];
	static const char name[] = "SLocal_check_rcpt";

	for (unsigned n = 1; *l != '\0'; n++) {
		const char *next = l + strcspn(l, "\n");
		const char *rule = next + (*next == '\n');

		while (*rule == '#' || *rule == '\n')
			rule += strcspn(rule, "\n") + (*rule != '\0');
		if (strncmp(l, name, sizeof(name) - 1) == 0 && *rule == 'R' &&
		    take_line(b->src->cf.text, n, line, sizeof(line) - 20)) {
			(void)snprintf(text, sizeof(text),
			    "S" SENDMAIL_OWN_RULES "%s",
			    line + sizeof(name) - 1);
			sendmail_note_own(b, b->src->cf.path, n);
			replace_line(b, n, line, text,
			    "The rules below are kept: popgate's rule set calls them first by this name.");
		}
		l = next + (*next == '\n');
	}
}

/* The first line of Sendmail's DNS block lists in its rule set; 0: there are
 * none, or popgate is asked before them already. */
static unsigned
find_lists(struct sendmail_build *b)
{
	unsigned found = 0;

	for (size_t i = 1; i < b->cf.n; i++) {
		const struct sendmail_line *l = &b->cf.v[i];

		if (l->kind != 'R' ||
		    strcmp(l->ruleset, "Basic_check_relay") != 0)
			continue;
		if (strstr(l->text, "$(" SENDMAIL_CLIENT_MAP " ") != NULL) {
			b->lists_ask = true;
			return 0;
		}
		if (found == 0 &&
		    strstr(l[-1].text, "$: $&{client_addr}") != NULL &&
		    (strstr(l->text, "$(dnsbl ") != NULL ||
			strstr(l->text, "$(ednsbl ") != NULL))
			found = l[-1].line;
	}
	b->lists_ask = found != 0;
	return found;
}

static void
exempt_from_lists(struct sendmail_build *b)
{
	unsigned line = find_lists(b);
	char *rules;

	if (line == 0)
		return;
	rules = sendmail_rules_cf(b->src->lists_m4, b->sockets, "", "R");
	if (rules == NULL)
		b->no_memory = true;
	else
		sendmail_add_edit(b, b->src->cf.path, line, "", rules,
		    "A client that popgate lets relay isn't looked up in the DNS block lists below: they refuse before popgate is asked about a recipient.");
	free(rules);
}

/* The lines of popgate's block; 0: there is none. */
static unsigned
find_block(const char *text, unsigned *last_r)
{
	const char *begin = strstr(text, BEGIN_LINE "\n"), *end;
	unsigned first = 1, n = 0;

	end = begin == NULL ? NULL : strstr(begin, END_LINE);
	if (end == NULL)
		return 0;
	for (const char *c = text; c < begin; c++)
		first += *c == '\n';
	for (const char *c = begin; c < end; c++)
		n += *c == '\n';
	*last_r = first + n;
	return first;
}

static int
check_foreign(const struct sendmail_build *b, unsigned first, unsigned last,
    struct err *err)
{
	for (size_t i = 0; i < b->cf.n; i++) {
		const struct sendmail_line *l = &b->cf.v[i];

		if (l->line >= first && l->line <= last)
			continue;
		if ((l->kind == 'X' || l->kind == 'K' || l->kind == 'D') &&
		    strstr(l->text, "popgate") != NULL) {
			err_set(err, ERR_INVALID,
			    "%.300s:%u: popgate is wired by hand here (%c%.60s), and there is no sendmail.mc: take it out by hand first",
			    b->src->cf.path, l->line, l->kind, l->text);
			return -1;
		}
	}
	return 0;
}

int
sendmail_plan_cf(struct sendmail_build *b, struct err *err)
{
	const char *message = sendmail_relay_message(&b->cf);
	const char *text = b->src->cf.text;
	unsigned last = 0, first = find_block(text, &last), end = 1;
	char *rules, *map, *block = NULL, *old = NULL;
	bool listed;

	if (*message == '\0') {
		err_set(err, ERR_INVALID,
		    "%.300s relays for everybody (FEATURE(`promiscuous_relay')"
		    ") and there is no sendmail.mc to take that out of: make it refuse relaying first",
		    b->src->cf.path);
		return -1;
	}
	if (check_foreign(b, first, last, err) == -1)
		return -1;
	if (first == 0)
		rename_own_rules(b);
	listed = edit_lists(b, first, last);
	exempt_from_lists(b);
	rules = sendmail_rules_cf(b->src->closed_m4, b->sockets, message, NULL);
	map = sendmail_rules_cf(b->src->lists_m4, b->sockets, "", "K");
	if (rules == NULL || map == NULL ||
	    asprintf(&block, "%s\n%s%s%s%s\n", BEGIN_LINE,
		listed ? "" : "O InputMailFilters=" SENDMAIL_FILTER "\n",
		b->lists_ask ? map : "", rules, END_LINE) == -1) {
		b->no_memory = true;
		free(map);
		free(rules);
		return 0;
	}
	for (const char *c = text; *c != '\0'; c++)
		end += *c == '\n' || c[1] == '\0';
	if (first != 0)
		old = sendmail_lines(text, first, last);
	if (first == 0)
		sendmail_add_edit(b, b->src->cf.path, end, "", block,
		    "popgate's rules: Sendmail asks popgate where it would refuse to relay.");
	else if (old != NULL && strcmp(old, block) != 0)
		sendmail_add_edit(b, b->src->cf.path, first, old, block,
		    "popgate's rules, for this version and its sockets.");
	free(old);
	free(block);
	free(map);
	free(rules);
	return 0;
}

/* --- comparing --- */

/* Is this line of a, which has no continuation, in the same place of b? */
static bool
same_line(const struct sendmail_line *a, const struct sendmail_line *b)
{
	return a->kind == b->kind && strcmp(a->ruleset, b->ruleset) == 0 &&
	    strcmp(a->text, b->text) == 0;
}

int
sendmail_cf_same(const char *a, const char *b, unsigned *line_r)
{
	struct sendmail_cf x = { .n = 0 }, y = { .n = 0 };
	char *copy_a = strdup(a), *copy_b = strdup(b);
	size_t i = 0;
	int ret = -1;

	if (copy_a != NULL && copy_b != NULL && sendmail_cf_parse(copy_a, &x) &&
	    sendmail_cf_parse(copy_b, &y)) {
		while (i < x.n && i < y.n && same_line(&x.v[i], &y.v[i]))
			i++;
		ret = i == x.n && i == y.n;
		if (line_r != NULL)
			*line_r = i < x.n ? x.v[i].line : 0;
	}
	free(copy_a);
	free(copy_b);
	free(x.v);
	free(y.v);
	return ret;
}

/* --- what is missing --- */

struct missing {
	char *buf;
	size_t size, len;
	int n;
};

static void
say(struct missing *m, const char *text, const char *more)
{
	int n =
	    snprintf(m->buf + m->len, m->size - m->len, "%s%s\n", text, more);

	if (n > 0)
		m->len += (size_t)n < m->size - m->len ? (size_t)n
						       : m->size - m->len - 1;
	m->n++;
}

static bool
ends_in(const char *text, const char *word)
{
	size_t n = strlen(text), k = strlen(word);

	return n > k && strcmp(text + n - k, word) == 0 &&
	    strchr(" \t", text[n - k - 1]) != NULL;
}

static void
look_at_lists(const struct sendmail_cf *cf, struct missing *m)
{
	char list[SENDMAIL_LINE_MAX];
	bool listed = false;

	for (size_t i = 0; i < cf->n; i++) {
		const char *text = cf->v[i].text, *all, *options;

		if (cf->v[i].kind != 'O')
			continue;
		all = sendmail_option(text, "InputMailFilters");
		options = sendmail_option(text, "DaemonPortOptions");
		if (all != NULL)
			listed = sendmail_lists_filter(all, SENDMAIL_FILTER);
		if (options != NULL && !sendmail_is_loopback(options) &&
		    sendmail_equate(options, 'I', list, sizeof(list)) &&
		    !sendmail_lists_filter(list, SENDMAIL_FILTER))
			say(m,
			    "popgate's filter is not in the list of a listener: ",
			    options);
	}
	if (!listed)
		say(m, "popgate's filter is not among the InputMailFilters",
		    "");
}

int
sendmail_wiring_missing(const char *cf_text,
    const struct sendmail_sockets *sockets, char *buf, size_t size)
{
	struct missing m = { .buf = buf, .size = size };
	struct sendmail_cf cf = { .n = 0 };
	bool map = false, asks = false, permits = false, filter = false;
	char *copy = strdup(cf_text), socket[400];

	assert(size > 0);
	*buf = '\0';
	if (copy == NULL || !sendmail_cf_parse(copy, &cf)) {
		free(copy);
		free(cf.v);
		return -1;
	}
	for (size_t i = 0; i < cf.n; i++) {
		const struct sendmail_line *l = &cf.v[i];

		map |= l->kind == 'K' &&
		    strncmp(l->text, SENDMAIL_MAP " ",
			strlen(SENDMAIL_MAP) + 1) == 0 &&
		    ends_in(l->text, sockets->socketmap);
		if (l->kind == 'R' &&
		    strcmp(l->ruleset, "Local_check_rcpt") == 0) {
			asks |= strstr(l->text, "$(" SENDMAIL_MAP " ") != NULL;
			permits |= strncmp(l->text, "<permit>", 8) == 0;
		}
		filter |= l->kind == 'X' &&
		    strncmp(l->text, SENDMAIL_FILTER ",",
			strlen(SENDMAIL_FILTER) + 1) == 0 &&
		    sendmail_equate(l->text, 'S', socket, sizeof(socket)) &&
		    strcmp(socket, sockets->milter) == 0;
	}
	if (!map)
		say(&m, "There is no map of popgate's socket ",
		    sockets->socketmap);
	if (!asks || !permits)
		say(&m, "Local_check_rcpt doesn't ask popgate", "");
	if (!filter)
		say(&m, "There is no filter of popgate's socket ",
		    sockets->milter);
	else
		look_at_lists(&cf, &m);
	sendmail_cf_release(&cf);
	return m.n;
}
