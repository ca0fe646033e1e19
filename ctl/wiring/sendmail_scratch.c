/* SPDX-License-Identifier: ISC */
/* sendmail_scratch - the sendmail.cf of files that are only planned: they are
 * written into a scratch directory, and what includes them names that. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/run.h"
#include "ctl/wiring/sendmail_load.h"

enum { PATH_LEN = 600 };

/* The source files and popgate's own, in one row. */
static size_t
count_files(const struct sendmail_loaded *l)
{
	return l->src.n_mc + 2;
}

static const struct sendmail_file *
file_at(const struct sendmail_loaded *l, size_t i)
{
	return i < l->src.n_mc ? &l->files[i]
	    : i == l->src.n_mc ? &l->src.rules
			       : &l->src.lists;
}

static void
scratch_path(const char *dir, size_t i, char buf[PATH_LEN])
{
	(void)snprintf(buf, PATH_LEN, "%s/%zu", dir, i);
}

/* Write text to a file of the scratch directory, with `path' of each source
 * file made that of its copy. */
static int
write_copy(const struct sendmail_loaded *l, const char *dir, size_t n,
    const char *text, struct err *err)
{
	char path[PATH_LEN], copy[PATH_LEN], quoted[PATH_LEN];
	FILE *out;

	scratch_path(dir, n, path);
	out = fopen(path, "we");
	while (out != NULL && *text != '\0') {
		bool replaced = false;

		for (size_t i = 0; *text == '`' && i < count_files(l); i++) {
			int len = snprintf(quoted, sizeof(quoted), "`%s'",
			    file_at(l, i)->path);

			if (strncmp(text, quoted, (size_t)len) != 0)
				continue;
			scratch_path(dir, i, copy);
			(void)fprintf(out, "`%s'", copy);
			text += len;
			replaced = true;
			break;
		}
		if (!replaced)
			(void)putc(*text++, out);
	}
	if (out != NULL && fclose(out) == 0)
		return 0;
	err_set(err, ERR_IO, "%.300s: %s", path, strerror(errno));
	return -1;
}

static char *
run_m4(const struct sendmail_loaded *l, const char *mc, struct err *err)
{
	char script[] = "cd \"$1\" && shift && exec m4 \"$@\"";
	char dir[PATH_LEN], cf_m4[PATH_LEN], file[PATH_LEN];
	char *argv[] = {
		(char[]){ "sh" },
		(char[]){ "-c" },
		script,
		(char[]){ "sh" },
		dir,
		cf_m4,
		file,
		NULL,
	};

	(void)snprintf(dir, sizeof(dir), "%.*s",
	    (int)(strrchr(l->src.cf.path, '/') - l->src.cf.path + 1),
	    l->src.cf.path);
	(void)snprintf(file, sizeof(file), "%s", mc);
	(void)snprintf(cf_m4, sizeof(cf_m4), "%.500sm4/cf.m4",
	    *l->cf_dir == '\0' ? "/usr/share/sendmail-cf/" : l->cf_dir);
	if (!l->needs_cf_m4) {
		argv[5] = file;
		argv[6] = NULL;
	}
	return run_read(argv, NULL, RUN_TIMEOUT_S, err);
}

char *
sendmail_make_planned(const struct sendmail_loaded *l,
    const struct edit_plan *plan, struct err *err)
{
	char dir[] = "/tmp/popgate-sendmail-XXXXXX", path[PATH_LEN];
	char *made = NULL;
	int ret = 0;

	if (mkdtemp(dir) == NULL) {
		err_set(err, ERR_IO, "%s: %s", dir, strerror(errno));
		return NULL;
	}
	for (size_t i = 0; i < count_files(l) && ret == 0; i++) {
		char *text = edit_plan_apply(
		    plan, file_at(l, i)->path, file_at(l, i)->text);

		if (text == NULL)
			err_nomem(err, file_at(l, i)->path, 1 << 20);
		ret = text == NULL ? -1 : write_copy(l, dir, i, text, err);
		free(text);
	}
	scratch_path(dir, 0, path);
	if (ret == 0)
		made = run_m4(l, path, err);
	for (size_t i = 0; i < count_files(l); i++) {
		scratch_path(dir, i, path);
		(void)unlink(path);
	}
	(void)rmdir(dir);
	return made;
}
