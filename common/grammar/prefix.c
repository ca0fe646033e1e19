/* SPDX-License-Identifier: ISC */
#include "common/grammar/prefix.h"

/* Tags are short words; anything longer is a message that lost its tag. */
enum { TAG_MAX = 64 };

/* 1: a tag ends before this byte. Controls, space, ':', '[' and DEL. */
static const uint8_t tag_end[256] = {
	1,
	1,
	1,
	1,
	1,
	1,
	1,
	1,
	1,
	1,
	1,
	1,
	1,
	1,
	1,
	1,
	1,
	1,
	1,
	1,
	1,
	1,
	1,
	1,
	1,
	1,
	1,
	1,
	1,
	1,
	1,
	1,
	[' '] = 1,
	[':'] = 1,
	['['] = 1,
	[']'] = 1,
	[127] = 1,
};

static struct span
word_before_space(struct span s)
{
	const char *space =
	    span_empty(s) ? NULL : memchr(s.p, ' ', span_len(s));

	return (struct span){ .p = s.p, .end = space ? space : s.end };
}

static void
skip_spaces(struct span *s)
{
	while (s->p < s->end && *s->p == ' ')
		s->p++;
}

/* " <Notice>", which macOS's syslogd puts between tag and colon, or nothing. */
static const char *
skip_asl_level(const char *p, const char *end)
{
	const char *at = p;

	if (end - p < 4 || p[0] != ' ' || p[1] != '<')
		return p;
	for (at += 2; at < end && char_word(*at); at++)
		continue;
	return at < end && *at == '>' ? at + 1 : p;
}

/* "tag:", "tag[pid]:", and then the message. */
static bool
split_tag(struct span *s, struct prefix *prefix)
{
	const char *p = s->p;

	while (p < s->end && !tag_end[(unsigned char)*p])
		p++;
	if (p == s->p || p == s->end || p - s->p > TAG_MAX)
		return false;
	prefix->program = (struct span){ .p = s->p, .end = p };
	prefix->pid = -1;
	if (*p == '[') {
		int64_t pid = 0;
		const char *digits = ++p;

		while (p < s->end && char_digit(*p) && p - digits < 10)
			pid = pid * 10 + (*p++ - '0');
		if (p == digits || p == s->end || *p != ']')
			return false;
		prefix->pid = pid;
		p++;
	}
	p = skip_asl_level(p, s->end);
	if (p == s->end || *p != ':')
		return false;
	p++;
	if (p < s->end && *p != ' ')
		return false;
	s->p = p;
	return true;
}

/* The message, without the "[ID 583609 mail.info] " that Solaris's syslogd
 * puts between tag and message. */
static void
set_message(struct prefix *prefix, struct span s)
{
	struct span id, facility;

	skip_spaces(&s);
	id = s;
	if (SPAN_TAKE(&id, "[ID ") && span_number(&id, NULL) &&
	    SPAN_TAKE(&id, " ") && span_run(&id, char_host, &facility) &&
	    SPAN_TAKE(&id, "] "))
		s = id;
	prefix->msg = s;
}

/* RFC 5424 section 6.2.1 by their syslog.conf(5) names */
const char *const prefix_facilities[] = { "mail", "daemon", "user", "local0",
	"local1", "local2", "local3", "local4", "local5", "local6", "local7",
	"auth", "authpriv", "kern", "syslog", "news", "uucp", "cron", NULL };

/* facility.severity, as busybox prints it between host and tag. */
static bool
is_priority(struct span s)
{
	struct span facility;

	if (!SPAN_UNTIL(&s, ".", &facility) || span_empty(s))
		return false;
	for (const char *p = s.p; p < s.end; p++) {
		if (*p < 'a' || *p > 'z')
			return false;
	}
	for (const char *const *f = prefix_facilities; *f != NULL; f++) {
		if (span_equals(facility, *f, strlen(*f)))
			return true;
	}
	return false;
}

/* A server that writes its own file names itself in each line. */
static bool
own_file(struct prefix *prefix, const char *program, struct span msg)
{
	prefix->form = PREFIX_OWN_FILE;
	prefix->program = span_of(program, strlen(program));
	prefix->pid = -1;
	set_message(prefix, msg);
	return true;
}

/* Does a line begin here that Dovecot writes itself? Of its processes, those
 * that say something of logins and sessions. */
static bool
is_dovecot(struct span s)
{
	return SPAN_STARTS(s, "imap-login: ") ||
	    SPAN_STARTS(s, "pop3-login: ") || SPAN_STARTS(s, "imap(") ||
	    SPAN_STARTS(s, "pop3(") || SPAN_STARTS(s, "imap-hibernate(") ||
	    SPAN_STARTS(s, "master: ");
}

/* metalog's "[prog] message" and Qpopper's own "[pid] message". */
static bool
split_bracket_tag(struct span s, struct prefix *prefix)
{
	struct span tag;
	struct span digits;

	if (!span_bracketed(&s, &tag) || span_empty(tag) ||
	    span_len(tag) > TAG_MAX || span_has_char(tag, ' '))
		return false;
	(void)SPAN_TAKE(&s, ":");
	if (!SPAN_TAKE(&s, " "))
		return false;
	digits = tag;
	if (span_number(&digits, NULL) && span_empty(digits))
		return own_file(prefix, "popper", s);
	prefix->program = tag;
	prefix->pid = -1;
	set_message(prefix, s);
	return true;
}

/* The level words of Zimbra's log4j and of Stalwart's text log. */
static bool
is_level(struct span s)
{
	return SPAN_EQUALS(s, "INFO") || SPAN_EQUALS(s, "WARN") ||
	    SPAN_EQUALS(s, "ERROR") || SPAN_EQUALS(s, "DEBUG") ||
	    SPAN_EQUALS(s, "TRACE") || SPAN_EQUALS(s, "FATAL");
}

/* Split the rest of a line, behind the time stamp and its space. */
static bool
split_after_stamp(struct span s, struct prefix *prefix)
{
	struct span host;

	prefix->host = (struct span){ .p = s.p, .end = s.p };
	if (span_empty(s))
		return false;
	if (*s.p == '<') {
		struct span priority;

		/* FreeBSD syslogd -v: <22> or <mail.info> */
		s.p++;
		if (!span_run(&s, char_host, &priority) || !SPAN_TAKE(&s, "> "))
			return false;
	} else if (*s.p == '[' || *s.p == ' ') {
		skip_spaces(&s);
		return split_bracket_tag(s, prefix);
	}

	host = word_before_space(s);
	if (span_empty(host) || host.end == s.end)
		return false;
	if (host.end[-1] == ':') {
		/* No host. Dovecot's own log_path looks so; any other line
		 * of this look has lost its host, and with it the proof that
		 * the next word was the tag. */
		if (is_dovecot(s))
			return own_file(prefix, "dovecot", s);
		/* Courier by multilog, read through tai64nlocal(8), which
		 * writes nanoseconds. */
		return prefix->stamp == STAMP_ISO &&
		    span_len(prefix->time) == 29 && prefix->time.p[10] == ' ' &&
		    prefix->time.p[19] == '.' && SPAN_EQUALS(host, "INFO:") &&
		    own_file(prefix, "courierlogger", s);
	}
	if (prefix->stamp == STAMP_ISO && is_level(host))
		return own_file(prefix,
		    span_has_char(prefix->time, ',') ? "zimbra" : "stalwart",
		    s);
	prefix->host = host;
	s.p = host.end + 1;
	if (split_tag(&s, prefix)) {
		/* journalctl -o with-unit: the unit in the tag's place */
		if (prefix->stamp == STAMP_FULL)
			(void)SPAN_CHOP(&prefix->program, ".service");
		set_message(prefix, s);
		return true;
	}

	struct span second = word_before_space(s);

	if (span_empty(second) || second.end == s.end || !is_priority(second))
		return false;
	s.p = second.end + 1;
	if (!split_tag(&s, prefix))
		return false;
	set_message(prefix, s);
	return true;
}

/* Take a fraction: '.' or ',' and digits, or nothing. */
static const char *
skip_fraction(const char *p, const char *end)
{
	if (p < end && (*p == '.' || *p == ',')) {
		const char *digits = ++p;

		while (p < end && char_digit(*p))
			p++;
		if (p == digits)
			return digits - 1;
	}
	return p;
}

/* The seconds of "Mar  3 08:01:11" end here: a fraction, a space. */
static bool
end_bsd(struct span *s, const char *end, struct prefix *prefix)
{
	if (*end == '.')
		end = skip_fraction(end, s->end);
	if (end == s->end || *end != ' ')
		return false;
	prefix->stamp = STAMP_BSD;
	prefix->time = (struct span){ .p = s->p, .end = end };
	s->p = end + 1;
	return true;
}

/* "Tue 2026-03-03 09:01:02 CET " */
static bool
take_full(struct span *s, struct prefix *prefix)
{
	const char *p = s->p, *end = p + 24;

	if (span_len(*s) < 27 || p[8] != '-' || p[11] != '-' || p[14] != ' ' ||
	    p[17] != ':' || p[20] != ':' || p[23] != ' ')
		return false;
	while (end < s->end && (char_word(*end) || *end == '+'))
		end++;
	if (end == p + 24 || end == s->end || *end != ' ')
		return false;
	prefix->stamp = STAMP_FULL;
	prefix->time = (struct span){ .p = p + 4, .end = end };
	s->p = end + 1;
	return true;
}

/* "Mar  3 08:01:11", with or without year, asctime(3)'s form and journalctl's;
 * only the separators are looked at. Steps behind the stamp and its space. */
static bool
take_letter_stamp(struct span *s, struct prefix *prefix)
{
	const char *p = s->p;
	size_t n = span_len(*s);

	if (n < 16 || p[3] != ' ')
		return false;
	if (p[6] == ' ' && p[9] == ':' && p[12] == ':')
		return end_bsd(s, p + 15, prefix);
	if (char_digit(p[4]) && p[5] == ' ' && p[8] == ':' && p[11] == ':')
		return end_bsd(s, p + 14, prefix);
	if (take_full(s, prefix))
		return true;
	if (n >= 21 && p[6] == ' ' && p[11] == ' ' && p[14] == ':' &&
	    p[17] == ':' && p[20] == ' ') {
		prefix->stamp = STAMP_BSD_YEAR;
		prefix->time = span_of(p, 20);
		s->p = p + 21;
		return true;
	}
	if (n >= 25 && p[7] == ' ' && p[10] == ' ' && p[13] == ':' &&
	    p[16] == ':' && p[19] == ' ' && p[24] == ' ') {
		prefix->stamp = STAMP_CTIME;
		prefix->time = span_of(p, 24);
		s->p = p + 25;
		return true;
	}
	return false;
}

/* "1772521200.123456 " */
static bool
take_unix(struct span *s, struct prefix *prefix)
{
	const char *p = s->p;

	for (int i = 0; i < 17; i++)
		if (i == 10 ? p[i] != '.' : !char_digit(p[i]))
			return false;
	if (p[17] != ' ')
		return false;
	prefix->stamp = STAMP_UNIX;
	prefix->time = span_of(p, 10);
	s->p = p + 18;
	return true;
}

static bool
take_digit_stamp(struct span *s, struct prefix *prefix)
{
	const char *p = s->p;

	if (span_len(*s) < 20)
		return false;
	if (p[10] == '.')
		return take_unix(s, prefix);
	if (p[4] == ' ' && p[8] == ' ' && p[11] == ' ' && p[14] == ':' &&
	    p[17] == ':' && span_len(*s) > 20 && p[20] == ' ') {
		prefix->stamp = STAMP_YEAR_BSD;
		prefix->time = span_of(p, 20);
		s->p = p + 21;
		return true;
	}
	if (p[13] != ':' || p[16] != ':')
		return false;
	if (p[4] == '/' && p[7] == '/' && p[10] == ' ' && p[19] == ' ') {
		prefix->stamp = STAMP_SLASH;
		prefix->time = span_of(p, 19);
		s->p = p + 20;
		return true;
	}
	if (p[4] != '-' || p[7] != '-' || (p[10] != 'T' && p[10] != ' '))
		return false;
	p = skip_fraction(p + 19, s->end);
	if (p < s->end && *p == 'Z') {
		p++;
	} else if (p < s->end && (*p == '+' || *p == '-')) {
		p++;
		while (p < s->end && (char_digit(*p) || *p == ':'))
			p++;
	}
	if (p == s->end || *p != ' ')
		return false;
	prefix->stamp = STAMP_ISO;
	prefix->time = (struct span){ .p = s->p, .end = p };
	s->p = p + 1;
	return true;
}

bool
prefix_take_iso(struct span *s, struct span *time_r)
{
	struct prefix prefix;
	struct span rest = *s;

	if (span_empty(rest) || !char_digit(*rest.p) ||
	    !take_digit_stamp(&rest, &prefix) || prefix.stamp != STAMP_ISO ||
	    prefix.time.p[10] != 'T')
		return false;
	*s = rest;
	*time_r = prefix.time;
	return true;
}

static bool
take_tai64n(struct span *s, struct prefix *prefix)
{
	const char *p = s->p + 1;

	if (span_len(*s) < 26)
		return false;
	for (int i = 0; i < 24; i++, p++) {
		if (!char_digit(*p) && !(*p >= 'a' && *p <= 'f'))
			return false;
	}
	if (*p != ' ')
		return false;
	prefix->stamp = STAMP_TAI64N;
	prefix->time = (struct span){ .p = s->p + 1, .end = p };
	s->p = p + 1;
	return true;
}

static bool
take_stamp(struct span *s, struct prefix *prefix)
{
	if (span_empty(*s))
		return false;
	if (*s->p >= 'A' && *s->p <= 'Z')
		return take_letter_stamp(s, prefix);
	return char_digit(*s->p) && take_digit_stamp(s, prefix);
}

/* RFC 5424 section 6.3: "-" or [id name="value" ...] one after another. */
static bool
skip_structured_data(struct span *s)
{
	if (SPAN_TAKE(s, "-"))
		return true;
	if (span_empty(*s) || *s->p != '[')
		return false;
	while (s->p < s->end && *s->p == '[') {
		bool quoted = false;

		for (s->p++; s->p < s->end; s->p++) {
			char c = *s->p;

			if (quoted && c == '\\' && s->end - s->p > 1)
				s->p++;
			else if (c == '"')
				quoted = !quoted;
			else if (c == ']' && !quoted)
				break;
		}
		if (s->p == s->end)
			return false;
		s->p++;
	}
	return true;
}

/* Behind "<PRI>1 ": RFC 5424 section 6. */
static bool
split_rfc5424(struct span s, struct prefix *prefix)
{
	struct span host, app, procid, msgid;

	if (!take_digit_stamp(&s, prefix) || prefix->stamp != STAMP_ISO ||
	    prefix->time.p[10] != 'T' || !SPAN_UNTIL(&s, " ", &host) ||
	    !SPAN_UNTIL(&s, " ", &app) || !SPAN_UNTIL(&s, " ", &procid) ||
	    !SPAN_UNTIL(&s, " ", &msgid) || !skip_structured_data(&s) ||
	    !SPAN_TAKE(&s, " ") || span_empty(app) || SPAN_EQUALS(app, "-"))
		return false;
	prefix->host = host;
	prefix->program = app;
	prefix->pid = -1;

	uint64_t pid;

	if (span_number(&procid, &pid) && span_empty(procid) &&
	    pid <= INT32_MAX)
		prefix->pid = (int64_t)pid;
	(void)SPAN_TAKE(&s, "\xEF\xBB\xBF"); /* BOM: section 6.4 */
	set_message(prefix, s);
	return true;
}

/* Dovecot 1.x and older put the program before their own time stamp. */
static bool
split_old_dovecot(struct span s, struct prefix *prefix)
{
	struct span msg = s;
	const char *program;

	if (SPAN_TAKE(&msg, "dovecot: "))
		program = "dovecot";
	else if (SPAN_TAKE(&msg, "imap-login: "))
		program = "imap-login";
	else if (SPAN_TAKE(&msg, "pop3-login: "))
		program = "pop3-login";
	else
		return false;
	if (!take_stamp(&msg, prefix))
		return false;
	prefix->host = (struct span){ .p = s.p, .end = s.p };
	return own_file(prefix, program, msg);
}

/* Behind a TAI64N stamp: whatever a server said on its standard error. */
static bool
split_multilog(struct span s, struct prefix *prefix)
{
	prefix->host = (struct span){ .p = s.p, .end = s.p };
	if (is_dovecot(s))
		return own_file(prefix, "dovecot", s);
	/* Courier's "INFO: " is what courierlogger would have removed. */
	if (SPAN_STARTS(s, "INFO: "))
		return own_file(prefix, "courierlogger", s);
	return false;
}

/* Split a line as programs write it to /dev/log: with a priority, mostly with a
 * stamp, without a host; or plain "tag: message". */
static bool
split_bare(struct span s, struct prefix *prefix)
{
	struct span pri = s;

	if (SPAN_TAKE(&pri, "<") && span_number(&pri, NULL) &&
	    SPAN_TAKE(&pri, ">"))
		s = pri;
	if (SPAN_STARTS(s, "<"))
		return false;
	prefix->host = (struct span){ .p = s.p, .end = s.p };
	if (take_stamp(&s, prefix)) {
		prefix->form = PREFIX_SYSLOG;
		if (prefix->stamp == STAMP_SLASH || !split_tag(&s, prefix))
			return false;
		set_message(prefix, s);
		return true;
	}
	prefix->form = PREFIX_BARE;
	prefix->stamp = STAMP_NONE;
	prefix->time = prefix->host;
	if (is_dovecot(s)) {
		prefix->program = span_of("dovecot", 7);
		prefix->pid = -1;
		set_message(prefix, s);
		return true;
	}
	if (!split_tag(&s, prefix))
		return false;
	set_message(prefix, s);
	return true;
}

static bool
split_text(struct span s, struct prefix *prefix)
{
	struct span pri = s;
	bool had_pri = false;

	prefix->form = PREFIX_SYSLOG;
	if (*s.p == '<') {
		if (!SPAN_TAKE(&pri, "<") || !span_number(&pri, NULL) ||
		    !SPAN_TAKE(&pri, ">"))
			return false;
		s = pri;
		if (SPAN_TAKE(&s, "1 "))
			return split_rfc5424(s, prefix);
		had_pri = true;
	}
	if (span_empty(s))
		return false;
	if (*s.p == '@' && !had_pri)
		return take_tai64n(&s, prefix) && split_multilog(s, prefix);
	if (!take_stamp(&s, prefix))
		return !had_pri && split_old_dovecot(s, prefix);
	if (prefix->stamp == STAMP_SLASH) {
		/* The grammar of nginx wants the stamp in the message, where
		 * syslog has it. */
		s.p = prefix->time.p;
		prefix->host = (struct span){ .p = s.p, .end = s.p };
		own_file(prefix, "nginx", s);
		prefix->form = PREFIX_NGINX_FILE;
		return true;
	}
	return split_after_stamp(s, prefix);
}

/* The output of a container: lines of a syslog daemon in it, or a server's own,
 * which may have left the time to the engine. */
static bool
split_contained(struct span line, struct prefix *prefix, char *scratch)
{
	struct prefix_container c;

	if (!prefix_uncontain(line, &c, scratch))
		return false;
	bool good = !span_empty(c.inside) && split_text(c.inside, prefix);

	if (!good && !span_empty(c.time) && is_dovecot(c.inside)) {
		prefix->host = span_of(line.p, 0);
		good = own_file(prefix, "dovecot", c.inside);
	}
	if (good && !span_empty(c.time)) {
		prefix->stamp = STAMP_ISO;
		prefix->time = c.time;
	}
	prefix->contained = true;
	prefix->origin = (struct prefix_origin){
		.uid = -1,
		.delivery = c.cut ? DELIVERY_CUT : DELIVERY_PIECE,
		.stream = c.stream,
	};
	return good;
}

enum prefix_result
prefix_split(const char *line, size_t len, bool bare, struct prefix *prefix,
    char *scratch)
{
	struct span s = span_of(line, len);

	prefix->contained = false;
	if (len == 0 || len > PREFIX_LINE_MAX)
		return PREFIX_UNKNOWN;
	if (*line == '{') {
		enum prefix_result ret = prefix_split_json(s, prefix, scratch);

		if (ret == PREFIX_OK)
			set_message(prefix, prefix->msg);
		if (ret != PREFIX_UNKNOWN)
			return ret;
	} else if (split_text(s, prefix) || (bare && split_bare(s, prefix))) {
		return PREFIX_OK;
	}
	return split_contained(s, prefix, scratch) ? PREFIX_OK : PREFIX_UNKNOWN;
}
