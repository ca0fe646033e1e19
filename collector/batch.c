#include "batch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "store.h"

enum { TEXT_MAX = 16 * 1024, TEXT_SIZE = 2 * 1024 * 1024 };

struct pending {
	struct login login;
	struct network net;
	int64_t expires_at;
	int64_t position;
	const char *source;
	size_t text_at, text_len;
};

struct batch {
	size_t n, text_n;
	struct pending v[BATCH_LOGINS];
	char text[TEXT_SIZE];
};

struct batch *
batch_create(void)
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
	return b->n == BATCH_LOGINS || TEXT_SIZE - b->text_n < TEXT_MAX;
}

void
batch_add(struct batch *b, const struct login *login,
    const struct network *net, int64_t expires_at, const char *source,
    int64_t position, const char *text, size_t len)
{
	assert(!batch_full(b));
	if (len > TEXT_MAX)
		len = TEXT_MAX;
	b->v[b->n++] = (struct pending){
		.login = *login,
		.net = *net,
		.expires_at = expires_at,
		.position = position,
		.source = source,
		.text_at = b->text_n,
		.text_len = len
	};
	memcpy(b->text + b->text_n, text, len);
	b->text_n += len;
}

int
batch_store(const struct batch *b, struct store *st, struct err *err)
{
	for (size_t i = 0; i < b->n; i++) {
		const struct pending *p = &b->v[i];
		const struct store_evidence ev = {
			.source = p->source,
			.position = p->position,
			.line = b->text + p->text_at,
			.line_len = p->text_len
		};

		if (store_login(st, &p->login, &p->net, p->expires_at, &ev,
		    err) == -1)
			return -1;
	}
	return 0;
}

void
batch_clear(struct batch *b)
{
	b->n = b->text_n = 0;
}
