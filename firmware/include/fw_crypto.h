/* Hashes and signatures as the core sees them; core/crypto.c carries them to the libraries fetched at build time
 * (twin of uptane/crypto.py). Nothing here allocates or fails silently. A hash that was ended is spent: to go on with
 * one, end a copy of it.
 */
#ifndef FW_CRYPTO_H
#define FW_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fw_facts.h"

typedef struct {
    uint64_t opaque[13];
} fw_sha256; /* the library's context; asserted in crypto.c */
typedef struct {
    uint64_t opaque[26];
} fw_sha512;

void fw_sha256_start(fw_sha256 *hash);
void fw_sha256_add(fw_sha256 *hash, const void *octets, size_t length);
void fw_sha256_end(fw_sha256 *hash, uint8_t digest[32]);

void fw_sha512_start(fw_sha512 *hash);
void fw_sha512_add(fw_sha512 *hash, const void *octets, size_t length);
void fw_sha512_end(fw_sha512 *hash, uint8_t digest[64]);

/* What is signed: "MARQUE-1" 00 || SHA-512(payload). */
#define FW_MESSAGE_LENGTH 73u
void fw_message(uint8_t message[FW_MESSAGE_LENGTH], const uint8_t payload_sha512[64]);

/* Whether `key` signed `message`. False for a scheme or a length this build does not know, an invalid key (small
 * order, not on the curve), a high s. */
bool fw_signed_by(const fw_key *key, const uint8_t message[FW_MESSAGE_LENGTH], const uint8_t *signature, size_t length);

/* Sign with this ECU's Ed25519 key. */
void fw_sign(uint8_t signature[64], const fw_facts *facts, const uint8_t message[FW_MESSAGE_LENGTH]);

/* Whether two secrets are equal, in constant time. */
bool fw_same(const void *a, const void *b, size_t length);

#endif
