/* Deadlines in 32 bits: half the code of 64 on a 32-bit processor. Right as long as none lies more than 24 days from
 * now. */
#ifndef FW_INSTANTS_H
#define FW_INSTANTS_H

#include "state.h"

typedef uint32_t fw_instant; /* the low half of `now` */

static inline fw_instant fw_after(const fw *ecu, uint32_t ms)
{
    return (fw_instant)ecu->now + ms;
}

static inline int32_t fw_until(const fw *ecu, fw_instant at)
{
    return (int32_t)(at - (fw_instant)ecu->now);
}

static inline bool fw_is_due(const fw *ecu, fw_instant at)
{
    return fw_until(ecu, at) <= 0;
}

/* `ms` from now; INT32_MAX: never. */
static inline uint64_t fw_instant_of(const fw *ecu, int32_t ms)
{
    return ms == INT32_MAX ? FW_NEVER : ecu->now + (uint64_t)(int64_t)ms;
}

#endif
