#include "common/mta/table.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/run.h"

static const char *
without_proxy(const char *table)
{
	return strncmp(table, "proxy:", 6) == 0 ? table + 6 : table;
}

bool
table_listable(const char *table)
{
	static const char *const types[] = {
		"hash:", "btree:", "lmdb:", "cdb:", "dbm:", "sdbm:", "texthash:"
	};
	const char *name = without_proxy(table);

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (strncmp(name, types[i], strlen(types[i])) == 0)
			return true;
	return false;
}

char *
table_list(const char *dir, const char *table, struct string_list *files,
    struct err *err)
{
	const char *name = without_proxy(table), *path = strchr(name, ':') + 1;
	char *argv[] = { (char[]){ "postmap" }, (char[]){ "-c" },
		(char *)(uintptr_t)dir, (char[]){ "-s" },
		(char *)(uintptr_t)name, NULL };
	char *text = run_read(argv, NULL, RUN_TIMEOUT_S, err);

	if (text == NULL || string_list_add(files, path, strlen(path)))
		return text;
	err_set(err, ERR_NOMEM, "out of memory");
	free(text);
	return NULL;
}
