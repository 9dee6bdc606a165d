/* check_root: one link of a Root chain, and what it takes away (twin of uptane/verify/root.py, chain.py and stored.py).
 */
#include "root.h"

#include "clock.h"
#include "state.h"
#include "targets.h"

fw_check fw_check_root_expiry(const fw *ecu, uint64_t utc)
{
    return utc >= ecu->held.root_expires ? FW_ROOT_EXPIRED : FW_OK;
}

static fw_check check_own_signatures(fw *ecu)
{
    const fw_object *object = &ecu->object;
    const fw_signatures all = {.signatures = object->signatures, .count = object->signature_count};
    const fw_authority own = fw_authority_of(&object->of.root.made, FW_ROLE_ROOT);
    return fw_signed_enough(ecu, &own, &all, object->payload_sha512) ? FW_OK : FW_ROOT_OWN_SIGNATURES;
}

/* The successor of the trusted Root: signed by enough keys of both, and its version the next. */
static fw_check check_link(fw *ecu)
{
    const fw_object *object = &ecu->object;
    const fw_authority trusted = fw_trusted_authority(ecu, FW_ROLE_ROOT);
    fw_check check = fw_opened_object(ecu);
    if (check == FW_OK) {
        check = fw_accept_object(ecu, &trusted, FW_PAYLOAD_ROOT, FW_ROOT_SIGNATURES);
    }
    if (check != FW_OK) {
        return check;
    }
    if (object->speaker != FW_SPEAKS_FLEET) {
        return FW_SPEAKER;
    }
    if (object->of.root.unsound) {
        return FW_ROOT_KEYS;
    }
    check = check_own_signatures(ecu);
    if (check == FW_OK && object->version - 1u != ecu->held.root_version) {
        check = FW_ROOT_VERSION;
    }
    return check;
}

static bool store_root(fw *ecu)
{
    fw_root *root = &ecu->object.of.root.made;
    root->format = FW_ROOT_FORMAT;
    root->version = ecu->object.version;
    root->expires = ecu->object.expires;
    root->issued = ecu->object.issued;
    uint16_t length = (uint16_t)(offsetof(fw_root, keys) + root->key_count * sizeof root->keys[0]);
    if (!fw_store_put(&ecu->store, FW_RECORD_ROOT, root, length)) {
        return false;
    }
    ecu->held.root_version = root->version;
    ecu->held.root_expires = root->expires;
    return true;
}

/* What no longer holds under the new Root goes, in RAM whatever the flash does: the next power-up judges alike. */
static bool drop(fw *ecu, bool drops_previous, bool drops_targets)
{
    bool is_done = true;
    if (drops_previous) {
        is_done = fw_store_delete(&ecu->store, FW_RECORD_PREVIOUS);
        ecu->held.has_previous = false;
    }
    if (drops_targets) {
        is_done = is_done && fw_store_delete(&ecu->store, FW_RECORD_TARGETS);
        ecu->held.targets.present = false;
        ecu->held.targets.has_entry = false;
    }
    return is_done;
}

fw_check fw_take_root(fw *ecu)
{
    const fw_root *root = &ecu->object.of.root.made;
    fw_check check = fw_object_take(ecu, FW_OBJECT_ROOT);
    if (check == FW_OK) {
        check = check_link(ecu);
    }
    if (check != FW_OK) {
        return check;
    }
    const fw_authority signers = fw_authority_of(root, FW_ROLE_TARGETS);
    const fw_authority clocks = fw_authority_of(root, FW_ROLE_TIME);
    bool drops_targets = ecu->held.targets.present && !fw_targets_still(ecu, FW_RECORD_TARGETS, &signers);
    bool drops_previous = ecu->held.has_previous && !fw_targets_still(ecu, FW_RECORD_PREVIOUS, &signers);
    fw_time_under under = fw_time_under_root(ecu, &clocks, ecu->object.issued);
    if (!store_root(ecu)) {
        return FW_STORAGE;
    }
    bool is_done = true;
    if (under.changed) {
        uint64_t previous = under.reset ? ecu->held.time : ecu->held.previous_time;
        is_done = fw_store_time(ecu, under.time, previous, under.reset ? &clocks : NULL);
    }
    fw_set_time_under(ecu, &under);
    is_done = drop(ecu, drops_previous, drops_targets) && is_done;
    return is_done ? FW_OK : FW_STORAGE;
}

fw_check fw_provision_root(fw *ecu)
{
    const fw_object *object = &ecu->object;
    fw_object_begin(&ecu->object, ecu->facts, FW_OBJECT_ROOT, ecu->facts->root_length);
    fw_object_add(&ecu->object, ecu->facts->root, ecu->facts->root_length);
    fw_object_end(&ecu->object);
    fw_check check = fw_object_take(ecu, FW_OBJECT_ROOT);
    if (check == FW_OK) {
        check = fw_opened_object(ecu);
    }
    if (check == FW_OK) {
        check = fw_accept_payload(ecu, FW_PAYLOAD_ROOT);
    }
    if (check == FW_OK && object->of.root.unsound) {
        check = FW_ROOT_KEYS;
    }
    if (check == FW_OK) {
        check = check_own_signatures(ecu);
    }
    if (check == FW_OK && object->speaker != FW_SPEAKS_FLEET) {
        check = FW_SPEAKER;
    }
    if (check != FW_OK) {
        return check;
    }
    return store_root(ecu) ? FW_OK : FW_STORAGE;
}
