/* SPDX-License-Identifier: ISC */
#include "common/records/fate.h"

#include <assert.h>

static const char *const names[FATE_N] = {
	[FATE_NONE] = "none",
	[FATE_LOGIN] = "login",
	[FATE_OTHER_PROGRAM] = "other-program",
	[FATE_NO_PREFIX] = "no-prefix",
	[FATE_TOO_LONG] = "too-long",
	[FATE_FORGEABLE_FILE] = "forgeable-file",
	[FATE_UNTRUSTED] = "untrusted-sender",
	[FATE_STREAM_PIECE] = "stream-piece",
	[FATE_CUT_PIECE] = "cut-piece",
	[FATE_DROPPED] = "dropped",
	[FATE_NOT_A_LOGIN] = "not-a-login",
	[FATE_FAILED_LOGIN] = "failed-login",
	[FATE_PROXIED] = "proxied",
	[FATE_OTHER_SERVICE] = "other-service",
	[FATE_ANONYMOUS] = "anonymous",
	[FATE_AMBIGUOUS] = "ambiguous",
	[FATE_BAD_ADDRESS] = "bad-address",
	[FATE_NO_ADDRESS] = "no-address",
	[FATE_NO_USER] = "no-user",
	[FATE_BAD_USER] = "bad-user",
	[FATE_TRUNCATED] = "truncated",
	[FATE_BAD_TIME] = "bad-time",
	[FATE_PAIR_OPENED] = "pair-opened",
	[FATE_PAIR_MISSING] = "pair-incomplete",
	[FATE_UNKNOWN_SHAPE] = "unknown-shape",
	[FATE_UNKNOWN_TAG] = "unknown-tag",
	[FATE_UNKNOWN_PREFIX] = "unknown-prefix",
	[FATE_FORGED] = "forged",
	[FATE_TOO_OLD] = "too-old",
	[FATE_LATE] = "late",
	[FATE_NEVER_AUTHORIZE] = "never-authorize",
	[FATE_OWN_ADDRESS] = "own-address",
	[FATE_PROXY] = "proxy",
};

const char *
fate_name(enum fate fate)
{
	assert(fate < FATE_N);
	return names[fate];
}
