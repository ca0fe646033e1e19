/* SPDX-License-Identifier: ISC */
/* postfix_message - whether the message of a stranger is taken whose recipient
 * was: asked behind DATA. */
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "ctl/rehearsal/postfix_run.h"

enum {
	BATCH = 100, /* messages in a connection */
	AGAIN_MAX = 2000 /* of other senders, in a service */
};

/* The code of the reply to a message, 0 when there was none; *taken_r. */
static int
say_message(struct postfix_run *run, const struct postfix_client *client,
    const char *sender, const char *recipient, bool *taken_r)
{
	struct postfix_mail mail = {
		.sender = sender, .recipient = recipient, .message = true
	};
	int rc = postfix_talk(run->stage, client, &mail, 1, NULL);

	*taken_r = rc == 0 && mail.accepted;
	return rc == 0 ? mail.code : 0;
}

static bool
takes(struct postfix_run *run, const struct postfix_client *client,
    const char *sender, const char *recipient)
{
	bool taken;

	(void)say_message(run, client, sender, recipient, &taken);
	return taken;
}

/* Is what was refused taken of somebody else, or for ourselves? Then it was
 * refused for who said it. What is taken of nobody may be refused for what the
 * message says. */
static bool
is_taken_of_others(struct postfix_run *run, const struct postfix_client *client,
    const struct postfix_mail *mail)
{
	const struct string_list *ours = &run->ours;
	struct postfix_client other = *client;
	char own[FORM_TEXT_MAX];

	(void)snprintf(own, sizeof(own), "<postmaster@%.200s>",
	    ours->n > 0 ? ours->v[0] : "invalid");
	if (takes(run, client, mail->sender, own))
		return true;
	other.trick = TRICK_LOGIN;
	if (takes(run, &other, mail->sender, mail->recipient))
		return true;
	other.trick = client->trick;
	other.from = "127.0.0.1";
	return takes(run, &other, mail->sender, mail->recipient);
}

static bool
is_same_client(const struct postfix_client *a, const struct postfix_client *b)
{
	/* all strings are the seeds' */
	return a->from == b->from && a->name == b->name && a->helo == b->helo &&
	    a->trick == b->trick && a->as == b->as;
}

/* May n more be asked? When the time is up, run->r->complete says so. */
static bool
may_ask(struct postfix_run *run, struct postfix_again *again, size_t n)
{
	if (clock_monotonic_ms() >= run->until_ms)
		return false;
	if (again->messages + n > AGAIN_MAX) {
		run->r->undecided = true;
		return false;
	}
	again->messages += n;
	return true;
}

/* What is refused behind DATA to one sender may be taken of another one: the
 * first of all senders whose message is, or NULL. */
static const char *
find_sender(struct postfix_run *run, struct postfix_again *again,
    const struct postfix_client *client, const char *recipient)
{
	const struct string_list *senders = &run->seeds.senders;

	for (size_t i = 0; i < senders->n; i += BATCH) {
		struct postfix_mail v[BATCH];
		size_t n = senders->n - i < BATCH ? senders->n - i : BATCH;

		if (!may_ask(run, again, n))
			return NULL;
		for (size_t k = 0; k < n; k++)
			v[k] =
			    (struct postfix_mail){ .sender = senders->v[i + k],
				    .recipient = recipient,
				    .message = true };
		(void)postfix_talk(run->stage, client, v, n, NULL);
		postfix_run_count(run, n);
		for (size_t k = 0; k < n; k++) {
			if (v[k].accepted)
				return v[k].sender;
			run->r->undecided |= !smtp_code_decides(v[k].code);
		}
	}
	return NULL;
}

/* The same for a name in HELO: client's is set. */
static bool
find_helo(struct postfix_run *run, struct postfix_again *again,
    const struct postfix_mail *mail, struct postfix_client *client)
{
	const struct string_list *helos = &run->seeds.helos;

	if (client->helo != helos->v[0])
		return false;
	for (size_t i = 1; i < helos->n; i++) {
		if (!may_ask(run, again, 1))
			break;
		postfix_run_count(run, 1);
		client->helo = helos->v[i];
		if (takes(run, client, mail->sender, mail->recipient))
			return true;
	}
	return false;
}

/* A temporary failure, as of a policy server that the copy hasn't, refuses
 * nobody. */
static bool
is_refused(struct postfix_run *run, const struct postfix_shown *shown)
{
	bool taken;
	int code = say_message(run, &shown->client, shown->mail.sender,
	    shown->mail.recipient, &taken);

	return !taken && smtp_code_decides(code);
}

void
postfix_run_ask_messages(struct postfix_run *run, struct postfix_again *again,
    const struct postfix_client *client, struct postfix_mail *v, size_t n)
{
	struct postfix_mail asked[BATCH];
	size_t at[BATCH], k = 0;

	if (!is_same_client(&again->client, client))
		return;
	for (size_t i = 0; i < n && k < BATCH; i++)
		if (v[i].accepted) {
			at[k] = i;
			asked[k] = v[i];
			asked[k++].message = true;
		}
	if (k == 0 || postfix_talk(run->stage, client, asked, k, NULL) == -1)
		return;
	for (size_t i = 0; i < k; i++)
		v[at[i]].accepted =
		    asked[i].accepted || !smtp_code_decides(asked[i].code);
}

bool
postfix_run_is_closed(struct postfix_run *run, struct postfix_again *again,
    struct postfix_shown *shown)
{
	bool known = is_same_client(&again->client, &shown->client);
	const char *sender;

	if (known && strcmp(again->recipient, shown->mail.recipient) == 0)
		return true;
	if (!is_refused(run, shown))
		return false;
	if (known)
		return true;
	if (!is_taken_of_others(run, &shown->client, &shown->mail))
		return false;
	again->client = shown->client;
	(void)snprintf(again->recipient, sizeof(again->recipient), "%s",
	    shown->mail.recipient);
	sender = find_sender(run, again, &shown->client, shown->mail.recipient);
	if (sender == NULL)
		return !find_helo(run, again, &shown->mail, &shown->client);
	again->client.from = NULL;
	shown->mail.sender = sender;
	return false;
}
