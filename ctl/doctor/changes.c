/* SPDX-License-Identifier: ISC */
/* changes - what the doctor found the last time, a line a finding:
 * id, file and detail, separated by tabs, control characters escaped. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/place.h"
#include "common/mta/conf_file.h"
#include "ctl/doctor/doctor.h"
#include "ctl/out.h"

enum { LINE_LEN = 3200 };

static const char head[] = "popgatectl doctor 1\n";

/* Was something left unjudged? How much of it may differ each day. */
static bool
is_unknown(const struct finding *f)
{
	static const char *const ends[] = { "-not-understood", "-unknown",
		"-not-rehearsed", "-not-shown" };
	size_t n = strlen(f->kind->id);

	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++)
		if (n > strlen(ends[i]) &&
		    strcmp(f->kind->id + n - strlen(ends[i]), ends[i]) == 0)
			return f->kind->severity == SEVERITY_INFO;
	return false;
}

static void
format(const struct finding *f, char *line)
{
	char file[OUT_TEXT_MAX / 2], detail[OUT_TEXT_MAX];

	(void)snprintf(line, LINE_LEN, "%s\t%s\t%s", f->kind->id,
	    out_escape(f->file, file, sizeof(file)),
	    is_unknown(f) ? "" : out_escape(f->detail, detail, sizeof(detail)));
}

bool
finding_is_news(const struct finding *f)
{
	return f->kind->severity != SEVERITY_INFO || is_unknown(f);
}

/* Mark the finding of this line; false: it is gone. */
static bool
mark(struct doctor *d, const char *line)
{
	char text[LINE_LEN];
	bool found = false;

	for (size_t i = 0; i < d->n; i++) {
		if (!finding_is_news(&d->v[i]))
			continue;
		format(&d->v[i], text);
		if (strcmp(text, line) == 0)
			found = d->v[i].known = true;
	}
	return found;
}

/* An open relay that a dialogue has shown isn't gone because there was no
 * rehearsal this time, or not a whole one. Without root there never is one, and all is read. */
static bool
is_unasked(const struct doctor *d, const char *line)
{
	static const char *const ends[] = { "-not-rehearsed", "-unreadable",
		"-not-understood" };
	char id[80];

	(void)snprintf(id, sizeof(id), "%.*s", (int)strcspn(line, "\t"), line);
	const struct finding_kind *kind = finding_kind_find(id);

	if (geteuid() != 0 || kind == NULL ||
	    kind->severity != SEVERITY_OPEN_RELAY)
		return false;
	for (size_t i = 0; i < d->n; i++) {
		const char *now = d->v[i].kind->id;
		size_t n = strcspn(now, "-");

		if (strncmp(now, id, n + 1) != 0)
			continue;
		for (size_t k = 0; k < sizeof(ends) / sizeof(*ends); k++)
			if (strcmp(now + n, ends[k]) == 0)
				return true;
	}
	return false;
}

int
doctor_changes_each(const char *path,
    void (*fn)(void *arg, const struct finding_kind *kind, const char *words),
    void *arg)
{
	char *text = conf_file_read(path), *rest;
	int n = 0;

	if (text == NULL || strncmp(text, head, sizeof(head) - 1) != 0) {
		free(text);
		return -1;
	}
	rest = text + sizeof(head) - 1;
	for (char *line = strsep(&rest, "\n"); line != NULL;
	     line = strsep(&rest, "\n")) {
		char *words = strchr(line, '\t');

		if (words == NULL)
			continue;
		*words++ = '\0';
		for (char *tab = strchr(words, '\t'); tab != NULL;
		     tab = strchr(tab, '\t'))
			*tab = ' ';
		fn(arg, finding_kind_find(line), words);
		n++;
	}
	free(text);
	return n;
}

int
doctor_changes_load(struct doctor *d, const char *path, struct err *err)
{
	char *text = conf_file_read(path), *rest;
	int changed = 0;

	d->changes = true;
	if (text == NULL && errno != ENOENT) {
		err_set(err, ERR_IO, "%.400s: %s", path, strerror(errno));
		return -1;
	}
	/* an empty one: a run before this one could not write it */
	if (text != NULL && *text != '\0' &&
	    strncmp(text, head, sizeof(head) - 1) != 0) {
		err_set(err, ERR_INVALID,
		    "%.400s: this isn't a file of popgatectl doctor --changes: name another one",
		    path);
		free(text);
		return -1;
	}
	rest = text == NULL || *text == '\0' ? NULL : text + sizeof(head) - 1;
	for (char *line = strsep(&rest, "\n"); line != NULL;
	     line = strsep(&rest, "\n")) {
		if (*line == '\0' || mark(d, line))
			continue;
		if (is_unasked(d, line)) {
			d->no_memory |=
			    !string_list_add(&d->unasked, line, strlen(line));
			continue;
		}
		changed = 1;
		for (char *tab = strchr(line, '\t'); tab != NULL;
		     tab = strchr(tab, '\t'))
			*tab = ' ';
		d->no_memory |= !string_list_add(&d->gone, line, strlen(line));
	}
	free(text);
	for (size_t i = 0; i < d->n; i++)
		changed |= finding_is_news(&d->v[i]) && !d->v[i].known;
	return changed;
}

static bool
write_all(const struct doctor *d, int fd)
{
	char line[LINE_LEN];
	/* fd itself stays open, for the caller */
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	FILE *to = copy == -1 ? NULL : fdopen(copy, "w");

	if (to == NULL) {
		if (copy != -1)
			(void)close(copy);
		return false;
	}
	(void)fputs(head, to);
	for (size_t i = 0; i < d->n; i++)
		if (finding_is_news(&d->v[i])) {
			format(&d->v[i], line);
			(void)fprintf(to, "%s\n", line);
		}
	for (size_t i = 0; i < d->unasked.n; i++)
		(void)fprintf(to, "%s\n", d->unasked.v[i]);
	bool ok = fflush(to) == 0 && !ferror(to);

	return fclose(to) == 0 && ok;
}

int
doctor_changes_save(const struct doctor *d, const char *path, struct err *err)
{
	struct place p;
	int ret = -1;

	if (place_open(&p, path, err) == -1)
		return -1;
	int fd = place_create(&p, err);

	if (fd != -1 && !write_all(d, fd))
		err_set(err, ERR_IO, "%.400s: %s", path, strerror(errno));
	else if (fd != -1)
		ret = place_commit(&p, fd, 0600, NULL, err);
	if (fd != -1)
		(void)close(fd);
	place_close(&p);
	return ret;
}
