/* SPDX-License-Identifier: ISC */
/* stage_shell - a private copy of a mail server (ctl/stage/stage.h) for tests:
 * opens it, does what each line of standard input says, and answers each by a
 * JSON object on a line.
 *
 *	stage_shell MTA DIR POPGATE_CONF|- [COMMAND]...
 *
 * COMMAND is run on the copy before it starts; words are split at tabs, or at
 * spaces where there is no tab. Lines:
 *	say CLIENT SERVICE SENDER|<> RECIPIENT [USER [PASSWORD]]
 *	login CLIENT		popgate up|down		asked ADDRESS
 *	decisions MIN		log			run COMMAND */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/json.h"
#include "common/config/config.h"
#include "ctl/stage/stage.h"

enum { WORDS = 64 };

static struct json json;

static void
failed(const struct err *err)
{
	json_text(&json, "error", err->text);
}

static size_t
split(char *text, const char **words)
{
	const char *gaps = strchr(text, '\t') == NULL ? " \n" : "\t\n";
	char *save = NULL;
	size_t n = 0;

	for (char *w = strtok_r(text, gaps, &save); w != NULL && n < WORDS;
	     w = strtok_r(NULL, gaps, &save))
		words[n++] = w;
	words[n] = NULL;
	return n;
}

static struct addr
address(const char *text)
{
	struct addr addr = { 0 };

	if (text == NULL || !addr_parse_n(text, strlen(text), &addr))
		fprintf(stderr, "stage_shell: '%s' is no address\n", text);
	return addr;
}

static void
say(struct stage *stage, const char **w)
{
	const struct addr from = address(w[1]);
	const struct stage_mail mail = {
		.sender = strcmp(w[3], "<>") == 0 ? "" : w[3],
		.recipient = w[4],
		.user = w[5],
		.password = w[5] == NULL ? NULL : w[6],
	};
	struct stage_reply reply;
	struct err err;

	if (stage_say(stage, &from, w[2], &mail, &reply, &err) == -1) {
		failed(&err);
		return;
	}
	json_text(&json, "step", stage_step_name(reply.step));
	json_number(&json, "code", reply.reply.code);
	json_text(&json, "status", reply.reply.status);
	json_text(&json, "text", reply.reply.text);
	json_bool(&json, "accepted", reply.accepted);
	json_bool(&json, "tls", reply.tls);
}

static void
decisions(struct stage *stage, const char **w)
{
	struct stage_decision *v;
	struct err err;
	int n =
	    stage_decisions(stage, (size_t)strtoul(w[1], NULL, 10), &v, &err);

	if (n == -1)
		failed(&err);
	json_open(&json, "decisions", '[');
	for (int i = 0; i < n; i++) {
		json_open(&json, NULL, '{');
		json_text(&json, "client", v[i].client);
		json_text(&json, "sender", v[i].sender);
		json_text(&json, "recipient", v[i].recipient);
		json_text(&json, "verdict", v[i].verdict);
		json_text(&json, "reason", v[i].reason);
		json_text(&json, "channel", v[i].channel);
		json_number(&json, "count", v[i].count);
		json_close(&json, '}');
	}
	json_close(&json, ']');
	free(v);
}

static void
text(const char *key, char *value, const struct err *err)
{
	if (value == NULL)
		failed(err);
	else
		json_text(&json, key, value);
	free(value);
}

static void
obey(struct stage *stage, char *line)
{
	const char *w[WORDS + 1] = { 0 };
	size_t n = split(line, w);
	struct err err = { 0 };

	if (n >= 5 && strcmp(w[0], "say") == 0) {
		say(stage, w);
	} else if (n == 2 && strcmp(w[0], "login") == 0) {
		const struct addr client = address(w[1]);

		if (stage_login(stage, &client, "alice", &err) == -1)
			failed(&err);
	} else if (n == 2 && strcmp(w[0], "popgate") == 0) {
		if (stage_popgate(stage, strcmp(w[1], "up") == 0, &err) == -1)
			failed(&err);
	} else if (n == 2 && strcmp(w[0], "decisions") == 0) {
		decisions(stage, w);
	} else if (n == 2 && strcmp(w[0], "asked") == 0) {
		json_number(&json, "asked", stage_asked(stage, w[1]));
	} else if (n == 1 && strcmp(w[0], "log") == 0) {
		text("log", stage_log(stage, &err), &err);
	} else if (n >= 2 && strcmp(w[0], "run") == 0) {
		text("output", stage_run(stage, w + 1, &err), &err);
	} else {
		json_text(&json, "error", "not understood");
	}
}

static void
answer_begin(void)
{
	json = (struct json){ .to = stdout };
	json_open(&json, NULL, '{');
}

static void
answer_end(void)
{
	json_close(&json, '}');
	json_line(&json);
	(void)fflush(stdout);
}

int
main(int argc, char **argv)
{
	static const char *words[WORDS][WORDS + 1];
	const char *const *prepare[WORDS];
	struct stage_spec spec = { .prepare = prepare };
	struct config *cfg = NULL;
	struct stage *stage;
	struct err err;
	char *line = NULL;
	size_t size = 0;

	if (argc < 4 || argc > WORDS)
		return 64;
	spec.mta = strcmp(argv[1], "sendmail") == 0 ? STAGE_SENDMAIL
	    : strcmp(argv[1], "exim") == 0          ? STAGE_EXIM
						    : STAGE_POSTFIX;
	spec.program = getenv("STAGE_PROGRAM");
	spec.dir = argv[2];
	spec.milter = getenv("STAGE_MILTER");
	if (strcmp(argv[3], "-") != 0 &&
	    config_load(argv[3], &cfg, &err) == -1) {
		fprintf(stderr, "stage_shell: %s\n", err.text);
		return 78;
	}
	spec.popgate = cfg;
	for (int i = 4; i < argc; i++) {
		(void)split(argv[i], words[i]);
		prepare[spec.n_prepare++] = words[i];
	}
	answer_begin();
	if (stage_open(&spec, &stage, &err) == -1)
		failed(&err);
	answer_end();
	while (stage != NULL && getline(&line, &size, stdin) != -1) {
		answer_begin();
		obey(stage, line);
		answer_end();
	}
	free(line);
	stage_close(&stage);
	config_free(cfg);
	return 0;
}
