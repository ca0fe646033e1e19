/* SPDX-License-Identifier: ISC */
#include "milter/reload.h"

#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <systemd/sd-daemon.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/file_watch.h"
#include "common/base/log.h"
#include "common/daemon/health.h"
#include "common/policy/facts.h"
#include "common/records/limit.h"
#include "milter/gate.h"

static struct file_watch *watch;
static char said[ERR_TEXT_MAX]; /* the last error, not to repeat it */

void
reload_watch_lists(void)
{
	struct gate_config *gc = gate_config_take();
	const struct string_list *const lists[] = { &gc->lists.domains.files,
		&gc->lists.senders.files };

	if (watch == NULL)
		watch = file_watch_new();
	if (watch == NULL ||
	    file_watch_files(watch, lists, 2, gc->read_ms) == -1)
		log_msg(LOG_WARNING,
		    "out of memory: changed lists will be seen at a reload only");
	said[0] = '\0';
	gate_config_give(gc);
}

/* Nobody loses a domain without a line in the log that names it. */
static void
say_difference(const char *key, const char *path, const struct strset *was,
    const struct strset *is)
{
	char names[300], new[300];
	size_t less = strset_lost(was, is, names, sizeof(names));
	size_t more = strset_lost(is, was, new, sizeof(new));

	if (less + more > 0)
		log_msg(LOG_NOTICE,
		    "%s: %s has changed: %zu entries, %zu more, %zu less%s%s",
		    key, path, is->n, more, less, less > 0 ? ": " : "", names);
}

static void
warn(void *arg, const char *text)
{
	(void)arg;
	log_msg(LOG_WARNING, "%s", text);
}

/* A table that can't be read any more would leave its domains open. */
static bool
has_lost_tables(const struct gate_config *old, const struct gate_config *gc)
{
	if (domains_broken(&gc->lists.domains) <=
	    domains_broken(&old->lists.domains))
		return false;
	facts_domains(gc->cfg, &gc->lists, warn, NULL);
	return true;
}

static void
renew(const char *path)
{
	struct gate_config *gc, *old;
	struct err err;

	if (gate_config_renew(&gc, &err) == -1) {
		if (strcmp(said, err.text) != 0)
			log_msg(LOG_ERR,
			    "%s has changed: %s; the old list stays", path,
			    err.text);
		(void)snprintf(said, sizeof(said), "%s", err.text);
		return;
	}
	old = gate_config_take();
	if (has_lost_tables(old, gc)) {
		log_msg(LOG_ERR,
		    "%s has changed: not all lists can be read: the old ones stay until a reload",
		    path);
		gate_config_give(old);
		gate_config_free(gc);
		return;
	}
	say_difference("relay.local_domains", path, &old->lists.domains.names,
	    &gc->lists.domains.names);
	say_difference("relay.sender_addresses", path, &old->lists.senders.set,
	    &gc->lists.senders.set);
	gate_config_give(old);
	gate_config_swap(gc);
	reload_watch_lists();
}

/* Once when a table can't be asked any more, and once when it can. */
static void
say_failed_tables(void)
{
	static char failed[ERR_TEXT_MAX];
	char text[sizeof(failed)] = "";
	struct gate_config *gc = gate_config_take();

	(void)domains_failed(&gc->lists.domains, text, sizeof(text));
	gate_config_give(gc);
	if (strcmp(text, failed) == 0)
		return;
	if (*text != '\0')
		log_msg(LOG_ERR,
		    "relay.local_domains: %s: recipients of domains that aren't known otherwise get a temporary failure",
		    text);
	else
		log_msg(LOG_NOTICE,
		    "relay.local_domains: all tables can be asked again");
	(void)snprintf(failed, sizeof(failed), "%s", text);
}

void
reload_changed_lists(void)
{
	const char *path;

	say_failed_tables();
	if (watch == NULL)
		return;
	switch (file_watch_look(watch, clock_monotonic_ms(), &path)) {
	case FILE_WATCH_SAME:
		break;
	case FILE_WATCH_CHANGED:
		renew(path);
		break;
	case FILE_WATCH_GONE:
		log_msg(LOG_ERR,
		    "%s is gone: the list as it was read from it stays", path);
		break;
	case FILE_WATCH_EMPTY:
		log_msg(LOG_ERR,
		    "%s has become empty: the list as it was read from it stays; a reload takes the empty one",
		    path);
		break;
	case FILE_WATCH_BACK:
		log_msg(LOG_NOTICE, "%s is back", path);
		break;
	}
}

static void
say_restart(const char *key, bool changed)
{
	if (changed)
		log_msg(LOG_WARNING, "reload: %s changed: that needs a restart",
		    key);
}

static void
say_restarts(const struct config *was, const struct config *is)
{
#define TEXT(key) say_restart(#key, strcmp(was->key, is->key) != 0)
#define NUMBER(key) say_restart(#key, was->key != is->key)
	TEXT(logins.database);
	TEXT(audit.database);
	TEXT(milter.listen);
	TEXT(milter.user);
	TEXT(milter.group);
	TEXT(milter.status);
	TEXT(metrics.milter);
	TEXT(permit.policy);
	TEXT(permit.socketmap);
	NUMBER(milter.max_sessions);
	NUMBER(milter.mode);
	NUMBER(audit.queue);
	NUMBER(audit.max_size);
#undef TEXT
#undef NUMBER
	say_restart("audit.keep", was->audit.keep_s != is->audit.keep_s);
	say_restart("share.servers (for limits)",
	    (was->share.servers.n == 0) != (is->share.servers.n == 0));
}

/* The limiter counts by the windows that it was made for: a limit whose window
 * changed stays as it was until a restart. */
static void
keep_windows(const struct config *was, struct config *is)
{
	if (was->relay.ipv6_prefix != is->relay.ipv6_prefix &&
	    (was->relay.ipv6_prefix < 64 || is->relay.ipv6_prefix < 64))
		say_restart("relay.ipv6_prefix (for limits)", true);
	for (int i = 0; i < LIMIT_MESSAGE_RECIPIENTS; i++) {
		const struct limit_rate *old = &was->limits.rate[i];
		struct limit_rate *new = &is->limits.rate[i];
		char key[60];

		if (new->window_s == old->window_s)
			continue;
		if (new->max == 0) {
			new->window_s = old->window_s;
			continue;
		}
		*new = *old;
		(void)snprintf(key, sizeof(key), "the window of limits.%s",
		    limit_name((enum limit)i));
		say_restart(key, true);
	}
}

void
reload_warn(const struct gate_config *gc, bool sure)
{
	facts_domains(gc->cfg, &gc->lists, warn, NULL);
	facts_open_relay(gc->cfg, warn, NULL);
	facts_socketmap(gc->cfg, sure, warn, NULL);
}

static void
put_into_force(struct gate_config *gc)
{
	struct gate_config *old = gate_config_take();

	say_restarts(old->cfg, gc->cfg);
	keep_windows(old->cfg, gc->cfg);
	gate_config_give(old);
	reload_warn(gc, true);
	gate_config_swap(gc);
	reload_watch_lists();
}

void
reload_now(const char *path)
{
	struct gate_config *gc;
	struct err err;

	(void)sd_notify(0, "RELOADING=1");
	if (gate_config_load(path, &gc, &err) == -1) {
		log_msg(LOG_ERR, "reload: %s; the old configuration stays",
		    err.text);
		health_reloaded(false, err.text);
	} else {
		put_into_force(gc);
		log_msg(LOG_NOTICE, "reload: %s is in force", path);
		health_reloaded(true, "");
	}
	(void)sd_notify(0, "READY=1");
}
