/* SPDX-License-Identifier: ISC */
/* config_text - values of a configuration as popgate.conf writes them. */
#ifndef POPGATE_CONFIG_TEXT_H
#define POPGATE_CONFIG_TEXT_H

#include <stdio.h>

#include "common/config/config.h"

/* "text", as libconfig reads it; bytes that could harm a terminal escaped. */
void config_text_string(FILE *to, const char *text);

/* The value in "key = value": a number, a string, [ ... ], ( { ... } ) or {
 * name = [ ... ]; }. */
void config_text_value(FILE *to, const struct config_value *value);

#endif
