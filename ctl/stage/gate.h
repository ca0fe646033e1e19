/* SPDX-License-Identifier: ISC */
/* gate - the copy's own popgate-milter: its configuration, its tables, and
 * the process. All in the room (room.h), by its first process. */
#ifndef POPGATE_STAGE_GATE_H
#define POPGATE_STAGE_GATE_H

#include <stdint.h>
#include <sys/types.h>

#include "common/base/addr.h"

struct config;
struct err;

struct stage_gate {
	const struct config *cfg; /* borrowed */
	const char *milter; /* the program; borrowed */
	pid_t pid; /* 0: it isn't running */
	int log; /* what its standard error is; borrowed */
};

/* Write popgate.conf, make the directories of the sockets, and the empty
 * tables. 0, or -1 with err. */
int stage_gate_prepare(const struct stage_gate *g, struct err *err);

/* Start it and wait until it answers; 0 also when it runs. Or -1 with err,
 * which says what it complained about. */
int stage_gate_start(struct stage_gate *g, int timeout_ms, struct err *err);

/* End it as kill -9 does. */
void stage_gate_kill(struct stage_gate *g);

/* A login of user from client at now, that counts for an hour. 0, or -1. */
int stage_gate_login(const struct addr *client, const char *user,
    uint8_t ipv6_prefix, struct err *err);

struct stage_decision;

/* All decisions on record, for free(3): how many, or -1 with err. */
int64_t stage_gate_decisions(struct stage_decision **v_r, struct err *err);

#endif
