/* SPDX-License-Identifier: ISC */
#include "common/mta/postfix_sasl.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/mta/conf_file.h"

enum { PATH_LEN = 1024 };

/* Where Cyrus SASL looks when its settings don't say. */
static const char *const places[] = { "/run/saslauthd/mux",
	"/var/run/saslauthd/mux", "/var/state/saslauthd/mux", "/etc/sasldb2" };

static const char settings[] =
    "/etc/postfix/sasl:/etc/sasl2:/usr/lib/sasl2:/usr/lib64/sasl2:/usr/lib/x86_64-linux-gnu/sasl2:/usr/lib/aarch64-linux-gnu/sasl2";

static bool
same_contents(const char *a, const char *b)
{
	char *x = conf_file_read(a), *y = conf_file_read(b);
	bool same = x != NULL && y != NULL && strcmp(x, y) == 0;

	free(x);
	free(y);
	return same;
}

/* What path is in the chroot, is it outside? */
static bool
is_outside(const char *root, const char *queue, const char *path)
{
	char in[PATH_LEN], out[PATH_LEN];
	struct stat a, b;
	int n_in = snprintf(in, sizeof(in), "%s%s", queue, path);
	int n_out = snprintf(out, sizeof(out), "%s%s", root, path);

	if (n_in >= (int)sizeof(in) || n_out >= (int)sizeof(out))
		return false;
	if (stat(in, &a) == -1)
		return errno == ENOENT || errno == ENOTDIR;
	if (stat(out, &b) == -1)
		return false;
	return (a.st_dev == b.st_dev && a.st_ino == b.st_ino) ||
	    (S_ISREG(a.st_mode) && S_ISREG(b.st_mode) &&
		a.st_size == b.st_size && same_contents(in, out));
}

/* The paths that the settings name, as "saslauthd_path: /run/mux". */
static bool
named_are_outside(const char *root, const char *queue, char *text)
{
	char *rest = text;

	for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
		char *path = strstr(line, ": ");

		if (*line == '#' || path == NULL)
			continue;
		path += 1 + strspn(path + 1, " \t");
		path[strcspn(path, " \t\r")] = '\0';
		if (*path == '/' && !is_outside(root, queue, path))
			return false;
	}
	return true;
}

/* Of the settings in a directory, when there are some. */
static bool
settings_are_outside(const char *root, const char *queue, const char *dir,
    int len, const char *app)
{
	char path[PATH_LEN];

	if (len == 0 ||
	    snprintf(path, sizeof(path), "%s%.*s/%s.conf", root, len, dir,
		app) >= (int)sizeof(path))
		return true;
	char *text = conf_file_read(path);
	bool ok = text == NULL || named_are_outside(root, queue, text);

	free(text);
	return ok;
}

bool
postfix_sasl_outside(
    const char *root, const char *queue, const char *config, const char *app)
{
	assert(*queue == '/');
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
		if (!is_outside(root, queue, places[i]))
			return false;
	for (const char *dir = *config == '\0' ? settings : config;
	     *dir != '\0';) {
		size_t len = strcspn(dir, ":");

		if (!settings_are_outside(root, queue, dir, (int)len, app))
			return false;
		dir += len + (dir[len] == ':');
	}
	return true;
}
