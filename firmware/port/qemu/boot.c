/* The boot stub: which slot boots is decided durably, then its image is copied to RAM and started.
 *
 * What holds: a slot without a whole image is an attempt that failed, as is an image that stops: the watchdog runs
 * already, the controller resets, and fw_choose_slot counts.
 */
#include <string.h>

#include "chip.h"
#include "facts.h"
#include "flash.h"
#include "fw.h"
#include "layout.h"
#include "start.h"

#define COPIED 512u

static fw_facts facts;
static fw_port port;

/* What the core can ask of a board while it chooses; nobody hears, nobody drives. */

uint64_t fw_port_breathe(fw_port *asked)
{
    (void)asked;
    chip_feed();
    return 0;
}

static _Noreturn void say_and_halt(const char *why)
{
    chip_console(why);
    chip_halt();
}

/* Copy the image of a slot to where it runs: false if there is none. */
static bool load(fw_area slot)
{
    uint32_t mark[2];
    fw_port_read(&port, slot, BOARD_IMAGE_MARK, (uint8_t *)mark, sizeof mark);
    if (mark[0] != BOARD_IMAGE_MAGIC || mark[1] < BOARD_IMAGE_MARK || mark[1] > BOARD_SLOT_SIZE) {
        return false;
    }
    for (uint32_t done = 0; done < mark[1]; done += COPIED) {
        uint32_t part = mark[1] - done < COPIED ? mark[1] - done : COPIED;
        fw_port_read(&port, slot, done, (uint8_t *)(BOARD_IMAGE_RAM + done), part);
    }
    return true;
}

static _Noreturn void start(uint8_t slot)
{
    const volatile uint32_t *image = (const volatile uint32_t *)BOARD_IMAGE_RAM;
    REGISTER(BOARD_HANDOVER) = BOARD_HANDOVER_MAGIC;
    REGISTER(BOARD_HANDOVER + 4u) = slot;
    VECTORS_AT = BOARD_IMAGE_RAM;
    uint32_t stack = image[0];
    uint32_t entry = image[1];
    __asm__ volatile("msr msp, %0\n\tbx %1" : : "r"(stack), "r"(entry) : "memory");
    __builtin_unreachable();
}

_Noreturn void main(void)
{
    uint8_t slot = 0;
    chip_start_clock();
    chip_start_lines();
    chip_watch();
    if (!fw_read_facts(&facts, (const uint8_t *)BOARD_FACTS, BOARD_FACTS_SIZE)) {
        say_and_halt("boot: no facts; provision this board\n");
    }
    if (!flash_open(&port)) {
        say_and_halt("boot: no flash file\n");
    }
    switch (fw_choose_slot(&port, &facts, &slot)) {
    case FW_UP:
        break;
    case FW_NO_ROOT:
        say_and_halt("boot: no Root to start from; provision this board anew\n");
    case FW_NO_INSTALLATION:
        say_and_halt("boot: nothing says what is installed; provision this board anew\n");
    case FW_NO_STORAGE:
    default:
        say_and_halt("boot: the flash does not do as it is told\n");
    }
    bool loaded = load(slot == 0 ? FW_AREA_SLOT_0 : FW_AREA_SLOT_1);
    flash_close(&port);
    chip_console("boot: slot ");
    chip_console_number(slot);
    chip_console(loaded ? "\n" : " holds no image\n");
    if (!loaded) {
        chip_reset();
    }
    start(slot);
}
