/* SPDX-License-Identifier: ISC */
#include "ctl/setup/trial.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/config/config.h"
#include "common/mta/domains.h"
#include "ctl/out.h"

enum { CANDIDATES = 24, NAMES = 4, FILES_MAX = 32 };

/* Clients that the copy's network knows besides itself: addresses of
 * documentation (RFC 5737, RFC 3849), and others for a server that refuses
 * those. */
static const struct {
	const char *stranger[2], *user[2]; /* IPv4, IPv6 */
} people[] = {
	{ { "203.0.113.77", "2001:db8:77::77" },
	    { "198.51.100.77", "2001:db8:78::78" } },
	{ { "62.77.7.77", "2a0b:77::77" }, { "45.77.7.78", "2a0b:78::78" } },
};
enum { PEOPLE = sizeof(people) / sizeof(people[0]) };

static const char foreign[] = "friend@example.net";
static const char foreign_sender[] = "somebody@example.org";

/* --- what is tried --- */

struct trial *
trial_new(struct setup *s, const struct config *cfg, enum stage_mta mta,
    const char *dir, struct err *err)
{
	struct trial *t = calloc(1, sizeof(*t));

	if (t == NULL) {
		err_nomem(err, dir, sizeof(*t));
		return NULL;
	}
	t->s = s;
	t->cfg = cfg;
	t->spec.mta = mta;
	t->spec.dir = dir;
	return t;
}

void
trial_free(struct trial *t)
{
	if (t == NULL)
		return;
	stage_close(&t->stage);
	string_list_release(&t->candidates);
	free(t);
}

void
trial_add_service(struct trial *t, const char *name, bool six)
{
	struct trial_service *v = &t->v[t->n];

	if (t->n == TRIAL_SERVICES_MAX)
		return;
	(void)snprintf(v->name, sizeof(v->name), "%s", name);
	v->six = six;
	t->n++;
}

void
trial_add_domain(struct trial *t, const char *domain, size_t len)
{
	static const char *const names[NAMES] = { "postmaster", "root", "abuse",
		"info" };
	char text[TRIAL_OWN_MAX];

	for (size_t i = 0; i < NAMES; i++) {
		int n = snprintf(
		    text, sizeof(text), "%s@%.*s", names[i], (int)len, domain);

		if (n > 0 && (size_t)n < sizeof(text) &&
		    !string_list_add(&t->candidates, text, (size_t)n))
			t->s->no_memory = true;
	}
}

int
trial_add_domains(struct trial *t, struct err *err)
{
	struct domain_set set;

	if (domains_load(&t->cfg->relay.local_domains, &set, err) == -1)
		return -1;
	for (size_t i = 0;
	     i < set.names.size && t->candidates.n + NAMES < CANDIDATES; i++) {
		const char *name = set.names.slot[i];

		if (name != NULL && *name != '.' && *name != '[' &&
		    strchr(name, '.') != NULL)
			trial_add_domain(t, name, strlen(name));
	}
	domains_release(&set);
	return 0;
}

/* --- the copy --- */

/* The copy of a Postfix has these files in its directory, also where they are
 * links; of others, files are at their own paths. */
static const char *
name_in_copy(const struct trial *t, const char *path, char buf[PATH_MAX])
{
	static const char *const names[] = { "main.cf", "master.cf" };
	char real[PATH_MAX];

	for (size_t i = 0; i < 2 && t->spec.mta == STAGE_POSTFIX; i++) {
		(void)snprintf(buf, PATH_MAX, "%s/%s", t->spec.dir, names[i]);
		if (realpath(buf, real) != NULL && strcmp(real, path) == 0)
			return buf;
	}
	return path;
}

static int
open_copy(struct trial *t, bool planned, struct err *err)
{
	static char names[FILES_MAX][PATH_MAX];
	struct stage_file files[FILES_MAX];
	struct stage_spec spec = t->spec;

	spec.files = files;
	/* before the changes popgate may be wired already */
	spec.popgate = t->cfg;
	for (size_t i = 0; planned && i < t->s->n_files; i++) {
		const struct setup_file *f = &t->s->files[i];

		/* popgate.conf is given as a struct config */
		if (spec.n_files < FILES_MAX && !f->own) {
			const char *path =
			    name_in_copy(t, f->path, names[spec.n_files]);

			files[spec.n_files++] =
			    (struct stage_file){ path, f->after };
		}
	}
	if (!planned)
		spec.n_prepare = 0;
	return stage_open(&spec, &t->stage, err);
}

/* --- one question --- */

static const char *
own_or_any(const struct trial *t)
{
	/* a sender has a domain, "postmaster" has none */
	return strchr(t->own, '@') == NULL ? foreign_sender : t->own;
}

static struct addr
address(const char *text)
{
	struct addr addr;
	bool ok = addr_parse_loose(text, &addr);

	assert(ok);
	(void)ok;
	return addr;
}

static int
say_mail(struct trial *t, const char *const from[2],
    const struct trial_service *v, const char *sender, const char *recipient,
    bool message, struct stage_reply *reply, struct err *err)
{
	const struct stage_mail mail = {
		.sender = sender, .recipient = recipient, .message = message
	};
	struct addr addr = address(from[v->six]);

	return stage_say(t->stage, &addr, v->name, &mail, reply, err);
}

static int
say(struct trial *t, const char *const from[2], const struct trial_service *v,
    const char *sender, const char *recipient, struct stage_reply *reply,
    struct err *err)
{
	return say_mail(t, from, v, sender, recipient, false, reply, err);
}

/* The same after SMTP AUTH. */
static int
say_auth(struct trial *t, const struct trial_service *v,
    struct stage_reply *reply, struct err *err)
{
	const struct stage_mail mail = {
		.sender = own_or_any(t), .recipient = foreign, .user = "popgate"
	};
	struct addr addr = address(people[t->who].stranger[v->six]);

	return stage_say(t->stage, &addr, v->name, &mail, reply, err);
}

static int
log_in(struct trial *t, struct err *err)
{
	for (size_t i = 0; i < 2; i++) {
		struct addr addr = address(people[t->who].user[i]);

		if (stage_login(t->stage, &addr, "popgate", err) == -1)
			return -1;
	}
	return 0;
}

/* Add what was wrong, and with which reply. -1. */
static int
wrong(struct err *err, const struct trial *t, const struct trial_service *v,
    const char *what, const struct stage_reply *r)
{
	err_set(err, ERR_INVALID,
	    "tried on a private copy, %s of %s %s: %d %s (to %s)", v->name,
	    t->spec.dir, what, r->reply.code, r->reply.text,
	    stage_step_name(r->step));
	return -1;
}

/* --- before --- */

/* Find a recipient that the service takes from the people of t->who. */
static int
find_own_at(struct trial *t, const struct trial_service *v, struct err *err)
{
	for (size_t i = 0; i < t->candidates.n && i < CANDIDATES; i++) {
		const char *text = t->candidates.v[i];
		struct stage_reply r;

		if (say(t, people[t->who].stranger, v, foreign_sender, text, &r,
			err) == -1)
			return -1;
		/* what comes before RCPT is the same for whatever recipient */
		if (r.step != STAGE_RCPT)
			break;
		if (!r.accepted)
			continue;
		if (say(t, people[t->who].user, v, foreign_sender, text, &r,
			err) == -1)
			return -1;
		if (!r.accepted)
			break;
		(void)snprintf(t->own, sizeof(t->own), "%s", text);
		break;
	}
	return 0;
}

/* Leave out the services of Sendmail or Exim that the copy can't be asked at,
 * as one whose certificate is where the copy has nothing. 0, or -1 with err
 * when none is left. */
static int
leave_out_silent(struct trial *t, struct err *err)
{
	size_t kept = 0;

	for (size_t i = 0; i < t->n; i++) {
		struct stage_reply r;

		if (say(t, people[0].stranger, &t->v[i], foreign_sender,
			foreign, &r, err) == 0) {
			t->v[kept++] = t->v[i];
			continue;
		}
		(void)fputs(
		    "  not tried, as the copy gives no answer: ", stdout);
		out_text(err->text);
		(void)putchar('\n');
	}
	t->n = kept;
	return kept == 0 ? -1 : 0;
}

static int
find_own(struct trial *t, struct err *err)
{
	for (t->who = 0; t->who < PEOPLE; t->who++)
		for (size_t i = 0; i < t->n; i++) {
			if (find_own_at(t, &t->v[i], err) == -1)
				return -1;
			if (*t->own != '\0')
				return 0;
		}
	t->who = 0;
	return 0;
}

static int
ask_service(struct trial *t, struct trial_service *v, struct err *err)
{
	struct stage_reply r;

	if (*t->own != '\0') {
		if (say(t, people[t->who].stranger, v, foreign_sender, t->own,
			&r, err) == -1)
			return -1;
		v->own = r.accepted;
	}
	if (say(t, people[t->who].stranger, v, foreign_sender, foreign, &r,
		err) == -1)
		return -1;
	v->relays = r.accepted;
	/* RFC 4954 section 6 */
	v->demands_auth = r.step == STAGE_MAIL && r.reply.code == 530;
	if (say(t, people[t->who].user, v, own_or_any(t), foreign, &r, err) ==
	    -1)
		return -1;
	v->login = r.accepted;
	if (say_auth(t, v, &r, err) == -1)
		return -1;
	v->auth = r.accepted;
	return 0;
}

static int
before(struct trial *t, struct err *err)
{
	int ret = open_copy(t, false, err);

	/* a service of Postfix that is silent doesn't run: a reason to stop */
	if (ret == 0 && t->spec.mta != STAGE_POSTFIX)
		ret = leave_out_silent(t, err);
	if (ret == 0)
		ret = find_own(t, err);
	if (ret == 0)
		ret = log_in(t, err);
	for (size_t i = 0; ret == 0 && i < t->n; i++)
		ret = ask_service(t, &t->v[i], err);
	stage_close(&t->stage);
	return ret;
}

/* --- with the changes --- */

/* The stranger's side, whether popgate is up or not. */
static int
ask_stranger(
    struct trial *t, const struct trial_service *v, bool down, struct err *err)
{
	struct stage_reply r;

	if (say(t, people[t->who].stranger, v, foreign_sender, foreign, &r,
		err) == -1)
		return -1;
	if (r.accepted && (!v->relays || (!t->s->monitor && !down)))
		return wrong(err, t, v,
		    down ? "lets a stranger relay while popgate is down"
			 : "lets a stranger relay",
		    &r);
	if (!v->own)
		return 0;
	if (say(t, people[t->who].stranger, v, foreign_sender, t->own, &r,
		err) == -1)
		return -1;
	return r.accepted
	    ? 0
	    : wrong(err, t, v,
		  down ? "refuses our own mail while popgate is down"
		       : "refuses our own mail, which it takes today",
		  &r);
}

/* Where Sendmail or Exim asks for AUTH before it asks anybody about the client,
 * a login is worth as little as before. */
static bool
is_out_of_reach(const struct trial *t, const struct trial_service *v)
{
	return v->demands_auth && t->spec.mta != STAGE_POSTFIX;
}

/* Is the message of a client that has logged in refused behind DATA, though the
 * same one is taken for ourselves? What isn't taken there either may be refused
 * for its text. 0, or -1 with err. */
static int
ask_message(struct trial *t, const struct trial_service *v, struct err *err)
{
	struct stage_reply r, own;

	if (*t->own == '\0' || !v->own)
		return 0;
	if (say_mail(t, people[t->who].user, v, own_or_any(t), foreign, true,
		&r, err) == -1 ||
	    (!r.accepted &&
		say_mail(t, people[t->who].stranger, v, foreign_sender, t->own,
		    true, &own, err) == -1))
		return -1;
	return r.accepted || !own.accepted
	    ? 0
	    : wrong(err, t, v,
		  "refuses the message of a client that has logged in", &r);
}

static int
ask_login(struct trial *t, const struct trial_service *v, struct err *err)
{
	bool want = t->s->monitor ? v->login : true;
	struct stage_reply r;

	if (is_out_of_reach(t, v))
		return 0;
	if (say(t, people[t->who].user, v, own_or_any(t), foreign, &r, err) ==
	    -1)
		return -1;
	if (r.accepted == want)
		return want && !t->s->monitor ? ask_message(t, v, err) : 0;
	return wrong(err, t, v,
	    want ? "refuses a client that has logged in"
		 : "lets a client relay that only monitoring should see",
	    &r);
}

static int
ask_auth(struct trial *t, const struct trial_service *v, struct err *err)
{
	struct stage_reply r;

	if (!v->auth)
		return 0;
	if (say_auth(t, v, &r, err) == -1)
		return -1;
	return r.accepted
	    ? 0
	    : wrong(err, t, v,
		  "refuses a client after SMTP AUTH, which it lets relay today",
		  &r);
}

static int
ask_after(struct trial *t, struct err *err)
{
	if (log_in(t, err) == -1)
		return -1;
	for (size_t i = 0; i < t->n; i++)
		if (ask_stranger(t, &t->v[i], false, err) == -1 ||
		    ask_login(t, &t->v[i], err) == -1 ||
		    ask_auth(t, &t->v[i], err) == -1)
			return -1;
	if (stage_popgate(t->stage, false, err) == -1)
		return -1;
	for (size_t i = 0; i < t->n; i++)
		if (ask_stranger(t, &t->v[i], true, err) == -1)
			return -1;
	return 0;
}

/* Is there a service at which a login can matter? */
static bool
any_asks(const struct trial *t)
{
	for (size_t i = 0; i < t->n; i++)
		if (!is_out_of_reach(t, &t->v[i]))
			return true;
	return false;
}

int
trial_run(struct trial *t, struct err *err)
{
	int ret = t->n == 0 ? 0 : before(t, err);

	if (t->s->own == NULL && *t->own != '\0')
		t->s->own = strdup(t->own);
	if (ret == 0 && t->n > 0 && !any_asks(t)) {
		err_set(err, ERR_INVALID,
		    "tried on a private copy, %s takes no mail of clients without SMTP AUTH: a login could let nobody relay",
		    t->s->mta->title);
		ret = -1;
	}
	if (ret == 0 && t->n > 0)
		ret = open_copy(t, true, err);
	if (ret == 0 && t->n > 0)
		ret = ask_after(t, err);
	stage_close(&t->stage);
	return ret;
}
