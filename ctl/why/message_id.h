/* SPDX-License-Identifier: ISC */
/* message_id - which messages carried a Message-ID, by the MTA's log: the
 * queue ids that the record of decisions knows them by. */
#ifndef POPGATE_MESSAGE_ID_H
#define POPGATE_MESSAGE_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ctl;

enum { MESSAGE_QUEUE_ID_MAX = 32, MESSAGES_MAX = 50 };

struct message {
	char queue_id[MESSAGE_QUEUE_ID_MAX];
	int64_t at; /* Unix seconds of the log line */
};

/* More than one message may carry it: its sender made it up. */
struct messages {
	struct message v[MESSAGES_MAX];
	size_t n;
	bool more; /* than there is room for: the newest are kept */
};

/* Look text, with or without brackets, up in the logs of collector.sources,
 * or in log (not NULL). Returns 0 also when none is found; or an exit status
 * after having said why. */
int message_id_find(
    struct ctl *ctl, const char *text, const char *log, struct messages *found);

#endif
