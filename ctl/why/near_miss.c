/* SPDX-License-Identifier: ISC */
#include "ctl/why/near_miss.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/logs/lines.h"
#include "common/policy/judge.h"
#include "ctl/times.h"

enum {
	NEAR_TAIL = 8 * 1024 * 1024, /* bytes searched of each file */
	NEAR_LINES = 5 /* newest kept of each file */
};

struct hit {
	char text[LINES_MAX + 1];
	int64_t position;
	const char *why; /* constant */
};

struct near {
	struct ctl *ctl;
	struct judge *judge;
	struct json *json;
	const struct addr *client;
	int64_t deleted_at;
	char text[2][ADDR_TEXT_MAX]; /* the client, as servers write it */
	struct hit *hit; /* ring of NEAR_LINES */
	size_t hits;
	bool title;
};

/* Does the line hold the address, and not as a part of another, as 192.0.2.1 is
 * of "192.0.2.10"? */
static bool
names_it(const char *line, size_t len, const char *text)
{
	size_t n = strlen(text);

	for (const char *p = line, *end = line + len;
	     (p = memmem(p, (size_t)(end - p), text, n)) != NULL; p++) {
		char before = p == line ? ' ' : p[-1];
		char after = p + n == end ? ' ' : p[n];

		if (strchr("0123456789.", before) == NULL &&
		    strchr("0123456789abcdefABCDEF:", after) == NULL &&
		    !(after == '.' && p + n + 1 < end && p[n + 1] >= '0' &&
			p[n + 1] <= '9'))
			return true;
	}
	return false;
}

static void
take_line(struct near *near, const struct line *line)
{
	struct judged j;

	/* every line must be judged, for two-line servers */
	judge_line(near->judge, line, false, near->ctl->now, &j);
	if (!names_it(line->text, line->len, near->text[0]) &&
	    !names_it(line->text, line->len, near->text[1]))
		return;
	/* a line of another program is no near miss */
	if (*j.server == '\0')
		return;
	struct hit *h = &near->hit[near->hits++ % NEAR_LINES];

	memcpy(h->text, line->text, line->len);
	h->text[line->len] = '\0';
	h->position = line->position;
	if (j.fate != FATE_LOGIN)
		h->why = fate_name(j.fate);
	else if (j.login.at + j.ahead_s <= near->deleted_at)
		h->why = "a login, but an admin deleted the client later";
	else if (j.expires_at <= near->ctl->now)
		h->why = "a login, but too old to count";
	else
		h->why =
		    "a login that should count: has the collector read it?";
}

static void
read_tail(struct near *near, int fd, int64_t offset, const struct zone *zone)
{
	struct lines lines;
	struct line line;
	bool first = offset > 0;
	ssize_t n = 1;

	if (!lines_init(&lines, offset))
		return;
	while (n > 0) {
		size_t room;
		char *to = lines_room(&lines, &room);

		n = pread(fd, to, room, lines_read_offset(&lines));
		if (n > 0)
			lines_added(&lines, (size_t)n);
		while (n > 0 && lines_next(&lines, &line)) {
			line.zone = *zone;
			/* the first begins somewhere inside a line */
			if (!first && !line.too_long)
				take_line(near, &line);
			first = false;
		}
	}
	lines_release(&lines);
}

static void
show_hit(struct near *near, const char *source, const struct hit *h)
{
	if (near->json != NULL) {
		json_open(near->json, NULL, '{');
		json_text(near->json, "source", source);
		json_number(near->json, "position", h->position);
		json_text(near->json, "reason", h->why);
		json_text(near->json, "line", h->text);
		json_close(near->json, '}');
		return;
	}
	(void)fputs("  ", stdout);
	out_text(source);
	(void)printf(" at byte %" PRId64 ": %s\n    ", h->position, h->why);
	out_text(h->text);
	(void)putchar('\n');
}

static void
search_file(struct near *near, const struct config_source *source)
{
	char why[200];
	struct stat st;
	int fd = open(source->where, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd == -1 || fstat(fd, &st) == -1) {
		(void)snprintf(
		    why, sizeof(why), "can't be read: %s", strerror(errno));
		if (near->json == NULL) {
			(void)fputs("  ", stdout);
			out_text(source->name);
			(void)printf(" %s\n", why);
		}
		if (fd != -1)
			(void)close(fd);
		return;
	}
	near->hits = 0;
	if (S_ISREG(st.st_mode))
		read_tail(near, fd,
		    st.st_size > NEAR_TAIL ? st.st_size - NEAR_TAIL : 0,
		    &source->zone);
	(void)close(fd);
	size_t n = near->hits < NEAR_LINES ? near->hits : NEAR_LINES;

	for (size_t i = 0; i < n; i++)
		show_hit(near, source->name,
		    &near->hit[(near->hits - 1 - i) % NEAR_LINES]);
	if (n == 0 && near->json == NULL) {
		(void)fputs("  ", stdout);
		out_text(source->name);
		(void)fputs(": no POP or IMAP server's line names it", stdout);
		if (st.st_size > NEAR_TAIL)
			(void)printf(" in the last %d MB", NEAR_TAIL >> 20);
		(void)putchar('\n');
	}
}

static void
say_collector(const struct near *near, const struct verdict_answer *a)
{
	const struct ctl *ctl = near->ctl;
	char when[TIME_TEXT_MAX];

	if (a->store_failed)
		return;
	if (a->sources_read_at == 0)
		(void)puts(
		    "  popgate-collector has never read a log here: nobody's login is known");
	else if (a->sources_read_at == STORE_NEVER_READ)
		(void)puts(
		    "  a log was never read to its end: what it says of logins is not known\n"
		    "  ('popgatectl status')");
	else if (ctl->now - a->sources_read_at > 60)
		(void)printf(
		    "  the logs were last read %s: newer logins are not known\n",
		    time_past(a->sources_read_at, ctl->now, when));
	if (a->found.expires_at != 0)
		(void)printf("  the login expired %s\n",
		    time_both(a->found.expires_at, ctl->now, when));
}

static bool
make_judge(struct near *near)
{
	const struct judge_replay replay = { .servers = NULL };
	struct err err;

	if (judge_new(near->ctl->cfg, &replay, &near->judge, &err) == 0)
		return true;
	(void)ctl_fail(near->ctl, EX_CONFIG, "%s", err.text);
	return false;
}

void
near_show(struct ctl *ctl, const struct addr *client,
    const struct verdict_answer *a, int64_t deleted_at, struct json *j)
{
	struct near near = { .ctl = ctl,
		.json = j,
		.client = client,
		.deleted_at = deleted_at };

	/* A client that is denied or over a limit has log lines that "should
	 * count": they are no near misses. */
	bool missed = reason_basis(a->said.decision.reason) == BASIS_NO_LOGIN;

	if (j == NULL && !missed)
		return;
	if (j != NULL)
		json_open(j, "near_misses", '[');
	else
		(void)puts("\nNear misses:");
	if (j == NULL)
		say_collector(&near, a);
	if (j == NULL && ctl->cfg->collector.n_sources == 0)
		(void)puts("  collector.sources names no log to look into");
	near.hit = calloc(NEAR_LINES, sizeof(*near.hit));
	addr_format(client, near.text[0]);
	addr_format_long(client, near.text[1]);
	if (missed && near.hit != NULL && client->family != ADDR_NONE &&
	    make_judge(&near))
		for (size_t i = 0; i < ctl->cfg->collector.n_sources; i++) {
			const struct config_source *s =
			    &ctl->cfg->collector.sources[i];

			if (s->kind == SOURCE_FILE)
				search_file(&near, s);
			else if (j == NULL)
				(void)printf(
				    "  %s: can't be searched afterwards\n",
				    s->name);
		}
	judge_free(&near.judge);
	free(near.hit);
	if (j != NULL)
		json_close(j, ']');
}
