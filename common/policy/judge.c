/* SPDX-License-Identifier: ISC */
#include "common/policy/judge.h"

#include <assert.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/grammar/exe.h"
#include "common/grammar/guess.h"
#include "common/grammar/parse.h"
#include "common/grammar/prefix.h"
#include "common/policy/facts.h"

struct judge {
	const struct config *cfg;
	bool any_age; /* no login is too old */
	struct parser *parser, *direct;
	struct network_set own;
	uid_t *tellers; /* who may tell logins, besides root */
	size_t tellers_n;
	struct prefix_clock clock;
	char scratch[PREFIX_SCRATCH];
};

/* The ids of collector.login_users: looked up once, so that no login waits for
 * a directory service. */
static int
set_tellers(struct judge *j, struct err *err)
{
	const struct string_list *names = &j->cfg->collector.login_users;
	char where[CONFIG_WHERE_MAX];

	j->tellers = calloc(names->n + 1, sizeof(*j->tellers));
	if (j->tellers == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return -1;
	}
	for (size_t i = 0; i < names->n; i++) {
		const struct passwd *pw = getpwnam(names->v[i]);

		if (pw == NULL) {
			err_set(err, ERR_INVALID, "there is no user %s",
			    names->v[i]);
			err_locate(err,
			    config_where(
				j->cfg, "collector.login_users", where));
			return -1;
		}
		j->tellers[j->tellers_n++] = pw->pw_uid;
	}
	return 0;
}

/* collector.tags, up to one without a tag; NULL: out of memory. */
static struct parser_tag *
new_tags(const struct config *cfg)
{
	struct parser_tag *tags;
	size_t n = 0;

	for (size_t i = 0; i < cfg->collector.n_tags; i++)
		n += cfg->collector.tags[i].tags.n;
	tags = calloc(n + 1, sizeof(*tags));
	n = 0;
	for (size_t i = 0; tags != NULL && i < cfg->collector.n_tags; i++) {
		const struct config_tags *t = &cfg->collector.tags[i];

		for (size_t k = 0; k < t->tags.n; k++)
			tags[n++] = (struct parser_tag){ t->server,
				t->tags.v[k], t->where };
	}
	return tags;
}

int
judge_new(const struct config *cfg, const struct judge_replay *replay,
    struct judge **j_r, struct err *err)
{
	bool servers = replay != NULL && replay->servers != NULL;
	const struct string_list *names =
	    servers ? replay->servers : &cfg->collector.servers;
	struct judge *j = calloc(1, sizeof(*j));
	struct parser_custom *custom =
	    calloc(cfg->collector.n_custom + 1, sizeof(*custom));
	struct parser_tag *tags = new_tags(cfg);
	struct parser_options options = {
		.tags = tags,
		.servers = (const char *const *)names->v,
		.servers_n = names->n,
		.custom = custom,
		.custom_n = cfg->collector.n_custom,
		.only_root = exe_only_root,
		.nginx_file = replay != NULL && replay->nginx_file,
	};
	char where[CONFIG_WHERE_MAX];
	int ret = -1;

	*j_r = NULL;
	if (j == NULL || custom == NULL || tags == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		goto out;
	}
	j->cfg = cfg;
	j->any_age = replay != NULL;
	while (tags[options.tags_n].tag != NULL)
		options.tags_n++;
	if (!servers && names->n > 0)
		options.servers_where =
		    config_where(cfg, "collector.servers", where);
	for (size_t i = 0; i < cfg->collector.n_custom; i++)
		custom[i] =
		    (struct parser_custom){ cfg->collector.custom[i].program,
			    cfg->collector.custom[i].pattern,
			    cfg->collector.custom[i].where,
			    cfg->collector.custom[i].unit,
			    cfg->collector.custom[i].stream };
	if (parser_new(&options, &j->parser, err) == -1)
		goto out;
	options.bare_lines = true;
	if (parser_new(&options, &j->direct, err) == -1 ||
	    (replay == NULL && set_tellers(j, err) == -1))
		goto out;
	*j_r = j;
	j = NULL;
	ret = 0;
out:
	free(custom);
	free(tags);
	judge_free(&j);
	return ret;
}

void
judge_free(struct judge **j)
{
	if (*j == NULL)
		return;
	parser_free(&(*j)->parser);
	parser_free(&(*j)->direct);
	network_set_release(&(*j)->own);
	free((*j)->tellers);
	free(*j);
	*j = NULL;
}

bool
judge_set_own(struct judge *j, const struct network_set *own)
{
	struct network_set copy = { 0 };

	for (size_t i = 0; i < own->n; i++) {
		if (!network_set_add(&copy, &own->v[i])) {
			network_set_release(&copy);
			return false;
		}
	}
	network_set_release(&j->own);
	j->own = copy;
	return true;
}

struct pairs *
judge_pairs(const struct judge *j, bool direct)
{
	return parser_pairs(direct ? j->direct : j->parser);
}

void
judge_date(
    const struct judge *j, struct judged *judged, int64_t at, int64_t now)
{
	/* a clock that is ahead must not hand out a longer lease */
	judged->ahead_s = at > now ? at - now : 0;
	judged->login.at = at - judged->ahead_s;
	assert(judged->login.at <= now);
	judged->expires_at = judged->login.at + j->cfg->logins.window_s;
	judged->session_until = judged->login.at + j->cfg->logins.session_max_s;
}

/* A session counts only where its login does. */
static void
judge_session(const struct judge *j, const struct login_session *session,
    int64_t now, struct judged *out)
{
	if (!j->cfg->logins.sessions || session->kind == SESSION_NONE)
		return;
	if (session->kind == SESSION_BEGIN) {
		if (out->fate == FATE_LOGIN)
			out->session = *session;
		return;
	}
	if (session->at < now - j->cfg->logins.keep_s)
		return;
	out->session = *session;
	if (out->session.at > now)
		out->session.at = now;
	out->session_until = out->session.at + j->cfg->logins.window_s;
}

static void
judge_login(const struct judge *j, const struct login *login, int64_t now,
    struct judged *out)
{
	const struct config *cfg = j->cfg;

	out->fate = facts_refused_address(cfg, &j->own, &login->client);
	if (out->fate == FATE_NONE && !j->any_age &&
	    login->at < now - cfg->logins.keep_s)
		out->fate = FATE_TOO_OLD;
	if (out->fate != FATE_NONE)
		return;
	out->fate = FATE_LOGIN;
	out->login = *login;
	judge_date(j, out, login->at, now);
	out->net = network_of(&out->login.client,
	    out->login.client.family == ADDR_IPV6
		? (uint8_t)cfg->relay.ipv6_prefix
		: 32);
}

static bool
may_speak(const struct judge *j, const struct line_message *m)
{
	const struct parse_origin sender = {
		.uid = m->uid, .comm = m->comm, .exe = m->exe, .unit = m->unit
	};
	/* trusted as little as a person, who may only speak for programs that
	 * are no servers; a journal always knows the user */
	static const struct parse_origin unknown = { .uid = INT32_MAX };
	bool known = !m->doubtful && m->uid >= 0;

	return parser_may_speak(
	    j->parser, m->program, known ? &sender : &unknown);
}

static bool
may_tell(const struct judge *j, int64_t uid)
{
	for (size_t i = 0; i < j->tellers_n; i++)
		if (j->tellers[i] == uid)
			return true;
	return uid == 0;
}

/* A login that a server tells: first who sent it, then what every login
 * needs. */
static void
judge_told(const struct judge *j, const struct line_told *told, int64_t now,
    struct judged *out)
{
	const struct login_datagram *t = &told->told;
	struct login login = { .at = now };

	out->server = "post-login";
	if (!may_tell(j, told->uid)) {
		out->fate = FATE_FORGED;
		return;
	}
	if (!told->good || !login_datagram_server_good(t->server)) {
		out->fate = FATE_NO_PREFIX;
		return;
	}
	out->fate = parse_user(t->user, strlen(t->user), login.user);
	if (out->fate == FATE_LOGIN && !login_datagram_service_good(t->service))
		out->fate = FATE_OTHER_SERVICE;
	if (out->fate == FATE_LOGIN &&
	    !addr_parse_n(t->client, strlen(t->client), &login.client))
		out->fate = FATE_BAD_ADDRESS;
	if (out->fate != FATE_LOGIN)
		return;
	(void)snprintf(login.service, sizeof(login.service), "%s", t->service);
	(void)snprintf(login.server, sizeof(login.server), "%s", t->server);
	judge_login(j, &login, now, out);
}

void
judge_line(struct judge *j, const struct line *line, bool direct, int64_t now,
    struct judged *out)
{
	const struct line_message *m = line->message;
	struct parse_result result;

	assert(m == NULL || line->told == NULL);
	out->fate = FATE_NONE;
	out->server = "";
	out->session.kind = SESSION_NONE;
	out->ahead_s = 0;
	out->year_guessed = out->zone_assumed = false;
	if (line->told != NULL) {
		judge_told(j, line->told, now, out);
		return;
	}
	parser_source(
	    direct ? j->direct : j->parser, line->outputs, &line->zone);
	if (line->too_long) {
		if (m == NULL)
			parser_skip(direct ? j->direct : j->parser);
		out->fate = FATE_TOO_LONG;
		return;
	}
	if (m == NULL) {
		parser_line(direct ? j->direct : j->parser, line->text,
		    line->len, now, &result);
	} else if (!may_speak(j, m)) {
		/* no grammar may see it: it could spoil the pair that a
		 * two-line server has opened */
		out->server = m->program;
		out->fate = FATE_FORGED;
		return;
	} else {
		parser_message(j->parser, m->host, m->program, m->pid,
		    m->delivery, m->msg, m->msg_len, m->at, &result);
	}
	out->server = result.server == NULL ? "" : result.server;
	out->fate = result.fate;
	out->year_guessed = result.year_guessed;
	out->zone_assumed = result.zone_assumed;
	if (result.fate == FATE_LOGIN)
		judge_login(j, &result.login, now, out);
	judge_session(j, &result.session, now, out);
}

void
judge_guess(
    struct judge *j, const struct line *line, bool direct, struct judged *out)
{
	const struct line_message *m = line->message;
	struct prefix prefix;
	const char *server = NULL;

	if (line->told != NULL || line->too_long || line->len > PREFIX_LINE_MAX)
		return;
	if (out->fate == FATE_NO_PREFIX) {
		if (guess_words(span_of(line->text, line->len)))
			out->fate = FATE_UNKNOWN_PREFIX;
		return;
	}
	if (out->fate != FATE_OTHER_PROGRAM)
		return;
	if (m != NULL)
		server = guess_server(span_of(m->program, strlen(m->program)),
		    span_of(m->msg, m->msg_len));
	else if (prefix_split(line->text, line->len, direct, &prefix,
		     j->scratch) == PREFIX_OK)
		server = guess_server(prefix.program, prefix.msg);
	if (server == NULL)
		return;
	out->server = server;
	out->fate = FATE_UNKNOWN_TAG;
}

int64_t
judge_line_time(struct judge *j, const struct line *line, int64_t now)
{
	struct prefix prefix;
	int64_t at;

	prefix_clock_zone(&j->clock, &line->zone);
	if (line->told != NULL)
		return now;
	if (line->message != NULL)
		return line->message->at;
	if (line->too_long || line->len > PREFIX_LINE_MAX ||
	    prefix_split(line->text, line->len, false, &prefix, j->scratch) !=
		PREFIX_OK ||
	    !prefix_time(&prefix, now, &j->clock, &at))
		return 0;
	return at;
}
