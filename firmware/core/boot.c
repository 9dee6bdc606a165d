/* Which slot boots, durably decided before it does (twin of `boot` in secondary/install.py). For a boot stub too:
 * nothing here needs the link or any cryptography.
 *
 * What holds: nothing but the installation's record decides. Without a record the ECU is as it left the factory; a
 * record that was there and is lost is not that: nobody knows then what the slots hold, and nothing is to run.
 */
#include "ecu.h"

#include "states.h"

fw_check fw_store_installation(fw_store *store, const fw_installation *installation)
{
    uint8_t octets[FW_INSTALLATION_RECORD_MAX];
    uint16_t length = fw_installation_dump(installation, octets);
    return fw_store_put(store, FW_RECORD_INSTALLATION, octets, length) ? FW_OK : FW_STORAGE;
}

fw_start fw_load_installation(fw_store *store, const fw_facts *facts, fw_installation *installation)
{
    uint8_t octets[FW_INSTALLATION_RECORD_MAX];
    uint16_t length = fw_store_length(store, FW_RECORD_INSTALLATION);
    length = length < sizeof octets ? length : (uint16_t)sizeof octets; /* behind it is what newer software knows of */
    if (!fw_store_has(store, FW_RECORD_INSTALLATION)) {
        fw_installation_factory(installation, &facts->factory);
        return (store->damaged & 1u << FW_RECORD_INSTALLATION) != 0 ? FW_NO_INSTALLATION : FW_UP;
    }
    return fw_store_get(store, FW_RECORD_INSTALLATION, 0, octets, length) &&
                   fw_installation_load(installation, octets, length)
               ? FW_UP
               : FW_NO_INSTALLATION;
}

fw_check fw_boot(fw_store *store, fw_installation *installation, fw_check *blamed)
{
    fw_installation next;
    (void)fw_installation_boot(installation, &next);
    *blamed = next.outcome != installation->outcome ? fw_blamed(next.outcome) : FW_OK;
    if (!fw_same_installation(&next, installation)) {
        if (fw_store_installation(store, &next) != FW_OK) {
            return FW_STORAGE;
        }
        *installation = next;
    }
    return FW_OK;
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
