/* flat - named values of one line: a JSON object without depth, or CSV under
 * its heads. Pure. The strings point into the line, which is changed. */
#ifndef POPGATE_FLAT_H
#define POPGATE_FLAT_H

#include <stdbool.h>

enum { FLAT_MAX = 32 };

struct flat {
	char *name[FLAT_MAX], *value[FLAT_MAX];
	int n;
};

/* The value of name; NULL when it is absent or null. */
const char *flat_get(const struct flat *f, const char *name);

/* Return false when the line isn't one. */
bool flat_json(char *line, struct flat *f);
bool flat_csv_heads(const char *line, struct flat *heads); /* copies */
bool flat_csv(char *line, const struct flat *heads, struct flat *f);
void flat_release(struct flat *heads);

#endif
