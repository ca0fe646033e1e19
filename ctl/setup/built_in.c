/* SPDX-License-Identifier: ISC */
#include "ctl/setup/built_in.h"

/* A file of this tree as a string; the compiler runs at its top. */
/* NOLINTBEGIN: strings are joined here */
#define BUILT_IN(name, file)                                     \
	__asm__(".pushsection .rodata\n.globl " #name "\n" #name \
		":\n\t.incbin \"" file "\"\n\t.byte 0\n"         \
		".popsection\n")
/* NOLINTEND */

BUILT_IN(built_in_popgate_conf, "etc/popgate.conf");
BUILT_IN(built_in_sysusers, "etc/systemd/popgate.sysusers");
BUILT_IN(built_in_tmpfiles, "etc/systemd/popgate.tmpfiles");
