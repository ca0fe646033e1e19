/* SPDX-License-Identifier: ISC */
/* story - what 'popgatectl doctor --incident' found out, and what is to be
 * done about it. */
#ifndef POPGATE_STORY_H
#define POPGATE_STORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/mta/domains.h"
#include "ctl/incident/incident.h"
#include "ctl/incident/maillog.h"

struct ctl;
struct doctor;
struct rights;
struct audit_reader;
struct json;

enum {
	STORY_EVIDENCE = 3, /* groups that are shown with their log lines */
	STORY_EVIDENCE_LINES = 12,
	STORY_STEPS_MAX = 16,
	STORY_STEP_TEXT_MAX = 500,
	STORY_BREACHES = 20 /* that are told: the newest */
};

/* Somebody went over one of popgate's limits. */
struct story_breach {
	bool is_user, lifted;
	int64_t at, denied_until; /* Unix seconds; 0: not denied for it */
	char subject[INCIDENT_USER_MAX];
	char limit[80]; /* "limits.client_recipients = 2000/1h" */
};

struct story_evidence {
	char id[INCIDENT_SAMPLES][INCIDENT_ID_MAX];
	char *line[STORY_EVIDENCE_LINES]; /* owned */
	size_t n;
};

struct story {
	struct doctor *d;
	struct ctl *ctl;
	struct domain_set domains;
	struct rights *rights; /* NULL: the record can't be read */
	char rights_why[ERR_TEXT_MAX];
	int64_t since;
	struct incident *in;
	const struct incident_group *groups;
	size_t n;
	struct incident_totals totals;
	struct maillog_stats stats;
	char spool[64];
	struct story_evidence evidence[STORY_EVIDENCE];
	size_t evidence_n;
	struct story_breach breach[STORY_BREACHES]; /* oldest first */
	size_t breaches;
	bool more_breaches;
	char step[STORY_STEPS_MAX][STORY_STEP_TEXT_MAX];
	size_t steps;
};

/* Is there no right that let this mail through? */
bool story_is_fearsome(const struct incident_group *g);
/* Had the sender a right, but uses more sender addresses than one person has,
 * or random ones, or did far more leave than in the days before? */
bool story_is_suspicious(const struct incident_group *g);

/* Has an earlier group that is suspicious the same user? */
bool story_told_before(const struct story *s, size_t at);
/* Did the mail server write anything in the time that was asked for, or in the
 * last day? */
bool story_has_lines(const struct story *s);

/* Fill in s->step from the groups: what to do, in order. */
void story_steps(struct story *s);

/* Fill in s->breach. 0, or -1 with err. */
int story_breaches_load(
    struct story *s, struct audit_reader *reader, struct err *err);
void story_breaches_print(const struct story *s);
void story_breaches_json(struct json *j, const struct story *s);

/* Exit status: 2 by no right; 1 looks like a hijack, a limit was
 * exceeded, or it can't be told; 0
 * calm. */
int story_status(const struct story *s);

#endif
