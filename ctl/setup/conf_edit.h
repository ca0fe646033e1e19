/* SPDX-License-Identifier: ISC */
/* conf_edit - one setting of popgate.conf changed in its text, which keeps
 * everything else that the admin wrote: comments, order, layout. Pure. */
#ifndef POPGATE_CONF_EDIT_H
#define POPGATE_CONF_EDIT_H

struct err;

/* Set a key.
 *   text   in libconfig's form; an @include is left as it is, so that a key
 *          which is set there, too, is an error of config_load() afterwards
 *   key    "section.name"
 *   value  as it is to stand in the file: "\"monitor\"", "[ \"a\" ]"
 * Returns the new text, to be freed by the caller; or NULL with err:
 * ERR_INVALID when text can't be read. */
char *conf_edit_set(
    const char *text, const char *key, const char *value, struct err *err);

#endif
