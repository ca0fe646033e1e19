/* SPDX-License-Identifier: ISC */
/* check - what would happen to this recipient? The real policy, row by row.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl/commands.h"
#include "ctl/out.h"
#include "ctl/why/daemon.h"
#include "ctl/why/verdict.h"

enum {
	OPT_CLIENT,
	OPT_FROM,
	OPT_TO,
	OPT_AUTH,
	OPT_AT,
	OPT_MAILER,
	OPT_SUBJECT,
	OPT_ISSUER,
	OPT_FINGERPRINT,
	OPT_KEY,
	OPT_JSON,
	OPT_EXIT_CODE
};

static const struct ctl_option options[] = {
	[OPT_CLIENT] = { "client", "ADDRESS", "who connects; 'unknown' too" },
	[OPT_FROM] = { "from", "SENDER", "MAIL FROM" },
	[OPT_TO] = { "to", "RECIPIENT", "RCPT TO" },
	[OPT_AUTH] = { "auth", "USER", "with SMTP AUTH as this user" },
	[OPT_AT] = { "at", "TIME", "as if it were then, by the table of now" },
	[OPT_MAILER] = { "mailer", "NAME",
	    "what the MTA calls the mailer (milter only)" },
	[OPT_SUBJECT] = { "cert-subject", "NAME",
	    "with a certificate that the MTA trusts" },
	[OPT_ISSUER] = { "cert-issuer", "NAME", "by this authority" },
	[OPT_FINGERPRINT] = { "cert-fingerprint", "DIGEST",
	    "with a certificate of this digest" },
	[OPT_KEY] = { "cert-key", "DIGEST", "of this key" },
	[OPT_JSON] = { "json", NULL, "a JSON object" },
	[OPT_EXIT_CODE] = { "exit-code", NULL,
	    "exit 1 when refused, 75 when put off" },
	{ 0 }
};

static void
print_asked(const struct ctl_args *args, const struct verdict_question *q)
{
	char client[ADDR_TEXT_MAX], from[300], to[300], auth[300];

	(void)printf("asked:   client %s, from <%s>, to <%s>, %s%s\n",
	    addr_format(&q->q.client, client),
	    out_escape(args->opt[OPT_FROM] == NULL ? "" : args->opt[OPT_FROM],
		from, sizeof(from)),
	    out_escape(q->q.recipient, to, sizeof(to)),
	    q->q.auth_user == NULL ? "no SMTP AUTH" : "SMTP AUTH as ",
	    q->q.auth_user == NULL
		? ""
		: out_escape(q->q.auth_user, auth, sizeof(auth)));
}

static void
print_answer(const struct ctl *ctl, const struct verdict_question *q,
    const struct verdict_answer *a)
{
	bool refused = a->said.decision.verdict != VERDICT_ACCEPT;

	(void)printf("answer:  %s (%s, row %d)\n",
	    verdict_name(a->said.decision.verdict),
	    reason_name(a->said.decision.reason), a->said.decision.rule);
	if (refused)
		(void)printf("reply:   %s %s %s\n", a->said.code,
		    a->said.status, a->said.text);
	else
		(void)printf("reply:   none of popgate's: %s\n",
		    a->said.facts.recipient_local
			? "the MTA delivers as it always would"
			: "the permit channel opens the MTA, the milter lets it pass");
	if (facts_monitored(ctl->cfg, NULL, &q->q.client))
		(void)printf(
		    "mode:    monitor: popgate only records this, the MTA decides alone\n");
	else
		for (size_t i = 0; i < ctl->cfg->relay.monitor_listeners.n; i++)
			(void)printf(
			    "mode:    monitor on %s: only recorded there\n",
			    ctl->cfg->relay.monitor_listeners.v[i]);
	if (q->at != ctl->now)
		(void)printf(
		    "note:    by the table as it is now; logins that were deleted or renewed since\n"
		    "         can't be seen\n");
}

static void
print_people(struct ctl *ctl, const struct ctl_args *args,
    const struct verdict_question *q, const struct verdict_answer *a,
    const struct daemon_answer *daemon)
{
	struct verdict_row rows[POLICY_ROWS_MAX];
	int n = verdict_rows(ctl, q, a, rows);

	if (daemon != NULL)
		daemon_print(daemon, &a->said.decision);
	print_asked(args, q);
	if (ctl->defaults)
		(void)printf("config:  built-in defaults, there is no %s\n",
		    ctl->config_path);
	for (int i = 0; i < n; i++)
		(void)printf("%s %2d   %-3s  %-36s %s\n",
		    i == 0 ? "rows:   " : "        ", rows[i].n,
		    rows[i].matched ? "yes" : "no", rows[i].condition,
		    rows[i].words);
	print_answer(ctl, q, a);
}

static void
print_json(struct ctl *ctl, const struct ctl_args *args,
    const struct verdict_question *q, const struct verdict_answer *a,
    const struct daemon_answer *daemon)
{
	struct verdict_row rows[POLICY_ROWS_MAX];
	struct json j = { .to = stdout };
	char client[ADDR_TEXT_MAX];
	int n = verdict_rows(ctl, q, a, rows);

	json_open(&j, NULL, '{');
	json_text(&j, "client", addr_format(&q->q.client, client));
	json_text(&j, "sender", args->opt[OPT_FROM]);
	json_text(&j, "recipient", q->q.recipient);
	json_text(&j, "auth_user", q->q.auth_user);
	json_time(&j, "at", q->at);
	json_text(&j, "class",
	    a->said.facts.recipient_local         ? "local"
		: a->said.facts.recipient_unknown ? "unknown"
						  : "relay");
	json_text(&j, "verdict", verdict_name(a->said.decision.verdict));
	json_text(&j, "reason", reason_name(a->said.decision.reason));
	json_number(&j, "rule", a->said.decision.rule);
	json_time(&j, "login_at", a->said.decision.login_at);
	json_time(&j, "expires_at", a->said.decision.expires_at);
	json_time(&j, "connected_since", a->connected.connected_at);
	json_text(&j, "code", *a->said.code == '\0' ? NULL : a->said.code);
	json_text(
	    &j, "status", *a->said.status == '\0' ? NULL : a->said.status);
	json_text(&j, "text", *a->said.text == '\0' ? NULL : a->said.text);
	json_bool(
	    &j, "enforced", !facts_monitored(ctl->cfg, NULL, &q->q.client));
	if (daemon != NULL)
		daemon_json(daemon, &j);
	json_open(&j, "rows", '[');
	for (int i = 0; i < n; i++) {
		json_open(&j, NULL, '{');
		json_number(&j, "row", rows[i].n);
		json_text(&j, "condition", rows[i].condition);
		json_bool(&j, "matched", rows[i].matched);
		json_text(&j, "found", rows[i].words);
		json_close(&j, '}');
	}
	json_close(&j, ']');
	json_close(&j, '}');
	json_line(&j);
}

static int
exit_code(const struct verdict_answer *a, const struct daemon_answer *daemon)
{
	enum verdict verdict = daemon == NULL
	    ? a->said.decision.verdict
	    : daemon_verdict(daemon, &a->said.decision);

	return verdict == VERDICT_ACCEPT ? 0
	    : verdict == VERDICT_REJECT  ? CTL_NONE
					 : EX_TEMPFAIL;
}

/* The sender as an MTA gives it: without its brackets. */
static const char *
sender_of(const char *text)
{
	static char bare[1000];
	size_t n = text == NULL ? 0 : strlen(text);

	if (n < 2 || n > sizeof(bare) || text[0] != '<' || text[n - 1] != '>')
		return text == NULL ? "" : text;
	memcpy(bare, text + 1, n - 2);
	bare[n - 2] = '\0';
	return bare;
}

static int
question(
    struct ctl *ctl, const struct ctl_args *args, struct verdict_question *q)
{
	const char *client = args->opt[OPT_CLIENT];

	if (client == NULL || args->opt[OPT_TO] == NULL)
		return ctl_fail(ctl, EX_USAGE, "--client and --to are needed");
	if (strcmp(args->opt[OPT_TO], "") == 0 ||
	    strcmp(args->opt[OPT_TO], "<>") == 0)
		return ctl_fail(ctl, EX_USAGE,
		    "--to '%s' is no recipient: expected one like friend@example.net",
		    args->opt[OPT_TO]);
	*q = (struct verdict_question){
		.q = { .sender = sender_of(args->opt[OPT_FROM]),
		    .recipient = args->opt[OPT_TO],
		    .mailer = args->opt[OPT_MAILER],
		    .auth_user = args->opt[OPT_AUTH],
		    .auth_type = args->opt[OPT_AUTH] == NULL ? NULL : "PLAIN" },
		.at = ctl->now
	};
	/* what the MTA says of a client that it can't name */
	int rc = strcmp(client, "unknown") == 0
	    ? 0
	    : ctl_address(ctl, client, &q->q.client);

	if (rc == 0 && args->opt[OPT_AT] != NULL)
		rc = ctl_time(ctl, args->opt[OPT_AT], 0, &q->at);
	return rc;
}

static int
run(struct ctl *ctl, const struct ctl_args *args)
{
	struct facts_lists lists;
	static struct certificate certificate; /* large */
	struct verdict_question q = { .q.recipient = "" };
	static struct verdict_answer a; /* large for a stack */
	struct daemon_answer now, *daemon = NULL; /* NULL: of another time */
	struct store *st = NULL;
	struct err err;
	int rc = question(ctl, args, &q);

	if (certificate_from_postfix(&certificate, false,
		args->opt[OPT_SUBJECT], args->opt[OPT_ISSUER],
		args->opt[OPT_FINGERPRINT], args->opt[OPT_KEY]))
		q.q.certificate = &certificate;
	if (rc == 0)
		rc = ctl_config(ctl);
	if (rc != 0)
		return rc;
	if (facts_lists_load(ctl->cfg, &lists, &err) == -1)
		return ctl_fail(ctl, EX_CONFIG, "%s", err.text);
	/* a table that can't be read is row 7: an answer, not an error; but
	 * not when only the one who asks may not read it */
	if (store_open(ctl->cfg->logins.database, STORE_READ, &st, &err) ==
		-1 &&
	    access(ctl->cfg->logins.database, R_OK) == -1 && errno == EACCES) {
		facts_lists_release(&lists);
		return ctl_store(ctl, STORE_READ, &st);
	}
	/* only rows 2 and 9 go by the audit: they say when it can't be read */
	(void)audit_open_reader(ctl->cfg->audit.database, &q.audit, NULL);
	verdict_ask(ctl, st, &err, &lists, &q, &a);
	if (q.at == ctl->now) {
		daemon = &now;
		daemon_ask(ctl->cfg, &q.q, daemon);
	}
	if (args->opt[OPT_JSON] != NULL)
		print_json(ctl, args, &q, &a, daemon);
	else
		print_people(ctl, args, &q, &a, daemon);
	store_close(&st);
	audit_close_reader(&q.audit);
	facts_lists_release(&lists);
	return args->opt[OPT_EXIT_CODE] == NULL ? 0 : exit_code(&a, daemon);
}

const struct command cmd_check = { .name = "check",
	.args =
	    "--client ADDRESS --to RECIPIENT [--from SENDER] "
	    "[--auth USER] [--cert-subject NAME --cert-issuer NAME] [--at TIME] "
	    "[--json]",
	.summary = "what would happen to a recipient, row by row",
	.help =
	    "Runs the policy that popgate-milter runs, on the same tables, and prints every row\n"
	    "that was tested, up to the first that matches, and the reply the client would get.\n",
	.options = options,
	.min = 0,
	.max = 0,
	.run = run };
