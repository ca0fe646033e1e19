/* SPDX-License-Identifier: ISC */
/* prefix - split a raw log line into time stamp, host, program, pid and
 * message, whichever of the forms in use it has; forms may be mixed in a file.
 * Splitting looks only at the structure: the time stamp is converted, and its
 * date checked, when prefix_time() is called, which is for logins only.
 * Pure but for the time zone, which mktime(3) takes from the environment. */
#ifndef POPGATE_PREFIX_H
#define POPGATE_PREFIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "common/base/zone.h"
#include "common/grammar/span.h"
#include "common/records/line.h"

enum {
	PREFIX_LINE_MAX = 8192, /* bytes; longer lines hold no login */
	PREFIX_SCRATCH = PREFIX_LINE_MAX
};

enum prefix_stamp {
	STAMP_NONE = 0,
	STAMP_BSD, /* Mar  3 08:01:11[.frac]: RFC 3164 section 4.1.2; the day
		    * may have lost its blank or zero */
	STAMP_BSD_YEAR, /* Mar  3 2026 08:01:11 */
	STAMP_YEAR_BSD, /* 2026 Mar  3 08:01:11: syslog-ng's ts-format(full) */
	STAMP_CTIME, /* Tue Mar 03 09:01:02 2026 */
	STAMP_ISO, /* 2026-03-03{T| }08:01:11[.frac][zone]: RFC 3339 */
	STAMP_SLASH, /* 2026/03/03 08:45:20: nginx */
	STAMP_TAI64N, /* @ and 24 hexadecimal digits: multilog */
	STAMP_USEC, /* microseconds since 1970: journald's JSON */
	STAMP_FULL, /* Tue 2026-03-03 09:01:02 CET: journalctl -o short-full */
	STAMP_UNIX /* 1772521200.123456: journalctl -o short-unix */
};

enum prefix_form {
	PREFIX_SYSLOG, /* a syslog daemon or journalctl wrote it */
	PREFIX_JOURNAL, /* journalctl -o json */
	PREFIX_OWN_FILE, /* a server's own log file */
	PREFIX_NGINX_FILE, /* nginx's error_log: forgeable by clients */
	PREFIX_BARE /* no time stamp at all */
};

/* The sender of a journal entry, as the kernel saw it. Empty or -1: not told.
 */
struct prefix_origin {
	int64_t uid; /* _UID */
	struct span comm; /* _COMM */
	struct span exe; /* _EXE */
	struct span unit; /* _SYSTEMD_UNIT */
	/* _TRANSPORT and _LINE_BREAK; what was cut before this entry, the
	 * entry doesn't say. Not told: as a line of a program's output. */
	enum line_delivery delivery;
	struct span stream; /* _STREAM_ID: which program's output */
};

struct prefix {
	enum prefix_form form;
	enum prefix_stamp stamp;
	struct span time;
	struct span host; /* may be empty */
	struct span program; /* the tag, or the server of the own file */
	int64_t pid; /* -1: none */
	struct span msg;
	/* PREFIX_JOURNAL only; delivery and stream when contained, too */
	struct prefix_origin origin;
	/* A container engine wrote it down as the output of a container, also
	 * when what is in it is none of the forms. The time is the engine's
	 * where it says one. */
	bool contained;
};

/* The parts that a container engine wrote around a line of output. */
struct prefix_container {
	struct span time; /* RFC 3339; empty: it doesn't say */
	struct span stream; /* "stdout", "stderr"; empty: it doesn't say */
	struct span inside;
	bool cut; /* the line goes on in the next one of the stream */
};

enum prefix_result {
	PREFIX_OK = 0,
	PREFIX_UNKNOWN, /* none of the forms, or a broken one */
	PREFIX_CONTRADICTS /* a journal entry says something twice */
};

/* The memory of prefix_time() between lines; zeroed by the caller but for the
 * zone, used by one thread, and dropped when TZ changes. */
struct prefix_clock {
	struct zone zone; /* set it by prefix_clock_zone() */
	bool limit_known;
	int64_t limit_now; /* the now that limit was made for */
	struct tm limit; /* local time of now + 1 day */
	bool minute_known;
	int64_t minute_key; /* local year .. minute as one number */
	int64_t minute_at; /* Unix seconds at which that minute begins */
	/* The stamp without a year that was converted last: in a busy log the
	 * next one is the same. */
	size_t bsd_len; /* 0: none */
	char bsd[16];
	int64_t bsd_now, bsd_at;
};

/* Split one line.
 *   line, len  without the newline; need not be NUL-terminated
 *   bare       also take "program[pid]: message" with neither time stamp nor
 *              host, or with a priority or a stamp only, which is safe only
 *              where a syslog daemon or syslog(3) feeds us directly
 *   prefix     filled on PREFIX_OK; its spans point into line, into scratch,
 *              or at constants
 *   scratch    PREFIX_SCRATCH bytes for the unescaped text of a JSON line
 * Threads: any, with different scratch. Source of the forms: RFC 3164,
 * RFC 5424 section 6, systemd's "Journal JSON Format", tai64n(8). */
enum prefix_result prefix_split(const char *line, size_t len, bool bare,
    struct prefix *prefix, char *scratch);

/* Convert the line's own time stamp.
 *   now     Unix seconds; chooses the year of a stamp without one: the latest
 *           that makes the line not later than now + 1 day
 *   at_r    Unix seconds
 * A stamp without zone is of clock->zone; in the hour that a clock change of
 * the machine's zone repeats or skips it may be an hour off. Returns false for
 * a date that does not exist (29 February outside leap years too) and for
 * PREFIX_BARE. */
bool prefix_time(const struct prefix *prefix, int64_t now,
    struct prefix_clock *clock, int64_t *at_r);

/* Does the stamp name no zone? */
bool prefix_zone_assumed(const struct prefix *prefix);

/* The stamps that follow are of this zone where they name none. */
static inline void
prefix_clock_zone(struct prefix_clock *clock, const struct zone *zone)
{
	if (clock->zone.fixed != zone->fixed ||
	    clock->zone.east_s != zone->east_s)
		*clock = (struct prefix_clock){ .zone = *zone };
}

/* Where the tag begins in a line of the two commonest forms ("Mar  3 08:01:11
 * host tag", "2026-03-03T08:01:11... host tag"), or NULL where only
 * prefix_split() can tell. At least four bytes follow. This is how the lines
 * of other programs, which are most of a mail log, are passed by for the
 * price of a few comparisons. */
static inline const char *
prefix_peek_tag(const char *line, size_t len)
{
	const char *p, *last;

	if (len < 24 || *line == '{')
		return NULL;
	p = line + 15;
	last = line + len - 5;
	if (line[9] == ':' && line[12] == ':') {
		if (line[3] != ' ' || line[6] != ' ')
			return NULL;
	} else if (line[13] == ':' && line[16] == ':' && line[10] == 'T') {
		p = line + 19;
		while (p < last && *p != ' ')
			p++;
		/* in place of the host a level word (prefix.c, is_level()), or
		 * what a container engine writes there */
		if (p < last &&
		    ((p[1] >= 'A' && p[1] <= 'Z') || char_digit(p[1]) ||
			memcmp(p + 1, "std", 3) == 0))
			return NULL;
	} else {
		return NULL;
	}
	/* p is at the space before the host, which begins with none of the
	 * signs that some daemons put in its place */
	if (p >= last || p[0] != ' ' || p[1] == ' ' || p[1] == '<' ||
	    p[1] == '[')
		return NULL;
	p++;
	while (p < last && *p != ' ')
		p++;
	return p >= last || p[-1] == ':' ? NULL : p + 1;
}

/* Text that may stand between host and tag, for whoever filters by the tag's
 * first four bytes: the facilities of prefix.c's is_priority(). Ends with
 * NULL. */
extern const char *const prefix_facilities[];

/* For prefix.c: one journald JSON object. */
enum prefix_result
prefix_split_json(struct span line, struct prefix *prefix, char *scratch);

/* For prefix.c: is the line a container's, as the engines write them (Docker's
 * json-file and "docker logs -t", "docker compose logs", CRI)? */
bool
prefix_uncontain(struct span line, struct prefix_container *c, char *scratch);
bool
prefix_docker_json(struct span line, struct prefix_container *c, char *scratch);
/* "2026-03-03T08:01:11[.frac][zone] ": step over it. */
bool prefix_take_iso(struct span *s, struct span *time_r);

#endif
