/* Counting refusals (twin of secondary/refusals.py).
 *
 * The record, numbers big-endian: format 1, then for each its code (2) and count (4), as many as there are. Counts stop
 * at the highest number there is.
 */
#include "refusals.h"

#include "octets.h"

#include <string.h>

#define FORMAT 1u
#define PAIR 6u

/* The place of what gives way to one more kind: the least frequent misuse, and of those the first; `kinds` if none
 * does. */
static uint8_t lesser(const fw_refusals *refusals)
{
    uint8_t least = refusals->kinds;
    for (uint8_t i = 0; i < refusals->kinds; i++) {
        if (fw_is_misuse(refusals->of[i].check) &&
            (least == refusals->kinds || refusals->of[i].count < refusals->of[least].count)) {
            least = i;
        }
    }
    return least;
}

bool fw_refusals_count(fw_refusals *refusals, fw_check check)
{
    uint8_t at = 0;
    while (at < refusals->kinds && refusals->of[at].check != check) {
        at++;
    }
    if (at == refusals->kinds) {
        if (refusals->kinds == FW_REFUSAL_KINDS_MAX) {
            uint8_t gone = lesser(refusals);
            if (gone == refusals->kinds || fw_is_misuse(check)) {
                return false;
            }
            refusals->kinds--;
            memmove(&refusals->of[gone], &refusals->of[gone + 1],
                    (size_t)(refusals->kinds - gone) * sizeof refusals->of[0]);
        }
        at = refusals->kinds++;
        refusals->of[at].check = check;
        refusals->of[at].count = 0;
    }
    uint32_t before = refusals->of[at].count;
    if (before == UINT32_MAX) {
        return false;
    }
    refusals->of[at].count = before + 1;
    return (before & (before + 1)) == 0; /* 0, 1, 3, 7, ...: the next one has a bit more */
}

bool fw_refusals_store(const fw_refusals *refusals, fw_store *store)
{
    uint8_t octets[1 + FW_REFUSAL_KINDS_MAX * PAIR] = {FORMAT};
    uint8_t *next = octets + 1;
    for (uint8_t i = 0; i < refusals->kinds; i++, next += PAIR) {
        next[0] = (uint8_t)(refusals->of[i].check >> 8);
        next[1] = (uint8_t)refusals->of[i].check;
        fw_put_u32(next + 2, refusals->of[i].count);
    }
    return fw_store_put(store, FW_RECORD_REFUSALS, octets, (uint16_t)(next - octets));
}

void fw_refusals_load(fw_refusals *refusals, const fw_store *store)
{
    uint8_t octets[1 + FW_REFUSAL_KINDS_MAX * PAIR];
    uint16_t length = fw_store_length(store, FW_RECORD_REFUSALS);
    length = length < sizeof octets ? length : (uint16_t)sizeof octets;
    memset(refusals, 0, sizeof *refusals);
    if (!fw_store_has(store, FW_RECORD_REFUSALS)) {
        return;
    }
    if (!fw_store_get(store, FW_RECORD_REFUSALS, 0, octets, length) || length == 0 || octets[0] != FORMAT) {
        (void)fw_refusals_count(refusals, FW_STATE_DAMAGED);
        return;
    }
    for (const uint8_t *next = octets + 1; next + PAIR <= octets + length; next += PAIR) {
        fw_check check = (fw_check)(next[0] << 8 | next[1]);
        uint32_t count = fw_get_u32(next + 2);
        if (fw_is_check(check) && count != 0) {
            refusals->of[refusals->kinds].check = check;
            refusals->of[refusals->kinds++].count = count;
        }
    }
}
