/* SPDX-License-Identifier: ISC */
#include "ctl/incident/rights.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/fnv.h"
#include "common/db/audit.h"
#include "common/records/decision.h"

enum { USERS_MAX = 1 << 16 };

struct entry {
	uint64_t key; /* 0: free */
	uint32_t user; /* place in users plus one; 0: none */
	uint8_t right;
};

struct rights {
	struct entry *v; /* open addressing, a power of two */
	size_t size, n;
	char (*users)[INCIDENT_USER_MAX];
	size_t users_n, users_room;
	uint32_t *user_index; /* open addressing, twice USERS_MAX */
	bool complete, no_memory;
};

static uint64_t
add_hash(uint64_t h, const char *text, size_t n, bool fold)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];

		if (fold && c >= 'A' && c <= 'Z')
			c = (unsigned char)(c - 'A' + 'a');
		h = fnv_add(h, &c, 1);
	}
	/* its length, as one text could begin where another ends */
	return fnv_add(h, &n, sizeof(n));
}

static uint64_t
finish(uint64_t h)
{
	h = fnv_mix(h);
	return h == 0 ? 1 : h;
}

static uint64_t
key_of_id(const char *id, const char *client)
{
	uint64_t h = add_hash(FNV_START, "q", 1, false);

	h = add_hash(h, id, strlen(id), false);
	return finish(add_hash(h, client, strlen(client), false));
}

static struct span
bare(struct span s)
{
	if (SPAN_STARTS(s, "<") && SPAN_CHOP(&s, ">"))
		s.p++;
	return s;
}

static uint64_t
key_of_words(const char *client, const char *sender, struct span recipient)
{
	struct span from = bare(span_of(sender, strlen(sender)));
	uint64_t h = add_hash(FNV_START, "w", 1, false);

	recipient = bare(recipient);
	h = add_hash(h, client, strlen(client), false);
	h = add_hash(h, from.p, span_len(from), true);
	return finish(add_hash(h, recipient.p, span_len(recipient), true));
}

static struct entry *
slot(const struct rights *r, uint64_t key)
{
	size_t i = (size_t)key & (r->size - 1);

	assert(key != 0 && r->n < r->size);
	while (r->v[i].key != 0 && r->v[i].key != key)
		i = (i + 1) & (r->size - 1);
	return &r->v[i];
}

static bool
grow(struct rights *r)
{
	struct rights bigger = { .size = r->size == 0 ? 1024 : r->size * 2 };

	bigger.v = calloc(bigger.size, sizeof(*bigger.v));
	if (bigger.v == NULL)
		return false;
	for (size_t i = 0; i < r->size; i++)
		if (r->v[i].key != 0)
			*slot(&bigger, r->v[i].key) = r->v[i];
	free(r->v);
	r->v = bigger.v;
	r->size = bigger.size;
	return true;
}

static uint32_t
intern(struct rights *r, const char *user)
{
	const uint32_t mask = 2 * USERS_MAX - 1;
	uint32_t i =
	    (uint32_t)finish(add_hash(0, user, strlen(user), false)) & mask;

	assert(r->users_n <= USERS_MAX);
	if (*user == '\0' || strlen(user) >= INCIDENT_USER_MAX)
		return 0;
	for (; r->user_index[i] != 0; i = (i + 1) & mask)
		if (strcmp(r->users[r->user_index[i] - 1], user) == 0)
			return r->user_index[i];
	if (r->users_n == USERS_MAX)
		return 0;
	if (r->users_n == r->users_room) {
		size_t room = r->users_room == 0 ? 64 : r->users_room * 2;
		void *v = reallocarray(r->users, room, sizeof(*r->users));

		if (v == NULL)
			return 0;
		r->users = v;
		r->users_room = room;
	}
	memcpy(r->users[r->users_n], user, strlen(user) + 1);
	return r->user_index[i] = (uint32_t)++r->users_n;
}

static void
put(struct rights *r, uint64_t key, enum right right, uint32_t user)
{
	struct entry *e;

	if ((r->n + 1) * 4 > r->size * 3 && !grow(r)) {
		r->no_memory = true;
		return;
	}
	e = slot(r, key);
	/* a right to relay weighs more than a recipient of ours */
	if (e->key != 0 && right == RIGHT_FORWARD)
		return;
	r->n += e->key == 0;
	*e =
	    (struct entry){ .key = key, .user = user, .right = (uint8_t)right };
}

static enum right
right_of_reason(const char *reason)
{
	switch (reason_basis(reason_find(reason))) {
	case BASIS_AUTH:
		return RIGHT_AUTH;
	case BASIS_LOGIN:
		return RIGHT_LOGIN;
	case BASIS_NETWORK:
		return RIGHT_NETWORK;
	case BASIS_CERTIFICATE:
		return RIGHT_CERTIFICATE;
	case BASIS_RECIPIENT:
		return RIGHT_FORWARD;
	case BASIS_NOTHING:
	case BASIS_NO_LOGIN:
	case BASIS_HELD_BACK:
		break;
	}
	return RIGHT_NONE;
}

static bool
take(void *arg, const struct audit_record *a)
{
	struct rights *r = arg;
	enum right right = right_of_reason(a->reason);
	uint32_t user;

	if (right == RIGHT_NONE)
		return true;
	if (r->n >= RIGHTS_ROWS_MAX) {
		r->complete = false;
		return false;
	}
	user = intern(r,
	    a->auth_user != NULL && *a->auth_user != '\0' ? a->auth_user
		: a->login_user == NULL                   ? ""
							  : a->login_user);
	if (a->queue_id != NULL && *a->queue_id != '\0')
		put(r, key_of_id(a->queue_id, a->client), right, user);
	else if (right != RIGHT_FORWARD)
		put(r,
		    key_of_words(a->client, a->sender,
			span_of(a->recipient, strlen(a->recipient))),
		    right, user);
	return !r->no_memory;
}

int
rights_load(struct audit_reader *reader, int64_t since, struct rights **r_r,
    struct err *err)
{
	struct rights *r = calloc(1, sizeof(*r));
	/* what waits in the queue was decided earlier */
	const struct audit_filter filter = {
		.channels = true,
		.verdict = "accept",
		.since_ms = (since - 86400) * 1000,
	};
	int rc = -1;

	*r_r = r;
	if (r != NULL && grow(r) &&
	    (r->user_index = calloc(2 * USERS_MAX, sizeof(*r->user_index))) !=
		NULL) {
		r->complete = true;
		rc = audit_each(reader, &filter, take, r, err);
	} else {
		err_set(err, ERR_NOMEM, "out of memory");
	}
	if (rc == 0 && r->no_memory) {
		err_set(err, ERR_NOMEM, "out of memory");
		rc = -1;
	}
	if (rc == -1) {
		rights_free(r);
		*r_r = NULL;
	}
	return rc;
}

void
rights_free(struct rights *r)
{
	if (r == NULL)
		return;
	free(r->v);
	free(r->users);
	free(r->user_index);
	free(r);
}

bool
rights_complete(const struct rights *r)
{
	return r->complete;
}

enum right
rights_find(const struct rights *r, const char *queue_id, const char *client,
    const char *sender, struct span recipient, char user_r[INCIDENT_USER_MAX])
{
	const struct entry *e = slot(r, key_of_id(queue_id, client));

	if (e->key == 0)
		e = slot(r, key_of_words(client, sender, recipient));
	if (e->key == 0)
		return RIGHT_NONE;
	if (e->user != 0)
		memcpy(user_r, r->users[e->user - 1], INCIDENT_USER_MAX);
	return (enum right)e->right;
}
