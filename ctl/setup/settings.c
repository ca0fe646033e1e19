/* SPDX-License-Identifier: ISC */
/* settings - popgate.conf for what was found: a key is set only where the admin
 * has said nothing yet, or where an option or an answer asks for it. The rest
 * of the file stays as it is. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/config/config.h"
#include "common/mta/domains.h"
#include "ctl/setup/built_in.h"
#include "ctl/setup/conf_edit.h"
#include "ctl/setup/setup.h"
#include "ctl/setup/swap.h"

enum { DOMAINS_SHOWN = 5 };

/* Read a text as config_load() reads a file. Errors name path. */
static int
load_text(
    const char *text, const char *path, struct config **cfg_r, struct err *err)
{
	char name[] = "/tmp/popgate-setup-XXXXXX";
	int fd = mkstemp(name), ret = -1;
	size_t len = strlen(text);

	*cfg_r = NULL;
	if (fd == -1 || write(fd, text, len) != (ssize_t)len)
		err_set(err, ERR_IO, "%s: %s", name, strerror(errno));
	else
		ret = config_load(name, cfg_r, err);
	if (fd != -1) {
		(void)unlink(name);
		(void)close(fd);
	}
	const char *at = ret == -1 ? strstr(err->text, name) : NULL;

	if (at != NULL) {
		char why[ERR_TEXT_MAX];

		(void)snprintf(
		    why, sizeof(why), "%s%s", path, at + strlen(name));
		err_set(err, err->code, "%s", why);
	}
	return ret;
}

/* The text that is edited. */
struct text_edit {
	struct setup *s;
	char *text;
	const struct config *cfg; /* as it was */
	bool changed;
};

static int
set(struct text_edit *e, const char *key, const char *value, const char *why,
    struct err *err)
{
	char *text = conf_edit_set(e->text, key, value, err);

	if (text == NULL)
		return -1;
	free(e->text);
	e->text = text;
	e->changed = true;
	setup_say(e->s, SETUP_DO, "%s: %s = %s: %s", e->s->ctl->config_path,
	    key, value, why);
	return 0;
}

static int
set_domains(struct text_edit *e, struct err *err)
{
	char *value = NULL;

	if (e->cfg->relay.local_domains.n > 0 || e->s->domains == NULL)
		return 0;
	if (asprintf(&value, "[ \"%s\" ]", e->s->domains) == -1) {
		err_nomem(err, "relay.local_domains", 0);
		return -1;
	}
	int ret = set(e, "relay.local_domains", value,
	    "our own domains are those of the mail server", err);

	free(value);
	return ret;
}

static int
set_mode(struct text_edit *e, struct err *err)
{
	enum relay_mode mode = e->cfg->relay.mode;

	if (e->s->monitor && mode != RELAY_OBSERVE)
		return set(e, "relay.mode", "\"observe\"",
		    "popgate records what it would do, and permits and refuses nothing",
		    err);
	if (!e->s->monitor && mode != RELAY_ENFORCE)
		return set(e, "relay.mode", "\"enforce\"",
		    "from now on popgate's answers count", err);
	return 0;
}

/* Did nobody choose where logins are read: no source at all, or one that is in
 * the sample of this version or of an earlier one? */
static bool
is_sample_source(const struct config *cfg)
{
	const struct config_source *v = cfg->collector.sources;

	return cfg->collector.n_sources == 0 ||
	    (cfg->collector.n_sources == 1 &&
		(v[0].kind == SOURCE_JOURNAL ||
		    (v[0].kind == SOURCE_FILE &&
			strcmp(v[0].where, "/var/log/mail.log") == 0)));
}

/* Is the only source the one that was found? */
static bool
is_source_found(const struct setup *s, const struct config *cfg)
{
	const struct config_source *v = cfg->collector.sources;

	if (cfg->collector.n_sources != 1)
		return false;
	return s->log == NULL
	    ? v[0].kind == SOURCE_JOURNAL
	    : v[0].kind == SOURCE_FILE && strcmp(s->log, v[0].where) == 0;
}

static int
set_sources(struct text_edit *e, struct err *err)
{
	const struct setup *s = e->s;
	char value[600];

	if (!is_sample_source(e->cfg) || is_source_found(s, e->cfg) ||
	    (s->log == NULL && !s->journald))
		return 0;
	if (s->log == NULL)
		return set(e, "collector.sources",
		    "( { journal = \"system\"; } )",
		    "logins are logged in the systemd journal", err);
	(void)snprintf(value, sizeof(value), "( { file = \"%s\"; } )", s->log);
	return set(
	    e, "collector.sources", value, "logins are logged there", err);
}

static int
set_sockets(struct text_edit *e, struct err *err)
{
	const struct {
		const char *key, *now, *value;
	} sockets[] = {
		{ "milter.listen", e->cfg->milter.listen,
		    "\"unix:/run/popgate/milter.sock\"" },
		{ "permit.policy", e->cfg->permit.policy,
		    "\"unix:/run/popgate/policy.sock\"" },
		{ "permit.socketmap", e->cfg->permit.socketmap,
		    "\"unix:/run/popgate/socketmap.sock\"" },
	};
	char group[100];

	for (size_t i = 0; i < sizeof(sockets) / sizeof(sockets[0]); i++)
		if (*sockets[i].now == '\0' &&
		    set(e, sockets[i].key, sockets[i].value,
			"the mail server asks there", err) == -1)
			return -1;
	if (e->s->group == NULL || *e->cfg->milter.group != '\0')
		return 0;
	(void)snprintf(group, sizeof(group), "\"%s\"", e->s->group);
	return set(e, "milter.group", group,
	    "the mail server's group may use the sockets", err);
}

/* --- addresses that relay without a login today --- */

static bool
is_trusted(const struct config *cfg, const struct network *net)
{
	for (size_t i = 0; i < cfg->relay.trusted_networks.n; i++) {
		const struct network *t = &cfg->relay.trusted_networks.v[i];

		if (t->bits <= net->bits && network_contains(t, &net->base))
			return true;
	}
	return false;
}

static bool
has(const struct string_list *list, const char *word)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->v[i], word) == 0)
			return true;
	return false;
}

/* Sort the networks of mynetworks that popgate doesn't trust: loopback, and
 * others. The words are added to the lists. */
static bool
sort_networks(const struct text_edit *e, struct string_list *own,
    struct string_list *others)
{
	for (size_t i = 0; i < e->s->mynetworks.n; i++) {
		const char *word = e->s->mynetworks.v[i];
		char text[NETWORK_TEXT_MAX];
		struct network net;

		if (!network_parse(word, &net) || is_trusted(e->cfg, &net))
			continue;
		struct string_list *to =
		    network_is_loopback(&net) ? own : others;

		(void)network_format(&net, text);
		if (!has(to, text) && !string_list_add(to, text, strlen(text)))
			return false;
	}
	return true;
}

/* "a", "b" behind what is trusted already, as a setting's value. */
static char *
trusted_value(const struct text_edit *e, const struct string_list *own,
    const struct string_list *others)
{
	const struct network_set *set = &e->cfg->relay.trusted_networks;
	const struct string_list *lists[] = { own, others };
	char *text = NULL, buf[NETWORK_TEXT_MAX];
	size_t len = 0, n = 0;
	FILE *to = open_memstream(&text, &len);

	if (to == NULL)
		return NULL;
	(void)fputs("[ ", to);
	for (size_t i = 0; i < set->n; i++)
		(void)fprintf(to, "%s\"%s\"", n++ == 0 ? "" : ", ",
		    network_format(&set->v[i], buf));
	for (size_t k = 0; k < 2; k++)
		for (size_t i = 0; lists[k] != NULL && i < lists[k]->n; i++)
			(void)fprintf(to, "%s\"%s\"", n++ == 0 ? "" : ", ",
			    lists[k]->v[i]);
	(void)fputs(" ]", to);
	if (fclose(to) == 0)
		return text;
	free(text);
	return NULL;
}

/* May who is in mynetworks go on without a login? Only the admin knows. */
static bool
ask_networks(struct setup *s, const struct string_list *others)
{
	struct setup_question q = {
		.key = "mynetworks",
		.choices = { "trust", "close", NULL },
		.meanings = { "they go on relaying without a login: they are added to relay.trusted_networks",
		    "they need a login or SMTP AUTH like everybody: popgate-milter refuses what the mail server would let pass" },
	};
	char list[600] = "";

	for (size_t i = 0; i < others->n; i++) {
		size_t n = strlen(list);

		(void)snprintf(list + n, sizeof(list) - n, "%s%s",
		    n == 0 ? "" : ", ", others->v[i]);
	}
	if (asprintf(&q.text,
		"%s relays today for everybody in %s, without a password or login",
		s->mta->title, list) == -1)
		q.text = NULL;
	const char *answer = setup_ask(s, &q);

	return answer != NULL && strcmp(answer, "trust") == 0;
}

static int
set_trusted(struct text_edit *e, struct err *err)
{
	struct string_list own = { 0 }, others = { 0 };
	int ret = -1;

	if (!sort_networks(e, &own, &others))
		goto no_memory;
	bool trust =
	    others.n > 0 && !e->s->monitor && ask_networks(e->s, &others);

	ret = 0;
	if (own.n > 0 || trust) {
		char *value = trusted_value(e, &own, trust ? &others : NULL);

		if (value == NULL)
			goto no_memory;
		ret = set(e, "relay.trusted_networks", value,
		    trust ? "they relay today, and go on doing so"
			  : "programs on this machine send by SMTP",
		    err);
		free(value);
	}
	string_list_release(&own);
	string_list_release(&others);
	return ret;
no_memory:
	string_list_release(&own);
	string_list_release(&others);
	err_nomem(err, "mynetworks", 0);
	return -1;
}

/* --- the file --- */

static int
edit(struct text_edit *e, struct err *err)
{
	if (set_domains(e, err) == -1 || set_trusted(e, err) == -1 ||
	    set_mode(e, err) == -1 || set_sources(e, err) == -1 ||
	    set_sockets(e, err) == -1)
		return -1;
	return 0;
}

/* Are our domains known? The milter wouldn't start otherwise. */
static void
say_domains(struct setup *s)
{
	struct domain_set set;
	struct err err;
	char list[300] = "";
	size_t n = 0;

	if (domains_load(&s->cfg->relay.local_domains, &set, &err) == -1) {
		setup_refuse(s, EX_CONFIG, "relay.local_domains: %s", err.text);
		return;
	}
	for (size_t i = 0; i < set.names.size; i++) {
		size_t len = strlen(list);

		if (set.names.slot[i] == NULL || n++ >= DOMAINS_SHOWN)
			continue;
		(void)snprintf(list + len, sizeof(list) - len, "%s%s",
		    len == 0 ? "" : ", ", set.names.slot[i]);
	}
	if (n == 0)
		setup_say(s, SETUP_NOTE,
		    "no domain is our own: all mail is relaying; see relay.local_domains in %s",
		    s->ctl->config_path);
	else
		setup_say(s, SETUP_FOUND, "our own domains: %s%s (%zu)", list,
		    n > DOMAINS_SHOWN ? ", ..." : "", n);
	domains_release(&set);
}

int
setup_settings(struct setup *s, struct err *err)
{
	const char *path = s->ctl->config_path;
	struct config *before = NULL;
	struct text_edit e = { .s = s };
	char *was = NULL, *real = realpath(path, NULL);
	size_t len;
	int there = swap_read(real == NULL ? path : real, &e.text, &len, err);
	int ret = -1;

	if (there == 0) {
		setup_say(s, SETUP_DO, "write %s, which isn't there", path);
		e.text = strdup(built_in_popgate_conf);
	}
	if (there == -1 || e.text == NULL)
		goto out;
	if (there == 1 && (was = strdup(e.text)) == NULL) {
		err_nomem(err, path, len);
		goto out;
	}
	if (load_text(e.text, path, &before, err) == -1)
		goto out;
	e.cfg = before;
	if (edit(&e, err) == -1 || load_text(e.text, path, &s->cfg, err) == -1)
		goto out;
	say_domains(s);
	if (e.changed && there == 1)
		setup_origin(s, path, e.text);
	ret = there == 1 && !e.changed
	    ? 0
	    : setup_change(s, path, was, e.text, 0644, err);
	/* the first one: nobody has looked for others yet */
	if (ret == 0 && s->n_files > 0)
		s->files[0].own = true;
	if (there == 0 && ret == 0)
		s->files[0].sample = built_in_popgate_conf;
out:
	config_free(before);
	free(was);
	free(e.text);
	free(real);
	return ret;
}
