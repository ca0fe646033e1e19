/* status - the milter's pages for monitoring: /health on the status socket,
 * /metrics where it is wanted. What can't be served is said in the log and
 * keeps no mail. */
#ifndef POPGATE_STATUS_H
#define POPGATE_STATUS_H

#include "common/config/config.h"

/* After gate_start(). cfg is borrowed until this returns. */
void status_open(const struct config *cfg);

/* We are stopping: said in the pages. Any thread. */
void status_draining(void);

/* Before what the pages tell of goes away. */
void status_close(void);

#endif
