/* SPDX-License-Identifier: ISC */
/* postfix_conf - a Postfix configuration as postconf(1) prints it: settings
 * with everything expanded, the services of master.cf and their overrides;
 * and the line each is on. Which settings name our domains, and how the lists
 * in them are read: domains.h. One thread. */
#ifndef POPGATE_POSTFIX_CONF_H
#define POPGATE_POSTFIX_CONF_H

#include <stdbool.h>
#include <stddef.h>

struct err;

struct postfix_pair {
	char *name; /* of an override: "service/type/setting" */
	char *value;
};

struct postfix_pairs {
	struct postfix_pair *v;
	size_t n;
	char *text; /* all strings are in it */
};

struct postfix_service {
	char *name, *type; /* "smtp", "inet" */
	char *command; /* "smtpd" */
	bool chroot;
};

struct postfix_conf {
	char *dir;
	char *main_cf, *master_cf; /* paths */
	char *main_text, *master_text; /* NULL: can't be read */
	struct postfix_pairs main, overrides; /* everything expanded */
	/* as the files have them, with their $names: what main.cf sets, and
	 * what master.cf overrides */
	struct postfix_pairs main_raw, overrides_raw;
	struct postfix_service *services;
	size_t n_services;
	char *services_text;
	/* what Cyrus SASL finds in the chroot, it finds outside; false: unknown
	 */
	bool sasl_outside;
};

/* Runs postconf five times. Returns 0, or -1 with err. */
int
postfix_conf_load(const char *dir, struct postfix_conf *pf, struct err *err);

/* The texts that postconf prints of one configuration. NULL is none; the raw
 * ones that are NULL are taken for the same as the expanded ones. */
struct postfix_conf_text {
	const char *main, *main_raw; /* postconf -x; postconf -n */
	const char *services; /* postconf -Mx */
	const char *overrides, *overrides_raw; /* postconf -Px; postconf -P */
};

/* Read it out of texts: files, paths and lines stay unknown. Pure. Returns 0,
 * or -1 with err. */
int postfix_conf_parse(const struct postfix_conf_text *text,
    struct postfix_conf *pf, struct err *err);
void postfix_conf_release(struct postfix_conf *pf);

/* One setting of main.cf alone, with everything expanded: to be freed by the
 * caller, or NULL with err. Runs postconf. */
char *postfix_setting(const char *dir, const char *name, struct err *err);

/* A setting; "" when there is none. s NULL: that of main.cf. */
const char *postfix_value(const struct postfix_conf *pf,
    const struct postfix_service *s, const char *name);
bool postfix_yes(const struct postfix_conf *pf, const struct postfix_service *s,
    const char *name);
/* Does the service have a value of its own? */
bool postfix_overridden(const struct postfix_conf *pf,
    const struct postfix_service *s, const char *name);

/* A setting as its file has it, with its $names; NULL: not set in that file.
 * s NULL: in main.cf, else the override in master.cf alone. */
const char *postfix_raw(const struct postfix_conf *pf,
    const struct postfix_service *s, const char *name);

/* Where the setting is: its file, and the line, or 0 for a default. */
const char *postfix_where(const struct postfix_conf *pf,
    const struct postfix_service *s, const char *name, unsigned *line_r);

/* The line of the last "name =" of a text in main.cf's form; 0: none. Pure. */
unsigned postfix_main_line(const char *text, const char *name);
/* The line of a service in master.cf, or of its "-o setting" when setting is
 * not NULL. Pure. */
unsigned postfix_master_line(const char *text, const char *service,
    const char *type, const char *setting);

#endif
