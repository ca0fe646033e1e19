/* SPDX-License-Identifier: ISC */
/* servant - the process of the room that keeps the log of the copy, answers
 * its questions to DNS, and stands in for servers that aren't in it. */
#ifndef POPGATE_SERVANT_H
#define POPGATE_SERVANT_H

#include <stdatomic.h>
#include <stddef.h>

#include "ctl/stage/asked.h"
#include "ctl/stage/names.h"

struct err;

/* Where everything is logged, in the room. */
#define SERVANT_LOG "/run/popgate-stage/log"

/* Memory that the room's first process and the servant share. */
struct servant_share {
	struct names names;
	size_t n_asked;
	struct {
		struct postfix_endpoint named;
		atomic_int times; /* that somebody connected */
	} asked[ASKED_MAX];
};

/* The servant's work besides log and DNS. All borrowed. */
struct servant_work {
	const struct asked *asked; /* to stand in for */
	size_t n_asked;
	/* Servers of loopback that clients of the room are led to: those of
	 * lookup tables. Unix sockets among them are somebody else's work. */
	const struct postfix_endpoint *tables;
	size_t n_tables;
	int machine; /* the machine's network namespace */
};

/* Bind /dev/log, the name server, and the stand-ins; then start the servant.
 *   share_r  is filled; never freed
 * 0, or -1 with err. */
int servant_start(const struct servant_work *work,
    struct servant_share **share_r, struct err *err);

#endif
