/* SPDX-License-Identifier: ISC */
#include "common/config/map_format.h"

#include <string.h>

static const struct {
	const char *name;
	bool hash;
	const char *value; /* NULL: ticks, or none */
} formats[MAP_FORMATS] = { [MAP_AS_MAKEMAP] = { "makemap", false, NULL },
	[MAP_AS_RELAYERS_DB] = { "relayers.db", true, NULL },
	[MAP_AS_RELAYHOSTS] = { "relayhosts", false, NULL },
	[MAP_AS_RELAYHOSTSUSERS] = { "relayhostsusers", false, NULL },
	[MAP_AS_ACCESS] = { "access", false, "OK" },
	[MAP_AS_HASH] = { "hash", true, "RELAY" },
	[MAP_AS_CIDR] = { "cidr", false, "OK" } };

const char *
map_format_name(enum map_format format)
{
	return formats[format].name;
}

bool
map_format_find(const char *name, enum map_format *format_r)
{
	for (int i = 0; i < MAP_FORMATS; i++) {
		if (strcmp(formats[i].name, name) != 0)
			continue;
		*format_r = (enum map_format)i;
		return true;
	}
	return false;
}

bool
map_format_is_hash(enum map_format format)
{
	return formats[format].hash;
}

bool
map_format_has_value(enum map_format format)
{
	return formats[format].value != NULL;
}

bool
map_value_good(const char *value)
{
	size_t n = strlen(value);

	for (size_t i = 0; i < n; i++)
		if (value[i] < ' ' || value[i] > '~')
			return false;
	return n > 0 && n < 200 && value[0] != ' ' && value[n - 1] != ' ';
}

const char *
map_format_value(enum map_format format)
{
	return formats[format].value;
}
