/* What is picked out of an object as it is read (twin of uptane/codec/metadata_rows.py and targets_rows.py).
 *
 * It stays in the scratch area, and nobody reads it before its signatures were checked. Rules that the notation cannot
 * say are judged here: the order of lists, keys and roles of a Root, and what may stand beside what.
 */
#include <string.h>

#include "object.h"
#include "schema.h"

/* Whether the string that was read is a name. */
static bool is_name(const fw_object *object, const fw_name *name, uint32_t length)
{
    return length == name->length && memcmp(name->text, object->text, length) == 0;
}

/* Whether the name that was read stands behind the one before in a list, whose place it then takes. */
static bool is_next(const fw_object *object, char *last, uint8_t *last_length, uint8_t length)
{
    uint8_t common = length < *last_length ? length : *last_length;
    int order = memcmp(object->text, last, common);
    bool is_above = order > 0 || (order == 0 && length > common);
    memcpy(last, object->text, length);
    *last_length = length;
    return is_above;
}

/* ------------------------------------------------------------------------------------------------ keys and a Root */

/* A key of the Root: it must be another one, and have another id, than those before. */
static void add_root_key(fw_object *object, const fw_key *key)
{
    fw_root_scratch *scratch = &object->of.root;
    fw_root *root = &scratch->made;
    if (root->key_count == FW_ROOT_KEYS_MAX) {
        scratch->too_many = true;
        return;
    }
    for (uint8_t i = 0; i < root->key_count; i++) {
        const fw_root_key *each = &root->keys[i];
        scratch->unsound |= memcmp(each->key_id, object->key_id, sizeof object->key_id) == 0;
        scratch->unsound |= memcmp(&each->key, key, sizeof *key) == 0;
    }
    memcpy(root->keys[root->key_count].key_id, object->key_id, sizeof object->key_id);
    root->keys[root->key_count++].key = *key;
}

static void add_key(fw_object *object, uint32_t length)
{
    fw_root_scratch *root = &object->of.root;
    fw_key key = {.scheme = object->scheme};
    if (length <= sizeof key.octets) {
        memcpy(key.octets, object->text, length);
    } else if (object->tag == FW_PAYLOAD_ROOT) {
        if (length <= FW_TEXT_MAX) { /* it was gathered whole, and not hashed as it came */
            fw_sha256_add(&root->key_hash, object->text, length);
        }
        fw_sha256_end(&root->key_hash, key.octets);
        fw_sha256_start(&root->key_hash);
    }
    if (object->tag == FW_PAYLOAD_ROOT) {
        add_root_key(object, &key);
    } else if (!object->of.targets.delegates) {
        object->of.targets.made.coordinator = key;
    }
}

static void begin_role(fw_root_scratch *scratch, uint8_t role)
{
    scratch->role = role;
    scratch->unsound |= scratch->made.roles[role].keys != 0;
}

static void add_to_role(fw_object *object)
{
    fw_root *root = &object->of.root.made;
    uint16_t *keys = &root->roles[object->of.root.role].keys;
    uint16_t bit = 0;
    for (uint8_t i = 0; i < root->key_count; i++) {
        if (memcmp(root->keys[i].key_id, object->text, FW_KEY_ID_LENGTH) == 0) {
            bit = (uint16_t)(1u << i);
        }
    }
    object->of.root.unsound |= bit == 0 || (*keys & bit) != 0;
    *keys |= bit;
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

/* ------------------------------------------------------------------------------------------------------ an entry */

void fw_seen_list(fw_object *object, uint8_t field, uint8_t *name_max, uint8_t *rest_min)
{
    bool is_snapshot = field == FW_AT_SNAPSHOT_FILES;
    bool is_images = !is_snapshot && object->speaker != FW_SPEAKS_VEHICLE;
    *name_max = is_images ? FW_FILENAME_MAX : FW_NAME_MAX;
    *rest_min = is_snapshot ? FW_FILE_REST_MIN : is_images ? FW_IMAGE_REST_MIN : FW_ASSIGNMENT_REST_MIN;
}

fw_check fw_seen_name(fw_object *object, uint8_t preamble, uint8_t length, bool *mine)
{
    fw_targets_scratch *scratch = &object->of.targets;
    if (scratch->was_ours) {
        scratch->was_ours = false;
        scratch->last.hardware[0] = object->facts->ecu; /* a name that is no longer than others is one of them */
    }
    if (!is_next(object, scratch->last.name.text, &scratch->last.name.length, length)) {
        return FW_TARGETS_ENTRY_ORDER;
    }
    *mine = object->tag == FW_PAYLOAD_TARGETS && object->speaker == FW_SPEAKS_VEHICLE &&
            is_name(object, &object->facts->ecu, length);
    if (*mine) {
        /* What has come of the entry may have come in slices that are gone: preamble, length and name. */
        const uint8_t head[] = {preamble, length};
        fw_sha256_start(&scratch->entry_hash);
        fw_sha256_add(&scratch->entry_hash, head, sizeof head);
        fw_sha256_add(&scratch->entry_hash, object->text, length);
        object->entry = (fw_span){object->reader.at, object->reader.stop - object->reader.at};
        memset(&scratch->last, 0, sizeof scratch->last);
        scratch->made.has_entry = scratch->was_ours = true;
    }
    return FW_OK;
}

/* One of the hardware ids of an image: the first, or an alternative; those ascend and do not repeat the first. */
static bool add_hardware(fw_object *object, bool is_first, uint8_t length)
{
    fw_targets_scratch *scratch = &object->of.targets;
    scratch->fits |= is_name(object, &object->facts->hardware, length);
    fw_name *last = &scratch->last.hardware[is_first ? 0 : 1];
    bool repeats = !is_first && is_name(object, &scratch->last.hardware[0], length);
    return !repeats && is_next(object, last->text, &last->length, length);
}

/* ----------------------------------------------------------------------------------------------- told by the reader */

/* Values and strings that are copied to a place as they are: integers of 1, 4 or 8 octets, strings of any length. */
#define STRING 0
static const struct {
    uint8_t field, size;
    uint16_t offset;
} PLACES[] = {
    {FW_AT_HEADER_LEVEL, 1, offsetof(fw_object, level)},
    {FW_AT_SPEAKER, 1, offsetof(fw_object, speaker)},
    {FW_AT_PUBLIC_KEY, 1, offsetof(fw_object, scheme)},
    {FW_AT_HEADER_VERSION, 4, offsetof(fw_object, version)},
    {FW_AT_HEADER_EXPIRES, 8, offsetof(fw_object, expires)},
    {FW_AT_HEADER_ISSUED, 8, offsetof(fw_object, issued)},
    {FW_AT_SIGNATURE_KEY_ID, STRING, offsetof(fw_object, key_id)},
    {FW_AT_KEY_KEY_ID, STRING, offsetof(fw_object, key_id)},
    {FW_AT_IMAGE_FILENAME, STRING, offsetof(fw_object, of.targets.made.entry.image.filename.text)},
    {FW_AT_IMAGE_LENGTH, 4, offsetof(fw_object, of.targets.made.entry.image.length)},
    {FW_AT_IMAGE_SHA256, STRING, offsetof(fw_object, of.targets.made.entry.image.sha256)},
    {FW_AT_IMAGE_SHA512, STRING, offsetof(fw_object, of.targets.made.entry.sha512)},
    {FW_AT_IMAGE_RELEASE_COUNTER, 4, offsetof(fw_object, of.targets.made.entry.image.release_counter)},
    {FW_AT_TIME_ATTESTATION_TIME, 8, offsetof(fw_object, of.attestation.time)},
    {FW_AT_TIME_ATTESTATION_NONCE, STRING, offsetof(fw_object, of.attestation.nonce)},
    {FW_AT_VEHICLE_ORDER_BUNDLE, STRING, offsetof(fw_object, of.order.bundle)},
    {FW_AT_VEHICLE_ORDER_TARGETS_VERSION, 4, offsetof(fw_object, of.order.targets_version)},
    {FW_AT_VEHICLE_ORDER_PHASE, 1, offsetof(fw_object, of.order.phase)},
};

/* The place of a value or a string, and its size; NULL for others. */
static uint8_t *place_of(fw_object *object, uint8_t field, bool is_string, uint8_t *size)
{
    for (size_t i = 0; i < sizeof PLACES / sizeof PLACES[0]; i++) {
        if (PLACES[i].field == field && (PLACES[i].size == STRING) == is_string) {
            *size = PLACES[i].size;
            return (uint8_t *)object + PLACES[i].offset;
        }
    }
    return NULL;
}

/* A span of `length` octets begins here. */
static fw_span span_from_here(const fw_object *object, uint64_t length)
{
    return (fw_span){object->reader.at, (uint32_t)length};
}

static bool see_targets(fw_object *object, uint8_t field, uint64_t value)
{
    fw_targets_scratch *targets = &object->of.targets;
    bool is_directors = object->speaker == FW_SPEAKS_VEHICLE;
    switch (field) {
    case FW_AT_TARGETS_COORDINATOR:
        object->scheme = (uint8_t)value;
        return is_directors;
    case FW_AT_TARGETS_REFRESH_IMAGE_ROOT:
        return is_directors || value == 0;
    case FW_AT_TARGETS_ENTRIES:
        fw_sha256_start(&targets->entries_hash);
        object->entries = span_from_here(object, value);
        return true;
    case FW_AT_TARGETS_DELEGATIONS:
        targets->delegates = true;
        return true;
    case FW_AT_ASSIGNMENT_ENCRYPTED:
        targets->encrypted = true;
        return true;
    default:
        return true;
    }
}

static void begin_payload(fw_object *object, uint8_t tag)
{
    object->tag = tag;
    if (tag == FW_PAYLOAD_TARGETS) {
        object->of.targets.made.coordinator.scheme = FW_NO_KEY;
    } else if (tag == FW_PAYLOAD_ROOT) {
        fw_sha256_start(&object->of.root.key_hash);
    }
}

bool fw_seen_value(fw_object *object, uint8_t field, uint64_t value)
{
    uint8_t size = 0;
    uint8_t *place = place_of(object, field, false, &size);
    if (place != NULL) {
        uint32_t word = (uint32_t)value;
        *place = (uint8_t)value;
        if (size > 1) {
            memcpy(place, size == sizeof word ? (const void *)&word : &value, size);
        }
        return true;
    }
    switch (field) {
    case FW_AT_ENVELOPE_PAYLOAD:
        object->payload = span_from_here(object, value);
        return true;
    case FW_AT_PAYLOAD:
        begin_payload(object, (uint8_t)value);
        return true;
    case FW_AT_ROLE_KEYS_ROLE:
        begin_role(&object->of.root, (uint8_t)value);
        return true;
    case FW_AT_ROLE_KEYS_THRESHOLD:
        end_role(&object->of.root, (uint8_t)value);
        return true;
    default:
        return see_targets(object, field, value);
    }
}

static void add_signature(fw_object *object, uint32_t length)
{
    uint8_t number = object->signature_count++;
    if (number >= FW_SIGNATURES_MAX) {
        return; /* too many: fw_check_envelope refuses them all */
    }
    fw_signature *signature = &object->signatures[number];
    signature->length = (uint16_t)length;
    memcpy(signature->key_id, object->key_id, sizeof object->key_id);
    memcpy(signature->octets, object->text, length <= FW_SIGNATURE_MAX ? length : 0);
}

bool fw_seen_text(fw_object *object, uint8_t field, uint32_t length)
{
    fw_entry *entry = &object->of.targets.made.entry;
    uint8_t size = 0;
    uint8_t *place = place_of(object, field, true, &size);
    if (place != NULL) {
        memcpy(place, object->text, length);
    }
    switch (field) {
    case FW_AT_SIGNATURE_OCTETS:
        add_signature(object, length);
        break;
    case FW_AT_SPEAKER_VEHICLE:
        object->own_vehicle = is_name(object, &object->facts->vehicle, length);
        break;
    case FW_AT_PUBLIC_KEY_EACH:
        add_key(object, length);
        break;
    case FW_AT_KEY_IDS_EACH:
        if (object->tag == FW_PAYLOAD_ROOT) {
            add_to_role(object);
        }
        break;
    case FW_AT_IMAGE_FILENAME:
        entry->image.filename.length = (uint8_t)length;
        break;
    case FW_AT_IMAGE_SHA512:
        entry->has_sha512 = true;
        break;
    case FW_AT_IMAGE_HARDWARE:
    case FW_AT_IMAGE_ALTERNATIVES_EACH:
        return add_hardware(object, field == FW_AT_IMAGE_HARDWARE, (uint8_t)length);
    default:
        break;
    }
    return true;
}
