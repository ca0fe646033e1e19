/* SPDX-License-Identifier: ISC */
/* files - who may change a file that somebody trusts, and which name popgate?
 */
#ifndef POPGATE_DOCTOR_FILES_H
#define POPGATE_DOCTOR_FILES_H

#include <stdbool.h>

struct config;
struct doctor;
struct finding_at;

/* Add finding id when any user of the machine can change path or put another
 * in its place: it, or a directory above it, is writable for all (a directory
 * with the sticky bit counts only for what doesn't exist yet). Nothing for a
 * missing file in a safe directory. at: its file is replaced by path. */
void doctor_check_writable(struct doctor *d, const char *id, const char *path);

/* Does the text of a mail server's configuration name one of popgate's sockets,
 * or a file of popgate's that does? */
bool doctor_names_popgate(const struct config *cfg, const char *text);

#endif
