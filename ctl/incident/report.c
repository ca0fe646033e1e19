/* SPDX-License-Identifier: ISC */
/* doctor --incident: the case at three in the morning. What went out, by whose
 * right, does it go on, and what to do, in order. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "ctl/doctor/doctor.h"
#include "ctl/incident/rights.h"
#include "ctl/incident/story.h"
#include "ctl/out.h"
#include "ctl/text_table.h"
#include "ctl/times.h"

enum {
	SINCE_S = 86400,
	ROWS = 10, /* groups of one right that are shown */
	EVIDENCE_TEXT = 1000,
	ENTRIES = 20, /* of the login table */
};

/* --- what others know --- */

static bool
is_ours(void *arg, struct span recipient)
{
	const struct story *s = arg;
	char folded[DOMAIN_TEXT_MAX];
	struct span domain = recipient, local;

	if (!SPAN_UNTIL_LAST(&domain, "@", &local))
		return true; /* without a domain it is delivered here */
	return domain_fold(domain.p, span_len(domain), folded) &&
	    domains_contain(&s->domains, folded);
}

static enum right
decided(void *arg, const char *queue_id, const char *client, const char *sender,
    struct span recipient, char user_r[INCIDENT_USER_MAX])
{
	const struct story *s = arg;

	if (s->rights == NULL)
		return RIGHT_UNTOLD;
	return rights_find(
	    s->rights, queue_id, client, sender, recipient, user_r);
}

static enum right
by_network(void *arg, const struct addr *client)
{
	const struct story *s = arg;

	if (network_set_contains(&s->ctl->cfg->relay.trusted_networks, client))
		return RIGHT_NETWORK;
	if ((client->family == ADDR_IPV4 && client->bytes[0] == 127) ||
	    (client->family == ADDR_IPV6 &&
		memcmp(client->bytes, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16) ==
		    0))
		return RIGHT_PROGRAM;
	return RIGHT_NONE;
}

/* --- reading --- */

static void
take_line(
    void *arg, const struct mtalog *m, struct span raw, int64_t pid, int64_t at)
{
	(void)raw;
	incident_line(arg, m, pid, at);
}

/* Exim writes a log of its own; where it usually is, or NULL. */
static const char *
exim_log(void)
{
	static const char *const usual[] = { "/var/log/exim4/mainlog",
		"/var/log/exim/mainlog", "/var/log/exim/main.log",
		"/var/log/exim_mainlog", "/var/spool/exim/log/mainlog" };

	for (size_t i = 0; i < sizeof(usual) / sizeof(*usual); i++)
		if (access(usual[i], R_OK) == 0)
			return usual[i];
	return NULL;
}

static int
each_of_journal(struct story *s, maillog_fn *fn, void *arg)
{
	const int64_t since = s->since - INCIDENT_BEFORE_S;
	int rc =
	    *s->spool == '\0' ? maillog_journal(s->ctl, since, s->spool) : 0;

	return rc == 0 ? maillog_configured(
			     s->ctl, s->spool, since, NULL, fn, arg, &s->stats)
		       : rc;
}

static int
each_log(struct story *s, maillog_fn *fn, void *arg)
{
	const char *log = doctor_option(s->d, DOCTOR_LOG);
	int rc = 0;

	if (log == NULL && s->d->read[MTA_EXIM] != NULL)
		log = exim_log();
	memset(&s->stats, 0, sizeof(s->stats));
	if (log != NULL && strcmp(log, "-") == 0) {
		if (*s->spool == '\0')
			rc = maillog_spool(s->ctl, s->spool);
		log = s->spool;
	}
	if (rc == 0)
		rc = maillog_configured(s->ctl, log,
		    s->since - INCIDENT_BEFORE_S, NULL, fn, arg, &s->stats);
	if (rc == -1)
		rc = each_of_journal(s, fn, arg);
	if (rc == -1)
		return ctl_fail(s->ctl, EX_NOINPUT,
		    "collector.sources names no log file and no journal; use --log FILE, or journalctl -o short-iso -S -24h | popgatectl doctor --incident --log -");
	return rc;
}

static void
load_rights(struct story *s)
{
	struct audit_reader *reader = NULL;
	struct err err;

	if (audit_open_reader(s->ctl->cfg->audit.database, &reader, &err) ==
		-1 ||
	    rights_load(reader, s->since, &s->rights, &err) == -1 ||
	    story_breaches_load(s, reader, &err) == -1)
		memcpy(s->rights_why, err.text, sizeof(s->rights_why));
	audit_close_reader(&reader);
}

static int
read_all(struct story *s)
{
	const struct incident_facts facts = {
		.arg = s,
		.ours = is_ours,
		.decided = decided,
		.network = by_network,
	};
	int rc;

	load_rights(s);
	s->in = incident_new(s->since, s->ctl->now, &facts);
	if (s->in == NULL)
		return ctl_fail(s->ctl, EX_OSERR, "out of memory");
	rc = each_log(s, take_line, s->in);
	if (rc != 0)
		return rc;
	/* no line at all: nothing was written since */
	if (s->stats.of_mta == 0 && s->stats.lines > 0)
		return ctl_fail(s->ctl, EX_DATAERR,
		    "%" PRId64
		    " lines were read, none of Postfix, Sendmail or Exim; name the mail server's log by --log",
		    s->stats.lines);
	s->groups = incident_result(s->in, &s->totals, &s->n);
	if (s->totals.no_memory)
		return ctl_fail(s->ctl, EX_OSERR, "out of memory");
	return 0;
}

/* --- evidence: the log lines of a few messages, read again --- */

static void
keep_line(
    void *arg, const struct mtalog *m, struct span raw, int64_t pid, int64_t at)
{
	struct story *s = arg;

	(void)pid;
	(void)at;
	for (size_t i = 0; i < s->evidence_n; i++) {
		struct story_evidence *e = &s->evidence[i];

		for (int j = 0; j < INCIDENT_SAMPLES; j++) {
			if (e->id[j][0] == '\0' ||
			    e->n == STORY_EVIDENCE_LINES ||
			    !span_equals(
				m->queue_id, e->id[j], strlen(e->id[j])))
				continue;
			e->line[e->n] = strndup(raw.p,
			    span_len(raw) > EVIDENCE_TEXT ? EVIDENCE_TEXT
							  : span_len(raw));
			e->n += e->line[e->n] != NULL;
		}
	}
}

static int
find_evidence(struct story *s)
{
	for (size_t i = 0;
	     i < s->n && i < STORY_EVIDENCE && story_is_fearsome(&s->groups[i]);
	     i++) {
		memcpy(s->evidence[i].id, s->groups[i].id,
		    sizeof(s->evidence[i].id));
		s->evidence_n++;
	}
	return s->evidence_n == 0 ? 0 : each_log(s, keep_line, s);
}

/* --- for people --- */

static const char *
some(unsigned n, char *buf, size_t size)
{
	(void)snprintf(buf, size, "%s%u", n > 64 ? "about " : "", n);
	return buf;
}

static void
print_senders(const struct incident_group *g)
{
	char n[32], domain[OUT_TEXT_MAX], sender[OUT_TEXT_MAX];
	unsigned senders = distinct_count(&g->senders);

	(void)printf("    Senders: %s", some(senders, n, sizeof(n)));
	if (incident_random_senders(g))
		(void)printf(", all at %s: made up, as spammers do",
		    out_escape(g->domain, domain, sizeof(domain)));
	else if (distinct_count(&g->domains) > 1)
		(void)printf(" in %s domains",
		    some(distinct_count(&g->domains), n, sizeof(n)));
	if (g->null_senders > 0)
		(void)printf("; %" PRId64 " messages with the null sender",
		    g->null_senders);
	(void)printf(". For example");
	for (int i = 0; i < INCIDENT_SAMPLES && g->id[i][0] != '\0'; i++)
		(void)printf(
		    " <%s>", out_escape(g->sender[i], sender, sizeof(sender)));
	(void)putchar('\n');
}

static void
print_right(const struct story *s, enum right right)
{
	static const char *const heads[] = {
		"CLIENT",
		"USER",
		"MESSAGES",
		"RECIPIENTS",
		"SENDERS",
		"LAST",
	};
	struct table *t = NULL;
	size_t shown = 0, more = 0;
	char last[TIME_TEXT_MAX];

	for (size_t i = 0; i < s->n; i++) {
		const struct incident_group *g = &s->groups[i];

		if (g->right != right)
			continue;
		if (shown++ >= ROWS) {
			more++;
			continue;
		}
		if (t == NULL) {
			(void)printf("%s:\n", right_words(right));
			t = table_new(heads, 6);
			table_indent(t, 2);
		}
		table_cell(t, *g->client == '\0' ? "-" : g->client);
		table_cell(t, *g->user == '\0' ? "-" : g->user);
		table_number(t, g->messages);
		table_number(t, g->recipients);
		table_number(t, distinct_count(&g->senders));
		table_cell(t, time_relative(g->last_at, s->ctl->now, last));
	}
	if (t == NULL)
		return;
	(void)table_end(t);
	if (more > 0)
		(void)printf("  and %zu more\n", more);
	for (size_t i = 0, told = 0; i < s->n && told < STORY_EVIDENCE; i++) {
		const struct incident_group *g = &s->groups[i];

		if (g->right != right || story_told_before(s, i) ||
		    (!story_is_fearsome(g) && !story_is_suspicious(g)))
			continue;
		(void)printf("\n  %s%s%s\n",
		    *g->client == '\0' ? "this machine" : g->client,
		    *g->user == '\0' ? "" : ", ",
		    *g->user == '\0' ? "" : g->user);
		if (g->rise)
			(void)printf(
			    "    %" PRId64
			    " recipients from %u addresses in all; by the days before, %" PRId64
			    " were to be expected.\n",
			    g->user_recipients, g->user_clients,
			    g->user_expected);
		print_senders(g);
		told++;
		if (i >= s->evidence_n || s->evidence[i].n == 0)
			continue;
		(void)printf("    The log lines that show it:\n");
		for (size_t k = 0; k < s->evidence[i].n; k++) {
			(void)printf("      ");
			out_text(s->evidence[i].line[k]);
			(void)putchar('\n');
		}
	}
	(void)putchar('\n');
}

static int64_t
queued(const struct story *s)
{
	int64_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		if (story_is_fearsome(&s->groups[i]) ||
		    story_is_suspicious(&s->groups[i]))
			n += s->groups[i].queued;
	return n;
}

static int64_t
recent(const struct story *s)
{
	int64_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		if (story_is_fearsome(&s->groups[i]) ||
		    story_is_suspicious(&s->groups[i]))
			n += s->groups[i].recent;
	return n;
}

static void
print_goes_on(const struct story *s)
{
	char last[TIME_TEXT_MAX];
	int64_t behind = s->ctl->now - s->stats.last_at;

	(void)printf("Does it go on? ");
	if (recent(s) > 0)
		(void)printf("Yes: %" PRId64
			     " of these messages left in the last %d minutes.",
		    recent(s), INCIDENT_RECENT_S / 60);
	else
		(void)printf(
		    "None of these messages left in the last %d minutes.",
		    INCIDENT_RECENT_S / 60);
	if (queued(s) > 0)
		(void)printf(
		    " By the log, %" PRId64
		    " of them are still in the queue for other recipients.",
		    queued(s));
	if (behind > INCIDENT_RECENT_S)
		(void)printf(" But the log ends %s.",
		    time_relative(s->stats.last_at, s->ctl->now, last));
	(void)printf("\n\n");
}

static bool
print_entry(void *arg, const struct store_row *row)
{
	struct table *t = arg;
	char at[TIME_TEXT_MAX], until[TIME_TEXT_MAX];

	table_cell(t, row->client);
	table_cell(t, row->user);
	table_cell(t, row->service);
	table_cell(t, time_local(row->last_at, at));
	table_cell(t, time_local(row->expires_at, until));
	return true;
}

struct some_rows {
	struct table *table;
	int64_t n;
};

static bool
print_some(void *arg, const struct store_row *row)
{
	struct some_rows *some_rows = arg;

	return some_rows->n++ >= ENTRIES || print_entry(some_rows->table, row);
}

/* An entry that nobody remembers is a user's, most of the time. */
static void
print_entries(const struct story *s)
{
	static const char *const heads[] = {
		"CLIENT",
		"USER",
		"BY",
		"LOGIN",
		"UNTIL",
	};
	struct some_rows rows = { .n = 0 };
	struct store *st = NULL;
	struct err err;

	if (store_open(s->ctl->cfg->logins.database, STORE_READ, &st, &err) ==
	    -1)
		return;
	rows.table = table_new(heads, 5);
	table_indent(rows.table, 2);
	(void)printf(
	    "Who may relay now, and by which login (an address that nobody knows is where\n"
	    "that user is at the moment; 'popgatectl why ADDRESS' shows the login's own log line):\n");
	if (store_each_row(
		st, NULL, NULL, s->ctl->now, print_some, &rows, &err) == -1)
		rows.n = 0;
	if (table_end(rows.table) == 0)
		(void)printf("  nobody\n");
	if (rows.n > ENTRIES)
		(void)printf("  and %" PRId64 " more: popgatectl list\n",
		    rows.n - ENTRIES);
	(void)putchar('\n');
	store_close(&st);
}

static void
print_steps(const struct story *s)
{
	if (s->steps > 0)
		(void)printf("What to do, in this order:\n");
	for (size_t i = 0; i < s->steps; i++) {
		const char *at = s->step[i];
		size_t n = strcspn(at, "\n");
		char line[STORY_STEP_TEXT_MAX], safe[STORY_STEP_TEXT_MAX * 4];

		(void)snprintf(line, sizeof(line), "%.*s", (int)n, at);
		(void)printf("\n  %zu. %s\n", i + 1,
		    out_escape(line, safe, sizeof(safe)));
		while (at[n] == '\n') {
			at += n + 1;
			n = strcspn(at, "\n");
			(void)snprintf(line, sizeof(line), "%.*s", (int)n, at);
			(void)printf("       %s\n",
			    out_escape(line, safe, sizeof(safe)));
		}
	}
}

static void
print_people(const struct story *s)
{
	char from[TIME_TEXT_MAX], to[TIME_TEXT_MAX];
	int64_t begin =
	    s->stats.first_at > s->since ? s->stats.first_at : s->since;

	if (!story_has_lines(s))
		(void)printf("The mail log wasn't written since %s.\n\n",
		    time_local(s->since, from));
	else
		(void)printf(
		    "%" PRId64 " messages to %" PRId64
		    " recipients left this server between\n%s and %s.\n\n",
		    s->totals.messages, s->totals.recipients,
		    time_local(begin, from), time_local(s->stats.last_at, to));
	if (s->rights == NULL)
		(void)printf(
		    "popgate's record can't be read, so logins and trusted networks aren't known: %s\n\n",
		    s->rights_why);
	else if (!rights_complete(s->rights))
		(void)printf(
		    "popgate's record is so large that only its first %d decisions were looked at;\n"
		    "a later --since tells more.\n\n",
		    RIGHTS_ROWS_MAX);
	if (s->stats.first_at > s->since)
		(void)printf("The log begins after the time asked for.\n\n");
	for (int right = 0; right < RIGHTS; right++)
		print_right(s, (enum right)right);
	story_breaches_print(s);
	if (s->totals.ungrouped > 0)
		(void)printf(
		    "%" PRId64
		    " messages of further clients were only counted.\n\n",
		    s->totals.ungrouped);
	if (s->totals.failed > 0)
		(void)printf("%" PRId64 " attempts to deliver failed.\n\n",
		    s->totals.failed);
	switch (story_status(s)) {
	case 2:
	case 1:
		if (!story_has_lines(s)) {
			print_entries(s);
			(void)printf(
			    "The log has no line of the mail server of this time, so nothing can be said: name its log by\n"
			    "--log FILE, or journalctl -o short-iso -S -24h | popgatectl doctor --incident --log -\n");
			break;
		}
		print_goes_on(s);
		print_steps(s);
		break;
	default:
		print_entries(s);
		(void)printf(
		    "Nothing alarming: all that left had a right to, and no client or user sent with\n"
		    "many senders, or far more than in the days before.\n");
		break;
	}
}

/* --- for programs --- */

static void
json_group(struct json *j, const struct story *s, size_t i)
{
	const struct incident_group *g = &s->groups[i];

	json_open(j, NULL, '{');
	json_text(j, "right", right_name(g->right));
	json_text(j, "client", *g->client == '\0' ? NULL : g->client);
	json_text(j, "user", *g->user == '\0' ? NULL : g->user);
	json_number(j, "messages", g->messages);
	json_number(j, "recipients", g->recipients);
	json_number(j, "senders", distinct_count(&g->senders));
	json_number(j, "sender_domains", distinct_count(&g->domains));
	json_bool(j, "random_senders", incident_random_senders(g));
	json_number(j, "null_senders", g->null_senders);
	json_number(j, "recent", g->recent);
	json_number(j, "queued", g->queued);
	json_bool(j, "rise", g->rise);
	json_number(j, "user_recipients", g->user_recipients);
	json_number(j, "user_expected", g->user_expected);
	json_bool(
	    j, "suspicious", story_is_fearsome(g) || story_is_suspicious(g));
	json_time(j, "first", g->first_at);
	json_time(j, "last", g->last_at);
	json_open(j, "examples", '[');
	for (int k = 0; k < INCIDENT_SAMPLES && g->id[k][0] != '\0'; k++)
		json_text(j, NULL, g->sender[k]);
	json_close(j, ']');
	json_open(j, "lines", '[');
	for (size_t k = 0; i < s->evidence_n && k < s->evidence[i].n; k++)
		json_text(j, NULL, s->evidence[i].line[k]);
	json_close(j, ']');
	json_close(j, '}');
}

static void
print_json(const struct story *s)
{
	struct json j = { .to = stdout };

	json_open(&j, NULL, '{');
	json_time(&j, "since", s->since);
	json_time(&j, "log_first", s->stats.first_at);
	json_time(&j, "log_last", s->stats.last_at);
	json_number(&j, "lines", s->stats.lines);
	json_number(&j, "messages", s->totals.messages);
	json_number(&j, "recipients", s->totals.recipients);
	json_number(&j, "failed", s->totals.failed);
	json_number(&j, "ungrouped", s->totals.ungrouped);
	json_number(&j, "forgotten", s->totals.forgotten);
	json_bool(&j, "record_readable", s->rights != NULL);
	json_bool(&j, "goes_on", recent(s) > 0 || queued(s) > 0);
	json_open(&j, "groups", '[');
	for (size_t i = 0; i < s->n; i++)
		json_group(&j, s, i);
	json_close(&j, ']');
	story_breaches_json(&j, s);
	json_open(&j, "steps", '[');
	for (size_t i = 0; i < s->steps; i++)
		json_text(&j, NULL, s->step[i]);
	json_close(&j, ']');
	json_close(&j, '}');
	json_line(&j);
}

static void
release(struct story *s)
{
	for (size_t i = 0; i < s->evidence_n; i++)
		for (size_t k = 0; k < s->evidence[i].n; k++)
			free(s->evidence[i].line[k]);
	incident_free(s->in);
	rights_free(s->rights);
	domains_release(&s->domains);
	free(s);
}

int
doctor_incident(struct doctor *d)
{
	const char *since = doctor_option(d, DOCTOR_SINCE);
	struct story *s = calloc(1, sizeof(*s));
	struct err err;
	int rc = 0;

	if (s == NULL)
		return ctl_fail(d->ctl, EX_OSERR, "out of memory");
	s->d = d;
	s->ctl = d->ctl;
	s->since = d->ctl->now - SINCE_S;
	if (since != NULL)
		rc = ctl_time(d->ctl, since, 1, &s->since);
	if (rc == 0 &&
	    domains_load(
		&d->ctl->cfg->relay.local_domains, &s->domains, &err) == -1)
		rc = ctl_fail(
		    d->ctl, EX_CONFIG, "relay.local_domains: %s", err.text);
	if (rc == 0)
		rc = read_all(s);
	if (rc == 0)
		rc = find_evidence(s);
	if (rc == 0) {
		story_steps(s);
		if (doctor_option(d, DOCTOR_JSON) != NULL)
			print_json(s);
		else
			print_people(s);
		rc = story_status(s);
	}
	release(s);
	return rc;
}
