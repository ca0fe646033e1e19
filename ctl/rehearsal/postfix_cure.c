/* SPDX-License-Identifier: ISC */
/* postfix_cure - why a recipient was taken, and an edit that closes it: each
 * is made in the copy, and the copy is asked again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/err.h"
#include "common/mta/conf_file.h"
#include "common/mta/postfix_table.h"
#include "ctl/rehearsal/postfix_run.h"
#include "ctl/stage/stage.h"

enum {
	TRIES = 4,
	READS = 30, /* of the log, a tenth of a second between them */
	SCRIPT = 3200,
	PLACE = 500,
	FIXES_MAX = 8 /* that are looked for */
};

/* Where the cause stands. */
struct place {
	char file[PLACE];
	unsigned line; /* 0: not known */
	const char *setting; /* that names it */
	const struct postfix_service *s; /* whose override it is; or NULL */
	bool entry; /* file is a table, and line one of its entries */
};

static char *
shell(struct postfix_run *run, const char *script)
{
	const char *const argv[] = { "sh", "-c", script, NULL };

	return stage_run(run->stage, argv, NULL);
}

static bool
run_shell(struct postfix_run *run, const char *script)
{
	char *out = shell(run, script);

	free(out);
	return out != NULL;
}

static void
pause_ms(int ms)
{
	const struct timespec t = { .tv_nsec = ms * 1000000L };

	(void)nanosleep(&t, NULL);
}

/* Nothing that a shell or sed takes for more than itself. */
static bool
is_plain(const char *text)
{
	static const char good[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	    "/._-+:,@=";

	return *text != '\0' && *text != '-' &&
	    strspn(text, good) == strlen(text);
}

/* --- why --- */

/* From now on a process says each step of one connection, and ends: what it
 * remembers of the one before it wouldn't say again. */
static bool
make_verbose(struct postfix_run *run)
{
	char script[SCRIPT];

	if (run->verbose)
		return true;
	(void)snprintf(script, sizeof(script),
	    "postconf -c '%s' -e 'debug_peer_list=0.0.0.0/0, [::]/0' 'debug_peer_level=2' max_use=1 && postfix -c '%s' reload",
	    run->pf->dir, run->pf->dir);
	return run->verbose = run_shell(run, script);
}

/* Read the log behind its first len bytes, once it is whole: it comes after the
 * answer. */
static void
read_trace(struct postfix_run *run, size_t len, struct postfix_cause *cause)
{
	for (int i = 0; i < READS; i++) {
		char *log = stage_log(run->stage, NULL);

		*cause = (struct postfix_cause){ 0 };
		if (log != NULL && strlen(log) > len)
			postfix_trace_read(log + len, cause);
		free(log);
		if (cause->whole)
			return;
		pause_ms(100);
	}
}

/* Say it once more, and read the log of that; a process of before the reload
 * may answer first, and say nothing. */
static bool
trace(struct postfix_run *run, const struct postfix_shown *shown,
    struct postfix_cause *cause)
{
	if (!make_verbose(run))
		return false;
	for (int i = 0; i < TRIES; i++) {
		char *log = stage_log(run->stage, NULL);
		size_t before = log == NULL ? 0 : strlen(log);

		free(log);
		if (!postfix_run_ask(run, &shown->client, shown->mail.sender,
			shown->mail.recipient))
			return false;
		read_trace(run, before, cause);
		if (*cause->class != '\0')
			return true;
		pause_ms(200);
	}
	return true;
}

static void
place_setting(struct postfix_run *run, const struct postfix_service *s,
    const char *setting, struct place *p)
{
	if (s != NULL && !postfix_overridden(run->pf, s, setting))
		s = NULL;
	*p = (struct place){ .setting = setting, .s = s };
	(void)snprintf(p->file, sizeof(p->file), "%s",
	    postfix_where(run->pf, s, setting, &p->line));
}

/* The setting of the service, or the class, whose value holds the word. */
static const char *
setting_with(
    struct postfix_run *run, const struct postfix_service *s, const char *word)
{
	static const char *const lists[] = { "smtpd_relay_restrictions",
		"smtpd_recipient_restrictions", "smtpd_sender_restrictions",
		"smtpd_client_restrictions", "smtpd_helo_restrictions" };

	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++)
		if (strstr(postfix_value(run->pf, s, lists[i]), word) != NULL)
			return lists[i];
	for (size_t i = 0; i < run->pf->main_raw.n; i++) {
		const char *name = run->pf->main_raw.v[i].name;

		if (strstr(postfix_value(run->pf, NULL, name), word) != NULL)
			return name;
	}
	return NULL;
}

/* The first line up to which the table has an answer for the subject. */
static unsigned
line_by_asking(struct postfix_run *run, const char *type, const char *path,
    const char *subject)
{
	char script[SCRIPT], *out;
	unsigned line = 0;

	if (!is_plain(path) || strchr(subject, '\'') != NULL)
		return 0;
	(void)snprintf(script, sizeof(script),
	    "d=$(postconf -c '%s' -h data_directory); t=$d/popgate-part; "
	    "ask() { head -n $1 '%s' >$t; test -n \"$(postmap -c '%s' -q '%s' %s:$t 2>/dev/null)\"; }; "
	    "hi=$(wc -l <'%s'); hi=$((hi+1)); lo=0; ask $hi || { echo 0; exit 0; }; "
	    "while [ $((hi-lo)) -gt 1 ]; do m=$(((lo+hi)/2)); if ask $m; then hi=$m; else lo=$m; fi; done; echo $hi",
	    run->pf->dir, path, run->pf->dir, subject, type, path);
	out = shell(run, script);
	if (out != NULL)
		line = (unsigned)strtoul(out, NULL, 10);
	free(out);
	return line;
}

/* The keys that are looked up for a subject: itself, its domain, and those
 * above (access(5)). */
static unsigned
line_by_key(const char *text, const char *subject)
{
	const char *at = strrchr(subject, '@');
	char key[POSTFIX_TRACE_WORD + 2];
	unsigned line = postfix_table_line(text, subject);

	for (const char *p = at == NULL ? subject : at + 1;
	     line == 0 && p != NULL && *p != '\0';) {
		line = postfix_table_line(text, p);
		(void)snprintf(key, sizeof(key), ".%s", p);
		if (line == 0)
			line = postfix_table_line(text, key);
		p = strchr(p, '.');
		p = p == NULL ? NULL : p + 1;
	}
	(void)snprintf(key, sizeof(key), "%.*s",
	    (int)(at == NULL ? strlen(subject) : (size_t)(at - subject) + 1),
	    subject);
	if (line == 0 && at != NULL)
		line = postfix_table_line(text, key);
	/* octets of an address */
	for (char *dot; line == 0 && (dot = strrchr(key, '.')) != NULL;) {
		*dot = '\0';
		line = postfix_table_line(text, key);
	}
	return line;
}

/* The entry of a table that has an answer for the subject. */
static bool
place_entry(struct postfix_run *run, const char *table, const char *subject,
    struct place *p)
{
	const char *path = postfix_table_path(table);
	char type[32];
	char *text;
	unsigned line;

	if (path == NULL && *table == '/')
		path = table;
	if (path == NULL)
		return false;
	text = conf_file_read(path);
	if (text == NULL)
		return false;
	(void)snprintf(type, sizeof(type), "%.*s",
	    (int)strcspn(
		strncmp(table, "proxy:", 6) == 0 ? table + 6 : table, ":"),
	    strncmp(table, "proxy:", 6) == 0 ? table + 6 : table);
	line = strcmp(type, "pcre") == 0 || strcmp(type, "regexp") == 0 ||
		strcmp(type, "cidr") == 0
	    ? line_by_asking(run, type, path, subject)
	    : line_by_key(text, subject);
	free(text);
	if (line == 0)
		return false;
	(void)snprintf(p->file, sizeof(p->file), "%s", path);
	p->line = line;
	p->entry = true;
	return true;
}

/* The word of a list of domains or tables that takes this in, and its entry. */
static void
place_in_list(struct postfix_run *run, const struct postfix_service *s,
    const char *setting, const char *subject, struct place *p)
{
	const char *list = postfix_value(run->pf, s, setting), *word;
	size_t len;

	place_setting(run, s, setting, p);
	while ((len = postfix_next_word(&list, &word)) > 0) {
		char one[PLACE];

		(void)snprintf(one, sizeof(one), "%.*s", (int)len, word);
		if (place_entry(run, one, subject, p))
			return;
	}
}

static void
bare_recipient(const struct postfix_shown *shown, char bare[PLACE])
{
	(void)snprintf(bare, PLACE, "%s",
	    shown->mail.recipient + (*shown->mail.recipient == '<'));
	bare[strcspn(bare, ">")] = '\0';
}

/* A recipient of ours that was rewritten, or one in a list of domains. */
static void
place_recipient(struct postfix_run *run, const struct postfix_shown *shown,
    const struct postfix_cause *cause, struct place *p)
{
	static const char *const rewriting[] = { "recipient_canonical_maps",
		"canonical_maps", "virtual_alias_maps", "virtual_maps" };
	char bare[PLACE];
	const char *at;

	bare_recipient(shown, bare);
	for (size_t i = 0; i < sizeof(rewriting) / sizeof(*rewriting); i++) {
		place_in_list(run, shown->s, rewriting[i], bare, p);
		if (p->entry)
			return;
	}
	at = strrchr(bare, '@');
	if (at == NULL)
		at = bare;
	if (strcmp(cause->class, "relay") == 0)
		place_in_list(run, NULL, "relay_domains", at + 1, p);
	else if (strcmp(cause->class, "virtual") == 0)
		place_in_list(run, NULL, "virtual_mailbox_domains", at + 1, p);
	else if (strcmp(cause->class, "alias") == 0)
		place_in_list(run, NULL, "virtual_alias_domains", at + 1, p);
	else if (strcmp(cause->class, "local") == 0)
		place_in_list(run, NULL, "mydestination", at + 1, p);
	else
		place_setting(run, shown->s,
		    *postfix_value(
			run->pf, shown->s, "smtpd_relay_restrictions") != '\0'
			? "smtpd_relay_restrictions"
			: "smtpd_recipient_restrictions",
		    p);
}

static void
place_find(struct postfix_run *run, const struct postfix_shown *shown,
    const struct postfix_cause *cause, struct place *p)
{
	const char *setting = NULL;

	if (shown->client.trick == TRICK_PROXY) {
		place_setting(
		    run, shown->s, "smtpd_upstream_proxy_protocol", p);
		return;
	}
	if (shown->client.trick == TRICK_XCLIENT) {
		place_setting(
		    run, shown->s, "smtpd_authorized_xclient_hosts", p);
		return;
	}
	if (strcmp(cause->restriction, "permit_mynetworks") == 0) {
		const char *path = cause->pattern;

		place_setting(run, shown->s, "mynetworks", p);
		if (p->line == 0) {
			/* the interfaces say it, by this */
			place_setting(run, shown->s, "mynetworks_style", p);
			return;
		}
		if (strchr(path, ':') != NULL && strchr(path, '/') != NULL)
			(void)place_entry(run, path, shown->client.from, p);
		if (!p->entry)
			place_in_list(
			    run, shown->s, "mynetworks", shown->client.from, p);
		return;
	}
	if (*cause->table != '\0')
		setting = setting_with(run, shown->s, cause->table);
	if (setting == NULL && *cause->restriction != '\0')
		setting = setting_with(run, shown->s, cause->restriction);
	if (setting == NULL) {
		place_recipient(run, shown, cause, p);
		return;
	}
	place_setting(run, shown->s, setting, p);
	if (*cause->table != '\0')
		(void)place_entry(run, cause->table, cause->subject, p);
}

/* --- what closes it --- */

/* The clients that work now, and must work after the cure. */
struct needs {
	bool own, local, login;
	char recipient[PLACE];
};

static void
need(struct postfix_run *run, const struct postfix_shown *shown,
    const char *recipient, struct needs *n)
{
	struct postfix_client c = { .service = shown->s->name,
		.from = run->seeds.clients.v[0],
		.helo = run->seeds.helos.v[0] };
	const char *foreign = run->seeds.recipients.v[0];

	(void)snprintf(n->recipient, sizeof(n->recipient), "%s", recipient);
	n->own = *recipient != '\0' &&
	    postfix_run_ask(run, &c, "user@popgate-stranger.com", recipient);
	c.trick = TRICK_LOGIN;
	n->login =
	    postfix_run_ask(run, &c, "user@popgate-stranger.com", foreign);
	c.trick = TRICK_NONE;
	c.from = "127.0.0.1";
	n->local =
	    postfix_run_ask(run, &c, "user@popgate-stranger.com", foreign);
}

/* Is it closed now, and does the rest go on? A process of before the reload
 * may answer first. */
static bool
is_cured(struct postfix_run *run, const struct postfix_shown *shown,
    const struct needs *before)
{
	struct needs now;

	for (int i = 0; i < TRIES; i++) {
		if (!postfix_run_ask(run, &shown->client, shown->mail.sender,
			shown->mail.recipient) ||
		    !postfix_run_leaves(run, shown->mail.recipient)) {
			need(run, shown, before->recipient, &now);
			return now.own >= before->own &&
			    now.local >= before->local &&
			    now.login >= before->login;
		}
		pause_ms(200);
	}
	return false;
}

/* Make an edit in the copy, ask, and take it back. */
static bool
try_edit(struct postfix_run *run, const struct postfix_shown *shown,
    const struct needs *before, const char *edit)
{
	static const char head[] =
	    "set -e; cd '%s'; d=$(postconf -c . -h data_directory); ";
	char script[SCRIPT];
	bool good;

	(void)snprintf(script, sizeof(script),
	    "set -e; cd '%s'; d=$(postconf -c . -h data_directory); "
	    "cp main.cf master.cf $d; %s; postfix -c '%s' reload",
	    run->pf->dir, edit, run->pf->dir);
	good = run_shell(run, script) && is_cured(run, shown, before);
	(void)snprintf(script, sizeof(script) - 100, head, run->pf->dir);
	(void)snprintf(script + strlen(script), sizeof(script) - strlen(script),
	    "cp $d/main.cf $d/master.cf .; postfix -c '%s' reload",
	    run->pf->dir);
	(void)run_shell(run, script);
	return good;
}

static bool
is_indexed(const char *type)
{
	return strncmp(type, "hash:", 5) == 0 ||
	    strncmp(type, "btree:", 6) == 0 || strncmp(type, "lmdb:", 5) == 0 ||
	    strncmp(type, "cdb:", 4) == 0 || strncmp(type, "dbm:", 4) == 0;
}

/* Take the entry out of its table. NULL: that doesn't do. */
static char *
without_entry(struct postfix_run *run, const struct postfix_shown *shown,
    const struct needs *before, const struct place *p, const char *table)
{
	char edit[SCRIPT / 2], index[PLACE] = "", again[2 * PLACE] = "";
	char *fix = NULL;

	if (!p->entry || !is_plain(p->file))
		return NULL;
	if (is_indexed(table)) {
		int type = (int)strcspn(table, ":");

		(void)snprintf(index, sizeof(index),
		    "postmap -c . %.*s:$d/popgate-fix; ", type, table);
		(void)snprintf(again, sizeof(again),
		    "postmap -c {dir} %.*s:%s\n", type, table, p->file);
	}
	(void)snprintf(edit, sizeof(edit),
	    "sed '%ud' '%s' >$d/popgate-fix; chmod 644 $d/popgate-fix; %ssed -i \"s#%s#$d/popgate-fix#g\" main.cf master.cf",
	    p->line, p->file, index, p->file);
	if (!try_edit(run, shown, before, edit) ||
	    asprintf(&fix,
		"sed -i.bak '%ud' %s    # takes line %u out\n%spostfix -c {dir} reload",
		p->line, p->file, p->line, again) == -1)
		return NULL;
	return fix;
}

/* "postconf -P" takes no blanks: a list is separated by commas alone. */
static void
without_blanks(const char *value, char *to, size_t size)
{
	size_t n = 0;

	for (; *value != '\0' && n + 1 < size; value++)
		if (*value != ' ')
			to[n++] = *value;
		else if (n > 0 && to[n - 1] != ',')
			to[n++] = ',';
	to[n] = '\0';
}

/* Set a setting otherwise. NULL: that doesn't do. What is to be pasted into a
 * shell holds nothing that ends its quotes. */
static char *
with_setting(struct postfix_run *run, const struct postfix_shown *shown,
    const struct needs *before, const char *setting, const char *value)
{
	const struct postfix_service *s =
	    postfix_overridden(run->pf, shown->s, setting) ? shown->s : NULL;
	char edit[SCRIPT / 2], where[PLACE] = "", own[SCRIPT / 4], *fix = NULL;

	if (strpbrk(value, "'\r\n") != NULL || !is_plain(setting) ||
	    (s != NULL && !is_plain(s->name)))
		return NULL;
	if (s != NULL) {
		(void)snprintf(
		    where, sizeof(where), "%.200s/%.100s/", s->name, s->type);
		without_blanks(value, own, sizeof(own));
		value = own;
	}
	(void)snprintf(edit, sizeof(edit), "postconf -c . %s '%s%s=%s'",
	    s == NULL ? "-e" : "-P", where, setting, value);
	if (!try_edit(run, shown, before, edit) ||
	    asprintf(&fix,
		"postconf -c {dir} %s '%s%s=%s'\npostfix -c {dir} reload",
		s == NULL ? "-e" : "-P", where, setting, value) == -1)
		return NULL;
	return fix;
}

/* The list without a restriction and its table. */
static bool
list_without(const char *list, const char *restriction, const char *table,
    char *buf, size_t size)
{
	const char *word;
	size_t len, n = 0;
	bool skipped = false, operand = false;

	*buf = '\0';
	while ((len = postfix_next_word(&list, &word)) > 0) {
		if (operand) {
			operand = false;
			continue;
		}
		if (!skipped && len == strlen(restriction) &&
		    strncmp(word, restriction, len) == 0 &&
		    (*table == '\0' ||
			strncmp(list + strspn(list, ", \t"), table,
			    strlen(table)) == 0)) {
			skipped = true;
			operand = *table != '\0';
			continue;
		}
		n += (size_t)snprintf(buf + n, size - n, "%s%.*s",
		    n == 0 ? "" : ", ", (int)len, word);
		if (n >= size)
			return false;
	}
	return skipped && n > 0;
}

static char *
find_fix(struct postfix_run *run, const struct postfix_shown *shown,
    const struct postfix_cause *cause, const struct place *p)
{
	static const char closed[] =
	    "permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination";
	char own[PLACE] = "", value[SCRIPT / 4];
	struct needs before = { .own = false };
	char *fix;

	if (run->ours.n > 0)
		(void)snprintf(
		    own, sizeof(own), "<postmaster@%s>", run->ours.v[0]);
	need(run, shown, own, &before);
	/* what a stranger gets isn't what has to stay */
	if (shown->client.trick == TRICK_XCLIENT)
		return with_setting(
		    run, shown, &before, "smtpd_authorized_xclient_hosts", "");
	if (shown->client.trick == TRICK_PROXY)
		return NULL;
	fix = without_entry(run, shown, &before, p, cause->table);
	if (fix == NULL && *cause->restriction != '\0' && p->setting != NULL &&
	    list_without(postfix_value(run->pf, shown->s, p->setting),
		cause->restriction, cause->table, value, sizeof(value)))
		fix = with_setting(run, shown, &before, p->setting, value);
	if (fix == NULL && p->setting != NULL &&
	    strcmp(p->setting, "mynetworks_style") == 0)
		fix = with_setting(
		    run, shown, &before, "mynetworks_style", "host");
	if (fix == NULL && p->setting != NULL &&
	    strncmp(p->setting, "mynetworks", 10) == 0)
		fix = with_setting(
		    run, shown, &before, "mynetworks", "127.0.0.0/8 [::1]/128");
	if (fix == NULL && p->setting != NULL &&
	    strcmp(p->setting, "relay_domains") == 0)
		fix = with_setting(run, shown, &before, "relay_domains", "");
	if (fix == NULL)
		fix = with_setting(
		    run, shown, &before, "smtpd_relay_restrictions", closed);
	return fix;
}

/* --- */

static bool
is_known(const struct rehearsal_findings *r, const struct place *p,
    const struct postfix_cause *cause, const char *why)
{
	const char *same = *cause->table != '\0' ? cause->table : why;

	for (size_t i = 0; i < r->n; i++)
		if (strcmp(r->v[i].file, p->file) == 0 &&
		    r->v[i].line == p->line &&
		    (p->entry || strstr(r->v[i].detail, same) != NULL))
			return true;
	return false;
}

static void
explain(const struct postfix_cause *cause, const struct place *p, char *why,
    size_t size)
{
	if (*cause->table != '\0')
		(void)snprintf(why, size, "%s, %s says %s of %s",
		    cause->restriction, cause->table, cause->value,
		    cause->subject);
	else if (*cause->restriction != '\0')
		(void)snprintf(why, size, "%s permits it", cause->restriction);
	else if (p->setting != NULL &&
	    strstr(p->setting, "restrictions") == NULL)
		(void)snprintf(why, size, "by %s", p->setting);
	else
		(void)snprintf(why, size, "nothing refuses it");
}

static int
add(struct postfix_run *run, const struct postfix_shown *shown,
    const struct place *p, const char *why, char *fix, struct err *err)
{
	char *words = postfix_talk_words(&shown->client, &shown->mail);
	struct rehearsal_finding f = { .kind = "postfix-rehearsed-open",
		.file = strdup(p->file),
		.line = p->line,
		.fix = fix };

	if (words != NULL)
		f.detail = rehearsal_format("%s (service %s): 250; %s.%s",
		    words, shown->s->name, why,
		    shown->client.trick == TRICK_PROXY
			? " Only a firewall may keep others than the proxy from this port; the doctor doesn't see it."
			: "");
	free(words);
	if (rehearsal_findings_put(&run->r->findings, f))
		return 0;
	err_nomem(err, "a finding", 0);
	return -1;
}

int
postfix_cure(
    struct postfix_run *run, const struct postfix_shown *shown, struct err *err)
{
	struct postfix_cause *cause = calloc(1, sizeof(*cause));
	struct place p;
	char why[5 * POSTFIX_TRACE_WORD];
	int rc = 0;

	if (cause == NULL) {
		err_nomem(err, "a cause", sizeof(*cause));
		return -1;
	}
	if (trace(run, shown, cause)) {
		place_find(run, shown, cause, &p);
		explain(cause, &p, why, sizeof(why));
		if (!is_known(&run->r->findings, &p, cause, why) &&
		    postfix_run_leaves(run, shown->mail.recipient))
			rc = add(run, shown, &p, why,
			    run->r->findings.n < FIXES_MAX
				? find_fix(run, shown, cause, &p)
				: strdup(
				      "# put the first ones right, then ask again:\n"
				      "popgatectl doctor --mta postfix"),
			    err);
	}
	free(cause);
	return rc;
}
