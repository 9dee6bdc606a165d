/* The latest proven time, its record, and the keys that proved it (twin of uptane/verify/attested.py). */
#ifndef FW_CLOCK_H
#define FW_CLOCK_H

#include "trusted.h"

/* The time under a Root that keeps `time_keys` of those that attested it: set back if it `resets`, raised to the Root's
 * `issued` (attested.under). True: it is another one now. */
bool fw_time_under_root(fw *ecu, uint64_t issued, uint16_t time_keys, bool resets);

/* Store a time; `keys` attested it. */
bool fw_store_time(fw *ecu, uint64_t time, uint64_t previous, uint16_t keys);

/* Read the record, if there is one, under the Root of which the head is given; false when it has an unknown format. */
bool fw_load_time(fw *ecu, const fw_root *root);

#endif
