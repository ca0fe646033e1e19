/* SPDX-License-Identifier: ISC */
#include "ctl/rehearsal/exim_seeds.h"
#include "common/base/strings.h"
#include "ctl/rehearsal/gateway.h"
#include "ctl/stage/names.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
	WORD_LEN = 256,
	EACH_MAX = 400, /* values of one dimension */
	OWN_MAX = 6,
	LABEL_MAX = 12, /* a top level domain's length */
	BRANCHES = 4, /* alternatives of a pattern that are tried */
	WORLD_IPV4 = 8, /* wider networks are anybody's */
	WORLD_IPV6 = 16
};

static const char label[] = "abcdefghijklmnopqrstuvwxyz"
			    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";

static void
add(struct exim_seeds *s, struct string_list *list, const char *text)
{
	if (list->n >= EACH_MAX || strlen(text) >= WORD_LEN ||
	    string_list_has(list, text))
		return;
	for (const char *c = text; *c != '\0'; c++)
		if (iscntrl((unsigned char)*c))
			return;
	s->failed |= !string_list_add(list, text, strlen(text));
}

static void __attribute__((format(printf, 3, 4)))
put(struct exim_seeds *s, struct string_list *list, const char *fmt, ...)
{
	char text[WORD_LEN * 2];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n > 0 && (size_t)n < sizeof(text))
		add(s, list, text);
}

/* --- what a word may be --- */

static bool
is_label(const char *word)
{
	return *word != '\0' && word[strspn(word, label)] == '\0';
}

/* Two labels or more. */
static bool
is_domain(const char *word)
{
	size_t n = strlen(word);

	return n < WORD_LEN / 2 && n > 2 && strchr(word, '.') != NULL &&
	    *word != '.' && word[n - 1] != '.' && strstr(word, "..") == NULL &&
	    word[strspn(word, label) + 0] != '\0' && strspn(word, label) > 0 &&
	    strspn(word,
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"0123456789-_.") == n &&
	    isalpha((unsigned char)strrchr(word, '.')[1]);
}

/* A domain that anybody can have below this end of names. */
static void
take_top(struct exim_seeds *s, const char *top)
{
	if (strlen(top) > LABEL_MAX || strlen(top) < 2)
		return;
	for (const char *c = top; *c != '\0'; c++)
		if (!isalpha((unsigned char)*c) && *c != '.' && *c != '-')
			return;
	put(s, &s->v[EXIM_RECIPIENT], "victim@" EXIM_VICTIM ".%s", top);
	put(s, &s->v[EXIM_SENDER], "someone@" EXIM_VICTIM ".%s", top);
	put(s, &s->v[EXIM_HELO], "client." EXIM_VICTIM ".%s", top);
	put(s, &s->v[EXIM_CLIENT], "203.0.113.77 client." EXIM_VICTIM ".%s",
	    top);
}

static void
take_domain(struct exim_seeds *s, const char *domain, bool wild)
{
	put(s, &s->v[EXIM_SENDER], "%s@%s", "someone", domain);
	put(s, &s->v[EXIM_HELO], "%s", domain);
	if (wild) {
		put(s, &s->v[EXIM_SENDER], "%s@x.%s", "someone", domain);
		put(s, &s->v[EXIM_HELO], "x.%s", domain);
		put(s, &s->clients, "203.0.113.77 client.%s", domain);
	}
	take_top(s, strrchr(domain, '.') + 1);
}

static void
take_address(struct exim_seeds *s, const char *word)
{
	const char *at = strrchr(word, '@');
	const char *domain =
	    at + 1 + (at[1] == '*') + (at[1] == '*' && at[2] == '.');
	bool any = at == word || (at == word + 1 && *word == '*');
	const char *local = any ? "someone" : word;
	int len = any ? 7 : (int)(at - word);

	if (is_domain(domain)) {
		put(s, &s->v[EXIM_SENDER], "%.*s@%s", len, local, domain);
		take_domain(s, domain, at[1] == '*');
	} else {
		/* "postmaster@", "bounce@*" */
		put(s, &s->v[EXIM_SENDER], "%.*s@" EXIM_VICTIM ".example", len,
		    local);
		if (is_label(domain))
			take_top(s, domain);
	}
}

/* Domains that anybody can have, and that a pattern takes in when it isn't
 * anchored, or begins with a wildcard and no dot. */
static void
take_beside(
    struct exim_seeds *s, const char *local, int len, const char *domain)
{
	put(s, &s->v[EXIM_RECIPIENT], "%.*s@" EXIM_VICTIM "-%s", len, local,
	    domain);
	put(s, &s->v[EXIM_RECIPIENT], "%.*s@%s." EXIM_VICTIM ".example", len,
	    local, domain);
	put(s, &s->v[EXIM_CLIENT], "203.0.113.77 " EXIM_VICTIM "-%s", domain);
	put(s, &s->v[EXIM_CLIENT], "203.0.113.77 %s." EXIM_VICTIM ".example",
	    domain);
}

/* A first and a last address of it stand for a network. */
static void
take_network(struct exim_seeds *s, const struct network *net)
{
	uint8_t world = net->base.family == ADDR_IPV4 ? WORLD_IPV4 : WORLD_IPV6;
	struct addr a = net->base;
	char text[ADDR_TEXT_MAX];
	size_t last = a.family == ADDR_IPV4 ? 3 : 15;

	if (net->bits < (a.family == ADDR_IPV4 ? 30 : 126))
		a.bytes[last] |= 1;
	if (net->bits < world) {
		add(s, &s->v[EXIM_CLIENT], addr_format(&a, text));
		return;
	}
	s->failed |= !network_set_add(&s->trusted, net);
	add(s, &s->clients, addr_format(&a, text));
}

/* Numbers with dots, or digits with colons, which an Exim list doubles. */
static bool
take_number(struct exim_seeds *s, const char *word)
{
	char once[WORD_LEN];
	size_t n = 0;
	struct network net;

	if (network_parse(word, &net)) {
		take_network(s, &net);
		return true;
	}
	if (strstr(word, "::") == NULL || strlen(word) >= sizeof(once))
		return false;
	for (const char *c = word; *c != '\0'; c++) {
		if (c[0] == ':' && c[1] == ':')
			c++;
		once[n++] = *c;
	}
	once[n] = '\0';
	if (!network_parse(once, &net))
		return false;
	take_network(s, &net);
	return true;
}

static void
take_sample(struct exim_seeds *s, const char *sample)
{
	const char *at = strrchr(sample, '@');

	if (at != NULL && is_domain(at + 1))
		take_beside(s, at == sample ? "victim" : sample,
		    at == sample ? 6 : (int)(at - sample), at + 1);
	if (at != NULL && at > sample && at[1] != '\0') {
		put(s, &s->v[EXIM_SENDER], "%s", sample);
		return;
	}
	if (at != NULL && at[1] != '\0')
		put(s, &s->v[EXIM_SENDER], "someone%s", at);
	else if (at != NULL && at > sample)
		put(s, &s->v[EXIM_SENDER], "%s" EXIM_VICTIM ".example", sample);
	if (strchr(sample, ' ') != NULL)
		return;
	put(s, &s->v[EXIM_HELO], "%s", sample);
	put(s, &s->v[EXIM_SENDER], "someone@%s%s", sample,
	    strchr(sample, '.') == NULL ? ".example" : "");
	put(s, &s->v[EXIM_SENDER], "%s@" EXIM_VICTIM ".example", sample);
	const char *dot = strrchr(sample, '.');

	if (dot != NULL)
		take_top(s, dot + 1);
	if (is_domain(sample))
		take_beside(s, "victim", 6, sample);
	else if (is_label(sample))
		put(s, &s->v[EXIM_CLIENT],
		    "203.0.113.77 %s." EXIM_VICTIM ".example", sample);
}

/* Local parts that a pattern may make an address of. */
static void
take_gateways(struct exim_seeds *s, const char *regex)
{
	char text[WORD_LEN];

	for (int swapped = 0; swapped < 2; swapped++)
		if (gateway_regex(regex, swapped, EXIM_VICTIM ".example", text,
			sizeof(text)))
			put(s, &s->gateways, "%s", text);
}

/* "${sg{$local_part}{-at-}{@}}" */
static void
take_sign(struct exim_seeds *s, const char *value)
{
	static const char to[] = "}{@}";

	for (const char *at = strstr(value, to); at != NULL;
	     at = strstr(at + 1, to)) {
		const char *from = at;

		while (from > value && from[-1] != '{')
			from--;
		put(s, &s->gateways, "victim%.*s" EXIM_VICTIM ".example",
		    (int)(at - from), from);
	}
}

/* A regular expression, as it is written or with what it is quoted by. */
static void
take_pattern(struct exim_seeds *s, const char *word)
{
	char plain[WORD_LEN], sample[WORD_LEN];
	size_t n = 0;

	/* "\\." and "\$" of an expanded string; "\N" ends expanding */
	for (const char *c = word; *c != '\0' && n + 1 < sizeof(plain); c++) {
		if (c[0] == '\\' && (c[1] == '\\' || c[1] == '$'))
			c++;
		plain[n++] = *c;
	}
	plain[n] = '\0';
	take_gateways(s, word);
	take_gateways(s, plain);
	for (unsigned b = 0; b < BRANCHES; b++) {
		if (exim_sample(word, b, sample, sizeof(sample)))
			take_sample(s, sample);
		if (exim_sample(plain, b, sample, sizeof(sample)))
			take_sample(s, sample);
	}
}

/* A word alone: the name of a domain's end, of a client, of a user. */
static void
take_label(struct exim_seeds *s, const char *word)
{
	put(s, &s->v[EXIM_HELO], "%s", word);
	put(s, &s->v[EXIM_SENDER], "%s@" EXIM_VICTIM ".example", word);
	put(s, &s->v[EXIM_RECIPIENT], "%s@" EXIM_VICTIM ".example", word);
	take_top(s, word);
}

static void
take_word(struct exim_seeds *s, char *word, bool labels)
{
	size_t n;
	bool wild = false;

	word += *word == '!';
	n = strlen(word);
	while (n > 0 && strchr(".,", word[n - 1]) != NULL)
		word[--n] = '\0';
	if (n < 2 || n >= WORD_LEN)
		return;
	if (*word == '^' || strstr(word, "\\.") != NULL) {
		take_pattern(s, word);
		return;
	}
	if (*word == '/') {
		add(s, &s->paths, word);
		return;
	}
	if (take_number(s, word))
		return;
	if (strchr(word, '@') != NULL && strrchr(word, '@')[1] != '\0') {
		take_address(s, word);
		return;
	}
	if (*word == '*' && is_domain(word + 1))
		take_beside(s, "victim", 6, word + 1);
	while (*word == '*' || *word == '.') {
		wild = true;
		word++;
	}
	if (is_domain(word))
		take_domain(s, word, wild);
	else if (wild && is_label(word))
		take_top(s, word);
	else if (labels && is_label(word))
		take_label(s, word);
}

/* --- texts --- */

/* Words that are parts of the language, not of what it speaks of. */
static bool
is_language(const char *word)
{
	static const char *const words[] = { "accept", "and", "any", "bool",
		"ciphers", "cram_md5", "crypteq", "def", "defer", "deny",
		"dnsdb", "driver", "eq", "eqi", "exists", "expand", "extract",
		"false", "fail", "first", "forall", "forany", "ge", "gei", "gt",
		"gti", "hash", "if", "inlist", "inlisti", "isip", "lc", "le",
		"lei", "length", "lookup", "lsearch", "lt", "lti", "map",
		"match", "match_address", "match_domain", "match_ip",
		"match_local_part", "negative", "no", "not", "or", "pam",
		"partial-lsearch", "plaintext", "pwcheck", "quote", "readfile",
		"readsocket", "reduce", "recipient", "reject", "run",
		"saslauthd", "sender", "sg", "sha1", "substr", "tr", "true",
		"uc", "value", "warn", "yes", NULL };

	for (size_t i = 0; words[i] != NULL; i++)
		if (strcasecmp(word, words[i]) == 0)
			return true;
	return false;
}

/* All words of a text. Those that are nothing but a word count where they stand
 * alone: in braces, or between two separators of a list. */
static void
take_words(struct exim_seeds *s, const char *text, const char *gaps, bool table)
{
	while (*text != '\0') {
		size_t n = strcspn(text, gaps);
		char word[WORD_LEN];

		if (n > 0 && n < sizeof(word)) {
			(void)snprintf(
			    word, sizeof(word), "%.*s", (int)n, text);
			if (!is_language(word))
				take_word(s, word, table || *gaps == '{');
		}
		text += n + (text[n] != '\0');
	}
}

/* A setting's value: a list is cut at its separators, an expression at its
 * braces. */
static void
take_value(struct exim_seeds *s, const char *value)
{
	/* a pattern may hold what cuts other words */
	take_words(s, value, " \t\"", false);
	take_words(s, value, " \t\";", false);
	take_words(s, value, " \t\":;{}|,()", false);
	if (strchr(value, '{') != NULL)
		take_words(s, value, "{}:| \t", false);
	else
		take_words(s, value, ":;, \t\"", false);
}

/* Local parts that are let through at every domain. */
static void
take_locals(struct exim_seeds *s, const char *list)
{
	while (*list != '\0') {
		char word[WORD_LEN], sample[WORD_LEN];
		size_t n = strcspn(list, " \t:;");

		(void)snprintf(word, sizeof(word), "%.*s",
		    (int)(n < sizeof(word) ? n : 0), list);
		if (*word == '^' &&
		    exim_sample(word, 0, sample, sizeof(sample)))
			(void)snprintf(word, sizeof(word), "%s", sample);
		if (is_label(word))
			put(s, &s->v[EXIM_RECIPIENT],
			    "%s@" EXIM_VICTIM ".example", word);
		list += n + (list[n] != '\0');
	}
}

/* local_part_prefix and local_part_suffix: "real-", "*-"; "=*" */
static void
take_affixes(struct exim_seeds *s, const char *line, const char *value)
{
	bool prefix = strncmp(line, "local_part_prefix", 17) == 0;

	if (!prefix && strncmp(line, "local_part_suffix", 17) != 0)
		return;
	while (*value != '\0') {
		size_t n = strcspn(value, " \t:");

		if (n > 0 && n < WORD_LEN / 4)
			put(s, prefix ? &s->prefixes : &s->suffixes, "%.*s",
			    (int)n, value);
		value += n + (value[n] != '\0');
	}
}

static void
take_line(struct exim_seeds *s, const char *line)
{
	const char *equals = strchr(line, '=');
	size_t n = strcspn(line, " \t=");
	bool own = strncmp(line, "domainlist", n) == 0 ||
	    strncmp(line, "primary_hostname", n) == 0 ||
	    strncmp(line, "qualify_domain", n) == 0;

	if (equals == NULL)
		return;
	const char *value = equals + 1;

	take_value(s, value);
	take_affixes(s, line, value);
	take_sign(s, value);
	if (strstr(line, "local_part") != NULL)
		take_locals(s, value);
	for (const char *at = value; own && *at != '\0';) {
		char word[WORD_LEN];
		size_t len = strcspn(at, " \t:;");

		(void)snprintf(word, sizeof(word), "%.*s",
		    (int)(len < sizeof(word) ? len : 0), at);
		if (is_domain(word) && s->own.n < OWN_MAX)
			add(s, &s->own, word);
		at += len + (at[len] != '\0');
	}
}

/* Each line of a text with blanks cut off in front. */
static void
each_line(struct exim_seeds *s, const char *text,
    void (*take)(struct exim_seeds *s, const char *line))
{
	while (*text != '\0') {
		size_t n = strcspn(text, "\n");
		char *line = strndup(text, n);

		if (line == NULL)
			s->failed = true;
		else if (line[strspn(line, " \t")] != '#')
			take(s, line + strspn(line, " \t"));
		free(line);
		text += n + (text[n] != '\0');
	}
}

void
exim_seeds_take_config(struct exim_seeds *s, const char *text)
{
	each_line(s, text, take_line);
}

/* "friend.test: boss : news": local parts at a domain, as "@@" looks up. */
static void
take_keyed(struct exim_seeds *s, const char *key, const char *locals)
{
	if (!is_domain(key))
		return;
	for (unsigned i = 0; *locals != '\0' && i < BRANCHES;) {
		char word[WORD_LEN];
		size_t n = strcspn(locals, " \t:,");

		(void)snprintf(word, sizeof(word), "%.*s",
		    (int)(n < sizeof(word) ? n : 0), locals);
		if (is_label(word)) {
			put(s, &s->v[EXIM_SENDER], "%s@%s", word, key);
			i++;
		}
		locals += n + (locals[n] != '\0');
	}
}

static void
take_entry(struct exim_seeds *s, const char *line)
{
	char first[WORD_LEN];
	size_t n = strcspn(line, " \t");

	/* "key: value"; IPv6 addresses hold colons, keys in quotes blanks */
	(void)snprintf(first, sizeof(first), "%.*s",
	    (int)(n < sizeof(first) ? n : 0), line);
	n = strlen(first);
	if (n > 0 && first[n - 1] == ':')
		first[n - 1] = '\0';
	take_word(s, first, true);
	take_keyed(s, first, line + n);
	take_words(s, line, " \t\":;,", true);
}

void
exim_seeds_take_table(struct exim_seeds *s, const char *text)
{
	each_line(s, text, take_entry);
}

void
exim_seeds_begin(struct exim_seeds *s)
{
	*s = (struct exim_seeds){ .failed = false };
	add(s, &s->v[EXIM_AUTH], "");
	add(s, &s->v[EXIM_TLS], "");
	add(s, &s->v[EXIM_TLS], "TLS");
	add(s, &s->v[EXIM_HELO], "client." EXIM_VICTIM ".example");
	add(s, &s->v[EXIM_SENDER], "someone@" EXIM_VICTIM ".example");
	add(s, &s->v[EXIM_SENDER], "");
	add(s, &s->v[EXIM_RECIPIENT], "victim@" EXIM_VICTIM ".example");
	add(s, &s->v[EXIM_RECIPIENT], "victim@[198.51.100.25]");
	/* whose owner names this server as its backup MX */
	add(s, &s->v[EXIM_RECIPIENT],
	    "victim@" EXIM_VICTIM "-" NAMES_MX_HERE ".com");
	for (size_t i = 0; i < 6; i++)
		take_top(s,
		    (const char *const[]){
			"com", "net", "org", "test", "co.uk", "de" }[i]);
}

/* what rewriting and redirecting take for an "@" */
static const char *const signs[] = { "%", "=", "#", "+", "-", "--", "_" };

/* Forms behind the prefixes and before the suffixes that routers take off; what
 * stands for "*" may be the domain itself. */
static void
add_affixed(struct exim_seeds *s, const char *own)
{
	static const char victim[] = EXIM_VICTIM ".example";
	struct string_list *to = &s->v[EXIM_RECIPIENT];

	for (size_t i = 0; i < s->prefixes.n; i++) {
		const char *p = s->prefixes.v[i];
		bool any = *p == '*';

		for (size_t k = 0; k < sizeof(signs) / sizeof(*signs); k++)
			put(s, to, "%s%svictim%s%s@%s", any ? "x" : "", p + any,
			    signs[k], victim, own);
		if (any)
			put(s, to, "%s%svictim@%s", victim, p + 1, own);
	}
	for (size_t i = 0; i < s->suffixes.n; i++) {
		const char *p = s->suffixes.v[i];
		size_t n = strlen(p);
		bool any = n > 0 && p[n - 1] == '*';

		n -= any;
		for (size_t k = 0; k < sizeof(signs) / sizeof(*signs); k++)
			put(s, to, "victim%s%s%.*s%s@%s", signs[k], victim,
			    (int)n, p, any ? "x" : "", own);
		if (any)
			put(s, to, "victim%.*s%s@%s", (int)n, p, victim, own);
	}
}

/* Forms that a server may follow to the stranger's domain. */
static void
add_forms(struct exim_seeds *s)
{
	static const char victim[] = EXIM_VICTIM ".example";
	struct string_list *to = &s->v[EXIM_RECIPIENT];

	for (size_t i = 0; i < s->own.n; i++) {
		const char *own = s->own.v[i];

		for (size_t k = 0; k < sizeof(signs) / sizeof(*signs); k++)
			put(s, to, "victim%s%s@%s", signs[k], victim, own);
		add_affixed(s, own);
		for (size_t k = 0; k < s->gateways.n; k++)
			if (strchr(s->gateways.v[k], '@') == NULL)
				put(s, to, "%s@%s", s->gateways.v[k], own);
		put(s, to, "%s!victim@%s", victim, own);
		put(s, to, "\"victim@%s\"@%s", victim, own);
		put(s, to, "@%s:victim@%s", own, victim);
		/* a local sender or client by its name alone */
		put(s, &s->v[EXIM_SENDER], "postmaster@%s", own);
		put(s, &s->v[EXIM_SENDER], "someone@%s", own);
	}
	for (size_t k = 0; k < s->gateways.n; k++)
		if (strchr(s->gateways.v[k], '@') != NULL)
			add(s, to, s->gateways.v[k]);
	put(s, &s->v[EXIM_HELO], EXIM_VICTIM ".example"); /* the sender's */
	put(s, &s->v[EXIM_HELO], "localhost");
	put(s, &s->v[EXIM_HELO], "[127.0.0.1]");
	put(s, &s->v[EXIM_HELO], "127.0.0.1");
}

bool
exim_seeds_end(struct exim_seeds *s)
{
	static const char *const strangers[] = { "203.0.113.77",
		"198.51.100.77", "8.77.66.55", "24.77.66.55", "45.77.66.55",
		"64.77.66.55", "89.77.66.55", "103.77.66.55", "130.77.66.55",
		"151.77.66.55", "185.77.66.55", "217.77.66.55", NAMES_NAMELESS,
		"2a00:77::77", "2001:db8:77::77", "2600:77::77" };
	struct string_list named = s->v[EXIM_CLIENT], *to = &s->v[EXIM_CLIENT];
	struct addr addr;

	add_forms(s);
	*to = (struct string_list){ .n = 0 };
	for (size_t i = 0; i < sizeof(strangers) / sizeof(*strangers); i++)
		if (addr_parse_n(strangers[i], strlen(strangers[i]), &addr) &&
		    !network_set_contains(&s->trusted, &addr))
			add(s, to, strangers[i]);
	for (size_t i = 0; i < named.n; i++)
		if (addr_parse_n(named.v[i], strcspn(named.v[i], " "), &addr) &&
		    !network_set_contains(&s->trusted, &addr))
			add(s, to, named.v[i]);
	string_list_release(&named);
	/* its own address, as RFC 5321 section 4.1.3 has it */
	if (to->n > 0)
		put(s, &s->v[EXIM_HELO], "[%.*s]", (int)strcspn(to->v[0], " "),
		    to->v[0]);
	if (s->v[EXIM_PORT].n == 0)
		add(s, &s->v[EXIM_PORT], "25");
	return !s->failed && to->n > 0;
}

void
exim_seeds_release(struct exim_seeds *s)
{
	for (size_t i = 0; i < EXIM_DIMS; i++)
		string_list_release(&s->v[i]);
	network_set_release(&s->trusted);
	string_list_release(&s->clients);
	string_list_release(&s->paths);
	string_list_release(&s->own);
	string_list_release(&s->prefixes);
	string_list_release(&s->suffixes);
	string_list_release(&s->gateways);
	memset(s, 0, sizeof(*s));
}
