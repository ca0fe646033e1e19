/* SPDX-License-Identifier: ISC */
#include "common/grammar/parse.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/grammar/custom.h"
#include "common/grammar/grammar.h"
#include "common/grammar/origin.h"
#include "common/grammar/pairs.h"
#include "common/grammar/prefix.h"
#include "common/grammar/programs.h"
#include "common/grammar/sessions.h"
#include "common/grammar/streams.h"

enum { PAIR_CAPACITY = 4096 };

struct parser {
	/* All members from here on are constant after parser_new(). */
	struct programs programs;
	bool paired[GRAMMAR_N]; /* two-line servers that are named */
	bool bare_lines;
	bool nginx_file;
	bool (*only_root)(const char *path, size_t len);

	/* Memory between lines. */
	struct pairs *pairs; /* NULL: no server is paired */
	struct prefix_clock clock;
	struct streams streams; /* of exported journal entries */
	bool stream_lost; /* an output that isn't in streams may be cut */
	struct line_outputs own, *outputs; /* of containers */
	char scratch[PREFIX_SCRATCH];
};

/* One message on its way to a verdict. */
struct message {
	const struct program *program;
	struct span host;
	struct span name;
	int64_t pid;
	enum line_delivery delivery;
	struct span text;
	const struct prefix *prefix; /* NULL: at is known */
	int64_t now;
	int64_t at;
};

const char *
parser_server_name(size_t i)
{
	return i < GRAMMAR_N ? grammars[i]->name : NULL;
}

/* ---- creation ---- */

static struct span
span_of_string(const char *text)
{
	return text == NULL ? span_of("", 0) : span_of(text, strlen(text));
}

static bool
grammar_is(const struct grammar *g, const char *name)
{
	return strcmp(g->name, name) == 0 ||
	    (g->alias != NULL && strcmp(g->alias, name) == 0);
}

static int
choose_grammars(struct parser *parser, const struct parser_options *options,
    struct err *err)
{
	bool chosen[GRAMMAR_N] = { false };
	bool all = options->servers_n == 0;

	for (size_t i = 0; i < options->servers_n; i++) {
		const char *name = options->servers[i];
		bool known = strcmp(name, "all") == 0;

		all |= known;
		for (size_t g = 0; g < GRAMMAR_N; g++) {
			if (!grammar_is(grammars[g], name))
				continue;
			known = true;
			chosen[g] = true;
			parser->paired[g] = grammars[g]->two_lines;
		}
		if (!known) {
			err_set(err, ERR_INVALID,
			    "unknown server \"%s\"; "
			    "expected \"all\" or names like \"%s\"",
			    name, grammars[0]->name);
			err_locate(err, options->servers_where);
			return -1;
		}
	}
	for (size_t g = 0; g < GRAMMAR_N; g++) {
		if (all || chosen[g])
			programs_add_grammar(&parser->programs, g);
		if (!parser->paired[g] || parser->pairs != NULL)
			continue;
		parser->pairs = pairs_new(PAIR_CAPACITY);
		if (parser->pairs == NULL) {
			err_set(err, ERR_NOMEM, "out of memory");
			return -1;
		}
	}
	return 0;
}

/* Could a line have it as its tag? See prefix.h. */
static bool
is_tag(const char *text)
{
	size_t len = strlen(text);

	return len > 0 && len < PROGRAM_NAME_MAX &&
	    strcspn(text, " :[]<>\"'\\\t\r\n") == len;
}

static int
add_tag(struct parser *parser, const struct parser_tag *tag, struct err *err)
{
	size_t g = 0;

	while (g < GRAMMAR_N && !grammar_is(grammars[g], tag->server))
		g++;
	if (g == GRAMMAR_N)
		err_set(err, ERR_INVALID,
		    "unknown server \"%.80s\"; expected a name like \"%s\"",
		    tag->server, grammars[0]->name);
	else if (!is_tag(tag->tag))
		err_set(err, ERR_INVALID,
		    "\"%.80s\" is not what stands before the colon of a log line; expected a word of at most %d bytes, as \"dovecot-backend\"",
		    tag->tag, (int)PROGRAM_NAME_MAX - 1);
	else if (programs_find(&parser->programs,
		     span_of_string(grammars[g]->programs[0])) == NULL)
		err_set(err, ERR_INVALID,
		    "the lines of %.80s are not read: collector.servers doesn't name it",
		    tag->server);
	else if (!programs_add_tag(&parser->programs, g, tag->tag))
		err_set(err, ERR_INVALID,
		    "\"%.80s\" is the tag of a server already", tag->tag);
	else
		return 0;
	err_locate(err, tag->where);
	return -1;
}

static int
check_custom(const struct parser_custom *c, struct err *err)
{
	if (strlen(c->program) >= PROGRAM_NAME_MAX)
		err_set(err, ERR_INVALID,
		    "custom server \"%.80s\": a program's name has at most %d bytes",
		    c->program, (int)PROGRAM_NAME_MAX - 1);
	else if (c->unit != NULL && !origin_unit_of_system(c->unit))
		err_set(err, ERR_INVALID,
		    "custom server \"%.80s\": unit \"%.80s\": expected a service of the system, as \"mypopd.service\"",
		    c->program, c->unit);
	else
		return 0;
	return -1;
}

static int
add_custom(struct parser *parser, const struct parser_options *options,
    struct err *err)
{
	if (options->custom_n > PROGRAM_CUSTOM_MAX) {
		err_set(err, ERR_INVALID, "more than %d custom servers",
		    (int)PROGRAM_CUSTOM_MAX);
		err_locate(err, options->custom[PROGRAM_CUSTOM_MAX].where);
		return -1;
	}
	for (size_t i = 0; i < options->custom_n; i++) {
		const struct parser_custom *c = &options->custom[i];
		struct custom *custom;

		if (check_custom(c, err) == -1 ||
		    custom_compile(
			c->program, c->pattern, c->unit, &custom, err) == -1) {
			err_locate(err, c->where);
			return -1;
		}
		programs_add_custom(&parser->programs, custom, c->stream);
	}
	return 0;
}

int
parser_new(const struct parser_options *options, struct parser **parser_r,
    struct err *err)
{
	struct parser *parser = calloc(1, sizeof(*parser));

	*parser_r = NULL;
	if (parser == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return -1;
	}
	programs_init(&parser->programs);
	parser_source(parser, NULL, &parser->clock.zone);
	parser->bare_lines = options->bare_lines;
	parser->nginx_file = options->nginx_file;
	parser->only_root = options->only_root;
	int rc = choose_grammars(parser, options, err);

	if (rc == 0 && options->tags_n > PROGRAM_TAG_MAX) {
		err_set(err, ERR_INVALID, "more than %d other tags",
		    (int)PROGRAM_TAG_MAX);
		err_locate(err, options->tags[PROGRAM_TAG_MAX].where);
		rc = -1;
	}
	for (size_t i = 0; rc == 0 && i < options->tags_n; i++)
		rc = add_tag(parser, &options->tags[i], err);
	if (rc == 0)
		rc = add_custom(parser, options, err);
	if (rc == -1) {
		parser_free(&parser);
		return -1;
	}
	*parser_r = parser;
	return 0;
}

void
parser_free(struct parser **parser)
{
	struct parser *p = parser == NULL ? NULL : *parser;

	if (p == NULL)
		return;
	programs_release(&p->programs);
	pairs_free(&p->pairs);
	free(p);
	*parser = NULL;
}

struct pairs *
parser_pairs(const struct parser *parser)
{
	return parser->pairs;
}

/* ---- who may speak ---- */

/* The tag, as the grammar knows it. */
static struct span
name_in_grammar(const struct program *p, struct span name)
{
	return p->as == NULL ? name : span_of_string(p->as);
}

bool
parser_may_speak(const struct parser *parser, const char *program,
    const struct parse_origin *origin)
{
	struct span name = span_of_string(program);
	const struct program *p = programs_find(&parser->programs, name);
	const struct prefix_origin o = {
		.uid = origin->uid,
		.comm = span_of_string(origin->comm),
		.exe = span_of_string(origin->exe),
		.unit = span_of_string(origin->unit),
	};

	return p == NULL ||
	    origin_may_speak(&parser->programs, p, name_in_grammar(p, name), &o,
		parser->only_root);
}

/* ---- outputs that were cut ---- */

/* An exported entry: is it a part of a line? In doubt it is. */
static enum line_delivery
delivery_of(struct parser *parser, const struct prefix_origin *o)
{
	const char *id = o->stream.p;
	size_t len = span_len(o->stream);
	struct stream *s = streams_at(&parser->streams, id, len);
	bool known = stream_is(s, id, len);
	bool before = known ? s->cut : parser->stream_lost;

	if (o->delivery != DELIVERY_PIECE && o->delivery != DELIVERY_CUT)
		return o->delivery;
	/* not exported, by whoever chose the fields: nothing to go by */
	if (!stream_id_good(len)) {
		parser->stream_lost |= o->delivery == DELIVERY_CUT;
		return parser->stream_lost ? DELIVERY_CUT : o->delivery;
	}
	if (!known)
		parser->stream_lost |= s->cut;
	stream_set(s, id, len, o->delivery == DELIVERY_CUT);
	return before ? DELIVERY_CUT : o->delivery;
}

/* A line of a container's output: the same. Which container, nobody says. */
static enum line_delivery
delivery_contained(struct parser *parser, const struct prefix_origin *o)
{
	bool *cut = &parser->outputs->cut[SPAN_EQUALS(o->stream, "stderr")];
	bool before = *cut;

	*cut = o->delivery == DELIVERY_CUT;
	return before ? DELIVERY_CUT : o->delivery;
}

void
parser_source(struct parser *parser, struct line_outputs *outputs,
    const struct zone *zone)
{
	prefix_clock_zone(&parser->clock, zone);
	parser->outputs = outputs == NULL ? &parser->own : outputs;
}

void
parser_skip(struct parser *parser)
{
	parser->streams = (struct streams){ .v[0].cut = false };
	parser->stream_lost = true;
	parser->outputs->cut[0] = parser->outputs->cut[1] = true;
}

/* ---- from message to login ---- */

static bool
message_time(struct parser *parser, struct message *msg)
{
	if (msg->prefix == NULL)
		return true;
	if (!prefix_time(msg->prefix, msg->now, &parser->clock, &msg->at))
		return false;
	msg->prefix = NULL;
	return true;
}

static void
copy_word(char *word_r, const char *text)
{
	size_t len = strlen(text);

	assert(len < LOGIN_WORD_MAX);
	memcpy(word_r, text, len + 1);
}

/* All but the address is checked and filled in here. */
static enum fate
fill_login(struct parser *parser, struct message *msg,
    const struct grammar_match *m, const char *server, struct login *login)
{
	static const char *const services[] = {
		[SERVICE_NONE] = "",
		[SERVICE_IMAP] = "imap",
		[SERVICE_POP3] = "pop3",
	};
	enum fate reason =
	    parse_user(m->user.p, span_len(m->user), login->user);

	if (reason != FATE_LOGIN)
		return reason;
	if (m->user_cut)
		login->user[0] = '\0';
	if (!message_time(parser, msg))
		return FATE_BAD_TIME;
	login->at = msg->at;
	copy_word(login->service, services[m->service]);
	copy_word(login->server, server);
	return FATE_LOGIN;
}

/* A server that is paired gives the address in the second line too: it must be
 * the same, or a user is named like the end of such a line. */
static enum fate
confirm_by_pair(struct parser *parser, struct message *msg,
    const struct pair_key *key, const struct grammar_match *m)
{
	struct addr first, second;

	if (!addr_parse_n(m->addr.p, span_len(m->addr), &second)) {
		pairs_forget(parser->pairs, key);
		return FATE_BAD_ADDRESS;
	}
	if (!message_time(parser, msg)) {
		pairs_forget(parser->pairs, key);
		return FATE_BAD_TIME;
	}
	if (pairs_take(parser->pairs, key, msg->at, PARSE_PAIR_S, &first) &&
	    !addr_equal(&first, &second))
		return FATE_AMBIGUOUS;
	return FATE_LOGIN;
}

/* Lines of two-line servers: keep the book, and complete the login. */
static enum fate
follow_pair(struct parser *parser, struct message *msg, size_t number,
    const struct grammar_match *m, enum fate reason, struct addr *client_r)
{
	const struct pair_key key = {
		.host = msg->host.p,
		.host_len = span_len(msg->host),
		.server = (unsigned)number,
		.pid = msg->pid,
	};

	switch (m->pair) {
	case PAIR_KEEP:
		return reason;
	case PAIR_OPEN:
		pairs_forget(parser->pairs, &key);
		if (!addr_parse_n(m->addr.p, span_len(m->addr), client_r))
			return FATE_BAD_ADDRESS;
		if (!message_time(parser, msg))
			return FATE_BAD_TIME;
		pairs_open(parser->pairs, &key, client_r, msg->at);
		return reason;
	case PAIR_CLOSE:
		if (!message_time(parser, msg)) {
			pairs_forget(parser->pairs, &key);
			return FATE_BAD_TIME;
		}
		return pairs_take(
			   parser->pairs, &key, msg->at, PARSE_PAIR_S, client_r)
		    ? FATE_LOGIN
		    : FATE_PAIR_MISSING;
	case PAIR_FORGET:
		break;
	}
	if (reason == FATE_LOGIN)
		return confirm_by_pair(parser, msg, &key, m);
	pairs_forget(parser->pairs, &key);
	return reason;
}

/* Take what an accepted login, or a line that is none, says of a session. */
static void
take_session(struct parser *parser, struct message *msg,
    const struct grammar *g, const struct grammar_match *m, enum fate reason,
    struct login_session *session)
{
	bool begins = m->session_kind == SESSION_BEGIN;

	if (m->session_kind == SESSION_NONE ||
	    (reason == FATE_LOGIN) != begins ||
	    (!g->long_lines && span_len(msg->text) > GRAMMAR_CUT_MIN) ||
	    m->user_cut || !message_time(parser, msg))
		return;
	sessions_fill(m, g->name, msg->host, msg->pid, session);
	session->at = msg->at;
}

static enum fate
match_grammar(struct parser *parser, struct message *msg, size_t number,
    struct parse_result *result)
{
	const struct grammar *g = grammars[number];
	struct login *login = &result->login;
	struct grammar_match m = { .pair = PAIR_FORGET };
	enum fate reason = g->match(span_trimmed(msg->text),
	    name_in_grammar(msg->program, msg->name), &m);
	bool closed = false;

	if (reason == FATE_LOGIN && !g->long_lines &&
	    span_len(msg->text) > GRAMMAR_CUT_MIN)
		reason = FATE_TOO_LONG;
	if (parser->paired[number]) {
		enum fate before = reason;

		reason = follow_pair(
		    parser, msg, number, &m, reason, &login->client);
		closed = reason == FATE_LOGIN && before != reason;
	} else if (reason == FATE_PAIR_OPENED) {
		reason = FATE_NOT_A_LOGIN;
	} else if (reason == FATE_PAIR_MISSING) {
		reason = FATE_NO_ADDRESS;
	}
	if (reason == FATE_LOGIN && !closed &&
	    !addr_parse_n(m.addr.p, span_len(m.addr), &login->client))
		return FATE_BAD_ADDRESS;
	if (reason == FATE_LOGIN)
		reason = fill_login(parser, msg, &m, g->name, login);
	take_session(parser, msg, g, &m, reason, &result->session);
	return reason;
}

/* A line of a program's output may be made by a client where its server isn't
 * known to let none through: then it is no login, and named when it looks like
 * one. First lines of two aren't even looked at. */
static enum fate
match_delivered(struct parser *parser, struct message *msg, size_t number,
    struct parse_result *result)
{
	bool doubtful =
	    msg->delivery == DELIVERY_PIECE && !grammars[number]->stream;
	enum fate reason = doubtful && parser->paired[number]
	    ? FATE_STREAM_PIECE
	    : match_grammar(parser, msg, number, result);

	if (doubtful)
		result->session.kind = SESSION_NONE;
	return doubtful && reason == FATE_LOGIN ? FATE_STREAM_PIECE : reason;
}

static enum fate
match_custom(struct parser *parser, struct message *msg, struct login *login)
{
	const struct programs *programs = &parser->programs;
	enum fate reason = FATE_UNKNOWN_SHAPE;

	if (span_len(msg->text) > GRAMMAR_CUT_MIN)
		return FATE_TOO_LONG;
	for (size_t i = 0; i < programs->custom_n; i++) {
		struct custom *c = programs->custom[i];
		struct grammar_match m = { .service = SERVICE_NONE };
		const char *name = custom_program(c);

		if (!span_equals(msg->name, name, strlen(name)) ||
		    !custom_match(c, msg->text, &m.user, &m.addr))
			continue;
		if (addr_parse_n(m.addr.p, span_len(m.addr), &login->client))
			reason = fill_login(parser, msg, &m, "custom", login);
		else
			reason = FATE_BAD_ADDRESS;
		if (reason == FATE_LOGIN && msg->delivery == DELIVERY_PIECE &&
		    !programs->custom_stream[i])
			reason = FATE_STREAM_PIECE;
		if (reason == FATE_LOGIN)
			break;
	}
	return reason;
}

/* rsyslog's "message repeated 2 times: [ text]": the text is the line's. */
static struct span
unwrap_repeated(struct span s)
{
	struct span inner = s;

	if (!SPAN_TAKE(&inner, "message repeated ") ||
	    !span_number(&inner, NULL) || !SPAN_TAKE(&inner, " times: [") ||
	    !SPAN_CHOP(&inner, "]"))
		return s;
	(void)SPAN_TAKE(&inner, " ");
	return inner;
}

static void
judge(struct parser *parser, struct message *msg, struct parse_result *result)
{
	enum fate reason = FATE_UNKNOWN_SHAPE;
	const struct program *p = msg->program;

	result->server =
	    p->grammar_n > 0 ? grammars[p->grammar[0]]->name : "custom";
	if (msg->delivery == DELIVERY_UNKNOWN ||
	    msg->delivery == DELIVERY_CUT) {
		result->fate = msg->delivery == DELIVERY_CUT ? FATE_CUT_PIECE
							     : FATE_UNTRUSTED;
		return;
	}
	if (SPAN_STARTS(msg->text, "message repeated "))
		msg->text = unwrap_repeated(msg->text);
	for (size_t i = 0; i < p->grammar_n; i++) {
		enum fate own =
		    match_delivered(parser, msg, p->grammar[i], result);

		/* the first server that knows the line has it */
		if (i == 0 || own != FATE_UNKNOWN_SHAPE) {
			result->server = grammars[p->grammar[i]]->name;
			reason = own;
		}
		if (own != FATE_UNKNOWN_SHAPE)
			break;
	}
	if (reason != FATE_LOGIN && p->custom) {
		enum fate own = match_custom(parser, msg, &result->login);

		if (own != FATE_UNKNOWN_SHAPE || p->grammar_n == 0) {
			result->server = "custom";
			reason = own;
		}
	}
	assert(reason > FATE_NONE && reason < FATE_N);
	result->fate = reason;
}

/* A line that isn't plainly another program's. Not inlined: most lines are,
 * and shouldn't pay for its frame. */
__attribute__((noinline)) static void
read_line(struct parser *parser, const char *line, size_t len, int64_t now,
    struct parse_result *result)
{
	struct prefix prefix;
	struct message msg;

	if (len > 0 && line[len - 1] == '\r')
		len--;
	if (len > PREFIX_LINE_MAX) {
		parser_skip(parser);
		result->fate = FATE_TOO_LONG;
		return;
	}
	enum prefix_result split = prefix_split(
	    line, len, parser->bare_lines, &prefix, parser->scratch);

	if (prefix.contained)
		prefix.origin.delivery =
		    delivery_contained(parser, &prefix.origin);
	switch (split) {
	case PREFIX_OK:
		break;
	case PREFIX_UNKNOWN:
		result->fate = FATE_NO_PREFIX;
		return;
	case PREFIX_CONTRADICTS:
		result->fate = FATE_UNTRUSTED;
		return;
	}
	msg.program = programs_find(&parser->programs, prefix.program);
	if (msg.program == NULL) {
		result->fate = FATE_OTHER_PROGRAM;
		return;
	}
	if (prefix.form == PREFIX_NGINX_FILE && !parser->nginx_file) {
		result->server = "nginx";
		result->fate = FATE_FORGEABLE_FILE;
		return;
	}
	if (prefix.form == PREFIX_JOURNAL &&
	    !origin_may_speak(&parser->programs, msg.program,
		name_in_grammar(msg.program, prefix.program), &prefix.origin,
		parser->only_root)) {
		result->server = msg.program->grammar_n > 0
		    ? grammars[msg.program->grammar[0]]->name
		    : "custom";
		result->fate = FATE_UNTRUSTED;
		return;
	}
	result->year_guessed = prefix.stamp == STAMP_BSD;
	msg.host = prefix.host;
	msg.name = prefix.program;
	msg.pid = prefix.pid;
	msg.delivery = prefix.contained ? prefix.origin.delivery
	    : prefix.form == PREFIX_JOURNAL
	    ? delivery_of(parser, &prefix.origin)
	    : DELIVERY_MESSAGE;
	msg.text = prefix.msg;
	msg.prefix = prefix.form == PREFIX_BARE ? NULL : &prefix;
	msg.now = now;
	msg.at = now;
	judge(parser, &msg, result);
	if (result->fate == FATE_LOGIN)
		result->zone_assumed = prefix_zone_assumed(&prefix);
}

void
parser_line(struct parser *parser, const char *line, size_t len, int64_t now,
    struct parse_result *result)
{
	result->server = NULL;
	result->session.kind = SESSION_NONE;
	result->year_guessed = result->zone_assumed = false;
	if (programs_foreign(&parser->programs, line, len))
		result->fate = FATE_OTHER_PROGRAM;
	else
		read_line(parser, line, len, now, result);
}

void
parser_message(struct parser *parser, const char *host, const char *program,
    int64_t pid, enum line_delivery delivery, const char *text, size_t len,
    int64_t at, struct parse_result *result)
{
	struct message msg = {
		.host = span_of_string(host),
		.name = span_of_string(program),
		.pid = pid,
		.delivery = delivery,
		.text = span_of(text, len),
		.now = at,
		.at = at,
	};

	result->server = NULL;
	result->session.kind = SESSION_NONE;
	result->year_guessed = result->zone_assumed = false;
	if (len > PREFIX_LINE_MAX) {
		result->fate = FATE_TOO_LONG;
		return;
	}
	msg.program = programs_find(&parser->programs, msg.name);
	if (msg.program == NULL) {
		result->fate = FATE_OTHER_PROGRAM;
		return;
	}
	judge(parser, &msg, result);
}
