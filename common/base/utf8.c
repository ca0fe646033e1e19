/* SPDX-License-Identifier: ISC */
#include "common/base/utf8.h"

#include <assert.h>
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

/* Unicode 15: Cc, Cf, Zl and Zp, what is ignorable by default (shown as
 * nothing), noncharacters, surrogates, and private use above the BMP, which
 * starts behind the tags. */
static const struct range {
	uint32_t first, last;
} harmful[] = {
	{ 0x0, 0x1f }, /* C0 */
	{ 0x7f, 0x9f }, /* DEL, C1 */
	{ 0xad, 0xad }, /* soft hyphen */
	{ 0x34f, 0x34f }, /* combining grapheme joiner */
	{ 0x600, 0x605 }, /* Arabic number signs */
	{ 0x61c, 0x61c }, /* Arabic letter mark */
	{ 0x6dd, 0x6dd }, { 0x70f, 0x70f }, { 0x890, 0x891 }, { 0x8e2, 0x8e2 },
	{ 0x115f, 0x1160 }, /* Hangul fillers */
	{ 0x17b4, 0x17b5 }, /* Khmer inherent vowels */
	{ 0x180b, 0x180f }, /* Mongolian selectors */
	{ 0x200b, 0x200f }, /* zero width, marks of direction */
	{ 0x2028, 0x202e }, /* line, paragraph; bidi */
	{ 0x2060, 0x206f }, /* invisible operators; bidi isolates */
	{ 0x3164, 0x3164 }, /* Hangul filler */
	{ 0xd800, 0xdfff }, /* surrogates */
	{ 0xfdd0, 0xfdef }, /* noncharacters */
	{ 0xfe00, 0xfe0f }, /* variation selectors */
	{ 0xfeff, 0xfeff }, /* byte order mark */
	{ 0xffa0, 0xffa0 }, /* half width Hangul filler */
	{ 0xfff0, 0xfffb }, /* interlinear */
	{ 0xfffe, 0xffff }, { 0x110bd, 0x110bd }, { 0x110cd, 0x110cd },
	{ 0x13430, 0x1345f }, /* hieroglyph format */
	{ 0x1bca0, 0x1bca3 }, /* shorthand format */
	{ 0x1d173, 0x1d17a }, /* musical format */
	{ 0xe0000, 0xffffffff }, /* tags, private use, what is none */
};

bool
utf8_harmful(uint32_t cp)
{
	size_t low = 0, high = sizeof(harmful) / sizeof(*harmful);

	if (cp >= 0x20 && cp < 0x7f)
		return false;
	while (low < high) {
		size_t i = low + (high - low) / 2;

		if (cp > harmful[i].last)
			low = i + 1;
		else
			high = i;
	}
	assert(low < sizeof(harmful) / sizeof(*harmful));
	/* the last range has no end; noncharacters of the other planes */
	return cp >= harmful[low].first || (cp & 0xfffe) == 0xfffe;
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
	assert(len <= UTF8_ESCAPE_MAX);
	return len;
}
