/* SPDX-License-Identifier: ISC */
/* Recipients: whatever is typed, only our own domains, written plainly, may
 * count as ours where the MTA gave no hint. The check is a second, slower
 * statement of rules (b) and (c). */
#include <assert.h>
#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/addr.h"
#include "common/policy/rcpt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *names[] = { "lab.test", ".wild.test", "[192.0.2.1]" };
static const struct string_list domains = { .v = names, .n = 3 };
static const struct string_list mailers = { .n = 0 };

static int
plainly_ours(const char *text)
{
	static char buf[5000];
	size_t len = strlen(text);

	if (len >= sizeof(buf))
		return 0;
	strcpy(buf, text);
	if (len > 1 && buf[0] == '<' && buf[len - 1] == '>') {
		memmove(buf, buf + 1, len);
		buf[len - 2] = '\0';
	}
	char *at = strrchr(buf, '@');

	if (at != NULL)
		*at++ = '\0';
	if (*buf == '\0')
		return 0;
	for (const char *p = buf; *p != '\0'; p++)
		if (iscntrl((unsigned char)*p) ||
		    strchr(" %!@:\"\\<>()[],;", *p) != NULL)
			return 0;
	if (at == NULL)
		return 1;
	size_t n = strlen(at);

	if (n > 1 && at[n - 1] == '.')
		at[--n] = '\0';
	return strcasecmp(at, "lab.test") == 0 ||
	    strcasecmp(at, "[192.0.2.1]") == 0 ||
	    (n > 10 && strcasecmp(at + n - 10, ".wild.test") == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct domain_set set;
	struct network net;
	struct addr addr;

	if (set.names.n == 0 && domains_load(&domains, &set, NULL) == -1)
		abort();
	char *text = strndup((const char *)data, size);

	/* IDN folding may make one of ours of other bytes: ASCII only */
	int ascii = 1;

	for (const char *p = text; *p != '\0'; p++)
		ascii &= (unsigned char)*p < 0x80;
	if (rcpt_ask(text, NULL, &mailers, &set, true) == DOMAIN_OURS && ascii)
		assert(plainly_ours(text));
	(void)addr_parse_loose(text, &addr);
	(void)network_parse(text, &net);
	free(text);
	return 0;
}
