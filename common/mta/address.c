/* SPDX-License-Identifier: ISC */
#include "common/mta/address.h"

#include <string.h>

const char *
address_inside(const char *text, size_t *len)
{
	if (*len < 2 || text[0] != '<' || text[*len - 1] != '>')
		return text;
	*len -= 2;
	return text + 1;
}

/* %-hack, bang paths, source routes, quoted forms; see tests/data/forms */
bool
address_has_routing(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c <= 0x20 || c == 0x7f ||
		    strchr("%!@:\"\\<>()[],;", c) != NULL)
			return true;
	}
	return false;
}

bool
address_fold(
    const char *text, char out[ADDRESS_TEXT_MAX], const char **domain_r)
{
	size_t len = strnlen(text, 2 * ADDRESS_TEXT_MAX);
	const char *at = memrchr(text, '@', len);
	size_t local_len = at == NULL ? 0 : (size_t)(at - text);

	if (local_len == 0 || local_len > ADDRESS_LOCAL_MAX ||
	    address_has_routing(text, local_len) ||
	    !domain_fold(at + 1, len - local_len - 1, out + local_len + 1))
		return false;
	/* letters, digits, hyphens, and what DNS has besides: nothing that an
	 * MTA might read on behind, and no literal */
	const char *domain = out + local_len + 1;

	if (domain[strspn(domain, "abcdefghijklmnopqrstuvwxyz0123456789-_.")] !=
		'\0' ||
	    *domain == '.' || strstr(domain, "..") != NULL)
		return false;
	for (size_t i = 0; i < local_len; i++) {
		if ((unsigned char)text[i] >= 0x80)
			return false;
		out[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] + 32)
							  : text[i];
	}
	out[local_len] = '@';
	*domain_r = out + local_len + 1;
	return true;
}
