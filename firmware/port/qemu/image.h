/* What the files of an image share: its mark, and the CAN line. */
#ifndef FW_QEMU_IMAGE_H
#define FW_QEMU_IMAGE_H

#include "flash.h"
#include "layout.h"

typedef struct {
    uint32_t magic, length;
    char version[BOARD_VERSION_TEXT];
} image_mark;

extern const image_mark image;

/* clock.c */
uint64_t clock_now(void);
void clock_start(void);

/* can.c */
void can_start(void);
bool can_take(fw_frame *frame); /* the next frame that has come */
bool can_is_idle(void);         /* nothing has come that is not taken; call with interrupts off */

/* board.c */
bool board_test(fw_port *port);

#endif
