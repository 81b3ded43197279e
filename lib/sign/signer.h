/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside lib/sign only: what a private key is made of. */
#ifndef ATR_SIGN_SIGNER_H
#define ATR_SIGN_SIGNER_H

#include "sign.h"

#define ATR_SECRET_KEY_SIZE 64 /* libsodium's form: seed, then public key */

/* Lives in memory from sodium_malloc. */
struct atr_signer {
	uint8_t secret[ATR_SECRET_KEY_SIZE];
};

#endif
