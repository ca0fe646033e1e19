/* SPDX-License-Identifier: ISC */
/* postfix - what in a Postfix configuration lets strangers relay, or will.
 * What postconf(1) can tell is asked from it. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/err.h"
#include "common/mta/postfix_table.h"
#include "common/mta/postfix_wiring.h"
#include "common/mta/restrict.h"
#include "ctl/ctl.h"
#include "ctl/doctor/files.h"
#include "ctl/doctor/postfix_asked.h"
#include "ctl/doctor/postfix_exam.h"
#include "ctl/doctor/postfix_relay.h"
#include "ctl/rehearsal/postfix.h"

static void
add(struct postfix_exam *x, const struct postfix_service *s,
    const char *setting, const char *kind, const char *detail)
{
	struct finding_at at = { 0 };
	char fix[400];

	postfix_at(x, s, setting, &at, fix);
	doctor_add(x->d, kind, &at, "%s", detail);
}

/* --- lists that give power --- */

struct power {
	struct postfix_exam *x;
	const struct postfix_service *s;
	const char *setting;
	const char *open, *wide; /* kinds; wide NULL: not asked */
};

static void
take_power(void *arg, const char *word, const struct network *net)
{
	struct power *p = arg;
	char who[ADDR_TEXT_MAX], detail[400];
	enum net_danger danger =
	    net == NULL ? NET_FINE : net_danger(&p->x->machine, net, who);
	const char *kind = danger == NET_WORLD ? p->open : p->wide;
	bool single = net != NULL && net->bits == addr_bits(&net->base);

	/* loopback: every local user; a host name is one machine */
	if (kind == NULL ||
	    (danger != NET_WORLD &&
		(net == NULL ||
		    (single && danger != NET_BRIDGE && danger != NET_GATEWAY))))
		return;
	(void)snprintf(
	    detail, sizeof(detail), "%s holds %.200s.", p->setting, word);
	add(p->x, p->s, p->setting, kind, detail);
}

static void
check_power(struct postfix_exam *x, const struct postfix_service *s,
    const char *setting, const char *open, const char *wide)
{
	struct power p = { x, s, setting, open, wide };

	postfix_networks(x, postfix_value(&x->pf, s, setting), take_power, &p);
}

static void
check_proxy(struct postfix_exam *x, const struct postfix_service *s)
{
	const char *setting = strcmp(s->command, "postscreen") == 0
	    ? "postscreen_upstream_proxy_protocol"
	    : "smtpd_upstream_proxy_protocol";

	if (*postfix_value(&x->pf, s, setting) != '\0' &&
	    !postfix_is_local(x, s) && strcmp(s->type, "inet") == 0)
		add(x, s, setting, "postfix-proxy-protocol",
		    strcmp(setting, "smtpd_upstream_proxy_protocol") == 0
			? "smtpd takes the client's address from a PROXY header."
			: "postscreen takes the client's address from a PROXY header.");
}

/* --- AUTH --- */

static void
check_auth(struct postfix_exam *x, const struct postfix_service *s)
{
	const char *level =
	    postfix_value(&x->pf, s, "smtpd_tls_security_level");

	if (!postfix_yes(&x->pf, s, "smtpd_sasl_auth_enable") ||
	    postfix_yes(&x->pf, s, "smtpd_tls_auth_only") ||
	    postfix_yes(&x->pf, s, "smtpd_tls_wrappermode") ||
	    postfix_yes(&x->pf, s, "smtpd_enforce_tls") ||
	    strcmp(level, "encrypt") == 0 || postfix_is_local(x, s))
		return;
	/* no mechanism without TLS that shows the password */
	if (strstr(postfix_value(&x->pf, s, "smtpd_sasl_security_options"),
		"noplaintext") != NULL)
		return;
	add(x, s,
	    postfix_overridden(&x->pf, s, "smtpd_sasl_auth_enable")
		? "smtpd_sasl_auth_enable"
		: "smtpd_tls_auth_only",
	    "postfix-auth-without-tls",
	    "smtpd_tls_auth_only is no: AUTH is offered before TLS.");
}

/* --- milters --- */

static void
take_milter_map(
    void *arg, enum postfix_table_kind kind, const char *key, const char *value)
{
	struct postfix_exam *x = arg;
	char detail[300];

	(void)kind;
	if (strncmp(value, "DISABLE", 7) != 0)
		return;
	(void)snprintf(detail, sizeof(detail),
	    "smtpd_milter_maps turns the milters off for %.150s.",
	    *key == '\0' ? "everybody" : key);
	add(x, NULL, "smtpd_milter_maps", "postfix-milter-maps", detail);
}

static void
check_milters(struct postfix_exam *x)
{
	const char *maps = postfix_value(&x->pf, NULL, "smtpd_milter_maps");
	char word[600], why[POSTFIX_WHY_MAX], detail[POSTFIX_WHY_MAX + 60];

	if (postfix_gate(x, NULL, "non_smtpd_milters").there)
		add(x, NULL, "non_smtpd_milters", "postfix-non-smtpd-popgate",
		    "non_smtpd_milters holds popgate's milter.");
	while (restrict_word(&maps, word, sizeof(word)))
		if (!postfix_table_read(
			x->pf.dir, word, take_milter_map, x, why)) {
			(void)snprintf(detail, sizeof(detail),
			    "smtpd_milter_maps: %s", why);
			add(x, NULL, "smtpd_milter_maps",
			    "postfix-not-understood", detail);
		}
}

/* --- which domains are ours --- */

static void
take_domain(
    void *arg, enum postfix_table_kind kind, const char *key, const char *value)
{
	bool *all = arg;

	(void)value;
	*all |= kind == TABLE_ALWAYS ||
	    (kind == TABLE_PATTERN && postfix_pattern_is_all(key));
}

/* Is this host known by the name: is it its host name, or a word of
 * mydestination? */
static bool
is_own_name(const struct postfix_exam *x, const char *word)
{
	const char *host = postfix_value(&x->pf, NULL, "myhostname");
	const char *list = postfix_value(&x->pf, NULL, "mydestination");
	size_t n = strlen(word);
	char own[600];

	if (strncasecmp(host, word, n) == 0 &&
	    (host[n] == '\0' || host[n] == '.'))
		return true;
	while (restrict_word(&list, own, sizeof(own)))
		if (strcasecmp(own, word) == 0)
			return true;
	return false;
}

/* Can it be a top level domain of the Internet? Its letters say no where it has
 * digits, and these names are set apart for private networks. */
static bool
is_top_level(const char *name)
{
	static const char *const private[] = {
		"localhost",
		"localdomain",
		"local",
		"lan",
		"home",
		"internal",
		"intranet",
		"private",
		"corp",
	};

	for (size_t i = 0; i < sizeof(private) / sizeof(*private); i++)
		if (strcasecmp(name, private[i]) == 0)
			return false;
	for (const char *at = name; *at != '\0'; at++)
		if (!isalpha((unsigned char)*at) &&
		    strncasecmp(name, "xn--", 4) != 0)
			return false;
	return *name != '\0';
}

/* "com" as a relay domain is all of .com, where parents match. "*" is a name
 * like any other to Postfix, which no domain has. */
static bool
is_all_domains(
    const struct postfix_exam *x, const char *setting, const char *word)
{
	const char *parents =
	    postfix_value(&x->pf, NULL, "parent_domain_matches_subdomains");
	bool below = strstr(parents, setting) != NULL;
	char why[POSTFIX_WHY_MAX];
	bool all = false;

	if (*word == '!')
		return false;
	if (strchr(word, ':') != NULL && *word != '[') {
		(void)postfix_table_read(
		    x->pf.dir, word, take_domain, &all, why);
		return all;
	}
	if (strcmp(setting, "relay_domains") != 0 || *word == '/' ||
	    *word == '[')
		return false;
	if (*word == '.')
		return !below && is_top_level(word + 1);
	return below && is_top_level(word) && !is_own_name(x, word);
}

static void
check_domains(struct postfix_exam *x, const struct postfix_service *s,
    const char *setting, const char *kind)
{
	const char *list = postfix_value(&x->pf, s, setting);
	char word[600], detail[300];

	while (restrict_word(&list, word, sizeof(word))) {
		if (!is_all_domains(x, setting, word))
			continue;
		(void)snprintf(
		    detail, sizeof(detail), "%s holds %.200s.", setting, word);
		add(x, s, setting, kind, detail);
	}
}

/* --- one service, all of it --- */

static void
check_service(struct postfix_exam *x, const struct postfix_service *s)
{
	struct postfix_gate gate = postfix_gate(x, s, "smtpd_milters");

	check_power(x, s, "smtpd_authorized_xclient_hosts",
	    "postfix-xclient-open", "postfix-xclient-wide");
	check_proxy(x, s);
	check_auth(x, s);
	/* only strangers can relay by it, and only where the destination counts
	 */
	if (!postfix_is_local(x, s) && !postfix_refuses_all(x, s))
		check_domains(
		    x, s, "relay_domains", "postfix-relay-domains-all");
	postfix_check_relay(x, s, &gate);
	if (gate.there && postfix_forges_auth(x, s) &&
	    !doctor_has(x->d, "postfix-macro-auth-open"))
		add(x, s, "milter_macro_defaults", "postfix-macro-auth",
		    "milter_macro_defaults sets {auth_type} or {auth_authen}.");
}

static void
check_all(struct postfix_exam *x)
{
	for (size_t i = 0; i < x->pf.n_services; i++) {
		const struct postfix_service *s = &x->pf.services[i];

		if (strcmp(s->command, "smtpd") == 0)
			check_service(x, s);
		else if (strcmp(s->command, "postscreen") == 0)
			check_proxy(x, s);
		else if (strcmp(s->command, "qmqpd") == 0 &&
		    !postfix_is_local(x, s))
			check_power(x, s, "qmqpd_authorized_clients",
			    "postfix-qmqpd-open", NULL);
	}
	postfix_check_asked(x);
	check_milters(x);
	check_domains(x, NULL, "mydestination", "postfix-domains-all");
	check_domains(x, NULL, "virtual_alias_domains", "postfix-domains-all");
	check_domains(
	    x, NULL, "virtual_mailbox_domains", "postfix-domains-all");
	if (postfix_yes(&x->pf, NULL, "allow_untrusted_routing"))
		add(x, NULL, "allow_untrusted_routing",
		    "postfix-untrusted-routing",
		    "allow_untrusted_routing is yes.");
}

/* --- what Postfix itself says --- */

/* Withdraw the findings of an open relay that came from reading: the copy has
 * answered, and what it showed is told with the dialogue. */
static void
withdraw(struct doctor *d, size_t from, size_t to, bool holes)
{
	size_t kept = from;
	const struct finding_kind *shown = finding_kinds;

	while (strcmp(shown->id, "postfix-not-shown") != 0)
		shown++;
	for (size_t i = from; i < to; i++) {
		bool open = d->v[i].kind->severity == SEVERITY_OPEN_RELAY &&
		    strcmp(d->v[i].kind->id, "postfix-qmqpd-open") != 0;

		if (open && holes) {
			free(d->v[i].file);
			free(d->v[i].detail);
			free(d->v[i].fix);
			continue;
		}
		if (open)
			d->v[i].kind = shown;
		d->v[kept++] = d->v[i];
	}
	d->n = kept;
}

static void
add_holes(struct postfix_exam *x, const struct postfix_rehearsal *r)
{
	struct finding_at at = { .file = x->pf.main_cf, .dir = x->pf.dir };

	doctor_rehearsed(x->d, &r->findings, x->pf.dir);
	doctor_add(x->d, "postfix-rehearsed", &at,
	    "A private copy was asked to take %zu recipients from strangers%s%s%s%s%s%s. Its words are from the settings and from %zu of %zu entries of %zu tables, some of each sort.",
	    r->dialogues, r->silent ? "; a service of it gave no answer" : "",
	    *r->why == '\0' ? "" : ": ", r->why,
	    r->complete ? "" : "; then the time was up",
	    r->undecided
		? "; what it took at RCPT and refused behind DATA, it wasn't asked for by all senders"
		: "",
	    r->uncured == 0
		? ""
		: "; for the cause of some that were taken there was no time",
	    r->said, r->entries, r->tables);
}

/* Ask a private copy, and believe it. */
static void
rehearse(struct postfix_exam *x, size_t from)
{
	struct finding_at at = { .file = x->pf.main_cf, .dir = x->pf.dir };
	const struct postfix_service **v =
	    calloc(x->pf.n_services + 1, sizeof(struct postfix_service *));
	struct postfix_rehearsal_spec spec = { .pf = &x->pf,
		.services = v,
		.popgate = x->d->wired ? x->d->ctl->cfg : NULL,
		.thorough = doctor_option(x->d, DOCTOR_THOROUGH) != NULL };
	struct postfix_rehearsal r = { 0 };
	size_t to = x->d->n;
	struct err err;

	if (v == NULL) {
		x->d->no_memory = true;
		return;
	}
	for (size_t i = 0; i < x->pf.n_services; i++) {
		const struct postfix_service *s = &x->pf.services[i];

		if (strcmp(s->type, "inet") == 0 &&
		    (strcmp(s->command, "smtpd") == 0 ||
			strcmp(s->command, "postscreen") == 0) &&
		    !postfix_is_local(x, s))
			v[spec.n_services++] = s;
	}
	if (spec.n_services == 0) { /* no stranger reaches it */
		withdraw(x->d, from, to, false);
	} else if (postfix_rehearse(&spec, &r, &err) == -1) {
		doctor_add(x->d, "postfix-not-rehearsed", &at, "%s", err.text);
	} else {
		/* what was read stays where the copy didn't say no */
		if (r.findings.n > 0 || !r.undecided)
			withdraw(x->d, from, to, r.findings.n > 0);
		add_holes(x, &r);
	}
	rehearsal_findings_release(&r.findings);
	free(v);
}

static void
examine(struct doctor *d, const char *dir)
{
	struct postfix_exam x = { .d = d };
	struct finding_at at = { .file = dir, .dir = dir };
	size_t before = d->n;
	struct err err;

	if (postfix_conf_load(dir, &x.pf, &err) == -1) {
		doctor_add(d, "postfix-unreadable", &at, "%s", err.text);
		return;
	}
	doctor_check_writable(d, "postfix-config-writable", x.pf.main_cf);
	doctor_check_writable(d, "postfix-config-writable", x.pf.master_cf);
	net_machine_load(&x.machine);
	check_all(&x);
	if (doctor_option(d, DOCTOR_READ) == NULL)
		rehearse(&x, before);
	domains_release(&x.ours);
	net_machine_release(&x.machine);
	postfix_conf_release(&x.pf);
}

/* "dir, dir": what was looked at. */
static void
add_read(struct doctor *d, const char *dir)
{
	char *before = d->read[MTA_POSTFIX], *both;

	if (before == NULL || strcmp(before, dir) == 0)
		return;
	if (asprintf(&both, "%s, %s", before, dir) == -1) {
		d->no_memory = true;
		return;
	}
	free(before);
	d->read[MTA_POSTFIX] = both;
}

void
doctor_postfix(struct doctor *d, const char *dir)
{
	struct string_list dirs = { 0 };
	struct err err;

	if (postfix_instances(dir, &dirs, &err) == -1)
		examine(d, dir); /* which says why */
	for (size_t i = 0; i < dirs.n; i++) {
		add_read(d, dirs.v[i]);
		examine(d, dirs.v[i]);
	}
	string_list_release(&dirs);
}
