/* One function per signature scheme, each in its own file, so that a build without one carries nothing of it. */
#ifndef FW_CRYPTO_SCHEMES_H
#define FW_CRYPTO_SCHEMES_H

#include "fw_crypto.h"

#define FW_MLDSA44_SIGNATURE 2420u

/* Whether 32 octets are a key at all: the y is below the field's prime and of no point of small order. */
bool fw_is_ed25519_key(const uint8_t key[32]);

bool fw_ed25519_signed(const uint8_t key[32], const uint8_t message[FW_MESSAGE_LENGTH], const uint8_t signature[64]);
bool fw_p256_signed(const uint8_t key[33], const uint8_t message[FW_MESSAGE_LENGTH], const uint8_t signature[64]);
bool fw_mldsa44_signed(
    const uint8_t key[1312], const uint8_t message[FW_MESSAGE_LENGTH], const uint8_t signature[FW_MLDSA44_SIGNATURE]);

#endif
