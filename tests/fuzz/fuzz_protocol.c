/* SPDX-License-Identifier: ISC */
/* The permit channel's requests: any bytes, both protocols. What is taken as
 * a request must lie inside the buffer, and end before what was used. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "milter/protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
inside(const char *text, const char *buf, size_t used)
{
	/* "" stands for what was absent */
	if (*text != '\0')
		assert(text >= buf && text + strlen(text) < buf + used);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char buf[PROTOCOL_FRAME_MAX];
	char reply[PROTOCOL_REPLY_MAX];
	struct protocol_request req;
	const char *why;
	size_t used;

	if (size < 1 || size - 1 > sizeof(buf))
		return 0;
	size_t len = size - 1;

	memcpy(buf, data + 1, len);
	enum protocol_result r =
	    protocol_parse(*data & 1 ? PROTOCOL_POLICY : PROTOCOL_SOCKETMAP,
		buf, len, &req, &used, &why);

	assert((r == PROTOCOL_BAD) == (why != NULL));
	if (r != PROTOCOL_REQUEST)
		return 0;
	assert(used > 0 && used <= len);
	inside(req.client, buf, used);
	inside(req.sender, buf, used);
	inside(req.recipient, buf, used);
	inside(req.auth_type, buf, used);
	inside(req.auth_user, buf, used);
	inside(req.client_port, buf, used);
	inside(req.verify, buf, used);
	inside(req.cert_subject, buf, used);
	inside(req.cert_issuer, buf, used);
	inside(req.cert_digest, buf, used);
	inside(req.cert_key, buf, used);
	for (int a = ANSWER_PERMIT; a <= ANSWER_BAD; a++)
		assert(protocol_reply(&req, (enum protocol_answer)a, "550",
			   "5.7.1", req.recipient[0] == '\0' ? "x" : "text",
			   reply) < sizeof(reply));
	return 0;
}
