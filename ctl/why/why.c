/* SPDX-License-Identifier: ISC */
/* why - 'popgatectl why': may it relay, and why? Asks and gathers; see why.h
 * for what prints. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/json.h"
#include "ctl/commands.h"
#include "ctl/out.h"
#include "ctl/why/why.h"

enum { OPT_EVENTS, OPT_DECISIONS, OPT_LOG, OPT_JSON };

enum { EVENTS_DEFAULT = 3, DECISIONS_DEFAULT = 5 };

static const struct ctl_option options[] = {
	[OPT_EVENTS] = { "events", "N", "log lines to show (3)" },
	[OPT_DECISIONS] = { "decisions", "N",
	    "decisions to show of each kind (5)" },
	[OPT_LOG] = { "log", "FILE",
	    "look a message-id up there, in place of collector.sources" },
	[OPT_JSON] = { "json", NULL, "a JSON object" },
	{ 0 },
};

const char *
why_keep(struct why *w, const char *text)
{
	if (text == NULL)
		return NULL;
	if (!string_list_add(&w->texts, text, strlen(text)))
		out_of_memory();
	return w->texts.v[w->texts.n - 1];
}

void *
why_grow(void *v, size_t n, size_t size)
{
	void *grown = reallocarray(v, n + 1, size);

	if (grown == NULL)
		out_of_memory();
	return grown;
}

static void
release(struct why *w, struct why_answer *a)
{
	free(a->denials.deny);
	free(a->denials.breach);
	free(a->logins.row);
	free(a->logins.event);
	for (size_t v = 0; v < VERDICTS; v++)
		free(a->decisions.kind[v].newest);
	for (size_t i = 0; i < a->n_message; i++)
		free(a->message[i].decision);
	string_list_release(&w->texts);
	store_close(&w->st);
	audit_close_reader(&w->audit);
}

static void
ask_address(struct why *w, const struct addr *addr, struct why_answer *a)
{
	struct verdict_row rows[POLICY_ROWS_MAX];
	char client[ADDR_TEXT_MAX];
	struct audit_filter f = { .client = addr_format(addr, client) };

	a->subject = WHY_ADDRESS;
	a->text = why_keep(w, client);
	a->question = (struct verdict_question){ .q.client = *addr,
		.q.any_sender = true,
		.audit = w->audit,
		.at = w->ctl->now };
	verdict_ask(
	    w->ctl, w->st, &w->store_err, NULL, &a->question, &a->verdict);
	int n = verdict_rows(w->ctl, &a->question, &a->verdict, rows);

	memcpy(a->row, rows[n - 1].words, sizeof(a->row));
	daemon_ask(w->ctl->cfg, &a->question.q, &a->daemon);
	why_denials(w, addr, NULL, &a->denials);
	why_logins(w, addr, NULL, NULL, &a->logins);
	why_decisions(w, &f, &a->decisions);
}

/* A network that an admin entered. */
static void
ask_network(struct why *w, const struct network *net, struct why_answer *a)
{
	char text[NETWORK_TEXT_MAX];

	a->subject = WHY_NETWORK;
	a->text = why_keep(w, network_format(net, text));
	why_logins(w, NULL, a->text, NULL, &a->logins);
}

static void
ask_user(struct why *w, const char *user, struct why_answer *a)
{
	struct audit_filter f = { .user = user };

	a->subject = WHY_USER;
	a->text = user;
	why_denials(w, NULL, user, &a->denials);
	why_logins(w, NULL, NULL, user, &a->logins);
	why_decisions(w, &f, &a->decisions);
}

/* Returns false when no decision has this queue id. */
static bool
ask_message(struct why *w, const char *id, struct why_answer *a)
{
	struct why_message *m = &a->message[0];

	m->queue_id = id;
	why_message(w, m);
	if (!m->found && !m->failed)
		return false;
	a->subject = WHY_MESSAGE;
	a->n_message = 1;
	return true;
}

/* By the MTA's log. Returns false when none is in it. */
static bool
ask_message_id(struct why *w, const char *text, struct why_answer *a)
{
	struct messages found;

	w->rc = message_id_find(w->ctl, text, w->log, &found);
	if (w->rc != 0 || found.n == 0)
		return w->rc != 0;
	a->subject = WHY_MESSAGE_ID;
	a->text = text;
	a->more_messages = found.more;
	for (size_t i = 0; i < found.n; i++) {
		struct why_message *m = &a->message[a->n_message++];

		*m = (struct why_message){ .at = found.v[i].at,
			.queue_id = why_keep(w, found.v[i].queue_id) };
		why_message(w, m);
	}
	return true;
}

static bool
note_any(void *arg, const struct store_row *row)
{
	(void)row;
	*(bool *)arg = true;
	return false;
}

static bool
user_known(struct why *w, const char *user)
{
	bool known = false;

	if (w->st != NULL)
		(void)store_each_row(
		    w->st, NULL, user, INT64_MIN, note_any, &known, NULL);
	return known || why_user_decided(w, user);
}

static void
ask_any(struct why *w, const char *text, struct why_answer *a)
{
	struct network net;
	struct addr addr;

	if (addr_parse_loose(text, &addr))
		ask_address(w, &addr, a);
	else if (network_parse(text, &net))
		ask_network(w, &net, a);
	else if (ask_message(w, text, a))
		return;
	else if (user_known(w, text))
		ask_user(w, text, a);
	else if (strchr(text, '@') == NULL)
		w->rc = ctl_fail(w->ctl, CTL_NONE,
		    "'%.100s' is no IP address, and neither a user nor a queue id that is recorded",
		    text);
	else if (!ask_message_id(w, text, a))
		w->rc = ctl_fail(w->ctl, CTL_NONE,
		    "'%.100s' is neither a user that is recorded nor a message-id in the mail log",
		    text);
}

static int
open_databases(struct why *w)
{
	const struct config *cfg = w->ctl->cfg;
	char text[ERR_TEXT_MAX + 200];
	int rc = 0, rc2;
	struct err err;

	if (store_open(cfg->logins.database, STORE_READ, &w->st,
		&w->store_err) == -1) {
		rc = ctl_database_reason(cfg->logins.database, "login table",
		    STORE_READ, &w->store_err, text, sizeof(text));
		(void)ctl_fail(w->ctl, 0, "%s", text);
		err_set(&w->store_err, w->store_err.code, "%.500s", text);
	}
	if (audit_open_reader(cfg->audit.database, &w->audit, &err) == -1) {
		rc2 = ctl_database_reason(cfg->audit.database,
		    "record of decisions", STORE_READ, &err, w->audit_why,
		    sizeof(w->audit_why));
		/* a gate that never decided anything is no failure */
		if (rc == 0 && rc2 != EX_NOINPUT)
			rc = rc2;
	}
	return rc;
}

static void
print(struct ctl *ctl, const struct why_answer *a, bool as_json)
{
	struct json j = { .to = stdout };

	if (!as_json) {
		why_print(ctl, a);
		return;
	}
	json_open(&j, NULL, '{');
	why_print_json(ctl, a, &j);
	json_close(&j, '}');
	json_line(&j);
}

static int
run(struct ctl *ctl, const struct ctl_args *args)
{
	struct why w = {
		.ctl = ctl,
		.events = EVENTS_DEFAULT,
		.decisions = DECISIONS_DEFAULT,
		.all_logins = args->opt[OPT_JSON] != NULL,
		.log = args->opt[OPT_LOG],
	};
	static struct why_answer answer; /* large for a stack */
	int rc = ctl_config(ctl);

	if (rc == 0 && args->opt[OPT_EVENTS] != NULL)
		rc = ctl_number(
		    ctl, args->opt[OPT_EVENTS], 0, 1000000, &w.events);
	if (rc == 0 && args->opt[OPT_DECISIONS] != NULL)
		rc = ctl_number(
		    ctl, args->opt[OPT_DECISIONS], 0, 1000000, &w.decisions);
	if (rc != 0)
		return rc;
	rc = open_databases(&w);
	if (rc == EX_NOPERM && w.st == NULL) {
		audit_close_reader(&w.audit);
		return rc; /* we don't know; row 7 would be a lie */
	}
	ask_any(&w, args->v[0], &answer);
	print(ctl, &answer, args->opt[OPT_JSON] != NULL);
	release(&w, &answer);
	return w.rc != 0 ? w.rc : rc;
}

const struct command cmd_why = {
	.name = "why",
	.args = "ADDRESS|USER|QUEUE-ID|MESSAGE-ID [--json]",
	.summary = "may it relay now, and why: logins, evidence, decisions",
	.help =
	    "For an address: which row of the policy decides now, who logged in from there, the\n"
	    "very log lines, what was relayed and refused; and when it may not relay, what came\n"
	    "near. For a user: all addresses. For a queue id: each recipient's decision; a\n"
	    "message-id is looked up in the mail log for that. A relayed recipient that both\n"
	    "the permit channel and the milter decided on stands there twice.\n",
	.options = options,
	.min = 1,
	.max = 1,
	.run = run,
};
