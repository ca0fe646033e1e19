#!/bin/sh
# SPDX-License-Identifier: ISC
# Write the numbered steps of sql/ as C: one array a database.
# usage: embed-sql.sh SQLDIR > sql.c   (sql.h declares what this defines)
set -eu
dir=$1
echo '#include "common/db/sql.h"'
for db in logins audit outbox; do
	echo "const struct db_migration sql_$db[SQL_$(echo $db |
	    tr a-z A-Z)_STEPS] = {"
	for step in "$dir/$db"-[0-9][0-9][0-9].sql; do
		echo '	{ .sql ='
		sed -e 's/--.*$//' -e 's/[ 	]*$//' -e '/^$/d' \
		    -e 's/\\/\\\\/g' -e 's/"/\\"/g' \
		    -e 's/^/	    "/' -e 's/$/\\n"/' "$step"
		echo '	},'
	done
	echo '};'
done
