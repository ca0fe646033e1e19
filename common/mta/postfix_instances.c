/* SPDX-License-Identifier: ISC */
/* postfix_instances - the configuration directories of all Postfix instances
 * of a machine. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/run.h"
#include "common/mta/postfix_wiring.h"
#include "common/mta/restrict.h"

enum { DIR_LEN = 1024 };

char *
postfix_usual_directory(struct err *err)
{
	const char *told = getenv("MAIL_CONFIG");
	char *argv[] = {
		(char[]){ "postconf" },
		(char[]){ "-dh" },
		(char[]){ "config_directory" },
		NULL,
	};
	char *text = told != NULL ? strdup(told)
				  : run_read(argv, NULL, RUN_TIMEOUT_S, err);

	if (text != NULL)
		text[strcspn(text, "\r\n")] = '\0';
	else if (told != NULL)
		err_set(err, ERR_NOMEM, "out of memory");
	return text;
}

int
postfix_instances(const char *dir, struct string_list *dirs, struct err *err)
{
	char *first = dir == NULL ? postfix_usual_directory(err) : strdup(dir);
	char *others = NULL, word[DIR_LEN];
	int rc = -1;

	*dirs = (struct string_list){ 0 };
	if (first == NULL) {
		if (dir != NULL)
			err_set(err, ERR_NOMEM, "out of memory");
		return -1;
	}
	others = postfix_setting(first, "multi_instance_directories", err);
	if (others == NULL)
		goto out;
	bool ok = string_list_add(dirs, first, strlen(first));

	for (const char *at = others;
	     ok && restrict_word(&at, word, sizeof(word));)
		ok = strcmp(word, first) == 0 ||
		    string_list_add(dirs, word, strlen(word));
	rc = ok ? 0 : -1;
	if (!ok)
		err_set(err, ERR_NOMEM, "out of memory");
out:
	if (rc == -1)
		string_list_release(dirs);
	free(others);
	free(first);
	return rc;
}
