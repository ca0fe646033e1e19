/* SPDX-License-Identifier: ISC */
/* stage - a private copy of this machine's mail server, for the doctor's
 * rehearsal and setup's trial: the real programs and configuration, queue and
 * logs in memory, the network loopback only.
 *
 * The real programs run with the real configuration and tables at their real
 * paths, in mount, network and process namespaces of their own. All of the
 * machine is read-only there; queue, data and log directories, /run, /dev and
 * the configuration directory are the copy's own, in memory. The network is
 * loopback: nothing can leave, whatever is said to the copy. A popgate-milter
 * of the copy's own, with empty tables, answers at the sockets that
 * popgate.conf names. However the caller dies, the kernel ends and removes
 * everything. Needs root and Linux 5.12.
 *
 * Servers that the mail server asks and that aren't part of it (other milters,
 * policy services, Dovecot's auth, DNS) are stood in for: see standin.h. SQL
 * and LDAP servers of this machine that lookup tables name are asked as ever:
 * see tables.h.
 *
 * One thread; several stages may be open at once. */
#ifndef POPGATE_STAGE_H
#define POPGATE_STAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/addr.h"
#include "ctl/smtp/smtp_reply.h"

struct config;
struct err;
struct network_set;
struct stage;
struct wiring_edit;

/* A file of the copy instead of, or besides, the machine's. */
struct stage_file {
	const char *path; /* absolute */
	const char *text;
};

enum stage_mta { STAGE_POSTFIX, STAGE_SENDMAIL, STAGE_EXIM };

/* The one user whom the copy's auth server lets in, by any name. */
#define STAGE_PASSWORD "popgate-stage"

/* All borrowed, until stage_open() returns. */
struct stage_spec {
	enum stage_mta mta;
	/* Postfix: the configuration directory of the instance to start. The
	 * other instances of the machine are copied, too, and not started.
	 * Sendmail: the path of sendmail.cf. Exim: that of its configuration
	 * file, or NULL for its own. */
	const char *dir;
	/* The program of Sendmail or Exim; NULL: where it usually is. */
	const char *program;
	/* Exim: log what its ACLs do, too ("-d"). */
	bool trace;
	/* The differences of the copy, in this order: whole files; Postfix's
	 * edits of main.cf and master.cf, made by postconf(1); commands, each
	 * an argv that ends with NULL, whose argv[0] is looked for as
	 * run_read() does. A failure ends stage_open(). Of an Exim, commands
	 * make the configuration file: the machine's isn't there. */
	const struct stage_file *files;
	size_t n_files;
	const struct wiring_edit *edits;
	size_t n_edits;
	const char *const *const *prepare;
	size_t n_prepare;
	/* Relay settings and sockets of the copy's popgate-milter; NULL: the
	 * copy has none. Databases, users and monitoring pages are replaced,
	 * every decision is recorded, and the collector's age isn't asked. */
	const struct config *popgate;
	/* The program popgate-milter; NULL: beside this program. */
	const char *milter;
	/* How long each step and each reply may take; 0: 30 s. */
	int timeout_ms;
	/* stage_open()'s own business: leave it NULL. */
	const struct network_set *addresses;
};

/* Make the copy and start it: popgate-milter, the mail server, and wait until
 * both answer. 0, or -1 with err, which holds what the mail server complained
 * about when it doesn't start. */
int stage_open(
    const struct stage_spec *spec, struct stage **stage_r, struct err *err);

/* End and remove everything. NULL-safe; sets *stage to NULL. */
void stage_close(struct stage **stage);

/* May root run what this file names: does it, and every directory above, belong
 * to root alone? Files where the machine's own mail server keeps its are
 * trusted, too: whoever can write them has root by that server already.
 * stage_open() asks that of spec->dir's files. 0, or -1 with err, which names
 * what is somebody else's. */
int stage_trusts(const char *path, struct err *err);

enum stage_tls {
	STAGE_TLS_AUTO, /* as a good client: implicit where the service wants
			 * it; STARTTLS where it is offered and user is set, or
			 * where the server insists */
	STAGE_TLS_NONE,
	STAGE_TLS_START,
	STAGE_TLS_IMPLICIT
};

/* The words of a client. All borrowed. */
struct stage_mail {
	const char *helo; /* NULL: "client.example" */
	const char *user; /* SMTP AUTH PLAIN; NULL: none */
	const char *password; /* NULL: STAGE_PASSWORD */
	bool cram; /* CRAM-MD5 instead of PLAIN */
	enum stage_tls tls;
	const char *sender; /* "" for <> */
	const char *recipient; /* "user@example.com" */
	bool message; /* DATA and a message, too (smtp_talk_message()) */
};

enum stage_step {
	STAGE_CONNECT,
	STAGE_HELO,
	STAGE_STARTTLS,
	STAGE_AUTH,
	STAGE_MAIL,
	STAGE_RCPT,
	STAGE_DATA,
};

/* The word of SMTP: "RCPT". */
const char *stage_step_name(enum stage_step step);

/* The last reply, and to what. accepted: RCPT had 2xx and, where a message was
 * to be said, nothing behind DATA objected. */
struct stage_reply {
	enum stage_step step;
	struct smtp_reply reply;
	bool accepted;
	bool tls;
};

/* Say one mail up to RCPT, then RSET and QUIT, from a client's address, which
 * is made known to the copy's network as somebody else's.
 *   service  "smtp/inet" as in master.cf, its name alone ("smtp", "587",
 *            "127.0.0.1:10025"), or a port
 * 0, or -1 with err when the server gave no answer; err then holds what it
 * said in its log. */
int stage_say(struct stage *stage, const struct addr *from, const char *service,
    const struct stage_mail *mail, struct stage_reply *reply, struct err *err);

#define STAGE_NO_NAME "-" /* the client has no PTR */
#define STAGE_CLAIMS '?' /* before a name: its PTR alone says so */

/* A connection of a client, for a dialogue that stage_say() hasn't.
 *   name   what DNS says of from, both ways; STAGE_NO_NAME; NULL: a name that
 *          says nothing
 *   names  that exist in DNS besides
 *   tls_r  the service speaks TLS from the first byte
 *   hops_r  for smtp_talk_private()
 * A socket, the caller's; or -1 with err. */
int stage_connect(struct stage *stage, const struct addr *from,
    const char *name, const char *service, const char *const *names, size_t n,
    bool *tls_r, unsigned *hops_r, struct err *err);

/* A login of user from client, that counts for an hour. 0, or -1 with err. */
int stage_login(struct stage *stage, const struct addr *client,
    const char *user, struct err *err);

/* Stop popgate-milter (as kill -9 does, its sockets stay), or start it. It is
 * up after stage_open(). Returns when it is so: 0, or -1 with err. */
int stage_popgate(struct stage *stage, bool up, struct err *err);

/* Run a program on the copy, as run_read() does it. Output is to be freed by
 * the caller; NULL with err. */
char *stage_run(struct stage *stage, const char *const *argv, struct err *err);

/* All that was logged so far: by syslog(3), to Postfix's maillog_file, and by
 * popgate-milter. To be freed by the caller; NULL with err. */
char *stage_log(struct stage *stage, struct err *err);

/* The first fatal error of a log, else its first error; else, where last, its
 * last line. false: there is none. Pure. */
bool stage_complaint(const char *log, bool last, char *buf, size_t size);

/* One recipient that popgate decided on. */
struct stage_decision {
	char client[ADDR_TEXT_MAX];
	char sender[256], recipient[256]; /* as SMTP had them, perhaps cut */
	char verdict[32], reason[32], channel[16];
	int64_t count; /* how many it stands for */
};

/* All decisions so far, oldest first: *v_r is to be freed by the caller. Waits
 * until there are at least min of them, or the time is up. Returns how many,
 * or -1 with err. */
int stage_decisions(struct stage *stage, size_t min,
    struct stage_decision **v_r, struct err *err);

/* How often somebody connected to the stand-in at this address, as the
 * configuration writes it ("inet:localhost:11332"); -1: there is none. */
int stage_asked(struct stage *stage, const char *address);

#endif
