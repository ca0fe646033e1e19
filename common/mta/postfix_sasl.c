/* SPDX-License-Identifier: ISC */
#include "common/mta/postfix_sasl.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "common/mta/conf_file.h"

enum { PATH_LEN = 1024 };

/* Paths that Cyrus SASL uses when its settings name none. */
static const struct {
	const char *path;
	bool socket;
} places[] = {
	{ "/run/saslauthd/mux", true },
	{ "/var/run/saslauthd/mux", true },
	{ "/var/state/saslauthd/mux", true },
	{ "/etc/sasldb2", false },
};

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

enum comparison {
	OTHER, /* or it can't be looked at */
	SAME,
	NOT_IN_CHROOT
};

/* Compare the file at path's first len bytes, in the chroot and outside. */
static enum comparison
compare(const char *root, const char *queue, const char *path, size_t len)
{
	char in[PATH_LEN], out[PATH_LEN];
	struct stat a, b;
	int n_in = snprintf(in, sizeof(in), "%s%.*s", queue, (int)len, path);
	int n_out = snprintf(out, sizeof(out), "%s%.*s", root, (int)len, path);

	if (n_in >= (int)sizeof(in) || n_out >= (int)sizeof(out))
		return OTHER;
	if (stat(in, &a) == -1)
		return errno == ENOENT || errno == ENOTDIR ? NOT_IN_CHROOT
							   : OTHER;
	if (stat(out, &b) == -1)
		return OTHER;
	return (a.st_dev == b.st_dev && a.st_ino == b.st_ino) ||
		(S_ISREG(a.st_mode) && S_ISREG(b.st_mode) &&
		    a.st_size == b.st_size && same_contents(in, out))
	    ? SAME
	    : OTHER;
}

/* Is path the same outside as in the chroot? A daemon that is stopped leaves
 * no socket, but the directory made for it: the socket comes back there. */
static bool
is_outside(const char *root, const char *queue, const char *path, bool socket)
{
	size_t len = strlen(path);
	enum comparison c = compare(root, queue, path, len);

	while (len > 0 && path[len - 1] != '/')
		len--;
	/* "/mux": every chroot has its own "/" */
	if (c == NOT_IN_CHROOT && socket && len > 1)
		c = compare(root, queue, path, len);
	return c != OTHER;
}

/* Does a setting name a daemon's socket, not a file? */
static bool
names_socket(const char *name)
{
	return strcasecmp(name, "saslauthd_path") == 0 ||
	    strcasecmp(name, "authdaemond_path") == 0;
}

/* The paths that the settings name, as "saslauthd_path: /run/mux"; white space
 * in front of the name and of the value is skipped, as Cyrus SASL does. */
static bool
named_are_outside(const char *root, const char *queue, char *text)
{
	static const char space[] = " \t\r\v\f";
	char *rest = text;

	for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
		char *path = line + strspn(line, space);
		const char *name = strsep(&path, ":");

		if (*name == '#' || path == NULL)
			continue;
		path += strspn(path, space);
		path[strcspn(path, space)] = '\0';
		if (*path == '/' &&
		    !is_outside(root, queue, path, names_socket(name)))
			return false;
	}
	return true;
}

/* Are the settings in a directory, when there are some, the same outside? */
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
		if (!is_outside(root, queue, places[i].path, places[i].socket))
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
