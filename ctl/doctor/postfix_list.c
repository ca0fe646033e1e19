/* SPDX-License-Identifier: ISC */
/* postfix_list - a list of restrictions is walked through for a stranger, and
 * what permits somebody before a refusal is remembered. */
#include "ctl/doctor/postfix_list.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/mta/conf_file.h"
#include "common/mta/postfix_table.h"
#include "ctl/ctl.h"
#include "ctl/doctor/files.h"

enum { DEPTH_MAX = 4, TABLES_MAX = 200 };

static void
grant_full(struct postfix_list *l, const char *kind, enum grantee grantee,
    const char *file, unsigned line, const char *detail)
{
	assert(l->n <= POSTFIX_GRANTS_MAX);
	if (l->n == POSTFIX_GRANTS_MAX)
		return;
	l->v[l->n++] = (struct postfix_grant){ .kind = kind,
		.grantee = grantee,
		.file = file == NULL ? NULL : strdup(file),
		.line = line,
		.detail = strdup(detail) };
}

static void
grant(struct postfix_list *l, const char *kind, enum grantee grantee,
    const char *detail)
{
	grant_full(l, kind, grantee, NULL, 0, detail);
}

/* --- tables --- */

/* A table while its entries come. */
struct table_walk {
	struct postfix_list *l;
	enum restrict_effect effect;
	const char *name, *table;
	char *text; /* of its source, for lines; NULL */
	bool over; /* an entry for everything has been seen */
	enum restrict_end end; /* for everybody */
};

static enum restrict_end walk_text(struct postfix_list *l, const char *text);

static void
grant_entry(struct table_walk *t, const char *kind, enum grantee grantee,
    const char *key, const char *value)
{
	const char *path = postfix_table_path(t->table);
	char detail[700];

	(void)snprintf(detail, sizeof(detail),
	    "%s asks %s %.120s, which answers \"%.60s\" to %s%.120s, before anything refuses.",
	    t->l->setting, *t->name == '\0' ? "the table" : t->name, t->table,
	    value, *key == '\0' ? "everything" : "", key);
	grant_full(t->l, kind, grantee, t->text == NULL ? NULL : path,
	    postfix_table_line(t->text, key), detail);
}

/* "user@elsewhere.test", "elsewhere.test", ".elsewhere.test", "user@" */
static bool
is_our_recipient(struct postfix_exam *x, const char *key)
{
	char folded[DOMAIN_TEXT_MAX];
	const char *at = strrchr(key, '@'), *domain = at == NULL ? key : at + 1;

	domain += *domain == '.';
	return domain_fold(domain, strlen(domain), folded) &&
	    postfix_is_domain(x, folded);
}

/* "/@example\.com$/": does it end in one of our domains? */
static bool
is_our_pattern(struct postfix_exam *x, const char *pattern)
{
	const char *end = strrchr(pattern, *pattern);
	const char *at = strrchr(pattern, '@');
	char name[DOMAIN_TEXT_MAX];
	size_t n = 0;

	if (at == NULL || end <= at + 1 || end[-1] != '$')
		return false;
	for (at++; at < end - 1 && n < sizeof(name) - 1; at++)
		if (*at != '\\')
			name[n++] = *at;
	name[n] = '\0';
	return strpbrk(name, "*+?()[]|^") == NULL && is_our_recipient(x, name);
}

/* ".example.com" is looked up only where "example.com" doesn't stand for all
 * below it (access(5)). */
static bool
is_never_asked(
    const struct table_walk *t, enum postfix_table_kind kind, const char *key)
{
	return kind == TABLE_KEYS && *key == '.' &&
	    strstr(postfix_value(&t->l->x->pf, t->l->s,
		       "parent_domain_matches_subdomains"),
		"smtpd_access_maps") != NULL;
}

static void
client_entry(struct table_walk *t, enum postfix_table_kind kind,
    const char *key, const char *value)
{
	struct network net;
	char who[ADDR_TEXT_MAX];

	if (is_never_asked(t, kind, key))
		return;
	if (kind == TABLE_PATTERN || !net_word_parse(key, &net)) {
		grant_entry(t,
		    strcasecmp(key, "unknown") == 0
			? "postfix-client-map-open"
			: "postfix-client-name-permits",
		    strcasecmp(key, "unknown") == 0 ? GRANTEE_STRANGER
						    : GRANTEE_SOME,
		    key, value);
		return;
	}
	switch (net_danger(&t->l->x->machine, &net, who)) {
	case NET_WORLD:
		grant_entry(
		    t, "postfix-client-map-open", GRANTEE_STRANGER, key, value);
		break;
	case NET_WIDE:
		grant_entry(
		    t, "postfix-client-map-wide", GRANTEE_SOME, key, value);
		break;
	default: /* a machine somebody chose */
		break;
	}
}

/* An entry that permits: which clients? */
static void
permit_entry(struct table_walk *t, enum postfix_table_kind kind,
    const char *key, const char *value, bool digits)
{
	static const char *const kinds[] = {
		[EFFECT_HELO] = "postfix-helo-permits",
		[EFFECT_SENDER] = "postfix-sender-permits",
	};

	switch (t->effect) {
	case EFFECT_CLIENT:
		client_entry(t, kind, key, value);
		break;
	case EFFECT_RECIPIENT:
		if (kind == TABLE_PATTERN ? is_our_pattern(t->l->x, key)
					  : is_our_recipient(t->l->x, key))
			break;
		grant_entry(
		    t, "postfix-recipient-permits", GRANTEE_SOME, key, value);
		break;
	case EFFECT_HELO:
	case EFFECT_SENDER:
		grant_entry(t, digits ? "postfix-map-digits" : kinds[t->effect],
		    GRANTEE_STRANGER, key, value);
		break;
	default:
		break;
	}
}

static bool
is_all(enum postfix_table_kind kind, const char *key)
{
	return kind == TABLE_ALWAYS ||
	    (kind == TABLE_PATTERN && postfix_pattern_is_all(key));
}

static void
take_entry(
    void *arg, enum postfix_table_kind kind, const char *key, const char *value)
{
	struct table_walk *t = arg;
	enum access_result result = access_result_parse(value);
	enum restrict_end end = RESTRICT_THROUGH;

	if (t->over)
		return; /* the first that matches counts */
	if (result == RESULT_OK || result == RESULT_DIGITS)
		end = RESTRICT_PERMIT;
	else if (result == RESULT_REJECT)
		end = RESTRICT_REJECT;
	else if (result == RESULT_LIST)
		end = walk_text(t->l, value);
	t->over = is_all(kind, key);
	if (t->over && (kind == TABLE_ALWAYS || t->end == RESTRICT_THROUGH))
		t->end = end;
	if (end != RESTRICT_PERMIT)
		return;
	if (t->over)
		grant_entry(t, "postfix-permit-all", GRANTEE_STRANGER,
		    kind == TABLE_ALWAYS ? "" : key, value);
	else
		permit_entry(t, kind, key, value, result == RESULT_DIGITS);
}

/* The table of "{ type:name, parameter = value }" or of a plain word. */
static void
table_name(const char *operand, char *buf, size_t size)
{
	const char *at = operand;

	assert(size > 0);
	buf[0] = '\0';
	if (*operand != '{') {
		(void)snprintf(buf, size, "%s", operand);
		return;
	}
	at++;
	(void)restrict_word(&at, buf, size);
	size_t n = strlen(buf);

	if (n > 0 && buf[n - 1] == '}' && strchr(buf, '{') == NULL)
		buf[n - 1] = '\0';
}

static bool
is_popgate_map(const struct postfix_exam *x, const struct postfix_service *s,
    const char *table)
{
	struct postfix_endpoint e;

	return postfix_endpoint_map(table, &e) &&
	    postfix_is_listener(x, s, &e, x->d->ctl->cfg->permit.socketmap);
}

static void
not_understood(struct postfix_list *l, const char *why)
{
	char detail[POSTFIX_WHY_MAX + 100];

	(void)snprintf(detail, sizeof(detail), "%s: %s", l->setting, why);
	grant(l, "postfix-not-understood", GRANTEE_NOBODY, detail);
}

static enum restrict_end
look_table(struct postfix_list *l, enum restrict_effect effect,
    const char *name, const char *operand)
{
	char table[600], why[POSTFIX_WHY_MAX];
	struct table_walk t = {
		.l = l,
		.effect = effect,
		.name = name,
		.table = table,
		.end = RESTRICT_THROUGH,
	};

	table_name(operand, table, sizeof(table));
	if (++l->tables > TABLES_MAX) {
		if (l->tables == TABLES_MAX + 1)
			not_understood(l, "it asks too many tables");
		return RESTRICT_THROUGH;
	}
	if (is_popgate_map(l->x, l->s, table)) {
		l->asks_popgate = true;
		return RESTRICT_THROUGH;
	}
	if (postfix_table_path(table) != NULL) {
		t.text = conf_file_read(postfix_table_path(table));
		if (t.text != NULL)
			doctor_check_writable(l->x->d,
			    "postfix-config-writable",
			    postfix_table_path(table));
	}
	if (!postfix_table_read(l->x->pf.dir, table, take_entry, &t, why))
		not_understood(l, why);
	free(t.text);
	return t.end;
}

/* --- the other restrictions that permit --- */

/* One finding for all that a setting holds: add the word to the one that is
 * there. */
static bool
add_to_wide(struct postfix_list *l, const char *kind, const char *word)
{
	enum { NAMED_MAX = 400 };

	for (size_t i = 0; i < l->n; i++) {
		struct postfix_grant *g = &l->v[i];
		size_t n = g->detail == NULL ? 0 : strlen(g->detail);
		char *longer;

		if (g->kind == NULL || strcmp(g->kind, kind) != 0 || n == 0)
			continue;
		g->detail[n - 1] = '\0'; /* its full stop */
		if (asprintf(&longer, "%s%s%.100s.", g->detail,
			n < NAMED_MAX ? ", " : "",
			n < NAMED_MAX                           ? word
			    : strstr(g->detail, " ...") == NULL ? " ..."
								: "") == -1)
			longer = NULL;
		if (longer == NULL) {
			l->x->d->no_memory = true;
			return true;
		}
		free(g->detail);
		g->detail = longer;
		return true;
	}
	return false;
}

static void
take_network(void *arg, const char *word, const struct network *net)
{
	static const char *const kinds[] = {
		[NET_WORLD] = "postfix-mynetworks-open",
		[NET_WIDE] = "postfix-mynetworks-wide",
		[NET_BRIDGE] = "postfix-mynetworks-bridge",
		[NET_GATEWAY] = "postfix-mynetworks-gateway",
	};
	struct postfix_list *l = arg;
	const struct postfix_exam *x = l->x;
	char who[ADDR_TEXT_MAX], detail[400];
	unsigned line;
	const char *file = postfix_where(&x->pf, l->s, "mynetworks", &line);
	enum net_danger danger;

	if (net == NULL)
		return;
	danger = net_danger(&x->machine, net, who);
	/* by itself Postfix takes the machine's own addresses: no network */
	if (danger == NET_FINE || (danger >= NET_BRIDGE && line == 0))
		return;
	(void)snprintf(detail, sizeof(detail), "mynetworks holds %.100s%s%s%s",
	    word, *who == '\0' ? "." : ", and with it this machine's ",
	    *who == '\0'                ? ""
		: danger == NET_GATEWAY ? "gateway "
					: "address on a bridge, ",
	    who);
	if (danger == NET_WIDE && add_to_wide(l, kinds[danger], word))
		return;
	grant_full(l, kinds[danger],
	    danger == NET_WORLD ? GRANTEE_STRANGER : GRANTEE_NETWORKS, file,
	    line, detail);
}

static void
look_networks(struct postfix_list *l)
{
	const struct postfix_exam *x = l->x;
	const char *style = postfix_value(&x->pf, l->s, "mynetworks_style");
	char detail[200];
	unsigned line;

	grant(l, NULL, GRANTEE_NETWORKS, "");
	(void)postfix_where(&x->pf, l->s, "mynetworks", &line);
	if (line == 0 && strcmp(style, "host") != 0) {
		const char *file =
		    postfix_where(&x->pf, l->s, "mynetworks_style", &line);

		(void)snprintf(detail, sizeof(detail),
		    "mynetworks isn't set, and mynetworks_style is %.50s.",
		    style);
		grant_full(l, "postfix-mynetworks-style", GRANTEE_NETWORKS,
		    file, line, detail);
		return;
	}
	postfix_networks(
	    x, postfix_value(&x->pf, l->s, "mynetworks"), take_network, l);
}

static void
look_auth(struct postfix_list *l)
{
	const struct postfix_exam *x = l->x;
	unsigned line;

	grant(l, NULL, GRANTEE_AUTH, "");
	if (!postfix_yes(&x->pf, l->s, "smtpd_sasl_auth_enable") ||
	    strstr(postfix_value(&x->pf, l->s, "smtpd_sasl_security_options"),
		"noanonymous") != NULL)
		return;
	const char *file =
	    postfix_where(&x->pf, l->s, "smtpd_sasl_security_options", &line);

	grant_full(l, "postfix-sasl-anonymous", GRANTEE_STRANGER, file, line,
	    "smtpd_sasl_security_options doesn't hold noanonymous, and who has logged in may relay.");
}

static void
look_certificate(struct postfix_list *l, bool any)
{
	const struct postfix_exam *x = l->x;
	bool asks = postfix_yes(&x->pf, l->s, "smtpd_tls_ask_ccert") ||
	    postfix_yes(&x->pf, l->s, "smtpd_tls_req_ccert");

	if (any && asks)
		grant(l, "postfix-any-certificate", GRANTEE_SOME,
		    "permit_tls_all_clientcerts lets every client relay whose certificate an authority of smtpd_tls_CAfile signed.");
	if (!any &&
	    strstr(postfix_value(&x->pf, l->s, "relay_clientcerts"),
		"static:") != NULL)
		grant(l, "postfix-any-certificate", GRANTEE_SOME,
		    "relay_clientcerts is a static: table: every fingerprint is in it.");
}

/* "{ unix:private/policy, { default_action = OK } }" */
static void
policy_action(const char *operand, char *action, size_t size)
{
	const char *at = strstr(operand, "default_action");

	if (at == NULL)
		return;
	at += strlen("default_action");
	at += strspn(at, " \t=");
	size_t n = strcspn(at, "},");

	while (n > 0 && (at[n - 1] == ' ' || at[n - 1] == '\t'))
		n--;
	(void)snprintf(action, size, "%.*s", (int)n, at);
}

static void
look_policy(struct postfix_list *l, const char *operand)
{
	const struct postfix_exam *x = l->x;
	const struct config *cfg = x->d->ctl->cfg;
	char service[300], action[200], detail[700];

	table_name(operand, service, sizeof(service));
	(void)snprintf(action, sizeof(action), "%s",
	    postfix_value(&x->pf, l->s, "smtpd_policy_service_default_action"));
	policy_action(operand, action, sizeof(action));
	bool ours = postfix_is_ours(x, l->s, service, cfg->permit.policy);

	l->asks_popgate |= ours;
	enum access_result result = access_result_parse(action);

	if (result == RESULT_OK || result == RESULT_DIGITS ||
	    strncasecmp(action, "permit", 6) == 0) {
		(void)snprintf(detail, sizeof(detail),
		    "%s asks the policy service %.200s, and takes \"%.60s\" for its answer when it doesn't answer.",
		    l->setting, service, action);
		grant(l, "postfix-policy-fails-open", GRANTEE_STRANGER, detail);
	} else if (!ours) {
		(void)snprintf(detail, sizeof(detail),
		    "%s asks the policy service %.200s.", l->setting, service);
		grant(l, "postfix-policy-unknown", GRANTEE_NOBODY, detail);
	}
}

static enum restrict_end
look(void *arg, enum restrict_effect effect, const char *name,
    const char *operand)
{
	struct postfix_list *l = arg;
	char why[200];

	switch (effect) {
	case EFFECT_NETWORKS:
		look_networks(l);
		break;
	case EFFECT_AUTH:
		look_auth(l);
		break;
	case EFFECT_CERT:
	case EFFECT_ANY_CERT:
		look_certificate(l, effect == EFFECT_ANY_CERT);
		break;
	case EFFECT_MX_BACKUP:
		if (*postfix_value(
			&l->x->pf, l->s, "permit_mx_backup_networks") == '\0')
			grant(l, "postfix-mx-backup", GRANTEE_SOME,
			    "permit_mx_backup stands before the refusal, and permit_mx_backup_networks is empty.");
		break;
	case EFFECT_POLICY:
		look_policy(l, operand);
		break;
	case EFFECT_CLIENT:
	case EFFECT_HELO:
	case EFFECT_SENDER:
	case EFFECT_RECIPIENT:
		return look_table(l, effect, name, operand);
	case EFFECT_DNS_MAP:
	case EFFECT_OTHER_MAP:
		break;
	default:
		(void)snprintf(why, sizeof(why),
		    "'%.100s' is no restriction that the doctor knows", name);
		not_understood(l, why);
		break;
	}
	return RESTRICT_THROUGH;
}

static const char *
class_list(void *arg, const char *name)
{
	struct postfix_list *l = arg;
	const char *classes =
	    postfix_value(&l->x->pf, l->s, "smtpd_restriction_classes");
	char word[200];

	while (restrict_word(&classes, word, sizeof(word)))
		if (strcmp(word, name) == 0)
			return postfix_value(&l->x->pf, l->s, name);
	return NULL;
}

static struct restrict_walk
new_walk(struct postfix_list *l, enum restrict_effect plain_table)
{
	return (struct restrict_walk){ .arg = l,
		.class_list = class_list,
		.look = look,
		.plain_table = plain_table,
		.all_ours = l->all_ours };
}

static enum restrict_end
walk_text(struct postfix_list *l, const char *text)
{
	struct restrict_walk w = new_walk(l, EFFECT_UNKNOWN);

	assert(l->depth >= 0);
	if (l->depth >= DEPTH_MAX)
		return RESTRICT_THROUGH;
	l->depth++;
	enum restrict_end end = restrict_list(&w, text);

	l->depth--;
	return end;
}

void
postfix_list_walk(struct postfix_list *l, struct postfix_exam *x,
    const struct postfix_service *s, const char *setting,
    enum restrict_effect plain_table, bool all_ours)
{
	*l = (struct postfix_list){
		.x = x, .s = s, .setting = setting, .all_ours = all_ours
	};
	struct restrict_walk w = new_walk(l, plain_table);

	l->end = restrict_list(&w, postfix_value(&x->pf, s, setting));
	l->nothing_stops = w.nothing_stops;
}

void
postfix_list_release(struct postfix_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].file);
		free(l->v[i].detail);
	}
}

bool
postfix_list_has_reject(struct postfix_list *l)
{
	struct restrict_walk w = new_walk(l, EFFECT_RECIPIENT);

	return restrict_has_reject(
	    &w, postfix_value(&l->x->pf, l->s, l->setting));
}
