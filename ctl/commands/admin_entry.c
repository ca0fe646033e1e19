/* SPDX-License-Identifier: ISC */
#include "ctl/commands/admin_entry.h"

#include <assert.h>
#include <stdio.h>

#include "common/base/err.h"
#include "common/base/own_addresses.h"
#include "common/db/store_share.h"

enum { IPV4_BITS_MIN = 8, IPV6_BITS_MIN = 16 };

/* Would this network let half the world relay? */
static int
check_width(const struct ctl *ctl, const struct network *net)
{
	int least =
	    net->base.family == ADDR_IPV4 ? IPV4_BITS_MIN : IPV6_BITS_MIN;
	char text[NETWORK_TEXT_MAX];

	if (net->bits >= least)
		return 0;
	return ctl_fail(ctl, EX_USAGE,
	    "%s is too wide: letting it relay makes an open relay (at least /%d is asked for)",
	    network_format(net, text), least);
}

int
entry_network(struct ctl *ctl, const char *text, struct network *net_r)
{
	int rc = ctl_network(ctl, text, net_r);

	if (rc == 0)
		rc = ctl_config(ctl);
	return rc == 0 ? check_width(ctl, net_r) : rc;
}

struct store_row
entry_row(const char *client, const char *user, int64_t at, int64_t expires_at)
{
	return (struct store_row){
		.client = client,
		.user = user,
		.service = "manual",
		.server = STORE_ADMIN,
		.first_at = at,
		.last_at = at,
		.expires_at =
		    expires_at < STORE_FOREVER ? expires_at : STORE_FOREVER,
		.count = 1,
	};
}

static bool
overlaps(const struct network_set *set, const struct network *net)
{
	for (size_t i = 0; i < set->n; i++)
		if (network_contains(&set->v[i], &net->base) &&
		    net->bits >= set->v[i].bits)
			return true;
	return false;
}

void
entry_warn(const struct ctl *ctl, const struct network *net)
{
	struct network_set own = { 0 };
	char text[NETWORK_TEXT_MAX];
	const char *key = overlaps(&ctl->cfg->relay.never_authorize, net)
	    ? "relay.never_authorize"
	    : overlaps(&ctl->cfg->relay.proxy_networks, net)
	    ? "relay.proxy_networks"
	    : NULL;

	if (key == NULL && ctl->cfg->relay.never_authorize_own &&
	    own_addresses(&own, NULL) == 0 && overlaps(&own, net))
		key = "this machine's own addresses";
	network_set_release(&own);
	if (key != NULL)
		(void)ctl_fail(ctl, 0,
		    "note: %s is in %s: policy row 6 refuses it whatever the table says",
		    network_format(net, text), key);
}

int
entry_write(struct ctl *ctl, struct store *st, const struct store_row *row,
    const char *how)
{
	char who[160], line[700];
	struct err err;

	assert(row->client != NULL && row->user != NULL);
	(void)snprintf(line, sizeof(line), "%.400s, by %s", how,
	    ctl_who(who, sizeof(who)));
	const struct store_event event = {
		.at = ctl->now,
		.client = row->client,
		.user = row->user,
		.service = row->service,
		.server = row->server,
		.source = STORE_ADMIN,
		.line = line,
	};

	struct store_word word = {
		.kind = WORD_ADD,
		.subject = row->client,
		.user = row->user,
		.until = row->expires_at,
		.note = line,
	};
	struct store_row dated = *row;

	if (store_begin(st, &err) == -1)
		return ctl_fail_err(ctl, &err);
	if (store_word_say(st, &word, ctl->now, &err) == -1) {
		store_rollback(st);
		return ctl_fail_err(ctl, &err);
	}
	if (dated.last_at == ctl->now)
		dated.first_at = dated.last_at = word.at;
	if (store_set(st, &dated, &err) == -1 ||
	    store_event_add(st, &event, &err) == -1 ||
	    store_commit(st, &err) == -1) {
		store_rollback(st);
		return ctl_fail_err(ctl, &err);
	}
	return 0;
}

int
entry_end(const struct ctl *ctl, const char *duration, const char *time,
    bool forever, int64_t *at_r)
{
	int64_t s = 0, at = 0;
	int rc = 0;

	if ((duration != NULL) + (time != NULL) + forever > 1)
		return ctl_fail(ctl, EX_USAGE, "%s and %s exclude each other",
		    duration != NULL ? "--for" : "--until",
		    duration != NULL && time != NULL ? "--until" : "--forever");
	if (forever) {
		*at_r = STORE_FOREVER;
	} else if (duration != NULL) {
		rc = ctl_duration(ctl, "--for", duration, DURATION_MAX_S, &s);
		if (rc == 0)
			*at_r = ctl->now + s;
	} else if (time != NULL) {
		rc = ctl_time(ctl, time, 0, &at);
		if (rc == 0 && at <= ctl->now)
			rc = ctl_fail(
			    ctl, EX_USAGE, "'%.100s' is in the past", time);
		if (rc == 0)
			*at_r = at;
	}
	return rc;
}
