/* SPDX-License-Identifier: ISC */
/* mclient - the MTA side of the milter protocol, version 6, as Sendmail and
 * Postfix speak it to libmilter.
 *
 * A step function (mclient_connect() ... mclient_eom()) queues the macros
 * and the command of one step, or nothing if the filter negotiated the step
 * away; mclient_reply() sends what is queued and reads the answer:
 *
 *	mc = mclient_open("unix:/run/f.sock", 5000);
 *	mclient_negotiate(mc, NULL);
 *	mclient_reply(mc, &reply);
 *	mclient_macro(mc, "j", "mx.example.com");
 *	mclient_connect(mc, "host.example.org", "192.0.2.1");
 *	mclient_reply(mc, &reply);
 *	...
 *	mclient_rcpt(mc, "<bob@example.com>");
 *	if (mclient_reply(mc, &reply) == -1) ...
 *	if (reply.code == SMFIR_REPLYCODE) puts(reply.text);
 *
 * Queue one step that has a reply at a time. Functions returning int give 0,
 * or -1 with errno; after -1 the connection is of no further use. A client
 * belongs to one thread at a time. */
#ifndef POPGATE_MCLIENT_H
#define POPGATE_MCLIENT_H

#include <libmilter/mfdef.h>
#include <stddef.h>
#include <stdint.h>

/* Values of SMFIM_* in <libmilter/mfapi.h>, which belongs to filters. */
enum mclient_stage {
	MCLIENT_CONNECT,
	MCLIENT_HELO,
	MCLIENT_MAIL,
	MCLIENT_RCPT,
	MCLIENT_DATA,
	MCLIENT_EOM,
	MCLIENT_EOH,
	MCLIENT_STAGES
};

/* The MTA's offer in OPTNEG. */
struct mclient_offer {
	uint32_t version;
	uint32_t actions; /* SMFIF_* */
	uint32_t steps; /* SMFIP_* */
};

struct mclient_reply {
	char code; /* SMFIR_*, or SMFIC_OPTNEG */
	const char *text; /* the data after it with a NUL added: for
			   * SMFIR_REPLYCODE "550 5.7.1 ...". Valid until
			   * the next mclient_reply() or mclient_read() */
	size_t len; /* bytes of text without the added NUL */
};

struct mclient;

/* Connect to "unix:/path", "/path", "inet:port@host" or "inet:host:port".
 *   timeout_ms  longest wait for a reply; -1 waits for ever
 * Returns NULL with errno when there is nobody. */
struct mclient *mclient_open(const char *where, int timeout_ms);

/* Close without QUIT, as an MTA that died does. NULL-safe; sets *mc NULL. */
void mclient_close(struct mclient **mc);

/* offer NULL: version 6 with all actions and steps, as both MTAs do today. */
int mclient_negotiate(struct mclient *mc, const struct mclient_offer *offer);

/* The actions and steps that were agreed on; valid after the reply to
 * mclient_negotiate(). */
uint32_t mclient_actions(const struct mclient *mc);
uint32_t mclient_steps(const struct mclient *mc);

/* The macros that are sent at stage: the filter's own list, or Postfix's
 * default. */
const char *mclient_symlist(const struct mclient *mc, enum mclient_stage stage);

/* 1 if that list is the filter's own. */
int mclient_asked(const struct mclient *mc, enum mclient_stage stage);

/* Give macro name ("j", "{auth_type}") a value from now on; NULL takes it
 * away. Sent at the stages where the filter asked for it.
 * -1 with ENOSPC if name, value or table is too long. */
int mclient_macro(struct mclient *mc, const char *name, const char *value);

/* The client's port in mclient_connect(); 25 until it is set. */
void mclient_port(struct mclient *mc, uint16_t port);

/* addr: IPv4 or IPv6 text; NULL means unknown. Anything else is sent as it
 * is, tagged IPv4. */
int mclient_connect(struct mclient *mc, const char *host, const char *addr);
int mclient_helo(struct mclient *mc, const char *name);

/* args: argv[0] of the callback, then ESMTP arguments after a space each. */
int mclient_mail(struct mclient *mc, const char *args);
int mclient_rcpt(struct mclient *mc, const char *args);

int mclient_data(struct mclient *mc);
int mclient_header(struct mclient *mc, const char *name, const char *value);
int mclient_eoh(struct mclient *mc);
int mclient_body(struct mclient *mc, const void *chunk, size_t len);
int mclient_eom(struct mclient *mc);
int mclient_unknown(struct mclient *mc, const char *line);

/* None of these has a reply; call mclient_flush() after them.
 * After mclient_quit_nc() the connection starts anew with mclient_connect().
 * libmilter 1.0.1 obeys it only right after the reply to mclient_eom(), and
 * after mclient_abort() within a message: at any other time it drops it and
 * that CONNECT, and keeps the old client. */
int mclient_abort(struct mclient *mc);
int mclient_quit(struct mclient *mc);
int mclient_quit_nc(struct mclient *mc);

/* Queue a frame with a right length and any content, or any bytes. */
int mclient_frame(struct mclient *mc, char cmd, const void *data, size_t len);
int mclient_raw(struct mclient *mc, const void *bytes, size_t len);

/* Send what is queued. */
int mclient_flush(struct mclient *mc);

/* 1 if the steps queued since the last reply have one, else 0. */
int mclient_awaits(const struct mclient *mc);

/* Send what is queued and read the reply; an immediate SMFIR_CONTINUE when
 * the step has none. SMFIR_PROGRESS and the changes to a message that come
 * before the reply to mclient_eom() are passed over.
 * errno: ECONNRESET (the filter closed), ETIMEDOUT, EPROTO (the filter broke
 * the protocol). */
int mclient_reply(struct mclient *mc, struct mclient_reply *reply);

/* Send what is queued and read one frame, whatever it is, awaited or not. */
int mclient_read(struct mclient *mc, struct mclient_reply *reply);

/* For event loops: like mclient_reply() but sends nothing and never waits.
 * Returns 1 with a reply, 0 when it is not there yet, -1 on errors. */
int mclient_poll_reply(struct mclient *mc, struct mclient_reply *reply);
int mclient_fd(const struct mclient *mc);

#endif
