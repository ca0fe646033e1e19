/* SPDX-License-Identifier: ISC */
/* programs - the table of programs whose lines are read: by which grammars, and
 * by which rules of the admin's own. Constant once it is filled; pure. */
#ifndef POPGATE_PROGRAMS_H
#define POPGATE_PROGRAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/grammar/custom.h"
#include "common/grammar/grammar.h"

enum {
	PROGRAM_GRAMMARS = 4, /* servers that share one tag, at most */
	PROGRAM_NAME_MAX = 64, /* with NUL */
	PROGRAM_SLOTS = 512, /* a power of two */
	PROGRAM_HEADS = 4096, /* bits; a power of two */
	/* keeps so many slots free that a search is short */
	PROGRAM_CUSTOM_MAX = PROGRAM_SLOTS / 4,
	PROGRAM_TAG_MAX = PROGRAM_SLOTS / 4
};

struct program {
	char name[PROGRAM_NAME_MAX];
	size_t len; /* 0: a free slot */
	uint8_t grammar[PROGRAM_GRAMMARS]; /* indices into grammars[] */
	uint8_t grammar_n;
	/* The name by which its grammar knows it, where the admin named another
	 * tag; constant; NULL: its own. */
	const char *as;
	bool custom; /* a rule of the admin's is for it */
	bool custom_by_exe; /* and one of these rules names no unit */
};

struct programs {
	/* Most lines are of other programs, and are known by one of these:
	 * head has the hash of each name's first four bytes; bit l of first[c]
	 * stands for a name of l bytes that begins with c. */
	uint64_t head[PROGRAM_HEADS / 64];
	bool head_unusable; /* a name is shorter than four bytes */
	uint64_t first[256];
	struct program program[PROGRAM_SLOTS]; /* open addressing */
	struct custom *custom[PROGRAM_CUSTOM_MAX]; /* owned */
	bool custom_stream[PROGRAM_CUSTOM_MAX]; /* see struct parser_custom */
	size_t custom_n;
};

/* Make an empty table of a zeroed one. */
void programs_init(struct programs *t);
void programs_release(struct programs *t);

/* Add the programs of grammars[number], once. */
void programs_add_grammar(struct programs *t, size_t number);

/* Add another tag of grammars[number], whose programs are in the table: its
 * lines are read as those of the longest of their names that the tag ends with
 * ("sloti30t15/imap" as "imap"), or else of the first. name is below
 * PROGRAM_NAME_MAX. Returns false when the tag is in the table already. */
bool programs_add_tag(struct programs *t, size_t number, const char *name);

/* The program of grammars[number] that a tag of the admin's stands for, as
 * programs_add_tag() says: the tag's last word, by the slashes that servers put
 * in their tags. A constant. */
const char *program_of_tag(size_t number, struct span tag);

/* Add a rule and its program, while custom_n is below PROGRAM_CUSTOM_MAX.
 *   custom  taken over; its program's name is below PROGRAM_NAME_MAX
 *   stream  lines of the program's output count */
void
programs_add_custom(struct programs *t, struct custom *custom, bool stream);

/* Is this plainly a line of a program that isn't in the table? Costs little;
 * false proves nothing. */
bool programs_foreign(const struct programs *t, const char *line, size_t len);

/* The program of this name, or NULL. */
const struct program *programs_find(const struct programs *t, struct span name);

#endif
