/* SPDX-License-Identifier: ISC */
#include "ctl/ctl.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/db/db_watch.h"
#include "ctl/out.h"
#include "ctl/times.h"

int
ctl_fail(const struct ctl *ctl, int code, const char *fmt, ...)
{
	char text[1500], line[OUT_TEXT_MAX];
	va_list ap;

	assert(ctl->program != NULL);
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)fflush(stdout);
	out_escape(text, line, sizeof(line));
	if (ctl->cmd == NULL)
		(void)fprintf(stderr, "%s: %s\n", ctl->program, line);
	else
		(void)fprintf(
		    stderr, "%s: %s: %s\n", ctl->program, ctl->cmd, line);
	return code;
}

int
ctl_fail_err(const struct ctl *ctl, const struct err *err)
{
	static const int codes[] = {
		[ERR_NONE] = EX_SOFTWARE,
		[ERR_INVALID] = EX_DATAERR,
		[ERR_BUSY] = EX_TEMPFAIL,
		[ERR_IO] = EX_IOERR,
		[ERR_CORRUPT] = EX_DATAERR,
		[ERR_VERSION] = EX_DATAERR,
		[ERR_EMPTY] = EX_DATAERR,
		[ERR_NOMEM] = EX_OSERR,
	};

	return ctl_fail(ctl, codes[err->code], "%s", err->text);
}

int
ctl_config(struct ctl *ctl)
{
	const char *path = ctl->config_path;
	struct err err;

	if (ctl->cfg != NULL)
		return 0;
	if (!ctl->config_given && access(path, F_OK) == -1 && errno == ENOENT) {
		ctl->defaults = true;
		path = "/dev/null"; /* every key has a safe default */
	}
	if (config_load(path, &ctl->cfg, &err) == 0)
		return 0;
	if (err.code == ERR_IO && access(path, F_OK) == -1)
		return ctl_fail(ctl, EX_NOINPUT, "%s", err.text);
	if (err.code == ERR_IO && access(path, R_OK) == -1)
		return ctl_fail(ctl, EX_NOPERM, "%s", err.text);
	return ctl_fail(ctl, EX_CONFIG, "%s", err.text);
}

static const char *
user_name(void)
{
	const struct passwd *pw = getpwuid(geteuid());

	return pw == NULL ? "unknown" : pw->pw_name;
}

int
ctl_database_reason(const char *path, const char *what, enum store_mode mode,
    const struct err *err, char *buf, size_t size)
{
	bool missing = access(path, F_OK) == -1 && errno == ENOENT;

	assert(size > 0);
	if (missing && mode != STORE_WRITE) {
		(void)snprintf(buf, size, "%s: there is no %s yet", path, what);
		return EX_NOINPUT;
	}
	if (missing) {
		(void)snprintf(buf, size, "%s", err->text);
		return EX_CANTCREAT;
	}
	if (access(path, R_OK) == -1 && errno == EACCES) {
		(void)snprintf(buf, size,
		    "%s: user %s may not read the %s: that needs root or the group popgate",
		    path, user_name(), what);
		return EX_NOPERM;
	}
	if (mode != STORE_READ && access(path, W_OK) == -1) {
		(void)snprintf(buf, size,
		    "%s: user %s may only read the %s: changing it needs root or the user popgate-collector",
		    path, user_name(), what);
		return EX_NOPERM;
	}
	(void)snprintf(buf, size, "%s", err->text);
	return err->code == ERR_BUSY ? EX_TEMPFAIL
	    : err->code == ERR_IO    ? EX_IOERR
	    : err->code == ERR_NOMEM ? EX_OSERR
				     : EX_DATAERR;
}

/* At a terminal, somebody watches: say that it is still working. */
static void
tell_busy(void *arg, int64_t ms)
{
	const struct ctl *ctl = arg;

	(void)fflush(stdout);
	(void)fprintf(stderr, "\r%s: %s: working, %" PRId64 " s\033[K",
	    ctl->program, ctl->cmd, ms / 1000);
}

static void
tell_done(void *arg)
{
	(void)arg;
	(void)fputs("\r\033[K", stderr);
}

static struct db_watch *
watch_of(struct ctl *ctl)
{
	static struct db_watch watch = {
		.after_ms = 1000,
		.busy = tell_busy,
		.done = tell_done,
	};

	watch.arg = ctl;
	return isatty(STDERR_FILENO) ? &watch : NULL;
}

int
ctl_store(struct ctl *ctl, enum store_mode mode, struct store **st_r)
{
	char text[ERR_TEXT_MAX + 200];
	struct err err;
	int rc = ctl_config(ctl);

	*st_r = NULL;
	if (rc != 0)
		return rc;
	/* SQLite opens what it may only read, and fails at the first write */
	if (store_open(ctl->cfg->logins.database, mode, st_r, &err) == 0 &&
	    (mode == STORE_READ ||
		access(ctl->cfg->logins.database, W_OK) == 0)) {
		if (watch_of(ctl) != NULL)
			store_watch(*st_r, watch_of(ctl));
		return 0;
	}
	store_close(st_r);
	rc = ctl_database_reason(ctl->cfg->logins.database, "login table", mode,
	    &err, text, sizeof(text));
	return ctl_fail(ctl, rc, "%s", text);
}

/* popgate-milter makes a file anew that was truncated, within a second or so:
 * that is waited for. */
enum { REMADE_MS = 10000, REMADE_STEP_MS = 50 };

int
ctl_audit_open(const char *path, struct audit_reader **r_r, struct err *err)
{
	int64_t until_ms = clock_monotonic_ms() + REMADE_MS;

	while (audit_open_reader(path, r_r, err) == -1) {
		if (err->code != ERR_EMPTY || clock_monotonic_ms() > until_ms)
			return -1;
		(void)poll(NULL, 0, REMADE_STEP_MS);
	}
	return 0;
}

int
ctl_audit(struct ctl *ctl, struct audit_reader **r_r)
{
	char text[ERR_TEXT_MAX + 200];
	struct err err;
	int rc = ctl_config(ctl);

	*r_r = NULL;
	if (rc != 0)
		return rc;
	if (ctl_audit_open(ctl->cfg->audit.database, r_r, &err) == 0) {
		if (watch_of(ctl) != NULL)
			audit_watch(*r_r, watch_of(ctl));
		return 0;
	}
	rc = ctl_database_reason(ctl->cfg->audit.database,
	    "record of decisions", STORE_READ, &err, text, sizeof(text));
	return ctl_fail(ctl, rc, "%s", text);
}

int
ctl_address(const struct ctl *ctl, const char *text, struct addr *addr)
{
	if (addr_parse_loose(text, addr))
		return 0;
	return ctl_fail(ctl, EX_USAGE, "'%.100s' is not an IP address", text);
}

int
ctl_network(const struct ctl *ctl, const char *text, struct network *net)
{
	const char *slash = strrchr(text, '/');
	char host[100], want[NETWORK_TEXT_MAX];
	struct addr addr;
	int64_t bits;

	if (addr_parse_loose(text, &addr)) {
		*net = network_of(&addr, addr_bits(&addr));
		return 0;
	}
	if (network_parse(text, net))
		return 0;
	if (slash != NULL && (size_t)(slash - text) < sizeof(host)) {
		memcpy(host, text, (size_t)(slash - text));
		host[slash - text] = '\0';
		if (addr_parse_loose(host, &addr) &&
		    strspn(slash + 1, "0123456789") == strlen(slash + 1) &&
		    (bits = strtoll(slash + 1, NULL, 10)) <= addr_bits(&addr) &&
		    slash[1] != '\0') {
			*net = network_of(&addr, (uint8_t)bits);
			if (addr_equal(&net->base, &addr))
				return 0;
			return ctl_fail(ctl, EX_USAGE,
			    "'%.100s' is not a network: it has bits set beyond /%" PRId64
			    "; did you mean %s?",
			    text, bits, network_format(net, want));
		}
	}
	return ctl_fail(
	    ctl, EX_USAGE, "'%.100s' is not an IP address or network", text);
}

int
ctl_duration(const struct ctl *ctl, const char *option, const char *text,
    int64_t max_s, int64_t *s_r)
{
	char most[DURATION_TEXT_MAX];

	assert(max_s >= 1 && max_s <= DURATION_MAX_S);
	if (!duration_parse(text, s_r))
		return ctl_fail(ctl, EX_USAGE,
		    "%s '%.100s' is not a duration like 90s, 30m, 2h or 7d",
		    option, text);
	if (*s_r >= 1 && *s_r <= max_s)
		return 0;
	return ctl_fail(ctl, EX_USAGE,
	    "%s '%.100s' is out of range: expected 1s to %s", option, text,
	    duration_format(max_s, most));
}

int
ctl_time(const struct ctl *ctl, const char *text, int past, int64_t *at_r)
{
	assert(past == 0 || past == 1);
	if (time_parse(text, ctl->now, past, at_r))
		return 0;
	return ctl_fail(ctl, EX_USAGE,
	    "'%.100s' is not a time like '2026-03-01 12:00', 12:00, 2h or @1772366400",
	    text);
}

int
ctl_period(const struct ctl *ctl, int64_t since, int64_t until)
{
	if (since == 0 || until == 0 || since < until)
		return 0;
	return ctl_fail(ctl, EX_USAGE,
	    "--since is not before --until: nothing lies between them");
}

int
ctl_number(const struct ctl *ctl, const char *text, int64_t min, int64_t max,
    int64_t *n_r)
{
	size_t n = strlen(text);

	assert(min <= max);
	if (n > 0 && n < 19 && strspn(text, "0123456789") == n) {
		*n_r = strtoll(text, NULL, 10);
		if (*n_r >= min && *n_r <= max)
			return 0;
	}
	return ctl_fail(ctl, EX_USAGE,
	    "'%.100s' is not a number from %" PRId64 " to %" PRId64, text, min,
	    max);
}

const char *
ctl_who(char *buf, size_t size)
{
	const char *sudo = geteuid() == 0 ? getenv("SUDO_USER") : NULL;

	assert(size > 0);
	(void)snprintf(buf, size, "%.64s%s%.64s", user_name(),
	    sudo == NULL ? "" : " for ", sudo == NULL ? "" : sudo);
	return buf;
}
