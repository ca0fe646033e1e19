/* SPDX-License-Identifier: ISC */
#include "ctl/rehearsal/exim_talk.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "ctl/stage/exim_copy.h"
#include "ctl/stage/stage.h"

enum {
	/* Exim takes ten commands in a session that aren't MAIL, RCPT or DATA
	 * (smtp_accept_max_nonmail) */
	EACH_MAX = 8,
	WORD_LEN = 600
};

#define END "popgate-end"

const char *
exim_try_value(
    const struct exim_talk *t, const struct exim_try *y, enum exim_dim dim)
{
	return t->seeds->v[dim].v[y->v[dim]];
}

/* --- the script that the copy runs --- */

static void
quote(FILE *to, const char *word)
{
	(void)putc('\'', to);
	for (; *word != '\0'; word++)
		(void)fputs(
		    *word == '\'' ? "'\\''" : (char[]){ *word, '\0' }, to);
	(void)fputs("' ", to);
}

static void
put_exim(FILE *to, const struct exim_talk *t)
{
	quote(to, t->program);
	if (t->file != NULL) {
		(void)fputs("-C ", to);
		quote(to, t->file);
	}
}

/* client: "address name" */
static void
begin_session(FILE *to, const struct exim_talk *t, size_t number,
    const char *client, const char *port, const char *known)
{
	const char *name = strchr(client, ' ');
	char addr[ADDR_TEXT_MAX];

	(void)snprintf(
	    addr, sizeof(addr), "%.*s", (int)strcspn(client, " "), client);
	(void)fprintf(to, "echo '" EXIM_TRACE_SESSION "%zu'\n", number);
	put_exim(to, t);
	(void)fprintf(to, EXIM_TRACE_SELECTORS " -oMi %s ", port);
	if (name != NULL) {
		(void)fputs("-oMs ", to);
		quote(to, name + 1);
	}
	if (known != NULL) {
		(void)fputs("-oMai someone -oMaa ", to);
		quote(to, known);
	}
	(void)fprintf(to, "-bh %s 2>&1 >/dev/null <<'" END "'\n", addr);
}

/* "PLAIN\tuser\tpassword" */
static void
put_auth(FILE *to, const char *auth)
{
	char mechanism[20], user[WORD_LEN] = "";
	unsigned char plain[2 * WORD_LEN], out[3 * WORD_LEN];
	const char *tab = strchr(auth, '\t'), *second;
	int n;

	if (tab == NULL || (second = strchr(tab + 1, '\t')) == NULL)
		return;
	(void)snprintf(
	    mechanism, sizeof(mechanism), "%.*s", (int)(tab - auth), auth);
	(void)snprintf(
	    user, sizeof(user), "%.*s", (int)(second - tab - 1), tab + 1);
	if (strcmp(mechanism, "PLAIN") == 0)
		n = snprintf((char *)plain, sizeof(plain), "%c%s%c%s", 0, user,
		    0, second + 1);
	else
		n = snprintf((char *)plain, sizeof(plain), "%s", user);
	(void)EVP_EncodeBlock(out, plain, n);
	(void)fprintf(to, "AUTH %s %s\n", mechanism,
	    *out == '\0' ? "=" : (const char *)out);
	if (strcmp(mechanism, "LOGIN") == 0) {
		(void)EVP_EncodeBlock(out, (const unsigned char *)second + 1,
		    (int)strlen(second + 1));
		(void)fprintf(to, "%s\n", out);
	}
}

static void
put_mail(FILE *to, const char *sender, const char *recipient)
{
	(void)fprintf(
	    to, "MAIL FROM:<%s>\nRCPT TO:<%s>\nRSET\n", sender, recipient);
}

/* Can the second be said in the session of the first? */
static bool
fits(const struct exim_try *a, const struct exim_try *b)
{
	return a->v[EXIM_CLIENT] == b->v[EXIM_CLIENT] &&
	    a->v[EXIM_PORT] == b->v[EXIM_PORT] && a->v[EXIM_AUTH] == 0 &&
	    b->v[EXIM_AUTH] == 0 && a->v[EXIM_HELO] == b->v[EXIM_HELO];
}

bool
exim_try_alone(const struct exim_talk *t, const struct exim_try *y)
{
	return y->v[EXIM_TLS] != 0 ||
	    strncmp(exim_try_value(t, y, EXIM_AUTH), "CRAM-MD5\t", 9) == 0;
}

/* A session up to MAIL; number: as find_session() has it. */
static void
put_hello(FILE *to, const struct exim_talk *t, const struct exim_try *y,
    size_t number)
{
	const char *auth = exim_try_value(t, y, EXIM_AUTH);

	begin_session(to, t, number, exim_try_value(t, y, EXIM_CLIENT),
	    exim_try_value(t, y, EXIM_PORT), NULL);
	(void)fprintf(to, "EHLO %s\n", exim_try_value(t, y, EXIM_HELO));
	if (*auth != '\0')
		put_auth(to, auth);
}

/* End the last session of the script that to writes into *text, and the script.
 * Returns it, to be freed, or NULL when memory was short. */
static char *
end_script(FILE *to, char **text)
{
	(void)fputs(END "\ntrue\n", to);
	if (fclose(to) == 0)
		return *text;
	free(*text);
	return NULL;
}

/* A script up to a size that a stage takes; *done_r: how many are in it. */
static char *
write_script(const struct exim_talk *t, const struct exim_try *v, size_t n,
    size_t *done_r)
{
	char *text = NULL;
	size_t len = 0, i, each = 0;
	FILE *to = open_memstream(&text, &len);

	if (to == NULL)
		return NULL;
	for (i = 0; i < n; i++) {
		bool first =
		    i == 0 || each == EACH_MAX || !fits(&v[i - 1], &v[i]);

		if ((fflush(to) == 0 && len > 24000) || exim_try_alone(t, &v[i]))
			break;
		if (first && i > 0)
			(void)fputs(END "\n", to);
		if (first)
			put_hello(to, t, &v[i], i);
		each = first ? 1 : each + 1;
		put_mail(to, exim_try_value(t, &v[i], EXIM_SENDER),
		    exim_try_value(t, &v[i], EXIM_RECIPIENT));
	}
	*done_r = i;
	return end_script(to, &text);
}

/* --- what came of it --- */

static bool
begins(const char *text, const char *word)
{
	return strncmp(text, word, strlen(word)) == 0;
}

/* Find the next MAIL of this session behind *at, and its RCPT. */
static void
hear(const struct exim_trace *trace, size_t *at, struct exim_heard *h)
{
	const struct exim_said *said = trace->said;
	size_t i = *at;

	while (i < trace->n_said && !begins(said[i].command, "MAIL FROM:") &&
	    !begins(said[i].command, EXIM_TRACE_SESSION))
		i++;
	if (i + 1 >= trace->n_said || !begins(said[i].command, "MAIL FROM:") ||
	    !begins(said[i + 1].command, "RCPT TO:"))
		return;
	*at = i + 2;
	/* 4xx of the connection's end is no answer to RCPT */
	h->answered = said[i + 1].code != 0 && said[i + 1].code != 421;
	h->rcpt = i + 1;
	const struct exim_ran *ran = exim_trace_decided(trace, i + 1);

	/* 250, and into the void */
	h->accepted = said[i + 1].code / 100 == 2 &&
	    (ran == NULL || strcmp(ran->verb, "discard") != 0);
}

static size_t
find_session(const struct exim_trace *trace, size_t number)
{
	char word[60];

	(void)snprintf(word, sizeof(word), EXIM_TRACE_SESSION "%zu", number);
	for (size_t i = 0; i < trace->n_said; i++)
		if (strcmp(trace->said[i].command, word) == 0)
			return i;
	return trace->n_said;
}

static char *
run_script(const struct exim_talk *t, const char *script, struct err *err)
{
	const char *argv[] = { "sh", "-c", script, NULL };

	return stage_run(t->stage, argv, err);
}

/* Run a script, which is freed, and take apart the trace of its dialogues.
 * script: NULL when there was no memory for it. 0, or -1 with err. */
static int
trace_script(const struct exim_talk *t, char *script, struct exim_trace *trace,
    struct err *err)
{
	char *text = NULL;

	if (script == NULL)
		err_nomem(err, "a dialogue", 0);
	else
		text = run_script(t, script, err);
	free(script);
	if (text == NULL)
		return -1;
	if (exim_trace_parse(text, trace))
		return 0;
	exim_trace_release(trace);
	err_nomem(err, "Exim's trace", 0);
	return -1;
}

/* --- by TCP --- */

/* Say it to the copy's daemon. 0, or -1 with err. */
static int
say(const struct exim_talk *t, const struct exim_try *y,
    struct stage_reply *reply, struct err *err)
{
	const char *client = exim_try_value(t, y, EXIM_CLIENT);
	const char *port = strrchr(exim_try_value(t, y, EXIM_PORT), '.');
	const char *auth = exim_try_value(t, y, EXIM_AUTH);
	char user[WORD_LEN] = "", *password;
	struct stage_mail mail = { .helo = exim_try_value(t, y, EXIM_HELO),
		.tls = y->v[EXIM_TLS] != 0 ? STAGE_TLS_START : STAGE_TLS_AUTO,
		.sender = exim_try_value(t, y, EXIM_SENDER),
		.recipient = exim_try_value(t, y, EXIM_RECIPIENT) };
	struct addr from;

	if (*auth != '\0') {
		(void)snprintf(
		    user, sizeof(user), "%s", strchr(auth, '\t') + 1);
		password = strchr(user, '\t');
		*password++ = '\0';
		mail.cram = strncmp(auth, "CRAM-MD5\t", 9) == 0;
		mail.user = user;
		mail.password = password;
	}
	if (!addr_parse_n(client, strcspn(client, " "), &from)) {
		err_set(err, ERR_INVALID, "%s: no address", client);
		return -1;
	}
	return stage_say(
	    t->stage, &from, port == NULL ? "25" : port + 1, &mail, reply, err);
}

int
exim_talk_tcp(
    const struct exim_talk *t, const struct exim_try *y, struct err *err)
{
	const char *auth = exim_try_value(t, y, EXIM_AUTH);
	struct stage_reply reply;

	if (strchr(exim_try_value(t, y, EXIM_CLIENT), ' ') != NULL ||
	    (*auth != '\0' && strncmp(auth, "PLAIN\t", 6) != 0 &&
		strncmp(auth, "CRAM-MD5\t", 9) != 0))
		return 1;
	return say(t, y, &reply, err) == -1 ? -1 : reply.accepted;
}

/* One dialogue with the daemon, whose log has the trace. */
static int
talk_daemon(const struct exim_talk *t, const struct exim_try *y,
    struct exim_trace *trace, struct exim_heard *heard, struct err *err)
{
	static const char mark[] = EXIM_TRACE_SESSION "0\n";
	char *before = stage_log(t->stage, err), *after, *text = NULL;
	struct stage_reply reply;
	size_t len = before == NULL ? 0 : strlen(before), at = 1;

	free(before);
	/* what isn't offered is no answer, and no failure */
	bool said = say(t, y, &reply, err) == 0;

	after = stage_log(t->stage, err);
	if (after == NULL ||
	    asprintf(&text, "%s%s", mark,
		strlen(after) < len ? "" : after + len) == -1)
		text = NULL;
	free(after);
	if (text == NULL || !exim_trace_parse(text, trace))
		return -1;
	hear(trace, &at, heard);
	heard->answered &= said;
	return 0;
}

int
exim_talk(const struct exim_talk *t, const struct exim_try *tries, size_t n,
    struct exim_trace *trace, struct exim_heard *heard, struct err *err)
{
	size_t done = 0, at = 0, from = 0;

	assert(n > 0 && n <= EXIM_TRIES_MAX);
	memset(heard, 0, n * sizeof(*heard));
	if (exim_try_alone(t, &tries[0]))
		return talk_daemon(t, &tries[0], trace, heard, err);
	if (trace_script(t, write_script(t, tries, n, &done), trace, err) == -1)
		return -1;
	for (size_t i = 0; i < done; i++) {
		size_t begin = find_session(trace, i);

		if (begin < trace->n_said) {
			from = begin;
			at = begin + 1;
		}
		heard[i].from = from;
		hear(trace, &at, &heard[i]);
	}
	return 0;
}

int
exim_talk_as(const struct exim_talk *t, const struct exim_client *c,
    struct exim_trace *trace, struct exim_heard *heard, struct err *err)
{
	char *script = NULL;
	size_t len = 0, at = 1;
	FILE *to = open_memstream(&script, &len);

	*heard = (struct exim_heard){ .answered = false };
	if (to == NULL) {
		err_nomem(err, "a dialogue", 0);
		return -1;
	}
	begin_session(
	    to, t, 0, c->client, t->seeds->v[EXIM_PORT].v[0], c->known);
	(void)fputs("EHLO client." EXIM_VICTIM ".example\n", to);
	put_mail(to, c->sender, c->recipient);
	if (trace_script(t, end_script(to, &script), trace, err) == -1)
		return -1;
	hear(trace, &at, heard);
	return 0;
}

int
exim_talk_message(const struct exim_talk *t, const struct exim_try *y,
    struct exim_trace *trace, struct exim_heard *heard, struct err *err)
{
	const char *sender = exim_try_value(t, y, EXIM_SENDER);
	char *script = NULL, date[CLOCK_TEXT_MAX];
	size_t len = 0;
	FILE *to;

	*trace = (struct exim_trace){ .text = NULL };
	*heard = (struct exim_heard){ .answered = false };
	if (exim_try_alone(t, y))
		return 0;
	to = open_memstream(&script, &len);
	if (to == NULL) {
		err_nomem(err, "a message", 0);
		return -1;
	}
	put_hello(to, t, y, 0);
	/* of now: some ACLs refuse what is dated long ago, or tomorrow */
	(void)fprintf(to,
	    "MAIL FROM:<%s>\nRCPT TO:<%s>\nDATA\nFrom: <%s>\nTo: <%s>\n"
	    "Subject: hello\nDate: %s\n"
	    "Message-ID: <1@" EXIM_VICTIM ".example>\n\nhello\n.\nQUIT\n",
	    sender, exim_try_value(t, y, EXIM_RECIPIENT),
	    *sender == '\0' ? "someone@" EXIM_VICTIM ".example" : sender,
	    exim_try_value(t, y, EXIM_RECIPIENT),
	    clock_mail_date(clock_now(), date));
	if (trace_script(t, end_script(to, &script), trace, err) == -1)
		return -1;
	for (size_t i = 0; i < trace->n_said; i++)
		if (strcmp(trace->said[i].command, "DATA") == 0)
			*heard = (struct exim_heard){ .answered = true,
				.accepted = trace->said[i].code / 100 != 5,
				.from = i,
				.rcpt = i };
	return 0;
}

/* --- routes --- */

char *
exim_route(const struct exim_talk *t, const char *sender, const char *recipient,
    struct err *err)
{
	char *script = NULL, *text;
	size_t len = 0;
	FILE *to = open_memstream(&script, &len);

	if (to == NULL)
		return NULL;
	put_exim(to, t);
	(void)fputs("-f ", to);
	quote(to, *sender == '\0' ? "<>" : sender);
	(void)fputs("-bt -- ", to);
	quote(to, recipient);
	(void)fputs("2>&1 </dev/null; true\n", to);
	text = fclose(to) == 0 ? run_script(t, script, err) : NULL;
	free(script);
	return text;
}

/* Does the section of transports give this one the driver smtp? */
static bool
is_smtp(const char *config, const char *name, size_t len)
{
	const char *at = strstr(config, "begin transports");
	bool in = false;

	while (at != NULL && *at != '\0') {
		const char *line = at + strspn(at, " \t");
		size_t n = strcspn(at, "\n");

		at += n + (at[n] == '\n');
		if (begins(line, "begin ") && !begins(line, "begin transports"))
			return false;
		if (strncmp(line, name, len) == 0 && line[len] == ':')
			in = true;
		else if (in && begins(line, "driver")) {
			line += 6 + strspn(line + 6, " =");
			return begins(line, "smtp");
		}
	}
	return false;
}

static bool
is_victims(const char *line, size_t len)
{
	return memmem(line, len, EXIM_VICTIM, strlen(EXIM_VICTIM)) != NULL ||
	    memmem(line, len, "198.51.100.25", 13) != NULL;
}

bool
exim_route_leaves(const char *route, const char *config)
{
	bool victims = false;

	for (const char *at = route; *at != '\0';) {
		size_t n = strcspn(at, "\n");
		const char *transport = memmem(at, n, "transport = ", 12);

		if (*at != ' ') {
			/* of the address, only its domain counts */
			size_t word = strcspn(at, " \n");
			const char *sign = memrchr(at, '@', word);

			victims = sign != NULL &&
			    is_victims(sign, word - (size_t)(sign - at));
			if (victims &&
			    memmem(at, n, "cannot be resolved", 18) != NULL)
				return true;
		} else if (victims && transport != NULL) {
			size_t len = strcspn(transport + 12, ", \n");

			if (is_smtp(config, transport + 12, len))
				return true;
		}
		at += n + (at[n] == '\n');
	}
	return false;
}
