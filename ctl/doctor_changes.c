/* doctor_changes - what the doctor found the last time, a line a finding:
 * id, file and detail, separated by tabs, control characters escaped. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "access_map.h"
#include "doctor.h"
#include "err.h"
#include "out.h"

enum { LINE_LEN = 3200, PATH_LEN = 1024 };

static const char head[] = "popgatectl doctor 1\n";

static void
format(const struct finding *f, char *line)
{
	char file[OUT_TEXT_MAX / 2], detail[OUT_TEXT_MAX];

	(void)snprintf(line, LINE_LEN, "%s\t%s\t%s", f->kind->id,
	    out_escape(f->file, file, sizeof(file)),
	    out_escape(f->detail, detail, sizeof(detail)));
}

static bool
counts(const struct finding *f)
{
	return f->kind->severity != SEVERITY_INFO;
}

/* Mark the finding of this line; false: it is gone. */
static bool
mark(struct doctor *d, const char *line)
{
	char text[LINE_LEN];

	for (size_t i = 0; i < d->n; i++) {
		if (!counts(&d->v[i]))
			continue;
		format(&d->v[i], text);
		if (strcmp(text, line) == 0) {
			d->v[i].known = true;
			return true;
		}
	}
	return false;
}

int
doctor_changes_load(struct doctor *d, const char *path, struct err *err)
{
	char *text = map_file_read(path), *rest;
	int changed = 0;

	d->changes = true;
	if (text == NULL && errno != ENOENT) {
		err_set(err, ERR_IO, "%.400s: %s", path, strerror(errno));
		return -1;
	}
	if (text != NULL && strncmp(text, head, sizeof(head) - 1) != 0) {
		err_set(err, ERR_INVALID,
		    "%.400s: this isn't a file of "
		    "popgatectl doctor --changes: name another one",
		    path);
		free(text);
		return -1;
	}
	rest = text == NULL ? NULL : text + sizeof(head) - 1;
	for (char *line = strsep(&rest, "\n"); line != NULL;
	     line = strsep(&rest, "\n"))
		if (*line != '\0' && !mark(d, line)) {
			changed = 1;
			for (char *tab = strchr(line, '\t'); tab != NULL;
			     tab = strchr(tab, '\t'))
				*tab = ' ';
			d->no_memory |=
			    !string_list_add(&d->gone, line, strlen(line));
		}
	free(text);
	for (size_t i = 0; i < d->n; i++)
		changed |= counts(&d->v[i]) && !d->v[i].known;
	return changed;
}

static bool
write_all(const struct doctor *d, int fd)
{
	char line[LINE_LEN];
	FILE *to = fdopen(fd, "w");
	bool ok;

	if (to == NULL) {
		(void)close(fd);
		return false;
	}
	(void)fputs(head, to);
	for (size_t i = 0; i < d->n; i++)
		if (counts(&d->v[i])) {
			format(&d->v[i], line);
			(void)fprintf(to, "%s\n", line);
		}
	ok = fflush(to) == 0 && !ferror(to) && fsync(fd) == 0;
	return fclose(to) == 0 && ok;
}

int
doctor_changes_save(const struct doctor *d, const char *path, struct err *err)
{
	char temporary[PATH_LEN];
	int fd;

	if (snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path) >=
	    (int)sizeof(temporary)) {
		err_set(err, ERR_INVALID, "%.400s: the path is too long", path);
		return -1;
	}
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd == -1 || !write_all(d, fd) || rename(temporary, path) == -1) {
		err_set(err, ERR_IO, "%.400s: %s", path, strerror(errno));
		if (fd != -1)
			(void)unlink(temporary);
		return -1;
	}
	return 0;
}
