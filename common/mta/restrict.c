/* SPDX-License-Identifier: ISC */
#include "common/mta/restrict.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

enum { DEPTH_MAX = 10, WORD_LEN = 1024, STEPS_MAX = 2000 };

/* postconf(5); what isn't here and doesn't begin with reject_ is a class */
static const struct restriction {
	const char *name;
	enum restrict_effect effect;
	bool operand;
} restrictions[] = {
	{ "permit", EFFECT_PERMIT, false },
	{ "reject", EFFECT_REJECT, false },
	{ "defer", EFFECT_REJECT, false },
	{ "defer_if_permit", EFFECT_REJECT, false },
	{ "defer_if_reject", EFFECT_NONE, false },
	{ "reject_unauth_destination", EFFECT_REJECT, false },
	{ "defer_unauth_destination", EFFECT_REJECT, false },
	{ "check_relay_domains", EFFECT_REJECT, false },
	{ "warn_if_reject", EFFECT_WARN, false },
	{ "sleep", EFFECT_NONE, true },
	{ "permit_mynetworks", EFFECT_NETWORKS, false },
	{ "permit_inet_interfaces", EFFECT_NONE, false },
	{ "permit_auth_destination", EFFECT_NONE, false },
	{ "permit_naked_ip_address", EFFECT_NONE, false },
	{ "permit_sasl_authenticated", EFFECT_AUTH, false },
	{ "permit_tls_clientcerts", EFFECT_CERT, false },
	{ "permit_tls_all_clientcerts", EFFECT_ANY_CERT, false },
	{ "permit_mx_backup", EFFECT_MX_BACKUP, false },
	/* ignored where they would override reject_unauth_destination */
	{ "permit_dnswl_client", EFFECT_NONE, true },
	{ "permit_rhswl_client", EFFECT_NONE, true },
	{ "check_policy_service", EFFECT_POLICY, true },
	{ "check_client_access", EFFECT_CLIENT, true },
	{ "check_client_a_access", EFFECT_DNS_MAP, true },
	{ "check_client_mx_access", EFFECT_DNS_MAP, true },
	{ "check_client_ns_access", EFFECT_DNS_MAP, true },
	{ "check_reverse_client_hostname_access", EFFECT_DNS_MAP, true },
	{ "check_reverse_client_hostname_a_access", EFFECT_DNS_MAP, true },
	{ "check_reverse_client_hostname_mx_access", EFFECT_DNS_MAP, true },
	{ "check_reverse_client_hostname_ns_access", EFFECT_DNS_MAP, true },
	{ "check_helo_access", EFFECT_HELO, true },
	{ "check_helo_a_access", EFFECT_DNS_MAP, true },
	{ "check_helo_mx_access", EFFECT_DNS_MAP, true },
	{ "check_helo_ns_access", EFFECT_DNS_MAP, true },
	{ "check_sender_access", EFFECT_SENDER, true },
	{ "check_sender_a_access", EFFECT_DNS_MAP, true },
	{ "check_sender_mx_access", EFFECT_DNS_MAP, true },
	{ "check_sender_ns_access", EFFECT_DNS_MAP, true },
	{ "check_recipient_access", EFFECT_RECIPIENT, true },
	{ "check_recipient_a_access", EFFECT_DNS_MAP, true },
	{ "check_recipient_mx_access", EFFECT_DNS_MAP, true },
	{ "check_recipient_ns_access", EFFECT_DNS_MAP, true },
	{ "check_ccert_access", EFFECT_OTHER_MAP, true },
	{ "check_sasl_access", EFFECT_OTHER_MAP, true },
	{ "check_etrn_access", EFFECT_OTHER_MAP, true },
	{ "reject_rbl_client", EFFECT_NONE, true },
	{ "reject_rhsbl_client", EFFECT_NONE, true },
	{ "reject_rhsbl_reverse_client", EFFECT_NONE, true },
	{ "reject_rhsbl_helo", EFFECT_NONE, true },
	{ "reject_rhsbl_sender", EFFECT_NONE, true },
	{ "reject_rhsbl_recipient", EFFECT_NONE, true },
	{ "reject_maps_rbl", EFFECT_NONE, false },
};

bool
restrict_word(const char **at, char *buf, size_t size)
{
	const char *from = *at + strspn(*at, " \t\r\n,");
	size_t n = 0;
	int depth = 0;

	assert(size > 1);
	for (; from[n] != '\0'; n++) {
		if (from[n] == '{')
			depth++;
		else if (from[n] == '}' && depth > 0)
			depth--;
		else if (depth == 0 && strchr(" \t\r\n,", from[n]) != NULL)
			break;
	}
	*at = from + n;
	if (n == 0)
		return false;
	if (n > size - 1)
		n = size - 1;
	memcpy(buf, from, n);
	buf[n] = '\0';
	return true;
}

static const struct restriction *
find(const char *name)
{
	for (size_t i = 0; i < sizeof(restrictions) / sizeof(restrictions[0]);
	     i++)
		if (strcasecmp(restrictions[i].name, name) == 0)
			return &restrictions[i];
	return NULL;
}

bool
restrict_effect_of(
    const char *name, enum restrict_effect *effect_r, bool *operand_r)
{
	const struct restriction *r = find(name);

	*effect_r = r == NULL ? EFFECT_UNKNOWN : r->effect;
	*operand_r = r != NULL && r->operand;
	return r != NULL;
}

/* A table's name has a colon. The caller unwraps "{ type:name,
 * parameter=value }". */
static bool
is_table(const char *word)
{
	const char *colon = strchr(word, ':');

	return colon != NULL && colon != word && strchr(word, '/') != word;
}

static bool
by_destination(const char *name)
{
	return strcmp(name, "reject_unauth_destination") == 0 ||
	    strcmp(name, "defer_unauth_destination") == 0 ||
	    strcmp(name, "check_relay_domains") == 0;
}

static enum restrict_end
one(struct restrict_walk *w, const char *name, const char **at)
{
	char operand[WORD_LEN] = "";
	const struct restriction *r = find(name);
	const char *class;

	if (r == NULL && is_table(name))
		return w->look(w->arg, w->plain_table, "", name);
	if (r == NULL) {
		class = w->class_list(w->arg, name);
		if (class != NULL && w->depth < DEPTH_MAX) {
			w->depth++;
			enum restrict_end end = restrict_list(w, class);

			w->depth--;
			return end;
		}
		if (strncasecmp(name, "reject_", 7) == 0)
			return RESTRICT_THROUGH;
		return w->look(w->arg, EFFECT_UNKNOWN, name, "");
	}
	if (r->operand)
		(void)restrict_word(at, operand, sizeof(operand));
	switch (r->effect) {
	case EFFECT_NONE:
		return w->all_ours &&
			strcmp(r->name, "permit_auth_destination") == 0
		    ? RESTRICT_PERMIT
		    : RESTRICT_THROUGH;
	case EFFECT_WARN:
		return RESTRICT_THROUGH;
	case EFFECT_PERMIT:
		return RESTRICT_PERMIT;
	case EFFECT_REJECT:
		return w->all_ours && by_destination(r->name) ? RESTRICT_THROUGH
							      : RESTRICT_REJECT;
	default:
		return w->look(w->arg, r->effect, r->name, operand);
	}
}

enum restrict_end
restrict_list(struct restrict_walk *w, const char *list)
{
	char word[WORD_LEN];
	bool warn = false;

	assert(w->class_list != NULL && w->look != NULL);
	while (restrict_word(&list, word, sizeof(word))) {
		if (++w->steps > STEPS_MAX)
			return RESTRICT_THROUGH;
		if (strcasecmp(word, "warn_if_reject") == 0) {
			warn = true;
			continue;
		}
		enum restrict_end end = one(w, word, &list);

		if (end == RESTRICT_REJECT && warn)
			w->nothing_stops = true;
		else if (end != RESTRICT_THROUGH)
			return end;
		warn = false;
	}
	return RESTRICT_THROUGH;
}

/* The same as has_required() of smtpd_check.c: classes are entered, a bare
 * "permit" ends the search, what stands after warn_if_reject doesn't count. */
bool
restrict_has_reject(struct restrict_walk *w, const char *list)
{
	static const char *const wanted[] = {
		"reject_unauth_destination",
		"defer_unauth_destination",
		"reject",
		"defer",
		"defer_if_permit",
		"check_relay_domains",
	};
	char word[WORD_LEN], operand[WORD_LEN];

	assert(w->class_list != NULL && w->depth >= 0);
	while (restrict_word(&list, word, sizeof(word)) &&
	    ++w->steps <= STEPS_MAX) {
		const struct restriction *r = find(word);
		const char *class =
		    r != NULL ? NULL : w->class_list(w->arg, word);

		if (strcasecmp(word, "permit") == 0)
			return false;
		if (strcasecmp(word, "warn_if_reject") == 0) {
			(void)restrict_word(&list, word, sizeof(word));
			continue;
		}
		for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
			if (strcasecmp(wanted[i], word) == 0)
				return true;
		if (r != NULL && r->operand)
			(void)restrict_word(&list, operand, sizeof(operand));
		if (class == NULL || w->depth >= DEPTH_MAX)
			continue;
		w->depth++;
		bool found = restrict_has_reject(w, class);

		w->depth--;
		if (found)
			return true;
	}
	return false;
}
