/* SPDX-License-Identifier: ISC */
#include "ctl/rehearsal/postfix.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/mta/postfix_lists.h"
#include "common/mta/postfix_wiring.h"
#include "ctl/rehearsal/postfix_run.h"
#include "ctl/rehearsal/public_suffix.h"
#include "ctl/smtp/relay_forms.h"
#include "ctl/stage/stage.h"

enum {
	BUDGET_MS = 60000,
	CURE_MS = 120000, /* for all causes and cures: the timer waits */
	THOROUGH_MS = 900000,
	BATCH = 100, /* recipients in a connection */
	FORMS = 512,
	OURS_ASKED = 4, /* of our domains, in each form */
	PAIRS = 3000,
	SHOWN_MAX = 80
};

/* --- what is ours --- */

static void
add_ours(struct postfix_run *run, const char *name)
{
	if (*name == '.')
		name++;
	if (strchr(name, '.') != NULL && !is_public_suffix(name) &&
	    *name != '[' && *name != '/' &&
	    !string_list_add(&run->ours, name, strlen(name)))
		run->seeds.failed = true;
}

/* The lists that say which domains are ours, and what their tables name. */
static void
load_ours(struct postfix_run *run)
{
	static const char *const settings[] = { "mydestination", "mydomain",
		"virtual_alias_domains", "virtual_mailbox_domains",
		"relay_domains", "myorigin" };
	struct strset names = { 0 };
	struct string_list files = { 0 }, warnings = { 0 };
	struct postfix_lists *l =
	    postfix_lists_load(run->pf->dir, &files, &names, &warnings, NULL);

	for (size_t i = 0; i < names.size; i++)
		if (names.slot[i] != NULL)
			add_ours(run, names.slot[i]);
	for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++) {
		struct postfix_seeds s = { 0 };
		const char *value = postfix_value(run->pf, NULL, settings[i]);

		postfix_seeds_take(&s, value, strlen(value));
		postfix_seeds_follow(&s);
		/* "user@domain" stands for each domain that was named */
		for (size_t k = 0; k < s.helos.n; k++)
			if (strncmp(s.helos.v[k], "popgate-", 8) != 0)
				add_ours(run, s.helos.v[k]);
		postfix_seeds_release(&s);
	}
	postfix_lists_free(l);
	strset_release(&names);
	string_list_release(&files);
	string_list_release(&warnings);
}

/* --- the search --- */

void
postfix_run_count(struct postfix_run *run, size_t recipients)
{
	run->r->dialogues += recipients;
	progress_tell(&run->progress, run->at, run->r->dialogues);
}

struct search {
	struct postfix_run *run;
	const struct postfix_service *s;
	struct postfix_client client; /* who asks now */
	bool open; /* to everybody: no more is asked */
	bool answered, silent; /* it took a connection; or gave no answer */
	bool judged; /* it said yes or no to something */
	struct postfix_again again;
	struct postfix_shown shown[SHOWN_MAX]; /* that were taken */
	size_t n;
};

static bool
is_over(const struct search *x)
{
	return x->open || x->silent || clock_monotonic_ms() >= x->run->until_ms;
}

/* Remember what was taken, until its cause is looked for. */
static void
keep(struct search *x, const struct postfix_mail *mail)
{
	struct postfix_shown shown = {
		.s = x->s, .client = x->client, .mail = *mail
	};
	struct string_list *kept = &x->run->kept;

	if (x->n == SHOWN_MAX ||
	    postfix_run_is_closed(x->run, &x->again, &shown) ||
	    !string_list_add(kept, mail->recipient, strlen(mail->recipient)))
		return;
	shown.mail.recipient = kept->v[kept->n - 1];
	x->shown[x->n++] = shown;
}

/* Ask, and look at what was taken. */
static void
ask_batch(struct search *x, struct postfix_mail *v, size_t n)
{
	struct err err;

	if (is_over(x))
		return;
	if (postfix_talk(x->run->stage, &x->client, v, n, &err) == -1) {
		/* a server that doesn't greet won't do so later */
		if (!x->answered && err.code == ERR_IO)
			x->silent = x->run->r->silent = true;
		return;
	}
	x->answered = true;
	postfix_run_count(x->run, n);
	for (size_t i = 0; i < n; i++)
		x->judged |= smtp_code_decides(v[i].code);
	for (size_t i = 0; i < n; i++)
		v[i].accepted = v[i].accepted &&
		    postfix_run_is_foreign(x->run, v[i].recipient);
	for (size_t i = 0, kept = 0; i < n && !is_over(x); i++)
		if (v[i].accepted) {
			keep(x, &v[i]);
			/* the first one may have shown what is behind DATA */
			if (kept++ == 0)
				postfix_run_ask_messages(x->run, &x->again,
				    &x->client, v + i + 1, n - i - 1);
		}
}

static void
ask_one(struct search *x, const char *sender, const char *recipient)
{
	struct postfix_mail mail = { .sender = sender, .recipient = recipient };

	ask_batch(x, &mail, 1);
}

static void
ask_all(struct search *x, const struct string_list *senders,
    const struct string_list *recipients)
{
	struct postfix_mail v[BATCH];
	size_t n = 0;

	for (size_t i = 0; i < senders->n; i++)
		for (size_t k = 0; k < recipients->n; k++) {
			v[n++] = (struct postfix_mail){ .sender = senders->v[i],
				.recipient = recipients->v[k] };
			if (n == BATCH) {
				ask_batch(x, v, n);
				n = 0;
			}
		}
	if (n > 0)
		ask_batch(x, v, n);
}

static struct string_list
first_of(const struct string_list *list, size_t n)
{
	return (struct string_list){ list->v, list->n < n ? list->n : n };
}

/* Ask for recipients that are ours, and see whether one leads outside. False:
 * it is over. */
static bool
ask_leading(struct search *x, struct postfix_mail *v, size_t n)
{
	static char bare[BATCH][FORM_TEXT_MAX];
	const char *accepted[BATCH];
	size_t taken = 0, index[BATCH];
	struct err err;

	assert(n <= BATCH);

	if (is_over(x) ||
	    postfix_talk(x->run->stage, &x->client, v, n, &err) == -1)
		return false;
	postfix_run_count(x->run, n);
	for (size_t i = 0; i < n; i++)
		if (v[i].accepted &&
		    postfix_unbracket(v[i].recipient, bare[taken])) {
			accepted[taken] = bare[taken];
			index[taken++] = i;
		}
	for (size_t at = 0; at < taken; at += POSTFIX_RUN_FIRST_MAX) {
		size_t left = taken - at;
		int hole = postfix_run_first(x->run, accepted + at,
		    left < POSTFIX_RUN_FIRST_MAX ? left
						 : POSTFIX_RUN_FIRST_MAX);

		if (hole != -1)
			keep(x, &v[index[at + (size_t)hole]]);
	}
	return true;
}

/* What a pattern of the tables may make a stranger's address of. */
static void
ask_gateways(struct search *x)
{
	const struct string_list *list = &x->run->seeds.gateways;
	const struct string_list *ours = &x->run->ours;
	static char text[BATCH][FORM_TEXT_MAX];
	struct postfix_mail v[BATCH];
	size_t n = 0;

	for (size_t i = 0; i < list->n; i++) {
		bool whole = strchr(list->v[i], '@') != NULL;

		if (!whole && ours->n == 0)
			continue;
		(void)snprintf(text[n], FORM_TEXT_MAX, "<%.200s%s%.200s>",
		    list->v[i], whole ? "" : "@", whole ? "" : ours->v[0]);
		v[n] =
		    (struct postfix_mail){ .sender = x->run->seeds.senders.v[0],
			    .recipient = text[n] };
		if (++n == BATCH) {
			if (!ask_leading(x, v, n))
				return;
			n = 0;
		}
	}
	if (n > 0)
		(void)ask_leading(x, v, n);
}

/* Our domains in forms that lead outside when Postfix follows them. */
static void
ask_forms(struct search *x)
{
	static const char *const more[] = { "<user=$f@$d>", "<user_$f@$d>",
		"<user+$f@$d>", "<user#$f@$d>", "<user.$f@$d>", "<user-$f@$d>",
		"<user%$f@$d>", "<$f+user@$d>" };
	enum { MORE = sizeof(more) / sizeof(*more) };
	static char text[BATCH][FORM_TEXT_MAX];
	const char *host = postfix_value(x->run->pf, NULL, "myhostname");

	for (size_t o = 0; o < x->run->ours.n && o < OURS_ASKED; o++) {
		const struct form_values values = { x->run->ours.v[o], host,
			"127.0.0.1", POSTFIX_VICTIM ".com" };
		struct postfix_mail v[BATCH];
		size_t n = 0;

		for (size_t i = 0; i < MORE + relay_forms_n && n < BATCH; i++) {
			const char *form =
			    i < MORE ? more[i] : relay_forms[i - MORE].text;

			if (strstr(form, "$z") != NULL ||
			    (i >= MORE && o > 0 &&
				!relay_forms[i - MORE].domain) ||
			    form_expand(form, &values, text[n]) == 0)
				continue;
			v[n] = (struct postfix_mail){
				.sender = x->run->seeds.senders.v[0],
				.recipient = text[n]
			};
			n++;
		}
		if (!ask_leading(x, v, n))
			return;
	}
}

static void
ask_clients(struct search *x, const struct postfix_client *stranger)
{
	const struct postfix_seeds *s = &x->run->seeds;

	for (size_t i = 1; i < s->clients.n; i++) {
		x->client = *stranger;
		x->client.from = s->clients.v[i];
		ask_one(x, s->senders.v[0], s->recipients.v[0]);
	}
	for (size_t i = 0; i < s->names.n; i++) {
		x->client = *stranger;
		x->client.name = s->names.v[i];
		ask_one(x, s->senders.v[0], s->recipients.v[0]);
	}
	x->client = *stranger;
	x->client.name = STAGE_NO_NAME;
	ask_one(x, s->senders.v[0], s->recipients.v[0]);
}

static void
ask_helos(struct search *x, const struct postfix_client *stranger)
{
	const struct postfix_seeds *s = &x->run->seeds;

	x->client = *stranger;
	x->client.helo = NULL;
	ask_one(x, s->senders.v[0], s->recipients.v[0]);
	for (size_t i = 1; i < s->helos.n; i++) {
		x->client = *stranger;
		x->client.helo = s->helos.v[i];
		ask_one(x, s->senders.v[0], s->recipients.v[0]);
	}
}

/* A rule that wants one name in HELO and one sender. */
static void
ask_helos_senders(struct search *x, const struct postfix_client *stranger)
{
	const struct postfix_seeds *s = &x->run->seeds;
	const struct string_list one = first_of(&s->recipients, 1);

	if (!x->run->spec->thorough && s->helos.n * s->senders.n > PAIRS)
		return;
	for (size_t i = 1; i < s->helos.n && !is_over(x); i++) {
		x->client = *stranger;
		x->client.helo = s->helos.v[i];
		ask_all(x, &s->senders, &one);
	}
}

static void
ask_tricks(struct search *x, const struct postfix_client *stranger)
{
	static const enum postfix_trick tricks[] = { TRICK_TLS, TRICK_ANONYMOUS,
		TRICK_XCLIENT };
	const struct postfix_seeds *s = &x->run->seeds;

	for (size_t i = 0; i < sizeof(tricks) / sizeof(*tricks); i++) {
		x->client = *stranger;
		x->client.trick = tricks[i];
		ask_one(x, s->senders.v[0], s->recipients.v[0]);
	}
}

/* Say by XCLIENT or PROXY to be somebody else whom the configuration trusts. */
static void
ask_insiders(struct search *x, const struct postfix_client *stranger)
{
	const struct postfix_seeds *s = &x->run->seeds;

	for (size_t i = 0; i < s->insiders.n; i++) {
		x->client = *stranger;
		if (stranger->trick == TRICK_NONE)
			x->client.trick = TRICK_XCLIENT;
		x->client.as = s->insiders.v[i];
		ask_one(x, s->senders.v[0], s->recipients.v[0]);
	}
}

static bool
wants_proxy(const struct postfix_run *run, const struct postfix_service *s)
{
	return *postfix_value(run->pf, s,
		   strcmp(s->command, "postscreen") == 0
		       ? "postscreen_upstream_proxy_protocol"
		       : "smtpd_upstream_proxy_protocol") != '\0';
}

/* With popgate dead, a stranger must be refused as ever. */
static void
ask_without_popgate(struct search *x)
{
	const struct postfix_seeds *s = &x->run->seeds;

	if (x->run->spec->popgate == NULL || is_over(x) ||
	    stage_popgate(x->run->stage, false, NULL) == -1)
		return;
	ask_one(x, s->senders.v[0], s->recipients.v[0]);
	(void)stage_popgate(x->run->stage, true, NULL);
}

static void
search(struct search *x)
{
	const struct postfix_seeds *s = &x->run->seeds;
	const struct string_list one = first_of(&s->senders, 1);
	const struct string_list two = first_of(&s->recipients, 2);
	const struct postfix_client stranger = { .service = x->s->name,
		.from = s->clients.v[0],
		.helo = s->helos.v[0],
		.trick = wants_proxy(x->run, x->s) ? TRICK_PROXY : TRICK_NONE };

	x->client = stranger;
	ask_one(x, s->senders.v[0], s->recipients.v[0]);
	x->open = x->n > 0 && postfix_run_leaves(x->run, s->recipients.v[0]);
	ask_without_popgate(x);
	ask_all(x, &s->senders, &two);
	ask_all(x, &one, &s->recipients);
	if (stranger.trick == TRICK_NONE)
		ask_tricks(x, &stranger);
	if (x->n == 0)
		ask_insiders(x, &stranger);
	ask_helos(x, &stranger);
	ask_clients(x, &stranger);
	x->client = stranger;
	ask_forms(x);
	ask_gateways(x);
	if (x->run->spec->thorough || s->senders.n * s->recipients.n <= PAIRS)
		ask_all(x, &s->senders, &s->recipients);
	if (x->n == 0)
		ask_helos_senders(x, &stranger);
}

/* --- all of it --- */

/* A service that never answers lets nobody relay today, and nothing is known
 * of what it will do when it is repaired. */
static void
hear_why(struct postfix_run *run)
{
	char *log = stage_log(run->stage, NULL);

	run->r->silent = true;
	if (log == NULL ||
	    !stage_complaint(log, false, run->r->why, sizeof(run->r->why)))
		*run->r->why = '\0';
	free(log);
}

/* Not the settings of certificates, programs, directories and users, which
 * would fill the room for words that matter. */
static bool
is_about_mail(const char *setting)
{
	static const char *const ends[] = { "_path", "_directory", "_owner",
		"_group", "_command", "_program", "_environment" };

	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		size_t n = strlen(setting), len = strlen(ends[i]);

		if (n > len && strcmp(setting + n - len, ends[i]) == 0)
			return false;
	}
	return strstr(setting, "tls_") == NULL;
}

static void
load_seeds(struct postfix_run *run)
{
	const struct postfix_conf *pf = run->pf;

	postfix_seeds_begin(&run->seeds, run->spec->thorough);
	for (size_t i = 0; i < pf->main_raw.n; i++) {
		const char *value =
		    postfix_value(pf, NULL, pf->main_raw.v[i].name);

		if (is_about_mail(pf->main_raw.v[i].name))
			postfix_seeds_take(&run->seeds, value, strlen(value));
	}
	for (size_t i = 0; i < pf->overrides.n; i++)
		postfix_seeds_take(&run->seeds, pf->overrides.v[i].value,
		    strlen(pf->overrides.v[i].value));
	const char *networks = postfix_value(pf, NULL, "mynetworks");

	postfix_seeds_take(&run->seeds, networks, strlen(networks));
	postfix_seeds_follow(&run->seeds);
	postfix_seeds_end(&run->seeds);
}

/* Open a copy whose settings differ in nothing that decides whom it serves. */
static int
open_stage(struct postfix_run *run, struct err *err)
{
#define SETTING(n, v)                                                       \
	{                                                                   \
		.kind = EDIT_MAIN, .name = (char[]){ n }, .value = (char[]) \
		{                                                           \
			v                                                   \
		}                                                           \
	}
	struct wiring_edit edits[] = {
		SETTING("smtpd_error_sleep_time", "0"),
		SETTING("smtpd_soft_error_limit", "100000"),
		SETTING("smtpd_hard_error_limit", "100000"),
		SETTING("smtpd_junk_command_limit", "100000"),
		SETTING("queue_minfree", "0"),
		SETTING("smtpd_client_connection_count_limit", "0"),
		SETTING("smtpd_client_connection_rate_limit", "0"),
		SETTING("smtpd_client_message_rate_limit", "0"),
		SETTING("smtpd_client_recipient_rate_limit", "0"),
		SETTING("smtpd_client_auth_rate_limit", "0"),
		SETTING("smtpd_client_new_tls_session_rate_limit", "0"),
		SETTING("address_verify_poll_count", "1"),
		SETTING("address_verify_poll_delay", "1s"),
		/* a client that waits and doesn't come back */
		SETTING("postscreen_access_list", "static:permit"),
	};
#undef SETTING
	const struct stage_spec spec = { .mta = STAGE_POSTFIX,
		.dir = run->pf->dir,
		.edits = edits,
		.n_edits = sizeof(edits) / sizeof(*edits),
		.popgate = run->spec->popgate };

	return stage_open(&spec, &run->stage, err);
}

/* Find out what each service takes from strangers. */
static void
search_all(struct postfix_run *run, struct search *x)
{
	for (size_t i = 0; i < run->spec->n_services; i++) {
		x[i].run = run;
		x[i].s = run->spec->services[i];
		run->at = x[i].s->name;
		search(&x[i]);
		if (!x[i].judged && clock_monotonic_ms() < run->until_ms)
			hear_why(run);
	}
}

/* Find the cause and the cure of each hole. Last, since a Postfix that logs
 * each step answers slowly. */
static int
cure_all(struct postfix_run *run, const struct search *x, struct err *err)
{
	int64_t until_ms = clock_monotonic_ms() + CURE_MS;

	for (size_t i = 0; i < run->spec->n_services; i++)
		for (size_t k = 0; k < x[i].n; k++)
			if (clock_monotonic_ms() >= until_ms)
				run->r->uncured++;
			else if (postfix_cure(run, &x[i].shown[k], err) == -1)
				return -1;
	return 0;
}

int
postfix_rehearse(const struct postfix_rehearsal_spec *spec,
    struct postfix_rehearsal *r, struct err *err)
{
	struct postfix_run run = { .spec = spec, .pf = spec->pf, .r = r };
	struct search *x = NULL;
	int rc = -1;

	*r = (struct postfix_rehearsal){ 0 };
	load_seeds(&run);
	load_ours(&run);
	if (run.seeds.clients.n == 0) {
		err_set(err, ERR_INVALID, "no client is a stranger here");
		goto out;
	}
	progress_begin(&run.progress, "Postfix");
	if (open_stage(&run, err) == -1)
		goto out;
	run.until_ms =
	    clock_monotonic_ms() + (spec->thorough ? THOROUGH_MS : BUDGET_MS);
	x = calloc(spec->n_services + 1, sizeof(*x));
	if (x == NULL) {
		err_nomem(err, "a rehearsal", sizeof(*x));
		goto out;
	}
	search_all(&run, x);
	r->complete = clock_monotonic_ms() < run.until_ms;
	rc = cure_all(&run, x, err);
	r->tables = run.seeds.tables;
	r->entries = run.seeds.entries;
	r->said = run.seeds.said;
out:
	free(x);
	progress_end(&run.progress);
	stage_close(&run.stage);
	postfix_seeds_release(&run.seeds);
	string_list_release(&run.ours);
	string_list_release(&run.kept);
	return rc;
}

bool
postfix_run_ask(struct postfix_run *run, const struct postfix_client *client,
    const char *sender, const char *recipient)
{
	struct postfix_mail mail = { .sender = sender, .recipient = recipient };

	postfix_run_count(run, 1);
	return postfix_talk(run->stage, client, &mail, 1, NULL) == 0 &&
	    mail.accepted;
}
