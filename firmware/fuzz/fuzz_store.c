/* Any octets where the records lie: the ECU boots with what can be read, or says that it cannot; what it stores then is
 * there.
 *
 * An input is what the state area begins with; the rest of it is blank.
 */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t state[FUZZ_STATE];
    fw_port *port = fuzz_board();
    fw_store store;
    memset(state, 0xFF, sizeof state);
    memcpy(state, data, size < sizeof state ? size : sizeof state);
    fw_host_load(port, FW_AREA_STATE, state, sizeof state);
    if (fw_store_open(&store, port)) {
        uint8_t octets[4] = {1, 2, 3, 4}, found[4] = {0};
        if (!fw_store_put(&store, FW_RECORD_NONCE, octets, sizeof octets)) {
            fuzz_found("a record is not stored");
        }
        if (!fw_store_open(&store, port) || !fw_store_get(&store, FW_RECORD_NONCE, 0, found, sizeof found) ||
            memcmp(octets, found, sizeof found) != 0) {
            fuzz_found("a record that was stored is not there");
        }
        (void)fw_host_power_up(port, 0);
    }
    if (fw_host_abuses(port) != 0) {
        fuzz_found("the rules of the flash are broken");
    }
    return 0;
}
