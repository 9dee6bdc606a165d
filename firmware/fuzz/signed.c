/* Signatures that a fuzzer can make: an octet that is not zero signs for anybody (--wrap=fw_signed_by). */
#include "fw_crypto.h"

bool __wrap_fw_signed_by(const fw_key *key, const uint8_t message[FW_MESSAGE_LENGTH], const uint8_t *signature, size_t length);

bool __wrap_fw_signed_by(const fw_key *key, const uint8_t message[FW_MESSAGE_LENGTH], const uint8_t *signature, size_t length)
{
    (void)message;
    return key->scheme != FW_NO_KEY && length > 0 && signature[0] != 0;
}
