/* The core's reader and verification, to be called from Python: metadata_pair.py says what for. Linked against the host
 * library, whose ECU it uses.
 */
#include "host.h"
#include "patterns.h"
#include "root.h"
#include "targets.h"

#define OUT_MAX 4096u

typedef struct {
    uint8_t *octets;
    uint32_t length;
} out;

static void put(out *to, const void *octets, uint32_t length)
{
    if (to->length + length <= OUT_MAX) {
        memcpy(to->octets + to->length, octets, length);
    }
    to->length += length;
}

static void number(out *to, uint64_t value)
{
    for (int shift = 56; shift >= 0; shift -= 8) {
        uint8_t octet = (uint8_t)(value >> shift);
        put(to, &octet, 1);
    }
}

static void put_root(out *to, const fw_root_scratch *scratch)
{
    const fw_root *root = &scratch->made;
    number(to, scratch->too_many);
    if (scratch->too_many) {
        return;
    }
    number(to, scratch->unsound);
    if (scratch->unsound) {
        return;
    }
    for (uint8_t i = 0; i < root->key_count; i++) {
        put(to, root->keys[i].key_id, FW_KEY_ID_LENGTH);
        number(to, root->keys[i].key.scheme);
        put(to, root->keys[i].key.octets, 32);
    }
    for (uint8_t role = 0; role < FW_ROLES; role++) {
        number(to, root->roles[role].keys);
        number(to, root->roles[role].threshold);
    }
}

static void put_targets(out *to, const fw_targets_scratch *scratch)
{
    const fw_targets *made = &scratch->made;
    put(to, made->bundle, FW_BUNDLE_LENGTH);
    number(to, made->coordinator.scheme);
    number(to, scratch->delegates);
    number(to, made->has_entry);
    if (!made->has_entry) {
        return;
    }
    put(to, made->entry.digest, FW_SHA256_LENGTH);
}

static void put_entry(out *to, const fw_targets_scratch *scratch)
{
    const fw_entry *entry = &scratch->made.entry;
    number(to, scratch->fits);
    number(to, scratch->encrypted);
    put(to, entry->image.filename.text, entry->image.filename.length);
    number(to, entry->image.length);
    number(to, entry->image.release_counter);
    put(to, entry->image.sha256, FW_SHA256_LENGTH);
    number(to, entry->has_sha512);
    put(to, entry->sha512, FW_SHA512_LENGTH);
}

static void put_payload(out *to, const fw_object *object)
{
    number(to, object->tag);
    number(to, object->level);
    if (object->tag <= FW_PAYLOAD_TARGETS) {
        number(to, object->speaker);
        number(to, object->version);
        number(to, object->expires);
        number(to, object->issued);
    }
    if (object->tag == FW_PAYLOAD_ORDER || object->speaker == FW_SPEAKS_VEHICLE) {
        number(to, object->own_vehicle);
    }
    if (object->tag == FW_PAYLOAD_ROOT) {
        put_root(to, &object->of.root);
    } else if (object->tag == FW_PAYLOAD_TARGETS) {
        put_targets(to, &object->of.targets);
        if (object->of.targets.made.has_entry && object->reader.fault[FW_IN_ENTRY] == FW_OK) {
            put_entry(to, &object->of.targets);
        }
    } else if (object->tag == FW_PAYLOAD_ATTESTATION) {
        number(to, object->of.attestation.time);
        put(to, object->of.attestation.nonce, FW_NONCE_LENGTH);
    } else if (object->tag == FW_PAYLOAD_ORDER) {
        put(to, object->of.order.bundle, FW_BUNDLE_LENGTH);
        number(to, object->of.order.targets_version);
        number(to, object->of.order.phase);
    }
}

/* Everything that was read, as far as it may be believed once its signatures hold. */
static uint32_t describe(const fw_object *object, uint8_t *octets)
{
    out to = {octets, 0};
    const fw_check *fault = object->reader.fault;
    number(&to, fault[FW_IN_ENVELOPE]);
    if (fault[FW_IN_ENVELOPE] != FW_OK) {
        return to.length;
    }
    number(&to, object->signature_count);
    for (uint8_t i = 0; i < object->signature_count && i < FW_SIGNATURES_MAX; i++) {
        const fw_signature *signature = &object->signatures[i];
        put(&to, signature->key_id, FW_KEY_ID_LENGTH);
        number(&to, signature->length);
        put(&to, signature->octets, FW_SIGNATURE_MAX);
    }
    put(&to, object->sha512.digest, FW_SHA512_LENGTH);
    fw_check payload = fault[FW_IN_PAYLOAD] != FW_OK ? fault[FW_IN_PAYLOAD] : fault[FW_IN_LIST];
    number(&to, payload);
    if (payload == FW_OK) {
        number(&to, fault[FW_IN_ENTRY]);
        put_payload(&to, object);
    }
    return to.length;
}

/* Deliver an object in slices: `slice` octets each, or of lengths that change if it is 0. */
void bench_deliver(fw *ecu, uint8_t kind, const uint8_t *octets, uint32_t length, uint32_t slice)
{
    uint32_t dice = 1;
    fw_object_begin(&ecu->object, ecu->facts, kind, length);
    for (uint32_t at = 0; at < length;) {
        dice = dice * 1103515245u + 12345u;
        uint32_t count = slice != 0 ? slice : 1u + (dice >> 16) % 37u;
        count = count < length - at ? count : length - at;
        fw_object_add(&ecu->object, octets + at, count);
        at += count;
    }
    fw_object_end(&ecu->object);
}

/* What is read of an object, whatever its signatures; 0 when it depends on how it is sliced. */
uint32_t bench_read(fw *ecu, const uint8_t *octets, uint32_t length, uint8_t *read)
{
    static const uint32_t SLICES[] = {1, 0, 512};
    uint8_t other[OUT_MAX];
    uint32_t count = 0;
    for (uint8_t i = 0; i < 3; i++) {
        bench_deliver(ecu, FW_OBJECT_TARGETS, octets, length, SLICES[i]);
        uint32_t found = describe(&ecu->object, i == 0 ? read : other);
        if (found > OUT_MAX || (i > 0 && (found != count || memcmp(read, other, count) != 0))) {
            return 0;
        }
        count = found;
    }
    return count;
}

/* The deepest that the stack ever was, over all messages that were read by bytes of one. */
uint8_t bench_depth(fw *ecu, const uint8_t *octets, uint32_t length)
{
    uint8_t deepest = 0;
    fw_object_begin(&ecu->object, ecu->facts, FW_OBJECT_TARGETS, length);
    for (uint32_t at = 0; at < length; at++) {
        fw_object_add(&ecu->object, octets + at, 1);
        deepest = ecu->object.reader.depth > deepest ? ecu->object.reader.depth : deepest;
    }
    return deepest;
}

bool bench_accepts(const uint8_t *rule, uint8_t rule_length, const uint8_t *name, uint8_t name_length)
{
    fw_filename pattern = {.length = rule_length}, filename = {.length = name_length};
    memcpy(pattern.text, rule, rule_length);
    memcpy(filename.text, name, name_length);
    return fw_accepts(&pattern, &filename);
}

/* An ECU as verification wants it: installed, with a nonce, at an instant. */
void bench_set(fw *ecu, const uint8_t nonce[FW_NONCE_LENGTH], uint32_t released_counter, uint64_t now)
{
    memcpy(ecu->nonce, nonce, FW_NONCE_LENGTH);
    ecu->has_nonce = true;
    ecu->installation.released_counter = released_counter;
    ecu->port->now = now;
    ecu->now = now;
}

/* What the ECU runs, confirmed. */
void bench_install(fw *ecu)
{
    ecu->installation.images[ecu->installation.home] = ecu->held.targets.entry.image;
}

/* The transaction that orders are for: of the Targets that are held. */
void bench_bind(fw *ecu, const uint8_t *coordinator, bool has_bundle)
{
    fw_installation *installation = &ecu->installation;
    installation->has_bundle = has_bundle;
    memcpy(installation->bundle, ecu->held.targets.bundle, FW_BUNDLE_LENGTH);
    installation->targets_version = ecu->held.targets.version;
    installation->coordinator.scheme = coordinator == NULL ? FW_NO_KEY : FW_ED25519;
    if (coordinator != NULL) {
        memcpy(installation->coordinator.octets, coordinator, 32);
    }
}

int bench_order(fw *ecu)
{
    uint8_t phase = 0xFF;
    fw_check check = fw_check_order(ecu, &phase);
    return check == FW_OK ? 0x10000 + phase : check;
}

/* Verify a Root while the power fails at the flash operation that comes after so many: -1 if it did. */
int bench_cut_root(fw *ecu, uint64_t after)
{
    fw_port *port = ecu->port;
    volatile int check = -1;
    fw_host_cut(port, after);
    port->running = true;
    if (setjmp(port->power) == 0) {
        check = fw_take_root(ecu);
    }
    port->running = false;
    fw_host_cut(port, UINT64_MAX);
    return check;
}

uint32_t bench_held(const fw *ecu, uint8_t *octets)
{
    out to = {octets, 0};
    const fw_held *held = &ecu->held;
    number(&to, held->root_version);
    number(&to, held->root_expires);
    number(&to, held->time);
    number(&to, held->previous_time);
    number(&to, held->attested);
    number(&to, fw_utc(ecu));
    number(&to, held->has_previous);
    number(&to, held->has_previous ? held->previous_counter : 0);
    number(&to, held->targets.present);
    if (held->targets.present) {
        number(&to, held->targets.version);
        put(&to, held->targets.payload, FW_SHA512_LENGTH);
        put(&to, held->targets.bundle, FW_BUNDLE_LENGTH);
        number(&to, held->targets.has_entry);
    }
    return to.length;
}

/* A signed report: what fw_report.said would be, then the envelope. */
uint32_t bench_report(fw *ecu, uint32_t counter, uint8_t *octets)
{
    uint16_t length = fw_sign_report(ecu, counter, octets);
    memcpy(octets + 32, ecu->report.octets, length);
    return 32u + length;
}

void bench_digest(const fw *ecu, uint8_t said[32])
{
    fw_digest_report(ecu, said);
}

/* Have it refused these checks, so often. */
void bench_refuse(fw *ecu, uint8_t kinds, const uint16_t *checks, const uint32_t *counts)
{
    ecu->refusals.kinds = kinds;
    for (uint8_t i = 0; i < kinds; i++) {
        ecu->refusals.of[i].check = checks[i];
        ecu->refusals.of[i].count = counts[i];
    }
}

/* Where a transaction stands, as a report says it. */
void bench_state(fw *ecu, uint8_t state, uint8_t outcome, uint32_t targets_version, const uint8_t *bundle)
{
    fw_installation *installation = &ecu->installation;
    installation->state = state;
    installation->outcome = outcome;
    installation->targets_version = targets_version;
    installation->has_bundle = bundle != NULL;
    if (bundle != NULL) {
        memcpy(installation->bundle, bundle, FW_BUNDLE_LENGTH);
    }
}

void bench_time(fw *ecu, uint64_t time, uint64_t previous)
{
    ecu->held.time = time;
    ecu->held.previous_time = previous;
}
