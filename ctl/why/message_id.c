/* SPDX-License-Identifier: ISC */
#include "ctl/why/message_id.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "ctl/ctl.h"
#include "ctl/incident/maillog.h"

enum { ID_MAX = 998 }; /* RFC 5322 section 2.1.1: a line's length */

struct search {
	struct messages *found;
	char bare[ID_MAX + 1]; /* without brackets */
};

/* The field itself decides alone: the text stands in lines of senders and
 * recipients as well. */
static void
take_line(
    void *arg, const struct mtalog *m, struct span raw, int64_t pid, int64_t at)
{
	struct search *s = arg;
	struct messages *found = s->found;
	struct span id = m->message_id;

	assert(found->n <= MESSAGES_MAX);
	(void)raw;
	(void)pid;
	if (SPAN_TAKE(&id, "<"))
		(void)SPAN_CHOP(&id, ">");
	if (span_empty(id) || !span_equals(id, s->bare, strlen(s->bare)) ||
	    span_len(m->queue_id) >= MESSAGE_QUEUE_ID_MAX)
		return;
	for (size_t i = 0; i < found->n; i++)
		if (span_equals(m->queue_id, found->v[i].queue_id,
			strlen(found->v[i].queue_id)))
			return;
	if (found->n == MESSAGES_MAX) {
		memmove(found->v, found->v + 1,
		    sizeof(found->v) - sizeof(found->v[0]));
		found->n--;
		found->more = true;
	}
	struct message *message = &found->v[found->n++];

	message->at = at;
	(void)snprintf(message->queue_id, sizeof(message->queue_id), "%.*s",
	    (int)span_len(m->queue_id), m->queue_id.p);
}

int
message_id_find(
    struct ctl *ctl, const char *text, const char *log, struct messages *found)
{
	struct search s = { .found = found };
	struct maillog_stats stats = { 0 };
	size_t len = strlen(text);

	memset(found, 0, sizeof(*found));
	if (len > 2 && text[0] == '<' && text[len - 1] == '>') {
		text++;
		len -= 2;
	}
	if (len == 0 || len > ID_MAX)
		return 0;
	(void)snprintf(s.bare, sizeof(s.bare), "%.*s", (int)len, text);
	int rc = maillog_configured(ctl, log, ctl->now - ctl->cfg->audit.keep_s,
	    s.bare, take_line, &s, &stats);

	if (rc == -1)
		return ctl_fail(ctl, EX_NOINPUT,
		    "collector.sources names no log file to look a message-id up in; use --log FILE");
	return rc;
}
