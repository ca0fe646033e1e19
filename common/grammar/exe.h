/* SPDX-License-Identifier: ISC */
/* exe - could anybody but root have put an executable where it is? For places
 * that packages don't fill, as /usr/local and /opt. Looks at the disk as it is
 * now; any thread. */
#ifndef POPGATE_EXE_H
#define POPGATE_EXE_H

#include <stdbool.h>
#include <stddef.h>

/* path, of len bytes, is absolute and without symbolic links, as the kernel
 * writes it. True when the file and all directories above it are root's, and
 * nobody else may write there. The file itself may be gone, after an upgrade.
 * What can't be looked at, as in a container, is nobody's word. */
bool exe_only_root(const char *path, size_t len);

#endif
