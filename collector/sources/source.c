/* SPDX-License-Identifier: ISC */
#include "collector/sources/source.h"

#include <assert.h>
#include <stdlib.h>

#include "common/base/err.h"

struct source {
	const struct source_ops *ops;
	void *impl;
};

int
source_open(const struct config_source *cfg,
    const struct source_options *options, struct source **s_r, struct err *err)
{
	static const struct source_ops *const ops[] = { [SOURCE_FILE] =
							    &source_file_ops,
		[SOURCE_JOURNAL] = &source_journal_ops,
		[SOURCE_STDIN] = &source_stdin_ops,
		[SOURCE_SOCKET] = &source_socket_ops,
		[SOURCE_LOGIN] = &source_login_ops };
	struct source *s = malloc(sizeof(*s));

	assert(cfg->kind < sizeof(ops) / sizeof(ops[0]));
	*s_r = NULL;
	if (s == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return -1;
	}
	s->ops = ops[cfg->kind];
	if (s->ops->open(cfg, options, &s->impl, err) == -1) {
		free(s);
		return -1;
	}
	*s_r = s;
	return 0;
}

void
source_close(struct source **s)
{
	if (*s == NULL)
		return;
	(*s)->ops->close((*s)->impl);
	free(*s);
	*s = NULL;
}

int
source_fd(const struct source *s)
{
	return s->ops->fd(s->impl);
}

int
source_poll_ms(const struct source *s)
{
	return s->ops->poll_ms;
}

int
source_read(
    struct source *s, size_t budget, line_fn *fn, void *arg, struct err *err)
{
	assert(budget > 0 && fn != NULL);
	return s->ops->read(s->impl, budget, fn, arg, err);
}

void
source_answer(struct source *s, const char *reason)
{
	if (s->ops->answer != NULL)
		s->ops->answer(s->impl, reason);
}

void
source_mark(struct source *s, struct mark *mark)
{
	*mark = (struct mark){ 0 };
	if (s->ops->mark != NULL)
		s->ops->mark(s->impl, mark);
}

void
source_place(struct source *s, struct mark *mark)
{
	if (s->ops->place != NULL)
		s->ops->place(s->impl, mark);
	else
		source_mark(s, mark);
}
