/* SPDX-License-Identifier: ISC */
#include "ctl/wiring/postfix.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/err.h"
#include "ctl/wiring/postfix_apply.h"
#include "ctl/wiring/print.h"

enum { TEXT_LEN = 2000 };

/* --- one instance --- */

/* Where Postfix's programs look when they aren't told. */
static bool
is_default(const char *dir, const char *usual)
{
	return usual != NULL && strcmp(dir, usual) == 0;
}

static void
print_command(const char *program, const char *dir, const char *usual)
{
	(void)fputs(program, stdout);
	if (!is_default(dir, usual)) {
		(void)fputs(" -c ", stdout);
		wiring_print_word(dir);
	}
	(void)putchar(' ');
}

/* postconf(1) writes on behind the last byte. */
static void
print_last_line(const char *path, const char *text)
{
	size_t n = text == NULL ? 0 : strlen(text);

	if (n == 0 || text[n - 1] == '\n')
		return;
	(void)putchar('\n');
	wiring_print_comment(
	    "The last line has no end, and postconf would write on there.");
	(void)fputs("echo >>", stdout);
	wiring_print_word(path);
	(void)puts(" &&");
}

static int
print_edits(const struct ctl *ctl, const struct postfix_conf *pf,
    const struct wiring_plan *plan, const char *usual)
{
	const char *why = "", *dir = pf->dir;

	print_last_line(pf->main_cf, pf->main_text);
	print_last_line(pf->master_cf, pf->master_text);

	for (size_t i = 0; i < plan->n_edits; i++) {
		const struct wiring_edit *e = &plan->edits[i];
		char *argument = postfix_edit_argument(e);

		if (argument == NULL)
			return ctl_fail(ctl, EX_OSERR, "out of memory");
		if (strcmp(why, e->why) != 0) {
			(void)putchar('\n');
			wiring_print_comment(e->why);
		}
		why = e->why;
		print_command("postconf", dir, usual);
		(void)printf("%s ", postfix_edit_option(e));
		wiring_print_word(argument);
		(void)puts(" &&");
		free(argument);
	}
	(void)putchar('\n');
	wiring_print_comment("Postfix takes it over; no connection is lost.");
	print_command("postfix", dir, usual);
	(void)puts("check &&");
	print_command("postfix", dir, usual);
	(void)puts("reload");
	return 0;
}

static void
print_notes(const struct wiring_plan *plan)
{
	char text[TEXT_LEN];

	for (size_t i = 0; i < plan->n_notes; i++) {
		const struct wiring_note *n = &plan->notes[i];

		(void)snprintf(text, sizeof(text), "%s%s%s",
		    n->service == NULL ? "" : n->service,
		    n->service == NULL ? "" : ": ", n->text);
		wiring_print_comment(text);
	}
}

static int
print_diff(
    const struct ctl *ctl, const struct wiring_plan *plan, const char *dir)
{
	struct err err;
	char *text = plan->n_edits == 0 ? strdup("")
					: postfix_apply_diff(dir, plan, &err);

	if (text == NULL)
		return ctl_fail_err(ctl, &err);
	(void)fputs(text, stdout);
	free(text);
	return 0;
}

/* Print the head of the commands, with the services that take mail from
 * clients. */
static void
print_head(const struct postfix_conf *pf, const struct wiring_plan *plan)
{
	char text[TEXT_LEN], names[TEXT_LEN / 2] = "";
	size_t n = 0;

	for (size_t i = 0; i < pf->n_services; i++) {
		const struct postfix_service *s = &pf->services[i];

		if (postfix_service_role(pf, s) == ROLE_CLIENTS &&
		    n < sizeof(names))
			n += (size_t)snprintf(names + n, sizeof(names) - n,
			    "%s%s/%s", n == 0 ? "" : ", ", s->name, s->type);
	}
	(void)snprintf(text, sizeof(text), "Postfix in %.300s%s%s.", pf->dir,
	    n == 0 ? "" : "; from clients mail comes by ", names);
	wiring_print_comment(text);
	print_notes(plan);
	wiring_print_comment(plan->n_edits == 0
		? "It is wired, or needs no wiring: there is nothing to do."
		: "The commands below wire it; they are for root.");
}

static int
print_instance(const struct ctl *ctl, const struct wiring_sockets *sockets,
    const char *dir, const char *usual, bool diff)
{
	struct wiring_plan plan;
	struct postfix_conf pf;
	struct err err;
	int rc;

	if (postfix_conf_load(dir, &pf, &err) == -1)
		return ctl_fail(ctl, EX_CONFIG, "%s: %s", dir, err.text);
	if (postfix_wiring_plan(&pf, sockets, &plan, &err) == -1) {
		rc = ctl_fail(ctl, EX_CONFIG, "%s: %s", dir, err.text);
	} else if (diff) {
		rc = print_diff(ctl, &plan, dir);
	} else {
		print_head(&pf, &plan);
		rc =
		    plan.n_edits == 0 ? 0 : print_edits(ctl, &pf, &plan, usual);
	}
	wiring_plan_release(&plan);
	postfix_conf_release(&pf);
	return rc;
}

/* --- all instances --- */

static bool
has_main_cf(const char *dir)
{
	char path[TEXT_LEN];

	(void)snprintf(path, sizeof(path), "%s/main.cf", dir);
	return access(path, F_OK) == 0;
}

int
wiring_postfix(const struct ctl *ctl, const struct wiring_sockets *sockets,
    const char *dir, bool diff)
{
	struct string_list dirs = { 0 };
	struct err err;
	char *usual = postfix_usual_directory(NULL);
	const char *first = dir != NULL ? dir : usual;
	int rc = 0;

	if (first == NULL || !has_main_cf(first)) {
		rc = dir == NULL
		    ? -1
		    : ctl_fail(ctl, EX_NOINPUT, "%s/main.cf: %s", dir,
			  "there is no such file, or it can't be read");
		free(usual);
		return rc;
	}
	if (postfix_instances(first, &dirs, &err) == -1)
		rc = ctl_fail_err(ctl, &err);
	for (size_t i = 0; i < dirs.n; i++) {
		int one = print_instance(ctl, sockets, dirs.v[i], usual, diff);

		if (one != 0)
			rc = one;
		if (i + 1 < dirs.n && !diff)
			(void)putchar('\n');
	}
	string_list_release(&dirs);
	free(usual);
	return rc;
}
