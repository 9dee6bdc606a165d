/* Signatures over the very octets, and then the payload (twin of uptane/verify/threshold.py). */
#include "threshold.h"

#include <string.h>

#include "state.h"

#define LEVEL_KNOWN 1u

void fw_breathe(fw *ecu)
{
    ecu->now = fw_port_breathe(ecu->port);
    fw_server_breathe(ecu);
}

fw_authority fw_authority_of(const fw_root *root, fw_role role)
{
    return (fw_authority){root->keys, root->roles[role].keys, root->roles[role].threshold, NULL};
}

fw_authority fw_trusted_authority(const fw *ecu, fw_role role)
{
    fw_authority authority = {NULL, 0, 0, NULL};
    uint16_t of_role[2] = {0, 0}; /* keys, threshold */
    uint16_t offset = (uint16_t)(offsetof(fw_root, roles) + role * sizeof((const fw_root *)0)->roles[0]);
    if (fw_store_get(&ecu->store, FW_RECORD_ROOT, offset, of_role, sizeof of_role)) {
        authority.mask = of_role[0];
        authority.threshold = of_role[1];
    }
    return authority;
}

void fw_authority_key(const fw *ecu, const fw_authority *authority, uint8_t number, fw_root_key *key)
{
    if (authority->keys != NULL) {
        *key = authority->keys[number];
        return;
    }
    memset(key, 0, sizeof *key);
    uint16_t offset = (uint16_t)(offsetof(fw_root, keys) + number * sizeof *key);
    if (!fw_store_get(&ecu->store, FW_RECORD_ROOT, offset, key, sizeof *key)) {
        key->key.scheme = FW_NO_KEY;
    }
}

/* The number of the key that made a signature if its id is right, -1 if the role has none of that id. */
static int find_key(const fw *ecu, const fw_authority *authority, const uint8_t *key_id, fw_root_key *key)
{
    if (authority->only != NULL) {
        key->key = *authority->only;
        return 0;
    }
    for (uint8_t number = 0; authority->mask >> number != 0; number++) {
        if ((authority->mask >> number & 1u) != 0) {
            fw_authority_key(ecu, authority, number, key);
            if (memcmp(key->key_id, key_id, FW_KEY_ID_LENGTH) == 0) {
                return number;
            }
        }
    }
    return -1;
}

bool fw_read_signature(const fw *ecu, fw_record record, uint8_t number, fw_signature *signature)
{
    uint16_t offset = (uint16_t)(sizeof(fw_targets) + number * sizeof *signature);
    return fw_store_get(&ecu->store, record, offset, signature, sizeof *signature);
}

bool fw_signed_enough(
    fw *ecu, const fw_authority *authority, fw_record record, uint8_t count, const uint8_t sha512[FW_SHA512_LENGTH])
{
    uint8_t message[FW_MESSAGE_LENGTH];
    uint16_t signers = 0, counted = 0;
    fw_signature signature;
    fw_root_key key;
    fw_message(message, sha512);
    for (uint8_t i = 0; i < count && (counted == 0 || counted < authority->threshold); i++) {
        if (record == FW_OF_OBJECT) {
            signature = ecu->object.signatures[i];
        } else if (!fw_read_signature(ecu, record, i, &signature)) {
            return false;
        }
        int number = find_key(ecu, authority, signature.key_id, &key);
        if (number < 0 || (signers >> number & 1u) != 0 || signature.length > FW_SIGNATURE_MAX) {
            continue;
        }
        fw_breathe(ecu);
        if (fw_signed_by(&key.key, message, signature.octets, signature.length)) {
            signers |= (uint16_t)(1u << number);
            counted++;
        }
    }
    /* A threshold of 0 would let everybody in; a Root with one is refused for it, and so is it here. */
    return counted >= authority->threshold && counted > 0;
}

bool fw_object_signed(fw *ecu, const fw_authority *authority)
{
    const fw_object *object = &ecu->object;
    return fw_signed_enough(ecu, authority, FW_OF_OBJECT, object->signature_count, object->sha512.digest);
}

fw_check fw_object_take(fw *ecu, uint8_t kind)
{
    if (ecu->object.delivery != FW_WHOLE || ecu->object.kind != kind) {
        return FW_LINK_SEQUENCE;
    }
    fw_object_clear(&ecu->object);
    return FW_OK;
}

static fw_check check_payload(const fw_object *object, fw_payload payload)
{
    const fw_check *fault = object->reader.fault;
    if (fault[FW_IN_PAYLOAD] != FW_OK) {
        return FW_ENCODING;
    }
    if (fault[FW_IN_LIST] != FW_OK) {
        return payload == FW_PAYLOAD_TARGETS ? fault[FW_IN_LIST] : FW_ENCODING;
    }
    if (object->tag == FW_PAYLOAD_ROOT && object->of.root.too_many) {
        return FW_LENGTH;
    }
    if (object->tag != payload) {
        return FW_KIND;
    }
    if (payload == FW_PAYLOAD_TARGETS && object->speaker != FW_SPEAKS_VEHICLE) {
        return FW_SPEAKER; /* an Image repository's Targets */
    }
    return object->level > LEVEL_KNOWN ? FW_LEVEL : FW_OK;
}

fw_check fw_check_envelope(const fw_object *object)
{
    if (object->reader.fault[FW_IN_ENVELOPE] != FW_OK) {
        return FW_ENCODING;
    }
    return object->signature_count > FW_SIGNATURES_MAX ? FW_LENGTH : FW_OK;
}

fw_check fw_accept_object(fw *ecu, const fw_authority *authority, fw_payload payload, fw_check unsigned_check)
{
    const fw_object *object = &ecu->object;
    fw_check check = fw_check_envelope(object);
    if (check != FW_OK) {
        return check;
    }
    if (authority != NULL && !fw_object_signed(ecu, authority)) {
        return unsigned_check;
    }
    return check_payload(object, payload);
}
