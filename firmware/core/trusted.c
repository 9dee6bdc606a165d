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

/* What fw_drop_stale has to do. */
enum { DROP_PREVIOUS = 1, DROP_TARGETS = 2, RENEW_TIME = 4 };

static bool load_root(fw *ecu, uint64_t *issued)
{
    fw_root *root = &ecu->object.of.root.made; /* its head is read; nothing is delivered yet */
    /* An ECU that has ever drawn a nonce had a Root: it is not to fall back to the one it left the factory with. */
    if (!fw_store_has(&ecu->store, FW_RECORD_ROOT) && !fw_store_has(&ecu->store, FW_RECORD_NONCE) &&
        fw_provision_root(ecu) != FW_OK) {
        return false;
    }
    if (!fw_store_get(&ecu->store, FW_RECORD_ROOT, 0, root, offsetof(fw_root, keys)) ||
        root->format != FW_ROOT_FORMAT) {
        return false;
    }
    ecu->held.root_version = root->version;
    ecu->held.root_expires = root->expires;
    *issued = root->issued;
    return true;
}

static void load_targets(fw *ecu)
{
    const fw_authority authority = fw_trusted_authority(ecu, FW_ROLE_TARGETS);
    fw_held *held = &ecu->held;
    if (fw_targets_still(ecu, FW_RECORD_PREVIOUS, &authority) &&
        fw_read_targets(ecu, FW_RECORD_PREVIOUS, &held->targets)) {
        held->has_previous = true;
        held->previous_counter = held->targets.entry.image.release_counter;
    } else if (fw_store_has(&ecu->store, FW_RECORD_PREVIOUS)) {
        held->stale |= DROP_PREVIOUS;
    }
    if (!fw_targets_still(ecu, FW_RECORD_TARGETS, &authority) ||
        !fw_read_targets(ecu, FW_RECORD_TARGETS, &held->targets)) {
        memset(&held->targets, 0, sizeof held->targets);
        held->targets.coordinator.scheme = FW_NO_KEY;
        held->stale |= fw_store_has(&ecu->store, FW_RECORD_TARGETS) ? DROP_TARGETS : 0;
    }
}

bool fw_load_held(fw *ecu)
{
    uint64_t issued = 0;
    memset(&ecu->held, 0, sizeof ecu->held);
    if (!load_root(ecu, &issued) || !fw_load_time(ecu)) {
        return false;
    }
    load_targets(ecu);
    const fw_authority clocks = fw_trusted_authority(ecu, FW_ROLE_TIME);
    fw_time_under under = fw_time_under_root(ecu, &clocks, issued);
    fw_set_time_under(ecu, &under);
    ecu->held.stale |= under.reset ? RENEW_TIME : 0;
    return true;
}

bool fw_drop_stale(fw *ecu)
{
    const fw_authority clocks = fw_trusted_authority(ecu, FW_ROLE_TIME);
    fw_held *held = &ecu->held;
    /* A key that was removed and comes back must not make the old time good again. */
    bool is_done = (held->stale & RENEW_TIME) == 0 || fw_store_time(ecu, held->time, held->previous_time, &clocks);
    if (is_done && (held->stale & DROP_PREVIOUS) != 0) {
        is_done = fw_store_delete(&ecu->store, FW_RECORD_PREVIOUS);
    }
    if (is_done && (held->stale & DROP_TARGETS) != 0) {
        is_done = fw_store_delete(&ecu->store, FW_RECORD_TARGETS);
    }
    held->stale = 0;
    return is_done;
}
