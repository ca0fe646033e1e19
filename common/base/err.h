/* SPDX-License-Identifier: ISC */
/* err - how a function says why it failed.
 * Modules return an answer or -1 and fill a struct err; only programs log. */
#ifndef POPGATE_ERR_H
#define POPGATE_ERR_H

#include <stddef.h>

enum err_code {
	ERR_NONE = 0,
	ERR_INVALID, /* bad input: text says what was expected */
	ERR_BUSY, /* a lock was held longer than we wait; retry is safe */
	ERR_IO, /* the system said no; text holds path and errno text */
	ERR_CORRUPT, /* not a database, or a damaged one */
	ERR_VERSION, /* written by a newer popgate */
	ERR_EMPTY, /* nothing is in it yet; its writer may be about to fill it
		    */
	ERR_NOMEM
};

enum { ERR_TEXT_MAX = 512 };

struct err {
	enum err_code code;
	char text[ERR_TEXT_MAX];
};

/* Fill err, which may be NULL. The text is cut at ERR_TEXT_MAX - 1 bytes.
 * Threads: any, one per struct err. */
void err_set(struct err *err, enum err_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Set ERR_NOMEM with the text "out of memory: WHAT needs N MB". What the
 * process may have is added by daemon_fail(). */
void err_nomem(struct err *err, const char *what, size_t bytes);

/* Put "where: " before the text, to say in which setting it is wrong; where or
 * err NULL, or no memory: as it was. */
void err_locate(struct err *err, const char *where);

#endif
