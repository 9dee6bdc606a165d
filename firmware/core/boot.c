/* Which slot boots, durably decided before it does (twin of `boot` in secondary/install.py). For a boot stub too:
 * nothing here needs the link or any cryptography.
 *
 * What holds: nothing but the installation's record decides. Without a record the ECU is as it left the factory; a
 * record that was there and is lost is not that: nobody knows then what the slots hold, and nothing is to run.
 */
#include "ecu.h"

#include "states.h"

fw_start fw_load_installation(fw_store *store, const fw_facts *facts, fw_installation *installation)
{
    if (fw_store_has(store, FW_RECORD_INSTALLATION)) {
        return fw_installation_load(installation, store) ? FW_UP : FW_NO_INSTALLATION;
    }
    fw_installation_factory(installation, &facts->factory);
    return (store->damaged & 1u << FW_RECORD_INSTALLATION) != 0 ? FW_NO_INSTALLATION : FW_UP;
}

fw_check fw_boot(fw_store *store, fw_installation *installation, fw_check *blamed)
{
    fw_installation before = *installation;
    fw_installation_boot(installation);
    *blamed = installation->outcome != before.outcome ? fw_blamed(installation->outcome) : FW_OK;
    bool same = fw_same_installation(installation, &before);
    return same || fw_installation_store(installation, store) ? FW_OK : FW_STORAGE;
}

fw_start fw_choose_slot(fw_port *port, const fw_facts *facts, uint8_t *slot)
{
    fw_store store;
    fw_installation installation;
    fw_check blamed;
    if (!fw_store_open(&store, port)) {
        return FW_NO_STORAGE;
    }
    fw_start start = fw_load_installation(&store, facts, &installation);
    if (start != FW_UP) {
        return start;
    }
    if (fw_boot(&store, &installation, &blamed) != FW_OK) {
        return FW_NO_STORAGE;
    }
    if (blamed != FW_OK) { /* here, for the software that is started cannot see that it was not so before */
        fw_refusals refusals;
        fw_refusals_load(&refusals, &store);
        if (fw_refusals_count(&refusals, blamed)) {
            (void)fw_refusals_store(&refusals, &store);
        }
    }
    *slot = installation.running;
    return FW_UP;
}
