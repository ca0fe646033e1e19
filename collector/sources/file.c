/* SPDX-License-Identifier: ISC */
/* A log file: see follow.h. */
#include "collector/sources/source.h"
#include "common/logs/follow.h"

static int
file_open(const struct config_source *cfg, const struct source_options *options,
    void **impl_r, struct err *err)
{
	const struct follow_options follow = { .path = cfg->where,
		.rotated = cfg->rotated,
		.mark = options->mark,
		.since = options->since,
		.note = options->note,
		.note_arg = options->note_arg };
	struct follow *f;

	if (follow_open(&follow, &f, err) == -1)
		return -1;
	*impl_r = f;
	return 0;
}

static void
file_close(void *impl)
{
	struct follow *f = impl;

	follow_close(&f);
}

static int
file_fd(const void *impl)
{
	return follow_fd(impl);
}

static int
file_read(void *impl, size_t budget, line_fn *fn, void *arg, struct err *err)
{
	int state = follow_read(impl, budget, fn, arg, err);

	switch (state) {
	case FOLLOW_END:
		return SOURCE_END;
	case FOLLOW_MORE:
		return SOURCE_MORE;
	case FOLLOW_MISSING:
		return SOURCE_MISSING;
	default:
		return -1;
	}
}

static void
file_mark(void *impl, struct mark *mark)
{
	follow_mark(impl, mark);
}

static void
file_place(void *impl, struct mark *mark)
{
	follow_place(impl, mark);
}

const struct source_ops source_file_ops = { .open = file_open,
	.close = file_close,
	.fd = file_fd,
	.read = file_read,
	.mark = file_mark,
	.place = file_place };
