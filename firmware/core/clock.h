/* The latest proven time, its record, and the keys that proved it (twin of uptane/verify/attested.py). */
#ifndef FW_CLOCK_H
#define FW_CLOCK_H

#include "threshold.h"

typedef struct {
    bool changed, reset; /* reset: a time key was removed; then the keys of the record are the new Root's */
    uint64_t time;
} fw_time_under;

/* The time under a Root: set back when the Root has removed a time key, raised to its `issued` (attested.under). */
fw_time_under fw_time_under_root(const fw *ecu, const fw_authority *keys, uint64_t issued);
/* Make it so, in RAM. */
void fw_set_time_under(fw *ecu, const fw_time_under *under);

/* Store held.time and held.previous_time; `keys` are who proved it, NULL for those of the record that is there. */
bool fw_store_time(fw *ecu, uint64_t time, uint64_t previous, const fw_authority *keys);

/* Read the record, if there is one; false when it is damaged or of an unknown format. */
bool fw_load_time(fw *ecu);

#endif
