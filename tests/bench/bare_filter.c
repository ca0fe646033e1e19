/* SPDX-License-Identifier: ISC */
/* bare_filter - a libmilter filter that says CONTINUE to everything: what
 * popgate-milter is measured against.
 * It negotiates the steps and macro lists it is told, so that both filters
 * get the same packets, and has as many heaps and as large stacks. It does
 * nothing with the packets. */
#define SM_CONF_STDBOOL_H 1 /* mfapi.h: do not define bool */
#include <libmilter/mfapi.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

enum { STAGES = SMFIM_LAST + 1 };

static struct {
	unsigned long steps;
	char *symlist[STAGES];
} wanted = {
	.steps = SMFIP_NOHDRS | SMFIP_NOEOH | SMFIP_NOBODY | SMFIP_NOUNKNOWN |
	    SMFIP_NR_CONN | SMFIP_NR_HELO | SMFIP_NR_MAIL,
	.symlist = {
		[SMFIM_CONNECT] = "j v",
		[SMFIM_HELO] = "j",
		[SMFIM_ENVFROM] = "j i {auth_type} {auth_authen}",
		[SMFIM_ENVRCPT] = "j i {rcpt_mailer}",
		[SMFIM_DATA] = "j i",
	},
};

static sfsistat
on_negotiate(SMFICTX *ctx, unsigned long actions, unsigned long steps,
    unsigned long f2, unsigned long f3, unsigned long *want_actions,
    unsigned long *want_steps, unsigned long *want_f2, unsigned long *want_f3)
{
	(void)f2;
	(void)f3;
	*want_actions = actions & SMFIF_SETSYMLIST;
	*want_steps = steps & wanted.steps;
	*want_f2 = *want_f3 = 0;
	for (int i = 0; *want_actions != 0 && i < STAGES; i++) {
		if (wanted.symlist[i] != NULL &&
		    smfi_setsymlist(ctx, i, wanted.symlist[i]) != MI_SUCCESS)
			return SMFIS_REJECT;
	}
	return SMFIS_CONTINUE;
}

/* libmilter sends the reply of an NR_ step itself if the MTA wants one. */
static sfsistat
answer(unsigned long no_reply)
{
	return (wanted.steps & no_reply) ? SMFIS_NOREPLY : SMFIS_CONTINUE;
}

static sfsistat
on_connect(SMFICTX *ctx, char *host, _SOCK_ADDR *addr)
{
	(void)ctx;
	(void)host;
	(void)addr;
	return answer(SMFIP_NR_CONN);
}

static sfsistat
on_helo(SMFICTX *ctx, char *name)
{
	(void)ctx;
	(void)name;
	return answer(SMFIP_NR_HELO);
}

static sfsistat
on_envfrom(SMFICTX *ctx, char **argv)
{
	(void)ctx;
	(void)argv;
	return answer(SMFIP_NR_MAIL);
}

static sfsistat
on_envrcpt(SMFICTX *ctx, char **argv)
{
	(void)ctx;
	(void)argv;
	return SMFIS_CONTINUE;
}

static sfsistat
on_event(SMFICTX *ctx)
{
	(void)ctx;
	return SMFIS_CONTINUE;
}

static void
usage(void)
{
	fputs("usage: bare_filter [-f STEPS] [-m STAGE=MACROS]... -p SOCKET\n",
	    stderr);
	exit(EX_USAGE);
}

static void
set_symlist(char *arg)
{
	char *end;
	unsigned long stage = strtoul(arg, &end, 10);

	if (end == arg || *end != '=' || stage >= STAGES)
		usage();
	wanted.symlist[stage] = end + 1;
}

/* Spare the memory of many sessions, as popgate-milter does. */
static void
spare_memory(void)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	pthread_attr_t attr;

	mallopt(M_ARENA_MAX, processors > 2 ? (int)processors : 2);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 512 * 1024);
	pthread_setattr_default_np(&attr);
}

int
main(int argc, char **argv)
{
	struct smfiDesc desc = {
		.xxfi_name = "bare",
		.xxfi_version = SMFI_VERSION,
		.xxfi_flags = SMFIF_NONE,
		.xxfi_connect = on_connect,
		.xxfi_helo = on_helo,
		.xxfi_envfrom = on_envfrom,
		.xxfi_envrcpt = on_envrcpt,
		.xxfi_data = on_event,
		.xxfi_abort = on_event,
		.xxfi_close = on_event,
		.xxfi_negotiate = on_negotiate,
	};
	struct rlimit files;
	char *where = NULL;
	int opt;

	while ((opt = getopt(argc, argv, "f:m:p:")) != -1) {
		switch (opt) {
		case 'f':
			wanted.steps = strtoul(optarg, NULL, 0);
			break;
		case 'm':
			set_symlist(optarg);
			break;
		case 'p':
			where = optarg;
			break;
		default:
			usage();
		}
	}
	if (where == NULL || optind != argc)
		usage();
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	signal(SIGPIPE, SIG_IGN);
	spare_memory();
	if (smfi_register(desc) != MI_SUCCESS ||
	    smfi_setconn(where) != MI_SUCCESS ||
	    smfi_opensocket(1) != MI_SUCCESS) {
		fprintf(stderr, "bare_filter: cannot listen on %s\n", where);
		return EX_UNAVAILABLE;
	}
	return smfi_main() == MI_SUCCESS ? EX_OK : EX_SOFTWARE;
}
