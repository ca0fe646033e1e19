/* SPDX-License-Identifier: ISC */
#include "common/db/audit_row.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"

/* Bytes of a text that are kept. */
enum {
	TEXT_MAX = 1024,
	REFUSED_TEXT_MAX = 128 /* chosen by a stranger who was refused */
};

static const char *const channel_names[] = { [CHANNEL_MILTER] = "milter",
	[CHANNEL_POLICY] = "policy",
	[CHANNEL_SOCKETMAP] = "socketmap" };

const char *
audit_channel_name(enum audit_channel channel)
{
	assert(channel <= CHANNEL_SOCKETMAP);
	return channel_names[channel];
}

static bool
is_refused(const struct decision *d, enum audit_channel channel)
{
	switch (d->verdict) {
	case VERDICT_REJECT:
	case VERDICT_TEMPFAIL:
		return true;
	case VERDICT_WOULD_REJECT:
	case VERDICT_WOULD_TEMPFAIL:
		return channel != CHANNEL_MILTER;
	default:
		return false;
	}
}

bool
audit_row_refused(const struct audit_row *row)
{
	return is_refused(&row->decision, row->channel);
}

static const char CUT[] = "..."; /* ends a text that is cut */

/* How much of text is kept: all of it, or what leaves room for CUT, without
 * half a character of UTF-8 at the end. */
static size_t
kept(const char *text, size_t max)
{
	size_t n = strnlen(text, max + 1);

	if (n <= max)
		return n;
	n = max - (sizeof(CUT) - 1);
	for (int i = 0; i < 3 && ((unsigned char)text[n] & 0xc0) == 0x80; i++)
		n--;
	return n;
}

struct audit_row *
audit_row_new(const struct audit_facts *f)
{
	const char *texts[AUDIT_TEXTS] = { [T_SESSION] = f->session,
		[T_CLIENT] = f->client,
		[T_CLIENT_NAME] = f->client_name,
		[T_HELO] = f->helo,
		[T_SENDER] = f->sender,
		[T_RECIPIENT] = f->recipient,
		[T_AUTH_USER] = f->auth_user,
		[T_LOGIN_USER] = f->login_user,
		[T_REPLY] = f->reply,
		[T_MTA] = f->mta,
		[T_CERTIFICATE] = f->certificate,
		[T_END] = "" };
	size_t len[AUDIT_TEXTS], total = 0;
	bool cut[AUDIT_TEXTS];

	for (int i = 0; i < AUDIT_TEXTS; i++) {
		/* the reply is ours */
		size_t max =
		    is_refused(&f->decision, f->channel) && i != T_REPLY
		    ? REFUSED_TEXT_MAX
		    : TEXT_MAX;

		len[i] = texts[i] == NULL ? 0 : kept(texts[i], max);
		cut[i] = len[i] > 0 && texts[i][len[i]] != '\0';
		total += len[i] + (cut[i] ? sizeof(CUT) - 1 : 0) + 1;
	}
	assert(total <= UINT16_MAX); /* the offsets fit */
	struct audit_row *row = malloc(sizeof(*row) + total);

	if (row == NULL)
		return NULL;
	row->next = NULL;
	row->last = row;
	row->n = 1;
	row->at_ms = f->at_ms;
	row->decision = f->decision;
	row->local = f->local;
	row->aborted = false;
	row->kind = ROW_DECISION;
	row->channel = f->channel;
	row->durable = f->durable;
	row->number = f->number;
	row->takes = f->takes;
	(void)snprintf(row->queue_id, sizeof(row->queue_id), "%s",
	    f->queue_id == NULL ? "" : f->queue_id);
	size_t at = 0;

	for (int i = 0; i < AUDIT_TEXTS; i++) {
		row->offset[i] = (uint16_t)at;
		if (len[i] > 0)
			memcpy(row->text + at, texts[i], len[i]);
		at += len[i];
		if (cut[i]) {
			memcpy(row->text + at, CUT, sizeof(CUT) - 1);
			at += sizeof(CUT) - 1;
		}
		row->text[at++] = '\0';
	}
	assert(at == total);
	return row;
}

/* A row that is no decision, and has no log line. */
static struct audit_row *
row_of_kind(enum audit_row_kind kind, const char *client, const char *session,
    uint64_t takes)
{
	struct audit_row *row =
	    audit_row_new(&(struct audit_facts){ .client = client,
		.session = session,
		.takes = takes,
		.local = true });

	if (row != NULL)
		row->kind = kind;
	return row;
}

struct audit_row *
audit_row_taking(uint64_t takes)
{
	return row_of_kind(ROW_TAKING, NULL, NULL, takes);
}

struct audit_row *
audit_row_giving_up(const char *client, const char *session)
{
	return row_of_kind(ROW_GIVING_UP, client, session, 0);
}

struct audit_row *
audit_row_putting_off(uint64_t number)
{
	return row_of_kind(ROW_PUTTING_OFF, NULL, NULL, number);
}

const char *
audit_row_text(const struct audit_row *row, enum audit_text t)
{
	assert(t < AUDIT_TEXTS);
	return row->text + row->offset[t];
}

int
audit_row_len(const struct audit_row *row, enum audit_text t)
{
	assert(t < T_END);
	return row->offset[t + 1] - row->offset[t] - 1;
}

void
audit_row_free(struct audit_row *row)
{
	while (row != NULL) {
		struct audit_row *next = row->next;

		free(row);
		row = next;
	}
}

struct audit_row *
audit_row_chain(struct audit_row *list, struct audit_row *row)
{
	if (list == NULL || row == NULL)
		return list == NULL ? row : list;
	assert(list->n > 0 && row->n > 0);
	assert(list->last->next == NULL && row->last->next == NULL);
	list->last->next = row;
	list->last = row->last;
	list->n += row->n;
	return list;
}

void
audit_row_queue_id(struct audit_row *list, const char *queue_id)
{
	for (; list != NULL; list = list->next)
		if (list->queue_id[0] == '\0')
			(void)snprintf(list->queue_id, sizeof(list->queue_id),
			    "%s", queue_id);
}

void
audit_row_aborted(struct audit_row *list)
{
	for (; list != NULL; list = list->next)
		list->aborted = true;
}

static bool
gives_up(const struct audit_row *by, const struct audit_row *row)
{
	if (row->kind != ROW_DECISION)
		return false;
	if (by->kind == ROW_PUTTING_OFF)
		return row->number == by->takes;
	return by->kind == ROW_GIVING_UP &&
	    strcmp(audit_row_text(row, T_SESSION),
		audit_row_text(by, T_SESSION)) == 0 &&
	    strcmp(audit_row_text(row, T_CLIENT),
		audit_row_text(by, T_CLIENT)) == 0;
}

/* Mark the rows of list that a row of kind ROW_GIVING_UP or ROW_PUTTING_OFF
 * behind them names. */
static void
give_up(struct audit_row *list)
{
	for (const struct audit_row *by = list; by != NULL; by = by->next)
		if (by->kind >= ROW_GIVING_UP)
			for (struct audit_row *r = list; r != by; r = r->next)
				r->aborted |= gives_up(by, r) &&
				    r->decision.verdict == VERDICT_ACCEPT;
}

/* A log line that grows; what doesn't fit is left out. */
struct line {
	char *p, *end;
};

static void
put_text(struct line *l, const char *text)
{
	size_t n = strlen(text);

	assert(l->p <= l->end);
	if (n < (size_t)(l->end - l->p)) {
		memcpy(l->p, text, n);
		l->p += n;
	}
}

/* key="value" when value is not a plain word; nothing when it is empty. */
static void
put(struct line *l, const char *key, const char *value)
{
	const char *p = value;

	if (*value == '\0')
		return;
	while (*p > 0x20 && *p < 0x7f && *p != '"' && *p != '\\')
		p++;
	put_text(l, key);
	if (*p == '\0') {
		put_text(l, value);
		return;
	}
	/* room for the quotes, else an open one would swallow the rest */
	if (l->end - l->p < 16)
		return;
	*l->p++ = '"';
	(void)log_escape(value, true, l->p, (size_t)(l->end - l->p) - 1);
	l->p += strlen(l->p);
	*l->p++ = '"';
}

/* Set how it ended: an accepted recipient may have been given up, or put off
 * because its row was lost. */
static void
put_verdict(struct line *l, const struct audit_row *row, bool lost)
{
	enum verdict verdict = row->decision.verdict;
	enum reason reason = row->decision.reason;
	bool accepted = verdict == VERDICT_ACCEPT && !row->local;

	if (accepted && row->aborted) {
		put_text(l, "verdict=" AUDIT_ABORTED);
	} else {
		if (accepted && lost && row->durable) {
			verdict = VERDICT_TEMPFAIL;
			reason = REASON_AUDIT_UNAVAILABLE;
		}
		put_text(l, "verdict=");
		put_text(l, verdict_name(verdict));
	}
	put(l, " reason=", reason_name(reason));
}

static void
log_row(const struct audit_row *row, bool lost,
    void (*give)(const char *line, size_t len))
{
	char text[4000], age[24];
	struct line l = { text, text + sizeof(text) - 1 };

	put_verdict(&l, row, lost);
	put(&l, " client=", audit_row_text(row, T_CLIENT));
	put(&l, " client_name=", audit_row_text(row, T_CLIENT_NAME));
	put(&l, " helo=", audit_row_text(row, T_HELO));
	put(&l, " queue_id=", row->queue_id);
	put(&l, " sender=",
	    *audit_row_text(row, T_SENDER) == '\0'
		? "<>"
		: audit_row_text(row, T_SENDER));
	put(&l, " recipient=", audit_row_text(row, T_RECIPIENT));
	put(&l, " auth_user=", audit_row_text(row, T_AUTH_USER));
	put(&l, " login_user=", audit_row_text(row, T_LOGIN_USER));
	put(&l, " certificate=", audit_row_text(row, T_CERTIFICATE));
	if (row->decision.login_at != 0) {
		(void)snprintf(age, sizeof(age), "%" PRId64,
		    row->at_ms / 1000 - row->decision.login_at);
		put(&l, " login_age=", age);
	}
	put(&l, " session=", audit_row_text(row, T_SESSION));
	put(&l, " channel=", channel_names[row->channel]);
	put(&l,
	    " reply=", row->aborted ? "aborted" : audit_row_text(row, T_REPLY));
	*l.p = '\0';
	give(text, (size_t)(l.p - text));
}

void
audit_row_say(
    const struct audit_options *opt, struct audit_row **list, bool lost)
{
	bool any = false;

	if (!lost)
		give_up(*list);
	for (const struct audit_row *r = *list; r != NULL; r = r->next)
		if (!r->local) {
			log_row(r, lost, opt->log_line);
			any = true;
		}
	if (any && opt->log_flush != NULL)
		opt->log_flush();
	audit_row_free(*list);
	*list = NULL;
}

struct breach *
breach_new(const struct audit_breach *breach)
{
	const char *texts[] = { breach->subject, breach->setting,
		breach->allowed, breach->client, breach->user, breach->sender };
	enum { N = sizeof(texts) / sizeof(*texts) };
	size_t total = 0, len[N];

	for (int i = 0; i < N; i++) {
		len[i] = texts[i] == NULL ? 0 : strnlen(texts[i], TEXT_MAX);
		total += len[i] + 1;
	}
	struct breach *new = malloc(sizeof(*new) + total);

	if (new == NULL)
		return NULL;
	*new = (struct breach){ .b = *breach };
	char *p = new->text;

	for (int i = 0; i < N; i++) {
		if (len[i] > 0)
			memcpy(p, texts[i], len[i]);
		p[len[i]] = '\0';
		texts[i] = p;
		p += len[i] + 1;
	}
	new->b.subject = texts[0];
	new->b.setting = texts[1];
	new->b.allowed = texts[2];
	new->b.client = texts[3];
	new->b.user = texts[4];
	new->b.sender = texts[5];
	return new;
}

void
breaches_free(struct breach *list)
{
	while (list != NULL) {
		struct breach *next = list->next;

		free(list);
		list = next;
	}
}
