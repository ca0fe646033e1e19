/* SPDX-License-Identifier: ISC */
/* postfix_socket - does a Postfix service reach popgate's socket by the path
 * that main.cf names? One thread. */
#ifndef POPGATE_POSTFIX_SOCKET_H
#define POPGATE_POSTFIX_SOCKET_H

#include "common/mta/postfix_endpoint.h"
#include "ctl/doctor/postfix_exam.h"

enum socket_reach {
	SOCKET_REACHED,
	SOCKET_ELSEWHERE, /* nothing is there, or something else */
	SOCKET_DENIED, /* Postfix's user may not connect */
	SOCKET_UNKNOWN /* who runs this program may not look */
};

/* Look for the socket as the service would. For root that is exact: a child
 * process takes the service's root directory, working directory, user and
 * groups, and asks the kernel. Else it is judged by what this user can see.
 * A socket that popgate has not made yet counts as reached, when it will be
 * made where the service looks.
 *   path    as main.cf names it
 *   listen  the absolute path where popgate listens
 *   seen    of POSTFIX_PATH_MAX: the path of this machine that is looked at */
enum socket_reach postfix_socket_look(const struct postfix_conf *pf,
    const struct postfix_service *s, const char *path, const char *listen,
    char *seen);

/* Add a finding when a socket of popgate's that service s names can't be
 * reached by it, or names a popgate that isn't there: one of each kind.
 *   lists  look at the restrictions, too, and not only at the milters */
void postfix_check_sockets(
    struct postfix_exam *x, const struct postfix_service *s, bool lists);

#endif
