/* What isotp.c, isotp_receive.c and isotp_send.c know of each other (twin of uptane/link/isotp_frame.py). */
#ifndef FW_ISOTP_PARTS_H
#define FW_ISOTP_PARTS_H

#include "instants.h"

#define FW_TIMER_MS 1000u          /* N_As, N_Bs, N_Cr (ISO 15765-2:2016, Table 16) */
#define FW_REFUSED_MAX FW_TIMER_MS /* times that the port may have no room: frames are offered once a millisecond */

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

/* The place of `address`, NULL if it has none. `make`: then one that is free; the holder of the session always gets
 * one. */
fw_peer *fw_link_place(fw *ecu, uint8_t address, bool make);

/* Whether a message of the peer is coming that is in the block. */
static inline bool fw_link_has_block(const fw_peer *peer)
{
    return peer->in_length > FW_REQUEST_MAX;
}

/* isotp_receive.c */
void fw_receive_first(fw *ecu, uint8_t address, const fw_frame *frame);
void fw_receive_consecutive(fw *ecu, fw_peer *peer, const fw_frame *frame);
void fw_receive_flow(fw *ecu, fw_peer *peer); /* send the flow control that is due */

static inline void fw_receive_stop(fw_peer *peer)
{
    peer->in_length = 0;
    peer->flow_refused = 0;
}

/* isotp_send.c */
void fw_send_push(fw *ecu, fw_peer *peer); /* offer the frames that are due */
void fw_send_lose(fw *ecu, fw_peer *peer); /* give up the message going, and begin with the next */
void fw_send_flow(fw *ecu, fw_peer *peer, const uint8_t flow[3]);

static inline void fw_send_stop(fw_peer *peer)
{
    peer->out_start = peer->out_end = peer->out_count = 0;
    peer->tail_length = 0;
}

#endif
