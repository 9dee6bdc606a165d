/* The Secondary as one machine: frames in; it verifies for itself, installs, and signs what it has to say (twin of
 * secondary/ecu.py).
 *
 * What holds: one event is handled to its end before the next is heard. A restart forgets everything that is not
 * durable; once it was asked for, nothing else is done.
 */
#include "ecu.h"

#include <string.h>

#define REVERT_MS 2000u /* after its session, a given-up image is left for the old one if nobody restarts us */

/* ----------------------------------------------------------------------------------------------------------------
 * power */

/* What was damaged is counted once for each record, and for those whose names are lost. */
static void load_refusals(fw *ecu)
{
    fw_refusals_load(&ecu->refusals, &ecu->store);
    for (uint8_t record = 0; record <= FW_RECORDS; record++) {
        if ((ecu->store.damaged & 1u << record) != 0) {
            (void)fw_refusals_count(&ecu->refusals, FW_STATE_DAMAGED);
        }
    }
}

static fw_start load(fw *ecu)
{
    if (!fw_store_open(&ecu->store, ecu->port)) {
        return FW_NO_STORAGE;
    }
    fw_store_tidy(&ecu->store);
    if (!fw_load_held(ecu)) {
        return FW_NO_ROOT;
    }
    fw_start start = fw_load_installation(&ecu->store, ecu->facts, &ecu->installation);
    load_refusals(ecu);
    fw_load_counters(ecu);
    fw_slots_load(ecu);
    return start;
}

static fw_start boot(fw *ecu, int booted)
{
    fw_check blamed = FW_OK;
    if (booted < 0 && fw_boot(&ecu->store, &ecu->installation, &blamed) != FW_OK) {
        return FW_NO_STORAGE;
    }
    if (booted >= 0 && booted != ecu->installation.running) {
        return FW_NO_INSTALLATION; /* it was not by our record that this slot was chosen */
    }
    fw_drop_stale(ecu);
    if (fw_install_follow(ecu) != FW_OK) {
        return FW_NO_STORAGE;
    }
    if (blamed != FW_OK) {
        fw_count(ecu, blamed);
    }
    fw_settle(ecu);
    return FW_UP;
}

fw_start fw_power_up(fw *ecu, fw_port *port, const fw_facts *facts, int booted, uint64_t now)
{
    memset(ecu, 0, sizeof *ecu);
    ecu->port = port;
    ecu->facts = facts;
    ecu->now = now;
    ecu->revert_at = FW_NEVER;
    ecu->down = true;
    fw_link_start(&ecu->link);
    fw_server_start(&ecu->server);
    fw_object_clear(&ecu->object);
    fw_start start = load(ecu);
    if (start == FW_UP) {
        start = boot(ecu, booted);
    }
    if (start != FW_UP) {
        return start;
    }
    ecu->down = false;
    if (fw_is_unproven(ecu)) {
        ecu->testing = true;
        fw_port_self_test(port, ecu->installation.running);
    }
    return FW_UP;
}

void fw_power_cycle(fw *ecu)
{
    ecu->down = true;
    fw_port_restart(ecu->port);
}

/* Restart into the released image, if the new one was given up; never while the vehicle is not safe. */
static void revert(fw *ecu)
{
    ecu->revert_at = ecu->now + REVERT_MS;
    if (fw_is_reverting(ecu) && fw_port_interlock(ecu->port) == FW_SAFE) {
        fw_power_cycle(ecu);
    }
}

/* ---------------------------------------------------------------------------------------------------------------
 * events */

void fw_heard(fw *ecu, const fw_frame *frame, uint64_t now)
{
    if (!ecu->down) {
        ecu->now = now;
        fw_link_heard(ecu, frame);
    }
}

void fw_tick(fw *ecu, uint64_t now)
{
    if (ecu->down) {
        return;
    }
    ecu->now = now;
    fw_link_tick(ecu);
    fw_server_tick(ecu);
    if (!ecu->down && now >= ecu->revert_at) {
        revert(ecu);
    }
}

void fw_tested(fw *ecu, fw_verdict verdict, uint64_t now)
{
    fw_check blamed;
    if (ecu->down) {
        return;
    }
    ecu->now = now;
    ecu->testing = false;
    if (verdict == FW_DEAD) {
        fw_power_cycle(ecu); /* as a watchdog would; boots are counted */
        return;
    }
    (void)fw_install_vote(ecu, verdict == FW_PASSED, &blamed);
    if (blamed != FW_OK) {
        fw_count(ecu, blamed);
    }
    fw_settle(ecu);
    revert(ecu);
}

uint64_t fw_deadline(const fw *ecu)
{
    if (ecu->down) {
        return FW_NEVER;
    }
    uint64_t link = fw_link_deadline(ecu), server = fw_server_deadline(ecu);
    uint64_t first = link < server ? link : server;
    return fw_is_reverting(ecu) && ecu->revert_at < first ? ecu->revert_at : first;
}

/* ------------------------------------------------------------------------------------------------- told by the
 * server */

void fw_opened(fw *ecu, fw_session session, uint8_t peer)
{
    fw_watch_look(ecu);
    fw_watch_end(ecu);
    if (session == FW_SESSION_EXTENDED && peer == FW_PRIMARY_ADDRESS) {
        fw_write_down(ecu, FW_OK);
    }
    if (session == FW_SESSION_DEFAULT) {
        fw_object_clear(&ecu->object);
    }
    ecu->revert_at = session == FW_SESSION_DEFAULT ? ecu->now + REVERT_MS : FW_NEVER;
}

void fw_misused(fw *ecu, fw_check check)
{
    fw_write_down(ecu, check);
}
