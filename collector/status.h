/* status - the collector's pages for monitoring: /health on the status
 * socket, /metrics where it is wanted. Another thread than the collector's
 * serves them: it looks at the table by itself, and at what it was told last,
 * so a loop that hangs shows. What can't be served is said in the log. */
#ifndef POPGATE_STATUS_H
#define POPGATE_STATUS_H

struct collect_figures;
struct config;

/* cfg is borrowed until this returns. */
void status_open(const struct config *cfg);

/* How the loop is doing; once a turn. */
void status_tell(const struct collect_figures *figures);

void status_close(void);

#endif
