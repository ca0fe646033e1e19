/* SPDX-License-Identifier: ISC */
/* popgate - popgate's own settings, its files, and what of this
 * machine makes them worth less. */
#include <dirent.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/mta/conf_file.h"
#include "common/mta/domains.h"
#include "ctl/ctl.h"
#include "ctl/doctor/doctor.h"
#include "ctl/doctor/files.h"
#include "ctl/doctor/net.h"

enum { WINDOW_LONG_S = 86400, IPV6_PREFIX_WIDE = 48 };

struct exam {
	struct doctor *d;
	const struct config *cfg;
	struct net_machine machine;
};

/* --- where a key is set --- */

struct where {
	const char *key;
	const char *file;
	unsigned line;
};

static bool
take_key(void *arg, const struct config_value *value)
{
	struct where *w = arg;

	if (strcmp(value->key, w->key) != 0)
		return true;
	w->file = value->file;
	w->line = value->line;
	return false;
}

static void __attribute__((format(printf, 4, 5)))
add(struct exam *x, const char *kind, const char *key, const char *fmt, ...)
{
	struct where w = { .key = key };
	struct finding_at at = { .setting = key };
	char detail[700];
	struct err err;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	(void)config_each(x->cfg, take_key, &w, &err);
	at.file = w.file != NULL ? w.file : x->d->ctl->config_path;
	at.line = w.line;
	doctor_add(x->d, kind, &at, "%s", detail);
}

/* --- settings --- */

static void
check_trusted(struct exam *x)
{
	static const char *const kinds[] = {
		[NET_WORLD] = "popgate-trusted-open",
		[NET_WIDE] = "popgate-trusted-wide",
		[NET_BRIDGE] = "popgate-trusted-bridge",
		[NET_GATEWAY] = "popgate-trusted-gateway",
	};
	const struct network_set *set = &x->cfg->relay.trusted_networks;
	const struct network_set *proxies = &x->cfg->relay.proxy_networks;

	for (size_t i = 0; i < set->n; i++) {
		char text[NETWORK_TEXT_MAX], who[ADDR_TEXT_MAX];
		enum net_danger danger =
		    net_danger(&x->machine, &set->v[i], who);

		(void)network_format(&set->v[i], text);
		if (danger != NET_FINE)
			add(x, kinds[danger], "relay.trusted_networks",
			    "relay.trusted_networks holds %s%s%s%s.", text,
			    *who == '\0' ? "" : ", and with it this machine's ",
			    *who == '\0'               ? ""
				: danger == NET_BRIDGE ? "address on a bridge, "
						       : "gateway ",
			    who);
		for (size_t j = 0; danger == NET_FINE && j < proxies->n; j++)
			if (network_contains(&set->v[i], &proxies->v[j].base) ||
			    network_contains(&proxies->v[j], &set->v[i].base))
				add(x, "popgate-trusted-proxy",
				    "relay.trusted_networks",
				    "relay.trusted_networks holds %s, which is in relay.proxy_networks too.",
				    text);
	}
}

static void
check_settings(struct exam *x)
{
	const struct config *cfg = x->cfg;
	const struct limit_rate *rate = cfg->limits.rate;

	if (cfg->relay.mode == RELAY_MONITOR)
		add(x, "popgate-monitor", "relay.mode",
		    "relay.mode is \"monitor\".");
	if (cfg->relay.mode == RELAY_OBSERVE)
		add(x, "popgate-monitor", "relay.mode",
		    "relay.mode is \"observe\".");
	if (cfg->relay.monitor_listeners.n > 0)
		add(x, "popgate-monitor", "relay.monitor_listeners",
		    "relay.monitor_listeners isn't empty.");
	if (cfg->relay.monitor_networks.n > 0)
		add(x, "popgate-monitor", "relay.monitor_networks",
		    "relay.monitor_networks isn't empty.");
	if (cfg->relay.never_authorize.n == 0)
		add(x, "popgate-never-authorize-empty", "relay.never_authorize",
		    "relay.never_authorize holds no network.");
	if (rate[LIMIT_CLIENT_RECIPIENTS].max == 0 &&
	    rate[LIMIT_CLIENT_MESSAGES].max == 0 &&
	    rate[LIMIT_USER_RECIPIENTS].max == 0 &&
	    rate[LIMIT_USER_MESSAGES].max == 0)
		add(x, "popgate-no-limits", "limits.client_recipients",
		    "All limits of recipients and messages are off.");
	if (cfg->logins.window_s > WINDOW_LONG_S)
		add(x, "popgate-window-long", "logins.window",
		    "logins.window is %" PRId64 " hours.",
		    cfg->logins.window_s / 3600);
	if (cfg->relay.ipv6_prefix < IPV6_PREFIX_WIDE)
		add(x, "popgate-ipv6-prefix", "relay.ipv6_prefix",
		    "relay.ipv6_prefix is %" PRId64 ".",
		    cfg->relay.ipv6_prefix);
	if (cfg->relay.collector_grace_s == 0)
		add(x, "popgate-no-grace", "relay.collector_grace",
		    "relay.collector_grace is 0.");
	if (!x->d->wired &&
	    (x->d->read[MTA_POSTFIX] != NULL ||
		x->d->read[MTA_SENDMAIL] != NULL ||
		x->d->read[MTA_EXIM] != NULL))
		add(x, "popgate-not-wired", "milter.listen",
		    "No mail server that was looked at asks popgate at %.200s.",
		    *cfg->milter.listen == '\0' ? cfg->permit.policy
						: cfg->milter.listen);
	check_trusted(x);
}

/* --- the files --- */

static void
check_file(struct exam *x, const char *path)
{
	doctor_check_writable(x->d, "popgate-file-writable", path);
}

static void
check_files(struct exam *x)
{
	const struct config *cfg = x->cfg;
	const struct string_list *domains = &cfg->relay.local_domains;
	const struct string_list *senders = &cfg->relay.sender_addresses;

	if (!x->d->ctl->defaults)
		check_file(x, cfg->path);
	check_file(x, cfg->logins.database);
	check_file(x, cfg->audit.database);
	for (size_t i = 0; i < domains->n; i++) {
		const char *path = strchr(domains->v[i], ':');

		if (path != NULL && path[1] == '/')
			check_file(x, path + 1);
	}
	for (size_t i = 0; i < senders->n; i++)
		if (strncmp(senders->v[i], "file:/", 6) == 0)
			check_file(x, senders->v[i] + 5);
	for (size_t i = 0; i < cfg->collector.n_sources; i++)
		if (cfg->collector.sources[i].kind == SOURCE_FILE)
			check_file(x, cfg->collector.sources[i].where);
}

/* --- where log lines come from --- */

/* Does this line of a syslog daemon's configuration take lines from the
 * network? Comments don't count. */
static bool
takes_network(const char *line)
{
	static const char *const words[] = {
		"imudp",
		"imtcp",
		"imptcp",
		"imrelp",
		"$UDPServerRun",
		"$InputTCPServerRun",
		"udp(",
		"tcp(",
		"network(",
		"syslog(",
	};

	line += strspn(line, " \t");
	if (*line == '#')
		return false;
	/* syslog-ng's destinations have such words too */
	if (strncmp(line, "destination", 11) == 0)
		return false;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strstr(line, words[i]) != NULL)
			return true;
	return false;
}

/* A file of nginx's that the syslog daemon reads and writes into ours: raw
 * lines of its error log get nginx's tag there. */
static bool
takes_nginx_file(const char *line)
{
	line += strspn(line, " \t");
	return *line != '#' && strstr(line, "nginx") != NULL &&
	    (strstr(line, "imfile") != NULL ||
		strstr(line, "InputFileName") != NULL ||
		(strstr(line, "File=") != NULL &&
		    strstr(line, "input(") != NULL) ||
		strncmp(line, "source", 6) == 0);
}

static void
check_syslog_file(struct exam *x, const char *path)
{
	char *text = conf_file_read(path), *rest = text;
	struct finding_at at = { .file = path };
	bool network_known = false;

	for (char *line = text == NULL ? NULL : strsep(&rest, "\n");
	     line != NULL; line = strsep(&rest, "\n")) {
		at.line++;
		if (takes_nginx_file(line))
			doctor_add(x->d, "popgate-log-stream", &at,
			    "The syslog daemon reads a log file of nginx (\"%.200s\"), and the collector one that it writes.",
			    line);
		if (network_known || !takes_network(line))
			continue;
		doctor_add(x->d, "popgate-syslog-network", &at,
		    "The syslog daemon takes lines from the network (\"%.200s\"), and the collector reads a log that it writes.",
		    line);
		network_known = true;
	}
	free(text);
}

static int
is_conf(const struct dirent *e)
{
	size_t n = strlen(e->d_name);

	return n > 5 && *e->d_name != '.' &&
	    strcmp(e->d_name + n - 5, ".conf") == 0;
}

static void
check_syslog(struct exam *x)
{
	static const char *const dirs[] = {
		"/etc/rsyslog.d",
		"/etc/syslog-ng/conf.d",
	};
	static const char *const files[] = {
		"/etc/rsyslog.conf",
		"/etc/syslog-ng/syslog-ng.conf",
	};
	const struct config *cfg = x->cfg;
	const char *log = NULL;

	for (size_t i = 0; i < cfg->collector.n_sources; i++)
		if (cfg->collector.sources[i].kind == SOURCE_FILE)
			log = cfg->collector.sources[i].where;
	if (log == NULL)
		return;
	add(x, "popgate-log-forgeable", "collector.sources",
	    "The collector reads %.200s, a text log.", log);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		check_syslog_file(x, files[i]);
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		struct dirent **v;
		int n = scandir(dirs[i], &v, is_conf, alphasort);

		for (int j = 0; j < n; j++) {
			char path[400];

			(void)snprintf(
			    path, sizeof(path), "%s/%s", dirs[i], v[j]->d_name);
			check_syslog_file(x, path);
			free(v[j]);
		}
		if (n >= 0)
			free(v);
	}
}

/* --- the tables --- */

static bool
take_source(void *arg, const struct store_source *src)
{
	struct exam *x = arg;
	int64_t grace = x->cfg->relay.collector_grace_s;
	int64_t now = x->d->ctl->now;

	if (grace > 0 && now - src->read_at > grace)
		add(x, "popgate-collector-stale", "collector.sources",
		    "The collector is behind in %.300s for longer than relay.collector_grace.",
		    src->name);
	return true;
}

static bool
take_row(void *arg, const struct store_row *row)
{
	struct exam *x = arg;
	struct network net;
	char who[ADDR_TEXT_MAX], fix[200];
	struct finding_at at = {
		.file = x->cfg->logins.database,
		.value = row->client,
	};
	enum net_danger danger;

	if (row->expires_at <= x->d->ctl->now ||
	    !network_parse(row->client, &net))
		return true;
	danger = net_danger(&x->machine, &net, who);
	if (danger == NET_FINE)
		return true;
	(void)snprintf(
	    fix, sizeof(fix), "popgatectl delete %.60s", row->client);
	at.fix = fix;
	doctor_add(x->d,
	    danger == NET_WORLD      ? "popgate-entry-open"
		: danger == NET_WIDE ? "popgate-entry-wide"
				     : "popgate-entry-gateway",
	    &at, "An admin's entry lets %.60s relay%s%s.", row->client,
	    *who == '\0'
		? ""
		: ", which holds this machine's own or its gateway's address ",
	    who);
	return true;
}

/* Logins that came where clients can write lines, in the last day. */
static bool
take_count(void *arg, const struct store_count *c)
{
	struct exam *x = arg;

	if (strcmp(c->reason, "stream-piece") == 0 &&
	    x->d->ctl->now - c->last_at < 86400)
		add(x, "popgate-log-stream", "collector.sources",
		    "%.60s: logins came through its standard output or error in %.300s, and don't count (%lld).",
		    c->server, c->source, (long long)c->lines);
	return true;
}

static void
check_tables(struct exam *x)
{
	const char *path = x->cfg->logins.database;
	struct finding_at at = { .file = path };
	struct network none;
	struct store *st = NULL;
	struct err err;
	int ret;

	if (access(path, F_OK) == -1) {
		doctor_add(x->d, "popgate-no-logins", &at,
		    "There is no login table yet.");
		return;
	}
	ret = store_open(path, STORE_READ, &st, &err);
	if (ret == 0)
		ret = store_each_source(st, take_source, x, &err);
	if (ret == 0)
		ret = store_each_count(st, take_count, x, &err);
	if (ret == 0)
		doctor_share(x->d, st);
	/* of a network that nobody is in: the entries of networks */
	(void)network_parse("192.0.2.255", &none);
	if (ret == 0)
		ret = store_each_within(st, &none, take_row, x, &err);
	if (ret == -1)
		doctor_add(
		    x->d, "popgate-table-unreadable", &at, "%s", err.text);
	store_close(&st);
}

void
doctor_popgate(struct doctor *d)
{
	struct exam x = { .d = d, .cfg = d->ctl->cfg };

	net_machine_load(&x.machine);
	check_settings(&x);
	check_files(&x);
	check_syslog(&x);
	check_tables(&x);
	net_machine_release(&x.machine);
}
