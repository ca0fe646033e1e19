/* SPDX-License-Identifier: ISC */
/* room - namespaces of our own in which all of the machine is read-only, but
 * for directories of ours in memory that cover some of it.
 *
 * For a process that is to end: nothing here leads back. Whatever is made is
 * seen by this process and those it starts, and gone with the last of them. */
#ifndef POPGATE_ROOM_H
#define POPGATE_ROOM_H

#include <stdbool.h>
#include <sys/types.h>

struct err;

/* Where the room's own things are, in the room. */
#define ROOM_DIR "/run/popgate-stage"
/* The machine as it is, below this prefix, read-only. Only root gets there:
 * the directory above it is 0700, while the mounted root has the machine's
 * own mode. */
#define ROOM_BEHIND ROOM_DIR "/behind"
#define ROOM_REAL ROOM_BEHIND "/real"

/* Say whether this process may make a room: 0, or -1 with err, which says what
 * is missing (root, namespaces). Makes nothing. */
int room_possible(struct err *err);

/* Leave the machine's namespaces for network, mounts, IPC, host name and
 * processes. The next child is the first process of the room; when it ends,
 * the kernel ends all others. 0, or -1 with err. */
int room_leave(struct err *err);

/* In that child: make the machine read-only, its devices unusable, and /run,
 * /dev and /proc the room's own. A program that is started afterwards by root
 * has the rights over files and users that a mail server needs, and none over
 * mounts, devices, the network or other processes. 0, or -1 with err. */
int room_furnish(struct err *err);

/* Take ROOM_REAL away: sockets of the machine that root could connect to are
 * below it. 0, or -1 with err. */
int room_part(struct err *err);

/* Is this file or directory what root, and nobody else, may change or replace?
 * The copy runs as root what it names. 0, or -1 with err, which names what is
 * somebody else's. */
int room_trusts(const char *path, struct err *err);

enum room_keep {
	ROOM_EMPTY, /* nothing of what is there */
	ROOM_ENTRIES, /* every entry, read-only, but sockets and pipes */
	/* The same in each directory below, however deep. Files that aren't
	 * large (4 MiB) are copies, which can be replaced: the script that
	 * starts Debian's Postfix does so in a chroot. */
	ROOM_TREE
};

/* The fate of one entry. */
enum room_fate { ROOM_KEPT, ROOM_LEFT_OUT, ROOM_EMPTIED };

/* Cover a directory by one of ours with the same owner and mode.
 *   fate  is asked for each entry of path itself; an emptied one is a
 *         directory with the same owner and mode; NULL: all are kept
 * 0, or -1 with err. */
int room_cover(const char *path, enum room_keep keep,
    enum room_fate (*fate)(const char *name), struct err *err);

/* Make sure that files can be made in the directory path: it exists and is
 * ours, with what it holds on the machine (ROOM_ENTRIES). 0, or -1. */
int room_writable(const char *path, struct err *err);

/* A copy of a regular file, with owner, mode and times. The directory of to
 * must be ours, and hold no such name. 0, or -1 with err. */
int room_copy(const char *from, const char *to, struct err *err);

/* Put text in the place of a file, which need not be there if its directory is
 * ours. 0, or -1 with err. */
int room_file(const char *path, const char *text, mode_t mode, struct err *err);

/* A new regular file; its directory must be ours. 0, or -1 with err. */
int
room_write(const char *path, const char *text, mode_t mode, struct err *err);

/* Let a Unix socket of the machine be seen in the room. 0, also when there is
 * none at this path, or -1 with err. */
int room_socket(const char *path, struct err *err);

/* Let the machine's resolver ask the room's own name server, on loopback. */
int room_resolver(struct err *err);

/* Let this resolv.conf name the room's own name server, on loopback. */
int room_names(const char *path, struct err *err);

#endif
