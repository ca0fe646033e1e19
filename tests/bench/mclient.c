/* SPDX-License-Identifier: ISC */
#include "tests/bench/mclient.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	MACROS_MAX = 32,
	MACRO_NAME_MAX = 32,
	MACRO_VALUE_MAX = 256,
	SYMLIST_MAX = 512,
	FRAME_MAX = 1 << 20, /* what a filter may send us at once */
	HEAD_LEN = MILTER_LEN_BYTES + 1
};

#define ACTION_SETSYMLIST 0x100U /* SMFIF_SETSYMLIST of mfapi.h */

struct buf {
	char *v; /* owned */
	size_t len, room;
};

struct macro {
	char name[MACRO_NAME_MAX];
	char value[MACRO_VALUE_MAX];
};

struct mclient {
	int fd;
	int timeout_ms;
	uint16_t port; /* the client's */
	bool awaits;
	struct mclient_offer offer;
	uint32_t actions, steps;
	struct buf out;
	struct buf in;
	size_t used; /* bytes of in that were handed out */
	size_t n_macros;
	struct macro macros[MACROS_MAX];
	bool asked[MCLIENT_STAGES]; /* the filter sent a list */
	char symlist[MCLIENT_STAGES][SYMLIST_MAX];
};

/* postconf(5), milter_connect_macros and its sisters, Postfix 3.7 */
static const char *const default_symlist[MCLIENT_STAGES] = {
	[MCLIENT_CONNECT] = "j {daemon_name} {daemon_addr} v _",
	[MCLIENT_HELO] = "{tls_version} {cipher} {cipher_bits} {cert_subject}"
			 " {cert_issuer}",
	[MCLIENT_MAIL] = "i {auth_type} {auth_authen} {auth_author}"
			 " {mail_addr} {mail_host} {mail_mailer}",
	[MCLIENT_RCPT] = "i {rcpt_addr} {rcpt_host} {rcpt_mailer}",
	[MCLIENT_DATA] = "i",
	[MCLIENT_EOM] = "i",
	[MCLIENT_EOH] = "i",
};

static int
buf_add(struct buf *b, const void *data, size_t len)
{
	size_t room = b->room ? b->room : 512;
	char *v;

	while (room - b->len < len)
		room *= 2;
	if (room != b->room) {
		v = realloc(b->v, room);
		if (v == NULL)
			return -1;
		b->v = v;
		b->room = room;
	}
	if (len > 0)
		memcpy(b->v + b->len, data, len);
	b->len += len;
	return 0;
}

static void
put_u32(char out[4], uint32_t n)
{
	n = htonl(n);
	memcpy(out, &n, 4);
}

static uint32_t
get_u32(const char in[4])
{
	uint32_t n;

	memcpy(&n, in, 4);
	return ntohl(n);
}

/* A frame whose length is filled in by frame_end(). */
static int
frame_begin(struct mclient *mc, char cmd, size_t *at_r)
{
	char head[HEAD_LEN] = { 0 };

	*at_r = mc->out.len;
	head[MILTER_LEN_BYTES] = cmd;
	return buf_add(&mc->out, head, sizeof(head));
}

static void
frame_end(struct mclient *mc, size_t at)
{
	put_u32(
	    mc->out.v + at, (uint32_t)(mc->out.len - at - MILTER_LEN_BYTES));
}

int
mclient_frame(struct mclient *mc, char cmd, const void *data, size_t len)
{
	size_t at;

	if (frame_begin(mc, cmd, &at) == -1 ||
	    buf_add(&mc->out, data, len) == -1)
		return -1;
	frame_end(mc, at);
	return 0;
}

int
mclient_raw(struct mclient *mc, const void *bytes, size_t len)
{
	return buf_add(&mc->out, bytes, len);
}

static int
dial_unix(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(sun.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1) {
		close(fd);
		return -1;
	}
	return fd;
}

/* "port@host" as libmilter writes it, or "host:port" */
static int
dial_inet(const char *where)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list, *ai;
	char *text = strdup(where), *host, *port;
	int fd = -1;

	if (text == NULL)
		return -1;
	host = strchr(text, '@');
	port = host ? text : strrchr(text, ':');
	if (port == NULL) {
		free(text);
		errno = EINVAL;
		return -1;
	}
	if (host != NULL) {
		*host++ = '\0';
	} else {
		host = text;
		*port++ = '\0';
	}
	if (getaddrinfo(host, port, &hints, &list) != 0) {
		free(text);
		errno = EADDRNOTAVAIL;
		return -1;
	}
	for (ai = list; ai != NULL && fd == -1; ai = ai->ai_next) {
		fd = socket(ai->ai_family, ai->ai_socktype | SOCK_CLOEXEC, 0);
		if (fd != -1 &&
		    connect(fd, ai->ai_addr, ai->ai_addrlen) == -1) {
			close(fd);
			fd = -1;
		}
	}
	freeaddrinfo(list);
	free(text);
	return fd;
}

static int
dial(const char *where)
{
	if (where[0] == '/')
		return dial_unix(where);
	if (strncmp(where, "unix:", 5) == 0)
		return dial_unix(where + 5);
	if (strncmp(where, "inet:", 5) == 0)
		return dial_inet(where + 5);
	errno = EINVAL;
	return -1;
}

struct mclient *
mclient_open(const char *where, int timeout_ms)
{
	struct mclient *mc = malloc(sizeof(*mc));

	if (mc == NULL)
		return NULL;
	/* Not calloc(): clearing the tables costs more than the session. */
	mc->awaits = false;
	mc->timeout_ms = timeout_ms;
	mc->port = 25;
	mc->actions = mc->steps = 0;
	mc->out = mc->in = (struct buf){ 0 };
	mc->used = 0;
	mc->n_macros = 0;
	memset(mc->asked, 0, sizeof(mc->asked));
	mc->fd = dial(where);
	if (mc->fd == -1) {
		free(mc);
		return NULL;
	}
	return mc;
}

void
mclient_close(struct mclient **mc)
{
	if (*mc == NULL)
		return;
	close((*mc)->fd);
	free((*mc)->out.v);
	free((*mc)->in.v);
	free(*mc);
	*mc = NULL;
}

int
mclient_negotiate(struct mclient *mc, const struct mclient_offer *offer)
{
	static const struct mclient_offer all = {
		.version = 6,
		.actions = SMFI_CURR_ACTS,
		.steps = SMFI_CURR_PROT,
	};
	char data[MILTER_OPTLEN];

	mc->offer = offer ? *offer : all;
	put_u32(data, mc->offer.version);
	put_u32(data + 4, mc->offer.actions);
	put_u32(data + 8, mc->offer.steps);
	mc->awaits = true;
	return mclient_frame(mc, SMFIC_OPTNEG, data, sizeof(data));
}

/* The lists follow the three numbers: stage, names, NUL, and so on. */
static int
take_symlists(struct mclient *mc, const char *p, size_t len)
{
	const char *end;
	uint32_t stage;

	while (len > 0) {
		if (len < MILTER_LEN_BYTES + 1)
			return -1;
		stage = get_u32(p);
		p += MILTER_LEN_BYTES;
		len -= MILTER_LEN_BYTES;
		end = memchr(p, '\0', len);
		if (end == NULL || stage >= MCLIENT_STAGES ||
		    end - p >= SYMLIST_MAX)
			return -1;
		mc->asked[stage] = true;
		strcpy(mc->symlist[stage], p);
		len -= (size_t)(end - p) + 1;
		p = end + 1;
	}
	return 0;
}

static int
take_optneg(struct mclient *mc, const struct mclient_reply *reply)
{
	uint32_t version;

	if (reply->len < MILTER_OPTLEN)
		return -1;
	version = get_u32(reply->text);
	mc->actions = get_u32(reply->text + 4);
	mc->steps = get_u32(reply->text + 8);
	/* A filter that takes what was not offered is dropped by both MTAs. */
	if (version < 2 || version > mc->offer.version ||
	    (mc->actions & ~mc->offer.actions) != 0 ||
	    (mc->steps & ~mc->offer.steps) != 0)
		return -1;
	if ((mc->actions & ACTION_SETSYMLIST) == 0)
		return 0;
	return take_symlists(
	    mc, reply->text + MILTER_OPTLEN, reply->len - MILTER_OPTLEN);
}

uint32_t
mclient_actions(const struct mclient *mc)
{
	return mc->actions;
}

uint32_t
mclient_steps(const struct mclient *mc)
{
	return mc->steps;
}

const char *
mclient_symlist(const struct mclient *mc, enum mclient_stage stage)
{
	return mc->asked[stage] ? mc->symlist[stage] : default_symlist[stage];
}

int
mclient_asked(const struct mclient *mc, enum mclient_stage stage)
{
	return mc->asked[stage];
}

static struct macro *
macro_find(struct mclient *mc, const char *name, size_t len)
{
	for (size_t i = 0; i < mc->n_macros; i++) {
		if (strncmp(mc->macros[i].name, name, len) == 0 &&
		    mc->macros[i].name[len] == '\0')
			return &mc->macros[i];
	}
	return NULL;
}

int
mclient_macro(struct mclient *mc, const char *name, const char *value)
{
	size_t name_len = strlen(name);
	struct macro *m;

	if (name_len >= MACRO_NAME_MAX ||
	    (value != NULL && strlen(value) >= MACRO_VALUE_MAX)) {
		errno = ENOSPC;
		return -1;
	}
	m = macro_find(mc, name, name_len);
	if (value == NULL) {
		if (m != NULL)
			*m = mc->macros[--mc->n_macros];
		return 0;
	}
	if (m == NULL) {
		if (mc->n_macros == MACROS_MAX) {
			errno = ENOSPC;
			return -1;
		}
		m = &mc->macros[mc->n_macros++];
		strcpy(m->name, name);
	}
	strcpy(m->value, value);
	return 0;
}

/* Both MTAs send the packet even if no macro of the list has a value, and
 * none for an empty list. */
static int
put_macros(struct mclient *mc, enum mclient_stage stage, char cmd)
{
	const char *p = mclient_symlist(mc, stage);
	const struct macro *m;
	size_t at, len;

	p += strspn(p, " ,");
	if (*p == '\0')
		return 0;
	if (frame_begin(mc, SMFIC_MACRO, &at) == -1 ||
	    buf_add(&mc->out, &cmd, 1) == -1)
		return -1;
	for (; *p != '\0'; p += strspn(p, " ,")) {
		len = strcspn(p, " ,");
		m = macro_find(mc, p, len);
		p += len;
		if (m == NULL)
			continue;
		if (buf_add(&mc->out, m->name, len + 1) == -1 ||
		    buf_add(&mc->out, m->value, strlen(m->value) + 1) == -1)
			return -1;
	}
	frame_end(mc, at);
	return 0;
}

struct step {
	enum mclient_stage stage; /* MCLIENT_STAGES: no macros */
	char cmd;
	uint32_t not_sent; /* SMFIP_NO* */
	uint32_t no_reply; /* SMFIP_NR_* */
};

static const struct step step_connect = { MCLIENT_CONNECT, SMFIC_CONNECT,
	SMFIP_NOCONNECT, SMFIP_NR_CONN };
static const struct step step_helo = { MCLIENT_HELO, SMFIC_HELO, SMFIP_NOHELO,
	SMFIP_NR_HELO };
static const struct step step_mail = { MCLIENT_MAIL, SMFIC_MAIL, SMFIP_NOMAIL,
	SMFIP_NR_MAIL };
static const struct step step_rcpt = { MCLIENT_RCPT, SMFIC_RCPT, SMFIP_NORCPT,
	SMFIP_NR_RCPT };
static const struct step step_data = { MCLIENT_DATA, SMFIC_DATA, SMFIP_NODATA,
	SMFIP_NR_DATA };
static const struct step step_header = { MCLIENT_STAGES, SMFIC_HEADER,
	SMFIP_NOHDRS, SMFIP_NR_HDR };
static const struct step step_eoh = { MCLIENT_EOH, SMFIC_EOH, SMFIP_NOEOH,
	SMFIP_NR_EOH };
static const struct step step_body = { MCLIENT_STAGES, SMFIC_BODY, SMFIP_NOBODY,
	SMFIP_NR_BODY };
static const struct step step_eom = { MCLIENT_EOM, SMFIC_BODYEOB, 0, 0 };
static const struct step step_unknown = { MCLIENT_STAGES, SMFIC_UNKNOWN,
	SMFIP_NOUNKNOWN, SMFIP_NR_UNKN };

static int
put_step(
    struct mclient *mc, const struct step *step, const void *data, size_t len)
{
	if (mc->steps & step->not_sent)
		return 0;
	if (step->stage != MCLIENT_STAGES &&
	    put_macros(mc, step->stage, step->cmd) == -1)
		return -1;
	if (mclient_frame(mc, step->cmd, data, len) == -1)
		return -1;
	if ((mc->steps & step->no_reply) == 0)
		mc->awaits = true;
	return 0;
}

void
mclient_port(struct mclient *mc, uint16_t port)
{
	mc->port = port;
}

int
mclient_connect(struct mclient *mc, const char *host, const char *addr)
{
	struct in6_addr in6;
	struct buf b = { 0 };
	char kind[3] = { SMFIA_INET, (char)(mc->port >> 8),
		(char)(mc->port & 0xff) };
	int ret = -1;

	if (addr == NULL)
		kind[0] = SMFIA_UNKNOWN;
	else if (inet_pton(AF_INET6, addr, &in6) == 1)
		kind[0] = SMFIA_INET6;
	if (buf_add(&b, host, strlen(host) + 1) == -1 ||
	    buf_add(&b, kind, addr ? sizeof(kind) : 1) == -1)
		goto out;
	if (addr != NULL && buf_add(&b, addr, strlen(addr) + 1) == -1)
		goto out;
	ret = put_step(mc, &step_connect, b.v, b.len);
out:
	free(b.v);
	return ret;
}

int
mclient_helo(struct mclient *mc, const char *name)
{
	return put_step(mc, &step_helo, name, strlen(name) + 1);
}

/* The arguments of the callback end with a NUL each. */
static void
split_args(char *p)
{
	bool quoted = false;

	for (; *p != '\0'; p++) {
		if (*p == '"')
			quoted = !quoted;
		else if (*p == '\\' && p[1] != '\0')
			p++;
		else if (*p == ' ' && !quoted)
			*p = '\0';
	}
}

static int
put_args(struct mclient *mc, const struct step *step, const char *args)
{
	size_t len = strlen(args) + 1, before = mc->out.len;

	if (put_step(mc, step, args, len) == -1)
		return -1;
	if (mc->out.len > before)
		split_args(mc->out.v + mc->out.len - len);
	return 0;
}

int
mclient_mail(struct mclient *mc, const char *args)
{
	return put_args(mc, &step_mail, args);
}

int
mclient_rcpt(struct mclient *mc, const char *args)
{
	return put_args(mc, &step_rcpt, args);
}

int
mclient_data(struct mclient *mc)
{
	return put_step(mc, &step_data, NULL, 0);
}

int
mclient_header(struct mclient *mc, const char *name, const char *value)
{
	struct buf b = { 0 };
	int ret = -1;

	if (buf_add(&b, name, strlen(name) + 1) == 0 &&
	    buf_add(&b, value, strlen(value) + 1) == 0)
		ret = put_step(mc, &step_header, b.v, b.len);
	free(b.v);
	return ret;
}

int
mclient_eoh(struct mclient *mc)
{
	return put_step(mc, &step_eoh, NULL, 0);
}

int
mclient_body(struct mclient *mc, const void *chunk, size_t len)
{
	return put_step(mc, &step_body, chunk, len);
}

int
mclient_eom(struct mclient *mc)
{
	return put_step(mc, &step_eom, NULL, 0);
}

int
mclient_unknown(struct mclient *mc, const char *line)
{
	return put_step(mc, &step_unknown, line, strlen(line) + 1);
}

int
mclient_abort(struct mclient *mc)
{
	return mclient_frame(mc, SMFIC_ABORT, NULL, 0);
}

int
mclient_quit(struct mclient *mc)
{
	return mclient_frame(mc, SMFIC_QUIT, NULL, 0);
}

int
mclient_quit_nc(struct mclient *mc)
{
	return mclient_frame(mc, SMFIC_QUIT_NC, NULL, 0);
}

int
mclient_flush(struct mclient *mc)
{
	size_t done = 0;
	ssize_t n;

	while (done < mc->out.len) {
		n = send(
		    mc->fd, mc->out.v + done, mc->out.len - done, MSG_NOSIGNAL);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1) {
			if (errno == EPIPE)
				errno = ECONNRESET;
			return -1;
		}
		done += (size_t)n;
	}
	mc->out.len = 0;
	return 0;
}

int
mclient_awaits(const struct mclient *mc)
{
	return mc->awaits;
}

int
mclient_fd(const struct mclient *mc)
{
	return mc->fd;
}

/* One whole frame out of what was read: 1, 0 if it is not whole yet, -1. */
static int
take_frame(struct mclient *mc, struct mclient_reply *reply)
{
	size_t have = mc->in.len - mc->used, len;

	if (have < HEAD_LEN)
		return 0;
	char *p = mc->in.v + mc->used;

	len = get_u32(p);
	if (len == 0 || len > FRAME_MAX) {
		errno = EPROTO;
		return -1;
	}
	if (have < MILTER_LEN_BYTES + len)
		return 0;
	mc->used += MILTER_LEN_BYTES + len;
	reply->code = p[MILTER_LEN_BYTES];
	reply->len = len - 1;
	/* Make room for the NUL by moving the data over the length. */
	memmove(p, p + HEAD_LEN, reply->len);
	p[reply->len] = '\0';
	reply->text = p;
	return 1;
}

/* Read what is there: 1, 0 if nothing is, -1. */
static int
fill(struct mclient *mc)
{
	char chunk[4096];
	ssize_t n;

	if (mc->used > 0 && mc->used == mc->in.len)
		mc->used = mc->in.len = 0;
	n = recv(mc->fd, chunk, sizeof(chunk), MSG_DONTWAIT);
	if (n == -1)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	if (n == 0) {
		errno = ECONNRESET;
		return -1;
	}
	return buf_add(&mc->in, chunk, (size_t)n) == -1 ? -1 : 1;
}

/* The next frame: 1, 0 if it is not there yet, -1. */
static int
next_frame(struct mclient *mc, struct mclient_reply *reply)
{
	int ret;

	while ((ret = take_frame(mc, reply)) == 0) {
		ret = fill(mc);
		if (ret != 1)
			break;
	}
	if (ret == 1 && reply->code == SMFIC_OPTNEG &&
	    take_optneg(mc, reply) == -1) {
		errno = EPROTO;
		return -1;
	}
	return ret;
}

static int
wait_frame(struct mclient *mc, struct mclient_reply *reply)
{
	struct pollfd pfd = { .fd = mc->fd, .events = POLLIN };
	int ret;

	while ((ret = next_frame(mc, reply)) == 0) {
		ret = poll(&pfd, 1, mc->timeout_ms);
		if (ret == 0)
			errno = ETIMEDOUT;
		if (ret == 0 || (ret == -1 && errno != EINTR))
			return -1;
	}
	return ret == 1 ? 0 : -1;
}

/* A packet that may come before the reply: libmilter's mfapi.h,
 * "smfi_addheader" to "smfi_progress". */
static bool
is_aside(char code)
{
	return code != '\0' &&
	    strchr((const char[]){ SMFIR_ADDRCPT, SMFIR_DELRCPT,
		       SMFIR_ADDRCPT_PAR, SMFIR_REPLBODY, SMFIR_CHGFROM,
		       SMFIR_ADDHEADER, SMFIR_INSHEADER, SMFIR_CHGHEADER,
		       SMFIR_PROGRESS, SMFIR_QUARANTINE, '\0' },
		code) != NULL;
}

int
mclient_read(struct mclient *mc, struct mclient_reply *reply)
{
	if (mclient_flush(mc) == -1)
		return -1;
	return wait_frame(mc, reply);
}

int
mclient_reply(struct mclient *mc, struct mclient_reply *reply)
{
	if (mclient_flush(mc) == -1)
		return -1;
	*reply = (struct mclient_reply){ SMFIR_CONTINUE, "", 0 };
	if (!mc->awaits)
		return 0;
	do {
		if (wait_frame(mc, reply) == -1)
			return -1;
	} while (is_aside(reply->code));
	mc->awaits = false;
	return 0;
}

int
mclient_poll_reply(struct mclient *mc, struct mclient_reply *reply)
{
	int ret;

	do {
		ret = next_frame(mc, reply);
		if (ret != 1)
			return ret;
	} while (is_aside(reply->code));
	mc->awaits = false;
	return 1;
}
