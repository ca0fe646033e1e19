/* SPDX-License-Identifier: ISC */
#include "common/grammar/guess.h"

#include <string.h>

#include "common/base/addr.h"
#include "common/grammar/grammar.h"
#include "common/grammar/programs.h"

const char *
guess_server(struct span tag, struct span msg)
{
	while (msg.p < msg.end && (msg.end[-1] == ' ' || msg.end[-1] == '\t'))
		msg.end--;
	for (size_t g = 0; g < GRAMMAR_N; g++) {
		struct grammar_match m = { .pair = PAIR_FORGET };
		const char *as = program_of_tag(g, tag);
		struct addr addr;

		if (!grammars[g]->two_lines &&
		    grammars[g]->match(msg, span_of(as, strlen(as)), &m) ==
			FATE_LOGIN &&
		    !span_empty(m.user) &&
		    addr_parse_n(m.addr.p, span_len(m.addr), &addr))
			return grammars[g]->name;
	}
	return NULL;
}

bool
guess_words(struct span line)
{
	static const char *const words[] = {
		"-login: Login: user=",
		"-login: Logged in: user=",
		"-login: Info: Login: user=",
		"-login: Info: Logged in: user=",
		" LOGIN, user=",
		" User logged in",
		"event=login.good ",
		" Login user=",
		" login success ",
		" authenticated, mechanism=",
		" client logged in, client: ",
		"(auth.success)",
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (memmem(line.p, span_len(line), words[i],
			strlen(words[i])) != NULL)
			return true;
	return false;
}
