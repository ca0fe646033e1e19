#include "utf8.h"

#include <stdio.h>
#include <string.h>

size_t
utf8_length(const unsigned char *p, uint32_t *cp)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = *p < 0x80 ? 1
	    : *p < 0xc2      ? 0
	    : *p < 0xe0      ? 2
	    : *p < 0xf0      ? 3
	    : *p < 0xf5      ? 4
			     : 0;

	if (n == 0)
		return 0;
	*cp = n == 1 ? *p : *p & (0x7fU >> n);
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		*cp = *cp << 6 | (p[i] & 0x3fU);
	}
	return *cp >= least[n] && *cp <= 0x10ffff &&
		(*cp < 0xd800 || *cp > 0xdfff)
	    ? n
	    : 0;
}

bool
utf8_harmful(uint32_t cp)
{
	return cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || cp == 0xad ||
	    cp == 0x61c || (cp >= 0x200b && cp <= 0x200f) ||
	    (cp >= 0x2028 && cp <= 0x202e) || (cp >= 0x2060 && cp <= 0x206f) ||
	    cp == 0xfeff || (cp >= 0xfff0 && cp <= 0xfffb) || cp >= 0xe0000;
}

size_t
utf8_escape(const char **text, char *out)
{
	const unsigned char *p = (const unsigned char *)*text;
	uint32_t cp = 0;
	size_t n = utf8_length(p, &cp), len = 0;

	if (n > 0 && !utf8_harmful(cp)) {
		memcpy(out, p, n);
		*text += n;
		return n;
	}
	if (n == 0)
		n = 1;
	for (size_t i = 0; i < n; i++)
		len += (size_t)snprintf(out + len, 5, "\\x%02x", p[i]);
	*text += n;
	return len;
}
