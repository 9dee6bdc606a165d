/* An image: the Secondary's main loop on the emulated board. */
#include "chip.h"
#include "facts.h"
#include "fw.h"
#include "image.h"
#include "start.h"
#include "state.h"

extern const uint8_t image_length[]; /* an address that is a number, by the linker */

__attribute__((section(".mark"), used))
const image_mark image = {.magic = BOARD_IMAGE_MAGIC, .length = (uint32_t)image_length, .version = VERSION_TEXT};

static fw_facts facts;
static fw_port port;
static fw ecu;
static uint32_t stack_told;
static uint64_t stack_looked_at;

#define STACK_LOOK 1000u /* milliseconds; it takes some thousand instructions */

/* How deep the stack has been, whenever it has been deeper: what docs say of RAM can be read on the console. */
static void say_stack(void)
{
    stack_looked_at = clock_now();
    uint32_t used = start_stack_used();
    if (used != stack_told) {
        stack_told = used;
        chip_console("stack ");
        chip_console_number(used);
        chip_console("\n");
    }
}

static void power_up(void)
{
    uint8_t slot = (uint8_t)REGISTER(BOARD_HANDOVER + 4u);
    port.to_test = -1;
    if (REGISTER(BOARD_HANDOVER) != BOARD_HANDOVER_MAGIC || !flash_open(&port) ||
        !fw_read_facts(&facts, (const uint8_t *)BOARD_FACTS, BOARD_FACTS_SIZE)) {
        chip_console("no handover, no flash or no facts\n");
        chip_halt();
    }
    if (fw_power_up(&ecu, &port, &facts, slot, clock_now()) != FW_UP) {
        chip_console("the core does not come up\n");
        chip_reset();
    }
    chip_console("slot ");
    chip_console_number(slot);
    chip_console(" runs: ");
    chip_console(image.version);
    chip_console("\n");
}

static void restart(void)
{
    say_stack();
    chip_console("restart\n");
    flash_close(&port);
    chip_reset();
}

/* Everything that is due now. */
static void run(void)
{
    fw_frame frame;
    while (!port.restarts && can_take(&frame)) {
        chip_feed();
        fw_heard(&ecu, &frame, clock_now());
        if (clock_now() >= fw_deadline(&ecu)) { /* however many frames wait: a flood stops no timer */
            fw_tick(&ecu, clock_now());
        }
    }
    if (port.to_test != -1) {
        fw_verdict verdict = board_test(&port) ? FW_PASSED : FW_FAILED;
        chip_console(verdict == FW_PASSED ? "self-test passed\n" : "self-test failed\n");
        fw_tested(&ecu, verdict, clock_now());
    }
    if (clock_now() >= fw_deadline(&ecu)) {
        fw_tick(&ecu, clock_now());
    }
    if (clock_now() >= stack_looked_at + STACK_LOOK) {
        say_stack();
    }
}

_Noreturn void main(void)
{
#if defined(HANGS)
    for (;;) {
    }
#endif
    clock_start();
    can_start();
    power_up();
    for (;;) {
        chip_feed();
        run();
        if (port.restarts) {
            restart();
        }
        __asm__ volatile("cpsid i");
        if (can_is_idle() && port.to_test == -1) {
            __asm__ volatile("wfi"); /* an interrupt that waits ends it, though it is served only after the next line */
        }
        __asm__ volatile("cpsie i");
    }
}
