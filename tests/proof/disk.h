/* SPDX-License-Identifier: ISC */
/* disk - a disk that loses its power, below the databases of a test: SQLite's
 * default VFS, which lets everything through to a real directory and remembers
 * what nobody has synced. When the power goes, each unsynced write may be
 * there, missing, torn by sectors of 512 bytes, or of random bytes; each
 * truncation, new name and deletion may have happened or not; in any order.
 *
 * A life of a test is: disk_power() or disk_process() to say how it ends,
 * the code under test, disk_return(). Any number of threads; one disk. */
#ifndef POPGATE_DISK_H
#define POPGATE_DISK_H

#include <stdbool.h>
#include <stdint.h>

/* Look after the databases in dir (borrowed), an empty directory. The numbers
 * of chance begin at seed. All handles of the directory before must be closed.
 */
void disk_begin(const char *dir, uint64_t seed);

/* From 0 to n - 1, by the same seed. */
unsigned disk_chance(unsigned n);

/* After so many writes, truncations, syncs, new files and deletions the power
 * goes, or the process ends with all that it has written in the kernel. From
 * then on each of them fails. 0: at once. */
void disk_power(unsigned operations);
void disk_process(unsigned operations);

/* Everything is off: what the code under test says now, nobody hears. */
bool disk_is_off(void);

/* Was it the power that went? */
bool disk_ended_by_power(void);

/* Call say(arg) if somebody hears it: as one step with what the disk does. */
bool disk_answer(void (*say)(void *arg), void *arg);

/* How many operations there were since the last of these calls. */
unsigned disk_operations(void);

/* The files of the directory become what there is now; all handles must be
 * closed. */
void disk_return(void);

/* For a test of the test: syncs say that they were done, and weren't. */
extern bool disk_lies;

#endif
