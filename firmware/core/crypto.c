/* Hashes, carried to the library that sources.toml names, and what a key of Ed25519 is (twin of uptane/crypto.py).
 *
 * What holds, whichever library verifies: a key has one encoding and is none if it is of small order, since anybody can
 * sign for such a key; s is below the group's order; R is compared octet by octet, without a cofactor. So this ECU and
 * every other of the vehicle judge a signature alike. No curve arithmetic is written here.
 */
#include <string.h>

#include <mbedtls/sha256.h>
#include <mbedtls/sha512.h>

#include "crypto_schemes.h"
#include "fw_crypto.h"

_Static_assert(sizeof(mbedtls_sha256_context) == sizeof(fw_sha256), "fw_sha256 has another size");
_Static_assert(sizeof(mbedtls_sha512_context) == sizeof(fw_sha512), "fw_sha512 has another size");

/* --------------------------------------------------------------------------------------------------------- hashes */

/* The library's functions can only fail where hardware hashes. */

void fw_sha256_start(fw_sha256 *hash)
{
    (void)mbedtls_sha256_starts((mbedtls_sha256_context *)(void *)hash, 0);
}

void fw_sha256_add(fw_sha256 *hash, const void *octets, size_t length)
{
    (void)mbedtls_sha256_update((mbedtls_sha256_context *)(void *)hash, octets, length);
}

void fw_sha256_end(fw_sha256 *hash, uint8_t digest[32])
{
    (void)mbedtls_sha256_finish((mbedtls_sha256_context *)(void *)hash, digest);
}

void fw_sha512_start(fw_sha512 *hash)
{
    (void)mbedtls_sha512_starts((mbedtls_sha512_context *)(void *)hash, 0);
}

void fw_sha512_add(fw_sha512 *hash, const void *octets, size_t length)
{
    (void)mbedtls_sha512_update((mbedtls_sha512_context *)(void *)hash, octets, length);
}

void fw_sha512_end(fw_sha512 *hash, uint8_t digest[64])
{
    (void)mbedtls_sha512_finish((mbedtls_sha512_context *)(void *)hash, digest);
}

void fw_message(uint8_t message[FW_MESSAGE_LENGTH], const uint8_t payload_sha512[64])
{
    memcpy(message, "MARQUE-1", 9); /* its end, a zero, included */
    memcpy(message + 9, payload_sha512, 64);
}

bool fw_same(const void *a, const void *b, size_t length)
{
    const volatile uint8_t *left = a;
    const volatile uint8_t *right = b;
    unsigned difference = 0;
    for (size_t i = 0; i < length; i++) {
        difference |= (unsigned)left[i] ^ (unsigned)right[i];
    }
    return difference == 0;
}

/* -------------------------------------------------------------------------------------------------------- Ed25519 */

/* The y of the two points of order eight. Those of lower order are 0, 1 and p - 1. */
static const uint8_t ORDER_8_Y[2][32] = {
    {0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
     0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
    {0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
     0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a},
};

/* Its last octet comes with the sign of x. */
bool fw_is_ed25519_key(const uint8_t key[32])
{
    uint8_t y[32];
    memcpy(y, key, 32);
    y[31] &= 0x7F;
    if (memcmp(y, ORDER_8_Y[0], 32) == 0 || memcmp(y, ORDER_8_Y[1], 32) == 0) {
        return false;
    }
    unsigned zeros = y[31];
    unsigned ones = y[31] | 0x80u;
    for (unsigned i = 1; i < 31; i++) {
        zeros |= y[i];
        ones &= y[i];
    }
    return !(zeros == 0 && y[0] <= 1) && !(ones == 0xFF && y[0] >= 0xEC); /* 0 and 1; p - 1 = ..EC, and p and above */
}

/* ------------------------------------------------------------------------------------------------------ any scheme */

bool fw_signed_by(const fw_key *key, const uint8_t message[FW_MESSAGE_LENGTH], const uint8_t *signature, size_t length)
{
    switch (key->scheme) {
    case FW_ED25519:
        return length == 64 && fw_ed25519_signed(key->octets, message, signature);
#if defined(FW_WITH_P256)
    case FW_P256:
        return length == 64 && fw_p256_signed(key->octets, message, signature);
#endif
#if defined(FW_PROFILE_H)
    case FW_MLDSA44:
        return length == FW_MLDSA44_SIGNATURE && fw_mldsa44_signed(key->octets, message, signature);
    case FW_ED25519_MLDSA44:
        return length == 64 + FW_MLDSA44_SIGNATURE && fw_ed25519_signed(key->octets, message, signature) &&
               fw_mldsa44_signed(key->octets + 32, message, signature + 64);
#endif
    default:
        return false;
    }
}
