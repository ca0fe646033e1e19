/* SPDX-License-Identifier: ISC */
/* generated - does a configuration file say that a program writes it? A control
 * panel, Ansible and their like undo what somebody else puts there. Pure. */
#ifndef POPGATE_GENERATED_H
#define POPGATE_GENERATED_H

/* The first comment near the file's beginning that says so, to be freed by the
 * caller, or NULL: none does.
 *   line_r  its number; may be NULL */
char *generated_line(const char *text, unsigned *line_r);

#endif
