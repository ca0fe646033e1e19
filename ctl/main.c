/* SPDX-License-Identifier: ISC */
/* popgatectl: the admin's command. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "ctl/ctl.h"

/* No file that is opened may get the number of a standard one that was closed
 * by who started us: what is printed would be written into it. Read-only, so
 * that what is printed there fails as before. */
static void
open_standard_files(void)
{
	int fd;

	while ((fd = open("/dev/null", O_RDONLY)) != -1 && fd <= STDERR_FILENO)
		;
	if (fd != -1)
		(void)close(fd);
}

int
main(int argc, char **argv)
{
	open_standard_files();
	const char *base = strrchr(argv[0], '/');
	struct ctl ctl = {
		.config_path = CONFIG_DEFAULT_PATH,
		.now = clock_now(),
	};

	base = base == NULL ? argv[0] : base + 1;
	ctl.program =
	    strcmp(base, "vsmtprelay") == 0 ? "vsmtprelay" : "popgatectl";
	int rc = command_line(&ctl, argc, argv);

	config_free(ctl.cfg);
	/* a full disk behind a redirection must not pass for success */
	if ((fflush(stdout) != 0 || ferror(stdout)) && rc == 0) {
		ctl.cmd = NULL;
		rc = ctl_fail(&ctl, EX_IOERR, "the output can't be written");
	}
	return rc;
}
