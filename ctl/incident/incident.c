/* SPDX-License-Identifier: ISC */
#include "ctl/incident/incident.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fnv.h"

enum {
	TABLE_BITS = 17, /* slots of the index: twice the messages */
	SESSIONS = 4096, /* Sendmail processes whose user is remembered */
	GROUP_BITS = 16,
	USAGE_BITS = 14
};

/* One user's messages by one right, from all clients. */
struct usage {
	uint64_t key; /* 0: free */
	int64_t recipients, before;
	struct distinct clients;
};

/* A message in the queue. */
struct message {
	char id[INCIDENT_ID_MAX];
	char client[ADDR_TEXT_MAX];
	char user[INCIDENT_USER_MAX];
	char sender[INCIDENT_SENDER_MAX];
	uint64_t sender_hash, domain_hash;
	bool used, null_sender, auth, local, counted, removed;
	bool known; /* its arrival was seen */
	unsigned n, done; /* recipients; those delivered somewhere */
	enum right origin; /* RIGHT_FORWARD, RIGHT_BOUNCE or RIGHT_NONE */
	uint32_t group; /* when counted; UINT32_MAX: none */
};

struct session {
	int64_t pid;
	char client[ADDR_TEXT_MAX];
	char user[INCIDENT_USER_MAX];
};

struct incident {
	int64_t since, now;
	struct incident_facts facts;
	/* a ring of messages, and an index by id: open addressing, with the
	 * place in the ring plus one */
	struct message *ring;
	uint32_t *index;
	uint32_t next;
	struct session *sessions;
	struct incident_group *groups;
	size_t n, room;
	uint32_t *group_index;
	struct usage *usage; /* open addressing, half of it is used */
	size_t n_usage;
	int64_t before_at; /* the first of the days before; 0: none */
	struct incident_totals totals;
};

const char *
right_name(enum right right)
{
	static const char *const names[RIGHTS] = {
		[RIGHT_NONE] = "by-no-right",
		[RIGHT_UNTOLD] = "untold",
		[RIGHT_EXPANDED] = "by-no-right-or-alias",
		[RIGHT_AUTH] = "auth",
		[RIGHT_LOGIN] = "login",
		[RIGHT_NETWORK] = "network",
		[RIGHT_CERTIFICATE] = "certificate",
		[RIGHT_PROGRAM] = "program",
		[RIGHT_FORWARD] = "forward",
		[RIGHT_BOUNCE] = "bounce",
		[RIGHT_EARLIER] = "earlier",
	};

	assert(right < RIGHTS);
	return names[right];
}

const char *
right_words(enum right right)
{
	static const char *const words[RIGHTS] = {
		[RIGHT_NONE] =
		    "BY NO RIGHT KNOWN TO POPGATE: the mail server let it through by itself",
		[RIGHT_UNTOLD] =
		    "By a right that can't be told, as popgate's record can't be read",
		[RIGHT_EXPANDED] =
		    "By no right known to popgate, or by an alias of ours that leads outside",
		[RIGHT_AUTH] = "By SMTP AUTH",
		[RIGHT_LOGIN] = "By a POP or IMAP login",
		[RIGHT_NETWORK] = "By a trusted network",
		[RIGHT_CERTIFICATE] = "By a certificate",
		[RIGHT_PROGRAM] = "From programs on this machine",
		[RIGHT_FORWARD] =
		    "For our own recipients, whose aliases lead outside",
		[RIGHT_BOUNCE] = "Notifications that this server made itself",
		[RIGHT_EARLIER] =
		    "Came before the log that was read, so nothing shows from where",
	};

	return words[right];
}

static uint64_t
hash(const char *text, size_t n)
{
	/* linear counting wants every bit to count */
	return fnv_mix(fnv_add(FNV_START, text, n));
}

static void
distinct_add(struct distinct *d, uint64_t h)
{
	h &= sizeof(d->bits) * 8 - 1;
	d->bits[h / 64] |= UINT64_C(1) << h % 64;
}

unsigned
distinct_count(const struct distinct *d)
{
	const double size = sizeof(d->bits) * 8;
	unsigned set = 0;

	for (size_t i = 0; i < sizeof(d->bits) / sizeof(d->bits[0]); i++)
		set += (unsigned)__builtin_popcountll(d->bits[i]);
	if (set == (unsigned)size)
		set--;
	return (unsigned)lround(size * log(size / (size - set)));
}

static void
copy(char *to, size_t size, struct span s)
{
	size_t n = span_len(s);

	assert(size > 0);
	if (n > size - 1)
		n = size - 1;
	for (size_t i = 0; i < n; i++)
		to[i] = s.p[i] == '\0' ? '?' : s.p[i];
	to[n] = '\0';
}

struct incident *
incident_new(int64_t since, int64_t now, const struct incident_facts *facts)
{
	struct incident *in = calloc(1, sizeof(*in));

	assert(facts->ours != NULL);
	if (in == NULL)
		return NULL;
	in->since = since;
	in->now = now;
	in->facts = *facts;
	in->ring = calloc(INCIDENT_MESSAGES_MAX, sizeof(*in->ring));
	in->index = calloc(UINT32_C(1) << TABLE_BITS, sizeof(*in->index));
	in->sessions = calloc(SESSIONS, sizeof(*in->sessions));
	in->group_index =
	    calloc(UINT32_C(1) << GROUP_BITS, sizeof(*in->group_index));
	in->usage = calloc(UINT32_C(1) << USAGE_BITS, sizeof(*in->usage));
	if (in->usage == NULL || in->ring == NULL || in->index == NULL ||
	    in->sessions == NULL || in->group_index == NULL) {
		incident_free(in);
		return NULL;
	}
	return in;
}

void
incident_free(struct incident *in)
{
	if (in == NULL)
		return;
	free(in->ring);
	free(in->index);
	free(in->sessions);
	free(in->group_index);
	free(in->groups);
	free(in->usage);
	free(in);
}

/* --- messages by queue id --- */

static uint32_t
slot_of(const char *id)
{
	assert(strlen(id) < INCIDENT_ID_MAX);
	return (uint32_t)hash(id, strlen(id)) & ((1U << TABLE_BITS) - 1);
}

static struct message *
find(const struct incident *in, const char *id, uint32_t *slot_r)
{
	uint32_t slot = slot_of(id);

	for (; in->index[slot] != 0;
	     slot = (slot + 1) & ((1U << TABLE_BITS) - 1)) {
		struct message *m = &in->ring[in->index[slot] - 1];

		if (strcmp(m->id, id) == 0) {
			*slot_r = slot;
			return m;
		}
	}
	*slot_r = slot;
	return NULL;
}

/* Take a slot out, and move up what was put behind it. */
static void
unindex(struct incident *in, uint32_t slot)
{
	const uint32_t mask = (1U << TABLE_BITS) - 1;
	uint32_t hole = slot;

	assert(in->index[slot] != 0);
	in->index[hole] = 0;
	for (uint32_t i = (hole + 1) & mask; in->index[i] != 0;
	     i = (i + 1) & mask) {
		uint32_t home = slot_of(in->ring[in->index[i] - 1].id);

		if (((i - home) & mask) < ((i - hole) & mask))
			continue;
		in->index[hole] = in->index[i];
		in->index[i] = 0;
		hole = i;
	}
}

/* Count a message that has left the queue. */
static void
finish(struct incident *in, struct message *m)
{
	if (!m->removed && m->counted && m->group != UINT32_MAX)
		in->groups[m->group].queued--;
	m->removed = true;
}

static void
forget(struct incident *in, struct message *m)
{
	uint32_t slot;

	if (!m->used)
		return;
	if (find(in, m->id, &slot) == m)
		unindex(in, slot);
	m->used = false;
}

/* A message anew: queue ids come back. */
static struct message *
begin(struct incident *in, struct span id)
{
	struct message *m;
	char text[INCIDENT_ID_MAX] = "";
	uint32_t slot;

	copy(text, sizeof(text), id);
	m = find(in, text, &slot);
	if (m != NULL) {
		finish(in, m);
		forget(in, m);
	}
	m = &in->ring[in->next];
	in->next = (in->next + 1) % INCIDENT_MESSAGES_MAX;
	if (m->used && !m->removed)
		in->totals.forgotten++;
	forget(in, m);
	(void)find(in, text, &slot);
	*m = (struct message){
		.used = true, .origin = RIGHT_NONE, .group = UINT32_MAX
	};
	memcpy(m->id, text, sizeof(m->id));
	in->index[slot] = (uint32_t)(m - in->ring) + 1;
	return m;
}

static struct message *
get(struct incident *in, struct span id)
{
	char text[INCIDENT_ID_MAX] = "";
	uint32_t slot;
	struct message *m;

	copy(text, sizeof(text), id);
	m = find(in, text, &slot);
	return m != NULL ? m : begin(in, id);
}

/* --- groups --- */

static uint32_t
find_group(
    struct incident *in, enum right right, const char *client, const char *user)
{
	uint64_t h = hash(client, strlen(client)) * 31 +
	    hash(user, strlen(user)) + (uint64_t)right;
	uint32_t slot = (uint32_t)(h ^ h >> 20) & ((1U << GROUP_BITS) - 1);
	struct incident_group *g;

	for (; in->group_index[slot] != 0;
	     slot = (slot + 1) & ((1U << GROUP_BITS) - 1)) {
		g = &in->groups[in->group_index[slot] - 1];
		if (g->right == right && strcmp(g->client, client) == 0 &&
		    strcmp(g->user, user) == 0)
			return in->group_index[slot] - 1;
	}
	if (in->n == INCIDENT_GROUPS_MAX)
		return UINT32_MAX;
	if (in->n == in->room) {
		size_t room = in->room == 0 ? 64 : in->room * 2;

		g = reallocarray(in->groups, room, sizeof(*g));
		if (g == NULL) {
			in->totals.no_memory = true;
			return UINT32_MAX;
		}
		in->groups = g;
		in->room = room;
	}
	g = &in->groups[in->n];
	*g = (struct incident_group){ .right = right };
	copy(g->client, sizeof(g->client), span_of(client, strlen(client)));
	copy(g->user, sizeof(g->user), span_of(user, strlen(user)));
	in->group_index[slot] = (uint32_t)++in->n;
	return (uint32_t)in->n - 1;
}

/* The usage of a user by a right; of clients that have no user's name all
 * together. NULL: there are too many. */
static struct usage *
find_usage(struct incident *in, enum right right, const char *user, bool make)
{
	const uint32_t mask = (1U << USAGE_BITS) - 1;
	uint64_t key = hash(user, strlen(user)) * 31 + (uint64_t)right;
	uint32_t slot = (uint32_t)(key ^ key >> 20) & mask;

	key += key == 0;
	for (; in->usage[slot].key != 0; slot = (slot + 1) & mask)
		if (in->usage[slot].key == key)
			return &in->usage[slot];
	if (!make || in->n_usage == mask / 2)
		return NULL;
	in->n_usage++;
	in->usage[slot].key = key;
	return &in->usage[slot];
}

static void
use(struct incident *in, enum right right, const struct message *m,
    const char *user, unsigned n, bool before)
{
	struct usage *u = find_usage(in, right, user, true);

	if (u == NULL)
		return;
	if (before) {
		u->before += n;
		return;
	}
	u->recipients += n;
	distinct_add(&u->clients, hash(m->client, strlen(m->client)));
}

static enum right
right_of(struct incident *in, const struct message *m,
    const struct mtalog *line, struct span recipient, bool typed,
    char user[INCIDENT_USER_MAX])
{
	const struct incident_facts *f = &in->facts;
	enum right right;
	struct addr client;

	memcpy(user, m->user, INCIDENT_USER_MAX);
	if (m->origin != RIGHT_NONE)
		return m->origin;
	if (m->local)
		return RIGHT_PROGRAM;
	if (!span_empty(line->orig_to) && f->ours(f->arg, line->orig_to))
		return RIGHT_FORWARD;
	if (*m->user != '\0' || m->auth)
		return RIGHT_AUTH;
	if (!m->known)
		return RIGHT_EARLIER;
	right = f->decided(f->arg, m->id, m->client, m->sender,
	    span_empty(line->orig_to) ? recipient : line->orig_to, user);
	if (right == RIGHT_FORWARD && typed)
		right = RIGHT_NONE; /* somebody else's recipient */
	if (right != RIGHT_NONE && right != RIGHT_UNTOLD)
		return right;
	if (addr_parse_loose(m->client, &client)) {
		enum right by_place = f->network(f->arg, &client);

		if (by_place != RIGHT_NONE)
			return by_place;
	}
	if (right == RIGHT_UNTOLD)
		return right;
	return line->sendmail && !typed ? RIGHT_EXPANDED : RIGHT_NONE;
}

static void
add_sender(struct incident_group *g, const struct message *m)
{
	const char *at = strrchr(m->sender, '@');

	distinct_add(&g->senders, m->sender_hash);
	distinct_add(&g->domains, m->domain_hash);
	g->null_senders += m->null_sender;
	for (int i = 0; i < INCIDENT_SAMPLES; i++) {
		if (g->id[i][0] == '\0') {
			memcpy(g->id[i], m->id, sizeof(g->id[i]));
			memcpy(g->sender[i], m->sender, sizeof(g->sender[i]));
			break;
		}
	}
	if (g->messages == 1 && at != NULL)
		copy(g->domain, sizeof(g->domain),
		    span_of(at + 1, strlen(at + 1)));
}

static void
count(struct incident *in, struct message *m, const struct mtalog *line,
    unsigned n, struct span recipient, bool typed, int64_t at)
{
	struct incident_totals *t = &in->totals;
	struct incident_group *g;
	bool first = !m->counted;

	t->recipients += n;
	if (t->first_at == 0 || at < t->first_at)
		t->first_at = at;
	if (at > t->last_at)
		t->last_at = at;
	if (first) {
		char user[INCIDENT_USER_MAX];
		enum right right =
		    right_of(in, m, line, recipient, typed, user);

		m->counted = true;
		m->group = find_group(in, right,
		    right == RIGHT_PROGRAM && m->local ? "" : m->client, user);
		t->messages++;
		t->ungrouped += m->group == UINT32_MAX;
		t->recent += at > in->now - INCIDENT_RECENT_S;
	}
	if (m->group == UINT32_MAX)
		return;
	g = &in->groups[m->group];
	g->recipients += n;
	use(in, g->right, m, g->user, n, false);
	if (g->first_at == 0 || at < g->first_at)
		g->first_at = at;
	if (at > g->last_at)
		g->last_at = at;
	if (!first)
		return;
	g->messages++;
	g->queued++;
	g->recent += at > in->now - INCIDENT_RECENT_S;
	add_sender(g, m);
}

/* Messages of the days before are only counted, for comparison. */
static void
count_before(struct incident *in, struct message *m, const struct mtalog *line,
    int64_t at)
{
	struct span list = line->list, recipient;
	char user[INCIDENT_USER_MAX];
	bool typed = true;

	if (in->before_at == 0 || at < in->before_at)
		in->before_at = at;
	while (mtalog_recipient(&list, &recipient, &typed))
		if (!in->facts.ours(in->facts.arg, recipient))
			use(in, right_of(in, m, line, recipient, typed, user),
			    m, user, 1, true);
}

/* Each recipient that isn't ours, by itself: one of ours beside it must not
 * hide it. */
static void
delivered(struct incident *in, const struct mtalog *line, int64_t at)
{
	struct message *m = get(in, line->queue_id);
	struct span list = line->list, recipient, first = { 0 };
	bool typed = true, first_typed = true;
	unsigned n = 0;

	m->done += line->sent ? line->n : 0;
	if (line->outside && at < in->since && line->sent)
		count_before(in, m, line, at);
	if (line->outside && at >= in->since && !line->sent)
		in->totals.failed += line->n;
	if (line->outside && at >= in->since && line->sent)
		while (mtalog_recipient(&list, &recipient, &typed)) {
			if (in->facts.ours(in->facts.arg, recipient))
				continue;
			if (n++ == 0) {
				first = recipient;
				first_typed = typed;
			}
		}
	if (n > 0)
		count(in, m, line, n, first, first_typed, at);
	/* Sendmail says "done" at a high LogLevel only */
	if (line->sendmail && m->n > 0 && m->done >= m->n)
		finish(in, m);
}

/* --- lines --- */

static void
take_client(struct message *m, const struct mtalog *line)
{
	char text[ADDR_TEXT_MAX];
	struct addr addr;

	copy(text, sizeof(text), line->client);
	m->known = true;
	if (addr_parse_loose(text, &addr))
		(void)addr_format(&addr, m->client);
	else
		copy(m->client, sizeof(m->client), line->client);
	if (!span_empty(line->user))
		copy(m->user, sizeof(m->user), line->user);
}

static void
take_sender(struct message *m, const struct mtalog *line)
{
	struct span domain = line->sender, local;

	m->n = line->n;
	m->null_sender = span_empty(line->sender);
	copy(m->sender, sizeof(m->sender), line->sender);
	m->sender_hash = hash(line->sender.p, span_len(line->sender));
	if (!SPAN_UNTIL_LAST(&domain, "@", &local))
		domain = span_of("", 0);
	m->domain_hash = hash(domain.p, span_len(domain));
}

static struct session *
session_of(struct incident *in, int64_t pid)
{
	return &in->sessions[(uint64_t)pid % SESSIONS];
}

/* Sendmail: AUTH stands in a line of its own, of the same process and client;
 * the protocol of the message says that it counts. */
static void
sendmail_from(struct incident *in, const struct mtalog *line, int64_t pid)
{
	struct message *m = get(in, line->queue_id);
	const struct session *s = session_of(in, pid);

	take_sender(m, line);
	if (line->kind == MTALOG_LOCAL) {
		m->local = true;
		m->known = true;
		copy(m->user, sizeof(m->user), line->user);
		return;
	}
	if (span_empty(line->client))
		return;
	take_client(m, line);
	m->auth = line->auth;
	if (m->auth && pid != -1 && s->pid == pid &&
	    strcmp(s->client, m->client) == 0)
		memcpy(m->user, s->user, sizeof(m->user));
}

static void
take_auth(struct incident *in, const struct mtalog *line, int64_t pid)
{
	struct message text = { .used = true };
	struct session *s = session_of(in, pid);

	if (pid == -1)
		return;
	take_client(&text, line);
	s->pid = pid;
	memcpy(s->client, text.client, sizeof(s->client));
	copy(s->user, sizeof(s->user), line->user);
}

void
incident_line(
    struct incident *in, const struct mtalog *line, int64_t pid, int64_t at)
{
	struct message *m;

	switch (line->kind) {
	case MTALOG_CLIENT:
		m = begin(in, line->queue_id);
		take_client(m, line);
		break;
	case MTALOG_FROM:
	case MTALOG_LOCAL:
		if (line->sendmail) {
			sendmail_from(in, line, pid);
			break;
		}
		if (line->kind == MTALOG_FROM) {
			take_sender(get(in, line->queue_id), line);
			break;
		}
		m = begin(in, line->queue_id);
		m->local = m->known = true;
		copy(m->user, sizeof(m->user), line->user);
		break;
	case MTALOG_TO:
		delivered(in, line, at);
		break;
	case MTALOG_CHILD:
		/* Postfix tells of a forwarded one after it was made */
		m = get(in, line->child);
		m->known = true;
		m->origin = line->child_kind == CHILD_FORWARD ? RIGHT_FORWARD
							      : RIGHT_BOUNCE;
		break;
	case MTALOG_END:
		finish(in, get(in, line->queue_id));
		break;
	case MTALOG_AUTH:
		take_auth(in, line, pid);
		break;
	case MTALOG_ID:
	case MTALOG_OTHER:
		break;
	}
}

static int
worst_first(const void *a, const void *b)
{
	const struct incident_group *x = a, *y = b;

	if (x->right != y->right)
		return x->right < y->right ? -1 : 1;
	if (x->messages != y->messages)
		return x->messages > y->messages ? -1 : 1;
	return strcmp(x->client, y->client);
}

/* Had they a right, and sent far more than in the days before? */
static void
judge_volume(struct incident *in, struct incident_group *g)
{
	const struct usage *u = find_usage(in, g->right, g->user, false);
	int64_t covered = in->before_at == 0 ? 0 : in->since - in->before_at;
	int64_t window = in->now - in->since;

	if (u == NULL ||
	    ((g->right < RIGHT_AUTH || g->right > RIGHT_PROGRAM) &&
		g->right != RIGHT_BOUNCE))
		return;
	g->user_recipients = u->recipients;
	g->user_clients = distinct_count(&u->clients);
	/* less than a day says nothing of what is usual */
	g->user_expected = covered < 86400 ? 0 : u->before * window / covered;
	g->rise = (u->recipients >= INCIDENT_MANY ||
		      (u->recipients >= INCIDENT_MANY_FROM &&
			  g->user_clients >= INCIDENT_ADDRESSES)) &&
	    u->recipients > g->user_expected * INCIDENT_RISE;
}

const struct incident_group *
incident_result(
    struct incident *in, struct incident_totals *totals, size_t *n_r)
{
	assert(in->n <= INCIDENT_GROUPS_MAX);
	if (in->n > 1)
		qsort(in->groups, in->n, sizeof(*in->groups), worst_first);
	for (size_t i = 0; i < in->n; i++)
		judge_volume(in, &in->groups[i]);
	*totals = in->totals;
	*n_r = in->n;
	return in->groups;
}

bool
incident_random_senders(const struct incident_group *g)
{
	unsigned senders = distinct_count(&g->senders);

	return senders >= 4 && distinct_count(&g->domains) == 1 &&
	    g->null_senders == 0 && senders * 2 >= g->messages;
}
