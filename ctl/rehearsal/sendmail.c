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
#include "ctl/rehearsal/sendmail_cause.h"
#include "ctl/rehearsal/sendmail_seeds.h"
#include "ctl/rehearsal/sendmail_talk.h"
#include "ctl/stage/sendmail_copy.h"
#include "ctl/stage/stage.h"

#define STRANGER "203.0.113.50"
#define NAMED "203.0.113.77" /* a stranger with a name of his own */
#define STRANGER6 "2001:db8:5::50"
#define FOREIGN "popgate-elsewhere" /* no domain of anybody's */
#define VICTIM "victim@" FOREIGN ".example"

enum {
	BUDGET_MS = 40000,
	BATCH = 128,
	HOLES_MAX = 24, /* to be confirmed by SMTP */
	DOORS_MAX = 16,
	KEEP_MAX = 10,
	WORD_LEN = 300
};

enum try_kind {
	TRY_BASE,
	TRY_FORM,
	TRY_OURS,
	TRY_SENDER,
	TRY_HELO,
	TRY_PUBLIC
};

struct
try {
	enum try_kind kind;
	const struct sendmail_seed *seed; /* NULL: none */
	char address[ADDR_TEXT_MAX], name[WORD_LEN], helo[WORD_LEN],
	    sender[WORD_LEN], recipient[WORD_LEN];
};

/* Where strangers come in. */
struct door {
	char service[20];
	bool six;
	char flags[40]; /* as {daemon_flags} has them */
};

struct rehearsal {
	const struct sendmail_rehearsal_spec *spec;
	struct sendmail_rehearsal *to;
	struct stage *stage;
	struct sendmail_talk talk;
	struct sendmail_cf cf;
	struct sendmail_seeds seeds;
	struct string_list own; /* class w */
	struct door door[DOORS_MAX];
	size_t n_doors;
	char *mc_path, *mc; /* the source; NULL: isn't there */
	int64_t until_ms;
	struct try batch[BATCH];
	struct sendmail_client asked[BATCH];
	struct sendmail_said said[BATCH];
	size_t n_batch;
	struct try hole[HOLES_MAX];
	size_t n_holes;
	struct sendmail_client keep[KEEP_MAX];
	size_t n_keep;
};

/* --- findings --- */

static char *__attribute__((format(printf, 1, 2))) format(const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) == -1)
		text = NULL;
	va_end(ap);
	return text;
}

/* Takes over detail and fix. */
static void
add(struct rehearsal *r, const char *kind, const char *file, unsigned line,
    char *detail, char *fix)
{
	struct sendmail_finding *v = detail == NULL
	    ? NULL
	    : reallocarray(r->to->v, r->to->n + 1, sizeof(*v));

	if (v == NULL) {
		free(detail);
		free(fix);
		return;
	}
	r->to->v = v;
	v[r->to->n++] = (struct sendmail_finding){ .kind = kind,
		.file = strdup(file),
		.line = line,
		.detail = detail,
		.fix = fix };
}

void
sendmail_rehearsal_release(struct sendmail_rehearsal *r)
{
	for (size_t i = 0; i < r->n; i++) {
		free(r->v[i].file);
		free(r->v[i].detail);
		free(r->v[i].fix);
	}
	free(r->v);
	*r = (struct sendmail_rehearsal){ .n = 0 };
}

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
take_door(struct rehearsal *r, const char *options)
{
	char value[WORD_LEN];
	struct door *d = &r->door[r->n_doors];
	struct addr addr;

	if (r->n_doors == DOORS_MAX)
		return;
	*d = (struct door){ .six = false };
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
	if (sendmail_equate(options, 'M', value, sizeof(value)))
		put_flags(value, d->flags, sizeof(d->flags));
	r->n_doors++;
}

static void
find_doors(struct rehearsal *r)
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
find_source(struct rehearsal *r)
{
	size_t n = strlen(r->spec->file);
	struct stat st;

	if (n < 3 || strcmp(r->spec->file + n - 3, ".cf") != 0)
		return;
	r->mc_path = format("%.*s.mc", (int)(n - 3), r->spec->file);
	if (r->mc_path != NULL && stat(r->mc_path, &st) == 0 &&
	    st.st_uid == 0 && (st.st_mode & 022) == 0)
		r->mc = conf_file_read(r->mc_path);
}

static int
read_cf(struct rehearsal *r, struct err *err)
{
	char *text = conf_file_read(r->spec->file);

	if (text == NULL) {
		err_set(err, ERR_IO, "%s: %s", r->spec->file, strerror(errno));
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

/* The members of class w, as Sendmail sees it. */
static void
find_own(struct rehearsal *r)
{
	const char *const argv[] = { "/bin/sh", "-c",
		"echo '$=w' | \"$1\" -C\"$2\" -bt", "sh", r->talk.program,
		r->talk.cf, NULL };
	struct err err;
	char *text = stage_run(r->stage, argv, &err), *rest = text;

	for (char *l = strsep(&rest, "\n"); l != NULL;
	     l = strsep(&rest, "\n")) {
		l += strspn(l, "> ");
		if (*l != '[' && strchr(l, '.') != NULL &&
		    strchr(l, ' ') == NULL)
			(void)string_list_add(&r->own, l, strlen(l));
	}
	free(text);
}

static int
open_copy(struct rehearsal *r, struct err *err)
{
	const struct stage_spec spec = { .mta = STAGE_SENDMAIL,
		.dir = r->spec->file,
		.program = r->spec->program,
		.popgate = r->spec->popgate };

	if (stage_open(&spec, &r->stage, err) == -1)
		return -1;
	r->talk = (struct sendmail_talk){ .stage = r->stage,
		.program = sendmail_copy_program(r->spec->program),
		.cf = r->spec->file,
		.flags = r->n_doors == 0 ? "" : r->door[0].flags };
	find_own(r);
	return 0;
}

/* --- the search --- */

static struct sendmail_client
client_of(const struct try *y)
{
	return (struct sendmail_client){ .address = y->address,
		.name = *y->name == '\0' ? NULL : y->name,
		.helo = y->helo,
		.sender = y->sender,
		.recipient = y->recipient };
}

static void
flush(struct rehearsal *r)
{
	const struct sendmail_said *said = r->said;
	struct err err;

	for (size_t i = 0; i < r->n_batch; i++)
		r->asked[i] = client_of(&r->batch[i]);
	if (r->n_batch > 0 &&
	    sendmail_talk(&r->talk, r->asked, r->n_batch, r->said, &err) == 0)
		for (size_t i = 0; i < r->n_batch; i++)
			if (said[i].accepted && said[i].leaves &&
			    strstr(said[i].user, "@" FOREIGN) != NULL &&
			    r->n_holes < HOLES_MAX)
				r->hole[r->n_holes++] = r->batch[i];
	r->to->tries += r->n_batch;
	r->n_batch = 0;
}

/* The next try, of a stranger who says nothing in particular. */
static struct try *
next(struct rehearsal *r, enum try_kind kind, const struct sendmail_seed *seed)
{
	struct try *y;

	if (r->n_batch == BATCH)
		flush(r);
	y = &r->batch[r->n_batch++];
	*y = (struct try){ .kind = kind,
		.seed = seed,
		.address = STRANGER,
		.helo = "client.popgate-stranger.example",
		.sender = "someone@popgate-stranger.example",
		.recipient = VICTIM };
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
try_forms(struct rehearsal *r, const char *domain)
{
	static const char *const forms[] = { "victim%%" FOREIGN ".example@%s",
		"@%s:victim@" FOREIGN ".example",
		"\"victim@" FOREIGN ".example\"@%s",
		"victim@" FOREIGN ".example@%s", FOREIGN ".example!victim@%s",
		"\"victim%%" FOREIGN ".example\"@%s" };

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct try *y = next(r, TRY_FORM, NULL);

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		put(y->recipient, WORD_LEN, forms[i], domain);
#pragma GCC diagnostic pop
	}
}

static void
try_ours(struct rehearsal *r)
{
	put(next(r, TRY_OURS, NULL)->sender, WORD_LEN, "%s", "");
	put(next(r, TRY_OURS, NULL)->sender, WORD_LEN, "%s", VICTIM);
	put(next(r, TRY_OURS, NULL)->helo, WORD_LEN, "%s", "localhost");
	for (size_t i = 0; i < r->own.n && i < 4; i++) {
		const char *own = r->own.v[i];

		put(next(r, TRY_OURS, NULL)->sender, WORD_LEN, "someone@%.200s",
		    own);
		put(next(r, TRY_OURS, NULL)->sender, WORD_LEN,
		    "postmaster@%.200s", own);
		put(next(r, TRY_HELO, NULL)->helo, WORD_LEN, "%.200s", own);
		try_forms(r, own);
	}
}

static bool
has_time(const struct rehearsal *r)
{
	return clock_monotonic_ms() < r->until_ms;
}

/* A name of class w, which try_ours() stands for. */
static bool
is_own(const struct rehearsal *r, const struct sendmail_seed *s)
{
	if (s->from != SEED_WORD && s->from != SEED_FILE)
		return false;
	for (size_t i = 0; i < r->own.n; i++)
		if (strcasecmp(r->own.v[i], s->word) == 0)
			return true;
	return false;
}

/* Whoever says this word. */
static void
try_word(struct rehearsal *r, const struct sendmail_seed *s, bool dotted)
{
	const char *at = strchr(s->word, '@');

	if (sendmail_seeds_is_network(s->word) || strlen(s->word) > 200 ||
	    (strchr(s->word, '.') != NULL) != dotted ||
	    r->n_holes == HOLES_MAX || is_own(r, s))
		return;
	if (!has_time(r)) {
		r->to->complete = false;
		return;
	}
	put(next(r, TRY_SENDER, s)->sender, WORD_LEN,
	    at != NULL ? "%s" : "someone@%s", s->word);
	if (at != NULL)
		return;
	put(next(r, TRY_SENDER, s)->sender, WORD_LEN, "someone@host.%s",
	    s->word);
	put(next(r, TRY_SENDER, s)->sender, WORD_LEN,
	    "%s@popgate-stranger.example", s->word);
	put(next(r, TRY_HELO, s)->helo, WORD_LEN, "%s", s->word);
	put(next(r, TRY_HELO, s)->helo, WORD_LEN, "host.%s", s->word);
}

/* Whose domain ends so: anybody's may. */
static void
try_public(struct rehearsal *r, const struct sendmail_seed *s)
{
	struct try *y;

	if (s->from == SEED_RULE || !sendmail_seeds_is_public(s->word) ||
	    sendmail_seeds_is_network(s->word))
		return;
	put(next(r, TRY_PUBLIC, s)->recipient, WORD_LEN,
	    "victim@" FOREIGN ".%.200s", s->word);
	y = next(r, TRY_PUBLIC, s);
	put(y->address, sizeof(y->address), "%s", NAMED);
	put(y->name, WORD_LEN, FOREIGN ".%.200s", s->word);
}

static void
search(struct rehearsal *r)
{
	(void)next(r, TRY_BASE, NULL);
	flush(r);
	if (r->n_holes > 0)
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
}

/* --- by SMTP --- */

/* From now on DNS has this name of that address. */
static void
be_named(struct rehearsal *r, const struct try *y, const struct door *d,
    const struct addr *from)
{
	struct err err;
	bool tls;
	int fd = *y->name == '\0' ? -1
				  : stage_connect(r->stage, from, y->name,
					d->service, NULL, 0, &tls, &err);

	if (fd != -1)
		(void)close(fd);
}

/* 1: accepted, by *door; 0: refused, or no answer. */
static int
say(struct rehearsal *r, const struct try *y, const struct door **door)
{
	struct stage_mail mail = { .helo = y->helo,
		.tls = STAGE_TLS_AUTO,
		.sender = y->sender,
		.recipient = y->recipient };
	struct stage_reply reply;
	struct addr from;
	struct err err;

	for (size_t i = 0; i < r->n_doors; i++) {
		const struct door *d = &r->door[i];

		if (!addr_parse_loose(d->six ? STRANGER6 : y->address, &from))
			continue;
		be_named(r, y, d, &from);
		if (stage_say(r->stage, &from, d->service, &mail, &reply,
			&err) == 0 &&
		    reply.accepted) {
			*door = d;
			return 1;
		}
	}
	return 0;
}

/* --- cause and cure --- */

/* Those who must stay: our own mail, this machine, who has a password, and
 * trusted addresses; as far as they are accepted now. */
static void
find_keepers(struct rehearsal *r)
{
	struct sendmail_client all[KEEP_MAX];
	struct sendmail_said said[KEEP_MAX];
	static char own[WORD_LEN];
	struct err err;
	size_t n = 0;

	for (size_t i = 0; i < 3; i++)
		all[n++] = (struct sendmail_client){ .address = STRANGER,
			.helo = "client.popgate-stranger.example",
			.sender = "someone@popgate-stranger.example",
			.recipient = VICTIM };
	if (r->own.n > 0) {
		(void)snprintf(
		    own, sizeof(own), "postmaster@%.200s", r->own.v[0]);
		all[0].recipient = own;
	}
	all[1].address = "127.0.0.1";
	all[1].name = "localhost";
	all[2].user = "someone";
	for (size_t i = 0; i < r->seeds.n && n < KEEP_MAX; i++) {
		struct addr addr;

		if (!addr_parse_loose(r->seeds.v[i].word, &addr))
			continue;
		all[n] = all[2];
		all[n].user = NULL;
		all[n++].address = r->seeds.v[i].word;
	}
	if (sendmail_talk(&r->talk, all, n, said, &err) == -1)
		return;
	for (size_t i = 0; i < n; i++)
		if (said[i].accepted)
			r->keep[r->n_keep++] = all[i];
}

/* Does the hole close by this configuration, and all stay who are to? */
static bool
cures(const struct rehearsal *r, const struct sendmail_talk *other,
    const struct try *hole)
{
	struct sendmail_client all[KEEP_MAX + 1];
	struct sendmail_said said[KEEP_MAX + 1];
	struct err err;

	for (size_t i = 0; i < r->n_keep; i++)
		all[i] = r->keep[i];
	all[r->n_keep] = client_of(hole);
	if (sendmail_talk(other, all, r->n_keep + 1, said, &err) == -1)
		return false;
	for (size_t i = 0; i < r->n_keep; i++)
		if (!said[i].accepted)
			return false;
	return said[r->n_keep].answered && !said[r->n_keep].accepted;
}

static const char *
restart(const struct rehearsal *r)
{
	return strncmp(r->spec->file, "/etc/mail/", 10) == 0
	    ? "make -C /etc/mail && /etc/init.d/sendmail restart"
	    : "# make sendmail.cf from sendmail.mc as ever, and restart Sendmail";
}

/* Where a hole is, and what closes it. */
struct place {
	const char *file;
	unsigned line;
	char *fix;
	const char *text; /* what stands there; NULL: not told */
};

/* FEATUREs that open a Sendmail, for holes whose rules are its own. */
static const char *const features[] = { "promiscuous_relay", "relay_local_from",
	"relay_mail_from", "loose_relay_check", "relay_entire_domain",
	"relay_based_on_MX" };

/* Without one of these the hole is closed. */
static bool
place_feature(struct rehearsal *r, const struct try *hole, struct place *p)
{
	struct sendmail_talk other;

	for (size_t i = 0;
	     r->mc != NULL && i < sizeof(features) / sizeof(features[0]); i++) {
		unsigned line;
		char word[60];

		(void)snprintf(word, sizeof(word), "`%s'", features[i]);
		line = sendmail_cause_mc_line(r->mc, word);
		if (line == 0 ||
		    !sendmail_cause_make(
			&r->talk, r->mc_path, &line, 1, &other) ||
		    !cures(r, &other, hole))
			continue;
		p->file = r->mc_path;
		p->line = line;
		p->text = features[i];
		p->fix = format(
		    "# in %s: take FEATURE(`%s') out (line %u), then\n%s",
		    p->file, features[i], line, restart(r));
		return true;
	}
	return false;
}

static void
place_rules(struct rehearsal *r, const struct try *hole,
    const struct sendmail_cause *c, const struct sendmail_talk *other,
    struct place *p)
{
	unsigned lines[SENDMAIL_CAUSE_RULES];
	bool source = r->mc != NULL, cured = cures(r, other, hole);
	char list[200] = "";
	size_t at = 0;

	for (size_t i = 0; i < c->n_rules; i++) {
		char *text = NULL;

		lines[i] = 0;
		for (size_t j = 0; j < r->cf.n; j++)
			if (r->cf.v[j].line == c->rules[i] &&
			    (text = format("R%s", r->cf.v[j].text)) != NULL)
				break;
		if (text != NULL && r->mc != NULL)
			lines[i] = sendmail_cause_mc_line(r->mc, text);
		free(text);
		source = source && lines[i] != 0;
	}
	p->file = source ? r->mc_path : r->spec->file;
	p->line = source ? lines[0] : c->rules[0];
	for (size_t i = 0; i < c->n_rules; i++)
		at += (size_t)snprintf(list + at, sizeof(list) - at, "%s%u",
		    i == 0 ? "" : ", ", source ? lines[i] : c->rules[i]);
	if (!cured)
		return;
	p->fix = source
	    ? format("# in %s: take out line%s %s, then\n%s", p->file,
		  c->n_rules == 1 ? "" : "s", list, restart(r))
	    : format(
		  "# take the rule%s of %s, line%s %s, out of the sendmail.mc that it is made from, then\n%s",
		  c->n_rules == 1 ? "" : "s", p->file,
		  c->n_rules == 1 ? "" : "s", list, restart(r));
}

/* An entry of a file, or a word of a line of the cf, which is made from the
 * mc. */
static void
place_entry(struct rehearsal *r, const struct try *hole,
    const struct sendmail_seed *s, const struct sendmail_talk *other,
    struct place *p)
{
	unsigned line = 0;

	if (s->from == SEED_WORD && r->mc != NULL)
		line = sendmail_cause_mc_line(r->mc, s->word);
	p->file = line != 0 ? r->mc_path : s->file;
	p->line = line != 0 ? line : s->line;
	p->text = s->word;
	if (!cures(r, other, hole))
		return;
	if (s->from == SEED_WORD)
		p->fix = format("# in %s, line %u: take %s out%s, then\n%s",
		    p->file, p->line, s->word,
		    line != 0 ? "" : " of the sendmail.mc that it is made from",
		    restart(r));
	else if (s->from == SEED_MAP && strcmp(s->type, "text") != 0)
		p->fix = format("sed -i %ud %s && makemap %s %s < %s", s->line,
		    s->file, s->type, s->file, s->file);
	else
		p->fix = format("sed -i %ud %s && /etc/init.d/sendmail restart",
		    s->line, s->file);
}

static const char *
kind_of(const struct rehearsal *r, const struct try *y,
    const struct sendmail_cause *c)
{
	switch (y->kind) {
	case TRY_BASE:
		return c->own ? "sendmail-rule-open" : "sendmail-promiscuous";
	case TRY_FORM:
		return "sendmail-recipient-routed";
	case TRY_PUBLIC:
		return "sendmail-relay-domains-all";
	case TRY_HELO:
		return "sendmail-helo-rule";
	case TRY_OURS:
		return c->own ? "sendmail-sender-rule" : "sendmail-local-from";
	case TRY_SENDER:
		break;
	}
	(void)r;
	if (c->entry != NULL && c->entry->from == SEED_MAP && !c->own)
		return "sendmail-sender-permits";
	return "sendmail-sender-rule";
}

static char *
describe(const struct try *y, const struct door *d, const struct place *p)
{
	char cause[WORD_LEN] = "";

	if (p->text != NULL)
		(void)snprintf(cause, sizeof(cause),
		    " Without \"%.200s\" there, the copy refuses.", p->text);
	else if (p->line != 0)
		(void)snprintf(cause, sizeof(cause),
		    " Without this rule the copy refuses.");
	return format(
	    "A stranger (%s%s%s) on port %s says EHLO %s, MAIL FROM:<%s>, RCPT TO:<%s>: accepted, and it would leave.%s",
	    d->six ? STRANGER6 : y->address, *y->name == '\0' ? "" : ", ",
	    y->name, d->service, y->helo, y->sender, y->recipient, cause);
}

static void
report(struct rehearsal *r, const struct try *y, const struct door *d)
{
	const struct sendmail_client client = client_of(y);
	struct place p = { .file = r->spec->file };
	struct sendmail_cause c;
	struct sendmail_talk other;
	const char *kind;

	if (!sendmail_cause_find(
		&r->talk, &r->cf, &client, y->seed, &c, &other))
		(void)place_feature(r, y, &p);
	else if (c.entry != NULL)
		place_entry(r, y, c.entry, &other, &p);
	else if (c.own || !place_feature(r, y, &p))
		place_rules(r, y, &c, &other, &p);
	kind = kind_of(r, y, &c);
	for (size_t i = 0; i < r->to->n; i++)
		if (strcmp(r->to->v[i].kind, kind) == 0 &&
		    strcmp(r->to->v[i].file, p.file) == 0 &&
		    r->to->v[i].line == p.line) {
			free(p.fix);
			return; /* the same, said in another way */
		}
	add(r, kind, p.file, p.line, describe(y, d, &p), p.fix);
}

/* Open by itself, and a filter alone refuses: what when it is dead? */
static void
report_gate(struct rehearsal *r, const struct try *y)
{
	const struct door *d;
	struct err err;

	if (r->spec->popgate == NULL || r->n_doors == 0)
		return;
	if (stage_popgate(r->stage, false, &err) == 0 && say(r, y, &d))
		add(r, "sendmail-milter-accept", r->spec->file, 0,
		    format(
			"With popgate-milter dead, a stranger (%s) on port %s says RCPT TO:<%s>: accepted.",
			y->address, d->service, y->recipient),
		    NULL);
	else
		add(r, "sendmail-sole-gate", r->spec->file, 0,
		    format(
			"Sendmail's rules refuse nobody; a filter alone does, also with popgate-milter dead."),
		    NULL);
	(void)stage_popgate(r->stage, true, &err);
}

static void
confirm(struct rehearsal *r)
{
	const struct door *d;

	if (r->n_holes > 0)
		find_keepers(r);
	for (size_t i = 0; i < r->n_holes; i++)
		if (say(r, &r->hole[i], &d))
			report(r, &r->hole[i], d);
	if (r->n_holes == 1 && r->to->n == 0 && r->hole[0].kind == TRY_BASE)
		report_gate(r, &r->hole[0]);
}

int
sendmail_rehearse(const struct sendmail_rehearsal_spec *spec,
    struct sendmail_rehearsal *to, struct err *err)
{
	struct rehearsal *r = calloc(1, sizeof(*r));
	int rc = -1;

	*to = (struct sendmail_rehearsal){ .complete = true };
	if (r == NULL) {
		err_nomem(err, spec->file, sizeof(*r));
		return -1;
	}
	r->spec = spec;
	r->to = to;
	if (read_cf(r, err) == 0 && open_copy(r, err) == 0) {
		r->until_ms = clock_monotonic_ms() +
		    (spec->budget_ms == 0 ? BUDGET_MS : spec->budget_ms);
		search(r);
		confirm(r);
		to->complete = to->complete && !r->seeds.cut;
		rc = 0;
	}
	stage_close(&r->stage);
	sendmail_cf_release(&r->cf);
	sendmail_seeds_release(&r->seeds);
	string_list_release(&r->own);
	free(r->mc_path);
	free(r->mc);
	free(r);
	return rc;
}
