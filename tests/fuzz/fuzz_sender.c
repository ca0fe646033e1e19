/* SPDX-License-Identifier: ISC */
/* Senders and certificates: "user LF sender" and "subject LF issuer". Only a
 * plain address of alice's own may count as hers, and only names that decode
 * to those on the list. */
#include <assert.h>
#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/mta/address.h"
#include "common/mta/certificate.h"
#include "common/mta/senders.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *names[] = { "user", "append:lab.test" };
static const struct string_list sources = { .v = names, .n = 2 };

/* Again, slower: text without its brackets and its last dot. */
static int
same(const char *text, const char *local, const char *domain)
{
	size_t len = strlen(text), n = strlen(local);

	if (len > 1 && text[0] == '<' && text[len - 1] == '>') {
		text++;
		len -= 2;
	}
	if (len > 0 && text[len - 1] == '.')
		len--;
	return len == n + 1 + strlen(domain) &&
	    strncasecmp(text, local, n) == 0 && text[n] == '@' &&
	    strncasecmp(text + n + 1, domain, strlen(domain)) == 0;
}

static int
is_ascii(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text >= 0x80)
			return 0;
	return 1;
}

static void
check_sender(const struct sender_set *set, const char *sender)
{
	char folded[ADDRESS_TEXT_MAX], again[ADDRESS_TEXT_MAX];
	const char *domain, *domain2;

	/* IDN folding may make one of ours of other bytes: ASCII only */
	if (senders_allow(set, SENDER_ADDRESS, "alice", sender) &&
	    is_ascii(sender))
		assert(same(sender, "alice", "lab.test"));
	assert(!senders_allow(set, SENDER_DOMAIN, "", sender));
	if (!address_fold(sender, folded, &domain))
		return;
	/* one @, nothing to route by, and folded once is folded */
	assert(strchr(folded, '@') == domain - 1);
	assert(strpbrk(folded, "%!:\"\\<>()[],; \t\r\n") == NULL);
	for (const char *p = folded; *p != '\0'; p++)
		assert(!isupper((unsigned char)*p));
	assert(address_fold(folded, again, &domain2));
	assert(strcmp(folded, again) == 0);
}

static void
check_certificate(const char *subject, const char *issuer)
{
	static char s[] = "one two", i[] = "ca";
	const struct certificate_entry list = { .subject = s, .issuer = i };
	struct certificate c;
	char digest[CERTIFICATE_DIGEST_MAX];

	if (certificate_from_sendmail(&c, "OK", subject, issuer, subject))
		(void)certificate_listed(&list, 1, &c);
	assert(!certificate_from_sendmail(&c, "NO", subject, issuer, NULL));
	if (certificate_from_postfix(&c, false, subject, issuer, NULL, NULL) &&
	    certificate_listed(&list, 1, &c))
		assert(strcmp(subject, s) == 0 && strcmp(issuer, i) == 0);
	if (certificate_digest(subject, digest))
		assert(strlen(digest) % 2 == 0 && strlen(digest) >= 40);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sender_set set;

	if (!set.user_name && senders_load(&sources, &set, NULL) == -1)
		abort();
	char *text = strndup((const char *)data, size);
	char *second = strchr(text, '\n');

	if (second != NULL)
		*second++ = '\0';
	else
		second = text + strlen(text);
	check_sender(&set, second);
	check_sender(&set, text);
	(void)senders_allow(&set, SENDER_DOMAIN, text, second);
	check_certificate(text, second);
	free(text);
	return 0;
}
