/* SPDX-License-Identifier: ISC */
/* dump - every entry, as vsmtprelay prints it. */
#include "ctl/commands.h"
#include "ctl/commands/vsmtprelay.h"

static int
run(struct ctl *ctl, const struct ctl_args *args)
{
	(void)args;
	return vsmtprelay_print(ctl, INT64_MAX);
}

const struct command cmd_dump = {
	.name = "dump",
	.args = "",
	.summary = "every entry as ADDRESS<TAB>TICKS, for makemap",
	.help =
	    "As vsmtprelay prints it: ticks are Unix seconds of the last login; an entry that\n"
	    "an admin made for longer stands in the future. Expired entries that are still in\n"
	    "the table are printed too: for a map that lets clients relay, use 'export'.\n",
	.min = 0,
	.max = 0,
	.run = run,
};
