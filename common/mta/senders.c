/* SPDX-License-Identifier: ISC */
#include "common/mta/senders.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/mta/address.h"
#include "common/mta/conf_file.h"
#include "common/mta/postfix_conf.h"
#include "common/mta/postfix_table.h"

/* The set holds texts "<kind><key>\n<user>", all folded:
 *   'A'  key is an address that user may use, by a file
 *   'B'  key is a domain of which user may use all addresses, by a file
 *   'a', 'b'  the same by a table of Postfix's
 *   'k'  without a user: the address is a key of a table of Postfix's, so
 *        its domain's entry doesn't count for it
 *   'D'  key is the domain of an address of user's */
enum { USER_MAX = 256, ENTRY_MAX = 1 + ADDRESS_TEXT_MAX + 1 + USER_MAX };

static int
no_memory(struct err *err)
{
	err_set(err, ERR_NOMEM, "out of memory");
	return -1;
}

/* ASCII case only. False for what is no user: empty, too long, with control
 * bytes (the entry's separator is one). */
static bool
fold_user(const char *user, size_t len, char out[USER_MAX])
{
	if (len == 0 || len >= USER_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)user[i];

		if (c < 0x20 || c == 0x7f)
			return false;
		out[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : (char)c;
	}
	out[len] = '\0';
	return true;
}

static const char *
entry(char buf[ENTRY_MAX], char kind, const char *key, const char *user)
{
	(void)snprintf(buf, ENTRY_MAX, "%c%s\n%s", kind, key, user);
	return buf;
}

static bool
has(const struct sender_set *set, char kind, const char *key, const char *user)
{
	char buf[ENTRY_MAX];

	return strset_has(&set->set, entry(buf, kind, key, user));
}

static int
add(struct sender_set *set, char kind, const char *key, const char *user,
    struct err *err)
{
	char buf[ENTRY_MAX];

	return strset_add(&set->set, entry(buf, kind, key, user)) == 0
	    ? 0
	    : no_memory(err);
}

/* May the user whose own address this is? */
static bool
own_address(enum sender_binding binding, const char *text, const char *sender,
    const char *domain)
{
	char own[ADDRESS_TEXT_MAX];
	const char *own_domain;

	if (!address_fold(text, own, &own_domain))
		return false;
	return binding == SENDER_DOMAIN ? strcmp(own_domain, domain) == 0
					: strcmp(own, sender) == 0;
}

bool
senders_allow(const struct sender_set *set, enum sender_binding binding,
    const char *user, const char *sender)
{
	char address[ADDRESS_TEXT_MAX], name[USER_MAX];
	char appended[USER_MAX + 1 + DOMAIN_TEXT_MAX];
	const char *domain;

	if (!address_fold(sender, address, &domain) ||
	    !fold_user(user, strlen(user), name))
		return false;
	if (set->user_name && own_address(binding, name, address, domain))
		return true;
	for (size_t i = 0; strchr(name, '@') == NULL && i < set->append.n;
	     i++) {
		(void)snprintf(appended, sizeof(appended), "%s@%s", name,
		    set->append.v[i]);
		if (own_address(binding, appended, address, domain))
			return true;
	}
	if (binding == SENDER_DOMAIN)
		return has(set, 'D', domain, name);
	if (has(set, 'A', address, name) || has(set, 'B', domain, name))
		return true;
	return has(set, 'k', address, "") ? has(set, 'a', address, name)
					  : has(set, 'b', domain, name);
}

/* --- loading --- */

/* An address or @domain, folded. */
struct key {
	bool whole; /* all of the domain */
	char text[ADDRESS_TEXT_MAX]; /* "user@domain", or "@domain" */
	const char *domain;
};

/* where: "file:line" or a table. */
static int
parse_key(const char *text, struct key *key, const char *where, struct err *err)
{
	key->whole = *text == '@';
	key->text[0] = '@';
	key->domain = key->text + 1;
	if (key->whole
		? domain_fold(text + 1, strlen(text + 1), key->text + 1) &&
		    strpbrk(key->domain, "/@,;|<>\"\\*") == NULL
		: address_fold(text, key->text, &key->domain))
		return 0;
	err_set(err, ERR_INVALID,
	    "%s: '%.100s': expected a plain user@domain or @domain", where,
	    text);
	return -1;
}

static int
add_key(struct sender_set *set, const struct key *key, const char *user,
    bool table, struct err *err)
{
	char kind = table ? (key->whole ? 'b' : 'a') : (key->whole ? 'B' : 'A');

	return add(set, kind, key->whole ? key->domain : key->text, user,
		   err) == 0 &&
		add(set, 'D', key->domain, user, err) == 0
	    ? 0
	    : -1;
}

/* "user: address, @domain ..." */
static int
add_rule(struct sender_set *set, char *line, const char *where, struct err *err)
{
	char user[USER_MAX], *save = NULL;
	struct key key;
	char *colon = strchr(line, ':');
	unsigned n = 0;

	if (colon == NULL || !fold_user(line, (size_t)(colon - line), user)) {
		err_set(err, ERR_INVALID,
		    "%s: expected \"user: address, @domain ...\"", where);
		return -1;
	}
	for (char *word = strtok_r(colon + 1, ", \t\r\n", &save);
	     word != NULL && *word != '#';
	     word = strtok_r(NULL, ", \t\r\n", &save), n++)
		if (parse_key(word, &key, where, err) == -1 ||
		    add_key(set, &key, user, false, err) == -1)
			return -1;
	if (n > 0)
		return 0;
	err_set(err, ERR_INVALID,
	    "%s: expected an address or @domain behind the user", where);
	return -1;
}

/* A conf_line_fn. */
static int
add_line(void *arg, char *line, size_t len, const char *where, struct err *err)
{
	char *text = line + strspn(line, " \t\r\n");

	if (strlen(line) != len) {
		err_set(err, ERR_INVALID, "%s: has a NUL byte", where);
		return -1;
	}
	return *text == '\0' || *text == '#' ? 0
					     : add_rule(arg, text, where, err);
}

static int
add_file(struct sender_set *set, const char *path, struct err *err)
{
	if (!string_list_add(&set->files, path, strlen(path)))
		return no_memory(err);
	return conf_file_lines(path, add_line, set, err);
}

/* "address<TAB>user, user ..." */
static int
add_table_line(
    struct sender_set *set, char *line, const char *table, struct err *err)
{
	char user[USER_MAX], *save = NULL;
	char *text = strtok_r(line, " \t", &save);
	struct key key;

	if (text == NULL)
		return 0;
	if (parse_key(text, &key, table, err) == -1)
		return -1;
	/* the first table that has a key is the one that counts */
	if (has(set, 'k', key.text, ""))
		return 0;
	for (char *word = strtok_r(NULL, ", \t\r", &save); word != NULL;
	     word = strtok_r(NULL, ", \t\r", &save)) {
		if (!fold_user(word, strlen(word), user)) {
			err_set(err, ERR_INVALID,
			    "%s: %.100s: '%.100s' is no user", table, text,
			    word);
			return -1;
		}
		if (add_key(set, &key, user, true, err) == -1)
			return -1;
	}
	return add(set, 'k', key.text, "", err);
}

static int
add_table(
    struct sender_set *set, const char *dir, const char *table, struct err *err)
{
	if (!postfix_table_listable(table)) {
		err_set(err, ERR_INVALID,
		    "smtpd_sender_login_maps has %.100s, which can't be listed: popgate takes hash, btree, lmdb, cdb, dbm, sdbm, texthash and inline; name the users in a \"file:\" of \"user: address ...\" instead",
		    table);
		return -1;
	}
	char *text = postfix_table_list(dir, table, &set->files, err),
	     *save = NULL;
	int ret = 0;

	if (text == NULL)
		return -1;
	for (char *line = strtok_r(text, "\n", &save); ret == 0 && line != NULL;
	     line = strtok_r(NULL, "\n", &save))
		ret = add_table_line(set, line, table, err);
	free(text);
	return ret;
}

static int
add_postfix(struct sender_set *set, const char *dir, struct err *err)
{
	char main_cf[600];
	char *value = postfix_setting(dir, "smtpd_sender_login_maps", err);
	const char *at = value, *word;
	unsigned n = 0;
	size_t len;
	int ret = 0;

	if (value == NULL)
		return -1;
	for (; ret == 0 && (len = postfix_next_word(&at, &word)) > 0; n++) {
		char *table = strndup(word, len);

		ret = table == NULL ? no_memory(err)
				    : add_table(set, dir, table, err);
		free(table);
	}
	(void)snprintf(main_cf, sizeof(main_cf), "%.500s/main.cf", dir);
	if (ret == 0 && n == 0) {
		err_set(err, ERR_INVALID,
		    "smtpd_sender_login_maps is empty in %.500s", main_cf);
		ret = -1;
	}
	if (ret == 0 && !string_list_add(&set->files, main_cf, strlen(main_cf)))
		ret = no_memory(err);
	free(value);
	return ret;
}

static int
add_appended(struct sender_set *set, const char *domain, struct err *err)
{
	char folded[DOMAIN_TEXT_MAX];

	if (!domain_fold(domain, strlen(domain), folded) ||
	    strpbrk(folded, "/@,;|<>\"\\*[") != NULL || *folded == '.') {
		err_set(err, ERR_INVALID, "'append:%.100s': expected a domain",
		    domain);
		return -1;
	}
	return string_list_add(&set->append, folded, strlen(folded))
	    ? 0
	    : no_memory(err);
}

int
senders_load(
    const struct string_list *sources, struct sender_set *set, struct err *err)
{
	int ret = 0;

	*set = (struct sender_set){ .user_name = false };
	for (size_t i = 0; ret == 0 && i < sources->n; i++) {
		const char *name = sources->v[i];

		if (strcmp(name, "user") == 0) {
			set->user_name = true;
		} else if (strncmp(name, "append:", 7) == 0) {
			ret = add_appended(set, name + 7, err);
		} else if (strncmp(name, "file:/", 6) == 0) {
			ret = add_file(set, name + 5, err);
		} else if (strncmp(name, "postfix:/", 9) == 0) {
			ret = add_postfix(set, name + 8, err);
		} else {
			err_set(err, ERR_INVALID,
			    "'%.100s': expected \"user\", \"append:domain\", \"file:/path\" or \"postfix:/directory\"",
			    name);
			ret = -1;
		}
	}
	if (ret == -1)
		senders_release(set);
	return ret;
}

void
senders_release(struct sender_set *set)
{
	string_list_release(&set->append);
	string_list_release(&set->files);
	strset_release(&set->set);
	set->user_name = false;
}
