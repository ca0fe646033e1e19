/* SPDX-License-Identifier: ISC */
/* public_suffix - names below which strangers have theirs. Pure. */
#ifndef POPGATE_PUBLIC_SUFFIX_H
#define POPGATE_PUBLIC_SUFFIX_H

#include <stdbool.h>

/* Can anybody get a name below this one ("com", "co.uk")? */
bool is_public_suffix(const char *word);

#endif
