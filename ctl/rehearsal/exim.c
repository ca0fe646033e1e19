/* SPDX-License-Identifier: ISC */
#include "ctl/rehearsal/exim.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/mta/conf_file.h"
#include "ctl/rehearsal/exim_fix.h"
#include "ctl/rehearsal/exim_run.h"
#include "ctl/rehearsal/exim_search.h"
#include "ctl/stage/exim_copy.h"
#include "ctl/stage/names.h"
#include "ctl/stage/stage.h"
#include "ctl/wiring/exim_load.h"

enum {
	BUDGET_MS = 60000,
	THOROUGH_MS = 900000,
	CAUSES_MAX = 4, /* whose fixes are tried */
	WIDE_IPV4 = 24, /* a trusted network is wider: see net.h */
	WIDE_IPV6 = 48,
	WORD_LEN = 400
};

/* Takes detail. */
static void
add(struct exim_run *r, const char *kind, const struct exim_place *place,
    char *detail, const char *fix)
{
	bool own = place->source == NULL;
	const char *path = own ? place->path : place->source;

	rehearsal_findings_add(&r->to->findings,
	    (struct rehearsal_finding){ .kind = kind,
		.file = path == NULL ? NULL : strdup(path),
		.line = own ? place->line : place->source_line,
		.detail = detail,
		.fix = fix == NULL ? NULL : strdup(fix) });
}

/* --- who is to stay --- */

/* 1: taken, 0: refused, -1: no answer. */
static int
taken(const struct exim_talk *t, const struct keep *k)
{
	const struct exim_client c = { k->client, k->known,
		"someone@" EXIM_VICTIM ".example", k->recipient };
	struct exim_trace trace;
	struct exim_heard heard;
	struct err err;

	if (exim_talk_as(t, &c, &trace, &heard, &err) == -1)
		return -1;
	exim_trace_release(&trace);
	return heard.answered ? heard.accepted : -1;
}

static void
keep_if_taken(struct exim_run *r, const char *client, const char *known,
    const char *recipient)
{
	struct keep k = { .known = known };

	(void)snprintf(k.client, sizeof(k.client), "%s", client);
	(void)snprintf(k.recipient, sizeof(k.recipient), "%s", recipient);
	if (r->n_keep < EXIM_KEEP_MAX && taken(&r->talk, &k) == 1)
		r->keep[r->n_keep++] = k;
}

/* Is the domain in a list that the admin wrote, or delivered here? Mail for
 * the machine's own name may be neither. */
static bool
is_own(const struct exim_run *r, const char *domain)
{
	char address[256];
	struct err err;
	char *route;
	bool here;

	for (const char *at = r->config; at != NULL;
	     at = strchr(at + 1, '\n')) {
		const char *line = *at == '\n' ? at + 1 : at;

		if (strncmp(line, "domainlist ", 11) == 0 &&
		    memmem(line, strcspn(line, "\n"), domain, strlen(domain)) !=
			NULL)
			return true;
	}
	(void)snprintf(address, sizeof(address), "postmaster@%.200s", domain);
	route = exim_route(&r->talk, "", address, &err);
	here = route != NULL && strstr(route, "transport = ") != NULL &&
	    strstr(route, "\n  host ") == NULL;
	free(route);
	return here;
}

/* Our own mail, users of SMTP AUTH, and clients that are trusted by their
 * addresses. */
static void
find_keepers(struct exim_run *r)
{
	static const char victim[] = "victim@" EXIM_VICTIM ".example";
	const char *stranger = r->seeds.v[EXIM_CLIENT].v[0];
	char own[256];

	for (size_t i = 0; i < r->seeds.own.n && i < 3; i++) {
		if (!is_own(r, r->seeds.own.v[i]))
			continue;
		(void)snprintf(
		    own, sizeof(own), "postmaster@%.200s", r->seeds.own.v[i]);
		keep_if_taken(r, stranger, NULL, own);
	}
	if (*r->known != '\0')
		keep_if_taken(r, stranger, r->known, victim);
	keep_if_taken(r, "127.0.0.1", NULL, victim);
	for (size_t i = 0; i < r->seeds.clients.n && i < 6; i++)
		if (strchr(r->seeds.clients.v[i], ' ') == NULL)
			keep_if_taken(r, r->seeds.clients.v[i], NULL, victim);
}

/* --- fixes --- */

/* Does the hole close in a copy with this file, and is everybody still there
 * who is to stay? */
static bool
closes(const struct exim_run *r, const struct exim_try_fix *fix,
    const struct exim_try *hole)
{
	const struct stage_file file = { fix->path, fix->text };
	struct exim_talk talk = r->talk;
	struct exim_trace trace;
	struct exim_heard heard;
	struct err err;
	bool ok = false;

	if (exim_run_copy(r, &file, &talk.stage, &err) == -1)
		return false;
	if (exim_talk(&talk, hole, 1, &trace, &heard, &err) == 0) {
		ok = !heard.accepted && heard.answered;
		exim_trace_release(&trace);
	}
	for (size_t i = 0; i < r->n_keep && ok; i++)
		ok = taken(&talk, &r->keep[i]) == 1;
	stage_close(&talk.stage);
	return ok;
}

/* --- causes --- */

static const char *
text_of(const struct exim_run *r, const char *path)
{
	for (size_t i = 0; i < r->n_read; i++)
		if (strcmp(r->read[i].path, path) == 0)
			return r->read[i].text;
	return NULL;
}

/* A file that Debian's tools generated is edited elsewhere: find that place. */
static void
to_source(const struct exim_run *r, struct exim_place *place)
{
	if (r->loaded.layout != EXIM_SINGLE && place->path != NULL &&
	    strcmp(place->path, r->spec->file) == 0)
		exim_place_source(place, r->loaded.files, r->loaded.n_files);
}

static void
place_statement(const struct exim_run *r, const struct exim_cause *c,
    struct exim_place *place, struct exim_source *src)
{
	*place = (struct exim_place){ .line = 0 };
	if (c->at == NULL || *c->at->acl == '\0') {
		/* an ACL in the setting itself */
		(void)exim_place_setting(r->read, r->n_read, exim_run_n_main(r),
		    "", "acl_smtp_rcpt", NULL, place);
		return;
	}
	place->path = c->at->file;
	place->line = c->at->line;
	place->text = text_of(r, c->at->file);
	to_source(r, place);
	if (place->text == NULL)
		return;
	place->behind = place->line + 1;
	for (size_t i = 0; i < src->n_acls; i++)
		for (size_t k = 0; k < src->acls[i].n; k++) {
			const struct exim_statement *s = &src->acls[i].v[k];

			if (s->line == place->line &&
			    strcmp(s->file->path, place->path) == 0)
				place->behind = s->behind;
		}
}

static void
place_list(const struct exim_run *r, const struct exim_cause *c,
    struct exim_place *list, struct exim_place *entry, char **table)
{
	static const char *const kinds[] = { "hostlist", "domainlist",
		"addresslist", "localpartlist" };
	char name[200];

	*list = *entry = (struct exim_place){ .line = 0 };
	for (size_t i = 0; i < 4 && c->named != NULL && list->line == 0; i++) {
		(void)snprintf(
		    name, sizeof(name), "%s %.150s", kinds[i], c->named);
		(void)exim_place_setting(r->read, r->n_read, exim_run_n_main(r),
		    "", name, NULL, list);
	}
	exim_place_macro(list);
	to_source(r, list);
	if (c->path == NULL)
		return;
	*table = conf_file_read(c->path);
	if (*table == NULL)
		return;
	*entry = (struct exim_place){ .path = c->path, .text = *table };
}

struct shown {
	const struct exim_try *hole;
	const struct exim_cause *c;
	const struct exim_place *statement, *list, *entry, *at;
	const char *reply;
};

/* "a client 203.0.113.77, HELO x, MAIL FROM:<a>, RCPT TO:<b>" */
static void
put_dialogue(FILE *to, const struct exim_run *r, const struct exim_try *y)
{
	const char *client = exim_try_value(&r->talk, y, EXIM_CLIENT);
	const char *auth = exim_try_value(&r->talk, y, EXIM_AUTH);
	const char *port = strrchr(exim_try_value(&r->talk, y, EXIM_PORT), '.');
	size_t n = strcspn(client, " ");

	(void)fprintf(to, "A stranger from %.*s", (int)n, client);
	if (client[n] != '\0')
		(void)fprintf(to, " (%s)", client + n + 1);
	else if (strcmp(client, NAMES_NAMELESS) == 0)
		(void)fputs(", whose address has no name,", to);
	if (y->v[EXIM_PORT] != 0 && port != NULL)
		(void)fprintf(to, " on port %s", port + 1);
	if (y->v[EXIM_TLS] != 0)
		(void)fputs(", by STARTTLS,", to);
	if (y->v[EXIM_HELO] != 0)
		(void)fprintf(to, " who says EHLO %s",
		    exim_try_value(&r->talk, y, EXIM_HELO));
	if (y->v[EXIM_AUTH] != 0) {
		const char *user = auth + strcspn(auth, "\t") + 1;

		(void)fprintf(to, " who says AUTH %.*s as '%.*s' with %s",
		    (int)strcspn(auth, "\t"), auth, (int)strcspn(user, "\t"),
		    user,
		    strchr(user, '\t')[1] == '\0' ? "an empty password"
						  : "a wrong password");
	}
	(void)fprintf(to,
	    " sends: MAIL FROM:<%s>, RCPT TO:<%s> is accepted, and Exim would send it out.",
	    exim_try_value(&r->talk, y, EXIM_SENDER),
	    exim_try_value(&r->talk, y, EXIM_RECIPIENT));
}

static void
put_cause(FILE *to, const struct shown *s)
{
	const struct exim_cause *c = s->c;

	if (s->at != s->statement && s->statement->line != 0)
		(void)fprintf(to, " It passes in %s, line %u",
		    s->statement->path, s->statement->line);
	else if (c->at == NULL)
		(void)fputs(" No ACL is asked", to);
	else
		(void)fprintf(to, " It passes by \"%s", c->at->verb);
	if (c->at != NULL && s->at == s->statement) {
		if (c->check != NULL)
			(void)fprintf(to, " %s%s = %.200s",
			    c->check->negated ? "!" : "", c->check->name,
			    c->check->value);
		(void)putc('"', to);
	}
	if (c->named != NULL && s->list->line != 0 && s->at != s->list)
		(void)fprintf(to, ", list %s (%s, line %u)", c->named,
		    s->list->path, s->list->line);
	if (c->item != NULL && *c->item != '\0' && *c->item != '+')
		(void)fprintf(to, ", by %.200s", c->item);
	(void)putc('.', to);
	if (c->origin != NULL && s->at == s->statement &&
	    strcmp(c->origin->verb, "warn") == 0)
		(void)fprintf(to, " That hangs on \"%s\" in %s, line %u.",
		    c->origin->verb, c->origin->file, c->origin->line);
}

static char *
describe(const struct exim_run *r, const struct shown *s)
{
	char *text = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&text, &len);

	if (to == NULL)
		return NULL;
	put_dialogue(to, r, s->hole);
	put_cause(to, s);
	if (fclose(to) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

/* Find the authenticator that let a client in without a password. */
static bool
place_auth(const struct exim_run *r, const struct exim_try *y,
    struct exim_place *place)
{
	static const char *const names[] = { "server_condition",
		"server_secret", "driver" };
	const char *auth = exim_try_value(&r->talk, y, EXIM_AUTH);
	char mechanism[20];

	(void)snprintf(mechanism, sizeof(mechanism), "%.*s",
	    (int)strcspn(auth, "\t"), auth);
	for (size_t i = 0; i < 3; i++)
		if (exim_place_setting(r->read, r->n_read, exim_run_n_main(r),
			"authenticators", names[i], mechanism, place))
			return true;
	return false;
}

static const char *
first_that_closes(const struct exim_run *r, const struct exim_try *hole,
    const struct exim_try_fix *fixes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (closes(r, &fixes[i], hole))
			return fixes[i].words;
	return NULL;
}

static void
report_cause(struct exim_run *r, const struct exim_try *hole,
    const struct exim_cause *c, struct exim_source *src, bool with_fix)
{
	struct exim_place statement, list, entry, auth;
	struct exim_try_fix fixes[EXIM_FIXES_MAX];
	const char *recipient = exim_try_value(&r->talk, hole, EXIM_RECIPIENT);
	bool hosts = c->check != NULL && strcmp(c->check->name, "hosts") == 0;
	bool forged = strcmp(c->kind, "exim-sender-permits") == 0 ||
	    strcmp(c->kind, "exim-helo-permits") == 0;
	struct shown s = { hole, c, &statement, &list, &entry, &statement, "" };
	char *table = NULL;
	size_t n;

	place_statement(r, c, &statement, src);
	place_list(r, c, &list, &entry, &table);
	if (table != NULL)
		entry.line =
		    exim_place_entry(table, c->item == NULL ? "" : c->item,
			hosts ? "host" : strrchr(recipient, '@') + 1,
			exim_try_value(&r->talk, hole, EXIM_CLIENT));
	entry.behind = entry.line + 1;
	if (!forged && list.line != 0)
		s.at = &list;
	if (!forged && entry.line != 0)
		s.at = &entry;
	if (strcmp(c->kind, "exim-auth-open") == 0 &&
	    place_auth(r, hole, &auth))
		s.at = &auth;
	n = exim_fixes(c, &statement, &list, &entry, r->ours, fixes);
	add(r, c->kind, s.at, describe(r, &s),
	    with_fix ? first_that_closes(r, hole, fixes, n) : NULL);
	exim_fixes_release(fixes, n);
	free(table);
}

/* The dialogue without one of the values that it needs, which is refused. */
static int
refuse(struct exim_run *r, const struct exim_try *hole,
    struct exim_trace *trace, struct exim_heard *heard)
{
	static const enum exim_dim order[] = { EXIM_TLS, EXIM_HELO, EXIM_SENDER,
		EXIM_CLIENT, EXIM_RECIPIENT, EXIM_PORT, EXIM_AUTH };
	struct err err;

	for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++) {
		struct exim_try less = *hole;

		if (less.v[order[i]] == 0)
			continue;
		less.v[order[i]] = 0;
		return exim_talk(&r->talk, &less, 1, trace, heard, &err);
	}
	return -1;
}

static int
report_hole(struct exim_run *r, const struct exim_try *hole, bool with_fix,
    struct err *err)
{
	struct exim_trace open, closed = { .text = NULL };
	struct exim_heard open_heard, closed_heard = { .answered = false };
	struct exim_source src;
	struct exim_cause c;

	if (exim_talk(&r->talk, hole, 1, &open, &open_heard, err) == -1)
		return -1;
	bool other = refuse(r, hole, &closed, &closed_heard) == 0 &&
	    closed_heard.answered;
	const struct exim_heard_in accepted = { &open, &open_heard };
	const struct exim_heard_in refused = { &closed, &closed_heard };

	exim_cause_find(&r->talk, hole, &accepted, other ? &refused : NULL, &c);
	if (exim_source_read(r->read, r->n_read, exim_run_n_main(r), &src))
		report_cause(r, hole, &c, &src, with_fix);
	exim_source_release(&src);
	exim_trace_release(&open);
	exim_trace_release(&closed);
	return 0;
}

/* --- trusted networks and names --- */

static bool
is_wide(const struct network *net)
{
	return net->bits <
	    (net->base.family == ADDR_IPV4 ? WIDE_IPV4 : WIDE_IPV6);
}

static bool
is_wide_client(const struct exim_run *r, const char *client)
{
	struct addr addr;

	if (!addr_parse_n(client, strlen(client), &addr))
		return false;
	for (size_t i = 0; i < r->seeds.trusted.n; i++)
		if (is_wide(&r->seeds.trusted.v[i]) &&
		    network_contains(&r->seeds.trusted.v[i], &addr))
			return true;
	return false;
}

/* Clients that the configuration names: does it let them send everywhere
 * because of a wide network, or of a name? */
static int
report_trusted(struct exim_run *r, struct err *err)
{
	for (size_t i = 0; i < r->seeds.clients.n; i++) {
		const char *client = r->seeds.clients.v[i];
		bool name = strchr(client, ' ') != NULL;
		const struct exim_client c = { client, NULL,
			"someone@" EXIM_VICTIM ".example",
			"victim@" EXIM_VICTIM ".example" };
		const struct exim_try none = { { 0 } };
		struct exim_trace trace;
		struct exim_heard heard;

		if (exim_run_is_loopback(client) ||
		    (!name && !is_wide_client(r, client)))
			continue;
		if (exim_talk_as(&r->talk, &c, &trace, &heard, err) == -1)
			return -1;
		if (heard.accepted) {
			const struct exim_heard_in in = { &trace, &heard };
			struct exim_place statement = { .line = 0 };
			struct exim_place list, entry, *at;
			struct exim_source src;
			struct exim_cause cause;
			char *table = NULL;

			exim_cause_find(&r->talk, &none, &in, NULL, &cause);
			if (exim_source_read(
				r->read, r->n_read, exim_run_n_main(r), &src))
				place_statement(r, &cause, &statement, &src);
			place_list(r, &cause, &list, &entry, &table);
			at = list.line != 0 ? &list : &statement;
			add(r,
			    name ? "exim-client-name-permits"
				 : "exim-hosts-wide",
			    at,
			    rehearsal_format(
				"A client %s may send to every domain%s%.200s.",
				client,
				cause.item == NULL || *cause.item == '\0'
				    ? ""
				    : ", by ",
				cause.item == NULL ? "" : cause.item),
			    NULL);
			exim_source_release(&src);
			free(table);
		}
		exim_trace_release(&trace);
	}
	return 0;
}

/* --- the whole --- */

static int
rehearse(struct exim_run *r, struct err *err)
{
	int budget = r->spec->thorough ? THOROUGH_MS : BUDGET_MS;
	struct exim_search s = { .talk = &r->talk,
		.progress = &r->progress,
		.until_ms = clock_monotonic_ms() + budget };

	if (exim_run_prepare(r, err) == -1)
		return -1;
	/* only this machine can speak to it */
	if (r->seeds.v[EXIM_PORT].n == 0) {
		r->to->complete = true;
		return 0;
	}
	if (!exim_seeds_end(&r->seeds)) {
		err_set(err, ERR_INVALID,
		    "%s: no address is a stranger's to it", r->spec->file);
		return -1;
	}
	s.config = r->config;
	if (exim_search(&s, err) == -1)
		return -1;
	if (s.n_holes > 0)
		find_keepers(r);
	for (size_t i = 0; i < s.n_holes; i++)
		if (report_hole(r, &s.holes[i], i < CAUSES_MAX, err) == -1)
			return -1;
	if (s.n_holes == 0 && report_trusted(r, err) == -1)
		return -1;
	r->to->dialogues = s.dialogues;
	r->to->statements = s.statements;
	r->to->complete = s.complete;
	return 0;
}

int
exim_rehearse(const struct exim_rehearsal_spec *spec, struct exim_rehearsal *to,
    struct err *err)
{
	struct exim_run *r = calloc(1, sizeof(*r));
	int rc;

	*to = (struct exim_rehearsal){ .complete = false };
	if (r == NULL) {
		err_nomem(err, "a rehearsal", sizeof(*r));
		return -1;
	}
	r->spec = spec;
	r->to = to;
	progress_begin(&r->progress, "Exim");
	rc = rehearse(r, err);
	progress_end(&r->progress);
	stage_close(&r->stage);
	exim_seeds_release(&r->seeds);
	if (r->read != r->loaded.files && r->read != NULL) {
		free((char *)(uintptr_t)r->read[0].text);
		free(r->read);
	}
	exim_loaded_release(&r->loaded);
	free(r->config);
	free(r);
	if (rc == -1)
		rehearsal_findings_release(&to->findings);
	return rc;
}
