/* SPDX-License-Identifier: ISC */
#include "ctl/rehearsal/exim_run.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "common/base/err.h"
#include "common/mta/conf_file.h"
#include "ctl/rehearsal/entry_sorts.h"
#include "ctl/rehearsal/exim_limits.h"
#include "ctl/stage/exim_copy.h"
#include "ctl/stage/stage.h"

/* Add a file, without its limits, to those that the copy has instead of the
 * machine's; as it is only where it isn't the machine's. */
static void
add_file(struct stage_file *v, size_t *n, const char *path, const char *text,
    bool changed)
{
	char *lifted = exim_limits_lift(text);

	if (lifted == NULL && changed)
		lifted = strdup(text);
	if (lifted != NULL)
		v[(*n)++] = (struct stage_file){ path, lifted };
}

int
exim_run_copy(const struct exim_run *r, const struct stage_file *file,
    struct stage **stage_r, struct err *err)
{
	const struct exim_loaded *l = &r->loaded;
	size_t n_files = l->layout == EXIM_SINGLE ? l->n_files : 0, n = 0;
	struct stage_file *v = calloc(n_files + 2, sizeof(*v));
	char *own = n_files > 0 ? NULL : conf_file_read(r->spec->file);

	if (v == NULL) {
		free(own);
		err_nomem(err, "a private copy", sizeof(*v));
		return -1;
	}
	for (size_t i = 0; i < n_files; i++)
		if (file == NULL || strcmp(file->path, l->files[i].path) != 0)
			add_file(
			    v, &n, l->files[i].path, l->files[i].text, false);
	if (own != NULL &&
	    (file == NULL || strcmp(file->path, r->spec->file) != 0))
		add_file(v, &n, r->spec->file, own, false);
	if (file != NULL)
		add_file(v, &n, file->path, file->text, true);
	free(own);
	const struct stage_spec spec = { .mta = STAGE_EXIM,
		.dir = r->spec->file,
		.program = r->spec->program,
		.trace = true,
		.files = v,
		.n_files = n,
		.popgate = r->spec->popgate };
	int rc = stage_open(&spec, stage_r, err);

	for (size_t i = 0; i < n; i++)
		free((char *)(uintptr_t)v[i].text);
	free(v);
	return rc;
}

/* The output of exim -bP, of all or of one setting; to be freed. */
static char *
print(const struct exim_run *r, const char *what, struct err *err)
{
	const char *const argv[] = { r->talk.program, "-C", r->spec->file,
		"-bP", what, NULL };

	return stage_run(r->stage, argv, err);
}

/* A list's items, one at a time; "::" is one colon. */
static bool
next_item(const char **at, char *sep, char *item, size_t size)
{
	*item = '\0';
	while (*item == '\0') {
		if (**at == '\0' || **at == '\n')
			return false;
		if (!exim_member(at, sep, item, size))
			return false;
	}
	return true;
}

bool
exim_run_is_loopback(const char *text)
{
	return strncmp(text, "127.", 4) == 0 || strcmp(text, "::1") == 0;
}

static const char *
value_of(char *setting)
{
	char *equals = setting == NULL ? NULL : strchr(setting, '=');

	if (equals == NULL)
		return "";
	setting[strcspn(setting, "\n")] = '\0';
	return equals + 1 + strspn(equals + 1, " ");
}

/* "192.0.2.1.25" for what strangers reach. */
static void
seed_ports(struct exim_run *r, const char *interfaces, const char *ports)
{
	const char *between = interfaces;
	char one[ADDR_TEXT_MAX * 2], port[20], sep = 0;
	char word[ADDR_TEXT_MAX * 2 + sizeof(port)];
	bool any = false;

	while (next_item(&between, &sep, one, sizeof(one))) {
		const char *at = ports;
		char comma = 0;
		struct addr addr;

		any = true;
		if (!addr_parse_loose(one, &addr) || exim_run_is_loopback(one))
			continue;
		while (next_item(&at, &comma, port, sizeof(port))) {
			bool all = strcmp(one, "0.0.0.0") == 0 ||
			    strspn(one, ":0") == strlen(one);

			(void)snprintf(word, sizeof(word), "%s.%s",
			    all ? "192.0.2.1" : one,
			    strcmp(port, "smtp") == 0 ? "25" : port);
			(void)string_list_add(
			    &r->seeds.v[EXIM_PORT], word, strlen(word));
		}
	}
	if (any)
		return;
	for (char comma = 0; next_item(&ports, &comma, port, sizeof(port));) {
		(void)snprintf(word, sizeof(word), "192.0.2.1.%s",
		    strcmp(port, "smtp") == 0 ? "25" : port);
		(void)string_list_add(
		    &r->seeds.v[EXIM_PORT], word, strlen(word));
	}
}

/* Leave a few entries of each sort in a table. */
static void
thin_out(char *text, bool thorough)
{
	struct entry_sorts sorts = { .n = 0 };
	char *to = text, *rest = text;

	for (char *line = strsep(&rest, "\n"); line != NULL;
	     line = strsep(&rest, "\n")) {
		size_t n = strlen(line);

		if (n == 0 || *line == '#' ||
		    !entry_sorts_take(&sorts, line, thorough))
			continue;
		memmove(to, line, n);
		to += n;
		*to++ = '\n';
	}
	*(to > text ? to - 1 : text) = '\0';
}

/* Tables that the configuration names, and those that they name. */
static void
seed_tables(struct exim_run *r)
{
	for (size_t i = 0; i < r->seeds.paths.n; i++) {
		const char *path = r->seeds.paths.v[i];
		struct stat st;
		char *text;

		if (stat(path, &st) == -1 || !S_ISREG(st.st_mode) ||
		    (st.st_mode & 0111) != 0)
			continue;
		text = conf_file_read(path);
		if (text == NULL)
			continue;
		thin_out(text, r->spec->thorough);
		exim_seeds_take_table(&r->seeds, text);
		free(text);
	}
}

/* Seed what a client without a password says to AUTH. */
static void
seed_auth(struct exim_run *r)
{
	static const char *const said[] = { "nobody-here\twrong",
		"nobody-here\t", "\t" };
	static const char *const mechanisms[] = { "PLAIN", "LOGIN", "EXTERNAL",
		"CRAM-MD5" };
	const char *at = r->config;

	while ((at = strstr(at, "public_name = ")) != NULL) {
		at += strlen("public_name = ");
		for (size_t m = 0; m < 4; m++) {
			size_t n = strlen(mechanisms[m]);

			if (strncasecmp(at, mechanisms[m], n) != 0)
				continue;
			for (size_t i = 0; i < 3; i++) {
				char word[60];

				(void)snprintf(word, sizeof(word), "%s\t%s",
				    mechanisms[m], said[i]);
				(void)string_list_add(
				    &r->seeds.v[EXIM_AUTH], word, strlen(word));
			}
		}
	}
	at = strstr(r->config, "begin authenticators");
	if (at != NULL) {
		at = strchr(at, '\n');
		at = at == NULL ? "" : at + strspn(at, " \n\t");
		(void)snprintf(r->known, sizeof(r->known), "%.*s",
		    (int)strcspn(at, ":\n "), at);
	}
}

/* The lists that stand for our domains in what is advised. */
static void
find_ours(struct exim_run *r)
{
	static const char *const names[] = { "local_domains",
		"relay_to_domains" };

	for (size_t i = 0; i < 2; i++) {
		size_t n = strlen(r->ours);

		if (exim_source_list(&r->loaded.src, "domainlist", names[i]) !=
		    NULL)
			(void)snprintf(r->ours + n, sizeof(r->ours) - n,
			    "%s+%s", n == 0 ? "" : " : ", names[i]);
	}
}

/* Read the files that Exim reads: Debian's admin edits others. */
static bool
read_files(struct exim_run *r)
{
	const struct exim_loaded *l = &r->loaded;
	char *text;

	if (l->layout == EXIM_SINGLE) {
		r->read = l->files;
		r->n_read = l->n_files;
		return true;
	}
	text = conf_file_read(r->spec->file);
	r->read = calloc(l->n_files + 1, sizeof(*r->read));
	if (text == NULL || r->read == NULL) {
		free(text);
		return false;
	}
	r->read[r->n_read++] = (struct exim_file){ r->spec->file, text };
	for (size_t i = l->n_main; i < l->n_files; i++)
		r->read[r->n_read++] = l->files[i];
	return true;
}

/* The files to begin with in exim_text_read(): macros, and the file. */
size_t
exim_run_n_main(const struct exim_run *r)
{
	return r->loaded.layout == EXIM_SINGLE ? r->loaded.n_main : 1;
}

int
exim_run_prepare(struct exim_run *r, struct err *err)
{
	char *interfaces, *ports;

	if (exim_load(r->spec->file, &r->loaded, err) != 1 ||
	    exim_run_copy(r, NULL, &r->stage, err) == -1)
		return -1;
	r->talk = (struct exim_talk){ .stage = r->stage,
		.program = exim_copy_program(r->spec->program),
		.file = r->spec->file,
		.seeds = &r->seeds };
	r->config = print(r, "config", err);
	interfaces = print(r, "local_interfaces", err);
	ports = print(r, "daemon_smtp_ports", err);
	exim_seeds_begin(&r->seeds);
	if (r->config == NULL || interfaces == NULL || ports == NULL ||
	    !read_files(r)) {
		free(interfaces);
		free(ports);
		return -1;
	}
	exim_seeds_take_config(&r->seeds, r->config);
	seed_tables(r);
	seed_auth(r);
	const char *numbers = value_of(ports);

	seed_ports(r, value_of(interfaces), *numbers == '\0' ? "25" : numbers);
	free(interfaces);
	free(ports);
	find_ours(r);
	return 0;
}
