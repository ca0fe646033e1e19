/* doctor_postfix_relay - can a stranger relay through one smtpd service?
 *
 * smtpd asks smtpd_relay_restrictions and smtpd_recipient_restrictions, and
 * both must let a recipient pass. So each list is walked through for a
 * stranger, what permits somebody before a refusal is remembered, and it is a
 * finding only when the other list lets the same somebody pass. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/mta/conf_file.h"
#include "common/mta/postfix_table.h"
#include "common/mta/restrict.h"
#include "ctl/ctl.h"
#include "ctl/doctor/files.h"
#include "ctl/doctor/postfix.h"

enum { WHY_LEN = 400, DEPTH_MAX = 4, GRANTS_MAX = 64, TABLES_MAX = 200 };

/* Who it is that a restriction permits. */
enum grantee {
	GRANTEE_STRANGER, /* who says the right word */
	GRANTEE_SOME, /* some clients, or for some recipients */
	GRANTEE_NETWORKS, /* mynetworks */
	GRANTEE_AUTH, /* who logged in */
	GRANTEE_NOBODY /* something to say, but no grant */
};

struct grant {
	const char *kind; /* NULL: nothing to complain about */
	enum grantee grantee;
	char *file, *detail, *value;
	unsigned line;
	bool own_fix; /* in a file of its own: the kind's fix */
};

/* One of the lists. */
struct list {
	struct postfix_exam *x;
	const struct postfix_service *s;
	const char *setting;
	enum restrict_end end;
	bool nothing_stops;
	bool asks_popgate;
	struct grant v[GRANTS_MAX];
	size_t n;
	int depth; /* of lists that are results of tables */
	int tables; /* read so far */
};

static void
grant_full(struct list *l, const char *kind, enum grantee grantee,
    const char *file, unsigned line, const char *value, const char *detail)
{
	if (l->n == GRANTS_MAX)
		return;
	l->v[l->n++] = (struct grant){ .kind = kind,
		.grantee = grantee,
		.file = file == NULL ? NULL : strdup(file),
		.line = line,
		.value = value == NULL ? NULL : strdup(value),
		.detail = strdup(detail) };
}

static void
grant(
    struct list *l, const char *kind, enum grantee grantee, const char *detail)
{
	grant_full(l, kind, grantee, NULL, 0, NULL, detail);
}

/* --- tables --- */

/* A table while its entries come. */
struct table_walk {
	struct list *l;
	enum restrict_effect effect;
	const char *name, *table;
	char *text; /* of its source, for lines; NULL */
	bool over; /* an entry for everything has been seen */
	enum restrict_end end; /* for everybody */
};

static enum restrict_end walk_text(struct list *l, const char *text);

static void
grant_entry(struct table_walk *t, const char *kind, enum grantee grantee,
    const char *key, const char *value)
{
	const char *path = postfix_table_path(t->table);
	char detail[700];

	(void)snprintf(detail, sizeof(detail),
	    "%s asks %s %.120s, which "
	    "answers \"%.60s\" to %s%.120s, before anything refuses.",
	    t->l->setting, *t->name == '\0' ? "the table" : t->name, t->table,
	    value, *key == '\0' ? "everything" : "", key);
	grant_full(t->l, kind, grantee, t->text == NULL ? NULL : path,
	    postfix_table_line(t->text, key), NULL, detail);
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

static void
client_entry(struct table_walk *t, enum postfix_table_kind kind,
    const char *key, const char *value)
{
	struct network net;
	char who[ADDR_TEXT_MAX];

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

/* An entry that permits: whom? */
static void
permit_entry(struct table_walk *t, enum postfix_table_kind kind,
    const char *key, const char *value, bool digits)
{
	static const char *const kinds[] = { [EFFECT_PTR] =
						 "postfix-ptr-permits",
		[EFFECT_HELO] = "postfix-helo-permits",
		[EFFECT_SENDER] = "postfix-sender-permits" };

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
	case EFFECT_PTR:
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
is_popgate_map(const struct postfix_exam *x, const char *table)
{
	char endpoint[300];
	const char *last = strrchr(table, ':');
	const struct config *cfg = x->d->ctl->cfg;

	if (strncmp(table, "socketmap:", 10) != 0 || last <= table + 10)
		return false;
	(void)snprintf(endpoint, sizeof(endpoint), "%.*s",
	    (int)(last - table - 10), table + 10);
	return postfix_is_ours(endpoint, cfg->permit.socketmap);
}

static void
not_understood(struct list *l, const char *why)
{
	char detail[WHY_LEN + 100];

	(void)snprintf(detail, sizeof(detail), "%s: %s", l->setting, why);
	grant(l, "postfix-not-understood", GRANTEE_NOBODY, detail);
}

static enum restrict_end
look_table(struct list *l, enum restrict_effect effect, const char *name,
    const char *operand)
{
	char table[600], why[WHY_LEN];
	struct table_walk t = { .l = l,
		.effect = effect,
		.name = name,
		.table = table,
		.end = RESTRICT_THROUGH };

	table_name(operand, table, sizeof(table));
	if (++l->tables > TABLES_MAX) {
		if (l->tables == TABLES_MAX + 1)
			not_understood(l, "it asks too many tables");
		return RESTRICT_THROUGH;
	}
	if (is_popgate_map(l->x, table)) {
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

struct networks_walk {
	struct list *l;
	const char *setting;
};

static void
take_network(void *arg, const char *word, const struct network *net)
{
	static const char *const kinds[] = { [NET_WORLD] =
						 "postfix-mynetworks-open",
		[NET_WIDE] = "postfix-mynetworks-wide",
		[NET_BRIDGE] = "postfix-mynetworks-bridge",
		[NET_GATEWAY] = "postfix-mynetworks-gateway" };
	struct list *l = arg;
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
	grant_full(l, kinds[danger],
	    danger == NET_WORLD ? GRANTEE_STRANGER : GRANTEE_NETWORKS, file,
	    line, word, detail);
}

static void
look_networks(struct list *l)
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
		    "mynetworks isn't set, "
		    "and mynetworks_style is %.50s.",
		    style);
		grant_full(l, "postfix-mynetworks-style", GRANTEE_NETWORKS,
		    file, line, NULL, detail);
		return;
	}
	postfix_networks(
	    x, postfix_value(&x->pf, l->s, "mynetworks"), take_network, l);
}

static void
look_auth(struct list *l)
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
	    NULL,
	    "smtpd_sasl_security_options doesn't hold noanonymous, and "
	    "who has logged in may relay.");
}

static void
look_certificate(struct list *l, bool any)
{
	const struct postfix_exam *x = l->x;
	bool asks = postfix_yes(&x->pf, l->s, "smtpd_tls_ask_ccert") ||
	    postfix_yes(&x->pf, l->s, "smtpd_tls_req_ccert");

	if (any && asks)
		grant(l, "postfix-any-certificate", GRANTEE_SOME,
		    "permit_tls_all_clientcerts lets every client relay whose "
		    "certificate an authority of smtpd_tls_CAfile signed.");
	if (!any &&
	    strstr(postfix_value(&x->pf, l->s, "relay_clientcerts"),
		"static:") != NULL)
		grant(l, "postfix-any-certificate", GRANTEE_SOME,
		    "relay_clientcerts is a static: table: every fingerprint "
		    "is in it.");
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
look_policy(struct list *l, const char *operand)
{
	const struct postfix_exam *x = l->x;
	const struct config *cfg = x->d->ctl->cfg;
	char service[300], action[200], detail[700];

	table_name(operand, service, sizeof(service));
	(void)snprintf(action, sizeof(action), "%s",
	    postfix_value(&x->pf, l->s, "smtpd_policy_service_default_action"));
	policy_action(operand, action, sizeof(action));
	bool ours = postfix_is_ours(service, cfg->permit.policy);

	l->asks_popgate |= ours;
	enum access_result result = access_result_parse(action);

	if (result == RESULT_OK || result == RESULT_DIGITS ||
	    strncasecmp(action, "permit", 6) == 0) {
		(void)snprintf(detail, sizeof(detail),
		    "%s asks the policy "
		    "service %.200s, and takes \"%.60s\" for its answer when "
		    "it doesn't answer.",
		    l->setting, service, action);
		grant(l, "postfix-policy-fails-open", GRANTEE_STRANGER, detail);
	} else if (!ours) {
		(void)snprintf(detail, sizeof(detail),
		    "%s asks the policy "
		    "service %.200s.",
		    l->setting, service);
		grant(l, "postfix-policy-unknown", GRANTEE_NOBODY, detail);
	}
}

static enum restrict_end
look(void *arg, enum restrict_effect effect, const char *name,
    const char *operand)
{
	struct list *l = arg;
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
			    "permit_mx_backup stands before the refusal, and "
			    "permit_mx_backup_networks is empty.");
		break;
	case EFFECT_POLICY:
		look_policy(l, operand);
		break;
	case EFFECT_CLIENT:
	case EFFECT_PTR:
	case EFFECT_HELO:
	case EFFECT_SENDER:
	case EFFECT_RECIPIENT:
		return look_table(l, effect, name, operand);
	case EFFECT_OTHER_MAP:
		break;
	default:
		(void)snprintf(why, sizeof(why),
		    "'%.100s' is no restriction "
		    "that the doctor knows",
		    name);
		not_understood(l, why);
		break;
	}
	return RESTRICT_THROUGH;
}

static const char *
class_list(void *arg, const char *name)
{
	struct list *l = arg;
	const char *classes =
	    postfix_value(&l->x->pf, l->s, "smtpd_restriction_classes");
	char word[200];

	while (restrict_word(&classes, word, sizeof(word)))
		if (strcmp(word, name) == 0)
			return postfix_value(&l->x->pf, l->s, name);
	return NULL;
}

static struct restrict_walk
new_walk(struct list *l, enum restrict_effect plain_table)
{
	return (struct restrict_walk){ .arg = l,
		.class_list = class_list,
		.look = look,
		.plain_table = plain_table };
}

static enum restrict_end
walk_text(struct list *l, const char *text)
{
	struct restrict_walk w = new_walk(l, EFFECT_UNKNOWN);

	if (l->depth >= DEPTH_MAX)
		return RESTRICT_THROUGH;
	l->depth++;
	enum restrict_end end = restrict_list(&w, text);

	l->depth--;
	return end;
}

static void
walk_list(struct list *l, struct postfix_exam *x,
    const struct postfix_service *s, const char *setting,
    enum restrict_effect plain_table)
{
	*l = (struct list){ .x = x, .s = s, .setting = setting };
	struct restrict_walk w = new_walk(l, plain_table);

	l->end = restrict_list(&w, postfix_value(&x->pf, s, setting));
	l->nothing_stops = w.nothing_stops;
}

static void
release_list(struct list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].file);
		free(l->v[i].detail);
		free(l->v[i].value);
	}
}

/* --- the verdict --- */

static bool
permits_strangers(const struct list *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].grantee <= GRANTEE_SOME)
			return true;
	return false;
}

/* Does the list let those pass whom a grant of the other one is for? */
static bool
lets_pass(const struct list *l, enum grantee grantee)
{
	if (l->end != RESTRICT_REJECT || permits_strangers(l))
		return true;
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].grantee == grantee)
			return true;
	return false;
}

static void
add_at(const struct list *l, const char *kind, const char *detail)
{
	struct finding_at at = { 0 };
	char fix[400];

	postfix_at(l->x, l->s, l->setting, &at, fix);
	doctor_add(l->x->d, kind, &at, "%s", detail);
}

/* An open MTA with popgate's milter behind it is not open. */
static bool
is_gated(
    const struct list *l, const struct postfix_gate *gate, const char *kind)
{
	return gate->there && !l->asks_popgate &&
	    (strcmp(kind, "postfix-permit-all") == 0 ||
		strcmp(kind, "postfix-relay-open") == 0 ||
		strcmp(kind, "postfix-mynetworks-open") == 0);
}

static void
add_grant(const struct list *l, const struct grant *g,
    const struct postfix_gate *gate)
{
	struct finding_at at = { 0 };
	char fix[400];
	const char *kind = g->kind;

	if (is_gated(l, gate, kind))
		kind = gate->accept ? "postfix-milter-accept"
		    : postfix_forges_auth(l->x, l->s)
		    ? "postfix-macro-auth-open"
		    : "postfix-sole-gate";
	postfix_at(l->x, l->s,
	    strncmp(kind, "postfix-mynetworks", 18) == 0 && g->file != NULL
		? "mynetworks"
		: l->setting,
	    &at, fix);
	if (g->file != NULL) {
		at.file = g->file;
		at.line = g->line;
		if (strcmp(g->file, l->x->pf.main_cf) != 0 &&
		    strcmp(g->file, l->x->pf.master_cf) != 0)
			at.fix = NULL;
	}
	doctor_add(l->x->d, kind, &at, "%s", g->detail);
}

static void
add_grants(const struct list *l, const struct list *other,
    const struct postfix_gate *gate)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct grant *g = &l->v[i];

		if (g->kind != NULL && g->grantee != GRANTEE_NOBODY &&
		    lets_pass(other, g->grantee))
			add_grant(l, g, gate);
	}
}

/* What can't be told is said, whatever the verdict. */
static void
add_notes(const struct list *l)
{
	static const struct postfix_gate none;

	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].kind != NULL && l->v[i].grantee == GRANTEE_NOBODY)
			add_grant(l, &l->v[i], &none);
}

/* Neither list refuses anybody: why? */
static void
add_open(struct list *relay, struct list *rcpt, const struct postfix_gate *gate)
{
	struct list *lists[] = { relay, rcpt };
	const char *relay_text =
	    postfix_value(&relay->x->pf, relay->s, relay->setting);
	const char *rcpt_text =
	    postfix_value(&rcpt->x->pf, rcpt->s, rcpt->setting);
	struct restrict_walk w = new_walk(relay, EFFECT_RECIPIENT);
	struct grant all = { .kind = "postfix-relay-open",
		.detail = (char[]){
		    "Neither smtpd_relay_restrictions nor "
		    "smtpd_recipient_restrictions refuses strangers." } };

	if (!restrict_has_reject(&w, relay_text) &&
	    !restrict_has_reject(&w, rcpt_text)) {
		add_at(*relay_text != '\0' ? relay : rcpt, "postfix-no-reject",
		    "Neither smtpd_relay_restrictions nor "
		    "smtpd_recipient_restrictions holds a "
		    "reject_unauth_destination.");
		return;
	}
	for (int i = 0; i < 2; i++)
		for (size_t g = 0; g < lists[i]->n; g++)
			if (lists[i]->v[g].kind != NULL &&
			    strcmp(lists[i]->v[g].kind, "postfix-permit-all") ==
				0) {
				add_grant(lists[i], &lists[i]->v[g], gate);
				return;
			}
	for (int i = 0; i < 2; i++)
		if (lists[i]->nothing_stops) {
			add_at(lists[i], "postfix-reject-only-warns",
			    "warn_if_reject stands before the refusal of "
			    "strangers.");
			return;
		}
	add_grant(*relay_text != '\0' ? relay : rcpt, &all, gate);
}

/* Lists that come before, and can close the service for strangers. */
static bool
is_closed_before(struct postfix_exam *x, const struct postfix_service *s)
{
	static const struct {
		const char *setting;
		enum restrict_effect plain;
	} before[] = { { "smtpd_client_restrictions", EFFECT_CLIENT },
		{ "smtpd_helo_restrictions", EFFECT_HELO },
		{ "smtpd_sender_restrictions", EFFECT_SENDER } };
	struct list *l = malloc(sizeof(*l));
	bool closed = false;

	for (size_t i = 0;
	     l != NULL && i < sizeof(before) / sizeof(before[0]) && !closed;
	     i++) {
		walk_list(l, x, s, before[i].setting, before[i].plain);
		closed = l->end == RESTRICT_REJECT && !permits_strangers(l);
		release_list(l);
	}
	free(l);
	return closed;
}

void
postfix_check_relay(struct postfix_exam *x, const struct postfix_service *s,
    const struct postfix_gate *gate, bool *asks_popgate_r)
{
	struct list *relay = malloc(sizeof(*relay));
	struct list *rcpt = malloc(sizeof(*rcpt));

	*asks_popgate_r = false;
	if (relay == NULL || rcpt == NULL) {
		x->d->no_memory = true;
		goto out;
	}
	walk_list(relay, x, s, "smtpd_relay_restrictions", EFFECT_RECIPIENT);
	walk_list(rcpt, x, s, "smtpd_recipient_restrictions", EFFECT_RECIPIENT);
	*asks_popgate_r = relay->asks_popgate || rcpt->asks_popgate;
	add_notes(relay);
	add_notes(rcpt);
	if (is_closed_before(x, s)) {
		;
	} else if (postfix_is_local(x, s)) {
		if (relay->end != RESTRICT_REJECT &&
		    rcpt->end != RESTRICT_REJECT)
			add_at(relay, "postfix-local-service",
			    "A service "
			    "that listens to this machine only relays for "
			    "whoever connects.");
	} else if (relay->end != RESTRICT_REJECT &&
	    rcpt->end != RESTRICT_REJECT) {
		add_open(relay, rcpt, gate);
	} else {
		add_grants(relay, rcpt, gate);
		add_grants(rcpt, relay, gate);
	}
	release_list(relay);
	release_list(rcpt);
out:
	free(relay);
	free(rcpt);
}
