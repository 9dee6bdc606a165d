/* Slow retrieval (Uptane 2.1.0, section 4.3; twin of secondary/watch.py): a delivery that crawls is an attack, though
 * nothing of it is wrong.
 */
#include "ecu.h"

#define GRACE_MS 5000u /* before this an average says nothing; a session without requests ends by then */
#define SECOND_MS 1000u

void fw_watch_begin(fw *ecu)
{
    ecu->watch.begun = ecu->now;
    ecu->watch.octets = 0;
    ecu->watch.running = true;
    ecu->watch.told = false;
}

void fw_watch_end(fw *ecu)
{
    ecu->watch.running = false;
}

void fw_watch_octets(fw *ecu, uint16_t octets)
{
    if (ecu->watch.running) {
        ecu->watch.octets += octets;
        fw_watch_look(ecu);
    }
}

void fw_watch_look(fw *ecu)
{
    uint64_t elapsed_ms = ecu->now - ecu->watch.begun;
    if (!ecu->watch.running || ecu->watch.told || elapsed_ms < GRACE_MS ||
        (uint64_t)ecu->watch.octets * SECOND_MS >= ecu->facts->slow_floor * elapsed_ms) {
        return;
    }
    ecu->watch.told = true;
    fw_write_down(ecu, FW_SLOW_RETRIEVAL);
}
