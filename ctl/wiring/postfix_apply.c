/* SPDX-License-Identifier: ISC */
#include "ctl/wiring/postfix_apply.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/run.h"
#include "common/mta/conf_file.h"

static const char *const files[] = { "main.cf", "master.cf" };

enum { FILES = 2 };

const char *
postfix_edit_option(const struct wiring_edit *e)
{
	return e->kind == EDIT_MAIN   ? "-e"
	    : e->kind == EDIT_SERVICE ? "-P"
				      : "-F";
}

char *
postfix_edit_argument(const struct wiring_edit *e)
{
	char *text;
	int n = e->kind == EDIT_MAIN
	    ? asprintf(&text, "%s = %s", e->name, e->value)
	    : asprintf(&text, "%s/%s=%s", e->service, e->name, e->value);

	return n == -1 ? NULL : text;
}

static int
apply_one(const char *dir, const struct wiring_edit *e, struct err *err)
{
	char *argument = postfix_edit_argument(e);
	char *argv[] = {
		(char[]){ "postconf" },
		(char[]){ "-c" },
		(char *)(uintptr_t)dir,
		(char *)(uintptr_t)postfix_edit_option(e),
		argument,
		NULL,
	};

	if (argument == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return -1;
	}
	char *said = run_read(argv, NULL, RUN_TIMEOUT_S, err);
	int rc = said == NULL ? -1 : 0;

	free(said);
	free(argument);
	return rc;
}

/* postconf(1) of Postfix up to 3.7 at least writes on where the last line ends:
 * without a newline there, the last setting would get the new one as a part of
 * its value, or a comment would swallow it. */
static int
end_last_line(const char *dir, const char *name, struct err *err)
{
	char *path = NULL, last = '\n';

	if (asprintf(&path, "%s/%s", dir, name) == -1) {
		err_set(err, ERR_NOMEM, "out of memory");
		return -1;
	}
	int fd = open(path, O_RDWR | O_APPEND | O_CLOEXEC);
	off_t size = fd == -1 ? -1 : lseek(fd, 0, SEEK_END);
	bool good = size != -1 &&
	    (size == 0 || pread(fd, &last, 1, size - 1) == 1) &&
	    (last == '\n' || write(fd, "\n", 1) == 1);

	if (!good)
		err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
	if (fd != -1)
		(void)close(fd);
	free(path);
	return good ? 0 : -1;
}

int
postfix_apply(const char *dir, const struct wiring_plan *plan, struct err *err)
{
	for (int i = 0; i < FILES; i++)
		if (end_last_line(dir, files[i], err) == -1)
			return -1;
	for (size_t i = 0; i < plan->n_edits; i++)
		if (apply_one(dir, &plan->edits[i], err) == -1)
			return -1;
	return 0;
}

/* --- as a diff --- */

static int
copy_file(const char *dir, const char *to, const char *name, struct err *err)
{
	char *from = NULL, *path = NULL, *text = NULL;
	FILE *out = NULL;
	int rc = -1;

	if (asprintf(&from, "%s/%s", dir, name) == -1 ||
	    asprintf(&path, "%s/%s", to, name) == -1) {
		err_set(err, ERR_NOMEM, "out of memory");
		goto out;
	}
	text = conf_file_read(from);
	if (text == NULL) {
		err_set(err, ERR_IO, "%s: %s", from, strerror(errno));
		goto out;
	}
	out = fopen(path, "we");
	if (out == NULL || fputs(text, out) == EOF || fflush(out) == EOF) {
		err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
		goto out;
	}
	rc = 0;
out:
	if (out != NULL)
		(void)fclose(out);
	free(text);
	free(path);
	free(from);
	return rc;
}

/* diff's exit status 1 is no failure. */
static char *
diff_file(const char *dir, const char *copy, const char *name, struct err *err)
{
	char *old = NULL, *new = NULL, *text = NULL;

	if (asprintf(&old, "%s/%s", dir, name) == -1 ||
	    asprintf(&new, "%s/%s", copy, name) == -1) {
		err_set(err, ERR_NOMEM, "out of memory");
	} else {
		char *argv[] = { (char[]){ "sh" }, (char[]){ "-c" },
			(char[]){
			    "diff -u --label \"$1\" --label \"$1\" \"$1\" \"$2\" || test $? = 1" },
			(char[]){ "sh" }, old, new, NULL };

		text = run_read(argv, NULL, RUN_TIMEOUT_S, err);
	}
	free(new);
	free(old);
	return text;
}

static void
remove_copy(const char *copy)
{
	char *path;

	for (int i = 0; i < FILES; i++)
		if (asprintf(&path, "%s/%s", copy, files[i]) != -1) {
			(void)unlink(path);
			free(path);
		}
	(void)rmdir(copy);
}

char *
postfix_apply_diff(
    const char *dir, const struct wiring_plan *plan, struct err *err)
{
	char copy[] = "/tmp/popgate-wiring-XXXXXX";
	char *part[FILES] = { NULL, NULL }, *text = NULL;
	int rc = 0;

	if (mkdtemp(copy) == NULL) {
		err_set(err, ERR_IO, "%s: %s", copy, strerror(errno));
		return NULL;
	}
	for (int i = 0; i < FILES && rc == 0; i++)
		rc = copy_file(dir, copy, files[i], err);
	if (rc == 0)
		rc = postfix_apply(copy, plan, err);
	for (int i = 0; i < FILES && rc == 0; i++) {
		part[i] = diff_file(dir, copy, files[i], err);
		rc = part[i] == NULL ? -1 : 0;
	}
	if (rc == 0 && asprintf(&text, "%s%s", part[0], part[1]) == -1) {
		err_set(err, ERR_NOMEM, "out of memory");
		text = NULL;
	}
	for (int i = 0; i < FILES; i++)
		free(part[i]);
	remove_copy(copy);
	return text;
}
