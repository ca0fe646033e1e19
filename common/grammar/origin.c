/* SPDX-License-Identifier: ISC */
#include "common/grammar/origin.h"

#include <assert.h>
#include <string.h>

typedef bool only_root_fn(const char *path, size_t len);

/* A unit that a person starts, not the system. */
static bool
unit_of_a_person(struct span unit)
{
	return SPAN_STARTS(unit, "user@") || SPAN_STARTS(unit, "session-") ||
	    SPAN_STARTS(unit, "user-");
}

bool
origin_unit_of_system(const char *unit)
{
	struct span u = span_of(unit, strlen(unit));

	return !unit_of_a_person(u) && SPAN_CHOP(&u, ".service") &&
	    !span_empty(u);
}

static struct span
base_name(struct span path)
{
	struct span dir;

	(void)SPAN_UNTIL_LAST(&path, "/", &dir);
	return path;
}

/* The kernel cuts comm at 15 bytes. */
static bool
comm_matches(struct span comm, const char *name, size_t len)
{
	return span_equals(comm, name, len < 15 ? len : 15);
}

static bool
process_of_grammar(const struct grammar *g, struct span program,
    struct span process, bool is_comm)
{
	struct span base = base_name(program);

	if (is_comm ? comm_matches(process, base.p, span_len(base))
		    : span_equals(process, base.p, span_len(base)))
		return true;
	for (const char *const *name = g->processes;
	     name != NULL && *name != NULL; name++) {
		if (is_comm ? comm_matches(process, *name, strlen(*name))
			    : span_equals(process, *name, strlen(*name)))
			return true;
	}
	return false;
}

/* Is it where packages put servers? Elsewhere, the owner of a directory, as
 * www-data is one, can put an executable with a server's name. */
static bool
exe_in_system_place(struct span exe)
{
	static const char *const places[] = { "/usr/bin/", "/usr/sbin/",
		"/usr/lib", "/usr/cyrus/", "/bin/", "/sbin/", "/lib",
		"/var/qmail/bin/", "/nix/store/", "/gnu/store/", NULL };

	for (const char *const *place = places; *place != NULL; place++) {
		if (span_starts(exe, *place, strlen(*place)))
			return true;
	}
	return false;
}

/* Is it where admins put servers? Others may write there: Debian's group staff
 * below /usr/local, a program's user in its part of /opt. But a process of root
 * doesn't need such a directory to forge a line. */
static bool
exe_in_admins_place(struct span exe, int64_t uid, only_root_fn *only_root)
{
	if (!SPAN_STARTS(exe, "/usr/local/") && !SPAN_STARTS(exe, "/opt/"))
		return false;
	return uid == 0 ||
	    (only_root != NULL && only_root(exe.p, span_len(exe)));
}

static bool
may_speak_as(
    const struct grammar *g, struct span program, const struct prefix_origin *o)
{
	if (g->root_only && o->uid > 0)
		return false;
	if (!span_empty(o->comm) &&
	    !process_of_grammar(g, program, o->comm, true))
		return false;
	return span_empty(o->exe) ||
	    process_of_grammar(g, program, base_name(o->exe), false);
}

static bool
exe_is_program(struct span exe, struct span program)
{
	struct span base = base_name(program);

	return span_empty(exe) ||
	    span_equals(base_name(exe), base.p, span_len(base));
}

/* A unit that the admin named is believed, whatever executable and user are. */
static bool
unit_of_custom(const struct programs *t, struct span program,
    const struct prefix_origin *o)
{
	for (size_t i = 0; i < t->custom_n; i++) {
		const struct custom *c = t->custom[i];
		const char *name = custom_program(c), *unit = custom_unit(c);

		if (unit != NULL && span_equals(o->unit, unit, strlen(unit)) &&
		    span_equals(program, name, strlen(name)))
			return true;
	}
	return false;
}

/* The executable of a process that ended before journald looked is unknown.
 * Then only root is believed, who needs no log line to let somebody relay. */
static bool
origin_of_system(const struct prefix_origin *o, only_root_fn *only_root)
{
	enum {
		ORDINARY_UID = 1000, /* first of the people: login.defs(5) */
		NOBODY = 65534
	};

	if (o->uid >= ORDINARY_UID && o->uid != NOBODY)
		return false;
	if (unit_of_a_person(o->unit))
		return false;
	return span_empty(o->exe) ? o->uid <= 0
				  : exe_in_system_place(o->exe) ||
		exe_in_admins_place(o->exe, o->uid, only_root);
}

bool
origin_may_speak(const struct programs *t, const struct program *p,
    struct span program, const struct prefix_origin *origin,
    only_root_fn *only_root)
{
	struct prefix_origin o = *origin;

	assert(p != NULL && p->len > 0);
	/* the server runs on after an upgrade */
	(void)SPAN_CHOP(&o.exe, " (deleted)");
	if (p->custom && unit_of_custom(t, program, &o))
		return true;
	if (!origin_of_system(&o, only_root))
		return false;
	if (p->custom_by_exe && p->grammar_n == 0)
		return exe_is_program(o.exe, program);
	for (size_t i = 0; i < p->grammar_n; i++) {
		if (may_speak_as(grammars[p->grammar[i]], program, &o))
			return true;
	}
	return false;
}
