/* SPDX-License-Identifier: ISC */
/* status - what the collector says on its pages for monitoring (health.h).
 * Other threads than the collector's serve them: they look at the table
 * themselves, and at what the collector told last, so that a loop that hangs
 * shows. How to add a metric: docs/HACKING.md, "Adding a metric". */
#ifndef POPGATE_COLLECTOR_STATUS_H
#define POPGATE_COLLECTOR_STATUS_H

struct collect_figures;
struct config;

/* Serve the pages that cfg asks for. cfg is borrowed until this returns. */
void status_open(const struct config *cfg);

/* How the loop is doing; once a turn. */
void status_tell(const struct collect_figures *figures);

void status_close(void);

#endif
