/* SPDX-License-Identifier: ISC */
#include "common/grammar/programs.h"

#include <assert.h>
#include <string.h>

#include "common/grammar/prefix.h"

enum { HEAD_SIZE = 4 /* bytes of a name */ };

#define ADDRESS(server) &grammar_##server,
const struct grammar *const grammars[GRAMMAR_N] = { GRAMMARS(ADDRESS) };

static size_t
slot_of(const char *name, size_t len)
{
	uint32_t h = (uint32_t)len * 0x9E3779B1u;

	h ^= (uint32_t)(unsigned char)name[0] << 3;
	h ^= (uint32_t)(unsigned char)name[len / 2] << 9;
	h ^= (uint32_t)(unsigned char)name[len - 1] << 15;
	h *= 0x85EBCA6Bu;
	return (h >> 16) & (PROGRAM_SLOTS - 1);
}

static unsigned
head_bit(const char *name)
{
	uint32_t word;

	memcpy(&word, name, HEAD_SIZE);
	return (word * 0x9E3779B1u) >> 20 & (PROGRAM_HEADS - 1);
}

static void
head_add(struct programs *t, const char *name)
{
	unsigned bit;

	if (strlen(name) < HEAD_SIZE) {
		t->head_unusable = true;
		return;
	}
	bit = head_bit(name);
	assert(bit < PROGRAM_HEADS);
	t->head[bit / 64] |= UINT64_C(1) << (bit % 64);
}

void
programs_init(struct programs *t)
{
	for (const char *const *f = prefix_facilities; *f != NULL; f++)
		head_add(t, *f);
}

void
programs_release(struct programs *t)
{
	for (size_t i = 0; i < t->custom_n; i++)
		custom_free(&t->custom[i]);
	t->custom_n = 0;
}

bool
programs_foreign(const struct programs *t, const char *line, size_t len)
{
	const char *tag = prefix_peek_tag(line, len);
	unsigned bit;

	if (tag == NULL || t->head_unusable)
		return false;
	bit = head_bit(tag);
	return !(t->head[bit / 64] >> (bit % 64) & 1);
}

const struct program *
programs_find(const struct programs *t, struct span name)
{
	size_t len = span_len(name);

	if (len == 0 || len >= PROGRAM_NAME_MAX ||
	    !(t->first[(unsigned char)*name.p] >> len & 1))
		return NULL;
	for (size_t i = slot_of(name.p, len);;
	     i = (i + 1) & (PROGRAM_SLOTS - 1)) {
		const struct program *p = &t->program[i];

		if (p->len == 0)
			return NULL;
		if (p->len == len && memcmp(p->name, name.p, len) == 0)
			return p;
	}
}

static struct program *
programs_add(struct programs *t, const char *name)
{
	size_t len = strlen(name);
	size_t i;

	static_assert(PROGRAM_NAME_MAX <= 64, "lengths are bits of first[]");

	assert(len > 0 && len < PROGRAM_NAME_MAX);
	for (i = slot_of(name, len); t->program[i].len != 0;
	     i = (i + 1) & (PROGRAM_SLOTS - 1)) {
		if (t->program[i].len == len &&
		    memcmp(t->program[i].name, name, len) == 0)
			return &t->program[i];
	}
	head_add(t, name);
	t->first[(unsigned char)name[0]] |= UINT64_C(1) << len;
	memcpy(t->program[i].name, name, len);
	t->program[i].len = len;
	return &t->program[i];
}

void
programs_add_grammar(struct programs *t, size_t number)
{
	assert(number < GRAMMAR_N);
	assert(!grammars[number]->stream || !grammars[number]->two_lines);
	for (const char *const *name = grammars[number]->programs;
	     *name != NULL; name++) {
		struct program *p = programs_add(t, *name);

		assert(p->grammar_n < PROGRAM_GRAMMARS);
		p->grammar[p->grammar_n++] = (uint8_t)number;
	}
}

const char *
program_of_tag(size_t number, struct span tag)
{
	assert(number < GRAMMAR_N);
	const char *const *name = grammars[number]->programs;
	const char *best = *name;
	size_t len = span_len(tag), best_len = 0;

	for (; *name != NULL; name++) {
		size_t n = strlen(*name);

		if (n > best_len && n <= len &&
		    memcmp(tag.end - n, *name, n) == 0) {
			best = *name;
			best_len = n;
		}
	}
	return best;
}

bool
programs_add_tag(struct programs *t, size_t number, const char *name)
{
	assert(number < GRAMMAR_N);
	if (programs_find(t, span_of(name, strlen(name))) != NULL)
		return false;
	struct program *p = programs_add(t, name);

	p->as = program_of_tag(number, span_of(name, strlen(name)));
	p->grammar[p->grammar_n++] = (uint8_t)number;
	return true;
}

void
programs_add_custom(struct programs *t, struct custom *custom, bool stream)
{
	struct program *p;

	assert(t->custom_n < PROGRAM_CUSTOM_MAX);
	p = programs_add(t, custom_program(custom));
	t->custom[t->custom_n] = custom;
	t->custom_stream[t->custom_n++] = stream;
	p->custom = true;
	p->custom_by_exe |= custom_unit(custom) == NULL;
}
