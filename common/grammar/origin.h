/* SPDX-License-Identifier: ISC */
/* origin - may a process, as journald describes it, speak for a mail server?
 * Pure but for only_root; any thread. */
#ifndef POPGATE_ORIGIN_H
#define POPGATE_ORIGIN_H

#include <stdbool.h>

#include "common/grammar/prefix.h"
#include "common/grammar/programs.h"

/* May it speak for program? As parser_may_speak() says.
 *   p          what t has for program
 *   only_root  as in struct parser_options */
bool origin_may_speak(const struct programs *t, const struct program *p,
    struct span program, const struct prefix_origin *origin,
    bool (*only_root)(const char *path, size_t len));

/* Is it the name of a unit that the system starts, not a person? */
bool origin_unit_of_system(const char *unit);

#endif
