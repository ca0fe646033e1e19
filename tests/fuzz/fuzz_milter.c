/* SPDX-License-Identifier: ISC */
/* Sequences of milter packets to a real libmilter in this process, in any
 * order, with any macros. A recipient elsewhere is let through only if the
 * client that was announced last has a login, or the message began with the
 * macros of SMTP AUTH. */
#include <libmilter/mfdef.h>
#include <pthread.h>
#include <stdbool.h>
#include <strings.h>

#include "common/base/listen.h"
#include "milter/callbacks.h"
#include "milter/libmilter/interpose.h"
#include "milter/libmilter/nudge.h"
#include "milter/libmilter/serve.h"
#include "tests/bench/mclient.h"
#include "tests/fuzz/fuzz_gate.h"

enum { REPLY_MS = 20000, STEPS_MAX = 60 };

enum step {
	CONNECT,
	HELO,
	MAIL,
	RCPT,
	DATA,
	EOM,
	ABORT,
	QUIT_NC,
	AUTH_TYPE,
	AUTH_USER,
	MAILER,
	QUEUE_ID,
	FRAME
};

static const char *const clients[] = { STRANGER, FRIEND, NULL,
	"::ffff:203.0.113.9", "2001:db8::1", "127.0.0.1", "192.0.2.10",
	"192.0.2.1 ", "x" };
static const char *const types[] = { NULL, "PLAIN", "", "ANONYMOUS",
	"anonymous" };
static const char *const users[] = { NULL, "al", "" };
static const char *const mailers[] = { NULL, "esmtp", "smtp", "", "error" };
static const char *const recipients[] = { "<b@elsewhere.test>", "<b@lab.test>",
	"b@elsewhere.test", "<b%elsewhere.test@lab.test>",
	"<@lab.test:b@elsewhere.test>", "<>", "", "<elsewhere.test!b>",
	"<\"b@elsewhere.test\"@lab.test>", "<b@elsewhere.test> NOTIFY=NEVER",
	"<b@lab.test@elsewhere.test>" };
static const char *const senders[] = { "<a@elsewhere.test>", "<>",
	"<al@lab.test>", "", "<a@lab.test> SIZE=1" };

#define PICK(list, b) ((list)[(b) % (sizeof(list) / sizeof(*(list)))])

/* May an MTA make this step after that one? libmilter lets others pass without
 * a reply, so that after one of these nothing more is said. */
static bool
follows(enum step before, enum step step)
{
	switch (step) {
	case CONNECT:
		return before == QUIT_NC;
	case HELO:
		return before == CONNECT || before == HELO;
	case MAIL:
		return before == HELO || before == CONNECT || before == EOM ||
		    before == ABORT;
	case RCPT:
		return before == MAIL || before == RCPT;
	case DATA:
		return before == RCPT;
	case EOM:
		return before == DATA;
	default:
		return true;
	}
}

/* The client as an MTA that sent this would know it. */
struct world {
	enum step before;
	const char *client, *type, *user;
	bool authenticated; /* the message */
};

static char listening[100];

static void *
run(void *arg)
{
	(void)arg;
	serve_run();
	fuzz_die("libmilter", "gave up");
}

static void
start(void)
{
	struct listen_spec spec;
	struct gate_config *gc = fuzz_config();
	pthread_t thread;
	struct err err;

	(void)snprintf(
	    listening, sizeof(listening), "unix:%s/milter.sock", fuzz_dir);
	if (listen_parse(listening, &spec, &err) == -1 ||
	    serve_open(callbacks(), &spec, 0600, (gid_t)-1, &err) == -1 ||
	    gate_start(gc, NULL, NULL, &err) == -1 ||
	    nudge_start(&spec, &err) == -1)
		fuzz_die("start", err.text);
	callbacks_limit(1000);
	if (pthread_create(&thread, NULL, run, NULL) != 0)
		fuzz_die("start", "pthread_create");
}

static bool
is_ours(const char *recipient)
{
	return strcmp(recipient, "<b@lab.test>") == 0;
}

/* 1: goes on, 0: the filter has hung up, or the packet has no reply that could
 * be waited for. */
static int
reply_to(struct mclient *mc, struct world *w, enum step step, const char *to)
{
	struct mclient_reply r;

	bool legal = follows(w->before, step);

	if (step < AUTH_TYPE)
		w->before = step;
	if (!mclient_awaits(mc) || !legal)
		return mclient_flush(mc) == 0 && legal;
	if (mclient_reply(mc, &r) == -1)
		return 0;
	if (step != RCPT || r.code != SMFIR_CONTINUE || is_ours(to))
		return 1;
	if (w->authenticated ||
	    (w->client != NULL && strcmp(w->client, FRIEND) == 0))
		return 1;
	(void)fprintf(stderr, "client %s: %s goes through\n",
	    w->client == NULL ? "unknown" : w->client, to);
	abort();
}

static void
begin_message(struct world *w)
{
	w->authenticated = w->type != NULL && *w->type != '\0' &&
	    strcasecmp(w->type, "ANONYMOUS") != 0 && w->user != NULL &&
	    *w->user != '\0';
}

static int
play(struct mclient *mc, struct world *w, enum step step, uint8_t b)
{
	const char *text = "";

	switch (step) {
	case CONNECT:
		w->client = PICK(clients, b);
		w->authenticated = false;
		(void)mclient_connect(mc, "host.test", w->client);
		break;
	case HELO:
		(void)mclient_helo(mc, "h");
		break;
	case MAIL:
		begin_message(w);
		(void)mclient_mail(mc, PICK(senders, b));
		break;
	case RCPT:
		text = PICK(recipients, b);
		(void)mclient_rcpt(mc, text);
		break;
	case DATA:
		(void)mclient_data(mc);
		break;
	case EOM:
		(void)mclient_eom(mc);
		break;
	case ABORT:
		(void)mclient_abort(mc);
		break;
	case QUIT_NC:
		(void)mclient_quit_nc(mc);
		break;
	case AUTH_TYPE:
		w->type = PICK(types, b);
		(void)mclient_macro(mc, "{auth_type}", w->type);
		break;
	case AUTH_USER:
		w->user = PICK(users, b);
		(void)mclient_macro(mc, "{auth_authen}", w->user);
		break;
	case MAILER:
		(void)mclient_macro(mc, "{rcpt_mailer}", PICK(mailers, b));
		break;
	case QUEUE_ID:
		(void)mclient_macro(mc, "i", b & 1 ? "Q1" : NULL);
		break;
	case FRAME:
		/* a packet of any command, which may have no reply */
		(void)mclient_frame(mc, (char)b, "<b@elsewhere.test>\0x", 20);
		(void)mclient_flush(mc);
		return 0;
	}
	return reply_to(mc, w, step, text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool started;
	struct world w = { .before = QUIT_NC }; /* as good as a new one */
	struct mclient_reply r;

	if (!started)
		start();
	started = true;
	if (size < 2 || size > STEPS_MAX)
		return 0;
	struct mclient *mc = mclient_open(listening, REPLY_MS);

	if (mc == NULL)
		fuzz_die(listening, "nobody listens");
	(void)mclient_macro(mc, "j", "mail.lab.test");
	(void)mclient_macro(mc, "v", "Postfix 3.7");
	if (mclient_negotiate(mc, NULL) == 0 && mclient_reply(mc, &r) == 0)
		for (size_t i = 0; i < size; i++)
			if (!play(mc, &w,
				(enum step)((data[i] >> 4) % (FRAME + 1)),
				data[i] & 0xf))
				break;
	mclient_close(&mc);
	return 0;
}
