/* SPDX-License-Identifier: ISC */
/* conf_file - the text of a configuration file of an MTA. */
#ifndef POPGATE_CONF_FILE_H
#define POPGATE_CONF_FILE_H

enum { CONF_FILE_MAX = 16 << 20 /* bytes; more is an error */ };

/* Read a regular file whole, NUL bytes made '?'. Returns its text, to be freed
 * by the caller, or NULL with errno: EINVAL when it is no regular file, EFBIG
 * when it is too large. Any thread. */
char *conf_file_read(const char *path);

#endif
