/* SPDX-License-Identifier: ISC */
#include "milter/gate_config.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/err.h"

static struct {
	pthread_mutex_t mtx;
	/* guarded by mtx, as is every refs */
	struct gate_config *newest;
} in_force = { .mtx = PTHREAD_MUTEX_INITIALIZER };

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
	(void)pthread_mutex_lock(&in_force.mtx);
	gc->cfg_of = in_force.newest->cfg_of != NULL ? in_force.newest->cfg_of
						     : in_force.newest;
	gc->cfg_of->refs++;
	(void)pthread_mutex_unlock(&in_force.mtx);
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
	(void)pthread_mutex_lock(&in_force.mtx);
	struct gate_config *gc = in_force.newest;

	gc->refs++;
	(void)pthread_mutex_unlock(&in_force.mtx);
	return gc;
}

void
gate_config_give(struct gate_config *gc)
{
	(void)pthread_mutex_lock(&in_force.mtx);
	assert(gc->refs > 0);
	bool last = --gc->refs == 0;

	(void)pthread_mutex_unlock(&in_force.mtx);
	if (last)
		gate_config_free(gc);
}

void
gate_config_swap(struct gate_config *gc)
{
	(void)pthread_mutex_lock(&in_force.mtx);
	struct gate_config *old = in_force.newest;

	in_force.newest = gc;
	(void)pthread_mutex_unlock(&in_force.mtx);
	if (old != NULL)
		gate_config_give(old);
}
