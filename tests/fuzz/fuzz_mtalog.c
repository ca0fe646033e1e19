/* SPDX-License-Identifier: ISC */
/* Lines of a mail log: whatever is found lies inside the line. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "ctl/incident/mtalog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *low, *high;

static void
inside(struct span s)
{
	if (s.p == NULL) {
		assert(s.end == NULL);
		return;
	}
	assert(s.p <= s.end && s.p >= low && s.end <= high);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const programs[] = { "postfix/smtpd", "postfix/qmgr",
		"postfix/smtp", "postfix/bounce", "postfix/pickup",
		"postfix/local", "sendmail", "sm-mta", "postfix/cleanup" };
	struct prefix prefix = { .form = PREFIX_SYSLOG };
	struct mtalog m;

	if (size < 1)
		return 0;
	const char *program = programs[data[0] % 9];

	low = (const char *)data + 1;
	high = (const char *)data + size;
	prefix.program = span_of(program, strlen(program));
	prefix.msg = (struct span){ low, high };
	bool found = mtalog_parse(&prefix, &m);

	assert(found == (m.kind != MTALOG_OTHER));
	if (!found)
		return 0;
	assert(m.kind == MTALOG_AUTH || !span_empty(m.queue_id));
	inside(m.queue_id);
	inside(m.client);
	inside(m.user);
	inside(m.sender);
	inside(m.recipient);
	inside(m.orig_to);
	inside(m.child);
	inside(m.message_id);
	struct span a;
	bool typed;

	while (mtalog_recipient(&m.list, &a, &typed))
		inside(a);
	return 0;
}
