/* SPDX-License-Identifier: ISC */
/* commands - the subcommands, for their table in command_line.c, which is all
 * that the lower rooms of ctl know of the upper ones. */
#ifndef POPGATE_COMMANDS_H
#define POPGATE_COMMANDS_H

#include "ctl/ctl.h"

extern const struct command cmd_add, cmd_check, cmd_check_config,
    cmd_completion, cmd_decisions, cmd_delete, cmd_deny, cmd_dependents,
    cmd_doctor, cmd_dump, cmd_dump_config, cmd_expire, cmd_export, cmd_health,
    cmd_help, cmd_import, cmd_list, cmd_login, cmd_mirror, cmd_reload,
    cmd_replay, cmd_report, cmd_setup, cmd_share, cmd_spam, cmd_sql, cmd_stats,
    cmd_status, cmd_top, cmd_undeny, cmd_watch, cmd_why, cmd_wiring;

/* The program of that name. argv: the words after it. Returns an exit status.
 */
int vsmtprelay_run(struct ctl *ctl, int argc, char **argv);

#endif
