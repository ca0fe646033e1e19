/* SPDX-License-Identifier: ISC */
/* exim - what lets strangers relay through an Exim: asked of Exim itself on a
 * private copy (ctl/rehearsal/), and read where no dialogue shows it. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/run.h"
#include "common/mta/conf_file.h"
#include "common/mta/exim_source.h"
#include "ctl/ctl.h"
#include "ctl/doctor/doctor.h"
#include "ctl/doctor/files.h"
#include "ctl/rehearsal/exim.h"
#include "ctl/rehearsal/exim_fix.h"
#include "ctl/rehearsal/exim_seeds.h"
#include "ctl/stage/stage.h"
#include "ctl/wiring/exim_load.h"

enum { WORD_LEN = 600, OPTION_LEN = 64 };

struct exam {
	struct doctor *d;
	const char *path;
	struct exim_loaded loaded;
};

/* Add a finding, at the line of the files that sets the option. */
static void
add(struct exam *x, const char *kind, const char *section, const char *setting,
    const char *detail)
{
	const struct exim_loaded *l = &x->loaded;
	struct exim_place place = { .line = 0 };
	struct finding_at at = { .file = x->path };

	if (setting != NULL &&
	    exim_place_setting(l->files, l->n_files, l->n_main, section,
		setting, NULL, &place)) {
		at.file = place.path;
		at.line = place.line;
		at.value = setting;
	}
	doctor_add(x->d, kind, &at, "%s", detail);
}

/* --- what no dialogue shows --- */

static void
check_tables(struct exam *x)
{
	struct exim_seeds seeds;

	exim_seeds_begin(&seeds);
	for (size_t i = 0; i < x->loaded.n_files; i++)
		exim_seeds_take_config(&seeds, x->loaded.files[i].text);
	for (size_t i = 0; i < seeds.paths.n; i++)
		doctor_check_writable(
		    x->d, "exim-config-writable", seeds.paths.v[i]);
	for (size_t i = 0; i < x->loaded.n_files; i++)
		if (*x->loaded.files[i].path == '/')
			doctor_check_writable(x->d, "exim-config-writable",
			    x->loaded.files[i].path);
	exim_seeds_release(&seeds);
}

struct auth {
	struct exam *x;
	bool in; /* the section of authenticators */
	bool server, guarded; /* of the one that is read */
	bool bare; /* one of them was */
};

static void
end_authenticator(struct auth *a)
{
	a->bare |= a->server && !a->guarded;
	a->server = a->guarded = false;
}

static void
take_auth_line(void *to, const struct exim_text_line *l)
{
	struct auth *a = to;
	const char *rest = exim_text_after(l->text, "begin");

	if (!l->active || l->closes)
		return;
	if (rest != NULL)
		a->in = strcmp(rest, "authenticators") == 0;
	if (!a->in)
		return;
	if (l->text[strcspn(l->text, ": \t")] == ':')
		end_authenticator(a);
	a->server |= strncmp(l->text, "server_condition", 16) == 0 ||
	    strncmp(l->text, "server_prompts", 14) == 0;
	a->guarded |= strncmp(l->text, "server_advertise_condition", 26) == 0;
}

static void
check_auth(struct exam *x)
{
	const char *advertise =
	    exim_source_option(&x->loaded.src, "auth_advertise_hosts");
	struct auth a = { .x = x };
	struct exim_text text;

	if (advertise != NULL &&
	    (*advertise == '\0' || strstr(advertise, "tls_") != NULL))
		return;
	(void)exim_text_read(&text, x->loaded.files, x->loaded.n_files,
	    x->loaded.n_main, take_auth_line, &a);
	exim_text_release(&text);
	end_authenticator(&a);
	if (a.bare)
		add(x, "exim-auth-without-tls", "authenticators",
		    "server_condition",
		    "An authenticator offers AUTH with plain passwords, and no server_advertise_condition asks for TLS.");
}

/* Does it name nobody, or this machine alone? */
static bool
is_local(const char *list)
{
	char word[OPTION_LEN], sep = 0;

	while (exim_member(&list, &sep, word, sizeof(word)))
		if (*word != '\0' && strncmp(word, "127.", 4) != 0 &&
		    strcmp(word, "::1") != 0)
			return false;
	return true;
}

static void
check_options(struct exam *x)
{
	const struct exim_source *src = &x->loaded.src;
	const char *proxy = exim_source_option(src, "hosts_proxy");
	const char *percent = exim_source_option(src, "percent_hack_domains");
	const char *acl = exim_source_option(src, "acl_smtp_rcpt");

	if (proxy != NULL && !is_local(proxy))
		add(x, "exim-proxy-protocol", "", "hosts_proxy",
		    "hosts_proxy takes the client's address from whoever says it.");
	if (percent != NULL && *percent != '\0')
		add(x, "exim-percent-hack", "", "percent_hack_domains",
		    "percent_hack_domains is set.");
	if (acl == NULL || *acl == '\0')
		add(x, "exim-no-acl", "", NULL,
		    "acl_smtp_rcpt isn't set: Exim refuses every recipient.");
	check_auth(x);
}

/* Anybody who names this server in DNS is taken in: a dialogue shows it, and
 * where none was held, only the settings do. */
static void
check_mx(struct exam *x)
{
	const struct string_list *options = &x->loaded.src.options;

	for (size_t i = 0; i + 1 < options->n; i += 2)
		if (strstr(options->v[i + 1], "@mx_") != NULL)
			add(x, "exim-mx", "", options->v[i], options->v[i + 1]);
}

static void
take_popgate(void *to, const struct exim_text_line *l)
{
	struct doctor *d = to;

	d->wired |= l->active && doctor_names_popgate(d->ctl->cfg, l->text);
}

/* A comment that names popgate doesn't ask it. */
static void
look_for_popgate(struct exam *x)
{
	const struct exim_loaded *l = &x->loaded;
	struct exim_text text;

	(void)exim_text_read(
	    &text, l->files, l->n_files, l->n_main, take_popgate, x->d);
	for (size_t i = 0; i < text.includes.n; i++)
		x->d->wired |=
		    doctor_names_popgate(x->d->ctl->cfg, text.includes.v[i]);
	exim_text_release(&text);
}

/* --- what Exim says --- */

static size_t
count_statements(const struct exim_source *src)
{
	size_t n = 0;

	for (size_t i = 0; i < src->n_acls; i++)
		n += src->acls[i].n;
	return n;
}

/* Was a private copy asked? */
static bool
rehearse(struct exam *x)
{
	const struct exim_rehearsal_spec spec = {
		.program = doctor_option(x->d, DOCTOR_PROGRAM),
		.file = x->path,
		.popgate = x->d->ctl->cfg,
		.thorough = doctor_option(x->d, DOCTOR_THOROUGH) != NULL,
	};
	struct finding_at at = { .file = x->path };
	struct exim_rehearsal r;
	struct err err;

	if (exim_rehearse(&spec, &r, &err) == -1) {
		doctor_add(x->d, "exim-not-rehearsed", &at, "%s", err.text);
		return false;
	}
	doctor_rehearsed(x->d, &r.findings, NULL);
	doctor_add(x->d, "exim-rehearsed", &at,
	    "A private copy held %zu dialogues with strangers, which reached %u of the %zu statements in its ACLs.",
	    r.dialogues, r.statements, count_statements(&x->loaded.src));
	if (!r.complete)
		doctor_add(x->d, "exim-not-understood", &at,
		    "The time was up before all dialogues were held.");
	rehearsal_findings_release(&r.findings);
	return true;
}

/* Exim's own error, where it doesn't take the file. */
static bool
is_valid(struct exam *x, struct err *err)
{
	const char *program = doctor_option(x->d, DOCTOR_PROGRAM);
	const char *const names[] = { program == NULL ? "exim4" : program,
		"exim" };

	for (size_t i = 0; i < (program == NULL ? 2 : 1); i++) {
		const char *argv[] = { names[i], "-C", x->path, "-bV", NULL };
		char *text = run_read(
		    (char *const *)(uintptr_t)argv, NULL, RUN_TIMEOUT_S, err);

		free(text);
		if (text != NULL)
			return true;
	}
	return false;
}

/* Rehearse it, or tell why not. Was a private copy asked? */
static bool
ask(struct exam *x)
{
	struct err err;

	if (doctor_option(x->d, DOCTOR_READ) != NULL)
		return false;
	/* root's Exim writes logs where the file says; Exim itself refuses a
	 * file that everybody can write to */
	bool trusted = geteuid() != 0 || stage_trusts(x->path, &err) == 0;

	if (trusted && is_valid(x, &err))
		return rehearse(x);
	if (!doctor_has(x->d, "exim-config-writable"))
		add(x, trusted ? "exim-unreadable" : "exim-not-rehearsed", "",
		    NULL, err.text);
	return false;
}

void
doctor_exim(struct doctor *d, const char *path)
{
	struct exam x = { .d = d, .path = path };
	struct err err;

	if (exim_load(path, &x.loaded, &err) != 1) {
		add(&x, "exim-unreadable", "", NULL, err.text);
		return;
	}
	look_for_popgate(&x);
	check_tables(&x);
	check_options(&x);
	if (!ask(&x))
		check_mx(&x);
	exim_loaded_release(&x.loaded);
}
