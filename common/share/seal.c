/* SPDX-License-Identifier: ISC */
#include "common/share/seal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/err.h"

#ifdef POPGATE_SHARE
#include <sodium.h>

static int
ready(struct err *err)
{
	if (sodium_init() != -1)
		return 0;
	err_set(err, ERR_IO, "libsodium can't be used here");
	return -1;
}

/* The text of a key file into text, of SHARE_KEY_TEXT_MAX. */
static int
read_file(const char *path, char *text, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	ssize_t n = -1;

	if (fd == -1 || fstat(fd, &st) == -1) {
		err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
	} else if (!S_ISREG(st.st_mode) || (st.st_mode & 0037) != 0) {
		err_set(err, ERR_INVALID,
		    "%s: others than its owner may write it, or others than its group read it: chmod 0640 or 0600",
		    path);
	} else {
		n = read(fd, text, SHARE_KEY_TEXT_MAX);
		if (n == -1)
			err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
	}
	if (fd != -1)
		(void)close(fd);
	return (int)n;
}

int
share_key_read(const char *path, struct share_keys *keys, struct err *err)
{
	char text[SHARE_KEY_TEXT_MAX];
	int n = ready(err) == -1 ? -1 : read_file(path, text, err);
	size_t made = 0;

	assert(keys->n < sizeof(keys->key) / sizeof(keys->key[0]));
	if (n == -1)
		return -1;
	if (n > 0 && text[n - 1] == '\n')
		n--;
	if (n != 2 * SHARE_KEY_BYTES ||
	    sodium_hex2bin(keys->key[keys->n], SHARE_KEY_BYTES, text,
		2 * SHARE_KEY_BYTES, NULL, &made, NULL) != 0 ||
	    made != SHARE_KEY_BYTES) {
		err_set(err, ERR_INVALID,
		    "%s: expected a key, 64 hexadecimal digits, as popgatectl share init makes it",
		    path);
		sodium_memzero(text, sizeof(text));
		return -1;
	}
	sodium_memzero(text, sizeof(text));
	keys->n++;
	return 0;
}

int
share_key_make(char text[SHARE_KEY_TEXT_MAX], struct err *err)
{
	uint8_t key[SHARE_KEY_BYTES];

	if (ready(err) == -1)
		return -1;
	randombytes_buf(key, sizeof(key));
	(void)sodium_bin2hex(text, SHARE_KEY_TEXT_MAX, key, sizeof(key));
	memcpy(text + 2 * SHARE_KEY_BYTES, "\n", 2);
	sodium_memzero(key, sizeof(key));
	return 0;
}

int
share_origin_make(char origin[SHARE_ORIGIN_MAX], struct err *err)
{
	uint8_t bytes[(SHARE_ORIGIN_MAX - 1) / 2];

	if (ready(err) == -1)
		return -1;
	randombytes_buf(bytes, sizeof(bytes));
	(void)sodium_bin2hex(origin, SHARE_ORIGIN_MAX, bytes, sizeof(bytes));
	return 0;
}

static void
tag_of(const uint8_t *key, const char *stream, const uint8_t *body, size_t len,
    uint8_t tag[SHARE_TAG_BYTES])
{
	crypto_generichash_state state;

	(void)crypto_generichash_init(
	    &state, key, SHARE_KEY_BYTES, SHARE_TAG_BYTES);
	/* its NUL keeps a name's end apart from an entry's begin */
	(void)crypto_generichash_update(
	    &state, (const uint8_t *)stream, strlen(stream) + 1);
	(void)crypto_generichash_update(&state, body, len);
	(void)crypto_generichash_final(&state, tag, SHARE_TAG_BYTES);
}

size_t
share_seal(const struct share_keys *keys, const char *stream,
    const struct share_entry *entry, uint8_t sealed[SHARE_SEALED_MAX])
{
	size_t len = share_entry_encode(entry, sealed);

	assert(keys->n > 0);
	tag_of(keys->key[0], stream, sealed, len, sealed + len);
	return len + SHARE_TAG_BYTES;
}

enum share_refusal
share_open(const struct share_keys *keys, const char *stream,
    const uint8_t *sealed, size_t len, struct share_entry *entry)
{
	uint8_t tag[SHARE_TAG_BYTES];
	bool ours = false;

	assert(keys->n <= sizeof(keys->key) / sizeof(keys->key[0]));
	if (len < SHARE_TAG_BYTES || len > SHARE_SEALED_MAX)
		return SHARE_MALFORMED;
	len -= SHARE_TAG_BYTES;
	for (unsigned i = 0; i < keys->n; i++) {
		tag_of(keys->key[i], stream, sealed, len, tag);
		ours |= sodium_memcmp(tag, sealed + len, sizeof(tag)) == 0;
	}
	return ours ? share_entry_decode(sealed, len, entry) : SHARE_FORGED;
}

#else

static const char absent[] =
    "this popgate was built without sharing (hiredis and libsodium)";

int
share_key_read(const char *path, struct share_keys *keys, struct err *err)
{
	(void)path;
	(void)keys;
	err_set(err, ERR_INVALID, "%s", absent);
	return -1;
}

int
share_key_make(char text[SHARE_KEY_TEXT_MAX], struct err *err)
{
	(void)text;
	err_set(err, ERR_INVALID, "%s", absent);
	return -1;
}

int
share_origin_make(char origin[SHARE_ORIGIN_MAX], struct err *err)
{
	(void)origin;
	err_set(err, ERR_INVALID, "%s", absent);
	return -1;
}

size_t
share_seal(const struct share_keys *keys, const char *stream,
    const struct share_entry *entry, uint8_t sealed[SHARE_SEALED_MAX])
{
	(void)keys;
	(void)stream;
	return share_entry_encode(entry, sealed);
}

enum share_refusal
share_open(const struct share_keys *keys, const char *stream,
    const uint8_t *sealed, size_t len, struct share_entry *entry)
{
	(void)keys;
	(void)stream;
	(void)sealed;
	(void)len;
	(void)entry;
	return SHARE_FORGED;
}

#endif
