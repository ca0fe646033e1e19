/* SPDX-License-Identifier: ISC */
#include "ctl/why/daemon.h"

#include <assert.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/config/config.h"
#include "common/daemon/health.h"
#include "common/policy/facts.h"
#include "ctl/ask_daemon.h"
#include "ctl/out.h"

enum {
	/* the daemon asks a table of Postfix's meanwhile */
	NOT_READY_MS = 5000,
	NOT_READY_STEP_MS = 50
};

/* Append "name=value" to the path, every byte but letters and digits encoded
 * (RFC 3986 section 2.1). False: there is no room. */
static bool
add_argument(char path[PROBE_PATH_MAX], const char *name, const char *value)
{
	size_t n = strlen(path);

	if (value == NULL)
		return true;
	if (n + strlen(name) + 3 * strlen(value) + 3 > PROBE_PATH_MAX)
		return false;
	n += (size_t)snprintf(path + n, PROBE_PATH_MAX - n,
	    "%c%s=", strchr(path, '?') == NULL ? '?' : '&', name);
	for (const char *p = value; *p != '\0'; p++)
		n += (size_t)snprintf(path + n, PROBE_PATH_MAX - n,
		    (*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'z') ||
			    (*p >= 'A' && *p <= 'Z')
			? "%c"
			: "%%%02X",
		    (unsigned char)*p);
	return true;
}

static bool
make_path(const struct facts_question *q, char path[PROBE_PATH_MAX])
{
	static const struct certificate none = { .subject = "" };
	const struct certificate *c =
	    q->certificate == NULL ? &none : q->certificate;
	char client[ADDR_TEXT_MAX];
	const struct {
		const char *name, *value;
	} arguments[] = {
		{ "client",
		    q->client.family == ADDR_NONE
			? NULL
			: addr_format(&q->client, client) },
		{ "sender", q->any_sender ? NULL : q->sender },
		{ "recipient", q->recipient },
		{ "mailer", q->mailer },
		{ "auth", q->auth_user },
		{ "subject", c->subject },
		{ "issuer", c->issuer },
		{ "fingerprint", c->fingerprint },
		{ "key", c->public_key },
	};

	(void)snprintf(path, PROBE_PATH_MAX, WOULD_PATH);
	for (size_t i = 0; i < sizeof(arguments) / sizeof(*arguments); i++)
		if (!add_argument(path, arguments[i].name, arguments[i].value))
			return false;
	return true;
}

static bool
find_verdict(const char *text, enum verdict *verdict_r)
{
	char name[40];

	if (!json_find_text(text, "verdict", name, sizeof(name)))
		return false;
	for (size_t v = 0; v < VERDICTS; v++)
		if (strcmp(verdict_name((enum verdict)v), name) == 0) {
			*verdict_r = (enum verdict)v;
			return true;
		}
	return false;
}

static bool
take_answer(const char *text, struct daemon_answer *a)
{
	return find_verdict(text, &a->verdict) &&
	    json_find_text(text, "reason", a->reason, sizeof(a->reason)) &&
	    json_find_number(text, "rule", &a->rule) &&
	    json_find_text(text, "code", a->code, sizeof(a->code)) &&
	    json_find_text(text, "status", a->status, sizeof(a->status)) &&
	    json_find_text(text, "text", a->text, sizeof(a->text));
}

/* No answer came: is the gate itself there? */
static void
note_silence(
    const struct config *cfg, const struct probe *p, struct daemon_answer *a)
{
	struct probe gate;

	probe_listening(cfg->milter.listen, &gate);
	bool hangs = p->hangs || p->pid != 0;

	a->state = p->result == PROBE_BAD && (hangs || gate.result == PROBE_BAD)
	    ? DAEMON_SILENT
	    : DAEMON_UNKNOWN;
	(void)snprintf(a->words, sizeof(a->words), "milter.status %.120s: %s",
	    *cfg->milter.status == '\0' ? "is off" : cfg->milter.status,
	    *cfg->milter.status == '\0' ? "there is nobody to ask" : p->words);
}

void
daemon_ask(const struct config *cfg, const struct facts_question *q,
    struct daemon_answer *a)
{
	static char text[PROBE_TEXT_MAX]; /* large for a stack */
	int64_t until_ms = clock_monotonic_ms() + NOT_READY_MS;
	char path[PROBE_PATH_MAX];
	struct probe p;
	int status;

	*a = (struct daemon_answer){ .state = DAEMON_UNKNOWN };
	if (!make_path(q, path)) {
		(void)snprintf(
		    a->words, sizeof(a->words), "the question is too long");
		return;
	}
	while (
	    (status = probe_page(cfg->milter.status, path, &p, text)) == 500 &&
	    clock_monotonic_ms() < until_ms)
		(void)poll(NULL, 0, NOT_READY_STEP_MS);
	if (status == 0)
		note_silence(cfg, &p, a);
	else if (status == 200 && take_answer(text, a))
		a->state = DAEMON_SAID;
	else
		(void)snprintf(a->words, sizeof(a->words), "milter.status: %s",
		    status == 404 ? "an earlier popgate-milter runs: restart it"
			: status == 500
			? "the MTA's tables of recipients don't answer"
			: "the answer is not popgate-milter's");
}

enum verdict
daemon_verdict(const struct daemon_answer *a, const struct decision *tables)
{
	if (a->state == DAEMON_SAID)
		return a->verdict;
	return a->state == DAEMON_SILENT &&
		reason_basis(tables->reason) == BASIS_LOGIN
	    ? VERDICT_TEMPFAIL
	    : tables->verdict;
}

void
daemon_print(const struct daemon_answer *a, const struct decision *tables)
{
	switch (a->state) {
	case DAEMON_SILENT:
		(void)printf(
		    "popgate-milter does not answer (%s):\n"
		    "until it does, no login opens anything. 'popgatectl status' says more.\n"
		    "By the tables alone:\n",
		    a->words);
		break;
	case DAEMON_UNKNOWN:
		(void)printf("popgate-milter could not be asked (%s).\n"
			     "By the tables alone:\n",
		    a->words);
		break;
	case DAEMON_SAID:
		if (a->verdict == tables->verdict &&
		    strcmp(a->reason, reason_name(tables->reason)) == 0)
			break;
		(void)printf("popgate-milter would answer otherwise now: "
			     "%s (%s, row %" PRId64 ")",
		    verdict_name(a->verdict), a->reason, a->rule);
		if (*a->code != '\0') {
			(void)printf(": %s %s ", a->code, a->status);
			out_text(a->text);
		}
		(void)puts(
		    "\nIt runs as a user of its own, by the configuration it read last and its own\n"
		    "counts: 'popgatectl status' says how it is. By the tables alone:");
		break;
	}
}

void
daemon_json(const struct daemon_answer *a, struct json *j)
{
	static const char *const states[] = { [DAEMON_UNKNOWN] = "unknown",
		[DAEMON_SILENT] = "silent",
		[DAEMON_SAID] = "answers" };
	bool said = a->state == DAEMON_SAID;

	json_open(j, "daemon", '{');
	json_text(j, "state", states[a->state]);
	json_text(j, "error", said ? NULL : a->words);
	json_text(j, "verdict", said ? verdict_name(a->verdict) : NULL);
	json_text(j, "reason", said ? a->reason : NULL);
	if (said)
		json_number(j, "rule", a->rule);
	json_close(j, '}');
}
