/* Ed25519 by dropbear's curve25519.c, which is small (twin of uptane/crypto.py): two fifths of the flash that
 * Monocypher takes, for forty times the instructions and 1,800 octets more of stack. Built with CRYPTO=small
 * (Makefile).
 *
 * The library compares R octet by octet, but takes any s; that it is below the group's order is seen to here.
 */
#include "crypto_schemes.h"

#if defined(FW_CRYPTO_SMALL)

#include <curve25519.h>

/* Of the group, the least significant octet first. */
static const uint8_t ORDER[32] = {0xED, 0xD3, 0xF5, 0x5C, 0x1A, 0x63, 0x12, 0x58, 0xD6, 0x9C, 0xF7,
                                  0xA2, 0xDE, 0xF9, 0xDE, 0x14, 0,    0,    0,    0,    0,    0,
                                  0,    0,    0,    0,    0,    0,    0,    0,    0,    0x10};

static bool is_below_order(const uint8_t s[32])
{
    for (unsigned i = 32; i-- > 0;) {
        if (s[i] != ORDER[i]) {
            return s[i] < ORDER[i];
        }
    }
    return false;
}

/* Not made part of its callers, so that theirs are not the larger frames under all that is called here. */
__attribute__((noinline)) bool
fw_ed25519_signed(const uint8_t key[32], const uint8_t message[FW_MESSAGE_LENGTH], const uint8_t signature[64])
{
    return fw_is_ed25519_key(key) && is_below_order(signature + 32) &&
           dropbear_ed25519_verify(message, FW_MESSAGE_LENGTH, signature, 64, key) == 0;
}

void fw_sign(uint8_t signature[64], const fw_facts *facts, const uint8_t message[FW_MESSAGE_LENGTH])
{
    unsigned long length = 0;
    dropbear_ed25519_sign(message, FW_MESSAGE_LENGTH, signature, &length, facts->seed, facts->public_key);
}

#else
typedef int fw_no_small_crypto; /* a file has to hold something */
#endif
