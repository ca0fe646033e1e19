/* SPDX-License-Identifier: ISC */
/* deny, undeny - keep a client or user out, whatever logins say. */
#include <stdio.h>
#include <string.h>

#include "common/base/err.h"
#include "common/db/store_share.h"
#include "ctl/commands.h"
#include "ctl/commands/admin_entry.h"
#include "ctl/commands/words.h"
#include "ctl/out.h"
#include "ctl/text_table.h"
#include "ctl/times.h"
#include "ctl/why/breach.h"
#include "ctl/why/verdict.h"

enum { OPT_FOR, OPT_UNTIL, OPT_REASON, OPT_USER, OPT_LIST, OPT_JSON };

static const struct ctl_option deny_options[] = {
	[OPT_FOR] = { "for", "DURATION", "default: until undeny" },
	[OPT_UNTIL] = { "until", "TIME", "'2026-03-01 12:00', 12:00, @unix" },
	[OPT_REASON] = { "reason", "TEXT", "why; 'popgatectl why' shows it" },
	[OPT_USER] = { "user", NULL,
	    "SUBJECT is a user though it looks like an address" },
	[OPT_LIST] = { "list", NULL, "print who is denied" },
	[OPT_JSON] = { "json", NULL, "with --list: a JSON object a line" },
	{ 0 },
};

static const struct ctl_option undeny_options[] = {
	{ "user", NULL, "SUBJECT is a user though it looks like an address" },
	{ 0 },
};

struct subject {
	bool is_user;
	struct network net; /* unless is_user */
	char text[LOGIN_USER_MAX];
};

static int
subject_of(struct ctl *ctl, const char *text, bool user, struct subject *s)
{
	struct addr addr;

	*s = (struct subject){ .is_user = user };
	/* "10.0.0" is a slip, not a user */
	if (!user &&
	    (addr_parse_loose(text, &addr) || strchr(text, '/') != NULL ||
		strspn(text, "0123456789.:[]") == strlen(text))) {
		int rc = ctl_network(ctl, text, &s->net);

		(void)network_format(&s->net, s->text);
		return rc;
	}
	s->is_user = true;
	if (*text == '\0' || strlen(text) >= sizeof(s->text))
		return ctl_fail(
		    ctl, EX_USAGE, "'%.100s' is no client and no user", text);
	memcpy(s->text, text, strlen(text) + 1);
	return 0;
}

struct list {
	struct table *table;
	struct json *json;
	int64_t now;
};

static bool
list_one(void *arg, const struct store_deny *d)
{
	struct list *l = arg;
	char buf[TIME_TEXT_MAX];

	if (l->json != NULL) {
		json_open(l->json, NULL, '{');
		json_text(l->json, "subject", d->subject);
		json_text(l->json, "kind", d->is_user ? "user" : "client");
		json_time(l->json, "created_at", d->created_at);
		json_time(l->json, "expires_at", d->expires_at);
		json_text(l->json, "reason", d->reason);
		json_close(l->json, '}');
		json_line(l->json);
		return true;
	}
	table_cell(l->table, d->subject);
	table_cell(l->table, d->is_user ? "user" : "client");
	table_cell(l->table, time_both(d->created_at, l->now, buf));
	table_cell(l->table, time_both(d->expires_at, l->now, buf));
	table_cell(l->table, d->reason);
	return true;
}

/* List a denial that popgate-milter made by itself. */
static bool
list_breach(void *arg, const struct audit_breach *b)
{
	char words[BREACH_WORDS_MAX];
	const struct store_deny deny = {
		.subject = b->subject,
		.is_user = b->is_user,
		.created_at = b->at_ms / 1000,
		.expires_at = b->denied_until,
		.reason = breach_words(b, words),
	};

	return list_one(arg, &deny);
}

static int
list_all(struct ctl *ctl, bool as_json)
{
	static const char *const heads[] = {
		"SUBJECT",
		"KIND",
		"SINCE",
		"UNTIL",
		"REASON",
	};
	struct json json = { .to = stdout };
	struct list l = { .json = as_json ? &json : NULL, .now = ctl->now };
	struct audit_reader *audit = NULL;
	struct store *st;
	struct err err;
	int rc = ctl_store(ctl, STORE_READ, &st);

	if (rc != 0)
		return rc;
	rc = breach_open(ctl, &audit);
	l.table = table_new(heads, 5);
	if (store_each_deny(st, NULL, NULL, ctl->now, list_one, &l, &err) == -1)
		rc = ctl_fail_err(ctl, &err);
	if (audit != NULL &&
	    audit_each_denial(audit, ctl->now, list_breach, &l, &err) == -1)
		rc = ctl_fail_err(ctl, &err);
	audit_close_reader(&audit);
	if (table_end(l.table) == 0 && rc == 0 && !as_json)
		(void)puts("Nobody is denied.");
	store_close(&st);
	return rc;
}

/* The command must not say more than the policy does. */
struct confirm {
	struct ctl *ctl;
	struct store *st;
};

static void
confirm_client(const struct confirm *c, const struct addr *client)
{
	struct verdict_question q = {
		.q.client = *client,
		.q.any_sender = true,
		.at = c->ctl->now,
	};
	char text[ADDR_TEXT_MAX];
	struct verdict_answer a;

	verdict_ask(c->ctl, c->st, NULL, NULL, &q, &a);
	if (a.said.decision.verdict == VERDICT_ACCEPT)
		(void)ctl_fail(c->ctl, 0,
		    "WARNING: policy row %d (%s) still lets %s relay",
		    a.said.decision.rule, reason_name(a.said.decision.reason),
		    addr_format(client, text));
}

static bool
confirm_row(void *arg, const struct store_row *row)
{
	struct network net;

	if (network_parse(row->client, &net))
		confirm_client(arg, &net.base);
	return true;
}

static void
confirm(struct ctl *ctl, struct store *st, const struct subject *s)
{
	struct confirm c = { .ctl = ctl, .st = st };

	if (s->is_user)
		(void)store_each_row(
		    st, NULL, s->text, ctl->now, confirm_row, &c, NULL);
	else
		confirm_client(&c, &s->net.base);
}

/* The word that another machine is told; until: now or earlier ends a denial.
 */
static int
say_deny(struct store *st, const struct subject *s, int64_t until,
    const char *note, int64_t now, int64_t *at_r, struct err *err)
{
	char lower[LOGIN_USER_MAX];
	size_t i = 0;

	for (; s->text[i] != '\0'; i++)
		lower[i] = s->text[i] >= 'A' && s->text[i] <= 'Z'
		    ? (char)(s->text[i] - 'A' + 'a')
		    : s->text[i];
	lower[i] = '\0';
	struct store_word word = {
		.kind = s->is_user ? WORD_DENY_USER : WORD_DENY_CLIENT,
		.subject = s->is_user ? lower : s->text,
		.user = "",
		.until = until,
		.note = note,
	};
	int rc = store_word_say(st, &word, now, err);

	*at_r = word.at;
	return rc;
}

static int
write_deny(struct ctl *ctl, struct store *st, const struct subject *s,
    int64_t until, const char *reason)
{
	char who[160], text[700];
	struct err err;

	if (reason == NULL)
		(void)snprintf(
		    text, sizeof(text), "by %s", ctl_who(who, sizeof(who)));
	else
		(void)snprintf(text, sizeof(text), "%.400s (by %s)", reason,
		    ctl_who(who, sizeof(who)));
	struct store_deny deny = {
		.subject = s->text,
		.is_user = s->is_user,
		.expires_at = until,
		.reason = text,
	};

	if (store_begin(st, &err) == -1)
		return ctl_fail_err(ctl, &err);
	bool said =
	    say_deny(st, s, until, text, ctl->now, &deny.created_at, &err) == 0;

	if (said)
		words_deny(ctl, &deny);
	if (!said || store_deny_set(st, &deny, &err) == -1 ||
	    store_commit(st, &err) == -1) {
		store_rollback(st);
		return ctl_fail_err(ctl, &err);
	}
	return 0;
}

static int
run_deny(struct ctl *ctl, const struct ctl_args *args)
{
	int64_t until = STORE_FOREVER;
	char when[TIME_TEXT_MAX];
	struct subject subject;
	struct store *st;
	int rc;

	if (args->opt[OPT_LIST] != NULL)
		return list_all(ctl, args->opt[OPT_JSON] != NULL);
	if (args->n == 0)
		return ctl_fail(ctl, EX_USAGE,
		    "whom? usage: popgatectl deny ADDRESS|NETWORK|USER [--for DURATION] [--reason TEXT]");
	rc = subject_of(ctl, args->v[0], args->opt[OPT_USER] != NULL, &subject);
	if (rc == 0)
		rc = entry_end(ctl, args->opt[OPT_FOR], args->opt[OPT_UNTIL],
		    false, &until);
	if (rc == 0)
		rc = ctl_store(ctl, STORE_WRITE, &st);
	if (rc != 0)
		return rc;
	rc = write_deny(ctl, st, &subject, until, args->opt[OPT_REASON]);
	if (rc == 0) {
		(void)fputs(subject.is_user ? "user " : "client ", stdout);
		out_text(subject.text);
		(void)printf(" is denied until %s\n",
		    until >= STORE_FOREVER ? "'popgatectl undeny'"
					   : time_both(until, ctl->now, when));
		confirm(ctl, st, &subject);
	}
	store_close(&st);
	return rc;
}

/* The subject as the limits count it: of an IPv6 address the network. */
static const char *
breach_subject(const struct ctl *ctl, const struct subject *s, char *buf)
{
	return s->is_user || s->net.bits < addr_bits(&s->net.base)
	    ? s->text
	    : breach_client(ctl->cfg, &s->net.base, buf);
}

/* Returns how many denials there were, or -1 with err. The other machines are
 * told in any case: this one may not have heard of theirs yet. */
static int
end_deny(struct ctl *ctl, struct store *st, const struct subject *subject,
    struct err *err)
{
	int64_t at;
	int n = -1;

	if (store_begin(st, err) == 0 &&
	    say_deny(st, subject, ctl->now, "popgatectl undeny", ctl->now, &at,
		err) == 0)
		n = store_deny_delete(st, subject->text, subject->is_user, err);
	if (n != -1 && store_commit(st, err) == -1)
		n = -1;
	store_rollback(st);
	return n;
}

static int
run_undeny(struct ctl *ctl, const struct ctl_args *args)
{
	char network[NETWORK_TEXT_MAX];
	struct subject subject;
	struct store *st;
	struct err err;
	struct breach_lifted lifted;
	int rc = subject_of(ctl, args->v[0], args->opt[0] != NULL, &subject);

	if (rc == 0)
		rc = ctl_store(ctl, STORE_MODIFY, &st);
	if (rc != 0)
		return rc;
	int n = end_deny(ctl, st, &subject, &err);

	store_close(&st);
	if (n == -1)
		return ctl_fail_err(ctl, &err);
	if (n > 0)
		words_deny(ctl,
		    &(struct store_deny){ .subject = subject.text,
			.is_user = subject.is_user,
			.created_at = ctl->now,
			.expires_at = ctl->now,
			.reason = "popgatectl undeny" });
	rc = breach_lift(ctl, subject.is_user,
	    breach_subject(ctl, &subject, network), &lifted);
	if (rc != 0)
		return rc;
	if (n == 0 && !lifted.denied && !lifted.over)
		return ctl_fail(ctl, CTL_NONE, "%s '%s' is not denied",
		    subject.is_user ? "user" : "client", subject.text);
	out_text(subject.text);
	(void)puts(n > 0 || lifted.denied
		? " is denied no longer: a login counts again"
		: " was not denied");
	if (lifted.over || lifted.denied)
		(void)puts(
		    "It went over a limit: in a second or so it is counted anew");
	return 0;
}

const struct command cmd_deny = {
	.name = "deny",
	.args =
	    "ADDRESS|NETWORK|USER [--for DURATION | --until TIME] [--reason TEXT] | --list [--json]",
	.summary = "keep a client or user out, whatever logins say",
	.help =
	    "Beats every login and SMTP AUTH. A deleted entry comes back with the next login,\n"
	    "a denied one does not.\n",
	.options = deny_options,
	.min = 0,
	.max = 1,
	.run = run_deny,
};

const struct command cmd_undeny = {
	.name = "undeny",
	.args = "ADDRESS|NETWORK|USER",
	.summary = "let a denied client or user in again",
	.options = undeny_options,
	.min = 1,
	.max = 1,
	.run = run_undeny,
};
