/* Signatures that a fuzzer can make: an octet that is not zero signs for anybody. And ours cost nothing, so that it
 * gets to more inputs. (--wrap=fw_signed_by, --wrap=fw_sign)
 */
#include <string.h>

#include "fw_crypto.h"

bool __wrap_fw_signed_by(
    const fw_key *key, const uint8_t message[FW_MESSAGE_LENGTH], const uint8_t *signature, size_t length);
void __wrap_fw_sign(uint8_t signature[64], const fw_facts *facts, const uint8_t message[FW_MESSAGE_LENGTH]);

bool __wrap_fw_signed_by(
    const fw_key *key, const uint8_t message[FW_MESSAGE_LENGTH], const uint8_t *signature, size_t length)
{
    (void)message;
    return key->scheme != FW_NO_KEY && length > 0 && signature[0] != 0;
}

void __wrap_fw_sign(uint8_t signature[64], const fw_facts *facts, const uint8_t message[FW_MESSAGE_LENGTH])
{
    (void)facts;
    memcpy(signature, message, 64);
}
