/* SPDX-License-Identifier: ISC */
/* shared - is what other machines share heard, and what of it isn't believed?
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/err.h"
#include "common/db/outbox.h"
#include "common/db/store_share.h"
#include "common/policy/charge.h"
#include "common/share/entry.h"
#include "ctl/ctl.h"
#include "ctl/status/status.h"
#include "ctl/times.h"

enum {
	LAG_S = 60, /* a stream that is read is heard of every second */
	SILENT_S = 60, /* a machine says hello every 5 s */
	GONE_S = 86400, /* a machine that is silent for longer was taken out */
	SKEW_S = 60
};

struct shared {
	struct status *s;
	int64_t now;
	int machines; /* heard in the last minute */
};

static bool
take_peer(void *arg, const struct store_peer *peer)
{
	struct shared *sh = arg;
	int64_t silent_s = sh->now - peer->read_at;
	char what[200], words[200], when[TIME_TEXT_MAX];

	sh->machines += silent_s < SILENT_S;
	if (silent_s < SILENT_S || silent_s > GONE_S || *peer->name == '\0')
		return true;
	(void)snprintf(what, sizeof(what), "machine %.100s", peer->name);
	(void)snprintf(words, sizeof(words),
	    "said hello %s: is its collector running, does it reach Redis?",
	    time_relative(peer->read_at, sh->now, when));
	status_add(sh->s, LEVEL_WARNING, what, words);
	return true;
}

/* Advice on entries that don't count. */
static const char *
advice(const char *reason)
{
	static const struct {
		enum share_refusal refusal;
		const char *words;
	} rows[] = {
		{ SHARE_FORGED,
		    "sealed by another key: a machine has the wrong share.key_file, or somebody writes to Redis who shouldn't" },
		{ SHARE_FUTURE,
		    "dated in the future: the clock of a machine, or this one's, is wrong" },
		{ SHARE_MALFORMED,
		    "no entries of popgate: somebody else writes to this stream" },
		{ SHARE_VERSION, "of a newer popgate: upgrade this machine" },
		{ SHARE_MISSING,
		    "logins that a machine had published never came: this machine was away for longer than the stream is kept, or Redis lost them" },
		{ SHARE_COPY, "read before: somebody repeats entries" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(share_refusal_name(rows[i].refusal), reason) == 0)
			return rows[i].words;
	return "for an unknown reason";
}

static bool
take_refused(void *arg, const char *reason, int64_t n, int64_t last_at)
{
	struct shared *sh = arg;
	char what[100], words[400], when[TIME_TEXT_MAX];

	(void)snprintf(what, sizeof(what), "shared entries: %.40s", reason);
	(void)snprintf(words, sizeof(words), "%" PRId64 ", the last %s: %s", n,
	    time_relative(last_at, sh->now, when), advice(reason));
	status_add(sh->s,
	    sh->now - last_at < STATUS_RECENT_S ? LEVEL_WARNING : LEVEL_OK,
	    what, words);
	return true;
}

static void
say_stream(struct shared *sh, const struct store_share *share)
{
	bool required = sh->s->ctl->cfg->share.required;
	int64_t lag_s = sh->now - share->heard_at;
	bool away = *share->trouble != '\0' || lag_s > LAG_S;
	char words[700], when[TIME_TEXT_MAX];

	(void)snprintf(words, sizeof(words),
	    "read to its end %s, %d other machines in the last minute%s%.300s%s",
	    share->heard_at == 0
		? "never"
		: time_relative(share->heard_at, sh->now, when),
	    sh->machines, *share->trouble == '\0' ? "" : "; ", share->trouble,
	    !away ? ""
		: required
		? ": clients that this machine hasn't seen get a temporary failure"
		: ": this machine goes on with what it knows");
	status_add(sh->s,
	    !away          ? LEVEL_OK
		: required ? LEVEL_CRITICAL
			   : LEVEL_WARNING,
	    "shared stream", words);
	if (share->skew_s > -SKEW_S && share->skew_s < SKEW_S)
		return;
	(void)snprintf(words, sizeof(words),
	    "Redis's is %" PRId64 " s %s this machine's: which is wrong?",
	    share->skew_s < 0 ? -share->skew_s : share->skew_s,
	    share->skew_s < 0 ? "behind" : "ahead of");
	status_add(sh->s, LEVEL_WARNING, "clocks", words);
}

struct untold {
	int64_t at; /* of the oldest; 0: there is none */
};

static void
take_untold(void *arg, const struct relayed *r)
{
	((struct untold *)arg)->at = r->at;
}

/* Is what this machine relays told to the others? */
static void
say_limits(struct shared *sh, const struct store_share *share)
{
	const struct config *cfg = sh->s->ctl->cfg;
	struct untold first = { .at = 0 };
	struct outbox *o;
	char words[700];
	struct err err;

	if (outbox_open(cfg->audit.database, false, &o, &err) == -1) {
		(void)snprintf(words, sizeof(words),
		    "%.400s: on a machine that relays, start popgate-milter again, or other machines' limits don't count what it relays",
		    err.text);
		status_add(sh->s,
		    *cfg->milter.listen == '\0' && *cfg->permit.policy == '\0'
			? LEVEL_OK
			: LEVEL_WARNING,
		    "shared limits", words);
		return;
	}
	bool same = strcmp(share->outbox, outbox_origin(o)) == 0;
	int rc = outbox_each_relayed(o, same ? share->relayed : 0,
	    sh->now - charge_window(cfg), 1, take_untold, &first, &err);

	if (rc == -1)
		(void)snprintf(words, sizeof(words), "%.600s", err.text);
	else if (first.at != 0 && sh->now - first.at > LAG_S)
		(void)snprintf(words, sizeof(words),
		    "what was relayed here is told up to %" PRId64
		    " s ago only: each machine has its own limits until then",
		    sh->now - first.at);
	else
		(void)snprintf(words, sizeof(words),
		    "what is relayed here is told to the others");
	status_add(sh->s,
	    rc == -1 || (first.at != 0 && sh->now - first.at > LAG_S)
		? LEVEL_WARNING
		: LEVEL_OK,
	    "shared limits", words);
	outbox_close(&o);
}

void
status_share(struct status *s)
{
	const struct config *cfg = s->ctl->cfg;
	struct shared sh = { .s = s, .now = s->ctl->now };
	struct store_share share;
	struct store *st = NULL;
	int found;

	/* a table that can't be opened is status_tables()'s to say */
	if (cfg->share.servers.n == 0 ||
	    store_open(cfg->logins.database, STORE_READ, &st, NULL) == -1)
		return;
	found = store_share_find(st, &share, NULL);
	if (found == 1) {
		(void)store_each_peer(st, take_peer, &sh, NULL);
		say_stream(&sh, &share);
		say_limits(&sh, &share);
		(void)store_each_refused(st, take_refused, &sh, NULL);
	} else {
		status_add(s, LEVEL_WARNING, "shared stream",
		    "popgate-collector has never shared anything: see its log");
	}
	store_close(&st);
}
