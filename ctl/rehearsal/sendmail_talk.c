/* SPDX-License-Identifier: ISC */
#include "ctl/rehearsal/sendmail_talk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "ctl/stage/stage.h"

/* A request of the stage is no longer than 32 KiB. */
enum { INPUT_MAX = 20000 };

/* Does it hold a byte that would be a line, or a macro, of its own? */
static bool
is_plain(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == '$' || *text == 0x7f)
			return false;
	return true;
}

static void
put_domain(FILE *to, const char *address)
{
	const char *at = strrchr(address, '@');

	(void)fprintf(to, ".D{mail_addr}%s\n.D{mail_host}%s.\n", address,
	    at == NULL ? "" : at + 1);
}

/* Set the macros as Sendmail would have set them when it gets to RCPT. */
static void
put_client(
    FILE *to, const struct sendmail_talk *t, const struct sendmail_client *c)
{
	(void)fprintf(to, ".D{client_addr}%s\n", c->address);
	if (c->name == NULL)
		(void)fprintf(to,
		    ".D{client_name}[%s]\n.D_[%s]\n.D{client_resolve}FAIL\n.D{client_ptr}[%s]\n",
		    c->address, c->address, c->address);
	else
		(void)fprintf(to,
		    ".D{client_name}%s\n.D_%s [%s]%s\n.D{client_resolve}%s\n.D{client_ptr}%s\n",
		    c->name, c->name, c->address,
		    c->claimed ? " (may be forged)" : "",
		    c->claimed ? "FORGED" : "OK", c->name);
	(void)fprintf(to,
	    ".Drsmtp\n.Ds%s\n.Df%s\n.D{deliveryMode}q\n.D{daemon_flags}%s\n.D{daemon_name}%s\n.D{daemon_port}%s\n",
	    c->helo, c->sender, t->flags, t->daemon, t->port);
	put_domain(to, c->sender);
	(void)fprintf(to, ".D{auth_type}%s\n.D{auth_authen}%s\n",
	    c->user == NULL ? "" : "PLAIN", c->user == NULL ? "" : c->user);
}

static bool
client_is_plain(const struct sendmail_client *c)
{
	return is_plain(c->recipient) && is_plain(c->sender) &&
	    is_plain(c->helo) && (c->name == NULL || is_plain(c->name));
}

/* Its status is that of the last address that it couldn't parse. */
static char *
run(const struct sendmail_talk *t, const char *input, struct err *err)
{
	const char *const argv[] = { "/bin/sh", "-c",
		"printf '%s' \"$3\" | \"$1\" -C\"$2\" -bt 2>&1 || :", "sh",
		t->program, t->cf, input, NULL };

	return stage_run(t->stage, argv, err);
}

/* Ask about as many clients as fit; how many, or 0 with err. */
static size_t
talk_some(const struct sendmail_talk *t, const struct sendmail_client *v,
    size_t n, struct sendmail_said *said, struct err *err)
{
	char *input = NULL, *output;
	size_t len = 0, i;
	FILE *to = open_memstream(&input, &len);

	if (to == NULL) {
		err_nomem(err, t->cf, 0);
		return 0;
	}
	for (i = 0; i < n && (i == 0 || ftell(to) < INPUT_MAX); i++) {
		if (!client_is_plain(&v[i])) {
			/* an answer that is none keeps the order */
			(void)fputs("check_rcpt <>\n/parse <>\n", to);
			continue;
		}
		put_client(to, t, &v[i]);
		(void)fprintf(to, "check_rcpt <%s>\n/parse %s\n",
		    v[i].recipient, v[i].recipient);
	}
	if (fclose(to) != 0) {
		free(input);
		err_nomem(err, t->cf, 0);
		return 0;
	}
	output = run(t, input, err);
	free(input);
	if (output == NULL)
		return 0;
	sendmail_talk_parse(output, said, i);
	free(output);
	return i;
}

int
sendmail_talk(const struct sendmail_talk *t, const struct sendmail_client *v,
    size_t n, struct sendmail_said *said, struct err *err)
{
	memset(said, 0, n * sizeof(*said));
	for (size_t done = 0; done < n;) {
		size_t some =
		    talk_some(t, v + done, n - done, said + done, err);

		if (some == 0)
			return -1;
		done += some;
	}
	return 0;
}

/* "$# error $@ 5.7.1 $: ..." and "$# discard" send nothing. */
static bool
accepts(const char *result)
{
	result += strspn(result, " ");
	if (strncmp(result, "$#", 2) != 0)
		return true;
	result += 2;
	result += strspn(result, " ");
	return strncmp(result, "error", 5) != 0 &&
	    strncmp(result, "discard", 7) != 0;
}

/* "mailer esmtp, host x, user y@z" */
static void
take_route(const char *text, struct sendmail_said *said)
{
	static const char *const here[] = { "local,", "prog,", "*file*,",
		"*include*,", "error,", "discard,", "cyrus", "procmail," };
	const char *user = strstr(text, "user ");

	for (size_t i = 0; i < sizeof(here) / sizeof(here[0]); i++)
		if (strncmp(text, here[i], strlen(here[i])) == 0)
			return;
	if (user == NULL)
		return;
	said->leaves = true;
	(void)snprintf(said->user, sizeof(said->user), "%s", user + 5);
}

void
sendmail_talk_parse(char *text, struct sendmail_said *said, size_t n)
{
	static const char check[] = "check_rcpt";
	size_t at = 0; /* one more than that which is spoken of */

	for (char *l = strsep(&text, "\n"); l != NULL;
	     l = strsep(&text, "\n")) {
		l += strspn(l, "> ");
		if (strncmp(l, check, strlen(check)) == 0) {
			char *word = l + strlen(check);

			word += strspn(word, " ");
			if (strncmp(word, "input:", 6) == 0) {
				at += at < n + 1;
			} else if (strncmp(word, "returns: ", 9) == 0 &&
			    at > 0 && at <= n && !said[at - 1].answered) {
				said[at - 1].answered = true;
				said[at - 1].accepted = accepts(word + 9);
			}
		} else if (strncmp(l, "mailer ", 7) == 0 && at > 0 && at <= n) {
			take_route(l + 7, &said[at - 1]);
		}
	}
}

size_t
sendmail_talk_parse_trace(char *text, unsigned *lines, size_t max)
{
	static const char trying[] = "-----trying rule (line ";
	static const char matches[] = "-----rule matches:";
	unsigned line = 0;
	size_t n = 0;

	for (char *l = strsep(&text, "\n"); l != NULL && n < max;
	     l = strsep(&text, "\n")) {
		if (strncmp(l, trying, strlen(trying)) == 0)
			line = (unsigned)strtoul(l + strlen(trying), NULL, 10);
		else if (strncmp(l, matches, strlen(matches)) == 0 && line != 0)
			lines[n++] = line;
	}
	return n;
}

size_t
sendmail_talk_trace(const struct sendmail_talk *t,
    const struct sendmail_client *c, unsigned *lines, size_t max,
    struct err *err)
{
	char *input = NULL, *output;
	size_t len = 0, n;
	FILE *to = open_memstream(&input, &len);

	if (to == NULL)
		return 0;
	put_client(to, t, c);
	(void)fprintf(to, "-d21.15\ncheck_rcpt <%s>\n", c->recipient);
	if (fclose(to) != 0) {
		free(input);
		return 0;
	}
	output = run(t, input, err);
	free(input);
	if (output == NULL)
		return 0;
	n = sendmail_talk_parse_trace(output, lines, max);
	free(output);
	return n;
}
