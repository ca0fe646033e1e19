/* reload - let popgate-milter read its configuration again. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "domains.h"
#include "err.h"
#include "probe.h"

/* The pid that made the socket may have ended, and been given again. */
static bool
is_milter(pid_t pid)
{
	char path[64], comm[64] = "";
	FILE *in;

	(void)snprintf(path, sizeof(path), "/proc/%ld/comm", (long)pid);
	in = fopen(path, "re");
	if (in == NULL)
		return false;
	if (fgets(comm, sizeof(comm), in) == NULL)
		comm[0] = '\0';
	(void)fclose(in);
	return strncmp(comm, "popgate-milter", 14) == 0;
}

static int
run(struct ctl *ctl, const struct ctl_args *args)
{
	struct domain_set domains = { 0 };
	struct probe p;
	struct err err;
	int rc = ctl_config(ctl);

	(void)args;
	if (rc != 0)
		return rc;
	if (domains_load(&ctl->cfg->relay.local_domains, &domains, &err) ==
	    -1)
		return ctl_fail(ctl, EX_CONFIG, "relay.local_domains: %s",
		    err.text);
	domains_release(&domains);
	probe_policy(ctl->cfg->permit.policy, &p);
	if (p.result != PROBE_GOOD || p.pid <= 1 || !is_milter(p.pid))
		return ctl_fail(ctl, EX_UNAVAILABLE, "popgate-milter can't be "
		    "found by its policy socket%s%s; send it SIGUSR1, or say "
		    "'systemctl reload popgate-milter'",
		    *p.words == '\0' ? "" : ": ", p.words);
	if (kill(p.pid, SIGUSR1) == -1)
		return ctl_fail(ctl, errno == EPERM ? EX_NOPERM : EX_OSERR,
		    "popgate-milter (pid %ld): %s", (long)p.pid,
		    strerror(errno));
	(void)printf("popgate-milter (pid %ld) reads its configuration again; "
	    "its log says what changed\n", (long)p.pid);
	return 0;
}

const struct command cmd_reload = {
	.name = "reload", .args = "",
	.summary = "let popgate-milter read its configuration again",
	.help = "The configuration is checked first; a bad one is not "
	    "given to the daemon.\n",
	.min = 0, .max = 0, .run = run
};
