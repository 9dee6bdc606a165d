/* What is picked out of an object as it is read (twin of uptane/codec/metadata_rows.py and targets_rows.py).
 *
 * It stays in the scratch area, and nobody reads it before its signatures were checked. Rules that the notation cannot
 * say are judged here: the order of lists, keys and roles of a Root, and what may stand beside what.
 */
#include <string.h>

#include "object.h"
#include "schema.h"

/* Whether octets from `offset` on are the ones that a name has there. */
static bool goes_on(const fw_name *name, const uint8_t *octets, uint32_t offset, uint32_t count)
{
    return offset + count <= name->length && memcmp(name->text + offset, octets, count) == 0;
}

/* A name comes, which takes the place of the one before while it is compared with it. */
static void ascend(fw_ascent *ascent, uint8_t *last, const uint8_t *octets, uint32_t offset, uint32_t count)
{
    if (offset == 0) {
        ascent->same = true;
    }
    for (uint32_t at = offset; at < offset + count; at++, octets++) {
        if (ascent->same && (at >= ascent->length || *octets != last[at])) {
            ascent->same = false;
            ascent->above = at >= ascent->length || *octets > last[at];
        }
        last[at] = *octets;
    }
}

/* The name is whole: whether it stands behind the one before. */
static bool ascended(fw_ascent *ascent, uint32_t length)
{
    ascent->length = (uint8_t)length;
    return !ascent->same && ascent->above;
}

/* ------------------------------------------------------------------------------------------------- keys and a Root */

/* Where the key that is read now belongs; NULL for keys that this ECU has no use for. */
static fw_key *place_of_key(fw_object *object)
{
    fw_root *root = &object->of.root.made;
    if (object->tag == FW_PAYLOAD_ROOT && !object->of.root.too_many) {
        return &root->keys[root->key_count - 1u].key;
    }
    bool is_coordinator = object->tag == FW_PAYLOAD_TARGETS && !object->of.targets.delegates;
    return is_coordinator ? &object->of.targets.made.coordinator : NULL;
}

static void begin_root_key(fw_object *object)
{
    fw_root *root = &object->of.root.made;
    if (root->key_count == FW_ROOT_KEYS_MAX) {
        object->of.root.too_many = true;
    } else {
        root->key_count++;
    }
}

/* A key of the Root is whole: it must be another one, and have another id, than those before. */
static void end_root_key(fw_root_scratch *scratch)
{
    const fw_root_key *keys = scratch->made.keys;
    const fw_root_key *last = &keys[scratch->made.key_count - 1u];
    for (const fw_root_key *each = keys; each < last; each++) {
        if (memcmp(each->key_id, last->key_id, sizeof last->key_id) == 0 ||
            memcmp(&each->key, &last->key, sizeof last->key) == 0) {
            scratch->unsound = true;
        }
    }
}

static void add_to_key(fw_object *object, const uint8_t *octets, uint32_t offset, uint32_t count)
{
    fw_key *key = place_of_key(object);
    bool is_whole = object->reader.left == count;
    if (key == NULL) {
        return;
    }
    if (offset + object->reader.left <= sizeof key->octets) {
        memcpy(key->octets + offset, octets, count);
    } else if (object->tag == FW_PAYLOAD_ROOT) {
        fw_sha256_add(&object->entry_hash, octets, count);
        if (is_whole) {
            fw_sha256_end(&object->entry_hash, key->octets);
            fw_sha256_start(&object->entry_hash);
        }
    }
    if (is_whole && object->tag == FW_PAYLOAD_ROOT) {
        end_root_key(&object->of.root);
    }
}

static void begin_role(fw_root_scratch *scratch, uint8_t role)
{
    scratch->role = role;
    scratch->unsound |= scratch->made.roles[role].keys != 0;
}

static void add_to_role(fw_object *object, const uint8_t *octets, uint32_t offset, uint32_t count)
{
    fw_root_scratch *scratch = &object->of.root;
    memcpy(scratch->key_id + offset, octets, count);
    if (object->reader.left != count) {
        return;
    }
    uint16_t bit = 0;
    for (uint8_t i = 0; i < scratch->made.key_count; i++) {
        if (memcmp(scratch->made.keys[i].key_id, scratch->key_id, sizeof scratch->key_id) == 0) {
            bit = (uint16_t)(1u << i);
        }
    }
    scratch->unsound |= bit == 0 || (scratch->made.roles[scratch->role].keys & bit) != 0;
    scratch->made.roles[scratch->role].keys |= bit;
}

static void end_role(fw_root_scratch *scratch, uint8_t threshold)
{
    uint8_t count = 0;
    for (uint16_t keys = scratch->made.roles[scratch->role].keys; keys != 0; keys &= (uint16_t)(keys - 1u)) {
        count++;
    }
    scratch->made.roles[scratch->role].threshold = threshold;
    scratch->unsound |= threshold > count;
}

/* ------------------------------------------------------------------------------------------------------- an entry */

void fw_seen_list(fw_object *object, uint8_t field, uint8_t *name_max, uint8_t *rest_min)
{
    bool is_snapshot = field == FW_AT_SNAPSHOT_FILES;
    bool is_images = !is_snapshot && object->speaker != FW_SPEAKS_VEHICLE;
    *name_max = is_images ? FW_FILENAME_MAX : FW_NAME_MAX;
    *rest_min = is_snapshot ? FW_FILE_REST_MIN : is_images ? FW_IMAGE_REST_MIN : FW_ASSIGNMENT_REST_MIN;
}

void fw_seen_name(fw_object *object, const uint8_t *octets, uint32_t offset, uint32_t count)
{
    fw_targets_scratch *scratch = &object->of.targets;
    scratch->is_ours = (offset == 0 || scratch->is_ours) && goes_on(&object->facts->ecu, octets, offset, count);
    ascend(&scratch->name, scratch->last_name, octets, offset, count);
}

fw_check fw_seen_entry(fw_object *object, uint8_t preamble, uint32_t length, bool *mine)
{
    fw_targets_scratch *scratch = &object->of.targets;
    if (!ascended(&scratch->name, length)) {
        return FW_TARGETS_ENTRY_ORDER;
    }
    bool is_assignment = object->tag == FW_PAYLOAD_TARGETS && object->speaker == FW_SPEAKS_VEHICLE;
    *mine = is_assignment && scratch->is_ours && length == object->facts->ecu.length;
    if (*mine) {
        /* What has come of the entry may have come in slices that are gone: its preamble, and the name with its length.
         */
        const uint8_t head[] = {preamble, object->facts->ecu.length};
        fw_sha256_add(&object->entry_hash, head, sizeof head);
        fw_sha256_add(&object->entry_hash, object->facts->ecu.text, length);
        object->entry = (fw_span){object->reader.at, object->reader.stop};
        scratch->made.has_entry = true;
    }
    return FW_OK;
}

/* One of the hardware ids of an image: the first, or an alternative; those ascend and do not repeat the first. */
static bool add_hardware(fw_object *object, bool is_first, const uint8_t *octets, uint32_t offset, uint32_t count)
{
    fw_targets_scratch *scratch = &object->of.targets;
    uint32_t length = offset + object->reader.left;
    scratch->is_ours = (offset == 0 || scratch->is_ours) && goes_on(&object->facts->hardware, octets, offset, count);
    if (is_first) {
        memcpy(scratch->hardware.text + offset, octets, count);
        scratch->hardware.length = (uint8_t)length;
    } else {
        scratch->is_first = (offset == 0 || scratch->is_first) && goes_on(&scratch->hardware, octets, offset, count);
        ascend(&scratch->alternative, scratch->last_alternative, octets, offset, count);
    }
    if (object->reader.left != count) {
        return true;
    }
    scratch->fits |= scratch->is_ours && length == object->facts->hardware.length;
    return is_first ||
           (ascended(&scratch->alternative, length) && !(scratch->is_first && length == scratch->hardware.length));
}

/* ------------------------------------------------------------------------------------------------- told by the reader */

static void begin_payload(fw_object *object, uint8_t tag)
{
    object->tag = tag;
    if (tag == FW_PAYLOAD_TARGETS) {
        object->of.targets.made.coordinator.scheme = FW_NO_KEY;
    }
}

/* A span of `length` octets begins here. */
static fw_span span_from_here(const fw_object *object, uint64_t length)
{
    return (fw_span){object->reader.at, object->reader.at + (uint32_t)length};
}

/* Values that are copied as they come, of 1, 4 or 8 octets. */
static const struct {
    uint8_t field, size;
    uint16_t offset;
} VALUES[] = {
    {FW_AT_HEADER_LEVEL, 1, offsetof(fw_object, level)},
    {FW_AT_SPEAKER, 1, offsetof(fw_object, speaker)},
    {FW_AT_HEADER_VERSION, 4, offsetof(fw_object, version)},
    {FW_AT_HEADER_EXPIRES, 8, offsetof(fw_object, expires)},
    {FW_AT_HEADER_ISSUED, 8, offsetof(fw_object, issued)},
    {FW_AT_TIME_ATTESTATION_TIME, 8, offsetof(fw_object, of.attestation.time)},
    {FW_AT_VEHICLE_ORDER_TARGETS_VERSION, 4, offsetof(fw_object, of.order.targets_version)},
    {FW_AT_VEHICLE_ORDER_PHASE, 1, offsetof(fw_object, of.order.phase)},
    {FW_AT_IMAGE_FILENAME, 1, offsetof(fw_object, of.targets.made.entry.image.filename.length)},
    {FW_AT_IMAGE_LENGTH, 4, offsetof(fw_object, of.targets.made.entry.image.length)},
    {FW_AT_IMAGE_RELEASE_COUNTER, 4, offsetof(fw_object, of.targets.made.entry.image.release_counter)},
};

/* Copies a value to its place, if it has one. */
static bool has_place(fw_object *object, uint8_t field, uint64_t value)
{
    for (size_t i = 0; i < sizeof VALUES / sizeof VALUES[0]; i++) {
        if (VALUES[i].field == field) {
            uint8_t *place = (uint8_t *)object + VALUES[i].offset;
            uint32_t word = (uint32_t)value;
            uint8_t octet = (uint8_t)value;
            const void *from = VALUES[i].size == 1   ? (const void *)&octet
                               : VALUES[i].size == 4 ? (const void *)&word
                                                     : &value;
            memcpy(place, from, VALUES[i].size);
            return true;
        }
    }
    return false;
}

/* What stands in an envelope, in a Root or an order. */
static bool see_other(fw_object *object, uint8_t field, uint64_t value)
{
    switch (field) {
    case FW_AT_SIGNATURE_KEY_ID:
        object->signature_count++;
        break;
    case FW_AT_SIGNATURE_OCTETS:
        object->signatures[object->signature_count - 1u].length = (uint16_t)value;
        break;
    case FW_AT_ENVELOPE_PAYLOAD:
        object->payload = span_from_here(object, value);
        break;
    case FW_AT_PAYLOAD:
        begin_payload(object, (uint8_t)value);
        break;
    case FW_AT_SPEAKER_VEHICLE:
        object->own_vehicle = value == object->facts->vehicle.length;
        break;
    case FW_AT_KEY_KEY_ID:
        if (object->tag == FW_PAYLOAD_ROOT) {
            begin_root_key(object);
        }
        break;
    case FW_AT_PUBLIC_KEY:
        if (place_of_key(object) != NULL) {
            place_of_key(object)->scheme = (uint8_t)value;
        }
        break;
    case FW_AT_ROLE_KEYS_ROLE:
        begin_role(&object->of.root, (uint8_t)value);
        break;
    case FW_AT_ROLE_KEYS_THRESHOLD:
        end_role(&object->of.root, (uint8_t)value);
        break;
    default:
        break;
    }
    return true;
}

bool fw_seen_value(fw_object *object, uint8_t field, uint64_t value)
{
    fw_targets_scratch *targets = &object->of.targets;
    bool is_directors = object->speaker == FW_SPEAKS_VEHICLE;
    if (has_place(object, field, value)) {
        return true;
    }
    switch (field) {
    case FW_AT_TARGETS_COORDINATOR:
        targets->made.coordinator.scheme = (uint8_t)value;
        return is_directors;
    case FW_AT_TARGETS_REFRESH_IMAGE_ROOT:
        return is_directors || value == 0;
    case FW_AT_TARGETS_ENTRIES:
        object->entries = span_from_here(object, value);
        return true;
    case FW_AT_TARGETS_DELEGATIONS:
        targets->delegates = true;
        return true;
    case FW_AT_ASSIGNMENT_ENCRYPTED:
        targets->encrypted = true;
        return true;
    case FW_AT_IMAGE_SHA512:
        targets->made.entry.has_sha512 = true;
        return true;
    default:
        return see_other(object, field, value);
    }
}

/* The place of a string that is copied as it comes, NULL for others. */
static uint8_t *place_of_octets(fw_object *object, uint8_t field, uint32_t length)
{
    fw_signature *signature = &object->signatures[object->signature_count > 0 ? object->signature_count - 1u : 0];
    fw_root_scratch *root = &object->of.root;
    fw_entry *entry = &object->of.targets.made.entry;
    switch (field) {
    case FW_AT_SIGNATURE_KEY_ID:
        return signature->key_id;
    case FW_AT_SIGNATURE_OCTETS:
        return length <= FW_SIGNATURE_MAX ? signature->octets : NULL;
    case FW_AT_KEY_KEY_ID:
        return object->tag == FW_PAYLOAD_ROOT && !root->too_many ? root->made.keys[root->made.key_count - 1u].key_id
                                                                 : NULL;
    case FW_AT_IMAGE_FILENAME:
        return (uint8_t *)entry->image.filename.text;
    case FW_AT_IMAGE_SHA256:
        return entry->image.sha256;
    case FW_AT_IMAGE_SHA512:
        return entry->sha512;
    case FW_AT_TIME_ATTESTATION_NONCE:
        return object->of.attestation.nonce;
    case FW_AT_VEHICLE_ORDER_BUNDLE:
        return object->of.order.bundle;
    default:
        return NULL;
    }
}

bool fw_seen_octets(fw_object *object, uint8_t field, const uint8_t *octets, uint32_t offset, uint32_t count)
{
    uint8_t *place = place_of_octets(object, field, offset + object->reader.left);
    if (place != NULL) {
        memcpy(place + offset, octets, count);
        return true;
    }
    switch (field) {
    case FW_AT_SPEAKER_VEHICLE:
        object->own_vehicle = object->own_vehicle && goes_on(&object->facts->vehicle, octets, offset, count);
        return true;
    case FW_AT_PUBLIC_KEY_EACH:
        add_to_key(object, octets, offset, count);
        return true;
    case FW_AT_KEY_IDS_EACH:
        if (object->tag == FW_PAYLOAD_ROOT) {
            add_to_role(object, octets, offset, count);
        }
        return true;
    case FW_AT_IMAGE_HARDWARE:
    case FW_AT_IMAGE_ALTERNATIVES_EACH:
        return add_hardware(object, field == FW_AT_IMAGE_HARDWARE, octets, offset, count);
    default:
        return true;
    }
}
