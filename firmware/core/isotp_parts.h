/* What isotp.c, isotp_receive.c and isotp_send.c know of each other (twin of uptane/link/isotp_frame.py). */
#ifndef FW_ISOTP_PARTS_H
#define FW_ISOTP_PARTS_H

#include "isotp.h"
#include "uds.h"

#define FW_TIMER_MS 1000u   /* N_As, N_Bs, N_Cr (ISO 15765-2:2016, Table 16) */
#define FW_BLOCK_FRAMES 64u /* block size we ask for: reaches 98.4 % of a classic bus */
#define FW_LENGTH_12_BIT 0xFFFu

enum { FW_CONTINUE, FW_WAIT, FW_OVERFLOW }; /* flow status */

/* The length a frame of `needed` octets (1 to 64) has when it is padded: at least 8, then what CAN FD has. */
static inline uint8_t fw_padded(uint8_t needed)
{
    if (needed <= 8) {
        return 8;
    }
    return (uint8_t)(needed <= 24 ? (needed + 3) & ~3 : (needed + 15) & ~15);
}

/* Pad `frame` behind its `length`, address it, and offer it to the port. */
bool fw_link_offer(fw *ecu, uint8_t peer, fw_frame *frame);

/* The place of `address`; if it has none, one that is free. The holder of the session is always given one. */
fw_peer *fw_link_place(fw *ecu, uint8_t address);
fw_peer *fw_link_find(fw_link *link, uint8_t address);

/* isotp_receive.c */
void fw_receive_stop(fw_peer *peer);
void fw_receive_first(fw *ecu, uint8_t address, const fw_frame *frame);
void fw_receive_consecutive(fw *ecu, fw_peer *peer, const fw_frame *frame);
void fw_receive_flow(fw *ecu, fw_peer *peer); /* send the flow control that is due */

/* isotp_send.c */
void fw_send_stop(fw_peer *peer);
void fw_send_push(fw *ecu, fw_peer *peer); /* offer the frames that are due */
void fw_send_tick(fw *ecu, fw_peer *peer);
void fw_send_flow(fw *ecu, fw_peer *peer, const uint8_t flow[3]);

#endif
