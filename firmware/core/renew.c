/* When this ECU says what: reports, nonces and refusals are renewed, counted and stored (twin of secondary/report.py,
 * and of `settle`, `heeded` and `count` of attempt.py and state.py). What a report says is report.c's.
 *
 * What holds: a report is signed when something changed or a cycle begins, never because it was read. Its counter only
 * rises: counters are reserved durably in advance, so that nobody on the bus can wear out the flash by asking for
 * reports. When storage fails, what nobody waits for is left undone; the next one tries again.
 */
#include "ecu.h"

#include "fw_crypto.h"
#include "octets.h"

#include <string.h>

#define CYCLE_MS 1000u /* a cycle that begins sooner after a report gets that one */

static const char NONCE_LABEL[] = "marque time nonce"; /* with the zero at its end */

static bool store_counter(fw *ecu, fw_record record, uint32_t value)
{
    uint8_t octets[4];
    fw_put_u32(octets, value);
    return fw_store_put(&ecu->store, record, octets, sizeof octets);
}

/* What a count that was lost begins with is stored before it goes on: so the older copy never says much less. */
static bool store_count(fw *ecu, fw_record record, uint32_t present, uint32_t next)
{
    uint16_t lost = (uint16_t)(1u << record);
    if ((ecu->store.damaged & lost) != 0) {
        if (!store_counter(ecu, record, present)) {
            return false;
        }
        ecu->store.damaged &= (uint16_t)~lost;
    }
    return store_counter(ecu, record, next);
}

static uint32_t load_counter(const fw_store *store, fw_record record)
{
    uint8_t octets[4];
    return fw_store_get(store, record, 0, octets, sizeof octets) ? fw_get_u32(octets) : 0;
}

static uint32_t above(uint32_t count, uint32_t more, uint64_t utc)
{
    uint32_t seconds = (uint32_t)utc;
    count = count < UINT32_MAX - more ? count + more : UINT32_MAX;
    return count > seconds ? count : seconds;
}

/* Both counts must rise. A newest copy that is lost said at most so much more than the one before; where no copy is
 * left: no ECU signs or draws once a second, so the time in seconds is above all that were used. */
void fw_load_counters(fw *ecu)
{
    uint32_t ceiling = load_counter(&ecu->store, FW_RECORD_REPORT);
    uint32_t nonces = load_counter(&ecu->store, FW_RECORD_NONCE);
    if ((ecu->store.damaged & 1u << FW_RECORD_REPORT) != 0) {
        ceiling = above(ceiling, FW_COUNTERS_RESERVED, ecu->held.time);
    }
    if ((ecu->store.damaged & 1u << FW_RECORD_NONCE) != 0) {
        nonces = above(nonces, 1, ecu->held.time);
    }
    ecu->report.counter = ecu->report.ceiling = ceiling;
    ecu->nonce_counter = nonces;
}

/* Sign a new report if this ECU's state is not the one reported, or when a cycle begins. */
static void renew(fw *ecu, bool cycle)
{
    fw_report *report = &ecu->report;
    if (report->length > 0) {
        uint8_t said[sizeof report->said];
        fw_digest_report(ecu, said);
        bool due = cycle && ecu->now - report->signed_at >= CYCLE_MS;
        if (memcmp(said, report->said, sizeof said) == 0 && !due) {
            return;
        }
    }
    uint32_t counter = report->counter + 1;
    if (counter == 0) {
        return; /* every counter is used: in 136 years, a report a second */
    }
    if (counter > report->ceiling) {
        uint32_t ceiling = above(counter, FW_COUNTERS_RESERVED - 1, 0);
        if (!store_count(ecu, FW_RECORD_REPORT, report->ceiling, ceiling)) {
            return;
        }
        report->ceiling = ceiling;
    }
    fw_link_drop_long(ecu); /* whoever is being sent the old one asks again */
    report->counter = counter;
    report->length = fw_sign_report(ecu, counter, report->said);
    report->signed_at = ecu->now;
}

fw_check fw_draw_nonce(fw *ecu)
{
    uint8_t digest[FW_SHA256_LENGTH], octets[4];
    uint32_t counter = ecu->nonce_counter + 1;
    ecu->has_nonce = false;
    if (counter == 0 || !store_count(ecu, FW_RECORD_NONCE, ecu->nonce_counter, counter)) {
        return FW_STORAGE;
    }
    ecu->nonce_counter = counter;
    /* A pseudo-random function: SHA-256 keyed by a secret prefix, over inputs of one length. */
    fw_sha256 hash;
    fw_put_u32(octets, counter);
    fw_sha256_start(&hash);
    fw_sha256_add(&hash, NONCE_LABEL, sizeof NONCE_LABEL);
    fw_sha256_add(&hash, ecu->facts->secret, FW_SECRET_LENGTH);
    fw_sha256_add(&hash, octets, sizeof octets);
    fw_sha256_end(&hash, digest);
    memcpy(ecu->nonce, digest, FW_NONCE_LENGTH);
    ecu->has_nonce = true;
    return FW_OK;
}

/* A nonce that flash refused is drawn as soon as it does not: without one nobody could give this ECU the time. */
static void settle(fw *ecu, bool cycle)
{
    if (!ecu->has_nonce) {
        (void)fw_draw_nonce(ecu);
    }
    renew(ecu, cycle);
}

void fw_settle(fw *ecu)
{
    settle(ecu, false);
}

void fw_count(fw *ecu, fw_check check)
{
    ecu->latest_refusal = check;
    if (fw_refusals_count(&ecu->refusals, check)) {
        (void)fw_refusals_store(&ecu->refusals, &ecu->store);
    }
}

void fw_write_down(fw *ecu, fw_check check)
{
    if (check != FW_OK) {
        fw_count(ecu, check);
    }
    settle(ecu, check == FW_OK);
}
