/* SPDX-License-Identifier: ISC */
/* process - what popgate-milter asks of the system for the whole process:
 * which thread gets signals, how much memory threads take, and how its
 * descriptors are shared between libmilter and the rest. The main thread's. */
#ifndef POPGATE_PROCESS_H
#define POPGATE_PROCESS_H

#include <signal.h>

/* Block the signals that the main thread waits for, in this thread and all that
 * it makes; ignore SIGPIPE. Before the first thread. */
void process_block_signals(void);

/* The signals that process_block_signals() blocks, for sigtimedwait(). */
void process_signals(sigset_t *set_r);

/* Keep glibc from holding on to memory of threads that have ended. Before the
 * first thread. */
void process_spare_memory(void);

/* Raise the limit of open descriptors as far as it goes. Returns how many this
 * process may have open, at most 1048576. */
unsigned process_raise_files(void);

/* How many connections the permit channel may have open, of so many
 * descriptors. */
unsigned process_permit_connections(unsigned files);

/* How many descriptors are open, counting those that libmilter opens when it
 * starts. 0 when even that can't be asked. */
unsigned process_files_used(void);

/* How libmilter and the others share the descriptors. */
struct process_share {
	unsigned sessions; /* milter sessions that there is room for; > 0 */
	int others_from; /* libmilter gets the descriptors below this one */
};

/* Share the descriptors of which used are open for good. */
struct process_share process_share_files(unsigned files, unsigned used);

#endif
