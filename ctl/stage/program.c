/* SPDX-License-Identifier: ISC */
#include "ctl/stage/program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/err.h"

int
program_run(const char *const *argv, int out, struct err *err)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		int in = open("/dev/null", O_RDONLY | O_CLOEXEC);

		(void)setsid();
		if (in != -1 && dup2(in, STDIN_FILENO) != -1 &&
		    dup2(out, STDOUT_FILENO) != -1 &&
		    dup2(out, STDERR_FILENO) != -1)
			(void)execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	if (pid == -1) {
		err_set(err, ERR_IO, "fork: %s", strerror(errno));
		return -1;
	}
	while (waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			break;
	if (status == 0)
		return 0;
	err_set(err, ERR_IO, "%s: ended with %s %d", argv[0],
	    WIFSIGNALED(status) ? "signal" : "status",
	    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	return -1;
}
