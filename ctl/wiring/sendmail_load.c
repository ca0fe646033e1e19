/* SPDX-License-Identifier: ISC */
#include "ctl/wiring/sendmail_load.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/run.h"
#include "common/mta/conf_file.h"
#include "common/mta/sendmail_mc.h"

enum { PATH_LEN = 512 };

/* A file of this tree as a string; the compiler runs at its top. */
/* NOLINTBEGIN: strings are joined here */
#define BUILT_IN(name, file)                                     \
	__asm__(".pushsection .rodata\n.globl " #name "\n" #name \
		":\n\t.incbin \"" file "\"\n\t.byte 0\n.popsection\n")
/* NOLINTEND */

BUILT_IN(sendmail_closed_m4, "etc/sendmail/closed.m4");
BUILT_IN(sendmail_lists_m4, "etc/sendmail/lists.m4");
BUILT_IN(sendmail_sole_gate_m4, "etc/sendmail/sole-gate.m4");

/* The directory of path, "/" at its end, into buf. */
static void
directory_of(const char *path, char *buf, size_t size)
{
	const char *slash = strrchr(path, '/');

	(void)snprintf(buf, size, "%.*s",
	    slash == NULL ? 0 : (int)(slash - path + 1), path);
}

static int
no_memory(struct err *err)
{
	err_nomem(err, "Sendmail's configuration", 1 << 20);
	return -1;
}

/* Add a file that is there. Returns 1; 0 when it isn't; -1 with err. */
static int
add_source(struct sendmail_loaded *l, const char *path, struct err *err)
{
	struct sendmail_file *f = &l->files[l->src.n_mc];

	for (size_t i = 0; i < l->src.n_mc; i++)
		if (strcmp(l->files[i].path, path) == 0)
			return 1;
	if (l->src.n_mc == SENDMAIL_SOURCES_MAX) {
		err_set(err, ERR_INVALID,
		    "%.300s: more than %d files are included", l->files[0].path,
		    SENDMAIL_SOURCES_MAX);
		return -1;
	}
	char *text = conf_file_read(path);

	if (text == NULL) {
		if (errno == ENOENT)
			return 0;
		err_set(err, ERR_IO, "%.300s: %s", path, strerror(errno));
		return -1;
	}
	f->text = text;
	f->path = strdup(path);
	if (f->path == NULL) {
		free(text);
		return no_memory(err);
	}
	l->src.n_mc++;
	return 1;
}

/* The files below /etc, or beside sendmail.cf, that file n includes. */
static int
add_included(
    struct sendmail_loaded *l, size_t n, const char *dir, struct err *err)
{
	const char *at = l->files[n].text;
	struct sendmail_call call;
	char path[PATH_LEN], full[PATH_LEN * 2];
	unsigned line = 1;

	while (sendmail_mc_next(&at, &line, &call)) {
		if ((!sendmail_mc_is(&call, "include") &&
			!sendmail_mc_is(&call, "sinclude")) ||
		    !sendmail_mc_arg(&call, 0, path, sizeof(path)))
			continue;
		(void)snprintf(
		    full, sizeof(full), "%s%s", *path == '/' ? "" : dir, path);
		if (strcmp(full, l->src.rules.path) == 0 ||
		    strcmp(full, l->src.lists.path) == 0 ||
		    (strncmp(full, "/etc/", 5) != 0 &&
			strncmp(full, dir, strlen(dir)) != 0))
			continue;
		if (add_source(l, full, err) == -1)
			return -1;
	}
	return 0;
}

static int
add_sources(struct sendmail_loaded *l, const char *mc, struct err *err)
{
	const char *cf = l->src.cf.path;
	char dir[PATH_LEN], name[PATH_LEN], host[65] = "";
	size_t len = strlen(cf);
	int found;

	directory_of(cf, dir, sizeof(dir));
	if (mc != NULL) {
		found = *mc == '\0' ? 1 : add_source(l, mc, err);
		if (found == 0)
			err_set(
			    err, ERR_IO, "%.300s: %s", mc, strerror(ENOENT));
		if (found != 1)
			return -1;
	} else {
		(void)snprintf(name, sizeof(name), "%.*s.mc",
		    len > 3 ? (int)len - 3 : (int)len, cf);
		found = add_source(l, name, err);
		(void)gethostname(host, sizeof(host) - 1);
		(void)snprintf(name, sizeof(name), "%.400s%s.mc", dir, host);
		if (found == 0)
			found = add_source(l, name, err);
		if (found == -1)
			return -1;
	}
	/* grows while it is walked */
	for (size_t i = 0; i < l->src.n_mc; i++)
		if (add_included(l, i, dir, err) == -1)
			return -1;
	return 0;
}

/* "##### using /usr/share/sendmail/cf/ as configuration include directory" */
static char *
include_directory(const char *cf)
{
	static const char before[] = "\n##### using ";
	const char *at = strstr(cf, before);
	size_t len = 0;

	if (at != NULL) {
		at += sizeof(before) - 1;
		len = strcspn(at, " \n");
	}
	return strndup(at == NULL ? "" : at, len);
}

static void
try_m4(struct sendmail_loaded *l)
{
	char *text;
	int same;

	l->made = SENDMAIL_UNTRIED;
	if (l->src.n_mc == 0)
		return;
	text = sendmail_make(l, &l->why);
	if (text == NULL)
		return;
	same = sendmail_cf_same(l->src.cf.text, text, &l->differs_at);
	if (same == -1)
		err_nomem(&l->why, "sendmail.cf", strlen(text));
	else
		l->made = same ? SENDMAIL_MADE : SENDMAIL_DIFFERS;
	free(text);
}

/* A file of popgate's own beside sendmail.cf, which may not be there yet. */
static int
load_own(
    struct sendmail_file *f, const char *dir, const char *name, struct err *err)
{
	char *path;

	if (asprintf(&path, "%s%s", dir, name) == -1)
		return no_memory(err);
	f->path = path;
	f->text = conf_file_read(path);
	if (f->text != NULL || errno == ENOENT)
		return 0;
	err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
	return -1;
}

int
sendmail_load(
    const char *cf, const char *mc, struct sendmail_loaded *l, struct err *err)
{
	char dir[PATH_LEN], *text = conf_file_read(cf);

	assert(*cf == '/');
	*l = (struct sendmail_loaded){ .src = { .mc = NULL } };
	if (text == NULL) {
		if (errno == ENOENT || errno == ENOTDIR)
			return 0;
		err_set(err, ERR_IO, "%.300s: %s", cf, strerror(errno));
		return -1;
	}
	directory_of(cf, dir, sizeof(dir));
	l->src.cf = (struct sendmail_file){ .path = strdup(cf), .text = text };
	l->src.mc = l->files;
	l->src.closed_m4 = sendmail_closed_m4;
	l->src.lists_m4 = sendmail_lists_m4;
	l->cf_dir = include_directory(text);
	if (l->cf_dir == NULL || l->src.cf.path == NULL) {
		sendmail_loaded_release(l);
		return no_memory(err);
	}
	if (load_own(&l->src.rules, dir, "popgate.m4", err) == -1 ||
	    load_own(&l->src.lists, dir, "popgate-lists.m4", err) == -1 ||
	    add_sources(l, mc, err) == -1) {
		sendmail_loaded_release(l);
		return -1;
	}
	l->needs_cf_m4 =
	    l->src.n_mc > 0 && strstr(l->files[0].text, "/cf.m4") == NULL;
	try_m4(l);
	return 1;
}

/* Free a string that is borrowed by those who only read. */
static void
drop(const char *text)
{
	free((char *)(uintptr_t)text);
}

void
sendmail_loaded_release(struct sendmail_loaded *l)
{
	drop(l->src.cf.path);
	drop(l->src.cf.text);
	drop(l->src.rules.path);
	drop(l->src.rules.text);
	drop(l->src.lists.path);
	drop(l->src.lists.text);
	for (size_t i = 0; i < l->src.n_mc; i++) {
		drop(l->files[i].path);
		drop(l->files[i].text);
	}
	free(l->cf_dir);
	*l = (struct sendmail_loaded){ .src = { .mc = NULL } };
}

char *
sendmail_make(const struct sendmail_loaded *l, struct err *err)
{
	char dir[PATH_LEN], head[PATH_LEN + 10], script[PATH_LEN * 3];
	char *argv[] = {
		(char[]){ "sh" },
		(char[]){ "-c" },
		script,
		NULL,
	};

	assert(l->src.n_mc > 0);
	directory_of(l->src.cf.path, dir, sizeof(dir));
	sendmail_make_command(l, head, sizeof(head));
	/* m4 goes on after most errors; a sendmail.cf ends with mailers */
	(void)snprintf(script, sizeof(script), "cd '%.400s' && %s", dir, head);
	return run_read(argv, NULL, RUN_TIMEOUT_S, err);
}

void
sendmail_make_command(const struct sendmail_loaded *l, char *buf, size_t size)
{
	if (l->needs_cf_m4)
		(void)snprintf(buf, size, "m4 %.200sm4/cf.m4 %.200s",
		    *l->cf_dir == '\0' ? "/usr/share/sendmail-cf/" : l->cf_dir,
		    l->files[0].path);
	else
		(void)snprintf(buf, size, "m4 %.400s", l->files[0].path);
}
