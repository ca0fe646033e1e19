/* SPDX-License-Identifier: ISC */
#include "ctl/record.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl/out.h"
#include "ctl/times.h"

const char *
record_user(const struct audit_record *rec)
{
	if (rec->auth_user != NULL && *rec->auth_user != '\0')
		return rec->auth_user;
	return rec->login_user != NULL && *rec->login_user != '\0'
	    ? rec->login_user
	    : NULL;
}

/* Copy an address that was typed with or without brackets: always with here.
 * NULL: not told. */
static void
bracketed(const char *address, char *buf, size_t size)
{
	char text[400];

	if (address == NULL) {
		(void)snprintf(buf, size, "(not told)");
		return;
	}
	out_escape(address, text, sizeof(text));
	size_t n = strlen(text);
	bool typed = n >= 2 && text[0] == '<' && text[n - 1] == '>';

	(void)snprintf(buf, size, typed ? "%s" : "<%s>", text);
}

void
record_print(const struct audit_record *rec, int indent)
{
	char when[TIME_TEXT_MAX], from[410], to[410], user[300], id[80];
	const char *name = record_user(rec);

	assert(indent >= 0);
	bracketed(rec->sender, from, sizeof(from));
	bracketed(rec->recipient, to, sizeof(to));
	(void)printf("%*s%s  %-8s %-18s %s  %s -> %s", indent, "",
	    time_local(rec->at_ms / 1000, when), rec->verdict, rec->reason,
	    rec->client, from, to);
	if (name != NULL)
		(void)printf("  %s %s",
		    rec->auth_user != NULL && *rec->auth_user != '\0' ? "auth"
								      : "user",
		    out_escape(name, user, sizeof(user)));
	else if (rec->certificate != NULL)
		(void)printf("  certificate %s",
		    out_escape(rec->certificate, user, sizeof(user)));
	if (rec->queue_id != NULL && *rec->queue_id != '\0')
		(void)printf("  %s", out_escape(rec->queue_id, id, sizeof(id)));
	if (rec->count > 1)
		(void)printf("  and %" PRId64 " more like it until %s",
		    rec->count - 1, time_local(rec->last_ms / 1000, when));
	(void)putchar('\n');
}

void
record_json(struct json *j, const struct audit_record *rec)
{
	json_open(j, NULL, '{');
	json_number(j, "id", rec->id);
	json_time(j, "at", rec->at_ms / 1000);
	json_number(j, "at_ms", rec->at_ms);
	json_text(j, "session", rec->session);
	json_text(j, "queue_id", rec->queue_id);
	json_text(j, "client", rec->client);
	json_text(j, "client_name", rec->client_name);
	json_text(j, "helo", rec->helo);
	json_text(j, "sender", rec->sender);
	json_text(j, "recipient", rec->recipient);
	json_text(j, "class", rec->class);
	json_text(j, "verdict", rec->verdict);
	json_text(j, "reason", rec->reason);
	json_text(j, "auth_user", rec->auth_user);
	json_text(j, "login_user", rec->login_user);
	json_time(j, "login_at", rec->login_at);
	json_number(j, "rule", rec->rule);
	json_text(j, "reply", rec->reply);
	json_text(j, "channel", rec->channel);
	json_text(j, "mta", rec->mta);
	json_text(j, "certificate", rec->certificate);
	json_text(j, "message", rec->message);
	json_number(j, "count", rec->count);
	json_time(j, "last_at", rec->last_ms / 1000);
	json_close(j, '}');
	json_line(j);
}

void
record_csv_heads(void)
{
	(void)fputs(
	    "id,at,session,queue_id,client,client_name,helo,sender,recipient,class,verdict,reason,auth_user,login_user,login_at,rule,reply,channel,mta,certificate,count,last_at\r\n",
	    stdout);
}

void
record_csv(const struct audit_record *rec)
{
	char at[TIME_TEXT_MAX], login_at[TIME_TEXT_MAX];

	(void)printf("%" PRId64, rec->id);
	csv_cell(time_iso(rec->at_ms / 1000, at), false);
	csv_cell(rec->session, false);
	csv_cell(rec->queue_id, false);
	csv_cell(rec->client, false);
	csv_cell(rec->client_name, false);
	csv_cell(rec->helo, false);
	csv_cell(rec->sender, false);
	csv_cell(rec->recipient, false);
	csv_cell(rec->class, false);
	csv_cell(rec->verdict, false);
	csv_cell(rec->reason, false);
	csv_cell(rec->auth_user, false);
	csv_cell(rec->login_user, false);
	csv_cell(rec->login_at == 0 ? NULL : time_iso(rec->login_at, login_at),
	    false);
	(void)printf(",%" PRId64, rec->rule);
	csv_cell(rec->reply, false);
	csv_cell(rec->channel, false);
	csv_cell(rec->mta, false);
	csv_cell(rec->certificate, false);
	(void)printf(",%" PRId64, rec->count);
	csv_cell(time_iso(rec->last_ms / 1000, at), false);
	(void)fputs("\r\n", stdout);
}

void
row_json(struct json *j, const struct store_row *row, int64_t now)
{
	json_text(j, "client", row->client);
	json_text(j, "user", row->user);
	json_text(j, "service", row->service);
	json_text(j, "server", row->server);
	json_time(j, "first_at", row->first_at);
	json_time(j, "last_at", row->last_at);
	json_time(j, "expires_at", row->expires_at);
	json_bool(j, "forever", row->expires_at >= STORE_FOREVER);
	json_bool(j, "active", row->expires_at > now);
	json_number(j, "count", row->count);
	bool connected = row->connected_at != 0 && row->expires_at > now;

	json_time(j, "connected_since", connected ? row->connected_at : 0);
	json_text(
	    j, "connected_service", connected ? row->connected_service : NULL);
}

const char *
row_connected(const struct store_row *row, int64_t now, char *buf)
{
	char since[TIME_TEXT_MAX];
	const char *service = strcmp(row->connected_service, "imap") == 0
	    ? "in IMAP "
	    : strcmp(row->connected_service, "pop3") == 0 ? "in POP3 "
							  : "";

	*buf = '\0';
	if (row->connected_at != 0 && row->expires_at > now)
		(void)snprintf(buf, CONNECTED_TEXT_MAX,
		    "%ssince %s, still connected", service,
		    time_short(row->connected_at, now, since));
	return buf;
}
