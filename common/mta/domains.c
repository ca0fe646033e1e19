/* SPDX-License-Identifier: ISC */
#include "common/mta/domains.h"

#include <assert.h>
#include <errno.h>
#include <idn2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/mta/conf_file.h"
#include "common/mta/postfix_lists.h"
#include "common/mta/sendmail_cf.h"

bool
domain_fold(const char *text, size_t len, char *out)
{
	bool ascii = true;

	if (len > 0 && text[len - 1] == '.')
		len--;
	if (len == 0 || len >= DOMAIN_TEXT_MAX || text[len - 1] == '.')
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c <= 0x20 || c == 0x7f)
			return false;
		ascii &= c < 0x80;
		out[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : (char)c;
	}
	out[len] = '\0';
	if (ascii)
		return true;
	char *a_label = NULL;

	if (idn2_lookup_u8((const uint8_t *)out, (uint8_t **)&a_label,
		IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
		return false;
	size_t n = strlen(a_label);

	if (n > 0 && n < DOMAIN_TEXT_MAX)
		memcpy(out, a_label, n + 1);
	idn2_free(a_label);
	return n > 0 && n < DOMAIN_TEXT_MAX;
}

static bool
has(const struct domain_set *set, const char *folded)
{
	if (strset_has(&set->plain, folded))
		return true;
	if (!set->wildcards)
		return false;
	for (const char *dot = strchr(folded, '.'); dot != NULL;
	     dot = strchr(dot + 1, '.'))
		if (strset_has(&set->plain, dot))
			return true;
	return false;
}

enum domain_answer
domains_ask(const struct domain_set *set, const char *folded, bool wait)
{
	enum domain_answer answer = DOMAIN_FOREIGN;

	assert(strlen(folded) < DOMAIN_TEXT_MAX);
	/* ".x" names all below x, it is no domain itself */
	if (*folded == '.')
		return DOMAIN_FOREIGN;
	if (has(set, folded))
		return DOMAIN_OURS;
	for (size_t i = 0; i < set->n_postfix; i++)
		switch (postfix_lists_ask(set->postfix[i], folded, wait)) {
		case POSTFIX_FOUND:
			return DOMAIN_OURS;
		case POSTFIX_PENDING:
			answer = DOMAIN_PENDING;
			break;
		case POSTFIX_FAILED:
			if (answer == DOMAIN_FOREIGN)
				answer = DOMAIN_UNKNOWN;
			break;
		case POSTFIX_NONE:
			break;
		}
	return answer;
}

bool
domains_contain(const struct domain_set *set, const char *folded)
{
	return domains_ask(set, folded, true) == DOMAIN_OURS;
}

size_t
domains_broken(const struct domain_set *set)
{
	size_t n = 0;

	for (size_t i = 0; i < set->n_postfix; i++)
		n += postfix_lists_broken(set->postfix[i]);
	return n;
}

bool
domains_failed(const struct domain_set *set, char *text, size_t size)
{
	for (size_t i = 0; i < set->n_postfix; i++)
		if (postfix_lists_failed(set->postfix[i], text, size))
			return true;
	return false;
}

static int
no_memory(struct err *err)
{
	err_set(err, ERR_NOMEM, "out of memory");
	return -1;
}

/* where: "file:line" for the error, or "": the setting itself. */
static int
add(struct domain_set *set, const char *text, size_t len, const char *where,
    struct err *err)
{
	char folded[1 + DOMAIN_TEXT_MAX];
	size_t skip = len > 1 && *text == '.' ? 1 : 0;

	folded[0] = '.';
	if (!domain_fold(text + skip, len - skip, folded + skip) ||
	    strpbrk(folded, "/@,;|<>\"\\*") != NULL ||
	    strlen(folded) >= DOMAIN_TEXT_MAX - 1) {
		err_set(err, ERR_INVALID,
		    "%s%s'%.*s': expected a domain, \".domain\" or \"[address]\"",
		    where, *where == '\0' ? "" : ": ",
		    (int)(len > 100 ? 100 : len), text);
		return -1;
	}
	if (strset_add(&set->plain, folded) == -1 ||
	    strset_add(&set->names, folded) == -1)
		return no_memory(err);
	set->wildcards |= skip == 1;
	return 0;
}

static int
add_below(struct domain_set *set, const char *text, size_t len,
    const char *where, struct err *err)
{
	char below[DOMAIN_TEXT_MAX + 1];

	assert(len > 0);
	if (add(set, text, len, where, err) == -1)
		return -1;
	if (*text == '.' || *text == '[' || len >= DOMAIN_TEXT_MAX)
		return 0;
	below[0] = '.';
	memcpy(below + 1, text, len);
	return add(set, below, len + 1, where, err);
}

static int
remember_file(struct domain_set *set, const char *path, struct err *err)
{
	return string_list_add(&set->files, path, strlen(path))
	    ? 0
	    : no_memory(err);
}

/* A class file of Sendmail may hold networks ("192.0.2") beside domains; they
 * say who may relay, not what is ours. */
static bool
is_network(const char *text, size_t len)
{
	assert(len > 0);
	return strspn(text, "0123456789.:/") >= len;
}

enum file_style { FILE_PLAIN, FILE_BELOW };

struct reading {
	struct domain_set *set;
	enum file_style style;
};

/* A conf_line_fn. */
static int
add_line(void *arg, char *line, size_t len, const char *where, struct err *err)
{
	const struct reading *r = arg;
	const char *word = line + strspn(line, " \t\r\n");
	size_t word_len = strcspn(word, " \t\r\n#");
	const char *rest = word + word_len + strspn(word + word_len, " \t\r\n");

	if (strlen(line) != len) {
		err_set(err, ERR_INVALID, "%s: has a NUL byte", where);
		return -1;
	}
	if (word_len == 0)
		return 0;
	if (*rest != '\0' && *rest != '#') {
		err_set(
		    err, ERR_INVALID, "%s: expected one domain a line", where);
		return -1;
	}
	if (is_network(word, word_len))
		return 0;
	return r->style == FILE_BELOW
	    ? add_below(r->set, word, word_len, where, err)
	    : add(r->set, word, word_len, where, err);
}

static int
add_file(struct domain_set *set, const char *path, enum file_style style,
    struct err *err)
{
	struct reading r = { .set = set, .style = style };

	return remember_file(set, path, err) == -1
	    ? -1
	    : conf_file_lines(path, add_line, &r, err);
}

static int
add_word(struct domain_set *set, const char *word, bool below,
    const char *where, struct err *err)
{
	return below ? add_below(set, word, strlen(word), where, err)
		     : add(set, word, strlen(word), where, err);
}

static int
add_postfix(struct domain_set *set, const char *dir, struct err *err)
{
	struct postfix_lists **v = reallocarray(
	    set->postfix, set->n_postfix + 1, sizeof(struct postfix_lists *));

	if (v == NULL)
		return no_memory(err);
	set->postfix = v;
	v[set->n_postfix] = postfix_lists_load(
	    dir, &set->files, &set->names, &set->warnings, err);
	if (v[set->n_postfix] == NULL)
		return -1;
	set->n_postfix++;
	return 0;
}

/* "Cwa b c", "C{VirtHost}a b": the names behind the class. */
static int
add_class_names(struct domain_set *set, char *names, bool below,
    const char *where, struct err *err)
{
	char *save = NULL;
	int ret = 0;

	for (char *word = strtok_r(names, " \t", &save);
	     ret == 0 && word != NULL; word = strtok_r(NULL, " \t", &save))
		if (!is_network(word, strlen(word)) && *word != '$')
			ret = add_word(set, word, below, where, err);
	return ret;
}

/* "Fw/path", "Fw-o /path %[^\#]": what stands behind the class. */
static int
add_class_file(struct domain_set *set, const char *class, char *text,
    bool below, const char *where, struct err *err)
{
	bool optional;
	const char *path = sendmail_class_file(text, &optional);

	if (*path != '/') {
		err_set(err, ERR_INVALID,
		    "%s: class %s comes from '%.100s', which is no file: name its domains in relay.local_domains",
		    where, class, path);
		return -1;
	}
	/* it may come */
	if (optional && access(path, F_OK) == -1)
		return remember_file(set, path, err);
	return add_file(set, path, below ? FILE_BELOW : FILE_PLAIN, err);
}

/* A line of sendmail.cf: names of classes w, VirtHost and R. */
static int
add_class_line(struct domain_set *set, const struct sendmail_line *line,
    const char *where, struct err *err)
{
	static const struct {
		const char *name, *written;
		bool below;
	} classes[] = {
		{ "w", "w", false },
		{ "VirtHost", "{VirtHost}", false },
		{ "R", "R", true },
	};
	char name[SENDMAIL_NAME_MAX];
	char *rest = sendmail_name(line->text, name);

	for (size_t i = 0; i < sizeof(classes) / sizeof(*classes); i++)
		if (strcmp(name, classes[i].name) == 0)
			return line->kind == 'C'
			    ? add_class_names(
				  set, rest, classes[i].below, where, err)
			    : add_class_file(set, classes[i].written, rest,
				  classes[i].below, where, err);
	return 0;
}

static int
add_sendmail(struct domain_set *set, const char *path, struct err *err)
{
	char *text = conf_file_read(path), where[600];
	struct sendmail_cf cf;
	int ret;

	if (text == NULL) {
		err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
		return -1;
	}
	ret = sendmail_cf_parse(text, &cf) ? remember_file(set, path, err)
					   : no_memory(err);
	for (size_t i = 0; ret == 0 && i < cf.n; i++) {
		(void)snprintf(
		    where, sizeof(where), "%.500s:%u", path, cf.v[i].line);
		if (cf.v[i].kind == 'C' || cf.v[i].kind == 'F')
			ret = add_class_line(set, &cf.v[i], where, err);
	}
	sendmail_cf_release(&cf);
	return ret;
}

int
domains_load(
    const struct string_list *names, struct domain_set *set, struct err *err)
{
	int ret = 0;

	memset(set, 0, sizeof(*set));
	for (size_t i = 0; ret == 0 && i < names->n; i++) {
		const char *name = names->v[i];

		if (strncmp(name, "file:", 5) == 0)
			ret = add_file(set, name + 5, FILE_PLAIN, err);
		else if (strncmp(name, "postfix:", 8) == 0)
			ret = add_postfix(set, name + 8, err);
		else if (strncmp(name, "sendmail:", 9) == 0)
			ret = add_sendmail(set, name + 9, err);
		else
			ret = add(set, name, strlen(name), "", err);
	}
	if (ret == -1)
		domains_release(set);
	return ret;
}

void
domains_release(struct domain_set *set)
{
	for (size_t i = 0; i < set->n_postfix; i++)
		postfix_lists_free(set->postfix[i]);
	free(set->postfix);
	strset_release(&set->plain);
	strset_release(&set->names);
	string_list_release(&set->files);
	string_list_release(&set->warnings);
	memset(set, 0, sizeof(*set));
}
