/* SPDX-License-Identifier: ISC */
/* postfix_wiring_milter - popgate's milter among the others of smtpd_milters,
 * and what it has to be told. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mta/postfix_wiring_work.h"
#include "common/mta/restrict.h"

enum { NAME_LEN = 600 };

enum wiring_milter
wiring_milter_state(const struct wiring_work *w,
    const struct postfix_service *s, const char *list)
{
	enum wiring_milter state = WIRING_MILTER_NONE;
	char word[NAME_LEN];

	while (restrict_word(&list, word, sizeof(word))) {
		if (postfix_names_socket(w->pf, s, word, w->sockets->milter))
			return WIRING_MILTER_OURS;
		if (wiring_is_milter(w, word))
			state = WIRING_MILTER_OTHER;
	}
	return state;
}

/* Take popgate's milters out of list, but $popgate_milter when keep is set.
 * NULL: no memory. */
static char *
without_ours(const struct wiring_work *w, const char *list, bool keep)
{
	char *out = strdup(list), word[NAME_LEN], name[NAME_LEN];
	size_t at = 0;

	while (out != NULL) {
		size_t from = at + strspn(out + at, WIRING_SEPARATORS);
		size_t len = wiring_word(out + from);

		if (len == 0)
			break;
		(void)snprintf(
		    word, sizeof(word), "%.*s", (int)len, out + from);
		bool ref = wiring_reference(word, name, sizeof(name)) == len;
		bool current = ref && strcmp(name, "popgate_milter") == 0;
		bool ours = current || (!ref && wiring_is_milter(w, word));

		if (!ours || (current && keep)) {
			at = from + len;
			continue;
		}
		/* with the separators behind it, or of the last one those in
		 * front */
		size_t to = from + len;

		to += strspn(out + to, WIRING_SEPARATORS);
		if (out[to] == '\0')
			from = at;
		char *new = wiring_splice(out, from, to, "");

		free(out);
		out = new;
	}
	return out;
}

static bool
names_current(const char *list)
{
	char name[NAME_LEN];

	for (const char *at = strchr(list, '$'); at != NULL;
	     at = strchr(at + 1, '$'))
		if (wiring_reference(at, name, sizeof(name)) != 0 &&
		    strcmp(name, "popgate_milter") == 0)
			return true;
	return false;
}

/* Other settings that take their value from smtpd_milters get the value itself:
 * popgate isn't meant for them. */
static void
cut_loose(struct wiring_work *w, const char *old)
{
	const char *value = wiring_own(w, NULL, "non_smtpd_milters");
	char name[NAME_LEN];

	for (const char *at = value == NULL ? NULL : strchr(value, '$');
	     at != NULL; at = strchr(at + 1, '$')) {
		size_t len = wiring_reference(at, name, sizeof(name));
		size_t from = (size_t)(at - value);

		if (len == 0 || strcmp(name, "smtpd_milters") != 0)
			continue;
		char *new = wiring_splice(value, from, from + len, old);

		if (new == NULL)
			w->no_memory = true;
		else
			wiring_set(w, NULL, "non_smtpd_milters", new,
			    "popgate isn't meant for mail that programs submit: it keeps the milters that smtpd_milters had.");
		free(new);
		return;
	}
}

/* Macros that the milter needs at MAIL to know an AUTH user; Postfix's own
 * default has them, but settings that are made for other milters may not. */
static const char *const mail_macros[] = { "{auth_type}", "{auth_authen}" };

enum { MACROS = sizeof(mail_macros) / sizeof(*mail_macros) };

static void
plan_macros(struct wiring_work *w, const struct postfix_service *s)
{
	static const char name[] = "milter_mail_macros";
	const struct postfix_service *owner =
	    wiring_own(w, s, name) != NULL ? s : NULL;
	char *value = strdup(wiring_raw(w, s, name)), *new;

	for (int i = 0; i < MACROS && value != NULL; i++) {
		if (*value == '\0' || strstr(value, mail_macros[i]) != NULL)
			continue;
		if (asprintf(&new, "%s %s", value, mail_macros[i]) == -1)
			new = NULL;
		free(value);
		value = new;
	}
	if (value == NULL)
		w->no_memory = true;
	else if (*value != '\0' && strcmp(value, wiring_raw(w, s, name)) != 0)
		wiring_set(w, owner, name, value,
		    "popgate's milter has to be told of SMTP AUTH.");
	free(value);
}

bool
wiring_macros_missing(
    const struct wiring_work *w, const struct postfix_service *s)
{
	const char *value = wiring_raw(w, s, "milter_mail_macros");

	for (int i = 0; i < MACROS; i++)
		if (*value != '\0' && strstr(value, mail_macros[i]) == NULL)
			return true;
	return false;
}

void
wiring_milter_plan(struct wiring_work *w, const struct postfix_service *s)
{
	const struct postfix_service *own =
	    wiring_own(w, s, "smtpd_milters") != NULL ? s : NULL;
	const char *raw = wiring_raw(w, s, "smtpd_milters");
	char *old = without_ours(w, raw, false);
	char *kept = without_ours(w, raw, true);
	char *new = NULL;

	wiring_define(w, "popgate_milter");
	plan_macros(w, s);
	if (old == NULL || kept == NULL) {
		w->no_memory = true;
	} else if (!names_current(kept)) {
		const char *between = *kept == '\0'               ? ""
		    : strpbrk(kept, " \t") != NULL || own == NULL ? ", "
								  : ",";

		if (asprintf(&new, "%s%s$popgate_milter", kept, between) == -1)
			new = NULL;
		if (new != NULL && own == NULL)
			cut_loose(w, old);
		if (new != NULL)
			wiring_set(w, own, "smtpd_milters", new,
			    *old == '\0'
				? "popgate's milter sees every recipient that Postfix lets through."
				: "popgate's milter comes behind the milters that are there.");
		w->no_memory |= new == NULL;
	} else if (strcmp(kept, raw) != 0) {
		wiring_set(w, own, "smtpd_milters", kept,
		    "popgate's milter stands in it once.");
	}
	free(new);
	free(kept);
	free(old);
}

void
wiring_milter_pin(struct wiring_work *w, const struct postfix_service *s)
{
	char *raw = strdup(wiring_raw(w, s, "smtpd_milters"));
	char *old = raw == NULL ? NULL : without_ours(w, raw, false);

	if (old == NULL)
		w->no_memory = true;
	else if (strcmp(raw, old) != 0)
		wiring_set(w, s, "smtpd_milters", old,
		    "What comes back from a content filter was judged when it came in: popgate would see the filter's address.");
	free(old);
	free(raw);
}
