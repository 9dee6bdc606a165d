/* Partial verification: the Director's Targets alone (twin of uptane/verify/partial.py, roles.py, image.py,
 * recheck.py).
 *
 * No entry for this ECU is a normal answer: it does nothing then, keeps the file it acted on, and takes no older one.
 */
#include "targets.h"

#include <string.h>

#include "patterns.h"
#include "root.h"
#include "state.h"

static uint8_t stale(fw *ecu, fw_record record, const fw_authority *authority, uint8_t bit)
{
    uint8_t counts[2]; /* format, signatures */
    uint8_t payload[FW_SHA512_LENGTH];
    const fw_store *store = &ecu->store;
    if (!fw_store_has(store, record)) {
        return 0;
    }
    bool is_read = fw_store_get(store, record, offsetof(fw_targets, format), counts, sizeof counts) &&
                   fw_store_get(store, record, offsetof(fw_targets, payload), payload, sizeof payload);
    bool stands =
        is_read && counts[0] == FW_TARGETS_FORMAT && fw_signed_enough(ecu, authority, record, counts[1], payload);
    return stands ? 0 : bit;
}

uint8_t fw_stale_targets(fw *ecu, const fw_authority *authority)
{
    return stale(ecu, FW_RECORD_PREVIOUS, authority, FW_STALE_PREVIOUS) |
           stale(ecu, FW_RECORD_TARGETS, authority, FW_STALE_TARGETS);
}

void fw_load_targets(fw *ecu)
{
    const uint16_t counter = offsetof(fw_targets, entry.image.release_counter);
    fw_held *held = &ecu->held;
    held->has_previous = (held->stale & FW_STALE_PREVIOUS) == 0 &&
                         fw_store_get(&ecu->store, FW_RECORD_PREVIOUS, counter, &held->previous_counter, 4);
    held->targets.present = (held->stale & FW_STALE_TARGETS) == 0 &&
                            fw_store_get(&ecu->store, FW_RECORD_TARGETS, 0, &held->targets, sizeof held->targets);
}

/* Whether what was delivered is the stored file, whatever its signatures: then there is nothing to store. Else anybody
 * who has heard it could have it stored for ever, each time with other signatures that count for nothing. */
static bool is_stored(const fw *ecu)
{
    const fw_targets *old = &ecu->held.targets;
    return old->present && memcmp(old->payload, ecu->object.sha512.digest, FW_SHA512_LENGTH) == 0;
}

static bool store_targets(fw *ecu, fw_record record)
{
    fw_store *store = &ecu->store;
    bool is_new = record == FW_RECORD_TARGETS;
    const fw_targets *targets = is_new ? &ecu->object.of.targets.made : &ecu->held.targets;
    fw_signature signature;
    uint16_t length = (uint16_t)(sizeof *targets + targets->signature_count * sizeof signature);
    bool is_stored = fw_store_begin(store, record, length) && fw_store_add(store, targets, sizeof *targets);
    for (uint8_t i = 0; is_stored && i < targets->signature_count; i++) {
        is_stored = is_new || fw_read_signature(ecu, FW_RECORD_TARGETS, i, &signature);
        is_stored =
            is_stored && fw_store_add(store, is_new ? &ecu->object.signatures[i] : &signature, sizeof signature);
    }
    return is_stored && fw_store_end(store);
}

/* check_targets, as far as it is one file's matter. */
static fw_check check_targets(fw *ecu, uint64_t utc)
{
    const fw_object *object = &ecu->object;
    const fw_targets *old = &ecu->held.targets;
    const fw_authority authority = fw_trusted_authority(ecu, FW_ROLE_TARGETS);
    fw_check check = fw_accept_object(ecu, &authority, FW_PAYLOAD_TARGETS, FW_TARGETS_SIGNATURES);
    if (check != FW_OK) {
        return check;
    }
    if (!object->own_vehicle) {
        return FW_SPEAKER;
    }
    if (old->present && object->version < old->version) {
        return FW_TARGETS_VERSION;
    }
    if (old->present && object->version == old->version &&
        memcmp(object->sha512.digest, old->payload, FW_SHA512_LENGTH) != 0) {
        return FW_TARGETS_SAME_VERSION;
    }
    if (utc >= object->expires) {
        return FW_TARGETS_EXPIRED;
    }
    return object->of.targets.delegates ? FW_TARGETS_DELEGATES : FW_OK;
}

/* What this very ECU cannot or may not take, before an octet of it is asked for (image.check_own). */
static fw_check check_own(const fw *ecu)
{
    const fw_targets_scratch *new = &ecu->object.of.targets;
    const fw_image *image = &new->made.entry.image;
    if (!new->fits) {
        return FW_INSTALL_HARDWARE;
    }
    if (!fw_accepts(&ecu->facts->accepts, &image->filename)) {
        return FW_INSTALL_FILENAME;
    }
    if (new->encrypted) {
        return FW_INSTALL_ENCRYPTED; /* in whatever way: this ECU has no cipher */
    }
    return image->length > fw_port_geometry(ecu->port)->slot_size ? FW_INSTALL_SPACE : FW_OK;
}

/* Counters never fall; an entry for what is released installs nothing, and is no rollback (partial.check_counters). */
static fw_check check_counters(const fw *ecu)
{
    const fw_image *image = &ecu->object.of.targets.made.entry.image;
    const fw_installation *installation = &ecu->installation;
    const fw_held *held = &ecu->held;
    if (fw_same_image(image, &installation->images[installation->home])) {
        return FW_OK;
    }
    bool is_lower = held->targets.present && held->targets.has_entry &&
                    image->release_counter < held->targets.entry.image.release_counter;
    if (is_lower || (held->has_previous && image->release_counter < held->previous_counter)) {
        return FW_IMAGE_COUNTER;
    }
    return image->release_counter < installation->released_counter ? FW_INSTALL_COUNTER : FW_OK;
}

static fw_check check_entry(const fw *ecu)
{
    fw_check check = FW_OK;
    if (ecu->object.of.targets.made.has_entry) {
        check = ecu->object.reader.fault[FW_IN_ENTRY];
        if (check == FW_OK) {
            check = check_own(ecu);
        }
        if (check == FW_OK) {
            check = check_counters(ecu);
        }
    }
    return check;
}

/* The previous ones are kept before they are replaced, and dropped after (partial.keep_targets). */
static fw_check keep_targets(fw *ecu)
{
    fw_targets *new = &ecu->object.of.targets.made;
    fw_held *held = &ecu->held;
    bool becomes_previous = !new->has_entry && held->targets.present && held->targets.has_entry;
    bool drops_previous = new->has_entry && held->has_previous;
    new->present = true;
    new->format = FW_TARGETS_FORMAT;
    new->signature_count = ecu->object.signature_count;
    if (becomes_previous && !store_targets(ecu, FW_RECORD_PREVIOUS)) {
        return FW_STORAGE;
    }
    bool stands = is_stored(ecu);
    if (!stands && !store_targets(ecu, FW_RECORD_TARGETS)) {
        return FW_STORAGE;
    }
    if (drops_previous && !fw_store_delete(&ecu->store, FW_RECORD_PREVIOUS)) {
        return FW_STORAGE;
    }
    if (becomes_previous) {
        held->has_previous = true;
        held->previous_counter = held->targets.entry.image.release_counter;
    } else if (drops_previous) {
        held->has_previous = false;
    }
    if (!stands) {
        held->targets = *new;
    }
    return FW_OK;
}

fw_check fw_take_targets(fw *ecu)
{
    uint64_t utc = fw_utc(ecu);
    fw_check check = fw_object_take(ecu, FW_OBJECT_TARGETS);
    if (check == FW_OK) {
        check = fw_check_root_expiry(ecu, utc);
    }
    if (check == FW_OK) {
        check = check_targets(ecu, utc);
    }
    if (check == FW_OK) {
        check = check_entry(ecu);
    }
    return check == FW_OK ? keep_targets(ecu) : check;
}

fw_check fw_recheck(const fw *ecu)
{
    uint64_t utc = fw_utc(ecu);
    fw_check check = fw_check_root_expiry(ecu, utc);
    if (check == FW_OK && !ecu->held.targets.present) {
        check = FW_TARGETS_MISSING;
    }
    return check == FW_OK && utc >= ecu->held.targets.expires ? FW_TARGETS_EXPIRED : check;
}
