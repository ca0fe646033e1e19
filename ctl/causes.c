/* SPDX-License-Identifier: ISC */
#include "ctl/causes.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/grammar/prefix.h"
#include "common/grammar/programs.h"

enum { FIX_MAX = 400 };

/* The prefix of the sample, which its escapes spoil at worst. */
static bool
split_sample(const struct cause *c, struct prefix *prefix)
{
	static char scratch[PREFIX_SCRATCH];

	return prefix_split(c->sample, strlen(c->sample), true, prefix,
		   scratch) == PREFIX_OK;
}

/* Is it a tag of that server anyway? */
static bool
is_own_tag(const char *server, struct span tag)
{
	for (size_t g = 0; g < GRAMMAR_N; g++) {
		const char *const *name = grammars[g]->programs;

		if (strcmp(grammars[g]->name, server) != 0)
			continue;
		for (; *name != NULL; name++)
			if (span_equals(tag, *name, strlen(*name)))
				return true;
	}
	return false;
}

static void
fix_tag(const struct cause *c, char *buf)
{
	struct prefix prefix;

	if (!split_sample(c, &prefix))
		(void)snprintf(buf, FIX_MAX,
		    "name their tag in collector.tags, if that server is yours");
	else if (is_own_tag(c->server, prefix.program))
		(void)snprintf(buf, FIX_MAX,
		    "collector.servers doesn't name %s", c->server);
	else
		(void)snprintf(buf, FIX_MAX,
		    "if that server is yours: collector.tags = { %s = [ \"%.*s\" ]; };",
		    c->server, (int)span_len(prefix.program), prefix.program.p);
}

static void
fix_late(const struct cause *c, char *buf)
{
	struct prefix_clock clock = { .zone = c->zone };
	struct prefix prefix;
	struct zone zone;
	char text[ZONE_TEXT_MAX];
	int64_t at;

	if (split_sample(c, &prefix) && prefix_zone_assumed(&prefix) &&
	    prefix_time(&prefix, c->read_at, &clock, &at) &&
	    zone_guess(&c->zone, at, c->read_at, &zone))
		(void)snprintf(buf, FIX_MAX,
		    "their stamps are %" PRId64
		    " min behind, as those of another time zone: zone = \"%s\" belongs to this source in collector.sources",
		    (c->read_at - at) / 60, zone_format(&zone, text));
	else
		(void)snprintf(buf, FIX_MAX,
		    "look at the clock and the time zone of whoever writes the log, and at what delays it");
}

/* "..., rip=192.0.2.7" */
static bool
ends_in_address(const char *sample)
{
	const char *last = strrchr(sample, ' ');

	return last != NULL && strncmp(last + 1, "rip=", 4) == 0;
}

bool
cause_words(const struct cause *c, char *buf, size_t size)
{
	char fix[FIX_MAX];
	const char *what;

	switch (c->fate) {
	case FATE_UNKNOWN_TAG:
		what = "logins by a tag that is not read";
		fix_tag(c, fix);
		break;
	case FATE_UNKNOWN_PREFIX:
		what = "logins, but what stands before them has no known form";
		(void)snprintf(fix, sizeof(fix),
		    "let the log be written in a form of popgate-collector(8)");
		break;
	case FATE_UNKNOWN_SHAPE:
		what = "lines of no known shape";
		(void)snprintf(fix, sizeof(fix),
		    "if they are logins, collector.custom can take them");
		break;
	case FATE_TRUNCATED:
		if (strcmp(c->server, "dovecot") != 0 ||
		    !ends_in_address(c->sample))
			return false;
		what =
		    "logins whose last word is the address, which may be cut";
		(void)snprintf(fix, sizeof(fix),
		    "put another element behind rip=%%r in Dovecot's login_log_format_elements, as the default has lip=%%l");
		break;
	case FATE_LATE:
		what = "logins that had expired when their lines came";
		fix_late(c, fix);
		break;
	case FATE_FORGED:
	case FATE_UNTRUSTED:
		what = "entries of a process that may not speak for the server";
		(void)snprintf(fix, sizeof(fix),
		    "journalctl -t %s -o verbose shows its _EXE and _UID; a server in a place of its own needs collector.custom with unit",
		    *c->server == '\0' ? "TAG" : c->server);
		break;
	case FATE_STREAM_PIECE:
		what =
		    "logins in its output, where clients can write whole lines";
		(void)snprintf(fix, sizeof(fix), "let it log by syslog");
		break;
	case FATE_DROPPED:
		what =
		    "journald's word that it dropped some, and logins with them";
		(void)snprintf(fix, sizeof(fix),
		    "set LogRateLimitIntervalSec=0 in the server's unit");
		break;
	case FATE_AMBIGUOUS:
		if (strcmp(c->server, "zimbra") != 0 ||
		    strstr(c->sample, "oip=") == NULL)
			return false;
		what = "logins through Zimbra's proxy";
		(void)snprintf(fix, sizeof(fix),
		    "ip= is the proxy's address, and oip= can be set by the client itself: only clients that reach mailboxd directly can be known");
		break;
	default:
		return false;
	}
	(void)snprintf(buf, size,
	    "%s: %" PRId64 " lines don't count, %s: %s%s%.300s",
	    fate_name(c->fate), c->lines, what, fix,
	    *c->sample == '\0' ? "" : "; one of them: ", c->sample);
	return true;
}
