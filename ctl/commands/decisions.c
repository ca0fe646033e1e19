/* SPDX-License-Identifier: ISC */
/* decisions - what was decided, recipient by recipient. */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/db/audit_pair.h"
#include "ctl/commands.h"
#include "ctl/record.h"

enum {
	OPT_SINCE,
	OPT_UNTIL,
	OPT_CLIENT,
	OPT_USER,
	OPT_SENDER,
	OPT_RECIPIENT,
	OPT_VERDICT,
	OPT_REASON,
	OPT_QUEUE_ID,
	OPT_LIMIT,
	OPT_CHANNELS,
	OPT_FOLLOW,
	OPT_JSON,
	OPT_CSV
};

enum { LIMIT_DEFAULT = 50, FOLLOW_MS = 300, FOLLOWED = 4096 };

static const struct ctl_option options[] = {
	[OPT_SINCE] = { "since", "TIME",
	    "2h (ago), 12:00, '2026-03-01 12:00'" },
	[OPT_UNTIL] = { "until", "TIME", "the same" },
	[OPT_CLIENT] = { "client", "ADDRESS", "of this client" },
	[OPT_USER] = { "user", "USER", "by AUTH or login of this user" },
	[OPT_SENDER] = { "sender", "ADDRESS", "MAIL FROM" },
	[OPT_RECIPIENT] = { "recipient", "ADDRESS", "RCPT TO" },
	[OPT_VERDICT] = { "verdict", "WORD",
	    "accept, aborted, reject or tempfail; would-... in monitor and observe mode" },
	[OPT_REASON] = { "reason", "WORD", "recent-login, no-login, ..." },
	[OPT_QUEUE_ID] = { "queue-id", "ID", "of this message" },
	[OPT_LIMIT] = { "limit", "N",
	    "the newest N; default 50 unless --since is given, 0: all" },
	[OPT_CHANNELS] = { "channels", NULL,
	    "what each channel decided: a relayed recipient is two rows" },
	[OPT_FOLLOW] = { "follow", NULL,
	    "go on with new ones, until interrupted" },
	[OPT_JSON] = { "json", NULL, "a JSON object a line" },
	[OPT_CSV] = { "csv", NULL, "CSV with a line of heads" },
	{ 0 },
};

enum form { FOR_PEOPLE, AS_JSON, AS_CSV };

struct show {
	enum form form;
	int64_t last_id, shown;
	/* Rows of the permit channel that --follow has shown, whose recipients
	 * the milter may record again. */
	struct audit_pairs *followed;
	/* ids of the newest N, found backwards */
	int64_t *ids;
	size_t n;
};

/* Was the recipient shown already, as the permit channel recorded it? Not when
 * there is something new to tell. */
static bool
shown_before(struct show *s, const struct audit_record *rec)
{
	const struct audit_pair_key key = { .client = rec->client,
		.recipient = rec->recipient == NULL ? "" : rec->recipient };
	struct audit_pair pair = { .number = (uint64_t)rec->id };

	if (s->followed == NULL)
		return false;
	if (strcmp(rec->channel, audit_channel_name(CHANNEL_MILTER)) == 0)
		return audit_pairs_take(s->followed, &key, rec->at_ms, &pair) &&
		    !pair.client_only && strcmp(rec->verdict, "accept") == 0;
	if (strcmp(rec->verdict, "accept") == 0)
		audit_pairs_give(s->followed, &key, rec->at_ms, &pair);
	return false;
}

static bool
show(void *arg, const struct audit_record *rec)
{
	struct json j = { .to = stdout };
	struct show *s = arg;

	s->last_id = rec->id;
	if (shown_before(s, rec))
		return true;
	s->shown++;
	if (s->form == AS_JSON)
		record_json(&j, rec);
	else if (s->form == AS_CSV)
		record_csv(rec);
	else
		record_print(rec, 0);
	return !ferror(stdout);
}

/* The newest N are found backwards and shown forwards: first the oldest id of
 * them, then a walk from there. */
static bool
note_id(void *arg, const struct audit_record *rec)
{
	*(int64_t *)arg = rec->id;
	return true;
}

static int
filter_times(
    struct ctl *ctl, const struct ctl_args *args, struct audit_filter *f)
{
	int64_t at;
	int rc = 0;

	if (args->opt[OPT_SINCE] != NULL) {
		rc = ctl_time(ctl, args->opt[OPT_SINCE], 1, &at);
		f->since_ms = at * 1000;
	}
	if (rc == 0 && args->opt[OPT_UNTIL] != NULL) {
		rc = ctl_time(ctl, args->opt[OPT_UNTIL], 1, &at);
		f->until_ms = at * 1000;
	}
	return rc != 0 ? rc : ctl_period(ctl, f->since_ms, f->until_ms);
}

static int
filter_words(struct ctl *ctl, struct audit_filter *f)
{
	for (int i = 0;
	     f->verdict != NULL && strcmp(f->verdict, AUDIT_ABORTED) != 0;
	     i++) {
		if (i == VERDICTS)
			return ctl_fail(ctl, EX_USAGE,
			    "'%.100s' is not a verdict: expected accept, aborted, reject, tempfail, would-reject, would-tempfail or would-accept",
			    f->verdict);
		if (strcmp(f->verdict, verdict_name((enum verdict)i)) == 0)
			break;
	}
	for (int i = 0; f->reason != NULL; i++) {
		if (i == REASONS)
			return ctl_fail(ctl, EX_USAGE,
			    "'%.100s' is not a reason; popgatectl(8) lists them",
			    f->reason);
		if (strcmp(f->reason, reason_name((enum reason)i)) == 0)
			break;
	}
	return 0;
}

static int
make_filter(struct ctl *ctl, const struct ctl_args *args,
    struct audit_filter *f, char *client)
{
	struct addr addr;
	int rc = filter_times(ctl, args, f);

	f->user = args->opt[OPT_USER];
	f->sender = args->opt[OPT_SENDER];
	f->recipient = args->opt[OPT_RECIPIENT];
	f->verdict = args->opt[OPT_VERDICT];
	f->reason = args->opt[OPT_REASON];
	f->queue_id = args->opt[OPT_QUEUE_ID];
	f->channels = args->opt[OPT_CHANNELS] != NULL;
	f->limit = args->opt[OPT_SINCE] == NULL ? LIMIT_DEFAULT : 0;
	if (rc == 0)
		rc = filter_words(ctl, f);
	if (rc == 0 && args->opt[OPT_LIMIT] != NULL)
		rc = ctl_number(ctl, args->opt[OPT_LIMIT], 0,
		    INT64_C(1000000000000), &f->limit);
	if (rc != 0 || args->opt[OPT_CLIENT] == NULL)
		return rc;
	f->client = client;
	if (strcmp(args->opt[OPT_CLIENT], "unknown") == 0) {
		memcpy(client, "unknown", 8);
		return 0;
	}
	rc = ctl_address(ctl, args->opt[OPT_CLIENT], &addr);
	(void)addr_format(&addr, client);
	return rc;
}

static int
show_all(struct ctl *ctl, struct audit_reader *r, struct audit_filter *f,
    struct show *s)
{
	struct err err;

	if (f->limit > 0) {
		int64_t oldest = 0;

		f->newest_first = true;
		if (audit_each(r, f, note_id, &oldest, &err) == -1)
			return ctl_fail_err(ctl, &err);
		f->newest_first = false;
		f->limit = 0;
		if (oldest == 0)
			return 0;
		f->after_id = oldest - 1;
	}
	if (audit_each(r, f, show, s, &err) == -1)
		return ctl_fail_err(ctl, &err);
	return 0;
}

/* Until interrupted, or nobody reads any more. */
static int
follow(struct ctl *ctl, struct audit_reader *r, struct audit_filter *f,
    struct show *s)
{
	struct audit_filter newest = {
		.channels = true, .newest_first = true, .limit = 1
	};
	struct err err;

	/* with a filter nothing may have been shown yet */
	if (s->last_id == 0 &&
	    audit_each(r, &newest, note_id, &s->last_id, &err) == -1)
		return ctl_fail_err(ctl, &err);
	f->limit = 0;
	f->newest_first = false;
	while (fflush(stdout) == 0) {
		(void)poll(NULL, 0, FOLLOW_MS);
		f->after_id = s->last_id;
		if (audit_each(r, f, show, s, &err) == -1 &&
		    err.code != ERR_BUSY)
			return ctl_fail_err(ctl, &err);
	}
	return 0;
}

static int
run(struct ctl *ctl, const struct ctl_args *args)
{
	char client[ADDR_TEXT_MAX];
	struct audit_filter f = { 0 };
	struct audit_reader *r;
	struct show s = { 0 };

	if (args->opt[OPT_JSON] != NULL && args->opt[OPT_CSV] != NULL)
		return ctl_fail(
		    ctl, EX_USAGE, "--json and --csv exclude each other");
	s.form = args->opt[OPT_JSON] != NULL ? AS_JSON
	    : args->opt[OPT_CSV] != NULL     ? AS_CSV
					     : FOR_PEOPLE;
	int rc = make_filter(ctl, args, &f, client);

	if (rc == 0)
		rc = ctl_audit(ctl, &r);
	if (rc != 0)
		return rc;
	if (s.form == AS_CSV)
		record_csv_heads();
	if (args->opt[OPT_FOLLOW] != NULL && !f.channels)
		s.followed = audit_pairs_new(FOLLOWED);
	rc = show_all(ctl, r, &f, &s);
	if (rc == 0 && args->opt[OPT_FOLLOW] != NULL)
		rc = follow(ctl, r, &f, &s);
	else if (rc == 0 && s.shown == 0 && s.form == FOR_PEOPLE)
		(void)puts("No such decision is recorded.");
	audit_pairs_free(s.followed);
	audit_close_reader(&r);
	return rc;
}

const struct command cmd_decisions = {
	.name = "decisions",
	.args =
	    "[--since TIME] [--client ADDRESS] [--user USER] [--verdict WORD] [--follow] [--json | --csv] ...",
	.summary = "what was decided, recipient by recipient",
	.help =
	    "Oldest first. By default the newest 50; recipients of our own are recorded only with\n"
	    "audit.record = \"all\".\n",
	.options = options,
	.min = 0,
	.max = 0,
	.run = run,
};
