/* SPDX-License-Identifier: ISC */
/* The news of other machines that share this one's gate. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/listen.h"
#include "common/db/store.h"
#include "common/db/store_share.h"
#include "common/share/link.h"
#include "ctl/ctl.h"
#include "ctl/doctor/doctor.h"

enum { LAG_S = 60, SKEW_S = 60, RECENT_S = 86400 };

/* May whoever reads the network read what is said to this server? */
static bool
is_readable(const char *server)
{
	struct listen_spec spec;
	bool tls;

	return link_parse(server, &spec, &tls, NULL) == 0 && !tls &&
	    !listen_is_local(&spec);
}

static bool
take_refused(void *arg, const char *reason, int64_t n, int64_t last_at)
{
	struct doctor *d = arg;
	const struct finding_at at = { .file = d->ctl->cfg->logins.database,
		.value = reason };

	if (d->ctl->now - last_at < RECENT_S)
		doctor_add(d, "popgate-share-refused", &at,
		    "%" PRId64
		    " entries of the stream were refused as %.40s, the last one %" PRId64
		    " s ago.",
		    n, reason, d->ctl->now - last_at);
	return true;
}

static void
look(struct doctor *d, const struct store_share *s)
{
	const struct finding_at at = { .file = d->ctl->cfg->logins.database,
		.setting = "share.servers" };
	int64_t lag_s = d->ctl->now - s->heard_at;

	if (*s->trouble != '\0')
		doctor_add(d, "popgate-share-away", &at,
		    "Nothing is shared now: %.300s.", s->trouble);
	else if (lag_s > LAG_S)
		doctor_add(d, "popgate-share-away", &at,
		    "The stream of other machines was last read to its end %" PRId64
		    " s ago.",
		    lag_s);
	if (s->skew_s <= -SKEW_S || s->skew_s >= SKEW_S)
		doctor_add(d, "popgate-share-clock", &at,
		    "The clock of Redis is %" PRId64 " s %s this machine's.",
		    s->skew_s < 0 ? -s->skew_s : s->skew_s,
		    s->skew_s < 0 ? "behind" : "ahead of");
}

void
doctor_share(struct doctor *d, struct store *st)
{
	const struct string_list *servers = &d->ctl->cfg->share.servers;
	struct finding_at at = { .file = d->ctl->config_path,
		.setting = "share.servers" };
	struct store_share share;
	struct err err;

	for (size_t i = 0; i < servers->n; i++) {
		at.value = servers->v[i];
		if (is_readable(servers->v[i]))
			doctor_add(d, "popgate-share-plain", &at,
			    "What goes to %.200s isn't encrypted.",
			    servers->v[i]);
	}
	at.value = NULL;
	if (servers->n == 0)
		return;
	if (store_share_find(st, &share, &err) != 1) {
		doctor_add(d, "popgate-share-away", &at,
		    "popgate-collector has never shared anything: see its log.");
		return;
	}
	look(d, &share);
	(void)store_each_refused(st, take_refused, d, &err);
}
