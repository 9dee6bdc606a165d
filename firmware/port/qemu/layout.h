/* Where everything lies on the emulated board (lm3s6965evb: Cortex-M3, 256 KiB flash, 64 KiB RAM), for the port, the
 * boot stub, the linker scripts and firmware/tools/flash_file.py, which reads the numbers from this file: every line is
 * `#define NAME number` and nothing else computes them.
 *
 * QEMU models this board's flash as read-only. So:
 *  - The boot stub, an ELF, is in flash from address 0 on: `qemu-system-arm -M lm3s6965evb -kernel boot.elf`.
 *  - The facts (firmware/tools/facts.py) are in flash at BOARD_FACTS, put there by QEMU's generic loader:
 *    `-device loader,file=facts.bin,addr=0x38000,force-raw=on`. They are read in place: facts->root points into flash.
 *  - The flash that is erased and written is the file BOARD_FLASH_FILE in QEMU's working directory, opened for reading
 *    and writing in place by semihosting: slot 0, slot 1, state. The port keeps its NOR rules, also over a power cut.
 *  - An image is the octets of a slot from its first one on: a Cortex-M vector table, at BOARD_IMAGE_MARK the mark
 *    below, then code. The boot stub copies the slot that fw_choose_slot chose to BOARD_IMAGE_RAM, leaves magic and
 * slot in the two words at BOARD_HANDOVER, sets VTOR to BOARD_IMAGE_RAM, the stack pointer from its first word, and
 * jumps to its second. So one link address serves both slots. It copies as many octets as the mark says.
 *  - UART0 is the CAN bus as slcan (python-can's dialect: t T d D b B S O C V, each line ended by CR). The channel
 *    is open from power-up on, as a node is on its bus: V is answered V0101, other commands are not, frames are
 *    not acknowledged, and any other line is passed over. UART1 is the console: text, a line a note, ended by LF;
 *    "slot N runs: VERSION TEXT" once fw_power_up has returned FW_UP.
 *  - The interlock is the first word (safe, unsafe, moving) of the file BOARD_INTERLOCK_FILE, read anew each time;
 *    anything else, or no file, is unsafe.
 *  - A restart is SYSRESETREQ, which QEMU carries out in the same process; a power cut is QEMU ended.
 */
#ifndef FW_BOARD_LAYOUT_H
#define FW_BOARD_LAYOUT_H

#define BOARD_FLASH_PAGE 0x400u  /* as this controller's own flash */
#define BOARD_FLASH_UNIT 4u      /* likewise */
#define BOARD_SLOT_SIZE 0xC000u  /* RAM left to an image that is copied there: 64 KiB less data and stack */
#define BOARD_STATE_SIZE 0x8000u /* two halves of 16 KiB: sixteen pages to wear each */

#define BOARD_SLOT_0 0x0u /* offsets in the flash file */
#define BOARD_SLOT_1 0xC000u
#define BOARD_STATE 0x18000u
#define BOARD_FLASH_SIZE 0x20000u

#define BOARD_STUB 0x0u /* addresses of the controller */
#define BOARD_STUB_SIZE 0x38000u
#define BOARD_FACTS 0x38000u
#define BOARD_FACTS_SIZE 0x8000u /* names and an envelope of a Root: ours has 1 KiB */
#define BOARD_IMAGE_RAM 0x20000000u
#define BOARD_DATA_RAM 0x2000C000u
#define BOARD_HANDOVER 0x2000FFF8u       /* above the stack, which begins here downwards: magic, then slot */
#define BOARD_HANDOVER_MAGIC 0x4D515550u /* "MQUP" */

/* The mark of an image: magic (4 octets), length of the whole image (4 octets, little-endian), version text, which is 1
 * to 23 printable ASCII characters and zeros behind them. */
#define BOARD_IMAGE_MARK 0x100u       /* behind the 60 vectors of this controller */
#define BOARD_IMAGE_MAGIC 0x4D49514Du /* "MQIM" as octets */
#define BOARD_VERSION_TEXT 24u

#define BOARD_FLASH_FILE "flash.bin"
#define BOARD_INTERLOCK_FILE "interlock"

#endif
