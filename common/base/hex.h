/* SPDX-License-Identifier: ISC */
/* hex - what a hexadecimal digit stands for. Any thread. */
#ifndef POPGATE_HEX_H
#define POPGATE_HEX_H

/* 0 to 15, of either case; -1: it is none. */
static inline int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

#endif
