/* SPDX-License-Identifier: ISC */
/* doctor - is this server an open relay, and what would make it one?
 *
 * cmd_doctor.c reads the command line. The readers below look at one program's
 * configuration each, and add findings to a struct doctor; doctor.c keeps and
 * prints them. The mail server's configuration is only read. Rehearsal and
 * probe (ctl/rehearsal/, ctl/doctor/probe/) ask a copy of the mail server, or
 * the running one; --changes and --mail write and send. One thread. */
#ifndef POPGATE_DOCTOR_H
#define POPGATE_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "common/config/config.h"

struct ctl;
struct ctl_args;
struct rehearsal_findings;
struct err;
struct store;

enum severity {
	SEVERITY_INFO, /* good to know; nothing to do */
	SEVERITY_WARNING, /* one step away from an open relay, or unsure */
	SEVERITY_OPEN_RELAY /* a stranger relays today */
};

/* One thing that the doctor can find. The table is in kinds.c, and
 * docs/DOCTOR.md explains each: tests/system/test_doctor.py compares them. */
struct finding_kind {
	const char *id; /* "postfix-mynetworks-wide": never renamed */
	enum severity severity;
	const char *why; /* the danger, in one sentence */
	/* what to paste; {file} {line} {setting} {value} {service} {dir} are
	 * replaced (see struct finding_at); lines end with \n but the last */
	const char *fix;
};

extern const struct finding_kind finding_kinds[]; /* ends with NULL id */
/* NULL when there is none of that id. */
const struct finding_kind *finding_kind_find(const char *id);

/* Where and what; all optional, borrowed. A value stands in a fix only when
 * it can't do harm in a shell; else "..." stands there. */
struct finding_at {
	const char *file;
	unsigned line; /* 0: not known */
	const char *setting;
	const char *value;
	const char *service;
	const char *dir; /* configuration directory of the MTA */
	const char *fix; /* instead of the kind's, same placeholders */
};

struct finding {
	const struct finding_kind *kind;
	char *file; /* NULL: none */
	unsigned line;
	char *detail; /* what was found: one or two sentences */
	size_t own; /* bytes of it before other services are named */
	char *fix;
	bool known; /* --changes: it was there the last time */
};

/* Does --changes tell of it? Of what needs no action it doesn't, but for what
 * couldn't be judged. Pure. */
bool finding_is_news(const struct finding *f);

enum doctor_mta { MTA_POSTFIX, MTA_SENDMAIL, MTA_EXIM, MTAS };

/* Places in the option table of cmd_doctor.c. */
enum doctor_option {
	DOCTOR_MTA,
	DOCTOR_CONFIG_DIR,
	DOCTOR_PROGRAM,
	DOCTOR_READ,
	DOCTOR_THOROUGH,
	DOCTOR_JSON,
	DOCTOR_CHANGES,
	DOCTOR_MAIL_TO,
	DOCTOR_PROBE,
	DOCTOR_HOST,
	DOCTOR_SOURCE,
	DOCTOR_FOREIGN,
	DOCTOR_SENDER,
	DOCTOR_HELO,
	DOCTOR_LOGIN_CHECK,
	DOCTOR_INCIDENT,
	DOCTOR_SINCE,
	DOCTOR_LOG,
	DOCTOR_DNSBL,
	DOCTOR_RESOLVER,
	DOCTOR_ADDRESS,
	DOCTOR_TIMEOUT
};

/* One examination. */
struct doctor {
	struct ctl *ctl;
	const struct ctl_args *args; /* options by enum doctor_option */
	struct finding *v; /* owned */
	size_t n;
	bool no_memory;
	bool changes; /* only what is new is printed */
	struct string_list gone; /* --changes: what isn't any more */
	/* lines of the state file that say what only a rehearsal shows, where
	 * there was none this time */
	struct string_list unasked;
	bool wired; /* an MTA asks popgate somewhere */
	/* MTAs that were read, by place: where, or NULL */
	char *read[MTAS]; /* owned: directory or file */
};

/* A value of the command line, or NULL. */
const char *doctor_option(const struct doctor *d, enum doctor_option o);

const char *doctor_mta_name(enum doctor_mta mta); /* "Postfix" */

/* Where the MTA's configuration usually is, when it is set up here: Postfix's
 * directory, else a file. NULL: it isn't. */
const char *doctor_find_mta(enum doctor_mta mta);

/* Add a finding; the same one (kind, file, line, detail) counts once, and one
 * that differs in service and line only is named in the first. id must be in
 * finding_kinds. The detail may hold anything that stands in a
 * configuration: it is escaped when printed. */
void doctor_add(struct doctor *d, const char *id, const struct finding_at *at,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Add what a rehearsal has shown.
 *   dir  configuration directory, where fixes name it; may be NULL */
void doctor_rehearsed(
    struct doctor *d, const struct rehearsal_findings *shown, const char *dir);

/* Is there a finding of this kind already? */
bool doctor_has(const struct doctor *d, const char *id);
/* Above info. */
enum severity doctor_worst(const struct doctor *d);

/* Print for people (worst first), or JSON. Return the exit status: 0, 1 for
 * warnings, 2 for an open relay. */
int doctor_print(const struct doctor *d, FILE *to);
int doctor_print_json(const struct doctor *d, FILE *to);

/* --changes: compare with what path says of the last time: what was there gets
 * known, what isn't any more is in d->gone. A path that doesn't exist is an
 * empty one. What is only good to know doesn't count. Returns 1 when something
 * changed, 0 when nothing did, or -1 with err. */
int doctor_changes_load(struct doctor *d, const char *path, struct err *err);
/* Write path, as a whole or not at all. Returns 0, or -1 with err. */
int
doctor_changes_save(const struct doctor *d, const char *path, struct err *err);

void doctor_release(struct doctor *d);

/* Where popgate-doctor.service keeps what it found the last time. */
#define DOCTOR_FOUND "/var/lib/popgate-doctor/found"

/* Call fn for each finding that such a file holds: its kind, where that is
 * known, and its words, with control characters escaped. Returns how many, or
 * -1 when there is no such file, or it can't be read. */
int doctor_changes_each(const char *path,
    void (*fn)(void *arg, const struct finding_kind *kind, const char *words),
    void *arg);

/* Read the configuration of each mail server that is here, and popgate's. No
 * copy of a mail server is asked, and nothing is printed but an error. d->ctl
 * is set, with its configuration; doctor_release() frees. Returns 0, or an exit
 * status. */
int doctor_read_quick(struct doctor *d);

/* The readers. path: directory (Postfix) or file. Each says as a finding what
 * it can't read or understand: silence means that it is good. */
void doctor_postfix(struct doctor *d, const char *dir);
void doctor_sendmail(struct doctor *d, const char *path);
void doctor_exim(struct doctor *d, const char *path);
void doctor_popgate(struct doctor *d);
/* popgate_share.c: st is open for reading. */
void doctor_share(struct doctor *d, struct store *st);
/* Find only whether every instance that runs asks popgate (postfix_asked.h),
 * for those who look often: a few runs of postconf(1). dir: the first's. */
void doctor_postfix_asked(struct doctor *d, const char *dir);

/* The modes, run after the readers. Return 0, or an exit status (sysexits)
 * after having said why. */
/* --probe: speak SMTP to the server; adds findings. */
int doctor_probe(struct doctor *d);
/* --dnsbl: ask block lists, those named as operands; adds findings. */
int doctor_dnsbl(struct doctor *d);
/* --incident: prints its own story (and JSON) instead of the findings;
 * returns the exit status of the program. */
int doctor_incident(struct doctor *d);

#endif
