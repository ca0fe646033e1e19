/* SPDX-License-Identifier: ISC */
#include "collector/batch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/db/store.h"

enum {
	LINE_MAX_KEPT = 16 * 1024,
	/* what one login may need at most: its line, names and address */
	LOGIN_TEXT_MAX = LINE_MAX_KEPT + LOGIN_USER_MAX + 2 * LOGIN_WORD_MAX +
	    NETWORK_TEXT_MAX + SESSION_ID_MAX + SESSION_HOST_MAX,
	TEXT_SIZE = 8 * 1024 * 1024
};

struct batch {
	size_t n, text_n;
	struct store_entry v[BATCH_LOGINS];
	char text[TEXT_SIZE]; /* what the entries point at */
};

struct batch *
batch_new(void)
{
	/* not zeroed: memory is only touched when logins come in numbers */
	struct batch *b = malloc(sizeof(*b));

	if (b != NULL)
		batch_clear(b);
	return b;
}

void
batch_free(struct batch **b)
{
	free(*b);
	*b = NULL;
}

size_t
batch_count(const struct batch *b)
{
	return b->n;
}

bool
batch_full(const struct batch *b)
{
	return b->n == BATCH_LOGINS || TEXT_SIZE - b->text_n < LOGIN_TEXT_MAX;
}

static const char *
keep(struct batch *b, const char *text)
{
	char *p = b->text + b->text_n;
	size_t size = strlen(text) + 1;

	assert(size <= TEXT_SIZE - b->text_n);
	memcpy(p, text, size);
	b->text_n += size;
	return p;
}

static struct store_entry *
add(struct batch *b, const struct login_session *session, const char *source,
    int64_t position)
{
	struct store_entry *e = &b->v[b->n];

	assert(!batch_full(b));
	assert(source != NULL);
	b->n++;
	*e = (struct store_entry){ .kind = session->kind,
		.source = source,
		.position = position,
		.line = "" };
	if (session->kind != SESSION_NONE) {
		e->session = keep(b, session->id);
		e->host = keep(b, session->host);
		e->unordered = session->unordered;
		e->proof = session->proof;
	}
	return e;
}

void
batch_add_end(struct batch *b, const struct login_session *session,
    int64_t expires_at, const char *source, int64_t position)
{
	struct store_entry *e = add(b, session, source, position);

	assert(session->kind > SESSION_BEGIN);
	e->user = keep(b, session->user);
	e->server = session->server;
	e->at = session->at;
	e->expires_at = expires_at;
}

void
batch_add(struct batch *b, const struct judged *judged, const char *source,
    int64_t position, const char *text, size_t len)
{
	struct store_entry *e = add(b, &judged->session, source, position);
	const struct login *login = &judged->login;
	char client[NETWORK_TEXT_MAX];

	assert(judged->fate == FATE_LOGIN);
	e->client = keep(b, network_format(&judged->net, client));
	e->user = keep(b, login->user);
	e->service = keep(b, login->service);
	e->server = keep(b, login->server);
	e->at = login->at;
	e->expires_at = judged->expires_at;
	e->until_at = judged->session_until;
	assert(b->text_n + LINE_MAX_KEPT <= TEXT_SIZE);
	e->line_len = len < LINE_MAX_KEPT ? len : LINE_MAX_KEPT;
	e->line = b->text + b->text_n;
	memcpy(b->text + b->text_n, text, e->line_len);
	b->text_n += e->line_len;
}

int
batch_store(const struct batch *b, struct store *st, struct err *err)
{
	assert(b->n <= BATCH_LOGINS && b->text_n <= TEXT_SIZE);
	return store_logins(st, b->v, b->n, err);
}

void
batch_clear(struct batch *b)
{
	b->n = b->text_n = 0;
}

void
batch_drop(struct batch *b, const char *source)
{
	size_t n = 0;

	for (size_t i = 0; i < b->n; i++)
		if (strcmp(b->v[i].source, source) != 0)
			b->v[n++] = b->v[i];
	b->n = n;
}
