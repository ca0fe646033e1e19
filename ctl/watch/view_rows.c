/* SPDX-License-Identifier: ISC */
/* view_rows - which rows a panel has, and which of them is selected. The
 * selection is a name, not a place: rows that come must not slide another one
 * below somebody's finger. Pure. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/watch/view.h"

static bool
find_events(
    const struct view *v, const struct watch_model *m, struct view_rows *rows)
{
	rows->event = calloc(m->n + 1, sizeof(struct watch_event *));
	if (rows->event == NULL)
		return false;
	for (size_t i = m->n; i > 0; i--) {
		const struct watch_event *e = &m->event[i - 1];

		if (e->count == 0 || !watch_match(e, v->filter))
			continue;
		/* the one that is selected, or what came before it */
		if (v->id != 0 && e->id >= v->id)
			rows->selected = rows->n;
		rows->event[rows->n++] = e;
	}
	return true;
}

static void
find_top(const struct view *v, struct view_rows *rows)
{
	const struct watch_tally *t = rows->tally;

	rows->n = t->tops;
	for (size_t i = 0; i < t->tops; i++)
		if (t->top[i].is_user == v->is_user[PANEL_TOP] &&
		    strcmp(t->top[i].name, v->name[PANEL_TOP]) == 0)
			rows->selected = i;
}

static bool
find_limits(
    const struct view *v, const struct watch_model *m, struct view_rows *rows)
{
	rows->limit = calloc(m->limits + 1, sizeof(struct watch_limit *));
	if (rows->limit == NULL)
		return false;
	for (size_t i = 0; i < m->limits; i++) {
		const struct watch_limit *l = &m->limit[i];

		/* the filter is for what has its words; a subject is one */
		const struct watch_event e = { .reason = l->words,
			.client = l->subject,
			.sender = "",
			.recipient = "",
			.auth_user = "",
			.login_users = "" };

		if (!watch_match(&e, v->filter))
			continue;
		if (l->is_user == v->is_user[PANEL_LIMITS] &&
		    strcmp(l->subject, v->name[PANEL_LIMITS]) == 0)
			rows->selected = rows->n;
		rows->limit[rows->n++] = l;
	}
	return true;
}

bool
view_rows(const struct view *v, const struct watch_model *m,
    enum view_panel panel, const struct watch_tally *tally,
    struct view_rows *rows)
{
	*rows = (struct view_rows){ .tally = tally };
	switch (panel) {
	case PANEL_TOP:
		find_top(v, rows);
		return true;
	case PANEL_LIMITS:
		return find_limits(v, m, rows);
	case PANEL_DECISIONS:
		return find_events(v, m, rows);
	case PANELS:
		break;
	}
	return false;
}

void
view_rows_free(struct view_rows *rows)
{
	free(rows->event);
	free(rows->limit);
}

void
view_select(struct view *v, enum view_panel panel, const struct view_rows *rows,
    size_t i)
{
	if (rows->n == 0)
		return;
	if (i >= rows->n)
		i = rows->n - 1;
	switch (panel) {
	case PANEL_TOP:
		v->is_user[panel] = rows->tally->top[i].is_user;
		(void)snprintf(v->name[panel], VIEW_NAME_MAX, "%s",
		    rows->tally->top[i].name);
		break;
	case PANEL_LIMITS:
		v->is_user[panel] = rows->limit[i]->is_user;
		(void)snprintf(v->name[panel], VIEW_NAME_MAX, "%s",
		    rows->limit[i]->subject);
		break;
	case PANEL_DECISIONS:
		/* the newest stays the newest */
		v->id = i == 0 ? 0 : rows->event[i]->id;
		break;
	case PANELS:
		break;
	}
}
