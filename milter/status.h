/* SPDX-License-Identifier: ISC */
/* status - what the milter says on its pages for monitoring (health.h); meter.c
 * prints the counts. How to add a metric: docs/HACKING.md, "Adding a metric". */
#ifndef POPGATE_MILTER_STATUS_H
#define POPGATE_MILTER_STATUS_H

struct config;

/* Serve the pages that cfg asks for, until health_close(). After gate_start().
 *   cfg  borrowed until this returns */
void status_open(const struct config *cfg);

#endif
