/* SPDX-License-Identifier: ISC */
#include "milter/gate_config.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/guarded.h"

/* Guards every refs, too. */
static struct mutex mtx = MUTEX_INITIALIZER;
static struct gate_config *newest GUARDED_BY(mtx);

/* NULL with err when memory is short. */
static struct gate_config *
new_config(struct err *err)
{
	struct gate_config *gc = calloc(1, sizeof(*gc));

	if (gc == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	gc->refs = 1;
	gc->read_ms = clock_now_ms();
	return gc;
}

int
gate_config_load(const char *path, struct gate_config **gc_r, struct err *err)
{
	struct gate_config *gc = new_config(err);

	*gc_r = NULL;
	if (gc == NULL)
		return -1;
	if (config_load(path, &gc->cfg, err) == -1 ||
	    facts_lists_load(gc->cfg, &gc->lists, err) == -1) {
		gate_config_free(gc);
		return -1;
	}
	*gc_r = gc;
	return 0;
}

void
gate_config_free(struct gate_config *gc)
{
	if (gc == NULL)
		return;
	facts_lists_release(&gc->lists);
	if (gc->cfg_of != NULL)
		gate_config_give(gc->cfg_of);
	else
		config_free(gc->cfg);
	free(gc);
}

int
gate_config_renew(struct gate_config **gc_r, struct err *err)
{
	struct gate_config *gc = new_config(err);

	*gc_r = NULL;
	if (gc == NULL)
		return -1;
	mutex_lock(&mtx);
	gc->cfg_of = newest->cfg_of != NULL ? newest->cfg_of : newest;
	gc->cfg_of->refs++;
	mutex_unlock(&mtx);
	gc->cfg = gc->cfg_of->cfg;
	if (facts_lists_load(gc->cfg, &gc->lists, err) == 0) {
		*gc_r = gc;
		return 0;
	}
	gate_config_free(gc);
	return -1;
}

struct gate_config *
gate_config_take(void)
{
	mutex_lock(&mtx);
	struct gate_config *gc = newest;

	gc->refs++;
	mutex_unlock(&mtx);
	return gc;
}

void
gate_config_give(struct gate_config *gc)
{
	mutex_lock(&mtx);
	assert(gc->refs > 0);
	bool last = --gc->refs == 0;

	mutex_unlock(&mtx);
	if (last)
		gate_config_free(gc);
}

void
gate_config_swap(struct gate_config *gc)
{
	mutex_lock(&mtx);
	struct gate_config *old = newest;

	newest = gc;
	mutex_unlock(&mtx);
	if (old != NULL)
		gate_config_give(old);
}
