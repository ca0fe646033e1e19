/* SPDX-License-Identifier: ISC */
/* A message with very many recipients hands its rows over in batches: the sum
 * of them. */
#include <assert.h>

#include "common/base/clock.h"
#include "common/db/audit.h"

void
audit_receipt_add(struct audit *a, struct audit_receipt *receipt,
    struct audit_row *list, int timeout_ms)
{
	int64_t began_ms = clock_monotonic_ms();

	assert(timeout_ms >= 0);
	if (list == NULL)
		return;
	if (receipt->ticket != 0 && !audit_wait(a, receipt->ticket, timeout_ms))
		receipt->lost = true;
	int64_t left_ms = timeout_ms - (clock_monotonic_ms() - began_ms);

	receipt->ticket =
	    audit_submit_wait(a, list, true, left_ms > 0 ? (int)left_ms : 0);
	if (receipt->ticket == 0)
		receipt->lost = true;
}

bool
audit_receipt_wait(
    struct audit *a, struct audit_receipt *receipt, int timeout_ms)
{
	/* what was lost already is no reason to wait */
	return !receipt->lost && audit_wait(a, receipt->ticket, timeout_ms);
}
