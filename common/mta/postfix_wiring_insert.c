/* SPDX-License-Identifier: ISC */
/* postfix_wiring_insert - the edit of one value: something is put into a list,
 * or taken out, and the rest of the admin's text stays. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mta/postfix_wiring_items.h"

enum { DEPTH_MAX = 8 };

char *
wiring_without_ours(const struct wiring_items *l, const char *raw)
{
	char *out = strdup(raw);

	for (size_t i = l->n; i-- > 0 && out != NULL;) {
		const struct wiring_item *item = &l->v[i];

		if (item->kind != ITEM_OURS || item->keep || !item->first ||
		    (i + 1 < l->n && l->v[i + 1].top == item->top))
			continue;
		assert(item->top < l->n_parts);
		size_t from = l->parts[item->top].from;
		size_t to = l->parts[item->top].to;

		to += strspn(out + to, WIRING_SEPARATORS);
		if (out[to] == '\0')
			from = item->top == 0 ? 0 : l->parts[item->top - 1].to;
		char *new = wiring_splice(out, from, to, "");

		free(out);
		out = new;
	}
	return out;
}

/* The value of one $name that a list is made of; its items are those of l from
 * first on. */
static void
clear_one(struct wiring_work *w, const struct wiring_items *l, const char *name,
    size_t first)
{
	char *value = strdup(wiring_raw(w, l->s, name));
	struct wiring_items in = { .n = 0 };

	if (value == NULL) {
		w->no_memory = true;
		return;
	}
	wiring_items_parse(&in, w, l->s, l->kind, value);
	for (size_t i = 0; i < in.n && first + i < l->n; i++)
		in.v[i].keep = l->v[first + i].keep;
	char *new = wiring_without_ours(&in, value);

	if (new == NULL)
		w->no_memory = true;
	else if (strcmp(new, value) != 0 && wiring_own(w, NULL, name) != NULL)
		wiring_set(w, NULL, name, new,
		    "This is left from an earlier wiring, and goes.");
	free(new);
	wiring_items_release(&in);
	free(value);
}

void
wiring_clear_references(
    struct wiring_work *w, const struct wiring_items *l, const char *raw)
{
	char name[WIRING_NAME_MAX];

	for (size_t i = 0; i < l->n; i++) {
		assert(l->v[i].top < l->n_parts);
		const struct wiring_part *part = &l->parts[l->v[i].top];
		size_t len = part->to - part->from;

		if (l->v[i].first &&
		    wiring_reference(raw + part->from, name, sizeof(name)) ==
			len &&
		    strcmp(name, l->v[i].definition) != 0)
			clear_one(w, l, name, i);
	}
}

/* Is this $name only ever a part of this setting, so that what is put into it
 * comes nowhere else? Other services' lists of that setting may hold it if they
 * are the same: in another, what is right here may be wrong. */
static bool
is_used_here_only(const struct wiring_work *w, const char *name,
    const struct postfix_service *owner, const char *setting)
{
	const char *here = postfix_raw(w->pf, owner, setting);
	const struct postfix_pairs *all[] = { &w->pf->main_raw,
		&w->pf->overrides_raw };
	char found[WIRING_NAME_MAX];

	if (strncmp(name, "smtpd_", 6) == 0 ||
	    wiring_own(w, NULL, name) == NULL)
		return false;
	for (size_t p = 0; p < 2; p++)
		for (size_t i = 0; i < all[p]->n; i++) {
			const char *at = all[p]->v[i].value;
			const char *slash = strrchr(all[p]->v[i].name, '/');
			const char *user =
			    slash == NULL ? all[p]->v[i].name : slash + 1;

			for (at = strchr(at, '$'); at != NULL;
			     at = strchr(at + 1, '$'))
				if (wiring_reference(
					at, found, sizeof(found)) != 0 &&
				    strcmp(found, name) == 0 &&
				    (here == NULL ||
					strcmp(user, setting) != 0 ||
					strcmp(all[p]->v[i].value, here) != 0))
					return false;
			/* or an override of the name itself */
			if (slash != NULL && strcmp(user, name) == 0)
				return false;
		}
	return true;
}

const char *
wiring_separator(const struct postfix_service *owner, const char *raw)
{
	return owner == NULL || strpbrk(raw, " \t") != NULL ? ", " : ",";
}

/* Put it in front of item `at` of the value of a setting, which owner has
 * (NULL: main.cf). */
void
wiring_insert(const struct wiring_insertion *in,
    const struct postfix_service *owner, const char *setting, const char *raw,
    size_t at, int depth)
{
	const char *between = wiring_separator(owner, raw);
	char *new = NULL, *text = NULL, name[WIRING_NAME_MAX];
	struct wiring_items l;

	wiring_items_parse(&l, in->w, in->s, in->kind, raw);
	const struct wiring_item *item = at < l.n ? &l.v[at] : NULL;
	const struct wiring_part *part =
	    item == NULL ? NULL : &l.parts[item->top];

	if (item == NULL || item->first) {
		if (item != NULL &&
		    asprintf(&text, "%s%s", in->text, between) != -1)
			new = wiring_splice(raw, part->from, part->from, text);
		else if (item == NULL &&
		    asprintf(&text, "%s%s", *raw == '\0' ? "" : between,
			in->text) != -1)
			new =
			    wiring_splice(raw, strlen(raw), strlen(raw), text);
		if (new != NULL)
			wiring_set(in->w, owner, setting, new, in->why);
		in->w->no_memory |= new == NULL;
	} else if (wiring_reference(raw + part->from, name, sizeof(name)) ==
		part->to - part->from &&
	    depth < DEPTH_MAX) {
		size_t first = at;
		char *value = strdup(wiring_raw(in->w, in->s, name));

		assert(l.v[0].first);
		while (!l.v[first].first)
			first--;
		if (value == NULL)
			in->w->no_memory = true;
		else if (is_used_here_only(in->w, name, owner, setting))
			wiring_insert(
			    in, NULL, name, value, at - first, depth + 1);
		else
			new = wiring_splice(raw, part->from, part->to, value);
		if (new != NULL) {
			wiring_note(in->w, NOTE_EXPANDED, in->s, setting,
			    "$%s is also used elsewhere, so that popgate can't be asked in the middle of it: %s holds what it stood for.",
			    name, setting);
			wiring_insert(in, owner, setting, new, at, depth + 1);
		}
		free(value);
	}
	wiring_items_release(&l);
	free(new);
	free(text);
}

/* The value to begin with: as the file has it, or with everything expanded
 * where it has a form of $ that isn't understood. To be freed. */
char *
wiring_start_value(struct wiring_work *w, const struct postfix_service *s,
    const struct wiring_list_kind *kind)
{
	const char *raw = wiring_raw(w, s, kind->setting);
	struct wiring_items l;

	wiring_items_parse(&l, w, s, kind, raw);
	char *value = strdup(
	    l.not_understood ? postfix_value(w->pf, s, kind->setting) : raw);

	w->no_memory |= value == NULL || l.no_memory;
	wiring_items_release(&l);
	return value;
}
