/* SPDX-License-Identifier: ISC */
/* gate_config - the configuration in force, and what was read because of it.
 * Constant once loaded, shared, counted: a connection of the milter keeps the
 * one that it began with, the permit channel takes the newest for each request.
 * Everything here may be called by any thread at any time. */
#ifndef POPGATE_GATE_CONFIG_H
#define POPGATE_GATE_CONFIG_H

#include <stdint.h>

#include "common/config/config.h"
#include "common/policy/facts.h"

struct err;

struct gate_config {
	struct config *cfg;
	struct facts_lists lists;
	int64_t read_ms; /* Unix time when reading the lists began */
	struct gate_config *cfg_of; /* whose cfg is; NULL: its own */
	unsigned refs; /* guarded by gate_config.c */
};

/* Read and check everything that a configuration names. Runs programs. 0 and a
 * configuration that the caller gives to gate_config_swap() or frees, or -1
 * with err. */
int
gate_config_load(const char *path, struct gate_config **gc_r, struct err *err);
/* NULL-safe; for one that was never given away. */
void gate_config_free(struct gate_config *gc);

/* Load the lists of the newest configuration anew, but not the file itself,
 * which may be half edited. As gate_config_load(). */
int gate_config_renew(struct gate_config **gc_r, struct err *err);

/* Take a counted reference to the newest configuration; give it back. */
struct gate_config *gate_config_take(void);
void gate_config_give(struct gate_config *gc);

/* Make gc the newest, at the start and at a reload; it is owned here from now
 * on. The old one goes with its last user. */
void gate_config_swap(struct gate_config *gc);

#endif
