/* SPDX-License-Identifier: ISC */
#include "collector/stats.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/db/store.h"
#include "common/records/silence.h"

struct row {
	char server[STATS_NAME_MAX];
	enum fate fate;
	/* since the last save */
	int64_t lines, since_login;
	int64_t first_at, last_at;
	size_t sample_len;
	char sample[STATS_SAMPLE];
};

struct server {
	char name[STATS_NAME_MAX];
	bool login; /* since the last save */
	bool quiet; /* it was named by stats_quiet() */
	/* since the last login */
	int64_t lines, unknown, since;
	int64_t alarm_s; /* how long a silence is named next */
};

struct stats {
	struct row row[STATS_ROWS];
	size_t n_rows, last;
	struct server server[STATS_SERVERS];
	size_t n_servers;
};

struct stats *
stats_new(void)
{
	return calloc(1, sizeof(struct stats));
}

void
stats_free(struct stats **s)
{
	free(*s);
	*s = NULL;
}

static bool
row_is(const struct row *row, const char *server, enum fate fate)
{
	return row->fate == fate &&
	    strncmp(row->server, server, STATS_NAME_MAX - 1) == 0;
}

/* NULL: the table is full. */
static struct row *
find_row(struct stats *s, const char *server, enum fate fate)
{
	size_t i;

	assert(s->n_rows <= STATS_ROWS && s->last < STATS_ROWS);
	/* most lines are like the one before */
	if (s->n_rows > 0 && row_is(&s->row[s->last], server, fate))
		return &s->row[s->last];
	for (i = 0; i < s->n_rows; i++)
		if (row_is(&s->row[i], server, fate))
			break;
	if (i == STATS_ROWS)
		return NULL;
	if (i == s->n_rows) {
		(void)snprintf(s->row[i].server, STATS_NAME_MAX, "%s", server);
		s->row[i].fate = fate;
		s->n_rows++;
	}
	s->last = i;
	return &s->row[i];
}

static struct server *
find_server(struct stats *s, const char *name)
{
	size_t i;

	assert(s->n_servers <= STATS_SERVERS);
	for (i = 0; i < s->n_servers; i++)
		if (strncmp(s->server[i].name, name, STATS_NAME_MAX - 1) == 0)
			return &s->server[i];
	if (i == STATS_SERVERS)
		return NULL;
	(void)snprintf(s->server[i].name, STATS_NAME_MAX, "%s", name);
	s->server[i].alarm_s = SILENT_S;
	s->n_servers++;
	return &s->server[i];
}

static void
count_server(
    struct stats *s, const char *name, enum fate fate, bool silent, int64_t now)
{
	struct server *server = find_server(s, name);

	if (server == NULL)
		return;
	server->quiet = false;
	if (silent && server->lines++ == 0)
		server->since = now;
	server->unknown += fate == FATE_UNKNOWN_SHAPE;
	if (fate != FATE_LOGIN)
		return;
	server->lines = server->unknown = 0;
	server->alarm_s = SILENT_S;
	server->login = true;
	for (size_t i = 0; i < s->n_rows; i++)
		if (strncmp(s->row[i].server, name, STATS_NAME_MAX - 1) == 0)
			s->row[i].since_login = 0;
}

/* Is the newest line of this fate kept, for an admin to look at? */
static bool
is_shown(enum fate fate)
{
	return fate == FATE_UNKNOWN_SHAPE || fate == FATE_UNKNOWN_TAG ||
	    fate == FATE_UNKNOWN_PREFIX || fate == FATE_FORGED ||
	    fate == FATE_UNTRUSTED || fate == FATE_STREAM_PIECE ||
	    fate == FATE_AMBIGUOUS || fate == FATE_LATE ||
	    fate == FATE_TRUNCATED;
}

static void
take_sample(struct row *row, const char *sample, size_t len)
{
	assert(sample != NULL);
	row->sample_len = len < STATS_SAMPLE ? len : STATS_SAMPLE;
	memcpy(row->sample, sample, row->sample_len);
}

void
stats_line(struct stats *s, const char *server, enum fate fate,
    const char *line, size_t len, int64_t now)
{
	assert(fate > FATE_NONE && fate < FATE_N);
	struct row *row = find_row(s, server, fate);
	bool silent =
	    *server != '\0' && fate != FATE_LOGIN && fate != FATE_FAILED_LOGIN;

	if (*server != '\0')
		count_server(s, server, fate, silent, now);
	if (row == NULL)
		return;
	if (row->lines++ == 0)
		row->first_at = now;
	row->since_login += silent;
	row->last_at = now;
	if (is_shown(fate))
		take_sample(row, line, len);
}

void
stats_set_back(struct stats *s, int64_t now)
{
	for (size_t i = 0; i < s->n_servers; i++)
		if (s->server[i].since > now)
			s->server[i].since = now;
}

int
stats_save(const struct stats *s, struct store *st, const char *source,
    struct err *err)
{
	for (size_t i = 0; i < s->n_servers; i++)
		if (s->server[i].login &&
		    store_count_login(st, source, s->server[i].name, err) == -1)
			return -1;
	for (size_t i = 0; i < s->n_rows; i++) {
		const struct row *row = &s->row[i];
		const struct store_count more = { .source = source,
			.server = row->server,
			.reason = fate_name(row->fate),
			.lines = row->lines,
			.since_login = row->since_login,
			.first_at = row->first_at,
			.last_at = row->last_at,
			.sample = row->sample };

		if (row->lines > 0 &&
		    store_count_add(st, &more, row->sample_len, err) == -1)
			return -1;
	}
	return 0;
}

void
stats_saved(struct stats *s)
{
	for (size_t i = 0; i < s->n_servers; i++)
		s->server[i].login = false;
	for (size_t i = 0; i < s->n_rows; i++) {
		s->row[i].lines = s->row[i].since_login = 0;
		s->row[i].sample_len = 0;
	}
}

/* 4812 -> "4,812" */
static const char *
thousands(int64_t n, char *buf, size_t size)
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%" PRId64, n);
	size_t at = 0;

	assert(size > 0);
	for (int i = 0; i < len && at + 2 < size; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			buf[at++] = ',';
		buf[at++] = digits[i];
	}
	buf[at] = '\0';
	return buf;
}

bool
stats_alarm(struct stats *s, int64_t now, char *buf, size_t size)
{
	for (size_t i = 0; i < s->n_servers; i++) {
		struct server *v = &s->server[i];
		char lines[32], unknown[32], shape[80] = "";

		if (v->lines == 0 || now - v->since < v->alarm_s ||
		    (v->lines < SILENT_LINES && v->unknown < SILENT_UNKNOWN))
			continue;
		if (v->unknown > 0)
			(void)snprintf(shape, sizeof(shape),
			    ", %s of unknown shape",
			    thousands(v->unknown, unknown, sizeof(unknown)));
		(void)snprintf(buf, size,
		    "%s: %s lines, 0 logins in %" PRId64
		    " h%s: format changed?",
		    v->name, thousands(v->lines, lines, sizeof(lines)),
		    (now - v->since) / 3600, shape);
		v->alarm_s = 2 * (now - v->since);
		return true;
	}
	return false;
}

bool
stats_quiet(struct stats *s, const char *server)
{
	struct server *v = find_server(s, server);

	if (v == NULL || v->quiet)
		return false;
	v->quiet = true;
	return true;
}
