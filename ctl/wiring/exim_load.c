/* SPDX-License-Identifier: ISC */
#include "ctl/wiring/exim_load.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/listen.h"
#include "common/base/run.h"
#include "common/mta/conf_file.h"
#include "common/mta/generated.h"
#include "ctl/stage/stage.h"

/* A file of this tree as a string; the compiler runs at its top. */
/* NOLINTBEGIN: strings are joined here */
#define BUILT_IN(name, file)                                          \
	__asm__(".pushsection .rodata\n" #name ":\n\t.incbin \"" file \
		"\"\n\t.byte 0\n"                                     \
		".globl " #name "\n"                                  \
		".popsection\n")
/* NOLINTEND */

BUILT_IN(exim_closed_conf, "etc/exim/closed.conf");

enum { ROUNDS_MAX = 8, PATH_LEN = 1024 };

/* --- files --- */

static bool
add_text(struct exim_loaded *l, const char *path, char *text)
{
	struct exim_file *v =
	    reallocarray(l->files, l->n_files + 1, sizeof(*v));
	char *copy = strdup(path);

	if (v != NULL)
		l->files = v;
	if (v == NULL || copy == NULL || text == NULL) {
		free(copy);
		free(text);
		return false;
	}
	v[l->n_files].path = copy;
	v[l->n_files++].text = text;
	return true;
}

static int
add_file(struct exim_loaded *l, const char *path, struct err *err)
{
	char *text = conf_file_read(path);

	if (text == NULL) {
		err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
		return -1;
	}
	if (add_text(l, path, text))
		return 0;
	err_nomem(err, path, 0);
	return -1;
}

const char *
exim_loaded_text(const struct exim_loaded *loaded, const char *path)
{
	for (size_t i = 0; i < loaded->n_files; i++)
		if (strcmp(loaded->files[i].path, path) == 0)
			return loaded->files[i].text;
	return NULL;
}

static bool
exists(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0;
}

/* --- Debian --- */

/* The names that update-exim4.conf takes: letters, digits, "_" and "-". */
static int
is_part(const struct dirent *entry)
{
	const char *c = entry->d_name;

	while (isalnum((unsigned char)*c) || *c == '_' || *c == '-')
		c++;
	return *c == '\0' && c > entry->d_name;
}

static int
by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int
add_section(struct exim_loaded *l, const char *dir, struct err *err)
{
	struct dirent **v = NULL;
	int n = scandir(dir, &v, is_part, by_bytes), ret = 0;

	for (int i = 0; i < n; i++) {
		char path[PATH_LEN], rul[PATH_LEN + 8];

		(void)snprintf(
		    path, sizeof(path), "%.700s/%s", dir, v[i]->d_name);
		(void)snprintf(rul, sizeof(rul), "%s.rul", path);
		if (ret == 0)
			ret = add_file(l, exists(rul) ? rul : path, err);
		free(v[i]);
	}
	free(v);
	return ret;
}

static int
add_debian(struct exim_loaded *l, const char *dir, bool split, struct err *err)
{
	static const char *const sections[] = { "main", "acl", "router",
		"transport", "retry", "rewrite", "auth" };
	char path[PATH_LEN];

	l->layout = split ? EXIM_DEBIAN_SPLIT : EXIM_DEBIAN_TEMPLATE;
	if (split) {
		for (size_t i = 0; i < sizeof(sections) / sizeof(*sections);
		     i++) {
			(void)snprintf(path, sizeof(path), "%.700s/conf.d/%s",
			    dir, sections[i]);
			if (add_section(l, path, err) == -1)
				return -1;
		}
		return 0;
	}
	(void)snprintf(
	    path, sizeof(path), "%.700s/exim4.conf.localmacros", dir);
	if (exists(path) && add_file(l, path, err) == -1)
		return -1;
	(void)snprintf(path, sizeof(path), "%.700s/exim4.conf.template", dir);
	return add_file(l, path, err);
}

/* The generated file's own head says of what it was made: "split config files
 * in the DIR/conf.d/ directory", or "non-split config
 * (DIR/exim4.conf.localmacros". Returns false for a file of another kind. */
static bool
debian_source(const char *text, char *dir, bool *split_r)
{
	static const char mark[] =
	    "# This file was generated dynamically from\n# ";
	static const char whole[] = "non-split config (",
			  parts[] = "split config files in the ";
	const char *at = strstr(text, mark), *end;

	if (at == NULL)
		return false;
	at += sizeof(mark) - 1;
	*split_r = strncmp(at, whole, sizeof(whole) - 1) != 0;
	if (*split_r && strncmp(at, parts, sizeof(parts) - 1) != 0)
		return false;
	at += *split_r ? sizeof(parts) - 1 : sizeof(whole) - 1;
	end = strstr(at, *split_r ? "/conf.d/" : "/exim4.conf.localmacros");
	if (end == NULL || end - at >= PATH_LEN)
		return false;
	(void)snprintf(dir, PATH_LEN, "%.*s", (int)(end - at), at);
	return true;
}

/* dc_use_split_config of update-exim4.conf.conf. */
static bool
is_split(const char *dir)
{
	char path[PATH_LEN];

	(void)snprintf(
	    path, sizeof(path), "%.700s/update-exim4.conf.conf", dir);
	char *text = conf_file_read(path);
	const char *at =
	    text == NULL ? NULL : strstr(text, "\ndc_use_split_config=");
	bool split = false;

	if (at != NULL) {
		at += strcspn(at, "=") + 1;
		at += strspn(at, "'\"");
		split = strncmp(at, "true", 4) == 0;
	}
	free(text);
	return split;
}

/* --- who else writes the file --- */

/* Says the comment at its beginning that a program writes it? */
static char *
find_owner(const char *text)
{
	static const char *const owners[] = { "cPanel", "Ansible", "Puppet",
		"Chef", "CFEngine", "Salt", "DirectAdmin" };
	char *line = generated_line(text, NULL), *owner = NULL;

	for (size_t i = 0; i < sizeof(owners) / sizeof(*owners); i++)
		if (line != NULL && owner == NULL &&
		    strcasestr(line, owners[i]) != NULL)
			owner = strdup(owners[i]);
	if (line != NULL && owner == NULL)
		owner = strdup("another program");
	free(line);
	return owner;
}

/* --- what Exim says --- */

/* A line of exim -bP; NULL. To be freed. */
static char *
ask(const char *config, const char *what)
{
	static const char *const names[] = { "exim4", "exim" };
	char *text = NULL;
	struct err err;

	/* root's Exim writes its complaints where the file says */
	if (config != NULL && geteuid() == 0 &&
	    stage_trusts(config, &err) == -1)
		return NULL;
	for (size_t i = 0; i < 2 && text == NULL; i++) {
		char *with[] = { (char *)(uintptr_t)names[i], "-C",
			(char *)(uintptr_t)config, "-bP",
			(char *)(uintptr_t)what, NULL };
		char *without[] = { with[0], "-bP", with[4], NULL };

		text = run_read(
		    config == NULL ? without : with, NULL, RUN_TIMEOUT_S, &err);
	}
	return text;
}

static char *
ask_config(void)
{
	static const char *const usual[] = {
		"/var/lib/exim4/config.autogenerated",
		"/etc/exim4/exim4.conf",
		"/etc/exim/exim.conf",
		"/etc/exim.conf",
		"/usr/local/etc/exim/configure",
	};
	char *text = ask(NULL, "config_file");

	if (text != NULL)
		text[strcspn(text, "\n")] = '\0';
	if (text != NULL && exists(text))
		return text;
	free(text);
	for (size_t i = 0; i < sizeof(usual) / sizeof(*usual); i++)
		if (exists(usual[i]))
			return strdup(usual[i]);
	return NULL;
}

/* Macros that are compiled in ("_HAVE_SPF") come first; what the files define
 * themselves isn't taken from there. */
static void
add_macros(struct exim_loaded *l, const char *config)
{
	char *text = ask(config, "macros"), *to = text;

	for (const char *at = text; at != NULL && *at != '\0';) {
		size_t n = strcspn(at, "\n");

		n += at[n] == '\n';
		if (*at == '_') {
			memmove(to, at, n);
			to += n;
		}
		at += n;
	}
	if (text == NULL)
		return;
	*to = '\0';
	(void)add_text(l, "", text);
}

static void
ask_group(struct exim_loaded *l, const char *config)
{
	char *text = ask(config, "exim_group");
	const char *at = text == NULL ? NULL : strchr(text, '=');

	if (at != NULL) {
		at += 1 + strspn(at + 1, " ");
		l->group = strndup(at, strcspn(at, "\n"));
	}
	free(text);
}

/* --- the whole --- */

static int
add_main(struct exim_loaded *l, struct err *err)
{
	char dir[PATH_LEN];
	struct stat st;
	bool split;

	if (stat(l->config, &st) == 0 && S_ISDIR(st.st_mode))
		return add_debian(l, l->config, is_split(l->config), err);
	if (add_file(l, l->config, err) == -1)
		return -1;
	const char *text = l->files[l->n_files - 1].text;

	if (debian_source(text, dir, &split)) {
		l->n_files--;
		free((char *)(uintptr_t)l->files[l->n_files].path);
		free((char *)(uintptr_t)l->files[l->n_files].text);
		return add_debian(l, dir, split, err);
	}
	l->owner = find_owner(text);
	return 0;
}

/* Read the files that are included until nothing is missing. */
static int
add_included(struct exim_loaded *l, struct err *err)
{
	for (int round = 0;; round++) {
		size_t before = l->n_files;

		if (!exim_source_read(
			l->files, l->n_files, l->n_main, &l->src)) {
			err_nomem(err, "Exim's configuration", 0);
			return -1;
		}
		const struct string_list *includes = &l->src.text.includes;

		for (size_t i = 0; i < includes->n && round < ROUNDS_MAX; i++)
			if (exim_loaded_text(l, includes->v[i]) == NULL &&
			    exists(includes->v[i]) &&
			    add_file(l, includes->v[i], err) == -1)
				return -1;
		if (l->n_files == before)
			return 0;
		exim_source_release(&l->src);
	}
}

int
exim_load(const char *config, struct exim_loaded *loaded, struct err *err)
{
	struct exim_loaded *l = loaded;

	*l = (struct exim_loaded){
		.config = config == NULL ? ask_config() : strdup(config),
	};
	if (l->config == NULL)
		return 0;
	add_macros(l, config);
	ask_group(l, config);
	if (add_main(l, err) == 0) {
		l->n_main = l->n_files;
		if (add_included(l, err) == 0)
			return 1;
	}
	exim_loaded_release(l);
	return -1;
}

void
exim_loaded_release(struct exim_loaded *loaded)
{
	exim_source_release(&loaded->src);
	for (size_t i = 0; i < loaded->n_files; i++) {
		free((char *)(uintptr_t)loaded->files[i].path);
		free((char *)(uintptr_t)loaded->files[i].text);
	}
	free(loaded->files);
	free(loaded->config);
	free(loaded->owner);
	free(loaded->group);
	*loaded = (struct exim_loaded){ .n_files = 0 };
}

void
exim_policy_format(const struct listen_spec *spec, char *buf, size_t size)
{
	if (spec->is_unix)
		(void)snprintf(buf, size, "%s", spec->path);
	else
		(void)snprintf(buf, size,
		    strchr(spec->host, ':') == NULL ? "inet:%s:%u"
						    : "inet:[%s]:%u",
		    spec->host, spec->port);
}
