/* check_root: one link of a Root chain, and what it takes away (twin of uptane/verify/root.py, chain.py and stored.py).
 */
#include "root.h"

#include <string.h>

#include "clock.h"
#include "state.h"
#include "targets.h"

fw_check fw_check_root_expiry(const fw *ecu, uint64_t utc)
{
    return utc >= ecu->held.root_expires ? FW_ROOT_EXPIRED : FW_OK;
}

/* Signed by enough of its own keys, which are sound. */
static fw_check check_own(fw *ecu)
{
    const fw_root_scratch *scratch = &ecu->object.of.root;
    const fw_authority own = fw_authority_of(&scratch->made, FW_ROLE_ROOT);
    if (scratch->unsound) {
        return FW_ROOT_KEYS;
    }
    return fw_accept_object(ecu, &own, FW_PAYLOAD_ROOT, FW_ROOT_OWN_SIGNATURES);
}

/* The places in the new Root of the time keys that attested the time; one that is gone takes the time with it. */
static uint16_t follow_time_keys(const fw *ecu, const fw_root *root, bool *resets)
{
    const fw_authority old = {NULL, ecu->held.time_keys, 0, NULL};
    const uint16_t own = root->roles[FW_ROLE_TIME].keys;
    uint16_t found = 0;
    fw_root_key key;
    for (uint8_t number = 0; old.mask >> number != 0; number++) {
        if ((old.mask >> number & 1u) != 0) {
            fw_authority_key(ecu, &old, number, &key);
            uint8_t place = 0;
            while (place < root->key_count && memcmp(&root->keys[place].key, &key.key, sizeof key.key) != 0) {
                place++;
            }
            uint16_t bit = (uint16_t)(1u << place) & own; /* a place behind the last key is nobody's */
            *resets |= bit == 0;
            found |= bit;
        }
    }
    return *resets ? own : found;
}

static bool store_root(fw *ecu)
{
    const fw_object *object = &ecu->object;
    fw_root *root = &ecu->object.of.root.made;
    root->format = FW_ROOT_FORMAT;
    root->version = object->version;
    root->expires = object->expires;
    root->issued = object->issued;
    uint16_t length = (uint16_t)(offsetof(fw_root, keys) + root->key_count * sizeof root->keys[0]);
    if (!fw_store_put(&ecu->store, FW_RECORD_ROOT, root, length)) {
        return false;
    }
    ecu->held.root_version = root->version;
    ecu->held.root_expires = root->expires;
    return true;
}

/* The successor of the trusted Root: signed by enough keys of both, and its version the next. */
static fw_check check_link(fw *ecu)
{
    const fw_object *object = &ecu->object;
    const fw_authority trusted = fw_trusted_authority(ecu, FW_ROLE_ROOT);
    fw_check check = fw_accept_object(ecu, &trusted, FW_PAYLOAD_ROOT, FW_ROOT_SIGNATURES);
    if (check == FW_OK && object->speaker != FW_SPEAKS_FLEET) {
        check = FW_SPEAKER;
    }
    if (check == FW_OK) {
        check = check_own(ecu);
    }
    return check == FW_OK && object->version - 1u != ecu->held.root_version ? FW_ROOT_VERSION : check;
}

fw_check fw_take_root(fw *ecu)
{
    fw_held *held = &ecu->held;
    fw_root *root = &ecu->object.of.root.made;
    fw_check check = fw_object_take(ecu, FW_OBJECT_ROOT);
    if (check == FW_OK) {
        check = check_link(ecu);
    }
    if (check != FW_OK) {
        return check;
    }
    const fw_authority signers = fw_authority_of(root, FW_ROLE_TARGETS);
    uint8_t stale = fw_stale_targets(ecu, &signers);
    bool resets = false;
    root->time_keys = follow_time_keys(ecu, root, &resets);
    root->resets_time = resets || (held->stale & FW_STALE_TIME) != 0;
    if (!store_root(ecu)) {
        return FW_STORAGE;
    }
    /* From here on all of it stands in RAM, whatever the flash does: the next power-up judges alike. */
    if (fw_time_under_root(ecu, root->issued, root->time_keys, resets)) {
        stale |= FW_STALE_TIME;
    }
    held->stale |= stale;
    return fw_drop_stale(ecu) ? FW_OK : FW_STORAGE;
}

fw_check fw_provision_root(fw *ecu)
{
    fw_object_begin(&ecu->object, ecu->facts, FW_OBJECT_ROOT, ecu->facts->root_length);
    fw_object_add(&ecu->object, ecu->facts->root, ecu->facts->root_length);
    fw_object_end(&ecu->object);
    fw_object_clear(&ecu->object);
    fw_check check = fw_accept_object(ecu, NULL, FW_PAYLOAD_ROOT, FW_OK);
    if (check == FW_OK) {
        check = check_own(ecu);
    }
    if (check == FW_OK && ecu->object.speaker != FW_SPEAKS_FLEET) {
        check = FW_SPEAKER;
    }
    return check == FW_OK && !store_root(ecu) ? FW_STORAGE : check;
}
