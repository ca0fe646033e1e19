/* SPDX-License-Identifier: ISC */
/* causes - why logins that stand in a log don't count, and what would take
 * them. Pure. */
#ifndef POPGATE_CAUSES_H
#define POPGATE_CAUSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/zone.h"
#include "common/records/fate.h"

enum { CAUSE_TEXT_MAX = 900 };

struct cause {
	enum fate fate;
	const char *server; /* "" nobody's we know */
	int64_t lines;
	const char *sample; /* one of these lines, escaped; "" none */
	/* when that was read; and the zone of its source. For FATE_LATE. */
	int64_t read_at;
	struct zone zone;
};

/* Write why, with the number of lines and the sample, for people. false: this
 * fate needs no words. */
bool cause_words(const struct cause *cause, char *buf, size_t size);

#endif
