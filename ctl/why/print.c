/* SPDX-License-Identifier: ISC */
/* print - the answer of 'popgatectl why' for people. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl/out.h"
#include "ctl/record.h"
#include "ctl/text_table.h"
#include "ctl/times.h"
#include "ctl/why/near_miss.h"
#include "ctl/why/why.h"

static void
print_verdict(const struct ctl *ctl, const struct why_answer *a)
{
	const struct decision *d = &a->verdict.said.decision;
	char when[TIME_TEXT_MAX];

	daemon_print(&a->daemon, d);
	if (d->verdict != VERDICT_ACCEPT)
		(void)printf("%s may not relay now%s.\n", a->text,
		    d->verdict == VERDICT_TEMPFAIL
			? " (it is asked to try again later)"
			: "");
	else if (reason_basis(d->reason) == BASIS_LOGIN &&
	    d->expires_at < STORE_FOREVER)
		(void)printf("%s may relay until %s.\n", a->text,
		    time_both(d->expires_at, ctl->now, when));
	else
		(void)printf("%s may relay, without an end.\n", a->text);
	(void)printf("Policy row %d, %s: %s.\n", d->rule,
	    reason_name(d->reason), a->row);
	if (reason_basis(d->reason) == BASIS_LOGIN &&
	    ctl->cfg->relay.sender_binding != SENDER_OFF)
		(void)printf(
		    "Only as a sender that its %s may use: 'popgatectl check --client %s --from SENDER\n"
		    "--to RECIPIENT' asks about one.\n",
		    a->verdict.found.users > 1 ? "users" : "user", a->text);
	if (d->verdict != VERDICT_ACCEPT)
		(void)printf("It is told: %s %s %s\n", a->verdict.said.code,
		    a->verdict.said.status, a->verdict.said.text);
	if (facts_monitored(ctl->cfg, NULL, &a->question.q.client))
		(void)puts(ctl->cfg->relay.mode == RELAY_OBSERVE
			? "Observe mode: popgate opens and refuses nothing, the MTA decides alone."
			: "Monitor mode: popgate only records this, the MTA decides alone.");
	if (ctl->defaults)
		(void)printf("By the built-in defaults: there is no %s.\n",
		    ctl->config_path);
}

static void
print_deny(const struct ctl *ctl, const struct store_deny *d)
{
	char when[TIME_TEXT_MAX];

	(void)printf("Denied: %s ", d->is_user ? "user" : "client");
	out_text(d->subject);
	(void)printf(" since %s, ", time_past(d->created_at, ctl->now, when));
	(void)printf("until %s: ",
	    d->expires_at >= STORE_FOREVER
		? "'popgatectl undeny'"
		: time_both(d->expires_at, ctl->now, when));
	out_text(d->reason);
	(void)putchar('\n');
}

static void
print_denials(const struct ctl *ctl, const struct why_denials *d)
{
	for (size_t i = 0; i < d->n_deny; i++)
		print_deny(ctl, &d->deny[i]);
	for (size_t i = 0; i < d->n_breach; i++)
		breach_print(ctl, &d->breach[i], "Limit: ");
}

static void
print_connected(const struct ctl *ctl, const struct why_logins *l,
    const struct store_row *row)
{
	char text[CONNECTED_TEXT_MAX];

	if (*row_connected(row, ctl->now, text) == '\0')
		return;
	(void)fputs("  ", stdout);
	out_text(l->of_user ? row->client : row->user);
	(void)printf(": %s\n", text);
}

static void
print_rows(const struct ctl *ctl, const struct why_logins *l)
{
	static const char *const heads[] = {
		"USER",
		"SERVICE",
		"SERVER",
		"LOGINS",
		"LAST LOGIN",
		"EXPIRES",
		"CLIENT",
	};
	static const char *const user_heads[] = {
		"CLIENT",
		"SERVICE",
		"SERVER",
		"LOGINS",
		"LAST LOGIN",
		"EXPIRES",
	};
	struct table *t =
	    table_new(l->of_user ? user_heads : heads, l->of_user ? 6 : 7);
	char when[TIME_TEXT_MAX];

	table_indent(t, 2);
	for (size_t i = 0; i < l->n_row; i++) {
		const struct store_row *row = &l->row[i];

		table_cell(t,
		    l->of_user               ? row->client
			: *row->user == '\0' ? "(nobody)"
					     : row->user);
		table_cell(t, row->service);
		table_cell(t, row->server);
		table_number(t, row->count);
		table_cell(t, time_relative(row->last_at, ctl->now, when));
		table_cell(t,
		    row->expires_at >= STORE_FOREVER
			? "for ever"
			: time_relative(row->expires_at, ctl->now, when));
		if (!l->of_user)
			table_cell(t, row->client);
	}
	(void)table_end(t);
	for (size_t i = 0; i < l->n_row; i++)
		print_connected(ctl, l, &l->row[i]);
}

static void
print_sharing(const struct config *cfg, const struct why_logins *l)
{
	if (l->sharing > 1)
		(void)printf(
		    "  %" PRId64
		    " users logged in from there: a relayed message is by one of %" PRId64
		    ",\n  only its sender and the server's log can say by which\n",
		    l->sharing, l->sharing);
	if (l->shared)
		(void)printf("  More than relay.shared_address_users (%" PRId64
			     ") share it: %s\n",
		    cfg->relay.shared_address_users,
		    cfg->relay.shared_refused
			? "their logins open nothing."
			: "relay.shared_address could refuse it.");
}

static void
print_event(const struct ctl *ctl, const struct store_event *e)
{
	static const char journal[] = "journal:"; /* positions are us */
	char when[TIME_TEXT_MAX];

	(void)printf("  %s  ", time_past(e->at, ctl->now, when));
	out_text(*e->user == '\0' ? "(nobody)" : e->user);
	(void)printf("  %s %s\n", e->service, e->server);
	(void)fputs("    ", stdout);
	out_text(e->source);
	if (strncmp(e->source, journal, strlen(journal)) == 0)
		(void)printf(" at %s", time_local(e->position / 1000000, when));
	else if (strcmp(e->source, STORE_ADMIN) != 0)
		(void)printf(" at byte %" PRId64, e->position);
	(void)fputs(":\n    ", stdout);
	out_text(e->line);
	(void)putchar('\n');
}

static void
print_evidence(const struct ctl *ctl, const struct why_logins *l)
{
	if (l->n_event > 0)
		(void)puts("\nEvidence, newest first:");
	for (size_t i = 0; i < l->n_event; i++)
		print_event(ctl, &l->event[i]);
	if (l->n_row > 0 && l->n_event == 0 && l->events_asked)
		(void)puts("\nEvidence: none is kept any more (logins.keep).");
}

/* Is the user of these denials kept out now? */
static bool
is_denied(const struct why_denials *d, int64_t now)
{
	bool denied = d->n_deny > 0;

	for (size_t i = 0; i < d->n_breach && !denied; i++)
		denied = d->breach[i].denied_until > now &&
		    d->breach[i].lifted_at_ms == 0;
	return denied;
}

static void
print_active(const struct ctl *ctl, const struct why_logins *l,
    const struct why_denials *denials)
{
	if (is_denied(denials, ctl->now))
		(void)printf(
		    "  the user is denied: no login of its counts, from %" PRId64
		    " %s\n",
		    l->total, l->total == 1 ? "address" : "addresses");
	else
		(void)printf("  a login counts now from %" PRId64 " of %" PRId64
			     " addresses\n",
		    l->active, l->total);
}

static void
print_logins(const struct ctl *ctl, const struct why_logins *l,
    const struct why_denials *denials)
{
	char when[TIME_TEXT_MAX];

	if (!l->known)
		return;
	(void)puts("\nLogins:");
	print_rows(ctl, l);
	if (l->n_row == 0)
		(void)puts("  none in the table");
	else if (l->total > WHY_LOGINS_MAX)
		(void)printf("  and %" PRId64
			     " more: see 'popgatectl list --all'\n",
		    l->total - WHY_LOGINS_MAX);
	if (l->of_user && l->n_row > 0)
		print_active(ctl, l, denials);
	print_sharing(ctl->cfg, l);
	if (l->deleted_until != 0)
		(void)printf(
		    "  An admin deleted its logins until %s: log lines of that time, whenever they\n"
		    "  are read, open nothing.\n",
		    time_both(l->deleted_until, ctl->now, when));
	print_evidence(ctl, l);
}

static void
print_kind(const struct ctl *ctl, const char *title, const struct why_kind *k,
    bool partly)
{
	char when[TIME_TEXT_MAX];
	bool told = false;

	if (k->recipients == 0)
		return;
	(void)printf("\n%s: %s%" PRId64 " %s", title, partly ? "at least " : "",
	    k->recipients, k->recipients == 1 ? "recipient" : "recipients");
	if (k->messages > 0)
		(void)printf(" in %" PRId64 " %s", k->messages,
		    k->messages == 1 ? "message" : "messages");
	(void)printf(", the last %s\n",
	    time_relative(k->last_ms / 1000, ctl->now, when));
	for (size_t i = 0; i < k->n_newest; i++) {
		const char *reply = k->newest[i].reply;

		record_print(&k->newest[i], 2);
		if (told || reply == NULL || *reply == '\0')
			continue;
		told = true;
		(void)fputs("    told: ", stdout);
		out_text(reply);
		(void)putchar('\n');
	}
}

static void
print_decisions(const struct ctl *ctl, const struct why_decisions *d)
{
	static const char *const titles[WHY_KINDS] = {
		[VERDICT_ACCEPT] = "Accepted",
		[WHY_ABORTED] = "Accepted, and given up by the client",
		[VERDICT_REJECT] = "Refused",
		[VERDICT_TEMPFAIL] = "Put off (4xx)",
		[VERDICT_WOULD_REJECT] = "Not refused, in monitor mode",
		[VERDICT_WOULD_TEMPFAIL] = "Not put off, in monitor mode",
		[VERDICT_WOULD_ACCEPT] = "Not permitted, in observe mode",
	};

	if (d->unknown != NULL)
		(void)printf("\nDecisions: not known: %s\n", d->unknown);
	if (!d->counted)
		return;
	if (d->partly)
		(void)printf(
		    "\nOf its newest %" PRId64 " decisions:\n", d->looked_at);
	for (size_t v = 0; v < WHY_KINDS; v++)
		print_kind(ctl, titles[v], &d->kind[v], d->partly);
}

static void
print_message(const struct why_message *m)
{
	char when[TIME_TEXT_MAX];

	for (size_t i = 0; i < m->n_decision; i++) {
		const struct audit_record *rec = &m->decision[i];

		if (i == 0) {
			(void)fputs("Message ", stdout);
			out_text(rec->queue_id);
			(void)printf(", client %s (", rec->client);
			out_text(rec->client_name);
			(void)fputs(") HELO ", stdout);
			out_text(rec->helo);
			(void)fputs(", MTA ", stdout);
			out_text(rec->mta);
			(void)puts(":");
		}
		record_print(rec, 2);
		(void)printf("    policy row %" PRId64 ", channel %s",
		    rec->rule, rec->channel);
		/* others had no part in it, as behind SMTP AUTH */
		if (rec->login_at != 0 &&
		    reason_basis(reason_find(rec->reason)) == BASIS_LOGIN)
			(void)printf(", by the login of %s",
			    time_local(rec->login_at, when));
		(void)putchar('\n');
	}
}

static void
print_messages(const struct ctl *ctl, const struct why_answer *a)
{
	char when[TIME_TEXT_MAX];

	(void)printf(
	    "%s%zu %s with this message-id in the mail log; it is what the sender\n"
	    "made of it, and proves nothing.\n",
	    a->more_messages ? "More than " : "", a->n_message,
	    a->n_message == 1 ? "message" : "messages");
	for (size_t i = 0; i < a->n_message; i++) {
		const struct why_message *m = &a->message[i];

		(void)printf("\nQueue id %s, %s\n", m->queue_id,
		    time_past(m->at, ctl->now, when));
		print_message(m);
		if (!m->found && !m->failed)
			(void)puts(
			    "  popgate decided nothing of it: mail of our own, or from this machine");
	}
}

void
why_print(struct ctl *ctl, const struct why_answer *a)
{
	switch (a->subject) {
	case WHY_ADDRESS:
		print_verdict(ctl, a);
		print_denials(ctl, &a->denials);
		print_logins(ctl, &a->logins, &a->denials);
		if (a->verdict.said.decision.verdict != VERDICT_ACCEPT)
			near_show(ctl, &a->question.q.client, &a->verdict,
			    a->logins.deleted_until, NULL);
		print_decisions(ctl, &a->decisions);
		break;
	case WHY_NETWORK:
		(void)printf(
		    "%s is a network: entries of just that text. For one client, ask for its\n"
		    "address; for all in it: popgatectl list --client %s\n",
		    a->text, a->text);
		print_logins(ctl, &a->logins, &a->denials);
		break;
	case WHY_USER:
		(void)fputs("User ", stdout);
		out_text(a->text);
		(void)puts(":");
		print_denials(ctl, &a->denials);
		print_logins(ctl, &a->logins, &a->denials);
		print_decisions(ctl, &a->decisions);
		break;
	case WHY_MESSAGE:
		print_message(&a->message[0]);
		if (a->message[0].found)
			(void)puts(
			    "Say 'popgatectl why ADDRESS' for what that client may do now.");
		break;
	case WHY_MESSAGE_ID:
		print_messages(ctl, a);
		break;
	case WHY_NOTHING:
		break;
	}
}
