/* SPDX-License-Identifier: ISC */
#include "common/mta/conf_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/err.h"

char *
conf_file_read(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	char *text;

	if (fd == -1 || fstat(fd, &st) == -1) {
		int error = errno;

		if (fd != -1)
			(void)close(fd);
		errno = error;
		return NULL;
	}
	if (!S_ISREG(st.st_mode) || st.st_size > CONF_FILE_MAX) {
		(void)close(fd);
		errno = S_ISREG(st.st_mode) ? EFBIG : EINVAL;
		return NULL;
	}
	size_t size = (size_t)st.st_size, len = 0;

	text = malloc(size + 1);
	while (text != NULL && len < size) {
		ssize_t n = read(fd, text + len, size - len);

		if (n > 0)
			len += (size_t)n;
		else if (n == 0 || errno != EINTR)
			break;
	}
	(void)close(fd);
	if (text != NULL) {
		for (size_t i = 0; i < len; i++)
			if (text[i] == '\0')
				text[i] = '?';
		text[len] = '\0';
	}
	return text;
}

int
conf_file_lines(const char *path, conf_line_fn *fn, void *arg, struct err *err)
{
	FILE *in = fopen(path, "re");
	char *line = NULL, where[600];
	size_t size = 0;
	unsigned n = 0;
	ssize_t len;
	int ret = 0;

	if (in == NULL) {
		err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
		return -1;
	}
	while (ret == 0 && (len = getline(&line, &size, in)) != -1) {
		(void)snprintf(where, sizeof(where), "%.500s:%u", path, ++n);
		ret = fn(arg, line, (size_t)len, where, err);
	}
	/* without memory for a line getline() ends, and ferror() is false */
	if (ret == 0 && !feof(in)) {
		err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
		ret = -1;
	}
	free(line);
	(void)fclose(in);
	return ret;
}
