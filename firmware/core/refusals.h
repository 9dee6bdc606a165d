/* What this ECU refused since the last released update: by check, how often (twin of secondary/refusals.py). */
#ifndef FW_REFUSALS_H
#define FW_REFUSALS_H

#include "fw_codes.h"
#include "fw_limits.h"

typedef struct {
    uint8_t kinds;
    struct {
        uint16_t check;
        uint32_t count;
    } of[FW_REFUSAL_KINDS_MAX]; /* in the order in which they first came */
} fw_refusals;

#endif
