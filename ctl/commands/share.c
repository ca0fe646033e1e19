/* SPDX-License-Identifier: ISC */
/* share - make a key, ask the servers, show the machines of one gate. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/db/store_share.h"
#include "common/share/link.h"
#include "common/share/seal.h"
#include "ctl/commands.h"
#include "ctl/text_table.h"
#include "ctl/times.h"

/* --- init --- */

static const char usual_key[] = "/etc/popgate/share.key";

/* Make the file, for the collector's user alone, and never over another one. */
static int
write_key(struct ctl *ctl, const char *path, const char *text)
{
	const char *user = *ctl->cfg->collector.user == '\0'
	    ? "popgate-collector"
	    : ctl->cfg->collector.user;
	const struct passwd *pw = getpwnam(user);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int rc = 0;

	if (fd == -1 && errno == EEXIST)
		return ctl_fail(ctl, EX_CANTCREAT,
		    "%s is there already: the key of a gate is made once, and copied to its other machines",
		    path);
	if (fd == -1)
		return ctl_fail(
		    ctl, EX_CANTCREAT, "%s: %s", path, strerror(errno));
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text) ||
	    (pw != NULL && fchown(fd, pw->pw_uid, pw->pw_gid) == -1) ||
	    fsync(fd) == -1) {
		rc = ctl_fail(ctl, EX_IOERR, "%s: %s", path, strerror(errno));
		(void)unlink(path);
	}
	(void)close(fd);
	if (rc == 0 && pw == NULL)
		(void)ctl_fail(ctl, 0,
		    "note: there is no user %s: chown %s to the user that popgate-collector runs as",
		    user, path);
	return rc;
}

static int
run_init(struct ctl *ctl)
{
	const char *path = *ctl->cfg->share.key_file == '\0'
	    ? usual_key
	    : ctl->cfg->share.key_file;
	const char *stream = ctl->cfg->share.stream;
	char text[SHARE_KEY_TEXT_MAX];
	struct err err;

	if (share_key_make(text, &err) == -1)
		return ctl_fail(ctl, EX_UNAVAILABLE, "%s", err.text);
	int rc = write_key(ctl, path, text);

	explicit_bzero(text, sizeof(text));
	if (rc != 0)
		return rc;
	(void)printf(
	    "%s: a new key, for popgate-collector alone.\n\n"
	    "1. Copy it to every machine of this gate, by ssh: same path, owner and mode. Who\n"
	    "   has it can let clients relay.\n"
	    "2. In Redis 6.2 or newer, or Valkey, make a user (and ACL SAVE):\n\n"
	    "   ACL SETUSER popgate on >PASSWORD ~%s ~%s:* -@all +auth +info +time\n"
	    "     +ping +xadd +xread +xrange +get +set +watch +unwatch +multi +exec\n\n"
	    "3. On every machine, write PASSWORD into a file with the key's owner and mode, and\n"
	    "   in popgate.conf:\n\n"
	    "   share:\n   {\n"
	    "\tservers = [ \"redis1.example.com:6379\", \"redis2.example.com:6379\" ];\n"
	    "\tuser = \"popgate\";\n"
	    "\tpassword_file = \"/etc/popgate/share.password\";\n"
	    "\tkey_file = \"%s\";\n   };\n\n"
	    "   Where others can read the network: servers = [ \"tls:redis1.example.com:6380\" ]\n"
	    "   (see share.servers in popgate.conf(5)).\n\n"
	    "4. The collector's unit reaches this machine only: 'systemctl edit\n"
	    "   popgate-collector', and below [Service]: IPAddressAllow= with the addresses of\n"
	    "   Redis, and of the DNS server.\n"
	    "5. 'popgatectl share test', then 'systemctl restart popgate-collector'.\n",
	    path, stream, stream, path);
	return 0;
}

/* --- test --- */

static int
first_line(struct ctl *ctl, const char *path, char *buf, size_t size)
{
	FILE *in = *path == '\0' ? NULL : fopen(path, "re");

	buf[0] = '\0';
	if (*path == '\0')
		return 0;
	if (in == NULL || fgets(buf, (int)size, in) == NULL) {
		int rc = ctl_fail(ctl, EX_NOINPUT, "%s: %s", path,
		    in == NULL ? strerror(errno) : "is empty");

		if (in != NULL)
			(void)fclose(in);
		return rc;
	}
	(void)fclose(in);
	buf[strcspn(buf, "\r\n")] = '\0';
	return 0;
}

/* Nothing is written to Redis. */
static int
try_server(struct ctl *ctl, const struct link_to *to)
{
	struct link_mark mark;
	struct link *l;
	struct err err;
	int64_t skew_s;

	if (link_open(to, &l, &err) == -1 ||
	    link_published(l, "test", "", &mark, &err) == -1 ||
	    link_read(l, "$", 1, 1, &err) == -1) {
		link_close(&l);
		return ctl_fail(ctl, CTL_NONE, "%s", err.text);
	}
	skew_s = link_skew_s(l);
	link_close(&l);
	(void)printf("%s: good, its clock is %" PRId64 " s ahead of ours\n",
	    to->server, skew_s);
	return 0;
}

static int
run_test(struct ctl *ctl)
{
	const struct config *cfg = ctl->cfg;
	struct share_keys keys = { .n = 0 };
	char password[512];
	struct err err;
	int good = 0;

	if (share_key_read(cfg->share.key_file, &keys, &err) == -1 ||
	    (*cfg->share.key_file_old != '\0' &&
		share_key_read(cfg->share.key_file_old, &keys, &err) == -1))
		return ctl_fail(ctl, EX_CONFIG, "%s", err.text);
	int rc = first_line(
	    ctl, cfg->share.password_file, password, sizeof(password));

	for (size_t i = 0; rc == 0 && i < cfg->share.servers.n; i++) {
		const struct link_to to = {
			.server = cfg->share.servers.v[i],
			.stream = cfg->share.stream,
			.user = cfg->share.user,
			.password = password,
			.tls_ca = cfg->share.tls_ca,
			.tls_certificate = cfg->share.tls_certificate,
		};

		good += try_server(ctl, &to) == 0;
	}
	explicit_bzero(password, sizeof(password));
	explicit_bzero(&keys, sizeof(keys));
	/* of several, one is the primary */
	return rc != 0 ? rc : good > 0 ? 0 : EX_UNAVAILABLE;
}

/* --- status --- */

struct machines {
	struct table *table;
	int64_t now;
};

static bool
list_machine(void *arg, const struct store_peer *peer)
{
	struct machines *m = arg;
	char buf[TIME_TEXT_MAX], number[24];

	table_cell(m->table, *peer->name == '\0' ? "-" : peer->name);
	(void)snprintf(number, sizeof(number), "%" PRId64, peer->number);
	table_cell(m->table, number);
	table_cell(m->table,
	    peer->read_at == 0 ? "never"
			       : time_relative(peer->read_at, m->now, buf));
	(void)snprintf(number, sizeof(number), "%" PRId64 " s",
	    peer->read_at - peer->heard_at);
	table_cell(m->table, peer->read_at == 0 ? "-" : number);
	table_cell(m->table, peer->origin);
	return true;
}

static bool
list_refused(void *arg, const char *reason, int64_t n, int64_t last_at)
{
	const struct machines *m = arg;
	char buf[TIME_TEXT_MAX];

	(void)printf("refused: %" PRId64 " %s, the last %s\n", n, reason,
	    time_relative(last_at, m->now, buf));
	return true;
}

static void
say_own(const struct store_share *share, int64_t now)
{
	char buf[TIME_TEXT_MAX];

	(void)printf(
	    "This machine is %.8s. It has published its logins up to number %" PRId64
	    ",\nand read the stream to its end %s.\n",
	    share->origin, share->published < 0 ? 0 : share->published,
	    share->heard_at == 0 ? "never"
				 : time_relative(share->heard_at, now, buf));
	if (*share->trouble != '\0')
		(void)printf("Nothing is shared now: %s\n", share->trouble);
}

static int
run_status(struct ctl *ctl)
{
	static const char *const heads[] = { "MACHINE", "LOGINS", "HEARD",
		"LAG", "ORIGIN" };
	struct machines m = { .now = ctl->now };
	struct store_share share;
	struct store *st;
	struct err err;
	int rc = ctl_store(ctl, STORE_READ, &st);

	if (rc != 0)
		return rc;
	int found = store_share_find(st, &share, &err);

	if (found == 1) {
		say_own(&share, ctl->now);
		m.table = table_new(heads, 5);
		found = store_each_peer(st, list_machine, &m, &err);
		if (table_end(m.table) == 0)
			(void)puts("No other machine has been heard of.");
		if (found == 0)
			found = store_each_refused(st, list_refused, &m, &err);
		rc = *share.trouble == '\0' ? 0 : CTL_NONE;
	} else if (found == 0) {
		rc = ctl_fail(ctl, CTL_NONE,
		    "popgate-collector has never shared anything: see its log");
	}
	store_close(&st);
	return found == -1 ? ctl_fail_err(ctl, &err) : rc;
}

static int
run(struct ctl *ctl, const struct ctl_args *args)
{
	const char *what = args->v[0];
	int rc = ctl_config(ctl);

	if (rc != 0)
		return rc;
	if (strcmp(what, "init") == 0)
		return run_init(ctl);
	if (strcmp(what, "status") != 0 && strcmp(what, "test") != 0)
		return ctl_fail(ctl, EX_USAGE,
		    "'%.100s' is none of init, status and test", what);
	if (ctl->cfg->share.servers.n == 0)
		return ctl_fail(ctl, EX_CONFIG,
		    "share.servers is empty: nothing is shared");
	return *what == 's' ? run_status(ctl) : run_test(ctl);
}

const struct command cmd_share = {
	.name = "share",
	.args = "init|status|test",
	.summary = "one gate on several machines",
	.help =
	    "init: make a key and say what goes where. status: the other machines, how far\n"
	    "behind each is heard, and what was refused; exit status 1 while Redis is away.\n"
	    "test: ask each of share.servers, without writing to it; a replica is named, and one\n"
	    "good server is enough.\n",
	.words = "init status test",
	.min = 1,
	.max = 1,
	.run = run,
};
