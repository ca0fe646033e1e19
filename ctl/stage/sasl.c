/* SPDX-License-Identifier: ISC */
#include "ctl/stage/sasl.h"

#include <stdio.h>
#include <unistd.h>

#include "ctl/stage/room.h"

/* Places of Cyrus SASL, as distributions build it. */
static const struct {
	const char *dir, *end;
} places[] = {
	{ "/etc/sasl2", ".conf" },
	{ "/etc/mail/sasl", ".conf.2" },
	{ "/usr/lib/sasl2", ".conf" },
	{ "/usr/lib64/sasl2", ".conf" },
	{ "/usr/lib/x86_64-linux-gnu/sasl2", ".conf" },
	{ "/usr/lib/aarch64-linux-gnu/sasl2", ".conf" },
};

static int
replace(const char *dir, const char *program, const char *end, struct err *err)
{
	char path[1024];

	(void)snprintf(path, sizeof(path), "%s/%s%s", dir, program, end);
	return access(path, F_OK) == -1
	    ? 0
	    : room_file(path,
		  "pwcheck_method: saslauthd\nmech_list: PLAIN LOGIN\n", 0644,
		  err);
}

int
sasl_ask_stand_in(const char *program, const char *dir, struct err *err)
{
	char own[1000];

	(void)snprintf(own, sizeof(own), "%s/sasl", dir == NULL ? "" : dir);
	if (dir != NULL && replace(own, program, ".conf", err) == -1)
		return -1;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (replace(places[i].dir, program, places[i].end, err) == -1)
			return -1;
	return 0;
}
