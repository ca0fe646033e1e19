/* SPDX-License-Identifier: ISC */
/* fuzz_gate.h - a gate that runs in the fuzz target's own process, with tables
 * in memory: FRIEND has a login that counts, STRANGER had one, nobody else any;
 * lab.test is ours. */
#ifndef POPGATE_FUZZ_GATE_H
#define POPGATE_FUZZ_GATE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/log.h"
#include "common/db/store.h"
#include "milter/gate.h"

#define FRIEND "192.0.2.1"
#define STRANGER "203.0.113.9"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char fuzz_dir[64];

static inline void
fuzz_clean(void)
{
	static const char *const names[] = { "popgate.conf", "logins.db",
		"logins.db-wal", "logins.db-shm", "audit.db", "audit.db-wal",
		"audit.db-shm", "milter.sock" };
	char name[100];

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		(void)snprintf(name, sizeof(name), "%s/%s", fuzz_dir, names[i]);
		(void)unlink(name);
	}
	(void)rmdir(fuzz_dir);
}

static inline _Noreturn void
fuzz_die(const char *what, const char *why)
{
	(void)fprintf(stderr, "%s: %s\n", what, why);
	abort();
}

static inline void
fuzz_login(struct store *table, const char *client, int64_t at, int64_t until)
{
	struct login l = {
		.at = at, .service = "imap", .server = "dovecot", .user = "al"
	};
	struct network net;
	struct err err;

	if (!network_parse(client, &net))
		fuzz_die(client, "no address");
	l.client = net.base;
	if (store_begin(table, &err) == -1 ||
	    store_login(table, &l, &net, until, NULL, &err) == -1 ||
	    store_commit(table, &err) == -1)
		fuzz_die("login", err.text);
}

static inline void
fuzz_logins(const char *path)
{
	static struct store_source source = { .name = "file:/log" };
	int64_t now = clock_now();
	struct store *table;
	struct err err;

	source.read_at = now + 1000000;
	if (store_open(path, STORE_WRITE, &table, &err) == -1)
		fuzz_die(path, err.text);
	fuzz_login(table, FRIEND, now, now + 1000000);
	fuzz_login(table, STRANGER, now - 100000, now - 50000);
	if (store_begin(table, &err) == -1 ||
	    store_source_save(table, &source, &err) == -1 ||
	    store_commit(table, &err) == -1)
		fuzz_die("source", err.text);
	store_close(&table);
}

/* Limits that nobody reaches: what is refused is refused for want of a right.
 */
static inline struct gate_config *
fuzz_config(void)
{
	static const char limits[] =
	    "limits: { client_recipients = \"10000000/1h\"; client_messages = "
	    "\"10000000/1h\"; client_senders = \"10000000/1h\"; user_recipients = "
	    "\"10000000/1h\"; user_messages = \"10000000/1h\"; user_clients = \"10000000/1d\"; };\n";
	struct gate_config *gc;
	struct err err;
	char conf[100], logins[100];

	(void)snprintf(fuzz_dir, sizeof(fuzz_dir), "%s/popgate-fuzz-XXXXXX",
	    access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (mkdtemp(fuzz_dir) == NULL)
		fuzz_die(fuzz_dir, "mkdtemp");
	(void)atexit(fuzz_clean);
	log_hold(); /* no thread takes the lines: they are dropped */
	(void)snprintf(conf, sizeof(conf), "%s/popgate.conf", fuzz_dir);
	(void)snprintf(logins, sizeof(logins), "%s/logins.db", fuzz_dir);
	fuzz_logins(logins);
	FILE *out = fopen(conf, "w");

	if (out == NULL)
		fuzz_die(conf, "fopen");
	(void)fprintf(out,
	    "logins: { database = \"%s\"; };\n"
	    "audit: { database = \"%s/audit.db\"; max_size = \"20M\"; };\n"
	    "milter: { listen = \"unix:%s/milter.sock\"; };\n"
	    "relay: { local_domains = [ \"lab.test\" ]; };\n%s",
	    logins, fuzz_dir, fuzz_dir, limits);
	(void)fclose(out);
	if (gate_config_load(conf, &gc, &err) == -1)
		fuzz_die(conf, err.text);
	return gc;
}

#endif
