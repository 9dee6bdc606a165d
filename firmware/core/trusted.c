/* From records back to what is held (twin of uptane/verify/stored.py and secondary/state.load, as far as it is
 * trusted).
 *
 * Targets are verified again under the stored Root: a power cut between a Root and what it takes away ends here.
 */
#include "trusted.h"

#include <string.h>

#include "clock.h"
#include "root.h"
#include "state.h"
#include "targets.h"

bool fw_load_held(fw *ecu)
{
    fw_root *root = &ecu->object.of.root.made; /* its head is read; nothing is delivered yet */
    memset(&ecu->held, 0, sizeof ecu->held);
    ecu->held.targets.coordinator.scheme = FW_NO_KEY;
    /* An ECU that has ever drawn a nonce had a Root: it is not to fall back to the one it left the factory with. */
    if (!fw_store_has(&ecu->store, FW_RECORD_ROOT) && !fw_store_has(&ecu->store, FW_RECORD_NONCE) &&
        fw_provision_root(ecu) != FW_OK) {
        return false;
    }
    if (!fw_store_get(&ecu->store, FW_RECORD_ROOT, 0, root, offsetof(fw_root, keys)) ||
        root->format != FW_ROOT_FORMAT || !fw_load_time(ecu, root)) {
        return false;
    }
    const fw_authority authority = fw_authority_of(root, FW_ROLE_TARGETS);
    const fw_authority trusted = {NULL, authority.mask, authority.threshold, NULL};
    ecu->held.root_version = root->version;
    ecu->held.root_expires = root->expires;
    ecu->held.stale |= fw_stale_targets(ecu, &trusted);
    fw_load_targets(ecu);
    return true;
}

bool fw_drop_stale(fw *ecu)
{
    fw_held *held = &ecu->held;
    uint8_t stale = held->stale;
    if ((stale & FW_STALE_PREVIOUS) != 0) {
        held->has_previous = false;
    }
    if ((stale & FW_STALE_TARGETS) != 0) {
        held->targets.present = held->targets.has_entry = false;
    }
    held->stale &= FW_STALE_TIME;
    return ((stale & FW_STALE_TIME) == 0 || fw_store_time(ecu, held->time, held->previous_time, held->time_keys)) &&
           ((stale & FW_STALE_PREVIOUS) == 0 || fw_store_delete(&ecu->store, FW_RECORD_PREVIOUS)) &&
           ((stale & FW_STALE_TARGETS) == 0 || fw_store_delete(&ecu->store, FW_RECORD_TARGETS));
}
