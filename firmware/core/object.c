/* An object of metadata as it comes (twin of secondary/objects.py): read, hashed and forgotten but for the scratch
 * area. */
#include "object.h"

#include <string.h>

uint32_t fw_object_length_max(uint8_t object)
{
    switch (object) {
    case FW_OBJECT_ROOT:
        return FW_ROOT_LENGTH_MAX;
    case FW_OBJECT_TARGETS:
        return FW_DIRECTOR_TARGETS_LENGTH_MAX;
    case FW_OBJECT_ATTESTATION:
        return FW_ATTESTATION_LENGTH_MAX;
    case FW_OBJECT_ORDER:
        return FW_ORDER_LENGTH_MAX;
    default:
        return 0;
    }
}

void fw_object_clear(fw_object *object)
{
    object->delivery = FW_NOTHING;
}

bool fw_object_is_coming(const fw_object *object)
{
    return object->delivery == FW_COMING;
}

void fw_object_begin(fw_object *object, const fw_facts *facts, uint8_t kind, uint32_t size)
{
    memset(object, 0, sizeof *object);
    object->facts = facts;
    object->kind = kind;
    object->delivery = FW_COMING;
    object->tag = FW_PAYLOADS;
    fw_sha512_start(&object->sha512.running);
    fw_oer_start(object, size);
}

void fw_object_add(fw_object *object, const uint8_t *octets, uint32_t length)
{
    fw_oer_read(object, octets, length);
}

void fw_object_end(fw_object *object)
{
    uint8_t digest[FW_SHA512_LENGTH];
    fw_oer_end(object);
    fw_sha512_end(&object->sha512.running, digest);
    memcpy(object->sha512.digest, digest, sizeof digest);
    if (object->tag == FW_PAYLOAD_TARGETS) {
        fw_targets *made = &object->of.targets.made;
        memcpy(made->payload, digest, sizeof made->payload);
        made->version = object->version;
        made->expires = object->expires;
        fw_sha256_end(&object->of.targets.entries_hash, made->bundle);
        fw_sha256_end(&object->of.targets.entry_hash, made->entry.digest);
    }
    if (object->tag == FW_PAYLOAD_ROOT) {
        for (uint8_t role = 0; role < FW_ROLES_REQUIRED; role++) {
            object->of.root.unsound |= object->of.root.made.roles[role].keys == 0;
        }
    }
    object->delivery = FW_WHOLE;
}
