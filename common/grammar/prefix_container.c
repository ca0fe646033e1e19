/* SPDX-License-Identifier: ISC */
/* The part of prefix.h that reads what container engines write around a line of
 * a container's output:
 *
 *   {"log":"LINE\\n","stream":"stderr","time":"T"}	Docker's json-file
 *   T stderr F LINE				CRI (containerd, CRI-O)
 *   T LINE					docker logs -t
 *   service-1  | LINE				docker compose logs, also with T
 *   service.1.ID@node    | LINE		docker service logs
 *
 * Who wrote LINE, the engine doesn't say: all programs of the container share
 * its output. Source: Kubernetes, "CRI: logging"; Docker's cli/compose. */
#include "common/grammar/prefix.h"

/* Compose's names: project, service and number. */
enum { SERVICE_MAX = 128 };

static bool
take_service(struct span *s)
{
	struct span rest = *s;
	const char *p = s->p;

	while (p < s->end && p - s->p < SERVICE_MAX &&
	    (char_host(*p) || *p == '_' || *p == '@'))
		p++;
	if (p == s->p)
		return false;
	rest.p = p;
	while (rest.p < rest.end && *rest.p == ' ')
		rest.p++;
	if (rest.p == p || !SPAN_TAKE(&rest, "| "))
		return false;
	*s = rest;
	return true;
}

/* "stderr F " behind the time. */
static bool
take_cri(struct span *s, struct prefix_container *c)
{
	struct span rest = *s, tags;

	if (!SPAN_UNTIL(&rest, " ", &c->stream) ||
	    (!SPAN_EQUALS(c->stream, "stdout") &&
		!SPAN_EQUALS(c->stream, "stderr")) ||
	    !SPAN_UNTIL(&rest, " ", &tags) || span_empty(tags) ||
	    (*tags.p != 'F' && *tags.p != 'P') ||
	    (span_len(tags) > 1 && tags.p[1] != ':'))
		return false;
	c->cut = *tags.p == 'P';
	*s = rest;
	return true;
}

bool
prefix_uncontain(struct span line, struct prefix_container *c, char *scratch)
{
	struct span s = line;

	if (SPAN_STARTS(s, "{"))
		return prefix_docker_json(s, c, scratch);
	*c = (struct prefix_container){
		.time = span_of(s.p, 0),
		.stream = span_of(s.p, 0),
	};
	bool service = take_service(&s);

	if (prefix_take_iso(&s, &c->time)) {
		struct span none = span_of(s.p, 0);

		if (service || !take_cri(&s, c))
			c->stream = none;
	} else if (!service) {
		return false;
	}
	c->inside = s;
	return !span_empty(s);
}
