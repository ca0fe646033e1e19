#include "milter/refresh.h"

#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/log.h"
#include "common/base/watch.h"
#include "milter/gate.h"

static struct watch *watch;
static char said[ERR_TEXT_MAX]; /* the last error, not to repeat it */

void
refresh_watch(void)
{
	struct gate_config *gc = gate_config_take();
	const struct string_list *const lists[] = { &gc->lists.domains.files,
		&gc->lists.senders.files };

	if (watch == NULL)
		watch = watch_new();
	if (watch == NULL || watch_files(watch, lists, 2, gc->read_ms) == -1)
		log_msg(LOG_WARNING,
		    "out of memory: changed lists will be "
		    "seen at a reload only");
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
		    "%s: %s has changed: %zu entries, %zu "
		    "more, %zu less%s%s",
		    key, path, is->n, more, less, less > 0 ? ": " : "", names);
}

static void
renew(const char *path)
{
	struct gate_config *gc, *old;
	struct err err;

	if (gate_config_renew(&gc, &err) == -1) {
		if (strcmp(said, err.text) != 0)
			log_msg(LOG_ERR,
			    "%s has changed: %s; the old list "
			    "stays",
			    path, err.text);
		(void)snprintf(said, sizeof(said), "%s", err.text);
		return;
	}
	old = gate_config_take();
	say_difference("relay.local_domains", path, &old->lists.domains.names,
	    &gc->lists.domains.names);
	say_difference("relay.sender_addresses", path, &old->lists.senders.set,
	    &gc->lists.senders.set);
	gate_config_give(old);
	gate_config_swap(gc);
	refresh_watch();
}

void
refresh_tick(void)
{
	const char *path;

	if (watch == NULL)
		return;
	switch (watch_look(watch, clock_monotonic_ms(), &path)) {
	case WATCH_SAME:
		break;
	case WATCH_CHANGED:
		renew(path);
		break;
	case WATCH_GONE:
		log_msg(LOG_ERR,
		    "%s is gone: the list as it was read from it "
		    "stays",
		    path);
		break;
	case WATCH_EMPTY:
		log_msg(LOG_ERR,
		    "%s has become empty: the list as it was "
		    "read from it stays; a reload takes the empty one",
		    path);
		break;
	case WATCH_BACK:
		log_msg(LOG_NOTICE, "%s is back", path);
		break;
	}
}
