/* SPDX-License-Identifier: ISC */
#include "ctl/stage/first.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/listen.h"
#include "common/base/run.h"
#include "common/config/config.h"
#include "common/mta/postfix_wiring.h"
#include "ctl/stage/exim_copy.h"
#include "ctl/stage/loopback.h"
#include "ctl/stage/room.h"
#include "ctl/stage/sasl.h"
#include "ctl/stage/sendmail_copy.h"
#include "ctl/stage/stage.h"
#include "ctl/stage/tables.h"

enum { PATH_LEN = 1024 };

static int
run_quietly(const char *const *argv, struct err *err)
{
	char *out =
	    run_read((char *const *)(uintptr_t)argv, NULL, RUN_TIMEOUT_S, err);

	free(out);
	return out == NULL ? -1 : 0;
}

/* The edit by the command that makes it on the machine. */
static int
edit(
    const struct stage_spec *spec, const struct wiring_edit *e, struct err *err)
{
	static const char *const option[] = {
		[EDIT_MAIN] = "-e", [EDIT_SERVICE] = "-P", [EDIT_FIELD] = "-F"
	};
	char *word = NULL;
	int rc;

	if (asprintf(&word, "%s%s%s=%s", e->kind == EDIT_MAIN ? "" : e->service,
		e->kind == EDIT_MAIN ? "" : "/", e->name, e->value) == -1) {
		err_nomem(err, "an edit of the copy", 0);
		return -1;
	}
	const char *const argv[] = { "postconf", "-c", spec->dir,
		option[e->kind], word, NULL };

	rc = run_quietly(argv, err);
	free(word);
	return rc;
}

/* Put a file into the place of one of the machine's. */
static int
replace(const struct stage_file *file, struct err *err)
{
	char dir[PATH_LEN];
	char *slash;

	(void)snprintf(dir, sizeof(dir), "%s", file->path);
	slash = strrchr(dir, '/');
	if (*dir != '/' || slash == NULL) {
		err_set(err, ERR_INVALID, "%s: expected an absolute path",
		    file->path);
		return -1;
	}
	*(slash == dir ? slash + 1 : slash) = '\0';
	if (access(file->path, F_OK) == -1 && room_writable(dir, err) == -1)
		return -1;
	return room_file(file->path, file->text, 0644, err);
}

/* Files, edits, commands. */
static int
prepare(struct first *f, struct err *err)
{
	const struct stage_spec *spec = f->spec;

	for (size_t i = 0; i < spec->n_files; i++)
		if (replace(&spec->files[i], err) == -1)
			return -1;
	for (size_t i = 0; i < spec->n_edits; i++)
		if (edit(spec, &spec->edits[i], err) == -1)
			return -1;
	for (size_t i = 0; i < spec->n_prepare; i++)
		if (run_quietly(spec->prepare[i], err) == -1)
			return -1;
	return 0;
}

/* The servers of its lookup tables: sockets of the machine appear in the room,
 * also where a chroot would see them. */
static int
find_tables(
    struct first *f, struct postfix_endpoint *v, size_t *n_r, struct err *err)
{
	const char *queue;
	char inside[POSTFIX_PATH_MAX];

	*n_r = 0;
	if (f->spec->mta != STAGE_POSTFIX)
		return 0;
	queue = postfix_value(&f->postfix.pf, NULL, "queue_directory");
	*n_r = tables_servers(&f->postfix.pf, v);
	for (size_t i = 0; i < *n_r; i++) {
		if (!v[i].is_unix)
			continue;
		postfix_endpoint_seen(queue, true, v[i].path, inside);
		if (room_socket(v[i].path, err) == -1 ||
		    room_socket(inside, err) == -1)
			return -1;
	}
	return 0;
}

/* Find the servers that the mail server asks, after the edits. */
static int
find_asked(struct first *f, struct asked *asked, size_t *n_r, struct err *err)
{
	static char log[EXIM_LOG_MAX];
	const struct stage_spec *spec = f->spec;
	const struct exim_program exim = { spec->program, spec->dir,
		spec->trace };

	f->hops = DAEMON_COPY_HOPS;
	switch (spec->mta) {
	case STAGE_POSTFIX:
		if (postfix_copy_read(&f->postfix, spec->dir, err) == -1)
			return -1;
		f->own_log =
		    postfix_value(&f->postfix.pf, NULL, "maillog_file");
		*n_r = asked_of(&f->postfix.pf, asked);
		return sasl_ask_stand_in("smtpd", spec->dir, err);
	case STAGE_SENDMAIL:
		return sendmail_copy_make(
		    &f->daemon, spec->dir, asked, n_r, err);
	case STAGE_EXIM:
		f->own_log = log;
		f->hops = exim_copy_hops(&exim);
		return exim_copy_make(&f->daemon, &exim, asked, n_r, log, err);
	}
	return -1;
}

static int
start_mta(struct first *f, struct err *err)
{
	const struct stage_spec *spec = f->spec;

	const struct exim_program exim = { spec->program, spec->dir,
		spec->trace };

	if (spec->mta == STAGE_POSTFIX)
		return postfix_copy_start(&f->postfix, f->log, err);
	if (spec->mta == STAGE_EXIM)
		return exim_copy_start(&f->daemon, &exim, spec->addresses,
		    f->log, spec->timeout_ms, err);
	return sendmail_copy_start(&f->daemon, spec->program, spec->dir,
	    spec->addresses, f->log, spec->timeout_ms, err);
}

static int
prepare_gate(struct first *f, struct err *err)
{
	if (f->spec->popgate == NULL)
		return 0;
	f->gate = (struct stage_gate){ .cfg = f->spec->popgate,
		.milter = f->spec->milter,
		.log = f->log };
	return stage_gate_prepare(&f->gate, err);
}

static int
start_gate(struct first *f, struct err *err)
{
	return f->gate.cfg == NULL
	    ? 0
	    : stage_gate_start(&f->gate, f->spec->timeout_ms, err);
}

/* The machine's own name is known to DNS. */
static void
name_machine(struct first *f)
{
	const struct network_set *own = f->spec->addresses;
	char name[256] = "";
	struct addr addr;

	loopback_address(ADDR_IPV4, &addr);
	(void)gethostname(name, sizeof(name) - 1);
	f->share->names.here = own->n > 0 ? own->v[0].base : addr;
	names_add(&f->share->names, name, &f->share->names.here);
}

static bool
is_gate(const struct asked *a, const char *listen)
{
	struct listen_spec spec;
	struct err err;

	if (*listen == '\0' || listen_parse(listen, &spec, &err) == -1 ||
	    spec.is_unix != a->named.is_unix)
		return false;
	return spec.is_unix ? strcmp(spec.path, a->path) == 0
			    : spec.port == a->named.port;
}

/* Nobody is to stand in for popgate. */
static void
leave_to_gate(const struct first *f, struct asked *v, size_t *n)
{
	const struct config *cfg = f->spec->popgate;
	size_t kept = 0;

	for (size_t i = 0; i < *n && cfg != NULL; i++)
		if (!is_gate(&v[i], cfg->milter.listen) &&
		    !is_gate(&v[i], cfg->permit.policy) &&
		    !is_gate(&v[i], cfg->permit.socketmap))
			v[kept++] = v[i];
	if (cfg != NULL)
		*n = kept;
}

int
first_ready(struct first *f, struct err *err)
{
	static struct asked asked[ASKED_MAX];
	static struct postfix_endpoint tables[TABLE_SERVERS_MAX];
	struct servant_work work = {
		.asked = asked, .tables = tables, .machine = f->machine
	};
	const struct stage_spec *spec = f->spec;

	if (room_furnish(err) == -1 ||
	    loopback_up(spec->addresses, err) == -1 ||
	    room_resolver(err) == -1 ||
	    (spec->mta == STAGE_POSTFIX &&
		postfix_copy_make(spec->dir, err) == -1) ||
	    (spec->mta == STAGE_EXIM && spec->n_prepare > 0 &&
		exim_copy_unmake(spec->dir, err) == -1) ||
	    prepare(f, err) == -1 ||
	    (spec->mta == STAGE_POSTFIX &&
		postfix_copy_quiet(spec->dir, err) == -1))
		return -1;
	f->log =
	    open(SERVANT_LOG, O_CREAT | O_APPEND | O_WRONLY | O_CLOEXEC, 0600);
	if (f->log == -1) {
		err_set(err, ERR_IO, SERVANT_LOG ": %s", strerror(errno));
		return -1;
	}
	if (find_asked(f, asked, &work.n_asked, err) == -1 ||
	    find_tables(f, tables, &work.n_tables, err) == -1)
		return -1;
	leave_to_gate(f, asked, &work.n_asked);
	/* popgate may ask DNS and lookup tables for our domains */
	if (servant_start(&work, &f->share, err) == -1 ||
	    prepare_gate(f, err) == -1 || room_part(err) == -1 ||
	    start_gate(f, err) == -1)
		return -1;
	(void)close(f->machine);
	name_machine(f);
	return start_mta(f, err);
}
