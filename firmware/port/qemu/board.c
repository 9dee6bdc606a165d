/* What the core asks of this board besides flash and frames; and the self-test of an image.
 *
 * There are three builds of it: one that passes its self-test, one that fails it (SELF_TEST_FAILS), and one that
 * stops before it has said a word (HANGS, main.c), for the tests of what a Secondary does then.
 */
#include <string.h>

#include "chip.h"
#include "image.h"

#define COMPARED 256u

uint64_t fw_port_breathe(fw_port *port)
{
    (void)port;
    chip_feed();
    return clock_now();
}

void fw_port_traffic(fw_port *port, bool messages, bool faults)
{
    (void)port;
    chip_console(messages ? "messages on" : "messages off");
    chip_console(faults ? ", faults on\n" : ", faults off\n");
}

/* The first word of a file, read anew each time. */
fw_interlock fw_port_interlock(fw_port *port)
{
    char word[7] = {0};
    (void)port;
    int file = semihost_open(BOARD_INTERLOCK_FILE, sizeof BOARD_INTERLOCK_FILE - 1, SEMIHOST_READ_BINARY);
    if (file == -1) {
        return FW_UNSAFE;
    }
    (void)semihost_read(file, 0, word, sizeof word); /* a short file answers "less", and has been read */
    semihost_close(file);
    if (memcmp(word, "safe", 4) == 0 && (word[4] == '\0' || word[4] == '\n' || word[4] == ' ')) {
        return FW_SAFE;
    }
    return memcmp(word, "moving", 6) == 0 && (word[6] == '\0' || word[6] == '\n') ? FW_MOVING : FW_UNSAFE;
}

void fw_port_self_test(fw_port *port, uint8_t slot)
{
    port->to_test = slot;
}

void fw_port_restart(fw_port *port)
{
    port->restarts = true;
}

/* Is what runs the very image that lies in the slot? */
bool board_test(fw_port *port)
{
    uint8_t stored[COMPARED];
    const uint8_t *running = (const uint8_t *)BOARD_IMAGE_RAM;
    fw_area slot = port->to_test == 0 ? FW_AREA_SLOT_0 : FW_AREA_SLOT_1;
    port->to_test = -1;
#if defined(SELF_TEST_FAILS)
    return false;
#endif
    for (uint32_t done = 0; done < image.length; done += COMPARED) {
        uint32_t part = image.length - done < COMPARED ? image.length - done : COMPARED;
        fw_port_read(port, slot, done, stored, part);
        if (memcmp(stored, running + done, part) != 0) {
            return false;
        }
    }
    return true;
}
