/* Counting refusals (twin of secondary/refusals.py).
 *
 * The record is the structure's own octets, little-endian: format 1, how many kinds, two zeros; then for each its code
 * (2), two zeros and its count (4), as many as there are. A code that this software does not know is kept and reported
 * all the same: what a newer one refused, it refused. Counts stop at the highest number there is.
 */
#include "refusals.h"

#include <stddef.h>
#include <string.h>

#define FORMAT 1u
#define HEAD offsetof(fw_refusals, of)

_Static_assert(HEAD == 4 && sizeof(((fw_refusals *)0)->of[0]) == 8, "the record is as described");

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
            memmove(
                &refusals->of[gone], &refusals->of[gone + 1],
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

static uint16_t length_of(const fw_refusals *refusals)
{
    return (uint16_t)(HEAD + refusals->kinds * sizeof refusals->of[0]);
}

bool fw_refusals_store(fw_refusals *refusals, fw_store *store)
{
    refusals->format = FORMAT;
    return fw_store_put(store, FW_RECORD_REFUSALS, refusals, length_of(refusals));
}

void fw_refusals_load(fw_refusals *refusals, const fw_store *store)
{
    memset(refusals, 0, sizeof *refusals);
    if (!fw_store_has(store, FW_RECORD_REFUSALS)) {
        return;
    }
    if (!fw_store_get(store, FW_RECORD_REFUSALS, 0, refusals, HEAD) || refusals->format != FORMAT ||
        refusals->kinds > FW_REFUSAL_KINDS_MAX ||
        !fw_store_get(store, FW_RECORD_REFUSALS, 0, refusals, length_of(refusals))) {
        memset(refusals, 0, sizeof *refusals);
        (void)fw_refusals_count(refusals, FW_STATE_DAMAGED);
    }
}
