/* SPDX-License-Identifier: ISC */
#include "collector/pair_store.h"

#include <assert.h>
#include <string.h>

#include "common/base/err.h"
#include "common/db/store.h"
#include "common/grammar/pairs.h"
#include "common/grammar/parse.h"

struct saving {
	struct store *st;
	bool direct;
	struct err *err;
};

static bool
save_pair(void *arg, const struct pair_key *key, const struct addr *client,
    int64_t at)
{
	const struct saving *s = arg;
	char text[ADDR_TEXT_MAX];
	const struct store_pair pair = { .direct = s->direct,
		.host = key->host,
		.host_len = key->host_len,
		.server = parser_server_name(key->server),
		.pid = key->pid,
		.client = addr_format(client, text),
		.at = at };

	assert(pair.server != NULL);
	return store_pair_add(s->st, &pair, s->err) == 0;
}

int
pair_store_save(const struct judge *j, struct store *st, struct err *err)
{
	struct saving s = { .st = st, .err = err };

	if (store_pairs_clear(st, err) == -1)
		return -1;
	for (int i = 0; i < 2; i++) {
		const struct pairs *pairs = judge_pairs(j, i == 1);

		s.direct = i == 1;
		if (pairs != NULL && !pairs_each(pairs, save_pair, &s))
			return -1;
	}
	return 0;
}

static bool
load_pair(void *arg, const struct store_pair *pair)
{
	struct pairs *pairs = judge_pairs(arg, pair->direct);
	struct pair_key key = {
		.host = pair->host, .host_len = pair->host_len, .pid = pair->pid
	};
	struct addr client;
	const char *name;

	/* a server that is no longer paired, or no longer known */
	if (pairs == NULL ||
	    !addr_parse_n(pair->client, strlen(pair->client), &client))
		return true;
	while ((name = parser_server_name(key.server)) != NULL &&
	    strcmp(name, pair->server) != 0)
		key.server++;
	if (name != NULL)
		pairs_open(pairs, &key, &client, pair->at);
	return true;
}

int
pair_store_load(struct judge *j, struct store *st, struct err *err)
{
	return store_each_pair(st, load_pair, j, err);
}

static bool
copy_pair(void *arg, const struct pair_key *key, const struct addr *client,
    int64_t at)
{
	pairs_open(arg, key, client, at);
	return true;
}

void
pair_store_copy(struct judge *j, const struct judge *from)
{
	for (int i = 0; i < 2; i++) {
		struct pairs *to = judge_pairs(j, i == 1);
		const struct pairs *old = judge_pairs(from, i == 1);

		if (to != NULL && old != NULL)
			(void)pairs_each(old, copy_pair, to);
	}
}

uint64_t
pair_store_changes(const struct judge *j)
{
	uint64_t n = 0;

	for (int i = 0; i < 2; i++)
		if (judge_pairs(j, i == 1) != NULL)
			n += pairs_changes(judge_pairs(j, i == 1));
	return n;
}
