/* SPDX-License-Identifier: ISC */
/* link_parse - a server's name, for those who only read it: so no library of
 * Redis or TLS is linked into popgate-milter, which speaks to neither. */
#include <stdio.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/listen.h"
#include "common/share/link.h"

int
link_parse(
    const char *server, struct listen_spec *spec, bool *tls_r, struct err *err)
{
	static const char tls[] = "tls:";
	bool is_unix = strncmp(server, "unix:", 5) == 0;
	char text[400];

	*tls_r = strncmp(server, tls, strlen(tls)) == 0;
	if (*tls_r)
		server += strlen(tls);
	int n = snprintf(
	    text, sizeof(text), "%s%s", is_unix ? "" : "inet:", server);

	if (n >= (int)sizeof(text)) {
		err_set(err, ERR_INVALID, "a server's name is too long");
		return -1;
	}
	return listen_parse(text, spec, err);
}
