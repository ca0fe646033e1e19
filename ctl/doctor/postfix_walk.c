/* SPDX-License-Identifier: ISC */
#include "ctl/doctor/postfix_walk.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/mta/postfix_table.h"
#include "ctl/ctl.h"

const char *const postfix_walk_lists[POSTFIX_WALK_LISTS] = {
	"smtpd_client_restrictions",
	"smtpd_helo_restrictions",
	"smtpd_sender_restrictions",
	"smtpd_relay_restrictions",
	"smtpd_recipient_restrictions",
	"smtpd_data_restrictions",
};

enum { DEPTH_MAX = 4, WORD_MAX = 1024 };

/* The list of a restriction class; NULL: there is none of that name. */
static const char *
find_class(const struct postfix_exam *x, const struct postfix_service *s,
    const char *name)
{
	const char *classes =
	    postfix_value(&x->pf, s, "smtpd_restriction_classes");
	char word[200];

	while (restrict_word(&classes, word, sizeof(word)))
		if (strcmp(word, name) == 0)
			return postfix_value(&x->pf, s, name);
	return NULL;
}

/* The table of "{ type:name, parameter = value }" or of a plain word. */
static void
table_name(const char *operand, char *buf, size_t size)
{
	assert(size > 1);
	buf[0] = '\0';
	if (*operand != '{') {
		(void)snprintf(buf, size, "%s", operand);
		return;
	}
	operand++;
	(void)restrict_word(&operand, buf, size);
	if (strchr(buf, '{') == NULL)
		buf[strcspn(buf, "}")] = '\0';
}

bool
postfix_is_permit(const struct postfix_exam *x, const struct postfix_service *s,
    bool is_map, const char *word)
{
	const struct config *cfg = x->d->ctl->cfg;
	struct postfix_endpoint e;
	char table[WORD_MAX];

	if (!is_map)
		return postfix_is_ours(x, s, word, cfg->permit.policy);
	table_name(word, table, sizeof(table));
	return postfix_endpoint_map(table, &e) &&
	    postfix_is_listener(x, s, &e, cfg->permit.socketmap);
}

/* --- every endpoint, wherever it stands --- */

struct endpoints {
	const struct postfix_exam *x;
	const struct postfix_service *s;
	void (*take)(void *arg, bool is_map, const char *word);
	void *arg;
	int depth;
};

static void
each_endpoint(struct endpoints *e, const char *list)
{
	char word[WORD_MAX], table[WORD_MAX];
	bool policy = false;

	assert(e->depth >= 0);
	if (e->depth == DEPTH_MAX)
		return;
	e->depth++;
	while (restrict_word(&list, word, sizeof(word))) {
		const char *class = find_class(e->x, e->s, word);

		table_name(word, table, sizeof(table));
		if (policy)
			e->take(e->arg, false, word);
		else if (strstr(table, "socketmap:") != NULL)
			e->take(e->arg, true, word);
		else if (class != NULL)
			each_endpoint(e, class);
		policy = strcasecmp(word, "check_policy_service") == 0;
	}
	e->depth--;
}

void
postfix_walk_endpoints(const struct postfix_exam *x,
    const struct postfix_service *s, const char *setting,
    void (*take)(void *arg, bool is_map, const char *word), void *arg)
{
	struct endpoints e = { .x = x, .s = s, .take = take, .arg = arg };

	each_endpoint(&e, postfix_value(&x->pf, s, setting));
}

static void
take_named(void *arg, bool is_map, const char *word)
{
	struct postfix_walk *w = arg;

	if (!postfix_is_permit(w->x, w->s, is_map, word))
		return;
	w->named = true;
	w->promises_data |= strstr(word, "asked-at-data") != NULL;
}

/* --- as smtpd goes through it --- */

static const char *
class_list(void *arg, const char *name)
{
	const struct postfix_walk *w = arg;

	return find_class(w->x, w->s, name);
}

static void
take_asked(struct postfix_walk *w, bool is_map, const char *operand)
{
	if (!postfix_is_permit(w->x, w->s, is_map, operand))
		return;
	w->asked = true;
	w->plainly |= strstr(operand, "asked-later") == NULL;
}

static enum restrict_end
look_table(struct postfix_walk *w, const char *operand)
{
	char table[WORD_MAX];

	take_asked(w, true, operand);
	table_name(operand, table, sizeof(table));
	if (strncmp(table, "static:", 7) != 0)
		return RESTRICT_THROUGH;
	switch (access_result_parse(table + 7)) {
	case RESULT_OK:
	case RESULT_DIGITS:
		return RESTRICT_PERMIT;
	case RESULT_REJECT:
		return RESTRICT_REJECT;
	default:
		return RESTRICT_THROUGH;
	}
}

static enum restrict_end
look(void *arg, enum restrict_effect effect, const char *name,
    const char *operand)
{
	struct postfix_walk *w = arg;

	(void)name;
	switch (effect) {
	case EFFECT_POLICY:
		take_asked(w, false, operand);
		return RESTRICT_THROUGH;
	case EFFECT_NETWORKS:
		return w->local ? RESTRICT_PERMIT : RESTRICT_THROUGH;
	case EFFECT_AUTH:
		w->auth = true;
		return RESTRICT_THROUGH;
	case EFFECT_CLIENT:
	case EFFECT_HELO:
	case EFFECT_SENDER:
	case EFFECT_RECIPIENT:
		return look_table(w, operand);
	case EFFECT_DNS_MAP: /* an OK of it permits nobody */
	default:
		return RESTRICT_THROUGH;
	}
}

void
postfix_walk(struct postfix_walk *w, const struct postfix_exam *x,
    const struct postfix_service *s, const char *setting, bool local)
{
	struct restrict_walk r = { .arg = w,
		.class_list = class_list,
		.look = look,
		.plain_table = EFFECT_CLIENT };

	*w = (struct postfix_walk){ .x = x, .s = s, .local = local };
	w->end = restrict_list(&r, postfix_value(&x->pf, s, setting));
	postfix_walk_endpoints(x, s, setting, take_named, w);
}
