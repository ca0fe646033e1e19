/* SPDX-License-Identifier: ISC */
/* map_format - the forms of the files by which other programs let clients
 * relay (see common/maps/map.h). Pure. */
#ifndef POPGATE_MAP_FORMAT_H
#define POPGATE_MAP_FORMAT_H

#include <stdbool.h>

enum map_format {
	MAP_AS_MAKEMAP, /* "client<TAB>ticks", for makemap(8) */
	MAP_AS_RELAYERS_DB, /* the same as a Berkeley DB hash */
	MAP_AS_RELAYHOSTS, /* "client" */
	MAP_AS_RELAYHOSTSUSERS, /* "client user", a line for each user */
	MAP_AS_ACCESS, /* "client<TAB>value", for postmap(1) */
	MAP_AS_HASH, /* a Berkeley DB hash as makemap(8)'s for
		      * Sendmail's access map: IPv6 with its tag,
		      * too; Postfix reads it as well */
	MAP_AS_CIDR, /* as MAP_AS_ACCESS, networks too: cidr_table(5) */
	MAP_FORMATS
};

/* "makemap", "relayers.db", ... */
const char *map_format_name(enum map_format format);
bool map_format_find(const char *name, enum map_format *format_r);
/* Is it a Berkeley DB file? */
bool map_format_is_hash(enum map_format format);
/* Is there a word behind each client that can be chosen? */
bool map_format_has_value(enum map_format format);
/* The word that the programs of a format expect by default; NULL: none. */
const char *map_format_value(enum map_format format);
/* Printable ASCII without blanks at its ends. */
bool map_value_good(const char *value);

#endif
