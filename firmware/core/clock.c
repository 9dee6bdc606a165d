/* Time: all of an attestation, or nothing of it (twin of uptane/verify/attested.py).
 *
 * The keys that attested it are told by their places in the Root; each Root says in its record what became of them.
 */
#include "clock.h"

#include <string.h>

#include "state.h"
#include "threshold.h"

#define FORMAT 1u
#define MS_PER_S 1000u

typedef struct {
    uint64_t time, previous;
    uint8_t format, unused;
    uint16_t keys; /* bit per key of the Root, which attested it */
    uint32_t
        root_version; /* of the Root whose keys they are; a newer one tells in its own record what became of them */
} time_record;

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

bool fw_time_under_root(fw *ecu, uint64_t issued, uint16_t time_keys, bool resets)
{
    fw_held *held = &ecu->held;
    uint64_t floor = ecu->facts->floor > issued ? ecu->facts->floor : issued;
    held->time_keys = time_keys;
    if (!resets && held->time >= floor) {
        return false;
    }
    if (resets) {
        held->previous_time = held->time;
        held->attested = false;
    }
    held->time = floor;
    held->clock_set = ecu->now;
    return true;
}

bool fw_store_time(fw *ecu, uint64_t time, uint64_t previous, uint16_t keys)
{
    const time_record record = {time, previous, FORMAT, 0, keys, ecu->held.root_version};
    bool is_stored = fw_store_put(&ecu->store, FW_RECORD_TIME, &record, sizeof record);
    ecu->held.stale &= is_stored ? (uint8_t)~FW_STALE_TIME : 0xFFu;
    return is_stored;
}

bool fw_load_time(fw *ecu, const fw_root *root)
{
    time_record record = {ecu->facts->floor, ecu->facts->floor, FORMAT, 0, 0, root->version};
    bool is_read = fw_store_get(&ecu->store, FW_RECORD_TIME, 0, &record, sizeof record);
    bool is_older = record.root_version != root->version;
    ecu->held.time = record.time;
    ecu->held.previous_time = record.previous;
    ecu->held.clock_set = ecu->now;
    bool resets = is_older && root->resets_time;
    (void)fw_time_under_root(ecu, root->issued, is_older ? root->time_keys : record.keys, resets);
    ecu->held.stale |= resets ? FW_STALE_TIME : 0;
    return record.format == FORMAT && is_read == fw_store_has(&ecu->store, FW_RECORD_TIME);
}

fw_check fw_take_attestation(fw *ecu)
{
    const fw_attestation_scratch *attestation = &ecu->object.of.attestation;
    const fw_authority authority = fw_trusted_authority(ecu, FW_ROLE_TIME);
    fw_held *held = &ecu->held;
    fw_check check = fw_object_take(ecu, FW_OBJECT_ATTESTATION);
    if (check == FW_OK && !ecu->has_nonce) {
        return FW_TIME_NONCE; /* none is durable yet */
    }
    if (check == FW_OK && authority.mask == 0) {
        return FW_TIME_ROLE;
    }
    if (check == FW_OK) {
        check = fw_accept_object(ecu, &authority, FW_PAYLOAD_ATTESTATION, FW_TIME_SIGNATURES);
    }
    if (check != FW_OK) {
        return check;
    }
    if (memcmp(attestation->nonce, ecu->nonce, FW_NONCE_LENGTH) != 0) {
        return FW_TIME_NONCE;
    }
    if (attestation->time < held->time) {
        return FW_TIME_BACKWARDS;
    }
    if (!fw_store_time(ecu, attestation->time, held->time, authority.mask)) {
        return FW_STORAGE;
    }
    held->previous_time = held->time;
    held->time = attestation->time;
    held->time_keys = authority.mask;
    held->attested = true;
    held->clock_set = ecu->now;
    return FW_OK;
}
