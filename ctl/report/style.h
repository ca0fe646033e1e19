/* SPDX-License-Identifier: ISC */
/* style - the looks of the page: light and dark, narrow and wide, and on paper.
 * Each colour of letters has a contrast of 4.5 to its ground, and each of
 * shapes 3 (WCAG 2.2, 1.4.3 and 1.4.11). */
#ifndef POPGATE_REPORT_STYLE_H
#define POPGATE_REPORT_STYLE_H

extern const char *const report_style[]; /* pieces; ends with NULL */

#endif
