/* SPDX-License-Identifier: ISC */
/* conf_file - a configuration file, whole or line by line. */
#ifndef POPGATE_CONF_FILE_H
#define POPGATE_CONF_FILE_H

#include <stddef.h>

struct err;

enum { CONF_FILE_MAX = 16 << 20 /* bytes; more is an error */ };

/* Read a regular file whole, NUL bytes made '?'. Returns its text, to be freed
 * by the caller, or NULL with errno: EINVAL when it is no regular file, EFBIG
 * when it is too large. Any thread. */
char *conf_file_read(const char *path);

/* One line, which fn may change. The line ends at the first NUL byte, which may
 * stand before len.
 *   where  "path:7", for an error
 * Returns 0, or -1 with err to end. */
typedef int conf_line_fn(
    void *arg, char *line, size_t len, const char *where, struct err *err);

/* Give the lines of a file to fn. Returns 0, or -1 with err: fn's, or ERR_IO
 * when the file can't be read. Any thread. */
int
conf_file_lines(const char *path, conf_line_fn *fn, void *arg, struct err *err);

#endif
