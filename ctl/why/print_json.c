/* SPDX-License-Identifier: ISC */
/* print_json - the answer of 'popgatectl why' for programs. */
#include "common/base/json.h"
#include "ctl/out.h"
#include "ctl/record.h"
#include "ctl/why/near_miss.h"
#include "ctl/why/why.h"

static void
print_verdict(struct json *j, const struct why_answer *a)
{
	const struct decision *d = &a->verdict.said.decision;
	const char *reply = a->verdict.said.text;

	json_text(j, "client", a->text);
	json_bool(j, "may_relay", d->verdict == VERDICT_ACCEPT);
	json_text(j, "verdict", verdict_name(d->verdict));
	json_text(j, "reason", reason_name(d->reason));
	json_number(j, "rule", d->rule);
	json_text(j, "found", a->row);
	json_time(j, "login_at", d->login_at);
	json_time(j, "expires_at", d->expires_at);
	json_text(j, "reply", *reply == '\0' ? NULL : reply);
}

static void
print_deny(struct json *j, const struct store_deny *d)
{
	json_open(j, NULL, '{');
	json_text(j, "subject", d->subject);
	json_text(j, "kind", d->is_user ? "user" : "client");
	json_time(j, "created_at", d->created_at);
	json_time(j, "expires_at", d->expires_at);
	json_text(j, "reason", d->reason);
	json_close(j, '}');
}

static void
print_breach(struct json *j, const struct audit_breach *b)
{
	json_open(j, NULL, '{');
	json_time(j, "at", b->at_ms / 1000);
	json_text(j, "setting", b->setting);
	json_text(j, "allowed", b->allowed);
	json_text(j, "client", b->client);
	json_text(j, "user", b->user);
	json_text(j, "sender", b->sender);
	json_time(j, "denied_until", b->denied_until);
	json_time(j, "lifted_at", b->lifted_at_ms / 1000);
	json_close(j, '}');
}

static void
print_denials(struct json *j, const struct why_denials *d)
{
	if (d->known) {
		json_open(j, "denied", '[');
		for (size_t i = 0; i < d->n_deny; i++)
			print_deny(j, &d->deny[i]);
		json_close(j, ']');
	}
	if (d->limits_known) {
		json_open(j, "limits", '[');
		for (size_t i = 0; i < d->n_breach; i++)
			print_breach(j, &d->breach[i]);
		json_close(j, ']');
	}
}

static void
print_event(struct json *j, const struct store_event *e)
{
	json_open(j, NULL, '{');
	json_time(j, "at", e->at);
	json_text(j, "client", e->client);
	json_text(j, "user", e->user);
	json_text(j, "service", e->service);
	json_text(j, "server", e->server);
	json_text(j, "source", e->source);
	json_number(j, "position", e->position);
	json_text(j, "line", e->line);
	json_close(j, '}');
}

static void
print_logins(struct json *j, const struct why_logins *l, int64_t now)
{
	if (!l->known)
		return;
	json_open(j, "logins", '[');
	for (size_t i = 0; i < l->n_row; i++) {
		json_open(j, NULL, '{');
		row_json(j, &l->row[i], now);
		json_close(j, '}');
	}
	json_close(j, ']');
	if (!l->of_user)
		json_bool(j, "shared", l->shared);
	if (l->deletion_known)
		json_time(j, "deleted_until", l->deleted_until);
	json_open(j, "evidence", '[');
	for (size_t i = 0; i < l->n_event; i++)
		print_event(j, &l->event[i]);
	json_close(j, ']');
}

static void
print_records(
    struct json *j, const char *key, const struct audit_record *rec, size_t n)
{
	json_open(j, key, '[');
	for (; n > 0; n--, rec++) {
		json_open(j, NULL, '{');
		json_time(j, "at", rec->at_ms / 1000);
		json_text(j, "reason", rec->reason);
		json_text(j, "client", rec->client);
		json_text(j, "sender", rec->sender);
		json_text(j, "recipient", rec->recipient);
		json_text(j, "user", record_user(rec));
		json_text(j, "queue_id", rec->queue_id);
		json_text(j, "reply", rec->reply);
		json_number(j, "count", rec->count);
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void
print_decisions(struct json *j, const struct why_decisions *d)
{
	if (d->unknown != NULL)
		json_text(j, "decisions_error", d->unknown);
	for (size_t v = 0; v < WHY_KINDS && d->counted; v++) {
		const struct why_kind *k = &d->kind[v];

		json_open(j, why_kind_name(v), '{');
		json_number(j, "recipients", k->recipients);
		json_bool(j, "at_least", d->partly);
		json_time(j, "last_at", k->last_ms / 1000);
		print_records(j, "newest", k->newest, k->n_newest);
		json_close(j, '}');
	}
}

static void
print_message(struct json *j, const struct why_message *m)
{
	if (m->failed)
		return;
	json_text(j, "queue_id", m->queue_id);
	if (m->found)
		print_records(j, "decisions", m->decision, m->n_decision);
}

static void
print_messages(struct json *j, const struct why_answer *a)
{
	json_text(j, "message_id", a->text);
	json_open(j, "messages", '[');
	for (size_t i = 0; i < a->n_message; i++) {
		json_open(j, NULL, '{');
		json_time(j, "at", a->message[i].at);
		print_message(j, &a->message[i]);
		json_close(j, '}');
	}
	json_close(j, ']');
}

void
why_print_json(struct ctl *ctl, const struct why_answer *a, struct json *j)
{
	switch (a->subject) {
	case WHY_ADDRESS:
		print_verdict(j, a);
		print_denials(j, &a->denials);
		print_logins(j, &a->logins, ctl->now);
		if (a->verdict.said.decision.verdict != VERDICT_ACCEPT)
			near_show(ctl, &a->question.q.client, &a->verdict,
			    a->logins.deleted_until, j);
		print_decisions(j, &a->decisions);
		break;
	case WHY_NETWORK:
		json_text(j, "client", a->text);
		print_logins(j, &a->logins, ctl->now);
		break;
	case WHY_USER:
		json_text(j, "user", a->text);
		print_denials(j, &a->denials);
		print_logins(j, &a->logins, ctl->now);
		print_decisions(j, &a->decisions);
		break;
	case WHY_MESSAGE:
		print_message(j, &a->message[0]);
		break;
	case WHY_MESSAGE_ID:
		print_messages(j, a);
		break;
	case WHY_NOTHING:
		break;
	}
}
