/* The Director's Targets: verifying them, holding them, their records (twin of uptane/verify/partial.py, roles.py). */
#ifndef FW_TARGETS_H
#define FW_TARGETS_H

#include "threshold.h"

#define FW_TARGETS_FORMAT 1u

/* Whether stored Targets (FW_RECORD_TARGETS or FW_RECORD_PREVIOUS) are there and signed by enough keys of a Root (twin
 * of stored.still); and reading them, once they are. */
bool fw_targets_still(fw *ecu, fw_record record, const fw_authority *authority);
bool fw_read_targets(const fw *ecu, fw_record record, fw_targets *targets);

#endif
