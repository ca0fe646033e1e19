/* SPDX-License-Identifier: ISC */
#include "ctl/rehearsal/sendmail.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/addr.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/strings.h"
#include "common/mta/conf_file.h"
#include "common/mta/sendmail_cf.h"
#include "ctl/rehearsal/gateway.h"
#include "ctl/rehearsal/public_suffix.h"
#include "ctl/rehearsal/sendmail_run.h"
#include "ctl/stage/sendmail_copy.h"
#include "ctl/stage/stage.h"

enum { BUDGET_MS = 40000, THOROUGH_MS = 900000, PAIRED_MAX = 40 };

/* --- what there is --- */

/* "Eaf" as "EE a f " */
static void
put_flags(const char *modifiers, char *buf, size_t size)
{
	size_t n = 0;

	for (; *modifiers != '\0' && n + 4 < size; modifiers++) {
		buf[n++] = *modifiers;
		if (*modifiers >= 'A' && *modifiers <= 'Z')
			buf[n++] = *modifiers;
		buf[n++] = ' ';
	}
	buf[n] = '\0';
}

static void
take_door(struct sendmail_run *r, const char *options)
{
	char value[SENDMAIL_WORD_LEN];
	struct sendmail_door *d = &r->door[r->n_doors];
	struct addr addr;

	if (r->n_doors == SENDMAIL_DOORS_MAX)
		return;
	*d = (struct sendmail_door){ .six = false };
	if (sendmail_equate(options, 'F', value, sizeof(value)))
		d->six = strcasecmp(value, "inet6") == 0;
	if (sendmail_equate(options, 'A', value, sizeof(value))) {
		if (strncmp(value, "127.", 4) == 0 ||
		    strcasecmp(value, "localhost") == 0)
			return;
		if (addr_parse_loose(value, &addr)) {
			d->six = addr.family == ADDR_IPV6;
			if (strcmp(value, "::1") == 0 ||
			    strcasecmp(value, "IPv6:::1") == 0)
				return;
		}
	}
	if (!sendmail_equate(options, 'P', value, sizeof(value)))
		(void)snprintf(value, sizeof(value), "25");
	(void)snprintf(d->service, sizeof(d->service), "%.19s", value);
	(void)snprintf(d->name, sizeof(d->name), "Daemon%zu", r->n_doors);
	if (sendmail_equate(options, 'N', value, sizeof(value)))
		(void)snprintf(d->name, sizeof(d->name), "%.59s", value);
	if (sendmail_equate(options, 'M', value, sizeof(value)))
		put_flags(value, d->flags, sizeof(d->flags));
	r->n_doors++;
}

static void
find_doors(struct sendmail_run *r)
{
	bool any = false;

	for (size_t i = 0; i < r->cf.n; i++) {
		const char *options = r->cf.v[i].kind != 'O'
		    ? NULL
		    : sendmail_option(r->cf.v[i].text, "DaemonPortOptions");

		if (options == NULL)
			continue;
		any = true;
		take_door(r, options);
	}
	if (!any)
		take_door(r, "");
}

/* sendmail.mc beside sendmail.cf. m4(1) runs what stands in it, so it must be
 * root's, as the cf. */
static void
find_source(struct sendmail_run *r)
{
	size_t n = strlen(r->spec->file);
	struct stat st;

	if (n < 3 || strcmp(r->spec->file + n - 3, ".cf") != 0)
		return;
	r->mc_path = rehearsal_format("%.*s.mc", (int)(n - 3), r->spec->file);
	if (r->mc_path != NULL && stat(r->mc_path, &st) == 0 &&
	    st.st_uid == 0 && (st.st_mode & 022) == 0)
		r->mc = conf_file_read(r->mc_path);
}

static int
read_cf(struct sendmail_run *r, struct err *err)
{
	char *text = conf_file_read(r->spec->file);

	if (text == NULL) {
		err_set(err, ERR_IO, "%s: %s", r->spec->file, strerror(errno));
		free(text);
		return -1;
	}
	if (!sendmail_cf_parse(text, &r->cf)) {
		err_nomem(err, r->spec->file, 0);
		return -1;
	}
	sendmail_seeds_take(&r->seeds, &r->cf, r->spec->file);
	find_doors(r);
	find_source(r);
	return 0;
}

/* The members of a class that are names, as Sendmail sees them. */
static void
read_class(struct sendmail_run *r, const char *name, struct string_list *list)
{
	const char *const argv[] = { "/bin/sh", "-c",
		"echo \"\\$=$3\" | \"$1\" -C\"$2\" -bt", "sh", r->talk.program,
		r->talk.cf, name, NULL };
	struct err err;
	char *text = stage_run(r->stage, argv, &err), *rest = text;

	for (char *l = strsep(&rest, "\n"); l != NULL;
	     l = strsep(&rest, "\n")) {
		l += strspn(l, "> ");
		if (*l != '[' && *l != '\0' && strchr(l, ' ') == NULL &&
		    strcasecmp(l, "localhost") != 0)
			(void)string_list_add(list, l, strlen(l));
	}
	free(text);
}

/* Does the configuration name a network that holds 203.0.113? */
static bool
is_named(const struct sendmail_run *r, const char *net)
{
	for (size_t i = 0; i < r->seeds.n; i++) {
		const char *word = r->seeds.v[i].word;
		size_t n = strcspn(word, "/");

		if (n > 0 && n <= strlen(net) + 4 &&
		    sendmail_seeds_is_network(word) &&
		    (strncmp(net, word, n) == 0
			    ? net[n] == '.' || net[n] == ':' || net[n] == '\0'
			    : strncmp(net, word, strlen(net)) == 0))
			return true;
	}
	return false;
}

static void
choose_strangers(struct sendmail_run *r)
{
	static const char *const nets[] = { "203.0.113", "198.51.100",
		"192.0.2", "100.66.7", "11.77.7", "203.0.113" };
	size_t i = 0;

	while (i + 1 < sizeof(nets) / sizeof(nets[0]) && is_named(r, nets[i]))
		i++;
	(void)snprintf(r->stranger, sizeof(r->stranger), "%s.50", nets[i]);
	(void)snprintf(r->named, sizeof(r->named), "%s.77", nets[i]);
	r->stranger6 =
	    is_named(r, "IPv6:2001:db8:5") ? "2a0b:77::50" : "2001:db8:5::50";
}

static int
open_copy(struct sendmail_run *r, struct err *err)
{
	const struct stage_spec spec = { .mta = STAGE_SENDMAIL,
		.dir = r->spec->file,
		.program = r->spec->program,
		.popgate = r->spec->popgate };

	if (stage_open(&spec, &r->stage, err) == -1)
		return -1;
	r->talk = (struct sendmail_talk){ .stage = r->stage,
		.program = sendmail_copy_program(r->spec->program),
		.cf = r->spec->file };
	sendmail_run_at(r, &r->door[0]);
	read_class(r, "w", &r->own);
	read_class(r, "m", &r->below);
	choose_strangers(r);
	return 0;
}

/* --- the search --- */

void
sendmail_run_at(struct sendmail_run *r, const struct sendmail_door *door)
{
	r->at = door;
	r->talk.flags = door->flags;
	r->talk.daemon = door->name;
	r->talk.port = door->service;
}

/* Is it shown already, by another door? */
static bool
is_shown(const struct sendmail_run *r, const struct sendmail_try *y)
{
	for (size_t i = 0; i < r->n_holes; i++) {
		const struct sendmail_try *h = &r->hole[i];

		if (h->door != y->door && h->kind == y->kind &&
		    strcmp(h->name, y->name) == 0 &&
		    strcmp(h->helo, y->helo) == 0 &&
		    strcmp(h->sender, y->sender) == 0 &&
		    strcmp(h->recipient, y->recipient) == 0)
			return true;
	}
	return false;
}

static void
flush(struct sendmail_run *r)
{
	const struct sendmail_said *said = r->said;
	struct err err;

	for (size_t i = 0; i < r->n_batch; i++)
		r->asked[i] = sendmail_run_client(&r->batch[i]);
	if (r->n_batch > 0 &&
	    sendmail_talk(&r->talk, r->asked, r->n_batch, r->said, &err) == 0)
		for (size_t i = 0; i < r->n_batch; i++) {
			if (!said[i].accepted || !said[i].leaves ||
			    strstr(said[i].user, "@" SENDMAIL_FOREIGN) == NULL)
				continue;
			r->n_passed++;
			if (!is_shown(r, &r->batch[i]) &&
			    r->n_holes < SENDMAIL_HOLES_MAX)
				r->hole[r->n_holes++] = r->batch[i];
		}
	r->to->tries += r->n_batch;
	progress_tell(&r->progress, NULL, r->to->tries);
	r->n_batch = 0;
}

/* The next try, of a stranger who says nothing in particular. */
static struct sendmail_try *
next(struct sendmail_run *r, enum sendmail_try_kind kind,
    const struct sendmail_seed *seed)
{
	struct sendmail_try *y;

	if (r->n_batch == SENDMAIL_BATCH)
		flush(r);
	y = &r->batch[r->n_batch++];
	*y = (struct sendmail_try){ .kind = kind,
		.seed = seed,
		.door = r->at,
		.helo = "client.popgate-stranger.example",
		.sender = "someone@popgate-stranger.example",
		.recipient = SENDMAIL_VICTIM };
	(void)snprintf(y->address, sizeof(y->address), "%s", r->stranger);
	return y;
}

static void __attribute__((format(printf, 3, 4)))
put(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(buf, size, fmt, ap);
	va_end(ap);
}

/* Recipients that are written as ours, and lead to the foreign domain. */
static void
try_forms(struct sendmail_run *r, const char *domain)
{
	static const char *const forms[] = { "victim%%" SENDMAIL_FOREIGN
					     ".example@%s",
		"@%s:victim@" SENDMAIL_FOREIGN ".example",
		"\"victim@" SENDMAIL_FOREIGN ".example\"@%s",
		"victim@" SENDMAIL_FOREIGN ".example@%s",
		SENDMAIL_FOREIGN ".example!victim@%s",
		"victim+" SENDMAIL_FOREIGN ".example@%s",
		"victim=" SENDMAIL_FOREIGN ".example@%s",
		"victim/" SENDMAIL_FOREIGN ".example@%s",
		"\"victim%%" SENDMAIL_FOREIGN ".example\"@%s" };

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct sendmail_try *y = next(r, TRY_FORM, NULL);

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		put(y->recipient, SENDMAIL_WORD_LEN, forms[i], domain);
#pragma GCC diagnostic pop
	}
}

static bool
has_time(const struct sendmail_run *r)
{
	return clock_monotonic_ms() < r->until_ms;
}

/* Recipients that a rule may make an address of. */
static void
try_gateways(struct sendmail_run *r, const char *domain)
{
	char text[SENDMAIL_WORD_LEN];

	for (size_t i = 0; i < r->cf.n; i++)
		for (int swapped = 0; r->cf.v[i].kind == 'R' && swapped < 2;
		     swapped++)
			if (gateway_rule(r->cf.v[i].text, swapped,
				SENDMAIL_FOREIGN ".example", domain, text,
				sizeof(text))) {
				if (!has_time(r)) {
					r->to->complete = false;
					return;
				}
				struct sendmail_try *y =
				    next(r, TRY_FORM, NULL);

				put(y->recipient, SENDMAIL_WORD_LEN, "%s",
				    text);
				y->rule = r->cf.v[i].line;
			}
}

/* Try names below a word: anybody may have a domain that ends so. */
static void
try_below(
    struct sendmail_run *r, const char *word, const struct sendmail_seed *s)
{
	struct sendmail_try *y;

	if (!is_public_suffix(word) || sendmail_seeds_is_network(word))
		return;
	put(next(r, TRY_PUBLIC, s)->recipient, SENDMAIL_WORD_LEN,
	    "victim@" SENDMAIL_FOREIGN ".%.200s", word);
	y = next(r, TRY_PUBLIC, s);
	put(y->address, sizeof(y->address), "%s", r->named);
	put(y->name, SENDMAIL_WORD_LEN, SENDMAIL_FOREIGN ".%.200s", word);
}

static void
try_ours(struct sendmail_run *r)
{
	put(next(r, TRY_OURS, NULL)->sender, SENDMAIL_WORD_LEN, "%s", "");
	put(next(r, TRY_OURS, NULL)->sender, SENDMAIL_WORD_LEN, "%s",
	    SENDMAIL_VICTIM);
	put(next(r, TRY_OURS, NULL)->helo, SENDMAIL_WORD_LEN, "%s",
	    "localhost");
	put(next(r, TRY_OURS, NULL)->helo, SENDMAIL_WORD_LEN, "%s",
	    "popgate-stranger.example"); /* the sender's */
	for (size_t i = 0; i < r->below.n && i < 4; i++)
		try_below(r, r->below.v[i], NULL);
	for (size_t i = 0, n = 0; i < r->own.n && n < 4; i++) {
		const char *own = r->own.v[i];

		if (strchr(own, '.') == NULL)
			continue;
		n++;

		put(next(r, TRY_OURS, NULL)->sender, SENDMAIL_WORD_LEN,
		    "someone@%.200s", own);
		put(next(r, TRY_OURS, NULL)->sender, SENDMAIL_WORD_LEN,
		    "postmaster@%.200s", own);
		put(next(r, TRY_HELO, NULL)->helo, SENDMAIL_WORD_LEN, "%.200s",
		    own);
		try_forms(r, own);
		try_gateways(r, own);
	}
}

/* A name that only the client's own PTR gives it. */
static void
try_claim(
    struct sendmail_run *r, const struct sendmail_seed *s, const char *before)
{
	struct sendmail_try *y = next(r, TRY_CLAIM, s);

	put(y->address, sizeof(y->address), "%s", r->named);
	put(y->name, SENDMAIL_WORD_LEN, "%s%s", before, s->word);
}

/* A name of class w, which try_ours() stands for. */
static bool
is_own(const struct sendmail_run *r, const struct sendmail_seed *s)
{
	if (s->from != SEED_WORD && s->from != SEED_FILE)
		return false;
	for (size_t i = 0; i < r->own.n; i++)
		if (strcasecmp(r->own.v[i], s->word) == 0)
			return true;
	return false;
}

/* Try this word as anybody may say it: as sender, at HELO, as a domain. */
static void
try_word(struct sendmail_run *r, const struct sendmail_seed *s, bool dotted)
{
	const char *at = strchr(s->word, '@');

	if (sendmail_seeds_is_network(s->word) || strlen(s->word) > 200 ||
	    (strchr(s->word, '.') != NULL) != dotted ||
	    r->n_holes == SENDMAIL_HOLES_MAX || is_own(r, s))
		return;
	if (!has_time(r)) {
		r->to->complete = false;
		return;
	}
	put(next(r, TRY_SENDER, s)->sender, SENDMAIL_WORD_LEN, "%s%s%s",
	    at != NULL ? "" : "someone@", s->word,
	    at != NULL && at[1] == '\0' ? "popgate-stranger.example" : "");
	if (at != NULL)
		return;
	if (dotted) {
		try_claim(r, s, "");
		try_claim(r, s, "client.");
	}
	put(next(r, TRY_SENDER, s)->sender, SENDMAIL_WORD_LEN,
	    "someone@host.%s", s->word);
	put(next(r, TRY_SENDER, s)->sender, SENDMAIL_WORD_LEN,
	    "%s@popgate-stranger.example", s->word);
	put(next(r, TRY_HELO, s)->helo, SENDMAIL_WORD_LEN, "%s", s->word);
	put(next(r, TRY_HELO, s)->helo, SENDMAIL_WORD_LEN, "host.%s", s->word);
}

static void
try_public(struct sendmail_run *r, const struct sendmail_seed *s)
{
	if (s->from != SEED_RULE)
		try_below(r, s->word, s);
	else if (strncmp(s->word, "x.", 2) == 0) /* "$* . com" */
		try_below(r, s->word + 2, s);
}

/* Is a HELO name looked at in a rule? */
static bool
asks_helo(const struct sendmail_run *r)
{
	for (size_t i = 0; i < r->cf.n; i++)
		if (r->cf.v[i].kind == 'R' &&
		    strstr(r->cf.v[i].text, "$&s") != NULL)
			return true;
	return false;
}

/* The last words with an @ or a dot, as senders and as names in HELO. */
static void
try_pairs(struct sendmail_run *r)
{
	const struct sendmail_seed *v[PAIRED_MAX];
	size_t n = 0;

	for (size_t i = r->seeds.n; i-- > 0 && n < PAIRED_MAX;)
		if (strpbrk(r->seeds.v[i].word, ".@") != NULL &&
		    strlen(r->seeds.v[i].word) < 200 &&
		    !sendmail_seeds_is_network(r->seeds.v[i].word))
			v[n++] = &r->seeds.v[i];
	for (size_t h = 0; h < n; h++)
		for (size_t s = 0; s < n; s++) {
			struct sendmail_try *y;

			if (strchr(v[h]->word, '@') != NULL)
				break;
			if (!has_time(r)) {
				r->to->complete = false;
				break;
			}
			y = next(r, TRY_PAIR, v[s]);
			put(y->helo, SENDMAIL_WORD_LEN, "%s", v[h]->word);
			put(y->sender, SENDMAIL_WORD_LEN,
			    strchr(v[s]->word, '@') != NULL ? "%s"
							    : "someone@%s",
			    v[s]->word);
		}
	flush(r);
}

static void
search(struct sendmail_run *r)
{
	r->n_passed = 0;
	(void)next(r, TRY_BASE, NULL);
	flush(r);
	if (r->n_passed > 0)
		return; /* whatever else is said, it is the same hole */
	try_ours(r);
	for (size_t i = 0; i < r->seeds.n; i++)
		try_public(r, &r->seeds.v[i]);
	flush(r);
	/* what the administrator wrote stands at the end; a name that could be
	 * somebody's makes the better story */
	for (size_t i = r->seeds.n; i-- > 0;)
		try_word(r, &r->seeds.v[i], true);
	for (size_t i = r->seeds.n; i-- > 0;)
		try_word(r, &r->seeds.v[i], false);
	flush(r);
	if (r->n_passed == 0 && asks_helo(r))
		try_pairs(r);
}

/* --- by SMTP --- */

/* From now on DNS has this name of that address. */
static void
be_named(struct sendmail_run *r, const struct sendmail_try *y,
    const struct sendmail_door *d, const struct addr *from)
{
	char name[SENDMAIL_WORD_LEN + 1];
	struct err err;
	unsigned hops;
	bool tls;

	(void)snprintf(name, sizeof(name), "%.*s%s", y->kind == TRY_CLAIM,
	    (const char[]){ STAGE_CLAIMS, '\0' }, y->name);
	int fd = *y->name == '\0' ? -1
				  : stage_connect(r->stage, from, name,
					d->service, NULL, 0, &tls, &hops, &err);

	if (fd != -1)
		(void)close(fd);
}

/* *code_r: of the last reply; 0: there was none; may be NULL. */
static bool
takes(struct sendmail_run *r, const struct sendmail_door *d,
    const struct addr *from, const struct stage_mail *mail, int *code_r)
{
	struct stage_reply reply;
	int rc = stage_say(r->stage, from, d->service, mail, &reply, NULL);

	if (code_r != NULL)
		*code_r = rc == 0 ? reply.reply.code : 0;
	return rc == 0 && reply.accepted;
}

/* As postfix_run_is_closed(): what check_data, check_eom or a filter refuses
 * to this client alone is closed. */
static bool
takes_message(struct sendmail_run *r, const struct sendmail_door *d,
    const struct addr *from, const struct stage_mail *rcpt)
{
	struct stage_mail mail = *rcpt;
	struct addr local;
	char own[SENDMAIL_WORD_LEN];
	int code;

	mail.message = true;
	if (takes(r, d, from, &mail, &code) || !smtp_code_decides(code))
		return true;
	mail.user = "someone";
	if (takes(r, d, from, &mail, NULL))
		return false;
	mail.user = NULL;
	if (addr_parse_loose(d->six ? "::1" : "127.0.0.1", &local) &&
	    takes(r, d, &local, &mail, NULL))
		return false;
	put(own, sizeof(own), "postmaster@%.200s",
	    r->own.n > 0 ? r->own.v[0] : "localhost");
	mail.recipient = own;
	return !takes(r, d, from, &mail, NULL);
}

/* 1: accepted, by *door; 0: refused, or no answer. */
static int
say(struct sendmail_run *r, const struct sendmail_try *y,
    const struct sendmail_door **door)
{
	const struct stage_mail mail = { .helo = y->helo,
		.tls = STAGE_TLS_AUTO,
		.sender = y->sender,
		.recipient = y->recipient };
	struct addr from;

	for (size_t i = 0; i < r->n_doors; i++) {
		const struct sendmail_door *d = &r->door[i];

		if (!addr_parse_loose(
			d->six ? r->stranger6 : y->address, &from))
			continue;
		be_named(r, y, d, &from);
		if (takes(r, d, &from, &mail, NULL) &&
		    takes_message(r, d, &from, &mail)) {
			*door = d;
			return 1;
		}
	}
	return 0;
}

/* Open by itself, and a filter alone refuses: what when it is dead? */
static void
report_gate(struct sendmail_run *r, const struct sendmail_try *y)
{
	const struct sendmail_door *d;
	struct err err;

	if (r->spec->popgate == NULL)
		return;
	if (stage_popgate(r->stage, false, &err) == 0 && say(r, y, &d))
		sendmail_run_add(r, "sendmail-milter-accept", r->spec->file, 0,
		    rehearsal_format(
			"With popgate-milter dead, a stranger (%s) on port %s says RCPT TO:<%s>: accepted.",
			y->address, d->service, y->recipient),
		    NULL);
	else
		sendmail_run_add(r, "sendmail-sole-gate", r->spec->file, 0,
		    rehearsal_format(
			"Sendmail's rules refuse nobody; a filter alone does, also with popgate-milter dead."),
		    NULL);
	(void)stage_popgate(r->stage, true, &err);
}

static void
confirm(struct sendmail_run *r)
{
	const struct sendmail_door *d;

	sendmail_run_at(r, &r->door[0]);
	if (r->n_holes > 0)
		sendmail_run_keepers(r);
	for (size_t i = 0; i < r->n_holes; i++)
		if (say(r, &r->hole[i], &d)) {
			sendmail_run_at(r, d);
			sendmail_run_report(r, &r->hole[i], d);
		}
	if (r->n_holes == 1 && r->to->findings.n == 0 &&
	    r->hole[0].kind == TRY_BASE)
		report_gate(r, &r->hole[0]);
}

int
sendmail_rehearse(const struct sendmail_rehearsal_spec *spec,
    struct sendmail_rehearsal *to, struct err *err)
{
	struct sendmail_run *r = calloc(1, sizeof(*r));
	int rc;

	*to = (struct sendmail_rehearsal){ .complete = true };
	if (r == NULL) {
		err_nomem(err, spec->file, sizeof(*r));
		return -1;
	}
	r->spec = spec;
	r->to = to;
	progress_begin(&r->progress, "Sendmail");
	rc = read_cf(r, err);
	/* where strangers can't come in, there is nobody to ask */
	if (rc == 0 && r->n_doors > 0 && (rc = open_copy(r, err)) == 0) {
		r->until_ms = clock_monotonic_ms() +
		    (spec->thorough ? THOROUGH_MS : BUDGET_MS);
		for (size_t i = 0; i < r->n_doors; i++) {
			sendmail_run_at(r, &r->door[i]);
			search(r);
		}
		confirm(r);
		to->complete = to->complete && !r->seeds.cut;
	}
	progress_end(&r->progress);
	stage_close(&r->stage);
	sendmail_cf_release(&r->cf);
	sendmail_seeds_release(&r->seeds);
	string_list_release(&r->own);
	string_list_release(&r->below);
	free(r->mc_path);
	free(r->mc);
	free(r);
	return rc;
}
