/* SPDX-License-Identifier: ISC */
/* meter - what the milter's threads count while they work (to add a metric:
 * docs/HACKING.md). An atomic addition a decision, and two readings of the
 * clock where metrics are wanted. meter_metrics() prints them. */
#ifndef POPGATE_METER_H
#define POPGATE_METER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/db/audit.h"
#include "common/records/decision.h"
#include "common/records/limit.h"

/* Measure durations, too. Before any thread. */
void meter_start(bool durations);

/* Any thread. began_ns: what meter_begin() said when the request came. */
int64_t meter_begin(void);
void meter_duration(enum audit_channel channel, int64_t began_ns);

/* A recipient was decided on; the milter's only if the permit channel hadn't.
 * Any thread. */
void
meter_decision(enum audit_channel channel, const struct decision *decision);

/* The milter decided otherwise than the permit channel had. Any thread. */
void meter_overruled(const struct decision *decision);

/* Count relayed recipients that the client gave up before DATA. Any thread. */
void meter_aborted(uint64_t recipients);

/* An MTA has asked by this channel, if only by a connection. Any thread. */
void meter_asked(enum audit_channel channel);
/* When it did so last, by meter_asked() or meter_duration(): Unix seconds; 0:
 * not since the start. */
int64_t meter_asked_at(enum audit_channel channel);

/* Somebody went over this limit. Any thread. */
void meter_breach(enum limit limit);

/* Decisions since the start, and of the last minute. meter_tick() belongs
 * into a loop that turns every second or so. */
void meter_tick(void);
uint64_t meter_decisions(uint64_t *per_minute_r);

void meter_metrics(FILE *to);

#endif
