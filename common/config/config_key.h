/* SPDX-License-Identifier: ISC */
/* config_key - the table of keys: what popgate.conf may hold, of which kind,
 * within which limits, by which default. Reading, checking, freeing, known
 * names and dump-config all go by it. For this folder only. Threads: any, as
 * long as one struct config is written by one thread. */
#ifndef POPGATE_CONFIG_KEY_H
#define POPGATE_CONFIG_KEY_H

#include <libconfig.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config/config.h"

enum kind {
	K_PATH, /* absolute path */
	K_TEXT, /* any text, see check */
	K_SECONDS, /* duration */
	K_INT,
	K_SIZE, /* bytes: "500M", "8G" */
	K_MODE, /* "0660" */
	K_CHOICE, /* one of two words: false, true */
	K_ENUM, /* one of some words: an enumeration from 0 */
	K_BOOL, /* true or false, as libconfig writes them */
	K_RATE, /* "100/1h" or "off"; min and max: of the window */
	K_STRINGS, /* array or list of strings */
	K_NETWORKS, /* the same, of addresses and networks */
	K_GROUPS, /* list of groups: ( { ... }, { ... } ) */
	K_TABLE /* group of lists of strings: { name = [ ... ]; ... } */
};

enum { KEY_CHOICES = 4 };

/* K_GROUPS, K_TABLE: an array of structs in struct config. */
struct key_groups {
	size_t count; /* offset of its size_t */
	size_t size; /* of one struct */
	/* Fill the next struct, whose memory is zero, and add one to the
	 * count as soon as something is in it. 0, or -1 with err.
	 *   s  one of the groups; of a table, one of the lists */
	int (*set)(struct config *cfg, config_setting_t *s, struct err *err);
	/* The members of a struct, by what to write in the file; returns how
	 * many (at most CONFIG_GROUP_MAX). */
	size_t (*members)(const void *one, struct config_member *v);
	void (*release)(void *one);
};

struct key {
	const char *path;
	enum kind kind;
	size_t offset; /* in struct config */
	const char *def; /* as written; lists: separated by spaces */
	const char *choice[KEY_CHOICES]; /* up to a NULL; K_STRINGS: if any */
	int64_t min, max;
	bool off; /* K_SECONDS, K_INT, K_SIZE: "off" is 0 */
	/* Returns NULL when value is good, else what was expected. */
	const char *(*check)(const char *value);
	const struct key_groups *groups;
};

/* keys.c: the table, *n_r long. Constant. */
const struct key *config_keys(size_t *n_r);

/* groups.c: the keys of groups. */
extern const struct key_groups key_sources, key_custom, key_certificates,
    key_mirrors, key_tags;

/* values.c: give key's member of cfg the value of s, or its default where s is
 * NULL. 0, or -1 with err; config_free() releases what was set, in both
 * cases. */
int key_set(struct config *cfg, const struct key *key,
    const config_setting_t *s, struct err *err);
/* values.c: add the strings of s, a list of them, to list; where s is NULL the
 * default's. Of key its path, default, words and check count. 0, or -1 with
 * err; what was added stays. */
int key_strings(const struct config *cfg, const struct key *key,
    const config_setting_t *s, struct string_list *list, struct err *err);
/* values.c: free what key_set() gave the member. */
void key_release(struct config *cfg, const struct key *key);

/* --- key_error.c --- */

/* Set err to "FILE:LINE: PATH: expected EXPECTED" and return -1. The line is
 * that of s, or 0 where s is NULL: a default. */
int key_error(const struct config *cfg, const config_setting_t *s,
    const char *path, const char *expected, struct err *err);
/* The same, where one of the words of a key was expected. */
int key_choice_error(const struct config *cfg, const struct key *key,
    const config_setting_t *s, struct err *err);
/* Set err to ERR_NOMEM and return -1. */
int key_nomem(struct err *err);

/* The index of text among the words of a key, or KEY_CHOICES. */
unsigned key_choice_find(const struct key *key, const char *text);

/* "FILE:LINE: KEY" into buf; file NULL is the one that config_load() was asked
 * for. Returns buf. */
const char *key_where(char buf[CONFIG_WHERE_MAX], const struct config *cfg,
    const char *file, unsigned line, const char *key);

#endif
