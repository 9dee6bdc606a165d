/* Roots: a link of the chain, the first one, and what is held of them (twin of uptane/verify/root.py and chain.py). */
#ifndef FW_ROOT_H
#define FW_ROOT_H

#include "threshold.h"

#define FW_ROOT_FORMAT 1u

/* Whether the newest Root has expired at `utc`: ROOT_EXPIRED. */
fw_check fw_check_root_expiry(const fw *ecu, uint64_t utc);

/* Read the provisioned Root from the facts, and store it. */
fw_check fw_provision_root(fw *ecu);

#endif
