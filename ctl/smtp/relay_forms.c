/* SPDX-License-Identifier: ISC */
#include "ctl/smtp/relay_forms.h"

#include <assert.h>
#include <string.h>

#define USER "popgate-probe"

#define FOREIGN(kind, text)                     \
	{                                       \
		kind, text, FORM_FOREIGN, false \
	}
#define ROUTED(kind, text)                     \
	{                                      \
		kind, text, FORM_ROUTED, false \
	}
#define OURS(kind, text)                      \
	{                                     \
		kind, text, FORM_ROUTED, true \
	}
#define STRANGE(kind, text)                \
	{                                  \
		kind, text, FORM_ODD, true \
	}

const struct relay_form relay_forms[] = {
	FOREIGN("plain", "<" USER "@$f>"),
	FOREIGN("plain", "<" USER "@Sub.$f>"),
	FOREIGN("plain", USER "@$f"),
	FOREIGN("plain", "<" USER "@$f.>"),
	FOREIGN("role", "<postmaster@$f>"),
	FOREIGN("role", "<abuse@$f>"),
	FOREIGN("role", "<root@$f>"),
	FOREIGN("literal", "<" USER "@[203.0.113.77]>"),
	FOREIGN("literal", "<" USER "@[IPv6:2001:db8::77]>"),
	FOREIGN("literal", "<" USER "@203.0.113.77>"),
	FOREIGN("literal", "<" USER "@$i>"),

	OURS("percent", "<" USER "%$f@$d>"),
	ROUTED("percent", "<" USER "%$f@$h>"),
	ROUTED("percent", "<" USER "%$f@[$i]>"),
	ROUTED("percent", "<" USER "%$f@localhost>"),
	ROUTED("percent", "<" USER "%$f@[127.0.0.1]>"),
	ROUTED("percent", "<" USER "%$f>"),
	OURS("percent", "<" USER "%$f%$d>"),

	OURS("quoted", "<\"" USER "@$f\"@$d>"),
	ROUTED("quoted", "<\"" USER "@$f\"@$h>"),
	ROUTED("quoted", "<\"" USER "@$f\"@[$i]>"),
	ROUTED("quoted", "<\"" USER "@$f\"@[127.0.0.1]>"),
	ROUTED("quoted", "<\"" USER "@$f\">"),
	ROUTED("quoted", "<\"" USER "%$f\">"),
	OURS("quoted", "<\"" USER "%$f\"@$d>"),

	OURS("double-at", "<" USER "@$f@$d>"),
	ROUTED("double-at", "<" USER "@$f@$h>"),
	ROUTED("double-at", "<" USER "@$f@[$i]>"),
	ROUTED("double-at", "<" USER "@$f@[127.0.0.1]>"),
	ROUTED("double-at", "<" USER "@$f@>"),
	{ "double-at", "<" USER "@$d@$f>", FORM_FOREIGN, true },

	{ "source route", "<@$d:" USER "@$f>", FORM_FOREIGN, true },
	FOREIGN("source route", "<@$h:" USER "@$f>"),
	FOREIGN("source route", "<@[$i]:" USER "@$f>"),
	FOREIGN("source route", "<@[127.0.0.1]:" USER "@$f>"),
	{ "source route", "<@$d,@other.invalid:" USER "@$f>", FORM_FOREIGN,
	    true },
	OURS("source route", "<@$d:" USER "@$f@$d>"),

	ROUTED("bang", "<$f!" USER ">"),
	OURS("bang", "<$f!" USER "@$d>"),
	ROUTED("bang", "<$f!" USER "@$h>"),
	ROUTED("bang", "<$f!" USER "@[$i]>"),
	ROUTED("bang", "<$f!" USER "@[127.0.0.1]>"),
	OURS("bang", "<$d!$f!" USER ">"),
	{ "bang", "<$d!" USER "@$f>", FORM_FOREIGN, true },
	OURS("bang", "<\"$f!" USER "\"@$d>"),
	ROUTED("bang", "<remotehost!" USER ">"),
	OURS("bang", "<$f!" USER "%$d>"),

	{ "decnet", "<$f::" USER ">", FORM_ODD, false },
	STRANGE("decnet", "<$f::" USER "@$d>"),

	OURS("mixed", "<@$d:" USER "%$f@$d>"),
	OURS("mixed", "<" USER "%$f@$d@$d>"),
	OURS("mixed", "<@$d:$f!" USER "@$d>"),
	OURS("mixed", "<" USER "%$f%$d@$d>"),

	FOREIGN("brackets", "<<" USER "@$f>>"),
	STRANGE("brackets", "<" USER "@$f>@$d"),
	FOREIGN("phrase", "Probe <" USER "@$f>"),
	{ "comment", "<" USER "@$f(postmaster@$d)>", FORM_FOREIGN, true },
	{ "comment", "<" USER "(postmaster@$d)@$f>", FORM_FOREIGN, true },
	STRANGE("comment", "<" USER "@$d(" USER "@$f)>"),
	STRANGE("list", "<" USER "@$f,postmaster@$d>"),
	STRANGE("list", "<postmaster@$d,postmaster@$f>"),
	STRANGE("list", "<postmaster@$d>,<" USER "@$f>"),
	FOREIGN("group", "<x:" USER "@$f;>"),
	STRANGE("colon", "<" USER ":$f@$d>"),
	{ "routed", "<postmaster%$d@$f>", FORM_FOREIGN, true },

	OURS("escape", "<" USER "\\@$f@$d>"),
	OURS("escape", "<\"" USER "\\@$f\"@$d>"),
	FOREIGN("space", "<" USER " @$f>"),
	FOREIGN("space", "< " USER "@$f>"),
	OURS("space", "<" USER "@$f @$d>"),
	FOREIGN("tab", "<" USER "\t@$f>"),
	OURS("tab", "<" USER "@$f\t@$d>"),
	STRANGE("nul", "<" USER "@$f$z@$d>"),
	STRANGE("bit 8", "<" USER "@$f\xa0@$d>"),
	FOREIGN("utf-8", "<" USER "@$f\xe3\x80\x82>"),
	FOREIGN("utf-8", "<" USER "@\xc3\xa9.$f>"),
	STRANGE("utf-8", "<" USER "\xef\xbc\xa0$f@$d>"),
	STRANGE("utf-8", "<" USER "\xef\xbc\x85$f@$d>"),
	STRANGE("encoded", "<=?utf-8?q?" USER "=40$f?=@$d>"),
	STRANGE("encoded", "<" USER "+AEA-$f@$d>"),
	STRANGE("x.400", "</PN=" USER "/DD.RFC-822=" USER "(a)$f/@$d>"),
	STRANGE("slash", "<" USER "/$f@$d>"),

	{ "program", "<|/bin/true>", FORM_PROGRAM, false },
	{ "program", "<\"|/bin/true\"@$d>", FORM_PROGRAM, true },
	{ "file", "</dev/null>", FORM_PROGRAM, false },
	{ "file", "<\"/dev/null\"@$d>", FORM_PROGRAM, true },
	{ "include", "<:include:/dev/null>", FORM_PROGRAM, false },
	{ NULL, NULL, FORM_FOREIGN, false },
};

const size_t relay_forms_n = sizeof(relay_forms) / sizeof(relay_forms[0]) - 1;

const struct relay_sender relay_senders[] = {
	{ "a foreign sender", USER "@$f" },
	{ "the null sender", "" },
	{ "a sender in our domain", USER "@$d" },
	{ "our postmaster", "postmaster@$d" },
	{ "our root", "root@$d" },
	{ "a sender at the server's name", USER "@$h" },
	{ "a sender at the server's address", USER "@[$i]" },
	{ "a sender at this host", USER "@localhost" },
	{ "a sender without a domain", USER },
	{ "our postmaster without a domain", "postmaster" },
	{ NULL, NULL },
};

static const char *
value_of(char c, const struct form_values *values)
{
	switch (c) {
	case 'd':
		return values->domain;
	case 'h':
		return values->host;
	case 'i':
		return values->ip;
	case 'f':
		return values->foreign;
	default:
		return NULL;
	}
}

static bool
has_control(const char *value)
{
	for (; *value != '\0'; value++)
		if ((unsigned char)*value < ' ' || *value == 0x7f)
			return true;
	return false;
}

size_t
form_expand(const char *template, const struct form_values *values,
    char text[FORM_TEXT_MAX])
{
	size_t n = 0;

	assert(values->domain != NULL && values->foreign != NULL);
	for (const char *p = template; *p != '\0'; p++) {
		const char *value = NULL;
		size_t len;

		if (p[0] == '$' && p[1] == 'z') {
			p++;
			if (n + 2 > FORM_TEXT_MAX)
				return 0;
			text[n++] = '\0';
			continue;
		}
		if (*p == '$')
			value = value_of(p[1], values);
		if (value == NULL) {
			if (n + 2 > FORM_TEXT_MAX)
				return 0;
			text[n++] = *p;
			continue;
		}
		p++;
		len = strlen(value);
		if (has_control(value) || len + 1 > FORM_TEXT_MAX - n)
			return 0;
		memcpy(text + n, value, len);
		n += len;
	}
	text[n] = '\0';
	return n;
}
