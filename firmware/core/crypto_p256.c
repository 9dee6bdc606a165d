/* ECDSA on P-256 over SHA-256 (twin of uptane/crypto.py, _p256): for Roots whose keys lie in hardware that knows no
 * Ed25519.
 *
 * What holds: a key is a compressed point of the curve, and s is the lower of the two that verify, so that nobody can
 * make a second signature of a first. The library takes points with both coordinates, so y is found here, by its own
 * arithmetic of the field; that y fits x is then the library's own check.
 */
#include <string.h>

#include "crypto_schemes.h"

/* Nothing is secret when a signature is verified, so the processor's own multiplication may take its time: it is
 * several times faster here than the library's choice for a Cortex-M3, and smaller. */
#undef __ARM_ARCH_PROFILE
#define MUL64_IS_CONSTANT_TIME
#define MBEDTLS_PSA_P256M_DRIVER_ENABLED
#include <p256-m.c>

#define COMPRESSED_EVEN 0x02u
#define COMPRESSED_ODD 0x03u

/* (p + 1) / 4, least significant word first: its power is a square root, if there is one. */
static const uint32_t ROOT_EXPONENT[8] = {0, 0, 0x40000000, 0, 0, 0x40000000, 0xC0000000, 0x3FFFFFFF};

/* (n - 1) / 2 for the group's order n: the highest s that is taken. */
static const uint8_t LOW_S_MAX[32] = {0x7F, 0xFF, 0xFF, 0xFF, 0x80, 0x00, 0x00, 0x00, 0x7F, 0xFF, 0xFF,
                                      0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xDE, 0x73, 0x7D, 0x56, 0xD3, 0x8B,
                                      0xCF, 0x42, 0x79, 0xDC, 0xE5, 0x61, 0x7E, 0x31, 0x92, 0xA8};

/* x and y of a compressed point; false if x is none. That x^3 - 3x + b has a root, the library checks with the
 * point. */
static bool decompress(uint8_t point[64], const uint8_t key[33])
{
    uint32_t x[8];
    uint32_t square[8];
    uint32_t y[8];
    if ((key[0] != COMPRESSED_EVEN && key[0] != COMPRESSED_ODD) || m256_from_bytes(x, key + 1, &p256_p) != 0) {
        return false;
    }
    m256_mul_p(square, x, x);
    m256_mul_p(square, square, x);
    for (unsigned i = 0; i < 3; i++) {
        m256_sub_p(square, square, x);
    }
    m256_add_p(square, square, p256_b);
    m256_set32(y, 1, &p256_p);
    for (unsigned bit = 254; bit-- > 0;) {
        m256_mul_p(y, y, y);
        if ((ROOT_EXPONENT[bit / 32] >> bit % 32 & 1u) != 0) {
            m256_mul_p(y, y, square);
        }
    }
    memcpy(point, key + 1, 32);
    m256_to_bytes(point + 32, y, &p256_p);
    if ((point[63] & 1u) != (key[0] & 1u)) {
        u256_set32(x, 0);
        m256_sub_p(y, x, y); /* the other root; 0 has none, and a curve of prime order no point with it */
        m256_to_bytes(point + 32, y, &p256_p);
    }
    return true;
}

bool fw_p256_signed(const uint8_t key[33], const uint8_t message[FW_MESSAGE_LENGTH], const uint8_t signature[64])
{
    uint8_t point[64];
    uint8_t digest[32];
    fw_sha256 hash;
    if (memcmp(signature + 32, LOW_S_MAX, 32) > 0 || !decompress(point, key)) {
        return false;
    }
    fw_sha256_start(&hash);
    fw_sha256_add(&hash, message, FW_MESSAGE_LENGTH);
    fw_sha256_end(&hash, digest);
    return p256_ecdsa_verify(signature, point, digest, sizeof digest) == P256_SUCCESS;
}
