/* SPDX-License-Identifier: ISC */
#include "common/grammar/streams.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

bool
stream_id_good(size_t len)
{
	return len > 0 && len < STREAM_ID_SIZE;
}

struct stream *
streams_at(struct streams *s, const char *id, size_t len)
{
	uint32_t h = 0;

	for (size_t i = 0; i < len; i++)
		h = h * 31 + (unsigned char)id[i];
	return &s->v[h * 0x9E3779B1u >> 24 & (STREAMS - 1)];
}

bool
stream_is(const struct stream *s, const char *id, size_t len)
{
	return stream_id_good(len) && strlen(s->id) == len &&
	    memcmp(s->id, id, len) == 0;
}

void
stream_set(struct stream *s, const char *id, size_t len, bool cut)
{
	assert(stream_id_good(len));
	memcpy(s->id, id, len);
	s->id[len] = '\0';
	s->cut = cut;
}
