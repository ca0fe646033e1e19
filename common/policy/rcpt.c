/* SPDX-License-Identifier: ISC */
#include "common/policy/rcpt.h"

#include <string.h>

#include "common/mta/address.h"

enum domain_answer
rcpt_ask(const char *arg, const char *mailer, const struct string_list *mailers,
    const struct domain_set *domains, bool wait)
{
	size_t len = strlen(arg);
	char folded[DOMAIN_TEXT_MAX];

	arg = address_inside(arg, &len);
	if (len == 0)
		return DOMAIN_FOREIGN;
	const char *at = memrchr(arg, '@', len);
	size_t local_len = at == NULL ? len : (size_t)(at - arg);
	bool plain = local_len > 0 && !address_has_routing(arg, local_len);

	/* (a) The MTA delivers it here. "local" saw through all routing; of
	 * other mailers the next hop may not have (both closed MTAs refuse
	 * user%elsewhere at a relay domain, so do we). */
	if (mailer != NULL && *mailer != '\0' &&
	    string_list_has(mailers, mailer) &&
	    (plain || strcmp(mailer, "local") == 0))
		return DOMAIN_OURS;
	if (!plain)
		return DOMAIN_FOREIGN;
	/* (c) no domain; (b) one of our domains */
	if (at == NULL)
		return DOMAIN_OURS;
	return domain_fold(at + 1, len - local_len - 1, folded)
	    ? domains_ask(domains, folded, wait)
	    : DOMAIN_FOREIGN;
}
