/* SPDX-License-Identifier: ISC */
/* sendmail - what setup finds in a Sendmail, and the edits of its files:
 * sendmail.mc, popgate's rules beside it, and sendmail.cf, which m4 makes of
 * them in a scratch directory. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/listen.h"
#include "common/config/config.h"
#include "common/mta/sendmail_cf.h"
#include "ctl/setup/sendmail.h"
#include "ctl/wiring/sendmail_load.h"

enum { TEXT_LEN = 1000 };

const char *
setup_sendmail_program(void)
{
	static const char *const programs[] = {
		"/usr/libexec/sendmail/sendmail",
		"/usr/lib/sm.bin/sendmail",
		"/usr/sbin/sendmail.sendmail",
		"/usr/sbin/sendmail-mta",
	};

	for (size_t i = 0; i < sizeof(programs) / sizeof(*programs); i++)
		if (access(programs[i], X_OK) == 0)
			return programs[i];
	return NULL;
}

static const char *
find(void)
{
	/* the file stays when the package is removed, but not purged */
	return access(SENDMAIL_CF, F_OK) == 0 &&
		setup_sendmail_program() != NULL
	    ? SENDMAIL_CF
	    : NULL;
}

/* The path of sendmail.cf: s->dir is it, or its directory. */
void
setup_sendmail_cf(const struct setup *s, char *buf, size_t size)
{
	struct stat st;
	bool directory = stat(s->dir, &st) == 0 && S_ISDIR(st.st_mode);

	(void)snprintf(
	    buf, size, "%s%s", s->dir, directory ? "/sendmail.cf" : "");
}

/* --- look --- */

/* A word of class R, or of the access map: "10.1" is all of 10.1.0.0/16. */
static void
take_network(struct setup *s, const char *word)
{
	char text[60];
	struct network net;
	unsigned dots = 0;

	if (strncasecmp(word, "IPv6:", 5) == 0)
		word += 5;
	else
		for (const char *c = word; *c != '\0'; c++) {
			if (!isdigit((unsigned char)*c) && *c != '.')
				return;
			dots += *c == '.' && c[1] != '\0';
		}
	(void)snprintf(text, sizeof(text), "%.40s", word);
	if (strchr(text, ':') == NULL && dots < 3) {
		size_t n = strlen(text);

		while (n > 0 && text[n - 1] == '.')
			text[--n] = '\0';
		(void)snprintf(text + n, sizeof(text) - n, "%s/%u",
		    dots == 0       ? ".0.0.0"
			: dots == 1 ? ".0.0"
				    : ".0",
		    (dots + 1) * 8);
	}
	if (network_parse(text, &net) &&
	    !string_list_add(&s->mynetworks, text, strlen(text)))
		s->no_memory = true;
}

/* Each line of a file of class R, or of the access map's source. */
static void
take_networks(struct setup *s, const char *path, bool access_map)
{
	FILE *in = fopen(path, "re");
	char line[TEXT_LEN], key[200], value[100];

	while (in != NULL && fgets(line, sizeof(line), in) != NULL) {
		int n = sscanf(line, "%199s %99s", key, value);
		const char *word = key;

		if (n < 1 || *key == '#')
			continue;
		if (access_map) {
			if (n != 2 || strncasecmp(value, "RELAY", 5) != 0)
				continue;
			if (strncasecmp(word, "Connect:", 8) == 0)
				word += 8;
		}
		take_network(s, word);
	}
	if (in != NULL)
		(void)fclose(in);
}

/* "Kaccess hash -T<TMPF> -o /etc/mail/access.db": the source's path. */
static void
take_access(struct setup *s, const char *text)
{
	const char *path = strrchr(text, '/');
	char file[TEXT_LEN];

	if (strncmp(text, "access ", 7) != 0 || path == NULL)
		return;
	while (path > text && path[-1] != ' ' && path[-1] != '\t')
		path--;
	(void)snprintf(file, sizeof(file), "%s", path);
	size_t n = strlen(file);

	if (n > 3 && strcmp(file + n - 3, ".db") == 0)
		file[n - 3] = '\0';
	take_networks(s, file, true);
}

static void
take_class(struct setup *s, const struct sendmail_line *l)
{
	char name[SENDMAIL_NAME_MAX], *copy = strdup(l->text), *save = NULL;
	bool optional;

	if (copy == NULL) {
		s->no_memory = true;
		return;
	}
	char *rest = sendmail_name(copy, name);

	if (strcmp(name, "R") == 0) {
		if (l->kind == 'F')
			take_networks(
			    s, sendmail_class_file(rest, &optional), false);
		else
			for (char *w = strtok_r(rest, " \t", &save); w != NULL;
			     w = strtok_r(NULL, " \t", &save))
				take_network(s, w);
	}
	free(copy);
}

/* Take from sendmail.cf what setup has to know. */
static void
look_at_cf(struct setup *s, const char *path, const char *text)
{
	struct sendmail_cf cf = { .n = 0 };
	char *copy = strdup(text);

	if (copy == NULL || !sendmail_cf_parse(copy, &cf)) {
		s->no_memory = true;
		free(cf.v);
		free(copy);
		return;
	}
	for (size_t i = 0; i < cf.n; i++) {
		const struct sendmail_line *l = &cf.v[i];
		const char *v = l->kind != 'O'
		    ? NULL
		    : sendmail_option(l->text, "DaemonPortOptions");

		if (l->kind == 'D' && l->text[0] == 'Z')
			setup_say(s, SETUP_FOUND,
			    "Sendmail %s, configured in %s", l->text + 1, path);
		if (v != NULL)
			setup_say(s, SETUP_FOUND, "it listens: %.200s", v);
		if (l->kind == 'C' || l->kind == 'F')
			take_class(s, l);
		if (l->kind == 'K')
			take_access(s, l->text);
	}
	sendmail_cf_release(&cf);
}

static int
look(struct setup *s, struct err *err)
{
	struct sendmail_loaded l;
	char path[TEXT_LEN];

	setup_sendmail_cf(s, path, sizeof(path));
	int found = sendmail_load(path, NULL, &l, err);

	if (found == -1)
		return -1;
	if (found == 0) {
		err_set(err, ERR_IO, "%.400s: there is no such file", path);
		return -1;
	}
	look_at_cf(s, path, l.src.cf.text);
	/* Sendmail relays for its own machine: the sendmail command sends its
	 * mail to 127.0.0.1, too */
	if (!string_list_add(&s->mynetworks, "127.0.0.1/32", 12) ||
	    !string_list_add(&s->mynetworks, "::1/128", 7))
		s->no_memory = true;
	if (l.src.n_mc > 0)
		setup_say(s, SETUP_FOUND, "%s is made of %s by m4", path,
		    l.src.mc[0].path);
	if (asprintf(&s->domains_text, "sendmail:%s", path) == -1)
		s->domains_text = NULL;
	s->domains = s->domains_text;
	s->no_memory |= s->domains == NULL;
	sendmail_loaded_release(&l);
	return 0;
}

/* --- plan --- */

/* m4 doesn't make what runs of what is there: shall it be made anew, or edited
 * itself? */
static void
ask_source(struct setup *s, struct sendmail_loaded *l)
{
	struct setup_question q = {
		.key = "sendmail_cf",
		.choices = { "make", "edit", NULL },
		.meanings = { "make sendmail.cf anew by m4: what was edited in it by hand is lost",
		    "edit sendmail.cf itself and leave its sources alone: the next make undoes it" },
	};
	const char *answer;

	if (l->src.n_mc == 0 || l->made == SENDMAIL_MADE)
		return;
	int n = l->made == SENDMAIL_DIFFERS
	    ? asprintf(&q.text,
		  "%s:%u isn't what m4 makes of %s: somebody has edited one of them since",
		  l->src.cf.path, l->differs_at, l->src.mc[0].path)
	    : asprintf(&q.text, "%s can't be made of %s: %s", l->src.cf.path,
		  l->src.mc[0].path, l->why.text);

	if (n == -1) {
		s->no_memory = true;
		return;
	}
	answer = setup_ask(s, &q);
	if (answer != NULL && strcmp(answer, "edit") == 0)
		l->src.n_mc = 0;
}

/* A file that the plan edits. */
static int
change_file(struct setup *s, const struct edit_plan *plan, const char *path,
    const char *old, struct err *err)
{
	char *text = edit_plan_apply(plan, path, old);
	int ret;

	if (text == NULL) {
		err_nomem(err, path, 1 << 20);
		return -1;
	}
	if (old != NULL && strcmp(text, old) != 0)
		setup_origin(s, path, old);
	ret = strcmp(text, old == NULL ? "" : old) == 0
	    ? 0
	    : setup_change(s, path, old, text, 0644, err);
	free(text);
	return ret;
}

/* Does Sendmail itself take this text as a sendmail.cf? A daemon that is told
 * to start again with one that it doesn't take ends. 0, or -1 with err. */
static int
check_cf(const char *text, struct err *err)
{
	char path[] = "/tmp/popgate-sendmail-cf-XXXXXX", option[60];
	const char *sendmail = setup_sendmail_program();
	int fd = sendmail == NULL ? -1 : mkstemp(path);
	FILE *out = fd == -1 ? NULL : fdopen(fd, "w");
	int ret = 0;

	if (out == NULL) {
		if (fd != -1)
			(void)close(fd);
		return 0;
	}
	(void)snprintf(option, sizeof(option), "-C%s", path);
	if (fputs(text, out) < 0)
		ret = -1;
	if (fclose(out) != 0 || ret == -1) {
		err_set(err, ERR_IO, "%s can't be written", path);
		ret = -1;
	} else {
		const char *const argv[] = { sendmail, option, "-bt", NULL };
		char *said = setup_run(argv, err);

		ret = said == NULL ? -1 : 0;
		free(said);
	}
	(void)unlink(path);
	return ret;
}

/* sendmail.cf, as m4 makes it of the files after the plan. */
static int
change_cf(struct setup *s, const struct sendmail_loaded *l,
    const struct edit_plan *plan, const struct sendmail_sockets *sockets,
    struct err *err)
{
	char missing[TEXT_LEN];
	char *text = l->src.n_mc > 0
	    ? sendmail_make_planned(l, plan, err)
	    : edit_plan_apply(plan, l->src.cf.path, l->src.cf.text);
	int ret = -1;

	if (text == NULL)
		return -1;
	if (sendmail_wiring_missing(text, sockets, missing, sizeof(missing)) !=
	    0) {
		setup_refuse(s, EX_CONFIG,
		    "%s would not ask popgate even so: %.*s", l->src.cf.path,
		    (int)strcspn(missing, "\n"), missing);
		ret = 0;
	} else if (geteuid() == 0 && check_cf(text, err) == -1) {
		setup_refuse(s, EX_CONFIG,
		    "Sendmail doesn't take the %.300s that would be made: %s",
		    l->src.cf.path, err->text);
		ret = 0;
	} else {
		ret = setup_change(
		    s, l->src.cf.path, l->src.cf.text, text, 0644, err);
		if (strcmp(text, l->src.cf.text) != 0)
			setup_reload(s, l->src.cf.path);
	}
	free(text);
	return ret;
}

static int
change_all(struct setup *s, const struct sendmail_loaded *l,
    const struct sendmail_sockets *sockets, struct err *err)
{
	struct edit_plan plan;
	char missing[TEXT_LEN];
	int ret = 0;

	if (sendmail_wiring_plan(&l->src, sockets, &plan, err) == -1) {
		setup_refuse(s, EX_CONFIG, "%s", err->text);
		edit_plan_release(&plan);
		return 0;
	}
	/* setup_origin() asks about a file that a program generates */
	setup_say_plan(s, &plan, SENDMAIL_GENERATED);
	if (l->src.n_mc > 0)
		ret = change_file(
		    s, &plan, l->src.rules.path, l->src.rules.text, err);
	if (l->src.n_mc > 0 && ret == 0)
		ret = change_file(
		    s, &plan, l->src.lists.path, l->src.lists.text, err);
	for (size_t i = 0; i < l->src.n_mc && ret == 0; i++)
		ret = change_file(
		    s, &plan, l->src.mc[i].path, l->src.mc[i].text, err);
	if (ret == 0 &&
	    (plan.n_edits > 0 ||
		sendmail_wiring_missing(
		    l->src.cf.text, sockets, missing, sizeof(missing)) != 0))
		ret = change_cf(s, l, &plan, sockets, err);
	edit_plan_release(&plan);
	return ret;
}

static int
plan(struct setup *s, const struct config *cfg, struct err *err)
{
	struct listen_spec milter, map;
	struct sendmail_loaded l;
	char path[TEXT_LEN], milter_text[400], map_text[400];

	if (*cfg->permit.socketmap == '\0' || *cfg->milter.listen == '\0') {
		setup_refuse(s, EX_CONFIG,
		    "Sendmail needs %s, and %s doesn't set it",
		    *cfg->milter.listen == '\0' ? "milter.listen"
						: "permit.socketmap",
		    s->ctl->config_path);
		return 0;
	}
	if (listen_parse(cfg->milter.listen, &milter, err) == -1 ||
	    listen_parse(cfg->permit.socketmap, &map, err) == -1)
		return -1;
	listen_for_libmilter(&milter, milter_text);
	listen_for_libmilter(&map, map_text);
	setup_sendmail_cf(s, path, sizeof(path));
	if (sendmail_load(path, NULL, &l, err) != 1)
		return -1;
	ask_source(s, &l);

	int ret = change_all(s, &l,
	    &(struct sendmail_sockets){
		.milter = milter_text, .socketmap = map_text },
	    err);

	sendmail_loaded_release(&l);
	return ret;
}

const struct setup_mta setup_sendmail = {
	.name = "sendmail",
	.title = "Sendmail",
	.find = find,
	.look = look,
	.plan = plan,
	.trial = setup_sendmail_trial,
	.reload = setup_sendmail_reload,
	.before = setup_sendmail_before,
};
