/* SPDX-License-Identifier: ISC */
/* wiring - what connects the mail server of this machine, for the running
 * configuration: commands for the one that is here (postfix.h, sendmail.h,
 * exim.h), else the tested texts of etc/, built in, with the sockets in place.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/listen.h"
#include "ctl/commands.h"
#include "ctl/wiring/check.h"
#include "ctl/wiring/exim.h"
#include "ctl/wiring/postfix.h"
#include "ctl/wiring/sendmail.h"
#include "ctl/wiring/sendmail_load.h"

enum { OPT_SOLE_GATE, OPT_SOCKETMAP, OPT_CONFIG_DIR, OPT_DIFF, OPT_CHECK };

static const struct ctl_option options[] = {
	[OPT_SOLE_GATE] = { "sole-gate", NULL,
	    "an open MTA behind the milter "
	    "alone: DANGEROUS" },
	[OPT_SOCKETMAP] = { "socketmap", NULL,
	    "Postfix: by socketmap instead "
	    "of the policy channel" },
	[OPT_CONFIG_DIR] = { "config-dir", "PATH",
	    "where its configuration is, if it is elsewhere" },
	[OPT_DIFF] = { "diff", NULL,
	    "what would change, as a patch, instead of commands" },
	[OPT_CHECK] = { "check", NULL,
	    "ask the running mail server, on every service" },
	{ 0 },
};

/* A file of this tree as a string; the compiler runs at its top. */
/* NOLINTBEGIN: strings are joined here */
#define BUILT_IN(name, file)                                          \
	__asm__(".pushsection .rodata\n" #name ":\n\t.incbin \"" file \
		"\"\n\t.byte 0\n"                                     \
		".popsection\n");                                     \
	extern const char name[]
/* NOLINTEND */

BUILT_IN(wiring_postfix_closed, "etc/postfix/closed.cf");
BUILT_IN(wiring_postfix_socketmap, "etc/postfix/closed-socketmap.cf");
BUILT_IN(wiring_postfix_sole_gate, "etc/postfix/sole-gate.cf");

enum { SOCKETS = 3 };

/* A socket's name in the texts, and the name that is to replace it. */
struct socket {
	const char *sample;
	const char *key;
	const char *value; /* of the configuration */
	char text[400];
};

static int
format_socket(const struct ctl *ctl, bool postfix, struct socket *s)
{
	struct listen_spec spec;
	struct err err;

	if (*s->value == '\0') {
		(void)snprintf(s->text, sizeof(s->text), "%s", s->sample);
		return 0;
	}
	if (listen_parse(s->value, &spec, &err) == -1)
		return ctl_fail(ctl, EX_CONFIG, "%s: %s", s->key, err.text);
	if (!postfix || spec.is_unix)
		listen_for_libmilter(&spec, s->text);
	else
		(void)snprintf(s->text, sizeof(s->text),
		    strchr(spec.host, ':') == NULL ? "inet:%s:%u"
						   : "inet:[%s]:%u",
		    spec.host, spec.port);
	return 0;
}

/* Print text with the sockets of the configuration. */
static void
print(const char *text, const struct socket *sockets)
{
	while (*text != '\0') {
		const struct socket *s = sockets;
		size_t n = strcspn(text, "u");

		if (n > 0) {
			(void)fwrite(text, 1, n, stdout);
			text += n;
			continue;
		}
		while (s < sockets + SOCKETS &&
		    strncmp(text, s->sample, strlen(s->sample)) != 0)
			s++;
		if (s == sockets + SOCKETS) {
			(void)putchar(*text++);
			continue;
		}
		(void)fputs(s->text, stdout);
		text += strlen(s->sample);
	}
}

static int
need(const struct ctl *ctl, const struct socket *s)
{
	if (*s->value != '\0')
		return 0;
	return ctl_fail(ctl, EX_CONFIG,
	    "this wiring needs %s, and %s doesn't "
	    "set it; add %s = \"%s\"",
	    s->key, ctl->defaults ? "the built-in default" : ctl->config_path,
	    s->key, s->sample);
}

/* Print what an admin who pastes the general lines has to know. */
static void
warn(const struct ctl *ctl, bool postfix, bool sole, bool map)
{
	if (sole)
		(void)ctl_fail(ctl, 0,
		    "DANGER: these lines make the mail "
		    "server an open relay that only popgate-milter guards; "
		    "the closed wiring does the same for your users without "
		    "that");
	if (postfix && map && !sole && ctl->cfg->relay.n_certificates > 0)
		(void)ctl_fail(ctl, 0,
		    "note: relay.certificates: Postfix doesn't tell a "
		    "socketmap the client's certificate: see the lines on "
		    "certificates below, or use the policy channel");
}

static int
run(struct ctl *ctl, const struct ctl_args *args)
{
	bool postfix = strcmp(args->v[0], "postfix") == 0;
	bool sole = args->opt[OPT_SOLE_GATE] != NULL;
	bool map = args->opt[OPT_SOCKETMAP] != NULL;
	int rc = ctl_config(ctl);

	if (strcmp(args->v[0], "exim") == 0 && !sole && !map)
		return rc != 0 ? rc
			       : wiring_exim(ctl, args->opt[OPT_CONFIG_DIR],
				     args->opt[OPT_DIFF] != NULL);
	if (!postfix && strcmp(args->v[0], "sendmail") != 0)
		return ctl_fail(ctl, EX_USAGE,
		    "'%.100s' is not a mail server "
		    "that can be wired so: expected postfix, sendmail, or "
		    "exim without --sole-gate and --socketmap",
		    args->v[0]);
	if (rc != 0)
		return rc;
	if (args->opt[OPT_CHECK] != NULL)
		return wiring_check(ctl, args->v[0], args->opt[OPT_CONFIG_DIR]);
	struct socket sockets[SOCKETS] = {
		{ .sample = "unix:/run/popgate/milter.sock",
		    .key = "milter.listen",
		    .value = ctl->cfg->milter.listen },
		{ .sample = "unix:/run/popgate/policy.sock",
		    .key = "permit.policy",
		    .value = ctl->cfg->permit.policy },
		{ .sample = "unix:/run/popgate/socketmap.sock",
		    .key = "permit.socketmap",
		    .value = ctl->cfg->permit.socketmap },
	};

	if (postfix && !sole && !map && *sockets[1].value == '\0' &&
	    *sockets[2].value != '\0')
		map = true;
	rc = need(ctl, &sockets[0]);
	if (rc == 0 && !sole)
		rc = need(ctl, &sockets[postfix && !map ? 1 : 2]);
	for (int i = 0; i < SOCKETS && rc == 0; i++)
		rc = format_socket(ctl, postfix, &sockets[i]);
	if (rc != 0)
		return rc;
	if (postfix && !sole && !map) {
		rc = wiring_postfix(ctl,
		    &(struct wiring_sockets){ .milter = ctl->cfg->milter.listen,
			.policy = ctl->cfg->permit.policy },
		    args->opt[OPT_CONFIG_DIR], args->opt[OPT_DIFF] != NULL);
		if (rc != -1)
			return rc;
		(void)ctl_fail(ctl, 0,
		    "note: there is no Postfix with a configuration here: "
		    "these are the general lines for main.cf");
	}
	if (!postfix && !sole) {
		rc = wiring_sendmail(ctl,
		    &(struct sendmail_sockets){ .milter = sockets[0].text,
			.socketmap = sockets[2].text },
		    args->opt[OPT_CONFIG_DIR], args->opt[OPT_DIFF] != NULL);
		if (rc != -1)
			return rc;
	}
	warn(ctl, postfix, sole, map);
	print(postfix  ? sole ? wiring_postfix_sole_gate
		     : map    ? wiring_postfix_socketmap
			      : wiring_postfix_closed
		: sole ? sendmail_sole_gate_m4
		       : sendmail_closed_m4,
	    sockets);
	return 0;
}

const struct command cmd_wiring = {
	.name = "wiring",
	.args = "postfix|sendmail|exim [--config-dir PATH] [--check | --diff]",
	.summary = "what connects the mail server of this machine",
	.help =
	    "Commands for sh, each with its reason, for the sockets of the "
	    "configuration. The MTA\nstays closed and asks popgate which "
	    "clients may relay; the milter is the second lock.\nWhat is there stays: "
	    "other checks, other milters. --sole-gate opens the MTA and\n"
	    "leaves only the milter to guard it: without that the machine is "
	    "an open relay.\n"
	    "Exit status of --check, 0: each service asks popgate, 1: one doesn't or gave no\n"
	    "answer, 2: one is an open relay.\n",
	.options = options,
	.words = "postfix sendmail exim",
	.min = 1,
	.max = 1,
	.run = run,
};
