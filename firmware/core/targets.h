/* The Director's Targets: verifying them, holding them, their records (twin of uptane/verify/partial.py, roles.py). */
#ifndef FW_TARGETS_H
#define FW_TARGETS_H

#include "threshold.h"

#define FW_TARGETS_FORMAT 1u

/* Which of the stored Targets, the newest and the previous ones, are not signed by enough keys of a Root: FW_STALE_*
 * (twin of stored.still). */
uint8_t fw_stale_targets(fw *ecu, const fw_authority *authority);

/* Hold what is stored, but for what is stale. */
void fw_load_targets(fw *ecu);

#endif
