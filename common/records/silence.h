/* SPDX-License-Identifier: ISC */
/* silence - when a server that logs has fallen silent: what the collector
 * alarms by and popgatectl status shows. */
#ifndef POPGATE_SILENCE_H
#define POPGATE_SILENCE_H

/* No login for so long (s), and meanwhile so many lines, or so many of a
 * shape that no grammar knows. */
enum { SILENT_S = 2 * 3600, SILENT_LINES = 1000, SILENT_UNKNOWN = 10 };

#endif
