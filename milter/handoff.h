/* SPDX-License-Identifier: ISC */
/* handoff - what the permit channel permitted by a certificate, for the milter
 * that asks a moment later about the same recipient: Postfix tells a policy
 * service a certificate's fingerprint, but never a milter.
 * Threads: any. */
#ifndef POPGATE_HANDOFF_H
#define POPGATE_HANDOFF_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/addr.h"

/* One recipient of one connection. Strings are without <>. */
struct handoff {
	struct addr client;
	uint16_t port; /* the client's; 0: not known, never handed */
	const char *sender, *recipient;
};

/* Remember for HANDOFF_MS, or until HANDOFFS others came. What has no port or
 * is too long isn't remembered. */
enum { HANDOFF_MS = 10000, HANDOFFS = 256 };
void handoff_give(const struct handoff *h, int64_t now_ms);

/* Was exactly this handed over, and not taken yet? Takes it. */
bool handoff_take(const struct handoff *h, int64_t now_ms);

#endif
