/* Time: all of an attestation, or nothing of it (twin of uptane/verify/attested.py).
 *
 * The keys that attested the time lie in its record only, and are read one by one.
 */
#include "clock.h"

#include <string.h>

#include "state.h"

#define FORMAT 1u
#define MS_PER_S 1000u

typedef struct {
    uint64_t time, previous;
    uint8_t format, key_count;
    uint8_t unused[6]; /* no octet of a record is left to chance */
} record_head;

/* Milliseconds to seconds without a division of 64 bits: 2^32 ms are 4,294,967 s and 296 ms. */
static uint64_t seconds(uint64_t ms)
{
    uint32_t high = (uint32_t)(ms >> 32), low = (uint32_t)ms;
    return (uint64_t)high * 4294967u + low / MS_PER_S + (high * 296u + low % MS_PER_S) / MS_PER_S;
}

uint64_t fw_utc(const fw *ecu)
{
    uint64_t utc = ecu->held.time + seconds(ecu->now - ecu->held.clock_set);
    return utc < ecu->held.time ? UINT64_MAX : utc;
}

/* The number of keys in the record of the time, 0 if there is none. */
static uint8_t stored_keys(const fw *ecu)
{
    record_head head;
    return fw_store_get(&ecu->store, FW_RECORD_TIME, 0, &head, sizeof head) ? head.key_count : 0;
}

static void stored_key(const fw *ecu, uint8_t number, fw_key *key)
{
    memset(key, 0, sizeof *key);
    (void)fw_store_get(
        &ecu->store, FW_RECORD_TIME, (uint16_t)(sizeof(record_head) + number * sizeof *key), key, sizeof *key);
}

static bool has_key(const fw *ecu, const fw_authority *keys, const fw_key *wanted)
{
    fw_root_key key;
    for (uint8_t number = 0; number < FW_ROOT_KEYS_MAX; number++) {
        if ((keys->mask >> number & 1u) != 0) {
            fw_authority_key(ecu, keys, number, &key);
            if (memcmp(&key.key, wanted, sizeof *wanted) == 0) {
                return true;
            }
        }
    }
    return false;
}

fw_time_under fw_time_under_root(const fw *ecu, const fw_authority *keys, uint64_t issued)
{
    uint64_t floor = ecu->facts->floor > issued ? ecu->facts->floor : issued;
    uint8_t count = stored_keys(ecu);
    fw_key key;
    for (uint8_t number = 0; number < count; number++) {
        stored_key(ecu, number, &key);
        if (!has_key(ecu, keys, &key)) {
            return (fw_time_under){.changed = true, .reset = true, .time = floor};
        }
    }
    return (fw_time_under){.changed = ecu->held.time < floor, .time = floor};
}

void fw_set_time_under(fw *ecu, const fw_time_under *under)
{
    if (!under->changed) {
        return;
    }
    if (under->reset) {
        ecu->held.previous_time = ecu->held.time;
        ecu->held.attested = false;
    }
    ecu->held.time = under->time;
    ecu->held.clock_set = ecu->now;
}

static uint8_t count_keys(const fw_authority *keys)
{
    uint8_t count = 0;
    for (uint16_t mask = keys->mask; mask != 0; mask &= (uint16_t)(mask - 1u)) {
        count++;
    }
    return count;
}

bool fw_store_time(fw *ecu, uint64_t time, uint64_t previous, const fw_authority *keys)
{
    record_head head = {.time = time, .previous = previous, .format = FORMAT};
    fw_root_key key;
    head.key_count = keys == NULL ? stored_keys(ecu) : count_keys(keys);
    uint16_t length = (uint16_t)(sizeof head + head.key_count * sizeof key.key);
    bool is_stored =
        fw_store_begin(&ecu->store, FW_RECORD_TIME, length) && fw_store_add(&ecu->store, &head, sizeof head);
    for (uint8_t number = 0; is_stored && keys == NULL && number < head.key_count; number++) {
        stored_key(ecu, number, &key.key);
        is_stored = fw_store_add(&ecu->store, &key.key, sizeof key.key);
    }
    for (uint8_t number = 0; is_stored && keys != NULL && number < FW_ROOT_KEYS_MAX; number++) {
        if ((keys->mask >> number & 1u) != 0) {
            fw_authority_key(ecu, keys, number, &key);
            is_stored = fw_store_add(&ecu->store, &key.key, sizeof key.key);
        }
    }
    return is_stored && fw_store_end(&ecu->store);
}

bool fw_load_time(fw *ecu)
{
    record_head head = {.time = ecu->facts->floor, .previous = ecu->facts->floor, .format = FORMAT};
    if (fw_store_has(&ecu->store, FW_RECORD_TIME)) {
        bool is_read = fw_store_get(&ecu->store, FW_RECORD_TIME, 0, &head, sizeof head);
        if (!is_read || head.format != FORMAT ||
            fw_store_length(&ecu->store, FW_RECORD_TIME) != sizeof head + head.key_count * sizeof(fw_key)) {
            return false;
        }
    }
    ecu->held.time = head.time;
    ecu->held.previous_time = head.previous;
    ecu->held.clock_set = ecu->now;
    return true;
}

fw_check fw_take_attestation(fw *ecu)
{
    const fw_attestation_scratch *attestation = &ecu->object.of.attestation;
    fw_check check = fw_object_take(ecu, FW_OBJECT_ATTESTATION);
    if (check != FW_OK) {
        return check;
    }
    fw_authority authority = fw_trusted_authority(ecu, FW_ROLE_TIME);
    if (!ecu->has_nonce) {
        return FW_TIME_NONCE; /* none is durable yet */
    }
    if (authority.mask == 0) {
        return FW_TIME_ROLE;
    }
    check = fw_opened_object(ecu);
    if (check == FW_OK) {
        check = fw_accept_object(ecu, &authority, FW_PAYLOAD_ATTESTATION, FW_TIME_SIGNATURES);
    }
    if (check != FW_OK) {
        return check;
    }
    if (memcmp(attestation->nonce, ecu->nonce, FW_NONCE_LENGTH) != 0) {
        return FW_TIME_NONCE;
    }
    if (attestation->time < ecu->held.time) {
        return FW_TIME_BACKWARDS;
    }
    if (!fw_store_time(ecu, attestation->time, ecu->held.time, &authority)) {
        return FW_STORAGE;
    }
    ecu->held.previous_time = ecu->held.time;
    ecu->held.time = attestation->time;
    ecu->held.attested = true;
    ecu->held.clock_set = ecu->now;
    return FW_OK;
}
