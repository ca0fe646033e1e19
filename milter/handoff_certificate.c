/* SPDX-License-Identifier: ISC */
#include "milter/handoff_certificate.h"

#include <stdio.h>
#include <string.h>

#include "common/base/guarded.h"

enum { TEXT_MAX = 340 };

struct slot {
	struct addr client;
	uint16_t port; /* 0: free */
	int64_t until_ms;
	char sender[TEXT_MAX], recipient[TEXT_MAX];
};

static struct mutex mtx = MUTEX_INITIALIZER;
static struct {
	struct slot slot[HANDOFF_CERTIFICATE_MAX];
	unsigned next;
} handoffs GUARDED_BY(mtx);

static bool
usable(const struct handoff_certificate *h)
{
	return h->port != 0 && h->client.family != ADDR_NONE &&
	    h->sender != NULL && strlen(h->sender) < TEXT_MAX &&
	    h->recipient != NULL && strlen(h->recipient) < TEXT_MAX;
}

void
handoff_certificate_give(const struct handoff_certificate *h, int64_t now_ms)
{
	if (!usable(h))
		return;
	mutex_lock(&mtx);
	struct slot *s =
	    &handoffs.slot[handoffs.next++ % HANDOFF_CERTIFICATE_MAX];

	s->client = h->client;
	s->port = h->port;
	s->until_ms = now_ms + HANDOFF_CERTIFICATE_MS;
	(void)snprintf(s->sender, TEXT_MAX, "%s", h->sender);
	(void)snprintf(s->recipient, TEXT_MAX, "%s", h->recipient);
	mutex_unlock(&mtx);
}

bool
handoff_certificate_take(const struct handoff_certificate *h, int64_t now_ms)
{
	bool found = false;

	if (!usable(h))
		return false;
	mutex_lock(&mtx);
	for (unsigned i = 0; i < HANDOFF_CERTIFICATE_MAX && !found; i++) {
		struct slot *s = &handoffs.slot[i];

		if (s->port != h->port || now_ms >= s->until_ms ||
		    !addr_equal(&s->client, &h->client) ||
		    strcmp(s->sender, h->sender) != 0 ||
		    strcmp(s->recipient, h->recipient) != 0)
			continue;
		s->port = 0;
		found = true;
	}
	mutex_unlock(&mtx);
	return found;
}
