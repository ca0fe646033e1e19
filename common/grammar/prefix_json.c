/* SPDX-License-Identifier: ISC */
/* The part of prefix.h that reads JSON, one object a line: journalctl -o json,
 * and what Docker's json-file driver keeps of a container's output.
 * Fields beginning with '_' were set by journald from what the kernel says of
 * the sender; all others, SYSLOG_IDENTIFIER and MESSAGE too, by the sender. A
 * sender may give a field twice, which journalctl prints as an array: nothing
 * we rely on may come so. Source: systemd, "Journal JSON Format"; Docker's
 * daemon/logger/jsonfilelog. */
#include "common/grammar/prefix.h"

enum field {
	FIELD_MESSAGE,
	FIELD_IDENTIFIER,
	FIELD_SYSLOG_PID,
	FIELD_PID,
	FIELD_UID,
	FIELD_COMM,
	FIELD_EXE,
	FIELD_UNIT,
	FIELD_HOSTNAME,
	FIELD_REALTIME,
	FIELD_TRANSPORT,
	FIELD_LINE_BREAK,
	FIELD_STREAM,
	FIELD_N
};

static const char *const field_names[FIELD_N] = {
	[FIELD_MESSAGE] = "MESSAGE",
	[FIELD_IDENTIFIER] = "SYSLOG_IDENTIFIER",
	[FIELD_SYSLOG_PID] = "SYSLOG_PID",
	[FIELD_PID] = "_PID",
	[FIELD_UID] = "_UID",
	[FIELD_COMM] = "_COMM",
	[FIELD_EXE] = "_EXE",
	[FIELD_UNIT] = "_SYSTEMD_UNIT",
	[FIELD_HOSTNAME] = "_HOSTNAME",
	[FIELD_REALTIME] = "__REALTIME_TIMESTAMP",
	[FIELD_TRANSPORT] = "_TRANSPORT",
	[FIELD_LINE_BREAK] = "_LINE_BREAK",
	[FIELD_STREAM] = "_STREAM_ID",
};

enum docker_field { DOCKER_LOG, DOCKER_STREAM, DOCKER_TIME, DOCKER_N };

static const char *const docker_names[DOCKER_N] = {
	[DOCKER_LOG] = "log",
	[DOCKER_STREAM] = "stream",
	[DOCKER_TIME] = "time",
};

struct json {
	const char *const *names; /* of the fields that are wanted */
	int names_n;
	struct span s; /* what is left to read */
	char *out; /* next free byte of scratch */
	char *out_end;
	struct span field[FIELD_N];
	bool seen[FIELD_N];
	bool twice;
};

static void
skip_white(struct json *j)
{
	while (j->s.p < j->s.end &&
	    (*j->s.p == ' ' || *j->s.p == '\t' || *j->s.p == '\r' ||
		*j->s.p == '\n'))
		j->s.p++;
}

static bool
take_char(struct json *j, char c)
{
	skip_white(j);
	if (j->s.p == j->s.end || *j->s.p != c)
		return false;
	j->s.p++;
	return true;
}

static bool
put(struct json *j, unsigned byte)
{
	if (j->out == j->out_end)
		return false;
	*j->out++ = (char)(unsigned char)byte;
	return true;
}

static bool
put_utf8(struct json *j, uint32_t c)
{
	if (c < 0x80)
		return put(j, c);
	if (c < 0x800)
		return put(j, 0xC0 | c >> 6) && put(j, 0x80 | (c & 0x3F));
	if (c < 0x10000)
		return put(j, 0xE0 | c >> 12) &&
		    put(j, 0x80 | (c >> 6 & 0x3F)) && put(j, 0x80 | (c & 0x3F));
	return put(j, 0xF0 | c >> 18) && put(j, 0x80 | (c >> 12 & 0x3F)) &&
	    put(j, 0x80 | (c >> 6 & 0x3F)) && put(j, 0x80 | (c & 0x3F));
}

static bool
take_hex4(struct json *j, uint32_t *value_r)
{
	uint32_t v = 0;

	if (span_len(j->s) < 4)
		return false;
	for (int i = 0; i < 4; i++) {
		char c = *j->s.p++;

		if (char_digit(c))
			v = v << 4 | (uint32_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			v = v << 4 | (uint32_t)(c - 'a' + 10);
		else if (c >= 'A' && c <= 'F')
			v = v << 4 | (uint32_t)(c - 'A' + 10);
		else
			return false;
	}
	*value_r = v;
	return true;
}

/* Behind "\u": one code point, of two escapes when it is a surrogate pair. */
static bool
take_code_point(struct json *j, uint32_t *value_r)
{
	uint32_t low;

	if (!take_hex4(j, value_r) ||
	    (*value_r >= 0xDC00 && *value_r <= 0xDFFF))
		return false;
	if (*value_r < 0xD800 || *value_r > 0xDBFF)
		return true;
	if (!SPAN_TAKE(&j->s, "\\u") || !take_hex4(j, &low) || low < 0xDC00 ||
	    low > 0xDFFF)
		return false;
	*value_r = 0x10000 + ((*value_r - 0xD800) << 10) + (low - 0xDC00);
	return true;
}

static bool
take_escape(struct json *j)
{
	static const char from[] = "\"\\/bfnrt";
	static const char to[] = "\"\\/\b\f\n\r\t";
	uint32_t c;

	if (span_empty(j->s))
		return false;

	char e = *j->s.p++;

	if (e == 'u')
		return take_code_point(j, &c) && put_utf8(j, c);

	const char *at = memchr(from, e, sizeof(from) - 1);

	return at != NULL && put(j, (unsigned char)to[at - from]);
}

/* A string, unescaped into scratch; without escapes it stays in place. */
static bool
take_string(struct json *j, struct span *value_r)
{
	if (!take_char(j, '"'))
		return false;

	const char *start = j->s.p;
	char *out = j->out;
	bool escaped = false;

	while (j->s.p < j->s.end) {
		char c = *j->s.p++;

		if (c == '"') {
			*value_r = escaped
			    ? (struct span){ .p = out, .end = j->out }
			    : (struct span){ .p = start, .end = j->s.p - 1 };
			return true;
		}
		if ((unsigned char)c < 0x20)
			return false;
		if (c == '\\' && !escaped) {
			size_t plain = (size_t)(j->s.p - 1 - start);

			if (plain > (size_t)(j->out_end - j->out))
				return false;
			memcpy(j->out, start, plain);
			j->out += plain;
			escaped = true;
		}
		if (c == '\\' ? !take_escape(j)
			      : escaped && !put(j, (unsigned char)c))
			return false;
	}
	return false;
}

/* [98,121,116,101]: how journalctl prints what is not valid UTF-8. */
static bool
take_bytes(struct json *j, struct span *value_r)
{
	uint64_t byte;
	char *out = j->out;

	if (!take_char(j, '['))
		return false;
	do {
		skip_white(j);
		if (!span_number(&j->s, &byte) || byte > 255 ||
		    !put(j, (unsigned)byte))
			return false;
	} while (take_char(j, ','));
	*value_r = (struct span){ .p = out, .end = j->out };
	return take_char(j, ']');
}

/* A number or true, false, null: bytes as they stand. */
static bool
take_plain(struct json *j, struct span *value_r)
{
	skip_white(j);
	value_r->p = j->s.p;
	while (j->s.p < j->s.end && (char_host(*j->s.p) || *j->s.p == '+'))
		j->s.p++;
	value_r->end = j->s.p;
	return !span_empty(*value_r);
}

/* An array of strings and numbers: a field of several values. */
static bool
skip_array(struct json *j)
{
	struct span ignored;

	if (!take_char(j, '['))
		return false;
	if (take_char(j, ']'))
		return true;
	do {
		char *out = j->out;

		skip_white(j);
		if (SPAN_STARTS(j->s, "\"")      ? !take_string(j, &ignored)
			: SPAN_STARTS(j->s, "[") ? !take_bytes(j, &ignored)
						 : !take_plain(j, &ignored))
			return false;
		j->out = out;
	} while (take_char(j, ','));
	return take_char(j, ']');
}

/* The number of the field with this key; names_n: a key that isn't wanted. */
static int
field_of(const struct json *j, struct span key)
{
	int f = 0;

	while (f < j->names_n &&
	    !span_equals(key, j->names[f], strlen(j->names[f])))
		f++;
	return f;
}

/* An object of strings: Docker's "attrs". */
static bool
skip_object(struct json *j)
{
	struct span ignored;
	char *out = j->out;

	if (!take_char(j, '{'))
		return false;
	if (take_char(j, '}'))
		return true;
	do {
		if (!take_string(j, &ignored) || !take_char(j, ':') ||
		    !take_string(j, &ignored))
			return false;
		j->out = out;
	} while (take_char(j, ','));
	return take_char(j, '}');
}

static bool
take_value(struct json *j, int f)
{
	struct span value;
	struct json before = *j;

	skip_white(j);
	if (SPAN_STARTS(j->s, "[")) {
		if (f == FIELD_MESSAGE && j->names == field_names &&
		    take_bytes(j, &j->field[f]))
			return true;
		*j = before;
		j->twice |= f < j->names_n;
		return skip_array(j);
	}
	if (SPAN_STARTS(j->s, "{"))
		return j->names == docker_names && f == j->names_n &&
		    skip_object(j);
	if (SPAN_STARTS(j->s, "\"")) {
		if (!take_string(j, &value))
			return false;
	} else if (!take_plain(j, &value)) {
		return false;
	}
	if (f == j->names_n)
		j->out = before.out; /* its room is free again */
	else
		j->field[f] = value;
	return true;
}

static bool
take_member(struct json *j)
{
	struct span key;
	char *out = j->out;

	if (!take_string(j, &key) || !take_char(j, ':'))
		return false;

	int f = field_of(j, key);

	j->out = out;
	if (f < j->names_n) {
		j->twice |= j->seen[f];
		j->seen[f] = true;
	}
	return take_value(j, f);
}

static bool
take_object(struct json *j)
{
	if (!take_char(j, '{'))
		return false;
	do {
		if (!take_member(j))
			return false;
	} while (take_char(j, ','));
	if (!take_char(j, '}'))
		return false;
	skip_white(j);
	return span_empty(j->s);
}

static int64_t
small_number(struct span s)
{
	uint64_t v;

	if (span_empty(s) || !span_number(&s, &v) || !span_empty(s) ||
	    v > UINT32_MAX)
		return -1;
	return (int64_t)v;
}

static enum line_delivery
delivery_of(const struct json *j)
{
	struct span transport = j->field[FIELD_TRANSPORT];

	if (SPAN_EQUALS(transport, "syslog") ||
	    SPAN_EQUALS(transport, "journal"))
		return DELIVERY_MESSAGE;
	if (j->seen[FIELD_TRANSPORT] && !SPAN_EQUALS(transport, "stdout"))
		return DELIVERY_UNKNOWN;
	return j->seen[FIELD_LINE_BREAK] ? DELIVERY_CUT : DELIVERY_PIECE;
}

enum prefix_result
prefix_split_json(struct span line, struct prefix *prefix, char *scratch)
{
	struct json j = {
		.names = field_names,
		.names_n = FIELD_N,
		.s = line,
		.out = scratch,
		.out_end = scratch + PREFIX_SCRATCH,
	};

	for (int f = 0; f < FIELD_N; f++)
		j.field[f] = (struct span){ .p = line.p, .end = line.p };
	if (!take_object(&j))
		return PREFIX_UNKNOWN;
	if (j.twice)
		return PREFIX_CONTRADICTS;
	if (span_empty(j.field[FIELD_MESSAGE]))
		return PREFIX_UNKNOWN;

	const struct span *f = j.field;

	prefix->form = PREFIX_JOURNAL;
	prefix->stamp = STAMP_USEC;
	prefix->time = f[FIELD_REALTIME];
	prefix->host = f[FIELD_HOSTNAME];
	prefix->program = span_empty(f[FIELD_IDENTIFIER]) ? f[FIELD_COMM]
							  : f[FIELD_IDENTIFIER];
	prefix->pid =
	    small_number(span_empty(f[FIELD_SYSLOG_PID]) ? f[FIELD_PID]
							 : f[FIELD_SYSLOG_PID]);
	prefix->msg = f[FIELD_MESSAGE];
	prefix->origin = (struct prefix_origin){
		.uid = -1,
		.comm = f[FIELD_COMM],
		.exe = f[FIELD_EXE],
		.unit = f[FIELD_UNIT],
		.delivery = delivery_of(&j),
		.stream = f[FIELD_STREAM],
	};
	if (j.seen[FIELD_UID]) {
		prefix->origin.uid = small_number(f[FIELD_UID]);
		if (prefix->origin.uid == -1)
			return PREFIX_CONTRADICTS;
	}
	return PREFIX_OK;
}

bool
prefix_docker_json(struct span line, struct prefix_container *c, char *scratch)
{
	struct json j = {
		.names = docker_names,
		.names_n = DOCKER_N,
		.s = line,
		.out = scratch,
		.out_end = scratch + PREFIX_SCRATCH,
	};
	const struct span *f = j.field;

	for (int i = 0; i < DOCKER_N; i++)
		j.field[i] = (struct span){ .p = line.p, .end = line.p };
	if (!take_object(&j) || j.twice || !j.seen[DOCKER_LOG] ||
	    !j.seen[DOCKER_TIME])
		return false;
	*c = (struct prefix_container){
		.time = f[DOCKER_TIME],
		.stream = f[DOCKER_STREAM],
		.inside = f[DOCKER_LOG],
	};
	/* what was too long for one entry has its newline in a later one */
	c->cut = !SPAN_CHOP(&c->inside, "\n");
	return !span_has_char(c->inside, '\n');
}
