/* SPDX-License-Identifier: ISC */
/* The systemd journal. Whom an entry is from is told by fields that begin
 * with an underscore: journald fills them in from the kernel, and senders
 * can't set them. What the sender may set (identifier, message, pid) is taken
 * only where it is there once. The mark is the journal's cursor. */
#include <assert.h>
#include <errno.h>
#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <time.h>
#include <unistd.h>

#include "collector/sources/source.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/grammar/streams.h"
#include "common/logs/lines.h"

enum {
	WORD_MAX = 256,
	TEXT_MAX = LINES_MAX + 3 * WORD_MAX,
	REOPEN_MS = 5000, /* how often to look for a first journal */
	/* journald writes by mmap(2), and tells inotify up to 250 ms late:
	 * looking in between, at 0.6 % of a core, is the cheapest way to have
	 * a login in 10 ms; each 2 ms would be 1.5 % */
	POLL_MS = 5
};

enum field {
	F_MESSAGE,
	F_IDENTIFIER,
	F_SYSLOG_PID,
	F_PID,
	F_UID,
	F_HOST,
	F_COMM,
	F_EXE,
	F_UNIT,
	F_TRANSPORT,
	F_LINE_BREAK,
	F_STREAM,
	F_N_DROPPED,
	FIELDS
};

static const struct {
	const char *name;
	bool sender; /* the sender may set it */
} fields[FIELDS] = { [F_MESSAGE] = { "MESSAGE=", true },
	[F_IDENTIFIER] = { "SYSLOG_IDENTIFIER=", true },
	[F_SYSLOG_PID] = { "SYSLOG_PID=", true },
	[F_PID] = { "_PID=", false },
	[F_UID] = { "_UID=", false },
	[F_HOST] = { "_HOSTNAME=", false },
	[F_COMM] = { "_COMM=", false },
	[F_EXE] = { "_EXE=", false },
	[F_UNIT] = { "_SYSTEMD_UNIT=", false },
	[F_TRANSPORT] = { "_TRANSPORT=", false },
	[F_LINE_BREAK] = { "_LINE_BREAK=", false },
	[F_STREAM] = { "_STREAM_ID=", false },
	[F_N_DROPPED] = { "N_DROPPED=", true } };

struct journal {
	sd_journal *j;
	bool at_unread; /* j stands on an entry not given out yet */
	bool missing; /* it has been noted that there is none */
	int64_t opened_ms;
	int64_t since;
	int64_t position; /* microseconds of the newest entry read */
	char cursor[MARK_FINGERPRINT_MAX]; /* "" none read yet */
	void (*note)(void *arg, int priority, const char *text);
	void *note_arg;
	/* the entry that is being given out */
	char word[FIELDS][WORD_MAX];
	char text[TEXT_MAX];
	struct streams streams; /* of others the journal knows */
};

/* sd-journal opens what it may read and says nothing of the rest. */
static int
check_access(struct err *err)
{
	static const char *const patterns[] = {
		"/run/log/journal/*/system.journal",
		"/var/log/journal/*/system.journal"
	};
	glob_t found = { 0 };
	size_t readable = 0;

	for (int i = 0; i < 2; i++)
		(void)glob(patterns[i], i == 0 ? 0 : GLOB_APPEND, NULL, &found);
	for (size_t i = 0; i < found.gl_pathc; i++)
		readable += access(found.gl_pathv[i], R_OK) == 0;
	if (found.gl_pathc > 0 && readable == 0)
		err_set(err, ERR_IO,
		    "%s: %s: be root, or in group systemd-journal",
		    found.gl_pathv[0], strerror(EACCES));
	int ret = found.gl_pathc > 0 && readable == 0 ? -1 : 0;

	globfree(&found);
	return ret;
}

/* Stand so that sd_journal_next() gives the first entry to read, or on it. */
static int
seek(struct journal *s)
{
	s->at_unread = false;
	if (*s->cursor == '\0')
		return sd_journal_seek_realtime_usec(
		    s->j, (uint64_t)s->since * 1000000);
	int r = sd_journal_seek_cursor(s->j, s->cursor);

	if (r == -EINVAL) {
		s->note(s->note_arg, LOG_NOTICE,
		    "journal: unknown cursor: reading as far back as logins count");
		*s->cursor = '\0';
		return seek(s);
	}
	if (r >= 0)
		r = sd_journal_next(s->j);
	/* the entry itself, or, when it was deleted, the one behind it */
	if (r > 0 && sd_journal_test_cursor(s->j, s->cursor) <= 0)
		s->at_unread = true;
	return r;
}

static int
journal_reopen(struct journal *s, struct err *err)
{
	sd_journal *j;
	int r;

	s->opened_ms = clock_monotonic_ms();
	if (check_access(err) == -1)
		return -1;
	r = sd_journal_open(&j, SD_JOURNAL_LOCAL_ONLY);
	if (r < 0) {
		err_set(err, ERR_IO, "journal: %s", strerror(-r));
		return -1;
	}
	if (s->j != NULL)
		sd_journal_close(s->j);
	s->j = j;
	/* what is cut there is too long for us */
	(void)sd_journal_set_data_threshold(j, LINES_MAX + 64);
	r = seek(s);
	if (r >= 0)
		r = sd_journal_get_fd(j);
	if (r < 0)
		err_set(err, ERR_IO, "journal: %s", strerror(-r));
	return r < 0 ? -1 : 0;
}

static void
journal_close(void *impl)
{
	struct journal *s = impl;

	if (s->j != NULL)
		sd_journal_close(s->j);
	free(s);
}

static int
journal_open(const struct config_source *cfg,
    const struct source_options *options, void **impl_r, struct err *err)
{
	struct journal *s = calloc(1, sizeof(*s));

	(void)cfg;
	if (s == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return -1;
	}
	s->since = options->since;
	s->note = options->note;
	s->note_arg = options->note_arg;
	if (options->mark != NULL) {
		s->position = options->mark->position;
		memcpy(
		    s->cursor, options->mark->fingerprint, sizeof(s->cursor));
	}
	if (journal_reopen(s, err) == -1) {
		journal_close(s);
		return -1;
	}
	*impl_r = s;
	return 0;
}

static int
journal_fd(const void *impl)
{
	return sd_journal_get_fd(((const struct journal *)impl)->j);
}

/* --- one entry --- */

/* The field's number; FIELDS: none that we need. */
static enum field
field_of(const char *data, size_t len, const char **value_r, size_t *len_r)
{
	for (int i = 0; i < FIELDS; i++) {
		size_t n = strlen(fields[i].name);

		if (len < n || memcmp(data, fields[i].name, n) != 0)
			continue;
		*value_r = data + n;
		*len_r = len - n;
		return (enum field)i;
	}
	return FIELDS;
}

static int64_t
number_of(const char *text)
{
	char *end;

	if (*text < '0' || *text > '9')
		return -1;
	errno = 0;
	long long v = strtoll(text, &end, 10);

	return *end != '\0' || errno != 0 ? -1 : v;
}

struct entry {
	bool seen[FIELDS];
	bool doubtful; /* a field is there twice, or unusable */
	enum line_delivery delivery;
	size_t head_len; /* of text: what stands before the message */
	size_t msg_len;
};

static void
take_field(struct journal *s, struct entry *e, enum field f, const char *value,
    size_t len)
{
	assert(f < FIELDS);
	if (e->seen[f]) {
		e->doubtful |= fields[f].sender;
		return;
	}
	e->seen[f] = true;
	if (f == F_MESSAGE) {
		e->msg_len = len;
		if (len <= LINES_MAX)
			memcpy(s->text, value, len);
		return;
	}
	/* a name with a NUL in it is not the name that it seems to be */
	if (len >= WORD_MAX || memchr(value, '\0', len) != NULL) {
		e->doubtful = true;
		len = 0;
	}
	memcpy(s->word[f], value, len);
	s->word[f][len] = '\0';
}

/* Returns 1 with a message of an identifier, 0 when it has none, -errno. */
static int
read_entry(struct journal *s, struct entry *e)
{
	const void *data;
	size_t len;
	int r;

	*e = (struct entry){ 0 };
	for (int i = 0; i < FIELDS; i++)
		s->word[i][0] = '\0';
	sd_journal_restart_data(s->j);
	while (
	    (r = sd_journal_enumerate_available_data(s->j, &data, &len)) > 0) {
		const char *value;
		size_t value_len;
		enum field f = field_of(data, len, &value, &value_len);

		if (f != FIELDS)
			take_field(s, e, f, value, value_len);
	}
	return r < 0 ? r : e->seen[F_MESSAGE] && e->seen[F_IDENTIFIER];
}

/* Make the evidence: what a syslog file would say, in front of the message
 * that is in s->text already. */
static void
add_head(struct journal *s, struct entry *e, uint64_t usec)
{
	time_t at = (time_t)(usec / 1000000);
	const char *pid =
	    s->word[s->word[F_SYSLOG_PID][0] != '\0' ? F_SYSLOG_PID : F_PID];
	char head[2 * WORD_MAX + 64], stamp[32];
	struct tm tm;

	(void)gmtime_r(&at, &tm);
	(void)strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
	int n = snprintf(head, sizeof(head),
	    "%s.%06uZ %s %.200s%s%.20s%s: ", stamp, (unsigned)(usec % 1000000),
	    s->word[F_HOST], s->word[F_IDENTIFIER], *pid == '\0' ? "" : "[",
	    pid, *pid == '\0' ? "" : "]");

	e->head_len = n < 0            ? 0
	    : (size_t)n < sizeof(head) ? (size_t)n
				       : sizeof(head) - 1;
	assert(e->head_len + e->msg_len <= sizeof(s->text));
	memmove(s->text + e->head_len, s->text, e->msg_len);
	memcpy(s->text, head, e->head_len);
}

/* --- outputs of programs --- */

/* Was the entry before this one, of the same output, cut? None before it
 * begins the output. Returns 1, 0 or -errno; leaves s->j anywhere. */
static int
look_back(struct journal *s)
{
	char match[sizeof("_STREAM_ID=") + WORD_MAX];
	const void *data;
	size_t len;
	int r;

	(void)snprintf(
	    match, sizeof(match), "_STREAM_ID=%s", s->word[F_STREAM]);
	r = sd_journal_add_match(s->j, match, 0);
	if (r >= 0)
		r = sd_journal_seek_cursor(s->j, s->cursor);
	if (r >= 0)
		r = sd_journal_next(s->j); /* this one */
	if (r > 0)
		r = sd_journal_previous(s->j);
	if (r > 0) {
		r = sd_journal_get_data(s->j, "_LINE_BREAK", &data, &len);
		r = r == -ENOENT ? 0 : r < 0 ? r : 1;
	}
	sd_journal_flush_matches(s->j);
	return r;
}

/* Does the entry, of which s->cursor is, go on with a line that was cut before
 * it? Where that can't be seen, it may. Returns 1, 0, or -errno. */
static int
goes_on(struct journal *s)
{
	const char *id = s->word[F_STREAM];
	size_t len = strlen(id);
	struct stream *known = streams_at(&s->streams, id, len);
	bool before = true;
	int r = 0;

	if (!stream_id_good(len))
		return 1;
	if (stream_is(known, id, len)) {
		before = known->cut;
	} else {
		before = look_back(s) != 0;
		r = seek(s);
	}
	stream_set(known, id, len, s->word[F_LINE_BREAK][0] != '\0');
	return r < 0 ? r : before;
}

/* How the entry came. Source: systemd.journal-fields(7). 0, or -errno. */
static int
set_delivery(struct journal *s, struct entry *e)
{
	const char *transport = s->word[F_TRANSPORT];
	int r;

	if (strcmp(transport, "syslog") == 0 ||
	    strcmp(transport, "journal") == 0) {
		e->delivery = DELIVERY_MESSAGE;
		return 0;
	}
	if (strcmp(transport, "stdout") != 0)
		return 0;
	r = goes_on(s);
	e->delivery = r != 0 || s->word[F_LINE_BREAK][0] != '\0'
	    ? DELIVERY_CUT
	    : DELIVERY_PIECE;
	return r < 0 ? r : 0;
}

static const char *
word_or_null(const struct journal *s, enum field f)
{
	return s->word[f][0] == '\0' ? NULL : s->word[f];
}

/* The unit of which journald says that it dropped messages; NULL: it says
 * something else. The transport "driver" is journald's own. Source: the message
 * "Suppressed N messages from UNIT" with N_DROPPED= of systemd-journald(8). */
static const char *
unit_of_dropped(const struct journal *s, const struct entry *e, char *unit)
{
	static const char begin[] = "Suppressed ", from[] = " messages from ";
	char text[WORD_MAX];

	if (strcmp(s->word[F_TRANSPORT], "driver") != 0 ||
	    !e->seen[F_N_DROPPED] || e->msg_len >= sizeof(text))
		return NULL;
	memcpy(text, s->text, e->msg_len);
	text[e->msg_len] = '\0';
	const char *at = strstr(text, from);

	if (strncmp(text, begin, sizeof(begin) - 1) != 0 || at == NULL)
		return NULL;
	(void)snprintf(unit, WORD_MAX, "%s", at + sizeof(from) - 1);
	return unit;
}

static bool
give_entry(
    struct journal *s, struct entry *e, uint64_t usec, line_fn *fn, void *arg)
{
	struct line_message m = { .host = s->word[F_HOST],
		.program = s->word[F_IDENTIFIER],
		.pid = number_of(
		    s->word[s->word[F_SYSLOG_PID][0] != '\0' ? F_SYSLOG_PID
							     : F_PID]),
		.at = (int64_t)(usec / 1000000),
		.uid = number_of(s->word[F_UID]),
		.comm = word_or_null(s, F_COMM),
		.exe = word_or_null(s, F_EXE),
		.unit = word_or_null(s, F_UNIT),
		.delivery = e->delivery,
		.doubtful = e->doubtful };
	struct line line = { .position = (int64_t)usec, .message = &m };
	char unit[WORD_MAX];

	if (e->msg_len > LINES_MAX) {
		line.text = "";
		line.too_long = true;
		return fn(arg, &line);
	}
	line.dropped_unit = unit_of_dropped(s, e, unit);
	add_head(s, e, usec);
	line.text = s->text;
	line.len = e->head_len + e->msg_len;
	m.msg = s->text + e->head_len;
	m.msg_len = e->msg_len;
	return fn(arg, &line);
}

/* Where we stand, taken while we stand there: the file that the entry is in
 * may be gone when we are asked. */
static int
take_cursor(struct journal *s, uint64_t usec)
{
	char *cursor;
	int r = sd_journal_get_cursor(s->j, &cursor);

	if (r < 0)
		return r;
	(void)snprintf(s->cursor, sizeof(s->cursor), "%s", cursor);
	free(cursor);
	s->position = (int64_t)usec;
	return 0;
}

/* Returns 1 when fn wants more, 0 when it doesn't, -errno. */
static int
take_entry(struct journal *s, size_t *budget, line_fn *fn, void *arg)
{
	struct entry e;
	uint64_t usec;
	int r = sd_journal_get_realtime_usec(s->j, &usec);

	if (r >= 0)
		r = read_entry(s, &e);
	/* damaged (a crash of the machine): nobody can read it */
	if (r == -EBADMSG || r == -EADDRNOTAVAIL)
		return 1;
	if (r < 0)
		return r;
	int found = r;

	r = take_cursor(s, usec);
	if (r >= 0)
		r = set_delivery(s, &e);
	if (r < 0)
		return r;
	size_t cost = e.msg_len + 256;

	*budget -= cost < *budget ? cost : *budget;
	return found == 0 || give_entry(s, &e, usec, fn, arg);
}

/* No journal at all yet: libsystemd only watches directories that it saw. */
static bool
nothing_there(struct journal *s)
{
	return sd_journal_has_runtime_files(s->j) == 0 &&
	    sd_journal_has_persistent_files(s->j) == 0;
}

/* No journal at all: what mail servers say is not known. */
static int
at_end(struct journal *s)
{
	bool missing = nothing_there(s);

	if (missing && !s->missing)
		s->note(s->note_arg, LOG_WARNING,
		    "journal: there is none: until there is, what it says is not known, and clients without a login are put off: is journald here?");
	s->missing = missing;
	return missing ? SOURCE_MISSING : SOURCE_END;
}

static int
journal_read(void *impl, size_t budget, line_fn *fn, void *arg, struct err *err)
{
	struct journal *s = impl;
	int r = sd_journal_process(s->j);

	if (r >= 0 && nothing_there(s) &&
	    clock_monotonic_ms() - s->opened_ms > REOPEN_MS &&
	    journal_reopen(s, err) == -1)
		return -1;
	while (r >= 0 && budget > 0) {
		if (!s->at_unread && (r = sd_journal_next(s->j)) <= 0)
			break;
		s->at_unread = false;
		r = take_entry(s, &budget, fn, arg);
		if (r == 0)
			return SOURCE_MORE;
	}
	if (r < 0) {
		err_set(err, ERR_IO, "journal: %s", strerror(-r));
		return -1;
	}
	return budget == 0 ? SOURCE_MORE : at_end(s);
}

static void
journal_mark(void *impl, struct mark *mark)
{
	const struct journal *s = impl;

	mark->position = s->position;
	memcpy(mark->fingerprint, s->cursor, sizeof(s->cursor));
}

const struct source_ops source_journal_ops = { .open = journal_open,
	.close = journal_close,
	.fd = journal_fd,
	.poll_ms = POLL_MS,
	.read = journal_read,
	.mark = journal_mark };
