/* What this ECU refused since the last released update: by check, how often (twin of secondary/refusals.py).
 *
 * Anyone on the bus can have things refused. So the misuse of the link gives way to refusals of signed things when
 * there is no room, and what an attacker repeats is written to the flash at powers of two only.
 */
#ifndef FW_REFUSALS_H
#define FW_REFUSALS_H

#include "fw_codes.h"
#include "fw_limits.h"
#include "store.h"

typedef struct {
    uint8_t format, kinds;
    struct {
        uint16_t check;
        uint32_t count;
    } of[FW_REFUSAL_KINDS_MAX]; /* in the order in which they first came */
} fw_refusals;

/* One more of `check`; true when its count has reached one that is worth a write: 1, 2, 4, 8, ... */
bool fw_refusals_count(fw_refusals *refusals, fw_check check);

bool fw_refusals_store(fw_refusals *refusals, fw_store *store);

/* What is stored; codes of checks this software does not know are left out. A record that cannot be read stops
 * nobody from booting, and is counted. */
void fw_refusals_load(fw_refusals *refusals, const fw_store *store);

#endif
