/* SPDX-License-Identifier: ISC */
/* handoff_certificate - what the permit channel permitted by a certificate, for
 * the milter that asks a moment later about the same recipient: Postfix tells a
 * policy service a certificate's fingerprint, but never a milter. Threads: any.
 */
#ifndef POPGATE_HANDOFF_CERTIFICATE_H
#define POPGATE_HANDOFF_CERTIFICATE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/addr.h"

/* One recipient of one connection. Strings are without <>. */
struct handoff_certificate {
	struct addr client;
	uint16_t port; /* the client's; 0: not known, never handed */
	const char *sender, *recipient;
};

/* Remember for HANDOFF_CERTIFICATE_MS, or until HANDOFF_CERTIFICATE_MAX others
 * came. What has no port or is too long isn't remembered. */
enum { HANDOFF_CERTIFICATE_MS = 10000, HANDOFF_CERTIFICATE_MAX = 256 };
void
handoff_certificate_give(const struct handoff_certificate *h, int64_t now_ms);

/* Was exactly this handed over, and not taken yet? Takes it. */
bool
handoff_certificate_take(const struct handoff_certificate *h, int64_t now_ms);

#endif
