/* SPDX-License-Identifier: ISC */
/* An SMTP server's bytes, in two pieces: memory stays bounded, the text is a
 * string, and the pieces make no difference. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "ctl/smtp/smtp_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum smtp_result
feed(struct smtp_parser *p, const char *data, size_t size, size_t step,
    size_t *used_r)
{
	enum smtp_result r = SMTP_MORE;
	size_t at = 0;

	smtp_parser_begin(p);
	while (at < size && r == SMTP_MORE) {
		size_t used, n = size - at < step ? size - at : step;

		r = smtp_parser_feed(p, data + at, n, &used);
		assert(used <= n);
		at += used;
	}
	*used_r = at;
	return r;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct smtp_parser a, b;
	size_t used_a, used_b;

	if (size < 1)
		return 0;
	const char *text = (const char *)data + 1;
	enum smtp_result r = feed(&a, text, size - 1, size, &used_a);

	assert(feed(&b, text, size - 1, data[0] % 7 + 1, &used_b) == r);
	assert(strnlen(a.reply.text, SMTP_TEXT_MAX) < SMTP_TEXT_MAX);
	assert(strnlen(a.reply.status, SMTP_STATUS_MAX) < SMTP_STATUS_MAX);
	if (r != SMTP_REPLY)
		return 0;
	assert(used_a == used_b && strcmp(a.reply.text, b.reply.text) == 0);
	assert(a.reply.code >= 200 && a.reply.code < 600);
	(void)smtp_verdict(&a.reply);
	(void)smtp_user_unknown(&a.reply);
	return 0;
}
