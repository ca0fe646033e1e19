/* SPDX-License-Identifier: ISC */
/* replay - what would be learnt from a log; writes nothing. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/logs/lines.h"
#include "common/logs/unpack.h"
#include "common/policy/judge.h"
#include "ctl/causes.h"
#include "ctl/commands.h"
#include "ctl/out.h"
#include "ctl/text_table.h"

enum { OPT_EACH, OPT_REASON, OPT_SERVERS, OPT_ZONE };

enum { TALLIES_MAX = 200, SAMPLE_TEXT_MAX = 400 };

static const struct ctl_option options[] = {
	[OPT_EACH] = { "each", NULL,
	    "a verdict for each line: login or ignore, user, address" },
	[OPT_REASON] = { "reason", NULL,
	    "with --each: why, as a fourth column" },
	[OPT_SERVERS] = { "servers", "LIST",
	    "grammars, separated by commas, instead of collector.servers" },
	[OPT_ZONE] = { "zone", "ZONE",
	    "of stamps that name none, as in collector.sources" },
	{ 0 }
};

/* How many lines of a server had a fate. */
struct tally {
	const char *server; /* constant */
	enum fate fate;
	int64_t n;
	char sample[SAMPLE_TEXT_MAX]; /* the first of them */
};

struct replay {
	struct ctl *ctl;
	struct judge *judge;
	bool each, reason;
	int64_t now; /* chooses the year of a stamp without one */
	struct zone zone; /* of stamps that name none */
	int64_t lines, logins, current;
	struct tally tally[TALLIES_MAX];
	size_t n;
	bool progress, shown;
	int64_t next_ms;
};

static void
sample(const struct line *line, char *buf)
{
	char text[SAMPLE_TEXT_MAX];
	size_t n = line->len < sizeof(text) ? line->len : sizeof(text) - 1;

	memcpy(text, line->text, n);
	text[n] = '\0';
	out_escape(text, buf, SAMPLE_TEXT_MAX);
}

static void
count(struct replay *r, const struct judged *j, const struct line *line)
{
	size_t i = 0;

	while (i < r->n &&
	    (strcmp(r->tally[i].server, j->server) != 0 ||
		r->tally[i].fate != j->fate))
		i++;
	if (i == TALLIES_MAX)
		return;
	if (i == r->n) {
		r->tally[r->n++] =
		    (struct tally){ .server = j->server, .fate = j->fate };
		sample(line, r->tally[i].sample);
	}
	r->tally[i].n++;
}

static void
print_each(const struct replay *r, const struct judged *j)
{
	char user[LOGIN_USER_MAX * 4], client[ADDR_TEXT_MAX];

	if (j->fate == FATE_LOGIN)
		(void)printf("login\t%s\t%s",
		    out_escape(j->login.user, user, sizeof(user)),
		    addr_format(&j->login.client, client));
	else
		(void)fputs("ignore\t-\t-", stdout);
	if (r->reason)
		(void)printf("\t%s", fate_name(j->fate));
	(void)putchar('\n');
}

static void
take_line(struct replay *r, struct line *line)
{
	struct judged j;

	line->zone = r->zone;

	r->lines++;
	judge_line(r->judge, line, false, r->now, &j);
	judge_guess(r->judge, line, false, &j);
	if (r->each) {
		print_each(r, &j);
		return;
	}
	count(r, &j, line);
	if (j.fate != FATE_LOGIN)
		return;
	r->logins++;
	r->current += j.expires_at + j.ahead_s > r->ctl->now;
}

static void
show_progress(struct replay *r)
{
	if (!r->progress || clock_monotonic_ms() < r->next_ms)
		return;
	r->next_ms = clock_monotonic_ms() + 200;
	(void)fprintf(stderr, "\r%" PRId64 " lines, %" PRId64 " logins\033[K",
	    r->lines, r->logins);
	r->shown = true;
}

/* A file, which may be packed, or a pipe, by gzip then. */
struct input {
	struct unpack *packed; /* NULL: gz, which takes plain text too */
	gzFile gz;
};

/* Returns bytes, 0 at the end, or -1 with err. */
static ssize_t
input_read(const struct input *in, char *to, size_t room, struct err *err)
{
	if (in->packed != NULL)
		return unpack_read(in->packed, to, room, err);
	int code, n = gzread(in->gz, to, (unsigned)room);

	if (n == -1)
		err_set(err, ERR_IO, "%s", gzerror(in->gz, &code));
	return n;
}

/* Read to the end; a last line without a newline is a line too. */
static int
read_all(struct replay *r, const struct input *in, const char *name)
{
	struct lines lines;
	struct line line;
	char last = '\n';
	struct err err;
	ssize_t n;
	int rc = 0;

	if (!lines_init(&lines, 0))
		return ctl_fail(r->ctl, EX_OSERR, "out of memory");
	do {
		size_t room;
		char *to = lines_room(&lines, &room);

		n = input_read(in, to, room, &err);
		if (n == -1) {
			rc = ctl_fail(
			    r->ctl, EX_IOERR, "%s: %s", name, err.text);
			break;
		}
		if (n > 0)
			last = to[n - 1];
		else if (last != '\n')
			*to = '\n';
		lines_added(&lines, n > 0 ? (size_t)n : last != '\n');
		while (lines_next(&lines, &line))
			take_line(r, &line);
		show_progress(r);
	} while (n > 0 && !ferror(stdout));
	if (r->shown)
		(void)fputs("\r\033[K", stderr);
	lines_release(&lines);
	return rc;
}

/* Why lines that look like logins are none, and what would take them. */
static void
causes(const struct replay *r)
{
	char words[CAUSE_TEXT_MAX];

	for (size_t i = 0; i < r->n; i++) {
		const struct tally *t = &r->tally[i];
		const struct cause cause = { .fate = t->fate,
			.server = t->server,
			.lines = t->n,
			.sample = t->sample };

		if (cause_words(&cause, words, sizeof(words)))
			(void)printf("\n%s%s%s\n", t->server,
			    *t->server == '\0' ? "" : ": ", words);
	}
}

static void
summary(const struct replay *r)
{
	static const char *const heads[] = { "SERVER", "VERDICT", "LINES" };
	struct table *t = table_new(heads, 3);

	for (size_t i = 0; i < r->n; i++) {
		table_cell(t, r->tally[i].server);
		table_cell(t, fate_name(r->tally[i].fate));
		table_number(t, r->tally[i].n);
	}
	(void)table_end(t);
	(void)printf("%s%" PRId64 " lines, %" PRId64 " logins; %" PRId64
		     " of them would still count now.\n",
	    r->n == 0 ? "" : "\n", r->lines, r->logins, r->current);
	causes(r);
}

static int
replay_fd(struct replay *r, int fd, const char *name)
{
	struct input in = { .packed = NULL };
	struct stat st;
	struct err err;
	int rc;

	/* the year of a stamp without one: when the log was last written */
	r->now = r->ctl->now;
	bool regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);

	if (regular)
		r->now = st.st_mtim.tv_sec;
	if (regular && unpack_open(fd, &in.packed, &err) == -1) {
		(void)close(fd);
		return ctl_fail(r->ctl, EX_IOERR, "%s: %s", name, err.text);
	}
	if (in.packed == NULL && (in.gz = gzdopen(fd, "rb")) == NULL) {
		(void)close(fd);
		return ctl_fail(r->ctl, EX_OSERR, "out of memory");
	}
	if (in.gz != NULL)
		(void)gzbuffer(in.gz, 128 * 1024);
	rc = read_all(r, &in, name);
	if (in.gz != NULL)
		(void)gzclose(in.gz);
	unpack_close(&in.packed);
	return rc;
}

static int
open_input(const struct ctl *ctl, const char *name, int *fd_r)
{
	FILE *in;

	if (strcmp(name, "-") == 0) {
		*fd_r = dup(STDIN_FILENO);
		return *fd_r == -1 ? ctl_fail(ctl, EX_OSERR,
					 "standard input: "
					 "%s",
					 strerror(errno))
				   : 0;
	}
	in = fopen(name, "re");
	*fd_r = in == NULL ? -1 : dup(fileno(in));
	if (*fd_r == -1)
		return ctl_fail(ctl, errno == EACCES ? EX_NOPERM : EX_NOINPUT,
		    "%s: %s", name, strerror(errno));
	(void)fclose(in);
	return 0;
}

/* Only --each takes nginx's own error_log: the collector refuses it, and the
 * summary is of what the collector would learn. */
static int
make_judge(struct replay *r, const char *servers)
{
	struct string_list names = { 0 };
	const struct judge_replay replay = {
		.servers = servers == NULL ? NULL : &names,
		.nginx_file = r->each,
	};
	const char *word = servers;
	struct err err;
	int rc = 0;

	while (word != NULL && *(word += strspn(word, ", ")) != '\0') {
		size_t len = strcspn(word, ", ");

		if (!string_list_add(&names, word, len))
			rc = ctl_fail(r->ctl, EX_OSERR, "out of memory");
		word += len;
	}
	if (rc == 0 && judge_new(r->ctl->cfg, &replay, &r->judge, &err) == -1)
		rc = ctl_fail(r->ctl, servers == NULL ? EX_CONFIG : EX_USAGE,
		    "%s", err.text);
	string_list_release(&names);
	return rc;
}

/* --zone, or else that of the source whose file it is. */
static int
choose_zone(struct replay *r, const char *word, const char *file)
{
	const struct config *cfg = r->ctl->cfg;

	for (size_t i = 0; i < cfg->collector.n_sources; i++)
		if (strcmp(cfg->collector.sources[i].where, file) == 0)
			r->zone = cfg->collector.sources[i].zone;
	if (word != NULL && !zone_parse(word, &r->zone))
		return ctl_fail(r->ctl, EX_USAGE,
		    "--zone %s: expected UTC or an offset like +01:00", word);
	return 0;
}

static int
run(struct ctl *ctl, const struct ctl_args *args)
{
	struct replay *r;
	int fd, rc = ctl_config(ctl);

	if (rc == 0 && args->opt[OPT_REASON] != NULL &&
	    args->opt[OPT_EACH] == NULL)
		rc = ctl_fail(ctl, EX_USAGE, "--reason goes with --each");
	if (rc != 0)
		return rc;
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		return ctl_fail(ctl, EX_OSERR, "out of memory");
	r->ctl = ctl;
	r->each = args->opt[OPT_EACH] != NULL;
	r->reason = args->opt[OPT_REASON] != NULL;
	r->progress = !r->each && isatty(STDERR_FILENO);
	r->next_ms = clock_monotonic_ms() + 1000;
	rc = make_judge(r, args->opt[OPT_SERVERS]);
	if (rc == 0)
		rc = choose_zone(r, args->opt[OPT_ZONE], args->v[0]);
	if (rc == 0)
		rc = open_input(ctl, args->v[0], &fd);
	if (rc == 0)
		rc = replay_fd(r, fd, args->v[0]);
	if (rc == 0 && !r->each)
		summary(r);
	judge_free(&r->judge);
	free(r);
	return rc;
}

const struct command cmd_replay = { .name = "replay",
	.args = "[--each [--reason]] [--servers LIST] [--zone ZONE] FILE|-",
	.summary = "what would be learnt from a log, writing nothing",
	.help =
	    "FILE may be packed by gzip, bzip2, xz or zstd; - is standard "
	    "input. --each prints\nfor every line "
	    "'login<TAB>user<TAB>address' or 'ignore<TAB>-<TAB>-', by the\n"
	    "grammars and relay.never_authorize, whatever the line's age; "
	    "the machine's\nown addresses are not asked for, as the log may be another "
	    "machine's. Two-line servers must be named in\n--servers or "
	    "collector.servers, and are paired over lines.\n",
	.options = options,
	.min = 1,
	.max = 1,
	.run = run };
