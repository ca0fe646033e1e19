/* SPDX-License-Identifier: ISC */
#include "milter/permit_cache.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/base/siphash.h"

/* Recipients that may be between two lists at a time; where there are more, a
 * recipient is decided anew, and recorded a second time. */
enum { BUCKETS = 128, WAYS = 4, TEXT_MAX = 700 };

static struct slot {
	char text[TEXT_MAX]; /* what is asked about; "": free */
	int64_t at_ms;
	unsigned lists; /* a bit for each that has asked */
	struct permit_cache_answer answer;
} slots[BUCKETS][WAYS];

/* Everything that the answer hangs on; false: it can't be remembered. */
static bool
text_of(const struct protocol_request *req, char *text)
{
	if (req->kind != PROTOCOL_POLICY || req->list == LIST_UNKNOWN ||
	    *req->session == '\0')
		return false;
	/* no line feed can be in an attribute */
	int n = snprintf(text, TEXT_MAX, "%s\n%s\n%s\n%s\n%s", req->session,
	    req->client, req->auth_user, req->sender, req->recipient);

	return n > 0 && n < TEXT_MAX;
}

/* Instances are Postfix's own, not a client's choice: no secret key, for what
 * it chooses is compared as a whole. */
static struct slot *
bucket_of(const struct protocol_request *req)
{
	static const uint64_t key[2] = { 3, 4 };

	return slots[siphash(key, req->session, strlen(req->session)) %
	    BUCKETS];
}

static struct slot *
find(struct slot *bucket, const char *text)
{
	for (int i = 0; i < WAYS; i++)
		if (strcmp(bucket[i].text, text) == 0)
			return &bucket[i];
	return NULL;
}

bool
permit_cache_find(const struct protocol_request *req, int64_t now_ms,
    struct permit_cache_answer *answer_r)
{
	char text[TEXT_MAX];
	struct slot *s = text_of(req, text) ? find(bucket_of(req), text) : NULL;
	unsigned bit = 1U << req->list;

	if (s == NULL || (s->lists & bit) != 0 || now_ms < s->at_ms ||
	    now_ms - s->at_ms > PERMIT_CACHE_MS)
		return false;
	s->lists |= bit;
	*answer_r = s->answer;
	return true;
}

void
permit_cache_add(const struct protocol_request *req, int64_t now_ms,
    const struct permit_cache_answer *answer)
{
	char text[TEXT_MAX];

	if (!text_of(req, text))
		return;
	struct slot *bucket = bucket_of(req), *s = find(bucket, text);

	for (int i = 0; i < WAYS && s == NULL; i++)
		if (*bucket[i].text == '\0')
			s = &bucket[i];
	if (s == NULL) {
		s = bucket;
		for (int i = 1; i < WAYS; i++)
			if (bucket[i].at_ms < s->at_ms)
				s = &bucket[i];
	}
	if (answer == NULL) {
		if (strcmp(s->text, text) == 0)
			*s->text = '\0';
		return;
	}
	(void)snprintf(s->text, sizeof(s->text), "%s", text);
	s->at_ms = now_ms;
	s->lists = 1U << req->list;
	s->answer = *answer;
}

void
permit_cache_clear(void)
{
	memset(slots, 0, sizeof(slots));
}
