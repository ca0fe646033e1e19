/* SPDX-License-Identifier: ISC */
/* breaches - the limits that were exceeded, by popgate's own record. */
#include <stdio.h>
#include <string.h>

#include "common/db/audit.h"
#include "ctl/ctl.h"
#include "ctl/incident/story.h"
#include "ctl/out.h"
#include "ctl/times.h"

static bool
take_breach(void *arg, const struct audit_breach *b)
{
	struct story *s = arg;
	struct story_breach *to;

	/* the newest of each */
	for (size_t i = 0; i < s->breaches; i++)
		if (s->breach[i].is_user == b->is_user &&
		    strcmp(s->breach[i].subject, b->subject) == 0)
			memmove(&s->breach[i], &s->breach[i + 1],
			    (--s->breaches - i) * sizeof(*to));
	if (s->breaches == STORY_BREACHES) {
		s->more_breaches = true;
		memmove(
		    &s->breach[0], &s->breach[1], --s->breaches * sizeof(*to));
	}
	to = &s->breach[s->breaches++];
	*to = (struct story_breach){ .is_user = b->is_user,
		.at = b->at_ms / 1000,
		.lifted = b->lifted_at_ms != 0,
		.denied_until = b->denied_until };
	(void)snprintf(to->subject, sizeof(to->subject), "%s", b->subject);
	(void)snprintf(to->limit, sizeof(to->limit), "limits.%s = %s%s",
	    b->setting, b->allowed, b->by_login ? " by logins" : "");
	return true;
}

int
story_breaches_load(
    struct story *s, struct audit_reader *reader, struct err *err)
{
	return audit_each_breach(
	    reader, s->since * 1000, false, NULL, take_breach, s, err);
}

void
story_breaches_print(const struct story *s)
{
	char when[TIME_TEXT_MAX];

	if (s->breaches > 0)
		(void)printf(
		    "Limits that were exceeded, by popgate's record:\n");
	for (size_t i = s->breaches; i-- > 0;) {
		const struct story_breach *b = &s->breach[i];

		(void)printf("  %s ", b->is_user ? "user" : "client");
		out_text(b->subject);
		(void)printf(", %s, %s", b->limit,
		    time_relative(b->at, s->ctl->now, when));
		if (b->lifted)
			(void)printf("; let in again");
		else if (b->denied_until > s->ctl->now)
			(void)printf("; denied until %s",
			    time_local(b->denied_until, when));
		(void)putchar('\n');
	}
	if (s->more_breaches)
		(void)printf("  and others before: popgatectl spam\n");
	if (s->breaches > 0)
		(void)putchar('\n');
}

void
story_breaches_json(struct json *j, const struct story *s)
{
	json_open(j, "breaches", '[');
	for (size_t i = 0; i < s->breaches; i++) {
		const struct story_breach *b = &s->breach[i];

		json_open(j, NULL, '{');
		json_text(j, "kind", b->is_user ? "user" : "client");
		json_text(j, "subject", b->subject);
		json_text(j, "limit", b->limit);
		json_time(j, "at", b->at);
		json_time(j, "denied_until", b->denied_until);
		json_bool(j, "lifted", b->lifted);
		json_close(j, '}');
	}
	json_close(j, ']');
}
