/* refresh - reads the lists anew (relay.local_domains, relay.sender_addresses)
 * when the files they came from have changed. The main thread's. */
#ifndef POPGATE_REFRESH_H
#define POPGATE_REFRESH_H

/* The newest configuration was read now: watch its files. */
void refresh_watch(void);

/* Look, and act; every second or so. */
void refresh_tick(void);

#endif
