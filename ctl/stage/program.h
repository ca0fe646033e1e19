/* SPDX-License-Identifier: ISC */
/* program - run a program of the copy that may leave others behind, such as
 * "postfix start": unlike run_read() it waits for the program alone, not for
 * the end of its output. */
#ifndef POPGATE_PROGRAM_H
#define POPGATE_PROGRAM_H

struct err;

/*   argv  ends with NULL; argv[0] is looked for where system programs are
 *   out   a descriptor for its standard output and error
 * 0 when it ended with status 0, else -1 with err. */
int program_run(const char *const *argv, int out, struct err *err);

#endif
