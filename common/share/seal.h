/* SPDX-License-Identifier: ISC */
/* seal - whether an entry of the stream comes from a machine of ours: a keyed
 * hash (BLAKE2b, libsodium's crypto_generichash) over the stream's name and the
 * entry's bytes, under a key that all machines have in a file. Who can write to
 * Redis but lacks the key can make no entry, nor change one, nor move one to
 * another site's stream.
 *
 * Built without libsodium and hiredis, nothing is sealed and nothing opens. */
#ifndef POPGATE_SHARE_SEAL_H
#define POPGATE_SHARE_SEAL_H

#include <stddef.h>
#include <stdint.h>

#include "common/share/entry.h"

struct err;

enum {
	SHARE_KEY_BYTES = 32,
	SHARE_KEY_TEXT_MAX = 2 * SHARE_KEY_BYTES + 2, /* hex, newline, NUL */
	SHARE_TAG_BYTES = 32,
	SHARE_SEALED_MAX = SHARE_BODY_MAX + SHARE_TAG_BYTES
};

/* key[0] seals; each opens. */
struct share_keys {
	uint8_t key[2][SHARE_KEY_BYTES];
	unsigned n;
};

/* Add the key of the file at path: 64 hexadecimal digits. The file may be read
 * and written by its owner and read by its group: not by others. Returns 0, or
 * -1 with err (ERR_INVALID: not a key, or open to others). */
int share_key_read(const char *path, struct share_keys *keys, struct err *err);

/* A new random key, as a file has it. 0, or -1 with err. */
int share_key_make(char text[SHARE_KEY_TEXT_MAX], struct err *err);

/* A new random name of a login table. 0, or -1 with err. */
int share_origin_make(char origin[SHARE_ORIGIN_MAX], struct err *err);

/* Encode and seal a good entry. Returns how many bytes. */
size_t share_seal(const struct share_keys *keys, const char *stream,
    const struct share_entry *entry, uint8_t sealed[SHARE_SEALED_MAX]);

/* Check and decode. Nothing of what isn't sealed is looked at. */
enum share_refusal share_open(const struct share_keys *keys, const char *stream,
    const uint8_t *sealed, size_t len, struct share_entry *entry);

#endif
