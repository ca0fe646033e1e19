/* SPDX-License-Identifier: ISC */
#include "tests/unit/unit.h"

#include "common/grammar/streams.h"

static void
remembered(void **state)
{
	static const char id[] = "0123456789abcdef0123456789abcdef";
	size_t len = sizeof(id) - 1;
	static struct streams s;
	struct stream *place = streams_at(&s, id, len);

	(void)state;
	assert_false(stream_is(place, id, len));
	stream_set(place, id, len, true);
	assert_ptr_equal(streams_at(&s, id, len), place);
	assert_true(stream_is(place, id, len));
	assert_true(place->cut);
	/* neither a part of it, nor another */
	assert_false(stream_is(place, id, len - 1));
	assert_false(stream_is(place, "1", 1));
	/* its place is another's from then on */
	stream_set(place, "1", 1, false);
	assert_false(stream_is(place, id, len));
}

static void
ids(void **state)
{
	(void)state;
	assert_false(stream_id_good(0));
	assert_true(stream_id_good(1));
	assert_true(stream_id_good(STREAM_ID_SIZE - 1));
	assert_false(stream_id_good(STREAM_ID_SIZE));
	/* an empty place is nobody's */
	const struct stream none = { .cut = false };

	assert_false(stream_is(&none, "", 0));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(remembered),
		cmocka_unit_test(ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
