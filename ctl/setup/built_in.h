/* SPDX-License-Identifier: ISC */
/* built_in - files of this tree that setup needs, as strings: a system where
 * they aren't installed, or have been removed, gets the same ones. */
#ifndef POPGATE_BUILT_IN_H
#define POPGATE_BUILT_IN_H

extern const char built_in_popgate_conf[]; /* etc/popgate.conf */
extern const char built_in_sysusers[]; /* etc/systemd/popgate.sysusers */
extern const char built_in_tmpfiles[]; /* etc/systemd/popgate.tmpfiles */

#endif
