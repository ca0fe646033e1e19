/* config_key - the table of keys: what popgate.conf may hold, of which kind,
 * within which limits, by which default. Reading, checking, freeing, known
 * names and dump-config all go by it. For config.c and config_each.c only. */
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
	K_GROUPS /* list of groups: ( { ... }, { ... } ) */
};

/* K_GROUPS: an array of structs in struct config. */
struct key_groups {
	size_t count; /* offset of its size_t */
	size_t size; /* of one struct */
	/* Fill the next struct, whose memory is zero, and add one to the
	 * count as soon as something is in it. 0, or -1 with err. */
	int (*set)(
	    struct config *cfg, config_setting_t *group, struct err *err);
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
	const char *choice[4]; /* up to a NULL; K_STRINGS: if any */
	int64_t min, max;
	bool off; /* K_SECONDS, K_INT, K_SIZE: "off" is 0 */
	/* Returns NULL when value is good, else what was expected. */
	const char *(*check)(const char *value);
	const struct key_groups *groups;
};

/* The table, *n_r long. */
const struct key *config_keys(size_t *n_r);

#endif
