/* SPDX-License-Identifier: ISC */
/* source - where log lines come from: a file, the systemd journal, standard
 * input, or a Unix datagram socket; or logins that servers tell themselves.
 * Logs nothing: notes go to a callback. One thread at a time. */
#ifndef POPGATE_SOURCE_H
#define POPGATE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config/config.h"
#include "common/records/line.h"

struct err;
struct source;

enum source_state {
	SOURCE_END, /* all there is now has been read */
	SOURCE_MORE, /* stopped early: read again without waiting */
	SOURCE_CLOSED, /* there will never be more (standard input) */
	SOURCE_MISSING /* not there: what it says is not known */
};

struct source_options {
	const struct mark *mark; /* of an earlier run; NULL: none */
	int64_t since; /* first start: how far to look back */
	void (*note)(void *arg, int priority, const char *text);
	void *note_arg;
};

/* Open what cfg (borrowed until this returns) names. 0, or -1 with err. */
int source_open(const struct config_source *cfg,
    const struct source_options *options, struct source **s_r, struct err *err);
void source_close(struct source **s); /* NULL-safe; sets NULL */

/* Readable when there may be something to read; read every second anyway. */
int source_fd(const struct source *s);

/* How often to read also when nothing is readable, ms; 0: no need. */
int source_poll_ms(const struct source *s);

/* Give new lines to fn until it returns false, or about budget bytes are
 * read. Returns an enum source_state, or -1 with err: it can't be read now. */
int source_read(
    struct source *s, size_t budget, line_fn *fn, void *arg, struct err *err);

/* Answer the sender of the line that fn is being given, where a source takes
 * questions: by a word, what became of it. */
void source_answer(struct source *s, const char *reason);

/* Where reading stands behind the last line given to fn. */
void source_mark(struct source *s, struct mark *mark);

/* Fill only device, inode and position of the mark, which costs nothing: the
 * fingerprint is thousands of bytes of text. */
void source_place(struct source *s, struct mark *mark);

/* The functions of a kind of source, for source_*.c. */
struct source_ops {
	int (*open)(const struct config_source *cfg,
	    const struct source_options *options, void **impl_r,
	    struct err *err);
	void (*close)(void *impl);
	int (*fd)(const void *impl);
	int poll_ms;
	int (*read)(
	    void *impl, size_t budget, line_fn *fn, void *arg, struct err *err);
	void (*answer)(void *impl, const char *reason); /* or NULL */
	void (*mark)(void *impl, struct mark *mark); /* or NULL */
	void (*place)(void *impl, struct mark *mark); /* NULL: as mark */
};

extern const struct source_ops source_file_ops, source_journal_ops,
    source_stdin_ops, source_socket_ops, source_login_ops;

#endif
