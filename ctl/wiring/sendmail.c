/* SPDX-License-Identifier: ISC */
#include "ctl/wiring/sendmail.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/mta/sendmail_cf.h"
#include "ctl/diff.h"
#include "ctl/wiring/print.h"
#include "ctl/wiring/sendmail_load.h"

#define HERE "POPGATE_END"
/* Where Sendmail writes its process id unless sendmail.cf says: the usual
 * place, and Debian's. */
#define PID_FILES "/var/run/sendmail.pid /var/run/sendmail/mta/sendmail.pid"

enum { TEXT_LEN = 1024 };

static unsigned
count_lines(const char *text)
{
	unsigned n = 0;

	for (; text != NULL && *text != '\0'; text++)
		n += *text == '\n';
	return n;
}

/* A file's text today; "" for one that doesn't exist. */
static const char *
text_of(const struct sendmail_source *src, const char *file)
{
	const char *text = NULL;

	if (strcmp(file, src->cf.path) == 0)
		text = src->cf.text;
	else if (strcmp(file, src->rules.path) == 0)
		text = src->rules.text;
	else if (strcmp(file, src->lists.path) == 0)
		text = src->lists.text;
	for (size_t i = 0; i < src->n_mc; i++)
		if (strcmp(file, src->mc[i].path) == 0)
			text = src->mc[i].text;
	return text == NULL ? "" : text;
}

/* --- as commands --- */

/* A whole file by a here document. */
static void
print_new_file(const struct edit *e)
{
	(void)fputs("cat >", stdout);
	wiring_print_word(e->file);
	(void)printf(" <<'" HERE "'\n%s" HERE "\n", e->text);
}

/* Is it added behind the last line? */
static bool
is_append(const struct sendmail_source *src, const struct edit *e)
{
	const char *text = text_of(src, e->file);
	size_t len = strlen(text);
	unsigned lines = count_lines(text) + (len > 0 && text[len - 1] != '\n');

	return *e->old == '\0' && e->line > lines;
}

static void
print_append(const struct sendmail_source *src, const struct edit *e)
{
	const char *text = text_of(src, e->file);
	size_t len = strlen(text);
	bool whole = len == 0 || text[len - 1] == '\n';

	if (!whole) {
		(void)fputs("echo >>", stdout);
		wiring_print_word(e->file);
		(void)putchar('\n');
	}
	(void)fputs("cat >>", stdout);
	wiring_print_word(e->file);
	(void)printf(" <<'" HERE "'\n%s" HERE "\n", e->text);
}

/* Lines that are replaced; the edits of a file are printed from its end, so
 * that line numbers hold. */
static void
print_replace(const struct edit *e)
{
	unsigned n = count_lines(e->old);

	if (*e->text != '\0') {
		/* sed reads the text behind the last line that goes */
		(void)printf("sed -i '%ur /dev/stdin' ",
		    n == 0 ? e->line - 1 : e->line + n - 1);
		wiring_print_word(e->file);
		(void)printf(" <<'" HERE "'\n%s" HERE "\n", e->text);
	}
	if (n > 0) {
		(void)printf("sed -i '%u,%ud' ", e->line, e->line + n - 1);
		wiring_print_word(e->file);
		(void)putchar('\n');
	}
}

static void
print_edits(const struct sendmail_source *src, const struct edit_plan *p)
{
	const char *copied = "";

	for (size_t i = p->n_edits; i-- > 0;) {
		const struct edit *e = &p->edits[i];

		(void)putchar('\n');
		wiring_print_comment(e->why);
		if (e->old == NULL) {
			print_new_file(e);
			continue;
		}
		if (strcmp(copied, e->file) != 0)
			wiring_print_copy(e->file);
		copied = e->file;
		if (is_append(src, e))
			print_append(src, e);
		else
			print_replace(e);
	}
}

/* Where the daemon's process id is; "" when sendmail.cf doesn't say. */
static void
find_pid_file(const struct sendmail_source *src, char *buf, size_t size)
{
	struct sendmail_cf cf = { .n = 0 };
	char *copy = strdup(src->cf.text);

	*buf = '\0';
	if (copy == NULL)
		return;
	if (sendmail_cf_parse(copy, &cf))
		for (size_t i = 0; i < cf.n; i++) {
			const char *value = cf.v[i].kind != 'O'
			    ? NULL
			    : sendmail_option(cf.v[i].text, "PidFile");

			if (value != NULL)
				(void)snprintf(buf, size, "%s", value);
		}
	sendmail_cf_release(&cf);
}

static void
print_make(const struct sendmail_loaded *l)
{
	char command[TEXT_LEN], pid[TEXT_LEN];
	const char *cf = l->src.cf.path;

	if (l->src.n_mc > 0) {
		sendmail_make_command(l, command, sizeof(command));
		(void)putchar('\n');
		wiring_print_comment("Make sendmail.cf anew.");
		(void)printf("(umask 077 && %s >%s.popgate) &&\n"
			     "\tcp -p %s %s.before-popgate &&\n"
			     "\tcat %s.popgate >%s &&\n"
			     "\trm %s.popgate\n",
		    command, cf, cf, cf, cf, cf, cf);
	}
	find_pid_file(&l->src, pid, sizeof(pid));
	if (*pid == '\0' || strchr(pid, '$') != NULL)
		(void)snprintf(pid, sizeof(pid), PID_FILES);
	(void)putchar('\n');
	wiring_print_comment("Sendmail starts anew with it.");
	(void)printf("kill -HUP \"$(cat %s 2>/dev/null | head -n 1)\"\n", pid);
}

/* --- as a patch --- */

/* The n edits of one file, behind their reasons. Returns false when memory is
 * short. */
static bool
print_file_diff(const struct sendmail_source *src, const struct edit_plan *p,
    const struct edit *e, size_t n)
{
	const char *before = e->old == NULL ? NULL : text_of(src, e->file);
	char *after = edit_plan_apply(p, e->file, before);
	bool good = after != NULL;

	for (size_t i = 0; i < n; i++)
		(void)printf("# line %u: %s\n", e[i].line, e[i].why);
	if (good)
		good = diff_print(stdout, e->file, before, after, false) == 0;
	free(after);
	return good;
}

static bool
print_diff(const struct sendmail_source *src, const struct edit_plan *p)
{
	bool good = true;

	for (size_t i = 0, n; i < p->n_edits && good; i += n) {
		const char *file = p->edits[i].file;

		for (n = 1; i + n < p->n_edits &&
		     strcmp(p->edits[i + n].file, file) == 0;)
			n++;
		good = print_file_diff(src, p, &p->edits[i], n);
	}
	return good;
}

/* --- the whole --- */

static bool
trusts_loopback(const struct ctl *ctl)
{
	const struct addr a = { .family = ADDR_IPV4,
		.bytes = { 127, 0, 0, 1 } };

	return network_set_contains(&ctl->cfg->relay.trusted_networks, &a);
}

static void
print_head(const struct ctl *ctl, const struct sendmail_loaded *l,
    const struct edit_plan *p, const char *missing)
{
	char text[TEXT_LEN];

	if (l->src.n_mc > 0)
		(void)snprintf(text, sizeof(text),
		    "Sendmail: %.300s, made of %.300s.", l->src.cf.path,
		    l->src.mc[0].path);
	else
		(void)snprintf(text, sizeof(text),
		    "Sendmail: %.300s; no file that it is made of is beside it, so it is edited itself.",
		    l->src.cf.path);
	wiring_print_comment(text);
	for (size_t i = 0; i < p->n_notes; i++) {
		const struct edit_note *n = &p->notes[i];

		if (n->line == 0)
			(void)snprintf(text, sizeof(text), "%.300s: %.600s.",
			    n->file, n->text);
		else
			(void)snprintf(text, sizeof(text), "%.300s:%u: %.600s.",
			    n->file, n->line, n->text);
		wiring_print_comment(text);
	}
	if (!trusts_loopback(ctl))
		wiring_print_comment(
		    "relay.trusted_networks of popgate.conf doesn't hold 127.0.0.1: programs on this machine, the sendmail command too, send from there, and popgate's filter refuses what they relay.");
	for (const char *m = missing; p->n_edits == 0 && *m != '\0';) {
		size_t n = strcspn(m, "\n");

		(void)snprintf(text, sizeof(text), "%.300s lacks: %.*s.",
		    l->src.cf.path, (int)n, m);
		wiring_print_comment(text);
		m += n + (m[n] == '\n');
	}
	if (p->n_edits == 0 && *missing == '\0')
		wiring_print_comment("It is wired; there is nothing to do.");
	else
		wiring_print_comment(
		    "The commands below wire it; they are for root.");
}

/* m4 wouldn't give what runs: the admin who edits the .mc file should know. */
static void
warn_of_source(
    const struct ctl *ctl, const struct sendmail_loaded *l, size_t n_edits)
{
	if (l->src.n_mc == 0 || l->made == SENDMAIL_MADE || n_edits == 0)
		return;
	if (l->made == SENDMAIL_UNTRIED)
		(void)ctl_fail(ctl, 0, "note: m4 can't make %s now: %s",
		    l->src.cf.path, l->why.text);
	else
		(void)ctl_fail(ctl, 0,
		    "WARNING: %s:%u isn't what m4 makes of %s: making it anew loses what was edited in it by hand, or brings what was never made. Compare first: %s",
		    l->src.cf.path, l->differs_at, l->src.mc[0].path,
		    "m4 FILE.mc | diff FILE.cf -");
}

static int
print_plan(const struct ctl *ctl, const struct sendmail_loaded *l,
    const struct sendmail_sockets *sockets, bool diff)
{
	struct edit_plan plan;
	char missing[TEXT_LEN];
	struct err err;
	int rc = 0;

	if (sendmail_wiring_plan(&l->src, sockets, &plan, &err) == -1) {
		edit_plan_release(&plan);
		return ctl_fail(ctl, EX_CONFIG, "%s", err.text);
	}
	if (sendmail_wiring_missing(
		l->src.cf.text, sockets, missing, sizeof(missing)) == -1)
		missing[0] = '\0';
	warn_of_source(ctl, l, plan.n_edits);
	if (diff) {
		if (!print_diff(&l->src, &plan))
			rc = ctl_fail(ctl, EX_OSERR, "out of memory");
	} else {
		print_head(ctl, l, &plan, missing);
		print_edits(&l->src, &plan);
		if (plan.n_edits > 0 || *missing != '\0')
			print_make(l);
	}
	edit_plan_release(&plan);
	return rc;
}

int
wiring_sendmail(const struct ctl *ctl, const struct sendmail_sockets *sockets,
    const char *config, bool diff)
{
	struct sendmail_loaded l;
	char path[TEXT_LEN];
	struct stat st;
	struct err err;
	int found, rc;

	(void)snprintf(
	    path, sizeof(path), "%s", config == NULL ? SENDMAIL_CF : config);
	if (config != NULL && stat(config, &st) == 0 && S_ISDIR(st.st_mode))
		(void)snprintf(path, sizeof(path), "%s/sendmail.cf", config);
	if (*path != '/')
		return ctl_fail(ctl, EX_USAGE,
		    "--config-dir: '%.200s' is no absolute path", path);
	found = sendmail_load(path, NULL, &l, &err);
	if (found == -1)
		return ctl_fail(ctl, EX_CONFIG, "%s", err.text);
	if (found == 0 && config == NULL)
		return -1;
	if (found == 0)
		return ctl_fail(
		    ctl, EX_NOINPUT, "%.300s: there is no such file", path);
	rc = print_plan(ctl, &l, sockets, diff);
	sendmail_loaded_release(&l);
	return rc;
}
