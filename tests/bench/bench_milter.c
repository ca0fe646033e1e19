/* SPDX-License-Identifier: ISC */
/* bench_milter - load a milter as many SMTP sessions at once would, and say
 * how fast it answers.
 *
 * One thread and epoll, because the filter shares the processors with us.
 * Each session is a connection of its own, as with Sendmail and Postfix;
 * each SMTP command is a packet of its own, and the next one leaves when the
 * reply is here, or at once if the filter negotiated that there is none. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/clients.h"
#include "tests/bench/mclient.h"

enum { REPLY_TIMEOUT_MS = 10000, SESSIONS_MAX = 16384, EVENTS = 64 };

#define NS_PER_S UINT64_C(1000000000)

enum step {
	STEP_NEGOTIATE,
	STEP_CONNECT,
	STEP_HELO,
	STEP_MAIL,
	STEP_RCPT,
	STEP_DATA,
	STEP_EOM,
	STEP_END
};

struct session {
	struct mclient *mc; /* owned; NULL between connections */
	enum step step; /* the one whose reply is awaited */
	unsigned rcpts; /* sent so far */
	unsigned accepted; /* of these */
	uint64_t sent_ns;
};

/* Nanoseconds from a command to its reply, one number each. */
struct samples {
	uint64_t *v; /* owned */
	size_t n, room;
};

static struct {
	const char *where;
	unsigned sessions;
	unsigned rcpts;
	unsigned authorised; /* per cent of the sessions */
	uint32_t logins; /* rows in the login table */
	double seconds;
	double warmup;
	double rate; /* sessions started a second; 0: no limit */
	bool message; /* go on to DATA and EOM, else RSET */
	bool idle; /* stop before the end and hold still */
	bool probe;
} opt = {
	.sessions = 16,
	.rcpts = 2,
	.authorised = 50,
	.logins = 1000,
	.seconds = 4,
	.warmup = 0.5,
};

static struct {
	bool on; /* the warm-up is over */
	uint64_t sessions, messages;
	uint64_t accepted, rejected, tempfailed; /* recipients */
	uint64_t decided; /* recipients, those of the warm-up too */
	struct samples rcpt, data;
} seen;

static uint64_t serial; /* sessions started: names the queue ids */

static void
die(const char *what)
{
	perror(what);
	exit(EX_UNAVAILABLE);
}

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* xorshift64: the same clients in the same order in every run */
static uint64_t
next_random(void)
{
	static uint64_t x = UINT64_C(0x9e3779b97f4a7c15);

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

static void
samples_add(struct samples *s, uint64_t ns)
{
	if (s->n == s->room) {
		s->room = s->room ? 2 * s->room : 65536;
		s->v = realloc(s->v, s->room * sizeof(*s->v));
		if (s->v == NULL)
			die("realloc");
	}
	s->v[s->n++] = ns;
}

static int
by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static double
percentile_us(const struct samples *s, double share)
{
	size_t i = (size_t)(share * (double)s->n);

	if (s->n == 0)
		return 0;
	return (double)s->v[i < s->n ? i : s->n - 1] / 1000;
}

static void
session_open(struct session *s, int epoll)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = s };
	char queue_id[24];

	s->mc = mclient_open(opt.where, REPLY_TIMEOUT_MS);
	if (s->mc == NULL)
		die(opt.where);
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, mclient_fd(s->mc), &ev) == -1)
		die("epoll_ctl");
	snprintf(queue_id, sizeof(queue_id), "B%" PRIX64, ++serial);
	if (mclient_macro(s->mc, "i", queue_id) == -1 ||
	    mclient_macro(s->mc, "j", "mx.bench.test") == -1 ||
	    mclient_macro(s->mc, "v", "Postfix 3.7.11") == -1 ||
	    mclient_macro(s->mc, "{rcpt_mailer}", "smtp") == -1)
		die("mclient_macro");
	s->step = STEP_NEGOTIATE;
	s->rcpts = s->accepted = 0;
}

static int
send_connect(struct session *s)
{
	char addr[CLIENT_TEXT_MAX];
	uint32_t i = (uint32_t)(next_random() >> 32);

	if (next_random() % 100 < opt.authorised)
		client_known(addr, i % opt.logins);
	else
		client_stranger(addr, i);
	return mclient_connect(s->mc, "client.bench.test", addr);
}

static int
send_rcpt(struct session *s)
{
	char rcpt[64];

	snprintf(rcpt, sizeof(rcpt), "<user%u@foreign.test>", s->rcpts++);
	return mclient_rcpt(s->mc, rcpt);
}

static int
send_step(struct session *s)
{
	switch (s->step) {
	case STEP_NEGOTIATE:
		return mclient_negotiate(s->mc, NULL);
	case STEP_CONNECT:
		return send_connect(s);
	case STEP_HELO:
		return mclient_helo(s->mc, "client.bench.test");
	case STEP_MAIL:
		return mclient_mail(s->mc, "<sender@home.test>");
	case STEP_RCPT:
		return send_rcpt(s);
	case STEP_DATA:
		return mclient_data(s->mc);
	case STEP_EOM:
		return mclient_eom(s->mc);
	case STEP_END:
		break;
	}
	return 0;
}

static enum step
step_after(const struct session *s)
{
	if (s->step == STEP_RCPT) {
		if (s->rcpts < opt.rcpts)
			return STEP_RCPT;
		return opt.message && s->accepted > 0 ? STEP_DATA : STEP_END;
	}
	return s->step + 1;
}

static void
count_rcpt(struct session *s, const struct mclient_reply *reply)
{
	bool tempfail = reply->code == SMFIR_TEMPFAIL ||
	    (reply->code == SMFIR_REPLYCODE && reply->text[0] == '4');

	seen.decided++;
	if (reply->code == SMFIR_CONTINUE)
		s->accepted++;
	if (!seen.on)
		return;
	if (reply->code == SMFIR_CONTINUE)
		seen.accepted++;
	else if (tempfail)
		seen.tempfailed++;
	else
		seen.rejected++;
}

static void
take_reply(struct session *s, const struct mclient_reply *reply)
{
	uint64_t ns = now_ns() - s->sent_ns;

	if (s->step == STEP_RCPT)
		count_rcpt(s, reply);
	else if (s->step != STEP_NEGOTIATE && reply->code != SMFIR_CONTINUE) {
		fprintf(stderr, "bench_milter: unexpected reply %c %s at %d\n",
		    reply->code, reply->text, (int)s->step);
		exit(EX_PROTOCOL);
	}
	if (!seen.on)
		return;
	if (s->step == STEP_RCPT)
		samples_add(&seen.rcpt, ns);
	else if (s->step == STEP_DATA)
		samples_add(&seen.data, ns);
	else if (s->step == STEP_EOM)
		seen.messages++;
}

/* RSET if no message was sent, then QUIT. */
static void
session_end(struct session *s)
{
	if (!opt.message || s->accepted == 0)
		mclient_abort(s->mc);
	if (!opt.idle && mclient_quit(s->mc) == -1)
		die("quit");
	if (mclient_flush(s->mc) == -1)
		die("quit");
	if (!opt.idle)
		mclient_close(&s->mc);
	if (seen.on)
		seen.sessions++;
}

/* Send steps until one has a reply. False at the end of the session. */
static bool
session_send(struct session *s)
{
	while (s->step != STEP_END) {
		if (send_step(s) == -1)
			die("send");
		s->sent_ns = now_ns();
		if (mclient_flush(s->mc) == -1)
			die("send");
		if (mclient_awaits(s->mc))
			return true;
		s->step = step_after(s);
	}
	session_end(s);
	return false;
}

/* Returns true when the session ended. */
static bool
session_readable(struct session *s)
{
	struct mclient_reply reply;
	int ret = mclient_poll_reply(s->mc, &reply);

	if (ret == -1)
		die("reply");
	if (ret == 0)
		return false;
	take_reply(s, &reply);
	s->step = step_after(s);
	return !session_send(s);
}

/* Sessions that are not under way, and when the next may start. */
struct queue {
	struct session **v; /* owned */
	unsigned n;
	uint64_t next_ns;
};

/* Start those whose time has come; what starts too late isn't made up for. */
static void
start_sessions(struct queue *q, int epoll, uint64_t now)
{
	struct session *s;

	while (q->n > 0 && q->next_ns <= now) {
		s = q->v[--q->n];
		session_open(s, epoll);
		session_send(s);
		if (opt.rate > 0)
			q->next_ns += (uint64_t)((double)NS_PER_S / opt.rate);
	}
	if (q->n == 0 && q->next_ns < now)
		q->next_ns = now;
}

/* epoll_wait() whose time-out is finer than a millisecond. */
static int
wait_events(
    int epoll, struct epoll_event *events, const struct queue *q, uint64_t now)
{
	struct pollfd pfd = { .fd = epoll, .events = POLLIN };
	uint64_t ns = (uint64_t)REPLY_TIMEOUT_MS * (NS_PER_S / 1000);
	struct timespec ts;
	int n;

	if (q->n > 0 && opt.rate > 0)
		ns = q->next_ns > now ? q->next_ns - now : 0;
	ts.tv_sec = (time_t)(ns / NS_PER_S);
	ts.tv_nsec = (long)(ns % NS_PER_S);
	n = ppoll(&pfd, 1, &ts, NULL);
	if (n == 0 && q->n == 0) {
		errno = ETIMEDOUT;
		die("reply");
	}
	if (n == 1)
		n = epoll_wait(epoll, events, EVENTS, 0);
	if (n == -1 && errno != EINTR)
		die("epoll_wait");
	return n;
}

/* Run all sessions; in idle mode each one once, else until the time is up.
 * Returns the seconds measured. */
static double
run(struct session *all)
{
	struct epoll_event events[EVENTS];
	uint64_t start = now_ns(), begin = start, now = start;
	uint64_t warmup = (uint64_t)(opt.warmup * (double)NS_PER_S);
	uint64_t length = (uint64_t)(opt.seconds * (double)NS_PER_S);
	struct queue q = { .n = opt.sessions, .next_ns = start };
	unsigned left = opt.sessions;
	int epoll = epoll_create1(EPOLL_CLOEXEC), n;

	q.v = calloc(opt.sessions, sizeof(*q.v));
	if (epoll == -1 || q.v == NULL)
		die("epoll_create1");
	for (unsigned i = 0; i < opt.sessions; i++)
		q.v[i] = &all[i];
	while (opt.idle ? left > 0 : !seen.on || now - begin < length) {
		start_sessions(&q, epoll, now);
		n = wait_events(epoll, events, &q, now);
		for (int i = 0; i < n; i++) {
			if (!session_readable(events[i].data.ptr))
				continue;
			left--;
			if (!opt.idle)
				q.v[q.n++] = events[i].data.ptr;
		}
		now = now_ns();
		if (!seen.on && now - start >= warmup) {
			seen.on = true;
			begin = now;
		}
	}
	free(q.v);
	close(epoll);
	return (double)(now - begin) / (double)NS_PER_S;
}

static void
report(double seconds)
{
	qsort(seen.rcpt.v, seen.rcpt.n, sizeof(*seen.rcpt.v), by_value);
	qsort(seen.data.v, seen.data.n, sizeof(*seen.data.v), by_value);
	printf("sessions_per_s=%.0f messages_per_s=%.0f"
	       " rcpt_p50_us=%.1f rcpt_p99_us=%.1f"
	       " data_p50_us=%.1f data_p99_us=%.1f"
	       " accepted=%" PRIu64 " rejected=%" PRIu64 " tempfailed=%" PRIu64
	       " decided=%" PRIu64 "\n",
	    (double)seen.sessions / seconds, (double)seen.messages / seconds,
	    percentile_us(&seen.rcpt, 0.5), percentile_us(&seen.rcpt, 0.99),
	    percentile_us(&seen.data, 0.5), percentile_us(&seen.data, 0.99),
	    seen.accepted, seen.rejected, seen.tempfailed, seen.decided);
	free(seen.rcpt.v);
	free(seen.data.v);
}

/* Print what the filter negotiates, as arguments for bare_filter. */
static void
probe(void)
{
	struct mclient *mc = mclient_open(opt.where, REPLY_TIMEOUT_MS);
	struct mclient_reply reply;

	if (mc == NULL)
		die(opt.where);
	if (mclient_negotiate(mc, NULL) == -1 ||
	    mclient_reply(mc, &reply) == -1)
		die("negotiate");
	printf("-f\n0x%" PRIx32 "\n", mclient_steps(mc));
	for (unsigned i = 0; i < MCLIENT_STAGES; i++) {
		if (mclient_asked(mc, i))
			printf("-m\n%u=%s\n", i, mclient_symlist(mc, i));
	}
	mclient_quit(mc);
	mclient_flush(mc);
	mclient_close(&mc);
}

static void
usage(void)
{
	fputs(
	    "usage: bench_milter [-s SESSIONS] [-r RECIPIENTS] [-a PERCENT]"
	    " [-n LOGINS]\n"
	    "                    [-t SECONDS] [-w SECONDS] [-R RATE]"
	    " [-m | -i] -p SOCKET\n"
	    "       bench_milter -P -p SOCKET\n"
	    "  -a  share of the sessions whose client has a login\n"
	    "  -n  size of the login table, see mklogins\n"
	    "  -t  time to measure, after -w, the time to warm up\n"
	    "  -R  start so many sessions a second; else as many as the filter"
	    " can take\n"
	    "  -m  send messages: DATA and EOM follow; without: RSET, QUIT\n"
	    "  -i  one message up to RSET, then hold the sessions until the\n"
	    "      end of standard input\n"
	    "  -P  print what the filter negotiates, a bare_filter argument"
	    " a line\n",
	    stderr);
	exit(EX_USAGE);
}

static unsigned
number(const char *text, unsigned min, unsigned max)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (end == text || *end != '\0' || n < min || n > max)
		usage();
	return (unsigned)n;
}

static void
parse_options(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "a:imn:p:Pr:R:s:t:w:")) != -1) {
		switch (c) {
		case 'a':
			opt.authorised = number(optarg, 0, 100);
			break;
		case 'i':
			opt.idle = true;
			break;
		case 'm':
			opt.message = true;
			break;
		case 'n':
			opt.logins = number(optarg, 1, CLIENTS_MAX);
			break;
		case 'p':
			opt.where = optarg;
			break;
		case 'P':
			opt.probe = true;
			break;
		case 'r':
			opt.rcpts = number(optarg, 1, 1000);
			break;
		case 'R':
			opt.rate = atof(optarg);
			break;
		case 's':
			opt.sessions = number(optarg, 1, SESSIONS_MAX);
			break;
		case 't':
			opt.seconds = atof(optarg);
			break;
		case 'w':
			opt.warmup = atof(optarg);
			break;
		default:
			usage();
		}
	}
	if (opt.where == NULL || optind != argc || (opt.message && opt.idle))
		usage();
}

int
main(int argc, char **argv)
{
	struct session *all;
	struct rlimit files;
	double seconds;

	parse_options(argc, argv);
	if (opt.probe) {
		probe();
		return EX_OK;
	}
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	all = calloc(opt.sessions, sizeof(*all));
	if (all == NULL)
		die("calloc");
	seconds = run(all);
	if (opt.idle) {
		puts("idle");
		fflush(stdout);
		while (getchar() != EOF)
			;
	} else {
		report(seconds);
	}
	for (unsigned i = 0; i < opt.sessions; i++)
		mclient_close(&all[i].mc);
	free(all);
	return EX_OK;
}
